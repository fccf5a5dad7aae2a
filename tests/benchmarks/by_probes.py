"""False alarms and missed mutants of the calibration bank, put to probes, small as they are."""

from __future__ import annotations

import multiprocessing
import os
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bank.base import FINAL, FRESH, HELD_OUT, OPTIMA, TUNING, build
from ours import TOL, Trial, attempt
from tables import by_name, parser, publish, share, table
from trials import OTHER_SEEDS, bank

PARTS = (TUNING, HELD_OUT, FRESH, FINAL, OPTIMA)
SEEDS = (0, *OTHER_SEEDS)


@dataclass(frozen=True)
class Probed:
    """One case: what probes say of its right gradient with all seeds, and of its mutants.

    Mutants come with their names and true relative errors.
    """

    name: str
    half: str
    right: list[Trial]
    wrong: list[tuple[str, float, Trial]]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--processes", type=int, default=2)
    given = options.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    wanted = [(half, index) for half in PARTS for index in range(len(bank(half)))]
    with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
        records = pool.map(examine, wanted, chunksize=8)
    publish("by probes", section(records), write=given.write)


def examine(at: tuple[str, int]) -> Probed:
    """Case number `at[1]` of the half `at[0]`."""
    warnings.simplefilter("ignore")
    half, index = at
    case = build(*bank(half)[index])
    return Probed(
        case.name,
        half,
        [attempt(case, case.grads, seed, "probe") for seed in SEEDS],
        [
            (mutant.name, mutant.relative_error, attempt(case, mutant.grads, mode="probe"))
            for mutant in case.mutants()
            if mutant.relative_error > TOL
        ],
    )


def section(records: list[Probed]) -> str:
    alarms = [
        f"{r.name}, seed {seed}: {trial.why}"
        for r in records
        for seed, trial in zip(SEEDS, r.right, strict=True)
        if trial.flagged
    ]
    misses = [
        f"{name} (off by {error:.1e}, uncertainty {trial.worst_uncertainty:.1e})"
        for r in records
        for name, error, trial in r.wrong
        if trial.misses(error)
    ]
    lists = by_name([("False alarms", alarms), ("Missed", misses)])
    return "\n\n".join(["## All parts by probes, small as they are", figures(records), lists])


def figures(records: list[Probed]) -> str:
    rows = []
    for half in PARTS:
        right = [trial for r in records if r.half == half for trial in r.right]
        wrong = [(error, trial) for r in records if r.half == half for _, error, trial in r.wrong]
        rows.append(
            (
                half,
                share(sum(t.flagged for t in right), len(right), digits=2),
                share(sum(t.outcome == "cannot say" for t in right), len(right), digits=2),
                share(sum(t.misses(error) for error, t in wrong), len(wrong), digits=2),
                share(sum(t.outcome == "cannot say" for _, t in wrong), len(wrong), digits=2),
            )
        )
    titles = ["part", "false alarms", "cannot say of right", "missed", "cannot say of wrong"]
    return table(titles, rows)


if __name__ == "__main__":
    main()

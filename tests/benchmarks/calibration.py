"""False alarms, missed mutants, error bars and cost on the calibration bank, with the peers.

The parts of the bank apart, every checker on the same cases in the same run.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from bank import KINDS
from bank.base import FINAL, FRESH, HELD_OUT, OPTIMA, TUNING
from oracle import SPENT
from ours import TOL, Trial
from peers import PACKAGES, PEERS, Verdict
from tables import by_name, parser, publish, share, table, versions
from trials import OTHER_SEEDS, SAMPLE, WRONG, CaseRecord, MutantRecord, bank, examine

WARN = 1e-5
PARTS = (TUNING, HELD_OUT, FRESH, FINAL, OPTIMA)
QUICK = 8
OURS = "**pytest-gradcheck**"
UNMEASURABLE = f"""\
Reported as unmeasurable, and to what an oracle could measure the worst of these parameters by
{SPENT} evaluations an entry. It knows the function without its noise, and so the best step and
extrapolation; where even it stays above {WARN:g}, the gradient truly cannot be verified"""
PEERS_NOTE = f"""\
The peers, each at its defaults, on the same cases and on {SAMPLE} wrong gradients a case (of those
with a true relative error above {WRONG:g}, the first by the checksum of their names). They get
float64 parameters throughout; JAX and autograd check first order in reverse mode, JAX in 64 bits.
`check_grad` gives a number and no verdict: the customary 1e-6 relative to max(1, ‖g‖) is the
threshold. An exception that is no verdict is an alarm, counted apart in brackets. Evaluations are
those of correct gradients, as the mean over cases and as one ratio over all cases together:"""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--half", choices=[*PARTS, "all"], default="all")
    options.add_argument("--quick", action="store_true", help=f"one case in {QUICK} only")
    options.add_argument("--processes", type=int, default=2)
    given = options.parse_args()
    if given.quick and given.write:
        options.error("--quick is for a first look: what is written is measured on all cases")
    for half in PARTS if given.half == "all" else [given.half]:
        records = run(half, step=QUICK if given.quick else 1, processes=given.processes)
        publish(f"calibration {half}", section(half, records, quick=given.quick), write=given.write)


def run(half: str, *, step: int, processes: int) -> list[CaseRecord]:
    """The records of every `step`-th case, in the order of the bank."""
    # Read when a worker starts: one thread each, and no accelerator.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
    wanted = [(half, index) for index in range(0, len(bank(half)), step)]
    records, start = {}, time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for record in pool.imap_unordered(examine, wanted):
            records[record.name] = record
            done = f"{len(records)}/{len(wanted)} cases, {time.perf_counter() - start:.0f} s"
            print(f"\r{done}  ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return sorted(records.values(), key=lambda record: record.name)


def section(half: str, records: Sequence[CaseRecord], *, quick: bool) -> str:
    mutants = [m for r in records for m in r.mutants]
    part = f" (every {QUICK}th case)" if quick else ""
    return "\n\n".join(
        [
            f"## The {half} part{part}: {len(records)} correct gradients,"
            f" {sum(r.size for r in records)} entries, {len(mutants)} wrong gradients",
            figures(records),
            lists(records),
            "By kind of case:",
            by_kind(records),
            PEERS_NOTE,
            with_peers(records),
            "Alarms on correct gradients by kind of case:",
            alarms_by_kind(records),
            versions("numpy", *PACKAGES) + ".",
        ]
    )


def figures(records: Sequence[CaseRecord]) -> str:
    """What is promised, one row each."""
    ours, mutants = [r.ours for r in records], [m for r in records for m in r.mutants]
    wrong = [m for m in mutants if m.error > TOL]
    unmeasurable = [r for r in records if r.ours.outcome == "cannot say"]
    smooth = [r for r in records if r.kind == "smooth" and r.ours.outcome != "raised"]
    exact = [r.ours for r in smooth if r.double]
    cost = [r.ours.evaluations for r in smooth]
    allowed = [2.2 * r.size + 30 for r in smooth]
    slope = [(r.ours.evaluations - 30) / r.size for r in smooth if r.size >= 10]
    raised = sum(t.outcome == "raised" for t in ours)
    within_reach = sum(r.oracle <= WARN for r in unmeasurable)
    rows = [
        (
            "false alarms on correct gradients (exceptions among them)",
            f"{sum(t.flagged for t in ours)} ({raised})",
            "0",
        ),
        (
            "false alarms on correct gradients with two other seeds",
            sum(t.flagged for r in records for t in r.again),
            "0",
        ),
        (
            "correct gradients reported as unmeasurable (of these, not truly so)",
            f"{share(len(unmeasurable), len(records))} ({within_reach})",
            "≤ 3 % (0)",
        ),
        (
            "missed, true relative error above 3 × the largest reported uncertainty",
            share(sum(map(missed, mutants)), len(wrong)),
            "0",
        ),
        (
            "missed, by the error bar of the parameter concerned",
            share(sum(not m.ours.flagged and m.ours.beyond > 3 for m in mutants), len(wrong)),
            "",
        ),
        (
            '"cannot say" of a wrong gradient',
            share(sum(m.ours.outcome == "cannot say" and not missed(m) for m in wrong), len(wrong)),
            "",
        ),
        (
            "passed inside the error bar",
            share(sum(within(m) for m in wrong), len(wrong)),
            "",
        ),
        (
            "entries whose error bar holds the exact derivative",
            share(sum(t.covered for t in ours), sum(t.entries for t in ours), digits=3),
            "≥ 99.9 %",
        ),
        (
            "the same where the claim is wrong",
            share(
                sum(m.ours.covered for m in mutants), sum(m.ours.entries for m in mutants), digits=3
            ),
            "",
        ),
        (
            "median uncertainty, smooth float64 cases: whole vector (worst parameter)",
            f"{median(t.uncertainty for t in exact)}"
            f" ({median(t.worst_uncertainty for t in exact)})",
            "< 1e-9",
        ),
        (
            "mean evaluations of correct smooth cases / mean of 2.2 n + 30",
            mean_of(cost, np.mean(allowed) if allowed else 1.0),
            "≤ 1",
        ),
        (
            "mean of (evaluations - 30) / n, correct smooth cases with n ≥ 10",
            mean_of(slope),
            "≤ 2.2",
        ),
    ]
    return table(["", "measured", "goal"], rows)


def lists(records: Sequence[CaseRecord]) -> str:
    """Everything that went another way than the plain one, by name."""
    alarms = [f"{r.name}: {r.ours.why}" for r in records if r.ours.flagged]
    alarms += [
        f"{r.name}, seed {seed}: {trial.why}"
        for r in records
        for seed, trial in zip(OTHER_SEEDS, r.again, strict=True)
        if trial.flagged
    ]
    unmeasurable = [
        f"{r.name}: {r.ours.why} (an oracle: {r.oracle:.1e})"
        for r in records
        if r.ours.outcome == "cannot say"
    ]
    misses = [
        f"{m.name} (off by {m.error:.1e}, uncertainty {m.ours.worst_uncertainty:.1e})"
        for r in records
        for m in r.mutants
        if missed(m) or (not m.ours.flagged and m.ours.beyond > 3)
    ]
    return by_name([("False alarms", alarms), (UNMEASURABLE, unmeasurable), ("Missed", misses)])


def by_kind(records: Sequence[CaseRecord]) -> str:
    rows = []
    for kind in KINDS:
        some = [r for r in records if r.kind == kind]
        if not some:
            continue
        ours, mutants = [r.ours for r in some], [m for r in some for m in r.mutants]
        rows.append(
            (
                kind,
                len(some),
                sum(t.flagged for t in ours),
                sum(t.outcome == "cannot say" for t in ours),
                len(mutants),
                sum(map(missed, mutants)),
                sum(m.ours.outcome == "cannot say" and not missed(m) for m in mutants),
                share(sum(t.covered for t in ours), sum(t.entries for t in ours)),
                median(t.uncertainty for t in ours),
                f"{np.mean([r.ours.evaluations / r.size for r in some]):.1f}",
            )
        )
    header = ["kind", "correct", "alarms", "unmeasurable", "wrong", "missed", "cannot say"]
    return table([*header, "covered", "median uncertainty", "evaluations / n"], rows)


def with_peers(records: Sequence[CaseRecord]) -> str:
    sampled = [m for r in records for m in r.mutants if m.peers]
    rows = [
        rates(OURS, [as_verdict(r.ours) for r in records], sampled_ours(sampled), records),
        *(
            rates(name, [r.peers[name] for r in records], [m.peers[name] for m in sampled], records)
            for name in PEERS
        ),
    ]
    header = [
        "checker",
        "false alarms (raised)",
        "cannot say of right",
        "wrong passed",
        "cannot say of wrong",
    ]
    return table([*header, "evaluations / n", "over all n"], rows)


def rates(
    name: str,
    right: Sequence[Verdict],
    wrong: Sequence[Verdict],
    records: Sequence[CaseRecord],
) -> tuple[object, ...]:
    """One row: what a checker makes of right and of wrong gradients, and what a right one costs."""
    alarms = share(sum(v.alarm is True for v in right), len(right))
    spent = [v.evaluations for v in right]
    return (
        name,
        f"{alarms} ({sum(bool(v.raised) for v in right)})",
        share(sum(v.alarm is None for v in right), len(right)),
        share(sum(v.alarm is False for v in wrong), len(wrong)),
        share(sum(v.alarm is None for v in wrong), len(wrong)),
        f"{np.mean([e / r.size for e, r in zip(spent, records, strict=True)]):.1f}",
        f"{sum(spent) / sum(r.size for r in records):.1f}",
    )


def alarms_by_kind(records: Sequence[CaseRecord]) -> str:
    kinds = [kind for kind in KINDS if any(r.kind == kind for r in records)]
    grouped = {kind: [r for r in records if r.kind == kind] for kind in kinds}
    rows: list[Sequence[object]] = [("cases", *(len(grouped[kind]) for kind in kinds))]
    rows.append((OURS, *(sum(r.ours.flagged for r in grouped[kind]) for kind in kinds)))
    for name in PEERS:
        rows.append(
            (name, *(sum(r.peers[name].alarm is True for r in grouped[kind]) for kind in kinds))
        )
    return table(["checker", *kinds], rows)


def as_verdict(trial: Trial) -> Verdict:
    """Ours in the words of the peers."""
    alarm = {"alarm": True, "raised": True, "cannot say": None}.get(trial.outcome, False)
    return Verdict(alarm, trial.evaluations, trial.why if trial.outcome == "raised" else "")


def sampled_ours(sampled: Iterable[MutantRecord]) -> list[Verdict]:
    return [as_verdict(mutant.ours) for mutant in sampled]


def missed(mutant: MutantRecord) -> bool:
    """Not flagged, though off by more than the tolerance and three times any error bar."""
    return mutant.ours.misses(mutant.error)


def within(mutant: MutantRecord) -> bool:
    return mutant.ours.outcome in ("clear", "warned") and not missed(mutant)


def mean_of(values: Sequence[float], unit: float = 1.0) -> str:
    return f"{np.mean(values) / unit:.2f}" if values else "-"


def median(values: Iterable[float]) -> str:
    found = list(values)
    return f"{np.nanmedian(found):.1e}" if found else "-"


if __name__ == "__main__":
    main()

"""Faults injected into checks: every call of the user's code fails, each in another way.

A fault counts as survived if parameters, the state of the object, random generators and global
configuration are as before to the last bit, no Ctrl-C was swallowed, no wrong gradient passed,
and the error says what is wrong.  Interrupts at every line of the package come on top.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections import Counter
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
sys.path.insert(0, str(Path(__file__).parents[1]))

import logging
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context

from faults.injector import Plan
from faults.lines import interrupted, lines
from faults.standing import Standing
from faults.subjects import MODES, SUBJECTS
from faults.trial import calls, checked, fault, plans
from tables import parser, publish, table, versions

SPREAD = ("hooks", "hooks, losses", "hooks, set_params", "hooks, float32")
"""Subjects that can be sent to the workers of an executor."""
INTERRUPTED = ("hooks", "functions")
AT_MOST, COMPILED = 300, 40
"""Calls of one check that fail, evenly chosen if it makes more; where JAX compiles each time."""

Count = Counter[tuple[str, str]]


class Tally:
    """Faults by subject and column, and what was found after them."""

    def __init__(self) -> None:
        self.injected: Count = Counter()
        self.found: list[str] = []

    def add(self, subject: str, column: str, found: list[str], what: str) -> None:
        self.injected[subject, column] += 1
        self.found += [f"{subject}, {column}, {what}: {one}" for one in found]


def every_call(tally: Tally, subject: str, rounds: int, executor: Executor) -> None:
    for m, mode in enumerate(MODES):
        for factor in (1.0, 1.1):
            total = calls(subject, mode, factor=factor)
            for turn in range(rounds):
                every = list(plans(total, 5 * m + 23 * turn + int(factor)))
                most = COMPILED if subject.startswith("jax") else AT_MOST
                for at, kind in every[:: 1 + len(every) // most]:
                    found = fault(subject, mode, kind, at, factor=factor)
                    tally.add(subject, mode, found, f"{kind} at call {at} (factor {factor})")
    if subject in SPREAD:
        total = calls(subject, "plain", factor=1.1)
        for turn in range(3 * rounds):
            for at, kind in plans(total, turn):
                found = fault(subject, "plain", kind, at, factor=1.1, executor=executor)
                tally.add(subject, "executor", found, f"{kind} at call {at}")


def every_line(tally: Tally, subject: str) -> None:
    for mode in ("plain", "probe"):
        trial = SUBJECTS[subject](Plan.of(), 1.1)
        for at in lines(lambda trial=trial, mode=mode: checked(trial, mode, {})):
            trial = SUBJECTS[subject](Plan.of(), 1.1)
            standing = Standing(trial.roots)
            interrupted(lambda trial=trial, mode=mode: checked(trial, mode, {}), at)
            changed = [f"changed: {name}" for name in standing.changed()]
            tally.add(subject, "any line", changed, f"line {at} of mode {mode}")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=1)
    options.add_argument("--subjects", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    given = options.parse_args()
    warnings.simplefilter("ignore")
    logging.disable()  # JAX logs what callbacks raise
    # a shell hands a process in the background no Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tally = Tally()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        for subject in given.subjects:
            every_call(tally, subject, given.rounds, executor)
            if subject in INTERRUPTED:
                every_line(tally, subject)
            print(subject, sum(tally.injected.values()), len(tally.found), flush=True)
    for line in sorted(tally.found, key=lambda line: "changed: " not in line)[:100]:
        print(line)
    columns = [*MODES, "executor", "any line"]
    rows = [
        (subject, *(tally.injected[subject, c] or "" for c in columns))
        for subject in given.subjects
    ]
    sums = [sum(n for (_, c), n in tally.injected.items() if c == column) for column in columns]
    lost = sum("changed: " in line for line in tally.found)
    text = "\n\n".join(
        [
            f"## Faults: {sum(sums)} injected (goal: ≥ 5000), lost or changed {lost} (goal: 0)",
            table(["", *columns], [*rows, ("**in all**", *sums)]),
            "Every call that a check makes to loss, gradient or product fails once in another way"
            " (exceptions, Ctrl-C, timeouts, what is no number, arrays and containers changed in"
            " place), with a right gradient and with a wrong one; the last column is Ctrl-C at each"
            f" line of the package that runs. Errors that say too little, swallowed interrupts,"
            f" wrong gradients passed: {len(tally.found) - lost}."
            f" {versions('numpy', 'torch', 'jax')}.",
        ]
    )
    publish("faults", text, write=given.write)


if __name__ == "__main__":
    main()

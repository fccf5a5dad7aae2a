"""What probes cost: evaluations at any number of parameters, time and memory of their own."""

from __future__ import annotations

import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence

import numpy as np
from cases_at_large import ACTIVATIONS, BATCH, CASES, DECAY, WIDTHS, Outcome, run_case
from networks_at_large import Arrays, Subject, in_pieces, network
from tables import table

from pytest_gradcheck import check

SIZES = {
    (64, 100, 32, 10): 32,
    (256, 320, 50, 10): 32,
    WIDTHS: 32,
    (3072, 3000, 250, 10): 32,
}
"""Widths and batches of the networks of 1e4, 1e5, 1e6 and 1e7 parameters."""
NAMES = (5, 50, 500)
OF_OUTCOMES = ("evaluations", "exact", "seconds")


def cells(outcomes: Sequence[Outcome]) -> list[str]:
    counts = [outcome.evaluations for outcome in outcomes]
    exact = sum(outcome.exact for outcome in outcomes)
    seconds = statistics.median(outcome.seconds for outcome in outcomes)
    return [
        f"{statistics.median_high(counts)} ({max(counts)})",
        f"{exact} of {len(outcomes)}",
        f"{seconds:.1f}",
    ]


def progress(what: str) -> None:
    """One line on the terminal, where there is one."""
    if sys.stderr.isatty():
        print(f"\r{what[:78]:78}", end="", file=sys.stderr, flush=True)


def flatness(seeds: int) -> str:
    """Evaluations against the number of parameters, and of their names."""
    rows, renamed = [], []
    for widths, batch in SIZES.items():
        found = [
            _right_and_wrong(
                network(widths, batch=batch, activation="tanh", seed=seed), seed, widths
            )
            for seed in range(seeds)
        ]
        rows.append(_flat_row(f"{found[0][0]:,}", found))
    for count in NAMES:
        found = []
        for seed in range(seeds):
            whole = network(WIDTHS, batch=BATCH, activation="tanh", seed=seed)
            found.append(_right_and_wrong(in_pieces(whole, count), seed, count))
        renamed.append(_flat_row(count, found))
    columns = [f"{what}: {of}" for what in ("correct", "one wrong entry") for of in OF_OUTCOMES]
    return "\n\n".join(
        [
            "## Evaluations do not grow with the number of parameters, nor of their names",
            table(["parameters", *columns], rows),
            table(["names", *columns], renamed),
            f"tanh networks of four layers on {SIZES[WIDTHS]} samples, {seeds} of each size"
            " (goal: within 20 %); below, that of the table above on"
            f" {BATCH} samples with its parameters as so many pieces of one vector. The wrong"
            " entry errs by 1 % of the mean of abs(g). Median (largest).",
        ]
    )


def _right_and_wrong(subject: Subject, seed: int, what: object) -> tuple[int, Outcome, Outcome]:
    right, wrong = CASES[:2]
    outcomes = []
    for case in (right, wrong):
        expected = case.make(np.random.default_rng([5, seed]), subject.grads())
        claim = subject.wrong(expected.mistake) if expected.mistake else subject
        outcomes.append(run_case(claim, expected, seed)[0])
        progress(f"flatness: {what}, {case.name}, seed {seed}")
    return subject.size, *outcomes


def _flat_row(label: object, found: Sequence[tuple[int, Outcome, Outcome]]) -> tuple[object, ...]:
    return (label, *cells([f[1] for f in found]), *cells([f[2] for f in found]))


SPENT = {"loss": 0.0, "grads": 0.0}
"""Processor time in the user's own code; here, as a check puts back whatever a subject holds."""


class Timed(Subject):
    """Counts the time spent in it."""

    def loss(self) -> float:
        start = time.process_time()
        value = super().loss()
        SPENT["loss"] += time.process_time() - start
        return value

    def grads(self) -> Arrays:
        start = time.process_time()
        claimed = super().grads()
        SPENT["grads"] += time.process_time() - start
        return claimed


def own(seeds: int) -> str:
    """Time beside the user's loss, and memory beside the user's arrays."""
    rows = []
    for activation in ACTIVATIONS:
        subject = network(WIDTHS, batch=BATCH, activation=activation, seed=0, decay=DECAY)
        shares, each = zip(*(_own_time(subject, seed) for seed in range(seeds)), strict=True)
        rows.append(
            (
                activation,
                f"{100 * statistics.median(shares):.1f} % ({100 * max(shares):.1f} %)",
                f"{1e3 * statistics.median(each):.1f}",
                f"{_own_memory(subject):.2f}",
            )
        )
    header = ["", "own time, of the loss's", "loss, ms", "own memory, of θ"]
    return "\n\n".join(
        [
            "## Own time and memory on the correct gradient of that network"
            " (goals: ≤ 15 %, ≤ 2 × θ)",
            table(header, rows),
            "Own time: processor time of the whole `check(...)`, less that inside `loss()` and"
            f" `grads()`, over that inside `loss()`; one thread, median (largest) of {seeds}. Own"
            " memory: the peak that `tracemalloc` sees in `check(...)` less the peak of `loss()`"
            " and then `grads()` called alone, over the bytes of the parameters. Both peaks are"
            " above what was held before; the gradient that `grads()` hands out and what the loss"
            " itself needs are in both, so they are the user's.",
        ]
    )


def _own_time(subject: Subject, seed: int) -> tuple[float, float]:
    SPENT.update(loss=0.0, grads=0.0)
    start = time.process_time()
    result = check(Timed(subject.params, subject.value, subject.exact), mode="probe", seed=seed)
    rest = time.process_time() - start - sum(SPENT.values())
    return rest / SPENT["loss"], SPENT["loss"] / result.evaluations


def _own_memory(subject: Subject) -> float:
    theta = sum(values.nbytes for values in subject.params.values())

    def alone() -> None:
        subject.loss()
        subject.grads()

    return (_peak(lambda: check(subject, mode="probe", seed=0)) - _peak(alone)) / theta


def _peak(function: Callable[[], object]) -> int:
    function()  # what is made once only
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    function()
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return peak

"""Exhaustive mode with the workers of an executor: time against the same check in one process.

The loss is arithmetic of one thread, about 5 ms of it.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # workers inherit it

import statistics
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from tables import parser, publish, table, versions

from pytest_gradcheck import Result, check

GOAL = 1.7  # issue 4
SECONDS = 5e-3
WORKERS = 2


class Slow:
    """A linear layer whose loss is computed again and again, until it takes `SECONDS`."""

    def __init__(self, rounds: int = 1) -> None:
        rng = np.random.default_rng(0)
        self.rounds = rounds
        self.params = {"W": rng.normal(size=(20, 20)), "b": rng.normal(size=20)}
        self.X, self.Y = rng.normal(size=(100, 20)), rng.normal(size=(100, 20))

    def _residual(self) -> np.ndarray:
        return self.X @ self.params["W"] + self.params["b"] - self.Y

    def loss(self) -> float:
        for _ in range(self.rounds):
            value = 0.5 * float(np.sum(self._residual() ** 2))
        return value

    def grads(self) -> dict[str, np.ndarray]:
        residual = self._residual()
        return {"W": self.X.T @ residual, "b": residual.sum(axis=0)}


def slow() -> Slow:
    """Tuned to this machine, on which another program may be running at times."""
    net = Slow(100)
    once = min(seconds(net.loss) for _ in range(20)) / net.rounds
    return Slow(max(1, round(SECONDS / once)))


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def checked(net: Slow, executor: Executor | None) -> Result:
    return check(net, mode="exhaustive", executor=executor, seed=0)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=3)
    given = options.parse_args()
    net = slow()
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as executor:
        alone, spread = checked(net, None), checked(net, executor)  # which starts the workers
        same = (alone.status, alone.worst) == (spread.status, spread.worst)
        pairs = [
            (seconds(lambda: checked(net, None)), seconds(lambda: checked(net, executor)))
            for _ in range(given.repeats)
        ]
    ratio = statistics.median(one / other for one, other in pairs)
    rows = [
        ("one process", alone.evaluations, f"{min(one for one, _ in pairs):.2f}", "1"),
        (
            f"**`executor=ProcessPoolExecutor({WORKERS})`**",
            spread.evaluations,
            f"{min(other for _, other in pairs):.2f}",
            f"**{ratio:.2f}**",
        ),
    ]
    size = sum(array.size for array in net.params.values())
    text = "\n\n".join(
        [
            f"## Workers of an executor: exhaustive mode, {size} parameters, a loss of"
            f" {1e3 * min(seconds(net.loss) for _ in range(20)):.1f} ms"
            f" (goal: ≥ {GOAL} times as fast)",
            table(["", "evaluations", "best time, s", "times as fast"], rows),
            f"Median of {given.repeats} pairs of runs one after the other; {os.cpu_count()} cores."
            f" Status and entries the same to the last bit: {'yes' if same else 'NO'}."
            f" {versions('numpy')}.",
        ]
    )
    publish("executor", text, write=given.write)


if __name__ == "__main__":
    main()

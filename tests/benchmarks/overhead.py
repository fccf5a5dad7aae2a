"""What checking every entry costs beside the loss itself, per evaluation, with the peers.

Own time: processor time of the whole pass less that of as many bare calls, over their number.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
from tables import parser, publish, table, versions

from pytest_gradcheck import Parameter, Result, check
from pytest_gradcheck.core.exhaustive import central_quotients
from pytest_gradcheck.core.loss import Loss

SIZE = 10_000
EPS = 1e-7
GOAL = 0.5  # microseconds, issue 2

Pass = Callable[[], object]


@dataclass(frozen=True)
class Contestant:
    """A way of moving every entry of `x`: it calls ``loss(x)`` `evaluations` times."""

    name: str
    sweep: Pass
    loss: Callable[[Any], object]
    x: Any
    evaluations: int

    def own_time(self, repeats: int) -> float:
        """Microseconds per evaluation, from the best of `repeats` runs of either."""
        swept = min(seconds(self.sweep) for _ in range(repeats))
        called = min(seconds(self._calls) for _ in range(repeats))
        return 1e6 * (swept - called) / self.evaluations

    def _calls(self) -> None:
        loss, x = self.loss, self.x
        for _ in repeat(None, self.evaluations):
            loss(x)


def seconds(function: Pass) -> float:
    """Processor time: that of other processes is none of ours."""
    start = time.process_time()
    function()
    return time.process_time() - start


def point() -> np.ndarray:
    return np.linspace(-1.0, 1.0, SIZE)


def first(x: np.ndarray) -> float:
    """A loss that costs next to nothing and yet depends on its parameters."""
    return x.item(0)


def loop() -> Contestant:
    x = point()

    def sweep() -> None:
        for i, theta in enumerate(x.tolist()):
            x[i] = theta + EPS
            first(x)
            x[i] = theta - EPS
            first(x)
            x[i] = theta

    return Contestant("bare loop, in place", sweep, first, x, 2 * SIZE)


def exhaustive_pass() -> Contestant:
    x = point()
    parameter, loss = Parameter("x", x), Loss(partial(first, x))
    return Contestant(
        "**pytest-gradcheck**, the pass alone",
        lambda: central_quotients(parameter, loss, EPS),
        first,
        x,
        2 * SIZE,
    )


def whole_check(*, refine: bool) -> Contestant:
    x, gradient = point(), np.zeros(SIZE)
    gradient[0] = 1.0

    def sweep() -> Result:
        return check(loss=first, grads=lambda _: gradient, params=x, refine=refine)

    name = f"**pytest-gradcheck**, `check(..., refine={refine})`"
    return Contestant(name, sweep, first, x, sweep().evaluations)


def scipy_approx_derivative() -> Contestant:
    from scipy.optimize._numdiff import approx_derivative

    x = point()
    return Contestant(
        "SciPy `approx_derivative`, 3-point",
        lambda: approx_derivative(first, x, method="3-point"),
        first,
        x,
        2 * SIZE + 1,
    )


def torch_gradcheck() -> Contestant:
    import torch

    torch.set_num_threads(1)
    x = torch.tensor(point(), requires_grad=True)

    def loss(theta: torch.Tensor) -> torch.Tensor:
        return theta[0]

    return Contestant(
        "torch `gradcheck`, slow mode",
        lambda: torch.autograd.gradcheck(loss, (x,)),
        loss,
        x,
        2 * SIZE + 1,
    )


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=5)
    given = options.parse_args()
    warnings.simplefilter("ignore")
    contestants = [
        loop(),
        exhaustive_pass(),
        whole_check(refine=False),
        whole_check(refine=True),
        scipy_approx_derivative(),
        torch_gradcheck(),
    ]
    rows = [(c.name, c.evaluations, f"{c.own_time(given.repeats):.2f}") for c in contestants]
    text = "\n\n".join(
        [
            f"## Own time per evaluation of the loss, n = {SIZE:,} (goal: ≤ {GOAL} µs)",
            table(["", "evaluations", "own time, µs"], rows),
            f"Processor time, best of {given.repeats}. {versions('numpy', 'scipy', 'torch')}.",
        ]
    )
    publish("overhead", text, write=given.write)


if __name__ == "__main__":
    main()

"""The claimed gradient a hair off the point, where it tells what differences cannot see."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from .cancelled import may_be_cancelled
from .parameters import Array, Parameter
from .problem import Problem, Saved

CHANGED = 0.1
"""Change of a claim a hair off, relative to what a kink there would do, from which it counts."""
SCATTERED = 0.1
"""Change of a whole claim a hair off, relative to it, as only rounding makes it."""


class Nearby:
    """The claimed gradient a hair to either side of the point, worked out once if asked for.

    Where noise hides how near a kink lies, the claim may still tell: it has the two slopes at
    hand, and changes from one to the other across a kink at the point.
    """

    def __init__(
        self,
        problem: Problem,
        claims: Sequence[Array],
        claim: Callable[[], list[Array]],
    ) -> None:
        self._problem, self._claims, self._claim = problem, claims, claim

    def jumps(self, i: int, j: int, jump: float) -> bool:
        """Whether the claim for entry j of block i changes by more than a tenth of `jump`."""
        return float(self._changes[i][j]) > CHANGED * jump

    def scatters(self, i: int) -> bool:
        """Whether the claim for block i changes by its own size, as what rounding leaves of a zero.

        What is beside 1e-5 of the whole gradient is not in question.
        """
        own = float(np.linalg.norm(self._claims[i]))
        whole = math.hypot(*(float(np.linalg.norm(claim)) for claim in self._claims))
        may_be = may_be_cancelled(own, rounding=2.0**-24, whole=whole)
        return may_be and float(np.linalg.norm(self._changes[i])) > SCATTERED * own

    def outside(self, i: int) -> tuple[Array, Array]:
        """How far the claim for block i lies outside those to both sides, and how far these differ.

        At a kink of one unit it lies between them.
        """
        low, high = (
            pick(self._sides[0][i], self._sides[1][i]) for pick in (np.minimum, np.maximum)
        )
        claim = self._claims[i]
        return np.maximum(np.maximum(low - claim, claim - high), 0.0), high - low

    @property
    def _changes(self) -> list[Array]:
        up, down = self._sides
        return [np.abs(one - other) for one, other in zip(up, down, strict=True)]

    @cached_property
    def _sides(self) -> tuple[list[Array], list[Array]]:
        none = list(self._claims), list(self._claims)
        saved = Saved(self._problem.parameters)
        try:
            again = self._claim()
            if not all(map(np.array_equal, again, self._claims)):
                return none  # dropout, say: nothing can be read from how such a claim changes
            move_by_rounding(self._problem.parameters, 0)
            up = self._claim()
            saved.restore()
            move_by_rounding(self._problem.parameters, 0, along=-1.0)
            down = self._claim()
        except Exception:  # a gradient may refuse float64, or a second call, in any way it likes
            return none
        finally:
            saved.restore()
        return up, down


def move_by_rounding(
    parameters: Sequence[Parameter], seed: int, least: float = 0.0, *, along: float = 1.0
) -> None:
    """Move parameters by a last digit, to either side at random; opposite with `along` = -1.

    The digit is that of their precision, or of a coarser one, whose relative spacing is `least`.
    """
    rng = np.random.default_rng([seed, 2])
    for parameter in parameters:
        theta = parameter.read()
        side = along * rng.choice([-1.0, 1.0], theta.size)
        parameter.write(parameter.round(theta + side * hair(parameter, theta, least)))


def hair(parameter: Parameter, theta: Array, least: float = 0.0) -> Array:
    """A last digit of each entry, or of a coarser spacing; of a zero nearly nothing."""
    return np.maximum(2 * max(parameter.eps, least) * np.abs(theta), 1e-30)

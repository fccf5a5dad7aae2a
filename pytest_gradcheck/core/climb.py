"""The derivative along one entry, from a ladder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .across import SURE, slope_across
from .derivative import Derivative
from .differences import MANY, agrees_at, derivative, far_shorter
from .exhaustive import steps
from .jumps import SECANTS, ShortSteps
from .ladder import FINEST, Ladder
from .line import Axis
from .noise import measure_noise
from .parameters import Array

SHORT = 1e-3
"""What is measured must still hold at this fraction of a parameter's own size."""
FAINT = 1e-3
"""An entry below this part of its parameter may be in units of its own."""
NEAR = 1e-9
"""Distance, relative to the scale of the parameter, within which a kink is taken to lie at the
point itself: kinks that merely lie near were met from there on."""
MOST = 8192
"""Largest number of points of a fit for one entry."""
MARGIN = 2
"""Points beyond those that error bars of so many would need if they shrank as noise does."""


@dataclass
class Climb:
    """What is asked of one entry, and how far it may be moved.

    Attributes
    ----------
    axis : Axis
        The loss along the entry.
    base : float
        The loss at the point.
    claim : float
        The claimed derivative.
    own, scale : float
        Magnitude of the entry, and of its block.
    noise : float
        Standard deviation of one value of the loss.
    eps : float
        First step, for parameters of magnitude up to 1.
    target, enough : float
        Error bar aimed at, and the one that will do where noise dominates.
    ladder : Ladder
        The one that was climbed last.
    """

    axis: Axis
    base: float
    claim: float
    own: float
    scale: float
    noise: float
    eps: float
    target: float
    enough: float
    ladder: Ladder = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.ladder = self._ladder(self.first)

    @property
    def first(self) -> float:
        return float(steps(np.array(self.axis.origin), self.eps))

    def measure(self, points: int = MANY) -> Derivative:
        """The derivative, borne out at steps short beside its parameter and the entry itself."""
        found = self._from(self.first, points)
        # an entry far below the others may leave steps so short that noise drowns what they say
        for short in sorted({SHORT * self.scale, SHORT * self.own}, reverse=True):
            if short < self.first and not agrees_at(self.ladder, short, found):
                found = self._from(short, points)
        if found.contradicts(self.claim):
            shorter = far_shorter(self.ladder, self.claim, found, FINEST * self.own)
            found = self._along(shorter, points) if shorter else found
        return found

    def _from(self, first: float, points: int) -> Derivative:
        return self._along(self._ladder(first), points)

    def _along(self, ladder: Ladder, points: int) -> Derivative:
        self.ladder = ladder
        return derivative(
            self.ladder, claim=self.claim, target=self.target, enough=self.enough, points=points
        )

    def _ladder(self, first: float) -> Ladder:
        return Ladder(
            self.axis.sample,
            self.base,
            first,
            noise=self.noise,
            scale=max(1.0, self.own, self.scale),
            finest=FINEST * self.own,
        )

    def own_noise(self) -> float:
        """Noise of the loss along this entry alone.

        A random direction moves every parameter, and each is rounded on the way.
        """
        return measure_noise(lambda t: self.axis(t * self.own), self.base)

    def between_jumps(self, found: Derivative, *, far: bool) -> Derivative | None:
        """The slope across jumps where what was found is one between them, else None.

        Jumps of half precision are further apart than those of single precision.
        """
        if found.kink or not found.reach > 0:
            return None
        parts = SECANTS if far else SECANTS[:1]
        return self._short_steps(found).between_jumps(parts, self._across(sure=far))

    def explained(self, found: Derivative) -> Derivative | None:
        """The slope across jumps where those may explain what contradicts the claim, else None."""
        return self._short_steps(found).explained(self.claim, self._across(sure=False))

    def _short_steps(self, found: Derivative) -> ShortSteps:
        slope, bar = found.value, found.uncertainty
        return ShortSteps(self.ladder, self.ladder.at, self._varies_on, slope, bar, found.reach)

    @property
    def _varies_on(self) -> float:
        """On what scale the loss varies, beyond its jumps: the entry's own where that is faint."""
        return self.own if self.own < FAINT * self.scale else max(self.own, self.scale)

    def _across(self, *, sure: bool) -> Iterator[Derivative]:
        yield self.across_jumps()
        if sure:
            yield self.across_jumps(SURE)

    def across_jumps(self, points: int = MANY) -> Derivative:
        """The slope over a window of many jumps."""
        scale, noise = self._varies_on, self.noise
        across = slope_across(self.axis.sample, scale, noise=noise, points=points)
        return across.beside(self.claim)

    def is_at_point(self, found: Derivative) -> bool:
        """Whether the kink that was found is known to lie at the point, not just near it."""
        return found.within <= NEAR * max(self.own, self.scale)


def points_for(bars: Array, goal: float) -> tuple[NDArray[np.intp], Array]:
    """Entries that keep the norm of all error bars above `goal`, and the points each needs.

    Bars shrink as one over the square root of the points: in proportion to the bars, these bring
    their norm down by the fewest (Neyman, J. R. Stat. Soc. 97 (1934) 558).  Infinitely many where
    one fit cannot have them.
    """
    order = np.argsort(-bars, kind="stable")
    rest = np.sqrt(np.cumsum(bars[order][::-1] ** 2)[::-1])
    few = order[rest > goal / 2]  # without them the rest would do
    with np.errstate(over="ignore", invalid="ignore"):
        needed = MARGIN * MANY * bars[few] * np.sum(bars[few]) / goal**2
    return few, np.where(needed <= MOST, np.ceil(needed), np.inf)

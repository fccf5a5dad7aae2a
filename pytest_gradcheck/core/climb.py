"""The derivative along one entry, from a ladder of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from .derivative import Derivative
from .differences import MANY, agrees_at, derivative
from .exhaustive import steps
from .fit import Window
from .jumps import FAR, is_between_jumps, longest_inside, slopes_belie_secants
from .ladder import FINEST, SIGMAS, Ladder
from .line import Axis
from .noise import measure_noise
from .parameters import Array

SHORT = 1e-3
"""What is measured must still hold at this fraction of a parameter's own size."""
SHORTER = 0.1
"""Steps between jumps, beside the first step of a ladder."""
ACROSS = 0.1
"""Half width of the window in which a loss that jumps is measured, relative to its parameter."""
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
        return found

    def _from(self, first: float, points: int) -> Derivative:
        largest = max(1.0, self.own, self.scale)
        self.ladder = Ladder(
            self.axis.sample,
            self.base,
            first,
            noise=self.noise,
            scale=largest,
            finest=FINEST * self.own,
        )
        return derivative(
            self.ladder, claim=self.claim, target=self.target, enough=self.enough, points=points
        )

    def own_noise(self) -> float:
        """Noise of the loss along this entry alone.

        A random direction moves every parameter, and each is rounded on the way.
        """
        return measure_noise(lambda t: self.axis(t * self.own), self.base)

    def is_between_jumps(self, found: Derivative) -> bool:
        """Whether what was found is the slope between two jumps, which secants do not have."""
        step = found.step if found.fit is None else found.fit.longest
        if found.kink or not step > 0:
            return False
        off, scale = FAR * found.uncertainty, max(self.own, self.scale)
        return is_between_jumps(
            self.axis, self.base, slope=found.value, off=off, scale=scale, step=step
        )

    def jumps(self, found: Derivative) -> bool:
        """Whether a contradiction comes from jumps of the loss that short steps do not see."""
        off = abs(found.value - self.claim) / 2
        broken = [
            rung.step
            for rung in self.ladder.rungs.values()
            if rung.step > found.step and abs(rung.central - found.value) > off
        ]
        return slopes_belie_secants(
            self.axis,
            slope=found.value,
            claim=self.claim,
            scale=max(self.own, self.scale),
            step=min(SHORTER * self.first, found.step or math.inf),
            broken=min(broken, default=None),
        )

    def across_jumps(self, points: int = MANY) -> Derivative:
        """The slope over a window of many jumps, which then are its noise."""
        scale = max(self.own, self.scale)
        longest = longest_inside(self.axis, ACROSS * scale)
        window = Window(self.axis.sample, longest, points, floor=self.noise, scale=scale)
        if not window.usable:
            return Derivative.unknown()
        return Derivative.of_fit(window.best(SIGMAS)).beside(self.claim)

    def is_at_point(self, found: Derivative) -> bool:
        """Whether the kink that was found is known to lie at the point, not just near it."""
        return found.within <= NEAR * max(self.own, self.scale)


def points_for(bars: Array, goal: float, most: float) -> list[tuple[int, int]]:
    """Entries that keep the norm of all error bars above `goal`, and the points each needs.

    None if a fit, or all of them within `most` evaluations, cannot have that many.
    """
    order = np.argsort(-bars, kind="stable")
    rest = np.sqrt(np.cumsum(bars[order][::-1] ** 2)[::-1])
    few = order[rest > goal / 2]  # without them the rest would do
    with np.errstate(over="ignore", invalid="ignore"):
        needed = MARGIN * MANY * few.size * (bars[few] / goal) ** 2
    if not np.all(needed <= MOST) or 2 * np.sum(needed) > most:
        return []
    return [(int(j), math.ceil(points)) for j, points in zip(few, needed, strict=True)]

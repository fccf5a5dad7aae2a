"""A measured derivative: its value and error bar, or two slopes, and what they say of a claim."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from .fit import Fit


@dataclass(frozen=True)
class Derivative:
    """A measured derivative.

    Attributes
    ----------
    value, uncertainty : float
        The derivative and its error bar; infinite where nothing could be measured.
    noise : float
        The part of `uncertainty` that comes from the noise of the function, and so averages out
        over independent measurements.
    left, right : float
        One-sided derivatives; both are `value` unless the point is a kink.
    within : float
        Distance from the point within which the kink is known to lie.
    step : float
        Shortest step of the differences it rests on; 0 where a fit has shown its own noise.
    hidden : float
        Part of `uncertainty` for a kink that may hide in the noise, of which nothing is seen.
    fit : Fit or None
        What it rests on where noise dominates.
    """

    value: float
    uncertainty: float
    noise: float
    left: float
    right: float
    within: float = 0.0
    step: float = 0.0
    hidden: float = 0.0
    fit: Fit | None = field(default=None, repr=False, compare=False)

    @classmethod
    def smooth(cls, value: float, uncertainty: float, noise: float, step: float) -> Derivative:
        """A derivative where both sides agree."""
        return cls(value, uncertainty, noise, left=value, right=value, step=step)

    @classmethod
    def unknown(cls) -> Derivative:
        """Nothing could be measured."""
        return cls.smooth(math.nan, math.inf, math.inf, math.nan)

    @classmethod
    def of_fit(cls, fit: Fit) -> Derivative:
        """What a least-squares fit says."""
        slope = fit.value
        return cls(slope, fit.uncertainty, fit.random, slope, slope, hidden=fit.hidden, fit=fit)

    def beside(self, claim: float) -> Derivative:
        """The same without the part for a hidden kink, if the claim has no need of it.

        Across a kink the mean of the two slopes is measured.  A claim of one of them must not be
        contradicted by that; but one that agrees with the mean is no worse for a kink.
        """
        if abs(self.value - claim) > self.sure:
            return self
        return replace(self, uncertainty=self.sure, noise=min(self.noise, self.sure), hidden=0.0)

    def spanning(self) -> Derivative:
        """The same with an error bar over both slopes of what may be no kink at the point."""
        half = abs(self.left - self.right) / 2
        return Derivative.smooth(self.value, self.uncertainty + half, self.noise, self.step)

    def widened(self, bar: float) -> Derivative:
        """The same with so much more of an error bar."""
        return replace(self, uncertainty=self.uncertainty + bar)

    def reaching(self, other: float) -> Derivative:
        """The same with an error bar as far as another value, of which one cannot be right."""
        return replace(self, uncertainty=max(self.uncertainty, abs(self.value - other)))

    def contradicts(self, claim: float) -> bool:
        """Whether a claim lies outside the error bar."""
        return abs(self.nearest(claim) - claim) > self.uncertainty

    @property
    def reach(self) -> float:
        """The steps it rests on: the shortest of a ladder, all those of a fit."""
        return self.step if self.fit is None else self.fit.longest

    @property
    def sure(self) -> float:
        """The error bar if no kink hides in the noise."""
        return self.uncertainty - self.hidden

    @property
    def kink(self) -> bool:
        return abs(self.left - self.right) > 0

    def nearest(self, claim: float) -> float:
        """`claim` itself if it is a subgradient of a kink, else the nearest derivative."""
        if not self.kink:
            return self.value
        low, high = min(self.left, self.right), max(self.left, self.right)
        return min(max(claim, low), high)

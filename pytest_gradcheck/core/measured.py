"""What is known of the gradient of one parameter, and how well."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .parameters import Array, Parameter

SINGLE = 2.0**-24
"""Largest relative rounding of a parameter that its claim is worked out at."""
OWN, COMMON = 16, 8
"""Roundings in a claim: a few of the entry itself, and of the sums it comes from, which are of the
size of its block.  Backpropagation in float32 through ten layers was seen to need a third of it."""
NEGLIGIBLE = 1e-14
"""A claimed gradient this small beside that of the whole is zero but for its own rounding."""

MIXED = 1e-3
"""Size of the entries that make up a gradient, beside that of all, from which steps are theirs."""


@dataclass(frozen=True)
class Single:
    """One entry that was measured by itself: its flat index, claim, measurement and error bar."""

    index: int
    claimed: float
    numeric: float
    bar: float

    @property
    def error(self) -> float:
        return abs(self.claimed - self.numeric)

    @property
    def beyond(self) -> float:
        """How far the error lies outside the error bar."""
        return max(self.error - self.bar, 0.0)

    def is_wrong(self, relative: float, least: float) -> bool:
        """Whether it certainly errs by more than `relative` of its size, and more than `least`."""
        size = abs(self.claimed) + abs(self.numeric)
        return self.beyond > relative * size and self.error > max(10 * self.bar, least)


class Evidence(Protocol):
    """What the verdict on one parameter rests on, however it was measured."""

    parameter: Parameter
    claimed: Array
    negligible: bool
    undecided: bool
    jumps: int

    @property
    def uniform(self) -> bool: ...
    @property
    def is_finite(self) -> bool: ...
    @property
    def claimed_norm(self) -> float: ...
    @property
    def numeric_norm(self) -> float: ...
    @property
    def reference_norm(self) -> float: ...
    @property
    def scale(self) -> float: ...
    @property
    def coarsest(self) -> float: ...
    @property
    def kinked(self) -> NDArray[np.intp]: ...
    def error_limits(self) -> tuple[float, float, float]: ...
    def first_not_finite(self) -> tuple[int, float, int] | None: ...
    def worst(self, count: int) -> list[Single]: ...
    def some(self, count: int) -> list[Single]: ...
    def errors(self, where: slice) -> tuple[Array, Array]: ...
    def wrong(self, relative: float, least: float) -> list[Single]: ...


@dataclass
class Measured:
    """What is known of the gradient of one parameter.

    Attributes
    ----------
    claimed, numeric : ndarray, flat float64
        At a kink `numeric` is the subgradient nearest to the claim.
    uncertainty : ndarray
        Error bar of `numeric`.
    claim_rounding : ndarray
        Error bar of the claim itself, from the precision in which it was handed over.
    negligible : bool
        Whether the claim is zero, but for its own rounding, beside those of other parameters.
    bound : float
        Upper bound on the norm of the error of the claim, where random directions found one;
        infinite otherwise.
    kinks : ndarray of bool
        Entries at which the loss has two slopes.
    climbed : ndarray of bool
        Entries measured on a ladder of steps.
    trusted : ndarray of bool
        Entries that contradict the claim at a first step which is trusted.
    jumps : int
        Entries along which the loss was seen to jump.
    contradicted : int
        Measurements on a ladder that contradicted the claim.
    crowded : bool
        Whether kinks were met near the point along some entry, or noise leaves room for them, that
        may explain what contradicts.
    undecided : bool
        Whether kinks crowd so near the point that no difference quotient reaches below them.
    unit : float
        Norm of a gradient that counts, where the claim is zero.
    """

    parameter: Parameter
    claimed: Array
    numeric: Array
    uncertainty: Array
    claim_rounding: Array
    negligible: bool = False
    bound: float = math.inf
    jumps: int = 0
    contradicted: int = 0
    crowded: bool = False
    undecided: bool = False
    unit: float = 1.0
    kinks: np.ndarray = field(init=False)
    climbed: np.ndarray = field(init=False)
    trusted: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.trusted = np.zeros(self.claimed.size, bool)
        self.kinks = np.zeros(self.claimed.size, bool)
        self.climbed = np.zeros(self.claimed.size, bool)

    @property
    def uniform(self) -> bool:
        """Whether of all entries the same is known: not where each was measured."""
        return False

    @property
    def numeric_norm(self) -> float:
        return float(np.linalg.norm(self.numeric))

    @property
    def vanishes(self) -> bool:
        """Whether the claim is wrong, and zero is not."""
        zero_fits = np.all(np.abs(self.numeric) <= self.uncertainty)
        return bool(zero_fits) and self.error_limits()[0] > 0

    @property
    def coarsest(self) -> float:
        """The largest error bar of an entry."""
        return float(np.max(self.uncertainty, initial=0.0))

    @property
    def kinked(self) -> NDArray[np.intp]:
        """Entries at a kink of the loss."""
        return np.flatnonzero(self.kinks)

    def first_not_finite(self) -> tuple[int, float, int] | None:
        """Index and value of the first measurement that is none, and how many there are."""
        bad = np.flatnonzero(~np.isfinite(self.numeric))
        return (int(bad[0]), float(self.numeric[bad[0]]), bad.size) if bad.size else None

    def worst(self, count: int) -> list[Single]:
        """The entries with the largest errors beyond their error bars, worst first."""
        error = _nan_last(np.abs(self.claimed - self.numeric))
        beyond = _nan_last(np.maximum(error - self.bar, 0.0))
        return [self._single(i) for i in np.lexsort((-error, -beyond))[:count]]

    def some(self, count: int) -> list[Single]:
        """At most so many entries: half of them the worst, the others from small to large."""
        order = np.argsort(self.claimed, kind="stable")
        spread = order[np.linspace(0, order.size - 1, min(count // 2, order.size)).astype(int)]
        found = {one.index: one for one in self.worst(count - spread.size)}
        return [*found.values(), *(self._single(i) for i in spread if i not in found)]

    def errors(self, where: slice) -> tuple[Array, Array]:
        """Errors of a range of entries, and their error bars; NaN where an entry is unknown."""
        uncertainty, rounding = self.uncertainty[where], self.claim_rounding[where]
        return np.abs(self.claimed[where] - self.numeric[where]), uncertainty + rounding

    def wrong(self, relative: float, least: float) -> list[Single]:
        """Entries that are certainly wrong by themselves."""
        error = np.abs(self.claimed - self.numeric)
        far = np.flatnonzero(error > np.maximum(10 * self.bar, least))
        return [one for one in map(self._single, far.tolist()) if one.is_wrong(relative, least)]

    def _single(self, i: int) -> Single:
        return Single(int(i), *(float(a[i]) for a in (self.claimed, self.numeric, self.bar)))

    def give_up(self) -> None:
        """Claim nothing about this parameter: kinks crowd too near the point."""
        self.undecided = True
        self.uncertainty = np.maximum(self.uncertainty, np.abs(self.claimed - self.numeric))
        self.bound = math.inf

    def cancel(self) -> None:
        """Take the claim for a zero whose rounding is all that it holds."""
        self.negligible = True
        self.claim_rounding = np.maximum(self.claim_rounding, np.abs(self.claimed))

    def unsettled(self) -> NDArray[np.intp]:
        """Entries that could not be settled so far, those that are furthest off first."""
        open_ones = np.flatnonzero(np.isfinite(self.claimed) & ~np.isfinite(self.uncertainty))
        error = np.nan_to_num(np.abs(self.claimed - self.numeric)[open_ones], nan=np.inf)
        return open_ones[np.argsort(-error, kind="stable")]

    def trust(self, which: NDArray[np.intp], bars: Array) -> None:
        """Take the first step of some entries for measured, as well as their error bars say."""
        self.trusted[which] = True
        self.uncertainty[which] = bars[which]

    def distrust(self) -> None:
        """Measure again what was trusted."""
        self.uncertainty[self.trusted] = math.inf
        self.trusted[:] = False

    def unsettle(self) -> None:
        """Doubt the first step: random directions contradict the entries that agreed at it."""
        self.distrust()
        self.uncertainty[~self.climbed] = math.inf
        self.bound = math.inf

    @property
    def weight(self) -> float:
        """Weight along random directions: relative to the claim, or to all claims if it is zero.

        Relative to the measurement where that is known to be larger.
        """
        known = float(np.linalg.norm(self.numeric[self.climbed | self.trusted]))
        largest = np.fmax(self.claimed_norm, known)  # of which one may be NaN
        return 1 / (self.unit if self.negligible else float(largest))

    @cached_property
    def is_finite(self) -> bool:
        """Whether the claim has no NaN and no infinity."""
        return bool(np.all(np.isfinite(self.claimed)))

    @cached_property
    def claimed_norm(self) -> float:
        return float(np.linalg.norm(self.claimed))

    @property
    def scale(self) -> float:
        """Norm of the claimed plus norm of the measured gradient, as far as it is better known."""
        return self.claimed_norm + self.reference_norm

    @property
    def reference_norm(self) -> float:
        return float(np.linalg.norm(self.reference))

    @property
    def reference(self) -> Array:
        """The best that is known: the measurement, or the claim where a first step agrees."""
        settled = ~(self.climbed | self.trusted) & (self.uncertainty < np.inf)
        return np.where(settled & np.isfinite(self.numeric), self.claimed, self.numeric)

    @property
    def bar(self) -> Array:
        """Error bar of every difference between claim and measurement."""
        return self.uncertainty + self.claim_rounding

    def error_limits(self) -> tuple[float, float, float]:
        """Norm of the error: at least, as measured, at most."""
        error = np.abs(self.claimed - self.numeric)
        least = float(np.linalg.norm(np.maximum(error - self.bar, 0.0)))
        most = norm_bound(error, self.uncertainty)
        return least, float(np.linalg.norm(error)), max(min(most, self.bound), least)

    def tighten(self, settled: float) -> None:
        """Use a new upper bound on the norm of the error in the entries that did not climb."""
        error = np.abs(self.claimed - self.numeric)
        known = norm_bound(error[self.climbed], self.uncertainty[self.climbed])
        whole = math.hypot(known, norm(error[self.trusted]) + settled)
        self.bound = min(self.bound, whole)


def _nan_last(values: Array) -> Array:
    """NaN counts as the largest error there is."""
    return np.where(np.isnan(values), np.inf, values)


def norm_bound(error: Array, bar: Array) -> float:
    """Upper bound on the norm of a true error, given the measured one and its error bars.

    One bar may be used up wholly, many independent ones may not all be: their sum of squares stays
    near its mean, which lies at a sixteenth of that of bars of four standard deviations.
    """
    if error.size == 0:
        return 0.0
    part = 0.4 + 0.6 / math.sqrt(error.size)
    return float(np.linalg.norm(error) + part * np.linalg.norm(bar))


def norm(values: Array) -> float:
    """Euclidean norm, also of numbers whose squares are none."""
    with np.errstate(over="ignore"):
        plain = float(np.linalg.norm(values))
    if 1e-140 < plain < math.inf:
        return plain
    largest = float(np.max(np.abs(values), initial=0.0))
    if not (0 < largest < math.inf):
        return largest
    return largest * float(np.linalg.norm(values / largest))


def rms(values: Array) -> float:
    """Root mean square of the finite entries, of any magnitude."""
    whole = norm(values)
    if not math.isfinite(whole):
        values = values[np.isfinite(values)]
        whole = norm(values)
    return whole / math.sqrt(max(values.size, 1))


def scale_of(theta: Array) -> float:
    """Natural scale of a block of parameters; 1 where all of them are zero."""
    return rms(theta) or 1.0


def scale_that_matters(theta: Array, gradient: Array) -> float:
    """Natural scale of a block; that of far smaller entries where these make up its gradient."""
    whole, own = scale_of(theta), _size_that_matters(theta, gradient)
    return own if own < MIXED * whole else whole


def _size_that_matters(theta: Array, gradient: Array) -> float:
    """Size of entries above which half of a gradient lies, in the sense of its sum of squares."""
    order = np.argsort(np.abs(theta))
    order = order[theta[order] != 0]
    below = np.cumsum(gradient[order] ** 2)
    if not (below.size and below[-1] > 0):
        return math.inf
    return float(abs(theta[order[np.searchsorted(below, below[-1] / 2)]]))

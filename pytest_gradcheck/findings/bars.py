"""Arithmetic of numbers with error bars."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..core.measured import norm

Array = NDArray[np.float64]

TOLD = 3.0
"""From this many error bars on, a value counts as told from zero."""
SIGNS = 3.0
"""A pattern of signs alone says something if it is one of this power of ten."""
COVERED = 0.8
"""Part of the norm of a proposed difference that must lie where something was measured."""
SAME = 1e-9
"""Entries whose magnitudes agree to this, relatively, are the same number written twice."""


def line(p: Array, e: Array, bar: Array, spread: Array) -> tuple[float, float]:
    """Slope of `e` over `p` by least squares weighted with `bar`; its error if `e` has `spread`."""
    p = np.asarray(p, dtype=np.float64)  # a product in half precision may vanish
    largest = float(np.max(np.abs(p) / bar))
    if not 0 < largest < math.inf:
        return 0.0, math.inf  # nothing to see a slope by
    unit = 1 / largest  # keeps the sums in range
    weight = unit * p / bar
    total = float(np.sum(weight**2))
    slope = float(np.sum(weight * (unit * e / bar))) / total
    return slope, float(np.sqrt(np.sum((weight * (unit * spread / bar)) ** 2))) / total


def magnitude(values: Array) -> Array:
    """Magnitude of every entry, with that of the whole."""
    return np.abs(values) + (norm(values) / math.sqrt(values.size) if values.size else 0.0)


def decades(values: Array, bar: Array) -> float:
    """How many powers of ten a chance agreement of all `values` within `bar` is worth."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(values == 0, 0.0, np.abs(values) / (TOLD * bar))
    return float(np.sum(np.log10(np.clip(ratio, 1.0, 1e12))))


def covers(difference: Array, use: NDArray[np.bool_]) -> bool:
    """Whether the measured entries hold the better part of a proposed difference."""
    whole = norm(difference[np.isfinite(difference)])
    return whole > 0 and norm(difference[use]) >= COVERED * whole


def independent(pattern: Array) -> int:
    """Number of entries of a pattern that say something new.

    Entries of one magnitude may be one number written many times, as -x stands beside x in the
    gradient of a softmax of two classes; unless their signs alone could not agree by chance.
    """
    live = pattern[pattern != 0]
    size = np.sort(np.abs(live))
    distinct = int(np.sum(np.diff(size) > SAME * size[1:])) + bool(size.size)
    n, positive = live.size, int(np.sum(live > 0))
    choices = math.lgamma(n + 1) - math.lgamma(positive + 1) - math.lgamma(n - positive + 1)
    return max(distinct, n if choices >= SIGNS * math.log(10) else 0)

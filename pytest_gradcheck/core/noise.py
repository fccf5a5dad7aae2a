"""How uncertain one value of the loss is: ECNoise, from a table of differences.

J. J. Moré and S. M. Wild, Estimating computational noise, SIAM J. Sci. Comput. 33 (2011) 1292.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

POINTS = 8
"""Number of equally spaced points of one table."""
SPACING = 1e-10
"""Spacing tried first, relative to the scale of the parameters."""
WIDER = (1e-8, 1e-6, 1e-4, 1e-2)
"""Spacings tried where neighbouring values repeat: float32 inside, a large offset."""
JUMPS = (1e-6, 1e-5, 1e-3)
"""Spacings at which jumps are the noise of a function that is smooth between two of them."""
NARROWER = (1e-12, 1e-14)
"""Spacings tried where the function itself varies too much: a kink nearby, stiff directions."""


@dataclass(frozen=True)
class Table:
    """What a table of differences says: the noise, and whether it is sure of it."""

    noise: float
    accepted: bool


def difference_table(values: NDArray[np.float64]) -> Table:
    """Noise in equally spaced values of a smooth function.

    Differences of order k of pure noise with standard deviation s have mean square
    s^2 (2k)! / (k!)^2, while those of a smooth function vanish.  The first order is taken at
    which three successive estimates agree within a factor of 4 and the differences change sign;
    failing that the smallest estimate of high order, which is an upper bound.

    Parameters
    ----------
    values : ndarray, shape (m,)
        The function at m equally spaced points.
    """
    differences = values.astype(np.float64)
    factor, levels, mixed = 1.0, [], []
    for k in range(1, len(values)):
        differences = np.diff(differences)
        factor *= 0.5 * k / (2 * k - 1)
        levels.append(math.sqrt(factor * float(np.mean(differences**2))))
        mixed.append(bool(differences.min() < 0 < differences.max()))
    for k in range(len(levels) - 3):
        three = levels[k : k + 3]
        if min(three) > 0 and max(three) <= 4 * min(three) and mixed[k]:
            return Table(levels[k], accepted=True)
    return Table(min(levels[2:5]), accepted=False)


def is_staircase(values: NDArray[np.float64]) -> bool:
    """Whether values repeat: the spacing lies below the resolution of the function."""
    return len(np.unique(values)) <= 0.8 * len(values)


def measure_noise(along: Callable[[float], float], base: float) -> float:
    """Standard deviation of one value of a function of one variable of scale 1.

    All points lie on one side, so that a kink at the point itself does not look like noise.  At a
    spacing below the resolution of the function it looks constant and its noise like zero: no
    such table is trusted beyond the height of its steps.

    Parameters
    ----------
    along : callable
        ``along(t)`` is the function at displacement t.
    base : float
        ``along(0)``.

    Returns
    -------
    float
        At least the rounding of `base` itself.
    """
    lowest, highest = 2.0**-53 * abs(base), math.inf
    pending, seen = [SPACING], [np.array([base])]
    widened = False
    while pending:
        spacing = pending.pop(0)
        values = np.array([base, *(along(spacing * k) for k in range(1, POINTS))])
        seen.append(values)
        if not np.all(np.isfinite(values)):
            if spacing == SPACING:
                pending.extend(NARROWER)
        elif is_staircase(values):
            lowest = max(lowest, float(np.ptp(values)) / math.sqrt(12) if widened else 0.0)
            if spacing == SPACING:
                pending.extend(WIDER)
                widened = True
        else:
            table = difference_table(values)
            highest = min(highest, table.noise)
            if table.accepted:
                break
            if spacing == SPACING:
                pending.extend(NARROWER)
    lowest = max(lowest, _rounding_of_singles(np.concatenate(seen), base))
    return max(lowest, highest) if math.isfinite(highest) else lowest


def height_of_jumps(along: Callable[[float], float], base: float) -> float:
    """The noise of a function that is known to jump, seen over many jumps; 0 where none is seen."""
    tables = [
        difference_table(np.array([base, *(along(spacing * k) for k in range(1, POINTS))]))
        for spacing in JUMPS
    ]
    return max((table.noise for table in tables if table.accepted), default=0.0)


def _rounding_of_singles(values: NDArray[np.float64], base: float) -> float:
    """Rounding of a function that works in single precision, where all its values are such numbers.

    On a parabola these may happen to lie as if they were not rounded at all.
    """
    distinct = np.unique(values)
    with np.errstate(over="ignore"):
        are_singles = np.array_equal(distinct, distinct.astype(np.float32))
    if len(distinct) < POINTS or not are_singles:
        return 0.0
    return float(np.spacing(np.float32(abs(base)))) / math.sqrt(12)

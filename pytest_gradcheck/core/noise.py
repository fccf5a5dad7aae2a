"""How uncertain one value of the loss is: ECNoise, from a table of differences.

J. J. Moré and S. M. Wild, Estimating computational noise, SIAM J. Sci. Comput. 33 (2011) 1292.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

POINTS = 8
"""Number of equally spaced points of one table."""
SPACINGS = (1e-10, 1e-7, 1e-5, 1e-3)
"""Spacings tried, shortest first, relative to the scale of the parameters."""


def difference_noise(values: NDArray[np.float64]) -> float | None:
    """Noise in equally spaced values of a smooth function; None where the table cannot tell.

    Differences of order k of pure noise with standard deviation s have mean square
    s^2 (2k)! / (k!)^2, while those of a smooth function vanish.  The first order is taken at
    which three successive estimates agree within a factor of 4 and the differences change sign.

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
            return levels[k]
    return None


def is_staircase(values: NDArray[np.float64]) -> bool:
    """Whether neighbouring values repeat: the spacing lies below the resolution of the loss."""
    return len(np.unique(values)) <= 0.8 * len(values)


def measure_noise(along: Callable[[float], float], base: float) -> float:
    """Standard deviation of one value of a function of one variable of scale 1.

    Several spacings are tried, shortest first, since at one below the resolution of the function
    (float32 arithmetic inside, a large offset) it looks constant and its noise like zero.

    Parameters
    ----------
    along : callable
        ``along(t)`` is the loss at displacement t.
    base : float
        ``along(0)``.

    Returns
    -------
    float
        At least the rounding of `base` itself.
    """
    floor = 2.0**-53 * abs(base)
    highest = floor
    for spacing in SPACINGS:
        offsets = spacing * (np.arange(POINTS) - POINTS // 2)
        values = np.array([base if t == 0 else along(float(t)) for t in offsets])
        if not np.all(np.isfinite(values)):
            continue
        if is_staircase(values):
            highest = max(highest, float(np.ptp(values)) / math.sqrt(12))
            continue
        noise = difference_noise(values)
        if noise is not None:
            return max(noise, highest)
    return highest

"""What is left of a loss when terms cancel: next to nothing, known to the rounding of the terms.

``logaddexp(0, z) - z`` of a large z is an example, the cross-entropy of a sample that is surer than
double precision can say.  It is constant to the last bit as far as rounding hides it, and every
difference is zero; but ``log1p(exp(-z))``, the same function, has all its digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .noise import POINTS, difference_table

SMALL = 1e-8
"""A larger loss stands still by cancelling only where its terms are larger than ten millions: it
is not looked at as far away as where all parameters are turned round."""
UNIT = 2.0**-52
"""Unit in the last place, relative."""
NEXT_TO_NOTHING = 1e2, 1e3
"""Units of what a function is nearby, up to the second of which it may be left over from terms that
cancel; between the two it shows whether it is."""
COARSE = 1e-4
"""Part of such a unit that its noise then is, where a sum of a million terms cancels, or fewer."""
OFF = 8.0
"""By how many units it may be off."""
GROWTH = 1.25
"""How much it grows, at most, over the points at which that is measured: a table of differences
then leaves less of what is smooth."""
BISECTED = 64
"""How often the way to where it shows is halved, at most."""


def left_by_cancelling(along: Callable[[float], float], base: float) -> float:
    """How far a function may be off where terms cancel to next to nothing; 0 where they do not.

    How large the terms are shows where all that they are made of is turned round, and that they
    cancel on the way to there, where a little more of them is left.

    Parameters
    ----------
    along, base
        As for `measure_noise`, in the direction of the variables themselves.
    """
    if abs(base) > SMALL:
        return 0.0
    nearby = {t: abs(along(t)) for t in (-2.0, 2.0)}
    far = max(nearby, key=lambda t: nearby[t] if math.isfinite(nearby[t]) else 0.0)
    unit = UNIT * nearby[far]
    least, most = (units * unit for units in NEXT_TO_NOTHING)
    if not (math.isfinite(unit) and abs(base) <= most):
        return 0.0
    near = 0.0
    for _ in range(BISECTED):
        place = (near + far) / 2
        value = along(place)
        if least <= abs(value) <= most:
            noise = _noise_on_the_way(along, place, far - place)
            return OFF * unit if noise > COARSE * unit else 0.0
        near, far = (near, place) if abs(value) > most else (place, far)
    return 0.0


def _noise_on_the_way(along: Callable[[float], float], place: float, longest: float) -> float:
    """An upper bound of the noise, over the longest way on which a function hardly grows."""
    value = along(place)
    for k in range(BISECTED):
        steps = place + longest * 2.0**-k * np.arange(1, POINTS) / POINTS
        if abs(along(steps[-1])) <= GROWTH * abs(value):
            return difference_table(np.array([value, *map(along, steps.tolist())])).noise
    return 0.0

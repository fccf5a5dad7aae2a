"""The search for a jump of the loss between the point and the end of a long step."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from .ladder import RATIO

UNITS = 64
"""Units in the last place, of a displacement, by which two are told apart."""
PART = 0.125
"""Part of the way in which, where it holds its share of jumps, one is looked for."""
SHORT, LONGER = 1024, 64
"""How much shorter than the steps of a slope those are over which a jump is one, and than those
over which it has been as high."""
BESIDE = 3
"""Short steps side by side, of which one tells the slope."""
SHRINK = 40
"""How often, at most, a secant is shortened to lie within the domain of the loss."""

Place = tuple[float, float]
"""A displacement, and the loss there."""


def highest_jump(
    at: Callable[[float], float], base: float, length: float, slope: float, reach: float
) -> float:
    """Height of a jump on the side on which a secant is further off a slope; 0 without one.

    Of two parts of the way the one that is further off the slope at its far end, which the loss
    bends away from by ever less; and what is no jump shrinks with its way.
    """

    def between(part: float) -> Place:
        t = far[0] + part * (near[0] - far[0])
        return t, at(t)

    def slope_at_far() -> float:
        """Of short steps side by side the one most like before: a step may straddle a jump."""
        step = math.copysign(reach, far[0] - near[0])
        places = [far, *((t, at(t)) for t in (far[0] - i * step for i in range(1, BESIDE + 1)))]
        slopes = [(a[1] - b[1]) / (a[0] - b[0]) for a, b in itertools.pairwise(places)]
        return min(slopes, key=lambda one: abs(one - there))

    def height(one: Place, other: Place) -> float:
        return abs(other[1] - one[1] - there * (other[0] - one[0]))

    # no shorter than what can be told apart where the way ends
    reach = max(reach, SHORT * UNITS * math.ulp(length))
    near = (0.0, base)
    sides = [(t, at(t)) for t in (length, -length)]
    far = max(sides, key=lambda side: abs(side[1] - base - slope * side[0]))
    there = slope
    there = slope_at_far()
    heights = {math.inf: math.inf}
    while min(heights) > reach / SHORT:
        whole, part = height(near, far), between(PART)
        if height(part, far) >= PART / 2 * whole:  # as if jumps went on and on
            near = part
        else:
            far, middle = part, between(0.5)
            if height(middle, far) > height(near, middle):
                near = middle
            else:
                far = middle
            if abs(far[0] - near[0]) > LONGER * reach:  # else it would take the jump for a slope
                there = slope_at_far()
        heights[abs(far[0] - near[0])] = height(near, far)
    last = min(heights)
    before = min(width for width in heights if width >= LONGER * last)
    return heights[last] if heights[before] / 2 < heights[last] < math.inf else 0.0


def longest_inside(at: Callable[[float], float], step: float) -> float:
    """The longest step, `step` or shorter, with which a loss can be evaluated on both sides."""
    for _ in range(SHRINK):
        if math.isfinite(at(step) - at(-step)):
            break
        step /= RATIO
    return step

"""Losses that jump: an inner solver stopped at a tolerance, an intermediate result that is rounded.

Between two jumps such a loss is smooth, with a slope of its own, and every short step measures
that.  What gives it away is that these slopes do not add up to its secants.  Next to the edge of a
domain rounding inside the loss may have such steps, with a few of them between point and edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from .derivative import Derivative
from .fit import Window
from .ladder import RATIO, ROUNDING, SIGMAS, Ladder, Sample

FAR = 10.0
"""Error bars by which slopes must differ, where jumps of the loss are looked for."""
SECANTS = (1e-3, 1e-2)
"""Half lengths of secants, relative to the scale of the parameter: longer than what single and half
precision round off."""
ACROSS = 0.1
"""Half width of the window in which a loss that jumps is measured, likewise."""
WAY = (0.236, 0.382, 0.472, 0.562, 0.618, 0.708, 0.854, 0.91)
"""Where slopes are taken along the way of a secant, relative to it, to both sides."""
MIDWAY = 0.53
"""Where one is taken first, besides the end."""
ASTRIDE = 10.0
"""Difference to the slope at the point, beside that to the secants, which only a jump makes."""
CLOSE = 0.25
"""How near, relative to the difference in question, counts as the same slope: a secant over a few
jumps is not exact."""
ALIKE, MOSTLY = 0.1, 0.6
"""How near slopes along the way are to that at the point, beside the difference to the secants; and
the part of them that must be: a short step may itself straddle a jump."""
SHORTER, UNITS = 16, 64
"""How much shorter than at the point slopes along the way are taken, as far as they stay above so
many units in the last place of the loss."""
FINE = 1e-2
"""Longest step of a slope along the way, relative to the secant."""
TOWARDS = 0.5
"""Part of the way from a slope to a claim that secants have to lead: or its inverse."""
HIDDEN, RANDOM = 0.25, 8.0
"""A jump hides a difference of slopes over steps along which that makes up to four times as much,
if it is higher than so many standard deviations of the noise."""
PART = 0.125
"""Part of the way in which, where it holds its share of jumps, one is looked for."""
SHORT, LONGER = 1024, 64
"""How much shorter than the steps of a slope those are over which a jump is one, and than those
over which it has been as high."""
DECISIVE = 4.0
"""Error bars of a slope across jumps by which it is another one, whatever is claimed: across a few
jumps that are part of the loss none is."""
UNEVEN = 1.5
"""How much more jumps scatter than noise of which no value knows of another: treads are long, and
of unequal length."""
FEW, SURE = 24, 256
"""Points on either side of a fit across jumps, and where these are not enough to tell."""
SHRINK = 40
"""How often, at most, a secant is shortened to lie within the domain of the loss."""


Place = tuple[float, float]
"""A displacement, and the loss there."""


def between_jumps(
    ladder: Ladder,
    lengths: Sequence[float],
    *,
    slope: float,
    off: float,
    step: float,
    across: Iterable[Derivative],
) -> Derivative | None:
    """The slope across jumps, where one that short steps have is that between two of them.

    That is the same all along the way of a secant which has another one, by a jump and not by a
    kink, and so have fits across many jumps.  Where these are few, they are no other slope: a fit
    takes them for its noise.

    Parameters
    ----------
    ladder : Ladder
    lengths : sequence of float
        Half lengths of secants.
    slope : float
        The derivative as short steps have it.
    off : float
        Difference of slopes that matters.
    step : float
        A step at which `slope` was measured.
    across : iterable of Derivative
        Slopes across jumps, ever sharper, each measured when it is asked for.

    Returns
    -------
    Derivative or None
        None where nothing says that it is one between jumps.
    """
    if not any(
        _is_slope_along(ladder, length, slope, off, step)
        and _highest_jump(ladder.at, ladder.base, length, slope, step)
        > RANDOM * max(ladder.noise, ROUNDING * abs(ladder.base))
        for length in lengths
    ):
        return None
    return next(
        (one for one in across if abs(one.value - slope) > DECISIVE * one.uncertainty), None
    )


def _is_slope_along(ladder: Ladder, length: float, slope: float, off: float, step: float) -> bool:
    """Whether a slope is the same all along the way of a secant that has another one.

    Unlike `jumps_explain` this asks for no claim that secants lead to, and therefore for slopes
    that hardly differ: those of a function that varies fast do.
    """
    secant = ladder.quotients(length)
    difference = abs(secant.central - slope) if secant else 0.0
    if secant is None or not CLOSE * off < difference < math.inf:
        return False
    step = min(step, FINE * length)  # the shorter, the fewer jumps it straddles; but above rounding
    rounding = UNITS * 2.0**-53 * abs(ladder.base) / (ALIKE * difference)
    step = min(step, max(step / SHORTER, rounding))

    for far in (length, MIDWAY * length):  # few are needed to see that it is not
        ahead, behind = (there - slope for there in _slopes(ladder, far - 2 * step, far))
        least = min(abs(ahead), abs(behind), abs(ahead + behind) / 2)
        if not (least <= ALIKE * difference or least > ASTRIDE * difference):
            return False
    places = np.array(WAY)
    slopes = [_slopes(ladder, t * length - step, t * length + step) for t in WAY]
    ahead, behind = np.array(slopes).T - slope
    # less the trend of most of them: between its jumps the loss may bend in a way of its own
    with np.errstate(invalid="ignore"):  # of infinite values nothing is said
        trend = places * np.median((ahead - behind) / (2 * places))
        left = np.abs(np.concatenate([ahead - trend, behind + trend]))
    return bool(np.mean(left <= ALIKE * difference) >= MOSTLY)


def slope_across(sample: Sample, scale: float, *, noise: float, points: int) -> Derivative:
    """The slope over a window of many jumps, which then are its noise.

    Parameters
    ----------
    sample : callable
        See `ladder.Sample`.
    scale : float
        Scale of the displacement.
    noise : float
        Standard deviation of one value of the loss between two jumps.
    points : int
        Points of the window on either side.
    """
    longest = longest_inside(lambda t: sample(abs(t))[1 if t > 0 else 3], ACROSS * scale)
    window = Window(sample, longest, points, floor=noise, scale=scale)
    return (
        Derivative.of_fit(window.best(UNEVEN * SIGMAS)) if window.usable else Derivative.unknown()
    )


def slopes_across(sample: Sample, scale: float, *, noise: float) -> Iterator[Derivative]:
    """The same with ever more points, as far as they are asked for."""
    for points in (FEW, SURE):
        yield slope_across(sample, scale, noise=noise, points=points)


def _slopes(ladder: Ladder, near: float, far: float) -> tuple[float, float]:
    """Slopes between two distances from the point, ahead and behind."""
    ahead, f_ahead, behind, f_behind = ladder.sample(far)
    ahead_near, f_ahead_near, behind_near, f_behind_near = ladder.sample(near)
    if not (ahead > ahead_near and behind > behind_near):
        return math.nan, math.nan  # lost in the resolution of the parameter
    rise, fall = f_ahead - f_ahead_near, f_behind_near - f_behind
    return rise / (ahead - ahead_near), fall / (behind - behind_near)


def jumps_explain(
    at: Callable[[float], float],
    base: float,
    *,
    slope: float,
    claim: float,
    scale: float,
    reach: float,
    noise: float,
    across: Iterable[Derivative],
) -> Derivative | None:
    """The slope across jumps, where these leave room for a claim that short steps contradict.

    That is where longer steps lead towards the claim by a jump, and one so high that it hides what
    the two differ by over the steps at which the slope was measured.  What varies fast comes to
    the same by slopes that do vary: there is no jump on the way.

    Parameters
    ----------
    at : callable
        ``at(t)`` is the loss at displacement t.
    base : float
        ``at(0)``.
    slope : float
        The derivative as it was measured.
    claim : float
        The claimed derivative.
    scale : float
        Scale of the displacement.
    reach : float
        The steps at which `slope` was measured.
    noise : float
        Standard deviation of one value of the loss, as far as it is known.
    across : iterable of Derivative
        As in `between_jumps`.

    Returns
    -------
    Derivative or None
        None where no jump explains it, and where it is the same across jumps.
    """
    if not _meets_jump(at, base, slope, claim, scale, reach, noise):
        return None
    for found in across:
        if found.contradicts(slope):
            return found
    return None if found.contradicts(claim) else found


def _meets_jump(
    at: Callable[[float], float],
    base: float,
    slope: float,
    claim: float,
    scale: float,
    reach: float,
    noise: float,
) -> bool:
    """Whether secants lead towards a claim by a jump that hides how far it is from a slope."""
    off = claim - slope
    least = HIDDEN * abs(off) * reach + RANDOM * max(noise, ROUNDING * abs(base))
    for part in SECANTS:
        end = longest_inside(at, part * scale)
        towards = ((at(end) - at(-end)) / (2 * end) - slope) / off
        if TOWARDS <= towards <= 1 / TOWARDS and _highest_jump(at, base, end, slope, reach) > least:
            return True
    return False


def _highest_jump(
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
        inner = far[0] - math.copysign(reach, far[0] - near[0])
        return (far[1] - at(inner)) / (far[0] - inner)

    def height(one: Place, other: Place) -> float:
        return abs(other[1] - one[1] - there * (other[0] - one[0]))

    # no shorter than what can be told apart where the way ends
    reach = max(reach, SHORT * UNITS * math.ulp(length))
    near = (0.0, base)
    sides = [(t, at(t)) for t in (length, -length)]
    far = max(sides, key=lambda side: abs(side[1] - base - slope * side[0]))
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

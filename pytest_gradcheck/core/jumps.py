"""Losses that jump: an inner solver stopped at a tolerance, an intermediate result that is rounded.

Between two jumps such a loss is smooth, with a slope of its own, and every short step measures
that.  What gives it away is that these slopes do not add up to its secants.  Next to the edge of a
domain rounding inside the loss may have such steps, with a few of them between point and edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .ladder import RATIO

FAR = 10.0
"""Error bars by which slopes must differ, where jumps of the loss are looked for."""
SECANTS = (1e-2, 1e-3)
"""Half lengths of the secants, relative to the scale of the parameter."""
PLACES = (0.37, -0.71, 0.9, -0.23, 0.59)
"""Where slopes are taken along the way, relative to the shorter secant."""
WAY = (0.236, 0.382, 0.472, 0.562, 0.618, 0.708, 0.854, 0.91)
"""The same for a closer look, to both sides."""
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
_GAUSS = np.polynomial.legendre.leggauss(5)
NODES = np.concatenate([(_GAUSS[0] + 1) / 2, (_GAUSS[0] - 1) / 2])
WEIGHTS = np.concatenate([_GAUSS[1], _GAUSS[1]]) / 4
"""Gauss's rule for the mean over [-1, 1], five nodes to each side of 0."""
SHRINK = 40
"""How often, at most, a secant is shortened to lie within the domain of the loss."""


def is_between_jumps(
    at: Callable[[float], float],
    base: float,
    *,
    slope: float,
    off: float,
    scale: float,
    step: float,
) -> bool:
    """Whether a slope is the same all along the way of secants that have another one.

    Unlike `slopes_belie_secants` this asks for no claim of what secants show, and therefore for
    slopes that hardly differ: those of a function that varies fast do.

    Parameters
    ----------
    at : callable
        ``at(t)`` is the loss at displacement t.
    base : float
        ``at(0)``.
    slope : float
        The derivative as short steps have it.
    off : float
        Difference of slopes that matters.
    scale : float
        Scale of the displacement.
    step : float
        A step at which `slope` was measured.
    """
    longer, h = (part * scale for part in SECANTS)
    ahead, behind = (at(h) - base) / h, (base - at(-h)) / h
    secant = (ahead + behind) / 2
    difference = abs(secant - slope)
    if not difference > CLOSE * off:
        return False
    far_ahead, far_behind = (at(longer) - base) / longer, (base - at(-longer)) / longer
    if not abs((far_ahead + far_behind) / 2 - secant) <= CLOSE * difference:
        return False
    # of the slopes on both sides, what a bend explains grows with the step; the rest is a kink
    bend = ((far_ahead - far_behind) - (ahead - behind)) / (longer - h) * h
    if abs(ahead - behind - bend) > difference:
        return False
    step = min(step, FINE * h)  # the shorter, the fewer jumps it straddles; but above rounding
    step = min(step, max(step / SHORTER, UNITS * 2.0**-53 * abs(base) / (ALIKE * difference)))
    # less the trend of most of them: between its jumps the loss may bend in a way of its own
    ahead_on, behind_on = (
        np.array([_slope(at, side * t * h, step) - slope for t in WAY]) for side in (1, -1)
    )
    with np.errstate(invalid="ignore"):  # of infinite values nothing is said
        trend = np.array(WAY) * np.median((ahead_on - behind_on) / (2 * np.array(WAY)))
        left = np.abs(np.concatenate([ahead_on - trend, behind_on + trend]))
    return bool(np.mean(left <= ALIKE * difference) >= MOSTLY)


def slopes_belie_secants(
    at: Callable[[float], float],
    *,
    slope: float,
    claim: float,
    scale: float,
    step: float,
    broken: float | None,
) -> bool:
    """Whether a claim that contradicts the slope at a point is what longer secants show.

    Parameters
    ----------
    at : callable
        ``at(t)`` is the loss at displacement t.
    slope : float
        The derivative as short steps have it.
    claim : float
        The claimed derivative.
    scale : float
        Scale of the parameter.
    step : float
        A step at which `slope` can be measured.
    broken : float or None
        The shortest step at which the central difference was found to be far from `slope`.
    """
    difference = abs(slope - claim)
    inside = longest_inside(at, SECANTS[0] * scale)
    lengths = [part * scale for part in SECANTS] if inside == SECANTS[0] * scale else [inside]
    for h in lengths:
        if not abs((at(h) - at(-h)) / (2 * h) - claim) <= CLOSE * difference:
            return False
    here, h = at(0.0), lengths[-1]
    if any(abs((at(t) - here) / t - claim) > difference / 2 for t in (h, -h)):
        return False  # a kink: secants to both sides have the mean of its slopes
    places, step = [place * h for place in PLACES], min(step, FINE * h)
    local = [_slope(at, t, step) for t in places]
    # a short step may itself straddle a jump: the majority counts
    same = sum(abs(value - slope) <= difference / 2 for value in local) > len(places) / 2
    return same or (broken is not None and _jumps_within(at, slope, broken))


def _jumps_within(at: Callable[[float], float], slope: float, step: float) -> bool:
    """Whether a central difference is off the slope for jumps, not because the slope varies.

    A function that varies fast is the integral of its slopes, here by Gauss's rule on each side.
    """
    step_off = (at(step) - at(-step)) / (2 * step) - slope
    slopes = [_slope(at, t * step, FINE * step) for t in NODES]
    return abs(float(WEIGHTS @ np.array(slopes)) - slope - step_off) > abs(step_off) / 2


def _slope(at: Callable[[float], float], t: float, step: float) -> float:
    return (at(t + step) - at(t - step)) / (2 * step)


def longest_inside(at: Callable[[float], float], step: float) -> float:
    """The longest step, `step` or shorter, with which a loss can be evaluated on both sides."""
    for _ in range(SHRINK):
        if math.isfinite(at(step) - at(-step)):
            break
        step /= RATIO
    return step

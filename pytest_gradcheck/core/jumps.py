"""Losses that jump: an inner solver stopped at a tolerance, an intermediate result that is rounded.

Between two jumps such a loss is smooth, with a slope of its own, and every short step measures
that.  What gives it away is that these slopes do not add up to its secants.
"""

from __future__ import annotations

from collections.abc import Callable

SECANTS = (1e-2, 1e-3)
"""Half lengths of the secants, relative to the scale of the parameter."""
PLACES = (0.37, -0.71, 0.9, -0.23, 0.59)
"""Where slopes are taken along the way, relative to the shorter secant."""
CLOSE = 0.05
"""How near, relative to the difference in question, counts as the same slope."""


def slopes_belie_secants(
    at: Callable[[float], float], *, slope: float, claim: float, scale: float, step: float
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
    """
    difference = abs(slope - claim)
    for part in SECANTS:
        h = part * scale
        if not abs((at(h) - at(-h)) / (2 * h) - claim) <= CLOSE * difference:
            return False
    places = [place * SECANTS[-1] * scale for place in PLACES]
    local = [(at(t + step) - at(t - step)) / (2 * step) for t in places]
    # a short step may itself straddle a jump: the majority counts
    return sum(abs(value - slope) <= difference / 2 for value in local) > len(places) / 2

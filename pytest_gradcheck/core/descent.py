"""Down from a first step along a random direction, and up again where rounding is the limit."""

from __future__ import annotations

import math

from .derivative import Derivative
from .differences import DROWNED, fitted, verdict
from .ladder import RATIO, SIGMAS, Estimate, Ladder

RUNGS = 12
"""Largest number of steps along one direction."""
GAIN = 0.8
"""Steps that leave more than this of the error bar were no gain."""
LONG = 1e-5
"""Steps shorter than this, relative to the parameters, are forced by kinks, not by noise, and more
points on longer ones would not help."""
STRIDE = 2
"""How much further down the next two steps are, where many kinks lie within the last one."""


def descend(ladder: Ladder, target: float, enough: float, *, far: bool) -> Derivative:
    """The derivative along a ladder: down while that helps, then up while rounding is the limit.

    Where many kinks are seen, and how short steps must be may be `far` from known, some are
    passed over once.
    """
    ladder.add(0)
    ladder.add(-1)
    best, stalled = ladder.best(), False
    while len(ladder.rungs) < RUNGS:
        known = math.inf if best is None else best.uncertainty
        k = None if known <= target else _next(ladder, best, stalled)
        if k is None:
            break
        falls = k < min(ladder.rungs)
        if falls and far and _many_kinks(ladder, k + 1) and k - STRIDE > ladder.lowest:
            far = False
            ladder.add(k - STRIDE + 1)
            k -= STRIDE
        ladder.add(k)
        best = ladder.best()
        stalled |= not falls and best is not None and best.uncertainty > GAIN * known
    found = verdict(ladder, target)
    is_long = best is not None and best.step > LONG * ladder.longest
    drowned = found.noise > DROWNED * found.uncertainty > DROWNED * enough
    return fitted(ladder, found, enough) if is_long and drowned else found


def _next(ladder: Ladder, best: Estimate | None, stalled: bool) -> int | None:
    """The next shorter step unless its rounding forbids, or the next longer one that may help."""
    if not ladder.rungs:
        return None
    bottom, known = min(ladder.rungs), math.inf if best is None else best.uncertainty
    finest = ladder.rungs[bottom]
    if bottom > ladder.lowest and SIGMAS * finest.sigma * RATIO / finest.step < known / 2:
        return bottom - 1
    if best is None or stalled:
        return None
    above = 1 + max(k for k, rung in ladder.rungs.items() if rung.step <= best.step)
    beyond = min((k for k in ladder.rungs if k >= above), default=None)
    if beyond == above or above > ladder.highest:
        return None
    if beyond is not None:  # passed over on the way down: is it within reach of what is smooth?
        off = abs(ladder.rungs[beyond].central - best.value)
        return above if off <= RATIO**2 * known else None
    return above


def _many_kinks(ladder: Ladder, k: int) -> bool:
    """Whether so many lie within a step that the slopes on both sides differ as at the next longer.

    Where the loss is smooth they differ in proportion to the step.
    """
    coarser = ladder.rungs.get(k + 1)
    return coarser is not None and abs(ladder.rungs[k].jump) > abs(coarser.jump) / 2

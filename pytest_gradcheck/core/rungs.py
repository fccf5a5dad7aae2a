"""Which rung of a ladder comes next, and when there are enough."""

from __future__ import annotations

import math

from .ladder import RATIO, SIGMAS, Estimate, Ladder

MOST = 24
"""Largest number of rungs."""
DECIDED = 1e-2
"""A difference is certain, and known to two digits, when its error bar is this fraction of it."""
STALLED = 3
"""Rungs without gain after which longer steps are given up."""


def climb(ladder: Ladder, claim: float, target: float) -> None:
    """Add rungs where they help most, until `target` is reached or none helps."""
    stalled = 0
    while len(ladder.rungs) < MOST:
        best = ladder.best()
        if best is not None:
            if best.uncertainty <= target:
                return
            if best.uncertainty < DECIDED * abs(best.value - claim) and len(ladder.rungs) > 2:
                return
        k = _next_rung(ladder, best, claim, stalled)
        if k is None:
            return
        coarser, before = k > max(ladder.rungs, default=k), _known(ladder)
        ladder.add(k)
        if coarser and math.isfinite(before):
            stalled = stalled + 1 if _known(ladder) > 0.8 * before else 0


def _known(ladder: Ladder) -> float:
    """Error bar so far, of the mean of two slopes where a jump between them is certain."""
    bars = [e.uncertainty_beside_jump if e.jumps else e.uncertainty for e in ladder.estimates()]
    return min(bars, default=math.inf)


def _next_rung(ladder: Ladder, best: Estimate | None, claim: float, stalled: int) -> int | None:
    """Where to go on: to longer steps where noise dominates, else to shorter ones."""
    rungs = ladder.rungs
    top, bottom = max(rungs, default=0), min(rungs, default=0)
    at_edge = best is not None and not math.isfinite(rungs[top].central)
    may_rise = top < ladder.highest and stalled < STALLED and not at_edge
    may_fall = bottom > ladder.lowest
    if not rungs:  # steps too short for the precision of the parameter
        return ladder.lowest if ladder.lowest <= ladder.highest else None
    if best is None:
        first = rungs.get(0, rungs[top])
        if not math.isfinite(first.central):
            return bottom - 1 if may_fall else None
        noise = SIGMAS * first.sigma / first.step
        drowned = abs(first.central - claim) < 100 * noise
        if may_rise and (drowned or not may_fall):
            return top + 1
        return bottom - 1 if may_fall else None
    finest = rungs[bottom]
    if may_fall and math.isfinite(finest.central):
        # a still shorter step can only help while its rounding lies below what is known already;
        # and where this one leads to values far above that at the point, it may be much smaller
        may_fall = SIGMAS * ladder.quietest * RATIO / finest.step < best.uncertainty
    if may_rise and (best.noise > best.truncation + abs(best.jump) / 2 or not may_fall):
        return top + 1
    return bottom - 1 if may_fall else None

"""One derivative with its error bar: where to measure next, when to stop, and what was found."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .fit import Window
from .ladder import (
    COARSEST,
    ONE_SIDED,
    ORDER,
    RATIO,
    ROUNDING,
    SIGMAS,
    Estimate,
    Ladder,
    tableau,
)

MOST = 24
"""Largest number of rungs."""
DROWNED = 0.3
"""Part of an error bar that noise explains, from which on more points are worth their cost."""
WINDOWS = 6
"""Largest number of windows tried."""
FEW, MANY = 16, 64
"""Points of a least-squares fit: while its window is sought, and once it is found."""
DECIDED = 1e-2
"""A difference is certain, and known to two digits, when its error bar is this fraction of it."""
STALLED = 3
"""Rungs without gain after which longer steps are given up."""


@dataclass(frozen=True)
class Derivative:
    """A measured derivative.

    Attributes
    ----------
    value, uncertainty : float
        The derivative and its error bar; infinite where nothing could be measured.
    noise : float
        The part of `uncertainty` that comes from the noise of the function, and so averages out
        over independent measurements.
    left, right : float
        One-sided derivatives; both are `value` unless the point is a kink.
    """

    value: float
    uncertainty: float
    noise: float
    left: float
    right: float

    @classmethod
    def smooth(cls, value: float, uncertainty: float, noise: float) -> Derivative:
        """A derivative where both sides agree."""
        return cls(value, uncertainty, noise, left=value, right=value)

    @property
    def kink(self) -> bool:
        return abs(self.left - self.right) > 0

    def nearest(self, claim: float) -> float:
        """`claim` itself if it is a subgradient of a kink, else the nearest derivative."""
        if not self.kink:
            return self.value
        low, high = min(self.left, self.right), max(self.left, self.right)
        return min(max(claim, low), high)


def derivative(ladder: Ladder, *, claim: float, target: float, enough: float) -> Derivative:
    """Measure until the derivative is known to `target`, or `claim` certainly differs.

    Parameters
    ----------
    ladder : Ladder
        Its rungs are kept.
    claim : float
        The value to be checked.
    target : float
        Error bar aimed at.
    enough : float
        Error bar that will do where noise dominates at every step.
    """
    if 0 not in ladder.rungs:
        ladder.add(0)
    if SIGMAS * ladder.noise < 10 * target * ladder.longest:
        _climb(ladder, claim, target)
        found = _verdict(ladder, target)
        known = found.uncertainty <= max(enough, DECIDED * abs(found.value - claim))
        drowned = found.noise > DROWNED * found.uncertainty
        return _fitted(ladder, found, enough) if drowned and not known else found
    found = _fitted(ladder, _verdict(ladder, target), enough)
    if found.uncertainty > max(enough, DECIDED * abs(found.value - claim)):
        _climb(ladder, claim, target)  # there may be a kink, or an edge of the domain
        climbed = _verdict(ladder, target)
        if climbed.kink or climbed.uncertainty < found.uncertainty:
            return climbed
    return found


def agrees_at(ladder: Ladder, step: float, found: Derivative) -> bool:
    """Whether a difference at another, shorter step bears out what was found.

    A step far above the size of a parameter may be blind to where the function varies.
    """
    plus, f_plus, minus, f_minus = ladder.sample(step)
    if not (plus > 0 and minus > 0 and math.isfinite(f_plus - f_minus)):
        return True
    central = (f_plus - f_minus) / (plus + minus)
    noise = SIGMAS * max(ladder.noise, ROUNDING * max(abs(f_plus), abs(f_minus))) / step
    jump = abs(found.left - found.right)
    return abs(central - found.value) <= 2 * noise + found.uncertainty + jump


def _climb(ladder: Ladder, claim: float, target: float) -> None:
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
        coarser = k > max(ladder.rungs, default=k)
        ladder.add(k)
        now = ladder.best()
        if coarser and best is not None and now is not None:
            stalled = stalled + 1 if now.uncertainty > 0.8 * best.uncertainty else 0


def _fitted(ladder: Ladder, found: Derivative, enough: float) -> Derivative:
    """Least squares over ever narrower windows, then over more points in the best of them."""
    floor = max(ladder.noise / 4, ROUNDING * abs(ladder.base))
    chosen, longest = 0.0, ladder.longest
    narrowest = longest * RATIO**-WINDOWS
    while longest > narrowest and SIGMAS * floor / math.sqrt(FEW) < longest * found.uncertainty:
        better = _fit(ladder, longest, FEW, floor, found)
        if better is not found:
            found, chosen = better, longest
            if found.uncertainty <= enough:
                return found
        longest /= RATIO
    return _fit(ladder, chosen, MANY, floor, found) if chosen else found


def _fit(
    ladder: Ladder, longest: float, points: int, floor: float, found: Derivative
) -> Derivative:
    """A fit over one window if it is sharper than what was found, and agrees with short steps."""
    scale = ladder.longest / COARSEST
    window = Window(ladder.sample, longest, points, floor=floor, scale=scale)
    if not window.finite:
        return found
    fit = window.best(SIGMAS)
    if not fit.uncertainty < found.uncertainty:
        return found
    for rung in ladder.rungs.values():
        allowed = 2 * SIGMAS * rung.sigma / rung.step + fit.uncertainty
        if rung.step < longest / RATIO and not abs(rung.central - fit.value) <= allowed:
            return found
    return Derivative.smooth(fit.value, fit.uncertainty, fit.random)


def _next_rung(ladder: Ladder, best: Estimate | None, claim: float, stalled: int) -> int | None:
    """Where to go on: to longer steps where noise dominates, else to shorter ones."""
    rungs = ladder.rungs
    top, bottom = max(rungs, default=0), min(rungs, default=0)
    may_rise = top < ladder.highest and stalled < STALLED
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
        # a still shorter step can only help while its rounding lies below what is known already
        may_fall = SIGMAS * finest.sigma * RATIO / finest.step < best.uncertainty
    if may_rise and (best.noise > best.truncation + abs(best.jump) / 2 or not may_fall):
        return top + 1
    return bottom - 1 if may_fall else None


def _verdict(ladder: Ladder, target: float) -> Derivative:
    """What the rungs say: a derivative, or two slopes where a jump between them is certain."""
    estimates = ladder.estimates()
    if not estimates:
        return _one_sided(ladder)
    best = min(estimates, key=lambda e: e.uncertainty)
    if best.uncertainty > target:
        kink = min(estimates, key=lambda e: e.uncertainty_beside_jump)
        if abs(kink.jump) > 3 * kink.jump_error and kink.uncertainty_beside_jump < best.uncertainty:
            half = kink.jump / 2
            return Derivative(
                kink.value,
                kink.uncertainty_beside_jump,
                kink.noise,
                left=kink.value - half,
                right=kink.value + half,
            )
    return Derivative.smooth(best.value, best.uncertainty, best.random)


def _one_sided(ladder: Ladder) -> Derivative:
    """At the edge of a domain: the derivative from the side that can be evaluated."""
    for side in ("forward", "backward"):
        ks = sorted((k for k, r in ladder.rungs.items() if math.isfinite(getattr(r, side))))[::-1]
        rungs = [ladder.rungs[k] for k in ks]
        if len(rungs) < 2 or ks[0] - ks[-1] != len(ks) - 1:
            continue
        table = tableau([getattr(r, side) for r in rungs], ONE_SIDED)
        choices = []
        for k in range(1, len(rungs)):
            for j in range(1, min(k, ORDER) + 1):
                value = table[k][j]
                truncation = max(abs(value - table[k][j - 1]), abs(value - table[k - 1][j - 1]))
                noise = sum(
                    abs(w) * SIGMAS * math.sqrt(2) * r.sigma / r.step
                    for w, r in zip(ONE_SIDED[j], rungs[k - j : k + 1], strict=True)
                )
                choices.append((truncation + noise, noise, value))
        uncertainty, noise, value = min(choices)
        return Derivative.smooth(value, uncertainty, noise)
    return Derivative.smooth(math.nan, math.inf, math.inf)

"""One derivative with its error bar: from a ladder of steps, and from many points in noise."""

from __future__ import annotations

import math
from collections.abc import Callable

from .derivative import Derivative
from .fit import Fit, Window
from .ladder import (
    BETWEEN,
    COARSEST,
    ONE_SIDED,
    ORDER,
    RATIO,
    ROUNDING,
    SIGMAS,
    Ladder,
    scatter_of,
    tableau,
)
from .rungs import DECIDED, climb

DROWNED = 0.3
"""Part of an error bar that noise explains, from which on more points are worth their cost."""
WINDOWS = 8
"""Largest number of windows tried."""
FEW, MANY = 16, 64
"""Points of a least-squares fit: while its window is sought, and once it is found."""
TELLING = 8.0
"""Error bars of noise by which a difference is told at a single short step."""
CERTAIN = 3.0
"""Error, in units of its error bar, that one test off the ladder confirms; a smaller one takes as
many as there are."""


def derivative(
    ladder: Ladder, *, claim: float, target: float, enough: float, points: int = MANY
) -> Derivative:
    """Measure until the derivative is known to `target`, or `claim` certainly differs.

    Few differences that agree by chance look like a precise one: a claim is contradicted only by
    what steps off the ladder confirm.

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
    points : int
        Points of the least-squares fit that averages noise.
    """
    if 0 not in ladder.rungs:
        ladder.add(0)

    def measured() -> Derivative:
        return _measured(ladder, claim, target, enough, points)

    return confirmed(ladder, measured(), claim, measured).beside(claim)


def confirmed(
    ladder: Ladder, found: Derivative, claim: float, again: Callable[[], Derivative]
) -> Derivative:
    """What was found, or `again` where steps off the ladder do not bear out that it contradicts."""
    tested = 0.0
    for parts in BETWEEN:
        if not found.contradicts(claim) or found.step == 0:
            break
        certain = abs(found.nearest(claim) - claim) > CERTAIN * found.uncertainty
        if (certain and found.step == tested) or not ladder.check_below(found.step, parts):
            break
        tested, found = found.step, again()
    return found


def _measured(
    ladder: Ladder, claim: float, target: float, enough: float, points: int
) -> Derivative:
    """The sharpest of extrapolations and fits, as far as it takes."""
    if SIGMAS * ladder.noise < 10 * target * ladder.longest:
        climb(ladder, claim, target)
        found = verdict(ladder, target)
        known = found.uncertainty <= max(enough, DECIDED * abs(found.value - claim))
        drowned = found.noise > DROWNED * found.uncertainty
        return fitted(ladder, found, enough, points) if drowned and not known else found
    found = fitted(ladder, verdict(ladder, target), enough, points)
    if found.sure > max(enough, DECIDED * abs(found.value - claim)):
        climb(ladder, claim, target)  # there may be a kink, or an edge of the domain
        climbed = verdict(ladder, target)
        if climbed.kink or climbed.uncertainty < found.sure:
            return climbed
        if found.fit is not None and not _agrees_with_rungs(found.fit, ladder):
            return fitted(ladder, climbed, enough, points)
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


def far_shorter(ladder: Ladder, claim: float, found: Derivative, finest: float) -> Ladder | None:
    """A ladder from steps far below those of what contradicts a claim, where they are the claim's.

    All that was found may rest on steps beyond everything that the function varies on: seconds of
    the calendar that are moved by minutes.  The shortest ones at which noise still tells it from
    the claim, `finest` or longer, say which of the two it is; by so long steps noise is easily
    taken for larger than the rounding that it is.  That nothing changes over them bears out no
    claim of about zero: rounding inside the function has treads as flat.
    """
    difference = abs(found.nearest(claim) - claim)

    def is_the_claims(step: float) -> bool:
        rung = ladder.quotients(step)
        return rung is not None and abs(rung.central - claim) < min(difference, abs(claim)) / 2

    for noise in dict.fromkeys((ladder.quietest, ROUNDING * abs(ladder.base))):
        first = max(TELLING * SIGMAS * noise / difference, finest)
        if first < found.step and is_the_claims(first) and is_the_claims(first / RATIO):
            scale = found.step / RATIO / COARSEST
            return Ladder(
                ladder.sample, ladder.base, first, noise=noise, scale=scale, finest=finest
            )
    return None


def fitted(ladder: Ladder, found: Derivative, enough: float, points: int = MANY) -> Derivative:
    """Least squares over ever narrower windows, then over more points in the best of them."""
    floor = max(ladder.noise / 4, ROUNDING * abs(ladder.base))
    chosen, longest = 0.0, ladder.widest(WINDOWS)
    narrowest = longest * RATIO**-WINDOWS
    while longest > narrowest and SIGMAS * floor / math.sqrt(FEW) < longest * found.sure:
        better = _fit(ladder, longest, FEW, floor, found)
        if better is not found:
            found, chosen = better, longest
            if found.sure <= enough:
                return found
        longest /= RATIO
    return _fit(ladder, chosen, points, floor, found) if chosen else found


def _fit(
    ladder: Ladder, longest: float, points: int, floor: float, found: Derivative
) -> Derivative:
    """A fit over one window if it is sharper than what was found, and agrees with short steps.

    Or if a wider one contradicts it: there were kinks in that, smoothed over.
    """
    scale = ladder.longest / COARSEST
    window = Window(ladder.sample, longest, points, floor=floor, scale=scale)
    if not window.usable:
        return found
    fit = window.best(SIGMAS)
    belies = found.fit is not None and (abs(fit.value - found.value) > fit.sure + found.sure)
    if not (fit.sure < found.sure or belies):
        return found
    return Derivative.of_fit(fit) if _agrees_with_rungs(fit, ladder) else found


def _agrees_with_rungs(fit: Fit, ladder: Ladder) -> bool:
    """Whether central differences and their companions at steps short beside it are as fitted.

    Kinks far within a window are smoothed over by the polynomials, but the slopes on both sides
    of the point show them.
    """
    return all(
        abs(rung.central - fit.central(rung.step)) <= noise + fit.uncertainty
        and abs(rung.jump - fit.companion(rung.step)) <= math.sqrt(12) * noise + 2 * fit.uncertainty
        for rung in ladder.rungs.values()
        if rung.step < fit.longest / RATIO
        for noise in [2 * SIGMAS * rung.sigma / rung.step]
    )


def verdict(ladder: Ladder, target: float) -> Derivative:
    """What the rungs say: a derivative, or two slopes where a jump between them is certain."""
    estimates = ladder.estimates()
    if not estimates:
        return _one_sided(ladder)
    best = min(estimates, key=lambda e: e.uncertainty)
    if best.uncertainty > target:
        kink = min(estimates, key=lambda e: e.uncertainty_beside_jump)
        if kink.jumps and kink.uncertainty_beside_jump < best.uncertainty:
            half = kink.jump / 2
            return Derivative(
                kink.value,
                kink.uncertainty_beside_jump,
                kink.noise,
                left=kink.value - half,
                right=kink.value + half,
                within=_reach(ladder, kink.jump),
                step=kink.finest,
            )
    return Derivative.smooth(best.value, best.uncertainty, best.random, best.finest)


def _reach(ladder: Ladder, jump: float) -> float:
    """The shortest step at which a jump of the slope shows above the noise."""
    shown = [
        rung.step
        for rung in ladder.rungs.values()
        if abs(rung.jump) > abs(jump) / 2 > SIGMAS * math.sqrt(6) * rung.sigma / rung.step
    ]
    return min(shown, default=math.inf)


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
                truncation = abs(value - table[k - 1][j - 1])
                slopes = [(getattr(r, side), r.step) for r in ladder.finer_than(rungs[k])]
                scatter = max(ladder.scatter, scatter_of(slopes, value))
                noise = sum(
                    abs(w) * SIGMAS * math.sqrt(2) * max(r.sigma, scatter) / r.step
                    for w, r in zip(ONE_SIDED[j], rungs[k - j : k + 1], strict=True)
                )
                choices.append((truncation + noise, noise, value, rungs[k].step))
        uncertainty, noise, value, step = min(choices)
        return Derivative.smooth(value, uncertainty, noise, step)
    return Derivative.unknown()

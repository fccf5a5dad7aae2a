"""One derivative with its error bar: central differences on a ladder of steps, extrapolated.

With F and B the forward and the backward difference quotient of f at step h,

    D(h) = (F + B) / 2 = f' + c2 h^2 + c4 h^4 + ...      the central difference,
    S(h) =  F - B      = k  + b1 h   + b3 h^3 + ...      its companion,

where k is the jump of the slope at the point: 0 where f is differentiable.  Richardson
extrapolation over the same steps gives the limit of both.  The first is the derivative.  The
second must vanish; what is left of it bounds what a kink may have done to the first, since D
converges across a kink to the mean of the two slopes as if nothing were there.

The error bar of an extrapolated value is the sum of its truncation (its distance to its neighbours
in Neville's tableau), its rounding (the noise of f through the weights of the extrapolation), and
half of the remaining jump.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .fit import Window

RATIO = 4.0
"""Ratio of neighbouring steps."""
ORDER = 5
"""Largest number of extrapolations: up to 6 steps are combined."""
SIGMAS = 4.0
"""Error bars span this many standard deviations of the noise."""
COARSEST = 2.0
"""Longest step, as a fraction of the scale of the parameter."""
FINEST = 1e-13
"""Shortest step, likewise: a few hundred units in the last place."""

Sample = Callable[[float], tuple[float, float, float, float]]
"""``sample(h)`` gives ``(h_plus, f(+h_plus), h_minus, f(-h_minus))``, the steps as rounded."""


def _weights(powers: list[int]) -> list[list[float]]:
    """Weights w with ``sum(w * T(h_i)) = T(0)`` for T = const + sum of `powers` of h, by order.

    Row j combines j + 1 steps, coarsest first; it eliminates the j lowest powers.
    """
    rows = []
    for j in range(ORDER + 1):
        steps = RATIO ** -np.arange(j + 1)
        system = np.stack([steps**p for p in [0, *powers[:j]]])
        rows.append([float(w) for w in np.linalg.solve(system, np.eye(j + 1)[0])])
    return rows


CENTRAL = _weights([2, 4, 6, 8, 10])
JUMP = _weights([1, 3, 5, 7, 9])
ONE_SIDED = _weights([1, 2, 3, 4, 5])


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


@dataclass(frozen=True)
class Estimate:
    """One entry of the tableau, with its error split by cause."""

    value: float
    truncation: float
    noise: float
    jump: float
    jump_error: float

    @property
    def uncertainty(self) -> float:
        return self.truncation + self.noise + abs(self.jump) / 2

    @property
    def random(self) -> float:
        """The part of `uncertainty` that noise explains."""
        jump = min(abs(self.jump), self.jump_error) / 2
        return self.noise + min(self.truncation, self.noise) + jump

    @property
    def uncertainty_beside_jump(self) -> float:
        return self.truncation + self.noise + self.jump_error


@dataclass(frozen=True)
class Rung:
    """The difference quotients at one step."""

    step: float
    central: float
    jump: float
    forward: float
    backward: float
    sigma: float


class Ladder:
    """Difference quotients of a function of one variable at steps ``first * RATIO**k``.

    Parameters
    ----------
    sample : callable
        See `Sample`.
    base : float
        The function's value at the point itself.
    first : float
        The step with k = 0.
    noise : float
        Standard deviation of one value of the function, as far as known.
    scale : float
        Scale on which the variable may be moved at all; limits the steps upwards.
    finest : float
        Scale on which it has digits; limits them downwards.
    """

    def __init__(
        self,
        sample: Sample,
        base: float,
        first: float,
        *,
        noise: float,
        scale: float,
        finest: float,
    ) -> None:
        self.sample, self.base, self.first, self.noise = sample, base, first, noise
        self.longest = COARSEST * scale
        self.rungs: dict[int, Rung] = {}
        self.highest = max(0, _rungs_between(first, self.longest))
        self.lowest = min(0, 1 + _rungs_between(first, FINEST * finest))

    def agrees_at(self, step: float, found: Derivative) -> bool:
        """Whether a difference at another, shorter step bears out what was found.

        A step far above the size of a parameter may be blind to where the function varies.
        """
        plus, f_plus, minus, f_minus = self.sample(step)
        if not (plus > 0 and minus > 0 and math.isfinite(f_plus - f_minus)):
            return True
        central = (f_plus - f_minus) / (plus + minus)
        noise = SIGMAS * max(self.noise, ROUNDING * max(abs(f_plus), abs(f_minus))) / step
        jump = abs(found.left - found.right)
        return abs(central - found.value) <= 2 * noise + found.uncertainty + jump

    def add(self, k: int) -> None:
        """Evaluate the rung with step ``first * RATIO**k``."""
        plus, f_plus, minus, f_minus = self.sample(self.first * RATIO**k)
        if plus == 0 or minus == 0:  # lost in the resolution of the parameter
            self.lowest = max(self.lowest, k + 1)
            return
        if not (math.isfinite(f_plus) or math.isfinite(f_minus)):
            self.highest = min(self.highest, k - 1)
        forward = (f_plus - self.base) / plus
        backward = (self.base - f_minus) / minus
        largest = max(abs(f) for f in (f_plus, f_minus, self.base) if math.isfinite(f))
        self.rungs[k] = Rung(
            step=(plus + minus) / 2,
            central=(forward * minus + backward * plus) / (plus + minus),
            jump=forward - backward,
            forward=forward,
            backward=backward,
            sigma=max(self.noise, ROUNDING * largest),
        )

    def best(self) -> Estimate | None:
        """The estimate with the smallest error bar; None before two neighbouring rungs exist."""
        estimates = self.estimates()
        return min(estimates, key=lambda e: e.uncertainty) if estimates else None

    def estimates(self) -> list[Estimate]:
        """All extrapolations over runs of neighbouring rungs."""
        found: list[Estimate] = []
        for run in self._runs():
            rungs = [self.rungs[k] for k in run]
            central = _tableau([r.central for r in rungs], CENTRAL)
            jump = _tableau([r.jump for r in rungs], JUMP)
            for k in range(1, len(rungs)):
                finer = [self.rungs[i] for i in self.rungs if i < run[k]]
                for j in range(1, min(k, ORDER) + 1):
                    found.append(_estimate(rungs, central, jump, k, j, finer))
        return found

    def _runs(self) -> list[list[int]]:
        """Finite rungs in runs of neighbours, coarsest first."""
        finite = sorted(
            (k for k, r in self.rungs.items() if math.isfinite(r.central)), reverse=True
        )
        runs: list[list[int]] = []
        for k in finite:
            if runs and runs[-1][-1] == k + 1:
                runs[-1].append(k)
            else:
                runs.append([k])
        return runs


ROUNDING = 2.0**-53
"""Rounding of a value by itself, relative: no function is known better."""


def _rungs_between(first: float, last: float) -> int:
    """Whole powers of `RATIO` from one step to another, at most a thousand."""
    if not (first > 0 and last > 0 and math.isfinite(last)):
        return -1000
    return max(-1000, math.floor(math.log(last, RATIO) - math.log(first, RATIO)))


def _tableau(values: list[float], weights: list[list[float]]) -> list[list[float]]:
    """Row k holds the extrapolations over the last 1, 2, ... of the values up to k."""
    return [
        [
            sum(w * v for w, v in zip(weights[j], values[k - j : k + 1], strict=True))
            for j in range(min(k, ORDER) + 1)
        ]
        for k in range(len(values))
    ]


def _estimate(
    rungs: list[Rung],
    central: list[list[float]],
    jump: list[list[float]],
    k: int,
    j: int,
    finer: list[Rung],
) -> Estimate:
    value, used = central[k][j], rungs[k - j : k + 1]
    # Scatter of the finer rungs about the value, read as noise of the function: it catches noise
    # that was measured too low, and anything near the point that the coarser rungs stepped over.
    scatter = max(
        (abs(r.central - value) * r.step for r in finer if math.isfinite(r.central)), default=0.0
    )
    noise = jump_noise = 0.0
    for rung, w_central, w_jump in zip(used, CENTRAL[j], JUMP[j], strict=True):
        sigma = max(rung.sigma, RATIO * scatter * math.sqrt(2) / SIGMAS)
        noise += abs(w_central) * SIGMAS * sigma / (math.sqrt(2) * rung.step)
        jump_noise += abs(w_jump) * SIGMAS * sigma * math.sqrt(6) / rung.step
    return Estimate(
        value=value,
        truncation=max(abs(value - central[k][j - 1]), abs(value - central[k - 1][j - 1])),
        noise=noise,
        jump=jump[k][j],
        jump_error=jump_noise
        + max(abs(jump[k][j] - jump[k][j - 1]), abs(jump[k][j] - jump[k - 1][j - 1])),
    )


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
        coarser = k > max(ladder.rungs)
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


def _next_rung(ladder: Ladder, best: Estimate | None, claim: float, stalled: int) -> int | None:
    """Where to go on: to longer steps where noise dominates, else to shorter ones."""
    rungs = ladder.rungs
    top, bottom = max(rungs, default=0), min(rungs, default=0)
    may_rise = top < ladder.highest and stalled < STALLED
    may_fall = bottom > ladder.lowest
    if best is None:
        first = rungs.get(0)
        if first is None or not math.isfinite(first.central):
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
        table = _tableau([getattr(r, side) for r in rungs], ONE_SIDED)
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

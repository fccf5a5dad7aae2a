"""From cheap to dear: one step for every entry, random lines for all, a ladder for the rest.

1. Every entry by central differences at ``eps``.  Entries whose claim lies inside the error bar of
   that step are settled.
2. The others climb the ladder of steps (`differences`).
3. A few random directions, measured on the same ladder, bound the norm of whatever is wrong in the
   settled entries much more sharply than their single steps could.
4. Where that bound is not sharp enough, the entries with the largest error bars climb too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .differences import MANY, Derivative, agrees_at, derivative
from .directions import Directions
from .exhaustive import central_quotients, forward_quotients, steps
from .fit import Window
from .jumps import slopes_belie_secants
from .ladder import SIGMAS, Ladder
from .line import Axis, Line
from .loss import Loss
from .measured import COMMON, NEGLIGIBLE, OWN, Measured, norm_bound, rms, scale_of
from .noise import measure_noise
from .parameters import Array, Parameter
from .problem import Problem

SETTLED = 0.03
"""Part of `tol` that one entry may use up and still be settled by its first step."""
BUDGET, BUDGET_PER_ENTRY = 50_000, 20
"""Evaluations after which no further entry climbs: a loss that needs more is not measurable."""
FEW = 3
"""Size of a block up to which its entries climb rather than random directions are asked."""
ZERO = 1e-4
"""A gradient claimed to be zero is measured as closely as one this small beside the others."""
SHORTER = 0.1
"""Steps between jumps, beside the first step of a ladder."""
ACROSS = 0.1
"""Half width of the window in which a loss that jumps is measured, relative to its parameter."""
TRIED = 8
"""Entries of a block whose contradictions are examined for jumps of the loss."""
SOME = 32
"""Entries that climb before it is asked whether it is worth while."""
KINK = 1e-3
"""Difference of the slopes on both sides, relative, from which a first step settles nothing."""
SHORT = 1e-3
"""What is measured must still hold at this fraction of a parameter's own size."""


def textbook(
    problem: Problem, loss: Loss, claims: Sequence[Array], *, base: float, eps: float, scheme: str
) -> list[Measured]:
    """One difference quotient for every entry, at one step, taken at its word."""
    found = []
    for parameter, claim in zip(problem.parameters, claims, strict=True):
        if scheme == "forward":
            quotients = forward_quotients(parameter, loss, eps, base)
        else:
            quotients = central_quotients(parameter, loss, eps)
        zero = np.zeros_like(claim)
        measured = Measured(
            parameter, claim, quotients.values, zero, zero, negligible=not claim.any()
        )
        measured.climbed[:] = True
        found.append(measured)
    return found


class Measurement:
    """The four steps of the module, on one problem at one point.

    Parameters
    ----------
    problem : Problem
    loss : Loss
    claims : sequence of ndarray
        Claimed gradients, flat.
    rounding : sequence of float
        Relative rounding of the claims as they were handed over.
    base : float
        Loss at the point.
    jitter : float
        Difference of two evaluations at the point.
    eps, tol, warn : float
        As in `Settings`.
    rng : numpy.random.Generator
        Source of the random directions.
    """

    def __init__(
        self,
        problem: Problem,
        loss: Loss,
        claims: Sequence[Array],
        *,
        rounding: Sequence[float],
        base: float,
        jitter: float,
        eps: float,
        tol: float,
        warn: float,
        rng: np.random.Generator,
    ) -> None:
        self.loss, self.base, self.eps = loss, base, eps
        self.tol, self.warn, self.rng = tol, warn, rng
        self.parameters = list(problem.parameters)
        self.origin = [p.read() for p in self.parameters]
        self.kinked, self.budget = False, 0
        self.noise = max(jitter, self._measure_noise())
        self.directions = Directions(loss, base, self.noise, warn, rng)
        finite = [claim for claim in claims if np.all(np.isfinite(claim))]
        self.whole = float(np.linalg.norm(np.concatenate([*finite, np.zeros(1)])))
        self.blocks = [
            self._first_step(p, g, u)
            for p, g, u in zip(self.parameters, claims, rounding, strict=True)
        ]

    def run(self) -> list[Measured]:
        size = sum(block.claimed.size for block in self.blocks)
        self.budget = self.loss.evaluations + max(BUDGET, BUDGET_PER_ENTRY * size)
        for i, block in enumerate(self.blocks):
            for j in block.unsettled():
                if self._affordable:
                    self._climb(i, int(j))
        tested = [i for i, block in enumerate(self.blocks) if block.is_finite]
        noisy = self._bound([i for i in tested if not self.blocks[i].negligible])
        for i in tested:
            if self._known(i, self.warn if noisy else self.tol):
                continue
            drowned = self.blocks[i].claimed.size > FEW and self._bound([i])
            self._climb_all(i, self.warn if drowned else self.tol)
        return self.blocks

    @property
    def _affordable(self) -> bool:
        return self.loss.evaluations < self.budget

    def _known(self, i: int, goal: float) -> bool:
        """Whether the relative error of block i is known to `goal`, beyond what is certain."""
        block = self.blocks[i]
        least, _, most = block.error_limits()
        scale = ZERO * self.whole if block.negligible else block.scale
        return most - least <= 2 * goal * scale

    def _measure_noise(self) -> float:
        direction = [
            np.where(theta == 0, scale_of(theta), theta) * self.rng.standard_normal(theta.size)
            for theta in self.origin
        ]
        return measure_noise(Line(self.loss, self.parameters, self.origin, direction), self.base)

    def _first_step(self, parameter: Parameter, claim: Array, rounding: float) -> Measured:
        """Step 1: entries that are not settled get an infinite error bar."""
        q = central_quotients(parameter, self.loss, self.eps)
        numeric, typical = q.values, rms(claim)
        negligible = float(np.linalg.norm(claim)) <= NEGLIGIBLE * self.whole
        claim_rounding = rounding * (OWN * np.abs(claim) + COMMON * typical)
        largest = np.maximum(np.abs(q.plus), np.abs(q.minus))
        sigma = np.maximum(self.noise, 2.0**-53 * largest)
        with np.errstate(divide="ignore", invalid="ignore"):
            noise = SIGMAS * math.sqrt(2) * sigma / q.width
            error = np.abs(numeric - claim)
            agree = error <= noise + claim_rounding + self._target(claim)
            # across a kink the central difference is the mean of two slopes, and may agree as such
            jump = 2 * (q.plus - 2 * self.base + q.minus) / q.width
            agree &= np.abs(jump) <= 2 * noise + KINK * (np.abs(claim) + typical)
        uncertainty = np.where(agree, noise + error, np.inf)
        return Measured(parameter, claim, numeric, uncertainty, claim_rounding, negligible)

    def _target(self, claim: Array) -> Array:
        """Error of an entry that does not matter beside `tol`."""
        if float(np.linalg.norm(claim)) <= NEGLIGIBLE * self.whole:
            return np.full(claim.size, SETTLED * self.tol * ZERO * self.whole)
        return SETTLED * self.tol * np.maximum(np.abs(claim), rms(claim))

    def _enough(self, target: float) -> float:
        """The same where noise allows no better: what does not matter beside `warn`."""
        return target * self.warn / self.tol

    def _climb(self, i: int, j: int) -> None:
        """Measure entry j of block i on a ladder of steps."""
        block = self.blocks[i]
        theta, claim = float(self.origin[i][j]), float(block.claimed[j])
        axis = Axis(self.loss, block.parameter, j, theta)
        own = abs(theta) or scale_of(self.origin[i])
        largest = max(1.0, own, scale_of(self.origin[i]))
        target = float(self._target(block.claimed)[j])

        def measured(first: float) -> tuple[Ladder, Derivative]:
            ladder = Ladder(
                axis.sample, self.base, first, noise=self.noise, scale=largest, finest=own
            )
            found = derivative(ladder, claim=claim, target=target, enough=self._enough(target))
            return ladder, found

        first = float(steps(np.array(theta), self.eps))
        ladder, found = measured(first)
        if SHORT * own < first and not agrees_at(ladder, SHORT * own, found):
            found = measured(SHORT * own)[1]
        if self._doubtful(block, found, claim):
            scale = max(own, scale_of(self.origin[i]))
            step, slope = SHORTER * first, found.value
            if slopes_belie_secants(axis, slope=slope, claim=claim, scale=scale, step=step):
                block.jumps += 1
                found = self._across_jumps(axis, scale)
        self._note(block, j, found)

    def _across_jumps(self, axis: Axis, scale: float) -> Derivative:
        """The slope over a window of many jumps, which then are its noise."""
        window = Window(axis.sample, ACROSS * scale, MANY, floor=self.noise, scale=scale)
        if not window.finite:
            return Derivative.smooth(math.nan, math.inf, math.inf)
        fit = window.best(SIGMAS)
        return Derivative.smooth(fit.value, fit.uncertainty, fit.random)

    @staticmethod
    def _doubtful(block: Measured, found: Derivative, claim: float) -> bool:
        """Whether to look for jumps: the claim contradicts, and of the first few some were seen."""
        contradicts = abs(found.nearest(claim) - claim) > found.uncertainty
        return contradicts and (block.jumps > 0 or np.sum(block.climbed) < TRIED)

    def _note(self, block: Measured, j: int, found: Derivative) -> None:
        block.numeric[j] = found.nearest(float(block.claimed[j]))
        block.uncertainty[j] = found.uncertainty
        block.kinks[j] = found.kink
        self.kinked |= found.kink
        block.climbed[j] = True

    def _climb_all(self, i: int, goal: float) -> None:
        """Step 4: climb with the entries of block i, worst first, until it is known to `goal`.

        Where the entries that did climb show that the goal is out of reach, the next one is what
        a noisy loss allows; where they show that this is out of reach too, the rest is spared.
        """
        block = self.blocks[i]
        order = np.argsort(-block.uncertainty, kind="stable")
        for count, j in enumerate(j for j in order if not block.climbed[j]):
            if not self._affordable:
                return
            if count % SOME == 0:
                if self._known(i, goal):
                    return
                reached = norm_bound(np.zeros(1), block.uncertainty[block.climbed])
                if count and reached > 2 * goal * block.scale:
                    if goal >= self.warn:
                        return
                    goal = self.warn
            self._climb(i, int(j))

    def _bound(self, which: list[int]) -> bool:
        """Bound the error in the blocks `which` by random directions; whether noise limits it.

        Where they contradict the first steps, those no longer count, and their entries climb.
        """
        blocks = [self.blocks[i] for i in which]
        found = self.directions.bound(blocks, [self.origin[i] for i in which]) if blocks else None
        self.kinked |= self.directions.kinked
        if found is None:
            return False
        if found.contradicts and len(which) == 1:
            blocks[0].unsettle()
        for block in blocks:
            block.tighten(found.norm / block.weight)
        if found.contradicts and len(which) > 1:
            for i in which:
                self._bound([i])
        return found.noisy

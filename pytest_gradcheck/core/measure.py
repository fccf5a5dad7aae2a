"""From cheap to dear: one step for every entry, random lines for all, a ladder for the rest.

1. Every entry by central differences at ``eps``.  Entries whose claim lies inside the error bar of
   that step are settled.  Where ladders show it to be far too long for small parameters, once more
   at ``eps`` times their scale.
2. The others climb the ladder of steps (`differences`).  Where many contradict their claims and the
   ladder bears out the first step of all that are tried, it is trusted in the rest.
3. A few random directions, measured on the same ladder, bound the norm of whatever is wrong in
   first steps much more sharply than these could themselves.  What they do not bound is climbed.
4. Where that bound is not sharp enough, the entries with the largest error bars climb too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from .climb import points_for
from .climbing import CLEAR, TRIED, Climbing
from .directions import Directions
from .first_step import FirstStep
from .goals import ZERO, Goals
from .ladder import ROUNDING
from .left_over import left_by_cancelling
from .line import Line
from .loss import Loss
from .measured import SINGLE, Measured, norm_bound, scale_of
from .nearby import Nearby
from .noise import measure_noise
from .parameters import Array, Parameter
from .rungs import DECIDED

BUDGET, BUDGET_PER_ENTRY = 50_000, 20
"""Evaluations after which no further entry climbs, where `max_evaluations` does not say."""
FEW = 3
"""Size of a block up to which its entries climb rather than random directions are asked."""
SHARPER = (1.0, 0.5, 0.25, 0.125)
"""Norms of error bars aimed at where noise is averaged entry by entry, as parts of `warn`."""
SHORT = 0.1
"""A first step at `eps` times the scale of small parameters is tried where it is below this part of
all steps that ladders came to rest on."""
SOME = 32
"""Entries that climb before it is asked whether it is worth while."""
ELSEWHERE = 8.0
"""Factor within which noise is put down to the rounding of all the parameters moved at once."""


class Measurement:
    """The four steps of the module, at one point.

    Parameters
    ----------
    parameters : sequence of Parameter
    loss : Loss
    claims : sequence of ndarray
        Claimed gradients, flat.
    nearby : Nearby
        The claims beside the point.
    rounding : sequence of float
        Relative rounding of the claims as they were handed over.
    base : float
        Loss at the point.
    jitter : float
        Difference of two evaluations at the point.
    eps, tol, warn : float
        As in `Settings`.
    limit : int or None
        Evaluations of the loss after which no further entry climbs.
    rng : numpy.random.Generator
        Source of the random directions.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        loss: Loss,
        claims: Sequence[Array],
        nearby: Nearby,
        *,
        rounding: Sequence[float],
        base: float,
        jitter: float,
        eps: float,
        tol: float,
        warn: float,
        limit: int | None,
        rng: np.random.Generator,
    ) -> None:
        self.loss, self.base, self.eps, self.rounding = loss, base, eps, rounding
        self.limit = limit
        self.tol, self.warn, self.rng, self.budget = tol, warn, rng, 0.0
        self.parameters = list(parameters)
        self.origin = [p.read() for p in self.parameters]
        self.noise = max(jitter, self._measure_noise())
        self.directions = Directions(loss, base, self.noise, warn, rng)
        finite = [claim for claim in claims if np.all(np.isfinite(claim))]
        whole = float(np.linalg.norm(np.concatenate([*finite, np.zeros(1)])))
        self.goals = Goals(tol, warn, whole)
        self.ladders = Climbing(
            loss,
            base,
            jitter,
            self.noise,
            eps,
            self.goals,
            nearby,
            self.origin,
            self._is_rounded_elsewhere(claims),
            [min(u, SINGLE) for u in rounding],  # of what was computed, whatever cancels in it
            cache(self._left_by_cancelling),
        )
        self.first_step = FirstStep(loss, base, self.noise, self.goals)
        first = [
            self.first_step.take(p, g, u, eps)
            for p, g, u in zip(self.parameters, claims, rounding, strict=True)
        ]
        self.blocks, self._first_bars = [block for block, _ in first], [bars for _, bars in first]

    @property
    def kinked(self) -> bool:
        """Whether kinks of the loss were met."""
        return self.ladders.kinked or self.directions.kinked

    @property
    def ended(self) -> bool:
        """Whether it ended because no evaluations were left."""
        return not self._affordable

    def run(self) -> list[Measured]:
        size = sum(block.claimed.size for block in self.blocks)
        ample = self.loss.evaluations + max(BUDGET, BUDGET_PER_ENTRY * size)
        self.budget = ample if self.limit is None else self.limit
        for i in range(len(self.blocks)):
            self._settle(i)
        tested = [i for i, block in enumerate(self.blocks) if block.is_finite]
        at_once = [i for i in tested if not self.blocks[i].negligible]
        noisy = self._bound(at_once)
        for i in tested:
            if not math.isfinite(self.blocks[i].bound):
                self.blocks[i].distrust()
            climbed = self._climb_entries(i, self.blocks[i].unsettled())
            if self._known(i, self.warn if noisy else self.tol):
                continue
            asked = at_once == [i] and not climbed  # of the same entries, just now
            some = self.blocks[i].claimed.size > FEW
            drowned = some and (noisy if asked else self._bound([i]))
            self._climb_all(i, self.warn if drowned else self.tol)
        for i in sorted(tested, key=lambda i: float(np.sum(self._sharpened(i, self.warn)[1]))):
            if not self._known(i, self.warn):
                self._sharpen(i)
        for i in tested:
            if self.goals.is_cancelled(self.blocks[i], self.rounding[i]):
                self.blocks[i].cancel()
        return self.blocks

    def _settle(self, i: int) -> None:
        """Step 2: climb with what the first step left open, or with so much that it is trusted."""
        block = self.blocks[i]
        first, bars, left = block.numeric.copy(), self._first_bars[i], block.unsettled()
        worst, rest = left[: TRIED // 2], left[TRIED // 2 :]
        tried = [*worst, *self.rng.permutation(rest)[: TRIED // 2]]
        steps = self._climb_entries(i, tried)
        known = block.uncertainty[tried]

        def is_borne_out() -> bool:
            off = np.abs(first - block.numeric)[tried]
            right = np.isfinite(bars[tried]) & (off <= bars[tried] + known)
            return not (np.any(block.kinks[tried]) or block.jumps) and bool(np.all(right))

        shorter = self.eps * scale_of(self.origin[i])
        too_long = shorter < SHORT * min(steps, default=0.0) and not is_borne_out()
        if too_long and len(rest) > TRIED:
            first, bars = self._step_again(i, shorter)
        if is_borne_out():
            # ladders bear it out as far as the sharpest of them knows: those far off stop early
            level = 0.0 if np.any(known <= bars[tried]) else float(np.min(known, initial=np.inf))
            rest = block.unsettled()
            clear = np.abs(first - block.claimed)[rest] >= CLEAR * level
            block.trust(rest[clear & np.isfinite(bars[rest])], np.maximum(bars, level))
        self._climb_entries(i, block.unsettled())

    def _step_again(self, i: int, eps: float) -> tuple[Array, Array]:
        """Step 1 of block i once more: the differences, and their error bars."""
        block = self.blocks[i]
        again, bars = self.first_step.take(block.parameter, block.claimed, self.rounding[i], eps)
        left = block.unsettled()
        block.numeric[left], block.uncertainty[left] = again.numeric[left], again.uncertainty[left]
        return again.numeric, bars

    def _climb_entries(self, i: int, entries: Iterable[int]) -> list[float]:
        """The shortest steps of what was found of each."""
        return [
            self.ladders.measure(self.blocks[i], i, int(j)).step
            for j in entries
            if self._affordable
        ]

    @property
    def _left(self) -> float:
        """Evaluations that may still be spent."""
        return self.budget - self.loss.evaluations

    @property
    def _affordable(self) -> bool:
        return self._left > 0

    def _known(self, i: int, goal: float) -> bool:
        """Whether the relative error of block i is known to `goal` beyond what is certain of it.

        Or to two digits, where it is certain.  Where `warn` is all that can be had and nothing is
        certain, the upper end has to keep it.
        """
        block = self.blocks[i]
        least, _, most = block.error_limits()
        scale = ZERO * self.goals.whole if block.negligible else block.scale
        if goal >= self.warn and least <= self.tol * scale:
            return most <= goal * scale
        return most - least <= max(2 * goal * scale, DECIDED * least)

    def _measure_noise(self) -> float:
        direction = [
            np.where(theta == 0, scale_of(theta), theta) * self.rng.standard_normal(theta.size)
            for theta in self.origin
        ]
        return measure_noise(Line(self.loss, self.parameters, self.origin, direction), self.base)

    def _left_by_cancelling(self) -> float:
        along = Line(self.loss, self.parameters, self.origin, self.origin)
        return left_by_cancelling(along, self.base)

    def _is_rounded_elsewhere(self, claims: Sequence[Array]) -> bool:
        """Whether the noise may be that of rounding all the parameters, moved at once."""
        moved = [g * theta for g, theta in zip(claims, self.origin, strict=True)]
        rounded = ROUNDING * float(np.nan_to_num(np.linalg.norm(np.concatenate(moved))))
        return ELSEWHERE * ROUNDING * abs(self.base) < self.noise < ELSEWHERE * rounded

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
            self.ladders.measure(block, i, int(j))

    def _sharpened(self, i: int, goal: float) -> tuple[NDArray[np.intp], Array]:
        """Entries of block i that did climb, and the points each needs until `goal` is known."""
        block = self.blocks[i]
        return points_for(np.where(block.climbed, block.uncertainty, 0.0), goal * block.scale)

    def _sharpen(self, i: int) -> None:
        """Average the noise of the few entries that leave block i open, if that will decide it."""
        block = self.blocks[i]
        for part in SHARPER:
            entries, points = self._sharpened(i, part * self.warn)
            if 2 * np.sum(points) > self._left:
                return
            for j, count in zip(entries, points.astype(int), strict=True):
                climb = self.ladders.start(block, i, j, block.numeric[j])
                found = climb.across_jumps(count) if block.jumps else climb.measure(count)
                allowed = found.uncertainty + block.uncertainty[j]
                agrees = not found.kink and abs(found.value - block.numeric[j]) <= allowed
                if agrees and found.uncertainty < block.uncertainty[j]:
                    self.ladders.note(block, i, j, climb, found)
            if entries.size:
                self._bound([i])
            if self._known(i, self.warn):
                return

    def _bound(self, which: list[int]) -> bool:
        """Bound the error in the blocks `which` by random directions; whether noise limits it.

        Where they contradict the first steps, those no longer count, and their entries climb.
        Where all entries did climb, there is nothing to bound.
        """
        which = [i for i in which if not np.all(self.blocks[i].climbed)]
        blocks = [self.blocks[i] for i in which]
        origin = [self.origin[i] for i in which]
        asked = which and self._affordable
        found = self.directions.bound(blocks, origin, most=self._left) if asked else None
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

"""Losses that jump: an inner solver stopped at a tolerance, an intermediate result that is rounded.

Between two jumps such a loss is smooth, with a slope of its own, and every short step measures
that.  What gives it away is that these slopes do not add up to its secants.  Next to the edge of a
domain rounding inside the loss may have such steps, with a few of them between point and edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from .derivative import Derivative
from .highest_jump import highest_jump, longest_inside
from .ladder import Ladder

FAR = 10.0
"""Error bars by which slopes must differ, where jumps of the loss are looked for."""
SECANTS = (1e-3, 1e-2)
"""Half lengths of secants, relative to the scale of the parameter: longer than what single and half
precision round off."""
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
DECISIVE = 4.0
"""Error bars of a slope across jumps by which it is another one, whatever is claimed: across a few
jumps that are part of the loss none is."""


@dataclass(frozen=True)
class ShortSteps:
    """A slope as short steps have it, of a loss that may jump beyond them.

    Attributes
    ----------
    ladder : Ladder
        Of the loss along a line, with its noise as far as it is known.
    at : callable
        ``at(t)`` is the loss at displacement t.
    scale : float
        Scale of the displacement.
    slope, bar : float
        The derivative as it was measured, and its error bar.
    step : float
        The steps at which it was measured.
    """

    ladder: Ladder
    at: Callable[[float], float]
    scale: float
    slope: float
    bar: float
    step: float

    def between_jumps(
        self, parts: Iterable[float], across: Iterable[Derivative]
    ) -> Derivative | None:
        """The slope across jumps, where that of short steps lies between two of them.

        That is the same all along the way of a secant which has another one, by a jump and not by
        a kink, and so have fits across many jumps.  Where these are few, they are no other slope: a
        fit takes them for its noise.

        Parameters
        ----------
        parts : iterable of float
            Half lengths of the secants, of `SECANTS`.
        across : iterable of Derivative
            Slopes across jumps, ever sharper, each measured when it is asked for.

        Returns
        -------
        Derivative or None
            None where nothing says that it is one between jumps.
        """
        if not self.jump_on_the_way(parts):
            return None
        return next(
            (one for one in across if abs(one.value - self.slope) > DECISIVE * one.uncertainty),
            None,
        )

    def explained(self, claim: float, across: Iterable[Derivative]) -> Derivative | None:
        """The slope across jumps, where these leave room for a claim that short steps contradict.

        That is where longer steps lead towards the claim by a jump, and one so high that it hides
        what the two differ by over the steps at which the slope was measured.  What varies fast
        comes to the same by slopes that do vary: there is no jump on the way.

        Returns
        -------
        Derivative or None
            None where no jump explains it, and where it is the same across jumps.
        """
        if not self.jump_towards(claim):
            return None
        for found in across:
            if found.contradicts(self.slope):
                return found
        return None if found.contradicts(claim) else found

    def jump_on_the_way(self, parts: Iterable[float]) -> float:
        """Height of a jump on the way of a secant along which the slope is the same all the same.

        0 where there is none.
        """
        least = RANDOM * self.ladder.quietest
        for length in (part * self.scale for part in parts):
            if self._is_the_same_all_along(length):
                height = self._highest_jump(length, self.step)
                if height > least:
                    return height
        return 0.0

    def jump_towards(self, claim: float) -> float:
        """Height of a jump by which secants lead towards a claim, if it hides how far off that is.

        0 where there is none.
        """
        off = claim - self.slope
        least = HIDDEN * abs(off) * self.step + RANDOM * self.ladder.quietest
        for part in SECANTS:
            end = longest_inside(self.at, part * self.scale)
            towards = ((self.at(end) - self.at(-end)) / (2 * end) - self.slope) / off
            if not TOWARDS <= towards <= 1 / TOWARDS:
                continue
            for step in (self.step, self._shorter(end, abs(off))):
                height = self._highest_jump(end, step)
                if height > least:
                    return height
        return 0.0

    def _highest_jump(self, length: float, step: float) -> float:
        return highest_jump(self.at, self.ladder.base, length, self.slope, step)

    def _shorter(self, length: float, difference: float) -> float:
        """A step that straddles fewer jumps, and is above rounding for a difference of slopes."""
        step = min(self.step, FINE * length)
        rounding = UNITS * 2.0**-53 * abs(self.ladder.base) / (ALIKE * difference)
        return min(step, max(step / SHORTER, rounding))

    def _is_the_same_all_along(self, length: float) -> bool:
        """Whether the slope is the same all along the way of a secant that has another one.

        Unlike `explained` this asks for no claim that secants lead to, and therefore for slopes
        that hardly differ: those of a function that varies fast do.
        """
        secant = self.ladder.quotients(length)
        difference = abs(secant.central - self.slope) if secant else 0.0
        if secant is None or not CLOSE * FAR * self.bar < difference < math.inf:
            return False
        step = self._shorter(length, difference)

        for far in (length, MIDWAY * length):  # few are needed to see that it is not
            ahead, behind = self._off(far - 2 * step, far)
            least = min(abs(ahead), abs(behind), abs(ahead + behind) / 2)
            if not (least <= ALIKE * difference or least > ASTRIDE * difference):
                return False
        places = np.array(WAY)
        slopes = [self._off(t * length - step, t * length + step) for t in WAY]
        ahead, behind = np.array(slopes).T
        # less the trend of most of them: between its jumps the loss may bend in a way of its own
        with np.errstate(invalid="ignore"):  # of infinite values nothing is said
            trend = places * np.median((ahead - behind) / (2 * places))
            left = np.abs(np.concatenate([ahead - trend, behind + trend]))
        return bool(np.mean(left <= ALIKE * difference) >= MOSTLY)

    def _off(self, near: float, far: float) -> tuple[float, float]:
        """By how much slopes between two distances from the point, ahead and behind, differ."""
        ahead, f_ahead, behind, f_behind = self.ladder.sample(far)
        ahead_near, f_ahead_near, behind_near, f_behind_near = self.ladder.sample(near)
        if not (ahead > ahead_near and behind > behind_near):
            return math.nan, math.nan  # lost in the resolution of the parameter
        rise, fall = f_ahead - f_ahead_near, f_behind_near - f_behind
        return rise / (ahead - ahead_near) - self.slope, fall / (behind - behind_near) - self.slope

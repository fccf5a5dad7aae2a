"""Random directions: how large an error can be that single steps could not see.

For Gaussian v and an error e of the claim, E[(e.v)^2] = norm(e)^2: a few directional derivatives
bound the norm of the error whatever the number of entries.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .derivative import Derivative
from .differences import MANY, derivative
from .ladder import FINEST, SIGMAS, Ladder
from .line import Line, shortest
from .loss import Loss
from .measured import Measured, rms, scale_of
from .parameters import Array

FIRST, THEN = 3, 16
"""Numbers of directions: at first, and where the noise of the loss has to be averaged.  With so
many, evaluations are better spent on more points along each than on more of them."""
QUANTILES = {FIRST: 0.0243, THEN: 3.94}
"""The 0.001-quantile of chi-squared with as many degrees of freedom: the sum of (e.v)^2 over them
falls below ``quantile * norm(e)**2`` once in a thousand times."""
SHARP = 2e-10
"""Error bar aimed at along a direction, relative to the gradient."""
ENOUGH = 0.03
"""Error bar that will do where noise dominates, as a part of `warn`."""
NOISY = 0.3
"""Part of `warn` to which a bound is driven by the second number of directions."""
AIM = 0.7
"""Part of `warn` aimed at with more points along each, once it is clear how many that takes."""
MOST = 1024
"""Largest number of points along one direction, on either side."""
FIRST_STEP = 1e-2
"""First step along a direction, as a fraction of the scale of the parameters."""


@dataclass(frozen=True)
class Bound:
    """What random directions say of a few blocks.

    Attributes
    ----------
    norm : float
        Upper bound on the norm of the error times the weight of the block, for each of the
        blocks, in the entries that did not climb.
    noisy : bool
        Whether it is the noise of the loss that keeps it from being sharper.
    contradicts : bool
        Whether there is an error larger than the error bars of the entries leave room for.
    """

    norm: float
    noisy: bool
    contradicts: bool


class Directions:
    """Derivatives along random directions through the parameters.

    Parameters
    ----------
    loss : Loss
    base : float
        The loss at the point.
    noise : float
        Standard deviation of one value of the loss.
    warn : float
        As in `Settings`.
    rng : numpy.random.Generator
    """

    def __init__(
        self, loss: Loss, base: float, noise: float, warn: float, rng: np.random.Generator
    ) -> None:
        self.loss, self.base, self.noise, self.warn, self.rng = loss, base, noise, warn, rng
        self.kinked = False

    def bound(
        self, blocks: Sequence[Measured], origin: Sequence[Array], *, most: float
    ) -> Bound | None:
        """Bound the error in `blocks`; None where kinks along a line let it prove nothing.

        Parameters
        ----------
        blocks : sequence of Measured
            Each has its weight w, most often 1 / norm(g): v = w z with Gaussian z, so that
            E[(e.v)^2] = sum over blocks of (w norm(e))^2.
        origin : sequence of ndarray
            Where they stand.
        most : float
            Evaluations that may be spent on averaging noise.
        """
        bound = self._bound(blocks, origin, FIRST, MANY)
        few = sum(block.claimed.size for block in blocks) <= THEN // 2  # whose entries cost less
        if bound is None or few or not bound.noisy or bound.norm / 2 <= NOISY * self.warn:
            return bound
        if most < 2 * THEN * MANY:
            return bound
        bound = self._sharper(bound, self._bound(blocks, origin, THEN, MANY))
        if bound.norm / 2 <= self.warn or bound.contradicts or not bound.noisy:
            return bound
        points = MANY * min(bound.norm / 2 / (AIM * self.warn), MOST) ** 2
        if not points <= MOST or 2 * THEN * points > most:  # NaN: of noise nothing is known
            return bound
        return self._sharper(bound, self._bound(blocks, origin, THEN, math.ceil(points)))

    @staticmethod
    def _sharper(bound: Bound, other: Bound | None) -> Bound:
        if other is None:
            return bound
        contradicts = bound.contradicts or other.contradicts
        return Bound(min(bound.norm, other.norm), other.noisy, contradicts)

    def _bound(
        self, blocks: Sequence[Measured], origin: Sequence[Array], count: int, points: int
    ) -> Bound | None:
        """The bound from so many directions, with so many points along each.

        The noise of the measurements adds to the sum of squares as it stands; their bias is added
        to each.
        """
        errors: list[float] = []
        noise = total = 0.0
        contradicts = False
        for _ in range(count):
            v = [block.weight * self.rng.standard_normal(block.claimed.size) for block in blocks]
            expected, known, explained = _expected(blocks, v)
            found = self._along(blocks, origin, v, expected, points)
            self.kinked |= found.kink
            if found.kink or not math.isfinite(found.uncertainty + known):
                return None
            noise, total = noise + found.noise, total + found.uncertainty
            bias = max(0.0, found.uncertainty - found.noise) + known
            error = abs(found.value - expected)
            errors.append(max(error, found.noise / SIGMAS) + bias)
            contradicts |= error > 2 * (found.uncertainty + known + explained)
        norm = math.hypot(*errors) / math.sqrt(QUANTILES[count])
        return Bound(norm, noise > total / 2, contradicts)

    def _along(
        self,
        blocks: Sequence[Measured],
        origin: Sequence[Array],
        v: Sequence[Array],
        expected: float,
        points: int,
    ) -> Derivative:
        longest = min(scale_of(theta) / rms(part) for theta, part in zip(origin, v, strict=True))
        parameters, believed = zip(*[(b.parameter, b.reference) for b in blocks], strict=True)
        line = Line(self.loss, parameters, origin, v, believed)
        least = shortest(parameters)
        ladder = Ladder(
            line.sample,
            self.base,
            max(FIRST_STEP, least) * longest,
            noise=self.noise,
            scale=longest,
            finest=max(FINEST, least) * longest,
        )
        target = SHARP * math.sqrt(len(blocks))
        enough = ENOUGH * self.warn
        return derivative(ladder, claim=expected, target=target, enough=enough, points=points)


def _expected(blocks: Sequence[Measured], v: Sequence[Array]) -> tuple[float, float, float]:
    """What the derivative along v should be, and the error bars of climbed and settled entries."""
    expected = known = settled = 0.0
    for block, part in zip(blocks, v, strict=True):
        expected += float(block.reference @ part)
        known += float(np.sum((block.uncertainty * np.abs(part))[block.climbed]))
        settled += float(np.sum((block.bar * part)[~block.climbed] ** 2))
    return expected, known, math.sqrt(settled)

"""Random directions: how large an error can be that single steps could not see.

For Gaussian v and an error e of the claim, E[(e.v)^2] = norm(e)^2: a few directional derivatives
bound the norm of the error whatever the number of entries.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .differences import Derivative, derivative
from .ladder import SIGMAS, Ladder
from .line import Line
from .loss import Loss
from .measured import Measured, rms, scale_of
from .parameters import Array

QUANTILES = {3: 0.0243, 16: 3.94, 64: 33.4}
"""Numbers of directions, and the 0.001-quantile of chi-squared with as many degrees of freedom:
the sum of (e.v)^2 over them falls below ``quantile * norm(e)**2`` once in a thousand times.  There
are more of them where the noise of the loss has to be averaged."""
SHARP = 5e-11
"""Error bar aimed at along a direction, relative to the gradient."""
ENOUGH = 0.03
"""Error bar that will do where noise dominates, as a part of `warn`."""
NOISY = 0.3
"""Part of `warn` to which a bound is driven by the second number of directions."""
NEAR = 2.0
"""Multiple of `warn` from which on the third is of use."""
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

    def bound(self, blocks: Sequence[Measured], origin: Sequence[Array]) -> Bound | None:
        """Bound the error in `blocks`; None where kinks along a line let it prove nothing.

        Each block has its weight w, most often 1 / norm(g): v = w z with Gaussian z, so that
        E[(e.v)^2] = sum over blocks of (w norm(e))^2.  The noise of the measurements adds
        to the sum of squares as it stands; their bias is added to each.
        """
        squares: list[float] = []
        noise = total = 0.0
        contradicts = False
        bound = Bound(math.inf, noisy=False, contradicts=False)
        for count, quantile in QUANTILES.items():
            while len(squares) < count:
                v = [
                    block.weight * self.rng.standard_normal(block.claimed.size) for block in blocks
                ]
                expected, known, explained = _expected(blocks, v)
                found = self._along(blocks, origin, v, expected)
                self.kinked |= found.kink
                if found.kink or not math.isfinite(found.uncertainty + known):
                    return None
                noise, total = noise + found.noise, total + found.uncertainty
                bias = max(0.0, found.uncertainty - found.noise) + known
                error = abs(found.value - expected)
                squares.append(float(np.square(max(error, found.noise / SIGMAS) + bias)))
                contradicts |= error > 2 * (found.uncertainty + known + explained)
            bound = Bound(math.sqrt(sum(squares) / quantile), noise > total / 2, contradicts)
            if not bound.noisy or not self._worth_more(bound.norm / 2, count):
                break
        return bound

    def _worth_more(self, relative_error: float, count: int) -> bool:
        if count == min(QUANTILES):
            return relative_error > NOISY * self.warn
        return self.warn < relative_error < NEAR * self.warn

    def _along(
        self,
        blocks: Sequence[Measured],
        origin: Sequence[Array],
        v: Sequence[Array],
        expected: float,
    ) -> Derivative:
        longest = min(scale_of(theta) / rms(part) for theta, part in zip(origin, v, strict=True))
        line = Line(self.loss, [block.parameter for block in blocks], origin, v)
        ladder = Ladder(
            line.sample,
            self.base,
            FIRST_STEP * longest,
            noise=self.noise,
            scale=longest,
            finest=longest,
        )
        target = SHARP * math.sqrt(len(blocks))
        return derivative(ladder, claim=expected, target=target, enough=ENOUGH * self.warn)


def _expected(blocks: Sequence[Measured], v: Sequence[Array]) -> tuple[float, float, float]:
    """What the derivative along v should be, and the error bars of climbed and settled entries."""
    expected = known = settled = 0.0
    for block, part in zip(blocks, v, strict=True):
        expected += float(block.reference @ part)
        known += float(np.sum((block.uncertainty * np.abs(part))[block.climbed]))
        settled += float(np.sum((block.bar * part)[~block.climbed] ** 2))
    return expected, known, math.sqrt(settled)

"""A derivative out of noise: least squares over many points, where a ladder of steps drowns.

The odd part of f around the point, ``(f(h) - f(-h)) / 2 = a h + c h^3 + ...``, is fitted by a
polynomial over m steps in (0, H], which takes the noise down like 1/sqrt(m) and, unlike two
points, shows it: the residuals are the noise.  The even part, ``(f(h) + f(-h)) / 2 = f(0) +
(k/2) h + b h^2 + ...``, gives the jump k of the slope in the same way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .ladder import Sample
from .parameters import Array

TERMS = 6
"""Largest number of terms of a polynomial."""
TOGETHER = 0.97
"""Largest correlation of neighbouring residuals that is allowed for: eight count as one."""
STAIRS = 32
"""Height of f over a window, in units of its noise, below which rounding is not random."""


@dataclass(frozen=True)
class Fit:
    """A slope, with its error split by cause as in `ladder.Estimate`.

    `odd` and `even` hold the coefficients of the two polynomials in h / `longest`.
    """

    value: float
    truncation: float
    noise: float
    jump: float
    jump_chance: float
    chance: float
    odd: Array
    even: Array
    longest: float

    def central(self, step: float) -> float:
        """The central difference at one step, as the polynomial has it."""
        x = step / self.longest
        return float(sum(c * x ** (2 * i) for i, c in enumerate(self.odd))) / self.longest

    def companion(self, step: float) -> float:
        """The difference of the slopes on both sides at one step, likewise."""
        x = step / self.longest
        bend = sum(c * x ** max(0, 2 * i - 1) for i, c in enumerate(self.even[1:]))
        return 2 * float(bend) / self.longest

    @property
    def uncertainty(self) -> float:
        return self.truncation + self.noise + abs(self.jump) / 2

    @property
    def hidden(self) -> float:
        """What a jump that noise explains adds to `uncertainty`."""
        return abs(self.jump) / 2 if abs(self.jump) <= self.jump_chance else 0.0

    @property
    def sure(self) -> float:
        """The error bar if nothing hides in the noise."""
        return self.uncertainty - self.hidden

    @property
    def random(self) -> float:
        """The part of `uncertainty` that noise explains."""
        return self.noise + min(self.truncation + abs(self.jump) / 2, self.chance)


class Window:
    """Values of f on both sides of the point, at Chebyshev nodes of (0, longest].

    Parameters
    ----------
    sample : callable
        See `ladder.Sample`.
    longest : float
        H above.
    points : int
        m above.
    floor : float
        Noise of f that is certain; the residuals may only show more.
    scale : float
        Natural scale of the variable, on which f may bend.
    """

    def __init__(
        self, sample: Sample, longest: float, points: int, floor: float, scale: float
    ) -> None:
        nodes = longest * np.sin(np.pi * (2 * np.arange(points) + 1) / (4 * points))
        rows = np.array([sample(float(h)) for h in nodes])
        self.steps = (rows[:, 0] + rows[:, 2]) / 2
        self.odd = (rows[:, 1] - rows[:, 3]) / 2
        self.even = (rows[:, 1] + rows[:, 3]) / 2
        self.longest, self.floor, self.scale = longest, floor, scale

    @property
    def usable(self) -> bool:
        """Whether f is finite at all points, and these are enough once they were rounded."""
        distinct = len(np.unique(self.steps))
        return distinct > TERMS + 2 and bool(np.all(np.isfinite(self.odd)))

    def best(self, sigmas: float) -> Fit:
        """The fit with the smallest error bar over all numbers of terms.

        Parameters
        ----------
        sigmas : float
            Standard deviations that an error bar spans.
        """
        x = self.steps / self.longest
        odd = [x ** (2 * i + 1) for i in range(TERMS + 2)]
        even = [np.ones_like(x), *(x ** max(1, 2 * i) for i in range(TERMS))]
        slopes = [_solve(odd[: p + 1], self.odd, 0, self.floor) for p in range(TERMS + 2)]
        jumps = [_solve(even[: p + 2], self.even, 1, self.floor) for p in range(TERMS)]
        # A handful of steps of a staircase is no noise that more points would average, and hides
        # how f bends: then nothing is claimed that a part of its scale alone would not show.
        flat = float(np.ptp(self.odd)) < STAIRS * self.floor
        stairs = sigmas * self.floor / min(self.longest, self.scale / 4) if flat else 0.0
        fits = []
        for p in range(TERMS):
            (curve, error), (bend, jump_error) = slopes[p], jumps[p]
            value, jump = float(curve[0]), float(bend[1])
            fits.append(
                Fit(
                    value=value / self.longest,
                    truncation=sum(abs(value - float(slopes[p + i][0][0])) for i in (1, 2))
                    / self.longest,
                    noise=sigmas * error / self.longest + stairs,
                    jump=2 * jump / self.longest,
                    jump_chance=2 * sigmas * jump_error / self.longest,
                    chance=sigmas * (slopes[p + 1][1] / 2 + jump_error) / self.longest,
                    odd=curve,
                    even=bend,
                    longest=self.longest,
                )
            )
        return min(fits, key=lambda fit: fit.sure)


def _solve(columns: list[Array], values: Array, which: int, floor: float) -> tuple[Array, float]:
    """A least-squares fit, and the standard error of one coefficient from the residuals.

    Residuals that go up and down together, of a staircase or of a bend that no polynomial follows,
    do not average like noise.  Taken for an autoregressive process of order one, they count as if
    there were fewer of them (Bayley & Hammersley, J. R. Stat. Soc. Suppl. 8 (1946) 184).
    """
    matrix = np.stack(columns, axis=1)
    q, r = np.linalg.qr(matrix)
    inverse = np.linalg.inv(r)
    coefficients = inverse @ (q.T @ values)
    free = len(values) - len(columns)
    residual = values - matrix @ coefficients
    # few residuals may be small by chance: half as much again for a dozen of them
    sigma = math.sqrt(float(residual @ residual) / free) * (1 + 6 / free)
    spread = math.sqrt(float(inverse[which] @ inverse[which]))
    return coefficients, max(sigma * _together(residual), floor) * spread


def _together(residual: Array) -> float:
    """Square root of the number of residuals that count as one."""
    square = float(residual @ residual)
    if not square > 0:
        return 1.0
    correlation = min(max(0.0, float(residual[1:] @ residual[:-1]) / square), TOGETHER)
    return math.sqrt((1 + correlation) / (1 - correlation))

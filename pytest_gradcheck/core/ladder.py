"""Central differences on a ladder of steps, extrapolated, each with its error bar.

With F and B the forward and the backward difference quotient of f at step h,

    D(h) = (F + B) / 2 = f' + c2 h^2 + c4 h^4 + ...      the central difference,
    S(h) =  F - B      = k  + b1 h   + b3 h^3 + ...      its companion,

where k is the jump of the slope at the point: 0 where f is differentiable.  Richardson
extrapolation over the same steps gives the limit of both.  The first is the derivative.  The
second must vanish; what is left of it bounds what a kink may have done to the first, since D
converges across a kink to the mean of the two slopes as if nothing were there.

The error bar of an extrapolated value is the sum of its truncation (its distance to its coarser
neighbour in Neville's tableau), its rounding (the noise of f through the weights of the
extrapolation), and half of the remaining jump.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

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

ROUNDING = 2.0**-53
"""Rounding of a value by itself, relative: no function is known better."""

BETWEEN = ((0.62, 0.37), (0.83, 0.29), (0.71, 0.45))
"""Steps at which a discrepancy is confirmed, as parts of the shortest one it rests on; and where it
is confirmed again."""

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
class Estimate:
    """One entry of the tableau, with its error split by cause; from steps `finest` to `step`."""

    value: float
    truncation: float
    noise: float
    jump: float
    jump_error: float
    step: float
    finest: float

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

    @property
    def jumps(self) -> bool:
        """Whether the jump is certain."""
        return abs(self.jump) > 3 * self.jump_error


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
        The shortest step, `FINEST` times the scale on which the variable has digits.
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
        self.sample = cache(sample)  # in case that a step is asked for again
        self.base, self.first, self.noise = base, first, noise
        self.longest = COARSEST * scale
        self.rungs: dict[int, Rung] = {}
        self.scatter = 0.0
        self.highest = max(0, _rungs_between(first, self.longest))
        self.lowest = min(0, 1 + _rungs_between(first, finest))

    def add(self, k: int) -> None:
        """Evaluate the rung with step ``first * RATIO**k``."""
        rung = self.quotients(self.first * RATIO**k)
        if rung is None:
            self.lowest = max(self.lowest, k + 1)
            return
        if not (math.isfinite(rung.forward) or math.isfinite(rung.backward)):
            self.highest = min(self.highest, k - 1)
        self.rungs[k] = rung

    def check_below(self, step: float, parts: tuple[float, ...] = BETWEEN[0]) -> bool:
        """Look at steps off the ladder, `parts` of that of a rung; whether it could be.

        Rounding at steps that are multiples of each other may agree by its own rules.  How far
        these lie from where the rung and its coarser neighbour have them is noise from then on.
        """
        rungs = sorted((r for r in self.rungs.values() if r.step >= step), key=lambda r: r.step)
        off = [rung for part in parts if (rung := self.quotients(part * step))]
        if len(rungs) < 2:
            return False
        for kind, power in (("central", 2), ("forward", 1), ("backward", 1)):
            fine, coarse = (float(getattr(rung, kind)) for rung in rungs[:2])
            if math.isfinite(fine + coarse):
                unit = rungs[1].step  # of any size: its powers may overflow
                known = (rungs[0].step / unit) ** power
                bend = (coarse - fine) / (1 - known)
                for r in off:
                    expected = fine + bend * ((r.step / unit) ** power - known)
                    self.scatter = max(self.scatter, abs(getattr(r, kind) - expected) * r.step)
                break
        return bool(off)

    def at(self, t: float) -> float:
        """The function at a displacement to one side, evaluated on both."""
        return self.sample(abs(t))[1 if t > 0 else 3]

    def quotients(self, step: float) -> Rung | None:
        """Both sides at one step; None where it is lost in the resolution of the parameter."""
        plus, f_plus, minus, f_minus = self.sample(step)
        if plus == 0 or minus == 0:
            return None
        forward = (f_plus - self.base) / plus
        backward = (self.base - f_minus) / minus
        largest = max(abs(f) for f in (f_plus, f_minus, self.base) if math.isfinite(f))
        return Rung(
            step=(plus + minus) / 2,
            central=(forward * minus + backward * plus) / (plus + minus),
            jump=forward - backward,
            forward=forward,
            backward=backward,
            sigma=max(self.noise, ROUNDING * largest),
        )

    @property
    def quietest(self) -> float:
        """Noise of a value near the point itself."""
        return max(self.noise, ROUNDING * abs(self.base))

    @property
    def curvature(self) -> float:
        """Magnitude of the second derivative, where two neighbouring steps agree on one, or 0.

        Across a kink they differ by the ratio of the steps, in noise by its square.
        """
        bends = {k: abs(r.jump) / r.step for k, r in self.rungs.items()}
        pairs = [(bends[k], bends[k + 1]) for k in bends if k + 1 in bends]
        agreed = [max(pair) for pair in pairs if max(pair) <= 2 * min(pair) < math.inf]
        return min(agreed, default=0.0)

    def widest(self, windows: int) -> float:
        """Where to begin with ever narrower windows, of which there are so many.

        That is at the longest step, unless the domain ends before it, or the rungs show that all
        those windows would lie beyond what is smooth.
        """
        broken = [r.step for r in self.rungs.values() if not math.isfinite(r.central)]
        edge = min(broken, default=math.inf)
        inside = max((r.step for r in self.rungs.values() if r.step < edge), default=self.longest)
        widest = self.longest if math.isinf(edge) else inside
        best = self.best()
        if best is not None and best.step * RATIO < widest * RATIO**-windows:
            return best.step * RATIO
        return widest

    def best(self) -> Estimate | None:
        """The estimate with the smallest error bar; None before two neighbouring rungs exist."""
        estimates = self.estimates()
        return min(estimates, key=lambda e: e.uncertainty) if estimates else None

    def estimates(self) -> list[Estimate]:
        """All extrapolations over runs of neighbouring rungs."""
        found: list[Estimate] = []
        for run in self._runs():
            rungs = [self.rungs[k] for k in run]
            central = tableau([r.central for r in rungs], CENTRAL)
            jump = tableau([r.jump for r in rungs], JUMP)
            for k in range(1, len(rungs)):
                finer = self.finer_than(rungs[k])
                for j in range(1, min(k, ORDER) + 1):
                    found.append(_estimate(rungs, central, jump, k, j, finer, self.scatter))
        return found

    def finer_than(self, rung: Rung) -> list[Rung]:
        """All that was seen at shorter steps."""
        return [other for other in self.rungs.values() if other.step < rung.step]

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


def _rungs_between(first: float, last: float) -> int:
    """Whole powers of `RATIO` from one step to another, at most a thousand."""
    if not (first > 0 and last > 0 and math.isfinite(last)):
        return -1000
    return max(-1000, math.floor(math.log(last, RATIO) - math.log(first, RATIO)))


def tableau(values: list[float], weights: list[list[float]]) -> list[list[float]]:
    """Row k holds the extrapolations over the last 1, 2, ... of the values up to k."""
    return [
        [
            sum(w * v for w, v in zip(weights[j], values[k - j : k + 1], strict=True))
            for j in range(min(k, ORDER) + 1)
        ]
        for k in range(len(values))
    ]


def scatter_of(slopes: list[tuple[float, float]], value: float) -> float:
    """Scatter of difference quotients at shorter steps about a value, as noise of the function.

    It catches noise that was measured too low, and anything near the point that the longer steps
    stepped over.
    """
    return max((abs(s - value) * step for s, step in slopes if math.isfinite(s)), default=0.0)


def _estimate(
    rungs: list[Rung],
    central: list[list[float]],
    jump: list[list[float]],
    k: int,
    j: int,
    finer: list[Rung],
    scatter: float,
) -> Estimate:
    value, used = central[k][j], rungs[k - j : k + 1]
    scatter = max(scatter, scatter_of([(r.central, r.step) for r in finer], value))
    noise = jump_noise = 0.0
    for rung, w_central, w_jump in zip(used, CENTRAL[j], JUMP[j], strict=True):
        sigma = max(rung.sigma, scatter * math.sqrt(2))
        noise += abs(w_central) * SIGMAS * sigma / (math.sqrt(2) * rung.step)
        jump_noise += abs(w_jump) * SIGMAS * sigma * math.sqrt(6) / rung.step
    return Estimate(
        value=value,
        truncation=abs(value - central[k - 1][j - 1]),
        noise=noise,
        jump=jump[k][j],
        jump_error=jump_noise + abs(jump[k][j] - jump[k - 1][j - 1]),
        step=used[0].step,
        finest=used[-1].step,
    )

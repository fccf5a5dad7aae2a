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
from dataclasses import dataclass, field

import numpy as np

from .differences import SIGMAS, Derivative, Ladder, derivative
from .exhaustive import central_quotients, forward_quotients, steps
from .line import Axis, Line
from .loss import Loss
from .noise import measure_noise
from .parameters import Array, Parameter
from .problem import Problem

SETTLED = 0.03
"""Part of `tol` that one entry may use up and still be settled by its first step."""
NOISY = 0.3
"""Part of `warn` to which the gradient of a noisy loss is verified without dearer means."""
SHARP = 5e-11
"""Error bar aimed at along random directions, relative to the gradient."""
FEW, MANY = 3, 16
"""Random directions: to begin with, and where the noise of the loss has to be averaged."""
QUANTILE = {FEW: 0.0243, MANY: 3.94}
"""0.001-quantile of chi-squared with that many degrees of freedom: for Gaussian v the sum of
(e.v)^2 over the directions falls below ``QUANTILE * norm(e)**2`` once in a thousand times."""
BUDGET, BUDGET_PER_ENTRY = 50_000, 20
"""Evaluations after which no further entry climbs: a loss that needs more is not measurable."""
SOME = 32
"""Entries that climb before it is asked whether it is worth while."""
KINK = 1e-3
"""Difference of the slopes on both sides, relative, from which a first step settles nothing."""
SHORT = 1e-3
"""What is measured must still hold at this fraction of a parameter's own size."""
FIRST_STEP = 1e-2
"""First step along a random direction, as a fraction of the scale of the parameters."""


@dataclass
class Measured:
    """What is known of the gradient of one parameter.

    Attributes
    ----------
    claimed, numeric : ndarray, flat float64
        At a kink `numeric` is the subgradient nearest to the claim.
    uncertainty : ndarray
        Error bar of `numeric`.
    claim_rounding : ndarray
        Error bar of the claim itself, from the precision in which it was handed over.
    bound : float
        Upper bound on the norm of the error of the claim, where random directions found one;
        infinite otherwise.
    kinks : ndarray of bool
        Entries at which the loss has two slopes.
    climbed : ndarray of bool
        Entries measured on a ladder of steps.
    undecided : bool
        Whether kinks crowd so near the point that no difference quotient reaches below them.
    """

    parameter: Parameter
    claimed: Array
    numeric: Array
    uncertainty: Array
    claim_rounding: Array
    bound: float = math.inf
    undecided: bool = False
    kinks: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    climbed: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))

    def __post_init__(self) -> None:
        self.kinks = np.zeros(self.claimed.size, bool)
        self.climbed = np.zeros(self.claimed.size, bool)

    def give_up(self) -> None:
        """Claim nothing about this parameter: kinks crowd too near the point."""
        self.undecided = True
        self.uncertainty = np.maximum(self.uncertainty, np.abs(self.claimed - self.numeric))
        self.bound = math.inf

    def unsettle(self) -> None:
        """Doubt the first step: random directions contradict the entries that agreed at it."""
        self.uncertainty[~self.climbed] = math.inf
        self.bound = math.inf

    @property
    def scale(self) -> float:
        """Norm of the claimed plus norm of the measured gradient, as far as it is better known."""
        return float(np.linalg.norm(self.claimed) + np.linalg.norm(self.reference))

    @property
    def reference(self) -> Array:
        """The best that is known: the measurement, or the claim where a first step agrees."""
        settled = ~self.climbed & (self.uncertainty < np.inf)
        return np.where(settled & np.isfinite(self.numeric), self.claimed, self.numeric)

    @property
    def bar(self) -> Array:
        """Error bar of every difference between claim and measurement."""
        return self.uncertainty + self.claim_rounding

    def error_limits(self) -> tuple[float, float, float]:
        """Norm of the error: at least, as measured, at most."""
        error = np.abs(self.claimed - self.numeric)
        least = float(np.linalg.norm(np.maximum(error - self.bar, 0.0)))
        most = _norm_bound(error, self.uncertainty)
        return least, float(np.linalg.norm(error)), max(min(most, self.bound), least)

    def narrow(self, settled: float) -> None:
        """Use a new upper bound on the norm of the error in the entries that did not climb."""
        error = np.abs(self.claimed - self.numeric)[self.climbed]
        whole = math.hypot(_norm_bound(error, self.uncertainty[self.climbed]), settled)
        self.bound = min(self.bound, whole)


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
        measured = Measured(parameter, claim, quotients.values, zero, zero)
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
        self.noise = jitter
        self.noise = max(jitter, self._measure_noise())
        self.blocks = [
            self._first_step(p, g, u)
            for p, g, u in zip(self.parameters, claims, rounding, strict=True)
        ]

    def run(self) -> list[Measured]:
        size = sum(block.claimed.size for block in self.blocks)
        self.budget = self.loss.evaluations + max(BUDGET, BUDGET_PER_ENTRY * size)
        for i, block in enumerate(self.blocks):
            error = np.abs(block.claimed - block.numeric)
            for j in np.argsort(-np.nan_to_num(error, nan=np.inf), kind="stable"):
                unsettled = not math.isfinite(block.uncertainty[j])
                if unsettled and math.isfinite(block.claimed[j]) and self._affordable:
                    self._climb(i, int(j))
        live = [
            i for i, block in enumerate(self.blocks) if 0 < _rms_of_all(block.claimed) < math.inf
        ]
        noisy = bool(live) and self._bound(live)
        for i, block in enumerate(self.blocks):
            enough = self._known(i, self.warn if noisy else self.tol)
            if enough or not np.all(np.isfinite(block.claimed)):
                continue
            drowned = block.claimed.size > FEW and self._bound([i])
            self._climb_all(i, self.warn if drowned else self.tol)
        return self.blocks

    @property
    def _affordable(self) -> bool:
        return self.loss.evaluations < self.budget

    def _known(self, i: int, goal: float) -> bool:
        """Whether the relative error of block i is known to `goal`, beyond what is certain."""
        block = self.blocks[i]
        least, _, most = block.error_limits()
        return most - least <= 2 * goal * block.scale

    def _measure_noise(self) -> float:
        direction = [
            np.where(theta == 0, _scale(theta), theta) * self.rng.standard_normal(theta.size)
            for theta in self.origin
        ]
        return measure_noise(Line(self.loss, self.parameters, self.origin, direction), self.base)

    def _first_step(self, parameter: Parameter, claim: Array, rounding: float) -> Measured:
        """Step 1: entries that are not settled get an infinite error bar."""
        q = central_quotients(parameter, self.loss, self.eps)
        numeric, rms = q.values, _rms(claim)
        claim_rounding = rounding * (4 * np.abs(claim) + 2 * rms)
        largest = np.maximum(np.abs(q.plus), np.abs(q.minus))
        sigma = np.maximum(self.noise, 2.0**-53 * largest)
        with np.errstate(divide="ignore", invalid="ignore"):
            noise = SIGMAS * math.sqrt(2) * sigma / q.width
            error = np.abs(numeric - claim)
            agree = error <= noise + claim_rounding + self._target(claim)
            # across a kink the central difference is the mean of two slopes, and may agree as such
            jump = 2 * (q.plus - 2 * self.base + q.minus) / q.width
            agree &= np.abs(jump) <= 2 * noise + KINK * (np.abs(claim) + rms)
        uncertainty = np.where(agree, noise + error, np.inf)
        return Measured(parameter, claim, numeric, uncertainty, claim_rounding)

    def _target(self, claim: Array) -> Array:
        """Error of an entry that does not matter beside `tol`."""
        return SETTLED * self.tol * np.maximum(np.abs(claim), _rms(claim))

    def _enough(self, target: float) -> float:
        """The same where noise allows no better: what does not matter beside `warn`."""
        return target * self.warn / self.tol

    def _climb(self, i: int, j: int) -> None:
        """Measure entry j of block i on a ladder of steps."""
        block = self.blocks[i]
        theta, claim = float(self.origin[i][j]), float(block.claimed[j])
        axis = Axis(self.loss, block.parameter, j, theta)
        own = abs(theta) or _scale(self.origin[i])
        largest = max(1.0, own, _scale(self.origin[i]))
        target = float(self._target(block.claimed)[j])

        def measured(first: float) -> tuple[Ladder, Derivative]:
            ladder = Ladder(
                axis.sample, self.base, first, noise=self.noise, scale=largest, finest=own
            )
            found = derivative(ladder, claim=claim, target=target, enough=self._enough(target))
            return ladder, found

        first = float(steps(np.array(theta), self.eps))
        ladder, found = measured(first)
        if SHORT * own < first and not ladder.agrees_at(SHORT * own, found):
            found = measured(SHORT * own)[1]
        self._note(block, j, found)

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
                reached = _norm_bound(np.zeros(1), block.uncertainty[block.climbed])
                if count and reached > 2 * goal * block.scale:
                    if goal >= self.warn:
                        return
                    goal = self.warn
            self._climb(i, int(j))

    def _bound(self, which: list[int]) -> bool:
        """Step 3: bound the norm of the error in the settled entries of the blocks `which`.

        Each block has equal relative weight: v = z / norm(g) with Gaussian z, so that
        E[(e.v)^2] = sum over blocks of (norm(e) / norm(g))^2.  The noise of the measurements adds
        to the sum of squares as it stands; their bias is added to each.

        Returns
        -------
        bool
            Whether it is noise that keeps the bound from being sharper.  Then it was averaged over
            many directions.
        """
        weight = [1 / (float(np.linalg.norm(self.blocks[i].claimed)) or 1.0) for i in which]
        goal = NOISY * self.warn
        squares: list[float] = []
        noise = total = bound = 0.0
        contradicted = False
        while len(squares) < FEW or (len(squares) < MANY and noise > total / 2 and bound > goal):
            v = [
                w * self.rng.standard_normal(self.origin[i].size)
                for i, w in zip(which, weight, strict=True)
            ]
            found, expected, known = self._along(which, v)
            self.kinked |= found.kink
            if found.kink or not math.isfinite(found.uncertainty + known):
                return False  # several kinks may meet along one line: it proves nothing
            noise, total = noise + found.noise, total + found.uncertainty
            bias = max(0.0, found.uncertainty - found.noise) + known
            error = abs(found.value - expected)
            squares.append(float(np.square(max(error, found.noise / SIGMAS) + bias)))
            contradicted |= error > 2 * (found.uncertainty + known + self._explained(which, v))
            bound = math.sqrt(sum(squares) / QUANTILE.get(len(squares), QUANTILE[FEW]))
        for i, w in zip(which, weight, strict=True):
            if contradicted and len(which) == 1:
                self.blocks[i].unsettle()
            self.blocks[i].narrow(bound / w)
        if contradicted and len(which) > 1:
            for i in which:
                self._bound([i])
        return noise > total / 2

    def _explained(self, which: list[int], v: list[Array]) -> float:
        """Derivative along v that the error bars of settled entries leave room for."""
        return math.sqrt(
            sum(
                float(np.sum(((self.blocks[i].bar * direction)[~self.blocks[i].climbed]) ** 2))
                for i, direction in zip(which, v, strict=True)
            )
        )

    @staticmethod
    def _sharp(which: list[int]) -> float:
        """Error bar aimed at along a random direction through the blocks `which`."""
        return SHARP * math.sqrt(len(which))

    def _along(self, which: list[int], v: list[Array]) -> tuple[Derivative, float, float]:
        """The derivative along v, what it should be, and the error bar of that."""
        expected = known = 0.0
        for i, direction in zip(which, v, strict=True):
            block = self.blocks[i]
            expected += float(block.reference @ direction)
            known += float(np.sum((block.uncertainty * np.abs(direction))[block.climbed]))
        origin = [self.origin[i] for i in which]
        longest = min(
            _scale(theta) / _rms(direction) for theta, direction in zip(origin, v, strict=True)
        )
        ladder = Ladder(
            Line(self.loss, [self.parameters[i] for i in which], origin, v).sample,
            self.base,
            FIRST_STEP * longest,
            noise=self.noise,
            scale=longest,
            finest=longest,
        )
        found = derivative(
            ladder, claim=expected, target=self._sharp(which), enough=0.1 * NOISY * self.warn
        )
        return found, expected, known


def _norm_bound(error: Array, bar: Array) -> float:
    """Upper bound on the norm of a true error, given the measured one and its error bars.

    One bar may be used up wholly, many independent ones may not all be: their sum of squares stays
    near its mean, which lies at a sixteenth of that of bars of four standard deviations.
    """
    if error.size == 0:
        return 0.0
    part = 0.4 + 0.6 / math.sqrt(error.size)
    return float(np.linalg.norm(error) + part * np.linalg.norm(bar))


def _rms_of_all(values: Array) -> float:
    return _rms(values) if np.all(np.isfinite(values)) else math.inf


def _rms(values: Array) -> float:
    """Root mean square of the finite entries, of any magnitude."""
    finite = np.abs(values[np.isfinite(values)])
    largest = float(np.max(finite, initial=0.0))
    return largest * float(np.sqrt(np.mean((finite / largest) ** 2))) if largest > 0 else 0.0


def _scale(theta: Array) -> float:
    """Natural scale of a block of parameters; 1 where all of them are zero."""
    return _rms(theta) or 1.0

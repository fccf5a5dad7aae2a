"""Probes: derivatives of the loss along random directions through many parameters at once.

For an error e of the claimed gradient and random weights v, the discrepancy of one directional
derivative is e.v, and E[(e.v)^2] = norm(e)^2: a handful of probes bounds the norm of the error,
whatever the number of parameters.  Each block has its weights scaled by 1 / norm(g), so that one
probe examines all blocks at equal relative weight, large or small.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from .belief import FINE, Belief
from .derivative import Derivative
from .descent import descend
from .differences import agrees_at, confirmed, far_shorter, verdict
from .direction import Direction
from .jumps import FAR
from .ladder import FINEST, RATIO, SIGMAS, Ladder, Sample
from .left_over import left_by_cancelling
from .line import Axis, Line, shortest
from .loss import Loss
from .measured import COMMON, SINGLE, scale_of, scale_that_matters
from .noise import height_of_jumps, measure_noise
from .parameters import Array, Parameter
from .reading import Reading, astray
from .region import Region
from .spread import Spread
from .weights import Weights

FIRST_STEP = 1e-3
"""First step along a direction, as a fraction of the scale of the parameters: short enough that two
extrapolations certify a smooth loss, long enough that its rounding does not matter yet."""
HINT, DESCENTS = 2.0, 3
"""Error bars by which steps far longer stray, from which the next few directions, so many with the
first, begin with `FIRST_STEP`, too."""
CLEAN = 1e-13
"""Noise of a loss in float64, relative to it: differences of that agree by no chance."""

Skip = Sequence[Region]
"""Regions that a probe leaves out."""


class Prober:
    """Derivatives along random directions, with what is believed of the gradient beside them.

    Between them the parameters may stand elsewhere, until `settle` is called.

    Parameters
    ----------
    parameters : sequence of Parameter
    loss : Loss
    base : float
        The loss at the point.
    origin : sequence of ndarray
        The parameters there, flat.
    belief : Belief
    seed : int
    workers : Spread or None
        Who evaluates what can be foreseen.

    Attributes
    ----------
    weight : sequence of float
        Scale of the weights of each block.
    noise : float
        Standard deviation of one value of the loss, as far as it is known.
    strayed : bool
        Whether an entry measured by itself had another slope at steps far longer.
    borne_out, borne_out_alone : bool
        Whether far shorter steps were seen to bear out what contradicts the belief: along rows, and
        along entries by themselves.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        loss: Loss,
        *,
        base: float,
        origin: Sequence[Array],
        belief: Belief,
        seed: int,
        workers: Spread | None = None,
    ) -> None:
        self.parameters, self.loss, self.base = parameters, loss, base
        self.noise, self.workers = 0.0, workers
        self._ahead: dict[Direction, dict[float, float]] = {}
        self._last = Direction(seed, 0, (), ())
        self._slope = self._last, -1, math.nan
        self._away: tuple[Region, ...] = ()
        self._back: Callable[[], None]
        self.origin, self.belief = origin, belief
        self.weight, self.seed = belief.weight, seed
        self.scale = [scale_of(theta) for theta in origin]
        self.first = self.first_alone = FIRST_STEP
        self.strayed, self.descents = False, 0
        self.borne_out = self.borne_out_alone = False

    def direction(self, regions: Sequence[Region], row: int, skip: Skip = ()) -> Direction:
        """One row of weights over `regions` but those in `skip`, every block at its own scale."""
        scale = tuple(self.weight[region.block] for region in regions)
        direction = Direction(self.seed, row, tuple(regions), scale, tuple(skip))
        if direction != self._last:  # else its weights are at hand
            self._last = direction
        return self._last

    def weights(self, region: Region, row: int) -> Weights:
        """Weights of the entries of a region in one row of probes, in the region's shape."""
        return self.direction((region,), row).weights(region)

    def reach(self, block: int) -> float:
        """How far a block may be moved along its weights: as far as it is large."""
        return self.scale[block] / self.weight[block]

    def longest(self, regions: Sequence[Region]) -> float:
        """How far all of these may be moved at once."""
        return min(self.reach(region.block) for region in regions)

    def read(
        self,
        regions: Sequence[Region],
        row: int,
        *,
        target: float,
        enough: float = math.inf,
        skip: Skip = (),
    ) -> Reading:
        """Measure the derivative along one row of weights, over `regions` but those in `skip`.

        Parameters
        ----------
        target : float
            Error bar aimed at.
        enough : float
            Where noise dominates, more than a few points are spent to get below this.
        """
        direction, longest = self.direction(regions, row, skip), self.longest(regions)
        rounding = self.belief.rounding_bar(regions)
        least = self._least(regions)
        known = self._ahead.pop(direction, {})
        at = self.along(direction, known)

        def sample(h: float) -> tuple[float, float, float, float]:
            return h, at(h), h, at(-h)

        ladder = self.ladder(sample, self.first, longest, least)
        far = self.first == FIRST_STEP
        found = descend(ladder, target, enough, far=far)
        found = self._confirmed(ladder, found, lambda: self._believed(direction), target)
        off = astray(ladder, found) if far else 0.0
        if not self.borne_out and found.contradicts(self._believed(direction)):
            shorter = far_shorter(ladder, self._believed(direction), found, least * longest)
            self.borne_out = shorter is None
            if shorter:
                ladder, off = shorter, math.inf
                found = descend(ladder, target, enough, far=False)
        self.descents += far
        if found.kink and abs(found.left - found.right) <= rounding:
            found = found.spanning()  # a kink that matters to no claim rounded like this one
        learnt = self._learnt(ladder, longest, self.first)
        again = off > HINT and self.descents < DESCENTS  # do longer steps stray along others, too?
        self.first = FIRST_STEP if again else learnt
        if not math.isfinite(found.value):
            return Reading(0.0, math.inf)
        bar = found.uncertainty + self._misjudged(direction, found.value, learnt)
        if abs(found.value - self._believed(direction)) > bar + rounding:
            bar += self._last_digits(regions, ladder, longest)
        return Reading(found.value, bar, found.noise, found.kink, found.reach, off > FAR)

    def _misjudged(self, direction: Direction, value: float, step: float) -> float:
        """What parameters below float64 add by their rounding, as far as the belief is wrong."""
        parameters = [self.parameters[region.block] for region in direction.regions]
        eps = max((p.eps for p in parameters if p.narrow), default=0.0)
        if not eps:
            return 0.0
        error = abs(value - self._believed(direction))
        return SIGMAS * error * eps / 2 / step

    def entry(self, block: int, i: int, *, target: float) -> Derivative:
        """Measure the derivative by entry i of a block alone."""
        self.settle()
        theta, scale = float(self.origin[block][i]), self.scale[block]
        believed, entry = float(self.belief.gradient[block][i]), self._entry(block, i)
        axis, longest = Axis(self.loss, self.parameters[block], i, theta), max(abs(theta), scale)
        ladder = self.ladder(axis.sample, self.first_alone, longest, FINEST)
        far = self.first_alone == FIRST_STEP
        found = descend(ladder, target, math.inf, far=far)
        found = self._confirmed(ladder, found, lambda: believed, target)
        self.strayed |= far and astray(ladder, found) > FAR
        if 0 < abs(theta) < found.step and (
            found.contradicts(believed) or not agrees_at(ladder, FIRST_STEP * abs(theta), found)
        ):
            longest = abs(theta)
            ladder = self.ladder(axis.sample, FIRST_STEP, longest, FINEST)
            found = descend(ladder, target, math.inf, far=True)
        else:
            if not self.borne_out_alone and found.contradicts(believed):
                shorter = far_shorter(ladder, believed, found, FINEST * longest)
                self.borne_out_alone = shorter is None
                if shorter:
                    ladder = shorter
                    found = descend(ladder, target, math.inf, far=False)
                    self.strayed = True
            self.first_alone = self._learnt(ladder, longest, self.first_alone)
        rounding = self.belief.rounding_bar(entry) / self.weight[block]
        if found.widened(rounding).contradicts(believed):
            found = found.widened(self._last_digits(entry, ladder, longest))
        return found

    def _last_digits(self, regions: Sequence[Region], ladder: Ladder, longest: float) -> float:
        """What last digits hide of a slope: of the terms of a loss, and of narrow parameters.

        Claims in single precision know these to a last digit, of which curvature makes a slope.
        """
        digit = max(min(self.belief.rounding[region.block], SINGLE) for region in regions)
        of_parameters = COMMON * digit * longest * ladder.curvature if digit > FINE else 0.0
        return self._left_by_cancelling / longest + of_parameters

    def _entry(self, block: int, i: int) -> tuple[Region]:
        return (Region.whole(block, self.parameters[block].shape).entry_at(i),)

    @cached_property
    def _left_by_cancelling(self) -> float:
        self.settle()
        along = Line(self.loss, self.parameters, self.origin, self.origin)
        return left_by_cancelling(along, self.base)

    def _confirmed(
        self, ladder: Ladder, found: Derivative, claim: Callable[[], float], target: float
    ) -> Derivative:
        """What was found, as far as steps off the ladder bear it out where the loss is noisy.

        Rounded parameters add more noise the steeper the loss is where they are moved to: beside
        an optimum, more than is seen at the point.
        """
        if self.noise <= CLEAN * abs(self.base):
            return found
        return confirmed(ladder, found, claim(), lambda: verdict(ladder, target))

    def ladder(self, sample: Sample, first: float, longest: float, least: float) -> Ladder:
        """The foot of a ladder; its first and its shortest step as parts of the longest."""
        first, finest = max(first, least) * longest, least * longest
        return Ladder(sample, self.base, first, noise=self.noise, scale=longest, finest=finest)

    @staticmethod
    def _learnt(ladder: Ladder, longest: float, before: float) -> float:
        """Where the next ladder had best begin: at the longest step that was of use in this one."""
        best = ladder.best()
        if best is None or not math.isfinite(best.uncertainty):
            return before
        return best.step / longest

    def _least(self, regions: Sequence[Region]) -> float:
        """The shortest step along these regions, as a part of the longest."""
        return max(FINEST, shortest([self.parameters[region.block] for region in regions]))

    def look_closer(self, regions: Sequence[Region]) -> bool:
        """Take shorter steps where small entries make up the gradient; whether there are any.

        Sizes of 1e-6 and of 1e6 in one array, say, where what is short for the one is far beyond
        what the loss varies on for the other.
        """
        found = False
        for region in regions:
            b = region.block
            matters = scale_that_matters(self.origin[b], self.belief.claimed[b])
            if matters < self.scale[b]:
                self.scale[b], found = matters, True
        if found:
            self.first = self.first_alone = FIRST_STEP
        return found

    def expected(self, regions: Sequence[Region], row: int, skip: Skip = ()) -> float:
        """The same derivative as the believed gradient has it."""
        return self._believed(self.direction(regions, row, skip))

    def _believed(self, direction: Direction) -> float:
        """The same, worked out once for what was just measured."""
        asked = direction, self.belief.corrections
        if self._slope[:2] != asked:
            self._slope = *asked, direction.slope(self.belief.gradient)
        return self._slope[2]

    def look_ahead(self, regions: Sequence[Region], rows: Sequence[int], skip: Skip = ()) -> None:
        """Have workers evaluate what the readings of some rows will surely ask for."""
        if self.workers is None:
            return
        self.settle()
        first = max(self.first, self._least(regions)) * self.longest(regions)
        steps = [side * h for h in (first, first / RATIO) for side in (1, -1)]
        directions = [self.direction(regions, row, skip) for row in rows]
        found = self.workers.along(directions, steps, self.origin)
        self._ahead = {
            direction: dict(zip(steps, losses.tolist(), strict=True))
            for direction, losses in found.items()
        }

    def measure_noise(self, regions: Sequence[Region], row: int) -> float:
        """Noise of the loss along a direction in which each block moves by its own size."""
        scale = tuple(self.scale[region.block] for region in regions)
        direction = Direction(self.seed, row, tuple(regions), scale)
        with direction.through(self.parameters, self.origin, self.loss) as at:
            return measure_noise(at, self.base)

    def take_jumps_for_noise(self, regions: Sequence[Region], row: int, height: float) -> bool:
        """Measure across jumps from here on, which are noise then; whether it is any more.

        Where few values about the point can be had, it is that of the one jump that was found.
        """
        direction, longest = self.direction(regions, row), self.longest(regions)
        at = self.along(direction, {})
        noise = height_of_jumps(lambda t: at(t * longest), self.base) or height / math.sqrt(12)
        larger = noise > self.noise
        if larger:
            self.noise, self.first, self.first_alone = noise, FIRST_STEP, FIRST_STEP
            self.borne_out = self.borne_out_alone = True  # shorter steps lie between jumps
        return larger

    def along(self, direction: Direction, known: Mapping[float, float]) -> Callable[[float], float]:
        """The loss along a direction, as far as it is not known, less what rounding does to it.

        The parameters are put back when others are to be moved: most often the next direction
        leads through the same ones, and writing all of them is a good part of what a probe costs.
        """
        if direction.regions != self._away:
            self.settle()
        moved, self._back = direction.moving(self.parameters, self.origin, self.loss)
        self._away = direction.regions

        def at(t: float) -> float:
            value = known[t] if t in known else moved(t)
            return value - direction.rounded(self.parameters, self.origin, self.belief.gradient, t)

        return at

    def settle(self) -> None:
        """Put the parameters back from where the last direction left them."""
        if self._away:
            self._back()
        self._away = ()

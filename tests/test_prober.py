"""One derivative along a direction: where its steps begin, which come next, and when it is done."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_gradcheck.core import descent
from pytest_gradcheck.core.belief import Belief
from pytest_gradcheck.core.derivative import Derivative
from pytest_gradcheck.core.descent import _many_kinks, _next, descend
from pytest_gradcheck.core.direction import Direction
from pytest_gradcheck.core.ladder import Estimate, Ladder, Rung
from pytest_gradcheck.core.loss import Loss
from pytest_gradcheck.core.measured import _size_that_matters
from pytest_gradcheck.core.parameters import Parameter
from pytest_gradcheck.core.probes import Prober
from pytest_gradcheck.core.reading import Reading
from pytest_gradcheck.core.region import Region
from pytest_gradcheck.core.weights import UNIT, draw


class Recorded:
    """A prober of some arrays, with all that they were moved to."""

    def __init__(
        self,
        function: Callable[..., float],
        *arrays: Any,
        gradient: Sequence[Any] | None = None,
        weight: Sequence[float] | None = None,
        workers: Any = None,
        rounding: float = 0.0,
        dtype: Any = float,
    ) -> None:
        self.arrays = [np.array(array, dtype) for array in arrays]
        self.before = [array.tobytes() for array in self.arrays]
        self.seen: list[list[np.ndarray]] = []

        def loss() -> float:
            self.seen.append([array.astype(float).reshape(-1) for array in self.arrays])
            return float(function(*self.arrays))

        parameters = [Parameter(f"p{i}", array) for i, array in enumerate(self.arrays)]
        self.origin = [p.read() for p in parameters]
        claims = [np.ravel(g).astype(float) for g in gradient or self.origin]
        belief = Belief(claims, [rounding] * len(claims), weight or [1.0] * len(claims))
        self.prober = Prober(
            parameters,
            Loss(loss),
            base=float(function(*self.arrays)),
            origin=self.origin,
            belief=belief,
            seed=5,
            workers=workers,
        )
        self.whole = [Region.whole(i, p.shape) for i, p in enumerate(parameters)]

    def weights(self, block: int, row: int) -> np.ndarray:
        size = self.origin[block].size
        return self.prober.weight[block] * UNIT * draw(5, row, block, size).astype(float)

    def steps(self, block: int, row: int) -> list[float]:
        """How far along its weights it was moved, each time."""
        v = self.weights(block, row)
        moves = [there[block] - self.origin[block] for there in self.seen]
        assert all(np.allclose(move, (move @ v) / (v @ v) * v, atol=1e-12) for move in moves)
        return [float(move @ v / (v @ v)) for move in moves]

    @property
    def stands(self) -> bool:
        return [array.tobytes() for array in self.arrays] == self.before


class TestSteps:
    def test_begin_with_a_thousandth_of_how_far_it_may_be_moved(self) -> None:
        point = [3.0, 4.0, 0.0, 0.0]
        r = Recorded(lambda x: np.sum(np.sin(x)), point, weight=[0.5], gradient=[np.cos(point)])
        r.prober.read(r.whole, 2, target=1e-3)
        reach = 2.5 / 0.5  # the root of the mean square, in weights of variance 0.5^2
        assert r.prober.reach(0) == pytest.approx(reach)
        first = 1e-3 * reach
        assert r.steps(0, 2)[:4] == pytest.approx([first, -first, first / 4, -first / 4])
        assert len(r.seen) == 4

    def test_of_several_blocks_are_those_of_the_one_that_may_be_moved_least(self) -> None:
        ones = [[1.0, 1.0], [1.0]]
        r = Recorded(
            lambda x, y: np.sum(x) + np.sum(y), [2.0, 2.0], [4.0], weight=[1.0, 0.1], gradient=ones
        )
        r.prober.read(r.whole, 0, target=1e-3)
        assert r.steps(0, 0)[0] == pytest.approx(2e-3) and r.steps(1, 0)[0] == pytest.approx(2e-3)

    def test_begin_where_the_last_ones_were_of_use(self) -> None:
        r = Recorded(lambda x: np.sum(np.sin(50 * x)), [1.0, -1.0])
        r.prober.read(r.whole, 0, target=1e-9)
        assert r.prober.first < 1e-3
        r.seen.clear()
        first = r.prober.first
        r.prober.read(r.whole, 1, target=1e-9)
        assert r.steps(0, 1)[0] == pytest.approx(first)

    def test_that_say_nothing_leave_it_as_it_was(self) -> None:
        r = Recorded(lambda x: 0.0 if x[0] == 1 else math.nan, [1.0])
        reading = r.prober.read(r.whole, 0, target=1e-9)
        assert (reading.value, reading.bar, reading.kink) == (0.0, math.inf, False)
        assert r.prober.first == 1e-3

    def test_begin_next_where_an_estimate_is_best_if_it_says_anything(self) -> None:
        for best, first in ((None, 0.5), (estimate(1.0, math.inf, 3.0), 0.5), (GOOD, 0.75)):
            steps: Any = SimpleNamespace(best=lambda best=best: best)
            assert Prober._learnt(steps, 4.0, 0.5) == first

    def test_of_float32_are_a_thousand_of_its_digits_at_least(self) -> None:
        r = Recorded(lambda x: np.sum(x.astype(float)), [1.0, 1.0], dtype=np.float32)
        r.prober.first = 1e-9
        r.prober.read(r.whole, 0, target=1e-1)
        v = r.weights(0, 0)
        assert float((r.seen[0][0] - 1) @ v / (v @ v)) == pytest.approx(1e3 * 2.0**-23, rel=1e-2)

    def test_of_float32_may_be_off_by_its_rounding_as_far_as_the_belief_is(self) -> None:
        r = Recorded(lambda x: 0.0, [1.0, 2.0], gradient=[[1.0, -3.0]], dtype=np.float32)
        direction = r.prober.direction(r.whole, 0)
        off = abs(7.0 - direction.slope(r.prober.belief.gradient))
        expected = 4 * off * 2.0**-24 / 1e-3  # four deviations of a half unit, by the step
        assert r.prober._misjudged(direction, 7.0, r.prober.first) == pytest.approx(expected)
        wide = Recorded(lambda x: 0.0, [1.0, 2.0])
        assert wide.prober._misjudged(wide.prober.direction(wide.whole, 0), 7.0, 1e-3) == 0

    def test_what_cancelling_hides_belongs_to_the_error_bar_of_what_contradicts(self) -> None:
        def loss(x: Any) -> float:
            return float(np.logaddexp(0, x.sum()) - x.sum())

        for gradient, hidden in (([-1e-13, -1e-13], True), ([0.0, 0.0], False)):
            r = Recorded(loss, [20.0, 20.0], gradient=[gradient])
            bars = r.prober.read(r.whole, 0, target=1e-20).bar, r.prober.entry(0, 1, target=1e-20)
            most = 1.1 * 8 * 2.0**-52 * 40 / 20
            assert (bars[0] > most / 2) == (bars[1].uncertainty > most / 2) == hidden
            assert bars[0] <= most and bars[1].uncertainty <= most

    def test_the_last_digit_of_narrow_parameters_hides_what_curvature_makes_of_it(self) -> None:
        for rounding in (2.0**-53, 1e-8, 2.0**-24, 2.0**-11):
            slope = 1e-5  # of a parabola at its bottom
            r = Recorded(
                lambda x: 1.5 * x @ x, [0.0, 0.0], gradient=[[slope, 0]], rounding=rounding
            )
            r.prober.scale[0] = 2.0
            expected = 8 * min(rounding, 2.0**-24) * 2.0 * 3.0 if rounding > 1e-12 else 0.0
            bar = r.prober.entry(0, 0, target=1e-12).uncertainty
            known = rounding * (16 * slope + 8 * math.sqrt(0.5))  # as far as the claim is known
            assert bar == pytest.approx(expected if slope > known else 0.0, rel=1e-3, abs=1e-11)

    def test_an_entry_that_contradicts_is_measured_at_its_own_size(self) -> None:
        def loss(x: Any) -> float:
            return float(np.tanh(x[0] / 1e-6) + x[1])

        for claim in (0.0, 2.5e5):
            r = Recorded(loss, [1e-6, 1e3], gradient=[[claim, 1.0]])
            found = r.prober.entry(0, 0, target=1e-3)
            exact = 1e6 / np.cosh(1.0) ** 2
            assert abs(found.value - exact) <= found.uncertainty < 1.0

    def test_what_is_misjudged_belongs_to_the_error_bar(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bars = []
        for off in (0.0, 0.25):
            r = Recorded(lambda x: np.sum(np.sin(x)), [1.0, 2.0])
            monkeypatch.setattr(r.prober, "_misjudged", lambda direction, value, step, off=off: off)
            bars.append(r.prober.read(r.whole, 1, target=1e-3).bar)
        assert bars[1] == bars[0] + 0.25

    def test_parameters_stand_elsewhere_until_they_are_settled(self) -> None:
        right = [[2.0, 2.0], [1.0]]
        r = Recorded(lambda x, y: np.sum(x) * np.sum(y), [1.0, -0.0], [2.0], gradient=right)
        slope = 2.0 * r.weights(0, 3).sum()
        reading = r.prober.read(r.whole[:1], 3, target=1e-6)
        assert abs(reading.value - slope) <= reading.bar < 1e-6 and not r.stands
        other = r.prober.read(r.whole[1:], 3, target=1e-6)  # as if the first had never moved
        assert abs(other.value - r.weights(1, 3).sum()) <= other.bar < 1e-6
        assert r.arrays[0].tobytes() == r.before[0] and not r.stands
        r.prober.settle()
        assert r.stands
        r.prober.read(r.whole, 1, target=1e-6)
        found = r.prober.entry(1, 0, target=1e-6)
        assert abs(found.value - 1.0) <= found.uncertainty and r.stands

    def test_kinks_within_the_rounding_of_the_claim_do_not_matter(self) -> None:
        for rounding, kink in ((0.0, True), (1.0, False)):
            r = Recorded(lambda x: np.sum(np.abs(x - 1)) + x.sum(), [1.0, 1.0], rounding=rounding)
            reading = r.prober.read(r.whole, 0, target=1e-6)
            assert reading.kink == kink
            slopes = np.abs(r.weights(0, 0)).sum()
            if not kink:  # the error bar spans both
                assert slopes <= reading.bar <= 1.1 * slopes

    @pytest.mark.parametrize("alone", [True, False])
    def test_among_kinks_are_passed_over_once_until_it_is_known_how_short_they_are(
        self, alone: bool
    ) -> None:
        def lengths(first: float) -> list[float]:
            r = Recorded(lambda x: x[0] + 0.2 * abs(x[0] - 1 - 1e-5), [1.0], weight=[1.0])
            r.prober.first = r.prober.first_alone = first
            if alone:
                r.prober.entry(0, 0, target=1e-6)
                return [abs(float(there[0][0]) - 1) / first for there in r.seen[::2]]
            r.prober.read(r.whole, 0, target=1e-6)
            return [abs(step) / first for step in r.steps(0, 0)[::2]]

        first, second, *rest = lengths(1e-3)
        assert (first, second) == pytest.approx((1, 0.25))
        assert rest[0] == pytest.approx(4.0**-3) and 4.0**-2 not in np.round(rest, 9)
        assert lengths(0.999e-3)[:3] == pytest.approx([1, 4.0**-1, 4.0**-2])

    def test_small_entries_that_make_up_the_gradient_ask_for_shorter_ones(self) -> None:
        for size, closer in ((0.9e-3, True), (1.1e-3, False)):
            theta = [size, *([1.0] * 99)]
            r = Recorded(lambda *_: 0.0, theta, [1.0], gradient=[[1.0, *([0.0] * 99)], [1.0]])
            r.prober.first, r.prober.first_alone = 0.5, 0.25
            whole = r.prober.scale[0]
            assert r.prober.look_closer(r.whole) == closer
            assert r.prober.scale == [size if closer else whole, 1.0]
            firsts = (1e-3, 1e-3) if closer else (0.5, 0.25)
            assert (r.prober.first, r.prober.first_alone) == firsts

    def test_noise_is_measured_where_each_moves_by_its_own_size(self) -> None:
        r = Recorded(lambda x, y: np.sum(np.sin(x)) + np.sum(y), [3.0, 3.0], [1e-3], weight=[7, 9])
        r.prober.measure_noise(r.whole, 4)
        there = r.seen[0]
        for block, size in ((0, 3.0), (1, 1e-3)):
            v = size * UNIT * draw(5, 4, block, r.origin[block].size).astype(float)
            assert (there[block] - r.origin[block]) / v == pytest.approx(1e-10, rel=1e-4)
        assert r.stands
        rng = np.random.default_rng(0)
        noisy = Recorded(lambda x: 1e-6 * rng.normal() + np.sum(x), [1.0, 2.0])
        assert 1e-7 < noisy.prober.measure_noise(noisy.whole, 0) < 1e-5

    def test_a_direction_is_made_once_for_what_follows_each_other(self) -> None:
        r = Recorded(lambda x: 0.0, [1.0, 2.0])
        direction = r.prober.direction(r.whole, 1)
        assert r.prober.direction(r.whole, 1) is direction
        assert direction.scale == (1.0,) and direction.row == 1
        other = r.prober.direction(r.whole, 2)
        assert other is not direction and other.row == 2
        drawn = direction.weights(r.whole[0])
        assert direction == Direction(5, 1, (r.whole[0],), (1.0,)) and drawn.size == 2
        assert hash(direction) == hash(Direction(5, 1, (r.whole[0],), (1.0,)))
        assert "drawn" not in repr(direction)


class Helpers:
    """Workers that evaluate the loss along directions right here."""

    def along(
        self, directions: Sequence[Direction], steps: Sequence[float], origin: Any
    ) -> dict[Direction, np.ndarray]:
        self.asked = [(direction.row, direction.skip, list(steps)) for direction in directions]
        found = {}
        for direction in directions:
            v = direction.scale[0] * UNIT * direction.weights(direction.regions[0]).astype(float)
            found[direction] = np.array([np.sum(np.sin(origin[0] + t * v)) for t in steps])
        return found


class TestAhead:
    def test_the_first_two_steps_to_both_sides_are_evaluated_elsewhere(self) -> None:
        helpers, right = Helpers(), [np.cos([0.5, 1.5])]
        r = Recorded(lambda x: np.sum(np.sin(x)), [0.5, 1.5], workers=helpers, gradient=right)
        r.prober.read(r.whole, 0, target=1e-3)
        r.seen.clear()
        r.prober.look_ahead(r.whole, [1, 2])
        assert r.stands
        first = r.prober.first * r.prober.reach(0)
        steps = [first, -first, first / 4, -first / 4]
        assert helpers.asked == [(1, (), steps), (2, (), steps)]
        alone = Recorded(lambda x: np.sum(np.sin(x)), [0.5, 1.5], gradient=right)
        alone.prober.first = r.prober.first
        for row in (1, 2):
            reading = r.prober.read(r.whole, row, target=1e-3)
            assert reading == alone.prober.read(alone.whole, row, target=1e-3)
        assert not r.seen and len(alone.seen) == 8
        r.prober.first = alone.prober.first
        r.prober.read(r.whole, 1, target=1e-3)  # is not known for ever
        assert len(r.seen) == 4

    def test_where_there_are_none_nothing_is_done(self) -> None:
        r = Recorded(lambda x: np.sum(x), [0.5, 1.5])
        r.prober.look_ahead(r.whole, [1, 2])
        assert not r.seen


class TestEntries:
    def test_that_are_small_are_measured_at_steps_of_their_own(self) -> None:
        def loss(x: np.ndarray) -> float:  # a step of 1e-3 sees nothing of the second entry
            return float(np.sin(x[0]) + x[1] * np.exp(-((x[1] / 1e-6) ** 2) / 2))

        r = Recorded(loss, [1.0, 0.5e-6])
        found = r.prober.entry(0, 1, target=1e-2)
        slope = 0.75 * math.exp(-0.125)
        assert abs(found.value - slope) <= found.uncertainty <= 1e-2
        assert r.prober.first_alone == 1e-3  # says nothing of other entries
        assert r.stands
        far = r.prober.entry(0, 0, target=1e-2)
        assert far.value == pytest.approx(math.cos(1.0), abs=1e-2)

    def test_of_zero_are_not_looked_at_any_closer(self) -> None:
        r = Recorded(lambda x: np.sum(x), [0.0, 1.0], gradient=[[1.0, 1.0]])
        found = r.prober.entry(0, 0, target=1e-3)
        assert len(r.seen) == 4 and abs(found.value - 1) <= found.uncertainty

    def test_begin_at_a_thousandth_of_their_size_or_of_their_parameter(self) -> None:
        for i, size in ((0, 7.0), (1, 5.0)):
            r = Recorded(lambda x: np.sum(x), [7.0, 1.0])
            assert r.prober.scale[0] == pytest.approx(5.0)
            r.prober.entry(0, i, target=1e-3)
            assert r.seen[0][0][i] - r.origin[0][i] == pytest.approx(1e-3 * size)

    def test_begin_where_the_last_one_was_of_use(self) -> None:
        r = Recorded(lambda x: np.sum(np.sin(300 * x)), [1.0, -1.0])
        r.prober.entry(0, 0, target=1e-6)
        first = r.prober.first_alone
        assert first < 1e-3 and r.prober.first == 1e-3
        r.seen.clear()
        r.prober.entry(0, 1, target=1e-6)
        assert r.seen[0][0][1] + 1 == pytest.approx(first)


@pytest.mark.parametrize(
    ("theta", "gradient", "size"),
    [
        ([1e-6, 1.0, 100.0], [10.0, 1.0, 1.0], 1e-6),
        ([100.0, 1e-6, -1.0], [1.0, 1.0, 10.0], 1.0),
        ([1e-6, 100.0, 1.0], [1.0, 10.0, 1.0], 100.0),
        ([0.0, 5.0, 0.0], [100.0, 1.0, 100.0], 5.0),
        ([1.0, 2.0], [0.6, 0.8], 2.0),  # of which 0.36 and 0.64 are the squares
        ([1.0, 2.0], [1.0, 1.0], 1.0),
        ([1.0, 2.0], [0.0, 1.0], 2.0),
        ([1.0, 2.0, 3.0], [-1.0, 1.0, 1.0], 2.0),
        ([1.0, 2.0], [0.0, 0.0], math.inf),
        ([0.0, 0.0], [1.0, 1.0], math.inf),
        ([], [], math.inf),
    ],
)
def test_size_above_which_half_of_a_gradient_lies(
    theta: list[float], gradient: list[float], size: float
) -> None:
    assert _size_that_matters(np.array(theta), np.array(gradient)) == size


def ladder(
    rungs: dict[int, tuple[float, float]] | None = None,
    *,
    function: Callable[[float], float] = math.sin,
    sigma: float = 0.0,
    first: float = 1.0,
    scale: float = 1e3,
    finest: float = 1e-9,
    noise: float = 0.0,
) -> Ladder:
    """A ladder of steps ``4**k``, with slopes and jumps of some rungs."""
    made = Ladder(
        lambda h: (h, function(h), h, function(-h)),
        function(0.0),
        first,
        noise=noise,
        scale=scale,
        finest=finest,
    )
    for k, (central, jump) in (rungs or {}).items():
        made.rungs[k] = Rung(4.0**k, central, jump, central, central, sigma)
    return made


def estimate(value: float, bar: float, step: float) -> Estimate:
    return Estimate(value, bar, 0.0, 0.0, 0.0, step, step / 4)


GOOD = estimate(1.0, 0.1, 3.0)


class TestNext:
    """The step after those that were taken, by its number."""

    def test_is_none_where_there_is_no_rung(self) -> None:
        assert _next(ladder(), None, False) is None

    def test_is_the_next_shorter_one_unless_its_rounding_forbids(self) -> None:
        best = estimate(1.0, 1.0, 4.0**0)
        for sigma, k in ((0.49, -2), (0.51, 1)):
            # of step 4^-1 to 4^-2: 4 sigma / 4^-2 = 64 sigma, to be half of the error bar
            rungs = ladder({0: (1.0, 0.0), -1: (1.0, 0.0)}, sigma=sigma / 64)
            assert _next(rungs, best, False) == k
        assert _next(rungs, None, False) == -2  # nothing is known yet

    def test_is_not_below_the_shortest(self) -> None:
        rungs = ladder({0: (1.0, 0.0), -1: (1.0, 0.0)})
        rungs.lowest = -2
        assert _next(rungs, estimate(1.0, 1.0, 1.0), False) == -2
        rungs.lowest = -1
        assert _next(rungs, estimate(1.0, 1.0, 1.0), False) == 1

    def test_is_the_next_longer_one_than_those_of_the_best(self) -> None:
        rungs = ladder({0: (1.0, 0.0), -1: (1.0, 0.0), -2: (1.0, 0.0)}, sigma=1.0)
        assert _next(rungs, estimate(1.0, 1.0, 1.0), False) == 1
        assert _next(rungs, estimate(1.0, 1.0, 1.0), True) is None  # of no use lately
        assert _next(rungs, None, False) == -3
        assert _next(rungs, estimate(1.0, 1.0, 0.25), False) is None  # the longer one was taken
        rungs.highest = 1
        assert _next(rungs, estimate(1.0, 1.0, 1.0), False) == 1
        rungs.highest = 0
        assert _next(rungs, estimate(1.0, 1.0, 1.0), False) is None

    @pytest.mark.parametrize(("off", "k"), [(15.9, -1), (-15.9, -1), (16.1, None), (-16.1, None)])
    def test_is_one_passed_over_where_the_next_but_one_is_within_reach(
        self, off: float, k: int | None
    ) -> None:
        rungs = ladder({0: (1.0 + off, 0.0), -2: (1.0, 0.0), -3: (1.0, 0.0)}, sigma=1.0)
        assert _next(rungs, estimate(1.0, 1.0, 4.0**-2), False) == k


@pytest.mark.parametrize(
    ("jump", "coarser", "many"),
    [
        (0.6, 1.0, True),
        (-0.6, 1.0, True),
        (0.4, -1.0, False),
        (0.5, 1.0, False),
        (1.0, None, False),
    ],
)
def test_many_kinks_are_seen_by_slopes_that_differ_as_at_the_next_longer_step(
    jump: float, coarser: float | None, many: bool
) -> None:
    rungs = {-1: (0.0, jump)} | ({} if coarser is None else {0: (0.0, coarser)})
    assert _many_kinks(ladder(rungs), -1) == many


class TestDescend:
    def test_two_steps_do_where_they_are_sharp_enough(self) -> None:
        steps = ladder(first=1e-3)
        found = descend(steps, 1e-6, math.inf, far=True)
        assert sorted(steps.rungs) == [-1, 0]
        assert abs(found.value - 1) <= found.uncertainty <= 1e-6

        exactly = ladder(first=1e-3)
        assert descend(exactly, found.uncertainty, math.inf, far=True) == found
        assert len(exactly.rungs) == 2
        further = ladder(first=1e-3)
        descend(further, found.uncertainty / 2, math.inf, far=True)
        assert len(further.rungs) > 2

    def test_shorter_steps_are_taken_as_long_as_they_help(self) -> None:
        steps = ladder(first=1.0, function=lambda t: math.sin(3 * t))
        found = descend(steps, 1e-9, math.inf, far=False)
        assert min(steps.rungs) < -2 and max(steps.rungs) == 0
        assert abs(found.value - 3) <= found.uncertainty <= 1e-9

    def test_twelve_steps_are_the_most(self) -> None:
        steps = ladder(first=1.0, function=lambda t: math.sin(1 / t) if t else 0.0, finest=1e-30)
        descend(steps, 1e-9, math.inf, far=False)
        assert len(steps.rungs) == 12

    def test_longer_steps_are_taken_where_rounding_is_the_limit(self) -> None:
        steps = ladder(first=1e-6, function=lambda t: 1e6 + t, scale=1.0)
        found = descend(steps, 1e-9, math.inf, far=False)
        assert max(steps.rungs) >= 5
        assert abs(found.value - 1) <= found.uncertainty <= 1e-8

    def test_but_no_further_once_they_bring_little(self) -> None:
        def bent(t: float) -> float:
            return 1e3 + t + 1e-4 * t * t * t * (abs(t) > 1e-3) * 1e9

        steps = ladder(first=1e-6, function=bent, scale=1e3)
        found = descend(steps, 1e-15, math.inf, far=False)
        assert max(steps.rungs) < steps.highest
        assert abs(found.value - 1) <= found.uncertainty

    @pytest.mark.parametrize(("gain", "longest"), [(0.79, 3), (0.81, 1)])
    def test_and_as_long_as_each_takes_a_fifth_of_the_error_bar_away(
        self, gain: float, longest: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Scripted(Ladder):
            def best(self) -> Estimate:  # rests on the longest step
                k = max(self.rungs)
                return estimate(1.0, gain**k, 4.0**k)

        steps = Scripted(
            lambda h: (h, h, h, -h), 0.0, 1.0, noise=1e9, scale=4.0**3 / 2, finest=1e-9
        )
        monkeypatch.setattr(descent, "verdict", lambda *_: Derivative.smooth(1.0, 0.5, 0.0, 1.0))
        descend(steps, 1e-9, math.inf, far=False)
        assert list(steps.rungs) == [0, -1, *range(1, longest + 1)]

    @pytest.mark.parametrize("far", [True, False])
    def test_steps_among_many_kinks_are_passed_over_once(self, far: bool) -> None:
        def kinked(t: float) -> float:
            return t + 0.2 * abs(t - 1e-5)

        steps = ladder(first=1e-3, function=kinked, scale=1.0)
        found = descend(steps, 1e-6, math.inf, far=far)
        assert abs(found.value - 0.8) <= found.uncertainty <= 1e-6
        ks = sorted(steps.rungs, reverse=True)
        assert ks == ([0, -1, -3, -4, -5] if far else [0, -1, -2, -3, -4, -5])

    def test_but_not_beyond_the_shortest(self) -> None:
        def kinked(t: float) -> float:
            return t + 0.2 * abs(t - 1e-5)

        for lowest, ks in ((-4, [0, -1, -2, -3, -4]), (-5, [0, -1, -3, -4, -5])):
            steps = ladder(first=1e-3, function=kinked, scale=1.0)
            steps.lowest = lowest
            descend(steps, 1e-12, math.inf, far=True)
            assert list(steps.rungs)[:5] == ks

    def test_noise_is_averaged_where_that_is_asked_for(self) -> None:
        for enough, averaged in ((math.inf, False), (1e-3, True)):
            rng = np.random.default_rng(0)
            calls = []

            def noisy(
                t: float, rng: np.random.Generator = rng, calls: list[float] = calls
            ) -> float:
                calls.append(t)
                return math.sin(t) + 1e-3 * float(rng.normal()) * (t != 0)

            steps = ladder(first=1e-3, function=noisy, scale=0.5, noise=1e-3)
            found = descend(steps, 1e-9, enough, far=False)
            assert abs(found.value - 1) <= found.uncertainty
            assert (len(calls) > 100) == averaged and (found.fit is not None) == averaged

    @pytest.mark.parametrize(
        ("kink", "noise", "averaged"), [(5e-2, 1e-9, True), (1e-6, 1e-12, False)]
    )
    def test_but_not_where_kinks_force_steps_to_be_short(
        self, kink: float, noise: float, averaged: bool
    ) -> None:
        rng = np.random.default_rng(0)

        def noisy(t: float) -> float:
            return t + 0.2 * abs(t - kink) + noise * float(rng.normal()) * (t != 0)

        steps = ladder(first=kink, function=noisy, scale=1.0, noise=noise)
        found = descend(steps, 1e-9, 1e-9, far=False)
        assert (found.fit is not None) == averaged
        assert abs(found.value - 0.8) <= found.uncertainty <= 1e-3

    def test_nothing_is_known_where_no_step_can_be_taken(self) -> None:
        steps: Any = Ladder(
            lambda h: (0.0, 0.0, 0.0, 0.0), 0.0, 1.0, noise=0.0, scale=1.0, finest=1e-9
        )
        assert math.isinf(descend(steps, 1e-9, math.inf, far=True).uncertainty)
        assert not steps.rungs


def test_of_a_reading_no_more_is_said_than_is_known() -> None:
    reading = Reading(1.0, 0.5)
    assert (reading.noise, reading.kink) == (0.0, False)
    assert reading - reading == Reading(0.0, 1.0)

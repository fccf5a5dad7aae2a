"""Which rung of a ladder comes next, which entries climb, how closely, and what is noted of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_gradcheck.core import rungs
from pytest_gradcheck.core.climbing import Climbing
from pytest_gradcheck.core.derivative import Derivative
from pytest_gradcheck.core.directions import Bound
from pytest_gradcheck.core.goals import Goals
from pytest_gradcheck.core.ladder import SIGMAS, Estimate, Ladder
from pytest_gradcheck.core.loss import Loss
from pytest_gradcheck.core.measure import Measurement
from pytest_gradcheck.core.measured import Measured
from pytest_gradcheck.core.nearby import Nearby
from pytest_gradcheck.core.parameters import Parameter
from pytest_gradcheck.core.problem import Problem
from pytest_gradcheck.core.rungs import climb

NOISE = 1e-3


def ladder_of(
    f: Callable[[float], float],
    steps: Iterable[int] = (),
    *,
    first: float = 1.0,
    noise: float = NOISE,
    scale: float = 1e6,
    finest: float = 1e-9,
) -> Ladder:
    ladder = Ladder(
        lambda h: (h, f(h), h, f(-h)), f(0.0), first, noise=noise, scale=scale, finest=finest
    )
    for k in steps:
        ladder.add(k)
    return ladder


def line(h: float) -> float:
    return 3 * h


def estimate(truncation: float, noise: float = 0.0, jump: float = 0.0) -> Estimate:
    return Estimate(3.0, truncation, noise, jump, 0.0, step=1.0, finest=0.25)


class TestNextRung:
    """Longer where noise dominates, else shorter."""

    @staticmethod
    def after(
        ladder: Ladder, best: Estimate | None = None, *, claim: float = 3.0, stalled: int = 0
    ) -> int | None:
        return rungs._next_rung(ladder, best, claim, stalled)

    @pytest.mark.parametrize(("scale", "k"), [(1.0, 1), (5e-3, 1), (3e-3, None)])
    def test_without_any_it_is_the_shortest_that_is_not_lost(
        self, scale: float, k: int | None
    ) -> None:
        ladder = Ladder(lambda h: (h, h, 0.0, 0.0), 0.0, 2e-3, noise=0.0, scale=scale, finest=1e-9)
        ladder.add(0)
        assert not ladder.rungs and ladder.lowest == 1
        assert self.after(ladder) == k

    @pytest.mark.parametrize("first", [0.25, 1.0, 4.0])
    def test_after_the_first_it_is_longer_where_a_claim_is_within_a_hundred_error_bars(
        self, first: float
    ) -> None:
        ladder, bar = ladder_of(line, [0], first=first), SIGMAS * NOISE / first
        for sign in (1, -1):
            assert self.after(ladder, claim=3 + 99 * sign * bar) == 1
            assert self.after(ladder, claim=3 + 101 * sign * bar) == -1

    def test_it_is_the_other_way_at_an_end(self) -> None:
        for claim in (3.0, 9.0):
            assert self.after(ladder_of(line, [0], scale=0.5), claim=claim) == -1
            assert self.after(ladder_of(line, [0], finest=1.0), claim=claim) == 1
            assert self.after(ladder_of(line, [0], scale=0.5, finest=1.0), claim=claim) is None
        assert self.after(ladder_of(line, [0]), stalled=2) == 1
        assert self.after(ladder_of(line, [0]), stalled=3) == -1

    def test_it_goes_by_the_first_step_where_others_are_no_neighbours(self) -> None:
        def f(h: float) -> float:
            return math.nan if h > 2 else 3 * h

        assert self.after(ladder_of(f, [0, 2]), claim=9.0) == -1
        assert self.after(ladder_of(f, [0, 2]), claim=3.0) == 3
        assert self.after(ladder_of(line, [2, 4]), claim=9.0) == 1
        assert self.after(ladder_of(f, [-2, 2]), claim=3.0) == -3  # from the longest

    def test_at_an_edge_it_is_shorter_as_long_as_it_can_be(self) -> None:
        def f(h: float) -> float:
            return math.nan if h > 0 else h

        assert self.after(ladder_of(f, [0, -1])) == -2
        assert self.after(ladder_of(f, [0, -1], finest=0.25)) is None

    @pytest.mark.parametrize("part", [0.98, 1.02])
    def test_shorter_ones_help_while_their_noise_is_below_what_is_known(self, part: float) -> None:
        ladder = ladder_of(line, [0, -1])
        limit = SIGMAS * NOISE * 4 / 0.25
        assert self.after(ladder, estimate(part * limit)) == (-2 if part > 1 else 1)
        end = ladder_of(line, [0, -1], scale=0.5)
        assert self.after(end, estimate(part * limit)) == (-2 if part > 1 else None)
        quiet = ladder_of(lambda h: 8 + 1e9 * h, [0, -1], noise=0.0)  # of the value at the point
        assert self.after(quiet, estimate(1e-13)) == -2
        assert self.after(quiet, estimate(1e-14)) == 1

    def test_longer_ones_help_where_noise_is_more_than_all_else(self) -> None:
        ladder = ladder_of(line, [0, -1])
        assert self.after(ladder, estimate(0.5, 0.6)) == 1
        assert self.after(ladder, estimate(0.5, 0.4)) == -2
        for sign in (1, -1):
            assert self.after(ladder, estimate(0.5, 0.6, sign * 0.1)) == 1
            assert self.after(ladder, estimate(0.5, 0.6, sign * 0.3)) == -2
        assert self.after(ladder, estimate(0.5, 0.6), stalled=2) == 1
        assert self.after(ladder, estimate(0.5, 0.6), stalled=3) == -2
        assert self.after(ladder_of(line, [0, -1], scale=0.5), estimate(0.5, 0.6)) == -2
        assert self.after(ladder_of(line, [0, -1], finest=0.25), estimate(0.6, 0.5)) == 1

    def test_no_longer_one_is_tried_where_the_longest_left_the_domain(self) -> None:
        ladder = ladder_of(lambda h: math.nan if h > 2 else 3 * h, [1, 0, -1])
        assert ladder.highest > 1
        assert self.after(ladder, estimate(0.5, 0.6)) == -2
        # nor is what is known compared with the noise of a step that says nothing
        holed = ladder_of(lambda h: math.nan if 0 < h < 0.5 else 3 * h, [1, 0, -1])
        assert self.after(holed, estimate(1e-9)) == -2


class TestEnoughRungs:
    """`climb` ends where its target is reached, a claim is decided, or nothing more helps."""

    def test_where_the_target_is_reached(self) -> None:
        best = ladder_of(line, (0, -1)).best()
        assert best is not None
        for part, more in ((1.0, False), (0.999, True)):
            ladder = ladder_of(line, (0, -1))
            climb(ladder, 3.0, part * best.uncertainty)
            assert (len(ladder.rungs) > 2) == more

    @pytest.mark.parametrize("count", [2, 3])
    @pytest.mark.parametrize("sign", [1, -1])
    def test_where_three_rungs_or_more_contradict_a_claim_to_two_digits(
        self, sign: int, count: int
    ) -> None:
        steps = range(0, -count, -1)
        best = ladder_of(math.sin, steps, noise=1e-6).best()
        assert best is not None
        for part, more in ((0.9, True), (1.1, count < 3)):
            ladder = ladder_of(math.sin, steps, noise=1e-6)
            climb(ladder, best.value + sign * part * 100 * best.uncertainty, 0.0)
            assert (len(ladder.rungs) > count) == more

    def test_after_two_dozen_at_most(self) -> None:
        ladder = ladder_of(line, scale=1e30, finest=1e-30)
        climb(ladder, 3.0, 0.0)
        assert len(ladder.rungs) == 24

    @pytest.mark.parametrize(
        ("known", "top"),
        [
            ([1.0] * 24, 3),  # three longer steps without a gain
            ([0.81**k for k in range(24)], 3),  # of a fifth
            ([0.79**k for k in range(24)], 22),
            ([1.0] * 4 + [0.7] * 20, 6),  # in a row
            ([math.inf] * 5 + [1.0] * 19, 7),  # nothing is known at first: that is no loss
        ],
    )
    def test_where_longer_steps_do_not_help(
        self, known: list[float], top: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rungs, "_known", lambda ladder: known[len(ladder.rungs) - 1])
        ladder = ladder_of(line, (0, -1), scale=1e30)
        climb(ladder, 3.0, 0.0)
        assert max(ladder.rungs) == top

    def test_known_is_the_mean_of_two_slopes_where_a_jump_is_certain(self) -> None:
        def bent(h: float) -> float:
            return 3 * h + abs(h) / 2

        kink = ladder_of(bent, (0, -1, -2), noise=1e-9)
        assert rungs._known(kink) == min(e.uncertainty_beside_jump for e in kink.estimates()) < 1e-6
        smooth = ladder_of(math.sin, (0, -1, -2))
        best = smooth.best()
        assert best is not None and rungs._known(smooth) == best.uncertainty
        assert rungs._known(ladder_of(line, [0])) == math.inf


class TestGoals:
    goals = Goals(tol=1e-6, warn=1e-4, whole=100.0)

    def test_of_an_entry_is_a_part_of_tol_of_it_or_of_its_block(self) -> None:
        claim = np.array([1.0, -7.0, 5.0, 5.0])  # whose root mean square is 5
        assert self.goals.bars(claim) == pytest.approx(0.03e-6 * np.array([5.0, 7.0, 5.0, 5.0]))
        assert self.goals.bar_at(-2.0) == pytest.approx(0.06e-6)
        assert self.goals.where_noise_forbids(3e-8) == pytest.approx(3e-6)

    def test_of_a_claim_of_zero_is_a_ten_thousandth_of_that_of_the_whole(self) -> None:
        for claim in (np.zeros(3), np.array([0.0, 0.99e-12, 0.0]), np.array([-1e-14 * 100.0])):
            assert self.goals.is_negligible(claim)
            assert self.goals.bars(claim).tolist() == pytest.approx(
                [3e-10] * claim.size, rel=1e-6, abs=0
            )
        assert not self.goals.is_negligible(np.array([0.0, 1.01e-12, 0.0]))


class Fixed:
    """Instead of `Nearby`: whether the claim jumps is settled, and what was asked is kept."""

    def __init__(self, answer: bool) -> None:
        self.answer, self.asked = answer, []

    def jumps(self, i: int, j: int, jump: float) -> bool:
        self.asked.append((i, j, jump))
        return self.answer


class TestClimbing:
    """Entries of a block, one after another."""

    @staticmethod
    def of(
        f: Callable[[np.ndarray], float],
        theta: Any,
        *,
        jumps: bool = False,
        noise: float = 2.0**-53,
        jitter: float = 0.0,
        each_noise: bool = False,
        rounding: float = 0.0,
        left_over: float = 0.0,
    ) -> tuple[Climbing, Parameter]:
        parameter = Parameter("x", np.array(theta, float))
        loss = Loss(lambda: f(parameter.array))
        climbing = Climbing(
            loss,
            f(parameter.array),
            jitter,
            noise,
            1e-7,
            Goals(1e-6, 1e-4, 1.0),
            Fixed(jumps),
            [parameter.read()],
            each_noise,
            [rounding],
            lambda: left_over,
        )
        return climbing, parameter

    @staticmethod
    def block(parameter: Parameter, claim: Any, numeric: Any = None) -> Measured:
        claim = np.array(claim, float)
        seen = claim.copy() if numeric is None else np.array(numeric, float)
        return Measured(parameter, claim, seen, np.full(claim.size, np.inf), np.zeros(claim.size))

    def test_a_ladder_begins_at_the_size_of_its_entry_and_of_its_block(self) -> None:
        climbing, parameter = self.of(np.sum, [-6.0, 8.0, 0.0, 0.0])
        block = self.block(parameter, [2.0, 1.0, 1.0, 1.0])
        climb = climbing.start(block, 0, 0, 2.0)
        assert (climb.own, climb.scale, climb.claim, climb.base) == (6.0, 5.0, 2.0, 2.0)
        assert (climb.axis.index, climb.axis.origin) == (0, -6.0)
        assert (climb.noise, climb.eps) == (2.0**-53, 1e-7)
        assert climb.target == pytest.approx(0.06e-6)
        assert climb.enough == pytest.approx(0.06e-4)
        assert climbing.start(block, 0, 2, 1.0).own == 5.0  # of a zero it is that of the block

    def test_the_target_is_that_of_the_claim_or_of_what_is_seen(self) -> None:
        climbing, parameter = self.of(np.sum, np.ones(2))
        block = self.block(parameter, [1.0, 1.0])
        for seen, bar in ((0.1, 3e-8), (-7.0, 21e-8), (math.nan, 3e-8), (math.inf, 3e-8)):
            assert climbing.start(block, 0, 1, seen).target == pytest.approx(bar)

    @pytest.mark.parametrize("jitter", [0.0, 1e-3])
    def test_noise_is_that_along_the_entry_where_each_has_its_own(self, jitter: float) -> None:
        climbing, parameter = self.of(
            lambda x: 1.0 + float(x[0]), np.ones(1), noise=0.5, jitter=jitter, each_noise=True
        )
        noise = climbing.start(self.block(parameter, [1.0]), 0, 0, 1.0).noise
        assert noise == jitter if jitter else 2.0**-53 < noise < 1e-14

    @pytest.mark.parametrize("part", [9.5, 10.5])
    def test_is_measured_again_where_it_is_far_below_what_the_first_step_had(
        self, part: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        climbing, parameter = self.of(lambda x: float(np.sum(np.exp(x))), np.zeros(2))
        starts: list[float] = []
        start = Climbing.start

        def counted(self: Climbing, block: Measured, i: int, j: int, measured: float) -> Any:
            starts.append(measured)
            return start(self, block, i, j, measured)

        monkeypatch.setattr(Climbing, "start", counted)
        block = self.block(parameter, [0.1, 0.1], [part, 1.0])
        climbing.measure(block, 0, 0)
        assert len(starts) == (2 if part > 10 else 1)
        assert starts[-1] == pytest.approx(1.0 if part > 10 else part)
        assert abs(block.numeric[0] - 1) <= block.uncertainty[0] <= 0.03e-6 * 10
        assert block.climbed.tolist() == [True, False] and not climbing.kinked

    def test_a_claim_across_jumps_is_borne_out(self) -> None:
        def stairs(x: np.ndarray) -> float:  # flat between jumps, with slope 1 over many
            return float(np.sum(1e-5 * np.round(x / 1e-5)))

        climbing, parameter = self.of(stairs, [1.0, 2.0])
        block = self.block(parameter, [1.0, 3.0])
        climbing.measure(block, 0, 0)
        assert block.jumps == 1
        assert abs(block.numeric[0] - 1) <= block.uncertainty[0] < 1e-3
        climbing.measure(block, 0, 1)
        assert block.jumps == 2  # whatever is claimed
        assert abs(block.numeric[1] - 1) <= block.uncertainty[1] < 1e-3

    @pytest.mark.parametrize("claim", [0.0, 1.0, 3.0])
    @pytest.mark.parametrize(
        ("jumps", "climbed", "looked"), [(0, 0, True), (0, 7, True), (0, 8, False), (1, 8, True)]
    )
    def test_jumps_are_looked_for_in_the_first_few_and_where_there_were_some(
        self, jumps: int, climbed: int, looked: bool, claim: float
    ) -> None:
        def stairs(x: np.ndarray) -> float:  # flat between jumps, with slope 1 over many
            return float(np.sum(1e-5 * np.round(x / 1e-5)))

        climbing, parameter = self.of(stairs, np.ones(10))
        block = self.block(parameter, np.full(10, claim))
        block.jumps, block.climbed[:climbed] = jumps, True
        climbing.measure(block, 0, 9)
        looked |= claim != 0  # what contradicts is looked at more closely
        before = climbed if looked and not jumps else 0  # those are measured again, up to eight
        assert block.jumps == jumps + looked + before
        assert abs(block.numeric[9] - looked) <= block.uncertainty[9] < 1e-3
        assert np.all(np.abs(block.numeric[:before] - 1) <= block.uncertainty[:before])

    @pytest.mark.parametrize(("contradicted", "looked"), [(0, True), (7, True), (8, False)])
    def test_jumps_are_looked_for_in_the_first_few_that_contradict(
        self, contradicted: int, looked: bool
    ) -> None:
        def stairs(x: np.ndarray) -> float:  # flat between jumps, with slope 1 over many
            return float(np.sum(1e-5 * np.round(x / 1e-5)))

        climbing, parameter = self.of(stairs, np.ones(20))
        block = self.block(parameter, np.ones(20))
        block.climbed[10:], block.contradicted = True, contradicted
        climbing.measure(block, 0, 9)
        assert (block.jumps > 0) == looked

    @pytest.mark.parametrize(
        ("within", "jumps", "kept"),
        [(1e-12, False, True), (1e-6, True, True), (1e-6, False, False)],
    )
    def test_a_kink_is_at_the_point_if_it_is_seen_there_or_the_claim_jumps(
        self, within: float, jumps: bool, kept: bool
    ) -> None:
        climbing, parameter = self.of(np.sum, np.ones(3), jumps=jumps)
        block = self.block(parameter, [0.5, 0.5, 0.5])
        block.trusted[1] = True
        climb = climbing.start(block, 0, 1, 0.5)
        climbing.note(block, 0, 1, climb, Derivative(2.0, 0.1, 0.1, 0.0, 4.0, within=within))
        assert climbing.kinked and block.kinks.tolist() == [False, kept, False]
        assert block.numeric[1] == (0.5 if kept else 2.0)
        assert block.uncertainty[1] == pytest.approx(0.1 if kept else 2.1)
        assert block.climbed[1] and not block.trusted[1]
        assert climbing.nearby.asked == ([] if within < 1e-9 else [(0, 1, 4.0)])

    @pytest.mark.parametrize("rounding", [2.0**-53, 2.0**-24])
    @pytest.mark.parametrize("scale", [1e-5, 1.0, 1e5])
    def test_a_claim_is_known_as_well_as_the_last_digit_of_its_parameter(
        self, rounding: float, scale: float
    ) -> None:
        """At the bottom of a parabola: 3 x^2 / 2, whose slope is off by 3 digits of x."""

        def f(x: np.ndarray) -> float:
            return 1.5 * float(np.sum((x - scale) ** 2))

        climbing, parameter = self.of(f, np.full(3, scale), rounding=rounding)
        block = self.block(parameter, np.zeros(3))
        climbing.measure(block, 0, 1)
        digit = 8 * rounding * scale * 3
        assert block.claim_rounding == pytest.approx([0.0, digit, 0.0], rel=1e-3)
        block.claim_rounding[1] = 2 * digit  # and no better than it was known before
        climbing.measure(block, 0, 1)
        assert block.claim_rounding[1] == 2 * digit

    def test_what_cancelling_hides_belongs_to_the_error_bar_of_what_contradicts(self) -> None:
        for claim, bar in ((0.5, 0.1), (1.0, 0.0)):
            climbing, parameter = self.of(np.sum, np.full(3, 2.0), left_over=0.2)
            block = self.block(parameter, np.full(3, claim))
            found = climbing.measure(block, 0, 1)
            assert found.uncertainty == block.uncertainty[1] == pytest.approx(bar, abs=1e-6)

    def test_without_a_kink_none_is_noted(self) -> None:
        climbing, parameter = self.of(np.sum, np.ones(2))
        block = self.block(parameter, [0.5, 0.5])
        climb = climbing.start(block, 0, 1, 0.5)
        climbing.note(block, 0, 1, climb, Derivative.smooth(2.0, 0.1, 0.1, 1e-7))
        assert not climbing.kinked and not block.kinks.any()
        assert (block.numeric[1], block.uncertainty[1]) == (2.0, 0.1)


class TestMeasurement:
    """From the first step of every entry to the ladders of those that it leaves open."""

    @staticmethod
    def given() -> dict[str, Any]:
        rng = np.random.default_rng(0)
        aims = {"eps": 1e-7, "tol": 1e-6, "warn": 1e-4}
        return {"jitter": 0.0, "limit": None, "rng": rng} | aims

    @staticmethod
    def of(
        loss: Callable[[np.ndarray], float],
        claim: Any,
        theta: Any,
        *,
        noise: float | None = None,
        **options: Any,
    ) -> Measurement:
        parameter = Parameter("x", np.array(theta, float))
        claims = [np.array(claim, float)]
        problem = Problem([parameter], lambda: loss(parameter.array), lambda: claims)
        counted = Loss(problem.loss)
        given = {"rounding": [0.0]} | TestMeasurement.given() | options
        nearby = Nearby(problem, claims, problem.claimed)
        made = Measurement(problem.parameters, counted, claims, nearby, base=counted(), **given)
        if noise is not None:
            made.noise = made.ladders.noise = made.first_step.noise = noise
            block, bars = made.first_step.take(parameter, claims[0], given["rounding"][0], made.eps)
            made.blocks, made._first_bars = [block], [bars]
        return made

    def first(self, loss: Any, claim: Any, theta: Any, **options: Any) -> Measured:
        return self.of(loss, claim, theta, **options).blocks[0]

    @staticmethod
    def total(x: np.ndarray) -> float:
        return float(np.sum(x)) - x.size

    @pytest.mark.parametrize("sign", [1, -1])
    def test_a_first_step_settles_what_noise_explains(self, sign: int) -> None:
        bar = SIGMAS * math.sqrt(2) * 1e-8 / 2e-7
        for part, settled in ((0.99, True), (1.01, False)):
            claim = [1 + sign * part * bar]
            block = self.first(self.total, claim, [1.0], noise=1e-8)
            assert np.isfinite(block.uncertainty[0]) == settled
            assert block.numeric[0] == pytest.approx(1, abs=1e-7)
            if settled:
                assert block.uncertainty[0] == pytest.approx((1 + part) * bar, rel=1e-5)

    def test_noise_is_at_least_the_rounding_of_the_larger_value(self) -> None:
        for offset in (1e6, -1e6):
            block = self.first(lambda x, a=offset: a + x[0], [1.0], [1.0], noise=0.0)
            bar = SIGMAS * math.sqrt(2) * 2.0**-53 * 1e6 / 2e-7
            assert block.uncertainty[0] - abs(block.numeric[0] - 1) == pytest.approx(bar, rel=1e-5)

    @pytest.mark.parametrize("part", [0.99, 1.01])
    def test_it_settles_what_the_rounding_of_the_claim_explains(self, part: float) -> None:
        # 16 roundings of the entry and 8 of a typical one
        error = part * (16 * 3 + 8 * math.sqrt((9 + 1) / 2)) * 1e-3
        block = self.first(
            lambda x: (3 + error) * x[0] + x[1] - 4 - error,
            [3.0, 1.0],
            [1.0, 1.0],
            noise=0.0,
            rounding=[1e-3],
        )
        assert np.isfinite(block.uncertainty).tolist() == [part < 1, True]
        assert block.claim_rounding == pytest.approx(
            1e-3 * (16 * np.array([3, 1]) + 8 * math.sqrt(5))
        )

    @pytest.mark.parametrize("noise", [0.0, 1e-11])
    @pytest.mark.parametrize("sign", [1, -1])
    def test_it_settles_nothing_across_a_kink(self, sign: int, noise: float) -> None:
        least = 2e-3 + 2 * SIGMAS * math.sqrt(2) * noise / 2e-7  # a thousandth of claim and typical
        for part, settled in ((0.97, True), (1.03, False)):
            jump = sign * part * least

            def loss(x: np.ndarray, jump: float = jump) -> float:
                return float(x[0] - 1 + jump / 2 * abs(x[0] - 1))

            made = self.of(loss, [1.0], [1.0], noise=noise)
            assert np.isfinite(made.blocks[0].uncertainty[0]) == settled
            assert np.isfinite(made._first_bars[0][0]) == settled

    def test_its_bar_is_noise_and_a_part_of_tol(self) -> None:
        (bars,) = self.of(
            lambda x: 7 * x[0] + x[1] - 8, [7.0, 1.0], [1.0, 1.0], noise=1e-12
        )._first_bars
        noise = SIGMAS * math.sqrt(2) * 1e-12 / 2e-7
        assert bars == pytest.approx(noise + 0.03e-6 * np.array([7.0, 5.0]), rel=1e-4)

    def test_where_the_claim_is_zero_it_is_not_trusted(self) -> None:
        made = self.of(lambda x: 0.0, [0.0, 0.0], [1.0, 1.0], noise=0.0)
        assert made.blocks[0].negligible and np.all(np.isinf(made._first_bars[0]))

    def test_what_rounding_left_of_a_zero_is_known_as_well_as_the_step_says(self) -> None:
        parameters = [Parameter(name, np.ones(1)) for name in "ab"]
        claims = [np.array([1.0]), np.array([1e-7])]
        loss = Loss(lambda: float(parameters[0].array[0]) - 1)
        problem = Problem(parameters, loss, lambda: claims)
        one, other = Measurement(
            parameters,
            loss,
            claims,
            Nearby(problem, claims, problem.claimed),
            rounding=[2.0**-24] * 2,
            base=loss(),
            **self.given(),
        ).blocks
        assert (one.negligible, other.negligible) == (False, True)
        assert other.claim_rounding[0] >= 1e-7 and 1e-7 <= other.uncertainty[0] < 1e-6

    def known(self, claim: float, numeric: float, bar: float, goal: float, **more: Any) -> bool:
        made = self.of(self.total, [claim], [1.0])
        block = made.blocks[0]
        block.numeric[0], block.uncertainty[0], block.climbed[0] = numeric, bar, True
        for name, value in more.items():
            setattr(block, name, value)
        return made._known(0, goal)

    def test_an_error_is_known_where_what_is_open_is_twice_the_goal(self) -> None:
        assert self.known(1.0, 1.0, 3.9e-6, 1e-6)
        assert not self.known(1.0, 1.0, 4.1e-6, 1e-6)
        # where it is certain, to two digits
        assert self.known(1.0, 2.0, 0.0049, 1e-6) and self.known(1.0, 2.0, 0.0049, 1e-4)
        assert not self.known(1.0, 2.0, 0.0051, 1e-6) and not self.known(1.0, 2.0, 0.0051, 1e-4)

    def test_where_nothing_is_certain_an_error_is_known_if_it_keeps_warn(self) -> None:
        assert self.known(1.0, 1.0, 1.9e-4, 1e-4) and self.known(1.0, 1.0, 2e-4, 1e-4)
        assert not self.known(1.0, 1.0, 2.1e-4, 1e-4)
        bar = 1.5e-4
        assert not self.known(1.0, 1 + bar + 1.9e-6, bar, 1e-4)
        assert self.known(1.0, 1 + bar + 2.1e-6, bar, 1e-4)  # beyond `tol`: that is certain
        # of a zero beside a whole of 1, a ten thousandth of that counts
        assert self.known(1.0, 1.0, 0.9e-8, 1e-4, negligible=True)
        assert not self.known(1.0, 1.0, 1.1e-8, 1e-4, negligible=True)

    def test_noise_may_be_that_of_rounding_all_parameters_at_once(self) -> None:
        made = self.of(lambda x: 1.0, [3e3, 4e3], [1e3, 1e3])
        claims, unit = [np.array([3e3, -4e3])], 8 * 2.0**-53
        noises = {0.9: False, 1.0: False, 1.1: True, 4.9e6: True, 5e6: False, 5.1e6: False}
        for noise, elsewhere in noises.items():
            for base in (1.0, -1.0):
                made.noise, made.base = noise * unit, base
                assert made._is_rounded_elsewhere(claims) == elsewhere
        assert not made._is_rounded_elsewhere([np.array([math.nan, 1.0])])

    def test_it_is_measured_with_all_parameters_moved_by_their_size(self) -> None:
        theta = np.array([5.0] * 1000 + [-1e-3] * 1000 + [0.0] * 1000)
        seen: list[np.ndarray] = []
        self.of(lambda x: seen.append(x - theta) or 0.0, np.ones(3000), theta)
        first = next(m for m in seen if np.all(m != 0))
        size = float(np.sqrt(np.mean(theta**2)))
        for part, scale in zip(np.split(first, 3), (5.0, 1e-3, size), strict=True):
            assert np.sqrt(np.mean(part**2)) == pytest.approx(1e-10 * scale, rel=0.1, abs=0)

    def test_it_ends_with_the_last_evaluation_that_is_allowed(self) -> None:
        made = self.of(self.total, [1.0], [1.0])
        for left, ended in ((1, False), (0, True), (-1, True)):
            made.budget = made.loss.evaluations + left
            assert made.ended == ended

    def test_kinks_may_be_met_on_ladders_and_along_directions(self) -> None:
        made = self.of(self.total, [1.0], [1.0])
        for one, other in ((False, False), (True, False), (False, True), (True, True)):
            made.ladders.kinked, made.directions.kinked = one, other
            assert made.kinked == (one or other)

    def test_noise_is_at_least_that_of_two_evaluations_at_the_point(self) -> None:
        assert self.of(self.total, [1.0], [1.0], jitter=1e-5).noise == 1e-5
        assert 2.0**-53 < self.of(lambda x: 1 + x[0], [1.0], [1.0]).noise < 1e-14

    def test_the_whole_is_that_of_the_finite_claims(self) -> None:
        assert self.of(self.total, [3.0, -4.0], [1.0, 1.0]).goals.whole == 5
        assert self.of(self.total, [3.0, math.nan], [1.0, 1.0]).goals.whole == 0

    @pytest.mark.parametrize(("size", "budget"), [(2, 50_000), (2501, 50_020)])
    def test_so_many_evaluations_are_for_ladders(self, size: int, budget: int) -> None:
        made = self.of(lambda x: 0.0, np.zeros(size), np.ones(size))
        before = made.loss.evaluations
        made.run()
        assert made.budget == before + budget and not made.ended
        few = self.of(lambda x: 0.0, np.zeros(size), np.ones(size), limit=before)
        few.run()
        assert few.budget == before and few.ended

    @staticmethod
    def wrong(x: np.ndarray) -> float:
        return float(np.sum(np.sin(x)))

    def settled(self, sign: float = -1.0, *, off: int | None = None, bars: float = 0.0) -> Any:
        theta = np.linspace(0.1, 1.2, 40)
        made = self.of(self.wrong, sign * np.cos(theta), theta)
        if off is not None:
            made.blocks[0].numeric[off] += 0.01
        made._first_bars[0] += bars
        made.budget = 1e9
        made._settle(0)
        block = made.blocks[0]
        assert np.all(np.isfinite(block.uncertainty))
        assert np.all(np.abs(block.numeric - np.cos(theta)) <= block.uncertainty)
        return block

    @pytest.mark.parametrize("sign", [-1.0, 0.5, 2.0])
    def test_a_first_step_that_eight_ladders_bear_out_is_trusted(self, sign: float) -> None:
        block = self.settled(sign)
        assert np.sum(block.climbed) == 8 and np.all(block.trusted == ~block.climbed)
        assert np.all(block.climbed[:4])  # the four that are furthest off

    def test_a_first_step_that_they_do_not_is_not(self) -> None:
        assert np.all(self.settled(off=0).climbed)
        assert np.all(self.settled(bars=math.inf).climbed)

    def test_entries_nearer_to_their_claim_than_ladders_know_climb(self) -> None:
        theta = np.linspace(0.1, 1.2, 40)
        claim = -np.cos(theta)
        claim[30] = np.cos(theta[30]) * (1 + 5e-7)
        made = self.of(self.wrong, claim, theta)
        made._first_bars[0][:], made.budget = 0.0, math.inf
        made._settle(0)
        block = made.blocks[0]
        assert block.climbed[30] and np.sum(block.climbed) == 9
        # the others are known as well as the best of the ladders
        best = np.min(block.uncertainty[block.climbed & (claim < 0)])
        assert np.all(block.uncertainty[block.trusted] == best)

    def test_kinks_and_jumps_keep_it_from_being_trusted(self) -> None:
        theta = np.ones(10)
        kinked = self.of(lambda x: float(np.sum(x + np.abs(x - 1))), -np.ones(10), theta)
        stairs = self.of(
            lambda x: float(np.sum(1e-5 * np.round(x / 1e-5))), np.ones(10), theta, noise=1e-15
        )
        for made in (kinked, stairs):
            made.budget = 1e9
            made._settle(0)
            assert np.all(made.blocks[0].climbed)

    class Ladders:
        """Instead of `Climbing`: every entry is known as well as that."""

        kinked = False

        def __init__(self, bar: float) -> None:
            self.bar, self.order = bar, []

        def measure(self, block: Measured, i: int, j: int) -> Derivative:
            block.climbed[j], block.uncertainty[j] = True, self.bar
            self.order.append(j)
            return Derivative.unknown()

    def climbed(self, bars: Any, bar: float, goal: float, **options: Any) -> list[int]:
        size = len(bars)
        made = self.of(self.total, np.ones(size), np.ones(size), **options)
        made.blocks[0].uncertainty[:] = bars
        made.ladders, made.budget = self.Ladders(bar), options.get("limit", math.inf)
        made._climb_all(0, goal)
        return made.ladders.order

    def test_the_entries_known_least_climb_first_until_the_whole_is_known(self) -> None:
        bars = np.full(100, 1e-9)
        bars[40:80] = np.linspace(1.0, 2.0, 40)
        assert self.climbed(bars, 0.0, 1e-6) == [*range(79, 39, -1), *range(24)]
        assert self.climbed(np.full(100, 1e-9), 0.0, 1e-6) == []
        assert self.climbed(np.ones(100), 0.0, 1e-6, limit=0) == []
        assert self.climbed(np.ones(100), 0.0, 1e-6) == list(range(100))

    @pytest.mark.parametrize("count", [32, 64])
    def test_they_do_so_no_longer_where_even_warn_is_out_of_reach(self, count: int) -> None:
        # of so many the norm of the bars counts for so much, beside a gradient of 20 in all
        part = (0.4 + 0.6 / math.sqrt(1)) * math.sqrt(count)
        limit = 2 * 1e-4 * 20 / part
        assert len(self.climbed(np.ones(100), 1.02 * limit, 1e-4)) == count
        assert len(self.climbed(np.ones(100), 0.98 * limit, 1e-4)) > count
        assert len(self.climbed(np.ones(100), 1.02 * limit, 1e-6)) == 64  # after `tol`

    class Averages:
        """Instead of `Climbing`: entries are found to be so, and what is noted of them is kept."""

        kinked = False

        def __init__(self, found: Derivative, across: Derivative) -> None:
            self.noted, self.points = [], []
            measure = {"measure": found, "across_jumps": across}
            self.climb = SimpleNamespace(
                **{
                    name: lambda points, one=one: self.points.append(points) or one
                    for name, one in measure.items()
                }
            )

        def start(self, block: Measured, i: int, j: int, measured: float) -> Any:
            assert measured == block.numeric[j]
            return self.climb

        def note(self, block: Measured, i: int, j: int, climb: Any, found: Derivative) -> None:
            self.noted.append((i, j, found))
            block.uncertainty[j] = found.uncertainty

    def sharpened(
        self, found: Derivative, *, jumps: int = 0, across: Any = None, climbed: int = 2
    ) -> Any:
        # one entry of two, of 3 and of 4, is known to 0.004: beside 10, four times `warn`
        made = self.of(self.total, [3.0, 4.0], [1.0, 1.0])
        block = made.blocks[0]
        block.numeric[:], block.uncertainty[:] = [3.0, 4.0], [0.004, 1e-9]
        block.climbed[:climbed], block.jumps = True, jumps
        made.ladders, made.directions = self.Averages(found, across), self.Answers(None, None)
        made.budget = 1e9
        made._sharpen(0)
        return made

    def test_entries_that_keep_a_block_open_are_averaged(self) -> None:
        first, second = (math.ceil(128 * (4 / part) ** 2) for part in (1.0, 0.5))
        sharp = Derivative.smooth(3.002, 5e-4, 5e-4, 1e-7)
        made = self.sharpened(sharp)
        assert made.ladders.noted == [(0, 0, sharp)] and made.ladders.points == [first]
        still = Derivative.smooth(3.002, 0.0039, 5e-4, 1e-7)  # sharper, and not sharp enough
        made = self.sharpened(still)
        again = math.ceil(128 * (3.9 / 0.5) ** 2)
        assert made.ladders.points == [first, again] and len(made.ladders.noted) == 1
        for none in (
            Derivative.smooth(3.002, 0.004, 5e-4, 1e-7),  # no sharper than before
            Derivative.smooth(3.0046, 5e-4, 5e-4, 1e-7),  # another value than before
            Derivative.smooth(2.9954, 5e-4, 5e-4, 1e-7),
            Derivative(3.0, 5e-4, 5e-4, 2.9, 3.1),  # a kink
        ):
            made = self.sharpened(none)
            assert not made.ladders.noted and made.ladders.points == [first, second]
        assert self.sharpened(Derivative.smooth(3.0044, 5e-4, 5e-4, 1e-7)).ladders.noted

    def test_across_jumps_where_there_are_some(self) -> None:
        one, other = (Derivative.smooth(3.0, bar, bar, 1e-7) for bar in (5e-4, 6e-4))
        assert self.sharpened(one, across=other).ladders.noted == [(0, 0, one)]
        assert self.sharpened(one, across=other, jumps=1).ladders.noted == [(0, 0, other)]

    @pytest.mark.parametrize(("climbed", "asked"), [(2, 0), (1, 1)])
    def test_directions_bound_what_did_not_climb(self, climbed: int, asked: int) -> None:
        sharp = Derivative.smooth(3.0, 5e-4, 5e-4, 1e-7)
        assert len(self.sharpened(sharp, climbed=climbed).directions.asked) == asked
        wide = Derivative.smooth(3.0, 0.004, 5e-4, 1e-7)
        assert len(self.sharpened(wide, climbed=climbed).directions.asked) == 2 * asked

    class Answers:
        """Instead of `Directions`: what they say is settled, of which blocks is kept."""

        kinked = False

        def __init__(self, *answers: Bound | None) -> None:
            self.answers, self.asked = list(answers), []

        def bound(self, blocks: Any, origin: Any, *, most: float) -> Bound | None:
            self.asked.append([block.parameter.name for block in blocks])
            return self.answers.pop(0)

    def bounded(self, *answers: Bound | None, budget: float = 1e5) -> Any:
        parameters = [Parameter(name, np.ones(2)) for name in "ab"]
        claims = [np.array([3.0, 4.0]), np.array([6.0, 8.0])]
        loss = Loss(
            lambda: float(sum(c @ p.array for c, p in zip(claims, parameters, strict=True)))
        )
        problem = Problem(parameters, loss, lambda: claims)
        made = Measurement(
            parameters,
            loss,
            claims,
            Nearby(problem, claims, problem.claimed),
            rounding=[0.0, 0.0],
            base=loss(),
            **self.given(),
        )
        made.directions, made.budget = self.Answers(*answers), budget
        return made

    def test_a_bound_is_for_each_block_by_its_size(self) -> None:
        made = self.bounded(Bound(0.1, noisy=True, contradicts=False))
        assert made._bound([0, 1]) is True and made.directions.asked == [["a", "b"]]
        assert [block.bound for block in made.blocks] == pytest.approx([0.5, 1.0])
        made = self.bounded(Bound(0.1, noisy=False, contradicts=False))
        assert made._bound([1]) is False and made.directions.asked == [["b"]]
        assert [block.bound for block in made.blocks] == [math.inf, pytest.approx(1.0)]

    def test_nothing_is_bounded_where_nothing_is_asked_or_answered(self) -> None:
        for made, which in (
            (self.bounded(), []),
            (self.bounded(budget=0), [0]),
            (self.bounded(None), [0, 1]),
        ):
            assert made._bound(which) is False
            assert all(math.isinf(block.bound) for block in made.blocks)

    def test_blocks_that_are_contradicted_together_are_asked_one_by_one(self) -> None:
        made = self.bounded(
            Bound(0.1, noisy=False, contradicts=True),
            Bound(0.2, noisy=True, contradicts=True),
            Bound(0.01, noisy=True, contradicts=False),
        )
        assert np.all(np.isfinite(made.blocks[0].uncertainty))
        assert made._bound([0, 1]) is False
        assert made.directions.asked == [["a", "b"], ["a"], ["b"]]
        assert [block.bound for block in made.blocks] == pytest.approx([1.0, 0.1])
        # where one alone contradicts its first steps, they no longer count
        assert np.all(np.isinf(made.blocks[0].uncertainty))
        assert np.all(np.isfinite(made.blocks[1].uncertainty))

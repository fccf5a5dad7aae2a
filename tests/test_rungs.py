"""Which rung of a ladder comes next, which entries climb, how closely, and what is noted of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from pytest_gradcheck.core import rungs
from pytest_gradcheck.core.climbing import Climbing
from pytest_gradcheck.core.differences import Derivative
from pytest_gradcheck.core.goals import Goals
from pytest_gradcheck.core.ladder import SIGMAS, Estimate, Ladder
from pytest_gradcheck.core.loss import Loss
from pytest_gradcheck.core.measured import Measured
from pytest_gradcheck.core.parameters import Parameter
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
            assert self.goals.bars(claim).tolist() == pytest.approx([3e-10] * claim.size)
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
        assert block.jumps == 1 and block.numeric[1] == 0  # no claim of what secants show

    @pytest.mark.parametrize(
        ("claim", "jumps", "climbed", "looked"),
        [
            *((1.0, 0, 0, False), (1.0, 3, 0, False)),  # agrees
            *((2.0, 0, 0, True), (2.0, 0, 7, True), (2.0, 0, 8, False), (2.0, 1, 8, True)),
        ],
    )
    def test_jumps_are_looked_for_in_the_first_few_and_where_there_were_some(
        self, claim: float, jumps: int, climbed: int, looked: bool
    ) -> None:
        block = self.block(Parameter("x", np.ones(10)), np.ones(10))
        block.jumps, block.climbed[:climbed] = jumps, True
        assert Climbing._may_jump(block, Derivative.smooth(1.0, 0.1, 0.1, 1e-7), claim) == looked

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

    def test_without_a_kink_none_is_noted(self) -> None:
        climbing, parameter = self.of(np.sum, np.ones(2))
        block = self.block(parameter, [0.5, 0.5])
        climb = climbing.start(block, 0, 1, 0.5)
        climbing.note(block, 0, 1, climb, Derivative.smooth(2.0, 0.1, 0.1, 1e-7))
        assert not climbing.kinked and not block.kinks.any()
        assert (block.numeric[1], block.uncertainty[1]) == (2.0, 0.1)

"""Formulas of the measurement, one by one, on inputs small enough to work them out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pytest_gradcheck.core import climb as climbing
from pytest_gradcheck.core import directions as along_lines
from pytest_gradcheck.core.across import slopes_across
from pytest_gradcheck.core.climb import Climb, points_for
from pytest_gradcheck.core.derivative import Derivative
from pytest_gradcheck.core.differences import (
    _agrees_with_rungs,
    agrees_at,
    derivative,
    fitted,
    verdict,
)
from pytest_gradcheck.core.directions import Bound, Directions, _expected
from pytest_gradcheck.core.fit import Fit, Window, _solve, _together
from pytest_gradcheck.core.jumps import SECANTS, ShortSteps
from pytest_gradcheck.core.ladder import (
    JUMP,
    ONE_SIDED,
    Estimate,
    Ladder,
    _rungs_between,
    scatter_of,
    tableau,
)
from pytest_gradcheck.core.line import Axis
from pytest_gradcheck.core.loss import Loss
from pytest_gradcheck.core.measured import Measured
from pytest_gradcheck.core.noise import difference_table, is_staircase, measure_noise
from pytest_gradcheck.core.parameters import Parameter

UNIT = 2.0**-53


def ladder_of(
    f: Callable[[float], float],
    rungs: Any = (),
    *,
    first: float = 1.0,
    noise: float = 0.0,
    scale: float = 1.0,
) -> Ladder:
    ladder = Ladder(
        lambda h: (h, f(h), h, f(-h)), f(0.0), first, noise=noise, scale=scale, finest=1e-9
    )
    for k in rungs:
        ladder.add(k)
    return ladder


class TestLadder:
    def test_scatter_is_how_far_slopes_are_off_times_their_steps(self) -> None:
        assert scatter_of([], 1.0) == 0
        assert scatter_of([(1.5, 2.0), (0.0, 0.5), (math.nan, 9.0)], 1.0) == 1.0
        assert scatter_of([(1.5, 2.0), (-1.0, 2.0)], 1.0) == 4.0
        assert ladder_of(math.exp).scatter == 0

    def test_looks_between_are_at_shorter_steps_off_the_ladder(self) -> None:
        ladder, steps = ladder_of(math.exp, (0, -1, -2)), []
        sample = ladder.sample
        ladder.sample = lambda h: steps.append(h) or sample(h)
        assert ladder.check_below(0.25)
        assert steps == pytest.approx([0.25 * 0.62, 0.25 * 0.37])

    def test_they_are_compared_with_what_the_rungs_would_have_there(self) -> None:
        # central quotients of 3 + h^2 off by 0.1 at the shorter of the two
        def f(h: float) -> float:
            return 3 * h + h**3 + (0.1 * h if 0 < abs(h) < 0.1 else 0.0)

        ladder = ladder_of(f, (0, -1))
        assert ladder.check_below(0.25)
        assert ladder.scatter == pytest.approx(0.1 * 0.37 * 0.25)
        bent = ladder_of(lambda h: math.nan if h < 0 else 3 * h + h * h, (0, -1))
        assert bent.check_below(0.25) and bent.scatter < 1e-15

    @pytest.mark.parametrize(("step", "widest"), [(2.0**-6, 4.0), (2.0**-7, 2.0**-5)])
    def test_windows_begin_beyond_the_best_step_only_if_they_would_not_reach_it(
        self, step: float, widest: float
    ) -> None:
        ladder = ladder_of(math.exp, scale=2.0)
        ladder.best = lambda: Estimate(0.0, 0.0, 0.0, 0.0, 0.0, step, step)  # type: ignore[method-assign]
        assert ladder.widest(3) == widest  # 4 steps of it, against 4 / 4^3

    @pytest.mark.parametrize(("jump", "certain"), [(0.74, False), (0.75, False), (0.76, True)])
    def test_a_jump_is_certain_beyond_three_times_its_error(
        self, jump: float, certain: bool
    ) -> None:
        for sign in (1, -1):
            assert Estimate(0.0, 0.0, 0.0, sign * jump, 0.25, 1.0, 0.25).jumps == certain

    def test_noise_counts_by_the_weights_of_each_step(self) -> None:
        # steps of 1 and 1/4, with weights of -1/15 and 16/15, for the jump of -1/3 and 4/3
        central, jump = 1 / 15 + 16 / 15 * 4, 1 / 3 + 4 / 3 * 4
        for noise, scatter, sigma in (
            (3.0, 0.0, 3.0),
            (3.0, 5.0, 5 * math.sqrt(2)),
            (9.0, 5.0, 9.0),
        ):
            ladder = ladder_of(lambda h: 0.0, (0, -1), noise=noise)
            ladder.scatter = scatter
            (one,) = ladder.estimates()
            assert one.noise == pytest.approx(4 * sigma / math.sqrt(2) * central)
            assert one.jump_error == pytest.approx(4 * sigma * math.sqrt(6) * jump)
            edge = ladder_of(lambda h: math.nan if h < 0 else 0.0, (0, -1), noise=noise)
            edge.scatter = scatter
            bar = 4 * math.sqrt(2) * max(noise, scatter) * jump
            assert verdict(edge, 0.0).noise == pytest.approx(bar)

    @pytest.mark.parametrize("seed", range(6))
    def test_what_is_left_of_a_jump_is_known_as_its_neighbours_in_the_tableau(
        self, seed: int
    ) -> None:
        losses = np.random.default_rng(seed).normal(size=(2, 4))

        def f(h: float) -> float:
            return float(losses[int(h > 0), round(-math.log(abs(h), 4))]) if h else 0.0

        ladder = ladder_of(f, range(0, -4, -1))
        ladder.noise = 0.0
        table = tableau([ladder.rungs[-k].jump for k in range(4)], JUMP)
        last = [e for e in ladder.estimates() if e.finest == 4.0**-3]
        assert [e.step for e in last] == [4.0**-2, 4.0**-1, 1.0]
        for j, one in enumerate(last, 1):
            off = [abs(one.jump - table[3][j - 1]), abs(one.jump - table[2][j - 1])]
            assert one.jump == table[3][j]
            assert one.jump_error == pytest.approx(max(off))  # of noise there is none

    def test_finer_ones_are_at_shorter_steps(self) -> None:
        ladder = ladder_of(math.exp, (0, -2, -1))
        assert [r.step for r in ladder.finer_than(ladder.rungs[-1])] == [4.0**-2]
        assert ladder.finer_than(ladder.rungs[-2]) == []

    @pytest.mark.parametrize(
        ("first", "last", "count"),
        [
            *((1.0, 3.0, 0), (1.0, 5.0, 1), (1.0, 17.0, 2), (1.0, 0.9, -1), (5.0, 1.0, -2)),
            *((0.0, 1.0, -1000), (1.0, 0.0, -1000), (-1.0, 1.0, -1000), (1.0, math.inf, -1000)),
            *((1.0, math.nan, -1000), (1e308, 5e-324, -1000), (1e300, 1e-300, -997)),
        ],
    )
    def test_rungs_from_one_step_to_another(self, first: float, last: float, count: int) -> None:
        assert _rungs_between(first, last) == count

    def test_a_kink_is_looked_for_where_the_target_is_not_reached(self) -> None:
        ladder = ladder_of(lambda h: h + 1e-3 * abs(h), (0, -1, -2), noise=1e-9)
        best = ladder.best()
        assert best is not None and not verdict(ladder, best.uncertainty).kink
        assert verdict(ladder, 0.999 * best.uncertainty).kink


class TestOneSided:
    @pytest.mark.parametrize("seed", range(8))
    def test_truncation_is_the_distance_to_both_neighbours_of_the_tableau(self, seed: int) -> None:
        slopes = np.random.default_rng(seed).normal(size=4)
        ladder = ladder_of(
            lambda h: math.nan if h < 0 else h and h * slopes[round(-math.log(h, 4))],
            range(0, -4, -1),
        )
        found = verdict(ladder, 0.0)
        table = tableau([float(s) for s in slopes], ONE_SIDED)
        places = [(k, j) for k in range(1, 4) for j in range(1, k + 1)]
        ((k, j),) = [(k, j) for k, j in places if table[k][j] == found.value]
        value = table[k][j]
        off = max(abs(value - table[k][j - 1]), abs(value - table[k - 1][j - 1]))
        assert found.uncertainty - found.noise == pytest.approx(off)
        assert found.step == 4.0**-k
        assert (found.left, found.right) == (value, value)


LEVEL = np.zeros(2)
"""The even part of a fit that neither bends nor has a kink."""


class TestAgreement:
    def test_a_difference_at_the_end_of_an_error_bar_bears_it_out(self) -> None:
        ladder = ladder_of(lambda h: 0.0)
        assert agrees_at(ladder, 1e-6, Derivative.smooth(0.5, 0.5, 0.0, 1e-3))
        assert agrees_at(ladder, 1e-6, Derivative.smooth(-0.5, 0.5, 0.0, 1e-3))
        assert not agrees_at(ladder, 1e-6, Derivative.smooth(0.51, 0.5, 0.0, 1e-3))

    fit = Fit(2.0, 0.01, 0.02, 0.0, 0.0, 0.0, np.array([8.0]), LEVEL, 4.0)

    @pytest.mark.parametrize(("step", "looked"), [(0, False), (-1, True)])
    def test_a_fit_is_compared_with_steps_short_beside_its_window(
        self, step: int, looked: bool
    ) -> None:
        assert self.fit.central(0.5) == 2.0
        for sign in (1, -1):
            for off, agrees in ((0.029, True), (0.031, not looked)):
                ladder = ladder_of(lambda h, off=sign * off: (2 + off) * h, [step])
                assert _agrees_with_rungs(self.fit, ladder) == agrees
            flat = Fit(sign * 0.5, 0.25, 0.25, 0.0, 0.0, 0.0, np.array([sign * 2.0]), LEVEL, 4.0)
            assert _agrees_with_rungs(flat, ladder_of(lambda h: 0.0, [step]))  # at its very end
            noisy = ladder_of(lambda h, s=sign: (2 + s * 0.34) * h, [step], noise=0.01)
            assert _agrees_with_rungs(self.fit, noisy)  # 8 * 0.01 in a step of 0.25
            noisy = ladder_of(lambda h, s=sign: (2 + s * 0.36) * h, [step], noise=0.01)
            assert _agrees_with_rungs(self.fit, noisy) != looked

    def test_what_says_the_same_is_the_same_whatever_it_rests_on(self) -> None:
        def fit(more: float) -> Derivative:
            return Derivative.of_fit(
                Fit(1.0, 0.5, 0.25, 0.0, 2.0, 0.0, np.ones(2) + more, LEVEL, 2.0)
            )

        assert fit(0.0) == fit(1.0) and "odd" not in repr(fit(0.0))

    def test_a_claim_at_the_end_of_an_error_bar_is_not_contradicted(self) -> None:
        found = Derivative.smooth(1.0, 0.5, 0.1, 1e-3)
        assert not found.contradicts(1.5) and not found.contradicts(0.5)
        assert found.contradicts(1.51) and found.contradicts(0.49)


class TestFitted:
    @staticmethod
    def tried(found: Derivative, noise: float, enough: float = 0.0) -> int:
        count = [0]

        def f(h: float) -> float:
            count[0] += h != 0
            return math.nan

        ladder = Ladder(
            lambda h: (h, f(h), h, f(-h)), 0.0, 1e-3, noise=noise, scale=1.0, finest=1e-9
        )
        assert fitted(ladder, found, enough) is found
        return count[0]

    def test_eight_windows_of_sixteen_points_are_tried(self) -> None:
        assert self.tried(Derivative.unknown(), 1e-9) == 8 * 2 * 16

    def test_no_window_is_tried_that_could_not_be_sharper(self) -> None:
        # a quarter of the noise, four times over for four standard deviations of sixteen points
        known = Derivative.smooth(0.0, 1.0, 1.0, 1e-3)
        assert self.tried(known, 8.0) == 0
        assert self.tried(known, 7.9) == 2 * 16
        assert self.tried(known, 1.9) == 2 * 2 * 16
        hidden = Derivative(0.0, 1.5, 1.0, 0.0, 0.0, hidden=0.5)
        assert self.tried(hidden, 8.0) == 0 and self.tried(hidden, 7.9) == 2 * 16

    @pytest.mark.parametrize("offset", [1.0, -1.0])
    def test_noise_is_at_least_the_rounding_at_the_point(self, offset: float) -> None:
        ladder = ladder_of(lambda h: offset * 2.0**53, scale=1.0)
        found = Derivative.smooth(0.0, 0.5, 1.0, 1e-3)
        assert fitted(ladder, found, 0.0) is found  # 1 is no less than 2 * 0.5
        wider = Derivative.smooth(0.0, 0.51, 1.0, 1e-3)
        assert fitted(ladder, wider, 0.0).uncertainty <= 0.51

    def test_it_ends_with_the_first_that_is_enough(self) -> None:
        def points(enough: float) -> int:
            rng, count = np.random.default_rng(0), [0]

            def f(h: float) -> float:
                count[0] += 1
                return h + 1e-6 * float(rng.standard_normal())

            ladder = ladder_of(f, noise=1e-6)
            found = fitted(ladder, Derivative.unknown(), enough, points=100)
            assert abs(found.value - 1) <= found.uncertainty
            assert found.uncertainty <= enough or enough == 0
            return count[0] - 1

        assert points(1.0) == 2 * 16
        assert points(0.0) >= 2 * (16 + 100)


class TestConfirmation:
    @pytest.mark.parametrize("unit", [1.0, 2.0**28])  # the second stops at a step of 1
    def test_a_discrepancy_is_confirmed_whatever_its_steps(self, unit: float) -> None:
        first = unit * 2.0**-26

        def sample(h: float) -> tuple[float, float, float, float]:
            power = math.log(h / first, 4)
            on_ladder = abs(power - round(power)) < 1e-9
            error = 1e-3 * h if on_ladder and h <= first else 1e-9 * unit
            return h, h + error, h, -h - error

        ladder = Ladder(sample, 0.0, first, noise=1e-18 * unit, scale=unit, finest=1e-13 * unit)
        assert not derivative(ladder, claim=1.0, target=1e-9, enough=1e-7).contradicts(1.0)

    @pytest.mark.parametrize("noise", [1e-6, 1e-3])
    def test_where_noise_leaves_enough_nothing_is_climbed(self, noise: float) -> None:
        def rungs(enough: float, claim: float = 1.0) -> int:
            rng = np.random.default_rng(0)
            ladder = ladder_of(
                lambda h: h + noise * float(rng.standard_normal()), noise=noise, first=1e-3
            )
            found = derivative(ladder, claim=claim, target=noise / 100, enough=enough)
            assert abs(found.value - 1) <= found.uncertainty
            return len(ladder.rungs)

        assert rungs(100 * noise) == 1
        assert rungs(0.0) > 1
        assert rungs(0.0, 1 + 1e4 * noise) == 1  # decided to two digits

    @pytest.mark.parametrize("side", [1, -1])
    def test_at_an_edge_rungs_say_what_no_fit_can(self, side: int) -> None:
        rng = np.random.default_rng(0)

        def f(h: float) -> float:
            return math.nan if side * h < 0 else h + 1e-6 * float(rng.standard_normal())

        ladder = ladder_of(f, noise=1e-6, first=1e-3)
        found = derivative(ladder, claim=1.0, target=1e-9, enough=1e-8)
        assert abs(found.value - 1) <= found.uncertainty < 0.1 and found.fit is None

    @pytest.mark.parametrize("scale", [0.25, 1.0, 16.0])
    def test_noise_is_averaged_at_once_where_ten_targets_drown_at_the_longest_step(
        self, scale: float
    ) -> None:
        for part, climbs in ((1.05, True), (0.95, False)):
            ladder = ladder_of(lambda h: h, noise=1e-6, first=1e-3, scale=scale)
            target = part * 4e-6 / 10 / (2 * scale)
            derivative(ladder, claim=1.0, target=target, enough=1.0)
            assert (len(ladder.rungs) > 1) == climbs


class TestFit:
    def test_parts_of_its_error_bar(self) -> None:
        fit = Fit(
            1.0,
            0.5,
            0.25,
            -2.0,
            2.0,
            0.125,
            np.array([1.0, 2.0, 3.0]),
            np.array([9.0, 1.0, 2.0, 3.0]),
            2.0,
        )
        assert fit.uncertainty == 1.75
        assert (fit.hidden, fit.sure) == (1.0, 0.75)  # as noise explains the jump
        assert fit.random == 0.375
        assert fit.central(1.0) == (1 + 2 * 0.25 + 3 * 0.0625) / 2
        certain = Fit(1.0, 0.5, 0.25, -2.0, 1.9, 9.0, np.ones(1), LEVEL, 2.0)
        assert (certain.hidden, certain.sure) == (0.0, 1.75)
        assert certain.random == 1.75

    def test_residuals_that_alternate_count_each(self) -> None:
        values = np.array([1.0, -1.0] * 4)
        found, error = _solve([np.ones(8)], values, 0, 0.0)
        # seven are free, and six sevenths more for so few
        assert found == pytest.approx([0.0], abs=1e-15)
        assert error == pytest.approx(math.sqrt(8 / 7) * (1 + 6 / 7) / math.sqrt(8))
        assert _solve([np.ones(8)], values, 0, 5.0)[1] == pytest.approx(5 / math.sqrt(8))

    def test_each_coefficient_has_its_own_error(self) -> None:
        x = np.linspace(0.0, 1.0, 9)
        columns = [np.ones(9), x, x * x]
        values = 2 - 3 * x + 5 * x * x
        variance = np.diag(np.linalg.inv(np.stack(columns) @ np.stack(columns, 1)))
        for which in range(3):
            found, error = _solve(columns, values, which, 0.5)
            assert found == pytest.approx([2.0, -3.0, 5.0])
            assert error == pytest.approx(0.5 * math.sqrt(variance[which]))

    def test_residuals_that_go_together_count_as_fewer(self) -> None:
        assert _together(np.zeros(5)) == 1
        assert _together(np.array([1.0, -1.0, 1.0])) == 1
        correlation = 9 / 10  # of ten alike, nine pairs
        assert _together(np.full(10, -2.0)) == pytest.approx(
            math.sqrt((1 + correlation) / (1 - correlation))
        )
        assert _together(np.ones(1000)) == pytest.approx(math.sqrt(1.97 / 0.03))  # at most

    @pytest.mark.parametrize("floor", [1e-3, 1.0])
    @pytest.mark.parametrize("scale", [1.0, 16.0])
    def test_of_zeros_everything_is_the_noise_that_is_certain(
        self, floor: float, scale: float
    ) -> None:
        longest, points = 2.0, 16
        window = Window(lambda h: (h, 0.0, h, 0.0), longest, points, floor=floor, scale=scale)
        x = window.steps / longest
        odd, even = np.stack([x, x**3], 1), np.stack([np.ones_like(x), x], 1)
        slope = math.sqrt(1 / float(x @ x))
        next_ = math.sqrt(np.linalg.inv(odd.T @ odd)[0, 0])
        bend = math.sqrt(np.linalg.inv(even.T @ even)[1, 1])
        fit = window.best(3.0)
        assert (fit.value, fit.jump, fit.truncation, len(fit.odd)) == (0, 0, 0, 1)
        # and a staircase of one step may hide a slope over a quarter of the scale
        stairs = 3 * floor / min(longest, scale / 4)
        assert fit.noise == pytest.approx(3 * floor * slope / longest + stairs)
        assert fit.jump_chance == pytest.approx(2 * 3 * floor * bend / longest)
        assert fit.chance == pytest.approx(3 * floor * (next_ / 2 + bend) / longest)

    @pytest.mark.parametrize(("height", "flat"), [(31.0, True), (33.0, False)])
    def test_a_staircase_is_of_less_than_so_many_steps(self, height: float, flat: bool) -> None:
        def fit(floor: float) -> Fit:
            window = Window(lambda h: (h, h, h, -h), 1.0, 64, floor=floor, scale=1e3)
            span = float(np.ptp(window.steps))
            return Window(
                lambda h: (h, height * h / span, h, -height * h / span),
                1.0,
                64,
                floor=floor,
                scale=1e3,
            ).best(4.0)

        assert (fit(1.0).noise > 4) == flat

    def test_halves_are_of_both_sides(self) -> None:
        window = Window(lambda h: (3 * h, 5.0, h, 1.0), 1.0, 9, floor=0.0, scale=1.0)
        assert np.all(window.odd == 2) and np.all(window.even == 3)
        nodes = np.sin(np.pi * np.arange(1, 18, 2) / 36)
        assert window.steps == pytest.approx(2 * nodes)
        assert window.usable
        same = Window(lambda h: (1.0, 5.0, 1.0, 1.0), 1.0, 16, floor=0.0, scale=1.0)
        assert not same.usable  # one step sixteen times

    def test_of_even_and_odd_parts_the_coefficients_are_found(self) -> None:
        def f(h: float) -> float:
            return 7 + 2 * h - h**3 + 0.25 * abs(h) + 3 * h * h

        fit = Window(lambda h: (h, f(h), h, f(-h)), 0.5, 64, floor=1e-12, scale=1.0).best(4.0)
        assert fit.value == pytest.approx(2) and fit.jump == pytest.approx(0.5)
        assert fit.odd[:2] / 0.5 == pytest.approx([2, -0.25])
        assert fit.hidden == 0 and fit.longest == 0.5


class TestNoise:
    @staticmethod
    def spacings(f: Callable[[float], float], base: float) -> list[float]:
        """Powers of ten of the spacings of the tables that are made, of seven points each."""
        seen: list[float] = []

        def along(t: float) -> float:
            seen.append(t)
            return f(t)

        measure_noise(along, base)
        tables = [seen[i : i + 7] for i in range(0, len(seen), 7)]
        for table in tables:
            assert np.array(table) / table[0] == pytest.approx(np.arange(1, 8))
        return [math.log10(table[0]) for table in tables]

    def test_spacings_are_wider_where_values_repeat(self) -> None:
        wider = [-10, -8, -6, -4, -2]
        assert self.spacings(lambda t: 5.0, 5.0) == pytest.approx(wider)

    def test_spacings_are_narrower_where_the_function_varies_or_ends(self) -> None:
        narrower = [-10, -12, -14]
        assert self.spacings(lambda t: math.exp(1e10 * t), 1.0) == pytest.approx(narrower)
        assert self.spacings(lambda t: math.nan, 1.0) == pytest.approx(narrower)

    def test_one_is_enough_where_it_shows_noise(self) -> None:
        rng = np.random.default_rng(0)
        assert self.spacings(lambda t: float(rng.standard_normal()), 0.0) == pytest.approx([-10])

    @pytest.mark.parametrize(
        ("values", "square"),
        [
            ([0, 0, 0, 0, 1, 2, 2, 0], 6 / 7 / 2),  # 3.3 times as much as in third differences
            ([0, 1, 2, 3, 3, 2, 1, 0], 2 / 5 / 20),  # 4.6 times: the third are taken themselves
        ],
    )
    def test_three_orders_agree_within_a_factor_of_four(
        self, values: list[int], square: float
    ) -> None:
        found = difference_table(np.array(values, float))
        assert found.accepted and found.noise == pytest.approx(math.sqrt(square))

    def test_two_orders_of_differences_that_agree_are_not_enough(self) -> None:
        values = np.array([1.2, 2.0, 4.0, 8.2, 16.1, 32.1, 64.2, 127.9])  # powers of 2, nearly
        level = {
            k: math.sqrt(np.mean(np.diff(values, k) ** 2) / math.comb(2 * k, k)) for k in (5, 6, 7)
        }
        assert level[6] == pytest.approx(level[7], rel=0.01) and level[5] > 1.9 * level[6]
        found = difference_table(values)
        assert not found.accepted and found.noise == pytest.approx(level[5])

    def test_it_ends_at_the_first_spacing_that_shows_noise(self) -> None:
        rng = np.random.default_rng(0)
        found = self.spacings(lambda t: float(rng.standard_normal()) if t > 5e-9 else 0.0, 0.0)
        assert found == pytest.approx([-10, -8])

    def test_a_staircase_has_a_fifth_of_its_values_again(self) -> None:
        assert is_staircase(np.array([0.0, 0, 0, 1, 2, 3, 4, 5, 6, 7]))
        assert not is_staircase(np.array([0.0, 0, 1, 2, 3, 4, 5, 6, 7, 8]))

    @pytest.mark.parametrize("sign", [1.0, -1.0])
    def test_differences_of_one_sign_are_no_noise(self, sign: float) -> None:
        values = sign * np.array([0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0])
        found = difference_table(values)  # first differences are 0 and 1, second ones 1 and -1
        assert found.accepted
        assert found.noise == pytest.approx(math.sqrt(1 / 6))  # as (2!)^2 / 4!

    def test_stairs_count_by_their_height_once_steps_are_wider(self) -> None:
        # one step up within the widest table alone: evenly spread over its height
        found = measure_noise(lambda t: 3.0 if t > 0.045 else 2.0, 2.0)
        assert found == pytest.approx(1 / math.sqrt(12))
        assert measure_noise(lambda t: 3.0 if 4.5e-10 < t < 1e-9 else 2.0, 2.0) == 2 * UNIT


class TestJumps:
    """`explained`: longer steps lead towards the claim, by a jump that is high enough."""

    @staticmethod
    def explained(f: Callable[[float], float], **options: Any) -> Derivative | None:
        given = {"slope": 0.0, "claim": 1.0, "scale": 1.0, "reach": 1e-7, "noise": 0.0} | options
        scale, noise = given["scale"], given["noise"]
        ladder = Ladder(
            lambda h: (h, f(h), h, f(-h)), f(0.0), 1e-9, noise=noise, scale=scale, finest=1e-15
        )
        short = ShortSteps(ladder, f, scale, given["slope"], bar=0.0, step=given["reach"])
        return short.explained(given["claim"], slopes_across(ladder.sample, scale, noise=0.0))

    @staticmethod
    def stairs(t: float, step: float = 1e-5, slope: float = 0.0) -> float:
        return slope * t + step * math.floor(t / step + 0.37)

    @pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
    @pytest.mark.parametrize("step", [3e-7, 1e-5, 1e-3])
    @pytest.mark.parametrize("unit", [1e-8, 1.0, 1e8])
    def test_stairs_explain_what_secants_show(self, scale: float, step: float, unit: float) -> None:
        def f(t: float) -> float:
            return unit * scale * self.stairs(t / scale, step)

        found = self.explained(f, scale=scale, reach=1e-7 * scale, claim=unit)
        assert found is not None
        assert abs(found.value - unit) <= found.uncertainty < 0.5 * unit
        assert self.explained(f, scale=scale, reach=1e-7 * scale, claim=3 * unit) is None

    @pytest.mark.parametrize("claim", [-1.0, 0.3, 3.0])
    def test_secants_have_to_lead_to_about_the_claim(self, claim: float) -> None:
        assert self.explained(self.stairs, claim=claim) is None

    @pytest.mark.parametrize("frequency", [1.0, 30.0, 1e3, 1e4, 1e5, 1e6, 1e7])
    @pytest.mark.parametrize("part", [1e-3, 0.5, 1.0])
    def test_what_varies_fast_does_not(self, frequency: float, part: float) -> None:
        def f(t: float) -> float:
            return t + part * math.sin(frequency * t) / frequency

        reach = 0.01 / frequency
        assert self.explained(f, slope=1 + part, claim=1.0, reach=reach) is None

    @pytest.mark.parametrize("seed", range(20))
    def test_kinks_everywhere_do_not(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        places, bends = rng.uniform(-0.02, 0.02, 5000), rng.normal(size=5000)
        h = np.min(np.abs(places)) / 4

        def f(t: float) -> float:
            return float(np.sum(bends * np.abs(t - places)))

        slope = (f(h) - f(-h)) / (2 * h)
        for length in (1e-3, 1e-2):  # with a claim that secants do show
            secant = (f(length) - f(-length)) / (2 * length)
            assert self.explained(f, slope=slope, claim=secant, reach=h) is None

    @pytest.mark.parametrize("width", [1e-5, 1e-4, 1e-3])
    def test_a_smooth_rise_does_not(self, width: float) -> None:
        def f(t: float) -> float:  # flat at the point, of slope 1 further off
            return t - width * math.tanh(t / width)

        assert self.explained(f, reach=1e-3 * width) is None

    @pytest.mark.parametrize(("reach", "explains"), [(1e-6, True), (8e-5, False)])
    def test_steps_across_many_jumps_have_seen_them(self, reach: float, explains: bool) -> None:
        assert (self.explained(self.stairs, reach=reach) is not None) == explains

    @pytest.mark.parametrize(("noise", "explains"), [(1e-6, True), (1.5e-6, False)])
    def test_a_jump_has_to_be_above_the_noise(self, noise: float, explains: bool) -> None:
        assert (self.explained(self.stairs, noise=noise) is not None) == explains

    def test_a_few_jumps_next_to_the_point_are_no_slope(self) -> None:
        def f(t: float) -> float:
            return 4e-4 * (t > 3e-4) + 4e-4 * (t > -5e-4)

        assert self.explained(f, claim=0.4) is None

    @pytest.mark.parametrize("reach", [1e-15, 1e-19, 1e-30])
    @pytest.mark.parametrize("f", [abs, math.exp, lambda t: math.inf if 1e-4 < t < 2e-4 else t])
    def test_steps_far_below_what_can_be_told_apart(
        self, f: Callable[[float], float], reach: float
    ) -> None:
        assert self.explained(f, slope=0.5, claim=1.0, reach=reach) is None

    def test_within_the_domain(self) -> None:
        def f(t: float) -> float:
            return self.stairs(t, 1e-6) if t < 1e-4 else math.nan

        found = self.explained(f, reach=1e-8)
        assert found is not None and abs(found.value - 1) <= found.uncertainty


class TestClimb:
    @staticmethod
    def of(x: float, own: float, scale: float, f: Any = lambda x: x) -> Climb:
        parameter = Parameter("x", np.array([x]))
        axis = Axis(Loss(lambda: f(float(parameter.array[0]))), parameter, 0, x)
        return Climb(axis, f(x), 1.0, own, scale, UNIT, 1e-7, target=1e-9, enough=1e-7)

    @pytest.mark.parametrize(
        ("own", "scale", "asked"),
        [
            (1e-6, 1e-5, [1e-8, 1e-9]),
            (1e-5, 1e-6, [1e-8, 1e-9]),
            (1e-5, 1e-5, [1e-8]),
            (1e-3, 1e-5, [1e-8]),
            (1e-4, 1e-4, []),  # no shorter than the first step
            (1.0, 1.0, []),
        ],
    )
    def test_a_thousandth_of_the_entry_and_of_its_block_have_to_bear_it_out(
        self, own: float, scale: float, asked: list[float], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for agrees in (True, False):
            seen: list[float] = []

            def agree(ladder: Any, step: float, found: Any, seen: Any = seen) -> bool:
                seen.append(step)
                return agrees  # noqa: B023

            monkeypatch.setattr(climbing, "agrees_at", agree)
            climb = self.of(0.5, own, scale)
            found = climb.measure()
            assert seen == pytest.approx(asked)
            assert abs(found.value - 1) <= found.uncertainty
            first = asked[-1] if asked and not agrees else 1e-7
            assert climb.ladder.first == pytest.approx(first)

    @pytest.mark.parametrize(
        ("own", "scale", "largest"), [(0.5, 0.1, 1.0), (30.0, 2.0, 30.0), (2.0, 30.0, 30.0)]
    )
    def test_steps_are_up_to_the_largest_size_and_down_to_the_entrys_own_digits(
        self, own: float, scale: float, largest: float
    ) -> None:
        climb = self.of(0.5, own, scale)
        climb.measure()
        ladder = climb.ladder
        assert ladder.longest == 2 * largest
        assert 1e-13 * own <= ladder.first * 4.0**ladder.lowest <= 4e-13 * own
        assert ladder.noise == UNIT

    @pytest.mark.parametrize("far", [False, True])
    def test_what_is_asked_of_jumps(self, monkeypatch: pytest.MonkeyPatch, far: bool) -> None:
        asked: dict[str, tuple[Any, ...]] = {}
        answer = Derivative.smooth(1.0, 0.1, 0.1, 1e-3)
        for name in ("explained", "between_jumps"):

            def answered(*given: Any, name: str = name) -> Derivative:
                asked[name] = given
                return answer

            monkeypatch.setattr(ShortSteps, name, answered)
        climb = self.of(1.0, 0.5, 0.25, lambda x: 2 * x)
        found = Derivative.smooth(0.3, 0.1, 0.1, 1e-6)
        assert climb.explained(found) is answer is climb.between_jumps(found, far=far)
        short, claim, across = asked["explained"]
        assert (short.ladder, short.scale, claim) == (climb.ladder, 0.5, 1.0)
        assert (short.slope, short.bar, short.step, short.at(0.25)) == (0.3, 0.1, 1e-6, 2.5)
        assert asked["between_jumps"][:2] == (short, SECANTS if far else SECANTS[:1])
        for count, slopes in ((1, across), (1 + far, asked["between_jumps"][2])):
            measured = list(slopes)  # when they are asked for
            assert len(measured) == count
            assert all(abs(one.value - 2.0) <= one.uncertainty < 1e-9 for one in measured)

    def test_no_shorter_than_the_first_step(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: Any) -> bool:
            raise AssertionError("no shorter than the first step")

        monkeypatch.setattr(climbing, "agrees_at", refuse)
        climb = self.of(0.5, 1e-4, 1e-4, lambda x: 0.5 * (x - 0.5))
        climb.eps = 1e-3 * 1e-4
        climb.measure()

    @pytest.mark.parametrize(("own", "scale"), [(0.5, 2.0), (2.0, 0.5), (2.0, 2010.0)])
    def test_a_window_across_jumps_is_a_tenth_of_the_size(self, own: float, scale: float) -> None:
        seen: list[float] = []

        def f(x: float) -> float:
            seen.append(abs(x - 1))
            return x

        found = self.of(1.0, own, scale, f).across_jumps(20)
        assert abs(found.value - 1) <= found.uncertainty < 1e-12
        assert 0.19 < max(seen) <= 0.2 * (1 + 1e-9)
        edge = self.of(1.0, own, scale, lambda x: math.nan if x > 1 else x).across_jumps()
        assert math.isinf(edge.uncertainty)


class TestPointsFor:
    @staticmethod
    def of(*bars: float) -> dict[int, float]:
        return dict(zip(*map(np.ndarray.tolist, points_for(np.array(bars), 1.0)), strict=True))

    def test_are_no_more_than_a_fit_can_have(self) -> None:
        # twice 64 points, times what the bar is above the goal, squared
        assert self.of(8.0) == {0: 8192}
        assert self.of(8.001) == {0: math.inf}
        assert self.of(9.0, 0.6) == {0: math.inf, 1: math.ceil(128 * 0.6 * 9.6)}

    def test_are_for_those_without_which_half_of_the_goal_is_kept(self) -> None:
        assert self.of(0.5) == {}
        assert self.of(0.51) == {0: math.ceil(128 * 0.51**2)}
        assert self.of(0.3, 2.0, 0.4) == {1: 512}  # the rest is 0.5
        assert self.of(0.0, 0.0, 0.0) == {}

    def test_are_in_proportion_to_the_bars(self) -> None:
        assert self.of(0.31, 2.0, 0.4) == {1: math.ceil(256 * 2.4), 2: math.ceil(51.2 * 2.4)}


class TestDirections:
    """What a few slopes along random lines say, and how many are asked for."""

    @staticmethod
    def blocks(*sizes: int) -> list[Measured]:
        made = []
        for size in sizes:
            claim = np.ones(size)
            parameter = Parameter("x", np.ones(size))
            made.append(Measured(parameter, claim, claim.copy(), np.zeros(size), np.zeros(size)))
        return made

    @staticmethod
    def directions(warn: float = 1e-5) -> Directions:
        return Directions(Loss(lambda: 0.0), 0.0, 0.0, warn, np.random.default_rng(0))

    def answers(self, monkeypatch: pytest.MonkeyPatch, found: Any, known: Any = (0, 0, 0)) -> None:
        left = list(found)
        monkeypatch.setattr(Directions, "_along", lambda *_: left.pop(0))
        monkeypatch.setattr(along_lines, "_expected", lambda *_: known)

    @pytest.mark.parametrize(("count", "quantile"), [(3, 0.0243), (16, 3.94)])
    def test_a_norm_is_so_much_less_once_in_a_thousand_times(
        self, count: int, quantile: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        t = (np.arange(100_000) + 0.5) * quantile / 100_000
        density = t ** (count / 2 - 1) * np.exp(-t / 2)
        density /= 2 ** (count / 2) * math.gamma(count / 2)  # of chi-squared
        assert np.mean(density) * quantile == pytest.approx(1e-3, rel=0.01)
        assert along_lines.QUANTILES[count] == quantile
        errors = np.arange(1.0, count + 1)
        found = [Derivative.smooth((-1) ** i * e, 0.0, 0.0, 1.0) for i, e in enumerate(errors)]
        self.answers(monkeypatch, found)
        bound = self.directions()._bound(self.blocks(9), [np.ones(9)], count, 64)
        assert bound is not None and bound.contradicts and not bound.noisy
        assert bound.norm == pytest.approx(np.linalg.norm(errors) / math.sqrt(quantile))

    @pytest.mark.parametrize(
        ("off", "bar", "noise", "known", "each"),
        [
            (1.0, 0.0, 0.0, 0.0, 1.0),
            (1.0, 0.5, 0.5, 0.0, 1.0),  # noise adds to the squares as it stands
            (1.0, 8.0, 8.0, 0.0, 2.0),  # and is at least a standard deviation
            (1.0, 0.5, 0.2, 0.0, 1.3),  # what is not noise is added
            (1.0, 0.5, 0.2, 0.25, 1.55),  # as are the bars of ladders
            (1.0, 0.2, 0.5, 0.0, 1.0),
        ],
    )
    def test_each_counts_with_its_bias(
        self,
        off: float,
        bar: float,
        noise: float,
        known: float,
        each: float,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        found = [Derivative.smooth(7 + off, bar, noise, 1.0)] * 3
        self.answers(monkeypatch, found, (7.0, known, 100.0))
        bound = self.directions()._bound(self.blocks(9), [np.ones(9)], 3, 64)
        assert bound is not None and not bound.contradicts
        assert bound.norm == pytest.approx(each * math.sqrt(3 / 0.0243))

    @pytest.mark.parametrize(("noise", "noisy"), [(0.49, False), (0.5, False), (0.51, True)])
    def test_noise_limits_it_where_it_is_more_than_half(
        self, noise: float, noisy: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = [Derivative.smooth(0.0, 1.0, 0.0, 1.0), Derivative.smooth(0.0, 2.0, 0.0, 1.0)]
        found.append(Derivative.smooth(0.0, 3.0, 6 * noise, 1.0))
        self.answers(monkeypatch, found)
        bound = self.directions()._bound(self.blocks(9), [np.ones(9)], 3, 64)
        assert bound is not None and bound.noisy == noisy

    @pytest.mark.parametrize(("error", "contradicts"), [(1.99, False), (2.0, False), (2.01, True)])
    @pytest.mark.parametrize("sign", [1, -1])
    def test_twice_what_all_bars_explain_is_a_contradiction(
        self, error: float, contradicts: bool, sign: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        agrees = Derivative.smooth(0.0, 0.2, 0.0, 1.0)
        off = Derivative.smooth(sign * error, 0.2, 0.0, 1.0)
        self.answers(monkeypatch, [agrees, off, agrees], (0.0, 0.3, 0.5))
        bound = self.directions()._bound(self.blocks(9), [np.ones(9)], 3, 64)
        assert bound is not None and bound.contradicts == contradicts

    def test_a_kink_or_nothing_along_one_proves_nothing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fine = Derivative.smooth(0.0, 0.1, 0.0, 1.0)
        for last, known, kinked in (
            (Derivative(0.0, 0.1, 0.0, -1.0, 1.0), 0.0, True),
            (Derivative.unknown(), 0.0, False),
            (fine, math.inf, False),
        ):
            self.answers(monkeypatch, [fine, fine, last], (0.0, known, 0.0))
            directions = self.directions()
            assert directions._bound(self.blocks(9), [np.ones(9)], 3, 64) is None
            assert directions.kinked == kinked

    def asked(
        self, monkeypatch: pytest.MonkeyPatch, *answers: Bound | None, size: int = 9, most: float
    ) -> tuple[list[tuple[int, int]], Bound | None]:
        left, seen = list(answers), []

        def bound(_: Any, blocks: Any, origin: Any, count: int, points: int) -> Bound | None:
            seen.append((count, points))
            return left.pop(0)

        monkeypatch.setattr(Directions, "_bound", bound)
        found = self.directions().bound(self.blocks(size), [np.ones(size)], most=most)
        assert not left
        return seen, found

    def test_more_are_asked_where_noise_keeps_a_bound_above_a_part_of_warn(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def noisy(norm: float, **more: Any) -> Bound:
            return Bound(norm * 1e-5, **{"noisy": True, "contradicts": False} | more)

        first, second = (3, 64), (16, 64)
        for answers, size, most, seen, norm in (
            ([None], 9, 1e9, [first], None),
            ([noisy(9.0)], 8, 1e9, [first], 9.0),  # whose entries cost less
            ([noisy(9.0), noisy(1.0)], 9, 1e9, [first, second], 1.0),
            ([noisy(9.0, noisy=False)], 9, 1e9, [first], 9.0),
            ([noisy(0.59)], 9, 1e9, [first], 0.59),
            ([noisy(0.61), noisy(0.5)], 9, 1e9, [first, second], 0.5),
            ([Bound(2 * (0.3 * 1e-5), True, False)], 9, 1e9, [first], 0.6),
            ([noisy(9.0)], 9, 2047, [first], 9.0),
            ([noisy(9.0), noisy(1.0)], 9, 2048, [first, second], 1.0),
        ):
            asked, found = self.asked(monkeypatch, *answers, size=size, most=most)
            assert asked == seen
            assert (found and found.norm) == (norm and pytest.approx(norm * 1e-5))

    def test_more_points_are_asked_as_far_as_they_will_do(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def noisy(norm: float, **more: Any) -> Bound:
            return Bound(norm * 1e-5, **{"noisy": True, "contradicts": False} | more)

        # 64 points, for 3 / 0.7 / 2 times less noise as many times squared
        points = math.ceil(64 * (3 / 2 / 0.7) ** 2)
        last = noisy(1.0)
        four = Bound(8 * (0.7 * 1e-5), noisy=True, contradicts=False)  # times less noise
        for second, most, count in (
            (four, 1e9, 1024),
            (four, 2 * 16 * 1024, 1024),
            (four, 2 * 16 * 1024 - 1, None),
            (noisy(3.0), 1e9, points),
            (noisy(1.9), 1e9, None),  # keeps `warn`
            (Bound(2 * 1e-5, noisy=True, contradicts=False), 1e9, None),
            (noisy(2.1), 1e9, math.ceil(64 * (2.1 / 2 / 0.7) ** 2)),
            (noisy(3.0, contradicts=True), 1e9, None),
            (noisy(3.0, noisy=False), 1e9, None),
            (noisy(3.0), 2 * 16 * 64 * (3 / 2 / 0.7) ** 2 - 1, None),  # not to be had
            (noisy(3.0), 2 * 16 * 64 * (3 / 2 / 0.7) ** 2 + 1, points),
            (noisy(5.5), 1e9, math.ceil(64 * (5.5 / 2 / 0.7) ** 2)),
            (noisy(5.7), 1e9, None),  # more than there ever are
            (noisy(math.inf), 1e9, None),
            (None, 1e9, math.ceil(64 * (4 / 2 / 0.7) ** 2)),
        ):
            answers = [noisy(4.0 if second is None else 9.0), second]
            seen, found = self.asked(monkeypatch, *answers, *([last] if count else []), most=most)
            assert seen[:2] == [(3, 64), (16, 64)]
            assert seen[2:] == ([(16, count)] if count else [])
            assert found is not None
            if count:
                assert found.norm == last.norm

    def test_of_two_bounds_the_sharper_counts_and_any_contradiction(self) -> None:
        one, other = Bound(1.0, True, False), Bound(2.0, False, True)
        assert Directions._sharper(one, None) is one
        assert Directions._sharper(one, other) == Bound(1.0, False, True)
        assert Directions._sharper(other, one) == Bound(1.0, True, True)
        assert Directions._sharper(one, one) == one

    def test_what_is_expected_along_a_line(self) -> None:
        a, b = self.blocks(3, 2)
        a.numeric[:], a.climbed[0] = [5.0, 1.0, 1.0], True
        a.uncertainty[:], a.claim_rounding[:] = [0.5, 0.1, 0.2], 0.1
        expected, known, settled = _expected([a, b], [np.array([2.0, -1.0, 3.0]), np.ones(2)])
        assert expected == 5 * 2 - 1 + 3 + 1 + 1
        assert known == 0.5 * 2  # of entries on ladders each counts in full
        assert settled == pytest.approx(math.hypot(0.2 * 1, 0.3 * 3))

    @pytest.mark.parametrize(
        ("dtype", "first", "finest"), [(float, 1e-2, 1e-13), (np.float32, 1e-2, 1e3 * 2.0**-23)]
    )
    def test_how_far_a_line_is_followed(
        self, dtype: Any, first: float, finest: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[Any] = []

        def measure(ladder: Ladder, **options: Any) -> Derivative:
            asked.append((ladder, options))
            return Derivative.unknown()

        monkeypatch.setattr(along_lines, "derivative", measure)
        blocks = self.blocks(2, 4)
        for block in blocks:
            block.parameter = Parameter("x", np.ones(block.claimed.size, dtype))
        directions = Directions(Loss(lambda: 0.0), 5.0, 1e-9, 1e-5, np.random.default_rng(0))
        v = [np.array([0.5, -0.5]), np.full(4, 0.1)]
        directions._along(blocks, [np.full(2, 3.0), np.full(4, 2.0)], v, 0.25, 77)
        ((ladder, options),) = asked
        # the line may be followed until the first of the blocks has moved by its own size
        longest = 3 / 0.5
        assert ladder.longest == pytest.approx(2 * longest)
        assert (ladder.base, ladder.noise) == (5.0, 1e-9)
        assert ladder.first == pytest.approx(first * longest)
        lowest = ladder.first * 4.0**ladder.lowest
        assert finest * longest <= lowest <= 4 * finest * longest
        assert options == {
            "claim": 0.25,
            "target": pytest.approx(2e-10 * math.sqrt(2), rel=1e-6, abs=0),
            "enough": pytest.approx(0.03 * 1e-5),
            "points": 77,
        }

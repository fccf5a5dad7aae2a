"""One derivative and its error bar: on functions whose derivative is known exactly."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from pytest_gradcheck.core.climb import Climb, points_for
from pytest_gradcheck.core.derivative import Derivative
from pytest_gradcheck.core.descent import _many_kinks, _next
from pytest_gradcheck.core.differences import MANY, agrees_at, derivative, verdict
from pytest_gradcheck.core.fit import Window
from pytest_gradcheck.core.highest_jump import longest_inside
from pytest_gradcheck.core.ladder import (
    CENTRAL,
    JUMP,
    ONE_SIDED,
    SIGMAS,
    Estimate,
    Ladder,
    tableau,
)
from pytest_gradcheck.core.line import Axis
from pytest_gradcheck.core.loss import Loss
from pytest_gradcheck.core.noise import difference_table, measure_noise
from pytest_gradcheck.core.parameters import Parameter

UNIT = 2.0**-53
"""Rounding of a value of size 1."""


@dataclass
class Along:
    """A function of one variable, with its slope at 0, and how well and how soon it is known."""

    f: Callable[[float], float]
    slope: float
    bar: float
    evaluations: int
    noise: float = UNIT
    options: dict[str, Any] = field(default_factory=dict)
    count: int = 0

    def __call__(self, h: float) -> float:
        self.count += 1
        return self.f(h)

    def measure(self, claim: float, **options: Any) -> Derivative:
        self.count = 0
        given = {"first": 1e-7, "scale": 1.0, "finest": 1e-13} | self.options | options
        aims = {"target": 1e-9, "enough": 1e-7}
        aims |= {key: given.pop(key) for key in (*aims, "points") if key in given}
        first = given.pop("first")
        self.ladder = Ladder(
            lambda h: (h, self(h), h, self(-h)), self.f(0.0), first, noise=self.noise, **given
        )
        return derivative(self.ladder, claim=claim, **aims)


def outside(edge: float, f: Callable[[float], float]) -> Callable[[float], float]:
    """NaN beyond an edge."""
    return lambda h: math.nan if h / edge > 1 else f(h)


def stairs(step: float, f: Callable[[float], float]) -> Callable[[float], float]:
    return lambda h: step * round(f(h) / step)


SMOOTH = {
    "exp": Along(math.exp, 1.0, 1e-9, 6),
    "sin(30 h)": Along(lambda h: math.sin(30 * h), 30.0, 1e-9, 8),
    "one over": Along(lambda h: 1 / (1 + 25 * (h + 0.1) ** 2), -3.2, 1e-9, 10),
    "exp(1e6 h)": Along(lambda h: math.exp(1e6 * h), 1e6, 0.03, 46),
    "linear": Along(lambda h: 3 * h + 7, 3.0, 1e-9, 10),
    "constant": Along(lambda h: 0.0, 0.0, 1e-9, 6),
    "even": Along(math.cos, 0.0, 1e-9, 8),
    "offset": Along(lambda h: 1e6 + math.exp(h), 1.0, 2e-8, 58, noise=1e-10),
    "cubic": Along(lambda h: 1e8 * (1 + h) ** 3, 3e8, 2e-6, 280, noise=1e-8),
    "edge on the left": Along(outside(-1e-20, math.exp), 1.0, 1e-7, 20),
    "edge on the right": Along(outside(1e-20, math.exp), 1.0, 1e-7, 20),
    "edge near": Along(outside(-1e-4, lambda h: math.sqrt(h + 1e-4)), 50.0, 3e-8, 14),
    "kink near": Along(lambda h: abs(h - 1e-5) + math.exp(h), 0.0, 1e-9, 8),
    "kink nearer": Along(lambda h: abs(h - 1e-8) + math.exp(h), 0.0, 2e-7, 240),
}


@pytest.mark.parametrize("along", SMOOTH.values(), ids=SMOOTH)
def test_right_claim(along: Along) -> None:
    found = along.measure(along.slope)
    assert abs(found.value - along.slope) <= found.uncertainty <= along.bar
    assert along.count <= along.evaluations
    assert not found.contradicts(along.slope) and not found.kink
    assert found.noise <= found.uncertainty


@pytest.mark.parametrize("along", SMOOTH.values(), ids=SMOOTH)
def test_wrong_claim(along: Along) -> None:
    claim = 1.01 * along.slope + 1e-3 * (along.slope == 0)
    found = along.measure(claim)
    assert abs(found.value - along.slope) <= found.uncertainty
    assert found.contradicts(claim)


KINKS = {
    "at the point": (lambda h: abs(h) + h, 0.0, 2.0),
    "unit": (lambda h: max(h, 0.0) + math.exp(h), 1.0, 2.0),
    "falling": (lambda h: math.sin(3 * h) - 5 * abs(h), 8.0, -2.0),
}


@pytest.mark.parametrize(("f", "left", "right"), KINKS.values(), ids=KINKS)
def test_kink(f: Callable[[float], float], left: float, right: float) -> None:
    along = Along(f, (left + right) / 2, 1e-9, 44)
    found = along.measure(along.slope)
    assert found.kink
    assert max(abs(found.left - left), abs(found.right - right)) <= found.uncertainty <= along.bar
    assert found.within <= 1e-12
    assert along.count <= along.evaluations
    low, high = sorted((left, right))
    for claim in (low, high, along.slope, low + 0.1):
        assert not found.contradicts(claim)
        assert found.nearest(claim) == pytest.approx(claim, abs=found.uncertainty)
    for claim in (low - 1e-6, high + 1e-6):
        assert found.contradicts(claim)
        assert found.nearest(claim) != claim
    wide = found.spanning()
    assert not wide.kink
    half = (high - low) / 2
    assert wide.uncertainty == pytest.approx(half + found.uncertainty)
    assert wide.noise == found.noise


def noisy(sigma: float, seed: int, f: Callable[[float], float]) -> Callable[[float], float]:
    rng = np.random.default_rng(seed)
    return lambda h: f(h) + sigma * rng.standard_normal()


@pytest.mark.parametrize("first", [1e-7, 1e-2])
@pytest.mark.parametrize("sigma", [1e-8, 1e-4])
def test_noise_is_four_standard_deviations_of_the_error(sigma: float, first: float) -> None:
    ratios, bars, counts = [], [], []
    for seed in range(20):
        along = Along(noisy(sigma, seed, math.exp), 1.0, 0.0, 0, noise=sigma)
        found = along.measure(1.0, first=first, target=sigma / 100, enough=sigma / 50)
        ratios.append((found.value - 1) / found.noise)
        bars.append(found.uncertainty)
        counts.append(along.count)
    assert max(map(abs, ratios)) <= 1
    assert 0.12 <= float(np.sqrt(np.mean(np.square(ratios)))) <= 0.3
    assert np.median(bars) <= 10 * sigma  # least squares over 64 points in (0, 2]
    assert max(counts) <= 350


def single(h: float) -> float:
    return float(np.float32(math.exp(h)))


class TestNoise:
    """`measure_noise`"""

    @pytest.mark.parametrize("sigma", [1e-12, 1e-8, 1e-3])
    @pytest.mark.parametrize("f", [math.exp, lambda h: math.sin(100 * h)], ids=["exp", "sin"])
    def test_of_a_smooth_function(self, sigma: float, f: Callable[[float], float]) -> None:
        found = [measure_noise(noisy(sigma, seed, f), f(0.0)) / sigma for seed in range(40)]
        assert 0.7 < float(np.sqrt(np.mean(np.square(found)))) < 1.3
        assert min(found) > 0.2 and max(found) < 3

    def test_is_at_least_the_rounding_of_the_value(self) -> None:
        assert measure_noise(lambda h: 3.0, 3.0) == 3 * UNIT
        assert measure_noise(lambda h: 0.0, 0.0) == 0
        assert UNIT <= measure_noise(lambda h: 1 + 1e-3 * h, 1.0) <= 8 * UNIT

    @pytest.mark.parametrize("step", [1e-7, 1e-3])
    def test_of_stairs_is_at_most_their_height(self, step: float) -> None:
        found = measure_noise(stairs(step, lambda h: 0.1234 + h), 0.1234)
        assert 0.1 * step < found < step

    def test_of_few_steps_at_the_first_spacing_is_not_what_they_rise(self) -> None:
        assert 1e6 * UNIT <= measure_noise(lambda h: 1e6 + 0.8 * h, 1e6) <= 1.2e6 * UNIT

    def test_of_a_function_that_ends_is_that_inside(self) -> None:
        along = outside(1e-11, noisy(1e-13, 0, math.exp))
        assert 3e-14 < measure_noise(along, 1.0) < 3e-13

    def test_of_a_steep_function_is_no_curvature(self) -> None:
        assert measure_noise(lambda h: math.exp(1e10 * h), 1.0) < 1e-3

    def test_of_single_precision_is_its_rounding_even_where_it_does_not_show(self) -> None:
        digit = 2.0**-24

        def parabola(h: float) -> float:  # rises by two digits times whole squares, just so
            return float(np.float32(0.5 + 2 * digit * (h / 1e-4) ** 2))

        assert measure_noise(parabola, 0.5) == pytest.approx(digit / math.sqrt(12))

    @pytest.mark.parametrize("base", [1.5, 2.0, 5.0])
    def test_without_three_that_agree_the_smallest_of_high_order_is_taken(
        self, base: float
    ) -> None:
        values = base ** np.arange(8)
        levels = []
        for k in (3, 4, 5):
            share = math.factorial(k) ** 2 / math.factorial(2 * k)
            levels.append(math.sqrt(share * float(np.mean(np.diff(values, k) ** 2))))
        found = difference_table(values)
        assert not found.accepted and found.noise == pytest.approx(min(levels))

    def test_three_orders_of_differences_that_agree_are_enough(self) -> None:
        rng = np.random.default_rng(3)
        last = np.diff(np.eye(8), n=7, axis=0)[0]  # of which it is made free
        t = np.arange(8)
        noise = 1e-6 * rng.standard_normal(8)
        noise -= last * (last @ noise) / (last @ last)
        found = difference_table(1 + t + 0.3 * t**2 - 0.05 * t**3 + noise)
        assert found.accepted and 2e-7 < found.noise < 3e-6
        assert not difference_table(np.exp(t)).accepted

    @pytest.mark.parametrize(
        ("f", "most"),
        [
            (noisy(1e-9, 0, math.exp), 7),
            (math.exp, 21),
            (lambda h: float(np.float32(math.exp(h))), 35),
            (lambda h: 1.0, 35),
        ],
        ids=["noisy", "smooth", "single precision", "constant"],
    )
    def test_costs_few_evaluations(self, f: Callable[[float], float], most: int) -> None:
        along = Along(f, 1.0, 0.0, 0)
        measure_noise(along, f(0.0))
        assert along.count <= most


class TestFit:
    """`Window.best`: a slope, and a jump of it, out of noise."""

    @staticmethod
    def best(f: Callable[[float], float], floor: float, longest: float = 0.5, points: int = 64):
        window = Window(lambda h: (h, f(h), h, f(-h)), longest, points, floor=floor, scale=1.0)
        assert window.usable
        return window.best(SIGMAS)

    @pytest.mark.parametrize("points", [16, 64, 512])
    def test_error_bars_are_right(self, points: int) -> None:
        sigma = 1e-6
        fits = [
            self.best(noisy(sigma, seed, lambda h: math.exp(2 * h)), sigma / 10, points=points)
            for seed in range(60)
        ]
        errors = np.array([fit.value - 2 for fit in fits])
        ratios = errors / [fit.noise for fit in fits]
        assert np.all(np.abs(errors) <= [fit.sure for fit in fits])
        assert 0.12 <= float(np.sqrt(np.mean(ratios**2))) <= 0.33
        assert np.median([fit.sure for fit in fits]) <= 300 * sigma / math.sqrt(points)

    def test_finds_no_jump_in_noise(self) -> None:
        fits = [self.best(noisy(1e-6, seed, math.exp), 1e-7) for seed in range(40)]
        assert all(fit.hidden == abs(fit.jump) / 2 > 0 for fit in fits)
        assert all(fit.random <= fit.uncertainty * (1 + UNIT * 8) for fit in fits)

    def test_finds_a_jump(self) -> None:
        fit = self.best(noisy(1e-6, 0, lambda h: h + 0.1 * abs(h)), 1e-7)
        assert fit.jump == pytest.approx(0.2, rel=1e-3)
        assert fit.hidden == 0
        assert fit.uncertainty >= 0.1 - 1e-4

    @pytest.mark.parametrize("step", [1e-3, 0.1, 0.4])
    def test_says_what_a_central_difference_is(self, step: float) -> None:
        fit = self.best(noisy(1e-12, 0, math.exp), 1e-13)
        expected = math.sinh(step) / step
        assert fit.central(step) == pytest.approx(expected, abs=1e-10)

    def test_slopes_of_stairs_are_not_taken_for_more_than_they_are(self) -> None:
        step = 1e-5
        for offset in np.linspace(0, step, 25):
            fit = self.best(stairs(step, lambda h, d=offset: d + math.exp(h)), step / math.sqrt(12))
            assert abs(fit.value - 1) <= fit.sure <= 100 * step

    def test_a_few_steps_of_a_staircase_prove_nothing(self) -> None:
        fit = self.best(stairs(0.1, lambda h: 0.03 + h), 0.03)
        assert abs(fit.value - 1) <= fit.sure
        assert fit.sure >= SIGMAS * 0.03 / 0.25

    def test_truncation_is_the_distance_to_the_next_two_polynomials(self) -> None:
        def bent(h: float) -> float:
            return math.sin(5 * h) + h * abs(h) / 3

        fit = self.best(bent, 1e-9, points=16)
        window = Window(lambda h: (h, bent(h), h, bent(-h)), 0.5, 16, floor=1e-9, scale=1.0)
        assert np.allclose(np.cos(32 * np.arccos(window.steps / 0.5)), 0)  # Chebyshev's
        assert np.all((window.steps > 0) & (window.steps < 0.5))
        slopes = []
        for terms in range(1, 9):
            columns = [window.steps ** (2 * i + 1) for i in range(terms)]
            slopes.append(np.linalg.lstsq(np.stack(columns, 1), window.odd, rcond=None)[0][0])
        p = len(fit.odd) - 1
        assert fit.value == pytest.approx(slopes[p])
        off = sum(abs(slopes[p] - slopes[p + i]) for i in (1, 2))
        assert fit.truncation == pytest.approx(off, rel=1e-4)

    @pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
    def test_errors_that_go_together_do_not_average_as_others_do(self, correlation: float) -> None:
        ratios = []
        for seed in range(60):
            rng, state = np.random.default_rng(seed), [0.0]

            def f(h: float, rng: Any = rng, state: list[float] = state) -> float:
                if h > 0:
                    state[0] = correlation * state[0] + 1e-6 * rng.standard_normal()
                return h + float(np.sign(h)) * state[0]

            fit = self.best(f, 1e-9)
            ratios.append((fit.value - 1) / fit.noise)
        assert float(np.sqrt(np.mean(np.square(ratios)))) <= 0.4

    @pytest.mark.parametrize("factor", [1e-3, 1e3])
    def test_of_a_stretched_function_all_slopes_are_as_much_smaller(self, factor: float) -> None:
        def fit(unit: float) -> Any:
            f = noisy(1e-6, 3, lambda h: math.exp(h / unit) + 1e-7 * abs(h / unit))
            window = Window(lambda h: (h, f(h), h, f(-h)), 0.5 * unit, 64, floor=1e-7, scale=unit)
            return window.best(SIGMAS)

        one, other = fit(1.0), fit(factor)
        for part in ("value", "truncation", "noise", "jump", "uncertainty", "sure", "random"):
            assert getattr(other, part) * factor == pytest.approx(getattr(one, part), rel=1e-6)
        assert one.random == pytest.approx(one.noise + min(one.truncation + one.hidden, one.chance))

    def test_needs_points(self) -> None:
        def window(f: Callable[[float], float], points: int) -> Window:
            return Window(lambda h: (h, f(h), h, f(-h)), 1.0, points, floor=1e-9, scale=1.0)

        assert window(math.exp, 9).usable
        assert not window(math.exp, 8).usable
        assert not window(outside(0.5, math.exp), 16).usable


@pytest.mark.parametrize(
    ("kind", "powers"),
    [("central", (2, 4, 6, 8, 10)), ("jump", (1, 3, 5, 7, 9)), ("one-sided", (1, 2, 3, 4, 5))],
)
def test_extrapolation_is_exact_for_polynomials(kind: str, powers: tuple[int, ...]) -> None:
    weights = {"central": CENTRAL, "jump": JUMP, "one-sided": ONE_SIDED}[kind]
    assert [len(row) for row in weights] == [1, 2, 3, 4, 5, 6]
    steps = 4.0 ** -np.arange(6)
    rows = tableau(list(3 + steps ** powers[0]), weights)
    for order in range(6):
        row = np.array(weights[order])
        assert sum(row) == pytest.approx(1)
        for p in powers[:order]:
            terms = row * steps[: order + 1] ** p
            assert abs(sum(terms)) <= 1e-3 * max(abs(terms))  # they cancel
        assert rows[5][order] == pytest.approx(3, abs=1e-12 if order else 0.01)


class TestEstimate:
    """The parts of an error bar."""

    def test_noise_may_explain_all_of_it(self) -> None:
        one = Estimate(1.0, 0.5, 1.0, 0.6, 0.9, 1e-3, 1e-4)
        assert one.uncertainty == one.random == pytest.approx(1.8)
        assert not one.jumps
        assert one.uncertainty_beside_jump == pytest.approx(2.4)

    def test_a_certain_jump_and_truncation_are_none(self) -> None:
        one = Estimate(1.0, 5.0, 1.0, -0.8, 0.2, 1e-3, 1e-4)
        assert one.jumps
        assert one.uncertainty == pytest.approx(6.4)
        assert one.random == pytest.approx(2.1)


class TestLadder:
    """Difference quotients at steps of ratio 4, and what is extrapolated from them."""

    @staticmethod
    def of(
        f: Callable[[float], float],
        rungs: Any = (0, -1, -2, -3),
        *,
        base: float | None = None,
        first: float = 1.0,
        noise: float = 0.0,
        scale: float = 1e3,
        finest: float = 1e-9,
    ) -> Ladder:
        ladder = Ladder(
            lambda h: (h, f(h), h, f(-h)),
            f(0.0) if base is None else base,
            first,
            noise=noise,
            scale=scale,
            finest=finest,
        )
        for k in rungs:
            ladder.add(k)
        return ladder

    @pytest.mark.parametrize("first", [1e-7, 1e-2, 1.0, 3.0])
    @pytest.mark.parametrize("scale", [1.0, 70.0, 1e5])
    def test_ends_where_the_steps_do(self, first: float, scale: float) -> None:
        ladder = self.of(math.exp, (), first=first, scale=scale, finest=1e-13 * scale)
        longest, shortest = (first * 4.0**k for k in (ladder.highest, ladder.lowest))
        assert ladder.highest == 0 or longest <= 2 * scale
        assert 4 * longest > 2 * scale
        assert 1e-13 * scale <= shortest <= 4e-13 * scale

    def test_a_first_step_too_long_or_too_short_is_on_it_all_the_same(self) -> None:
        assert self.of(math.exp, (), first=1e5).highest == 0
        assert self.of(math.exp, (), first=1e-12).lowest == 0
        assert self.of(math.exp, (), scale=math.inf).highest == 0
        assert self.of(math.exp, (), finest=0.0).lowest <= -900
        assert self.of(math.exp, (), first=0.0).highest == 0

    def test_says_both_slopes_at_each_step(self) -> None:
        rung = self.of(lambda h: 5 + 3 * h + abs(h) + 2 * h * h, [1]).rungs[1]
        assert rung.step == 4
        assert (rung.forward, rung.backward) == (3 + 1 + 8, 3 - 1 - 8)
        assert (rung.central, rung.jump) == (3, 18)
        assert rung.sigma == UNIT * (5 + 12 + 4 + 32)

    def test_of_uneven_steps_the_quotient_is_that_of_a_parabola(self) -> None:
        ladder = Ladder(
            lambda h: (h, 3 * h + h * h, 3 * h, 9 * h * h - 9 * h),
            0.0,
            0.1,
            noise=1.0,
            scale=1.0,
            finest=1e-9,
        )
        ladder.add(0)
        assert ladder.rungs[0].central == pytest.approx(3)
        assert ladder.rungs[0].step == pytest.approx(0.2)
        assert ladder.rungs[0].sigma == 1

    def test_steps_lost_in_the_resolution_are_not_tried_again(self) -> None:
        ladder = Ladder(
            lambda h: (1.0, 1.0, 0.0, 0.0) if h < 0.1 else (h, h, h, -h),
            0.0,
            1.0,
            noise=0.0,
            scale=1.0,
            finest=1e-9,
        )
        for k in (0, -1, -2):
            ladder.add(k)
        assert sorted(ladder.rungs) == [-1, 0] and ladder.lowest == -1

    def test_steps_beyond_a_domain_are_not_tried_again(self) -> None:
        both = self.of(lambda h: math.nan if abs(h) > 2 else h, (0, 3, 1))
        assert both.highest == 0
        one = self.of(lambda h: math.nan if h > 2 else h, (0, 1))
        assert one.highest > 1 and not math.isfinite(one.rungs[1].central)

    @pytest.mark.parametrize("sigma", [1e-9, 1.0])
    def test_error_bars_are_four_standard_deviations_of_noise(self, sigma: float) -> None:
        bars = self.of(lambda h: 0.0, noise=sigma).estimates()
        found = []
        for seed in range(300):
            f = noisy(sigma, seed, lambda h: 0.0)
            found.append([(e.value, e.jump) for e in self.of(f).estimates()])
        for i, (value, jump) in enumerate(np.sqrt(np.mean(np.square(found), axis=0))):
            assert 0.15 < value / bars[i].noise < 0.3
            assert 0.15 < jump / bars[i].jump_error < 0.3
            assert bars[i].truncation == bars[i].jump == 0

    def test_what_neighbours_differ_by_is_truncation(self) -> None:
        estimates = self.of(lambda h: h + 0.3 * h**3 + 0.1 * h**4, (0, -1)).estimates()
        (one,) = estimates
        assert one.value == pytest.approx(1) and (one.step, one.finest) == (1, 0.25)
        assert one.truncation == pytest.approx(0.3)  # from the quotient of the longer step
        assert one.jump == pytest.approx(0.2 * (4 * 0.25**3 - 1) / 3)
        assert one.jump_error == pytest.approx(abs(one.jump) + 0.2, rel=0.1)

    def test_distance_to_both_neighbours_of_the_tableau_counts(self) -> None:
        for seed in range(5):
            ladder = self.of(noisy(1.0, seed, lambda h: 0.0), range(0, -5, -1))
            rungs = [ladder.rungs[-k] for k in range(5)]
            central = tableau([rung.central for rung in rungs], CENTRAL)
            jump = tableau([rung.jump for rung in rungs], JUMP)
            places = [(k, j) for k in range(1, 5) for j in range(1, k + 1)]
            quiet = self.of(lambda h: 0.0, range(0, -5, -1), noise=1.0).estimates()
            for (k, j), one, bars in zip(places, ladder.estimates(), quiet, strict=True):
                for table, value, least in (
                    (central, one.value, one.truncation),
                    (jump, one.jump, one.jump_error),
                ):
                    off = [abs(value - table[k][j - 1]), abs(value - table[k - 1][j - 1])]
                    assert value == table[k][j] and least >= max(off) * (1 - 1e-12)
                assert one.truncation == max(
                    abs(one.value - central[k][j - 1]), abs(one.value - central[k - 1][j - 1])
                )
                assert (one.step, one.finest) == (bars.step, bars.finest)

    def test_shorter_steps_that_scatter_are_noise(self) -> None:
        def f(h: float) -> float:
            return h + (1e-3 if abs(h) < 0.05 else 0.0) * np.sign(h)

        one = next(e for e in self.of(f).estimates() if e.finest == 0.25)
        assert one.value == pytest.approx(1)
        assert one.noise >= 4 * 1e-3 / 0.25
        assert one.noise <= 8 * 1e-3 / 0.25

    def test_only_neighbours_are_extrapolated(self) -> None:
        ladder = self.of(math.exp, (1, 0, -2, -3, -5))
        found = {(e.step, e.finest) for e in ladder.estimates()}
        assert found == {(4, 1), (4.0**-2, 4.0**-3)}
        assert ladder.best() == min(ladder.estimates(), key=lambda e: e.uncertainty)
        assert self.of(math.exp, (0, -2)).best() is None

    @pytest.mark.parametrize("count", [2, 6, 8])
    def test_up_to_six_are_combined(self, count: int) -> None:
        estimates = self.of(math.sin, range(0, -count, -1)).estimates()
        steps = {round(math.log(e.step / e.finest, 4)) + 1 for e in estimates}
        assert steps == set(range(2, min(count, 6) + 1))
        assert len(estimates) == sum(min(k, 5) for k in range(1, count))
        for e in estimates:
            assert abs(e.value - 1) <= e.uncertainty

    def test_a_look_at_other_steps_finds_rounding_that_keeps_to_the_ladder(self) -> None:
        def f(h: float) -> float:
            on_it = abs(math.log(abs(h), 4) % 1) < 1e-9 if h else True
            return h + h**3 + (0.0 if on_it else 1e-4 * np.sign(h))

        ladder = self.of(f)
        assert ladder.check_below(4.0**-3)
        assert ladder.scatter == pytest.approx(1e-4, rel=0.05)
        smooth = self.of(lambda h: h + h**3)
        assert smooth.check_below(4.0**-3) and smooth.scatter < 1e-15
        assert smooth.check_below(4.0**-2) and smooth.scatter < 1e-15
        alone = self.of(lambda h: h, [0])
        assert not alone.check_below(1.0)

    @pytest.mark.parametrize("side", [1, -1])
    def test_at_an_edge_such_a_look_is_to_one_side(self, side: int) -> None:
        ladder = self.of(lambda h: math.nan if side * h > 0 else h + h * h)
        assert ladder.check_below(4.0**-3) and ladder.scatter < 1e-15

    def test_quietest_is_the_rounding_of_the_value_there(self) -> None:
        assert self.of(lambda h: 8.0 + 1e3 * h).quietest == 8 * UNIT
        assert self.of(lambda h: 8.0, noise=1e-9).quietest == 1e-9

    def test_windows_begin_at_the_longest_step_unless_that_is_known_to_be_too_long(self) -> None:
        assert self.of(math.exp, (), scale=10.0).widest(6) == 20
        assert self.of(math.cos, (0, -1), scale=10.0).widest(6) == 20
        edge = self.of(lambda h: math.nan if abs(h) > 2 else h, (0, 1, -1))
        assert edge.widest(6) == 1
        narrow = self.of(lambda h: math.tanh(1e6 * h), range(0, -14, -1), scale=1.0)
        best = narrow.best()
        assert best is not None
        assert narrow.widest(6) == 4 * best.step < 1e-4


class TestDerivative:
    """What is said of a measured derivative, and by it."""

    kink = Derivative(1.0, 0.1, 0.05, left=0.5, right=1.5)

    def test_a_kink_that_may_hide_is_of_no_concern_to_a_claim_of_the_mean(self) -> None:
        found = Derivative(1.0, 0.5, 0.4, 1.0, 1.0, hidden=0.3)
        assert found.sure == pytest.approx(0.2)
        near = found.beside(1.15)
        assert (near.hidden, near.uncertainty) == (0, found.sure)
        assert near.noise == near.sure == found.sure
        assert found.beside(1.25) is found and found.beside(0.75) is found
        assert found.beside(0.85).hidden == 0
        quiet = Derivative(1.0, 0.5, 0.1, 1.0, 1.0, hidden=0.3)
        assert quiet.beside(1.0).noise == 0.1

    def test_claims_between_the_slopes_of_a_kink_are_valid(self) -> None:
        assert [self.kink.nearest(claim) for claim in (0.2, 0.7, 1.5, 9.0)] == [0.5, 0.7, 1.5, 1.5]
        assert [self.kink.contradicts(c) for c in (0.39, 0.41, 1.2, 1.59, 1.61)] == [
            *(True, False, False, False, True)
        ]
        falling = Derivative(1.0, 0.1, 0.05, left=1.5, right=0.5)
        assert falling.nearest(0.2) == 0.5 and falling.kink
        assert self.kink.spanning() == Derivative.smooth(1.0, 0.6, 0.05, 0.0)
        assert Derivative.smooth(2.0, 0.1, 0.0, 0.0).nearest(7.0) == 2

    @staticmethod
    def agrees(sample: Any, found: Derivative, noise: float = 0.0) -> bool:
        ladder = Ladder(sample, 0.0, 1e-3, noise=noise, scale=1.0, finest=1e-13)
        return agrees_at(ladder, 1e-6, found)

    def test_a_shorter_step_bears_it_out_or_not(self) -> None:
        def line(slope: float) -> Any:
            return lambda h: (h, slope * h, h, -slope * h)

        found = Derivative.smooth(1.0, 0.1, 0.0, 1e-3)
        assert self.agrees(line(1.09), found) and self.agrees(line(0.91), found)
        assert not self.agrees(line(1.11), found) and not self.agrees(line(0.89), found)
        # noise of four standard deviations on each side, of 1e-8 in steps of 1e-6
        assert self.agrees(line(1.17), found, noise=1e-8)
        assert not self.agrees(line(1.19), found, noise=1e-8)
        assert self.agrees(line(2.0), self.kink) and not self.agrees(line(2.2), self.kink)

    def test_a_step_that_cannot_be_taken_says_nothing(self) -> None:
        found = Derivative.smooth(1.0, 0.1, 0.0, 1e-3)
        assert self.agrees(lambda h: (0.0, 0.0, h, -9 * h), found)
        assert self.agrees(lambda h: (h, 9 * h, 0.0, 0.0), found)
        assert self.agrees(lambda h: (h, math.nan, h, -9 * h), found)
        assert self.agrees(lambda h: (h, 9 * h, h, math.inf), found)
        assert not self.agrees(lambda h: (h, 9 * h, h, -9 * h), found)
        large = Derivative.smooth(0.0, 1e-3, 0.0, 1e-3)  # whose rounding is 1e-4 in such a step
        assert self.agrees(lambda h: (h, 1e6 + 9e-10, h, 1e6 - 9e-10), large)
        assert not self.agrees(lambda h: (h, 1e6 + 9e-9, h, 1e6 - 9e-9), large)

    @pytest.mark.parametrize("side", [1, -1])
    def test_at_an_edge_it_is_that_of_one_side(self, side: int) -> None:
        ladder = TestLadder.of(
            lambda h: math.nan if side * h > 0 else math.exp(h), range(-2, -7, -1), base=1.0
        )
        found = verdict(ladder, 0.0)
        assert abs(found.value - 1) <= found.uncertainty <= 1e-6
        assert 0 < found.noise < found.uncertainty and not found.kink
        few = TestLadder.of(lambda h: math.nan if side * h > 0 else h, [-1])
        assert math.isinf(verdict(few, 0.0).uncertainty)
        apart = TestLadder.of(lambda h: math.nan if side * h > 0 else h, [-1, -3])
        assert math.isinf(verdict(apart, 0.0).uncertainty)

    @pytest.mark.parametrize("sigma", [1e-9, 1e-3])
    def test_at_an_edge_error_bars_are_four_standard_deviations_of_noise(
        self, sigma: float
    ) -> None:
        def one_sided(f: Callable[[float], float], **options: Any) -> Derivative:
            edge = TestLadder.of(lambda h: math.nan if h < 0 else f(h), (0, -1), **options)
            return verdict(edge, 0.0)

        bar = one_sided(lambda h: 0.0, base=0.0, noise=sigma)
        assert bar.noise == bar.uncertainty
        found = []
        for seed in range(400):
            f = noisy(sigma, seed, lambda h: 0.0)
            found.append(one_sided(f, base=f(0.0)).value)
        assert 0.15 < float(np.sqrt(np.mean(np.square(found)))) / bar.noise < 0.3

    @pytest.mark.parametrize("jump", [1e-3, 1.0])
    def test_a_kink_is_certain_where_it_stands_above_the_noise(self, jump: float) -> None:
        def bent(h: float) -> float:
            return h + jump / 2 * abs(h)

        clear = verdict(TestLadder.of(bent, noise=1e-9), 1e-12)
        assert clear.kink and clear.right - clear.left == pytest.approx(jump, rel=1e-3)
        assert clear.value == pytest.approx(1) and clear.within == 4.0**-3
        assert clear.noise > 0 and 4.0**-3 <= clear.step < 1
        drowned = verdict(TestLadder.of(bent, noise=jump), 1e-12)
        assert not drowned.kink and drowned.uncertainty > jump / 2
        enough = verdict(TestLadder.of(bent, noise=1e-9), jump)
        assert not enough.kink

    def test_a_kink_lies_within_the_shortest_step_that_shows_it(self) -> None:
        def bent(h: float) -> float:
            return h + abs(h) / 2

        far = verdict(TestLadder.of(bent, range(0, -9, -1), noise=1e-4), 1e-12)
        assert far.kink
        shown = SIGMAS * math.sqrt(6) * 1e-4 / 0.5  # by half of the jump
        assert shown < far.within <= 4 * shown
        for part, within in ((0.98, 4.0**-4), (1.02, 4.0**-3)):
            noise = part * 0.5 * 4.0**-4 / (SIGMAS * math.sqrt(6))
            kink = verdict(TestLadder.of(bent, range(0, -9, -1), noise=noise), 1e-12)
            assert kink.kink and kink.within == within


def jumping(period: float, jump: float, h: float) -> float:
    """Slope ``1 - jump`` between jumps, 1 over many of them."""
    return h - jump * (h - period * round(h / period))


def test_longest_step_inside_a_domain() -> None:
    assert longest_inside(math.exp, 0.01) == 0.01
    edge = 1e-5
    for side in (edge, -edge):
        found = longest_inside(outside(side, math.exp), 0.01)
        assert edge / 4 < found <= edge


class TestNextStepOfAProbe:
    """Shorter as long as rounding allows, then longer ones that may help."""

    @staticmethod
    def after(
        f: Callable[[float], float], rungs: Any, noise: float = 0.0, stalled: bool = False
    ) -> int | None:
        ladder = TestLadder.of(f, rungs, noise=noise, scale=8.0)
        return _next(ladder, ladder.best(), stalled)

    def test_is_shorter_where_that_is_quieter_than_what_is_known(self) -> None:
        assert self.after(math.exp, (0,)) == -1
        assert self.after(math.exp, (0, -1)) == -2
        assert self.after(math.exp, ()) is None

    def test_is_longer_where_noise_is_all_that_is_left(self) -> None:
        assert self.after(lambda h: 3 * h, (0, -1), 1e-3) == 1
        assert self.after(lambda h: 3 * h, (0, -1), 1e-3, stalled=True) is None
        assert self.after(lambda h: 3 * h, (2, 1), 1e-3) is None  # at the longest
        assert self.after(lambda h: 3 * h, (0,), 1e9) == -1

    @pytest.mark.parametrize(("off", "step"), [(0.0, -2), (2.0, -2), (10.0, None)])
    def test_is_one_passed_over_if_the_longer_one_is_not_far_off(
        self, off: float, step: int | None
    ) -> None:
        def f(h: float) -> float:
            return (3 + off * (abs(h) > 0.5)) * h

        ladder = TestLadder.of(f, (0, -3, -4), noise=3e-4, scale=8.0)
        best = ladder.best()
        assert best is not None and 0.2 < best.uncertainty < 0.6
        assert _next(ladder, best, False) == step

    def test_many_kinks_are_slopes_that_differ_as_at_the_longer_step(self) -> None:
        def many(f: Callable[[float], float], rungs: Any = (0, -1)) -> bool:
            return _many_kinks(TestLadder.of(f, rungs), -1)

        assert many(lambda h: h + abs(h)) and many(lambda h: h + abs(h) ** 1.4)
        assert not many(lambda h: h + h * h) and not many(lambda h: h + abs(h) ** 1.6)
        assert not many(lambda h: h + abs(h), (-1,))


class TestClimb:
    """One entry, from a first step of its own to as short a one as it takes."""

    @staticmethod
    def of(f: Callable[[float], float], claim: float, x: float = 1.0, **options: Any) -> Climb:
        parameter = Parameter("x", np.array([x]))
        axis = Axis(Loss(lambda: f(float(parameter.array[0]) - x)), parameter, 0, x)
        given = {"own": abs(x), "scale": abs(x), "noise": UNIT, "eps": 1e-7} | options
        return Climb(axis, f(0.0), claim, target=1e-9, enough=1e-7, **given)

    def test_first_step_is_relative_to_what_is_larger_than_1(self) -> None:
        assert self.of(math.exp, 1.0, 0.01).first == pytest.approx(1e-7)
        assert self.of(math.exp, 1.0, -30.0).first == pytest.approx(3e-6)

    @pytest.mark.parametrize("x", [1e-6, 1.0, 1e6])
    def test_measures_at_the_size_of_its_parameter(self, x: float) -> None:
        climb = self.of(lambda h: math.exp(h / x), 1 / x, x)
        found = climb.measure()
        assert abs(found.value * x - 1) <= found.uncertainty * x <= 1e-7
        assert climb.ladder.longest == 2 * max(1.0, x)
        assert climb.axis.parameter.array[0] == x

    @pytest.mark.parametrize("x", [1e-3, 1.0, 1e3])
    def test_noise_along_it(self, x: float) -> None:
        climb = self.of(noisy(1e-9, 0, lambda h: math.exp(h / x)), 1.0, x)
        assert 3e-10 < climb.own_noise() < 3e-9

    @pytest.mark.parametrize("jump", [0.5, 1.0, 3.0])
    @pytest.mark.parametrize("x", [1e-2, 1.0, 1e3])
    def test_a_contradiction_that_comes_from_jumps(self, jump: float, x: float) -> None:
        def f(h: float) -> float:
            return x * jumping(1.3e-5, jump, h / x)

        climb = self.of(f, 1.0, x)
        found = climb.measure()
        over = climb.explained(found)
        assert found.contradicts(1.0) and over == climb.across_jumps()
        assert abs(over.value - 1) <= over.uncertainty <= 1e-3 * jump
        wrong = self.of(f, 1 + 2 * jump, x)
        assert wrong.explained(wrong.measure()) is None

    def test_a_contradiction_that_does_not(self) -> None:
        for f in (math.exp, lambda h: math.sin(1e5 * h) / 1e5, lambda h: h + abs(h) / 2):
            climb = self.of(f, 1.4)
            assert climb.explained(climb.measure()) is None

    @pytest.mark.parametrize("sizes", [(1.0, 1e3), (1e3, 1.0), (1e3, 1e3)])
    def test_a_kink_is_at_the_point_within_a_billionth_of_the_size(
        self, sizes: tuple[float, float]
    ) -> None:
        climb = self.of(abs, 0.0, own=sizes[0], scale=sizes[1])
        for within, at in ((0.9e-6, True), (1.1e-6, False), (0.0, True)):
            found = Derivative(0.0, 0.1, 0.1, -1.0, 1.0, within=within)
            assert climb.is_at_point(found) == at


@pytest.mark.parametrize("goal", [1.0, 2.0, 3.5])
def test_noise_is_averaged_where_it_takes_the_error_bars_below_a_goal(goal: float) -> None:
    bars = np.random.default_rng(0).uniform(0.1, 1.0, 40)
    chosen = dict(zip(*map(np.ndarray.tolist, points_for(bars, goal)), strict=True))
    rest = [bar for i, bar in enumerate(bars) if i not in chosen]
    least = min(bars[i] for i in chosen)
    assert np.linalg.norm(rest) <= goal / 2 < np.linalg.norm([*rest, least])
    left = np.array([bars[i] * math.sqrt(MANY / points) for i, points in chosen.items()])
    assert goal / 2 < np.linalg.norm(left) <= 0.8 * goal
    assert np.isinf(np.max(points_for(bars, 1e-3)[1]))  # more than one fit can have
    assert np.all(np.isinf(points_for(np.full(3, math.inf), goal)[1]))

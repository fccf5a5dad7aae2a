"""What a check costs and how sharp it is, as the page on the method has it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pytest_gradcheck import Result, check
from pytest_gradcheck.core.certificate import Certificate
from pytest_gradcheck.core.differences import MANY
from pytest_gradcheck.core.directions import QUANTILES, THEN, Directions
from pytest_gradcheck.core.ladder import SIGMAS
from pytest_gradcheck.core.loss import Loss
from pytest_gradcheck.core.measured import Measured
from pytest_gradcheck.core.parameters import Parameter
from pytest_gradcheck.core.region import PIECE, Region, dot, pieces
from pytest_gradcheck.core.weights import UNIT, draw, greatest_length, least_length
from pytest_gradcheck.values import Offered

N = 400
X = np.random.default_rng(0).normal(size=N)
AT_THE_POINT = 50
"""Evaluations beside those of the entries: at the point, of the noise, along random directions."""


def loss(x: np.ndarray) -> float:
    return float(np.sum(np.exp(0.3 * x) + np.sin(x)))


def slope(x: np.ndarray) -> np.ndarray:
    return 0.3 * np.exp(0.3 * x) + np.cos(x)


def at(*entries: int) -> np.ndarray:
    return np.isin(np.arange(N), entries).astype(float)


WRONG: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int, int]] = {
    "nowhere": (slope, 2 * N + AT_THE_POINT, 45),
    "everywhere, by a factor": (lambda x: 2 * slope(x), 2 * N + 900, 90),
    "everywhere, at random": (
        lambda x: slope(x) + 0.1 * np.random.default_rng(1).normal(size=N),
        2 * N + 900,
        120,
    ),
    "in one entry": (lambda x: slope(x) + 0.1 * at(7), 2 * N + AT_THE_POINT + 30, 75),
    "in one entry by little": (lambda x: slope(x) + 1e-5 * at(7), 2 * N + AT_THE_POINT + 30, 75),
    "in five": (
        lambda x: slope(x) + 0.1 * at(3, 80, 81, 200, 399),
        2 * N + AT_THE_POINT + 150,
        250,
    ),
}


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
@pytest.mark.parametrize("kind", WRONG)
def test_of_a_gradient_that_is_wrong(kind: str, mode: str) -> None:
    claim, exhaustive, probe = WRONG[kind]
    result = check(loss=loss, grads=claim, params=X, mode=mode, seed=0)
    claimed, true = claim(X), slope(X)
    error = np.linalg.norm(claimed - true)
    relative = error / (np.linalg.norm(claimed) + np.linalg.norm(true))
    assert abs(result.relative_error - relative) <= result.uncertainty
    assert result.evaluations <= (exhaustive if mode == "exhaustive" else probe)
    if not (mode == "probe" and "random" in kind):  # of which only the norm is known
        assert result.uncertainty <= 1e-5
        for entry in result.worst:
            i = entry.index[0]
            assert abs(entry.numeric - true[i]) <= entry.uncertainty
            assert entry.analytic == claimed[i]
    certain = {e.index[0] for e in result.worst if e.error > e.uncertainty}
    wrong = set(np.flatnonzero(claimed != true).tolist())
    assert certain <= wrong and (len(certain) > 0) == (len(wrong) > 0)
    if len(wrong) <= 5:
        assert certain == wrong


NOISY = {
    ("exhaustive", 1e-13): (1e-7, 1_000),
    ("exhaustive", 1e-11): (1e-6, 5_000),
    ("exhaustive", 1e-9): (1e-5, 20_000),
    ("probe", 1e-13): (1e-6, 45),
    ("probe", 1e-11): (8e-6, 120),
    ("probe", 1e-9): (1e-5, 1_000),
}
"""Bound on the error of a right gradient, and evaluations, by the noise relative to the loss."""


@pytest.mark.parametrize(("mode", "noise"), NOISY)
@pytest.mark.parametrize("factor", [1.0, 1.01])
def test_of_a_noisy_loss(mode: str, noise: float, factor: float) -> None:
    rng = np.random.default_rng(0)
    x = X if mode == "probe" else X[:20]
    result = check(
        loss=lambda x: loss(x) * (1 + noise * rng.standard_normal()),
        grads=lambda x: factor * slope(x),
        params=x,
        seed=0,
        mode=mode,
    )
    relative, (sharp, evaluations) = (factor - 1) / (factor + 1), NOISY[mode, noise]
    assert abs(result.relative_error - relative) <= result.uncertainty
    assert result.uncertainty <= (sharp if factor == 1 else max(sharp, 5e-5))  # a hundredth of it
    assert result.evaluations <= evaluations + 60 * (factor != 1)
    assert result.status == ("pass" if factor == 1 else "fail")
    assert not {f.name for f in result.findings} & {"coarse", "nondeterministic"}
    for entry in result.worst:
        assert abs(entry.numeric - slope(x)[entry.index[0]]) <= entry.uncertainty


def test_a_pool_that_is_merely_offered_is_not_started_for_a_moment_of_work() -> None:
    def start() -> Any:
        raise AssertionError("not worth it")

    for mode in ("exhaustive", "probe"):
        offered = Offered(start)
        result = check(loss=loss, grads=slope, params=X, mode=mode, executor=offered)
        assert result.status == "pass"


def test_of_a_loss_that_is_zero_wherever_it_is_asked() -> None:
    result = check(loss=lambda x: 0.0, grads=np.zeros_like, params=np.ones(100), mode="exhaustive")
    assert [finding.name for finding in result.findings] == ["zero-gradient"]
    assert result.evaluations <= 2 * 100 + AT_THE_POINT


def test_of_several_entries_not_the_worst_alone_bear_out_a_first_step() -> None:
    def waves(x: np.ndarray) -> np.ndarray:  # shorter than a first step
        return x + 3e-8 * np.sin((x - 1) / 3e-8) * (np.arange(6) > 3)

    claim = np.array([6.0, 6.0, 6.0, 6.0, 2.0, 2.0])
    result = check(loss=lambda x: float(np.sum(waves(x))), grads=lambda x: claim, params=np.ones(6))
    assert result.status == "fail"
    assert {e.index[0] for e in result.worst if e.error > e.uncertainty} == {0, 1, 2, 3}


def test_of_kinks_in_every_entry() -> None:
    result: Result = check(
        loss=lambda x: float(np.sum(np.abs(x - 1) + x)),
        grads=lambda x: np.ones(20),
        params=np.ones(20),
    )
    assert result.status == "pass"
    assert result.evaluations <= 50 * 20
    assert result.findings[0].evidence["count"] == 20


class TestDirections:
    """The norm of what single steps cannot see is bounded, and the bound is sharp."""

    @staticmethod
    def bound(
        error: float,
        *,
        noise: float = 0.0,
        bar: float = 1.0,
        warn: float = 1e-5,
        seed: int = 0,
        most: float = 100_000,
    ) -> tuple[Any, int]:
        rng = np.random.default_rng(seed)
        x = X[:50].copy()
        wrong = rng.standard_normal(50)
        claim = slope(x) + error * wrong / np.linalg.norm(wrong)
        parameter = Parameter("x", x)
        base = loss(x)
        counted = Loss(lambda: loss(x) + noise * rng.standard_normal())
        block = Measured(parameter, claim, claim.copy(), np.full(50, bar), np.zeros(50))
        directions = Directions(counted, base, max(noise, 2**-53 * base), warn, rng)
        found = directions.bound([block], [x.copy()], most=most)
        assert not directions.kinked and found is not None
        return found.norm / block.weight, counted.evaluations, found

    @pytest.mark.parametrize("error", [1e-6, 1e-3, 1.0])
    def test_cover_the_error(self, error: float) -> None:
        bounds = [self.bound(error, seed=seed)[0] for seed in range(50)]
        assert min(bounds) >= error
        assert np.median(bounds) <= 15 * error

    def test_cost_little_where_nothing_is_wrong(self) -> None:
        norm, evaluations, found = self.bound(0.0)
        assert norm <= 1e-8
        assert evaluations <= 40
        assert not found.contradicts

    def test_contradict_error_bars_that_leave_no_room(self) -> None:
        assert self.bound(1e-3, bar=1e-6)[2].contradicts
        assert not self.bound(1e-3, bar=1e-3)[2].contradicts

    def test_errors_seem_so_much_smaller_once_in_a_thousand_times(self) -> None:
        for count, quantile in QUANTILES.items():
            t = (np.arange(100_000) + 0.5) * quantile / 100_000
            density = t ** (count / 2 - 1) * np.exp(-t / 2)
            density /= 2 ** (count / 2) * math.gamma(count / 2)  # of chi-squared
            assert np.mean(density) * quantile == pytest.approx(1e-3, rel=0.01)

    @pytest.mark.parametrize("weights", [(1.0, 1.0), (1e-3, 1e3)])
    def test_bound_each_of_several_parameters(self, weights: tuple[float, float]) -> None:
        rng, blocks, origin = np.random.default_rng(1), [], []
        parameters = [Parameter(name, X[:20].copy()) for name in "ab"]
        for parameter, unit in zip(parameters, weights, strict=True):
            claim = unit * slope(X[:20])
            claim[3] += 1e-3 * float(np.linalg.norm(claim))
            blocks.append(Measured(parameter, claim, claim.copy(), np.ones(20), np.zeros(20)))
            origin.append(X[:20].copy())
        counted = Loss(
            lambda: sum(u * loss(p.array) for p, u in zip(parameters, weights, strict=True))
        )
        found = Directions(counted, counted(), 1e-13, 1e-5, rng).bound(blocks, origin, most=1e5)
        assert found is not None
        for block in blocks:
            error = 1e-3 / (1 + 1e-3) * float(np.linalg.norm(block.claimed))
            assert 0.9 * error <= found.norm / block.weight <= 60 * error
        assert all(np.array_equal(p.array, X[:20]) for p in parameters)

    def test_noise_is_averaged_where_as_much_may_be_spent(self) -> None:
        least = 2 * THEN * MANY
        spent = [self.bound(0.0, noise=1e-6, most=most)[1] for most in (least - 1, least)]
        assert spent[0] < 1000 and least <= spent[1] - spent[0] <= 3 * least

    def test_what_entries_on_ladders_leave_open_is_added(self) -> None:
        def bound(open_: float, seed: int) -> float:
            rng = np.random.default_rng(seed)
            parameter = Parameter("x", X[:50].copy())
            claim = slope(X[:50])
            claim[:5] += 1.0
            block = Measured(parameter, claim, slope(X[:50]), np.ones(50), np.zeros(50))
            block.climbed[30:] = True
            block.uncertainty[30:] = open_
            counted = Loss(lambda: loss(parameter.array))
            directions = Directions(counted, counted(), 1e-15, 1e-5, rng)
            found = directions.bound([block], [X[:50].copy()], most=1e5)
            assert found is not None
            return found.norm / block.weight

        for seed in range(5):
            narrow, wide = bound(0.0, seed), bound(1e-2, seed)
            assert narrow + 1e-2 < wide < narrow + 2

    @pytest.mark.parametrize("noise", [1e-9, 1e-6])
    def test_average_noise(self, noise: float) -> None:
        covered = [self.bound(noise, noise=noise, seed=seed) for seed in range(2)]
        assert all(norm >= noise for norm, _, _ in covered)
        assert all(found.noisy and not found.contradicts for _, _, found in covered)
        assert max(norm for norm, _, _ in covered) <= max(100 * noise, 1e-5)
        assert all(found.norm / 2 <= 1e-5 for _, _, found in covered)  # `warn`
        assert max(evaluations for _, evaluations, _ in covered) <= 40_000


class TestCertificate:
    """What the readings of probes prove of the norm of an error."""

    @staticmethod
    def of(count: int, seed: int, *, norm: float = 1.0, noise: float = 0.0) -> Certificate:
        rng = np.random.default_rng(seed)
        e = rng.standard_normal(30) * (rng.random(30) < 0.3) + 1e-9
        e *= norm / np.linalg.norm(e)
        errors = np.array([UNIT * dot(e, draw(seed, row, 0, 30)) for row in range(count)])
        errors += noise / 4 * rng.standard_normal(count)
        bars = np.full(count, noise)
        return Certificate((), {}, errors, bars, bars)

    @pytest.mark.parametrize("count", [3, 6, 12])
    @pytest.mark.parametrize("noise", [0.0, 0.5])
    def test_bounds_hold(self, count: int, noise: float) -> None:
        made = [self.of(count, seed, noise=noise) for seed in range(400)]
        low, high = ([getattr(c, end)(0.99) for c in made] for end in ("least", "most"))
        assert np.mean(np.array(low) > 1) <= 0.01
        assert np.mean(np.array(high) < 1) <= 0.01
        assert np.median(high) <= 30 and (noise or np.median(low) >= 0.2)
        typical = np.sqrt(np.mean([c.typical**2 for c in made]))
        assert typical == pytest.approx(np.hypot(1, noise / 4), rel=0.1)

    def test_clean_is_what_bars_and_doubt_explain(self) -> None:
        def certificate(error: float, doubt: float) -> Certificate:
            errors = np.array([0.1, -error])
            return Certificate((), {}, errors, np.full(2, 0.5), np.zeros(2), doubt)

        assert certificate(0.4, 0.0).clean and certificate(0.9, 0.5).clean
        assert not certificate(0.6, 0.0).clean and not certificate(1.1, 0.5).clean
        assert certificate(0.9, 0.5).least(0.99) == 0
        assert certificate(2.0, 0.5).least(0.99) > certificate(2.0, 1.0).least(0.99) > 0

    def test_bounds_are_those_of_what_the_bars_leave(self) -> None:
        errors, bars, noise = np.array([3.0, -1.0, 0.1]), np.full(3, 0.5), np.full(3, 0.2)
        made = Certificate((), {}, errors, bars, noise, 0.7)
        seen = np.array([3.0, 1.0, 0.1]) + 0.3
        assert made.most(0.99) == pytest.approx(np.linalg.norm(seen) / least_length(3, 0.99))
        sure = np.array([1.8, 0.0, 0.0])
        assert made.least(0.99) == pytest.approx(np.linalg.norm(sure) / greatest_length(3, 0.99))
        quiet = Certificate((), {}, np.zeros(3), bars, noise)
        unseen = 0.2 / SIGMAS + 0.3  # noise may have hidden so much
        assert quiet.most(0.99) == pytest.approx(np.sqrt(3) * unseen / least_length(3, 0.99))
        assert Certificate((), {}, np.array([0.5]), np.array([0.5]), np.zeros(1)).clean


class TestRegion:
    """Rectangles of entries, against what NumPy has in them."""

    whole = Region.whole(0, (6, 5, 4))
    part = whole.narrowed(0, 2, 6).narrowed(2, 1, 3)
    flat = np.arange(120)

    def test_entries(self) -> None:
        inside = self.flat.reshape(6, 5, 4)[2:6, :, 1:3]
        assert np.array_equal(self.part.of(self.flat), inside)
        assert self.part.size == inside.size and self.part.full_size == 120
        assert self.whole.is_whole and not self.part.is_whole
        for position, flat in enumerate(inside.reshape(-1)):
            entry = self.part.entry_at(position)
            assert entry.of(self.flat).item() == flat and entry.size == 1
            assert np.ravel_multi_index(self.part.index_of(position), (6, 5, 4)) == flat

    def test_halves_divide_it(self) -> None:
        for axis in range(3):
            first, second = self.part.halves(axis)
            both = [*first.of(self.flat).reshape(-1), *second.of(self.flat).reshape(-1)]
            assert sorted(both) == sorted(self.part.of(self.flat).reshape(-1))
            assert abs(first.size - second.size) <= self.part.size // 4
        assert self.part.axes() == [1, 0, 2]
        assert self.part.narrowed(1, 3, 4).axes() == [0, 2]

    def test_what_two_have_in_common(self) -> None:
        other = self.whole.narrowed(0, 0, 4).narrowed(1, 2, 4)
        common = set(other.of(self.flat).flat) & set(self.part.of(self.flat).flat)
        assert self.part.in_common(other) == other.in_common(self.part) == len(common)
        assert set(self.part.of(self.flat)[self.part.inside(other)].flat) == common
        for low, high in ((0, 2), (0, 1)):
            apart = self.whole.narrowed(0, low, high)
            assert self.part.in_common(apart) == 0
            assert self.part.of(self.flat)[self.part.inside(apart)].size == 0
            beyond = self.whole.narrowed(0, 2, 3 + low)
            assert apart.of(self.flat)[apart.inside(beyond)].size == 0
        assert self.part.in_common(Region.whole(1, (6, 5, 4))) == 0
        assert Region.whole(0, ()).in_common(Region.whole(0, ())) == 1

    def test_labels(self) -> None:
        assert self.whole.label("W") == "all of W"
        assert Region.whole(0, (2,)).label("b") == "all of b"
        assert self.part.label("W") == "W[2:6, :, 1:3]"
        assert self.part.entry_at(0).label("W") == "W[2, 0, 1]"
        assert Region.whole(0, ()).label("s") == Region.whole(0, (1,)).label("s") == "s"

    @pytest.mark.parametrize("shape", [(), (5,), (100_000,), (3, 70_000), (1000, 100), (90_000, 1)])
    def test_pieces_cover_an_array_once(self, shape: tuple[int, ...]) -> None:
        array = np.zeros(shape)
        found = list(pieces(array))
        for piece in found:
            array[piece] += 1
            assert array[piece].size <= max(PIECE, array[:1].size if shape else 1)
        assert np.all(array == 1)
        assert len(found) <= 2 + 2 * array.size // PIECE
        weights = np.arange(array.size).reshape(shape).astype(np.int16) % 7
        assert dot(array, weights) == pytest.approx(float(np.sum(weights)))


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
def test_a_factor_too_small_to_matter_is_not_told(mode: str) -> None:
    result = check(loss=loss, grads=lambda x: (1 + 2e-8) * slope(x), params=X, mode=mode)
    assert result.status == "pass" and not result.findings
    assert abs(result.relative_error - 1e-8) <= result.uncertainty


def test_the_norm_of_a_gradient_that_is_wrong_throughout_is_measured_by_probes() -> None:
    claim = 1e-3 * np.random.default_rng(1).normal(size=N)
    result = check(loss=loss, grads=lambda x: claim, params=X, mode="probe")
    assert result.status == "fail"
    (block,) = result.blocks
    assert 0.5 < block.numeric_norm / np.linalg.norm(slope(X)) < 2
    assert abs(block.relative_error - 1) <= block.uncertainty + 0.01


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-6])
@pytest.mark.parametrize("unit", [1e-10, 1.0, 1e10])
def test_a_gradient_claimed_to_be_zero_is_seen_to_be_none(
    mode: str, size: float, unit: float
) -> None:
    def both(right: bool) -> Result:
        return check(
            loss=lambda p: unit * float(loss(p["a"]) + right * size * np.sum(np.sin(p["b"]))),
            grads=lambda p: {"a": unit * slope(p["a"]), "b": np.zeros(6)},
            params={"a": X[:30].copy(), "b": X[:6].copy()},
            mode=mode,
        )

    wrong = both(right=True)
    assert [(block.name, block.status) for block in wrong.blocks] == [("a", "pass"), ("b", "fail")]
    assert wrong.blocks[1].relative_error == pytest.approx(1)
    right = both(right=False)
    assert [block.status for block in right.blocks] == ["pass", "pass"]
    assert {finding.name for finding in right.findings} == {"zero-gradient"}
    if unit <= 1:
        assert right.evaluations <= 2 * 36 + AT_THE_POINT


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
def test_a_whole_matrix_in_the_wrong_order_is_told_from_a_few_slopes(mode: str) -> None:
    result = check(
        loss=lambda x: loss(x.reshape(-1)),
        grads=lambda x: slope(x).T,
        params=X.reshape(20, 20).copy(),
        mode=mode,
    )
    assert "transposed" in {finding.name for finding in result.findings}


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
@pytest.mark.parametrize("unit", [1e-20, 1.0, 1e20])
def test_a_nan_in_one_parameter_leaves_the_verdict_on_the_others(mode: str, unit: float) -> None:
    def grads(p: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        nan = np.array([math.nan, 1.0])
        return {"a": unit * slope(p["a"]), "b": 1.01 * unit * slope(p["b"]), "c": nan}

    result = check(
        loss=lambda p: unit * sum(map(loss, p.values())),
        grads=grads,
        params={"a": X[:30].copy(), "b": X[30:60].copy(), "c": X[:2].copy()},
        mode=mode,
    )
    statuses = {block.name: block.status for block in result.blocks}
    assert statuses["a"] == "pass" and statuses["b"] == "fail"
    assert {f.name for f in result.findings} >= {"not-finite"}
    assert not {f.name for f in result.findings} & {"zero-gradient", "coarse"}


@pytest.mark.parametrize(("limit", "status"), [(900, "warn"), (1_500, "warn"), (4_000, "pass")])
def test_no_more_is_measured_than_is_allowed(limit: int, status: str) -> None:
    rng = np.random.default_rng(0)
    result = check(
        loss=lambda x: loss(x) * (1 + 1e-9 * rng.standard_normal()),
        grads=slope,
        params=X,
        mode="exhaustive",
        max_evaluations=limit,
    )
    assert result.evaluations <= limit + 700  # what had begun is finished
    assert result.status == status
    assert all("max_evaluations" in finding.message for finding in result.findings)


class TestSmallUnits:
    """Metres where atoms are meant: `eps` is far longer than what the loss varies on."""

    @staticmethod
    def check(scale: float, factor: float = 1.0, size: int = 100, **settings: Any) -> Result:
        rng = np.random.default_rng(3)
        a, x = rng.normal(size=size), scale * rng.normal(size=size)
        return check(
            loss=lambda x: float(np.sum(a * np.cos(x / scale))),
            grads=lambda x: -factor * a * np.sin(x / scale) / scale,
            params=x,
            mode="exhaustive",
            **settings,
        )

    @pytest.mark.parametrize("scale", [1e-10, 1e-7, 1e-5])
    def test_cost_a_second_step_of_every_entry(self, scale: float) -> None:
        result = self.check(scale)
        assert result.status == "pass" and result.uncertainty < 1e-8
        assert result.evaluations < 5 * 100 + 8 * 200  # eight ladders, and two evaluations twice
        wrong = self.check(scale, 1.01)
        assert abs(wrong.relative_error - 0.01 / 2.01) <= max(wrong.uncertainty, 1e-6)
        assert wrong.status == "fail" and wrong.evaluations < 6 * 100 + 8 * 200

    def test_are_no_matter_where_eps_is_theirs(self) -> None:
        own = self.check(1e-10, eps=1e-17)
        assert own.status == "pass" and own.evaluations < 2.2 * 100 + 30
        for factor in (1.0, 1.01):  # a step that is borne out is not taken again
            assert self.check(1e-3, factor).evaluations < 4 * 100

    def test_of_a_few_entries_all_climb(self) -> None:
        assert self.check(1e-10, size=5).status == "pass"

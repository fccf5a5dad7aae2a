"""Losses that jump, and losses that refuse arguments out of their range."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import numpy as np
import pytest
from bank import Case
from bank.base import build, drafts
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_gradcheck import Result, check
from pytest_gradcheck.core.across import slopes_across
from pytest_gradcheck.core.highest_jump import highest_jump
from pytest_gradcheck.core.jumps import FAR, SECANTS, ShortSteps
from pytest_gradcheck.core.ladder import Ladder
from pytest_gradcheck.core.noise import height_of_jumps

SLOPES = np.array([-0.7, 1.1])


def stepped(x: np.ndarray) -> float:
    """A loss of slopes -0.7 and 1.1, made of treads of slope 0.5 and jumps 1e-6 apart."""
    inner = np.round((SLOPES - 0.5) * x / 1e-6) * 1e-6  # as of a solver that stops at 1e-6
    return float(np.sum(0.5 * x + inner))


def test_gradient_across_the_jumps_is_right_within_its_error_bar() -> None:
    result = check(loss=stepped, grads=lambda x: SLOPES, params=np.array([0.7, 2.9]))
    assert [block.status for block in result.blocks] == ["pass"]
    assert all(entry.error <= entry.uncertainty < 1e-3 for entry in result.worst)
    assert [finding.name for finding in result.findings] == ["jumps"]
    silent = check(
        loss=stepped, grads=lambda x: SLOPES, params=np.array([0.7, 2.9]), allow=["jumps"]
    )
    assert silent.status == result.status == "pass"


@pytest.mark.parametrize("wrong", [-SLOPES, 2 * SLOPES, np.array([-0.7, 0.0])])
def test_wrong_gradient_fails_all_the_same(wrong: np.ndarray) -> None:
    result = check(loss=stepped, grads=lambda x: wrong, params=np.array([0.7, 2.9]))
    assert result.status == "fail"


def test_a_narrow_smooth_feature_is_not_taken_for_jumps() -> None:
    def bump(x: np.ndarray) -> float:
        return float(np.sum(np.exp(-((x / 1e-5) ** 2))))

    result = check(loss=bump, grads=np.zeros_like, params=np.array([3e-6, -4e-6]))
    assert result.status == "fail"


def relative_entropy(q: np.ndarray) -> float:
    if np.any(q <= 0):
        raise ValueError("probabilities must be positive")
    return float(-np.sum(np.log(q)))


def test_an_argument_out_of_range_is_a_step_too_long() -> None:
    q = np.array([1e-9, 0.3])
    result = check(loss=relative_entropy, grads=lambda q: -1 / q, params=q)
    assert result.status == "pass"


def test_another_error_of_the_loss_is_the_users_to_see() -> None:
    calls = []

    def loss(x: np.ndarray) -> float:
        calls.append(1)
        if len(calls) > 4:
            raise ValueError("shapes (3,) and (4,) not aligned")
        return float(x @ x)

    with pytest.raises(ValueError, match="not aligned"):
        check(loss=loss, grads=lambda x: 2 * x, params=np.ones(3))


class TestNextToTheEdgeOfADomain:
    """Rounding of x * x, magnified by the root, jumps a few times between point and edge."""

    x = np.array([1 - 1e-8, 0.5])

    @staticmethod
    def loss(x: np.ndarray) -> float:
        with np.errstate(invalid="raise"):
            return float(np.sum(np.arcsin(x) + np.sqrt(1 - x**2)))

    def check(self, factor: float) -> Result:
        return check(
            loss=self.loss,
            grads=lambda x: np.sqrt((1 - x) / (1 + x)) * [factor, 1.0],
            params=self.x,
        )

    def test_no_alarm(self) -> None:
        result = self.check(1.0)
        assert [block.status for block in result.blocks] == ["pass"]
        assert "wrong-entry" not in {finding.name for finding in result.findings}
        assert all(entry.error <= entry.uncertainty for entry in result.worst)

    def test_wrong_gradient_is_flagged(self) -> None:
        assert self.check(30.0).status == "fail"


class TestDataInSinglePrecision:
    """Parameters are rounded to float32 for the data, and penalised in float64.

    Between two jumps the loss is as smooth as its penalty.
    """

    @staticmethod
    def of(features: int, classes: int, seed: int, lam: float, weight: float = 1.0) -> Any:
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(60, features)).astype(np.float32)
        Y = np.eye(classes, dtype=np.float32)[rng.integers(classes, size=60)]

        def logs(W: np.ndarray) -> np.ndarray:
            z = X @ W.astype(np.float32)
            z = z - z.max(axis=1, keepdims=True)
            return z - np.log(np.exp(z).sum(axis=1, keepdims=True))

        def loss(W: np.ndarray) -> float:
            data = float(-np.mean((Y * logs(W)).sum(axis=1)))
            return weight * data + lam / 2 * float(np.sum(W**2))

        def grad(W: np.ndarray) -> np.ndarray:
            return weight * (X.T @ ((np.exp(logs(W)) - Y) / 60)).astype(float) + lam * W

        return loss, grad, rng.normal(size=(features, classes)) / np.sqrt(features)

    @pytest.mark.parametrize("mode", ["exhaustive", "probe"])
    @pytest.mark.parametrize("lam", [1e-3, 0.1])
    @pytest.mark.parametrize("seed", range(3))
    def test_right_gradient_is_not_called_wrong(self, seed: int, lam: float, mode: str) -> None:
        loss, grad, W = self.of(20, 3, seed, lam)
        result = check(loss=loss, grads=grad, params=W, mode=mode, seed=seed)
        assert [block.status for block in result.blocks] == ["pass"]
        assert {f.name for f in result.findings} <= {"coarse", "jumps"}

    @pytest.mark.parametrize("seed", range(3))
    def test_right_gradient_of_many_parameters(self, seed: int) -> None:
        loss, grad, W = self.of(600, 10, seed, 0.01)
        result = check(loss=loss, grads=grad, params=W, seed=seed)
        assert [block.status for block in result.blocks] == ["pass"]
        assert result.evaluations < 300

    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("factor", [-1.0, 2.0, 1.01])
    def test_wrong_gradient_is_measured_across_the_jumps(self, seed: int, factor: float) -> None:
        loss, grad, W = self.of(20, 3, seed, 0.01)
        result = check(
            loss=loss, grads=lambda W: factor * grad(W), params=W, mode="probe", seed=seed
        )
        expected = abs(factor - 1) / (abs(factor) + 1)
        assert result.status == "fail"
        assert abs(result.relative_error - expected) <= 0.1 * expected

    @pytest.mark.parametrize("mode", ["exhaustive", "probe"])
    @pytest.mark.parametrize(("lam", "weight"), [(0.1, 1.0), (1.0, 1e-2), (1.0, 1e-3)])
    @pytest.mark.parametrize("seed", range(3))
    def test_penalty_without_the_data_is_wrong(
        self, seed: int, lam: float, weight: float, mode: str
    ) -> None:
        loss, grad, W = self.of(20, 3, seed, lam, weight)
        penalty, whole = lam * W, grad(W)
        off = np.linalg.norm(whole - penalty) / (np.linalg.norm(whole) + np.linalg.norm(penalty))
        result = check(loss=loss, grads=lambda W: lam * W, params=W, mode=mode, seed=seed)
        assert result.status != "pass"
        assert off / 2 < result.relative_error < 2 * off
        (jumps,) = [finding for finding in result.findings if finding.name == "jumps"]
        assert jumps.where == ("params",) and jumps.evidence["jumps"] >= 1
        assert "between two jumps it has another slope" in jumps.message
        right = check(loss=loss, grads=grad, params=W, mode=mode, seed=seed)
        assert [block.status for block in right.blocks] == ["pass"]
        assert {f.name for f in right.findings} <= {"coarse", "jumps"}


class TestDataInHalfPrecision:
    """The same in float16, whose jumps are a thousandth of the parameters apart."""

    @staticmethod
    def of(samples: int, features: int, hidden: int, seed: int) -> Any:
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(samples, features)).astype(np.float16)
        y = rng.normal(size=samples).astype(np.float16)
        lam = 0.1

        def forward(p: dict[str, np.ndarray]) -> Any:
            W, v = (p[name].astype(np.float16) for name in ("W", "v"))
            z = np.tanh(X @ W)
            return v, z, z @ v - y

        def loss(p: dict[str, np.ndarray]) -> float:
            error = forward(p)[-1].astype(float)
            return float(np.mean(error**2)) + lam / 2 * sum(np.sum(q**2) for q in p.values())

        def data(p: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            v, z, error = (part.astype(float) for part in forward(p))
            e = 2 * error / samples
            return {"W": X.astype(float).T @ (np.outer(e, v) * (1 - z**2)), "v": z.T @ e}

        def right(p: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {name: q + lam * p[name] for name, q in data(p).items()}

        params = {
            "W": rng.normal(size=(features, hidden)) / np.sqrt(features),
            "v": rng.normal(size=hidden) / np.sqrt(hidden),
        }
        return loss, right, params

    @pytest.mark.parametrize(("mode", "size"), [("exhaustive", (6, 4)), ("probe", (40, 60))])
    @pytest.mark.parametrize("seed", range(4))
    def test_right_and_wrong_gradients(self, mode: str, size: tuple[int, int], seed: int) -> None:
        loss, right, params = self.of(32, *size, seed)

        def checked(grads: Any) -> Result:
            return check(loss=loss, grads=grads, params=params, mode=mode, seed=seed)

        found = checked(right)
        assert [block.status for block in found.blocks] == ["pass"] * 2
        assert {finding.name for finding in found.findings} <= {"coarse", "jumps"}
        assert checked(lambda p: {name: 2 * g for name, g in right(p).items()}).status == "fail"


class TestLogarithmOfWhatIsLeftOfOne:
    """``log(1 - p)`` of a p next to 1: stairs, the higher the surer a sample is.

    The gradient is as exact as ever, and so are long secants of the loss.
    """

    @staticmethod
    def of(seed: int, surest: float) -> Any:
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(60, 12)), rng.integers(0, 2, 60)
        w = rng.normal(size=12)
        w *= surest / np.max(np.abs(X @ w))

        def p(w: np.ndarray) -> np.ndarray:
            return 1 / (1 + np.exp(-X @ w))

        def loss(w: np.ndarray) -> float:
            return float(-np.mean(y * np.log(p(w)) + (1 - y) * np.log(1 - p(w))))

        return loss, lambda w: X.T @ (p(w) - y) / len(y), w

    @pytest.mark.parametrize("mode", ["exhaustive", "probe"])
    @pytest.mark.parametrize("surest", [19.0, 21.0, 23.0, 25.0])
    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.filterwarnings("ignore:divide by zero")  # far from the point
    def test_right_and_wrong_gradients(self, seed: int, surest: float, mode: str) -> None:
        loss, grad, w = self.of(seed, surest)
        right = check(loss=loss, grads=grad, params=w, mode=mode, seed=seed)
        assert [block.status for block in right.blocks] == ["pass"]
        assert {finding.name for finding in right.findings} <= {"coarse", "jumps", "imprecise"}
        for factor in (-1.0, 0.9):
            wrong = check(
                loss=loss, grads=lambda w, f=factor: f * grad(w), params=w, mode=mode, seed=seed
            )
            assert wrong.status == "fail"


class TestBetweenJumps:
    """A slope that is the same all along the way of secants that have another one."""

    @staticmethod
    def of(f: Any, *, off: float = 1.0, slope: float = 0.5, unit: float = 1.0) -> bool:
        def at(t: float) -> float:
            return unit * float(f(t))

        ladder = Ladder(
            lambda h: (h, at(h), h, at(-h)), at(0.0), 1e-9, noise=0.0, scale=1.0, finest=1e-15
        )
        short = ShortSteps(ladder, at, 1.0, unit * slope, bar=unit * off / FAR, step=1e-9)
        across = slopes_across(ladder.sample, 1.0, noise=0.0)
        return short.between_jumps(SECANTS[:1], across) is not None

    @staticmethod
    def stairs(t: float, step: float = 1e-6) -> float:
        return 0.5 * t + step * np.floor(t / step + 0.37)

    @pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
    def test_is_seen_in_any_unit(self, unit: float) -> None:
        assert self.of(self.stairs, unit=unit)
        assert self.of(lambda t: 3.0 + self.stairs(t), unit=unit)

    @pytest.mark.parametrize("bend", [1.0, 1e3])
    def test_is_seen_where_the_loss_bends(self, bend: float) -> None:
        assert self.of(lambda t: self.stairs(t) + bend * t**2)  # between its jumps
        step = 1e-6
        assert self.of(lambda t: 0.5 * t + step * np.floor((t + bend * t**2) / step + 0.37))

    @pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
    def test_is_not_told_where_the_loss_is_not_finite(self, value: float) -> None:
        assert not self.of(lambda t: value if 1e-4 < abs(t) < 9.5e-4 else self.stairs(t))
        assert not self.of(lambda t: value if abs(t) > 5e-4 else self.stairs(t))

    def test_matters_where_the_secants_are_off_by_a_quarter_of_what_matters(self) -> None:
        assert self.of(self.stairs, off=3.9) and not self.of(self.stairs, off=4.1)

    @pytest.mark.parametrize(
        "smooth",
        [
            lambda t: 0.5 * t,
            lambda t: 0.5 * t + 1e5 * t**3,
            lambda t: 0.5 * t + 30 * t**2 + 1e5 * t**3,
            lambda t: 0.5 * t + np.maximum(t, 0),
            lambda t: 0.5 * t + np.maximum(t - 1e-5, 0) - np.minimum(t + 1e-5, 0),
            lambda t: 1.5 * t - np.sin(1e5 * t) / 1e5,
            lambda t: 1.5 * t - np.sin(1e7 * t) / 1e7,
        ],
    )
    def test_is_not_taken_for_what_bends(self, smooth: Any) -> None:
        assert not self.of(smooth)

    @pytest.mark.parametrize("length", np.geomspace(1e-4, 1e-2, 25))
    def test_is_found_where_short_steps_may_straddle_one(self, length: float) -> None:
        at = partial(self.stairs, step=1.3e-7)
        assert highest_jump(at, at(0.0), length, 0.5, 5e-8) == pytest.approx(1.3e-7, rel=1e-3)

    def test_the_height_of_jumps_is_noise(self) -> None:
        for step in (1.37e-8, 1.37e-7):
            seen = height_of_jumps(partial(self.stairs, step=step), self.stairs(0.0, step))
            assert step / 8 < seen < step
        assert height_of_jumps(lambda t: 0.5 * t + t * t, 0.0) < 1e-17


@pytest.mark.parametrize("frequency", [1e4, 1e6, 1e7])
@pytest.mark.parametrize("seed", range(3))
def test_fast_oscillation_is_not_taken_for_jumps_by_probes(seed: int, frequency: float) -> None:
    rng = np.random.default_rng(seed)
    a, x = rng.normal(size=(2, 20))

    def loss(x: np.ndarray) -> float:
        return float(a @ (x + np.sin(frequency * x) / frequency))

    right = check(
        loss=loss, grads=lambda x: a * (1 + np.cos(frequency * x)), params=x, mode="probe"
    )
    assert [block.status for block in right.blocks] == ["pass"]
    assert check(loss=loss, grads=lambda x: a, params=x, mode="probe").status == "fail"


@pytest.mark.parametrize("distance", [1e-8, 1e-6])
def test_a_kink_near_the_point_is_not_taken_for_jumps(distance: float) -> None:
    def bent(x: np.ndarray) -> float:
        return float(np.sum(x + 0.1 * np.maximum(x - 1 - distance, 0.0)))

    # the claim is what secants across the kink have, the mean of the two slopes
    result = check(loss=bent, grads=lambda x: np.full(2, 1.05), params=np.ones(2))
    assert result.status == "fail"


class TestOneInputRoundedToSinglePrecision:
    """Smooth in y, and in float32(x): flat for short steps along x, a staircase for longer ones."""

    params: ClassVar = {"x": np.array([0.115, -1.3, 2.0]), "y": np.array([0.4, -0.7])}

    @staticmethod
    def loss(p: dict[str, np.ndarray]) -> float:
        single = p["x"].astype(np.float32).astype(np.float64)
        return float(np.sum(np.tanh(single) ** 2 + 0.3 * single) + np.sum(np.sin(p["y"])))

    @staticmethod
    def grads(p: dict[str, np.ndarray], factor: float = 1.0) -> dict[str, np.ndarray]:
        x = p["x"]
        exact = 2 * np.tanh(x) / np.cosh(x) ** 2 + 0.3
        return {"x": factor * exact, "y": np.cos(p["y"])}

    def test_right_gradient_is_not_told_to_be_zero(self) -> None:
        result = check(loss=self.loss, grads=self.grads, params=self.params)
        assert result.status == "pass"
        assert all(entry.error <= entry.uncertainty < 1e-4 for entry in result.worst)

    @pytest.mark.parametrize("factor", [-1.0, 0.99, 1.01, 0.0])
    def test_wrong_gradient_is_flagged(self, factor: float) -> None:
        result = check(loss=self.loss, grads=lambda p: self.grads(p, factor), params=self.params)
        assert result.status == "fail"


@given(log_frequency=st.floats(1, 7), log_amplitude=st.floats(-3, 0))
@settings(max_examples=30, deadline=None)
def test_fast_oscillation_is_not_taken_for_jumps(
    log_frequency: float, log_amplitude: float
) -> None:
    frequency, amplitude = 10**log_frequency, 10**log_amplitude

    def waves(x: np.ndarray) -> float:
        return float(np.sum(x + amplitude / frequency * np.sin(frequency * x)))

    x = np.array([0.126, -0.132, 0.64])
    right = check(loss=waves, grads=lambda x: 1 + amplitude * np.cos(frequency * x), params=x)
    missing = check(loss=waves, grads=np.ones_like, params=x)
    assert right.status == "pass"
    assert missing.status != "pass"


def named(family: str, variant: str) -> Case:
    (draft,) = (one for one in drafts(None, None) if (one[0], one[2].variant) == (family, variant))
    return build(*draft)


def test_entries_in_units_of_their_own_are_not_measured_across_those_of_others() -> None:
    case = named("oscillator-network", "six-units1e6")
    (wrong,) = (mutant for mutant in case.mutants() if mutant.name.endswith("K column"))
    for claim, status in ((case.grads, "pass"), (wrong.grads, "fail")):
        params = {k: v.copy() for k, v in case.params.items()}
        result = check(loss=case.loss, grads=claim, params=params)
        assert result.status == status and "jumps" not in {f.name for f in result.findings}


@pytest.mark.parametrize(
    ("family", "variant", "seeds"),
    [
        ("single-data", "squares-10-1", (0, 1)),  # contradicted by next to nothing at first
        ("single-data", "hidden-0.001", (0, 2)),  # steps straddle jumps
        ("single-data", "squares-4-0.001", (1, 3, 4)),  # seen by entries alone
        ("bisection", "root-1e-09", (1, 2)),  # seen after a search alone
        ("root-near-zero", "arcsin-edge-raises", (0, 1)),  # next to the edge of a domain
    ],
)
def test_probes_of_losses_that_jump(family: str, variant: str, seeds: tuple[int, ...]) -> None:
    case = named(family, variant)
    for seed in seeds:
        params = {k: v.copy() for k, v in case.params.items()}
        result = check(loss=case.loss, grads=case.grads, params=params, mode="probe", seed=seed)
        assert [block.status for block in result.blocks] == ["pass"] * len(params)
        assert result.status != "fail" and not {f.name for f in result.findings} & {
            "wrong-entry",
            "wrong-region",
            "unlocated",
        }


@pytest.mark.parametrize(
    ("family", "variant", "seeds"),
    [
        ("single-data", "squares-10-1", (11,)),  # the slope where the search starts straddles one
        ("single-data", "hidden-0.001", (5, 9)),
        ("single-part", "energy-0.001", (4, 9, 16, 17)),
        ("single-part", "classes-0.01", (3, 4, 8)),  # longer steps along the first hardly differ
        ("single-part", "field-0.001", (9, 11)),
    ],
)
def test_probes_of_the_rest_alone(family: str, variant: str, seeds: tuple[int, ...]) -> None:
    case = named(family, variant)
    (rest,) = [mutant for mutant in case.mutants() if "rest-alone" in mutant.name]
    for seed in seeds:
        params = {k: v.copy() for k, v in case.params.items()}
        result = check(loss=case.loss, grads=rest.grads, params=params, mode="probe", seed=seed)
        assert any(block.status != "pass" for block in result.blocks)

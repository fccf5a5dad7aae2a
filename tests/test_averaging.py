"""Losses whose noise leaves a single difference with too few digits."""

from __future__ import annotations

import math
from hashlib import blake2b

import numpy as np
import pytest

from pytest_gradcheck import Result, check
from pytest_gradcheck.core.derivative import Derivative
from pytest_gradcheck.core.differences import derivative
from pytest_gradcheck.core.directions import Bound, Directions
from pytest_gradcheck.core.ladder import Ladder

DECIDED = 1e-5


def jitter(x: np.ndarray) -> float:
    """A number in [-1, 1) that depends on every bit of the parameters."""
    digest = blake2b(np.ascontiguousarray(x).tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2.0**63 - 1.0


def require_decided(result: Result) -> None:
    assert [block.status for block in result.blocks] == ["pass"] * len(result.blocks)
    assert not {finding.name for finding in result.findings} & {"coarse", "tiny-gradient"}
    assert max(block.uncertainty for block in result.blocks) <= DECIDED
    assert all(entry.error <= entry.uncertainty for entry in result.worst)


def test_a_whole_block_is_certified_where_its_entries_drown() -> None:
    x = np.random.default_rng(5).normal(size=20)
    result = check(
        loss=lambda x: float(0.5 * x @ x) * (1 + 4e-6 * jitter(x)), grads=np.copy, params=x
    )
    require_decided(result)
    assert result.evaluations < 50_000


@pytest.mark.parametrize(("noise", "wrong"), [(1e-5, 0.0), (2e-6, 2e-4)])
def test_entries_too_few_for_directions_are_averaged_one_by_one(noise: float, wrong: float) -> None:
    x = np.array([0.7, -1.1])
    result = check(
        loss=lambda x: float(np.sum(np.exp(x))) * (1 + noise * jitter(x)),
        grads=lambda x: np.exp(x) * [1.0, 1 + wrong],
        params=x,
    )
    if not wrong:
        require_decided(result)
    assert result.status == ("warn" if wrong else "pass")
    assert result.uncertainty <= DECIDED
    assert result.evaluations < 50_000


def test_what_takes_the_fewest_evaluations_is_averaged_first() -> None:
    def loss(p: dict[str, np.ndarray]) -> float:
        slopes = float(np.sin(p["faint"]).sum() + 4 * np.sin(p["strong"]).sum())
        return slopes + 3e-5 * jitter(np.concatenate([p["faint"], p["strong"]]))

    def grads(p: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"faint": np.cos(p["faint"]), "strong": 4 * np.cos(p["strong"])}

    params = {"faint": np.array([0.3, 0.8, 0.5]), "strong": np.array([0.5, -0.4])}
    for limit, unverified in ((22_000, [("faint",)]), (50_000, [])):
        result = check(loss=loss, grads=grads, params=params, max_evaluations=limit)
        assert [f.where for f in result.findings if f.name == "coarse"] == unverified


def test_the_noise_at_parameters_of_zero_is_known() -> None:
    result = check(
        loss=lambda x: float(np.sum(np.exp(x))) * (1 + 1e-6 * jitter(x)),
        grads=np.exp,
        params=np.zeros(6),
    )
    require_decided(result)


def test_one_wrong_entry_of_a_noisy_block_is_flagged_all_the_same() -> None:
    x = np.random.default_rng(5).normal(size=20)
    result = check(
        loss=lambda x: float(0.5 * x @ x) * (1 + 4e-6 * jitter(x)),
        grads=lambda x: x + 3e-2 * (np.arange(20) == 7),
        params=x,
    )
    assert result.status != "pass"
    assert result.relative_error > 1e-4


def test_a_step_far_too_long_leads_to_shorter_ones() -> None:
    result = check(
        loss=lambda x: float(np.sum((x / 1.6e-19 - [1.0, 2.0]) ** 2)),
        grads=lambda x: 2 * (x / 1.6e-19 - [1.0, 2.0]) / 1.6e-19,
        params=np.array([1.7e-19, 3.1e-19]),
    )
    require_decided(result)
    assert result.uncertainty < 1e-8


def test_rounding_of_large_parameters_is_no_noise_of_the_others() -> None:
    def loss(p: dict[str, np.ndarray]) -> float:
        return float(np.sum(p["a"] - 1e12) + np.sin(p["b"][0]))

    result = check(
        loss=loss,
        grads=lambda p: {"a": np.ones(2), "b": np.cos(p["b"])},
        params={"a": np.full(2, 1e12), "b": np.array([0.7])},
    )
    require_decided(result)


@pytest.mark.parametrize("seed", [1, 4, 5])
def test_an_entry_far_below_the_others_is_not_lost_where_the_loss_is_flat(seed: int) -> None:
    size = 1e-9
    rng = np.random.default_rng(seed)
    x = size * rng.uniform(-1, 1, 30)
    c = 1e3 * rng.standard_normal(30)
    result = check(
        loss=lambda x: float(np.float32(c @ np.tanh(x / size) + 5e3)),
        grads=lambda x: c / size / np.cosh(x / size) ** 2,
        params=x,
    )
    assert result.status == "pass"


@pytest.mark.parametrize("seed", range(4))
def test_steps_that_say_nothing_bear_out_no_other(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """A step of `eps` is blind here; in the entry that is zero it looks alike on both sides."""
    loose = Bound(norm=1e-3, contradicts=False, noisy=True)
    monkeypatch.setattr(Directions, "bound", lambda *_, **__: loose)
    size = 1e-9
    x = size * np.random.default_rng(0).uniform(0.2, 0.9, 30)
    c = np.ones(30)
    x[7], c[7] = 0.0, 0.1
    result = check(
        loss=lambda x: float(c @ np.tanh(x / size)),
        grads=lambda x: c / size / np.cosh(x / size) ** 2,
        params=x,
        seed=seed,
    )
    assert result.status == "pass"


def test_noise_is_averaged_in_a_small_domain() -> None:
    centre = np.array([1.0, -0.5, 0.3])
    x = centre + 1e-10 * np.array([0.9, -0.7, 1.1])

    def loss(x: np.ndarray) -> float:
        return float(np.linalg.norm(x - centre))

    result = check(loss=loss, grads=lambda x: (x - centre) / loss(x), params=x)
    require_decided(result)


def test_curvature_within_a_window_is_no_reason_against_its_fit() -> None:
    result = check(
        loss=lambda x: 1.0 + math.exp(x[0] - 24.0),
        grads=lambda x: [math.exp(x[0] - 24.0)],
        params=np.array([1.0]),
    )
    require_decided(result)


class TestOfAHiddenKink:
    """The part of an error bar that stands for a kink of which nothing is seen."""

    found = Derivative(2.0, 0.5, 0.5, left=2.0, right=2.0, hidden=0.4)

    @pytest.mark.parametrize("claim", [1.95, 2.0, 2.09])
    def test_goes_where_the_claim_has_no_need_of_it(self, claim: float) -> None:
        assert self.found.beside(claim).uncertainty == pytest.approx(0.1)

    @pytest.mark.parametrize("claim", [1.6, 2.3, 4.0])
    def test_stays_where_it_may_explain_the_difference(self, claim: float) -> None:
        assert self.found.beside(claim).uncertainty == 0.5


def test_a_discrepancy_is_confirmed_off_the_ladder() -> None:
    first = 1e-7

    def sample(h: float) -> tuple[float, float, float, float]:
        power = math.log(h / first, 4)
        on_ladder = abs(power - round(power)) < 1e-9
        # rounding errors that agree by their own rules on the ladder, and are large beside it
        error = 1e-3 * h if on_ladder and h <= first else 1e-9
        return h, h + error, h, -h - error

    ladder = Ladder(sample, 0.0, first, noise=1e-18, scale=1.0, finest=1e-13)
    found = derivative(ladder, claim=1.0, target=1e-9, enough=1e-7)
    assert not found.contradicts(1.0)


def test_a_true_discrepancy_stays_one() -> None:
    ladder = Ladder(
        lambda h: (h, math.sin(h), h, -math.sin(h)), 0.0, 1e-7, noise=1e-18, scale=1.0, finest=1e-13
    )
    found = derivative(ladder, claim=1.0 + 1e-6, target=1e-9, enough=1e-7)
    assert found.contradicts(1.0 + 1e-6)
    assert found.value == pytest.approx(1.0, abs=found.uncertainty)


def test_a_gradient_under_the_noise_is_not_sought_for_long() -> None:
    """At the optimum of least squares: of four entries each is as cheap as a direction."""
    rng = np.random.default_rng(0)
    A, b = rng.normal(size=(60, 4)), rng.normal(size=60)
    result = check(
        loss=lambda x: np.sum((A @ x - b) ** 2),
        grads=lambda x: 2 * A.T @ (A @ x - b),
        params=np.linalg.lstsq(A, b, rcond=None)[0],
    )
    assert result.status == "warn"
    assert [finding.name for finding in result.findings] == ["tiny-gradient"]
    assert result.evaluations < 5_000


def test_probes_average_noise_over_many_points_where_that_decides() -> None:
    rng = np.random.default_rng(0)
    A, x = rng.normal(size=(30, 40)) / 6, rng.normal(size=40)

    def grads(x: np.ndarray) -> np.ndarray:
        t = np.tanh(A @ x)
        return A.T @ (2 * t * (1 - t * t))

    result = check(
        loss=lambda x: float(np.sum(np.tanh(A @ x) ** 2)) * (1 + 3e-9 * jitter(x)),
        grads=grads,
        params=x,
        mode="probe",
    )
    assert result.status == "pass" and result.findings == ()


@pytest.mark.parametrize("seed", [1, 2, 8, 17, 36, 46])
def test_kinks_that_a_wide_window_smooths_over_contradict_nothing(seed: int) -> None:
    """A sum of ramps that begin all around, in single precision: a unit of a trained network."""
    rng = np.random.default_rng(seed)
    begins = 10 ** rng.uniform(-4.3, 0, 16) * rng.choice([-1, 1], 16)
    slopes = 1e-3 * rng.normal(size=16)

    def f(h: float) -> float:
        ramps = float(slopes @ np.maximum(begins + h, 0))
        return float(np.float32(0.68 + 0.01 * h * h + ramps))

    def sample(h: float) -> tuple[float, float, float, float]:
        return h, f(h), h, f(-h)

    at_point = float(slopes @ (begins > 0))
    ladder = Ladder(sample, f(0.0), 1e-7, noise=4e-8, scale=1.0, finest=1e-13)
    found = derivative(ladder, claim=at_point, target=1e-11, enough=1e-9)
    assert not found.contradicts(at_point)
    assert found.uncertainty < 3e-3  # of slopes that add up to 4e-3


class Valley:
    """Least squares beside its minimum, in single precision: further off, the loss is steep."""

    def __init__(self, seed: int, factor: float = 1.0, size: int = 60) -> None:
        rng = np.random.default_rng(seed)
        self.factor = factor
        self.A = (rng.normal(size=(size, size)) / math.sqrt(size)).astype(np.float32)
        x = rng.normal(size=size)
        self.y = self.A @ x.astype(np.float32)
        self.params = {"x": x + 1e-4 * rng.normal(size=size)}

    def _off(self) -> np.ndarray:
        return self.A @ self.params["x"].astype(np.float32) - self.y

    def loss(self) -> float:
        return float(np.float32(0.5) + np.sum(self._off() ** 2))

    def grads(self) -> dict[str, np.ndarray]:
        return {"x": self.factor * (2 * self.A.T @ self._off()).astype(float)}


@pytest.mark.parametrize("seed", range(6))
def test_probes_do_not_take_the_rounding_of_parameters_for_an_error(seed: int) -> None:
    right = check(Valley(seed), mode="probe", seed=seed)
    assert {finding.name for finding in right.findings} == {"coarse", "low-precision"}
    wrong = check(Valley(seed, factor=1.02), mode="probe", seed=seed)
    assert wrong.status == "fail"

"""By probes: what is claimed at a kink itself, though only beside it they prove anything."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pytest_gradcheck import Result, check

Claim = Callable[[np.ndarray], np.ndarray]


class TestWeightsAtZero:
    """Least squares with an L1 penalty of 0.1, half of the weights zero."""

    @pytest.fixture
    def problem(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        w = 0.05 * rng.normal(size=6000)
        w[::2] = 0.0
        return rng.normal(size=(40, w.size)), 5 * rng.normal(size=40), w

    def checked(
        self, problem: tuple[np.ndarray, ...], change: Callable[[np.ndarray, np.ndarray], object]
    ) -> Result:
        X, y, w = problem

        def grads(w: np.ndarray) -> np.ndarray:
            g = X.T @ (X @ w - y) + 0.1 * np.sign(w)
            change(g, w)
            return g

        def loss(w: np.ndarray) -> float:
            return 0.5 * float(np.sum((X @ w - y) ** 2)) + 0.1 * float(np.sum(np.abs(w)))

        before = w.copy()
        result = check(loss=loss, grads=grads, params=w)
        assert np.array_equal(w, before)
        return result

    @pytest.mark.parametrize("side", [-0.1, 0.0, 0.07, 0.1])
    def test_any_subgradient_passes(self, problem: tuple[np.ndarray, ...], side: float) -> None:
        def subgradient(g: np.ndarray, w: np.ndarray) -> None:
            g[w == 0] += side

        result = self.checked(problem, subgradient)
        assert result.status == "pass" and result.evaluations < 150

    def test_a_mask_of_all_that_is_zero_fails(self, problem: tuple[np.ndarray, ...]) -> None:
        def masked(g: np.ndarray, w: np.ndarray) -> None:
            g[w == 0] = 0.0

        result = self.checked(problem, masked)
        X, y, w = problem
        g = X.T @ (X @ w - y) + 0.1 * np.sign(w)
        kept = np.where(w == 0, 0.0, g)
        off = np.linalg.norm(g - kept) / (np.linalg.norm(g) + np.linalg.norm(kept))
        assert result.status == "fail"
        assert abs(result.relative_error - off) <= result.uncertainty
        worst = result.worst[0]
        assert worst.analytic == 0 and abs(worst.numeric) == pytest.approx(
            np.max(np.abs(g[w == 0])), abs=0.1001
        )

    @pytest.mark.parametrize("entry", [0, 4242])
    def test_one_entry_is_told(self, problem: tuple[np.ndarray, ...], entry: int) -> None:
        def one(g: np.ndarray, w: np.ndarray) -> None:
            g[entry] += 20.0 * (w[entry] == 0)

        result = self.checked(problem, one)
        assert result.status != "pass"
        assert [e.index for e in result.worst] == [(entry,)]

    def test_what_is_left_beyond_those_measured_counts(
        self, problem: tuple[np.ndarray, ...]
    ) -> None:
        def moved(g: np.ndarray, w: np.ndarray) -> None:
            g[w == 0] += 10.0

        result = self.checked(problem, moved)
        assert result.status == "fail" and len(result.worst) <= 16
        assert result.relative_error > 0.05

    def test_no_more_evaluations_than_allowed(self, problem: tuple[np.ndarray, ...]) -> None:
        X, y, w = problem
        result = check(
            loss=lambda w: 0.5 * float(np.sum((X @ w - y) ** 2)) + 0.1 * float(np.sum(np.abs(w))),
            grads=lambda w: (X.T @ (X @ w - y) + 0.1 * np.sign(w)) * (w != 0),
            params=w,
            max_evaluations=40,
        )
        assert result.evaluations < 100


@pytest.mark.parametrize("convention", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_kinks_of_many_samples_at_once_convict_nobody(seed: int, convention: float) -> None:
    """Columns of zeros before a ReLU, of which a framework has a slope of its own."""
    rng = np.random.default_rng(seed)
    X, T = rng.normal(size=(30, 50)), rng.normal(size=(30, 3))
    params = {"W": rng.normal(size=(50, 120)) / 7, "V": rng.normal(size=(120, 3)) / 11}
    params["W"][:, :20] = 0.0

    def loss(p: dict[str, np.ndarray]) -> float:
        return 0.5 * float(np.sum((np.maximum(X @ p["W"], 0) @ p["V"] - T) ** 2)) / 30

    def grads(p: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        z = X @ p["W"]
        a = np.maximum(z, 0)
        d = (a @ p["V"] - T) / 30
        slope = np.where(z == 0, convention, z > 0)
        return {"W": X.T @ ((d @ p["V"].T) * slope), "V": a.T @ d}

    result = check(loss=loss, grads=grads, params=params, seed=seed)
    assert [block.status for block in result.blocks] == ["pass", "pass"]
    assert not {f.name for f in result.findings} & {"wrong-entry", "wrong-region", "unlocated"}

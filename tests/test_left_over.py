"""Losses of which rounding leaves next to nothing: samples surer than double precision can say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pytest_gradcheck import check
from pytest_gradcheck.core.left_over import left_by_cancelling

MODES = ("exhaustive", "probe")


class Logistic:
    """Separated classes; `stable` is the same loss without terms that cancel."""

    def __init__(self, surest: float, *, stable: bool = False, factor: float = 1.0) -> None:
        rng = np.random.default_rng(0)
        self.X = rng.normal(size=(20, 3))
        self.X[:, 0] += np.sign(self.X[:, 0])
        self.y = (self.X[:, 0] > 0).astype(float)
        self.params = {"w": np.array([surest, 0.1, -0.2]), "b": np.array(0.1)}
        self.stable, self.factor = stable, factor

    def margins(self) -> Any:
        return self.X @ self.params["w"] + self.params["b"]

    def loss(self) -> float:
        z = self.margins()
        if self.stable:
            return float(np.mean(np.log1p(np.exp(-(2 * self.y - 1) * z))))
        return float(np.mean(np.logaddexp(0, z) - self.y * z))

    def grads(self) -> dict[str, Any]:
        sign = 2 * self.y - 1
        dz = -sign / (1 + np.exp(sign * self.margins())) / len(sign)
        return {"w": self.factor * self.X.T @ dz, "b": np.array(dz.sum())}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("surest", [30.0, 33.0, 36.0, 40.0])
def test_what_rounding_hides_is_not_called_wrong(surest: float, mode: str) -> None:
    result = check(Logistic(surest), mode=mode)
    assert result.status == "warn"
    assert "tiny-gradient" in {finding.name for finding in result.findings}
    assert check(Logistic(surest, stable=True), mode=mode).status == "pass"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("gap", [34.0, 40.0, 100.0])
def test_nor_is_it_of_one_sample_with_a_softmax(gap: float, mode: str) -> None:
    def loss(z: Any) -> float:
        return float(np.log(np.sum(np.exp(z - z.max()))) + z.max() - z[0])

    def grads(z: Any) -> Any:
        q = np.exp(z - z.max()) / np.sum(np.exp(z - z.max()))
        return np.array([-q[1:].sum(), *q[1:]])

    result = check(loss=loss, grads=grads, params=np.array([gap, 0.0, -3.0]), mode=mode)
    assert result.status == "warn"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stable", [False, True])
def test_a_mistake_that_shows_above_it_fails(mode: str, stable: bool) -> None:
    for surest in (5.0, 10.0, 33.0 if stable else 12.0):
        assert check(Logistic(surest, stable=stable, factor=1.5), mode=mode).status == "fail"


@pytest.mark.parametrize("mode", MODES)
def test_a_gradient_where_the_loss_is_zero_and_flat_fails(mode: str) -> None:
    def loss(w: Any) -> float:
        return float(np.sum(np.maximum(0.0, w - 2.0) ** 2))

    params = np.linspace(0.5, 1.5, 20)
    wrong = 1e-12 * np.ones(20)
    assert check(loss=loss, grads=lambda w: wrong, params=params, mode=mode).status == "fail"


class TestLeftByCancelling:
    @staticmethod
    def softplus(surest: float, *, stable: bool = False) -> tuple[Any, float]:
        def f(t: float) -> float:
            z = surest * (1 + t)
            return float(np.log1p(np.exp(-z)) if stable else np.logaddexp(0, z) - z)

        return f, f(0.0)

    @pytest.mark.parametrize("surest", [30.0, 37.0, 100.0, 700.0])
    def test_is_eight_units_of_what_it_is_when_turned_round(self, surest: float) -> None:
        f, base = self.softplus(surest)
        expected = pytest.approx(8 * 2.0**-52 * surest)
        assert left_by_cancelling(f, base) == expected
        assert left_by_cancelling(lambda t: -f(-t), -base) == expected
        assert left_by_cancelling(*self.softplus(surest, stable=True)) == 0.0

    def test_is_not_looked_for_where_the_loss_is_not_small(self) -> None:
        f, _ = self.softplus(40.0)
        assert left_by_cancelling(f, 1e-8) == 0.0 < left_by_cancelling(f, 1e-12)

        def refuse(t: float) -> float:
            raise AssertionError("far away")

        for base in (1.01e-8, -1.01e-8, 1.0):
            assert left_by_cancelling(refuse, base) == 0.0

    def test_is_nothing_where_digits_are_left(self) -> None:
        assert left_by_cancelling(*self.softplus(20.0)) == 0.0
        assert left_by_cancelling(lambda t: 0.0, 0.0) == 0.0
        assert left_by_cancelling(lambda t: math.nan, 0.0) == 0.0

    def test_is_nothing_of_a_sum_of_squares_next_to_its_zero(self) -> None:
        for off in (0.0, 1e-10, 1e-8):
            data = 0.1 * np.arange(1.0, 8.0)

            def f(t: float, off: float = off, data: Any = data) -> float:
                return float(np.sum((data * (1 + off + t) - data) ** 2))

            assert left_by_cancelling(f, f(0.0)) == 0.0

    def test_counts_what_is_finite(self) -> None:
        f, base = self.softplus(40.0)
        found = left_by_cancelling(lambda t: math.inf if t > 0 else f(t), base)
        assert found == pytest.approx(320 * 2.0**-52)

    def test_is_nothing_across_a_jump(self) -> None:
        assert left_by_cancelling(lambda t: float(t < -1), 0.0) == 0.0

"""The step-size study: one entry at every step."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from pytest_gradcheck import check
from pytest_gradcheck.core.ladder import Rung
from pytest_gradcheck.core.study import _truncation


def studied(x: Any, factor: float = 1.0, **options: Any) -> Any:
    return check(
        loss=lambda p: float(np.sum(np.asarray(p["x"]) ** 3)),
        grads=lambda p: {"x": factor * 3 * np.asarray(p["x"]) ** 2},
        params={"x": x},
        study=True,
        **options,
    ).study


@pytest.mark.parametrize("x", [2.0, np.array(2.0), np.array([2.0])], ids=repr)
@pytest.mark.parametrize("factor", [1.0, 1.1])
def test_quotients_of_a_cube(x: Any, factor: float) -> None:
    study = studied(x, factor)
    assert study.index == (() if np.ndim(x) == 0 else (0,))
    assert study.analytic == pytest.approx(12 * factor)
    assert abs(study.numeric - 12) <= study.uncertainty <= 1e-9
    assert study.truncation == pytest.approx(1, rel=0.05)  # central quotients are 12 + h²
    assert 2**-53 * 8 <= study.noise <= 2**-50 * 8
    assert study.step == pytest.approx(2e-7)
    assert all(a == pytest.approx(4 * b, rel=1e-2) for a, b in pairwise(study.steps[:-4]))
    assert study.steps[0] >= 1 and study.steps[-1] <= 1e-12
    for h, central, forward in zip(study.steps, study.central, study.forward, strict=True):
        off = 8 * study.noise / h + 1e-13 * (1 + h**2)
        assert central == pytest.approx(12 + h**2, abs=off)
        assert forward == pytest.approx(12 + 6 * h + h**2, abs=off)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize(
    ("x", "worst"), [([1.0], 0), ([3.0], 0), ([2e-3, 1.0], 0), ([5.0, 1e3], 1)]
)
def test_steps_are_those_of_the_size_of_the_entry(x: Any, worst: int, unit: float) -> None:
    off = 0.1 * (np.arange(len(x)) == worst)
    study = check(
        loss=lambda p: float(np.sum(np.exp(p / unit / x))),
        grads=lambda p: (1 + off) * np.exp(p / unit / x) / unit / x,
        params=unit * np.array(x),
        study=True,
    ).study
    assert study is not None and study.index == (worst,)
    own = x[worst] * unit
    longest = 2 * max(1.0, own, unit * float(np.sqrt(np.mean(np.square(x)))))
    assert longest / 4 <= study.steps[0] <= longest
    assert 1e-13 * own < study.steps[-1] <= 8e-13 * own
    assert study.step == pytest.approx(1e-7 * max(1.0, own))
    assert 2**-53 <= study.noise <= 2**-47
    assert abs(study.numeric * own - np.e) <= study.uncertainty * own <= 1e-7


@pytest.mark.parametrize("eps", [1e-7, 2e-7, 3e-7])
def test_longest_step_is_twice_the_size(eps: float) -> None:
    for x, longest in ((0.5, 2.0), (1.0, 2.0), (30.0, 60.0)):
        study = studied(x, eps=eps)
        assert longest / 4 < study.steps[0] <= longest
        assert study.step == pytest.approx(eps * max(1.0, x))


def test_own_size_of_a_zero_is_that_of_its_parameter() -> None:
    x = np.array([0.0, 3e6, 4e6])
    study = check(
        loss=lambda p: float(np.sum(np.sin(p / 1e6))),
        grads=lambda p: np.cos(p / 1e6) / 1e6 * [2.0, 1.0, 1.0],
        params=x,
        study=True,
    ).study
    assert study is not None and study.index == (0,)
    assert 1e-7 <= study.steps[-1] <= 2e-6


class TestTruncation:
    """The coefficient of h², from difference quotients at steps of ratio 4."""

    @staticmethod
    def of(quotients: Any, sigma: float = 1e-16, steps: Any = None) -> float:
        steps = 4.0 ** -np.arange(len(quotients)) if steps is None else steps
        rungs = [
            Rung(float(h), float(q), 0.0, float(q), float(q), sigma)
            for h, q in zip(steps, quotients, strict=True)
        ]
        return _truncation(rungs)

    h = 4.0 ** -np.arange(12)

    def test_is_that_of_the_shortest_steps_that_show_it(self) -> None:
        assert self.of(3 + 0.7 * self.h**2) == pytest.approx(0.7)
        assert self.of(3 - 0.7 * self.h**2) == pytest.approx(0.7)
        assert self.of(3 + 0.7 * self.h**2 + 9 * self.h**4) == pytest.approx(0.7, rel=1e-2)
        assert np.isnan(self.of(3 + 9 * self.h**4)) and np.isnan(self.of(3 + self.h))

    def test_longest_steps_may_be_out_of_the_domain(self) -> None:
        assert self.of([np.nan, np.inf, *(3 + 0.7 * self.h**2)]) == pytest.approx(0.7 * 4**4)

    def test_is_none_where_noise_is_as_large(self) -> None:
        quotients = 3 + 0.7 * self.h**2
        assert np.isnan(self.of(quotients, sigma=1e-1)) and np.isnan(self.of(quotients, sigma=1e-2))
        assert self.of(quotients, sigma=1e-4) == pytest.approx(0.7)
        seen = np.where(self.h > 1e-3, quotients, 3 + 1e-7 / self.h * (-1.0) ** np.arange(12))
        assert self.of(seen, sigma=1e-7) == pytest.approx(0.7)

    def test_is_not_of_steps_that_are_no_neighbours(self) -> None:
        steps = np.array([1.0, 0.25, 0.25 / 16, 0.25 / 256])
        assert np.isnan(self.of(3 + 0.7 * steps**2, steps=steps))


def test_truncation_that_noise_hides_or_that_is_none_is_not_told() -> None:
    flat = check(loss=lambda p: 3 * p[0], grads=lambda p: [3.0], params=np.ones(1), study=True)
    assert flat.study is not None and np.isnan(flat.study.truncation)
    kink = check(loss=lambda p: abs(p[0] - 1), grads=lambda p: [0.0], params=np.ones(1), study=True)
    assert kink.study is not None and np.isnan(kink.study.truncation)
    assert kink.study.uncertainty < 1e-9  # of the mean of its two slopes


def test_is_none_where_no_claim_is_a_number() -> None:
    assert studied(np.ones(2), np.nan) is None


def test_is_of_the_worst_entry_or_the_largest() -> None:
    x = np.array([[1.0, -3.0], [2.0, 0.5]])
    constant = check(loss=lambda p: 1.0, grads=np.zeros_like, params=np.ones(2), study=True)
    assert constant.study is not None and constant.study.index == (0,)
    wrong = studied(x, np.array([[1.0, 1.0], [1.0, 1.1]]))
    assert (wrong.index, wrong.parameter) == ((1, 1), "x")

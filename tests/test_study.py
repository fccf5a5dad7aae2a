"""The step-size study: one entry at every step."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from pytest_gradcheck import check


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


def test_truncation_that_noise_hides_or_that_is_none_is_not_told() -> None:
    flat = check(loss=lambda p: 3 * p[0], grads=lambda p: [3.0], params=np.ones(1), study=True)
    assert flat.study is not None and np.isnan(flat.study.truncation)
    kink = check(loss=lambda p: abs(p[0] - 1), grads=lambda p: [0.0], params=np.ones(1), study=True)
    assert kink.study is not None and np.isnan(kink.study.truncation)


def test_is_of_the_worst_entry_or_the_largest() -> None:
    x = np.array([[1.0, -3.0], [2.0, 0.5]])
    constant = check(loss=lambda p: 1.0, grads=np.zeros_like, params=np.ones(2), study=True)
    assert constant.study is not None and constant.study.index == (0,)
    wrong = studied(x, np.array([[1.0, 1.0], [1.0, 1.1]]))
    assert (wrong.index, wrong.parameter) == ((1, 1), "x")

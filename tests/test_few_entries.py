"""Few entries, each measured by itself in place of probes through all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_gradcheck import check
from pytest_gradcheck.core.certificate import Certificate, Complete
from pytest_gradcheck.core.region import Region

LARGE = np.random.default_rng(0).normal(size=(40, 300))


def loss(p: dict[str, np.ndarray]) -> float:
    """Most of it from many parameters; a few matter so little that their probes drown in noise."""
    return float(np.sum(np.cosh(p["W"]))) + 1e-4 * float(np.sum(np.sin(p["few"]) + p["s"] ** 2))


def grads(p: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        "W": np.sinh(p["W"]),
        "few": 1e-4 * np.cos(p["few"]),
        "s": np.array(p["few"].size * 2e-4 * p["s"]),
    }


def params() -> dict[str, np.ndarray]:
    return {"W": LARGE.copy(), "few": np.array([0.3, -0.7]), "s": np.array(1.3)}


@pytest.mark.parametrize("seed", range(3))
def test_right_entries_are_known_far_better_than_by_probes(seed: int) -> None:
    result = check(loss=loss, grads=grads, params=params(), mode="probe", seed=seed)
    assert result.status == "pass" and not result.worst
    found = {block.name: block for block in result.blocks}
    assert found["s"].relative_error + found["s"].uncertainty < 1e-5
    assert result.evaluations < 150


@pytest.mark.parametrize("error", [1e-4, -0.3, 1.0])
@pytest.mark.parametrize(("name", "index"), [("few", (1,)), ("s", ())])
def test_a_wrong_one_is_listed_and_no_other(
    name: str, index: tuple[int, ...], error: float
) -> None:
    def wrong(p: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        claimed = grads(p)
        claimed[name] = claimed[name].copy()
        claimed[name][index] *= 1 + error
        return claimed

    result = check(loss=loss, grads=wrong, params=params(), mode="probe", seed=1)
    assert result.status != "pass"
    assert [(entry.parameter, entry.index) for entry in result.worst] == [(name, index)]
    (entry,) = result.worst
    assert entry.error > entry.uncertainty
    assert abs(entry.numeric - grads(params())[name][index]) <= entry.uncertainty


@pytest.mark.parametrize("factor", [1.0, 1.01])
def test_kinks_are_left_to_probes_beside_the_point(factor: float) -> None:
    def bent(x: np.ndarray) -> float:
        return float(np.sum(np.maximum(x, 0) + np.cos(x)))

    def claimed(x: np.ndarray) -> Any:
        return factor * ((x > 0) - np.sin(x))

    result = check(loss=bent, grads=claimed, params=np.array([0.0, 0.4, -0.9]), mode="probe")
    assert result.status == ("pass" if factor == 1.0 else "fail")
    assert "kink" in {finding.name for finding in result.findings}


@pytest.mark.parametrize("most", [3, 6, 12, 20])
def test_evaluations_run_out(most: int) -> None:
    x = np.array([0.3, -0.7, 1.1])
    result = check(
        loss=lambda x: float(np.sum(np.sin(x))),
        grads=np.cos,
        params=x,
        mode="probe",
        max_evaluations=most,
    )
    assert result.status in {"pass", "warn"}


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 1)), min_size=4, max_size=4))
def test_what_is_complete_leaves_nothing_to_chance(known: list[tuple[float, float]]) -> None:
    errors, bars = (np.array(column) for column in zip(*known, strict=True))
    regions = Region.whole(0, (3,)), Region.whole(1, ())
    both = Complete(regions, {}, errors, bars, np.zeros(4))
    assert both.most(0.999999) == pytest.approx(np.linalg.norm(np.abs(errors) + bars))
    assert both.least(0.999999) <= both.typical <= both.most(0.999999)
    assert both.clean == bool(np.all(np.abs(errors) <= bars))
    one, other = (both.of(region) for region in regions)
    assert one.errors.tolist() == errors[:3].tolist() and other.bars.tolist() == bars[3:].tolist()
    assert np.hypot(one.most(0.9), other.most(0.9)) == pytest.approx(both.most(0.9))
    probes = Certificate(regions, {}, errors, bars, np.zeros(4))
    assert probes.of(regions[1]) is probes

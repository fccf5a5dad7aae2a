"""Whatever the parameters look like: a clear error or the right verdict, and nothing changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import (
    MODULE,
    NAMES,
    OBJECTS,
    RUNS,
    SETTINGS,
    Case,
    cases,
    examined,
    outcome,
    parsed,
    slope,
    value,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_gradcheck import check
from pytest_gradcheck.findings.bars import line


@settings(max_examples=150)
@given(
    case=cases(),
    options=SETTINGS,
    factor=st.sampled_from([1.0, 1.0, -1.0, 1.1]),
    as_object=st.booleans(),
)
def test_any_structure(case: Case, options: dict[str, Any], factor: float, as_object: bool) -> None:
    examined(case, options, factor=factor, as_object=as_object)


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
@pytest.mark.parametrize(("factor", "status"), [(1.0, "pass"), (-1.0, "fail")])
def test_an_empty_parameter_beside_others(mode: str, factor: float, status: str) -> None:
    params = {"W": np.arange(1.0, 4.0), "none": np.zeros((0, 3))}
    result = check(loss=value, grads=lambda p: slope(p, factor), params=params, mode=mode, seed=0)
    assert result.status == status


def test_a_line_through_nothing_has_no_known_slope() -> None:
    assert line(np.zeros(2), np.ones(2), np.ones(2), np.ones(2)) == (0.0, np.inf)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(how=RUNS)
def test_whatever_is_configured_runs_or_is_told(how: dict[str, Any], tmp_path: Path) -> None:
    outcome(tmp_path / "run", **how)


@pytest.mark.parametrize("name", NAMES)
def test_values_of_any_type_are_taken_or_refused(name: str) -> None:
    scope: dict[str, Any] = {}
    exec(MODULE.format(marks=""), scope)
    for source in OBJECTS:
        assert parsed({name: eval(source, scope)}) in ("taken", "refused"), source

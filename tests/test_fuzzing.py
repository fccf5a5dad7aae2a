"""Whatever the parameters look like: a clear error or the right verdict, and nothing changed."""

from __future__ import annotations

from typing import Any

from fuzzing import SETTINGS, Case, cases, examined
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=150)
@given(
    case=cases(),
    options=SETTINGS,
    factor=st.sampled_from([1.0, 1.0, -1.0, 1.1]),
    as_object=st.booleans(),
)
def test_any_structure(case: Case, options: dict[str, Any], factor: float, as_object: bool) -> None:
    examined(case, options, factor=factor, as_object=as_object)

"""A result as the plain data that its report needs, and made a `Result` again where that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from ..core.result import Block, Entry, Finding, Result

T = TypeVar("T")
NEEDED = (
    "status",
    "relative_error",
    "uncertainty",
    "blocks",
    "worst",
    "findings",
    "evaluations",
    "seconds",
    "title",
    "settings",
    "point",
    "points",
)


def plain_data(result: Result) -> dict[str, Any]:
    """What a report needs, as built-in types: small, for it travels with every failure."""
    data = {name: value for name, value in result.as_dict().items() if name in NEEDED}
    # of each point a line is shown
    few = [{**point, "blocks": [], "worst": []} for point in data["points"]]
    return {**data, "points": few}


def result_of(record: Mapping[str, Any]) -> Result:
    """What `plain_data` was made of; numbers may come as text, such as ``"NaN"``."""
    nested: dict[str, type] = {"blocks": Block, "worst": Entry, "findings": Finding}
    parts: dict[str, Any] = {
        name: tuple(_made(kind, one) for one in record[name]) for name, kind in nested.items()
    }
    parts["points"] = tuple(result_of(point) for point in record.get("points", ()))
    return _made(Result, {**record, **parts})


def _made(kind: type[T], values: Mapping[str, Any]) -> T:
    read = {"float": float, "tuple[int, ...]": tuple, "tuple[str, ...]": tuple}
    taken = {
        of.name: read.get(str(of.type), lambda value: value)(values[of.name])
        for of in fields(kind)  # type: ignore[arg-type]
        if of.name in values
    }
    return kind(**taken)

"""A result that came as plain data, made a `Result` again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from ..core.result import Block, Entry, Finding, Result

T = TypeVar("T")


def result_of(record: Mapping[str, Any]) -> Result:
    """What ``Result.as_dict()`` was made of; numbers may come as text, such as ``"NaN"``."""
    nested: dict[str, type] = {"blocks": Block, "worst": Entry, "findings": Finding}
    parts: dict[str, Any] = {
        name: tuple(_made(kind, one) for one in record[name]) for name, kind in nested.items()
    }
    return _made(Result, {**record, **parts})


def _made(kind: type[T], values: Mapping[str, Any]) -> T:
    read = {"float": float, "tuple[int, ...]": tuple, "tuple[str, ...]": tuple}
    taken = {
        of.name: read.get(str(of.type), lambda value: value)(values[of.name])
        for of in fields(kind)  # type: ignore[arg-type]
    }
    return kind(**taken)

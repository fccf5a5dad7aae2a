"""The record of one check: plain data, from which summary, JUnit, JSON and page are all made.

It is made where the check ran, travels with pytest's own test report, and needs no NumPy to read.
The schema beside this module (`SCHEMA`) says what it holds.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from .portable import portable
from .verdict import CAUSES, headline

if TYPE_CHECKING:
    from ..core.result import Result

VERSION = 1
"""Version of the schema: raised when a reader of the last one would go wrong."""
STATUSES = ("fail", "warn", "pass")
"""Worst first."""
PROPERTIES = ("status", "cause", "relative_error", "uncertainty", "evaluations")
"""Fields that become properties of the test in JUnit files."""
SCHEMA = Path(__file__).with_name("record.schema.json")

Number: TypeAlias = float | str
"""A number, or ``"NaN"``, ``"Infinity"``, ``"-Infinity"``: `number` makes a float of it."""


class BlockRecord(TypedDict):
    """One named parameter."""

    name: str
    shape: list[int]
    status: str
    relative_error: Number
    uncertainty: Number
    analytic_norm: Number
    numeric_norm: Number


class EntryRecord(TypedDict):
    """One of the worst entries."""

    parameter: str
    index: list[int]
    analytic: Number
    numeric: Number
    error: Number
    uncertainty: Number
    relative_error: Number
    share: Number


class FindingRecord(TypedDict):
    """What was noticed."""

    name: str
    where: list[str]
    message: str
    evidence: dict[str, Any]


class ViewRecord(TypedDict):
    """A small picture of one parameter: see `pytest_gradcheck.core.view.View`."""

    parameter: str
    shape: list[int]
    cells: list[str]
    scale: Number
    points: list[list[float]]
    wrong: int


class StudyRecord(TypedDict):
    """One entry at every step: see `pytest_gradcheck.core.study.Study`."""

    parameter: str
    index: list[int]
    analytic: Number
    numeric: Number
    uncertainty: Number
    steps: list[float]
    central: list[Number]
    forward: list[Number]
    noise: Number
    truncation: Number
    step: float


class PointRecord(TypedDict):
    """One of several points at which a check was made."""

    point: str
    status: str
    relative_error: Number
    uncertainty: Number
    evaluations: int


class Record(TypedDict):
    """One check of the run; see docs/records.md."""

    test: str
    number: int
    title: str
    status: str
    cause: str | None
    headline: str
    relative_error: Number
    uncertainty: Number
    size: int
    evaluations: int
    seconds: float
    blocks: list[BlockRecord]
    worst: list[EntryRecord]
    findings: list[FindingRecord]
    views: list[ViewRecord]
    study: StudyRecord | None
    settings: dict[str, Any]
    point: str
    points: list[PointRecord]
    seed: int
    command: str


POINT = tuple(PointRecord.__annotations__)


def record_of(
    result: Result, *, test: str = "", number: int = 0, command: str = "", views: bool = True
) -> Record:
    """The record of one check.

    Parameters
    ----------
    result : Result
    test : str
        Node id of the test.
    number : int
        Which check of that test it is, from 0.
    command : str
        A command line that runs the check again.
    views : bool
        Whether views are kept.
    """
    named = [finding.name for finding in result.findings]
    record: Record = portable(
        {
            "test": test,
            "number": number,
            "cause": next((cause for cause in CAUSES if cause in named), None),
            "headline": "" if result.status == "pass" else headline(result),
            "size": result.size,
            "seed": result.settings.get("seed") or 0,
            "command": command,
            **result.as_dict(),
            "points": [{name: getattr(p, name) for name in POINT} for p in result.points],
        }
    )
    if not views:
        record["views"] = []
    return record


def properties(record: Record) -> list[tuple[str, object]]:
    """What JUnit files show of a check."""
    which = f"[{record['number']}]" if record["number"] else ""
    plain = {name: record[name] for name in PROPERTIES}  # type: ignore[literal-required]
    return [(f"gradcheck{which}.{name}", v) for name, v in plain.items() if v is not None]


def number(value: Number) -> float:
    """The float that a record writes as `value`."""
    return float(value)


def worst_first(record: Record) -> tuple[Any, ...]:
    """Sort key of records: by status, then by relative error, NaN first."""
    error = number(record["relative_error"])
    return STATUSES.index(record["status"]), error == error, -error, in_order(record)


def in_order(record: Record) -> tuple[Any, ...]:
    """Sort key of records: by test, numbers in a name as numbers, then by check."""
    parts: list[Any] = re.split(r"(\d+)", record["test"])
    parts[1::2] = [(len(digits.lstrip("0")), digits.lstrip("0")) for digits in parts[1::2]]
    return tuple(parts), record["test"], record["number"]

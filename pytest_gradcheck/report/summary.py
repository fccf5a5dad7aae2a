"""``--gradcheck-summary``: one line for every check of the run, worst first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..core.result import STATUSES
from .cells import Line, Span, columns, faint, harmless, line, shortened_alike, table
from .verdict import CAUSES, NO_CAUSES, measured

WORST_FIRST = STATUSES[::-1]
LEAST_NAME = 20
"""Columns that are left to the name of a test on however narrow a terminal."""


def summary_lines(
    records: Iterable[Mapping[str, Any]], *, rows: int | None = None, width: int | None = None
) -> list[Line]:
    """A line a check, worst first, then the totals.

    Parameters
    ----------
    records : iterable of mapping
        As they came with the test reports, in any order.
    rows : int or None
        How many lines at most; how many more there are is said.
    width : int or None
        Columns to fit into, by shorter names of tests.
    """
    named = sorted(_named(records), key=lambda pair: _badness(*pair))
    shown, left = named[:rows], [record for _, record in named[len(named[:rows]) :]]
    lines: list[Line] = []
    if shown:
        cells = [_cells(record) for _, record in shown]
        names = [harmless(name) for name, _ in shown]
        if width is not None:
            beside = max(columns(_found(record)) for _, record in shown)
            taken = sum(columns(span.text) + 2 for span in table([HEAD, *cells])[0][1::2])
            names = shortened_alike(
                names, max(width - taken - beside - 2 * (beside > 0), LEAST_NAME)
            )
        ends = [(name, _found(record)) for name, (_, record) in zip(names, shown, strict=True)]
        body = [[*row, *end] for row, end in zip(cells, ends, strict=True)]
        lines = table([[*HEAD, "check", ""], *body], left=(0, 5, 6))
        lines[0] = faint(lines[0])
    if left:
        lines.append(line(Span(f"({len(left)} more: {_counted(left)})", "faint")))
    records = [record for _, record in named]
    work = sum(record["evaluations"] for record in records)
    seconds = sum(record["seconds"] for record in records)
    checks = f"{len(records)} check{'s' * (len(records) != 1)}"
    return [*lines, line(f"{checks}: {_counted(records)}; {work:,} evaluations, {seconds:.3g} s")]


HEAD = ("status", "relative error", "size", "evals", "time")


def _cells(record: Mapping[str, Any]) -> list[str | Span]:
    status = record["status"]
    error = measured(float(record["relative_error"]), float(record["uncertainty"]))
    size = sum(math.prod(block["shape"]) for block in record["blocks"])
    return [
        Span("FAIL" if status == "fail" else status, status),
        error,
        _brief(size),
        _brief(record["evaluations"]),
        f"{record['seconds']:.1f}s",
    ]


def _brief(count: int) -> str:
    """At most five characters: ``9999``, ``12.3k``, ``987k``, ``1.2M``."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= max(unit, 1e4):
            return f"{count / unit:.3g}{letter}"
    return str(count)


def _named(records: Iterable[Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """Each record with the name of its test; further checks of a test are numbered."""
    seen: Counter[str] = Counter()
    named = []
    for record in records:
        seen[record["test"]] += 1
        number = seen[record["test"]]
        named.append((record["test"] + (f" ({number})" if number > 1 else ""), record))
    return named


def _badness(name: str, record: Mapping[str, Any]) -> tuple[int, float, str]:
    error = float(record["relative_error"])
    return WORST_FIRST.index(record["status"]), -math.inf if math.isnan(error) else -error, name


def _found(record: Mapping[str, Any]) -> str:
    """Causes first, then what else was found: the first, and how many more."""
    rank = {name: place for place, name in enumerate(CAUSES)}
    names = list(dict.fromkeys(finding["name"] for finding in record["findings"]))
    names.sort(key=lambda name: (name in NO_CAUSES, rank.get(name, len(CAUSES))))
    return harmless(names[0]) + (f" +{len(names) - 1}" if names[1:] else "") if names else ""


def _counted(records: Sequence[Mapping[str, Any]]) -> str:
    counts = [(sum(r["status"] == status for r in records), status) for status in WORST_FIRST]
    return ", ".join(f"{count} {status}" for count, status in counts if count)

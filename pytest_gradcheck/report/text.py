"""The report of one check as lines: pure functions of its result, for every terminal and none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..core.result import Finding, Result
from .cells import Line, Span, line, paragraph, plain, table
from .entries import entry_table
from .parameters import parameter_table
from .verdict import CAUSES, advice, causes, cost, doubts, headline, measured, opening, short, wrong

__all__ = ["CAUSES", "View", "failure", "headline", "report", "warning"]

WIDTH = 80
"""Columns of a report that is printed, whatever it is printed on."""
WARNING_WIDTH = 78
"""Columns of a warning: pytest indents it by two."""
SHORT = 3
"""Rows of the table in a warning."""


@dataclass(frozen=True)
class View:
    """How much is shown, and how wide.

    Attributes
    ----------
    width : int or None
        Columns to fit into; None breaks no line and shortens no name.
    verbosity : int
        From 1 all parameters, the evidence and the seed; from 2 norms and shares, too, and names in
        full whatever the width.
    again : str
        A command or call that runs the same check again.
    """

    width: int | None = None
    verbosity: int = 1
    again: str = ""


def failure(result: Result, again: str = "") -> list[str]:
    """The message of the exception: complete, and plain."""
    return plain(report(result, View(again=again)))


def report(result: Result, view: View) -> list[Line]:
    """Verdict, causes, parameters, worst entries, and how to see it again."""
    width = view.width if view.verbosity < 2 else None
    sections = [
        opening(result, view.width) + cost(result, view.width),
        told(result, view),
        point_table(result.points),
        parameter_table(result, width=width, complete=view.verbosity > 0, norms=view.verbosity > 1),
        entry_table(result, width=width, shares=view.verbosity > 1),
        again(result, view),
    ]
    lines: list[Line] = []
    for section in sections:
        lines += [line(), *section] if lines and section else section
    return lines


def told(result: Result, view: View, besides: Sequence[Finding] = ()) -> list[Line]:
    """What is said of the gradient, then of the check, each with its label; but for `besides`."""
    said = causes(result)
    why = doubts(result)
    lines: list[Line] = []
    for label, findings in (
        ("cause", said),
        ("why", why),
        ("note", [f for f in result.findings if f not in said and f not in why]),
    ):
        for finding in (one for one in findings if one not in besides):
            lines += _finding(label, finding, view)
        if label == "cause" and not said and not _is_not_finite(why):
            lines += _labelled("cause", advice(result), view.width) if advice(result) else []
    return lines


def _is_not_finite(findings: Sequence[Finding]) -> bool:
    return any(finding.name == "not-finite" for finding in findings)


def _finding(label: str, finding: Finding, view: View) -> list[Line]:
    lines = _labelled(label, f"{finding.name}: {finding.message}", view.width)
    if view.verbosity > 0 and finding.evidence:
        evidence = ", ".join(f"{name}={_value(v)}" for name, v in finding.evidence.items())
        lines += [line(Span(row, "faint")) for row in paragraph(evidence, view.width)]
    return lines


def _value(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _labelled(label: str, text: str, width: int | None) -> list[Line]:
    rows = paragraph(text, width, label=label)
    return [line(Span(rows[0][:7], "strong"), rows[0][7:]), *(line(row) for row in rows[1:])]


def again(result: Result, view: View) -> list[Line]:
    """How to run the same check again; never broken, for it is there to be copied."""
    lines = [line(Span("again  ", "strong"), view.again)] if view.again else []
    if result.by_probes or view.verbosity > 0:
        seed = f"seed={result.settings.get('seed')} takes the same random directions"
        lines += _labelled("" if lines else "again", seed, view.width)
    return lines


def warning(result: Result) -> list[str]:
    """The same in short, for pytest's list of warnings."""
    view = View(width=WARNING_WIDTH, verbosity=0)
    lines = [line(row) for row in paragraph(short(result), view.width, indent=0)]
    if wrong(result):
        rows = entry_table(result, width=view.width, count=SHORT)
        return plain([*lines, *told(result, view), *point_table(result.points), *rows])
    said = [*causes(result), *doubts(result)][:1]  # by the first line
    told_of = told(result, view, besides=said)
    return plain([*lines, *told_of, *point_table(result.points)])


def point_table(points: Sequence[Result]) -> list[Line]:
    """One line for each point at which a check was made."""
    rows: list[list[str | Span]] = [["point", "status", "relative error ±", "findings"]]
    rows += [
        [
            point.point,
            point.status,
            measured(point.relative_error, point.uncertainty),
            ", ".join(dict.fromkeys(finding.name for finding in point.findings)) or "-",
        ]
        for point in points
    ]
    return table(rows, left=(0, 1, 3)) if points else []

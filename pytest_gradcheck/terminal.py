"""A failed check on pytest's terminal: as wide as it is, in colour, as much as ``-v`` asks for.

The report that travels (from workers, to files) holds the exception's own text, complete and plain.
Here, where the terminal is, the lines of that text give way to the same report made for it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import pytest

from .encoding import encoding_of
from .report.cells import Line, Span, line, paragraph, spelt, trimmed, written_in
from .report.record import Record
from .report.summary import summary_lines
from .report.text import View, report
from .report.travelled import result_of

MARKUP: dict[str, dict[str, bool]] = {
    "": {},
    "fail": {"red": True, "bold": True},
    "warn": {"yellow": True},
    "pass": {"green": True},
    "strong": {"bold": True},
    "faint": {"light": True},
}
MARK = "E   "
"""What pytest puts before the lines of an exception."""
WIDEST = 110
"""Columns beyond which lines are not easier to read."""


def paint(test: pytest.TestReport, config: pytest.Config) -> None:
    """Have the failure of a check written for the terminal, if there is one."""
    failure = getattr(test, "gradcheck_failure", None)
    entries = getattr(getattr(test.longrepr, "reprtraceback", None), "reprentries", None)
    if failure is None or not entries or config.pluginmanager.getplugin("terminalreporter") is None:
        return
    entry = entries[-1]
    if getattr(entry, "style", None) in ("long", "short"):
        entry.toterminal = partial(_write, entry, entry.toterminal, failure, config)
    elif getattr(entry, "style", None) == "native":
        entry.toterminal = partial(_write_native, entry, entry.toterminal, config)


def _write(
    entry: Any, original: Any, failure: dict[str, Any], config: pytest.Config, tw: Any
) -> None:
    """Write an entry of a traceback, its message as made for this terminal.

    For all other writers (a text in a file or a page) it stays as it is.
    """
    if tw is not config.get_terminal_writer():
        original(tw)
        return
    with written_in(encoding_of(config)):
        lines = _lines(failure, min(tw.fullwidth, WIDEST) - len(MARK), config.get_verbosity())
    said = next((i for i, row in enumerate(entry.lines) if row.startswith(MARK)), None)
    place, is_long = entry.reprfileloc, entry.style == "long"
    dataclasses.replace(
        entry,
        lines=entry.lines[:said],
        reprlocals=None,
        reprfileloc=None if is_long else place,
    ).toterminal(tw)
    write_lines(tw, lines, mark=MARK)
    if entry.reprlocals:
        tw.line("")
        entry.reprlocals.toterminal(tw)
    if is_long and place:
        tw.line("")
        place.toterminal(tw)


def _write_native(entry: Any, original: Any, config: pytest.Config, tw: Any) -> None:
    """Write a traceback of Python's own in characters that this terminal has."""
    if tw is not config.get_terminal_writer():
        original(tw)
        return
    encoding = encoding_of(config)
    type(entry)([spelt(row, encoding) for row in entry.lines]).toterminal(tw)


def _lines(failure: dict[str, Any], width: int, verbosity: int) -> list[Line]:
    if "refused" in failure:
        first, *rest = failure["refused"].splitlines() or [""]
        rows = paragraph(first, width, label="ERROR")
        rows += [row for part in rest for row in paragraph(part, width)]
        return [line(Span(rows[0][:7], "fail"), rows[0][7:]), *map(line, rows[1:])]
    view = View(width=width, verbosity=verbosity, again=failure["command"])
    return report(result_of(failure["result"]), view)


def write_lines(tw: Any, lines: Iterable[Line], *, mark: str = "") -> None:
    """Write lines in the colours, and the characters, that a writer has."""
    encoding = getattr(tw._file, "encoding", None)
    for spans in lines:
        text = "".join(
            tw.markup(spelt(span.text, encoding), **MARKUP[span.style])
            for span in trimmed(spans)
            if span.text
        )
        tw.line((tw.markup(mark, red=True, bold=True) if mark else "") + text)


def write_summary(
    reporter: pytest.TerminalReporter, records: Sequence[Record], rows: int | None
) -> None:
    """Write the records of the run, of this process or of its workers."""
    if not records:
        return
    tw = reporter.config.get_terminal_writer()
    whole = reporter.config.get_verbosity() > 1 or any(map(os.environ.get, ("CI", "BUILD_NUMBER")))
    reporter.section("gradient checks")
    with written_in(encoding_of(reporter.config)):
        lines = summary_lines(records, rows=rows, width=None if whole else tw.fullwidth)
    write_lines(tw, lines)

"""How far a long check is: one line on the terminal under the cursor, gone when the check is over.

Pytest leaves the cursor behind the dots or the name of the running test.  The line is written below
it and the cursor put back, so whatever is written next goes where it would have gone, and erasing
everything after the cursor leaves no trace.
"""

from __future__ import annotations

import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest

from .core.loss import watched
from .options import PROGRESS

AFTER = 2.0
"""Seconds after which a check is long."""
EVERY = 0.2
"""Seconds between two updates."""
ERASE = "\x1b[J"
"""Everything after the cursor."""
ROOM = "\x1bD\x1b[A"
"""One line down, which scrolls at the lowest one, and up again: the column stays."""
SAVE, BELOW, BACK = "\x1b7", "\x1b[B\r", "\x1b8"


@contextmanager
def shown(item: pytest.Item) -> Iterator[None]:
    """Show how far the check inside is, if it takes long and somebody may be looking."""
    writer = _writer(item.config)
    if writer is None:
        yield
        return
    line = Line(writer, item.name, _uncaptured(item.config))
    try:
        with watched(line.update):
            yield
    finally:
        line.erase()


def _writer(config: pytest.Config) -> Any:
    """Where to write; None where a line that is rewritten would be garbage, or nobody's."""
    terminal: Any = config.pluginmanager.getplugin("terminalreporter")
    if terminal is None or hasattr(config, "workerinput") or config.stash[PROGRESS] == "off":
        return None
    plain = os.environ.get("TERM") == "dumb"
    plain |= sys.platform == "win32" and "WT_SESSION" not in os.environ
    return config.get_terminal_writer() if terminal.isatty and not plain else None


def _uncaptured(config: pytest.Config) -> Callable[[], AbstractContextManager[None]]:
    """A context in which what is written reaches the terminal."""
    manager = config.pluginmanager.getplugin("capturemanager")
    return nullcontext if manager is None else manager.global_and_fixture_disabled


class Line:
    """The line of one check.

    Parameters
    ----------
    writer : _pytest._io.TerminalWriter
    test : str
        Name of the test.
    uncaptured : callable
        ``with uncaptured():`` lets through what is written.
    """

    def __init__(
        self,
        writer: Any,
        test: str,
        uncaptured: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.writer, self.test, self.uncaptured = writer, test, uncaptured
        self.visible = False
        self._next = time.monotonic() + AFTER
        self._first: tuple[float, int] | None = None

    def update(self, done: int, expected: int | None, where: str) -> None:
        """Show this state, unless the last one has just been shown (as in `loss.Watch`)."""
        now = time.monotonic()
        if self._first is None:
            self._first = now, done
        if now < self._next:
            return
        self._next = now + EVERY
        began, before = self._first
        pace = (now - began) / max(done - before, 1)
        text = f"gradcheck {self.test}: {describe(done, expected, where, pace)}"
        text = fitting(text, self.writer.fullwidth - 1)
        self._write(f"{ERASE}{ROOM}{SAVE}{BELOW}{text}{BACK}")
        self.visible = True

    def erase(self) -> None:
        """Leave the screen as it would have been."""
        if self.visible:
            self._write(ERASE)
            self.visible = False

    def _write(self, text: str) -> None:
        file = self.writer._file  # past the writer, which would count it as part of its own line
        encoding = getattr(file, "encoding", None) or "ascii"
        with self.uncaptured():
            file.write(text.encode(encoding, "replace").decode(encoding))
            file.flush()


def describe(done: int, expected: int | None, where: str, pace: float) -> str:
    """``W1, 1,200 of 20,000 evaluations, 1:34 left``: as much of it as is known.

    Parameters
    ----------
    done, expected, where
        As in `loss.Watch`.
    pace : float
        Seconds that one evaluation takes.
    """
    place = f"{where}, " if where else ""
    if expected is None or done > expected:
        return f"{place}{done:,} evaluations"
    left = round((expected - done) * pace)
    minutes, seconds = divmod(left, 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return f"{place}{done:,} of {expected:,} evaluations, {clock} left"


def fitting(text: str, width: int) -> str:
    """As much of `text` as fits into so many columns, with nothing that moves the cursor."""
    shown, used = "", 0
    for letter in text:
        used += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if used > width:
            break
        shown += letter if letter.isprintable() else "?"
    return shown

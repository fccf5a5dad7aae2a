"""An interrupt at any line: what a signal can do, made repeatable."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest_gradcheck

OURS = str(Path(pytest_gradcheck.__file__).parent)


class _Counter:
    """A trace function that counts lines of this package, and raises at one of them."""

    def __init__(self, at: int) -> None:
        self.at, self.lines = at, 0
        self.last: dict[tuple[str, int], int] = {}

    def __call__(self, frame: Any, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        if event == "line":
            self.lines += 1
            self.last[frame.f_code.co_filename, frame.f_lineno] = self.lines
            if self.lines == self.at:
                sys.settrace(None)
                raise KeyboardInterrupt("now")
        return self


def lines(run: Callable[[], object]) -> list[int]:
    """Numbers by which `interrupted` knows the lines that ``run()`` runs: each line, once."""
    return sorted(_traced(run, _Counter(0)).last.values())


def interrupted(run: Callable[[], object], at: int) -> None:
    """Call ``run()`` with a KeyboardInterrupt at line number `at`."""
    with contextlib.suppress(KeyboardInterrupt):
        _traced(run, _Counter(at))


def _traced(run: Callable[[], object], counter: _Counter) -> _Counter:
    before = sys.gettrace()
    sys.settrace(counter)
    try:
        run()
    finally:
        sys.settrace(before)
    return counter

"""The line that tells how far a long check is: there on a terminal, then gone without trace."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_gradcheck import Parameter, progress
from pytest_gradcheck.core.exhaustive import losses_at
from pytest_gradcheck.core.loss import Loss, watched
from pytest_gradcheck.progress import Line, describe, fitting

ROWS, COLUMNS = 24, 100


class Screen:
    """A small terminal: what is on it after all that was written, and what was ever on a line."""

    WORD = re.compile(
        r"\x1b\[(\d*)([A-Za-z])|\x1b\[[?\d;]*[a-z]|\x1b([78D])|([\r\n\b\t])|([^\x1b])"
    )

    def __init__(self) -> None:
        self.lines = [[" "] * COLUMNS for _ in range(ROWS)]
        self.row = self.column = 0
        self.saved = (0, 0)
        self.seen: list[str] = []

    def feed(self, text: str) -> Screen:
        for number, letter, plain, control, shown in self.WORD.findall(text):
            if letter:
                self._control(int(number or 0), letter)
            elif plain:
                self._plain(plain)
            elif control:
                self._plain({"\r": "R", "\n": "D"}.get(control, ""))
            elif shown:
                if self.column == COLUMNS:
                    self._plain("R")
                    self._plain("D")
                self.lines[self.row][self.column] = shown
                self.column += 1
        return self

    def _control(self, number: int, letter: str) -> None:
        if letter == "A":
            self.row = max(0, self.row - (number or 1))
        elif letter == "B":
            self.row = min(ROWS - 1, self.row + (number or 1))
        elif letter in "JK":
            assert number == 0
            self.lines[self.row][self.column :] = [" "] * (COLUMNS - self.column)
            if letter == "J":
                for row in range(self.row + 1, ROWS):
                    self.lines[row] = [" "] * COLUMNS
        else:
            assert letter == "m", f"unknown: {letter}"

    def _plain(self, letter: str) -> None:
        if letter == "R":
            self.column = 0
        elif letter == "D":
            self.row += 1
            if self.row == ROWS:
                self.lines = [*self.lines[1:], [" "] * COLUMNS]
                self.row -= 1
        elif letter == "7":
            self.saved = (self.row, self.column)
        elif letter == "8":
            self.seen.append("".join(self.lines[self.row]).rstrip())  # a line is complete
            self.row, self.column = self.saved

    def text(self) -> list[str]:
        return ["".join(line).rstrip() for line in self.lines]


TEST = """
    import numpy as np
    import pytest
    import time
    from models import Holder, Mlp

    class Slow(Mlp):
        def loss(self):
            time.sleep(0.004)
            return super().loss()

    def test_before():
        pass

    {rest}
    def test_slow(gradcheck):
        print("said in the test")
        gradcheck(Slow())

    def test_after():
        pass
"""
AT_ONCE = """
    import pytest_gradcheck.progress
    pytest_gradcheck.progress.AFTER = 0.0
    pytest_gradcheck.progress.EVERY = 0.01
"""


@pytest.fixture
def on_terminal(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``on_terminal(source, *options)``: what pytest writes to a pseudo-terminal."""
    pytest.importorskip("pty")
    import fcntl
    import pty
    import termios

    for name in ("COLUMNS", "LINES", "PYTEST_ADDOPTS", "CI", "BUILD_NUMBER", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": path}

    def run(source: str, *options: str) -> str:
        pytester.makepyfile(test_inner=source)
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        plain = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
        words = [sys.executable, "-m", "pytest", *plain, *options]
        with subprocess.Popen(
            words, stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=pytester.path
        ) as running:
            os.close(slave)
            written = b""
            while True:
                try:
                    piece = os.read(master, 65536)
                except OSError:  # closed at the other end
                    piece = b""
                if not piece:
                    break
                written += piece
        os.close(master)
        assert running.returncode == 0, written.decode()
        return written.decode()

    return run


def source(rest: str = "") -> str:
    return TEST.replace("{rest}", rest)


def lines_shown(written: str) -> list[str]:
    return [line for line in Screen().feed(written).seen if line.startswith("gradcheck ")]


def settled(written: str) -> list[str]:
    """The final screen, without times."""
    return [
        re.sub(r"\d+\.\d+s", "TIME", line).strip("= ") for line in Screen().feed(written).text()
    ]


@pytest.mark.parametrize(
    "options", [[], ["-v"], ["-q"], ["-s"], ["--capture=sys"], ["-p", "no:capture"]], ids=str
)
def test_line_appears_and_is_gone(
    on_terminal: Any, pytester: pytest.Pytester, options: list[str]
) -> None:
    pytester.makeconftest(AT_ONCE)
    with_line = on_terminal(source(), *options)
    shown = lines_shown(with_line)
    assert len(shown) > 3
    pattern = r"gradcheck test_slow: (W1|b1|W2|b2|entries .*)?,? ?[\d,]+( of 62)? evaluations.*"
    assert all(re.fullmatch(pattern, line) for line in shown), shown
    assert any(re.search(r": W1, \d+ of 62 evaluations, 0:0\d left$", line) for line in shown)
    without = on_terminal(source(), *options, "--gradcheck-progress=off")
    assert "\x1b[J" not in without
    assert settled(with_line) == settled(without)


def test_at_the_bottom_of_the_screen(on_terminal: Any, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(AT_ONCE)
    many = '@pytest.mark.parametrize("i", range(40))\n    def test_many(i): pass\n\n'
    with_line = on_terminal(source(many), "-v")
    assert lines_shown(with_line)
    assert settled(with_line) == settled(
        on_terminal(source(many), "-v", "--gradcheck-progress=off")
    )


def test_short_check_shows_nothing(on_terminal: Any) -> None:
    assert "\x1b[J" not in on_terminal(source())


@pytest.mark.parametrize("options", [["--gradcheck-progress=off"], ["-n1"], ["-p", "no:terminal"]])
def test_nothing_is_shown(on_terminal: Any, pytester: pytest.Pytester, options: list[str]) -> None:
    pytester.makeconftest(AT_ONCE)
    written = on_terminal(source(), *options)
    assert "evaluations" not in written
    assert "\x1b[J" not in written


def test_ini_file(on_terminal: Any, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(AT_ONCE)
    pytester.makeini("[pytest]\ngradcheck_progress = off")
    assert "evaluations" not in on_terminal(source())
    assert "evaluations" in on_terminal(source(), "--gradcheck-progress=auto")


def test_nothing_is_shown_without_a_terminal(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "AFTER", 0.0)
    result = run(source())
    result.assert_outcomes(passed=3)
    result.stdout.no_fnmatch_line("*evaluations*")


@pytest.mark.parametrize(
    ("flag", "ini"), [("--gradcheck-progress=loud", ""), ("", "gradcheck_progress = loud")]
)
def test_other_values(run: Any, pytester: pytest.Pytester, flag: str, ini: str) -> None:
    pytester.makeini(f"[pytest]\n{ini}")
    result = run(source(), *([flag] if flag else []))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*progress*loud*"])


def test_line_is_gone_after_an_exception(on_terminal: Any, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(AT_ONCE)
    failing = """
    class Fails(Mlp):
        calls = 0
        def loss(self):
            time.sleep(0.004)
            if len(CALLS) > 30:
                raise RuntimeError("no")
            CALLS.append(1)
            return super().loss()

    CALLS = []

    def test_failing(gradcheck):
        with pytest.raises(RuntimeError):
            gradcheck(Fails())

"""
    with_line = on_terminal(source(failing), "-k", "failing")
    assert lines_shown(with_line)
    without = on_terminal(source(failing), "-k", "failing", "--gradcheck-progress=off")
    assert settled(with_line) == settled(without)


class Writer:
    """Keeps what is written."""

    encoding = "latin-1"
    fullwidth = 80

    def __init__(self) -> None:
        self.written: list[str] = []
        self._file = self

    def write(self, text: str) -> None:
        self.written.append(text)

    def flush(self) -> None:
        pass


def test_line_comes_after_two_seconds_and_every_fifth_of_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    writer = Writer()
    line = Line(writer, "test_net")
    for _ in range(200):
        line.update(1, 20, "W")
        now += 0.00999
    assert writer.written == []
    for _ in range(100):
        line.update(1, 20, "W")
        now += 0.01
    assert len(writer.written) == 5
    line.erase()
    line.erase()
    assert writer.written[5:] == ["\x1b[J"]


def test_letters_that_the_terminal_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "AFTER", 0.0)
    writer = Writer()
    Line(writer, "test_é").update(1, 2, "θ")
    assert "test_é: ?, 1 of 2" in writer.written[0]


def test_nothing_is_erased_where_nothing_was_shown() -> None:
    writer = Writer()
    Line(writer, "test_net").erase()
    assert writer.written == []


@pytest.mark.parametrize(
    ("done", "expected", "where", "text"),
    [
        (1200, 20000, "W1", "W1, 1,200 of 20,000 evaluations, 3:08 left"),
        (1, 10**6, "W1", "W1, 1 of 1,000,000 evaluations, 2:46:40 left"),
        (20, 20, "", "20 of 20 evaluations, 0:00 left"),
        (21, 20, "b", "b, 21 evaluations"),
        (7, None, "b", "b, 7 evaluations"),
    ],
)
def test_as_much_as_is_known(done: int, expected: int | None, where: str, text: str) -> None:
    assert describe(done, expected, where, 0.01) == text


def test_line_fits_and_moves_no_cursor() -> None:
    assert fitting("abcdef", 4) == "abcd"
    assert fitting("権利W", 4) == "権利"
    assert fitting("a\nb\x1b[J", 9) == "a?b?[J"


class TestLoss:
    """Who watches is told, and nobody else pays for it."""

    def test_calls_and_passes_are_told(self) -> None:
        told: list[tuple[int, int | None, str]] = []
        x = np.zeros(300)
        with watched(lambda *state: told.append(state)):
            loss = Loss(lambda: 0.0)
            loss()
            loss.progress("all of them", expected=700)
        losses_at(Parameter("x", x), loss, x.copy(), x + 1)
        assert told[:2] == [(1, None, ""), (1, 700, "all of them")]
        assert told[-1] == (301, 700, "x")
        assert len(told) < 20  # groups grow while they are quick

    def test_slow_evaluations_are_told_one_by_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from pytest_gradcheck.core import exhaustive

        monkeypatch.setattr(exhaustive, "GLANCE", 0.0)
        told: list[int] = []
        x = np.zeros(5)
        with watched(lambda done, *_: told.append(done)):
            loss = Loss(lambda: 0.0)
        losses_at(Parameter("x", x), loss, x.copy(), x + 1)
        assert told == [1, 2, 3, 4, 5]

    def test_nobody_watches_outside(self) -> None:
        with watched(lambda *_: None):
            pass
        assert Loss(lambda: 0.0).watch is None

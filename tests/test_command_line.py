"""``python -m pytest_gradcheck module:object``: what it finds, prints, and exits with."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pytest_gradcheck import Settings
from pytest_gradcheck.command_line import main

MODULE = """
import functools
import numpy as np
from models import Mlp, X, Y

right, wrong, weak = Mlp(), Mlp(b1=1.1), Mlp(b1=1 + 1e-5)
three = 3.0


class inner:
    net = Mlp()


def factory():
    return Mlp(W1=-1)


def with_data():
    return Mlp(), X, Y


def f(x):
    return np.sum(x**2)


def functions():
    return {"loss": f, "grads": lambda x: 2 * x, "params": np.ones(3)}


def beside():
    return {"subject": Mlp(b1=1.1), "args": (X, Y), "tol": 0.5}


def needy(a, b):
    return a


partly = functools.partial(needy, 1)


class Needy:
    def __init__(self, a):
        pass


def broken():
    return 1 / 0
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module of the user's, in the current folder."""
    (tmp_path / "nets.py").write_text(MODULE)
    (tmp_path / "faulty.py").write_text("import there_is_no_such_module")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield
    sys.modules.pop("nets", None)


def run(*words: str) -> int:
    """The exit status, argparse's own among them."""
    try:
        return main(words)
    except SystemExit as end:
        return int(end.code or 0)


def name_of(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else ""


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["nets:right"], 0),
        (["nets:wrong"], 1),
        (["nets:weak"], 0),
        (["nets:weak", "--strict"], 1),
        (["nets:right", "--strict"], 0),
        (["nets:inner.net"], 0),
        (["nets:Mlp"], 0),
        (["nets:factory"], 1),
        (["nets:with_data"], 0),
        (["nets:functions"], 0),
        (["nets:beside"], 0),
        (["nets:beside", "--tol=1e-7"], 1),
        (["nets:wrong", "--args", "nets:X", "nets:Y"], 1),
        (["nets:wrong", "--tol=0.5"], 0),
    ],
    ids=name_of,
)
def test_exit_status_is_the_verdict(words: list[str], status: int) -> None:
    assert run(*words) == status


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "required: package.module:object"),
        (["nets"], "'nets' is not of the form package.module:object"),
        (["nets:"], "is not of the form"),
        (["nets.py:right"], "a module is imported, as nets:right"),
        (["./some/nets.py:right"], "as some.nets:right"),
        (["no_such_module:net"], "there is no module 'no_such_module'"),
        (["nets.sub:net"], "there is no module 'nets.sub'"),
        (["nets:nope"], "nets has no 'nope'; it has Mlp"),
        (["faulty:net"], "No module named 'there_is_no_such_module'"),
        (["nets:three"], "got a float, which is nothing"),
        (["nets:needy"], "needy(a, b) needs arguments: name them after --args"),
        (["nets:partly"], "partial(b) needs arguments: name them after --args"),
        (["builtins:max"], "max(...) needs arguments: name them after --args"),
        (["builtins:int"], "got a int, which is nothing"),
        (["nets:Needy"], "Needy needs arguments to make an object"),
        (["nets:f", "--args", "nets:X"], "got the function f"),
        (["nets:right", "--args", "nets:nope"], "nets has no 'nope'"),
        (["nets:broken"], "ZeroDivisionError"),
        (["nets:right", "--tol=3"], "tol=3.0: must be in (0, 1]"),
        (["nets:right", "--scheme=sideways"], "invalid choice: 'sideways'"),
        (["nets:right", "--tolerance=1"], "unrecognized arguments: --tolerance=1"),
    ],
    ids=name_of,
)
def test_what_cannot_be_checked_is_said(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 2
    out, err = capsys.readouterr()
    assert said in " ".join(err.split()) and not out


def test_errors_of_the_users_own_code_are_shown_without_our_frames(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run("nets:broken")
    err = capsys.readouterr().err
    assert "return 1 / 0" in err and "command_line" not in err


def test_report_is_the_one_of_pytest(capsys: pytest.CaptureFixture[str]) -> None:
    run("nets:wrong")
    out = capsys.readouterr().out
    assert out.startswith("FAIL   Mlp: relative error ")
    for part in ("cause  factor", "\nparameter  shape  status", "\nentry ", "within their error"):
        assert part in out
    assert "\x1b" not in out


def test_pass_is_told_in_short(capsys: pytest.CaptureFixture[str]) -> None:
    run("nets:right")
    out = capsys.readouterr().out
    assert out.startswith("PASS   Mlp: ") and "cause" not in out and "entry" not in out


def test_width_and_verbosity(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "64")
    run("nets:wrong")
    narrow = capsys.readouterr().out
    assert max(map(len, narrow.splitlines())) <= 64
    run("nets:wrong", "-v")
    assert "factor=" in capsys.readouterr().out and "factor=" not in narrow


def test_every_setting_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    shown = capsys.readouterr().out
    for setting in fields(Settings):
        flag = f"--{setting.name.replace('_', '-')}"
        assert (flag in shown) == (setting.name not in ("before_each", "executor"))


class Terminal:
    """Standard output that takes itself for a terminal."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_on_terminals_alone(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], coloured: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "platform", "linux")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    terminal: Any = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    run("nets:wrong")
    assert ("\x1b[31;1mFAIL" in terminal.text) == coloured


def test_a_pipe_that_closes_early_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    tests, ours = Path(__file__).parent, Path(__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (tests, ours))))
    command = [sys.executable, "-m", "pytest_gradcheck", "nets:wrong", "-vv"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


def test_as_a_module() -> None:
    command = [sys.executable, "-m", "pytest_gradcheck", "json:dumps"]
    run = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 2
    assert run.stderr.startswith("python -m pytest_gradcheck: error: dumps(obj, ")

"""What SECURITY.md promises, claim by claim."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from pytest_gradcheck.report import files

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[1]

STEERING = "\x1b]0;owned\x07\x1b[2J\r\x08\x9b31m\u202e</script><script>alert(1)</script>&\"'\udc80"
NASTY = f"""
import numpy as np
import pytest
from models import Holder

STEERING = {STEERING!r}
Named = type(STEERING[:-1], (Holder,), {{}})

@pytest.mark.parametrize("factor", [-1.0, 1 + 4e-4, np.nan], ids=["fail", "warn", "nan"])
def test_verdicts(gradcheck, factor):
    gradcheck(Named({{STEERING: np.ones(3), "b": np.ones(2)}}, factor=factor))

def test_cannot_be_checked(gradcheck):
    gradcheck(Named({{STEERING: np.arange(3)}}))

def test_setting(gradcheck):
    gradcheck(Named({{"W": np.ones(3)}}), allow=[STEERING])
"""
CONFTEST = f"""
from pytest_gradcheck import Finding

def pytest_gradcheck_findings(situation):
    return [Finding("ours", ({STEERING!r},), {STEERING!r}, {{"said": {STEERING!r}}})]
"""


def test_names_and_messages_are_data(run: Any, pytester: pytest.Pytester) -> None:
    """On the terminal, in the page, in the records and in JUnit's file."""
    pytest.importorskip("jinja2")
    pytester.makeconftest(CONFTEST)
    asked = ("--gradcheck-json=r.json", "--gradcheck-html=r.html", "--junitxml=r.xml")
    result = run(NASTY, *asked, "--gradcheck-summary", "-vv", "-ra")
    result.assert_outcomes(passed=1, failed=4, warnings=1)
    shown = result.stdout.str() + result.stderr.str()
    assert "owned" in shown
    assert all(letter.isprintable() or letter == "\n" for letter in shown)

    text = (pytester.path / "r.json").read_text("utf-8")
    assert not {"\x1b", "\x07", "\r", "\x9b"} & set(text)
    assert json.loads(text)["checks"][0]["title"].startswith("\x1b]0;owned")
    assert ElementTree.parse(pytester.path / "r.xml").getroot() is not None
    page = (pytester.path / "r.html").read_text("utf-8")
    assert "owned" in page and "<script>alert" not in page
    assert not {"\x1b", "\x07", "\r", "\x08", "\x9b", "\u202e"} & set(page)


WATCH = """
import json, os, sys
from pathlib import Path

EVENTS = ("open", "os.", "shutil.", "tempfile.", "socket.", "pickle.find_class", "subprocess.Popen")
SEEN = []

def ours():
    frame = sys._getframe(2)
    while frame is not None:
        if "pytest_gradcheck" in Path(frame.f_code.co_filename).parts[:-1]:
            return True
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return False
        frame = frame.f_back
    return False

def watch(event, arguments):
    if not event.startswith(EVENTS) or event in ("os.listdir", "os.scandir", "os.chdir"):
        return
    if event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        return
    if ours():
        SEEN.append([event, str(arguments[0])])

sys.addaudithook(watch)

def pytest_unconfigure():
    Path("seen.txt").write_text(json.dumps(SEEN))
"""
CHECKS = """
import numpy as np
import pytest
from models import Mlp

@pytest.mark.parametrize("factor", [1.0, -1.0])
def test_any(gradcheck, factor):
    gradcheck(Mlp(b1=factor), points=1)
    gradcheck(Mlp(b1=factor), mode="probe", study=True)
"""


def test_nothing_is_touched_but_what_was_asked_for(pytester: pytest.Pytester) -> None:
    """No other file, no connection, no process, nothing unpickled: by Python's audit events."""
    pytest.importorskip("jinja2")
    pytester.makeconftest(WATCH)
    pytester.makepyfile(test_inner=CHECKS)
    asked = ["--gradcheck-json=r.json", "--gradcheck-html=r.html"]
    plain = ["-p", "no:cacheprovider", "-p", "pytest_gradcheck.plugin"]
    alone = {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    alone["PYTHONPATH"] = os.pathsep.join([str(HERE), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plain, *asked],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **alone},
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    seen = json.loads((pytester.path / "seen.txt").read_text())
    made = {"os.mkdir", "tempfile.mkstemp", "open", "os.chmod", "os.rename"}
    assert {event for event, _ in seen} == made
    written = [Path(path).name for event, path in seen if event == "open"]
    assert [name[:7] for name in written if not name.isdecimal()] == [".r.json", ".r.html"]
    left = {path.name for path in pytester.path.iterdir()}
    assert left == {"conftest.py", "test_inner.py", "seen.txt", "r.json", "r.html"}


class TestFiles:
    @pytest.mark.parametrize("step", ["fdopen", "chmod", "replace", "text"])
    def test_a_crash_in_the_middle_leaves_the_old_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        path = tmp_path / "r.json"
        path.write_text("old")

        def crash(*_: Any, **__: Any) -> Any:
            raise KeyboardInterrupt

        if step != "text":
            monkeypatch.setattr(files.os, step, crash)
        with pytest.raises((KeyboardInterrupt, UnicodeEncodeError)):
            files.write(path, "new \udc80" if step == "text" else "new")
        monkeypatch.undo()
        assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"r.json": "old"}

    def test_a_link_stays_a_link(self, tmp_path: Path) -> None:
        target, link = tmp_path / "target", tmp_path / "link"
        target.write_text("old")
        link.symlink_to(target)
        files.write(link, "new")
        assert link.is_symlink() and target.read_text() == "new"

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes by name here")
    def test_what_is_no_file_is_not_replaced_by_one(self, run: Any, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        result = run("def test_nothing(): pass", f"--gradcheck-json={tmp_path / 'pipe'}")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["*gradcheck_json: *pipe is no ordinary file*"])

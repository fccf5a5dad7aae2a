"""Each of the mistakes in docs/first-mistakes.md meets the message shown there.

After a change of a message: ``python tests/test_first_mistakes.py`` writes what is met now.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from pages import PLAIN

PAGE = Path(__file__).parents[1] / "docs" / "first-mistakes.md"
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def mistakes() -> dict[str, tuple[str, str]]:
    """By the name of its test: all code up to it, and the message shown below it."""
    found, code = {}, ""
    for language, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if language == "python":
            code += text + "\n\n"
        else:
            found[re.findall(r"^def (test_\w+)", code, re.MULTILINE)[-1]] = code, text
    return found


def met(folder: Path, name: str, code: str) -> str:
    """What pytest shows of the test of this name, on a terminal of 80 columns."""
    (folder / "test_first.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", f"test_first.py::{name}"]
    environment = {**os.environ, "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"}
    environment["PYTEST_ADDOPTS"] = PLAIN
    run = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert run.returncode == 1, run.stdout
    return "".join(line + "\n" for line in run.stdout.splitlines() if line.startswith("E  "))


@pytest.mark.parametrize("name", mistakes())
def test_message_met_is_the_message_shown(name: str, tmp_path: Path) -> None:
    code, shown = mistakes()[name]
    assert without_figures(met(tmp_path, name, code)) == without_figures(shown)


def without_figures(text: str) -> str:
    """A text without the size of a jitter that no seed governs, and without its line breaks."""
    return re.sub(r"\d\S*", "#", " ".join(re.sub(r"^E  ", "", text, flags=re.MULTILINE).split()))


def test_there_are_seven() -> None:
    assert len(mistakes()) == 7


def test_the_way_out_of_the_sixth_is_one() -> None:
    code, _ = mistakes()["test_no_backward_pass"]
    names: dict[str, object] = {}
    exec(code, names)
    from pytest_gradcheck import check

    subject = names["Layered"]()  # type: ignore[operator]
    assert check(subject, names["X"], names["y"], hooks={"backward": "backprop"}).status == "pass"


def write() -> None:
    """Put the messages met now into the page."""
    page = PAGE.read_text(encoding="utf-8")
    texts = iter(mistakes().items())

    def now(match: re.Match[str]) -> str:
        if match[1] == "python":
            return match[0]
        name, (code, _) = next(texts)
        with tempfile.TemporaryDirectory() as folder:
            return f"```text\n{met(Path(folder), name, code)}```"

    PAGE.write_text(BLOCK.sub(now, page), encoding="utf-8")


if __name__ == "__main__":
    write()

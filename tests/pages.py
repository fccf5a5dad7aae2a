"""Pages of the documentation, done as a reader would do them, in an empty folder.

* A block of Python, ini or TOML that begins with ``# name.py`` is written to that file; a block of
  differences (``diff``) changes the one file in which its old lines stand.
* In a ``console`` block, lines that begin with ``$`` are run, those below them are their output:
  in this order and without a gap, but for lines of ``...``.
* All other Python of a page is one module: tests if it has any, a script otherwise.  What is shown
  as ``text`` is what it prints.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sybil import Document
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer, RawFencedCodeBlockLexer

FILE = re.compile(r"# ([\w./-]+\.\w+)\n")
PLAIN = "-p no:cacheprovider -p no:hypothesispytest"  # the latter takes a second a run
SHOWN = {"python", "ini", "toml", "diff", "console", "text", "yaml", "markdown"}


class Block(NamedTuple):
    language: str
    source: str


def blocks(page: Path) -> list[Block]:
    """The code blocks of a page, in order; directives such as ``{toctree}`` are none."""
    document = Document(page.read_text(encoding="utf-8"), str(page))
    regions = sorted(FencedCodeBlockLexer(r"\w+")(document), key=lambda region: region.start)
    found = [Block(str(r.lexemes["language"]), str(r.lexemes["source"])) for r in regions]
    assert not list(RawFencedCodeBlockLexer()(document)), f"{page}: a block without its language"
    unknown = {block.language for block in found} - SHOWN
    assert not unknown, f"{page}: nobody would check blocks of {unknown}"
    return found


class Reader:
    """Does what a page says, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.module: list[str] = []
        self.printed: list[str] = []

    def follow(self, found: Sequence[Block]) -> None:
        for block in found:
            getattr(self, f"do_{block.language}")(block.source)
        if self.module:
            self.run_module("\n".join(self.module))

    def do_python(self, source: str) -> None:
        if not self.write(source):
            self.module.append(source)

    def do_ini(self, source: str) -> None:
        assert self.write(source) or self.write("# pytest.ini\n" + source)

    def do_toml(self, source: str) -> None:
        assert self.write(source), "name the file in the first line"

    def do_diff(self, source: str) -> None:
        lines = source.splitlines()
        old = "\n".join(line[1:] for line in lines if line[:1] in "- ")
        new = "\n".join(line[1:] for line in lines if line[:1] in "+ ")
        (file,) = [f for f in self.folder.glob("*.*") if old in f.read_text(encoding="utf-8")]
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"these lines stand in {file.name} more than once"
        file.write_text(text.replace(old, new), encoding="utf-8")

    def do_console(self, source: str) -> None:
        for part in re.split(r"^\$ ", source, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            if "pip install" not in command:  # what is installed is what is tested
                same_lines(shown, self.run(*shlex.split(command)).stdout)

    def do_text(self, source: str) -> None:
        self.printed.append(source)

    def do_yaml(self, source: str) -> None:
        """Of a workflow, the commands that run tests."""
        for command in re.findall(r"^\s*- run: (python -m pytest.*)$", source, re.MULTILINE):
            done = self.run(*shlex.split(command))
            assert done.returncode == 0, done.stdout

    def do_markdown(self, source: str) -> None:
        """Only shown."""

    def write(self, source: str) -> bool:
        named = FILE.match(source)
        if named:
            file = self.folder / named[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source, encoding="utf-8")
        return bool(named)

    def run_module(self, source: str) -> None:
        tests = "def test_" in source
        name = "test_page.py" if tests else "page.py"
        (self.folder / name).write_text(source, encoding="utf-8")
        done = self.run("pytest", "-s", name) if tests else self.run("python", name)
        assert done.returncode == 0, done.stdout + done.stderr
        if tests:
            assert re.search(rf"\b{source.count('def test_')} passed\b", done.stdout), done.stdout
        for shown in self.printed:
            same_lines(shown, done.stdout)

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        module = {"pytest": ["-m", "pytest"], "python": []}[program]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "80", "PYTHONUTF8": "1"}
        environment["PYTEST_ADDOPTS"] = PLAIN
        return subprocess.run(
            [sys.executable, *module, *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=300,
        )


def same_lines(shown: str, met: str) -> None:
    """What is shown stands in what was met, but for figures that differ between machines."""
    rest = [without_figures(line) for line in met.splitlines()]
    for part in re.split(r"^\.\.\.\n", shown, flags=re.MULTILINE):
        lines = [without_figures(line) for line in part.splitlines()]
        starts = [i for i in range(len(rest) + 1) if rest[i : i + len(lines)] == lines]
        assert starts, f"not met:\n{part}\nin:\n{met}"
        rest = rest[starts[0] + len(lines) :]


def without_figures(line: str) -> str:
    """A line without what differs from machine to machine: error bars, counts of work, seconds."""
    if "pass" in line or "at most" in line:
        line = re.sub(r"\S+ ± *\S+|at most \S+", "±", line)
    line = re.sub(r"± *\d\S*", "±", line)
    line = re.sub(r"[\d,]+ evaluations( of the loss in|,)?( *[\d.e-]+ m?s\b)?", "", line)
    line = re.sub(r"[\d,]+ +\d\S* ?m?s  ", "", line)  # the same in the summary
    line = re.sub(r"[━─┊]+", "", line)
    line = re.sub(r"  \de-\d\d(?=  )", "", line)  # the column of error bars
    line = re.sub(r"residual \S+:", "residual:", line)
    line = re.sub(r"\bin \d+\.\d+s\b", "", line)
    return re.sub(r"\s+", " ", line).strip()


if __name__ == "__main__":  # python tests/pages.py docs/tutorial.md: what each command prints
    import tempfile

    class Aloud(Reader):
        """Goes on whatever a command prints."""

        def do_console(self, source: str) -> None:
            for command in re.findall(r"^\$ (.*)$", source, flags=re.MULTILINE):
                if "pip install" not in command:
                    print(f"$ {command}\n{self.run(*shlex.split(command)).stdout}")

    with tempfile.TemporaryDirectory() as folder:
        Aloud(Path(folder)).follow(blocks(Path(sys.argv[1])))

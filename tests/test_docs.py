"""The documentation does what it says: its code runs, its report is the one a reader gets."""

from __future__ import annotations

import importlib.util
import re
import textwrap
from pathlib import Path

import pytest
from sybil import Document
from sybil.parsers.markdown import CodeBlockParser

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "docs/method.md", "docs/adapters.md"]
FRAMEWORKS = {"docs/adapters.md": ("torch", "jax")}


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of one language on a page, in order."""
    found: list[str] = []
    parser = CodeBlockParser(language=language, evaluator=lambda e: found.append(str(e.parsed)))
    for example in Document.parse(str(ROOT / page), parser).examples():
        example.evaluate()
    return found


@pytest.mark.parametrize("page", PAGES)
def test_python_blocks_run_as_one_test_module(page: str, pytester: pytest.Pytester) -> None:
    for framework in FRAMEWORKS.get(page, ()):
        if importlib.util.find_spec(framework) is None:
            pytest.skip(f"{framework} is not installed")
    ini = blocks(page, "ini")
    pytester.makefile(".ini", pytest=ini[0] if ini else "[pytest]\n")
    source = "\n".join(blocks(page, "python"))
    assert source
    if "def test_" not in source:
        source = "def test_page():\n" + textwrap.indent(source, "    ")
    pytester.makepyfile(source)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    assert result.parseoutcomes() == {"passed": source.count("def test_")}, result.stdout.str()


def test_the_failure_shown_is_the_failure_met(pytester: pytest.Pytester) -> None:
    (shown,) = blocks("README.md", "text")
    call = shown.splitlines()[0].lstrip("> ")
    pytester.makeini(f"[pytest]\npythonpath = {(ROOT / 'docs' / 'examples').as_posix()}\n")
    pytester.makepyfile(
        f"""
        from broken import ForgottenRegularisation
        from digits import load

        def test_network(gradcheck):
            digits = load()
            X, y = digits.X_train[:16], digits.y_train[:16]
            {call}
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    met = [without_figures(line) for line in result.outlines]
    for line in shown.splitlines():
        assert without_figures(line) in met, line


def without_figures(line: str) -> str:
    """A line without what differs from machine to machine: error bars, counts of work, seconds."""
    line = re.sub(r"\S+ ± *\S+", "±", line) if "pass" in line else re.sub(r"± *\d\S*", "±", line)
    line = re.sub(r"\d+ evaluations of the loss in \S+ s", "", line)
    line = re.sub(r"(?<=e-0\d)  \d\S*(?=  )", "", line)  # the column of error bars
    return re.sub(r"\s+", " ", line).strip()

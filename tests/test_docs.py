"""The documentation does what it says: its code runs, its output is the one a reader gets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import Reader, blocks, same_lines

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted(page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts)
MISTAKES = ROOT / "docs" / "first-mistakes.md"
"""What is shown there is what fails: it has a test of its own."""
OPTIONAL = ["torch", "jax", "sklearn", "scipy", "tensorflow", "keras", "autograd"]
OPTIONAL += ["casadi", "pytensor", "mlx"]
NEEDED = {"--gradcheck-html": "jinja2", ".plot()": "matplotlib", ".to_frame()": "pandas"}


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize(
    "page", [p for p in [README, *PAGES] if p != MISTAKES and blocks(p)], ids=name_of
)
def test_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    found = [b for b in blocks(page) if page != README or b.language != "text"]
    source = "\n".join(block.source for block in found)
    used = [p for p in OPTIONAL if re.search(rf"^(import|from) {p}\b", source, re.MULTILINE)]
    used += [package for word, package in NEEDED.items() if word in source]
    for package in used:
        pytest.importorskip(package)
    Reader(tmp_path).follow(found)


def test_the_failure_shown_is_the_failure_met(tmp_path: Path) -> None:
    (shown,) = [block.source for block in blocks(README) if block.language == "text"]
    call, _, report = shown.partition("\n")
    reader = Reader(tmp_path)
    reader.do_ini(f"[pytest]\npythonpath = {(ROOT / 'docs' / 'examples').as_posix()}\n")
    reader.do_python(
        "# test_digits.py\n"
        "from broken import ForgottenRegularisation\n"
        "from digits import load\n\n\n"
        "def test_network(gradcheck):\n"
        "    digits = load()\n"
        "    X, y = digits.X_train[:16], digits.y_train[:16]\n"
        f"    {call.lstrip('> ')}\n"
    )
    same_lines(shown, reader.run("pytest", "test_digits.py").stdout)
    assert report


@pytest.mark.parametrize("page", [README, ROOT / "CHANGELOG.md", *PAGES], ids=name_of)
def test_links_lead_to_files(page: Path) -> None:
    """Also where the pages are read as they are, not as a site."""
    text = re.sub(r"^(```+).*?^\1\s*$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"\w+:", target):
            file, _, _ = target.partition("#")
            assert not file or (page.parent / file).exists(), target

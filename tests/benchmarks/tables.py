"""Markdown tables, printed, and on request put into docs/benchmarks.md."""

from __future__ import annotations

import re
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from platform import python_version

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def parser(description: str | None) -> ArgumentParser:
    """Command line of a benchmark, with ``--write``."""
    out = ArgumentParser(description=description)
    out.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    return out


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def by_name(lists: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Titles, each with what it is about, one line each."""
    return "\n\n".join(
        f"{title}:" + ("\n" + "".join(f"\n* {name}" for name in names) if names else " none.")
        for title, names in lists
    )


def share(count: int, total: int, digits: int = 1) -> str:
    """So many of so many, and in per cent."""
    percent = f"{100 * count / total:.{digits}f} %" if total else "-"
    return f"{count} of {total}, {percent}"


def versions(*packages: str) -> str:
    """Of Python and of `packages`."""
    found = [f"{package} {version(package)}" for package in packages]
    return ", ".join([f"Python {python_version()}", *found])


def publish(name: str, text: str, *, write: bool) -> None:
    """Print a section, and replace it in the page."""
    print(text, flush=True)
    if not write:
        return
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    section = f"{begin}\n{text}\n{end}"
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else "# Benchmarks\n"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if pattern.search(page):
        page = pattern.sub(lambda _: section, page)
    else:
        page = f"{page.rstrip()}\n\n{section}\n"
    PAGE.write_text(page, encoding="utf-8")

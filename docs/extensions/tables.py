"""Tables of the benchmarks on other pages, so that no figure stands in two places.

``<!-- table: SECTION, HEAD -->`` is the first table of that section of ``benchmarks.md`` whose
first column is called HEAD.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parents[1] / "benchmarks.md"
MARK = re.compile(r"<!-- table: (?P<section>[^,]+), (?P<head>[^,]+?) -->")


def table(section: str, head: str) -> str:
    """The first table of a section whose first column has this head."""
    text = BENCHMARKS.read_text(encoding="utf-8")
    part = text.partition(f"<!-- begin {section} -->")[2].partition(f"<!-- end {section} -->")[0]
    found = re.search(rf"^\| {re.escape(head)} \|.*\n(?:\|.*\n)+", part, re.MULTILINE)
    if found is None:
        raise LookupError(f"benchmarks.md has no table {head!r} in its section {section!r}")
    return found[0]


def insert(app: Any, docname: str, source: list[str]) -> None:
    source[0] = MARK.sub(lambda mark: table(mark["section"], mark["head"]), source[0])


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", insert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

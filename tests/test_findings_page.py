"""docs/findings.md lists every finding that the code can emit, and how it can be allowed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest_gradcheck
from pytest_gradcheck.core.result import DOUBTED
from pytest_gradcheck.values import ALLOWABLE

PACKAGE = Path(pytest_gradcheck.__file__).parent
PAGE = Path(__file__).parents[1] / "docs" / "findings.md"
NAMED_ELSEWHERE = {
    "depth.py": {"vanishing", "exploding"},
    "penalty.py": {"l2-missing", "l2-extra", "l1-missing", "l1-extra"},
    "layout.py": {"transposed", "reversed", "rolled", "swapped"},
    "mixed.py": {"sign", "factor", "mean-for-sum"},
}
"""Where the name of a finding is no constant, what it can be."""


def emitted() -> Iterator[tuple[str, str | None]]:
    """Every call of ``Finding``: the file, and the name if it stands there."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
                first = node.args[0]
                is_constant = isinstance(first, ast.Constant)
                yield path.name, first.value if is_constant else None


def rows() -> dict[str, list[str]]:
    """Cells of the table, by the finding's name."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:3] == "| `"]
    cells = [[cell.strip() for cell in re.split(r"\|", line)[1:-1]] for line in lines]
    assert len({cell[0] for cell in cells}) == len(cells)
    return {cell[0].strip("`"): cell[1:] for cell in cells}


def test_every_finding_has_a_row() -> None:
    found = list(emitted())
    assert {file for file, name in found if name is None} == set(NAMED_ELSEWHERE)
    names = {name for _, name in found if name} | set().union(*NAMED_ELSEWHERE.values())
    assert names == set(rows())


def test_rows_say_what_can_be_allowed_and_what_warns() -> None:
    table = rows()
    assert all(len(cells) == 4 and cells[0] and cells[1] for cells in table.values())
    assert {name for name, cells in table.items() if cells[3] == "allow"} == set(ALLOWABLE)
    assert {name for name, cells in table.items() if cells[2] not in ("", "pass")} == set(DOUBTED)

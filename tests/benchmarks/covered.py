"""Branch coverage of the package by its tests, those in other processes included."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from tables import parser, publish, table, versions

ROOT = Path(__file__).parents[2]
GOAL = 97.0  # per cent, issue 8
BANK = "tests/test_bank.py"
"""Tests the calibration bank, and nothing of the package."""
COUNTS = {
    "statements": "num_statements",
    "not run": "missing_lines",
    "branches": "num_branches",
    "never taken": "missing_branches",
}
"""Columns of the table, by what coverage calls them."""


def coverage(folder: Path, *words: str) -> None:
    environment = {**os.environ, "COVERAGE_FILE": str(folder / ".coverage")}
    command = [sys.executable, "-m", "coverage", *words]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def part_of(file: str) -> str:
    """The subpackage of a file, or the package itself."""
    return "/".join(Path(file).parts[:2]) if len(Path(file).parts) > 2 else Path(file).parts[0]


def share(counts: dict[str, int]) -> float:
    """Of statements and branches together, those that were taken, per cent."""
    of = counts["num_statements"] + counts["num_branches"]
    return 100 * (1 - (counts["missing_lines"] + counts["missing_branches"]) / of)


def section(found: dict[str, Any]) -> str:
    parts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for file, of_file in found["files"].items():
        for name in COUNTS.values():
            parts[part_of(file)][name] += of_file["summary"][name]
    rows = [*sorted(parts.items()), ("**all**", found["totals"])]
    text = [
        f"## Branch coverage of the package (goal: ≥ {GOAL:g} %)",
        table(
            ["", *COUNTS, "covered"],
            [(name, *(c[key] for key in COUNTS.values()), f"{share(c):.1f} %") for name, c in rows],
        ),
        "Lines that coverage leaves out by itself (imports for type checkers, bodies of `...`):"
        f" {found['totals']['excluded_lines']}."
        f" {versions('coverage', 'pytest', 'numpy')}.",
    ]
    return "\n\n".join(text)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", type=Path, help="folder of data of earlier runs, to be used")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.data is None:
            coverage(folder, "run", "-m", "pytest", "-q", f"--ignore={BANK}")
        coverage(folder, "combine", "-q", "--keep", str(given.data or folder))
        coverage(folder, "report")
        coverage(folder, "json", "-q", "-o", str(folder / "found.json"))
        found = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    publish("coverage", section(found), write=given.write)
    if share(found["totals"]) < GOAL:
        sys.exit("too little")


if __name__ == "__main__":
    main()

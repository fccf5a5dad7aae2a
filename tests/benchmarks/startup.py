"""What the plugin adds to a pytest run that does not use it: its imports, options and hooks.

pytest imports plugins in a way that ``-X importtime`` does not see, so the import is timed as a
statement where pytest has already run, and everything that pytest needs anyway is loaded.  What
loading costs in a real run, registration and options included, is timed beside it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tables import parser, publish, table, versions

GOAL = 5.0  # milliseconds, issue 2
PLUGIN = "pytest_gradcheck.plugin"

IMPORT = f"""
import pytest
pytest.main(["-q", "test_it.py"])
import {PLUGIN}
"""
REAL_RUN = f"""
import json, sys, time
import pytest

class Timed:
    @pytest.hookimpl(tryfirst=True)
    def pytest_addoption(self, pluginmanager):
        start = time.perf_counter()
        pluginmanager.import_plugin("{PLUGIN}")
        self.seconds = time.perf_counter() - start

timed = Timed()
assert pytest.main(["-q", "test_it.py"], plugins=[timed]) == 0
print(json.dumps({{"seconds": timed.seconds, "modules": sorted(sys.modules)}}))
"""


def fresh(code: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a new interpreter, with no plugin but those that it loads itself."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPYCACHEPREFIX": str(folder)}
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )


def import_times(folder: Path) -> dict[str, float]:
    """Milliseconds of each module by itself, of those that importing the plugin loads."""
    lines = [
        line.removeprefix("import time:").split("|")
        for line in fresh(IMPORT, folder, "-X", "importtime").stderr.splitlines()
        if line.startswith("import time:")
    ]
    names = [columns[2] for columns in lines]
    last = next(i for i, name in enumerate(names) if name.strip() == PLUGIN)
    depth = _indent(names[last])
    first = last
    while first and _indent(names[first - 1]) > depth:  # what it imports is printed before it
        first -= 1
    return {names[i].strip(): int(lines[i][0]) / 1000 for i in range(first, last + 1)}


def _indent(name: str) -> int:
    return len(name) - len(name.lstrip())


def real_run(folder: Path) -> dict[str, Any]:
    """Seconds to load the plugin, and the modules there at the end of the run."""
    found: dict[str, Any] = json.loads(fresh(REAL_RUN, folder).stdout.splitlines()[-1])
    return found


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--runs", type=int, default=15)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_it.py").write_text("def test_it():\n    assert True\n")
        (folder / "pytest.ini").write_text("[pytest]\n")
        import_times(folder), real_run(folder)  # compiles what was never compiled
        imports = [import_times(folder) for _ in range(given.runs)]
        runs = [real_run(folder) for _ in range(given.runs)]
    numpy = any("numpy" in run["modules"] for run in runs)
    rows = [
        ("import, by `-X importtime`", *spread([sum(times.values()) for times in imports])),
        (
            "loaded by pytest: import, registration, options",
            *spread([1000 * run["seconds"] for run in runs]),
        ),
    ]
    text = "\n\n".join(
        [
            f"## What the plugin adds to a run that does not use it (goal: ≤ {GOAL:g} ms)",
            table(["", "median, ms", "least", "most"], rows),
            f"NumPy {'IS' if numpy else 'is not'} imported in that run."
            f" {given.runs} fresh interpreters each. Modules that pytest alone does not load: "
            + ", ".join(f"`{module}`" for module in imports[0])
            + f". {versions('pytest')}.",
        ]
    )
    publish("startup", text, write=given.write)


def spread(milliseconds: list[float]) -> list[str]:
    found = statistics.median(milliseconds), min(milliseconds), max(milliseconds)
    return [f"{value:.2f}" for value in found]


if __name__ == "__main__":
    main()

"""What wheel and sdist hold: ``python tests/distribution.py dist/*``."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

IN_WHEEL = ("pytest_gradcheck/py.typed", "licenses/LICENSE", "entry_points.txt")
IN_SDIST = ("README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md", "tests/conftest.py")


def names(path: str) -> list[str]:
    if path.endswith(".whl"):
        return zipfile.ZipFile(path).namelist()
    with tarfile.open(path) as archive:
        return [name.partition("/")[2] for name in archive.getnames()]


def mistakes(path: str) -> list[str]:
    """What is missing from a distribution, or should not be in it."""
    found = names(path)
    needed = IN_WHEEL if path.endswith(".whl") else IN_SDIST
    wrong = [f"no {name}" for name in needed if not any(f.endswith(name) for f in found)]
    source = Path(__file__).parents[1] / "pytest_gradcheck"
    modules = [f"pytest_gradcheck/{p.relative_to(source).as_posix()}" for p in source.rglob("*.py")]
    wrong += [f"no {module}" for module in modules if module not in found]
    wrong += [f"holds {name}" for name in found if "__pycache__" in name or name.endswith(".pyc")]
    if path.endswith(".whl"):
        outside = ("pytest_gradcheck/", "pytest_gradcheck-")
        wrong += [f"holds {name}" for name in found if not name.startswith(outside)]
    return wrong


if __name__ == "__main__":
    wrong = [f"{path}: {what}" for path in sys.argv[1:] for what in mistakes(path)]
    sys.exit("\n".join(wrong) or 0)

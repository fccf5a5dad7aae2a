"""All records of a run as one JSON document."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .record import STATUSES, VERSION, Record, in_order

PACKAGES = ("pytest-gradcheck", "pytest", "numpy")


def document(records: Iterable[Record]) -> dict[str, Any]:
    """What ``--gradcheck-json`` writes: the same for the same checks, whoever ran them."""
    checks = sorted(records, key=in_order)
    return {
        "schema_version": VERSION,
        "versions": {"python": platform.python_version(), **_versions()},
        "totals": totals(checks),
        "checks": checks,
    }


def totals(records: Iterable[Record]) -> dict[str, int]:
    """How many checks there are of every status, and how many evaluations they took."""
    records = list(records)
    counts = {status: sum(r["status"] == status for r in records) for status in STATUSES}
    evaluations = sum(record["evaluations"] for record in records)
    return {"checks": len(records), **counts, "evaluations": evaluations}


def as_text(document: dict[str, Any]) -> str:
    """The document with a line for every check, so that files can be compared and searched."""
    head = _json({name: part for name, part in document.items() if name != "checks"})
    checks = ",\n".join(map(_json, document["checks"]))
    return f'{head[:-1]}, "checks": [\n{checks}\n]}}\n'


def _json(value: Any) -> str:
    """JSON in readable letters, with all that is invisible or steers a terminal as its escape."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def _versions() -> dict[str, str]:
    """Of what is installed, without importing it."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a checkout, or NumPy is not where this process is
            continue
    return found

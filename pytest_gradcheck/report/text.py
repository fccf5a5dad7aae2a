"""A result as lines of plain text: no pytest, no terminal, no colour."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..core.result import Block, Entry, Result

SHORT = 3
"""Rows of the table in a warning."""
CAUSES = (
    "accumulated",
    "stale",
    "not-written",
    "sign",
    "factor",
    "mean-for-sum",
    "swapped",
    "transposed",
    "reversed",
    "rolled",
    "l2-missing",
    "l2-extra",
    "l1-missing",
    "l1-extra",
    "partly-written",
    "wrong-region",
)
"""Findings that say why a gradient is wrong, the ones that say most first."""


def failure(result: Result) -> list[str]:
    """The message of a failed check: verdict, worst entries, parameters, what to do next."""
    lines = [headline(result), "", overview(result)]
    lines += _section([line for line in findings(result) if line not in lines[0]])
    lines += _section(point_table(result.points))
    lines += _section(entry_table(result))
    lines += _section(block_table(result.blocks))
    lines += _section(next_steps(result))
    if result.by_probes:
        lines.append(f"The same random directions again: seed={result.settings['seed']}.")
    return lines


def warning(result: Result) -> list[str]:
    """The same in short."""
    first = headline(result)
    lines = [first, overview(result)]
    lines += [line for line in findings(result) if line.partition(": ")[2] not in first]
    lines += point_table(result.points)
    doubted = any(finding.name.startswith("wrong-") for finding in result.findings)
    if doubted or any(block.status == "warn" for block in result.blocks):
        lines += entry_table(result, SHORT)
    return lines


def headline(result: Result) -> str:
    """One line that can stand alone: what is wrong, where, by how much."""
    doubts = [f for f in result.findings if f.name in ("not-finite",)]
    if doubts:
        return doubts[0].message
    causes = sorted(
        (f for f in result.findings if f.name in CAUSES), key=lambda f: CAUSES.index(f.name)
    )
    if causes:
        return f"{result.title}: {_judgement(result)}, {causes[0].name}: {causes[0].message}"
    if all(block.status == "pass" for block in result.blocks) and result.findings:
        doubts = [f for f in result.findings if f.name not in result.settings.get("allow", ())]
        return f"{result.title}: {(doubts or result.findings)[0].message}"
    if not result.worst:
        return f"{result.title}: relative error {result.relative_error:.2e}"
    worst = result.worst[0]
    digits = _telling_digits(worst)
    return (
        f"{worst.label}: analytic {worst.analytic:.{digits}g}, numeric {worst.numeric:.{digits}g},"
        f" relative error {worst.relative_error:.1e} ({result.title}: {_judgement(result)})"
    )


def _telling_digits(entry: Entry) -> int:
    """Digits at which two numbers differ, and one more."""
    if not 0 < entry.relative_error < 1:
        return 4
    return min(12, max(4, 2 + math.ceil(-math.log10(entry.relative_error))))


def overview(result: Result) -> str:
    """Verdict, size and cost in one line."""
    error = measured(result.relative_error, result.uncertainty)
    if result.by_probes and result.status == "pass":
        error = f"at most {result.bound:.1e} with confidence {_sure(result.confidence)}"
    return (
        f"{result.title}: {_judgement(result)}, relative error {error} over {result.size}"
        f" parameters; {result.evaluations} evaluations of the loss in {result.seconds:.2g} s"
    )


def _sure(confidence: float) -> str:
    """``1 - 1e-06``, or ``0.99`` where that can be read."""
    return f"{confidence:g}" if confidence < 0.999 else f"1 - {1 - confidence:.0e}"


def _judgement(result: Result) -> str:
    if result.status != "warn":
        return result.status
    worst = max((b.relative_error for b in result.blocks), default=0.0)
    if any(finding.name.startswith("wrong-") for finding in result.findings):
        return "warn, suspect"
    if all(block.status == "pass" for block in result.blocks):
        return "warn"
    return "warn, suspect" if worst >= result.settings.get("warn", 1e-5) else "warn, imprecise"


def measured(value: float, uncertainty: float) -> str:
    """``1.2e-05 ± 3e-09``."""
    if not uncertainty:
        return f"{value:.2e}"
    return f"{value:.2e} ± {uncertainty:.0e}" if math.isfinite(uncertainty) else f"{value:.2e} ± ?"


def findings(result: Result) -> list[str]:
    """One line for each finding."""
    return [f"{finding.name}: {finding.message}" for finding in result.findings]


def entry_table(result: Result, count: int | None = None) -> list[str]:
    """The worst entries, worst first, and how many were left out."""
    entries, size = result.worst[:count], result.size
    where = ", seen along random directions only" if result.by_probes else ""
    if not entries:
        return []
    digits = max([8, *(_telling_digits(entry) for entry in entries[:1])])
    rows = [("entry", "analytic", "numeric", "error", "± ", "share")]
    rows += [
        (
            entry.label,
            f"{entry.analytic:.{digits}g}",
            f"{entry.numeric:.{digits}g}",
            f"{entry.error:.2e}",
            f"{entry.uncertainty:.0e}",
            f"{100 * entry.share:.1f} %",
        )
        for entry in entries
    ]
    lines = _aligned(rows)
    left_out = size - len(entries)
    return lines + ([f"({left_out} more entries{where})"] if left_out else [])


def point_table(points: Sequence[Result]) -> list[str]:
    """One line for each point at which a check was made."""
    rows = [("point", "status", "relative error", "findings")]
    rows += [
        (
            point.point,
            point.status,
            measured(point.relative_error, point.uncertainty),
            ", ".join(dict.fromkeys(finding.name for finding in point.findings)) or "-",
        )
        for point in points
    ]
    return _aligned(rows) if points else []


def block_table(blocks: Sequence[Block]) -> list[str]:
    """One line for each parameter."""
    rows = [("parameter", "status", "relative error", "shape")]
    rows += [
        (
            block.name,
            block.status,
            measured(block.relative_error, block.uncertainty),
            "x".join(map(str, block.shape)) or "scalar",
        )
        for block in blocks
    ]
    return _aligned(rows)


def next_steps(result: Result) -> list[str]:
    """What to do next, shortest first."""
    if any(finding.name == "not-finite" for finding in result.findings):
        return ["Next: make loss and gradient finite at this point; nothing was compared there."]
    wrong = [block.name for block in result.blocks if block.status != "pass"]
    if not wrong:
        return ["Next: see the findings above."]
    right = [block.name for block in result.blocks if block.status == "pass"]
    advice = f"Next: look at how the gradient of {', '.join(wrong[:4])} is computed"
    if len(wrong) > 4:
        advice += f" ({len(wrong)} parameters in all)"
    if right:
        advice += (
            f"; that of {', '.join(right[:4])}{' and others' if len(right) > 4 else ''} agrees"
        )
    return [advice + "."]


def _section(lines: Sequence[str]) -> list[str]:
    return ["", *lines] if lines else []


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns wide enough for their cells: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]

"""``--gradcheck-summary``: one line for every check of the run, worst first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

ORDER = ("fail", "warn", "pass")


def write_summary(reporter: pytest.TerminalReporter) -> None:
    """Print the records that came with the test reports, from this process or from workers."""
    records = [
        record
        for reports in reporter.stats.values()
        for report in reports
        for record in getattr(report, "gradcheck", ())
    ]
    if not records:
        return
    reporter.section("gradient checks")
    for line in summary_lines(records):
        reporter.write_line(line)


def summary_lines(records: Iterable[dict[str, Any]]) -> list[str]:
    """One line a check, worst first, then the totals."""
    ranked = sorted(
        records, key=lambda r: (ORDER.index(r["status"]), -r["relative_error"], r["test"])
    )
    lines = [_line(record) for record in ranked]
    counts = {status: sum(r["status"] == status for r in ranked) for status in ORDER}
    total = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    evaluations = sum(record["evaluations"] for record in ranked)
    return [*lines, f"{len(ranked)} checks: {total}; {evaluations} evaluations"]


def _line(record: dict[str, Any]) -> str:
    size = 0
    for block in record["blocks"]:
        entries = 1
        for length in block["shape"]:
            entries *= length
        size += entries
    names = ", ".join(dict.fromkeys(finding["name"] for finding in record["findings"]))
    return (
        f"{record['status']:4}  {record['relative_error']:.1e} ± {record['uncertainty']:.0e}"
        f"  {size:>8} parameters  {record['evaluations']:>8} evaluations"
        f"  {record['seconds']:7.2f} s  {record['test']} ({record['title']})"
        + (f"  [{names}]" if names else "")
    )

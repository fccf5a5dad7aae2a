"""The worst entries as a table: index, analytic, numeric with its error bar, difference."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ..core.result import Entry, Result
from .cells import Line, Span, faint, harmless, line, shortened_alike, table


def entry_table(
    result: Result, *, width: int | None, count: int | None = None, shares: bool = False
) -> list[Line]:
    """Entries that differ beyond their error bars, worst first, and how many there are besides.

    Parameters
    ----------
    result : Result
    width : int or None
        Columns to fit into: long names are shortened.
    count : int or None
        How many to list at most.
    shares : bool
        Whether relative error and share of the squared error are listed too.
    """
    differing = [e for e in result.worst if not e.error <= e.uncertainty]
    shown = differing[:count]
    if not shown:
        return []
    written = _number_format(shown)
    heads = ["entry", "analytic", "numeric", "±", "difference"] + ["relative", "share"] * shares
    rows = [[Span(head) for head in heads]]
    for entry in shown:
        cells = [harmless(entry.label), written(entry.analytic), written(entry.numeric)]
        cells += [f"{entry.uncertainty:.0e}", _difference(entry)]
        cells += [f"{entry.relative_error:.1e}", f"{100 * entry.share:.1f} %"] * shares
        rows.append([Span(cell) for cell in cells])
    if width is not None:
        taken = sum(max(len(row[i].text) for row in rows) + 2 for i in range(1, len(heads)))
        labels = shortened_alike([row[0].text for row in rows[1:]], max(width - taken, 12))
        for row, label in zip(rows[1:], labels, strict=True):
            row[0] = Span(label)
    lines = table(rows)
    lines[0] = faint(lines[0])
    rest = _rest(result, len(shown), all_differ=len(differing) == len(result.worst))
    return lines + ([line(Span(rest, "faint"))] if rest else [])


def _rest(result: Result, shown: int, *, all_differ: bool) -> str:
    left = result.size - shown
    if not left:
        return ""
    more = f"{left:,} more {'entry' if left == 1 else 'entries'}"
    if result.by_probes:
        return f"({more}, seen along random directions only)"
    if all_differ or shown < sum(not e.error <= e.uncertainty for e in result.worst):
        return f"({more})"
    return f"({more}, within {'its error bar' if left == 1 else 'their error bars'})"


def _difference(entry: Entry) -> str:
    """Analytic minus numeric; at a kink, from the nearest valid subgradient."""
    if math.isnan(entry.error):
        return "nan"
    return f"{math.copysign(entry.error, entry.analytic - entry.numeric):+.2e}"


def _number_format(entries: Sequence[Entry]) -> Callable[[float], str]:
    """How to write all values: digits below each other, as many as show what differs."""
    sizes = [s for e in entries if 0 < (s := max(abs(e.analytic), abs(e.numeric))) < math.inf]
    errors = [e.error for e in entries if 0 < e.error < math.inf]
    largest, least = max(sizes, default=1.0), min(errors, default=1.0)
    if largest < 1e5 and min(sizes, default=1.0) >= 1e-3:
        places = min(max(1 - math.floor(math.log10(least)), 6), 12)
        return lambda value: f"{value:.{places}f}"
    digits = min(max(1 + math.ceil(math.log10(largest / least)), 4), 12)
    return lambda value: f"{value:.{digits}e}"

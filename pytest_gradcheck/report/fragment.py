"""One check as a piece of HTML that stands in other pages: notebooks, pytest-html's report.

It brings no style sheet, takes colours and letters from where it stands, and needs no Jinja2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from .cells import all_harmless
from .heat import Heat
from .pictures import label_of
from .record import Number, Record, number

SIGNS = {"fail": "✕", "warn": "!", "pass": "✓"}
COLORS = {"fail": "#c22136", "warn": "#9a6700", "pass": "#1f7a45"}
ROWS = 10
"""Of each table at most."""


def fragment(record: Record) -> str:
    """Verdict, findings, parameters, worst entries and heat maps of one check."""
    record = all_harmless(record)
    findings = "".join(
        f"<li><b>{escape(f['name'])}</b>: {escape(f['message'])}</li>" for f in record["findings"]
    )
    parts = [
        f"<p>{_badge(record['status'])} <b>{escape(record['title'])}</b>, relative error"
        f" {_measured(record['relative_error'], record['uncertainty'])} over"
        f" {record['size']:,} parameters; {record['evaluations']:,} evaluations</p>",
        f"<ul>{findings}</ul>" if findings else "",
        _table("Parameters", ("parameter", "status", "relative error", "shape"), _blocks(record)),
        _left(len(record["blocks"])),
    ]
    if record["status"] != "pass":
        head = ("entry", "claimed", "measured", "error")
        parts.append(_table("Worst entries", head, _entries(record)))
        parts += [_image(Heat.of(view)) for view in record["views"]]
    return f'<div class="gradcheck">{"".join(parts)}</div>'


def extra(html: str) -> dict[str, str | None]:
    """As pytest-html takes it; built-in types, to travel from workers."""
    return {
        "name": "gradcheck",
        "format_type": "html",
        "content": html,
        "mime_type": None,
        "extension": None,
    }


def _badge(status: str) -> str:
    return f'<b style="color:{COLORS[status]}">{SIGNS[status]} {status}</b>'


def _blocks(record: Record) -> Iterable[tuple[str, ...]]:
    order = {"fail": 0, "warn": 1, "pass": 2}
    ranked = sorted(record["blocks"], key=lambda block: order[block["status"]])
    kept = record["blocks"] if len(ranked) <= ROWS else ranked[:ROWS]
    for block in kept:
        yield (
            escape(block["name"]),
            _badge(block["status"]),
            _measured(block["relative_error"], block["uncertainty"]),
            " × ".join(map(str, block["shape"])) or "scalar",
        )


def _entries(record: Record) -> Iterable[tuple[str, ...]]:
    for entry in record["worst"][:ROWS]:
        yield (
            escape(label_of(entry["parameter"], entry["index"])),
            f"{number(entry['analytic']):.8g}",
            f"{number(entry['numeric']):.8g}",
            f"{number(entry['error']):.1e}",
        )


def _measured(value: Number, uncertainty: Number) -> str:
    bar = number(uncertainty)
    return f"{number(value):.2e} ± " + (f"{bar:.0e}" if math.isfinite(bar) else "?")


def _table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    heads = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for name, *cells in rows
    )
    if not body:
        return ""
    return (
        f"<table><caption>{caption}</caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def _left(count: int) -> str:
    return f"<p>and {count - ROWS:,} more parameters</p>" if count > ROWS else ""


def _image(heat: Heat) -> str:
    if not heat.wrong:
        return ""
    cell = min(12, max(1, 240 // max(heat.rows, heat.columns)))
    alt = escape(heat.alt)
    return (
        f'<img src="{heat.source}" alt="{alt}" title="{alt}" width="{heat.columns * cell}"'
        f' height="{heat.rows * cell}" style="image-rendering:pixelated;margin:4px;'
        'outline:1px solid #8886">'
    )

"""One line for each parameter: name, shape, status, relative error, and a bar of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..core.result import STATUSES, Block, Result
from .bars import Scale
from .cells import Line, Span, columns, faint, harmless, line, padded, shortened_alike, table
from .verdict import measured

FEW = 12
"""Parameters listed where more were not asked for."""
BAR, SHORT_BAR = 24, 12
LEAST_NAME = 12
WORDS = {"fail": "FAIL", "warn": "warn", "pass": "pass"}


def parameter_table(
    result: Result, *, width: int | None, complete: bool, norms: bool
) -> list[Line]:
    """The table, worst parameters only where they are many; how many are left out is said.

    Parameters
    ----------
    result : Result
    width : int or None
        Columns to fit into, by shorter bars first, then by shortened names.
    complete : bool
        Whether all are listed.
    norms : bool
        Whether the norms of both gradients are listed too.
    """
    shown = result.blocks if complete or len(result.blocks) <= FEW else _worst(result.blocks, FEW)
    rows = [_head(norms), *(_cells(block, norms) for block in shown)]
    rest = [max(columns(row[i].text) for row in rows) for i in range(1, len(rows[0]))]
    names = max(columns(row[0].text) for row in rows)
    taken = sum(rest) + 2 * len(rest)
    bar = BAR
    if width is not None:
        bar = min(BAR, width - taken - 2 - min(names, 24))
        bar = bar if bar >= SHORT_BAR else 0
        names = min(names, max(width - taken - (bar + 2 if bar else 0), LEAST_NAME))
    fitting = ["parameter", *shortened_alike([row[0].text for row in rows[1:]], names)]
    rows = [[Span(name), *row[1:]] for name, row in zip(fitting, rows, strict=True)]
    lines = table(rows, left=(0, 2))
    if bar:
        scale = Scale.of(result.settings, bar)
        bars = [line(Span(scale.axis(), "faint"))]
        bars += [scale.bar(block.relative_error, block.bound, block.status) for block in shown]
        lines = [(*row, Span("  "), *of) for row, of in zip(lines, bars, strict=True)]
    lines[0] = faint(lines[0])
    left = [block for block in result.blocks if not any(block is one for one in shown)]
    return lines + ([line(Span(_left_out(left), "faint"))] if left else [])


def _head(norms: bool) -> list[Span]:
    names = ["parameter", "shape", "status", "relative error ±"]
    return [Span(name) for name in names + ["analytic norm", "numeric norm"] * norms]


def _cells(block: Block, norms: bool) -> list[Span]:
    return [
        Span(harmless(block.name)),
        Span("×".join(map(str, block.shape)) or "scalar"),
        Span(WORDS[block.status], block.status),
        Span(padded(measured(block.relative_error, block.uncertainty), 16)),
        *(Span(f"{norm:.3e}") for norm in (block.analytic_norm, block.numeric_norm) if norms),
    ]


def _worst(blocks: Sequence[Block], count: int) -> list[Block]:
    """The worst parameters, in their order in the subject: how deep they lie tells something."""

    def badness(place: int) -> tuple[int, float]:
        error = blocks[place].relative_error
        return STATUSES.index(blocks[place].status), math.inf if math.isnan(error) else error

    ranked = sorted(range(len(blocks)), key=badness, reverse=True)
    return [blocks[place] for place in sorted(ranked[:count])]


def _left_out(blocks: Sequence[Block]) -> str:
    counts = [(sum(b.status == status for b in blocks), status) for status in STATUSES[::-1]]
    said = ", ".join(f"{count} {status}" for count, status in counts if count)
    largest = max(block.relative_error for block in blocks)
    return f"({len(blocks)} more: {said}, none above {largest:.1e}; -v lists them)"

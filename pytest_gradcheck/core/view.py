"""Small pictures of gradients of any size: what `Result.plot` and the page draw.

However many entries there are, of each parameter a few thousand letters and a few dozen points are
kept: the error cell by cell, each cell the largest of the entries under it, so that a single wrong
entry, row or column stays in sight.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .measured import Evidence, rms
from .region import PIECE

CELLS, FEWER = 48, 24
"""Rows and columns at most: of a parameter that is wrong, and of one that is not."""
STRIP = 4
"""A vector is a single row, which may be so many times as long."""
POINTS, SPARSE = 64, 24
"""Points at most, likewise."""
VIEWS = 8
"""Parameters shown of one check, the wrong ones first."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"
FIRST, PER_DECADE = -12, 2
"""What they mean: a is a relative error of 1e-12 or less, y of 1, z of more, two to a decade."""
NOTHING, UNKNOWN, NOT_FINITE = ".", "?", "!"
_SHOWN = f"{UNKNOWN}{NOTHING}{LETTERS}{LETTERS.upper()}{NOT_FINITE}"
_UNKNOWN, _NOTHING, _WITHIN, _CERTAIN, _NOT_FINITE = map(
    _SHOWN.index, (UNKNOWN, NOTHING, LETTERS, LETTERS.upper(), NOT_FINITE)
)
"""Levels: where each of them is, from the least that there is to see to the most."""


@dataclass(frozen=True)
class View:
    """One parameter, small enough to be drawn.

    Attributes
    ----------
    parameter : str
    shape : tuple of int
        Its rows and columns as a matrix: a vector is one row, further axes are put side by side.
    cells : tuple of str
        A letter for each cell: the logarithm of its largest error, relative to the root mean square
        of claimed and measured gradient; a capital where that is outside its error bar, a small
        letter where it is within, "." for none, "?" where it was not measured, "!" for NaN.
    scale : float
        The largest derivative of the parameter, by which `points` are divided.
    points : tuple of (float, float)
        Claimed and measured derivatives of some entries, divided by `scale`.
    wrong : int
        So many of them, the first, are certainly wrong.
    """

    parameter: str
    shape: tuple[int, int]
    cells: tuple[str, ...]
    scale: float
    points: tuple[tuple[float, float], ...]
    wrong: int


def views_of(blocks: Sequence[Evidence], wrong: Sequence[bool]) -> tuple[View, ...]:
    """Views of the parameters, in order; of many, those of the wrong ones and the first others."""
    order = sorted(range(len(blocks)), key=lambda i: (not wrong[i], i))
    kept = sorted(i for i in order[:VIEWS] if blocks[i].claimed.size)
    return tuple(_view(blocks[i], fine=wrong[i]) for i in kept)


def _view(block: Evidence, *, fine: bool) -> View:
    matrix = _as_matrix(block.parameter.shape)
    scale, points, wrong = _points(block, POINTS if fine else SPARSE)
    cells = _cells(block, matrix, CELLS if fine else FEWER)
    return View(block.parameter.name, matrix, cells, scale, points, wrong)


def _as_matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    rows = int(shape[0]) if len(shape) > 1 else 1
    return rows, math.prod(int(n) for n in shape) // rows


def _cells(block: Evidence, matrix: tuple[int, int], most: int) -> tuple[str, ...]:
    """Letters, from one piece after another: a few rows, or a part of a vector."""
    typical = rms(block.claimed) + block.reference_norm / math.sqrt(block.claimed.size)
    rows, length = matrix
    columns = _bounds(length, most * STRIP if rows == 1 else most)
    if block.uniform:
        letter = _written(_levels(block, 0, 1, typical))
        return (letter * len(columns),) * len(_bounds(rows, most))
    if rows == 1:
        found = [
            np.maximum.reduceat(_levels(block, low, high, typical), starts)
            for low, high, starts in _pieces(columns, 1)
        ]
        return (_written(np.concatenate(found)),)
    across = [low for low, _ in columns]
    written: list[str] = []
    for low, high, starts in _pieces(_bounds(rows, most), length):
        levels = _levels(block, low * length, high * length, typical).reshape(-1, length)
        pooled = np.maximum.reduceat(np.maximum.reduceat(levels, starts, axis=0), across, axis=1)
        written += map(_written, pooled)
    return tuple(written)


def _pieces(bounds: Sequence[tuple[int, int]], width: int) -> Iterator[tuple[int, int, list[int]]]:
    """Ranges put together to about `PIECE` entries, with where each of them starts in it."""
    most = max(1, PIECE // (width * bounds[0][1]))  # the first one begins at 0
    for i in range(0, len(bounds), most):
        group = bounds[i : i + most]
        low = group[0][0]
        yield low, group[-1][1], [start - low for start, _ in group]


def _levels(block: Evidence, low: int, high: int, typical: float) -> NDArray[np.int16]:
    """What the letters of a range of entries stand for; the larger, the more there is to see."""
    error, bar = block.errors(slice(low, high))
    if not error.any():  # NaN is something
        return np.where(np.isnan(bar), _UNKNOWN, _NOTHING).astype(np.int16)
    with np.errstate(all="ignore"):  # errors of 0, typical ones of 0
        decades = np.log10(error / typical) - FIRST
    level = np.clip(np.nan_to_num(np.round(PER_DECADE * decades)), 0, len(LETTERS) - 1)
    level += np.where(error > bar, _CERTAIN, _WITHIN)
    level = np.where(error == 0, _NOTHING, level)
    level = np.where(np.isnan(bar), _UNKNOWN, level)
    return np.where(np.isfinite(error), level, _NOT_FINITE).astype(np.int16)


def _written(levels: Iterable[int]) -> str:
    return "".join(_SHOWN[int(level)] for level in levels)


def _bounds(length: int, most: int) -> list[tuple[int, int]]:
    """At most so many ranges, all about equally long."""
    count = min(length, most)
    ends = [i * length // count for i in range(count + 1)]
    return list(pairwise(ends))


def _points(block: Evidence, most: int) -> tuple[float, tuple[tuple[float, float], ...], int]:
    """Some entries that were measured by themselves, the worst of the wrong ones first."""
    known = [one for one in block.some(most) if math.isfinite(one.claimed + one.numeric)]
    known.sort(key=lambda one: -one.beyond)
    scale = max((max(abs(one.claimed), abs(one.numeric)) for one in known), default=0.0)
    unit = scale or 1.0
    points = tuple((_short(one.claimed / unit), _short(one.numeric / unit)) for one in known)
    return scale, points, sum(one.beyond > 0 for one in known)


def _short(value: float) -> float:
    """Digits that a picture can show."""
    return float(f"{value:.3g}")

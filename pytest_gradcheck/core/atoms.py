"""From a few readings of one error to the entry or the pattern that alone explains them.

An error e that is a multiple c of something known, of one entry or of a pattern h such as the
claimed gradient itself on a row, gives readings that are the same multiple of what h would give:
all readings but one are left to refute it.  With continuous weights a million single entries are
told apart by three readings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .parameters import Array
from .probes import Prober
from .region import PIECE, Region, pieces
from .weights import UNIT

CANDIDATES = 3
"""Entries that may explain the same readings and are worth being measured by themselves."""
SLACK = 1.5
"""Multiple of the error bars within which readings count as explained."""


@dataclass(frozen=True)
class Readings:
    """Discrepancies e.v of one region along several rows of weights, with their error bars."""

    rows: Sequence[int]
    errors: Array
    bars: Array

    def explained_by(self, products: Array) -> tuple[float, float] | None:
        """The constant c for which ``c * products`` is all there is, and its uncertainty."""
        x, y = products / self.bars, self.errors / self.bars
        square = float(x @ x)
        if not square > 0 or np.all(np.abs(y) <= SLACK):  # nothing is explained as well
            return None
        c = float(x @ y) / square
        if not np.all(np.abs(self.errors - c * products) <= SLACK * self.bars):
            return None
        return c, SLACK * float(np.abs(x).sum()) / square


@dataclass(frozen=True)
class Pattern:
    """An error ``c * h`` over some regions, with h the claimed gradient or the parameters."""

    regions: tuple[Region, ...]
    of: str
    constant: float
    uncertainty: float


def entries(
    prober: Prober, regions: Sequence[Region], readings: Readings
) -> list[tuple[Region, int, float]]:
    """Single entries whose error alone explains the readings: region, flat position, error.

    One more than `CANDIDATES` where there are too many for any of them to be likely.
    """
    found: list[tuple[float, Region, int, Array]] = []
    y = readings.errors / readings.bars
    for region in regions:
        unit = UNIT * prober.weight[region.block]
        rows = [prober.weights(region, row).reshape(-1) for row in readings.rows]
        for start in range(0, region.size, PIECE):
            x = np.stack([row[start : start + PIECE] for row in rows]).astype(np.float64)
            scaled = x * (1 / readings.bars)[:, None]
            length = np.sqrt(np.einsum("ri,ri->i", scaled, scaled))
            cosine = np.abs(y @ scaled) / np.where(length > 0, length, np.inf)
            for i in _largest(cosine, CANDIDATES + 1):
                found.append((float(cosine[i]), region, start + int(i), unit * x[:, i]))
        found = sorted(found, key=lambda item: -item[0])[: CANDIDATES + 1]
    explaining = []
    for _, region, i, products in found:
        fit = readings.explained_by(products)
        if fit is not None:
            explaining.append((region, i, fit[0]))
    return explaining


def _largest(values: Array, count: int) -> NDArray[np.intp]:
    """Indices of the largest values, in no order."""
    if len(values) <= count:
        return np.arange(len(values))
    return np.argpartition(values, -count)[-count:]


def pattern(prober: Prober, regions: Sequence[Region], readings: Readings) -> Pattern | None:
    """The simplest multiple of the claimed gradient, or of the parameters, that explains all."""
    for of in ("gradient", "parameter"):
        sources = prober.belief.claimed if of == "gradient" else prober.origin
        sums = {r: _sums(prober, r, readings.rows, sources[r.block]) for r in regions}
        whole = {r: axes[0].sum(axis=1) for r, axes in sums.items()}
        for union in _unions(regions):
            fit = readings.explained_by(sum(whole[r] for r in union))
            if fit is not None:
                return Pattern(tuple(union), of, *fit)
        for region, axes in sums.items():
            for axis, products in enumerate(axes if len(region.shape) > 1 else ()):
                for i in _closest(products, readings):
                    fit = readings.explained_by(products[:, i])
                    if fit is not None:
                        low = region.ranges[axis][0] + i
                        return Pattern((region.narrowed(axis, low, low + 1),), of, *fit)
    return None


def _unions(regions: Sequence[Region]) -> Iterator[list[Region]]:
    """Groups of blocks in which one mistake is often made: all, all matrices, the rest, each."""
    seen: list[list[Region]] = []
    matrices = [r for r in regions if len(r.shape) > 1]
    vectors = [r for r in regions if len(r.shape) <= 1]
    for union in (list(regions), matrices, vectors, *([r] for r in regions)):
        if union and union not in seen:
            seen.append(union)
            yield union


def _sums(prober: Prober, region: Region, rows: Sequence[int], source: Array) -> list[Array]:
    """For every axis the products of source and weights summed over all other axes.

    Returns
    -------
    list of ndarray, shape (rows, length of the axis)
    """
    values = region.of(source)
    shape: tuple[int, ...] = values.shape or (1,)
    values = values.reshape(shape)
    scale = UNIT * prober.weight[region.block]
    totals: list[Array] = [np.zeros((len(rows), n)) for n in shape]
    for k, row in enumerate(rows):
        weights = prober.weights(region, row).reshape(shape)
        for piece in pieces(values):
            product = values[piece] * weights[piece]
            for axis, total in enumerate(totals):
                others = tuple(a for a in range(product.ndim) if a != axis)
                part = total[k, piece] if axis == 0 else total[k]
                part += scale * product.sum(axis=others)
    return totals


def _closest(products: Array, readings: Readings) -> list[int]:
    """Columns most nearly parallel to the readings."""
    x, y = products / readings.bars[:, None], readings.errors / readings.bars
    length: Array = np.linalg.norm(x, axis=0)
    cosine = np.abs(y @ x) / np.where(length > 0, length, np.inf)
    return [int(i) for i in _largest(cosine, CANDIDATES)]

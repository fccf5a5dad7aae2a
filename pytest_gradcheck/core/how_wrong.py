"""How wrong a region is that is wrong throughout: from a few slopes along fresh probes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from .certificate import Certificate
from .located import Found, Throughout
from .parameters import Array
from .probed import Probed, Slopes
from .probes import Prober
from .region import Region

SLOPES, DECISIVE = 4, 12
"""Slopes of a parameter that is wrong throughout: one fixes a constant, three are left.  And those
that follow where the error is about `tol` or `fail`, and proved to be less."""
MANY = 8
"""Parameters wrong throughout from which on the readings that found them have to do for slopes."""


class HowWrong:
    """Slopes of whole parameters, and what they prove.

    Parameters
    ----------
    prober : Prober
    blocks : sequence of Probed
        Where the slopes are noted.
    rows : iterator of int
        Rows of weights not used yet.
    target : float
        Error bar aimed at along a probe.
    tol, fail, confidence : float
        As in `Settings`.
    limit : float
        Largest number of evaluations of the loss.
    """

    def __init__(
        self,
        prober: Prober,
        blocks: Sequence[Probed],
        rows: Iterator[int],
        *,
        target: float,
        tol: float,
        fail: float,
        confidence: float,
        limit: float,
    ) -> None:
        self.prober, self.blocks, self._rows, self.target = prober, blocks, rows, target
        self.tol, self.fail, self.confidence, self.limit = tol, fail, confidence, limit

    def measure(self, wrong: Throughout, found: Found) -> None:
        """Slopes along which causes can be told apart, where a whole parameter is wrong.

        More of them where the verdict hangs on how many there are; where it is one of many, the
        readings that found it have to do.
        """
        if not wrong.region.is_whole or self.prober.loss.evaluations >= self.limit:
            return
        same = [part for part in found.throughout if part.region.block == wrong.region.block]
        if found.dense_blocks <= MANY or len(same) > 1:
            self._add(wrong.region, SLOPES)
        else:
            self._note(wrong.region, wrong.readings.rows, wrong.slopes, wrong.readings.bars)
        apart = self.apart(wrong)
        least, typical = apart.least(self.confidence) / 2, apart.typical / 2
        if any(least < 2 * limit and limit <= typical for limit in (self.tol, self.fail)):
            self._add(wrong.region, DECISIVE)

    def _add(self, region: Region, count: int) -> None:
        rows = list(itertools.islice(self._rows, count))
        found = [self.prober.read((region,), row, target=self.target) for row in rows]
        values = np.array([reading.value for reading in found])
        self._note(region, rows, values, np.array([reading.bar for reading in found]))

    def _note(self, region: Region, rows: Sequence[int], values: Array, bars: Array) -> None:
        block = self.blocks[region.block]
        if block.slopes is None:
            seed, weight = self.prober.seed, self.prober.weight[region.block]
            block.slopes = Slopes(seed, tuple(rows), region.block, weight, values, bars)
        else:
            block.slopes = block.slopes.extended(tuple(rows), values, bars)

    def apart(self, wrong: Throughout) -> Certificate:
        """What is proved of the error in a region that is wrong throughout.

        By the readings that found it, and by the slopes that were measured of it since.
        """
        errors, bars = wrong.readings.errors, wrong.readings.bars
        block, region = self.blocks[wrong.region.block], (wrong.region,)
        if wrong.region.is_whole and block.slopes is not None:
            new = [row not in wrong.readings.rows for row in block.slopes.rows]
            more = block.slopes.of(block.corrected) - block.slopes.values
            errors = np.concatenate([errors, more[new]])
            rounding = self.prober.belief.rounding_bar(region)
            bars = np.concatenate([bars, block.slopes.bars[new] + rounding])
        return Certificate(region, {}, errors, bars, np.zeros(errors.size))

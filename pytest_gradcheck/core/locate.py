"""From a discrepancy along random directions to the entries, rows or blocks that are wrong.

The set of all entries is divided, heaviest part first.  Readings are linear: when one half is
measured along a row of weights, the other half's reading is what is left of the whole's.  At every
part it is asked first whether a single entry, or a multiple of something known, alone explains the
readings (`atoms`); what is found is measured by itself, taken out of the believed gradient, and the
search goes on with what remains.  Where single entries picked at random all are wrong, the part is
wrong throughout, and is not searched entry by entry.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from .atoms import CANDIDATES, Pattern, Readings, entries, pattern
from .dense import SMALL, Dense
from .derivative import Derivative
from .located import Found
from .part import Part
from .probes import Prober
from .reading import Reading
from .region import Region
from .single_entries import OutOfBudgetError, SingleEntries

ROWS = 3
"""Rows of weights by which a part is examined: one fixes a constant, two are left to refute it."""
MOST_ROWS = 8
"""Most rows that are read to tell which of a part's entries is the one that is wrong."""
RELATIVE = 3e-4
"""Error bar aimed at in the search, as a part of the discrepancy that is searched for."""
EXAMPLES = 3
"""Entries measured by themselves as examples of a pattern."""


class Search:
    """The search of the module.

    Parameters
    ----------
    prober : Prober
        Its believed gradient is corrected by what is found.
    target : float
        Error bar aimed at, as in `Prober.read`, where the discrepancy does not allow more.
    rows : iterator of int
        Rows of weights not used yet.
    rng : numpy.random.Generator
        Picks the entries that are sampled.
    """

    def __init__(
        self, prober: Prober, *, target: float, rows: Iterator[int], rng: np.random.Generator
    ) -> None:
        self.prober, self.target, self.rows = prober, target, rows
        self.found = Found()
        self.entries = SingleEntries(prober, self.found, target=target, rng=rng)
        self.dense = Dense(self.entries)
        self._heap: list[tuple[float, int, Part]] = []
        self._order = itertools.count()
        self._goal = target
        self.exhausted = False

    def run(self, part: Part, *, limit: float) -> None:
        """Search a part, with at most `limit` evaluations of the loss in all.

        What could not be searched within it is in ``found.left``.
        """
        self.entries.limit = limit
        known = min(reading.bar for reading in part.readings.values())
        self._goal = max(self.target, RELATIVE * self._weight(part), known)
        self._push(part)
        try:
            while self._heap:
                current = self._heap[0][2]
                self._examine(current)
        except OutOfBudgetError:
            self.exhausted = True
            self.found.left += [region for _, _, part in self._heap for region in part.regions]
            self._heap.clear()

    def is_dirty(self, part: Part) -> bool:
        """Whether a reading differs from what is believed by more than its error bar."""
        known = self._compared(part)
        return bool(np.any(np.abs(known.errors) > known.bars))

    def _push(self, part: Part) -> None:
        if self.is_dirty(part):
            heapq.heappush(self._heap, (-self._weight(part), next(self._order), part))

    def _weight(self, part: Part) -> float:
        known = self._compared(part)
        return float(np.sqrt(np.mean(known.errors**2)))

    def _compared(self, part: Part) -> Readings:
        return part.compared(self.prober, self.found.skip)

    def _examine(self, part: Part) -> None:
        """Explain the heaviest part, or divide it; it leaves the heap when that is done."""
        if part.size == 1:
            region = part.regions[0]
            if self.entries.take(region.block, region.flat(0)) and self.dense.is_in_wrong_slice(
                region
            ):
                self._heap.clear()  # it was not divided so that slices stay whole: once more
                return
            after = []
        else:
            after = [part] if self._explained(part) else self._divided(part)
        heapq.heappop(self._heap)
        for each in after:
            self._push(each)

    def _explained(self, part: Part) -> bool:
        """Whether an entry or a pattern was found that alone explains the part, and taken out."""
        if len(part.readings) < ROWS or not np.all(np.isfinite(self._compared(part).bars)):
            return False
        candidates = entries(self.prober, part.regions, self._compared(part))
        while len(candidates) > CANDIDATES and len(part.readings) < MOST_ROWS:
            row = next(self.rows)  # which by far fewer explain, where halving leaves half of them
            part.readings[row] = self._read(part.regions, row)
            candidates = entries(self.prober, part.regions, self._compared(part))
        for region, position, constant in candidates if len(candidates) <= CANDIDATES else ():
            if self.entries.take(region.block, region.flat(position), constant):
                return True
        found = pattern(self.prober, part.regions, self._compared(part))
        return found is not None and self._take_pattern(found)

    def _take_pattern(self, found: Pattern) -> bool:
        """Correct a pattern that its largest entries, each measured by itself, bear out."""
        belief = self.prober.belief
        sources = belief.claimed if found.of == "gradient" else self.prober.origin
        errors = [region.of(sources[region.block]) * found.constant for region in found.regions]
        count = sum(int(np.count_nonzero(error)) for error in errors)
        if count <= SMALL and count < sum(error.size for error in errors):  # of a sparse row, say
            found_any = False
            for region, error in zip(found.regions, errors, strict=True):
                for position in np.flatnonzero(error):
                    found_any |= self.entries.take(region.block, region.flat(int(position)))
            return found_any
        examples: dict[tuple[int, int], Derivative] = {}
        for region, error in zip(found.regions, errors, strict=True):
            count = -(-EXAMPLES // len(errors))
            for position in np.argsort(-np.abs(error), axis=None)[:count]:
                i, expected = region.flat(int(position)), float(error.flat[position])
                seen, measured = self.entries.error(region.block, i)
                off = abs(seen - expected)
                shown = abs(expected) > measured.uncertainty
                if not shown or off > measured.uncertainty + RELATIVE * abs(expected):
                    return False
                examples[region.block, i] = measured
        self.found.patterns.append(found)
        self.found.entries |= examples
        relative = found.uncertainty / abs(found.constant)
        for region, error in zip(found.regions, errors, strict=True):
            belief.correct(region, -error, relative * float(np.linalg.norm(error)))
        return True

    def _read(self, regions: Sequence[Region], row: int) -> Reading:
        self.entries.require_budget()
        return self.prober.read(regions, row, target=self._goal, skip=self.found.skip)

    def _divided(self, part: Part) -> list[Part]:
        """The halves of a part that are wrong; none if the part turns out wrong throughout."""
        if len(part.regions) > 1:
            middle = len(part.regions) // 2
            return self._halved(part, part.regions[:middle], part.regions[middle:])
        region = part.regions[0]
        if not part.sparse and self.dense.is_one_of_many(part):
            return []
        slices = self.dense.slices.get(region.block)
        if slices is not None and not part.sparse:
            if region.ranges[slices][1] - region.ranges[slices][0] > 1:
                first, second = region.halves(slices)
                return self._halved(part, (first,), (second,))
            if self.dense.is_throughout(part):
                return []
            part = replace(part, sparse=True)
        axes = region.axes()
        if part.sparse:
            first, second = region.halves(axes[0])
            return self._halved(part, (first,), (second,))
        ways = []
        for axis in axes:
            first, second = region.halves(axis)
            halves = self._first_row(part, (first,), (second,))
            dirty = [self.is_dirty(half) for half in halves]
            if not all(dirty):
                return self._kept(part, halves, dirty)
            ways.append(halves)
        if region.size <= SMALL:
            self.dense.measure_wholly(region)
            return []
        if self.dense.is_throughout(part):
            return []
        return self._both(replace(part, sparse=True), ways[0])

    def _first_row(
        self, part: Part, a: tuple[Region, ...], b: tuple[Region, ...]
    ) -> tuple[Part, Part]:
        row = next(iter(part.readings))
        reading = self._read(a, row)
        return Part(a, {row: reading}), Part(b, {row: part.readings[row] - reading})

    def _kept(self, part: Part, halves: tuple[Part, Part], dirty: Sequence[bool]) -> list[Part]:
        """The one half that is wrong, with the readings of the whole less those of the other."""
        if not any(dirty):
            return []
        half, right = halves if dirty[0] else halves[::-1]
        readings = dict(half.readings)
        for row, whole in part.readings.items():
            if row not in readings:
                believed = self.prober.expected(right.regions, row, self.found.skip)
                bar = next(iter(right.readings.values())).bar
                readings[row] = whole - Reading(believed, bar)
        return [Part(half.regions, readings, part.sparse)]

    def _halved(self, part: Part, a: tuple[Region, ...], b: tuple[Region, ...]) -> list[Part]:
        halves = self._first_row(part, a, b)
        dirty = [self.is_dirty(half) for half in halves]
        return self._both(part, halves) if all(dirty) else self._kept(part, halves, dirty)

    def _both(self, part: Part, halves: tuple[Part, Part]) -> list[Part]:
        """Both halves, with as many readings as a search needs."""
        first, second = halves
        for row in list(part.readings)[1:ROWS]:
            reading = self._read(first.regions, row)
            first.readings[row] = reading
            second.readings[row] = part.readings[row] - reading
        return [replace(half, sparse=part.sparse) for half in (first, second)]

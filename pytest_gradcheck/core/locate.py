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
from dataclasses import dataclass, field, replace

import numpy as np

from .atoms import CANDIDATES, Pattern, Readings, entries, pattern
from .differences import Derivative
from .located import Found, Throughout
from .probes import Prober, Reading
from .region import Region

ROWS = 3
"""Rows of weights by which a part is examined: one fixes a constant, two are left to refute it."""
MOST_ROWS = 8
"""Most rows that are read to tell which of a part's entries is the one that is wrong."""
RELATIVE = 3e-4
"""Error bar aimed at in the search, as a part of the discrepancy that is searched for."""
SAMPLED = 6
"""Entries picked at random that must all be wrong before a part is said to be wrong throughout."""
WIDESPREAD, GLANCE = 3, 2
"""Parameters wrong throughout from which on it matters which others are wrong, and no longer where
in these: a gradient that goes wrong on its way back through a network is wrong in all that lies
behind.  And entries by which it is told whether all of a parameter, a row or a column is."""
MORE, MOST_OF = 12, 9
"""Entries picked where only some of the first are, and how many of them make it nearly throughout:
a search one by one would cost more than it tells."""
SMALL = 32
"""Entries up to which all of a part are measured rather than a few of them."""
EXAMPLES = 3
"""Entries measured by themselves as examples of a pattern."""


@dataclass(frozen=True)
class Part:
    """Some regions, and what probes restricted to them read.

    `sparse` says that an entry in it was found right, and that halving along no axis narrows it.
    """

    regions: tuple[Region, ...]
    readings: dict[int, Reading]
    sparse: bool = False
    known: dict[tuple[int, int], Readings] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(region.size for region in self.regions)


class OutOfBudgetError(Exception):
    """The evaluations allowed are used up."""


class Search:
    """The search of the module.

    Parameters
    ----------
    prober : Prober
        Its believed gradient is corrected by what is found.
    target : float
        Error bar aimed at, as in `Prober.read`, where the discrepancy does not allow more.
    limit : float
        Number of evaluations of the loss at which the search ends.
    rows : iterator of int
        Rows of weights not used yet.
    rng : numpy.random.Generator
        Picks the entries that are sampled.
    """

    def __init__(
        self,
        prober: Prober,
        *,
        target: float,
        limit: float,
        rows: Iterator[int],
        rng: np.random.Generator,
    ) -> None:
        self.prober, self.target, self.limit = prober, target, limit
        self.rows, self.rng = rows, rng
        self.found = Found()
        self._measured: dict[tuple[int, int], Derivative] = {}
        self._slices: dict[int, int | None] = {}  # by block, the axis across which slices are wrong
        self._heap: list[tuple[float, int, Part]] = []
        self._order = itertools.count()
        self._goal = target
        self.exhausted = False

    def run(self, part: Part) -> None:
        """Search a part; what could not be searched within the limit is in ``found.left``."""
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
        known = self._readings(part)
        return bool(np.any(np.abs(known.errors) > known.bars))

    def _push(self, part: Part) -> None:
        if self.is_dirty(part):
            heapq.heappush(self._heap, (-self._weight(part), next(self._order), part))

    def _weight(self, part: Part) -> float:
        known = self._readings(part)
        return float(np.sqrt(np.mean(known.errors**2)))

    def _readings(self, part: Part) -> Readings:
        rows = list(part.readings)
        state = (self.prober.belief.corrections, len(rows))
        if state in part.known:
            return part.known[state]
        expected = [self.prober.expected(part.regions, row, self.found.skip) for row in rows]
        errors = np.array(expected) - [part.readings[row].value for row in rows]
        bars = np.array([part.readings[row].bar for row in rows])
        belief = self.prober.belief
        bars += belief.rounding_bar(part.regions) + belief.doubt(part.regions)
        known = Readings(rows, errors, bars)
        part.known.clear()
        part.known[state] = known
        return known

    def _examine(self, part: Part) -> None:
        """Explain the heaviest part, or divide it; it leaves the heap when that is done."""
        if part.size == 1:
            region = part.regions[0]
            if self._take_entry(region.block, _flat(region, 0)) and self._is_in_wrong_slice(region):
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
        if len(part.readings) < ROWS or not np.all(np.isfinite(self._readings(part).bars)):
            return False
        candidates = entries(self.prober, part.regions, self._readings(part))
        while len(candidates) > CANDIDATES and len(part.readings) < MOST_ROWS:
            row = next(self.rows)  # which by far fewer explain, where halving leaves half of them
            part.readings[row] = self._read(part.regions, row)
            candidates = entries(self.prober, part.regions, self._readings(part))
        for region, position, constant in candidates if len(candidates) <= CANDIDATES else ():
            if self._take_entry(region.block, _flat(region, position), constant):
                return True
        found = pattern(self.prober, part.regions, self._readings(part))
        return found is not None and self._take_pattern(found)

    def _take_entry(self, block: int, i: int, expected: float | None = None) -> bool:
        """Measure an entry by itself and correct it; False if it is not wrong after all."""
        error, measured = self._error(block, i)
        if not abs(error) > measured.uncertainty:  # NaN where it could not be measured
            return False
        if expected is not None and abs(error - expected) > abs(error) / 2:
            return False
        self._correct(block, i)
        return True

    def _error(self, block: int, i: int) -> tuple[float, Derivative]:
        """What is believed of an entry less what is measured of it, and the measurement."""
        measured = self._measure(block, i)
        believed = float(self.prober.belief.gradient[block][i])
        return believed - measured.nearest(believed), measured

    def _correct(self, block: int, i: int) -> None:
        error, measured = self._error(block, i)
        self.found.entries[block, i] = measured
        entry = Region.whole(block, self.prober.parameters[block].shape).entry_at(i)
        self.prober.belief.correct(entry, -error, measured.uncertainty)

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
                    found_any |= self._take_entry(region.block, _flat(region, int(position)))
            return found_any
        examples: dict[tuple[int, int], Derivative] = {}
        for region, error in zip(found.regions, errors, strict=True):
            count = -(-EXAMPLES // len(errors))
            for position in np.argsort(-np.abs(error), axis=None)[:count]:
                i, expected = _flat(region, int(position)), float(error.flat[position])
                seen, measured = self._error(region.block, i)
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

    def _measure(self, block: int, i: int) -> Derivative:
        if (block, i) not in self._measured:
            self._require_budget()
            scale = 1 / self.prober.weight[block]
            self._measured[block, i] = self.prober.entry(block, i, target=self.target * scale)
        return self._measured[block, i]

    def _read(self, regions: Sequence[Region], row: int) -> Reading:
        self._require_budget()
        return self.prober.read(regions, row, target=self._goal, skip=self.found.skip)

    def _require_budget(self) -> None:
        if self.prober.loss.evaluations >= self.limit:
            raise OutOfBudgetError

    def _divided(self, part: Part) -> list[Part]:
        """The halves of a part that are wrong; none if the part turns out wrong throughout."""
        if len(part.regions) > 1:
            middle = len(part.regions) // 2
            return self._halved(part, part.regions[:middle], part.regions[middle:])
        region = part.regions[0]
        if not part.sparse and self._is_one_of_many(part):
            return []
        slices = self._slices.get(region.block)
        if slices is not None and not part.sparse:
            if region.ranges[slices][1] - region.ranges[slices][0] > 1:
                first, second = region.halves(slices)
                return self._halved(part, (first,), (second,))
            if self._is_throughout(part):
                return []
            part = replace(part, sparse=True)
        axes = region.axes()
        for axis in axes[:1] if part.sparse else axes:
            first, second = region.halves(axis)
            halves = self._first_row(part, (first,), (second,))
            dirty = [self.is_dirty(half) for half in halves]
            if not all(dirty):
                return self._kept(part, halves, dirty)
        if not part.sparse and region.size <= SMALL:
            return self._measured_wholly(region)
        if not part.sparse and self._is_throughout(part):
            return []
        first, second = region.halves(axes[0])
        return self._halved(replace(part, sparse=True), (first,), (second,))

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
        first, second = self._first_row(part, a, b)
        dirty = self.is_dirty(first), self.is_dirty(second)
        if not all(dirty):
            return self._kept(part, (first, second), dirty)
        for row in list(part.readings)[1:ROWS]:
            reading = self._read(a, row)
            first.readings[row] = reading
            second.readings[row] = part.readings[row] - reading
        return [replace(half, sparse=part.sparse) for half in (first, second)]

    def _measured_wholly(self, region: Region) -> list[Part]:
        flats = (_flat(region, position) for position in range(region.size))
        wrong = [self._take_entry(region.block, i) for i in flats]
        if all(wrong):
            self.found.complete.append(region)
        return []

    def _is_in_wrong_slice(self, entry: Region) -> bool:
        """Whether a row or a column, through an entry that is wrong, is wrong as a whole.

        It is asked of the first entry of a parameter that is not found alone in some part.
        """
        axes = [axis for axis, length in enumerate(entry.shape) if length > 1]
        if len(axes) < 2 or entry.block in self._slices:
            return False
        self._slices[entry.block] = None
        for axis in axes:
            through = Region.whole(entry.block, entry.shape).narrowed(axis, *entry.ranges[axis])
            wrong, _ = self._picked(through, GLANCE)
            if len(wrong) == GLANCE:
                self._slices[entry.block] = axis
                return True
        return False

    def _is_one_of_many(self, part: Part) -> bool:
        """Whether so many parameters are wrong that this part is told as such, and not searched."""
        if self.found.dense_blocks < WIDESPREAD or part.size <= SAMPLED:
            return False
        self._note(part, *self._picked(part.regions[0], GLANCE))
        return True

    def _is_throughout(self, part: Part) -> bool:
        """Whether of entries picked at random most are wrong; those are noted in any case."""
        wrong, count = self._picked(part.regions[0], MORE)
        if len(wrong) >= (SAMPLED if count == SAMPLED else MOST_OF):
            self._note(part, wrong, count)
            return True
        for i in wrong:
            self._correct(part.regions[0].block, i)
        return False

    def _picked(self, region: Region, most: int) -> tuple[list[int], int]:
        """Those that are wrong of entries picked at random, and how many were picked."""
        wrong, count = list[int](), 0
        for position in self.rng.choice(region.size, min(most, region.size), replace=False):
            i, count = _flat(region, int(position)), count + 1
            error, measured = self._error(region.block, i)
            if abs(error) > measured.uncertainty:
                wrong.append(i)
            if (count == 2 and not wrong) or (count == SAMPLED and len(wrong) in (1, SAMPLED)):
                break
        return wrong, count

    def _note(self, part: Part, wrong: list[int], count: int) -> None:
        """Take a part that is wrong in most entries, or in unknown ones, out of the search."""
        region = part.regions[0]
        self.found.entries |= {(region.block, i): self._measure(region.block, i) for i in wrong}
        slopes = np.array([reading.value for reading in part.readings.values()])
        found = Throughout(region, self._readings(part), slopes, len(wrong), count)
        self.found.throughout.append(found)


def _flat(region: Region, position: int) -> int:
    index = region.index_of(position)
    return int(np.ravel_multi_index(index, region.shape)) if index else 0

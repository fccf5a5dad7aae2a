"""Whether many entries are wrong together, told from a few that are picked at random.

A part in which all of these are wrong is wrong throughout, and not searched entry by entry.
"""

from __future__ import annotations

import numpy as np

from .located import Throughout
from .part import Part
from .region import Region
from .single_entries import SAMPLED, SingleEntries

WIDESPREAD, GLANCE = 3, 2
"""Parameters wrong throughout from which on it matters which others are wrong, and no longer where
in these: a gradient that goes wrong on its way back through a network is wrong in all that lies
behind.  And entries by which it is told whether all of a parameter, a row or a column is."""
MORE, MOST_OF = 12, 9
"""Entries picked where only some of the first are, and how many of them make it nearly throughout:
a search one by one would cost more than it tells."""
SMALL, FEW = 32, 64
"""Entries up to which all of a part are measured rather than a few of them; and up to which they
are where it is wrong nearly throughout, so that some are right."""


class Dense:
    """The questions of the module.

    Parameters
    ----------
    entries : SingleEntries
        Measures those that are picked; it knows as well what was found so far.

    Attributes
    ----------
    slices : dict of int to int or None
        By block, the axis across which whole slices are wrong, once that was asked.
    """

    def __init__(self, entries: SingleEntries) -> None:
        self.entries, self.found = entries, entries.found
        self.slices: dict[int, int | None] = {}

    def is_one_of_many(self, part: Part) -> bool:
        """Whether so many parameters are wrong that this part is told as such, and not searched."""
        if self.found.dense_blocks < WIDESPREAD or part.size <= SAMPLED:
            return False
        self._note(part, *self.entries.picked(part.regions[0], GLANCE))
        return True

    def is_throughout(self, part: Part) -> bool:
        """Whether most entries are wrong, so that there is nothing to search.

        Those that were picked and are wrong are noted in any case.
        """
        region = part.regions[0]
        wrong, count = self.entries.picked(region, MORE)
        if len(wrong) >= (SAMPLED if count == SAMPLED else MOST_OF):
            if count > SAMPLED and region.size <= FEW:
                self.measure_wholly(region)
            else:
                self._note(part, wrong, count)
            return True
        for i in wrong:
            self.entries.correct(region.block, i)
        return False

    def is_in_wrong_slice(self, entry: Region) -> bool:
        """Whether a row or a column, through an entry that is wrong, is wrong as a whole.

        It is asked of the first entry of a parameter that is not found alone in some part.
        """
        axes = [axis for axis, length in enumerate(entry.shape) if length > 1]
        if len(axes) < 2 or entry.block in self.slices:
            return False
        self.slices[entry.block] = None
        for axis in axes:
            through = Region.whole(entry.block, entry.shape).narrowed(axis, *entry.ranges[axis])
            wrong, _ = self.entries.picked(through, GLANCE, beside=entry.flat(0))
            if len(wrong) == GLANCE:
                self.slices[entry.block] = axis
                return True
        return False

    def measure_wholly(self, region: Region) -> None:
        """Measure all entries, and correct those that are wrong."""
        wrong = [self.entries.take(region.block, region.flat(k)) for k in range(region.size)]
        if all(wrong):
            self.found.complete.append(region)

    def _note(self, part: Part, wrong: list[int], count: int) -> None:
        """Take a part that is wrong in most entries, or in unknown ones, out of the search."""
        region = part.regions[0]
        known = {(region.block, i): self.entries.measured(region.block, i) for i in wrong}
        self.found.entries |= known
        readings = part.compared(self.entries.prober, self.found.skip)
        slopes = np.array([reading.value for reading in part.readings.values()])
        found = Throughout(region, readings, slopes, len(wrong), count)
        self.found.throughout.append(found)

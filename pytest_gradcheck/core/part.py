"""A part of all entries, and what probes restricted to it say of the believed gradient there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .atoms import Readings
from .probes import Prober
from .reading import Reading
from .region import Region


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

    def compared(self, prober: Prober, skip: Sequence[Region]) -> Readings:
        """By how much the readings differ from what is believed by now, and their error bars."""
        rows, belief = list(self.readings), prober.belief
        state = (belief.corrections, len(rows))
        if state in self.known:
            return self.known[state]
        expected = [prober.expected(self.regions, row, skip) for row in rows]
        errors = np.array(expected) - [self.readings[row].value for row in rows]
        bars = np.array([self.readings[row].bar for row in rows])
        bars += belief.rounding_bar(self.regions) + belief.doubt(self.regions)
        known = Readings(rows, errors, bars)
        self.known.clear()
        self.known[state] = known
        return known

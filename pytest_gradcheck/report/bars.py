"""A relative error as a bar on a logarithmic scale, with the thresholds marked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .cells import Line, Span

SOLID, DOUBT, TICK = "━", "─", "┊"
DECADES_BELOW = 3
"""How far below `tol` the scale begins."""


@dataclass(frozen=True)
class Scale:
    """From `low` to 1 in so many cells.

    Attributes
    ----------
    cells : int
    low : float
    thresholds : mapping of str to float
    """

    cells: int
    low: float
    thresholds: Mapping[str, float]

    @classmethod
    def of(cls, settings: Mapping[str, Any], cells: int) -> Scale:
        """The scale on which a check with these settings is judged."""
        defaults = {"tol": 1e-7, "warn": 1e-5, "fail": 1e-3}
        thresholds = {name: float(settings.get(name, d)) for name, d in defaults.items()}
        low = 10.0 ** max(math.floor(math.log10(thresholds["tol"]) + 1e-9) - DECADES_BELOW, -16)
        return cls(cells, low, thresholds)

    def position(self, value: float) -> float:
        """Where a value lies, in cells from the left."""
        if not value > self.low:
            return 0.0
        return self.cells * min(1.0, 1 - math.log10(min(value, 1.0)) / math.log10(self.low))

    def bar(self, value: float, bound: float, style: str) -> Line:
        """A bar up to `value`, a thin line from there to `bound`, and what thresholds are left."""
        if math.isnan(value):
            return (Span("?" * self.cells, style),)
        solid = math.ceil(self.position(value) - 1e-9)
        doubt = self.cells if not math.isfinite(bound) else round(self.position(bound))
        doubt = max(doubt, solid)
        ticks = {min(round(self.position(t)), self.cells - 1) for t in self.thresholds.values()}
        rest = "".join(TICK if i in ticks else " " for i in range(doubt, self.cells)).rstrip()
        return (
            Span(SOLID * solid, style),
            Span(DOUBT * (doubt - solid), style),
            Span(rest, "faint"),
        )

    def axis(self) -> str:
        """The line above the bars: names of the thresholds where they lie, and the ends."""
        row = [" "] * self.cells
        ends = [("1", self.cells - 1), (f"{self.low:.0e}", 0)]
        marks = [(n, round(self.position(self.thresholds[n]))) for n in ("fail", "tol", "warn")]
        for label, start in marks + ends:
            around = row[max(start - 1, 0) : start + len(label) + 1]
            if start + len(label) <= self.cells and not "".join(around).strip():
                row[start : start + len(label)] = label
        return "".join(row).rstrip()

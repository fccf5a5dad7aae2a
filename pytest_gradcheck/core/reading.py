"""What one probe read."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .derivative import Derivative
from .ladder import Ladder

FURTHER = 16
"""Steps so much longer than those a slope rests on are far longer."""


@dataclass(frozen=True)
class Reading:
    """The measured derivative along one direction, its error bar, and the steps it rests on.

    It `strays` where the first steps, far longer, had another slope.
    """

    value: float
    bar: float
    noise: float = 0.0
    kink: bool = False
    reach: float = 0.0
    strays: bool = False

    def __sub__(self, part: Reading) -> Reading:
        """What is left for the rest of a region when a part of it was measured."""
        return Reading(
            self.value - part.value,
            self.bar + part.bar,
            math.hypot(self.noise, part.noise),
            self.kink or part.kink,
        )


def astray(ladder: Ladder, found: Derivative) -> float:
    """By how many error bars far longer steps agree on another slope than what was found.

    On both sides of the point: across kinks they do not.
    """
    return max(
        (
            abs(longer.value - found.value)
            / (longer.truncation + abs(longer.jump) / 2 + found.uncertainty)
            for longer in ladder.estimates()
            if longer.finest >= FURTHER * found.step
        ),
        default=0.0,
    )

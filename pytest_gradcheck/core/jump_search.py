"""Where probes contradict a claim, or each other: do they read slopes between jumps of the loss?"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from .across import slopes_across
from .certificate import Certificate
from .certifier import Certifier, Group, Row
from .derivative import Derivative
from .jumps import FAR, SECANTS, ShortSteps
from .ladder import FINEST
from .probed import Probed
from .probes import FIRST_STEP
from .reading import Reading

JUMPY = 3
"""Probes, of those whose longer steps had another slope, along which jumps of the loss are looked
for; and along the one that contradicts most, whatever its steps."""

WORTH = 1e-4
"""Difference from a claim, relative, from which it is worth while to look for jumps behind it."""


@dataclass
class JumpSearch:
    """The search of the module, along rows of probes.

    Attributes
    ----------
    certifier : Certifier
    blocks : sequence of Probed
        Those that are measured across jumps are marked.
    limit : float
        Evaluations of the loss after which no more rows are looked along.
    """

    certifier: Certifier
    blocks: Sequence[Probed]
    limit: float

    def run(self, group: Group, readings: Iterable[Row]) -> bool:
        """Whether any of these, or of those that stray, is a slope between jumps of the loss.

        They are taken for noise then, and what was corrected in the group is given up.
        """
        prober, strays = self.certifier.prober, self.certifier.stray[:JUMPY]
        self.certifier.stray = []
        for row, reading in itertools.chain(strays, readings):
            if prober.loss.evaluations >= self.limit:
                break
            height = self.height(group, row, reading)
            if height and prober.take_jumps_for_noise(group, row, height):
                for region in group:
                    self.blocks[region.block].jumps += 1
                    self.blocks[region.block].slopes = None
                prober.belief.restore(region.block for region in group)
                return True
        return False

    def height(self, group: Group, row: int, reading: Reading) -> float:
        """Height of a jump along a row, where what was read is a slope between jumps, or 0."""
        if reading.kink or not reading.reach:
            return 0.0
        prober = self.certifier.prober
        direction, longest = prober.direction(group, row), prober.longest(group)
        claim, at = direction.slope(prober.belief.claimed), cache(prober.along(direction, {}))
        ladder = prober.ladder(lambda h: (h, at(h), h, at(-h)), FIRST_STEP, longest, FINEST)
        short = ShortSteps(ladder, at, longest, reading.value, reading.bar, reading.reach)

        def across() -> Iterator[Derivative]:
            return slopes_across(ladder.sample, longest, noise=prober.noise)

        worth = max(reading.bar, WORTH * abs(reading.value))
        if abs(claim - reading.value) > worth and short.explained(claim, across()):
            return short.jump_towards(claim)
        parts = SECANTS if reading.strays else SECANTS[:1]
        return short.jump_on_the_way(parts) if short.between_jumps(parts, across()) else 0.0

    def odd(self, group: Group, certificate: Certificate) -> Iterator[Row]:
        """The reading that contradicts most; where others agree, once more by steps like theirs."""
        off = np.abs(certificate.errors) - certificate.bars
        if np.max(off) > 0:
            yield list(certificate.readings.items())[int(np.argmax(off))]
        if np.min(off) <= 0:
            yield from self.again(group, certificate)

    def again(self, group: Group, certificate: Certificate) -> Iterator[Row]:
        """The same, by the steps taken now, if it contradicts by far."""
        off = np.abs(certificate.errors) - certificate.bars
        most = int(np.argmax(off))
        if off[most] > FAR * certificate.bars[most]:
            row = list(certificate.readings)[most]
            yield row, self.certifier.prober.read(group, row, target=self.certifier.target)

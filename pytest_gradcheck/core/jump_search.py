"""Where probes contradict a claim, or each other: do they read slopes between jumps of the loss?"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .certificate import Certificate
from .certifier import Certifier, Group, Row
from .jumps import FAR
from .probed import Probed

JUMPY = 3
"""Probes, of those whose longer steps had another slope, along which jumps of the loss are looked
for; and along the one that contradicts most, whatever its steps."""


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
            height = prober.jump(group, row, reading)
            if height and prober.take_jumps_for_noise(group, row, height):
                for region in group:
                    self.blocks[region.block].jumps += 1
                    self.blocks[region.block].slopes = None
                prober.belief.restore(region.block for region in group)
                return True
        return False

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

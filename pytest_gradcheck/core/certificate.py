"""What a handful of probes proves of the norm of an error."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from .ladder import SIGMAS
from .parameters import Array
from .reading import Reading
from .region import Region
from .weights import greatest_length, least_length


@dataclass(frozen=True)
class Certificate:
    """What the probes of one group of blocks prove of the believed gradient.

    Attributes
    ----------
    errors, bars : ndarray
        Discrepancies along the probes, and their error bars.
    noise : ndarray
        The part of the error bars that is random.
    doubt : float
        How far corrections may have left what is believed of a reading.  It explains a
        discrepancy; the bound on the error that is left holds with it or without.
    """

    regions: tuple[Region, ...]
    readings: dict[int, Reading]
    errors: Array
    bars: Array
    noise: Array
    doubt: float = 0.0

    def of(self, region: Region) -> Certificate:
        """What it proves of one of its regions by itself: the same, as probes move all of them."""
        return self

    @property
    def clean(self) -> bool:
        return bool(np.all(np.abs(self.errors) <= self.bars + self.doubt))

    @property
    def typical(self) -> float:
        """The norm of all errors, each times the weight of its block, as probes estimate it."""
        return float(np.sqrt(np.mean(self.errors**2)))

    def most(self, confidence: float) -> float:
        """Upper bound on the norm of all errors, each times the weight of its block.

        Noise is in the discrepancies already and makes none of them likelier to be small; what
        the error bars hold beside it is added.
        """
        seen = np.maximum(np.abs(self.errors), self.noise / SIGMAS)
        length = float(np.linalg.norm(seen + self.bars - self.noise))
        return length / least_length(len(self.errors), confidence)

    def least(self, confidence: float) -> float:
        """Lower bound on the same."""
        length = float(np.linalg.norm(np.maximum(np.abs(self.errors) - self.bars - self.doubt, 0)))
        return length / greatest_length(len(self.errors), confidence)


@dataclass(frozen=True)
class Complete(Certificate):
    """The same of a few entries that were all measured by themselves: nothing is left to chance."""

    def of(self, region: Region) -> Certificate:
        before = itertools.takewhile(lambda other: other != region, self.regions)
        start = sum(other.size for other in before)
        own = slice(start, start + region.size)
        return replace(
            self,
            regions=(region,),
            errors=self.errors[own],
            bars=self.bars[own],
            noise=self.noise[own],
        )

    @property
    def typical(self) -> float:
        return float(np.linalg.norm(self.errors))

    def most(self, confidence: float) -> float:
        return float(np.linalg.norm(np.abs(self.errors) + self.bars))

    def least(self, confidence: float) -> float:
        return float(np.linalg.norm(np.maximum(np.abs(self.errors) - self.bars, 0)))

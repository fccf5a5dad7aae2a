"""What is believed of the gradient: first as claimed, then as corrected, and how surely."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from .measured import COMMON, OWN
from .parameters import Array
from .region import Region

FINE = 1e-12
"""Rounding of a claim that is too fine to matter beside any error bar."""
DOUBT = 2.0
"""Largest reading, about, of an error of norm 1 in a single entry: its weight is below sqrt(3)."""


class Belief:
    """The believed gradient, and by how much it may be off where readings are compared with it.

    Parameters
    ----------
    claimed : sequence of ndarray
        Gradients as claimed, flat.
    rounding : sequence of float
        Relative rounding of the claims as they were handed over.
    weight : sequence of float
        Scale of the weights of each block along probes.

    Attributes
    ----------
    gradient : list of ndarray
        The claims; copies of them once they were corrected.
    corrections : int
        How often it was changed.
    """

    def __init__(
        self, claimed: Sequence[Array], rounding: Sequence[float], weight: Sequence[float]
    ) -> None:
        self.claimed, self.rounding, self.weight = claimed, rounding, weight
        self.gradient = list(claimed)
        self.corrections = 0
        self._doubts: list[tuple[Region, float]] = []

    def correct(self, region: Region, by: Array | float, uncertainty: float) -> None:
        """Believe what was believed plus `by` in a region, the norm of which is this uncertain."""
        block = region.block
        self.corrections += 1
        if self.gradient[block] is self.claimed[block]:
            self.gradient[block] = self.claimed[block].copy()
        view = region.of(self.gradient[block])
        view += by
        self._doubts.append((region, DOUBT * uncertainty * self.weight[block]))

    def restore(self, blocks: Iterable[int]) -> None:
        """Believe the claims of some blocks again, whatever was corrected in them."""
        for block in blocks:
            self.gradient[block] = self.claimed[block]
            self._doubts = [doubt for doubt in self._doubts if doubt[0].block != block]
        self.corrections += 1

    def doubt(self, regions: Sequence[Region]) -> float:
        """By how much a reading over some regions may be off for the corrections made there."""
        doubts = (
            doubt * math.sqrt(region.in_common(where) / where.size)
            for where, doubt in self._doubts
            for region in regions
        )
        return math.hypot(*doubts)

    def rounding_bar(self, regions: Sequence[Region]) -> float:
        """By how much it may be off for the rounding of the claim itself."""
        parts = []
        for region in regions:
            i, claim = region.block, self.claimed[region.block]
            own = part = math.sqrt(region.size / claim.size)
            if self.rounding[i] > FINE:  # large enough to matter: as large as these entries are
                own = float(np.linalg.norm(region.of(claim))) * self.weight[i]
            parts.append(self.rounding[i] * (OWN * own + COMMON * part))
        return math.hypot(*parts)

"""Few entries are measured each by itself: no more work than probes of them, and it says more.

A single entry can be moved much further than a random direction through all of them, by its own
size or by that of its block, and so stands out of more noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from .certificate import Certificate, Complete
from .derivative import Derivative
from .differences import CERTAIN
from .probed import Probed
from .probes import FIRST_STEP
from .reading import Reading
from .region import Region
from .single_entries import OutOfBudgetError, SingleEntries

FEW = 8
"""Number of entries up to which each is measured by itself."""


def measured_each(
    group: Sequence[Region], blocks: Sequence[Probed], entries: SingleEntries
) -> Certificate | None:
    """What measuring every entry of a group proves; None where there are many.

    And at kinks, between jumps of the loss, and where no evaluations are left.
    """
    if sum(region.size for region in group) > FEW:
        return None
    prober = entries.prober
    prober.first_alone, prober.strayed = FIRST_STEP, False
    try:
        found = list(_errors(group, blocks, entries))
    except OutOfBudgetError:
        return None
    measured = [derivative for *_, derivative in found]
    if prober.strayed or any(d.kink or not math.isfinite(d.value) for d in measured):
        return None
    return Complete(
        regions=tuple(group),
        readings={k: Reading(d.value, d.uncertainty) for k, d in enumerate(measured)},
        errors=np.array([error * block.weight for block, _, error, _, _ in found]),
        bars=np.array([bar * block.weight for block, _, _, bar, _ in found]),
        noise=np.zeros(len(found)),
    )


def take_certain(group: Sequence[Region], blocks: Sequence[Probed], entries: SingleEntries) -> None:
    """Correct the entries that are certainly wrong, though probes did not see it."""
    for _, (b, i), error, bar, _ in _errors(group, blocks, entries):
        if abs(error) > CERTAIN * bar:
            entries.take(b, i)


def _errors(
    group: Sequence[Region], blocks: Sequence[Probed], entries: SingleEntries
) -> Iterator[tuple[Probed, tuple[int, int], float, float, Derivative]]:
    """Block, place, error and error bar of every entry, and what was measured of it."""
    for region in group:
        block = blocks[region.block]
        for i in range(region.size):
            error, measured = entries.error(region.block, i)
            rounding = float(block.rounding(float(block.claimed[i])))
            yield block, (region.block, i), error, measured.uncertainty + rounding, measured

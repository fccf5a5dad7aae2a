"""The calibration bank: correct functions with exact gradients, and wrong gradients of them.

The error bars of the checker are calibrated on the part called "tuning". The part "held-out" was
kept from that, but both have been looked at since, when defects were mended. The part "fresh" was
written after all that, and has been looked at by now as well. The part "final" was written last,
without a look at what the checker makes of it, and is for the final figures: nothing may be
adjusted to it. The part "optima" is of float32 beside an optimum alone. Losses of which one part is
in single precision came last, to the tuning and the held-out part, and logarithms of what is left
of 1. All variants of one family are in one part; a part is called a half, of which there were two
at first.
"""

from __future__ import annotations

from collections.abc import Iterator

from . import (
    architectures,
    blocks,
    corners,
    dynamics,
    econometrics,
    functions,
    hard,
    heredity,
    instruments,
    kinks,
    landscapes,
    left_of_one,
    likelihoods,
    markets,
    matrices,
    matter,
    motion,
    networks,
    noise,
    objectives,
    optima,
    partly_single,
    physics,
    rounding,
    signals,
    special,
    spectra,
    vision,
)
from .base import KINDS, Case, Mutant, build, drafts

__all__ = ["KINDS", "Case", "Mutant", "cases"]

MODULES = (
    functions,
    likelihoods,
    networks,
    matrices,
    physics,
    special,
    kinks,
    hard,
    noise,
    landscapes,
    econometrics,
    signals,
    vision,
    architectures,
    dynamics,
    corners,
    spectra,
    rounding,
    heredity,
    blocks,
    objectives,
    optima,
    instruments,
    motion,
    matter,
    markets,
    partly_single,
    left_of_one,
)


def cases(half: str | None = None, kind: str | None = None) -> Iterator[Case]:
    """The cases of one half or of all, of one kind or all, each built when it is asked for."""
    for family, its_half, draft in drafts(half, kind):
        yield build(family, its_half, draft)

"""The calibration bank: correct functions with exact gradients, and wrong gradients of them.

The error bars of the checker are calibrated on the half called "tuning"; the other half,
"held-out", is for final figures only. All variants of one family are in one half.
"""

from __future__ import annotations

from collections.abc import Iterator

from . import functions, hard, kinks, likelihoods, matrices, networks, noise, physics, special
from .base import KINDS, Case, Mutant, build, drafts

__all__ = ["KINDS", "Case", "Mutant", "cases"]

MODULES = (functions, likelihoods, networks, matrices, physics, special, kinks, hard, noise)


def cases(half: str | None = None, kind: str | None = None) -> Iterator[Case]:
    """The cases of one half or both, of one kind or all, each built when it is asked for."""
    for family, its_half, draft in drafts(half, kind):
        yield build(family, its_half, draft)

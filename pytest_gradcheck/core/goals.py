"""How closely an entry is to be measured, so that its error bar does not matter in the verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .cancelled import is_cancelled
from .measured import NEGLIGIBLE, Measured, rms
from .parameters import Array

SETTLED = 0.03
"""Part of `tol` that one entry may use up and still be settled by its first step."""
ZERO = 1e-4
"""A gradient claimed to be zero is measured as closely as one this small beside the others."""


@dataclass(frozen=True)
class Goals:
    """What is aimed at.

    Attributes
    ----------
    tol, warn : float
        As in `Settings`.
    whole : float
        Norm of the claimed gradient of all parameters.
    """

    tol: float
    warn: float
    whole: float

    def is_negligible(self, claim: Array) -> bool:
        """Whether a claim is zero beside the others, but for its rounding."""
        return float(np.linalg.norm(claim)) <= NEGLIGIBLE * self.whole

    def is_cancelled(self, block: Measured, rounding: float) -> bool:
        """Whether a claim of this relative rounding is what terms that cancel left of a zero."""
        return is_cancelled(
            block.claimed_norm, block.numeric_norm, rounding=rounding, whole=self.whole
        )

    def bars(self, claim: Array) -> Array:
        """Errors of the entries of one parameter that do not matter beside `tol`."""
        if self.is_negligible(claim):
            return np.full(claim.size, SETTLED * self.tol * ZERO * self.whole)
        return SETTLED * self.tol * np.maximum(np.abs(claim), rms(claim))

    def bar_at(self, size: float) -> float:
        """The same of an entry that is about as large as `size`."""
        return SETTLED * self.tol * abs(size)

    def where_noise_forbids(self, bar: float) -> float:
        """What does not matter beside `warn` in place of `tol`."""
        return bar * self.warn / self.tol

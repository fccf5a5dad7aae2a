"""What a few probes tell of the gradient of one parameter."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .derivative import Derivative
from .measured import COMMON, OWN, Measured, Single
from .parameters import Array, Parameter
from .region import Region, dot
from .weights import UNIT, draw


@dataclass(frozen=True)
class Slopes:
    """Derivatives along a few rows of weights over the whole of one parameter.

    Attributes
    ----------
    values, bars : ndarray, shape (rows,)
        As measured, with their error bars.
    """

    seed: int
    rows: tuple[int, ...]
    block: int
    weight: float
    values: Array
    bars: Array

    def extended(self, rows: tuple[int, ...], values: Array, bars: Array) -> Slopes:
        """The same with further rows."""
        return replace(
            self,
            rows=self.rows + rows,
            values=np.concatenate([self.values, values]),
            bars=np.concatenate([self.bars, bars]),
        )

    def of(self, gradient: Array) -> Array:
        """What the same derivatives would be for some gradient of the parameter, flat."""
        rows = (draw(self.seed, row, self.block, gradient.size) for row in self.rows)
        return UNIT * self.weight * np.array([dot(gradient, weights) for weights in rows])


@dataclass
class Probed:
    """What is known of the gradient of one parameter, without one measurement for each entry.

    Attributes
    ----------
    claimed, corrected : ndarray, flat float64
        The gradient as claimed, and as believed once what was found wrong is taken out; one and
        the same array where nothing was.
    weight : float
        Scale of its weights along probes.
    entries : dict of int to Derivative
        Entries that were measured by themselves.
    least, error, most : float
        Norm of the error that is not told apart by entries or patterns: at least, about, at most.
    numeric : float
        Norm of the measured gradient, where the corrected one does not give it.
    negligible : bool
        As in `Measured`.
    slopes : Slopes or None
        Where it is wrong throughout, and no single entry is known.
    dense : list of Region
        Where it is wrong throughout.
    told : bool
        Whether what is wrong in it was found and told as a whole.
    vanishes : bool
        Whether the claim is wrong, and zero is not.
    jumps : int
        Rows of weights along which the loss was seen to jump.
    """

    parameter: Parameter
    claimed: Array
    corrected: Array
    weight: float
    claim_rounding: float
    negligible: bool = False
    entries: dict[int, Derivative] = field(default_factory=dict)
    least: float = 0.0
    error: float = 0.0
    most: float = math.inf
    numeric: float = 0.0
    undecided: bool = False
    told: bool = False
    vanishes: bool = False
    jumps: int = 0
    slopes: Slopes | None = None
    dense: list[Region] = field(default_factory=list)

    @cached_property
    def is_finite(self) -> bool:
        """Whether the claim has no NaN and no infinity."""
        return bool(np.all(np.isfinite(self.claimed)))

    @property
    def untouched(self) -> bool:
        """Whether nothing was found wrong in it."""
        return self.corrected is self.claimed

    @property
    def uniform(self) -> bool:
        """Whether of all entries the same is known."""
        return self.untouched and self.is_finite and not self.entries

    @cached_property
    def claimed_norm(self) -> float:
        return float(np.linalg.norm(self.claimed))

    @property
    def numeric_norm(self) -> float:
        believed = self.claimed_norm if self.untouched else float(np.linalg.norm(self.corrected))
        return max(believed, self.numeric)

    @property
    def reference_norm(self) -> float:
        return self.numeric_norm

    @property
    def scale(self) -> float:
        """Norm of the claimed plus norm of the measured gradient."""
        return self.claimed_norm + self.numeric_norm

    @property
    def coarsest(self) -> float:
        return self.most

    @property
    def kinked(self) -> NDArray[np.intp]:
        """Entries at a kink of the loss, among those measured by themselves."""
        return np.array(sorted(i for i, d in self.entries.items() if d.kink), dtype=np.intp)

    def cancel(self) -> None:
        """Take the claim for a zero whose rounding is all that it holds."""
        self.negligible, self.corrected, self.slopes = True, self.claimed, None
        self.least, self.error = 0.0, self.claimed_norm
        norm = self.claimed_norm
        self.most = max(self.most, norm) if math.isfinite(self.most) else norm
        self.entries.clear()

    def first_not_finite(self) -> tuple[int, float, int] | None:
        """Probes do not measure single entries; what they cannot measure has an infinite bound."""
        return None

    def worst(self, count: int) -> list[Single]:
        """The entries with the largest errors beyond their error bars, of those measured."""
        singles = [self._single(i) for i in self.entries]
        return sorted(singles, key=lambda s: (-s.beyond, -s.error))[:count]

    def some(self, count: int) -> list[Single]:
        """At most so many entries, of those measured by themselves."""
        return self.worst(count)

    def errors(self, where: slice) -> tuple[Array, Array]:
        """As `Measured.errors`: what was found wrong, and unknown where it is not told apart."""
        error = np.abs(self.claimed[where] - self.corrected[where])
        bar = np.where(error == 0, math.nan if self.least > 0 else 0.0, 0.0)
        for i, measured in self.entries.items():
            if where.start <= i < where.stop:
                claim = float(self.claimed[i])
                error[i - where.start] = abs(claim - measured.nearest(claim))
                bar[i - where.start] = measured.uncertainty
        return error, bar

    def wrong(self, relative: float, least: float) -> list[Single]:
        """Entries that are certainly wrong by themselves, of those measured; none where told."""
        if self.told:
            return []
        return [s for s in map(self._single, self.entries) if s.is_wrong(relative, least)]

    def _single(self, i: int) -> Single:
        claim, measured = float(self.claimed[i]), self.entries[i]
        return Single(
            i, claim, measured.nearest(claim), measured.uncertainty + float(self.rounding(claim))
        )

    def rounding(self, claimed: Array | float) -> Array | float:
        """Error bar of a claim, from the precision in which it was handed over."""
        typical = self.claimed_norm / math.sqrt(max(self.claimed.size, 1))
        return self.claim_rounding * (OWN * np.abs(claimed) + COMMON * typical)

    def as_measured(self) -> Measured:
        """The same as if every entry had been measured: as well as the bound on all says."""
        typical = 4 * min(self.most, 1e300) / math.sqrt(max(self.claimed.size, 1))
        bar = np.full(self.claimed.size, typical)
        rounding = np.asarray(self.rounding(self.claimed))
        return Measured(self.parameter, self.claimed, self.corrected, bar, rounding)

    def error_limits(self) -> tuple[float, float, float]:
        """Norm of the error: at least, as measured, at most."""
        known = 0.0
        if not self.untouched:
            known = float(np.linalg.norm(self.claimed - self.corrected))
        bar = math.hypot(*(entry.uncertainty for entry in self.entries.values()))
        least = math.hypot(max(0.0, known - bar), self.least)
        return least, math.hypot(known, self.error), max(least, math.hypot(known + bar, self.most))

"""Evidence of probes: a few slopes of a parameter, or which regions of it are wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..core.probed import Probed, Slopes
from .bars import TOLD, Array, decades, line
from .evidence import CONFIRMED, DECADES, LEEWAY, SLACK, Fit


class SlopesEvidence:
    """Evidence where a parameter is wrong throughout, and was measured along random directions.

    Parameters
    ----------
    probed : Probed
    slopes : Slopes
        Its own.
    theta : ndarray
        Values of the parameter at the point of the check.
    """

    def __init__(self, probed: Probed, slopes: Slopes, theta: Array) -> None:
        self.name: str = probed.parameter.name
        self.shape: tuple[int, ...] = tuple(int(n) for n in probed.parameter.shape)
        self.theta, self.claimed = theta, probed.claimed
        self.numeric: Array | None = None
        self.wrong = True
        self._slopes = slopes
        self._errors: Array = slopes.of(probed.claimed) - slopes.values
        rounding = float(np.linalg.norm(probed.rounding(probed.claimed))) * slopes.weight
        self._own: Array = slopes.bars + rounding
        self._bars: Array = self._own + LEEWAY * np.abs(self._errors)

    def admits(self, gradient: Array) -> bool:
        if not np.all(np.isfinite(gradient)):
            return False
        change = self._slopes.of(self.claimed - gradient)
        agrees = np.all(np.abs(self._errors - change) <= SLACK * self._bars)
        return bool(agrees) and decades(change, self._bars) >= DECADES

    def unwritten(self) -> NDArray[np.bool_] | None:
        return None  # that all of it is wrong is known

    def share(self) -> float:
        return 1.0  # as its entries picked at random were

    def size(self, clear: float) -> float | None:
        values = self._slopes.values
        seen = np.where(np.abs(values) > clear * self._slopes.bars, values, 0.0)
        return float(np.sqrt(np.mean(seen**2))) / self._slopes.weight

    def error_in(self, unit: float) -> float | None:
        size = unit * self._slopes.weight * float(np.linalg.norm(self.claimed))
        return float(np.sqrt(np.mean(self._errors**2))) / size if size > 0 else None

    def fit(self, pattern: Array, besides: Array | None = None) -> Fit | None:
        if not (np.all(np.isfinite(pattern)) and pattern.any()):
            return None
        errors = self._errors if besides is None else self._errors - self._slopes.of(besides)
        along = self._slopes.of(pattern)
        constant, uncertainty = line(along, errors, self._bars, self._bars)
        if not abs(constant) > TOLD * uncertainty:
            return None
        left = np.abs(errors - constant * along)
        if np.any(left > SLACK * self._bars):
            return None
        # the one that says most is taken to have fixed the constant, the others to confirm it
        kept = np.argsort(np.abs(along) / self._bars)[:-1]
        if decades(constant * along[kept], self._bars[kept]) < CONFIRMED:
            return None
        _, uncertainty = line(along, errors, self._bars, self._own + left)
        residual = float(np.linalg.norm(left) / np.linalg.norm(errors))
        return Fit(constant, uncertainty, residual, kept.size)


class RegionsEvidence:
    """Evidence where regions of a parameter are wrong throughout, and all else of it is right.

    Parameters
    ----------
    probed : Probed
    regions : sequence of sequences of (int, int)
        Where it is wrong: a range along every axis.
    theta : ndarray
        Values of the parameter at the point of the check.
    """

    def __init__(
        self, probed: Probed, regions: Sequence[Sequence[tuple[int, int]]], theta: Array
    ) -> None:
        self.name: str = probed.parameter.name
        self.shape: tuple[int, ...] = tuple(int(n) for n in probed.parameter.shape)
        self.theta, self.claimed = theta, probed.claimed
        self.numeric: Array | None = None
        self.wrong = True
        self._wrong = np.zeros(self.shape, bool)
        for region in regions:
            self._wrong[tuple(slice(low, high) for low, high in region)] = True
        self._corrected = probed.corrected != probed.claimed

    def admits(self, gradient: Array) -> bool:
        return False  # too little is known of the entries

    def fit(self, pattern: Array, besides: Array | None = None) -> Fit | None:
        return None

    def unwritten(self) -> NDArray[np.bool_] | None:
        flat = self._wrong.reshape(-1)
        return None if np.any(self.claimed[flat]) or np.any(self._corrected[~flat]) else flat

    def share(self) -> float:
        return float(np.mean(self._wrong))

    def size(self, clear: float) -> float | None:
        return None

    def error_in(self, unit: float) -> float | None:
        return None

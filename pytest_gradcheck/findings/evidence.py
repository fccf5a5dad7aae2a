"""How a proposed cause is tested against what was measured.

A cause is never guessed.  It either says what the true gradient must be (`admits`), or it says that
claim and truth differ by a constant times a pattern (`fit`), and then the measurements that did not
fit the constant must confirm it.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..core.measured import Measured, norm
from .bars import TOLD, Array, covers, decades, independent, line, magnitude

SLACK = 1.5
"""A difference is compatible with zero up to this many error bars."""
LEEWAY = 1e-5
"""A cause may leave this much, relatively: a gradient may be wrong in one way and imprecise too."""
DECADES, CONFIRMED = 4.0, 3.0
"""Powers of ten against chance from which an agreement is believed: of a gradient that is said
beforehand, and of what confirms a constant."""
MANY, TELLING = 20_000, 2_000
"""Above so many entries a proposal must first stand at so many of them, most of them wrong ones."""
TINY = 1e-200
"""Error bars below this part of a pattern count as this large."""


@dataclass(frozen=True)
class Fit:
    """A constant such that ``claimed - true = constant * pattern``.

    Attributes
    ----------
    constant, uncertainty : float
    residual : float
        What is left of the error, relative to its norm.
    confirmed : int
        Independent measurements that agree beyond the one that fixes the constant.
    """

    constant: float
    uncertainty: float
    residual: float
    confirmed: int


class Evidence(Protocol):
    """What is known of the gradient of one parameter; arrays are flat, in row-major order.

    Attributes
    ----------
    name : str
    shape : tuple of int
    theta : ndarray
        Values of the parameter.
    claimed : ndarray
        Its claimed gradient.
    wrong : bool
        Whether the claim was found wrong.
    numeric : ndarray or None
        Its measured gradient where every entry was measured; the claim itself where they agree.
    """

    name: str
    shape: tuple[int, ...]
    theta: Array
    claimed: Array
    wrong: bool
    numeric: Array | None

    def admits(self, gradient: Array) -> bool:
        """Whether the true gradient can be this, and is then told from the claim."""
        ...

    def fit(self, pattern: Array, besides: Array | None = None) -> Fit | None:
        """Fit on one part of the measurements and confirm with the others; None if refuted.

        What is fitted is ``claimed - true``, less `besides` where that is given.
        """
        ...

    def unwritten(self) -> NDArray[np.bool_] | None:
        """Entries where zero is claimed and is wrong, if all others are right; None if not so."""
        ...

    def error_in(self, unit: float) -> float | None:
        """Size of the error, relative to the gradient, in this unit; None if not known."""
        ...

    def share(self) -> float:
        """Part of the entries that are wrong, of those whose gradient is not zero."""
        ...

    def size(self, clear: float) -> float | None:
        """Norm, at least, of what was measured where zero is claimed, in entries of so many bars.

        None where only places are known.
        """
        ...


class MeasuredEvidence:
    """Evidence where every entry was measured.

    Parameters
    ----------
    measured : Measured
    theta : ndarray
        Values of the parameter at the point of the check.
    wrong : bool
        Whether the parameter was judged wrong.
    least : float
        Norm of its error at least, where that is known of all entries together.
    """

    def __init__(
        self, measured: Measured, theta: Array, *, wrong: bool, least: float = 0.0
    ) -> None:
        self.name: str = measured.parameter.name
        self.shape: tuple[int, ...] = tuple(int(n) for n in measured.parameter.shape)
        self.theta, self.claimed = theta, measured.claimed
        known = np.isfinite(measured.numeric) & np.isfinite(measured.claimed) & ~measured.kinks
        self._usable = known & np.isfinite(measured.bar)
        self._bar, self._rounding = measured.uncertainty, measured.claim_rounding
        self._numeric: Array = measured.numeric
        agree = np.abs(self.claimed - measured.numeric) <= measured.bar
        self.numeric: Array | None = np.where(agree, self.claimed, measured.numeric)
        self.wrong, self._least = wrong and not measured.undecided, least
        self._telling = _telling(np.abs(self.claimed - self._numeric) / measured.bar, self._usable)

    def admits(self, gradient: Array) -> bool:
        if self._refutes(gradient):
            return False
        use = self._usable & np.isfinite(gradient)
        change = (self.claimed - gradient)[use]
        if not covers(self.claimed - gradient, use):
            return False
        bar = self._bars(norm(gradient) / (norm(self.claimed) or math.inf))[use]
        bar = bar + LEEWAY * np.minimum(magnitude(change), magnitude(gradient[use]))
        left = np.abs(gradient - self._numeric)[use]
        return bool(np.all(left <= SLACK * bar)) and decades(change, bar) >= DECADES

    def fit(self, pattern: Array, besides: Array | None = None) -> Fit | None:
        error = self.claimed - self._numeric - (0.0 if besides is None else besides)
        if self._refutes_line(pattern, error):
            return None
        use = self._usable & np.isfinite(pattern) & np.isfinite(error)
        if not covers(pattern, use):
            return None
        p, e, own = pattern[use], error[use], self._bars(1.0)[use]
        bar = own + LEEWAY * np.minimum(magnitude(e), magnitude(self._numeric[use]))
        bar = np.maximum(bar, TINY * np.max(np.abs(p)))
        order = _heaviest_first(np.abs(p) / bar)
        fitted, kept = order[::2], order[1::2]
        constant, uncertainty = line(p[fitted], e[fitted], bar[fitted], bar[fitted])
        confirmed = independent(p) - 1
        left = np.abs(e - constant * p)
        if (
            confirmed < 1
            or abs(constant) <= TOLD * uncertainty
            or np.any(left > SLACK * bar + TOLD * uncertainty * np.abs(p))
            or decades(constant * p[kept], bar[kept]) < CONFIRMED
        ):
            return None
        constant, _ = line(p, e, bar, bar)  # all of them together now
        left = np.abs(e - constant * p)
        _, uncertainty = line(p, e, bar, own + left)
        return Fit(constant, uncertainty, norm(left) / norm(e), confirmed)

    def unwritten(self) -> NDArray[np.bool_] | None:
        if self.numeric is None:
            return None
        blank = (self.claimed == 0) & (self.numeric != 0)
        completed = np.where(self.claimed == 0, self.numeric, self.claimed)
        return blank if blank.any() and self.admits(completed) else None

    def wrong_part(self) -> tuple[MeasuredEvidence, NDArray[np.bool_]] | None:
        """What is known of the entries that are wrong, and which; None if all or none are."""
        wrong = self._usable & (np.abs(self.claimed - self._numeric) > self._bars(1.0))
        if wrong.all() or not wrong.any():
            return None
        part = copy(self)
        part.theta, part.claimed, part._numeric = (
            values[wrong] for values in (self.theta, self.claimed, self._numeric)
        )
        part.numeric = part._numeric
        part._usable, part._bar, part._rounding = (
            values[wrong] for values in (self._usable, self._bar, self._rounding)
        )
        part._telling = None
        return part, wrong

    def share(self) -> float:
        live = self._usable & ((self.claimed != 0) | (self._numeric != 0))
        wrong = np.abs(self.claimed - self._numeric) > self._bars(1.0)
        return float(np.mean(wrong[live])) if live.any() else 0.0

    def size(self, clear: float) -> float | None:
        told = self._usable & (np.abs(self._numeric) > clear * self._bar)
        return max(norm(self._numeric[told]), self._least)

    def error_in(self, unit: float) -> float | None:
        known = self._usable
        size = unit * norm(self._numeric[known])
        return norm((self.claimed - self._numeric)[known]) / size if size > 0 else None

    def _refutes(self, gradient: Array) -> bool:
        """Whether a few entries rule this out already, however generously they are read."""
        few = self._telling
        if few is None:
            return False
        if not np.any(np.abs(self.claimed - gradient) > self._bar):
            return True  # what cannot be told from the claim explains nothing
        size = float(np.linalg.norm(gradient))
        magnified = max(1.0, size / (float(np.linalg.norm(self.claimed)) or math.inf))
        typical = 2 * size / math.sqrt(gradient.size)
        bar = self._bar[few] + self._rounding[few] * magnified
        bar = bar + LEEWAY * (np.abs(gradient[few]) + typical)
        return bool(np.any(np.abs(gradient - self._numeric)[few] > SLACK * bar))

    def _refutes_line(self, pattern: Array, error: Array) -> bool:
        """Whether a few entries rule a line out already, whatever its constant."""
        few = self._telling
        if few is None:
            return False
        if not np.any(np.abs(error) > self._bar):
            return True
        size = float(np.linalg.norm(self._numeric)) / math.sqrt(error.size)
        p, e = pattern[few], error[few]
        bar = self._bar[few] + self._rounding[few]
        bar = bar + LEEWAY * (np.abs(self._numeric[few]) + 2 * size)
        bar = np.maximum(bar, TINY * np.max(np.abs(p)))
        constant, uncertainty = line(p, e, bar, bar)
        allowed = 2 * (SLACK * bar + TOLD * uncertainty * np.abs(p))
        return bool(np.any(np.abs(e - constant * p) > allowed))

    def _bars(self, magnified: float) -> Array:
        """Error bars of a gradient made from the claim, whose rounding is magnified with it."""
        return self._bar + self._rounding * max(1.0, magnified)


def _telling(significance: Array, usable: NDArray[np.bool_]) -> NDArray[np.intp] | None:
    """The entries that say most of what is wrong, and some from everywhere; None where few are."""
    if significance.size <= MANY:
        return None
    significance = np.where(usable, significance, -1.0)
    most = np.argpartition(-significance, TELLING // 2)[: TELLING // 2]
    spread = np.linspace(0, significance.size - 1, TELLING // 2).astype(np.intp)
    chosen = np.union1d(most, spread)
    return np.asarray(chosen[usable[chosen]])


def _heaviest_first(weight: Array) -> NDArray[np.intp]:
    """Indices in falling order of `weight`, as far as that is worth the time of sorting."""
    if weight.size <= MANY:
        return np.argsort(-weight, kind="stable")
    heavy = np.argpartition(-weight, TELLING)[:TELLING]
    rest = np.ones(weight.size, bool)
    rest[heavy] = False
    return np.concatenate([heavy[np.argsort(-weight[heavy], kind="stable")], np.flatnonzero(rest)])

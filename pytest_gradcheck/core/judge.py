"""From numbers to a status.

Every relative error is an interval: it is at least what lies outside the error bars, at most what
lies inside.  A discrepancy is claimed only on the lower end, a promise only on the upper end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..settings import Settings
from .measured import Measured, rms
from .parameters import Array
from .result import STATUSES, Block, Entry, Finding

DOUBTED = ("not-finite", "zero-gradient", "tiny-gradient", "coarse", "undecided", "wrong-entry")
"""Findings with which a check does not pass, unless they are allowed."""


def grade(relative_error: float, settings: Settings) -> str:
    """Status of one relative error; NaN fails."""
    if relative_error <= settings.tol:
        return "pass"
    return "warn" if relative_error < settings.fail else "fail"


def worst_status(statuses: Sequence[str]) -> str:
    return max(statuses, key=STATUSES.index, default="pass")


@dataclass(frozen=True)
class Interval:
    """A relative error: its lower and upper end, and the value reported between them."""

    low: float
    value: float
    high: float

    @classmethod
    def of(cls, least: float, error: float, most: float, scale: float) -> Interval:
        """From the norm of an error and that of what it is relative to."""
        if scale == 0:
            return cls(0.0, 0.0, 0.0 if most == 0 else math.inf)
        low, high = least / scale, most / scale
        return cls(low, min(max(error / scale, low), high), high)

    @property
    def uncertainty(self) -> float:
        return max(self.value - self.low, self.high - self.value)


def interval_of(measured: Measured) -> Interval:
    """The relative error of one parameter."""
    return Interval.of(*measured.error_limits(), measured.scale)


def judge_block(measured: Measured, settings: Settings) -> Block:
    """The verdict on one parameter."""
    error = interval_of(measured)
    return Block(
        name=measured.parameter.name,
        shape=tuple(int(n) for n in measured.parameter.shape),
        status=grade(error.low, settings),
        relative_error=float(error.value),
        uncertainty=float(error.uncertainty),
        analytic_norm=float(np.linalg.norm(measured.claimed)),
        numeric_norm=float(np.linalg.norm(measured.numeric)),
    )


def is_settled(block: Measured, settings: Settings) -> bool:
    """Whether nothing is said against a block, and enough for it."""
    error = interval_of(block)
    return grade(error.low, settings) == "pass" and error.high <= settings.warn


def judge_whole(blocks: Sequence[Measured], settings: Settings) -> tuple[str, float, float]:
    """Status, relative error and error bar of all parameters as one vector."""
    least, error, most = (
        float(np.linalg.norm(ends))
        for ends in zip(*(b.error_limits() for b in blocks), strict=True)
    )
    scale = _norm([b.claimed for b in blocks]) + _norm([b.reference for b in blocks])
    whole = Interval.of(least, error, most, scale)
    return grade(whole.low, settings), float(whole.value), float(whole.uncertainty)


def worst_entries(blocks: Sequence[Measured], count: int) -> tuple[Entry, ...]:
    """The `count` entries with the largest errors beyond their error bars, worst first."""
    total = sum(float(np.sum((b.claimed - b.numeric) ** 2)) for b in blocks)
    entries: list[tuple[tuple[float, float], Entry]] = []
    for block in blocks:
        error = np.abs(block.claimed - block.numeric)
        beyond = np.maximum(error - block.bar, 0.0)
        rank = np.lexsort((-_nan_last(error), -_nan_last(beyond)))[:count]
        for i in rank:
            order = (float(_nan_last(beyond)[i]), float(_nan_last(error)[i]))
            entries.append((order, _entry(block, int(i), float(error[i]), total)))
    entries.sort(key=lambda pair: pair[0], reverse=True)
    return tuple(entry for _, entry in entries[:count])


def point_findings(blocks: Sequence[Measured], settings: Settings) -> list[Finding]:
    """What the error bars say about the point of the check."""
    undecided = [block for block in blocks if block.undecided]
    found: list[Finding] = [_undecided(undecided)] if undecided else []
    for block in blocks:
        if block.claimed.size == 0 or block.undecided:
            continue
        finding = (
            _not_finite(block)
            or _untested(block)
            or _unmeasurable(block, settings)
            or _wrong_entry(block, settings)
        )
        if finding is not None:
            found.append(finding)
        if block.kinks.any():
            found.append(_kink(block))
    return found


def _entry(block: Measured, i: int, error: float, total: float) -> Entry:
    parameter = block.parameter
    analytic, numeric = float(block.claimed[i]), float(block.numeric[i])
    scale = abs(analytic) + abs(numeric)
    return Entry(
        parameter=parameter.name,
        index=tuple(int(k) for k in np.unravel_index(i, parameter.shape)),
        analytic=analytic,
        numeric=numeric,
        error=error,
        uncertainty=float(block.bar[i]),
        relative_error=error / scale if scale else 0.0,
        share=error**2 / total if total else 0.0,
    )


def _not_finite(block: Measured) -> Finding | None:
    for what, values in (("claimed", block.claimed), ("measured", block.numeric)):
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            index = tuple(int(k) for k in np.unravel_index(bad[0], block.parameter.shape))
            label = block.parameter.name + (str(list(index)) if index else "")
            why = (
                "the gradient itself is NaN or infinite"
                if what == "claimed"
                else "the loss is NaN or infinite at every point tried around it"
            )
            return Finding(
                "not-finite",
                (block.parameter.name,),
                f"{label}: the {what} derivative is {values[bad[0]]} ({bad.size} of"
                f" {values.size} entries); {why}",
                {"count": int(bad.size), "size": int(values.size)},
            )
    return None


def _undecided(blocks: Sequence[Measured]) -> Finding:
    names = tuple(block.parameter.name for block in blocks)
    return Finding(
        "undecided",
        names,
        f"{', '.join(names)} cannot be decided at this point: kinks of the loss (ReLU at zero,"
        " ties) crowd so near to it that no step is shorter. At a slightly displaced point the"
        " gradient is right. Check where activations are not all next to zero, or accept it with"
        ' allow=["undecided"]',
        {"kinks": int(sum(block.kinks.sum() for block in blocks))},
    )


def _untested(block: Measured) -> Finding | None:
    if not block.negligible or block.error_limits()[0] > 0:
        return None
    claimed = float(np.linalg.norm(block.claimed))
    name, bar = block.parameter.name, float(np.max(block.uncertainty, initial=0.0))
    return Finding(
        "zero-gradient",
        (name,),
        f"{name} is untested: its claimed and its measured gradient are both zero (within"
        f" {bar:.1e}), so a missing or misplaced gradient could not be seen here. Check at a point"
        " where it matters (other data, other initial values, a few training steps), or accept it"
        ' with allow=["zero-gradient"]',
        {"claimed_norm": claimed, "uncertainty": bar},
    )


def _unmeasurable(block: Measured, settings: Settings) -> Finding | None:
    error = interval_of(block)
    if error.high <= settings.warn or error.low > settings.tol:
        return None
    name, high = block.parameter.name, error.high
    evidence = {"bound": high, "gradient": float(np.linalg.norm(block.claimed))}
    if high > 0.5:
        bar = float(np.linalg.norm(block.uncertainty))
        return Finding(
            "tiny-gradient",
            (name,),
            f"{name} cannot be measured: its gradient ({evidence['gradient']:.1e}) lies under the"
            f" noise floor of its differences ({bar:.1e}). Compute the loss in float64, rescale"
            " it, take fewer samples, or train a few steps first; accept it with"
            ' allow=["tiny-gradient"]',
            evidence,
        )
    return Finding(
        "coarse",
        (name,),
        f"{name} is verified only to {high:.1e}: the noise of the loss allows no better. Compute"
        ' the loss in float64 or accept it with allow=["coarse"]',
        evidence,
    )


def _wrong_entry(block: Measured, settings: Settings) -> Finding | None:
    """An entry that is certainly wrong by itself, though the norm of its block hides it."""
    if grade(interval_of(block).low, settings) == "fail":
        return None
    error = np.abs(block.claimed - block.numeric)
    size = np.abs(block.claimed) + np.abs(block.numeric)
    wrong = (
        (error - block.bar > settings.fail * size)
        & (error > 10 * block.bar)
        & (error > settings.tol * rms(block.claimed))
    )
    if not wrong.any():
        return None
    i = int(np.argmax(np.where(wrong, error, -1.0)))
    entry = _entry(block, i, float(error[i]), 0.0)
    return Finding(
        "wrong-entry",
        (block.parameter.name,),
        f"{entry.label} is wrong by itself (relative error {entry.relative_error:.1e}, claimed"
        f" {entry.analytic:.6g}, measured {entry.numeric:.6g}), though it is small beside the rest"
        f" of {block.parameter.name}; {int(wrong.sum())} such entries",
        {"count": int(wrong.sum()), "relative_error": entry.relative_error},
    )


def _kink(block: Measured) -> Finding:
    kinks = np.flatnonzero(block.kinks)
    listed = [list(map(int, np.unravel_index(i, block.parameter.shape))) for i in kinks[:10]]
    name = block.parameter.name
    return Finding(
        "kink",
        (name,),
        f"{name}: the loss has a kink at {kinks.size} of {block.kinks.size} entries"
        f" ({', '.join(name + str(i) for i in listed[:3])}{', ...' if kinks.size > 3 else ''});"
        " there any value between the two one-sided derivatives is a valid subgradient",
        {"count": int(kinks.size), "indices": listed},
    )


def _norm(parts: Sequence[Array]) -> float:
    return float(np.linalg.norm([np.linalg.norm(part) for part in parts]))


def _nan_last(values: Array) -> Array:
    """NaN counts as the largest error there is."""
    return np.where(np.isnan(values), np.inf, values)

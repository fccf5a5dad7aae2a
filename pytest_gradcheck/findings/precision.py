"""Errors that look like the rounding of a lower precision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..core.measured import norm
from ..core.result import Finding
from .bars import Array
from .evidence import Evidence
from .scene import Scene, listed, where

FORMATS = {"float16": 11, "bfloat16": 8, "float32": 24}
"""Significant bits."""
FEW = 8
"""Entries needed to say anything about their digits."""
ULPS = 64
"""Roundings of a sum that an entry may carry."""
BAND = (1 / 16, 16.0)
"""Root mean square of the relative errors, in roundings of float32, of arithmetic in it."""
MANY = 32
"""Entries needed to tell errors without a pattern from others."""
ALIGNED, LEAN = 0.6, 0.15
"""Cosine of the angle to the gradient or to the parameter from which an error is no rounding; and
by how much more than half of its entries may have the sign of theirs."""
SPREAD = 0.2
"""Part of the entries that must be wrong by a fair amount of what the others are."""
FURTHER = 4.0
"""A move so many times as long makes the second difference of what bends larger by the square."""


def low_precision(scene: Scene) -> Iterator[Finding]:
    """The claim was rounded, or computed, in a lower precision than it is handed over in."""
    left = [e for e in scene.open if e.error_in(1.0) is not None]
    for precision, bits in sorted(FORMATS.items(), key=lambda item: item[1]):
        members = [e for e in left if _has_bits(e.claimed, bits) and _within(e, bits)]
        if not in_use([e.claimed for e in members], bits):
            continue
        left = [e for e in left if all(e is not other for other in members)]
        yield Finding(
            "low-precision",
            where(members),
            f"every entry of the gradient of {listed(members)} has at most {bits} significant bits,"
            f" as {precision} has, and the errors are of that size: it was rounded to it on the"
            " way. Compute it in float64 for the check, or raise tol",
            {"bits": bits},
        )
    yield from _inside(scene, left)


def _inside(scene: Scene, left: Sequence[Evidence]) -> Iterator[Finding]:
    """Errors that look like rounding, and a claim that jitters like that when it is moved."""
    seen = [e for e in left if e.numeric is not None and np.all(np.isfinite(e.numeric))]
    looks = _looks_like_rounding(seen)
    candidates = [e for e in left if _of_the_size(e)]
    jitter = _rounding_jitter(scene) if looks or candidates else {}
    if looks and (jitter is None or any(e.name in jitter for e in seen)):
        size = max(
            norm(e.claimed - e.numeric) / norm(e.claimed) for e in seen if e.numeric is not None
        )
        candidates = [e for e in candidates if all(e is not other for other in seen)]
        yield Finding(
            "low-precision",
            where(seen),
            f"the errors of {listed(seen)} look like float32 rounding: {size:.0e} of the"
            " gradient, spread over the entries, without a pattern. Somewhere in the backward pass"
            " float32 arithmetic is left (an array or constant of that dtype); compute in float64"
            " for the check, or raise tol",
            {"relative_error": size},
        )
    members = [e for e in candidates if e.name in (jitter or {})]
    if members and jitter is not None:
        size = max(jitter[e.name] for e in members)
        yield Finding(
            "low-precision",
            where(members),
            f"the gradient of {listed(members)} jitters by {size:.0e} of its size when the"
            " parameters are moved by a ten-millionth, as float32 rounding does, and its errors are"
            " of that size. Somewhere in the backward pass float32 arithmetic is left (an array or"
            " constant of that dtype); compute in float64 for the check, or raise tol",
            {"relative_error": size},
        )


def _rounding_jitter(scene: Scene) -> dict[str, float] | None:
    """By how much gradients jitter, of those that do so as rounding does; None if not to be had.

    A small term that is left out (the epsilon of a normalisation) makes errors of the same size
    that are a smooth function of the parameters.  What bends within so short a move is no rounding
    either: there a move `FURTHER` shows more by the square.
    """
    beside = None if scene.calls is None else scene.calls.nearby()
    if scene.calls is None or beside is None:
        return None
    jitter = {name: size for name, size in _jitters(scene, beside).items() if size}
    further = scene.calls.nearby(FURTHER) if jitter else None
    beyond = _jitters(scene, further, rounding=False)
    bend = FURTHER**2 / 2
    return {name: size for name, size in jitter.items() if beyond.get(name, 0.0) < bend * size}


def _of_the_size(e: Evidence) -> bool:
    """Whether an error is of the size of float32's."""
    size = e.error_in(2.0**-24)
    return size is not None and BAND[0] / ULPS <= size <= ULPS


def _jitters(
    scene: Scene, beside: Sequence[Sequence[Array]] | None, *, rounding: bool = True
) -> dict[str, float]:
    """Second differences of claims along a tiny move, by name; of `rounding`, or of any kind."""
    if beside is None:
        return {}
    return {
        e.name: _jitter(e.claimed, up, down, rounding=rounding)
        for e, up, down in zip(scene.all, *beside, strict=True)
    }


def _jitter(claimed: Array, up: Array, down: Array, *, rounding: bool) -> float:
    """Second difference of a claim, relative to it: if it looks like rounding, where asked."""
    second, size = up - 2 * claimed + down, norm(claimed) / np.sqrt(claimed.size or 1)
    relative = norm(second) / np.sqrt(claimed.size or 1) / (size or np.inf)
    spread = np.mean(np.abs(second) > 0.1 * relative * size)
    is_rounding = BAND[0] <= relative * 2.0**24 <= ULPS and spread >= SPREAD
    return float(relative) if is_rounding or not rounding else 0.0


def significant(precision: str) -> int:
    """Significant bits of a precision."""
    return FORMATS[precision]


def _has_bits(claimed: Array, bits: int) -> bool:
    """Whether so many significant bits hold every entry."""
    scaled = np.ldexp(np.frexp(claimed)[0], bits)
    return bool(np.array_equal(scaled, np.round(scaled)))


def in_use(claims: Sequence[Array], bits: int) -> bool:
    """Whether there are entries enough, and their last bit is used."""
    entries = np.concatenate([*claims, np.zeros(0)])
    last = np.round(np.ldexp(np.frexp(entries[entries != 0])[0], bits))
    return last.size >= FEW and float(np.mean(last % 2 != 0)) > 1 / FEW


def _within(e: Evidence, bits: int) -> bool:
    """Whether no entry is off by more than its rounding, and sums of such."""
    size = e.error_in(2.0**-bits)
    if e.numeric is None or size is None:
        return size is not None and size <= 1
    typical = norm(e.numeric) / np.sqrt(e.numeric.size)
    limit = 2.0**-bits * (np.abs(e.numeric) + typical)
    is_near = np.all(np.abs(e.claimed - e.numeric) <= ULPS * limit)
    return bool(is_near) and size <= ULPS  # which a wide error bar does not say


def _looks_like_rounding(members: Sequence[Evidence]) -> bool:
    """Whether errors have the size of float32's, everywhere, and point nowhere."""
    if sum(e.claimed.size for e in members) < MANY:
        return False
    parts = [_in_ulps(e) for e in members]
    error, gradient, theta = (np.concatenate(column) for column in zip(*parts, strict=True))
    size = float(np.sqrt(np.mean(error**2)))
    live = error != 0
    chance = max(LEAN, 1.5 / np.sqrt(np.sum(live)))
    return bool(
        BAND[0] <= size <= BAND[1]
        and np.max(np.abs(error)) <= ULPS
        and np.mean(np.abs(error) > 0.1 * size) >= SPREAD
        and all(
            abs(np.mean(error[live] * side[live] > 0) - 0.5) < chance
            and abs(_cosine(error, side)) < ALIGNED
            for side in (np.ones_like(error), gradient, theta)
        )
    )


def _in_ulps(e: Evidence) -> tuple[Array, Array, Array]:
    """Errors in roundings of float32; gradient and parameter in units of their typical size."""
    assert e.numeric is not None
    typical = norm(e.numeric) / np.sqrt(e.numeric.size)
    error = (e.claimed - e.numeric) / (np.abs(e.numeric) + typical) * 2.0**24
    return error, e.numeric / typical, e.theta / (norm(e.theta) or 1.0) * np.sqrt(e.theta.size)


def _cosine(a: Array, b: Array) -> float:
    size = norm(a) * norm(b)
    return float(a @ b / size) if size > 0 else 0.0

"""The right numbers in the wrong places: transposed, reversed, rolled, blocks exchanged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from ..core.result import Finding
from .bars import Array
from .evidence import Evidence
from .scene import Scene, agreement, listed, to_digits, where

AXES = 4
"""Number of axes up to which all their permutations and reversals are tried."""
NEAR = 4
"""Shifts that are always tried, in either direction; besides, parts of an axis."""
NEAREST = 0.5
"""Relative distance to the measured gradient from which another is not that one."""
PARTS = (2, 3, 4)
"""Parts of an axis that may be shifted or exchanged: gates, heads, real and imaginary parts."""


@dataclass(frozen=True)
class Rearranged:
    """A gradient made of the claim's own numbers."""

    name: str
    how: str
    hint: str
    gradient: Array


def layout(scene: Scene) -> Iterator[Finding]:
    """The claim is the truth with its entries rearranged."""
    groups: dict[tuple[str, str, str], list[tuple[Evidence, Array]]] = {}
    for e in scene.open:
        if e.claimed.size > 1 and np.ptp(e.claimed) > 0 and len(e.shape) <= AXES:
            for candidate in _candidates(e):
                if e.admits(candidate.gradient) and _is_near(e, candidate.gradient):
                    key = candidate.name, candidate.how, candidate.hint
                    groups.setdefault(key, []).append((e, candidate.gradient))
                    break
    for (name, how, hint), pairs in groups.items():
        members = [e for e, _ in pairs]
        then = to_digits(agreement(members, [gradient for _, gradient in pairs]))
        yield Finding(
            name,
            where(members),
            f"the gradient of {listed(members)} is the measured one {how}{then}. {hint}",
            {"how": how},
        )


def _is_near(e: Evidence, gradient: Array) -> bool:
    """Whether a gradient is the measured one, and not just within error bars as wide as it is."""
    distance = agreement([e], [gradient])
    return distance is None or distance < NEAREST


def _candidates(e: Evidence) -> Iterator[Rearranged]:
    claimed = e.claimed.reshape(e.shape)
    yield from _transposed(e)
    yield from _reversed(claimed)
    yield from _rolled(claimed, e.numeric)
    yield from _exchanged(claimed)


def _transposed(e: Evidence) -> Iterator[Rearranged]:
    ndim = len(e.shape)
    for axes in permutations(range(ndim)):
        if axes == tuple(range(ndim)):
            continue
        written = tuple(e.shape[axis] for axis in axes)
        gradient = e.claimed.reshape(written).transpose(np.argsort(axes))
        how = "transposed" if ndim == 2 else f"with its axes in the order {axes}"
        hint = "Look for a product in the wrong order, or for .T or reshape in the wrong place"
        if written == e.shape:
            yield Rearranged("transposed", how, hint, gradient.reshape(-1))
            continue
        read = f"{how}, then read in this parameter's shape"
        yield Rearranged("transposed", read, hint, gradient.reshape(-1))
        read = f"read in the shape {written}, then {how}"
        gradient = e.claimed.reshape(e.shape).transpose(axes)
        yield Rearranged("transposed", how, hint, gradient.reshape(-1))


def _reversed(claimed: Array) -> Iterator[Rearranged]:
    long = [axis for axis, length in enumerate(claimed.shape) if length > 1]
    for count in range(1, len(long) + 1):
        for axes in combinations(long, count):
            hint = "Look for a loop or slice that runs backwards"
            if count > 1:
                hint = "Is a convolution meant where the loss takes a correlation?"
            yield Rearranged(
                "reversed",
                f"reversed along {_axes(axes)}",
                hint,
                np.flip(claimed, axes).reshape(-1),
            )


def _rolled(claimed: Array, numeric: Array | None) -> Iterator[Rearranged]:
    for axis, length in enumerate(claimed.shape):
        for shift in _shifts(claimed, numeric, axis):
            yield Rearranged(
                "rolled",
                f"rolled by {shift if shift <= length // 2 else shift - length} along axis {axis}",
                "Look for an index off by one, or for parts put together in the wrong order",
                np.roll(claimed, -shift, axis).reshape(-1),
            )


def _shifts(claimed: Array, numeric: Array | None, axis: int) -> list[int]:
    """Shifts worth trying: small ones, parts of the axis, and the one that correlates best."""
    length = claimed.shape[axis]
    tried = [s for k in range(1, NEAR + 1) for s in (k, -k)]
    tried += [k * length // n for n in PARTS if length % n == 0 for k in range(1, n)]
    if numeric is not None and np.all(np.isfinite(numeric)):
        ours, true = (
            np.fft.rfft(claimed, axis=axis),
            np.fft.rfft(numeric.reshape(claimed.shape), axis=axis),
        )
        across = tuple(k for k in range(claimed.ndim) if k != axis)
        match = np.fft.irfft((ours * true.conj()).sum(axis=across), length)
        tried.append(int(np.argmax(match)))
    return list(dict.fromkeys(s % length for s in tried if s % length))


def _exchanged(claimed: Array) -> Iterator[Rearranged]:
    """Two of the equal parts of an axis in each other's place, such as the gates of an LSTM."""
    for axis, length in enumerate(claimed.shape):
        for parts in PARTS[1:]:
            width = length // parts
            if length % parts or width == 1:
                continue
            for a, b in combinations(range(parts), 2):
                order = np.arange(length)
                first, second = slice(a * width, (a + 1) * width), slice(b * width, (b + 1) * width)
                order[first], order[second] = order[second].copy(), order[first].copy()
                yield Rearranged(
                    "swapped",
                    f"with {first.start}:{first.stop} and {second.start}:{second.stop} exchanged"
                    f" along axis {axis}",
                    "Compare the order of the gates, heads or parts in forward and backward pass",
                    np.take(claimed, order, axis).reshape(-1),
                )


def _axes(axes: Sequence[int]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"

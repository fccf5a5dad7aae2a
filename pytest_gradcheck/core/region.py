"""Rectangles of entries: whole parameters, rows, columns, single entries."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PIECE = 1 << 17
"""Entries worked on at a time, so that intermediate results stay in the processor's cache."""


@dataclass(frozen=True)
class Region:
    """Entries ``[low, high)`` along every axis of parameter number `block`."""

    block: int
    shape: tuple[int, ...]
    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def whole(cls, block: int, shape: tuple[int, ...]) -> Region:
        return cls(block, shape, tuple((0, length) for length in shape))

    @property
    def size(self) -> int:
        return math.prod(high - low for low, high in self.ranges)

    @property
    def full_size(self) -> int:
        """Number of entries of the parameter."""
        return math.prod(self.shape)

    @property
    def is_whole(self) -> bool:
        return all(r == (0, n) for r, n in zip(self.ranges, self.shape, strict=True))

    @property
    def where(self) -> tuple[Any, ...]:
        """Index that takes a view of this part out of an array of the parameter's shape."""
        return (*(slice(low, high) for low, high in self.ranges), ...)

    def inside(self, other: Region) -> tuple[Any, ...]:
        """Index, in this part, of what it has in common with another part of the parameter."""
        pairs = zip(other.ranges, self.ranges, strict=True)
        return (*(slice(max(0, a - low), max(0, b - low)) for (a, b), (low, _) in pairs), ...)

    def in_common(self, other: Region) -> int:
        """Number of entries that are in another region as well."""
        size = int(self.block == other.block)
        for (a, b), (low, high) in zip(self.ranges, other.ranges, strict=bool(size)):
            size *= max(0, min(b, high) - max(a, low))
        return size

    def of(self, flat: NDArray[Any]) -> NDArray[Any]:
        """The part of a flat array of the parameter's size, as a view."""
        part: NDArray[Any] = flat.reshape(self.shape)[self.where]
        return part

    def narrowed(self, axis: int, low: int, high: int) -> Region:
        """The same with another range along one axis."""
        ranges = list(self.ranges)
        ranges[axis] = (low, high)
        return Region(self.block, self.shape, tuple(ranges))

    def halves(self, axis: int) -> tuple[Region, Region]:
        low, high = self.ranges[axis]
        middle = (low + high) // 2
        return self.narrowed(axis, low, middle), self.narrowed(axis, middle, high)

    def axes(self) -> list[int]:
        """Axes along which it can be halved, the longest first."""
        lengths = [high - low for low, high in self.ranges]
        order = sorted(range(len(lengths)), key=lambda axis: -lengths[axis])
        return [axis for axis in order if lengths[axis] > 1]

    def index_of(self, position: int) -> tuple[int, ...]:
        """Index in the parameter of the entry at a flat position of this region."""
        lengths = [high - low for low, high in self.ranges]
        inside = np.unravel_index(position, lengths) if lengths else ()
        return tuple(int(i) + low for i, (low, _) in zip(inside, self.ranges, strict=True))

    def flat(self, position: int) -> int:
        """Flat position in the parameter of the entry at a flat position of this region."""
        index = self.index_of(position)
        return int(np.ravel_multi_index(index, self.shape)) if index else 0

    def entry_at(self, position: int) -> Region:
        """The entry at a flat position of this region."""
        ranges = tuple((i, i + 1) for i in self.index_of(position))
        return Region(self.block, self.shape, ranges)

    def label(self, name: str) -> str:
        """``W1[3, :]``, ``all of W1``, ``b[2]``."""
        if self.is_whole:
            return f"all of {name}" if self.size > 1 else name
        parts = []
        for (low, high), length in zip(self.ranges, self.shape, strict=True):
            if (low, high) == (0, length):
                parts.append(":")
            else:
                parts.append(str(low) if high - low == 1 else f"{low}:{high}")
        return f"{name}[{', '.join(parts)}]"


def pieces(array: NDArray[Any]) -> Iterator[Any]:
    """Indices that cut an array along its first axis into pieces of about `PIECE` entries."""
    if array.size <= PIECE:
        yield ...
        return
    rows = max(1, PIECE * len(array) // array.size)
    for start in range(0, len(array), rows):
        yield slice(start, start + rows)


def dot(values: NDArray[Any], weights: NDArray[Any]) -> float:
    """Inner product of two arrays of one shape, piece by piece."""
    total = 0.0
    for piece in pieces(values):
        total += float(np.vdot(values[piece], weights[piece].astype(np.float64)))
    return total

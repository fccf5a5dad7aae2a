"""Numbers that occur: a factor that equals one of them is no accident."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SAMPLE = 2
"""Arguments of more axes than this and less than this many rows hold no batch."""


@dataclass(frozen=True)
class Size:
    """A length, where it occurs, and whether it may be the number of samples."""

    length: int
    where: str
    batch: bool = False


def sizes_of(
    names: Sequence[str], shapes: Sequence[tuple[int, ...]], args: Sequence[Any] = ()
) -> list[Size]:
    """Lengths of the axes of arguments and of parameters, those of arguments first.

    Parameters
    ----------
    names, shapes : sequence of str, sequence of tuple of int
        Of the parameters.
    args : sequence
        Arguments of the loss; what is no array is passed over.
    """
    arrays = [(i, np.shape(a)) for i, a in enumerate(args) if hasattr(a, "shape")]
    own = {length for shape in shapes for length in shape}
    found = [
        Size(int(n), f"the length of axis {k} of argument {i}", batch=k == 0 or n not in own)
        for i, shape in arrays
        for k, n in enumerate(shape)
    ]
    found += [
        Size(int(n), f"the length of axis {k} of {name}")
        for name, shape in zip(names, shapes, strict=True)
        for k, n in enumerate(shape)
    ]
    kept: dict[int, Size] = {}
    for size in sorted(found, key=lambda size: not size.batch):
        kept.setdefault(size.length, size)
    return [size for length, size in kept.items() if length > SAMPLE]

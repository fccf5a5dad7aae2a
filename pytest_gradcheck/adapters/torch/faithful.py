"""Whether PyTorch computes in float64 what it does in low precision, but for rounding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.ladder import SIGMAS
from .tensors import torch

ROUNDED = 256
"""Roundings by which a claim may be off its double precision and still be the same claim."""
COMMON = 64
"""The same of the whole gradient: what is nearly zero is a difference of larger numbers."""

Arrays = list[NDArray[Any]]


def beside(tensors: Sequence[Any], seed: int) -> list[Any]:
    """The same tensors with each number moved by a last digit, to either side at random."""
    rng = np.random.default_rng([seed, 2])
    moved = []
    for tensor in tensors:
        sides = torch.tensor(rng.choice([-1.0, 1.0], tuple(tensor.shape))).to(tensor)
        moved.append(tensor.detach() * (1 + 2 * torch.finfo(tensor.dtype).eps * sides))
    return moved


def faithful(
    narrow: Arrays, wide: Arrays, eps: float, wavers: Sequence[float] | None = None
) -> list[bool]:
    """Which narrow claims are the wide ones but for their rounding, or for what they waver by."""
    part, rest = min(ROUNDED * eps, eps**0.5), min(COMMON * eps, eps**0.5)
    with np.errstate(all="ignore"):
        whole = float(np.linalg.norm([np.linalg.norm(w) for w in wide]))
        return [
            bool(
                np.linalg.norm(n - w)
                <= max(part * np.linalg.norm(w) + rest * whole, SIGMAS * waver)
            )
            for n, w, waver in zip(narrow, wide, wavers or [0.0] * len(wide), strict=True)
        ]


def near(a: Arrays, b: Arrays, tolerance: float) -> bool:
    """Whether two lists of outputs are the same, relative to the larger of them."""
    for x, y in zip(a, b, strict=True):
        with np.errstate(all="ignore"):
            differ = ~((x == y) | (np.isnan(x) & np.isnan(y)))
            gap = float(np.linalg.norm((x.astype(complex) - y)[differ]))
            size = max(float(np.linalg.norm(x[np.isfinite(x)])), 1e-300)
        if not gap <= tolerance * size:
            return False
    return True

"""Forward mode: the gradient as dual numbers (jvp) claim it, on copies of the tensors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.parameters import Parameter
from ...core.problem import Problem
from ...settings import Settings
from ..blocks import after
from .tensors import Tensors, torch
from .weighed import Weighed

ENTRIES = 1024
"""Entries of a tensor up to which each is followed by forward mode: one pass each."""
DIRECTIONS = 4
"""Random directions through a larger tensor."""


def forward_mode(weighed: Weighed, tensors: Sequence[Any], settings: Settings) -> Problem:
    """The problem whose claims are those of forward mode.

    Entry by entry for tensors of up to `ENTRIES`; a larger one along random directions.

    Parameters
    ----------
    weighed : Weighed
    tensors : sequence of torch.Tensor
        What is moved: the tensors of the call, or float64 copies.
    settings : Settings
    """
    wide = tensors is not weighed.call.tensors
    copies = [t.detach().clone().requires_grad_() for t in tensors]
    names = [f"{name} (forward mode)" for name in weighed.call.names]
    small = [i for i, t in enumerate(copies) if t.numel() <= ENTRIES]
    moved = Tensors([names[i] for i in small], [copies[i] for i in small])
    lines = [
        _Lines(names[i].replace(")", ", random directions)"), i, t)
        for i, t in enumerate(copies)
        if t.numel() > ENTRIES
    ]

    def here() -> list[Any]:
        return [_moved(i, t, lines) for i, t in enumerate(copies)]

    def grads() -> list[NDArray[Any]]:
        _load_rules()
        slopes = partial(_slopes, weighed, here(), weighed.replay(), wide=wide)
        found = [_assembled(copies[i], slopes(i, _units(copies[i]))) for i in small]
        along = [np.array(slopes(line.place, line.directions)) for line in lines]
        return [*moved.gather(found), *along]

    return Problem(
        [*moved.parameters, *(line.parameter for line in lines)],
        loss=after(lambda: weighed.value(here(), wide=wide), settings.before_each),
        grads=grads,
    )


class _Lines:
    """Random directions through one large tensor, and how far it is moved along each."""

    def __init__(self, name: str, place: int, tensor: Any) -> None:
        rng = np.random.default_rng([place, 0xF0])
        scale = float(tensor.detach().abs().double().square().mean().sqrt()) or 1.0
        self.place = place
        self.steps = np.zeros(DIRECTIONS)
        self.parameter = Parameter(name, self.steps)
        self.directions = [self._draw(rng, tensor, scale) for _ in range(DIRECTIONS)]

    @staticmethod
    def _draw(rng: np.random.Generator, tensor: Any, scale: float) -> Any:
        values = torch.from_numpy(scale * rng.standard_normal(tuple(tensor.shape)))
        if tensor.is_complex():
            values = values + 1j * torch.from_numpy(scale * rng.standard_normal(values.shape))
        return values.to(tensor.dtype).to(tensor.device)


def _moved(i: int, tensor: Any, lines: Sequence[_Lines]) -> Any:
    for line in lines:
        if line.place == i and line.steps.any():
            pairs = zip(line.steps.tolist(), line.directions, strict=True)
            return tensor + sum(step * v.to(tensor.dtype) for step, v in pairs)
    return tensor


def _units(tensor: Any) -> list[Any]:
    """Unit tangents of every entry; of a complex one the real, then the imaginary."""
    found = []
    for value in (1.0, 1j) if tensor.is_complex() else (1.0,):
        for k in range(tensor.numel()):
            unit = torch.zeros(tensor.numel(), dtype=tensor.dtype, device=tensor.device)
            unit[k] = value
            found.append(unit.reshape(tensor.shape))
    return found


def _assembled(tensor: Any, slopes: Sequence[float]) -> Any:
    values = torch.tensor(slopes, dtype=torch.float64)
    if tensor.is_complex():
        values = torch.complex(values[: tensor.numel()], values[tensor.numel() :])
    return values.reshape(tensor.shape).to(tensor.dtype)


@cache
def _load_rules() -> None:
    """Let torch load what it loads at the first dual number: with warnings of its own making."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with torch.autograd.forward_ad.dual_level():
            torch.autograd.forward_ad.make_dual(torch.ones(()), torch.ones(()))


def _slopes(
    weighed: Weighed,
    tensors: Sequence[Any],
    again: Callable[[], None],
    place: int,
    tangents: Sequence[Any],
    *,
    wide: bool,
) -> list[float]:
    """Derivatives of the loss along tangents of one tensor, by dual numbers."""
    ad = torch.autograd.forward_ad
    found = []
    for tangent in tangents:
        again()
        with ad.dual_level():
            held = list(tensors)
            held[place] = ad.make_dual(held[place], tangent)
            outputs = weighed.outputs(held, wide=wide)
            slopes = [(ad.unpack_dual(y).tangent, y) for y in outputs]
            found.append(
                weighed.total([torch.zeros_like(y) if t is None else t for t, y in slopes])
            )
    return found

"""Parameters as layers of a network: weights, biases, what stands between which sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ..core.measured import norm
from .bars import Array


@dataclass(frozen=True, eq=False)
class Layer:
    """One parameter: its values and claimed gradient, both flat, and its shape."""

    name: str
    theta: Array
    shape: tuple[int, ...]
    claim: Array

    @cached_property
    def is_matrix(self) -> bool:
        """Whether it is wide in two axes: weights, where a column of biases is not."""
        return wide_axes(self.shape) > 1 and self.claim.size > 0

    @cached_property
    def rms(self) -> float:
        return self._size / math.sqrt(max(self.theta.size, 1))

    @cached_property
    def say(self) -> float:
        """Size of the parameter times that of its gradient: how much the loss depends on it."""
        return self._size * norm(self.claim)

    @cached_property
    def _size(self) -> float:
        return norm(self.theta)

    @cached_property
    def ordinary(self) -> float:
        """The smallest standard deviation at which one would initialise it."""
        return 1 / math.sqrt(max(self.shape, default=1)) if self.is_matrix else 1.0


def wide_axes(shape: Sequence[int]) -> int:
    """Number of axes longer than 1."""
    return sum(length > 1 for length in shape)


@dataclass(frozen=True)
class Chain:
    """Weights each of which takes what the one before gives.

    Attributes
    ----------
    fan : list of (int, int)
        Inputs and outputs of each unit, a kernel's area included.
    """

    weights: list[Layer]
    fan: list[tuple[int, int]]


def longest_chain(layers: Sequence[Layer]) -> Chain:
    """The longest run of weights, in order, whose sizes fit as ``X W`` or as ``W x``."""
    weights = [x for x in layers if x.is_matrix]
    best = Chain([], [])
    for takes, gives in ((0, 1), (1, 0)):
        run: list[Layer] = []
        for x in [*weights, None]:
            if x is not None and (not run or run[-1].shape[gives] == x.shape[takes]):
                run.append(x)
                continue
            if len(run) > len(best.weights):
                best = Chain(run, [_fan(w, takes, gives) for w in run])
            run = [] if x is None else [x]
    return best


def _fan(x: Layer, takes: int, gives: int) -> tuple[int, int]:
    area = math.prod(x.shape[2:])
    return x.shape[takes] * area, x.shape[gives] * area

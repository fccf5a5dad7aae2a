"""A JAX function in one precision: its value, its outputs, its gradients."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..moved import Moved, widened
from ..outputs import Cotangents
from .call import Call
from .trees import jax, jnp, numpy_of
from .weighed import Weighed, Weights

POINTS = 128
"""Points that are evaluated in one call."""
MANY = 1 << 22
"""Numbers that may be handed over at once."""


class Place:
    """A function in one precision, where some blocks stand.

    Parameters
    ----------
    weighed : Weighed
    moved : Moved
    fixed : sequence of array
        The other arrays among the arguments.
    wide : bool
        Compute in float64, within a context that enables it.
    """

    def __init__(self, weighed: Weighed, moved: Moved, fixed: Sequence[Any], *, wide: bool) -> None:
        self.weighed, self.moved, self.wide = weighed, moved, wide
        rounded = [as_jax_has_it(a) for a in fixed]
        with precision(wide=wide):
            self.fixed = [in_double(a) for a in rounded] if wide else list(fixed)

    def value(self) -> float:
        return self.value_and_size()[0]

    def value_and_size(self) -> tuple[float, float]:
        """The weighted sum of the outputs, and that of their magnitudes."""
        with precision(wide=self.wide):
            value, size = self.weighed.value_and_size(
                self.moved.arrays(), self.fixed, self._weights
            )
            return float(value), float(size)

    def many(self, points: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """The weighted sum at many points, see ``Problem.losses``.

        It is compiled for one number of points: the last of them fill up what is not needed.
        """
        stacked = self.moved.stacked(points)
        count = len(stacked[0])
        at_once = max(1, min(POINTS, MANY // max(1, self.moved.size)))
        found = [np.zeros(0)]
        with precision(wide=self.wide):
            for start in range(0, count, at_once):
                rows = np.minimum(np.arange(start, start + at_once), count - 1)
                part = [a[rows] for a in stacked]
                values = self.weighed.value_of_many(part, self.fixed, self._weights)
                found.append(np.asarray(values, dtype=np.float64))
        return np.concatenate(found)[:count]

    def outputs(self) -> list[NDArray[Any]]:
        with precision(wide=self.wide):
            return [np.asarray(y) for y in self.weighed.outputs(self.moved.arrays(), self.fixed)]

    def reverse(self, weights: Weights | None = None) -> list[NDArray[Any]]:
        """The gradient as reverse mode has it: of the outputs under these weights."""
        chosen = self._weights if weights is None else weights
        with precision(wide=self.wide):
            found = self.weighed.reverse(self.moved.arrays(), self.fixed, list(chosen))
            return self.moved.gather(found)

    def forward(self) -> list[NDArray[Any]]:
        """The same in forward mode: one product with each unit direction, many in a call."""
        arrays, found = self.moved.arrays(), []
        for parameter, (leaf, unit) in zip(
            self.moved.parameters, self.moved.directions(), strict=True
        ):
            slopes = [np.zeros(0, parameter.dtype)]
            at_once = max(1, MANY // max(1, sum(a.size for a in arrays)))
            for start in range(0, parameter.size, at_once):
                count = min(at_once, parameter.size - start)
                directions = [np.zeros((count, *a.shape), a.dtype) for a in arrays]
                flat = directions[leaf].reshape(count, -1)
                flat[np.arange(count), start + np.arange(count)] = unit
                with precision(wide=self.wide):
                    part = self.weighed.forward(arrays, self.fixed, self._weights, directions)
                slopes.append(np.asarray(part))
            found.append(np.concatenate(slopes))
        return found

    def by_hand(self, call: Call) -> list[NDArray[Any]]:
        """The gradient that the user gives."""
        gradient = call.by_hand
        if gradient is None:
            raise RuntimeError("none is given")
        with precision(wide=self.wide):
            moved = call.as_given([np.array(a) for a in self.moved.arrays()])
            return self.moved.gather(gradient(moved, self.fixed))

    @property
    def cotangents(self) -> Cotangents:
        return self.weighed.cotangents

    @property
    def _weights(self) -> list[NDArray[Any]]:
        return self.cotangents.weights


@contextmanager
def precision(*, wide: bool) -> Iterator[None]:
    """64-bit numbers within, where they are wanted; outside all is as it was."""
    if not wide:
        yield
        return
    enable = getattr(jax, "enable_x64", None)
    if enable is None:  # before release 0.8
        enable = importlib.import_module("jax.experimental").enable_x64
    with enable(True):
        yield


def as_jax_has_it(leaf: Any) -> Any:
    """An array as JAX rounds it: that of float64 to float32, unless x64 is enabled."""
    if not jnp.issubdtype(leaf.dtype, jnp.inexact):
        return leaf
    return numpy_of(leaf)


def in_double(leaf: Any) -> Any:
    """An array in double precision; keys, whole numbers and booleans as they are."""
    if not jnp.issubdtype(leaf.dtype, jnp.inexact):
        return leaf
    return jnp.asarray(leaf.astype(widened(leaf.dtype)))

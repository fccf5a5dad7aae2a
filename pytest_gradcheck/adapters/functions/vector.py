"""Functions of several outputs: the gradient of a weighted sum of them is what is checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.result import Entry, Finding
from ...errors import SubjectError
from ..blocks import Blocks
from ..joined import Part
from ..outputs import Cotangents, wrong_output
from .bounds import OUTSIDE, nowhere
from .jacobians import Jacobian, Outputs

INSENSITIVE = 1e-6
"""Slope, relative to value over scale of the parameters, below which an output is all rounding."""


class Vector:
    """A function with several outputs, and what is claimed of its Jacobian.

    Every output gets a random weight, over the length of its row of the Jacobian: a small output
    does not hide behind a large one.

    Parameters
    ----------
    call : callable
        ``call(blocks)`` is the function there, to be called without arguments; it gives NaN
        where the parameters stand outside their bounds.
    claim : callable
        ``claim(blocks, outputs)`` is the claimed Jacobian there.
    name : str
        What the function is called.
    block : str
        See `Part`.
    """

    def __init__(
        self,
        call: Callable[[Blocks], Callable[[], Any]],
        claim: Callable[[Blocks, Outputs], Jacobian],
        *,
        name: str,
        block: str = "{}",
    ) -> None:
        self._call, self._claim, self._name, self._block = call, claim, name, block
        self._cotangents: Cotangents | None = None

    def look(self, blocks: Blocks) -> None:
        """Choose the weights: once, at the point of the check.

        Raises
        ------
        SubjectError
            If the function returns something else than numbers.
        """
        outputs = Outputs.of(self._call(blocks)(), self._name)
        self._cotangents = Cotangents(outputs.places)
        if not self._cotangents.is_loss:
            _balance(self._cotangents, outputs, self._claim(blocks, outputs), blocks)

    def part(self, blocks: Blocks) -> Part:
        """The weighted sum and its claimed gradient, where the parameters of `blocks` stand."""
        call = self._call(blocks)

        def loss() -> float:
            returned = call()
            if returned is OUTSIDE:
                return math.nan
            return float(self.weights.total(self._outputs(returned).arrays))

        def grads() -> list[NDArray[Any]]:
            returned = call()
            if returned is OUTSIDE:
                return nowhere(blocks.parameters)
            outputs = self._outputs(returned)
            return self._claim(blocks, outputs).pull(self.weights.weights)

        return Part(self._block, loss, grads)

    def _outputs(self, returned: Any) -> Outputs:
        """What the function returned, in the shapes that it had at first."""
        outputs = Outputs.of(returned, self._name)
        shapes, first = ([p.shape for p in o] for o in (outputs.places, self.weights.outputs))
        if shapes != first:
            raise SubjectError(
                f"{self._name} returned outputs of shape {shapes}, the first time {first}: no"
                " derivative compares the two"
            )
        return outputs

    @property
    def weights(self) -> Cotangents:
        if self._cotangents is None:
            raise RuntimeError("look() comes first")
        return self._cotangents

    def explain(self, blocks: Blocks, entry: Entry) -> Finding | None:
        """Which output the error of one entry comes from; None if it is not of this function."""
        names = [self._block.format(p.name) for p in blocks.parameters]
        if entry.parameter not in names:
            return None
        k = names.index(entry.parameter)
        parameter = blocks.parameters[k]
        index = int(np.ravel_multi_index(entry.index, parameter.shape)) if entry.index else 0
        outputs = self._outputs(self._call(blocks)())
        claimed = self._claim(blocks, outputs)

        def values() -> list[NDArray[Any]]:
            returned = self._call(blocks)()
            if returned is OUTSIDE:
                return [np.full(place.shape, np.nan) for place in outputs.places]
            return self._outputs(returned).arrays

        def pulled(weights: Sequence[NDArray[Any]]) -> float:
            return float(claimed.pull(weights)[k].reshape(-1)[index])

        found = wrong_output(self.weights, parameter, index, values, pulled)
        return None if found is None else replace(found, where=(entry.parameter,))


def _balance(cotangents: Cotangents, outputs: Outputs, jacobian: Jacobian, blocks: Blocks) -> None:
    """Divide each weight by the length of its row, so that all rows count alike.

    An output that the parameters hardly move would then contribute nothing but its rounding: its
    row counts as no shorter than `INSENSITIVE` beside its value.
    """
    rows = jacobian.row_norms()
    if rows is None or not np.all(np.isfinite(rows)) or not rows.any():
        return
    theta = np.concatenate([p.read() for p in blocks.parameters])
    scale = float(np.sqrt(np.mean(theta**2))) or 1.0
    values = np.concatenate([np.abs(a).reshape(-1) for a in outputs.arrays])
    typical = float(np.sqrt(np.mean(rows[rows > 0] ** 2)))
    floor = INSENSITIVE * np.where(np.isfinite(values), values, 0.0) / scale
    lengths = np.where(rows > 0, np.maximum(rows, floor), np.maximum(typical, floor))
    factors = np.split(typical / lengths, np.cumsum([p.size for p in outputs.places])[:-1])
    for k, factor in enumerate(factors):
        weights = cotangents.weights[k]
        cotangents.weights[k] = weights * factor.reshape(weights.shape)


def require_gradient(outputs: Outputs, blocks: Blocks) -> None:
    """Refuse a Hessian of something else than one number.

    Raises
    ------
    SubjectError
        If what was differentiated to get it is not a gradient of the parameters.
    """
    size = sum(int(np.size(leaf.value)) for leaf in blocks.leaves)
    if outputs.size != size:
        raise SubjectError(
            f"hess= and hvp= are compared with differences of the gradient: it has {outputs.size}"
            f" entries, the parameters {size}; a Hessian is that of one number"
        )

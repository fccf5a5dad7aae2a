"""Many points in one call: the loss under ``torch.func.vmap``, where the module allows it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.parameters import Parameter
from .tensors import Tensors, torch
from .weighed import Weighed, inner

ENTRIES = range(32, 5_001)
"""Numbers of entries for which every entry is measured, and one call for many is worth a trial."""
ROUNDED = 64
"""Roundings by which a loss alone and one in a batch may differ."""


class Batched:
    """The loss at many points by one call.

    Parameters
    ----------
    weighed : Weighed
    moved : Tensors
        The blocks that points are made of.
    wide : bool
        Whether they are evaluated in float64.
    """

    def __init__(self, weighed: Weighed, moved: Tensors, *, wide: bool) -> None:
        self._weighed, self._moved, self._wide = weighed, moved, wide

    def __call__(self, points: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """The losses at m points.

        Parameters
        ----------
        points : sequence of ndarray
            For each block its values at all points, along a leading axis of length m.
        """
        tensors, batched = self._moved.stacked(points)

        def one(*held: Any) -> Any:
            outputs = self._weighed.outputs(held, wide=self._wide)
            return sum(inner(self._weighed.weights_for(outputs), outputs))

        dims = tuple(0 if is_batched else None for is_batched in batched)
        if not any(batched):  # all points are one
            return np.full(len(points[0]), float(one(*tensors)))
        with warnings.catch_warnings():  # an operation without a rule is run point by point
            warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
            found = torch.func.vmap(one, in_dims=dims, randomness="same")(*tensors)
        losses: NDArray[np.float64] = found.detach().cpu().to(torch.float64).numpy()
        return losses

    def is_the_same(self, loss: Callable[[], float]) -> bool:
        """Whether a batch is allowed, and gives what `loss` gives where the blocks stand.

        The blocks are moved for that, and put back.
        """
        blocks = self._moved.parameters
        if sum(p.size for p in blocks) not in ENTRIES:
            return False
        again = self._weighed.replay()
        saved = [(p, p.save()) for p in blocks]
        points = [_three(p) for p in blocks]
        alone = []
        try:
            for k in range(3):
                for p, values in zip(blocks, points, strict=True):
                    p.write(values[k].reshape(-1).astype(np.float64))
                again()
                alone.append(loss())
            again()
            together = self(points)
        except Exception:  # data-dependent control flow, buffers moved in place, no rule for it
            return False
        finally:
            again()
            for p, values in saved:
                p.restore(values)
        tolerance = ROUNDED * max(p.eps for p in blocks)
        size = float(np.max(np.abs(alone)))
        return bool(np.max(np.abs(together - alone)) <= tolerance * size)


def _three(parameter: Parameter) -> NDArray[Any]:
    """The point, and one to either side."""
    theta = parameter.read()
    size = np.max(np.abs(theta), initial=0.0) or 1.0
    aside = 0.01 * size * np.cos(np.arange(theta.size))
    rows = [parameter.round(theta + t * aside) for t in (0.0, 1.0, -1.0)]
    return np.stack(rows).reshape(3, *parameter.shape)

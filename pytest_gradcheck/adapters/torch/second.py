"""Double backward: the gradient of the gradient, on copies of the tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.problem import Problem
from ...settings import Settings
from ..blocks import after
from .tensors import Tensors, torch
from .weighed import Weighed, inner


def second_order(
    weighed: Weighed, tensors: Sequence[Any], outputs: Sequence[Any], settings: Settings
) -> Problem:
    """The gradient of a random combination of the gradient's entries.

    It is checked with respect to the tensors and to the cotangent, as
    ``torch.autograd.gradgradcheck`` does.

    Parameters
    ----------
    weighed : Weighed
    tensors : sequence of torch.Tensor
        What is moved: the tensors of the call, or float64 copies.
    outputs : sequence of torch.Tensor
        What the call gives for them.
    settings : Settings
    """
    wide = tensors is not weighed.call.tensors
    copies = [t.detach().clone().requires_grad_() for t in tensors]
    weights = [w.clone().requires_grad_() for w in weighed.weights_for(outputs)]
    names = [f"{name} (order 2)" for name in weighed.call.names]
    names += [f"cotangent of {output.name}" for output in weighed.cotangents.outputs]
    moved = Tensors(names, [*copies, *weights])
    rng = np.random.default_rng(2)
    draws = [_drawn(t, rng) for t in copies]

    def combined(outputs: Sequence[Any], *, create_graph: bool) -> Any:
        first = weighed.gradients(outputs, copies, weights=weights, create_graph=create_graph)
        pairs = [(u, g) for u, g in zip(draws, first, strict=True) if g is not None]
        return sum(inner([u for u, _ in pairs], [g for _, g in pairs]))

    def loss() -> float:
        with torch.enable_grad(), weighed.at(copies, wide=wide) as run:
            return float(combined(run(), create_graph=False))

    def grads() -> list[NDArray[Any]]:
        with torch.enable_grad(), weighed.at(copies, wide=wide) as run:
            total = combined(run(), create_graph=True)
            if not getattr(total, "requires_grad", False):  # constant, as autograd sees it
                return moved.gather([None] * len(moved.tensors))
            return moved.gather(torch.autograd.grad(total, moved.tensors, allow_unused=True))

    return Problem(
        moved.parameters,
        loss=after(loss, settings.before_each),
        grads=after(grads, settings.before_each),
    )


def _drawn(tensor: Any, rng: np.random.Generator) -> Any:
    """A random tensor of the same kind, whose entries stay away from zero."""
    shape = tuple(tensor.shape)
    values = rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)
    if tensor.is_complex():
        values = values * np.exp(1j * rng.uniform(0, 2 * np.pi, shape))
    return torch.from_numpy(np.array(values)).to(tensor.dtype).to(tensor.device)

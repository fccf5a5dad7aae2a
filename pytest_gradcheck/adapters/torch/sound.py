"""Whether a backward pass is sound: linear in what comes from above, the same twice, batchable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import SubjectError
from ...settings import Settings
from .tensors import to_numpy, torch
from .weighed import Weighed

LINEAR = 1e-2
"""How far twice the cotangent may be from twice the gradient, relatively: half precision."""
BATCHED = 1e-4
"""The same for a backward pass under vmap, whose sums are in another order."""
SEVERAL = 8
"""Outputs up to which the backward pass of each alone is tried."""


def require_sound_backward(weighed: Weighed, settings: Settings) -> None:
    """Refuse a backward pass that no check of its values can judge.

    Raises
    ------
    SubjectError
        If it ignores the gradient that comes in from above, which a loss of weight 1 cannot show;
        if it cannot do without that of one of several outputs; and, if that is asked for, if it
        is not the same twice or not the same under vmap.
    """
    is_loss = weighed.cotangents.is_loss
    several = 1 < len(weighed.cotangents.outputs) <= SEVERAL
    if not (is_loss or several or settings.batched_grad or settings.nondet_tol is not None):
        return  # random cotangents: a backward pass that ignores them fails by its values
    again = weighed.replay()
    outputs = _graph(weighed)
    try:
        once = _gradients(weighed, outputs)
    except RuntimeError:  # to be seen where the gradient itself is computed
        return
    if several:
        _require_each_alone(weighed, once, again)
    if is_loss:
        _require_linear(weighed, outputs, once)
    if settings.nondet_tol is not None:
        _require_same(once, _gradients(weighed, outputs), settings.nondet_tol)
    if settings.batched_grad:
        _require_batched(weighed, outputs, once)


def _require_linear(weighed: Weighed, outputs: Sequence[Any], once: Sequence[NDArray[Any]]) -> None:
    twice = [2 * w for w in weighed.weights_for(outputs)]
    try:
        doubled = _gradients(weighed, outputs, twice)
    except Exception:  # a backward pass that frees what it needs can be run only once
        return
    gap, size = _norm(_less(doubled, once, times=2)), _norm(once)
    if np.isfinite(gap) and gap > LINEAR * size:
        raise SubjectError(
            "the backward pass does not multiply by the gradient from above: with twice the"
            f" cotangent it is not twice the same (off by {gap / size:.1e}, relatively). It would"
            " be wrong inside any larger computation; multiply by grad_output"
        )


def _require_each_alone(
    weighed: Weighed, once: Sequence[NDArray[Any]], again: Callable[[], None]
) -> None:
    """An output that nobody uses has no cotangent: None arrives in the backward pass, or zeros."""
    gap, size = once, _norm(once)
    for k, output in enumerate(weighed.cotangents.outputs):
        again()
        graph = _graph(weighed)
        weight = weighed.weights_for(graph)[k]
        try:
            alone = _gradients(weighed, [graph[k]], [weight])
        except Exception as error:
            raise SubjectError(
                f"the backward pass fails where only {output.name} is used, and the gradients from"
                f" above of the others are undefined: {type(error).__name__}: {error}"
            ) from error
        gap = _less(gap, alone)
        size += _norm(alone)
    if np.isfinite(_norm(gap)) and _norm(gap) > LINEAR * size:
        raise SubjectError(
            "the backward passes of each output alone do not add up to that of all"
            f" ({', '.join(o.name for o in weighed.cotangents.outputs)}): off by"
            f" {_norm(gap) / size:.1e}, relatively. Look at how it treats the gradients of outputs"
            " that nobody uses, which are undefined"
        )


def _require_same(
    once: Sequence[NDArray[Any]], again: Sequence[NDArray[Any]], tolerance: float
) -> None:
    gap = max(float(np.max(np.abs(off), initial=0.0)) for off in _less(once, again))
    if not gap <= tolerance:
        raise SubjectError(
            "the backward pass is not deterministic: two runs at the same point differ by up to"
            f" {gap:.3g}, more than nondet_tol={tolerance:g}. Look for atomic additions or random"
            " numbers in it, or try torch.use_deterministic_algorithms(True)"
        )


def _require_batched(
    weighed: Weighed, outputs: Sequence[Any], once: Sequence[NDArray[Any]]
) -> None:
    weights = [
        w.reshape(y.shape) for w, y in zip(weighed.weights_for(outputs), outputs, strict=True)
    ]
    together = torch.autograd.grad(
        list(outputs),
        list(weighed.call.tensors),
        grad_outputs=[torch.stack([w, -w]) for w in weights],
        allow_unused=True,
        is_grads_batched=True,
        retain_graph=True,
    )
    gaps = [gap for g, found in zip(once, together, strict=True) for gap in _gaps(g, found)]
    if not _norm(gaps) <= BATCHED * _norm(once):
        raise SubjectError(
            "the backward pass gives another gradient under torch.func.vmap (is_grads_batched):"
            f" off by {_norm(gaps) / max(_norm(once), 1e-300):.1e}, relatively"
        )


def _gaps(alone: NDArray[Any], found: Any) -> list[NDArray[Any]]:
    """What a batch of a cotangent and its negative has too much."""
    pair = np.zeros((2, *alone.shape)) if found is None else to_numpy(found)
    return _less([pair[0], -pair[1]], [alone, alone])


def _graph(weighed: Weighed) -> list[Any]:
    with torch.enable_grad(), weighed.at() as run:
        return run()


def _gradients(
    weighed: Weighed, outputs: Sequence[Any], weights: Sequence[Any] | None = None
) -> list[NDArray[Any]]:
    if not any(y.requires_grad for y in outputs):
        return [np.zeros(()) for _ in weighed.call.tensors]
    found = weighed.gradients(outputs, weights=weights, retain_graph=True)
    return [np.zeros(()) if g is None else _in_double(to_numpy(g)) for g in found]


def _in_double(array: NDArray[Any]) -> NDArray[Any]:
    """A copy in double precision: the square of 256 is infinite in half."""
    return np.array(array, np.result_type(array.dtype, np.float64))


# Infinite gradients are told where the claim is looked at: their differences warn of nothing here.


@np.errstate(all="ignore")
def _less(
    these: Sequence[NDArray[Any]], those: Sequence[NDArray[Any]], *, times: float = 1
) -> list[NDArray[Any]]:
    """Differences, for which infinity and NaN are the same as themselves."""
    pairs = [(a, times * b) for a, b in zip(these, those, strict=True)]
    return [np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0, a - b) for a, b in pairs]


@np.errstate(all="ignore")
def _norm(parts: Sequence[NDArray[Any]]) -> float:
    return float(np.linalg.norm([np.linalg.norm(part) for part in parts]))

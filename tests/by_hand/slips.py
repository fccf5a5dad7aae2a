"""Slips in the derivation itself: of no named kind, though some come to one (a factor, say)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .layers import Array, Attention, Convolution, Dense, Lstm, Normalisation, Relu, Sigmoid, Tanh
from .models import Gaussian, Model, Stack

Seed = Callable[[Model], None]


def slips(model: Model) -> Iterator[tuple[str, Seed]]:
    """Those that this model can hold, each with the function that makes it."""
    for kind, fits, wrong in _BACKWARD:
        at = [i for i, layer in enumerate(getattr(model, "layers", ())) if fits(layer)]
        if at:
            yield kind, _replaced(at[-1], wrong)
    if isinstance(model, Stack):
        for kind, wrong_output in _OUTPUT:
            yield kind, _with_output(wrong_output)
    if isinstance(model, Gaussian):
        yield "log-determinant forgotten", _without_determinant
    yield "wrong loss", _of_another_loss
    yield "gradient of another batch", _of_another_batch


def _replaced(i: int, wrong: Callable[[Any, Array], Any]) -> Seed:
    def seed(model: Any) -> None:
        layer = model.layers[i]
        right = layer.backward
        layer.backward = lambda up: wrong((layer, right), up)

    return seed


def _with_output(wrong: Callable[[Array, Array, Any], Array]) -> Seed:
    def seed(model: Any) -> None:
        right = model.d_output
        model.d_output = lambda z, y: wrong(right(z, y), z, y)

    return seed


def _without_determinant(model: Any) -> None:
    right = model.data_grads
    model.data_grads = lambda X, y: {k: a + (k == "log_d") for k, a in right(X, y).items()}


def _of_another_loss(model: Any) -> None:
    right = model.data_grads
    rolled = lambda y: (y + 1) % (int(np.max(y)) + 1)  # noqa: E731
    model.data_grads = lambda X, y: right(X, rolled(y) if not isinstance(model, Gaussian) else y)
    if isinstance(model, Gaussian):
        model.data_grads = lambda X, y: right(X[:, ::-1], y)


def _of_another_batch(model: Any) -> None:
    right = model.grads
    model.grads = lambda X, y: right(X[::2], y[::2])


def _tanh_of_output(at: Any, up: Array) -> Any:
    layer, _ = at
    return up * (1 - np.tanh(layer.y) ** 2), {}


def _cosine(at: Any, up: Array) -> Any:
    layer, _ = at
    return up * np.cos(layer.x), {}


def _relu_of_gradient(at: Any, up: Array) -> Any:
    return up * (up > 0), {}


def _sigmoid_of_output(at: Any, up: Array) -> Any:
    layer, _ = at
    s = 0.5 * (1 + np.tanh(0.5 * layer.y))
    return up * s * (1 - s), {}


def _no_activation(at: Any, up: Array) -> Any:
    return up, {}


def _weights_not_transposed(at: Any, up: Array) -> Any:
    layer, right = at
    W = layer.params["W"]
    return up @ W, right(up)[1]


def _norm_without_mean(at: Any, up: Array) -> Any:
    layer, right = at
    dz = up * layer.params["gamma"]
    dx = dz - layer.z * (dz * layer.z).mean(axis=layer.axis, keepdims=True)
    return layer.scale * dx, right(up)[1]


def _norm_without_variance(at: Any, up: Array) -> Any:
    layer, right = at
    dz = up * layer.params["gamma"]
    return layer.scale * (dz - dz.mean(axis=layer.axis, keepdims=True)), right(up)[1]


def _norm_as_constant(at: Any, up: Array) -> Any:
    layer, right = at
    return layer.scale * up * layer.params["gamma"], right(up)[1]


def _softmax_as_constant(at: Any, up: Array) -> Any:
    layer, right = at
    kept, layer.d_softmax = layer.d_softmax, lambda da: layer.a * da
    try:
        return right(up)
    finally:
        layer.d_softmax = kept


def _without_root(at: Any, up: Array) -> Any:
    layer, right = at
    kept, layer.root = layer.root, 1.0
    try:
        return right(up)
    finally:
        layer.root = kept


def _one_step(at: Any, up: Array) -> Any:
    layer, right = at
    x, steps = layer.x, layer.steps
    layer.x, layer.steps = x[:, -1:], steps[-1:]
    try:
        dx, grads = right(up)
    finally:
        layer.x, layer.steps = x, steps
    return np.concatenate([np.zeros_like(x[:, :-1]), dx], axis=1), grads


def _no_cell_path(at: Any, up: Array) -> Any:
    layer, right = at
    kept = layer.steps
    layer.steps = [(h, c, i, 0 * f, o, g, after) for h, c, i, f, o, g, after in kept]
    try:
        return right(up)
    finally:
        layer.steps = kept


def _patch_off_by_one(at: Any, up: Array) -> Any:
    layer, right = at
    x = layer.x
    layer.x = np.roll(x, 1, axis=-1)
    try:
        return right(up)
    finally:
        layer.x = x


def _square(layer: Any) -> bool:
    return isinstance(layer, Dense) and np.ptp(layer.params["W"].shape) == 0


_BACKWARD: tuple[tuple[str, Callable[[Any], bool], Callable[[Any, Array], Any]], ...] = (
    ("tanh' at the output", lambda a: isinstance(a, Tanh), _tanh_of_output),
    ("cosine for sine", lambda a: isinstance(a, Tanh), _cosine),
    ("activation forgotten", lambda a: isinstance(a, (Tanh, Relu, Sigmoid)), _no_activation),
    ("relu' of the gradient", lambda a: isinstance(a, Relu), _relu_of_gradient),
    ("sigmoid' at the output", lambda a: isinstance(a, Sigmoid), _sigmoid_of_output),
    ("W for its transpose, upstream", _square, _weights_not_transposed),
    ("mean held in a norm", lambda a: isinstance(a, Normalisation), _norm_without_mean),
    ("variance held in a norm", lambda a: isinstance(a, Normalisation), _norm_without_variance),
    ("norm held", lambda a: isinstance(a, Normalisation), _norm_as_constant),
    ("softmax' without its sum", lambda a: isinstance(a, Attention), _softmax_as_constant),
    ("1/sqrt(d) forgotten", lambda a: isinstance(a, Attention), _without_root),
    ("last step of time only", lambda a: isinstance(a, Lstm), _one_step),
    ("no path through the cell", lambda a: isinstance(a, Lstm), _no_cell_path),
    ("patch off by one", lambda a: isinstance(a, Convolution), _patch_off_by_one),
)

_OUTPUT: tuple[tuple[str, Callable[[Array, Array, Any], Array]], ...] = (
    ("labels forgotten", lambda up, z, y: up + np.eye(z.shape[1])[y] / len(y)),
    ("squared error for cross-entropy", lambda up, z, y: up * (1 + up)),
    ("weight of one class", lambda up, z, y: up * np.where(y == 0, 2.0, 1.0)[:, None]),
)

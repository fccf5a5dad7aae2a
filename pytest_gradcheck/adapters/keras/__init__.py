"""Keras 3: layers and models on any of its backends.

A layer becomes a function of its variables, which a `StatelessScope` of Keras puts in place of the
layer's own: nothing that the layer holds moves, its seeds for dropout least of all.  What checks
that function is the adapter of the backend.  Only to be imported where Keras is.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from inspect import Parameter, Signature
from typing import Any

from ...core.problem import Problem
from ...core.state import FUNCTIONS, held_by_function
from ...errors import SubjectError
from ...settings import Settings
from ..called import Called, positional_names
from ..outputs import BITS

keras: Any = importlib.import_module("keras")


def adapt(subject: Any, args: tuple[Any, ...], settings: Settings) -> Problem | None:
    """A problem made of a layer, a model, or a method of one; None for all else.

    Raises
    ------
    SubjectError
        If it is not built yet, or has nothing to train.
    """
    call = subject if isinstance(subject, Called) else Called(subject)
    if not owns(call, args):
        return None
    call.require_callable()
    layer = _layer_of(call.subject)
    function = _Stateless(layer, call, len(args))
    names = list(function.variables)
    if not names and not settings.wrt:
        raise SubjectError(
            f"{call.title} has no trainable variable"
            + (
                ""
                if layer.built
                else ": it is not built yet; call it once on an example of its input first"
            )
        )
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax", "torch"):
        raise SubjectError(f"Keras runs on {backend!r}, which computes no gradients")
    values = {name: _copied(variable, backend) for name, variable in function.variables.items()}
    stateless = Called(function, kwargs=values, eps=_computed(layer))
    adapter = importlib.import_module(f"...adapters.{backend}", __package__)
    asked = replace(settings, wrt=settings.wrt or tuple(names))
    if backend == "jax":  # there Keras itself turns every float64 into float32
        asked = replace(asked, float64=False)
    problem: Problem = adapter.adapt(stateless, args, asked)
    return problem


def owns(call: Called, args: tuple[Any, ...]) -> bool:
    """Whether it is a layer or a model, or a method of one."""
    return callable(call.subject) and _layer_of(call.subject) is not None


def _layer_of(function: Any) -> Any:
    for candidate in (function, getattr(function, "__self__", None)):
        if isinstance(candidate, keras.layers.Layer):
            return candidate
    return None


def _computed(layer: Any) -> float:
    """Spacing at 1 of the narrowest numbers that a layer, or one inside it, computes with."""
    names = {each.compute_dtype for each in layer._flatten_layers()}
    return max((2.0 ** (1 - BITS[name]) for name in names if name in BITS), default=0.0)


def _copied(variable: Any, backend: str) -> Any:
    """The value of a variable, as a tensor by itself."""
    value = variable.value
    if backend == "torch":
        return value.detach().clone()
    return keras.ops.copy(value)


class _Stateless:
    """A layer as a function of its inputs and, by keyword, of its trainable variables."""

    def __init__(self, layer: Any, call: Called, count: int) -> None:
        self._layer, self._call = layer, call
        root = f"{layer.name}/"
        self.variables = {v.path.removeprefix(root): v for v in layer.trainable_variables}
        target = layer.call if call.subject is layer else call.subject
        names = positional_names(target, count, call.kwargs)
        names = [n if n.isidentifier() else f"input_{i}" for i, n in enumerate(names)]
        kinds = [Parameter(name, Parameter.POSITIONAL_ONLY) for name in names]
        rest = Parameter("variables", Parameter.VAR_KEYWORD)
        self.__signature__ = Signature([*kinds, rest])
        self.__name__ = call.title

    def __call__(self, *args: Any, **values: Any) -> Any:
        wide = any("64" in keras.backend.standardize_dtype(v.dtype) for v in values.values())
        narrow = any("64" not in v.dtype for v in self.variables.values())
        scope = keras.StatelessScope()
        for name, value in values.items():
            scope.add_update((self.variables[name], value))
        changed = wide and narrow
        precision = _in_float64(self._layer, self._call.loss, scope) if changed else nullcontext()
        with precision, scope:
            value = self._call.subject(*args, **self._call.kwargs)
            return value if self._call.loss is None else self._call.loss(value)


@contextmanager
def _in_float64(layer: Any, loss: Any, scope: Any) -> Iterator[None]:
    """Layers compute in float64 for a moment, and so do losses that `loss` holds."""
    layers = list(layer._flatten_layers())
    policies = [each.dtype_policy for each in layers]
    losses = [held for held in _held(loss) if isinstance(held, keras.losses.Loss)]
    dtypes = [each._dtype for each in losses]
    floatx = keras.config.floatx()
    trained = {id(v) for v in layer.trainable_variables}
    try:
        keras.config.set_floatx("float64")
        for each in layers:
            each.dtype_policy = "float64"
        for each in losses:
            each._dtype = "float64"
        for variable in layer.variables:
            if id(variable) not in trained and "float" in variable.dtype:
                scope.add_update((variable, keras.ops.cast(variable.value, "float64")))
        yield
    finally:
        keras.config.set_floatx(floatx)
        for each, policy in zip(layers, policies, strict=True):
            each.dtype_policy = policy
        for each, dtype in zip(losses, dtypes, strict=True):
            each._dtype = dtype


def _held(function: Any) -> Iterator[Any]:
    yield function
    if isinstance(function, FUNCTIONS):
        yield from (value for _, value in held_by_function("", function))

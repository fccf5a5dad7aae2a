"""The number that a check differentiates: the outputs of a JAX function, weighed and summed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..outputs import BITS, Cotangents, Output
from .trees import flattened, jax, jnp, leaf_name

Weights = Sequence[NDArray[Any]]


class Weighed:
    """A function of leaves, all its floating-point outputs, and their weighted sum.

    Parameters
    ----------
    function : callable
        ``function(moved, fixed)``, traceable by JAX.
    moved, fixed : sequence of array
        Where its outputs are looked at first, for their shapes.
    name : str
        What its outputs are called.
    """

    def __init__(
        self, function: Callable[..., Any], moved: Any, fixed: Any, *, name: str = "output"
    ) -> None:
        leaves = _shapes(function, moved, fixed)
        chosen = [i for i, (_, leaf) in enumerate(leaves) if _is_inexact(leaf)]
        self.places = [
            Output(
                leaf_name(name, path, bare=False),
                tuple(leaf.shape),
                is_complex=jnp.issubdtype(leaf.dtype, jnp.complexfloating),
                bits=BITS.get(np.dtype(leaf.dtype).name, 24 if leaf.dtype == np.complex64 else 53),
            )
            for path, leaf in (leaves[i] for i in chosen)
        ]
        self.cotangents = Cotangents(self.places)
        outputs = partial(_outputs, function, chosen)
        total = partial(_total, outputs)
        self._total = total
        self.outputs = Compiled(outputs)
        self.value_and_size = Compiled(partial(_value_and_size, outputs))
        self.value_of_many = Compiled(jax.vmap(total, in_axes=(0, None, None)))
        self.reverse = Compiled(jax.grad(total))
        self.forward = Compiled(jax.vmap(partial(_slope, total), in_axes=(None, None, None, 0)))

    def gradient(self, names: Sequence[str]) -> Callable[..., Any]:
        """The gradient of the weighted sum: a function of several outputs itself.

        It takes the weights as the last of its fixed arrays: constants of a traced function that
        is compiled for two precisions were seen to be handed over in the wrong one.
        """
        count, total = len(self.places), self._total

        def function(moved: Any, fixed: Any) -> dict[str, Any]:
            found = jax.grad(total)(moved, fixed[:-count], fixed[-count:])
            return dict(zip(names, found, strict=True))

        return function


# Functions of what they need, not methods: what JAX traces must die with its last user, and not
# wait in a cycle for the garbage collector (see `Compiled`).


def _outputs(function: Any, chosen: Sequence[int], moved: Any, fixed: Any) -> list[Any]:
    leaves, _ = flattened(function(moved, fixed))
    return [jnp.asarray(leaves[i][1]) for i in chosen]


def _value_and_size(outputs: Any, moved: Any, fixed: Any, weights: Weights) -> tuple[Any, Any]:
    """The weighted sum of the outputs, and that of their magnitudes."""
    found = outputs(moved, fixed)
    terms = [jnp.real(jnp.conj(w) * y) for w, y in zip(weights, found, strict=True)]
    return sum(jnp.sum(t) for t in terms), sum(jnp.sum(jnp.abs(t)) for t in terms)


def _total(outputs: Any, moved: Any, fixed: Any, weights: Weights) -> Any:
    return _value_and_size(outputs, moved, fixed, weights)[0]


def _slope(total: Any, moved: Any, fixed: Any, weights: Weights, direction: Any) -> Any:
    return jax.jvp(lambda m: total(m, fixed, weights), (moved,), (direction,))[1]


def _shapes(function: Any, moved: Any, fixed: Any) -> list[tuple[Any, Any]]:
    """Key paths and shapes of what a function returns."""
    try:
        returned = jax.eval_shape(nameless(function), moved, fixed)
    except UNTRACEABLE:
        returned = function(moved, fixed)
    leaves, _ = flattened(returned)
    return [(path, leaf if hasattr(leaf, "dtype") else np.asarray(leaf)) for path, leaf in leaves]


def _is_inexact(leaf: Any) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jnp.inexact))


UNTRACEABLE = (jax.errors.JAXTypeError, jax.errors.JAXIndexError)
"""What JAX raises for a function that looks at the values of its arguments."""


def nameless(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` as an object of its own: what JAX keeps of it, it keeps no longer than that."""
    return lambda *args: function(*args)


class Compiled:
    """A function compiled for the shapes and the precision that it meets; as it is where it cannot.

    It is compiled ahead of its calls: what ``jit`` traces in a context that enables x64 it keeps,
    and release 0.10 then takes NumPy arrays that the function closes over for float64 in later,
    eager calls outside the context.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._for: dict[Any, Callable[..., Any]] = {}
        self.is_compiled = True

    def __call__(self, moved: Sequence[Any], *args: Any) -> Any:
        if not self.is_compiled:
            return self._function(moved, *args)
        shapes = tuple(a.shape for a in (*moved, *args[-1]))
        key = (jax.config.jax_enable_x64, shapes)
        if key not in self._for:
            try:
                function = nameless(self._function)
                self._for[key] = jax.jit(function).lower(moved, *args).compile()
            except UNTRACEABLE:
                self.is_compiled = False
                return self._function(moved, *args)
        return self._for[key](moved, *args)

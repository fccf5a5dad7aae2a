"""A function as TensorFlow's gradient tape sees it: outputs, and derivatives in both modes."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.structure import flatten
from ...errors import SubjectError
from ..outputs import BITS, Cotangents, Output

# Typed as Any: types are checked in environments without the framework, too.
tf: Any = importlib.import_module("tensorflow")

Arrays = list[NDArray[Any]]


class Traced:
    """A function of a list of tensors and variables; all its floating-point outputs count.

    Parameters
    ----------
    function : callable
        ``function(leaves)``.
    sources : sequence of tensor, variable or array
        What the leaves are: a variable is written to and handed on itself.
    arrays : list of ndarray
        Where the outputs are looked at first.
    held : int
        How many of the first leaves are variables that the function does not get from its
        arguments, so that nothing can stand in for them.
    name : str
        What the outputs are called.

    Raises
    ------
    SubjectError
        If none of the outputs depends on what is moved, as far as the tape can see.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        sources: Sequence[Any],
        arrays: Arrays,
        *,
        held: int = 0,
        name: str = "output",
    ) -> None:
        self._function, self._sources, self._held = function, list(sources), held
        found = flatten(function(self.placed(arrays)), name)
        self._chosen = [i for i, leaf in enumerate(found) if is_floating(leaf.value)]
        if not self._chosen:
            raise SubjectError(f"the {name} is no floating-point tensor")
        outputs = []
        for leaf in (found[i] for i in self._chosen):
            dtype = tf.convert_to_tensor(leaf.value).dtype
            bits = BITS.get(dtype.real_dtype.name, 53)
            outputs.append(Output(leaf.name, tuple(leaf.value.shape), dtype.is_complex, bits))
        self.cotangents = Cotangents(outputs)
        if all(g is None for g in self._gradients(arrays, self.cotangents.weights)[1]):
            raise SubjectError(
                f"no {name} depends on what is to be checked, as far as a GradientTape can see."
                " Look for .numpy(), NumPy, tf.stop_gradient or an operation without a gradient on"
                " the way"
            )

    def placed(self, arrays: Arrays) -> list[Any]:
        """The leaves with the values of arrays: variables are assigned to."""
        placed = []
        for k, (source, array) in enumerate(zip(self._sources, arrays, strict=True)):
            if is_variable(source) and array.dtype == source.dtype.as_numpy_dtype:
                source.assign(array)
                placed.append(source)
            elif k < self._held:
                raise TypeError(f"{source.name} holds {source.dtype.name} only")
            else:
                placed.append(tf.constant(array))
        return placed

    def follows(self, own: Arrays, others: Arrays) -> bool:
        """Whether the outputs depend on all that they depend on with others in their place, too.

        A function that closes over a variable does not see what stands in for it.
        """
        before = self._gradients(own, self.cotangents.weights)[1]
        try:
            after = self._gradients(others, self.cotangents.weights)[1]
        except Exception:  # a function may refuse the other precision in any way it likes
            return False
        return [g is None for g in before] == [g is None for g in after]

    def outputs(self, arrays: Arrays) -> Arrays:
        """The outputs that have a weight."""
        return [tf.convert_to_tensor(y).numpy() for y in self._outputs(self.placed(arrays))]

    def reverse(self, arrays: Arrays, weights: Sequence[NDArray[Any]]) -> Arrays:
        """The gradient of the weighted sum, in the convention ``dL/dx - i dL/dy``."""
        leaves, found = self._gradients(arrays, weights)
        pairs = zip(leaves, found, strict=True)
        return [
            np.zeros(x.shape) if g is None else np.conj(tf.convert_to_tensor(g).numpy())
            for x, g in pairs
        ]

    def _gradients(
        self, arrays: Arrays, weights: Sequence[NDArray[Any]]
    ) -> tuple[list[Any], list[Any]]:
        leaves = self.placed(arrays)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(leaves)
            total = self.total(leaves, weights)
        return leaves, tape.gradient(total, leaves)

    def slope(self, arrays: Arrays, weights: Sequence[NDArray[Any]], direction: Arrays) -> float:
        """The derivative of the weighted sum along a direction, by forward mode."""
        leaves = self.placed(arrays)
        tangents = [tf.constant(d) for d in direction]
        with tf.autodiff.ForwardAccumulator(leaves, tangents) as accumulator:
            total = self.total(leaves, weights)
        found = accumulator.jvp(total)
        return 0.0 if found is None else float(found.numpy())

    def total(self, leaves: list[Any], weights: Sequence[NDArray[Any]]) -> Any:
        """The sum of ``Re <w, y>`` over all outputs, in double precision."""
        pairs = zip(weights, self._outputs(leaves), strict=True)
        return tf.add_n([_inner(w, tf.convert_to_tensor(y)) for w, y in pairs])

    def _outputs(self, leaves: list[Any]) -> list[Any]:
        found = flatten(self._function(leaves))
        return [found[i].value for i in self._chosen]


class Gradient:
    """The gradient of a traced function: a function of several outputs itself."""

    def __init__(self, first: Traced, names: Sequence[str]) -> None:
        self._first, self._names = first, names

    def __call__(self, leaves: list[Any]) -> dict[str, Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(leaves)
            total = self._first.total(leaves, self._first.cotangents.weights)
        zero = tf.UnconnectedGradients.ZERO
        found = tape.gradient(total, leaves, unconnected_gradients=zero)
        return dict(zip(self._names, map(tf.convert_to_tensor, found), strict=True))


def _inner(weight: NDArray[Any], output: Any) -> Any:
    if not output.dtype.is_complex:
        product = tf.constant(np.real(weight), output.dtype) * output
        return tf.reduce_sum(tf.cast(product, tf.float64))
    product = tf.constant(np.conj(weight), output.dtype) * output
    return tf.reduce_sum(tf.cast(tf.math.real(product), tf.float64))


def is_variable(value: Any) -> bool:
    return isinstance(value, tf.Variable)


def is_tensor(value: Any) -> bool:
    return isinstance(value, (tf.Tensor, tf.Variable))


def is_floating(value: Any) -> bool:
    """Whether the numbers of a tensor, a variable or an array have a derivative."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.dtype.kind in "fc"
    return is_tensor(value) and (value.dtype.is_floating or value.dtype.is_complex)

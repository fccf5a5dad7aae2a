"""A function as autograd traces it: its outputs, and its derivatives in both modes."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import SubjectError
from ..arguments import is_floating
from ..outputs import BITS, Cotangents, Output

# Typed as Any: types are checked in environments without the framework, too.
core: Any = importlib.import_module("autograd.core")
anp: Any = importlib.import_module("autograd.numpy")
tracer: Any = importlib.import_module("autograd.tracer")

Arrays = list[NDArray[Any]]


class Traced:
    """A function of a list of arrays; all its floating-point outputs count.

    Parameters
    ----------
    function : callable
        ``function(leaves)``, in terms of ``autograd.numpy``.
    arrays : list of ndarray
        Where its outputs are looked at first.
    name : str
        What its outputs are called.

    Raises
    ------
    SubjectError
        If none of the outputs depends on what is moved, as far as autograd can see.
    """

    def __init__(
        self, function: Callable[[Any], Any], arrays: Arrays, name: str = "output"
    ) -> None:
        self._function = function
        found = list(_flat(_value(function(arrays)), name))
        self._chosen = [i for i, (_, leaf) in enumerate(found) if is_floating(leaf)]
        if not self._chosen:
            raise SubjectError(f"the {name} is no floating-point number or array")
        outputs = []
        for label, leaf in (found[i] for i in self._chosen):
            dtype = np.asarray(leaf).dtype
            bits = BITS.get(np.zeros((), dtype).real.dtype.name, 53)
            outputs.append(Output(label, np.shape(leaf), dtype.kind == "c", bits))
        self.cotangents = Cotangents(outputs)
        self._require_dependence(arrays)

    def _require_dependence(self, arrays: Arrays) -> None:
        with _clearer():
            _, end = _trace(core.VJPNode.new_root(), self._total(self.cotangents.weights), arrays)
        if end is None:
            raise SubjectError(
                "no output depends on what is to be checked, as far as autograd can see. Look for"
                " numpy in place of autograd.numpy, float(), .item() or assignment into an array"
                " on the way"
            )

    def outputs(self, arrays: Arrays) -> Arrays:
        """The outputs that have a weight."""
        return [np.asarray(_value(y)) for y in self._outputs(arrays)]

    def reverse(self, arrays: Arrays, weights: Sequence[NDArray[Any]]) -> Arrays:
        """The gradient of the weighted sum of the outputs."""
        with _clearer():
            value, end = _trace(core.VJPNode.new_root(), self._total(weights), arrays)
            if end is None:
                return [np.zeros(a.shape) for a in arrays]
            found = core.backward_pass(core.vspace(value).ones(), end)
        return [np.asarray(gradient) for gradient in found]

    def slope(self, arrays: Arrays, weights: Sequence[NDArray[Any]], direction: Arrays) -> float:
        """The derivative of the weighted sum along a direction, by forward mode."""
        with _clearer():
            node = core.JVPNode.new_root(list(direction))
            _, end = _trace(node, self._total(weights), arrays)
        return 0.0 if end is None else float(np.real(end.g))

    def total_of(self, leaves: Any, weights: Sequence[NDArray[Any]]) -> Any:
        """The weighted sum, traceable."""
        return self._total(weights)(leaves)

    def _total(self, weights: Sequence[NDArray[Any]]) -> Callable[[Any], Any]:
        def total(leaves: Any) -> Any:
            pairs = zip(weights, self._outputs(leaves), strict=True)
            return sum(_inner(w, y) for w, y in pairs)

        return total

    def _outputs(self, leaves: Any) -> list[Any]:
        items = [leaves[i] for i in range(len(leaves))]
        found = [leaf for _, leaf in _flat(self._function(items), "")]
        return [found[i] for i in self._chosen]


class Gradient:
    """The gradient of a traced function: a function of several outputs itself."""

    def __init__(self, first: Traced, names: Sequence[str]) -> None:
        self._first, self._names = first, names

    def __call__(self, leaves: Any) -> dict[str, Any]:
        weights = self._first.cotangents.weights

        def total(items: Any) -> Any:
            return self._first.total_of(items, weights)

        grad = importlib.import_module("autograd.builtins").list(list(leaves))
        vjp, value = core.make_vjp(total, grad)
        found = vjp(core.vspace(_value(value)).ones())
        return {name: found[i] for i, name in enumerate(self._names)}


def _inner(weight: NDArray[Any], output: Any) -> Any:
    """``Re <w, y>``, in the precision of the output."""
    dtype = np.asarray(_value(output)).dtype
    weight = weight.astype(dtype if dtype.kind == weight.dtype.kind else weight.dtype)
    product = anp.conj(weight) * output if weight.dtype.kind == "c" else weight * output
    return anp.sum(anp.real(product) if dtype.kind == "c" else product)


def _trace(root: Any, function: Callable[[Any], Any], arrays: Arrays) -> tuple[Any, Any]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Output seems independent of input", UserWarning)
        value, end = tracer.trace(root, function, list(arrays))
    return value, end


def _value(boxed: Any) -> Any:
    """What a box of autograd holds, or the containers of boxes."""
    if isinstance(boxed, dict):
        return {key: _value(item) for key, item in boxed.items()}
    if isinstance(boxed, (list, tuple)):
        return [_value(item) for item in boxed]
    return _value(boxed._value) if tracer.isbox(boxed) else boxed


def _flat(tree: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Names and values of what a function returned, boxes of containers opened by their keys."""
    shape = _value(tree)
    if isinstance(shape, dict):
        for key in shape:
            yield from _flat(
                tree[key], f"{name}.{key}" if isinstance(key, str) else f"{name}[{key}]"
            )
    elif isinstance(shape, (list, tuple)):
        for i in range(len(shape)):
            yield from _flat(tree[i], f"{name}[{i}]")
    else:
        yield name, tree


@contextmanager
def _clearer() -> Iterator[None]:
    """What a function that uses numpy for autograd.numpy raises, said so."""
    try:
        yield
    except (TypeError, ValueError, AttributeError) as error:
        text = str(error)
        if "ArrayBox" not in text and "setting an array element" not in text:
            raise
        raise SubjectError(
            "autograd cannot follow the function; does it use numpy where autograd.numpy is"
            f" meant, or assign into an array?\n{type(error).__name__}: {text}"
        ) from error

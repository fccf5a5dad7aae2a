"""Claimed gradients as arrays: one for each parameter, of real numbers, an entry for an entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SubjectError
from .parameters import Array, Parameter


def one_for_each(handed: Any, parameters: Sequence[Parameter]) -> list[NDArray[Any]]:
    """What ``Problem.grads()`` hands out, which an adapter of somebody's own may have made.

    Each comes in the shape of its parameter, or flat, in the precision in which it was computed.

    Raises
    ------
    SubjectError
        For another number of gradients, one of another shape, or what is no array of real numbers.
    """
    names = ", ".join(p.name for p in parameters[:10]) + (", ..." if len(parameters) > 10 else "")
    wanted = f"it must hand out a list of {len(parameters)}, one for each of the parameters {names}"
    if isinstance(handed, (Mapping, str, bytes)) or not hasattr(handed, "__iter__"):
        raise SubjectError(f"grads() of the problem gave {_kind(handed)}: {wanted}, in this order")
    gradients = list(handed)
    if len(gradients) != len(parameters):
        raise SubjectError(
            f"grads() of the problem gave {len(gradients)} gradients: {wanted}, in this order."
            " Which of them belongs to which parameter cannot be guessed; one that is zero is an"
            " array of zeros"
        )
    return [_of_one(g, p) for g, p in zip(gradients, parameters, strict=True)]


def flat(gradients: Iterable[NDArray[Any]]) -> list[Array]:
    """Flat copies in float64: the same arrays may be handed out the next time."""
    return [np.array(gradient, dtype=np.float64).reshape(-1) for gradient in gradients]


def _of_one(value: Any, parameter: Parameter) -> NDArray[Any]:
    array = real_array(value, parameter.name)
    if array.shape not in (parameter.shape, (parameter.size,)):
        raise SubjectError(
            f"grads[{parameter.name}] has shape {array.shape}, the parameter {parameter.shape}:"
            " hand it out in that shape, or flat in row-major order; each entry of a gradient"
            " belongs to one entry of its parameter"
        )
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def as_gradient(value: Any, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """A copy of one claimed gradient, floating-point, in the shape of its parameter.

    Raises
    ------
    SubjectError
        If it is missing, not real-valued, or of another shape.
    """
    array = real_array(value, name)
    if array.shape != shape and not (array.size == 1 and shape == ()):
        raise SubjectError(
            f"grads[{name}] has shape {array.shape}, the parameter {shape}: each entry of a"
            " gradient belongs to one entry of its parameter, so nothing is broadcast or reshaped"
        )
    return np.array(array.reshape(shape), dtype=None if array.dtype.kind == "f" else np.float64)


def real_array(value: Any, name: str) -> NDArray[Any]:
    """One claimed gradient as NumPy sees it: no copy where it is an array already.

    Raises
    ------
    SubjectError
        If it is missing, or not real-valued.
    """
    if value is None:
        raise SubjectError(
            f"grads[{name}] is None: no gradient was written. If it is zero, say so with an"
            " array of zeros; if the parameter is not trained, keep it out of params."
        )
    try:
        array = np.asarray(value)
    except Exception as error:  # an object may refuse in any way it likes
        raise SubjectError(
            f"grads[{name}] is of type {type(value).__name__}, of which NumPy makes no array"
            f" ({type(error).__name__}: {error}): a gradient has one real number for each entry of"
            " its parameter"
        ) from error
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise SubjectError(
            f"grads[{name}] is a masked array with entries masked, so their gradient is not said;"
            " where it is zero, hand out .filled(0)"
        )
    if array.dtype == object and hasattr(value, "toarray"):
        raise SubjectError(
            f"grads[{name}] is of type {type(value).__name__}, of which NumPy makes no array of"
            " numbers; hand out .toarray()"
        )
    if array.dtype.kind not in "fiu":
        raise SubjectError(f"grads[{name}] is of dtype {array.dtype}: a gradient has real numbers")
    return array


def _kind(value: Any) -> str:
    return "None" if value is None else f"an object of type {type(value).__name__}"

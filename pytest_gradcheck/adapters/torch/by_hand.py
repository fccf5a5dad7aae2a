"""Gradients by hand, of tensors: objects with hooks and plain functions, handed on as NumPy's.

Arrays over the memory of the tensors stand for them, so that what moves an array moves the tensor
that the loss reads.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

from ...core.problem import Problem
from ...errors import SubjectError
from ...settings import Settings
from .. import functions, hooks
from ..blocks import accepts
from ..functions import Functions
from .call import holds_tensors, leaves, mapped
from .state import Surroundings
from .tensors import is_tensor, require_plain, to_numpy


def adapt(subject: Any, args: tuple[Any, ...], settings: Settings) -> Problem | None:
    """A problem made of hooks that speak of tensors; None where they do not.

    Raises
    ------
    SubjectError
        For tensors whose memory NumPy cannot share.
    """
    if isinstance(subject, Functions):
        if subject.grads is None or not holds_tensors(subject.params):
            return None
        problem = functions.adapt(_plain(subject), args, settings)
        named = [("loss", subject.loss), ("grads", subject.grads), ("args", args)]
        held = subject.params
    else:
        held = _params_of(subject, settings)
        if held is None or not holds_tensors(held):
            return None
        problem = hooks.adapt(Hooked(subject), args, settings)
        problem.title = type(subject).__name__
        named = [("self", subject), ("args", args)]
    return _looked_after(problem, named, held)


def _params_of(subject: Any, settings: Settings) -> Any:
    names = settings.hooks
    if any("." in name for name in names.values()):
        return None
    value = getattr(subject, names.get("params", "params"), None)
    if callable(value) and not is_tensor(value) and hasattr(subject, names.get("loss", "loss")):
        return value() if accepts(value, ()) else None
    return value


def _looked_after(problem: Problem, named: list[tuple[str, Any]], held: Any) -> Problem:
    """The problem, after which what torch keeps stands as before, too."""
    moved = [value for _, value in leaves(held, "params") if is_tensor(value)]
    around, first = Surroundings(named, moved), problem.put_back
    problem.roots = [*named, *around.modules, *around.generators]

    def put_back() -> None:
        if first is not None:
            first()
        around.restore()

    problem.put_back = put_back
    return problem


def _plain(subject: Functions) -> Functions:
    """Functions of arrays that are functions of the user's own tensors over the same memory."""

    def of_tensors(function: Any) -> Any:
        @functools.wraps(function)
        def call(_: Any, *args: Any) -> Any:
            return as_numpy(function(subject.params, *args))

        return call

    return replace(
        subject,
        loss=of_tensors(subject.loss),
        grads=of_tensors(subject.grads),
        params=as_numpy(subject.params),
    )


class Hooked:
    """An object whose hooks give arrays where those of `subject` give tensors."""

    def __init__(self, subject: Any) -> None:
        self._subject = subject

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._subject, name)
        if not callable(value) or is_tensor(value):
            return as_numpy(value)

        @functools.wraps(value)
        def call(*args: Any) -> Any:
            return as_numpy(value(*args))

        return call


def as_numpy(tree: Any) -> Any:
    """`tree` with arrays over the same memory in place of its tensors.

    Raises
    ------
    SubjectError
        For tensors on a device or of a dtype that NumPy does not have.
    """
    return mapped(tree, _shared) if holds_tensors(tree) else tree


def _shared(tensor: Any) -> Any:
    require_plain("", tensor)
    if tensor.device.type != "cpu" or "bfloat16" in str(tensor.dtype):
        raise SubjectError(
            f"a gradient by hand can be checked of tensors in host memory, not of one of"
            f" {tensor.dtype} on {tensor.device}; move the object there, or make it a module or an"
            " autograd.Function"
        )
    return to_numpy(tensor)

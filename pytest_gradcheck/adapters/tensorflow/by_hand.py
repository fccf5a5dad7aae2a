"""Gradients by hand, of variables and tensors: objects with hooks and plain functions.

NumPy copies stand for the variables, and are written back to them before every evaluation.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...core.problem import Problem
from ...core.structure import flatten, is_branch, rebuild
from ...settings import Settings
from .. import functions, hooks
from ..blocks import accepts
from ..functions import Functions
from .traced import is_tensor, is_variable, tf


def is_of_tensors(subject: Any, settings: Settings) -> bool:
    """Whether its parameters are tensors or variables, and its gradient is its own."""
    held = subject.params if isinstance(subject, Functions) else _params_of(subject, settings)
    return held is not None and any(is_tensor(leaf.value) for leaf in flatten(held))


def adapt(subject: Any, args: tuple[Any, ...], settings: Settings) -> Problem:
    """A problem made of hooks that speak of tensors."""
    if isinstance(subject, Functions):
        return functions.adapt(_plain(subject), args, settings)
    problem = hooks.adapt(Hooked(subject, settings), args, settings)
    problem.title = type(subject).__name__
    return problem


def _params_of(subject: Any, settings: Settings) -> Any:
    names = settings.hooks
    if any("." in name for name in names.values()) or isinstance(subject, type):
        return None
    if not hasattr(subject, names.get("loss", "loss")):
        return None
    value = getattr(subject, names.get("params", "params"), None)
    if callable(value) and not is_tensor(value):
        return value() if accepts(value, ()) else None
    return value


def as_numpy(tree: Any) -> Any:
    """`tree` with NumPy copies in place of its tensors."""
    if is_tensor(tree):
        return tree.numpy()
    if isinstance(tree, tf.IndexedSlices):
        return tf.convert_to_tensor(tree).numpy()
    if not is_branch(tree):
        return tree
    return rebuild(tree, iter([as_numpy(leaf.value) for leaf in flatten(tree)]))


def written(held: Any, values: Any) -> Any:
    """`held` with these values: variables are assigned to, tensors replaced."""
    found = []
    for leaf, value in zip(flatten(held), flatten(values), strict=True):
        if is_variable(leaf.value):
            leaf.value.assign(value.value)
            found.append(leaf.value)
        else:
            found.append(tf.constant(value.value) if is_tensor(leaf.value) else value.value)
    return rebuild(held, iter(found))


def _plain(subject: Functions) -> Functions:
    """Functions of arrays that are functions of the user's own variables and tensors."""

    def of_tensors(function: Any) -> Any:
        if not callable(function):
            return function

        @functools.wraps(function)
        def call(values: Any, *args: Any) -> Any:
            return as_numpy(function(written(subject.params, values), *args))

        return call

    return replace(
        subject,
        loss=of_tensors(subject.loss),
        grads=of_tensors(subject.grads),
        params=as_numpy(subject.params),
    )


class Hooked:
    """An object whose hooks give arrays where those of `subject` give tensors."""

    def __init__(self, subject: Any, settings: Settings) -> None:
        self._subject, self._names = subject, settings.hooks
        self._held = _params_of(subject, settings)

    def __getattr__(self, name: str) -> Any:
        if name == self._names.get("set_params", "set_params"):
            return self._write
        value = getattr(self._subject, name)
        if name == self._names.get("params", "params"):
            return as_numpy(self._held)
        if not callable(value) or is_tensor(value):
            return as_numpy(value)

        @functools.wraps(value)
        def call(*args: Any) -> Any:
            return as_numpy(value(*args))

        return call

    def _write(self, values: Mapping[str, Any]) -> None:
        written(self._held, values)

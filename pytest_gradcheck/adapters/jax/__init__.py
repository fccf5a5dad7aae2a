"""JAX: functions of pytrees, with custom derivatives or without; Equinox and Flax NNX modules.

Only to be imported where JAX is: whoever looks for it asks ``sys.modules``.
"""

from __future__ import annotations

import functools
import inspect
import os
from dataclasses import replace
from typing import Any

from ...core.problem import Problem
from ...core.state import State
from ...settings import Settings
from ..called import Called, has_hooks, without_claims
from ..functions import Functions
from .check import places_of
from .trees import is_equinox, is_nnx, jax, tree_util


def adapt(subject: Any, args: tuple[Any, ...], settings: Settings) -> Problem | None:
    """A problem made of a function of JAX arrays, or of a module; None for all else.

    Raises
    ------
    SubjectError
        If there is nothing that a derivative may be taken by.
    """
    if isinstance(subject, Functions):
        if not _speaks_jax(subject):
            return None
        subject = Called(subject.loss, grads=subject.grads, params=subject.params)
    elif not isinstance(subject, Called):
        subject = Called(subject)
        if not owns(subject, args):
            return None
    subject.require_callable()
    function = subject.subject
    state = State([("loss", function)] if inspect.isfunction(function) else [])
    try:  # to choose the precision, all is called before the check begins
        return places_of(subject, args, settings).problem()
    finally:
        state.restore()


def owns(call: Called, args: tuple[Any, ...]) -> bool:
    """Whether it is a function of JAX arrays, or a module."""
    subject = call.subject
    if not callable(subject) or isinstance(subject, type):
        return False
    if is_nnx(subject) or is_equinox(subject):
        return True
    return not has_hooks(subject) and (_is_of_jax(subject) or _holds_jax((args, call.kwargs)))


def _speaks_jax(functions: Functions) -> bool:
    """Whether plain functions are JAX's, or work on its arrays."""
    if functions.params is None or not callable(functions.loss):
        return False
    if not without_claims(replace(functions, grads=None)):
        return False
    return _holds_jax(functions.params) or any(
        _is_of_jax(f) for f in (functions.loss, functions.grads)
    )


def _holds_jax(tree: Any) -> bool:
    leaves = tree_util.tree_leaves(tree, is_leaf=is_nnx)
    return any(isinstance(leaf, jax.Array) or is_nnx(leaf) for leaf in leaves)


def _is_of_jax(function: Any) -> bool:
    """Whether JAX made a function: by a custom derivative, ``jit``, ``grad``, ``vmap``."""
    if isinstance(function, functools.partial):
        return _is_of_jax(function.func)
    if type(function).__module__.partition(".")[0] in ("jax", "jaxlib"):
        return True
    code = getattr(function, "__code__", None)
    return code is not None and code.co_filename.startswith(_HOME)


_HOME = os.path.dirname(jax.__file__) + os.sep

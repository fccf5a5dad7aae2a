"""JAX: functions of pytrees, with custom derivatives or without; Equinox and Flax NNX modules.

Only to be imported where JAX is: whoever looks for it asks ``sys.modules``.
"""

from __future__ import annotations

import functools
import inspect
import os
from typing import Any

from ...core.problem import Problem
from ...core.state import State
from ...errors import SubjectError
from ...settings import Settings
from ..functions import Functions
from .call import JaxSubject
from .check import JaxCheck
from .trees import is_equinox, is_nnx, jax, tree_util

__all__ = ["JaxSubject", "adapt"]


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
        subject = JaxSubject(subject.loss, grads=subject.grads, params=subject.params)
    elif not isinstance(subject, JaxSubject):
        if not _is_ours(subject, args):
            return None
        subject = JaxSubject(subject)
    asked = subject.completed(settings)
    if not callable(asked.subject):
        raise SubjectError(f"{asked.subject!r} is neither a module nor a function")
    if asked.order not in (1, 2):
        raise SubjectError(f"order={asked.order!r}: must be 1 or 2")
    state = State([("loss", asked.subject)] if inspect.isfunction(asked.subject) else [])
    try:  # to choose the precision, all is called before the check begins
        return JaxCheck(asked, args, settings).problem()
    finally:
        state.restore()


def call_of(
    subject: Any, args: tuple[Any, ...], *, loss: Any = None, kwargs: Any = None
) -> JaxSubject | None:
    """A function of JAX arrays, or a module, with all that is said about it; None for all else."""
    if not (_is_ours(subject, args) or _holds_jax(kwargs)):
        return None
    return JaxSubject(subject, loss=loss, kwargs=kwargs or {})


def _speaks_jax(functions: Functions) -> bool:
    """Whether plain functions are JAX's, or work on its arrays."""
    if functions.params is None or not callable(functions.loss):
        return False
    further = ("jac", "vjp", "jvp", "hess", "hvp", "bounds")
    if any(getattr(functions, name, None) is not None for name in further):
        return False
    return _holds_jax(functions.params) or any(
        _is_of_jax(f) for f in (functions.loss, functions.grads)
    )


def _is_ours(subject: Any, args: tuple[Any, ...]) -> bool:
    if not callable(subject) or isinstance(subject, type):
        return False
    if is_nnx(subject) or is_equinox(subject):
        return True
    has_hooks = hasattr(subject, "params") and hasattr(subject, "loss")
    return not has_hooks and (_is_of_jax(subject) or _holds_jax(args))


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

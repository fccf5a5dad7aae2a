"""HIPS autograd: functions written in ``autograd.numpy``, with primitives of one's own or without.

Only to be imported where autograd is: whoever looks for it asks ``sys.modules``.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...core.problem import Problem
from ...core.state import held_by_function
from ...core.structure import flatten
from ...settings import Settings
from ..arguments import Arguments, is_floating
from ..called import Called, has_hooks, without_claims
from ..functions import Functions
from ..moved import Moved, widened
from ..places import TracedPlace, TwoPlaces
from .traced import Gradient, Traced

DEPTH = 4
"""Functions calling functions, down to which a use of autograd is looked for."""


def adapt(subject: Any, args: tuple[Any, ...], settings: Settings) -> Problem | None:
    """A problem made of a function that autograd differentiates; None for all else.

    Raises
    ------
    SubjectError
        If there is nothing to differentiate by, or autograd cannot follow the function.
    """
    if isinstance(subject, Functions):
        if not (without_claims(subject) and _uses_autograd(subject.loss)):
            return None
        if _returns_pair(subject, args):  # such as value_and_grad(f): the claim is its own
            return None
        subject = Called(subject.loss, params=subject.params)
    elif not isinstance(subject, Called):
        subject = Called(subject)
        if has_hooks(subject.subject) or not owns(subject, args):
            return None
    subject.require_callable()
    return _places(subject, args, settings).problem()


def owns(call: Called, args: tuple[Any, ...]) -> bool:
    """Whether it is a function of arrays that makes use of autograd."""
    if isinstance(call.subject, (Functions, type)) or not callable(call.subject):
        return False
    return bool(args or call.kwargs) and _uses_autograd(call.subject)


def _places(asked: Called, args: tuple[Any, ...], settings: Settings) -> TwoPlaces:
    arguments = Arguments(
        asked, args, is_moved=is_floating, is_movable=is_floating, wrt=settings.wrt
    )
    arguments.require_some("floating-point number or array", settings.wrt)
    names, leaves = arguments.names, [np.array(leaf) for leaf in arguments.moved]

    def returned(moved: Any) -> Any:
        positional, words = arguments.assembled(moved)
        value = asked.subject(*positional, **words)
        return value if asked.loss is None else asked.loss(value)

    own = Moved(names, leaves, wide=False)
    functions = [("{}", Traced(returned, own.arrays()))]
    if settings.order == 2:
        first = functions[0][1]
        functions.append(("second:{}", Traced(Gradient(first, names), own.arrays(), "gradient")))
    is_narrow = any(leaf.dtype != widened(leaf.dtype) for leaf in leaves)
    copies = Moved(names, leaves, wide=True) if settings.float64 and is_narrow else None
    return TwoPlaces(
        labels=[label for label, _ in functions],
        own=[TracedPlace(function, own) for _, function in functions],
        wide=[] if copies is None else [TracedPlace(function, copies) for _, function in functions],
        eps=max(float(np.finfo(leaf.dtype).eps) for leaf in leaves),
        settings=settings,
        title=asked.title,
        roots=[("loss", asked.subject), ("args", args)],
    )


def _returns_pair(subject: Functions, args: tuple[Any, ...]) -> bool:
    """Whether it is ``(loss, gradients)`` that is returned."""
    value = subject.loss(subject.params, *args)
    if not (isinstance(value, tuple) and len(value) == 2 and np.ndim(value[0]) == 0):
        return False
    return len(flatten(value[1])) == len(flatten(subject.params))


def _uses_autograd(function: Any, depth: int = 0) -> bool:
    """Whether a function, or one that it calls, is autograd's or reads names from it."""
    if _is_of_autograd(function):
        return True
    if inspect.isroutine(function) or depth == DEPTH:
        held = held_by_function("", function)
    else:
        held = held_by_function("", getattr(function, "__call__", None))  # noqa: B004
    return any(_speaks_autograd(value, depth) for value in _once(held))


def _speaks_autograd(value: Any, depth: int) -> bool:
    if _is_of_autograd(value):
        return True
    is_own = isinstance(value, (types.FunctionType, types.MethodType))
    return is_own and depth < DEPTH and _uses_autograd(value, depth + 1)


def _once(held: Iterator[tuple[str, Any]]) -> Iterator[Any]:
    seen: set[int] = set()
    for _, value in held:
        if id(value) not in seen:
            seen.add(id(value))
            yield value


def _is_of_autograd(value: Any) -> bool:
    name = value.__name__ if isinstance(value, types.ModuleType) else None
    if name is None:
        name = getattr(value, "__module__", None) if callable(value) else None
        if getattr(value, "_is_autograd_primitive", False):
            return True
    return isinstance(name, str) and name.partition(".")[0] == "autograd"

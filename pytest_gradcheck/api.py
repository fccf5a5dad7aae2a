"""``check``: adapt, measure, judge, outside pytest as inside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from . import adapters as builtin_adapters
from .adapters.functions import Functions
from .core.check import run_check
from .core.problem import Problem
from .core.result import Result
from .errors import SubjectError
from .settings import Settings, merge

Adapter = Callable[[Any, tuple[Any, ...], Settings], "Problem | None"]


def check(
    subject: Any = None,
    *args: Any,
    loss: Any = None,
    grads: Any = None,
    params: Any = None,
    adapters: Iterable[Adapter] = (),
    **settings: Any,
) -> Result:
    """Compare the claimed gradient of an object, or of plain functions, with differences.

    Parameters
    ----------
    subject : object
        Anything with the hooks `params`, `grads` and `loss`.
    *args
        Passed to ``loss(*args)`` and ``grads(*args)``.
    loss, grads, params : callable, callable, structure of arrays
        Instead of `subject`: functions of the parameters, and the point at which to check.
        `grads` may be left out where `loss` returns ``(loss, grads)``.
    adapters : iterable of callable
        Tried before the built-in ones: ``adapter(subject, args, settings)`` returns a `Problem`
        or None.
    **settings
        See `Settings`.

    Returns
    -------
    Result
        Whatever the verdict: nothing is raised for a wrong gradient.

    Raises
    ------
    SettingsError
        For an unknown setting or an impossible value.
    SubjectError
        For an object that cannot be checked as it stands.
    """
    resolved = merge(settings)
    subject, args = as_subject(subject, args, loss=loss, grads=grads, params=params)
    for adapter in (*adapters, builtin_adapters.adapt):
        problem = adapter(subject, args, resolved)
        if problem is not None:
            return run_check(problem, resolved)
    raise AssertionError("the built-in adapters take everything or raise")


def as_subject(
    subject: Any, args: tuple[Any, ...], *, loss: Any, grads: Any, params: Any
) -> tuple[Any, tuple[Any, ...]]:
    """One subject, whether it came as an object or as plain functions.

    Raises
    ------
    SubjectError
        If both were given.
    """
    if loss is None and grads is None and params is None:
        return subject, args
    if subject is not None and (callable(subject) or hasattr(subject, "params")):
        raise SubjectError(
            "give either an object or loss=, grads= and params=, not both"
            f" (got an object of type {type(subject).__qualname__} as well)"
        )
    return Functions(loss, grads, params), args if subject is None else (subject, *args)

"""From whatever is to be checked to a ``Problem``: all that knows the shape of foreign objects."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from ..core.problem import Problem
from ..errors import SettingsError, SubjectError
from ..settings import Settings
from . import functions, hooks
from .called import Called

FRAMEWORKS = ("keras", "torch", "jax", "tensorflow", "autograd")
"""Frameworks with an adapter, a package here of the same name; looking for one imports none."""
OF_FUNCTIONS = ("grads", "params", "jac", "vjp", "jvp", "hess", "hvp", "bounds")
OF_CALLS = ("kwargs",)
WORDS = ("loss", *OF_FUNCTIONS, *OF_CALLS)
"""Keywords of a check that say what is checked; all others are settings."""
MEANT = {
    **dict.fromkeys(("fun", "func", "f", "fn", "function", "objective", "cost"), "loss"),
    **dict.fromkeys(("grad", "gradient", "gradients", "df", "fprime", "backward"), "grads"),
    **dict.fromkeys(("x", "x0", "theta", "parameters", "weights"), "params"),
    "jacobian": "jac",
    "hessian": "hess",
    "hessp": "hvp",
}
"""What these are called elsewhere."""


def adapt(subject: Any, args: tuple[Any, ...], settings: Settings) -> Problem:
    """The built-in adapters: those of frameworks, plain functions, then any object with hooks.

    Raises
    ------
    SubjectError
        If `subject` is not of a kind that can be checked; the message says what is missing.
    """
    for framework in _loaded():
        if isinstance(subject, Called) and not framework.owns(subject, args):
            continue
        problem: Problem | None = framework.adapt(subject, args, settings)
        if problem is not None:
            return problem
    if isinstance(subject, functions.Functions):
        return functions.adapt(subject, args, settings)
    return hooks.adapt(subject, args, settings)


def divided(keywords: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Keywords of a check: those that say what is checked, and settings.

    Raises
    ------
    SettingsError
        For the other names that the former have elsewhere.
    """
    for name in keywords:
        if name in MEANT:
            raise SettingsError(f"unknown keyword {name!r}; here it is called {MEANT[name]!r}")
    words = {k: v for k, v in keywords.items() if k in WORDS or k == "args"}
    return words, {k: v for k, v in keywords.items() if k not in words}


def as_subject(
    subject: Any, args: tuple[Any, ...], words: Mapping[str, Any]
) -> tuple[Any, tuple[Any, ...]]:
    """One subject, whether it came as an object, as plain functions, or as a call.

    Parameters
    ----------
    subject : object
    args : tuple
    words : mapping of str to object
        Values of `WORDS`, and SciPy's ``args``; None stands for "not given".

    Raises
    ------
    SubjectError
        If an object was given and functions besides.
    """
    said = {name: value for name, value in words.items() if value is not None}
    args = (*args, *said.pop("args", ()))
    if not said:
        return subject, args
    is_object = subject is not None and (callable(subject) or hasattr(subject, "params"))
    if is_object and not said.keys() & OF_FUNCTIONS:
        call = Called(subject, loss=said.get("loss"), kwargs=said.get("kwargs", {}))
        if any(framework.owns(call, args) for framework in _loaded()):
            return call, args
    if is_object or said.keys() & OF_CALLS:
        raise SubjectError(
            "give either an object or loss=, grads= and params=, not both (got"
            f" {', '.join(sorted(said))} and an object of type {type(subject).__qualname__}); only"
            " a module, or a function of a framework's tensors, takes loss= and kwargs= too"
        )
    given = functions.Functions(
        said.pop("loss", None), said.pop("grads", None), said.pop("params", None), **said
    )
    return given, args if subject is None else (subject, *args)


def _loaded() -> Iterator[ModuleType]:
    """Adapters of the frameworks that are imported already."""
    for framework in FRAMEWORKS:
        if framework in sys.modules:
            yield importlib.import_module(f"{__name__}.{framework}")

"""A call of a framework's module or function, with all that is said about it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any

from ..errors import SubjectError
from .functions import Functions


@dataclass(frozen=True)
class Called:
    """What is called, and with what besides the positional arguments.

    Parameters
    ----------
    subject : callable
        A module, a method of one, a function of a framework's arrays.
    loss : callable or None
        Applied to what `subject` returns: ``loss=lambda out: cross_entropy(out, y)``.
    kwargs : mapping
        Keyword arguments of `subject`.
    params : object
        The first argument, if only this one is to be checked.
    grads : callable or None
        The gradient by hand, ``grads(params, *args)``, where the framework's own is not what is
        claimed.
    eps : float
        Spacing at 1 of the narrowest numbers that `subject` computes with, where that is coarser
        than those of what is moved.
    """

    subject: Any
    loss: Any = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    params: Any = None
    grads: Any = None
    eps: float = 0.0

    def require_callable(self) -> None:
        """Refuse what cannot be called.

        Raises
        ------
        SubjectError
            Naming which of the two it is.
        """
        if isinstance(self.subject, type):
            raise SubjectError(f"{self.title} is a class: hand over an instance of it")
        if not callable(self.subject):
            raise SubjectError(f"{self.subject!r} is neither a module nor a function")
        if self.loss is not None and not callable(self.loss):
            raise SubjectError("loss= must be a function of what the module or function returns")

    @property
    def title(self) -> str:
        """How reports call it."""
        name = getattr(self.subject, "__name__", None) or type(self.subject).__name__
        return "loss" if name == "<lambda>" else str(name)


def without_claims(subject: Any) -> bool:
    """Whether it is ``loss=f, params=x`` and no more: the gradient is a framework's, if any."""
    if not isinstance(subject, Functions):
        return False
    further = (
        getattr(subject, f.name) for f in fields(subject) if f.name not in ("loss", "params")
    )
    return callable(subject.loss) and all(claim is None for claim in further)


def has_hooks(subject: Any) -> bool:
    """Whether an object brings its own loss and parameters, and is no mere function."""
    return hasattr(subject, "params") and hasattr(subject, "loss")


def wanted(wrt: tuple[str, ...]) -> Callable[[str], bool]:
    """Whether a name is one of those, or matches one of those patterns, to be checked."""
    return lambda name: any(fnmatchcase(name, pattern) for pattern in wrt)


def positional_names(function: Any, count: int, kwargs: Mapping[str, Any]) -> list[str]:
    """The names that a function has for its positional arguments; ``args[0]`` where it has none."""
    fallback = [f"args[{i}]" for i in range(count)]
    try:
        bound = inspect.signature(function).bind(*[None] * count, **kwargs)
    except (TypeError, ValueError):  # a built-in
        return fallback
    names: list[str] = []
    for name in (n for n in bound.arguments if n not in kwargs):
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            names += [f"{name}[{i}]" for i in range(len(bound.arguments[name]))]
        elif kind is not inspect.Parameter.VAR_KEYWORD:
            names.append(name)
    return names if len(names) == count else fallback

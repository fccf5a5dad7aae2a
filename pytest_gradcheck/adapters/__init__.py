"""From whatever is to be checked to a ``Problem``: all that knows the shape of foreign objects."""

from __future__ import annotations

from typing import Any

from ..core.problem import Problem
from ..settings import Settings
from . import functions, hooks


def adapt(subject: Any, args: tuple[Any, ...], settings: Settings) -> Problem:
    """The built-in adapters: plain functions, then any object with hooks.

    Raises
    ------
    SubjectError
        If `subject` is not of a kind that can be checked; the message says what is missing.
    """
    if isinstance(subject, functions.Functions):
        return functions.adapt(subject, args, settings)
    return hooks.adapt(subject, args, settings)

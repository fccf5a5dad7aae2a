"""A subject that a user's own function trains."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any


def trained(subject: Any, train: Callable[..., Any]) -> Any:
    """What is to be checked once ``train()`` or ``train(subject)`` has returned.

    Parameters
    ----------
    subject : object
        As `adapt` takes it.  Of plain functions the parameters are handed to `train`.
    train : callable
        What it returns is passed over; unless it is of the type of what it was given, as arrays
        and modules that cannot be changed in place are trained.
    """
    held, given = _held(subject), trainable(subject)
    returned = train(given) if _takes_one(train) else train()
    if returned is None or type(returned) is not type(given):
        return subject
    return dataclasses.replace(subject, **{held: returned}) if held else returned


def trainable(subject: Any) -> Any:
    """What a training function changes: the object itself, or the parameters of functions."""
    held = _held(subject)
    return getattr(subject, held) if held else subject


def _held(subject: Any) -> str | None:
    """Where one of our own records of a call holds what can be trained; None for all else."""
    is_ours = type(subject).__module__.startswith(__package__ or "")
    if not (is_ours and dataclasses.is_dataclass(subject)):
        return None
    by_params = getattr(subject, "params", None) is not None
    return "params" if by_params else "subject"


def _takes_one(function: Callable[..., Any]) -> bool:
    """Whether a function cannot be called without an argument."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # a built-in without a signature
        return False
    try:
        signature.bind()
    except TypeError:
        return True
    return False

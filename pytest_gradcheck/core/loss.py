"""The loss as a number: one call, one finite or non-finite float, counted."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import SubjectError

_FLOAT64 = np.float64
DOMAIN = re.compile(r"\b(domain|positive|negative|non-?zero|singular|definite|infs?|nans?)\b", re.I)
"""Words of a ValueError that speak of an argument's range, not of a mistake in the code."""


class Loss:
    """A loss whose every evaluation is a float; ``loss.evaluations`` counts the calls.

    Outside the domain of the loss (``math.log`` of a negative number, a Cholesky factorisation
    that does not exist) the value is NaN, as NumPy's own functions have it: a step that leaves
    the domain is a step too long, not a reason to stop.
    """

    def __init__(self, function: Callable[[], Any]) -> None:
        self.evaluations = 0
        self.function = function
        self.raw = _as_float(function)

    def __call__(self) -> float:
        self.evaluations += 1
        return self.raw()

    def strict(self) -> float:
        """The same where an exception is the user's to see: at the point of the check itself."""
        self.evaluations += 1
        return scalar(self.function())


def _as_float(function: Callable[[], Any]) -> Callable[[], float]:
    def evaluate() -> float:
        try:
            value = function()
        except (ArithmeticError, ValueError) as error:
            if not left_domain(error):
                raise
            return math.nan
        kind = type(value)
        if kind is float or kind is _FLOAT64:
            return value  # type: ignore[no-any-return]
        return scalar(value)

    return evaluate


def left_domain(error: Exception) -> bool:
    """Whether `error` says that an argument is outside a function's domain."""
    return isinstance(error, (ArithmeticError, np.linalg.LinAlgError)) or bool(
        DOMAIN.search(str(error))
    )


def scalar(value: Any) -> float:
    """One loss value as a float; of a pair ``(loss, grads)`` the first.

    Raises
    ------
    SubjectError
        If it is not a single real number.
    """
    if isinstance(value, tuple) and value:  # (loss, grads)
        return scalar(value[0])
    if isinstance(value, (float, int, np.floating, np.integer)):
        return float(value)
    if value is None:
        raise SubjectError("the loss is None: does its function end without a return?")
    if isinstance(value, (str, bytes, complex, np.complexfloating)):
        raise SubjectError(f"the loss is {value!r}: a gradient needs a real number")
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise SubjectError(
            f"the loss is of type {type(value).__name__}: a gradient needs one real number"
        )
    if array.size != 1:
        raise SubjectError(
            f"the loss has shape {array.shape}: a gradient belongs to one number; return the sum"
            " or the mean over the samples (and divide the gradient likewise)"
        )
    return float(array.reshape(-1)[0])

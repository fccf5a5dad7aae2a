"""The loss as a number: one call, one finite or non-finite float, counted."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import SubjectError

if TYPE_CHECKING:
    from .parameters import Array, Parameter

_FLOAT64 = np.float64
DOMAIN = re.compile(r"\b(domain|positive|negative|non-?zero|singular|definite|infs?|nans?)\b", re.I)
"""Words of a ValueError that speak of an argument's range, not of a mistake in the code."""


Watch = Callable[[int, "int | None", str], None]
"""``watch(done, expected, where)``: evaluations so far and in all, None if that is not known."""
_WATCH: ContextVar[Watch | None] = ContextVar("watch", default=None)


class Many(Protocol):
    """Another way to evaluate many points of one parameter: in batches, or by workers."""

    def __call__(self, parameter: Parameter, theta: Array, moved: Array, first: int = 0) -> Array:
        """The loss with entry ``first + i`` alone at ``moved[i]``, from ``theta[i]``."""


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Every loss made inside tells `watch` how far it is."""
    token = _WATCH.set(watch)
    try:
        yield
    finally:
        _WATCH.reset(token)


class Loss:
    """A loss whose every evaluation is a float; ``loss.evaluations`` counts the calls.

    Outside the domain of the loss (``math.log`` of a negative number, a Cholesky factorisation
    that does not exist) the value is NaN, as NumPy's own functions have it: a step that leaves
    the domain is a step too long, not a reason to stop.

    Attributes
    ----------
    raw : callable
        One evaluation, uncounted.
    many : Many or None
        How the first step of every entry is evaluated, if not one by one.
    watch : callable or None
        Who is told how far the check is: for the eyes only.
    whole : bool
        Whether its value at the point was an integer, not a floating-point number.
    """

    def __init__(self, function: Callable[[], Any]) -> None:
        self.evaluations = 0
        self.function = function
        self.raw = _as_float(function)
        self.many: Many | None = None
        self.watch = _WATCH.get()
        self.expected: int | None = None
        self.where = ""
        self.whole = False

    def __call__(self) -> float:
        self.evaluations += 1
        if self.watch is not None:
            self.watch(self.evaluations, self.expected, self.where)
        return self.raw()

    def progress(self, where: str, expected: int | None = None) -> None:
        """Say what is being done from here on, and how many evaluations it takes in all.

        Parameters
        ----------
        where : str
            A parameter's name, or a few words.
        expected : int or None
            What ``evaluations`` will be at the end of it; None where nobody knows.
        """
        self.where, self.expected = where, expected
        self.look()

    def look(self, beyond: int = 0) -> None:
        """Show how far it is: after evaluations that did not go through ``loss()``.

        Parameters
        ----------
        beyond : int
            Evaluations that are done and not yet counted.
        """
        if self.watch is not None:
            self.watch(self.evaluations + beyond, self.expected, self.where)

    def strict(self) -> float:
        """The same where an exception is the user's to see: at the point of the check itself."""
        self.evaluations += 1
        value = self.function()
        self.whole = isinstance(value, (int, np.integer))
        return scalar(value)


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
        return _in_range(value)
    if value is None:
        raise SubjectError("the loss is None: does its function end without a return?")
    if isinstance(value, (str, bytes, complex, np.complexfloating)):
        raise SubjectError(f"the loss is {value!r}: a gradient needs a real number")
    try:
        array = np.asarray(value)
    except Exception as error:  # an object may refuse in any way it likes
        raise SubjectError(
            f"the loss is of type {type(value).__name__}, of which NumPy makes no number"
            f" ({type(error).__name__}: {error}): a gradient needs one real number"
        ) from error
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise SubjectError("the loss is masked: no value is said; use .filled() or .compressed()")
    if array.dtype.kind not in "fiub":
        raise SubjectError(
            f"the loss is of type {type(value).__name__}: a gradient needs one real number"
        )
    if array.size != 1:
        raise SubjectError(
            f"the loss has shape {array.shape}: a gradient belongs to one number; return the sum"
            " or the mean over the samples (and divide the gradient likewise)"
        )
    return _in_range(array.reshape(-1)[0])


def _in_range(number: Any) -> float:
    try:
        return float(number)
    except OverflowError as error:
        raise SubjectError(
            "the loss is a whole number beyond the range of floating-point numbers; compute it in"
            " these"
        ) from error

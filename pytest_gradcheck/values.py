"""Values that settings can have, and clear words for those they cannot.

Standard library only, as `settings`.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .errors import SettingsError

if TYPE_CHECKING:
    from concurrent.futures import Executor

HOOKS = ("params", "grads", "loss", "losses", "backward", "set_params")


class Offered:
    """An executor for a whole suite, made when first needed: used where possible and worth it."""

    def __init__(self, get: Callable[[], Executor]) -> None:
        self.get = get


def positive(name: str, value: Any, upper: float) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise SettingsError(f"{name}={value!r}: must be a number, not {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond all floating-point ones
        number = math.inf
    if not (0 < number <= upper) or math.isinf(number):
        limit = f"in (0, {upper:g}]" if math.isfinite(upper) else "positive and finite"
        raise SettingsError(f"{name}={value!r}: must be {limit}")
    return number


def whole(name: str, value: Any, least: int, what: str = "number") -> int:
    if not is_whole(value) or value < least:
        raise SettingsError(f"{name}={value!r}: must be a whole {what}, {least} or more")
    return int(value)


def is_whole(value: Any) -> bool:
    """Whether it is a whole number of any kind: one of NumPy's is none of Python's."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def one_of(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in choices:
        raise SettingsError(f"{name}={value!r}: must be one of {', '.join(choices)}")


def patterns(name: str, value: Any) -> tuple[str, ...]:
    found = (value,) if isinstance(value, str) else value
    if not isinstance(found, (list, tuple, set)) or not all(isinstance(p, str) for p in found):
        raise SettingsError(
            f"{name}={value!r}: must be names of parameters or inputs, or patterns such as"
            " 'layers.*'"
        )
    return tuple(found)


def allowed(value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    mistake = SettingsError(f"allow={value!r}: must be names of findings, such as ['kink']")
    if not isinstance(names, Iterable) or isinstance(names, Mapping):
        raise mistake
    try:
        names = tuple(names)
    except TypeError:  # an array without dimensions
        raise mistake from None
    for name in names:
        if not isinstance(name, str) or name not in ALLOWABLE:
            raise SettingsError(
                f"allow={name!r}: no such finding; the ones to allow are {', '.join(ALLOWABLE)}"
            )
    return names


def require_executor(value: Any) -> None:
    if value is None or isinstance(value, Offered):
        return
    if hasattr(value, "get_executor"):
        raise SettingsError(f"executor={value!r}: hand over client.get_executor()")
    if isinstance(value, type) or not callable(getattr(value, "submit", None)):
        raise SettingsError(
            f"executor={value!r}: must be a concurrent.futures.Executor, such as"
            " ProcessPoolExecutor(4)"
        )


ALLOWABLE = (
    "zero-gradient",
    "tiny-gradient",
    "coarse",
    "undecided",
    "unprobed",
    "kink",
    "jumps",
    "tied",
    "padding",
    "nondeterministic",
    "near-zero-parameters",
    "vanishing",
    "exploding",
    "saturated",
    "unscaled-inputs",
    "low-precision",
)
"""Findings about the point of a check: a test may accept them by name."""


def hook_names(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise SettingsError(f"hooks={value!r}: must be a mapping, such as {{'loss': 'forward'}}")
    for hook, name in value.items():
        if hook not in HOOKS:
            raise SettingsError(f"hooks: {hook!r} is not one of {', '.join(HOOKS)}")
        if not isinstance(name, str) or not name:
            raise SettingsError(f"hooks[{hook!r}]={name!r}: must be the name of an attribute")
    return dict(value)


def parse_names(words: Iterable[str]) -> tuple[str, ...]:
    """Read ``kink,tied``, as the command line and ini files write them; blanks part them before."""
    return tuple(name for word in words for name in word.split(",") if name)


def parse_hooks(words: Iterable[str]) -> dict[str, str]:
    """Read ``loss=forward`` pairs, as the command line and ini files write them."""
    pairs: dict[str, str] = {}
    for word in (w for line in words for w in line.replace(",", " ").split()):
        hook, equals, name = word.partition("=")
        if not equals:
            raise SettingsError(f"hooks: {word!r} is not of the form hook=name")
        pairs[hook] = name
    return pairs

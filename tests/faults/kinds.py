"""What can go wrong in a call of a loss or a gradient.

Each kind is a function of what the call would give, ``value()``, and of the parameters by name. It
raises, gives something else, or does something to the parameters or to the process.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Kind = Callable[[Callable[[], Any], Any], Any]


class Timeout(BaseException):
    """What the handler of an alarm raises, as pytest-timeout does."""


class Unforeseen(BaseException):
    """An exception of no known family."""


def raising(error: Callable[[], BaseException]) -> Kind:
    def happen(value: Callable[[], Any], params: Any) -> Any:
        raise error()

    return happen


def giving(something: Callable[[Any], Any]) -> Kind:
    def happen(value: Callable[[], Any], params: Any) -> Any:
        return something(value())

    return happen


def doing(something: Callable[[Any], Any]) -> Kind:
    """First the value, then something that is done to the parameters."""

    def happen(value: Callable[[], Any], params: Any) -> Any:
        found = value()
        something(params)
        return found

    return happen


def _alarm(value: Callable[[], Any], params: Any) -> Any:
    def handler(*_: object) -> None:
        raise Timeout("now")

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-4)
        while True:
            value()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _interrupt(value: Callable[[], Any], params: Any) -> Any:
    os.kill(os.getpid(), signal.SIGINT)
    return value()


def _recurse(value: Callable[[], Any], params: Any) -> Any:
    return _recurse(value, params) + 0


RAISED: dict[str, Kind] = {
    "RuntimeError": raising(lambda: RuntimeError("now")),
    "ValueError of a domain": raising(lambda: ValueError("math domain error")),
    "ValueError": raising(lambda: ValueError("now")),
    "TypeError": raising(lambda: TypeError("now")),
    "KeyError": raising(lambda: KeyError("now")),
    "ZeroDivisionError": raising(lambda: ZeroDivisionError("now")),
    "FloatingPointError": raising(lambda: FloatingPointError("now")),
    "LinAlgError": raising(lambda: np.linalg.LinAlgError("Singular matrix")),
    "AssertionError": raising(lambda: AssertionError("now")),
    "StopIteration": raising(lambda: StopIteration("now")),
    "OSError": raising(lambda: OSError("now")),
    "MemoryError": raising(lambda: MemoryError("now")),
    "RecursionError": _recurse,
    "GeneratorExit": raising(lambda: GeneratorExit("now")),
    "KeyboardInterrupt": raising(lambda: KeyboardInterrupt("now")),
    "SystemExit": raising(lambda: SystemExit("now")),
    "Unforeseen": raising(lambda: Unforeseen("now")),
    "pytest.fail": raising(lambda: pytest.fail.Exception("now")),
    "pytest.skip": raising(lambda: pytest.skip.Exception("now")),
    "pytest.xfail": raising(lambda: pytest.xfail.Exception("now")),
    "pytest.exit": raising(lambda: pytest.exit.Exception("now")),
    "signal: timeout": _alarm,
    "signal: Ctrl-C": _interrupt,
}


class Odd:
    """An object that refuses everything."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("odd")


GIVEN: dict[str, Kind] = {
    "NaN": giving(lambda v: np.nan),
    "Inf": giving(lambda v: np.inf),
    "-Inf": giving(lambda v: -np.inf),
    "NaNs in its shape": giving(lambda v: _like(v, np.nan)),
    "complex": giving(lambda v: 1 + 2j),
    "complex in its shape": giving(lambda v: _like(v, 1j)),
    "string": giving(lambda v: "0.5"),
    "bytes": giving(lambda v: b"0.5"),
    "None": giving(lambda v: None),
    "empty array": giving(lambda v: np.zeros(0)),
    "two numbers": giving(lambda v: np.array([1.0, 2.0])),
    "wrong shape": giving(lambda v: np.zeros((2, 3, 5))),
    "array of objects": giving(lambda v: np.array([None, "x"], dtype=object)),
    "ragged list": giving(lambda v: [[1.0], [1.0, 2.0]]),
    "mapping": giving(lambda v: {"else": 1.0}),
    "generator": giving(lambda v: (x for x in (1.0,))),
    "function": giving(lambda v: len),
    "datetime": giving(lambda v: np.datetime64("2020-01-01")),
    "masked": giving(lambda v: np.ma.masked),
    "huge integer": giving(lambda v: 10**400),
    "odd object": giving(lambda v: Odd()),
    "another number": giving(lambda v: _like(v, 7.0)),
}


def _like(value: Any, x: Any) -> Any:
    """A structure like `value` filled with `x`."""
    if isinstance(value, dict):
        return {key: _like(part, x) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_like(part, x) for part in value)
    array = np.asarray(value)
    return np.full(array.shape, x) if array.ndim else x


def _arrays(params: Any) -> list[np.ndarray]:
    return [a for a in params.values() if isinstance(a, np.ndarray)]


def _each(change: Callable[[Any, Any], Any]) -> Kind:
    """Put ``change(array, other)`` in the place of every parameter."""

    def change_all(params: Any) -> None:
        names = list(params)
        for name, other in zip(names, names[1:] + names[:1], strict=True):
            params[name] = change(params[name], params[other])

    return doing(change_all)


def _in_place(change: Callable[[np.ndarray], Any]) -> Kind:
    def change_all(params: Any) -> None:
        for array in _arrays(params):
            change(array)

    return doing(change_all)


def _add(array: np.ndarray) -> None:
    if array.flags.writeable:
        array += 1


def _fill(array: np.ndarray) -> None:
    if array.flags.writeable:
        array[...] = np.nan


def _longer(array: np.ndarray) -> None:
    array.resize(array.size + 3)


def _set_dtype(array: np.ndarray) -> None:
    array.dtype = np.dtype(np.uint8 if array.ndim and array.flags.c_contiguous else array.dtype)


def _reshape(array: np.ndarray) -> None:
    if array.flags.c_contiguous:
        array.shape = (*array.shape, 1)


def _reseed(params: Any) -> None:
    random.seed(0)
    np.random.seed(0)


def _forget(params: Any) -> None:
    params.pop(next(iter(params)))


def _turn(params: Any) -> None:
    items = list(params.items())[::-1]
    params.clear()
    params.update(items)


DONE: dict[str, Kind] = {
    "writes": _in_place(_add),
    "fills with NaN": _in_place(_fill),
    "resizes": _in_place(_longer),
    "reshapes in place": _in_place(_reshape),
    "changes dtype in place": _in_place(_set_dtype),
    "makes read-only": _in_place(lambda a: a.setflags(write=False)),
    "replaces": _each(lambda a, _: a + 1),
    "replaces by float32": _each(lambda a, _: np.asarray(a).astype(np.float32)),
    "replaces by another shape": _each(lambda a, _: np.zeros((7, 2))),
    "replaces by None": _each(lambda a, _: None),
    "aliases": _each(lambda _, b: b),
    "frees": doing(lambda params: params.clear()),
    "forgets one": doing(_forget),
    "adds one": doing(lambda params: params.update(another=np.ones(2))),
    "changes the order": doing(_turn),
    "reseeds": doing(_reseed),
    "changes NumPy's error handling": doing(lambda params: np.seterr(all="ignore")),
}

KINDS: dict[str, Kind] = {**RAISED, **GIVEN, **DONE}

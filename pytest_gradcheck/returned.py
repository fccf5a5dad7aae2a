"""What a marked test returns: caught, whoever runs the test, and checked."""

from __future__ import annotations

import functools
import inspect
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NoReturn

import pytest

from .errors import SettingsError, SubjectError
from .options import LAYERS, RECORDS
from .result import Result
from .session import check_for, marker_layer, report
from .settings import merge
from .tracebacks import raise_in, without_ours

MARK = "@pytest.mark.gradcheck"
AWAITED = pytest.StashKey[list[Any]]()
"""What a coroutine function returned, while it runs."""


def require_servable(item: pytest.Item) -> None:
    """Fail, before it runs, a marked test that the marker cannot serve.

    That is one with impossible settings, or one whose return value never reaches the plugin.
    """
    __tracebackhide__ = True
    mistake = _mistake_in_settings(item)
    if mistake is not None:
        _refuse(item, SettingsError(f"{MARK}: {mistake}"))
    if _uses_fixture(item) or not _is_marked_itself(item):
        return
    if inspect.isasyncgenfunction(getattr(item, "obj", None)):
        _refuse(
            item,
            "an async generator returns nothing that could be checked; return the object, or take"
            " the gradcheck fixture and call it in the test",
        )


def is_of_unittest(item: pytest.Item) -> bool:
    """Whether a test is a method of a ``unittest.TestCase``."""
    owner = getattr(item, "cls", None)
    return owner is not None and issubclass(owner, unittest.TestCase)


def is_async(item: pytest.Item) -> bool:
    """Whether a test is a coroutine function, which is for another plugin to run."""
    return inspect.iscoroutinefunction(getattr(item, "obj", None))


def _mistake_in_settings(item: pytest.Item) -> str | None:
    try:
        merge(*item.config.stash[LAYERS], marker_layer(item))
    except SettingsError as error:
        return str(error)
    return None


def _refuse(item: Any, why: str | SettingsError, *, at_its_end: bool = False) -> NoReturn:
    """Fail a marked test: at its marker, or at its last line, by what it returned."""
    __tracebackhide__ = True
    error = why if isinstance(why, SettingsError) else SubjectError(f"{MARK}: {why}")
    raise_in(item.obj, error, at_its_marker=not at_its_end)


def _uses_fixture(item: pytest.Item) -> bool:
    return "gradcheck" in getattr(item, "fixturenames", ())


def _is_marked_itself(item: pytest.Item) -> bool:
    """Whether the marker stands at the test, not only at its class or module as their settings."""
    return any(mark.name == "gradcheck" for mark in item.own_markers)


@contextmanager
def collecting_returned(item: pytest.Function) -> Iterator[list[Any]]:
    """Catch what the test function returns: pytest itself must see None.

    Pytest has warned of, and once failed, tests that return something.
    """
    if AWAITED in item.stash:
        yield item.stash[AWAITED]
        return
    returned: list[Any] = []
    function: Callable[..., Any] = item.obj

    @functools.wraps(function)
    def test(*args: Any, **kwargs: Any) -> Any:
        returned.append(function(*args, **kwargs))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(item, "obj", test)
        yield returned


@contextmanager
def collecting_awaited(item: pytest.Function) -> Iterator[None]:
    """The same for a coroutine function, before the plugin that runs it makes another of it."""
    returned: list[Any] = []
    function: Callable[..., Any] = item.obj

    @functools.wraps(function)
    async def test(*args: Any, **kwargs: Any) -> None:
        returned.append(await function(*args, **kwargs))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(item, "obj", test)
        item.stash[AWAITED] = returned
        try:
            yield
        finally:
            del item.stash[AWAITED]


@contextmanager
def checking_returned(item: Any) -> Iterator[None]:
    """Check what a method of a ``unittest.TestCase`` returns as a part of it.

    So unittest sees the outcome (``expectedFailure``, ``tearDown``), and nothing returned, of which
    it would warn.
    """
    function: Callable[[], Any] = item.obj

    @functools.wraps(function)
    def test() -> None:
        check_returned(item, [function()])

    @functools.wraps(function)
    async def awaited() -> None:
        check_returned(item, [await function()])

    with pytest.MonkeyPatch.context() as patch:
        if is_async(item):  # pytest leaves it to unittest to look for it
            patch.setattr(item.instance, item.name, awaited)
        else:
            patch.setattr(item, "obj", test)
        yield


def check_returned(item: pytest.Function, returned: list[Any]) -> None:
    """Check whatever the marked test returned; a tuple or list is several objects.

    A marked test by which nothing was checked fails: it would be a pass by accident.
    """
    __tracebackhide__ = True
    value = returned[0] if returned else None
    if value is None:
        if _is_marked_itself(item) and not item.stash[RECORDS]:
            _refuse(
                item,
                "nothing was checked: the test must return the object to be checked (or a tuple or"
                " list of them), or take the gradcheck fixture and call it",
            )
        return
    subjects = value if type(value) in (tuple, list) else [value]
    if not subjects:
        _refuse(item, "nothing was checked: the test returned an empty sequence", at_its_end=True)
    settings = merge(*item.config.stash[LAYERS], marker_layer(item))
    for number, subject in enumerate(subjects, 1):
        try:
            result = check_for(item, subject, (), settings)
        except (SettingsError, SubjectError) as error:
            raise_in(item.obj, _of_several(error, value, number).with_traceback(None))
        except Exception as error:
            if item.config.getoption("fulltrace"):
                raise
            raise error.with_traceback(without_ours(error))  # noqa: B904 (its own cause stands)
        report(item, _one_of(result, number, len(subjects)), returned_by=item.obj)


def _one_of(result: Result, number: int, count: int) -> Result:
    """A result that says of which object it is, and which ones its failure leaves unchecked."""
    if count == 1:
        return result
    title = f"{result.title}, object {number} of {count}"
    if result.status == "fail" and number < count:
        left = f"{number + 1} to {count}" if count - number > 1 else str(count)
        title += f" ({left} not checked)"
    return replace(result, title=title)


def _of_several(error: Exception, value: Any, number: int) -> Exception:
    """Say how a sequence was read, as ``return network, X, y`` is tempting to write."""
    if type(value) not in (tuple, list) or len(value) < 2:
        return error
    kind, count = type(value).__name__, len(value)
    return type(error)(
        f"{error} (object {number} of {count}: the test returned a {kind} of objects to check)"
    )

"""One check from the command line: find what is to be checked, check it, print the report."""

from __future__ import annotations

import argparse
import functools
import importlib
import inspect
import os
import shutil
import sys
import traceback
from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from .api import check
from .arguments import as_argument, flag, on_the_line
from .core.result import Result
from .errors import SettingsError, SubjectError
from .report.cells import Line, Span, harmless, spelt, trimmed, written_in
from .report.text import View, report
from .tracebacks import without_ours

PROGRAM = "python -m pytest_gradcheck"
PASSED, FAILED, UNUSABLE = 0, 1, 2
WIDEST = 110
COLOURS = {"fail": "31;1", "warn": "33", "pass": "32", "strong": "1", "faint": "2"}
ENDING = """\
The object is checked as gradcheck(object, *args) would.  A class, or a function that can be called
without arguments, is called first; it may return the object, a tuple (object, *args), or a mapping
of keywords such as {"loss": f, "grads": df, "params": x0}.

exit status: 0 pass; 0 warn, or 1 with --strict; 1 fail; 2 it could not be checked
"""


class UnusableError(Exception):
    """What was named cannot be checked; the message says why."""


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line, and return the exit status."""
    options = _parser().parse_args(words)
    settings = {s.name: getattr(options, s.name) for s in on_the_line()}
    try:
        args, keywords = _call(named(options.object), [*map(named, options.args)], settings)
        result = check(*args, **keywords)
    except (UnusableError, SettingsError, SubjectError) as error:
        print(f"{PROGRAM}: error: {harmless(str(error))}", file=sys.stderr)
        return UNUSABLE
    except Exception as error:
        print(f"{PROGRAM}: error: {options.object} raised", file=sys.stderr)
        traceback.print_exception(error.with_traceback(without_ours(error)))
        return UNUSABLE
    width = min(shutil.get_terminal_size().columns, WIDEST)
    try:
        with written_in(sys.stdout.encoding):
            lines = report(result, View(width, options.verbose))
        show(lines)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _status(result, strict=options.strict)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Compare the claimed gradient of an object with differences of its loss.",
        epilog=ENDING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("object", metavar="package.module:object")
    parser.add_argument(
        "--args",
        nargs="+",
        default=[],
        metavar="package.module:name",
        help="further arguments, such as the data",
    )
    parser.add_argument("--strict", action="store_true", help="a warn, too, exits with 1")
    parser.add_argument(
        "-v", "--verbose", action="count", default=0, help="show more; -vv shows most"
    )
    group = parser.add_argument_group("settings, as everywhere")
    for setting in on_the_line():
        group.add_argument(flag(setting.name), dest=setting.name, **as_argument(setting))
    return parser


def named(place: str) -> Any:
    """What ``package.module:name.of.object`` names, imported.

    Raises
    ------
    UnusableError
        If there is no such thing; errors of the module's own code come through.
    """
    module, _, name = place.partition(":")
    if not module or not name:
        raise UnusableError(f"{place!r} is not of the form package.module:object")
    if module.endswith(".py") or "/" in module or os.sep in module:
        dotted = ".".join(Path(module).with_suffix("").parts).lstrip("./")
        raise UnusableError(f"{place!r} names a file: a module is imported, as {dotted}:{name}")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise UnusableError(f"there is no module {error.name!r} to import here") from None
    try:
        return attrgetter(name)(found)
    except AttributeError:
        public = [other for other in dir(found) if not other.startswith("_")]
        raise UnusableError(
            f"{module} has no {name!r}; it has {', '.join(public) or 'nothing'}"
        ) from None


def _call(
    subject: Any, args: Sequence[Any], settings: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments and keywords to call `check` with: what is named, or what it makes."""
    if isinstance(subject, type) or (_is_function(subject) and _is_factory(subject, args)):
        if not _takes_nothing(subject):
            raise UnusableError(
                f"{subject.__name__} needs arguments to make an object: name an instance of it, or"
                " a function without arguments that returns one"
            )
        subject = subject()
        if isinstance(subject, tuple) and subject:
            subject, args = subject[0], [*subject[1:], *args]
    elif _is_function(subject) and not args:
        raise UnusableError(
            f"{_with_arguments(subject)} needs arguments: name them after --args, or name a"
            " function without arguments that returns what is to be checked"
        )
    said = {name: value for name, value in settings.items() if value is not None}
    if isinstance(subject, Mapping):
        keywords = {**subject, **said}
        return [keywords.pop("subject", None), *args], keywords
    return [subject, *args], said


def _is_factory(function: Any, args: Sequence[Any]) -> bool:
    """Whether a function makes what is to be checked, rather than being that itself."""
    if not _takes_nothing(function):
        return False
    kinds = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
    return not (args and inspect.Parameter.VAR_POSITIONAL in kinds)


def _is_function(subject: Any) -> bool:
    return inspect.isroutine(subject) or isinstance(subject, functools.partial)


def _takes_nothing(subject: Any) -> bool:
    try:
        inspect.signature(subject).bind()
    except TypeError:
        return False
    except ValueError:  # a built-in without a signature
        return isinstance(subject, type)
    return True


def _with_arguments(function: Any) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    try:
        return f"{name}{inspect.signature(function)}"
    except ValueError:  # a built-in without a signature
        return f"{name}(...)"


def _status(result: Result, *, strict: bool) -> int:
    worst = {"pass": PASSED, "warn": FAILED if strict else PASSED, "fail": FAILED}
    return worst[result.status]


def show(lines: Sequence[Line]) -> None:
    """Print lines, in colour where a terminal has it."""
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    coloured &= os.environ.get("TERM") != "dumb" and sys.platform != "win32"
    for spans in lines:
        print("".join(_shown(span, coloured=coloured) for span in trimmed(spans)))


def _shown(span: Span, *, coloured: bool) -> str:
    text, code = spelt(span.text, sys.stdout.encoding), COLOURS.get(span.style)
    return f"\x1b[{code}m{text}\x1b[0m" if coloured and code and text else text

"""Settings as pytest reads them, ``--gradcheck-tol`` and ``gradcheck_tol``, from `Settings`."""

from __future__ import annotations

import argparse
import os
import warnings
from dataclasses import Field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .arguments import as_argument, flag, on_the_line
from .errors import SettingsError
from .settings import merge, suggestion
from .values import parse_hooks, parse_names

if TYPE_CHECKING:
    from .report.record import Record

Layers = list[dict[str, Any]]
LAYERS = pytest.StashKey[Layers]()
"""On the config: what ini file and command line set, weakest first."""
RECORDS: pytest.StashKey[list[Record]] = pytest.StashKey()
"""On a test item: the records of its checks."""
REPORTED = pytest.StashKey[int]()
"""On a test item: how many of them were sent with its reports."""
FILES = pytest.StashKey[dict[str, Path]]()
"""On the config: the files that are written at the end of the run, by their kind."""
KINDS = ("json", "html")
PROGRESS = pytest.StashKey[str]()
"""On the config: "auto" or "off"."""
FACTORY = pytest.StashKey[str]()
"""On the config: ``package.module:factory`` of the executor of the whole suite, or nothing."""


def declare(parser: pytest.Parser) -> None:
    """Declare an option and an ini value for every setting that can be written down."""
    group = parser.getgroup("gradcheck", "gradient checks")
    for setting in on_the_line():
        name, how = flag(setting.name, "gradcheck-"), as_argument(setting)
        group.addoption(name, dest=_ini(setting), **how)
        text = setting.metadata["help"]
        parser.addini(_ini(setting), text, type=_ini_type(setting), default=None)
    group.addoption(
        "--gradcheck-summary",
        action=Rows,
        nargs="?",
        metavar="N",
        help="one line for every gradient check, or for the N worst, at the end of the run",
    )
    for name, text, how in _OF_THE_RUN:
        group.addoption(f"--gradcheck-{name}", dest=f"gradcheck_{name}", help=text, **how)
        parser.addini(f"gradcheck_{name}", text, default=None)


class Rows(argparse.Action):
    """``--gradcheck-summary`` or ``--gradcheck-summary=N``: 0 stands for all rows.

    argparse takes whatever comes next for N.  Where that is a path (``--gradcheck-summary tests``,
    or the option in ``addopts``), it goes back to be read as one.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        rows = 0
        if values is not None and values.isdecimal():
            rows = int(values)
            if rows == 0:
                parser.error(f"argument {option_string}: 0 lines are none; leave the option out")
        elif values is not None and _is_number(values):
            parser.error(f"argument {option_string}: {values} is no number of lines, 1 or more")
        elif values is not None:
            left = argparse._UNRECOGNIZED_ARGS_ATTR
            setattr(namespace, left, [*getattr(namespace, left, []), values])
        setattr(namespace, self.dest, rows)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_OF_THE_RUN: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "progress",
        "whether a long check shows on the terminal how far it is (default: auto)",
        {"choices": ("auto", "off")},
    ),
    (
        "executor",
        "who makes the executor whose workers evaluate losses, once for the run: a function"
        " without arguments, such as concurrent.futures:ProcessPoolExecutor",
        {"metavar": "MODULE:FACTORY"},
    ),
    (
        "json",
        "write the records of all gradient checks of the run to this file",
        {"metavar": "PATH"},
    ),
    (
        "html",
        "write all gradient checks of the run to this file, a page with their pictures, for each of"
        ' which its worst entry is measured at every step (needs "pytest-gradcheck[report]")',
        {"metavar": "PATH"},
    ),
)
"""Options that are no settings of a check: name, help, and how they stand on the command line."""


def read_for_the_run(config: pytest.Config) -> None:
    """Note on the config what holds for the whole run.

    Raises
    ------
    pytest.UsageError
        For a value that an option cannot have.
    """
    given = {}
    for name, _, _ in _OF_THE_RUN:
        try:
            ini = config.getini(f"gradcheck_{name}")
        except (TypeError, ValueError) as error:  # a number, in TOML
            raise pytest.UsageError(f"gradcheck_{name}: {error}") from None
        line = config.getoption(f"gradcheck_{name}")
        if line == "":
            raise pytest.UsageError(
                f"--gradcheck-{name}= is empty (an empty variable?): give a value, or leave it out"
            )
        given[name] = str(line if line is not None else ini or "")
    progress, factory = given["progress"] or "auto", given["executor"]
    if progress not in ("auto", "off"):
        raise pytest.UsageError(f"gradcheck_progress: {progress!r} is neither auto nor off")
    module, _, function = factory.partition(":")
    if factory and not (module and function):
        raise pytest.UsageError(
            f"gradcheck_executor: {factory!r} is not of the form package.module:factory"
        )
    config.stash[PROGRESS], config.stash[FACTORY] = progress, factory
    if given["html"]:
        config.stash[LAYERS].insert(0, {"study": True})
    is_worker = hasattr(config, "workerinput")
    config.stash[FILES] = {} if is_worker else _files(config, given)


def _files(config: pytest.Config, given: dict[str, str]) -> dict[str, Path]:
    """Paths as seen from where pytest was started: a test may go elsewhere."""
    from .report.files import mistake_in

    if given["html"] and find_spec("jinja2") is None:
        raise pytest.UsageError(
            "gradcheck_html: the page is made with Jinja2, which is not installed:"
            ' python -m pip install "pytest-gradcheck[report]"'
        )
    start, found = config.invocation_params.dir, {}
    for kind in (kind for kind in KINDS if given[kind]):
        found[kind] = Path(os.path.abspath(start / Path(given[kind]).expanduser()))
        mistake = mistake_in(found[kind])
        if mistake:
            raise pytest.UsageError(f"gradcheck_{kind}: {found[kind]} {mistake}")
    return found


def read(config: pytest.Config) -> Layers:
    """What ini file and command line set.

    Raises
    ------
    pytest.UsageError
        For a value that the setting cannot have.
    """
    _require_known(config)
    ini: dict[str, Any] = {}
    line: dict[str, Any] = {}
    for setting in on_the_line():
        try:
            ini[setting.name] = _from_ini(setting, config.getini(_ini(setting)))
            merge({setting.name: ini[setting.name]})
        except (TypeError, ValueError, pytest.UsageError) as error:
            raise pytest.UsageError(f"{_ini(setting)}: {error}") from None
        line[setting.name] = config.getoption(_ini(setting))
    try:
        merge(ini, line)
    except SettingsError as error:
        raise pytest.UsageError(f"gradcheck: {error}") from None
    return [ini, line]


def _require_known(config: pytest.Config) -> None:
    """Refuse a misspelt name in the ini file, of which pytest itself only warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, with nothing in its place
        names = [*config.inicfg]
    names += [word.partition("=")[0] for word in config.getoption("override_ini") or ()]
    for name in (name for name in dict.fromkeys(names) if name.startswith("gradcheck_")):
        try:
            config.getini(name)
        except ValueError as error:
            if "unknown configuration value" not in str(error):
                continue  # a value, not a name: told below
            mistake = _unknown(name.removeprefix("gradcheck_"))
            raise pytest.UsageError(f"{name}: {mistake}") from None
        except (TypeError, pytest.UsageError):
            continue


def _unknown(name: str) -> str:
    """What is to be said of a name that no ini file can have."""
    if name == "summary":
        return "an option of the command line alone: addopts = --gradcheck-summary"
    known = [*(setting.name for setting in on_the_line()), *(name for name, _, _ in _OF_THE_RUN)]
    return f"unknown setting {name!r}{suggestion(name, known)}"


def _ini(setting: Field[Any]) -> str:
    return f"gradcheck_{setting.name}"


def _ini_type(setting: Field[Any]) -> Any:
    kinds = {
        "float": "float",
        "int": "int",
        "int | None": "int",
        "int | Callable[..., object] | None": "int",
        "float | None": "float",
        "bool": "bool",
        "str": "string",
    }
    return kinds.get(str(setting.type), "args")


def _from_ini(setting: Field[Any], value: Any) -> Any:
    if value is None:
        return None
    if _ini_type(setting) == "args":
        return (parse_hooks(value) if setting.name == "hooks" else parse_names(value)) or None
    return float(value) if _ini_type(setting) == "float" else value

"""Settings as pytest reads them, ``--gradcheck-tol`` and ``gradcheck_tol``, from `Settings`."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Any

import pytest

from .errors import SettingsError
from .settings import Settings, is_code_only, merge
from .values import parse_hooks

Layers = list[dict[str, Any]]
LAYERS = pytest.StashKey[Layers]()
"""On the config: what ini file and command line set, weakest first."""
RECORDS = pytest.StashKey[list[dict[str, Any]]]()
"""On a test item: the results of its checks, as built-in types."""
PROGRESS = pytest.StashKey[str]()
"""On the config: "auto" or "off"."""
FACTORY = pytest.StashKey[str]()
"""On the config: ``package.module:factory`` of the executor of the whole suite, or nothing."""


def declare(parser: pytest.Parser) -> None:
    """Declare an option and an ini value for every setting that can be written down."""
    group = parser.getgroup("gradcheck", "gradient checks")
    for setting in _written():
        default = setting.default if setting.default is not MISSING else None
        text = setting.metadata["help"]
        shown = f" (default: {default})" if default not in (None, ()) else ""
        group.addoption(_flag(setting), default=None, help=text + shown, **_argparse(setting))
        parser.addini(_ini(setting), text, type=_ini_type(setting), default=None)
    group.addoption(
        "--gradcheck-summary",
        action="store_true",
        default=False,
        help="one line for every gradient check at the end of the run, worst first",
    )
    for name, text, how in _OF_THE_RUN:
        group.addoption(f"--gradcheck-{name}", dest=f"gradcheck_{name}", help=text, **how)
        parser.addini(f"gradcheck_{name}", text, default=None)


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
    for setting in _written():
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
            try:
                merge({name.removeprefix("gradcheck_"): None})
            except SettingsError as unknown:
                raise pytest.UsageError(f"{name}: {unknown}") from None
        except (TypeError, pytest.UsageError):
            continue


def _written() -> list[Field[Any]]:
    return [setting for setting in fields(Settings) if not is_code_only(setting)]


def _ini(setting: Field[Any]) -> str:
    return f"gradcheck_{setting.name}"


def _flag(setting: Field[Any]) -> str:
    return f"--gradcheck-{setting.name.replace('_', '-')}"


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
        return (parse_hooks(value) if setting.name == "hooks" else tuple(value)) or None
    return float(value) if _ini_type(setting) == "float" else value


def _argparse(setting: Field[Any]) -> dict[str, Any]:
    if "choices" in setting.metadata:
        return {"choices": setting.metadata["choices"], "dest": _ini(setting)}
    converters: dict[str, Callable[[str], Any]] = {
        "float": float,
        "int": int,
        "int | None": int,
        "int | Callable[..., object] | None": int,
        "float | None": float,
        "bool": _yes_or_no,
    }
    several = _hooks_on_the_line if setting.name == "hooks" else _names
    convert = converters.get(str(setting.type), several)
    return {"type": convert, "metavar": setting.name.upper(), "dest": _ini(setting)}


def _yes_or_no(text: str) -> bool:
    words = {"yes": True, "true": True, "1": True, "on": True}
    words |= {"no": False, "false": False, "0": False, "off": False}
    if text.lower() not in words:
        raise argparse.ArgumentTypeError(f"{text!r} is neither yes nor no")
    return words[text.lower()]


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _hooks_on_the_line(text: str) -> dict[str, str]:
    try:
        return parse_hooks([text])
    except SettingsError as error:
        raise argparse.ArgumentTypeError(str(error)) from None

"""Settings on a command line, pytest's and our own: from the fields of `Settings`, said once."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

from .errors import SettingsError
from .settings import Settings, is_code_only
from .values import parse_hooks, parse_names


def on_the_line() -> list[Field[Any]]:
    """The settings that can be written down."""
    return [setting for setting in fields(Settings) if not is_code_only(setting)]


def flag(name: str, prefix: str = "") -> str:
    """``--gradcheck-max-evaluations``, or without the prefix."""
    return f"--{prefix}{name.replace('_', '-')}"


def as_argument(setting: Field[Any]) -> dict[str, Any]:
    """How argparse takes a setting; None, by default, stands for "not given"."""
    default = setting.default if setting.default is not MISSING else None
    shown = f" (default: {default})" if default not in (None, ()) else ""
    how: dict[str, Any] = {"default": None, "help": setting.metadata["help"] + shown}
    if "choices" in setting.metadata:
        return {**how, "choices": setting.metadata["choices"]}
    converters: dict[str, Callable[[str], Any]] = {
        "float": float,
        "int": int,
        "int | None": int,
        "int | Callable[..., object] | None": int,
        "float | None": float,
        "bool": _yes_or_no,
    }
    how["metavar"] = setting.name.upper()
    if str(setting.type) in converters:
        return {**how, "type": converters[str(setting.type)]}
    return {**how, "type": _hooks if setting.name == "hooks" else _names, "action": _Gathered}


class _Gathered(argparse.Action):
    """An option given several times, such as ``--allow=kink --allow=tied``, holds all of it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        before = getattr(namespace, self.dest)
        if before is not None:
            values = before | values if isinstance(values, dict) else (*before, *values)
        setattr(namespace, self.dest, values)


def written(value: Any) -> str:
    """The value of a setting as a command line takes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ",".join(f"{key}={item}" for key, item in value.items())
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _yes_or_no(text: str) -> bool:
    words = {"yes": True, "true": True, "1": True, "on": True}
    words |= {"no": False, "false": False, "0": False, "off": False}
    if text.lower() not in words:
        raise argparse.ArgumentTypeError(f"{text!r} is neither yes nor no")
    return words[text.lower()]


def _names(text: str) -> tuple[str, ...]:
    return parse_names(text.split())


def _hooks(text: str) -> dict[str, str]:
    try:
        return parse_hooks([text])
    except SettingsError as error:
        raise argparse.ArgumentTypeError(str(error)) from None

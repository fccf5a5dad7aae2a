"""One frozen ``Settings``, and the one function that merges the layers it comes from.

Standard library only: command-line and ini options are declared from here when pytest starts,
whether or not any gradient is checked in that run.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from .errors import SettingsError

SCHEMES = ("central", "forward")
MODES = ("auto", "exhaustive", "probe")
FREEZE_RNG = ("auto", "on", "off")
HOOKS = ("params", "grads", "loss", "backward", "set_params")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one check; each has the same name in call, marker, command line and ini file.

    Parameters
    ----------
    eps : float
        First step of the difference quotients, for parameters of magnitude up to 1; larger
        parameters are moved by ``eps * abs(theta)``.
    tol, warn, fail : float
        Thresholds of the relative error: up to `tol` is a pass, from `warn` on is suspect, from
        `fail` on is a failure.  A `tol` above the others lifts them with it.
    scheme : {"central", "forward"}
        Difference quotient.  "forward" is the course's comparison: one evaluation an entry, and
        an error that falls only like the step.
    refine : bool
        Whether entries that disagree at `eps`, or cannot be decided there, are measured again
        on a ladder of steps.  False is the plain textbook check.
    mode : {"auto", "exhaustive", "probe"}
        Every entry by itself, or random directions over all parameters at once, at a cost that
        does not grow with their number.  "auto" probes above 5,000 parameters.
    confidence : float
        Probability, between 0.5 and 1, with which the bound stated by probes holds.
    max_evaluations : int or None
        Evaluations of the loss after which a search for wrong entries ends.
    seed : int or None
        Seed of the random directions; None takes it from the test's name.
    freeze_rng : {"auto", "on", "off"}
        Whether random generators are put back to the same state before every evaluation; "auto"
        does so when the loss turns out not to be deterministic.
    worst : int
        Number of entries listed in reports.
    allow : tuple of str
        Names of findings about the point of the check that are accepted without a warning.
    hooks : mapping of str to str
        Other names of the hooks on the object, such as ``{"loss": "forward"}``.
    before_each : callable or None
        Called without arguments before every evaluation of the loss.
    """

    eps: float = field(default=1e-7, metadata={"help": "first step of the difference quotients"})
    tol: float = field(default=1e-7, metadata={"help": "relative error up to which a check passes"})
    warn: float = field(
        default=1e-5, metadata={"help": "relative error from which a gradient is suspect"}
    )
    fail: float = field(default=1e-3, metadata={"help": "relative error from which a check fails"})
    scheme: str = field(
        default="central", metadata={"help": "difference quotient", "choices": SCHEMES}
    )
    refine: bool = field(
        default=True, metadata={"help": "measure again where one step cannot decide"}
    )
    mode: str = field(
        default="auto",
        metadata={"help": "every entry, or random probes over all of them", "choices": MODES},
    )
    confidence: float = field(
        default=1 - 1e-6, metadata={"help": "probability with which the bound of probes holds"}
    )
    max_evaluations: int | None = field(
        default=None, metadata={"help": "evaluations of the loss after which a search ends"}
    )
    seed: int | None = field(
        default=None, metadata={"help": "seed of random directions (default: from the test's name)"}
    )
    freeze_rng: str = field(
        default="auto",
        metadata={"help": "hold random generators during the check", "choices": FREEZE_RNG},
    )
    worst: int = field(default=10, metadata={"help": "number of entries listed in reports"})
    allow: tuple[str, ...] = field(
        default=(), metadata={"help": "findings accepted without a warning"}
    )
    hooks: Mapping[str, str] = field(
        default_factory=dict, metadata={"help": "other names of the hooks, such as loss=forward"}
    )
    before_each: Callable[[], object] | None = field(
        default=None, metadata={"help": "called before every evaluation", "code_only": True}
    )

    def __post_init__(self) -> None:
        for name, upper in (("eps", math.inf), ("tol", 1.0), ("warn", 1.0), ("fail", 1.0)):
            object.__setattr__(self, name, _positive(name, getattr(self, name), upper))
        _one_of("scheme", self.scheme, SCHEMES)
        _one_of("mode", self.mode, MODES)
        if self.mode == "probe" and (not self.refine or self.scheme == "forward"):
            raise SettingsError(
                'mode="probe" measures along random directions on a ladder of steps: it goes'
                ' neither with refine=False nor with scheme="forward"'
            )
        object.__setattr__(self, "confidence", _positive("confidence", self.confidence, 1.0))
        if not 0.5 <= self.confidence < 1:
            raise SettingsError(
                f"confidence={self.confidence!r}: must be at least 0.5 and below 1; certainty takes"
                ' mode="exhaustive"'
            )
        _whole("max_evaluations", self.max_evaluations, 1)
        _whole("seed", self.seed, 0)
        if isinstance(self.freeze_rng, bool):
            object.__setattr__(self, "freeze_rng", "on" if self.freeze_rng else "off")
        _one_of("freeze_rng", self.freeze_rng, FREEZE_RNG)
        if not isinstance(self.refine, bool):
            raise SettingsError(f"refine={self.refine!r}: must be True or False")
        if not isinstance(self.worst, int) or isinstance(self.worst, bool) or self.worst < 1:
            raise SettingsError(f"worst={self.worst!r}: must be a whole number of rows, 1 or more")
        object.__setattr__(self, "allow", _allow(self.allow))
        object.__setattr__(self, "hooks", _hooks(self.hooks))
        if self.before_each is not None and not callable(self.before_each):
            raise SettingsError(
                f"before_each={self.before_each!r}: must be a function without arguments,"
                " such as model.reset_state (without brackets)"
            )


NAMES = tuple(f.name for f in fields(Settings))


def merge(*layers: Mapping[str, Any]) -> Settings:
    """Merge layers of settings, weakest first, into one ``Settings``.

    Parameters
    ----------
    *layers : mapping of str to object
        Each layer holds only what was set there; None stands for "not set".

    Raises
    ------
    SettingsError
        For an unknown name or an impossible value.
    """
    given: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            if name not in NAMES:
                raise SettingsError(f"unknown setting {name!r}{_suggestion(name)}")
            if value is not None:
                given[name] = value
    return Settings(**{**given, **_ordered_thresholds(given)})


def _ordered_thresholds(given: Mapping[str, Any]) -> dict[str, float]:
    """Thresholds in order: what was set stands, defaults give way, a high `tol` lifts the rest."""
    default = {f.name: f.default for f in fields(Settings)}
    level = {
        name: _positive(name, given.get(name, default[name]), 1.0)
        for name in ("tol", "warn", "fail")
    }
    if "fail" in given and "warn" not in given:
        level["warn"] = min(level["warn"], level["fail"])
    if "tol" not in given:
        level["tol"] = min(level["tol"], level["warn"])
    if "tol" in given:
        level["warn"] = max(level["warn"], level["tol"])
        level["fail"] = max(level["fail"], level["tol"])
    if level["warn"] > level["fail"]:
        if "fail" in given:
            raise SettingsError(
                f"warn={level['warn']:g} lies above fail={level['fail']:g}: nothing could be"
                " suspect before it fails; lower warn or raise fail"
            )
        level["fail"] = level["warn"]
    return level


def _positive(name: str, value: Any, upper: float) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise SettingsError(f"{name}={value!r}: must be a number, not {type(value).__name__}")
    number = float(value)
    if not (0 < number <= upper) or math.isinf(number):
        limit = f"in (0, {upper:g}]" if math.isfinite(upper) else "positive and finite"
        raise SettingsError(f"{name}={value!r}: must be {limit}")
    return number


def _whole(name: str, value: Any, least: int) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise SettingsError(f"{name}={value!r}: must be a whole number, {least} or more")


def _one_of(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise SettingsError(f"{name}={value!r}: must be one of {', '.join(choices)}")


def _allow(value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, Iterable) or isinstance(names, Mapping):
        raise SettingsError(f"allow={value!r}: must be names of findings, such as ['kink']")
    names = tuple(names)
    for name in names:
        if name not in ALLOWABLE:
            raise SettingsError(
                f"allow={name!r}: no such finding; the ones to allow are {', '.join(ALLOWABLE)}"
            )
    return names


ALLOWABLE = (
    "zero-gradient",
    "tiny-gradient",
    "coarse",
    "undecided",
    "kink",
    "tied",
    "nondeterministic",
)
"""Findings about the point of a check: a test may accept them by name."""


def _hooks(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise SettingsError(f"hooks={value!r}: must be a mapping, such as {{'loss': 'forward'}}")
    for hook, name in value.items():
        if hook not in HOOKS:
            raise SettingsError(f"hooks: {hook!r} is not one of {', '.join(HOOKS)}")
        if not isinstance(name, str) or not name:
            raise SettingsError(f"hooks[{hook!r}]={name!r}: must be the name of an attribute")
    return dict(value)


def parse_hooks(words: Iterable[str]) -> dict[str, str]:
    """Read ``loss=forward`` pairs, as the command line and ini files write them."""
    pairs: dict[str, str] = {}
    for word in (w for line in words for w in line.replace(",", " ").split()):
        hook, equals, name = word.partition("=")
        if not equals:
            raise SettingsError(f"hooks: {word!r} is not of the form hook=name")
        pairs[hook] = name
    return pairs


def _suggestion(name: str) -> str:
    import difflib  # not when pytest starts

    close = difflib.get_close_matches(name, NAMES, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; the settings are {', '.join(NAMES)}"

"""One frozen ``Settings``, and the one function that merges the layers it comes from.

Standard library only: command-line and ini options are declared from here when pytest starts,
whether or not any gradient is checked in that run.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from .errors import SettingsError
from .values import (
    Offered,
    allowed,
    hook_names,
    is_whole,
    one_of,
    patterns,
    positive,
    require_executor,
    whole,
)

if TYPE_CHECKING:
    from concurrent.futures import Executor

SCHEMES = ("central", "forward")
MODES = ("auto", "exhaustive", "probe")
FREEZE_RNG = ("auto", "on", "off")


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
        Evaluations of the loss after which a search for wrong entries ends, and after which no
        entry is measured more closely than by its first step.
    seed : int or None
        Seed of the random directions; None takes it from the test's name.
    freeze_rng : {"auto", "on", "off"}
        Whether random generators are put back to the same state before every evaluation; "auto"
        does so when the loss turns out not to be deterministic, or to draw from them.
    worst : int
        Number of entries listed in reports.
    allow : tuple of str
        Names of findings about the point of the check that are accepted without a warning.
    hooks : mapping of str to str
        Other names of the hooks on the object, such as ``{"loss": "forward"}``.
    wrt : tuple of str
        Names or patterns (``"layers.*"``) of the parameters and inputs of a framework's module or
        function that are checked; by default all that require a gradient.
    forward_ad : bool
        Whether the forward mode of a framework (jvp) is checked as well.
    order : {1, 2}
        2 checks the gradient of a framework's gradient as well.
    nondet_tol : float or None
        Run a framework's backward pass twice, and refuse a larger difference.
    batched_grad : bool
        Whether a framework's backward pass is compared with itself under its vectorised map.
    float64 : bool
        Whether differences of a framework's narrower code are taken in float64.
    train : int, callable or None
        Check again after training: after so many steps of plain gradient descent with the object's
        own gradients, or after ``train()``, or ``train(subject)`` if it takes an argument.
    lr : float
        Learning rate of these steps.
    points : int
        Check again at so many random displacements, after training if there is any.
    study : bool
        Whether the worst entry is measured at every step as well, for the picture of the step-size
        study: some fifty evaluations more, which are not counted.
    before_each : callable or None
        Called without arguments before every evaluation of the loss.
    executor : concurrent.futures.Executor or None
        Whose workers evaluate the loss at the first step of every entry, each on an object of its
        own; not for probes.
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
        default=None, metadata={"help": "evaluations of the loss after which no more is measured"}
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
    wrt: tuple[str, ...] = field(
        default=(), metadata={"help": "parameters and inputs of a module to check, by name"}
    )
    forward_ad: bool = field(
        default=False, metadata={"help": "check a framework's forward mode as well"}
    )
    order: int = field(
        default=1, metadata={"help": "2: check the gradient of a framework's gradient as well"}
    )
    nondet_tol: float | None = field(
        default=None, metadata={"help": "refuse a backward pass less reproducible than this"}
    )
    batched_grad: bool = field(
        default=False, metadata={"help": "compare a backward pass with its vectorised map"}
    )
    float64: bool = field(
        default=True, metadata={"help": "take differences of a framework's narrow code in float64"}
    )
    train: int | Callable[..., object] | None = field(
        default=None, metadata={"help": "check again after so many steps of gradient descent"}
    )
    lr: float = field(default=0.1, metadata={"help": "learning rate of these steps"})
    points: int = field(default=0, metadata={"help": "check again at so many random displacements"})
    study: bool = field(
        default=False, metadata={"help": "measure the worst entry at every step, for its picture"}
    )
    before_each: Callable[[], object] | None = field(
        default=None, metadata={"help": "called before every evaluation", "code_only": True}
    )
    executor: Executor | Offered | None = field(
        default=None, metadata={"help": "whose workers evaluate the loss", "code_only": True}
    )

    def __post_init__(self) -> None:
        for name, upper in (("eps", math.inf), ("tol", 1.0), ("warn", 1.0), ("fail", 1.0)):
            object.__setattr__(self, name, positive(name, getattr(self, name), upper))
        one_of("scheme", self.scheme, SCHEMES)
        one_of("mode", self.mode, MODES)
        if self.mode == "probe" and (not self.refine or self.scheme == "forward"):
            raise SettingsError(
                'mode="probe" measures along random directions on a ladder of steps: it goes'
                ' neither with refine=False nor with scheme="forward"'
            )
        object.__setattr__(self, "confidence", positive("confidence", self.confidence, 1.0))
        if not 0.5 <= self.confidence < 1:
            raise SettingsError(
                f"confidence={self.confidence!r}: must be at least 0.5 and below 1; certainty takes"
                ' mode="exhaustive"'
            )
        for name, least in (("max_evaluations", 1), ("seed", 0), ("train", 1)):
            value = getattr(self, name)
            is_function = name == "train" and callable(value) and not isinstance(value, type)
            if value is not None and not is_function:
                object.__setattr__(self, name, whole(name, value, least))
        object.__setattr__(self, "points", whole("points", self.points, 0))
        object.__setattr__(self, "worst", whole("worst", self.worst, 1, "number of rows"))
        if isinstance(self.freeze_rng, bool):
            object.__setattr__(self, "freeze_rng", "on" if self.freeze_rng else "off")
        one_of("freeze_rng", self.freeze_rng, FREEZE_RNG)
        for name in ("refine", "forward_ad", "batched_grad", "float64", "study"):
            if not isinstance(getattr(self, name), bool):
                raise SettingsError(f"{name}={getattr(self, name)!r}: must be True or False")
        if not is_whole(self.order) or self.order not in (1, 2):
            raise SettingsError(f"order={self.order!r}: must be 1 or 2")
        object.__setattr__(self, "order", int(self.order))
        is_zero = isinstance(self.nondet_tol, numbers.Real) and self.nondet_tol == 0
        if self.nondet_tol is not None:
            tolerance = 0.0 if is_zero else positive("nondet_tol", self.nondet_tol, math.inf)
            object.__setattr__(self, "nondet_tol", tolerance)
        object.__setattr__(self, "wrt", patterns("wrt", self.wrt))
        object.__setattr__(self, "allow", allowed(self.allow))
        object.__setattr__(self, "hooks", hook_names(self.hooks))
        object.__setattr__(self, "lr", positive("lr", self.lr, math.inf))
        if self.before_each is not None and not callable(self.before_each):
            raise SettingsError(
                f"before_each={self.before_each!r}: must be a function without arguments,"
                " such as model.reset_state (without brackets)"
            )
        require_executor(self.executor)

    def written(self) -> dict[str, Any]:
        """Those that can be written down, as built-in types: all but functions and executors."""
        named = ((f.name, getattr(self, f.name)) for f in fields(self) if not is_code_only(f))
        return {name: _written(value) for name, value in named}


def _written(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return getattr(value, "__qualname__", repr(value)) if callable(value) else value


def is_code_only(setting: Field[Any]) -> bool:
    """Whether a setting is an object that no command line or ini file can hold."""
    return bool(setting.metadata.get("code_only"))


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
                raise SettingsError(f"unknown setting {name!r}{suggestion(name)}")
            if value is not None:
                given[name] = value
    return Settings(**{**given, **_ordered_thresholds(given)})


def _ordered_thresholds(given: Mapping[str, Any]) -> dict[str, float]:
    """Thresholds in order: what was set stands, defaults give way, a high `tol` lifts the rest."""
    default = {f.name: f.default for f in fields(Settings)}
    level = {
        name: positive(name, given.get(name, default[name]), 1.0)
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


def suggestion(name: str, names: Sequence[str] = NAMES) -> str:
    """What may have been meant by an unknown name: one like it, one within it, or any there is."""
    import difflib  # not when pytest starts

    close = difflib.get_close_matches(name, names, n=1) or [n for n in names if n in name]
    return f"; did you mean {close[0]!r}?" if close else f"; the settings are {', '.join(names)}"

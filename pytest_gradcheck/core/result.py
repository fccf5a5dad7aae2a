"""The records that a check hands out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .study import Study
    from .view import View

STATUSES = ("pass", "warn", "fail")
DOUBTED = (
    "not-finite",
    "zero-gradient",
    "tiny-gradient",
    "coarse",
    "undecided",
    "unprobed",
    "unlocated",
    "wrong-entry",
    "wrong-region",
    "near-zero-parameters",
    "vanishing",
    "exploding",
    "saturated",
    "unscaled-inputs",
)
"""Findings with which a check does not pass, unless they are allowed."""
NAMED = 6
"""Parameters that a finding about many of them names."""


def upper_end(relative_error: float, uncertainty: float) -> float:
    """Upper end of an error bar; by its definition a relative error is at most 1."""
    return max(relative_error, min(relative_error + uncertainty, 1.0))


@dataclass(frozen=True)
class Finding:
    """Something noticed: the cause of an error, or why a point is not a good one to check at.

    Attributes
    ----------
    name : str
        Its name, as ``allow=`` knows it.
    where : tuple of str
        Names of the parameters concerned.
    message : str
        What was seen, what it means, what to do.
    evidence : dict
        The numbers behind it, as built-in types.
    """

    name: str
    where: tuple[str, ...]
    message: str
    evidence: dict[str, Any] = field(default_factory=dict)


def some(names: Sequence[str]) -> str:
    """All of a few names, the first of many."""
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


@dataclass(frozen=True)
class Entry:
    """One entry of one parameter.

    Attributes
    ----------
    parameter : str
        Name of the parameter.
    index : tuple of int
        Position in it.
    analytic, numeric : float
        The claimed and the measured derivative.
    error : float
        Absolute difference of the two; at a kink, the distance to the nearest valid subgradient.
    uncertainty : float
        Error bar of `numeric`, the rounding of the claim included.
    relative_error : float
        ``error / (abs(analytic) + abs(numeric))``.
    share : float
        This entry's share of the squared error over all parameters, 0 to 1.
    """

    parameter: str
    index: tuple[int, ...]
    analytic: float
    numeric: float
    error: float
    uncertainty: float
    relative_error: float
    share: float

    @property
    def label(self) -> str:
        """``W1[3, 1]``; a scalar is its name alone."""
        return self.parameter + (f"[{', '.join(map(str, self.index))}]" if self.index else "")


@dataclass(frozen=True)
class Block:
    """The verdict on one named parameter.

    Attributes
    ----------
    name : str
    shape : tuple of int
    status : {"pass", "warn", "fail"}
    relative_error : float
        ``norm(d - d_hat) / (norm(d) + norm(d_hat))`` in the 2-norm.
    uncertainty : float
        Error bar of `relative_error`; where that is certainly above `tol`, of its lower end.
    analytic_norm, numeric_norm : float
        2-norms of the claimed and of the measured gradient.
    """

    name: str
    shape: tuple[int, ...]
    status: str
    relative_error: float
    uncertainty: float
    analytic_norm: float
    numeric_norm: float

    @property
    def bound(self) -> float:
        """Upper end of the error bar."""
        return upper_end(self.relative_error, self.uncertainty)

    @property
    def size(self) -> int:
        size = 1
        for length in self.shape:
            size *= length
        return size


@dataclass(frozen=True)
class Result:
    """All that one check found.

    Attributes
    ----------
    status : {"pass", "warn", "fail"}
        The verdict: the worst of the whole vector and of every parameter by itself.
    relative_error, uncertainty : float
        Over the whole vector, with its error bar.
    blocks : tuple of Block
        The same for every named parameter, in order.
    worst : tuple of Entry
        Entries with the largest errors, worst first.
    findings : tuple of Finding
        What was noticed.
    evaluations : int
        Evaluations of the loss, but for a few by which a wrong gradient is explained.
    seconds : float
        Wall-clock time.
    title : str
        Name of what was checked.
    settings : dict
        Thresholds and step of this check.
    point : str
        Where it was made, if at several points: ``"after training"``.
    points : tuple of Result
        The checks at all points, of which this is the worst; none where there was but one.
    views : tuple of View
        Small pictures of the parameters.
    study : Study or None
        One entry at every step, where ``study=True`` asked for it.
    """

    status: str
    relative_error: float
    uncertainty: float
    blocks: tuple[Block, ...]
    worst: tuple[Entry, ...]
    findings: tuple[Finding, ...]
    evaluations: int
    seconds: float
    title: str = "loss"
    settings: dict[str, Any] = field(default_factory=dict)
    point: str = ""
    points: tuple[Result, ...] = ()
    views: tuple[View, ...] = field(default=(), repr=False)
    study: Study | None = field(default=None, repr=False)

    @property
    def bound(self) -> float:
        """Upper end of the error bar: the relative error is at most this."""
        return upper_end(self.relative_error, self.uncertainty)

    @property
    def by_probes(self) -> bool:
        """Whether random directions were measured rather than every entry."""
        return bool(self.settings.get("mode") == "probe")

    @property
    def confidence(self) -> float:
        """Probability with which `bound` holds, of the whole and of every block."""
        return float(self.settings.get("confidence", 1.0)) if self.by_probes else 1.0

    @property
    def size(self) -> int:
        """Number of entries checked."""
        return sum(block.size for block in self.blocks)

    def as_dict(self) -> dict[str, Any]:
        """All of it as built-in types."""
        record: dict[str, Any] = _builtin(self)
        return record


def _builtin(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _builtin(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {str(key): _builtin(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_builtin(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value

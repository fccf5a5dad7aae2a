"""From numbers to a status.

Every relative error is an interval: it is at least what lies outside the error bars, at most what
lies inside.  A discrepancy is claimed only on the lower end, a promise only on the upper end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..settings import Settings
from .measured import Evidence, Single
from .result import STATUSES, Block, Entry, Finding, some


def grade(relative_error: float, settings: Settings) -> str:
    """Status of one relative error; NaN fails."""
    if relative_error <= settings.tol:
        return "pass"
    return "warn" if relative_error < settings.fail else "fail"


def worst_status(statuses: Sequence[str]) -> str:
    return max(statuses, key=STATUSES.index, default="pass")


@dataclass(frozen=True)
class Interval:
    """A relative error: its lower and upper end, and the value reported between them."""

    low: float
    value: float
    high: float

    @classmethod
    def of(cls, least: float, error: float, most: float, scale: float) -> Interval:
        """From the norm of an error and what it is relative to: at most 1, by definition."""
        if scale == 0:
            return cls(0.0, 0.0, 0.0 if most == 0 else math.inf)
        low, high = min(least / scale, 1.0), min(most / scale, 1.0)
        return cls(low, min(max(error / scale, low), high), high)

    def uncertainty(self, tol: float) -> float:
        """Half of an error bar; of a relative error above `tol`, the half that proves it.

        How much larger it may be is of little interest then, and known to a factor where a few
        random directions are all that was measured.
        """
        down, up = self.value - self.low, self.high - self.value
        return down if self.low > tol else max(down, up)


def interval_of(block: Evidence) -> Interval:
    """The relative error of one parameter."""
    return Interval.of(*block.error_limits(), block.scale)


def judge_block(block: Evidence, settings: Settings) -> Block:
    """The verdict on one parameter."""
    error = interval_of(block)
    return Block(
        name=block.parameter.name,
        shape=tuple(int(n) for n in block.parameter.shape),
        status=grade(error.low, settings),
        relative_error=float(error.value),
        uncertainty=float(error.uncertainty(settings.tol)),
        analytic_norm=block.claimed_norm,
        numeric_norm=block.numeric_norm,
    )


def is_wrong(block: Evidence, settings: Settings) -> bool:
    """Whether a discrepancy is certain."""
    return grade(interval_of(block).low, settings) != "pass"


def is_settled(block: Evidence, settings: Settings) -> bool:
    """Whether nothing is said against a block, and enough for it."""
    return not is_wrong(block, settings) and interval_of(block).high <= settings.warn


def judge_whole(blocks: Sequence[Evidence], settings: Settings) -> tuple[str, float, float]:
    """Status, relative error and error bar of all parameters as one vector."""
    least, error, most = (
        float(np.linalg.norm(ends))
        for ends in zip(*(b.error_limits() for b in blocks), strict=True)
    )
    claimed = math.hypot(*(block.claimed_norm for block in blocks))
    scale = claimed + math.hypot(*(block.reference_norm for block in blocks))
    whole = Interval.of(least, error, most, scale)
    return grade(whole.low, settings), float(whole.value), float(whole.uncertainty(settings.tol))


def worst_entries(blocks: Sequence[Evidence], count: int) -> tuple[Entry, ...]:
    """The `count` entries with the largest errors beyond their error bars, worst first."""
    total = math.hypot(*(block.error_limits()[1] for block in blocks))
    singles = [(block, single) for block in blocks for single in block.worst(count)]
    singles.sort(key=lambda pair: (_nan_last(pair[1].beyond), _nan_last(pair[1].error)))
    return tuple(_entry(block, single, total) for block, single in singles[: -count - 1 : -1])


def point_findings(
    blocks: Sequence[Evidence], settings: Settings, *, ended: bool = False
) -> list[Finding]:
    """What the error bars say about the point of the check, or of measuring that `ended` early."""
    undecided = [block for block in blocks if block.undecided]
    found: list[Finding] = [_undecided(undecided)] if undecided else []
    coarse: list[Evidence] = []
    for block in blocks:
        if block.claimed.size == 0 or block.undecided:
            continue
        finding = _not_finite(block) or _untested(block)
        if finding is None and _is_unmeasurable(block, settings):
            finding = None if ended else _too_small(block)
            if finding is None:
                coarse.append(block)
        elif finding is None:
            finding = _wrong_entry(block, settings)
        if finding is not None:
            found.append(finding)
        if block.kinked.size:
            found.append(_kink(block))
    jumpy = [block for block in blocks if block.jumps]
    found += [_jumps(jumpy)] if jumpy else []
    return [*found, *([_coarse(coarse, ended)] if coarse else [])]


def _entry(block: Evidence, single: Single, total: float) -> Entry:
    size = abs(single.claimed) + abs(single.numeric)
    return Entry(
        parameter=block.parameter.name,
        index=_index(block, single.index),
        analytic=single.claimed,
        numeric=single.numeric,
        error=single.error,
        uncertainty=single.bar,
        relative_error=single.error / size if size else 0.0,
        share=(single.error / total) ** 2 if total else 0.0,
    )


def _index(block: Evidence, i: int) -> tuple[int, ...]:
    return tuple(int(k) for k in np.unravel_index(i, block.parameter.shape))


def _not_finite(block: Evidence) -> Finding | None:
    measured = block.first_not_finite()
    if not block.is_finite:
        what, why = "claimed", "the gradient itself is NaN or infinite"
        bad = np.flatnonzero(~np.isfinite(block.claimed))
        first, value, count = int(bad[0]), float(block.claimed[bad[0]]), bad.size
    elif measured is not None:
        what, why = "measured", "the loss is NaN or infinite at every point tried around it"
        first, value, count = measured
        theta = float(block.parameter.read().reshape(-1)[first])
        if not math.isfinite(theta):
            why = f"the parameter itself is {theta} there, and cannot be moved"
    else:
        return None
    name, size = block.parameter.name, block.claimed.size
    label = name + (str(list(_index(block, first))) if block.parameter.shape else "")
    return Finding(
        "not-finite",
        (name,),
        f"{label}: the {what} derivative is {value} ({count} of {size} entries); {why}",
        {"count": int(count), "size": int(size)},
    )


def _undecided(blocks: Sequence[Evidence]) -> Finding:
    names = tuple(block.parameter.name for block in blocks)
    return Finding(
        "undecided",
        names,
        f"{some(names)} cannot be decided at this point: kinks of the loss (ReLU at zero,"
        " ties) crowd so near to it that no step is shorter. At a slightly displaced point the"
        " gradient is right. Check where activations are not all next to zero, or accept it with"
        ' allow=["undecided"]',
        {"kinks": sum(block.kinked.size for block in blocks)},
    )


def _untested(block: Evidence) -> Finding | None:
    if not block.negligible or block.error_limits()[0] > 0:
        return None
    name, bar = block.parameter.name, block.coarsest
    return Finding(
        "zero-gradient",
        (name,),
        f"{name} is untested: its claimed and its measured gradient are both zero (within"
        f" {bar:.1e}), so a missing or misplaced gradient could not be seen here. Check at a point"
        " where it matters (other data, other initial values, after training: train=20, beside an"
        ' optimum: points=1), or accept it with allow=["zero-gradient"]',
        {"claimed_norm": block.claimed_norm, "uncertainty": bar},
    )


def _is_unmeasurable(block: Evidence, settings: Settings) -> bool:
    error = interval_of(block)
    return error.high > settings.warn and error.low <= settings.tol


def _too_small(block: Evidence) -> Finding | None:
    high, (_, _, bar) = interval_of(block).high, block.error_limits()
    if high <= 0.5:
        return None
    name, gradient = block.parameter.name, block.claimed_norm
    return Finding(
        "tiny-gradient",
        (name,),
        f"{name} cannot be measured: its gradient ({gradient:.1e}) lies under the noise floor of"
        f" its differences ({bar:.1e}). Compute the loss in float64, rescale it, take fewer"
        " samples, train a few steps first (train=20) or, if this is an optimum, check beside it"
        ' (points=1); accept it with allow=["tiny-gradient"]',
        {"bound": high, "gradient": gradient},
    )


def _coarse(blocks: Sequence[Evidence], ended: bool) -> Finding:
    names = tuple(block.parameter.name for block in blocks)
    high = max(interval_of(block).high for block in blocks)
    return Finding(
        "coarse",
        names,
        f"{some(names)} {'is' if len(names) == 1 else 'are'} verified only to {high:.1e}: "
        + (
            "it ended with the evaluations allowed. Allow more with max_evaluations"
            if ended
            else "the noise of the loss, or the rounding of the claim, allows no better. Compute"
            " both in float64"
        )
        + ' or accept it with allow=["coarse"]',
        {"bound": high},
    )


def _wrong_entry(block: Evidence, settings: Settings) -> Finding | None:
    """An entry that is certainly wrong by itself, though the norm of its block hides it."""
    if grade(interval_of(block).low, settings) == "fail":
        return None
    typical = block.claimed_norm / math.sqrt(block.claimed.size)
    wrong = block.wrong(settings.fail, settings.tol * typical)
    if not wrong:
        return None
    entry = _entry(block, max(wrong, key=lambda single: single.error), 0.0)
    return Finding(
        "wrong-entry",
        (block.parameter.name,),
        f"{entry.label} is wrong by itself (relative error {entry.relative_error:.1e}, claimed"
        f" {entry.analytic:.6g}, measured {entry.numeric:.6g}), though it is small beside the rest"
        f" of {block.parameter.name}; {len(wrong)} such entries",
        {"count": len(wrong), "relative_error": entry.relative_error},
    )


def _kink(block: Evidence) -> Finding:
    kinks, size = block.kinked, block.claimed.size
    listed = [list(_index(block, int(i))) for i in kinks[:10]]
    name = block.parameter.name
    return Finding(
        "kink",
        (name,),
        f"{name}: the loss has a kink at {kinks.size} of {size} entries"
        f" ({', '.join(name + str(i) for i in listed[:3])}{', ...' if kinks.size > 3 else ''});"
        " there any value between the two one-sided derivatives is a valid subgradient. points=1"
        ' checks beside it, too; accept it with allow=["kink"]',
        {"count": int(kinks.size), "indices": listed},
    )


def _jumps(blocks: Sequence[Evidence]) -> Finding:
    names = tuple(block.parameter.name for block in blocks)
    return Finding(
        "jumps",
        names,
        f"the loss jumps where {some(names)} {'is' if len(names) == 1 else 'are'} moved: between"
        " two jumps it has another slope than over many, which is what was measured. Something in"
        " it is rounded to fewer digits, or stopped at a tolerance. Compute it in float64, or more"
        ' closely; accept it with allow=["jumps"]',
        {"jumps": sum(block.jumps for block in blocks)},
    )


def _nan_last(value: float) -> float:
    """NaN counts as the largest error there is."""
    return math.inf if math.isnan(value) else value

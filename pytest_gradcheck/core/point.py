"""The point of a check: the loss and the claimed gradient there, in an order objects can bear."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SubjectError
from ..settings import Settings
from .cancelled import may_be_cancelled
from .gradients import flat
from .loss import Loss
from .parameters import Array, Parameter
from .problem import Problem, Saved
from .region import pieces
from .result import Finding
from .state import State

JITTER = 1e-8
"""Two losses at the same point may differ by this, relatively, and count as noisy: summation order
in threads, a solver that starts where it stopped.  More is another function each time."""
SQUARED = 1e-145, 1e145
"""Sizes between which squares stay far from underflow and overflow."""
FEW = 64
"""Numbers at which it is looked first whether all could be of a lower precision."""


@dataclass(frozen=True)
class Point:
    """The loss and the claimed gradient where the parameters stand.

    Attributes
    ----------
    loss : Loss
    base : float
        Its value.
    claims : list of ndarray
        Claimed gradients, flat.
    claim : callable
        ``claim()`` are the claimed gradients where the parameters stand by then.
    rounding : list of float
        Relative rounding of each claim.
    jitter : float
        Difference of two evaluations.
    held : bool
        Whether random generators are put back before every evaluation.
    drawn : tuple of str
        Those that the loss draws from.
    """

    loss: Loss
    base: float
    claims: list[Array]
    claim: Callable[[], list[Array]]
    rounding: list[float]
    jitter: float
    held: bool
    drawn: tuple[str, ...] = ()

    @property
    def deterministic(self) -> bool:
        return self.jitter <= JITTER * abs(self.base) or not math.isfinite(self.base)

    def may_be_zero(self, i: int) -> bool:
        """Whether the claim of parameter `i` may be zero but for its rounding."""
        whole = math.hypot(*(float(np.linalg.norm(claim)) for claim in self.claims))
        own = float(np.linalg.norm(self.claims[i]))
        return may_be_cancelled(own, rounding=self.rounding[i], whole=whole)


def inspect_point(problem: Problem, settings: Settings, state: State, saved: Saved) -> Point:
    """Loss and gradient at the point, with random generators held if that is asked or needed."""
    point = _look(problem, state, saved, hold=settings.freeze_rng == "on")
    _require_range(point)
    drawn = state.moved_generators()
    if point.deterministic:
        if point.held or settings.freeze_rng != "auto" or point.jitter > 0 or not drawn:
            return point
        drawn = state.drawn_by(point.loss.strict)  # twice the same by chance (two masks), perhaps
        if not drawn:
            return point
    moved = sorted({*state.moved(), *problem.moved()} - set(drawn))
    if settings.freeze_rng == "auto" and drawn:
        held = _look(problem, state, saved, hold=True)
        if held.deterministic:
            held.loss.evaluations += point.loss.evaluations
            return replace(held, drawn=tuple(drawn))
    raise SubjectError(_nondeterministic(point, drawn, moved, settings))


def _require_range(point: Point) -> None:
    """Refuse what has no norm, as its squares vanish or overflow; an optimum, however near, has."""
    slope = max(
        max(float(np.max(g, initial=0.0)), -float(np.min(g, initial=0.0))) for g in point.claims
    )
    size, (small, large) = max(abs(point.base), slope), SQUARED
    vanishes = slope > 0 and size < small < abs(point.base) / slope
    if math.isfinite(size) and (size > large or vanishes):
        what = "the gradient" if slope == size else "the loss"
        raise SubjectError(
            f"{what} is as {'small' if vanishes else 'large'} as {size:.0e}: its square leaves the"
            " range of floating-point numbers. Scale the loss (the logarithm of a likelihood, a"
            " mean for a sum), or check where it is of another size"
        )


def _look(problem: Problem, state: State, saved: Saved, *, hold: bool) -> Point:
    """Loss first, then gradients, once; then the loss again, to see whether it is the same."""
    loss = Loss(rewound(problem.loss, state) if hold else problem.loss)
    grads = rewound(problem.gradients, state) if hold else problem.gradients
    base = loss.strict()
    saved.require_unchanged("the loss")
    handed = grads()
    claims = flat(handed)
    saved.require_unchanged("computing the gradient")
    again = loss.strict()
    rounding = [_rounding(g, p) for g, p in zip(handed, problem.parameters, strict=True)]
    jitter = abs(again - base) if math.isfinite(base) else 0.0

    def claim() -> list[Array]:
        loss()  # gradients may live on what the loss leaves behind
        return flat(grads())

    return Point(loss, base, claims, claim, rounding, jitter, hold)


def rewound(function: Callable[[], Any], state: State) -> Callable[[], Any]:
    """`function` with every random generator in the same state before each call."""

    def held() -> Any:
        state.rewind()
        return function()

    return held


def _rounding(claim: NDArray[Any], parameter: Parameter) -> float:
    """Relative rounding in which a claim was computed.

    That is of its dtype, or of its parameter's if this is lower, or of float32 if all its entries
    came from there.  Numbers such as 0.5 or 3 are exact in any precision and say nothing.
    """
    spacings = [float(np.finfo(claim.dtype).eps), parameter.eps]
    if fits(claim, np.float32) and not fits(claim, np.float16):
        spacings.append(float(np.finfo(np.float32).eps))
    return max(spacings) / 2


def fits(claim: NDArray[Any], precision: type[np.floating[Any]]) -> bool:
    """Whether every number can be written in a lower precision."""
    first = claim.flat[:FEW]  # where not, that shows at once
    with np.errstate(all="ignore"):  # what is lost in a cast is what is asked
        return all(
            np.array_equal(part.astype(precision), part)
            for part in itertools.chain([first], (claim[piece] for piece in pieces(claim)))
        )


def _nondeterministic(
    point: Point, drawn: Sequence[str], moved: Sequence[str], settings: Settings
) -> str:
    size = point.jitter / max(abs(point.base), 1e-300)
    seen = (
        f"the loss is not deterministic: two evaluations at the same parameters differ by"
        f" {point.jitter:.3g} (relatively {size:.1e})"
    )
    why = "; a difference quotient would measure that instead of a slope."
    if drawn and settings.freeze_rng == "off":
        return (
            f"{seen}{why} It draws random numbers from {', '.join(drawn)}: switch dropout off for"
            ' the check, or hold the generators with freeze_rng="auto".'
        )
    advice = " Switch dropout off for the check, seed the generator in before_each=, or both."
    return seen + why + (_reset(moved) or advice)


def _reset(moved: Sequence[str]) -> str:
    if not moved:
        return ""
    shown = ", ".join(moved[:5]) + (", ..." if len(moved) > 5 else "")
    return (
        f" What moved between two evaluations: {shown}. Reset it before each evaluation with"
        " before_each= (such as before_each=model.reset_state), or call what keeps it (.eval() of a"
        " module)."
    )


def remembers(losses: tuple[float, float], state: State) -> SubjectError:
    """What is to be said of a loss that is another after it was evaluated elsewhere."""
    before, after = losses
    advice = " An average that runs on, or a solver that starts where it stopped, does so."
    return SubjectError(
        f"the loss depends on where it was evaluated before: at the same parameters it is"
        f" {before:.9g} and, after evaluations elsewhere, {after:.9g}; a difference quotient would"
        f" measure that as well as a slope.{_reset(state.moved()) or advice}"
    )


def held_generators(point: Point) -> Finding:
    names = ", ".join(point.drawn)
    return Finding(
        "nondeterministic",
        (),
        f"the loss draws random numbers from {names} (is dropout on?): they were held the same for"
        " every evaluation, so the check is of the loss with that one draw. Switch dropout off to"
        ' check the loss without, or accept it with allow=["nondeterministic"]',
        {"generators": list(point.drawn)},
    )

"""The point of a check: the loss and the claimed gradient there, in an order objects can bear."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SubjectError
from ..settings import Settings
from .cancelled import may_be_cancelled
from .displaced import move_by_rounding
from .gradients import flat
from .ladder import SIGMAS
from .line import Line, uphill
from .loss import Loss
from .measured import COMMON, OWN
from .parameters import Array, Parameter
from .problem import Problem, Saved
from .region import pieces
from .result import Finding
from .state import State

JITTER = 1e-8
"""Two losses at the same point may differ by this, relatively, and count as noisy: summation order
in threads, a solver that starts where it stopped.  More is another function each time."""
SINGLE = 2.0**-23
"""Distance of neighbouring numbers of single precision, relative."""
DRAWS = 4
"""How often the parameters are moved by it: once may happen to change nothing."""
SQUARED = 1e-145, 1e145
"""Sizes between which squares stay far from underflow and overflow."""


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
    moved = [name for name in state.moved() if name not in drawn]
    if settings.freeze_rng == "auto" and drawn:
        held = _look(problem, state, saved, hold=True)
        if held.deterministic:
            held.loss.evaluations += point.loss.evaluations
            return replace(held, drawn=tuple(drawn))
    raise SubjectError(_nondeterministic(point, drawn, moved, settings))


def _require_range(point: Point) -> None:
    """Refuse what has no norm, as its squares vanish or overflow; an optimum, however near, has."""
    slope = max(float(np.max(np.abs(g), initial=0.0)) for g in point.claims)
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
    loss = Loss(_rewound(problem.loss, state) if hold else problem.loss)
    grads = _rewound(problem.gradients, state) if hold else problem.gradients
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


def _rewound(function: Callable[[], Any], state: State) -> Callable[[], Any]:
    """`function` with every random generator in the same state before each call."""

    def held() -> Any:
        state.rewind()
        return function()

    return held


def in_float64(
    problem: Problem, point: Point, settings: Settings, state: State
) -> tuple[Problem, Point]:
    """The problem on float64 copies of narrower parameters, where its loss follows those.

    The claim stays as it was computed; only the differences are taken in the wider precision.
    """
    moved, point = _on_copies(problem, point, settings, state)
    return moved, _as_it_wavers(moved, point)


def _on_copies(
    problem: Problem, point: Point, settings: Settings, state: State
) -> tuple[Problem, Point]:
    """The same with what the copies tell of the rounding of the claims."""
    narrow = [i for i, parameter in enumerate(problem.parameters) if parameter.narrow]
    if not (narrow and settings.refine and problem.in_float64):
        return problem, point
    rounding = _also_seen(problem, point, state, most=settings.fail)
    try:
        wide = _widened(problem, state)
        if wide is not None:
            loss = Loss(_rewound(wide.loss, state) if point.held else wide.loss)
            loss.evaluations = point.loss.evaluations
            base = loss()
            told = [i for i in narrow if not point.may_be_zero(i)]
            if all(_follows(wide.parameters[i], loss, base, point.claims[i]) for i in told):
                return wide, replace(point, loss=loss, base=base, rounding=rounding)
    except Exception:  # a loss may refuse the other precision in any way it likes
        pass
    state.restore()
    return problem, point


def _as_it_wavers(problem: Problem, point: Point) -> Point:
    """The point with what single precision costs the claims, where loss and gradient work in it.

    Such a gradient is that of parameters a rounding off, or two: how it changes between those
    shows what its terms lose where they cancel.
    """
    single = [rounding >= SINGLE / 2 for rounding in point.rounding]
    if not any(single) or not fits(np.array(point.base), np.float32):
        return point
    rounding, saved = point.rounding, Saved(problem.parameters)
    try:
        draws = DRAWS if all(map(np.array_equal, point.claim(), point.claims)) else 0
        for seed in range(draws):
            move_by_rounding(problem, seed, SINGLE)
            rounding = list(map(max, rounding, _explaining(point, point.claim(), math.inf)))
            saved.restore()
    except Exception:  # a gradient may refuse a second call, or what lies beyond an edge
        pass
    finally:
        saved.restore()
    return point if rounding == point.rounding else replace(point, rounding=rounding)


def _follows(parameter: Parameter, loss: Loss, base: float, claim: Array) -> bool:
    """Whether the loss changes when a parameter is moved along its claimed gradient."""
    if not claim.any():
        return True
    theta = parameter.read()
    step = 1e-2 * (float(np.max(np.abs(theta))) or 1.0)
    line = Line(loss, [parameter], [theta], [uphill(claim) * step])
    return math.isfinite(base) and (line(1.0) != base or line(-1.0) != base)


def _widened(problem: Problem, state: State) -> Problem | None:
    """The problem on float64 copies, made of what the parameters are at this moment."""
    assert problem.in_float64 is not None
    wide = problem.in_float64(state)
    if wide is not None:
        for mine, copy in zip(problem.parameters, wide.parameters, strict=True):
            if copy is not mine:  # made of what the subject was given, which may stand elsewhere
                copy.write(mine.read())
    return wide


def _also_seen(problem: Problem, point: Point, state: State, *, most: float) -> list[float]:
    """Relative roundings of the claims, where it takes more to set them apart from float64's.

    A sum whose terms cancel loses more digits than its size tells.  What is further apart than
    `most` counts as an error.
    """
    given = [parameter.given for parameter in problem.parameters]
    now = State(problem.roots, given, kept=problem.structure)  # a gradient may add to what it finds
    point.loss.evaluations += 1
    try:
        wide = _widened(problem, now)
        if wide is None:
            return point.rounding
        wider = _rewound(wide.claimed, state)() if point.held else wide.claimed()
    except Exception:  # a gradient may refuse the other precision as well
        return point.rounding
    finally:
        now.restore()
    return _explaining(point, wider, most)


def _explaining(point: Point, others: Sequence[Array], most: float) -> list[float]:
    """Relative roundings of the claims that explain how far off others of the same point are."""
    found = []
    for claim, other, rounding in zip(point.claims, others, point.rounding, strict=True):
        off, size = np.abs(claim - other), float(np.linalg.norm(claim))
        typical, apart = size / math.sqrt(max(claim.size, 1)), float(np.linalg.norm(off))
        if 0 < apart <= most * size:
            explained = float(np.max(off / (OWN * np.abs(claim) + COMMON * typical)))
            rounding = max(rounding, min(explained, SIGMAS / COMMON * apart / size))
        found.append(rounding)
    return found


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
    with np.errstate(over="ignore", invalid="ignore"):
        return all(
            np.array_equal(claim[piece].astype(precision), claim[piece]) for piece in pieces(claim)
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
    if moved:
        shown = ", ".join(moved[:5]) + (", ..." if len(moved) > 5 else "")
        advice = (
            f" What moved between two evaluations: {shown}. Reset it before each evaluation with"
            " before_each= (such as before_each=model.reset_state)."
        )
    return seen + why + advice


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

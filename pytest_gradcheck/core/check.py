"""The story of one check, from top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SubjectError
from ..settings import Settings
from .judge import (
    DOUBTED,
    judge_block,
    judge_whole,
    point_findings,
    worst_entries,
    worst_status,
)
from .line import Line
from .loss import Loss
from .measure import Measured, Measurement, textbook
from .parameters import Array, Parameter
from .problem import Problem, Saved
from .result import Finding, Result
from .state import State

JITTER = 1e-8
"""Two losses at the same point may differ by this, relatively, and count as noisy: summation order
in threads, a solver that starts where it stopped.  More is another function each time."""


@dataclass(frozen=True)
class Point:
    """The loss and the claimed gradient where the parameters stand."""

    loss: Loss
    base: float
    claims: list[Array]
    rounding: list[float]
    jitter: float
    held: bool
    drawn: tuple[str, ...] = ()

    @property
    def deterministic(self) -> bool:
        return not self.jitter > JITTER * abs(self.base)


def run_check(problem: Problem, settings: Settings, *, seed: int = 0) -> Result:
    """Compare the claimed gradient of `problem` with differences of its loss.

    Parameters
    ----------
    problem : Problem
    settings : Settings
    seed : int
        Seed of the random directions.

    Returns
    -------
    Result

    Raises
    ------
    SubjectError
        If the subject cannot be checked as it stands.  Whatever is raised, here or in the
        subject's own code, the parameters are as before.
    """
    start = time.perf_counter()
    with problem.preserved() as (state, saved):
        point = _inspect(problem, settings, state, saved)
        if math.isfinite(point.base):
            with np.errstate(all="ignore"):  # moved points may leave the domain of the loss
                moved, point = _in_float64(problem, point, settings, state)
                blocks, kinked = _measure(moved, point, settings, seed)
                _require_reach(blocks, point)
                doubted = [i for i, block in enumerate(blocks) if not _is_settled(block, settings)]
                if kinked and doubted:
                    there = _measure_displaced(problem, moved, point, settings, seed)
                    for i in doubted:
                        if _exonerates(there[i], blocks[i], settings):
                            blocks[i].give_up()
                saved.restore()
        else:
            blocks = _unmeasured(problem, point)
        saved.require_unchanged("the loss")
    findings = list(problem.notes) + point_findings(blocks, settings)
    if point.held and settings.freeze_rng == "auto":
        findings.append(_held(point))
    if not math.isfinite(point.base):
        findings.insert(0, _loss_not_finite(point.base))
    return _result(problem, settings, blocks, findings, point.loss, start)


def _inspect(problem: Problem, settings: Settings, state: State, saved: Saved) -> Point:
    """Loss and gradient at the point, with random generators held if that is asked or needed."""
    point = _look(problem, state, saved, hold=settings.freeze_rng == "on")
    if point.deterministic:
        return point
    drawn = state.moved_generators()
    moved = [name for name in state.moved() if name not in drawn]
    if settings.freeze_rng == "auto" and drawn:
        held = _look(problem, state, saved, hold=True)
        if held.deterministic:
            held.loss.evaluations += point.loss.evaluations
            return replace(held, drawn=tuple(drawn))
    raise SubjectError(_nondeterministic(point, drawn, moved, settings))


def _look(problem: Problem, state: State, saved: Saved, *, hold: bool) -> Point:
    """Loss first, then gradients, once; then the loss again, to see whether it is the same."""
    loss = Loss(_rewound(problem.loss, state) if hold else problem.loss)
    grads = _rewound(problem.grads, state) if hold else problem.grads
    base = loss.strict()
    saved.require_unchanged("the loss")
    handed = list(grads())
    claims = [np.array(gradient, dtype=np.float64).reshape(-1) for gradient in handed]
    saved.require_unchanged("computing the gradient")
    again = loss.strict()
    jitter = abs(again - base) if math.isfinite(base) else 0.0
    return Point(loss, base, claims, [_rounding(g) for g in handed], jitter, hold)


def _rewound(function: Callable[[], Any], state: State) -> Callable[[], Any]:
    """`function` with every random generator in the same state before each call."""

    def held() -> Any:
        state.rewind()
        return function()

    return held


def _in_float64(
    problem: Problem, point: Point, settings: Settings, state: State
) -> tuple[Problem, Point]:
    """The problem on float64 copies of narrower parameters, where its loss follows those.

    The claim stays as it was computed; only the differences are taken in the wider precision.
    """
    narrow = [i for i, parameter in enumerate(problem.parameters) if parameter.narrow]
    if not (narrow and settings.refine and problem.in_float64):
        return problem, point
    try:
        wide = problem.in_float64(state)
        if wide is not None:
            loss = Loss(_rewound(wide.loss, state) if point.held else wide.loss)
            loss.evaluations = point.loss.evaluations
            base = loss()
            if all(_follows(wide.parameters[i], loss, base, point.claims[i]) for i in narrow):
                return wide, replace(point, loss=loss, base=base)
    except Exception:  # a loss may refuse the other precision in any way it likes
        pass
    state.restore()
    return problem, point


def _follows(parameter: Parameter, loss: Loss, base: float, claim: Array) -> bool:
    """Whether the loss changes when a parameter is moved along its claimed gradient."""
    if not claim.any():
        return True
    theta = parameter.read()
    step = 1e-2 * (float(np.max(np.abs(theta))) or 1.0)
    line = Line(loss, [parameter], [theta], [np.sign(claim) * step])
    return math.isfinite(base) and (line(1.0) != base or line(-1.0) != base)


def _measure(
    problem: Problem, point: Point, settings: Settings, seed: int
) -> tuple[list[Measured], bool]:
    """The gradient as measured, and whether kinks of the loss were met on the way."""
    if not settings.refine or settings.scheme == "forward":
        plain = textbook(
            problem,
            point.loss,
            point.claims,
            base=point.base,
            eps=settings.eps,
            scheme=settings.scheme,
        )
        return plain, False
    measurement = Measurement(
        problem,
        point.loss,
        point.claims,
        rounding=point.rounding,
        base=point.base,
        jitter=point.jitter,
        eps=settings.eps,
        tol=settings.tol,
        warn=settings.warn,
        rng=np.random.default_rng(seed),
    )
    return measurement.run(), measurement.kinked


def _is_settled(block: Measured, settings: Settings) -> bool:
    """Whether nothing is said against a block, and enough for it."""
    judged = judge_block(block, settings)
    high = judged.relative_error + judged.uncertainty
    return judged.status == "pass" and high <= max(settings.warn, settings.tol)


def _measure_displaced(
    problem: Problem, moved: Problem, point: Point, settings: Settings, seed: int
) -> list[Measured]:
    """The same check a little way off, where kinks do not crowd.

    Parameters
    ----------
    problem, moved : Problem
        As the subject has it, and as it is measured (in float64).
    """
    rng = np.random.default_rng([seed, 1])
    for narrow, wide in zip(problem.parameters, moved.parameters, strict=True):
        theta = narrow.read()
        scale = float(np.sqrt(np.mean(theta**2))) if theta.any() else 1.0
        theta = narrow.round(theta + DISPLACEMENT * scale * rng.standard_normal(theta.size))
        narrow.write(theta)
        wide.write(theta)
    problem.loss()  # gradients may live on what the loss leaves behind
    claims = [np.array(g, dtype=np.float64).reshape(-1) for g in problem.grads()]
    there = replace(point, base=point.loss(), claims=claims)
    if not math.isfinite(there.base):
        return _unmeasured(moved, there)
    return _measure(moved, there, settings, seed)[0]


def _exonerates(there: Measured, here: Measured, settings: Settings) -> bool:
    """Whether a displaced point has nothing against a block, and excludes what is claimed here."""
    least, _, most = there.error_limits()
    claimed, _, _ = here.error_limits()
    bound = max(settings.warn * there.scale, claimed * there.scale / (here.scale or 1.0) / 2)
    return least <= settings.tol * there.scale and most <= bound


DISPLACEMENT = 1e-3
"""How far a displaced point lies off, relative to the scale of each parameter."""


def _rounding(claim: NDArray[Any]) -> float:
    """Relative rounding of a claim: of its dtype, or of float32 if all its entries came from there.

    Numbers such as 0.5 or 3 are exact in any precision and say nothing.
    """
    narrowest = np.float64(np.finfo(claim.dtype).eps) / 2
    single = claim.astype(np.float32)
    if np.array_equal(single, claim) and not np.array_equal(single.astype(np.float16), single):
        narrowest = max(narrowest, np.float64(np.finfo(np.float32).eps) / 2)
    return float(narrowest)


def _require_reach(blocks: Sequence[Measured], point: Point) -> None:
    """Refuse parameters that the loss does not read: all their differences are zero.

    Raises
    ------
    SubjectError
        Naming them.
    """
    unread = []
    for block in blocks:
        if block.numeric.any() or not block.claimed.any():
            continue
        theta = block.parameter.read()
        scale = float(np.max(np.abs(theta))) or 1.0
        uphill = np.sign(block.claimed) * scale
        line = Line(point.loss, [block.parameter], [theta], [uphill])
        promised = REACH[0] * float(uphill @ block.claimed)
        if promised > 1e-12 * abs(point.base) and all(
            line(sign * part) == point.base for part in REACH for sign in (1, -1)
        ):
            unread.append(block.parameter.name)
    if unread:
        raise SubjectError(
            f"moving {', '.join(unread)} does not reach the loss: it stays {point.base!r} to the"
            " last bit, though a gradient is claimed. Was the array copied or rebound"
            " (params[k] = params[k].astype(...)) after the layers took hold of it? Hand out the"
            " arrays that the loss reads, or write values back by set_params(params)."
        )


REACH = (1e-3, 0.1, 1.0)
"""How far a parameter is moved, relative to its size, before it is said not to reach the loss."""


def _unmeasured(problem: Problem, point: Point) -> list[Measured]:
    """Blocks of a point at which there is nothing to measure."""
    return [
        Measured(p, g, np.full_like(g, np.nan), np.full_like(g, np.inf), np.zeros_like(g))
        for p, g in zip(problem.parameters, point.claims, strict=True)
    ]


def _loss_not_finite(base: float) -> Finding:
    return Finding(
        "not-finite",
        (),
        f"the loss itself is {base}: no derivative exists here. Look for a logarithm of zero, a"
        " division by zero, or an overflow at the initial parameters",
        {"loss": base},
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


def _held(point: Point) -> Finding:
    names = ", ".join(point.drawn)
    return Finding(
        "nondeterministic",
        (),
        f"the loss draws random numbers from {names} (is dropout on?): they were held the same for"
        " every evaluation, so the check is of the loss with that one draw",
        {"generators": list(point.drawn)},
    )


def _result(
    problem: Problem,
    settings: Settings,
    blocks: Sequence[Measured],
    findings: Sequence[Finding],
    loss: Loss,
    start: float,
) -> Result:
    judged = [judge_block(block, settings) for block in blocks]
    status, relative_error, uncertainty = judge_whole(blocks, settings)
    doubted = [f for f in findings if f.name in DOUBTED and f.name not in settings.allow]
    statuses = [status, *(block.status for block in judged), *("warn" for _ in doubted)]
    if any(f.name == "not-finite" for f in findings):
        statuses.append("fail")
    chosen = asdict(settings)
    chosen.pop("before_each")
    return Result(
        status=worst_status(statuses),
        relative_error=relative_error,
        uncertainty=uncertainty,
        blocks=tuple(judged),
        worst=worst_entries(blocks, settings.worst),
        findings=tuple(findings),
        evaluations=loss.evaluations,
        seconds=time.perf_counter() - start,
        title=problem.title,
        settings=chosen,
    )

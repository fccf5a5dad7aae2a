"""Low precision: differences on float64 copies, and what it costs a claim where terms cancel.

A sum whose terms cancel loses more digits than its size tells: the gradient of nearly everything
beside an optimum.  How many is seen in the same gradient on float64 copies or, where those cannot
be had, in how the claim wavers when the parameters move by a last digit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..settings import Settings
from .ladder import SIGMAS
from .line import Line, uphill
from .loss import Loss
from .measured import COMMON, OWN
from .parameters import Array, Parameter
from .point import Point, fits, rewound
from .problem import Problem
from .state import State
from .wavering import apart, beside, wavering

SINGLE = 2.0**-23
"""Distance of neighbouring numbers of single precision, relative."""


def in_float64(
    problem: Problem, point: Point, settings: Settings, state: State
) -> tuple[Problem, Point]:
    """The problem on float64 copies of narrower parameters, where its loss follows those.

    The claim stays as it was computed; only the differences are taken in the wider precision.
    """
    if not settings.refine:
        return problem, point
    moved, point = _on_copies(problem, point, settings, state)
    return moved, _as_it_wavers(moved, point)


def _on_copies(
    problem: Problem, point: Point, settings: Settings, state: State
) -> tuple[Problem, Point]:
    """The same with what the copies tell of the rounding of the claims."""
    narrow = [i for i, parameter in enumerate(problem.parameters) if parameter.narrow]
    if not (narrow and problem.in_float64):
        return problem, point
    rounding = _also_seen(problem, point, state, most=settings.fail)
    try:
        wide = _widened(problem, state)
        if wide is not None:
            loss = Loss(rewound(wide.loss, state) if point.held else wide.loss)
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

    Such a gradient is that of parameters a rounding off, or two.
    """
    single = [rounding >= SINGLE / 2 for rounding in point.rounding]
    if not any(single) or not fits(np.array(point.base), np.float32):
        return point
    rounding = point.rounding
    allowed = [0.0 if point.may_be_zero(i) else math.inf for i in range(len(rounding))]
    for claims in beside(problem.parameters, point.claim, point.claims, SINGLE):
        explained = _explaining(point, claims, allowed)
        rounding = list(map(max, rounding, explained))
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

    What is further apart than `most`, and than the claims waver, counts as an error.
    """
    given = [parameter.given for parameter in problem.parameters]
    now = State(problem.roots, given, kept=problem.structure)  # a gradient may add to what it finds
    point.loss.evaluations += 1
    try:
        wide = _widened(problem, now)
        if wide is None:
            return point.rounding
        wider = rewound(wide.claimed, state)() if point.held else wide.claimed()
    except Exception:  # a gradient may refuse the other precision as well
        return point.rounding
    finally:
        now.restore()
    allowed = [most * float(np.linalg.norm(claim)) for claim in point.claims]
    if any(off > bound for off, bound in zip(apart(point.claims, wider), allowed, strict=True)):
        wavers = wavering(problem.parameters, point.claim, point.claims)
        for i, off in enumerate(wavers):
            if not point.may_be_zero(i):  # what may be is another matter
                allowed[i] = max(allowed[i], SIGMAS * off)
    return _explaining(point, wider, allowed)


def _explaining(
    point: Point, others: Sequence[NDArray[Any]], allowed: Sequence[float]
) -> list[float]:
    """Relative roundings of the claims that explain how far off others of the same point are.

    As far as they are off by no more than is allowed.
    """
    found = []
    norms = apart(point.claims, others)
    for claim, other, rounding, norm, most in zip(
        point.claims, others, point.rounding, norms, allowed, strict=True
    ):
        size = float(np.linalg.norm(claim))
        typical = size / math.sqrt(max(claim.size, 1))
        if 0 < norm <= most and size > 0:
            off = np.abs(claim - other)
            explained = float(np.max(off / (OWN * np.abs(claim) + COMMON * typical)))
            rounding = max(rounding, min(explained, SIGMAS / COMMON * norm / size))
        found.append(rounding)
    return found

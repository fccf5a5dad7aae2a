"""The story of one check, from top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from ..errors import SubjectError
from ..settings import Settings
from .displaced import give_up_where_kinks_crowd
from .judge import (
    DOUBTED,
    is_settled,
    judge_block,
    judge_whole,
    point_findings,
    worst_entries,
    worst_status,
)
from .line import Line
from .loss import Loss
from .measure import Measurement, textbook
from .measured import Measured
from .parameters import Array, Parameter
from .point import Point, held_generators, in_float64, inspect_point
from .problem import Problem, Saved
from .result import Finding, Result
from .state import State


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
        point = inspect_point(problem, settings, state, saved)
        findings = list(problem.notes)
        if point.held and settings.freeze_rng == "auto":
            findings.append(held_generators(point))
        with np.errstate(all="ignore"):  # moved points may leave the domain of the loss
            if math.isfinite(point.base):
                blocks = _measured(problem, point, settings, state, saved, seed)
                findings += point_findings(blocks, settings)
            else:
                blocks = _unmeasured(problem.parameters, point.claims)
                findings.append(_loss_not_finite(point.base))
            saved.require_unchanged("the loss")
            return _result(problem, settings, blocks, findings, point.loss, start)


def _measured(
    problem: Problem, point: Point, settings: Settings, state: State, saved: Saved, seed: int
) -> list[Measured]:
    """The gradient as measured: in float64 where possible, at a second point where needed."""
    asked = point.loss
    moved, point = in_float64(problem, point, settings, state)
    blocks, kinked = _measure(moved, point, settings, seed)
    _require_reach(blocks, point)
    doubted = [
        i for i, block in enumerate(blocks) if not (block.negligible or is_settled(block, settings))
    ]
    if kinked and doubted:

        def measure(claims: list[Array]) -> Sequence[Measured]:
            there = replace(point, base=point.loss(), claims=claims)
            if not math.isfinite(there.base):
                return _unmeasured(moved.parameters, claims)
            return _measure(moved, there, settings, seed)[0]

        give_up_where_kinks_crowd(blocks, doubted, problem, moved, saved, measure, settings, seed)
    asked.evaluations = point.loss.evaluations
    return blocks


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


def _unmeasured(parameters: Sequence[Parameter], claims: Sequence[Array]) -> list[Measured]:
    """Blocks of a point at which there is nothing to measure."""
    return [
        Measured(p, g, np.full_like(g, np.nan), np.full_like(g, np.inf), np.zeros_like(g))
        for p, g in zip(parameters, claims, strict=True)
    ]


def _loss_not_finite(base: float) -> Finding:
    return Finding(
        "not-finite",
        (),
        f"the loss itself is {base}: no derivative exists here. Look for a logarithm of zero, a"
        " division by zero, or an overflow at the initial parameters",
        {"loss": base},
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

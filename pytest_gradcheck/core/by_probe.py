"""The gradient by a few random directions: at the point, or beside it where kinks lie at it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ..settings import Settings
from .displaced import DISPLACEMENT, displace
from .parameters import Array
from .point import Point, in_float64
from .probed import Probed
from .probing import Probing
from .problem import Problem, Saved
from .reach import require_reach
from .result import Finding
from .state import State

UNMOVED = 1e-6
"""A measured gradient this small beside the claimed one: does the parameter reach the loss?"""


def by_probe(
    problem: Problem, point: Point, settings: Settings, state: State, saved: Saved, seed: int
) -> tuple[list[Probed], list[Finding]]:
    """The gradient as measured: in float64 where possible, at a second point where needed."""
    asked = point.loss
    moved, point = in_float64(problem, point, settings, state)
    origin = [saved.origin(parameter) for parameter in moved.parameters]
    probing = _probe(moved, point, origin, settings, seed)
    require_reach([b for b in probing.blocks if b.numeric_norm < UNMOVED * b.claimed_norm], point)
    findings = []
    if probing.kinked:
        findings.append(_displaced())
        displace(problem, moved, seed)
        there = replace(point, base=point.loss(), claims=point.claim())
        origin = [parameter.read() for parameter in moved.parameters]
        probing = _probe(moved, there, origin, settings, seed)
        saved.restore()
    if probing.unlocated:
        findings.append(_unlocated(probing.unlocated, len(moved.parameters)))
    asked.evaluations = point.loss.evaluations
    return probing.blocks, findings + probing.findings


def _probe(
    problem: Problem, point: Point, origin: Sequence[Array], settings: Settings, seed: int
) -> Probing:
    probing = Probing(
        problem.parameters,
        point.loss,
        point.claims,
        origin=origin,
        rounding=point.rounding,
        base=point.base,
        jitter=point.jitter,
        tol=settings.tol,
        warn=settings.warn,
        confidence=settings.confidence,
        limit=settings.max_evaluations,
        seed=seed,
    )
    probing.run()
    return probing


def _displaced() -> Finding:
    return Finding(
        "kink",
        (),
        "the loss has kinks at this very point (ReLU at zero, ties), where a directional"
        f" derivative proves nothing: checked instead at a point moved by {DISPLACEMENT:g} of the"
        ' parameters\' size. Accept it with allow=["kink"]',
        {"displacement": DISPLACEMENT},
    )


def _unlocated(least: float, count: int) -> Finding:
    error = least / (2 * math.sqrt(count))
    return Finding(
        "unlocated",
        (),
        f"the gradient is wrong (relative error of some parameter at least {error:.1e}), but the"
        " search did not find where. Allow it more with max_evaluations, or check the parts of the"
        " model one by one",
        {"relative_error": error},
    )

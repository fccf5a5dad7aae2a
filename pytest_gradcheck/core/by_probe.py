"""The gradient by a few random directions: at the point, or beside it where kinks lie at it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ..errors import SubjectError
from ..settings import Settings
from .at_the_kink import judged_at_the_kink
from .cancelled import is_cancelled
from .displaced import DISPLACEMENTS, displace
from .evaluators import workers
from .judge import interval_of
from .low_precision import in_float64
from .nearby import Nearby
from .parameters import Array
from .point import Point
from .probed import Probed
from .probing import Probing
from .problem import Problem, Saved
from .reach import require_reach
from .result import Finding
from .spread import Spread
from .state import State

TYPICAL = 30
"""Evaluations that a right gradient takes, about."""
UNMOVED = 1e-6
"""A measured gradient this small beside the claimed one: does the parameter reach the loss?"""


def by_probe(
    problem: Problem, point: Point, settings: Settings, state: State, saved: Saved, seed: int
) -> tuple[list[Probed], list[Finding]]:
    """The gradient as measured: in float64 where possible, at a second point where needed."""
    asked = point.loss
    moved, point = in_float64(problem, point, settings, state)
    saved.watch(moved.parameters)
    origin = [saved.origin(parameter) for parameter in moved.parameters]
    helpers = workers(problem, moved, point, settings, evaluations=TYPICAL)
    probing = _probe(moved, point, origin, settings, seed, helpers)
    blocks = probing.blocks
    unmoved = [i for i, b in enumerate(blocks) if b.numeric_norm < UNMOVED * b.claimed_norm]
    require_reach(blocks, unmoved, point)
    findings = []
    nearby = Nearby(moved, point.claims, point.claim)
    if probing.kinked:
        there, distance = _beside(problem, moved, point, saved, seed)
        findings.append(_displaced(distance))
        origin = [parameter.read() for parameter in moved.parameters]
        helpers = workers(problem, moved, there, settings, evaluations=TYPICAL, elsewhere=True)
        here, probing = probing, _probe(moved, there, origin, settings, seed, helpers)
        saved.restore()
        _judge_at_the_kink(probing.blocks, point, nearby, here)
    cancelled = _cancel(probing, point.rounding, nearby)
    left = (error for names, error in probing.unlocated if names - cancelled)
    unlocated = max(left, default=0.0) / (2 * math.sqrt(len(moved.parameters)))
    if unlocated > settings.tol:
        findings.append(_unlocated(unlocated))
    elif unlocated > 0:
        findings.append(_imprecise(unlocated, settings))
    asked.evaluations = point.loss.evaluations
    told = [f for f in _beyond_tol(probing, settings) if not f.where or set(f.where) - cancelled]
    return probing.blocks, findings + told


def _beside(
    problem: Problem, moved: Problem, point: Point, saved: Saved, seed: int
) -> tuple[Point, float]:
    """A point a little off, to which the parameters are moved, and how far off it is."""
    for distance in DISPLACEMENTS:
        displace(problem, moved, seed, point.claims, distance)
        base = point.loss()
        if math.isfinite(base):
            return replace(point, base=base, claims=point.claim()), distance
        saved.restore()
    raise SubjectError(
        "the loss has kinks at this very point (ReLU at zero, ties), where directional derivatives"
        f" prove nothing, and is {base} wherever all parameters are moved a little. Check at"
        ' another point, or entry by entry: mode="exhaustive"'
    )


def _judge_at_the_kink(blocks: list[Probed], point: Point, nearby: Nearby, here: Probing) -> None:
    """Put into what was measured beside the point what is wrong in the claims at it."""
    for i, (block, claim) in enumerate(zip(blocks, point.claims, strict=True)):
        if point.loss.evaluations < here.limit:
            target = here.target / here.prober.weight[i]
            blocks[i] = judged_at_the_kink(block, i, claim, nearby, here.prober, target)


def _cancel(probing: Probing, roundings: Sequence[float], nearby: Nearby) -> set[str]:
    """Names of parameters whose claim is a zero but for its rounding; they are no longer wrong."""
    whole = math.hypot(*(block.claimed_norm for block in probing.blocks if block.is_finite))
    found = set()
    for i, (block, rounding) in enumerate(zip(probing.blocks, roundings, strict=True)):
        claimed, numeric = block.claimed_norm, 0.0 if block.vanishes else block.numeric_norm
        is_zero = is_cancelled(claimed, numeric, rounding=rounding, whole=whole)
        if is_zero or (block.vanishes and nearby.scatters(i)):
            block.cancel()
            found.add(block.parameter.name)
    return found


def _beyond_tol(probing: Probing, settings: Settings) -> list[Finding]:
    """What was found, without what does not matter to the parameters nor to the regions themselves.

    So small an error is seen and told as a relative error that passes, as entry by entry.
    """
    blocks = {block.parameter.name: block for block in probing.blocks}

    def matters(finding: Finding) -> bool:
        errors = [interval_of(blocks[name]) for name in finding.where]
        if finding.name == "search-ended":
            return any(error.value > settings.tol for error in errors)
        if finding.name != "wrong-region" or any(error.low > settings.tol for error in errors):
            return True
        if finding.evidence.get("of") != "gradient":
            return False
        c = finding.evidence["constant"]  # claimed / measured is 1 / (1 - c)
        return bool(abs(c) > settings.fail * abs(2 - c))

    found = [finding for finding in probing.findings if matters(finding)]
    told = {name for finding in found if finding.name == "wrong-region" for name in finding.where}
    for name, block in blocks.items():
        block.told = block.told and name in told
    return found


def _probe(
    problem: Problem,
    point: Point,
    origin: Sequence[Array],
    settings: Settings,
    seed: int,
    helpers: Spread | None,
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
        fail=settings.fail,
        confidence=settings.confidence,
        limit=settings.max_evaluations,
        seed=seed,
        workers=helpers,
    )
    probing.run()
    return probing


def _displaced(distance: float) -> Finding:
    return Finding(
        "kink",
        (),
        "the loss has kinks at this very point (ReLU at zero, ties), where a directional"
        f" derivative proves nothing: checked instead at a point moved by {distance:g} of the"
        ' parameters\' size. Accept it with allow=["kink"]',
        {"displacement": distance},
    )


def _imprecise(error: float, settings: Settings) -> Finding:
    return Finding(
        "imprecise",
        (),
        f"the gradient is not exact (relative error of some parameter at least {error:.1e}), which"
        f" tol={settings.tol:g} allows; where was not searched further",
        {"relative_error": error},
    )


def _unlocated(error: float) -> Finding:
    return Finding(
        "unlocated",
        (),
        f"the gradient is wrong (relative error of some parameter at least {error:.1e}), but the"
        " search did not find where. Allow it more with max_evaluations, or check the parts of the"
        " model one by one",
        {"relative_error": error},
    )

"""The gradient by every entry: in float64 where possible, at a second point where kinks crowd."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..settings import Settings
from .displaced import give_up_where_kinks_crowd
from .evaluators import strategy
from .judge import is_settled, is_wrong
from .low_precision import in_float64
from .measure import Measurement
from .measured import Measured
from .nearby import Nearby
from .noise import POINTS
from .parameters import Array, Parameter
from .point import Point
from .problem import Problem, Saved
from .reach import require_reach
from .state import State
from .textbook import textbook


class Outcome(NamedTuple):
    """The gradient as measured; were kinks met, did evaluations run out?"""

    blocks: list[Measured]
    kinked: bool = False
    ended: bool = False


def by_entry(
    problem: Problem, point: Point, settings: Settings, state: State, saved: Saved, seed: int
) -> Outcome:
    """The gradient as measured: in float64 where possible, at a second point where needed."""
    asked = point.loss
    moved, point = in_float64(problem, point, settings, state)
    saved.watch(moved.parameters)
    point.loss.many = strategy(problem, moved, point, settings)
    found = _measure(moved, point, settings, seed)
    blocks = found.blocks
    unmoved = [i for i, b in enumerate(blocks) if b.claimed.any() and not b.numeric.any()]
    require_reach(blocks, unmoved, point)

    def is_doubted(block: Measured) -> bool:
        """Whether kinks may explain what contradicts a claim, or what is not known of it."""
        if block.negligible or is_settled(block, settings):
            return False
        return found.kinked or (block.crowded and is_wrong(block, settings))

    doubted = [i for i, block in enumerate(blocks) if is_doubted(block)]
    if doubted:

        def measure(claims: list[Array]) -> Sequence[Measured]:
            there = replace(point, base=point.loss(), claims=claims)
            if not math.isfinite(there.base):
                return unmeasured(moved.parameters, claims)
            there.loss.many = strategy(problem, moved, there, settings, elsewhere=True)
            return _measure(moved, there, settings, seed).blocks

        give_up_where_kinks_crowd(blocks, doubted, problem, moved, saved, measure, settings, seed)
    asked.evaluations = point.loss.evaluations
    return found


def _measure(problem: Problem, point: Point, settings: Settings, seed: int) -> Outcome:
    loss, sides = point.loss, 1 if settings.scheme == "forward" else 2
    loss.expected = loss.evaluations + sides * sum(p.size for p in problem.parameters) + POINTS
    if not settings.refine or settings.scheme == "forward":
        plain = textbook(
            problem,
            point.loss,
            point.claims,
            base=point.base,
            eps=settings.eps,
            scheme=settings.scheme,
        )
        return Outcome(plain)
    nearby = Nearby(problem, point.claims, point.claim)
    measurement = Measurement(
        problem.parameters,
        point.loss,
        point.claims,
        nearby,
        rounding=point.rounding,
        base=point.base,
        jitter=point.jitter,
        eps=settings.eps,
        tol=settings.tol,
        warn=settings.warn,
        limit=settings.max_evaluations,
        rng=np.random.default_rng(seed),
    )
    loss.progress("entries that one step could not decide")
    blocks = measurement.run()
    for i, block in enumerate(blocks):
        if block.vanishes and (point.may_be_zero(i) or nearby.scatters(i)):
            block.cancel()
    return Outcome(blocks, measurement.kinked, measurement.ended)


def unmeasured(parameters: Sequence[Parameter], claims: Sequence[Array]) -> list[Measured]:
    """Blocks of a point at which there is nothing to measure."""
    return [
        Measured(p, g, np.full_like(g, np.nan), np.full_like(g, np.inf), np.zeros_like(g))
        for p, g in zip(parameters, claims, strict=True)
    ]

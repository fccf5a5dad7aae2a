"""How the first step of every entry is evaluated: one by one, in batches, or by workers."""

from __future__ import annotations

import time
from functools import partial

from ..errors import SubjectError
from ..settings import Settings
from ..values import Offered
from .batch import Batches
from .exhaustive import one_by_one
from .loss import Many
from .point import Point
from .problem import Problem
from .spread import Spread
from .workers import Shipment

WORTH = 0.5
"""Seconds of work from which on an executor that is merely offered is used."""


def strategy(
    problem: Problem, moved: Problem, point: Point, settings: Settings, *, elsewhere: bool = False
) -> Many | None:
    """The strategy ``loss.many`` of a check; None: one by one, in this process.

    Parameters
    ----------
    problem, moved : Problem
        As the subject has it, and as it is measured (in float64).
    point : Point
    settings : Settings
    elsewhere : bool
        Whether the parameters stand where only they themselves know.

    Raises
    ------
    SubjectError
        If an executor was asked for and cannot serve.
    """
    here: Many = partial(one_by_one, point.loss)
    in_batches = moved.losses is not None and not point.held
    if moved.losses is not None and in_batches:
        here = Batches(moved.losses, moved.parameters, point.loss, point.jitter)
    asked = settings.executor
    offered = isinstance(asked, Offered)
    why_not = _why_not(problem, point)
    if asked is not None and why_not and not offered:
        raise SubjectError(f"executor=: {why_not}; leave executor out for this check")
    rebuild = None if why_not else problem.rebuild
    if asked is None or rebuild is None or (offered and (in_batches or not _is_long(moved, point))):
        return here if in_batches else None
    # copies stand where they were last written back, those of functions where they were given
    several = settings.train is not None or settings.points > 0
    written = elsewhere or several or problem.put_back is not None
    shipment = Shipment(
        rebuild,
        wide=moved is not problem,
        values=[p.read() for p in moved.parameters] if written else None,
        base=point.base,
        jitter=point.jitter,
    )
    executor = asked.get() if isinstance(asked, Offered) else asked
    return Spread(executor, shipment, moved.parameters, point.loss, here, required=not offered)


def _why_not(problem: Problem, point: Point) -> str:
    """Why workers cannot evaluate this loss; empty if they can."""
    if point.held:
        return (
            "the loss draws random numbers, which only the generators of this process can hold the"
            " same; switch dropout off"
        )
    if problem.rebuild is None:
        return (
            f"the adapter of {problem.title} gives no way to build it again in another process"
            " (Problem.rebuild)"
        )
    return ""


def _is_long(moved: Problem, point: Point) -> bool:
    """Whether evaluating every entry here takes long enough to be worth any other way."""
    began = time.perf_counter()
    point.loss()
    seconds = time.perf_counter() - began
    return 2 * seconds * sum(p.size for p in moved.parameters) > WORTH

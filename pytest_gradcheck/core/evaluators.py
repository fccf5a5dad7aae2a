"""Who evaluates the loss at many points: this process one by one, in batches, or workers."""

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
    """How the first step of every entry is evaluated; None: one by one, in this process.

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
    size = sum(p.size for p in moved.parameters)
    spread = partial(
        workers, problem, moved, point, settings, evaluations=2 * size, elsewhere=elsewhere
    )
    if moved.losses is None or point.held:
        return spread()
    batches = Batches(moved.losses, moved.parameters, point.loss, point.jitter)
    if isinstance(settings.executor, Offered):
        return batches
    return spread(here=batches) or batches


def workers(
    problem: Problem,
    moved: Problem,
    point: Point,
    settings: Settings,
    *,
    evaluations: int,
    here: Many | None = None,
    elsewhere: bool = False,
) -> Spread | None:
    """The workers of the executor that was asked for, or offered and worth it.

    Parameters
    ----------
    problem, moved, point, settings, elsewhere
        As for `strategy`.
    evaluations : int
        How many there will be, about.
    here : Many or None
        How this process does what workers do, if not one by one.

    Raises
    ------
    SubjectError
        If an executor was asked for and cannot serve.
    """
    asked = settings.executor
    offered = isinstance(asked, Offered)
    why_not = _why_not(problem, point)
    if asked is not None and why_not and not offered:
        raise SubjectError(f"executor=: {why_not}; leave executor out for this check")
    rebuild = None if why_not else problem.rebuild
    if asked is None or rebuild is None or (offered and not _is_long(point, evaluations)):
        return None
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
    here = here or partial(one_by_one, point.loss)
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


def _is_long(point: Point, evaluations: int) -> bool:
    """Whether so many evaluations here take long enough to be worth any other way."""
    began = time.perf_counter()
    point.loss()
    return evaluations * (time.perf_counter() - began) > WORTH

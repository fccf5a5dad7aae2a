"""What runs in the workers of an executor: moved points of an object that is a worker's own.

A worker builds its object once for a check and keeps it; a task says only which entries to move.
Tasks of one process take turns, since they move the same object in place.
"""

from __future__ import annotations

import os
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import SubjectError
from .batch import Batches
from .direction import Direction
from .exhaustive import losses_at
from .loss import Loss
from .parameters import Array
from .problem import Problem
from .state import State

Place = tuple[str, int]
_SELF = uuid.uuid4().hex


def place() -> Place:
    """Which process is this?  A forked one has the name of its parent and another number."""
    return _SELF, os.getpid()


@dataclass(frozen=True)
class Shipment:
    """All that a worker needs to have an object of its own.

    Attributes
    ----------
    rebuild : callable
        As in `Problem`; the executor pickles it and all that it holds.
    wide : bool
        Whether narrower parameters are measured in float64.
    values : list of ndarray or None
        Where the parameters stand, if not where `rebuild` puts them.
    base, jitter : float
        The loss there, and by how much two evaluations may differ.
    """

    rebuild: Callable[[], Problem]
    wide: bool
    values: list[Array] | None
    base: float
    jitter: float


@dataclass(frozen=True)
class Entries:
    """Entries of one parameter, from `first` on, each to be moved to its value in `moved`."""

    parameter: int
    first: int
    moved: Array

    def losses(self, own: Own) -> Array:
        part = slice(self.first, self.first + self.moved.size)
        theta = own.origin[self.parameter][part]
        parameter = own.problem.parameters[self.parameter]
        return losses_at(parameter, own.loss, theta, self.moved, self.first)


@dataclass(frozen=True)
class Along:
    """All parameters at once, by each of the steps along a random direction."""

    direction: Direction
    steps: tuple[float, ...]

    def losses(self, own: Own) -> Array:
        with self.direction.through(own.problem.parameters, own.origin, own.loss) as at:
            return np.array([at(t) for t in self.steps])


class Task(NamedTuple):
    """What to evaluate, for which check; `home` is the process in which the check runs."""

    check: str
    home: Place
    points: Entries | Along


class Reply(NamedTuple):
    """What came of a task.

    Attributes
    ----------
    kind : {"done", "missing", "shared", "differs", "refused", "raised"}
        The losses; no shipment here yet; a thread of the checking process itself; the loss at
        the point is another one here; the object cannot be checked; its loss raised.
    place : (str, int)
        Who did it.
    seconds : float
        Time for all of it.
    """

    kind: str
    place: Place
    losses: Array | None = None
    seconds: float = 0.0
    text: str = ""


class Own:
    """An object of this worker's own, standing where the check stands."""

    def __init__(self, shipment: Shipment) -> None:
        problem = shipment.rebuild()
        if shipment.wide and problem.in_float64 and any(p.narrow for p in problem.parameters):
            state = State(problem.roots, [p.array for p in problem.parameters])
            problem = problem.in_float64(state) or problem
        self.problem, self.loss = problem, Loss(problem.loss)
        self.loss.watch = None  # that of the parent, where workers are forked
        if shipment.values is not None:
            for parameter, values in zip(problem.parameters, shipment.values, strict=True):
                parameter.write(values)
        self.origin = [parameter.read() for parameter in problem.parameters]
        with np.errstate(all="ignore"):
            self.base = self.loss()
        self.same = abs(self.base - shipment.base) <= shipment.jitter
        if problem.losses is not None:
            self.loss.many = Batches(problem.losses, problem.parameters, self.loss, shipment.jitter)


_KEPT: dict[str, Own] = {}
"""The object of the check at hand, by the check's name: one, since objects may be large."""
_TURN = threading.Lock()


def work(task: Task, shipment: Shipment | None) -> Reply:
    """Do a task in a worker, with the object kept here or the one shipped along."""
    if task.home == place():
        return Reply("shared", place())
    with _TURN:
        began = time.perf_counter()
        try:
            own = _KEPT.get(task.check)
            if own is None:
                if shipment is None:
                    return Reply("missing", place())
                _KEPT.clear()
                own = _KEPT[task.check] = Own(shipment)
            if not own.same:
                return Reply("differs", place(), text=repr(own.base))
            began = time.perf_counter()
            with np.errstate(all="ignore"):
                losses = task.points.losses(own)
        except SubjectError as error:
            return Reply("refused", place(), text=str(error))
        except KeyboardInterrupt:
            raise
        except BaseException:  # the user's own: it is raised again where the check runs
            return Reply("raised", place(), text=traceback.format_exc())
        return Reply("done", place(), losses, time.perf_counter() - began)

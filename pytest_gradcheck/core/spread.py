"""Many points spread over the workers of an executor: what ``executor=`` stands for.

The object is shipped once to each worker.  An executor says neither how many workers it has nor
which of them takes a task, so the first tasks carry the object, later ones do not, and a worker
that lacks it says so and gets it.  While tasks are under way nothing is moved in this process:
what is shipped may be pickled at any time.
"""

from __future__ import annotations

import math
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from typing import TypeVar

import numpy as np

from ..errors import SubjectError
from .direction import Direction
from .loss import Loss, Many
from .parameters import Array, Parameter
from .workers import Along, Entries, Place, Reply, Shipment, Task, place, work

P = TypeVar("P", Entries, Along)
FIRST = 2
"""Tasks that carry the object from the start."""
TRY = 4
"""Entries of a task while nobody knows how long one takes."""
LONG, SHORT = 0.1, 0.005
"""Seconds that a task takes: long beside its way there and back, short beside the whole."""
LOOK = 0.1
"""Seconds between two looks of whoever watches."""
GRACE = 5.0
"""Seconds given to tasks under way when a check ends early."""


class Spread:
    """Moved points, in tasks for the workers of an executor.

    Parameters
    ----------
    executor : concurrent.futures.Executor
    shipment : Shipment
    parameters : sequence of Parameter
    loss : Loss
        Counts what the workers evaluate.
    here : Many
        How the same is done in this process.
    required : bool
        Whether an object that cannot be sent is an error rather than evaluated here.
    """

    def __init__(
        self,
        executor: Executor,
        shipment: Shipment,
        parameters: Sequence[Parameter],
        loss: Loss,
        here: Many,
        *,
        required: bool,
    ) -> None:
        self.executor, self.shipment, self.required = executor, shipment, required
        self.parameters, self.loss, self.here = list(parameters), loss, here
        self.check = uuid.uuid4().hex
        self.carried = 0
        self.seen: set[Place] = set()
        self.pace: float | None = None  # seconds for one evaluation

    def __call__(self, parameter: Parameter, theta: Array, moved: Array, first: int = 0) -> Array:
        """As in `loss.Many`."""
        index = next(i for i, p in enumerate(self.parameters) if p is parameter)
        losses, start = np.empty(moved.size), 0

        def tasks() -> Iterator[Entries]:
            nonlocal start
            while start < moved.size:
                part = slice(start, start + self._length(moved.size - start))
                yield Entries(index, first + start, moved[part])
                start = part.stop

        def here(points: Entries) -> Array:
            part = slice(points.first - first, points.first - first + points.moved.size)
            return self.here(parameter, theta[part], points.moved, points.first)

        try:
            for points, found in self._done(tasks(), here):
                losses[points.first - first :][: found.size] = found
        except _Unsendable as error:
            self._require(error)
            self.loss.many = self.here  # and for the parameters to come
            return self.here(parameter, theta, moved, first)
        return losses

    def along(
        self, directions: Sequence[Direction], steps: Sequence[float], origin: Sequence[Array]
    ) -> dict[Direction, Array]:
        """The loss at each of the steps along every direction; none where it cannot be sent."""

        def here(points: Along) -> Array:
            with points.direction.through(self.parameters, origin, self.loss) as at:
                return np.array([at(t) for t in points.steps])

        tasks = (Along(direction, tuple(steps)) for direction in directions)
        try:
            return {points.direction: found for points, found in self._done(tasks, here)}
        except _Unsendable as error:
            self._require(error)
            return {}

    def _require(self, error: _Unsendable) -> None:
        if self.required:
            raise SubjectError(str(error)) from error

    def _done(self, tasks: Iterator[P], here: Callable[[P], Array]) -> Iterator[tuple[P, Array]]:
        """Tasks as they are answered; `here` does one in this process."""
        pending: dict[Future[Reply], tuple[int, P]] = {}
        raised: list[tuple[int, P, str]] = []
        numbered, left = enumerate(tasks), True
        try:
            while pending or (left and not raised):
                while left and not raised and len(pending) < 2 * len(self.seen) + FIRST:
                    task = next(numbered, None)
                    left = task is not None
                    if task is not None:
                        pending[self._submit(task[1], carry=self.carried < FIRST)] = task
                for future in wait(pending, timeout=LOOK, return_when=FIRST_COMPLETED)[0]:
                    number, points = pending.pop(future)
                    reply = self._reply(future)
                    if reply.kind == "missing":
                        pending[self._submit(points, carry=True)] = number, points
                    elif reply.kind == "raised":
                        raised.append((number, points, reply.text))
                    elif reply.losses is not None:
                        self.loss.evaluations += reply.losses.size
                        self.seen.add(reply.place)
                        self.pace = reply.seconds / reply.losses.size
                        yield points, reply.losses
                self.loss.look()
        finally:
            for future in pending:
                future.cancel()
            if pending:
                wait(pending, timeout=GRACE)
        if raised:
            _, points, text = min(raised, key=lambda one: one[0])
            here(points)  # here users meet their own exception, as without workers
            raise SubjectError(f"the loss raised in a worker, and only there:\n\n{text}")

    def _length(self, left: int) -> int:
        """Number of entries of the next task: fewer towards the end, so that all end together."""
        share = math.ceil(left / (2 * max(2, len(self.seen))))
        if self.pace is None:
            return min(TRY, share)
        pace = max(self.pace, 1e-9)
        return min(left, max(1, math.ceil(SHORT / pace), min(share, int(LONG / pace))))

    def _submit(self, points: Entries | Along, *, carry: bool) -> Future[Reply]:
        self.carried += carry
        task = Task(self.check, place(), points)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Dask, that an object is large
                return self.executor.submit(work, task, self.shipment if carry else None)
        except Exception as error:
            raise self._lost(error) from error

    def _reply(self, future: Future[Reply]) -> Reply:
        """What a worker answered.

        Raises
        ------
        SubjectError, _Unsendable
            If it died, or cannot do what this process can.
        """
        try:
            reply = future.result()
        except Exception as error:
            raise self._lost(error) from error
        if reply.kind == "shared":
            raise SubjectError(
                f"executor=: {self._name} works in threads of this very process, which would all"
                " move the same object at once; hand over one with processes, such as"
                " concurrent.futures.ProcessPoolExecutor"
            )
        if reply.kind == "differs":
            raise SubjectError(
                f"executor=: the loss at the point is {self.shipment.base!r} here and {reply.text}"
                " in a worker, so their differences would mix two functions. What does the loss"
                " depend on that is not part of the object: a global, a file, an environment"
                " variable, the number of threads of a matrix product (Dask gives its workers"
                " OMP_NUM_THREADS=1: do the same here)?"
            )
        if reply.kind == "refused":
            raise SubjectError(f"in a worker: {reply.text}")
        return reply

    def _lost(self, error: Exception) -> Exception:
        """The same error in words of the check."""
        said = f"{type(error).__name__}: {error}".rstrip(": ").replace("\n", " ")
        if isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker":
            return SubjectError(
                f"executor=: a worker of {self._name} died ({said}). Out of memory, a crash in"
                " native code, os._exit? To see it, check without executor=. Or it could not load"
                " the object: the module of its class must be importable there, and a script that"
                ' makes executors needs if __name__ == "__main__". The parameters are as before;'
                " a pool that lost a worker takes no more work"
            )
        return _Unsendable(
            f"executor=: the object could not be sent to the workers of {self._name} ({said})."
            " It must be possible to pickle it and its arguments: functions and classes from the"
            " top of a module that workers can import, no lambdas, open files or locks; or leave"
            " executor out for this check"
        )

    @property
    def _name(self) -> str:
        return type(self.executor).__name__


class _Unsendable(Exception):  # noqa: N818
    """The executor cannot take the object to its workers."""

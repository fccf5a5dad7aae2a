"""Many points in one call, where the subject offers it: ``losses(batch)``, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SubjectError
from .exhaustive import one_by_one
from .loss import Loss, left_domain
from .parameters import Array, Parameter, Scalar

POINTS = 1024
"""Largest number of points of one batch."""
MEMORY = 64 * 2**20
"""Bytes of all parameters of one batch, were they written out."""
APART = 1e-9
"""Relative difference between ``losses`` and ``loss`` that is rounding in another order."""
NARROW = 1e3
"""The same for parameters of lower precision, in units of their rounding."""
ASIDE = (1.0, -0.7)
"""Two points beside the first, in units of `STEP`, at which the two are compared."""
STEP = 1e-2
"""Length of such a step, relative to the size of each parameter."""


_MISTAKES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a function raises that cannot take a batch; all else is its owner's affair."""


class Batches:
    """The strategy ``loss.many`` of a problem with `losses`.

    Parameters
    ----------
    losses : callable
        As in `Problem`.
    parameters : sequence of Parameter
    loss : Loss
        Counts every point, and evaluates those one by one that a batch cannot.
    jitter : float
        Difference of two evaluations at one point.
    """

    def __init__(
        self,
        losses: Callable[[list[NDArray[Any]]], Any],
        parameters: Sequence[Parameter],
        loss: Loss,
        jitter: float,
    ) -> None:
        self.losses, self.parameters, self.loss, self.jitter = losses, parameters, loss, jitter
        size = sum(p.size * p.dtype.itemsize for p in parameters)
        self.points = max(1, min(POINTS, MEMORY // size))
        self._agrees: bool | None = None  # not yet known

    def __call__(self, parameter: Parameter, theta: Array, moved: Array, first: int = 0) -> Array:
        """As in `loss.Many`."""
        if self._agrees is None:
            self._agrees = self._compare()
        found, end = np.full(moved.size, np.nan), 0
        while end < moved.size:
            start, end = end, end + self.points  # of which there may be fewer the next time
            part = slice(start, end)
            if self._agrees:
                found[part] = self._batch(parameter, first + start, moved[part])
            if not np.all(np.isfinite(found[part])):
                # outside its domain one point must not spoil the others
                found[part] = one_by_one(
                    self.loss, parameter, theta[part], moved[part], first + start
                )
            self.loss.look()
        return found

    def _batch(self, parameter: Parameter, first: int, moved: Array) -> Array:
        """The loss with one entry after another at `moved`; NaN where the batch left the domain."""
        rows = np.arange(moved.size)
        batch = [np.broadcast_to(_now(p), (moved.size, *p.shape)) for p in self.parameters]
        own = np.empty((moved.size, *parameter.shape), dtype=parameter.dtype)
        own[...] = _now(parameter)
        own.reshape(moved.size, -1)[rows, first + rows] = moved
        batch[_place(self.parameters, parameter)] = own
        try:
            return self._values(batch, moved.size)
        except (ArithmeticError, ValueError) as error:
            if not left_domain(error):
                raise
        except MemoryError:
            self.points = max(1, moved.size // 4)
        return np.full(moved.size, np.nan)

    def _values(self, batch: list[NDArray[Any]], count: int) -> Array:
        """What ``losses(batch)`` gives, as so many numbers.

        Raises
        ------
        SubjectError
            If it is anything else.
        """
        self.loss.evaluations += count
        given = self.losses(batch)
        try:
            values = np.asarray(given)
        except Exception:  # an object may refuse in any way it likes: told below
            values = np.array(None)
        if values.dtype.kind not in "fiu" or values.size != count:
            what = f"shape {values.shape}, dtype {values.dtype}"
            if not isinstance(given, np.ndarray):
                what = f"type {type(given).__name__} ({what})"
            raise SubjectError(
                f"losses(batch) gave something of {what} for a batch of {count} points: it must"
                f" give one loss for each of them.{_ADVICE}"
            )
        return np.array(values, dtype=np.float64).reshape(-1)

    def _compare(self) -> bool:
        """Whether a batch of three points has the losses of those points one by one.

        False where nothing can be compared, because the loss is not finite beside the point.

        Raises
        ------
        SubjectError
            If it has not, or fails.
        """
        origin = [p.read() for p in self.parameters]
        aside = [self._aside(origin, t) for t in ASIDE]
        batch = [
            np.stack([values.reshape(p.shape) for values in points]).astype(p.dtype)
            for p, *points in zip(self.parameters, origin, *aside, strict=True)
        ]
        try:
            together = self._values(batch, 1 + len(ASIDE))
        except SubjectError:
            raise
        except _MISTAKES as error:
            if left_domain(error):
                return False
            raise SubjectError(
                f"losses(batch) raised {type(error).__name__}: {error}. It is called with the"
                " structure of params, each array with a leading axis for the points, read-only"
                f" where that parameter does not move.{_ADVICE}"
            ) from error
        alone = np.array([self.loss(), *(self._loss_at(values, origin) for values in aside)])
        if not (np.all(np.isfinite(alone)) and np.all(np.isfinite(together))):
            return False
        self._require_same(together, alone)
        return True

    def _aside(self, origin: Sequence[Array], t: float) -> list[Array]:
        rng = np.random.default_rng(0)
        moved = []
        for p, theta in zip(self.parameters, origin, strict=True):
            size = np.where(theta == 0, np.max(np.abs(theta), initial=0.0) or 1.0, np.abs(theta))
            moved.append(p.round(theta + t * STEP * size * rng.uniform(0.5, 1.0, theta.size)))
        return moved

    def _loss_at(self, values: Sequence[Array], origin: Sequence[Array]) -> float:
        try:
            for p, value in zip(self.parameters, values, strict=True):
                p.write(value)
            return self.loss()
        finally:
            for p, theta in zip(self.parameters, origin, strict=True):
                p.write(theta)

    def _require_same(self, together: Array, alone: Array) -> None:
        rounding = max(p.eps for p in self.parameters)
        apart = NARROW * rounding if rounding > 1e-10 else APART
        off = np.abs(together - alone) > apart * np.max(np.abs(alone)) + 10 * self.jitter
        if not off.any():
            return
        k = int(np.argmax(off))
        beside = "beside it" if k else "the point itself"
        guess = ""
        if not off[0]:
            guess = " At the point itself they agree: does it read the object's own parameters?"
        raise SubjectError(
            f"losses(batch) and loss() disagree at {beside}: {float(together[k])!r} against"
            f" {float(alone[k])!r}, so the differences of one would be compared with the gradient"
            f" of the other.{guess} Entry k of its result must be the loss at batch[...][k], in"
            f" the same precision.{_ADVICE}"
        )


_ADVICE = (
    " Correct it, or leave it out to have each point evaluated by loss(); if losses is another"
    ' thing altogether, say so with hooks={"losses": "none"}.'
)


def _now(parameter: Parameter) -> NDArray[Any]:
    """The values of now, without a copy where that can be."""
    return np.asarray(parameter.save()) if isinstance(parameter, Scalar) else parameter.array


def _place(parameters: Sequence[Parameter], parameter: Parameter) -> int:
    return next(i for i, p in enumerate(parameters) if p is parameter)

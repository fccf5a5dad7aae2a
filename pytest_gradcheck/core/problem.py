"""What a check works on: named blocks, a loss, a claimed gradient; and how all is put back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SubjectError
from .parameters import Array, Parameter
from .result import Entry, Finding
from .state import State


@dataclass
class Problem:
    """A subject as the core sees it.

    Parameters
    ----------
    parameters : sequence of Parameter
        The blocks to move, none sharing memory with another.
    loss : callable
        ``loss()`` is the loss at the current content of the parameters.
    grads : callable
        ``grads()`` is the claimed gradient there: for each parameter an array of its size, in
        the precision in which it was computed.  It is called right after ``loss()``, once.
    roots : sequence of (str, object)
        Objects whose state (running means, counters, generators) is as before after the check.
    in_float64 : callable or None
        ``in_float64(state)`` is the same problem on float64 copies of its narrower parameters, or
        None where they cannot be put in place; ``state.restore()`` undoes it.
    put_back : callable or None
        Called at the end, when the parameters are copies that were written back.
    losses : callable or None
        ``losses(batch)`` is the loss at m points in one call: `batch` holds for each parameter an
        array with a leading axis of length m, and m losses come back.
    rebuild : callable or None
        ``rebuild()`` is the same problem once more, in a process that got this function by
        pickling: what an executor's workers need.
    notes : list of Finding
        What the adapter noticed.
    title : str
        How reports call the subject.
    """

    parameters: Sequence[Parameter]
    loss: Callable[[], Any]
    grads: Callable[[], Sequence[NDArray[Any]]]
    roots: Sequence[tuple[str, Any]] = ()
    in_float64: Callable[[State], Problem | None] | None = None
    put_back: Callable[[], None] | None = None
    losses: Callable[[list[NDArray[Any]]], Any] | None = None
    rebuild: Callable[[], Problem] | None = None
    notes: list[Finding] = field(default_factory=list)
    title: str = "loss"

    def explain(self, worst: Sequence[Entry]) -> list[Finding]:
        """What the subject itself can say of its worst entries; called where a check ends badly."""
        return []

    @contextmanager
    def preserved(self) -> Iterator[tuple[State, Saved]]:
        """Everything as before at the end, whatever happens inside."""
        saved = Saved(self.parameters)
        state = State(self.roots, [p.array for p in self.parameters])
        try:
            yield state, saved
        finally:
            try:
                if self.put_back is not None:
                    self.put_back()
            finally:  # after it, so that the object holds its very own arrays again
                state.restore()
                saved.restore()


class Saved:
    """The bytes of all parameters at one moment."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = parameters
        self._arrays = [p.array for p in parameters]
        self._values = [p.save() for p in parameters]

    def restore(self) -> None:
        pairs = zip(self.parameters, self._arrays, self._values, strict=True)
        for parameter, array, values in pairs:
            if parameter.array is not array:
                parameter.attach(array)
            parameter.restore(values)

    def origin(self, parameter: Parameter) -> Array:
        """The values of one of the parameters, flat: without a copy where that can be."""
        for own, values in zip(self.parameters, self._values, strict=True):
            if own is parameter and isinstance(values, np.ndarray):
                return values.reshape(-1)
        return parameter.read()

    def require_unchanged(self, culprit: str) -> None:
        """Raise if a call that should only read has written.

        Raises
        ------
        SubjectError
            Naming the parameters and how far they moved.
        """
        changed = [
            f"{p.name} (by up to {_distance(p, values):.3g})"
            for p, values in zip(self.parameters, self._values, strict=True)
            if not p.is_as(values)
        ]
        if changed:
            raise SubjectError(
                f"{culprit} changes the parameters: {', '.join(changed)}. A difference quotient"
                " needs the loss at points of its own choosing, so loss and grads may only read;"
                " move the update (or clipping, or normalising) out of them."
            )


def _distance(parameter: Parameter, values: Any) -> float:
    before = np.asarray(values, dtype=np.float64).reshape(-1)
    return float(np.max(np.abs(parameter.read() - before), initial=0.0))

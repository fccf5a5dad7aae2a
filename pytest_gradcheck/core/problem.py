"""What a check works on: named blocks, a loss, a claimed gradient; and how all is put back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SubjectError
from .gradients import flat, one_for_each
from .parameters import Array, Parameter
from .put_back import Layout
from .result import Entry, Finding
from .state import State
from .structure import flatten


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
    structure : object
        What the parameters were taken from: its mappings and lists are as before, too.
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
    structure: Any = None
    in_float64: Callable[[State], Problem | None] | None = None
    put_back: Callable[[], None] | None = None
    losses: Callable[[list[NDArray[Any]]], Any] | None = None
    rebuild: Callable[[], Problem] | None = None
    notes: list[Finding] = field(default_factory=list)
    title: str = "loss"

    def __post_init__(self) -> None:
        _require_parameters(self.parameters)
        for name in ("loss", "grads"):
            value = getattr(self, name)
            if not callable(value):
                raise SubjectError(
                    f"{name} of the problem is of type {type(value).__name__}: it must be a"
                    " function without arguments, called again where the parameters stand by then"
                )

    def gradients(self) -> list[NDArray[Any]]:
        """What ``grads()`` hands out, looked at.

        Raises
        ------
        SubjectError
            If it is not one array of real numbers for each parameter.
        """
        return one_for_each(self.grads(), self.parameters)

    def claimed(self) -> list[Array]:
        """The same where the parameters stand by now: flat copies in float64."""
        self.loss()  # gradients may live on what the loss leaves behind
        return flat(self.gradients())

    def moved(self) -> list[str]:
        """Names of what is no longer as it was, beyond what `roots` show."""
        return []

    def explain(self, worst: Sequence[Entry]) -> list[Finding]:
        """What the subject itself can say of its worst entries; called where a check ends badly."""
        return []

    def preserved(self) -> Preserved:
        """Everything as before at the end, whatever happens inside."""
        return Preserved(self)


def require_problem(adapted: Any) -> Problem:
    """What an adapter returned, if it is what a check works on.

    Raises
    ------
    SubjectError
        If it is something else.
    """
    if not isinstance(adapted, Problem):
        raise SubjectError(
            f"an adapter returned a {type(adapted).__name__}: it must return a Problem, or None"
            " where the subject is none of its kind"
        )
    return adapted


def _require_parameters(parameters: Any) -> None:
    """Refuse what an adapter of somebody's own may take for parameters."""
    if not isinstance(parameters, Sequence) or not parameters:
        what = "empty" if isinstance(parameters, Sequence) else f"a {type(parameters).__name__}"
        raise SubjectError(
            f"parameters of the problem is {what}, so there is nothing to move: it must be a list"
            " with a Parameter(name, array) for each block"
        )
    for parameter in parameters:
        if not isinstance(parameter, Parameter):
            raise SubjectError(
                f"parameters of the problem holds a {type(parameter).__name__}: wrap each array,"
                " Parameter(name, array), so that reports can name it"
            )
        if type(parameter) is Parameter and not parameter.array.flags.writeable:
            raise SubjectError(
                f"parameter {parameter.name} is read-only, so it cannot be moved in place: hand out"
                " the array that the loss reads, or a copy that loss() takes over and put_back"
                " writes back"
            )
    if not any(parameter.size for parameter in parameters):
        names = ", ".join(parameter.name for parameter in parameters)
        raise SubjectError(
            f"{names}: no parameter has an entry, so nothing can be checked; are they filled only"
            " later (by a first forward pass, by fit)?"
        )


class Preserved:
    """A context at whose end everything is as before.

    A signal can interrupt the way out as well.  Entered twice, ``with kept, kept as ...``, the
    second way out does what the first had not finished.

    Parameters
    ----------
    problem : Problem
    """

    def __init__(self, problem: Problem) -> None:
        self._put_back = problem.put_back
        self._structure, self._before = problem.structure, _places(problem.structure)
        self._exact = self.saved = Saved(problem.parameters)
        self.state = State(
            problem.roots, [p.given for p in problem.parameters], kept=problem.structure
        )
        self._done = False

    def __enter__(self) -> tuple[State, Saved]:
        wide = [p for p in self._exact.parameters if p.wide]
        if wide and self.saved is self._exact:
            try:
                for parameter in wide:
                    parameter.write(parameter.read())  # steps begin and end at float64 numbers
                self.saved = Saved(self._exact.parameters)
            except BaseException:
                self._exact.restore()
                raise
        return self.state, self.saved

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._done:
            return
        disturbed = []
        if isinstance(error, Exception) and not isinstance(error, SubjectError):
            disturbed = self.saved.disturbed() + self._misplaced()
        try:
            if self._put_back is not None:
                self._put_back()
        finally:  # after it, so that the object holds its very own arrays again
            try:
                self.state.restore()
            finally:
                self._exact.restore()
        self._done = True
        if disturbed:
            raise SubjectError(_DISTURBED.format(", ".join(disturbed))) from error

    def _misplaced(self) -> list[str]:
        """Which parameters are not where they were taken from, or are something else there."""
        now = _places(self._structure)
        names = dict.fromkeys([*self._before, *now])
        return [
            f"{name}: {self._before.get(name, 'nothing')} -> {now.get(name, 'nothing')}"
            for name in names
            if self._before.get(name) != now.get(name)
        ]


_DISTURBED = (
    "loss or grads changes the parameters' arrays themselves, or what holds them ({}), so they can"
    " no longer be moved. Loss and grads may only read them: reshape, convert and protect copies."
)


def _places(structure: Any) -> dict[str, str]:
    """What sits where in a structure of parameters, by name: kind and shape."""
    try:
        leaves = flatten(structure)
    except Exception:  # an adapter of somebody's own may take parameters from anything
        return {}
    return {
        leaf.name: f"an array of shape {leaf.value.shape}" if leaf.is_array else "a number"
        for leaf in leaves
    }


class Saved:
    """The bytes of all parameters at one moment."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = parameters
        self._layouts = [p.layout for p in parameters]
        self._values = [p.save() for p in parameters]
        self._copies: list[tuple[Parameter, Layout]] = []
        self._origins: dict[int, Array] = {}

    def watch(self, parameters: Sequence[Parameter]) -> None:
        """Look at those as well that stand in for the parameters during the check."""
        own = {id(p) for p in self.parameters}
        self._copies = [(p, p.layout) for p in parameters if id(p) not in own]

    def restore(self) -> None:
        """Put every parameter back; one that cannot be does not keep the rest from it."""
        failed: list[Exception] = []
        pairs = zip(self.parameters, self._layouts, self._values, strict=True)
        for parameter, layout, values in pairs:
            try:
                parameter.lay_out(layout)
                parameter.restore(values)
            except Exception as error:
                failed.append(error)
        if failed:
            raise failed[0]

    def disturbed(self) -> list[str]:
        """How shapes, dtypes and the like are no longer as they were."""
        found = []
        own = zip(self.parameters, self._layouts, strict=True)
        for parameter, before in [*own, *self._copies]:
            pairs = zip(before._asdict().items(), parameter.layout, strict=True)
            found += [f"{parameter.name}: {k} {a} -> {b}" for (k, a), b in pairs if a != b]
        return found

    def origin(self, parameter: Parameter) -> Array:
        """The values of one of the parameters, flat: without a copy where that can be.

        Of numbers and tensors that is asked for at the point first, before they are moved.
        """
        for own, values in zip(self.parameters, self._values, strict=True):
            if own is parameter:
                if isinstance(values, np.ndarray):
                    return values.reshape(-1)
                if id(own) not in self._origins:
                    self._origins[id(own)] = parameter.read()
                return self._origins[id(own)]
        return parameter.read()

    def require_unchanged(self, culprit: str) -> None:
        """Raise if a call that should only read has written.

        Raises
        ------
        SubjectError
            Naming the parameters and how far they moved.
        """
        changed = [
            f"{p.name} ({_change(p, values)})"
            for p, values in zip(self.parameters, self._values, strict=True)
            if not p.is_as(values)
        ]
        if changed:
            raise SubjectError(
                f"{culprit} changes the parameters: {', '.join(changed)}. A difference quotient"
                " needs the loss at points of its own choosing, so loss and grads may only read;"
                " move the update (or clipping, or normalising) out of them."
            )


def _change(parameter: Parameter, values: Any) -> str:
    """In what a parameter is no longer as it was."""
    shape = parameter.array.shape
    if shape != parameter.shape:
        return f"in shape, from {parameter.shape} to {shape}"
    before = np.asarray(values, dtype=np.float64).reshape(-1)
    distance = float(np.max(np.abs(parameter.read() - before), initial=0.0))
    return f"by up to {distance:.3g}" if distance else "in the sign of a zero: -0.0"

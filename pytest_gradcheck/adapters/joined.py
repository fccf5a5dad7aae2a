"""Several claims about a function in one check: a gradient, forward mode, a second derivative.

Each claim is a problem on parameters of its own, and the loss is the sum of theirs.  Moving a
parameter moves its own term alone, so that every entry is measured, judged and named as if it
were checked by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.loss import scalar
from ..core.parameters import Parameter
from ..core.problem import Problem
from ..core.result import Entry, Finding
from ..core.state import State


@dataclass(frozen=True)
class Part:
    """One scalar function of the parameters with its claimed gradient.

    Attributes
    ----------
    name : str
        What its blocks are called, with ``{}`` for the name of the parameter.
    loss, grads : callable
        As in `Problem`, where the parameters stand.
    """

    name: str
    loss: Callable[[], Any]
    grads: Callable[[], Sequence[NDArray[Any]]]


def on_copies(own: Sequence[Parameter], part: Part) -> Problem:
    """A further function of the same parameters as a problem on copies of them."""
    copies = [Parameter(part.name.format(p.name), np.array(p.array)) for p in own]

    def loss() -> Any:
        with _standing_at(own, copies):
            return part.loss()

    def grads() -> Sequence[NDArray[Any]]:
        with _standing_at(own, copies):
            part.loss()
            return part.grads()

    return Problem(copies, loss=loss, grads=grads)


@contextmanager
def _standing_at(own: Sequence[Parameter], copies: Sequence[Parameter]) -> Iterator[None]:
    """The parameters themselves at the values of copies, for a moment."""
    saved = [p.save() for p in own]
    try:
        for p, copy in zip(own, copies, strict=True):
            p.write(copy.read())
        yield
    finally:
        for p, values in zip(own, saved, strict=True):
            p.restore(values)


@dataclass
class JoinedProblem(Problem):
    """A sum of problems, each of which may explain errors of its own parameters."""

    parts: Sequence[Problem] = ()

    def moved(self) -> list[str]:
        return [name for part in self.parts for name in part.moved()]

    def explain(self, worst: Sequence[Entry]) -> list[Finding]:
        return [finding for part in self.parts for finding in part.explain(worst)]


def joined(problems: Sequence[Problem]) -> Problem:
    """One problem that is checked if and only if each of `problems` is; a single one is itself.

    Parameters
    ----------
    problems : sequence of Problem
        No two with a parameter over the same memory.
    """
    first = problems[0]
    if len(problems) == 1:  # nothing in between: a check calls its loss for every entry twice
        return first
    written = [problem.put_back for problem in problems if problem.put_back is not None]
    return JoinedProblem(
        parameters=[parameter for problem in problems for parameter in problem.parameters],
        loss=lambda: sum(scalar(problem.loss()) for problem in problems),
        grads=lambda: [gradient for problem in problems for gradient in problem.grads()],
        roots=[root for problem in problems for root in problem.roots],
        in_float64=partial(_in_float64, problems),
        put_back=partial(_put_back, written) if written else None,
        notes=[note for problem in problems for note in problem.notes],
        title=first.title,
        parts=problems,
    )


def _in_float64(problems: Sequence[Problem], state: State) -> Problem | None:
    wide = [_wide(problem, state) for problem in problems]
    return None if any(w is None for w in wide) else joined([w for w in wide if w is not None])


def _wide(problem: Problem, state: State) -> Problem | None:
    if not any(parameter.narrow for parameter in problem.parameters):
        return problem
    return None if problem.in_float64 is None else problem.in_float64(state)


def _put_back(all_of_them: Sequence[Callable[[], None]]) -> None:
    for put_back in all_of_them:
        put_back()

"""Several problems as one: further claims about a function, each on parameters of its own.

The loss is the sum of their losses.  As no parameter belongs to two of them, the gradient of each
is the gradient of the sum, and one check judges all claims.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...core.problem import Problem
from ...core.result import Entry, Finding
from ...core.state import State


@dataclass
class JoinedProblem(Problem):
    """A sum of problems, each of which may explain errors of its own parameters."""

    parts: Sequence[Problem] = ()

    def explain(self, worst: Sequence[Entry]) -> list[Finding]:
        able = [part for part in self.parts if hasattr(part, "explain")]
        return [finding for part in able for finding in part.explain(worst)]


def joined(problems: Sequence[Problem]) -> Problem:
    """One problem that is checked if and only if each of `problems` is.

    Parameters
    ----------
    problems : sequence of Problem
        No two with a parameter over the same memory.
    """
    first = problems[0]

    def loss() -> Any:
        return sum(float(problem.loss()) for problem in problems)

    def grads() -> list[Any]:
        return [gradient for problem in problems for gradient in problem.grads()]

    def in_float64(state: State) -> Problem | None:
        wide = [_wide(problem, state) for problem in problems]
        return None if any(w is None for w in wide) else joined([w for w in wide if w is not None])

    def put_back() -> None:
        for problem in problems:
            if problem.put_back is not None:
                problem.put_back()

    return JoinedProblem(
        parameters=[parameter for problem in problems for parameter in problem.parameters],
        loss=loss,
        grads=grads,
        roots=[root for problem in problems for root in problem.roots],
        in_float64=in_float64,
        put_back=put_back,
        notes=[note for problem in problems for note in problem.notes],
        title=first.title,
        parts=problems,
    )


def _wide(problem: Problem, state: State) -> Problem | None:
    if not any(parameter.narrow for parameter in problem.parameters):
        return problem
    return None if problem.in_float64 is None else problem.in_float64(state)

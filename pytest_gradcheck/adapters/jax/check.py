"""One check of JAX code: in float64, if that is the same but for rounding."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.problem import Problem
from ...core.result import Entry, Finding
from ...errors import SubjectError
from ...settings import Settings
from ..blocks import after
from ..outputs import wrong_output
from ..parts import Part, Together
from .call import Call, JaxSubject
from .moved import Moved, own_dtype, widened
from .place import Place
from .trees import jnp
from .weighed import Weighed

NEGLIGIBLE = 1e-2
"""A block whose gradient is this small beside the whole may be all rounding in low precision."""
PAYS = 1000
"""Entries from which on many points in one call save more time than it takes to compile that."""


class JaxProblem(Problem):
    """A problem that can also say which output an error comes from."""

    check: JaxCheck | None = None

    def explain(self, worst: Sequence[Entry]) -> list[Finding]:
        """Where among several outputs the error of the worst entry comes from."""
        return [] if self.check is None or not worst else self.check.explain(worst[0])


class JaxCheck:
    """A call, and where it is evaluated: in its own precision, and in float64."""

    def __init__(self, asked: JaxSubject, args: tuple[Any, ...], settings: Settings) -> None:
        self._asked, self._before_each = asked, settings.before_each
        self._call = Call(asked, args)
        arguments = self._call.arguments
        self._names, leaves, fixed = arguments.names, arguments.moved, arguments.fixed
        if not leaves:
            raise SubjectError(
                f"{self._call.title} is given no floating-point array to differentiate by"
                + ("" if asked.wrt is None else f" that is named like {asked.wrt!r}")
                + "; whole numbers, booleans and PRNG keys are left alone"
            )
        own = Moved(self._names, leaves, wide=False)
        first = Weighed(self._call.returned, own.arrays(), fixed)
        if not first.places:
            raise SubjectError(f"{self._call.title} returns no floating-point number")
        functions = [("{}", first, fixed)]
        if asked.order == 2:
            fixed = [*fixed, *first.cotangents.weights]
            gradient = first.gradient(self._names)
            second = Weighed(gradient, own.arrays(), fixed, name="gradient")
            functions.append(("second:{}", second, fixed))
        self._labels = [label for label, _, _ in functions]
        self._own = [Place(w, own, constant, wide=False) for _, w, constant in functions]
        self._used, self._wide = self._own, list[Place]()
        if asked.float64 and any(own_dtype(a) != widened(own_dtype(a)) for a in leaves):
            wide = Moved(self._names, leaves, wide=True)
            self._wide = [Place(w, wide, constant, wide=True) for _, w, constant in functions]

    def problem(self) -> Problem:
        """The problem in float64 throughout, if this is the same function but for rounding.

        The gradient in the code's own precision is then right but for rounding, too, and the
        rule by which it is computed is verified to many more digits than it has itself.  Where
        the two differ, it is the one in the code's own precision that is checked.
        """
        if not self._wide:
            return self._problem(self._own, self._own)
        try:
            same, notes = self._compared()
        except Exception:  # a function may refuse the other precision in any way it likes
            return self._problem(self._own, self._own)
        if not same:
            problem = self._problem(self._own, self._own)
            problem.in_float64 = lambda _: self._problem(self._wide, self._own)
            return problem
        self._used = self._wide
        problem = self._problem(self._wide, self._wide)
        problem.notes = notes
        return problem

    def _compared(self) -> tuple[bool, list[Finding]]:
        """Whether the gradient is the same in float64, but for rounding; what was noticed.

        Where the outputs differ, the gradients may: float64 stands for itself then.
        """
        own, wide = self._own[0], self._wide[0]
        tolerance = max(float(jnp.finfo(own_dtype(a)).eps) for a in self._call.arguments.moved)
        tolerance = math.sqrt(tolerance)
        narrow_claim, claim = self._before(self._claim(own))(), self._before(self._claim(wide))()
        narrow_value = self._before(own.value)()
        value, size = self._before(wide.value_and_size)()
        if abs(narrow_value - value) > tolerance * size:
            return True, [_draws(narrow_value, value)]
        norms = [float(np.linalg.norm(g)) for g in claim]
        floor = NEGLIGIBLE * float(np.linalg.norm(norms))
        return all(
            float(np.linalg.norm(h.astype(np.float64) - g)) <= tolerance * (norm + floor)
            for h, g, norm in zip(narrow_claim, claim, norms, strict=True)
        ), []

    def _claim(self, place: Place) -> Callable[[], Any]:
        """The first derivatives, given by hand or by JAX."""
        by_hand = self._call.by_hand is not None
        return partial(place.by_hand, self._call) if by_hand else place.reverse

    def _problem(self, places: Sequence[Place], claimed: Sequence[Place]) -> JaxProblem:
        """Values from `places`, claims from `claimed`."""
        claims = [self._claim(claimed[0]), *(place.reverse for place in claimed[1:])]
        parts = [
            self._part(label, place.value, claim)
            for label, place, claim in zip(self._labels, places, claims, strict=True)
        ]
        if self._asked.forward_ad:
            parts.append(self._part("forward:{}", places[0].value, claimed[0].forward))
        together = Together(places[0].moved.parameters, parts)
        subject = self._asked.subject
        problem = JaxProblem(
            together.parameters,
            loss=together.loss,
            grads=together.grads,
            roots=[("loss", subject)] if inspect.isfunction(subject) else [],
            title=self._call.title,
        )
        problem.check = self
        pays = places[0].size >= PAYS and places[0].weighed.value_and_size.is_compiled
        if pays and len(parts) == 1 and self._before_each is None:
            problem.losses = places[0].many
        return problem

    def _part(self, label: str, loss: Callable[[], Any], grads: Callable[[], Any]) -> Part:
        return Part(label, self._before(loss), self._before(grads))

    def _before(self, function: Callable[[], Any]) -> Callable[[], Any]:
        return after(function, self._before_each)

    def explain(self, entry: Entry) -> list[Finding]:
        """Which output the error of one entry comes from."""
        for label, place in zip(self._labels, self._used, strict=True):
            names = [label.format(p.name) for p in place.moved.parameters]
            is_by_hand = label == "{}" and self._call.by_hand is not None
            if entry.parameter in names and not is_by_hand:
                found = _wrong_output(place, names.index(entry.parameter), entry.index)
                return [] if found is None else [replace(found, where=(entry.parameter,))]
        return []


def _wrong_output(place: Place, k: int, where: tuple[int, ...]) -> Finding | None:
    parameter = place.moved.parameters[k]
    index = int(np.ravel_multi_index(where, parameter.shape)) if where else 0

    def claimed(weights: Sequence[NDArray[Any]]) -> float:
        return float(place.reverse(weights)[k][index])

    return wrong_output(place.weighed.cotangents, parameter, index, place.outputs, claimed)


def _draws(own: float, wide: float) -> Finding:
    return Finding(
        "precision",
        (),
        f"the outputs in the code's own precision and in float64 differ ({own:.6g} and"
        f" {wide:.6g}), as random draws do in JAX (is dropout on?): the gradient that was checked"
        " is the one that the same code computes in float64",
        {"own": own, "float64": wide},
    )

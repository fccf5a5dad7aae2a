"""A framework's function in two precisions: its own, and float64 if that is the same function.

Differences are taken in float64 wherever they can be.  The gradient in the code's own precision
is then right but for rounding, too, and the rule by which it is computed is verified to many
more digits than it has itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..core.ladder import SIGMAS
from ..core.problem import Problem
from ..core.result import Entry, Finding
from ..core.wavering import apart, wavering
from ..settings import Settings
from .blocks import after
from .joined import Part, joined, on_copies
from .moved import Moved
from .outputs import Cotangents, wrong_output

NEGLIGIBLE = 1e-2
"""A block whose gradient is this small beside the whole may be all rounding in low precision."""

Arrays = list[NDArray[Any]]
Weights = Sequence[NDArray[Any]]


class Place(Protocol):
    """A function in one precision, where some blocks stand."""

    moved: Moved

    @property
    def cotangents(self) -> Cotangents:
        """The weights of the outputs."""

    def value_and_size(self) -> tuple[float, float]:
        """The weighted sum of the outputs, and that of their magnitudes."""

    def outputs(self) -> Arrays:
        """The outputs themselves."""

    def reverse(self, weights: Weights | None = None) -> Arrays:
        """The gradient as reverse mode has it: of the outputs under these weights."""

    def forward(self) -> Arrays:
        """The same in forward mode."""


class TracedFunction(Protocol):
    """A function of a list of arrays, as `TracedPlace` knows it.

    Gradients by complex arrays are ``dL/dx - i dL/dy``.
    """

    cotangents: Cotangents

    def outputs(self, arrays: Arrays) -> Arrays:
        """The outputs that have a weight."""

    def reverse(self, arrays: Arrays, weights: Weights) -> Arrays:
        """The gradient of the weighted sum of the outputs."""

    def slope(self, arrays: Arrays, weights: Weights, direction: Arrays) -> float:
        """The derivative of the weighted sum along a direction, by forward mode."""


class TracedPlace:
    """A place made of a function that traces one call at a time.

    Parameters
    ----------
    function : TracedFunction
    moved : Moved
    """

    def __init__(self, function: TracedFunction, moved: Moved) -> None:
        self._function, self.moved = function, moved

    @property
    def cotangents(self) -> Cotangents:
        return self._function.cotangents

    def value_and_size(self) -> tuple[float, float]:
        outputs = self.outputs()
        terms = [np.real(np.conj(w) * y) for w, y in zip(self._weights, outputs, strict=True)]
        return float(sum(t.sum() for t in terms)), float(sum(np.abs(t).sum() for t in terms))

    def outputs(self) -> Arrays:
        return self._function.outputs(self.moved.arrays())

    def reverse(self, weights: Weights | None = None) -> Arrays:
        chosen = self._weights if weights is None else weights
        return self.moved.gather(self._function.reverse(self.moved.arrays(), chosen))

    def forward(self) -> Arrays:
        arrays, found = self.moved.arrays(), []
        for parameter, (leaf, unit) in zip(
            self.moved.parameters, self.moved.directions(), strict=True
        ):
            slopes = []
            for i in range(parameter.size):
                direction = [np.zeros(a.shape, a.dtype) for a in arrays]
                direction[leaf].reshape(-1)[i] = unit
                slopes.append(self._function.slope(arrays, self._weights, direction))
            found.append(np.array(slopes, dtype=np.float64))
        return found

    @property
    def _weights(self) -> Weights:
        return self.cotangents.weights


class PlacesProblem(Problem):
    """A problem that can also say which output an error comes from."""

    places: TwoPlaces | None = None

    def explain(self, worst: Sequence[Entry]) -> list[Finding]:
        """Where among several outputs the error of the worst entry comes from."""
        return [] if self.places is None or not worst else self.places.explain(worst[0])


@dataclass
class TwoPlaces:
    """A function and, for order 2, its gradient, in their own precision and in float64.

    Parameters
    ----------
    labels : sequence of str
        What the blocks of each function are called, with ``{}`` for the name of the parameter.
    own, wide : sequence of Place
        One for each function; none in `wide` where there is nothing to widen.
    eps : float
        Spacing at 1 of the narrowest numbers that the code computes with.
    settings : Settings
    title : str
    roots : sequence of (str, object)
        See `Problem`.
    put_back : callable or None
        See `Problem`.
    by_hand : callable or None
        ``by_hand(place)``, the first derivatives where they are not the framework's own.
    losses : callable or None
        ``losses(place)``, the loss at many points where a place has that; see `Problem`.
    """

    labels: Sequence[str]
    own: Sequence[Place]
    wide: Sequence[Place]
    eps: float
    settings: Settings
    title: str
    roots: Sequence[tuple[str, Any]] = ()
    put_back: Callable[[], None] | None = None
    by_hand: Callable[[Any], Arrays] | None = None
    losses: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        self._used = self.own

    def problem(self) -> Problem:
        """The problem in float64 throughout, if this is the same function but for rounding.

        Where the gradients differ, it is the one in the code's own precision that is checked.
        """
        if not self.wide:
            return self._problem(self.own, self.own)
        try:
            same, notes = self._compared()
        except Exception:  # a function may refuse the other precision in any way it likes
            return self._problem(self.own, self.own)
        if not same:
            problem = self._problem(self.own, self.own)
            problem.in_float64 = lambda _: self._problem(self.wide, self.own)
            return problem
        self._used = self.wide
        problem = self._problem(self.wide, self.wide)
        problem.notes = notes
        return problem

    def _compared(self) -> tuple[bool, list[Finding]]:
        """Whether the gradient is the same in float64, but for rounding; what was noticed.

        Where the outputs differ, the gradients may: float64 stands for itself then.  But not for an
        output that overflows in the code's own precision, which no random draw explains.
        """
        own, wide = self.own[0], self.wide[0]
        tolerance = math.sqrt(self.eps)
        narrow_claim, claim = self._before(self._claim(own))(), self._before(self._claim(wide))()
        narrow_value, _ = self._before(own.value_and_size)()
        if not math.isfinite(narrow_value):
            return False, []
        value, size = self._before(wide.value_and_size)()
        if abs(narrow_value - value) > tolerance * size:
            return True, [_draws(narrow_value, value)]
        norms = [float(np.linalg.norm(g)) for g in claim]
        floor = NEGLIGIBLE * float(np.linalg.norm(norms))
        off_by = apart(narrow_claim, claim)
        allowed = [tolerance * (norm + floor) for norm in norms]
        if any(off > bound for off, bound in zip(off_by, allowed, strict=True)):
            # beside an optimum terms cancel, and leave little of low precision
            again = self._before(self._claim(own))
            wavers = wavering(own.moved.parameters, again, narrow_claim, self.eps)
            allowed = [max(bound, SIGMAS * off) for bound, off in zip(allowed, wavers, strict=True)]
        return all(off <= bound for off, bound in zip(off_by, allowed, strict=True)), []

    def _claim(self, place: Place) -> Callable[[], Any]:
        """The first derivatives, given by hand or by the framework."""
        return place.reverse if self.by_hand is None else partial(self.by_hand, place)

    def _problem(self, places: Sequence[Place], claimed: Sequence[Place]) -> Problem:
        """Values from `places`, claims from `claimed`."""
        claims = [self._claim(claimed[0]), *(place.reverse for place in claimed[1:])]
        first, *rest = (
            self._part(label, place, claim)
            for label, place, claim in zip(self.labels, places, claims, strict=True)
        )
        if self.settings.forward_ad:
            rest.append(self._part("forward:{}", places[0], claimed[0].forward))
        problem = PlacesProblem(
            places[0].moved.parameters,
            loss=first.loss,
            grads=first.grads,
            roots=self.roots,
            put_back=self.put_back,
            title=self.title,
        )
        problem.places = self
        if self.losses is not None and not rest and self.settings.before_each is None:
            problem.losses = self.losses(places[0])
        return joined([problem, *(on_copies(places[0].moved.parameters, part) for part in rest)])

    def _part(self, label: str, place: Place, claim: Callable[[], Any]) -> Part:
        return Part(label, self._before(lambda: place.value_and_size()[0]), self._before(claim))

    def _before(self, function: Callable[[], Any]) -> Callable[[], Any]:
        return after(function, self.settings.before_each)

    def explain(self, entry: Entry) -> list[Finding]:
        """Which output the error of one entry comes from."""
        for label, place in zip(self.labels, self._used, strict=True):
            names = [label.format(p.name) for p in place.moved.parameters]
            is_by_hand = label == "{}" and self.by_hand is not None
            if entry.parameter in names and not is_by_hand:
                found = _wrong_output(place, names.index(entry.parameter), entry.index)
                return [] if found is None else [replace(found, where=(entry.parameter,))]
        return []


def _wrong_output(place: Place, k: int, where: tuple[int, ...]) -> Finding | None:
    parameter = place.moved.parameters[k]
    index = int(np.ravel_multi_index(where, parameter.shape)) if where else 0

    def claimed(weights: Weights) -> float:
        return float(place.reverse(weights)[k][index])

    return wrong_output(place.cotangents, parameter, index, place.outputs, claimed)


def _draws(own: float, wide: float) -> Finding:
    return Finding(
        "precision",
        (),
        f"the outputs in the code's own precision and in float64 differ ({own:.6g} and"
        f" {wide:.6g}), as random draws do (is dropout on?): the gradient that was checked is the"
        " one that the same code computes in float64",
        {"own": own, "float64": wide},
    )

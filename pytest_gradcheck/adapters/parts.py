"""Several claims about the same parameters in one check: a gradient, and its own derivative.

Each claim after the first is about copies of the parameters, under names of their own, and the
loss is the sum of all.  Moving a copy moves its own term alone, so that every entry is measured,
judged and named as if it were checked by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.loss import scalar
from ..core.parameters import Parameter


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


class Together:
    """The parameters, the loss and the gradients of several parts.

    Parameters
    ----------
    own : sequence of Parameter
        What all parts are functions of.
    parts : sequence of Part
    """

    def __init__(self, own: Sequence[Parameter], parts: Sequence[Part]) -> None:
        self._own, self._parts = list(own), list(parts)
        self._copies = [
            [Parameter(part.name.format(p.name), np.array(p.array)) for p in own]
            for part in parts[1:]
        ]
        self.parameters = [*own, *(copy for copies in self._copies for copy in copies)]

    @property
    def loss(self) -> Callable[[], Any]:
        """The sum of the parts; where there is but one, its own function, nothing in between."""
        return self._sum if len(self._parts) > 1 else self._parts[0].loss

    def _sum(self) -> float:
        total = scalar(self._parts[0].loss())
        for part, copies in zip(self._parts[1:], self._copies, strict=True):
            with self._standing_at(copies):
                total += scalar(part.loss())
        return total

    def grads(self) -> list[NDArray[Any]]:
        found = list(self._parts[0].grads())
        for part, copies in zip(self._parts[1:], self._copies, strict=True):
            with self._standing_at(copies):
                part.loss()
                found += part.grads()
        return found

    @contextmanager
    def _standing_at(self, copies: Sequence[Parameter]) -> Iterator[None]:
        """The parameters themselves at the values of copies, for a moment."""
        saved = [p.save() for p in self._own]
        try:
            for p, copy in zip(self._own, copies, strict=True):
                p.write(copy.read())
            yield
        finally:
            for p, values in zip(self._own, saved, strict=True):
                p.restore(values)

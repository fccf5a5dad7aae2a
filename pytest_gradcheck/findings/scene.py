"""What the families of causes look at, and the words they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Protocol

import numpy as np

from ..core.measured import norm
from ..core.result import Finding
from .bars import Array
from .evidence import Evidence
from .sizes import Size

ZERO = 1e-13
"""A claim of this norm, relative to that of the largest one, is zero but for rounding."""


class Calls(Protocol):
    """Further calls of the gradient, made only when a cause asks for them."""

    def again(self) -> list[Array] | None:
        """Gradients of a second call at the same parameters, flat; None if there can be none."""
        ...

    def moved(self, far: float | None = None) -> list[Array] | None:
        """Gradients after all parameters were moved by so much of their size, or little.

        None if there can be none, or if the loss is linear along that move, so that even a right
        gradient would stay the same.
        """
        ...

    def followed(self, names: Sequence[str]) -> list[str]:
        """Parameters of these in which the slope of the loss changes along that move, measured."""
        ...

    def rounded(self, name: str) -> float:
        """What a last digit of one parameter changes its gradient by, as the loss bends; a norm."""
        ...

    def nearby(self, times: float = 1.0) -> list[list[Array]] | None:
        """Gradients a little, about 1e-7 or so many times as far, to one side and to the other.

        None if not to be had.
        """
        ...

    def without(self, sample: int) -> list[Array] | None:
        """Gradients with the inputs of one sample overwritten by those of another.

        None where samples cannot be told apart, or the loss stays what it is.
        """
        ...


@dataclass(frozen=True)
class Scene:
    """Evidence for all parameters; that for the wrong ones still unexplained; what was found."""

    all: Sequence[Evidence]
    open: Sequence[Evidence]
    sizes: Sequence[Size]
    calls: Calls | None
    found: Sequence[Finding] = ()


@dataclass(frozen=True)
class Shared:
    """A constant that holds in several parameters."""

    constant: float
    uncertainty: float
    residual: float
    members: tuple[Evidence, ...]


def shared(
    open_ones: Sequence[Evidence], pattern: Callable[[Evidence], Array]
) -> tuple[Shared, ...]:
    """Constants such that ``claimed - true = constant * pattern``, each with all it holds in.

    Every constant is fitted and confirmed in one parameter at least; parameters too small to
    confirm one of their own (a scalar) join where it explains them.
    """
    fits = [(e, fit) for e in open_ones if (fit := e.fit(pattern(e))) is not None]
    fits = [(e, fit) for e, fit in fits if isfinite(fit.constant) and isfinite(fit.uncertainty)]
    fits.sort(key=lambda pair: pair[1].uncertainty)
    rest = [e for e in open_ones if all(e is not other for other, _ in fits)]
    groups = []
    while fits:
        _, best = fits[0]
        near = [
            abs(f.constant - best.constant) <= 3 * (f.uncertainty + best.uncertainty)
            for _, f in fits
        ]
        same = [pair for pair, is_near in zip(fits, near, strict=True) if is_near]
        fits = [pair for pair, is_near in zip(fits, near, strict=True) if not is_near]
        joined = [e for e in rest if e.admits(e.claimed - best.constant * pattern(e))]
        rest = [e for e in rest if all(e is not other for other in joined)]
        members = {e.name for e, _ in same} | {e.name for e in joined}
        groups.append(
            Shared(
                best.constant,
                best.uncertainty,
                max(fit.residual for _, fit in same),
                tuple(e for e in open_ones if e.name in members),
            )
        )
    return tuple(groups)


def listed(members: Sequence[Evidence]) -> str:
    """``W1, b1, W2 and b2``."""
    names = [e.name for e in members]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def where(members: Sequence[Evidence]) -> tuple[str, ...]:
    return tuple(e.name for e in members)


def in_all(scene: Scene, members: Sequence[Evidence]) -> str:
    """``W1``, or ``all of W1, b1``: whether there is any other parameter with a gradient."""
    names = where(members)
    others = [e for e in with_gradient(scene.all) if e.name not in names]
    return listed(members) if others or len(members) == 1 else f"all of {listed(members)}"


def with_gradient(evidence: Sequence[Evidence]) -> list[Evidence]:
    """Those whose claimed gradient is not zero but for rounding."""
    largest = max((norm(e.claimed) for e in evidence), default=0.0)
    return [e for e in evidence if norm(e.claimed) > ZERO * largest]


def agreement(members: Sequence[Evidence], gradients: Sequence[Array]) -> float | None:
    """Relative distance of proposed gradients from the measured ones, where those are known."""
    worst = 0.0
    for e, gradient in zip(members, gradients, strict=True):
        if e.numeric is None:
            return None
        known = np.isfinite(e.numeric)
        scale = norm(gradient[known]) + norm(e.numeric[known])
        if scale > 0:
            worst = max(worst, norm((gradient - e.numeric)[known]) / scale)
    return worst


def to_digits(distance: float | None) -> str:
    """`` (relative error 3e-10 then)``, or nothing where it is not known."""
    return "" if distance is None else f" (relative error {distance:.0e} then)"

"""How claims waver when parameters move by a last digit: what low precision has lost of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .nearby import move_by_rounding
from .parameters import Parameter
from .problem import Saved

DRAWS = 4
"""How often the parameters are moved by a rounding: once may happen to change nothing."""


def wavering(
    parameters: Sequence[Parameter],
    claim: Callable[[], Sequence[NDArray[Any]]],
    claims: Sequence[NDArray[Any]],
    least: float = 0.0,
) -> list[float]:
    """By how much claims change when the parameters move by a last digit: the norm, for each.

    Parameters
    ----------
    parameters : sequence of Parameter
    claim : callable
        ``claim()`` are the claims where the parameters stand by then.
    claims : sequence of ndarray
        Those where they stand now.
    least : float
        Relative spacing of the digit, where it is coarser than that of the parameters.
    """
    return furthest(claims, beside(parameters, claim, claims, least))


def furthest(
    claims: Sequence[NDArray[Any]], others: Iterable[Sequence[NDArray[Any]]]
) -> list[float]:
    """How far the furthest of several other claims is off each, in norm."""
    found = [0.0] * len(claims)
    for other in others:
        found = list(map(max, found, apart(claims, other)))
    return found


def beside(
    parameters: Sequence[Parameter],
    claim: Callable[[], Sequence[NDArray[Any]]],
    claims: Sequence[NDArray[Any]],
    least: float,
) -> Iterator[Sequence[NDArray[Any]]]:
    """Claims where the parameters are moved by a rounding; none where they differ by themselves."""
    saved = Saved(parameters)
    try:
        draws = DRAWS if all(map(np.array_equal, claim(), claims)) else 0
        for seed in range(draws):
            move_by_rounding(parameters, seed, least)
            others = claim()
            saved.restore()
            yield others
    except Exception:  # a gradient may refuse a second call, or what lies beyond an edge
        pass
    finally:
        saved.restore()


def apart(claims: Sequence[NDArray[Any]], others: Sequence[NDArray[Any]]) -> list[float]:
    """How far other claims are off, in norm; NaN where both are infinite."""
    with np.errstate(all="ignore"):
        return [
            float(np.linalg.norm(claim.astype(np.float64) - other))
            for claim, other in zip(claims, others, strict=True)
        ]

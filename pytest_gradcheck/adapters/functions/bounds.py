"""Bounds of parameters, as SciPy writes them: no function is called outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.parameters import Parameter
from ...errors import SubjectError

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


OUTSIDE = float("nan")
"""What is handed on, this very object, instead of the value of a function outside the bounds."""


NEAR = 1e-6
"""So near to a bound an entry counts as lying at it, and its derivative is taken from the other
side: what room there is would be drowned in rounding, and differences of both sides with it."""


def nowhere(parameters: Sequence[Parameter]) -> list[NDArray[Any]]:
    """The gradient outside the bounds."""
    return [np.full(parameter.size, np.nan) for parameter in parameters]


class Bounds:
    """A box in which the parameters stay.

    Parameters
    ----------
    given : object
        A sequence of ``(low, high)``, one for each entry of all parameters in their order, None
        for no bound; or ``scipy.optimize.Bounds``, or anything with `lb` and `ub`.
    parameters : sequence of Parameter

    Raises
    ------
    SubjectError
        If they do not fit the parameters, or the point lies outside.
    """

    def __init__(self, given: Any, parameters: Sequence[Parameter]) -> None:
        size = sum(parameter.size for parameter in parameters)
        low, high = _ends(given, size)
        cuts = np.cumsum([p.size for p in parameters])[:-1]
        self._low, self._high = np.split(low, cuts), np.split(high, cuts)
        for parameter, lows, highs in zip(parameters, self._low, self._high, strict=True):
            _require_room(parameter, lows, highs)
            values = parameter.read()
            near = NEAR * np.maximum(1.0, np.abs(values))
            np.copyto(lows, values, where=(values - lows < near) & (highs - values > near))
            np.copyto(highs, values, where=(highs - values < near) & (values - lows > near))

    def hold(self, parameters: Sequence[Parameter]) -> bool:
        """Whether all entries are inside, the bounds included."""
        for parameter, low, high in zip(parameters, self._low, self._high, strict=True):
            values = parameter.read()
            if not (np.all(low <= values) and np.all(values <= high)):
                return False
        return True


def _ends(given: Any, size: int) -> Pair:
    if hasattr(given, "lb") and hasattr(given, "ub"):
        ends = [np.asarray(end, dtype=np.float64).reshape(-1) for end in (given.lb, given.ub)]
    else:
        try:
            pairs = [(low, high) for low, high in given]
        except (TypeError, ValueError):
            raise SubjectError(
                f"bounds={given!r}: must be a sequence of (low, high), one for each entry of the"
                " parameters, or scipy.optimize.Bounds"
            ) from None
        ends = [
            np.array([default if p[side] is None else p[side] for p in pairs], dtype=np.float64)
            for side, default in ((0, -np.inf), (1, np.inf))
        ]
    for end in ends:
        if end.size not in (1, size):
            raise SubjectError(f"bounds are given for {end.size} entries, there are {size}")
    return np.array(np.broadcast_to(ends[0], size)), np.array(np.broadcast_to(ends[1], size))


def _require_room(
    parameter: Parameter, low: NDArray[np.float64], high: NDArray[np.float64]
) -> None:
    values = parameter.read()
    for what, bad in (
        ("lies outside its bounds", ~((low <= values) & (values <= high))),
        ("is fixed by its bounds, so that no difference can be taken: leave it out", low == high),
    ):
        if bad.any():
            i = int(np.argmax(bad))
            index = [int(k) for k in np.unravel_index(i, parameter.shape)]
            label = parameter.name + (str(index) if index else "")
            raise SubjectError(f"{label} = {values[i]:g} {what} ({low[i]:g} to {high[i]:g})")

"""Whether moving a parameter reaches the loss at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..errors import SubjectError
from .line import Line, uphill
from .measured import Evidence
from .point import Point

REACH = (1e-3, 0.1, 1.0, 1e4)
"""How far a parameter is moved, relative to its size, before it is said not to reach the loss.

The last is for a bias in front of a normalisation, which the loss reads and does not depend on: far
enough off, its rounding shows.
"""


def require_reach(blocks: Sequence[Evidence], unmoved: Iterable[int], point: Point) -> None:
    """Refuse parameters that the loss does not read.

    Where the claim may be zero but for its rounding (a bias in front of a normalisation, in
    float32), that the loss stays the same is what is to be expected.

    Parameters
    ----------
    blocks : sequence of Evidence
        All parameters.
    unmoved : iterable of int
        Those for which a gradient is claimed, and all differences are zero.
    point : Point

    Raises
    ------
    SubjectError
        Naming those that the loss does not follow however far they are moved.
    """
    unread = []
    for block in (blocks[i] for i in unmoved if not point.may_be_zero(i)):
        theta = block.parameter.read()
        scale = float(np.max(np.abs(theta))) or 1.0
        step = uphill(block.claimed) * scale
        line = Line(point.loss, [block.parameter], [theta], [step])
        promised = REACH[0] * float(step @ block.claimed)
        if promised > 1e-12 * abs(point.base) and all(
            line(sign * part) == point.base for part in REACH for sign in (1, -1)
        ):
            unread.append(block.parameter.name)
    if unread:
        raise SubjectError(
            f"moving {', '.join(unread)} does not reach the loss: it stays {point.base!r} to the"
            f" last bit, though a gradient is claimed. {_rounded(point)}Was the array copied or"
            " rebound (params[k] = params[k].astype(...)) after the layers took hold of it? Hand"
            " out the arrays that the loss reads, or write values back by set_params(params). Is an"
            " earlier loss kept (lru_cache, cached_property)? Clear it in before_each=. If the loss"
            " does not depend on it, its gradient is zero."
        )


def _rounded(point: Point) -> str:
    whole = point.loss.whole
    return "The loss is a whole number (int): is it rounded, by int(...) or //? " if whole else ""

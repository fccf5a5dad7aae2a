"""The claim was never written, or only in part."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..core.result import Finding
from .bars import norm
from .scene import Scene, listed, where

SHOWN = 4
"""Positions along an axis that are listed."""


def nothing(scene: Scene) -> Iterator[Finding]:
    """The claim is zero throughout."""
    members = [e for e in scene.open if not e.claimed.any()]
    if members:
        known = [e.numeric for e in members if e.numeric is not None]
        measured = f"; the measured one is up to {max(map(_largest, known)):.2g}" if known else ""
        yield Finding(
            "not-written",
            where(members),
            f"the gradient of {listed(members)} is zero in every entry{measured}. Was it never"
            " written, overwritten by zeros, or cut off from the loss (a path of the backward pass"
            " left out)?",
            {"measured": [norm(values) for values in known]},
        )


def partly(scene: Scene) -> Iterator[Finding]:
    """The claim is right but for rows, columns or a rest that is zero."""
    for e in scene.open:
        if e.numeric is None:
            continue
        blank = (e.claimed == 0) & (e.numeric != 0)
        if (
            blank.all()
            or not blank.any()
            or not e.admits(np.where(e.claimed == 0, e.numeric, e.claimed))
        ):
            continue
        place = _place(blank.reshape(e.shape), (e.claimed == 0).reshape(e.shape))
        if place is not None:
            yield Finding(
                "partly-written",
                (e.name,),
                f"the gradient of {e.name} is exactly zero in {place} and right everywhere else:"
                " this part was never written. Look at the bounds of the loop or slice that"
                " fills it",
                {"entries": int(blank.sum()), "size": int(blank.size)},
            )


def _place(blank: NDArray[np.bool_], zero: NDArray[np.bool_]) -> str | None:
    """Where the unwritten entries lie, if they make up a part that one would leave out."""
    for axis, length in enumerate(blank.shape):
        across = tuple(k for k in range(blank.ndim) if k != axis)
        at = np.flatnonzero(blank.any(axis=across))
        run = at[-1] - at[0] == at.size - 1
        whole = np.asarray(zero.all(axis=across))
        if (run or 2 * at.size <= length) and whole[at].all():
            return _slices(at, axis, length, blank.ndim)
    flat = np.flatnonzero(blank)
    if zero.reshape(-1)[flat[0] :].all():
        return f"its last {blank.size - flat[0]} entries"
    if zero.reshape(-1)[: flat[-1] + 1].all():
        return f"its first {flat[-1] + 1} entries"
    return None


def _slices(at: NDArray[np.intp], axis: int, length: int, ndim: int) -> str:
    one = {(1, 0): "entry", (2, 0): "row", (2, 1): "column"}.get((ndim, axis), "slice")
    many = "entries" if one == "entry" else f"{one}s"
    along = f" of axis {axis}" if one == "slice" else ""
    if at.size == 1:
        last = ", the last" if at[0] == length - 1 else ""
        return f"{one} {at[0]}{along}{last}"
    if at[-1] - at[0] == at.size - 1:
        return f"{many} {at[0]} to {at[-1]}{along}"
    shown = ", ".join(str(i) for i in at[:SHOWN])
    return f"{many} {shown}{', ...' if at.size > SHOWN else ''}{along}"


def _largest(values: np.ndarray) -> float:
    return float(np.max(np.abs(values), initial=0.0))

"""The claim was never written, or only in part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..core.measured import norm
from ..core.result import Finding
from .bars import Array
from .evidence import Evidence
from .scene import Scene, listed, where

SHOWN = 4
"""Positions along an axis that are listed."""
CLEAR = 5.0
"""Error bars from which a measured entry is a gradient."""
DIGITS = 100.0
"""What a last digit of the parameters changes, so many times over, is rounding yet."""


def nothing(scene: Scene) -> Iterator[Finding]:
    """The claim is zero throughout."""
    members = [e for e in scene.open if not e.claimed.any() and _is_gradient(e, scene)]
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


def _is_gradient(e: Evidence, scene: Scene) -> bool:
    """Whether what was measured is a gradient: neither noise, nor nothing, nor rounding.

    Where the loss is zero but for rounding (at the parameters that the data were made with), that
    has a slope as well, as large as what a last digit of the parameters makes of the gradient.
    """
    measured = e.size(CLEAR)
    if measured is None:
        return True  # its places were found one by one
    if scene.calls is None or measured == 0:
        return measured > 0
    return measured > DIGITS * scene.calls.rounded(e.name)


def partly(scene: Scene) -> Iterator[Finding]:
    """The claim is right but for rows, columns or a rest that is zero."""
    for e in scene.open:
        blank = e.unwritten()
        if blank is None or blank.all() or not blank.any():
            continue
        place = place_of(blank.reshape(e.shape), (e.claimed == 0).reshape(e.shape))
        if place is not None:
            yield Finding(
                "partly-written",
                (e.name,),
                f"the gradient of {e.name} is exactly zero in {place}, and right everywhere else:"
                " this part was never written. Look at the bounds of the loop or slice that"
                " fills it",
                {"entries": int(blank.sum()), "size": int(blank.size)},
            )


def sample_left_out(scene: Scene) -> Iterator[Finding]:
    """The claim does not depend on the first or the last sample, of which the loss is made too."""
    if scene.calls is None or not any(e.claimed.any() for e in scene.open):
        return
    for sample, which in ((-1, "last"), (0, "first")):
        changed = scene.calls.without(sample)
        if changed is None or not _unmoved(scene, changed):
            continue
        another = scene.calls.without(1)
        if another is None or _unmoved(scene, another):
            return
        yield Finding(
            "partly-written",
            where(scene.open),
            f"the gradient of {listed(scene.open)} does not depend on the {which} sample, to the"
            " last bit, though the loss does: that sample was left out. Look at the bounds of the"
            " loop or slice over the samples",
            {"sample": which},
        )
        return


def _unmoved(scene: Scene, gradients: Sequence[Array]) -> bool:
    return all(np.array_equal(e.claimed, g) for e, g in zip(scene.all, gradients, strict=True))


def place_of(blank: NDArray[np.bool_], zero: NDArray[np.bool_]) -> str | None:
    """Where such entries lie, if they make up a part that one would leave out."""
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
    return float(np.max(np.abs(values[np.isfinite(values)]), initial=0.0))

"""The gradient depends on the calls before it, or does not depend on the parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..core.measured import norm
from ..core.result import Finding
from .bars import Array
from .evidence import Evidence
from .scene import Scene, listed, where

ROUNDING = 1e-12
"""Relative difference of two gradients that are the same but for the order of additions."""
FEW = 2
"""Different magnitudes of what may well stay the same when parameters move: signs, clipped ends."""
FAR = 0.1
"""A move after which a gradient of three digits is another one."""
ASKED = 3
"""Parameters up to which it is measured, by two evaluations each, that the gradient does move."""
SINGLE = 1e-5
"""The same for gradients in float32."""


def accumulated(scene: Scene) -> Iterator[Finding]:
    """A second call returns the first gradient and the gradient again."""
    again = scene.calls.again() if scene.calls is not None else None
    if again is None:
        return
    added = [second - e.claimed for e, second in zip(scene.all, again, strict=True)]
    pairs = [(e, a) for e, a in zip(scene.all, added, strict=True) if a.any()]
    proved = [e for e, a in pairs if e.wrong and not _same(a, e.claimed) and e.admits(a)]
    doubled = [e for e, a in pairs if _same(a, e.claimed)]
    if not pairs or len(proved) + len(doubled) < len(pairs):
        return
    cure = "Set the gradients to zero, or assign instead of +=, at the start of each call"
    if proved:
        yield Finding(
            "accumulated",
            where(proved),
            f"each call adds to the gradient of {listed(proved)}: what a second call adds is the"
            f" measured gradient, and the claim holds earlier calls as well. {cure}",
            {},
        )
    else:
        yield Finding(
            "accumulated",
            where(doubled),
            f"a second call returns twice the gradient of {listed(doubled)}: each call adds to the"
            f" last. {cure}",
            {"explains": False},
        )


def stale(scene: Scene) -> Iterator[Finding]:
    """The gradient stays the same, to the last bit, when the parameters are moved."""
    asked = scene.calls is not None and any(e.claimed.any() for e in scene.open)
    moved = scene.calls.moved() if asked and scene.calls is not None else None
    if moved is None:
        return
    live = [e for e in scene.all if e.claimed.any()]
    members = _unmoved(scene, live, moved)
    if members and scene.calls is not None:  # few digits are the same after a small move
        members = _unmoved(scene, members, scene.calls.moved(FAR))
    if len(members) < len(live):
        members = _of_some(scene, members)
    values = np.concatenate([np.abs(e.claimed) for e in members] or [np.zeros(0)])
    if np.unique(values).size > FEW:
        yield Finding(
            "stale",
            where(members),
            f"the gradient of {listed(members)} does not follow the parameters: after they are"
            " moved it is the same to the last bit. Was it computed once, at other values, and"
            " kept, or does its formula leave out what depends on them? Compute it in each call,"
            " from what the forward pass of that call left",
            {},
        )


def _unmoved(
    scene: Scene, members: Sequence[Evidence], moved: Sequence[Array] | None
) -> list[Evidence]:
    """Those whose gradient is the same elsewhere, as far as it could be computed there."""
    if moved is None:
        return list(members)
    same = {
        e.name
        for e, there in zip(scene.all, moved, strict=True)
        if np.array_equal(e.claimed, there)
    }
    return [e for e in members if e.name in same]


def _of_some(scene: Scene, constant: Sequence[Evidence]) -> list[Evidence]:
    """Those, where other gradients do follow, that nothing else explains and that ought to."""
    unexplained = {e.name for e in scene.open}
    members = [e for e in constant if e.wrong and e.name in unexplained]
    asked = [e.name for e in members[:ASKED]]
    followed = scene.calls.followed(asked) if asked and scene.calls is not None else []
    return [e for e in members if e.name in followed or e.name not in asked]


def _same(a: Array, b: Array) -> bool:
    single = np.array_equal(b.astype(np.float32).astype(np.float64), b)
    return norm(a - b) <= (SINGLE if single else ROUNDING) * norm(b)

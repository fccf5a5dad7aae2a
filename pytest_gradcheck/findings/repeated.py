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
RIVALS = ("sign", "factor", "mean-for-sum", "l2-extra", "l1-extra", "l1-missing")
"""Causes that are refuted, but for this point, where the claim stays and the truth does not; a
penalty that is missing may be all that the truth moves by."""
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
    doubted = _doubted(scene)
    asked = scene.calls is not None and any(e.claimed.any() for e in doubted)
    moved = scene.calls.moved() if asked and scene.calls is not None else None
    if moved is None:
        return
    live = [e for e in scene.all if e.claimed.any()]
    members = _unmoved(scene, live, moved)
    if members and scene.calls is not None:  # few digits are the same after a small move
        members = _unmoved(scene, members, scene.calls.moved(FAR))
    explained = [e for e in members if e.wrong and all(e is not o for o in scene.open)]
    if len(members) < len(live) or explained:
        members = _of_some(scene, members, doubted)
    values = np.concatenate([np.abs(e.claimed) for e in members] or [np.zeros(0)])
    if np.unique(values).size > FEW:
        told = {e.name for e in members} & {e.name for e in explained}
        here = " What else is said of it holds at this point alone." if told else ""
        yield Finding(
            "stale",
            where(members),
            f"the gradient of {listed(members)} does not follow the parameters: after they are"
            " moved it is the same to the last bit. Was it computed once, at other values, and"
            " kept, or does its formula leave out what depends on them? Compute it in each call,"
            f" from what the forward pass of that call left.{here}",
            {},
        )


def _doubted(scene: Scene) -> list[Evidence]:
    """Wrong parameters that nothing explains, or nothing that holds of a gradient that stays."""
    rivals = {name for f in scene.found if f.name in RIVALS for name in f.where}
    others = {name for f in scene.found if f.name not in RIVALS for name in f.where}
    unexplained = {e.name for e in scene.open}
    return [e for e in scene.all if e.name in unexplained or e.name in rivals - others]


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


def _of_some(
    scene: Scene, constant: Sequence[Evidence], doubted: Sequence[Evidence]
) -> list[Evidence]:
    """Those that ought to follow: where others do, or another cause fits at this point."""
    members = [e for e in constant if e.wrong and any(e is other for other in doubted)]
    asked = [e.name for e in members[:ASKED]]
    followed = scene.calls.followed(asked) if asked and scene.calls is not None else []
    return [
        e
        for e in members
        if e.name in followed or (e.name not in asked and len(followed) == len(asked))
    ]


def _same(a: Array, b: Array) -> bool:
    single = np.array_equal(b.astype(np.float32).astype(np.float64), b)
    return norm(a - b) <= (SINGLE if single else ROUNDING) * norm(b)

"""Gradients that stand under another parameter's name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..core.result import Finding
from .evidence import Evidence
from .scene import Scene, listed, where

LIMIT = 64
"""Parameters of one shape up to which every pair is tried."""


def swapped(scene: Scene) -> Iterator[Finding]:
    """The claims of two or more parameters stand in each other's places."""
    holder = _holders(scene.open)
    left = {e.name: e for e in scene.open}
    for e in scene.open:
        cycle = _cycle(e.name, holder)
        if cycle and all(name in left for name in cycle):
            members = [left.pop(name) for name in cycle]
            yield _swapped(members)


def copied(scene: Scene) -> Iterator[Finding]:
    """A wrong claim is, bit for bit, that of another parameter, and this is all that is wrong.

    A backward pass that leaves out what lies between two biases (a scale, a slope) gives them the
    same gradient as well.  Then what comes before them is wrong with the first, which a gradient
    written twice does not explain; or the scale itself does, where it is a parameter.
    """
    pairs = [(e, other) for e in scene.open if (other := _original(e, scene)) is not None]
    if len(pairs) < len(scene.open):
        return
    for e, other in pairs:
        yield Finding(
            "swapped",
            (e.name,),
            f"the gradient of {e.name} is bit for bit that of {other.name}, where it is"
            f" right: was {other.name}'s written twice, or what lies between the two left out?",
            {"same_as": other.name},
        )


def _original(e: Evidence, scene: Scene) -> Evidence | None:
    """The right parameter whose claim this is, if no scale of another one would put it right."""
    if e.claimed.size < 2 or not e.claimed.any():
        return None
    alike = [o for o in scene.all if not o.wrong and np.array_equal(o.claimed, e.claimed)]
    scales = [o.theta for o in scene.all if o.theta.size == e.claimed.size]
    if not alike or any(e.admits(e.claimed * scale) for scale in scales):
        return None
    return alike[0]


def _holders(open_ones: Sequence[Evidence]) -> dict[str, str]:
    """For each parameter the one under whose name its gradient stands, if there is just one."""
    found: dict[str, list[str]] = {}
    for e in open_ones:
        alike = [o for o in open_ones if o is not e and o.shape == e.shape]
        if len(alike) < LIMIT:
            found[e.name] = [o.name for o in alike if e.admits(o.claimed)]
    return {name: names[0] for name, names in found.items() if len(names) == 1}


def _cycle(start: str, holder: dict[str, str]) -> list[str]:
    """The names met from `start` on until it comes round again; empty if it does not."""
    cycle, name = [start], holder.get(start)
    while name is not None and name not in cycle:
        cycle.append(name)
        name = holder.get(name)
    return cycle if name == start else []


def _swapped(members: Sequence[Evidence]) -> Finding:
    names = where(members)
    holds = ", ".join(
        f"{held_by} holds that of {name}"
        for name, held_by in zip(names, (*names[1:], names[0]), strict=True)
    )
    if len(members) == 2:
        message = f"the gradients of {listed(members)} are swapped: each is the other's"
    else:
        message = f"the gradients of {listed(members)} stand in the wrong order: {holds}"
    return Finding(
        "swapped",
        names,
        f"{message}. Compare the order in which they are handed out with that of the parameters",
        {"order": holds},
    )

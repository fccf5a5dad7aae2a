"""A cause that holds in a part of a parameter, of which the rest is right.

Functions of one flat vector have their parameters in slices of it: all but the intercept is
penalised, and a slice of it may have the wrong sign.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..core.result import Finding
from . import penalty, scale
from .evidence import MeasuredEvidence
from .scene import Scene
from .written import place_of


def parts(scene: Scene) -> Iterator[Finding]:
    """The entries that are wrong are so in a way that the others are not."""
    for e in scene.open:
        found = e.wrong_part() if isinstance(e, MeasuredEvidence) else None
        if found is None:
            continue
        part, wrong = found
        mask = wrong.reshape(e.shape)
        place = place_of(mask, mask) or f"{int(wrong.sum())} of {wrong.size} entries"
        within = replace(scene, open=[part])
        for family in (scale.sign, scale.factor, penalty.l2, penalty.l1):
            causes = list(family(within))
            for cause in causes:
                message = f"in {place} of {e.name}, where alone it is wrong: {cause.message}"
                evidence = {**cause.evidence, "entries": int(wrong.sum()), "size": int(wrong.size)}
                yield replace(cause, message=message, evidence=evidence)
            if causes:
                break

"""What is claimed at a kink itself, where probes were made beside it.

Probes prove nothing across a kink, and beside it nothing of what is claimed there: a mask that
takes the gradient of weights at zero, say.  But a claim at a kink of one unit lies between those a
hair to both sides.  Entries that lie far outside are measured at the point, one by one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .derivative import Derivative
from .differences import CERTAIN
from .measured import rms
from .nearby import Nearby
from .parameters import Array
from .probed import Probed
from .probes import Prober

SEEN = 1e-6
"""Distance from the claims to both sides, beside a typical entry, that is no rounding."""
LOOKED_AT = 16
"""Entries of a parameter, those that are furthest off, that are measured."""


def judged_at_the_kink(
    block: Probed, i: int, claim: Array, nearby: Nearby, prober: Prober, target: float
) -> Probed:
    """What is known of parameter i beside the point, and what is wrong in its claim at the point.

    Parameters
    ----------
    block : Probed
        As it was measured beside the point.
    i : int
    claim : ndarray
        Claimed gradient at the point, flat.
    nearby : Nearby
        The claims a hair to both sides.
    prober : Prober
        At the point.
    target : float
        Error bar aimed at.
    """
    outside, apart = nearby.outside(i)
    far = np.flatnonzero(outside > np.maximum(apart, SEEN * rms(claim)))
    far = far[np.argsort(-outside[far], kind="stable")]
    wrong: dict[int, Derivative] = {}
    for j in map(int, far[:LOOKED_AT]):
        found = prober.entry(i, j, target=target)
        off = abs(found.nearest(claim[j]) - claim[j])
        sure = off > max(CERTAIN * found.uncertainty, float(apart[j]))
        if not (sure and abs(off - outside[j]) <= found.uncertainty + apart[j]):
            return block  # of a kink of many units the claims to both sides say little
        wrong[j] = found
    return _corrected(block, claim, wrong, outside[far[LOOKED_AT:]]) if wrong else block


def _corrected(
    block: Probed, claim: Array, wrong: dict[int, Derivative], left: Sequence[float] | Array
) -> Probed:
    """The same with entries as they are claimed at the point, and what is `left` of such errors."""
    claimed, corrected = block.claimed.copy(), block.corrected.copy()
    for j, found in wrong.items():
        claimed[j], corrected[j] = claim[j], found.nearest(claim[j])
    more = float(np.linalg.norm(left))
    return replace(
        block,
        claimed=claimed,
        corrected=corrected,
        entries={**block.entries, **wrong},
        error=math.hypot(block.error, more),
        most=math.hypot(block.most, more),
    )

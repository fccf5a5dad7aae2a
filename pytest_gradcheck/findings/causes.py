"""From evidence to causes: the simplest explanation of each wrong parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from ..core.result import Finding
from . import exchange, layout, mixed, parts, penalty, precision, repeated, scale, upstream, written
from .evidence import Evidence
from .scene import Calls, Scene
from .sizes import Size

Family = Callable[[Scene], Iterator[Finding]]

FAMILIES: tuple[Family, ...] = (
    repeated.accumulated,
    written.nothing,
    scale.sign,
    scale.factor,
    exchange.swapped,
    layout.layout,
    penalty.l2,
    penalty.l1,
    mixed.data_alone,
    parts.parts,
    repeated.stale,
    written.partly,
    written.sample_left_out,
    precision.low_precision,
    exchange.copied,
    upstream.upstream,
)
"""In the order in which they are believed."""


def causes(
    evidence: Sequence[Evidence], *, sizes: Sequence[Size] = (), calls: Calls | None = None
) -> list[Finding]:
    """Why parameters are wrong, as far as a cause is proved by what was measured.

    Parameters
    ----------
    evidence : sequence of Evidence
        Of all parameters, right and wrong.
    sizes : sequence of Size
        Numbers that occur, with which a factor is compared.
    calls : Calls or None
        Further calls of the gradient; without them, causes that need them are not looked for.

    Returns
    -------
    list of Finding
        One for each cause, with all parameters that it explains; none for what nothing explains.
    """
    finite = [e for e in evidence if np.all(np.isfinite(e.claimed))]
    if calls is not None and len(finite) < len(evidence):
        calls = None  # which are of all parameters
    scene = Scene(finite, [e for e in finite if e.wrong], sizes, calls)
    found: list[Finding] = []
    for family in FAMILIES:
        with np.errstate(all="ignore"):  # proposed gradients may overflow
            new = list(family(scene))
        found += new
        told = {name for f in new if f.evidence.get("explains", True) for name in f.where}
        left = [e for e in scene.open if e.name not in told]
        scene = replace(scene, open=left, found=tuple(found))
    return sorted(found, key=lambda f: f.name != "stale")  # of which others are a coincidence

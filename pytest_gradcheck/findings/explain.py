"""All that can be said of a check beyond its figures: causes, and the health of its point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.measured import Evidence as Known
from ..core.measured import Measured
from ..core.probed import Probed
from ..core.result import Finding
from ..core.situation import Situation
from .bars import Array
from .causes import causes
from .evidence import Evidence, MeasuredEvidence
from .health import health
from .probed import RegionsEvidence, SlopesEvidence
from .sizes import sizes_of


def explain(situation: Situation) -> list[Finding]:
    """Findings of one check, measured and judged; the parameters stand at its point."""
    blocks = situation.blocks
    names = [block.parameter.name for block in blocks]
    shapes = [tuple(block.parameter.shape) for block in blocks]
    thetas = [situation.theta(block) for block in blocks]
    claims = [block.claimed for block in blocks]
    found: list[Finding] = []
    wrong = {judged.name for judged in situation.judged if judged.status != "pass"}
    doubted = [f for f in situation.findings if f.name in ("wrong-entry", "wrong-region")]
    wrong |= {name for f in doubted for name in f.where}
    if wrong:
        pairs = zip(blocks, thetas, strict=True)
        evidence = [
            _evidence(b, theta, situation.findings, wrong=b.parameter.name in wrong)
            for b, theta in pairs
        ]
        sizes = sizes_of(names, shapes, situation.args)
        found += causes([e for e in evidence if e is not None], sizes=sizes, calls=situation)
    args = [_as_array(given) for given in situation.args]
    return found + health(names, thetas, shapes, claims, args, situation.change)


def _evidence(
    block: Known, theta: Array, found: Sequence[Finding], *, wrong: bool
) -> Evidence | None:
    """What was measured of one parameter, as causes ask for it."""
    if isinstance(block, Measured):
        return MeasuredEvidence(block, theta, wrong=wrong)
    if not isinstance(block, Probed):
        return None
    if block.slopes is not None:
        return SlopesEvidence(block, block.slopes, theta)
    regions = _unknown_regions(block, found)
    if wrong and regions:
        return RegionsEvidence(block, regions, theta)
    least = block.error_limits()[0]
    return MeasuredEvidence(block.as_measured(), theta, wrong=wrong, least=least)


def _unknown_regions(block: Probed, found: Sequence[Finding]) -> list[Any]:
    """Where a parameter is wrong throughout, if all is found; none if more is known."""
    here = [f for f in found if block.parameter.name in f.where]
    if any(f.name == "unlocated" for f in found) or any(f.name == "search-ended" for f in here):
        return []
    regions = [region.ranges for region in block.dense]
    changed = (block.corrected != block.claimed).reshape(block.parameter.shape)
    parts = [changed[tuple(slice(low, high) for low, high in region)] for region in regions]
    return [] if all(part.any() for part in parts) else regions


def _as_array(given: Any) -> Any:
    """Tensors and tables as arrays, where they can be had so."""
    if isinstance(given, np.ndarray) or not (
        hasattr(given, "__array__") and hasattr(given, "shape")
    ):
        return given
    try:
        return np.asarray(given)
    except Exception:  # on another device, say: then nothing is said of it
        return given

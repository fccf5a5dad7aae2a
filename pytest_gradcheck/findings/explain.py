"""All that can be said of a check beyond its figures: causes, and the health of its point."""

from __future__ import annotations

from ..core.measured import Measured
from ..core.result import Finding
from ..core.situation import Situation
from .causes import causes
from .evidence import MeasuredEvidence
from .health import health
from .sizes import sizes_of


def explain(situation: Situation) -> list[Finding]:
    """Findings of one check, measured and judged; the parameters stand at its point."""
    blocks = [block for block in situation.blocks if isinstance(block, Measured)]
    if len(blocks) < len(situation.blocks):
        return []
    names = [block.parameter.name for block in blocks]
    shapes = [tuple(block.parameter.shape) for block in blocks]
    thetas = [situation.theta(block) for block in blocks]
    found: list[Finding] = []
    if any(judged.status != "pass" for judged in situation.judged):
        evidence = [
            MeasuredEvidence(block, theta, wrong=judged.status != "pass")
            for block, theta, judged in zip(blocks, thetas, situation.judged, strict=True)
        ]
        sizes = sizes_of(names, shapes, situation.args)
        found += causes(evidence, sizes=sizes, calls=situation)
    claims = [block.claimed for block in blocks]
    return found + health(names, thetas, shapes, claims, situation.args)

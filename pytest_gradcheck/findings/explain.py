"""All that can be said of a check beyond its figures: causes, and the health of its point."""

from __future__ import annotations

from ..core.measured import Evidence as Known
from ..core.measured import Measured
from ..core.probed import Probed
from ..core.result import Finding
from ..core.situation import Situation
from .bars import Array
from .causes import causes
from .evidence import Evidence, MeasuredEvidence
from .health import health
from .probed import SlopesEvidence
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
    wrong |= {name for f in situation.findings if f.name == "wrong-entry" for name in f.where}
    if wrong:
        pairs = zip(blocks, thetas, strict=True)
        evidence = [_evidence(b, theta, wrong=b.parameter.name in wrong) for b, theta in pairs]
        sizes = sizes_of(names, shapes, situation.args)
        found += causes([e for e in evidence if e is not None], sizes=sizes, calls=situation)
    return found + health(names, thetas, shapes, claims, situation.args)


def _evidence(block: Known, theta: Array, *, wrong: bool) -> Evidence | None:
    """What was measured of one parameter, as causes ask for it."""
    if isinstance(block, Measured):
        return MeasuredEvidence(block, theta, wrong=wrong)
    if not isinstance(block, Probed):
        return None
    if block.slopes is not None:
        return SlopesEvidence(block, block.slopes, theta)
    # single entries that were found wrong have no cause in common with the whole
    return MeasuredEvidence(block.as_measured(), theta, wrong=wrong and block.told)

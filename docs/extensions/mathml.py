"""Formulas as MathML, translated when the site is built: no script, no font from elsewhere."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

BAR = re.compile(r"<mo>(&#x0007C;|&#x02016;)</mo>")
PRIMED = re.compile(r"<msup>(<mi>\w+</mi>)<m[io]>(&#x0203[2-4];|&#x02057;)</m[io]></msup>")


def mathml(latex: str, display: str) -> str:
    """One formula; its source goes with it, for those who cannot see it rendered."""
    formula: str = convert(latex, display=display)
    formula = BAR.sub(r'<mo lspace="0.08em" rspace="0.08em" stretchy="false">\1</mo>', formula)
    # A prime is raised in every font of text, and in script size it can hardly be seen.
    formula = PRIMED.sub(r'<mrow>\1<mtext class="prime">\2</mtext></mrow>', formula)
    return formula.replace("<math ", f'<math alttext="{escape(latex)}" ', 1)


def inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def block(translator: Any, node: nodes.math_block) -> None:
    formula = mathml(node.astext(), "block")
    translator.body.append(f'<div class="formula" tabindex="0">{formula}</div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}

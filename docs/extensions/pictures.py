"""Pictures drawn from measurements when the site is built, as SVG inside the page.

Inside it, text takes the page's colour and font, light or dark; each picture has a text for those
who cannot see it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import escape
from typing import Any

import numpy as np
from docutils import nodes
from docutils.parsers.rst import Directive

from . import measurements

INK = "#010203"
"""Stands for the page's own colour of text, and is replaced by it."""
CENTRAL, FORWARD, WRONG = "#2f81d6", "#d1672b", "#c2372e"


def error_against_step(plt: Any) -> None:
    """The error of both schemes over twelve decades of steps, and the branches it consists of."""
    steps, central, forward = measurements.errors_of_both_schemes()
    truncation, noise = measurements.branches(steps)
    _, axes = plt.subplots(figsize=(5.4, 3.9), layout="constrained")
    for exponent, colour in ((2, CENTRAL), (1, FORWARD)):
        axes.loglog(steps, truncation[exponent], "--", color=colour, linewidth=1)
    axes.loglog(steps, noise, ":", color=INK, linewidth=1)
    axes.loglog(steps, forward, ".", color=FORWARD, markersize=5, label="forward difference")
    axes.loglog(steps, central, ".", color=CENTRAL, markersize=5, label="central difference")
    axes.annotate("truncation, slope 1", (3e-4, 9e-4), (3e-7, 1e-2), color=FORWARD)
    axes.annotate("truncation, slope 2", (3e-3, 9e-6), (6e-3, 3e-8), color=CENTRAL)
    axes.annotate("rounding, slope −1", (1e-12, 1e-4), (2e-13, 1e-9), color=INK)
    for error in (0.0001, 0.0301):
        axes.plot(0.01, error, "o", color=INK, fillstyle="none", markersize=9)
    axes.annotate("0.0301", (0.01, 0.0301), (6e-4, 0.3), color=INK)
    axes.annotate("0.0001", (0.01, 0.0001), (0.018, 4e-5), color=INK)
    axes.set_xlabel("step ε")
    axes.set_ylabel("error of the derivative")
    axes.set_ylim(1e-13, 1e1)
    axes.set_xlim(1e-13, 1)
    axes.legend(loc="upper center", frameon=False, markerscale=2)


def across_a_kink(plt: Any) -> None:
    """Central differences across a kink, and the companion that gives it away."""
    steps, smooth, kinked = measurements.differences_near_a_kink()
    _, (left, right) = plt.subplots(1, 2, figsize=(5.4, 2.9), layout="constrained", sharex=True)
    left.set_title("central difference", fontsize=9)
    right.set_title("forward − backward", fontsize=9)
    for axes, k in ((left, 0), (right, 1)):
        axes.semilogx(
            steps, smooth[k], ".-", color=CENTRAL, markersize=5, label="smooth at the point"
        )
        axes.semilogx(
            steps,
            kinked[k],
            "o--",
            color=WRONG,
            markersize=4,
            fillstyle="none",
            label="kink at the point",
        )
        axes.set_xlabel("step ε")
        axes.set_xticks([1e-6, 1e-4, 1e-2, 1])
        axes.set_ylim(-0.1, 1.3)
    left.legend(loc="lower left", frameon=False, fontsize=8)


def gradients_through_depth(plt: Any) -> None:
    """Norms of the gradient, layer by layer, for three scales of the weights."""
    _, axes = plt.subplots(figsize=(5.4, 3.2), layout="constrained")
    colours = {0.1: FORWARD, 1.0: CENTRAL, 10.0: WRONG}
    for scale, norms in measurements.gradients_by_layer().items():
        layers = np.arange(1, len(norms) + 1)
        axes.semilogy(layers, norms, "o-", color=colours[scale], label=f"{scale:g} × He")
    axes.set_xlabel("layer, the input's first")
    axes.set_ylabel("norm of its db")
    axes.legend(frameon=False)


PICTURES: dict[str, Callable[[Any], None]] = {
    "error-against-step": error_against_step,
    "across-a-kink": across_a_kink,
    "gradients-through-depth": gradients_through_depth,
}

STYLE = {
    "svg.fonttype": "none",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def svg(name: str, text: str) -> str:
    """A picture as an SVG element."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    with plt.rc_context({**STYLE, "svg.hashsalt": name, "svg.id": None}):
        PICTURES[name](plt)
        out = io.StringIO()
        plt.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
        plt.close("all")
    drawn = out.getvalue()
    drawn = drawn[drawn.index("<svg") :].replace(INK, "currentColor")
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    for own in set(re.findall(r'\bid="([^"]+)"', drawn)):  # two pictures may share a page
        drawn = re.sub(rf'(\bid="|#){re.escape(own)}(?=["\)])', rf"\g<1>{name}-{own}", drawn)
    drawn = re.sub(r"font: [^;\"]*?(\d+)px [^;\"]*", r"font: \1px inherit", drawn)
    head = f'<svg role="img" aria-label="{escape(text)}" class="picture" '
    return drawn.replace("<svg ", head, 1)


class Picture(Directive):
    """``{picture} name``: one of `PICTURES`; its content says in words what can be seen."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        name, text = self.arguments[0], " ".join(self.content)
        figure = nodes.figure(classes=["drawn"])
        figure += nodes.raw("", svg(name, text), format="html")
        figure += nodes.caption(text, text)
        return [figure]


def setup(app: Any) -> dict[str, bool]:
    app.add_directive("picture", Picture)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

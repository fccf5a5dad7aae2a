"""A regularisation term that the loss has and the gradient lacks, or the reverse."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..core.result import Finding
from .evidence import Evidence
from .layers import wide_axes
from .scene import Scene, Shared, listed, shared, where, with_gradient

SHARP = 1e-3
"""Relative uncertainty up to which a constant is worth saying."""
UNCERTAIN = 3
"""Uncertainties of a constant within which it is another."""


def l2(scene: Scene) -> Iterator[Finding]:
    """The error is a constant times the parameter."""
    for group in shared(scene.open, lambda e: e.theta):
        if group.uncertainty < SHARP * abs(group.constant):
            yield _finding(scene, group, "l2", "θ", "λ/2 θ²", "λ for λ/2, λ/2 for λ, λ for λ/m")


def l1(scene: Scene) -> Iterator[Finding]:
    """The error is a constant times the sign of the parameter."""
    for group in shared(scene.open, lambda e: np.sign(e.theta)):
        if group.uncertainty < SHARP * abs(group.constant):
            yield _finding(scene, group, "l1", "sign(θ)", "λ |θ|", "λ for λ/m")


def _finding(
    scene: Scene, group: Shared, name: str, pattern: str, term: str, slips: str
) -> Finding:
    c = group.constant
    missing = c < 0
    kind = "missing" if missing else "extra"
    said = (
        f"the gradient of the penalty {term} is missing, or its λ is too small ({slips})"
        if missing
        else f"a penalty {term} that the loss does not have here, one counted twice, or λ too large"
        f" ({slips})"
    )
    if name == "l2" and all(_is_orthogonal(e, group) for e in group.members):
        said += (
            "; or θ is normalised in the loss, to which the measured gradient is orthogonal, and on"
            " the way back the projection is missing: g - θ (θ·g) / ‖θ‖²"
        )
    return Finding(
        f"{name}-{kind}",
        where(group.members),
        f"claimed - measured = {c:.6g} {pattern} (± {group.uncertainty:.0e}) in"
        f" {listed(group.members)}{_concerned(scene, group)}, residual {group.residual:.0e}:"
        f" {said}",
        {"constant": c, "uncertainty": group.uncertainty, "residual": group.residual},
    )


def _is_orthogonal(e: Evidence, group: Shared) -> bool:
    """Whether the true gradient is orthogonal to the parameter, as where the loss normalises it."""
    square = float(e.theta @ e.theta)
    along = float(e.theta @ e.claimed) - group.constant * square
    return abs(along) <= UNCERTAIN * group.uncertainty * square


def _concerned(scene: Scene, group: Shared) -> str:
    """Whether only biases, or all but them, are meant."""
    names = where(group.members)
    rest = [e for e in with_gradient(scene.all) if e.name not in names and e.theta.any()]
    if rest and all(_is_bias(e) for e in group.members) and not any(map(_is_bias, rest)):
        return " (the biases alone)"
    if rest and not any(map(_is_bias, group.members)) and all(map(_is_bias, rest)):
        return " (the weights alone)"
    return ""


def _is_bias(e: Evidence) -> bool:
    return wide_axes(e.shape) < 2

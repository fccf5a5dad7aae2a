"""The data's part of a gradient is off by a factor, while that of a penalty is right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.measured import norm
from ..core.result import Finding
from .evidence import LEEWAY, Evidence, Fit
from .penalty import SHARP
from .scale import known_factors
from .scene import Scene, listed, where

FEW = 3
"""Measurements that must confirm the penalty's constant: the factor is tried, not fitted."""
SEEN = 100 * LEEWAY
"""Part of the claim that must be the data's: any factor of it is within the leeway of a fit."""


def data_alone(scene: Scene) -> Iterator[Finding]:
    """The claim is a factor times the gradient of the data's part, plus the true penalty's.

    The factor is one found in other parameters, or one that has a name.
    """
    left = list(scene.open)
    for value, name in _factors(scene):
        pairs = [(e, fit) for e in left if (fit := _fit(e, value)) is not None]
        if pairs:
            members = [e for e, _ in pairs]
            left = [e for e in left if e.name not in where(members)]
            constants = [fit.constant / (1 / value - 1) for _, fit in pairs]
            yield _finding(members, value, name, constants)


def _factors(scene: Scene) -> list[tuple[float, str]]:
    found = [(float(f.evidence["factor"]), f.name) for f in scene.found if "factor" in f.evidence]
    named = [
        (value, "factor" if size is None or not size.batch or value < 0 else "mean-for-sum")
        for value, _, size in known_factors(scene.sizes)
    ]
    return [*dict.fromkeys(found), (-1.0, "sign"), *named]


def _fit(e: Evidence, factor: float) -> Fit | None:
    """``claimed = factor * (true - constant * theta) + constant * theta``, the constant fitted."""
    fit = e.fit(e.theta, (1 - 1 / factor) * e.claimed)
    if fit is None or fit.confirmed < FEW or fit.uncertainty > SHARP * abs(fit.constant):
        return None
    penalty = fit.constant / (1 / factor - 1) * e.theta
    return fit if norm(e.claimed - penalty) > SEEN * norm(e.claimed) else None


def _finding(
    members: Sequence[Evidence], value: float, name: str, constants: Sequence[float]
) -> Finding:
    said = "minus" if value == -1 else f"{value:.6g} times"
    penalty = " or ".join(dict.fromkeys(f"{c:.5g}" for c in constants))
    return Finding(
        name,
        where(members),
        f"the gradient of {listed(members)} is {said} the measured one, but for a part of {penalty}"
        " θ that is right: the factor is on the data's part alone, the L2 term's is as it should"
        " be. Look at the derivative of the data's loss",
        {"factor": value, "penalty": constants[0]},
    )

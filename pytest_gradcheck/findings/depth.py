"""Gradients that fall or rise geometrically through the layers of a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.measured import norm
from ..core.result import Finding
from .layers import Chain, Layer, longest_chain

FEW = 4
"""Layers needed to speak of a trend."""
PER_LAYER, TOTAL = 2.5, 1e3
"""Factor a layer, and from the last layer to the first, from which gradients vanish or explode."""
STRAIGHT = 0.8
"""Part of the variance of the logarithms that a constant factor must explain."""


@dataclass(frozen=True)
class Trend:
    """Norms of gradients, first layer first, and the factor from one to the layer below it."""

    what: str
    layers: list[Layer]
    norms: list[float]
    factor: float
    straightness: float

    @property
    def total(self) -> float:
        return float(self.factor ** (len(self.norms) - 1))

    @property
    def marked(self) -> bool:
        steep = max(self.factor, 1 / self.factor) >= PER_LAYER
        return steep and max(self.total, 1 / self.total) >= TOTAL and self.straightness >= STRAIGHT


def through_depth(layers: Sequence[Layer]) -> list[Finding]:
    """`vanishing` or `exploding`, by the weights or, where those hide it, by the biases."""
    chain = longest_chain(layers)
    if len(chain.weights) < FEW:
        return []
    for what, chosen in (("weights", chain.weights), ("biases", _biases(layers, chain))):
        trend = _trend(what, chosen)
        if trend is not None and trend.marked:
            return [_finding(trend, chain)]
    return []


def _biases(layers: Sequence[Layer], chain: Chain) -> list[Layer]:
    """For each of the weights the next vector of the length of its outputs, if all have one."""
    found = []
    at = {x.name: i for i, x in enumerate(layers)}
    for weights, (_, gives) in zip(chain.weights, chain.fan, strict=True):
        start = at[weights.name] + 1
        after = layers[start : start + 1]
        length = gives // math.prod(weights.shape[2:])
        found += [x for x in after if not x.is_matrix and x.claim.size == length]
    return found if len(found) == len(chain.weights) else []


def _trend(what: str, layers: list[Layer]) -> Trend | None:
    alive = [x for x in layers if x.claim.any()]
    if len(alive) < FEW:
        return None
    norms = [norm(x.claim) for x in alive]
    depth, logs = np.arange(len(norms)), np.log(norms)
    slope = float(np.polyfit(depth, logs, 1)[0])
    spread = float(np.sum((logs - logs.mean()) ** 2))
    explained = slope**2 * float(np.sum((depth - depth.mean()) ** 2))
    factor = math.exp(float(np.clip(-slope, -50, 50)))
    return Trend(what, alive, norms, factor, explained / spread if spread else 0.0)


def _finding(trend: Trend, chain: Chain) -> Finding:
    vanishing = trend.factor < 1
    last, first = trend.layers[-1], trend.layers[0]
    scales = [
        {
            "name": w.name,
            "std": w.rms,
            "he": math.sqrt(2 / n_in),
            "lecun": math.sqrt(1 / n_in),
            "xavier": math.sqrt(2 / (n_in + n_out)),
        }
        for w, (n_in, n_out) in zip(chain.weights, chain.fan, strict=True)
    ]
    own = scales[len(scales) // 2]
    seen = (
        f"gradient norms of the {trend.what} {'fall' if vanishing else 'rise'} by a factor of"
        f" {1 / trend.factor if vanishing else trend.factor:.2g} a layer from"
        f" {last.name} ({trend.norms[-1]:.1e}) down to {first.name} ({trend.norms[0]:.1e})"
    )
    why = (
        "the first layers hardly learn, and mistakes in them hide below the noise of the loss"
        if vanishing
        else "the first layers take huge steps, and rounding grows with the gradients"
    )
    name = "vanishing" if vanishing else "exploding"
    return Finding(
        name,
        tuple(x.name for x in trend.layers),
        f"{seen}: {why}. {own['name']} has a standard deviation of {own['std']:.2g}; ordinary would"
        f" be {own['he']:.2g} (He, for ReLU: sqrt(2 / n_in)) or {own['xavier']:.2g} (Xavier, for"
        " tanh: sqrt(2 / (n_in + n_out))). Initialise so, use ReLU for sigmoid, or normalise"
        f' between layers; accept it with allow=["{name}"]',
        {"factor": trend.factor, "norms": trend.norms, "scales": scales},
    )

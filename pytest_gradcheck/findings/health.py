"""Whether the point of a check is a good one: findings that no wrong gradient is needed for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.point import fits
from ..core.result import Finding
from .bars import Array
from .depth import through_depth
from .inputs import saturated, unscaled
from .layers import Layer
from .precision import in_use, significant

NEAR = 1e-2
"""Weights this small beside those of an ordinary initialisation are near zero."""
UNFELT = 1e-2
"""A parameter whose size times its gradient is this small, beside that of others or absolutely,
and that changes the loss by no more of it as it moves by its own size, has no say in the loss;
where it has one, small numbers are a matter of units (metres, moles)."""

Change = Callable[[Sequence[str]], float]


def health(
    names: Sequence[str],
    thetas: Sequence[Array],
    shapes: Sequence[tuple[int, ...]],
    claims: Sequence[Array],
    args: Sequence[Any] = (),
    change: Change | None = None,
) -> list[Finding]:
    """What about this point, these gradients and these inputs may mislead.

    Parameters
    ----------
    names, thetas, shapes, claims : sequence
        Of all parameters in order: name, flat values, shape, flat claimed gradient.
    args : sequence
        Arguments of the loss, among which inputs are looked for.
    change : callable or None
        ``change(names)`` is how much the loss changes, relative to it, as these parameters move by
        their own size.
    """
    layers = [
        Layer(name, np.asarray(theta, float), tuple(shape), np.asarray(claim, float))
        for name, theta, shape, claim in zip(names, thetas, shapes, claims, strict=True)
    ]
    with np.errstate(all="ignore"):
        if not (layers and all(np.isfinite(x.say) for x in layers)):
            return []
        found = [*_near_zero(layers, change), *through_depth(layers)]
        found += [*saturated(layers, args), *unscaled(layers, args)]
        return [*found, *_low_precision(layers)]


def _near_zero(layers: Sequence[Layer], change: Change | None) -> list[Finding]:
    most = max(x.say for x in layers)

    def unfelt(x: Layer) -> bool:
        return x.say <= UNFELT * max(most, 1.0)

    small = [x for x in layers if x.rms < NEAR * x.ordinary and unfelt(x)]
    everything = len(small) == len(layers)
    if not everything:
        small = [x for x in small if x.is_matrix]
    if not small:
        return []
    where = tuple(x.name for x in small)
    size = max(x.rms for x in small)
    if size > 0 and change is not None and not change(where) <= UNFELT:
        return []
    what = "all parameters are" if everything else f"all weights of {', '.join(where)} are"
    how = "zero" if size == 0 else f"near zero (up to {size:.1e} in root mean square)"
    return [
        Finding(
            "near-zero-parameters",
            where,
            f"{what} {how}: terms that are multiplied by them, a regularisation among them, leave"
            f" no trace in the gradient here, and a mistake in them cannot be seen."
            f" {_start(small)}, train a few steps and check again (train=20); accept it with"
            ' allow=["near-zero-parameters"]',
            {"rms": {x.name: x.rms for x in small}},
        )
    ]


def _start(small: Sequence[Layer]) -> str:
    """Where to start from; of single numbers nobody knows what is ordinary."""
    scales = [x.ordinary for x in small if x.claim.size > 1]
    if not scales:
        return "Start from other values"
    return f"Start from a random initialisation (standard deviation {max(scales):.2g})"


def _low_precision(layers: Sequence[Layer]) -> list[Finding]:
    """Gradients in float32 of parameters that are not."""
    wide = [x for x in layers if not fits(x.theta, np.float32) and x.claim.any()]
    single = [x for x in wide if fits(x.claim, np.float32)]
    if not single or not in_use([x.claim for x in single], significant("float32")):
        return []
    where = tuple(x.name for x in single)
    return [
        Finding(
            "low-precision",
            where,
            f"the gradient of {', '.join(where)} comes in float32, the parameters in float64: seven"
            " digits can be checked, no more. Look for an array of that dtype in the backward"
            ' pass, or accept it with allow=["low-precision"]',
            {"bits": significant("float32")},
        )
    ]

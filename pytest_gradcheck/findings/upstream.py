"""A gradient that goes wrong on its way back: right in the last layers, wrong in all before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from ..core.result import Finding, some
from .evidence import Evidence
from .layers import Layer
from .scene import Scene, where, with_gradient

LEAST = 2
"""Parameters that must be wrong: one may be wrong by itself."""
MOSTLY = 0.5
"""More of its entries must be wrong in each: what comes back wrong is wrong everywhere."""


def upstream(scene: Scene) -> Iterator[Finding]:
    """Nothing else explains the wrong parameters, and they come first, in the order of layers."""
    tested = with_gradient(scene.all)
    wrong = [e for e in tested if e.wrong]
    behind = tested[len(wrong) :]
    if len(wrong) < LEAST or not behind or any(e.wrong for e in behind):
        return
    if any(e not in scene.open or e.share() <= MOSTLY for e in wrong):
        return
    last, first = wrong[-1], behind[0]
    if not all(any(_layer(e).is_matrix for e in part) for part in (wrong, behind)):
        return  # no layers in front and behind: the parameters of a likelihood, say
    if _of_one_layer(last, first) or _runs_backwards(tested):
        return
    yield Finding(
        "upstream",
        where(wrong),
        f"{some(where(wrong))} are wrong in most entries, {some(where(behind))} behind them"
        f" {'is' if len(behind) == 1 else 'are'} right: on its way back the gradient seems to go"
        f" wrong just in front of {first.name}, or in a branch beside it. Look at the backward pass"
        " of what feeds it (an activation, a normalisation), at the product that hands the gradient"
        " on to that, and at what only the wrong ones go through (the softmax of an attention)",
        {"wrong": len(wrong), "right": len(behind), "in_front_of": first.name},
    )


def _of_one_layer(last: Evidence, first: Evidence) -> bool:
    """Whether these are weights and their bias: the same gradient comes back to both."""
    own, other = (e.name.rpartition(".")[0] for e in (last, first))
    if own or other:  # block.conv.weight, block.conv.bias
        return own == other
    return _layer(last).is_matrix and not _layer(first).is_matrix


def _runs_backwards(evidence: Sequence[Evidence]) -> bool:
    """Whether parameters are listed from the output to the input, by how their sizes fit.

    The length of the bias behind weights is that of their outputs.
    """
    layers = [_layer(e) for e in evidence]
    weights = [i for i, layer in enumerate(layers) if layer.is_matrix]
    onwards = back = 0
    for i, j in pairwise(weights):
        own, bias, following = layers[i].shape[:2], layers[i + 1], layers[j].shape[:2]
        if not bias.is_matrix and bias.claim.size in own:
            gives = own.index(bias.claim.size)
            onwards += following[1 - gives] == own[gives]
            back += following[gives] == own[1 - gives]
    return back > onwards


def _layer(e: Evidence) -> Layer:
    return Layer(e.name, e.theta, e.shape, e.claimed)

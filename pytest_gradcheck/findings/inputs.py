"""Inputs that were not normalised, and first layers that they saturate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.result import Finding
from .bars import Array
from .layers import Layer, wide_axes

ROWS = 8
"""Samples needed to speak of a mean and a variance."""
DISTINCT = 0.5
"""Part of the samples with values of their own from which a feature is continuous; the scale of
others (counts, categories, pixels that are mostly blank) says little."""
APART = 100.0
"""Ratio of standard deviations of two features, or of a mean to the standard deviation, from which
features are far apart."""
FLAT, SATURATED = 4.0, 0.9
"""tanh and sigmoid are flat beyond this argument; a layer is saturated if this part of its units
and samples lies there, and most units show it:"""
HUSHED, MOST = 1e-2, 0.5
"""their gradients are this small beside that of another unit, yet not zero as a dead ReLU's are."""


def unscaled(layers: Sequence[Layer], args: Sequence[Any]) -> Iterator[Finding]:
    """Features whose means and variances are far apart."""
    for number, X in _inputs(layers, args):
        mean, deviation = X.mean(axis=0), X.std(axis=0)
        continuous = np.array([len(np.unique(column)) >= DISTINCT * len(X) for column in X.T])
        use = np.flatnonzero(continuous & (deviation > 0))
        if use.size < 2:
            continue
        low, high = use[np.argmin(deviation[use])], use[np.argmax(deviation[use])]
        shifted = use[np.argmax(np.abs(mean[use]) / deviation[use])]
        ratio, shift = deviation[high] / deviation[low], abs(mean[shifted]) / deviation[shifted]
        if max(ratio, shift) < APART:
            continue
        seen = (
            f"feature {high} has a standard deviation of {deviation[high]:.2g} and feature {low}"
            f" one of {deviation[low]:.2g}"
            if ratio >= APART
            else f"feature {shifted} has a mean of {mean[shifted]:.2g} and a standard deviation of"
            f" {deviation[shifted]:.2g}"
        )
        yield Finding(
            "unscaled-inputs",
            (),
            f"the inputs (argument {number}) are not normalised: {seen}. Weights then need steps of"
            " very different size, in training as in a difference quotient. Subtract the mean and"
            " divide by the standard deviation of each feature, with μ and σ of the training set"
            ' for training and test set alike; accept it with allow=["unscaled-inputs"]',
            {"deviations": float(ratio), "shift": float(shift)},
        )


def saturated(layers: Sequence[Layer], args: Sequence[Any]) -> Iterator[Finding]:
    """A first layer whose units are all in the flat parts of tanh or sigmoid."""
    weights = [x for x in layers if x.is_matrix]
    if len(weights) < 2 or len(weights[0].shape) != 2:
        return
    first = weights[0]
    after = list(layers)[list(layers).index(first) + 1]
    for _, X in _inputs([first], args):
        W: Array = first.theta.reshape(first.shape)
        by_unit: Array = first.claim.reshape(first.shape)
        if X.shape[1] != W.shape[0]:
            W, by_unit = W.T, by_unit.T
        Z: Array = X @ W
        if not after.is_matrix and after.theta.size == Z.shape[1]:
            Z = Z + after.theta
        part = float(np.mean(np.abs(Z) > FLAT))
        sizes = np.linalg.norm(by_unit, axis=0)
        hushed = (sizes > 0) & (sizes < HUSHED * np.max(sizes))
        if part >= SATURATED and np.mean(hushed) >= MOST:
            yield Finding(
                "saturated",
                (first.name,),
                f"the units of {first.name} are saturated: {part:.0%} of their arguments lie beyond"
                f" ±{FLAT:g} (typically {float(np.median(np.abs(Z))):.2g}), where tanh and sigmoid"
                " are flat, and hardly any gradient comes through. Normalise the inputs or start"
                ' from smaller weights; accept it with allow=["saturated"]',
                {"part": part, "median": float(np.median(np.abs(Z)))},
            )
            return


def _inputs(layers: Sequence[Layer], args: Sequence[Any]) -> Iterator[tuple[int, Array]]:
    """Arguments that the first weights take, a row a sample, with their numbers."""
    weights = [x for x in layers if x.is_matrix and len(x.shape) == 2]
    vectors = [x for x in layers if not x.is_matrix and wide_axes(x.shape) == 1]
    for number, given in enumerate(args):
        X: NDArray[Any] = given if isinstance(given, np.ndarray) else np.empty(0)
        if X.ndim != 2 or X.dtype.kind != "f" or not np.all(np.isfinite(X)):
            continue
        rows = _rows(X.shape, weights[0].shape) if weights else _lengths(X.shape, vectors)
        if rows is not None and X.shape[rows] >= ROWS and X.shape[1 - rows] >= 2:
            yield number, np.asarray(X if rows == 0 else X.T, float)


def _rows(shape: tuple[int, ...], weights: tuple[int, ...]) -> int | None:
    """The axis of samples, if just one of them can be it."""
    by_rows = shape[1] in weights
    by_columns = shape[0] == weights[1]  # features first: W X
    if by_rows != by_columns:
        return 0 if by_rows else 1
    return 0 if shape[1] == weights[0] else None


def _lengths(shape: tuple[int, ...], vectors: Sequence[Layer]) -> int | None:
    """The same for a model whose only weights are one vector; more of one length are no weights."""
    fitting = [x for x in vectors if x.theta.size == shape[1]]
    return 0 if len(fitting) == 1 else None

"""Losses in float32 beside an optimum, where the terms of a gradient cancel.

The bank had none, though people check models that are trained: a right gradient in float32 was
called wrong there, of which two or three digits are left beside an optimum and hardly one at it.
The check was mended first and these cases written after that, so they are no look at the unseen.
Every family has the same five, drawn up before any of them was checked, and none was left out or
changed for what the check makes of it.  At the optimum itself nothing is certain enough of a
gradient to call another one wrong: there are no mutants of it.

They are a part of their own, as what is asked of the others cannot be had here: most of these
gradients are of two or three digits, whoever measures them.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from .base import OPTIMA, Arrays, Draft, Ideal, family
from .ops import log_softmax, softplus
from .variants import inside_float32

Rng = np.random.Generator
OFF = ((0.0, "params"), (0.0, "inside"), (1e-5, "params"), (1e-3, "params"), (1e-2, "inside"))
"""How far off the optimum, relative to each parameter, and in which way float32."""
STEPS = 200


def fitted(
    rng: Rng, f: Ideal, start: Arrays, data: dict[str, Any], **further: Any
) -> Iterator[Draft]:
    """At the optimum as nearly as float32 can be, and with all parameters a little off."""
    single = {k: np.asarray(v, np.float32).astype(float) for k, v in data.items()}
    best = minimum(f, start, single)
    for far, how in OFF:
        params = {k: v * (1 + far * rng.normal(size=v.shape)) for k, v in best.items()}
        name = f"off-by-{far:.0e}" if far else "optimum"
        draft = Draft(name, "float32-inside", f, params, single, **further)
        yield inside_float32(draft, how)


def minimum(f: Ideal, start: Arrays, data: dict[str, Any]) -> Arrays:
    """By Newton's method in float64, damped as long as the loss does not fall."""
    import autograd.numpy as xp
    from autograd import grad, hessian

    ends = np.cumsum([v.size for v in start.values()])[:-1]

    def named(x: Any) -> dict[str, Any]:
        parts = zip(start.items(), xp.split(x, ends), strict=True)
        return {k: xp.reshape(part, v.shape) for (k, v), part in parts}

    def loss(x: Any) -> Any:
        return f(SimpleNamespace(**named(x)), SimpleNamespace(**data), xp)

    x = np.concatenate([v.ravel() for v in start.values()])
    slope, curve, damping = grad(loss), hessian(loss), 1.0
    first = np.linalg.norm(slope(x))
    for _ in range(STEPS):
        g = slope(x)
        if np.linalg.norm(g) < 1e-11 * first:
            break
        new = x - np.linalg.solve(curve(x) + damping * np.eye(x.size), g)
        # Where the loss is flat but for its rounding, the gradient still tells.
        falls = loss(new) < loss(x) or np.linalg.norm(slope(new)) < np.linalg.norm(g)
        x, damping = (new, damping / 8) if falls else (x, damping * 8)
    assert np.linalg.norm(slope(x)) < 1e-9 * first
    return {k: np.array(v) for k, v in named(x).items()}


@family("least-squares-fitted", OPTIMA)
def least_squares(rng: Rng) -> Iterator[Draft]:
    """Columns that are not centred, an intercept beside them."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        return 0.5 * xp.mean((d.X @ p.w + p.b - d.y) ** 2)

    X = 3 + rng.normal(size=(60, 7))
    data = {"X": X, "y": X @ rng.normal(size=7) + rng.normal(size=60)}
    yield from fitted(rng, f, {"w": np.zeros(7), "b": np.array(0.0)}, data, batch=60)


@family("autoencoder-fitted", OPTIMA)
def autoencoder(rng: Rng) -> Iterator[Draft]:
    """Linear, with weight decay: the principal components, shrunk."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        fit = 0.5 * xp.mean(xp.sum((d.X @ p.E @ p.D - d.X) ** 2, axis=1))
        return fit + 0.01 * (xp.sum(p.E**2) + xp.sum(p.D**2))

    X = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 6)) + 0.3 * rng.normal(size=(40, 6))
    start = {"E": 0.5 * rng.normal(size=(6, 2)), "D": 0.5 * rng.normal(size=(2, 6))}
    yield from fitted(rng, f, start, {"X": X}, batch=40)


@family("ridge-fitted", OPTIMA)
def ridge(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        return 0.5 * xp.sum((d.X @ p.w - d.y) ** 2) + 2.0 * xp.sum(p.w**2)

    def no_penalty(p: Any, d: Any, xp: Any) -> Any:
        return 0.5 * xp.sum((d.X @ p.w - d.y) ** 2)

    data = {"X": rng.normal(size=(50, 20)), "y": 5 + rng.normal(size=50)}
    slips = {"l2": no_penalty}
    yield from fitted(rng, f, {"w": np.zeros(20)}, data, batch=50, slips=slips)


@family("normal-likelihood-fitted", OPTIMA)
def normal(rng: Rng) -> Iterator[Draft]:
    """Measurements about 20, mean and spread both linear in a covariate."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        mean = p.mean[0] + p.mean[1] * d.x
        log_sd = p.log_sd[0] + p.log_sd[1] * d.x
        return xp.sum(log_sd + 0.5 * ((d.y - mean) * xp.exp(-log_sd)) ** 2)

    x = rng.uniform(-1, 1, 80)
    data = {"x": x, "y": 20 + 2 * x + np.exp(0.5 * x - 0.5) * rng.normal(size=80)}
    start = {"mean": np.array([19.0, 1.0]), "log_sd": np.array([0.5, 0.0])}
    yield from fitted(rng, f, start, data, batch=80)


@family("logistic-fitted", OPTIMA)
def logistic(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        return without(p, d, xp) + 0.01 * xp.sum(p.w**2)

    def without(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.w + p.b
        return xp.mean(softplus(z, xp) - d.y * z)

    X = rng.normal(size=(90, 6))
    data = {"X": X, "y": (X[:, 0] - X[:, 1] + rng.normal(size=90) > 0.5) * 1.0}
    start = {"w": np.zeros(6), "b": np.array(0.0)}
    yield from fitted(rng, f, start, data, batch=90, slips={"l2": without})


@family("softmax-fitted", OPTIMA)
def multinomial(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        return without(p, d, xp) + 0.02 * (xp.sum(p.W**2) + xp.sum(p.b**2))

    def without(p: Any, d: Any, xp: Any) -> Any:
        return -xp.sum(d.Y * log_softmax(d.X @ p.W + p.b, xp)) / len(d.Y)

    data = {"X": rng.normal(size=(45, 4)), "Y": np.eye(3)[rng.integers(3, size=45)]}
    start = {"W": np.zeros((4, 3)), "b": np.zeros(3)}
    yield from fitted(rng, f, start, data, batch=45, slips={"l2": without})


@family("poisson-fitted", OPTIMA)
def poisson(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        eta = d.X @ p.beta + p.base
        return xp.sum(xp.exp(eta) - d.n * eta)

    X = rng.normal(size=(70, 5))
    data = {"X": X, "n": rng.poisson(np.exp(1 + 0.4 * X[:, 0])) * 1.0}
    start = {"beta": np.zeros(5), "base": np.array(0.0)}
    yield from fitted(rng, f, start, data, batch=70)


@family("tanh-network-fitted", OPTIMA)
def network(rng: Rng) -> Iterator[Draft]:
    """Trained to the end with weight decay."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        fit = 0.5 * xp.mean((xp.tanh(d.X @ p.W + p.b) @ p.v + p.c - d.y) ** 2)
        return fit + 0.0002 * (xp.sum(p.W**2) + xp.sum(p.v**2))

    X = rng.normal(size=(50, 3))
    data = {"X": X, "y": np.sin(X[:, 0]) + X[:, 1] * X[:, 2] / 2 + 0.1 * rng.normal(size=50)}
    start = {
        "W": rng.normal(size=(3, 4)),
        "b": 0.1 * rng.normal(size=4),
        "v": rng.normal(size=4),
        "c": np.array(0.0),
    }
    yield from fitted(rng, f, start, data, batch=50)

"""Logarithms of what is left of 1, as they are written without a thought: ``log(1 - p)``.

Next to 1 a probability has sixteen digits, and what it leaves of 1 the fewer the surer a sample
is: the loss is a staircase along which the slope of that sample is lost, but for long steps.  The
gradient is written in closed form, and has all its digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import HELD_OUT, TUNING, Draft, family
from .ops import softplus

Rng = np.random.Generator


def sigmoid(z: Any, xp: Any) -> Any:
    return 1 / (1 + xp.exp(-z))


@family("surest-sample", TUNING)
def surest_sample(rng: Rng) -> Iterator[Draft]:
    """Cross-entropies of logistic regressions with a sample as sure as that."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.w + p.b
        return xp.mean(softplus(z, xp) - d.y * z)

    def loss(p: Any, d: Any, xp: Any) -> Any:
        q = sigmoid(d.X @ p.w + p.b, xp)
        return -xp.mean(d.y * xp.log(q) + (1 - d.y) * xp.log(1 - q))

    for surest in (14.0, 17.0, 19.0, 20.0, 21.0, 22.0, 23.0):
        for features in (4, 12):
            X, y = rng.normal(size=(50, features)), rng.integers(2, size=50).astype(float)
            w = rng.normal(size=features)
            w *= surest / np.max(np.abs(X @ w))
            params, data = {"w": w, "b": np.array(0.1)}, {"X": X, "y": y}
            yield Draft(f"{surest:g}-{features}", "noisy", f, params, data, loss=loss)


@family("left-of-one", HELD_OUT)
def left_of_one(rng: Rng) -> Iterator[Draft]:
    """Censored observations, squashed actions and the odds of at least one hit."""

    def interval(p: Any, d: Any, xp: Any) -> Any:
        m = d.X @ p.w
        # of the difference of two logistic functions, in terms that do not cancel
        width = xp.log(-xp.expm1(d.low - d.high))
        return -xp.sum(width + (d.high - m) - softplus(d.high - m, xp) - softplus(d.low - m, xp))

    def interval_loss(p: Any, d: Any, xp: Any) -> Any:
        m = d.X @ p.w
        return -xp.sum(xp.log(sigmoid(d.high - m, xp) - sigmoid(d.low - m, xp)))

    def squashed(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.w
        return 2 * xp.sum(z + softplus(-2 * z, xp) - np.log(2.0)) + xp.sum(d.y * z) / 10

    def squashed_loss(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.w
        return -xp.sum(xp.log(1 - xp.tanh(z) ** 2)) + xp.sum(d.y * z) / 10

    def survival(p: Any, d: Any, xp: Any) -> Any:
        z = (d.t - d.X @ p.w) * xp.exp(p.s)
        return xp.sum(softplus(z, xp)) - xp.sum(d.y * (z + p.s))

    def survival_loss(p: Any, d: Any, xp: Any) -> Any:
        z = (d.t - d.X @ p.w) * xp.exp(p.s)
        return -xp.sum(xp.log(1 - sigmoid(z, xp))) - xp.sum(d.y * (z + p.s))

    forms = {
        "interval": (interval, interval_loss, 1.0),
        "squashed": (squashed, squashed_loss, 0.5),
        "survival": (survival, survival_loss, 1.0),
    }
    for surest in (15.0, 18.0, 20.0, 22.0):
        X = rng.normal(size=(30, 6))
        w = rng.normal(size=6)
        w *= surest / np.max(np.abs(X @ w))
        low = np.round(rng.normal(size=30))
        data = {"X": X, "y": rng.normal(size=30) / 4, "low": low, "high": low + 1, "t": low / 4}
        for name, (f, loss, part) in forms.items():
            params = {"w": part * w} | ({"s": np.array(-0.05)} if name == "survival" else {})
            yield Draft(f"{name}-{surest:g}", "noisy", f, params, data, loss=loss)

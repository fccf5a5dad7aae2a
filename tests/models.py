"""Small models with hand-written gradients, shared by the tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

RNG = np.random.default_rng(20)
X, Y = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 2))


class Mlp:
    """A tanh layer and a linear one with squared error; `scaled` spoils gradients by a factor."""

    def __init__(self, **scaled: float) -> None:
        rng = np.random.default_rng(7)
        self.params = {
            "W1": rng.normal(size=(3, 4)),
            "b1": rng.normal(size=4),
            "W2": rng.normal(size=(4, 2)),
            "b2": rng.normal(size=2),
        }
        self.scaled = scaled

    def _forward(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p = self.params
        hidden = np.tanh(X @ p["W1"] + p["b1"])
        return hidden, hidden @ p["W2"] + p["b2"]

    def loss(self, X: np.ndarray = X, Y: np.ndarray = Y) -> float:
        return 0.5 * np.mean(np.sum((self._forward(X)[1] - Y) ** 2, axis=1))

    def grads(self, X: np.ndarray = X, Y: np.ndarray = Y) -> dict[str, np.ndarray]:
        hidden, output = self._forward(X)
        delta = (output - Y) / len(X)
        below = delta @ self.params["W2"].T * (1 - hidden**2)
        found = {
            "W1": X.T @ below,
            "b1": below.sum(axis=0),
            "W2": hidden.T @ delta,
            "b2": delta.sum(axis=0),
        }
        return {name: g * self.scaled.get(name, 1.0) for name, g in found.items()}


def transform(function: Callable[[Any], Any], tree: Any) -> Any:
    """A structure like `tree` with `function` applied to every array and scalar in it."""
    if tree is None:
        return None
    if isinstance(tree, Mapping):
        return {key: transform(function, child) for key, child in tree.items()}
    if hasattr(tree, "_fields"):
        return type(tree)(*(transform(function, child) for child in tree))
    if isinstance(tree, (list, tuple)):
        return type(tree)(transform(function, child) for child in tree)
    return function(tree)


def value(tree: Any) -> float:
    """The sum of ``exp(0.3 x) + x**2`` over all entries x."""
    total = 0.0

    def add(x: Any) -> None:
        nonlocal total
        total += float(np.sum(np.exp(0.3 * np.asarray(x)) + np.asarray(x) ** 2))

    transform(add, tree)
    return total


def slope(tree: Any) -> Any:
    """The gradient of `value`."""
    return transform(lambda x: 0.3 * np.exp(0.3 * np.asarray(x)) + 2 * np.asarray(x), tree)


class Holder:
    """`value` and `slope` of whatever structure it is given."""

    def __init__(self, params: Any, *, factor: float = 1.0) -> None:
        self.params, self.factor = params, factor

    def loss(self) -> float:
        return value(self.params)

    def grads(self) -> Any:
        return transform(lambda g: g * self.factor, slope(self.params))


def frozen(tree: Any) -> list[tuple[int, bytes]]:
    """Identity and bytes of every array and scalar of a structure."""
    seen: list[tuple[int, bytes]] = []
    transform(lambda x: seen.append((id(x), np.asarray(x).tobytes())), tree)
    return seen

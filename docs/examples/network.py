"""A small neural network in NumPy, forward, backward and training as a course writes them.

A row of X is one sample.  A gradient check needs three of its members: `params`, `loss`, `grads`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


class Network:
    """Layers of ``Z = A W + b``, an activation after each, softmax after the last."""

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str = "relu",
        init: str = "he",
        scale: float = 1.0,
        lam: float = 0.0,
        keep_prob: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.g, self.g_prime = ACTIVATIONS[activation]
        self.lam, self.keep_prob = lam, keep_prob
        self.dropout = False  # switched on while training
        self.rng = np.random.default_rng(seed)
        self.depth = len(sizes) - 1
        self.params: dict[str, Array] = {}
        for layer, (n_in, n_out) in enumerate(pairwise(sizes), start=1):
            deviation = scale * INITIAL_DEVIATION[init](n_in, n_out)
            self.params[f"W{layer}"] = self.rng.normal(0.0, deviation, size=(n_in, n_out))
            self.params[f"b{layer}"] = np.zeros(n_out)

    def forward(self, X: Array) -> tuple[dict[int, Array], dict[int, Array], dict[int, Array]]:
        """Activations A, their arguments Z and the dropout masks D, by layer; A[0] is X."""
        A, Z, D = {0: X}, {}, {}
        for layer in range(1, self.depth + 1):
            Z[layer] = A[layer - 1] @ self.params[f"W{layer}"] + self.params[f"b{layer}"]
            if layer < self.depth:
                D[layer] = self.mask(Z[layer].shape)
                A[layer] = self.g(Z[layer]) * D[layer]
        return A, Z, D

    def mask(self, shape: tuple[int, ...]) -> Array:
        """Inverted dropout: a kept unit is divided by keep_prob, so that its mean stays."""
        if not self.dropout:
            return np.ones(shape)
        return (self.rng.random(shape) < self.keep_prob) / self.keep_prob

    def loss(self, X: Array, y: Labels) -> float:
        """J = mean cross-entropy + lambda / 2m * sum of all W^2."""
        _, Z, _ = self.forward(X)
        weights = [W for name, W in self.params.items() if name.startswith("W")]
        penalty = self.lam / (2 * len(X)) * sum(np.sum(W**2) for W in weights)
        return float(self.cross_entropy(Z[self.depth], y) + penalty)

    def cross_entropy(self, Z: Array, y: Labels) -> float:
        """Mean of -log softmax(Z) at the true class."""
        return float(-np.mean(log_softmax(Z)[np.arange(len(y)), y]))

    def grads(self, X: Array, y: Labels) -> dict[str, Array]:
        """Backpropagation: from dZ of the last layer down to dW and db of the first."""
        A, Z, D = self.forward(X)
        grads = {}
        dZ = self.d_output(Z[self.depth], y)
        for layer in range(self.depth, 0, -1):
            grads[f"W{layer}"] = self.d_weights(layer, A[layer - 1], dZ)
            grads[f"b{layer}"] = self.d_bias(dZ)
            if layer > 1:
                dA = self.d_input(layer, dZ) * D[layer - 1]
                dZ = self.d_activation(dA, Z[layer - 1])
        return grads

    def d_output(self, Z: Array, y: Labels) -> Array:
        """Softmax and cross-entropy together: dZ = P - Y, with Y one-hot."""
        return np.exp(log_softmax(Z)) - np.eye(Z.shape[1])[y]

    def d_weights(self, layer: int, A: Array, dZ: Array) -> Array:
        """Of the weights: dW = 1/m A^T dZ + lambda/m W."""
        return (A.T @ dZ + self.lam * self.params[f"W{layer}"]) / len(dZ)

    def d_bias(self, dZ: Array) -> Array:
        """Of the biases: db = 1/m sum of dZ over the samples."""
        return dZ.sum(axis=0) / len(dZ)

    def d_input(self, layer: int, dZ: Array) -> Array:
        """Of the activations below: dA = dZ W^T."""
        return dZ @ self.params[f"W{layer}"].T

    def d_activation(self, dA: Array, Z: Array) -> Array:
        """Through an activation: dZ = dA * g'(Z)."""
        return dA * self.g_prime(Z)

    def train(self, X: Array, y: Labels, *, epochs: int, rate: float, batch: int = 32) -> None:
        """Mini-batch gradient descent: theta := theta - rate * gradient."""
        self.dropout = self.keep_prob < 1
        for _ in range(epochs):
            order = self.rng.permutation(len(X))
            for rows in np.split(order, range(batch, len(X), batch)):
                grads = self.grads(X[rows], y[rows])
                for name, theta in self.params.items():
                    theta -= rate * grads[name]
        self.dropout = False

    def accuracy(self, X: Array, y: Labels) -> float:
        """Share of samples whose largest output is at the true class."""
        _, Z, _ = self.forward(X)
        return float(np.mean(Z[self.depth].argmax(axis=1) == y))


def relu(Z: Array) -> Array:
    return np.maximum(0.0, Z)


def relu_prime(Z: Array) -> Array:
    return (Z > 0).astype(float)


def tanh_prime(Z: Array) -> Array:
    return 1 - np.tanh(Z) ** 2


def sigmoid(Z: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * Z))  # = 1 / (1 + exp(-Z)), without overflow


def sigmoid_prime(Z: Array) -> Array:
    return sigmoid(Z) * (1 - sigmoid(Z))


def log_softmax(Z: Array) -> Array:
    Z = Z - Z.max(axis=1, keepdims=True)  # so that exp cannot overflow
    return Z - np.log(np.exp(Z).sum(axis=1, keepdims=True))


ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "relu": (relu, relu_prime),
    "tanh": (np.tanh, tanh_prime),
    "sigmoid": (sigmoid, sigmoid_prime),
}

INITIAL_DEVIATION = {
    "he": lambda n_in, n_out: np.sqrt(2 / n_in),  # for ReLU, which drops half of its inputs
    "xavier": lambda n_in, n_out: np.sqrt(2 / (n_in + n_out)),  # for tanh and sigmoid
}

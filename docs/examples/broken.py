"""Networks whose gradient is wrong, each in one small way that training survives."""

from __future__ import annotations

import numpy as np
from network import Array, Labels, Network, log_softmax


class ForgottenRegularisation(Network):
    def d_weights(self, layer: int, A: Array, dZ: Array) -> Array:
        return A.T @ dZ / len(dZ)  # lambda/m W is in the loss alone


class WrongSign(Network):
    def d_output(self, Z: Array, y: Labels) -> Array:
        return np.eye(Z.shape[1])[y] - np.exp(log_softmax(Z))  # Y - P


class TransposedProduct(Network):
    def d_input(self, layer: int, dZ: Array) -> Array:
        return dZ @ self.params[f"W{layer}"]  # fits, as the layers have equal sizes


class SlopeOfWrongArray(Network):
    def d_activation(self, dA: Array, Z: Array) -> Array:
        return dA * self.g_prime(dA)  # where the gradient is positive, not where Z is


class MissingMean(Network):
    def d_bias(self, dZ: Array) -> Array:
        return dZ.sum(axis=0)  # no 1/m


class RegularisedBias(Network):
    """Right as long as b = 0, as it is at initialisation."""

    def grads(self, X: Array, y: Labels) -> dict[str, Array]:
        grads = super().grads(X, y)
        for layer in range(1, self.depth + 1):
            grads[f"b{layer}"] += self.lam / len(X) * self.params[f"b{layer}"]
        return grads


class GuardedLogarithm(Network):
    """Not wrong, but imprecise: the guard is in the loss and not in its derivative."""

    guard = 1e-7

    def cross_entropy(self, Z: Array, y: Labels) -> float:
        P = np.exp(log_softmax(Z))
        return float(-np.mean(np.log(P[np.arange(len(y)), y] + self.guard)))

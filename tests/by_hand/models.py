"""Models made of layers, and a few that are not; each takes flat images and their labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .layers import (
    Array,
    Attention,
    Convolution,
    Dense,
    Layer,
    Lstm,
    Mean,
    Normalisation,
    Recurrent,
    Relu,
    Reshape,
    Residual,
    Sigmoid,
    Tanh,
    softmax,
)

Rng = np.random.Generator


class Model:
    """What all models share: parameters by name, a penalty, plain gradient descent.

    Parameters
    ----------
    lam, l1 : float
        ``lam / 2 * sum W^2`` and ``l1 * sum |W|`` over all weights, not over biases.
    """

    takes_mean = True

    def __init__(self, lam: float = 0.0, l1: float = 0.0) -> None:
        self.lam, self.l1 = lam, l1
        self.params: dict[str, Array] = {}

    def loss(self, X: Array, y: Any) -> float:
        weights = [self.params[name] for name in self.weights]
        penalty = sum(self.lam / 2 * np.sum(W**2) + self.l1 * np.sum(np.abs(W)) for W in weights)
        return float(self.data_loss(X, y) + penalty)

    def grads(self, X: Array, y: Any) -> dict[str, Array]:
        grads = self.data_grads(X, y)
        for name in self.weights:
            W = self.params[name]
            grads[name] = grads[name] + self.lam * W + self.l1 * np.sign(W)
        return grads

    def data_loss(self, X: Array, y: Any) -> float:
        raise NotImplementedError

    def data_grads(self, X: Array, y: Any) -> dict[str, Array]:
        raise NotImplementedError

    @property
    def weights(self) -> list[str]:
        return [name for name, theta in self.params.items() if theta.ndim > 1]

    def shake(self, rng: Rng, size: float = 0.1) -> None:
        """Away from zero biases, as a little training does."""
        for theta in self.params.values():
            theta += size * rng.normal(size=theta.shape)

    def train(self, X: Array, y: Any, *, steps: int, rate: float, rng: Rng) -> None:
        for _ in range(steps):
            rows = rng.choice(len(X), size=min(64, len(X)), replace=False)
            self.loss(X[rows], y[rows])
            for name, g in self.grads(X[rows], y[rows]).items():
                self.params[name] -= rate * g


class Stack(Model):
    """Layers, then softmax and cross-entropy: mean over the samples."""

    def __init__(self, layers: Sequence[Layer], lam: float = 0.0) -> None:
        super().__init__(lam)
        self.layers = list(layers)
        self.names: list[dict[str, str]] = []
        numbers: dict[str, int] = {}
        for layer in self.layers:
            of = {}
            for key in layer.params:
                numbers[key] = numbers.get(key, 0) + 1
                of[key] = f"{key}{numbers[key]}"
            self.names.append(of)
        for layer, of in zip(self.layers, self.names, strict=True):
            self.params |= {of[key]: theta for key, theta in layer.params.items()}

    def output(self, X: Array) -> Array:
        for layer in self.layers:
            X = layer.forward(X)
        return X

    def data_loss(self, X: Array, y: Any) -> float:
        z = self.output(X)
        z = z - z.max(axis=1, keepdims=True)
        log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        return float(-np.mean(log_p[np.arange(len(y)), y]))

    def d_output(self, z: Array, y: Any) -> Array:
        return (softmax(z) - np.eye(z.shape[1])[y]) / len(y)

    def data_grads(self, X: Array, y: Any) -> dict[str, Array]:
        up, grads = self.d_output(self.output(X), y), {}
        for layer, of in zip(self.layers[::-1], self.names[::-1], strict=True):
            up, own = layer.backward(up)
            grads |= {of[key]: g for key, g in own.items()}
        return {name: grads[name] for name in self.params}


class SquaredError(Stack):
    """Half the squared error to one-hot labels: summed over the samples."""

    takes_mean = False

    def data_loss(self, X: Array, y: Any) -> float:
        z = self.output(X)
        return 0.5 * float(np.sum((z - np.eye(z.shape[1])[y]) ** 2))

    def d_output(self, z: Array, y: Any) -> Array:
        return z - np.eye(z.shape[1])[y]


class Gaussian(Model):
    """Negative log likelihood of samples, N(mu, (L L^T)^-1) with log_d the logarithm of diag L."""

    def __init__(self, rng: Rng, size: int) -> None:
        super().__init__()
        self.params = {
            "mu": np.zeros(size),
            "L": np.tril(he_like(rng, size), -1),
            "log_d": np.zeros(size),
        }

    def data_loss(self, X: Array, y: Any) -> float:
        z = (X[:, : self._n] - self.params["mu"]) @ self._root()
        return float(0.5 * np.mean(np.sum(z**2, axis=1)) - np.sum(self.params["log_d"]))

    def data_grads(self, X: Array, y: Any) -> dict[str, Array]:
        gap = X[:, : self._n] - self.params["mu"]
        root = self._root()
        z = gap @ root
        d_root = gap.T @ z / len(X)
        return {
            "mu": -(z @ root.T).mean(axis=0),
            "L": np.tril(d_root, -1),
            "log_d": np.diag(d_root) * np.exp(self.params["log_d"]) - 1,
        }

    @property
    def _n(self) -> int:
        return len(self.params["mu"])

    def _root(self) -> Array:
        return np.tril(self.params["L"], -1) + np.diag(np.exp(self.params["log_d"]))


class Logistic(Model):
    """One class against the others, with an L1 penalty."""

    def __init__(self, rng: Rng, size: int, l1: float) -> None:
        super().__init__(l1=l1)
        self.params = {"w": rng.normal(size=(size, 1)) / np.sqrt(size), "b": np.zeros(1)}

    def data_loss(self, X: Array, y: Any) -> float:
        z = X @ self.params["w"][:, 0] + self.params["b"][0]
        return float(np.mean(np.logaddexp(0, z) - (y == 1) * z))

    def data_grads(self, X: Array, y: Any) -> dict[str, Array]:
        z = X @ self.params["w"][:, 0] + self.params["b"][0]
        dz = (0.5 * (1 + np.tanh(z / 2)) - (y == 1)) / len(y)
        return {"w": (X.T @ dz)[:, None], "b": np.array([dz.sum()])}


class Poisson(Model):
    """Counts with a logarithmic link: mean of exp(z) - y z."""

    def __init__(self, rng: Rng, size: int) -> None:
        super().__init__(lam=0.02)
        self.params = {"w": rng.normal(size=(size, 1)) / size, "b": np.zeros(1)}

    def data_loss(self, X: Array, y: Any) -> float:
        z = X @ self.params["w"][:, 0] + self.params["b"][0]
        return float(np.mean(np.exp(z) - y * z))

    def data_grads(self, X: Array, y: Any) -> dict[str, Array]:
        z = X @ self.params["w"][:, 0] + self.params["b"][0]
        dz = (np.exp(z) - y) / len(y)
        return {"w": (X.T @ dz)[:, None], "b": np.array([dz.sum()])}


def he_like(rng: Rng, size: int) -> Array:
    return rng.normal(0.0, np.sqrt(1 / size), size=(size, size))


# Each takes a generator, the side of the images, the number of classes and a width.

Build = Callable[[Rng, int, int, int], Model]


def _tanh(rng: Rng, side: int, k: int, n: int) -> Model:
    layers = [Dense(rng, side**2, n), Tanh(), Dense(rng, n, n), Tanh(), Dense(rng, n, k)]
    return Stack(layers, lam=0.03)


def _relu(rng: Rng, side: int, k: int, n: int) -> Model:
    layers: list[Layer] = [Dense(rng, side**2, n), Relu()]
    layers += [Dense(rng, n, n), Relu(), Dense(rng, n, n), Relu(), Dense(rng, n, k)]
    return Stack(layers)


def _sigmoid(rng: Rng, side: int, k: int, n: int) -> Model:
    return SquaredError([Dense(rng, side**2, n), Sigmoid(), Dense(rng, n, k)], lam=0.1)


def _convolution(rng: Rng, side: int, k: int, n: int) -> Model:
    channels, rest = max(2, n // 2), (side - 4) ** 2
    return Stack(
        [
            Reshape(1, side, side),
            *(Convolution(rng, 1, channels), Tanh()),
            *(Convolution(rng, channels, channels), Relu()),
            *(Reshape(channels * rest), Dense(rng, channels * rest, k)),
        ],
        lam=0.01,
    )


def _batch_norm(rng: Rng, side: int, k: int, n: int) -> Model:
    first = Dense(rng, side**2, n, bias=False)
    return Stack([first, Normalisation(n, 0), Tanh(), Dense(rng, n, k)], lam=0.02)


def _layer_norm(rng: Rng, side: int, k: int, n: int) -> Model:
    return Stack(
        [Dense(rng, side**2, n), Normalisation(n, -1), Tanh(), Dense(rng, n, n), Relu(),
         Dense(rng, n, k)]
    )  # fmt: skip


def _attention(rng: Rng, side: int, k: int, n: int) -> Model:
    return Stack(
        [Reshape(side, side), Dense(rng, side, n), Attention(rng, n), Mean(), Dense(rng, n, k)]
    )


def _lstm(rng: Rng, side: int, k: int, n: int) -> Model:
    return Stack([Reshape(side, side), Lstm(rng, side, n), Dense(rng, n, k)], lam=0.01)


def _recurrent(rng: Rng, side: int, k: int, n: int) -> Model:
    return Stack([Reshape(side, side), Recurrent(rng, side, n), Dense(rng, n, k)])


def _residual(rng: Rng, side: int, k: int, n: int) -> Model:
    layers = [Dense(rng, side**2, n), Residual(rng, n), Residual(rng, n), Dense(rng, n, k)]
    return Stack(layers, lam=0.05)


MODELS: dict[str, Build] = {
    "tanh layers, L2": _tanh,
    "ReLU layers": _relu,
    "sigmoid, squared error": _sigmoid,
    "convolution": _convolution,
    "batch normalisation": _batch_norm,
    "layer normalisation": _layer_norm,
    "attention": _attention,
    "LSTM": _lstm,
    "softmax regression": lambda rng, side, k, n: Stack([Dense(rng, side**2, k)], lam=0.05),
    "Gaussian likelihood": lambda rng, side, k, n: Gaussian(rng, min(n, side**2)),
    "logistic regression, L1": lambda rng, side, k, n: Logistic(rng, side**2, 0.02),
}
HELD_BACK_MODELS: dict[str, Build] = {
    "residual layers": _residual,
    "recurrent layer": _recurrent,
    "Poisson regression": lambda rng, side, k, n: Poisson(rng, side**2),
}


def synthetic(rng: Rng, m: int, side: int, k: int) -> tuple[Array, Any]:
    """Images of noise with labels that depend on them a little."""
    X, y = rng.normal(size=(m, side**2)), rng.integers(k, size=m)
    return X + 0.5 * rng.normal(size=(k, side**2))[y], y


def digits() -> tuple[Array, Any]:
    """1797 images of 8 x 8, each feature with mean 0 and variance at most 1."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return (X - X.mean(axis=0)) / (X.std(axis=0) + 1), y

"""Layers with their derivatives: ``forward(x)``, then ``backward(up)`` gives ``(dx, grads)``.

A row of x is a sample.  `up` is the gradient of the loss by what `forward` returned.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Backward = tuple[Array, dict[str, Array]]


class Layer:
    """A layer without parameters of its own, unless it sets some."""

    params: dict[str, Array]

    def __init__(self) -> None:
        self.params = {}

    def forward(self, x: Array) -> Array:
        raise NotImplementedError

    def backward(self, up: Array) -> Backward:
        raise NotImplementedError


def he(rng: np.random.Generator, n_in: int, *shape: int) -> Array:
    return rng.normal(0.0, np.sqrt(2 / n_in), size=shape)


class Dense(Layer):
    """``x W + b``, over the last axis."""

    def __init__(self, rng: np.random.Generator, n_in: int, n_out: int, bias: bool = True) -> None:
        self.params = {"W": he(rng, n_in, n_in, n_out)}
        if bias:
            self.params["b"] = np.zeros(n_out)

    def forward(self, x: Array) -> Array:
        self.x = x
        return x @ self.params["W"] + self.params.get("b", 0.0)

    def backward(self, up: Array) -> Backward:
        flat, rows = self.x.reshape(-1, self.x.shape[-1]), up.reshape(-1, up.shape[-1])
        grads = {"W": flat.T @ rows}
        if "b" in self.params:
            grads["b"] = rows.sum(axis=0)
        return up @ self.params["W"].T, grads


class Tanh(Layer):
    def forward(self, x: Array) -> Array:
        self.x, self.y = x, np.tanh(x)
        return self.y

    def backward(self, up: Array) -> Backward:
        return up * (1 - self.y**2), {}


class Relu(Layer):
    def forward(self, x: Array) -> Array:
        self.x, self.y = x, np.maximum(x, 0.0)
        return self.y

    def backward(self, up: Array) -> Backward:
        return up * (self.x > 0), {}


class Sigmoid(Layer):
    def forward(self, x: Array) -> Array:
        self.x, self.y = x, sigmoid(x)
        return self.y

    def backward(self, up: Array) -> Backward:
        return up * self.y * (1 - self.y), {}


class Reshape(Layer):
    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Array) -> Array:
        self.before = x.shape
        return x.reshape(len(x), *self.shape)

    def backward(self, up: Array) -> Backward:
        return up.reshape(self.before), {}


class Mean(Layer):
    """Mean over the positions of a sequence."""

    def forward(self, x: Array) -> Array:
        self.length = x.shape[1]
        return x.mean(axis=1)

    def backward(self, up: Array) -> Backward:
        return np.repeat(up[:, None] / self.length, self.length, axis=1), {}


class Convolution(Layer):
    """Correlation with kernels K of shape (out, in, k, k), without padding, and a bias c."""

    def __init__(self, rng: np.random.Generator, n_in: int, n_out: int, k: int = 3) -> None:
        self.params = {"K": he(rng, n_in * k * k, n_out, n_in, k, k), "c": np.zeros(n_out)}

    def forward(self, x: Array) -> Array:
        self.x = x
        rows, columns = (length - self.k + 1 for length in x.shape[2:])
        y = np.zeros((len(x), len(self.params["c"]), rows, columns))
        for i, j, patch in self._patches(x, rows, columns):
            y += np.einsum("oc,nchw->nohw", self.params["K"][:, :, i, j], patch)
        return y + self.params["c"][:, None, None]

    def backward(self, up: Array) -> Backward:
        dK, dx = np.zeros_like(self.params["K"]), np.zeros_like(self.x)
        for i, j, patch in self._patches(self.x, *up.shape[2:]):
            dK[:, :, i, j] = np.einsum("nohw,nchw->oc", up, patch)
            back = np.einsum("oc,nohw->nchw", self.params["K"][:, :, i, j], up)
            dx[:, :, i : i + up.shape[2], j : j + up.shape[3]] += back
        return dx, {"K": dK, "c": up.sum(axis=(0, 2, 3))}

    @property
    def k(self) -> int:
        return self.params["K"].shape[-1]

    def _patches(self, x: Array, rows: int, columns: int) -> Any:
        for i in range(self.k):
            for j in range(self.k):
                yield i, j, x[:, :, i : i + rows, j : j + columns]


class Normalisation(Layer):
    """Batch normalisation (axis 0) or layer normalisation (axis -1), then gamma and beta."""

    def __init__(self, size: int, axis: int) -> None:
        self.axis = axis
        self.params = {"gamma": np.ones(size), "beta": np.zeros(size)}

    def forward(self, x: Array) -> Array:
        gap = x - x.mean(axis=self.axis, keepdims=True)
        self.scale = 1 / np.sqrt((gap**2).mean(axis=self.axis, keepdims=True) + 1e-5)
        self.z = gap * self.scale
        return self.params["gamma"] * self.z + self.params["beta"]

    def backward(self, up: Array) -> Backward:
        dz = up * self.params["gamma"]
        along = {"axis": self.axis, "keepdims": True}
        dx = dz - dz.mean(**along) - self.z * (dz * self.z).mean(**along)
        return self.scale * dx, {"gamma": (up * self.z).sum(axis=0), "beta": up.sum(axis=0)}


class Attention(Layer):
    """One head of self-attention: softmax(Q K^T / sqrt(d)) V Wo."""

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        self.params = {name: he(rng, size, size, size) for name in ("Wq", "Wk", "Wv", "Wo")}

    def forward(self, x: Array) -> Array:
        self.x, p = x, self.params
        self.q, self.k, self.v = x @ p["Wq"], x @ p["Wk"], x @ p["Wv"]
        self.root = np.sqrt(x.shape[-1])
        self.a = softmax(self.q @ self.k.transpose(0, 2, 1) / self.root)
        self.h = self.a @ self.v
        return self.h @ p["Wo"]

    def backward(self, up: Array) -> Backward:
        p = self.params
        dh = up @ p["Wo"].T
        ds = self.d_softmax(dh @ self.v.transpose(0, 2, 1)) / self.root
        dv, dq, dk = self.a.transpose(0, 2, 1) @ dh, ds @ self.k, ds.transpose(0, 2, 1) @ self.q
        dx = dq @ p["Wq"].T + dk @ p["Wk"].T + dv @ p["Wv"].T
        by = {"Wq": (self.x, dq), "Wk": (self.x, dk), "Wv": (self.x, dv), "Wo": (self.h, up)}
        return dx, {k: np.einsum("bti,btj->ij", a, d) for k, (a, d) in by.items()}

    def d_softmax(self, da: Array) -> Array:
        return self.a * (da - (da * self.a).sum(axis=-1, keepdims=True))


class Lstm(Layer):
    """A long short-term memory over the positions of a sequence; its last hidden state."""

    def __init__(self, rng: np.random.Generator, n_in: int, size: int) -> None:
        self.size = size
        self.params = {
            "Wx": he(rng, n_in, n_in, 4 * size),
            "Wh": he(rng, size, size, 4 * size),
            "b": np.zeros(4 * size),
        }

    def forward(self, x: Array) -> Array:
        self.x, p, n = x, self.params, self.size
        h = c = np.zeros((len(x), n))
        self.steps = []
        for t in range(x.shape[1]):
            z = x[:, t] @ p["Wx"] + h @ p["Wh"] + p["b"]
            i, f, o = (sigmoid(z[:, k * n : (k + 1) * n]) for k in range(3))
            g = np.tanh(z[:, 3 * n :])
            before = h, c
            c = f * c + i * g
            h = o * np.tanh(c)
            self.steps.append((*before, i, f, o, g, c))
        return h

    def backward(self, up: Array) -> Backward:
        p, grads = self.params, {k: np.zeros_like(v) for k, v in self.params.items()}
        dx, dh, dc = np.zeros_like(self.x), up, np.zeros_like(up)
        for t in reversed(range(self.x.shape[1])):
            h, c, i, f, o, g, after = self.steps[t]
            dc = dc + dh * o * (1 - np.tanh(after) ** 2)
            dz = np.concatenate(
                [
                    dc * g * i * (1 - i),
                    dc * c * f * (1 - f),
                    dh * np.tanh(after) * o * (1 - o),
                    dc * i * (1 - g**2),
                ],
                axis=1,
            )
            grads["Wx"] += self.x[:, t].T @ dz
            grads["Wh"] += h.T @ dz
            grads["b"] += dz.sum(axis=0)
            dx[:, t], dh, dc = dz @ p["Wx"].T, dz @ p["Wh"].T, dc * f
        return dx, grads


class Recurrent(Layer):
    """``h = tanh(x Wx + h Wh + b)`` over the positions of a sequence; the last h."""

    def __init__(self, rng: np.random.Generator, n_in: int, size: int) -> None:
        self.params = {
            "Wx": he(rng, n_in, n_in, size),
            "Wh": he(rng, size, size, size),
            "b": np.zeros(size),
        }

    def forward(self, x: Array) -> Array:
        self.x, p = x, self.params
        self.h = [np.zeros((len(x), len(p["b"])))]
        for t in range(x.shape[1]):
            self.h.append(np.tanh(x[:, t] @ p["Wx"] + self.h[-1] @ p["Wh"] + p["b"]))
        return self.h[-1]

    def backward(self, up: Array) -> Backward:
        p, grads = self.params, {k: np.zeros_like(v) for k, v in self.params.items()}
        dx = np.zeros_like(self.x)
        for t in reversed(range(self.x.shape[1])):
            dz = up * (1 - self.h[t + 1] ** 2)
            grads["Wx"] += self.x[:, t].T @ dz
            grads["Wh"] += self.h[t].T @ dz
            grads["b"] += dz.sum(axis=0)
            dx[:, t], up = dz @ p["Wx"].T, dz @ p["Wh"].T
        return dx, grads


class Residual(Layer):
    """``x + tanh(x W + b)``."""

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        self.inner = [Dense(rng, size, size), Tanh()]
        self.params = self.inner[0].params

    def forward(self, x: Array) -> Array:
        return x + self.inner[1].forward(self.inner[0].forward(x))

    def backward(self, up: Array) -> Backward:
        through, grads = self.inner[0].backward(self.inner[1].backward(up)[0])
        return up + through, grads


def sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * x))


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)

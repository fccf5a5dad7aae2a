"""Neural networks and their layers in plain NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from .base import HELD_OUT, TUNING, Arrays, Draft, family
from .ops import first_max, log_softmax, logsumexp, relu, sigmoid, softmax, softplus, value
from .variants import inside_float32, jittered, offset, rescaled, shaken, stepped, with_unused

Rng = np.random.Generator


def layers(rng: Rng, sizes: list[int], gain: float = 1.0) -> Arrays:
    out: Arrays = {}
    for i, (a, b) in enumerate(pairwise(sizes), 1):
        out[f"W{i}"] = gain * rng.normal(size=(a, b)) / np.sqrt(a)
        out[f"b{i}"] = 0.1 * rng.normal(size=b)
    return out


def forward(p: Any, x: Any, act: Any, xp: Any) -> Any:
    """The pre-activation of the last layer."""
    depth = len(vars(p)) // 2
    for i in range(1, depth + 1):
        x = x @ getattr(p, f"W{i}") + getattr(p, f"b{i}")
        if i < depth:
            x = act(x, xp)
    return x


def tanh(x: Any, xp: Any) -> Any:
    return xp.tanh(x)


def gelu(x: Any, xp: Any) -> Any:
    return 0.5 * x * (1 + xp.tanh(0.7978845608 * (x + 0.044715 * x**3)))


def elu(x: Any, xp: Any) -> Any:
    up = relu(x, xp)
    return up + xp.exp(x - up) - 1


def swish(x: Any, xp: Any) -> Any:
    return x * sigmoid(x, xp)


def classes(rng: Rng, m: int, n: int, k: int) -> dict[str, Any]:
    return {"X": rng.normal(size=(m, n)), "Y": np.eye(k)[rng.integers(k, size=m)]}


@family("mlp-tanh", TUNING)
def mlp_tanh(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        z = forward(p, d.X, tanh, xp)
        return -xp.mean(xp.sum(d.Y * log_softmax(z, xp), axis=1))

    def linear(p: Any, d: Any, xp: Any) -> Any:
        # Somebody forgot the derivative of the activation.
        h = d.X @ p.W1 + p.b1
        h = h + value(xp.tanh(h) - h)
        return -xp.mean(xp.sum(d.Y * log_softmax(h @ p.W2 + p.b2, xp), axis=1))

    base = Draft("5-7-3", "smooth", f, layers(rng, [5, 7, 3]), classes(rng, 20, 5, 3), batch=20)
    base = base.but(slips={"linear hidden layer": linear})
    yield base
    yield offset(base)
    yield rescaled(base, rng, 5)
    yield inside_float32(base)
    yield inside_float32(base, "params")
    yield inside_float32(base, "claim")
    yield jittered(base, 1e-9)
    yield with_unused(base, rng)
    deep = layers(rng, [6, 6, 6, 6, 6, 3])
    yield Draft("deep", "smooth", f, deep, classes(rng, 10, 6, 3), batch=10)
    yield Draft("wide", "smooth", f, layers(rng, [20, 40, 10]), classes(rng, 16, 20, 10), batch=16)


@family("mlp-relu", HELD_OUT)
def mlp_relu(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        z = forward(p, d.X, relu, xp)
        l2 = sum(xp.sum(w**2) for k, w in vars(p).items() if k[0] == "W")
        return -xp.sum(d.Y * log_softmax(z, xp)) / len(d.Y) + 0.5 * d.l2 * l2

    def no_l2(p: Any, d: Any, xp: Any) -> Any:
        return -xp.sum(d.Y * log_softmax(forward(p, d.X, relu, xp), xp)) / len(d.Y)

    def first_l2_only(p: Any, d: Any, xp: Any) -> Any:
        return no_l2(p, d, xp) + 0.5 * d.l2 * xp.sum(p.W1**2)

    data = {**classes(rng, 20, 6, 4), "l2": 0.125}
    slips = {"l2": no_l2, "l2 of the upper layers": first_l2_only}
    base = Draft("6-8-8-4", "smooth", f, layers(rng, [6, 8, 8, 4]), data, batch=20, slips=slips)
    yield base
    yield offset(base)
    yield inside_float32(base)
    yield inside_float32(base, "params")
    yield inside_float32(base, "claim")
    yield shaken(base, 1e-10)
    yield jittered(base, 1e-12)
    yield with_unused(base, rng, (4, 2))
    dead = {k: v.copy() for k, v in base.params.items()}
    dead["b2"] -= 50
    yield base.but(
        variant="dead-layer", kind="zero-block", params=dead, slips={}, data={**data, "l2": 0.0}
    )
    units = {k: v.copy() for k, v in base.params.items()}
    units["b1"][::2] -= 50
    yield base.but(
        variant="dead-units", kind="zero-block", params=units, data={**data, "l2": 0.0}, slips={}
    )


@family("mlp-sigmoid", TUNING)
def mlp_sigmoid(rng: Rng) -> Iterator[Draft]:
    """The textbook's network: sigmoid units, cross-entropy of each output, L2 of the weights."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        h = sigmoid(d.X @ p.T1.T + p.c1, xp)
        z = h @ p.T2.T + p.c2
        penalty = 0.5 * d.lam * (xp.sum(p.T1**2) + xp.sum(p.T2**2))
        return (xp.sum(softplus(z, xp) - d.Y * z) + penalty) / len(d.X)

    def grad(p: Any, d: Any) -> Arrays:
        h = 1 / (1 + np.exp(-(d.X @ p.T1.T + p.c1)))
        m = len(d.X)
        out = (1 / (1 + np.exp(-(h @ p.T2.T + p.c2))) - d.Y) / m
        hidden = out @ p.T2 * h * (1 - h)
        return {
            "T1": hidden.T @ d.X + d.lam / m * p.T1,
            "c1": hidden.sum(axis=0),
            "T2": out.T @ h + d.lam / m * p.T2,
            "c2": out.sum(axis=0),
        }

    params = {
        "T1": rng.normal(size=(6, 5)),
        "c1": rng.normal(size=6),
        "T2": rng.normal(size=(3, 6)),
        "c2": rng.normal(size=3),
    }
    data = {**classes(rng, 30, 5, 3), "lam": 1.0}
    base = Draft("5-6-3", "smooth", f, params, data, grad=grad, batch=30)
    yield base
    yield inside_float32(base)
    yield offset(base, 1e5)


@family("mlp-gelu", HELD_OUT)
def mlp_gelu(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        return 0.5 * xp.mean((forward(p, d.X, gelu, xp) - d.Y) ** 2)

    data = {"X": rng.normal(size=(15, 6)), "Y": rng.normal(size=(15, 2))}
    base = Draft("6-10-2", "smooth", f, layers(rng, [6, 10, 2]), data, batch=15)
    yield base
    yield rescaled(base, rng, 7)
    yield stepped(base, 1e-2, 0.125)


@family("mlp-elu", TUNING)
def mlp_elu(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum((forward(p, d.X, elu, xp) - d.Y) ** 2)

    data = {"X": rng.normal(size=(15, 4)), "Y": rng.normal(size=(15, 2))}
    yield Draft("4-9-2", "smooth", f, layers(rng, [4, 9, 2]), data, batch=15)


@family("mlp-swish", HELD_OUT)
def mlp_swish(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        return xp.mean(softplus(-d.s * forward(p, d.X, swish, xp)[:, 0], xp))

    data = {"X": rng.normal(size=(25, 10)), "s": rng.choice([-1.0, 1.0], 25)}
    yield Draft("10-10-1", "smooth", f, layers(rng, [10, 10, 1]), data, batch=25)


def convolve(x: Any, w: Any, xp: Any) -> Any:
    """Valid correlation: x is (m, channels, h, w), w is (out, channels, kh, kw)."""
    h, v = x.shape[2] - w.shape[2] + 1, x.shape[3] - w.shape[3] + 1
    total: Any = 0.0
    for i in range(w.shape[2]):
        for j in range(w.shape[3]):
            total = total + xp.einsum("mchv,oc->mohv", x[:, :, i : i + h, j : j + v], w[:, :, i, j])
    return total


def pool(x: Any, xp: Any) -> Any:
    """2 x 2 maximum."""
    m, c, h, v = x.shape
    x = xp.reshape(x, (m, c, h // 2, 2, v // 2, 2))
    x = xp.reshape(xp.transpose(x, (0, 1, 2, 4, 3, 5)), (m, c, h // 2, v // 2, 4))
    return first_max(x, xp)


@family("convnet", TUNING)
def convnet(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        h = xp.tanh(convolve(d.X, p.K, xp) + xp.reshape(p.c, (1, -1, 1, 1)))
        h = xp.reshape(pool(h, xp), (len(d.X), -1))
        return -xp.mean(xp.sum(d.Y * log_softmax(h @ p.W + p.b, xp), axis=1))

    params = {
        "K": 0.5 * rng.normal(size=(3, 2, 3, 3)),
        "c": 0.1 * rng.normal(size=3),
        "W": rng.normal(size=(12, 3)) / 3,
        "b": rng.normal(size=3),
    }
    data = {"X": rng.normal(size=(5, 2, 6, 6)), "Y": np.eye(3)[rng.integers(3, size=5)]}
    base = Draft("pool", "smooth", f, params, data, batch=5)
    yield base
    yield inside_float32(base)


@family("conv1d", HELD_OUT)
def conv1d(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        h = softplus(convolve(d.X, p.K1, xp), xp)
        h = xp.mean(convolve(h, p.K2, xp), axis=(2, 3))
        return 0.5 * xp.sum((h - d.Y) ** 2)

    def flipped(p: Any, d: Any, xp: Any) -> Any:
        # Convolution taken for correlation.
        h = softplus(convolve(d.X, p.K1, xp), xp)
        h = xp.mean(convolve(h, p.K2[:, :, ::-1], xp), axis=(2, 3))
        return 0.5 * xp.sum((h - d.Y) ** 2)

    params = {"K1": rng.normal(size=(3, 2, 4, 1)), "K2": rng.normal(size=(2, 3, 3, 1))}
    data = {"X": rng.normal(size=(4, 2, 14, 1)), "Y": rng.normal(size=(4, 2))}
    yield Draft("two-layers", "smooth", f, params, data, batch=4, slips={"flipped kernel": flipped})


@family("batch-norm", HELD_OUT)
def batch_norm(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.W + p.b
        gap = z - xp.mean(z, axis=0)
        h = p.gamma * gap / xp.sqrt(xp.mean(gap**2, axis=0) + d.eps) + p.beta
        return xp.mean(xp.tanh(h) * d.T)

    def mean_frozen(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.W + p.b
        gap = z - value(xp.mean(z, axis=0))
        h = p.gamma * gap / xp.sqrt(xp.mean(gap**2, axis=0) + d.eps) + p.beta
        return xp.mean(xp.tanh(h) * d.T)

    def variance_frozen(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.W + p.b
        gap = z - xp.mean(z, axis=0)
        h = p.gamma * gap / value(xp.sqrt(xp.mean(gap**2, axis=0) + d.eps)) + p.beta
        return xp.mean(xp.tanh(h) * d.T)

    params = {
        "W": rng.normal(size=(5, 4)),
        "b": rng.normal(size=4),
        "gamma": 1 + 0.2 * rng.normal(size=4),
        "beta": rng.normal(size=4),
    }
    data = {"X": rng.normal(size=(16, 5)), "T": rng.normal(size=(16, 4)), "eps": 2.0**-16}
    slips = {"mean held": mean_frozen, "variance held": variance_frozen}
    base = Draft("bias-before", "zero-block", f, params, data, batch=16, slips=slips, zero=("b",))
    yield base
    yield inside_float32(base)
    big = {**params, "W": 1e4 * params["W"]}
    yield base.but(variant="large-weights", kind="scaled", params=big)


@family("layer-norm", TUNING)
def layer_norm(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.W
        gap = z - xp.mean(z, axis=1, keepdims=True)
        h = p.gamma * gap / xp.sqrt(xp.mean(gap**2, axis=1, keepdims=True) + d.eps) + p.beta
        return 0.5 * xp.mean((h - d.T) ** 2)

    params = {"W": rng.normal(size=(5, 6)), "gamma": rng.normal(size=6), "beta": rng.normal(size=6)}
    data = {"X": rng.normal(size=(10, 5)), "T": rng.normal(size=(10, 6)), "eps": 2.0**-16}
    base = Draft("plain", "smooth", f, params, data, batch=10)
    yield base

    # Before a normalisation a shift of all outputs changes nothing, nor does a shared bias.
    def shifted(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.W + p.shift
        gap = z - xp.mean(z, axis=1, keepdims=True)
        h = p.gamma * gap / xp.sqrt(xp.mean(gap**2, axis=1, keepdims=True) + d.eps) + p.beta
        return 0.5 * xp.mean((h - d.T) ** 2)

    yield base.but(
        variant="shift",
        kind="zero-block",
        zero=("shift",),
        f=shifted,
        params={**params, "shift": np.array(0.7)},
    )


@family("attention", HELD_OUT)
def attention(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        q, k, v = d.X @ p.Wq, d.X @ p.Wk, d.X @ p.Wv
        a = softmax(xp.einsum("bid,bjd->bij", q, k) * d.scale, xp)
        return xp.sum((xp.einsum("bij,bjd->bid", a, v) @ p.Wo - d.T) ** 2) / len(d.X)

    def unscaled(p: Any, d: Any, xp: Any) -> Any:
        q, k, v = d.X @ p.Wq, d.X @ p.Wk, d.X @ p.Wv
        a = softmax(xp.einsum("bid,bjd->bij", q, k), xp)
        return xp.sum((xp.einsum("bij,bjd->bid", a, v) @ p.Wo - d.T) ** 2) / len(d.X)

    params = {k: rng.normal(size=(4, 4)) / 2 for k in ("Wq", "Wk", "Wv", "Wo")}
    data = {"X": rng.normal(size=(3, 5, 4)), "T": rng.normal(size=(3, 5, 4)), "scale": 0.5}
    base = Draft("one-head", "smooth", f, params, data, batch=3, slips={"no scale": unscaled})
    yield base
    yield offset(base)
    yield inside_float32(base, "params")
    sharp = {**params, "Wq": 40 * params["Wq"]}
    yield base.but(variant="peaked", kind="curvature", params=sharp, slips={})

    # A bias of the keys adds the same number to a whole row of scores: softmax ignores it.
    def key_bias(p: Any, d: Any, xp: Any) -> Any:
        q, k, v = d.X @ p.Wq, d.X @ p.Wk + p.bk, d.X @ p.Wv
        a = softmax(xp.einsum("bid,bjd->bij", q, k) * d.scale, xp)
        return xp.sum((xp.einsum("bij,bjd->bid", a, v) @ p.Wo - d.T) ** 2) / len(d.X)

    yield base.but(
        variant="key-bias",
        kind="zero-block",
        zero=("bk",),
        f=key_bias,
        params={**params, "bk": rng.normal(size=4)},
        slips={},
    )


@family("lstm", TUNING)
def lstm(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        h = c = np.zeros((d.X.shape[1], 4), d.X.dtype)
        total: Any = 0.0
        for x, t in zip(d.X, d.T, strict=True):
            z = x @ p.Wx + h @ p.Wh + p.b
            i, o, g = sigmoid(z[:, :4], xp), sigmoid(z[:, 4:8], xp), xp.tanh(z[:, 12:])
            c = sigmoid(z[:, 8:12], xp) * c + i * g
            h = o * xp.tanh(c)
            total = total + xp.mean((h @ p.Wy - t) ** 2)
        return total

    params = {
        "Wx": rng.normal(size=(3, 16)) / 2,
        "Wh": rng.normal(size=(4, 16)) / 2,
        "b": rng.normal(size=16) / 2,
        "Wy": rng.normal(size=(4, 2)),
    }
    data = {"X": rng.normal(size=(6, 3, 3)), "T": rng.normal(size=(6, 3, 2))}
    base = Draft("six-steps", "smooth", f, params, data, batch=3)
    yield base
    yield inside_float32(base)


@family("gru", HELD_OUT)
def gru(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        h = np.zeros((d.X.shape[1], 3), d.X.dtype)
        for x in d.X:
            both = xp.concatenate([x, h], axis=1)
            z = sigmoid(both @ p.Wz, xp)
            r = sigmoid(both @ p.Wr, xp)
            h = (1 - z) * h + z * xp.tanh(xp.concatenate([x, r * h], axis=1) @ p.Wh)
        return xp.sum((h - d.T) ** 2)

    params = {k: rng.normal(size=(5, 3)) / 2 for k in ("Wz", "Wr", "Wh")}
    data = {"X": rng.normal(size=(7, 4, 2)), "T": rng.normal(size=(4, 3))}
    base = Draft("seven-steps", "smooth", f, params, data, batch=4)
    yield base
    yield jittered(base, 1e-11)
    # A candidate state near zero leaves almost nothing for the gates to choose between.
    closed = {**params, "Wh": 1e-7 * params["Wh"]}
    yield base.but(variant="idle-gates", kind="vanishing", params=closed)


@family("rnn", TUNING)
def rnn(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        h = p.h0
        for x in d.X:
            h = xp.tanh(x @ p.U + h @ p.W + p.b)
        return 0.5 * xp.sum((h @ p.V - d.t) ** 2)

    def params(gain: float) -> Arrays:
        return {
            "U": rng.normal(size=(2, 5)) / 2,
            "W": gain * rng.normal(size=(5, 5)) / np.sqrt(5),
            "b": rng.normal(size=5) / 5,
            "V": rng.normal(size=(5, 2)),
            "h0": rng.normal(size=5),
        }

    data = {"X": rng.normal(size=(8, 2)), "t": rng.normal(size=2)}
    yield Draft("eight-steps", "smooth", f, params(1.0), data)
    for steps, gain in ((15, 0.25), (25, 0.15), (12, 0.5)):
        long = {"X": rng.normal(size=(steps, 2)), "t": data["t"]}
        yield Draft(f"forgets-in-{steps}", "vanishing", f, params(gain), long)
    yield Draft(
        "explodes", "curvature", f, params(3.0), {**data, "X": 0.1 * rng.normal(size=(20, 2))}
    )


@family("word-embedding", TUNING)
def embedding(rng: Rng) -> Iterator[Draft]:
    """Skip-gram with negative sampling; words that do not occur have gradient zero."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        word, context = p.E[d.word], p.C[d.context]
        wrong = xp.einsum("md,mnd->mn", word, p.C[d.negative])
        good = xp.sum(word * context, axis=1)
        return xp.mean(softplus(-good, xp) + xp.sum(softplus(wrong, xp), axis=1))

    data = {
        "word": rng.integers(12, size=20),
        "context": rng.integers(15, size=20),
        "negative": rng.integers(15, size=(20, 3)),
    }
    params = {"E": rng.normal(size=(15, 4)), "C": rng.normal(size=(15, 4))}
    base = Draft("skip-gram", "smooth", f, params, data, batch=20)
    yield base
    yield inside_float32(base, "params")


@family("autoencoder", HELD_OUT)
def autoencoder(rng: Rng) -> Iterator[Draft]:
    """Tied weights, and a sparsity penalty by Kullback-Leibler divergence."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        h = sigmoid(d.X @ p.W + p.b, xp)
        rate = xp.mean(h, axis=0)
        sparse = xp.sum(0.125 * xp.log(0.125 / rate) + 0.875 * xp.log(0.875 / (1 - rate)))
        return 0.5 * xp.mean(xp.sum((h @ p.W.T + p.c - d.X) ** 2, axis=1)) + 0.25 * sparse

    def no_sparsity(p: Any, d: Any, xp: Any) -> Any:
        h = sigmoid(d.X @ p.W + p.b, xp)
        return 0.5 * xp.mean(xp.sum((h @ p.W.T + p.c - d.X) ** 2, axis=1))

    def decoder_only(p: Any, d: Any, xp: Any) -> Any:
        h = sigmoid(d.X @ p.W + p.b, xp)
        rate = xp.mean(h, axis=0)
        sparse = xp.sum(0.125 * xp.log(0.125 / rate) + 0.875 * xp.log(0.875 / (1 - rate)))
        return 0.5 * xp.mean(xp.sum((h @ value(p.W).T + p.c - d.X) ** 2, axis=1)) + 0.25 * sparse

    params = {"W": rng.normal(size=(8, 4)), "b": rng.normal(size=4) - 1, "c": rng.normal(size=8)}
    slips = {"sparsity": no_sparsity, "one use of the tied weight": decoder_only}
    yield Draft(
        "tied-sparse", "smooth", f, params, {"X": rng.normal(size=(20, 8))}, batch=20, slips=slips
    )


@family("vae", TUNING)
def vae(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        h = xp.tanh(d.X @ p.We)
        mu, logvar = h @ p.Wm, h @ p.Wv
        z = mu + xp.exp(0.5 * logvar) * d.eps
        fit = 0.5 * xp.sum((xp.tanh(z @ p.Wd) @ p.Wx - d.X) ** 2)
        return (fit + 0.5 * xp.sum(xp.exp(logvar) + mu**2 - 1 - logvar)) / len(d.X)

    params = {
        "We": rng.normal(size=(6, 5)) / 2,
        "Wm": rng.normal(size=(5, 2)) / 2,
        "Wv": rng.normal(size=(5, 2)) / 2,
        "Wd": rng.normal(size=(2, 5)),
        "Wx": rng.normal(size=(5, 6)) / 2,
    }
    data = {"X": rng.normal(size=(10, 6)), "eps": rng.normal(size=(10, 2))}
    yield Draft("gaussian", "smooth", f, params, data, batch=10)


@family("rbf-network", HELD_OUT)
def rbf(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        gap = xp.sum((d.X[:, None] - p.centres[None]) ** 2, axis=-1)
        return xp.mean((xp.exp(-gap * xp.exp(p.log_width)) @ p.w - d.y) ** 2)

    data = {"X": rng.uniform(-1, 1, (30, 2)), "y": rng.normal(size=30)}
    params = {
        "centres": rng.uniform(-1, 1, (6, 2)),
        "log_width": rng.normal(size=6),
        "w": rng.normal(size=6),
    }
    base = Draft("six-centres", "smooth", f, params, data, batch=30)
    yield base
    narrow = {
        **params,
        "centres": data["X"][:6] + 0.01 * rng.normal(size=(6, 2)),
        "log_width": np.full(6, 8.0),
    }
    yield base.but(variant="narrow", kind="curvature", params=narrow)
    # Centres far from every sample: exp(-1e3) in float64 is still a number, its effect none.
    far = {**params, "centres": params["centres"] + 40.0 * (np.arange(6) < 2)[:, None]}
    yield base.but(variant="far-centres", kind="vanishing", params=far)


@family("graph-convolution", TUNING)
def graph_convolution(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        h = xp.tanh(d.A @ d.X @ p.W1)
        z = d.A @ h @ p.W2
        return -xp.sum(d.Y * log_softmax(z, xp))

    a = (rng.random((10, 10)) < 0.3) * 1.0
    a = np.maximum(a, a.T) + np.eye(10)
    root = 1 / np.sqrt(a.sum(axis=1))
    data = {
        "A": root[:, None] * a * root,
        "X": rng.normal(size=(10, 4)),
        "Y": np.eye(3)[rng.integers(3, size=10)] * (rng.random((10, 1)) < 0.6),
    }
    params = {"W1": rng.normal(size=(4, 5)), "W2": rng.normal(size=(5, 3))}
    yield Draft("two-layers", "smooth", f, params, data, batch=10)


@family("crf", HELD_OUT)
def crf(rng: Rng) -> Iterator[Draft]:
    """Linear chain conditional random field, forward algorithm in logarithms."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        emit = d.X @ p.W
        score = emit[0, d.y[0]]
        alpha = emit[0]
        for t in range(1, len(d.y)):
            score = score + p.T[d.y[t - 1], d.y[t]] + emit[t, d.y[t]]
            alpha = logsumexp(xp.reshape(alpha, (-1, 1)) + p.T, xp, axis=0) + emit[t]
        return logsumexp(alpha, xp) - score

    data = {"X": rng.normal(size=(8, 5)), "y": rng.integers(4, size=8)}
    params = {"W": rng.normal(size=(5, 4)), "T": rng.normal(size=(4, 4))}
    base = Draft("eight-steps", "smooth", f, params, data)
    yield base
    yield inside_float32(base)
    yield offset(base)


@family("ctc", TUNING)
def ctc(rng: Rng) -> Iterator[Draft]:
    """Connectionist temporal classification: scaled forward recursion over blanks and labels."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        y = softmax(d.X @ p.W + p.b, xp)[:, d.labels]
        n = len(d.labels)
        alpha = y[0] * (np.arange(n) < 2)
        total: Any = 0.0
        for t in range(1, len(d.X)):
            scale = xp.sum(alpha)
            total = total + xp.log(scale)
            alpha = alpha / scale
            one = xp.concatenate([alpha[:1] * 0, alpha[:-1]])
            two = xp.concatenate([alpha[:2] * 0, alpha[:-2]]) * d.skip
            alpha = (alpha + one + two) * y[t]
        return -(total + xp.log(alpha[-1] + alpha[-2]))

    labels = np.array([0, 1, 0, 2, 0, 2, 0])
    skip = (
        np.array([labels[i] != 0 and i > 1 and labels[i] != labels[i - 2] for i in range(7)]) * 1.0
    )
    data = {"X": rng.normal(size=(9, 4)), "labels": labels, "skip": skip}
    params = {"W": rng.normal(size=(4, 4)), "b": rng.normal(size=4)}
    yield Draft("three-labels", "smooth", f, params, data)


@family("triplet", HELD_OUT)
def triplet(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        a, b, c = d.A @ p.W, d.B @ p.W, d.C @ p.W
        return xp.mean(relu(xp.sum((a - b) ** 2, 1) - xp.sum((a - c) ** 2, 1) + 0.5, xp))

    data = {k: rng.normal(size=(20, 5)) for k in "ABC"}
    yield Draft("margin", "smooth", f, {"W": rng.normal(size=(5, 3))}, data, batch=20)


@family("contrastive", TUNING)
def contrastive(rng: Rng) -> Iterator[Draft]:
    """InfoNCE on normalised embeddings with a temperature."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        a, b = d.A @ p.W, d.B @ p.W
        a = a / xp.sqrt(xp.sum(a**2, axis=1, keepdims=True))
        b = b / xp.sqrt(xp.sum(b**2, axis=1, keepdims=True))
        z = a @ b.T * xp.exp(p.log_scale)
        return -xp.mean(xp.diag(log_softmax(z, xp)))

    data = {"A": rng.normal(size=(12, 5)), "B": rng.normal(size=(12, 5))}
    params = {"W": rng.normal(size=(5, 3)), "log_scale": np.array(1.0)}
    base = Draft("infonce", "smooth", f, params, data, batch=12)
    yield base
    yield base.but(variant="cold", kind="curvature", params={**params, "log_scale": np.array(5.5)})


@family("mixture-density", HELD_OUT)
def mixture_density(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        out = xp.tanh(d.X @ p.W1 + p.b1) @ p.W2
        logits, mean, log_scale = out[:, :3], out[:, 3:6], out[:, 6:]
        z = (d.y[:, None] - mean) * xp.exp(-log_scale)
        return -xp.mean(logsumexp(log_softmax(logits, xp) - 0.5 * z**2 - log_scale, xp))

    data = {"X": rng.normal(size=(20, 2)), "y": rng.normal(size=20)}
    params = {
        "W1": rng.normal(size=(2, 6)),
        "b1": rng.normal(size=6),
        "W2": rng.normal(size=(6, 9)) / 3,
    }
    yield Draft("three-bells", "smooth", f, params, data, batch=20)


@family("coupling-flow", TUNING)
def coupling_flow(rng: Rng) -> Iterator[Draft]:
    """Two affine coupling layers (real NVP)."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        a, b = d.X[:, :2], d.X[:, 2:]
        total: Any = 0.0
        for i in (1, 2):
            s = xp.tanh(a @ getattr(p, f"S{i}"))
            b = b * xp.exp(s) + a @ getattr(p, f"T{i}")
            total = total + xp.sum(s)
            a, b = b, a
        return (0.5 * xp.sum(a**2) + 0.5 * xp.sum(b**2) - total) / len(d.X)

    params = {k: rng.normal(size=(2, 2)) for k in ("S1", "T1", "S2", "T2")}
    yield Draft("two-layers", "smooth", f, params, {"X": rng.normal(size=(15, 4))}, batch=15)


@family("hopfield", HELD_OUT)
def hopfield(rng: Rng) -> Iterator[Draft]:
    """Energy of the modern Hopfield network."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        return -logsumexp(4.0 * (d.M @ p.state), xp) / 4.0 + 0.5 * xp.sum(p.state**2)

    data = {"M": rng.normal(size=(10, 12))}
    yield Draft("beta-4", "smooth", f, {"state": rng.normal(size=12)}, data)


@family("deep-tanh", TUNING)
def deep_tanh(rng: Rng) -> Iterator[Draft]:
    """Weights too small: each layer takes a factor from the gradient of those below."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = forward(p, d.X, tanh, xp)
        return 0.5 * xp.mean((z - d.T) ** 2)

    data = {"X": rng.normal(size=(8, 4)), "T": rng.normal(size=(8, 2))}
    for depth, gain in ((6, 0.1), (8, 0.03), (10, 0.02), (8, 0.01)):
        params = layers(rng, [4] * depth + [2], gain)
        yield Draft(f"depth-{depth}-gain-{gain}", "vanishing", f, params, data, batch=8)
    deepest = layers(rng, [4] * 10 + [2], 0.01)
    yield Draft("depth-10-gain-0.01", "vanishing", f, deepest, data, batch=8)


@family("deep-sigmoid", HELD_OUT)
def deep_sigmoid(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        z = forward(p, d.X, sigmoid, xp)
        return -xp.mean(xp.sum(d.Y * log_softmax(z, xp), axis=1))

    for depth, gain in ((5, 1.0), (8, 0.5), (10, 0.2), (14, 0.5)):
        params = layers(rng, [4] * depth + [3], gain)
        yield Draft(
            f"depth-{depth}-gain-{gain}", "vanishing", f, params, classes(rng, 8, 4, 3), batch=8
        )


@family("deep-softsign", HELD_OUT)
def deep_softsign(rng: Rng) -> Iterator[Draft]:
    """Saturated units: x / sqrt(1 + x^2) at pre-activations of 10 to 1000."""

    def act(x: Any, xp: Any) -> Any:
        return x / xp.sqrt(1 + x**2)

    def f(p: Any, d: Any, xp: Any) -> Any:
        return 0.5 * xp.mean((forward(p, d.X, act, xp) - d.T) ** 2)

    data = {"X": rng.normal(size=(6, 4)), "T": rng.normal(size=(6, 2))}
    for gain in (10.0, 60.0):
        params = layers(rng, [4, 4, 4, 2], gain)
        yield Draft(f"gain-{gain:.0f}", "vanishing", f, params, data, batch=6)


@family("residual", TUNING)
def residual(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        h = d.X
        for i in (1, 2, 3):
            h = h + xp.tanh(h @ getattr(p, f"W{i}")) @ getattr(p, f"V{i}")
        return 0.5 * xp.mean((h - d.T) ** 2)

    params = {f"{k}{i}": rng.normal(size=(4, 4)) / 2 for i in (1, 2, 3) for k in "WV"}
    data = {"X": rng.normal(size=(8, 4)), "T": rng.normal(size=(8, 4))}
    yield Draft("three-blocks", "smooth", f, params, data, batch=8)

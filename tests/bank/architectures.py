"""Networks with gates, routes, flows and equations in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import FRESH, Draft, family
from .kinks import near
from .ops import (
    first_max,
    log_softmax,
    logdet,
    logsumexp,
    real,
    relu,
    sigmoid,
    softmax,
    softplus,
    value,
)
from .variants import inside_float32, jittered, offset, shaken, stepped, with_unused

Rng = np.random.Generator


@family("transformer-block", FRESH)
def transformer(rng: Rng) -> Iterator[Draft]:
    """Root mean square norms, rotary positions, a causal mask and a gated feed-forward layer."""

    def norm(x: Any, gain: Any, xp: Any) -> Any:
        return gain * x / xp.sqrt(xp.mean(x**2, axis=-1, keepdims=True) + 2.0**-20)

    def rotated(x: Any, d: Any, xp: Any) -> Any:
        a, b = x[:, :2], x[:, 2:]
        return xp.concatenate([a * d.cos - b * d.sin, a * d.sin + b * d.cos], axis=1)

    def block(p: Any, d: Any, xp: Any, mask: Any) -> Any:
        x = p.E[d.tokens]
        h = norm(x, p.g1, xp)
        q, k = rotated(h @ p.Wq, d, xp), rotated(h @ p.Wk, d, xp)
        x = x + softmax(q @ k.T / 2 + mask, xp) @ (h @ p.Wv)
        h = norm(x, p.g2, xp)
        gate = h @ p.Wg
        x = x + (gate * sigmoid(gate, xp) * (h @ p.Wu)) @ p.Wd
        return -xp.mean(log_softmax(x @ p.E.T, xp)[np.arange(len(d.next)), d.next])

    def f(p: Any, d: Any, xp: Any) -> Any:
        return block(p, d, xp, d.mask)

    def no_mask(p: Any, d: Any, xp: Any) -> Any:
        return block(p, d, xp, 0.0)

    angle = np.outer(np.arange(7), [1.0, 0.1])
    data = {
        "tokens": rng.integers(6, size=7),
        "next": rng.integers(6, size=7),
        "cos": np.cos(angle),
        "sin": np.sin(angle),
        "mask": -1e4 * np.triu(np.ones((7, 7)), 1),
    }
    params = {k: rng.normal(size=(4, 4)) / 2 for k in ("Wq", "Wk", "Wv")}
    params |= {k: rng.normal(size=(4, 6)) / 2 for k in ("Wg", "Wu")}
    params |= {"Wd": rng.normal(size=(6, 4)) / 2, "E": rng.normal(size=(6, 4))}
    params |= {"g1": 1 + rng.normal(size=4) / 5, "g2": 1 + rng.normal(size=4) / 5}
    base = Draft("causal", "smooth", f, params, data, batch=7, slips={"mask": no_mask})
    yield base
    yield inside_float32(base, "params")
    yield inside_float32(base, "claim")
    # One token only can attend to nothing but itself: queries and keys do not matter.
    alone = {k: v[:1] for k, v in data.items()}
    alone["mask"] = np.zeros((1, 1))
    yield base.but(variant="one-token", kind="zero-block", data=alone, zero=("Wq", "Wk"), slips={})


@family("state-space-layer", FRESH)
def state_space(rng: Rng) -> Iterator[Draft]:
    """Diagonal recurrences with input-dependent steps; some channels forget at once."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        h = 0 * xp.exp(p.log_rate)
        total: Any = 0.0
        for x, y in zip(d.x, d.y, strict=True):
            step = softplus(p.step[0] * x + p.step[1], xp)
            h = xp.exp(-step * xp.exp(p.log_rate)) * h + step * p.B * x
            total = total + (xp.sum(p.C * h) - y) ** 2
        return total / len(d.y)

    data = {"x": rng.normal(size=20), "y": rng.normal(size=20)}
    params = {k: rng.normal(size=4) for k in ("log_rate", "B", "C")}
    params["step"] = np.array([0.4, -0.3])
    base = Draft("selective", "smooth", f, params, data)
    yield base
    yield jittered(base, 1e-10)
    fast = {**params, "log_rate": params["log_rate"] + np.array([0, 0, 3.2, 3.5])}
    yield base.but(variant="fast-channels", kind="vanishing", params=fast)


@family("mixture-of-experts", FRESH)
def experts(rng: Rng) -> Iterator[Draft]:
    """The best expert alone is asked, and weighted by its gate: jumps where the choice changes."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        gate = softmax(d.X @ p.G, xp)
        best = np.argmax(real(gate), axis=1)
        rows = np.arange(len(best))
        out = xp.tanh(xp.einsum("mi,eij->mej", d.X, p.W))[rows, best]
        balance = xp.sum(np.bincount(best, minlength=3) / len(best) * xp.mean(gate, axis=0))
        fit = xp.reshape(gate[rows, best], (-1, 1)) * out
        return xp.mean((fit - d.Y) ** 2) + 0.3 * balance

    def gate_held(p: Any, d: Any, xp: Any) -> Any:
        gate = softmax(d.X @ p.G, xp)
        best = np.argmax(real(gate), axis=1)
        rows = np.arange(len(best))
        out = xp.tanh(xp.einsum("mi,eij->mej", d.X, p.W))[rows, best]
        balance = xp.sum(np.bincount(best, minlength=3) / len(best) * xp.mean(gate, axis=0))
        return xp.mean((value(gate)[rows, best][:, None] * out - d.Y) ** 2) + 0.3 * balance

    data = {"X": rng.normal(size=(18, 4)), "Y": rng.normal(size=(18, 2))}
    params = {"G": rng.normal(size=(4, 3)), "W": rng.normal(size=(3, 4, 2))}
    slips = {"gate held": gate_held}
    base = Draft("top-1", "piecewise-constant", f, params, data, batch=18, slips=slips)
    yield base
    idle = {**params, "G": params["G"] * np.array([1, 1, 0.0])}
    shifted = {**data, "X": data["X"] + np.array([9.0, 0, 0, 0])}
    idle["G"][0] = [1.0, 1.2, -3.0]
    yield base.but(variant="idle-expert", kind="zero-block", params=idle, data=shifted, slips={})


@family("graph-attention", FRESH)
def graph_attention(rng: Rng) -> Iterator[Draft]:
    """Leaky scores of the edges, with a corner where a score is zero."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        h = d.X @ p.W
        z = xp.reshape(h @ p.a, (-1, 1)) + h @ p.b
        z = xp.where(real(z) > 0, z, 0.2 * z) + d.mask
        out = softmax(z, xp) @ h
        return -xp.sum(d.Y * log_softmax(out, xp)) / len(d.Y)

    linked = (rng.random((9, 9)) < 0.4) | np.eye(9, dtype=bool)
    data = {
        "X": rng.normal(size=(9, 4)),
        "Y": np.eye(3)[rng.integers(3, size=9)],
        "mask": np.where(linked, 0.0, -1e3),
    }
    params = {"W": rng.normal(size=(4, 3)), "a": rng.normal(size=3), "b": rng.normal(size=3)}
    base = Draft("nine-nodes", "smooth", f, params, data, batch=9)
    yield base
    yield offset(base, 5e5)
    # Opposite scores: every node is of no interest to itself, exactly or nearly.
    opposed = {**params, "b": -params["a"]}
    yield base.but(variant="opposed", kind="kink-at", params=opposed)
    nearly = {**params, "b": -params["a"] + near(rng, (3,))}
    yield base.but(variant="nearly-opposed", kind="kink-near", params=nearly)


@family("planar-flow", FRESH)
def planar_flow(rng: Rng) -> Iterator[Draft]:
    """Rank-one flows; a determinant that is nearly zero, and an invertible mixing of channels."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.mix.T
        total = len(d.X) * logdet(p.mix, xp)
        for k in range(2):
            h = xp.tanh(z @ p.w[k] + p.b[k])
            total = total + xp.sum(xp.log(1 + (1 - h**2) * xp.sum(p.w[k] * p.u[k])))
            z = z + xp.reshape(h, (-1, 1)) * p.u[k]
        return (0.5 * xp.sum(z**2) - total) / len(d.X)

    def mixing_forgotten(p: Any, d: Any, xp: Any) -> Any:
        return f(p, d, xp) + logdet(p.mix, xp)

    data = {"X": rng.normal(size=(20, 3))}
    params = {
        "mix": rng.normal(size=(3, 3)) + 2 * np.eye(3),
        "w": rng.normal(size=(2, 3)) / 2,
        "u": rng.normal(size=(2, 3)) / 2,
        "b": rng.normal(size=2),
    }
    slips = {"determinant of the mixing": mixing_forgotten}
    base = Draft("two-steps", "smooth", f, params, data, batch=20, slips=slips)
    yield base
    # The largest slope, at h = 0, almost folds the space.
    fold = {k: v.copy() for k, v in params.items()}
    fold["w"][0], fold["u"][0] = [1.0, 0.5, 0.0], [-0.75, -0.5 + 2e-6, 0.0]
    fold["b"][0] = -float((data["X"][4] @ params["mix"].T) @ fold["w"][0])
    yield base.but(variant="nearly-folded", kind="near-singular", params=fold, slips={})


@family("collocation-network", FRESH)
def collocation(rng: Rng) -> Iterator[Draft]:
    """Residual of u'' + k u = g with derivatives of the network written out by hand."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        s = xp.sin(xp.reshape(d.t, (-1, 1)) * p.w + p.b)
        c = xp.cos(xp.reshape(d.t, (-1, 1)) * p.w + p.b)
        u, bent = s @ p.a, -(s * p.w**2) @ p.a
        ends = (s[0] @ p.a) ** 2 + (c[0] @ (p.a * p.w) - 1) ** 2
        return xp.mean((bent + xp.exp(p.log_k) * u - d.g) ** 2) + ends

    def no_ends(p: Any, d: Any, xp: Any) -> Any:
        s = xp.sin(xp.reshape(d.t, (-1, 1)) * p.w + p.b)
        bent = -(s * p.w**2) @ p.a
        return xp.mean((bent + xp.exp(p.log_k) * (s @ p.a) - d.g) ** 2)

    t = np.linspace(0, 2, 20)
    data = {"t": t, "g": np.cos(t)}
    params = {k: rng.normal(size=6) for k in "wba"}
    params["log_k"] = np.array(0.4)
    slips = {"boundary": no_ends}
    base = Draft("oscillator", "smooth", f, params, data, batch=20, slips=slips)
    yield base
    yield shaken(base, 1e-8)
    fast = {**params, "w": 300 * params["w"], "a": params["a"] / 9e4}
    yield base.but(variant="fast-units", kind="curvature", params=fast, slips={})


@family("factorisation-machine", FRESH)
def factorisation_machine(rng: Rng) -> Iterator[Draft]:
    """Pairs of sparse features; the columns nobody has are without gradient."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        squares = (d.X @ p.V) ** 2 - (d.X**2) @ (p.V**2)
        z = p.w0 + d.X @ p.w + 0.5 * xp.sum(squares, axis=1)
        return xp.mean(softplus(-d.s * z, xp))

    def with_itself(p: Any, d: Any, xp: Any) -> Any:
        z = p.w0 + d.X @ p.w + 0.5 * xp.sum((d.X @ p.V) ** 2, axis=1)
        return xp.mean(softplus(-d.s * z, xp))

    X = (rng.random((40, 12)) < 0.3) * rng.integers(1, 4, (40, 12)) * 1.0
    data = {"X": X, "s": rng.choice([-1.0, 1.0], 40)}
    params = {
        "w0": np.array(0.1),
        "w": rng.normal(size=12) / 2,
        "V": rng.normal(size=(12, 3)) / 2,
    }
    slips = {"a feature paired with itself": with_itself}
    base = Draft("pairs", "smooth", f, params, data, batch=40, slips=slips)
    yield base
    yield inside_float32(base)
    alone = np.eye(12)[rng.integers(12, size=40)]
    yield base.but(
        variant="one-hot", kind="zero-block", data={**data, "X": alone}, zero=("V",), slips={}
    )


@family("weight-norm", FRESH)
def weight_norm(rng: Rng) -> Iterator[Draft]:
    """Directions of any length; of almost none, the loss turns about quickly."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        W = p.g * p.V / xp.sqrt(xp.sum(p.V**2, axis=0))
        return xp.mean((xp.tanh(d.X @ W) @ p.u - d.y) ** 2)

    def length_held(p: Any, d: Any, xp: Any) -> Any:
        W = p.g * p.V / value(xp.sqrt(xp.sum(p.V**2, axis=0)))
        return xp.mean((xp.tanh(d.X @ W) @ p.u - d.y) ** 2)

    data = {"X": rng.normal(size=(15, 4)), "y": rng.normal(size=15)}
    params = {"g": rng.normal(size=5), "V": rng.normal(size=(4, 5)), "u": rng.normal(size=5)}
    slips = {"length held": length_held}
    base = Draft("plain", "smooth", f, params, data, batch=15, slips=slips)
    yield base
    short = params["V"] * np.array([1, 1e-7, 1, 1e-4, 1])
    yield base.but(variant="short", kind="near-singular", params={**params, "V": short})
    long = params["V"] * 10.0 ** np.array([0, 3, 6, -2, 7])
    yield base.but(variant="lengths", kind="scaled", params={**params, "V": long}, slips={})


@family("angular-margin", FRESH)
def angular_margin(rng: Rng) -> Iterator[Draft]:
    """Angles to the centres of the classes, a sample almost on its centre."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        w = p.W / xp.sqrt(xp.sum(p.W**2, axis=0))
        x = d.X / xp.sqrt(xp.sum(d.X**2, axis=1, keepdims=True))
        cosine = x @ w
        angle = xp.arccos(cosine)
        z = 6 * xp.where(d.Y > 0, xp.cos(angle + 0.3), cosine)
        return -xp.mean(xp.sum(d.Y * log_softmax(z, xp), axis=1))

    data = {"X": rng.normal(size=(12, 5)), "Y": np.eye(4)[rng.integers(4, size=12)]}
    W = rng.normal(size=(5, 4))
    base = Draft("margin", "smooth", f, {"W": W}, data, batch=12)
    yield base
    yield with_unused(base, rng)
    close = data["X"].copy()
    own = np.argmax(data["Y"], axis=1)
    close[[2, 8]] = W[:, own[[2, 8]]].T + 3e-5 * rng.normal(size=(2, 5))
    yield base.but(variant="on-the-centre", kind="near-singular", data={**data, "X": close})


@family("mobile-block", FRESH)
def mobile(rng: Rng) -> Iterator[Draft]:
    """Clipped and hard activations, squeeze and excitation; inputs that hit the clips."""

    def relu6(x: Any, xp: Any) -> Any:
        return relu(x, xp) - relu(x - 6, xp)

    def f(p: Any, d: Any, xp: Any) -> Any:
        h = relu6(d.X @ p.W1 + p.b1, xp)
        squeezed = xp.mean(h, axis=0)
        h = h * relu6(squeezed @ p.S + 3, xp) / 6
        z = h @ p.W2 + p.b2
        z = z * relu6(z + 3, xp) / 6
        return xp.mean((z - d.T) ** 2)

    data = {"X": 2 * rng.normal(size=(8, 4)), "T": rng.normal(size=(8, 3))}
    params = {
        "W1": rng.normal(size=(4, 6)),
        "b1": rng.normal(size=6),
        "S": rng.normal(size=(6, 6)) / 3,
        "W2": rng.normal(size=(6, 3)) / 2,
        "b2": rng.normal(size=3),
    }
    base = Draft("clips", "smooth", f, params, data, batch=8)
    yield base
    black = {**data, "X": data["X"] * (np.arange(8) != 3)[:, None]}
    white = {**params, "b1": np.array([6.0, 0, 1, 6, 0.5, 2]), "b2": np.array([-3.0, 0.2, 0.4])}
    yield base.but(variant="black-image", kind="kink-at", data=black, params=white)
    grey = {**white, "b1": white["b1"] + near(rng, (6,))}
    yield base.but(variant="dark-image", kind="kink-near", data=black, params=grey)


@family("soft-decision-tree", FRESH)
def soft_tree(rng: Rng) -> Iterator[Draft]:
    """Three questions to eight leaves; questions so sharp that hardly a leaf is reached."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        yes = sigmoid(d.X @ p.ask + p.cut, xp)
        reach = xp.reshape(yes[:, :1], (-1, 1)) * 0 + 1
        for k in range(3):
            q = yes[:, k : k + 1]
            reach = xp.concatenate([reach * q, reach * (1 - q)], axis=1)
        return -xp.mean(xp.log(xp.sum(reach * sigmoid(p.leaf, xp)[:, d.y].T, axis=1)))

    data = {"X": rng.normal(size=(16, 4)), "y": rng.integers(2, size=16)}
    params = {
        "ask": rng.normal(size=(4, 3)),
        "cut": rng.normal(size=3),
        "leaf": rng.normal(size=(8, 2)),
    }
    base = Draft("depth-3", "smooth", f, params, data, batch=16)
    yield base
    yield stepped(base, 2.0, 0.3)
    sharp = {**params, "ask": 40 * params["ask"], "cut": -40 * data["X"][5] @ params["ask"] + 0.7}
    yield base.but(variant="sharp", kind="curvature", params=sharp)
    sure = {**params, "cut": np.array([25.0, -9.0, 14.0])}
    yield base.but(variant="settled", kind="vanishing", params=sure)


@family("hot-distillation", FRESH)
def distillation(rng: Rng) -> Iterator[Draft]:
    """A teacher at a temperature; at a high one hardly anything of the loss is left."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = xp.tanh(d.X @ p.W1) @ p.W2
        soft = d.teacher * (xp.log(d.teacher) - log_softmax(z / d.heat, xp))
        return xp.mean(xp.sum(soft, axis=1)) + d.hard * logsumexp(z[0], xp)

    def data(heat: float, hard: float) -> dict[str, Any]:
        z = X @ A / heat
        teacher = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        return {"X": X, "teacher": teacher, "heat": heat, "hard": hard}

    X, A = rng.normal(size=(12, 5)), rng.normal(size=(5, 4))
    params = {"W1": rng.normal(size=(5, 6)) / 2, "W2": rng.normal(size=(6, 4))}
    base = Draft("heat-3", "smooth", f, params, data(3.0, 0.25), batch=12)
    yield base
    yield inside_float32(base)
    yield base.but(variant="heat-1e6", kind="vanishing", data=data(1e6, 0.0))


@family("max-pooled-set", FRESH)
def pooled_set(rng: Rng) -> Iterator[Draft]:
    """The maximum over a set of points; duplicates in the set are no kink in the weights."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        h = xp.tanh(xp.einsum("snk,kj->sjn", d.X, p.W) + xp.reshape(p.b, (1, -1, 1)))
        z = first_max(h, xp) @ p.V
        return -xp.mean(xp.sum(d.Y * log_softmax(z, xp), axis=1))

    X = rng.normal(size=(6, 10, 3))
    data = {"X": X, "Y": np.eye(3)[rng.integers(3, size=6)]}
    params = {"W": rng.normal(size=(3, 5)), "b": rng.normal(size=5), "V": rng.normal(size=(5, 3))}
    base = Draft("clouds", "smooth", f, params, data, batch=6)
    yield base
    # Points in pairs that differ by a hair: the gradients of the two do so as well.
    twins = {**data, "X": np.concatenate([X[:, :5], X[:, :5] + 1e-7], axis=1)}
    yield base.but(variant="twins", data=twins)

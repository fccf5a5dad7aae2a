"""Parts of deep networks: normalisations, attentions, scans, routing, splines on the edges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import FINAL, Draft, family
from .kinks import near
from .ops import absolute, log_softmax, real, relu, sigmoid, softmax, softplus
from .variants import inside_float32, jittered, offset, rescaled, shaken

Rng = np.random.Generator


@family("group-norm", FINAL)
def group_norm(rng: Rng) -> Iterator[Draft]:
    """Two groups of four channels: what shifts a whole group before the norm has no effect."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = xp.reshape(d.X @ p.W + xp.repeat(p.shift, 4), (-1, 2, 4))
        z = z - xp.mean(z, axis=2, keepdims=True)
        z = z / xp.sqrt(xp.mean(z**2, axis=2, keepdims=True) + d.eps)
        z = xp.reshape(z, (-1, 8)) * p.gain + p.bias
        return 0.5 * xp.mean((xp.tanh(z) @ d.out - d.y) ** 2)

    def no_mean(p: Any, d: Any, xp: Any) -> Any:
        # The mean and the deviation taken for constants.
        z = xp.reshape(d.X @ p.W + xp.repeat(p.shift, 4), (-1, 2, 4))
        z = z - np.mean(real(z), axis=2, keepdims=True)
        z = z / np.sqrt(np.mean(real(z) ** 2, axis=2, keepdims=True) + d.eps)
        z = xp.reshape(z, (-1, 8)) * p.gain + p.bias
        return 0.5 * xp.mean((xp.tanh(z) @ d.out - d.y) ** 2)

    data = {
        "X": rng.normal(size=(9, 5)),
        "out": rng.normal(size=(8, 2)),
        "y": rng.normal(size=(9, 2)),
        "eps": np.array(1e-5),
    }
    params = {
        "W": rng.normal(size=(5, 8)),
        "shift": rng.normal(size=2),
        "gain": rng.uniform(0.5, 1.5, 8),
        "bias": rng.normal(size=8) / 2,
    }
    slips = {"statistics held": no_mean}
    base = Draft("shifts", "zero-block", f, params, data, batch=9, slips=slips, zero=("shift",))
    yield base
    held = {k: v for k, v in params.items() if k != "shift"}

    def without(p: Any, d: Any, xp: Any) -> Any:
        return f(type(p)(**vars(p), shift=d.zeros), d, xp)

    plain = base.but(f=without, params=held, data={**data, "zeros": np.zeros(2)}, slips={}, zero=())
    yield plain.but(variant="plain", kind="smooth")
    yield inside_float32(plain.but(variant="plain", kind="smooth"), "params")
    flat = {**held, "W": 1e-5 * params["W"]}
    yield plain.but(
        variant="no-variance",
        kind="near-singular",
        params=flat,
        data={**plain.data, "eps": np.array(1e-12)},
    )


@family("linear-attention", FINAL)
def linear_attention(rng: Rng) -> Iterator[Draft]:
    """Causal attention by running sums; the features are elu plus one."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        def features(z: Any) -> Any:
            up = real(z) > 0
            return z * up + xp.exp(xp.where(up, 0 * z, z))

        q, k, v = features(d.X @ p.Wq), features(d.X @ p.Wk), d.X @ p.Wv
        memory = xp.cumsum(xp.einsum("ti,tj->tij", k, v), axis=0)
        norm = xp.sum(q * xp.cumsum(k, axis=0), axis=1, keepdims=True)
        return xp.mean((xp.einsum("ti,tij->tj", q, memory) / norm - d.Y) ** 2)

    params = {k: rng.normal(size=(4, 3)) / 2 for k in ("Wq", "Wk", "Wv")}
    base = Draft(
        "causal", "smooth", f, params, {"X": rng.normal(size=(8, 4)), "Y": rng.normal(size=(8, 3))}
    )
    yield base
    yield inside_float32(base)
    yield offset(base, 2e5)
    yield rescaled(base, rng, 5)


@family("rotary-attention", FINAL)
def rotary_attention(rng: Rng) -> Iterator[Draft]:
    """Queries and keys turned by position, frequencies learnt; the far past fades linearly."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        angle = xp.reshape(d.at, (-1, 1)) * xp.exp(p.log_speed)
        c, s = xp.cos(angle), xp.sin(angle)

        def turned(z: Any) -> Any:
            a, b = z[:, :2], z[:, 2:]
            return xp.concatenate([a * c - b * s, a * s + b * c], axis=1)

        scores = turned(d.X @ p.Wq) @ xp.transpose(turned(d.X @ p.Wk)) / 2
        mix = softmax(scores - xp.exp(p.log_fade) * d.gap, xp)
        z = mix @ (d.X @ p.Wv)
        return -xp.mean(xp.sum(d.Y * log_softmax(z, xp), axis=1))

    at = np.arange(7.0)

    def positions(at: np.ndarray) -> dict[str, np.ndarray]:
        gap = at[:, None] - at
        return {"at": at, "gap": np.where(gap < 0, 40.0, gap / at[1])}

    shared = {"X": rng.normal(size=(7, 4)), "Y": np.eye(3)[rng.integers(3, size=7)]}
    params = {
        "Wq": rng.normal(size=(4, 4)),
        "Wk": rng.normal(size=(4, 4)),
        "Wv": rng.normal(size=(4, 3)),
        "log_speed": np.array([0.0, -2.0]),
        "log_fade": np.array(-1.0),
    }
    base = Draft("near", "smooth", f, params, {**shared, **positions(at)}, batch=7)
    yield base
    yield inside_float32(base, "claim")
    far = {**shared, **positions(np.r_[0.0, 300, 650, 1001, 1390, 1702, 2040])}
    yield base.but(variant="far-apart", kind="curvature", data=far)


@family("selective-scan", FINAL)
def selective_scan(rng: Rng) -> Iterator[Draft]:
    """A state-space layer whose step depends on the input; long steps forget everything."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        step = softplus(d.X @ p.Wstep + p.bstep, xp)
        B, C = d.X @ p.WB, d.X @ p.WC
        rate = -xp.exp(p.log_rate)
        h: Any = 0.0
        total: Any = 0.0
        for t in range(len(d.X)):
            dt = xp.reshape(step[t], (-1, 1))
            h = xp.exp(dt * rate) * h + dt * xp.reshape(d.X[t], (-1, 1)) * B[t]
            total = total + xp.sum((h @ C[t] - d.Y[t]) ** 2)
        return total / len(d.X)

    data = {"X": rng.normal(size=(8, 3)), "Y": rng.normal(size=(8, 3))}
    params = {
        "log_rate": np.log(np.tile(np.arange(1.0, 5.0), (3, 1))),
        "Wstep": rng.normal(size=(3, 3)) / 2,
        "bstep": rng.normal(size=3) - 1,
        "WB": rng.normal(size=(3, 4)),
        "WC": rng.normal(size=(3, 4)),
    }
    base = Draft("eight-steps", "smooth", f, params, data)
    yield base
    yield inside_float32(base)
    yield jittered(base, 1e-7)
    forgetful = {**params, "bstep": np.full(3, 14.0) + rng.normal(size=3)}
    yield base.but(variant="forgetful", kind="vanishing", params=forgetful)


@family("capsules", FINAL)
def capsules(rng: Rng) -> Iterator[Draft]:
    """Routing by agreement; squashed vectors, of length nearly zero in one case."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        votes = xp.einsum("nci,ijk->ncjk", d.X, p.W)

        def squash(s: Any) -> Any:
            n2 = xp.sum(s**2, axis=-1, keepdims=True)
            return s * xp.sqrt(n2) / (1 + n2)

        logits = p.prior + 0 * votes[..., 0]
        for _ in range(3):
            share = xp.reshape(softmax(logits, xp), (4, 3, 2, 1))
            v = squash(xp.sum(share * votes, axis=1))
            logits = logits + xp.sum(votes * xp.reshape(v, (4, 1, 2, 3)), axis=-1)
        length = xp.sqrt(xp.sum(v**2, axis=-1))
        return xp.mean((d.t - length) ** 2) + d.weight * xp.sum(v[..., 0])

    data = {"X": rng.normal(size=(4, 3, 2)), "t": rng.random((4, 2)), "weight": np.array(0.1)}
    params = {"W": rng.normal(size=(2, 2, 3)), "prior": rng.normal(size=2)}
    base = Draft("routed", "smooth", f, params, data, batch=4)
    yield base
    yield inside_float32(base)
    short = {**params, "W": 1e-5 * params["W"]}
    yield base.but(variant="short", kind="near-singular", params=short)


@family("spline-edges", FINAL)
def spline_edges(rng: Rng) -> Iterator[Draft]:
    """Kolmogorov and Arnold's network: cubic splines, third derivatives jump, or hats, with kinks.

    The inner nodes of the first layer are shifted, so that all of its values move over the knots.
    """

    def f(p: Any, d: Any, xp: Any) -> Any:
        def layer(x: Any, c: Any) -> Any:
            u = (xp.reshape(x, (*x.shape, 1)) - d.knots) * 2
            if d.cubic:
                far = absolute(u, xp)
                basis = (relu(2 - far, xp) ** 3 - 4 * relu(1 - far, xp) ** 3) / 6
            else:
                # On a knot the slope is that to its right in all the hats.
                falls = (real(u) >= 0) & (real(u) < 1)
                rises = (real(u) >= -1) & (real(u) < 0)
                basis = falls * (1 - u) + rises * (1 + u)
            return xp.einsum("nik,iok->no", basis, c)

        h = layer(d.X + p.shift, p.c1)
        return xp.mean((layer(xp.tanh(h), p.c2)[:, 0] - d.y) ** 2)

    knots = np.linspace(-1.5, 1.5, 7)
    X = np.round(8 * rng.uniform(-1, 1, (10, 2))) / 8
    data = {"X": X, "y": rng.normal(size=10), "knots": knots, "cubic": True}
    params = {
        "shift": np.array([0.06, -0.04]),
        "c1": rng.normal(size=(2, 3, 7)),
        "c2": rng.normal(size=(3, 1, 7)),
    }
    base = Draft("cubic", "smooth", f, params, data, batch=10)
    yield base
    on = {**params, "shift": np.zeros(2)}
    yield base.but(variant="cubic-on-knots", params=on)
    hats = base.but(data={**data, "cubic": False})
    yield hats.but(variant="hats", kind="kink-at", params=on)
    yield hats.but(
        variant="hats-near", kind="kink-near", params={**params, "shift": near(rng, (2,))}
    )


@family("hard-activations", FINAL)
def hard_activations(rng: Rng) -> Iterator[Draft]:
    """Parametric relu, then hard swish, in mobile networks; a blank image has zeros inside."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.W + p.b
        h = xp.where(real(z) >= 0, z, p.slope * z)
        g = h @ p.V
        six = relu(g + 3, xp) - relu(g - 3, xp)
        return xp.mean((xp.sum(g * six / 6, axis=1) - d.y) ** 2)

    data = {"X": rng.normal(size=(8, 4)), "y": rng.normal(size=8)}
    params = {
        "W": rng.normal(size=(4, 3)),
        "b": rng.normal(size=3),
        "slope": np.array([0.25, 0.1, -0.3]),
        "V": rng.normal(size=(3, 3)),
    }
    base = Draft("mobile", "smooth", f, params, data, batch=8)
    yield base
    yield shaken(base, 1e-8)
    blank = {**data, "X": np.r_[np.zeros((2, 4)), data["X"][2:]]}
    yield base.but(variant="blank", kind="kink-at", params={**params, "b": np.zeros(3)}, data=blank)
    close = {**params, "b": near(rng, (3,))}
    yield base.but(variant="nearly-blank", kind="kink-near", params=close, data=blank)
    # One unit in the second layer close to the corner at three.
    z = data["X"][0] @ params["W"] + params["b"]
    h = np.where(z > 0, z, params["slope"] * z)
    V = params["V"].copy()
    V[:, 1] *= (3 - 4e-7) / (h @ V[:, 1])
    yield base.but(variant="at-three", kind="kink-near", params={**params, "V": V})


@family("sine-network", FINAL)
def sine_network(rng: Rng) -> Iterator[Draft]:
    """Coordinates to a picture through sines, the first of them fast; its slope in the loss."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        first = d.speed * (d.at @ p.W1) + p.b1
        h = xp.sin(first)
        z = h @ p.W2 + p.b2
        slope = d.speed * (xp.cos(first) * ((xp.cos(z) * p.W3[:, 0]) @ p.W2.T)) @ p.W1.T
        return xp.mean((xp.sin(z) @ p.W3 - d.y) ** 2) + 1e-2 * xp.mean((slope - d.g) ** 2)

    at = np.stack(np.meshgrid(np.linspace(-1, 1, 4), np.linspace(-1, 1, 4)), -1).reshape(-1, 2)
    data = {
        "at": at,
        "speed": np.array(1.0),
        "y": rng.normal(size=(16, 1)),
        "g": rng.normal(size=(16, 2)),
    }
    params = {
        "W1": rng.uniform(-1, 1, (2, 6)),
        "b1": rng.normal(size=6),
        "W2": rng.normal(size=(6, 6)) / 2,
        "b2": rng.normal(size=6),
        "W3": rng.normal(size=(6, 1)),
    }
    base = Draft("slow", "smooth", f, params, data, batch=16)
    yield base
    fast = base.but(variant="fast", kind="curvature", data={**data, "speed": np.array(60.0)})
    yield fast
    yield inside_float32(base.but(variant="slow"), "params")


@family("edge-gates", FINAL)
def edge_gates(rng: Rng) -> Iterator[Draft]:
    """Messages over the edges of a graph, gated by both ends; a node that nobody writes to."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        h = d.H
        for _ in range(2):
            gate = sigmoid((h @ p.A)[d.src] + (h @ p.D)[d.dst] + p.gate, xp)
            total = d.into @ gate + d.eps
            pulled = gate * (h @ p.C)[d.src]
            h = xp.tanh(h @ p.B + (d.into @ pulled) / total)
        return xp.mean((xp.sum(h, axis=0) - d.t) ** 2)

    src, dst = np.array([0, 1, 1, 2, 3, 3, 4, 0]), np.array([1, 0, 2, 3, 2, 1, 3, 4])
    into = np.zeros((6, 8))
    into[dst, np.arange(8)] = 1
    data = {
        "H": rng.normal(size=(6, 3)),
        "src": src,
        "dst": dst,
        "eps": np.array(1e-6),
        "into": into,
        "t": rng.normal(size=3),
    }
    params = {k: rng.normal(size=(3, 3)) / 2 for k in "ABCD"} | {"gate": rng.normal(size=3)}
    base = Draft("six-nodes", "smooth", f, params, data)
    yield base
    shut = {**params, "gate": np.array([-28.0, -25.0, -30.0])}
    yield base.but(variant="shut", kind="vanishing", params=shut)

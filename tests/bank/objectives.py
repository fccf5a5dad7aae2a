"""What networks are trained on: contrasts, noise removal, preferences, codes, returns, bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import FINAL, Draft, family
from .kinks import near
from .ops import absolute, first_max, larger, log_softmax, logsumexp, real, relu, sigmoid, softplus
from .variants import inside_float32, jittered, offset, shaken, with_unused

Rng = np.random.Generator


def unit(z: Any, xp: Any) -> Any:
    return z / xp.sqrt(xp.sum(z**2, axis=-1, keepdims=True))


@family("supervised-contrast", FINAL)
def supervised_contrast(rng: Rng) -> Iterator[Draft]:
    """Every other one of the class is a positive; at a low temperature only the nearest counts."""

    def f(p: Any, d: Any, xp: Any, without_self: bool = True) -> Any:
        z = unit(d.X @ p.W + p.b, xp)
        scores = (z @ xp.transpose(z)) * xp.exp(-p.log_temperature)
        rivals = logsumexp(scores - d.self * (1e4 if without_self else 0.0), xp)
        each = xp.reshape(rivals, (-1, 1)) - scores
        return xp.sum(d.same * each) / xp.sum(d.same)

    label = np.arange(10) % 3
    same = (label[:, None] == label) * 1.0 - np.eye(10)
    data = {"X": rng.normal(size=(10, 5)), "same": same, "self": np.eye(10)}
    params = {
        "W": rng.normal(size=(5, 4)),
        "b": rng.normal(size=4),
        "log_temperature": np.array(-0.7),
    }
    slips = {"itself among the rivals": lambda p, d, xp: f(p, d, xp, without_self=False)}
    base = Draft("warm", "smooth", f, params, data, batch=10, slips=slips)
    yield base
    yield inside_float32(base)
    cold = {**params, "log_temperature": np.array(-5.5)}
    yield base.but(variant="cold", kind="curvature", params=cold, slips={})


@family("noise-removal", FINAL)
def noise_removal(rng: Rng) -> Iterator[Draft]:
    """A diffusion model's loss at random times; weights by signal to noise span many decades."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        keep, noise = xp.cos(1.5707963 * d.t), xp.sin(1.5707963 * d.t)
        x = keep * d.x0 + noise * d.e
        h = xp.tanh(x @ p.W1 + xp.sin(d.t * d.pitch) @ p.Wt + p.b1)
        guess = h @ p.W2 + p.b2
        target = keep * d.e - noise * d.x0
        weight = (keep / noise) ** 2 if d.weighted else 1.0 + 0 * keep
        return xp.mean(xp.sum(weight * (guess - target) ** 2, axis=1))

    def drawn(n: int, lowest: float) -> dict[str, Any]:
        t = np.exp(rng.uniform(np.log(lowest), np.log(0.98), (n, 1)))
        return {"t": t, "x0": rng.normal(size=(n, 3)), "e": rng.normal(size=(n, 3))}

    shared = {"pitch": np.array([1.0, 4.0, 16.0]), "weighted": False}
    params = {
        "W1": rng.normal(size=(3, 5)),
        "Wt": rng.normal(size=(3, 5)),
        "b1": rng.normal(size=5),
        "W2": rng.normal(size=(5, 3)) / 2,
        "b2": rng.normal(size=3),
    }
    base = Draft("velocity", "smooth", f, params, {**shared, **drawn(12, 0.02)}, batch=12)
    yield base
    yield shaken(base, 1e-10)
    weighted = {**shared, **drawn(12, 1e-4), "weighted": True}
    yield base.but(variant="weighted", kind="scaled", data=weighted)
    yield base.but(variant="2000", kind="large-sum", data={**shared, **drawn(2000, 0.02)})


@family("preferences", FINAL)
def preferences(rng: Rng) -> Iterator[Draft]:
    """Log-odds of the better answer against a reference; long since learnt in one case."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        def likelihood(tokens: Any) -> Any:
            logits = d.context @ p.W + p.bias
            return xp.sum(log_softmax(logits, xp) * tokens, axis=(1, 2))

        margin = likelihood(d.better) - likelihood(d.worse) - d.reference
        z = p.beta * margin
        return xp.mean(softplus(-z, xp)) + d.anchor * xp.mean((z - 1) ** 2)

    n, tokens, words = 6, 4, 5
    eye = np.eye(words)
    data = {
        "context": rng.normal(size=(n, tokens, 3)),
        "better": eye[rng.integers(words, size=(n, tokens))],
        "worse": eye[rng.integers(words, size=(n, tokens))],
        "reference": rng.normal(size=n),
        "anchor": np.array(0.01),
    }
    params = {"W": rng.normal(size=(3, 5)) / 2, "bias": rng.normal(size=5), "beta": np.array(0.3)}
    base = Draft("pairs", "smooth", f, params, data, batch=n)
    yield base
    yield inside_float32(base, "params")
    learnt = {**data, "reference": -rng.uniform(70, 90, n), "anchor": np.array(0.0)}
    yield base.but(variant="learnt", kind="vanishing", data=learnt)


@family("codebook", FINAL)
def codebook(rng: Rng) -> Iterator[Draft]:
    """Vector quantisation: the decoder sees the nearest code, the encoder pays for its distance."""

    def f(p: Any, d: Any, xp: Any, passed: bool = False) -> Any:
        z = d.X @ p.encoder
        r2 = xp.sum((z[:, None] - p.codes) ** 2, axis=-1)
        near = p.codes[np.argmin(real(r2), axis=1)]
        seen = z + np.zeros_like(real(z)) if passed else near
        commitment = xp.mean(xp.sum((z - near) ** 2, axis=1))
        return xp.mean((seen @ p.decoder - d.X) ** 2) + d.weight * commitment

    def distance(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.encoder
        r2 = xp.sum((z[:, None] - p.codes) ** 2, axis=-1)
        return -xp.mean(first_max(-r2, xp))

    data = {"X": rng.normal(size=(9, 3)), "weight": np.array(0.25)}
    params = {
        "encoder": rng.normal(size=(3, 2)),
        "codes": rng.normal(size=(5, 2)),
        "decoder": rng.normal(size=(2, 3)),
    }
    slips = {"straight through": lambda p, d, xp: f(p, d, xp, passed=True)}
    base = Draft("codes", "piecewise-constant", f, params, data, batch=9, slips=slips)
    yield base
    # All of the loss but for the decoder is continuous: two codes as near as each other.
    even = np.array([[0.0, 0.5], [1.0, 0.5], [0.5, -1.5], [3.0, 3.0]])
    points = {"X": np.array([[0.5, 1.0], [0.5, -0.25], [1.0, 1.0]]), "weight": data["weight"]}
    at = {"encoder": np.eye(2), "codes": even}
    tied = Draft("tied", "kink-at", distance, at, points, batch=3)
    yield tied
    beside = {"encoder": np.eye(2), "codes": even + near(rng, (4, 2))}
    yield tied.but(variant="nearly-tied", kind="kink-near", params=beside)


@family("returns-by-quantile", FINAL)
def returns_by_quantile(rng: Rng) -> Iterator[Draft]:
    """Quantiles of a return learnt from the next state's; Huber's corner or a sharp one."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        guess = d.S @ p.W + p.b
        u = d.target[:, None, :] - xp.reshape(guess, (len(d.S), -1, 1))
        level = xp.reshape(d.level, (1, -1, 1))
        side = xp.where(real(u) < 0, 1 - level, level)
        size = absolute(u, xp)
        if not d.sharp:
            size = xp.where(real(size) <= 1, 0.5 * u**2, size - 0.5)
        return xp.mean(side * size)

    level = (np.arange(4) + 0.5) / 4
    data = {
        "S": rng.normal(size=(8, 3)),
        "target": rng.normal(size=(8, 4)),
        "level": level,
        "sharp": False,
    }
    params = {"W": rng.normal(size=(3, 4)), "b": rng.normal(size=4)}
    base = Draft("huber", "smooth", f, params, data, batch=8)
    yield base
    yield base.but(variant="sharp", data={**data, "sharp": True})
    whole = {
        "S": rng.integers(-2, 3, (8, 3)) * 1.0,
        "target": rng.integers(-2, 3, (8, 4)) / 2,
        "level": level,
        "sharp": True,
    }
    exact = {"W": rng.integers(-2, 3, (3, 4)) / 4, "b": rng.integers(-2, 3, 4) / 4}
    off = {"W": exact["W"], "b": exact["b"] + near(rng, (4,))}
    yield base.but(variant="sharp-near", kind="kink-near", params=off, data=whole)


@family("robust-bounds", FINAL)
def robust_bounds(rng: Rng) -> Iterator[Draft]:
    """Interval bounds through a small network: the worst case inside a box of inputs."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        low, high = d.X - xp.exp(p.log_radius), d.X + xp.exp(p.log_radius)
        for W, b in ((p.W1, p.b1), (p.W2, p.b2)):
            mid, half = 0.5 * (low + high) @ W + b, 0.5 * (high - low) @ absolute(W, xp)
            low, high = mid - half, mid + half
            if W is p.W1:
                low, high = relu(low, xp), relu(high, xp)
        worst = xp.where(d.Y > 0, low, high)
        return -xp.mean(xp.sum(d.Y * log_softmax(worst, xp), axis=1))

    data = {"X": rng.normal(size=(8, 3)), "Y": np.eye(3)[rng.integers(3, size=8)]}
    params = {
        "W1": rng.normal(size=(3, 5)),
        "b1": rng.normal(size=5),
        "W2": rng.normal(size=(5, 3)),
        "b2": rng.normal(size=3),
        "log_radius": np.array(-2.3),
    }
    base = Draft("box", "smooth", f, params, data, batch=8)
    yield base
    yield offset(base, 1e6)
    pruned = {**params, "W2": np.where(rng.random((5, 3)) < 0.3, 0.0, params["W2"])}
    yield base.but(variant="pruned", kind="kink-at", params=pruned)
    small = {**params, "W1": params["W1"] * np.where(rng.random((3, 5)) < 0.4, 1e-7, 1.0)}
    yield base.but(variant="nearly-pruned", kind="kink-near", params=small)


@family("overlap-and-focus", FINAL)
def overlap_and_focus(rng: Rng) -> Iterator[Draft]:
    """Focal and Dice losses of a mask; a mask that is all background and well known to be so."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.w + p.b
        q = sigmoid(z, xp)
        hit = xp.where(d.y > 0, q, 1 - q)
        focal = xp.mean((1 - hit) ** 2 * softplus(-xp.where(d.y > 0, z, -z), xp))
        overlap = (2 * xp.sum(q * d.y) + d.smooth) / (xp.sum(q) + xp.sum(d.y) + d.smooth)
        return focal + 1 - overlap

    data = {
        "X": rng.normal(size=(40, 5)),
        "y": (rng.random(40) < 0.3) * 1.0,
        "smooth": np.array(1e-3),
    }
    params = {"w": rng.normal(size=5), "b": np.array(-0.4)}
    base = Draft("mask", "smooth", f, params, data, batch=40)
    yield base
    yield jittered(base, 1e-9)
    yield with_unused(base, rng, (2, 2))
    empty = {**data, "y": np.zeros(40), "smooth": np.array(1.0)}
    yield base.but(
        variant="background",
        kind="vanishing",
        params={"w": params["w"], "b": np.array(-18.0)},
        data=empty,
    )


@family("redundancy", FINAL)
def redundancy(rng: Rng) -> Iterator[Draft]:
    """Correlations between two views of a batch, driven to the identity; hinge on the spread."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        def centred(X: Any) -> Any:
            z = xp.tanh(X @ p.W1) @ p.W2
            return z - xp.mean(z, axis=0)

        a, b = centred(d.A), centred(d.B)
        spread = xp.sqrt(xp.mean(a**2, axis=0) + d.eps), xp.sqrt(xp.mean(b**2, axis=0) + d.eps)
        across = xp.transpose(a / spread[0]) @ (b / spread[1]) / len(d.A)
        gap = (across - d.eye) ** 2
        return xp.sum(gap * (d.eye + 0.02)) + xp.mean(relu(1 - spread[0], xp))

    A = rng.normal(size=(12, 4))
    data = {
        "A": A,
        "B": A + 0.3 * rng.normal(size=(12, 4)),
        "eye": np.eye(3),
        "eps": np.array(1e-4),
    }
    params = {"W1": rng.normal(size=(4, 5)), "W2": rng.normal(size=(5, 3))}
    base = Draft("views", "smooth", f, params, data, batch=12)
    yield base
    yield inside_float32(base)
    collapsed = {**params, "W2": 2e-6 * params["W2"]}
    yield base.but(
        variant="collapsed",
        kind="near-singular",
        params=collapsed,
        data={**data, "eps": np.array(1e-11)},
    )


@family("ball-embedding", FINAL)
def ball_embedding(rng: Rng) -> Iterator[Draft]:
    """Poincaré's ball: distances grow without bound near its edge."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        rest = 1 - xp.sum(p.x**2, axis=1)
        r2 = xp.sum((p.x[d.i] - p.x[d.j]) ** 2, axis=1)
        u = 2 * r2 / (rest[d.i] * rest[d.j])
        distance = xp.log1p(u + xp.sqrt(u * (u + 2)))
        return xp.sum((xp.exp(p.log_unit) * distance - d.steps) ** 2)

    i, j = np.triu_indices(7, 1)
    data = {"i": i, "j": j, "steps": rng.integers(1, 5, len(i)) * 1.0}
    x = unit(rng.normal(size=(7, 2)), np) * rng.uniform(0.2, 0.9, (7, 1))
    base = Draft("tree", "smooth", f, {"x": x, "log_unit": np.array(-0.3)}, data)
    yield base
    edge = x.copy()
    edge[2] = unit(x[2], np) * (1 - 2e-7)
    yield base.but(variant="edge", kind="near-singular", params={**base.params, "x": edge})


@family("clipped-ratio", FINAL)
def clipped_ratio(rng: Rng) -> Iterator[Draft]:
    """Retrace: importance ratios cut off at one, products of them along a path."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        scores = log_softmax(d.S @ p.policy, xp)
        ratio = xp.exp(xp.sum(scores * d.A, axis=-1) - d.behaviour)
        cut = -larger(-ratio, -1.0 + 0 * ratio, xp)
        values = xp.sum(d.S * p.value, axis=-1)
        step = d.reward + 0.9 * values[1:] - values[:-1]
        trace: Any = 1.0
        total = values[0]
        for t in range(len(d.reward)):
            trace = trace * cut[t]
            total = total + 0.9**t * trace * step[t]
        return (total - 1) ** 2

    S = rng.normal(size=(8, 3))
    A = np.eye(4)[rng.integers(4, size=8)]
    policy = rng.normal(size=(3, 4)) / 2
    scores = log_softmax(S @ policy, np)
    own = np.sum(scores * A, axis=-1)
    data = {"S": S, "A": A, "behaviour": own + rng.normal(size=8) / 3, "reward": rng.normal(size=7)}
    params = {"policy": policy, "value": rng.normal(size=3)}
    base = Draft("off-policy", "smooth", f, params, data)
    yield base
    same = {**data, "behaviour": own + near(rng, (8,))}
    yield base.but(variant="nearly-on-policy", kind="kink-near", data=same)

"""Functions with kinks: at the point, and at 1e-9 to 1e-4 from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import HELD_OUT, TUNING, Draft, family
from .networks import classes, convolve, forward, layers, pool
from .ops import absolute, first_max, larger, log_softmax, real, relu
from .variants import inside_float32, offset

Rng = np.random.Generator


def near(rng: Rng, shape: tuple[int, ...] = ()) -> np.ndarray:
    """Distances of 1e-9 to 1e-4, of either sign."""
    return rng.choice([-1.0, 1.0], shape) * 10.0 ** rng.uniform(-9, -4, shape)


@family("lasso", TUNING)
def lasso(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        return 0.5 * xp.mean((d.X @ p.w - d.y) ** 2) + d.l1 * xp.sum(absolute(p.w, xp))

    def no_l1(p: Any, d: Any, xp: Any) -> Any:
        return 0.5 * xp.mean((d.X @ p.w - d.y) ** 2)

    data = {"X": rng.normal(size=(30, 10)), "y": rng.normal(size=30), "l1": 0.25}
    w = rng.normal(size=10)
    base = Draft("smooth", "smooth", f, {"w": w}, data, batch=30, slips={"l1": no_l1})
    yield base
    zeros = np.where(np.arange(10) % 3 == 0, 0.0, w)
    yield base.but(variant="some-zero", kind="kink-at", params={"w": zeros})
    yield base.but(variant="all-zero", kind="kink-at", params={"w": np.zeros(10)})
    close = np.where(np.arange(10) % 2 == 0, near(rng, (10,)), w)
    yield base.but(variant="near-zero", kind="kink-near", params={"w": close})
    tiny = np.where(np.arange(10) == 4, 1e-9, w)
    yield base.but(variant="at-1e-9", kind="kink-near", params={"w": tiny})


@family("elastic-net-logistic", HELD_OUT)
def elastic_net(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        z = d.s * (d.X @ p.w + p.b)
        penalty = 0.125 * xp.sum(absolute(p.w, xp)) + 0.25 * xp.sum(p.w**2)
        return xp.mean(xp.log1p(xp.exp(-z))) + penalty

    data = {"X": rng.normal(size=(25, 8)), "s": rng.choice([-1.0, 1.0], 25)}
    w = rng.normal(size=8)
    base = Draft("", "kink-at", f, {"w": w, "b": np.array(0.5)}, data, batch=25)
    yield base.but(variant="sparse", params={**base.params, "w": np.where(w > 0.2, w, 0.0)})
    close = np.where(w > 0, w, near(rng, (8,)))
    yield base.but(variant="near", kind="kink-near", params={**base.params, "w": close})


@family("svm-hinge", TUNING)
def hinge(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        margin = d.s * (d.X @ p.w + p.b)
        return d.C * xp.sum(relu(1 - margin, xp)) + 0.5 * xp.sum(p.w**2)

    data = {"X": rng.normal(size=(20, 4)), "s": rng.choice([-1.0, 1.0], 20), "C": 0.5}
    params = {"w": rng.normal(size=4), "b": np.array(0.25)}
    base = Draft("smooth", "smooth", f, params, data, batch=20)
    yield base
    # Support vectors on the margin: small integers and quarters are exact in floating point.
    exact: dict[str, Any] = {**data, "X": rng.integers(-2, 3, (20, 4)) * 1.0}
    exact["X"][:3] = [[0, 0, 1, 0], [1, -1, 0, 0], [-1, 0, -1, 0]]
    exact["s"] = np.r_[1.0, 1.0, -1.0, data["s"][3:]]
    on = {"w": np.array([0.5, -0.25, 0.75, 0.25]), "b": np.array(0.25)}
    yield base.but(variant="on-the-margin", kind="kink-at", params=on, data=exact)
    off = {"w": on["w"], "b": on["b"] + 3e-7}
    yield base.but(variant="off-the-margin-3e-7", kind="kink-near", params=off, data=exact)
    yield base.but(
        variant="off-the-margin-2e-5",
        kind="kink-near",
        params={**on, "b": on["b"] - 2e-5},
        data=exact,
    )


@family("multiclass-hinge", HELD_OUT)
def multiclass_hinge(rng: Rng) -> Iterator[Draft]:
    """Crammer and Singer's margin, and that of Weston and Watkins."""

    def crammer(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.W + 1.0 - d.Y
        return xp.mean(first_max(z, xp) - xp.sum(d.Y * (d.X @ p.W), axis=1))

    def weston(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.W
        gap = z - xp.sum(d.Y * z, axis=1, keepdims=True) + 1.0 - d.Y
        return xp.mean(xp.sum(relu(gap, xp), axis=1)) + 0.125 * xp.sum(p.W**2)

    data = classes(rng, 20, 5, 4)
    W = rng.normal(size=(5, 4))
    yield Draft("crammer", "smooth", crammer, {"W": W}, data, batch=20)
    yield Draft("weston", "smooth", weston, {"W": W}, data, batch=20)
    yield Draft("crammer-at-zero", "kink-at", crammer, {"W": np.zeros((5, 4))}, data, batch=20)
    yield Draft("crammer-near-zero", "kink-near", crammer, {"W": near(rng, (5, 4))}, data, batch=20)


@family("relu-zero-sample", TUNING)
def relu_zero_sample(rng: Rng) -> Iterator[Draft]:
    """Padding and zero biases put every unit at its kink for the empty samples."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        return -xp.mean(xp.sum(d.Y * log_softmax(forward(p, d.X, relu, xp), xp), axis=1))

    data = classes(rng, 12, 5, 3)
    data["X"][[2, 7]] = 0.0
    params = layers(rng, [5, 6, 3])
    params["b1"] = np.zeros(6)
    base = Draft("two-empty", "kink-at", f, params, data, batch=12)
    yield base
    yield offset(base, 1e3).but(kind="kink-at")
    shifted = {**params, "b1": near(rng, (6,))}
    yield base.but(variant="tiny-biases", kind="kink-near", params=shifted)
    yield base.but(
        variant="biases-1e-8", kind="kink-near", params={**params, "b1": np.full(6, 1e-8)}
    )
    small = {**params, "W1": 1e-6 * params["W1"]}
    full = {**data, "X": rng.normal(size=(12, 5))}
    yield base.but(variant="small-weights", kind="kink-near", params=small, data=full)


@family("relu-deep-at-kink", HELD_OUT)
def relu_deep_at_kink(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        return 0.5 * xp.sum((forward(p, d.X, relu, xp) - d.T) ** 2)

    params = layers(rng, [4, 6, 5, 2])
    params |= {"b1": np.zeros(6), "b2": rng.normal(size=5)}
    data = {"X": rng.normal(size=(8, 4)), "T": rng.normal(size=(8, 2))}
    data["X"][3] = 0.0
    base = Draft("one-empty", "kink-at", f, params, data, batch=8)
    yield base
    yield base.but(variant="near", kind="kink-near", params={**params, "b1": near(rng, (6,))})
    # The pre-activation of one unit for one sample moved to just beside its kink.
    moved = {k: v.copy() for k, v in params.items()}
    for unit, gap in ((0, 1e-9), (1, -1e-7), (2, 1e-5)):
        moved["b1"][unit] = gap - data["X"][0] @ params["W1"][:, unit]
    yield base.but(variant="three-units", kind="kink-near", params=moved)


@family("maxpool-ties", TUNING)
def maxpool_ties(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        h = convolve(d.X, p.K, xp) + xp.reshape(p.c, (1, -1, 1, 1))
        return xp.sum(d.T * pool(h, xp)) + xp.sum(p.K**2)

    image = np.zeros((2, 1, 6, 6))
    image[:, :, 1:4, 2:5] = rng.integers(-2, 3, (2, 1, 3, 3))
    data = {"X": image, "T": rng.normal(size=(2, 2, 2, 2))}
    params = {"K": rng.integers(-2, 3, (2, 1, 3, 3)) * 0.5, "c": np.array([0.25, -0.5])}
    yield Draft("blank-borders", "kink-at", f, params, data, batch=2)
    gentle = {**data, "X": image + near(rng, image.shape)}
    yield Draft("nearly-blank", "kink-near", f, params, gentle, batch=2)


@family("median-regression", HELD_OUT)
def median_regression(rng: Rng) -> Iterator[Draft]:
    """Quantile loss, with residuals exactly zero or nearly so."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        r = d.y - d.X @ p.w
        return xp.mean(xp.where(real(r) > 0, d.q * r, (d.q - 1) * r))

    X = rng.integers(-3, 4, (21, 3)) * 1.0
    w = np.array([0.5, -1.25, 2.0])
    data = {
        "X": X,
        "y": X @ w + np.where(np.arange(21) % 4 == 0, 0.0, rng.normal(size=21)),
        "q": 0.25,
    }
    yield Draft("some-fitted", "kink-at", f, {"w": w}, data, batch=21)
    yield Draft("nearly-fitted", "kink-near", f, {"w": w + near(rng, (3,))}, data, batch=21)
    yield Draft(
        "nearly-1e-8", "kink-near", f, {"w": w + np.array([1e-8, 2.3e-8, -1.7e-8])}, data, batch=21
    )
    yield Draft("smooth", "smooth", f, {"w": rng.normal(size=3)}, data, batch=21)


@family("total-variation", TUNING)
def total_variation(rng: Rng) -> Iterator[Draft]:
    """Denoising a piecewise constant signal: equal neighbours are at a kink."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        return 0.5 * xp.sum((p.x - d.y) ** 2) + 0.75 * xp.sum(absolute(p.x[1:] - p.x[:-1], xp))

    steps = np.repeat([0.5, -1.0, 2.25, 2.0], 5)
    data = {"y": steps + 0.3 * rng.normal(size=20)}
    yield Draft("flat", "kink-at", f, {"x": steps}, data)
    yield Draft("nearly-flat", "kink-near", f, {"x": steps + near(rng, (20,))}, data)


@family("minimax", HELD_OUT)
def minimax(rng: Rng) -> Iterator[Draft]:
    """Largest absolute residual; at the solution several are equal."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        r = d.A @ p.x - d.b
        return first_max(xp.concatenate([r, -r]), xp) + 0.125 * xp.sum(p.x**2)

    A = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, -1], [1, -1, 1]])
    data = {"A": A, "b": np.array([0.5, 0.5, 0.5, 2.0, 0.25, 0.75])}
    yield Draft("three-equal", "kink-at", f, {"x": np.array([1.5, 1.5, 1.5])}, data)
    yield Draft(
        "nearly-equal", "kink-near", f, {"x": np.array([1.5, 1.5 + 2e-8, 1.5 - 1e-6])}, data
    )


@family("leaky-and-hard", TUNING)
def leaky(rng: Rng) -> Iterator[Draft]:
    """Leaky ReLU, hard tanh and hard sigmoid in one net, some units at their corners."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.W1 + p.b1
        h = xp.where(real(z) > 0, z, 0.125 * z)
        z = h @ p.W2 + p.b2
        inside = (real(z) > -1) & (real(z) < 1)
        h = xp.where(inside, z, np.sign(real(z)))
        z = h @ p.W3 / 4 + 0.5
        return xp.sum((relu(z, xp) - relu(z - 1, xp) - d.T) ** 2)

    data = {"X": rng.normal(size=(10, 4)), "T": rng.random((10, 2))}
    data["X"][0] = 0.0
    params = {
        "W1": rng.normal(size=(4, 5)),
        "b1": np.zeros(5),
        "W2": rng.normal(size=(5, 4)),
        "b2": np.array([0.6, -0.4, 0.3, 0.1]),
        "W3": rng.normal(size=(4, 2)),
    }
    base = Draft("corners", "kink-at", f, params, data, batch=10)
    yield base
    close = {
        **params,
        "b1": near(rng, (5,)),
        "b2": np.array([1.0, -1.0, 0.3, 0.1]) + near(rng, (4,)),
    }
    yield base.but(variant="near-corners", kind="kink-near", params=close)


@family("epsilon-insensitive", HELD_OUT)
def epsilon_insensitive(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        r = absolute(d.y - d.X @ p.w - p.b, xp)
        return xp.sum(relu(r - 0.5, xp)) + 0.5 * xp.sum(p.w**2)

    X = rng.integers(-2, 3, (16, 3)) * 1.0
    w = np.array([0.5, 0.25, -0.75])
    data = {"X": X, "y": X @ w + 0.125 + rng.choice([-0.5, 0.5, 0.25, 1.5], 16)}
    yield Draft("on-the-tube", "kink-at", f, {"w": w, "b": np.array(0.125)}, data, batch=16)
    yield Draft(
        "beside-the-tube", "kink-near", f, {"w": w, "b": np.array(0.125 + 4e-9)}, data, batch=16
    )


@family("sorted-penalty", TUNING)
def sorted_penalty(rng: Rng) -> Iterator[Draft]:
    """Order statistics: a trimmed mean of squares, and a penalty on sorted magnitudes (SLOPE)."""

    def trimmed(p: Any, d: Any, xp: Any) -> Any:
        r = (d.y - d.X @ p.w) ** 2
        keep = np.argsort(real(r), kind="stable")[:12]
        return xp.mean(r[keep])

    def slope(p: Any, d: Any, xp: Any) -> Any:
        size = absolute(p.w, xp)
        order = np.argsort(-real(size), kind="stable")
        return xp.sum(size[order] * np.linspace(1, 0.25, 6)) + 0.5 * xp.sum((p.w - d.t) ** 2)

    data = {"X": rng.normal(size=(18, 4)), "y": rng.normal(size=18)}
    yield Draft("trimmed", "smooth", trimmed, {"w": rng.normal(size=4)}, data, batch=18)
    tied = {"w": np.array([0.5, -0.5, 1.5, 0.25, 0.5, -2.0])}
    yield Draft("slope-tied", "kink-at", slope, tied, {"t": rng.normal(size=6)})
    close = {"w": tied["w"] + near(rng, (6,))}
    yield Draft("slope-nearly-tied", "kink-near", slope, close, {"t": rng.normal(size=6)})


@family("viterbi", HELD_OUT)
def viterbi(rng: Rng) -> Iterator[Draft]:
    """Structured perceptron: score of the best path minus that of the true one."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        emit = d.X @ p.W
        best, score = emit[0], emit[0, d.y[0]]
        for t in range(1, len(d.y)):
            best = first_max(xp.reshape(best, (1, -1)) + p.T.T, xp) + emit[t]
            score = score + p.T[d.y[t - 1], d.y[t]] + emit[t, d.y[t]]
        return first_max(best, xp) - score + 0.25 * xp.sum(p.W**2)

    data = {"X": rng.normal(size=(7, 4)), "y": rng.integers(3, size=7)}
    params = {"W": rng.normal(size=(4, 3)), "T": rng.normal(size=(3, 3))}
    yield Draft("best-path", "smooth", f, params, data)
    close = {"W": params["W"], "T": near(rng, (3, 3))}
    clear = {**data, "X": np.round(data["X"])}
    clear["X"][2:4] = 0.0
    yield Draft("nearly-tied", "kink-near", f, close, clear)


@family("dynamic-time-warping", TUNING)
def dtw(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        inf = np.inf
        row: list[Any] = [0.0] + [inf] * len(d.y)
        for i in range(p.x.size):
            new: list[Any] = [inf]
            for j in range(len(d.y)):
                options = (row[j], row[j + 1], new[j])
                new.append((p.x[i] - d.y[j]) ** 2 + min(options, key=real))
            row = new
        return row[-1]

    data = {"y": np.array([0.0, 1.0, 1.0, 2.0, 3.0, 2.0, 0.5])}
    yield Draft("aligned", "smooth", f, {"x": rng.normal(size=6) + 1}, data)
    yield Draft(
        "nearly-tied",
        "kink-near",
        f,
        {"x": np.array([0.0, 0.5, 1.5, 2.5, 2.5, 1.25]) + near(rng, (6,))},
        data,
    )


@family("single-kinks", HELD_OUT)
def single_kinks(rng: Rng) -> Iterator[Draft]:
    """One-dimensional corners of other shapes: asymmetric, curved, and several in a row."""

    def asymmetric(p: Any, d: Any, xp: Any) -> Any:
        return xp.where(real(p.x) > 0, 3.0 * p.x, 0.5 * p.x) + xp.sin(p.x + 1)

    def curved(p: Any, d: Any, xp: Any) -> Any:
        return larger(p.x**2, 2 - p.x, xp) + xp.exp(0.5 * p.x)

    def comb(p: Any, d: Any, xp: Any) -> Any:
        total = p.x**2
        for c in (1e-9, 3e-8, 1e-6, 2e-5, 5e-4):
            total = total + absolute(p.x - c, xp)
        return total

    def root(p: Any, d: Any, xp: Any) -> Any:
        return xp.cos(p.x) + absolute(p.x, xp) * xp.exp(p.x) * 1e-3

    for gap in (1e-9, -1e-8, 1e-6, -3e-5, 1e-4):
        yield Draft(f"asymmetric{gap:+.0e}", "kink-near", asymmetric, {"x": np.array(gap)})
        yield Draft(f"curved{gap:+.0e}", "kink-near", curved, {"x": np.array(1 + gap)})
    yield Draft("comb", "kink-near", comb, {"x": np.array(1e-5)})
    yield Draft("small-corner", "kink-near", root, {"x": np.array(-1e-7)})
    yield Draft("asymmetric-at", "kink-at", asymmetric, {"x": np.array(0.0)})
    yield Draft("curved-at", "kink-at", curved, {"x": np.array(1.0)})
    yield Draft("small-corner-at", "kink-at", root, {"x": np.array(0.0)})


@family("relu-float32", TUNING)
def relu_float32(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        return xp.mean((forward(p, d.X, relu, xp)[:, 0] - d.y) ** 2)

    data = {"X": rng.normal(size=(16, 6)), "y": rng.normal(size=16)}
    base = Draft("6-12-1", "float32-inside", f, layers(rng, [6, 12, 1]), data, batch=16)
    yield inside_float32(base)
    yield inside_float32(base, "params")


@family("perceptron", TUNING)
def perceptron(rng: Rng) -> Iterator[Draft]:
    """At the customary start, all weights zero, every sample is at the corner."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        return xp.mean(relu(-d.s * (d.X @ p.w + p.b), xp)) + xp.sum(p.c**2)

    data = {"X": rng.normal(size=(15, 4)), "s": rng.choice([-1.0, 1.0], 15)}
    start = {"w": np.zeros(4), "b": np.array(0.0), "c": rng.normal(size=3)}
    base = Draft("at-zero", "kink-at", f, start, data, batch=15)
    yield base
    close = {**start, "w": 1e-7 * rng.normal(size=4), "b": np.array(2e-8)}
    yield base.but(variant="near-zero", kind="kink-near", params=close)


@family("absolute-error-from-zero", HELD_OUT)
def absolute_error(rng: Rng) -> Iterator[Draft]:
    """Mean absolute error of counts, many of them zero, at a last layer of zeros."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        h = xp.tanh(d.X @ p.W)
        return xp.mean(absolute(h @ p.v + p.b - d.y, xp)) + 0.25 * xp.sum(p.W**2)

    data = {"X": rng.normal(size=(14, 3)), "y": rng.poisson(0.8, 14) * 1.0}
    start = {"W": rng.normal(size=(3, 4)), "v": np.zeros(4), "b": np.array(0.0)}
    base = Draft("zero-layer", "kink-at", f, start, data, batch=14)
    yield base
    yield base.but(variant="small-layer", kind="kink-near", params={**start, "v": near(rng, (4,))})


@family("group-lasso", TUNING)
def group_lasso(rng: Rng) -> Iterator[Draft]:
    """Norms of groups; at a group of zeros the customary subgradient is zero."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        size = xp.sum(p.W**2, axis=1)
        on = real(size) > 0
        norms = xp.sqrt(xp.where(on, size, 1.0)) * on
        return 0.5 * xp.mean((d.X @ p.W - d.Y) ** 2) + 0.5 * xp.sum(norms)

    data = {"X": rng.normal(size=(15, 5)), "Y": rng.normal(size=(15, 3))}
    W = rng.normal(size=(5, 3))
    W[[1, 4]] = 0.0
    yield Draft("two-zero-groups", "kink-at", f, {"W": W}, data, batch=15)
    small = W + (np.arange(5) == 1)[:, None] * 1e-6 * rng.normal(size=3)
    small[4] = 1.0
    yield Draft("small-group", "kink-near", f, {"W": small}, data, batch=15)


@family("median-filter", HELD_OUT)
def median_filter(rng: Rng) -> Iterator[Draft]:
    """Running median of three, squared against a target; ties are corners."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        x = p.x
        windows = xp.stack([x[:-2], x[1:-1], x[2:]], axis=1)
        middle = np.argsort(real(windows), axis=1, kind="stable")[:, 1]
        return xp.sum((windows[np.arange(len(middle)), middle] - d.y) ** 2)

    x = np.array([0.5, 1.25, 1.25, 2.0, -0.5, 0.75, 0.75, 3.0])
    data = {"y": rng.normal(size=6)}
    yield Draft("tied", "kink-at", f, {"x": x}, data)
    yield Draft("nearly-tied", "kink-near", f, {"x": x + near(rng, (8,))}, data)
    yield Draft("apart", "smooth", f, {"x": rng.normal(size=8)}, data)


@family("wasserstein", TUNING)
def wasserstein(rng: Rng) -> Iterator[Draft]:
    """Distance of two samples on a line, by sorting."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        order = np.argsort(real(p.x), kind="stable")
        return xp.mean(absolute(p.x[order] - d.y, xp))

    y = np.sort(np.round(rng.normal(size=8), 1))
    x = rng.permutation(y) + 0.0
    yield Draft("apart", "smooth", f, {"x": rng.normal(size=8)}, {"y": y})
    yield Draft("equal-samples", "kink-at", f, {"x": x}, {"y": y})
    yield Draft("nearly-equal", "kink-near", f, {"x": x + near(rng, (8,))}, {"y": y})


@family("clipped-policy", HELD_OUT)
def clipped_policy(rng: Rng) -> Iterator[Draft]:
    """Clipped surrogate of policy optimisation, with ratios at or near the clip."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        ratio = xp.exp(p.logp - d.old)
        low, high = real(ratio) < 0.75, real(ratio) > 1.25
        clipped = xp.where(low, 0.75, xp.where(high, 1.25, ratio))
        return -xp.mean(-larger(-ratio * d.gain, -clipped * d.gain, xp))

    old = rng.normal(size=10)
    gain = rng.normal(size=10)
    far = old + 0.3 * rng.normal(size=10)
    yield Draft("apart", "smooth", f, {"logp": far}, {"old": old, "gain": gain}, batch=10)
    at = np.where(np.arange(10) < 4, old + np.log(1.25), far) + near(rng, (10,))
    yield Draft("near-the-clip", "kink-near", f, {"logp": at}, {"old": old, "gain": gain}, batch=10)


@family("maxout", TUNING)
def maxout(rng: Rng) -> Iterator[Draft]:
    """Pieces of equal weights tie on every sample; padded samples tie on the biases alone."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = xp.einsum("mn,nuk->muk", d.X, p.W) + p.b
        return xp.mean((first_max(z, xp) @ p.v - d.y) ** 2)

    data = {"X": rng.normal(size=(10, 3)), "y": rng.normal(size=10)}
    data["X"][4] = 0.0
    params = {"W": rng.normal(size=(3, 4, 2)), "b": np.full((4, 2), 0.5), "v": rng.normal(size=4)}
    base = Draft("padded", "kink-at", f, params, data, batch=10)
    yield base
    close = {**params, "b": 0.5 + near(rng, (4, 2))}
    yield base.but(variant="nearly", kind="kink-near", params=close)


@family("mlp-relu-images", HELD_OUT)
def relu_images(rng: Rng) -> Iterator[Draft]:
    """Pixels that are always blank, a blank image, zero biases: a first step of training."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = forward(p, d.X, relu, xp)
        return -xp.sum(d.Y * log_softmax(z, xp)) / len(d.Y)

    data = classes(rng, 10, 16, 3)
    data["X"] = np.maximum(data["X"], 0) * (np.arange(16) % 4 > 0)
    data["X"][6] = 0.0
    params = layers(rng, [16, 8, 3])
    params |= {"b1": np.zeros(8), "b2": np.zeros(3)}
    base = Draft("one-blank", "kink-at", f, params, data, batch=10)
    yield base
    yield base.but(variant="faint", kind="kink-near", data={**data, "X": data["X"] * 1e-7})

"""Networks of our own, and the mistakes that are seeded into their gradients by name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from bank import Case
from bank.base import Arrays, Draft, build
from bank.networks import convolve, log_softmax, sigmoid, softmax

Rng = np.random.Generator
LAMBDA = 0.03


def models() -> Iterator[Case]:
    """Eight architectures, at random points."""
    for number, (name, make) in enumerate(MODELS.items()):
        draft = make(np.random.default_rng(number))
        yield build(f"own {name}", "own", draft)


def _xent(z: Any, d: Any, xp: Any) -> Any:
    return -xp.mean(xp.sum(d.Y * log_softmax(z, xp), axis=1))


def _labelled(rng: Rng, m: int, n: int, k: int) -> Arrays:
    return {"X": rng.normal(size=(m, n)), "Y": np.eye(k)[rng.integers(k, size=m)]}


def _dense(rng: Rng, sizes: list[int], gain: float) -> Arrays:
    params = {}
    for i, (n, k) in enumerate(pairwise(sizes), start=1):
        params[f"W{i}"] = rng.normal(size=(n, k)) * np.sqrt(gain / n)
        params[f"b{i}"] = 0.1 * rng.normal(size=k)
    return params


def _mlp(sizes: list[int], m: int, tanh: bool) -> Callable[[Rng], Draft]:
    def make(rng: Rng) -> Draft:
        def f(p: Any, d: Any, xp: Any) -> Any:
            a = d.X
            for i in range(1, len(sizes)):
                z = a @ getattr(p, f"W{i}") + getattr(p, f"b{i}")
                a = z if i == len(sizes) - 1 else xp.tanh(z) if tanh else xp.maximum(z, 0 * z)
            return _xent(a, d, xp)

        params = _dense(rng, sizes, 1.0 if tanh else 2.0)
        return Draft("", "smooth", f, params, _labelled(rng, m, sizes[0], sizes[-1]), batch=m)

    return make


def _convolution(rng: Rng) -> Draft:
    def f(p: Any, d: Any, xp: Any) -> Any:
        h = xp.tanh(convolve(d.X, p.K1, xp) + xp.reshape(p.c1, (1, -1, 1, 1)))
        h = xp.tanh(convolve(h, p.K2, xp) + xp.reshape(p.c2, (1, -1, 1, 1)))
        return _xent(xp.reshape(h, (len(d.X), -1)) @ p.W + p.b, d, xp)

    params = {
        "K1": rng.normal(size=(3, 2, 3, 3)) / 4,
        "c1": 0.1 * rng.normal(size=3),
        "K2": rng.normal(size=(3, 3, 3, 3)) / 5,
        "c2": 0.1 * rng.normal(size=3),
        "W": rng.normal(size=(12, 4)) / 3,
        "b": 0.1 * rng.normal(size=4),
    }
    data = {"X": rng.normal(size=(7, 2, 6, 6)), "Y": np.eye(4)[rng.integers(4, size=7)]}
    return Draft("", "smooth", f, params, data, batch=7)


def _normalised(axis: int) -> Callable[[Rng], Draft]:
    def make(rng: Rng) -> Draft:
        def f(p: Any, d: Any, xp: Any) -> Any:
            z = d.X @ p.W1
            gap = z - xp.mean(z, axis=axis, keepdims=True)
            z = gap / xp.sqrt(xp.mean(gap**2, axis=axis, keepdims=True) + 1e-5)
            return _xent(xp.tanh(p.gamma * z + p.beta) @ p.W2 + p.b2, d, xp)

        params = {
            "W1": rng.normal(size=(6, 6)) / 2,
            "gamma": 1 + 0.2 * rng.normal(size=6),
            "beta": 0.1 * rng.normal(size=6),
            "W2": rng.normal(size=(6, 3)) / 2,
            "b2": 0.1 * rng.normal(size=3),
        }
        return Draft("", "smooth", f, params, _labelled(rng, 16, 6, 3), batch=16)

    return make


def _attention(rng: Rng) -> Draft:
    def f(p: Any, d: Any, xp: Any) -> Any:
        q, k, v = d.X @ p.Wq, d.X @ p.Wk, d.X @ p.Wv
        a = softmax(xp.einsum("bid,bjd->bij", q, k) * 0.5, xp)
        h = xp.mean(xp.einsum("bij,bjd->bid", a, v) @ p.Wo, axis=1) + p.bo
        return _xent(h, d, xp)

    params: Arrays = {k: rng.normal(size=(4, 4)) / 2 for k in ("Wq", "Wk", "Wv", "Wo")}
    params["bo"] = 0.1 * rng.normal(size=4)
    data = {"X": rng.normal(size=(9, 5, 4)), "Y": np.eye(4)[rng.integers(4, size=9)]}
    return Draft("", "smooth", f, params, data, batch=9)


def _lstm(rng: Rng) -> Draft:
    n, h = 3, 4

    def f(p: Any, d: Any, xp: Any) -> Any:
        a = c = np.zeros((len(d.Y), h))
        for t in range(d.X.shape[1]):
            z = d.X[:, t] @ p.Wx + a @ p.Wh + p.b
            i, g, o = (sigmoid(z[:, k * h : (k + 1) * h], xp) for k in range(3))
            c = g * c + i * xp.tanh(z[:, 3 * h :])
            a = o * xp.tanh(c)
        return _xent(a @ p.Wy + p.by, d, xp)

    params = {
        "Wx": rng.normal(size=(n, 4 * h)) / 2,
        "Wh": rng.normal(size=(h, 4 * h)) / 2,
        "b": 0.1 * rng.normal(size=4 * h),
        "Wy": rng.normal(size=(h, 3)),
        "by": 0.1 * rng.normal(size=3),
    }
    data = {"X": rng.normal(size=(6, 5, n)), "Y": np.eye(3)[rng.integers(3, size=6)]}
    return Draft("", "smooth", f, params, data, batch=6)


def _softmax_regression(rng: Rng) -> Draft:
    params = {"W": rng.normal(size=(8, 5)) / 3, "b": 0.1 * rng.normal(size=5)}

    def f(p: Any, d: Any, xp: Any) -> Any:
        return _xent(d.X @ p.W + p.b, d, xp)

    return Draft("", "smooth", f, params, _labelled(rng, 20, 8, 5), batch=20)


def _gaussian(rng: Rng) -> Draft:
    def f(p: Any, d: Any, xp: Any) -> Any:
        z = (d.X - p.mu) @ p.L
        return (
            xp.mean(xp.sum(0.5 * z**2, axis=1))
            - xp.sum(p.log_d)
            + 0.5 * xp.sum(xp.exp(2 * p.log_d))
        )

    params = {
        "mu": rng.normal(size=4),
        "L": np.eye(4) + 0.3 * rng.normal(size=(4, 4)),
        "log_d": 0.3 * rng.normal(size=4),
    }
    return Draft("", "smooth", f, params, {"X": rng.normal(size=(30, 4))}, batch=30)


MODELS: dict[str, Callable[[Rng], Draft]] = {
    "tanh 5-8-8-4": _mlp([5, 8, 8, 4], 12, tanh=True),
    "relu 6-10-10-10-3": _mlp([6, 10, 10, 10, 3], 15, tanh=False),
    "convolution": _convolution,
    "batch norm": _normalised(0),
    "layer norm": _normalised(1),
    "attention": _attention,
    "LSTM": _lstm,
    "softmax regression": _softmax_regression,
    "Gaussian likelihood": _gaussian,
}


@dataclass(frozen=True)
class Mistake:
    """A wrong gradient, the findings that name it rightly, and those of further calls."""

    kind: str
    claimed: Arrays
    names: frozenset[str]
    where: frozenset[str]
    again: Arrays | None = None
    moved: Arrays | None = None


def mistakes(case: Case, rng: Rng) -> Iterator[Mistake]:
    """Every named kind of mistake that this model can hold, once."""
    g, theta = case.exact, case.params
    live = [k for k in g if np.max(np.abs(g[k])) > 1e-9]
    weights = [k for k in live if g[k].ndim > 1]
    biases = [k for k in live if g[k].ndim == 1 and theta[k].any()]

    def made(kind: str, names: str, changed: Arrays, **calls: Arrays) -> Mistake:
        claimed = {k: np.asarray(changed.get(k, g[k]), float) for k in g}
        spoiled = frozenset(k for k in live if k in changed)
        return Mistake(kind, claimed, frozenset(names.split("|")), spoiled, **calls)

    one, w = str(rng.choice(live)), str(rng.choice(weights))
    m = case.batch
    yield made("sign, everywhere", "sign", {k: -g[k] for k in live})
    yield made("sign of one", "sign", {one: -g[one]})
    yield made("factor 2, everywhere", "factor", {k: 2 * g[k] for k in live})
    yield made("factor 1/2, everywhere", "factor", {k: g[k] / 2 for k in live})
    yield made("factor 2 of one", "factor", {one: 2 * g[one]})
    yield made("factor 0.9 of one", "factor", {one: 0.9 * g[one]})
    yield made("factor -2 of one", "factor", {one: -2 * g[one]})
    yield made("sum for mean", "mean-for-sum", {k: m * g[k] for k in live})
    yield made("mean for sum", "mean-for-sum", {k: g[k] / m for k in live})
    yield made("biases: sum for mean", "factor|mean-for-sum", {k: m * g[k] for k in biases})
    yield made("not written", "not-written", {one: 0 * g[one]})
    yield made("weights not written", "not-written", {k: 0 * g[k] for k in weights})
    yield from _partly(w, g[w], rng, made)
    yield from _moved(w, g[w], rng, made)
    pair = [(a, b) for a in live for b in live if a < b and g[a].shape == g[b].shape]
    if pair:
        a, b = pair[int(rng.integers(len(pair)))]
        yield made("swapped", "swapped", {a: g[b], b: g[a]})
        yield made("copied", "swapped", {a: g[b]})
    if "Wx" in g:
        order = np.r_[4:8, 0:4, 8:16]
        yield made("gates exchanged", "swapped", {k: g[k][..., order] for k in ("Wx", "Wh", "b")})
    for kind, which in (("weights", weights), ("biases", biases), ("all", live)):
        for name, c in (("missing", -LAMBDA), ("extra", LAMBDA)):
            spoiled = {k: g[k] + c * theta[k] for k in which}
            yield made(f"l2 {name}, {kind}", f"l2-{name}", spoiled)
    yield made("l1 missing", "l1-missing", {k: g[k] - LAMBDA * np.sign(theta[k]) for k in weights})
    yield made("accumulated", "accumulated", {}, again={k: 2 * v for k, v in g.items()})
    twice = {k: 2 * g[k] for k in live}
    yield made("accumulated before", "accumulated", twice, again={k: 3 * v for k, v in g.items()})
    old = {k: g[k] + 0.3 * rng.normal(size=g[k].shape) * np.std(g[k]) for k in live}
    yield made("stale", "stale", old, moved={k: old.get(k, g[k]) for k in g})
    half = {k: g[k].astype(np.float16).astype(float) for k in live}
    yield made("float16", "low-precision", half)
    single = {k: g[k] * (1 + 2.0**-24 * rng.uniform(-12, 12, size=g[k].shape)) for k in live}
    yield made("float32 inside", "low-precision", single)


Made = Callable[..., Mistake]


def _partly(w: str, g: np.ndarray, rng: Rng, made: Made) -> Iterator[Mistake]:
    for kind, at in (
        ("row", (int(rng.integers(g.shape[0])),)),
        ("column", (..., int(rng.integers(g.shape[-1])))),
        ("last row", (-1,)),
    ):
        partly = g.copy()
        partly[at] = 0
        yield made(f"{kind} not written", "partly-written", {w: partly})
    half = g.copy().reshape(-1)
    half[g.size // 2 :] = 0
    yield made("half written", "partly-written", {w: half.reshape(g.shape)})


def _moved(w: str, g: np.ndarray, rng: Rng, made: Made) -> Iterator[Mistake]:
    axis = int(rng.integers(g.ndim))
    turned = np.ascontiguousarray(np.swapaxes(g, 0, 1)).reshape(g.shape)
    yield made("transposed", "transposed", {w: turned})
    yield made("reversed", "reversed", {w: np.flip(g, axis)})
    yield made("rolled", "rolled", {w: np.roll(g, 1, axis)})
    if g.ndim == 4:
        yield made("convolution for correlation", "reversed", {w: g[..., ::-1, ::-1]})

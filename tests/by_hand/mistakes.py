"""Mistakes seeded into models, each of which turns ``model.grads`` into a wrong one.

Those of a named kind say what the finding ought to be called; of the others no cause is known, and
what is claimed must be literally true of the right gradient.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .layers import Array
from .models import Model, Stack
from .slips import slips

Grads = dict[str, Array]
Change = Callable[[Grads], Grads]


@dataclass(frozen=True)
class Mistake:
    """One mistake in one model.

    Attributes
    ----------
    kind : str
    names : frozenset of str
        What the finding may be called; empty where no named kind applies.
    seed : callable
        ``seed(model)`` makes it.
    """

    kind: str
    names: frozenset[str]
    seed: Callable[[Model], None]


HELD_BACK_MISTAKES = (
    "factor -1/2 of one",
    "factor 1/m of the weights",
    "factor 3 of the biases",
    "sign of the biases",
    "last column not written",
    "reversed along the other axis",
    "rolled by two",
    "three in the wrong order",
    "L2 with twice its lambda",
    "L2 on the biases, and not on the weights",
    "L2 missing, sum for mean",
    "stale but for the last layer",
    "first sample left out",
    "bfloat16",
    "cosine for sine",
    "wrong loss",
    "entries sorted",
    "gradient of another batch",
)
"""Not looked at while causes were tuned."""


def mistakes(model: Model, X: Array, y: Any, rng: np.random.Generator) -> Iterator[Mistake]:
    """All mistakes that this model can hold, named kinds first."""
    g = model.grads(X, y)
    yield from _of_named_kinds(model, g, len(y), rng)
    yield from _of_calls(X, y)
    for kind, seed in slips(model):
        yield Mistake(kind, frozenset(), seed)
    yield from _of_no_kind(g, rng)
    if model.lam:
        yield made("L2 missing, sum for mean", "",
                   lambda g: {k: len(y) * (a - model.lam * model.params[k] * (k in model.weights))
                              for k, a in g.items()})  # fmt: skip


def _of_named_kinds(model: Model, g: Grads, m: int, rng: np.random.Generator) -> Iterator[Mistake]:
    theta = {k: v.copy() for k, v in model.params.items()}
    weights = [k for k in g if g[k].ndim > 1]
    biases = [k for k in g if g[k].ndim == 1 and g[k].size > 1]
    one, W = str(rng.choice(weights + biases)), str(rng.choice(weights or biases))

    def of(kind: str, names: str, *which: str, change: Callable[[Array], Array]) -> Mistake:
        return made(kind, names, lambda g: {k: change(g[k]) for k in which})

    def scaled(kind: str, names: str, factor: float, *which: str) -> Mistake:
        return of(kind, names, *which, change=lambda a: factor * a)

    yield scaled("sign", "sign", -1, *g)
    yield scaled("sign of one", "sign", -1, one)
    yield scaled("factor 2", "factor", 2, *g)
    yield scaled("factor 1/2", "factor", 0.5, *g)
    yield scaled("factor 2 of one", "factor", 2, one)
    yield scaled("factor 0.9 of one", "factor", 0.9, one)
    yield scaled("factor -2 of one", "factor", -2, one)
    yield scaled("factor -1/2 of one", "factor", -0.5, one)
    yield scaled("sum for mean", "mean-for-sum", m, *g)
    yield scaled("mean for sum", "mean-for-sum", 1 / m, *g)
    if biases:
        yield scaled("sign of the biases", "sign", -1, *biases)
        yield scaled("factor 3 of the biases", "factor", 3, *biases)
        yield scaled("biases without 1/m", "factor|mean-for-sum", m, *biases)
    if weights:
        yield scaled("factor 1/m of the weights", "factor|mean-for-sum", 1 / m, *weights)
        yield scaled("weights not written", "not-written", 0, *weights)
    yield scaled("one not written", "not-written", 0, one)
    yield from _partly(W, g[W], rng)
    yield from _moved(W, g[W], rng)
    yield from _exchanged(g, rng)
    yield from _penalties(model, theta)
    yield from _rounded(model)
    twice = {k: 2.0 if g[k].ndim > 1 else -1.0 for k in g}
    yield made("factor 2 of weights, sign of biases", "factor|sign",
               lambda g: {k: twice[k] * a for k, a in g.items()})  # fmt: skip


def _partly(W: str, g: Array, rng: np.random.Generator) -> Iterator[Mistake]:
    row, column = (int(rng.integers(n)) for n in (g.shape[0], g.shape[-1]))
    for kind, at in (
        ("row not written", (row,)),
        ("column not written", (..., column)),
        ("last row not written", (-1,)),
        ("last column not written", (..., -1)),
        ("half not written", (slice(g.shape[0] // 2, None),)),
    ):
        alone = "column" in kind and (g.ndim == 1 or g.shape[-1] == 1)
        if np.any(g[at]) and not alone:
            yield made(kind, "partly-written", lambda g, at=at: {W: _zeroed(g[W], at)})
    for kind, which in (
        ("last sample left out", slice(-1)),
        ("first sample left out", slice(1, None)),
    ):
        yield Mistake(kind, frozenset({"partly-written"}), _without_samples(which))


def _without_samples(which: slice) -> Callable[[Model], None]:
    def seed(model: Model) -> None:
        right = model.data_grads

        def grads(X: Array, y: Any) -> Grads:
            part = len(y[which]) / len(y) if model.takes_mean else 1.0
            return {k: part * a for k, a in right(X[which], y[which]).items()}

        model.data_grads = grads  # type: ignore[method-assign]

    return seed


def _moved(W: str, g: Array, rng: np.random.Generator) -> Iterator[Mistake]:
    def moved(kind: str, name: str, change: Callable[[Array], Array]) -> Iterator[Mistake]:
        if not np.allclose(change(g), g):
            yield made(kind, name, lambda g: {W: change(g[W])})

    axis = int(rng.integers(g.ndim))
    if g.ndim > 1:
        yield from moved(
            "transposed", "transposed", lambda a: np.swapaxes(a, 0, 1).copy().reshape(a.shape)
        )
        other = (axis + 1) % g.ndim
        yield from moved("reversed along the other axis", "reversed", lambda a: np.flip(a, other))
    yield from moved("reversed", "reversed", lambda a: np.flip(a, axis))
    long = g.shape[axis] > 2
    yield from moved(
        "rolled", "rolled" if long else "rolled|reversed", lambda a: np.roll(a, 1, axis)
    )
    if g.shape[-1] > 4:
        yield from moved("rolled by two", "rolled", lambda a: np.roll(a, 2, -1))
    if g.ndim == 4:
        yield from moved(
            "convolution for correlation", "reversed", lambda a: a[..., ::-1, ::-1].copy()
        )


def _exchanged(g: Grads, rng: np.random.Generator) -> Iterator[Mistake]:
    alike = [(a, b) for a in g for b in g if a < b and g[a].shape == g[b].shape and g[a].size > 1]
    if alike:
        a, b = alike[int(rng.integers(len(alike)))]
        yield made("two exchanged", "swapped", lambda g: {a: g[b], b: g[a]})
        yield made("written twice", "swapped", lambda g: {a: g[b]})
    trios = [(a, b, c) for a, b in alike for c in g if c > b and g[c].shape == g[b].shape]
    if trios:
        a, b, c = trios[0]
        yield made("three in the wrong order", "swapped", lambda g: {a: g[b], b: g[c], c: g[a]})
    gates = [k for k in g if k.startswith(("Wx", "Wh", "b")) and "Wx1" in g and "Wh1" in g]
    gates = [k for k in gates if g[k].shape[-1] == g["Wx1"].shape[-1]]
    if gates and 4 * g["Wh1"].shape[0] == g["Wh1"].shape[1]:
        n = g["Wh1"].shape[0]
        order = np.r_[n : 2 * n, :n, 2 * n : 4 * n]
        yield made("gates exchanged", "swapped", lambda g: {k: g[k][..., order] for k in gates})


def _penalties(model: Model, theta: Grads) -> Iterator[Mistake]:
    lam, weights = model.lam, model.weights
    biases = [k for k in theta if k not in weights and np.ptp(theta[k]) > 0]

    def l2(kind: str, name: str, c: float, which: list[str]) -> Mistake:
        return made(kind, name, lambda g: {k: g[k] + c * theta[k] for k in which})

    if lam:
        yield l2("L2 missing", "l2-missing", -lam, weights)
        yield l2("L2 missing in one layer", "l2-missing", -lam, weights[:1])
        yield l2("L2 with half its lambda", "l2-missing", -lam / 2, weights)
        yield l2("L2 with twice its lambda", "l2-extra", lam, weights)
        if biases:
            yield l2("L2 on the biases too", "l2-extra", lam, biases)
            both = {k: -lam if k in weights else lam for k in (*weights, *biases)}
            yield made("L2 on the biases, and not on the weights", "l2-missing|l2-extra",
                       lambda g: {k: g[k] + c * theta[k] for k, c in both.items()})  # fmt: skip
        yield Mistake("L2 right, sum for mean", frozenset({"mean-for-sum", "factor"}), _data(len))
        yield Mistake("L2 right, sign of the data", frozenset({"sign"}), _data(lambda y: -1.0))
    else:
        yield l2("L2 that the loss has not", "l2-extra", 0.04, weights or biases)
    if model.l1:
        missing = lambda g: {k: g[k] - model.l1 * np.sign(theta[k]) for k in weights}  # noqa: E731
        yield made("L1 missing", "l1-missing", missing)
    else:
        yield made("L1 that the loss has not", "l1-extra",
                   lambda g: {k: g[k] + 0.03 * np.sign(theta[k]) for k in weights})  # fmt: skip


def _data(factor: Callable[[Any], float]) -> Callable[[Model], None]:
    """A factor on the data's part of the gradient alone."""

    def seed(model: Model) -> None:
        right = model.data_grads
        by = (lambda y: 1 / len(y)) if not model.takes_mean and factor is len else factor
        model.data_grads = lambda X, y: {  # type: ignore[method-assign]
            k: by(y) * a for k, a in right(X, y).items()
        }

    return seed


def _of_calls(X: Array, y: Any) -> Iterator[Mistake]:
    def accumulated(model: Model) -> None:
        right = model.grads
        total = right(X, y)  # of a call before

        def grads(X: Array, y: Any) -> Grads:
            for k, a in right(X, y).items():
                total[k] = total[k] + a
            return dict(total)

        model.grads = grads  # type: ignore[method-assign]

    def stale(fresh: int) -> Callable[[Model], None]:
        def seed(model: Model) -> None:
            right, theta = model.grads, {k: v.copy() for k, v in model.params.items()}
            model.shake(np.random.default_rng(0), 0.05)
            kept = right(X, y)
            for k, values in theta.items():
                model.params[k][...] = values
            last = list(kept)[len(kept) - fresh :]

            def grads(X: Array, y: Any) -> Grads:
                now = right(X, y)
                return {k: now[k] if k in last else a for k, a in kept.items()}

            model.grads = grads  # type: ignore[method-assign]

        return seed

    yield Mistake("accumulated", frozenset({"accumulated"}), accumulated)
    yield Mistake("stale", frozenset({"stale"}), stale(0))
    yield Mistake("stale but for the last layer", frozenset({"stale"}), stale(1))


def _rounded(model: Model) -> Iterator[Mistake]:
    def coarser(a: Array, bits: int) -> Array:
        mantissa, exponent = np.frexp(a)
        return np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits)

    for kind, bits in (("float16", 11), ("bfloat16", 8)):
        yield made(
            kind, "low-precision", lambda g, bits=bits: {k: coarser(a, bits) for k, a in g.items()}
        )
    if isinstance(model, Stack):
        yield Mistake("float32 inside", frozenset({"low-precision"}), _in_single)


def _in_single(model: Stack) -> None:
    """A forward pass in float32, from which a gradient in float64 is computed."""
    plain = copy.deepcopy(model)

    def grads(X: Array, y: Any) -> Grads:
        single = copy.deepcopy(plain)
        for layer, of in zip(single.layers, single.names, strict=True):
            for key, name in of.items():
                layer.params[key] = model.params[name].astype(np.float32)
        return single.data_grads(X.astype(np.float32), y)

    model.data_grads = grads  # type: ignore[method-assign]


def _of_no_kind(g: Grads, rng: np.random.Generator) -> Iterator[Mistake]:
    W = max(g, key=lambda k: g[k].size)
    entry, row = int(rng.integers(g[W].size)), int(rng.integers(g[W].shape[0]))
    noise = {k: rng.normal(size=a.shape) for k, a in g.items()}
    order = rng.permutation(g[W].size)

    def one(g: Grads) -> Grads:
        wrong = g[W].copy()
        wrong.reshape(-1)[entry] += 0.1 * np.max(np.abs(wrong))
        return {W: wrong}

    def scaled_row(g: Grads) -> Grads:
        wrong = g[W].copy()
        wrong[row] *= 1.5
        return {W: wrong}

    yield made("one entry", "", one)
    yield made("one row times 1.5", "", scaled_row)
    yield made("noise", "", lambda g: {k: a + 0.05 * np.std(a) * noise[k] for k, a in g.items()})
    yield made(
        "noise of 1e-5", "", lambda g: {k: a + 1e-5 * np.std(a) * noise[k] for k, a in g.items()}
    )
    yield made(
        "clipped entries",
        "",
        lambda g: {k: np.clip(a, -_rms(a), _rms(a)) for k, a in g.items()},
    )
    yield made("absolute values", "", lambda g: {W: np.abs(g[W])})
    yield made("squared", "", lambda g: {W: g[W] * np.abs(g[W])})
    yield made("entries shuffled", "", lambda g: {W: g[W].reshape(-1)[order].reshape(g[W].shape)})
    yield made("entries sorted", "", lambda g: {W: np.sort(g[W], axis=None).reshape(g[W].shape)})
    yield made("centred", "", lambda g: {W: g[W] - g[W].mean(axis=0)})
    yield made("shifted by a constant", "", lambda g: {W: g[W] + 0.01 * np.std(g[W])})


def made(kind: str, names: str, change: Change) -> Mistake:
    """A mistake in what is handed out."""

    def seed(model: Model) -> None:
        right = model.grads

        def grads(X: Array, y: Any) -> Grads:
            found = right(X, y)
            return {**found, **change(found)}

        model.grads = grads  # type: ignore[method-assign]

    return Mistake(kind, frozenset(names.split("|")) - {""}, seed)


def _rms(a: Array) -> float:
    return float(np.sqrt(np.mean(a**2)))


def _zeroed(a: Array, at: Any) -> Array:
    a = a.copy()
    a[at] = 0
    return a

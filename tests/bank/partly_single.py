"""Losses of which one part works in single precision, parameters and all, and the rest does not.

Between two jumps of that part the loss is as smooth as the rest: short steps see the slope of the
rest alone, to many digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from .base import HELD_OUT, TUNING, Draft, Ideal, family
from .ops import log_softmax, softplus

Rng = np.random.Generator
WEIGHTS = (1.0, 1e-2, 1e-3)
"""Of the part in single precision, beside the rest."""


def partly_single(
    name: str, single: Ideal, rest: Ideal, params: Mapping[str, Any], data: Mapping[str, Any]
) -> Iterator[Draft]:
    """A draft for each weight of the part `single`; a mistake is to leave one part out."""
    rounded = {k: np.asarray(v).astype(np.float32).astype(float) for k, v in params.items()}
    known = {k: v.astype(np.float32).astype(float) for k, v in data.items() if v.dtype == float}

    def narrowed(values: Any) -> Any:
        return SimpleNamespace(
            **{k: v.astype(np.float32) if v.dtype == float else v for k, v in vars(values).items()}
        )

    def weighed(weight: float) -> Draft:
        def f(p: Any, d: Any, xp: Any) -> Any:
            return weight * single(p, d, xp) + rest(p, d, xp)

        def loss(p: Any, d: Any, xp: Any) -> Any:
            return weight * float(single(narrowed(p), narrowed(d), np)) + float(rest(p, d, np))

        slips = {
            "rest-alone": rest,
            "rest-left-out": lambda p, d, xp: weight * single(p, d, xp),
        }
        kind, variant = "float32-inside", f"{name}-{weight:g}"
        return Draft(variant, kind, f, rounded, {**data, **known}, loss=loss, slips=slips)

    yield from map(weighed, WEIGHTS)


def ridge(p: Any, d: Any, xp: Any) -> Any:
    return sum(xp.sum(v**2) for v in vars(p).values()) / 2


@family("single-data", TUNING)
def single_data(rng: Rng) -> Iterator[Draft]:
    """Regressions whose data are in single precision, penalised in double."""

    def squares(p: Any, d: Any, xp: Any) -> Any:
        return xp.mean((d.X @ p.w - d.y) ** 2) / 2

    def logistic(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.w + p.b
        return xp.mean(softplus(z, xp) - d.hit * z)

    def poisson(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.w
        return xp.mean(xp.exp(z) - d.count * z)

    def hidden(p: Any, d: Any, xp: Any) -> Any:
        return xp.mean((xp.tanh(d.X @ p.W) @ p.v - d.y) ** 2)

    for features, term in ((4, squares), (10, squares), (6, logistic), (5, poisson)):
        data = {
            "X": rng.normal(size=(40, features)),
            "y": rng.normal(size=40),
            "hit": rng.integers(2, size=40),
            "count": rng.poisson(1.5, 40),
        }
        params = {"w": 0.7 * rng.normal(size=features)}
        params |= {"b": np.array(0.4)} if term is logistic else {}
        yield from partly_single(f"{term.__name__}-{features}", term, ridge, params, data)
    params = {"W": rng.normal(size=(4, 3)) / 2, "v": rng.normal(size=3)}
    yield from partly_single(
        "hidden", hidden, ridge, params, data | {"X": rng.normal(size=(40, 4))}
    )


@family("single-part", HELD_OUT)
def single_part(rng: Rng) -> Iterator[Draft]:
    """An energy, a classifier, a filter and a field in single precision, held by what is not."""

    def energy(p: Any, d: Any, xp: Any) -> Any:
        r2 = xp.sum((p.x[d.i] - p.x[d.j]) ** 2, axis=-1)
        return xp.sum(r2**-6 - r2**-3)

    def springs(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum((p.x - d.anchor) ** 2) * 3

    def classes(p: Any, d: Any, xp: Any) -> Any:
        return -xp.mean(xp.sum(d.Y * log_softmax(d.X @ p.W + p.b, xp), axis=-1))

    def smooth(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum((p.W[1:] - p.W[:-1]) ** 2) + xp.sum(p.b**2) / 2

    def filtered(p: Any, d: Any, xp: Any) -> Any:
        out = sum(p.h[k] * d.s[k : k + 50] for k in range(5))
        return xp.mean((out - d.t) ** 2) * 10

    def barrier(p: Any, d: Any, xp: Any) -> Any:
        return -xp.sum(xp.log(1 - p.h**2 / 4))

    def field(p: Any, d: Any, xp: Any) -> Any:
        u = xp.sin(d.z[:, None] * p.k + p.phase) @ p.a
        return xp.mean((u - d.u) ** 2)

    def prior(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum(xp.exp(p.a)) / 3 + xp.sum(p.k**2 + xp.cos(p.phase)) / 10

    grid = np.stack(np.meshgrid([0.0, 1.2], [0.0, 1.2], [0.0, 1.2]), axis=-1).reshape(-1, 3)[:5]
    i, j = np.triu_indices(5, 1)
    x = grid + 0.08 * rng.normal(size=(5, 3))
    yield from partly_single("energy", energy, springs, {"x": x}, {"i": i, "j": j, "anchor": grid})
    data = {"X": rng.normal(size=(30, 5)), "Y": np.eye(3)[rng.integers(3, size=30)]}
    params = {"W": rng.normal(size=(5, 3)), "b": rng.normal(size=3)}
    yield from partly_single("classes", classes, smooth, params, data)
    data = {"s": rng.normal(size=54), "t": rng.normal(size=50)}
    yield from partly_single("filter", filtered, barrier, {"h": rng.normal(size=5) / 2}, data)
    data = {"z": np.linspace(-1, 1, 40), "u": rng.normal(size=40)}
    params = {"k": 3 * rng.normal(size=4), "phase": rng.normal(size=4), "a": rng.normal(size=4)}
    yield from partly_single("field", field, prior, params, data)

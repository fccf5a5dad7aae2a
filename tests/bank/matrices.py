"""Factorisations, embeddings, transport and other functions of matrices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import HELD_OUT, TUNING, Draft, family
from .ops import inverse, logdet, logsumexp, real, softmax, solve
from .variants import inside_float32, jittered, offset, rescaled, stepped, with_unused

Rng = np.random.Generator


@family("matrix-factorisation", TUNING)
def matrix_factorisation(rng: Rng) -> Iterator[Draft]:
    """Recommender with biases; users without ratings have gradient zero but for the penalty."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        fit = xp.sum(p.U[d.u] * p.V[d.v], axis=1) + p.bu[d.u] + p.bv[d.v]
        return xp.sum((fit - d.r) ** 2) + d.l2 * (xp.sum(p.U**2) + xp.sum(p.V**2))

    def no_l2(p: Any, d: Any, xp: Any) -> Any:
        fit = xp.sum(p.U[d.u] * p.V[d.v], axis=1) + p.bu[d.u] + p.bv[d.v]
        return xp.sum((fit - d.r) ** 2)

    data = {
        "u": rng.integers(9, size=40),
        "v": rng.integers(8, size=40),
        "r": rng.integers(1, 6, size=40) * 1.0,
        "l2": 0.125,
    }
    params = {
        "U": rng.normal(size=(10, 3)),
        "V": rng.normal(size=(8, 3)),
        "bu": rng.normal(size=10),
        "bv": rng.normal(size=8),
    }
    base = Draft("ratings", "smooth", f, params, data, batch=40, slips={"l2": no_l2})
    yield base
    yield inside_float32(base, "params")
    yield inside_float32(base, "claim")
    yield base.but(
        variant="large",
        params={
            k: rng.normal(size=(60, 8)) if v.ndim == 2 else rng.normal(size=60)
            for k, v in params.items()
        },
    )


@family("nmf-divergence", HELD_OUT)
def nmf(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        fit = p.W @ p.H
        return xp.sum(fit - d.X * xp.log(fit))

    data = {"X": rng.poisson(3.0, (8, 7)) * 1.0}
    params = {"W": rng.uniform(0.2, 1.5, (8, 3)), "H": rng.uniform(0.2, 1.5, (3, 7))}
    base = Draft("kl", "smooth", f, params, data)
    yield base
    sparse = {k: np.where(rng.random(v.shape) < 0.4, 1e-8 * v, v) for k, v in params.items()}
    yield base.but(variant="sparse", kind="near-singular", params=sparse)
    yield offset(base)


@family("mds-stress", TUNING)
def mds(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        r = xp.sqrt(xp.sum((p.x[d.i] - p.x[d.j]) ** 2, axis=1))
        return xp.sum((r - d.gap) ** 2)

    i, j = np.triu_indices(10, 1)
    data = {"i": i, "j": j, "gap": rng.uniform(0.5, 3, len(i))}
    x = rng.normal(size=(10, 2))
    base = Draft("metric", "smooth", f, {"x": x}, data)
    yield base
    yield jittered(base, 1e-7)
    yield offset(base, 2e6)
    many = np.triu_indices(180, 1)
    crowd = {"i": many[0], "j": many[1], "gap": rng.uniform(0.5, 3, len(many[0]))}
    yield base.but(
        variant="crowd", kind="large-sum", data=crowd, params={"x": rng.normal(size=(180, 2))}
    )
    pair = x.copy()
    pair[1] = pair[0] + 1e-6
    yield base.but(variant="coinciding", kind="near-singular", params={"x": pair})


@family("tsne", HELD_OUT)
def tsne(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        r2 = xp.sum((p.y[:, None] - p.y[None]) ** 2, axis=-1)
        q = (1 / (1 + r2)) * d.off
        return xp.sum(d.P * xp.log((d.P + d.tiny) * xp.sum(q) / (q + 1 - d.off)))

    off = 1 - np.eye(12)
    P = rng.random((12, 12)) * off
    P = (P + P.T) / (P + P.T).sum()
    data = {"P": P, "off": off, "tiny": 2.0**-40}
    base = Draft("exact", "smooth", f, {"y": rng.normal(size=(12, 2))}, data)
    yield base
    yield inside_float32(base)
    # The customary start, 1e-4 from the origin: nearly flat.
    yield base.but(
        variant="customary-start", kind="scaled", params={"y": 1e-4 * rng.normal(size=(12, 2))}
    )


@family("log-det", TUNING)
def log_det(rng: Rng) -> Iterator[Draft]:
    """Gaussian graphical model: tr(S K) - log det K for a full matrix K."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        sym = 0.5 * (p.K + p.K.T)
        return xp.sum(d.S * sym) - logdet(sym, xp)

    x = rng.normal(size=(20, 5))
    K = np.eye(5) * 2 + 0.2 * rng.normal(size=(5, 5))
    data = {"S": x.T @ x / 20}
    base = Draft("precision", "smooth", f, {"K": K}, data)
    yield base
    q = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    thin = {"K": q @ np.diag([1e-6, 1e-3, 0.1, 1, 3]) @ q.T}
    yield base.but(variant="nearly-singular", kind="near-singular", params=thin)
    yield rescaled(base, rng, 4)


@family("independent-components", HELD_OUT)
def ica(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        y = d.X @ p.W.T
        return xp.mean(xp.sum(xp.log(xp.cosh(y)), axis=1)) - logdet(p.W, xp)

    data = {"X": rng.laplace(size=(40, 4)) @ rng.normal(size=(4, 4))}
    base = Draft("logcosh", "smooth", f, {"W": rng.normal(size=(4, 4)) + np.eye(4)}, data, batch=40)
    yield base
    yield with_unused(base, rng)


@family("rayleigh-quotient", TUNING)
def rayleigh(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        return (p.v @ d.A @ p.v) / (p.v @ d.B @ p.v)

    def grad(p: Any, d: Any) -> dict[str, np.ndarray]:
        a, b = p.v @ d.A @ p.v, p.v @ d.B @ p.v
        return {"v": (d.A + d.A.T) @ p.v / b - a * ((d.B + d.B.T) @ p.v) / b**2}

    A, B = rng.normal(size=(12, 12)), rng.normal(size=(12, 12))
    data = {"A": A + A.T, "B": B @ B.T + np.eye(12)}
    base = Draft("generalised", "smooth", f, {"v": rng.normal(size=12)}, data, grad=grad)
    yield base
    yield offset(base, 4e5)
    yield stepped(base, 1.0, 0.2)


@family("tensor-decomposition", HELD_OUT)
def tensor(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        fit = xp.einsum("ir,jr,kr->ijk", p.A, p.B, p.C)
        return 0.5 * xp.sum((fit - d.T) ** 2)

    params = {k: rng.normal(size=(n, 3)) for k, n in (("A", 4), ("B", 5), ("C", 3))}
    base = Draft("cp", "smooth", f, params, {"T": rng.normal(size=(4, 5, 3))})
    yield base
    sizes = {"A": 1e6, "B": 1e-7, "C": 10.0}
    yield base.but(
        variant="unbalanced", kind="scaled", params={k: v * sizes[k] for k, v in params.items()}
    )


@family("neighbourhood-components", TUNING)
def nca(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.L.T
        r2 = xp.sum((z[:, None] - z[None]) ** 2, axis=-1)
        return -xp.sum(softmax(-r2 - 1e4 * np.eye(len(d.X)), xp) * d.same)

    y = rng.integers(3, size=15)
    data = {"X": rng.normal(size=(15, 5)), "same": (y[:, None] == y[None]) * 1.0}
    yield Draft("two-dimensions", "smooth", f, {"L": 0.5 * rng.normal(size=(2, 5))}, data, batch=15)
    yield Draft("sharp", "curvature", f, {"L": 8 * rng.normal(size=(2, 5))}, data, batch=15)


@family("soft-dtw", HELD_OUT)
def soft_dtw(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        gamma = 0.5
        row: list[Any] = [0.0] + [1e4] * len(d.y)
        for i in range(p.x.size):
            new: list[Any] = [1e4]
            for j in range(len(d.y)):
                a, b, c = row[j], row[j + 1], new[j]
                low = min(real(v) for v in (a, b, c))
                total = (
                    xp.exp((low - a) / gamma)
                    + xp.exp((low - b) / gamma)
                    + xp.exp((low - c) / gamma)
                )
                new.append((p.x[i] - d.y[j]) ** 2 + low - gamma * xp.log(total))
            row = new
        return row[-1]

    yield Draft("six-by-five", "smooth", f, {"x": rng.normal(size=6)}, {"y": rng.normal(size=5)})


@family("matrix-exponential", TUNING)
def matrix_exponential(rng: Rng) -> Iterator[Draft]:
    """Scaling and squaring; a continuous-time Markov chain observed at intervals."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        rates = xp.exp(p.log_rate) * (1 - np.eye(4))
        q = rates - xp.diag(xp.sum(rates, axis=1))
        total, term = np.eye(4), np.eye(4)
        for k in range(1, 14):
            term = term @ q / (16.0 * k)
            total = total + term
        for _ in range(4):
            total = total @ total
        return -xp.sum(d.counts * xp.log(total))

    data = {"counts": rng.integers(0, 9, (4, 4)) * 1.0}
    base = Draft("markov", "smooth", f, {"log_rate": 0.5 * rng.normal(size=(4, 4))}, data)
    yield base


@family("ridge-hyperparameter", HELD_OUT)
def bilevel(rng: Rng) -> Iterator[Draft]:
    """Validation loss through the closed-form solution of ridge regression."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        gram = d.X.T @ d.X + xp.diag(xp.exp(p.log_l2))
        w = solve(gram, d.X.T @ (d.y + p.label_shift), xp)
        return xp.mean((d.Xv @ w - d.yv) ** 2)

    data = {
        "X": rng.normal(size=(12, 6)),
        "y": rng.normal(size=12),
        "Xv": rng.normal(size=(15, 6)),
        "yv": rng.normal(size=15),
    }
    params = {"log_l2": rng.normal(size=6), "label_shift": 0.1 * rng.normal(size=12)}
    base = Draft("per-feature", "smooth", f, params, data, batch=15)
    yield base
    yield base.but(
        variant="weights-1e-9", kind="vanishing", params={**params, "log_l2": params["log_l2"] - 22}
    )
    yield base.but(
        variant="weights-1e-14",
        kind="vanishing",
        params={**params, "log_l2": params["log_l2"] - 33},
    )


@family("normalised-cut", TUNING)
def normalised_cut(rng: Rng) -> Iterator[Draft]:
    """Soft clustering of a graph."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        s = softmax(p.logits, xp)
        inside = xp.sum(s * (d.A @ s), axis=0)
        return -xp.sum(inside / (xp.sum(d.A, axis=1) @ s))

    a = rng.random((12, 12))
    params = {"logits": rng.normal(size=(12, 3))}
    base = Draft("soft", "smooth", f, params, {"A": a + a.T})
    yield base
    sure = {"logits": 14 * np.eye(3)[rng.integers(3, size=12)] + params["logits"]}
    yield base.but(variant="sure", kind="vanishing", params=sure)


@family("topic-model", HELD_OUT)
def topics(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        words = softmax(p.topics, xp)
        mix = softmax(p.mixes, xp)
        return -xp.sum(d.N * xp.log(mix @ words)) / xp.sum(d.N)

    data = {"N": rng.poisson(2.0, (8, 10)) * 1.0}
    params = {"topics": rng.normal(size=(3, 10)), "mixes": rng.normal(size=(8, 3))}
    base = Draft("three", "smooth", f, params, data)
    yield base
    yield inside_float32(base)
    yield inside_float32(base, "claim")


@family("optimal-assignment", TUNING)
def assignment(rng: Rng) -> Iterator[Draft]:
    """Gumbel-Sinkhorn: a few unrolled normalisations in logarithms."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = p.scores / 0.5
        for _ in range(6):
            z = z - logsumexp(z, xp, axis=1, keepdims=True)
            z = z - logsumexp(z, xp, axis=0, keepdims=True)
        return xp.sum((xp.exp(z) @ d.x - d.y) ** 2)

    data = {"x": rng.normal(size=(5, 2)), "y": rng.normal(size=(5, 2))}
    yield Draft("five", "smooth", f, {"scores": rng.normal(size=(5, 5))}, data)


@family("phase-retrieval", HELD_OUT)
def phase_retrieval(rng: Rng) -> Iterator[Draft]:
    """Real and imaginary part as two blocks; intensities of Fourier coefficients."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        re = d.C @ p.re + d.S @ p.im
        im = d.C @ p.im - d.S @ p.re
        return xp.mean((re**2 + im**2 - d.y) ** 2)

    angle = 2 * np.pi * np.outer(np.arange(16), np.arange(8)) / 16
    data = {"C": np.cos(angle), "S": np.sin(angle), "y": 10 * rng.random(16)}
    yield Draft(
        "oversampled", "smooth", f, {"re": rng.normal(size=8), "im": rng.normal(size=8)}, data
    )


@family("kernel-ridge", TUNING)
def kernel_leave_one_out(rng: Rng) -> Iterator[Draft]:
    """Leave-one-out error of Gaussian process regression (GPML, section 5.4.2)."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        r2 = xp.sum((d.x[:, None] - d.x[None]) ** 2, axis=-1)
        k = xp.exp(-0.5 * r2 * xp.exp(-2 * p.log_length)) + xp.exp(p.log_noise) * np.eye(len(d.x))
        inv = inverse(k, xp)
        return xp.sum((inv @ d.y / xp.diag(inv)) ** 2)

    data = {"x": rng.uniform(-1, 1, (12, 2)), "y": rng.normal(size=12)}
    params = {"log_length": np.array(-0.5), "log_noise": np.array(-2.0)}
    base = Draft("leave-one-out", "smooth", f, params, data)
    yield base
    ill = {"log_length": np.array(0.8), "log_noise": np.array(-16.0)}
    yield base.but(variant="tiny-noise", kind="near-singular", params=ill)


@family("canonical-correlation", HELD_OUT)
def canonical_correlation(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        a, b = d.X @ p.u, d.Y @ p.v
        a, b = a - xp.mean(a), b - xp.mean(b)
        return -xp.sum(a * b) / xp.sqrt(xp.sum(a**2) * xp.sum(b**2))

    data = {"X": rng.normal(size=(25, 5)), "Y": rng.normal(size=(25, 4))}
    params = {"u": rng.normal(size=5), "v": rng.normal(size=4)}
    base = Draft("one-pair", "smooth", f, params, data, batch=25)
    yield base
    yield base.but(
        variant="any-scale", kind="scaled", params={"u": 1e8 * params["u"], "v": 1e-7 * params["v"]}
    )

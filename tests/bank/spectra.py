"""Square roots, rotations and determinants of matrices, chains and graphs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import FRESH, Draft, family
from .noise import moved, stopped
from .ops import inverse, log_softmax, logdet, softmax, solve, value
from .variants import inside_float32, jittered, offset, rescaled, shaken

Rng = np.random.Generator


@family("bures-distance", FRESH)
def bures(rng: Rng) -> Iterator[Draft]:
    """Transport between normal distributions: a matrix square root by Denman and Beavers."""

    def solver(p: Any, d: Any, xp: Any, tol: float) -> Any:
        cov = p.A.T @ p.A
        y, z = cov @ d.target, np.eye(len(d.target))
        for _ in range(14):
            new = 0.5 * (y + inverse(z, xp))
            z = 0.5 * (z + inverse(y, xp))
            done = moved(new, y) <= tol
            y = new
            if done and tol:
                break
        return xp.trace(cov) + xp.trace(d.target) - 2 * xp.trace(y) + xp.sum((p.m - d.m) ** 2)

    def f(p: Any, d: Any, xp: Any) -> Any:
        return solver(p, d, xp, 0.0)

    B = rng.normal(size=(4, 4)) + np.eye(4)
    data = {"target": B @ B.T, "m": rng.normal(size=4)}
    params = {"A": rng.normal(size=(5, 4)), "m": rng.normal(size=4)}
    yield Draft("four", "smooth", f, params, data)
    yield stopped("four", solver, params, data, 1e-4)
    thin = params["A"] * np.array([1, 1, 1, 1e-3])
    yield Draft("thin", "near-singular", f, {**params, "A": thin}, data)


@family("orthogonal-procrustes", FRESH)
def procrustes(rng: Rng) -> Iterator[Draft]:
    """The nearest rotation to a matrix by Newton's iteration, applied to points."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        q = p.M
        for _ in range(12):
            q = 0.5 * (q + xp.transpose(inverse(q, xp)))
        return xp.mean((d.X @ q - d.Y) ** 2)

    def not_projected(p: Any, d: Any, xp: Any) -> Any:
        q = value(p.M)
        for _ in range(12):
            q = 0.5 * (q + np.linalg.inv(q.astype(float)).T)
        return xp.mean((d.X @ (p.M + (q - value(p.M))) - d.Y) ** 2)

    data = {"X": rng.normal(size=(10, 3)), "Y": rng.normal(size=(10, 3))}
    M = rng.normal(size=(3, 3)) + np.eye(3)
    slips = {"projection": not_projected}
    base = Draft("three", "smooth", f, {"M": M}, data, batch=10, slips=slips)
    yield base
    yield inside_float32(base)
    yield base.but(variant="long", kind="scaled", params={"M": 50.0 * M}, slips={})


@family("cayley-rotation", FRESH)
def cayley(rng: Rng) -> Iterator[Draft]:
    """Skew parameters, half of which are never read; close to half a turn."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        low = p.S * np.tril(np.ones(p.S.shape), -1)
        skew = low - low.T
        eye = np.eye(len(skew))
        q = solve(eye + skew, eye - skew, xp)
        return xp.sum((q @ d.A @ q.T - d.B) ** 2)

    A, B = rng.normal(size=(4, 4)), rng.normal(size=(4, 4))
    data = {"A": A + A.T, "B": B + B.T}
    S = rng.normal(size=(4, 4))
    base = Draft("four", "smooth", f, {"S": S}, data)
    yield base
    yield jittered(base, 1e-6)
    turned = S * np.where(np.arange(4) == 3, 1e4, 1.0)[:, None]
    yield base.but(variant="half-a-turn", kind="scaled", params={"S": turned})
    # The diagonal on its own is not read at all.

    def split(p: Any, d: Any, xp: Any) -> Any:
        return f(type(p)(S=p.S + xp.diag(p.diagonal)), d, xp)

    yield base.but(
        variant="diagonal",
        kind="zero-block",
        f=split,
        params={"S": S, "diagonal": rng.normal(size=4)},
    )


@family("determinantal-points", FRESH)
def determinantal(rng: Rng) -> Iterator[Draft]:
    """Diverse subsets: the determinant of those chosen over that of all; two chosen are alike."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        b = xp.reshape(xp.exp(p.quality), (-1, 1)) * p.V
        kernel = b @ b.T
        total = len(d.chosen) * logdet(np.eye(len(kernel)) + kernel, xp)
        for rows in d.chosen:
            total = total - logdet(kernel[rows][:, rows], xp)
        return total

    def not_normalised(p: Any, d: Any, xp: Any) -> Any:
        b = xp.reshape(xp.exp(p.quality), (-1, 1)) * p.V
        kernel = b @ b.T
        return -sum(logdet(kernel[rows][:, rows], xp) for rows in d.chosen)

    data = {"chosen": [np.array([0, 3, 5]), np.array([1, 2]), np.array([2, 4, 5])]}
    params = {"quality": rng.normal(size=6) / 2, "V": rng.normal(size=(6, 4))}
    slips = {"normalisation": not_normalised}
    base = Draft("six-items", "smooth", f, params, data, slips=slips)
    yield base
    yield offset(base)
    alike = params["V"].copy()
    alike[5] = alike[3] + 1e-4 * rng.normal(size=4)
    yield base.but(variant="alike", kind="near-singular", params={**params, "V": alike}, slips={})


@family("stationary-distribution", FRESH)
def stationary_distribution(rng: Rng) -> Iterator[Draft]:
    """Long-run shares of a Markov chain; the chain in two parts that hardly communicate."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        step = softmax(p.logits, xp)
        share = solve((np.eye(5) - step).T + 1.0, np.ones(5), xp)
        return -xp.sum(d.seen * xp.log(share))

    def solver(p: Any, d: Any, xp: Any, tol: float) -> Any:
        step = softmax(p.logits, xp)
        share = np.full(5, 0.2)
        for _ in range(120):
            new = share @ step
            done = moved(new, share) <= tol
            share = new
            if done and tol:
                break
        return -xp.sum(d.seen * xp.log(share))

    data = {"seen": rng.dirichlet(np.ones(5))}
    logits = rng.normal(size=(5, 5))
    base = Draft("five-states", "smooth", f, {"logits": logits}, data)
    yield base
    yield stopped("iterated", solver, {"logits": logits}, data, 1e-9)
    apart = logits.copy()
    apart[:2, 2:] -= 7.0
    apart[2:, :2] -= 8.0
    yield base.but(variant="two-parts", kind="near-singular", params={"logits": apart}, error=1e-12)
    locked = logits + 14 * np.eye(5)[:, [1, 2, 3, 4, 0]]
    yield base.but(variant="nearly-a-cycle", kind="vanishing", params={"logits": locked})


@family("spanning-trees", FRESH)
def spanning_trees(rng: Rng) -> Iterator[Draft]:
    """Non-projective parsing by Kirchhoff's theorem: log partition less the score of a tree."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        score = d.X @ p.W @ d.X.T
        weight = xp.exp(score) * (1 - np.eye(len(d.X)))
        roots = xp.exp(d.X @ p.r)
        laplacian = xp.diag(xp.sum(weight, axis=0) + roots) - weight
        gold = xp.sum(score[d.head[1:], d.child[1:]]) + (d.X @ p.r)[d.child[0]]
        return logdet(laplacian, xp) - gold

    data = {
        "X": rng.normal(size=(6, 4)),
        "head": np.array([0, 2, 2, 0, 5, 2]),
        "child": np.array([2, 0, 1, 3, 4, 5]),
    }
    params = {"W": rng.normal(size=(4, 4)) / 3, "r": rng.normal(size=4)}
    base = Draft("parser", "smooth", f, params, data)
    yield base
    yield rescaled(base, rng, 6)
    yield shaken(base, 1e-9)


@family("feedback-gain", FRESH)
def feedback(rng: Rng) -> Iterator[Draft]:
    """Cost of a linear feedback by Lyapunov's equation; a loop on the verge of instability."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        closed = d.A - d.B @ p.K
        both = xp.einsum("ij,kl->ikjl", closed, closed)
        n = len(d.A)
        gram = solve(np.eye(n * n) - xp.reshape(both, (n * n, n * n)), d.start, xp)
        gram = xp.reshape(gram, (n, n))
        return xp.trace(gram) + 0.1 * xp.trace(p.K @ gram @ p.K.T)

    def gain_held(p: Any, d: Any, xp: Any) -> Any:
        closed = d.A - d.B @ p.K
        both = xp.einsum("ij,kl->ikjl", closed, closed)
        n = len(d.A)
        gram = solve(np.eye(n * n) - xp.reshape(both, (n * n, n * n)), d.start, xp)
        gram = xp.reshape(gram, (n, n))
        return xp.trace(gram) + 0.1 * xp.trace(value(p.K) @ gram @ value(p.K).T)

    A = np.array([[0.9, 0.3, 0.0], [-0.2, 0.8, 0.2], [0.1, 0.0, 0.6]])
    B = rng.normal(size=(3, 1))
    data = {"A": A, "B": B, "start": np.eye(3).ravel()}
    K = 0.15 * rng.normal(size=(1, 3))
    base = Draft(
        "three-states", "smooth", f, {"K": K}, data, slips={"gain held in the effort": gain_held}
    )
    yield base
    yield inside_float32(base)
    radius = np.max(np.abs(np.linalg.eigvals(A - B @ K)))
    verge = {**data, "A": A / radius * (1 - 1e-4), "B": B / radius * (1 - 1e-4)}
    yield base.but(variant="verge", kind="near-singular", data=verge, slips={})


@family("portfolio", FRESH)
def portfolio(rng: Rng) -> Iterator[Draft]:
    """Minimum variance from a factor model, and equal contributions to the risk."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        cov = p.L @ p.L.T + xp.diag(xp.exp(p.log_d))
        w = solve(cov, np.ones(len(d.mu)), xp)
        w = w / xp.sum(w)
        return -(d.mu @ w) + 2.0 * (w @ d.cov @ w)

    def parity(p: Any, d: Any, xp: Any) -> Any:
        w = xp.exp(p.log_w)
        share = w * (d.cov @ w) / (w @ d.cov @ w)
        return xp.sum((share - 1 / len(d.mu)) ** 2)

    x = rng.normal(size=(40, 5)) @ rng.normal(size=(5, 5))
    data = {"mu": rng.normal(size=5), "cov": x.T @ x / 40}
    params = {"L": rng.normal(size=(5, 2)), "log_d": rng.normal(size=5)}
    base = Draft("minimum-variance", "smooth", f, params, data)
    yield base
    # Idiosyncratic risks of a basis point.
    yield base.but(
        variant="tiny-risks", kind="near-singular", params={**params, "log_d": params["log_d"] - 9}
    )
    # Only ratios of weights matter, and their common scale not at all.
    even = {"log_w": rng.normal(size=5) / 2}
    yield Draft("parity", "smooth", parity, even, data)
    common = {**even, "scale": np.array(0.3)}

    def scaled(p: Any, d: Any, xp: Any) -> Any:
        return parity(type(p)(log_w=p.log_w + p.scale), d, xp)

    yield Draft("common-scale", "zero-block", scaled, common, data, zero=("scale",))


@family("subspace-classifier", FRESH)
def subspaces(rng: Rng) -> Iterator[Draft]:
    """Reflections in a row span an orthogonal basis; scores are lengths of projections."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        x = d.X
        for k in range(len(p.v)):
            v = p.v[k]
            x = x - 2 * xp.reshape(x @ v, (-1, 1)) * v / xp.sum(v**2)
        z = xp.stack([xp.sum(x[:, :2] ** 2, 1), xp.sum(x[:, 2:4] ** 2, 1), x[:, 4] ** 2], axis=1)
        return -xp.mean(log_softmax(p.gain * z, xp)[np.arange(len(d.y)), d.y])

    data = {"X": rng.normal(size=(14, 5)), "y": rng.integers(3, size=14)}
    params = {"v": rng.normal(size=(3, 5)), "gain": np.array(0.8)}
    base = Draft("reflections", "smooth", f, params, data, batch=14)
    yield base
    sharp = {**params, "gain": np.array(4e3)}
    yield base.but(variant="sharp", kind="curvature", params=sharp)
    yield base.but(variant="v-units", kind="scaled", params={**params, "v": 1e-6 * params["v"]})

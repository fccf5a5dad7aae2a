"""Losses with noise inside: iterative solvers stopped early, adaptive rules, random jitter.

The gradient is that of the iterate, which is what the loss is made of; how far that of the solution
lies from it is part of `exact_error`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import HELD_OUT, TUNING, Draft, family
from .ops import logsumexp, real, softplus
from .variants import jittered, shaken

Rng = np.random.Generator
Point = tuple[float, float]


def stopped(variant: str, solver: Any, params: Any, data: dict[str, Any], tol: float) -> Draft:
    """`solver(p, d, xp, tol)`: with a tolerance as the loss, to the end as the ideal."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        return solver(p, d, xp, 0.0)

    def loss(p: Any, d: Any, xp: Any) -> Any:
        return solver(p, d, xp, tol)

    return Draft(f"{variant}-{tol:.0e}", "noisy", f, params, data, loss=loss, biased=True)


def moved(new: Any, old: Any) -> float:
    return float(np.max(np.abs(real(new) - real(old))))


@family("conjugate-gradients", TUNING)
def conjugate_gradients(rng: Rng) -> Iterator[Draft]:
    """Compliance b'A(k)^-1 b of a chain of springs."""

    def solver(p: Any, d: Any, xp: Any, tol: float) -> Any:
        k = xp.exp(p.k)
        matrix = (d.D.T * k) @ d.D
        x, r = d.b * 0, d.b
        s, rr = r, xp.sum(r * r)
        for _ in range(60):
            q = matrix @ s
            step = rr / xp.sum(s * q)
            x, r = x + step * s, r - step * q
            new = xp.sum(r * r)
            if real(new) <= max(tol**2, 1e-30):
                break
            s, rr = r + new / rr * s, new
        return 0.5 * xp.sum(d.b * x)

    D = (np.eye(10) - np.eye(10, k=-1)) * 1.0
    data = {"D": D, "b": rng.normal(size=10)}
    params = {"k": 0.5 * rng.normal(size=10)}
    yield stopped("springs", solver, params, data, 1e-6)
    yield stopped("springs", solver, params, data, 1e-9)


@family("power-iteration", HELD_OUT)
def power_iteration(rng: Rng) -> Iterator[Draft]:
    def solver(p: Any, d: Any, xp: Any, tol: float) -> Any:
        a = p.A.T @ p.A
        v, old = d.v, 0.0
        for _ in range(300):
            w = a @ v
            top = xp.sum(v * w) / xp.sum(v * v)
            v = w / xp.sqrt(xp.sum(w * w))
            if abs(real(top) - real(old)) <= tol * abs(real(top)) and tol:
                break
            old = top
        return xp.sqrt(top)

    A = rng.normal(size=(6, 4)) + 2 * np.outer(np.ones(6), rng.normal(size=4))
    for tol in (1e-8, 1e-13):
        yield stopped("spectral-norm", solver, {"A": A}, {"v": np.ones(4)}, tol)


@family("deep-equilibrium", TUNING)
def deep_equilibrium(rng: Rng) -> Iterator[Draft]:
    """Fixed point of a layer."""

    def solver(p: Any, d: Any, xp: Any, tol: float) -> Any:
        z = d.x * 0
        for _ in range(150):
            new = xp.tanh(z @ p.W + d.x + p.b)
            done = moved(new, z) <= tol
            z = new
            if done and tol:
                break
        return xp.mean(z * d.t)

    params = {"W": 0.3 * rng.normal(size=(4, 4)) / 2, "b": rng.normal(size=4)}
    data = {"x": rng.normal(size=(5, 4)), "t": rng.normal(size=(5, 4))}
    yield stopped("tanh", solver, params, data, 1e-8)
    yield stopped("tanh", solver, params, data, 1e-11)


@family("kepler-equation", HELD_OUT)
def kepler_equation(rng: Rng) -> Iterator[Draft]:
    """Newton's method inside, quadratic: the tolerance hardly shows."""

    def solver(p: Any, d: Any, xp: Any, tol: float) -> Any:
        m = p.phase + p.rate * d.t
        e = m + p.ecc * xp.sin(m)
        for _ in range(12):
            step = (e - p.ecc * xp.sin(e) - m) / (1 - p.ecc * xp.cos(e))
            e = e - step
            if np.max(np.abs(real(step))) <= tol:
                break
        return xp.sum((xp.cos(e) - p.ecc - d.y) ** 2)

    data = {"t": np.linspace(0, 5, 20), "y": rng.normal(size=20) / 2}
    params = {"phase": np.array(0.4), "rate": np.array(1.3), "ecc": np.array(0.45)}
    yield stopped("orbit", solver, params, data, 1e-5)
    yield stopped("orbit", solver, params, data, 1e-10)


@family("sinkhorn", TUNING)
def sinkhorn(rng: Rng) -> Iterator[Draft]:
    """Entropic optimal transport between two point clouds, dual value."""

    def solver(p: Any, d: Any, xp: Any, tol: float) -> Any:
        cost = xp.sum((p.x[:, None] - d.y[None]) ** 2, axis=-1)
        u, v = np.zeros(len(d.a)), np.zeros(len(d.b))
        for _ in range(400):
            new = d.eps * (
                np.log(d.a) - logsumexp((xp.reshape(v, (1, -1)) - cost) / d.eps, xp, axis=1)
            )
            v = d.eps * (
                np.log(d.b) - logsumexp((xp.reshape(new, (-1, 1)) - cost) / d.eps, xp, axis=0)
            )
            done = moved(new, u) <= tol
            u = new
            if done and tol:
                break
        return xp.sum(u * d.a) + xp.sum(v * d.b)

    data = {
        "y": rng.normal(size=(6, 2)),
        "a": np.full(5, 0.2),
        "b": rng.dirichlet(np.ones(6)),
        "eps": 0.5,
    }
    params = {"x": rng.normal(size=(5, 2))}
    yield stopped("clouds", solver, params, data, 1e-7)
    yield stopped("clouds", solver, params, data, 1e-11)


@family("bisection", HELD_OUT)
def bisection(rng: Rng) -> Iterator[Draft]:
    """A root by bisection is a staircase in the parameters; ideally it is Newton's limit."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        x = d.start
        for _ in range(60):
            x = x - (x + xp.exp(p.a * x) - p.b) / (1 + p.a * xp.exp(p.a * x))
        return x**2 + xp.sin(p.a)

    def loss(p: Any, d: Any, xp: Any) -> Any:
        low, high = -8.0, 8.0
        while high - low > d.tol:
            x = 0.5 * (low + high)
            low, high = (x, high) if x + np.exp(p.a * x) < p.b else (low, x)
        return (0.5 * (low + high)) ** 2 + np.sin(p.a)

    params = {"a": np.array(0.7), "b": np.array(2.9)}
    for tol in (1e-6, 1e-9, 1e-12):
        yield Draft(f"root-{tol:.0e}", "noisy", f, params, {"start": 0.5, "tol": tol}, loss=loss)


@family("adaptive-quadrature", TUNING)
def adaptive_quadrature(rng: Rng) -> Iterator[Draft]:
    """Simpson's rule, refined where needed: the grid jumps from point to point."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        # Integral of exp(-a x) cos(b x) from 0 to 3.
        a, b = p.a, p.b
        end = xp.exp(-3 * a) * (b * xp.sin(3 * b) - a * xp.cos(3 * b))
        return (end + a) / (a**2 + b**2)

    def loss(p: Any, d: Any, xp: Any) -> Any:
        def g(x: float) -> float:
            return float(np.exp(-p.a * x) * np.cos(p.b * x))

        def simpson(start: Point, middle: Point, end: Point, old: float, tol: float) -> float:
            left, right = half(start, middle), half(middle, end)
            one, two = rule(start, left, middle), rule(middle, right, end)
            gap = one + two - old
            if abs(gap) < 15 * tol:
                return one + two + gap / 15
            first = simpson(start, left, middle, one, tol / 2)
            return first + simpson(middle, right, end, two, tol / 2)

        def half(a: Point, b: Point) -> Point:
            x = 0.5 * (a[0] + b[0])
            return x, g(x)

        def rule(a: Point, m: Point, b: Point) -> float:
            return (b[0] - a[0]) / 6 * (a[1] + 4 * m[1] + b[1])

        start, end = (0.0, g(0.0)), (3.0, g(3.0))
        middle = half(start, end)
        return simpson(start, middle, end, rule(start, middle, end), d.tol)

    params = {"a": np.array(0.8), "b": np.array(2.3)}
    for tol in (1e-8, 1e-10):
        base = Draft(f"damped-{tol:.0e}", "noisy", f, params, {"tol": tol}, loss=loss)
        # The rule's own error is smooth in part: of the size of its tolerance.
        yield base.but(error=30 * tol)


@family("monte-carlo-jitter", HELD_OUT)
def monte_carlo(rng: Rng) -> Iterator[Draft]:
    """A smooth expectation with a little of the sampling error left in it."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        return xp.mean(softplus(d.X @ p.w, xp)) + 0.5 * xp.sum(p.w**2)

    base = Draft("", "noisy", f, {"w": rng.normal(size=6)}, {"X": rng.normal(size=(30, 6))})
    yield jittered(base, 1e-7)
    yield jittered(base, 1e-9)
    yield shaken(base, 1e-12)


@family("race-order", TUNING)
def race_order(rng: Rng) -> Iterator[Draft]:
    """A parallel sum in random order: jitter of a few units in the last place, or of float32."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum((d.X @ p.w - d.y) ** 2)

    base = Draft(
        "",
        "noisy",
        f,
        {"w": rng.normal(size=5)},
        {"X": rng.normal(size=(40, 5)), "y": rng.normal(size=40)},
    )
    yield shaken(base, 1e-12)
    yield shaken(base, 1e-9)

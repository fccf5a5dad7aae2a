"""Points at which differences are hard to take: curvature, singularities, cancellation, steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import HELD_OUT, TUNING, Draft, family
from .networks import classes, forward, layers, tanh
from .ops import floor, log_softmax, logsumexp, real, relu, sigmoid, softplus, value
from .variants import offset, rescaled

Rng = np.random.Generator


@family("fast-sine", TUNING)
def fast_sine(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum(xp.sin(d.rate * p.x) / d.rate + 0.5 * p.x**2)

    for rate in (1e2, 1e4, 1e6):
        params = {"x": rng.normal(size=5)}
        yield Draft(f"rate-{rate:.0e}", "curvature", f, params, {"rate": rate})
    mixed = {"rate": np.array([1.0, 1e1, 1e2, 1e3, 1e4])}
    yield Draft("mixed", "curvature", f, {"x": rng.normal(size=5)}, mixed)


@family("chirp", HELD_OUT)
def chirp(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        phase = p.a[0] + p.a[1] * d.t + p.a[2] * d.t**2
        return 0.5 * xp.mean((d.y - xp.cos(phase)) ** 2)

    t = np.linspace(0, 1, 40)
    for rate in (30.0, 1000.0, 20000.0):
        params = {"a": np.array([0.3, rate, -rate / 3])}
        y = np.cos(0.2 + rate * 1.001 * t - rate / 3 * t**2)
        yield Draft(f"rate-{rate:.0f}", "curvature", f, params, {"t": t, "y": y})


@family("narrow-gaussian", TUNING)
def narrow_gaussian(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        return 1 - xp.exp(-0.5 * xp.sum(((p.x - d.c) / d.width) ** 2))

    c = rng.normal(size=3)
    for width in (1e-2, 1e-4, 1e-6):
        at = {"x": c + 0.7 * width * rng.normal(size=3)}
        yield Draft(f"width-{width:.0e}", "curvature", f, at, {"c": c, "width": width})


@family("stiff-exponential", HELD_OUT)
def stiff_exponential(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum((d.y - p.a @ xp.exp(-xp.reshape(p.k, (-1, 1)) * d.t)) ** 2)

    def wall(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum(xp.exp(d.rate * (p.x - 1))) + xp.sum(p.x**2)

    t = np.logspace(-5, 0, 25)
    params = {"a": np.array([1.0, 0.5, 2.0]), "k": np.array([0.7, 300.0, 2e4])}
    y = np.array([0.9, 0.6, 2.1]) @ np.exp(-np.array([0.8, 280.0, 3e4])[:, None] * t)
    yield Draft("three-decays", "curvature", f, params, {"t": t, "y": y})
    for rate in (200.0, 5000.0):
        at = {"x": 1 + rng.normal(size=4) / rate}
        yield Draft(f"wall-{rate:.0f}", "curvature", wall, at, {"rate": rate})


@family("steep-sigmoid", TUNING)
def steep_sigmoid(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        z = d.steep * (d.X @ p.w - p.t)
        return xp.sum((0.5 + 0.5 * xp.tanh(z / 2) - d.y) ** 2)

    X = rng.normal(size=(12, 3))
    w = rng.normal(size=3)
    for steep in (50.0, 2000.0):
        t = np.array(float(X[0] @ w) + 0.4 / steep)
        data = {"X": X, "y": rng.integers(2, size=12) * 1.0, "steep": steep}
        yield Draft(f"steep-{steep:.0f}", "curvature", f, {"w": w, "t": t}, data, batch=12)


@family("log-barrier", TUNING)
def log_barrier(rng: Rng) -> Iterator[Draft]:
    """Interior point: beyond the edge the loss is NaN."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        slack = d.b - d.A @ p.x
        return d.c @ p.x - d.mu * xp.sum(xp.log(slack))

    A = rng.normal(size=(8, 4))
    x = rng.normal(size=4)
    for gap in (1e-2, 1e-5, 1e-8):
        slack = np.where(np.arange(8) < 2, gap, 1.0)
        data = {"A": A, "b": A @ x + slack, "c": rng.normal(size=4), "mu": 0.125}
        base = Draft(f"slack-{gap:.0e}", "near-singular", f, {"x": x}, data)
        yield base
        if gap == 1e-5:
            yield base.but(variant="slack-1e-05-raises", invalid="raise")


@family("log-of-small", HELD_OUT)
def log_of_small(rng: Rng) -> Iterator[Draft]:
    def entropy(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum(p.q * xp.log(p.q / d.r))

    def check(p: Any, d: Any, xp: Any) -> Any:
        if np.any(real(p.q) <= 0):
            raise ValueError("probabilities must be positive")
        return entropy(p, d, xp)

    def infinite(p: Any, d: Any, xp: Any) -> Any:
        return np.inf if np.any(real(p.q) <= 0) else entropy(p, d, xp)

    def cross(p: Any, d: Any, xp: Any) -> Any:
        return -xp.sum(d.r * xp.log(p.q))

    for small in (1e-4, 1e-8, 1e-12):
        q = np.concatenate([[small, 3 * small], rng.dirichlet(np.ones(5))])
        data = {"r": rng.dirichlet(np.ones(7))}
        yield Draft(f"kl-{small:.0e}", "near-singular", entropy, {"q": q}, data)
    yield Draft("kl-raises", "near-singular", check, {"q": q}, data)
    yield Draft("kl-infinite", "near-singular", infinite, {"q": q}, data)
    yield Draft("cross-entropy", "near-singular", cross, {"q": q}, data)


@family("reciprocal", TUNING)
def reciprocal(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum(d.c / p.x)

    def pole(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum(xp.tan(p.x)) + xp.sum(1 / xp.sin(p.x))

    for size in (1e-3, 1e-7):
        x = size * rng.choice([-1, 1], 4) * rng.uniform(0.5, 2, 4)
        yield Draft(f"at-{size:.0e}", "near-singular", f, {"x": x}, {"c": rng.normal(size=4)})
    x = np.array([1e-5, np.pi / 2 - 1e-4, 2.0, -3e-3])
    yield Draft("poles", "near-singular", pole, {"x": x})


@family("root-near-zero", HELD_OUT)
def root_near_zero(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum(xp.sqrt(p.x))

    def distance(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum(xp.sqrt(xp.sum((p.a - d.b) ** 2, axis=1)))

    def arc(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum(xp.arcsin(p.x)) + xp.sum(xp.sqrt(1 - p.x**2))

    yield Draft("sqrt", "near-singular", f, {"x": np.array([1e-10, 1e-6, 1e-3, 2.0])})
    b = rng.normal(size=(4, 3))
    a = b + np.array([1e-9, 1e-6, 1e-3, 1.0])[:, None] * rng.normal(size=(4, 3))
    yield Draft("coinciding-points", "near-singular", distance, {"a": a}, {"b": b})
    yield Draft("arcsin-edge", "near-singular", arc, {"x": np.array([1 - 1e-6, -1 + 1e-4, 0.3])})
    edge = {"x": np.array([1 - 1e-8, 0.5])}
    yield Draft("arcsin-edge-raises", "near-singular", arc, edge, invalid="raise")


@family("probability-power", TUNING)
def probability_power(rng: Rng) -> Iterator[Draft]:
    """x^a with a small x, and atanh of a correlation near one."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum(xp.exp(d.a * xp.log(p.x))) + xp.sum(xp.log((1 + p.r) / (1 - p.r)))

    params = {"x": np.array([1e-9, 1e-5, 0.2]), "r": np.array([1 - 1e-5, -1 + 1e-7, 0.4])}
    yield Draft("edges", "near-singular", f, params, {"a": np.array([0.5, 1.5, -0.25])})


@family("saturated-logistic", TUNING)
def saturated_logistic(rng: Rng) -> Iterator[Draft]:
    """log(1 + exp z) - y z with large z: a difference of large numbers."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.w
        return xp.sum(xp.log(1 + xp.exp(z)) - d.y * z)

    X = rng.normal(size=(300, 4))
    w = rng.normal(size=4)
    for gain in (5.0, 12.0, 40.0):
        y = (X @ w > 0) * 1.0
        params = {"w": gain * w}
        yield Draft(f"separable-{gain:.0f}", "large-sum", f, params, {"X": X, "y": y}, batch=300)
    mixed = {"X": X, "y": (X @ w + rng.normal(size=300) > 0) * 1.0}
    yield Draft("overlapping", "large-sum", f, {"w": 10 * w}, mixed, batch=300)


@family("large-least-squares", HELD_OUT)
def large_least_squares(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum((d.y - p.a - p.b * d.t - p.c * d.t**2) ** 2)

    def difference(p: Any, d: Any, xp: Any) -> Any:
        fit = p.a + p.b * d.t + p.c * d.t**2
        return xp.sum(fit**2) - 2 * xp.sum(fit * d.y) + xp.sum(d.y**2)

    for m in (10_000, 40_000):
        t = np.linspace(-1, 1, m)
        data = {"t": t, "y": 1 + 2 * t + 0.1 * rng.normal(size=m)}
        params = {"a": np.array(1.01), "b": np.array(1.98), "c": np.array(0.02)}
        yield Draft(f"m{m}", "large-sum", f, params, data, batch=m)
    yield Draft("expanded-squares", "large-sum", difference, params, data, batch=m)


@family("large-likelihood", TUNING)
def large_likelihood(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        z = (d.x - p.mu) * xp.exp(-p.log_sigma)
        return xp.sum(0.5 * z**2) + d.x.size * p.log_sigma

    def power(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum(xp.exp(p.s * d.log_n)) / d.log_n.size

    def cumulative(p: Any, d: Any, xp: Any) -> Any:
        # A running sum accumulates rounding as no pairwise sum does.
        return xp.cumsum(xp.sin(p.a * d.t + p.b))[-1] / 100

    data = {"x": 3 + rng.normal(size=20_000)}
    params = {"mu": np.array(3.005), "log_sigma": np.array(0.01)}
    yield Draft("normal", "large-sum", f, params, data, batch=20_000)
    series = {"log_n": np.log(np.arange(1.0, 100_001))}
    yield Draft("zeta", "large-sum", power, {"s": np.array(-1.1)}, series)
    times = {"t": np.linspace(0, 50, 10_000)}
    yield Draft(
        "cumulative", "large-sum", cumulative, {"a": np.array(1.3), "b": np.array(0.4)}, times
    )


@family("large-softmax", HELD_OUT)
def large_softmax(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        return logsumexp(d.V @ p.u, xp) - d.V[3] @ p.u

    def partition(p: Any, d: Any, xp: Any) -> Any:
        # Log of a large mean minus its dominating term.
        return xp.log(xp.sum(xp.exp(d.V @ p.u))) - xp.log(xp.sum(xp.exp(d.V[:5000] @ p.u)))

    data = {"V": rng.normal(size=(10_000, 6))}
    yield Draft("vocabulary", "large-sum", f, {"u": rng.normal(size=6)}, data)
    yield Draft("ratio", "large-sum", partition, {"u": 0.1 * rng.normal(size=6)}, data)
    yield offset(Draft("vocabulary", "large-sum", f, {"u": rng.normal(size=6)}, data))


@family("cancelling-terms", HELD_OUT)
def cancelling(rng: Rng) -> Iterator[Draft]:
    """Mean of squares minus square of the mean, far from the origin."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = d.c + d.X @ p.w
        return xp.mean(z**2) - xp.mean(z) ** 2

    X = rng.normal(size=(10_000, 3))
    for c in (1e2, 1e4):
        yield Draft(
            f"variance-{c:.0e}",
            "large-sum",
            f,
            {"w": rng.normal(size=3)},
            {"X": X, "c": c},
            batch=10_000,
        )


@family("histogram-likelihood", TUNING)
def histogram(rng: Rng) -> Iterator[Draft]:
    """Binned Poisson likelihood of a peak on a background, all terms of one sign."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = (d.x - p.at) / p.width
        rate = xp.exp(p.level + p.slope * d.x) + p.height * xp.exp(-0.5 * z**2)
        return xp.sum(rate - d.n * xp.log(rate))

    x = np.linspace(-1, 1, 12_000)
    n = rng.poisson(5 + 20 * np.exp(-0.5 * ((x - 0.2) / 0.1) ** 2)) * 1.0
    params = {
        "at": np.array(0.21),
        "width": np.array(0.11),
        "height": np.array(19.0),
        "level": np.array(1.6),
        "slope": np.array(0.01),
    }
    yield Draft("peak", "large-sum", f, params, {"x": x, "n": n}, batch=12_000)
    yield Draft(
        "peak-at-a-guess", "large-sum", f, {**params, "at": np.array(0.0)}, {"x": x, "n": n}
    )


@family("survey-weights", HELD_OUT)
def survey(rng: Rng) -> Iterator[Draft]:
    """A weighted sum with weights over eight decades, plain Python sum over blocks."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        r = d.y - d.X @ p.w
        parts = [xp.sum(d.weight[i::50] * xp.log(1 + r[i::50] ** 2)) for i in range(50)]
        return sum(parts)

    data = {
        "X": rng.normal(size=(15_000, 4)),
        "y": rng.normal(size=15_000),
        "weight": 10.0 ** rng.uniform(-4, 4, 15_000),
    }
    yield Draft("cauchy", "large-sum", f, {"w": rng.normal(size=4)}, data, batch=15_000)


@family("constant-of-normalisation", HELD_OUT)
def constant(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        return d.c + xp.sum((p.x - d.t) ** 2) + xp.sin(p.s) * p.x[0]

    for c in (1e6, -3e6, 1e8):
        params = {"x": rng.normal(size=6), "s": np.array(0.3)}
        yield Draft(f"{c:+.0e}", "offset", f, params, {"c": c, "t": rng.normal(size=6)})


@family("units", HELD_OUT)
def units(rng: Rng) -> Iterator[Draft]:
    """Physical constants in SI units beside numbers of order one."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        force = 6.674e-11 * p.mass[0] * p.mass[1] / p.radius**2
        return (force / 1e20 - 0.3) ** 2 + xp.sum((p.charge / 1.6e-19 - d.n) ** 2)

    params = {
        "mass": np.array([5.97e24, 7.35e22]),
        "radius": np.array(3.84e8),
        "charge": np.array([1.7e-19, 3.1e-19]),
    }
    yield Draft("si", "scaled", f, params, {"n": np.array([1.0, 2.0])})


@family("diagonal-quadratic", TUNING)
def diagonal_quadratic(rng: Rng) -> Iterator[Draft]:
    """Parameters and gradients from 1e-8 to 1e8 in one array."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        return 0.5 * xp.sum(d.h * (p.x - d.c) ** 2) / d.h.size

    def quartic(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum(xp.cosh(p.x / d.c)) + xp.sum(p.y * d.k) ** 2

    size = np.logspace(-8, 8, 17)
    x = size * rng.uniform(0.5, 2, 17)
    yield Draft("balanced", "scaled", f, {"x": x}, {"h": size**-2.0, "c": 0.3 * size})
    yield Draft("flat-gradient", "scaled", f, {"x": x}, {"h": 1 / size, "c": 0.3 * size})
    blocks = {"x": 1e-7 * rng.normal(size=4), "y": 1e7 * rng.normal(size=4)}
    yield Draft(
        "two-blocks", "scaled", quartic, blocks, {"c": 1e-7, "k": 1e-7 * rng.normal(size=4)}
    )


@family("quantised-inputs", TUNING)
def quantised(rng: Rng) -> Iterator[Draft]:
    """Binned features enter as steps, the rest smoothly."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.w + 0.1 * floor(4 * value(p.t))
        return xp.mean(softplus(z, xp) - d.y * z)

    data = {"X": rng.normal(size=(30, 5)), "y": (rng.random(30) < 0.5) * 1.0}
    params = {"w": rng.normal(size=5), "t": np.array(0.33)}
    yield Draft("threshold", "piecewise-constant", f, params, data, batch=30)

    def rounded(p: Any, d: Any, xp: Any) -> Any:
        return 0.5 * xp.sum((p.x - d.c) ** 2) + 0.05 * np.sum(np.round(8 * real(p.x)))

    x = np.round(8 * rng.normal(size=8)) / 8 + 0.02
    yield Draft("rounded", "piecewise-constant", rounded, {"x": x}, {"c": rng.normal(size=8)})


@family("step-counts", HELD_OUT)
def step_counts(rng: Rng) -> Iterator[Draft]:
    """Accuracy or a count added to a smooth loss; a penalty per non-zero weight."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = forward(p, d.X, tanh, xp)
        wrong = np.mean(np.argmax(real(z), axis=1) != np.argmax(d.Y, axis=1))
        return -xp.mean(xp.sum(d.Y * log_softmax(z, xp), axis=1)) + wrong

    def l0(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum((d.X @ p.w - d.y) ** 2) + 0.25 * np.sum(np.abs(real(p.w)) > 0.125)

    params = layers(rng, [4, 5, 3])
    yield Draft("error-rate", "piecewise-constant", f, params, classes(rng, 15, 4, 3), batch=15)
    data = {"X": rng.normal(size=(12, 6)), "y": rng.normal(size=12)}
    w = np.array([0.13, 0.5, -0.12, 1.0, -0.7, 0.05])
    yield Draft("l0", "piecewise-constant", l0, {"w": w}, data, batch=12)


@family("lookup-table", HELD_OUT)
def lookup(rng: Rng) -> Iterator[Draft]:
    """Nearest neighbour interpolation of a table, scaled by a smooth amplitude."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        index = np.clip(np.floor(real(p.u) * 10).astype(int), 0, 9)
        return xp.sum(p.amplitude * d.table[index]) ** 2 + xp.sum(xp.exp(p.amplitude))

    params = {"u": np.array([0.15, 0.52, 0.87, 0.33]), "amplitude": rng.normal(size=4)}
    yield Draft("nearest", "piecewise-constant", f, params, {"table": rng.normal(size=10)})

    def linear(p: Any, d: Any, xp: Any) -> Any:
        # Piecewise linear interpolation: kinks at the knots, the point at 2e-7 from one.
        left = np.clip(np.floor(real(p.u) * 10).astype(int), 0, 8)
        part = p.u * 10 - left
        return xp.sum(((1 - part) * d.table[left] + part * d.table[left + 1]) ** 2)

    near = {"u": np.array([0.2 + 2e-7, 0.45, 0.7 - 3e-8])}
    yield Draft("linear-near-knot", "kink-near", linear, near, {"table": rng.normal(size=10)})


@family("decision-stumps", TUNING)
def stumps(rng: Rng) -> Iterator[Draft]:
    """A boosted sum of stumps: smooth in the leaves, stepped in the thresholds."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        right = real(p.thresholds) < d.X
        out = xp.sum(right * p.right + ~right * p.left, axis=1)
        return xp.mean((out - d.y) ** 2)

    params = {k: rng.normal(size=4) for k in ("thresholds", "left", "right")}
    data = {"X": np.round(rng.normal(size=(20, 4)), 1) + 0.05, "y": rng.normal(size=20)}
    params["thresholds"] = np.round(params["thresholds"], 1)
    yield Draft("four", "piecewise-constant", f, params, data, batch=20)


@family("straight-through", TUNING)
def straight_through(rng: Rng) -> Iterator[Draft]:
    """Quantised weights beside continuous ones: the true gradient of the first is zero."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        h = xp.tanh(d.X @ (np.round(real(p.W) * 4) / 4) + p.b)
        return xp.mean((h @ p.v - d.y) ** 2)

    def passed_through(p: Any, d: Any, xp: Any) -> Any:
        h = xp.tanh(d.X @ p.W + p.b)
        return xp.mean((h @ p.v - d.y) ** 2)

    W = np.round(rng.normal(size=(4, 3)) * 4) / 4 + 0.03
    params = {"W": W, "b": rng.normal(size=3), "v": rng.normal(size=3)}
    data = {"X": rng.normal(size=(12, 4)), "y": rng.normal(size=12)}
    slips = {"straight-through estimator": passed_through}
    yield Draft("rounded-weights", "piecewise-constant", f, params, data, batch=12, slips=slips)


@family("rounded-clock", HELD_OUT)
def rounded_clock(rng: Rng) -> Iterator[Draft]:
    """A fee per started hour on top of a smooth cost."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        hours = d.distance / p.speed
        fee = np.sum(np.ceil(real(hours)))
        return xp.sum(0.05 * p.speed**2 + hours) + 2 * fee

    params = {"speed": rng.uniform(2, 4, 5)}
    yield Draft(
        "started-hours", "piecewise-constant", f, params, {"distance": rng.uniform(5, 9, 5)}
    )


@family("unread-and-masked", HELD_OUT)
def masked(rng: Rng) -> Iterator[Draft]:
    """Parameters multiplied by a zero mask, and logits whose sum cancels."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ (p.W * d.mask) + p.shift
        return -xp.mean(xp.sum(d.Y * log_softmax(z, xp), axis=1))

    params = {"W": rng.normal(size=(4, 3)), "shift": np.array(0.4)}
    data = {**classes(rng, 10, 4, 3), "mask": (rng.random((4, 3)) < 0.6) * 1.0}
    yield Draft("shift-of-all-logits", "zero-block", f, params, data, batch=10, zero=("shift",))

    def gate(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum((relu(p.gate, xp) * (p.inner @ d.x) - p.outer) ** 2)

    params = {"gate": np.array(-0.7), "inner": rng.normal(size=4), "outer": rng.normal(size=2)}
    yield Draft("closed-gate", "zero-block", gate, params, {"x": rng.normal(size=(4, 2))})


@family("stationary-point", TUNING)
def stationary(rng: Rng) -> Iterator[Draft]:
    """At a minimum of one block its gradient is exactly zero, though it matters."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum((p.at - 1.5) ** 2) * xp.exp(p.rate) + xp.sum(xp.cos(p.other)) + 3 * p.rate

    params = {"at": np.full(4, 1.5), "rate": np.array(0.2), "other": rng.normal(size=3)}
    yield Draft("quadratic", "zero-block", f, params)
    flat = {**params, "other": np.zeros(3)}
    yield Draft("two-blocks", "zero-block", f, flat)


@family("vanishing-product", TUNING)
def vanishing_product(rng: Rng) -> Iterator[Draft]:
    """A loss that is itself as small as its gradients: everything is measurable."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = p.x
        for a in (0.01, 0.02, 0.005, 0.01):
            z = xp.tanh(a * z)
        return xp.sum(z) + xp.prod(p.w) * 1e-9

    params = {"x": rng.normal(size=4), "w": rng.normal(size=5)}
    yield Draft("no-constant", "vanishing", f, params)
    hidden = Draft("under-one", "vanishing", lambda p, d, xp: 1 + f(p, d, xp), params)
    yield hidden


@family("saturated-gates", HELD_OUT)
def saturated_gates(rng: Rng) -> Iterator[Draft]:
    """Gates at sigmoid(-10) to sigmoid(-60) in front of a branch."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        h = d.X @ p.main + sigmoid(p.gate, xp) * xp.tanh(d.X @ p.branch)
        return 0.5 * xp.mean((h - d.y) ** 2)

    data = {"X": rng.normal(size=(10, 3)), "y": rng.normal(size=10)}
    for gate in (-10.0, -20.0, -30.0, -60.0):
        params = {"main": rng.normal(size=3), "branch": rng.normal(size=3), "gate": np.array(gate)}
        yield Draft(f"gate{gate:.0f}", "vanishing", f, params, data, batch=10)
    yield rescaled(
        Draft("gate-open", "smooth", f, {**params, "gate": np.array(0.5)}, data, batch=10), rng
    )


@family("sigmoid-chain", TUNING)
def sigmoid_chain(rng: Rng) -> Iterator[Draft]:
    """One unit a layer: each takes a factor of at most a quarter."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = d.x
        for k in range(p.w.size):
            z = sigmoid(p.w[k] * z + p.b[k], xp)
        return 0.5 * xp.mean((z - 0.25) ** 2)

    data = {"x": rng.normal(size=3)}
    for depth in (6, 12, 20):
        params = {"w": rng.normal(size=depth), "b": rng.normal(size=depth)}
        yield Draft(f"depth-{depth}", "vanishing", f, params, data)


@family("split-chain", TUNING)
def split_chain(rng: Rng) -> Iterator[Draft]:
    """The same with a block a layer, so that blocks differ by many orders of magnitude."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = d.x
        for k in range(len(vars(p))):
            z = xp.tanh(d.gain * (z @ getattr(p, f"layer{k}")))
        return xp.sum((z - d.t) ** 2)

    data = {"x": rng.normal(size=(4, 3)), "t": rng.normal(size=(4, 3))}
    for depth, gain in ((4, 0.02), (6, 0.01), (5, 0.001)):
        params = {f"layer{k}": rng.normal(size=(3, 3)) for k in range(depth)}
        yield Draft(f"{depth}-of-{gain}", "vanishing", f, params, {**data, "gain": gain})


@family("correlation-near-one", HELD_OUT)
def correlation(rng: Rng) -> Iterator[Draft]:
    """Bivariate normal; beyond |r| = 1 the square root is of a negative number."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        rest = 1 - p.r**2
        quad = (d.x**2 - 2 * p.r * d.x * d.y + d.y**2) / rest
        return 0.5 * xp.mean(quad) + xp.log(xp.sqrt(rest))

    x = rng.normal(size=20)
    for gap in (1e-3, 1e-6):
        y = x + np.sqrt(gap) * rng.normal(size=20)
        yield Draft(
            f"gap-{gap:.0e}", "near-singular", f, {"r": np.array(1 - gap)}, {"x": x, "y": y}
        )


@family("power-law-edge", HELD_OUT)
def power_law(rng: Rng) -> Iterator[Draft]:
    """Threshold and exponent; the threshold is close below the smallest observation."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        excess = d.x - p.threshold
        if np.any(real(excess) <= 0):
            raise FloatingPointError("observation below the threshold")
        a = xp.exp(p.log_a)
        return -xp.sum((a - 1) * xp.log(excess) - excess**1.5)

    x = 1 + rng.gamma(1.5, 1.0, 15)
    for gap in (1e-2, 1e-5, 1e-8):
        params = {"threshold": np.array(x.min() - gap), "log_a": np.array(0.3)}
        yield Draft(f"gap-{gap:.0e}", "near-singular", f, params, {"x": x})

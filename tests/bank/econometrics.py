"""Likelihoods and estimating criteria of econometrics, survival and extremes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import FRESH, Draft, family
from .ops import log_softmax, logsumexp, real, sigmoid, softplus, solve, value
from .special import log_ndtr
from .variants import inside_float32, jittered, offset, rescaled, shaken, stepped, with_unused

Rng = np.random.Generator


@family("heckman", FRESH)
def heckman(rng: Rng) -> Iterator[Draft]:
    """Selection and outcome with correlated errors."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        index = d.Z @ p.gamma
        r = xp.tanh(p.atanh_rho)
        z = (d.y - d.X @ p.beta) * xp.exp(-p.log_sigma)
        given = (index + r * z) / xp.sqrt(1 - r**2)
        seen = -0.5 * z**2 - p.log_sigma + log_ndtr(given, xp)
        return -xp.sum(xp.where(d.seen > 0, seen, log_ndtr(-index, xp)))

    def no_correlation(p: Any, d: Any, xp: Any) -> Any:
        index = d.Z @ p.gamma
        z = (d.y - d.X @ p.beta) * xp.exp(-p.log_sigma)
        seen = -0.5 * z**2 - p.log_sigma + log_ndtr(index + 0 * p.atanh_rho, xp)
        return -xp.sum(xp.where(d.seen > 0, seen, log_ndtr(-index, xp)))

    data = {
        "X": rng.normal(size=(30, 3)),
        "Z": rng.normal(size=(30, 2)),
        "y": rng.normal(size=30),
        "seen": rng.integers(2, size=30),
    }
    params = {
        "beta": 0.4 * rng.normal(size=3),
        "gamma": 0.5 * rng.normal(size=2),
        "log_sigma": np.array(0.1),
        "atanh_rho": np.array(0.4),
    }
    slips = {"correlation": no_correlation}
    base = Draft("selection", "smooth", f, params, data, batch=30, slips=slips)
    yield base
    yield with_unused(base, rng)


@family("stochastic-frontier", FRESH)
def frontier(rng: Rng) -> Iterator[Draft]:
    """Normal noise less a half-normal inefficiency: a skew normal likelihood."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        sigma, skew = xp.exp(p.log_sigma), xp.exp(p.log_lambda)
        e = (d.y - d.X @ p.beta) / sigma
        return xp.mean(p.log_sigma + 0.5 * e**2 - log_ndtr(-skew * e, xp))

    y = rng.normal(size=40) - np.abs(rng.normal(size=40))
    data = {"X": rng.normal(size=(40, 4)), "y": y}
    params = {
        "beta": 0.2 * rng.normal(size=4),
        "log_sigma": np.array(0.6),
        "log_lambda": np.array(-0.2),
    }
    base = Draft("half-normal", "smooth", f, params, data, batch=40)
    yield base
    yield jittered(base, 1e-8)


@family("nested-logit", FRESH)
def nested_logit(rng: Rng) -> Iterator[Draft]:
    """Choice among modes in two nests, with inclusive values."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        v = d.X @ p.beta + p.constant[d.which]
        scale = sigmoid(p.logit_scale, xp)
        nests, top = [], []
        for k, members in enumerate(((0, 1), (2, 3, 4))):
            inside = v[:, members] / scale[k]
            top.append(scale[k] * logsumexp(inside, xp))
            nests.append(log_softmax(inside, xp))
        upper = log_softmax(xp.stack(top, axis=1), xp)
        joint = xp.concatenate([nests[0] + upper[:, :1], nests[1] + upper[:, 1:]], axis=1)
        return -xp.sum(joint[np.arange(len(d.chosen)), d.chosen])

    data = {
        "X": rng.normal(size=(35, 5, 3)),
        "which": np.arange(5),
        "chosen": rng.integers(5, size=35),
    }
    params = {
        "beta": rng.normal(size=3),
        "constant": rng.normal(size=5),
        "logit_scale": np.array([0.4, -0.6]),
    }
    base = Draft("two-nests", "smooth", f, params, data, batch=35)
    yield base
    yield inside_float32(base)
    # Nests so tight that inside of them the best always wins.
    tight = {**params, "logit_scale": np.array([-7.0, -8.0])}
    yield base.but(variant="tight-nests", kind="curvature", params=tight)


@family("markov-switching", FRESH)
def markov_switching(rng: Rng) -> Iterator[Draft]:
    """Hamilton's filter of a regression with two regimes."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        stay = sigmoid(p.stay, xp)
        share = (1 - stay[::-1]) / (2 - stay[0] - stay[1])
        total: Any = 0.0
        for t in range(1, d.y.size):
            z = (d.y[t] - p.mean - p.ar * d.y[t - 1]) * xp.exp(-p.log_sigma)
            ahead = stay * share + (1 - stay[::-1]) * share[::-1]
            joint = ahead * xp.exp(-0.5 * z**2 - p.log_sigma)
            total = total - xp.log(xp.sum(joint))
            share = joint / xp.sum(joint)
        return total

    params = {
        "stay": np.array([2.0, 1.0]),
        "mean": np.array([0.5, -0.8]),
        "ar": np.array(0.3),
        "log_sigma": np.array([-0.2, 0.4]),
    }
    base = Draft("two-regimes", "smooth", f, params, {"y": rng.normal(size=24)})
    yield base
    yield inside_float32(base)
    yield offset(base, 2e6)
    # A second regime so far away that no observation has to do with it.
    unvisited = {**params, "mean": np.array([0.5, 7.5]), "log_sigma": np.array([-0.2, -0.3])}
    yield base.but(variant="unvisited", kind="vanishing", params=unvisited)


@family("holt-winters", FRESH)
def holt_winters(rng: Rng) -> Iterator[Draft]:
    """Multiplicative seasonal smoothing, one step ahead."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        a, b, c = (sigmoid(p.logits[i], xp) for i in range(3))
        level, trend = p.level, p.trend
        season = [p.season[i] for i in range(4)]
        total: Any = 0.0
        for t, y in enumerate(d.y):
            s = season[t % 4]
            e = y - (level + trend) * s
            total = total + e**2
            before = level
            level = a * y / s + (1 - a) * (level + trend)
            trend = b * (level - before) + (1 - b) * trend
            season[t % 4] = c * y / level + (1 - c) * s
        return total / d.y.size

    t = np.arange(20)
    data = {"y": (50 + t) * np.tile([1.1, 0.8, 0.95, 1.15], 5) + rng.normal(size=20)}
    params = {
        "logits": np.array([-0.5, -1.5, -1.0]),
        "level": np.array(49.0),
        "trend": np.array(0.7),
        "season": np.array([1.05, 0.85, 0.9, 1.2]),
    }
    base = Draft("quarters", "smooth", f, params, data)
    yield base
    yield stepped(base, 0.25, 0.02)


@family("copula", FRESH)
def copulas(rng: Rng) -> Iterator[Draft]:
    """Clayton's and Frank's; at a small parameter Frank's is a ratio of cancelling terms."""

    def clayton(p: Any, d: Any, xp: Any) -> Any:
        a = xp.exp(p.log_a)
        logs = xp.log(d.u) + xp.log(d.v)
        inner = xp.exp(-a * xp.log(d.u)) + xp.exp(-a * xp.log(d.v)) - 1
        return -xp.sum(xp.log(1 + a) - (a + 1) * logs - (2 + 1 / a) * xp.log(inner))

    def frank(p: Any, d: Any, xp: Any) -> Any:
        a = p.a
        top = a * (1 - xp.exp(-a)) * xp.exp(-a * (d.u + d.v))
        below = 1 - xp.exp(-a) - (1 - xp.exp(-a * d.u)) * (1 - xp.exp(-a * d.v))
        return -xp.sum(xp.log(top / below**2))

    data = {"u": rng.uniform(0.05, 0.95, 30), "v": rng.uniform(0.05, 0.95, 30)}
    yield Draft("clayton", "smooth", clayton, {"log_a": np.array(0.3)}, data, batch=30)
    base = Draft("frank", "smooth", frank, {"a": np.array(2.5)}, data, batch=30)
    yield base
    yield base.but(variant="frank-1e-4", kind="near-singular", params={"a": np.array(1e-4)})
    yield jittered(base, 3e-11)


@family("extreme-values", FRESH)
def extremes(rng: Rng) -> Iterator[Draft]:
    """Generalised extreme values and Pareto's tail; the support ends close to an observation."""

    def gev(p: Any, d: Any, xp: Any) -> Any:
        z = (d.x - p.mu) * xp.exp(-p.log_sigma)
        y = xp.log1p(p.xi * z)
        return xp.sum(p.log_sigma + (1 + 1 / p.xi) * y + xp.exp(-y / p.xi))

    def pareto(p: Any, d: Any, xp: Any) -> Any:
        inside = 1 + p.xi * d.x * xp.exp(-p.log_sigma)
        if np.any(real(inside) <= 0):
            return np.inf
        return d.x.size * p.log_sigma + (1 + 1 / p.xi) * xp.sum(xp.log(inside))

    x = rng.gumbel(size=30)
    params = {"mu": np.array(0.1), "log_sigma": np.array(0.05), "xi": np.array(0.15)}
    base = Draft("gev", "smooth", gev, params, {"x": x}, batch=30)
    yield base
    yield rescaled(base, rng, 5)
    x = rng.exponential(size=30)
    for gap in (1e-3, 1e-6):
        edge = -(1 - gap) / x.max() * np.exp(0.2)
        params = {"log_sigma": np.array(0.2), "xi": np.array(edge)}
        yield Draft(f"pareto-edge-{gap:.0e}", "near-singular", pareto, params, {"x": x}, batch=30)


@family("hawkes", FRESH)
def hawkes(rng: Rng) -> Iterator[Draft]:
    """Self-exciting events, close together or so far apart that none excites the next."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        mu, jump, decay = xp.exp(p.log_mu), xp.exp(p.log_jump), xp.exp(p.log_decay)
        excited: Any = 0.0
        total = mu * d.end + jump / decay * xp.sum(1 - xp.exp(-decay * (d.end - d.t)))
        for i in range(d.t.size):
            if i:
                excited = (excited + 1) * xp.exp(-decay * (d.t[i] - d.t[i - 1]))
            total = total - xp.log(mu + jump * excited)
        return total

    def uncompensated(p: Any, d: Any, xp: Any) -> Any:
        jump, decay = xp.exp(p.log_jump), xp.exp(p.log_decay)
        return f(p, d, xp) - jump / decay * xp.sum(1 - xp.exp(-decay * (d.end - d.t)))

    t = np.cumsum(rng.exponential(0.7, 25))
    params = {"log_mu": np.array(-0.4), "log_jump": np.array(-0.3), "log_decay": np.array(0.5)}
    base = Draft("exponential", "smooth", f, params, {"t": t, "end": t[-1] + 1.0})
    base = base.but(slips={"compensator": uncompensated})
    yield base
    sparse = {"t": 18 * np.arange(1.0, 7.0), "end": 130.0}
    yield base.but(variant="far-apart", data=sparse)
    yield inside_float32(base)


@family("random-intercepts", FRESH)
def random_intercepts(rng: Rng) -> Iterator[Draft]:
    """Logistic regression of clustered data, the intercepts integrated by Gauss and Hermite."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        eta = d.X @ p.beta
        drawn = xp.exp(p.log_tau) * d.nodes
        z = xp.reshape(eta, (8, 5, 1)) + xp.reshape(drawn, (1, 1, -1))
        each = xp.sum(d.y[:, :, None] * z - softplus(z, xp), axis=1)
        return -xp.sum(logsumexp(each + d.log_weights, xp))

    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    data = {
        "X": rng.normal(size=(40, 3)),
        "y": rng.integers(2, size=(8, 5)) * 1.0,
        "nodes": nodes,
        "log_weights": np.log(weights / weights.sum()),
    }
    params = {"beta": rng.normal(size=3), "log_tau": np.array(-0.3)}
    base = Draft("quadrature", "smooth", f, params, data, batch=8)
    yield base
    # Variance component on its way to the boundary.
    yield base.but(
        variant="no-variance", kind="vanishing", params={**params, "log_tau": np.array(-9.0)}
    )
    yield base.but(
        variant="none-at-all", kind="vanishing", params={**params, "log_tau": np.array(-17.0)}
    )


@family("method-of-moments", FRESH)
def moments(rng: Rng) -> Iterator[Draft]:
    """Instruments and an optimal weight matrix; exponential tilting of the same moments."""

    def gmm(p: Any, d: Any, xp: Any) -> Any:
        e = d.y - xp.exp(d.X @ p.beta)
        g = d.Z.T @ e / d.y.size
        u = d.Z * xp.reshape(e, (-1, 1))
        weight = u.T @ u / d.y.size
        return d.y.size * (g @ solve(weight, g, xp))

    def weight_held(p: Any, d: Any, xp: Any) -> Any:
        e = d.y - xp.exp(d.X @ p.beta)
        g = d.Z.T @ e / d.y.size
        u = value(d.Z * xp.reshape(e, (-1, 1)))
        return d.y.size * (g @ solve(u.T @ u / d.y.size, g, xp))

    def tilting(p: Any, d: Any, xp: Any) -> Any:
        return xp.log(xp.sum(xp.exp(d.G @ p.lam)))

    X = rng.normal(size=(40, 3))
    data = {"X": X, "Z": np.c_[X, rng.normal(size=(40, 2))], "y": rng.gamma(2.0, 0.6, 40)}
    params = {"beta": 0.2 * rng.normal(size=3)}
    slips = {"weights held": weight_held}
    yield Draft("continuous-updating", "smooth", gmm, params, data, batch=40, slips=slips)
    data = {"G": rng.normal(size=(30_000, 3))}
    yield Draft(
        "tilting", "large-sum", tilting, {"lam": 0.05 * rng.normal(size=3)}, data, batch=30_000
    )


@family("smooth-transition", FRESH)
def smooth_transition(rng: Rng) -> Iterator[Draft]:
    """Two autoregressions and a logistic passage from one to the other, gentle or abrupt."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        share = 0.5 + 0.5 * xp.tanh(0.5 * p.speed * (d.y[:-1] - p.threshold))
        one, two = p.low[0] + p.low[1] * d.y[:-1], p.high[0] + p.high[1] * d.y[:-1]
        return xp.mean((d.y[1:] - (1 - share) * one - share * two) ** 2)

    data = {"y": rng.normal(size=40)}
    params = {
        "low": np.array([0.3, 0.6]),
        "high": np.array([-0.2, 0.4]),
        "speed": np.array(2.5),
        "threshold": np.array(0.1),
    }
    base = Draft("gentle", "smooth", f, params, data, batch=39)
    yield base
    abrupt = {**params, "speed": np.array(4e3), "threshold": np.array(data["y"][7] + 3e-4)}
    yield base.but(variant="abrupt", kind="curvature", params=abrupt)
    yield shaken(base, 1e-10)


@family("exponential-garch", FRESH)
def egarch(rng: Rng) -> Iterator[Draft]:
    """Nelson's: no constraint on the signs, |z| of standardised shocks."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        h: Any = p.start
        total: Any = 0.0
        for r in d.r:
            z = (r - p.mu) * xp.exp(-0.5 * h)
            total = total + 0.5 * (h + z**2)
            size = z * np.sign(real(z))
            h = p.omega + p.alpha * size + p.gamma * z + p.beta * h
        return total

    params = {
        "mu": np.array(0.05),
        "omega": np.array(-0.1),
        "alpha": np.array(0.2),
        "gamma": np.array(-0.1),
        "beta": np.array(0.7),
        "start": np.array(0.0),
    }
    r = rng.normal(size=30)
    base = Draft("news", "smooth", f, params, {"r": r})
    yield base
    # Days without any trade, and a mean return of zero or almost.
    quiet = {"r": np.where(np.arange(30) % 6 == 0, 0.0, r)}
    yield base.but(
        variant="no-trade", kind="kink-at", data=quiet, params={**params, "mu": np.array(0.0)}
    )
    yield base.but(
        variant="little-trade",
        kind="kink-near",
        data=quiet,
        params={**params, "mu": np.array(3e-8)},
    )


@family("competing-risks", FRESH)
def competing_risks(rng: Rng) -> Iterator[Draft]:
    """Gompertz hazards of two causes; the scale of time in days or in centuries."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        total: Any = 0.0
        for k in range(2):
            log_rate = p.level[k] + d.X @ p.beta[k]
            growth = xp.expm1(p.ageing[k] * d.t) / p.ageing[k]
            total = total - xp.sum((d.cause == k) * (log_rate + p.ageing[k] * d.t))
            total = total + xp.sum(xp.exp(log_rate) * growth)
        return total

    data = {
        "X": rng.normal(size=(40, 2)),
        "t": rng.uniform(1, 40, 40),
        "cause": rng.integers(3, size=40),
    }
    params = {
        "level": np.array([-4.0, -5.0]),
        "ageing": np.array([0.05, 0.08]),
        "beta": 0.3 * rng.normal(size=(2, 2)),
    }
    base = Draft("years", "smooth", f, params, data, batch=40)
    yield base
    days = {**params, "level": params["level"] - 5.9, "ageing": params["ageing"] / 365.25}
    yield base.but(
        variant="days", kind="scaled", params=days, data={**data, "t": 365.25 * data["t"]}
    )
    register = {
        "X": rng.normal(size=(12_000, 2)),
        "t": rng.uniform(1, 40, 12_000),
        "cause": rng.integers(3, size=12_000),
    }
    yield base.but(variant="register", kind="large-sum", data=register, batch=12_000)
    absent = {**params, "level": np.array([-4.0, -40.0])}
    no_second = {**data, "cause": np.where(data["cause"] == 1, 2, data["cause"])}
    yield base.but(variant="absent-cause", kind="vanishing", params=absent, data=no_second)

"""Negative log-likelihoods and losses as statistics and machine learning libraries have them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import HELD_OUT, TUNING, Draft, family
from .ops import log_softmax, logsumexp, sigmoid, softplus, spd, value
from .variants import inside_float32, jittered, offset, rescaled, shaken, stepped, with_unused

Rng = np.random.Generator


@family("logistic-regression", TUNING)
def logistic(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.w + p.b
        return xp.mean(softplus(z, xp) - d.y * z) + 0.5 * d.l2 * xp.sum(p.w**2)

    def no_l2(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.w + p.b
        return xp.mean(softplus(z, xp) - d.y * z)

    def bias_too(p: Any, d: Any, xp: Any) -> Any:
        return f(p, d, xp) + 0.5 * d.l2 * p.b**2

    def clipped(p: Any, d: Any, xp: Any) -> Any:
        q = sigmoid(d.X @ p.w + p.b, xp)
        entropy = d.y * xp.log(q + 1e-4) + (1 - d.y) * xp.log(1 - q + 1e-4)
        return -xp.mean(entropy) + 0.5 * d.l2 * xp.sum(p.w**2)

    m = 50
    data = {"X": rng.normal(size=(m, 8)), "y": (rng.random(m) < 0.5) * 1.0, "l2": 0.125}
    params = {"w": rng.normal(size=8), "b": np.array(0.3)}
    slips = {"l2": no_l2, "l2 on the bias": bias_too, "clipped": clipped}
    base = Draft("plain", "smooth", f, params, data, batch=m, slips=slips)
    yield base
    yield offset(base)
    yield rescaled(base, rng)
    yield inside_float32(base)
    yield inside_float32(base, "params")
    yield inside_float32(base, "claim")
    yield jittered(base, 1e-10)
    yield stepped(base, 0.5, 0.25)
    wide = {"X": rng.normal(size=(m, 2500)) / 50, "y": data["y"], "l2": 0.125}
    many = {"w": rng.normal(size=2500), "b": np.array(-0.2)}
    yield base.but(variant="n2500", data=wide, params=many)


@family("softmax-regression", HELD_OUT)
def multinomial(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.W + p.b
        nll = -xp.sum(d.Y * log_softmax(z, xp)) / len(d.Y)
        return nll + 0.5 * d.l2 * xp.sum(p.W**2)

    def summed(p: Any, d: Any, xp: Any) -> Any:
        return -xp.sum(d.Y * log_softmax(d.X @ p.W + p.b, xp)) + 0.5 * d.l2 * xp.sum(p.W**2)

    def own_term_only(p: Any, d: Any, xp: Any) -> Any:
        # Softmax differentiated as if its Jacobian were diagonal.
        q = sigmoid(d.X @ p.W + p.b, xp)
        return -xp.sum(d.Y * xp.log(q)) / len(d.Y) + 0.5 * d.l2 * xp.sum(p.W**2)

    for m, n, k in ((40, 6, 4), (60, 30, 10)):
        data = {
            "X": rng.normal(size=(m, n)),
            "Y": np.eye(k)[rng.integers(k, size=m)],
            "l2": 0.0625,
        }
        params = {"W": 0.5 * rng.normal(size=(n, k)), "b": rng.normal(size=k)}
        slips = {"sum for mean": summed, "diagonal Jacobian": own_term_only}
        base = Draft(f"{n}x{k}", "smooth", f, params, data, batch=m, slips=slips)
        yield base
        if m == 40:
            yield offset(base)
            yield rescaled(base, rng, 6)
            yield inside_float32(base)
            yield inside_float32(base, "params")
            yield inside_float32(base, "claim")
            yield shaken(base, 1e-11)


@family("poisson-regression", TUNING)
def poisson(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        eta = d.X @ p.beta
        return xp.sum(xp.exp(eta) - d.y * eta)

    data = {"X": rng.normal(size=(80, 5)), "y": rng.poisson(2.0, 80) * 1.0}
    base = Draft("plain", "smooth", f, {"beta": 0.3 * rng.normal(size=5)}, data, batch=80)
    yield base
    yield offset(base, 1e7)
    yield inside_float32(base)
    counts = {"X": data["X"] * np.logspace(-8, 8, 5), "y": data["y"]}
    beta = 0.3 * rng.normal(size=5) / np.logspace(-8, 8, 5)
    yield Draft("unscaled-columns", "scaled", f, {"beta": beta}, counts, batch=80)


@family("gamma-regression", HELD_OUT)
def gamma(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        eta = d.X @ p.beta + p.intercept
        return xp.mean(d.y * xp.exp(-eta) + eta) + d.alpha * xp.sum(p.beta**2)

    data = {"X": rng.normal(size=(60, 7)), "y": rng.gamma(2.0, 1.5, 60), "alpha": 0.5}
    params = {"beta": 0.4 * rng.normal(size=7), "intercept": np.array([0.7])}
    base = Draft("plain", "smooth", f, params, data, batch=60)
    yield base
    yield jittered(base, 1e-8)
    columns = {**data, "X": data["X"] * np.logspace(-6, 6, 7)}
    small = {**params, "beta": params["beta"] / np.logspace(-6, 6, 7)}
    yield Draft("unscaled-columns", "scaled", f, small, columns, batch=60)


@family("tweedie", TUNING)
def tweedie(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        eta = d.X @ p.beta
        return xp.mean(xp.exp(eta * 0.5) / 0.5 + d.y * xp.exp(-0.5 * eta) / 0.5)

    data = {"X": rng.normal(size=(50, 6)), "y": rng.gamma(1.0, 2.0, 50) * (rng.random(50) < 0.7)}
    yield Draft("power-1.5", "smooth", f, {"beta": 0.5 * rng.normal(size=6)}, data, batch=50)


@family("probit", HELD_OUT)
def probit(rng: Rng) -> Iterator[Draft]:
    """The normal distribution function through a rational fit, any dtype (logistic mixture)."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        # Page's approximation, Phi(z) = 1 / (1 + exp(-1.5976 z - 0.070565776 z^3)).
        z = d.sign * (d.X @ p.w)
        return xp.sum(softplus(-(1.5976 * z + 0.070565776 * z**3), xp))

    data = {"X": rng.normal(size=(40, 5)), "sign": rng.choice([-1.0, 1.0], 40)}
    yield Draft("page", "smooth", f, {"w": rng.normal(size=5)}, data, batch=40)


@family("ordinal-logit", TUNING)
def ordinal(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        cuts = p.first + xp.concatenate([np.zeros(1), xp.cumsum(xp.exp(p.gaps))])
        z = xp.reshape(cuts, (1, -1)) - xp.reshape(d.X @ p.w, (-1, 1))
        below = xp.concatenate([np.zeros((len(d.X), 1)), sigmoid(z, xp), np.ones((len(d.X), 1))], 1)
        rows = np.arange(len(d.X))
        return -xp.mean(xp.log(below[rows, d.y + 1] - below[rows, d.y]))

    data = {"X": rng.normal(size=(45, 4)), "y": rng.integers(5, size=45)}
    params = {"w": rng.normal(size=4), "first": np.array(-1.5), "gaps": 0.3 * rng.normal(size=3)}
    yield Draft("five-levels", "smooth", f, params, data, batch=45)


@family("weibull-survival", HELD_OUT)
def weibull(rng: Rng) -> Iterator[Draft]:
    """Censored accelerated failure times."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        k = xp.exp(p.log_shape)
        z = k * (xp.log(d.t) - d.X @ p.beta)
        return -xp.sum(d.event * (p.log_shape + z - xp.log(d.t)) - xp.exp(z))

    data = {
        "X": rng.normal(size=(60, 4)),
        "t": rng.weibull(1.5, 60) + 0.01,
        "event": (rng.random(60) < 0.7) * 1.0,
    }
    params = {"beta": 0.3 * rng.normal(size=4), "log_shape": np.array(0.4)}
    yield Draft("censored", "smooth", f, params, data, batch=60)


@family("cox", TUNING)
def cox(rng: Rng) -> Iterator[Draft]:
    """Breslow's partial likelihood."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        eta = d.X @ p.beta
        return -xp.sum(d.event * (eta - xp.log(d.at_risk @ xp.exp(eta))))

    t = rng.exponential(size=50)
    data = {
        "X": rng.normal(size=(50, 5)),
        "at_risk": (t[None, :] >= t[:, None]) * 1.0,
        "event": (rng.random(50) < 0.6) * 1.0,
    }
    base = Draft("breslow", "smooth", f, {"beta": rng.normal(size=5)}, data, batch=50)
    yield base
    yield with_unused(base, rng)


@family("gaussian-mixture", TUNING)
def mixture(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        logp = log_softmax(p.logits, xp)
        gap = d.x[:, None, :] - p.means[None]
        quad = xp.sum(gap**2 * xp.exp(-2 * p.log_scales)[None], axis=-1)
        joint = logp - 0.5 * quad - xp.sum(p.log_scales, axis=-1)
        return -xp.sum(logsumexp(joint, xp)) / len(d.x)

    data = {"x": rng.normal(size=(40, 3)) + rng.choice([-2.0, 2.0], (40, 1))}
    params = {
        "logits": rng.normal(size=4),
        "means": rng.normal(size=(4, 3)),
        "log_scales": 0.2 * rng.normal(size=(4, 3)),
    }
    base = Draft("diagonal", "smooth", f, params, data, batch=40)
    yield base
    yield inside_float32(base, "params")
    narrow = {**params, "log_scales": params["log_scales"] - 5}
    yield base.but(variant="narrow", kind="curvature", params=narrow)


@family("student-t", HELD_OUT)
def student(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        z = (d.y - d.X @ p.beta) * xp.exp(-p.log_scale)
        return xp.sum(2.5 * xp.log1p(z**2 / 4)) + len(d.y) * p.log_scale

    data = {"X": rng.normal(size=(50, 4)), "y": rng.standard_t(3, 50)}
    params = {"beta": rng.normal(size=4), "log_scale": np.array(-0.2)}
    base = Draft("nu-4", "smooth", f, params, data, batch=50)
    yield base
    yield offset(base, 3e6)
    yield stepped(base, 1e-3, 1e-2)


@family("gaussian-covariance", TUNING)
def normal_covariance(rng: Rng) -> Iterator[Draft]:
    """Mean and Cholesky factor of a normal distribution, the factor as a full matrix."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        low = p.L * d.mask
        cov = low @ low.T
        gap = d.x - p.mu
        sol, logdet = spd(cov, gap.T, xp)
        return 0.5 * (xp.sum(gap.T * sol) / len(d.x) + logdet)

    n = 5
    data = {"x": rng.normal(size=(30, n)), "mask": np.tril(np.ones((n, n)))}
    params = {"mu": rng.normal(size=n), "L": 0.4 * rng.normal(size=(n, n)) + 1.5 * np.eye(n)}
    yield Draft("cholesky-factor", "smooth", f, params, data, batch=30)
    thin = np.tril(params["L"]) * np.where(np.eye(n) > 0, np.logspace(0, -1.5, n), 1)
    yield Draft("thin", "near-singular", f, {**params, "L": thin}, data, batch=30)


@family("gaussian-process", HELD_OUT)
def gaussian_process(rng: Rng) -> Iterator[Draft]:
    """Marginal likelihood, squared exponential kernel with length scales (GPML, chapter 5)."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        gap = (d.x[:, None] - d.x[None]) * xp.exp(-p.log_length)
        kernel = xp.exp(2 * p.log_signal - 0.5 * xp.sum(gap**2, axis=-1))
        noisy = kernel + xp.exp(2 * p.log_noise) * np.eye(len(d.x), dtype=d.x.dtype)
        alpha, logdet = spd(noisy, d.y, xp)
        return 0.5 * xp.sum(d.y * alpha) + 0.5 * logdet

    x = rng.uniform(-2, 2, size=(18, 2))
    data = {"x": x, "y": np.sin(2 * x[:, 0]) + x[:, 1] + 0.1 * rng.normal(size=18)}
    params = {
        "log_length": np.array([-0.2, 0.4]),
        "log_signal": np.array(0.1),
        "log_noise": np.array(-1.5),
    }
    base = Draft("ard", "smooth", f, params, data, batch=18)
    yield base
    tight = {**params, "log_noise": np.array(-9.0), "log_length": np.array([0.4, 0.7])}
    yield base.but(variant="tiny-noise", kind="near-singular", params=tight)


@family("kalman", TUNING)
def kalman(rng: Rng) -> Iterator[Draft]:
    """Local linear trend, likelihood by prediction errors."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        q, r = xp.exp(p.log_var[:2]), xp.exp(p.log_var[2])
        level, slope = p.start[0], p.start[1]
        a, b, c = 1.0, 0.0, 1.0
        total = 0.0
        for y in d.y:
            level = level + slope
            a, b, c = a + 2 * b + c + q[0], b + c, c + q[1]
            s = a + r
            e = y - level
            total = total + 0.5 * (xp.log(s) + e * e / s)
            level, slope = level + a / s * e, slope + b / s * e
            a, b, c = a - a * a / s, b - a * b / s, c - b * b / s
        return total

    data = {"y": np.cumsum(rng.normal(size=20))}
    params = {"log_var": np.array([-1.0, -2.0, 0.3]), "start": np.array([0.2, -0.1])}
    base = Draft("trend", "smooth", f, params, data)
    yield base
    yield inside_float32(base)
    yield jittered(base, 1e-7)


@family("hidden-markov", HELD_OUT)
def hidden_markov(rng: Rng) -> Iterator[Draft]:
    """Scaled forward recursion."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        step = xp.exp(log_softmax(p.transition, xp))
        emit = xp.exp(log_softmax(p.emission, xp))
        alpha = xp.exp(log_softmax(p.start, xp)) * emit[:, d.seq[0]]
        total = 0.0
        for symbol in d.seq[1:]:
            scale = xp.sum(alpha)
            total = total + xp.log(scale)
            alpha = (alpha / scale) @ step * emit[:, symbol]
        return -(total + xp.log(xp.sum(alpha)))

    data = {"seq": rng.integers(4, size=15)}
    params = {
        "start": rng.normal(size=3),
        "transition": rng.normal(size=(3, 3)),
        "emission": rng.normal(size=(3, 4)),
    }
    base = Draft("discrete", "smooth", f, params, data)
    yield base
    yield inside_float32(base)
    yield with_unused(base, rng, (2, 2))


@family("garch", TUNING)
def garch(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        omega, alpha, beta = xp.exp(p.log[0]), xp.exp(p.log[1]), xp.exp(p.log[2])
        var, total = 1.0, 0.0
        for r in d.r:
            total = total + 0.5 * (xp.log(var) + r * r / var)
            var = omega + alpha * r * r + beta * var
        return total

    data = {"r": rng.normal(size=30)}
    yield Draft("1-1", "smooth", f, {"log": np.array([-2.0, -2.2, -0.3])}, data)
    params = {"log": np.array([-14.0, -2.2, -0.3])}
    yield Draft("1-1-small", "scaled", f, params, {"r": 1e-3 * data["r"]})


@family("arma", HELD_OUT)
def arma(rng: Rng) -> Iterator[Draft]:
    """Conditional sum of squares."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        e1, y1, total = 0.0, 0.0, 0.0
        for y in d.y:
            e1 = y - p.c - p.phi * y1 - p.theta * e1
            total = total + e1 * e1
            y1 = y
        return total

    data = {"y": rng.normal(size=40)}
    params = {"c": np.array(0.1), "phi": np.array(0.6), "theta": np.array(-0.4)}
    base = Draft("1-1", "smooth", f, params, data)
    yield base
    yield jittered(base, 3e-12)
    yield stepped(base, 10.0, 0.5)


@family("bradley-terry", TUNING)
def bradley_terry(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum(softplus(p.skill[d.lost] - p.skill[d.won], xp))

    pairs = np.array([rng.choice(12, 2, replace=False) for _ in range(60)])
    data = {"won": pairs[:, 0], "lost": pairs[:, 1]}
    base = Draft("games", "smooth", f, {"skill": rng.normal(size=12)}, data, batch=60)
    yield base
    played = {"won": np.minimum(pairs[:, 0], 8), "lost": 9 + pairs[:, 1] % 2}
    yield base.but(
        variant="never-played",
        kind="zero-block",
        data=played,
        params={"skill": rng.normal(size=12)},
    )


@family("item-response", HELD_OUT)
def item_response(rng: Rng) -> Iterator[Draft]:
    """Two-parameter logistic model."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = xp.exp(p.log_slope) * (xp.reshape(p.ability, (-1, 1)) - p.difficulty)
        return xp.sum(softplus(z, xp) - d.y * z) + 0.5 * xp.sum(p.ability**2)

    def no_prior(p: Any, d: Any, xp: Any) -> Any:
        z = xp.exp(p.log_slope) * (xp.reshape(p.ability, (-1, 1)) - p.difficulty)
        return xp.sum(softplus(z, xp) - d.y * z)

    data = {"y": (rng.random((15, 8)) < 0.5) * 1.0}
    params = {
        "ability": rng.normal(size=15),
        "difficulty": rng.normal(size=8),
        "log_slope": 0.3 * rng.normal(size=8),
    }
    yield Draft("2pl", "smooth", f, params, data, batch=15, slips={"prior": no_prior})


@family("plackett-luce", TUNING)
def plackett_luce(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        s = p.scores[d.order]
        later = np.triu(np.ones((s.shape[1], s.shape[1])))
        return -xp.sum(s - xp.log(xp.exp(s) @ later.T))

    data = {"order": np.array([rng.permutation(7) for _ in range(10)])}
    yield Draft("rankings", "smooth", f, {"scores": rng.normal(size=7)}, data, batch=10)


@family("huber-regression", HELD_OUT)
def huber(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        r = d.y - d.X @ p.w - p.b
        far = np.abs(np.real(value(r))) > 1
        size = r * np.sign(np.real(value(r)))
        return xp.mean(xp.where(far, size - 0.5, 0.5 * r**2))

    data = {"X": rng.normal(size=(40, 6)), "y": 2 * rng.normal(size=40)}
    params = {"w": rng.normal(size=6), "b": np.array(0.2)}
    base = Draft("delta-1", "smooth", f, params, data, batch=40)
    yield base
    yield inside_float32(base)
    yield inside_float32(base, "params")


@family("pseudo-huber", TUNING)
def pseudo_huber(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        r = (d.y - d.X @ p.w) / d.delta
        return d.delta**2 * xp.sum(xp.sqrt(1 + r**2) - 1)

    data = {"X": rng.normal(size=(40, 6)), "y": rng.normal(size=40), "delta": 0.5}
    base = Draft("plain", "smooth", f, {"w": rng.normal(size=6)}, data, batch=40)
    yield base
    yield base.but(variant="sharp", kind="curvature", data={**data, "delta": 2.0**-20})


@family("factor-analysis", HELD_OUT)
def factor_analysis(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        cov = p.loadings @ p.loadings.T + xp.diag(xp.exp(p.log_noise))
        sol, logdet = spd(cov, d.S, xp)
        return 0.5 * (logdet + xp.trace(sol))

    x = rng.normal(size=(40, 6)) @ rng.normal(size=(6, 6))
    params = {"loadings": rng.normal(size=(6, 2)), "log_noise": 0.3 * rng.normal(size=6)}
    yield Draft("two-factors", "smooth", f, params, {"S": x.T @ x / 40})


@family("ising-pseudolikelihood", TUNING)
def ising(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        coupling = (p.J + p.J.T) * (1 - np.eye(6))
        field = d.s @ coupling + p.h
        return xp.mean(softplus(-2 * d.s * field, xp))

    data = {"s": rng.choice([-1.0, 1.0], (25, 6))}
    params = {"J": 0.3 * rng.normal(size=(6, 6)), "h": 0.2 * rng.normal(size=6)}
    yield Draft("pairs", "smooth", f, params, data, batch=25)


@family("variance-regression", HELD_OUT)
def heteroscedastic(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        log_var = d.X @ p.gamma
        return 0.5 * xp.mean(log_var + (d.y - d.X @ p.beta) ** 2 * xp.exp(-log_var))

    data = {"X": rng.normal(size=(50, 5)), "y": rng.normal(size=50)}
    params = {"beta": rng.normal(size=5), "gamma": 0.3 * rng.normal(size=5)}
    base = Draft("plain", "smooth", f, params, data, batch=50)
    yield base
    yield jittered(base, 1e-6)
    yield base.but(
        variant="tight", kind="curvature", params={**params, "gamma": params["gamma"] * 6}
    )


@family("zero-inflated-poisson", TUNING)
def zero_inflated(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        eta, z = d.X @ p.beta, d.X @ p.gamma
        rate = xp.exp(eta)
        empty = xp.log(sigmoid(z, xp) + sigmoid(-z, xp) * xp.exp(-rate))
        some = -softplus(z, xp) - rate + d.y * eta
        return -xp.sum(xp.where(d.y == 0, empty, some))

    data = {"X": rng.normal(size=(50, 3)), "y": rng.poisson(1.5, 50) * (rng.random(50) < 0.7) * 1.0}
    params = {"beta": 0.4 * rng.normal(size=3), "gamma": rng.normal(size=3)}
    yield Draft("log-link", "smooth", f, params, data, batch=50)


@family("ridge", TUNING)
def ridge(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        r = d.y - d.X @ p.w
        return 0.5 * xp.sum(r**2) + 0.5 * d.l2 * xp.sum(p.w**2)

    def grad(p: Any, d: Any) -> dict[str, np.ndarray]:
        return {"w": -d.X.T @ (d.y - d.X @ p.w) + d.l2 * p.w}

    for n in (3, 200, 1500):
        data = {"X": rng.normal(size=(60, n)), "y": rng.normal(size=60), "l2": 0.25}
        params = {"w": rng.normal(size=n) / np.sqrt(n)}
        yield Draft(f"n{n}", "smooth", f, params, data, grad=grad, batch=60)


@family("elbo-gaussian", HELD_OUT)
def elbo(rng: Rng) -> Iterator[Draft]:
    """Reparametrised variational bound of a Bayesian linear model, with its draws held fixed."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        w = p.mu + xp.exp(p.rho) * d.eps
        fit = 0.5 * xp.sum((d.y - w @ d.X.T) ** 2) / len(d.eps)
        return fit + xp.sum(0.5 * (p.mu**2 + xp.exp(2 * p.rho)) - p.rho)

    data = {"X": rng.normal(size=(30, 8)), "y": rng.normal(size=30), "eps": rng.normal(size=(5, 8))}
    params = {"mu": rng.normal(size=8), "rho": rng.normal(size=8) - 1}
    yield Draft("linear", "smooth", f, params, data, batch=30)

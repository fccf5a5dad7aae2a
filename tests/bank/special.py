"""Likelihoods with special functions: SciPy's in the loss, series of our own in the ideal.

The series are good to long double precision in the range in which they are used here, and serve
complex numbers as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import special

from .base import HELD_OUT, TUNING, Draft, family
from .ops import logsumexp, real, softmax
from .variants import inside_float32, jittered, offset, with_unused

Rng = np.random.Generator

# B_2k / (2k (2k - 1)) as fractions, for Stirling's series.
STIRLING = ((1, 12), (-1, 360), (1, 1260), (-1, 1680), (1, 1188), (-691, 360360), (1, 156))


def plain(x: Any, xp: Any) -> bool:
    return xp is np and x.dtype in (np.float64, np.float32)


def gammaln(x: Any, xp: Any) -> Any:
    if plain(x, xp):
        return special.gammaln(x)
    shift, z = 0.0, x
    for _ in range(30):
        shift, z = shift + xp.log(z), z + 1
    half_log_2pi = np.log(2 * np.longdouble("3.14159265358979323846264338327950288")) / 2
    series, power = 0.0, 1 / z
    for top, bottom in STIRLING:
        series = series + power * (np.longdouble(top) / bottom)
        power = power / (z * z)
    return (z - 0.5) * xp.log(z) - z + half_log_2pi + series - shift


def log_i0(x: Any, xp: Any) -> Any:
    """Logarithm of the modified Bessel function of order zero, for x below 20."""
    if plain(x, xp):
        return np.log(special.i0e(x)) + x
    total, term = 1.0, 1.0
    for k in range(1, 80):
        term = term * (x * x) / (4.0 * k * k)
        total = total + term
    return xp.log(total)


def erf(x: Any, xp: Any) -> Any:
    """All terms of this series have the same sign; for |x| below 5."""
    if plain(x, xp):
        return special.erf(x)
    total, term = 0.0, x
    for k in range(1, 140):
        total = total + term
        term = term * (2 * x * x) / (2.0 * k + 1)
    return (
        2 / np.sqrt(np.longdouble("3.14159265358979323846264338327950288")) * xp.exp(-x * x) * total
    )


ROOT_HALF = np.sqrt(np.longdouble(1) / 2)


def log_ndtr(x: Any, xp: Any) -> Any:
    """Logarithm of the normal distribution function, for x above -5."""
    return special.log_ndtr(x) if plain(x, xp) else xp.log(0.5 + 0.5 * erf(x * ROOT_HALF, xp))


@family("negative-binomial", TUNING)
def negative_binomial(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        mu, r = xp.exp(d.X @ p.beta), xp.exp(-p.log_alpha)
        choose = gammaln(d.y + r, xp) - gammaln(r + 0 * mu, xp)
        return -xp.sum(choose + r * xp.log(r / (r + mu)) + d.y * xp.log(mu / (r + mu)))

    data = {"X": rng.normal(size=(30, 4)), "y": rng.poisson(3.0, 30) * 1.0}
    params = {"beta": 0.4 * rng.normal(size=4), "log_alpha": np.array(-0.5)}
    base = Draft("nb2", "smooth", f, params, data, batch=30)
    yield base
    yield offset(base)
    # Nearly Poisson: the two log-gamma functions cancel.
    nearly = {**params, "log_alpha": np.array(-14.0)}
    yield base.but(variant="nearly-poisson", kind="noisy", params=nearly)


@family("beta-regression", HELD_OUT)
def beta_regression(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        mu, phi = 1 / (1 + xp.exp(-(d.X @ p.beta))), xp.exp(p.log_phi)
        a, b = mu * phi, (1 - mu) * phi
        norm = gammaln(phi + 0 * mu, xp) - gammaln(a, xp) - gammaln(b, xp)
        return -xp.mean(norm + (a - 1) * xp.log(d.y) + (b - 1) * xp.log(1 - d.y))

    data = {"X": rng.normal(size=(25, 3)), "y": rng.beta(2, 3, 25)}
    params = {"beta": 0.5 * rng.normal(size=3), "log_phi": np.array(1.2)}
    base = Draft("logit", "smooth", f, params, data, batch=25)
    yield base
    yield jittered(base, 1e-9)


@family("dirichlet-multinomial", TUNING)
def dirichlet_multinomial(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        a = xp.exp(p.log_a)
        each = gammaln(d.N + a, xp) - gammaln(a, xp)
        total = gammaln(xp.sum(a) + xp.sum(d.N, axis=1) * 1.0, xp) - gammaln(xp.sum(a), xp)
        return xp.sum(total) - xp.sum(each)

    data = {"N": rng.poisson(3.0, (10, 5)) * 1.0}
    yield Draft("counts", "smooth", f, {"log_a": rng.normal(size=5)}, data, batch=10)


@family("gamma-shape", HELD_OUT)
def gamma_shape(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        k, rate = xp.exp(p.log_shape), xp.exp(p.log_rate)
        n, logs, total = d.x.size, np.sum(np.log(d.x)), np.sum(d.x)
        return n * (gammaln(k, xp) - k * p.log_rate) - (k - 1) * logs + rate * total

    data = {"x": rng.gamma(2.5, 0.7, 40)}
    params = {"log_shape": np.array(0.7), "log_rate": np.array(0.2)}
    yield Draft("two-parameters", "smooth", f, params, data, batch=40)


@family("student-degrees", TUNING)
def student_degrees(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        nu = xp.exp(p.log_nu)
        z2 = (d.x - p.mu) ** 2 * xp.exp(-2 * p.log_sigma)
        norm = gammaln((nu + 1) / 2, xp) - gammaln(nu / 2, xp) - 0.5 * xp.log(nu) - p.log_sigma
        return -d.x.size * norm + xp.sum((nu + 1) / 2 * xp.log1p(z2 / nu))

    params = {"mu": np.array(0.2), "log_sigma": np.array(-0.1), "log_nu": np.array(1.3)}
    base = Draft("location-scale", "smooth", f, params, {"x": rng.standard_t(4, 40)}, batch=40)
    yield base
    yield with_unused(base, rng)


@family("von-mises", HELD_OUT)
def von_mises(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        kappa = xp.exp(p.log_kappa)
        weights = softmax(p.logits, xp)
        turn = xp.cos(d.x[:, None] - p.mu)
        return -xp.sum(logsumexp(xp.log(weights) + kappa * turn - log_i0(kappa, xp), xp))

    params = {
        "mu": np.array([0.5, -2.0]),
        "log_kappa": np.array([0.8, 1.5]),
        "logits": np.array([0.2, -0.3]),
    }
    yield Draft("mixture", "smooth", f, params, {"x": rng.vonmises(0.4, 2.0, 30)}, batch=30)


@family("probit-exact", TUNING)
def probit_exact(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        return -xp.sum(log_ndtr(d.s * (d.X @ p.w), xp))

    data = {"X": rng.normal(size=(30, 4)), "s": rng.choice([-1.0, 1.0], 30)}
    base = Draft("binary", "smooth", f, {"w": 0.5 * rng.normal(size=4)}, data, batch=30)
    yield base
    yield jittered(base, 1e-11)


@family("tobit", HELD_OUT)
def tobit(rng: Rng) -> Iterator[Draft]:
    """Regression censored at zero."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = (d.y - d.X @ p.beta) * xp.exp(-p.log_sigma)
        seen = xp.sum(d.seen * (0.5 * z**2 + p.log_sigma))
        return seen - xp.sum((1 - d.seen) * log_ndtr(z, xp))

    y = rng.normal(size=30)
    data = {"X": rng.normal(size=(30, 3)), "y": np.maximum(y, 0), "seen": (y > 0) * 1.0}
    params = {"beta": 0.3 * rng.normal(size=3), "log_sigma": np.array(0.1)}
    yield Draft("censored", "smooth", f, params, data, batch=30)


@family("gelu-exact", TUNING)
def gelu_exact(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.W1 + p.b1
        h = 0.5 * z * (1 + erf(z * d.root_half, xp))
        return xp.mean((h @ p.W2 - d.T) ** 2)

    data = {
        "X": rng.normal(size=(10, 4)),
        "T": rng.normal(size=(10, 2)),
        "root_half": float(np.sqrt(0.5)),
    }
    params = {
        "W1": rng.normal(size=(4, 6)) / 2,
        "b1": 0.1 * rng.normal(size=6),
        "W2": rng.normal(size=(6, 2)),
    }
    yield Draft("erf", "smooth", f, params, data, batch=10)


@family("expected-improvement", HELD_OUT)
def expected_improvement(rng: Rng) -> Iterator[Draft]:
    """Acquisition function and an option price by Black and Scholes' formula."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        sigma = xp.exp(p.log_sigma)
        z = (p.mu - d.best) / sigma
        cdf = 0.5 + 0.5 * erf(z * d.root_half, xp)
        return -xp.sum((p.mu - d.best) * cdf + sigma * 0.3989422804014327 * xp.exp(-0.5 * z**2))

    def option(p: Any, d: Any, xp: Any) -> Any:
        vol = p.vol * xp.sqrt(p.time)
        d1 = (xp.log(p.spot / d.strike) + p.rate * p.time) / vol + 0.5 * vol
        call = p.spot * (0.5 + 0.5 * erf(d1 * d.root_half, xp))
        paid = d.strike * xp.exp(-p.rate * p.time) * (0.5 + 0.5 * erf((d1 - vol) * d.root_half, xp))
        return xp.sum((call - paid - d.price) ** 2)

    root_half = float(np.sqrt(0.5))
    params = {"mu": rng.normal(size=5), "log_sigma": 0.3 * rng.normal(size=5)}
    yield Draft("improvement", "smooth", f, params, {"best": 0.5, "root_half": root_half})
    data = {
        "strike": np.array([90.0, 100.0, 110.0]),
        "price": np.array([14.0, 8.0, 4.0]),
        "root_half": root_half,
    }
    params = {
        "spot": np.array(101.0),
        "vol": np.array(0.2),
        "rate": np.array(0.03),
        "time": np.array(0.75),
    }
    yield Draft("black-scholes", "smooth", option, params, data)


@family("saddlepoint-count", TUNING)
def saddlepoint(rng: Rng) -> Iterator[Draft]:
    """A count that depends on the parameters only through a rounded number of terms."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        terms = 5 + int(np.floor(np.abs(np.sum(real(p.x))) * 3))
        total = 0.0
        for k in range(1, terms):
            total = total + xp.sum(xp.cos(k * p.x)) / 2.0 ** (4 * k)
        return total

    yield Draft("truncated-series", "piecewise-constant", f, {"x": rng.normal(size=4)})


@family("error-function-regression", HELD_OUT)
def erf_regression(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        mu = xp.exp(d.X @ p.beta)
        return xp.mean((erf(mu - 1.0, xp) - d.y) ** 2)

    data = {"X": 0.5 * rng.normal(size=(20, 3)), "y": rng.uniform(-1, 1, 20)}
    yield inside_float32(
        Draft("erf", "smooth", f, {"beta": 0.5 * rng.normal(size=3)}, data, batch=20)
    )

"""Prices, incomes, choices and transport: solvers inside, sorted lists, schedules with corners."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import FINAL, Draft, family
from .kinks import near
from .noise import moved, stopped
from .ops import absolute, first_max, logdet, logsumexp, real, relu, softmax
from .special import erf
from .variants import inside_float32, rescaled, shaken, with_unused

Rng = np.random.Generator


@family("tax-schedule", FINAL)
def tax_schedule(rng: Rng) -> Iterator[Draft]:
    """Marginal rates by bracket; a rebate that is lost all at once above a threshold."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        income = d.hours * p.wage
        above = relu(xp.reshape(income, (-1, 1)) - p.bracket, xp)
        tax = above @ p.rate
        net = income - tax + d.rebate * (real(income) < 2.125)
        return -xp.mean(xp.log(net)) + 0.5 * xp.mean((tax - d.needed) ** 2)

    data = {"hours": rng.uniform(0.5, 2, 9), "needed": np.array(0.4), "rebate": np.array(0.0)}
    params = {
        "wage": rng.uniform(0.8, 2, 9),
        "bracket": np.array([0.5, 1.25, 2.5]),
        "rate": np.array([0.2, 0.15, 0.1]),
    }
    base = Draft("households", "smooth", f, params, data, batch=9)
    yield base
    cliff = {**data, "rebate": np.array(0.25)}
    yield base.but(variant="cliff", kind="piecewise-constant", data=cliff)
    bunched = {**data, "hours": np.ones(9)}
    at = {**params, "wage": np.array([0.75, 1.25, 1.25, 0.5, 1.5, 2.5, 2.0, 1.0, 0.25])}
    yield base.but(variant="bunched", kind="kink-at", params=at, data=bunched)
    around = {**at, "bracket": at["bracket"] + near(rng, (3,))}
    yield base.but(variant="nearly-bunched", kind="kink-near", params=around, data=bunched)


@family("tail-risk", FINAL)
def tail_risk(rng: Rng) -> Iterator[Draft]:
    """Mean of the worst losses by Rockafellar and Uryasev, the threshold a parameter."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        loss = -(d.R @ softmax(p.weight, xp))
        return p.threshold + xp.mean(relu(loss - p.threshold, xp)) / d.share

    def shares(p: Any, d: Any, xp: Any) -> Any:
        loss = -(d.R @ p.weight)
        return p.threshold + xp.mean(relu(loss - p.threshold, xp)) / d.share

    R = rng.standard_t(4, (40, 4)) / 5
    data = {"R": R, "share": np.array(0.125)}
    params = {"weight": rng.normal(size=4), "threshold": np.array(0.11)}
    yield Draft("days", "smooth", f, params, data, batch=40)
    many = {"R": rng.standard_t(4, (12_000, 4)) / 5, "share": np.array(0.125)}
    yield Draft("many-days", "large-sum", _smoothed, params, many, batch=12_000)
    quarters = {"R": rng.integers(-4, 5, (16, 4)) / 4, "share": np.array(0.25)}
    # Losses of 3/8 three times over, then two that are worse.
    quarters["R"][:3] = [[-0.5, -0.5, 0, 0], [0, -0.75, 0, 1], [0.5, -1, 0, 0.25]]
    quarters["R"][3:5] = [[-1, -1, -1, 0], [-0.5, -1, 0, 0.5]]
    at = {"weight": np.array([0.25, 0.5, 0.25, 0.0]), "threshold": np.array(0.375)}
    yield Draft("at-a-loss", "kink-at", shares, at, quarters, batch=16)


def _smoothed(p: Any, d: Any, xp: Any) -> Any:
    """The same with a corner rounded off, for which every day counts."""
    loss = -(d.R @ softmax(p.weight, xp)) - p.threshold
    return p.threshold + 0.5 * xp.mean(loss + xp.sqrt(loss**2 + 1e-2)) / d.share


@family("sorted-incomes", FINAL)
def sorted_incomes(rng: Rng) -> Iterator[Draft]:
    """Gini's index, a weighted sum of ranks; a distance between two samples, sorted after turns."""

    def gini(p: Any, d: Any, xp: Any) -> Any:
        income = d.X @ p.slope + p.own
        order = np.argsort(real(income), kind="stable")
        rank = 2.0 * np.arange(1, order.size + 1) - order.size - 1
        return xp.sum(rank * income[order]) / (order.size * xp.sum(income))

    def sliced(p: Any, d: Any, xp: Any) -> Any:
        total: Any = 0.0
        for along in d.ways:
            a, b = p.x @ along, d.Y @ along
            a = a[np.argsort(real(a), kind="stable")]
            total = total + xp.mean((a - np.sort(b)) ** 2)
        return total

    data = {"X": rng.random((12, 2))}
    params = {"slope": np.array([0.7, 0.4]), "own": rng.gamma(2.0, 1.0, 12) + 0.5}
    yield Draft("gini", "smooth", gini, params, data)
    equal = {**params, "slope": np.zeros(2), "own": 1 + np.arange(12) // 3 * 0.5}
    yield Draft("gini-tied", "kink-at", gini, equal, {"X": np.zeros((12, 2))})
    almost = {**equal, "own": equal["own"] + near(rng, (12,))}
    yield Draft("gini-nearly-tied", "kink-near", gini, almost, {"X": np.zeros((12, 2))})
    angle = rng.uniform(0, np.pi, 6)
    ways = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    data = {"ways": ways, "Y": rng.normal(size=(15, 2))}
    cloud = Draft("sliced", "smooth", sliced, {"x": rng.normal(size=(15, 2)) * 0.7 + 0.3}, data)
    yield cloud
    yield inside_float32(cloud, "claim")


@family("market-shares", FINAL)
def market_shares(rng: Rng) -> Iterator[Draft]:
    """Mean utilities that give the shares seen: a contraction, stopped at a tolerance."""

    def solver(p: Any, d: Any, xp: Any, tol: float) -> Any:
        taste = xp.reshape(d.draws, (-1, 1)) * (p.spread * d.x)
        delta = d.log_share - d.log_none
        for _ in range(50):
            u = delta + taste
            top = xp.concatenate([u, d.outside], axis=1)
            share = xp.mean(xp.exp(u - logsumexp(top, xp, keepdims=True)), axis=0)
            step = d.log_share - xp.log(share)
            delta = delta + step
            if np.max(np.abs(real(step))) <= tol:
                break
        return xp.sum((delta - p.price * d.x - p.base) ** 2)

    share = rng.dirichlet(np.ones(4)) * 0.45
    data = {
        "draws": np.array([-1.5, -0.6, 0.0, 0.6, 1.5]),
        "x": rng.uniform(0, 1, 4),
        "log_share": np.log(share),
        "log_none": np.log(1 - share.sum()),
        "outside": np.zeros((5, 1)),
    }
    params = {"spread": np.array(0.7), "price": np.array(-0.8), "base": np.array(0.3)}
    yield stopped("four-goods", solver, params, data, 1e-8)
    yield stopped("four-goods", solver, params, data, 1e-11)


@family("engine-replacement", FINAL)
def engine_replacement(rng: Rng) -> Iterator[Draft]:
    """Rust's buses: values of keeping and of replacing iterated, then choices explained."""

    def solver(p: Any, d: Any, xp: Any, tol: float) -> Any:
        keep = -p.cost * d.miles
        value = d.miles * 0
        for _ in range(50):
            drive_on = keep + d.beta * (d.drive @ value)
            renew = d.beta * value[0] - p.replace
            new = drive_on + xp.log1p(xp.exp(renew - drive_on))
            gap = moved(new, value)
            value = new
            if gap <= tol:
                break
        odds = drive_on - renew
        return xp.sum(d.n * xp.log1p(xp.exp(-odds)) + d.replaced * odds)

    drive = 0.5 * np.eye(8) + 0.4 * np.eye(8, k=1) + 0.1 * np.eye(8, k=2)
    drive[:, -1] += 1 - drive.sum(axis=1)
    data = {
        "miles": np.arange(8.0),
        "drive": drive,
        "beta": np.array(0.5),
        "n": rng.integers(10, 30, 8) * 1.0,
        "replaced": rng.integers(0, 6, 8) * 1.0,
    }
    params = {"cost": np.array(0.4), "replace": np.array(2.5)}
    base = Draft("buses", "smooth", lambda p, d, xp: solver(p, d, xp, 0.0), params, data)
    yield base
    yield stopped("buses", solver, params, data, 1e-7)


@family("vector-autoregression", FINAL)
def vector_autoregression(rng: Rng) -> Iterator[Draft]:
    """Likelihood with the covariance of the residuals worked out: a log determinant."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        e = d.Y[1:] - d.Y[:-1] @ p.A - p.mean
        return 0.5 * logdet(xp.transpose(e) @ e / len(d.Y), xp) + 0.01 * xp.sum(p.A**2)

    def walk(n: int) -> dict[str, Any]:
        y = np.zeros((n, 3))
        for t in range(1, n):
            y[t] = 0.6 * y[t - 1] + 0.2 * np.roll(y[t - 1], 1) + rng.normal(size=3)
        return {"Y": y}

    params = {"A": 0.5 * np.eye(3) + 0.1 * rng.normal(size=(3, 3)), "mean": rng.normal(size=3) / 5}
    base = Draft("quarters", "smooth", f, params, walk(50), batch=49)
    yield base
    yield inside_float32(base)
    yield with_unused(base, rng, (2,))
    yield base.but(variant="minutes", kind="large-sum", data=walk(9000), batch=8999)


@family("calls-and-puts", FINAL)
def calls_and_puts(rng: Rng) -> Iterator[Draft]:
    """Black and Scholes with a smile; almost worthless options, and an hour before the end."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        k = xp.log(d.strike / p.spot)
        vol = p.smile[0] + p.smile[1] * k + p.smile[2] * k**2
        root = vol * xp.sqrt(d.years)
        up = (-k + 0.5 * root**2) / root

        def below(z: Any) -> Any:
            return 0.5 + 0.5 * erf(z * 0.70710678, xp)

        price = p.spot * below(up) - d.strike * below(up - root)
        return xp.sum(((price - d.seen) / d.scale) ** 2)

    strike = np.array([85.0, 92, 97, 100, 104, 110, 118])
    data = {"strike": strike, "years": np.array(0.5), "scale": np.array(10.0)}
    data["seen"] = np.maximum(100 - strike, 0) + 5 * rng.random(7)
    params = {"spot": np.array(100.0), "smile": np.array([0.25, -0.1, 0.3])}
    base = Draft("half-a-year", "smooth", f, params, data)
    yield base
    hour = {**data, "years": np.array(1.14e-4), "strike": 100 + 0.1 * np.arange(-3.0, 4)}
    yield base.but(variant="an-hour", kind="curvature", data=hour)
    far = {**data, "strike": np.array([138.0, 140, 142, 145]), "years": np.array(0.1)}
    far |= {"seen": np.full(4, 0.1), "scale": np.array(1.0)}
    yield base.but(variant="worthless", kind="vanishing", data=far)


@family("unbalanced-transport", FINAL)
def unbalanced_transport(rng: Rng) -> Iterator[Draft]:
    """Masses that may vanish at a price: damped scaling of rows and columns, to a tolerance."""

    def solver(p: Any, d: Any, xp: Any, tol: float) -> Any:
        gap = xp.reshape(p.x, (-1, 1)) - d.y
        kernel = xp.exp(-(gap**2) / d.eps)
        mass = xp.exp(p.log_mass)
        v = d.b * 0 + 1
        for _ in range(32):
            u = xp.exp(d.damp * xp.log(mass / (kernel @ v)))
            new = xp.exp(d.damp * xp.log(d.b / (u @ kernel)))
            size = moved(new, v)
            v = new
            if size <= tol:
                break
        plan = xp.reshape(u, (-1, 1)) * kernel * v
        return xp.sum(plan * gap**2) - d.eps * xp.sum(plan) + xp.sum(mass)

    data = {"y": rng.normal(size=6), "b": np.full(6, 0.2), "eps": 0.4, "damp": 0.6}
    params = {"x": rng.normal(size=5), "log_mass": rng.normal(size=5) / 2 - 1.5}
    whole = Draft("line", "smooth", lambda p, d, xp: solver(p, d, xp, 0.0), params, data)
    yield whole
    yield rescaled(whole, rng, 3)
    yield stopped("line", solver, params, data, 1e-7)


@family("nested-production", FINAL)
def nested_production(rng: Rng) -> Iterator[Draft]:
    """Constant elasticities in two nests; an elasticity of nearly one is nearly 0 / 0."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        a, b = softmax(p.inner, xp), softmax(p.outer, xp)
        nest = xp.log(d.K ** p.rho[0] @ a) / p.rho[0]
        both = b[0] * xp.exp(p.rho[1] * nest) + b[1] * d.L ** p.rho[1]
        return xp.mean((xp.log(both) / p.rho[1] + p.level - d.y) ** 2)

    data = {"K": rng.uniform(0.3, 3, (12, 2)), "L": rng.uniform(0.5, 2, 12)}
    data["y"] = rng.normal(size=12)
    params = {
        "inner": np.array([0.2, -0.3]),
        "outer": np.array([0.4, -0.1]),
        "rho": np.array([0.5, -0.8]),
        "level": np.array(0.1),
    }
    base = Draft("firms", "smooth", f, params, data, batch=12)
    yield base
    yield shaken(base, 1e-9)
    cobb_douglas = {**params, "rho": np.array([4e-4, -0.8])}
    yield base.but(variant="cobb-douglas", kind="near-singular", params=cobb_douglas)


@family("whole-lots", FINAL)
def whole_lots(rng: Rng) -> Iterator[Draft]:
    """Orders in whole lots at prices in whole ticks, with a cost that is smooth in the trader's."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        bid = np.floor(real(p.bid) * 8) / 8
        lots = np.round(real(p.size) * d.urgency)
        impact = 0.1 * p.size**1.5 + 0.05 * (p.bid - d.fair) ** 2
        return xp.sum(impact + p.fee * lots * bid) + xp.exp(-10 * p.fee)

    params = {"bid": rng.uniform(9, 11, 5), "size": rng.uniform(1, 6, 5), "fee": np.array(0.02)}
    data = {"fair": np.array(10.1), "urgency": rng.uniform(0.5, 1.5, 5)}
    yield Draft("five-orders", "piecewise-constant", f, params, data)

    def cheapest(p: Any, d: Any, xp: Any) -> Any:
        cost = p.unit + p.fixed / d.amount
        return -first_max(-cost, xp) + 0.125 * xp.sum(absolute(p.unit - d.fair, xp))

    even = {"unit": np.array([1.0, 0.75, 1.25, 1.0]), "fixed": np.array([0.5, 1.0, 0.0, 2.0])}
    data = {"amount": np.array(2.0), "fair": np.array(1.5)}
    yield Draft("cheapest", "kink-at", cheapest, even, data)

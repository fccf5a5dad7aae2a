"""Genes, animals and patients: trees of descent, recaptures, survival, the size of an outbreak."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import FINAL, Draft, family
from .noise import moved, stopped
from .ops import real, sigmoid, softmax
from .special import erf
from .variants import inside_float32, jittered, offset

Rng = np.random.Generator


@family("tree-of-descent", FINAL)
def tree_of_descent(rng: Rng) -> Iterator[Draft]:
    """Felsenstein's pruning of four sequences, Kimura's two rates; old branches say nothing."""

    def f(p: Any, d: Any, xp: Any, inner: bool = True) -> Any:
        t, kappa = xp.exp(p.log_t), xp.exp(p.log_kappa)
        slow, fast = xp.exp(-4 * t / (2 + kappa)), xp.exp(-2 * (1 + kappa) * t / (2 + kappa))

        def change(k: int) -> Any:
            a, b = 0.25 * (1 + slow[k]), 0.5 * fast[k]
            return d.same * (a + b) + d.partner * (a - b) + d.other * (0.25 * (1 - slow[k]))

        left = (d.leaf[0] @ change(0)) * (d.leaf[1] @ change(1))
        right = (d.leaf[2] @ change(2)) * (d.leaf[3] @ change(3))
        return -xp.sum(xp.log(xp.sum(left * (right @ change(4) if inner else right), axis=1)))

    same, partner = np.eye(4), np.kron(np.eye(2), 1 - np.eye(2))
    leaf = np.eye(4)[np.where(rng.random((4, 15)) < 0.7, rng.integers(4, size=15), 2)]
    data = {"leaf": leaf, "same": same, "partner": partner, "other": 1 - same - partner}
    params = {"log_t": rng.normal(size=5) - 1.5, "log_kappa": np.array(0.7)}
    slips = {"inner branch": lambda p, d, xp: f(p, d, xp, inner=False)}
    base = Draft("four-leaves", "smooth", f, params, data, batch=15, slips=slips)
    yield base
    yield inside_float32(base)
    old = {**params, "log_t": np.array([2.5, 0.3, 2.0, 2.8, -1.0])}
    yield base.but(variant="long-branches", kind="vanishing", params=old, slips={})


@family("blood-groups", FINAL)
def blood_groups(rng: Rng) -> Iterator[Draft]:
    """Three alleles, four groups seen, inbreeding; the logits have one freedom too many."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        q = softmax(p.logits, xp)
        twice = p.inbred * q + (1 - p.inbred) * q**2
        mixed = 2 * (1 - p.inbred)
        a, b = twice[0] + mixed * q[0] * q[2], twice[1] + mixed * q[1] * q[2]
        groups = xp.stack([a, b, mixed * q[0] * q[1], twice[2]])
        return -xp.sum(d.n * xp.log(groups))

    params = {"logits": np.array([0.3, -0.6, 1.1]), "inbred": np.array(0.06)}
    base = Draft("census", "smooth", f, params, {"n": np.array([186.0, 38, 13, 284])}, batch=521)
    yield base
    yield offset(base, 4e6)
    rare = {**params, "logits": np.array([0.3, -21.0, 1.1])}
    yield base.but(
        variant="rare", kind="vanishing", params=rare, data={"n": np.array([186.0, 0, 0, 284])}
    )


@family("recaptures", FINAL)
def recaptures(rng: Rng) -> Iterator[Draft]:
    """Cormack, Jolly and Seber: survival and recapture of marked animals."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        phi, seen = sigmoid(p.survival, xp), sigmoid(p.seen, xp)
        total: Any = 0.0
        for i in range(d.n.shape[0]):
            alive, ever = 1.0, 0.0
            for j in range(i, d.n.shape[0]):
                alive = alive * phi[j]
                cell = alive * seen[j]
                total = total - d.n[i, j] * xp.log(cell)
                ever = ever + cell
                alive = alive * (1 - seen[j])
            total = total - d.never[i] * xp.log(1 - ever)
        return total

    def with_first(p: Any, d: Any, xp: Any) -> Any:
        # Nobody can be recaptured at the first occasion: none of the counts is for it.
        return f(p, d, xp) - d.none * xp.log(sigmoid(p.first, xp))

    data = {
        "n": np.triu(rng.poisson(6.0, (5, 5))) * 1.0,
        "never": rng.poisson(20.0, 5) * 1.0,
        "none": np.array(0.0),
    }
    params = {"survival": 0.5 + rng.normal(size=5) / 2, "seen": rng.normal(size=5) / 2 - 0.5}
    base = Draft("dippers", "smooth", f, params, data)
    yield base
    yield jittered(base, 1e-11)
    first = {**params, "first": np.array(-0.4)}
    yield base.but(variant="first-occasion", kind="zero-block", f=with_first, params=first)


@family("life-table", FINAL)
def life_table(rng: Rng) -> Iterator[Draft]:
    """Growth rate of a population by Euler and Lotka's equation; Newton to a tolerance."""

    def solver(p: Any, d: Any, xp: Any, tol: float) -> Any:
        born = xp.exp(p.log_births + xp.cumsum(-xp.exp(p.log_deaths)))
        r = 0.0 * p.log_births[0]
        for _ in range(15):
            terms = born * xp.exp(-r * d.age)
            step = (xp.sum(terms) - 1) / xp.sum(d.age * terms)
            r = r + step
            if abs(real(step)) <= tol:
                break
        return (r - 0.02) ** 2 * 1e3 + 0.1 * xp.sum(terms * d.age)

    data = {"age": np.arange(1.0, 9.0)}
    params = {"log_births": rng.normal(size=8) / 3 - 1.2, "log_deaths": rng.normal(size=8) - 2.5}
    yield Draft("growth", "smooth", lambda p, d, xp: solver(p, d, xp, 0.0), params, data)
    yield stopped("growth", solver, params, data, 1e-5)


@family("frailty", FINAL)
def frailty(rng: Rng) -> Iterator[Draft]:
    """Log-logistic times, some censored, under a gamma-distributed frailty shared by none."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = (d.t / p.scale) ** p.shape
        risk = xp.exp(d.X @ p.beta) * xp.log1p(z)
        hazard = xp.exp(d.X @ p.beta) * z * p.shape / (d.t * (1 + z))
        shared = xp.log1p(p.theta * risk)
        return xp.sum(shared / p.theta + d.died * (shared - xp.log(hazard)))

    t = rng.weibull(1.4, 30) * 2 + 0.05
    data = {"t": t, "died": (rng.random(30) < 0.7) * 1.0, "X": rng.normal(size=(30, 3))}
    params = {
        "beta": rng.normal(size=3) / 2,
        "scale": np.array(1.7),
        "shape": np.array(1.4),
        "theta": np.array(0.6),
    }
    base = Draft("years", "smooth", f, params, data, batch=30)
    yield base
    year = 3.15576e7
    seconds = {**params, "scale": params["scale"] * year}
    yield base.but(variant="seconds", kind="scaled", params=seconds, data={**data, "t": t * year})
    yield base.but(
        variant="hardly-any", kind="near-singular", params={**params, "theta": np.array(3e-7)}
    )


@family("final-size", FINAL)
def final_size(rng: Rng) -> Iterator[Draft]:
    """Who is spared by an epidemic in three age groups: a fixed point, to a tolerance."""

    def solver(p: Any, d: Any, xp: Any, tol: float) -> Any:
        spread = xp.exp(p.log_contact) * xp.reshape(p.open, (-1, 1))
        z = d.start
        for _ in range(160):
            new = 1 - xp.exp(-(spread @ z))
            gap = moved(new, z)
            z = new
            if gap <= tol:
                break
        return xp.sum(d.people * z) + 0.1 * xp.sum((z - d.seen) ** 2)

    data = {
        "start": np.full(3, 0.5),
        "people": np.array([0.3, 0.5, 0.2]),
        "seen": np.array([0.4, 0.3, 0.2]),
    }
    params = {"log_contact": rng.normal(size=(3, 3)) / 3 - 0.3, "open": np.array([1.0, 0.8, 0.9])}
    yield Draft("groups", "smooth", lambda p, d, xp: solver(p, d, xp, 0.0), params, data)
    yield stopped("groups", solver, params, data, 1e-8)
    yield stopped("groups", solver, params, data, 1e-11)


@family("fixation", FINAL)
def fixation(rng: Rng) -> Iterator[Draft]:
    """Kimura's chance of fixation of mutants, some of them neutral to within 1e-6."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        s = p.effect
        chance = (1 - xp.exp(-2 * s)) / (1 - xp.exp(-4 * p.size * s))
        return xp.sum(d.tries * chance - d.fixed * xp.log(chance))

    data = {"tries": np.full(6, 40.0), "fixed": rng.poisson(2.0, 6) * 1.0}
    params = {"effect": rng.uniform(0.02, 0.2, 6) * np.r_[1, 1, -0.1, 1, 1, -0.2]}
    params["size"] = np.array(50.0)
    base = Draft("selected", "smooth", f, params, data)
    yield base
    neutral = {**params, "effect": np.where(np.arange(6) % 2, 3e-6, params["effect"])}
    yield base.but(variant="neutral", kind="near-singular", params=neutral)


@family("distance-sampling", FINAL)
def distance_sampling(rng: Rng) -> Iterator[Draft]:
    """Sightings fall off with the distance from the line walked, up to a width."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        sigma = xp.exp(p.log_sigma + d.X @ p.beta)
        strip = sigma * erf(d.width / (1.4142135 * sigma), xp)
        return xp.mean(xp.log(strip) + 0.5 * (d.x / sigma) ** 2)

    def common(p: Any, d: Any, xp: Any) -> Any:
        sigma = xp.exp(p.log_sigma)
        strip = sigma * erf(d.width / (1.4142135 * sigma), xp)
        rate = xp.exp(p.log_rate) * strip
        return rate + xp.sum(0.5 * (d.x / sigma) ** 2 - p.log_rate)

    x = np.abs(rng.normal(size=20_000))
    data = {"x": x[x < 2][:25], "X": rng.normal(size=(25, 3)), "width": np.array(2.0)}
    params = {"log_sigma": np.array(0.1), "beta": 0.2 * rng.normal(size=3)}
    base = Draft("walks", "smooth", f, params, data, batch=25)
    yield base
    yield inside_float32(base)
    flown = {"log_sigma": np.array(0.02), "log_rate": np.array(9.6)}
    survey = {"x": x[x < 2], "width": np.array(2.0)}
    yield Draft("flights", "large-sum", common, flown, survey)


@family("skyline", FINAL)
def skyline(rng: Rng) -> Iterator[Draft]:
    """Kingman's coalescent under a population that changes at times themselves unknown."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        rate = xp.exp(-p.log_size)
        total: Any = 0.0
        before = [0.0] * rate.size
        edges = [0.0, *(p.change[k] for k in range(rate.size - 1)), 1e9]
        for t, pairs in zip(d.t, d.pairs, strict=True):
            # The time spent in each epoch until t.
            spent = []
            for k in range(rate.size):
                end = edges[k + 1] if real(edges[k + 1]) < t else t
                spent.append(end - edges[k] if t > real(edges[k]) else 0.0)
            epoch = sum(t > real(e) for e in edges[1:-1])
            now = sum(pairs * rate[k] * (spent[k] - before[k]) for k in range(rate.size))
            total = total + now + p.log_size[epoch]
            before = spent
        return total

    n = np.arange(9.0, 1.0, -1.0)
    pairs = n * (n - 1) / 2
    t = np.cumsum(rng.exponential(1 / pairs) + 0.02)
    params = {"log_size": rng.normal(size=3) / 2, "change": np.array([t[3] + 0.008, t[5] + 0.006])}
    yield Draft("three-epochs", "piecewise-constant", f, params, {"t": t, "pairs": pairs})


@family("mortality", FINAL)
def mortality(rng: Rng) -> Iterator[Draft]:
    """Gompertz and Makeham's law, deaths in a country by age: rates of 1e-5, exposures of 1e6."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        rate = p.always + p.at_birth * xp.exp(p.ageing * d.age)
        return xp.sum(d.lived * rate - d.deaths * xp.log(rate))

    age = np.arange(30.0, 95.0, 3.0)
    lived = 1e6 * np.exp(-(((age - 30) / 45) ** 4)) + 1e3
    deaths = rng.poisson(lived * (4e-4 + 3e-5 * np.exp(0.1 * age))) * 1.0
    params = {"always": np.array(3.5e-4), "at_birth": np.array(3.3e-5), "ageing": np.array(0.098)}
    base = Draft("country", "scaled", f, params, {"age": age, "lived": lived, "deaths": deaths})
    yield base
    village = base.but(data={"age": age, "lived": lived / 1e4, "deaths": np.round(deaths / 1e4)})
    yield offset(village.but(variant="village"), -3e5)

"""More functions with kinks: games, projections, routes, stocks and options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import FRESH, Draft, family
from .kinks import near
from .ops import absolute, first_max, larger, real, relu
from .variants import inside_float32, jittered, offset, stepped, with_unused

Rng = np.random.Generator


@family("charalambous-minimax", FRESH)
def charalambous(rng: Rng) -> Iterator[Draft]:
    """CB2, CB3 and Goffin's function, at their solutions or close by."""

    def cb2(p: Any, d: Any, xp: Any) -> Any:
        a, b = p.x[0], p.x[1]
        pieces = [a**2 + b**4, (2 - a) ** 2 + (2 - b) ** 2, 2 * xp.exp(b - a)]
        return first_max(xp.stack(pieces), xp)

    def cb3(p: Any, d: Any, xp: Any) -> Any:
        a, b = p.x[0], p.x[1]
        pieces = [a**4 + b**2, (2 - a) ** 2 + (2 - b) ** 2, 2 * xp.exp(b - a)]
        return first_max(xp.stack(pieces), xp)

    def goffin(p: Any, d: Any, xp: Any) -> Any:
        return p.x.size * first_max(p.x, xp) - xp.sum(p.x)

    yield Draft("cb2", "smooth", cb2, {"x": np.array([1.7, -0.3])})
    for gap in (0.0, 2e-9, 5e-7, 8e-5):
        kind = "kink-near" if gap else "kink-at"
        name = f"-{gap:.0e}" if gap else ""
        yield Draft(f"cb3{name}", kind, cb3, {"x": np.array([1.0, 1.0]) + gap * np.array([1, -2])})
    spread = np.arange(12.0) - 5.5
    yield Draft("goffin", "kink-near", goffin, {"x": 1e-7 * spread})
    yield Draft("goffin-tied", "kink-at", goffin, {"x": np.minimum(spread, 3.5)})


@family("sparse-probabilities", FRESH)
def sparse_probabilities(rng: Rng) -> Iterator[Draft]:
    """Projection onto the simplex and the loss of which it is the gradient."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = d.X @ p.W
        total: Any = 0.0
        for i in range(len(d.y)):
            row = z[i]
            order = np.argsort(-real(row), kind="stable")
            size = np.arange(1, row.size + 1)
            inside = 1 + size * real(row)[order] > np.cumsum(real(row)[order])
            k = int(np.sum(inside))
            tau = (xp.sum(row[order[:k]]) - 1) / k
            q = relu(row - tau, xp)
            total = total - row[d.y[i]] + 0.5 * xp.sum(row[order[:k]] ** 2 - tau**2)
            total = total + d.entropy * xp.sum(q**3)
        return total / len(d.y)

    data = {"X": rng.normal(size=(10, 4)), "y": rng.integers(5, size=10), "entropy": 0.25}
    W = rng.normal(size=(4, 5)) / 2
    base = Draft("classes", "smooth", f, {"W": W}, data, batch=10)
    yield base
    yield inside_float32(base)
    # Where a share comes in, the gradient has a corner but does not jump.
    edge = {"X": np.eye(4)[[0, 1]], "y": np.array([1, 4]), "entropy": 0.0}
    edge_w = np.zeros((4, 5))
    edge_w[0] = [0.5, -0.5, -1.25, -0.5, -2.0]
    edge_w[1] = [0.25, 0.5, 1.25, 0.75, 0.25]
    small = {"W": edge_w + 1e-6 * rng.normal(size=(4, 5))}
    yield base.but(variant="on-the-edge", params=small, data=edge, batch=2)


@family("shrinkage-network", FRESH)
def shrinkage(rng: Rng) -> Iterator[Draft]:
    """Unrolled iterative soft thresholding; from a start of zeros some codes stay on the corner."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = d.X * 0
        for _ in range(3):
            z = z - 0.25 * (z @ p.D - d.X) @ p.D.T
            z = relu(z - p.level, xp) - relu(-z - p.level, xp)
        return xp.mean((z @ p.D - d.X) ** 2) + 0.1 * xp.mean(absolute(z, xp))

    X = rng.normal(size=(8, 4))
    D = rng.normal(size=(4, 4)) / 2
    base = Draft("unrolled", "smooth", f, {"D": D, "level": np.full(4, 0.2)}, {"X": X}, batch=8)
    yield base
    yield offset(base)
    # The first codes are X D' / 4: levels set to those of the first sample, nearly.
    first = np.abs(0.25 * X[0] @ D.T)
    close = {"D": D, "level": first + near(rng, (4,))}
    yield base.but(variant="first-codes", kind="kink-near", params=close)


@family("chamfer-distance", FRESH)
def chamfer(rng: Rng) -> Iterator[Draft]:
    """Distance to the nearest neighbour both ways, and the largest of them (Hausdorff's)."""

    def distances(p: Any, d: Any, xp: Any) -> tuple[Any, Any]:
        r2 = xp.sum((p.x[:, None] - d.y[None]) ** 2, axis=-1)
        return -first_max(-r2, xp), -first_max(-xp.transpose(r2), xp)

    def mean(p: Any, d: Any, xp: Any) -> Any:
        there, back = distances(p, d, xp)
        return xp.mean(there) + xp.mean(back)

    def one_way(p: Any, d: Any, xp: Any) -> Any:
        return xp.mean(distances(p, d, xp)[0])

    def hausdorff(p: Any, d: Any, xp: Any) -> Any:
        return first_max(xp.concatenate(distances(p, d, xp)), xp)

    data = {"y": rng.normal(size=(9, 2))}
    x = rng.normal(size=(7, 2))
    base = Draft("mean", "smooth", mean, {"x": x}, data, slips={"the way back": one_way})
    yield base
    yield jittered(base, 1e-12)
    # Only the one pair that is farthest apart has a gradient.
    yield base.but(variant="hausdorff", f=hausdorff, slips={})
    square = {"y": np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]])}
    middle = np.array([[0.5, 0.25], [0.5, 0.5], [0.25, 0.75]])
    yield base.but(variant="square", kind="kink-at", params={"x": middle}, data=square, slips={})
    beside = {"x": middle + near(rng, (3, 2))}
    yield base.but(variant="square-beside", kind="kink-near", params=beside, data=square, slips={})


@family("shortest-route", FRESH)
def shortest_route(rng: Rng) -> Iterator[Draft]:
    """Bellman and Ford's recursion over a small network; roads of which nobody makes use."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        cost = p.fixed + p.slope * d.load
        best: list[Any] = [0.0] + [1e3] * 5
        for _ in range(5):
            for k, (i, j) in enumerate(d.roads):
                way = best[i] + cost[k]
                if real(way) < real(best[j]):
                    best[j] = way
        return (best[5] - d.seen[0]) ** 2 + (best[3] - d.seen[1]) ** 2

    roads = [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3), (2, 4), (3, 5), (4, 5), (3, 4)]
    data = {"roads": roads, "load": rng.uniform(0.5, 1.5, 9), "seen": np.array([2.0, 1.0])}
    params = {"fixed": rng.uniform(0.5, 2, 9), "slope": rng.uniform(0.1, 0.5, 9)}
    yield Draft("apart", "smooth", f, params, data)
    even = {**data, "load": np.ones(9)}
    flat = {"fixed": np.ones(9) + near(rng, (9,)), "slope": np.full(9, 0.25)}
    yield Draft("nearly-equal", "kink-near", f, flat, even)
    cheap = {"fixed": np.where(np.isin(np.arange(9), (1, 4, 6)), 0.5, 4.0), "slope": np.zeros(9)}
    one_way = Draft("one-way", "smooth", f, cheap, data)
    yield with_unused(one_way, rng)


@family("stock-keeping", FRESH)
def stock(rng: Rng) -> Iterator[Draft]:
    """Order-up-to levels over a season, lost sales, holding costs; demands in whole numbers."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        left: Any = 0.0
        total: Any = 0.0
        for t, demand in enumerate(d.demand):
            level = p.base + p.season[t % 4]
            order = relu(level - left, xp)
            held = left + order
            total = total + 0.5 * order + 4 * relu(demand - held, xp)
            left = relu(held - demand, xp)
            total = total + left
        return total / d.demand.size + 0.01 * p.base**2

    demand = rng.poisson(6, 16) * 1.0
    params = {"base": np.array(6.3), "season": rng.normal(size=4)}
    base = Draft("season", "smooth", f, params, {"demand": demand})
    yield base
    whole = {"base": np.array(6.0), "season": np.array([0.0, 1, -1, 0])}
    yield base.but(variant="whole-numbers", kind="kink-at", params=whole)
    close = {**whole, "season": whole["season"] + near(rng, (4,))}
    yield base.but(variant="nearly-whole", kind="kink-near", params=close)
    yield stepped(base, 0.5, 0.07)


@family("ranking-hinge", FRESH)
def ranking(rng: Rng) -> Iterator[Draft]:
    """All pairs of a positive and a negative: a surrogate of the area under the curve."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        good, bad = d.P @ p.w, d.N @ p.w
        gap = 1 - xp.reshape(good, (-1, 1)) + xp.reshape(bad, (1, -1))
        return d.scale * xp.sum(relu(gap, xp) ** d.power) + 0.5 * xp.sum(p.w**2)

    small = {
        "P": rng.normal(size=(8, 4)),
        "N": rng.normal(size=(9, 4)),
        "scale": 1 / 72,
        "power": 1,
    }
    base = Draft("hinge", "smooth", f, {"w": rng.normal(size=4)}, small)
    yield base
    yield base.but(variant="squared", data={**small, "power": 2})
    large = {
        "P": rng.normal(size=(150, 4)) + 0.3,
        "N": rng.normal(size=(160, 4)),
        "scale": 1.0,
        "power": 2,
    }
    yield base.but(variant="24000-pairs", kind="large-sum", data=large)
    tied = {**small, "P": np.round(2 * small["P"]) / 2, "N": np.round(2 * small["N"]) / 2}
    tied["P"][0] = [1.0, 0.5, -0.5, 0.0]
    tied["N"][0] = [0.0, 0.5, -0.5, 1.5]
    for gap in (0.0, 7e-9):
        w = np.array([1.0 + gap, 0.5, -0.25, 0.0])
        yield base.but(
            variant="at-one" if not gap else "near-one",
            kind="kink-near" if gap else "kink-at",
            params={"w": w},
            data=tied,
        )


@family("spline-basis", FRESH)
def spline_basis(rng: Rng) -> Iterator[Draft]:
    """Hinges at knots that are parameters; a knot on a data point, or almost."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        basis = relu(xp.reshape(d.x, (-1, 1)) - p.knots, xp)
        return xp.mean((p.line[0] + p.line[1] * d.x + basis @ p.slopes - d.y) ** 2)

    x = np.linspace(-2, 2, 17)
    data = {"x": x, "y": np.abs(x) + 0.1 * rng.normal(size=17)}
    params = {
        "knots": np.array([-1.1, 0.05, 0.7]),
        "slopes": rng.normal(size=3),
        "line": rng.normal(size=2),
    }
    base = Draft("three-knots", "smooth", f, params, data, batch=17)
    yield base
    x = rng.uniform(-2, 2, 15_000)
    many = {"x": x, "y": np.abs(x) + 0.1 * rng.normal(size=15_000)}
    yield base.but(variant="15000-points", kind="large-sum", data=many, batch=15_000)
    at = {**params, "knots": np.array([-1.0, 0.0, 0.75])}
    yield base.but(variant="on-the-data", kind="kink-at", params=at)
    for i, size in enumerate((1e-9, 1e-6)):
        close = {**at, "knots": at["knots"] + size * np.array([1.0, -2.0, 0.7])}
        yield base.but(variant=f"beside-{i}", kind="kink-near", params=close)


@family("early-exercise", FRESH)
def early_exercise(rng: Rng) -> Iterator[Draft]:
    """American put on a binomial tree: the value is a maximum at every node."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        up = xp.exp(p.vol * d.root_step)
        keep = xp.exp(-p.rate * d.step)
        q = (1 / keep - 1 / up) / (up - 1 / up)
        log_up = xp.reshape(p.vol * d.root_step, (1,))
        powers = 2 * np.arange(d.n + 1) - d.n
        worth = relu(d.strike - p.spot * xp.exp(powers * log_up), xp)
        for n in range(d.n - 1, -1, -1):
            powers = 2 * np.arange(n + 1) - n
            exercised = d.strike - p.spot * xp.exp(powers * log_up)
            worth = larger(keep * (q * worth[1:] + (1 - q) * worth[:-1]), exercised, xp)
        return worth[0]

    data = {"n": 12, "step": 1 / 12, "root_step": 12**-0.5, "strike": 100.0}
    params = {"spot": np.array(97.3), "vol": np.array(0.22), "rate": np.array(0.04)}
    yield Draft("put", "smooth", f, params, data)
    close = {**params, "spot": np.array(100 + 2e-6)}
    yield Draft("at-the-money", "kink-near", f, close, data)
    # In the money on the lowest of 41 branches only.
    quiet = {**params, "spot": np.array(700.0), "vol": np.array(0.17)}
    yield Draft("out-of-the-money", "vanishing", f, quiet, {**data, "n": 40})


@family("simulated-options", FRESH)
def simulated_options(rng: Rng) -> Iterator[Draft]:
    """Fixed draws of paths: average, shortfall and, in jumps, the number that ends in the money."""

    def paths(p: Any, d: Any, xp: Any) -> Any:
        logs = xp.cumsum(p.drift / 6 + p.vol * d.draws / np.sqrt(6.0), axis=1)
        return xp.mean(xp.exp(logs), axis=1)

    def asian(p: Any, d: Any, xp: Any) -> Any:
        return xp.mean(relu(paths(p, d, xp) - d.strike, xp)) - 0.05 * p.vol

    def digital(p: Any, d: Any, xp: Any) -> Any:
        mean = paths(p, d, xp)
        return xp.mean((mean - 1) ** 2) + 0.1 * np.mean(real(mean) > d.strike)

    def shortfall(p: Any, d: Any, xp: Any) -> Any:
        loss = 1 - paths(p, d, xp)
        return p.level + xp.mean(relu(loss - p.level, xp)) / 0.1

    draws = rng.normal(size=(25, 6))
    params = {"drift": np.array(0.05), "vol": np.array(0.3)}
    base = Draft("asian", "smooth", asian, params, {"draws": draws, "strike": 1.02})
    yield base
    yield base.but(variant="digital", kind="piecewise-constant", f=digital)
    yield inside_float32(base)
    many = {"draws": rng.normal(size=(20_000, 6)), "strike": 1.02}
    yield base.but(variant="many", kind="large-sum", data=many)
    data = {"draws": draws, "strike": 1.0}
    params = {"drift": np.array(0.0), "vol": np.array(0.25), "level": np.array(0.1)}
    risk = Draft("shortfall", "smooth", shortfall, params, data)
    yield risk
    ends = np.exp(np.cumsum(0.25 * draws / np.sqrt(6.0), axis=1)).mean(axis=1)
    level = float(np.sort(1 - ends)[-3])
    yield risk.but(
        variant="at-a-quantile",
        kind="kink-near",
        params={**params, "level": np.array(level + 2e-8)},
    )

"""Attitudes, cables, curves, meshes, pictures of them, and controllers with limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import FINAL, Draft, family
from .kinks import near
from .noise import moved
from .ops import absolute, larger, real, relu, sigmoid, solve
from .variants import inside_float32, jittered, offset, rescaled

Rng = np.random.Generator


@family("attitude", FINAL)
def attitude(rng: Rng) -> Iterator[Draft]:
    """Quaternions from a gyroscope with a bias; nearly at rest sin(x) / x is nearly 0 / 0."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        w, x, y, z = (p.start[i] for i in range(4))
        total: Any = 0.0
        for rate, seen in zip(d.rate, d.seen, strict=True):
            turn = (rate * p.gain - p.bias) * 0.05
            size = xp.sqrt(xp.sum(turn**2))
            c, s = xp.cos(size), xp.sin(size) / size
            a, b, g = s * turn[0], s * turn[1], s * turn[2]
            w, x, y, z = (
                c * w - a * x - b * y - g * z,
                c * x + a * w + b * z - g * y,
                c * y - a * z + b * w + g * x,
                c * z + a * y - b * x + g * w,
            )
            n2 = w**2 + x**2 + y**2 + z**2
            up = xp.stack([2 * (x * z - w * y), 2 * (y * z + w * x), w**2 - x**2 - y**2 + z**2])
            total = total + xp.sum((up / n2 - seen) ** 2)
        return total + 0.1 * (n2 - 1) ** 2

    seen = rng.normal(size=(8, 3))
    data = {"rate": rng.normal(size=(8, 3)), "seen": seen / 2}
    params = {
        "start": np.array([0.8, 0.3, -0.4, 0.2]),
        "bias": 0.1 * rng.normal(size=3),
        "gain": np.array([1.0, 1.1, 0.9]),
    }
    base = Draft("tumbling", "smooth", f, params, data)
    yield base
    yield inside_float32(base)
    rest = {**params, "bias": 1e-6 * rng.normal(size=3)}
    still = {**data, "rate": 1e-7 * rng.normal(size=(8, 3))}
    yield base.but(variant="at-rest", kind="near-singular", params=rest, data=still)


@family("rotation-logarithm", FINAL)
def rotation_logarithm(rng: Rng) -> Iterator[Draft]:
    """Angles between measured and wanted attitudes; nearly none, and nearly half a turn."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        size = xp.sqrt(xp.sum(p.turn**2))
        a = p.turn / size
        c, s = xp.cos(size), xp.sin(size)
        zero = 0 * c
        cross = xp.stack([zero, -a[2], a[1], a[2], zero, -a[0], -a[1], a[0], zero])
        R = c * d.eye + s * xp.reshape(cross, (3, 3))
        R = R + (1 - c) * xp.reshape(a, (3, 1)) * xp.reshape(a, (1, 3))
        trace = xp.sum(d.seen * R, axis=(1, 2))
        angle = xp.arccos((trace - 1) / 2)
        return xp.sum(d.weight * angle**2)

    def rotations(turns: np.ndarray) -> np.ndarray:
        out = []
        for t in turns:
            n = np.sqrt(np.sum(t**2))
            K = np.array([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0]]) / n
            out.append(np.eye(3) + np.sin(n) * K + (1 - np.cos(n)) * K @ K)
        return np.array(out)

    turn = np.array([0.4, -0.7, 0.5])
    data = {
        "seen": rotations(turn + 0.3 * rng.normal(size=(5, 3))),
        "eye": np.eye(3),
        "weight": rng.uniform(0.5, 2, 5),
    }
    base = Draft("apart", "smooth", f, {"turn": turn}, data)
    yield base
    close = {**data, "seen": rotations(turn + 1e-3 * rng.normal(size=(5, 3)))}
    yield base.but(variant="nearly-equal", kind="near-singular", data=close)
    size = np.sqrt(np.sum(turn**2))
    opposite = rotations(turn[None] * (1 + (3e-3 - np.pi) / size))
    half = {**data, "seen": np.concatenate([data["seen"][:4], opposite])}
    yield base.but(variant="half-a-turn", kind="near-singular", data=half)


@family("net-of-cables", FINAL)
def net_of_cables(rng: Rng) -> Iterator[Draft]:
    """Cables pull and never push: curvature jumps where one is as long as it is at rest."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        ends = p.x[d.i] - p.x[d.j]
        length = xp.sqrt(xp.sum(ends**2, axis=1))
        return 0.5 * xp.sum(d.stiff * relu(length - p.rest, xp) ** 2) + d.load * xp.sum(p.x[:, 2])

    grid = np.stack([*np.meshgrid(np.arange(3.0), np.arange(3.0)), np.zeros((3, 3))], -1)
    at = grid.reshape(-1, 3)
    i = np.array([0, 1, 3, 4, 6, 7, 0, 1, 2, 3, 4, 5])
    j = np.array([1, 2, 4, 5, 7, 8, 3, 4, 5, 6, 7, 8])
    data = {"i": i, "j": j, "stiff": rng.uniform(50, 200, 12), "load": np.array(0.3)}
    loose = {"x": at + 0.1 * rng.normal(size=(9, 3)), "rest": np.full(12, 1.0)}
    yield Draft("loose", "smooth", f, loose, data)
    yield Draft("just-taut", "kink-near", f, {"x": at, "rest": 1 - near(rng, (12,))}, data)


@family("rational-curve", FINAL)
def rational_curve(rng: Rng) -> Iterator[Draft]:
    """A curve of degree four with weights, fitted to points; one weight makes it shoot off."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        below = d.basis @ p.weight
        at = (d.basis @ (xp.reshape(p.weight, (-1, 1)) * p.control)) / xp.reshape(below, (-1, 1))
        return xp.mean(xp.sum((at - d.seen) ** 2, axis=1))

    u = np.linspace(0.02, 0.98, 14)[:, None]
    basis = np.array([1.0, 4, 6, 4, 1]) * u ** np.arange(5) * (1 - u) ** np.arange(4, -1, -1)
    data = {"basis": basis, "seen": rng.normal(size=(14, 2))}
    params = {"control": rng.normal(size=(5, 2)), "weight": rng.uniform(0.5, 2, 5)}
    base = Draft("fit", "smooth", f, params, data, batch=14)
    yield base
    yield rescaled(base, rng, 7)
    weight = params["weight"].copy()
    weight[2] = 0.0
    weight[2] = -np.min((basis @ weight) / basis[:, 2]) * (1 - 3e-5)
    yield base.but(variant="pole", kind="near-singular", params={**params, "weight": weight})


@family("soap-film", FINAL)
def soap_film(rng: Rng) -> Iterator[Draft]:
    """Area of a triangulated film; flat ones do not feel small heights, slivers feel a lot."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        at = xp.concatenate([p.plane, xp.reshape(p.height, (-1, 1))], axis=1)
        a = at[d.faces[:, 1]] - at[d.faces[:, 0]]
        b = at[d.faces[:, 2]] - at[d.faces[:, 0]]
        n = xp.stack(
            [
                a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
                a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
                a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
            ]
        )
        area = 0.5 * xp.sqrt(xp.sum(n**2, axis=0))
        return xp.sum(area) + 0.05 * xp.sum(xp.sum(a**2, axis=1) + xp.sum(b**2, axis=1))

    plane = np.stack(np.meshgrid(np.arange(4.0), np.arange(3.0)), -1).reshape(-1, 2)
    plane = plane + 0.1 * rng.normal(size=plane.shape)
    corner = np.array([0, 1, 2, 4, 5, 6])
    faces = np.concatenate(
        [corner[:, None] + np.array([0, 1, 4]), corner[:, None] + np.array([1, 5, 4])]
    )
    params = {"plane": plane, "height": 0.3 * rng.normal(size=12)}
    base = Draft("bent", "smooth", f, params, {"faces": faces})
    yield base
    yield jittered(base, 1e-12)
    yield base.but(variant="flat", kind="zero-block", params={**params, "height": np.full(12, 0.5)})
    sliver, height = plane.copy(), params["height"].copy()
    sliver[0] = 0.3 * sliver[1] + 0.7 * sliver[4] + np.array([2e-6, -1e-6])
    height[0] = 0.3 * height[1] + 0.7 * height[4]
    thin = {"plane": sliver, "height": height}
    yield base.but(variant="sliver", kind="near-singular", params=thin)


@family("soft-silhouette", FINAL)
def soft_silhouette(rng: Rng) -> Iterator[Draft]:
    """A turned box drawn by its distance, blurred edges; corners of the distance on the pixels."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        c, s = xp.cos(p.turn), xp.sin(p.turn)
        x, y = d.at[:, 0] - p.centre[0], d.at[:, 1] - p.centre[1]
        u = absolute(c * x + s * y, xp) - p.half[0]
        v = absolute(c * y - s * x, xp) - p.half[1]
        inside = sigmoid(-larger(u, v, xp) / xp.exp(p.log_blur), xp)
        return xp.mean((inside - d.image) ** 2)

    at = np.stack(np.meshgrid(np.arange(-3.0, 4), np.arange(-3.0, 4)), -1).reshape(-1, 2) / 2
    image = (np.abs(at[:, 0] - 0.3) < 0.8) * (np.abs(at[:, 1]) < 0.9) * 1.0
    params = {
        "turn": np.array(0.31),
        "centre": np.array([0.08, -0.11]),
        "half": np.array([0.7, 0.9]),
        "log_blur": np.array(-1.0),
    }
    base = Draft("blurred", "smooth", f, params, {"at": at, "image": image}, batch=49)
    yield base
    crisp = {**params, "log_blur": np.array(-4.5)}
    yield base.but(variant="crisp", kind="curvature", params=crisp)
    square = {**params, "turn": near(rng), "centre": near(rng, (2,))}
    square["half"] = np.array([0.75, 0.75])
    yield base.but(variant="square-on", kind="kink-near", params=square)


@family("stationary-covariance", FINAL)
def stationary_covariance(rng: Rng) -> Iterator[Draft]:
    """Lyapunov's equation by doubling, until nothing is added: cost of a controller on noise."""

    def solver(p: Any, d: Any, xp: Any, tol: float) -> Any:
        A = d.A - d.B @ p.gain
        noise = xp.reshape(xp.exp(p.log_noise), (-1, 1)) * d.eye
        P, power = noise, A
        for _ in range(d.most):
            new = P + power @ P @ xp.transpose(power)
            gap = moved(new, P)
            P, power = new, power @ power
            if gap <= tol:
                break
        return xp.sum(P * d.Q) + 0.1 * xp.sum((p.gain @ P) * p.gain)

    data = {
        "A": np.array([[1.0, 0.3, 0.0], [0.0, 0.9, 0.4], [-0.1, 0.0, 0.8]]),
        "B": np.array([[0.0, 0.1], [0.3, 0.0], [0.1, 0.5]]),
        "Q": np.diag([1.0, 0.5, 0.2]),
        "eye": np.eye(3),
        "most": 10,
    }
    params = {"gain": np.array([[0.4, 0.5, 0.1], [-0.1, 0.2, 0.6]]), "log_noise": np.zeros(3) - 0.5}
    base = Draft("stable", "smooth", lambda p, d, xp: solver(p, d, xp, 0.0), params, data)
    yield base
    loss = base.but(variant="stable-1e-05", kind="noisy", biased=True)
    yield loss.but(loss=lambda p, d, xp: solver(p, d, xp, 1e-5))
    # Without the cross terms the first state is nearly a random walk.
    slow = {**data, "A": np.diag([1.0, 0.9, 0.8]), "B": np.eye(3)[:, :2], "most": 40}
    weak = {**params, "gain": np.array([[2e-6, 0, 0], [0, 0.3, 0.0]])}
    yield base.but(variant="almost-a-walk", kind="near-singular", params=weak, data=slow)


@family("limited-controller", FINAL)
def limited_controller(rng: Rng) -> Iterator[Draft]:
    """A tank's level by proportional and integral action; the valve has two ends."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        level, sum_ = p.start, 0.0
        total: Any = 0.0
        for wanted in d.wanted:
            error = wanted - level
            push = p.gain[0] * error + p.gain[1] * sum_ + p.gain[2]
            valve = relu(push, xp) - relu(push - 1, xp)
            sum_ = sum_ + error + p.leak * (valve - push)
            level = 0.75 * level + 0.5 * valve - 0.125
            total = total + error**2 + 0.0625 * valve
        return total

    wanted = np.where(np.arange(12) < 5, 0.5, 1.5)
    params = {"gain": np.array([2.6, 0.3, 0.2]), "start": np.array(0.7), "leak": np.array(0.4)}
    base = Draft("two-levels", "smooth", f, params, {"wanted": wanted})
    yield base
    even = {"gain": np.array([0.75, 0.5, 0.5]), "start": np.array(0.5), "leak": np.array(0.5)}
    step = {"wanted": np.array([0.5, 0.75, 1.5, 0.25])}
    # At the first step there is no error: the push is the third gain, and the valve wide open.
    even["gain"][2] = 1.0
    shut = base.but(variant="wide-open", kind="kink-at", params=even, data=step)
    yield shut
    ajar = {**even, "gain": even["gain"] + near(rng, (3,))}
    yield base.but(variant="ajar", kind="kink-near", params=ajar, data=step)


@family("rough-surface", FINAL)
def rough_surface(rng: Rng) -> Iterator[Draft]:
    """Reflection from facets (Trowbridge and Reitz); a lamp on the horizon, a near mirror."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        lit, seen = d.lamps @ p.normal, d.eye @ p.normal
        half = d.lamps + d.eye
        half = half / xp.sqrt(xp.sum(half**2, axis=1, keepdims=True))
        a2 = xp.exp(2 * p.log_rough)
        spread = a2 / ((half @ p.normal) ** 2 * (a2 - 1) + xp.sum(p.normal**2)) ** 2
        shade = p.colour[0] + p.colour[1] * spread * (1 + seen**2)
        return xp.sum((relu(lit, xp) * shade - d.image) ** 2)

    lamps = rng.normal(size=(9, 3)) + np.array([0, 0, 1.5])
    lamps = lamps / np.sqrt(np.sum(lamps**2, axis=1, keepdims=True))
    data = {"lamps": lamps, "eye": np.array([0.6, 0.0, 0.8]), "image": rng.random(9)}
    params = {
        "normal": np.array([0.1, -0.05, 1.02]),
        "log_rough": np.array(-0.7),
        "colour": np.array([0.5, 0.2]),
    }
    base = Draft("dull", "smooth", f, params, data)
    yield base
    yield inside_float32(base)
    shiny = {**params, "log_rough": np.array(-4.0)}
    shiny["normal"] = lamps[3] + data["eye"] + np.array([0.01, 0.005, 0.0])
    shiny["normal"] = shiny["normal"] / np.sqrt(np.sum(shiny["normal"] ** 2))
    yield base.but(variant="near-mirror", kind="curvature", params=shiny)
    upright = {**params, "normal": np.array([0.0, 0.0, 1.0])}
    low = {**data, "lamps": np.r_[[[1.0, 0.0, 0.0], [-0.6, 0.8, 0.0]], lamps[2:]]}
    yield base.but(variant="horizon", kind="kink-at", params=upright, data=low)
    tilted = {**upright, "normal": upright["normal"] + near(rng, (3,))}
    yield base.but(variant="near-horizon", kind="kink-near", params=tilted, data=low)


@family("natural-spline", FINAL)
def natural_spline(rng: Rng) -> Iterator[Draft]:
    """Values at knots to a smooth curve: second derivatives from a band of equations."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        m = solve(d.band, d.second @ p.value, xp)
        curve = d.left @ p.value + d.bend @ m
        return xp.mean((curve - d.y) ** 2) + xp.exp(p.log_smooth) * m @ (d.band @ m)

    n = 7
    band = np.diag(np.r_[1.0, np.full(n - 2, 4.0), 1.0]) / 6
    band += (np.diag(np.r_[0, np.ones(n - 2)], 1) + np.diag(np.r_[np.ones(n - 2), 0], -1)) / 6
    second = np.eye(n, k=1) + np.eye(n, k=-1) - 2 * np.eye(n)
    second[[0, -1]] = 0

    def points(count: int) -> dict[str, Any]:
        x = rng.uniform(0, n - 1, count)
        k = np.minimum(x.astype(int), n - 2)
        u = (x - k)[:, None]
        one, two = np.eye(n)[k], np.eye(n)[k + 1]
        left = (1 - u) * one + u * two
        bend = ((1 - u) ** 3 - (1 - u)) / 6 * one + (u**3 - u) / 6 * two
        y = np.sin(x) + 0.2 * rng.normal(size=count)
        return {"band": band, "second": second, "left": left, "bend": bend, "y": y}

    params = {"value": rng.normal(size=n), "log_smooth": np.array(-2.0)}
    base = Draft("forty-points", "smooth", f, params, points(40), batch=40)
    yield base
    yield offset(base, -1e5)
    yield base.but(variant="15000-points", kind="large-sum", data=points(15_000))


@family("gears", FINAL)
def gears(rng: Rng) -> Iterator[Draft]:
    """A car changes gear at whole speeds: ratios jump, and the fuel with them."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        v: Any = 3.0
        fuel: Any = 0.0
        for pedal in d.pedal:
            gear = int(np.searchsorted(d.shift, real(v)))
            pull = pedal * p.ratio[gear] * p.engine[0]
            v = v + pull - p.drag * v**2 - 0.02
            fuel = fuel + pedal * (p.engine[1] + v * p.ratio[gear] * 0.03)
        return fuel + (v - 20) ** 2 / 50

    data = {"shift": np.array([6.0, 11.0, 17.0]), "pedal": rng.uniform(0.3, 1.0, 15)}
    params = {
        "ratio": np.array([3.6, 2.1, 1.4, 1.0]),
        "engine": np.array([0.8, 0.25]),
        "drag": np.array(7e-4),
    }
    yield Draft("four", "piecewise-constant", f, params, data)

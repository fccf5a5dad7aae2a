"""Energies, trajectories, geometry and adjoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import HELD_OUT, TUNING, Draft, family
from .ops import inverse, solve
from .variants import inside_float32, jittered, offset, rescaled, stepped, with_unused

Rng = np.random.Generator


def pairs(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(n, 1)


@family("lennard-jones", TUNING)
def lennard_jones(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        r2 = xp.sum((p.x[d.i] - p.x[d.j]) ** 2, axis=1)
        s6 = (d.sigma**2 / r2) ** 3
        return 4 * xp.sum(s6**2 - s6)

    i, j = pairs(8)
    corners = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1]), -1).reshape(-1, 3) * 1.1
    x = corners + 0.05 * rng.normal(size=(8, 3))
    base = Draft("cluster", "smooth", f, {"x": x}, {"i": i, "j": j, "sigma": 1.0})
    yield base
    yield inside_float32(base)
    squeezed = x.copy()
    squeezed[1] = squeezed[0] + [0.05, 0.02, 0.01]
    yield base.but(variant="overlapping", kind="near-singular", params={"x": squeezed})
    metres = base.but(
        variant="metres",
        kind="scaled",
        params={"x": 1e-10 * x},
        data={"i": i, "j": j, "sigma": 1e-10},
    )
    yield metres


@family("morse-and-springs", HELD_OUT)
def springs(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        r = xp.sqrt(xp.sum((p.x[1:] - p.x[:-1]) ** 2, axis=1))
        bond = xp.sum(p.depth * (1 - xp.exp(-2 * (r - p.rest))) ** 2)
        u = (p.x[1:] - p.x[:-1]) / xp.reshape(r, (-1, 1))
        return bond + 0.5 * xp.sum((xp.sum(u[1:] * u[:-1], axis=1) - 0.25) ** 2)

    x = np.cumsum(rng.normal(size=(6, 3)), axis=0)
    params = {"x": x, "depth": rng.uniform(1, 2, 5), "rest": rng.uniform(0.8, 1.5, 5)}
    base = Draft("chain", "smooth", f, params)
    yield base
    yield offset(base, -2e6)
    yield inside_float32(base)


@family("coulomb", TUNING)
def coulomb(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        r = xp.sqrt(xp.sum((p.x[d.i] - p.x[d.j]) ** 2, axis=1))
        return xp.sum(p.q[d.i] * p.q[d.j] * xp.exp(-r / 2) / r) + 0.5 * xp.sum(p.x**2)

    i, j = pairs(6)
    params = {"x": 2 * rng.normal(size=(6, 2)), "q": rng.normal(size=6)}
    base = Draft("screened", "smooth", f, params, {"i": i, "j": j})
    yield base
    yield rescaled(base, rng, 4)
    yield stepped(base, 0.5, 0.05)


@family("pendulum-rk4", TUNING)
def pendulum(rng: Rng) -> Iterator[Draft]:
    """Discretise, then differentiate: the adjoint of Runge and Kutta's classic scheme."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        def rate(q: Any, v: Any) -> tuple[Any, Any]:
            return v, -p.k * xp.sin(q) - p.c * v

        q, v, h = p.start[0], p.start[1], 0.125
        total: Any = 0.0
        for y in d.y:
            a, b = rate(q, v)
            a2, b2 = rate(q + h / 2 * a, v + h / 2 * b)
            a3, b3 = rate(q + h / 2 * a2, v + h / 2 * b2)
            a4, b4 = rate(q + h * a3, v + h * b3)
            q = q + h / 6 * (a + 2 * a2 + 2 * a3 + a4)
            v = v + h / 6 * (b + 2 * b2 + 2 * b3 + b4)
            total = total + (q - y) ** 2
        return total

    params = {"start": np.array([1.2, 0.3]), "k": np.array(2.0), "c": np.array(0.1)}
    base = Draft("damped", "smooth", f, params, {"y": rng.normal(size=20)})
    yield base
    yield jittered(base, 1e-10)
    yield inside_float32(base)


@family("lotka-volterra", HELD_OUT)
def lotka_volterra(rng: Rng) -> Iterator[Draft]:
    """Euler steps in logarithms; the last case is chaotic (logistic map) and so very curved."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        u, v, total = p.start[0], p.start[1], 0.0
        for y in d.y:
            u, v = (
                u + 0.05 * (p.r[0] - p.r[1] * xp.exp(v)),
                v + 0.05 * (p.r[2] * xp.exp(u) - p.r[3]),
            )
            total = total + (u - y) ** 2
        return total

    def logistic(p: Any, d: Any, xp: Any) -> Any:
        x = p.x
        for _ in range(d.n):
            x = p.r * x * (1 - x)
        return x

    params = {"start": np.array([0.1, -0.3]), "r": np.array([1.0, 0.8, 0.6, 0.9])}
    yield Draft("forty-steps", "smooth", f, params, {"y": rng.normal(size=40)})
    chaos = {"x": np.array(0.31), "r": np.array(3.9)}
    for n in (10, 18):
        yield Draft(f"logistic-map-{n}", "curvature", logistic, chaos, {"n": n})


@family("heat-equation", TUNING)
def heat_equation(rng: Rng) -> Iterator[Draft]:
    """Implicit Euler; unknown conductivities."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        step = np.eye(10) + 0.5 * (d.D.T * xp.exp(p.k)) @ d.D
        u = p.u0
        for _ in range(3):
            u = solve(step, u, xp)
        return 0.5 * xp.sum((u - d.y) ** 2)

    data = {"D": np.eye(11, 10) - np.eye(11, 10, k=-1), "y": rng.normal(size=10)}
    params = {"k": rng.normal(size=11) / 2, "u0": rng.normal(size=10)}
    base = Draft("implicit", "smooth", f, params, data)
    yield base
    yield jittered(base, 1e-8)
    stiff = {**params, "k": params["k"] + np.linspace(-12, 12, 11)}
    yield base.but(variant="contrast-1e10", kind="scaled", params=stiff)


@family("truss-compliance", HELD_OUT)
def truss(rng: Rng) -> Iterator[Draft]:
    """Stiffness of a braced frame from its node positions."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        x = d.fixed + d.scatter @ p.x
        ends = x[d.i] - x[d.j]
        length = xp.sqrt(xp.sum(ends**2, axis=1))
        u = ends / xp.reshape(length, (-1, 1))
        bars = xp.concatenate([d.B * u[:, :1], d.B * u[:, 1:]], axis=1)[:, d.free]
        stiffness = (bars.T * (p.area / length)) @ bars
        return 0.5 * d.load @ solve(stiffness, d.load, xp)

    nodes = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [2, 0], [2, 1]], float)
    i = np.array([0, 1, 0, 1, 2, 2, 3, 2, 3, 4])
    j = np.array([2, 3, 3, 2, 3, 4, 5, 5, 4, 5])
    B = np.zeros((10, 6))
    B[np.arange(10), i], B[np.arange(10), j] = 1, -1
    data = {
        "i": i,
        "j": j,
        "B": B,
        "free": np.r_[2:6, 8:12],
        "load": np.r_[0, 0, 0, 0, 0.1, 0, -1.0, -0.5],
        "fixed": nodes * (np.arange(6) < 2)[:, None],
        "scatter": np.eye(6)[:, 2:],
    }
    params = {"x": nodes[2:] + 0.1 * rng.normal(size=(4, 2)), "area": rng.uniform(0.5, 2, 10)}
    base = Draft("two-bays", "smooth", f, params, data)
    yield base
    thin = {**params, "area": params["area"] * np.where(np.isin(np.arange(10), (2, 7)), 1e-6, 1.0)}
    yield base.but(variant="thin-braces", kind="near-singular", params=thin)


@family("xy-model", TUNING)
def xy_model(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        a = p.angle
        right, down = a - xp.roll(a, 1, axis=0), a - xp.roll(a, 1, axis=1)
        return -xp.sum(d.J * xp.cos(right)) - xp.sum(xp.cos(down)) - 0.25 * xp.sum(xp.cos(a))

    angle = rng.uniform(-3, 3, (6, 6))
    yield Draft("6x6", "smooth", f, {"angle": angle}, {"J": rng.normal(size=(6, 6))})
    large = {"angle": rng.uniform(-3, 3, (40, 40))}
    yield Draft("40x40", "large-sum", f, large, {"J": rng.normal(size=(40, 40))})


@family("reprojection", HELD_OUT)
def reprojection(rng: Rng) -> Iterator[Draft]:
    """Bundle adjustment: rotation vector, translation, focal length and radial distortion."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        angle = xp.sqrt(xp.sum(p.rotation**2))
        axis = p.rotation / angle
        x = p.points
        along = xp.reshape(x @ axis, (-1, 1)) * axis
        crossed = xp.stack(
            [
                axis[1] * x[:, 2] - axis[2] * x[:, 1],
                axis[2] * x[:, 0] - axis[0] * x[:, 2],
                axis[0] * x[:, 1] - axis[1] * x[:, 0],
            ],
            axis=1,
        )
        y = x * xp.cos(angle) + crossed * xp.sin(angle) + along * (1 - xp.cos(angle)) + p.shift
        image = y[:, :2] / y[:, 2:]
        r2 = xp.sum(image**2, axis=1, keepdims=True)
        image = p.lens[0] * image * (1 + p.lens[1] * r2 + p.lens[2] * r2**2)
        return 0.5 * xp.sum((image - d.seen) ** 2)

    params = {
        "rotation": np.array([0.2, -0.3, 0.1]),
        "shift": np.array([0.1, 0.2, 5.0]),
        "lens": np.array([500.0, -0.1, 0.02]),
        "points": rng.normal(size=(8, 3)),
    }
    base = Draft("one-camera", "scaled", f, params, {"seen": 100 * rng.normal(size=(8, 2))})
    yield base
    yield base.but(
        variant="small-rotation", params={**params, "rotation": np.array([1e-4, -2e-4, 5e-5])}
    )
    yield inside_float32(base)


@family("pose-graph", TUNING)
def pose_graph(rng: Rng) -> Iterator[Draft]:
    """Planar poses and relative measurements."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        c, s = xp.cos(p.heading[:-1]), xp.sin(p.heading[:-1])
        gap = p.at[1:] - p.at[:-1]
        ahead, left = c * gap[:, 0] + s * gap[:, 1], -s * gap[:, 0] + c * gap[:, 1]
        turn = p.heading[1:] - p.heading[:-1]
        close = xp.sum((p.at[-1] - p.at[0]) ** 2)
        return xp.sum((ahead - 1) ** 2 + left**2 + 4 * (turn - d.turn) ** 2) + close

    params = {"at": np.cumsum(rng.normal(size=(7, 2)), axis=0), "heading": rng.normal(size=7)}
    yield Draft("loop", "smooth", f, params, {"turn": np.full(6, 0.9)})


@family("robot-arm", HELD_OUT)
def robot_arm(rng: Rng) -> Iterator[Draft]:
    """Inverse kinematics; the fingertip's own angle does not move it."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        a = xp.cumsum(p.joints)
        x, y = xp.sum(d.length * xp.cos(a)), xp.sum(d.length * xp.sin(a))
        return (x - 1.5) ** 2 + (y - 0.5) ** 2 + 0.01 * xp.sum(p.joints**2)

    params = {"joints": rng.normal(size=5) / 2}
    base = Draft("five-joints", "smooth", f, params, {"length": np.array([1, 0.8, 0.6, 0.4, 0.2])})
    yield base

    def wrist(p: Any, d: Any, xp: Any) -> Any:
        return f(p, d, xp) + 0.0 * xp.cos(p.wrist[0])

    params = {"joints": params["joints"], "wrist": np.array([0.3])}
    yield base.but(variant="wrist", kind="zero-block", f=wrist, params=params)


@family("optimal-control", TUNING)
def optimal_control(rng: Rng) -> Iterator[Draft]:
    """A cart steered through time, hand-written adjoint."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        x, cost = d.x0, 0.0
        for t in range(len(p.u)):
            x = d.A @ x + d.B @ p.u[t]
            cost = cost + 0.5 * x @ d.Q @ x + 0.05 * p.u[t] @ p.u[t]
        return cost

    def grad(p: Any, d: Any) -> dict[str, np.ndarray]:
        xs = [d.x0]
        for u in p.u:
            xs.append(d.A @ xs[-1] + d.B @ u)
        out, costate = np.empty_like(p.u), 0 * d.x0
        for t in reversed(range(len(p.u))):
            costate = d.Q @ xs[t + 1] + (d.A.T @ costate)
            out[t] = d.B.T @ costate + 0.1 * p.u[t]
        return {"u": out}

    data = {
        "A": np.array([[1, 0.1, 0], [0, 1, 0.1], [-0.02, 0, 0.95]]),
        "B": rng.normal(size=(3, 2)),
        "Q": np.diag([1.0, 0.1, 0.5]),
        "x0": np.array([1.0, -0.5, 0.2]),
    }
    base = Draft("linear", "smooth", f, {"u": rng.normal(size=(15, 2))}, data, grad=grad)
    yield base
    yield with_unused(base, rng)


@family("lens-and-thin-film", HELD_OUT)
def thin_film(rng: Rng) -> Iterator[Draft]:
    """Reflectance of a stack of layers by transfer matrices; thick layers oscillate fast."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        phase = 2 * np.pi * p.thickness * p.index / xp.reshape(d.wavelength, (-1, 1))
        # The matrix of each layer is [[a, i b], [i c, e]] with real a, b, c, e.
        a, b, c, e = 1.0, 0.0, 0.0, 1.0
        for k in range(p.thickness.size):
            co, si = xp.cos(phase[:, k]), xp.sin(phase[:, k])
            a, b, c, e = (
                a * co - b * p.index[k] * si,
                a * si / p.index[k] + b * co,
                c * co + e * p.index[k] * si,
                -c * si / p.index[k] + e * co,
            )
        passed = 4 * 1.5 / ((a * 1.5 + e) ** 2 + (b * 1.5 + c) ** 2)
        return xp.sum((1 - passed - d.target) ** 2)

    data = {"wavelength": np.linspace(0.4, 0.7, 15), "target": rng.random(15)}
    params = {"thickness": rng.uniform(0.05, 0.2, 4), "index": rng.uniform(1.4, 2.3, 4)}
    base = Draft("four-layers", "smooth", f, params, data)
    yield base
    thick = {**params, "thickness": 400 * params["thickness"]}
    yield base.but(variant="thick", kind="curvature", params=thick)


@family("poisson-problem", HELD_OUT)
def poisson_problem(rng: Rng) -> Iterator[Draft]:
    """Control of an elliptic equation: source to temperature to misfit, with a nonlinear term."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        u = 0 * p.source
        for _ in range(8):
            jacobian = d.K + xp.diag(3 * u**2)
            u = u - solve(jacobian, d.K @ u + u**3 - p.source, xp)
        return 0.5 * xp.sum((u - d.y) ** 2) + 0.5 * d.alpha * xp.sum(p.source**2)

    def no_penalty(p: Any, d: Any, xp: Any) -> Any:
        return f(p, d, xp) - 0.5 * d.alpha * xp.sum(p.source**2)

    n = 8
    K = 4 * (2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1))
    data = {"K": K, "y": rng.normal(size=n), "alpha": 0.01}
    base = Draft(
        "cubic", "smooth", f, {"source": rng.normal(size=n)}, data, slips={"penalty": no_penalty}
    )
    yield base
    yield offset(base)


@family("resistor-network", TUNING)
def resistors(rng: Rng) -> Iterator[Draft]:
    """Effective resistance from conductances over sixteen decades."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        laplacian = (d.B.T * p.g) @ d.B
        return inverse(laplacian, xp)[0, 0]

    i, j = pairs(5)
    B = np.zeros((10, 5))
    B[np.arange(10), i], B[np.arange(10), j] = 1, -1
    data = {"B": B[:, 1:]}
    even = rng.uniform(0.5, 2, 10)
    yield Draft("even", "smooth", f, {"g": even}, data)
    yield Draft("siemens", "scaled", f, {"g": even * np.logspace(-4, 4, 10)}, data)

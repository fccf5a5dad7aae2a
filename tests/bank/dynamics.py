"""Steps through time and energies of bodies, fields and populations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import FRESH, Draft, family
from .ops import real, relu, softplus, solve
from .variants import inside_float32, jittered, offset, rescaled, stepped

Rng = np.random.Generator


@family("leapfrog-orbit", FRESH)
def leapfrog(rng: Rng) -> Iterator[Draft]:
    """Masses and start of three bodies; an encounter so close that the forces are huge."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        mass, x, v = xp.exp(p.log_mass), p.x, p.v

        def force(x: Any) -> Any:
            gap = x[None] - x[:, None]
            r2 = xp.sum(gap**2, axis=-1) + d.soft + np.eye(3)
            pull = xp.reshape(mass, (1, -1)) / (r2 * xp.sqrt(r2))
            return xp.einsum("ij,ijk->ik", pull, gap)

        v = v + 0.5 * d.h * force(x)
        for _ in range(d.steps):
            x = x + d.h * v
            v = v + d.h * force(x)
        return xp.sum((x - d.seen) ** 2) + 0.1 * xp.sum(v**2)

    data = {"h": 0.05, "steps": 20, "soft": 1e-4, "seen": rng.normal(size=(3, 2))}
    params = {
        "log_mass": np.array([0.0, -1.0, -2.0]),
        "x": np.array([[0.0, 0.1], [1.2, 0.0], [-0.3, 1.5]]),
        "v": np.array([[0.1, 0.0], [0.0, 0.9], [-0.8, 0.1]]),
    }
    base = Draft("three-bodies", "smooth", f, params, data)
    yield base
    yield inside_float32(base)
    close = {**params, "x": np.array([[0.0, 0.1], [0.012, 0.1], [-0.3, 1.5]])}
    yield base.but(
        variant="encounter", kind="near-singular", params=close, data={**data, "steps": 2}
    )


@family("double-pendulum", FRESH)
def double_pendulum(rng: Rng) -> Iterator[Draft]:
    """Semi-implicit steps; a long time makes the end depend wildly on the start."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        a, b, u, v = (p.start[i] for i in range(4))
        for _ in range(d.steps):
            gap = a - b
            s, c = xp.sin(gap), xp.cos(gap)
            below = 1 + p.ratio * s**2
            push = p.ratio * s * (u**2 * c + v**2)
            du = (-push - (1 + p.ratio) * 9.8 * xp.sin(a) + p.ratio * 9.8 * xp.sin(b) * c) / below
            dv = ((1 + p.ratio) * (u**2 * s + 9.8 * (xp.sin(a) * c - xp.sin(b)))) / below
            dv = dv + p.ratio * v**2 * s * c / below
            u, v = u + d.h * du, v + d.h * dv
            a, b = a + d.h * u, b + d.h * v
        return xp.cos(a) + xp.cos(b) + 0.01 * (u**2 + v**2)

    params = {"start": np.array([2.0, 2.6, 0.0, 0.3]), "ratio": np.array(0.8)}
    base = Draft("short", "smooth", f, params, {"h": 0.01, "steps": 60})
    yield base
    yield jittered(base, 1e-8)
    yield base.but(variant="long", kind="curvature", data={"h": 0.03, "steps": 180})


@family("epidemic", FRESH)
def epidemic(rng: Rng) -> Iterator[Draft]:
    """Susceptible, infected, removed in a town or in a country, cases reported by the day."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        beta, gamma = xp.exp(p.log_rates[0]), xp.exp(p.log_rates[1])
        s, i = d.people - p.first, p.first
        total: Any = 0.0
        for n in d.reported:
            new = s * (1 - xp.exp(-beta * i / d.people))
            s, i = s - new, i + new - gamma * i
            seen = p.share * new
            total = total + seen - n * xp.log(seen)
        return total

    params = {
        "log_rates": np.array([-0.6, -1.6]),
        "first": np.array(4.0),
        "share": np.array(0.3),
    }
    data = {"people": 1000.0, "reported": rng.poisson(3 * np.exp(0.1 * np.arange(15))) * 1.0}
    base = Draft("town", "smooth", f, params, data)
    yield base
    yield inside_float32(base)
    yield stepped(base, 5.0, 0.1)
    country = {"people": 6e7, "reported": 1e4 * data["reported"]}
    yield base.but(
        variant="country",
        kind="scaled",
        data=country,
        params={**params, "first": np.array(4e4), "share": np.array(0.3)},
    )


@family("front-crank-nicolson", FRESH)
def front(rng: Rng) -> Iterator[Draft]:
    """Fisher's travelling front: diffusion by Crank and Nicolson with Thomas's elimination."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        k, rate = xp.exp(p.log_k), xp.exp(p.log_rate)
        u = [p.u[i] for i in range(d.n)]
        for _ in range(6):
            side = [u[max(i - 1, 0)] + u[min(i + 1, d.n - 1)] - 2 * u[i] for i in range(d.n)]
            b = [x + 0.5 * k * s + 0.2 * rate * x * (1 - x) for x, s in zip(u, side, strict=True)]
            c: list[Any] = []
            for i in range(d.n):
                diagonal = 1 + (k if 0 < i < d.n - 1 else 0.5 * k)
                below = diagonal + (0.5 * k * c[-1] if i else 0.0)
                c.append(-0.5 * k / below)
                b[i] = (b[i] + (0.5 * k * b[i - 1] if i else 0.0)) / below
            u = [b[-1]]
            for i in range(d.n - 2, -1, -1):
                u.append(b[i] - c[i] * u[-1])
            u = u[::-1]
        return sum((x - y) ** 2 for x, y in zip(u, d.seen, strict=True))

    params = {
        "log_k": np.array(-0.4),
        "log_rate": np.array(0.2),
        "u": 1 / (1 + np.exp(np.arange(12) - 5.0)) + 0.05 * rng.normal(size=12),
    }
    data = {"n": 12, "seen": rng.random(12)}
    base = Draft("twelve-cells", "smooth", f, params, data)
    yield base
    yield offset(base)
    # So little diffusion that the measured cells feel each other no more.
    yield base.but(
        variant="no-diffusion", kind="vanishing", params={**params, "log_k": np.array(-24.0)}
    )


@family("elastic-sheet", FRESH)
def elastic_sheet(rng: Rng) -> Iterator[Draft]:
    """Compressible neo-Hookean triangles; one of them almost flattened."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        at = p.x[d.triangles]
        e1, e2 = at[:, 1] - at[:, 0], at[:, 2] - at[:, 0]
        F = xp.stack([e1, e2], axis=2) @ d.rest
        J = F[:, 0, 0] * F[:, 1, 1] - F[:, 0, 1] * F[:, 1, 0]
        stretch = xp.sum(F**2, axis=(1, 2))
        mu, lam = xp.exp(p.log_modulus[0]), xp.exp(p.log_modulus[1])
        energy = 0.5 * mu * (stretch - 2) - mu * xp.log(J) + 0.5 * lam * xp.log(J) ** 2
        return 0.5 * xp.sum(energy) + d.load * xp.sum(p.x[-3:, 1])

    def no_pressure(p: Any, d: Any, xp: Any) -> Any:
        lam = xp.exp(p.log_modulus[1])
        at = p.x[d.triangles]
        e1, e2 = at[:, 1] - at[:, 0], at[:, 2] - at[:, 0]
        F = xp.stack([e1, e2], axis=2) @ d.rest
        J = F[:, 0, 0] * F[:, 1, 1] - F[:, 0, 1] * F[:, 1, 0]
        return f(p, d, xp) - 0.25 * lam * xp.sum(xp.log(J) ** 2)

    nodes = np.stack(np.meshgrid(np.arange(3.0), np.arange(3.0), indexing="ij"), -1).reshape(-1, 2)
    squares = [0, 1, 3, 4]
    triangles = np.array([[i, i + 3, i + 1] for i in squares])
    triangles = np.concatenate([triangles, [[i + 3, i + 4, i + 1] for i in squares]])
    at = nodes[triangles]
    rest = np.linalg.inv(np.stack([at[:, 1] - at[:, 0], at[:, 2] - at[:, 0]], axis=2))
    data = {"triangles": triangles, "rest": rest, "load": 0.3}
    params = {"x": nodes + 0.1 * rng.normal(size=(9, 2)), "log_modulus": np.array([0.1, 1.0])}
    slips = {"volume term": no_pressure}
    base = Draft("eight-triangles", "smooth", f, params, data, slips=slips)
    yield base
    flat = params["x"].copy()
    a, b, c = (flat[i] for i in triangles[0])
    flat[0] = b + 0.4 * (c - b) + 1e-5 * (a - b)
    yield base.but(
        variant="flattened", kind="near-singular", params={**params, "x": flat}, slips={}
    )


@family("oscillator-network", FRESH)
def kuramoto(rng: Rng) -> Iterator[Draft]:
    """Kuramoto's oscillators by Heun's method, final order parameter."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        def rate(a: Any) -> Any:
            pull = xp.sin(xp.reshape(a, (1, -1)) - xp.reshape(a, (-1, 1)))
            return p.speed + xp.sum(p.K * pull, axis=1)

        a = p.phase
        for _ in range(12):
            k = rate(a)
            a = a + 0.05 * (k + rate(a + 0.1 * k))
        return -xp.sqrt(xp.sum(xp.cos(a)) ** 2 + xp.sum(xp.sin(a)) ** 2) / a.size

    params = {
        "phase": rng.uniform(-3, 3, 6),
        "speed": rng.normal(size=6),
        "K": rng.normal(size=(6, 6)) / 6,
    }
    base = Draft("six", "smooth", f, params)
    yield base
    yield rescaled(base, rng, 6)


@family("stiff-kinetics", FRESH)
def kinetics(rng: Rng) -> Iterator[Draft]:
    """Robertson's reactions, rate constants over nine decades, implicit Euler."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        a, b, c = p.k[0], p.k[1], p.k[2]
        y = d.start
        for h in d.steps:
            z = y
            for _ in range(8):
                r1, r2, r3 = a * z[0], b * z[1] ** 2, c * z[1] * z[2]
                res = z - y - h * xp.stack([r3 - r1, r1 - r3 - r2, r2])
                zero = 0 * z[0]
                jac = [
                    [-a + zero, c * z[2], c * z[1]],
                    [a + zero, -c * z[2] - 2 * b * z[1], -c * z[1]],
                    [zero, 2 * b * z[1], zero],
                ]
                z = z - solve(np.eye(3) - h * xp.stack([xp.stack(r) for r in jac]), res, xp)
            y = z
        return xp.sum((d.weight * (y - d.seen)) ** 2)

    data = {
        "start": np.array([1.0, 0.0, 0.0]),
        "steps": np.array([1e-3, 1e-2, 0.1, 1.0, 10.0]),
        "weight": np.array([1.0, 1e4, 1.0]),
        "seen": np.array([0.8, 2e-5, 0.1]),
    }
    yield Draft("robertson", "scaled", f, {"k": np.array([0.04, 3e7, 1e4])}, data)


@family("protein-angles", FRESH)
def torsions(rng: Rng) -> Iterator[Draft]:
    """Bond angles and torsions of a chain from Cartesian coordinates."""

    def cross(a: Any, b: Any, xp: Any) -> Any:
        return xp.stack(
            [
                a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
                a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
                a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
            ],
            axis=1,
        )

    def f(p: Any, d: Any, xp: Any) -> Any:
        b = p.x[1:] - p.x[:-1]
        length = xp.sqrt(xp.sum(b**2, axis=1))
        bend = -xp.sum(b[1:] * b[:-1], axis=1) / (length[1:] * length[:-1])
        n = cross(b[:-1], b[1:], xp)
        size = xp.sqrt(xp.sum(n**2, axis=1))
        turn = xp.sum(n[1:] * n[:-1], axis=1) / (size[1:] * size[:-1])
        energy = xp.sum(50 * (length - 1.5) ** 2) + xp.sum(20 * (xp.arccos(bend) - 1.9) ** 2)
        return energy + xp.sum(1.0 + turn + 0.5 * (2 * turn**2 - 1))

    t = np.arange(9.0)
    x = np.c_[0.9 * np.cos(1.7 * t), 0.9 * np.sin(1.7 * t), 0.6 * t] + 0.1 * rng.normal(size=(9, 3))
    base = Draft("helix", "smooth", f, {"x": x})
    yield base
    yield inside_float32(base, "params")
    straight = x.copy()
    straight[4] = 0.5 * (x[3] + x[5]) + 2e-5 * rng.normal(size=3)
    yield base.but(variant="straight", kind="near-singular", params={"x": straight})


@family("phase-field", FRESH)
def phase_field(rng: Rng) -> Iterator[Draft]:
    """Ginzburg and Landau's energy on a periodic grid, walls thin or wide."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        dx, dy = p.u - xp.roll(p.u, 1, axis=0), p.u - xp.roll(p.u, 1, axis=1)
        wall = xp.sum(dx**2) + xp.sum(dy**2)
        return d.width * wall + xp.sum((1 - p.u**2) ** 2) / d.width + d.field * xp.sum(p.u)

    small = {"u": rng.normal(size=(7, 7))}
    yield Draft("7x7", "smooth", f, small, {"width": 0.5, "field": 0.1})
    large = {"u": np.tanh(rng.normal(size=(60, 60)))}
    yield Draft("60x60", "large-sum", f, large, {"width": 0.5, "field": 0.1})
    thin = Draft("thin", "curvature", f, small, {"width": 2.0**-20, "field": 0.1})
    yield thin


@family("bouncing", FRESH)
def bouncing(rng: Rng) -> Iterator[Draft]:
    """A ball on a stiff floor with friction: penalty forces switch on at contact."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        x, y, vx, vy = (p.start[i] for i in range(4))
        total: Any = 0.0
        for target in d.path:
            depth = relu(-y, xp)
            vx = vx - d.h * p.friction * depth * vx
            vy = vy - d.h * (9.8 - p.stiffness * depth)
            x, y = x + d.h * vx, y + d.h * vy
            total = total + (y - target) ** 2
        return total + (x - 1) ** 2

    path = 0.5 + 0.2 * rng.normal(size=40)
    params = {
        "start": np.array([0.0, 0.4, 1.0, 0.2]),
        "stiffness": np.array(400.0),
        "friction": np.array(5.0),
    }
    base = Draft("falls", "smooth", f, params, {"h": 0.02, "path": path})
    yield base
    resting = {**params, "start": np.array([0.0, 0.0, 1.0, 0.0])}
    yield base.but(variant="on-the-floor", kind="kink-at", params=resting)
    for gap in (4e-9, -1e-6):
        above = {**params, "start": np.array([0.0, gap, 1.0, 0.0])}
        yield base.but(variant=f"at{gap:+.0e}", kind="kink-near", params=above)


@family("drug-levels", FRESH)
def drug_levels(rng: Rng) -> Iterator[Draft]:
    """Absorption and elimination: the two rates almost equal, or the drug long gone."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        ka, ke = xp.exp(p.log_ka), xp.exp(p.log_ke)
        level = ka / (ka - ke) * (xp.exp(-ke * d.t) - xp.exp(-ka * d.t))
        return xp.sum((d.y - p.dose * level) ** 2)

    data = {"t": np.array([0.25, 0.5, 1, 2, 3, 5, 8, 12]), "y": rng.random(8)}
    params = {"log_ka": np.array(0.6), "log_ke": np.array(-1.2), "dose": np.array(1.5)}
    base = Draft("one-dose", "smooth", f, params, data)
    yield base

    def tablets(p: Any, d: Any, xp: Any) -> Any:
        # The price of whole tablets of a quarter.
        return f(p, d, xp) + 0.2 * np.ceil(4 * real(p.dose) - 0.3)

    yield base.but(variant="tablets", kind="piecewise-constant", f=tablets)
    same = {**params, "log_ke": np.array(0.6 - 1e-3)}
    yield base.but(variant="equal-rates", kind="near-singular", params=same)
    late = {"t": data["t"] + 80, "y": data["y"]}
    yield base.but(variant="long-gone", kind="vanishing", data=late)


@family("charges-on-a-sphere", FRESH)
def sphere(rng: Rng) -> Iterator[Draft]:
    """Thomson's problem in angles; at a pole the longitude does not matter."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        s, c = xp.sin(p.polar), xp.cos(p.polar)
        x = xp.stack([s * xp.cos(p.longitude), s * xp.sin(p.longitude), c], axis=1)
        r2 = xp.sum((x[d.i] - x[d.j]) ** 2, axis=1)
        return xp.sum(softplus(1 / xp.sqrt(r2), xp))

    i, j = np.triu_indices(6, 1)
    params = {"polar": rng.uniform(0.4, 2.7, 6), "longitude": rng.uniform(-3, 3, 6)}
    base = Draft("six", "smooth", f, params, {"i": i, "j": j})
    yield base
    pole = {k: v.copy() for k, v in params.items()}
    pole["polar"][2] = 1e-9
    yield base.but(variant="pole", kind="vanishing", params=pole)
    yield offset(base, 1e7)

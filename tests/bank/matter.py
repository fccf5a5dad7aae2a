"""Chemistry and the physics of matter: equilibria, rates, atoms, spectra, soils."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import FINAL, Draft, family
from .kinks import near
from .noise import moved, stopped
from .ops import logsumexp, real, relu
from .variants import inside_float32, jittered, offset, shaken

Rng = np.random.Generator


@family("titration", FINAL)
def titration(rng: Rng) -> Iterator[Draft]:
    """Acidity from the balance of charges, a root over fourteen decades: by Newton, by halving."""

    def balance(x: Any, add: Any, log_k: Any, acid: Any, xp: Any) -> Any:
        h = xp.exp(x)
        a, b = xp.exp(log_k[0]), xp.exp(log_k[1])
        anions = acid * (a * h + 2 * a * b) / (h**2 + a * h + a * b)
        return add + h - 1e-14 / h - anions

    def f(p: Any, d: Any, xp: Any) -> Any:
        # The slope of the balance is that of Newton's method for complex and boxed numbers alike.
        x = d.guess
        for _ in range(d.rounds):
            h = xp.exp(x)
            a, b = xp.exp(p.log_k[0]), xp.exp(p.log_k[1])
            below = h**2 + a * h + a * b
            part = (a * h + 2 * a * b) / below
            slope = p.acid * (a * h - part * (2 * h**2 + a * h)) / below
            x = x - balance(x, d.base, p.log_k, p.acid, xp) / (h + 1e-14 / h - slope)
        return xp.mean((x / 2.302585 + d.ph) ** 2)

    def halving(p: Any, d: Any, xp: Any) -> Any:
        low, high = np.full(d.base.size, -36.0), np.full(d.base.size, 3.0)
        for _ in range(d.halvings):
            mid = 0.5 * (low + high)
            acid = balance(mid, d.base, p.log_k, p.acid, np) > 0
            low, high = np.where(acid, low, mid), np.where(acid, mid, high)
        return np.mean((0.5 * (low + high) / 2.302585 + d.ph) ** 2)

    params = {"log_k": np.array([-10.9, -21.5]), "acid": np.array(0.1)}
    base = np.linspace(0.01, 0.19, 9)
    data = {"base": base, "ph": np.linspace(3.5, 11.5, 9), "halvings": 28}
    guess = np.full(9, -36.0)
    low, high = guess.copy(), np.full(9, 3.0)
    for _ in range(30):
        mid = 0.5 * (low + high)
        acid = balance(mid, base, params["log_k"], 0.1, np) > 0
        low, high = np.where(acid, low, mid), np.where(acid, mid, high)
    data |= {"guess": 0.5 * (low + high), "rounds": 5}
    newton = Draft("newton", "smooth", f, params, data)
    yield newton
    yield newton.but(variant="halving", kind="noisy", loss=halving)

    def raw(p: Any, d: Any, xp: Any) -> Any:
        return f(type(p)(log_k=xp.log(p.k), acid=p.acid), d, xp)

    constants = {"k": np.exp(params["log_k"]), "acid": params["acid"]}
    yield newton.but(variant="constants", kind="scaled", f=raw, params=constants)


@family("flash", FINAL)
def flash(rng: Rng) -> Iterator[Draft]:
    """Rachford and Rice's equation: how much of a mixture boils; Newton to a tolerance."""

    def solver(p: Any, d: Any, xp: Any, tol: float) -> Any:
        k = xp.exp(p.antoine[:, 0] - p.antoine[:, 1] / p.kelvin)
        feed = xp.exp(p.log_feed - logsumexp(p.log_feed, xp))
        v = 0 * p.kelvin + 0.5
        for _ in range(12):
            terms = (k - 1) / (1 + v * (k - 1))
            step = xp.sum(feed * terms) / xp.sum(feed * terms**2)
            v = v + step
            if abs(real(step)) <= tol:
                break
        liquid = feed / (1 + v * (k - 1))
        return 10 * (v - 0.4) ** 2 + xp.sum((liquid - d.seen) ** 2)

    params = {
        "antoine": np.array([[10.2, 3200.0], [9.6, 3500.0], [11.0, 4300.0], [10.0, 3000.0]]),
        "kelvin": np.array(352.0),
        "log_feed": rng.normal(size=4) / 2,
    }
    data = {"seen": rng.dirichlet(np.ones(4))}
    yield Draft("four-parts", "smooth", lambda p, d, xp: solver(p, d, xp, 0.0), params, data)
    yield stopped("four-parts", solver, params, data, 1e-5)


@family("cubic-gas", FINAL)
def cubic_gas(rng: Rng) -> Iterator[Draft]:
    """Peng and Robinson's gas in pascals and kelvins; its fugacity at the root for the vapour."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        alpha = (1 + p.kappa * (1 - xp.sqrt(d.kelvin / p.critical[0]))) ** 2
        a = 0.45724 * (8.314462 * p.critical[0]) ** 2 / p.critical[1] * alpha
        A = a * d.pascal / (8.314462 * d.kelvin) ** 2
        B = 0.0778 * p.critical[0] / p.critical[1] * d.pascal / d.kelvin
        z = 1 + 0 * A
        for _ in range(9):
            value = ((z - (1 - B)) * z + (A - 3 * B**2 - 2 * B)) * z - (A * B - B**2 - B**3)
            z = z - value / ((3 * z - 2 * (1 - B)) * z + (A - 3 * B**2 - 2 * B))
        branch = xp.log((z + 2.4142136 * B) / (z - 0.4142136 * B))
        log_phi = z - 1 - xp.log(z - B) - A / (2.8284271 * B) * branch
        return xp.sum((z - d.z) ** 2) + xp.sum((log_phi - d.log_phi) ** 2)

    data = {
        "kelvin": np.array([320.0, 340, 380, 420, 450]),
        "pascal": np.array([1e5, 8e5, 2e6, 4e6, 6e6]),
        "z": rng.uniform(0.6, 1, 5),
        "log_phi": -0.3 * rng.random(5),
    }
    params = {"critical": np.array([369.8, 4.25e6]), "kappa": np.array(0.6)}
    base = Draft("propane", "scaled", f, params, data)
    yield base
    yield shaken(base, 1e-11)


@family("electrode", FINAL)
def electrode(rng: Rng) -> Iterator[Draft]:
    """Butler and Volmer's currents; far below its potential a second reaction does not show."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        volts = xp.reshape(d.volts, (-1, 1)) - p.rest
        one = xp.exp(38.92 * p.transfer * volts) - xp.exp(-38.92 * (1 - p.transfer) * volts)
        current = one @ xp.exp(p.log_i0) + p.leak * d.volts
        return xp.mean((current - d.seen) ** 2) / 100

    data = {"volts": np.linspace(-0.1, 0.12, 12), "seen": rng.normal(size=12)}
    params = {
        "rest": np.array([0.0, 0.08]),
        "transfer": np.array([0.5, 0.4]),
        "log_i0": np.array([-0.7, -1.6]),
        "leak": np.array(0.3),
    }
    base = Draft("two-reactions", "smooth", f, params, data)
    yield base
    yield inside_float32(base, "claim")
    small = {**params, "log_i0": np.array([-0.7, -24.0])}
    yield base.but(variant="hidden", kind="vanishing", params=small)


@family("chain-of-reactions", FINAL)
def chain_of_reactions(rng: Rng) -> Iterator[Draft]:
    """Bateman's solution, Arrhenius's rates in joules; equal rates make it 0 / 0."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        rate = p.factor * xp.exp(-p.energy / (8.314462 * xp.reshape(d.kelvin, (-1, 1))))
        a, b = rate[:, 0], rate[:, 1]
        first = xp.exp(-a * d.t)
        second = a / (b - a) * (first - xp.exp(-b * d.t))
        return xp.sum((first - d.first) ** 2) + xp.sum((second - d.second) ** 2)

    kelvin = np.array([320.0, 330, 340, 350, 360, 370])
    data = {"kelvin": kelvin, "t": 60.0 * 2.0 ** np.arange(5, -1, -1)}
    data |= {"first": rng.random(6), "second": rng.random(6)}
    params = {"factor": np.array([4e9, 6e11]), "energy": np.array([7.9e4, 9.6e4])}
    base = Draft("joules", "scaled", f, params, data, batch=6)
    yield base
    params = {"factor": np.array([4e9, 4e9 * (1 + 1e-4)]), "energy": np.array([7.9e4, 7.9e4])}
    yield base.but(variant="equal-rates", kind="near-singular", params=params)


@family("embedded-atoms", FINAL)
def embedded_atoms(rng: Rng) -> Iterator[Draft]:
    """Root of the density of the others; an atom almost alone, a pair at the end of the reach."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        r = xp.sqrt(xp.sum((p.x[:, None] - p.x[None]) ** 2, axis=-1) + d.eye)
        density = xp.sum((1 - d.eye) * xp.exp(-3 * (r - 1)), axis=1)
        # Cut off and lifted, the repulsion ends with a corner.
        pairs = xp.sum((1 - d.eye) * relu(xp.exp(-p.steep * (r - 1)) - d.end, xp))
        return 0.5 * pairs - xp.exp(p.log_glue) * xp.sum(xp.sqrt(density))

    x = np.stack(np.meshgrid([0, 1.0], [0, 1.0], [0, 1.0]), -1).reshape(-1, 3)
    x = x + 0.05 * rng.normal(size=x.shape)
    data = {"eye": np.eye(8), "end": np.array(1e-12)}
    params = {"x": x, "log_glue": np.array(-0.2), "steep": np.array(5.0)}
    base = Draft("eight", "smooth", f, params, data)
    yield base
    yield inside_float32(base, "params")
    alone = x.copy()
    alone[0] = [-3.5, -3.6, -3.4]
    yield base.but(variant="almost-alone", kind="near-singular", params={**params, "x": alone})
    chain = {**params, "x": 1.5 * np.arange(4.0)[:, None] + near(rng, (4, 1))}
    chain["steep"] = np.array(0.5)
    cut = {"eye": np.eye(4), "end": np.exp(-np.array(1.0))}
    yield base.but(variant="end-of-reach", kind="kink-near", params=chain, data=cut)


@family("three-bodies-bond", FINAL)
def three_bodies_bond(rng: Rng) -> Iterator[Draft]:
    """Stillinger and Weber's silicon: pairs and angles, smooth up to where the reach ends."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        gap = p.x[d.j] - p.x[d.i]
        r = xp.sqrt(xp.sum(gap**2, axis=1))
        near = real(r) < 1.8
        room = xp.where(near, r - 1.8, -1.0 + 0 * r)
        pair = near * 7.05 * (0.602 / r**4 - 1) * xp.exp(1 / room)
        u = gap / xp.reshape(r, (-1, 1))
        fade = near * xp.exp(1.2 / room)
        cosine = xp.sum(u[d.a] * u[d.b], axis=1)
        return 0.5 * xp.sum(pair) + p.angle * xp.sum(
            fade[d.a] * fade[d.b] * (cosine + d.third) ** 2
        )

    x = 1.1 * np.array([[0, 0, 0], [0.58, 0.58, 0.58], [-0.58, -0.58, 0.58], [-0.58, 0.58, -0.58]])
    x = np.concatenate([x, [[0.64, -0.6, -0.6]]]) + 0.03 * rng.normal(size=(5, 3))
    i, j = (k.ravel() for k in np.nonzero(1 - np.eye(5)))
    same = (i[:, None] == i) & (np.arange(20)[:, None] < np.arange(20))
    a, b = np.nonzero(same)
    data = {"i": i, "j": j, "a": a, "b": b, "third": np.array(1 / 3)}
    base = Draft("silicon", "smooth", f, {"x": x, "angle": np.array(21.0)}, data)
    yield base
    yield offset(base, -1e6)


@family("mean-field", FINAL)
def mean_field(rng: Rng) -> Iterator[Draft]:
    """Occupations of six sites in their own field: iterated with mixing until they stay."""

    def solver(p: Any, d: Any, xp: Any, tol: float) -> Any:
        n = d.start
        hop = p.hop * d.ring
        for _ in range(120):
            field = p.site + p.repel * (hop @ n)
            new = 0.2 * n + 0.8 / (1 + xp.exp(field))
            gap = moved(new, n)
            n = new
            if gap <= tol:
                break
        return xp.sum(n * p.site) + 0.5 * p.repel * n @ (hop @ n) + xp.sum((n - d.seen) ** 2)

    ring = np.roll(np.eye(6), 1, axis=0) + np.roll(np.eye(6), -1, axis=0)
    data = {"start": np.full(6, 0.5), "ring": ring, "seen": rng.random(6)}
    params = {"site": rng.normal(size=6), "hop": np.array(0.8), "repel": np.array(0.9)}
    for tol in (1e-6, 1e-9):
        yield stopped("ring", solver, params, data, tol)


@family("streaming-gas", FINAL)
def streaming_gas(rng: Rng) -> Iterator[Draft]:
    """Three steps of a lattice Boltzmann gas on a torus: collide, then stream."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        n = xp.exp(p.log_n) * xp.reshape(d.w, (9, 1, 1))
        rate = 1 / (0.5 + xp.exp(p.log_viscosity))
        for _ in range(3):
            rho = xp.sum(n, axis=0)
            ux = xp.sum(n * xp.reshape(d.cx, (9, 1, 1)), axis=0) / rho
            uy = xp.sum(n * xp.reshape(d.cy, (9, 1, 1)), axis=0) / rho
            cu = d.cx[:, None, None] * ux + d.cy[:, None, None] * uy
            even = d.w[:, None, None] * rho * (1 + 3 * cu + 4.5 * cu**2 - 1.5 * (ux**2 + uy**2))
            n = n + rate * (even - n)
            n = xp.reshape(xp.reshape(n, (-1,))[d.source], (9, 4, 4))
        return xp.sum((xp.sum(n, axis=0) - d.seen) ** 2)

    c = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
    cx, cy = np.array(c, float).T
    w = np.array([{0: 4 / 9, 1: 1 / 9, 2: 1 / 36}[abs(a) + abs(b)] for a, b in c])
    source = np.arange(144).reshape(9, 4, 4)
    source = np.stack([np.roll(s, step, axis=(0, 1)) for s, step in zip(source, c, strict=True)])
    data = {
        "source": source.ravel(),
        "cx": cx,
        "cy": cy,
        "w": w,
        "seen": rng.uniform(0.5, 1.5, (4, 4)),
    }
    params = {"log_n": 0.1 * rng.normal(size=(9, 4, 4)), "log_viscosity": np.array(-0.5)}
    base = Draft("torus", "smooth", f, params, data)
    yield base
    yield inside_float32(base)


@family("glow", FINAL)
def glow(rng: Rng) -> Iterator[Draft]:
    """Planck's law in SI units; what a body not yet red sends out."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        quantum = 6.62607015e-34 * 2.99792458e8 / (d.metre * 1.380649e-23 * p.kelvin)
        light = 1.191042972e-16 / d.metre**5 / (xp.exp(quantum) - 1)
        return xp.sum((p.emission * light / d.scale - d.seen) ** 2)

    data = {"metre": np.linspace(0.4e-6, 2.5e-6, 12), "scale": np.array(1e12)}
    data["seen"] = 3 * rng.random(12)
    params = {"kelvin": np.array(2900.0), "emission": np.array(0.4)}
    base = Draft("lamp", "scaled", f, params, data)
    yield base
    yield jittered(base, 1e-9)
    cold = {"kelvin": np.array(450.0), "emission": np.array(0.9)}
    yield base.but(variant="cold", kind="vanishing", params=cold)


@family("soil-water", FINAL)
def soil_water(rng: Rng) -> Iterator[Draft]:
    """Van Genuchten's curve: suction in centimetres to water content; saturated above a corner."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        n = 1 + xp.exp(p.log_n)
        head = relu(d.head - p.table, xp) + d.tiny
        share = (1 + (xp.exp(p.log_alpha) * head) ** n) ** (1 / n - 1)
        return xp.sum((p.water[0] + (p.water[1] - p.water[0]) * share - d.seen) ** 2)

    head = np.array([1.0, 5, 20, 60, 150, 500, 3000, 15000])
    data = {"head": head, "seen": rng.uniform(0.1, 0.4, 8), "tiny": np.array(1e-9)}
    params = {
        "log_n": np.array(-0.4),
        "log_alpha": np.array(-3.2),
        "water": np.array([0.06, 0.43]),
        "table": np.array(0.3),
    }
    base = Draft("loam", "smooth", f, params, data)
    yield base
    # Sand drains at once: two probes stand in the water, by 3e-8 and 2e-5 of a centimetre.
    sand = {"log_n": np.array(-4.0), "log_alpha": np.array(3.0), "water": params["water"]}
    sand["table"] = np.array(1.0)
    level = {**data, "head": np.r_[1 + 3e-8, 1 - 2e-5, head[2:]], "tiny": np.array(1e-4)}
    yield base.but(variant="at-the-table", kind="kink-near", params=sand, data=level)


@family("tight-binding", FINAL)
def tight_binding(rng: Rng) -> Iterator[Draft]:
    """Free inhibitor from Morrison's square root: next to nothing left of two large numbers."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        k = xp.exp(p.log_k)
        total = p.enzyme + d.dose + k
        free = 0.5 * (p.enzyme - d.dose - k + xp.sqrt(total**2 - 4 * p.enzyme * d.dose))
        return xp.sum((p.rate * free / p.enzyme - d.seen) ** 2)

    data = {"dose": np.array([0.0, 0.2, 0.5, 0.9, 1.4, 3.0]), "seen": rng.random(6)}
    params = {"log_k": np.array(-1.5), "enzyme": np.array(0.8), "rate": np.array(1.2)}
    base = Draft("weak", "smooth", f, params, data)
    yield base
    strong = {**params, "log_k": np.array(-16.0), "enzyme": np.array(0.9 + 2e-5)}
    yield base.but(variant="strong", kind="near-singular", params=strong)


@family("loops-of-phase", FINAL)
def loops_of_phase(rng: Rng) -> Iterator[Draft]:
    """Lattice gauge theory: angles on links, of which the energy reads whole loops only."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        g = p.gauge
        right = p.right + g - xp.roll(g, -1, axis=1)
        down = p.down + g - xp.roll(g, -1, axis=0)
        loop = right + xp.roll(down, -1, axis=1) - xp.roll(right, -1, axis=0) - down
        return xp.sum(d.beta * (1 - xp.cos(loop)))

    params = {k: rng.uniform(-3, 3, (3, 4)) for k in ("right", "down", "gauge")}
    data = {"beta": rng.uniform(0.5, 2, (3, 4))}
    yield Draft("torus", "zero-block", f, params, data, zero=("gauge",))


@family("levels-of-a-rotor", FINAL)
def levels_of_a_rotor(rng: Rng) -> Iterator[Draft]:
    """Partition sums over ten thousand levels at several temperatures; spin of the nuclei."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        j = d.j
        energy = p.turn[0] * j * (j + 1) - p.turn[1] * (j * (j + 1)) ** 2 * 1e-9
        total: Any = 0.0
        for kelvin, seen in zip(d.kelvin, d.seen, strict=True):
            z = xp.sum(d.weight * (2 * j + 1) * xp.exp(-energy / kelvin))
            total = total + (xp.log(z) - seen) ** 2
        return total

    j = np.arange(6000.0)
    data = {
        "j": j,
        "weight": np.where(j % 2, 3.0, 1.0),
        "kelvin": np.array([3e2, 1e4, 3e5]),
        "seen": np.array([7.0, 10.5, 14.0]),
    }
    yield Draft("hydrogen", "large-sum", f, {"turn": np.array([1.0, 0.02])}, data)

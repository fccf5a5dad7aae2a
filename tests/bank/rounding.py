"""Losses that carry rounding or unfinished work, and sums in which little is left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import FRESH, Draft, family
from .noise import moved, stopped
from .ops import logsumexp, real, sigmoid, softplus
from .variants import inside_float32, jittered, offset, shaken, with_unused

Rng = np.random.Generator


def printed(draft: Draft, digits: int) -> Draft:
    """As read from the output of another program, so many digits of it."""

    def loss(p: Any, d: Any, xp: Any) -> Any:
        return float(f"{float(draft.f(p, d, xp)):.{digits}g}")

    return draft.but(variant=f"{draft.variant}-{digits}-digits", kind="noisy", loss=loss)


@family("laplace-approximation", FRESH)
def laplace(rng: Rng) -> Iterator[Draft]:
    """Poisson counts in groups: the mode of each group's effect by Newton, to a tolerance."""

    def solver(p: Any, d: Any, xp: Any, tol: float) -> Any:
        tau, eta = xp.exp(-p.log_sd), xp.reshape(d.X @ p.beta, (6, 4))
        u = np.zeros(6)
        for _ in range(25):
            mu = xp.exp(eta + xp.reshape(u, (-1, 1)))
            slope = xp.sum(d.n - mu, axis=1) - tau**2 * u
            step = slope / (xp.sum(mu, axis=1) + tau**2)
            u = u + step
            if np.max(np.abs(real(step))) <= tol:
                break
        z = eta + xp.reshape(u, (-1, 1))
        curve = xp.sum(xp.exp(z), axis=1) + tau**2
        fit = xp.sum(xp.exp(z) - d.n * z) + 0.5 * xp.sum((tau * u) ** 2)
        return fit + 0.5 * xp.sum(xp.log(curve)) + 6 * p.log_sd

    data = {"X": rng.normal(size=(24, 3)), "n": rng.poisson(2.0, (6, 4)) * 1.0}
    params = {"beta": 0.4 * rng.normal(size=3), "log_sd": np.array(-0.4)}
    yield stopped("six-groups", solver, params, data, 1e-4)
    yield stopped("six-groups", solver, params, data, 1e-7)


@family("implicit-midpoint", FRESH)
def implicit_midpoint(rng: Rng) -> Iterator[Draft]:
    """Van der Pol's oscillator; each step iterated until it moves no more, to a tolerance."""

    def solver(p: Any, d: Any, xp: Any, tol: float) -> Any:
        y = p.start
        total: Any = 0.0
        for seen in d.seen:
            z = y
            for _ in range(24):
                m = 0.5 * (y + z)
                new = y + 0.1 * xp.stack([m[1], p.mu * (1 - m[0] ** 2) * m[1] - m[0]])
                done = moved(new, z) <= tol
                z = new
                if done and tol:
                    break
            y = z
            total = total + (y[0] - seen) ** 2
        return total

    params = {"start": np.array([1.3, -0.4]), "mu": np.array(0.8)}
    data = {"seen": rng.normal(size=8)}
    yield stopped("oscillator", solver, params, data, 1e-8)
    yield stopped("oscillator", solver, params, data, 1e-12)


@family("gauss-seidel", FRESH)
def gauss_seidel(rng: Rng) -> Iterator[Draft]:
    """Temperatures on a rod relaxed in place, conductivities unknown."""

    def solver(p: Any, d: Any, xp: Any, tol: float) -> Any:
        k = xp.exp(p.log_k)
        u: list[Any] = [0.0] * 8
        for _ in range(400):
            gap = 0.0
            for i in range(1, 7):
                new = (k[i - 1] * u[i - 1] + k[i] * u[i + 1] + d.heat[i]) / (k[i - 1] + k[i] + 0.3)
                gap = max(gap, abs(real(new) - real(u[i])))
                u[i] = new
            if gap <= tol:
                break
        return sum((u[i] - d.seen[i]) ** 2 for i in range(1, 7))

    data = {"heat": rng.normal(size=8), "seen": rng.normal(size=8)}
    params = {"log_k": 0.3 * rng.normal(size=7)}
    yield stopped("rod", solver, params, data, 1e-9)


@family("adaptive-steps", FRESH)
def adaptive_steps(rng: Rng) -> Iterator[Draft]:
    """Bogacki and Shampine's pair with step control; ideally the closed solution."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        u = xp.exp(-p.r * 2.0) * (1 / p.u0 - 1 / p.cap) + 1 / p.cap
        return (1 / u - 1.3) ** 2 + p.r**2

    def loss(p: Any, d: Any, xp: Any) -> Any:
        def rate(u: Any) -> Any:
            return p.r * u * (1 - u / p.cap)

        t, h, u = 0.0, 0.05, p.u0
        while t < 2.0:
            h = xp.minimum(h, 2.0 - t)
            a = rate(u)
            b = rate(u + 0.5 * h * a)
            c = rate(u + 0.75 * h * b)
            new = u + h / 9 * (2 * a + 3 * b + 4 * c)
            e = rate(new)
            off = h * (-5 / 72 * a + b / 12 + c / 9 - e / 8)
            size = xp.abs(off) + 1e-300
            if size <= d.tol:
                t, u = t + h, new
            h = h * xp.minimum(4.0, xp.maximum(0.2, 0.9 * (d.tol / size) ** (1 / 3)))
        return (u - 1.3) ** 2 + p.r**2

    params = {"u0": np.array(0.2), "r": np.array(1.4), "cap": np.array(1.9)}
    for tol in (1e-8, 1e-10):
        yield Draft(f"growth-{tol:.0e}", "noisy", f, params, {"tol": tol}, loss=loss, biased=True)


@family("elliptic-arc", FRESH)
def elliptic_arc(rng: Rng) -> Iterator[Draft]:
    """Perimeter of an ellipse by arithmetic and geometric means; a series cut at a tolerance."""

    def perimeter(p: Any, d: Any, xp: Any, tol: float) -> Any:
        a, b = p.axes[0], p.axes[1]
        total, power = (a**2 + b**2) / 2, 1.0
        for _ in range(8):
            a, b, c = (a + b) / 2, xp.sqrt(a * b), (a - b) / 2
            total = total - power * c**2
            power = 2 * power
            if abs(real(c)) <= tol:
                break
        return (2 * np.pi * total / a - 7) ** 2

    def bessel(p: Any, d: Any, xp: Any, tol: float) -> Any:
        quarter = p.x**2 / 4
        total: Any = 0.0
        term: Any = 1.0 + 0 * p.x
        for k in range(1, 60):
            total = total + term
            term = -term * quarter / (k * (k + d.order))
            if np.max(np.abs(real(term))) <= tol:
                break
        return xp.sum((total - d.y) ** 2)

    params = {"axes": np.array([1.7, 0.6])}
    yield stopped("means", perimeter, params, {}, 1e-4)
    data = {"y": rng.normal(size=5), "order": 1}
    x = {"x": rng.uniform(0.5, 6, 5)}
    yield stopped("bessel", bessel, x, data, 1e-9)
    yield Draft("bessel", "smooth", lambda p, d, xp: bessel(p, d, xp, 0.0), x, data)


@family("plume-program", FRESH)
def plume(rng: Rng) -> Iterator[Draft]:
    """Gaussian plume from a stack, read from the printed output of a program."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        spread = p.spread * d.x**0.9
        up = d.z - p.height
        down = d.z + p.height
        bell = xp.exp(-0.5 * (up / spread) ** 2) + xp.exp(-0.5 * (down / spread) ** 2)
        level = p.source / (p.wind * spread**2) * xp.exp(-0.5 * (d.y / spread) ** 2) * bell
        return xp.sum((xp.log(level + 1e-3) - d.seen) ** 2)

    def no_ground(p: Any, d: Any, xp: Any) -> Any:
        spread = p.spread * d.x**0.9
        bell = xp.exp(-0.5 * ((d.z - p.height) / spread) ** 2)
        level = p.source / (p.wind * spread**2) * xp.exp(-0.5 * (d.y / spread) ** 2) * bell
        return xp.sum((xp.log(level + 1e-3) - d.seen) ** 2)

    data = {"x": rng.uniform(1, 6, 15), "y": rng.normal(size=15) / 3, "z": rng.uniform(0, 1, 15)}
    data["seen"] = rng.normal(size=15)
    params = {
        "spread": np.array(0.35),
        "height": np.array(0.6),
        "source": np.array(2.5),
        "wind": np.array(1.4),
    }
    slips = {"reflection at the ground": no_ground}
    base = Draft("stack", "smooth", f, params, data, batch=15, slips=slips)
    yield base
    yield printed(base, 9)
    yield printed(base, 12)
    yield with_unused(base, rng)


@family("mixed-precision", FRESH)
def mixed_precision(rng: Rng) -> Iterator[Draft]:
    """Products in single precision, or the finished terms stored in it, the rest in double."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = xp.tanh(d.X @ p.W + p.b) @ p.v
        return xp.mean(softplus(z, xp) - d.y * z)

    def product(p: Any, d: Any, xp: Any) -> Any:
        single = d.X.astype(np.float32) @ p.W.astype(np.float32)
        z = xp.tanh(single.astype(float) + p.b) @ p.v
        return xp.mean(softplus(z, xp) - d.y * z)

    def stored(p: Any, d: Any, xp: Any) -> Any:
        z = xp.tanh(d.X @ p.W + p.b) @ p.v
        return np.mean((softplus(z, xp) - d.y * z).astype(np.float32).astype(float))

    def returned(p: Any, d: Any, xp: Any) -> Any:
        return np.float32(f(p, d, xp))

    data = {"X": rng.normal(size=(20, 5)), "y": rng.integers(2, size=20) * 1.0}
    params = {"W": rng.normal(size=(5, 4)), "b": rng.normal(size=4), "v": rng.normal(size=4)}
    for name, loss in (("product", product), ("stored", stored), ("returned", returned)):
        base = Draft(name, "float32-inside", f, params, data, loss=loss, batch=20)
        yield base.but(biased=name == "product")


@family("free-energy", FRESH)
def free_energy(rng: Rng) -> Iterator[Draft]:
    """Difference of two partition sums over many states; discrepancy of two large samples."""

    def perturbed(p: Any, d: Any, xp: Any) -> Any:
        energy = d.F @ p.k
        return logsumexp(-energy, xp) - logsumexp(-energy - d.F[:, 0] * p.shift, xp)

    def discrepancy(p: Any, d: Any, xp: Any) -> Any:
        x = d.X + p.shift

        def mean(a: Any, b: Any) -> Any:
            r2 = xp.sum((a[:, None] - b[None]) ** 2, axis=-1)
            return xp.mean(xp.exp(-0.5 * r2 * xp.exp(-2 * p.log_width)))

        return mean(x, x) + mean(d.Y, d.Y) - 2 * mean(x, d.Y)

    data = {"F": rng.gamma(2.0, 1.0, (40_000, 3))}
    params = {"k": np.array([0.7, 0.4, 1.1]), "shift": np.array(0.01)}
    yield Draft("perturbation", "large-sum", perturbed, params, data)
    data = {"X": rng.normal(size=(110, 2)), "Y": rng.normal(size=(120, 2))}
    params = {"shift": np.array([0.05, -0.02]), "log_width": np.array(0.3)}
    yield Draft("discrepancy", "large-sum", discrepancy, params, data)


@family("alternating-sums", FRESH)
def alternating(rng: Rng) -> Iterator[Draft]:
    """Terms of both signs that nearly cancel: lattice sums, and a slow Fourier series."""

    def madelung(p: Any, d: Any, xp: Any) -> Any:
        r = xp.sqrt((d.i + p.at[0]) ** 2 + (d.j + p.at[1]) ** 2 + p.lift**2)
        return xp.sum(d.sign / r)

    def square_wave(p: Any, d: Any, xp: Any) -> Any:
        k = d.k
        return xp.sum(xp.sin(k * p.phase) * p.amplitude / k * 1.2732395) - 1e3 * (p.amplitude - 1)

    grid = np.arange(-60.0, 61.0)
    i, j = (a.ravel() for a in np.meshgrid(grid, grid))
    data = {"i": i, "j": j, "sign": np.where((i + j) % 2 == 0, 1.0, -1.0)}
    params = {"at": np.array([0.2, 0.4]), "lift": np.array(0.5)}
    yield Draft("madelung", "large-sum", madelung, params, data)
    wave = {"phase": np.array(0.8), "amplitude": np.array(1.01)}
    yield Draft("square-wave", "curvature", square_wave, wave, {"k": np.arange(1.0, 4001.0, 2)})


@family("removable-singularities", FRESH)
def removable(rng: Rng) -> Iterator[Draft]:
    """0 / 0 computed as it stands: yields over a short time, and smiles at the money."""

    def annuity(p: Any, d: Any, xp: Any) -> Any:
        short = (1 - xp.exp(-d.t / p.tau)) / (d.t / p.tau)
        rate = p.beta[:1] + p.beta[1:2] * short + p.beta[2:] * (short - xp.exp(-d.t / p.tau))
        return xp.sum((rate - d.y) ** 2)

    def smile(p: Any, d: Any, xp: Any) -> Any:
        z = p.nu / p.alpha * xp.log(p.forward / d.strike)
        root = xp.sqrt(1 - 2 * p.rho * z + z**2)
        x = xp.log((root + z - p.rho) / (1 - p.rho))
        return xp.sum((p.alpha * z / x - d.vol) ** 2)

    data = {"t": np.array([0.25, 1, 2, 5, 10, 30]), "y": 0.02 + 0.01 * rng.random(6)}
    params = {"beta": np.array([0.04, -0.02, 0.01]), "tau": np.array(1.8)}
    base = Draft("nelson-siegel", "smooth", annuity, params, data)
    yield base
    yield offset(base, 1e3)
    days = {"t": np.array([1e-4, 3e-4, 1e-3, 1, 5, 30]), "y": data["y"]}
    yield base.but(variant="overnight", kind="near-singular", data=days)
    strikes = {"strike": np.array([0.8, 0.9, 1.1, 1.25]), "vol": np.array([0.24, 0.22, 0.2, 0.21])}
    params = {
        "alpha": np.array(0.2),
        "nu": np.array(0.5),
        "rho": np.array(-0.3),
        "forward": np.array(1.01),
    }
    yield Draft("smile", "smooth", smile, params, strikes)
    money = {**strikes, "strike": np.array([0.8, 1.01 - 2e-4, 1.1, 1.25])}
    yield Draft("at-the-money", "near-singular", smile, params, money)


@family("extreme-exponents", FRESH)
def exponents(rng: Rng) -> Iterator[Draft]:
    """Exponentials just below the overflow, and logistic terms far down their tails."""

    def naive(p: Any, d: Any, xp: Any) -> Any:
        return xp.log(xp.sum(xp.exp(p.x))) + 0.01 * xp.sum(p.x**2)

    def tails(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum(xp.log1p(xp.exp(-p.x))) + xp.sum(sigmoid(p.x - 40.0, xp))

    x = np.array([709.2, 705.0, 708.0, 690.0])
    base = Draft("overflow", "near-singular", naive, {"x": x})
    yield base
    yield base.but(variant="overflow-raises", invalid="raise")
    yield Draft("tails", "vanishing", tails, {"x": np.array([15.0, 18.0, 21.0, 16.5])})


@family("resonances", FRESH)
def resonances(rng: Rng) -> Iterator[Draft]:
    """Lines so narrow that a data point is on a flank or misses them; an etalon's fringes."""

    def lines(p: Any, d: Any, xp: Any) -> Any:
        gap = (xp.reshape(d.e, (-1, 1)) - p.at) / (0.5 * p.width)
        return xp.sum((d.y - xp.sum(p.height / (1 + gap**2), axis=1)) ** 2)

    def etalon(p: Any, d: Any, xp: Any) -> Any:
        phase = 2 * np.pi * p.gap / d.wavelength
        finesse = 4 * p.mirror / (1 - p.mirror) ** 2
        return xp.mean((1 / (1 + finesse * xp.sin(phase) ** 2) - d.seen) ** 2)

    e = np.linspace(0, 10, 41)
    data = {"e": e, "y": rng.random(41)}
    params = {
        "at": np.array([2.1, 5.3, 7.7]),
        "width": np.array([0.8, 1.5, 0.6]),
        "height": rng.uniform(0.5, 1.5, 3),
    }
    base = Draft("wide", "smooth", lines, params, data)
    yield base
    yield shaken(base, 1e-7)
    fine = np.linspace(0, 10, 20_000)
    scan = {"e": fine, "y": rng.poisson(3.0, 20_000) / 3}
    yield base.but(variant="20000-points", kind="large-sum", data=scan)
    narrow = {**params, "at": e[[8, 21, 31]] + 2e-5, "width": np.array([5e-5, 1e-4, 3e-5])}
    yield base.but(variant="narrow", kind="curvature", params=narrow)
    fringes = {"wavelength": np.linspace(0.5, 0.6, 12), "seen": rng.random(12)}
    mirrors = {"gap": np.array(40.0), "mirror": np.array(0.97)}
    etalons = Draft("etalon", "curvature", etalon, mirrors, fringes)
    yield etalons
    yield inside_float32(
        etalons.but(variant="thin-etalon", params={"gap": np.array(0.7), "mirror": np.array(0.3)})
    )


@family("penalised-constraint", FRESH)
def penalised(rng: Rng) -> Iterator[Draft]:
    """A constraint held by a penalty of 1e8, close to the surface; and a small gauge term."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        return d.c @ p.x + d.weight * (xp.sum(p.x**2) - 1) ** 2 + 1e-9 * xp.sum(xp.cos(p.gauge))

    x = rng.normal(size=5)
    x = x / np.sqrt(np.sum(x**2))
    params = {"x": x * (1 + 1e-9), "gauge": rng.normal(size=3)}
    base = Draft("sphere", "curvature", f, params, {"c": rng.normal(size=5), "weight": 1e8})
    yield base
    loose = base.but(variant="loose", kind="vanishing", data={**base.data, "weight": 1.0})
    yield loose
    yield jittered(loose, 1e-10)

"""Measurements of far and hidden things: rays, arrivals, satellites, echoes, spins, pulsars."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from .base import FINAL, Draft, family
from .noise import stopped
from .ops import larger, real
from .rounding import printed
from .special import log_i0
from .variants import inside_float32, offset, rescaled, with_unused

Rng = np.random.Generator


@family("beam-hardening", FINAL)
def beam_hardening(rng: Rng) -> Iterator[Draft]:
    """Tomography with a lamp of three colours: counts behind a body, behind metal hardly any."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        paths = d.A @ p.density
        colours = xp.exp(xp.reshape(p.log_lamp, (1, 3)) - xp.reshape(paths, (-1, 1)) * d.absorb)
        counts = xp.sum(colours, axis=1) + d.dark
        return xp.sum(counts - d.n * xp.log(counts)) / d.norm

    def one_colour(p: Any, d: Any, xp: Any) -> Any:
        paths = d.A @ p.density
        counts = xp.sum(xp.exp(p.log_lamp)) * xp.exp(-paths * d.absorb[1]) + d.dark
        return xp.sum(counts - d.n * xp.log(counts)) / d.norm

    def scan(rays: int) -> dict[str, Any]:
        A = rng.random((rays, 9)) * (rng.random((rays, 9)) < 0.4)
        return {
            "A": A,
            "absorb": np.array([0.5, 1.0, 2.2]),
            "n": rng.poisson(60 * np.exp(-A.sum(axis=1))) * 1.0,
            "dark": np.array(0.3),
            "norm": rays / 10,
        }

    params = {"density": rng.uniform(0.5, 1.5, 9), "log_lamp": np.array([2.5, 3.2, 3.0])}
    base = Draft("body", "smooth", f, params, scan(25), slips={"one colour": one_colour})
    yield base
    yield inside_float32(base)
    yield base.but(variant="2500-rays", kind="large-sum", data=scan(2500), slips={})
    metal = {**params, "density": params["density"] + 40.0}
    yield base.but(variant="metal", kind="vanishing", params=metal, slips={})


@family("first-arrivals", FINAL)
def first_arrivals(rng: Rng) -> Iterator[Draft]:
    """Where an earthquake was: the direct wave or the one along the layer below is first."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        away = xp.sqrt((d.x - p.at[0]) ** 2 + (d.y - p.at[1]) ** 2)
        up, down = p.speed[0], p.speed[1]
        direct = xp.sqrt(away**2 + p.at[2] ** 2) / up
        lag = xp.sqrt(1 / up**2 - 1 / down**2)
        along = away / down + (2 * p.layer - p.at[2]) * lag
        first = p.start - larger(-direct, -along, xp)
        return xp.sum((first - d.seen) ** 2)

    x, y = rng.uniform(-150, 150, (2, 12))
    params = {
        "at": np.array([12.0, -7.0, 9.0]),
        "start": np.array(0.4),
        "speed": np.array([5.8, 8.0]),
        "layer": np.array(31.0),
    }
    seen = np.hypot(x, y) / 7 + 1 + 0.3 * rng.normal(size=12)
    base = Draft("kilometres", "smooth", f, params, {"x": x, "y": y, "seen": seen}, batch=12)
    yield base
    metres = {k: v if k == "start" else 1e3 * v for k, v in params.items()}
    data = {"x": 1e3 * x, "y": 1e3 * y, "seen": seen}
    yield base.but(variant="metres", kind="scaled", params=metres, data=data)
    # A station where both waves arrive within a microsecond, and another.
    lag = np.sqrt(1 / 5.8**2 - 1 / 8.0**2)
    low, high = 30.0, 400.0
    for _ in range(60):
        mid = 0.5 * (low + high)
        late = np.hypot(mid, 9.0) / 5.8 - mid / 8.0 - (62 - 9.0) * lag
        low, high = (low, mid) if late > 0 else (mid, high)
    close = {"x": x.copy(), "y": y.copy(), "seen": seen}
    close["x"][:2], close["y"][:2] = 12.0 + np.array([low + 2e-6, 0.0]), [-7.0, -7.0 - low + 3e-4]
    yield base.but(variant="both-at-once", kind="kink-near", data=close)


@family("geodesic-line", FINAL)
def geodesic_line(rng: Rng) -> Iterator[Draft]:
    """Vincenty's iteration for distances on the ellipsoid in degrees and metres."""

    def solver(p: Any, d: Any, xp: Any, tol: float) -> Any:
        rad, a, b = d.radian, d.axes[0], d.axes[1]
        flat = 1 - b / a
        u1, u2 = (xp.arctan((1 - flat) * xp.tan(z * rad)) for z in (p.place[0], d.latitude))
        s1, c1, s2, c2 = xp.sin(u1), xp.cos(u1), xp.sin(u2), xp.cos(u2)
        apart = (d.longitude - p.place[1]) * rad
        lam = apart
        for _ in range(14):
            sl, cl = xp.sin(lam), xp.cos(lam)
            ss = xp.sqrt((c2 * sl) ** 2 + (c1 * s2 - s1 * c2 * cl) ** 2)
            cs = s1 * s2 + c1 * c2 * cl
            sigma = 2 * xp.arctan(ss / (1 + cs))
            sa = c1 * c2 * sl / ss
            ca2 = 1 - sa**2
            cm = cs - 2 * s1 * s2 / ca2
            C = flat / 16 * ca2 * (4 + flat * (4 - 3 * ca2))
            new = apart + (1 - C) * flat * sa * (sigma + C * ss * (cm + C * cs * (-1 + 2 * cm**2)))
            gap = np.max(np.abs(real(new) - real(lam)))
            lam = new
            if gap <= tol:
                break
        u = ca2 * (a**2 - b**2) / b**2
        A = 1 + u / 16384 * (4096 + u * (-768 + u * (320 - 175 * u)))
        B = u / 1024 * (256 + u * (-128 + u * (74 - 47 * u)))
        less = B * ss * (cm + B / 4 * cs * (-1 + 2 * cm**2))
        return xp.sum(((b * A * (sigma - less) - d.seen) / 1e3) ** 2) + p.height**2

    data = {
        "radian": np.array(np.pi / 180),
        "axes": np.array([6378137.0, 6356752.314245]),
        "latitude": np.array([48.85, 40.42, 55.75, 37.98]),
        "longitude": np.array([2.35, -3.7, 37.62, 23.73]),
        "seen": np.array([8.9e5, 1.87e6, 1.6e6, 1.81e6]),
    }
    params = {"place": np.array([52.52, 13.4]), "height": np.array(0.034)}
    whole = Draft("cities", "scaled", lambda p, d, xp: solver(p, d, xp, 0.0), params, data)
    yield whole
    yield stopped("cities", solver, params, data, 1e-7)


@family("volcano-source", FINAL)
def volcano(rng: Rng) -> Iterator[Draft]:
    """Mogi's point source: millimetres at the surface from a million cubic metres below."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        gap = d.at - p.at[:2]
        r2 = xp.sum(gap**2, axis=1) + p.at[2] ** 2
        push = 0.75 / 3.1415927 * p.volume / (r2 * xp.sqrt(r2))
        up, side = push * p.at[2], xp.reshape(push, (-1, 1)) * gap
        tilt = d.at @ p.ramp
        return xp.sum(((up + tilt - d.up) / 2e-3) ** 2) + xp.sum(((side - d.side) / 1e-3) ** 2)

    at = rng.uniform(-8e3, 8e3, (14, 2))
    data = {"at": at, "up": 5e-3 * rng.normal(size=14), "side": 5e-3 * rng.normal(size=(14, 2))}
    params = {
        "at": np.array([400.0, -900.0, 3500.0]),
        "volume": np.array(1.3e6),
        "ramp": np.array([1e-7, -2e-7]),
    }
    base = Draft("si", "scaled", f, params, data, batch=14)
    yield base
    yield offset(base, 1e7)
    yield inside_float32(base)


@family("satellite-ranges", FINAL)
def satellite_ranges(rng: Rng) -> Iterator[Draft]:
    """A receiver's place from ranges of 2e7 m; from the wide lane, but for whole turns."""

    def ranges(p: Any, d: Any, xp: Any) -> Any:
        r = xp.sqrt(xp.sum((d.sky - p.at) ** 2, axis=1))
        turn = d.spin * (d.sky[:, 0] * p.at[1] - d.sky[:, 1] * p.at[0])
        return r + turn + p.clock

    def code(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum((ranges(p, d, xp) - d.seen) ** 2) / 25

    def carrier(p: Any, d: Any, xp: Any) -> Any:
        cycles = (ranges(p, d, xp) - d.seen) / 0.862
        return xp.sum((cycles - np.round(real(cycles))) ** 2)

    up = rng.normal(size=(8, 3)) + np.array([1.5, 0.5, 2.0])
    sky = 2.66e7 * up / np.sqrt(np.sum(up**2, axis=1, keepdims=True))
    at = np.array([3.77e6, 9.0e5, 5.04e6])
    data = {"sky": sky, "spin": np.array(7.2921151e-5 / 299792458.0)}
    whole = ranges(SimpleNamespace(at=at, clock=2800.0), SimpleNamespace(**data), np)
    data["seen"] = whole + 6 * rng.normal(size=8)
    params = {"at": at, "clock": np.array(2800.0)}
    yield Draft("code", "scaled", code, params, data, batch=8, error=1e-12)
    turns = 0.862 * (rng.integers(-9, 9, 8) + rng.uniform(-0.35, 0.35, 8))
    turned = {**data, "seen": whole + turns}
    yield Draft("wide-lane", "scaled", carrier, params, turned, error=2e-11)


@family("room-echoes", FINAL)
def room_echoes(rng: Rng) -> Iterator[Draft]:
    """Images of a source behind the walls; at high pitch the sum is all interference."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        image = (1 - 2 * (d.order % 2)) * p.source + 2 * p.room * d.half
        r = xp.sqrt(xp.sum((image - d.ear) ** 2, axis=1))
        level = xp.exp(-xp.exp(p.log_loss) * d.bounces) / r
        phase = xp.reshape(r, (1, -1)) * xp.reshape(d.wave, (-1, 1))
        a, b = xp.cos(phase) @ level, xp.sin(phase) @ level
        return xp.mean((xp.log(a**2 + b**2) - d.seen) ** 2)

    order = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 2), -1).reshape(-1, 2)
    data = {
        "order": order,
        "half": np.ceil(order / 2),
        "bounces": np.sum(np.abs(order), axis=1) * 1.0,
        "ear": np.array([2.9, 1.1]),
        "wave": np.array([1.1, 2.0, 3.3]),
        "seen": rng.normal(size=3),
    }
    params = {
        "source": np.array([1.2, 2.1]),
        "room": np.array([5.0, 4.0]),
        "log_loss": np.array(-1.0),
    }
    base = Draft("bass", "smooth", f, params, data)
    yield base
    yield base.but(variant="hiss", kind="curvature", data={**data, "wave": 160 * data["wave"]})


@family("pupil-phase", FINAL)
def pupil_phase(rng: Rng) -> Iterator[Draft]:
    """A star seen through aberrations: the square of a Fourier transform of the pupil."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        wave = d.modes @ p.waves
        a, b = d.cos @ xp.cos(wave), d.sin @ xp.cos(wave)
        c, e = d.cos @ xp.sin(wave), d.sin @ xp.sin(wave)
        image = ((a - e) ** 2 + (b + c) ** 2) / d.cos.shape[1]
        return xp.mean((p.flux * image + p.sky - d.seen) ** 2)

    grid = np.linspace(-1, 1, 9)
    x, y = (g.ravel() for g in np.meshgrid(grid, grid))
    x, y = x[x**2 + y**2 <= 1], y[x**2 + y**2 <= 1]
    r2 = x**2 + y**2
    modes = np.stack([x, y, 2 * r2 - 1, x**2 - y**2, 2 * x * y, (3 * r2 - 2) * x], axis=1)
    u, v = rng.uniform(-4, 4, (2, 20))
    angle = np.outer(u, x) + np.outer(v, y)
    data = {"modes": modes, "cos": np.cos(angle), "sin": np.sin(angle), "seen": rng.random(20)}
    params = {"waves": rng.normal(size=6) / 2, "flux": np.array(1.2), "sky": np.array(0.05)}
    base = Draft("slight", "smooth", f, params, data)
    yield base
    yield inside_float32(base)
    yield printed(base, 8)
    strong = {**params, "waves": 300 * params["waves"]}
    yield base.but(variant="strong", kind="curvature", params=strong)


@family("polarimeter", FINAL)
def polarimeter(rng: Rng) -> Iterator[Draft]:
    """Stokes vectors through a turned plate and an analyser; a plate that does not retard."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        c, s = xp.cos(2 * (p.plate + d.turn)), xp.sin(2 * (p.plate + d.turn))
        k, m = xp.cos(p.retard), xp.sin(p.retard)
        q = (c**2 + s**2 * k) * p.stokes[1] + c * s * (1 - k) * p.stokes[2] - s * m * p.stokes[3]
        u = c * s * (1 - k) * p.stokes[1] + (s**2 + c**2 * k) * p.stokes[2] + c * m * p.stokes[3]
        seen = 0.5 * (p.stokes[0] + d.way * (q * xp.cos(2 * p.axis) + u * xp.sin(2 * p.axis)))
        return xp.sum((seen - d.seen) ** 2)

    turn = np.linspace(0, np.pi, 12, endpoint=False)
    data = {"turn": turn, "way": np.where(np.arange(12) % 2, -1.0, 1.0), "seen": rng.random(12)}
    params = {
        "stokes": np.array([1.0, 0.3, -0.2, 0.5]),
        "plate": np.array(0.2),
        "retard": np.array(1.4),
        "axis": np.array(-0.1),
    }
    base = Draft("quarter-wave", "smooth", f, params, data)
    yield base
    glass = {**params, "retard": np.array(0.0)}
    yield base.but(variant="glass", kind="zero-block", params=glass, zero=("plate",))


@family("earth-currents", FINAL)
def earth_currents(rng: Rng) -> Iterator[Draft]:
    """Magnetotelluric sounding: impedance of layers from periods of 1e-3 s to 1e3 s."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        half = 6.2831853e-7 * 6.2831853 / d.period
        a, b = xp.sqrt(half * p.ohm[-1]), xp.sqrt(half * p.ohm[-1])
        for j in range(p.thick.size - 1, -1, -1):
            own = xp.sqrt(half * p.ohm[j])
            depth = p.thick[j] * xp.sqrt(half / p.ohm[j])
            # The part reflected at the lower edge, (own (1 + i) - z) / (own (1 + i) + z).
            n, m, u, v = own - a, own - b, own + a, own + b
            size = u**2 + v**2
            r, q = (n * u + m * v) / size, (m * u - n * v) / size
            fall, c, s = xp.exp(-2 * depth), xp.cos(2 * depth), xp.sin(2 * depth)
            x, y = fall * (r * c + q * s), fall * (q * c - r * s)
            # (1 - w) / (1 + w) times the layer's own impedance.
            below = (1 + x) ** 2 + y**2
            g, h = (1 - x**2 - y**2) / below, -2 * y / below
            a, b = own * (g - h), own * (g + h)
        apparent = (a**2 + b**2) / (2 * half)
        return xp.sum((xp.log(apparent) - d.seen) ** 2)

    data = {"period": np.logspace(-3, 3, 13), "seen": 4 + rng.normal(size=13)}
    params = {"ohm": np.array([80.0, 9.0, 2500.0, 40.0]), "thick": np.array([250.0, 900.0, 2.4e4])}
    base = Draft("layers", "scaled", f, params, data)
    yield base
    yield rescaled(base.but(variant="odd-units"), rng, 6)


@family("diffusion-tensor", FINAL)
def diffusion_tensor(rng: Rng) -> Iterator[Draft]:
    """Rice's likelihood of a magnetic resonance signal, the tensor by its triangular root."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        low = d.g @ p.root[:3]
        mid = p.root[3] * d.g[:, 1] + p.root[4] * d.g[:, 2]
        last = p.root[5] * d.g[:, 2]
        signal = xp.exp(p.log_s0 - d.b * (low**2 + mid**2 + last**2))
        z = d.m / xp.exp(2 * p.log_noise)
        power = 0.5 * (signal**2 + d.m**2) * xp.exp(-2 * p.log_noise)
        return xp.sum(power + 2 * p.log_noise - log_i0(z * signal, xp))

    g = rng.normal(size=(16, 3))
    g = g / np.sqrt(np.sum(g**2, axis=1, keepdims=True))
    data = {"g": g, "b": np.where(np.arange(16) % 4, 1000.0, 0.0)}
    data["m"] = np.exp(-data["b"] * 1e-3) + 0.1 * rng.random(16)
    params = {
        "root": np.array([3.4e-2, 5e-3, -3e-3, 2.6e-2, 2e-3, 2e-2]),
        "log_s0": np.array(0.05),
        "log_noise": np.array(-0.9),
    }
    base = Draft("voxel", "smooth", f, params, data, batch=16)
    yield base
    yield with_unused(base, rng, ())


@family("struck-string", FINAL)
def struck_string(rng: Rng) -> Iterator[Draft]:
    """Partials of a stiff string, each with a decay of its own, over a second of samples."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        k = d.k
        pitch = p.pitch * k * xp.sqrt(1 + p.stiffness * k**2)
        angle = 6.2831853 * xp.reshape(pitch, (-1, 1)) * d.t
        fall = xp.exp(-xp.reshape(p.decay[0] + p.decay[1] * k**2, (-1, 1)) * d.t)
        return xp.mean((p.level @ (fall * xp.sin(angle)) - d.y) ** 2)

    params = {
        "pitch": np.array(110.0),
        "stiffness": np.array(2e-4),
        "decay": np.array([1.5, 0.05]),
        "level": 0.5 ** np.arange(5.0) * rng.choice([-1.0, 1.0], 5),
    }
    t = np.arange(150) / 150.0
    data = {"k": np.arange(1.0, 6.0), "t": t, "y": rng.normal(size=150)}
    yield Draft("a-second", "curvature", f, params, data, batch=150)


@family("pulsar", FINAL)
def pulsar(rng: Rng) -> Iterator[Draft]:
    """Turns counted over a month, slowing by 1e-15; the observer goes round a sun."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        t = d.t + 499.0 * xp.cos(p.place[1]) * xp.cos(d.year - p.place[0])
        turns = p.spin[0] * t + 0.5 * p.spin[1] * t**2
        return xp.sum((turns - d.turns) ** 2) / 1e-2

    t = np.sort(rng.uniform(0, 3e6, 20))
    params = {"spin": np.array([0.747, -3.7e-15]), "place": np.array([1.46, 0.38])}
    data = {"t": t, "year": 1.99e-7 * t}
    place = params["place"]
    late = t + 499.0 * np.cos(place[1]) * np.cos(data["year"] - place[0])
    whole = params["spin"][0] * late + 0.5 * params["spin"][1] * late**2
    data["turns"] = whole + 0.1 * rng.normal(size=20)
    yield Draft("slow", "scaled", f, params, data, batch=20)

"""More test functions of optimisation, and nonlinear regressions of measured curves.

From the same collections as `functions`, from CUTEst, and from the nonlinear regressions of the
Statistical Reference Datasets of NIST, whose observations are replaced by the model's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import FRESH, Draft, family
from .functions import classic, spread
from .variants import inside_float32, jittered, offset, rescaled

Rng = np.random.Generator


@classic("bard", FRESH, [1.0, 1.0, 1.0], [0.08, 1.1, 2.3], extra="noisy")
def bard(x: Any, xp: Any) -> Any:
    u = np.arange(1.0, 16.0)
    v = 16 - u
    y = 0.14 + 0.03 * u + 4.0 * (u / 15) ** 8
    return xp.sum((y - x[:1] - u / (v * x[1:2] + np.minimum(u, v) * x[2:])) ** 2)


@classic("kowalik-osborne", FRESH, [0.25, 0.39, 0.415, 0.39])
def kowalik_osborne(x: Any, xp: Any) -> Any:
    u = np.array([4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])
    y = 0.2 * u * (u + 0.2) / (u**2 + 0.1 * u + 0.14)
    return xp.sum((y - x[:1] * (u**2 + u * x[1:2]) / (u**2 + u * x[2:3] + x[3:])) ** 2)


@classic("brown-dennis", FRESH, [25.0, 5.0, -5.0, -1.0], [-11.6, 13.2, -0.4, 0.2])
def brown_dennis(x: Any, xp: Any) -> Any:
    t = np.arange(1, 21) / 5
    first = x[:1] + t * x[1:2] - np.exp(t)
    return xp.sum((first**2 + (x[2:3] + x[3:] * np.sin(t) - np.cos(t)) ** 2) ** 2)


@classic("dixon-price", FRESH, spread(15, -2, 2), extra="unused offset")
def dixon_price(x: Any, xp: Any) -> Any:
    i = np.arange(2, x.size + 1)
    return (x[0] - 1) ** 2 + xp.sum(i * (2 * x[1:] ** 2 - x[:-1]) ** 2)


@classic("drop-wave", FRESH, [0.7, -0.4], [3.1, 2.2])
def drop_wave(x: Any, xp: Any) -> Any:
    r2 = xp.sum(x**2)
    return -(1 + xp.cos(12 * xp.sqrt(r2))) / (0.5 * r2 + 2)


@classic("keane-bump", FRESH, spread(10, 0.5, 6), extra="float32")
def keane_bump(x: Any, xp: Any) -> Any:
    top = xp.sum(xp.cos(x) ** 4) - 2 * xp.prod(xp.cos(x) ** 2)
    return -top / xp.sqrt(xp.sum(np.arange(1, x.size + 1) * x**2))


@classic("whitley", FRESH, spread(5, -3, 3))
def whitley(x: Any, xp: Any) -> Any:
    a, b = xp.reshape(x, (-1, 1)), xp.reshape(x, (1, -1))
    inner = 100 * (a**2 - b) ** 2 + (1 - b) ** 2
    return xp.sum(inner**2 / 4000 - xp.cos(inner) + 1)


@classic("weierstrass", FRESH, spread(4, -0.5, 0.5), kind="curvature")
def weierstrass(x: Any, xp: Any) -> Any:
    """Fourteen terms: the last has an amplitude of 1e-4 and a wavelength of 1e-6."""
    return sum(0.5**k * xp.sum(xp.cos(2 * np.pi * 3.0**k * (x + 0.5))) for k in range(14))


@classic("engval", FRESH, spread(200, 0, 2))
def engval(x: Any, xp: Any) -> Any:
    return xp.sum((x[:-1] ** 2 + x[1:] ** 2) ** 2) + xp.sum(3 - 4 * x[:-1])


@classic("broyden-banded", FRESH, spread(30, -1, 0.2), extra="scaled")
def broyden_banded(x: Any, xp: Any) -> Any:
    i = np.arange(x.size)
    gap = i[None] - i[:, None]
    band = ((gap >= -5) & (gap <= 1) & (gap != 0)) * 1.0
    return xp.sum((x * (2 + 5 * x**2) + 1 - band @ (x * (1 + x))) ** 2)


@classic("trid", FRESH, spread(50, -20, 60))
def trid(x: Any, xp: Any) -> Any:
    return xp.sum((x - 1) ** 2) - xp.sum(x[1:] * x[:-1])


@classic("langermann", FRESH, [2.1, 1.3], [8.7, 5.9])
def langermann(x: Any, xp: Any) -> Any:
    at = np.array([[3.0, 5.0], [5.0, 2.0], [2.0, 1.0], [1.0, 4.0], [7.0, 9.0]])
    r2 = xp.sum((x - at) ** 2, axis=1)
    return xp.sum(np.array([1.0, 2, 5, 2, 3]) * xp.exp(-r2 / np.pi) * xp.cos(np.pi * r2))


@family("nist-decay", FRESH)
def nist_decay(rng: Rng) -> Iterator[Draft]:
    """Misra's, Bennett's and Thurber's: parameters apart by many orders of magnitude."""

    def misra(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum((d.y - p.b[:1] * (1 - xp.exp(-p.b[1:] * d.x))) ** 2)

    def bennett(p: Any, d: Any, xp: Any) -> Any:
        return xp.sum((d.y - p.b[:1] * xp.exp(-xp.log(p.b[1:2] + d.x) / p.b[2:])) ** 2)

    def thurber(p: Any, d: Any, xp: Any) -> Any:
        x, b = d.x, p.b
        top = b[:1] + x * (b[1:2] + x * (b[2:3] + x * b[3:4]))
        return xp.sum((d.y - top / (1 + x * (b[4:5] + x * (b[5:6] + x * b[6:7])))) ** 2)

    x = np.linspace(77.6, 760, 14)
    data = {"x": x, "y": 239 * (1 - np.exp(-5.5e-4 * x)) + 0.1 * rng.normal(size=14)}
    for i, start in enumerate(([500.0, 1e-4], [250.0, 5e-4])):
        yield Draft(f"misra-{i}", "scaled", misra, {"b": np.array(start)}, data)
    x = np.linspace(7.4, 42, 30)
    y = -2523.5 * (46.7 + x) ** (-1 / 0.932) + 0.01 * rng.normal(size=30)
    yield Draft("bennett", "scaled", bennett, {"b": np.array([-2000.0, 50, 0.8])}, {"x": x, "y": y})
    start = {"b": np.array([1300.0, 1500, 500, 75, 1, 0.4, 0.05])}
    data = {"x": np.linspace(-3, 2.2, 37), "y": 80 + 1400 * rng.random(37)}
    yield Draft("thurber", "scaled", thurber, start, data)


@family("nist-peak", FRESH)
def nist_peak(rng: Rng) -> Iterator[Draft]:
    """Eckerle's transmittance, and Ratkowsky's growth curve."""

    def eckerle(p: Any, d: Any, xp: Any) -> Any:
        z = (d.x - p.b[2:]) / p.b[1:2]
        return xp.sum((d.y - p.b[:1] / p.b[1:2] * xp.exp(-0.5 * z**2)) ** 2)

    def ratkowsky(p: Any, d: Any, xp: Any) -> Any:
        grown = 1 + xp.exp(p.b[1:2] - p.b[2:3] * d.x)
        return xp.sum((d.y - p.b[:1] * xp.exp(-xp.log(grown) / p.b[3:])) ** 2)

    x = np.linspace(400, 500, 35)
    y = 1.55 / 4.09 * np.exp(-0.5 * ((x - 451.5) / 4.09) ** 2) + 0.003 * rng.normal(size=35)
    for i, start in enumerate(([1.5, 5.0, 450.0], [1.0, 10.0, 500.0])):
        yield Draft(f"eckerle-{i}", "smooth", eckerle, {"b": np.array(start)}, {"x": x, "y": y})
    # A guess so far off that no observation is under the peak.
    far = {"b": np.array([1.0, 10.0, 590.0])}
    yield Draft("eckerle-far", "vanishing", eckerle, far, {"x": x, "y": y})
    data = {"x": np.arange(1.0, 16.0), "y": 700 / (1 + np.exp(5 - 0.75 * np.arange(1.0, 16.0)))}
    base = Draft("ratkowsky", "smooth", ratkowsky, {"b": np.array([700, 5, 0.75, 1.3])}, data)
    yield base
    yield offset(base)
    yield jittered(base, 1e-9)


@family("dose-response", FRESH)
def dose_response(rng: Rng) -> Iterator[Draft]:
    """Hill's curve of four parameters, the concentrations in moles a litre."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        share = 0.5 + 0.5 * xp.tanh(0.5 * p.slope * xp.log(d.dose / p.half))
        return xp.mean((d.y - p.bottom - (p.top - p.bottom) * share) ** 2)

    def one_end(p: Any, d: Any, xp: Any) -> Any:
        share = 0.5 + 0.5 * xp.tanh(0.5 * p.slope * xp.log(d.dose / p.half))
        return xp.mean((d.y - (p.top - p.bottom) * share) ** 2)

    dose = 1e-9 * 3.0 ** np.arange(12)
    data = {"dose": dose, "y": 1 / (1 + 3e-7 / dose) + 0.05 * rng.normal(size=12)}
    params = {
        "half": np.array(2.4e-7),
        "slope": np.array(1.2),
        "top": np.array(0.9),
        "bottom": np.array(0.1),
    }
    slips = {"the other use of the bottom": one_end}
    base = Draft("molar", "scaled", f, params, data, batch=12, slips=slips)
    yield base
    nano = {**data, "dose": 1e9 * dose}
    start = {**params, "half": np.array(240.0)}
    switch = {**start, "slope": np.array(900.0), "half": np.array(nano["dose"][5] * 1.0006)}
    yield base.but(variant="switch", kind="curvature", data=nano, params=switch)
    plain = base.but(variant="nanomolar", kind="smooth", data=nano, params=start)
    yield plain
    yield inside_float32(plain)
    yield rescaled(plain, rng, 6)

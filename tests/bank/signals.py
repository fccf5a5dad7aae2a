"""Filters, spectra, arrays of sensors and codecs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import FRESH, Draft, family
from .kinks import near
from .ops import absolute, floor, larger, relu
from .variants import inside_float32, jittered, offset, rescaled

Rng = np.random.Generator


def fourier(n: int, bins: int) -> dict[str, np.ndarray]:
    """Real and imaginary part of the transform as two matrices."""
    angle = 2 * np.pi * np.outer(np.arange(bins), np.arange(n)) / n
    return {"C": np.cos(angle), "S": -np.sin(angle)}


@family("equaliser", FRESH)
def equaliser(rng: Rng) -> Iterator[Draft]:
    """Complex taps as two blocks, constant modulus criterion."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        re = d.R @ p.re - d.I @ p.im
        im = d.R @ p.im + d.I @ p.re
        return xp.mean((re**2 + im**2 - 1) ** 2)

    def one_part(p: Any, d: Any, xp: Any) -> Any:
        return xp.mean(((d.R @ p.re - d.I @ p.im) ** 2 + (d.R @ p.im) ** 2 - 1) ** 2)

    data = {"R": rng.normal(size=(40, 6)) / 2, "I": rng.normal(size=(40, 6)) / 2}
    params = {"re": rng.normal(size=6), "im": rng.normal(size=6)}
    slips = {"a cross term": one_part}
    base = Draft("constant-modulus", "smooth", f, params, data, batch=40, slips=slips)
    yield base
    yield inside_float32(base, "params")
    # No tap of the imaginary part, and real symbols: its gradient is zero by symmetry.
    real_only = {"R": data["R"], "I": np.zeros((40, 6))}
    start = {"re": params["re"], "im": np.zeros(6)}
    yield base.but(variant="real-channel", kind="zero-block", data=real_only, params=start)


@family("recursive-filter", FRESH)
def recursive_filter(rng: Rng) -> Iterator[Draft]:
    """Two biquads in series, the poles by radius and angle, or close to the unit circle."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        x = [d.x[t] for t in range(d.x.size)]
        for k in range(2):
            r = 1 / (1 + xp.exp(-p.pole[k]))
            a1, a2 = -2 * r * xp.cos(p.angle[k]), r**2
            b = p.b[k]
            y: list[Any] = []
            for t in range(len(x)):
                new = b[0] * x[t]
                if t > 0:
                    new = new + b[1] * x[t - 1] - a1 * y[t - 1]
                if t > 1:
                    new = new + b[2] * x[t - 2] - a2 * y[t - 2]
                y.append(new)
            x = y
        return sum((a - b) ** 2 for a, b in zip(x, d.y, strict=True)) / len(x)

    params = {
        "pole": np.array([1.0, 0.3]),
        "angle": np.array([0.7, 1.9]),
        "b": rng.normal(size=(2, 3)),
    }
    data = {"x": rng.normal(size=24), "y": rng.normal(size=24)}
    base = Draft("biquads", "smooth", f, params, data)
    yield base
    yield inside_float32(base)
    long = {"x": np.eye(1, 150)[0], "y": np.zeros(150)}
    ringing = {**params, "pole": np.array([9.0, 8.0])}
    yield base.but(variant="ringing", kind="curvature", data=long, params=ringing)


@family("log-spectrum", FRESH)
def log_spectrum(rng: Rng) -> Iterator[Draft]:
    """Log magnitudes of overlapping frames; a bin that is nearly empty."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        frames = p.x[d.index] * d.window
        power = (frames @ d.C.T) ** 2 + (frames @ d.S.T) ** 2
        return xp.mean((0.5 * xp.log(power + d.floor) - d.target) ** 2)

    index = np.arange(0, 33, 8)[:, None] + np.arange(16)
    window = np.sin(np.pi * (np.arange(16) + 0.5) / 16) ** 2
    data = {"index": index, "window": window, "target": rng.normal(size=(5, 9)), "floor": 1e-3}
    data |= fourier(16, 9)
    base = Draft("frames", "smooth", f, {"x": rng.normal(size=48)}, data)
    yield base
    yield jittered(base, 1e-7)
    yield offset(base)
    t = np.arange(48)
    tone = {"x": np.cos(np.pi * t / 4) + 1e-5 * rng.normal(size=48)}
    yield base.but(
        variant="pure-tone", kind="near-singular", params=tone, data={**data, "floor": 0.0}
    )


@family("cepstrum", FRESH)
def cepstrum(rng: Rng) -> Iterator[Draft]:
    """Cosine transform of the logarithms of a bank of filters."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        power = (d.C @ p.x) ** 2 + (d.S @ p.x) ** 2
        return xp.sum((d.cosines @ xp.log(d.bank @ power) - d.target) ** 2)

    bank = np.maximum(0, 1 - np.abs(np.arange(13) - 2 * np.arange(1, 6)[:, None]) / 2)
    cosines = np.cos(np.pi * np.outer(np.arange(4), np.arange(5) + 0.5) / 5)
    data = {"bank": bank, "cosines": cosines, "target": rng.normal(size=4), **fourier(24, 13)}
    base = Draft("five-filters", "smooth", f, {"x": rng.normal(size=24)}, data)
    yield base
    yield inside_float32(base)
    # Volts that are microvolts: the loss depends on the level through its logarithm.
    yield base.but(variant="microvolts", kind="scaled", params={"x": 1e-6 * base.params["x"]})


@family("time-delay", FRESH)
def time_delay(rng: Rng) -> Iterator[Draft]:
    """Arrival times at four microphones of a band-limited pulse; a carrier far above the band."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        way = xp.sqrt(xp.sum((p.at - d.sensors) ** 2, axis=1))
        u = xp.reshape(d.t, (1, -1)) - xp.reshape(way, (-1, 1)) - p.start
        pulse = xp.exp(-0.5 * u**2) * xp.cos(d.carrier * u)
        return xp.sum((d.y - p.gain * pulse) ** 2)

    data = {
        "sensors": np.array([[0.0, 0], [3, 0], [0, 3], [3, 3]]),
        "t": np.linspace(0, 6, 40),
        "y": rng.normal(size=(4, 40)) / 5,
        "carrier": 2.0,
    }
    params = {"at": np.array([1.1, 1.7]), "start": np.array(0.8), "gain": np.array(0.9)}
    base = Draft("pulse", "smooth", f, params, data)
    yield base
    yield rescaled(base, rng, 5)
    yield base.but(variant="carrier", kind="curvature", data={**data, "carrier": 3e4})
    # A guess of the start after the end of the record.
    late = {**params, "start": np.array(12.0)}
    yield base.but(variant="after-the-end", kind="vanishing", params=late)
    # A source at one of the microphones.
    close = {**params, "at": np.array([3.0 - 2e-7, 1e-7])}
    yield base.but(variant="at-a-microphone", kind="near-singular", params=close)


@family("beamformer", FRESH)
def beamformer(rng: Rng) -> Iterator[Draft]:
    """Phases and amplitudes of an array against a mask of side lobes (hinges)."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        turn = d.position * xp.reshape(d.sines, (-1, 1)) + p.phase
        power = (xp.cos(turn) @ p.amplitude) ** 2 + (xp.sin(turn) @ p.amplitude) ** 2
        return xp.sum(relu(power - d.mask, xp)) - xp.log(power[10])

    sines = np.sin(np.linspace(-1.5, 1.5, 21))
    mask = np.where(np.abs(np.arange(21) - 10) < 4, 100.0, 0.5)
    data = {"position": np.pi * np.arange(6), "sines": sines, "mask": mask}
    params = {"phase": 0.3 * rng.normal(size=6), "amplitude": rng.uniform(0.5, 1, 6)}
    base = Draft("side-lobes", "smooth", f, params, data)
    yield base
    turn = data["position"] * sines[:, None] + params["phase"]
    power = (np.cos(turn) @ params["amplitude"]) ** 2 + (np.sin(turn) @ params["amplitude"]) ** 2
    touching = {**data, "mask": np.where(np.arange(21) % 7 == 2, power + near(rng, (21,)), mask)}
    yield base.but(variant="touching", kind="kink-near", data=touching)


@family("compressor", FRESH)
def compressor(rng: Rng) -> Iterator[Draft]:
    """Level detector with attack and release, and a gain above a threshold."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        attack, release = 1 / (1 + xp.exp(-p.time[0])), 1 / (1 + xp.exp(-p.time[1]))
        level: Any = d.start
        total: Any = 0.0
        for x, y in zip(d.level, d.y, strict=True):
            rate = attack if x > np.real(getattr(level, "_value", level)) else release
            level = rate * level + (1 - rate) * x
            total = total + (x + p.makeup - p.ratio * relu(level - p.threshold, xp) - y) ** 2
        return total

    level = np.round(4 * rng.normal(size=25)) / 4
    params = {
        "time": np.array([0.3, 1.4]),
        "threshold": np.array(0.1),
        "ratio": np.array(0.6),
        "makeup": np.array(0.25),
    }
    base = Draft("attack-release", "smooth", f, params, {"level": level, "y": level, "start": 0.0})
    yield base
    # A constant tone settled on its level, and the threshold set on it.
    y = np.full(12, 0.5) + 0.2 * rng.normal(size=12)
    tone = {"level": np.full(12, 0.5), "y": y, "start": 0.5}
    settled = {**params, "threshold": np.array(0.5)}
    yield base.but(variant="settled", kind="kink-at", data=tone, params=settled)
    almost = {**params, "threshold": np.array(0.5 - 6e-9)}
    yield base.but(variant="almost-settled", kind="kink-near", data=tone, params=almost)


@family("wavelet-shrinkage", FRESH)
def wavelet(rng: Rng) -> Iterator[Draft]:
    """Two levels of Haar, soft thresholds, and back: coefficients on their thresholds."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        fine, low = (d.x[::2] - d.x[1::2]) / 2, (d.x[::2] + d.x[1::2]) / 2
        coarse, rest = (low[::2] - low[1::2]) / 2, (low[::2] + low[1::2]) / 2
        fine = soft(p.gain * fine, p.level[0], xp)
        coarse = soft(p.gain * coarse, p.level[1], xp)
        low = xp.reshape(xp.stack([rest + coarse, rest - coarse], axis=1), (-1,))
        out = xp.reshape(xp.stack([low + fine, low - fine], axis=1), (-1,))
        return xp.sum((out - d.y) ** 2) + 0.5 * xp.sum(p.level**2)

    def soft(x: Any, level: Any, xp: Any) -> Any:
        return relu(x - level, xp) - relu(-x - level, xp)

    x = rng.integers(-8, 9, 16) / 4
    data = {"x": x, "y": x + 0.3 * rng.normal(size=16)}
    base = Draft("apart", "smooth", f, {"level": np.array([0.3, 0.2]), "gain": np.array(1.1)}, data)
    yield base
    on_grid = {**data, "x": np.r_[1.0, 0.5, -0.25, 0.25, x[4:]]}
    on = {"level": np.array([0.25, 0.375]), "gain": np.array(1.0)}
    yield base.but(variant="on-the-threshold", kind="kink-at", params=on, data=on_grid)
    beside = {"level": on["level"] + np.array([4e-7, -2e-8]), "gain": np.array(1.0)}
    yield base.but(variant="beside-it", kind="kink-near", params=beside, data=on_grid)


@family("companded-codec", FRESH)
def codec(rng: Rng) -> Iterator[Draft]:
    """Prediction gains matter smoothly, the quantised residual only in jumps."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        guess = d.past @ p.a
        residual = d.x - guess
        bits = np.log2(1 + np.abs(floor(12 * residual))).sum()
        return xp.mean(residual**2) + 1e-3 * bits

    data = {"past": rng.normal(size=(20, 3)), "x": rng.normal(size=20)}
    yield Draft("bits", "piecewise-constant", f, {"a": 0.5 * rng.normal(size=3)}, data, batch=20)


@family("spectral-flatness", FRESH)
def flatness(rng: Rng) -> Iterator[Draft]:
    """Ratio of geometric and arithmetic mean, and a peak-to-average ratio of the signal."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        power = (d.C @ p.x) ** 2 + (d.S @ p.x) ** 2
        flat = xp.exp(xp.mean(xp.log(power))) / xp.mean(power)
        return -flat + 0.1 * peak(absolute(p.x, xp), xp) / xp.sqrt(xp.mean(p.x**2))

    def peak(x: Any, xp: Any) -> Any:
        top = x[0]
        for i in range(1, x.size):
            top = larger(top, x[i], xp)
        return top

    data = fourier(20, 11)
    x = rng.normal(size=20)
    base = Draft("peak-to-average", "smooth", f, {"x": x}, data)
    yield base
    clipped = {"x": np.clip(x, -0.75, 0.75)}
    yield base.but(variant="clipped", kind="kink-at", params=clipped)
    yield base.but(
        variant="nearly-clipped", kind="kink-near", params={"x": clipped["x"] + near(rng, (20,))}
    )

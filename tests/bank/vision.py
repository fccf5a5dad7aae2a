"""Images: warping, rendering, alignment and the losses of detection and segmentation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import FRESH, Draft, family
from .kinks import near
from .networks import convolve
from .ops import first_max, larger, log_softmax, real, relu, sigmoid, softmax, softplus, value
from .variants import inside_float32, jittered, offset, stepped

Rng = np.random.Generator


def smaller(a: Any, b: Any, xp: Any) -> Any:
    return -larger(-a, -b, xp)


@family("image-registration", FRESH)
def registration(rng: Rng) -> Iterator[Draft]:
    """Affine warp with bilinear interpolation; on the grid of the pixels it has corners."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        at = d.grid @ p.A.T + p.shift
        x, y = at[:, 0], at[:, 1]
        i = np.clip(np.floor(real(x)).astype(int), 0, 8)
        j = np.clip(np.floor(real(y)).astype(int), 0, 8)
        u, v = x - i, y - j
        low = (1 - v) * d.image[i, j] + v * d.image[i, j + 1]
        high = (1 - v) * d.image[i + 1, j] + v * d.image[i + 1, j + 1]
        return xp.mean(((1 - u) * low + u * high - d.seen) ** 2)

    grid = np.stack(np.meshgrid(np.arange(2.0, 8), np.arange(2.0, 8), indexing="ij"), -1)
    data = {
        "image": rng.integers(0, 9, (10, 10)) / 4,
        "grid": grid.reshape(-1, 2),
        "seen": rng.integers(0, 9, 36) / 4,
    }
    turned = {
        "A": np.array([[0.9, -0.13], [0.11, 0.87]]),
        "shift": np.array([0.3137, 0.5719]),
    }
    base = Draft("affine", "smooth", f, turned, data, batch=36)
    yield base
    yield inside_float32(base)
    still = {"A": np.eye(2), "shift": np.zeros(2)}
    yield base.but(variant="identity", kind="kink-at", params=still)
    for size in (1e-8, 1e-5):
        shift = size * np.array([1.3, -0.7])
        yield base.but(
            variant=f"identity-{size:.0e}",
            kind="kink-near",
            params={"A": np.eye(2), "shift": shift},
        )


@family("structural-similarity", FRESH)
def ssim(rng: Rng) -> Iterator[Draft]:
    def f(p: Any, d: Any, xp: Any) -> Any:
        x = xp.reshape(p.x, (1, 1, 8, 8))
        mx, my = convolve(x, d.window, xp), convolve(d.y, d.window, xp)
        sx = convolve(x * x, d.window, xp) - mx * mx
        sy = convolve(d.y * d.y, d.window, xp) - my * my
        sxy = convolve(x * d.y, d.window, xp) - mx * my
        top = (2 * mx * my + d.c1) * (2 * sxy + d.c2)
        return 1 - xp.mean(top / ((mx**2 + my**2 + d.c1) * (sx + sy + d.c2)))

    def luminance_twice(p: Any, d: Any, xp: Any) -> Any:
        x = xp.reshape(p.x, (1, 1, 8, 8))
        mx, my = convolve(x, d.window, xp), convolve(d.y, d.window, xp)
        rest = f(p, d, xp)
        light = (2 * mx * my + d.c1) / (mx**2 + my**2 + d.c1)
        return rest + xp.mean(light) - value(xp.mean(light))

    data = {
        "y": rng.random((1, 1, 8, 8)),
        "window": np.full((1, 1, 3, 3), 1 / 9),
        "c1": 1e-4,
        "c2": 9e-4,
    }
    base = Draft("windows", "smooth", f, {"x": rng.random((8, 8))}, data)
    base = base.but(slips={"luminance counted twice": luminance_twice})
    yield base
    yield jittered(base, 1e-9)
    # Two flat patches: variances are differences of nearly equal numbers.
    flat = {"x": 0.6 + 1e-4 * rng.random((8, 8))}
    yield base.but(
        variant="flat", kind="near-singular", params=flat, data={**data, "c2": 1e-8}, slips={}
    )


@family("volume-rendering", FRESH)
def volume_rendering(rng: Rng) -> Iterator[Draft]:
    """Densities and colours along rays; behind a wall nothing is seen."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        depth = softplus(p.density, xp) * d.step
        passed = xp.exp(-(xp.cumsum(depth, axis=1) - depth))
        weight = -passed * xp.expm1(-depth)
        colour = xp.einsum("rs,rsc->rc", weight, sigmoid(p.colour, xp))
        return xp.mean((colour - d.seen) ** 2)

    data = {"step": np.array(0.25), "seen": rng.random((5, 3))}
    params = {"density": rng.normal(size=(5, 8)), "colour": rng.normal(size=(5, 8, 3))}
    base = Draft("rays", "smooth", f, params, data, batch=5)
    yield base
    yield inside_float32(base, "params")
    wall = params["density"] + 80.0 * (np.arange(8) == 2)
    yield base.but(variant="wall", kind="vanishing", params={**params, "density": wall})
    fog = params["density"] - 24.0
    yield base.but(variant="clear-air", kind="vanishing", params={**params, "density": fog})


@family("gaussian-splatting", FRESH)
def splatting(rng: Rng) -> Iterator[Draft]:
    """Blobs of any size on a small picture, composed front to back."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        clear, picture = 1.0, 0.0
        for k in range(4):
            gap = (d.pixels - p.at[k]) * xp.exp(-p.log_size[k])
            alpha = sigmoid(p.opacity[k], xp) * xp.exp(-0.5 * xp.sum(gap**2, axis=1))
            picture = picture + clear * alpha * p.light[k]
            clear = clear * (1 - alpha)
        return xp.mean((picture - d.seen) ** 2)

    pixels = np.stack(np.meshgrid(np.arange(7.0), np.arange(7.0)), -1).reshape(-1, 2) / 6
    data = {"pixels": pixels, "seen": rng.random(49)}
    params = {
        "at": rng.random((4, 2)),
        "log_size": np.full((4, 2), -1.2),
        "opacity": rng.normal(size=4),
        "light": rng.random(4),
    }
    base = Draft("four-blobs", "smooth", f, params, data, batch=49)
    yield base
    tiny = {**params, "log_size": np.full((4, 2), -6.5), "at": pixels[[3, 17, 30, 41]] + 1e-3}
    yield base.but(variant="dots", kind="curvature", params=tiny)
    yield stepped(base, 0.05, 0.04)


@family("point-registration", FRESH)
def icp(rng: Rng) -> Iterator[Draft]:
    """A quaternion and a shift; each point is compared with the one that is nearest."""

    def rotate(q: Any, x: Any, xp: Any) -> Any:
        w, a, b, c = (q[i] for i in range(4))
        rows = [
            [w * w + a * a - b * b - c * c, 2 * (a * b - w * c), 2 * (a * c + w * b)],
            [2 * (a * b + w * c), w * w - a * a + b * b - c * c, 2 * (b * c - w * a)],
            [2 * (a * c - w * b), 2 * (b * c + w * a), w * w - a * a - b * b + c * c],
        ]
        matrix = xp.stack([xp.stack(row) for row in rows])
        return x @ matrix.T / xp.sum(q**2)

    def f(p: Any, d: Any, xp: Any) -> Any:
        moved = rotate(p.q, d.x, xp) + p.t
        r2 = xp.sum((moved[:, None] - d.y[None]) ** 2, axis=-1)
        return -xp.mean(first_max(-r2, xp))

    def unnormalised(p: Any, d: Any, xp: Any) -> Any:
        moved = rotate(p.q, d.x, xp) * xp.sum(p.q**2) / value(xp.sum(p.q**2)) + p.t
        r2 = xp.sum((moved[:, None] - d.y[None]) ** 2, axis=-1)
        return -xp.mean(first_max(-r2, xp))

    data = {"x": rng.normal(size=(12, 3)), "y": rng.normal(size=(15, 3))}
    params = {"q": np.array([0.9, 0.2, -0.3, 0.25]), "t": rng.normal(size=3) / 3}
    slips = {"norm of the quaternion": unnormalised}
    base = Draft("nearest", "smooth", f, params, data, batch=12, slips=slips)
    yield base
    yield offset(base)
    yield inside_float32(base)
    # A lattice turned by nothing and shifted to just beside the middle of two of its points.
    cube = np.stack(np.meshgrid([0, 1, 2], [0, 1], [0, 1]), -1).reshape(-1, 3) * 1.0
    halfway = {"q": np.array([1.0, 0, 0, 0]), "t": np.array([0.5, 0.125, 0.25])}
    lattice = base.but(variant="lattice", kind="kink-at", data={"x": cube, "y": cube}, slips={})
    yield lattice.but(params=halfway)
    beside = {**halfway, "t": halfway["t"] + np.array([2e-7, 0, 0])}
    yield lattice.but(variant="lattice-beside", kind="kink-near", params=beside)


@family("box-overlap", FRESH)
def box_overlap(rng: Rng) -> Iterator[Draft]:
    """Generalised intersection over union; boxes that share an edge or do not meet at all."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        low = larger(p.low, d.low, xp)
        high = smaller(p.high, d.high, xp)
        side = relu(high - low, xp)
        both = side[:, 0] * side[:, 1]
        size = p.high - p.low
        union = size[:, 0] * size[:, 1] + d.area - both
        hull = larger(p.high, d.high, xp) - smaller(p.low, d.low, xp)
        hull = hull[:, 0] * hull[:, 1]
        return xp.mean(1 - both / union + (hull - union) / hull)

    def plain(p: Any, d: Any, xp: Any) -> Any:
        side = relu(smaller(p.high, d.high, xp) - larger(p.low, d.low, xp), xp)
        both = side[:, 0] * side[:, 1]
        size = p.high - p.low
        return xp.mean(1 - both / (size[:, 0] * size[:, 1] + d.area - both))

    low = rng.integers(0, 8, (6, 2)) / 4
    high = low + rng.integers(2, 7, (6, 2)) / 4
    data = {"low": low, "high": high, "area": np.prod(high - low, axis=1)}
    moved = {
        "low": low + 0.1 * rng.normal(size=(6, 2)),
        "high": high + 0.1 * rng.normal(size=(6, 2)),
    }
    slips = {"hull": plain}
    base = Draft("apart", "smooth", f, moved, data, batch=6, slips=slips)
    yield base
    grid = {"low": low + rng.integers(0, 2, (6, 2)) / 4, "high": high + 0.25}
    yield base.but(variant="anchors", kind="kink-at", params=grid, slips={})
    close = {k: v + near(rng, (6, 2)) for k, v in grid.items()}
    yield base.but(variant="near-anchors", kind="kink-near", params=close, slips={})


@family("segmentation", FRESH)
def segmentation(rng: Rng) -> Iterator[Draft]:
    """Focal and Dice loss of a picture; many pixels that are sure already."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        z = convolve(d.X, p.K, xp) + xp.reshape(p.c, (1, -1, 1, 1))
        q = sigmoid(z, xp)
        focal = d.Y * (1 - q) ** 2 * softplus(-z, xp) + (1 - d.Y) * q**2 * softplus(z, xp)
        dice = (2 * xp.sum(q * d.Y) + 1) / (xp.sum(q) + xp.sum(d.Y) + 1)
        return d.scale * xp.sum(focal) - dice

    def factor_held(p: Any, d: Any, xp: Any) -> Any:
        z = convolve(d.X, p.K, xp) + xp.reshape(p.c, (1, -1, 1, 1))
        q = value(sigmoid(z, xp))
        focal = d.Y * (1 - q) ** 2 * softplus(-z, xp) + (1 - d.Y) * q**2 * softplus(z, xp)
        q = sigmoid(z, xp)
        dice = (2 * xp.sum(q * d.Y) + 1) / (xp.sum(q) + xp.sum(d.Y) + 1)
        return d.scale * xp.sum(focal) - dice

    data = {
        "X": rng.normal(size=(2, 2, 6, 6)),
        "Y": rng.integers(2, size=(2, 1, 4, 4)) * 1.0,
        "scale": 1 / 32,
    }
    params = {"K": rng.normal(size=(1, 2, 3, 3)) / 2, "c": np.array([0.2])}
    slips = {"factor of the focal loss held": factor_held}
    base = Draft("focal-dice", "smooth", f, params, data, batch=2, slips=slips)
    yield base
    yield inside_float32(base)
    large = {
        "X": rng.normal(size=(3, 2, 66, 66)),
        "Y": rng.integers(2, size=(3, 1, 64, 64)) * 1.0,
        "scale": 1.0,
    }
    yield base.but(variant="64x64", kind="large-sum", data=large, batch=3, slips={})


@family("instance-normalised", FRESH)
def instance_norm(rng: Rng) -> Iterator[Draft]:
    """Convolution and instance normalisation, which takes away any bias before it."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        h = convolve(d.X, p.K, xp) + xp.reshape(p.c, (1, -1, 1, 1))
        gap = h - xp.mean(h, axis=(2, 3), keepdims=True)
        h = gap / xp.sqrt(xp.mean(gap**2, axis=(2, 3), keepdims=True) + d.eps)
        z = xp.mean(xp.tanh(p.gain * h), axis=(2, 3)) @ p.W
        return -xp.sum(d.Y * log_softmax(z, xp))

    data = {
        "X": rng.normal(size=(4, 2, 6, 6)) ** 3,
        "Y": np.eye(3)[rng.integers(3, size=4)],
        "eps": 2.0**-16,
    }
    params = {
        "K": rng.normal(size=(3, 2, 3, 3)),
        "c": rng.normal(size=3),
        "gain": np.array(1.5),
        "W": rng.normal(size=(3, 3)),
    }
    base = Draft("bias-before", "zero-block", f, params, data, batch=4, zero=("c",))
    yield base
    faint = {**params, "K": 1e-7 * params["K"]}
    no_eps = {**data, "eps": 1e-22}
    yield base.but(variant="faint-kernels", kind="scaled", params=faint, data=no_eps)


@family("harmonic-lighting", FRESH)
def lighting(rng: Rng) -> Iterator[Draft]:
    """Shape from shading: slopes of a surface, first harmonics of the light, soft material."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        dx, dy = p.height[1:, :-1] - p.height[:-1, :-1], p.height[:-1, 1:] - p.height[:-1, :-1]
        long = xp.sqrt(1 + dx**2 + dy**2)
        shade = p.light[0] + (p.light[1] * dx + p.light[2] * dy + p.light[3]) / long
        albedo = xp.einsum("ijk,k->ij", softmax(p.material, xp), d.albedo)
        smooth = xp.sum(dx**2) + xp.sum(dy**2)
        return xp.sum((albedo * shade - d.seen) ** 2) + 0.01 * smooth

    data = {"albedo": np.array([0.2, 0.5, 0.9]), "seen": rng.random((5, 5))}
    params = {
        "height": rng.normal(size=(6, 6)),
        "light": rng.normal(size=4),
        "material": rng.normal(size=(5, 5, 3)),
    }
    base = Draft("surface", "smooth", f, params, data)
    yield base
    yield offset(base, -4e5)

"""From one draft to another: offset, other scales, float32, noise, steps, unused parameters."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np

from .base import Draft
from .ops import real


def _named(draft: Draft, suffix: str) -> str:
    return f"{draft.variant}-{suffix}" if draft.variant else suffix


def offset(draft: Draft, by: float = 1e6) -> Draft:
    """A large constant in the loss (a forgotten normalisation constant, a total energy)."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        return draft.f(p, d, xp) + by

    return draft.but(variant=_named(draft, f"offset{by:.0e}"), kind="offset", f=f, slips={})


def rescaled(draft: Draft, rng: np.random.Generator, decades: float = 8.0) -> Draft:
    """Each entry in units of its own, from 10**-decades to 10**decades (powers of two)."""
    units = {
        k: np.exp2(np.round(rng.uniform(-decades, decades, np.shape(v)) * np.log2(10)))
        for k, v in draft.params.items()
    }

    def f(p: Any, d: Any, xp: Any) -> Any:
        return draft.f(type(p)(**{k: v * units[k] for k, v in vars(p).items()}), d, xp)

    params = {k: np.asarray(v / units[k]) for k, v in draft.params.items()}
    return draft.but(
        variant=_named(draft, f"units1e{decades:.0f}"),
        kind="scaled",
        f=f,
        params=params,
        slips={},
        grad=None,
    )


def inside_float32(draft: Draft, how: str = "inside") -> Draft:
    """`how`: cast "inside" the loss, float32 "params" throughout, or only the "claim" rounded."""
    return draft.but(variant=_named(draft, f"float32-{how}"), kind="float32-inside", precision=how)


def hash_noise(p: Any) -> float:
    """A number in [-1, 1) that depends on every bit of the parameters and on nothing else."""
    digest = blake2b(digest_size=8)
    for v in vars(p).values():
        digest.update(np.ascontiguousarray(v).tobytes())
    return int.from_bytes(digest.digest(), "little") / 2.0**63 - 1.0


def jittered(draft: Draft, size: float) -> Draft:
    """Deterministic pseudo-noise of relative size `size`."""

    def loss(p: Any, d: Any, xp: Any) -> Any:
        return draft.f(p, d, xp) * (1 + size * hash_noise(p))

    name = _named(draft, f"hash-{size:.0e}")
    return draft.but(variant=name, kind="noisy", loss=loss)


def shaken(draft: Draft, size: float) -> Draft:
    """Genuinely random jitter, from a generator of its own: no two evaluations agree."""
    rng = np.random.default_rng(20240229)

    def loss(p: Any, d: Any, xp: Any) -> Any:
        return draft.f(p, d, xp) * (1 + size * rng.standard_normal())

    name = _named(draft, f"random-{size:.0e}")
    return draft.but(variant=name, kind="noisy", loss=loss, random=True)


def with_unused(draft: Draft, rng: np.random.Generator, shape: tuple[int, ...] = (3,)) -> Draft:
    """A parameter that the loss never reads."""
    params = {**draft.params, "unused": rng.normal(size=shape)}

    def f(p: Any, d: Any, xp: Any) -> Any:
        return draft.f(p, d, xp) + 0 * xp.sum(p.unused)

    return draft.but(
        variant=_named(draft, "unused"), kind="zero-block", f=f, params=params, slips={}, grad=None
    )


def stepped(draft: Draft, height: float, width: float) -> Draft:
    """A staircase in the sum of all parameters on top: a price list, a discretised cost."""

    def f(p: Any, d: Any, xp: Any) -> Any:
        level = sum(np.sum(np.sin(real(v))) for v in vars(p).values())
        return draft.f(p, d, xp) + height * float(np.floor(level / width + 0.375))

    name = _named(draft, f"steps{width:g}")
    return draft.but(variant=name, kind="piecewise-constant", f=f, slips={})

"""Wrong gradients, wrong in the ways people get them wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from operator import add
from typing import Any

import numpy as np

from .base import Arrays, Case, Grads, Mutant, seed, stands

PER_CASE = 8

At = tuple[int, ...]
Change = Callable[[np.ndarray], np.ndarray]  # of the right gradient of one parameter, anywhere


def relative_error(grads: Arrays, exact: Arrays) -> float:
    """The textbook's, over the whole vector and over each block: the worst one."""

    def ratio(a: np.ndarray, b: np.ndarray) -> float:
        a, b = np.asarray(a, np.longdouble).ravel(), np.asarray(b, np.longdouble).ravel()
        size = np.sqrt(np.sum(a**2)) + np.sqrt(np.sum(b**2))
        return float(np.sqrt(np.sum((a - b) ** 2)) / size) if size else 0.0

    whole = ratio(*(np.concatenate([np.ravel(g[k]) for k in exact]) for g in (grads, exact)))
    return max(whole, *(ratio(grads[k], exact[k]) for k in exact))


def mutants(case: Case) -> Iterator[Mutant]:
    """The case's own slips, then a handful of general mutations drawn for it."""
    rng = np.random.default_rng(seed(case.name + "/mutants"))
    floor = 10 * relative_error(
        {k: g + case.exact_error[k] * np.any(g) for k, g in case.exact.items()}, case.exact
    )
    seen: list[float] = []
    candidates = [(f"slip {k}", "missing-term", v) for k, v in case.slips.items()]
    general = list(_general(case, rng))
    order = rng.permutation(len(general))
    # The slips of its family, single entries, a gradient where there is none, the rest as drawn.
    single = [i for i in order if general[i][1].startswith("one-entry")][:2]
    single += [i for i in order if general[i][1] == "not-zero"]
    rest = [i for i in order if i not in single and not general[i][1].startswith("one-entry")]
    candidates += [general[i] for i in single + rest]
    for name, kind, wrong in candidates:
        grads = _like_exact(case, wrong)
        error = relative_error(grads(case.params), case.exact)
        if error > max(floor, 1e-9) and not any(np.isclose(error, s, rtol=1e-9) for s in seen):
            seen.append(error)
            yield Mutant(f"{case.name}: {name}", kind, grads, error)
        if len(seen) == PER_CASE:
            return


def _like_exact(case: Case, wrong: Grads) -> Grads:
    """`wrong` in the dtypes and shapes of a right gradient, and wrong at kinks as well."""

    def grads(p: Arrays) -> Arrays:
        found = wrong(p)
        found = {k: np.asarray(found[k], g.dtype).reshape(g.shape) for k, g in case.exact.items()}
        if stands(p, case.params):
            return {k: _keep_kinks(case, k, g) for k, g in found.items()}
        return found

    return grads


def _keep_kinks(case: Case, name: str, mutated: np.ndarray) -> np.ndarray:
    """At a kink another value may be right as well: leave it unless it is outside both slopes."""
    exact = case.exact[name]
    mask = case.kinks.get(name)
    if mask is None or not mask.any():
        return mutated
    low, high = case.one_sided[name]
    margin = 0.05 * (high - low)
    outside = (mutated < low - margin) | (mutated > high + margin)
    return np.where(mask & ~outside, exact, mutated).astype(exact.dtype)


def _eleven_bits(g: np.ndarray) -> np.ndarray:
    """As if computed in half precision, without its limits of range."""
    mantissa, exponent = np.frexp(g)
    rounded: np.ndarray = np.ldexp(np.round(mantissa * 2048) / 2048, exponent)
    return rounded.astype(g.dtype)


def _general(case: Case, rng: np.random.Generator) -> Iterator[tuple[str, str, Grads]]:
    exact = case.exact
    live = [k for k, g in exact.items() if np.any(g) and k not in case.unmeasurable]
    dead = [k for k, g in exact.items() if not np.any(g)]
    sizes = {k: float(np.sqrt(np.mean(np.asarray(g, float) ** 2))) for k, g in exact.items()}

    def whole(change: Change) -> Grads:
        return lambda p: {k: change(g) for k, g in case.grads(p).items()}

    def block(name: str, change: Change) -> Grads:
        return lambda p: {k: change(g) if k == name else g for k, g in case.grads(p).items()}

    def swapped(a: str, b: str) -> Grads:
        def grads(p: Arrays) -> Arrays:
            right = case.grads(p)
            return {**right, a: right[b], b: right[a]}

        return grads

    def l2_added(rate: float) -> Grads:
        return lambda p: {k: g + rate * np.asarray(p[k], float) for k, g in case.grads(p).items()}

    if dead and live:
        name = str(rng.choice(dead))
        size = max(sizes[k] for k in live)
        yield f"{name} not zero", "not-zero", block(name, lambda g: g + 0.1 * size)
    if not live:
        name = str(rng.choice(list(exact)))
        yield f"{name} not zero", "not-zero", block(name, lambda g: g + 1.0)
        return
    yield "sign", "sign", whole(lambda g: -g)
    yield "factor 2", "factor-2", whole(lambda g: 2 * g)
    yield "factor 1/2", "factor-half", whole(lambda g: g / 2)
    m = case.batch or max(g.shape[0] if g.ndim else 1 for g in exact.values())
    if m > 2:
        yield "factor 1/m", "factor-1/m", whole(lambda g: g / m)
        yield "factor m", "factor-m", whole(lambda g: g * m)
    yield "low precision", "low-precision", whole(_eleven_bits)
    total = float(np.sqrt(sum(np.sum(np.asarray(g, float) ** 2) for g in exact.values())))
    weight = float(np.sqrt(sum(np.sum(np.asarray(p, float) ** 2) for p in case.params.values())))
    if weight and not case.unmeasurable:
        rate = total / weight * 10.0 ** rng.uniform(-3, 0)
        yield "l2 added", "wrong-l2", l2_added(rate)
    smallest = min(live, key=lambda k: (exact[k].size, sizes[k]))
    if len(live) > 1:
        yield f"{smallest} off by 10%", "smallest-block-10%", block(smallest, lambda g: g * 1.1)
        yield f"{smallest} zero", "zero-block", block(smallest, np.zeros_like)
    name = str(rng.choice(live))
    yield f"{name} sign", "block-sign", block(name, lambda g: -g)
    yield f"{name} factor 2", "block-factor", block(name, lambda g: 2 * g)
    for a in live:
        for b in live:
            if a < b and exact[a].shape == exact[b].shape:
                yield f"{a} and {b} swapped", "swapped-blocks", swapped(a, b)
    for k in live:
        for what, kind, change in _inside(exact[k], sizes[k], rng):
            yield f"{k}{what}", kind, block(k, change)


def _inside(
    g: np.ndarray, size: float, rng: np.random.Generator
) -> Iterator[tuple[str, str, Change]]:
    """Mistakes in the gradient of one parameter, which is `g` at the point."""

    def somewhere() -> At:
        return tuple(int(rng.integers(s)) for s in g.shape)

    for power in range(5):
        at, side = somewhere(), float(rng.choice([-1, 1]))
        kind = f"one-entry-1e-{power}" if power else "one-entry-1e0"
        amount = side * size * 10.0**-power
        yield f"{list(at)} off 1e-{power}", kind, _changed(at, partial(add, amount))
    if g.size > 1:
        yield " entries swapped", "swapped-entries", _entries_swapped(somewhere(), somewhere())
        yield " reversed", "reversed", lambda g: g[::-1]
        yield " rolled", "rolled", lambda g: np.roll(g, 1, axis=-1)
        yield " mean removed", "missing-term", lambda g: g - g.mean()
        yield " half written", "partly-written", _half_written
    if g.ndim >= 2:
        i = int(rng.integers(g.shape[0]))
        by, j = 1 + 10.0 ** rng.uniform(-2, 0), int(rng.integers(g.shape[-1]))
        yield f" row {i}", "row", _changed((i,), lambda row: row * by)
        yield " column", "column", _changed((..., j), np.zeros_like)
        if g.shape[0] == g.shape[1]:
            yield " transposed", "transposed", lambda g: np.swapaxes(g, 0, 1)
        else:
            yield (
                " read in the wrong order",
                "transposed",
                lambda g: g.reshape(g.shape[::-1]).transpose(),
            )


def _changed(at: tuple[Any, ...], change: Change) -> Change:
    """The same change of some entries alone."""

    def changed(g: np.ndarray) -> np.ndarray:
        out = g.copy()
        out[at] = change(g[at])
        return out

    return changed


def _entries_swapped(a: At, b: At) -> Change:
    def change(g: np.ndarray) -> np.ndarray:
        out = g.copy()
        out[a], out[b] = g[b], g[a]
        return out

    return change


def _half_written(g: np.ndarray) -> np.ndarray:
    out = g.copy()
    out.reshape(-1)[g.size // 2 :] = 0
    return out

"""Wrong gradients, wrong in the ways people get them wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from .base import Arrays, Case, Mutant, seed

PER_CASE = 8


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
    for name, kind, grads in candidates:
        grads = {k: _keep_kinks(case, k, np.asarray(grads[k])) for k in case.exact}
        error = relative_error(grads, case.exact)
        if error > max(floor, 1e-9) and not any(np.isclose(error, s, rtol=1e-9) for s in seen):
            seen.append(error)
            yield Mutant(f"{case.name}: {name}", kind, grads, error)
        if len(seen) == PER_CASE:
            return


def _keep_kinks(case: Case, name: str, mutated: np.ndarray) -> np.ndarray:
    """At a kink another value may be right as well: leave it unless it is outside both slopes."""
    exact = case.exact[name]
    mutated = mutated.astype(exact.dtype).reshape(exact.shape)
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


def _general(case: Case, rng: np.random.Generator) -> Iterator[tuple[str, str, Arrays]]:
    exact = case.exact
    live = [k for k, g in exact.items() if np.any(g) and k not in case.unmeasurable]
    dead = [k for k, g in exact.items() if not np.any(g)]
    sizes = {k: float(np.sqrt(np.mean(np.asarray(g, float) ** 2))) for k, g in exact.items()}

    def whole(change: Callable[[np.ndarray], np.ndarray]) -> Arrays:
        return {k: change(g) for k, g in exact.items()}

    def block(name: str, changed: np.ndarray) -> Arrays:
        return {**exact, name: changed}

    if dead and live:
        name = str(rng.choice(dead))
        size = max(sizes[k] for k in live)
        yield f"{name} not zero", "not-zero", block(name, exact[name] + 0.1 * size)
    if not live:
        name = str(rng.choice(list(exact)))
        yield f"{name} not zero", "not-zero", block(name, exact[name] + 1.0)
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
        yield (
            "l2 added",
            "wrong-l2",
            {k: g + rate * np.asarray(case.params[k], float) for k, g in exact.items()},
        )
    smallest = min(live, key=lambda k: (exact[k].size, sizes[k]))
    if len(live) > 1:
        yield (
            f"{smallest} off by 10%",
            "smallest-block-10%",
            block(smallest, exact[smallest] * 1.1),
        )
        yield f"{smallest} zero", "zero-block", block(smallest, np.zeros_like(exact[smallest]))
    name = str(rng.choice(live))
    yield f"{name} sign", "block-sign", block(name, -exact[name])
    yield f"{name} factor 2", "block-factor", block(name, 2 * exact[name])
    for a in live:
        for b in live:
            if a < b and exact[a].shape == exact[b].shape:
                yield f"{a} and {b} swapped", "swapped-blocks", {**exact, a: exact[b], b: exact[a]}
    for k in live:
        yield from _inside(k, exact[k], sizes[k], rng, block)


def _inside(
    name: str,
    g: np.ndarray,
    size: float,
    rng: np.random.Generator,
    block: Callable[[str, np.ndarray], Arrays],
) -> Iterator[tuple[str, str, Arrays]]:
    def put(changes: dict[tuple[int, ...], float]) -> Arrays:
        out = g.copy()
        for at, new in changes.items():
            out[at] = new
        return block(name, out)

    def somewhere() -> tuple[int, ...]:
        return tuple(int(rng.integers(s)) for s in g.shape)

    for power in range(5):
        at, side = somewhere(), float(rng.choice([-1, 1]))
        kind = f"one-entry-1e{-power}" if power else "one-entry-1e0"
        yield (
            f"{name}{list(at)} off 1e-{power}",
            kind,
            put({at: g[at] + side * size * 10.0**-power}),
        )
    if g.size > 1:
        a, b = somewhere(), somewhere()
        yield f"{name} entries swapped", "swapped-entries", put({a: g[b], b: g[a]})
        yield f"{name} reversed", "reversed", block(name, g[::-1])
        yield f"{name} rolled", "rolled", block(name, np.roll(g, 1, axis=-1))
        yield f"{name} mean removed", "missing-term", block(name, g - g.mean())
        half = g.copy()
        half.reshape(-1)[g.size // 2 :] = 0
        yield f"{name} half written", "partly-written", block(name, half)
    if g.ndim >= 2:
        i = int(rng.integers(g.shape[0]))
        row, column = g.copy(), g.copy()
        row[i] *= 1 + 10.0 ** rng.uniform(-2, 0)
        column[..., int(rng.integers(g.shape[-1]))] = 0
        yield f"{name} row {i}", "row", block(name, row)
        yield f"{name} column", "column", block(name, column)
        if g.shape[0] == g.shape[1]:
            yield f"{name} transposed", "transposed", block(name, np.swapaxes(g, 0, 1))
        else:
            wrong = g.reshape(g.shape[::-1]).transpose()
            yield f"{name} read in the wrong order", "transposed", block(name, wrong)

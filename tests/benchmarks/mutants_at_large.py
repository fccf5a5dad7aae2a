"""Wrong gradients of large functions, made at random from the number of a trial alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from networks_at_large import FAMILIES, Arrays, Mistake, Rng, Subject, function

from pytest_gradcheck import Result, check

PER_FUNCTION = 10
"""Mutants of one function, between them and the right gradient one check of the latter."""
CLAIMS = ("not-finite", "wrong-entry", "wrong-region", "unlocated", "imprecise")
"""Findings that say that a gradient is wrong, not that a point is a poor one."""
LARGEST = 0.3
"""Largest relative error that an error is scaled to."""
DRAWS = 20
"""Errors drawn until one is large enough: two swapped entries may both be zero."""
EVALUATIONS = 200
"""At which the search for what is wrong ends: here it is asked only whether anything is."""

Error = Callable[[Rng, Arrays, Arrays], Arrays]


def plus(error: Arrays) -> Mistake:
    """The right gradient and this error, wherever it is asked for."""
    return lambda g, _: {k: g[k] + error[k] if k in error else g[k] for k in g}


# --- errors, up to their size -------------------------------------------------------------------


def _block(rng: Rng, g: Arrays, least: int = 1, dims: int = 0) -> str | None:
    """A block whose gradient is not zero, of at least `least` entries and `dims` axes."""
    names = [k for k in g if g[k].size >= least and g[k].ndim >= dims and np.any(g[k])]
    return str(rng.choice(names)) if names else None


def spikes(like: np.ndarray, where: np.ndarray, values: np.ndarray | float) -> np.ndarray:
    error = np.zeros_like(like)
    error.reshape(-1)[where] = values
    return error


def _several(count: int, signs: Sequence[float] | None) -> Error:
    """A few entries of one block wrong, by amounts in these ratios or by random ones."""

    def error(rng: Rng, g: Arrays, _: Arrays) -> Arrays:
        name = _block(rng, g, least=count)
        if name is None:
            return {}
        where = rng.choice(g[name].size, count, replace=False)
        return {
            name: spikes(g[name], where, rng.standard_normal(count) if signs is None else signs)
        }

    return error


def _opposite(rng: Rng, g: Arrays, _: Arrays) -> Arrays:
    """Entries of two blocks, equally wrong relative to each, with opposite signs."""
    names = [k for k in g if np.any(g[k])]
    sign, error = 1.0, {}
    for name in rng.permutation(names)[:2]:
        where = rng.integers(g[name].size, size=1)
        error[str(name)] = spikes(g[name], where, sign * float(np.linalg.norm(g[name])))
        sign = -sign
    return error


def _everywhere(rng: Rng, g: Arrays, _: Arrays) -> Arrays:
    parts = {k: np.linalg.norm(g[k]) / max(1, g[k].size) ** 0.5 for k in g if np.any(g[k])}
    return {k: size * rng.standard_normal(g[k].shape) for k, size in parts.items()}


def _tiny(rng: Rng, g: Arrays, _: Arrays) -> Arrays:
    name = min((k for k in g if np.any(g[k])), key=lambda k: g[k].size)
    return {name: rng.standard_normal(g[name].shape)}


def _in_block(make: Callable[[Rng, np.ndarray, np.ndarray], np.ndarray], dims: int = 0) -> Error:
    def error(rng: Rng, g: Arrays, params: Arrays) -> Arrays:
        name = _block(rng, g, least=2, dims=dims)
        if name is None:
            return {}
        return {name: np.asarray(make(rng, g[name], params[name]), dtype=np.float64)}

    return error


def _low_rank(rng: Rng, g: np.ndarray, _: np.ndarray) -> np.ndarray:
    rank = int(rng.integers(1, 4))
    return rng.standard_normal((g.shape[0], rank)) @ rng.standard_normal((rank, g.shape[1]))


def _on_line(change: Callable[[np.ndarray], np.ndarray]) -> Error:
    """One row or one column of a matrix."""

    def make(rng: Rng, g: np.ndarray, _: np.ndarray) -> np.ndarray:
        error, axis = np.zeros_like(g), int(rng.integers(2))
        live = np.flatnonzero(np.any(g, axis=1 - axis))
        i = rng.choice(live)
        np.moveaxis(error, axis, 0)[i] = change(np.moveaxis(g, axis, 0)[i])
        return error

    return _in_block(make, dims=2)


def _swapped(rng: Rng, g: np.ndarray, _: np.ndarray) -> np.ndarray:
    i, j = rng.choice(g.size, 2, replace=False)
    by = float(g.flat[j] - g.flat[i])
    return spikes(g, np.array([i, j]), np.array([by, -by]))


def _rows_swapped(rng: Rng, g: np.ndarray, _: np.ndarray) -> np.ndarray:
    order, pair = np.arange(len(g)), rng.choice(len(g), 2, replace=False)
    order[pair] = pair[::-1]
    return g[order] - g


def _part_zeroed(rng: Rng, g: np.ndarray, _: np.ndarray) -> np.ndarray:
    low, high = np.sort(rng.choice(g.size + 1, 2, replace=False))
    return spikes(g, np.arange(low, high), -g.reshape(-1)[low:high])


SCALED: dict[str, Error] = {
    "single entry": _several(1, [1.0]),
    "pair that cancels": _several(2, [1.0, -1.0]),
    "few, cancelling": _several(6, [1.0, 1.0, 1.0, -1.0, -1.0, -1.0]),
    "few, random": _several(8, None),
    "opposite signs, two blocks": _opposite,
    "dense in one block": _in_block(lambda rng, g, _: rng.standard_normal(g.shape)),
    "dense everywhere": _everywhere,
    "low rank": _in_block(_low_rank, dims=2),
    "tiny block": _tiny,
    "multiple of the gradient": _in_block(lambda _, g, __: g),
    "multiple of the parameters": _in_block(lambda _, __, theta: theta),
    "constant shift": _in_block(lambda _, g, __: np.ones_like(g)),
    "shift of a row or column": _on_line(np.ones_like),
}
"""Errors whose size is free."""

AS_MADE: dict[str, Error] = {
    "sign of a block": _in_block(lambda _, g, __: -2 * g),
    "sign of a row or column": _on_line(lambda line: -2 * line),
    "row or column doubled": _on_line(lambda line: line),
    "row or column never written": _on_line(lambda line: -line),
    "swapped entries": _in_block(_swapped),
    "swapped rows": _in_block(_rows_swapped, dims=2),
    "reversed block": _in_block(lambda _, g, __: g.reshape(-1)[::-1].reshape(g.shape) - g),
    "part never written": _in_block(_part_zeroed),
}
"""Errors that come in one size; every other trial shrinks them all the same."""

ERRORS = SCALED | AS_MADE


# --- detection ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Detection:
    """One wrong gradient; `ratio` is its worst block's relative error over the bound for it."""

    number: int
    family: str
    kind: str
    size: int
    error: float = 0.0
    ratio: float = 0.0
    detected: bool = False
    status: str = ""
    evaluations: int = 0
    seconds: float = 0.0


def function_of(number: int) -> Subject:
    """The function of detection trials ``PER_FUNCTION * number`` and on, of 1e3 to 1e5 entries."""
    return function(*_drawn(number))


def right_of(number: int) -> Result:
    """What is said of the right gradient of function `number`."""
    return check(function_of(number), mode="probe", seed=number)


def _drawn(number: int) -> tuple[str, Rng, int]:
    rng = np.random.default_rng([1, number])
    smooth = [family for family in FAMILIES if family != "ReLU network"]
    return smooth[number % len(smooth)], rng, int(10 ** rng.uniform(3, 5))


def bounds(result: Result) -> dict[str, float]:
    """Largest relative error that each block may have, as reported."""
    return {block.name: block.relative_error + block.uncertainty for block in result.blocks}


def detect(number: int) -> tuple[Result, list[Detection]]:
    """The right gradient of one function, and `PER_FUNCTION` wrong ones of it."""
    subject, right = function_of(number), right_of(number)
    trials = range(PER_FUNCTION * number, PER_FUNCTION * (number + 1))
    return right, [detect_one(trial, subject, right)[0] for trial in trials]


def detect_one(number: int, subject: Subject, right: Result) -> tuple[Detection, Result | None]:
    """Detection trial `number`; no result where nothing was wrong enough to be tried."""
    family, _, _ = _drawn(number // PER_FUNCTION)
    kind = list(ERRORS)[number % len(ERRORS)]
    error, relative, ratio = _draw(np.random.default_rng([2, number]), kind, subject, right)
    if ratio < 10:
        return Detection(number, family, kind, subject.size), None
    result = check(
        subject.wrong(plus(error)),
        mode="probe",
        seed=number // PER_FUNCTION,
        max_evaluations=EVALUATIONS,
    )
    trial = Detection(
        number,
        family,
        kind,
        subject.size,
        relative,
        ratio,
        is_claimed_wrong(result),
        result.status,
        result.evaluations,
        result.seconds,
    )
    return trial, result


def _draw(rng: Rng, kind: str, subject: Subject, right: Result) -> tuple[Arrays, float, float]:
    """An error, the relative error of its worst block, and how often the bound there it is."""
    g, limits = subject.grads(), bounds(right)
    for _ in range(DRAWS):
        error = ERRORS[kind](rng, g, subject.params)
        if kind in SCALED or rng.random() < 0.5:
            error = _to_size(rng, error, g, limits)
        relative = relative_errors(error, g)
        worst = max(relative, key=lambda name: relative[name] / limits[name], default=None)
        if worst is not None and relative[worst] >= 10 * limits[worst]:
            return error, relative[worst], relative[worst] / limits[worst]
    return {}, 0.0, 0.0


def _to_size(rng: Rng, error: Arrays, g: Arrays, limits: dict[str, float]) -> Arrays:
    """Scaled so that in its worst block it is 10 to 1e4 times the bound there."""
    wanted, parts = 10 ** rng.uniform(1, 4), {}
    for name in error:
        own, size = float(np.linalg.norm(error[name])), float(np.linalg.norm(g[name]))
        if own and 10 * limits[name] < LARGEST:
            goal = min(wanted * limits[name], LARGEST)
            parts[name] = 2 * size * goal / (1 - goal) / own
    scale = min(parts.values(), default=0.0)
    return {name: scale * values for name, values in error.items()}


def relative_errors(error: Arrays, g: Arrays) -> dict[str, float]:
    found = {}
    for name, part in error.items():
        size = np.linalg.norm(g[name]) + np.linalg.norm(g[name] + part)
        found[name] = float(np.linalg.norm(part) / size) if size else 0.0
    return found


def is_claimed_wrong(result: Result) -> bool:
    """Whether the report says that the gradient is wrong, be it by less than the tolerance.

    A status of "warn" for a poor point does not count; an interval of the relative error that
    does not reach down to zero does, and so does an entry listed with an error beyond its bar.
    """
    return (
        any(block.status != "pass" for block in result.blocks)
        or any(block.relative_error > block.uncertainty for block in result.blocks)
        or any(finding.name in CLAIMS for finding in result.findings)
        or any(entry.error > entry.uncertainty for entry in result.worst)
    )

"""Gradients with a few wrong entries, and what a report says of them, exactly."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
from mutants_at_large import plus, spikes
from networks_at_large import FAMILIES, Arrays, Rng, Subject, function

from pytest_gradcheck import Result, check

Index = tuple[str, tuple[int, ...]]
Shapes = dict[str, tuple[int, ...]]


def told(result: Result) -> tuple[set[Index], list[str]]:
    """Entries listed with an error beyond their error bar, and regions said to be wrong."""
    listed = {(e.parameter, e.index) for e in result.worst if e.error > e.uncertainty}
    found = [f.evidence["regions"] for f in result.findings if f.name == "wrong-region"]
    return listed, [region for regions in found for region in regions]


def within(region: str, shapes: Shapes) -> tuple[str, tuple[slice, ...]]:
    """Name and slices of a region as reports label it: ``W[3, :]``, ``all of W``, ``b[2]``."""
    if region in shapes or region.startswith("all of "):
        name = region.removeprefix("all of ")
        return name, tuple(slice(None) for _ in shapes[name])
    match = re.fullmatch(r"(.*)\[(.*)\]", region)
    assert match, region
    cuts = []
    for part in match[2].split(", "):
        ends = [int(end) if end else None for end in part.split(":")]
        cuts.append(slice(*ends) if ":" in part else slice(ends[0], ends[0] + 1))
    return match[1], tuple(cuts)


@dataclass(frozen=True)
class Localisation:
    """One gradient with a few wrong entries: those not listed, and those listed that are right.

    Of those not listed, `overlooked` are larger than what the report leaves open for their block.
    """

    number: int
    family: str
    pattern: str
    size: int
    wrong: dict[Index, float]
    missed: list[Index] = field(default_factory=list)
    overlooked: list[Index] = field(default_factory=list)
    false: list[str] = field(default_factory=list)
    status: str = ""
    evaluations: int = 0
    seconds: float = 0.0

    @property
    def exact(self) -> bool:
        return not self.missed and not self.false


PATTERNS = ("anywhere", "one block", "one row", "neighbours", "equal and opposite")


def sparse(number: int) -> tuple[str, str, Subject, Arrays, dict[Index, float]]:
    """Localisation trial `number`: the function, the error, its parts relative to their blocks."""
    rng = np.random.default_rng([3, number])
    family, pattern = str(rng.choice(list(FAMILIES))), str(rng.choice(PATTERNS))
    size = {0: 10**6, 7: 10**5, 14: 10**5}.get(number % 20) or int(10 ** rng.uniform(3, 4.3))
    subject = function(family, rng, size)
    g, count = subject.grads(), int(rng.integers(1, 21))
    norms = {name: float(np.linalg.norm(values)) for name, values in g.items()}
    error, parts = {}, {}
    for name, where in _places(rng, g, pattern, count).items():
        magnitude = 10 ** rng.uniform(-6, 0, len(where)) * rng.choice([-1, 1], len(where))
        if pattern == "equal and opposite":
            magnitude = abs(magnitude[0]) * (-1.0) ** np.arange(len(where))
        error[name] = spikes(g[name], where, magnitude * norms[name])
        for i, m in zip(where, magnitude, strict=True):
            index = tuple(int(k) for k in np.unravel_index(i, g[name].shape))
            parts[name, index] = float(m)
    return family, pattern, subject, error, parts


def _places(rng: Rng, g: Arrays, pattern: str, count: int) -> dict[str, np.ndarray]:
    """Flat indices of the wrong entries in every block, in blocks whose gradient is not zero."""
    live = [name for name in g if np.any(g[name])]
    if pattern == "anywhere":
        blocks = rng.choice(live, count)
        taken = {str(name): min(int(np.sum(blocks == name)), g[name].size) for name in live}
        return {k: rng.choice(g[k].size, n, replace=False) for k, n in taken.items() if n}
    name = str(rng.choice(live))
    length, count = g[name].size, min(count, g[name].size)
    if pattern == "one row" and g[name].ndim == 2:
        width = g[name].shape[1]
        row = int(rng.integers(len(g[name])))
        return {name: row * width + rng.choice(width, min(count, width), replace=False)}
    if pattern == "neighbours":
        return {name: int(rng.integers(length - count + 1)) + np.arange(count)}
    return {name: rng.choice(length, count, replace=False)}


def localise(number: int) -> Localisation:
    return localise_one(number)[0]


def localise_one(number: int) -> tuple[Localisation, Result]:
    """Whether each wrong entry is listed or lies in a region said to be wrong, and no right one."""
    family, pattern, subject, error, parts = sparse(number)
    result = check(
        subject.wrong(plus(error)), mode="probe", seed=number, worst=100, max_evaluations=100_000
    )
    shapes = {name: values.shape for name, values in subject.params.items()}
    listed, regions = told(result)
    covered = {name: np.zeros(shape, dtype=bool) for name, shape in shapes.items()}
    for region in regions:
        name, where = within(region, shapes)
        covered[name][where] = True
    missed = [at for at in parts if at not in listed and not covered[at[0]][at[1]]]
    open_ = {b.name: 2 * (b.relative_error + b.uncertainty) for b in result.blocks}
    overlooked = [at for at in missed if abs(parts[at]) > open_[at[0]]]
    false = [f"{name}{list(index)}" for name, index in sorted(listed - set(parts))]
    for region in regions:
        name, where = within(region, shapes)
        if np.any(error.get(name, np.zeros(shapes[name]))[where] == 0):
            false.append(f"region {region}")
    trial = Localisation(
        number,
        family,
        pattern,
        subject.size,
        parts,
        missed,
        overlooked,
        false,
        result.status,
        result.evaluations,
        result.seconds,
    )
    return trial, result

"""The step-size study: difference quotients of one entry at every step there is.

Long steps err by the curvature of the loss (truncation, as h^2), short ones by its rounding
(as 1/h).  The check itself evaluates as few of them as it can; here all are, to be looked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..settings import Settings
from .differences import verdict
from .exhaustive import steps
from .ladder import FINEST, RATIO, ROUNDING, Ladder, Rung
from .line import Axis
from .low_precision import in_float64
from .measured import Evidence, scale_of
from .noise import measure_noise
from .point import Point
from .problem import Problem
from .result import Entry
from .state import State

CLEAR = 20
"""How far two difference quotients must differ above rounding to show the truncation."""
ALIKE = 0.3
"""Relative difference of two estimates of the same coefficient that follow the same power."""


@dataclass(frozen=True)
class Study:
    """One entry at every step, from the longest to the shortest.

    Attributes
    ----------
    parameter, index
        The entry: the worst of the check, or the largest where none is listed.
    analytic : float
        Its claimed derivative.
    numeric, uncertainty : float
        What extrapolation over all steps says, with its error bar.
    steps, central, forward : tuple of float
        Steps, with the central and the forward difference quotient at each.
    noise : float
        Standard deviation of one value of the loss: central quotients err by it over ``√2 h``.
    truncation : float
        They err by this times h² as well; NaN where noise hides it, or no such power is seen.
    step : float
        The step of the check itself, from ``eps``.
    """

    parameter: str
    index: tuple[int, ...]
    analytic: float
    numeric: float
    uncertainty: float
    steps: tuple[float, ...]
    central: tuple[float, ...]
    forward: tuple[float, ...]
    noise: float
    truncation: float
    step: float


def step_study(
    problem: Problem,
    point: Point,
    settings: Settings,
    state: State,
    blocks: Sequence[Evidence],
    worst: Sequence[Entry],
) -> Study | None:
    """Measure the worst entry, or the largest one, at every step.

    None where there is none, or where the loss refuses: the check is over, and no new error may
    take the place of its result.
    """
    chosen = _chosen(blocks, worst)
    if chosen is None or not math.isfinite(point.base):
        return None
    i, j = chosen
    try:
        moved, point = in_float64(problem, point, settings, state)
        point.loss.progress("step-size study")
        return _studied(moved, point, settings, i, j, float(blocks[i].claimed[j]))
    except Exception:
        return None


def _chosen(blocks: Sequence[Evidence], worst: Sequence[Entry]) -> tuple[int, int] | None:
    """Block and flat index of the entry that is looked at."""
    numbers = {block.parameter.name: i for i, block in enumerate(blocks)}
    for entry in worst:
        if math.isfinite(entry.analytic) and entry.error > 0:
            i = numbers[entry.parameter]
            shape = blocks[i].parameter.shape
            return i, int(np.ravel_multi_index(entry.index, shape)) if shape else 0
    sizes = [float(np.max(np.abs(b.claimed), initial=0.0)) for b in blocks]
    finite = [i for i, size in enumerate(sizes) if math.isfinite(size) and blocks[i].claimed.size]
    if not finite:
        return None
    i = max(finite, key=lambda i: sizes[i])
    return i, int(np.argmax(np.abs(blocks[i].claimed)))


def _studied(
    problem: Problem, point: Point, settings: Settings, i: int, j: int, claim: float
) -> Study:
    parameter = problem.parameters[i]
    theta = parameter.read()
    axis = Axis(point.loss, parameter, j, float(theta[j]))
    own, scale = abs(float(theta[j])) or scale_of(theta), scale_of(theta)
    first = float(steps(np.array(axis.origin), settings.eps))
    measured = measure_noise(lambda t: axis(t * own), point.base)
    noise = max(measured, point.jitter, ROUNDING * abs(point.base))
    ladder = Ladder(
        axis.sample, point.base, first, noise=noise, scale=max(1.0, own, scale), finest=FINEST * own
    )
    for k in range(ladder.highest, ladder.lowest - 1, -1):
        ladder.add(k)
    found = verdict(ladder, target=0.0)
    rungs = sorted(ladder.rungs.values(), key=lambda rung: -rung.step)
    return Study(
        parameter=parameter.name,
        index=tuple(int(n) for n in np.unravel_index(j, parameter.shape)),
        analytic=claim,
        numeric=float(found.value),
        uncertainty=float(found.uncertainty),
        steps=tuple(float(rung.step) for rung in rungs),
        central=tuple(float(rung.central) for rung in rungs),
        forward=tuple(float(rung.forward) for rung in rungs),
        noise=noise,
        truncation=_truncation(rungs),
        step=first,
    )


def _truncation(rungs: Sequence[Rung]) -> float:
    """The coefficient of h², from the shortest steps that show it twice alike."""
    found = last = math.nan
    for coarse, fine in pairwise(rungs):
        change = coarse.central - fine.central
        coefficient = change / (coarse.step**2 - fine.step**2)
        clear = abs(change) > CLEAR * max(coarse.sigma, fine.sigma) / fine.step
        if not clear or not math.isclose(coarse.step, RATIO * fine.step, rel_tol=1e-3):
            last = math.nan
            continue
        if abs(coefficient - last) <= ALIKE * abs(coefficient):
            found = abs(coefficient)
        last = coefficient
    return found

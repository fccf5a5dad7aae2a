"""One check at several points: as given, after some training, and a little beside.

A mistake may leave no trace at the point at hand: a penalty of biases that are still zero, a branch
that no sample takes yet.  The course's advice is to train a little and to check again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np

from .adapters.training import trainable, trained
from .core.check import run_check, status_of
from .core.loss import Loss
from .core.problem import Problem, require_problem
from .core.result import STATUSES, Finding, Result
from .core.situation import Explain
from .core.state import State
from .errors import SubjectError
from .settings import Settings

DISPLACEMENTS = (1e-2, 1e-4, 1e-6)
"""How far the further points lie off, relative to the size of each parameter: the first at which
the loss is finite, to any side, or to one alone where a bound is near."""
GIVEN = "at the given parameters"
BLIND = ("zero-gradient", "tiny-gradient", "near-zero-parameters")
"""Findings that a point sees nothing of a parameter: no doubt is left once another point does."""

Adapt = Callable[[Any], Problem]


def check_points(
    adapt: Adapt, subject: Any, settings: Settings, *, seed: int = 0, explain: Explain | None = None
) -> Result:
    """Check the gradient of `subject` at all points that the settings ask for.

    Parameters
    ----------
    adapt : callable
        ``adapt(subject)`` is its `Problem`, where it stands by then.
    subject : object
    settings, seed, explain
        As `run_check` takes them, for each of the points.

    Returns
    -------
    Result
        The worst, with all of them in its `points`; where there is but one point, its own.
    """
    with np.errstate():  # back to what it was, whatever the subject's code does to it
        problem = require_problem(adapt(subject))
        if settings.train is None and not settings.points:
            return run_check(problem, settings, seed=seed, explain=explain)
        return _at_all(problem, adapt, subject, settings, seed, explain)


def _at_all(
    problem: Problem,
    adapt: Adapt,
    subject: Any,
    settings: Settings,
    seed: int,
    explain: Explain | None,
) -> Result:
    seed = settings.seed if settings.seed is not None else seed
    results: list[Result] = []

    def add(name: str, problem: Problem, spent: int = 0) -> None:
        result = run_check(problem, settings, seed=seed, explain=explain)
        evaluations = result.evaluations + spent
        results.append(replace(result, point=name, evaluations=evaluations))

    with _kept(problem, subject, settings.train):
        add(GIVEN, problem)
        after = ""
        if settings.train is not None:
            after, problem, spent = _train(adapt, subject, problem, settings)
            if not math.isfinite(_loss_at(problem)):
                return _diverged(results, settings, after)
            add(after, problem, spent + 1)
        for i in range(settings.points):
            with problem.preserved():
                spent = _displace(problem, settings, np.random.default_rng([seed, 3, i]))
                name = f"at random displacement {i + 1} of {settings.points}"
                add(f"{name}, {after}" if after else name, problem, spent)
    return joined(results, settings)


def joined(results: Sequence[Result], settings: Settings) -> Result:
    """The worst of several checks of one subject, with the findings and the cost of all."""
    points = tuple(
        replace(r, status=status_of(r.blocks, _in_doubt(r, results), settings)) for r in results
    )
    worst = max(points, key=_badness)
    told = {(f.name, f.where) for f in worst.findings}
    findings = list(worst.findings)
    for point in points:
        for f in point.findings:
            if (f.name, f.where) not in told:
                told.add((f.name, f.where))
                findings.append(replace(f, message=f"{point.point}: {f.message}"))
    return replace(
        worst,
        findings=tuple(findings),
        evaluations=sum(point.evaluations for point in points),
        seconds=sum(point.seconds for point in points),
        title=f"{worst.title} {worst.point}",
        points=points,
    )


def _in_doubt(result: Result, results: Sequence[Result]) -> list[Finding]:
    """Findings of one point, less those that say of parameters that another point sees."""
    blind = [{n for f in r.findings if f.name in BLIND for n in f.where} for r in results]
    nowhere = set.intersection(*blind)
    return [f for f in result.findings if f.name not in BLIND or nowhere & set(f.where)]


def _badness(result: Result) -> tuple[int, float]:
    error = result.bound if result.status == "pass" else result.relative_error
    return STATUSES.index(result.status), math.inf if math.isnan(error) else error


@contextmanager
def _kept(problem: Problem, subject: Any, train: Any) -> Iterator[None]:
    """The subject as before at the end, and what the training function holds besides."""
    own = SimpleNamespace(trained=trainable(subject))  # arrays may be rebound in a mapping
    held = State([("train", train), ("subject", own)], [p.array for p in problem.parameters])
    with problem.preserved():
        try:
            yield
        finally:
            held.restore()


def _train(
    adapt: Adapt, subject: Any, problem: Problem, settings: Settings
) -> tuple[str, Problem, int]:
    """What was done, the problem where the parameters then stand, and evaluations of the loss."""
    if callable(settings.train):
        return "after training", require_problem(adapt(trained(subject, settings.train))), 0
    steps, rate = int(settings.train or 0), settings.lr
    with np.errstate(all="ignore"):  # it may diverge: told afterwards
        for _ in range(steps):
            for parameter, gradient in zip(problem.parameters, problem.claimed(), strict=True):
                parameter.write(parameter.read() - rate * gradient)
    many = "1 step" if steps == 1 else f"{steps} steps"
    return f"after {many} of gradient descent (lr={rate:g})", problem, steps


def _diverged(results: Sequence[Result], settings: Settings, after: str) -> Result:
    """A gradient that is wrong already may train badly; a right one was given too long steps.

    Raises
    ------
    SubjectError
        If nothing was found wrong before.
    """
    if results[0].status == "fail":
        return joined(results, settings)
    raise SubjectError(
        f"train={settings.train!r}: the loss is not finite {after}, so nothing can be checked there"
        " (at the given parameters: "
        f"{results[0].status}, relative error {results[0].relative_error:.1e}); take a smaller lr"
        " or fewer steps"
    )


def _loss_at(problem: Problem) -> float:
    with np.errstate(all="ignore"):
        return Loss(problem.loss)()


def _displace(problem: Problem, settings: Settings, rng: np.random.Generator) -> int:
    """Move all parameters a little, to where the loss is finite; return how often it was asked.

    Raises
    ------
    SubjectError
        If it is finite nowhere near.
    """
    origin = [parameter.read() for parameter in problem.parameters]
    weights = [rng.standard_normal(theta.size) for theta in origin]
    sides: tuple[Callable[[Any], Any], ...] = (np.asarray, np.abs, lambda w: -np.abs(w))
    for tried, (size, side) in enumerate(product(DISPLACEMENTS, sides), start=1):
        for parameter, theta, weight in zip(problem.parameters, origin, weights, strict=True):
            scale = float(np.sqrt(np.mean(theta**2))) if theta.any() else 1.0
            parameter.write(parameter.round(theta + size * scale * side(weight)))
        if math.isfinite(_loss_at(problem)):
            return tried
    raise SubjectError(
        f"points={settings.points}: the loss is not finite at random displacements of"
        f" {DISPLACEMENTS[0]:g} to {DISPLACEMENTS[-1]:g} of the parameters' size (a bound of its"
        " domain?); leave points out, or start further inside"
    )

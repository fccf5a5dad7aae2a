"""The story of one check, from top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from ..errors import SettingsError
from ..settings import Settings
from .by_entry import by_entry, unmeasured
from .by_probe import by_probe
from .judge import (
    grade,
    judge_block,
    judge_whole,
    point_findings,
    worst_entries,
    worst_status,
)
from .measured import Evidence
from .point import Point, held_generators, inspect_point, remembers
from .problem import Problem, Saved
from .result import DOUBTED, Block, Finding, Result
from .situation import Explain, Situation
from .state import State
from .study import step_study
from .view import views_of

PROBE_ABOVE = 5_000
"""Number of parameters above which ``mode="auto"`` probes."""
AT_THE_POINT = 10
"""Evaluations at the point itself: is the loss deterministic, and how large is its noise?"""

NOISY = ("coarse", "tiny-gradient")
"""Findings that lay wide error bars to the noise of the loss: not where a search has failed."""


def run_check(
    problem: Problem, settings: Settings, *, seed: int = 0, explain: Explain | None = None
) -> Result:
    """Compare the claimed gradient of `problem` with differences of its loss.

    Parameters
    ----------
    problem : Problem
    settings : Settings
    seed : int
        Seed of the random directions.
    explain : callable or None
        ``explain(situation)`` gives further findings: causes, and the health of the point.

    Returns
    -------
    Result

    Raises
    ------
    SubjectError
        If the subject cannot be checked as it stands.  Whatever is raised, here or in the
        subject's own code, the parameters are as before.
    """
    start = time.perf_counter()
    mode = _mode(problem, settings)
    seed = settings.seed if settings.seed is not None else seed
    kept = problem.preserved()
    with kept, kept as (state, saved):
        point = inspect_point(problem, settings, state, saved)
        findings = list(problem.notes)
        if point.held and settings.freeze_rng == "auto":
            findings.append(held_generators(point))
        with np.errstate(all="ignore"):  # moved points may leave the domain of the loss
            blocks: Sequence[Evidence]
            if not math.isfinite(point.base):
                blocks = unmeasured(problem.parameters, point.claims)
                findings.append(_loss_not_finite(point.base))
            elif mode == "probe":
                blocks, told = by_probe(problem, point, settings, state, saved, seed)
                names = {finding.name for finding in told}
                at_point = point_findings(blocks, settings, ended="search-ended" in names)
                failed = "unlocated" in names
                findings += [*told, *(f for f in at_point if not (failed and f.name in NOISY))]
            else:
                found = by_entry(problem, point, settings, state, saved, seed)
                blocks = found.blocks
                findings += point_findings(blocks, settings, ended=found.ended)
            saved.require_unchanged("the loss")
            judged = [judge_block(block, settings) for block in blocks]
            worst = worst_entries(blocks, settings.worst)
            status, relative_error, uncertainty = judge_whole(blocks, settings)
            evaluations = point.loss.evaluations
            passed = status == status_of(judged, findings, settings) == "pass"
            if explain is not None or not passed:
                if any(parameter.narrow for parameter in problem.parameters):
                    _as_at_first(state, saved, point)
                args = dict(problem.roots).get("args", ())
                situation = Situation(blocks, judged, args, point, saved, tuple(findings))
                losses = None if passed else situation.remembered()
                if losses is not None:
                    raise remembers(losses, state)
                findings += explain(situation) if explain is not None else ()
            if any(block.status != "pass" for block in judged):
                findings += problem.explain(worst)
            views = views_of(blocks, [block.status != "pass" for block in judged])
            study = None
            if settings.study:
                state.restore()  # the object holds its own arrays again, to be replaced once more
                saved.restore()
                study = step_study(problem, point, settings, state, blocks, worst)
        return Result(
            status=worst_status([status, status_of(judged, findings, settings)]),
            relative_error=relative_error,
            uncertainty=uncertainty,
            blocks=tuple(judged),
            worst=worst,
            findings=tuple(findings),
            evaluations=evaluations,
            seconds=time.perf_counter() - start,
            title=problem.title,
            settings=replace(settings, mode=mode, seed=seed).written(),
            views=views,
            study=study,
        )


def _mode(problem: Problem, settings: Settings) -> str:
    """``"exhaustive"`` or ``"probe"``.

    Raises
    ------
    SettingsError
        If every entry was asked for and the evaluations allowed are too few.
    """
    size = sum(parameter.size for parameter in problem.parameters)
    least = 2 * size + AT_THE_POINT
    too_many = settings.max_evaluations is not None and least > settings.max_evaluations
    if settings.mode == "probe":
        return "probe"
    plain = not settings.refine or settings.scheme == "forward"
    if settings.mode == "auto" and not plain:
        return "probe" if too_many or size > PROBE_ABOVE else "exhaustive"
    if too_many:
        raise SettingsError(
            f"max_evaluations={settings.max_evaluations}: to check each of {size} entries takes at"
            f' least {least} evaluations; allow more, or leave it to mode="auto"'
        )
    return "exhaustive"


def _as_at_first(state: State, saved: Saved, point: Point) -> None:
    """Let the object hold its own arrays again, not float64 copies, with one gradient handed out.

    What it adds up from one gradient to the next then shows as it would without the copies.
    """
    state.restore()
    saved.restore()
    with suppress(Exception):  # the check is over: no new error may take the place of its result
        point.claim()


def _loss_not_finite(base: float) -> Finding:
    return Finding(
        "not-finite",
        (),
        f"the loss itself is {base}: no derivative exists here. Look for a logarithm of zero, a"
        " division by zero, or an overflow at the initial parameters",
        {"loss": base},
    )


def status_of(blocks: Sequence[Block], findings: Sequence[Finding], settings: Settings) -> str:
    """The verdict by the parameters one by one, and by what findings make of it by themselves."""
    if any(finding.name == "not-finite" for finding in findings):
        return "fail"
    unlocated = [f.evidence["relative_error"] for f in findings if f.name == "unlocated"]
    doubted = [f for f in findings if f.name in DOUBTED and f.name not in settings.allow]
    statuses = [grade(relative_error, settings) for relative_error in unlocated]
    statuses += [block.status for block in blocks]
    return worst_status([*statuses, "warn" if doubted else "pass"])

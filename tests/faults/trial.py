"""One fault: a check with a call that goes wrong, and what is to be said against how it ended."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from pytest_gradcheck import Result, SettingsError, SubjectError, check
from pytest_gradcheck.core import measure

from .injector import Plan
from .kinds import DONE, KINDS, RAISED, Timeout, Unforeseen
from .lines import OURS
from .standing import Standing
from .subjects import MODES, SUBJECTS, Trial

BUDGET = 300
"""Evaluations for climbing, of which a check has 50,000."""
OUTCOMES = (
    KeyboardInterrupt,
    SystemExit,
    GeneratorExit,
    Timeout,
    Unforeseen,
    pytest.fail.Exception,
    pytest.skip.Exception,
    pytest.xfail.Exception,
)
"""What nobody may swallow."""
UNSWALLOWED = {
    "GeneratorExit",
    "KeyboardInterrupt",
    "SystemExit",
    "Unforeseen",
    "pytest.fail",
    "pytest.skip",
    "pytest.xfail",
    "signal: timeout",
    "signal: Ctrl-C",
}


def calls(subject: str, mode: str, *, factor: float = 1.0, **options: Any) -> int:
    """How many calls a check makes to the user's code."""
    plan = Plan.of()
    checked(SUBJECTS[subject](plan, factor), mode, options)
    return plan.calls


def plans(count: int, turn: int) -> Iterator[tuple[int, str]]:
    """Every one of so many calls with a kind of fault, another one each; `turn` is the first."""
    kinds = list(KINDS)
    for at in range(1, count + 1):
        yield at, kinds[(turn + 11 * at) % len(kinds)]


def fault(
    subject: str, mode: str, kind: str, at: int, *, factor: float = 1.0, **options: Any
) -> list[str]:
    """What is wrong after a check one of whose calls went wrong; nothing, one hopes."""
    trial = SUBJECTS[subject](Plan.of(kind, at), factor)
    standing = Standing(trial.roots)
    ended: Any
    try:
        ended = checked(trial, mode, options)
    except BaseException as error:
        ended = error
    found = [f"changed: {name}" for name in standing.changed()]
    if "executor" in options and isinstance(ended, (Result, SubjectError)):
        return found  # whether a worker got as far as this call, nobody here can say
    if not subject.startswith(("hooks", "functions")) and _raised_elsewhere(ended):
        return found  # a framework, or an adapter of somebody's own, has its own words
    return found + _said_against(ended, kind, factor, in_jax="callback" in subject)


def checked(trial: Trial, mode: str, options: Mapping[str, Any]) -> Result:
    """One check, which gives up soon where the loss has become another function on the way."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setattr(measure, "BUDGET", BUDGET)
        return check(*trial.args, **trial.kwargs, **MODES[mode], **options, seed=1)


# What a callback raises, Ctrl-C included, comes out of JAX as an error like any other: `in_jax`.
def _said_against(ended: Any, kind: str, factor: float, *, in_jax: bool) -> list[str]:
    if isinstance(ended, Result):
        if kind in UNSWALLOWED and not in_jax:
            return [f"swallowed {kind}"]
        if ended.status == "pass" and factor != 1.0:
            return ["passed a wrong gradient"]
        return []
    if isinstance(ended, (SubjectError, SettingsError)):
        if kind in UNSWALLOWED:
            return [f"{kind} became {ended}"]
        return [] if len(str(ended)) > 30 else [f"says too little: {ended}"]
    if kind in RAISED and (isinstance(ended, OUTCOMES) or kind not in UNSWALLOWED):
        return []  # the user's own
    if in_jax and type(ended).__name__ == "JaxRuntimeError":
        return []
    if kind in DONE and _raised_elsewhere(ended):
        return []
    return [f"raised {type(ended).__name__}: {str(ended)[:200]}"]


def _raised_elsewhere(ended: Any) -> bool:
    """Whether an exception comes from outside of this package: there is nothing to translate."""
    if not isinstance(ended, Exception):
        return False
    traceback, name = ended.__traceback__, ""
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        traceback = traceback.tb_next
    return not name.startswith(OURS)

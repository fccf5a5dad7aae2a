"""Whole checks of models derived by hand: right ones say nothing, mistakes are named."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from by_hand import HELD_BACK_MODELS, MODELS, Model, mistakes, synthetic

from pytest_gradcheck import Result, check
from pytest_gradcheck.report.text import CAUSES

EVERY = {**MODELS, **HELD_BACK_MODELS}
KINDS = (
    "sign",
    "factor -2 of one",
    "sum for mean",
    "one not written",
    "last sample left out",
    "L2 missing",
    "L2 on the biases too",
    "accumulated",
    "stale",
    "noise",
    "one entry",
    "wrong loss",
)
BUDGET = 20
QUICK = ("tanh layers, L2", "ReLU layers", "softmax regression", "Gaussian likelihood")
"""Models few entries of which take long to measure; the benchmark has all."""
MODES = pytest.mark.parametrize("mode", ["exhaustive", "probe"])


def made(name: str, *, shaken: bool) -> tuple[Model, Any, Any]:
    rng = np.random.default_rng(len(name))
    model = EVERY[name](rng, 5, 3, 5)
    if shaken:
        model.shake(rng)
    return model, *synthetic(rng, 9, 5, 3)


class Calls:
    """Counts calls of the loss; the count is the class's, for what objects hold is put back."""

    count = 0


def counted(model: Model) -> Model:
    loss = model.loss

    def count(X: Any, y: Any) -> float:
        Calls.count += 1
        return loss(X, y)

    Calls.count = 0
    model.loss = count  # type: ignore[method-assign]
    return model


def causes(result: Result) -> set[str]:
    about_causes = {*CAUSES, "low-precision"} - {"wrong-region"}
    return {f.name for f in result.findings} & about_causes


@MODES
@pytest.mark.parametrize("shaken", [False, True], ids=["as initialised", "shaken"])
@pytest.mark.parametrize("name", EVERY)
def test_right_gradient(name: str, shaken: bool, mode: str) -> None:
    result = check(*made(name, shaken=shaken), mode=mode)
    assert result.status == "pass"
    assert {f.name for f in result.findings} <= {"kink"}  # of a sample that no unit takes


@pytest.mark.parametrize(
    ("name", "mode"), [*((n, "probe") for n in EVERY), *((n, "exhaustive") for n in QUICK)]
)
def test_mistakes_are_named_at_little_cost(name: str, mode: str) -> None:
    model, X, y = made(name, shaken=True)
    seeded = mistakes(copy.deepcopy(model), X, y, np.random.default_rng(1))
    for mistake in (m for m in seeded if m.kind in KINDS):
        wrong = copy.deepcopy(model)
        mistake.seed(wrong)
        result = check(counted(wrong), X, y, mode=mode)
        said = causes(result)
        assert said <= mistake.names, (mistake.kind, result.findings)
        if mode == "exhaustive":  # where every entry is known, nothing is missed
            assert said or not mistake.names, (mistake.kind, result.status, result.findings)
        assert Calls.count - result.evaluations <= BUDGET, mistake.kind

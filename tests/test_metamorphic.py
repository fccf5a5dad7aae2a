"""What must not change the verdict: units, order, shapes, names, and how parameters are divided."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from models import slope, value

from pytest_gradcheck import Result, check

Params = dict[str, np.ndarray]
Functions = tuple[Callable[[Params], Any], Callable[[Params], Any], Params]


def start(factor: float) -> Functions:
    """A function, a gradient of which one block is off by a factor, and a point."""

    def grads(p: Params) -> Params:
        found = slope(p)
        return {k: g * factor if k == "W" else g for k, g in found.items()}

    rng = np.random.default_rng(1)
    return value, grads, {"W": rng.normal(size=(3, 4)), "b": rng.normal(size=4)}


def scaled(c: float) -> Callable[[Functions], Functions]:
    def change(f: Functions) -> Functions:
        loss, grads, params = f
        return lambda p: c * loss(p), lambda p: {k: c * g for k, g in grads(p).items()}, params

    return change


def shifted(f: Functions) -> Functions:
    loss, grads, params = f
    return lambda p: loss(p) + 10.0, grads, params


def reordered(f: Functions) -> Functions:
    loss, grads, params = f
    return loss, grads, dict(reversed(params.items()))


def renamed(f: Functions) -> Functions:
    loss, grads, params = f
    names = {"W": "kernel", "b": "a bias"}
    back = {new: old for old, new in names.items()}

    def old(p: Params) -> Params:
        return {back[k]: v for k, v in p.items()}

    def renamed_grads(p: Params) -> Params:
        return {names[k]: g for k, g in grads(old(p)).items()}

    return lambda p: loss(old(p)), renamed_grads, {names[k]: v for k, v in params.items()}


def reshaped(f: Functions) -> Functions:
    loss, grads, params = f
    shapes = {k: v.shape for k, v in params.items()}

    def old(p: Params) -> Params:
        return {k: v.reshape(shapes[k]) for k, v in p.items()}

    def flat(p: Params) -> Params:
        return {k: g.reshape(-1) for k, g in grads(old(p)).items()}

    return lambda p: loss(old(p)), flat, {k: v.reshape(-1).copy() for k, v in params.items()}


def divided(f: Functions) -> Functions:
    """One block as two."""
    loss, grads, params = f

    def old(p: Params) -> Params:
        return {"W": np.concatenate([p["upper"], p["lower"]]), "b": p["b"]}

    def parts(p: Params) -> Params:
        found = grads(old(p))
        return {"upper": found["W"][:1], "lower": found["W"][1:], "b": found["b"]}

    W = params["W"]
    return (
        lambda p: loss(old(p)),
        parts,
        {"upper": W[:1].copy(), "lower": W[1:].copy(), "b": params["b"]},
    )


CHANGES: dict[str, Callable[[Functions], Functions]] = {
    "times 1000": scaled(1e3),
    "times 1/1000": scaled(1e-3),
    "times -1": scaled(-1.0),
    "plus a constant": shifted,
    "order": reordered,
    "names": renamed,
    "shapes": reshaped,
    "division": divided,
}


def checked(f: Functions, **options: Any) -> Result:
    loss, grads, params = f
    return check(loss=loss, grads=grads, params=params, seed=0, **options)


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
@pytest.mark.parametrize(
    ("factor", "status"), [(1.0, "pass"), (1 + 1e-4, "warn"), (1.1, "fail"), (-1.0, "fail")]
)
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_status_stays(
    change: Callable[[Functions], Functions], factor: float, status: str, mode: str
) -> None:
    assert checked(start(factor), mode=mode).status == status
    assert checked(change(start(factor)), mode=mode).status == status


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
@pytest.mark.parametrize(("factor", "status"), [(1.0, "pass"), (1.1, "fail")])
def test_another_seed_or_a_second_check_says_the_same(
    factor: float, status: str, mode: str
) -> None:
    f = start(factor)
    statuses = {
        check(loss=f[0], grads=f[1], params=f[2], mode=mode, seed=s).status for s in range(5)
    }
    assert statuses == {status}
    assert checked(f, mode=mode).as_dict()["worst"] == checked(f, mode=mode).as_dict()["worst"]


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
def test_an_unused_parameter_makes_a_pass_a_warning_that_names_it(mode: str) -> None:
    loss, grads, params = start(1.0)

    def with_unused(p: Params) -> Params:
        return {**grads({k: p[k] for k in ("W", "b")}), "unused": np.zeros(2)}

    f = (
        lambda p: loss({k: p[k] for k in ("W", "b")}),
        with_unused,
        {**params, "unused": np.ones(2)},
    )
    result = checked(f, mode=mode)
    assert result.status == "warn"
    assert [f.where for f in result.findings if f.name == "zero-gradient"] == [("unused",)]
    assert checked(f, mode=mode, allow=["zero-gradient"]).status == "pass"

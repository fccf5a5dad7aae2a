"""From numbers to pass, warn or fail."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import Holder, Mlp, slope, value
from network import Network

from pytest_gradcheck import GradcheckError, GradcheckWarning, Result, check


def off_by(relative_error: float, **options: Any) -> Result:
    """A check whose relative error is known: claim = (1 + 2r / (1 - r)) times the gradient."""
    factor = 1 + 2 * relative_error / (1 - relative_error)
    return check(Holder({"W": np.linspace(-1, 1, 6)}, factor=factor), **options)


@pytest.mark.parametrize(
    ("relative_error", "status"),
    [
        (0.0, "pass"),
        (5e-9, "pass"),
        (9e-8, "pass"),
        (1.1e-7, "warn"),
        (9e-6, "warn"),
        (1.1e-5, "warn"),
        (9e-4, "warn"),
        (1.1e-3, "fail"),
        (0.5, "fail"),
    ],
)
def test_thresholds(relative_error: float, status: str) -> None:
    result = off_by(relative_error)
    assert result.status == result.blocks[0].status == status
    assert abs(result.relative_error - relative_error) <= max(
        result.uncertainty, 1e-3 * relative_error
    )


@pytest.mark.parametrize(
    ("factor", "word"), [(1 + 4e-6, "imprecise"), (1 + 4e-5, "suspect"), (1 + 1e-3, "suspect")]
)
def test_two_degrees_of_warning(gradcheck: Any, factor: float, word: str) -> None:
    with pytest.warns(GradcheckWarning, match=f"{word} in W"):
        gradcheck(Holder({"W": np.ones(3)}, factor=factor))


@pytest.mark.parametrize(
    ("options", "relative_error", "status"),
    [
        ({"tol": 1e-4}, 5e-5, "pass"),
        ({"tol": 1e-4}, 2e-4, "warn"),
        ({"tol": 1e-2}, 5e-3, "pass"),
        ({"tol": 1e-2}, 2e-2, "fail"),
        ({"fail": 1e-4}, 2e-4, "fail"),
        ({"fail": 1e-6}, 2e-6, "fail"),
        ({"fail": 0.5}, 1e-2, "warn"),
        ({"tol": 1e-9}, 1e-8, "warn"),
        ({"warn": 1e-2}, 5e-3, "warn"),
        ({"warn": 1e-2}, 2e-2, "fail"),
        ({"warn": 1e-8}, 5e-8, "warn"),
    ],
    ids=str,
)
def test_thresholds_of_ones_own(
    options: dict[str, float], relative_error: float, status: str
) -> None:
    assert off_by(relative_error, **options).status == status


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (1e-7, 1e-5, 1e-3)),
        ({"tol": 1e-4}, (1e-4, 1e-4, 1e-3)),
        ({"tol": 1e-2}, (1e-2, 1e-2, 1e-2)),
        ({"tol": 1e-2, "warn": 1e-6, "fail": 1e-5}, (1e-2, 1e-2, 1e-2)),
        ({"warn": 1e-2}, (1e-7, 1e-2, 1e-2)),
        ({"fail": 1e-6}, (1e-7, 1e-6, 1e-6)),
        ({"fail": 1e-9}, (1e-9, 1e-9, 1e-9)),
    ],
    ids=str,
)
def test_thresholds_stay_in_order(given: dict[str, float], expected: tuple[float, ...]) -> None:
    chosen = off_by(0.0, **given).settings
    assert (chosen["tol"], chosen["warn"], chosen["fail"]) == expected


class TestEveryParameterByItself:
    def result(self) -> Result:
        params = {"W": np.full((40, 40), 3.0), "b": np.full(2, 1e-2)}
        return check(
            loss=lambda p: float(1e4 * np.sum(p["W"] ** 2) + np.sum(np.exp(p["b"]))),
            grads=lambda p: {"W": 2e4 * p["W"], "b": 1.5 * np.exp(p["b"])},
            params=params,
        )

    def test_wrong_bias_does_not_hide_behind_a_large_matrix(self) -> None:
        result = self.result()
        assert result.relative_error < 1e-5
        assert result.status == "fail"

    def test_verdict_of_each(self) -> None:
        assert [(b.name, b.status) for b in self.result().blocks] == [("W", "pass"), ("b", "fail")]

    def test_wrong_entries_lead_the_table(self) -> None:
        assert {entry.parameter for entry in self.result().worst[:2]} == {"b"}


def test_worst_entries_come_first_with_their_share() -> None:
    wrong = np.array([0.0, 0.3, 0.0, -0.4])
    result = check(loss=value, grads=lambda p: slope(p) + wrong, params=np.ones(4))
    first, second = result.worst[:2]
    assert (first.index, second.index) == ((3,), (1,))
    assert first.error == pytest.approx(0.4, rel=1e-6)
    assert (first.share, second.share) == (pytest.approx(0.64), pytest.approx(0.36))
    assert first.analytic - first.numeric == pytest.approx(-0.4, rel=1e-6)


def test_ten_entries_are_listed_unless_told_otherwise() -> None:
    assert len(check(Mlp(b1=2.0)).worst) == 10


@pytest.mark.parametrize("count", [1, 3, 100])
def test_number_of_entries_listed(count: int) -> None:
    result = check(Mlp(b1=2.0), worst=count)
    assert len(result.worst) == min(count, result.size)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("options", [{}, {"refine": False}, {"tol": 1.0}], ids=str)
class TestNotFinite:
    def test_in_the_gradient(self, bad: float, options: dict[str, Any]) -> None:
        def grads(p: Any) -> Any:
            found = slope(p)
            found["b"][1] = bad
            return found

        params = {"W": np.ones(3), "b": np.ones(2)}
        result = check(loss=value, grads=grads, params=params, **options)
        assert result.status == "fail"
        assert "b[1]" in next(f.message for f in result.findings if f.name == "not-finite")

    def test_in_the_loss(self, bad: float, options: dict[str, Any]) -> None:
        result = check(loss=lambda p: bad, grads=slope, params=np.ones(2), **options)
        assert result.status == "fail"
        assert {finding.name for finding in result.findings} == {"not-finite"}

    def test_around_one_entry(self, bad: float, options: dict[str, Any]) -> None:
        def loss(p: np.ndarray) -> float:
            return value(p) if p[1] == 1 else bad

        result = check(loss=loss, grads=slope, params=np.ones(3), **options)
        assert result.status == "fail"
        assert "params[1]" in next(f.message for f in result.findings if f.name == "not-finite")

    def test_in_a_parameter_that_the_loss_skips(self, bad: float, options: dict[str, Any]) -> None:
        params = np.array([0.3, bad, 0.7])
        result = check(
            loss=lambda p: float(np.nansum(np.tanh(p))),
            grads=lambda p: np.nan_to_num(1 - np.tanh(p) ** 2),
            params=params,
            **options,
        )
        assert f"the parameter itself is {bad} there" in result.findings[0].message

    def test_at_the_second_look(self, bad: float, options: dict[str, Any]) -> None:
        calls: list[int] = []

        def loss(p: np.ndarray) -> float:
            calls.append(1)
            return bad if len(calls) == 2 else value(p)

        try:
            status = check(loss=loss, grads=slope, params=np.ones(3), **options).status
        except Exception as error:
            status = type(error).__name__
        assert status in ("fail", "SubjectError")


@pytest.mark.parametrize("scheme", ["central", "forward"])
def test_one_value_that_is_not_finite_cannot_pass_the_textbook(scheme: str) -> None:
    def loss(p: np.ndarray) -> float:
        return math.nan if p[1] > 1 else value(p)

    result = check(loss=loss, grads=slope, params=np.ones(3), refine=False, scheme=scheme)
    assert result.status == "fail"


class TestBothZero:
    def check(self, **options: Any) -> Result:
        return check(
            loss=lambda p: value(p["W"]),
            grads=lambda p: {"W": slope(p["W"]), "unused": np.zeros(3)},
            params={"W": np.ones(2), "unused": np.ones(3)},
            **options,
        )

    @pytest.mark.parametrize("refine", [True, False])
    def test_is_untested_and_no_silent_pass(self, refine: bool) -> None:
        result = self.check(refine=refine)
        assert result.status == "warn"
        assert [(f.name, f.where) for f in result.findings] == [("zero-gradient", ("unused",))]

    def test_names_the_remedy(self) -> None:
        assert 'allow=["zero-gradient"]' in self.check().findings[0].message

    @pytest.mark.parametrize("allow", ["zero-gradient", ["zero-gradient"], ("zero-gradient",)])
    def test_passes_when_allowed(self, allow: Any) -> None:
        result = self.check(allow=allow)
        assert result.status == "pass" and result.findings

    def test_warns_where_everything_is_zero(self) -> None:
        result = check(loss=lambda p: 1.0, grads=np.zeros_like, params=np.ones(3))
        assert (result.status, result.relative_error) == ("warn", 0.0)


def test_claim_of_zero_for_a_slope_that_is_not_fails() -> None:
    result = check(loss=value, grads=lambda p: {"W": np.zeros(2)}, params={"W": np.ones(2)})
    assert (result.status, result.relative_error) == ("fail", pytest.approx(1.0))


@pytest.mark.parametrize(
    ("scheme", "error", "evaluations"), [("central", 0.0001, 2), ("forward", 0.0301, 1)]
)
@pytest.mark.parametrize("params", [np.array(1.0), np.array([1.0]), [1.0], {"theta": 1.0}], ids=str)
def test_worked_example_of_the_course(
    params: Any, scheme: str, error: float, evaluations: int
) -> None:
    def cube(p: Any) -> Any:
        return p**3 if isinstance(p, np.ndarray) else first(p) ** 3

    def first(p: Any) -> float:
        return p["theta"] if isinstance(p, dict) else p[0]

    def grads(p: Any) -> Any:
        if isinstance(p, np.ndarray):
            return 3 * p**2
        return {"theta": 3.0} if isinstance(p, dict) else [3.0]

    result = check(loss=cube, grads=grads, params=params, eps=0.01, scheme=scheme, refine=False)
    assert result.worst[0].error == pytest.approx(error, abs=1e-12)
    assert result.evaluations <= evaluations + 4


BUILT_IN = (dict, list, str, int, float, bool, type(None))


def walk(tree: Any) -> list[Any]:
    children = tree.values() if type(tree) is dict else tree if type(tree) is list else []
    return [tree, *(node for child in children for node in walk(child))]


@pytest.mark.parametrize(
    ("subject", "options"),
    [
        (Mlp(), {}),
        (Mlp(b1=1.1), {"worst": 3, "allow": ["kink"]}),
        (Mlp(b1=np.nan), {"refine": False}),
        (
            Holder({"a": np.float64(0.5), "W": np.ones((2, 2), np.float32)}),
            {"tol": np.float32(1e-6)},
        ),
        (Holder({"a": np.zeros((0, 2)), "b": np.ones(2)}), {"eps": np.float64(1e-6)}),
    ],
    ids=["pass", "fail", "not finite", "NumPy scalars", "empty"],
)
class TestAsDict:
    def test_holds_built_in_types_only(self, subject: Any, options: dict[str, Any]) -> None:
        record = check(subject, **options).as_dict()
        assert {type(node) for node in walk(record)} <= set(BUILT_IN)

    def test_goes_through_json(self, subject: Any, options: dict[str, Any]) -> None:
        record = check(subject, **options).as_dict()
        assert repr(json.loads(json.dumps(record))) == repr(record)

    def test_holds_every_field(self, subject: Any, options: dict[str, Any]) -> None:
        result = check(subject, **options)
        assert set(result.as_dict()) == set(vars(result))


class TestFixture:
    def test_returns_the_result_of_a_pass(self, gradcheck: Any) -> None:
        assert gradcheck(Mlp()).status == "pass"

    def test_warns_and_returns_the_result(self, gradcheck: Any) -> None:
        with pytest.warns(GradcheckWarning):
            assert gradcheck(Mlp(b1=1 + 1e-5)).status == "warn"

    def test_raises_an_assertion_error_with_the_result(self, gradcheck: Any) -> None:
        with pytest.raises(AssertionError) as caught:
            gradcheck(Mlp(b1=1.1))
        assert isinstance(caught.value, GradcheckError)
        assert caught.value.result is not None and caught.value.result.status == "fail"


coefficients = st.lists(st.floats(-3, 3).filter(lambda c: abs(c) > 0.1), min_size=2, max_size=6)
points = st.lists(st.floats(-2, 2), min_size=1, max_size=4)


def polynomial(coeffs: list[float], x: np.ndarray) -> tuple[Any, Any]:
    p = np.polynomial.Polynomial(coeffs)
    return (lambda x: float(np.sum(p(x)))), p.deriv()


@settings(max_examples=60)
@given(coefficients, points)
def test_gradient_of_any_polynomial_raises_no_alarm(coeffs: list[float], at: list[float]) -> None:
    x = np.array(at)
    loss, grads = polynomial(coeffs, x)
    result = check(loss=loss, grads=grads, params=x)
    assert {block.status for block in result.blocks} == {"pass"}


@settings(max_examples=60)
@given(coefficients, points, st.sampled_from([1.01, 0.99, -1.0, 2.0]))
def test_scaled_gradient_of_any_polynomial_fails(
    coeffs: list[float], at: list[float], factor: float
) -> None:
    x = np.array(at)
    loss, grads = polynomial(coeffs, x)
    if np.linalg.norm(grads(x)) < 1e-3:
        x = x + 1
    result = check(loss=loss, grads=lambda x: factor * grads(x), params=x)
    assert result.status == "fail" or np.linalg.norm(grads(x)) < 1e-3


thresholds = st.one_of(st.none(), st.floats(1e-12, 1.0))


@settings(max_examples=100)
@given(thresholds, st.floats(0, 1))
def test_worse_errors_never_get_better_verdicts(tol: float | None, relative_error: float) -> None:
    from pytest_gradcheck.core.judge import grade
    from pytest_gradcheck.settings import merge

    order = ["pass", "warn", "fail"]
    chosen = merge({"tol": tol})
    ranks = [order.index(grade(r, chosen)) for r in (relative_error / 2, relative_error, 1.0)]
    assert ranks == sorted(ranks)


def test_first_step_that_overflows_sets_no_goal() -> None:
    """A column of 1e8 beside one of 1: at ``eps`` the loss is e^30, which is no slope to go by."""
    X = np.array([[1.0, 3e8], [2.0, -2e8], [0.5, 1e8]])

    def loss(beta: np.ndarray) -> float:
        return float(np.sum(np.exp(X @ beta)))

    def grads(beta: np.ndarray) -> np.ndarray:
        return X.T @ np.exp(X @ beta)

    result = check(loss=loss, grads=grads, params=np.array([0.3, 1e-9]))
    assert result.status == "pass"
    assert result.relative_error + result.uncertainty < 1e-7


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_gradient_wrong_almost_everywhere_costs_little_more_than_a_right_one(
    activation: str,
) -> None:
    net = Network([20, 15, 12, 4], activation=activation, seed=1)
    rng = np.random.default_rng(0)
    for theta in net.params.values():
        theta += 0.1 * rng.normal(size=theta.shape)
    X, y = rng.normal(size=(30, 20)), rng.integers(4, size=30)
    right = net.grads(X, y)
    net.g_prime = lambda Z: 1.3 - np.tanh(Z)
    result = check(net, X, y, worst=10**6)
    size = sum(g.size for g in right.values())
    assert result.status == "fail"
    assert result.evaluations < 4 * size
    off = [abs(e.numeric - right[e.parameter][e.index]) / e.uncertainty for e in result.worst]
    assert len(off) == size
    assert max(off) <= 1

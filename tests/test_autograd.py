"""HIPS autograd: functions of arrays and containers, primitives with derivatives of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

autograd = pytest.importorskip("autograd")
import autograd.numpy as anp  # noqa: E402
from autograd.extend import defjvp, defvjp, primitive  # noqa: E402

from pytest_gradcheck import Result, SubjectError, check  # noqa: E402

X = np.random.default_rng(5).normal(size=(3, 4))


def statuses(result: Result) -> dict[str, str]:
    return {block.name: block.status for block in result.blocks}


def with_derivatives(
    op: Callable[[Any], Any], backward: Callable[[Any], Any], forward: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    """`op` as a primitive whose derivatives hand on what is made of the right ones."""
    function = primitive(op)
    right = {anp.sin: anp.cos, anp.exp: anp.exp, anp.tanh: lambda x: 1 - anp.tanh(x) ** 2}[op]
    defvjp(function, lambda ans, x: lambda g: backward(g * right(x)))
    defjvp(function, lambda g, ans, x: forward(g * right(x)))
    return function  # type: ignore[no-any-return]


def same(g: Any) -> Any:
    return g


def one_entry(g: Any) -> Any:
    mask = np.ones((3, 4))
    mask[1, 2] = 1.5
    return g * mask


SPOILED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "right": (same, "pass"),
    "factor": (lambda g: 1.001 * g, "warn"),
    "sign": (lambda g: -g, "fail"),
    "zero": (lambda g: 0 * g, "fail"),
    "entry": (one_entry, "fail"),
}


@pytest.mark.parametrize("op", [anp.sin, anp.exp, anp.tanh])
def test_wrong_backward_passes_are_caught_and_located(op: Callable[[Any], Any]) -> None:
    def together(xs: dict[str, Any]) -> Any:
        return {k: with_derivatives(op, spoil, same)(xs[k]) for k, (spoil, _) in SPOILED.items()}

    result = check(together, {kind: X + 0.1 * i for i, kind in enumerate(SPOILED)})
    assert statuses(result) == {kind: status for kind, (_, status) in SPOILED.items()}
    wrong = [e for e in result.worst if e.parameter == "entry" and e.error > 10 * e.uncertainty]
    assert {entry.index for entry in wrong} <= {(1, 2)}


def loss(params: Any, x: Any) -> Any:
    hidden = anp.tanh(anp.dot(x, params["W"]) + params["b"])
    return anp.mean(hidden**2) + 0.1 * anp.sum(params["W"] ** 2)


def params(dtype: Any = np.float64) -> dict[str, Any]:
    return {"W": X.T.astype(dtype), "b": np.ones(3, dtype)}


def test_pytrees_by_name() -> None:
    before = params()
    given = params()
    result = check(loss, given, X)
    assert (result.status, result.title) == ("pass", "loss")
    assert list(statuses(result)) == ["params.W", "params.b", "x"]
    assert all(np.array_equal(given[name], before[name]) for name in before)
    assert list(statuses(check(loss=loss, params=params(), args=(X,)))) == ["W", "b"]
    assert list(statuses(check(loss, params(), X, wrt=["*.b", "x"]))) == ["params.b", "x"]
    assert list(statuses(check(loss, params(), kwargs={"x": X}, wrt="x"))) == ["x"]


def test_float32_is_verified_in_float64() -> None:
    result = check(loss, params(np.float32), X.astype(np.float32))
    assert result.status == "pass"
    assert result.relative_error + result.uncertainty < 1e-8
    declined = check(loss, params(np.float32), X.astype(np.float32), float64=False)
    assert declined.uncertainty > 1e-8


@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
def test_overflow_in_the_own_precision_fails() -> None:
    x = np.array([100.0, 1.0], np.float32)
    result = check(lambda x: anp.sum(anp.log(1 + anp.exp(x))), x)
    assert result.status == "fail"
    assert [f.name for f in result.findings] == ["not-finite"]


def test_several_outputs_and_which_is_wrong() -> None:
    wrong = with_derivatives(anp.sin, one_entry, same)
    result = check(lambda x: (anp.exp(x), {"sine": [wrong(x)]}), X)
    assert (result.status, result.worst[0].index) == ("fail", (1, 2))
    [finding] = [f for f in result.findings if f.name == "wrong-output"]
    assert finding.evidence["output"] == "output[1].sine[0][1, 2]"


def test_forward_mode_and_second_order() -> None:
    right = check(lambda x: anp.tanh(x) ** 2, X, forward_ad=True, order=2)
    assert set(statuses(right)) == {"x", "forward:x", "second:x"}
    assert right.status == "pass"
    wrong = with_derivatives(anp.sin, same, lambda g: 2 * g)
    assert statuses(check(wrong, X, forward_ad=True)) == {
        "args[0]": "pass",
        "forward:args[0]": "fail",
    }


def test_wrong_second_order() -> None:
    slope = with_derivatives(anp.exp, lambda g: 1.5 * g, same)
    function = primitive(lambda x: anp.exp(x))
    defvjp(function, lambda ans, x: lambda g: g * slope(x))
    found = statuses(check(function, X, order=2))
    assert found == {"args[0]": "pass", "second:args[0]": "fail"}


def test_complex_numbers() -> None:
    z = X[0] + 1j * X[1]
    assert check(lambda z: anp.exp(z) * anp.conj(z), z).status == "pass"
    wrong = primitive(np.exp)
    defvjp(wrong, lambda ans, z: lambda g: g * anp.conj(ans))
    assert check(wrong, z).status == "fail"


def test_gradients_that_autograd_made_are_checked_as_given() -> None:
    gradient = autograd.grad(loss)
    assert check(loss=loss, grads=gradient, params=params(), args=(X,)).status == "pass"
    pair = autograd.value_and_grad(loss)
    assert check(loss=pair, params=params(), args=(X,)).status == "pass"


def test_functions_of_numpy_are_none_of_its_own() -> None:
    with pytest.raises(SubjectError, match="say what each function is"):
        check(lambda x: np.sum(x**2), X)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: anp.sum(np.asarray(x, dtype=float)), "cannot follow|depends"),
        (lambda x: anp.zeros(3) + 1, "no output depends"),
        (lambda x: anp.argmax(x), "no floating-point number"),
    ],
)
def test_what_autograd_cannot_see(function: Any, message: str) -> None:
    with pytest.raises(SubjectError, match=message):
        check(function, X)


def test_errors_of_the_function_itself_are_its_own() -> None:
    def faulty(x: Any) -> Any:
        return anp.sum(x) + None

    with pytest.raises(TypeError, match="unsupported operand"):
        check(faulty, X)


def test_nothing_to_differentiate_by() -> None:
    with pytest.raises(SubjectError, match=r"given no floating-point number or array.*nothing"):
        check(lambda x: anp.sum(x * 1.0), np.arange(3))
    with pytest.raises(SubjectError, match="matches nothing that can be moved; there is: x"):
        check(lambda x: anp.sum(x), X, wrt="y")


def test_fixture(run: Any) -> None:
    result = run(
        """
        import autograd.numpy as anp
        import numpy as np

        def test_right(gradcheck):
            gradcheck(lambda x: anp.sum(anp.sin(x) ** 2), np.ones(3))
        """
    )
    result.assert_outcomes(passed=1)

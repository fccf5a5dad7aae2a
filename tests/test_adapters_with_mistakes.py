"""What an adapter of somebody's own can get wrong: said before anything is measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from models import frozen
from scipy.sparse import csr_matrix

from pytest_gradcheck import Parameter, Problem, SubjectError, check

W, B = np.arange(1.0, 7.0).reshape(2, 3), np.ones(2)


def right() -> list[Any]:
    return [2 * W, 3 * B**2]


def loss() -> float:
    return float(np.sum(W**2) + np.sum(B**3))


def checked(train: int | None = None, **changed: Any) -> Any:
    """The status of a check by an adapter that makes this problem."""

    def adapter(*_: Any) -> Any:
        parts: dict[str, Any] = {"loss": loss, "grads": right}
        parts["parameters"] = [Parameter("W", W), Parameter("b", B)]
        return Problem(**(parts | changed))

    return check("anything", adapters=[adapter], train=train).status


GRADIENTS: dict[str, tuple[Any, str]] = {
    "one missing": ([2 * W], r"gave 1 gradients: .* list of 2, .* parameters W, b, in this order"),
    "one too many": ([*right(), B], r"gave 3 gradients: .* list of 2"),
    "one vector": (np.ones(8), r"gave 8 gradients: .* list of 2"),
    "none": (None, "gave None: it must hand out a list of 2"),
    "a number": (3.0, "gave an object of type float"),
    "by name": (dict(zip("Wb", right(), strict=True)), "gave an object of type dict"),
    "text": ("ab", "gave an object of type str"),
    "transposed": ([2 * W.T, B], r"grads\[W\] has shape \(3, 2\), the parameter \(2, 3\): hand"),
    "too short": ([2 * W, B[:1]], r"grads\[b\] has shape \(1,\), the parameter \(2,\)"),
    "one is none": ([2 * W, None], r"grads\[b\] is None: no gradient was written"),
    "objects": ([2 * W.astype(object), B], r"grads\[W\] is of dtype object"),
    "sparse": ([csr_matrix(W), B], r"grads\[W\] is of type csr_matrix.*hand out .toarray"),
    "complex": ([2 * W, 1j * B], r"grads\[b\] is of dtype complex128"),
    "masked": ([np.ma.masked_less(W, 3), B], r"grads\[W\] is a masked array with entries masked"),
}


@pytest.mark.parametrize(("handed", "message"), GRADIENTS.values(), ids=GRADIENTS)
def test_gradients(handed: Any, message: str) -> None:
    before = frozen([W, B])
    with pytest.raises(SubjectError, match=message):
        checked(grads=lambda: handed)
    assert frozen([W, B]) == before


def test_gradients_that_are_wrong_only_later() -> None:
    before, calls = frozen([W, B]), iter([right(), right()])
    with pytest.raises(SubjectError, match="gave 1 gradients"):
        checked(grads=lambda: next(calls, [W]), train=3)
    assert frozen([W, B]) == before


@pytest.mark.parametrize(
    "grads",
    [
        lambda: tuple(right()),
        lambda: iter(right()),
        lambda: [g.ravel() for g in right()],
        lambda: [g.tolist() for g in right()],
        lambda: [g.astype(int) for g in right()],
    ],
    ids=["tuple", "generator", "flat", "lists", "whole numbers"],
)
def test_gradients_that_are_taken(grads: Any) -> None:
    assert checked(grads=grads) == "pass"


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (3.0, "loss of the problem is of type float: it must be a function"),
        (lambda: None, "the loss is None: does its function end without a return"),
        (lambda: "low", "the loss is 'low': a gradient needs a real number"),
        (lambda: W, r"the loss has shape \(2, 3\): .* return the sum"),
        (object, "the loss is of type object: a gradient needs one real number"),
    ],
    ids=["a number", "returns nothing", "text", "an array", "an object"],
)
def test_losses(loss: Any, message: str) -> None:
    with pytest.raises(SubjectError, match=message):
        checked(loss=loss)


FIXED = np.ones(3)
FIXED.flags.writeable = False


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (lambda: [], "parameters of the problem is empty"),
        (lambda: {"W": Parameter("W", W)}, "parameters of the problem is a dict"),
        (lambda: [W], r"holds a ndarray: wrap each array, Parameter\(name, array\)"),
        (lambda: [Parameter("W", [1.0])], "parameter W is of type list: it must be the very array"),
        (lambda: [Parameter("W", np.arange(3))], "parameter W is of dtype int64.*astype"),
        (lambda: [Parameter("W", FIXED)], "parameter W is read-only"),
    ],
    ids=["none", "by name", "bare arrays", "a list", "whole numbers", "read-only"],
)
def test_parameters(parameters: Any, message: str) -> None:
    with pytest.raises(SubjectError, match=message):
        checked(parameters=parameters())


def test_what_is_no_problem() -> None:
    with pytest.raises(SubjectError, match="an adapter returned a dict: it must return a Problem"):
        check("anything", adapters=[lambda *_: {"loss": loss}])  # type: ignore[list-item,return-value]

"""Outputs that are not one real number: weighed by random cotangents, and blamed one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from pytest_gradcheck import Parameter
from pytest_gradcheck.adapters.outputs import BITS, Cotangents, Output, rounded, wrong_output

REAL = Output("output[0]", (3, 2))
COMPLEX = Output("output[1]", (4,), is_complex=True)


def test_weights_are_seeded() -> None:
    one, same = Cotangents([REAL, COMPLEX], seed=1), Cotangents([REAL, COMPLEX], seed=1)
    other = Cotangents([REAL, COMPLEX], seed=2)
    for a, b, c in zip(one.weights, same.weights, other.weights, strict=True):
        assert np.array_equal(a, b)
        assert not np.any(a == c)


def test_no_entry_is_unseen_and_none_are_alike() -> None:
    weights = Cotangents([Output("y", (1000,))]).weights[0]
    assert np.all((np.abs(weights) >= 0.5) & (np.abs(weights) <= 1.5))
    assert np.unique(np.abs(weights)).size == 1000
    assert 400 < np.sum(weights > 0) < 600


def test_complex_weights_point_everywhere() -> None:
    weights = Cotangents([Output("y", (1000,), is_complex=True)]).weights[0]
    assert np.all((np.abs(weights) >= 0.499) & (np.abs(weights) <= 1.501))
    for part in (weights.real, weights.imag):
        assert 400 < np.sum(part > 0) < 600


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_one_real_number_is_the_loss_itself(shape: tuple[int, ...]) -> None:
    cotangents = Cotangents([Output("loss", shape)])
    assert cotangents.is_loss
    assert cotangents.total([np.full(shape, 0.7)]) == 0.7


@pytest.mark.parametrize(
    "outputs", [[Output("y", (), is_complex=True)], [Output("a", ()), Output("b", ())]]
)
def test_other_numbers_are_not(outputs: list[Output]) -> None:
    assert not Cotangents(outputs).is_loss


def test_total_is_the_real_inner_product() -> None:
    cotangents = Cotangents([REAL, COMPLEX])
    rng = np.random.default_rng(0)
    y, z = rng.normal(size=(3, 2)), rng.normal(size=4) + 1j * rng.normal(size=4)
    w, v = cotangents.weights
    expected = np.sum(w * y) + np.sum(v.real * z.real + v.imag * z.imag)
    assert cotangents.total([y, z]) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_weights_are_exact_in_the_precision_of_their_output(name: str) -> None:
    weights = Cotangents([Output("y", (100,), bits=BITS[name])]).weights[0]
    assert np.array_equal(weights.astype(name).astype(np.float64), weights)


def test_rounding_to_eight_bits() -> None:
    assert np.array_equal(rounded(np.array([1 + 2**-7, 1 + 2**-9]), 8), [1 + 2**-7, 1.0])


class Linear:
    """``y = A x`` in two outputs, whose vjp is that of another matrix."""

    def __init__(self, A: np.ndarray, claimed: np.ndarray) -> None:
        self.A, self.claimed_A = A, claimed
        self.x = np.linspace(-1, 1, A.shape[1])
        self.parameter = Parameter("x", self.x)
        kind = np.iscomplexobj(A)
        self.cotangents = Cotangents(
            [Output("output[0]", (2, 2), kind), Output("output[1]", (len(A) - 4,), kind)]
        )
        self.backward_passes = 0

    def values(self) -> list[np.ndarray]:
        y = self.A @ self.x
        return [y[:4].reshape(2, 2), y[4:]]

    def claimed(self, index: int, weights: Sequence[np.ndarray]) -> float:
        self.backward_passes += 1
        w = np.concatenate([part.reshape(-1) for part in weights])
        return float(np.real(np.conj(w) @ self.claimed_A[:, index]))

    def blame(self, index: int) -> Any:
        before = self.x.copy()
        found = wrong_output(
            self.cotangents,
            self.parameter,
            index,
            self.values,
            lambda weights: self.claimed(index, weights),
        )
        assert self.x.tobytes() == before.tobytes()
        return found


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize(("row", "label"), [(1, "output[0][0, 1]"), (9, "output[1][5]")])
def test_the_wrong_output_is_named(row: int, label: str, is_complex: bool) -> None:
    rng = np.random.default_rng(5)
    A = rng.normal(size=(20, 3)) + (1j * rng.normal(size=(20, 3)) if is_complex else 0)
    wrong = A.copy()
    wrong[row, 2] *= 1.5
    found = Linear(A, wrong).blame(2)
    assert found.name == "wrong-output"
    assert found.where == ("x",)
    assert f"comes from {label}: " in found.message
    assert found.evidence["output"] == label
    if not is_complex:
        assert found.evidence["measured"] == pytest.approx(A[row, 2], rel=1e-6)
        assert found.evidence["claimed"] == pytest.approx(1.5 * A[row, 2], rel=1e-6)


def test_of_many_wrong_outputs_the_worst_found_is_not_called_the_only_one() -> None:
    A = np.random.default_rng(5).normal(size=(20, 3))
    assert "is largest in output" in Linear(A, -A).blame(0).message


def test_few_backward_passes_for_many_outputs() -> None:
    A = np.random.default_rng(5).normal(size=(5000, 2))
    wrong = A.copy()
    wrong[4321, 1] += 1.0
    linear = Linear(A, wrong)
    assert linear.blame(1).evidence["output"] == "output[1][4317]"
    assert linear.backward_passes <= 30


def test_nothing_is_blamed_where_there_is_one_output() -> None:
    cotangents = Cotangents([Output("loss", ())])
    parameter = Parameter("x", np.ones(2))
    assert wrong_output(cotangents, parameter, 0, lambda: [np.ones(())], lambda w: 1.0) is None

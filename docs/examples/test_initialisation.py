"""The check at random initialisation, asked for in the two ways there are."""

from __future__ import annotations

import pytest
from network import ACTIVATIONS, INITIAL_DEVIATION, Array, Labels, Network
from on_batch import OnBatch

from pytest_gradcheck import Result


@pytest.mark.gradcheck
def test_by_marker(batch: tuple[Array, Labels]) -> OnBatch:
    """Before any training, compare backpropagation with differences.  What is returned is checked,
    so it holds its own batch.
    """
    return OnBatch(Network([64, 8, 10]), *batch)


def test_by_fixture(gradcheck, batch: tuple[Array, Labels]) -> None:
    """The same by a call, which takes the batch and hands out what was measured."""
    result: Result = gradcheck(Network([64, 8, 10]), *batch)
    assert result.status == "pass"
    assert result.relative_error < 1e-7
    assert [block.name for block in result.blocks] == ["W1", "b1", "W2", "b2"]


@pytest.mark.parametrize("init", INITIAL_DEVIATION)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_and_initialisation(
    gradcheck, batch: tuple[Array, Labels], activation: str, init: str
) -> None:
    """He suits ReLU and Xavier suits tanh and sigmoid, but the gradient is right for each."""
    network = Network([64, 8, 10], activation=activation, init=init)
    assert gradcheck(network, *batch).status == "pass"


@pytest.mark.gradcheck(tol=1e-6)
def test_several_depths(batch: tuple[Array, Labels]) -> list[OnBatch]:
    """Several objects from one test, with a setting of its own for all of them."""
    return [OnBatch(Network([64, *hidden, 10]), *batch) for hidden in ([], [8], [8, 8])]

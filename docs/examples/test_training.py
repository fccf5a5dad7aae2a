"""Train a little, check again: at initialisation a check sees only part of the formula."""

from __future__ import annotations

import numpy as np
import pytest
from broken import RegularisedBias
from digits import Digits
from network import Array, Labels, Network

from pytest_gradcheck import GradcheckError


def test_check_train_check_again(gradcheck, digits: Digits, batch: tuple[Array, Labels]) -> None:
    """Some mistakes show only where W and b are away from 0; biases start exactly there."""
    network = Network([64, 8, 10], lam=0.5)
    assert gradcheck(network, *batch).status == "pass"

    before = network.loss(digits.X_train, digits.y_train)
    network.train(digits.X_train, digits.y_train, epochs=3, rate=0.1)
    assert network.loss(digits.X_train, digits.y_train) < before / 2
    assert all(np.abs(theta).max() > 0.01 for theta in network.params.values())

    assert gradcheck(network, *batch).status == "pass"


def test_a_mistake_that_initialisation_hides(
    gradcheck, digits: Digits, batch: tuple[Array, Labels]
) -> None:
    """Here the gradient regularises the biases and the loss does not: 0 = lambda/m b at b = 0."""
    network = RegularisedBias([64, 8, 10], lam=0.5)
    assert gradcheck(network, *batch).status == "pass"

    network.train(digits.X_train, digits.y_train, epochs=3, rate=0.1)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(network, *batch)
    statuses = {block.name: block.status for block in caught.value.result.blocks}
    assert statuses == {"W1": "pass", "b1": "fail", "W2": "pass", "b2": "fail"}


def test_the_check_leaves_the_network_as_it_was(gradcheck, batch: tuple[Array, Labels]) -> None:
    """A check may stand in the middle of a training: parameters and random numbers are put back."""
    network, twin = Network([64, 8, 10], keep_prob=0.8), Network([64, 8, 10], keep_prob=0.8)
    network.dropout = True
    gradcheck(network, *batch)
    for each in (network, twin):
        each.train(*batch, epochs=3, rate=0.1)
    assert all(np.array_equal(network.params[name], twin.params[name]) for name in twin.params)

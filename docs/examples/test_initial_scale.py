"""Vanishing and exploding gradients: what the initial scale does through nine layers."""

from __future__ import annotations

import numpy as np
import pytest
from network import Array, Labels, Network

DEEP = [64] + [10] * 9


def norms(network: Network, batch: tuple[Array, Labels]) -> list[float]:
    """Norm of db, layer by layer: db is the mean of dZ, which each layer hands to the one below."""
    grads = network.grads(*batch)
    return [float(np.linalg.norm(grads[f"b{i}"])) for i in range(1, network.depth + 1)]


def test_tiny_weights_make_gradients_vanish(batch: tuple[Array, Labels]) -> None:
    """A tenth of He's deviation: each layer passes a tenth of its gradient to the one below."""
    db = norms(Network(DEEP, scale=0.1), batch)
    assert db == sorted(db)
    assert db[0] < 1e-7 * db[-1]


def test_huge_weights_make_gradients_explode(batch: tuple[Array, Labels]) -> None:
    """Ten times He's deviation: the layers below learn in leaps, or not at all."""
    db = norms(Network(DEEP, scale=10.0), batch)
    assert db == sorted(db, reverse=True)
    assert db[0] > 1e7 * db[-1]


def test_he_keeps_gradients_alive(batch: tuple[Array, Labels]) -> None:
    """Var(W) = 2/n keeps the size of activations and gradients through layers of ReLU."""
    db = norms(Network(DEEP), batch)
    assert max(db) < 10 * min(db)


def test_xavier_keeps_gradients_alive_for_tanh_but_not_for_sigmoid(
    batch: tuple[Array, Labels],
) -> None:
    """The slope of a sigmoid is 1/4 at most: deep stacks of it vanish at any sensible scale."""
    tanh = norms(Network(DEEP, activation="tanh", init="xavier"), batch)
    sigmoid = norms(Network(DEEP, activation="sigmoid", init="xavier"), batch)
    assert max(tanh) < 10 * min(tanh)
    assert sigmoid[0] < 1e-4 * sigmoid[-1]


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_gradient_is_right_at_every_scale(
    gradcheck, batch: tuple[Array, Labels], scale: float
) -> None:
    """Vanishing and exploding are about size: in a shallow network each can still be measured."""
    network = Network([64, 8, 8, 10], activation="tanh", init="xavier", scale=scale)
    assert gradcheck(network, *batch).status == "pass"

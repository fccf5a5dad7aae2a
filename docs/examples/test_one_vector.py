"""Theta as the course has it: every W and b reshaped and concatenated into one long vector."""

from __future__ import annotations

import numpy as np
import pytest
from broken import MissingMean
from flat import concatenate, split
from network import Array, Labels, Network

from pytest_gradcheck import check


@pytest.mark.parametrize("kind", [Network, MissingMean])
def test_same_verdict_as_by_name(middle_rows: tuple[Array, Labels], kind: type[Network]) -> None:
    """J(theta) and dJ(theta) as plain functions of one vector: the same check and verdict, but
    only named parameters say which formula is wrong.
    """
    X, y = middle_rows
    network = kind([16, 8, 10], activation="tanh", init="xavier")

    def loss(theta: Array) -> float:
        network.params = split(theta, like=network.params)
        return network.loss(X, y)

    def grads(theta: Array) -> Array:
        network.params = split(theta, like=network.params)
        return concatenate(network.grads(X, y))

    by_name = check(network, X, y)
    as_vector = check(loss=loss, grads=grads, params=concatenate(network.params))
    assert as_vector.status == by_name.status == ("pass" if kind is Network else "fail")
    assert as_vector.size == by_name.size
    assert as_vector.relative_error == pytest.approx(by_name.relative_error, abs=1e-7)
    assert len(as_vector.blocks) == 1
    assert len(by_name.blocks) == 4


def test_split_undoes_concatenate() -> None:
    params = Network([16, 8, 10]).params
    again = split(concatenate(params), like=params)
    assert all(np.array_equal(again[name], params[name]) for name in params)

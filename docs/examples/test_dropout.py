"""Dropout draws a new mask for every loss, and a gradient check needs twice the same function."""

from __future__ import annotations

import numpy as np
import pytest
from network import Array, Labels, Network

from pytest_gradcheck import SubjectError


@pytest.fixture
def network() -> Network:
    return Network([64, 8, 10], keep_prob=0.8)


def test_off(gradcheck, network: Network, batch: tuple[Array, Labels]) -> None:
    """The course's advice: switch dropout off for the check."""
    assert not network.dropout
    assert gradcheck(network, *batch).status == "pass"


def test_left_on(gradcheck, network: Network, batch: tuple[Array, Labels]) -> None:
    """Left on, J(theta + eps) and J(theta - eps) belong to two networks: a clear error."""
    network.dropout = True
    with pytest.raises(SubjectError, match="not deterministic") as caught:
        gradcheck(network, *batch, freeze_rng="off")
    assert "self.rng" in str(caught.value)
    assert "switch dropout off" in str(caught.value)


def test_left_on_with_its_mask_held(
    gradcheck, network: Network, batch: tuple[Array, Labels]
) -> None:
    """By default the generator is put back before every loss: one mask, whose gradient (with the
    mask and the 1/keep_prob) is checked as well.
    """
    network.dropout = True
    assert network.loss(*batch) != network.loss(*batch)
    assert gradcheck(network, *batch).status == "pass"


def test_inverted_dropout_keeps_the_mean(network: Network) -> None:
    """Units that stay are divided by keep_prob, so that nothing changes when dropout is off."""
    network.dropout = True
    mask = network.mask((1000, 100))
    assert set(np.unique(mask)) == {0.0, 1 / 0.8}
    assert abs(mask.mean() - 1) < 0.01

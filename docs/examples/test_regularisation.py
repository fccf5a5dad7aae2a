"""The L2 term belongs in the loss and in the gradient."""

from __future__ import annotations

import numpy as np
import pytest
from network import Array, Labels, Network


@pytest.mark.parametrize("lam", [0.01, 1.0, 100.0])
def test_with_regularisation(gradcheck, batch: tuple[Array, Labels], lam: float) -> None:
    """J has lambda/2m sum of W^2, so dW has lambda/m W; both, or the check fails."""
    assert gradcheck(Network([64, 8, 10], lam=lam), *batch).status == "pass"


def test_the_term_is_really_there(batch: tuple[Array, Labels]) -> None:
    """A check compares loss and gradient with each other: a term missing in both would pass."""
    X, y = batch
    plain, regularised = Network([64, 8, 10]), Network([64, 8, 10], lam=1.0)
    penalty = sum(np.sum(plain.params[name] ** 2) for name in ("W1", "W2")) / (2 * len(X))
    assert np.isclose(regularised.loss(X, y) - plain.loss(X, y), penalty)

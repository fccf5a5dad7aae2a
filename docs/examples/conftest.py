"""The data, read once."""

from __future__ import annotations

import pytest
from digits import Digits, load
from network import Array, Labels


@pytest.fixture(scope="session")
def digits() -> Digits:
    pytest.importorskip("sklearn", reason='the digits ship with scikit-learn: install ".[test]"')
    return load()


@pytest.fixture(scope="session")
def batch(digits: Digits) -> tuple[Array, Labels]:
    """Sixteen training samples: a gradient check needs no more."""
    return digits.X_train[:16], digits.y_train[:16]


@pytest.fixture(scope="session")
def middle_rows(batch: tuple[Array, Labels]) -> tuple[Array, Labels]:
    """The same samples, of each image only the two rows in its middle: 16 inputs."""
    X, y = batch
    return X[:, 24:40], y

"""Handwritten digits, 8 by 8 pixels, split into a training and a test set and normalised."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from network import Array, Labels


class Digits(NamedTuple):
    X_train: Array
    y_train: Labels
    X_test: Array
    y_test: Labels


def load(test_size: int = 360, seed: int = 0) -> Digits:
    """Shuffle, split, and normalise both sets with the mu and sigma of the training set."""
    from sklearn.datasets import load_digits  # only here: everything else needs NumPy alone

    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(X))
    test, train = order[:test_size], order[test_size:]
    mu, sigma = mean_and_deviation(X[train])
    return Digits((X[train] - mu) / sigma, y[train], (X[test] - mu) / sigma, y[test])


def mean_and_deviation(X: Array) -> tuple[Array, Array]:
    """Mu and sigma of each pixel; one that never changes is only centred."""
    sigma = X.std(axis=0)
    return X.mean(axis=0), np.where(sigma > 0, sigma, 1.0)

"""Inputs are normalised by the mean and the deviation of the training set, both sets alike."""

from __future__ import annotations

import numpy as np
from digits import Digits, mean_and_deviation
from network import Network


def test_training_set_has_mean_0_and_deviation_1(digits: Digits) -> None:
    """Inputs of one size let one learning rate serve all weights; border pixels stay 0."""
    mu, sigma = mean_and_deviation(digits.X_train)
    changing = digits.X_train.any(axis=0)
    assert np.allclose(mu, 0)
    assert np.allclose(sigma[changing], 1)
    assert 0 < np.sum(~changing) < 10


def test_test_set_is_measured_with_the_same_mu_and_sigma(digits: Digits) -> None:
    """The test set must not be normalised by itself: its mean is near 0, not 0."""
    mu = digits.X_test.mean(axis=0)
    assert 0.01 < np.abs(mu).max() < 0.3
    assert np.isfinite(digits.X_test).all()


def test_training_reduces_the_loss_and_recognises_new_digits(digits: Digits) -> None:
    """What the gradient is for: ten epochs of mini-batches on 1437 digits, 360 others to test."""
    network = Network([64, 32, 10])
    before = network.loss(digits.X_train, digits.y_train)
    network.train(digits.X_train, digits.y_train, epochs=10, rate=0.1)
    assert network.loss(digits.X_train, digits.y_train) < 0.1 * before
    assert network.accuracy(digits.X_test, digits.y_test) > 0.93

"""Findings about the point: told where something is the matter, and silent on healthy networks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network import Network

from pytest_gradcheck import check
from pytest_gradcheck.findings.health import health

few = settings(max_examples=40)
RNG = np.random.default_rng(11)


def inputs(m: int, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(m, n)), rng.integers(3, size=m)


def told(net: Network, X: np.ndarray, y: np.ndarray) -> list[str]:
    return [f.name for f in findings(net, X, y)]


def findings(net: Any, *args: Any) -> Any:
    params, grads = net.params, net.grads(*args)
    return health(
        list(params),
        [np.ravel(theta) for theta in params.values()],
        [theta.shape for theta in params.values()],
        [np.ravel(grads[name]) for name in params],
        args,
    )


@st.composite
def healthy(draw: Any) -> tuple[Network, np.ndarray, np.ndarray]:
    activation = draw(st.sampled_from(["relu", "tanh", "sigmoid"]))
    depth = draw(st.integers(2, 4 if activation == "sigmoid" else 20))
    widths = draw(st.lists(st.integers(8, 40), min_size=depth - 1, max_size=depth - 1))
    seed = draw(st.integers(0, 10**6))
    init = "he" if activation == "relu" else "xavier"
    net = Network([16, *widths, 3], activation=activation, init=init, seed=seed)
    X, y = inputs(draw(st.sampled_from([8, 32, 100])), 16, seed)
    return net, X, y


@few
@given(healthy(), st.booleans())
def test_healthy_networks_raise_nothing(made: Any, trained: bool) -> None:
    net, X, y = made
    if trained:
        net.train(X, y, epochs=3, rate=0.02)
    assert told(net, X, y) == []


def test_network_trained_on_digits_raises_nothing() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = datasets.load_digits(return_X_y=True)
    for data in (X / 16, (X - X.mean(axis=0)) / (X.std(axis=0) + 1e-8)):
        net = Network([64, 32, 32, 10], init="he", seed=0)
        assert told(net, data[:50], y[:50]) == []
        net.train(data[:500], y[:500], epochs=10, rate=0.1)
        assert told(net, data[:50], y[:50]) == []
        assert told(net, data[:500], y[:500]) == []


@pytest.mark.parametrize("scale", [0.0, 1e-5])
def test_near_zero_weights(scale: float) -> None:
    X, y = inputs(20, 6)
    net = Network([6, 10, 3], seed=0)
    net.params["W1"] *= scale
    found = findings(net, X, y)
    assert [(f.name, f.where) for f in found] == [("near-zero-parameters", ("W1",))]
    assert 'allow=["near-zero-parameters"]' in found[0].message


def test_everything_at_zero() -> None:
    found = health(["w", "b"], [np.zeros(5), np.zeros(1)], [(5, 1), (1,)], [np.ones(5), np.ones(1)])
    assert [(f.name, f.where) for f in found] == [("near-zero-parameters", ("w", "b"))]
    assert "all parameters are zero" in found[0].message


def test_columns_of_zero_biases_are_ordinary() -> None:
    W, b, c = RNG.normal(size=(4, 5)), np.zeros((4, 1)), np.zeros((1, 4))
    g = RNG.normal(size=20)
    assert not health(["W", "b", "c"], [W.ravel(), b.ravel(), c.ravel()],
                      [W.shape, b.shape, c.shape], [g, g[:4], g[:4]])  # fmt: skip


def test_small_numbers_are_a_matter_of_units_if_they_matter() -> None:
    theta = 1e-6 * RNG.normal(size=20)
    assert not health(["rates"], [theta], [(4, 5)], [1e6 * RNG.normal(size=20)])


@pytest.mark.parametrize("at_the_fit", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_constants_in_small_units_are_not_near_zero(scale: float, at_the_fit: bool) -> None:
    """Michaelis and Menten's, in moles, as they are told apart from weights near zero."""
    S, rate, half = scale * np.geomspace(1e-3, 1.0, 9), 1.7 * scale, 0.03 * scale
    noise = 0.02 * np.cos(np.arange(9)) * (not at_the_fit)
    seen = rate * S / (half + S) * (1 + noise) + 1e-3 * scale * np.sin(9 * np.arange(9))

    def parts(p: Any) -> tuple[np.ndarray, np.ndarray]:
        part = S / (p["half"] + S)
        return p["rate"] * part - seen, part

    def grads(p: Any) -> Any:
        r, part = parts(p)
        slope = np.array(-2 * np.sum(r * p["rate"] * part / (p["half"] + S)))
        return {"rate": np.array(2 * np.sum(r * part)), "half": slope}

    params = {"rate": np.array(rate), "half": np.array(half)}
    result = check(loss=lambda p: float(np.sum(parts(p)[0] ** 2)), grads=grads, params=params)
    assert "near-zero-parameters" not in {f.name for f in result.findings}


@pytest.mark.parametrize("scale", [0.0, 1e-7])
def test_single_numbers_near_zero_are_told_no_standard_deviation(scale: float) -> None:
    def loss(p: Any) -> float:
        return float((2 - np.tanh(3 * p["a"] + p["b"])) ** 2)

    def grads(p: Any) -> Any:
        t = np.tanh(3 * p["a"] + p["b"])
        slope = -2 * (2 - t) * (1 - t * t)
        return {"a": 3 * slope, "b": slope}

    result = check(loss=loss, grads=grads, params={"a": np.array(scale), "b": np.array(-2 * scale)})
    (finding,) = (f for f in result.findings if f.name == "near-zero-parameters")
    assert "Start from other values" in finding.message
    assert "standard deviation" not in finding.message


@pytest.mark.parametrize("scale", [1e-3, 1e-6])
def test_small_weights_are_near_zero_whatever_the_unit_of_the_loss(scale: float) -> None:
    X, y = inputs(20, 6)
    net = Network([6, 10, 3], seed=0)
    for theta in net.params.values():
        theta *= scale
    found = {f.name: f for f in check(net, X, y).findings}
    assert "standard deviation" in found["near-zero-parameters"].message


@pytest.mark.parametrize("depth", [8, 12, 20])
def test_sigmoids_through_depth_vanish(depth: int) -> None:
    X, y = inputs(20, 8)
    net = Network([8] + [12] * (depth - 1) + [3], activation="sigmoid", init="xavier", seed=1)
    (found,) = findings(net, X, y)
    assert found.name == "vanishing"
    assert found.evidence["factor"] < 0.4
    assert "He" in found.message and "Xavier" in found.message


def test_small_relu_weights_vanish_in_the_biases() -> None:
    X, y = inputs(20, 8)
    net = Network([8, 12, 12, 12, 12, 3], init="he", scale=0.15, seed=1)
    assert "vanishing" in told(net, X, y)


def test_large_weights_explode() -> None:
    X, y = inputs(20, 8)
    net = Network([8] + [20] * 6 + [3], init="he", scale=5.0, seed=1)
    (found,) = findings(net, X, y)
    assert found.name == "exploding"
    assert found.evidence["factor"] == pytest.approx(5, rel=0.5)


def test_scales_know_which_axis_is_the_input() -> None:
    X, y = inputs(20, 8)
    net = Network([8, 16, 12, 10, 9, 8, 3], activation="sigmoid", init="xavier", seed=1)
    (found,) = findings(net, X, y)
    assert found.evidence["scales"][1]["he"] == pytest.approx(np.sqrt(2 / 16))
    turned = {k: v.T for k, v in net.params.items()}
    grads = {k: net.grads(X, y)[k].T for k in turned}
    (found,) = health(
        list(turned),
        [v.ravel() for v in turned.values()],
        [v.shape for v in turned.values()],
        [g.ravel() for g in grads.values()],
    )
    assert found.evidence["scales"][1]["he"] == pytest.approx(np.sqrt(2 / 16))


def test_unrelated_matrices_are_no_depth() -> None:
    shapes = [(3, 4), (5, 2), (6, 3), (2, 7), (4, 4)]
    thetas = [RNG.normal(size=a * b) for a, b in shapes]
    claims = [10.0**-k * RNG.normal(size=a * b) for k, (a, b) in enumerate(shapes)]
    assert not health(list("ABCDE"), thetas, shapes, claims)


def test_saturated_first_layer() -> None:
    X, y = inputs(20, 8)
    net = Network([8, 12, 3], activation="tanh", init="xavier", seed=1)
    assert told(net, 100 * X, y) == ["saturated"]
    net = Network([8, 12, 3], activation="relu", init="he", seed=1)
    assert told(net, 100 * X, y) == []


@pytest.mark.parametrize("turned", [False, True])
def test_unscaled_inputs(turned: bool) -> None:
    X, _ = inputs(30, 5)
    X[:, 2] = 1500 + 500 * X[:, 2]
    W, g = RNG.normal(size=(5, 4)), RNG.normal(size=20)
    data, weights = (X.T, W.T) if turned else (X, W)
    (found,) = health(["W"], [weights.ravel()], [weights.shape], [g], (data,))
    assert found.name == "unscaled-inputs" and "feature 2" in found.message
    assert "μ and σ of the training set" in found.message
    z = (X - X.mean(axis=0)) / X.std(axis=0)
    assert not health(["W"], [weights.ravel()], [weights.shape], [g], (z.T if turned else z,))


def test_offset_feature_is_unscaled() -> None:
    X, _ = inputs(30, 5)
    X[:, 1] += 2000
    (found,) = health(
        ["w", "b"], [np.ones(5), np.ones(1)], [(5,), ()], [np.ones(5), np.ones(1)], (X,)
    )
    assert "feature 1 has a mean of 2e+03" in found.message


def test_arguments_that_are_no_inputs_are_passed_over() -> None:
    distances = np.outer(10.0 ** np.arange(9), RNG.normal(size=9))
    W, g = RNG.normal(size=(5, 4)), RNG.normal(size=20)
    args = (distances, "mode", None, 3, np.arange(10), np.full((9, 5), np.nan))
    assert not health(["W"], [W.ravel()], [W.shape], [g], args)


def test_gradient_in_float32_of_float64_parameters() -> None:
    theta, g = RNG.normal(size=(2, 20))
    single = g.astype(np.float32).astype(float)
    assert [f.name for f in health(["W"], [theta], [(4, 5)], [single])] == ["low-precision"]
    narrow = theta.astype(np.float32).astype(float)
    assert not health(["W"], [narrow], [(4, 5)], [single])
    assert not health(["W"], [theta], [(4, 5)], [np.full(20, 0.5)])  # exact in any precision


def test_what_is_not_finite_is_left_alone() -> None:
    assert not health(["w"], [np.ones(3)], [(3,)], [np.array([1.0, np.nan, 2.0])])
    assert not health([], [], [], [])


def test_a_kernel_without_an_entry_is_no_layer() -> None:
    weights = {f"W{i}": np.linspace(-1, 1, 9).reshape(3, 3) for i in range(4)}
    net = SimpleNamespace(params=weights | {"K": np.zeros((3, 3, 0))})
    net.grads = lambda: {k: np.cos(theta) for k, theta in net.params.items()}
    assert [f.name for f in findings(net)] == []

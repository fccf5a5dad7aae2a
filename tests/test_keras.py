"""Keras 3: layers and models on each of its backends."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

from pytest_gradcheck import Result, SubjectError, check  # noqa: E402

RNG = np.random.default_rng(5)
X = RNG.normal(size=(8, 6)).astype("float32")
Y = RNG.normal(size=(8, 3)).astype("float32")

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="another backend")


class Scaled(keras.layers.Layer):  # type: ignore[misc]
    """A gain whose gradient is written by hand, one entry of it wrong if `factor` is not 1."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor

    def build(self, shape: Any) -> None:
        self.gain = self.add_weight(shape=(shape[-1],), initializer="ones", name="gain")

    def call(self, x: Any) -> Any:
        mask = np.ones(x.shape[-1])
        mask[2] = self.factor

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def multiply(x: Any, gain: Any) -> Any:
            def back(up: Any) -> Any:
                return up * gain, tf.constant(mask, x.dtype) * tf.reduce_sum(up * x, 0)

            return x * gain, back

        return multiply(x, tf.convert_to_tensor(self.gain))


def model(factor: float = 1.0) -> Any:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(5, activation="tanh"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            Scaled(factor),
            layers.Dense(3),
        ]
    )


def values(net: Any) -> list[bytes]:
    return [np.asarray(v).tobytes() for v in net.variables]


def statuses(result: Result) -> dict[str, str]:
    return {block.name: block.status for block in result.blocks}


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_a_model_in_training_mode_in_float32(factor: float) -> None:
    net, mse = model(factor), keras.losses.MeanSquaredError()
    before = values(net)
    result = check(net, X, loss=lambda out: mse(Y, out), kwargs={"training": True})
    assert values(net) == before
    assert {layer.dtype_policy.name for layer in net.layers} == {"float32"}
    assert (keras.config.floatx(), mse.dtype) == ("float32", "float32")
    assert result.uncertainty < 1e-8, "measured in float64"
    found = statuses(result)
    assert {name.partition("/")[2] for name in found} == {"kernel", "bias", "gamma", "beta", "gain"}
    if factor == 1.0:
        assert result.status == "pass"
    else:
        [wrong] = [name for name, status in found.items() if status != "pass"]
        assert wrong.endswith("/gain")
        assert result.worst[0].index == (2,)


def test_layers_and_methods_of_models() -> None:
    layer = keras.layers.Dense(2)
    layer(X)
    assert list(statuses(check(layer, X))) == ["kernel", "bias"]
    assert set(statuses(check(layer, X, wrt=["bias", "inputs"]))) == {"bias", "inputs"}

    class Net(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x: Any) -> Any:
            return self.dense(x)

        def penalty(self, scale: float) -> Any:
            return scale * keras.ops.sum(self.dense.kernel**2)

    net = Net()
    net(X)
    result = check(net.penalty, 2.0, allow=["zero-gradient"])
    assert (result.title, result.status) == ("penalty", "pass")


def test_forward_mode_and_second_order() -> None:
    layer = keras.layers.Dense(2, activation="tanh")
    layer(X)
    result = check(layer, X, order=2, forward_ad=True)
    assert set(statuses(result)) == {
        f"{prefix}{name}" for prefix in ("", "second:", "forward:") for name in ("kernel", "bias")
    }
    assert result.status == "pass"


def test_float16_policy_is_measured_in_float64() -> None:
    layer = keras.layers.Dense(2, dtype="mixed_bfloat16")
    layer(X)
    result = check(layer, X)
    assert result.status == "pass"
    assert layer.dtype_policy.name == "mixed_bfloat16"


def test_errors() -> None:
    with pytest.raises(SubjectError, match="not built yet; call it once on an example"):
        check(keras.layers.Dense(2), X)
    flat = keras.layers.Flatten()
    flat(X)
    with pytest.raises(SubjectError, match=r"Flatten has no trainable variable$"):
        check(flat, X)


OTHER = """
    import numpy as np, keras
    from pytest_gradcheck import check

    keras.utils.set_random_seed(0)
    net = keras.Sequential([
        keras.Input((3,)), keras.layers.Dense(2, activation="tanh"), keras.layers.Dropout(0.3),
    ])
    rng = np.random.default_rng(0)
    X, y = (rng.normal(size=(8, k)).astype("float32") for k in (3, 2))
    before = [keras.ops.convert_to_numpy(v).tobytes() for v in net.variables]

    def loss(out):
        return keras.ops.mean((out - keras.ops.convert_to_tensor(y)) ** 2)

    allow = ["coarse", "nondeterministic"]
    result = check(net, X, loss=loss, kwargs={"training": True}, allow=allow)
    assert result.status == "pass", result
    assert {b.name for b in result.blocks} == {"dense/kernel", "dense/bias"}
    assert [keras.ops.convert_to_numpy(v).tobytes() for v in net.variables] == before

    def stopped(out):
        return loss(0.5 * out + 0.5 * keras.ops.stop_gradient(out))

    wrong = check(net, X, loss=stopped, kwargs={"training": True}, max_evaluations=2000)
    assert wrong.status == "fail", wrong
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends(backend: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    code = textwrap.dedent(OTHER)
    env = {**os.environ, "KERAS_BACKEND": backend}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)

"""TensorFlow: functions of tensors and variables, modules, custom gradients; all left as it was."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
tf = pytest.importorskip("tensorflow")

from pytest_gradcheck import Result, SubjectError, check  # noqa: E402

RNG = np.random.default_rng(5)
X = RNG.normal(size=(3, 4))


def tensor(values: Any = X, dtype: Any = None) -> Any:
    return tf.constant(values, dtype or tf.float64)


def statuses(result: Result) -> dict[str, str]:
    return {block.name: block.status for block in result.blocks}


def with_backward(op: Callable[[Any], Any], spoil: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`op` with a backward pass that hands on what `spoil` makes of the right gradient."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def function(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = op(x)
        return y, lambda up: spoil(tape.gradient(y, x, output_gradients=up))

    return function  # type: ignore[no-any-return]


def one_entry(g: Any) -> Any:
    mask = np.ones((3, 4))
    mask[1, 2] = 1.5
    return g * tf.constant(mask, g.dtype)


SPOILED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "right": (lambda g: g, "pass"),
    "factor": (lambda g: 1.001 * g, "warn"),
    "sign": (lambda g: -g, "fail"),
    "zero": (lambda g: 0 * g, "fail"),
    "entry": (one_entry, "fail"),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("op", [tf.sin, tf.nn.softmax, tf.nn.gelu, tf.square])
def test_wrong_backward_passes_are_caught(op: Callable[[Any], Any], dtype: str) -> None:
    def together(xs: dict[str, Any]) -> Any:
        return {kind: with_backward(op, spoil)(xs[kind]) for kind, (spoil, _) in SPOILED.items()}

    given = {kind: tensor(X + 0.1 * i, dtype) for i, kind in enumerate(SPOILED)}
    result = check(together, given)
    assert statuses(result) == {kind: status for kind, (_, status) in SPOILED.items()}
    assert result.relative_error > 10 * result.uncertainty


class Net(tf.Module):  # type: ignore[misc]
    """Two layers, one with a gradient by hand; a running mean and a counter move with each call."""

    def __init__(self, factor: float = 1.0, dtype: Any = tf.float64) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.layers = [tf.Variable(rng.normal(size=(4, 5)), dtype=dtype)]
        self.gain = tf.Variable(rng.normal(size=5), dtype=dtype)
        self.mean = tf.Variable(np.zeros(5), dtype=dtype, trainable=False)
        self.calls = tf.Variable(0, trainable=False)
        self.factor = factor

    def __call__(self, x: Any) -> Any:
        h = tf.tanh(x @ self.layers[0])
        self.mean.assign(0.9 * self.mean + 0.1 * tf.reduce_mean(h, 0))
        self.calls.assign_add(1)
        return self.scaled(h, self.gain)

    def scaled(self, h: Any, gain: Any) -> Any:
        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def multiply(h: Any, gain: Any) -> Any:
            back = lambda up: (up * gain, self.factor * tf.reduce_sum(up * h, 0))  # noqa: E731
            return h * gain, back

        return multiply(h, tf.convert_to_tensor(gain))


@pytest.mark.parametrize("dtype", [tf.float64, tf.float32])
@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_parameters_of_a_module(factor: float, dtype: Any) -> None:
    net = Net(factor, dtype)
    before = [v.numpy().tobytes() for v in net.variables]
    result = check(net, tensor(X, dtype), loss=lambda y: tf.reduce_mean(y**2), allow=["coarse"])
    assert result.title == "Net"
    wrong = {name for name, status in statuses(result).items() if status == "fail"}
    assert (set(statuses(result)), wrong) == (
        {"layers[0]", "gain"},
        {"gain"} if factor != 1.0 else set(),
    )
    assert [v.numpy().tobytes() for v in net.variables] == before


def test_parameters_are_as_before_whatever_happens() -> None:
    net, calls = Net(), []

    def loss(y: Any) -> Any:
        calls.append(y)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return tf.reduce_sum(y**2)

    before = [v.numpy().tobytes() for v in net.variables]
    with pytest.raises(KeyboardInterrupt):
        check(net, tensor(), loss=loss)
    assert [v.numpy().tobytes() for v in net.variables] == before


def test_inputs_on_request() -> None:
    result = check(Net(), X, wrt=["gain", "x"])
    assert (result.status, list(statuses(result))) == ("pass", ["gain", "x"])


def test_functions_of_variables_and_tensors() -> None:
    w, b = tf.Variable(X.T), tf.Variable(np.ones(3))
    before = w.numpy().tobytes()

    def loss(params: Any, x: Any) -> Any:
        return tf.reduce_mean(tf.tanh(x @ params["w"] + params["b"]) ** 2)

    result = check(loss, {"w": w, "b": b}, tensor())
    assert (result.status, list(statuses(result))) == ("pass", ["params.w", "params.b", "x"])
    result = check(loss=loss, params={"w": w, "b": b}, args=(tensor(),))
    assert (result.status, list(statuses(result))) == ("pass", ["w", "b"])
    assert w.numpy().tobytes() == before


def test_float32_is_verified_in_float64() -> None:
    x = tensor(X, tf.float32)
    result = check(lambda x: tf.reduce_mean(tf.tanh(x) ** 2), x)
    assert result.status == "pass"
    assert result.relative_error + result.uncertainty < 1e-8
    declined = check(lambda x: tf.reduce_mean(tf.tanh(x) ** 2), x, float64=False, allow=["coarse"])
    assert declined.uncertainty > 1e-8


def test_overflow_in_the_own_precision_fails() -> None:
    x = tensor([100.0, 1.0], tf.float32)
    result = check(lambda x: tf.reduce_sum(tf.math.log(1 + tf.exp(x))), x)
    assert result.status == "fail"
    assert [f.name for f in result.findings] == ["not-finite"]


def test_variables_that_a_function_closes_over_are_measured_where_they_are() -> None:
    w = tf.Variable(X, dtype=tf.float32)
    result = check(lambda v: tf.reduce_mean(tf.tanh(w) ** 2), w, allow=["coarse"])
    assert result.status == "pass"
    assert result.uncertainty > 1e-8


def test_compiled_functions() -> None:
    @tf.function  # type: ignore[untyped-decorator]
    def loss(x: Any) -> Any:
        return tf.reduce_sum(tf.exp(x) * x)

    assert check(loss, tensor()).status == "pass"


def test_the_wrong_output_is_named() -> None:
    wrong = with_backward(tf.sin, one_entry)
    result = check(lambda x: [tf.exp(x), {"sine": wrong(x)}], tensor())
    assert (result.status, result.worst[0].label) == ("fail", "x[1, 2]")
    [finding] = [f for f in result.findings if f.name == "wrong-output"]
    assert finding.evidence["output"] == "output[1].sine[1, 2]"


def test_forward_mode_and_second_order() -> None:
    found = statuses(check(lambda x: tf.tanh(x) ** 2, tensor(), forward_ad=True, order=2))
    assert found == {"x": "pass", "second:x": "pass", "forward:x": "pass"}

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def cube(x: Any) -> Any:
        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def slope(x: Any) -> Any:
            return 3 * x**2, lambda up: 5 * x * up  # 6 was meant

        return x**3, lambda up: up * slope(x)

    assert statuses(check(cube, tensor(), order=2)) == {"x": "pass", "second:x": "fail"}


def test_complex_numbers() -> None:
    z = tf.complex(tensor(), tensor(X + 1))
    assert check(lambda z: tf.exp(z) * tf.math.conj(z), z).status == "pass"
    wrong = with_backward(tf.exp, tf.math.conj)
    assert check(wrong, z).status == "fail"


def test_sparse_gradients() -> None:
    rows = tf.constant([0, 2, 0])
    assert check(lambda w: tf.gather(w, rows) ** 2, tf.Variable(X)).status in ("pass", "warn")


@pytest.mark.parametrize("seed", [None, 3])
def test_random_operations_are_held_and_put_back(seed: int | None) -> None:
    tf.random.set_seed(seed)
    context = __import__("tensorflow.python.eager.context", fromlist=["context"]).context()
    result = check(
        lambda x: tf.nn.dropout(x, 0.5) ** 2, tensor(), allow=["zero-gradient", "nondeterministic"]
    )
    assert result.status == "pass"
    assert context._seed == seed


@pytest.mark.parametrize("seed", [None, 3])
def test_a_loss_that_draws_nothing_is_not_said_to_draw(seed: int | None) -> None:
    tf.random.set_seed(seed)
    context = __import__("tensorflow.python.eager.context", fromlist=["context"]).context()
    result = check(lambda x: tf.sin(x), tensor())
    assert (result.status, result.findings) == ("pass", ())
    assert context._seed == seed


def test_a_generator_of_ones_own() -> None:
    generator = tf.random.Generator.from_seed(1)
    before = generator.state.numpy().tobytes()
    result = check(lambda x: x * generator.normal((4,), dtype=tf.float64), tensor())
    assert result.status in ("pass", "warn")
    assert generator.state.numpy().tobytes() == before


class ByHand:
    """Hooks that speak of variables."""

    def __init__(self, factor: float = 1.0) -> None:
        self.w, self.factor = tf.Variable(X), factor

    @property
    def params(self) -> dict[str, Any]:
        return {"w": self.w}

    def loss(self) -> Any:
        return tf.reduce_sum(tf.sin(self.w))

    def grads(self) -> dict[str, Any]:
        return {"w": self.factor * tf.cos(self.w)}


def test_gradients_by_hand() -> None:
    right, wrong = ByHand(), ByHand(1.5)
    before = right.w.numpy().tobytes()
    assert (check(right).status, check(wrong).status) == ("pass", "fail")
    assert right.w.numpy().tobytes() == before
    grads = lambda w: 2 * tf.cos(w)  # noqa: E731
    loss = lambda w: tf.reduce_sum(tf.sin(w))  # noqa: E731
    assert check(loss=loss, grads=grads, params=tf.Variable(X)).status == "fail"
    assert check(loss=loss, grads=lambda w: tf.cos(w), params=tensor()).status == "pass"


@pytest.mark.parametrize(
    ("function", "given", "message"),
    [
        (tf.sin, lambda: tf.constant([1, 2]), "sin is given no floating-point tensor"),
        (lambda x: tf.stop_gradient(x), tensor, "no output depends on what is to be checked"),
        (lambda x: tf.constant(x.numpy()), tensor, "no output depends"),
        (lambda x: tf.argmax(x), tensor, "the output is no floating-point tensor"),
    ],
)
def test_errors(function: Any, given: Callable[[], Any], message: str) -> None:
    with pytest.raises(SubjectError, match=message):
        check(function, given())


def test_nothing_of_that_name() -> None:
    with pytest.raises(
        SubjectError, match=r"matches nothing that can be moved; there is: gain, layers"
    ):
        check(Net(), tensor(), wrt="weights")

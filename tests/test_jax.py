"""JAX: functions of pytrees with custom derivatives, modules, precision, order, both modes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_gradcheck import Result, Settings, SubjectError, check
from pytest_gradcheck.adapters.functions import Functions

jax = pytest.importorskip("jax")
import jax.numpy as jnp  # noqa: E402

from pytest_gradcheck.adapters.called import Called  # noqa: E402
from pytest_gradcheck.adapters.jax import adapt  # noqa: E402
from pytest_gradcheck.adapters.jax.check import places_of  # noqa: E402

KEYS = jax.random.split(jax.random.PRNGKey(7), 8)
X = jax.random.normal(KEYS[0], (3, 4))


@pytest.fixture(autouse=True)
def _configuration_as_before() -> Any:
    before = dict(jax.config.values)
    yield
    assert dict(jax.config.values) == before
    assert jnp.ones(1).dtype == jnp.float32


def names(result: Result) -> list[str]:
    return [block.name for block in result.blocks]


def arrays(tree: Any) -> list[bytes]:
    leaves = jax.tree_util.tree_leaves(tree)
    return [np.asarray(leaf).tobytes() for leaf in leaves if isinstance(leaf, jax.Array)]


def statuses(result: Result) -> dict[str, str]:
    return {block.name: block.status for block in result.blocks}


def with_backward(op: Callable[[Any], Any], spoil: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`op` with a backward pass that hands on what `spoil` makes of the right gradient."""

    @jax.custom_vjp
    def function(x: Any) -> Any:
        return op(x)

    def forward(x: Any) -> Any:
        return op(x), x

    def backward(x: Any, cotangent: Any) -> Any:
        return (spoil(jax.vjp(op, x)[1](cotangent)[0]),)

    function.defvjp(forward, backward)
    return function


SPOILED: dict[str, Callable[[Any], Any]] = {
    "right": lambda g: g,
    "factor": lambda g: 1.001 * g,
    "sign": lambda g: -g,
    "zero": lambda g: 0 * g,
    "entry": lambda g: g.at[1, 2].add(0.3 * jnp.max(jnp.abs(g))),
}

NUMPY = """sin cos tan tanh exp expm1 arctan square abs cumsum sum mean prod std max sort
transpose median tril"""
NN = """relu sigmoid softplus silu gelu elu selu leaky_relu softmax log_softmax logsumexp
standardize hard_tanh"""
OPS: dict[str, Callable[[Any], Any]] = {
    **{name: getattr(jnp, name) for name in NUMPY.split()},
    **{name: getattr(jax.nn, name) for name in NN.split() if hasattr(jax.nn, name)},
    "log": lambda x: jnp.log(x**2 + 1),
    "sqrt": lambda x: jnp.sqrt(x**2 + 1),
    "matmul": lambda x: x @ x.T,
    "einsum": lambda x: jnp.einsum("ij,kj->ik", x, x),
    "inv": lambda x: jnp.linalg.inv(x @ x.T + jnp.eye(3)),
    "cholesky": lambda x: jnp.linalg.cholesky(x @ x.T + jnp.eye(3)),
    "norm": jnp.linalg.norm,
    "where": lambda x: jnp.where(x > 0, x**2, 3 * x),
    "conv": lambda x: jnp.convolve(x[0], x[1]),
    "scan": lambda x: jax.lax.scan(lambda c, r: (jnp.tanh(c + r), c * r), x[0], x)[1],
    "take": lambda x: x[jnp.array([0, 2, 0])] ** 2,
    "power": lambda x: jnp.power(x**2 + 0.5, 1.7),
    "fft": lambda x: jnp.fft.rfft(x),
    "erf": jax.scipy.special.erf,
    "gammaln": lambda x: jax.scipy.special.gammaln(x**2 + 0.5),
}


def test_enough_ops() -> None:
    assert len(OPS) >= 40


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_ops_and_wrong_backward_passes(op: Callable[[Any], Any]) -> None:
    """Each in its own parameter of one function: the verdict on each is its own."""

    def together(xs: dict[str, Any]) -> Any:
        return {kind: with_backward(op, spoil)(xs[kind]) for kind, spoil in SPOILED.items()}

    result = check(together, {kind: X + 0.1 * k for k, kind in enumerate(SPOILED)})
    found = statuses(result)
    assert found.pop("right") == "pass"
    assert not {f.name for f in result.findings if "right" in f.where}
    assert found == {"factor": "warn", "sign": "fail", "zero": "fail", "entry": "fail"}
    [factor] = [block for block in result.blocks if block.name == "factor"]
    assert factor.relative_error == pytest.approx(5e-4, rel=0.01)


class TestFunctions:
    def test_pytrees_by_their_key_paths(self) -> None:
        def loss(params: Any, x: Any, scale: float) -> Any:
            h = jnp.tanh(x @ params["layers"][0]["W"] + params["layers"][0]["b"])
            return scale * jnp.mean((h * params["gain"]) ** 2)

        params = {"layers": [{"W": X.T, "b": jnp.zeros(3)}], "gain": jnp.float32(2)}
        result = check(loss, params, X, 0.5)
        assert (result.status, result.title) == ("pass", "loss")
        assert names(result) == [
            "params.gain", "params.layers[0].W", "params.layers[0].b", "x", "scale",
        ]  # fmt: skip
        only = check(Functions(loss, None, params), X, 0.5)
        assert names(only) == ["gain", "layers[0].W", "layers[0].b"]
        assert names(check(loss, params, X, 0.5, wrt=["x", "*.b"])) == [
            "params.layers[0].b", "x",
        ]  # fmt: skip

    def test_keyword_arguments(self) -> None:
        result = check(lambda x, *, y: jnp.sum(x * y), X, kwargs={"y": X + 1})
        assert (result.status, names(result)) == ("pass", ["x", "y"])

    def test_wrong_output_is_named(self) -> None:
        @jax.custom_vjp
        def f(x: Any) -> Any:
            return {"a": jnp.sin(x), "b": x**2}

        def backward(x: Any, ct: Any) -> Any:
            return (ct["a"] * jnp.cos(x) + 2 * x * ct["b"].at[2, 1].multiply(1.5),)

        f.defvjp(lambda x: (f(x), x), backward)
        result = check(f, X)
        assert (result.status, result.worst[0].index) == ("fail", (2, 1))
        [finding] = adapt(f, (X,), Settings()).explain(result.worst)
        assert finding.evidence["output"] == "output.b[2, 1]"
        assert finding.evidence["measured"] == pytest.approx(2 * float(X[2, 1]), rel=1e-6)

    def test_functions_that_look_at_values(self) -> None:
        def loss(x: Any) -> Any:
            return jnp.sum(x**2) if x[0, 0] > -9 else jnp.sum(x)

        assert check(loss, X).status == "pass"
        assert check(with_backward(lambda x: x**2, SPOILED["entry"]), X).status == "fail"

    @pytest.mark.parametrize("wrap", [jax.jit, partial(jax.jit, static_argnums=1), jax.checkpoint])
    def test_transformed_functions(self, wrap: Any) -> None:
        assert check(wrap(lambda x, n: jnp.sum(x**n)), X, 3).status == "pass"

    def test_numpy_arrays_and_python_floats(self) -> None:
        result = check(jax.jit(lambda x, y: jnp.sin(x) * y), np.ones((2, 2)), 0.3)
        assert (result.status, names(result)) == ("pass", ["x", "y"])

    def test_custom_jvp(self) -> None:
        @jax.custom_jvp
        def f(x: Any) -> Any:
            return x**3

        f.defjvp(lambda p, t: (p[0] ** 3, 2.9 * p[0] ** 2 * t[0]))
        result = check(f, X, forward_ad=True)
        assert statuses(result) == {"x": "fail", "forward:x": "fail"}

    def test_second_order(self) -> None:
        @jax.custom_jvp
        def f(x: Any) -> Any:
            return x**3

        f.defjvp(lambda p, t: (p[0] ** 3, 3 * jax.lax.stop_gradient(p[0]) ** 2 * t[0]))
        result = check(f, X, order=2, forward_ad=True)
        assert statuses(result) == {"x": "pass", "second:x": "fail", "forward:x": "pass"}
        right = check(lambda x: jnp.sin(x) @ x.T, X, order=2, forward_ad=True)
        assert right.status == "pass"
        assert right.uncertainty < 1e-8

    def test_complex_numbers(self) -> None:
        z = X[0] + 1j * X[1]
        for f in (jnp.exp, jnp.abs, jnp.conj, lambda z: jnp.fft.fft(z) * z):
            result = check(f, z, order=2, allow=["zero-gradient"])
            assert result.status == "pass", f
            assert names(result)[:2] == [f"{names(result)[0][:-5]}.real", names(result)[1]]

        @jax.custom_vjp
        def wrong(z: Any) -> Any:
            return jnp.exp(z)

        wrong.defvjp(lambda z: (jnp.exp(z),) * 2, lambda y, ct: (ct * jnp.conj(y),))
        assert check(wrong, z).status == "fail"

    def test_many_points_in_one_call(self) -> None:
        own = Called(lambda x, c: jnp.exp(c * x) @ jnp.ones(4))
        place: Any = places_of(own, (X, 0.5), Settings()).wide[0]
        rng = np.random.default_rng(0)
        points = [rng.normal(size=(5, 3, 4)), rng.normal(size=5)]
        found = place.many(points)
        assert len(found) == 5
        for i, value in enumerate(found):
            for parameter, values in zip(place.moved.parameters, points, strict=True):
                parameter.write(values[i].reshape(-1))
            assert place.value() == pytest.approx(value, rel=1e-14)

    def test_many_entries(self) -> None:
        x = jax.random.normal(KEYS[2], (40, 30))
        right = check(lambda x: jnp.sum(jnp.tanh(x) ** 2), x)
        assert right.status == "pass"
        wrong = check(with_backward(jnp.tanh, SPOILED["entry"]), x)
        assert wrong.worst[0].index == (1, 2)


class TestPrecision:
    def test_float32_is_verified_to_the_digits_of_float64(self) -> None:
        for order in (1, 2):
            result = check(lambda x: jnp.mean(jnp.tanh(x @ x.T) ** 2), X, order=order)
            assert result.status == "pass"
            assert result.relative_error + result.uncertainty < 1e-9

    def test_arrays_closed_over(self) -> None:
        """They are float32 to JAX, then float64, then float32 again."""
        data = np.random.default_rng(0).normal(size=(5, 3))

        def loss(x: Any) -> Any:
            return jnp.mean(jnp.tanh(data @ x) ** 2)

        for subject in (Functions(loss, None, X), Functions(loss, jax.grad(loss), X)):
            result = check(subject)
            assert result.status == "pass"
            assert result.uncertainty < 1e-8
            assert jnp.sin(data).dtype == loss(X).dtype == jax.grad(loss)(X).dtype == jnp.float32

    @pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
    def test_half_precision(self, dtype: str) -> None:
        x = X.astype(dtype)
        assert check(lambda x: jnp.tanh(x) ** 2, x).status == "pass"
        assert check(with_backward(jnp.tanh, SPOILED["factor"]), x).status == "warn"
        assert x.dtype == dtype

    def test_what_differs_only_in_the_own_precision_is_found(self) -> None:
        def spoil(g: Any) -> Any:
            return g if g.dtype == jnp.float64 else 1.1 * g

        result = check(with_backward(jnp.sin, spoil), X)
        assert result.status == "fail"

    @pytest.mark.parametrize(
        "function", [lambda x: jnp.sum(jnp.log(1 + jnp.exp(x))), jnp.exp], ids=["loss", "outputs"]
    )
    def test_overflow_in_the_own_precision_is_no_random_draw(self, function: Any) -> None:
        result = check(function, jnp.array([100.0, 1.0]))
        assert result.status == "fail"
        assert "not-finite" in [f.name for f in result.findings]

    def test_functions_that_insist_on_float32(self) -> None:
        def loss(x: Any) -> Any:
            if x.dtype != jnp.float32:
                raise TypeError("float32 only")
            return jnp.sum(x**2)

        assert check(loss, X).status == "pass"

    def test_float64_may_be_declined(self) -> None:
        seen = []

        def loss(x: Any) -> Any:
            seen.append(x.dtype)
            return jnp.sum(x**2)

        assert check(loss, X, float64=False, allow=["coarse"]).status == "pass"
        assert set(seen) == {np.dtype("float32")}

    @pytest.mark.parametrize(
        "key", [jax.random.PRNGKey(3), jax.random.key(3)], ids=["raw", "typed"]
    )
    def test_keys_are_left_alone(self, key: Any) -> None:
        def dropout(x: Any, key: Any) -> Any:
            return jnp.where(jax.random.bernoulli(key, 0.5, x.shape), jnp.sin(x), 0)

        result = check(dropout, X, key)
        assert (result.status, names(result)) == ("pass", ["x"])
        assert [f.name for f in result.findings] == ["precision"]
        wrong = with_backward(lambda x: dropout(x, key), SPOILED["sign"])
        assert check(wrong, X).status == "fail"


class TestByHand:
    @pytest.mark.parametrize("as_pair", [False, True])
    def test_gradient_and_pair(self, as_pair: bool) -> None:
        def loss(p: Any) -> Any:
            return jnp.sum(jnp.sin(p["a"])) * p["b"]

        def grads(p: Any, factor: float = 1.0) -> Any:
            return {"a": np.cos(p["a"]) * p["b"], "b": factor * jnp.sum(jnp.sin(p["a"]))}

        params = {"a": X, "b": jnp.float32(2)}
        for factor, expected in ((1.0, "pass"), (1.1, "fail")):
            if as_pair:
                subject = Functions(lambda p, f=factor: (loss(p), grads(p, f)), None, params)
            else:
                subject = Functions(loss, lambda p, f=factor: grads(p, f), params)
            assert statuses(check(subject)) == {"a": "pass", "b": expected}

    def test_gradient_of_jax_at_numpy_arrays(self) -> None:
        def loss(x: Any) -> Any:
            return jnp.sum(jnp.sin(x))

        result = check(Functions(loss, jax.grad(loss), np.asarray(X, dtype=float)))
        assert result.status == "pass"
        assert result.uncertainty < 1e-8

    def test_missing(self) -> None:
        with pytest.raises(SubjectError, match="no gradient for 'b': grads has 'a'"):
            check(Functions(lambda p: p["a"] * p["b"], lambda p: {"a": p["b"]},
                            {"a": jnp.ones(()), "b": jnp.ones(())}))  # fmt: skip

    def test_shape(self) -> None:
        with pytest.raises(SubjectError, match=r"grads\[params\] has shape \(4, 3\)"):
            check(Functions(jnp.sum, lambda x: jnp.ones((4, 3)), X))


class TestMistakes:
    @pytest.mark.parametrize(
        ("subject", "args", "message"),
        [
            (jnp.sin, (jnp.arange(3),), "sin is given no floating-point array"),
            (lambda x: x > 0, (X,), "returns no floating-point number"),
        ],
    )
    def test_messages(self, subject: Any, args: tuple[Any, ...], message: str) -> None:
        with pytest.raises(SubjectError, match=message):
            check(subject, *args)

    def test_arrays_that_no_object_can_move(self) -> None:
        model = SimpleNamespace(params={"w": X}, loss=lambda: 1.0, grads=lambda: {"w": X})
        with pytest.raises(
            SubjectError, match=r"w is of type jax.*np\.array\(value\), or.*functions"
        ):
            check(model)

    def test_nothing_of_that_name(self) -> None:
        with pytest.raises(SubjectError, match="that is named like"):
            check(jnp.sin, X, wrt="y")


@pytest.mark.parametrize("factor", [1.0, 1.1])
@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
def test_beside_least_squares_float32_has_few_digits_and_is_right(mode: str, factor: float) -> None:
    @jax.custom_vjp
    def same(z: Any) -> Any:
        return z

    same.defvjp(lambda z: (z, None), lambda _, g: (factor * g,))
    rng = np.random.default_rng(0)
    a, x = rng.normal(size=(20, 8)).astype(np.float32), rng.normal(size=8)
    y = jnp.asarray(a.astype(float) @ x, jnp.float32)
    beside = jnp.asarray(x + 1e-5 * rng.normal(size=8), jnp.float32)
    result = check(lambda w: 0.5 + jnp.mean((same(a @ w) - y) ** 2), beside, mode=mode)
    assert result.status == ("pass" if factor == 1 else "fail")


def test_jax_is_not_imported() -> None:
    code = (
        "import sys, numpy as np, pytest_gradcheck as p;"
        "p.check(loss=lambda x: float(x @ x), grads=lambda x: 2 * x, params=np.ones(2));"
        "assert 'jax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class TestEquinox:
    def model(self) -> Any:
        eqx = pytest.importorskip("equinox")
        return eqx.nn.MLP(4, 2, 3, 1, key=KEYS[1])

    def test_module(self) -> None:
        model = self.model()
        before = [
            np.asarray(a).tobytes() for a in jax.tree_util.tree_leaves(model) if hasattr(a, "shape")
        ]
        result = check(model, X[0])
        assert result.status == "pass"
        assert names(result) == [
            f"layers[{i}].{name}" for i in (0, 1) for name in ("weight", "bias")
        ]
        after = [
            np.asarray(a).tobytes() for a in jax.tree_util.tree_leaves(model) if hasattr(a, "shape")
        ]
        assert after == before

    def test_one_wrong_entry(self) -> None:
        eqx, model = pytest.importorskip("equinox"), self.model()

        def loss(model: Any, x: Any) -> Any:
            return jnp.mean(jax.vmap(model)(x) ** 2)

        def grads(model: Any, x: Any) -> Any:
            found = eqx.filter_grad(loss)(model, x)
            where = lambda m: m.layers[0].weight  # noqa: E731
            return eqx.tree_at(where, found, where(found).at[2, 1].add(0.1))

        assert check(Functions(loss, eqx.filter_grad(loss), model), X).status == "pass"
        result = check(Functions(loss, grads, model), X)
        assert (result.status, result.worst[0].label) == ("fail", "layers[0].weight[2, 1]")


class TestNnx:
    def model(self) -> Any:
        nnx = pytest.importorskip("flax.nnx")

        class Model(nnx.Module):  # type: ignore[misc, name-defined]
            def __init__(self, rngs: Any) -> None:
                self.first = nnx.Linear(4, 5, rngs=rngs)
                self.norm = nnx.BatchNorm(5, rngs=rngs)
                self.dropout = nnx.Dropout(0.3, rngs=rngs)
                self.last = nnx.Linear(5, 2, rngs=rngs)

            def __call__(self, x: Any) -> Any:
                return self.last(self.dropout(jnp.tanh(self.norm(self.first(x)))))

        return Model(nnx.Rngs(0))

    def test_module_with_statistics_and_dropout(self) -> None:
        nnx, model = pytest.importorskip("flax.nnx"), self.model()

        def frozen() -> list[str]:
            return [repr(leaf) for leaf in jax.tree_util.tree_leaves(nnx.state(model))]

        before = frozen()
        result = check(model, X, allow=["zero-gradient"])
        assert result.status == "pass"
        assert set(names(result)) == {
            f"{layer}.{name}" for layer in ("first", "last") for name in ("kernel", "bias")
        } | {"norm.scale", "norm.bias"}
        assert frozen() == before

    def test_gradient_of_nnx(self) -> None:
        nnx = pytest.importorskip("flax.nnx")
        model = nnx.Linear(4, 2, rngs=nnx.Rngs(1))

        def loss(model: Any, x: Any) -> Any:
            return jnp.mean(model(x) ** 2)

        def wrong(model: Any, x: Any) -> Any:
            found = nnx.grad(loss)(model, x)
            return jax.tree_util.tree_map(lambda g: 1.1 * g if g.ndim == 1 else g, found)

        assert check(Functions(loss, nnx.grad(loss), model), X).status == "pass"
        assert statuses(check(Functions(loss, wrong, model), X)) == {
            "bias": "fail",
            "kernel": "pass",
        }

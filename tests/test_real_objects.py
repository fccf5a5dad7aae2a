"""Habits of objects in public code, each of which a naive checker gets wrong."""

from __future__ import annotations

import random
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from models import RNG, Holder, Mlp, X, slope, value

from pytest_gradcheck import Result, SubjectError, check
from pytest_gradcheck.core.tied import tie


def names(result: Result) -> list[str]:
    return [finding.name for finding in result.findings]


class Cached:
    """backward() eats what forward() cached, and hands out the same arrays each time."""

    def __init__(self, factor: float = 1.0) -> None:
        self.params = {"W": np.array([[0.5, -1.0], [2.0, 0.3]])}
        self.grads = {"W": np.zeros((2, 2))}
        self.factor = factor
        self.cache: list[np.ndarray] = []

    def loss(self) -> float:
        self.grads["W"].fill(0.0)
        self.cache.append(self.params["W"].copy())
        return value(self.params)

    def backward(self) -> None:
        self.grads["W"] += self.factor * slope(self.cache.pop())
        self.cache.clear()


@pytest.mark.parametrize(("factor", "status"), [(1.0, "pass"), (1.1, "fail")])
def test_gradients_are_taken_once_after_the_loss_and_copied(factor: float, status: str) -> None:
    calls: list[str] = []

    class Logged(Cached):
        def loss(self) -> float:
            calls.append("loss")
            return super().loss()

        def backward(self) -> None:
            calls.append("backward")
            super().backward()

    assert check(Logged(factor)).status == status
    assert calls[:2] == ["loss", "backward"]
    # a wrong gradient is taken again, to see whether that adds to the first, and after a move, to
    # see whether it follows
    assert calls.count("backward") == (1 if status == "pass" else 3)
    assert all(calls[i - 1] == "loss" for i, call in enumerate(calls) if call == "backward")


class Tied:
    """One matrix as encoder and, in some form, as decoder; each hands out its own gradient."""

    def __init__(self, form: Any, factor: float = 1.0) -> None:
        W = np.random.default_rng(5).normal(size=(3, 3))
        self.form, self.factor = form, factor
        self.params = {"encoder": W, "decoder": form(W)}
        self.C = np.random.default_rng(6).normal(size=(3, 3))

    def loss(self) -> float:
        return float(np.sum(self.params["encoder"] ** 2) + np.sum(self.C * self.params["decoder"]))

    def grads(self) -> dict[str, np.ndarray]:
        return {"encoder": 2 * self.params["encoder"], "decoder": self.factor * self.C}


TIED = {
    "the same": lambda W: W,
    "another view": lambda W: W[:],
    "transposed": lambda W: W.T,
    "reversed": lambda W: W[::-1],
    "another shape": lambda W: W.reshape(9)[::-1].reshape(3, 3),
}


@pytest.mark.parametrize("form", TIED.values(), ids=TIED)
class TestTiedWeights:
    def test_parts_of_the_gradient_are_summed(self, form: Any) -> None:
        result = check(Tied(form))
        assert result.status == "pass"
        assert result.size == 9

    def test_finding_names_both(self, form: Any) -> None:
        (finding,) = check(Tied(form)).findings
        assert (finding.name, finding.where) == ("tied", ("encoder", "decoder"))

    def test_wrong_part_fails(self, form: Any) -> None:
        assert check(Tied(form, factor=1.5)).status == "fail"


def test_groups_of_arrays_over_the_same_memory() -> None:
    W, other, strided = np.arange(9.0).reshape(3, 3), np.ones(3), np.zeros((3, 8))[:, ::2]
    arrays = [W, W.T, other, None, W[::-1], np.zeros((0, 2)), strided, strided[:, ::-1], other]
    groups = tie([f"p{i}" for i in range(len(arrays))], arrays)
    assert [group.members for group in groups] == [[0, 1, 4], [2, 8], [3], [5], [6, 7]]
    rng = np.random.default_rng(0)
    gradients = [np.zeros(1) if a is None else rng.normal(size=a.shape) for a in arrays]
    before = [g.copy() for g in gradients]
    g = gradients
    totals = [group.total(gradients).tolist() for group in groups]
    assert totals[0] == pytest.approx((g[0] + g[1].T + g[4][::-1]).reshape(-1))
    assert totals[1] == pytest.approx(g[2] + g[8])
    assert (totals[2], totals[3]) == ([0.0], [])
    assert totals[4] == pytest.approx((g[6] + g[7][:, ::-1]).reshape(-1))
    assert all(np.array_equal(a, b) for a, b in zip(gradients, before, strict=True))
    for one, two in ((W, W[:2]), (W, W.reshape(-1)[1:]), (W, W.view(np.float32))):
        with pytest.raises(SubjectError, match="parameters p0 and p1 overlap"):
            tie(["p0", "p1"], [one, two])


OVERLAPS = {
    "shifted": lambda a: {"first": a[:4], "second": a[2:]},
    "part": lambda a: {"first": a, "second": a[:2]},
    "crossing": lambda a: {"first": a.reshape(2, 3)[0], "second": a.reshape(2, 3)[:, 0]},
}


@pytest.mark.parametrize("form", OVERLAPS.values(), ids=OVERLAPS)
def test_other_overlaps_are_an_error_that_names_both(form: Any) -> None:
    params = form(np.arange(6.0))
    with pytest.raises(SubjectError, match="first and second overlap"):
        check(Holder(params))


def test_interleaved_views_do_not_overlap() -> None:
    both = np.arange(1.0, 7.0)
    assert check(Holder({"even": both[::2], "odd": both[1::2]})).status == "pass"


def test_array_that_overlaps_itself_is_an_error() -> None:
    windows = np.lib.stride_tricks.as_strided(np.arange(5.0), (3, 3), (8, 8))
    with pytest.raises(SubjectError, match=r"params .*more than once"):
        check(loss=value, grads=slope, params=windows)


class Layer:
    __slots__ = ("W", "cache")

    def __init__(self) -> None:
        self.W = np.array([0.5, -0.2])


class Busy:
    """Everything that networks keep up to date behind one's back."""

    def __init__(self) -> None:
        self.layer = Layer()
        self.params = {"W": self.layer.W}
        self.running_mean = np.zeros(2)
        self.running_var: Any = np.ones(2)
        self.hidden: dict[str, Any] = {"h": np.zeros(2)}
        self.history = [1.0]
        self.steps = 0
        self.last = None

    def loss(self) -> float:
        self.steps += 1
        self.running_mean += 0.1
        self.running_var = 0.9 * self.running_var
        self.hidden["h"] = self.hidden["h"] + 1
        self.hidden["c"] = np.ones(2)
        self.history.append(2.0)
        self.layer.cache = self.params["W"].copy()
        self.new = "left behind"
        self.last = self
        return value(self.params)

    def grads(self) -> Any:
        return slope(self.params)


class TestStateIsAsBefore:
    model: Any

    @pytest.fixture(autouse=True)
    def _check(self) -> None:
        self.model = Busy()
        self.before = dict(vars(self.model), hidden_h=self.model.hidden["h"])
        assert check(self.model).status == "pass"

    def test_counter(self) -> None:
        assert self.model.steps == 0

    def test_running_mean_in_place(self) -> None:
        assert self.model.running_mean is self.before["running_mean"]
        assert self.model.running_mean.tolist() == [0, 0]

    def test_running_variance_rebound(self) -> None:
        assert self.model.running_var is self.before["running_var"]

    def test_hidden_state_in_a_mapping(self) -> None:
        assert list(self.model.hidden) == ["h"]
        assert self.model.hidden["h"] is self.before["hidden_h"]

    def test_history(self) -> None:
        assert self.model.history is self.before["history"] and self.model.history == [1.0]

    def test_cache_of_a_layer_with_slots(self) -> None:
        assert not hasattr(self.model.layer, "cache")

    def test_attributes(self) -> None:
        assert list(vars(self.model)) == [key for key in self.before if key != "hidden_h"]
        assert self.model.last is None


class Counting(Holder):
    steps = 0

    def loss(self) -> float:
        self.steps += 1
        return super().loss() + self.steps


def test_state_that_makes_the_loss_drift_is_named() -> None:
    with pytest.raises(SubjectError, match=r"differ by 1 .*self\.steps"):
        check(Counting({"W": np.ones(2)}))


class Reseeding(Mlp):
    def loss(self, *args: Any) -> float:
        np.random.seed(1)
        random.seed(1)
        return super().loss(*args)


@pytest.mark.parametrize("frozen", ["auto", "on", "off"])
@pytest.mark.parametrize(("scaled", "status"), [({}, "pass"), ({"W1": 1.01}, "fail")])
def test_loss_may_reseed_the_global_generators(
    frozen: str, scaled: dict[str, float], status: str
) -> None:
    assert check(Reseeding(**scaled), freeze_rng=frozen).status == status


def test_generators_reseeded_by_the_loss_are_as_before() -> None:
    np.random.seed(5)
    random.seed(5)
    expected = np.random.RandomState(5).rand(), random.Random(5).random()
    check(Reseeding())
    assert (np.random.rand(), random.random()) == expected


class Rebound:
    """Layers keep the arrays of the beginning; `params` has new ones for some of them."""

    def __init__(self, *rebound: str) -> None:
        self.params = {"W": np.ones(3), "b": np.full(2, 0.5)}
        self._layers = dict(self.params)
        for name in rebound:
            self.params[name] = self.params[name].astype(float)

    def loss(self) -> float:
        return value(self._layers)

    def grads(self) -> Any:
        return slope(self._layers)


@pytest.mark.parametrize("rebound", [("W",), ("b",), ("W", "b")])
def test_parameters_that_do_not_reach_the_loss_are_named(rebound: tuple[str, ...]) -> None:
    with pytest.raises(SubjectError, match=f"moving {', '.join(rebound)} does not reach the loss"):
        check(Rebound(*rebound))


@pytest.mark.parametrize("refine", [True, False])
def test_parameter_that_does_not_reach_the_loss_never_passes_by_the_textbook(refine: bool) -> None:
    with pytest.raises(SubjectError, match="does not reach the loss"):
        check(Rebound("b"), refine=refine)


def as_float32(grads: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: g.astype(np.float32) for name, g in grads.items()}


class TestFloat32:
    def test_claim_rounded_to_float32_passes(self) -> None:
        net = Mlp()
        result = check(
            loss=lambda _: net.loss(), grads=lambda _: as_float32(net.grads()), params=net.params
        )
        assert result.status == "pass"

    @pytest.mark.parametrize("inside_only", [True, False])
    def test_correct_gradient_is_never_called_wrong(self, inside_only: bool) -> None:
        result = check(Single(inside_only=inside_only))
        assert {block.status for block in result.blocks} == {"pass"}
        assert set(names(result)) <= {"coarse", "tiny-gradient", "low-precision"}

    @pytest.mark.parametrize("inside_only", [True, False])
    def test_wrong_gradient_is_found(self, inside_only: bool) -> None:
        result = check(Single(inside_only=inside_only, W2=1.05))
        assert [b.name for b in result.blocks if b.status == "fail"] == ["W2"]

    def test_same_arrays_with_the_same_bytes_afterwards(self) -> None:
        model = Single(inside_only=False)
        before = {name: (id(a), a.dtype, a.tobytes()) for name, a in model.params.items()}
        check(model)
        assert {n: (id(a), a.dtype, a.tobytes()) for n, a in model.params.items()} == before

    @pytest.mark.parametrize("mode", ["exhaustive", "probe"])
    @pytest.mark.parametrize("seed", range(3))
    def test_arrays_that_cannot_be_replaced(self, seed: int, mode: str) -> None:
        """Moved along a direction, each is rounded to its own precision; that is no kink."""
        right = check(Closed(seed), mode=mode, seed=seed)
        assert (right.status, right.findings) == ("pass", ())
        wrong = check(Closed(seed, factor=1.5), mode=mode, seed=seed)
        assert wrong.status == "fail"
        assert (wrong.worst[0].parameter, wrong.worst[0].index) == ("W", (3, 1))

    def test_half_precision_gradient_is_never_called_wrong(self) -> None:
        params = {"W": np.array([0.5, -1.25, 2.0], np.float16)}
        result = check(
            loss=lambda p: float(np.sum(p["W"].astype(float) ** 2)),
            grads=lambda p: {"W": 2 * p["W"]},
            params=params,
        )
        assert {block.status for block in result.blocks} == {"pass"}


class Closed:
    """float32 arrays held by a closure; one entry of the gradient times `factor`."""

    def __init__(self, seed: int, factor: float = 1.0) -> None:
        rng = np.random.default_rng(seed)
        W = rng.normal(size=(30, 4)).astype(np.float32)
        b, X = rng.normal(size=4), rng.normal(size=(20, 30)) / 5
        self.params = MappingProxyType({"W": W, "b": b})

        def loss() -> float:
            return float(np.sum(np.tanh(X @ W + b) ** 2))

        def grads() -> dict[str, np.ndarray]:
            h = np.tanh(X @ W + b)
            delta = 2 * h * (1 - h * h)
            claimed = X.T @ delta
            claimed[3, 1] *= factor
            return {"W": claimed, "b": delta.sum(axis=0)}

        self.loss, self.grads = loss, grads


class Single(Mlp):
    """float32 throughout, or only inside."""

    def __init__(self, *, inside_only: bool, **scaled: float) -> None:
        super().__init__(**scaled)
        if not inside_only:
            self.params = as_float32(self.params)

    def _narrow(self) -> Mlp:
        twin = Mlp(**self.scaled)
        twin.params = as_float32(self.params)
        return twin

    def loss(self, *args: Any) -> float:
        data = [a.astype(np.float32) for a in (X, X[:, :2])]
        return self._narrow().loss(*data)

    def grads(self, *args: Any) -> dict[str, np.ndarray]:
        data = [a.astype(np.float32) for a in (X, X[:, :2])]
        return as_float32(self._narrow().grads(*data))


class Balance:
    """float32, with a bias whose gradient is the `small` sum of large terms; times `factor`."""

    def __init__(self, small: float, factor: float = 1.0) -> None:
        rng = np.random.default_rng(5)
        self.factor, self.X = factor, rng.normal(size=(40, 3)).astype(np.float32)
        self.params = as_float32({"w": rng.normal(size=3), "b": np.array(0.0)})
        off = self.X.astype(float) @ self.params["w"].astype(float)
        self.y = (np.tanh(off) + rng.normal(size=40)).astype(np.float32)
        h = np.tanh(off)
        rest = np.sum((1 - h * h)[:-1] * (h - self.y)[:-1]) - small
        self.y[-1] = h[-1] + rest / (1 - h[-1] ** 2)

    def _forward(self) -> np.ndarray:
        return np.tanh(self.X @ self.params["w"] + self.params["b"])

    def loss(self) -> float:
        return float(np.sum((self._forward() - self.y) ** 2)) / 2

    def grads(self) -> dict[str, np.ndarray]:
        h = self._forward()
        delta = (1 - h * h) * (h - self.y)
        return {"w": self.X.T @ delta, "b": delta.sum() * np.float32(self.factor)}


class AlmostLinear:
    """Brown's almost linear function, near its minimum, in float32; of float64 parameters."""

    def __init__(self, seed: int, factor: float = 1.0) -> None:
        self.factor = factor
        self.params = {"x": 1 + 0.02 * np.random.default_rng(seed).standard_normal(10)}

    def _forward(self) -> tuple[np.ndarray, np.ndarray, Any]:
        x = self.params["x"].astype(np.float32)
        return x, x[:-1] + x.sum() - np.float32(11), x.prod() - np.float32(1)

    def loss(self) -> float:
        _, r, p = self._forward()
        return float(np.sum(r * r) + p * p)

    def grads(self) -> dict[str, np.ndarray]:
        x, r, p = self._forward()
        g = 2 * r.sum() + 2 * p * x.prod() / x
        g[:-1] += 2 * r
        return {"x": g.astype(float) * self.factor}


class LeastSquares:
    """In low precision throughout, so near its minimum that few digits of the gradient are left."""

    def __init__(self, dtype: str, off: float, factor: float = 1.0) -> None:
        rng = np.random.default_rng(1)
        self.factor, self.A = factor, (rng.normal(size=(40, 20)) / 5).astype(dtype)
        x = rng.normal(size=20)
        self.y = (self.A.astype(float) @ x).astype(dtype)
        self.params = {"x": (x + off * rng.normal(size=20)).astype(dtype)}

    def _off(self) -> np.ndarray:
        return self.A @ self.params["x"] - self.y

    def loss(self) -> float:
        return float(0.5 + self._off() @ self._off())

    def grads(self) -> dict[str, np.ndarray]:
        return {"x": self.A.dtype.type(2 * self.factor) * (self.A.T @ self._off())}


class Adding:
    """float32, with gradients that are added to those of the call before."""

    def __init__(self) -> None:
        self.params = {"w": np.arange(1, 6).astype(np.float32) / 3}
        self.sum = np.cos(self.params["w"])

    def loss(self) -> float:
        return float(np.sum(np.sin(self.params["w"].astype(float))))

    def grads(self) -> dict[str, np.ndarray]:
        self.sum += np.cos(self.params["w"])
        return {"w": self.sum}


class TestFloat32SumThatCancels:
    def test_is_looked_at_without_a_trace(self) -> None:
        net = Adding()
        before = net.sum.tobytes()
        assert [finding.name for finding in check(net).findings] == ["accumulated"]
        assert net.sum.tobytes() == before

    def test_lost_more_digits_than_its_size_tells_and_is_right(self) -> None:
        net = Balance(0.3)
        alone = net.grads()["b"]
        result = check(net)
        assert result.status == "pass"
        at = {block.name: block.relative_error for block in result.blocks}["b"]
        assert at > 1e-6  # seven digits were to be had
        assert net.grads()["b"] == alone

    def test_is_verified_to_the_digits_that_are_left(self) -> None:
        result = check(Balance(0.03))
        assert {block.status for block in result.blocks} == {"pass"}
        assert [(f.name, f.where) for f in result.findings] == [("coarse", ("b",))]

    @pytest.mark.parametrize("seed", range(4))
    def test_inside_an_object_in_float64_it_is_right_as_far_as_it_wavers(self, seed: int) -> None:
        net = AlmostLinear(seed)
        before = net.params["x"].tobytes()
        result = check(net, seed=0)
        assert [block.status for block in result.blocks] == ["pass"]
        assert net.params["x"].tobytes() == before

    def test_inside_an_object_in_float64_it_is_wrong_beyond_that(self) -> None:
        assert check(AlmostLinear(0, factor=1 + 3e-4)).blocks[0].status != "pass"

    @pytest.mark.parametrize("mode", ["exhaustive", "probe"])
    @pytest.mark.parametrize(
        ("dtype", "off"), [("float32", 1e-6), ("float32", 1e-5), ("float16", 1e-2)]
    )
    def test_beside_a_minimum_it_is_right_as_far_as_it_wavers(
        self, dtype: str, off: float, mode: str
    ) -> None:
        right = check(LeastSquares(dtype, off), mode=mode)
        assert [block.status for block in right.blocks] == ["pass"]
        assert set(names(right)) <= {"coarse", "tiny-gradient"}

    @pytest.mark.parametrize("mode", ["exhaustive", "probe"])
    def test_beside_a_minimum_it_is_wrong_beyond_that(self, mode: str) -> None:
        wrong = check(LeastSquares("float32", 1e-4, factor=1.1), mode=mode)
        assert [block.status for block in wrong.blocks] == ["fail"]

    def test_is_not_taken_for_right_where_the_formula_is_wrong_by_more(self) -> None:
        assert check(Balance(0.3, factor=1 + 5e-5)).status == "warn"


class Normalised:
    """A bias in front of batch normalisation: no effect, and a claimed gradient of 1e-17."""

    def __init__(self) -> None:
        rng = np.random.default_rng(11)
        self.X, self.T = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
        self.params = {"W": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}

    def _normal(self) -> tuple[np.ndarray, np.ndarray]:
        z = self.X @ self.params["W"] + self.params["b"]
        deviation = np.sqrt(z.var(axis=0) + 1e-5)
        return (z - z.mean(axis=0)) / deviation, deviation

    def loss(self) -> float:
        return float(np.sum((self._normal()[0] - self.T) ** 2))

    def grads(self) -> dict[str, np.ndarray]:
        normal, deviation = self._normal()
        d = 2 * (normal - self.T)
        dz = (d - d.mean(axis=0) - normal * (d * normal).mean(axis=0)) / deviation
        return {"W": self.X.T @ dz, "b": dz.sum(axis=0)}


class NormalisedInFloat32(Normalised):
    """The same with a claim that was summed up in float32, and a loss that ignores the bias."""

    def _normal(self) -> tuple[np.ndarray, np.ndarray]:
        z = self.X @ self.params["W"]
        deviation = np.sqrt(z.var(axis=0) + 1e-5)
        return (z - z.mean(axis=0)) / deviation, deviation

    def grads(self) -> dict[str, np.ndarray]:
        grads = super().grads()
        grads["b"] = np.array([1.0, -2.0]) * np.finfo(np.float32).eps * np.abs(grads["W"]).max()
        return as_float32(grads)


class NormalisedFromNearlyNothing(Normalised):
    """Inputs so small that the rounding of the bias's gradient is above that of the others."""

    def __init__(self, samples: int, inputs: int, units: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.X, self.T = (
            1e-3 * rng.normal(size=(samples, inputs)),
            rng.normal(size=(samples, units)),
        )
        self.params = {"W": rng.normal(size=(inputs, units)), "b": rng.normal(size=units)}

    def loss(self) -> float:
        return super().loss() / self.T.size

    def grads(self) -> dict[str, np.ndarray]:
        return {name: g / self.T.size for name, g in super().grads().items()}


class NormalisedWithoutItsMean(Normalised):
    """Mean and variance are taken for constants on the way back; the loss stays to the last bit."""

    def __init__(self, dtype: str) -> None:
        super().__init__()
        self.X = self.X.astype(dtype)
        self.params = {name: value.astype(dtype) for name, value in self.params.items()}

    def loss(self) -> float:
        value = np.mean((self._normal()[0] - self.T) ** 2) + 100
        return float(value.astype(self.X.dtype))

    def grads(self) -> dict[str, np.ndarray]:
        normal, deviation = self._normal()
        dz = 2 * (normal - self.T) / deviation / normal.size
        return {"W": self.X.T @ dz, "b": dz.sum(axis=0)}


class TestBiasInFrontOfBatchNormalisation:
    def test_is_untested_not_wrong(self) -> None:
        result = check(Normalised())
        assert 0 < np.abs(Normalised().grads()["b"]).max() < 1e-13
        assert [(f.name, f.where) for f in result.findings] == [("zero-gradient", ("b",))]
        assert {block.status for block in result.blocks} == {"pass"}

    @pytest.mark.parametrize("mode", ["exhaustive", "probe"])
    def test_its_rounding_is_no_claim_where_zero_fits_and_it_does_not(self, mode: str) -> None:
        models = [NormalisedFromNearlyNothing(20, 1, 40, 0)]
        if mode == "probe":
            models = [NormalisedFromNearlyNothing(100, 5, 4, seed) for seed in range(12)]
        for model in models:
            result = check(model, mode=mode)
            assert result.status == "warn"
            assert {f.where for f in result.findings} == {("b",)}

    @pytest.mark.parametrize("mode", ["exhaustive", "probe"])
    def test_a_small_claim_that_stays_what_it_is_a_hair_off_is_no_rounding(self, mode: str) -> None:
        model = NormalisedFromNearlyNothing(100, 5, 4, 0)
        right = model.grads

        def grads() -> dict[str, np.ndarray]:
            return {"W": right()["W"], "b": 1e-9 * np.cos(model.params["b"])}

        model.grads = grads  # type: ignore[method-assign]
        assert [b.status for b in check(model, mode=mode).blocks] == ["pass", "fail"]

    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    @pytest.mark.parametrize("mode", ["exhaustive", "probe"])
    def test_a_claim_that_is_not_zero_is_wrong(self, dtype: str, mode: str) -> None:
        result = check(NormalisedWithoutItsMean(dtype), mode=mode)
        assert [(block.name, block.status) for block in result.blocks] == [
            ("W", "fail"),
            ("b", "fail"),
        ]
        regions = [f for f in result.findings if f.name == "wrong-region" and f.where == ("b",)]
        assert all("where the measured one is zero" in f.message for f in regions)
        assert bool(regions) == (mode == "probe")

    def test_passes_when_allowed(self) -> None:
        assert check(Normalised(), allow=["zero-gradient"]).status == "pass"

    @pytest.mark.parametrize("mode", ["exhaustive", "probe"])
    def test_its_rounding_to_float32_is_no_claim_that_the_loss_should_follow(
        self, mode: str
    ) -> None:
        result = check(NormalisedInFloat32(), mode=mode)
        assert [f.where for f in result.findings if f.name == "zero-gradient"] == [("b",)]
        assert {block.status for block in result.blocks} == {"pass"}


class Relu:
    """Zero biases, and an all-zero sample: its units sit exactly at their kink."""

    def __init__(self, at_zero: float = 0.0, offset: float = 0.0) -> None:
        rng = np.random.default_rng(12)
        self.X = np.vstack([rng.normal(size=(4, 3)), np.zeros(3)])
        self.params = {"W": rng.normal(size=(3, 2)), "b": np.full(2, offset)}
        self.at_zero = at_zero

    def loss(self) -> float:
        z = self.X @ self.params["W"] + self.params["b"]
        return float(np.sum(np.exp(np.maximum(z, 0))))

    def grads(self) -> dict[str, np.ndarray]:
        z = self.X @ self.params["W"] + self.params["b"]
        dz = np.exp(np.maximum(z, 0)) * np.where(z == 0, self.at_zero, z > 0)
        return {"W": self.X.T @ dz, "b": dz.sum(axis=0)}


class TestKinks:
    @pytest.mark.parametrize("at_zero", [0.0, 0.3, 0.5, 1.0])
    def test_subgradient_at_the_kink_passes_with_a_finding(self, at_zero: float) -> None:
        result = check(Relu(at_zero))
        assert result.status == "pass"
        assert [(f.name, f.where) for f in result.findings] == [("kink", ("b",))]

    @pytest.mark.parametrize("at_zero", [-1.0, 2.0])
    def test_value_outside_the_slopes_fails(self, at_zero: float) -> None:
        result = check(Relu(at_zero))
        assert [b.name for b in result.blocks if b.status == "fail"] == ["b"]

    @pytest.mark.parametrize("offset", [1e-6, 1e-7, -1e-7, 1e-8, -1e-9])
    def test_kink_beside_the_point_is_no_error(self, offset: float) -> None:
        result = check(Relu(offset=offset))
        assert {block.status for block in result.blocks} == {"pass"}

    @pytest.mark.parametrize("offset", [1e-6, 1e-8, -1e-8])
    def test_wrong_gradient_beside_a_kink_fails(self, offset: float) -> None:
        model = Relu(offset=offset)
        right = model.grads()
        model.grads = lambda: right | {"b": right["b"] * 1.1}  # type: ignore[method-assign]
        assert check(model).status == "fail"

    @pytest.mark.parametrize("winner", [0, 1])
    def test_tie_of_a_maximum(self, winner: int) -> None:
        params = np.array([1.0, 1.0, 0.2])
        result = check(
            loss=lambda p: float(np.max(p) ** 2 + p[2]),
            grads=lambda p: np.array([2.0 * (winner == 0), 2.0 * (winner == 1), 1.0]),
            params=params,
        )
        assert {block.status for block in result.blocks} == {"pass"}
        assert names(result) == ["kink"]


def test_guarded_logarithm_that_its_derivative_forgets_is_imprecise() -> None:
    target = RNG.dirichlet(np.ones(4))

    def softmax(z: np.ndarray) -> np.ndarray:
        e = np.exp(z - z.max())
        return e / e.sum()

    result = check(
        loss=lambda z: -float(np.sum(target * np.log(softmax(z) + 1e-7))),
        grads=lambda z: softmax(z) - target,
        params=np.array([0.5, -1.0, 2.0, 0.0]),
    )
    assert result.status == "warn"
    assert result.blocks[0].status == "warn"
    assert 1e-7 < result.relative_error < 1e-5


def test_noise_far_above_machine_epsilon_is_no_discrepancy() -> None:
    def saturated(z: np.ndarray) -> float:
        return float(np.sum(np.log(1 + np.exp(z)) - z))

    z = np.array([28.0, 30.0, 31.5])
    result = check(loss=saturated, grads=lambda z: -1 / (1 + np.exp(z)), params=z)
    assert result.blocks[0].status == "pass"
    assert result.status == "warn" and set(names(result)) <= {"tiny-gradient", "coarse"}


def test_noise_is_not_hidden_by_the_other_entries() -> None:
    def saturated(z: np.ndarray) -> float:
        return float(np.sum(np.log(1 + np.exp(z)) - z))

    z = np.array([1.0, 30.0])
    assert check(loss=saturated, grads=lambda z: -1 / (1 + np.exp(z)), params=z).status == "pass"


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_parameters_of_all_sizes_in_one_array(scale: float) -> None:
    params = np.array([1.0, scale, -2.0])
    weights = np.array([1.0, 1 / scale, 1.0])
    result = check(
        loss=lambda p: float(np.sum(np.sin(p * weights))),
        grads=lambda p: weights * np.cos(p * weights),
        params=params,
    )
    assert result.status == "pass"


@pytest.mark.parametrize("edge", [1e-9, 1e-8, 1e-3])
def test_logarithm_of_a_small_positive_number(edge: float) -> None:
    result = check(
        loss=lambda p: float(np.sum(np.log(p))), grads=lambda p: 1 / p, params=np.array([edge, 2.0])
    )
    assert {block.status for block in result.blocks} == {"pass"}
    assert "not-finite" not in names(result)


def test_large_offset_of_the_loss_raises_no_alarm() -> None:
    net = Mlp()
    result = check(loss=lambda _: net.loss() + 1e6, grads=lambda _: net.grads(), params=net.params)
    assert {block.status for block in result.blocks} == {"pass"}


class Attention:
    """One head; its keys have a bias, which no softmax sees: the gradient of that is zero."""

    def __init__(self, dtype: str) -> None:
        rng = np.random.default_rng(10)
        self.X, self.up = rng.normal(size=(2, 2, 6, 5)).astype(dtype)
        self.root = np.asarray(5**0.5, dtype)
        self.params = {name: rng.normal(size=(5, 5)).astype(dtype) / 2 for name in "qkv"}
        self.params |= {"q_bias": np.full(5, 0.1, dtype), "k_bias": np.full(5, 0.2, dtype)}

    def loss(self) -> Any:
        p = self.params
        self.Q, self.K = self.X @ p["q"] + p["q_bias"], self.X @ p["k"] + p["k_bias"]
        scores = self.Q @ self.K.swapaxes(1, 2) / self.root
        self.A = np.exp(scores - scores.max(-1, keepdims=True))
        self.A /= self.A.sum(-1, keepdims=True)
        return np.sum(self.up * (self.A @ (self.X @ p["v"])))

    def grads(self) -> dict[str, Any]:
        dA = self.up @ (self.X @ self.params["v"]).swapaxes(1, 2)
        dS = self.A * (dA - np.sum(dA * self.A, -1, keepdims=True)) / self.root
        dQ, dK, dV = dS @ self.K, dS.swapaxes(1, 2) @ self.Q, self.A.swapaxes(1, 2) @ self.up
        found = {
            k: np.einsum("bti,btj->ij", self.X, d) for k, d in {"q": dQ, "k": dK, "v": dV}.items()
        }
        return found | {"q_bias": dQ.sum((0, 1)), "k_bias": dK.sum((0, 1))}


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_rounding_leaves_of_a_zero_is_zero_in_any_precision(dtype: str, mode: str) -> None:
    result = check(Attention(dtype), mode=mode)
    assert result.status == "warn"
    assert [(f.name, f.where) for f in result.findings] == [("zero-gradient", ("k_bias",))]
    assert result.evaluations < 600


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_gradient_that_is_all_rounding_is_wrong_where_one_is_measured(
    dtype: str, mode: str
) -> None:
    class Summed(Attention):
        def grads(self) -> dict[str, Any]:
            found = super().grads()  # the derivatives of the scores of a row have sum 0
            rows = self.A * (self.up - self.up.mean(-1, keepdims=True)).sum(-1, keepdims=True)
            return found | {"q_bias": np.full(5, rows.sum(), dtype)}

    result = check(Summed(dtype), mode=mode, allow=["zero-gradient"])
    assert result.status == "fail"
    assert [b.name for b in result.blocks if b.status == "fail"] == ["q_bias"]
    assert result.evaluations < 1000


def test_a_bias_of_a_softmax_reaches_the_loss() -> None:
    """It does so along every direction but the one of equal steps."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 4)).astype(np.float32), rng.integers(0, 3, 20)
    params = {"W": rng.normal(size=(4, 3)).astype(np.float32), "b": np.zeros(3, np.float32)}

    def off(p: dict[str, Any]) -> Any:
        Z = X @ p["W"] + p["b"]
        P = np.exp(Z - Z.max(1, keepdims=True))
        P /= P.sum(1, keepdims=True)
        return P

    def loss(p: dict[str, Any]) -> Any:
        return -np.mean(np.log(off(p)[np.arange(20), y]))

    def grads(p: dict[str, Any]) -> dict[str, Any]:
        D = (off(p) - np.eye(3, dtype=np.float32)[y]) / 20
        return {"W": X.T @ D, "b": np.full(3, 1e-3, np.float32)}

    result = check(loss=loss, grads=grads, params=params)
    assert result.status == "fail"
    assert [b.name for b in result.blocks if b.status == "fail"] == ["b"]


class Observed(np.ndarray):
    """Of a library that has its own idea of a copy, as paramz has."""

    def copy(self) -> Any:  # type: ignore[override]
        raise AssertionError("not for others")


def test_arrays_of_a_kind_that_copies_in_its_own_way() -> None:
    class Model:
        def __init__(self) -> None:
            self.params = {"w": np.array([0.5, -1.0]), "v": np.array([1.0, 2.0]).view(Observed)}
            self.calls = np.zeros(1).view(Observed)

        def loss(self) -> float:
            self.calls += 1
            return float(np.sum(np.exp(self.params["w"]) * self.params["v"]))

        def grads(self) -> dict[str, np.ndarray]:
            slope = np.exp(self.params["w"])
            return {"w": slope * self.params["v"], "v": slope}

    model = Model()
    assert check(model).status == "pass"
    assert model.calls.tolist() == [0]


class Slotted:
    """No table of attributes: a counter, one that comes to be and one that goes."""

    __slots__ = ("calls", "gone", "made", "params")

    def __init__(self) -> None:
        self.params, self.calls, self.gone = {"x": np.ones(2)}, 0, "here"

    def loss(self) -> float:
        self.calls += 1
        self.made = self.calls
        if hasattr(self, "gone"):
            del self.gone
        return float(np.sum(self.params["x"] ** 2))

    def grads(self) -> dict[str, np.ndarray]:
        return {"x": 2 * self.params["x"]}


def test_slots_stand_as_before() -> None:
    subject = Slotted()
    assert check(subject).status == "pass"
    assert subject.calls == 0 and subject.gone == "here" and not hasattr(subject, "made")


@pytest.mark.parametrize("count", [2, 3])
def test_gradients_of_tied_weights_are_summed_elsewhere(count: int) -> None:
    x = np.array([1.0, 2.0])
    handed = [x.copy() for _ in range(count)]
    for _ in range(2):  # the same arrays each time
        result = check(
            loss=lambda p: count / 2 * float(x @ x), grads=lambda p: handed, params=[x] * count
        )
        assert result.blocks[0].status == "pass"
    assert all(np.array_equal(g, [1.0, 2.0]) for g in handed)


@pytest.mark.parametrize("count", [1, 5, 6])
def test_what_moves_between_two_evaluations_is_named(count: int) -> None:
    class Drifting:
        def __init__(self) -> None:
            self.params = {"x": np.ones(2)}
            for i in range(count):
                setattr(self, f"state{i}", 0.0)

        def loss(self) -> float:
            for i in range(count):
                setattr(self, f"state{i}", getattr(self, f"state{i}") + 1.0)
            return float(np.sum(self.params["x"])) + self.state0

        def grads(self) -> dict[str, np.ndarray]:
            return {"x": np.ones(2)}

    with pytest.raises(SubjectError, match="What moved between two evaluations") as caught:
        check(Drifting())
    said = str(caught.value)
    assert sum(f"state{i}" in said for i in range(count)) == min(count, 5)
    assert (", ..." in said) == (count > 5)

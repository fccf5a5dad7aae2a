"""Every kind of mistake is named, and nothing else is: causes on gradients measured with noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network import Network

from pytest_gradcheck import Finding, SubjectError, check
from pytest_gradcheck.core.measured import Measured
from pytest_gradcheck.core.parameters import Parameter
from pytest_gradcheck.findings.causes import causes
from pytest_gradcheck.findings.evidence import Evidence, Fit, MeasuredEvidence
from pytest_gradcheck.findings.sizes import Size, sizes_of

Arrays = dict[str, np.ndarray]
NOISE = 1e-10
SEEDS = st.integers(0, 10**6)
few = settings(max_examples=30)


def evidence(true: Arrays, claimed: Arrays, theta: Arrays, noise: float = NOISE) -> list[Evidence]:
    """What a check of `claimed` would have measured, each entry inside its error bar."""
    rng = np.random.default_rng(1)
    found: list[Evidence] = []
    for name, g in true.items():
        bar = noise * (np.abs(g) + np.sqrt(np.mean(g**2))).reshape(-1) + 1e-300
        numeric = g.reshape(-1) + bar * rng.uniform(-1, 1, size=g.size)
        parameter = Parameter(name, np.array(theta[name], float))
        claim = np.array(claimed[name], float).reshape(-1)
        wrong = bool(np.any(np.abs(claim - numeric) > 3 * bar))
        measured = Measured(parameter, claim, numeric, bar, np.zeros(g.size))
        found.append(MeasuredEvidence(measured, parameter.read(), wrong=wrong))
    return found


class Probes:
    """Evidence of a few random directions alone, as a check of a large gradient has it."""

    def __init__(self, name: str, true: np.ndarray, claimed: np.ndarray, theta: np.ndarray) -> None:
        rng = np.random.default_rng(3)
        self.name, self.shape, self.numeric = name, true.shape, None
        self.theta, self.claimed = theta.reshape(-1), claimed.reshape(-1)
        self.v = rng.normal(size=(4, true.size))
        self.seen = self.v @ (self.claimed - true.reshape(-1))
        self.bar = 1e-9 * float(np.linalg.norm(true))
        self.wrong = bool(np.max(np.abs(self.seen)) > 10 * self.bar)

    def admits(self, gradient: np.ndarray) -> bool:
        said = self.v @ (self.claimed - gradient)
        told = bool(np.max(np.abs(said)) > 100 * self.bar)
        return told and bool(np.all(np.abs(said - self.seen) <= self.bar))

    def unwritten(self) -> None:
        return None

    def error_in(self, unit: float) -> float | None:
        return None

    def share(self) -> float:
        return 1.0

    def size(self, clear: float) -> None:
        return None

    def fit(self, pattern: np.ndarray, besides: np.ndarray | None = None) -> Fit | None:
        along = self.v @ pattern
        seen = self.seen - (0 if besides is None else self.v @ besides)
        constant = float(seen[0] / along[0]) if along[0] else 0.0
        left = np.abs(seen - constant * along)[1:]
        if not constant or np.any(left > 1e-6 * np.abs(seen[1:])):
            return None
        return Fit(constant, abs(constant) * 1e-8, float(np.max(left)), 3)


@dataclass(frozen=True, repr=False)
class Model:
    """A gradient to spoil."""

    theta: Arrays
    true: Arrays
    batch: int


def dense(seed: int, depth: int, activation: str) -> Model:
    rng = np.random.default_rng(seed)
    sizes = [int(rng.integers(3, 9)) for _ in range(depth)] + [int(rng.integers(3, 6))]
    sizes[1:-1] = [sizes[1]] * (depth - 1)
    net = Network(sizes, activation=activation, init="he", seed=seed, lam=0.1)
    for theta in net.params.values():
        theta += 0.1 * rng.normal(size=theta.shape)
    m = int(rng.integers(10, 30))
    X, y = rng.normal(size=(m, sizes[0])), rng.integers(sizes[-1], size=m)
    return Model(net.params, net.grads(X, y), m)


def plain(seed: int) -> Model:
    """Shapes of a convolution, a recurrent cell and a likelihood, filled with random numbers."""
    rng = np.random.default_rng(seed)
    shapes = {"K": (3, 2, 3, 3), "Wx": (3, 16), "Wh": (4, 16), "b": (16,), "S": (4, 4), "s": ()}
    theta = {k: rng.normal(size=shape) for k, shape in shapes.items()}
    true = {
        k: np.asarray(rng.normal(size=s) * 10.0 ** rng.uniform(-4, 2)) for k, s in shapes.items()
    }
    return Model(theta, true, 25)


@st.composite
def models(draw: Any) -> Model:
    seed = draw(SEEDS)
    if draw(st.booleans()):
        return plain(seed)
    return dense(seed, draw(st.integers(2, 4)), draw(st.sampled_from(["tanh", "sigmoid"])))


def live(model: Model) -> list[str]:
    return [k for k, g in model.true.items() if g.size > 4]


def matrix(model: Model) -> str:
    return next(k for k, g in model.true.items() if g.ndim > 1 and min(g.shape) > 1)


def spoiled(model: Model, changed: Arrays) -> Arrays:
    return {**model.true, **changed}


def told(model: Model, claimed: Arrays, **more: Any) -> list[Finding]:
    sizes = [Size(model.batch, "the number of samples", batch=True)]
    return causes(evidence(model.true, claimed, model.theta), sizes=sizes, **more)


Change = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of gradient and parameter


def zero_at(*at: Any) -> Change:
    def change(g: np.ndarray, _: np.ndarray) -> np.ndarray:
        g = g.copy()
        g[at] = 0
        return g

    return change


OF_ALL: dict[str, tuple[str, Change]] = {
    "sign": ("sign", lambda g, _: -g),
    "factor 2": ("factor", lambda g, _: 2 * g),
    "factor 1/2": ("factor", lambda g, _: g / 2),
    "factor -2": ("factor", lambda g, _: -2 * g),
    "any factor": ("factor", lambda g, _: 1.234 * g),
    "not written": ("not-written", lambda g, _: 0 * g),
    "l2 missing": ("l2-missing", lambda g, theta: g - 0.01 * theta),
    "l2 extra": ("l2-extra", lambda g, theta: g + 0.01 * theta),
}
OF_A_MATRIX: dict[str, tuple[str, Change]] = {
    **OF_ALL,
    "transposed": ("transposed", lambda g, _: np.swapaxes(g, 0, 1).reshape(g.shape)),
    "reversed": ("reversed", lambda g, _: g[..., ::-1]),
    "rolled": ("rolled", lambda g, _: np.roll(g, 1, 0)),
    "row": ("partly-written", zero_at(1)),
    "column": ("partly-written", zero_at(..., -1)),
    "wide l1": ("l1-missing", lambda g, theta: g - 0.01 * np.sign(theta)),
}


@few
@given(models(), st.sampled_from(sorted(OF_ALL)))
def test_mistake_everywhere_is_told_as_one(model: Model, kind: str) -> None:
    name, change = OF_ALL[kind]
    changed = {k: change(g, model.theta[k]) for k, g in model.true.items()}
    found = told(model, changed)
    assert [f.name for f in found] == [name]
    assert set(found[0].where) == set(model.true)


@few
@given(models(), st.sampled_from(sorted(OF_A_MATRIX)))
def test_mistake_in_one_matrix_is_told_of_it(model: Model, kind: str) -> None:
    name, change = OF_A_MATRIX[kind]
    W = matrix(model)
    if kind == "wide l1" and model.true[W].size < 30:
        return
    changed = change(model.true[W], model.theta[W])
    if np.allclose(changed, model.true[W]):
        return  # of a matrix of two rows, say, that is the same reversed and rolled
    found = told(model, spoiled(model, {W: changed}))
    assert [f.where for f in found] == [(W,)]
    assert found[0].name == name or (model.true[W].shape[0] == 2 and kind == "rolled")


@few
@given(models(), st.booleans())
def test_factor_of_the_batch_everywhere_is_a_mean_for_a_sum(model: Model, times: bool) -> None:
    m = float(model.batch) if times else 1 / model.batch
    found = told(model, {k: m * g for k, g in model.true.items()})
    assert [f.name for f in found] == ["mean-for-sum"]
    assert f"{model.batch}" in found[0].message


@few
@given(SEEDS)
def test_factor_of_a_size_in_some_parameters_is_named(seed: int) -> None:
    model = dense(seed, 3, "tanh")
    found = told(model, spoiled(model, {"b1": model.batch * model.true["b1"]}))
    assert [(f.name, f.where) for f in found] == [("factor", ("b1",))]
    assert "the number of samples" in found[0].message


@few
@given(SEEDS)
def test_swapped_parameters(seed: int) -> None:
    model = dense(seed, 3, "tanh")
    found = told(model, spoiled(model, {"b1": model.true["b2"], "b2": model.true["b1"]}))
    assert [(f.name, set(f.where)) for f in found] == [("swapped", {"b1", "b2"})]
    found = told(model, spoiled(model, {"b1": model.true["b2"]}))
    assert [(f.name, f.where) for f in found] == [("swapped", ("b1",))]


@few
@given(SEEDS)
def test_three_in_the_wrong_order(seed: int) -> None:
    model = dense(seed, 4, "tanh")
    g = model.true
    found = told(model, spoiled(model, {"b1": g["b2"], "b2": g["b3"], "b3": g["b1"]}))
    assert [(f.name, set(f.where)) for f in found] == [("swapped", {"b1", "b2", "b3"})]
    assert "b2 holds that of b3" in found[0].message or "b1 holds that of b3" in found[0].message


@few
@given(SEEDS)
def test_exchanged_gates(seed: int) -> None:
    model = plain(seed)
    order = np.r_[4:8, 0:4, 8:16]
    found = told(model, spoiled(model, {k: model.true[k][..., order] for k in ("Wx", "Wh", "b")}))
    said = {(f.name, f.where) for f in found}
    assert said == {("swapped", ("Wx", "Wh")), ("swapped", ("b",))}


@few
@given(SEEDS)
def test_flipped_kernel(seed: int) -> None:
    model = plain(seed)
    found = told(model, spoiled(model, {"K": model.true["K"][..., ::-1, ::-1]}))
    assert [(f.name, f.where) for f in found] == [("reversed", ("K",))]
    assert "convolution" in found[0].message


@few
@given(SEEDS)
def test_penalty_of_the_biases_alone(seed: int) -> None:
    model = dense(seed, 3, "tanh")
    biases = {k: g + 0.03 * model.theta[k] for k, g in model.true.items() if g.ndim == 1}
    found = told(model, spoiled(model, biases))
    assert [f.name for f in found] == ["l2-extra"]
    assert set(found[0].where) == set(biases) and "the biases alone" in found[0].message
    assert found[0].evidence["constant"] == pytest.approx(0.03, rel=1e-5)


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
def test_factor_of_data_that_hardly_count_beside_their_penalty_is_not_told(mode: str) -> None:
    x, slope = np.random.default_rng(0).normal(size=(2, 12))

    def loss(p: np.ndarray) -> float:
        return 0.25 * float(p @ p) + 3e-6 * float(np.sum(np.sin(p)))

    result = check(loss=loss, grads=lambda p: 0.5 * p + 3e-6 * slope, params=x, mode=mode)
    assert result.status == "warn"
    assert not {f.name for f in result.findings} & {"factor", "sign", "mean-for-sum"}


@few
@given(SEEDS, st.sampled_from([-1.0, 2.0, 1.7]))
def test_factor_of_the_data_beside_a_right_penalty(seed: int, factor: float) -> None:
    model = dense(seed, 3, "tanh")
    penalty = {k: 0.02 * model.theta[k] * (g.ndim > 1) for k, g in model.true.items()}
    model = Model(model.theta, {k: g + penalty[k] for k, g in model.true.items()}, model.batch)
    claimed = {k: factor * (g - penalty[k]) + penalty[k] for k, g in model.true.items()}
    found = told(model, claimed)
    assert {f.name for f in found} == {"sign" if factor == -1 else "factor"}
    assert {name for f in found for name in f.where} == set(model.true)
    data_alone = next(f for f in found if "W2" in f.where)
    assert "data's part alone" in data_alone.message


@few
@given(models())
def test_two_mistakes_are_two_findings(model: Model) -> None:
    one, other = live(model)[:2]
    found = told(model, spoiled(model, {one: -model.true[one], other: 3 * model.true[other]}))
    assert {(f.name, f.where) for f in found} == {("sign", (one,)), ("factor", (other,))}


@few
@given(SEEDS, st.sampled_from([np.float16, np.float32]))
def test_low_precision(seed: int, precision: type) -> None:
    model = dense(seed, 3, "tanh")
    rounded = {k: g.astype(precision).astype(float) for k, g in model.true.items()}
    found = told(model, rounded)
    assert [f.name for f in found] == ["low-precision"]
    shaken = {
        k: g + 2.0**-22 * np.std(g) * np.random.default_rng([seed, 1]).normal(size=g.shape)
        for k, g in model.true.items()
    }
    assert {f.name for f in told(model, shaken)} <= {"low-precision"}


# What must not be claimed


def test_wide_error_bars_make_no_rounding_of_a_large_error() -> None:
    true = np.random.default_rng(0).normal(size=12)
    claim = np.array(np.float16(true / 32), float)
    parameter, bar = Parameter("b", np.ones(12)), np.abs(true)
    measured = Measured(parameter, claim, true, bar, np.zeros(12))
    assert causes([MeasuredEvidence(measured, parameter.read(), wrong=True)]) == []


def test_gradient_that_is_zero_but_for_its_error_bars_has_no_entries_to_rearrange() -> None:
    parameter, claim = Parameter("b", np.ones(2)), np.array([0.0, -6e-8])
    numeric, bar = np.array([-9e-9, -7e-17]), np.array([6e-8, 1e-13])
    measured = Measured(parameter, claim, numeric, bar, np.zeros(2))
    assert causes([MeasuredEvidence(measured, parameter.read(), wrong=True)]) == []


def zero_claimed(numeric: np.ndarray, bar: np.ndarray, calls: Any = None) -> list[str]:
    parameter = Parameter("w", np.ones(numeric.size))
    measured = Measured(parameter, np.zeros(numeric.size), numeric, bar, np.zeros(numeric.size))
    return [
        f.name for f in causes([MeasuredEvidence(measured, np.ones(3), wrong=True)], calls=calls)
    ]


def test_zero_is_not_written_only_where_a_gradient_was_measured() -> None:
    bar = np.full(3, 1e-16)
    some = np.array([1e-12, -3e-12, 2e-12])
    assert zero_claimed(some, bar) == ["not-written"]
    assert zero_claimed(np.array([1.0, -2.0, 3.0]) * bar, bar) == []  # noise
    assert zero_claimed(np.full(3, np.nan), np.full(3, np.nan)) == []
    for rounded, named in ((1e-15, ["not-written"]), (1e-13, [])):
        calls = calls_of()
        calls.rounded = lambda name, digit=rounded: digit
        assert zero_claimed(some, bar, calls) == named


@pytest.mark.parametrize(("least", "named"), [(0.3, ["not-written"]), (0.0, [])])
def test_zero_is_not_written_where_all_entries_together_say_so(least: float, named: Any) -> None:
    """As probes prove that a claim is wrong, when the search for the entries has ended."""
    some = np.array([0.1, -0.3, 0.2])
    parameter = Parameter("w", np.ones(3))
    measured = Measured(parameter, np.zeros(3), some, np.ones(3), np.zeros(3))
    of_w = MeasuredEvidence(measured, np.ones(3), wrong=True, least=least)
    assert [f.name for f in causes([of_w])] == named


def test_zero_claim_beside_an_infinite_loss_is_not_called_unwritten() -> None:
    result = check(loss=lambda x: float(-np.inf), grads=lambda x: 0 * x, params=np.ones(3))
    assert [f.name for f in result.findings] == ["not-finite"]


@few
@given(models())
def test_right_gradient_says_nothing(model: Model) -> None:
    assert told(model, model.true, calls=calls_of(again=model.true, moved=model.true)) == []


@few
@given(models(), SEEDS, st.floats(-6, 1))
def test_errors_without_a_cause_say_nothing(model: Model, seed: int, size: float) -> None:
    rng = np.random.default_rng([seed, 1])
    error = {
        k: g + 10**size * np.sqrt(np.mean(g**2)) * rng.normal(size=g.shape)
        for k, g in model.true.items()
    }
    assert told(model, error) == []


@few
@given(models(), SEEDS, st.floats(-6, 0))
def test_one_wrong_entry_says_nothing(model: Model, seed: int, size: float) -> None:
    rng = np.random.default_rng([seed, 1])
    name = str(rng.choice(live(model)))
    wrong = model.true[name].copy()
    wrong.reshape(-1)[rng.integers(wrong.size)] += 10**size * np.sqrt(np.mean(wrong**2))
    assert told(model, spoiled(model, {name: wrong})) == []


@few
@given(models(), SEEDS)
def test_row_with_a_factor_is_told_as_that_or_not_at_all(model: Model, seed: int) -> None:
    W = matrix(model)
    wrong = model.true[W].copy()
    row = seed % len(wrong)
    wrong[row] *= 1.5
    for finding in told(model, spoiled(model, {W: wrong})):
        assert (finding.name, finding.where) == ("factor", (W,))
        assert abs(finding.evidence["measured"] - 1.5) < 1e-3
        assert finding.message.startswith((f"in row {row}", f"in slice {row} of axis 0"))


SLIPS_IN_PART: dict[str, tuple[Callable[[Any, Any], Any], list[str]]] = {
    "sign": (lambda g, x: -g, ["sign"]),
    "half": (lambda g, x: g / 2, ["factor"]),
    "no penalty": (lambda g, x: g - 0.3 * x, ["l2-missing"]),
    "something else": (lambda g, x: g + 0.1 * np.cos(g + x), []),
}


@pytest.mark.parametrize("slip", SLIPS_IN_PART)
@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
def test_a_slice_of_a_flat_vector_is_wrong_in_its_own_way(mode: str, slip: str) -> None:
    rng = np.random.default_rng(0)
    A, x = rng.normal(size=(20, 9)), rng.normal(size=9)
    spoil, expected = SLIPS_IN_PART[slip]

    def grads(x: np.ndarray) -> Any:
        g = A.T @ np.tanh(A @ x)
        g[2:7] = spoil(g[2:7], x[2:7])
        return g

    def loss(x: np.ndarray) -> Any:
        return np.sum(np.log(np.cosh(A @ x)))

    result = check(loss=loss, grads=grads, params=x, mode=mode)
    found = [f for f in result.findings if f.name != "wrong-region"]
    assert [f.name for f in found] == expected
    assert all("in entries 2 to 6 of params" in f.message for f in found)


def single(true: Any, claimed: Any, theta: Any = None, noise: float = NOISE) -> list[Finding]:
    """Causes for one parameter."""
    true, claimed = np.asarray(true, float), np.asarray(claimed, float)
    theta = np.ones_like(true) if theta is None else np.asarray(theta, float)
    return causes(evidence({"w": true}, {"w": claimed}, {"w": theta}, noise))


def test_one_entry_confirms_no_constant() -> None:
    assert single(3.0, 6.0) == []
    assert single([3.0], [4.1]) == []
    assert single([1.0, -1.0], [1.7, -1.7]) == []  # one number written twice
    assert single([1.0, 1.0, 1.0], [1.3, 1.3, 1.3]) == []


def test_one_entry_can_have_the_wrong_sign_or_be_missing() -> None:
    assert [f.name for f in single(3.0, -3.0)] == ["sign"]
    assert [f.name for f in single(3.0, 0.0)] == ["not-written"]


def test_scalars_join_a_factor_found_elsewhere() -> None:
    rng = np.random.default_rng(0)
    true = {"w": rng.normal(size=5), "b": np.array(0.7)}
    claimed = {k: 3.3 * g for k, g in true.items()}
    found = causes(evidence(true, claimed, true))
    assert [(f.name, f.where) for f in found] == [("factor", ("w", "b"))]
    assert "all of w and b" in found[0].message


def test_scalars_confirm_a_known_factor_together() -> None:
    true = {"mu": np.array(0.3), "log_sigma": np.array(-1.7)}
    claimed = {k: 2 * g for k, g in true.items()}
    found = causes(evidence(true, claimed, true))
    assert [(f.name, f.where) for f in found] == [("factor", ("mu", "log_sigma"))]


@pytest.mark.parametrize(
    ("number", "said"), [(60, "perhaps"), (60.3, "same constant"), (1.5, "same constant")]
)
@pytest.mark.parametrize("inverse", [False, True])
def test_whole_factor_is_one_to_the_same_part_of_it_on_both_sides_of_one(
    number: float, said: str, inverse: bool
) -> None:
    g = np.random.default_rng(0).normal(size=5)
    [found] = single(g, g / number if inverse else g * number, noise=1e-7)
    assert (found.name, said in found.message) == ("factor", True)


def test_large_factor_is_whole_only_where_it_is_known_so_well() -> None:
    g = np.random.default_rng(0).normal(size=5)
    for factor in (87_654.3, 1 / 87_654.3):
        [found] = single(g, factor * g)
        assert "the same constant in every entry" in found.message


@pytest.mark.parametrize(("factor", "is_step"), [(-0.01, True), (-0.003, True), (-30.0, False)])
def test_factor_below_zero_is_told_with_its_sign(factor: float, is_step: bool) -> None:
    g = np.random.default_rng(0).normal(size=5)
    [found] = single(g, factor * g)
    assert found.name == "factor" and "wrong sign" in found.message
    assert ("an update step" in found.message) == is_step
    assert "samples" not in found.message


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
def test_missing_projection_of_a_normalisation_is_no_mere_penalty(mode: str) -> None:
    target, theta = np.random.default_rng(0).normal(size=(2, 6))

    def claim(x: np.ndarray) -> np.ndarray:
        return np.sin(x / np.linalg.norm(x) - target) / np.linalg.norm(x)

    def loss(x: np.ndarray) -> float:
        return -float(np.sum(np.cos(x / np.linalg.norm(x) - target)))

    def penalised(x: np.ndarray) -> np.ndarray:
        return np.sin(x - target) + 0.1 * x

    def plain(x: np.ndarray) -> float:
        return -float(np.sum(np.cos(x - target)))

    found = {}
    for name, function, gradient in (("here", loss, claim), ("not", plain, penalised)):
        result = check(loss=function, grads=gradient, params=theta, mode=mode)
        [found[name]] = [f for f in result.findings if f.name.startswith("l2")]
    assert "the projection is missing" in found["here"].message
    assert "projection" not in found["not"].message


def test_symmetric_matrix_is_not_called_transposed() -> None:
    rng = np.random.default_rng(0)
    S = rng.normal(size=(4, 4))
    S = S + S.T
    wrong = S + 0.1 * rng.normal(size=(4, 4))
    assert single(S, wrong) == []
    assert single(S, S.T) == []


def test_coarse_measurement_proves_nothing() -> None:
    rng = np.random.default_rng(0)
    g = rng.normal(size=3)
    assert single(g, 1.05 * g, noise=0.02) == []
    assert single(g, g - 1e-3, noise=1e-3) == []


def test_claim_where_there_is_no_gradient_is_no_factor() -> None:
    assert single(np.zeros(5), [1.0, 2.0, -1.0, 3.0, 0.5]) == []


def test_gradient_that_is_not_finite_is_left_alone() -> None:
    assert single([1.0, 2.0, 3.0], [1.0, np.nan, 3.0]) == []


def test_imprecise_gradient_may_have_a_factor_as_well() -> None:
    rng = np.random.default_rng(0)
    g = rng.normal(size=20)
    found = single(g, 2 * g * (1 + 1e-6 * rng.normal(size=20)))
    assert [f.name for f in found] == ["factor"] and found[0].evidence["factor"] == 2.0


@few
@given(SEEDS, st.floats(-5, 0), st.floats(-12, -6))
def test_constant_lies_within_its_uncertainty(seed: int, size: float, noise: float) -> None:
    rng = np.random.default_rng([seed, 1])
    theta, g = rng.normal(size=(2, 12))
    c = 10**size
    made = evidence({"w": g}, {"w": g + c * theta}, {"w": theta}, 10**noise)[0]
    fit = made.fit(theta)
    if fit is not None:
        assert abs(fit.constant - c) <= 3 * fit.uncertainty
    else:
        assert c < 1e4 * 10**noise


# Further calls of the gradient


def calls_of(again: Arrays | None = None, moved: Arrays | None = None) -> Any:
    def flat(grads: Arrays | None) -> list[np.ndarray] | None:
        return None if grads is None else [g.reshape(-1) for g in grads.values()]

    return SimpleNamespace(
        again=lambda: flat(again),
        moved=lambda far=None: flat(moved),
        followed=lambda names: list(names),
        nearby=lambda times=1.0: None,
        without=lambda sample: None,
        rounded=lambda name: 0.0,
    )


@few
@given(models())
def test_accumulated(model: Model) -> None:
    twice = {k: 2 * g for k, g in model.true.items()}
    thrice = {k: 3 * g for k, g in model.true.items()}
    first = told(model, model.true, calls=calls_of(again=twice))
    assert [f.name for f in first] == ["accumulated"]
    later = told(model, twice, calls=calls_of(again=thrice))
    assert [f.name for f in later] == ["accumulated"]


@few
@given(models())
def test_accumulated_besides_another_mistake(model: Model) -> None:
    claimed = {k: -g for k, g in model.true.items()}
    found = told(model, claimed, calls=calls_of(again={k: -2 * g for k, g in model.true.items()}))
    assert [f.name for f in found] == ["accumulated", "sign"]


@few
@given(models(), SEEDS)
def test_stale(model: Model, seed: int) -> None:
    rng = np.random.default_rng([seed, 1])
    old = {k: g + 0.3 * np.std(g) * rng.normal(size=g.shape) for k, g in model.true.items()}
    assert [f.name for f in told(model, old, calls=calls_of(moved=old))] == ["stale"]
    follows = {k: g * (1 + 1e-6) for k, g in old.items()}
    assert told(model, old, calls=calls_of(moved=follows)) == []


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
def test_stale_in_either_precision(mode: str, dtype: Any) -> None:
    class Kept:
        def __init__(self) -> None:
            self.params = {"W": np.random.default_rng(0).normal(size=(4, 5)).astype(dtype)}
            self.once = np.cos(self.params["W"] + 0.3)

        def loss(self) -> float:
            return float(np.sum(np.sin(self.params["W"].astype(float))))

        def grads(self) -> Arrays:
            return {"W": self.once}

    assert "stale" in [f.name for f in check(Kept(), mode=mode).findings]


def test_a_gradient_that_is_rightly_constant_is_not_stale() -> None:
    rng = np.random.default_rng(0)
    params = {"w": rng.normal(size=4), "b": rng.normal(size=4)}
    a, false = rng.normal(size=(2, 4))

    def loss(p: Arrays) -> float:
        return float(np.sum(np.exp(p["w"])) + a @ p["b"])

    result = check(loss=loss, grads=lambda p: {"w": np.exp(p["w"]), "b": false}, params=params)
    assert result.status == "fail"
    assert [f.name for f in result.findings] == []


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_of_a_piecewise_linear_loss_no_gradient_is_stale(dtype: str) -> None:
    rng = np.random.default_rng(8)
    X, y = rng.normal(size=(50, 5)).astype(dtype), rng.normal(size=50).astype(dtype)

    def loss(w: np.ndarray) -> Any:
        return np.mean(np.maximum(0.9 * (y - X @ w), -0.1 * (y - X @ w)))

    def grads(w: np.ndarray, over: float = -0.9, under: float = 0.1) -> Any:
        return X.T @ np.where(y > X @ w, over, under) / 50

    w = rng.normal(size=5).astype(dtype)
    sign = check(loss=loss, grads=lambda w: -grads(w), params=w)
    assert [f.name for f in sign.findings] == ["sign"]
    other = check(loss=loss, grads=lambda w: grads(w, -0.1, 0.9), params=w)
    assert other.status == "fail"
    assert [f.name for f in other.findings] == []


POINT, SLOPES = np.random.default_rng(0).normal(size=(2, 12))
CONSTANT: dict[str, tuple[Callable[[np.ndarray], float], np.ndarray, list[str]]] = {
    "square": (lambda x: x @ x, 1.8 * POINT, ["stale", "factor"]),
    "fourth power": (lambda x: np.sum(x**4), 3.6 * POINT**3, ["stale", "factor"]),
    "concave": (lambda x: SLOPES @ x - x @ x / 4, SLOPES, ["stale", "l2-extra"]),
    "penalised": (lambda x: SLOPES @ x + x @ x / 4, SLOPES, ["l2-missing"]),
    "sign": (lambda x: -SLOPES @ x, SLOPES, ["sign"]),
}


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
@pytest.mark.parametrize("kind", CONSTANT)
def test_a_constant_gradient_is_stale_beside_what_fits_it_at_this_point(
    kind: str, mode: str
) -> None:
    """A penalty may be missing in a claim that is constant; a linear loss has a gradient so."""
    loss, kept, causes = CONSTANT[kind]
    params = {"x": POINT, "y": np.ones(3)}
    result = check(
        loss=lambda p: float(loss(p["x"]) + np.sum(np.exp(p["y"]))),
        grads=lambda p: {"x": kept, "y": np.exp(p["y"])},
        params=params,
        mode=mode,
    )
    assert [f.name for f in result.findings if f.name != "wrong-region"] == causes


def test_swapped_gradients_of_which_one_is_constant_are_not_stale() -> None:
    rng = np.random.default_rng(0)
    params = {"x": rng.normal(size=4), "gamma": rng.normal(size=4), "beta": rng.normal(size=4)}
    up = rng.normal(size=4)

    def loss(p: Arrays) -> float:
        return float(up @ (p["gamma"] * np.tanh(p["x"]) + p["beta"]))

    def grads(p: Arrays) -> Arrays:
        slope = up * p["gamma"] / np.cosh(p["x"]) ** 2
        return {"x": slope, "gamma": up, "beta": up * np.tanh(p["x"])}

    found = check(loss=loss, grads=grads, params=params).findings
    assert [(f.name, f.where) for f in found] == [("swapped", ("gamma", "beta"))]


class Scaled:
    """tanh(gamma (X W + b) + beta), whose backward pass can forget gamma; some are held fixed."""

    def __init__(self, slip: str, *, free: str = "W b gamma beta V") -> None:
        rng = np.random.default_rng(9)
        shapes = {"W": (8, 10), "b": 10, "gamma": 10, "beta": 10, "V": (10, 4)}
        self.all = {k: 0.5 * rng.normal(size=shape) for k, shape in shapes.items()}
        self.all["gamma"] += 1
        self.params = {k: self.all[k] for k in free.split()}
        self.X, self.Y, self.slip = rng.normal(size=(20, 8)), rng.normal(size=(20, 4)), slip

    def passed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        p = self.all
        z = self.X @ p["W"] + p["b"]
        h = np.tanh(p["gamma"] * z + p["beta"])
        return z, h, h @ p["V"] - self.Y

    def loss(self) -> float:
        return float(np.mean(self.passed()[-1] ** 2))

    def grads(self) -> Arrays:
        z, h, r = self.passed()
        d = 2 * r / r.size
        da = (d @ self.all["V"].T) * (1 - h * h)
        dz = da if self.slip == "scale" else da * self.all["gamma"]
        found = {"W": self.X.T @ dz, "b": dz.sum(0), "gamma": (da * z).sum(0), "beta": da.sum(0)}
        if self.slip == "twice":
            found["gamma"] = found["beta"]
        return {k: {**found, "V": h.T @ d}[k] for k in self.params}


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
@pytest.mark.parametrize(
    ("slip", "free", "causes"),
    [
        ("scale", "W b gamma beta V", [("upstream", ("W", "b"))]),
        ("scale", "b gamma beta V", []),
        ("twice", "W b gamma beta V", [("swapped", ("gamma",))]),
    ],
)
def test_gradients_equal_because_of_a_forgotten_scale_are_not_one_written_twice(
    slip: str, free: str, causes: list[Any], mode: str
) -> None:
    found = check(Scaled(slip, free=free), mode=mode).findings
    assert [(f.name, f.where) for f in found if f.name != "wrong-region"] == causes


# Random directions alone


@pytest.mark.parametrize("kind", [k for k in OF_A_MATRIX if k not in ("row", "column")])
def test_few_directions_suffice(kind: str) -> None:
    name, change = OF_A_MATRIX[kind]
    rng = np.random.default_rng(5)
    g, theta = rng.normal(size=(2, 12, 15))
    assert [f.name for f in causes([Probes("W", g, change(g, theta), theta)])] == [name]
    wrong = g + 0.1 * rng.normal(size=g.shape)
    assert causes([Probes("W", g, wrong, theta)]) == []
    assert causes([Probes("W", g, g, theta)]) == []


@few
@given(models(), st.sampled_from(sorted(OF_A_MATRIX)))
def test_a_few_telling_entries_refute_nothing_that_holds(model: Model, kind: str) -> None:
    _, change = OF_A_MATRIX[kind]
    claimed = {k: change(g, model.theta[k]) for k, g in model.true.items() if g.ndim > 1}
    with pytest.MonkeyPatch.context() as patch:
        all_of_them = told(model, spoiled(model, claimed))
        patch.setattr("pytest_gradcheck.findings.evidence.MANY", 10)
        patch.setattr("pytest_gradcheck.findings.evidence.TELLING", 6)
        by_a_few = told(model, spoiled(model, claimed))
    assert [(f.name, f.where) for f in by_a_few] == [(f.name, f.where) for f in all_of_them]


# Whole checks, for causes that ask the gradient again

BOTH = pytest.mark.parametrize("mode", ["exhaustive", "probe"])
DATA = np.random.default_rng(5).normal(size=(12, 4)), np.random.default_rng(6).normal(size=12)


def squares(params: Any, X: np.ndarray, y: np.ndarray, *, upto: int | None = None) -> float:
    return 0.5 * float(np.sum((np.tanh(X @ params["w"])[:upto] - y[:upto]) ** 2))


def slopes(params: Any, X: np.ndarray, y: np.ndarray, *, upto: int | None = None) -> Any:
    a = np.tanh(X @ params["w"])
    return {"w": X[:upto].T @ ((a - y) * (1 - a**2))[:upto]}


def said(grads: Any, mode: str, loss: Any = squares, args: Any = DATA, **more: Any) -> list[str]:
    params = {"w": np.linspace(-0.5, 0.7, 4)}
    result = check(*args, loss=loss, grads=grads, params=params, mode=mode, **more)
    assert result.status != "pass"
    return [f.name for f in result.findings if f.name not in ("wrong-region", "wrong-entry")]


@BOTH
def test_last_sample_left_out(mode: str) -> None:
    assert said(lambda p, X, y: slopes(p, X, y, upto=-1), mode) == ["partly-written"]
    turned = DATA[0].T.copy(), DATA[1]  # features first
    found = said(
        lambda p, X, y: slopes(p, X.T, y, upto=-1), mode, lambda p, X, y: squares(p, X.T, y), turned
    )
    assert found == ["partly-written"]


@BOTH
def test_sample_that_the_loss_leaves_out_as_well_is_no_cause(mode: str) -> None:
    def wrong(p: Any, X: np.ndarray, y: np.ndarray) -> Any:
        return {"w": slopes(p, X, y, upto=-1)["w"] ** 3}

    assert said(wrong, mode, lambda p, X, y: squares(p, X, y, upto=-1)) == []


@BOTH
def test_smooth_error_of_the_size_of_float32_is_no_rounding(mode: str) -> None:
    def guarded(p: Any, X: np.ndarray, y: np.ndarray) -> Any:
        return {"w": slopes(p, X, y)["w"] + 3e-7 * np.cos(p["w"])}

    assert said(guarded, mode, tol=1e-9) == []


@BOTH
@pytest.mark.parametrize("frequency", [1e3, 3e3])
def test_small_error_in_a_gradient_that_bends_fast_is_no_rounding(
    mode: str, frequency: float
) -> None:
    rng = np.random.default_rng(0)
    a, w = rng.normal(size=40), rng.normal(size=40)

    def loss(w: np.ndarray) -> float:
        u = np.sin(frequency * w)
        return float(np.sum(a * u) / np.sqrt(np.mean(u**2) + 1e-6))

    def forgets_epsilon(w: np.ndarray) -> np.ndarray:
        u, slope = np.sin(frequency * w), frequency * np.cos(frequency * w)
        r = np.sqrt(np.mean(u**2))
        return slope * (a / r - np.sum(a * u) * u / w.size / r**3)

    result = check(loss=loss, grads=forgets_epsilon, params=w, mode=mode)
    assert result.status == "warn"
    assert "low-precision" not in {f.name for f in result.findings}


@pytest.mark.parametrize("seed", range(8))
def test_epsilon_of_a_normalisation_left_out_is_no_rounding(seed: int) -> None:
    """Errors of 1e-6, of either sign: smooth, and told as such by how they move."""
    rng = np.random.default_rng(9)
    X, y = rng.normal(size=(20, 8)), np.eye(4)[rng.integers(0, 4, 20)]
    rng = np.random.default_rng(seed)
    params = {"W": rng.normal(size=(8, 10)) * 0.5, "V": rng.normal(size=(10, 4)) * 0.5}

    def passed(p: Arrays) -> tuple[np.ndarray, ...]:
        z = X @ p["W"]
        z = (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5)
        h = 1 / (1 + np.exp(-z))
        e = np.exp(h @ p["V"])
        return z, h, e / e.sum(1, keepdims=True)

    def loss(p: Arrays) -> float:
        penalty = sum(np.sum(theta**2) for theta in p.values())
        return float(-np.mean(np.sum(y * np.log(passed(p)[-1]), 1)) + 0.05 * penalty)

    def grads(p: Arrays) -> Arrays:
        z, h, q = passed(p)
        d = (q - y) / 20
        dz = (d @ p["V"].T) * h * (1 - h)
        dz = (dz - dz.mean(0) - z * (dz * z).mean(0)) / np.sqrt((X @ p["W"]).var(0))
        return {"W": X.T @ dz + 0.1 * p["W"], "V": h.T @ d + 0.1 * p["V"]}

    result = check(loss=loss, grads=grads, params=params)
    assert result.status == "warn"
    assert "low-precision" not in {f.name for f in result.findings}


def test_float32_inside_is_told_by_probes() -> None:
    def single(p: Any, X: np.ndarray, y: np.ndarray) -> Any:
        a = np.tanh(X.astype(np.float32) @ p["w"].astype(np.float32))
        return {"w": X.T @ ((a - y) * (1 - a**2))}

    assert said(single, "probe", tol=1e-9) == ["low-precision"]


def test_small_entries_never_written_are_told_though_the_norm_hides_them() -> None:
    def grads(p: Any) -> Any:
        g = np.cos(p["w"]) * np.r_[1e6, np.ones(9)]
        g[-3:] = 0
        return {"w": g}

    result = check(
        loss=lambda p: np.sum(np.sin(p["w"]) * np.r_[1e6, np.ones(9)]),
        grads=grads, params={"w": np.linspace(0.1, 1, 10)},
    )  # fmt: skip
    assert [f.name for f in result.findings] == ["wrong-entry", "partly-written"]
    assert "entries 7 to 9" in result.findings[-1].message


LARGE: dict[str, tuple[Change, list[str], str]] = {
    "l2 missing": (OF_ALL["l2 missing"][1], ["l2-missing"], "in W"),
    "l1 missing": (OF_A_MATRIX["wide l1"][1], ["l1-missing"], "in W"),
    "sign": (OF_ALL["sign"][1], ["sign"], "of W"),
    "rows": (zero_at(np.s_[64:]), ["partly-written"], "in rows 64 to 127"),
    "columns": (zero_at(..., np.s_[:32]), ["partly-written"], "in columns 0 to 31"),
    "a corner": (zero_at(np.s_[:64], np.s_[:32]), [], ""),
}


@pytest.mark.parametrize(("change", "names", "place"), LARGE.values(), ids=LARGE)
def test_mistake_in_much_of_a_large_parameter(change: Change, names: list[str], place: str) -> None:
    """No entry of it is known but the few picked at random."""
    rng = np.random.default_rng(0)
    params = {"W": rng.normal(size=(128, 64)), "b": rng.normal(size=64)}

    def loss(p: Any) -> float:
        penalty = 0.005 * np.sum(p["W"] ** 2)
        return float(np.sum(np.cos(p["W"])) + penalty + np.sum(np.tanh(p["b"])))

    def grads(p: Any) -> Any:
        g = 0.01 * p["W"] - np.sin(p["W"])
        return {"W": change(g, p["W"]), "b": 1 - np.tanh(p["b"]) ** 2}

    result = check(loss=loss, grads=grads, params=params, seed=0)
    assert (result.status, result.evaluations < 200) == ("fail", True)
    region, *found = result.findings
    assert region.name == "wrong-region"
    assert [f.name for f in found] == names
    assert all(f.where == ("W",) and place in f.message for f in found)


def test_sizes_say_where_they_occur() -> None:
    sizes = sizes_of(["W", "b"], [(5, 3), (3,)], (np.zeros((32, 5)), "not an array"))
    assert [(s.length, s.batch) for s in sizes] == [(32, True), (5, False), (3, False)]
    assert sizes[0].where == "the length of axis 0 of argument 0"


class WrongSlope(Network):
    """The slope of tanh, as if it were that of its value."""

    def __init__(self) -> None:
        super().__init__([6, 5, 4, 3], activation="tanh", seed=2)
        self.g_prime = lambda Z: 1 - np.tanh(Z)
        rng = np.random.default_rng(0)
        for theta in self.params.values():
            theta += 0.1 * rng.normal(size=theta.shape)


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
def test_slope_of_an_activation_is_wrong_in_front_of_the_layers_that_are_right(mode: str) -> None:
    rng = np.random.default_rng(1)
    result = check(WrongSlope(), rng.normal(size=(12, 6)), rng.integers(3, size=12), mode=mode)
    (finding,) = (f for f in result.findings if f.name == "upstream")
    assert finding.where == ("W1", "b1", "W2", "b2")
    assert finding.evidence["in_front_of"] == "W3"


def test_entries_wrong_by_themselves_are_not_called_upstream() -> None:
    model = dense(3, 3, "tanh")
    claimed = {k: g.copy() for k, g in model.true.items()}
    claimed["W1"][0, 0] += 1
    claimed["b1"][0] -= 1
    assert told(model, claimed) == []


def test_last_layer_listed_first_is_not_called_upstream() -> None:
    """All of it wrong, and right before it: nothing that comes back to it can be."""
    rng = np.random.default_rng(0)
    true = {"W2": rng.normal(size=(7, 3)), "b2": rng.normal(size=3), "W1": rng.normal(size=(5, 7))}
    theta = {k: rng.normal(size=g.shape) for k, g in true.items()}
    wrong = {k: rng.normal(size=true[k].shape) for k in ("W2", "b2")}
    assert causes(evidence(true, {**true, **wrong}, theta)) == []


def test_weights_wrong_beside_their_right_bias_are_not_called_upstream() -> None:
    model = dense(4, 2, "tanh")
    rng = np.random.default_rng(0)
    wrong = {k: rng.normal(size=model.true[k].shape) for k in ("W1", "b1", "W2")}
    assert told(model, spoiled(model, wrong)) == []


@pytest.mark.parametrize(("bias", "named"), [("conv.bias", False), ("norm.weight", True)])
def test_names_say_which_parameters_are_of_one_layer(bias: str, named: bool) -> None:
    rng = np.random.default_rng(0)
    shapes = {"stem.weight": (4, 3), "conv.weight": (5, 4), bias: (5,), "out.weight": (2, 5)}
    true = {k: rng.normal(size=shape) for k, shape in shapes.items()}
    theta = {k: rng.normal(size=shape) for k, shape in shapes.items()}
    wrong = {k: rng.normal(size=true[k].shape) for k in ("stem.weight", "conv.weight")}
    found = causes(evidence(true, {**true, **wrong}, theta))
    assert [f.name for f in found] == ["upstream"] * named


def test_parameters_that_are_no_layers_are_not_called_upstream() -> None:
    rng = np.random.default_rng(0)
    shapes = {"beta": (6,), "log_scale": (4,), "shape": (5,)}
    true = {k: rng.normal(size=shape) for k, shape in shapes.items()}
    wrong = {k: rng.normal(size=shapes[k]) for k in ("beta", "log_scale")}
    assert causes(evidence(true, {**true, **wrong}, true)) == []


class TestSituation:
    """What a finding may look at: the claim once more, after a move, without a sample."""

    @staticmethod
    def look(at: Callable[[Any], Any], subject: Any, *args: Any, **options: Any) -> Any:
        """What `at` gives, asked of the situation; the parameters are as before it."""
        seen = []

        def finding(situation: Any) -> list[Finding]:
            before = [p.read().tolist() for p in situation.saved.parameters]
            seen.append(at(situation))
            assert [p.read().tolist() for p in situation.saved.parameters] == before
            return []

        check(subject, *args, findings=[finding], **options)
        return seen[0]

    class Sum:
        """``sum(a**power) + sum(b)``; its gradients may refuse after so many calls."""

        def __init__(self, power: float = 2.0, calls: float = np.inf, dtype: Any = float) -> None:
            self.params = {
                "a": np.array([1.0, -2.0, 3.0, 0.5], dtype),
                "b": np.array([5.0, 12.0], dtype),
            }
            self.power, self.left = power, calls

        def loss(self) -> float:
            a, b = (self.params[k].astype(float) for k in "ab")
            return float(np.sum(a**self.power) + np.sum(b))

        def grads(self) -> Arrays:
            LEFT[0] -= 1
            if LEFT[0] < 0:
                raise RuntimeError("no more")
            a, b = self.params["a"], self.params["b"]
            return {"a": self.power * a ** (self.power - 1), "b": np.ones_like(b)}

    @pytest.fixture(autouse=True)
    def _count(self) -> None:
        LEFT[0] = 10**6

    def test_the_claim_once_more(self) -> None:
        again = self.look(lambda s: s.again(), self.Sum())
        assert [g.tolist() for g in again] == [[2.0, -4.0, 6.0, 1.0], [1.0, 1.0]]
        LEFT[0] = 1
        assert self.look(lambda s: s.again(), self.Sum()) is None

    @pytest.mark.parametrize(("dtype", "usual"), [(np.float64, 2e-3), (np.float32, 0.1)])
    def test_the_claim_after_a_move(self, dtype: Any, usual: float) -> None:
        def off(far: float | None) -> Callable[[Any], Any]:
            return lambda s: s.moved() if far is None else s.moved(far)

        subject = self.Sum(dtype=dtype)
        for far in (None, 0.3):
            moved = self.look(off(far), subject)[0] / 2 - subject.params["a"]
            size = (far or usual) * np.sqrt(np.mean(subject.params["a"] ** 2))
            assert 0.3 * size < np.sqrt(np.mean(moved**2)) < 2 * size
            assert np.all(moved != 0)
        assert self.look(off(None), self.Sum(power=1.0, dtype=dtype)) is None
        LEFT[0] = 1
        assert self.look(off(None), self.Sum(dtype=dtype)) is None

    def test_a_move_out_of_the_domain_tells_nothing(self) -> None:
        subject = self.Sum(power=2.5)
        subject.params["a"] = np.array([1e-9, 1e-9, 1e-9, 1e-9, 1.0])
        assert self.look(lambda s: s.moved(0.5), subject) is None

    def test_parameters_that_the_loss_follows_by_a_bend(self) -> None:
        followed = self.look(lambda s: s.followed(["a", "b"]), self.Sum())
        assert followed == ["a"]
        assert self.look(lambda s: s.followed(["b"]), self.Sum()) == []
        assert self.look(lambda s: s.followed(["a"]), self.Sum(power=1.0)) == []
        assert self.look(lambda s: s.followed(["a", "b"]), self.Sum(dtype=np.float32)) == ["a"]

    def test_how_much_parameters_change_the_loss_by_their_size(self) -> None:
        of_a, of_b, of_all = (
            self.look(lambda s, names=names: s.change(names), self.Sum())
            for names in (["a"], ["b"], ["a", "b"])
        )
        assert 0.05 < of_a < 5 and 0.05 < of_b < 5 and of_all != of_a
        subject = self.Sum(power=2.5)
        subject.params["a"] = np.array([1e-9, 1e-9, 1e-9, 1.0])
        assert self.look(lambda s: s.change(["a"]), subject) == np.inf  # out of its domain
        subject = self.Sum()
        subject.params = {"a": np.zeros(4), "b": np.zeros(2)}
        assert self.look(lambda s: s.change(["a"]), subject) == np.inf  # there is no loss

    def test_what_a_last_digit_changes(self) -> None:
        def one_digit(situation: Any) -> tuple[float, float]:
            return situation.rounded("a"), situation.rounded("b")

        for dtype, least in ((np.float64, 1e-12), (np.float32, 1e-5)):
            of_a, of_b = self.look(one_digit, self.Sum(dtype=dtype))
            gradient = 2 * np.linalg.norm(self.Sum().params["a"])
            assert 0.2 < of_a / (np.finfo(dtype).eps * gradient) < 5
            assert of_b <= least * np.finfo(dtype).eps * 1e4  # linear in it: none but rounding
        subject = self.Sum(power=2.5)
        subject.params["a"] = np.full(4, 1e-9)
        assert self.look(lambda s: s.rounded("a"), subject) == 0.0  # out of its domain

    @pytest.mark.parametrize("kind", [dict, list])
    def test_numbers_are_moved_from_where_they_stood(self, kind: type) -> None:
        slopes = np.array([0.3, -1.2, 0.7, 2.0])

        def numbers(p: Any) -> np.ndarray:
            return np.array(list(p.values()) if kind is dict else p)

        def wrong(p: Any) -> Any:
            g = [0.1, 0.9, -0.4, 1.1]
            return dict(zip(p, g, strict=True)) if kind is dict else g

        start = [0.5, 1.5, -2.0, 0.25]
        params = dict(zip("abcd", start, strict=True)) if kind is dict else start
        result = check(loss=lambda p: float(slopes @ numbers(p)), grads=wrong, params=params)
        assert result.status == "fail" and not result.findings  # linear: it stays as it is

    def test_the_claim_to_either_side(self) -> None:
        subject = self.Sum()
        one, other = self.look(lambda s: s.nearby(), subject)
        up, down = (claims[0] / 2 - subject.params["a"] for claims in (one, other))
        assert np.allclose(up, -down, rtol=1e-5) and np.all(up != 0)
        assert 1e-8 < np.max(np.abs(up)) < 1e-6
        further = self.look(lambda s: s.nearby(4.0), subject)[0][0] / 2 - subject.params["a"]
        assert np.allclose(further, 4 * up, rtol=1e-5)
        assert self.look(lambda s: s.nearby(), self.Sum(dtype=np.float32)) is None
        LEFT[0] = 1
        assert self.look(lambda s: s.nearby(), self.Sum()) is None

    class Linear:
        def __init__(self, features_first: bool = False) -> None:
            self.params, self.first = {"w": np.array([1.0, -2.0])}, features_first

        def loss(self, X: np.ndarray, y: np.ndarray | None = None) -> float:
            X = X.T if self.first else X
            return 0.5 * float(np.sum((X @ self.params["w"] - (0.0 if y is None else y)) ** 2))

        def grads(self, X: np.ndarray, y: np.ndarray | None = None) -> Arrays:
            X = X.T if self.first else X
            return {"w": X.T @ (X @ self.params["w"] - (0.0 if y is None else y))}

    X = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5], [2.0, 7.0]])
    y = np.array([1.0, 0.0, 2.0, -1.0])

    @pytest.mark.parametrize("sample", [0, 1, 3])
    @pytest.mark.parametrize("first", [False, True])
    @pytest.mark.parametrize("labels", [False, True])
    def test_the_claim_without_a_sample(self, sample: int, first: bool, labels: bool) -> None:
        X = self.X[:3].copy() if sample < 3 else self.X.copy()
        y = self.y[: len(X)]
        if first and not labels:
            return  # nothing says which axis the samples are along
        subject, args = self.Linear(first), (X.T.copy() if first else X, y)[: 1 + labels]
        found = self.look(lambda s: s.without(sample), subject, *args)
        assert np.array_equal(args[0].T if first else args[0], X)
        X[sample] = X[sample - 1]
        expected = X.T @ (X @ subject.params["w"] - (y if labels else 0.0))
        assert found[0] == pytest.approx(expected)

    def test_samples_that_are_not_told_apart(self) -> None:
        def without(subject: Any, *args: Any) -> Any:
            return self.look(lambda s: s.without(1), subject, *args)

        assert without(self.Sum()) is None
        assert without(self.Linear(), self.X[:2].copy()) is None  # too few
        constant = self.X.copy()
        constant.flags.writeable = False
        assert without(self.Linear(), constant) is None
        assert without(self.Linear(), np.ones((4, 2))) is None  # all alike
        assert without(self.Linear(), self.X.astype(int)) is None
        three = np.ones((4, 3, 2))
        three[1] = 5.0

        class Odd(self.Linear):  # type: ignore[name-defined, misc]
            def loss(self, X: np.ndarray, y: np.ndarray) -> float:
                return super().loss(X[0])

            def grads(self, X: np.ndarray, y: np.ndarray) -> Arrays:
                return super().grads(X[0])

        assert without(Odd(), three, np.ones(7)) is None  # of another length than every axis

    @pytest.mark.parametrize(
        ("dtype", "claim", "rounding"),
        [
            (np.float64, lambda x: 2 * x, 2.0**-53),
            (np.float64, lambda x: (2 * x).astype(np.float32), 2.0**-24),
            (np.float64, lambda x: (2 * x).astype(np.float32).astype(float), 2.0**-24),
            (np.float64, lambda x: np.array([0.5, 3.0, -2.0]), 2.0**-53),
            (np.float64, lambda x: 1e100 * x, 2.0**-53),
            (np.float32, lambda x: 2 * x, 2.0**-24),
            (np.float32, lambda x: (2 * x).astype(float) / 3, 2.0**-24),
            (np.float16, lambda x: (2 * x).astype(np.float32), 2.0**-11),
        ],
    )
    def test_precision_in_which_a_claim_was_computed(
        self, dtype: Any, claim: Callable[[Any], Any], rounding: float
    ) -> None:
        class Square:
            def __init__(self) -> None:
                self.params = {"x": np.array([0.1, -0.7, 1.3], dtype)}

            def loss(self) -> float:
                return float(np.sum(self.params["x"].astype(float) ** 2))

            def grads(self) -> Arrays:
                return {"x": claim(self.params["x"])}

        assert self.look(lambda s: list(s.point.rounding), Square()) == [rounding]

    @pytest.mark.parametrize(("jitter", "same"), [(0.5e-8, True), (2e-8, False)])
    def test_noise_up_to_which_a_loss_is_one_and_the_same(self, jitter: float, same: bool) -> None:
        calls = [0]

        def loss(x: np.ndarray) -> float:
            calls[0] += 1
            return 1e3 * (1 + jitter * (calls[0] % 2)) + float(x @ x)

        def asked() -> Any:
            seen: list[Any] = []
            check(
                loss=loss,
                grads=lambda x: 2 * x,
                params=np.ones(2),
                findings=[lambda s: seen.append(s.point) or []],
            )
            return seen[0]

        if same:
            point = asked()
            assert point.deterministic and point.jitter == pytest.approx(1e3 * jitter, rel=1e-3)
        else:
            with pytest.raises(SubjectError, match="not deterministic"):
                asked()

    def test_what_is_known_beside(self) -> None:
        def look(situation: Any) -> Any:
            theta = [situation.theta(block).tolist() for block in situation.blocks]
            return theta, [b.name for b in situation.judged], situation.args

        theta, names, args = self.look(look, self.Linear(), self.X, self.y)
        assert (theta, names) == ([[1.0, -2.0]], ["w"])
        assert args[0] is self.X and args[1] is self.y


LEFT = [10**6]
"""Gradients that may still be asked for: a global, for attributes are put back."""

"""Probe mode through the public interface: what it proves, what it finds, what it leaves alone."""

from __future__ import annotations

import itertools
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_gradcheck import SettingsError, SubjectError, check
from pytest_gradcheck.core.atoms import (
    CANDIDATES,
    SLACK,
    Pattern,
    Readings,
    entries,
    pattern,
)
from pytest_gradcheck.core.belief import Belief
from pytest_gradcheck.core.locate import Search
from pytest_gradcheck.core.located import Found, Throughout
from pytest_gradcheck.core.loss import Loss
from pytest_gradcheck.core.parameters import Parameter
from pytest_gradcheck.core.part import Part
from pytest_gradcheck.core.probes import Prober
from pytest_gradcheck.core.probing import Probing
from pytest_gradcheck.core.reading import Reading
from pytest_gradcheck.core.region import Region
from pytest_gradcheck.core.weights import (
    LOOKS,
    SPREAD,
    UNIT,
    draw,
    greatest_length,
    least_length,
    probes_for,
    spread,
)
from pytest_gradcheck.report.text import failure


class Network:
    """Dense layers, cross-entropy, an L2 term; `spoil` makes the gradient wrong."""

    def __init__(
        self, sizes=(30, 40, 5), activation="tanh", seed=0, decay=1e-3, bias=0.1, samples=16
    ):
        rng = np.random.default_rng(seed)
        self.activation, self.decay, self.spoil = activation, decay, lambda grads: None
        self.params = {}
        for i, (a, b) in enumerate(pairwise(sizes), 1):
            self.params[f"W{i}"] = rng.standard_normal((a, b)) / np.sqrt(a)
            self.params[f"b{i}"] = bias * rng.standard_normal(b)
        self.layers = len(sizes) - 1
        self.X = rng.standard_normal((samples, sizes[0]))
        self.y = rng.integers(0, sizes[-1], samples)

    def forward(self):
        outputs = [self.X]
        for i in range(1, self.layers + 1):
            z = outputs[-1] @ self.params[f"W{i}"] + self.params[f"b{i}"]
            if i < self.layers:
                z = np.tanh(z) if self.activation == "tanh" else np.maximum(z, 0.0)
            outputs.append(z)
        return outputs

    def loss(self):
        z = self.forward()[-1]
        log_p = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
        decay = 0.5 * self.decay * sum(np.sum(self.params[k] ** 2) for k in self.matrices)
        return -np.mean(log_p[np.arange(len(self.y)), self.y]) + decay

    @property
    def matrices(self):
        return [name for name in self.params if name.startswith("W")]

    def slope(self, i, a):
        """Of the activation in front of layer i, by its value."""
        return 1 - a**2 if self.activation == "tanh" else a > 0

    def grads(self):
        outputs = self.forward()
        delta = np.exp(outputs[-1])
        delta /= np.sum(delta, axis=1, keepdims=True)
        delta[np.arange(len(self.y)), self.y] -= 1
        delta /= len(self.y)
        grads = {}
        for i in range(self.layers, 0, -1):
            a = outputs[i - 1]
            grads[f"W{i}"] = a.T @ delta + self.decay * self.params[f"W{i}"]
            grads[f"b{i}"] = delta.sum(axis=0)
            slope = self.slope(i, a)
            delta = (delta @ self.params[f"W{i}"].T) * slope
        grads = {name: grads[name] for name in self.params}
        self.spoil(grads)
        return grads


def probe(network, **settings):
    return check(network, mode="probe", **settings)


def wrong(result):
    """Labels of the entries that are certainly wrong."""
    return {entry.label for entry in result.worst if entry.error > entry.uncertainty}


def regions(result):
    found = [f for f in result.findings if f.name == "wrong-region"]
    return [label for finding in found for label in finding.evidence["regions"]]


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("seed", range(5))
def test_correct_gradient_passes_with_a_bound_at_little_cost(activation, seed):
    result = probe(Network(activation=activation, seed=seed), seed=seed)
    assert result.status == "pass"
    assert not result.findings
    assert result.bound < 1e-7
    assert all(block.bound < 1e-7 for block in result.blocks)
    assert result.confidence == 1 - 1e-6
    assert result.evaluations <= 45


def test_many_kinks_cost_little():
    """Of a quarter of a million some lie within every step that is not very short."""
    evaluations: list[tuple[int, int]] = []
    for seed in range(5):
        network = Network((50, 400, 100, 5), activation="relu", seed=seed, samples=512)
        right = probe(network, seed=seed)
        assert right.status == "pass"
        assert right.bound < 1e-5
        mean = np.mean(np.abs(np.concatenate([g.reshape(-1) for g in network.grads().values()])))

        def spoil(grads, at=(seed, 17), by=0.01 * mean):
            grads["W1"][at] += by

        network.spoil = spoil
        spoilt = probe(network, seed=seed)
        assert wrong(spoilt) == {f"W1[{seed}, 17]"}
        evaluations.append((right.evaluations, spoilt.evaluations))
    right_ones, wrong_ones = zip(*evaluations, strict=True)
    assert np.median(right_ones) <= 40
    assert np.median(wrong_ones) <= 80


def test_cost_does_not_grow_with_the_number_of_parameters_or_of_names():
    class Named:
        def __init__(self, names, size):
            rng = np.random.default_rng(0)
            self.params = {f"p{i}": rng.standard_normal(size) for i in range(names)}

        def loss(self):
            return sum(float(np.sum(np.cos(p))) for p in self.params.values())

        def grads(self):
            return {name: -np.sin(p) for name, p in self.params.items()}

    few = [probe(Named(names, 20_000 // names)).evaluations for names in (5, 500)]
    many = probe(Named(5, 40_000)).evaluations
    assert max(*few, many) <= 1.2 * min(*few, many)


def test_auto_probes_above_a_number_of_parameters():
    small, large = Network((10, 10, 3)), Network((60, 80, 5))
    assert check(small).settings["mode"] == "exhaustive"
    assert check(large).settings["mode"] == "probe"
    assert check(small, max_evaluations=100).settings["mode"] == "probe"
    with pytest.raises(SettingsError, match="max_evaluations=100"):
        check(small, mode="exhaustive", max_evaluations=100)


@pytest.mark.parametrize(("size", "mode"), [(5_000, "exhaustive"), (5_001, "probe")])
def test_auto_probes_from_that_very_number_on(size, mode):
    result = check(loss=lambda x: float(x @ x), grads=lambda x: 2 * x, params=np.ones(size))
    assert (result.settings["mode"], result.status) == (mode, "pass")


def test_every_entry_takes_two_evaluations_and_ten_at_the_point():
    functions = {"loss": lambda x: float(x @ x), "grads": lambda x: 2 * x, "params": np.ones(30)}
    with pytest.raises(SettingsError, match="at least 70 evaluations"):
        check(**functions, mode="exhaustive", max_evaluations=69)
    assert check(**functions, mode="exhaustive", max_evaluations=70).status == "pass"
    modes = [check(**functions, max_evaluations=n).settings["mode"] for n in (69, 70)]
    assert modes == ["probe", "exhaustive"]


@pytest.mark.parametrize("refine", [{"refine": False}, {"scheme": "forward"}])
def test_probes_are_not_the_textbook(refine):
    with pytest.raises(SettingsError, match="probe"):
        check(Network(), mode="probe", **refine)
    assert check(Network((60, 80, 5)), **refine).settings["mode"] == "exhaustive"


@pytest.mark.parametrize("seed", range(5))
def test_single_wrong_entry_is_named(seed):
    network = Network(seed=seed)

    def spoil(grads):
        grads["W1"][3, 7] += 0.01 * np.mean(np.abs(grads["W1"]))

    network.spoil = spoil
    result = probe(network, seed=seed)
    assert wrong(result) == {"W1[3, 7]"}
    assert result.status == "warn"
    assert result.evaluations <= 80


@pytest.mark.parametrize("seed", range(3))
def test_ten_entries_with_the_wrong_sign_are_named(seed):
    network, rng = Network(seed=seed), np.random.default_rng(seed)
    flat = rng.choice(30 * 40, 10, replace=False)

    def spoil(grads):
        grads["W1"].reshape(-1)[flat] *= -1

    network.spoil = spoil
    result = probe(network, seed=seed)
    assert wrong(result) == {f"W1[{i // 40}, {i % 40}]" for i in flat}
    assert result.evaluations <= 400


def test_two_entries_exchanged_do_not_cancel():
    network = Network()

    def spoil(grads):
        w = grads["W1"]
        w[0, 0], w[5, 5] = w[5, 5], w[0, 0]

    network.spoil = spoil
    for seed in range(10):
        assert wrong(probe(network, seed=seed)) == {"W1[0, 0]", "W1[5, 5]"}


def test_a_short_row_is_told_as_that_row_as_well():
    network = Network((30, 12, 5))

    def spoil(grads):
        grads["W1"][3] *= 2

    network.spoil = spoil
    assert regions(probe(network)) == ["W1[3, :]"]


def test_a_doubled_row_is_told_as_that_row():
    network = Network()

    def spoil(grads):
        grads["W1"][3] *= 2

    network.spoil = spoil
    result = probe(network)
    assert regions(result) == ["W1[3, :]"]
    assert "2 times the measured" in "\n".join(failure(result))
    assert all(entry.label.startswith("W1[3, ") for entry in result.worst)
    assert result.evaluations <= 80  # by what explains the readings; halving would take over 100


def test_a_column_that_was_never_written_is_told_as_that_column():
    network = Network()

    def spoil(grads):
        grads["W1"][:, 7] = 0

    network.spoil = spoil
    result = probe(network)
    assert regions(result) == ["W1[:, 7]"]
    assert result.status == "fail"
    passed = {block.name: block.status for block in result.blocks if block.name != "W1"}
    assert set(passed.values()) == {"pass"}


def test_a_forgotten_regularisation_term_is_told_of_whole_blocks():
    network = Network()

    def spoil(grads):
        for name in network.matrices:
            grads[name] -= network.decay * network.params[name]

    network.spoil = spoil
    result = probe(network)
    assert regions(result) == ["all of W1", "all of W2"]
    finding = next(f for f in result.findings if f.name == "wrong-region")
    assert finding.evidence["of"] == "parameter"
    assert finding.evidence["constant"] == pytest.approx(-network.decay, rel=1e-4)
    assert result.evaluations <= 150


def test_a_block_that_is_wrong_in_no_pattern_is_told_as_a_whole():
    network = Network()

    def spoil(grads):
        grads["W2"][...] = np.random.default_rng(1).permutation(grads["W2"])

    network.spoil = spoil
    result = probe(network)
    assert regions(result) == ["all of W2"]
    block = next(block for block in result.blocks if block.name == "W2")
    assert block.status == "fail"
    assert block.bound <= 1
    (view,) = (view for view in result.views if view.parameter == "W2")
    seen = "".join(view.cells)
    assert any(letter.isupper() for letter in seen)  # entries that were picked, and are wrong
    assert "." not in seen  # nothing is known to agree


def test_rows_that_are_wrong_in_one_block_are_each_told():
    network, rows = Network(sizes=(40, 30, 5)), [3, 11, 18, 27, 36]

    def spoil(grads):
        grads["W1"][rows] = np.random.default_rng(1).normal(size=(len(rows), 30))

    network.spoil = spoil
    assert regions(probe(network)) == [f"W1[{i}, :]" for i in rows]


class DeepMistake(Network):
    """Eleven layers, and the slope of the activation in front of the last one is wrong."""

    def __init__(self):
        super().__init__(sizes=(24, 22, 20, 21, 18, 19, 16, 17, 14, 15, 12, 5))

    def slope(self, i, a):
        return 1 - a if i == self.layers else super().slope(i, a)


def test_a_mistake_in_front_of_the_last_layer_is_told_as_that_and_not_searched_everywhere():
    network = DeepMistake()
    result = probe(network)
    off = [block.name for block in result.blocks if block.status == "fail"]
    assert off == [name for name in network.params if not name.endswith("11")]
    assert all(b.relative_error > b.uncertainty for b in result.blocks if b.status == "fail")
    finding = next(f for f in result.findings if f.name == "upstream")
    assert finding.evidence["in_front_of"] == "W11"
    assert set(finding.where) == set(off)
    assert len([f for f in result.findings if f.name == "wrong-region"]) < len(off) / 4
    assert result.evaluations < 40 * len(off)


def test_a_gradient_claimed_to_be_zero_is_seen():
    network = Network()

    def spoil(grads):
        grads["b1"][...] = 0

    network.spoil = spoil
    result = probe(network)
    assert regions(result) == ["all of b1"]
    assert next(b for b in result.blocks if b.name == "b1").relative_error > 0.99


def test_blocks_many_orders_of_magnitude_apart_are_all_seen():
    rng = np.random.default_rng(0)
    params = {"large": 1e6 * rng.standard_normal(100), "small": 1e-6 * rng.standard_normal(80)}

    def loss(p):
        return float(np.sum(np.cos(p["large"] * 1e-6)) + np.sum(np.exp(p["small"] * 1e6)))

    def grads(p):
        return {
            "large": -np.sin(p["large"] * 1e-6) * 1e-6,
            "small": np.exp(p["small"] * 1e6) * 1e6,
        }

    def with_sign(p):
        wrong = grads(p)
        wrong["large"][7] *= -1
        return wrong

    assert check(loss=loss, grads=grads, params=params, mode="probe").status == "pass"
    result = check(loss=loss, grads=with_sign, params=params, mode="probe")
    assert wrong(result) == {"large[7]"}


def test_budget_ends_the_search_and_says_so():
    network, rng = Network(), np.random.default_rng(0)

    def spoil(grads):
        grads["W1"].reshape(-1)[rng.choice(1200, 100, replace=False)] *= -1

    network.spoil = spoil
    result = probe(network, max_evaluations=200)
    assert result.status == "fail"
    ended = next(f for f in result.findings if f.name == "search-ended")
    assert "worst among what was searched" in ended.message
    assert result.evaluations <= 220


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("size", [1e-5, 1e-3, 1.0])
def test_an_error_that_is_not_located_is_told_by_its_least_size(count, size):
    rng = np.random.default_rng(0)
    params = {f"p{i}": rng.normal(size=500) for i in range(count)}
    off = size * rng.normal(size=500)

    def grads(p):
        found = {name: np.cos(x) for name, x in p.items()}
        found["p0"] = found["p0"] + off
        return found

    result = check(
        loss=lambda p: float(sum(np.sum(np.sin(x)) for x in p.values())),
        grads=grads,
        params=params,
        mode="probe",
        max_evaluations=45,
    )
    true = np.cos(params["p0"])
    worst = np.linalg.norm(off) / (np.linalg.norm(true) + np.linalg.norm(true + off))
    finding = next(f for f in result.findings if f.name == "unlocated")
    assert 1e-2 * worst <= finding.evidence["relative_error"] <= worst
    least = finding.evidence["relative_error"]
    assert result.status == ("fail" if worst >= 1e-2 else "warn")
    assert f"at least {least:.1e}" in finding.message


@pytest.mark.parametrize("seed", range(3))
def test_what_a_search_finds_before_its_end_is_the_worst(seed):
    rng = np.random.default_rng(seed)
    x, off = rng.normal(size=(60, 50)), np.zeros((60, 50))
    off.flat[rng.choice(3000, 40, replace=False)] = 1e-3 * rng.normal(size=40)
    row = int(rng.integers(60))
    off[row, 7] += 1.0
    result = check(
        loss=lambda p: float(np.sum(np.sin(p))),
        grads=lambda p: np.cos(p) + off,
        params=x,
        mode="probe",
        max_evaluations=180,
        seed=seed,
    )
    assert "search-ended" in {finding.name for finding in result.findings}
    assert result.worst[0].index == (row, 7)
    for entry in result.worst:
        assert abs(entry.analytic - entry.numeric - off[entry.index]) <= entry.uncertainty


def test_kinks_at_the_point_are_left_for_a_displaced_one():
    network = Network(activation="relu", bias=0)
    network.X[0] = 0  # puts every unit of the first layer exactly at its kink
    before = {name: value.tobytes() for name, value in network.params.items()}
    result = probe(network)
    assert result.status == "pass"
    assert [finding.name for finding in result.findings] == ["kink"]
    assert "moved by" in result.findings[0].message
    assert before == {name: value.tobytes() for name, value in network.params.items()}

    def spoil(grads):
        grads["W1"] *= 2

    network.spoil = spoil
    assert regions(probe(network)) == ["all of W1"]


def beside_kinks(edge):
    """All at kinks, and NaN from `edge` on: a loss, its gradient and the point."""
    origin = np.random.default_rng(0).normal(size=50)

    def loss(x):
        off = np.abs(x - origin)
        return float(np.sum(off) + origin @ x) if np.max(off) < edge else math.nan

    return {"loss": loss, "grads": lambda x: origin + np.sign(x - origin), "params": origin.copy()}


@pytest.mark.parametrize(("edge", "distance"), [(1.0, 1e-3), (2e-4, 1e-5), (2e-6, 1e-7)])
def test_a_displaced_point_is_one_where_the_loss_is_finite(edge, distance):
    result = check(**beside_kinks(edge), mode="probe")
    assert [block.status for block in result.blocks] == ["pass"]
    assert result.findings[0].evidence == {"displacement": distance}


def test_kinks_at_a_point_beside_which_the_loss_is_nowhere_finite_are_an_error():
    subject = beside_kinks(1e-8)
    before = subject["params"].tobytes()
    with pytest.raises(SubjectError, match=r"kinks at this very point.*is nan wherever"):
        check(**subject, mode="probe")
    assert subject["params"].tobytes() == before


def test_same_seed_same_result():
    network = Network()

    def spoil(grads):
        grads["W1"][3, 7] *= 2

    network.spoil = spoil
    first, second, other = (probe(network, seed=seed) for seed in (3, 3, 4))
    drop = {"seconds": 0}
    assert first.as_dict() | drop == second.as_dict() | drop
    assert first.as_dict() | drop != other.as_dict() | drop
    assert first.settings["seed"] == 3
    assert "seed=3" in failure(first)[-1]


def test_parameters_stand_to_the_last_bit_whatever_they_are():
    rng = np.random.default_rng(0)
    params = {
        "strided": np.ones((60, 3), order="F")[::2],
        "single": rng.standard_normal(40).astype(np.float32),
        "long": rng.standard_normal(10).astype(np.longdouble) / 3,
        "zeros": np.array([-0.0, 0.0, 1.0]),
        "empty": np.zeros((0, 3)),
        "scalar": -0.5,
    }
    before = {k: np.asarray(v).tobytes() for k, v in params.items()}

    def loss(p):
        return float(sum(np.sum(np.asarray(v, float) ** 2) for v in p.values()))

    def grads(p):
        return {k: 2 * np.asarray(v) for k, v in p.items()}

    result = check(loss=loss, grads=grads, params=params, mode="probe")
    assert result.status == "pass"
    assert before == {k: np.asarray(v).tobytes() for k, v in params.items()}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_parameters_stand_when_the_loss_raises(error):
    for call in range(1, 40, 3):
        network, calls = Network(), [0]
        before = {name: value.tobytes() for name, value in network.params.items()}

        def failing(calls=calls, call=call, network=network):
            calls[0] += 1
            if calls[0] == call:
                raise error("here")
            return Network.loss(network)

        network.loss = failing
        try:
            probe(network)
        except error:
            pass
        else:
            assert calls[0] < call
        assert before == {name: value.tobytes() for name, value in network.params.items()}


def test_parameters_that_the_loss_does_not_read_are_refused():
    held = np.ones(50)
    with pytest.raises(SubjectError, match="does not reach the loss"):
        check(
            loss=lambda p: float(np.sum(held**2) + np.sum(p["b"] ** 2)),
            grads=lambda p: {"a": 2 * held, "b": 2 * p["b"]},
            params={"a": held.copy(), "b": np.ones(3)},
            mode="probe",
        )


def test_a_loss_that_is_not_finite_nearby_never_passes():
    x = 10 ** np.random.default_rng(0).uniform(-8, 8, 300)
    result = check(
        loss=lambda p: float(np.sum(np.sqrt(p))),
        grads=lambda p: 0.5 / np.sqrt(p),
        params=x,
        mode="probe",
    )
    assert result.status == "warn"
    assert "unprobed" in [finding.name for finding in result.findings]


def test_a_nan_in_the_claim_fails():
    network = Network()

    def spoil(grads):
        grads["b1"][3] = np.nan

    network.spoil = spoil
    result = probe(network)
    assert result.status == "fail"
    assert "not-finite" in [finding.name for finding in result.findings]


def test_pass_says_what_was_proved():
    lines = failure(probe(Network(seed=1), confidence=0.99))
    assert "with confidence 0.99" in lines[0]
    assert "with confidence 1 - 1e-06" in failure(probe(Network(seed=1)))[0]


@pytest.mark.parametrize("confidence", [0, 0.4, 1, 1.5, "high", True])
def test_impossible_confidence(confidence):
    with pytest.raises(SettingsError, match="confidence"):
        check(Network(), confidence=confidence)


@pytest.mark.parametrize("name", ["max_evaluations", "seed"])
@pytest.mark.parametrize("value", [-1, 1.5, True, "many"])
def test_impossible_whole_numbers(name, value):
    with pytest.raises(SettingsError, match=name):
        check(Network(), **{name: value})


class TestWeights:
    def test_mean_0_variance_1_and_no_pattern(self):
        v = UNIT * draw(1, 2, 3, 1_000_000).astype(float)
        assert abs(v.mean()) < 5e-3
        assert v.var() == pytest.approx(1, rel=5e-3)
        assert abs(np.corrcoef(v[:-1], v[1:])[0, 1]) < 5e-3
        assert np.max(np.abs(v)) <= math.sqrt(3)

    def test_the_same_again_and_different_by_row_and_block(self):
        assert np.array_equal(draw(1, 2, 3, 101), draw(1, 2, 3, 101))
        for other in ((2, 2, 3), (1, 3, 3), (1, 2, 4)):
            assert not np.array_equal(draw(1, 2, 3, 101), draw(*other, 101))

    def test_more_confidence_takes_more_probes(self):
        counts = [probes_for(c) for c in (0.9, 0.999, 1 - 1e-6, 1 - 1e-9)]
        assert counts == sorted(counts)
        assert counts[2] == 4

    @pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 8, 101])
    def test_are_as_many_as_entries(self, size):
        weights = draw(1, 2, 3, size)
        assert weights.dtype == np.int16 and weights.size == size
        assert np.array_equal(weights, draw(1, 2, 3, 200)[:size])

    @pytest.mark.parametrize("confidence", [0.5, 0.99, 1 - 1e-9])
    def test_lengths_are_what_the_bounds_on_their_probability_say(self, confidence):
        risk = (1 - confidence) / LOOKS
        for count, ball in ((1, 2.0), (2, math.pi), (3, 4 * math.pi / 3)):
            r = least_length(count, confidence)
            assert ball * r**count / 6 ** (count / 2) == pytest.approx(risk)
            assert spread(count, confidence) == pytest.approx(math.sqrt(count) / r)
        for count in (1, 3, 10):
            q = greatest_length(count, confidence) ** 2
            assert q > count
            rare = (q / count) ** (count / 2) * math.exp((count - q) / 2)
            assert rare == pytest.approx(risk)

    @pytest.mark.parametrize("confidence", [0.5, 0.9, 0.999, 1 - 1e-6, 1 - 1e-12])
    def test_probes_are_the_fewest_with_a_bound_not_too_far_off(self, confidence):
        count = probes_for(confidence)
        assert spread(count, confidence) <= SPREAD
        assert count == 1 or spread(count - 1, confidence) > SPREAD

    @given(
        st.integers(0, 2**32 - 1),
        st.sampled_from(["single", "pair", "exchanged", "dense", "ramp", "signs"]),
        st.sampled_from([0.9, 0.99]),
    )
    def test_lengths_hold_as_often_as_they_say(self, seed, kind, confidence):
        """For any error: k readings are seldom shorter, and seldom longer, than is said."""
        rng = np.random.default_rng(seed)
        e = {
            "single": np.eye(1, 20)[0],
            "pair": np.r_[1.0, 1e-3, np.zeros(18)],
            "exchanged": np.r_[1.0, -1.0, np.zeros(18)],
            "dense": rng.standard_normal(20),
            "ramp": np.arange(20.0),
            "signs": rng.choice([-1.0, 1.0], 20),
        }[kind]
        e /= np.linalg.norm(e)
        trials, count = 400, 4
        v = UNIT * draw(seed, 0, 0, trials * count * 20).astype(float)
        lengths = np.linalg.norm(v.reshape(trials, count, 20) @ e, axis=1)
        # five standard deviations of a binomial above what is promised
        allowed = trials * (1 - confidence) + 5 * math.sqrt(trials * (1 - confidence))
        assert np.sum(lengths < least_length(count, confidence)) <= allowed
        assert np.sum(lengths > greatest_length(count, confidence)) <= allowed


class TestGroups:
    """Which parameters are probed together."""

    @staticmethod
    def of(reaches, jitter=0.0, sizes=None):
        sizes = sizes or [4] * len(reaches)
        claims = [np.full(n, r / math.sqrt(n or 1)) for r, n in zip(reaches, sizes, strict=True)]
        probing = Probing(
            [Parameter(f"p{i}", np.ones(n)) for i, n in enumerate(sizes)],
            Loss(lambda: 0.0),
            claims,
            origin=[np.ones(n) for n in sizes],
            rounding=[1e-16] * len(sizes),
            base=0.0,
            jitter=jitter,
            tol=1e-7,
            warn=1e-5,
            fail=1e-3,
            confidence=1 - 1e-6,
            limit=None,
            seed=0,
        )
        return [[region.block for region in group] for group in probing._groups()]

    def test_without_noise_all_are_in_one(self):
        assert self.of([1e-5, 1.0, 1e-2, 1e-9]) == [[0, 1, 2, 3]]

    def test_those_that_noise_would_drown_are_apart(self):
        # a step along the first is seen to a thousandth of `tol / 30` of it: 3e-12
        assert self.of([1.0, 1e-2, 1e-5, 1e-7], 1e-15) == [[0, 1], [2, 3]]
        assert self.of([1e-7, 1e-2, 1.0, 1e-5], 1e-15) == [[1, 2], [0, 3]]
        assert self.of([1.0, 0.9e-3, 1.1e-3, 1e-6], 1e-13) == [[0, 2], [1, 3]]
        assert self.of([1.0, 2e-4, 4e-4], 1e-15) == [[0, 2], [1]]

    def test_those_without_entries_or_numbers_are_in_none(self):
        assert self.of([1.0, 1.0, math.nan], sizes=[3, 0, 2]) == [[0]]


class TestExplanations:
    """Single entries, and multiples of something known, that alone explain a few readings."""

    SHAPES = ((6, 5), (7,), (4, 3), ())
    BARS = (1e-9, 1e-5, 1e-7)

    def prober(self, shapes=SHAPES):
        rng = np.random.default_rng(0)
        self.origin = [rng.normal(size=math.prod(shape)) for shape in shapes]
        self.claimed = [
            10.0**i * rng.normal(size=theta.size) for i, theta in enumerate(self.origin)
        ]
        weight = [1 / float(np.linalg.norm(g)) for g in self.claimed]
        parameters = [
            Parameter(f"p{i}", theta.reshape(shape).copy())
            for i, (theta, shape) in enumerate(zip(self.origin, shapes, strict=True))
        ]
        belief = Belief(self.claimed, [0.0] * len(shapes), weight)
        loss = Loss(lambda: 0.0)
        self.regions = [Region.whole(i, shape) for i, shape in enumerate(shapes)]
        return Prober(parameters, loss, base=0.0, origin=self.origin, belief=belief, seed=5)

    def readings(self, prober, errors, bars=BARS):
        """What probes read of these errors, by block; off by a part of their error bars."""
        rows = range(3, 3 + len(bars))
        read = [
            sum(
                prober.weight[i] * UNIT * float(e @ draw(5, row, i, e.size))
                for i, e in errors.items()
            )
            for row in rows
        ]
        off = np.resize([1.0, -0.5, -1.0], len(bars))
        return Readings(rows, np.array(read) + off * bars, np.array(bars))

    def at(self, block, i, error=0.5):
        return {block: error * np.eye(1, self.claimed[block].size, i)[0] / self.scale(block)}

    def scale(self, block):
        return 1 / float(np.linalg.norm(self.claimed[block]))

    @pytest.mark.parametrize("bars", [BARS, BARS[::-1], (1e-7, 1e-9, 1e-5)])
    def test_every_entry_is_found_by_its_readings(self, bars):
        prober = self.prober()
        for block, claim in enumerate(self.claimed):
            for i in range(claim.size):
                error = self.at(block, i)
                found = entries(prober, self.regions, self.readings(prober, error, bars))
                assert [(region.block, j) for region, j, _ in found] == [(block, i)]
                assert found[0][2] == pytest.approx(error[block][i], rel=1e-6)

    def test_of_a_part_the_position_is_that_in_it(self):
        prober = self.prober()
        part = self.regions[0].narrowed(0, 2, 5).narrowed(1, 1, 4)
        ((region, i, _),) = entries(prober, [part], self.readings(prober, self.at(0, 18)))
        assert region is part and part.index_of(i) == (3, 3)

    def test_in_a_large_parameter(self):
        prober = self.prober(((300, 250), (70_000,)))
        for block, i in ((0, 70_123), (0, 3), (1, 66_000)):
            found = entries(prober, self.regions, self.readings(prober, self.at(block, i)))
            assert (block, i) in [(region.block, j) for region, j, _ in found]
            assert len(found) <= CANDIDATES

    def test_too_many_that_explain_as_well_are_one_more_than_candidates(self):
        prober = self.prober()
        readings = self.readings(prober, self.at(0, 3), (1e-3, 0.9, 0.9))
        for regions in (self.regions, self.regions[:1]):
            assert len(entries(prober, regions, readings)) == CANDIDATES + 1

    def test_two_wrong_entries_are_explained_by_none(self):
        prober = self.prober()
        both = {0: self.at(0, 3)[0] + self.at(0, 8)[0]}
        assert not entries(prober, self.regions, self.readings(prober, both))
        assert pattern(prober, self.regions, self.readings(prober, both)) is None

    def test_what_error_bars_explain_needs_no_other_explanation(self):
        prober = self.prober()
        nothing = self.readings(prober, {0: np.zeros(30)})
        assert not entries(prober, self.regions, nothing)
        assert pattern(prober, self.regions, nothing) is None

    def test_a_constant_is_known_as_well_as_its_readings(self):
        products, bars = np.array([2.0, -1.0, 0.5]), np.array([0.1, 0.2, 0.1])
        for off in ([0.5, -1, 0.2], [1, 1, 1], [-1, 1, 0.0]):
            readings = Readings(range(3), 3 * products + off * bars, bars)
            c, uncertainty = readings.explained_by(products)
            assert abs(c - 3) <= uncertainty <= 0.2
        x = products / bars
        assert uncertainty == pytest.approx(SLACK * np.sum(np.abs(x)) / (x @ x))
        assert Readings(range(3), 3 * products + [0, 0, 0.5], bars).explained_by(products) is None
        assert Readings(range(3), products, bars).explained_by(np.zeros(3)) is None
        assert Readings(range(3), 1.4 * bars, bars).explained_by(bars) is None
        assert Readings(range(3), 1.6 * bars, bars).explained_by(bars) is not None

    @pytest.mark.parametrize("of", ["gradient", "parameter"])
    @pytest.mark.parametrize("blocks", [(0, 1, 2, 3), (0, 2), (1, 3), (0,), (1,), (2,)])
    def test_a_multiple_over_some_parameters(self, of, blocks):
        prober = self.prober()
        known = self.claimed if of == "gradient" else self.origin
        errors = {i: 0.1 * known[i] for i in blocks}
        # so small beside the others' that it takes sharper readings to be told from none
        bars = (1e-12, 3e-12, 2e-12)
        found = pattern(prober, self.regions, self.readings(prober, errors, bars))
        assert found is not None
        assert sorted(region.block for region in found.regions) == list(blocks)
        assert all(region.is_whole for region in found.regions)
        assert found.of == of
        assert abs(found.constant - 0.1) <= found.uncertainty <= 1e-6

    @pytest.mark.parametrize("of", ["gradient", "parameter"])
    @pytest.mark.parametrize("shape", [(6, 5), (4, 3, 5)])
    def test_a_multiple_over_one_slice_of_a_parameter(self, of, shape):
        prober = self.prober(((7,), shape))
        whole = self.regions[1]
        known = (self.claimed if of == "gradient" else self.origin)[1]
        for part in (whole, whole.narrowed(0, 1, 4)):
            for axis, (low, high) in enumerate(part.ranges):
                for i in range(low, high):
                    slice_ = part.narrowed(axis, i, i + 1)
                    errors = np.zeros(known.size)
                    slice_.of(errors)[...] = -0.3 * slice_.of(known)
                    readings = self.readings(prober, {1: errors}, (1e-9, 1e-7, 1e-8, 1e-8))
                    found = pattern(prober, [self.regions[0], part], readings)
                    assert found is not None
                    assert (found.regions, found.of) == ((slice_,), of)
                    assert abs(found.constant + 0.3) <= found.uncertainty <= 1e-4


class TestProber:
    """Derivatives along rows of weights, of a loss whose gradient is known."""

    SHAPES = ((6, 5), (7,))

    def prober(self, dtype=float, claim=1.0, unit=(1.0, 1e-4)):
        rng = np.random.default_rng(0)
        self.parameters = [
            Parameter(f"p{i}", (u * rng.normal(size=shape)).astype(dtype))
            for i, (shape, u) in enumerate(zip(self.SHAPES, unit, strict=True))
        ]
        self.origin = [p.read() for p in self.parameters]
        self.true = [np.cos(x / u) / u for x, u in zip(self.origin, unit, strict=True)]
        claims = [claim * g for g in self.true]

        def loss():
            pairs = zip(self.parameters, unit, strict=True)
            return float(sum(np.sum(np.sin(p.array.astype(float) / u)) for p, u in pairs))

        weight = [1 / float(np.linalg.norm(g)) for g in claims]
        belief = Belief(claims, [1e-16] * 2, weight)
        self.regions = [Region.whole(i, shape) for i, shape in enumerate(self.SHAPES)]
        counted = Loss(loss)
        return Prober(
            self.parameters, counted, base=loss(), origin=self.origin, belief=belief, seed=3
        )

    def slope(self, prober, regions, row, gradient, skip=()):
        total = 0.0
        for region in regions:
            size = math.prod(self.SHAPES[region.block])
            kept = np.zeros(size, bool)
            region.of(kept)[...] = True
            for other in skip:
                if other.block == region.block:
                    other.of(kept)[...] = False
            w = draw(3, row, region.block, size) * kept
            total += prober.weight[region.block] * UNIT * float(gradient[region.block] @ w)
        return total

    @pytest.mark.parametrize("part", ["all", "rows", "vector", "without a column"])
    def test_a_reading_is_the_derivative_along_its_weights(self, part):
        prober = self.prober(claim=1.5)
        matrix, vector = self.regions
        regions = {"rows": [matrix.narrowed(0, 2, 5), vector], "vector": [vector]}.get(
            part, self.regions
        )
        skip = [matrix.narrowed(1, 3, 4)] if part == "without a column" else []
        for row in range(4):
            true = self.slope(prober, regions, row, self.true, skip)
            reading = prober.read(regions, row, target=1e-9, skip=skip)
            assert abs(reading.value - true) <= reading.bar <= 1e-6
            assert 0 < reading.noise <= reading.bar and not reading.kink
            assert prober.expected(regions, row, skip) == pytest.approx(1.5 * true)

    def test_a_part_measured_is_taken_from_the_whole(self):
        prober = self.prober()
        halves = self.regions[0].halves(0)
        whole = prober.read([self.regions[0]], 1, target=1e-9)
        rest = whole - prober.read([halves[0]], 1, target=1e-9)
        true = self.slope(prober, [halves[1]], 1, self.true)
        assert abs(rest.value - true) <= rest.bar <= 1e-6
        left = Reading(3.0, 0.5, 0.3) - Reading(1.0, 0.2, 0.4, kink=True)
        assert (left.value, left.bar, left.noise, left.kink) == (2.0, 0.7, 0.5, True)

    def test_an_entry_by_itself(self):
        prober = self.prober()
        for block, i in ((0, 0), (0, 17), (1, 6)):
            found = prober.entry(block, i, target=1e-8 * abs(self.true[block][i]))
            off = abs(found.value - self.true[block][i])
            assert off <= found.uncertainty <= 1e-6 * abs(self.true[block][i])

    def test_blocks_are_moved_as_far_as_they_are_large(self):
        prober = self.prober()
        for block, theta in enumerate(self.origin):
            size = float(np.sqrt(np.mean(theta**2)))
            norm = float(np.linalg.norm(self.true[block]))
            assert prober.reach(block) == pytest.approx(size * norm)

    def test_float32_is_read_as_if_it_were_not_rounded(self):
        prober = self.prober(np.float32, unit=(1.0, 1.0))
        for row in range(4):
            true = self.slope(prober, self.regions, row, self.true)
            reading = prober.read(self.regions, row, target=1e-9)
            assert abs(reading.value - true) <= reading.bar <= 1e-3
        wrong, ratios = self.prober(np.float32, claim=3.0, unit=(1.0, 1.0)), []
        for row in range(20):  # by how much it is rounded is judged by the wrong gradient
            true = self.slope(wrong, self.regions, row, self.true)
            reading = wrong.read(self.regions, row, target=1e-9)
            assert reading.bar <= 1e-2
            ratios.append(abs(reading.value - true) / reading.bar)
        assert np.median(ratios) <= 1 and np.median(ratios) >= 0.01

    def test_later_readings_begin_where_earlier_ones_ended(self):
        prober = self.prober()
        counts = []
        for row in range(6):
            before = prober.loss.evaluations
            prober.read(self.regions, row, target=1e-9)
            counts.append(prober.loss.evaluations - before)
        assert max(counts[2:]) <= counts[0] and max(counts) <= 16


class TestSearch:
    """From readings that are off to the entries that are wrong."""

    SHAPES = ((30, 20), (40,), (3, 4, 5), ())

    def search(self, off, *, limit=math.inf, seed=0):
        """What a search finds of a claim that is off by so much, by block."""
        rng = np.random.default_rng(seed)
        arrays = [np.array(rng.normal(size=shape)) for shape in self.SHAPES]
        parameters = [Parameter(f"p{i}", array) for i, array in enumerate(arrays)]
        origin = [p.read() for p in parameters]
        self.true = [np.cos(x) for x in origin]
        claims = [g.copy() for g in self.true]
        for block, array in off.items():
            claims[block] += np.reshape(array, -1)
        weight = [1 / float(np.linalg.norm(g)) for g in claims]
        loss = Loss(lambda: float(sum(np.sum(np.sin(a)) for a in arrays)))
        belief = Belief(claims, [1e-16] * len(claims), weight)
        prober = Prober(parameters, loss, base=loss(), origin=origin, belief=belief, seed=seed)
        regions = tuple(Region.whole(i, shape) for i, shape in enumerate(self.SHAPES))
        rows = itertools.count()
        search = Search(prober, target=1e-9, rows=rows, rng=rng)
        self.before = math.inf
        for _ in range(6):  # of which the first may but tell along which axis to look
            count, skip = search.found.count, search.found.skip
            readings = {
                row: prober.read(regions, row, target=1e-9, skip=skip)
                for row in itertools.islice(rows, 3)
            }
            self.before = min(self.before, loss.evaluations)
            search.run(Part(regions, readings), limit=limit)
            if search.found.count == count:
                break
        self.spent, self.belief = loss.evaluations - self.before, belief.gradient
        return search

    @staticmethod
    def at(shape, *flat, size=0.1):
        off = np.zeros(shape)
        off.reshape(-1)[list(flat)] = size
        return off

    def require_corrected(self):
        for believed, true in zip(self.belief, self.true, strict=True):
            assert np.allclose(believed, true, atol=1e-7)

    @pytest.mark.parametrize("block", range(4))
    def test_one_entry(self, block):
        size = self.true_size(block)
        for i in {0, size // 3, size - 1}:
            search = self.search({block: self.at(self.SHAPES[block], i)})
            assert set(search.found.entries) == {(block, i)}
            assert search.found.count == 1 and not search.exhausted and not search.found.left
            self.require_corrected()
            assert self.spent <= 40

    def true_size(self, block):
        return math.prod(self.SHAPES[block])

    @pytest.mark.parametrize("seed", range(4))
    def test_entries_here_and_there(self, seed):
        rng = np.random.default_rng(seed)
        off = {
            block: self.at(self.SHAPES[block], *rng.choice(self.true_size(block), count, False))
            for block, count in ((0, 4), (1, 2), (2, 1))
        }
        search = self.search(off, seed=seed)
        wrong = {(b, int(i)) for b, array in off.items() for i in np.flatnonzero(array)}
        assert set(search.found.entries) == wrong
        self.require_corrected()
        assert self.spent <= 700

    def test_nothing_is_spent_where_nothing_is_wrong(self):
        search = self.search({})
        assert search.found.count == 0 and self.spent == 0

    def test_a_small_parameter_is_measured_wholly(self):
        rng = np.random.default_rng(5)
        search = self.search({2: self.at((3, 4, 5)) + rng.normal(size=(3, 4, 5))})
        assert [r.block for r in search.found.whole] == [2]
        assert all(r.is_whole for r in search.found.whole)

    @pytest.mark.parametrize("axis", [0, 1])
    def test_rows_or_columns(self, axis):
        rng = np.random.default_rng(1)
        off = np.zeros((30, 20))
        lines = off if axis == 0 else off.T
        lines[[3, 11]] = rng.normal(size=(2, len(lines[0])))
        search = self.search({0: off})
        told = np.zeros((30, 20))
        for region in search.found.whole:
            region.of(told.reshape(-1))[...] = 1
        told.reshape(-1)[[i for _, i in search.found.entries]] = 1
        assert not np.any(told[off == 0]) and np.mean(told[off != 0]) >= 0.9

    @pytest.mark.parametrize("limit", [30, 60, 150])
    def test_ends_with_what_it_may_spend(self, limit):
        rng = np.random.default_rng(0)
        off = self.at((30, 20), *rng.choice(600, 40, False))
        search = self.search({0: off}, limit=limit)
        assert search.exhausted and search.found.left
        assert self.before + self.spent <= limit + 40
        assert all(off.reshape(-1)[i] for _, i in search.found.entries)


class TestFound:
    """How it is told what a search has found."""

    parameters = tuple(Parameter(name, np.ones((4, 3))) for name in ("A", "B", "C"))
    whole = tuple(Region.whole(i, (4, 3)) for i in range(3))

    @staticmethod
    def throughout(region, wrong, picked):
        readings = Readings([0], np.ones(1), np.ones(1))
        return Throughout(region, readings, np.ones(1), wrong, picked)

    def told(self, **found):
        return [(f.name, f.where, f.message) for f in Found(**found).findings(self.parameters)]

    @pytest.mark.parametrize(
        ("wrong", "picked", "how"),
        [
            (2, 2, "wrong throughout, as both entries are that were picked at random"),
            (6, 6, "wrong throughout, as all 6 entries are that were picked at random"),
            (9, 12, "wrong nearly throughout, as 9 of 12 entries picked at random"),
            (7, 12, "wrong nearly throughout, as 7 of 12 entries picked at random"),
            (6, 12, "wrong in some entries; it was not searched, as so many others are wrong"),
            (1, 2, "wrong in some entries; it was not searched, as so many others are wrong"),
        ],
    )
    def test_of_a_sample(self, wrong, picked, how):
        part = self.throughout(self.whole[1], wrong, picked)
        assert part.is_dense == (wrong > picked / 2)
        assert self.told(throughout=[part]) == [("wrong-region", ("B",), f"all of B: {how}")]

    def test_several_parameters_that_are_wrong_throughout_are_told_as_one(self):
        sampled = [self.throughout(self.whole[i], 6, 6) for i in (2, 0)]
        found = Found(throughout=sampled).findings(self.parameters)
        assert [f.where for f in found] == [("A", "C")]
        assert found[0].message.startswith("A, C: each wrong throughout")
        assert found[0].evidence == {"regions": ["all of A", "all of C"]}
        both = self.told(throughout=sampled[:1], complete=[self.whole[1]])
        assert [where for _, where, _ in both] == [("B", "C")]
        some = self.told(throughout=[sampled[0], self.throughout(self.whole[0], 1, 2)])
        assert [where for _, where, _ in some] == [("A",), ("C",)]
        assert "all of its 12 entries are" in self.told(complete=[self.whole[1]])[0][2]

    def test_what_is_not_wrong_throughout_is_told_beside_those_that_are(self):
        sampled = [self.throughout(self.whole[i], 6, 6) for i in (0, 2)]
        some, row = self.throughout(self.whole[1], 1, 2), self.whole[2].narrowed(0, 1, 2)
        found = self.told(throughout=[*sampled, some], complete=[row])
        assert [where for _, where, _ in found] == [("A", "C"), ("B",), ("C",)]
        assert found[1][2].startswith("all of B: wrong in some entries")
        assert found[2][2] == "C[1, :]: wrong throughout, all of its 3 entries are"

    def test_rows_that_are_wrong_alike_are_told_together(self):
        rows = [self.whole[1].narrowed(0, i, i + 1) for i in (3, 0)]
        found = Found(throughout=[self.throughout(row, 6, 6) for row in rows])
        (finding,) = found.findings(self.parameters)
        assert finding.message.startswith("B[0, :], B[3, :]: each wrong throughout")
        assert finding.evidence == {"regions": ["B[0, :]", "B[3, :]"], "entries": 6}
        assert (found.count, found.dense_blocks, len(found.skip), len(found.whole)) == (2, 1, 2, 2)
        (one,) = self.told(throughout=[self.throughout(rows[0], 6, 6)])
        assert one[2].startswith("B[3, :]: wrong throughout")

    @pytest.mark.parametrize(
        ("of", "constant", "what"),
        [
            ("parameter", -0.25, "claimed - measured = -0.25 * parameter"),
            ("gradient", 0.5, "the claimed gradient is 2 times the measured one"),
            ("gradient", -1.0, "the claimed gradient is 0.5 times the measured one"),
            ("gradient", 1 - 1e-7, "a gradient is claimed where the measured one is zero"),
            ("gradient", 1 - 1e-5, "the claimed gradient is 100000 times the measured one"),
        ],
    )
    def test_of_a_pattern(self, of, constant, what):
        pattern_ = Pattern(self.whole[:2], of, constant, 1e-9)
        found = Found(patterns=[pattern_])
        (finding,) = found.findings(self.parameters)
        assert finding.message == f"all of A, all of B: in every entry {what}"
        assert finding.where == ("A", "B")
        assert finding.evidence["constant"] == constant and finding.evidence["of"] == of
        assert found.whole == list(self.whole[:2]) and not found.dense and found.count == 1

    @pytest.mark.parametrize(
        ("off", "uncertainty", "what"),
        [
            (0.9e-3, 1e-3, "a gradient is claimed where the measured one is zero (± 1e-03 of it)"),
            (2**-10, 2**-10, "the claimed gradient is 1024 times the measured one"),
            (0.9e-6, 1e-7, "a gradient is claimed where the measured one is zero"),
            (-0.9e-6, 1e-6, "a gradient is claimed where the measured one is zero"),
            (2e-6, 1e-7, "the claimed gradient is 500000 times the measured one"),
        ],
    )
    def test_of_a_gradient_that_is_zero_as_far_as_is_known(self, off, uncertainty, what):
        found = Found(patterns=[Pattern(self.whole[:1], "gradient", 1 - off, uncertainty)])
        (finding,) = found.findings(self.parameters)
        assert finding.message == f"all of A: in every entry {what}"

    def test_patterns_told_in_the_same_words_are_one(self):
        zeros = [
            Pattern(self.whole[i : i + 1], "gradient", 1.0, uncertainty)
            for i, uncertainty in ((1, 3e-3), (0, 1e-9))
        ]
        double = Pattern(self.whole[2:], "gradient", 0.5, 1e-9)
        assert self.told(patterns=[*zeros, double]) == [
            (
                "wrong-region",
                ("A", "B"),
                "all of A, all of B: in every entry a gradient is claimed where the measured one is"
                " zero (± 3e-03 of it)",
            ),
            (
                "wrong-region",
                ("C",),
                "all of C: in every entry the claimed gradient is 2 times the measured one",
            ),
        ]

    def test_of_many_regions_with_one_pattern_a_few_are_named(self):
        rows = [self.whole[i].narrowed(0, row, row + 1) for i in range(3) for row in range(4)]
        patterns = [Pattern((row,), "gradient", 2.0, 1e-9) for row in rows]
        ((_, where, message),) = self.told(patterns=patterns)
        assert where == ("A", "B", "C")
        assert message.startswith("A[0, :], A[1, :]")
        assert "more: in every entry the claimed gradient is -1 times" in message
        (finding,) = Found(patterns=patterns).findings(self.parameters)
        assert len(finding.evidence["regions"]) == 12

    def test_what_was_left(self):
        left = [self.whole[2], self.whole[0].narrowed(1, 0, 1), self.whole[2].narrowed(0, 0, 1)]
        ((name, where, message),) = self.told(left=left)
        assert (name, where) == ("search-ended", ("C", "A"))
        assert message.startswith("the search in C, A ended with the evaluations allowed")
        (finding,) = Found(left=left).findings(self.parameters)
        assert finding.evidence == {"entries": 12 + 4 + 3}
        assert self.told() == []


@pytest.mark.parametrize("factor", [1 + 1e-9, 1 + 3e-8])
def test_an_error_below_tol_passes_and_is_not_searched_for_long(factor: float) -> None:
    theta = np.random.default_rng(0).normal(size=(100, 80))
    result = check(
        loss=lambda p: float(np.sum(np.sin(p))), grads=lambda p: factor * np.cos(p), params=theta
    )
    assert result.status == "pass"
    assert [finding.name for finding in result.findings] == ["imprecise"]
    assert result.evaluations < 200


def test_how_far_a_block_is_wrong_throughout_is_known_by_all_that_was_read_of_it() -> None:
    network = Network()
    true = {name: g.copy() for name, g in network.grads().items()}

    def spoil(grads):
        grads["W2"][...] = np.random.default_rng(1).permutation(grads["W2"])

    network.spoil = spoil
    claimed = network.grads()["W2"]
    error = np.linalg.norm(claimed - true["W2"])
    error /= np.linalg.norm(claimed) + np.linalg.norm(true["W2"])
    block = next(block for block in probe(network).blocks if block.name == "W2")
    assert block.relative_error - block.uncertainty <= error <= block.bound
    assert block.bound < 5 * block.relative_error  # of three readings alone, 16 times as much


def test_no_relative_error_is_above_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        x, claim = rng.standard_normal((2, 5000))
        result = check(
            loss=lambda x: float(x @ x), grads=lambda _, c=claim: c, params=x, mode="probe"
        )
        assert result.status == "fail"
        assert 0.1 < result.relative_error <= 1.0


def test_a_column_claimed_that_the_loss_does_not_read_is_told_so():
    network = Network()
    X = network.X.copy()

    class Blind(Network):
        def loss(self):
            self.X = X * (np.arange(30) != 4)
            return super().loss()

    network.__class__ = Blind
    network.decay = 0.0
    network.spoil = lambda grads: grads["W1"].__setitem__(4, 0.1 * grads["W1"][5])
    result = probe(network)
    assert regions(result) == ["W1[4, :]"]
    finding = next(f for f in result.findings if f.name == "wrong-region")
    assert "a gradient is claimed where the measured one is zero" in finding.message


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_sizes_from_1e_minus_6_to_1e6_in_one_array(factor: float) -> None:
    rng = np.random.default_rng(2)
    size = np.array([1e-6, 1.0, 1e6])
    A, y = rng.normal(size=(12, 3)), rng.normal(size=12)

    def loss(p: np.ndarray) -> float:
        return float(np.sum(np.tanh(A @ (p / size) - y) ** 2))

    def grads(p: np.ndarray) -> np.ndarray:
        t = np.tanh(A @ (p / size) - y)
        return A.T @ (2 * t * (1 - t**2)) / size * np.array([factor, 1.0, 1.0])

    result = check(loss=loss, grads=grads, params=rng.normal(size=3) * size, mode="probe")
    assert result.status == ("pass" if factor == 1.0 else "fail")
    assert [entry.index for entry in result.worst] == ([] if factor == 1.0 else [(0,)])


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_numbers_are_moved_along_directions_like_arrays(factor):
    params = {"a": 0.7, "b": np.float64(-1.3), "c": np.linspace(1, 2, 20)}
    before = dict(params)

    def loss(p):
        return math.sin(p["a"]) * math.exp(p["b"]) + float(np.sum(p["c"] ** 2))

    def grads(p):
        rise = math.exp(p["b"])
        a, b = math.cos(p["a"]) * rise, math.sin(p["a"]) * rise
        return {"a": factor * a, "b": b, "c": 2 * p["c"]}

    result = check(loss=loss, grads=grads, params=params, mode="probe")
    assert [b.name for b in result.blocks if b.status != "pass"] == (["a"] if factor > 1 else [])
    assert all(params[name] is before[name] for name in params)

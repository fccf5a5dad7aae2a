"""What is known of the gradient of one parameter, and what a picture of it shows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pytest_gradcheck.core.belief import Belief
from pytest_gradcheck.core.cancelled import is_cancelled, may_be_cancelled
from pytest_gradcheck.core.derivative import Derivative
from pytest_gradcheck.core.judge import (
    Interval,
    grade,
    interval_of,
    is_settled,
    judge_block,
    judge_whole,
    point_findings,
    worst_entries,
    worst_status,
)
from pytest_gradcheck.core.line import shortest, uphill
from pytest_gradcheck.core.measured import (
    COMMON,
    OWN,
    Measured,
    Single,
    norm,
    norm_bound,
    rms,
    scale_of,
)
from pytest_gradcheck.core.parameters import Parameter
from pytest_gradcheck.core.probed import Probed, Slopes
from pytest_gradcheck.core.region import PIECE, Region
from pytest_gradcheck.core.view import View, _as_matrix, _bounds, _pieces, views_of
from pytest_gradcheck.core.weights import UNIT, draw
from pytest_gradcheck.settings import merge


def measured(
    claimed: Any, numeric: Any, bar: Any = 0.0, *, name: str = "W", rounding: Any = 0.0, **more: Any
) -> Measured:
    shape = np.shape(claimed)
    claim, found = np.ravel(np.asarray(claimed, float)), np.ravel(np.asarray(numeric, float))
    bars = np.broadcast_to(np.asarray(bar, float), claim.shape).copy()
    rounded = np.broadcast_to(np.asarray(rounding, float), claim.shape).copy()
    made = Measured(Parameter(name, np.ones(shape)), claim, found, bars, rounded)
    for key, value in more.items():
        setattr(made, key, value)
    return made


class TestNorms:
    @pytest.mark.parametrize("size", [1e-300, 1e-150, 1.0, 1e150, 1e300])
    def test_of_any_magnitude(self, size: float) -> None:
        values = size * np.array([3.0, -4.0, 0.0, 0.0])
        assert norm(values) / size == pytest.approx(5)
        assert rms(values) / size == pytest.approx(2.5)
        assert scale_of(values) / size == pytest.approx(2.5)

    def test_of_what_is_nothing_or_no_number(self) -> None:
        assert norm(np.zeros(3)) == rms(np.zeros(3)) == rms(np.zeros(0)) == 0
        assert scale_of(np.zeros(3)) == 1
        assert norm(np.array([1.0, math.inf])) == math.inf
        assert rms(np.array([3.0, math.nan, -3.0, math.inf])) == pytest.approx(3)

    @pytest.mark.parametrize("size", [1, 4, 1000])
    def test_bound_holds_for_errors_within_their_bars_and_is_sharp(self, size: int) -> None:
        rng = np.random.default_rng(size)
        seen, bar = rng.normal(size=size), rng.uniform(0.5, 1.5, size)
        true = [np.linalg.norm(seen + bar / 4 * rng.standard_normal(size)) for _ in range(500)]
        bound = norm_bound(np.abs(seen), bar)
        assert max(true) <= bound <= np.linalg.norm(seen) + np.linalg.norm(bar)
        if size > 100:
            assert bound <= 1.5 * np.linalg.norm(seen)
        assert norm_bound(np.abs(seen), 0 * bar) == pytest.approx(np.linalg.norm(seen))
        assert norm_bound(np.zeros(0), np.zeros(0)) == 0


class TestSingle:
    def test_is_beyond_its_bar_by_what_is_left(self) -> None:
        assert Single(0, 5.0, 3.0, 0.5).error == 2
        assert Single(0, 5.0, 3.0, 0.5).beyond == 1.5
        assert Single(0, 5.0, 3.0, 2.5).beyond == 0

    def test_is_wrong_where_that_is_much_of_its_size(self) -> None:
        assert Single(0, 1.0, 1.01, 1e-6).is_wrong(1e-3, 1e-4)
        assert not Single(0, 1.0, 1.01, 1e-6).is_wrong(1e-2, 1e-4)  # no such part of the size
        assert not Single(0, 1.0, 1.01, 1e-6).is_wrong(1e-3, 0.02)  # less than counts at all
        assert not Single(0, 1.0, 1.01, 2e-3).is_wrong(1e-3, 1e-4)  # within ten error bars
        assert Single(0, 1e-9, -1e-9, 0.0).is_wrong(0.5, 1e-12)


class TestMeasured:
    block = measured([1.0, 2.0, 3.0, 4.0], [1.0, 2.5, 3.2, 4.9], [0.1, 0.1, 0.1, 1.0])

    def test_worst_are_furthest_beyond_their_bars(self) -> None:
        assert [one.index for one in self.block.worst(4)] == [1, 2, 3, 0]
        assert [one.index for one in self.block.worst(2)] == [1, 2]
        nan = measured([1.0, 2.0], [0.0, math.nan])
        assert [one.index for one in nan.worst(2)] == [1, 0]

    def test_rounding_of_a_claim_belongs_to_its_bar(self) -> None:
        rounded = measured([1.0, 2.0], [1.2, 2.1], [0.05, 0.05], rounding=[0.1, 0.1])
        assert [one.beyond for one in rounded.worst(2)] == pytest.approx([0.05, 0.0])
        error, bar = rounded.errors(slice(0, 1))
        assert (error, bar) == (pytest.approx([0.2]), pytest.approx([0.15]))
        assert rounded.error_limits()[0] == pytest.approx(0.05)

    def test_limits_of_the_error(self) -> None:
        least, error, most = self.block.error_limits()
        assert least == pytest.approx(math.hypot(0.4, 0.1))
        assert error == pytest.approx(math.hypot(0.5, 0.2, 0.9))
        assert error < most <= error + math.hypot(0.1, 0.1, 0.1, 1.0)
        self_bound = measured([1.0], [1.5], [0.1])
        self_bound.bound = 0.45
        assert self_bound.error_limits() == pytest.approx((0.4, 0.5, 0.45))
        self_bound.bound = 0.0  # no bound lies below what is certain
        assert self_bound.error_limits()[2] == pytest.approx(0.4)

    def test_certainly_wrong_entries(self) -> None:
        block = measured([1.0, 1.0, 1.0], [1.1, 1.1, 1.0], [1e-3, 0.05, 1e-3])
        assert [one.index for one in block.wrong(1e-2, 1e-3)] == [0]
        assert not block.wrong(1e-2, 0.2)
        assert not block.wrong(0.2, 1e-3)

    def test_some_are_the_worst_and_others_from_small_to_large(self) -> None:
        claim = np.arange(100.0)
        block = measured(claim, claim + 10.0 * (claim == 70))
        some = block.some(10)
        assert len(some) <= 10 and some[0].index == 70
        indices = {one.index for one in some}
        assert len(indices) == len(some) >= 9 and {0, 99} <= indices
        assert {one.index for one in measured([1.0, 2.0], [1.0, 2.0]).some(10)} == {0, 1}

    def test_reference_is_the_claim_where_a_first_step_agrees(self) -> None:
        block = measured([1.0, 2.0, 3.0, 4.0], [1.1, 2.1, 3.1, math.nan], [1, 1, math.inf, 1])
        assert block.reference[:3].tolist() == [1.0, 2.0, 3.1]
        block.climbed[0] = True
        assert block.reference[:2].tolist() == [1.1, 2.0]
        block.trusted[1] = True
        assert block.reference[:2].tolist() == [1.1, 2.1]

    def test_weight_is_relative_to_the_larger_of_claim_and_measurement(self) -> None:
        block = measured([3.0, 4.0], [30.0, 40.0])
        assert block.weight == pytest.approx(1 / 5)
        block.climbed[:] = True
        assert block.weight == pytest.approx(1 / 50)
        block.negligible = True
        assert block.weight == 1

    def test_first_steps_are_trusted_doubted_and_taken_back(self) -> None:
        block = measured([1.0] * 4, [1.0, 1.1, 1.3, 1.2], [0.1, math.inf, math.inf, math.inf])
        assert block.unsettled().tolist() == [2, 3, 1]  # those furthest off first
        block.climbed[3], block.uncertainty[3] = True, 0.01
        block.trust(np.array([1, 2]), np.full(4, 0.02))
        assert block.uncertainty.tolist() == [0.1, 0.02, 0.02, 0.01]
        block.tighten(0.05)
        assert block.bound == pytest.approx(math.hypot(0.2 + 0.01, math.hypot(0.1, 0.3) + 0.05))
        block.tighten(1.0)  # no bound gets worse
        assert block.bound < 0.5
        block.distrust()
        assert block.unsettled().tolist() == [2, 1]
        block.unsettle()
        assert block.unsettled().tolist() == [2, 1, 0] and block.bound == math.inf

    def test_nothing_is_claimed_where_it_is_given_up(self) -> None:
        block = measured([1.0, 2.0], [1.5, 2.0], [0.1, 0.2])
        block.bound = 0.5
        block.give_up()
        assert block.undecided and block.bound == math.inf
        assert block.uncertainty.tolist() == [0.5, 0.2]
        assert block.error_limits()[0] == 0

    def test_a_zero_but_for_its_rounding(self) -> None:
        block = measured([1e-8, -2e-8], [0.0, 0.0], rounding=[1e-9, 1e-7])
        block.cancel()
        assert block.negligible and block.error_limits()[0] == 0
        assert block.claim_rounding.tolist() == [1e-8, 1e-7]

    def test_what_is_no_number(self) -> None:
        block = measured([1.0, 2.0, 3.0], [1.0, math.nan, math.inf])
        index, value, count = block.first_not_finite() or (-1, 0.0, 0)
        assert (index, math.isnan(value), count) == (1, True, 2)
        assert block.is_finite and not measured([math.nan], [1.0]).is_finite
        assert measured([1.0], [1.0]).first_not_finite() is None


class TestCancelled:
    """Claims that are zero but for the rounding of the precision they were computed in."""

    @pytest.mark.parametrize("whole", [1e-8, 1.0, 1e8])
    def test_are_small_beside_the_whole_and_measured_as_zero(self, whole: float) -> None:
        single = {"rounding": 2.0**-24, "whole": whole}
        claimed = 50 * 2.0**-24 * whole
        assert may_be_cancelled(claimed, **single)
        assert not may_be_cancelled(0.0, **single)
        assert not may_be_cancelled(3 * claimed, **single)
        assert not may_be_cancelled(claimed, rounding=2.0**-53, whole=whole)
        assert is_cancelled(claimed, 0.05 * claimed, **single)
        assert is_cancelled(claimed, 0.0, **single)
        assert not is_cancelled(claimed, 0.2 * claimed, **single)
        assert not is_cancelled(3 * claimed, 0.0, **single)


class TestLines:
    def test_uphill_is_where_the_claim_rises_in_unequal_steps(self) -> None:
        claim = np.array([1.0, -2.0, 0.0, 1e-9, -1e9, 3.0])
        steps = uphill(claim)
        assert np.array_equal(np.sign(steps), np.sign(claim))
        lengths = np.abs(steps[claim != 0])
        assert np.all((lengths >= 0.5) & (lengths < 1.5)) and np.unique(lengths).size == 5
        assert np.array_equal(steps, uphill(claim))

    @pytest.mark.parametrize(
        ("dtypes", "least"),
        [
            ([np.float64], 0.0),
            ([np.float64, np.float32], 1e3 * 2.0**-23),
            ([np.float32, np.float16], 0.1),
        ],
    )
    def test_shortest_step_is_a_thousand_digits_of_the_coarsest(
        self, dtypes: list[Any], least: float
    ) -> None:
        parameters = [Parameter("p", np.ones(2, dtype)) for dtype in dtypes]
        assert shortest(parameters) == pytest.approx(least)


class TestVerdict:
    settings = merge({})

    def test_grades_are_up_to_tol_and_from_fail_on(self) -> None:
        tol, fail = self.settings.tol, self.settings.fail
        assert [grade(error, self.settings) for error in (0.0, tol, 2 * tol, fail, math.nan)] == [
            *("pass", "pass", "warn", "fail", "fail")
        ]
        assert worst_status(["pass", "fail", "warn"]) == "fail"
        assert worst_status([]) == "pass"

    def test_settled_is_what_passes_and_is_known_to_warn(self) -> None:
        assert is_settled(measured(np.ones(4), np.ones(4), 1e-6), self.settings)
        assert not is_settled(measured(np.ones(4), np.ones(4), 1e-4), self.settings)
        assert not is_settled(measured(np.ones(4), 1.1 * np.ones(4), 1e-9), self.settings)

    def test_interval(self) -> None:
        assert Interval.of(1.0, 2.0, 4.0, 10.0) == Interval(0.1, 0.2, 0.4)
        assert Interval.of(1.0, 2.0, 4.0, 10.0).uncertainty(0.1) == pytest.approx(0.2)
        assert Interval.of(1.0, 3.5, 4.0, 10.0).uncertainty(0.1) == pytest.approx(0.25)
        assert Interval.of(1.0, 2.0, 4.0, 10.0).uncertainty(0.05) == pytest.approx(0.1)  # the proof
        assert Interval.of(5.0, 20.0, 40.0, 10.0) == Interval(0.5, 1.0, 1.0)
        assert Interval.of(0.0, 0.0, 0.0, 0.0) == Interval(0.0, 0.0, 0.0)
        assert Interval.of(0.0, 0.0, 1e-9, 0.0).high == math.inf
        assert Interval.of(0.0, 9.0, 4.0, 10.0) == Interval(0.0, 0.4, 0.4)  # within its bounds

    def test_whole_is_the_vector_of_all(self) -> None:
        a, b = measured([3.0], [3.3], name="a"), measured([4.0], [4.4], name="b")
        for block in (a, b):
            block.climbed[:] = True
        status, error, bar = judge_whole([a, b], self.settings)
        assert status == "fail"
        assert error == pytest.approx(0.5 / (5 + 5.5))
        assert bar < 1e-12
        assert judge_block(a, self.settings).relative_error == pytest.approx(0.3 / 6.3)
        assert judge_block(a, self.settings).numeric_norm == pytest.approx(3.3)
        assert judge_block(a, self.settings).analytic_norm == pytest.approx(3.0)

    def test_entries_of_all_parameters_in_one_order(self) -> None:
        a = measured([[1.0, 2.0]], [[1.0, 2.3]], 0.1, name="a")
        b = measured([1.0, 5.0], [1.4, 5.0], 0.1, name="b")
        entries = worst_entries([a, b], 3)
        assert [entry.label for entry in entries[:2]] == ["b[0]", "a[0, 1]"]
        assert len(entries) == 3
        assert [entry.share for entry in entries[:2]] == pytest.approx([0.64, 0.36])
        assert entries[0].relative_error == pytest.approx(0.4 / 2.4)
        assert entries[0].uncertainty == 0.1

    def test_of_zeros_that_agree_nothing_is_off(self) -> None:
        for entry in worst_entries([measured(np.zeros(2), np.zeros(2))], 5):
            assert entry.relative_error == entry.share == entry.error == 0

    @pytest.mark.parametrize("size", [1e-300, 1.0, 1e100, 1e300])
    def test_shares_of_errors_of_any_size(self, size: float) -> None:
        block = measured([size, size, size], [0.7 * size, 0.6 * size, size])
        with np.errstate(all="ignore"):  # as in a check
            first, second, third = worst_entries([block], 3)
        assert [e.index for e in (first, second, third)] == [(1,), (0,), (2,)]
        if 1e-100 < size < 1e150:  # else the norm of all is no number
            assert (first.share, second.share) == pytest.approx((0.64, 0.36))
        assert third.share == 0 and third.error == 0

    def test_of_what_is_no_number_the_first_is_told(self) -> None:
        claim = [1.0, -math.inf, math.nan, 2.0]
        (found,) = point_findings([measured(claim, np.ones(4))], self.settings)
        assert found.name == "not-finite"
        assert "W[1]: the claimed derivative is -inf (2 of 4 entries)" in found.message
        numeric = [1.0, 1.0, math.inf, math.nan]
        (found,) = point_findings([measured(np.ones(4), numeric)], self.settings)
        assert "W[2]: the measured derivative is inf (2 of 4 entries)" in found.message
        (found,) = point_findings([measured(math.nan, 1.0, name="s")], self.settings)
        assert found.message.startswith("s: the claimed derivative is nan (1 of 1")

    def test_a_wrong_entry_that_the_norm_hides_is_told(self) -> None:
        claim = np.full(100, 1e3)
        claim[5] = 1e-2
        numeric = claim.copy()
        numeric[5] = 2e-2
        (found,) = point_findings([measured(claim, numeric, 1e-6)], self.settings)
        assert found.name == "wrong-entry"
        assert "W[5] is wrong by itself" in found.message
        assert found.evidence["count"] == 1
        assert found.evidence["relative_error"] == pytest.approx(1 / 3)
        numeric[5] = 1e-2 + 2e-5  # below `tol` beside a typical entry
        assert not point_findings([measured(claim, numeric, 1e-9)], self.settings)

    @pytest.mark.parametrize(("bar", "name"), [(1e-7, None), (1e-3, "coarse"), (10.0, "tiny")])
    def test_error_bars_too_wide_are_told(self, bar: float, name: str | None) -> None:
        block = measured(np.ones(4), np.ones(4), bar)
        found = [finding.name for finding in point_findings([block], self.settings)]
        assert [each.partition("-")[0] for each in found] == ([name] if name else [])
        if name == "coarse":
            (finding,) = point_findings([block, measured(1.0, 1.0, 1e-4, name="b")], self.settings)
            assert finding.where == ("W", "b")
            assert finding.evidence["bound"] == interval_of(block).high
            assert "W, b are verified only to" in finding.message

    def test_many_names_are_shortened(self) -> None:
        blocks = [measured(1.0, 1.0, 1e-3, name=f"p{i}") for i in range(8)]
        (finding,) = point_findings(blocks, self.settings)
        assert finding.message.startswith("p0, p1, p2, p3, p4, p5 and 2 more are")
        (finding,) = point_findings(blocks[:6], self.settings)
        assert finding.message.startswith("p0, p1, p2, p3, p4, p5 are")
        (finding,) = point_findings(blocks[:1], self.settings)
        assert finding.message.startswith("p0 is")

    @pytest.mark.parametrize("count", [1, 3, 4, 15])
    def test_kinks_are_counted_and_the_first_are_named(self, count: int) -> None:
        block = measured(np.ones((4, 5)), np.ones((4, 5)))
        block.kinks[:count] = True
        (finding,) = point_findings([block], self.settings)
        assert finding.name == "kink"
        assert f"{count} of 20 entries" in finding.message
        assert finding.message.count("W[") == min(count, 3)
        assert ("..." in finding.message) == (count > 3)
        assert finding.evidence["count"] == count
        assert finding.evidence["indices"][0] == [0, 0]
        assert len(finding.evidence["indices"]) == min(count, 10)

    def test_undecided_ones_are_told_with_their_kinks_alone(self) -> None:
        blocks = [measured(np.ones(3), np.ones(3), name=name) for name in "ab"]
        for block in blocks:
            block.kinks[1:] = True
            block.give_up()
        (finding,) = point_findings(blocks, self.settings)
        assert (finding.name, finding.where) == ("undecided", ("a", "b"))
        assert finding.evidence["kinks"] == 4

    def test_every_parameter_is_looked_at(self) -> None:
        given_up, wide = measured(1.0, 1.0, name="a"), measured(1.0, 1.0, 1e-3, name="c")
        given_up.give_up()
        found = point_findings([measured([], [], name="b"), given_up, wide], self.settings)
        assert [(f.name, f.where) for f in found] == [("undecided", ("a",)), ("coarse", ("c",))]


def letter(relative: float) -> str:
    """Two to a decade from 1e-12 on."""
    return "abcdefghijklmnopqrstuvwxyz"[max(0, min(round(2 * (math.log10(relative) + 12)), 25))]


class TestBounds:
    """Where each verdict begins, and what is told with it."""

    settings = merge({"tol": 1e-7, "warn": 1e-5, "fail": 1e-3})

    def told(self, *blocks: Measured, ended: bool = False) -> list[str]:
        return [f.name for f in point_findings(blocks, self.settings, ended=ended)]

    def test_settled_up_to_warn(self) -> None:
        # one entry of 1, as claimed: its bar is relative to 2
        assert is_settled(measured([1.0], [1.0], 2e-5), self.settings)
        assert not is_settled(measured([1.0], [1.0], 2.001e-5), self.settings)
        assert is_settled(measured([1.0], [1 + 1.9e-7]), self.settings)
        assert not is_settled(measured([1.0], [1 + 2.1e-7]), self.settings)

    def test_coarse_from_warn_and_tiny_from_a_half(self) -> None:
        coarse = ["coarse"]
        for bar, names in ((2e-5, []), (2.1e-5, coarse), (0.98, coarse), (1.0, coarse)):
            assert self.told(measured([1.0], [1.0], bar)) == names
        tiny = measured([1.0], [1.0], 1.02)
        (found,) = point_findings([tiny], self.settings)
        assert (found.name, found.where) == ("tiny-gradient", ("W",))
        assert found.evidence == {"bound": pytest.approx(0.51), "gradient": 1.0}
        assert "its gradient (1.0e+00) lies under" in found.message
        assert "(1.0e+00). Compute" in found.message
        assert self.told(tiny, ended=True) == ["coarse"]

    @pytest.mark.parametrize("bar", [1e-4, 1e-3])
    def test_not_coarse_where_an_error_is_certain(self, bar: float) -> None:
        for beyond, names in ((1.9e-7, ["coarse"]), (2.2e-7, [])):
            block = measured([1.0], [1 + bar + beyond], bar, climbed=np.array([True]))
            assert self.told(block) == names

    @pytest.mark.parametrize("ended", [True, False])
    def test_coarse_ones_are_told_together_with_the_coarsest(self, ended: bool) -> None:
        bars = {"a": 2e-4, "b": 8e-4, "c": 0.0}
        blocks = [measured([1.0], [1.0], bar, name=name) for name, bar in bars.items()]
        (found,) = point_findings(blocks, self.settings, ended=ended)
        assert found.where == ("a", "b") and found.evidence == {"bound": pytest.approx(4e-4)}
        assert found.message.startswith("a, b are verified only to 4.0e-04: ")
        assert ("it ended with the evaluations allowed" in found.message) == ended
        assert ("the noise of the loss" in found.message) != ended
        (found,) = point_findings(blocks[:1], self.settings)
        assert found.message.startswith("a is verified only to 1.0e-04: ")

    def test_untested_where_claim_and_measurement_are_zero(self) -> None:
        block = measured([3e-20, 4e-20], [1e-4, 0.0], [1e-3, 2e-3], negligible=True)
        (found,) = point_findings([block], self.settings)
        assert (found.name, found.where) == ("zero-gradient", ("W",))
        assert found.evidence == {
            "claimed_norm": pytest.approx(5e-20, rel=1e-6, abs=0),
            "uncertainty": 2e-3,
        }
        assert "(within 2.0e-03)" in found.message
        wrong = measured([0.0], [1.0], 0.1, negligible=True, climbed=np.array([True]))
        assert self.told(wrong) == []
        assert self.told(measured([0.0], [0.0], negligible=True)) == ["zero-gradient"]
        assert self.told(measured([0.0], [0.0])) == []

    def test_up_to_tol_itself_nothing_is_certain(self) -> None:
        # a claim of 0 of what is 1 within its bar, but for 2^-20
        block = measured([0.0], [1.0], 1 - 2.0**-20, climbed=np.array([True]))
        for tol, names in ((2.0**-20, ["tiny-gradient"]), (2.0**-21, [])):
            settings = merge({"tol": tol, "warn": 1e-3})
            assert [f.name for f in point_findings([block], settings)] == names

    def test_of_a_parameter_that_is_no_number_nothing_can_be_measured(self) -> None:
        block = measured(np.ones((2, 2)), [[1.0, 1.0], [math.nan, math.nan]])
        (found,) = point_findings([block], self.settings)
        assert found.message.endswith("the loss is NaN or infinite at every point tried around it")
        assert found.message.startswith("W[1, 0]: the measured derivative is nan (2 of 4 entries)")
        assert found.evidence == {"count": 2, "size": 4}
        block.parameter.array[1, 0] = math.inf
        (found,) = point_findings([block], self.settings)
        assert found.message.endswith("the parameter itself is inf there, and cannot be moved")

    def test_wrong_entries_are_counted_and_the_largest_is_told(self) -> None:
        claim, numeric = np.full(1000, 1e3), np.full(1000, 1e3)
        claim[[3, 5, 8]], numeric[[3, 5, 8]] = 0.1, [0.2, 0.3, 0.25]
        (found,) = point_findings([measured(claim, numeric, 1e-6)], self.settings)
        assert found.name == "wrong-entry" and found.message.startswith(
            "W[5] is wrong by itself (relative error 5.0e-01, claimed 0.1, measured 0.3), though"
        )
        assert found.message.endswith("of W; 3 such entries")
        assert found.evidence == {"count": 3, "relative_error": pytest.approx(0.5)}
        numeric[0] = 2e3  # so that the norm does not hide it: the verdict says so
        assert self.told(measured(claim, numeric, 1e-6)) == []

    @pytest.mark.parametrize("tol", [1e-7, 0.5])
    def test_error_bar_of_the_whole(self, tol: float) -> None:
        a = measured([3.0], [3.3], 0.1, climbed=np.array([True]))
        b = measured([4.0], [4.4], 0.2, climbed=np.array([True]))
        scale = 5 + 5.5
        least, most = math.hypot(0.2, 0.2) / scale, math.hypot(0.4, 0.6) / scale
        status, error, bar = judge_whole([a, b], merge({"tol": tol}))
        assert (status, error) == ("fail" if tol < 0.1 else "pass", pytest.approx(0.5 / scale))
        down, up = error - least, most - error
        assert bar == pytest.approx(down if tol < 0.1 else max(down, up)) and up > down

    def test_what_is_said_of_one_parameter(self) -> None:
        block = measured(np.ones((2, 3)), np.full((2, 3), 1.5), 0.1, climbed=np.full(6, True))
        said = judge_block(block, self.settings)
        assert (said.name, said.shape, said.status) == ("W", (2, 3), "fail")
        assert said.relative_error == pytest.approx(0.2)
        assert said.uncertainty == pytest.approx(0.1 / 2.5)
        (one, *_) = worst_entries([block], 1)
        assert (one.parameter, one.index) == ("W", (0, 0))
        assert (one.analytic, one.numeric, one.error, one.uncertainty) == (1.0, 1.5, 0.5, 0.1)
        assert one.share == pytest.approx(1 / 6)

    def test_of_two_as_far_beyond_their_bars_the_larger_error_comes_first(self) -> None:
        a = measured([1.0], [1.5], 0.25, name="a")
        b = measured([1.0], [1.75], 0.5, name="b")
        assert [e.parameter for e in worst_entries([a, b], 2)] == ["b", "a"]
        assert [e.parameter for e in worst_entries([b, a], 2)] == ["b", "a"]
        nan = measured([1.0, 1.0], [math.nan, 9.0], name="c")
        assert [e.label for e in worst_entries([a, nan], 3)] == ["c[0]", "c[1]", "a[0]"]


class TestKnown:
    def test_a_bound_uses_up_less_of_many_bars(self) -> None:
        for size, part in ((1, 1.0), (4, 0.7), (9, 0.6), (100, 0.46)):
            bar = np.full(size, 2.0)
            expected = 3 * math.sqrt(size) + part * 2 * math.sqrt(size)
            assert norm_bound(np.full(size, -3.0), bar) == pytest.approx(expected)

    def test_wrong_is_more_than_each_of_its_bounds(self) -> None:
        assert not Single(0, 1.0, 0.0, 0.0).is_wrong(1.0, 0.0)
        assert Single(0, 1.0, 0.0, 0.0).is_wrong(0.99, 0.0)
        assert not Single(0, 1.0, 0.0, 0.1).is_wrong(0.1, 0.0)  # ten bars
        assert Single(0, 1.0, 0.0, 0.099).is_wrong(0.1, 0.0)
        assert not Single(0, 1.0, 0.0, 0.0).is_wrong(0.1, 1.0)
        assert Single(0, 1.0, 0.0, 0.0).is_wrong(0.1, 0.99)
        assert Single(0, 1.0, -1.0, 0.0).is_wrong(0.99, 0.0)
        assert not Single(0, 3.0, 1.0, 0.0).is_wrong(0.5, 0.0)
        block = measured([1.0, 1.0, 1.0], [0.0, 0.0, 0.5], [0.1, 0.099, 0.0])
        assert [one.index for one in block.wrong(0.1, 0.0)] == [1, 2]
        assert [one.index for one in block.wrong(0.1, 0.5)] == [1]

    def test_vanishes_where_the_claim_is_wrong_and_zero_is_not(self) -> None:
        assert measured([1.0, 1.0], [0.125, -0.125], 0.125).vanishes
        assert measured([0.5], [0.125], 0.125).vanishes
        assert not measured([1.0, 1.0], [0.125, -0.126], 0.125).vanishes
        assert not measured([0.25, 0.0], [0.125, 0.125], 0.125).vanishes
        assert not measured([0.0], [0.0]).vanishes

    def test_what_is_told_of_all_entries(self) -> None:
        block = measured([1.0, 2.0, 2.0], [2.0, 3.0, 6.0], [0.1, 0.3, 0.2])
        assert (block.numeric_norm, block.coarsest, block.uniform) == (7.0, 0.3, False)
        assert measured([], []).coarsest == 0
        block.climbed[:] = True
        assert (block.reference_norm, block.scale) == (7.0, 10.0)
        block.kinks[[0, 2]] = True
        assert block.kinked.tolist() == [0, 2]

    def test_half_of_some_are_spread_from_the_smallest_claim_to_the_largest(self) -> None:
        claim = np.arange(100.0)[::-1]
        error = np.zeros(100)
        error[[7, 50, 20, 80, 33]] = [5, 4, 3, 2, 1]
        some = [one.index for one in measured(claim, claim + error).some(10)]
        assert some == [7, 50, 20, 80, 33, 99, 75, 25, 0]  # the middle one is there already

    def test_unsettled_ones_are_in_order_of_how_far_off_they_are(self) -> None:
        block = measured(
            [1.0, 1.0, math.nan, 1.0, 1.0, 1.0], [1.5, math.nan, 1.0, 0.0, 1.5, 9.0], math.inf
        )
        block.uncertainty[5] = 0.1
        assert block.unsettled().tolist() == [1, 3, 0, 4]

    def test_what_is_trusted_is_as_good_as_what_climbed(self) -> None:
        block = measured([3.0, 4.0], [30.0, 0.0])
        block.trusted[0] = True
        assert block.weight == pytest.approx(1 / 30)
        assert measured([3.0, 4.0], [30.0, 0.0]).weight == pytest.approx(1 / 5)
        claim = measured([math.nan, 1.0], [2.0, 0.0])
        claim.climbed[:] = True
        assert claim.weight == 0.5
        assert measured([3.0, 4.0], [0.0, 0.0], climbed=np.full(2, True)).weight == 0.2

    def test_a_parameter_given_up_or_cancelled_keeps_what_is_larger(self) -> None:
        block = measured([1.0, -2.0], [1.5, -2.0], [0.75, 0.25], rounding=[0.5, 3.0])
        block.cancel()
        assert block.claim_rounding.tolist() == [1.0, 3.0]
        block.give_up()
        assert block.uncertainty.tolist() == [0.75, 0.25]


class TestPicture:
    @staticmethod
    def of(block: Measured, *, wrong: bool = True) -> View:
        return views_of([block], [wrong])[0]

    @pytest.mark.parametrize(
        "shape", [(3, 4), (48, 48), (500, 300), (7, 1000), (2, 3, 40), (3, 70_000)]
    )
    def test_one_wrong_entry_stays_in_sight_at_its_place(self, shape: tuple[int, ...]) -> None:
        rng = np.random.default_rng(0)
        for _ in range(3):
            claim = np.ones(shape)
            index = tuple(int(rng.integers(n)) for n in shape)
            numeric = claim.copy()
            numeric[index] += 1e-3
            view = self.of(measured(claim, numeric, 1e-9))
            rows, columns = view.shape
            assert (rows, rows * columns) == (shape[0], claim.size)
            height, width = min(rows, 48), min(columns, 48)
            assert [len(row) for row in view.cells] == [width] * height
            row, column = divmod(int(np.ravel_multi_index(index, shape)), columns)
            seen = [
                (i, j)
                for i, cells in enumerate(view.cells)
                for j, cell in enumerate(cells)
                if cell != "."
            ]
            ((i, j),) = seen
            assert i * rows // height <= row < (i + 1) * rows // height
            assert j * columns // width <= column < (j + 1) * columns // width
            assert view.cells[i][j] == letter(1e-3 / 2).upper()

    @pytest.mark.parametrize("size", [5, 192, 193, 100_000])
    def test_a_vector_is_one_row(self, size: int) -> None:
        claim = np.ones(size)
        numeric = claim + 0.5 * (np.arange(size) == size - 2)
        view = self.of(measured(claim, numeric, 1e-9))
        assert view.shape == (1, size) and len(view.cells) == 1
        assert len(view.cells[0]) == min(size, 48 * 4)
        assert view.cells[0].count(".") == len(view.cells[0]) - 1
        typical = 1 + float(np.linalg.norm(numeric)) / math.sqrt(size)
        assert view.cells[0].index(letter(0.5 / typical).upper()) >= len(view.cells[0]) - 2

    def test_letters(self) -> None:
        error = np.array([0.0, 1e-15, 2e-9, 2e-9, 2e-4, 1e-3, 1e-3])
        bar = np.array([0.0, 1.0, 1.0, 1e-12, 1e-6, 1.0, math.nan])
        view = self.of(measured(np.ones(7), 1 - error, bar))
        expected = [".", "a", letter(1e-9), letter(1e-9).upper(), letter(1e-4).upper()]
        assert view.cells == ("".join([*expected, letter(5e-4), "?"]),)
        assert self.of(measured(np.ones(2), [1.0, math.nan])).cells == (".!",)
        assert self.of(measured(np.ones(2), np.ones(2), math.nan)).cells == ("??",)
        beyond = measured([1e-9, 0.0], [1.0, 0.0])
        assert self.of(beyond).cells == ("Z.",)
        beyond.climbed[:] = True  # its measurement counts from now on
        assert self.of(beyond).cells == (letter(1.4).upper() + ".",)

    @pytest.mark.parametrize("length", [1, 5, 48, 49, 100, 1000])
    def test_ranges_cover_a_length_once_and_are_about_equal(self, length: int) -> None:
        found = _bounds(length, 48)
        assert len(found) == min(length, 48)
        assert [i for low, high in found for i in range(low, high)] == list(range(length))
        lengths = {high - low for low, high in found}
        assert max(lengths) - min(lengths) <= 1

    @pytest.mark.parametrize("width", [1, 7, PIECE // 20, PIECE, 2 * PIECE])
    def test_ranges_are_put_together_to_pieces(self, width: int) -> None:
        bounds = _bounds(100, 48)
        found = list(_pieces(bounds, width))
        starts = [low + start for low, _, group in found for start in group]
        assert starts == [low for low, _ in bounds]
        assert [low for low, _, _ in found] == [0, *(high for _, high, _ in found[:-1])]
        assert found[-1][1] == 100
        assert all(group[0] == 0 for _, _, group in found)
        # of two or three rows each
        assert len(found) == math.ceil(48 / max(1, PIECE // (2 * width)))

    def test_a_matrix_has_further_axes_side_by_side(self) -> None:
        shapes = [(), (7,), (3, 4), (3, 1), (2, 3, 4)]
        assert [_as_matrix(s) for s in shapes] == [(1, 1), (1, 7), (3, 4), (3, 1), (2, 12)]

    def test_points_have_three_digits_and_the_wrong_ones_come_first(self) -> None:
        block = measured([8.0, 2.0, 1.0], [8.0, 3.0, 6.0], [0.1, 0.1, 6.0])
        view = self.of(block)
        assert (view.scale, view.wrong) == (8.0, 1)
        assert view.points[0] == (0.25, 0.375)
        assert set(view.points[1:]) == {(1.0, 1.0), (0.125, 0.75)}
        thirds = self.of(measured([1.0, 3.0], [1.0, 3.0], 0.1))
        assert set(thirds.points) == {(0.333, 0.333), (1.0, 1.0)}
        nothing = self.of(measured([0.0], [0.0], 0.1))
        assert (nothing.scale, nothing.points) == (0.0, ((0.0, 0.0),))
        partly = self.of(measured([math.nan, 2.0], [1.0, 2.0], 0.1))
        assert partly.points == ((1.0, 1.0),)
        measured_larger = self.of(measured([1.0], [-4.0], 0.1))
        assert measured_larger.points == ((0.25, -1.0),)

    def test_an_error_of_the_very_size_of_its_bar_is_within_it(self) -> None:
        assert self.of(measured([1.0, 1.0], [0.5, 0.5], [0.5, 0.25])).cells[0][0].islower()
        assert self.of(measured([1.0, 1.0], [0.5, 0.5], [0.5, 0.25])).cells[0][1].isupper()

    @pytest.mark.parametrize(
        ("shape", "wrong", "cells"),
        [
            ((100, 30), False, (24, 24)),
            ((100, 30), True, (48, 30)),
            ((500,), False, (1, 96)),
            ((500,), True, (1, 192)),
            ((1,), False, (1, 1)),
        ],
    )
    def test_of_what_is_alike_all_cells_are(
        self, shape: tuple[int, ...], wrong: bool, cells: tuple[int, int]
    ) -> None:
        claim = np.ones(math.prod(shape))
        for least, letter_ in ((0.0, "."), (0.5, "?")):
            block = Probed(Parameter("W", np.ones(shape)), claim, claim, 1.0, 0.0, least=least)
            (view,) = views_of([block], [wrong])
            assert view.cells == (letter_ * cells[1],) * cells[0]
            assert (view.scale, view.points, view.wrong) == (0.0, (), 0)

    def test_of_entries_measured_by_themselves_so_many_are_points(self) -> None:
        claim = np.arange(1.0, 101.0)
        entries = {
            i: Derivative.smooth(claim[i] - 0.5 * (i < 3), 0.1, 0.1, 1e-3) for i in range(100)
        }
        corrected = np.array([entries[i].value for i in range(100)])
        block = Probed(Parameter("W", np.ones(100)), claim, corrected, 1.0, 0.0, entries=entries)
        for wrong, count in ((True, 64), (False, 24)):
            (view,) = views_of([block], [wrong])
            assert len(view.points) == count and view.wrong == 3
            assert view.scale <= 100

    def test_right_parameters_are_smaller(self) -> None:
        claim = np.ones((100, 100))
        view = self.of(measured(claim, claim + 1e-9, 1e-8), wrong=False)
        assert [len(row) for row in view.cells] == [24] * 24
        assert {cell for row in view.cells for cell in row} == {letter(5e-10)}

    def test_points_are_claims_beside_measurements(self) -> None:
        claim = np.linspace(-2, 1, 300)
        numeric = claim + 0.5 * (np.arange(300) == 100)
        view = self.of(measured(claim, numeric, 1e-6))
        assert view.scale == pytest.approx(2)
        assert view.wrong == 1
        assert view.points[0] == pytest.approx((claim[100] / 2, numeric[100] / 2), abs=1e-3)
        assert 50 < len(view.points) <= 64
        fewer = self.of(measured(claim, claim, 1e-6), wrong=False)
        assert 12 < len(fewer.points) <= 24 and fewer.wrong == 0

    def test_of_many_parameters_the_wrong_ones_and_the_first_others(self) -> None:
        blocks = [measured(np.ones(2), np.ones(2), name=f"p{i}") for i in range(20)]
        blocks[3] = measured(np.zeros((0, 2)), np.zeros((0, 2)), name="p3")
        views = views_of(blocks, [i in (9, 15) for i in range(20)])
        assert [view.parameter for view in views] == ["p0", "p1", "p2", "p4", "p5", "p9", "p15"]


class TestProbed:
    """What is known of a parameter of which few entries were measured."""

    @staticmethod
    def of(
        entries: dict[int, tuple[float, float]], *, rounding: float = 0.0, **more: Any
    ) -> Probed:
        claim = np.array([1.0, 2.0, 3.0, 4.0])
        known = {i: Derivative.smooth(value, bar, bar, 1e-3) for i, (value, bar) in entries.items()}
        corrected = claim.copy()
        corrected[list(known)] = [d.value for d in known.values()]
        parameter = Parameter("W", np.ones(4))
        return Probed(parameter, claim, corrected, 0.1, rounding, entries=known, **more)

    def test_worst_are_furthest_beyond_their_bars_then_furthest_off(self) -> None:
        block = self.of({0: (1.1, 0.5), 1: (2.5, 0.1), 2: (3.3, 0.5), 3: (4.2, 0.1)})
        assert [one.index for one in block.worst(4)] == [1, 3, 2, 0]
        assert [one.index for one in block.some(2)] == [1, 3]
        further_off = self.of({0: (1.6, 0.5), 1: (2.3, 0.01)})
        assert [one.index for one in further_off.worst(2)] == [1, 0]
        assert [one.index for one in block.wrong(1e-2, 0.3)] == []
        assert [one.index for one in self.of({1: (2.5, 0.01)}).wrong(1e-2, 0.3)] == [1]

    def test_limits_of_the_error(self) -> None:
        block = self.of({1: (2.5, 0.1), 3: (4.2, 0.0)}, most=0.3, error=0.2)
        least, error, most = block.error_limits()
        known = math.hypot(0.5, 0.2)
        assert least == pytest.approx(known - 0.1)
        assert error == pytest.approx(math.hypot(known, 0.2))
        assert most == pytest.approx(math.hypot(known + 0.1, 0.3))
        assert self.of({}, most=0.0).error_limits() == (0, 0, 0)
        assert self.of({}, least=0.4, error=0.5, most=0.1).error_limits() == (0.4, 0.5, 0.4)

    def test_of_entries_outside_a_range_nothing_is_said(self) -> None:
        block = self.of({1: (2.5, 0.1)})
        for where in (slice(0, 1), slice(2, 4)):
            error, bar = block.errors(where)
            assert not error.any() and not bar.any()
        error, bar = block.errors(slice(0, 2))
        assert (error.tolist(), bar.tolist()) == ([0.0, 0.5], [0.0, 0.1])

    def test_norms_are_those_of_the_claim_until_it_is_corrected(self) -> None:
        claim = np.array([0.3, 0.4])
        right = Probed(Parameter("W", np.ones(2)), claim, claim, 1.0, 0.0)
        assert right.untouched and right.uniform and right.is_finite
        assert right.numeric_norm == right.reference_norm == pytest.approx(0.5)
        assert right.scale == pytest.approx(1.0) and right.coarsest == math.inf
        assert not (right.negligible or right.undecided or right.told or right.vanishes)
        assert right.first_not_finite() is None
        wrong = Probed(Parameter("W", np.ones(2)), claim, np.array([0.0, 0.1]), 1.0, 0.0)
        assert not wrong.untouched and not wrong.uniform
        assert wrong.numeric_norm == pytest.approx(0.1) and wrong.scale == pytest.approx(0.6)
        wrong.numeric = 0.2  # of what is wrong throughout
        assert wrong.reference_norm == pytest.approx(0.2)
        nan = np.array([math.nan])
        unknown = Probed(Parameter("W", np.ones(1)), nan, nan, 1.0, 0.0)
        assert not unknown.is_finite and not unknown.uniform
        assert not self.of({1: (2.5, 0.1)}).uniform

    def test_kinks_are_those_of_entries_in_order(self) -> None:
        block = self.of(dict.fromkeys((3, 0, 2), (2.0, 0.1)))
        for i in (3, 2):
            block.entries[i] = Derivative(2.0, 0.1, 0.0, 1.5, 2.5)
        assert block.kinked.tolist() == [2, 3] and block.kinked.dtype == np.intp
        assert self.of({}).kinked.tolist() == []
        # of a kink every slope between the two may be claimed
        assert [one.numeric for one in sorted(block.worst(3), key=lambda s: s.index)] == [
            2,
            2.5,
            2.5,
        ]

    def test_where_it_is_told_no_entry_is_told_by_itself(self) -> None:
        block = self.of({1: (2.5, 0.01)})
        assert block.wrong(1e-2, 0.3)
        block.told = True
        assert not block.wrong(1e-2, 0.3) and block.worst(1)

    def test_errors_are_unknown_where_they_are_not_told_apart(self) -> None:
        error, bar = self.of({1: (2.5, 0.1)}).errors(slice(1, 3))
        assert error.tolist() == [0.5, 0.0] and bar.tolist() == [0.1, 0.0]
        error, bar = self.of({1: (2.5, 0.1)}, least=1.0).errors(slice(0, 2))
        assert error.tolist() == [0.0, 0.5]
        assert math.isnan(bar[0]) and bar[1] == 0.1

    def test_rounding_of_a_claim_is_of_the_entry_and_of_typical_ones(self) -> None:
        block = self.of({1: (2.0, 0.1)}, rounding=1e-3)
        typical = math.sqrt((1 + 4 + 9 + 16) / 4)
        expected = [1e-3 * (OWN * claim + COMMON * typical) for claim in (1, 2, 3, 4)]
        assert block.rounding(block.claimed) == pytest.approx(expected)
        assert block.worst(1)[0].bar == pytest.approx(0.1 + expected[1])
        alone = Probed(Parameter("s", np.ones(1)), np.array([-3.0]), np.array([-3.0]), 1.0, 1e-3)
        assert alone.rounding(-3.0) == pytest.approx(1e-3 * (OWN + COMMON) * 3)

    @pytest.mark.parametrize("most", [0.3, math.inf])
    def test_a_zero_but_for_its_rounding(self, most: float) -> None:
        block = self.of({1: (0.0, 0.1)}, most=most, least=0.5, error=0.6)
        block.cancel()
        norm = math.sqrt(30)
        assert block.negligible and not block.entries and block.slopes is None
        assert block.error_limits() == pytest.approx((0.0, norm, norm))
        wide = self.of({}, most=40.0)
        wide.cancel()
        assert wide.error_limits()[2] == 40.0
        claim = np.array([0.3, 0.4])
        small = Probed(Parameter("W", np.ones(2)), claim, claim, 1.0, 0.0, most=most)
        small.cancel()
        assert small.most == pytest.approx(0.5)

    def test_of_one_without_entries_nothing_is_known(self) -> None:
        none = np.zeros(0)
        whole = Probed(Parameter("W", none), none, none, 1.0, 1e-9, most=0.0).as_measured()
        assert whole.uncertainty.size == whole.claim_rounding.size == 0

    @pytest.mark.parametrize("size", [1, 100])
    def test_entries_are_known_as_well_as_the_bound_on_all_says(self, size: int) -> None:
        claim = np.ones(size)
        block = Probed(Parameter("W", np.ones(size)), claim, claim + 1.0, 1.0, 1e-9, most=0.5)
        whole = block.as_measured()
        assert np.array_equal(whole.numeric, claim + 1.0)
        assert np.allclose(whole.claim_rounding, 1e-9 * (OWN + COMMON))
        # four deviations of entries that have an equal part in the bound
        assert whole.uncertainty == pytest.approx(4 * 0.5 / math.sqrt(size))
        assert 0.5 <= norm_bound(np.zeros(size), whole.uncertainty) <= 2.5
        block.most = math.inf
        assert np.all(np.isfinite(block.as_measured().uncertainty))

    def test_slopes_are_those_of_a_gradient_along_the_same_weights(self) -> None:
        gradient, bars = np.array([1.0, -2.0, 3.0]), np.array([0.1, 0.2])
        values = [0.5 * UNIT * float(gradient @ draw(7, row, 2, 3)) for row in (4, 9, 11)]
        slopes = Slopes(7, (4, 9), 2, 0.5, np.array(values[:2]), bars)
        more = slopes.extended((11,), np.array(values[2:]), np.array([0.3]))
        assert more.rows == (4, 9, 11) and more.bars.tolist() == [0.1, 0.2, 0.3]
        assert more.values.tolist() == values
        assert more.of(gradient) == pytest.approx(values)


class TestBelief:
    """The gradient as corrected, and how far readings of it may be off."""

    row = Region.whole(0, (2, 3)).narrowed(0, 0, 1)
    vector = Region.whole(1, (2,))

    @staticmethod
    def of(rounding: float = 1e-16) -> Belief:
        claims = [np.array([3.0, 0.0, 4.0, 0.0, 0.0, 12.0]), np.array([6.0, 8.0])]
        return Belief(claims, [rounding, 2 * rounding], [1 / 13, 1 / 10])

    def test_a_correction_leaves_the_claim_as_it_is(self) -> None:
        belief = self.of()
        assert belief.corrections == 0
        for count in (1, 2):
            belief.correct(self.row, np.array([[1.0, 2.0, 3.0]]), 0.1)
            assert belief.corrections == count
        assert belief.gradient[0].tolist() == [5.0, 4.0, 10.0, 0.0, 0.0, 12.0]
        assert belief.claimed[0].tolist() == [3.0, 0.0, 4.0, 0.0, 0.0, 12.0]
        assert belief.gradient[1] is belief.claimed[1]

    def test_what_was_corrected_is_given_up_where_it_was_found_between_jumps(self) -> None:
        belief = self.of()
        belief.correct(self.row, 1.0, 0.1)
        belief.correct(self.vector, 1.0, 0.1)
        doubt = belief.doubt([self.row])
        belief.restore([1])
        assert belief.gradient[1] is belief.claimed[1] and belief.corrections == 3
        assert belief.gradient[0].tolist() == [4.0, 1.0, 5.0, 0.0, 0.0, 12.0]
        assert belief.doubt([self.vector]) == 0 and belief.doubt([self.row]) == doubt

    def test_a_reading_is_in_doubt_by_what_was_corrected_in_it(self) -> None:
        belief, error = self.of(), 0.1
        belief.correct(self.row, 1.0, error)
        doubt = belief.doubt([self.row])
        largest = math.sqrt(3) * error / 13  # that a weight makes of it
        assert largest <= doubt <= 1.5 * largest
        assert belief.doubt([Region.whole(0, (2, 3)), self.vector]) == pytest.approx(doubt)
        third = doubt / math.sqrt(3)  # spread evenly, so much of it is in a third of the entries
        assert belief.doubt([self.row.narrowed(1, 2, 3)]) == pytest.approx(third)
        assert belief.doubt([self.vector]) == 0
        belief.correct(self.vector, 1.0, 2 * error)
        both = math.hypot(doubt, 2 * doubt * 13 / 10)
        assert belief.doubt([self.row, self.vector]) == pytest.approx(both)

    def test_rounding_of_a_fine_claim_is_that_of_typical_entries(self) -> None:
        bar = 1e-16 * (OWN + COMMON) * math.sqrt(0.5)
        assert self.of().rounding_bar([self.row]) == pytest.approx(bar)
        assert self.of().rounding_bar([self.vector]) == pytest.approx(2e-16 * (OWN + COMMON))

    def test_rounding_of_a_coarse_claim_is_that_of_the_entries_themselves(self) -> None:
        row = 1e-7 * (OWN * 5 / 13 + COMMON * math.sqrt(0.5))
        vector = 2e-7 * (OWN + COMMON)
        assert self.of(1e-7).rounding_bar([self.row]) == pytest.approx(row)
        both = self.of(1e-7).rounding_bar([self.row, self.vector])
        assert both == pytest.approx(math.hypot(row, vector))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_bit_of_a_parameter_counts(dtype: Any) -> None:
    array = np.array([0.0, np.nan, 1.0], dtype)
    parameter, saved = Parameter("W", array), Parameter("W", array).save()
    assert parameter.is_as(saved)
    bits = array.view(f"u{array.itemsize}")
    for i in range(3):
        bits[i] ^= bits.dtype.type(1) << bits.dtype.type(8 * array.itemsize - 1)  # the sign
        assert not parameter.is_as(saved)
        parameter.restore(saved)
        bits[i] ^= bits.dtype.type(1)
        assert not parameter.is_as(saved)
        parameter.restore(saved)
        assert parameter.is_as(saved)

"""The parts of probe mode, each by itself, on inputs small enough to be worked out by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from exact import Exact, off

from pytest_gradcheck import SubjectError
from pytest_gradcheck.core.atoms import Pattern, Readings, _closest, _largest, _sums, _unions
from pytest_gradcheck.core.atoms import entries as explaining
from pytest_gradcheck.core.atoms import pattern as explaining_pattern
from pytest_gradcheck.core.belief import Belief
from pytest_gradcheck.core.certificate import Certificate
from pytest_gradcheck.core.dense import Dense
from pytest_gradcheck.core.direction import Direction
from pytest_gradcheck.core.line import uphill
from pytest_gradcheck.core.locate import Search
from pytest_gradcheck.core.located import Found
from pytest_gradcheck.core.loss import Loss
from pytest_gradcheck.core.parameters import Parameter
from pytest_gradcheck.core.part import Part
from pytest_gradcheck.core.reach import require_reach
from pytest_gradcheck.core.reading import Reading
from pytest_gradcheck.core.region import PIECE, Region, dot, pieces
from pytest_gradcheck.core.single_entries import OutOfBudgetError, SingleEntries
from pytest_gradcheck.core.weights import UNIT, draw, greatest_length, least_length, probes_for


class TestBounds:
    def test_one_probe_does_where_its_bound_is_sixty_times_its_bar_at_most(self) -> None:
        # of one probe, r = risk / 3 * sqrt(6) / 2, and the bound 1 / r of its error bar
        for times, count in ((59.9, 1), (60.1, 2)):
            risk = 3 * 2 / math.sqrt(6) / times
            assert probes_for(1 - risk) == count

    def test_three_looks_share_the_risk(self) -> None:
        risk = 2 * least_length(1, 0.97) / math.sqrt(6)
        assert risk == pytest.approx(0.01)
        q = greatest_length(2, 0.97) ** 2
        assert q / 2 * math.exp((2 - q) / 2) == pytest.approx(0.01)

    def test_nothing_is_in_doubt_where_nothing_was_corrected(self) -> None:
        made = Certificate((), {}, np.array([0.6]), np.array([0.5]), np.zeros(1))
        assert made.doubt == 0 and not made.clean
        assert made.typical == pytest.approx(0.6)


class TestReach:
    """Parameters that the loss does not follow."""

    @staticmethod
    def require(
        theta: Any, claim: Any, loss: Any = lambda x: 1.0, *, zero: bool = False, name: str = "W"
    ) -> list[np.ndarray]:
        """What the parameter was moved to."""
        parameter, seen = Parameter(name, np.array(theta, float)), []

        def at() -> float:
            seen.append(parameter.read())
            return float(loss(parameter.array))

        base = float(loss(parameter.array))
        block = SimpleNamespace(parameter=parameter, claimed=np.array(claim, float))
        point = SimpleNamespace(loss=Loss(at), base=base, may_be_zero=lambda i: zero)
        require_reach([block, block], [1], point)
        return seen

    def test_are_refused_by_name_and_value(self) -> None:
        with pytest.raises(SubjectError, match=r"moving W does not reach the loss: it stays 1\.0 "):
            self.require([2.0], [1.0])
        with pytest.raises(SubjectError, match=r"If the loss does not depend on it, its gradient"):
            self.require([2.0], [1.0])

    @pytest.mark.parametrize(("theta", "size"), [([3.0, -5.0], 5.0), ([0.0, 0.0], 1.0)])
    def test_are_moved_to_both_sides_by_a_thousandth_of_their_size_to_ten_thousand(
        self, theta: list[float], size: float
    ) -> None:
        claim = np.array([1.0, -1.0])
        for part in (1e-3, 0.1, 1.0, 1e4):
            for sign in (1, -1):
                there = np.array(theta) + sign * part * size * uphill(claim)

                def loss(x: np.ndarray, there: np.ndarray = there) -> float:
                    return 1.0 + np.allclose(x, there, rtol=1e-9)

                seen = self.require(theta, claim, loss)
                assert np.allclose(seen[-1], there)
        assert len(seen) == 8  # the last of them

    @pytest.mark.parametrize(("promised", "refused"), [(0.9e-12, False), (1.1e-12, True)])
    def test_are_let_pass_where_the_claim_promises_no_more_than_rounding(
        self, promised: float, refused: bool
    ) -> None:
        (length,) = uphill(np.ones(1))
        claim = [promised / (1e-3 * length)]
        if not refused:
            assert not self.require([1.0], claim)
            return
        with pytest.raises(SubjectError):
            self.require([1.0], claim)
        assert not self.require([1.0], claim, zero=True)

    def test_are_let_pass_where_nothing_is_claimed_of_nothing(self) -> None:
        assert not self.require([1.0], [0.0], lambda x: 0.0)

    def test_all_of_them_are_named(self) -> None:
        blocks = [
            SimpleNamespace(parameter=Parameter(name, np.ones(2)), claimed=np.ones(2))
            for name in ("a", "b", "c")
        ]
        point: Any = SimpleNamespace(loss=Loss(lambda: 0.5), base=0.5, may_be_zero=lambda i: i == 1)
        with pytest.raises(SubjectError, match="moving a, c does not reach"):
            require_reach(blocks, [0, 1, 2], point)
        require_reach(blocks, [], point)


class TestRegions:
    def test_a_scalar_has_one_entry(self) -> None:
        scalar = Region.whole(0, ())
        assert (scalar.size, scalar.flat(0), scalar.index_of(0)) == (1, 0, ())
        assert scalar.entry_at(0) == scalar and not scalar.axes()
        assert scalar.of(np.array([3.0])).shape == ()

    def test_halves_are_equal_or_the_second_is_longer_by_one(self) -> None:
        part = Region.whole(0, (6, 5)).narrowed(0, 2, 6)
        assert [half.ranges[0] for half in part.halves(0)] == [(2, 4), (4, 6)]
        assert [half.ranges[1] for half in part.halves(1)] == [(0, 2), (2, 5)]

    def test_flat_positions_are_those_in_the_parameter(self) -> None:
        part = Region.whole(0, (6, 5)).narrowed(0, 2, 4).narrowed(1, 1, 3)
        assert [part.flat(k) for k in range(4)] == [11, 12, 16, 17]
        assert [part.index_of(k) for k in range(4)] == [(2, 1), (2, 2), (3, 1), (3, 2)]

    def test_axes_are_by_length_and_of_equal_ones_the_first_comes_first(self) -> None:
        assert Region.whole(0, (3, 1, 4, 3, 2)).axes() == [2, 0, 3, 4]

    def test_an_array_of_one_piece_is_taken_as_it_is(self) -> None:
        assert list(pieces(np.zeros(PIECE))) == [...]
        assert list(pieces(np.zeros(()))) == [...]
        assert len(list(pieces(np.zeros(PIECE + 1)))) == 2

    def test_inner_product_of_every_piece(self) -> None:
        values = np.ones((3, PIECE))
        assert dot(values, np.full(values.shape, 2, np.int16)) == 6 * PIECE


class TestDirection:
    """The loss along one row of weights."""

    def test_moves_each_region_by_its_weights_and_puts_it_back(self) -> None:
        arrays = [np.arange(6.0).reshape(2, 3), np.array([-0.0, 5.0])]
        before = [array.tobytes() for array in arrays]
        parameters = [Parameter(f"p{i}", array) for i, array in enumerate(arrays)]
        origin = [p.read() for p in parameters]
        row = Region.whole(0, (2, 3)).narrowed(0, 1, 2)
        column = Region.whole(0, (2, 3)).narrowed(1, 2, 3)
        vector = Region.whole(1, (2,))
        direction = Direction(3, 7, (row, vector), (0.5, 2.0), (column,))
        w = [UNIT * draw(3, 7, block, size).astype(float) for block, size in ((0, 6), (1, 2))]
        v = [0.5 * w[0] * [0, 0, 0, 1, 1, 0], 2.0 * w[1]]
        seen = []

        def loss() -> float:
            seen.append([array.copy() for array in arrays])
            return 4.0

        counted = Loss(loss)
        with direction.through(parameters, origin, counted) as at:
            for t in (1.0, -0.25):
                assert at(t) == 4.0
                for now, theta, step in zip(seen[-1], origin, v, strict=True):
                    assert np.allclose(now.reshape(-1), theta + t * step)
        assert [array.tobytes() for array in arrays] == before
        with (
            pytest.raises(KeyError, match="here"),
            direction.through(parameters, origin, counted) as at,
        ):
            raise KeyError("here", at(1.0))
        assert [array.tobytes() for array in arrays] == before
        gradient = [np.arange(1.0, 7.0), np.array([3.0, -1.0])]
        expected = sum(float(g @ step) for g, step in zip(gradient, v, strict=True))
        assert direction.slope(gradient) == pytest.approx(expected)

    def test_what_rounding_of_narrow_parameters_adds(self) -> None:
        arrays = [np.array([0.1, 0.7], np.float32), np.array([0.3]), np.array([0.9], np.float32)]
        parameters = [Parameter(f"p{i}", array) for i, array in enumerate(arrays)]
        origin = [p.read() for p in parameters]
        regions = tuple(Region.whole(i, array.shape) for i, array in enumerate(arrays))
        direction, t = Direction(1, 2, regions, (0.5, 1.0, 2.0)), 1e-3
        gradient = [np.array([3.0, -2.0]), np.array([1e6]), np.array([7.0])]
        expected = 0.0
        for block, scale in ((0, 0.5), (2, 2.0)):
            w = UNIT * draw(1, 2, block, arrays[block].size).astype(float)
            moved = origin[block] + t * scale * w
            rounded = moved.astype(np.float32).astype(float)
            expected += float(gradient[block] @ (rounded - moved))
        assert expected != 0
        assert direction.rounded(parameters, origin, gradient, t) == pytest.approx(expected)


class TestPart:
    """Readings of a part beside what is believed."""

    def test_errors_are_beliefs_less_readings(self) -> None:
        claim = [np.arange(6.0).reshape(2, 3), [1.0, 2.0]]
        prober = Exact([np.zeros((2, 3)), [1.0, 1.0]], claim, bar=0.25)
        part = prober.part(rows=(3, 8))
        assert part.size == 8
        known = part.compared(prober, [])
        assert list(known.rows) == [3, 8]
        error = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 1.0])
        w = [np.concatenate([draw(5, row, 0, 6), draw(5, row, 1, 2)]) for row in (3, 8)]
        expected = [UNIT * float(error @ v) for v in w]
        assert known.errors == pytest.approx(expected)
        assert known.bars.tolist() == [0.25, 0.25]
        assert part.compared(prober, []) is known

    def test_bars_hold_the_rounding_of_the_claim_and_doubt(self) -> None:
        prober = Exact([np.zeros(4)], [np.ones(4)], bar=0.25, weight=[0.5])
        prober.belief.rounding = [1e-3]
        part = prober.part()
        rounding = prober.belief.rounding_bar(part.regions)
        assert part.compared(prober, []).bars == pytest.approx(0.25 + rounding) and rounding > 0
        prober.belief.correct(Region.whole(0, (4,)), -1.0, 0.1)
        doubt = prober.belief.doubt(part.regions)
        known = part.compared(prober, [])
        assert known.errors == pytest.approx(np.zeros(3)) and doubt > 0
        assert known.bars == pytest.approx(0.25 + rounding + doubt)

    def test_a_further_row_counts(self) -> None:
        prober = Exact([np.zeros(4)], [np.ones(4)])
        part = prober.part(rows=[0])
        assert len(part.compared(prober, []).errors) == 1
        part.readings[1] = Reading(0.0, 0.5)
        assert part.compared(prober, []).bars.tolist() == [1e-9, 0.5]

    def test_what_is_left_out_does_not_count(self) -> None:
        prober = Exact([np.zeros((2, 2))], [off((2, 2), 3)])
        row = prober.whole[0].narrowed(0, 1, 2)
        readings = {0: prober.read(prober.whole, 0, target=0.0, skip=[row])}
        assert Part(prober.whole, readings).compared(prober, [row]).errors.tolist() == [0.0]


class TestAtoms:
    """What alone explains a few readings."""

    def test_indices_of_the_largest(self) -> None:
        assert set(_largest(np.array([1.0, 7.0, 3.0, 5.0]), 3)) == {1, 2, 3}
        assert set(_largest(np.array([7.0, 1.0, 3.0]), 1)) == {0}
        for count in (0, 2, 3):
            assert set(_largest(np.arange(float(count)), 3)) == set(range(count))

    def test_columns_most_nearly_parallel_to_the_readings(self) -> None:
        bars = np.array([0.5, 0.5])
        readings = Readings(range(2), np.array([2.0, 1.0]), bars)
        products = np.array([[1e-3, 0.0, -4.0, 1.0, 2.0], [5e-4, 0.0, -2.1, -2.0, 1.1]])
        assert set(_closest(products, readings)) == {0, 2, 4}
        weighed = Readings(range(2), np.array([2.0, 1.0]), np.array([1e-3, 1.0]))
        products = np.array([[1.0, 0.0, 0.0, 2.0, 3.0], [9.0, 1.0, 2.0, -9.0, 0.0]])
        assert set(_closest(products, weighed)) == {0, 3, 4}  # the sharp reading decides

    @pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
    def test_a_multiple_may_be_of_any_size(self, size: float) -> None:
        errors, bars = np.array([3.0, -2.0, 5.0]), np.full(3, 0.01)
        found = Readings(range(3), errors, bars).explained_by(size * errors)
        assert found == pytest.approx((1 / size, 1.5 * 0.01 * 10 / 38 / size))

    def test_one_mistake_is_often_made_in_all_in_all_matrices_or_in_the_rest(self) -> None:
        a, b, c, d = (Region.whole(i, s) for i, s in enumerate([(2, 3), (3,), (3, 2), ()]))
        assert list(_unions([a, b, c, d])) == [[a, b, c, d], [a, c], [b, d], [a], [b], [c], [d]]
        assert list(_unions([a, b])) == [[a, b], [a], [b]]
        assert list(_unions([b])) == [[b]]
        assert list(_unions([a, c])) == [[a, c], [a], [c]]

    @pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 3, 4), (300, 500), (2, 40_000)])
    def test_products_are_summed_over_all_other_axes(self, shape: tuple[int, ...]) -> None:
        rng = np.random.default_rng(0)
        prober = Exact([np.zeros(shape)], [rng.normal(size=shape)], weight=[0.5])
        source = rng.normal(size=math.prod(shape))
        totals = _sums(prober, prober.whole[0], [4, 9], source)
        assert len(totals) == max(1, len(shape))
        for k, row in enumerate((4, 9)):
            w = draw(5, row, 0, source.size).astype(float)
            product = (0.5 * UNIT * source * w).reshape(shape or (1,))
            for axis, total in enumerate(totals):
                others = tuple(a for a in range(product.ndim) if a != axis)
                assert np.allclose(total[k], product.sum(axis=others))

    def test_products_of_a_part(self) -> None:
        prober = Exact([np.zeros((4, 3))], [np.ones((4, 3))])
        source = np.arange(12.0)
        part = prober.whole[0].narrowed(0, 1, 3)
        w = UNIT * draw(5, 2, 0, 12).astype(float).reshape(4, 3)
        rows, columns = _sums(prober, part, [2], source)
        product = (source.reshape(4, 3) * w)[1:3]
        assert rows[0] == pytest.approx(product.sum(axis=1))
        assert columns[0] == pytest.approx(product.sum(axis=0))

    def test_at_most_four_entries_are_told_where_any_explains(self) -> None:
        prober = Exact([np.zeros((4, 5))], [off((4, 5), 3)])
        part = prober.part()
        known = part.compared(prober, [])
        vague = Readings(known.rows, known.errors, np.array([1e-9, 1e6, 1e6]))
        assert len(explaining(prober, part.regions, vague)) == 4
        ((region, i, error),) = explaining(prober, part.regions, known)
        assert (region, i) == (part.regions[0], 3) and error == pytest.approx(1.0)

    @pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
    def test_an_entry_is_told_in_any_unit(self, unit: float) -> None:
        prober = Exact([np.zeros((4, 5))], [off((4, 5), 13, size=unit)])
        part = prober.part()
        known = part.compared(prober, [])
        readings = Readings(known.rows, known.errors, np.full(3, 1e-4 * unit))
        ((_, i, error),) = explaining(prober, part.regions, readings)
        assert i == 13 and error == pytest.approx(unit)

    def test_a_single_entry_of_a_vector_is_no_pattern(self) -> None:
        prober = Exact([np.ones(6)], [1 + off(6, 2)])
        part = prober.part(range(4))
        assert explaining_pattern(prober, part.regions, part.compared(prober, [])) is None

    def test_rows_in_which_nothing_is_claimed_do_not_hide_the_one_that_is_wrong(self) -> None:
        claim = np.zeros((8, 6))
        claim[5] = np.arange(1.0, 7.0)
        claim[6] = 1.0
        true = claim.copy()
        true[5] /= 2
        prober = Exact([true], [claim])
        part = prober.part(range(4))
        found = explaining_pattern(prober, part.regions, part.compared(prober, []))
        assert found is not None
        assert found.regions == (prober.whole[0].narrowed(0, 5, 6),)
        assert (found.of, found.constant) == ("gradient", pytest.approx(0.5))

    def test_a_large_multiple_of_small_parameters(self) -> None:
        rng = np.random.default_rng(0)
        theta = 1e-12 * rng.normal(size=(6, 5))
        claim = rng.normal(size=(6, 5))
        true = claim.copy()
        true[2] -= 1e12 * theta[2]
        prober = Exact([true], [claim], origin=[theta])
        part = prober.part(range(4))
        found = explaining_pattern(prober, part.regions, part.compared(prober, []))
        assert found is not None
        assert found.regions == (prober.whole[0].narrowed(0, 2, 3),)
        assert (found.of, found.constant) == ("parameter", pytest.approx(1e12, rel=1e-6))


class TestSingleEntries:
    """Entries measured by themselves."""

    @staticmethod
    def of(true: Any, claimed: Any, **more: Any) -> tuple[SingleEntries, Exact]:
        prober = Exact([true], [claimed], **more)
        rng = np.random.default_rng(0)
        return SingleEntries(prober, Found(), target=1e-3, rng=rng), prober

    def test_are_measured_once_relative_to_their_parameter(self) -> None:
        entries, prober = self.of([1.0, 2.0], [1.0, 3.0], weight=[0.25])
        assert entries.measured(0, 1) is entries.measured(0, 1)
        assert prober.entries_ == [(0, 1, pytest.approx(4e-3))]
        assert entries.error(0, 1)[0] == 1.0
        assert entries.error(0, 0)[0] == 0.0

    def test_are_corrected_where_they_are_wrong(self) -> None:
        entries, prober = self.of(np.zeros((2, 2)), [[0.0, 0.5], [0.0, -2.0]], bar=0.5)
        assert not entries.take(0, 1)  # within its error bar
        assert not entries.found.entries and prober.belief.corrections == 0
        assert entries.take(0, 3)
        assert list(entries.found.entries) == [(0, 3)]
        assert prober.belief.gradient[0].tolist() == [0.0, 0.5, 0.0, 0.0]
        entry = Region.whole(0, (2, 2)).entry_at(3)
        by_itself = Belief([np.zeros(4)], [0.0], [1.0])
        by_itself.correct(entry, 0.0, 0.5)
        assert prober.belief.doubt([entry]) == by_itself.doubt([entry]) > 0

    @pytest.mark.parametrize(
        ("expected", "taken"), [(1.0, True), (0.5, True), (1.5, True), (0.49, False), (1.51, False)]
    )
    def test_are_what_was_expected_to_a_half_of_it(self, expected: float, taken: bool) -> None:
        entries, _ = self.of([0.0], [1.0])
        assert entries.take(0, 0, expected) == taken

    def test_that_cannot_be_measured_are_not_wrong(self) -> None:
        entries, _ = self.of([math.nan], [1.0], bar=math.inf)
        assert not entries.take(0, 0)

    def test_are_not_measured_where_nothing_is_left_to_spend(self) -> None:
        entries, prober = self.of([0.0, 0.0], [1.0, 1.0])
        entries.limit = 1
        entries.measured(0, 0)
        with pytest.raises(OutOfBudgetError):
            entries.measured(0, 1)
        with pytest.raises(OutOfBudgetError):
            entries.require_budget()
        assert entries.measured(0, 0).value == 0  # is known
        assert prober.loss.evaluations == 1

    @pytest.mark.parametrize(
        ("wrong", "most", "count"),
        [
            (0, 12, 2),  # of the first two none
            (20, 12, 6),  # of the first six all
            (20, 2, 2),
            (20, 4, 4),
        ],
    )
    def test_are_picked_until_it_is_settled(self, wrong: int, most: int, count: int) -> None:
        entries, prober = self.of(np.zeros(20), off(20, *range(wrong)))
        found, picked = entries.picked(prober.whole[0], most)
        assert picked == count == len(prober.entries_)
        assert found == ([i for _, i, _ in prober.entries_] if wrong else [])
        assert len({i for _, i, _ in prober.entries_}) == count

    def test_are_picked_on_where_some_are_wrong(self) -> None:
        counts = set()
        for seed in range(60):
            claim = off(20, *range(0, 20, 2))
            prober = Exact([np.zeros(20)], [claim])
            rng = np.random.default_rng(seed)
            entries = SingleEntries(prober, Found(), target=1.0, rng=rng)
            found, picked = entries.picked(prober.whole[0], 12)
            order = [i for _, i, _ in prober.entries_]
            assert found == [i for i in order if claim[i]] and len(order) == picked
            first, six = int(sum(claim[order[:2]])), int(sum(claim[order[:6]]))
            settled = 2 if first == 0 else 6 if six in (1, 6) else 12
            assert picked == settled
            counts.add(picked)
        assert counts == {2, 6, 12}

    def test_of_a_short_part_all_are_picked_but_the_known_one(self) -> None:
        entries, prober = self.of(np.zeros((2, 3)), np.ones((2, 3)))
        row = prober.whole[0].narrowed(0, 1, 2)
        assert sorted(entries.picked(row, 9)[0]) == [3, 4, 5]
        for _ in range(20):
            wrong, count = entries.picked(row, 2, beside=4)
            assert sorted(wrong) == [3, 5] and count == 2
            assert len(entries.picked(row, 1, beside=4)[0]) == 1

    def test_an_entry_within_its_error_bar_is_not_wrong(self) -> None:
        entries, prober = self.of(np.zeros(2), [0.5, 0.75], bar=0.5)
        assert entries.picked(prober.whole[0], 2) == ([1], 2)


class Scripted(SingleEntries):
    """Entries of which so many are picked, and the first of them are wrong."""

    picks: list[tuple[int, int]]

    def picked(
        self, region: Region, most: int, *, beside: int | None = None
    ) -> tuple[list[int], int]:
        self.asked = [*getattr(self, "asked", []), (region, most, beside)]
        wrong, count = self.picks.pop(0)
        return [region.flat(k) for k in range(wrong)], count


class TestDense:
    """Parts that are wrong throughout."""

    @staticmethod
    def of(shape: Any, *picks: tuple[int, int], claim: Any = None) -> tuple[Dense, Scripted, Exact]:
        prober = Exact([np.zeros(shape)] * 4, [np.ones(shape) if claim is None else claim] * 4)
        rng = np.random.default_rng(0)
        entries = Scripted(prober, Found(), target=1e-3, rng=rng)
        entries.picks = list(picks)
        return Dense(entries), entries, prober

    @pytest.mark.parametrize(
        ("wrong", "count", "dense"),
        [(6, 6, True), (9, 12, True), (12, 12, True), (8, 12, False), (1, 6, False), (0, 2, False)],
    )
    def test_most_of_what_was_picked_is_wrong(self, wrong: int, count: int, dense: bool) -> None:
        dense_, entries, prober = self.of(100, (wrong, count))
        part = prober.part(regions=prober.whole[1:2])
        assert dense_.is_throughout(part) == dense
        assert entries.asked == [(prober.whole[1], 12, None)]
        assert set(dense_.found.entries) == {(1, i) for i in range(wrong)}
        if dense:
            (noted,) = dense_.found.throughout
            assert (noted.region, noted.wrong, noted.picked) == (prober.whole[1], wrong, count)
            assert noted.readings.errors == pytest.approx(part.compared(prober, []).errors)
            assert noted.slopes.tolist() == [r.value for r in part.readings.values()]
            assert prober.belief.corrections == 0
        else:
            assert not dense_.found.throughout
            assert np.sum(prober.belief.gradient[1] == 0) == wrong  # corrected

    @pytest.mark.parametrize(("size", "wholly"), [(64, True), (65, False)])
    def test_a_small_part_some_of_which_is_right_is_measured_wholly(
        self, size: int, wholly: bool
    ) -> None:
        claim = np.ones(size)
        claim[7] = 0
        dense, _, prober = self.of(size, (9, 12), claim=claim)
        assert dense.is_throughout(prober.part(regions=prober.whole[:1]))
        assert len(dense.found.throughout) == (not wholly)
        assert len(dense.found.entries) == (size - 1 if wholly else 9)
        alike, _, prober = self.of(size, (6, 6))
        assert alike.is_throughout(prober.part(regions=prober.whole[:1]))
        assert len(alike.found.throughout) == 1

    def test_of_many_parameters_that_are_wrong_the_next_is_glanced_at(self) -> None:
        for blocks, size, many in ((2, 7, False), (3, 7, True), (3, 6, False)):
            dense, entries, prober = self.of(size, (1, 2))
            for region in prober.whole[:blocks]:
                dense.found.complete.append(region)
            assert dense.is_one_of_many(prober.part(regions=prober.whole[3:])) == many
            assert getattr(entries, "asked", []) == ([(prober.whole[3], 2, None)] if many else [])
            assert [(t.wrong, t.picked) for t in dense.found.throughout] == [(1, 2)] * many

    @pytest.mark.parametrize(
        ("picks", "axis", "asked"),
        [([(2, 2)], 0, 1), ([(1, 2), (2, 2)], 1, 2), ([(1, 2), (1, 2)], None, 2)],
    )
    def test_rows_and_columns_through_a_wrong_entry(
        self, picks: list[tuple[int, int]], axis: int | None, asked: int
    ) -> None:
        dense, entries, prober = self.of((5, 6), *picks)
        entry = prober.whole[2].entry_at(15)
        assert dense.is_in_wrong_slice(entry) == (axis is not None)
        assert dense.slices == {2: axis}
        through = [prober.whole[2].narrowed(0, 2, 3), prober.whole[2].narrowed(1, 3, 4)]
        assert entries.asked == [(region, 2, 15) for region in through[:asked]]
        assert not dense.is_in_wrong_slice(entry)  # is asked once
        assert len(entries.asked) == asked

    @pytest.mark.parametrize("shape", [(2, 6), (6, 2), (2, 2, 1)])
    def test_two_rows_are_rows(self, shape: tuple[int, ...]) -> None:
        dense, entries, prober = self.of(shape, (1, 2), (1, 2))
        assert not dense.is_in_wrong_slice(prober.whole[0].entry_at(0))
        assert len(entries.asked) == 2

    @pytest.mark.parametrize("shape", [(6,), (6, 1), (1, 6)])
    def test_a_vector_has_no_rows(self, shape: tuple[int, ...]) -> None:
        dense, _, prober = self.of(shape, (2, 2))
        assert not dense.is_in_wrong_slice(prober.whole[0].entry_at(2))
        assert not dense.slices

    def test_of_a_part_measured_wholly_all_may_be_wrong(self) -> None:
        for claim, all_wrong in ((np.ones((2, 3)), True), (off((2, 3), 0, 4, 5), False)):
            dense, _, prober = self.of((2, 3), claim=claim)
            row = prober.whole[1].narrowed(0, 1, 2)
            dense.measure_wholly(row)
            assert [(b, i) for b, i, _ in prober.entries_] == [(1, 3), (1, 4), (1, 5)]
            assert dense.found.complete == ([row] if all_wrong else [])
            assert np.all(row.of(prober.belief.gradient[1]) == 0)


class TestSearching:
    """The steps of a search, by what they measure."""

    @staticmethod
    def of(
        true: Sequence[Any], claimed: Sequence[Any], *, target: float = 1e-6, **more: Any
    ) -> tuple[Search, Exact]:
        prober = Exact(true, claimed, **more)
        rng = np.random.default_rng(0)
        return Search(prober, target=target, rows=itertools.count(10), rng=rng), prober

    def test_a_reading_at_its_very_bar_is_explained_by_it(self) -> None:
        search, prober = self.of([np.zeros(4)], [np.zeros(4)])
        for value, dirty in ((0.5, False), (-0.5, False), (0.75, True), (-0.75, True)):
            part = Part(prober.whole, {0: Reading(0.0, 0.5), 1: Reading(value, 0.5)})
            assert search.is_dirty(part) == dirty

    @pytest.mark.parametrize(("target", "bar"), [(1e-6, 1e-9), (1e-2, 1e-9), (1e-6, 5e-3)])
    def test_is_as_sharp_as_the_discrepancy_asks_for(self, target: float, bar: float) -> None:
        true = np.arange(400.0)
        search, prober = self.of([true], [true + off(400, 3, 310)], target=target)
        part = prober.part()
        for row, times in zip((0, 1, 2), (1, 3, 2), strict=True):
            part.readings[row] = Reading(part.readings[row].value, times * bar)
        size = float(np.sqrt(np.mean(part.compared(prober, []).errors ** 2)))
        search.run(part, limit=math.inf)
        assert prober.read_
        for _, _, goal in prober.read_:
            assert goal == pytest.approx(max(3e-4 * size, target, bar))
        assert set(search.found.entries) == {(0, 3), (0, 310)}

    def test_one_entry_is_known_from_the_readings(self) -> None:
        for i in (0, 57, 99):
            search, prober = self.of([np.zeros((5, 20)), [0.0]], [off((5, 20), i), [0.0]])
            search.run(prober.part(), limit=math.inf)
            assert set(search.found.entries) == {(0, i)}
            assert not prober.read_ and len(prober.entries_) == 1

    @pytest.mark.parametrize("bars", [(1e-9, 1e-9), (1e-9, 1e-9, math.inf)])
    def test_three_readings_are_needed_for_that(self, bars: tuple[float, ...]) -> None:
        search, prober = self.of([np.zeros(100)], [off(100, 57)])
        part = prober.part(range(len(bars)))
        for row, bar in enumerate(bars):
            part.readings[row] = Reading(part.readings[row].value, bar)
        assert not search._explained(part)
        assert not prober.read_ and not prober.entries_

    def test_more_rows_are_read_where_too_many_entries_explain_the_first(self) -> None:
        search, prober = self.of([np.zeros(3000)], [off(3000, 57)], bar=1e-3)
        part = prober.part()
        for row in (1, 2):
            part.readings[row] = Reading(part.readings[row].value, 0.3)
        before = len(explaining(prober, part.regions, part.compared(prober, [])))
        assert before == 4
        search._goal = 1e-5
        assert search._explained(part)
        assert set(search.found.entries) == {(0, 57)}
        assert [(row, goal) for _, row, goal in prober.read_] == [
            (10 + k, 1e-5) for k in range(len(prober.read_))
        ]
        assert list(part.readings) == [0, 1, 2, *(row for _, row, _ in prober.read_)]
        assert 1 <= len(prober.read_) <= 2 and len(prober.entries_) <= 3

    def test_a_part_of_one_entry_is_measured(self) -> None:
        search, prober = self.of([[0.0, 0.0]], [[0.0, 1.0]])
        part = prober.part([0], [prober.whole[0].narrowed(0, 1, 2)])
        search.run(part, limit=math.inf)
        assert set(search.found.entries) == {(0, 1)} and not prober.read_
        assert not search.found.whole

    @pytest.mark.parametrize("size", [3, 4])
    def test_up_to_three_entries_that_may_be_the_one_are_measured(self, size: int) -> None:
        true = np.arange(5.0, 5 + size)
        search, prober = self.of([true], [true + off(size, 1)])
        part = prober.part()
        for row in (1, 2):
            part.readings[row] = Reading(part.readings[row].value, 1e3)
        assert search._explained(part)
        assert set(search.found.entries) == {(0, 1)}
        assert len(prober.read_) == (0 if size == 3 else 1)

    def test_halves_of_several_regions_are_the_first_ones_and_the_others(self) -> None:
        search, prober = self.of([np.zeros(8)] * 5, [off(8, 1, 5)] * 5)
        part = prober.part(range(4))
        first, second = search._divided(part)
        assert first.regions == prober.whole[:2] and second.regions == prober.whole[2:]
        assert [row for _, row, _ in prober.read_] == [0, 1, 2]  # a fourth is not divided
        assert all(regions == first.regions for regions, _, _ in prober.read_)
        for half in (first, second):
            assert list(half.readings) == [0, 1, 2] and not half.sparse
            known = half.compared(prober, [])
            slopes = [prober.expected(half.regions, row) for row in range(3)]
            assert known.errors == pytest.approx(slopes)  # of the claim: the true one is zero
        assert known.bars == pytest.approx(2e-9)  # of the whole, and of the other half

    @pytest.mark.parametrize("wrong", [0, 1])
    def test_a_half_that_is_right_is_left_and_need_not_be_read_again(self, wrong: int) -> None:
        claim = [np.arange(1.0, 9.0), np.arange(1.0, 9.0)]
        true = [g.copy() for g in claim]
        true[wrong][[1, 5]] = 0.0
        search, prober = self.of(true, claim)
        (half,) = search._divided(prober.part(range(4)))
        assert half.regions == (prober.whole[wrong],) and not half.sparse
        assert len(prober.read_) == 1
        assert sorted(half.readings) == [0, 1, 2, 3]
        errors = half.compared(prober, []).errors
        expected = [
            UNIT * float((claim[wrong] - true[wrong]) @ draw(5, row, wrong, 8)) for row in range(4)
        ]
        assert errors == pytest.approx(np.array(expected)[list(half.readings)])
        bars = [half.readings[row].bar for row in range(4)]
        if wrong:  # of the whole and of the half that was measured, or believed
            assert bars == pytest.approx([2e-9] * 4)
        else:
            assert bars == pytest.approx([1e-9, 3e-9, 3e-9, 3e-9])

    def test_nothing_is_left_of_halves_that_are_both_right(self) -> None:
        search, prober = self.of([np.zeros(8)] * 2, [np.zeros(8)] * 2)
        assert search._divided(prober.part()) == []

    def test_a_parameter_is_halved_along_the_axis_that_tells_most(self) -> None:
        true = np.zeros((20, 30))
        claim = off((20, 30), 5 * 30 + 3, 15 * 30 + 4)  # of the columns one half is right
        search, prober = self.of([true], [claim])
        (half,) = search._divided(prober.part())
        assert half.regions == (prober.whole[0].narrowed(1, 0, 15),)
        claim = off((20, 30), 5 * 30 + 3, 5 * 30 + 25)  # of the rows
        search, prober = self.of([true], [claim])
        (half,) = search._divided(prober.part())
        assert half.regions == (prober.whole[0].narrowed(0, 0, 10),)
        assert [regions[0].ranges for regions, _, _ in prober.read_] == [
            ((0, 20), (0, 15)),
            ((0, 10), (0, 30)),
        ]

    def test_where_no_axis_tells_entries_are_picked_and_the_part_is_sparse(self) -> None:
        claim = off((20, 30), 5 * 30 + 3, 15 * 30 + 25)
        search, prober = self.of([np.zeros((20, 30))], [claim])
        halves = search._divided(prober.part())
        assert [half.regions for half in halves] == [
            (prober.whole[0].narrowed(1, 0, 15),),
            (prober.whole[0].narrowed(1, 15, 30),),
        ]
        assert all(half.sparse for half in halves)
        assert len(prober.entries_) == 2  # picked at random, and right
        read = [(regions, row) for regions, row, _ in prober.read_]
        assert len(read) == len(set(read)) == 4  # a half along each axis, and one in two more rows
        further = search._divided(halves[0])
        assert len(prober.entries_) == 2
        assert [half.sparse for half in further] == [True]

    @pytest.mark.parametrize(("size", "wholly"), [(32, True), (33, False)])
    def test_a_small_part_is_measured_wholly(self, size: int, wholly: bool) -> None:
        search, prober = self.of([np.zeros(size)], [off(size, 1, 30)])
        halves = search._divided(prober.part())
        assert len(prober.entries_) == (size if wholly else 2)
        assert set(search.found.entries) == ({(0, 1), (0, 30)} if wholly else set())
        assert len(halves) == (0 if wholly else 2)

    def test_a_part_in_which_all_picked_are_wrong_is_wrong_throughout(self) -> None:
        rng = np.random.default_rng(3)
        claim = rng.uniform(1, 2, (20, 30))
        search, prober = self.of([np.zeros((20, 30))], [claim], origin=[rng.normal(size=(20, 30))])
        prober.belief.claimed = [rng.normal(size=600)]  # of no use as a pattern
        search.run(prober.part(), limit=math.inf)
        (wrong,) = search.found.throughout
        assert wrong.region == prober.whole[0] and (wrong.wrong, wrong.picked) == (6, 6)
        assert len(prober.entries_) == 6

    @pytest.mark.parametrize("seed", range(8))
    def test_what_is_wrong_is_found_and_nothing_else(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        shapes = [(12, 9), (30,), (4, 5, 6), ()]
        true = [rng.normal(size=shape) for shape in shapes]
        claim = [np.array(g) for g in true]
        wrong = {
            (int(b), int(rng.integers(claim[b].size))) for b in rng.integers(0, 4, 1 + seed // 2)
        }
        for b, i in wrong:
            claim[b].reshape(-1)[i] += rng.normal()
        search, prober = self.of(true, claim)
        search.run(prober.part(), limit=math.inf)
        assert set(search.found.entries) == wrong and not search.exhausted
        for believed, g in zip(prober.belief.gradient, prober.true, strict=True):
            assert np.allclose(believed, g)
        assert prober.loss.evaluations <= 40 * len(wrong)

    def test_ends_where_nothing_is_left_to_spend_and_says_what_is_left(self) -> None:
        claim = [off((20, 30), 37, 455), off(40, 7, 31)]
        search, prober = self.of([np.zeros((20, 30)), np.zeros(40)], claim)
        search.run(prober.part(), limit=2)
        assert search.exhausted and prober.loss.evaluations == 2
        assert search.found.left == list(prober.whole)
        assert not search._heap

    def test_the_heaviest_part_comes_first(self) -> None:
        true = [np.zeros(8)] * 3
        search, prober = self.of(true, [off(8, 2, size=s) for s in (1e-3, 1.0, 1e-2)])
        for region in prober.whole:
            search._push(prober.part(regions=[region]))
        search.run(prober.part(regions=prober.whole[:1]), limit=math.inf)
        assert list(dict.fromkeys(b for b, _, _ in prober.entries_)) == [1, 2, 0]

    def test_a_sparse_part_is_halved_along_its_longest_axis_alone(self) -> None:
        claim = off((6, 20), 3, 15)  # of the rows one half is right
        search, prober = self.of([np.zeros((6, 20))], [claim])
        part = replace(prober.part(), sparse=True)
        halves = search._divided(part)
        assert [half.regions[0].ranges for half in halves] == [
            ((0, 6), (0, 10)),
            ((0, 6), (10, 20)),
        ]
        assert [(regions[0].ranges, row) for regions, row, _ in prober.read_] == [
            (((0, 6), (0, 10)), row) for row in range(3)
        ]
        assert not prober.entries_

    def test_two_wrong_rows_are_taken_apart(self) -> None:
        search, prober = self.of([np.zeros((6, 200))], [off((6, 200), 3, 230)])
        search.dense.slices[0] = 0
        part = prober.part(regions=[prober.whole[0].narrowed(0, 0, 2)])
        halves = search._divided(part)
        assert [half.regions[0].ranges[0] for half in halves] == [(0, 1), (1, 2)]
        assert not prober.entries_

    def test_where_one_entry_of_a_row_is_wrong_the_row_is_looked_at(self) -> None:
        true = np.random.default_rng(0).normal(size=(6, 20))
        claim = true.copy()
        claim[2] += np.random.default_rng(1).uniform(1, 2, 20)
        search, prober = self.of([true], [claim])
        entry = prober.part([0], [prober.whole[0].entry_at(45)])
        search._push(entry)
        search._push(prober.part([0], [prober.whole[0].entry_at(41)]))
        search._examine(entry)
        assert search.dense.slices == {0: 0} and not search._heap

    def test_in_a_parameter_with_wrong_rows_these_stay_whole(self) -> None:
        search, prober = self.of([np.zeros((20, 30))], [off((20, 30), 37, 455)])
        search.dense.slices[0] = 0
        first, second = search._divided(prober.part())
        assert [half.regions[0].ranges for half in (first, second)] == [
            ((0, 10), (0, 30)),
            ((10, 20), (0, 30)),
        ]
        claim = off((2, 300), 300 + 2, 300 + 250)
        search, prober = self.of([np.zeros((2, 300))], [claim])
        search.dense.slices[0] = 0
        row = prober.part(regions=[prober.whole[0].narrowed(0, 1, 2)])
        halves = search._divided(row)
        assert len(prober.entries_) == 2  # picked, and right: so the row is not wrong throughout
        assert [half.regions[0].ranges[1] for half in halves] == [(0, 150), (150, 300)]
        assert all(half.sparse for half in halves)
        further = search._divided(halves[0])  # is halved as any other from here on
        assert [half.sparse for half in further] == [True] and len(prober.entries_) == 2


class TestPatterns:
    """Multiples of something known, borne out by examples."""

    THETA = np.arange(1.0, 61.0).reshape(3, 20)

    def of(self, true: Any, claimed: Any, **more: Any) -> tuple[Search, Exact]:
        return TestSearching.of(true, claimed, **more)

    def test_three_of_the_largest_entries_bear_it_out(self) -> None:
        claim = self.THETA.copy()
        true = claim.copy()
        true[1] /= 2
        search, prober = self.of([true], [claim])
        search.run(prober.part(), limit=math.inf)
        (found,) = search.found.patterns
        assert found.regions == (prober.whole[0].narrowed(0, 1, 2),)
        assert set(search.found.entries) == {(0, 39), (0, 38), (0, 37)}
        assert prober.loss.evaluations == 3
        assert np.allclose(prober.belief.gradient[0], true.reshape(-1))
        doubt = prober.belief.doubt(found.regions)
        norm = float(np.linalg.norm(true[1]))  # as large as the error
        assert doubt == pytest.approx(2 * norm * found.uncertainty / found.constant)

    @pytest.mark.parametrize(("blocks", "each"), [(1, 3), (2, 2), (3, 1), (5, 1)])
    def test_they_are_shared_out_among_parameters(self, blocks: int, each: int) -> None:
        claim = [self.THETA] * blocks
        search, prober = self.of([g / 2 for g in claim], claim)
        assert search._take_pattern(Pattern(prober.whole, "gradient", 0.5, 1e-9))
        assert set(search.found.entries) == {
            (b, 59 - k) for b in range(blocks) for k in range(each)
        }
        assert len(search.found.patterns) == 1

    @pytest.mark.parametrize(
        ("off_by", "bar", "taken"),
        [
            (2e-4, 1e-9, True),
            (4e-4, 1e-9, False),
            (-2e-4, 1e-9, True),
            (-4e-4, 1e-9, False),
            (1e-3, 0.05, True),  # within the error bar
            (0.0, 31.0, False),  # of which too little is left to be seen
        ],
    )
    def test_they_are_as_expected(self, off_by: float, bar: float, taken: bool) -> None:
        search, prober = self.of([self.THETA * (1 - 0.5 * (1 + off_by))], [self.THETA], bar=bar)
        pattern = Pattern(prober.whole, "gradient", 0.5, 1e-9)
        assert search._take_pattern(pattern) == taken
        assert search.found.patterns == ([pattern] if taken else [])
        assert prober.belief.corrections == taken

    def test_of_the_parameters(self) -> None:
        rng = np.random.default_rng(0)
        claim = rng.normal(size=(3, 20))
        search, prober = self.of([claim - 0.25 * self.THETA], [claim], origin=[self.THETA])
        assert search._take_pattern(Pattern(prober.whole, "parameter", 0.25, 1e-9))
        assert np.allclose(prober.belief.gradient[0], prober.true[0])
        assert set(search.found.entries) == {(0, 57), (0, 58), (0, 59)}

    @pytest.mark.parametrize(("count", "by_one"), [(32, True), (33, False), (60, False)])
    def test_a_few_entries_of_a_sparse_part_are_measured_one_by_one(
        self, count: int, by_one: bool
    ) -> None:
        claim = self.THETA * (np.arange(60).reshape(3, 20) < count)
        search, prober = self.of([claim / 2], [claim])
        assert search._take_pattern(Pattern(prober.whole, "gradient", 0.5, 1e-9))
        assert len(search.found.entries) == (count if by_one else 3)
        assert len(search.found.patterns) == (not by_one)
        assert np.allclose(prober.belief.gradient[0], prober.true[0])

    def test_a_short_row_without_zeros_is_told_as_that_row(self) -> None:
        search, prober = self.of([[1.0, 2.0, 3.0]], [[2.0, 4.0, 6.0]])
        assert search._take_pattern(Pattern(prober.whole, "gradient", 0.5, 1e-9))
        assert len(search.found.patterns) == 1

    def test_of_a_sparse_part_that_is_right_nothing_is_found(self) -> None:
        claim = off((3, 20), 4, 5)
        search, prober = self.of([claim], [claim])
        assert not search._take_pattern(Pattern(prober.whole, "gradient", 0.5, 1e-9))
        assert len(prober.entries_) == 2

"""How many probes are made, how sharp, and what is noted of them: with probes that are exact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from exact import Exact, off

from pytest_gradcheck.core import probing as module
from pytest_gradcheck.core.atoms import Readings
from pytest_gradcheck.core.certificate import Certificate
from pytest_gradcheck.core.derivative import Derivative
from pytest_gradcheck.core.located import Found, Throughout
from pytest_gradcheck.core.probed import Slopes
from pytest_gradcheck.core.probing import Probing, _fits_zero
from pytest_gradcheck.core.reading import Reading
from pytest_gradcheck.core.region import Region
from pytest_gradcheck.core.weights import UNIT, draw, greatest_length, least_length, spread

TOL, WARN, FAIL, SURE = 1e-7, 1e-5, 1e-3, 1 - 1e-6
PROBES, MOST, ROWS = 4, 16, 3
"""Probes that so much confidence asks for, those that are made where their bound is not sharp, and
those by which a contradiction is searched."""


class Scripted(Exact):
    """Exact probes with error bars, and kinks, by the order in which they are made."""

    script: Sequence[float] = ()
    kinks: Sequence[int] = ()

    def read(self, regions: Any, row: int, *, target: float, **more: Any) -> Reading:
        i = len(self.read_)
        self.asked = [*getattr(self, "asked", []), more.get("enough", math.inf)]
        reading = super().read(regions, row, target=target, **more)
        bar = self.script[i] if i < len(self.script) else self.bar
        noise = bar / 2 if math.isfinite(bar) else 0.0
        return Reading(reading.value, bar, noise, i in self.kinks)

    def look_ahead(self, regions: Any, rows: Any, skip: Any = ()) -> None:
        self.ahead = [*getattr(self, "ahead", []), (len(self.read_), list(rows))]


def made(
    true: Sequence[Any], claimed: Sequence[Any], *, limit: int | None = None, **more: Any
) -> tuple[Probing, Scripted]:
    """Steps whose probes and entries are exact."""
    prober = Scripted(true, claimed, **more)
    steps = Probing(
        prober.parameters,
        prober.loss,
        prober.belief.claimed,
        origin=prober.origin,
        rounding=prober.belief.rounding,
        base=0.0,
        jitter=0.0,
        tol=TOL,
        warn=WARN,
        fail=FAIL,
        confidence=SURE,
        limit=limit,
        seed=5,
    )
    prober.weight = prober.belief.weight = steps.prober.weight
    steps.prober = steps.how_wrong.prober = steps.certifier.prober = prober
    prober.loss.evaluations = 0
    return steps, prober


class TestProbes:
    def test_are_as_many_as_the_confidence_asks_for(self) -> None:
        steps, prober = made([np.arange(9.0)], [np.arange(9.0)])
        found = steps.certifier.probe(prober.whole, Found(), math.inf)
        assert len(found.readings) == PROBES and found.clean
        assert len(set(found.readings)) == PROBES  # rows
        assert found.errors == pytest.approx(np.zeros(PROBES), abs=1e-12)
        assert found.bars.tolist() == [1e-9] * PROBES
        assert found.noise.tolist() == [5e-10] * PROBES and found.doubt == 0
        assert not steps.kinked and not steps.findings
        again = steps.certifier.probe(prober.whole, Found(), math.inf)
        assert not set(found.readings) & set(again.readings)

    def test_are_fewer_where_they_contradict_the_claim_unless_they_are_patient(self) -> None:
        for patient, count in ((False, ROWS), (True, MOST)):
            steps, prober = made([np.ones(9)], [1.5 * np.ones(9)])
            found = steps.certifier.probe(prober.whole, Found(), math.inf, patient=patient)
            assert len(found.readings) == count and not found.clean
            w = [UNIT * draw(5, row, 0, 9).astype(float).sum() for row in found.readings]
            assert found.errors == pytest.approx(0.5 / 4.5 * np.array(w))  # of a norm of 4.5

    def test_what_others_found_wrong_throughout_is_left_out(self) -> None:
        steps, prober = made([np.ones((2, 3))], [1 + off((2, 3), 4)])
        row = prober.whole[0].narrowed(0, 1, 2)
        readings = Readings([], np.zeros(0), np.zeros(0))
        found = Found(throughout=[Throughout(row, readings, np.zeros(0), 6, 6)])
        assert steps.certifier.probe(prober.whole, found, math.inf).clean
        assert not steps.certifier.probe(prober.whole, Found(), math.inf).clean

    def test_bars_hold_rounding_and_doubt(self) -> None:
        steps, prober = made([np.ones(4)], [np.ones(4)])
        prober.belief.rounding = [1e-4]
        prober.belief.correct(prober.whole[0], 0.0, 1e-3)
        found = steps.certifier.probe(prober.whole, Found(), math.inf)
        assert found.bars == pytest.approx(1e-9 + prober.belief.rounding_bar(prober.whole))
        assert found.doubt == prober.belief.doubt(prober.whole) > 0

    @pytest.mark.parametrize(
        ("bars", "goals"),
        [
            ([5e-10] * 4, [TOL / 30] * 4),
            ([1e-8] * 4, [TOL / 30, 4e-8, 4e-8, 4e-8]),
            ([1e-8, 1e-6, 1e-6, 1e-6], [TOL / 30, 4e-8, 5.05e-7, 1e-6]),
            ([1e-6, 1e-8, 1e-7, 1e-7], [TOL / 30, 4e-6, 5.05e-7, 1e-7]),
        ],
    )
    def test_later_ones_need_be_no_sharper_than_the_others(
        self, bars: list[float], goals: list[float]
    ) -> None:
        steps, prober = made([np.arange(9.0)], [np.arange(9.0)])
        prober.script = bars
        steps.certifier.probe(prober.whole, Found(), math.inf)
        assert [goal for _, _, goal in prober.read_[:PROBES]] == pytest.approx(goals)

    def test_the_sharpest_so_far_counts_for_the_next_ones_as_well(self) -> None:
        steps, prober = made([np.arange(9.0)], [np.arange(9.0)], bar=1e-7)
        steps.certifier.probe(prober.whole, Found(), math.inf)
        assert steps.certifier.sharpest == 1e-7
        first = len(prober.read_)
        steps.certifier.probe(prober.whole, Found(), math.inf)
        assert prober.read_[first][2] == pytest.approx(4e-7)

    def test_a_kink_ends_them(self) -> None:
        steps, prober = made([np.ones(9)], [np.ones(9)])
        prober.kinks = [1]
        found = steps.certifier.probe(prober.whole, Found(), math.inf, patient=True)
        assert steps.kinked and len(found.readings) == 2

    def test_what_cannot_be_measured_ends_them_and_is_told(self) -> None:
        steps, prober = made([np.ones(3), np.ones(2)], [np.ones(3), np.ones(2)])
        prober.script = [1e-9, math.inf]
        found = steps.certifier.probe(prober.whole, Found(), math.inf)
        assert len(found.readings) == 2 and found.clean
        steps._record(prober.whole, found, Found())
        (finding,) = steps.findings
        assert (finding.name, finding.where) == ("unprobed", ("p0", "p1"))
        assert finding.message.startswith("p0, p1 cannot be probed: the loss is not finite")
        assert finding.message.endswith('mode="exhaustive"')

    def test_what_will_surely_be_asked_is_told_ahead(self) -> None:
        for factor, count in ((1.0, PROBES), (1.5, ROWS)):
            steps, prober = made([np.ones(9)], [factor * np.ones(9)])
            found = steps.certifier.probe(prober.whole, Found(), math.inf)
            assert prober.ahead == [(1, list(found.readings)[1:count])]  # after the first

    @pytest.mark.parametrize("sharp", [0.29, 0.31, 0.8, 1e3])
    def test_are_more_where_the_bound_is_not_sharp(self, sharp: float) -> None:
        """A bound of `sharp` times `warn` by the first four."""
        bar = 2 * sharp * WARN / spread(PROBES, SURE)
        errors, bars = np.zeros(PROBES), np.full(PROBES, bar)
        steps, prober = made([np.arange(9.0)], [np.arange(9.0)])
        readings = dict.fromkeys(range(PROBES), Reading(0.0, bar))
        certificate = Certificate(prober.whole, readings, errors, bars, np.zeros(PROBES))
        assert certificate.most(SURE) / 2 == pytest.approx(sharp * WARN)
        needed = steps.certifier._needed(certificate)
        assert PROBES <= needed <= MOST
        if needed < MOST:
            assert bar * spread(needed, SURE) / 2 <= 0.3 * WARN
        if needed > PROBES:
            assert bar * spread(needed - 1, SURE) / 2 > 0.3 * WARN
        assert (needed == PROBES) == (sharp < 0.3) and (needed == MOST) == (sharp > 100)

    def test_are_made_in_three_looks_at_most(self) -> None:
        steps, prober = made([np.arange(9.0)], [np.arange(9.0)], bar=1e-3)
        assert len(steps.certifier.probe(prober.whole, Found(), math.inf).readings) == MOST
        steps, prober = made([np.arange(9.0)], [np.arange(9.0)])
        counts = iter([5, 6, 7, 8])
        steps.certifier._needed = lambda so_far: next(counts)
        assert len(steps.certifier.probe(prober.whole, Found(), math.inf).readings) == 6
        assert next(counts) == 7

    @pytest.mark.parametrize(
        ("bound", "patient"), [(0.9, False), (1.1, True), (4.9, True), (5.1, False)]
    )
    def test_noise_is_averaged_where_that_brings_the_bound_below_warn(
        self, bound: float, patient: bool
    ) -> None:
        steps, prober = made([np.arange(9.0)], [np.arange(9.0)])
        # of noise a quarter may hide in what is seen: the rest is what the bar holds beside it
        prober.bar = bound * WARN * 2 / spread(MOST, SURE) / (0.5 / 4 + 0.5)
        steps.certifier.certify(prober.whole, Found())
        few = 0.3 * WARN * 2 / spread(MOST, SURE)
        first, *rest = (prober.asked[i::MOST] for i in range(MOST))
        assert first == [math.inf, pytest.approx(few)][: 1 + patient]
        assert all(goals == first for goals in rest)


class Searches:
    """Searches that find so many things, and take nothing out."""

    finds = 1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.found, self.exhausted, self.limits = Found(), False, list[float]()
        self.entries = SimpleNamespace()  # of nine, too many for each to be measured
        Searches.last = self

    def run(self, part: Any, *, limit: float) -> None:
        self.limits.append(limit)
        for _ in range(self.finds):
            key = (0, len(self.found.entries))
            self.found.entries[key] = Derivative.smooth(0.0, 1.0, 0.0, 1e-3)

    last: Searches


class TestWeights:
    def test_are_inverse_to_norms_and_to_that_of_all_where_these_are_negligible(self) -> None:
        claim = [[3.0, 0.0], [4.0], [1e-15], [0.0], [1e-12]]
        steps, _ = made(claim, claim)
        assert steps.prober.weight == pytest.approx([1 / 3, 1 / 4, 1 / 5, 1 / 5, 1e12])
        assert [block.negligible for block in steps.blocks] == [False, False, True, True, False]
        nothing, _ = made([[0.0]], [[0.0]])
        assert nothing.prober.weight == [1.0] and nothing.blocks[0].negligible
        nan, _ = made([[3.0], [1.0, 4.0]], [[math.nan, 2.0], [1.0, 4.0]])
        assert nan.prober.weight == pytest.approx([1 / math.sqrt(17)] * 2)

    def test_of_blocks_nothing_is_known_at_first(self) -> None:
        steps, _ = made([[1.0], []], [[1.0], []])
        assert [block.most for block in steps.blocks] == [math.inf, 0.0]
        assert steps.target == TOL / 30 and steps.certifier.probes == PROBES
        assert steps.certifier.enough == pytest.approx(0.3 * WARN * 2 / spread(MOST, SURE))
        assert steps.limit == math.inf and made([[1.0]], [[1.0]], limit=7)[0].limit == 7


class TestSearches:
    def test_nothing_is_searched_where_probes_agree(self) -> None:
        steps, prober = made([np.arange(9.0), []], [np.arange(9.0), []])
        seen = []
        prober.loss.watch = lambda done, expected, where: seen.append(where)
        blocks = steps.run()
        assert prober.loss.evaluations == PROBES and not prober.entries_
        assert seen == ["random directions through all parameters"] or not seen
        assert blocks[0].untouched and not steps.unlocated and not steps.findings
        most = 1e-9 * spread(PROBES, SURE) * float(np.linalg.norm(np.arange(9.0)))
        assert 0 < blocks[0].most <= most and blocks[0].error <= blocks[0].most
        assert blocks[1].most == blocks[1].error == 0

    def test_a_wrong_entry_is_found_and_what_is_left_is_probed_anew(self) -> None:
        claim = np.arange(100.0)
        steps, prober = made([claim - off(100, 7)], [claim])
        (block,) = steps.run()
        assert list(block.entries) == [7] and not steps.unlocated
        assert prober.loss.evaluations == ROWS + 1 + PROBES
        assert np.allclose(block.corrected, prober.true[0])
        assert 0 < block.most < 1e-4

    @pytest.mark.parametrize(("error", "budget"), [(0.98, 100), (1.02, 2000), (1e6, 2000)])
    @pytest.mark.parametrize("limit", [None, 50, 1500])
    def test_cost_what_the_error_is_worth(
        self, error: float, budget: int, limit: int | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A relative error that is so many times `tol`, as three readings have it."""
        monkeypatch.setattr(module, "Search", Searches)
        monkeypatch.setattr(Searches, "finds", 0)
        w = UNIT * np.array([draw(5, row, 0, 9).astype(float).sum() for row in (1, 2, 3)])
        wrong = 2 * error * TOL * 3 / float(np.sqrt(np.mean(w**2)))  # the claim has norm 3
        steps, prober = made([np.full(9, 1 - wrong)], [np.ones(9)], bar=1e-12, limit=limit)
        steps._examine(prober.whole)
        assert Searches.last.limits == [min(ROWS + budget, limit or math.inf)]

    @pytest.mark.parametrize("closer", [True, False])
    @pytest.mark.parametrize("factor", [1.0, 2.0])
    def test_begin_after_a_closer_look_where_that_is_possible(
        self, closer: bool, factor: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "Search", Searches)
        monkeypatch.setattr(Searches, "finds", 0)
        steps, prober = made([np.ones(9)], [factor * np.ones(9)], limit=0)
        looked, rows = [], []
        monkeypatch.setattr(prober, "look_closer", lambda group: looked.append(group) or closer)
        monkeypatch.setattr(prober, "measure_noise", lambda group, row: rows.append(row) or 0.5)
        steps.jitter = 0.25
        steps._examine(prober.whole)
        wrong = factor != 1
        assert looked == [prober.whole] * wrong
        assert len(rows) == (wrong and closer)
        assert prober.noise == (0.5 if rows else 0.0)
        count = PROBES if not wrong else 2 * ROWS if closer else ROWS
        used = [row for _, row, _ in prober.read_]
        assert len(used) == count and not set(used) & set(rows)

    def test_noise_is_no_less_than_two_losses_at_one_point_differ_by(self) -> None:
        steps, prober = made([np.ones(9)], [np.ones(9)])
        for jitter in (0.0, 1e-300, 0.5):
            steps.jitter = jitter
            steps._measure_noise(prober.whole)  # of a loss that is always the same
            assert prober.noise == jitter

    def test_are_six_at_most(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "Search", Searches)
        steps, prober = made([np.zeros(9)], [np.ones(9)])
        steps._examine(prober.whole)
        assert len(Searches.last.limits) == 6
        assert prober.loss.evaluations == 7 * ROWS + MOST
        assert Searches.last.limits == [ROWS + 2000] * 6

    @pytest.mark.parametrize("why", ["nothing found", "exhausted", "kink", "limit"])
    def test_end_where_there_is_no_use(self, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "Search", Searches)
        monkeypatch.setattr(Searches, "finds", int(why != "nothing found"))
        limit = 2 * ROWS if why == "limit" else None
        steps, prober = made([np.zeros(9)], [np.ones(9)], limit=limit)
        run = Searches.run

        def once(self: Searches, part: Any, *, limit: float) -> None:
            run(self, part, limit=limit)
            self.exhausted = why in ("exhausted", "limit")
            if why == "kink":
                prober.kinks = [ROWS + 1]

        monkeypatch.setattr(Searches, "run", once)
        steps._examine(prober.whole)
        assert len(Searches.last.limits) == 1
        expected = {
            "nothing found": ROWS + MOST,
            "exhausted": 2 * ROWS + MOST,
            "kink": ROWS + 2,
            "limit": 2 * ROWS,
        }
        assert prober.loss.evaluations == expected[why]
        assert len(steps.unlocated) == 1


class TestJumps:
    """Along which readings jumps of the loss are looked for."""

    group = (Region.whole(0, (9,)),)

    def asked(self, errors: Sequence[float], *, limit: int | None = None) -> list[tuple[int, Any]]:
        steps, prober = made([np.arange(9.0)], [np.arange(9.0)], limit=limit)
        seen: list[tuple[int, Any]] = []
        steps.jumps.height = lambda group, row, reading: seen.append((row, reading)) or 0.0
        readings = {10 + i: Reading(float(i), 0.1) for i in range(len(errors))}
        bars = np.full(len(errors), 0.1)
        certificate = Certificate(self.group, readings, np.array(errors), bars, bars)
        assert not steps.jumps.run(self.group, steps.jumps.odd(self.group, certificate))
        assert all(
            reading in (readings[row], prober.read(self.group, row, target=1.0))
            for row, reading in seen
        )
        return [(row, reading is readings[row]) for row, reading in seen]

    def test_are_looked_for_along_the_one_that_contradicts_most(self) -> None:
        assert self.asked([0.2, -0.3, 0.25]) == [(11, True)]
        assert self.asked([0.0, -0.3, 0.25]) == [(11, True)]
        assert self.asked([0.0, 0.1, -0.1]) == []

    def test_are_looked_for_again_where_others_agree_and_it_contradicts_by_far(self) -> None:
        assert self.asked([0.0, -1.2, 3.0]) == [(12, True), (12, False)]
        assert self.asked([0.2, -1.2, 3.0]) == [(12, True)]

    def test_are_not_looked_for_where_no_evaluations_are_left(self) -> None:
        assert self.asked([0.0, -1.2, 3.0], limit=0) == []


def throughout(
    region: Region, errors: Sequence[float], *, bar: float = 0.1, rows: Sequence[int] = (90, 91, 92)
) -> Throughout:
    """A region that is wrong throughout, by readings that differ so much from the claim."""
    readings = Readings(list(rows), np.array(errors, float), np.full(len(errors), bar))
    return Throughout(region, readings, np.array([1.0, 2.0, -2.0]), 6, 6)


class TestWrongThroughout:
    """Parameters of which slopes are measured, so that causes can be told apart."""

    @staticmethod
    def of(
        blocks: int = 1, *, error: float = 1.0, limit: int | None = None
    ) -> tuple[Probing, Scripted, Found]:
        true = [np.zeros((2, 3))] * blocks
        steps, prober = made(true, [np.full((2, 3), 2.0)] * blocks, limit=limit)
        parts = [throughout(region, [error] * 3) for region in prober.whole]
        return steps, prober, Found(throughout=parts)

    @pytest.mark.parametrize(("blocks", "measured"), [(1, True), (8, True), (9, False)])
    def test_four_slopes_unless_it_is_one_of_many(self, blocks: int, measured: bool) -> None:
        steps, prober, found = self.of(blocks)
        wrong = found.throughout[0]
        steps.how_wrong.measure(wrong, found)
        assert prober.loss.evaluations == (4 if measured else 0)
        slopes = steps.blocks[0].slopes
        assert isinstance(slopes, Slopes)
        if measured:
            assert slopes.values.tolist() == [0.0] * 4 and slopes.bars.tolist() == [1e-9] * 4
            assert slopes.rows == tuple(row for _, row, _ in prober.read_)
            assert {goal for _, _, goal in prober.read_} == {TOL / 30}
            assert {regions for regions, _, _ in prober.read_} == {prober.whole[:1]}
        else:  # those that found it
            assert slopes.rows == (90, 91, 92)
            assert slopes.values.tolist() == [1.0, 2.0, -2.0] and slopes.bars.tolist() == [0.1] * 3
        assert (slopes.seed, slopes.block, slopes.weight) == (5, 0, prober.weight[0])

    def test_of_one_found_in_two_rounds_they_are_measured_in_any_case(self) -> None:
        steps, prober, found = self.of(9)
        found.throughout.append(throughout(prober.whole[0], [1.0] * 3))
        steps.how_wrong.measure(found.throughout[-1], found)
        assert prober.loss.evaluations == 4

    def test_nothing_is_measured_of_a_part_or_beyond_what_may_be_spent(self) -> None:
        steps, prober, found = self.of()
        row = throughout(prober.whole[0].narrowed(0, 0, 1), [1.0] * 3)
        steps.how_wrong.measure(row, found)
        steps.how_wrong.limit = prober.loss.evaluations = 3
        steps.how_wrong.measure(found.throughout[0], found)
        assert steps.blocks[0].slopes is None and not prober.read_
        steps.how_wrong.limit = 4
        steps.how_wrong.measure(found.throughout[0], found)
        assert len(prober.read_) == 4

    @pytest.mark.parametrize("limit", [TOL, FAIL])
    @pytest.mark.parametrize(
        ("typical", "decisive"),
        [
            (0.98, False),
            (1.02, True),
            # at least twice the limit is proved where so much is seen
            (0.98 * 2 * greatest_length(3, SURE) / math.sqrt(3), True),
            (1.02 * 2 * greatest_length(3, SURE) / math.sqrt(3), False),
        ],
    )
    def test_twelve_more_where_the_verdict_hangs_on_them(
        self, limit: float, typical: float, decisive: bool
    ) -> None:
        """Relative errors are half of what is read, relative to the claim, where they are small."""
        error = 2 * limit * typical
        steps, prober, found = self.of(9)  # of one parameter nothing but the readings counts
        wrong = throughout(prober.whole[0], [error, -error, error], bar=0.0)
        steps.blocks[0].claimed[:] = 0.0
        found.throughout[0] = wrong
        least = math.sqrt(3) * error / greatest_length(3, SURE) / 2
        assert (least < 2 * limit and typical >= 1) == decisive
        steps.how_wrong.measure(wrong, found)
        assert len(prober.read_) == (12 if decisive else 0)

    def test_further_slopes_are_added_to_the_first(self) -> None:
        steps, prober, _ = self.of()
        steps.how_wrong._note(prober.whole[0], [7, 8], np.array([1.0, 2.0]), np.array([0.1, 0.2]))
        steps.how_wrong._note(prober.whole[0], [9], np.array([3.0]), np.array([0.3]))
        slopes = steps.blocks[0].slopes
        assert slopes is not None
        assert (slopes.rows, slopes.values.tolist()) == ((7, 8, 9), [1.0, 2.0, 3.0])
        assert slopes.bars.tolist() == [0.1, 0.2, 0.3]

    def test_what_is_proved_of_it_rests_on_every_reading_once(self) -> None:
        steps, prober, _ = self.of()
        prober.belief.rounding = [1e-2]
        wrong = throughout(prober.whole[0], [1.0, -2.0, 0.5])
        assert steps.how_wrong.apart(wrong).errors.tolist() == [1.0, -2.0, 0.5]
        steps.how_wrong._note(prober.whole[0], [91, 7], np.array([5.0, 3.0]), np.array([0.5, 0.2]))
        apart = steps.how_wrong.apart(wrong)
        slope = UNIT * prober.weight[0] * float(2.0 * draw(5, 7, 0, 6).astype(float).sum())
        assert apart.errors == pytest.approx([1.0, -2.0, 0.5, slope - 3.0])
        rounding = prober.belief.rounding_bar(prober.whole)
        assert apart.bars == pytest.approx([0.1, 0.1, 0.1, 0.2 + rounding]) and rounding > 0
        assert apart.noise.tolist() == [0.0] * 4 and apart.regions == prober.whole
        row = throughout(prober.whole[0].narrowed(0, 0, 1), [1.0, -2.0, 0.5])
        assert len(steps.how_wrong.apart(row).errors) == 3  # slopes are of the whole


class TestRecords:
    """What is noted of each parameter."""

    @staticmethod
    def certificate(
        regions: tuple[Region, ...], errors: Sequence[float], bar: float = 0.1
    ) -> Certificate:
        readings = {row: Reading(1.0, bar) for row in range(len(errors))}
        bars = np.full(len(errors), bar)
        return Certificate(regions, readings, np.array(errors), bars, np.zeros(len(errors)))

    def test_bounds_are_of_each_in_its_own_unit(self) -> None:
        steps, prober = made([[3.0, 4.0], [0.0, 0.5]], [[3.0, 4.0], [0.0, 0.5]])
        certificate = self.certificate(prober.whole, [0.05, -0.01, 0.02, 0.03])
        steps._record(prober.whole, certificate, Found())
        for block, norm in zip(steps.blocks, (5.0, 0.5), strict=True):
            assert block.most == pytest.approx(certificate.most(SURE) * norm)
            assert block.error == pytest.approx(certificate.typical * norm)
            assert block.untouched and not block.vanishes and block.least == 0
        assert not steps.unlocated

    def test_no_error_is_larger_than_its_bound(self) -> None:
        steps, prober = made([[3.0, 4.0]], [[3.0, 4.0]])
        certificate = self.certificate(prober.whole, [1.0])
        object.__setattr__(certificate, "bars", np.zeros(1))
        most, typical = certificate.most(SURE), certificate.typical
        steps._record(prober.whole, certificate, Found())
        assert steps.blocks[0].error == pytest.approx(min(most, typical) * 5)

    def test_what_is_not_explained_is_told_with_its_least_size(self) -> None:
        steps, prober = made([np.ones(2), np.ones(3)], [np.ones(2), np.ones(3)])
        certificate = self.certificate(prober.whole, [2.0, 0.0, 0.0])
        steps._record(prober.whole, certificate, Found())
        assert steps.unlocated == [({"p0", "p1"}, certificate.least(SURE))]

    def test_what_was_found_goes_to_its_parameter(self) -> None:
        steps, prober = made([np.ones((2, 3)), np.ones(3)], [np.ones((2, 3)), np.ones(3)])
        one, two = (Derivative.smooth(v, 0.1, 0.0, 1e-3) for v in (1.0, 2.0))
        row = prober.whole[0].narrowed(0, 1, 2)
        found = Found(entries={(0, 4): one, (1, 2): two}, complete=[row])
        prober.belief.correct(prober.whole[1], 1.0, 0.1)
        steps._record(prober.whole, self.certificate(prober.whole, [0.0]), found)
        assert [block.entries for block in steps.blocks] == [{4: one}, {2: two}]
        assert [block.told for block in steps.blocks] == [True, False]
        assert [block.dense for block in steps.blocks] == [[row], []]
        assert steps.blocks[0].untouched and not steps.blocks[1].untouched
        assert [finding.name for finding in steps.findings] == ["wrong-region"]

    def test_of_a_parameter_that_is_wrong_throughout(self) -> None:
        claim = np.array([[3.0, 0.0, 4.0], [0.0, 12.0, 0.0]])
        steps, prober = made([np.zeros((2, 3))], [claim])
        row = throughout(prober.whole[0].narrowed(0, 0, 1), [3.0, -2.0, 1.0], bar=0.1)
        certificate = self.certificate(prober.whole, [0.05, 0.05, 0.05, 0.05])
        steps._record(prober.whole, certificate, Found(throughout=[row]))
        (block,), apart = steps.blocks, steps.how_wrong.apart(row)
        assert apart.least(SURE) > 0
        assert block.least == pytest.approx(apart.least(SURE) * 13)
        rest = certificate.typical * 13
        assert block.error == pytest.approx(math.hypot(rest, apart.typical * 13))
        most = math.hypot(certificate.most(SURE), apart.most(SURE)) * 13
        assert block.most == pytest.approx(most)
        outside, inside = 12.0, math.sqrt((1 + 4 + 4) / 3) * 13
        assert block.numeric == pytest.approx(math.hypot(outside, inside))
        assert block.corrected.tolist() == claim.reshape(-1).tolist()  # is not searched

    @pytest.mark.parametrize("value", [0.05, 0.1, 0.2])
    @pytest.mark.parametrize("how", ["unexplained", "corrected", "right"])
    def test_a_claim_vanishes_where_it_is_wrong_and_zero_is_not(
        self, value: float, how: str
    ) -> None:
        steps, prober = made([np.ones(2)], [np.ones(2)])
        errors = [2.0 if how == "unexplained" else 0.0] * 3
        certificate = self.certificate(prober.whole, errors)
        for row in certificate.readings:
            certificate.readings[row] = Reading(-value if row else 0.0, 0.1)
        if how == "corrected":
            prober.belief.correct(prober.whole[0], -1.0, 0.1)
        steps._record(prober.whole, certificate, Found())
        assert steps.blocks[0].vanishes == (how != "right" and value <= 0.1)

    def test_of_several_probed_together_none_is_known_to_vanish(self) -> None:
        steps, prober = made([np.ones(2)] * 2, [np.ones(2)] * 2)
        certificate = self.certificate(prober.whole, [2.0] * 3)
        for row in certificate.readings:
            certificate.readings[row] = Reading(0.0, 0.1)
        steps._record(prober.whole, certificate, Found())
        assert not any(block.vanishes for block in steps.blocks)

    def test_slopes_say_more_of_zero_than_readings(self) -> None:
        steps, prober = made([np.ones(2)], [np.ones(2)])
        (block,), certificate = steps.blocks, self.certificate(prober.whole, [2.0] * 3)
        assert not _fits_zero(block, certificate)  # all readings are 1, to 0.1
        for values, fits in (([0.1, -0.1], True), ([0.1, -0.11], False)):
            block.slopes = Slopes(5, (1, 2), 0, 1.0, np.array(values), np.full(2, 0.1))
            assert _fits_zero(block, certificate) == fits
        block.slopes = None
        for row in certificate.readings:
            certificate.readings[row] = Reading(0.0, 0.1)
        assert _fits_zero(block, certificate)
        block.dense.append(prober.whole[0])
        assert not _fits_zero(block, certificate)

    def test_bounds_are_of_what_is_seen_of_one_reading(self) -> None:
        (one,) = (self.certificate((), [0.5], 0.2),)
        assert one.most(SURE) == pytest.approx(0.7 / least_length(1, SURE))

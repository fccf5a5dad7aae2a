"""What is kept of a check for its pictures: bounded, true, at no cost unless asked for."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import Holder, Mlp, frozen

from pytest_gradcheck import check
from pytest_gradcheck.core.measured import Measured
from pytest_gradcheck.core.parameters import Parameter
from pytest_gradcheck.core.view import CELLS, LETTERS, POINTS, STRIP, VIEWS, View, views_of
from pytest_gradcheck.report.heat import COLORS, Heat, png
from pytest_gradcheck.report.pictures import pictures_of
from pytest_gradcheck.report.record import record_of


class Wrong:
    """``sum(sin x)``, whose gradient is wrong where `factor` is not 1."""

    def __init__(self, factor: np.ndarray) -> None:
        self.params, self.factor = np.linspace(0.1, 1.2, factor.size).reshape(factor.shape), factor

    def loss(self) -> float:
        return float(np.sum(np.sin(self.params)))

    def grads(self) -> np.ndarray:
        return np.cos(self.params) * self.factor


def wrong_cells(cells: tuple[str, ...]) -> list[tuple[int, int]]:
    return [
        (i, j) for i, row in enumerate(cells) for j, letter in enumerate(row) if letter.isupper()
    ]


def viewed(factor: np.ndarray) -> View:
    """The view of a gradient of ones that is claimed to be `factor`, known to 1e-9."""
    ones, bar = np.ones(factor.size), np.full(factor.size, 1e-9)
    parameter = Parameter("x", np.zeros(factor.shape))
    block = Measured(parameter, factor.reshape(-1), ones, bar, 0 * bar)
    (view,) = views_of([block], [True])
    return view


class TestViews:
    @given(data=st.data())
    def test_every_wrong_entry_shows_in_its_cell(self, data: st.DataObject) -> None:
        shape = data.draw(st.tuples(st.integers(2, 130), st.integers(1, 130)))
        i, j = (data.draw(st.integers(0, length - 1)) for length in shape)
        factor = np.ones(shape)
        factor[i, j] = 1.5
        view = viewed(factor)
        rows, columns = len(view.cells), len(view.cells[0])
        assert (rows, columns) == (min(shape[0], CELLS), min(shape[1], CELLS))
        ((row, column),) = wrong_cells(view.cells)
        for place, cell, length, cells in (
            (i, row, shape[0], rows),
            (j, column, shape[1], columns),
        ):
            assert cell * length // cells <= place < (cell + 1) * length // cells
        assert view.points[0][0] == 1
        assert view.wrong == 1

    def test_a_wrong_row_and_column_of_a_large_matrix(self) -> None:
        factor = np.ones((300, 200))
        factor[100], factor[:, 30] = -1, -1
        row, column = 100 * CELLS // 300, 30 * CELLS // 200
        expected = {(row, j) for j in range(CELLS)} | {(i, column) for i in range(CELLS)}
        assert set(wrong_cells(viewed(factor).cells)) == expected

    def test_letters_are_levels(self) -> None:
        view = viewed(np.array([1.0, 1 + 1e-10, 1 + 2e-6, *[1.0] * 4_000, 3.0]))
        assert view.cells[0][0] == LETTERS[12].upper()  # 1e-6, relative to 1 + 1
        assert view.cells[0][-1] == LETTERS[24].upper()
        assert viewed(np.array([1.0, 1 + 2e-10])).cells == ("." + LETTERS[4],)

    def test_probes_find_the_same(self) -> None:
        factor = np.ones((90, 80))
        factor[17, 50] = 2.0
        (view,) = check(Wrong(factor)).views
        assert wrong_cells(view.cells) == [(17 * CELLS // 90, 50 * CELLS // 80)]
        assert set("".join(view.cells)) == {".", view.cells[9][30]}

    def test_what_agrees_is_not_shown_as_wrong(self) -> None:
        for view in check(Mlp()).views:
            assert not wrong_cells(view.cells)
            assert view.wrong == 0
            assert np.allclose(*np.transpose(view.points))

    def test_not_finite_claims_show(self) -> None:
        (view,) = check(Wrong(np.array([1.0, np.nan, 1.0]))).views
        assert view.cells[0][1] == "!"

    def test_unknown_entries_are_told_as_such(self) -> None:
        rng = np.random.default_rng(0)
        (view,) = check(Wrong(rng.normal(size=20_000))).views
        assert "?" in view.cells[0]

    @pytest.mark.parametrize("shape", [(), (1,), (7,), (2, 3), (2, 3, 4), (0, 3), (3, 0)])
    def test_of_any_shape(self, shape: tuple[int, ...]) -> None:
        views = check(Holder({"x": np.ones(shape), "y": np.ones(1)})).views
        assert [view.parameter for view in views] == (["x", "y"] if math.prod(shape) else ["y"])

    def test_are_bounded(self) -> None:
        many = Holder({f"p{i}": np.ones((2, 3)) for i in range(50)})
        assert len(check(many).views) == VIEWS
        large = viewed(np.full((400, 500), 2.0))
        assert (len(large.cells), len(large.cells[0])) == (CELLS, CELLS)
        long = viewed(np.full(100_000, 2.0))
        assert (len(long.cells), len(long.cells[0])) == (1, CELLS * STRIP)
        assert len(long.points) <= POINTS
        result = check(Mlp(W1=-1.0, W2=2.0), study=True)
        assert len(json.dumps(record_of(result))) < 12_000

    def test_wrong_parameters_come_before_others(self) -> None:
        class Last(Holder):
            def grads(self) -> Any:
                return {**super().grads(), "p49": np.zeros((2, 3))}

        views = check(Last({f"p{i}": np.ones((2, 3)) for i in range(50)})).views
        assert [view.parameter for view in views] == [*(f"p{i}" for i in range(VIEWS - 1)), "p49"]


class TestStudy:
    def test_is_measured_only_when_asked(self) -> None:
        calls = []

        class Counted(Mlp):
            def loss(self, *args: Any) -> float:
                calls.append(1)
                return super().loss(*args)

        assert check(Counted()).study is None
        without = len(calls)
        assert check(Counted(), study=True).study is not None
        assert 2 * without + 20 < len(calls) < 2 * without + 80

    @pytest.mark.parametrize("factor", [1.0, -1.0])
    def test_shows_both_branches(self, factor: float) -> None:
        study = check(Mlp(W1=factor), study=True).study
        assert study is not None
        errors = np.abs(np.array(study.central) - study.numeric)
        steps = np.array(study.steps)
        assert np.all(np.diff(steps) < 0)
        assert any(math.isclose(step, study.step, rel_tol=1e-6) for step in steps)
        clear = (errors > 1e-8) & (steps < 0.2) & (steps > 1e-4)
        assert np.count_nonzero(clear) >= 4
        assert np.allclose(errors[clear], study.truncation * steps[clear] ** 2, rtol=0.2)
        rounding = study.noise / steps
        assert np.all(errors[steps < 1e-7] < 30 * rounding[steps < 1e-7])
        assert errors[-1] > 1e3 * errors.min()
        assert abs(study.numeric - factor * study.analytic) <= study.uncertainty

    def test_is_of_the_worst_entry(self) -> None:
        result = check(Wrong(np.array([1, 1, 3.0, 1.5])), study=True)
        assert result.study is not None
        assert (result.study.parameter, result.study.index) == ("params", (2,))

    def test_is_of_the_largest_where_probes_agree(self) -> None:
        result = check(Holder(np.linspace(0, 1, 6_000)), study=True)
        assert result.study is not None
        assert result.study.index == (5_999,)

    def test_of_float32_parameters_is_in_float64(self) -> None:
        mlp = Mlp()
        mlp.params = {name: array.astype(np.float32) for name, array in mlp.params.items()}
        study = check(mlp, study=True).study
        assert study is not None
        assert study.uncertainty < 1e-9

    @pytest.mark.parametrize("mode", ["exhaustive", "probe"])
    def test_leaves_parameters_as_they_were(self, mode: str) -> None:
        holder = Holder({"x": np.array([-0.0, 1.5, np.nextafter(1, 2)]), "y": [0.1, 2.0]})
        before = frozen(holder.params)
        assert check(holder, study=True, mode=mode).study is not None
        assert frozen(holder.params) == before

    def test_takes_nothing_away_where_the_loss_refuses(self) -> None:
        class Refuses(Mlp):
            calls = 0

            def loss(self, *args: Any) -> float:
                Refuses.calls += 1
                if Refuses.calls > self.allowed:
                    raise RuntimeError("enough")
                return super().loss(*args)

            allowed = math.inf

        check(Refuses())
        Refuses.allowed, Refuses.calls = Refuses.calls + 5, 0
        mlp = Refuses()
        before = frozen(mlp.params)
        result = check(mlp, study=True)
        assert (result.status, result.study) == ("pass", None)
        assert frozen(mlp.params) == before

    def test_interrupted_leaves_parameters_as_they_were(self) -> None:
        class Interrupted(Mlp):
            calls, allowed = 0, math.inf

            def loss(self, *args: Any) -> float:
                Interrupted.calls += 1
                if Interrupted.calls > self.allowed:
                    raise KeyboardInterrupt
                return super().loss(*args)

        check(Interrupted())
        Interrupted.allowed, Interrupted.calls = Interrupted.calls + 15, 0
        mlp = Interrupted()
        before = frozen(mlp.params)
        with pytest.raises(KeyboardInterrupt):
            check(mlp, study=True)
        assert frozen(mlp.params) == before

    @pytest.mark.parametrize(
        "subject",
        [
            Holder({"a": np.zeros((0, 2)), "b": np.ones(2)}),
            Holder(np.array(3.0)),
            Wrong(np.array([np.nan])),
            Wrong(np.array([np.inf, 1])),
        ],
        ids=["empty", "scalar", "nan", "inf"],
    )
    def test_of_odd_subjects_can_be_drawn(self, subject: Any) -> None:
        record = record_of(check(subject, study=True))
        for picture in pictures_of(record):
            for mark in picture.marks:
                assert all(map(math.isfinite, np.ravel(mark.points)))

    def test_of_a_loss_that_is_constant(self) -> None:
        result = check(
            loss=lambda x: 0.0 * float(np.sum(x)),
            grads=lambda x: 0 * x,
            params=np.ones(2),
            study=True,
        )
        assert [picture.name for picture in pictures_of(record_of(result))] == ["scatter", "study"]


class TestGeometry:
    def test_of_a_wrong_claim(self) -> None:
        record = record_of(check(Mlp(W1=-1.0), study=True))
        scatter, study = pictures_of(record)
        marks = {(mark.kind, mark.role): mark for mark in scatter.marks}
        assert len(marks["crosses", "claimed"].points) == 12
        assert len(marks["dots", "measured"].points) == 14
        assert "12 certainly off" in scatter.alt
        marks = {(mark.kind, mark.role): mark for mark in study.marks}
        ((_, level), _) = marks["line", "claimed"].points
        assert 10**level == pytest.approx(2)
        for role, slope in (("rounding", -1), ("truncation", 2)):
            (x0, y0), (x1, y1) = marks["line", role].points
            assert (y1 - y0) / (x1 - x0) == pytest.approx(slope)
        assert "off by 2.0e+00" in study.alt

    def test_of_a_right_claim_has_no_level(self) -> None:
        *_, study = pictures_of(record_of(check(Mlp(), study=True)))
        assert "claimed" not in {mark.role for mark in study.marks}
        assert "within the error bar" in study.alt

    def test_heat_map_in_words(self) -> None:
        factor = np.ones((4, 5))
        factor[2] = 3.0
        (view,) = record_of(check(Wrong(factor)))["views"]
        heat = Heat.of(view)
        assert heat.wrong
        assert heat.alt.endswith(
            "certainly wrong in 5 of 20 cells, in row 2 of cells and every column."
        )

    def test_heat_map_as_an_image(self) -> None:
        pytest.importorskip("matplotlib")
        from io import BytesIO

        from matplotlib.image import imread

        cells = ("aZ.", "?!m")
        pixels = imread(BytesIO(png(cells)), format="png")
        assert np.round(255 * pixels).astype(int).tolist() == [
            [list(COLORS[letter]) for letter in row] for row in cells
        ]

"""The report as lines: what it says, that it fits, and that nothing in it can do harm."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import Holder, Mlp

from pytest_gradcheck import Block, Entry, Finding, Result, check
from pytest_gradcheck.report.bars import DOUBT, SOLID, TICK, Scale
from pytest_gradcheck.report.cells import (
    columns,
    harmless,
    listed,
    paragraph,
    plain,
    shortened,
    shortened_alike,
    spelt,
)
from pytest_gradcheck.report.summary import summary_lines
from pytest_gradcheck.report.text import View, failure, headline, report, warning
from pytest_gradcheck.report.travelled import plain_data, result_of

SETTINGS = {"tol": 1e-7, "warn": 1e-5, "fail": 1e-3}
TEXT = st.text(max_size=40)


def block(name: str, error: float = 0.5, status: str = "fail", shape: Any = (3, 4)) -> Block:
    return Block(name, shape, status, error, error / 1e6, 1.0, 1.0)


def entry(name: str, analytic: float, numeric: float, bar: float = 1e-9) -> Entry:
    error = abs(analytic - numeric)
    size = abs(analytic) + abs(numeric)
    return Entry(name, (2, 1), analytic, numeric, error, bar, error / size if size else 0.0, 0.5)


def result(**changed: Any) -> Result:
    made = Result(
        status="fail",
        relative_error=0.25,
        uncertainty=1e-8,
        blocks=(block("W"), block("b", 1e-9, "pass", (4,))),
        worst=(entry("W", 1.5, -0.25),),
        findings=(Finding("sign", ("W",), "the sign is wrong", {"factor": -1.0}),),
        evaluations=100,
        seconds=0.5,
        title="Net",
        settings=SETTINGS,
    )
    return replace(made, **changed)


def lines(made: Result, width: int | None = 76, verbosity: int = 0, again: str = "") -> list[str]:
    return plain(report(made, View(width, verbosity, again)))


def many(count: int) -> Result:
    blocks = [block(f"layers.{i}.weight", 1e-9, "pass") for i in range(count)]
    blocks[7] = block("layers.7.weight", 0.5)
    return result(blocks=tuple(blocks), findings=())


class TestOrder:
    def test_verdict_then_cause_then_parameters_then_entries_then_command(self) -> None:
        shown = lines(result(), again="pytest a.py::b")
        starts = [next(i for i, row in enumerate(shown) if row.startswith(s)) for s in ORDER]
        assert starts == sorted(starts) and starts[0] == 0

    def test_verdict_has_error_bar_and_thresholds(self) -> None:
        assert lines(result())[0] == (
            "FAIL   Net: relative error 2.50e-01 ± 1e-08 (tol 1e-07, fail 1e-03)"
        )

    def test_where_it_is_wrong_and_where_it_is_right(self) -> None:
        assert lines(result())[1].strip() == (
            "wrong in W, right in b; worst in W: 5.00e-01 ± 5e-07"
        )

    def test_failed_and_suspect_parameters_are_told_apart(self) -> None:
        blocks = (block("W"), block("U", 1e-4, "warn"), block("b", 0.0, "pass"))
        assert "wrong in W, suspect in U, right in b" in lines(result(blocks=blocks))[1]

    def test_the_most_telling_cause_comes_first(self) -> None:
        found = [Finding(name, ("W",), "said") for name in ("l2-missing", "kink", "sign")]
        labels = [row[:7] + row.split()[1] for row in lines(result(findings=tuple(found)))[4:7]]
        assert labels == ["cause  sign:", "cause  l2-missing:", "note   kink:"]

    def test_what_only_a_third_party_knows_is_a_cause(self) -> None:
        found = (Finding("degrees", ("W",), "the gradient is per degree"),)
        assert "cause  degrees: the gradient is per degree" in lines(result(findings=found))

    def test_doubts_are_no_causes_and_allowed_ones_are_notes(self) -> None:
        found = (Finding("coarse", ("W",), "verified only to 1e-4"),)
        made = result(findings=found, status="warn", blocks=(block("W", 0.0, "pass"),))
        assert "why    coarse: verified only to 1e-4" in lines(made)
        made = replace(made, settings={**SETTINGS, "allow": ("coarse",)})
        assert "note   coarse: verified only to 1e-4" in lines(made)

    def test_without_a_known_cause_what_agrees_is_the_clue(self) -> None:
        said = " ".join(lines(result(findings=())))
        assert "none of the known ones; b agrees, so look at what belongs to W alone" in said


ORDER = ["FAIL", "cause", "parameter", "entry", "again"]


class TestVerbosity:
    def test_many_parameters_are_abbreviated_with_their_count(self) -> None:
        shown = lines(many(40))
        rows = [row for row in shown if row.startswith("layers.")]
        assert len(rows) == 12
        assert any(row.startswith("layers.7.weight") and "FAIL" in row for row in rows)
        assert "(28 more: 28 pass, none above 1.0e-09; -v lists them)" in shown

    def test_v_lists_all_parameters_and_the_evidence(self) -> None:
        shown = lines(many(40), verbosity=1)
        assert sum(row.startswith("layers.") for row in shown) == 40
        assert any("factor=-1" in row for row in lines(result(), verbosity=1))
        assert not any("factor=-1" in row for row in lines(result()))

    def test_vv_shortens_no_name(self) -> None:
        name = "encoder.blocks.attention.self.query.weight"
        shown = lines(result(blocks=(block(name), block(name + "2"))), 60, verbosity=2)
        assert any(row.startswith(name + "2  ") for row in shown)

    def test_vv_lists_norms_and_shares(self) -> None:
        shown = " ".join(lines(result(), verbosity=2))
        assert "analytic norm" in shown and "share" in shown and "50.0 %" in shown
        assert "analytic norm" not in " ".join(lines(result(), verbosity=1))

    def test_message_of_the_exception_is_complete_and_plain(self) -> None:
        made = many(40)
        text = "\n".join(failure(replace(made, findings=result().findings), "pytest a.py::b"))
        assert all(one.name in text for one in made.blocks)
        assert "factor=-1" in text and "pytest a.py::b" in text and "\x1b" not in text


class TestWidth:
    @pytest.mark.parametrize("width", [56, 76, 96, 116])
    def test_no_line_is_longer(self, width: int) -> None:
        name = "encoder.blocks.{}.attention.self.query.weight"
        made = result(
            blocks=tuple(block(name.format(i)) for i in range(9)),
            worst=tuple(entry(name.format(i), 1.5, 1e-3) for i in range(9)),
            findings=(Finding("sign", (), " ".join([name.format(1)] * 9)),),
        )
        shown = lines(made, width)
        assert max(map(columns, shown)) <= width
        assert len({row for row in shown if row.startswith("enc")}) == 18  # still told apart

    @given(name=TEXT, message=TEXT, title=TEXT, width=st.integers(60, 120))
    def test_whatever_the_names(self, name: str, message: str, title: str, width: int) -> None:
        made = result(
            title=title,
            blocks=(block(name), block(name * 5 + "!", 1e-9, "pass")),
            worst=(entry(name, 1.5, -0.25),),
            findings=(Finding("sign", (name,), message),),
        )
        for row in lines(made, width):
            assert columns(row) <= width
            assert row.isprintable()

    def test_the_command_is_never_broken(self) -> None:
        command = "pytest '" + "a_long_name/" * 12 + "test_x.py::test_y[1, 2]'"
        assert f"again  {command}" in lines(result(), 60, again=command)

    def test_without_a_width_nothing_is_shortened(self) -> None:
        name = "n" * 300
        assert any(
            row.startswith(name + "  ") for row in lines(result(blocks=(block(name),)), None)
        )


class TestNames:
    @given(TEXT)
    def test_nothing_steers_the_terminal(self, text: str) -> None:
        assert harmless(text).isprintable()

    def test_harmless_text_stays(self) -> None:
        assert harmless("naïve 重み θ₁ [0, 1]") == "naïve 重み θ₁ [0, 1]"
        assert harmless("\x1b[31mred\n\u202e") == r"\x1b[31mred\n\u202e"

    @given(TEXT, st.integers(1, 60))
    def test_shortened_fits_and_keeps_both_ends(self, text: str, width: int) -> None:
        short = shortened(text, width)
        assert columns(short) <= width
        if columns(text) <= width:
            assert short == text

    @given(st.lists(TEXT, min_size=1, max_size=6), st.integers(1, 60))
    def test_shortened_alike_fits(self, names: list[str], width: int) -> None:
        assert all(columns(name) <= width for name in shortened_alike(names, width))

    def test_what_names_have_in_common_gives_way(self) -> None:
        names = [f"encoder.blocks.{i}.attention.query.weight" for i in (1, 2, 30)]
        short = shortened_alike(names, 24)
        assert len(set(short)) == 3
        assert all(f".{i}." in name for i, name in zip((1, 2, 30), short, strict=True))

    def test_listed(self) -> None:
        assert listed(["a"]) == "a"
        assert listed(["a", "b", "c"]) == "a, b and c"
        assert listed(list("abcdefg")) == "a, b, c, d and 3 more"
        assert listed(["x" * 40, "y" * 40]) == "x" * 40 + " and 1 more"

    @given(st.text("ab \n±(θ重", max_size=200), st.integers(27, 80))
    def test_a_paragraph_fits_and_loses_no_letter(self, text: str, width: int) -> None:
        rows = paragraph(text, width)
        assert all(columns(row) <= width for row in rows)
        assert "".join(" ".join(rows).split()) == "".join(text.split())

    def test_a_value_and_its_error_bar_stay_together(self) -> None:
        for width in range(27, 60):
            rows = paragraph("some words and then 1.23e-05 ± 3e-09 and more", width)
            assert any("1.23e-05 ± 3e-09" in row for row in rows)

    @pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "utf-8", "none"])
    def test_every_encoding_has_a_spelling(self, encoding: str) -> None:
        shown = "\n".join(lines(result(), again="pytest a.py::b"))
        text = spelt(shown, encoding)
        text.encode("ascii" if encoding == "none" else encoding)
        assert "\\u" not in text and "\\x" not in text

    def test_plain_ascii_tells_the_same(self) -> None:
        text = spelt(f"1 ± 2 {SOLID}{DOUBT}{TICK} 3×4 λ", "ascii")
        assert text == "1 +- 2 =-| 3x4 lambda"


class TestBars:
    scale = Scale.of(SETTINGS, 20)

    def bar(self, value: float, bound: float | None = None) -> str:
        spans = self.scale.bar(value, value if bound is None else bound, "")
        return "".join(span.text for span in spans)

    def test_two_cells_a_decade(self) -> None:
        lengths = [self.bar(10.0**-k).count(SOLID) for k in range(11)]
        assert lengths == list(range(20, -1, -2))

    def test_the_error_bar_is_a_thinner_line(self) -> None:
        assert self.bar(1e-8, 1e-6).startswith(SOLID * 4 + DOUBT * 4)
        assert self.bar(0.0, math.inf) == DOUBT * 20

    def test_thresholds_are_marked_where_the_bar_does_not_reach(self) -> None:
        assert [i for i, letter in enumerate(self.bar(0.0)) if letter == TICK] == [6, 10, 14]
        assert self.scale.axis() == "1e-10 tol     fail 1"
        assert Scale.of(SETTINGS, 24).axis() == "1e-10  tol  warn fail  1"

    @given(st.floats(allow_nan=True), st.floats(allow_nan=False), st.sampled_from([5, 12, 24]))
    def test_never_longer_than_its_cells(self, value: float, bound: float, cells: int) -> None:
        spans = Scale.of(SETTINGS, cells).bar(value, bound, "")
        assert len("".join(span.text for span in spans)) <= cells

    @given(st.floats(1e-15, 1), st.floats(1e-15, 1))
    def test_a_larger_error_never_has_a_shorter_bar(self, a: float, b: float) -> None:
        small, large = sorted((a, b))
        assert self.bar(small).count(SOLID) <= self.bar(large).count(SOLID)

    @pytest.mark.parametrize("tol", [1e-15, 1e-7, 1e-3, 0.5, 1.0])
    def test_every_tolerance_has_a_scale(self, tol: float) -> None:
        made = result(settings={"tol": tol, "warn": max(tol, 1e-5), "fail": max(tol, 1e-3)})
        assert max(map(columns, lines(made))) <= 76


class TestEntries:
    def test_differences_within_their_error_bars_are_not_listed(self) -> None:
        made = result(worst=(entry("W", 1.5, -0.25), entry("b", 1.0, 1.0 + 1e-10)))
        assert not any(row.startswith("b[2, 1]") for row in lines(made))
        assert "(15 more entries, within their error bars)" in lines(made)

    def test_signed_difference_of_analytic_minus_numeric(self) -> None:
        made = result(worst=(entry("W", 1.5, -0.25), entry("W", -3.0, 1.0)))
        rows = [row.split() for row in lines(made) if row.startswith("W[2, 1]")]
        assert [row[-1] for row in rows] == ["+1.75e+00", "-4.00e+00"]

    @pytest.mark.parametrize("scale", [1e-12, 1e-3, 1.0, 1e4, 1e30])
    @pytest.mark.parametrize("relative", [1.0, 1e-3, 1e-6])
    def test_the_digits_shown_differ(self, scale: float, relative: float) -> None:
        made = result(worst=(entry("W", scale, scale * (1 + relative), scale * 1e-9),))
        (row,) = [row.split() for row in lines(made) if row.startswith("W[2, 1]")]
        analytic, numeric = float(row[2]), float(row[3])
        assert abs(numeric - analytic) == pytest.approx(scale * relative, rel=0.06)

    def test_points_stand_below_each_other(self) -> None:
        made = result(worst=(entry("W", 123.5, -0.25), entry("W", 1.5, 0.5)))
        rows = [row for row in lines(made) if row.startswith("W[2, 1]")]
        assert len({row.index(".") for row in rows}) == 1

    def test_not_a_number_is_listed(self) -> None:
        made = result(worst=(entry("W", math.nan, 1.0),), relative_error=math.nan)
        assert any(row.split()[:3] == ["W[2,", "1]", "nan"] for row in lines(made))


class TestHeadline:
    def test_cause_and_place(self) -> None:
        assert headline(result()) == "sign in W, relative error 5.0e-01"

    def test_worst_entry_where_no_cause_is_known(self) -> None:
        said = "wrong in W, relative error 5.0e-01: W[2, 1] is 1.5, measured -0.25"
        assert headline(result(findings=())) == said

    def test_the_first_thing_about_nan_is_that(self) -> None:
        assert headline(check(Mlp(b1=np.nan))).startswith("not-finite: b1[0]: the claimed")

    def test_always_one_harmless_line(self) -> None:
        made = result(findings=(Finding("sign", ("W\n\x1b[1m",), "a\nb"),))
        assert headline(made).isprintable()


class TestWarning:
    def test_no_figures_but_those_that_matter(self) -> None:
        text = "\n".join(warning(check(Mlp(b1=1 + 4e-4))))
        assert text.startswith("Mlp: suspect in b1, relative error ")
        assert "evaluations" not in text and "cause  factor" in text

    def test_what_could_not_be_tested_is_said_at_once_and_once(self) -> None:
        params = {"a": np.ones(2), "b": np.ones(3)}
        made = check(
            loss=lambda p: float(np.sum(p["a"] ** 2)),
            grads=lambda p: {"a": 2 * p["a"], "b": np.zeros(3)},
            params=params,
        )
        text = " ".join(" ".join(warning(made)).split())
        assert text.startswith("loss: b is untested: ") and text.count("untested") == 1


class TestTravelled:
    @pytest.mark.parametrize("subject", [Mlp(), Mlp(W1=-1), Mlp(b1=np.nan), Holder(np.float64(2))])
    def test_is_the_same_result(self, subject: Any) -> None:
        made = check(subject)
        there = result_of(json.loads(json.dumps(plain_data(made))))
        assert plain(report(there, View())) == failure(made)

    def test_numbers_that_json_has_not(self) -> None:
        made = plain_data(check(Mlp(b1=np.nan)))
        made["relative_error"], made["blocks"][1]["uncertainty"] = "NaN", "Infinity"
        there = result_of(made)
        assert math.isnan(there.relative_error) and there.blocks[1].uncertainty == math.inf


def record(test: str, status: str = "pass", error: float = 1e-9, **changed: Any) -> dict[str, Any]:
    made = result(status=status, relative_error=error).as_dict()
    return {"test": test, "seed": 1, **made, **changed}


class TestSummary:
    records = (
        record("t.py::right"),
        record("t.py::wrong", "fail", 0.1),
        record("t.py::worse", "fail", 0.2),
        record("t.py::nan", "fail", math.nan),
        record("t.py::doubtful", "warn", 1e-4),
    )

    def shown(self, **how: Any) -> list[str]:
        return plain(summary_lines(self.records, **how))

    def test_worst_first(self) -> None:
        names = [row.split()[-2].partition("::")[2] for row in self.shown()[1:-1]]
        assert names == ["nan", "worse", "wrong", "doubtful", "right"]

    def test_order_in_which_they_came_does_not_matter(self) -> None:
        assert plain(summary_lines(self.records[::-1])) == self.shown()

    def test_totals(self) -> None:
        assert self.shown()[-1] == "5 checks: 3 fail, 1 warn, 1 pass; 500 evaluations, 2.5 s"

    def test_only_so_many(self) -> None:
        rows = self.shown(rows=2)
        assert len(rows) == 5
        assert rows[-2] == "(3 more: 1 fail, 1 warn, 1 pass)"

    def test_a_line_says_all(self) -> None:
        row = self.shown()[2].split()
        assert row == ["FAIL", "2.00e-01", "±", "1e-08", "16", "100", "0.5s", "t.py::worse", "sign"]

    def test_columns_stand_below_each_other(self) -> None:
        rows = self.shown()[1:-1]
        assert len({row.index("t.py") for row in rows}) == 1

    def test_fits_by_shorter_names(self) -> None:
        long = [
            record(f"tests/somewhere/test_module.py::test_of[{i}-{'x' * 40}]") for i in range(3)
        ]
        rows = plain(summary_lines(long, width=80))
        assert max(map(columns, rows)) <= 80
        assert len(set(rows[1:-1])) == 3

    def test_further_checks_of_a_test_are_numbered(self) -> None:
        rows = plain(summary_lines([record("t.py::a"), record("t.py::a")]))
        assert "t.py::a (2)" in rows[2]

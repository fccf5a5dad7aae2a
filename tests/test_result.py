"""What a result offers by itself: figure, table, and the look of it in a notebook."""

from __future__ import annotations

import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from models import Holder, Mlp

from pytest_gradcheck import Result, check

NASTY = '<script>alert("1")</script>$x^2$ & \udc80'


class Tags(HTMLParser):
    """Tags and text of a piece of HTML, every tag closed."""

    VOID = ("img", "meta", "link", "input", "wbr")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


class TestPrinted:
    def test_is_the_report(self) -> None:
        lines = str(check(Mlp(W1=-1.0))).splitlines()
        assert lines[0].startswith("FAIL   Mlp: relative error")
        assert any("cause  sign: " in line for line in lines)
        assert max(map(len, lines)) <= 80

    def test_the_fields_are_in_repr(self) -> None:
        assert repr(check(Mlp())).startswith("Result(status='pass', relative_error=")


class TestPlot:
    @pytest.fixture(autouse=True)
    def _drawing(self) -> None:
        pytest.importorskip("matplotlib")

    def drawn(self, result: Result) -> Any:
        figure = result.plot()
        figure.canvas.draw()
        return figure

    def test_shows_the_three_pictures(self) -> None:
        figure = self.drawn(check(Mlp(W1=-1.0), study=True))
        titles = [axes.get_title(loc=loc) for axes in figure.axes for loc in ("left", "center")]
        assert [title for title in titles if title] == [
            "W1 (3 × 4)",
            "b1 (1 × 4, agrees)",
            "W2 (4 × 2, agrees)",
            "b2 (1 × 2, agrees)",
            "Claimed against measured",
            "Step-size study of W1[0, 1]",
        ]
        study = figure.axes[-1]
        labels = [text.get_text() for text in study.get_legend().get_texts()]
        assert {"rounding, 1/h", "truncation, h²", "how far the claim is off"} <= set(labels)

    def test_says_how_to_get_the_study(self) -> None:
        figure = self.drawn(check(Mlp()))
        assert "study=True" in figure.axes[-1].texts[0].get_text()

    @pytest.mark.parametrize(
        "params",
        [
            np.array(1.0),
            {"a": np.ones((0, 2)), "b": np.ones(2)},
            {f"p{i}": np.ones((2, 2)) for i in range(20)},
            {NASTY: 1.0},
        ],
        ids=["scalar", "empty", "many", "odd name"],
    )
    def test_of_any_parameters(self, params: Any) -> None:
        self.drawn(check(Holder(params), study=True))

    def test_opens_no_window_and_leaves_pyplot_alone(self) -> None:
        code = (
            "import numpy, sys, pytest_gradcheck as p;"
            " p.check(loss=lambda x: float(x @ x), grads=lambda x: 2 * x, params=numpy.ones(2))"
            ".plot(); print('matplotlib.pyplot' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "False"


class TestFrame:
    def test_has_a_row_for_every_parameter(self) -> None:
        pytest.importorskip("pandas")
        result = check(Mlp(W1=-1.0))
        frame = result.to_frame()
        assert list(frame.index) == ["W1", "b1", "W2", "b2"]
        assert frame.loc["W1", "status"] == "fail"
        assert frame.loc["W1", "shape"] == (3, 4)
        assert frame["size"].sum() == result.size
        assert frame["relative_error"].max() == pytest.approx(1)


@pytest.mark.parametrize(("method", "package"), [("plot", "matplotlib"), ("to_frame", "pandas")])
def test_without_its_package_it_says_what_to_install(
    method: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match="python -m pip install"):
        getattr(check(Mlp()), method)()


class TestNotebook:
    def test_shows_verdict_cause_and_worst_entries(self) -> None:
        shown = Tags(check(Mlp(W1=-1.0))._repr_html_())
        assert "✕ fail" in shown.text
        assert "sign" in shown.text
        assert "W1[0, 1]" in shown.text
        assert shown.tags.count("table") == 2
        assert shown.tags.count("img") == 1

    def test_of_a_pass_is_short(self) -> None:
        shown = Tags(check(Mlp())._repr_html_())
        assert "✓ pass" in shown.text
        assert shown.tags.count("table") == 1

    def test_escapes_names(self) -> None:
        shown = Tags(check(Holder({NASTY: np.ones(2)}, factor=2.0))._repr_html_())
        assert "script" not in shown.tags
        assert '<script>alert("1")</script>' in shown.text

    def test_is_bounded(self) -> None:
        many = check(Holder({f"p{i}": np.ones(2) for i in range(40)}, factor=2.0), worst=80)
        assert len(many._repr_html_()) < 12_000

    def test_needs_neither_jinja_nor_matplotlib(self) -> None:
        code = (
            "import sys; sys.modules.update(jinja2=None, matplotlib=None, markupsafe=None)\n"
            "import numpy, pytest_gradcheck as p\n"
            "print(p.check(loss=lambda x: float(x @ x), grads=lambda x: x, params=numpy.ones(2))"
            "._repr_html_())"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert "fail" in done.stdout


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_pytest_html_shows_what_did_not_pass(
    run: Any, pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    pytest.importorskip("pytest_html")
    if workers:
        pytest.importorskip("xdist")
    source = """
        from models import Mlp

        def test_wrong(gradcheck):
            gradcheck(Mlp(W1=-1.0))

        def test_right(gradcheck):
            gradcheck(Mlp())
    """
    run(source, "--html=report.html", "--self-contained-html", *workers)
    report = (pytester.path / "report.html").read_text(encoding="utf-8")
    assert unescape(report).count('class=\\"gradcheck\\"') == 1

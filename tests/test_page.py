"""The page as text: complete, escaped, self-contained, the same from workers."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import Holder, Mlp
from test_records import CHECKS, Run
from test_result import NASTY, Tags

from pytest_gradcheck import check
from pytest_gradcheck.core.result import Finding
from pytest_gradcheck.report.record import Record, record_of

pytest.importorskip("jinja2")

ADDRESS = re.compile(r"""(?:src|href|action|data|poster)\s*=\s*["']?([^"'\s>]+)|url\(([^)]+)\)""")


def made(*records: Record) -> str:
    from pytest_gradcheck.report.page import page

    return page(records)


def record(subject: Any, test: str = "test_it.py::test_it", **options: Any) -> Record:
    return record_of(check(subject, study=True, **options), test=test, command=f"pytest {test}")


@pytest.fixture(scope="module")
def three() -> str:
    return made(
        record(Mlp(W1=-1.0), "a.py::wrong"),
        record(Mlp(b1=1 + 1e-5), "a.py::suspect"),
        record(Mlp(), "a.py::right"),
    )


class TestContents:
    def test_worst_first(self, three: str) -> None:
        order = re.findall(r'<tr data-status="(\w+)"', three)
        assert order == ["fail", "warn", "pass"]

    def test_every_check_has_its_tables_and_pictures(self, three: str) -> None:
        page = Tags(three)
        assert page.tags.count("details") == 3
        assert page.tags.count("table") == 1 + 3 * 2
        assert page.tags.count("svg") == 3 * 2
        assert page.tags.count("img") == 3 * 4

    def test_says_what_is_wrong(self, three: str) -> None:
        text = Tags(three).text
        assert "the gradient of W1 has the wrong sign" in text
        assert "certainly wrong in 12 of 12 cells" in three
        assert "pytest a.py::wrong" in text

    def test_without_checks(self) -> None:
        assert "No gradient was checked" in Tags(made()).text

    def test_with_a_study_that_was_not_measured(self) -> None:
        without = record_of(check(Mlp(W1=-1.0)), views=False)
        page = Tags(made(without))
        assert "svg" not in page.tags

    @pytest.mark.parametrize(
        "subject",
        [
            Holder({"x": np.ones((0, 3)), "y": np.ones(2)}),
            Holder(np.array(2.0)),
            Holder({f"p{i}": np.ones(2) for i in range(100)}),
            Mlp(W1=np.nan),
            Mlp(W1=np.inf),
            Holder(np.ones(6_000), factor=1.5),
        ],
        ids=["empty", "scalar", "many", "nan", "inf", "probes"],
    )
    def test_of_any_check(self, subject: Any) -> None:
        page = made(record(subject))
        assert Tags(page)
        cells = re.findall(r"<t[dh][^>]*>([^<]*)", page)
        assert not {"None", "nan", "inf", "-inf", "Undefined"} & {cell.strip() for cell in cells}

    def test_stays_small(self) -> None:
        large = Holder({f"p{i}": np.ones((60, 70)) for i in range(12)}, factor=1.5)
        assert len(made(record(large))) - len(made()) < 60_000


class TestSafety:
    def test_whatever_users_write_is_text(self) -> None:
        finding = Finding(NASTY, (NASTY,), NASTY, {})
        result = check(
            Holder({NASTY: np.ones(2)}, factor=2.0),
            study=True,
            findings=[lambda situation: [finding]],
        )
        shown = record_of(result, test=f"a.py::{NASTY}", command=NASTY)
        shown["title"] = shown["headline"] = NASTY
        page = made(shown)
        assert Tags(page).tags.count("script") == 1
        assert "<script>alert" not in page
        assert Tags(page).text.count('<script>alert("1")</script>') > 8

    def test_only_its_own_script_may_run(self, three: str) -> None:
        (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', three)
        (script,) = re.findall(r"<script>(.*?)</script>", three, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert "default-src &#39;none&#39;" in policy
        assert f"script-src &#39;sha256-{digest}&#39;" in policy

    def test_refers_to_nothing_outside(self, three: str) -> None:
        addresses = {next(filter(None, found)) for found in ADDRESS.findall(three)}
        assert addresses
        assert all(address.startswith(("#", "data:")) for address in addresses)
        assert "http:" not in three
        assert "https:" not in three

    def test_large_pages_are_as_safe(self) -> None:
        shown = record(Holder({NASTY: np.ones(2)}, factor=2.0))
        page = made(*(Record(**{**shown, "test": str(i)}) for i in range(120)))
        assert page.count("</script>") == 120 + 1
        assert page.count("<script") == 120 + 1


class TestOption:
    def test_page_is_the_same_from_workers(self, run: Run, pytester: pytest.Pytester) -> None:
        pytest.importorskip("xdist")
        run(CHECKS, "--gradcheck-html=alone.html")
        run(CHECKS, "--gradcheck-html=workers.html", "-n", "2")
        pages = [without_seconds(pytester.path / f"{name}.html") for name in ("alone", "workers")]
        assert pages[0].count("<details") == 8
        assert pages[0] == pages[1]

    def test_only_the_page_asks_for_studies(self, run: Run, pytester: pytest.Pytester) -> None:
        source = """
            import pytest
            from models import Mlp

            def test_asked(gradcheck):
                assert gradcheck(Mlp()).study is not None

            def test_declined(gradcheck):
                assert gradcheck(Mlp(), study=False).study is None
        """
        run(source, "--gradcheck-html=out/page.html").assert_outcomes(passed=2)
        run(source).assert_outcomes(passed=1, failed=1)
        assert (pytester.path / "out" / "page.html").exists()

    @pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
    def test_without_jinja_it_says_so_before_any_test(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, workers: tuple[str, ...]
    ) -> None:
        monkeypatch.setattr("pytest_gradcheck.options.find_spec", lambda name: None)
        result = run(CHECKS, "--gradcheck-html=page.html", *workers)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            ['ERROR: gradcheck_html: *pip install "pytest-gradcheck?report?"']
        )


def without_seconds(path: Path) -> str:
    page = path.read_text(encoding="utf-8")
    page = re.sub(r'(<td class="figure more seconds" data-v=)"[^"]*">[^<]*', r"\1", page)
    return re.sub(r'(<dd class="seconds">)[^<]*', r"\1", page)

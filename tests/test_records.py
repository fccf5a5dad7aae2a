"""The record of a check: complete, valid JSON whatever it holds, the same from workers."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import Holder, Mlp

from pytest_gradcheck import check
from pytest_gradcheck.core.result import Finding
from pytest_gradcheck.report.document import as_text, document
from pytest_gradcheck.report.portable import portable
from pytest_gradcheck.report.record import SCHEMA, Record, in_order, record_of, worst_first

CHECKS = """
    import numpy as np
    import pytest
    from models import Holder, Mlp

    @pytest.mark.parametrize("case", [2, 10, "a b/ü"])
    def test_several(gradcheck, case):
        gradcheck(Mlp())
        gradcheck(Holder({"x": np.ones(3)}))

    def test_wrong(gradcheck):
        gradcheck(Mlp(W1=-1.0))

    def test_large(gradcheck):
        gradcheck(Holder({"x": np.ones(6_000)}))

    def test_ordinary():
        pass
"""
Run = Callable[..., pytest.RunResult]


def read(path: Path) -> dict[str, Any]:
    """A file of records, held against its schema; NaN is no JSON."""

    def refuse(name: str) -> None:
        raise AssertionError(name)

    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    validate(found)
    return found


def validate(found: dict[str, Any]) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(found)


def without_seconds(found: dict[str, Any]) -> dict[str, Any]:
    for record in found["checks"]:
        assert record.pop("seconds") >= 0
    return found


class TestFile:
    def test_holds_every_check_in_order(self, run: Run, pytester: pytest.Pytester) -> None:
        result = run(CHECKS, "--gradcheck-json=out.json", "-k", "not ordinary")
        result.assert_outcomes(passed=4, failed=1)
        result.stdout.fnmatch_lines([f"*gradient checks: {pytester.path / 'out.json'}*"])
        found = read(pytester.path / "out.json")
        names = [
            (record["test"].partition("::")[2], record["number"]) for record in found["checks"]
        ]
        assert names == [
            ("test_large", 0),
            *[(f"test_several[{case}]", n) for case in ("2", "10") for n in (0, 1)],
            *[("test_several[a b/\\xfc]", n) for n in (0, 1)],
            ("test_wrong", 0),
        ]
        assert found["totals"] | {"evaluations": 0} == {
            "checks": 8, "pass": 7, "warn": 0, "fail": 1, "evaluations": 0
        }  # fmt: skip
        wrong = found["checks"][-1]
        assert (wrong["cause"], wrong["size"]) == ("sign", 26)
        assert "sign" in wrong["headline"]

    def test_is_the_same_from_workers(self, run: Run, pytester: pytest.Pytester) -> None:
        pytest.importorskip("xdist")
        run(CHECKS, "--gradcheck-json=alone.json")
        run(CHECKS, "--gradcheck-json=workers.json", "-n", "2")
        alone, workers = (read(pytester.path / f"{name}.json") for name in ("alone", "workers"))
        assert len(alone["checks"]) == 8
        assert without_seconds(alone) == without_seconds(workers)

    def test_command_runs_the_test_again(self, run: Run, pytester: pytest.Pytester) -> None:
        run(CHECKS, "--gradcheck-json=first.json", "--gradcheck-warn=1e-6")
        commands = [record["command"] for record in read(pytester.path / "first.json")["checks"]]
        assert commands[-1].endswith("pytest test_inner.py::test_wrong --gradcheck-warn=1e-06")
        assert "'test_inner.py::test_several[a b/\\xfc]'" in commands[-2]

    def test_is_named_in_the_ini_file(self, run: Run, pytester: pytest.Pytester) -> None:
        pytester.makeini("[pytest]\ngradcheck_json = out.json\n")
        run(CHECKS, "-k", "wrong")
        assert read(pytester.path / "out.json")["totals"]["checks"] == 1

    def test_is_written_without_checks_too(self, run: Run, pytester: pytest.Pytester) -> None:
        run(CHECKS, "-k", "ordinary", "--gradcheck-json=out.json")
        assert read(pytester.path / "out.json")["checks"] == []

    def test_is_not_written_when_tests_are_only_collected(
        self, run: Run, pytester: pytest.Pytester
    ) -> None:
        (pytester.path / "out.json").write_text("last run")
        run(CHECKS, "--collect-only", "--gradcheck-json=out.json")
        assert (pytester.path / "out.json").read_text() == "last run"

    def test_lies_where_it_was_asked_for_wherever_tests_go(
        self, run: Run, pytester: pytest.Pytester
    ) -> None:
        away = """
            import os
            from models import Mlp

            def test_away(gradcheck, tmp_path):
                os.chdir(tmp_path)
                gradcheck(Mlp())
        """
        run(away, "--gradcheck-json=new/folder/out.json")
        assert read(pytester.path / "new" / "folder" / "out.json")["totals"]["pass"] == 1
        assert os.listdir(pytester.path / "new" / "folder") == ["out.json"]

    def test_checks_of_a_fixture_count(self, run: Run, pytester: pytest.Pytester) -> None:
        source = """
            import pytest
            from models import Mlp

            @pytest.fixture
            def checked(gradcheck):
                gradcheck(Mlp(b1=-1.0))

            @pytest.fixture
            def twice(gradcheck):
                gradcheck(Mlp())
                yield
                gradcheck(Mlp())

            def test_never_runs(checked):
                pass

            def test_runs(twice, gradcheck):
                gradcheck(Mlp())
        """
        run(source, "--gradcheck-json=out.json").assert_outcomes(passed=1, errors=1)
        found = read(pytester.path / "out.json")["checks"]
        assert [(r["status"], r["number"]) for r in found] == [
            ("fail", 0),
            ("pass", 0),
            ("pass", 1),
            ("pass", 2),
        ]

    def test_the_last_run_of_a_test_counts(self, run: Run, pytester: pytest.Pytester) -> None:
        pytester.makeconftest(
            """
            from _pytest.runner import runtestprotocol

            def pytest_runtest_protocol(item, nextitem):
                item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
                for report in runtestprotocol(item, nextitem=nextitem, log=False):
                    report.outcome = "rerun" if report.failed else report.outcome
                    item.ihook.pytest_runtest_logreport(report=report)
                item._initrequest()
                runtestprotocol(item, nextitem=nextitem)
                return True

            def pytest_report_teststatus(report):
                return ("rerun", "R", "RERUN") if report.outcome == "rerun" else None
            """
        )
        source = """
            from models import Mlp
            signs = [-1.0, 1.0]

            def test_flaky(gradcheck):
                gradcheck(Mlp(b1=signs.pop(0)))
        """
        run(source, "--gradcheck-json=out.json").assert_outcomes(passed=1)
        (record,) = read(pytester.path / "out.json")["checks"]
        assert (record["status"], record["number"]) == ("pass", 0)


class TestPath:
    def test_that_is_a_folder(self, run: Run, pytester: pytest.Pytester) -> None:
        (pytester.path / "there").mkdir()
        result = run(CHECKS, "--gradcheck-json=there")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            ["ERROR: gradcheck_json: *there is a folder; name a file in it"]
        )

    def test_below_a_file(self, run: Run, pytester: pytest.Pytester) -> None:
        (pytester.path / "there").write_text("")
        result = run(CHECKS, "--gradcheck-json=there/out.json")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["ERROR: gradcheck_json: *its folder cannot be made*"])

    def test_that_vanished_is_told_at_the_end(self, run: Run, pytester: pytest.Pytester) -> None:
        source = """
            import pathlib

            def test_in_the_way():
                pathlib.Path("out.json").mkdir()
        """
        result = run(source, "--gradcheck-json=out.json")
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(["--gradcheck-json: *out.json: *"])
        assert result.ret != 0
        assert sorted(p.name for p in pytester.path.glob("*out*")) == ["out.json"]


def record(result: Any, **words: Any) -> Record:
    return record_of(result, **words)


class TestRecord:
    def test_of_what_is_not_finite(self) -> None:
        class Broken(Mlp):
            def grads(self, *args: Any) -> dict[str, np.ndarray]:
                found = super().grads()
                found["b1"][:] = [np.nan, np.inf, -np.inf, 1]
                return found

        made = record(check(Broken()))
        assert made["relative_error"] == "NaN"
        assert {"NaN", "Infinity", "-Infinity"} <= {entry["analytic"] for entry in made["worst"]}
        validate(json.loads(as_text(document([made]))))

    @settings(max_examples=30)
    @given(name=st.text() | st.text(st.characters(categories=["Cs", "Cc"])))
    def test_of_any_name(self, name: str) -> None:
        found = check(Holder({name: np.ones(2)}))
        made = record(found, test=name, command=name)
        text = as_text(document([made])).encode("utf-8")
        validate(json.loads(text))

    def test_of_evidence_of_any_kind(self) -> None:
        class Opaque:
            def __repr__(self) -> str:
                return "<opaque \udc80>"

        evidence = {
            "array": np.eye(2), "scalar": np.float32(0.5), "tuple": (1, np.int64(2)),
            "object": Opaque(), 3: None, "set": {1}, "true": np.True_, "complex": 1j,
        }  # fmt: skip
        found = check(Mlp(), findings=[lambda situation: [Finding("mine", (), "m", evidence)]])
        (finding,) = record(found)["findings"]
        assert finding["evidence"] == {
            "array": [[1, 0], [0, 1]], "scalar": 0.5, "tuple": [1, 2],
            "object": "<opaque \\udc80>", "3": None, "set": "{1}", "true": True, "complex": "1j",
        }  # fmt: skip

    def test_worst_first(self) -> None:
        results = [check(Mlp(b1=factor)) for factor in (1, 1 + 1e-5, 1.1, math.nan, -1)]
        records = [record(result, test=str(i)) for i, result in enumerate(results)]
        assert [r["test"] for r in sorted(records, key=worst_first)] == ["3", "4", "2", "1", "0"]


@given(st.lists(st.text(alphabet="a0123٣[ "), max_size=6))
def test_any_names_can_be_sorted(names: list[str]) -> None:
    template = record(check(Holder(np.ones(1))))
    records = [Record(**{**template, "test": name}) for name in names]
    backwards = records[::-1]
    ordered = [r["test"] for r in sorted(records, key=in_order)]
    assert ordered == [r["test"] for r in sorted(backwards, key=in_order)]


numbers = st.floats() | st.integers() | st.booleans() | st.none()
plain = st.recursive(
    numbers | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(plain)
def test_anything_is_portable(value: Any) -> None:
    text = json.dumps(portable(value), allow_nan=False)
    assert json.loads(text) == portable(value) == portable(portable(value))

"""What is seen on pytest's terminal: width, colours, characters; with workers as without."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

WRONG = """
    import numpy as np
    import pytest
    from models import Holder, Mlp

    @pytest.mark.parametrize("name", ["a b", "it's", "[x]"])
    def test_net(gradcheck, name):
        gradcheck(Mlp(b1=1.1))
"""
MANY = """
    import numpy as np
    from models import Holder

    def test_many(gradcheck):
        params = {f"encoder.layers.{i}.attention.weight": np.ones(2) + i for i in range(20)}
        gradcheck(Holder(params, factor=1.1))
"""
PENALTY = """
    import numpy as np
    import pytest

    class Ridge:
        def __init__(self, weight):
            self.weight = weight
            self.params = {"W": np.random.default_rng(0).normal(size=(4, 3))}

        def loss(self):
            penalty = self.weight / 2 * np.sum(self.params["W"] ** 2)
            return np.sum(np.tanh(self.params["W"])) + penalty

        def grads(self):  # without that of the penalty
            return {"W": 1 - np.tanh(self.params["W"]) ** 2}

    @pytest.mark.gradcheck
    @pytest.mark.parametrize("weight", [0.1, 1e-4])
    def test_fails_and_warns(weight):
        return Ridge(weight)
"""
ESCAPE = re.compile("\x1b\\[[0-9;]*m")


def failure(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("E  ")]


def without_figures(lines: list[str]) -> list[str]:
    return [re.sub(r"[\d,.]+ ?s", "", line) for line in lines]


class TestWidth:
    @pytest.mark.parametrize("columns", [80, 120])
    def test_of_the_terminal_is_kept(
        self, run: Any, monkeypatch: pytest.MonkeyPatch, columns: int
    ) -> None:
        inner = run  # the fixture sets a width of its own
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = failure(inner(MANY).outlines)
        assert lines and max(map(len, lines)) <= columns

    def test_a_message_of_what_cannot_be_checked_is_broken_too(
        self, run: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        lines = failure(run("def test_three(gradcheck):\n    gradcheck(3.0)").outlines)
        assert lines[0].startswith("E   ERROR  got a float, which is nothing to check")
        assert len(lines) > 2 and max(map(len, lines)) <= 80


class TestColour:
    def test_repeats_what_the_text_says(self, run: Any) -> None:
        bare = failure(run(WRONG, "-k", "x", "--color=no").outlines)
        coloured = run(WRONG, "-k", "x", "--color=yes").outlines
        stripped = failure([ESCAPE.sub("", line) for line in coloured])
        assert without_figures(stripped) == without_figures(bare)

    def test_is_there_where_asked_for(self, run: Any) -> None:
        lines = run(WRONG, "-k", "x", "--color=yes").outlines
        (verdict,) = (line for line in lines if "FAIL   " in line)
        assert "\x1b[31m" in verdict
        (row,) = (line for line in lines if re.search(r"W2 +4×2", line))
        assert "\x1b[32m" in row  # it passes

    def test_is_not_where_not(self, run: Any) -> None:
        text = run(WRONG, "-k", "x", "--color=no", "--gradcheck-summary").stdout.str()
        assert "\x1b" not in text

    def test_comes_through_workers(self, run: Any) -> None:
        options = ("--color=yes", "-k", "x", "--gradcheck-summary")
        seen = []
        for how in (("-p", "no:xdist"), ("-n1",)):
            lines = run(WRONG, *options, *how).outlines
            seen.append([line for line in lines if "E   " in line or "FAIL  " in line])
        alone, workers = map(without_figures, seen)
        assert len(alone) > 15 and alone == workers


class TestVerbosity:
    def test_v_shows_more(self, run: Any) -> None:
        counts = []
        for option in ("-q", "--verbosity=0", "-v", "-vv"):
            lines = failure(run(MANY, option).outlines)
            counts.append(sum("FAIL" in line for line in lines) - 1)
            assert any("analytic norm" in line for line in lines) == (option == "-vv")
            assert any("(8 more: 8 fail" in line for line in lines) == (option[1] in "q-")
        assert counts == [12, 12, 20, 20]


class TestStyles:
    @pytest.mark.parametrize("style", ["long", "short", "auto"])
    def test_message_is_the_same(self, run: Any, style: str) -> None:
        result = run(WRONG, "-k", "x", f"--tb={style}", "--showlocals")
        lines = failure(result.outlines)
        assert lines[0].startswith("E   FAIL   Mlp: ") and "cause  factor" in "".join(lines)
        result.stdout.fnmatch_lines(["*test_inner.py:7: *"])
        result.stdout.fnmatch_lines(["name *= '[[]x]'"])

    def test_native_traceback_has_the_whole_message(self, run: Any) -> None:
        result = run(MANY, "--tb=native")
        result.stdout.fnmatch_lines(["pytest_gradcheck.GradcheckError: FAIL   Holder: *"])
        assert result.stdout.str().count("encoder.layers.19.attention.weight  ") == 1

    def test_value_style(self, run: Any) -> None:
        run(WRONG, "-k", "x", "--tb=line").stdout.fnmatch_lines(
            ["*test_inner.py:7: factor in b1, relative error *"]
        )

    def test_files_get_the_whole_message(self, run: Any, pytester: pytest.Pytester) -> None:
        run(MANY, "--junitxml=junit.xml", "--color=yes")
        (failed,) = ElementTree.parse(pytester.path / "junit.xml").iter("failure")
        assert failed.text is not None and "\x1b" not in failed.text
        assert failed.text.count("attention.weight  ") == 20
        assert str(failed.get("message")).startswith(
            "wrong in encoder.layers.0.attention.weight and 19 more"
        )


class TestCharacters:
    def test_a_terminal_of_ascii(
        self, pytester: pytest.Pytester, run: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run(WRONG, "--collect-only")  # writes the file
        monkeypatch.setenv("PYTHONIOENCODING", "ascii")
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", "x"]
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        text = subprocess.run(command, capture_output=True, check=False).stdout.decode("ascii")
        assert re.search(r"E   b1             4  FAIL    \S+ \+- \S+  =====", text), text
        assert "\\u" not in text and "\\x" not in text

    @pytest.mark.parametrize("how", [(), ("-n1",), ("--tb=native",)], ids=str)
    def test_what_is_spelt_out_fits(
        self, pytester: pytest.Pytester, run: Any, monkeypatch: pytest.MonkeyPatch, how: Any
    ) -> None:
        run(PENALTY, "--collect-only")
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setenv("PYTHONIOENCODING", "ascii")
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--gradcheck-summary"]
        text = subprocess.run([*command, *how], capture_output=True, check=False).stdout
        lines = text.decode("ascii").splitlines()
        assert sum("lambda/2 theta^2" in line for line in lines) == 2, lines
        assert not any(escape in line for line in lines for escape in ("\\u", "\\x", "\\n"))
        if how != ("--tb=native",):  # a traceback of Python's has whole sentences
            ours = [line for line in lines if line.startswith(("E ", "  ")) and ".py:" not in line]
            assert max(map(len, ours)) <= 80
            heads = [line for line in ours if "+-  difference" in line]
            rows = [line for line in ours if re.search(r"\[\d, \d\] .*[+-]\d\.\d\de-", line)]
            assert len({len(line) - 2 * line.startswith("E") for line in heads + rows}) == 1

    def test_names_cannot_steer_the_terminal(self, run: Any) -> None:
        result = run(
            """
            import numpy as np
            from models import Holder

            def test_net(gradcheck):
                gradcheck(Holder({"\\x1b[2J\\rW": np.ones(3)}, factor=-1.0))
            """
        )
        assert "\x1b" not in result.stdout.str() and "\r" not in result.stdout.str()
        result.stdout.fnmatch_lines([r"E   \x1b[[]2J\rW *"])


class TestAgain:
    @pytest.mark.parametrize("place", [".", "sub"])
    def test_the_command_runs_this_test_alone(
        self, run: Any, pytester: pytest.Pytester, place: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (pytester.path / "sub").mkdir()
        (pytester.path / "pytest.ini").write_text("[pytest]\n")
        run(WRONG, "--collect-only")
        monkeypatch.chdir(pytester.path / place)
        target = str(pytester.path / "test_inner.py")
        options = ("-p", "no:cacheprovider", "--gradcheck-worst=3", "--gradcheck-refine=no")
        first = pytester.runpytest_inprocess(target, *options)
        commands = [m[1] for m in (re.match("E   again  (.*)", r) for r in first.outlines) if m]
        assert len(commands) == 3
        for command in commands:
            words = shlex.split(command)
            assert words[0] == "pytest" and words[2:] == [
                "--gradcheck-refine=no",
                "--gradcheck-worst=3",
            ]
            pytester.runpytest_inprocess(*words[1:]).assert_outcomes(failed=1)

    def test_the_path_is_a_whole_one_where_pytest_was_called_on_another_drive(
        self, run: Any, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def on_another_drive(path: Any, start: Any) -> str:
            raise ValueError("path is on mount 'C:', start on mount 'D:'")

        monkeypatch.setattr("pytest_gradcheck.again.os.path.relpath", on_another_drive)
        commands = [line for line in run(WRONG).outlines if line.startswith("E   again  ")]
        assert len(commands) == 3
        assert all(f"{pytester.path / 'test_inner.py'}::test_net[" in line for line in commands)


class TestSummary:
    def test_is_the_same_with_workers(self, run: Any) -> None:
        def summary(*how: str) -> list[str]:
            lines = run(WRONG, "--gradcheck-summary=2", *how).outlines
            start = next(i for i, line in enumerate(lines) if " gradient checks " in line)
            return [re.sub(r" +[\d.]+ ?s\b", "", line) for line in lines[start + 1 : start + 6]]

        alone, workers = summary("-p", "no:xdist"), summary("-n2")
        assert alone == workers
        assert [line.split()[0] for line in alone] == ["status", "FAIL", "FAIL", "(1", "3"]

    def test_leaves_paths_alone(self, run: Any, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(test_other="def test_other(): assert False")
        run(WRONG, "--gradcheck-summary", "test_inner.py").assert_outcomes(failed=3)
        pytester.makeini("[pytest]\naddopts = --gradcheck-summary")
        result = run(WRONG, "test_inner.py")
        result.assert_outcomes(failed=3)
        result.stdout.fnmatch_lines(["3 checks: 3 fail; *"])

    def test_no_lines_are_refused(self, run: Any) -> None:
        result = run(WRONG, "--gradcheck-summary=0")
        assert result.ret == pytest.ExitCode.USAGE_ERROR

"""The plugin as its users see it: marker, report, summary, exit codes."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from pytest_gradcheck import (
    GradcheckError,
    GradcheckWarning,
    SettingsError,
    SubjectError,
    session,
)
from pytest_gradcheck.options import LAYERS, RECORDS, REPORTED
from pytest_gradcheck.returned import _of_several, require_servable
from pytest_gradcheck.session import failure_of

XDIST = [("-p", "no:xdist"), ("-n2",)]
"""Reporting must be the same with and without workers."""


def with_and_without_workers(test: Any) -> Any:
    return pytest.mark.parametrize("workers", XDIST, ids=["one process", "workers"])(test)


HEAD = """
    import numpy as np
    import pytest
    from models import Holder, Mlp
"""


class TestReturnedObject:
    def test_right_and_wrong_gradient(self, run: Any) -> None:
        run(
            HEAD
            + """
    @pytest.mark.gradcheck
    def test_right():
        return Mlp()

    @pytest.mark.gradcheck(eps=1e-6, tol=1e-6)
    def test_wrong():
        return Mlp(b1=1.1)
    """
        ).assert_outcomes(passed=1, failed=1)

    def test_settings_of_the_marker_hold(self, run: Any) -> None:
        run(
            HEAD
            + """
    @pytest.mark.gradcheck(tol=0.5)
    def test_loose():
        return Mlp(b1=1.1)
    """
        ).assert_outcomes(passed=1)

    def test_methods_and_parametrised_tests(self, run: Any) -> None:
        run(
            HEAD
            + """
    class TestNets:
        scale = 1.0

        @pytest.mark.gradcheck
        @pytest.mark.parametrize("b1", [1.0, 1.1, 2.0])
        def test_net(self, b1, tmp_path):
            return Mlp(b1=b1 * self.scale)
    """
        ).assert_outcomes(passed=1, failed=2)

    @pytest.mark.parametrize("form", ["({})", "[{}]"], ids=["tuple", "list"])
    @pytest.mark.parametrize(
        ("objects", "passed"),
        [("Mlp(), Mlp()", 1), ("Mlp(), Mlp(b1=1.1)", 0), ("Mlp(b1=1.1), Mlp()", 0)],
    )
    def test_each_of_several_is_checked(
        self, run: Any, form: str, objects: str, passed: int
    ) -> None:
        run(
            HEAD
            + f"""
    @pytest.mark.gradcheck
    def test_nets():
        return {form.format(objects)}
    """
        ).assert_outcomes(passed=passed, failed=1 - passed)

    @pytest.mark.parametrize(
        ("factors", "told"),
        [
            ("1.1, 1.0, 1.2", "FAIL   Mlp, object 1 of 3 (2 to 3 not checked): relative error"),
            ("1.0, 1.1, 1.2", "FAIL   Mlp, object 2 of 3 (3 not checked): relative error"),
            ("1.0, 1.0, 1.2", "FAIL   Mlp, object 3 of 3: relative error"),
            ("1.0, 1 + 4e-4, 1.0", "GradcheckWarning: Mlp, object 2 of 3: suspect in"),
            ("1.1", "FAIL   Mlp: relative error"),
        ],
    )
    def test_which_of_several_it_is_and_what_is_left(
        self, run: Any, factors: str, told: str
    ) -> None:
        result = run(
            HEAD
            + f"""
    @pytest.mark.gradcheck
    def test_nets():
        return [Mlp(b1=factor) for factor in ({factors},)]
    """
        )
        result.stdout.fnmatch_lines(["*" + told + "*"])

    @pytest.mark.parametrize("options", [(), ("-W", "error")])
    def test_pytest_does_not_see_the_returned_value(
        self, run: Any, options: tuple[str, ...]
    ) -> None:
        result = run(
            HEAD
            + """
    @pytest.mark.gradcheck
    def test_net():
        return Mlp()
    """,
            *options,
        )
        result.assert_outcomes(passed=1, warnings=0)

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ("pass", "nothing was checked: the test must return the object"),
            ("Mlp()", "nothing was checked: the test must return the object"),
            ("return ()", "returned an empty sequence"),
            ("return []", "returned an empty sequence"),
            ("return Mlp", "Mlp is a class"),
            ("return (Mlp(), 3.0)", "got a float, which is nothing to"),
            ("return [None]", "got None"),
        ],
    )
    def test_nothing_to_check_is_no_silent_pass(self, run: Any, body: str, message: str) -> None:
        result = run(
            HEAD
            + f"""
    @pytest.mark.gradcheck
    def test_net():
        {body}
    """
        )
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines([f"*{message}*"])
        result.stdout.no_fnmatch_line("*pytest_gradcheck/*.py*")

    def test_fixture_that_is_never_called_is_no_silent_pass(self, run: Any) -> None:
        result = run(
            HEAD
            + """
    @pytest.mark.gradcheck
    def test_net(gradcheck):
        pass
    """
        )
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*nothing was checked*"])

    @pytest.mark.parametrize("ending", ["pytest.skip('not today')", "pytest.xfail('known')"])
    def test_skipped_inside_stays_skipped(self, run: Any, ending: str) -> None:
        result = run(
            HEAD
            + f"""
    @pytest.mark.gradcheck
    def test_net():
        {ending}
    """
        )
        assert set(result.parseoutcomes()) <= {"skipped", "xfailed"}

    def test_exception_in_the_test_is_the_users_own(self, run: Any) -> None:
        result = run(
            HEAD
            + """
    @pytest.mark.gradcheck
    def test_net():
        raise LookupError("mine")
    """
        )
        result.stdout.fnmatch_lines(["E *LookupError: mine"])
        result.stdout.no_fnmatch_line("*nothing was checked*")

    def test_xfail_mark_is_honoured(self, run: Any) -> None:
        run(
            HEAD
            + """
    @pytest.mark.xfail(strict=True, raises=AssertionError)
    @pytest.mark.gradcheck
    def test_net():
        return Mlp(b1=1.1)
    """
        ).assert_outcomes(xfailed=1)


@pytest.mark.parametrize(
    ("marker", "body", "shown"),
    [
        ("", "x = 1; return", "@pytest.mark.gradcheck"),  # what was not done has no line
        ("(epsi=1)", "return Mlp()", "@pytest.mark.gradcheck(epsi=1)"),
        ("", "return []", "return []"),
        ("", "return 5", "return 5"),
        ("", "return Mlp(b1=1.1)", "return Mlp(b1=1.1)"),
    ],
)
def test_line_that_is_shown(run: Any, marker: str, body: str, shown: str) -> None:
    result = run(
        HEAD
        + f"""
    @pytest.mark.gradcheck{marker}
    def test_net():
        np.ones(2)
        {body}
    """
    )
    assert [line[1:].strip() for line in result.outlines if line.startswith(">")] == [shown]


def test_exception_of_a_loss_is_shown_without_our_frames(run: Any) -> None:
    result = run(
        HEAD
        + """
    class Net(Mlp):
        def loss(self):
            raise LookupError("mine")

    def test_by_fixture(gradcheck):
        gradcheck(Net())

    @pytest.mark.gradcheck
    def test_returned():
        return Net()
    """
    )
    result.assert_outcomes(failed=2)
    assert [x.split() for x in result.outlines].count(["E", "LookupError:", "mine"]) == 2
    result.stdout.no_fnmatch_line("*pytest_gradcheck/*.py*")


def test_exception_of_a_loss_elsewhere_is_shown_without_our_frames(
    run: Any, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        nets="""
    from models import Mlp

    class Net(Mlp):
        def loss(self):
            raise LookupError("mine")
    """
    )
    result = run(
        HEAD
        + """
    from nets import Net

    def test_by_fixture(gradcheck):
        gradcheck(Net())

    @pytest.mark.gradcheck
    def test_returned():
        return Net()
    """
    )
    result.assert_outcomes(failed=2)
    assert [x.split() for x in result.outlines].count(["E", "LookupError:", "mine"]) == 2
    result.stdout.no_fnmatch_line("*pytest_gradcheck/*.py*")
    result.stdout.no_fnmatch_line("*numpy/*.py*")


LOOKS = """
    def looked_at(item):
        function = getattr(item.instance, item.name, None) or item.obj
        print(function.__name__, function.__doc__, inspect.signature(function))
"""


def test_other_plugins_see_the_name_and_the_arguments_of_a_test(
    run: Any, pytester: pytest.Pytester
) -> None:
    pytester.makeconftest(RUN_BY_A_HOOK + LOOKS)
    result = run(
        HEAD
        + """
    import unittest
    import conftest

    @pytest.mark.gradcheck
    def test_plain(request):
        "plain"
        conftest.looked_at(request.node)
        return Mlp()

    @pytest.mark.gradcheck
    async def test_coroutine(request):
        "coroutine"
        conftest.looked_at(request.node)
        return Mlp()

    @pytest.mark.gradcheck
    class TestOld(unittest.IsolatedAsyncioTestCase):
        @pytest.fixture(autouse=True)
        def taken(self, request):
            self.item = request.node

        def test_method(self):
            "method"
            conftest.looked_at(self.item)
            return Mlp()

        async def test_awaited(self):
            "awaited"
            conftest.looked_at(self.item)
            return Mlp()
    """,
        "-s",
    )
    result.assert_outcomes(passed=4)
    lines = result.stdout.str()
    for shown in ("test_plain plain (request)", "test_coroutine coroutine (request)"):
        assert shown in lines
    for shown in ("test_method method ()", "test_awaited awaited ()"):
        assert shown in lines


def test_what_a_marker_cannot_serve_is_refused_before_it_runs() -> None:
    async def generator() -> Any:
        yield

    def item(*marks: str, fixtures: Any = (), function: Any = generator, **settings: Any) -> Any:
        given = [SimpleNamespace(name=name, args=(), kwargs=settings) for name in marks]
        return SimpleNamespace(
            config=SimpleNamespace(stash={LAYERS: []}),
            iter_markers=lambda name: iter([mark for mark in given if mark.name == name]),
            own_markers=given,
            fixturenames=fixtures,
            obj=function,
        )

    for served in (
        item(),
        item("skip"),
        item("gradcheck", fixtures=["gradcheck"]),
        item("gradcheck", function=lambda: None),
        item("gradcheck", function=None),
    ):
        require_servable(served)
    with pytest.raises(SubjectError, match="gradcheck: an async generator returns nothing"):
        require_servable(item("gradcheck"))
    with pytest.raises(SettingsError, match="gradcheck: tol=2: must be in"):
        require_servable(item("gradcheck", fixtures=["gradcheck"], tol=2))


def test_how_a_sequence_was_read_is_told_where_it_may_not_have_been_meant() -> None:
    error = SubjectError("no")
    for value in ([5], (5,), 5, {1: 2, 3: 4}, range(3)):
        assert _of_several(error, value, 1) is error
    told = _of_several(SettingsError("no"), (5, 6), 2)
    assert isinstance(told, SettingsError)
    expected = "no (object 2 of 2: the test returned a tuple of objects to check)"
    assert str(told) == expected
    assert "1 of 3: the test returned a list" in str(_of_several(error, [5, 6, 7], 1))


def test_executor_of_a_call_is_the_one_that_is_asked(run: Any) -> None:
    run(
        HEAD
        + """
    from pytest_gradcheck import SubjectError

    class Dropout(Mlp):
        def loss(self):
            return super().loss() * (1 + np.random.random())

    class Pool:
        def submit(self, *_):
            raise AssertionError("not for such a loss")

    def test_net(gradcheck):
        with pytest.raises(SubjectError, match="executor=: the loss draws random numbers"):
            gradcheck(Dropout(), executor=Pool())
    """
    ).assert_outcomes(passed=1)


@pytest.mark.parametrize(("line", "shown"), [(None, 1), (0, 1), (6, 7)])
def test_a_warning_points_to_the_test_that_returned_the_object(
    line: int | None, shown: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "warning", lambda result: ["WARN", "more"])
    config = SimpleNamespace(workerinput={"gradcheck_encoding": "utf-8"})
    item = SimpleNamespace(reportinfo=lambda: ("test_net.py", line, "test_net"), config=config)
    result = SimpleNamespace(status="warn")
    with pytest.warns(GradcheckWarning, match="WARN\nmore") as seen:
        session.report(item, result, returned_by=len)  # type: ignore[arg-type]
    assert (seen[0].filename, seen[0].lineno) == ("test_net.py", shown)
    with pytest.warns(GradcheckWarning, match="WARN"):
        session.report(item, result)  # type: ignore[arg-type]
    session.report(item, SimpleNamespace(status="pass"))  # type: ignore[arg-type]


def test_findings_of_others_come_after_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    hook = SimpleNamespace(
        pytest_gradcheck_findings=lambda situation: (
            asked.append(situation) or [["b", "c"], None, ["d"]]
        )
    )
    monkeypatch.setattr(session, "explain", lambda situation: ["a"])
    found = session._explained(SimpleNamespace(ihook=hook), "here")  # type: ignore[arg-type]
    assert (found, asked) == (["a", "b", "c", "d"], ["here"])


@pytest.mark.parametrize("path", [None, "report.html"])
def test_a_page_of_pytest_html_gets_what_did_not_pass(path: str | None) -> None:
    records = [{"status": "pass"}, {"status": "fail"}, {"status": "pass"}]
    stash = {RECORDS: records, REPORTED: 1}
    item = SimpleNamespace(
        stash=stash, config=SimpleNamespace(getoption=lambda name, default: path or default)
    )
    report = SimpleNamespace(extras=["another's"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "fragment", lambda record: f"<p>{record['status']}</p>")
        session.attach(item, report)  # type: ignore[arg-type]
        assert report.gradcheck == records[1:] and stash[REPORTED] == 3
        shown = [part if isinstance(part, str) else part["content"] for part in report.extras]
        assert shown == ["another's", *(["<p>fail</p>"] if path else [])]
        session.attach(item, report)  # type: ignore[arg-type]
        assert report.gradcheck == []


def test_marked_lambda(run: Any) -> None:
    result = run(
        HEAD + "    pytestmark = pytest.mark.gradcheck\n    test_net = lambda: Mlp(b1=1.1)"
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["FAILED *::test_net - factor in b1*"])


def test_async_generator_is_refused(run: Any) -> None:
    result = run(
        HEAD
        + """
    @pytest.mark.gradcheck
    async def test_net():
        yield Mlp()
    """
    )
    outcomes = result.parseoutcomes()
    assert "passed" not in outcomes and "skipped" not in outcomes
    result.stdout.fnmatch_lines(["*take the gradcheck fixture*"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


COROUTINES = """
    @pytest.mark.gradcheck
    async def test_right():
        return Mlp()

    @pytest.mark.gradcheck
    async def test_wrong():
        return Mlp(b1=1.1)

    @pytest.mark.gradcheck
    async def test_forgotten():
        Mlp()

    @pytest.mark.gradcheck(tol=1e-6)
    async def test_by_fixture(gradcheck):
        gradcheck(Mlp(b1=1.1))

    @pytest.mark.gradcheck
    class TestNet:
        async def test_wrong(self):
            return Mlp(b1=1.1)

        async def test_ordinary(self):
            pass
"""
RUN_BY_A_HOOK = """
    import asyncio
    import inspect

    def pytest_pyfunc_call(pyfuncitem):
        if inspect.iscoroutinefunction(pyfuncitem.obj):
            names = pyfuncitem._fixtureinfo.argnames
            asyncio.run(pyfuncitem.obj(**{n: pyfuncitem.funcargs[n] for n in names}))
            return True
"""
"""As anyio does."""
RUN_AS_ANOTHER_FUNCTION = """
    import asyncio
    import pytest

    class Coroutine(pytest.Function):
        def runtest(self):
            function = self.obj
            self.obj = lambda **given: asyncio.run(function(**given)) and None
            try:
                super().runtest()
            finally:
                self.obj = function

    def pytest_collection_modifyitems(items):
        for item in items:
            item.__class__ = Coroutine
"""
"""As pytest-asyncio does."""


@pytest.mark.parametrize("conftest", [RUN_BY_A_HOOK, RUN_AS_ANOTHER_FUNCTION], ids=["hook", "item"])
def test_what_a_coroutine_returns_is_checked(
    run: Any, pytester: pytest.Pytester, conftest: str
) -> None:
    pytester.makeconftest(conftest)
    result = run(HEAD + COROUTINES, "-W", "error")
    result.assert_outcomes(passed=2, failed=4)
    result.stdout.fnmatch_lines_random(
        [
            "FAILED *::test_wrong - factor in b1*",
            "FAILED *::test_forgotten - *nothing was checked*",
            "FAILED *::test_by_fixture - factor in b1*",
            "FAILED *::TestNet::test_wrong - factor in b1*",
        ]
    )


UNITTEST = """
    import unittest

    @pytest.mark.gradcheck
    class TestNet(unittest.TestCase):
        {fixture}

        def test_right(self):
            return Mlp()

        def test_wrong(self):
            return Mlp(b1=1.1)

        @pytest.mark.gradcheck
        def test_forgotten(self):
            Mlp()

        @unittest.expectedFailure
        def test_expected(self):
            return Mlp(b1=1.1)

        @unittest.skip("not today")
        def test_skipped(self):
            return Mlp(b1=1.1)

        def test_skips_itself(self):
            self.skipTest("not today")

        def test_ordinary(self):
            self.assertEqual(1 + 1, 2)

    class TestAsync(unittest.IsolatedAsyncioTestCase):
        pytestmark = pytest.mark.gradcheck(tol=1e-6)

        async def test_ordinary(self):
            assert 1 + 1 == 3

        async def test_right(self):
            return Mlp()

        async def test_wrong(self):
            return Mlp(b1=1.1)
"""
TAKEN = """@pytest.fixture(autouse=True)
        def taken(self, gradcheck):
            self.gradcheck = gradcheck
"""


@pytest.mark.parametrize("fixture", ["", TAKEN], ids=["alone", "with the fixture"])
def test_what_a_method_of_unittest_returns_is_checked(run: Any, fixture: str) -> None:
    result = run(HEAD + UNITTEST.format(fixture=fixture), "-W", "error")
    result.assert_outcomes(passed=3, failed=4, skipped=2, xfailed=1)
    result.stdout.fnmatch_lines_random(
        [
            "FAILED *::TestNet::test_wrong - factor in b1*",
            "FAILED *::TestNet::test_forgotten - *nothing was checked*",
            "FAILED *::TestAsync::test_ordinary - *[Aa]ssert*",
            "FAILED *::TestAsync::test_wrong - factor in b1*",
        ]
    )


def test_marker_of_module_and_class_leaves_ordinary_tests_alone(run: Any) -> None:
    run(
        HEAD
        + """
    import unittest

    pytestmark = pytest.mark.gradcheck(tol=1e-6)

    def test_ordinary():
        assert 1 + 1 == 2

    @pytest.mark.gradcheck(worst=3)
    class TestClass:
        def test_ordinary(self):
            pass

        def test_checked(self, gradcheck):
            assert gradcheck(Mlp()).settings["worst"] == 3

    class TestOld(unittest.TestCase):
        def test_ordinary(self):
            pass
    """
    ).assert_outcomes(passed=4)


def test_fixture_can_be_used_for_several_checks(run: Any) -> None:
    run(
        HEAD
        + """
    def test_nets(gradcheck):
        first = gradcheck(Mlp())
        with pytest.raises(AssertionError):
            gradcheck(Mlp(b1=1.1))
        assert gradcheck(Mlp()).status == first.status == "pass"
    """
    ).assert_outcomes(passed=1)


def test_marker_and_returned_object_beside_the_fixture(run: Any) -> None:
    run(
        HEAD
        + """
    @pytest.mark.gradcheck
    def test_both(gradcheck):
        gradcheck(Mlp())
        return Mlp(b1=1.1)
    """
    ).assert_outcomes(failed=1)


WARNING = (
    HEAD
    + """
    def test_imprecise(gradcheck):
        gradcheck(Mlp(b1=1 + 4e-6))  # the calling line

    @pytest.mark.gradcheck
    def test_suspect():
        return Mlp(b1=1 + 4e-4)
    """
)


class TestWarning:
    @with_and_without_workers
    def test_passes_with_a_warning(self, run: Any, workers: tuple[str, ...]) -> None:
        result = run(WARNING, *workers)
        result.assert_outcomes(passed=2, warnings=2)
        result.stdout.fnmatch_lines_random(
            [
                "*GradcheckWarning: Mlp: imprecise in b1, relative error *",
                "*GradcheckWarning: Mlp: suspect in b1, relative error *",
            ]
        )

    @with_and_without_workers
    def test_fails_when_made_an_error(self, run: Any, workers: tuple[str, ...]) -> None:
        result = run(WARNING, "-W", "error::pytest_gradcheck.GradcheckWarning", *workers)
        result.assert_outcomes(failed=2)

    def test_points_to_the_calling_line(self, run: Any) -> None:
        result = run(WARNING, "-k", "imprecise")
        result.stdout.re_match_lines([r".*test_inner\.py:\d+: GradcheckWarning.*"])
        result.stdout.fnmatch_lines(["*# the calling line*"])

    def test_points_to_the_test_that_returned_the_object(self, run: Any) -> None:
        result = run(WARNING, "-k", "suspect")
        result.stdout.re_match_lines([r".*test_inner\.py:\d+: GradcheckWarning.*"])
        result.stdout.no_fnmatch_line("*pytest_gradcheck/*.py:*")

    def test_points_to_a_test_on_the_first_line(self, run: Any) -> None:
        result = run(
            """
            def test_suspect(): return Mlp(b1=1 + 4e-4)

            import pytest
            from models import Mlp

            pytestmark = pytest.mark.gradcheck
            """
        )
        result.assert_outcomes(passed=1, warnings=1)
        result.stdout.re_match_lines([r".*test_inner\.py:1: GradcheckWarning.*"])

    def test_lists_the_worst_entries_in_short(self, run: Any) -> None:
        result = run(WARNING, "-k", "suspect")
        rows = [line for line in result.outlines if re.match(r"\s*b1\[\d\] ", line)]
        assert len(rows) == 3
        result.stdout.fnmatch_lines(["*(23 more entries)*"])

    def test_can_be_expected(self, run: Any) -> None:
        run(
            HEAD
            + """
    from pytest_gradcheck import GradcheckWarning

    def test_known(gradcheck):
        with pytest.warns(GradcheckWarning, match="suspect"):
            gradcheck(Mlp(b1=1 + 4e-4))
    """,
            "-W",
            "error",
        ).assert_outcomes(passed=1)


FAILURE = (
    HEAD
    + """
    class Wrong(Mlp):
        def grads(self):
            found = super().grads()
            found["W1"][2, 3] += 0.5
            found["b2"][0] -= 0.25
            return found

    def test_net(gradcheck):
        gradcheck(Wrong(){})  # the calling line
    """
)
RETURNED = FAILURE.replace(
    "def test_net(gradcheck):", "@pytest.mark.gradcheck\n    def test_net():"
).replace("gradcheck(Wrong(){})", "return Wrong()")


class TestFailureReport:
    @pytest.mark.parametrize("source", [FAILURE, RETURNED], ids=["fixture", "returned"])
    def test_first_line_stands_alone_in_the_short_summary(self, run: Any, source: str) -> None:
        result = run(source.format(""))
        result.assert_outcomes(failed=1)
        (line,) = (line for line in result.outlines if line.startswith("FAILED"))
        said = (
            r"wrong in W1 and b2, relative error 3.4e-01: W1\[2, 3\] is 0.4081, measured -0.09185"
        )
        assert re.search(rf" - {said}$", line)

    def test_is_the_same_with_workers(self, run: Any) -> None:
        def report(*options: str) -> list[str]:
            lines = run(FAILURE.format(""), *options).outlines
            kept = [line for line in lines if line.startswith(("E  ", ">  ", "FAILED"))]
            return [re.sub(r"\S+ s$", "", line) for line in kept]

        alone, workers = (report(*options) for options in XDIST)
        assert len(alone) > 15 and alone == workers

    def test_worst_entries_come_first(self, run: Any) -> None:
        lines = run(FAILURE.format("")).outlines
        labels = [m[1] for m in (re.match(r"E   ([Wb]\d\[[\d, ]+\])", line) for line in lines) if m]
        assert labels == ["W1[2, 3]", "b2[0]"]

    def test_differences_inside_their_error_bars_are_none(self, run: Any) -> None:
        run(FAILURE.format("")).stdout.fnmatch_lines(
            ["E *(24 more entries, within their error bars)"]
        )

    @pytest.mark.parametrize(("worst", "left_out"), [(3, 9), (1, 11), (10, 2)])
    def test_rows_left_out_are_counted(self, run: Any, worst: int, left_out: int) -> None:
        result = run(
            HEAD
            + f"""
    def test_net(gradcheck):
        gradcheck(Holder(np.arange(1.0, 13.0), factor=1.5), worst={worst})
    """
        )
        result.stdout.fnmatch_lines(["E   ([0-9]* more entr*)"])
        result.stdout.fnmatch_lines([f"E   ({left_out} more entries)"])
        rows = [line for line in result.outlines if line.startswith("E   params[")]
        assert len(rows) == worst

    def test_nothing_is_left_out_of_a_small_table(self, run: Any) -> None:
        result = run(
            HEAD
            + """
    def test_net(gradcheck):
        gradcheck(Holder(np.arange(1.0, 4.0), factor=1.5))
    """
        )
        result.stdout.no_fnmatch_line("*more entr*")

    def test_table_has_its_columns(self, run: Any) -> None:
        run(FAILURE.format("")).stdout.re_match_lines(
            [
                r"E   entry +analytic +numeric +± +difference",
                r"E   W1\[2, 3\]  0\.408150  -0\.091850  \de-0\d   \+5\.00e-01",
            ]
        )

    def test_one_line_for_each_parameter(self, run: Any) -> None:
        run(FAILURE.format("")).stdout.re_match_lines(
            [
                r"E   parameter  shape  status  relative error ±  1e-10  tol  warn fail  1$",
                r"E   W1           3×4  FAIL    \S+ ± \S+  ━{22}$",
                r"E   b1             4  pass    \S+ ± \S+  ━+─+ +┊    ┊    ┊$",
                r"E   W2           4×2  pass    \S+ ± \S+  ━+─+ +┊    ┊    ┊$",
                r"E   b2             2  FAIL    \S+ ± \S+  ━{23}$",
            ]
        )

    def test_how_to_run_it_again_comes_last(self, run: Any) -> None:
        run(FAILURE.format("")).stdout.fnmatch_lines(
            ["E   again  pytest test_inner.py::test_net", "", "test_inner.py:*"], consecutive=True
        )

    def test_calling_line_is_kept(self, run: Any) -> None:
        run(FAILURE.format("")).stdout.re_match_lines(
            [r">.*# the calling line", r"test_inner\.py:\d+: GradcheckError"]
        )

    @pytest.mark.parametrize("source", [FAILURE, RETURNED], ids=["fixture", "returned"])
    @pytest.mark.parametrize("style", ["long", "short", "auto", "line"])
    def test_helper_frames_are_hidden(self, run: Any, source: str, style: str) -> None:
        lines = run(source.format(""), f"--tb={style}").outlines
        assert [line for line in lines if re.search(r"pytest_gradcheck.*\.py", line)] == []

    def test_crash_location_is_the_users(self, run: Any) -> None:
        result = run(FAILURE.format(""), "--tb=line")
        result.stdout.re_match_lines([r".*test_inner\.py:\d+: wrong in W1 and b2, .*"])

    def test_nan_is_the_headline(self, run: Any) -> None:
        result = run(
            HEAD
            + """
    def test_net(gradcheck):
        gradcheck(Mlp(b1=np.nan))
    """
        )
        result.assert_outcomes(failed=1)
        result.stdout.re_match_lines([r"FAILED .*b1\[0\]: the claimed derivative is nan"])


CHECKS = (
    HEAD
    + """
    def test_right(gradcheck):
        gradcheck(Mlp())
        gradcheck(Mlp())

    def test_wrong(gradcheck):
        gradcheck(Mlp(b1=1.1))

    @pytest.mark.gradcheck
    def test_suspect():
        return Mlp(b1=1 + 4e-4)

    def test_ordinary():
        pass
    """
)


class TestSummary:
    def test_is_quiet_otherwise(self, run: Any) -> None:
        result = run(CHECKS)
        result.stdout.no_fnmatch_line("*gradient checks*")

    @with_and_without_workers
    def test_one_line_a_check_worst_first(self, run: Any, workers: tuple[str, ...]) -> None:
        lines = run(CHECKS, "--gradcheck-summary", *workers).outlines
        start = next(i for i, line in enumerate(lines) if " gradient checks " in line)
        shown = [line.split() for line in lines[start + 1 : start + 5]]
        assert [words[0] for words in shown] == ["status", "FAIL", "warn", "pass"]
        assert shown[1][-2:] == ["test_inner.py::test_wrong", "factor"]
        assert re.match(
            r"4 checks: 1 fail, 1 warn, 2 pass; \d+ evaluations, \S+ s$", lines[start + 6]
        )

    def test_says_nothing_without_checks(self, run: Any) -> None:
        result = run("def test_ordinary(): pass", "--gradcheck-summary")
        result.assert_outcomes(passed=1)
        result.stdout.no_fnmatch_line("*gradient checks*")


def test_properties_of_a_run_that_is_repeated_are_those_of_the_last(
    run: Any, pytester: pytest.Pytester
) -> None:
    """As plugins repeat a test that fails (pytest-rerunfailures)."""
    pytester.makeconftest(
        """
        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item, nextitem):
            for last in (False, True):
                item._initrequest()
                reports = runtestprotocol(item, nextitem=nextitem, log=False)
            for report in reports:
                item.ihook.pytest_runtest_logreport(report=report)
            return True
        """
    )
    source = """
    calls = []

    def test_flaky(gradcheck, record_property):
        record_property("mine", len(calls))
        calls.append(gradcheck)
        gradcheck(Mlp(b1=1.1 if len(calls) == 1 else 1.0))
        gradcheck(Mlp())
    """
    run(HEAD + source, "--junitxml=junit.xml")
    (case,) = ElementTree.parse(pytester.path / "junit.xml").iter("testcase")
    found = [(p.get("name"), p.get("value")) for p in case.iter("property")]
    assert [value for name, value in found if str(name).endswith("status")] == ["pass", "pass"]
    assert not any(str(name).endswith("cause") for name, _ in found)
    assert [value for name, value in found if name == "mine"] == ["0", "1"]  # not ours to reset


@with_and_without_workers
def test_results_reach_junit_as_properties(
    run: Any, pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    run(CHECKS, "--junitxml=junit.xml", *workers)
    cases = ElementTree.parse(pytester.path / "junit.xml").iter("testcase")
    properties = {
        case.get("name"): {p.get("name"): p.get("value") for p in case.iter("property")}
        for case in cases
    }
    assert properties["test_ordinary"] == {}
    assert properties["test_wrong"]["gradcheck.status"] == "fail"
    assert float(properties["test_wrong"]["gradcheck.relative_error"]) > 1e-3
    assert int(properties["test_suspect"]["gradcheck.evaluations"]) > 52
    assert properties["test_right"]["gradcheck[1].status"] == "pass"


@with_and_without_workers
def test_report_carries_the_record_as_built_in_types(
    run: Any, pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    pytester.makeconftest(
        """
        import json

        def pytest_terminal_summary(terminalreporter):
            for report in terminalreporter.stats.get("failed", ()):
                for record in report.gradcheck:
                    copy = json.loads(json.dumps(record))
                    terminalreporter.write_line(f"record: {copy['test']} {copy['status']}")
        """
    )
    run(CHECKS, *workers).stdout.fnmatch_lines(["record: test_inner.py::test_wrong fail"])


class TestSwitchedOff:
    def test_nothing_of_the_plugin_is_left(self, run: Any) -> None:
        result = run("def test_ordinary(): pass", "-p", "no:gradcheck", "--strict-markers")
        result.assert_outcomes(passed=1)

    def test_its_options_are_unknown(self, run: Any) -> None:
        result = run("def test_ordinary(): pass", "-p", "no:gradcheck", "--gradcheck-summary")
        assert result.ret == pytest.ExitCode.USAGE_ERROR

    def test_fixture_is_unknown(self, run: Any) -> None:
        result = run("def test_net(gradcheck): pass", "-p", "no:gradcheck")
        result.stdout.fnmatch_lines(["*fixture 'gradcheck' not found*"])

    def test_check_still_works(self, run: Any) -> None:
        run(
            """
            from models import Mlp
            from pytest_gradcheck import check

            def test_net():
                assert check(Mlp()).status == "pass"
            """,
            "-p",
            "no:gradcheck",
        ).assert_outcomes(passed=1)


class TestHelp:
    def test_marker_is_registered(self, run: Any) -> None:
        run(
            """
            import pytest

            @pytest.mark.gradcheck(tol=1e-6)
            class TestNothing:
                def test_ordinary(self): pass
            """,
            "--strict-markers",
            "-W",
            "error",
        ).assert_outcomes(passed=1)

    def test_markers(self, run: Any) -> None:
        run("", "--markers").stdout.fnmatch_lines(["@pytest.mark.gradcheck(*eps=1e-7*tol=1e-7*"])

    def test_fixtures(self, run: Any) -> None:
        run("", "--fixtures").stdout.fnmatch_lines(["gradcheck*", "*claimed gradient*"])

    @pytest.mark.parametrize(
        "name",
        ["eps", "tol", "warn", "fail", "scheme", "refine", "freeze_rng", "worst", "allow", "hooks"],
    )
    def test_every_setting_is_listed_under_both_names(self, run: Any, name: str) -> None:
        lines = run("", "--help").outlines
        assert any(f"--gradcheck-{name.replace('_', '-')}=" in line for line in lines)
        assert any(line.strip().startswith(f"gradcheck_{name} (") for line in lines)


ADAPTER = """
    import numpy as np
    from pytest_gradcheck import Parameter, Problem

    class Polynomial(list):
        pass

    def adapt(subject, args, settings):
        if not isinstance(subject, Polynomial):
            return None
        theta = np.array([2.0])
        return Problem(
            parameters=[Parameter("theta", theta)],
            loss=lambda: float(np.polyval(subject, theta[0])),
            grads=lambda: [np.polyval(np.polyder(subject), theta)],
            title="polynomial",
        )
"""


def test_adapter_in_a_conftest_comes_before_the_built_in_ones(
    run: Any, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(polynomials=ADAPTER)
    pytester.makeconftest("from polynomials import adapt as pytest_gradcheck_adapt")
    run(
        """
        from models import Mlp
        from polynomials import Polynomial

        def test_polynomial(gradcheck):
            result = gradcheck(Polynomial([1, 2, 3]))
            assert (result.status, result.title) == ("pass", "polynomial")
            assert gradcheck(Mlp()).title == "Mlp"
        """
    ).assert_outcomes(passed=1)


def test_adapter_outside_pytest(run: Any, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(polynomials=ADAPTER)
    run(
        """
        from polynomials import Polynomial, adapt
        from pytest_gradcheck import check

        def test_polynomial():
            assert check(Polynomial([1, 2, 3]), adapters=[adapt]).title == "polynomial"
        """
    ).assert_outcomes(passed=1)


def test_what_is_refused_is_shown_and_other_errors_are_not_ours() -> None:
    for error in (SubjectError("no\n  gradient"), SettingsError("no\n  gradient")):
        shown = failure_of(None, error)  # type: ignore[arg-type]
        assert shown == {"headline": "no gradient", "refused": "no\n  gradient"}
    for error in (ValueError("no gradient"), GradcheckError("none", None), None):
        assert failure_of(None, error) is None  # type: ignore[arg-type]

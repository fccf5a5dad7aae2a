"""What pytest sees: options, marker, fixture, hooks.  The work behind each is in ``session``.

Every pytest run in the environment loads this module, so it imports neither NumPy nor ``session``.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from . import hookspecs, options
from .encoding import SENT, encoding_of
from .errors import GradcheckError, SettingsError, SubjectError

if TYPE_CHECKING:
    from .core.problem import Problem
    from .session import Gradcheck
    from .settings import Settings

MARKER = (
    "gradcheck(*, eps=1e-7, tol=1e-7, ...): check the gradient of the object with params, grads"
    " and loss that the test returns; also the settings of the gradcheck fixture in the test"
)


OURS = (GradcheckError, SettingsError, SubjectError)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    options.declare(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    config.stash[options.LAYERS] = options.read(config)
    options.read_for_the_run(config)
    if config.stash[options.FILES] or config.getoption("gradcheck_summary") is not None:
        from .collector import collect

        collect(config)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(OnTerminal(config))


@pytest.fixture
def gradcheck(request: pytest.FixtureRequest) -> Gradcheck:
    """Compare the claimed gradient of an object with differences of its loss.

    ``gradcheck(obj, *args, **settings)`` takes any object with `params`, `grads` and `loss`;
    ``gradcheck(loss=f, grads=df, params=x0)`` takes plain functions.  It returns a `Result`, warns
    with `GradcheckWarning` and raises `GradcheckError`.
    """
    from .session import Gradcheck

    return Gradcheck(request.node)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.stash.get(options.RECORDS, ()):  # of a first run, before one again
        from .session import forget

        forget(item)
    item.stash[options.RECORDS], item.stash[options.REPORTED] = [], 0
    if item.get_closest_marker("gradcheck") is not None:
        from .returned import require_servable

        require_servable(item)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    __tracebackhide__ = True
    if pyfuncitem.get_closest_marker("gradcheck") is None:
        return (yield)
    from .returned import check_returned, collecting_returned

    with collecting_returned(pyfuncitem) as returned:
        outcome = yield
    check_returned(pyfuncitem, returned)
    return outcome


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """The same where pytest does not call the test: unittest does, or a plugin for coroutines."""
    __tracebackhide__ = True
    if item.get_closest_marker("gradcheck") is None:
        return (yield)
    from .returned import checking_returned, collecting_awaited, is_async, is_of_unittest

    if is_of_unittest(item):
        with checking_returned(item):
            return (yield)
    if isinstance(item, pytest.Function) and is_async(item):
        with collecting_awaited(item):
            return (yield)
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_gradcheck_adapt(subject: Any, args: tuple[Any, ...], settings: Settings) -> Problem:
    from .adapters import adapt

    return adapt(subject, args, settings)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if item.stash.get(options.RECORDS, ()):
        from .session import attach

        attach(item, report)
    if call.excinfo is not None and isinstance(call.excinfo.value, OURS):
        from .session import failure_of

        failure = failure_of(item, call.excinfo.value)
        crash: Any = getattr(report.longrepr, "reprcrash", None)
        if failure is not None and crash is not None:
            report.__dict__["gradcheck_failure"] = failure
            crash.message = failure["headline"]  # what the short summary has room for
    return report


class OnTerminal:
    """Registered where the terminal is: not in workers."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of pytest-xdist in which encoding its warnings will be written."""
        node.workerinput[SENT] = encoding_of(self.config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if hasattr(report, "gradcheck_failure"):
            from .terminal import paint

            paint(report, self.config)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    config = terminalreporter.config
    rows = config.getoption("gradcheck_summary")
    if rows is not None and not hasattr(config, "workerinput"):
        from .collector import COLLECTOR
        from .terminal import write_summary

        write_summary(terminalreporter, config.stash[COLLECTOR].records, rows or None)

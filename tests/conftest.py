"""Fixtures of the suite."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

# Loaded before any inner run: pytester forgets what an inner run imported.  NumPy cannot be loaded
# twice in one process, and the package would be loaded anew, with other classes, in every run.
import numpy as np  # noqa: F401
import pytest
from hypothesis import settings

import pytest_gradcheck.api
import pytest_gradcheck.collector
import pytest_gradcheck.returned
import pytest_gradcheck.session
import pytest_gradcheck.terminal  # noqa: F401

settings.register_profile("suite", deadline=None, derandomize=True, database=None)
settings.load_profile("suite")

HERE = str(Path(__file__).parent)
PLAIN = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")  # the latter takes a second a run
BESIDE = {"asyncio": ("-o", "asyncio_default_fixture_loop_scope=function")}
"""What other plugins want to be told, or they warn, in runs too that make errors of warnings."""
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> Run:
    """``run(source, *options)``: the outcome of pytest on a test module with that source.

    The module can import ``models``.
    """
    pytester.syspathinsert(HERE)
    monkeypatch.setenv("COLUMNS", "300")  # the short summary is cut to the width
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    others = (name for name in BESIDE if pytestconfig.pluginmanager.has_plugin(name))
    plain = [*PLAIN, f"--assert={pytestconfig.option.assertmode}"]
    plain += [option for name in others for option in BESIDE[name]]

    def run_source(source: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(test_inner=source)
        with warnings.catch_warnings():
            warnings.resetwarnings()  # an inner run inherits the filters of this suite
            return pytester.runpytest_inprocess(*plain, *options)

    return run_source

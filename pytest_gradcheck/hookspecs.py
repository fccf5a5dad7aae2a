"""The project's own hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .core.problem import Problem
    from .core.result import Finding
    from .core.situation import Situation
    from .settings import Settings


@pytest.hookspec(firstresult=True)
def pytest_gradcheck_adapt(
    subject: Any, args: tuple[Any, ...], settings: Settings
) -> Problem | None:
    """Turn what a test wants checked into a ``pytest_gradcheck.Problem``; None passes it on.

    Parameters
    ----------
    subject : object
        What was handed to the ``gradcheck`` fixture or returned by a marked test.
    args : tuple
        Further positional arguments.
    settings : Settings
        The merged settings of this check.
    """


@pytest.hookspec
def pytest_gradcheck_findings(situation: Situation) -> Iterable[Finding] | None:
    """Add findings to a check, such as causes of a wrong gradient that only a project knows.

    Called once a check is measured and judged, while the parameters stand at its point.

    Parameters
    ----------
    situation : Situation
        What is known of each parameter, the verdicts, and further calls of the gradient.
    """

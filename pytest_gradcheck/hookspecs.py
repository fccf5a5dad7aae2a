"""The project's own hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .core.problem import Problem
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

"""The hook: a spline becomes a problem.  Nothing is imported but when one is checked."""

from __future__ import annotations

from typing import Any


def pytest_gradcheck_adapt(subject: Any, args: tuple[Any, ...], settings: Any) -> Any:
    """A problem made of a spline; None passes everything else on."""
    from . import Spline

    if not isinstance(subject, Spline):
        return None
    from pytest_gradcheck import Parameter, Problem

    return Problem(
        parameters=[Parameter("values", subject.values)],
        loss=subject.energy,
        grads=lambda: [-subject.force()],
        roots=[("self", subject)],
        title="Spline",
    )

"""``check``: adapt, measure, judge, outside pytest as inside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from . import adapters as builtin
from .core.problem import Problem
from .core.result import Finding
from .core.situation import Explain, Situation
from .findings import explain
from .points import check_points
from .result import Result
from .settings import Settings, merge

Adapter = Callable[[Any, tuple[Any, ...], Settings], "Problem | None"]


def check(
    subject: Any = None,
    *args: Any,
    loss: Any = None,
    grads: Any = None,
    params: Any = None,
    adapters: Iterable[Adapter] = (),
    findings: Iterable[Explain] = (),
    **further: Any,
) -> Result:
    """Compare the claimed gradient of an object, or of plain functions, with differences.

    Parameters
    ----------
    subject : object
        Anything with the hooks `params`, `grads` and `loss`; a module of a framework, or a
        function of its tensors, whose gradients are those of the framework.
    *args
        Passed to ``loss(*args)`` and ``grads(*args)``, or to the module or function.
    loss, grads, params : callable, callable, structure of arrays
        Instead of `subject`: functions of the parameters, and the point at which to check.
        `grads` may be left out where `loss` returns ``(loss, grads)``.  With a module, `loss`
        makes one number of what it returns.
    adapters : iterable of callable
        Tried before the built-in ones: ``adapter(subject, args, settings)`` returns a `Problem`
        or None.
    findings : iterable of callable
        ``finding(situation)`` gives further findings, as the hook `pytest_gradcheck_findings` does.
    **further
        `jac`, `vjp`, `jvp`, `hess`, `hvp`, `bounds` and SciPy's `args` beside plain functions (see
        `adapters.functions.Functions`), `kwargs` beside a module; settings (see `Settings`).

    Returns
    -------
    Result
        Whatever the verdict: nothing is raised for a wrong gradient.

    Raises
    ------
    SettingsError
        For an unknown setting or an impossible value.
    SubjectError
        For an object that cannot be checked as it stands.
    """
    words, settings = builtin.divided(further)
    resolved = merge(settings)
    words |= {"loss": loss, "grads": grads, "params": params}
    subject, args = builtin.as_subject(subject, args, words)

    def adapted(subject: Any) -> Problem:
        for adapter in adapters:
            problem = adapter(subject, args, resolved)
            if problem is not None:
                return problem
        return builtin.adapt(subject, args, resolved)

    def explained(situation: Situation) -> list[Finding]:
        return [f for source in (explain, *findings) for f in source(situation) or ()]

    adapters, findings = list(adapters), list(findings)
    return Result.of(check_points(adapted, subject, resolved, explain=explained))

"""Plain functions: ``gradcheck(loss=f, grads=df, params=x0)``, and SciPy's ways to say it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ...core.problem import Problem
from ...core.result import Entry, Finding
from ...core.state import State
from ...errors import SubjectError
from ...settings import Settings
from ..blocks import Blocks, accepts
from ..joined import joined, on_copies
from .bounds import Bounds
from .claims import CLAIMS, SECOND, Calls, Claim, claims_of
from .vector import Vector


@dataclass(frozen=True)
class Functions:
    """Functions of the parameters as plain arguments, and what is claimed of their derivatives.

    Parameters
    ----------
    loss : callable
        ``loss(params, *args)``: one number; or any numbers, where `jac`, `vjp` or `jvp` is given.
    grads : callable or None
        ``grads(params, *args)``, in the structure of `params`; None where `loss` returns
        ``(loss, grads)``.
    params : object
        The point at which to check.
    jac : callable, True or None
        ``jac(params, *args)``: the Jacobian, or the gradient of a single number, as an array,
        a sparse matrix, or a structure like `params`.  True: `loss` returns it as well.
    vjp, jvp : callable or None
        ``vjp(params, weights, *args)`` and ``jvp(params, direction, *args)``: products with the
        Jacobian from the left and from the right.
    hess, hvp : callable or None
        ``hess(params, *args)`` and ``hvp(params, direction, *args)``: the derivative of `grads`.
    bounds : object
        A sequence of ``(low, high)``, or ``scipy.optimize.Bounds``: nothing is called outside.
    """

    loss: Any
    grads: Any
    params: Any
    jac: Any = None
    vjp: Any = None
    jvp: Any = None
    hess: Any = None
    hvp: Any = None
    bounds: Any = None


class FunctionsProblem(Problem):
    """A problem that can also say which output of a function an error comes from."""

    claims: Sequence[Claim] = ()
    blocks: Blocks | None = None

    def explain(self, worst: Sequence[Entry]) -> list[Finding]:
        """Where among several outputs the error of the worst entry comes from."""
        if not worst or self.blocks is None:
            return []
        found = [claim.explain(self.blocks, worst[0]) for claim in self.claims]
        return [finding for finding in found if finding is not None]


def adapt(subject: Functions, args: tuple[Any, ...], settings: Settings) -> Problem:
    """A problem whose functions are called with the parameters, then with `args`."""
    _require_usable(subject, args)
    subject = replace(subject, params=_as_scipy_takes_it(subject))
    blocks = Blocks(subject.params)
    if blocks.unwritable(subject.params) is not None:
        blocks = Blocks(subject.params, copies=True)
    bounds = None if subject.bounds is None else Bounds(subject.bounds, blocks.parameters)
    claims = claims_of(subject, Calls(args, settings, bounds))

    def together(blocks: Blocks) -> Problem:
        own = blocks.parameters
        first, *rest = (claim.part(blocks) for claim in claims)
        return joined([Problem(own, first.loss, first.grads), *(on_copies(own, p) for p in rest)])

    def in_float64(_: State) -> Problem:
        return together(Blocks(subject.params, widen=True))

    mine = together(blocks)
    functions = {name: getattr(subject, name) for name in ("loss", "grads", *CLAIMS, *SECOND)}
    problem = FunctionsProblem(
        parameters=mine.parameters,
        loss=mine.loss,
        grads=mine.grads,
        roots=[*((k, f) for k, f in functions.items() if callable(f)), ("args", args)],
        structure=subject.params,
        in_float64=in_float64,
        rebuild=partial(adapt, subject, args, replace(settings, executor=None)),
        notes=blocks.notes,
        title=_title(subject.loss or subject.grads),
    )
    problem.claims, problem.blocks = claims, blocks
    if any(isinstance(claim, Vector) for claim in claims):
        with problem.preserved():
            for claim in claims:
                claim.look(blocks)
    return problem


def _as_scipy_takes_it(subject: Functions) -> Any:
    """A list of numbers as the array that SciPy makes of it, where SciPy's words are used."""
    params = subject.params
    words = [getattr(subject, name) for name in (*CLAIMS, *SECOND, "bounds")]
    if all(word is None for word in words):
        return params
    if isinstance(params, (list, tuple)) and not hasattr(params, "_fields"):
        if all(isinstance(item, (int, float, np.generic)) for item in params):
            return np.array(params, dtype=np.float64)
    elif isinstance(params, np.ndarray) and params.dtype.kind in "iu":
        return params.astype(np.float64)
    return params


def _require_usable(subject: Functions, args: tuple[Any, ...]) -> None:
    has_second = any(getattr(subject, name) is not None for name in SECOND)
    if not callable(subject.loss) and not (subject.loss is None and has_second):
        if subject.loss is None:
            raise SubjectError("loss= is missing: the function of the parameters to differentiate")
        raise SubjectError(f"loss={subject.loss!r} must be a function of the parameters")
    if subject.grads is not None and not callable(subject.grads):
        raise SubjectError(
            f"grads={type(subject.grads).__name__} must be a function of the parameters: it is"
            " called at the point of the check"
        )
    for name in (*CLAIMS, *SECOND):
        given = getattr(subject, name)
        if given is None or callable(given) or (name == "jac" and given is True):
            continue
        raise SubjectError(
            f"{name}={given!r} is no derivative that could be checked: it must be a function of"
            " the parameters"
        )
    if subject.params is None:
        raise SubjectError("params= is missing: the point at which to check, such as x0")
    for name in ("loss", "grads"):
        function = getattr(subject, name)
        if function is not None and not accepts(function, (subject.params, *args)):
            given = ", ".join(["params", *(type(arg).__name__ for arg in args)])
            raise SubjectError(
                f"{_title(function)}{inspect.signature(function)} cannot be called as"
                f" {name}({given}): plain functions take the parameters, then what args=(...)"
                " holds. Methods that read the parameters of their object are checked with it:"
                " hand over the object itself"
            )


def _title(function: Any) -> str:
    name: str = getattr(function, "__name__", type(function).__name__)
    return "loss" if name == "<lambda>" else name

"""What plain functions claim: a gradient, a Jacobian or products with it, a second derivative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from ...core.result import Entry, Finding
from ...errors import SubjectError
from ...settings import Settings
from ..blocks import Blocks, after, second_of_pair
from ..joined import Part
from .bounds import OUTSIDE, Bounds, nowhere
from .jacobians import Jacobian, Outputs, Pullback, from_columns, from_entries
from .vector import Vector, require_gradient

if TYPE_CHECKING:
    from . import Functions

CLAIMS = ("jac", "vjp", "jvp")
SECOND = ("hess", "hvp")


class Claim(Protocol):
    """One function of the parameters, and what is claimed of its derivative."""

    def look(self, blocks: Blocks) -> None: ...

    def part(self, blocks: Blocks) -> Part: ...

    def explain(self, blocks: Blocks, entry: Entry) -> Finding | None: ...


def claims_of(subject: Functions, calls: Calls) -> Sequence[Claim]:
    """All that is claimed, the first derivatives first."""
    claims: list[Claim] = []
    given = [name for name in CLAIMS if getattr(subject, name) is not None]
    if subject.loss is not None and (subject.grads is not None or not given):
        claims.append(_Scalar(subject, calls))
    for name in given:
        claims.append(_first(subject, name, calls, block=f"{name}:{{}}" if claims else "{}"))
    for name in SECOND:
        if getattr(subject, name) is not None:
            claims.append(_second(subject, name, calls))
    return claims


class Calls:
    """How functions of the parameters are called where the parameters of some blocks stand."""

    def __init__(self, args: tuple[Any, ...], settings: Settings, bounds: Bounds | None) -> None:
        self._args, self._before_each, self._bounds = args, settings.before_each, bounds

    def __call__(self, function: Any, blocks: Blocks) -> Callable[[], Any]:
        """``function(params, *args)``, or `OUTSIDE` the bounds."""
        if blocks.copies:
            call = after(lambda: function(blocks.current(), *self._args), self._before_each)
        else:  # a check calls this for every entry twice: no layer more than there must be
            call = after(partial(function, blocks.tree, *self._args), self._before_each)
        bounds, parameters = self._bounds, blocks.parameters
        if bounds is None:
            return call
        return lambda: call() if bounds.hold(parameters) else OUTSIDE

    def product(self, function: Any, blocks: Blocks) -> Callable[[Any], Any]:
        """``function(params, v, *args)`` as a function of v."""

        def call(v: Any) -> Any:
            return after(partial(function, blocks.current(), v, *self._args), self._before_each)()

        return call


class _Scalar:
    """One number and its gradient: `grads`, or the second of a pair that `loss` returns."""

    def __init__(self, subject: Functions, calls: Calls) -> None:
        self._subject, self._calls = subject, calls

    def look(self, blocks: Blocks) -> None:
        """Nothing to prepare."""

    def explain(self, blocks: Blocks, entry: Entry) -> None:
        return None

    def part(self, blocks: Blocks) -> Part:
        loss = self._calls(self._subject.loss, blocks)

        def grads() -> list[NDArray[Any]]:
            if self._subject.grads is not None:
                claimed = self._calls(self._subject.grads, blocks)()
            else:
                returned = loss()
                claimed = returned if returned is OUTSIDE else second_of_pair(returned)
            if claimed is OUTSIDE:
                return nowhere(blocks.parameters)
            if claimed is None and self._subject.grads is None:
                raise SubjectError(
                    "no grads= was given, and loss does not return (loss, grads): give the gradient"
                    " to be checked as grads=function_of_the_parameters"
                )
            return blocks.gather(claimed)

        return Part("{}", loss, grads)


def _first(subject: Functions, name: str, calls: Calls, *, block: str) -> Vector:
    """What `jac`, `vjp` or `jvp` claims of `loss`."""
    claimed = getattr(subject, name)
    is_pair = name == "jac" and claimed is True

    def call(blocks: Blocks) -> Callable[[], Any]:
        whole = calls(subject.loss, blocks)
        return (lambda: _first_of_pair(whole())) if is_pair else whole

    def claim(blocks: Blocks, outputs: Outputs) -> Jacobian:
        if name == "vjp":
            return Pullback(calls.product(claimed, blocks), outputs, blocks)
        if name == "jvp":
            return from_columns(calls.product(claimed, blocks), outputs, blocks, name)
        if is_pair:
            entries = second_of_pair(calls(subject.loss, blocks)())
            if entries is None:
                raise SubjectError("jac=True: loss must return a pair, (value, derivative)")
        else:
            entries = calls(claimed, blocks)()
        return from_entries(entries, outputs, blocks, name)

    name_of = getattr(subject.loss, "__name__", "f")
    return Vector(call, claim, name="f" if name_of == "<lambda>" else name_of, block=block)


def _first_of_pair(returned: Any) -> Any:
    return returned[0] if isinstance(returned, tuple) and len(returned) == 2 else returned


def _second(subject: Functions, name: str, calls: Calls) -> Vector:
    """What `hess` or `hvp` claims of the gradient."""
    claimed, gradient = getattr(subject, name), gradient_of(subject)

    def claim(blocks: Blocks, outputs: Outputs) -> Jacobian:
        require_gradient(outputs, blocks)
        if name == "hvp":
            return from_columns(calls.product(claimed, blocks), outputs, blocks, name)
        return from_entries(calls(claimed, blocks)(), outputs, blocks, name)

    return Vector(
        lambda blocks: calls(gradient, blocks), claim, name="gradient", block=f"{name}:{{}}"
    )


def gradient_of(subject: Functions) -> Any:
    """The gradient as a function of the parameters, wherever it is to be had from."""
    for given in (subject.grads, subject.jac):
        if callable(given):
            return given

    def second(*args: Any) -> Any:
        claimed = second_of_pair(subject.loss(*args))
        if claimed is None:
            raise SubjectError("hess= and hvp= need the gradient as well, as grads= or jac=")
        return claimed

    return second

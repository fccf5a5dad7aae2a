"""Plain functions: ``gradcheck(loss=f, grads=df, params=x0)``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..core.parameters import Array
from ..core.problem import Problem
from ..errors import SubjectError
from ..settings import Settings
from .blocks import Blocks


@dataclass(frozen=True)
class Functions:
    """The three hooks as plain arguments; no `grads` where `loss` returns ``(loss, grads)``."""

    loss: Any
    grads: Any
    params: Any


def adapt(subject: Functions, args: tuple[Any, ...], settings: Settings) -> Problem:
    """A problem whose functions are called with the parameters, then with `args`."""
    if not callable(subject.loss):
        raise SubjectError(f"loss={subject.loss!r} must be a function of the parameters")
    if subject.grads is not None and not callable(subject.grads):
        raise SubjectError(
            f"grads={type(subject.grads).__name__} must be a function of the parameters: it is"
            " called at the point of the check"
        )
    if subject.params is None:
        raise SubjectError("params= is missing: the point at which to check, such as x0")
    blocks = Blocks(subject.params)
    reason = blocks.unwritable(subject.params)
    if reason is not None:
        blocks = Blocks(subject.params, copies=True)
    latest: list[Any] = [None]
    before_each = settings.before_each
    loss_function: Callable[..., Any] = subject.loss

    def loss() -> Any:
        if before_each is not None:
            before_each()
        value = loss_function(blocks.current(), *args)
        if type(value) is tuple:
            latest[0] = value
            return value[0]
        return value

    if before_each is None and not blocks.copies and subject.grads is not None:
        tree = subject.params

        def loss() -> Any:  # the bare call: nothing between the check and the user's function
            return loss_function(tree, *args)

    def grads() -> list[Array]:
        if subject.grads is not None:
            if before_each is not None:
                before_each()
            return blocks.gather(subject.grads(blocks.current(), *args))
        if latest[0] is None or len(latest[0]) != 2:
            raise SubjectError(
                "no grads= was given, and loss does not return (loss, grads): give the gradient"
                " to be checked as grads=function_of_the_parameters"
            )
        return blocks.gather(latest[0][1])

    roots = [("loss", subject.loss), ("grads", subject.grads), ("args", args)]
    return Problem(
        parameters=blocks.parameters,
        loss=loss,
        grads=grads,
        roots=roots,
        notes=blocks.notes,
        title=getattr(subject.loss, "__qualname__", type(subject.loss).__qualname__),
    )

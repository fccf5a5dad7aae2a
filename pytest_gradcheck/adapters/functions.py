"""Plain functions: ``gradcheck(loss=f, grads=df, params=x0)``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from numpy.typing import NDArray

from ..core.problem import Problem
from ..core.state import State
from ..errors import SubjectError
from ..settings import Settings
from .blocks import Blocks, after, second_of_pair


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
    loss = _loss_on(blocks, subject, args, settings)

    def grads() -> list[NDArray[Any]]:
        if subject.grads is not None:
            own = partial(subject.grads, blocks.current(), *args)
            return blocks.gather(after(own, settings.before_each)())
        claimed = second_of_pair(loss())
        if claimed is None:
            raise SubjectError(
                "no grads= was given, and loss does not return (loss, grads): give the gradient"
                " to be checked as grads=function_of_the_parameters"
            )
        return blocks.gather(claimed)

    def in_float64(_: State) -> Problem:
        wide = Blocks(subject.params, widen=True)
        return Problem(wide.parameters, loss=_loss_on(wide, subject, args, settings), grads=grads)

    return Problem(
        parameters=blocks.parameters,
        loss=loss,
        grads=grads,
        roots=[("loss", subject.loss), ("grads", subject.grads), ("args", args)],
        in_float64=in_float64,
        notes=blocks.notes,
        title=_title(subject.loss),
    )


def _title(function: Any) -> str:
    name: str = getattr(function, "__name__", type(function).__name__)
    return "loss" if name == "<lambda>" else name


def _loss_on(
    blocks: Blocks, subject: Functions, args: tuple[Any, ...], settings: Settings
) -> Callable[[], Any]:
    if not blocks.copies:
        return after(partial(subject.loss, subject.params, *args), settings.before_each)
    return after(lambda: subject.loss(blocks.current(), *args), settings.before_each)

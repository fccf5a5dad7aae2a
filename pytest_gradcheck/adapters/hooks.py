"""Any object with the hooks ``params``, ``grads``, ``loss``, under these or other names."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.parameters import Parameter, Scalar
from ..core.problem import Problem
from ..core.state import State
from ..core.structure import flatten, listed, rebuild
from ..errors import SubjectError
from ..settings import Settings
from .blocks import Blocks, accepts, after, second_of_pair

_MISSING = object()
VALUES = ("builtins", "numpy", "pytest_gradcheck")
"""Where the types of values come from that no one writes hooks for."""


def adapt(subject: Any, args: tuple[Any, ...], settings: Settings) -> Problem:
    """A problem made of an object's hooks; ``settings.hooks`` gives their names on the object."""
    hooks = Hooks(subject, args, settings)
    blocks = hooks.blocks()
    loss, losses = hooks.loss_of(blocks), hooks.losses_of(blocks)

    def grads() -> list[NDArray[Any]]:
        return blocks.gather(hooks.claimed(loss))

    def in_float64(state: State) -> Problem | None:
        if blocks.copies:
            wide = Blocks(blocks.tree, widen=True)
            loss = hooks.loss_of(wide)
            return Problem(
                wide.parameters,
                loss=loss,
                grads=lambda: wide.gather(hooks.claimed(loss)),
                losses=hooks.losses_of(wide),
            )
        replaced = [_replaced(parameter, state) for parameter in blocks.parameters]
        if any(parameter is None for parameter in replaced):
            return None
        return Problem(
            [p for p in replaced if p is not None],
            loss=hooks.loss_of(blocks, hooks.params),
            grads=grads,
            losses=losses,
        )

    return Problem(
        parameters=blocks.parameters,
        loss=loss,
        grads=grads,
        in_float64=in_float64,
        structure=blocks.tree,
        roots=[("self", subject), (hooks.owner("loss"), hooks.get("loss")), ("args", args)],
        put_back=hooks.writing(blocks, lambda: blocks.tree),
        losses=losses,
        rebuild=partial(adapt, subject, args, replace(settings, executor=None)),
        notes=blocks.notes,
        title=type(subject).__name__,
    )


def _replaced(parameter: Parameter, state: State) -> Parameter | None:
    """`parameter` on a float64 copy of its array, put wherever the object holds the array."""
    if not parameter.narrow or parameter.size == 0:
        return parameter
    if isinstance(parameter, Scalar):
        return parameter.widened()
    wide = parameter.array.astype(np.float64)
    return Parameter(parameter.name, wide) if state.replace(parameter.array, wide) else None


class Hooks:
    """The hooks of one object."""

    def __init__(self, subject: Any, args: tuple[Any, ...], settings: Settings) -> None:
        self.subject, self.args, self.names = subject, args, settings.hooks
        self.before_each = settings.before_each
        if subject is None:
            raise SubjectError("there is nothing to check: got None; hand over the object itself")
        if isinstance(subject, (list, tuple)):
            raise SubjectError(
                f"got a {type(subject).__name__} of {len(subject)}: check each object by a call of"
                " its own, and hand over data after the object, as in gradcheck(network, X, y)"
            )
        if isinstance(subject, type):
            raise SubjectError(f"{subject.__name__} is a class: hand over an instance of it")
        if inspect.isroutine(subject) and self.get("loss") is _MISSING:
            raise SubjectError(
                f"got the function {subject.__name__}: say what each function is, and at which"
                " point to check, by name: gradcheck(loss=f, grads=df, params=x0)"
            )
        for hook in ("loss", "params"):
            if self.get(hook) is _MISSING:
                raise SubjectError(self._missing(hook))
        if not callable(self.get("loss")):
            raise SubjectError(
                f"{self._called('loss')} is of type {type(self.get('loss')).__name__}: it must be"
                " a method, called again at every moved point"
            )
        if not accepts(self.get("loss"), args):
            raise SubjectError(self._not_accepted())

    def name(self, hook: str) -> str:
        return self.names.get(hook, hook)

    def owner(self, hook: str) -> str:
        """What reports call the object that a hook belongs to: ``self``, or ``self.net``."""
        return ".".join(["self", *self.name(hook).split(".")[:-1]])

    def get(self, hook: str) -> Any:
        """The hook, or ``_MISSING``; an AttributeError raised inside a property is let through."""
        name = self.name(hook)
        try:
            return attrgetter(name)(self.subject)
        except AttributeError:
            if "." not in name and inspect.getattr_static(self.subject, name, None) is not None:
                raise
            return _MISSING

    def params(self) -> Any:
        value = self.get("params")
        is_method = callable(value) and not hasattr(value, "__array__")
        if is_method and not accepts(value, ()):
            raise SubjectError(
                f"{self._called('params')} is a function that takes arguments: it must be the"
                " parameters themselves, or a method without arguments that gives them"
            )
        return listed(value() if is_method else value)

    def blocks(self) -> Blocks:
        """The parameters: the object's own arrays if moving them can reach its loss, else copies.

        Raises
        ------
        SubjectError
            If only copies are handed out and nothing writes them back.
        """
        blocks = Blocks(self.params())
        reason = blocks.unwritable(self.params())
        if reason is None:
            return blocks
        if self._writer() is None:
            raise SubjectError(
                f"{reason}, so moving it does not reach the loss, and the check would measure"
                " zeros. Hand out the arrays that the loss reads, or give the object a settable"
                " params or a method set_params(params) by which values are written back."
            )
        return Blocks(blocks.tree, copies=True)

    def writing(self, blocks: Blocks, values: Callable[[], Any]) -> Callable[[], None] | None:
        """What has to be called for moved `values` to reach the object.

        A property that hands out its very arrays is set to these again where it has a setter, for
        that may do more than to store them: fill a cache, tell the layers.
        """
        if blocks.copies:
            write = self._writer()
        elif self._has_setter():
            write = partial(setattr, self.subject, self.name("params"))
        else:
            return None
        return lambda: write(values())

    def _has_setter(self) -> bool:
        static = inspect.getattr_static(self.subject, self.name("params"), None)
        return isinstance(static, property) and static.fset is not None

    def _writer(self) -> Any:
        """The function that writes a whole structure back; None where there is none."""
        set_params = self.get("set_params")
        if callable(set_params):
            return set_params
        name = self.name("params")
        if self._has_setter() or name in getattr(self.subject, "__dict__", {}):
            return lambda tree: setattr(self.subject, name, tree)
        return None

    def loss_of(self, blocks: Blocks, values: Callable[[], Any] | None = None) -> Callable[[], Any]:
        """``loss()`` at the current content of `blocks`, or at these `values`."""
        return after(
            partial(self.get("loss"), *self.args),
            self.writing(blocks, values or blocks.current),
            self.before_each,
        )

    def losses_of(self, blocks: Blocks) -> Callable[[list[NDArray[Any]]], Any] | None:
        """``losses(batch)`` on one array for each block; None where the object has no such hook.

        An attribute of that name that cannot be called so (a list of past losses) is none.
        """
        losses = self.get("losses")
        tied = len(blocks.parameters) < len(blocks.leaves)  # several arrays for one block
        if tied or not callable(losses) or not accepts(losses, (blocks.tree, *self.args)):
            return None

        def call(batch: list[NDArray[Any]]) -> Any:
            if self.before_each is not None:
                self.before_each()
            return losses(rebuild(blocks.tree, iter(batch)), *self.args)

        return call

    def claimed(self, loss: Callable[[], Any]) -> Any:
        """The gradients, in the object's own structure, after the loss was called."""
        try:
            grads = self.get("grads")
        except AttributeError:  # a property of what backward() leaves behind: read again below
            grads = None
        if grads is _MISSING:
            claimed = second_of_pair(loss())
            if claimed is not None:
                return claimed
        if callable(grads) and not hasattr(grads, "__array__"):
            return self._call_grads(grads)
        self._backward()
        grads = self.get("grads")
        if grads is _MISSING:
            raise SubjectError(self._missing("grads"))
        return listed(grads)

    def _call_grads(self, grads: Any) -> Any:
        if self.args and not accepts(grads, self.args) and accepts(grads, ()):
            self._backward()  # a getter, like an attribute: it hands out what backward() left
            return grads()
        if self.before_each is not None:
            self.before_each()
        may_be_getter = not self.args and callable(self.get("backward"))
        try:
            claimed = listed(grads(*self.args))
        except AttributeError:
            if not may_be_getter:
                raise
            claimed = None
        if may_be_getter and (claimed is None or _is_all_zero(claimed)):
            self._backward()  # it was a getter after all
            claimed = listed(grads())
        return claimed

    def _backward(self) -> None:
        backward = self.get("backward")
        if backward is _MISSING or not callable(backward):
            return
        if not accepts(backward, ()):
            raise SubjectError(
                f"{self._called('backward')} needs arguments that only its owner knows: make"
                " grads a method that calls it and returns the gradients"
            )
        backward()

    def _not_accepted(self) -> str:
        """What is to be said where `loss` does not take the arguments that were given."""
        loss = f"{self._called('loss')}{inspect.signature(self.get('loss'))}"
        count = len(self.args)
        if count and accepts(self.get("loss"), ()):
            return (
                f"{loss} is called without arguments, not with the {count} given: leave them out,"
                " as in gradcheck(obj), if the object holds its data"
            )
        if count:
            return (
                f"{loss} cannot be called with the {count} argument{'s' if count > 1 else ''}"
                " given: hand over those that it takes, as in gradcheck(obj, X, y)"
            )
        return (
            f"{loss} cannot be called without its arguments: hand them over to the fixture, as in"
            " gradcheck(obj, X, y); or, for the marker, return an object that holds its data"
        )

    def _called(self, hook: str) -> str:
        return f"{type(self.subject).__name__}.{self.name(hook)}"

    def _missing(self, hook: str) -> str:
        kind = type(self.subject).__name__
        if type(self.subject).__module__.partition(".")[0] in VALUES:
            return _no_subject(self.subject)
        public = [name for name in dir(self.subject) if not name.startswith("_")]
        shown = ", ".join(public[:12]) + (", ..." if len(public) > 12 else "")
        needs = {
            "loss": "loss(*args), a method giving one number",
            "params": "params, its parameters as a mapping, a sequence or an array",
            "grads": "grads, in the structure of params (or let loss return (loss, grads))",
        }[hook]
        return (
            f"{kind} has no {self.name(hook)!r}; a check needs {needs}. {kind} has: {shown or '-'}."
            f' If it goes by another name, say hooks={{"{hook}": "that name"}}; for plain functions'
            " call gradcheck(loss=f, grads=df, params=x0)."
        )


def _no_subject(value: Any) -> str:
    """What to say of a value that nobody wrote the hooks for."""
    kind = type(value).__name__
    if kind == "Result":
        return "got a Result: that was checked already; hand over the object itself"
    said = (
        f"got a {kind}, which is nothing to check: hand over an object with loss, params and grads,"
        " or functions by name: gradcheck(loss=f, grads=df, params=x0)"
    )
    named = kind == "dict" and "loss" in value
    return said + ("; with a dict of these, gradcheck(**it)" if named else "")


def _is_all_zero(claimed: Any) -> bool:
    try:
        return all(leaf.value is None or not np.any(leaf.value) for leaf in flatten(claimed))
    except Exception:  # no numbers at all: to be said where they are gathered
        return False

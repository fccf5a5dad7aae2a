"""The call that a check of JAX code is about: a function, its arguments, a gradient by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import SubjectError
from ..called import Called, positional_names
from .trees import Argument, Arguments, flattened, is_equinox, is_nnx, jax, jnp, leaf_name
from .weighed import UNTRACEABLE, nameless


class Call:
    """A function of the leaves of its arguments.

    Attributes
    ----------
    title : str
        How reports call it.
    arguments : Arguments
    by_hand : callable or None
        ``by_hand(moved, fixed)`` is a gradient that the user gives, one array a moved leaf.
    """

    def __init__(self, asked: Called, args: tuple[Any, ...], wrt: tuple[str, ...] = ()) -> None:
        self._asked, self._function = asked, uncompiled(asked.subject)
        self.title = asked.title
        is_module = is_nnx(asked.subject) or is_equinox(asked.subject)
        own = [asked.subject] if is_module and asked.params is None else []
        own = own if asked.params is None else [asked.params]
        names = ["params" if own else "", *_argument_names(asked, len(own), args)]
        data = [
            Argument(name, value, moved=not own, bare=not own and len(args) == 1)
            for name, value in zip(names[1:], args, strict=True)
        ]
        first = [Argument(names[0], tree, bare=True) for tree in own]
        words = [Argument(k, v, moved=not own) for k, v in asked.kwargs.items()]
        self._positional, self._is_module = len(own) + len(args), is_module and bool(own)
        self._first = [*first, *data][:1]
        self.arguments = Arguments([*first, *data, *words], wrt)
        self.by_hand: Callable[[Any, Any], list[Any]] | None = None
        self._returns_pair = False
        if asked.grads is not None:
            self.by_hand = self._grads
        elif asked.params is not None and self._is_pair():
            self._returns_pair, self.by_hand = True, self._second

    def returned(self, moved: Any, fixed: Any) -> Any:
        """What the function returns where its leaves have these values."""
        returned = self._whole(moved, fixed)
        return returned[0] if self._returns_pair else returned

    def _whole(self, moved: Any, fixed: Any) -> Any:
        trees = self.arguments.assembled(moved, fixed)
        words = dict(zip(self._asked.kwargs, trees[self._positional :], strict=True))
        positional = trees[: self._positional]
        if self._is_module and self._asked.params is None:
            returned = positional[0](*positional[1:], **words)
        else:
            returned = self._function(*positional, **words)
        return returned if self._asked.loss is None else self._asked.loss(returned)

    def _grads(self, moved: Any, fixed: Any) -> list[Any]:
        trees = self.arguments.assembled(moved, fixed)
        words = dict(zip(self._asked.kwargs, trees[self._positional :], strict=True))
        return self._matched(self._asked.grads(*trees[: self._positional], **words))

    def _second(self, moved: Any, fixed: Any) -> list[Any]:
        return self._matched(self._whole(moved, fixed)[1])

    def _is_pair(self) -> bool:
        """Whether the function returns ``(loss, gradients)``."""
        try:
            returned = jax.eval_shape(
                nameless(self._whole), self.arguments.moved, self.arguments.fixed
            )
        except UNTRACEABLE:
            returned = self._whole(self.arguments.moved, self.arguments.fixed)
        if not (isinstance(returned, tuple) and len(returned) == 2):
            return False
        named = self._by_name(returned[1])
        pairs = zip(self.arguments.names, self.arguments.moved, strict=True)
        return np.shape(returned[0]) == () and all(
            name in named and np.shape(named[name]) == np.shape(leaf) for name, leaf in pairs
        )

    def _by_name(self, gradients: Any) -> dict[str, Any]:
        """Gradients in the structure of the first argument, by the names of its leaves."""
        argument, found = self._first[0], {}
        for path, leaf in flattened(gradients)[0]:
            name = leaf_name(argument.name, path, bare=argument.bare)
            found[name.removesuffix(".value")] = found[name] = leaf  # State of NNX: Param.value
        return found

    def _matched(self, gradients: Any) -> list[Any]:
        named, found = self._by_name(gradients), []
        for name, leaf in zip(self.arguments.names, self.arguments.moved, strict=True):
            if name not in named:
                raise SubjectError(
                    f"no gradient for {name!r}: grads has {', '.join(map(repr, named)) or 'none'}"
                )
            if np.shape(named[name]) != np.shape(leaf):
                raise SubjectError(
                    f"grads[{name}] has shape {np.shape(named[name])}, the parameter"
                    f" {np.shape(leaf)}: nothing is broadcast or reshaped"
                )
            found.append(np.asarray(named[name]))
        return found

    def as_given(self, moved: Any) -> list[Any]:
        """Moved leaves as the user's own functions know them: JAX arrays where they were that."""
        pairs = zip(moved, self.arguments.moved, strict=True)
        return [jnp.asarray(a) if isinstance(leaf, jax.Array) else a for a, leaf in pairs]


def uncompiled(function: Any) -> Any:
    """What ``jax.jit`` was applied to: see `Compiled` for why that is compiled here anew."""
    is_jit = type(function).__name__ == "PjitFunction"
    return getattr(function, "__wrapped__", function) if is_jit else function


def _argument_names(asked: Called, skip: int, args: tuple[Any, ...]) -> list[str]:
    """The names that a function has for its positional arguments."""
    function = asked.subject
    if is_nnx(function) or is_equinox(function):
        function, skip = function.__call__, 0
    return positional_names(function, skip + len(args), asked.kwargs)[skip:]

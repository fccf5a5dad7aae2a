"""Arguments of JAX functions: which leaves of their pytrees are moved, and how they are called.

Only to be imported where JAX is: whoever looks for it asks ``sys.modules``.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..called import wanted

# Typed as Any: types are checked in environments without the framework, too.
jax: Any = importlib.import_module("jax")
jnp: Any = importlib.import_module("jax.numpy")
tree_util: Any = importlib.import_module("jax.tree_util")


@dataclass(frozen=True)
class Argument:
    """One argument of a function.

    Attributes
    ----------
    name : str
    tree : object
        Its value, a pytree.
    moved : bool
        Whether its floating-point leaves are to be checked.
    bare : bool
        Whether leaves go by their own names, without that of the argument.
    """

    name: str
    tree: Any
    moved: bool = True
    bare: bool = False


class Arguments:
    """All arguments, as leaves that are moved, arrays that stay, and what is no array.

    Parameters
    ----------
    arguments : sequence of Argument
    wrt : tuple of str
        Names or patterns of the leaves to check, whichever argument they belong to; where there is
        none it is as the arguments say.

    Attributes
    ----------
    names : list of str
        Of the leaves that are moved.
    moved, fixed : list of array
        Their values, and those of the other arrays.
    """

    def __init__(self, arguments: Sequence[Argument], wrt: tuple[str, ...] = ()) -> None:
        self.names: list[str] = []
        self.moved: list[Any] = []
        self.fixed: list[Any] = []
        self._asked, self._wanted = bool(wrt), wanted(wrt)
        self._plans: list[tuple[Any, list[tuple[str, Any]]]] = []
        for argument in arguments:
            leaves, structure = flattened(argument.tree)
            plan = [self._place(argument, path, leaf) for path, leaf in leaves]
            self._plans.append((structure, plan))

    def _place(self, argument: Argument, path: tuple[Any, ...], leaf: Any) -> tuple[str, Any]:
        """Where one leaf is to be taken from when the arguments are put together."""
        name = leaf_name(argument.name, path, bare=argument.bare)
        if self._asked:
            is_wanted = self._wanted(name) or self._wanted(argument.name)
        else:
            is_wanted = argument.moved and _Part.REST not in path
        if is_wanted and _is_movable(path, leaf):
            self.names.append(name)
            self.moved.append(leaf)
            return "moved", len(self.moved) - 1
        if is_array(leaf):
            self.fixed.append(leaf)
            return "fixed", len(self.fixed) - 1
        return "static", leaf

    def assembled(self, moved: Sequence[Any], fixed: Sequence[Any]) -> list[Any]:
        """The arguments with these arrays in their places."""
        sources = {"moved": moved, "fixed": fixed}
        arguments = []
        for structure, plan in self._plans:
            leaves = [what if kind == "static" else sources[kind][what] for kind, what in plan]
            tree = tree_util.tree_unflatten(structure, leaves)
            arguments.append(tree_util.tree_map(_merged, tree, is_leaf=_is_split))
        return arguments


def flattened(tree: Any) -> tuple[list[tuple[tuple[Any, ...], Any]], Any]:
    """Leaves of a pytree with their key paths; NNX modules are taken apart first."""
    apart = tree_util.tree_map(_split, tree, is_leaf=is_nnx)
    leaves, structure = tree_util.tree_flatten_with_path(apart)
    return leaves, structure


def leaf_name(root: str, path: Sequence[Any], *, bare: bool = True) -> str:
    """``W``, ``layers[0].weight``, ``params[1]``: a key path as reports write it."""
    is_module = any(isinstance(key, _Part) for key in path)
    steps = [key for key in path if not isinstance(key, _Part)]
    if is_module and steps and hasattr(steps[-1], "name"):
        steps.pop()  # Variable.value
    text, is_root = root, bare
    for step in steps:
        key = getattr(step, "name", getattr(step, "key", getattr(step, "idx", step)))
        named = key if is_root else f"{text}.{key}"
        text = named if isinstance(key, str) else f"{text}[{key!r}]"
        is_root = False
    return text


def numpy_of(leaf: Any) -> Any:
    """A leaf in the precision JAX computes in: float32 for float64, unless x64 is enabled."""
    return np.asarray(leaf).astype(jax.dtypes.canonicalize_dtype(jnp.result_type(leaf)))


def is_array(leaf: Any) -> bool:
    return isinstance(leaf, (jax.Array, np.ndarray, np.generic))


def _is_movable(path: Sequence[Any], leaf: Any) -> bool:
    """Whether a leaf is a floating-point number or array that a derivative may be taken by.

    A Python number held by an object, such as the rate of a dropout layer, is none.
    """
    if is_array(leaf):
        return bool(jnp.issubdtype(leaf.dtype, jnp.inexact))
    in_object = bool(path) and hasattr(path[-1], "name")
    return isinstance(leaf, (float, complex)) and not in_object


class _Part:
    """A step of a key path into one part of a taken apart NNX module."""

    PARAMETERS: _Part
    REST: _Part


_Part.PARAMETERS, _Part.REST = _Part(), _Part()


@tree_util.register_pytree_with_keys_class
@dataclass(frozen=True)
class _Split:
    """A Flax NNX module as a pytree, which it is not in all releases."""

    definition: Any
    parameters: Any
    rest: Any

    def tree_flatten_with_keys(self) -> tuple[Any, Any]:
        parts = ((_Part.PARAMETERS, self.parameters), (_Part.REST, self.rest))
        return parts, self.definition

    @classmethod
    def tree_unflatten(cls, definition: Any, parts: Any) -> _Split:
        return cls(definition, *parts)


def is_nnx(value: Any) -> bool:
    """Whether `value` is a Flax NNX module, if that was ever imported."""
    nnx = sys.modules.get("flax.nnx")
    return nnx is not None and isinstance(value, nnx.Module)


def is_equinox(value: Any) -> bool:
    """Whether `value` is an Equinox module, if that was ever imported."""
    equinox = sys.modules.get("equinox")
    return equinox is not None and isinstance(value, equinox.Module)


def _split(value: Any) -> Any:
    if not is_nnx(value):
        return value
    nnx = sys.modules["flax.nnx"]
    return _Split(*nnx.split(value, nnx.Param, ...))


def _is_split(value: Any) -> bool:
    return isinstance(value, _Split)


def _merged(value: Any) -> Any:
    if not isinstance(value, _Split):
        return value
    return sys.modules["flax.nnx"].merge(value.definition, value.parameters, value.rest)

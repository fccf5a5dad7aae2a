"""Parameters as people write them: mappings, sequences, arrays and scalars, nested at will."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence, Sequence, ValuesView
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import SubjectError

MAX_DEPTH = 32


@dataclass(frozen=True)
class Leaf:
    """One array or scalar of a structure, and the container and key where it sits."""

    name: str
    value: Any
    container: Any = None
    key: Any = None

    @property
    def is_array(self) -> bool:
        return isinstance(self.value, np.ndarray)

    @property
    def in_mutable_container(self) -> bool:
        return isinstance(self.container, (MutableMapping, MutableSequence))


def is_branch(value: Any) -> bool:
    """Whether `value` holds parameters rather than being one."""
    return isinstance(value, (Mapping, ValuesView, Iterator)) or (
        isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))
    )


def listed(tree: Any) -> Any:
    """`tree`, with a generator or a view of values, which can be read once, as a list."""
    return list(tree) if isinstance(tree, (ValuesView, Iterator)) else tree


def children(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Keys and values of one branch."""
    return iter(tree.items()) if isinstance(tree, Mapping) else enumerate(tree)


def child_name(prefix: str, tree: Any, key: Any, root: str) -> str:
    """``W1``, ``layer.W``, ``params[0]``: how one child of a branch is called in reports."""
    if isinstance(tree, Mapping) and isinstance(key, str):
        return key if prefix == root else f"{prefix}.{key}"
    if hasattr(tree, "_fields"):
        field = str(tree._fields[key])
        return field if prefix == root else f"{prefix}.{field}"
    return f"{prefix}[{key!r}]"


def flatten(tree: Any, root: str = "params") -> list[Leaf]:
    """All leaves of `tree` in order; None (no bias, say) is no leaf.

    Raises
    ------
    SubjectError
        For structures that are not what their names promise: too deep, or holding themselves.
    """
    return list(_leaves(tree, root, root, None, None, 0))


def _leaves(
    tree: Any, name: str, root: str, container: Any, key: Any, depth: int
) -> Iterator[Leaf]:
    require_shallow(name, depth)
    if tree is None:
        return
    if not is_branch(tree):
        yield Leaf(name, tree, container, key)
        return
    tree = listed(tree)
    for child_key, child in children(tree):
        child_path = child_name(name, tree, child_key, root)
        yield from _leaves(child, child_path, root, tree, child_key, depth + 1)


def require_shallow(name: str, depth: int) -> None:
    """Refuse what nests without end.

    Raises
    ------
    SubjectError
        If `depth` is more than parameters are ever nested.
    """
    if depth > MAX_DEPTH:
        raise SubjectError(
            f"{name}: nested more than {MAX_DEPTH} levels deep (does it hold itself?);"
            " hand out a plain mapping of names to arrays"
        )


def rebuild(tree: Any, values: Iterator[Any]) -> Any:
    """A structure like `tree` with its leaves replaced, in order, by `values`."""
    if tree is None:
        return None
    if not is_branch(tree):
        return next(values)
    if isinstance(tree, Mapping):
        pairs = {key: rebuild(child, values) for key, child in tree.items()}
        return pairs if type(tree) is dict else _retyped(tree, pairs)
    items = [rebuild(child, values) for child in tree]
    if hasattr(tree, "_fields"):
        return type(tree)(*items)
    return tuple(items) if isinstance(tree, tuple) else items


def _retyped(tree: Mapping[Any, Any], pairs: dict[Any, Any]) -> Mapping[Any, Any]:
    try:
        return type(tree)(pairs)  # type: ignore[call-arg]
    except TypeError:
        return pairs


def match(tree: Any, claimed: Any) -> list[Any]:
    """The values of `claimed` that belong to the leaves of `tree`, in the order of `flatten`.

    Mappings are matched by key, sequences by position; an array may stand for a sequence of
    scalars, as the gradient of ``[a, b]`` is often an array of two.

    Raises
    ------
    SubjectError
        If names or lengths differ; the message lists all of them.
    """
    if claimed is None and is_branch(tree):
        raise SubjectError(
            "the gradient is None: it was not computed, or not returned. Let grads() return it;"
            " where a backward pass leaves it on the object, that pass is called before grads is"
            ' read if its name is backward, or is given as hooks={"backward": "that name"}'
        )
    values: list[Any] = []
    problems: list[str] = []
    _match(tree, claimed, "params", values, problems)
    if problems:
        raise SubjectError(
            "grads does not have the structure of params:\n  "
            + "\n  ".join(problems)
            + "\nEvery parameter needs its own gradient, under its own name and in its own shape."
        )
    return values


def _match(tree: Any, claimed: Any, name: str, values: list[Any], problems: list[str]) -> None:
    if tree is None:
        return
    if not is_branch(tree):
        values.append(claimed)
        return
    tree, claimed = listed(tree), listed(claimed)
    if isinstance(tree, Mapping):
        if not isinstance(claimed, Mapping):
            what = type(claimed).__name__
            problems.append(f"{name} is a mapping, its gradient is of type {what}")
            return
        _match_names(tree, claimed, name, problems)
        for key, child in tree.items():
            if key in claimed:
                _match(child, claimed[key], child_name(name, tree, key, "params"), values, problems)
        return
    is_sequence = is_branch(claimed) and not isinstance(claimed, Mapping)
    if not is_sequence and not (isinstance(claimed, np.ndarray) and claimed.ndim > 0):
        what = type(claimed).__name__
        problems.append(f"{name} is a sequence, its gradient is of type {what}")
    elif len(claimed) != len(tree):
        problems.append(f"{name} has {len(tree)} items, its gradient {len(claimed)}")
    else:
        for key, (child, part) in enumerate(zip(tree, claimed, strict=True)):
            _match(child, part, child_name(name, tree, key, "params"), values, problems)


def _match_names(
    tree: Mapping[Any, Any], claimed: Mapping[Any, Any], name: str, problems: list[str]
) -> None:
    where = "" if name == "params" else f" in {name}"
    missing = [key for key, child in tree.items() if key not in claimed and child is not None]
    extra = [key for key in claimed if key not in tree]
    for key in missing:
        renamed = f"d{key}"
        hint = f" (grads has {renamed!r}: call it {key!r})" if renamed in claimed else ""
        problems.append(f"no gradient for {key!r}{where}{hint}")
        if renamed in extra:
            extra.remove(renamed)
    if extra:
        problems.append(
            f"gradients{where} without a parameter: " + ", ".join(repr(key) for key in extra)
        )

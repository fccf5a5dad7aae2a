"""How single things are put back as they were: attributes, containers, arrays.

What stands as before is not written to.
"""

from __future__ import annotations

import types
import warnings
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

COLLECTIONS = (list, set, deque, bytearray)
"""Kinds of containers, beside mappings, that can be emptied and filled again."""


class Layout(NamedTuple):
    """What can be set at an array beside its values."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: Any
    writeable: bool


def layout_of(array: NDArray[Any]) -> Layout:
    return Layout(array.shape, array.strides, array.dtype, array.flags.writeable)


def lay_out(array: NDArray[Any], layout: Layout) -> bool:
    """Give an array the shape and the like that it had; return whether it had others."""
    if layout_of(array) == layout:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy discourages what a loss has just done
        array.setflags(write=layout.writeable)
        if array.dtype != layout.dtype:
            array.shape = (-1,)
            setattr(array, "dtype", layout.dtype)  # noqa: B010 - read-only, types say
        if array.shape != layout.shape:
            array.shape = layout.shape
        if array.strides != layout.strides:
            array.strides = layout.strides
    return True


def put_array(array: NDArray[Any], before: tuple[Layout, NDArray[Any]]) -> None:
    layout, values = before
    lay_out(array, layout)
    np.copyto(array, values)


def put_mapping(mapping: Any, items: dict[Any, Any]) -> None:
    """Items and their order."""
    if not _are_same(_pairs(mapping), _pairs(items)):
        mapping.clear()
        mapping.update(items)


def put_collection(collection: Any, members: list[Any]) -> None:
    """Members and, where they have one, their order."""
    if _are_same(list(collection), members):
        return
    collection.clear()
    if isinstance(collection, set):
        collection.update(members)
    else:
        collection.extend(members)


def attributes(owner: Any) -> dict[str, Any]:
    """Instance attributes, from ``__dict__`` and ``__slots__`` alike."""
    found = dict(_table(owner) or {})
    for name, slot in _slots(owner):
        try:
            found[name] = slot.__get__(owner)
        except AttributeError:
            continue
    return found


def set_attribute(owner: Any, name: str, value: Any) -> None:
    """Set an attribute that `attributes` has found, past whatever its class does about that."""
    slots = dict(_slots(owner))
    if name in slots:
        slots[name].__set__(owner, value)
    else:
        owner.__dict__[name] = value


def put_attributes(owner: Any, before: dict[str, Any]) -> None:
    slots = dict(_slots(owner))
    table = _table(owner)
    if table is not None:
        put_mapping(table, {name: value for name, value in before.items() if name not in slots})
    now = attributes(owner)
    for name, slot in slots.items():
        if name not in before and name in now:
            slot.__delete__(owner)
        elif name in before and (name not in now or now[name] is not before[name]):
            slot.__set__(owner, before[name])


def _table(owner: Any) -> dict[str, Any] | None:
    try:
        table = object.__getattribute__(owner, "__dict__")
    except AttributeError:
        return None
    return table if isinstance(table, dict) else None


def _slots(owner: Any) -> Iterator[tuple[str, Any]]:
    for cls in type(owner).__mro__:
        if "__slots__" in cls.__dict__:
            for name, slot in cls.__dict__.items():
                if isinstance(slot, types.MemberDescriptorType):
                    yield name, slot


def _pairs(mapping: Any) -> list[Any]:
    return [part for pair in mapping.items() for part in pair]


def _are_same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))

"""What the objects of a check hold besides the parameters: taken before, put back after.

Running means, hidden states, step counters and random generators move with every evaluation of a
loss.  A walk over the attributes of the objects at hand finds them; afterwards each stands as
before, and until then the walk can say which of them moved.
"""

from __future__ import annotations

import functools
import random
import types
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

FUNCTIONS = (types.FunctionType, types.MethodType, functools.partial)
ATOMS = frozenset({int, float, complex, bool, str, bytes, type(None), np.float64, np.float32})
_FOREIGN = """
_io _pytest _thread asyncio builtins concurrent io jax jaxlib keras logging multiprocessing numpy
pandas pluggy pytest pytest_gradcheck queue scipy socket sqlite3 subprocess tensorflow threading
torch unittest weakref
"""
FOREIGN = frozenset(_FOREIGN.split())
"""Packages whose objects have their own life (locks, files, caches): not ours to walk."""


class State:
    """The state reachable from `roots`, as it is now.

    Parameters
    ----------
    roots : iterable of (str, object)
        Named starting points: the object under check, its functions, its arguments.
    parameters : iterable of ndarray
        Arrays that are looked after elsewhere.
    """

    def __init__(self, roots: Iterable[tuple[str, Any]], parameters: Iterable[Any] = ()) -> None:
        self._seen: set[int] = {id(array) for array in parameters}
        self._alive: list[Any] = []  # so that no id is used twice during the walk
        self._attributes: list[tuple[str, Any, dict[str, Any]]] = []
        self._dicts: list[tuple[str, dict[Any, Any], dict[Any, Any]]] = []
        self._lists: list[tuple[str, list[Any], list[Any]]] = []
        self._arrays: list[tuple[str, np.ndarray[Any, Any], np.ndarray[Any, Any]]] = []
        self._generators: list[tuple[str, Any, Any]] = [
            ("random", random, random.getstate()),
            ("numpy.random", np.random, np.random.get_state(legacy=False)),
        ]
        pending = [(name, value, True) for name, value in roots]
        while pending:
            name, value, is_root = pending.pop()
            pending.extend(self._visit(name, value, is_root))

    def _visit(self, name: str, value: Any, is_root: bool) -> list[tuple[str, Any, bool]]:
        """Note what `value` holds; return what is to be visited next."""
        if type(value) in ATOMS or id(value) in self._seen:
            return []
        self._seen.add(id(value))
        self._alive.append(value)
        if isinstance(value, np.ndarray):
            if value.flags.writeable and value.dtype != object:
                self._arrays.append((name, value, value.copy(order="K")))
        elif isinstance(value, (np.random.Generator, np.random.RandomState, random.Random)):
            self._generators.append((name, value, state_of(value)))
        elif isinstance(value, FUNCTIONS):
            return [(path, held, is_root) for path, held in held_by_function(name, value)]
        elif isinstance(value, dict):
            if not is_root:  # a counter or a log in a closure is its owner's affair
                self._dicts.append((name, value, dict(value)))
            return [(f"{name}[{key!r}]", held, is_root) for key, held in value.items()]
        elif isinstance(value, (list, tuple)):
            if isinstance(value, list) and not is_root:
                self._lists.append((name, value, list(value)))
            return [(f"{name}[{i}]", held, is_root) for i, held in enumerate(value)]
        elif is_walkable(value):
            attributes = _attributes(value)
            self._attributes.append((name, value, attributes))
            return [(f"{name}.{key}", held, False) for key, held in attributes.items()]
        return []

    def restore(self) -> None:
        """Put everything back as it was."""
        for _, owner, attributes in self._attributes:
            now = _attributes(owner)
            for key in now.keys() - attributes.keys():
                object.__delattr__(owner, key)
            for key, value in attributes.items():
                if key not in now or now[key] is not value:
                    object.__setattr__(owner, key, value)
        for _, mapping, items in self._dicts:
            if len(mapping) != len(items) or any(mapping.get(k) is not v for k, v in items.items()):
                mapping.clear()
                mapping.update(items)
        for _, sequence, members in self._lists:
            if len(sequence) != len(members) or any(
                a is not b for a, b in zip(sequence, members, strict=True)
            ):
                sequence[:] = members
        for _, array, values in self._arrays:
            np.copyto(array, values)
        self.rewind()

    def rewind(self) -> None:
        """Put all random generators back to the state in which they were found."""
        for _, generator, state in self._generators:
            set_state(generator, state)

    def moved(self) -> list[str]:
        """Names of attributes, items, arrays and generators that are no longer as they were."""
        return sorted(set(self._moved()))

    def moved_generators(self) -> list[str]:
        """Names of the random generators that have been drawn from."""
        return [
            name
            for name, generator, state in self._generators
            if not _same_state(state_of(generator), state)
        ]

    def _moved(self) -> Iterator[str]:
        for name, owner, attributes in self._attributes:
            now = _attributes(owner)
            yield from (f"{name}.{k}" for k, v in now.items() if attributes.get(k) is not v)
        for name, mapping, items in self._dicts:
            yield from (f"{name}[{k!r}]" for k, v in mapping.items() if items.get(k) is not v)
        for name, sequence, members in self._lists:
            if len(sequence) != len(members):
                yield name
        for name, array, values in self._arrays:
            if array.tobytes() != values.tobytes():
                yield name
        yield from self.moved_generators()

    def replace(self, old: Any, new: Any) -> int:
        """Put `new` wherever an attribute, a dictionary or a list holds `old`; return how often.

        `restore` undoes it.
        """
        count = 0
        for _, owner, _ in self._attributes:
            for key, value in _attributes(owner).items():
                if value is old:
                    object.__setattr__(owner, key, new)
                    count += 1
        for holder in [m for _, m, _ in self._dicts] + [s for _, s, _ in self._lists]:
            pairs = list(holder.items() if isinstance(holder, dict) else enumerate(holder))
            for key, value in pairs:
                if value is old:
                    holder[key] = new
                    count += 1
        return count


def is_walkable(value: Any) -> bool:
    """Whether `value` is an instance of a class whose attributes are the user's own affair."""
    if isinstance(value, (type, types.ModuleType, types.BuiltinFunctionType)):
        return False
    return type(value).__module__.partition(".")[0] not in FOREIGN


def _attributes(owner: Any) -> dict[str, Any]:
    """Instance attributes, from ``__dict__`` and ``__slots__`` alike."""
    found = dict(getattr(owner, "__dict__", {}))
    for cls in type(owner).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if slot.startswith("__"):
                continue
            try:
                found[slot] = object.__getattribute__(owner, slot)
            except AttributeError:
                continue
    return found


def held_by_function(name: str, function: Any) -> Iterator[tuple[str, Any]]:
    """What a function closes over, is bound to, or reads from its module."""
    if isinstance(function, functools.partial):
        yield from ((name, part) for part in (function.func, *function.args))
        yield from function.keywords.items()
        return
    if isinstance(function, types.MethodType):
        yield name, function.__self__
        function = function.__func__
    if not isinstance(function, types.FunctionType):
        return
    code = function.__code__
    for variable, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield variable, cell.cell_contents
        except ValueError:  # not yet filled
            continue
    for variable in code.co_names:
        value = function.__globals__.get(variable)
        is_foreign_function = isinstance(value, FUNCTIONS) and (
            getattr(value, "__module__", None) != function.__module__
        )
        if not is_foreign_function:
            yield variable, value


def state_of(generator: Any) -> Any:
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, np.random.RandomState) or generator is np.random:
        return generator.get_state(legacy=False)
    return generator.getstate()


def set_state(generator: Any, state: Any) -> None:
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, np.random.RandomState) or generator is np.random:
        generator.set_state(state)
    else:
        generator.setstate(state)


def _same_state(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return all(_same_state(a[key], b[key]) for key in a)
    return bool(np.array_equal(a, b)) if isinstance(a, np.ndarray) else bool(a == b)

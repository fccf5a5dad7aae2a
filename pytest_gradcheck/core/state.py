"""What the objects of a check hold besides the parameters: taken before, put back after.

Running means, hidden states, step counters and random generators move with every evaluation of a
loss.  A walk over the attributes of the objects at hand finds them; afterwards each stands as
before, and until then the walk can say which of them moved.
"""

from __future__ import annotations

import functools
import operator
import random
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SubjectError
from .put_back import (
    COLLECTIONS,
    Layout,
    attributes,
    layout_of,
    put_array,
    put_attributes,
    put_collection,
    put_mapping,
    set_attribute,
)

FUNCTIONS = (types.FunctionType, types.MethodType, functools.partial)
GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
ATOMS = frozenset({int, float, complex, bool, str, bytes, type(None), np.float64, np.float32})
_FOREIGN = """
_io _pytest _thread asyncio builtins concurrent io jax jaxlib keras logging multiprocessing numpy
pandas pluggy pytest pytest_gradcheck queue scipy socket sqlite3 subprocess tensorflow threading
torch unittest weakref
"""
FOREIGN = frozenset(_FOREIGN.split())
"""Packages whose objects have their own life (locks, files, caches): not ours to walk."""
_NOTHING = object()


class State:
    """The state reachable from `roots`, as it is now.

    Parameters
    ----------
    roots : iterable of (str, object)
        Named starting points: the object under check, its functions, its arguments.
    parameters : iterable of ndarray
        Arrays that are looked after elsewhere.
    kept : object
        A structure whose own mappings and lists are to stand as before, too.
    """

    def __init__(
        self,
        roots: Iterable[tuple[str, Any]],
        parameters: Iterable[Any] = (),
        *,
        kept: Any = None,
    ) -> None:
        self._seen: set[int] = {id(array) for array in parameters}
        self._classes: set[int] = set()
        self._alive: list[Any] = []  # so that no id is used twice during the walk
        self._attributes: list[tuple[str, Any, dict[str, Any]]] = []
        self._dicts: list[tuple[str, dict[Any, Any], dict[Any, Any]]] = []
        self._collections: list[tuple[str, Any, list[Any]]] = []
        self._tuples: list[tuple[Any, ...]] = []
        self._arrays: list[tuple[str, NDArray[Any], tuple[Layout, NDArray[Any]]]] = []
        self._generators: list[tuple[str, Any, Any]] = [
            ("random", random, random.getstate()),
            ("numpy.random", np.random, np.random.get_state(legacy=False)),
        ]
        pending = [*((name, value, True) for name, value in roots), ("params", kept, False)]
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
                plain = np.array(value, order="K")  # a subclass may have a copy() of its own
                self._arrays.append((name, value, (layout_of(value), plain)))
        elif isinstance(value, GENERATORS):
            self._generators.append((name, value, state_of(value)))
        elif isinstance(value, FUNCTIONS):
            return [(path, held, is_root) for path, held in held_by_function(name, value)]
        elif isinstance(value, dict):
            if not is_root:  # a counter or a log in a closure is its owner's affair
                self._dicts.append((name, value, dict(value)))
            return [(f"{name}[{key!r}]", held, is_root) for key, held in value.items()]
        elif isinstance(value, (tuple, *COLLECTIONS)):
            if isinstance(value, tuple):
                self._tuples.append(value)
            elif not is_root:
                self._collections.append((name, value, list(value)))
            return [(f"{name}[{i}]", held, is_root) for i, held in enumerate(value)]
        elif is_walkable(value):
            found = attributes(value)
            self._attributes.append((name, value, found))
            return [
                *((f"{name}.{key}", held, False) for key, held in found.items()),
                *((path, held, True) for path, held in self._of_classes(type(value))),
            ]
        return []

    def _of_classes(self, kind: type) -> Iterator[tuple[str, Any]]:
        """What the user's own classes hold for all their objects, and draw from in their methods.

        Theirs, as in a closure: a class's list or counter is not put back, a generator is.
        """
        for cls in kind.__mro__:
            if id(cls) in self._classes or is_foreign(cls):
                continue
            self._classes.add(id(cls))
            for key, held in vars(cls).items():
                if isinstance(held, types.FunctionType):
                    pairs = held_by_function(key, held)
                    yield from (pair for pair in pairs if isinstance(pair[1], GENERATORS))
                elif not (key.startswith("__") and key.endswith("__")):
                    yield f"{cls.__name__}.{key}", held

    def restore(self) -> None:
        """Put everything back as it was.

        Raises
        ------
        SubjectError
            If something resists, once all the rest is back.
        """
        failed: list[tuple[str, Exception]] = []
        for put, things in self._ways:
            for name, thing, before in things:
                try:
                    put(thing, before)
                except Exception as error:
                    failed.append((name, error))
        self.rewind()
        if failed:
            name, why = failed[0]
            raise SubjectError(
                f"{name} changed during the check and could not be put back as it was"
                f" ({type(why).__name__}: {why}); hold it outside of the object, or reset it in"
                " before_each="
            ) from why

    @property
    def _ways(self) -> tuple[tuple[Callable[[Any, Any], None], list[Any]], ...]:
        return (
            (put_attributes, self._attributes),
            (put_mapping, self._dicts),
            (put_collection, self._collections),
            (put_array, self._arrays),
        )

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

    def drawn_by(self, call: Callable[[], Any]) -> list[str]:
        """Names of the random generators that a call draws from, without those it seeds itself."""
        before = [state_of(generator) for _, generator, _ in self._generators]
        call()
        return [
            name
            for (name, generator, _), state in zip(self._generators, before, strict=True)
            if not _same_state(state_of(generator), state)
        ]

    def _moved(self) -> Iterator[str]:
        for name, owner, before in self._attributes:
            now = attributes(owner)
            yield from (f"{name}.{k}" for k, v in now.items() if before.get(k, _NOTHING) is not v)
        for name, mapping, items in self._dicts:
            moved = (k for k, v in mapping.items() if items.get(k, _NOTHING) is not v)
            yield from (f"{name}[{k!r}]" for k in moved)
        for name, collection, members in self._collections:
            if len(collection) != len(members):
                yield name
        for name, array, (_, values) in self._arrays:
            if np.asarray(array).tobytes() != values.tobytes():
                yield name
        yield from self.moved_generators()

    def replace(self, old: Any, new: Any) -> int:
        """Put `new` wherever an attribute, a dictionary, a list or a tuple there holds `old`.

        How often is returned.

        `restore` undoes it.
        """
        places: list[tuple[Callable[[Any, Any, Any], None], Any, Any]] = [
            (set_attribute, owner, key)
            for _, owner, _ in self._attributes
            for key, value in attributes(owner).items()
            if value is old
        ]
        lists = [c for _, c, _ in self._collections if isinstance(c, list)]
        places += [
            (operator.setitem, holder, key)
            for holder in [*(m for _, m, _ in self._dicts), *lists]
            for key, value in (holder.items() if isinstance(holder, dict) else enumerate(holder))
            if value is old
        ]
        for put, holder, key in places:
            put(holder, key, new)
        count = len(places)
        for whole in [t for t in self._tuples if any(part is old for part in t)]:
            parts = [new if part is old else part for part in whole]
            remade = type(whole)(*parts) if hasattr(whole, "_fields") else type(whole)(parts)
            count += self.replace(whole, remade)
            self._tuples.append(remade)  # where its other parts are from now on
        return count


def is_walkable(value: Any) -> bool:
    """Whether `value` is an instance of a class whose attributes are the user's own affair."""
    if isinstance(value, (type, types.ModuleType, types.BuiltinFunctionType)):
        return False
    return not is_foreign(type(value))


def is_foreign(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in FOREIGN


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
    for variable in _names_in(code):
        value = function.__globals__.get(variable)
        is_foreign_function = isinstance(value, FUNCTIONS) and (
            getattr(value, "__module__", None) != function.__module__
        )
        if not is_foreign_function:
            yield variable, value


def _names_in(code: types.CodeType) -> Iterator[str]:
    """Global names that a function reads, in its lambdas and comprehensions, too."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _names_in(inner)


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

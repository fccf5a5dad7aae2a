"""What TensorFlow keeps besides the parameters: other variables, and where random numbers stand."""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterable
from typing import Any

from ...core.state import FUNCTIONS, held_by_function
from .traced import is_variable, tf

SEED = 20_240
"""Seed while random operations are held, where the program has set none."""
DEPTH = 3
"""Functions calling functions, down to which their variables are looked for."""


class Variables:
    """Variables that a call can reach, as they are now."""

    def __init__(self, roots: Iterable[Any]) -> None:
        self.generators: list[tuple[str, Draws]] = []
        self._seen: dict[int, Any] = {}
        self._held: list[tuple[Any, Any]] = []
        for root in roots:
            self._visit(root, 0)

    def _visit(self, value: Any, depth: int) -> None:
        if id(value) in self._seen:
            return
        self._seen[id(value)] = value  # kept alive, so that no id is used twice
        if is_variable(value):
            self._held.append((value, value.numpy()))
        elif isinstance(value, tf.random.Generator):
            self.generators.append(("tf.random.Generator", Draws(value)))
        elif isinstance(value, FUNCTIONS):
            if depth < DEPTH:
                for _, held in held_by_function("", value):
                    self._visit(held, depth + 1)
        elif isinstance(value, (list, tuple)):
            for item in value:
                self._visit(item, depth)
        elif isinstance(value, dict):
            for item in value.values():
                self._visit(item, depth)
        elif isinstance(value, tf.Module) or hasattr(value, "trainable_variables"):
            for variable in value.variables:
                self._visit(getattr(variable, "value", variable), depth)
                self._visit(variable, depth)
            for item in vars(value).values():
                if isinstance(item, tf.random.Generator):
                    self._visit(item, depth)

    def restore(self) -> None:
        """Put everything back as it was; what did not change is not written to."""
        for variable, values in self._held:
            if variable.numpy().tobytes() != values.tobytes():
                variable.assign(values)


class Draws(random.Random):
    """A generator of TensorFlow in the dress that `core.state` knows: getstate and setstate."""

    def __init__(self, generator: Any) -> None:
        super().__init__()  # its own numbers are of no interest
        self._generator = generator

    def getstate(self) -> Any:
        return tuple(self._generator.state.numpy().tolist())

    def setstate(self, state: Any) -> None:
        self._generator.state.assign(state)


class Seeds(random.Random):
    """The seed of TensorFlow's random operations in the dress that `core.state` knows.

    Attributes
    ----------
    holds : bool
        Whether operations are given a seed where the program has set none: for the time of the
        check only.
    """

    def __init__(self) -> None:
        super().__init__()  # its own numbers are of no interest
        self._context = importlib.import_module("tensorflow.python.eager.context").context()
        self._is_set = self._context._seed is not None
        self.holds = False

    def getstate(self) -> Any:
        if self._context._seed is None:
            if not self.holds:
                return None, object()  # like no other: nobody can say whether anything was drawn
            tf.random.set_seed(SEED)  # so that it can be said
        return self._context._seed, self._context._rng.getstate()

    def setstate(self, state: Any) -> None:
        seed, inner = state
        if not (self._is_set or self.holds):
            if self._context._seed is not None:
                tf.random.set_seed(None)
        elif seed is not None:
            tf.random.set_seed(seed)
            self._context._rng.setstate(inner)
        else:
            tf.random.set_seed(SEED)

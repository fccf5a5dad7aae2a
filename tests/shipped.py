"""Objects that are sent to workers, which must be able to import their classes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

HOME = os.environ.setdefault("GRADCHECK_TEST_HOME", str(os.getpid()))
"""The process that was first to load this module: workers inherit it."""


def in_worker() -> bool:
    return str(os.getpid()) != os.environ["GRADCHECK_TEST_HOME"]


class Net:
    """A tanh layer; its gradient for W is `factor` times what it should be."""

    def __init__(self, *, size: int = 6, factor: float = 1.0, dtype: Any = float) -> None:
        rng = np.random.default_rng(0)
        self.params = {
            "W": rng.normal(size=(size, 4)).astype(dtype),
            "b": rng.normal(size=4).astype(dtype),
        }
        self.X, self.factor = rng.normal(size=(5, size)), factor

    def loss(self) -> float:
        return 0.5 * float(np.sum(np.tanh(self.X @ self.params["W"] + self.params["b"]) ** 2))

    def grads(self) -> dict[str, np.ndarray]:
        h = np.tanh(self.X @ self.params["W"] + self.params["b"])
        delta = h * (1 - h * h)
        return {"W": self.X.T @ delta * self.factor, "b": delta.sum(axis=0)}


class Batched(Net):
    """The same with many points in one call."""

    batches = 0

    def losses(self, batch: dict[str, np.ndarray]) -> np.ndarray:
        self.batches += 1
        h = np.tanh(self.X @ batch["W"] + batch["b"][:, None])
        return 0.5 * np.sum(h**2, axis=(1, 2))


class Copied(Net):
    """Hands out copies, and takes values back."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._held = self.params

    @property
    def params(self) -> dict[str, np.ndarray]:
        return {name: array.copy() for name, array in self._held.items()}

    @params.setter
    def params(self, values: dict[str, np.ndarray]) -> None:
        self._held = {name: array.copy() for name, array in values.items()}


class AtKink(Net):
    """The sum of magnitudes of weights, some of which are zero."""

    def __init__(self) -> None:
        super().__init__()
        self.params["W"][::2] = 0.0

    def loss(self) -> float:
        return float(np.sum(np.abs(self.params["W"])) + np.sum(self.params["b"] ** 2))

    def grads(self) -> dict[str, np.ndarray]:
        return {"W": np.sign(self.params["W"]), "b": 2 * self.params["b"]}


class Scalars:
    """Python numbers as parameters."""

    def __init__(self) -> None:
        self.params = {"a": 0.5, "b": [1.5, -2.0]}

    def loss(self) -> float:
        a, (b, c) = self.params["a"], self.params["b"]
        return a * a * b + np.exp(c) * a

    def losses(self, batch: dict[str, Any]) -> np.ndarray:
        a, (b, c) = batch["a"], batch["b"]
        return a * a * b + np.exp(c) * a

    def grads(self) -> dict[str, Any]:
        a, (b, c) = self.params["a"], self.params["b"]
        return {"a": 2 * a * b + np.exp(c), "b": [a * a, np.exp(c) * a]}


class Does(Net):
    """A net whose loss does something else first; nothing of it is pickled but its name."""

    def __init__(self, what: Callable[[], Any], **options: Any) -> None:
        super().__init__(**options)
        self.what = what

    def loss(self) -> float:
        self.what()
        return super().loss()


class Logs(Net):
    """Writes a line into a file when it is unpickled, and when its loss is called."""

    def __init__(self, path: Any, **options: Any) -> None:
        super().__init__(**options)
        self.path = str(path)

    def _log(self, what: str) -> None:
        with open(self.path, "a") as log:
            log.write(f"{what} {os.getpid()}\n")

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._log("unpickled")

    def loss(self) -> float:
        self._log("loss")
        return super().loss()


def die_in_worker() -> None:
    if in_worker():
        os._exit(3)


def raise_in_worker() -> None:
    if in_worker():
        raise KeyError("no licence here")


CALLS = [0]


def raise_later() -> None:
    """Fails in whichever process has called it often enough."""
    CALLS[0] += 1
    if CALLS[0] > 5:
        raise LookupError("a mistake in the user's loss")


def sleep() -> None:
    time.sleep(0.01)


class Elsewhere(Net):
    """Another loss in another process."""

    def loss(self) -> float:
        return super().loss() + (0.25 if in_worker() else 0.0)


class Draws(Net):
    """Draws random numbers in its loss."""

    def __init__(self) -> None:
        super().__init__()
        self.rng = np.random.default_rng(1)

    def loss(self) -> float:
        return super().loss() * (1 + self.rng.random())

    def grads(self) -> dict[str, np.ndarray]:
        scale = 1 + self.rng.random()
        return {name: g * scale for name, g in super().grads().items()}

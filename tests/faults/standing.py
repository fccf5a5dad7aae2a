"""What must stand after a check as before: bytes, identities, generators, global configuration."""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np


class Standing:
    """A record of `roots` and of the process, at the moment it is made."""

    def __init__(self, roots: Any) -> None:
        self._roots = roots
        self._alive: list[Any] = []
        self.found = self._look()

    def changed(self) -> list[str]:
        """What is no longer as it was."""
        now = self._look()
        names = dict.fromkeys([*self.found, *now])
        return [name for name in names if self.found.get(name) != now.get(name)]

    def _look(self) -> dict[str, Any]:
        found = dict(_process())
        _walk("", self._roots, found, self._alive, set())
        return found


def _walk(name: str, value: Any, found: dict[str, Any], alive: list[Any], seen: set[int]) -> None:
    alive.append(value)
    found[f"{name} is"] = id(value)
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        layout = (value.shape, value.strides, value.dtype.str, value.flags.writeable)
        found[name] = (layout, value.tobytes())
    elif isinstance(value, (np.random.Generator, np.random.RandomState)):
        found[name] = _frozen(_state(value))
    elif "torch" in sys.modules and isinstance(value, sys.modules["torch"].Tensor):
        values = value.detach().cpu()
        found[name] = (str(value.dtype), tuple(value.shape), value.requires_grad)
        found[f"{name} bytes"] = values.contiguous().numpy().tobytes()
        _walk(f"{name}.grad", value.grad, found, alive, seen)
    elif type(value).__module__.startswith("jax"):
        found[name] = np.asarray(value).tobytes()
    elif isinstance(value, Mapping):
        found[name] = list(map(repr, value))
        for key, part in value.items():
            _walk(f"{name}[{key!r}]", part, found, alive, seen)
    elif isinstance(value, (list, tuple)):
        found[name] = len(value)
        for i, part in enumerate(value):
            _walk(f"{name}[{i}]", part, found, alive, seen)
    elif (hasattr(value, "__dict__") and not callable(value)) or _is_module(value):
        for key, part in vars(value).items():
            if key != "plan":
                _walk(f"{name}.{key}", part, found, alive, seen)


def _is_module(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def _state(generator: Any) -> Any:
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.get_state(legacy=False)


def _frozen(state: Any) -> Any:
    """A state of a generator as something that can be compared."""
    if isinstance(state, dict):
        return {key: _frozen(part) for key, part in state.items()}
    return state.tobytes() if isinstance(state, np.ndarray) else state


def _process() -> dict[str, Any]:
    found: dict[str, Any] = {
        "random": hash(random.getstate()),
        "numpy.random": _frozen(np.random.get_state(legacy=False)),
        "numpy.geterr": np.geterr(),
        "numpy.printoptions": repr(np.get_printoptions()),
        "recursion limit": sys.getrecursionlimit(),
        "SIGINT": signal.getsignal(signal.SIGINT),
        "SIGALRM": signal.getsignal(signal.SIGALRM),
        "trace": sys.gettrace(),
        "gc": gc.isenabled(),
        "directory": os.getcwd(),
        "environment": dict(os.environ),
        "warnings": list(warnings.filters),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        found |= {
            "torch generator": torch.get_rng_state().numpy().tobytes(),
            "torch dtype": torch.get_default_dtype(),
            "torch grad mode": torch.is_grad_enabled(),
            "torch anomaly mode": torch.is_anomaly_enabled(),
            "torch deterministic": torch.are_deterministic_algorithms_enabled(),
            "torch threads": torch.get_num_threads(),
            "torch modes": sum(  # one that torch itself puts back too late does nothing any more
                getattr(mode, "active", True)
                for mode in torch.overrides._get_current_function_mode_stack()
            ),
            "torch fast path": torch.backends.mha.get_fastpath_enabled(),
        }
    jax = sys.modules.get("jax")
    if jax is not None:
        found |= {"jax x64": jax.config.jax_enable_x64, "jax nans": jax.config.jax_debug_nans}
    return found

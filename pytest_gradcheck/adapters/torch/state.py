"""What a loss may move besides its parameters: buffers, cached tensors, generators of torch."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.state import FUNCTIONS, held_by_function, is_walkable, set_state, state_of
from .tensors import is_tensor, torch
from .wide import leave


class Held(random.Random):
    """A generator of torch in the dress that `core.state` knows: getstate and setstate.

    Parameters
    ----------
    source : torch.Generator or module
        A generator, or the module of a device with ``get_rng_state`` and ``set_rng_state``.
    where : device or None
        Which device, for the latter.
    """

    def __init__(self, source: Any, where: Any = None) -> None:
        super().__init__()  # its own numbers are of no interest
        self._source, self._where = source, where
        self.found = self.getstate()

    def getstate(self) -> Any:
        if isinstance(self._source, torch.Generator):
            state = self._source.get_state()
        else:
            state = self._source.get_rng_state(*self._device)
        values: NDArray[np.uint8] = state.cpu().numpy().copy()
        return values

    def setstate(self, state: Any) -> None:
        if isinstance(self._source, torch.Generator):
            self._source.set_state(torch.from_numpy(state.copy()))
        else:
            self._source.set_rng_state(torch.from_numpy(state.copy()), *self._device)

    @property
    def _device(self) -> tuple[Any, ...]:
        return () if self._where is None else (self._where,)


class Replayed:
    """A generator of NumPy or of the standard library, looked after by the core, for a replay."""

    def __init__(self, generator: Any) -> None:
        self._generator = generator
        self.found = self.getstate()

    def getstate(self) -> Any:
        return state_of(self._generator)

    def setstate(self, state: Any) -> None:
        set_state(self._generator, state)


class Surroundings:
    """Modules, tensors and generators that a call can reach, as they are now.

    Parameters
    ----------
    roots : iterable of (str, object)
    moved : iterable of torch.Tensor
        Tensors that are looked after elsewhere.
    """

    def __init__(self, roots: Iterable[tuple[str, Any]], moved: Iterable[Any]) -> None:
        self._records, self._kernels = torch.is_grad_enabled(), OneFunction.enabled()
        self._moved = {id(tensor): tensor for tensor in moved}
        self.modules: list[tuple[str, Any]] = []
        self._dicts: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._tensors: list[tuple[str, Any, Any]] = []
        self._gradients: list[tuple[Any, Any, Any]] = []
        self._devices: dict[str, Any] = {}
        self._seen: dict[int, Any] = {}
        self.generators: list[tuple[str, Held]] = [("torch", Held(torch.default_generator))]
        self._others = [Replayed(random), Replayed(np.random)]
        pending = list(roots) + [("", tensor) for tensor in self._moved.values()]
        while pending:
            pending.extend(self._visit(*pending.pop()))
        for name, device in sorted(self._devices.items()):
            source = getattr(torch, device.type, None)
            if hasattr(source, "get_rng_state") and hasattr(source, "set_rng_state"):
                where = None if device.type == "mps" else device
                self.generators.append((f"torch ({name})", Held(source, where)))

    def _visit(self, name: str, value: Any) -> Iterator[tuple[str, Any]]:
        if id(value) in self._seen or isinstance(value, (str, bytes, int, float, type(None))):
            return
        self._seen[id(value)] = value  # kept alive, so that no id is used twice
        if is_tensor(value):
            self._keep(name, value)
        elif isinstance(value, torch.Generator):
            self.generators.append((name, Held(value)))
        elif isinstance(value, (np.random.Generator, np.random.RandomState, random.Random)):
            self._others.append(Replayed(value))
        elif isinstance(value, torch.nn.Module):
            self.modules.append((name, value))
            for table in (value.__dict__, value._buffers):
                self._dicts.append((table, dict(table)))
            for table in (value.__dict__, value._buffers, value._parameters, value._modules):
                yield from ((f"{name}.{key}", held) for key, held in table.items())
        elif isinstance(value, FUNCTIONS):
            yield from held_by_function(name, value)
        elif isinstance(value, Mapping):
            yield from ((f"{name}[{key!r}]", held) for key, held in value.items())
        elif isinstance(value, (list, tuple)):
            yield from ((f"{name}[{i}]", held) for i, held in enumerate(value))
        elif is_walkable(value) and hasattr(value, "__dict__"):
            yield from ((f"{name}.{key}", held) for key, held in vars(value).items())

    def _keep(self, name: str, tensor: Any) -> None:
        if tensor.device.type not in ("cpu", "meta"):
            self._devices[str(tensor.device)] = tensor.device
        if tensor.is_leaf and tensor.requires_grad:
            gradient = tensor.grad
            self._gradients.append((tensor, gradient, _copy(gradient)))
        if id(tensor) not in self._moved and tensor.layout == torch.strided:
            self._tensors.append((name, tensor, _copy(tensor)))

    @property
    def draws(self) -> list[Held | Replayed]:
        """All generators that a call may draw from."""
        return [*(held for _, held in self.generators), *self._others]

    def rewind(self) -> None:
        """Put all generators back to the state in which they were found."""
        for generator in self.draws:
            generator.setstate(generator.found)

    def moved(self) -> list[str]:
        """Names of the tensors that are no longer as they were."""
        return [name for name, tensor, values in self._tensors if not _is_as(tensor, values)]

    def restore(self) -> None:
        """Put everything back as it was; what did not change is not written to.

        What is set for the time of a call too: a signal may have come between a call and its end.
        """
        leave()
        torch.set_grad_enabled(self._records)
        OneFunction.enable(self._kernels)
        for table, items in self._dicts:
            if table.keys() != items.keys() or any(table[k] is not v for k, v in items.items()):
                table.clear()
                table.update(items)
        for _, tensor, values in self._tensors:
            _put_back(tensor, values)
        for tensor, gradient, values in self._gradients:
            if tensor.grad is not gradient:
                tensor.grad = gradient
            if gradient is not None:
                _put_back(gradient, values)


def _copy(tensor: Any) -> Any:
    return None if tensor is None else tensor.detach().clone()


def _is_as(tensor: Any, values: Any) -> bool:
    return tensor.device.type == "meta" or bool(torch.equal(tensor.detach(), values))


def _put_back(tensor: Any, values: Any) -> None:
    """Write `values` unless they are there; by ``.data``, which counts as no in-place operation."""
    if not _is_as(tensor, values):
        tensor.data.copy_(values)


class OneFunction:
    """Within it, the same kernels run with and without recording a graph.

    In evaluation mode nn.MultiheadAttention and nn.TransformerEncoder take another path when
    no gradient is asked for, with other values at padded places.
    """

    _switch = getattr(torch.backends, "mha", None)

    def __enter__(self) -> None:
        self._before = self.enabled()
        self.enable(False)

    def __exit__(self, *_: object) -> None:
        self.enable(self._before)

    @classmethod
    def enabled(cls) -> bool:
        """Whether the other path may be taken."""
        return cls._switch is not None and bool(cls._switch.get_fastpath_enabled())

    @classmethod
    def enable(cls, on: bool) -> None:
        if cls._switch is not None:
            cls._switch.set_fastpath_enabled(on)

"""Tensors as parameters: shared with NumPy where they lie in host memory, written to elsewhere."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.parameters import Array, Parameter
from ...core.tied import Group, tie
from ...errors import SubjectError

# Typed as Any: types are checked in environments without the framework, too.
torch: Any = importlib.import_module("torch")

NARROW = (torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.complex32)


def is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def is_movable(tensor: Any) -> bool:
    """Whether the numbers of a tensor have a derivative."""
    return bool(tensor.is_floating_point() or tensor.is_complex())


def widened(tensor: Any) -> Any:
    """`tensor` in double precision, real or complex; on the host where its device has none."""
    if tensor.dtype not in NARROW:
        return tensor
    wide = torch.complex128 if tensor.is_complex() else torch.float64
    if tensor.device.type == "mps":
        tensor = tensor.cpu()
    return tensor.to(wide)


def to_numpy(tensor: Any) -> NDArray[Any]:
    """A host copy, or the very memory; bfloat16, which NumPy does not know, as float32."""
    tensor = tensor.detach()
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    tensor = tensor.cpu().resolve_conj().resolve_neg()
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    array: NDArray[Any] = tensor.numpy()
    return array


def require_plain(name: str, tensor: Any) -> None:
    """Refuse tensors whose entries cannot be moved one by one.

    Raises
    ------
    SubjectError
        For sparse, quantised, meta and uninitialised ones, inference tensors, and subclasses
        that wrap others.
    """
    why = None
    if isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin):
        why = "is not initialised yet; run the module once on an example of its input first"
    elif tensor.is_inference():
        why = (
            "was made in inference mode, so autograd can say nothing about it; make it outside of"
            " torch.inference_mode(), or hand over x.clone() made outside"
        )
    elif tensor.layout != torch.strided:
        why = f"has layout {tensor.layout}: hand out its values() as a dense tensor"
    elif tensor.device.type == "meta":
        why = "is on the meta device and holds no numbers; move it to a real one"
    elif tensor.is_quantized:
        why = "is quantised: its values have no derivative; check before quantising"
    elif tensor.dtype == torch.complex32 or "float8" in str(tensor.dtype):
        why = f"is of dtype {tensor.dtype}, in which hardly any operation exists"
    elif _wraps_others(tensor):
        why = f"is a {type(tensor).__name__}, which wraps other tensors; hand out a plain one"
    if why is not None:
        raise SubjectError(f"parameter {name} {why}")


def _wraps_others(tensor: Any) -> bool:
    try:
        check = importlib.import_module("torch.utils._python_dispatch")
        return bool(check.is_traceable_wrapper_subclass(tensor))
    except (ImportError, AttributeError):  # an older release
        return False


class _Bfloat16:
    """What the core asks of a dtype, for the one that NumPy lacks."""

    itemsize = 2
    dtype = np.dtype(np.float16)  # for NumPy; the true precision is `Elsewhere.eps`

    @staticmethod
    def type(value: float) -> float:
        return float(torch.tensor(value, dtype=torch.float64).to(torch.bfloat16))


class Elsewhere(Parameter):
    """A tensor that NumPy cannot share: on a device, or in bfloat16."""

    def __init__(self, name: str, tensor: Any) -> None:
        self.tensor = tensor.detach()
        super().__init__(name, np.zeros(tensor.shape, np.float32))
        self.dtype = np.dtype(str(tensor.dtype).rpartition(".")[2].replace("bfloat16", "float32"))
        if tensor.dtype == torch.bfloat16:
            self.dtype = _Bfloat16()  # type: ignore[assignment]
        self.cells = self
        self._flat = self.tensor.view(-1) if self.tensor.is_contiguous() else None

    @property
    def eps(self) -> float:
        return float(torch.finfo(self.tensor.dtype).eps)

    @property
    def array(self) -> NDArray[Any]:  # type: ignore[override]
        """A copy of its numbers, read-only: moving them is the business of the methods."""
        array = np.array(to_numpy(self.tensor))
        array.flags.writeable = False
        return array

    def attach(self, array: NDArray[Any]) -> None:
        """Take the shape; it stands for its tensor and nothing else."""
        self.given = array
        self.shape, self.size = array.shape, array.size

    def __setitem__(self, index: int, value: float) -> None:
        if self._flat is not None:
            self._flat[index] = value
        else:
            self.tensor[tuple(int(k) for k in np.unravel_index(index, self.shape))] = value

    def read(self) -> Array:
        return np.array(to_numpy(self.tensor), dtype=np.float64).reshape(-1)

    def write(self, values: Array) -> None:
        self.tensor.copy_(torch.from_numpy(values.reshape(self.shape)).to(self.tensor.dtype))

    def shift(
        self, where: tuple[Any, ...], origin: NDArray[Any], weights: NDArray[Any], step: float
    ) -> None:
        values = np.asarray(origin + step * weights.astype(np.float64))
        self.tensor[where].copy_(torch.from_numpy(values).to(self.tensor.dtype))

    def round(self, values: Array) -> Array:
        narrow = torch.from_numpy(np.ascontiguousarray(values)).to(self.tensor.dtype)
        rounded: Array = narrow.to(torch.float64).numpy()
        return rounded

    def save(self) -> Any:
        return self.tensor.clone()

    def restore(self, saved: Any) -> None:
        self.tensor.copy_(saved)

    def is_as(self, saved: Any) -> bool:
        return to_numpy(self.tensor).tobytes() == to_numpy(saved).tobytes()


class Tensors:
    """Named tensors as the blocks that a check moves.

    A complex tensor is two blocks, its real and its imaginary part; tensors over the same memory
    are one.

    Parameters
    ----------
    names : sequence of str
    tensors : sequence of torch.Tensor

    Attributes
    ----------
    parameters : list of Parameter
    ties : list of list of str
        Names of blocks that are the same memory.
    """

    def __init__(self, names: Sequence[str], tensors: Sequence[Any]) -> None:
        self.names, self.tensors = list(names), list(tensors)
        self._parts: list[tuple[int, str]] = []
        blocks: list[Parameter] = []
        for i, (name, tensor) in enumerate(zip(names, tensors, strict=True)):
            require_plain(name, tensor)
            if tensor.is_complex():
                pair = torch.view_as_real(tensor.detach().resolve_conj())
                for k, part in enumerate(("real", "imag")):
                    self._parts.append((i, part))
                    blocks.append(_block(f"{name}.{part}", pair[..., k]))
            else:
                self._parts.append((i, ""))
                blocks.append(_block(name, tensor.detach()))
        self._groups = self._tied(blocks)
        self.parameters = [blocks[group.members[0]] for group in self._groups]
        self.ties = [
            [blocks[m].name for m in group.members]
            for group in self._groups
            if len(group.members) > 1
        ]

    def _tied(self, blocks: list[Parameter]) -> list[Group]:
        storages = [t.untyped_storage().data_ptr() for t in self.tensors if t.numel()]
        if len(set(storages)) == len(storages):
            return [Group([i]) for i in range(len(blocks))]
        arrays = [None if isinstance(b, Elsewhere) else b.array for b in blocks]
        return tie([b.name for b in blocks], arrays)

    def stacked(self, points: Sequence[NDArray[Any]]) -> tuple[list[Any], list[bool]]:
        """The tensors at many points at once, and whether each has a leading axis for them.

        Parameters
        ----------
        points : sequence of ndarray
            For each block its values at m points, of shape ``(m, ...)``.  One that is the same
            at all of them (broadcast) stays one tensor.
        """
        parts: list[list[NDArray[Any]]] = [[] for _ in self.tensors]
        for (i, _), block in zip(self._parts, points, strict=True):
            parts[i].append(block)
        tensors, batched = [], []
        for tensor, blocks in zip(self.tensors, parts, strict=True):
            same = all(block.strides[0] == 0 for block in blocks)
            shape = tensor.shape if same else (len(blocks[0]), *tensor.shape)
            arrays = [np.array(b[0] if same else b, np.float64).reshape(shape) for b in blocks]
            wide = [torch.from_numpy(array) for array in arrays]
            whole = wide[0] if len(wide) == 1 else torch.complex(*wide)
            tensors.append(whole.to(tensor.dtype).to(tensor.device))
            batched.append(not same)
        return tensors, batched

    def gather(self, gradients: Sequence[Any]) -> list[NDArray[Any]]:
        """Gradients of the tensors as flat arrays, one a block; None counts as zero."""
        parts = []
        for i, part in self._parts:
            tensor, gradient = self.tensors[i], gradients[i]
            found = to_numpy(torch.zeros_like(tensor) if gradient is None else gradient)
            found = found.real if part != "imag" else found.imag
            parts.append(np.array(found).reshape(-1))
        return [group.total(parts) for group in self._groups]


def _block(name: str, tensor: Any) -> Parameter:
    shareable = tensor.device.type == "cpu" and tensor.dtype in (
        torch.float64,
        torch.float32,
        torch.float16,
    )
    if not shareable or tensor.is_conj() or tensor.is_neg():
        return Elsewhere(name, tensor)
    return Parameter(name, tensor.numpy())

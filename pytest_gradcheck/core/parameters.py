"""One named block of parameters: how its entries are read, moved and put back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SubjectError
from .put_back import Layout, lay_out, layout_of
from .region import pieces
from .structure import Leaf

Array = NDArray[np.float64]


class Parameter:
    """A writable floating-point array under its name.

    Parameters
    ----------
    name : str
        How reports call it.
    array : ndarray
        The very array that the loss reads.

    Raises
    ------
    SubjectError
        If it is no array, or not floating-point.

    Attributes
    ----------
    given, array : ndarray
        The very array, and the same as a plain one.
    cells : flat, writable sequence
        ``cells[i] = x`` moves entry i (row-major) in constant time, whatever the memory layout.
    """

    def __init__(self, name: str, array: NDArray[Any]) -> None:
        self.name = name
        _require_array(name, array)
        self.attach(array)

    def attach(self, array: NDArray[Any]) -> None:
        """Let this parameter stand for `array` from now on."""
        self.given = array
        self.array = np.asarray(array)  # a base-class view: no surprises from subclasses
        self.shape = self.array.shape
        self.size = self.array.size
        self.dtype = self.array.dtype
        contiguous = self.array.flags.c_contiguous
        self.cells: Any = self.array.reshape(-1) if contiguous else self.array.flat

    @property
    def narrow(self) -> bool:
        """Whether its precision is below that of float64."""
        return self.dtype.itemsize < 8

    @property
    def eps(self) -> float:
        """Spacing of its numbers at 1."""
        return float(np.finfo(self.dtype).eps)

    @property
    def wide(self) -> bool:
        """Whether its precision is above that of float64."""
        return self.dtype.itemsize > 8

    @property
    def layout(self) -> Layout:
        """Shape and the like of the very array."""
        return layout_of(self.given)

    def lay_out(self, layout: Layout) -> None:
        """Give the very array another shape and the like, if it has not these."""
        if lay_out(self.given, layout):
            self.attach(self.given)

    def read(self) -> Array:
        """The values as a flat float64 copy."""
        return np.array(self.array, dtype=np.float64).reshape(-1)

    def write(self, values: Array) -> None:
        """Set all entries from flat float64 values."""
        self.array[...] = values.reshape(self.shape)

    def shift(
        self, where: tuple[Any, ...], origin: NDArray[Any], weights: NDArray[Any], step: float
    ) -> None:
        """Set the part `where` to ``origin + step * weights``, arrays of that part's shape.

        At a step of 0 it is `origin` to the last bit, the sign of a zero included.
        """
        target, in_place = self.array[where], self.dtype == np.float64
        for piece in pieces(target):
            there, start = target[piece], origin[piece]
            if step == 0:
                there[...] = start
                continue
            move = there if in_place else np.empty(there.shape)
            move[...] = weights[piece]
            move *= step
            np.add(move, start, out=there)

    def round(self, values: Array) -> Array:
        """`values` as this parameter can hold them."""
        return values.astype(self.dtype).astype(np.float64)

    def save(self) -> Any:
        return self.array.copy()

    def restore(self, saved: Any) -> None:
        np.copyto(self.array, saved)

    def is_as(self, saved: Any) -> bool:
        """Whether every byte is as it was saved; of a `longdouble`, those that hold the number."""
        if self.wide:
            signs = np.array_equal(np.signbit(self.array), np.signbit(saved))
            return signs and np.array_equal(self.array, saved, equal_nan=True)
        bits = f"u{self.dtype.itemsize}"
        return all(
            np.array_equal(self.array[piece].view(bits), saved[piece].view(bits))
            for piece in pieces(self.array)
        )


class Scalar(Parameter):
    """A Python or NumPy scalar in a mutable mapping or sequence, replaced there to be moved."""

    def __init__(self, leaf: Leaf) -> None:
        self._holder, self._key, self._kind = leaf.container, leaf.key, type(leaf.value)
        super().__init__(leaf.name, np.asarray(leaf.value))
        self.cells = self

    def widened(self) -> Scalar:
        """The same as a float64 number, put in its place."""
        value = np.float64(self._holder[self._key])
        self._holder[self._key] = value
        return Scalar(Leaf(self.name, value, self._holder, self._key))

    def __setitem__(self, index: int, value: float) -> None:
        self._holder[self._key] = self._kind(value)

    def shift(
        self, where: tuple[Any, ...], origin: NDArray[Any], weights: NDArray[Any], step: float
    ) -> None:
        self[0] = float(origin[where] + step * weights[where]) if step else float(origin[where])

    def read(self) -> Array:
        return np.array([self._holder[self._key]], dtype=np.float64)

    def write(self, values: Array) -> None:
        self[0] = float(values[0])

    def save(self) -> Any:
        return self._holder[self._key]

    def restore(self, saved: Any) -> None:
        self._holder[self._key] = saved

    def is_as(self, saved: Any) -> bool:
        now = self._holder[self._key]  # or the same number in float64
        return now is saved or np.float64(now).tobytes() == np.float64(saved).tobytes()


def _require_array(name: str, array: Any) -> None:
    if not isinstance(array, np.ndarray):
        raise SubjectError(
            f"parameter {name} is of type {type(array).__name__}: it must be the very array that"
            " the loss reads, for it is moved in place"
        )
    require_floating(Leaf(name, array))


def require_floating(leaf: Leaf) -> None:
    """Refuse what a small step cannot move.

    Raises
    ------
    SubjectError
        For integers, booleans, complex numbers, objects, and arrays of another library.
    """
    value = leaf.value
    if not isinstance(value, (np.ndarray, np.generic, int, float, complex)):
        if hasattr(value, "to_numpy"):
            hint = (
                "only NumPy arrays can be moved in place; hand over a copy of its numbers,"
                " .to_numpy(copy=True), to which loss and grads give their labels again"
            )
        elif hasattr(value, "__array__"):
            hint = (
                "only NumPy arrays can be moved in place; let params hold them, np.array(value), or"
                " check functions of the parameters: gradcheck(loss=f, grads=df, params=x0)"
            )
        else:
            hint = "expected a mapping of names to arrays, a sequence of arrays, or one array"
        raise SubjectError(
            f"parameter {leaf.name} is of type {type(value).__module__}.{type(value).__qualname__}:"
            f" {hint}"
        )
    if isinstance(value, np.ma.MaskedArray):
        raise SubjectError(
            f"parameter {leaf.name} is a masked array: masked entries would be moved like the rest;"
            " hand out .data, or .compressed() with a set_params"
        )
    dtype = np.asarray(value).dtype
    if dtype.kind == "f":
        return
    why = {
        "i": "a step of eps would be rounded away; make it floating-point with .astype(float)",
        "u": "a step of eps would be rounded away; make it floating-point with .astype(float)",
        "b": "a boolean has no derivative; keep it out of params",
        "c": "a complex parameter has two real ones; hand out .real and .imag",
        "O": "an array of objects cannot be moved; hand out a list of floating-point arrays",
    }.get(dtype.kind, "only floating-point numbers have a derivative; keep it out of params")
    if not isinstance(value, np.ndarray) and dtype.kind == "i":
        why = f"write {value!r} as a float if it is a parameter, else keep it out of params"
    raise SubjectError(f"parameter {leaf.name} is of dtype {dtype}: {why}")

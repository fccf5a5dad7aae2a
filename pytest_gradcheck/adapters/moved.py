"""Arrays of a framework as parameters: NumPy copies that a check may write to, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.parameters import Parameter


def widened(dtype: Any) -> Any:
    """float64 or complex128."""
    return np.dtype(np.complex128 if np.dtype(dtype).kind == "c" else np.float64)


class Moved:
    """The blocks of a check for the leaves that it moves; complex leaves are two blocks.

    Parameters
    ----------
    names : sequence of str
    leaves : sequence of ndarray
        In the precision that the framework computes in: both precisions of a check then hold
        the very same numbers.
    wide : bool
        Hold float64, whatever the precision of the leaves.

    Attributes
    ----------
    parameters : list of Parameter
    """

    def __init__(self, names: Sequence[str], leaves: Sequence[NDArray[Any]], *, wide: bool) -> None:
        self._parts: list[tuple[Parameter, ...]] = []
        self._dtypes = [leaf.dtype for leaf in leaves]
        self._wide = wide
        for name, leaf in zip(names, leaves, strict=True):
            if wide or leaf.dtype.kind not in "fc":  # NumPy has no arithmetic for bfloat16
                leaf = leaf.astype(widened(leaf.dtype))
            if leaf.dtype.kind == "c":
                real = Parameter(f"{name}.real", leaf.real.copy())
                self._parts.append((real, Parameter(f"{name}.imag", leaf.imag.copy())))
            else:
                self._parts.append((Parameter(name, leaf.copy()),))
        self.parameters = [parameter for part in self._parts for parameter in part]

    @property
    def size(self) -> int:
        """Number of entries that are moved."""
        return sum(parameter.size for parameter in self.parameters)

    def arrays(self) -> list[NDArray[Any]]:
        """The leaves as they stand."""
        return [
            self._joined([p.array for p in part], dtype)
            for part, dtype in zip(self._parts, self._dtypes, strict=True)
        ]

    def stacked(self, points: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """The leaves at many points: one array a block, the points along its first axis."""
        blocks = iter(points)
        return [
            self._joined([np.reshape(next(blocks), (-1, *p.shape)) for p in part], dtype)
            for part, dtype in zip(self._parts, self._dtypes, strict=True)
        ]

    def _joined(self, parts: Sequence[NDArray[Any]], dtype: Any) -> NDArray[Any]:
        """One leaf of its real and its imaginary part, in the precision of this place."""
        whole = parts[0] if len(parts) == 1 else parts[0] + 1j * parts[1]
        return np.asarray(whole).astype(widened(dtype) if self._wide else dtype, copy=False)

    def gather(self, gradients: Sequence[Any]) -> list[NDArray[Any]]:
        """Gradients as JAX and autograd have them, flat, one a block.

        By a complex number x + iy that is ``dL/dx - i dL/dy``.
        """
        found = []
        for part, gradient in zip(self._parts, gradients, strict=True):
            array = np.asarray(gradient)
            if array.dtype.kind not in "fc":  # bfloat16
                array = array.astype(np.float64)
            if len(part) == 2:
                found += [array.real.reshape(-1), -array.imag.reshape(-1)]
            else:
                found.append(array.reshape(-1))
        return found

    def directions(self) -> list[tuple[int, Any]]:
        """For every block the leaf that it belongs to, and 1 or i."""
        return [(k, unit) for k, part in enumerate(self._parts) for unit in (1, 1j)[: len(part)]]

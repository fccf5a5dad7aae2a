"""Claimed Jacobians: dense or sparse matrices, structures of them, products from either side.

Whatever its form, a check asks two things of a Jacobian: its product with weights of the outputs,
which is the claimed gradient of their weighted sum, and how long its rows are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.structure import flatten, is_branch, listed, match, rebuild
from ...errors import SubjectError
from ..blocks import Blocks
from ..outputs import Output

Arrays = Sequence[NDArray[Any]]


@dataclass(frozen=True)
class Outputs:
    """What a function returned: its structure, and its leaves with their names."""

    tree: Any
    arrays: list[NDArray[Any]]
    places: list[Output]

    @classmethod
    def of(cls, returned: Any, name: str) -> Outputs:
        """The outputs of a function that is called `name`.

        Raises
        ------
        SubjectError
            If some of them are not numbers.
        """
        tree = listed(returned)
        numbers = _as_numbers(tree)
        if numbers is not None:
            tree = numbers
        leaves = flatten(tree, name)
        arrays = [_as_array(leaf.value, leaf.name) for leaf in leaves]
        for leaf, array in zip(leaves, arrays, strict=True):
            if array.dtype.kind not in "fiubc":
                kind = type(leaf.value).__name__
                raise SubjectError(f"{leaf.name} is of type {kind}: a derivative needs numbers")
        if not any(array.size for array in arrays):
            raise SubjectError(f"{name} returned {returned!r}: there is nothing to differentiate")
        places = [
            Output(leaf.name, array.shape, is_complex=array.dtype.kind == "c")
            for leaf, array in zip(leaves, arrays, strict=True)
        ]
        return cls(tree, arrays, places)

    @property
    def size(self) -> int:
        return sum(place.size for place in self.places)


def _as_numbers(tree: Any) -> NDArray[Any] | None:
    """A plain list of numbers as the array that it stands for."""
    if not isinstance(tree, (list, tuple)) or hasattr(tree, "_fields"):
        return None
    if not all(isinstance(item, (int, float, complex, np.generic)) for item in tree):
        return None
    return np.asarray(tree)


def _as_array(value: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except Exception as error:  # an object may refuse in any way it likes
        raise SubjectError(
            f"{name} is of type {type(value).__name__}, of which NumPy makes no array"
            f" ({type(error).__name__}: {error}): a derivative needs numbers"
        ) from error


class Jacobian:
    """A claimed Jacobian at one point.

    Parameters
    ----------
    columns : sequence of matrices, each (outputs, entries)
        One for each leaf of the parameters: NumPy arrays, or SciPy's sparse ones.
    """

    def __init__(self, columns: Sequence[Any], blocks: Blocks) -> None:
        self._columns, self._blocks = columns, blocks

    def pull(self, weights: Arrays) -> list[NDArray[Any]]:
        """For each block the claimed gradient of the sum of the outputs so weighted."""
        flat = np.conj(np.concatenate([np.reshape(w, -1) for w in weights]))
        pulled = (
            _real_product(matrix, flat).reshape(np.shape(leaf.value))
            for matrix, leaf in zip(self._columns, self._blocks.leaves, strict=True)
        )
        return self._blocks.gather(rebuild(self._blocks.tree, pulled))

    def row_norms(self) -> NDArray[np.float64] | None:
        """The norms of all rows; None where each would cost a call."""
        squares = [np.asarray((abs(m) ** 2).sum(axis=1)).reshape(-1) for m in self._columns]
        return np.asarray(np.sqrt(sum(squares)))


class Pullback(Jacobian):
    """A Jacobian of which only products from the left are given: ``vjp(weights)``."""

    def __init__(self, vjp: Callable[[Any], Any], outputs: Outputs, blocks: Blocks) -> None:
        self._vjp, self._outputs, self._blocks = vjp, outputs, blocks

    def pull(self, weights: Arrays) -> list[NDArray[Any]]:
        shaped = (
            np.reshape(w, p.shape) for w, p in zip(weights, self._outputs.places, strict=True)
        )
        return self._blocks.gather(self._vjp(rebuild(self._outputs.tree, shaped)))

    def row_norms(self) -> None:
        return None


def from_entries(claimed: Any, outputs: Outputs, blocks: Blocks, name: str) -> Jacobian:
    """A Jacobian handed over as a matrix, or as a structure of them.

    Accepted is one matrix of all outputs by all entries of the parameters, or for each leaf of
    the outputs (if they are a structure) a structure like the parameters, its arrays in the shape
    of the output followed by that of the parameter, or flattened to a matrix.

    Raises
    ------
    SubjectError
        For any other shape.
    """
    claimed = _dense_operator(claimed)
    sizes = [int(np.size(leaf.value)) for leaf in blocks.leaves]
    whole = (outputs.size, sum(sizes))
    if not is_branch(claimed) and (len(sizes) > 1 or is_branch(outputs.tree)):
        matrix = _as_matrix(claimed, whole, [whole], name)
        starts = np.cumsum([0, *sizes])
        return Jacobian([matrix[:, a:b] for a, b in pairwise(starts)], blocks)
    rows = match(outputs.tree, claimed) if is_branch(outputs.tree) else [claimed]
    stacked = [
        list(_leaf_matrices(row, place, blocks, name))
        for row, place in zip(rows, outputs.places, strict=True)
    ]
    if len(stacked) == 1:
        return Jacobian(stacked[0], blocks)
    columns = [np.concatenate([_dense(m) for m in column]) for column in zip(*stacked, strict=True)]
    return Jacobian(columns, blocks)


def from_columns(
    product: Callable[[Any], Any], outputs: Outputs, blocks: Blocks, name: str
) -> Jacobian:
    """A Jacobian of which products from the right are given: one call for each entry."""
    columns = []
    for k, leaf in enumerate(blocks.leaves):
        pushed = []
        for i in range(int(np.size(leaf.value))):
            unit = [np.zeros(np.shape(other.value)) for other in blocks.leaves]
            unit[k].reshape(-1)[i] = 1.0
            found = product(rebuild(blocks.tree, (u if u.ndim else float(u) for u in unit)))
            column = Outputs.of(found, name)
            if [p.size for p in column.places] != [p.size for p in outputs.places]:
                raise SubjectError(
                    f"{name} gives outputs of shape {[p.shape for p in column.places]}, the"
                    f" function itself {[p.shape for p in outputs.places]}"
                )
            pushed.append(np.concatenate([a.reshape(-1) for a in column.arrays]))
        columns.append(np.stack(pushed, axis=1) if pushed else np.zeros((outputs.size, 0)))
    return Jacobian(columns, blocks)


def _leaf_matrices(claimed: Any, place: Output, blocks: Blocks, name: str) -> Iterator[Any]:
    for leaf, part in zip(blocks.leaves, match(blocks.tree, claimed), strict=True):
        shape = np.shape(leaf.value)
        size = int(np.size(leaf.value))
        accepted = [(place.size, size), (*place.shape, *shape), (*place.shape, size)]
        accepted += [(place.size, *shape)] + ([shape, (size,)] if place.size == 1 else [])
        what = name if len(blocks.leaves) == 1 else f"{name}[{leaf.name}]"
        yield _as_matrix(part, (place.size, size), accepted, what)


def _as_matrix(
    claimed: Any, shape: tuple[int, int], accepted: Sequence[tuple[int, ...]], name: str
) -> Any:
    """`claimed` as a matrix of that shape, if it has one of the accepted shapes."""
    if claimed is None:
        raise SubjectError(f"{name} is None: no derivative was written")
    matrix = claimed if is_sparse(claimed) else _as_array(claimed, name)
    if matrix.dtype.kind not in "fiuc":
        raise SubjectError(f"{name} is of dtype {matrix.dtype}: a Jacobian has numbers")
    if matrix.shape not in accepted:
        transposed = matrix.shape == shape[::-1]
        raise SubjectError(
            f"{name} has shape {matrix.shape}, for {shape[0]} outputs and {shape[1]} entries of"
            f" the parameters; expected {shape}" + (": transpose it" if transposed else "")
        )
    return matrix if is_sparse(claimed) else np.array(matrix).reshape(shape)


def _real_product(matrix: Any, weights: NDArray[Any]) -> NDArray[Any]:
    """Weights times a matrix, in the precision of the matrix: its rounding is that of the claim."""
    product = np.real(np.asarray(matrix.T @ weights))
    narrow = {"f": matrix.dtype.itemsize < 8, "c": matrix.dtype.itemsize < 16}
    if not narrow.get(matrix.dtype.kind, False):
        return product
    return product.astype(matrix.dtype if matrix.dtype.kind == "f" else np.float32)


def is_sparse(value: Any) -> bool:
    """Whether `value` is one of SciPy's sparse matrices or arrays, if SciPy was ever imported."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(value))


def _dense(matrix: Any) -> Any:
    return matrix.toarray() if is_sparse(matrix) else matrix


def _dense_operator(value: Any) -> Any:
    """A SciPy LinearOperator as its matrix."""
    linalg = sys.modules.get("scipy.sparse.linalg")
    if linalg is None or not isinstance(value, linalg.LinearOperator):
        return value
    return np.asarray(value @ np.eye(value.shape[1]))

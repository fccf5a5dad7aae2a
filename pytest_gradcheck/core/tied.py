"""Parameters that share memory: tied weights are one block, whose gradient is the sum of parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SubjectError


@dataclass
class Group:
    """Arrays over the same memory; `orders[k]` brings member k's entries into the first's order."""

    members: list[int]
    orders: list[NDArray[np.intp] | None] = field(default_factory=lambda: [None])

    def total(self, gradients: list[NDArray[Any]]) -> NDArray[Any]:
        """The flat gradient of the shared memory: its members' summed, as an optimiser would."""
        total: NDArray[Any] = gradients[self.members[0]].reshape(-1)
        if len(self.members) > 1:
            total = total.copy()
        for member, order in zip(self.members[1:], self.orders[1:], strict=True):
            part = gradients[member].reshape(-1)
            total += part if order is None else part[order]
        return total


def tie(names: list[str], arrays: list[NDArray[Any] | None]) -> list[Group]:
    """Group arrays by memory; None (a scalar) stands by itself.

    Raises
    ------
    SubjectError
        If an array overlaps itself, or two overlap without being the same entries.
    """
    groups: list[Group] = []
    for i, array in enumerate(arrays):
        if array is None:
            groups.append(Group([i]))
            continue
        if _overlaps_itself(array):
            raise SubjectError(
                f"parameter {names[i]} (shape {array.shape}, strides {array.strides}) holds the"
                " same memory more than once, so its entries cannot be moved one by one; hand out"
                " the array before it was broadcast"
            )
        for group in groups:
            first = arrays[group.members[0]]
            if first is None or not np.may_share_memory(first, array):
                continue
            order = _correspondence(first, array)
            if order is None:
                if not np.shares_memory(first, array):
                    continue
                raise SubjectError(
                    f"parameters {names[group.members[0]]} and {names[i]} overlap in memory"
                    " without being the same entries: moving one moves part of the other, so"
                    " neither gradient is defined by itself; hand out each number once"
                )
            group.members.append(i)
            group.orders.append(order)
            break
        else:
            groups.append(Group([i]))
    return groups


def _addresses(array: NDArray[Any]) -> NDArray[np.intp]:
    """Address of every entry, in row-major order."""
    address = np.full(array.shape, array.__array_interface__["data"][0], dtype=np.intp)
    for axis, (length, stride) in enumerate(zip(array.shape, array.strides, strict=True)):
        steps = np.arange(length, dtype=np.intp) * stride
        address += steps.reshape([-1 if a == axis else 1 for a in range(array.ndim)])
    return address.reshape(-1)


def _overlaps_itself(array: NDArray[Any]) -> bool:
    if array.flags.c_contiguous or array.flags.f_contiguous:
        return False
    addresses = _addresses(array)
    return np.unique(addresses).size < addresses.size


def _correspondence(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.intp] | None:
    """Permutation p with ``b.flat[p]`` at the addresses of ``a.flat``; None if the sets differ."""
    if a.size != b.size or a.dtype != b.dtype:
        return None
    in_a, in_b = _addresses(a), _addresses(b)
    order_a, order_b = np.argsort(in_a), np.argsort(in_b)
    if not np.array_equal(in_a[order_a], in_b[order_b]):
        return None
    order = np.empty_like(order_a)
    order[order_a] = order_b
    return order

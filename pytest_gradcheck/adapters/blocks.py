"""From a structure of parameters to writable blocks, and from claimed gradients to one a block."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.gradients import as_gradient
from ..core.parameters import Parameter, Scalar, require_floating
from ..core.result import Finding
from ..core.structure import Leaf, flatten, match, rebuild
from ..core.tied import tie
from ..errors import SubjectError

NUMBERS = (int, float, np.number)
"""What the loss in ``(loss, gradient)`` may be."""


class Blocks:
    """The parameters of a subject.

    Parameters
    ----------
    tree : object
        The structure as the subject hands it out.
    copies : bool
        Work on copies, because moving the subject's own numbers does not reach its loss.
    widen : bool
        Work on copies in float64.

    Attributes
    ----------
    parameters : list of Parameter
        What is moved; tied arrays appear once.
    notes : list of Finding
        What was noticed, such as tied weights.
    """

    def __init__(self, tree: Any, *, copies: bool = False, widen: bool = False) -> None:
        self.tree, self._widen = tree, widen
        self.leaves = flatten(tree)
        if not self.leaves:
            raise SubjectError(
                "params holds no parameter at all, so nothing can be checked; is it filled only"
                " later (by a first forward pass, by fit)?"
            )
        for leaf in self.leaves:
            require_floating(leaf)
        self.copies = copies or widen
        arrays = [self._array_of(leaf) for leaf in self.leaves]
        names = [leaf.name for leaf in self.leaves]
        self._groups = tie(names, arrays)
        self._arrays = arrays
        self.parameters: list[Parameter] = []
        self.notes: list[Finding] = []
        for group in self._groups:
            first = group.members[0]
            array = arrays[first]
            if array is None:
                self.parameters.append(Scalar(self.leaves[first]))
            else:
                self.parameters.append(Parameter(names[first], array))
            if len(group.members) > 1:
                self.notes.append(_tied([names[m] for m in group.members]))

    def _array_of(self, leaf: Leaf) -> Any:
        if self.copies:
            wide = self._widen and np.asarray(leaf.value).dtype.itemsize < 8
            return np.array(leaf.value, dtype=np.float64 if wide else None)
        return leaf.value if leaf.is_array else None

    def current(self) -> Any:
        """The structure with the values of now, for subjects that work on what they are given."""
        if not self.copies:
            return self.tree
        pairs = zip(self.leaves, self._arrays, strict=True)
        return rebuild(self.tree, iter([_like(leaf, array) for leaf, array in pairs]))

    def gather(self, claimed: Any) -> list[NDArray[Any]]:
        """Claimed gradients, flat, one for each block; parts of tied parameters are summed."""
        _refuse_pair(self.tree, claimed)
        values = match(self.tree, claimed)
        gradients = [
            as_gradient(value, leaf.name, np.shape(leaf.value))
            for leaf, value in zip(self.leaves, values, strict=True)
        ]
        return [group.total(gradients) for group in self._groups]

    def unwritable(self, again: Any) -> str | None:
        """Why moving the entries in place would not reach the subject; None if it does.

        Parameters
        ----------
        again : object
            The structure, handed out a second time.
        """
        second = {leaf.name: leaf for leaf in flatten(again)}
        for leaf in self.leaves:
            twin = second.get(leaf.name)
            if not leaf.is_array:
                if not leaf.in_mutable_container:
                    return f"{leaf.name} is a {type(leaf.value).__name__} in no mutable container"
                if twin is None or twin.container is not leaf.container:
                    return f"params hands out {leaf.name} in a new container each time"
            elif not leaf.value.flags.writeable:
                return f"{leaf.name} is read-only"
            elif twin is None or not _same_memory(leaf.value, twin.value):
                return f"params hands out a new copy of {leaf.name} each time"
        return None


def after(last: Callable[[], Any], *first: Callable[[], Any] | None) -> Callable[[], Any]:
    """``last()`` with the others called before it; `last` itself where there are none.

    A check calls its loss for every entry twice: each layer between would be seen in its time.
    """
    earlier = [function for function in first if function is not None]
    if not earlier:
        return last

    def call() -> Any:
        for function in earlier:
            function()
        return last()

    return call


def second_of_pair(value: Any) -> Any:
    """The gradients of a loss that returns ``(loss, grads)``; None if it does not."""
    return value[1] if isinstance(value, tuple) and len(value) == 2 else None


def accepts(function: Any, args: tuple[Any, ...]) -> bool:
    """Whether a function can be called with these arguments, as far as its signature tells."""
    try:
        inspect.signature(function).bind(*args)
    except TypeError:
        return False
    except ValueError:  # a built-in without a signature
        return True
    return True


def _refuse_pair(tree: Any, claimed: Any) -> None:
    """Refuse ``(loss, gradient)`` from `grads`: that is what a loss may return."""
    gradient = second_of_pair(claimed)
    if gradient is None or isinstance(tree, (list, tuple)) or isinstance(gradient, NUMBERS):
        return
    if isinstance(claimed[0], NUMBERS):
        raise SubjectError(
            f"grads returned a pair, ({type(claimed[0]).__name__}, {type(gradient).__name__}): if"
            " that is (loss, gradient), let grads return the gradient alone; or let loss return"
            " both, and have no grads"
        )


def _same_memory(a: Any, b: Any) -> bool:
    return a is b or a.size == 0 or (isinstance(b, np.ndarray) and np.may_share_memory(a, b))


def _like(leaf: Leaf, array: Any) -> Any:
    if leaf.is_array or array.dtype.itemsize > np.asarray(leaf.value).dtype.itemsize:
        return array if leaf.is_array else array[()]  # a wider number stays one
    return type(leaf.value)(array[()])


def _tied(names: list[str]) -> Finding:
    return Finding(
        "tied",
        tuple(names),
        f"{' and '.join(names)} are the same memory (tied weights): moved once, as"
        f" {names[0]}, and compared with the sum of their gradients",
    )

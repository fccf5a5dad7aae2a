"""Arguments of a framework's function, leaf by leaf: which are moved, and how they are called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..core.structure import flatten, rebuild
from ..errors import SubjectError
from .called import Called, positional_names, wanted


class Arguments:
    """All leaves of the arguments of a call.

    Parameters
    ----------
    call : Called
    args : tuple
        Positional arguments; ``call.params`` comes before them.
    is_moved : callable
        ``is_moved(leaf)``: whether a leaf is checked if nothing is said.
    is_movable : callable
        Whether it can be checked if it is asked for.
    wrt : tuple of str
        Names or patterns of what is checked; where there is none it is `is_moved` that decides,
        or `call.params`.

    Attributes
    ----------
    names, moved : list
        Names and values of the leaves that are checked; one value twice is one of them.
    known : list of str
        Names of all that could be.
    """

    def __init__(
        self,
        call: Called,
        args: tuple[Any, ...],
        *,
        is_moved: Callable[[Any], bool],
        is_movable: Callable[[Any], bool],
        wrt: tuple[str, ...] = (),
    ) -> None:
        self._call, is_wanted = call, wanted(wrt)
        first = () if call.params is None else (call.params,)
        self._positional = (*first, *args)
        self._trees = (*self._positional, *call.kwargs.values())
        self.names: list[str] = []
        self.moved: list[Any] = []
        self.known: list[str] = []
        self._plan: list[int | None] = []
        places: dict[int, int] = {}
        for k, name, leaf in self._leaves():
            if not is_movable(leaf):
                self._plan.append(None)
                continue
            self.known.append(name)
            if wrt:
                chosen = is_wanted(name)
            elif first:
                chosen = k == 0
            else:
                chosen = is_moved(leaf)
            if not chosen:
                self._plan.append(None)
                continue
            known = places.get(id(leaf)) if hasattr(leaf, "shape") else None
            if known is None:
                known = places[id(leaf)] = len(self.moved)
                self.names.append(name)
                self.moved.append(leaf)
            self._plan.append(known)

    def _leaves(self) -> Iterator[tuple[int, str, Any]]:
        """The place of each leaf's argument, the name and the leaf."""
        names = positional_names(self._call.subject, len(self._positional), self._call.kwargs)
        bare = self._call.params is not None or len(self._trees) == 1
        for k, (name, tree) in enumerate(
            zip([*names, *self._call.kwargs], self._trees, strict=True)
        ):
            for leaf in flatten(tree, name) if bare and k == 0 else flatten({name: tree}, ""):
                yield k, leaf.name, leaf.value

    def assembled(self, moved: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments with `moved` in the places of what is checked."""
        plan = iter(self._plan)

        def values(tree: Any) -> Iterator[Any]:
            for leaf in flatten(tree):
                place = next(plan)
                yield leaf.value if place is None else moved[place]

        trees = [rebuild(tree, values(tree)) for tree in self._trees]
        count = len(self._positional)
        return trees[:count], dict(zip(self._call.kwargs, trees[count:], strict=True))

    def require_some(self, what: str, wrt: tuple[str, ...]) -> None:
        """Refuse a call without anything to check.

        Raises
        ------
        SubjectError
            Saying what there is instead.
        """
        if self.names:
            return
        shown = ", ".join(self.known[:12]) + (", ..." if len(self.known) > 12 else "") or "nothing"
        if wrt:
            raise SubjectError(f"wrt={wrt!r} matches nothing that can be moved; there is: {shown}")
        raise SubjectError(
            f"{self._call.title} is given no {what} to differentiate by (there is: {shown}); name"
            ' what should be checked by wrt="x"'
        )


def is_floating(leaf: Any) -> bool:
    """Whether a leaf is a floating-point or complex number or array of NumPy or Python."""
    if isinstance(leaf, (np.ndarray, np.generic)):
        return leaf.dtype.kind in "fc"
    return isinstance(leaf, (float, complex))

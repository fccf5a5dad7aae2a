"""One check of JAX code: in float64, if that is the same but for rounding."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

from ...errors import SubjectError
from ...settings import Settings
from ..called import Called
from ..moved import Moved, widened
from ..places import TwoPlaces
from .call import Call
from .place import Place
from .trees import jnp, numpy_of
from .weighed import Weighed

PAYS = 1000
"""Entries from which on many points in one call save more time than it takes to compile that."""


def places_of(asked: Called, args: tuple[Any, ...], settings: Settings) -> TwoPlaces:
    """A call, and where it is evaluated: in its own precision, and in float64.

    Raises
    ------
    SubjectError
        If there is nothing that a derivative may be taken by.
    """
    call = Call(asked, args, settings.wrt)
    names, fixed = call.arguments.names, call.arguments.fixed
    leaves = [numpy_of(leaf) for leaf in call.arguments.moved]
    if not leaves:
        raise SubjectError(
            f"{call.title} is given no floating-point array to differentiate by"
            + (f" that is named like {settings.wrt!r}" if settings.wrt else "")
            + "; whole numbers, booleans and PRNG keys are left alone"
        )
    own = Moved(names, leaves, wide=False)
    first = Weighed(call.returned, own.arrays(), fixed)
    if not first.places:
        raise SubjectError(f"{call.title} returns no floating-point number")
    functions = [("{}", first, fixed)]
    if settings.order == 2:
        fixed = [*fixed, *first.cotangents.weights]
        gradient = first.gradient(names)
        second = Weighed(gradient, own.arrays(), fixed, name="gradient")
        functions.append(("second:{}", second, fixed))
    is_narrow = any(leaf.dtype != widened(leaf.dtype) for leaf in leaves)
    copies = Moved(names, leaves, wide=True) if settings.float64 and is_narrow else None
    wide = [] if copies is None else [Place(w, copies, c, wide=True) for _, w, c in functions]
    return TwoPlaces(
        labels=[label for label, _, _ in functions],
        own=[Place(w, own, constant, wide=False) for _, w, constant in functions],
        wide=wide,
        eps=max(asked.eps, *(float(jnp.finfo(leaf.dtype).eps) for leaf in leaves)),
        settings=settings,
        title=call.title,
        roots=[("loss", asked.subject)] if inspect.isfunction(asked.subject) else [],
        by_hand=None if call.by_hand is None else partial(Place.by_hand, call=call),
        losses=_many,
    )


def _many(place: Place) -> Any:
    pays = place.moved.size >= PAYS and place.weighed.value_and_size.is_compiled
    return place.many if pays else None

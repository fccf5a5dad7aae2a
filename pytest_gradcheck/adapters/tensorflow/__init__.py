"""TensorFlow: modules, functions of tensors and variables, ``tf.custom_gradient``.

Only to be imported where the framework is: whoever looks for it asks ``sys.modules``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...core.problem import Problem
from ...core.structure import flatten
from ...settings import Settings
from ..arguments import Arguments
from ..called import Called, has_hooks, wanted, without_claims
from ..functions import Functions
from ..moved import Moved, widened
from ..outputs import BITS
from ..places import TracedPlace, TwoPlaces
from . import by_hand
from .state import Seeds, Variables
from .traced import Gradient, Traced, is_floating, is_tensor, is_variable, tf


def adapt(subject: Any, args: tuple[Any, ...], settings: Settings) -> Problem | None:
    """A problem made of a module or of a function of tensors; None for all else.

    Raises
    ------
    SubjectError
        If there is nothing to differentiate by, or no output depends on it.
    """
    if not isinstance(subject, Called):
        if without_claims(subject):
            if not holds_tensors(subject.params):
                return None
            subject = Called(subject.loss, params=subject.params)
        elif by_hand.is_of_tensors(subject, settings):
            return by_hand.adapt(subject, args, settings)
        else:
            subject = Called(subject)
            if has_hooks(subject.subject) or not owns(subject, args):
                return None
    subject.require_callable()
    return _places(subject, args, settings).problem()


def owns(call: Called, args: tuple[Any, ...]) -> bool:
    """Whether it is a module, or a function of tensors or variables."""
    if isinstance(call.subject, (Functions, type)) or not callable(call.subject):
        return False
    return _module_of(call.subject) is not None or holds_tensors([*args, *call.kwargs.values()])


def holds_tensors(tree: Any) -> bool:
    return any(is_tensor(leaf.value) for leaf in flatten(tree))


def _module_of(function: Any) -> Any:
    """The module that a call belongs to: `function` itself, or the owner of a method."""
    for candidate in (function, getattr(function, "__self__", None)):
        is_module = isinstance(candidate, tf.Module) and not is_variable(candidate)
        if is_module and any(_parameters(candidate)):
            return candidate
    return None


def _parameters(module: Any) -> Iterator[tuple[str, Any]]:
    """Names and trainable variables of a module: by its attributes, as ``layers[0].w``."""
    seen: set[int] = set()
    for path, variable in module._flatten(predicate=is_variable, with_path=True):
        if variable.trainable and id(variable) not in seen:
            seen.add(id(variable))
            name = "".join(f".{s}" if isinstance(s, str) else f"[{s}]" for s in path)
            yield name.removeprefix("."), variable


def _places(asked: Called, args: tuple[Any, ...], settings: Settings) -> TwoPlaces:
    module = None if asked.params is not None else _module_of(asked.subject)
    chosen = wanted(settings.wrt) if settings.wrt else lambda name: True
    parameters = {} if module is None else dict(_parameters(module))
    known = list(parameters)
    parameters = {name: v for name, v in parameters.items() if chosen(name)}
    arguments = Arguments(
        asked,
        args,
        is_moved=lambda leaf: module is None and is_tensor(leaf),
        is_movable=is_floating,
        wrt=settings.wrt,
    )
    if not parameters:
        arguments.known[:0] = known
        arguments.require_some("floating-point tensor", settings.wrt)
    names = [*parameters, *arguments.names]
    sources = [*parameters.values(), *arguments.moved]
    leaves = [np.array(s.numpy() if is_tensor(s) else s) for s in sources]

    def returned(moved: list[Any]) -> Any:
        positional, words = arguments.assembled(moved[len(parameters) :])
        value = asked.subject(*positional, **words)
        return value if asked.loss is None else asked.loss(value)

    state, seeds = (
        Variables([asked.subject, asked.loss, sources, list(args), dict(asked.kwargs), module]),
        Seeds(),
    )

    def put_back() -> None:
        state.restore()
        seeds.holds = False

    drawn = [(g, g.getstate()) for g in (seeds, *(g for _, g in state.generators))]
    own = Moved(names, leaves, wide=False)
    try:
        first = Traced(returned, sources, own.arrays(), held=len(parameters))
        functions = [("{}", first)]
        if settings.order == 2:
            second = Gradient(first, names)
            held = len(parameters)
            functions.append(
                ("second:{}", Traced(second, sources, own.arrays(), held=held, name="gradient"))
            )
        is_narrow = any(leaf.dtype != widened(leaf.dtype) for leaf in leaves)
        copies = Moved(names, leaves, wide=True) if settings.float64 and is_narrow else None
        if copies is not None and not first.follows(own.arrays(), copies.arrays()):
            copies = None
    finally:  # this look at the function leaves no more behind than the check itself
        state.restore()
        for generator, found in drawn:
            generator.setstate(found)
    seeds.holds = True
    return TwoPlaces(
        labels=[label for label, _ in functions],
        own=[TracedPlace(function, own) for _, function in functions],
        wide=[] if copies is None else [TracedPlace(function, copies) for _, function in functions],
        eps=max(asked.eps, *(_eps(leaf) for leaf in leaves)),
        settings=settings,
        title=asked.title,
        roots=[("loss", asked.subject), ("args", args), ("tf.random", seeds), *state.generators],
        put_back=put_back,
    )


def _eps(leaf: Any) -> float:
    """Spacing of its numbers at 1."""
    bits = BITS.get(tf.as_dtype(leaf.dtype).real_dtype.name, 53)
    return float(2.0 ** (1 - bits))

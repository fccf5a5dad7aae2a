"""What is called, with which tensors: a module and its parameters, a function and its inputs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from ...core.structure import require_shallow
from ...errors import SubjectError
from ..called import Called, wanted
from ..outputs import BITS, Output
from .tensors import is_movable, is_tensor, torch

Rule = Callable[[Any], Any]
Standing = list[tuple[dict[str, Any], str, Any]]


def mapped(tree: Any, change: Rule) -> Any:
    """`tree` with `change` applied to every tensor in its lists, tuples and mappings."""
    if is_tensor(tree):
        return change(tree)
    if isinstance(tree, Mapping):
        pairs = {key: mapped(child, change) for key, child in tree.items()}
        return pairs if type(tree) is dict else type(tree)(pairs)  # type: ignore[call-arg]
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(mapped(child, change) for child in tree))
    if isinstance(tree, (list, tuple)):
        return type(tree)(mapped(child, change) for child in tree)
    return tree


def leaves(tree: Any, name: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Names and values of all that `tree` holds."""
    require_shallow(name, depth)
    if isinstance(tree, Mapping):
        for key, child in tree.items():
            child_name = f"{name}.{key}" if isinstance(key, str) else f"{name}[{key}]"
            yield from leaves(child, child_name, depth + 1)
    elif isinstance(tree, tuple) and hasattr(tree, "_fields"):
        for field, child in zip(tree._fields, tree, strict=True):
            yield from leaves(child, f"{name}.{field}", depth + 1)
    elif isinstance(tree, (list, tuple)):
        for i, child in enumerate(tree):
            yield from leaves(child, f"{name}[{i}]", depth + 1)
    else:
        yield name, tree


def holds_tensors(tree: Any) -> bool:
    return any(is_tensor(value) for _, value in leaves(tree, ""))


class Call:
    """A function, its arguments, and the tensors among its parameters and inputs that are moved.

    Parameters
    ----------
    asked : Called
        Of a module, a method of one, or any function of tensors.
    args : tuple
        Inputs that are moved are replaced by copies here; the user's own stay what they are.
    wrt : tuple of str
        Names or patterns of what is moved, inputs too, which then need not require a gradient;
        where there is none it is all that requires one.

    Attributes
    ----------
    names, tensors : list
        What is moved: the module's own parameters and copies of inputs.
    module : torch.nn.Module or None
    """

    def __init__(self, asked: Called, args: tuple[Any, ...], wrt: tuple[str, ...] = ()) -> None:
        self.function, self.loss, self.eps = asked.subject, asked.loss, asked.eps
        self.module = module_of(asked.subject)
        self.names: list[str] = []
        self.tensors: list[Any] = []
        self._places: list[list[tuple[dict[str, Any], str]]] = []
        self._left_alone: list[tuple[dict[str, Any], str]] = []
        self.aliases: list[list[str]] = []
        chosen: Rule = wanted(wrt) if wrt else lambda name: True
        known = self._take_parameters(chosen)
        known += self._take_inputs(args, dict(asked.kwargs), chosen, asked=bool(wrt))
        if not self.tensors:
            raise SubjectError(self._nothing_to_check(known, wrt))
        self._stood = self._standing()

    def _take_parameters(self, chosen: Rule) -> list[str]:
        if self.module is None:
            return []
        index: dict[int, int] = {}
        known = []
        for prefix, owner in self.module.named_modules():
            for key, tensor in owner._parameters.items():
                if tensor is None:
                    continue
                name = f"{prefix}.{key}" if prefix else key
                known.append(name)
                if id(tensor) in index:
                    self._places[index[id(tensor)]].append((owner._parameters, key))
                    self.aliases[index[id(tensor)]].append(name)
                elif tensor.requires_grad and chosen(name):
                    index[id(tensor)] = len(self.names)
                    self._add(name, tensor, [(owner._parameters, key)])
                else:
                    self._left_alone.append((owner._parameters, key))
        return known

    def _take_inputs(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], chosen: Rule, *, asked: bool
    ) -> list[str]:
        """Replace the inputs that are moved by copies: leaves of their own, whatever they were."""
        copies: dict[int, Any] = {}
        known = []
        for name, value in _named_inputs(self.function, args, kwargs):
            if not is_tensor(value) or not is_movable(value):
                continue
            name = f"{name} (input)" if name in self.names else name
            known.append(name)
            if id(value) in copies or not chosen(name) or not (value.requires_grad or asked):
                continue
            if value.is_inference():
                raise SubjectError(
                    f"input {name} was made in inference mode, so autograd can say nothing about"
                    " it; make it outside of torch.inference_mode()"
                )
            copy = value.detach().clone().resolve_conj().resolve_neg().requires_grad_()
            copies[id(value)] = copy
            self._add(name, copy, [])
        self.args = mapped(args, lambda t: copies.get(id(t), t))
        self.kwargs = mapped(kwargs, lambda t: copies.get(id(t), t))
        return known

    def _add(self, name: str, tensor: Any, places: list[tuple[dict[str, Any], str]]) -> None:
        self.names.append(name)
        self.tensors.append(tensor)
        self._places.append(places)
        self.aliases.append([name])

    def _nothing_to_check(self, known: list[str], wrt: tuple[str, ...]) -> str:
        shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
        if wrt:
            return f"wrt={wrt!r} matches nothing that can be moved; there is: {shown or 'nothing'}"
        what = "no parameter of the module and no input" if self.module else "no input"
        return (
            f"{what} requires a gradient, so there is none to be checked (there is:"
            f" {shown or 'no floating-point tensor'}). Call requires_grad_() on what should be"
            ' checked, or name inputs by wrt="x"'
        )

    def __call__(self) -> Any:
        """The outputs where the tensors stand."""
        return self._run(self.args, self.kwargs)

    @contextmanager
    def standing_at(
        self, tensors: Sequence[Any], change: Rule = lambda t: t
    ) -> Iterator[Callable[[], Any]]:
        """Within it, other tensors are in place of those moved: what it gives calls with them.

        Backward passes belong inside, too: checkpoints call the module again.

        Parameters
        ----------
        tensors : sequence of torch.Tensor
        change : callable
            Applied to all other inputs and parameters.
        """
        new = {id(old): t for old, t in zip(self.tensors, tensors, strict=True)}

        def swap(tensor: Any) -> Any:
            return new[id(tensor)] if id(tensor) in new else change(tensor)

        with self._placed(tensors, change):
            yield partial(self._run, mapped(self.args, swap), mapped(self.kwargs, swap))

    def _run(self, args: Any, kwargs: Any) -> Any:
        value = self.function(*args, **kwargs)
        return value if self.loss is None else self.loss(value)

    @contextmanager
    def _placed(self, tensors: Sequence[Any], change: Rule) -> Iterator[None]:
        """Other tensors where the module keeps its parameters, as torch.func.functional_call."""
        before = self._standing()
        try:
            for table, key in self._left_alone:
                table[key] = change(table[key])
            for tensor, part in zip(tensors, self._places, strict=True):
                for table, key in part:
                    table[key] = tensor
            yield
        finally:
            _put(before)

    def _standing(self) -> Standing:
        places = [*self._places, self._left_alone]
        return [(table, key, table[key]) for part in places for table, key in part]

    def put_back(self) -> None:
        """Let the module keep its parameters as it did at first."""
        _put(self._stood)

    def padding(self) -> Iterator[tuple[int, int]]:
        """Which of the tensors are the weights of an embedding with a row of padding, and which."""
        places = {id(tensor): k for k, tensor in enumerate(self.tensors)}
        for owner in () if self.module is None else self.module.modules():
            row = getattr(owner, "padding_idx", None)
            if isinstance(row, int) and id(getattr(owner, "weight", None)) in places:
                yield places[id(owner.weight)], row

    @property
    def title(self) -> str:
        if self.module is self.function:
            return type(self.module).__name__
        owner = getattr(self.function, "__self__", None)
        name = getattr(self.function, "__name__", type(self.function).__name__)
        if isinstance(owner, type):  # MyFunction.apply
            return owner.__name__
        return "loss" if name == "<lambda>" else str(name)


def _put(standing: Standing) -> None:
    for table, key, tensor in standing:
        table[key] = tensor


def module_of(function: Any) -> Any:
    """The module that a call belongs to: `function` itself, or the owner of a method."""
    for candidate in (function, getattr(function, "__self__", None)):
        if isinstance(candidate, torch.nn.Module):
            return candidate
    return None


def _named_inputs(
    function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    names = _positional_names(function, len(args))
    for name, value in zip(names, args, strict=True):
        yield from leaves(value, name)
    for name, value in kwargs.items():
        yield from leaves(value, name)


def _positional_names(function: Any, count: int) -> list[str]:
    """What the function itself calls its arguments; ``input[0]`` where it does not say."""
    plain = [f"input[{i}]" for i in range(count)] if count > 1 else ["input"] * count
    owner = getattr(function, "__self__", None)
    drop = 0
    if isinstance(function, torch.nn.Module):
        function = function.forward
    elif isinstance(owner, type) and issubclass(owner, torch.autograd.Function):
        function = owner.forward  # type: ignore[attr-defined]
        drop = int(owner.setup_context is torch.autograd.Function.setup_context)  # type: ignore[attr-defined]
    try:
        parameters = list(inspect.signature(function).parameters.values())[drop:]
    except (TypeError, ValueError):  # a built-in
        return plain
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in parameters if p.kind in kinds][:count]
    rest = [p.name for p in parameters if p.kind is inspect.Parameter.VAR_POSITIONAL]
    if len(names) < count and not rest:
        return plain
    return names + [f"{rest[0]}[{i}]" for i in range(count - len(names))]


def described(value: Any, root: str) -> list[tuple[Output, int]]:
    """The outputs that depend on what is moved, and their places among all of them.

    Raises
    ------
    SubjectError
        If there is none.
    """
    found, seen = [], []
    for i, (name, leaf) in enumerate(leaves(value, root)):
        seen.append(f"{name}: {_kind(leaf)}")
        if is_tensor(leaf) and is_movable(leaf) and leaf.requires_grad:
            precision = str(leaf.real.dtype if leaf.is_complex() else leaf.dtype)
            bits = BITS[precision.rpartition(".")[2]]
            found.append((Output(name, tuple(leaf.shape), leaf.is_complex(), bits), i))
    if not found:
        raise SubjectError(
            "no output depends on what is to be checked, as far as autograd can see: it returned"
            f" {'; '.join(seen[:5]) or 'nothing'}. Look for .detach(), .item(), .data, NumPy,"
            " torch.no_grad() or torch.inference_mode() on the way"
        )
    return found


def _kind(leaf: Any) -> str:
    if not is_tensor(leaf):
        return type(leaf).__name__
    return f"{leaf.dtype} tensor of shape {tuple(leaf.shape)}, requires_grad={leaf.requires_grad}"

"""A call whose outputs are weighed to one real number, and what autograd says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import SubjectError
from ..outputs import Cotangents, Output
from .call import Call, described, leaves, module_of
from .state import Held, OneFunction, Replayed
from .tensors import NARROW, is_tensor, to_numpy, torch, widened
from .wide import Wide


class Weighed:
    """The loss of a call: its one real output, or all of them weighed by random cotangents.

    Which outputs there are is learned from the first call, with a graph.  Values are computed
    without one, unless that changes them: some kernels are others then.

    Parameters
    ----------
    call : Call
    generators : sequence of Held or Replayed
        What the call may draw random numbers from.
    before_each : callable or None
        As in `Settings`; called by `replay` alone.
    seed : int
        Seed of the cotangents.
    """

    def __init__(
        self,
        call: Call,
        generators: Sequence[Held | Replayed] = (),
        before_each: Callable[[], object] | None = None,
        seed: int = 0,
    ) -> None:
        self.call, self._generators, self._seed = call, generators, seed
        self._before_each = before_each
        self._learned: tuple[Cotangents, list[int]] | None = None
        self._weights: dict[tuple[tuple[Any, Any], ...], list[Any]] = {}
        self._constants: dict[int, tuple[Any, int, Any]] = {}
        self._recording = False

    def replay(self) -> Callable[[], None]:
        """A function after which a call meets what a call made now would meet.

        What belongs to one evaluation, though it calls several times, draws the same each time.
        """
        states = [(held, held.getstate()) for held in self._generators]

        def again() -> None:
            for held, state in states:
                held.setstate(state)
            if self._before_each is not None:
                self._before_each()

        return again

    @property
    def root(self) -> str:
        return "output" if self.call.loss is None else "loss"

    def learn(self) -> list[Any]:
        """Find out which outputs there are and which of them depend on what is moved; those.

        Raises
        ------
        SubjectError
            If none does, or the call fails for a reason that has a clearer name.
        """
        again = self.replay()
        with torch.enable_grad(), OneFunction():
            try:
                value = self.call()
            except RuntimeError as error:
                clearer = self._clearer(error)
                if clearer is None:
                    raise
                raise clearer from error
        found = described(value, self.root)
        outputs: list[Output] = [output for output, _ in found]
        self._learned = Cotangents(outputs, self._seed), [place for _, place in found]
        first = [output.detach() for output in self.pick(value)]
        again()
        self._recording = not self._is_same_unrecorded(first)
        return first

    def _is_same_unrecorded(self, first: Sequence[Any]) -> bool:
        """Whether a call without a graph gives the same, to the last bit.

        Other kernels may run then; and code that differentiates inside its forward pass (forces,
        gradient penalties, hooks) cannot do without.
        """
        try:
            return all(map(torch.equal, first, self.outputs()))
        except RuntimeError:
            return False

    def _clearer(self, error: RuntimeError) -> SubjectError | None:
        text = str(error)
        held = [self.call.args, self.call.kwargs, self.call.tensors]
        owner = module_of(self.call.function)
        held += [] if owner is None else [list(owner.parameters())]
        devices = {str(t.device) for _, t in leaves(held, "") if is_tensor(t)}
        if len(devices) > 1 and "device" in text:
            return SubjectError(
                f"parameters and inputs are on different devices ({', '.join(sorted(devices))}):"
                f" bring them together by .to(device).\n{text}"
            )
        if "in-place operation" in text or "modified in-place" in text or "inplace" in text:
            return SubjectError(
                "an input or parameter that is checked is modified in place, so there is no"
                f" gradient at the point itself; work on x.clone().\n{text}"
            )
        return None

    @property
    def cotangents(self) -> Cotangents:
        if self._learned is None:
            self.learn()
        assert self._learned is not None
        return self._learned[0]

    def pick(self, value: Any) -> list[Any]:
        """The outputs that have a weight, of all that a call returned."""
        assert self._learned is not None
        if is_tensor(value):
            return [value]
        found = [leaf for _, leaf in leaves(value, self.root)]
        chosen = [found[place] for place in self._learned[1] if place < len(found)]
        if len(chosen) < len(self._learned[1]) or not all(map(is_tensor, chosen)):
            kinds = ", ".join(type(leaf).__name__ for leaf in found) or "nothing"
            raise SubjectError(
                f"{self.root} is no longer what the first call returned: it now holds {kinds} where"
                " there were tensors; a check calls it again and again, at moved parameters"
            )
        return chosen

    def outputs(self, tensors: Sequence[Any] | None = None, *, wide: bool = False) -> list[Any]:
        """The outputs where the tensors stand, or with others in their place."""
        if self._learned is None:
            first = self.learn()
            if tensors is None:  # not called again: a call may move what the next one sees
                return first
        with torch.set_grad_enabled(self._recording):
            try:
                if tensors is None:
                    with OneFunction():
                        return self.pick(self.call())
                with self.at(tensors, wide=wide) as run:
                    return run()
            except (RuntimeError, ValueError) as error:
                outside = _left_domain(error)
                if outside is None:
                    raise
                raise outside from error

    @contextmanager
    def at(
        self, tensors: Sequence[Any] | None = None, *, wide: bool = False
    ) -> Iterator[Callable[[], list[Any]]]:
        """Within it, what it gives are the outputs where the tensors, or others, stand."""
        standing: Any = nullcontext(self.call)
        if tensors is not None:
            standing = self.call.standing_at(tensors, self._widened if wide else lambda t: t)
        with OneFunction(), Wide() if wide else nullcontext(), standing as run:
            yield lambda: self.pick(run())

    def _widened(self, tensor: Any) -> Any:
        """A constant in double precision, converted again only after it has changed."""
        if tensor.dtype not in NARROW:
            return tensor
        version = 0 if tensor.is_inference() else tensor._version
        known = self._constants.get(id(tensor))
        if known is None or known[0] is not tensor or known[1] != version:
            known = self._constants[id(tensor)] = tensor, version, widened(tensor)
        return known[2]

    def value(self, tensors: Sequence[Any] | None = None, *, wide: bool = False) -> float:
        """The loss."""
        return self.total(self.outputs(tensors, wide=wide))

    def total(self, outputs: Sequence[Any]) -> float:
        if self.cotangents.is_loss:
            return float(outputs[0].detach().item())
        return float(sum(self.weighed(outputs)).item())

    def weighed(self, outputs: Sequence[Any]) -> list[Any]:
        """``Re <w, y>`` of every output, in double precision."""
        outputs = [widened(y) for y in outputs]
        return inner(self.weights_for(outputs), outputs)

    def weights_for(self, outputs: Sequence[Any]) -> list[Any]:
        """The weights, each in the shape, the dtype and on the device of its output."""
        key = tuple((y.dtype, y.device) for y in outputs)
        if key not in self._weights:
            self._weights[key] = _on(self.cotangents.weights, outputs)
        return self._weights[key]

    def gradients(
        self,
        outputs: Sequence[Any],
        tensors: Sequence[Any] | None = None,
        *,
        weights: Sequence[Any] | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
    ) -> list[Any]:
        """Gradients of the weighed outputs with respect to the tensors; None where unused."""
        return list(
            torch.autograd.grad(
                list(outputs),
                list(self.call.tensors if tensors is None else tensors),
                grad_outputs=self.weights_for(outputs) if weights is None else weights,
                allow_unused=True,
                retain_graph=retain_graph,
                create_graph=create_graph,
            )
        )

    def claimed(
        self,
        tensors: Sequence[Any] | None = None,
        *,
        wide: bool = False,
        weights: Sequence[NDArray[Any]] | None = None,
    ) -> list[Any]:
        """The gradient that autograd claims; no ``.grad`` is touched.

        Reentrant checkpoints can only be run by ``backward()``: there the ``.grad`` fields are
        set aside meanwhile.
        """
        if tensors is not None:
            tensors = [t.detach().requires_grad_() for t in tensors]
        with torch.enable_grad(), self.at(tensors, wide=wide) as run:
            outputs = run()
            given = None if weights is None else _on(weights, outputs)
            try:
                return self.gradients(outputs, tensors, weights=given)
            except RuntimeError as error:
                if "compatible with .grad()" not in str(error):
                    raise
            return self._by_backward(run(), tensors, given)

    def _by_backward(
        self, outputs: Sequence[Any], tensors: Sequence[Any] | None, given: Sequence[Any] | None
    ) -> list[Any]:
        leaves_of_it = list(self.call.tensors if tensors is None else tensors)
        module = self.call.module
        held = [*leaves_of_it, *(module.parameters() if module is not None else ())]
        before = [(tensor, tensor.grad) for tensor in held]
        try:
            for tensor in held:
                tensor.grad = None
            torch.autograd.backward(outputs, given or self.weights_for(outputs))
            return [tensor.grad for tensor in leaves_of_it]
        finally:
            for tensor, gradient in before:
                tensor.grad = gradient

    def arrays(self, tensors: Sequence[Any] | None = None, *, wide: bool = False) -> list[Any]:
        """The outputs as arrays of their own."""
        return [to_numpy(y).copy() for y in self.outputs(tensors, wide=wide)]


def inner(weights: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    """The real inner products ``Re <w, y>``."""
    return [
        torch.sum(w.real * y.real + w.imag * y.imag) if y.is_complex() else torch.sum(w * y)
        for w, y in zip(weights, values, strict=True)
    ]


def _on(weights: Sequence[NDArray[Any]], outputs: Sequence[Any]) -> list[Any]:
    pairs = zip(weights, outputs, strict=True)
    return [
        torch.from_numpy(np.array(w)).reshape(y.shape).to(y.dtype).to(y.device) for w, y in pairs
    ]


def _left_domain(error: Exception) -> Exception | None:
    """As the core knows it: a step that leaves the domain of the loss is a step too long."""
    matrix: type[Exception] = torch.linalg.LinAlgError
    if isinstance(error, matrix) or "satisfy the constraint" in str(error):
        return ArithmeticError(str(error))
    return None

"""The gradient of a call as reverse mode claims it: the problem of every check of torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.parameters import Parameter
from ...core.problem import Problem
from ...core.result import Entry, Finding
from ...core.state import State
from ...core.wavering import DRAWS, furthest
from ...settings import Settings
from ..blocks import after
from ..outputs import wrong_output
from .batched import Batched
from .call import Call
from .faithful import Arrays, beside, faithful, near
from .sound import require_sound_backward
from .state import Surroundings
from .tensors import NARROW, Tensors, torch, widened
from .weighed import Weighed

TF32 = 2.0**-10
"""Spacing at 1 of the numbers that CUDA devices multiply float32 as, unless they are told not to.
"""

Saved = list[tuple[Parameter, Any]]


@dataclass
class TorchProblem(Problem):
    """A problem that can also take many points, and say which output an error comes from."""

    losses: Batched | None = None
    source: Reverse | None = None

    def moved(self) -> list[str]:
        """Buffers and other tensors that a call has moved."""
        return [] if self.source is None else self.source.around.moved()

    def explain(self, worst: Sequence[Entry]) -> list[Finding]:
        """Where among several outputs the error of the worst entry comes from."""
        return [] if self.source is None else self.source.explain(worst)


class Reverse:
    """The gradient of a call, checked in float64 wherever that is the same function.

    In float64 the tensors moved are copies, put in the place of the narrow ones for the time of
    each evaluation.  The claim is then that of the copies if the narrow claim is this one rounded;
    else it is the narrow one.

    Attributes
    ----------
    tensors : list of torch.Tensor
        What is moved: the user's own parameters, or copies.
    """

    def __init__(self, call: Call, settings: Settings) -> None:
        self.call, self._settings = call, settings
        self._before_each = settings.before_each
        named = [("self", call.function), ("loss", call.loss), ("args", call.args)]
        named += [("kwargs", call.kwargs), ("before_each", settings.before_each)]
        self.around = Surroundings(named, call.tensors)
        self.roots = [*named, *self.around.modules, *self.around.generators]
        self.weighed = Weighed(call, self.around.draws, settings.before_each)
        self.moved = Tensors(call.names, call.tensors)
        self._own: Saved = []
        self._padding: list[tuple[int, int, Any]] = []
        self.tensors, self._is_wide = call.tensors, False
        self._faithful: list[bool] | None = None
        if settings.float64 and any(t.dtype in NARROW for t in call.tensors):
            self._widen()
        self._notes = self._tied()

    def problem(self) -> Problem:
        return TorchProblem(
            parameters=self.moved.parameters,
            loss=after(self._value, self._before_each),
            grads=self.grads,
            roots=self.roots,
            put_back=self._put_back,
            notes=self._notes,
            title=self.call.title,
            losses=self._batched(),
            source=self,
        )

    def _batched(self) -> Batched | None:
        """The loss at many points, if code and numbers allow it."""
        if self.moved.ties or self._settings.mode == "probe" or self._before_each is not None:
            return None
        if any(self.call.padding()):
            return None
        batched = Batched(self.weighed, self.moved, wide=self._is_wide)
        with self._undone():
            try:
                self.weighed.outputs()  # the first call is the one to learn from
            except Exception:  # to be seen in the check itself
                return None
            return batched if batched.is_the_same(self._value) else None

    def _put_back(self) -> None:
        self.around.restore()
        self.call.put_back()
        _restore(self._own)  # only copies were moved; but an optimiser in the loss knows the rest

    @property
    def _substitutes(self) -> list[Any] | None:
        return self.tensors if self._is_wide else None

    def _value(self) -> float:
        with self._padding_as_it_was():
            return self.weighed.value(self._substitutes, wide=self._is_wide)

    @contextmanager
    def _padding_as_it_was(self) -> Iterator[None]:
        """Rows of padding where they stood at first: autograd leaves them out, whatever they do."""
        rows = [self.tensors[k].data[row] for k, row, _ in self._padding]
        moved = [row.clone() for row in rows]
        try:
            for row, (_, _, first) in zip(rows, self._padding, strict=True):
                row.copy_(first)
            yield
        finally:
            for row, values in zip(rows, moved, strict=True):
                row.copy_(values)

    def _find_padding(self, claims: Arrays) -> None:
        """Hold the rows of padding whose gradient is left out: not where a penalty is on them."""
        names = [p.name for p in self.moved.parameters]
        for k, row in self.call.padding():
            name, tensor = self.call.names[k], self.tensors[k].detach()
            if name in names and not claims[names.index(name)].reshape(tensor.shape)[row].any():
                self._padding.append((k, row, tensor[row].clone()))
                self._notes.append(
                    Finding(
                        "padding",
                        (name,),
                        f"{name}[{row}] is padding (padding_idx): its gradient is left out, as"
                        " PyTorch documents, whatever the loss makes of it; it was held fixed",
                        {"row": row},
                    )
                )

    def _tied(self) -> list[Finding]:
        groups = [names for names in self.call.aliases if len(names) > 1] + self.moved.ties
        return [
            Finding(
                "tied",
                tuple(names),
                f"{' and '.join(names)} are the same memory (tied weights): moved once, as"
                f" {names[0]}, and compared with the sum of their gradients",
            )
            for names in groups
        ]

    def grads(self) -> Arrays:
        """What autograd claims where the parameters stand."""
        first = self._faithful is None
        with self._padding_as_it_was():
            claims = self._claims(first)
        if first:
            self._find_padding(claims)
        return claims

    def _claims(self, first: bool) -> Arrays:
        again = self.weighed.replay()
        if first:  # not at displaced points
            again()
            require_sound_backward(self.weighed, self._settings)
        if not self._is_wide:
            self._faithful = []
            again()
            return self.moved.gather(self.weighed.claimed())
        again()
        wide = self._claimed_wide() if first or any(self._faithful or ()) else None
        if not first and wide is not None and all(self._faithful or ()):
            return wide
        again()
        narrow = self.moved.gather(self.weighed.claimed(None if first else self._narrowed()))
        if wide is None:
            self._faithful = [False] * len(narrow)
            return narrow
        if first:
            self._faithful = faithful(narrow, wide, self._eps)
            if not all(self._faithful):
                wavers = self._wavering(narrow, again)
                self._faithful = faithful(narrow, wide, self._eps, wavers)
        return [
            w if same else n for n, w, same in zip(narrow, wide, self._faithful or (), strict=True)
        ]

    def _wavering(self, narrow: Arrays, again: Callable[[], None]) -> list[float]:
        """By how much narrow claims change when the parameters move by a last digit, in norm.

        Beside an optimum, where terms cancel, that is what their precision leaves of them.  Nothing
        is known of claims that are others of copies, as where a hook of the tensor changes them.
        """

        def of(tensors: list[Any]) -> Arrays:
            again()
            return self.moved.gather(self.weighed.claimed(tensors))

        tensors = self.call.tensors
        if not all(map(np.array_equal, of([t.detach() for t in tensors]), narrow)):
            return [0.0] * len(narrow)
        return furthest(narrow, (of(beside(tensors, seed)) for seed in range(DRAWS)))

    def _claimed_wide(self) -> Arrays | None:
        """The gradient in float64; None where a backward pass written by hand refuses that.

        Its own arguments it has kept as they were, and constants of the narrow precision.
        """
        try:
            return self.moved.gather(self.weighed.claimed(self.tensors, wide=True))
        except RuntimeError:
            return None

    def _narrowed(self) -> list[Any]:
        pairs = zip(self.tensors, self.call.tensors, strict=True)
        return [wide.detach().to(own.dtype).to(own.device) for wide, own in pairs]

    @property
    def _eps(self) -> float:
        own = (float(torch.finfo(t.dtype).eps) for t in self.call.tensors)
        eps = max(self.call.eps, *own)
        on_cuda = any(t.device.type == "cuda" for t in self.call.tensors)
        cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        return max(eps, TF32) if on_cuda and (cuda.allow_tf32 or cudnn.allow_tf32) else eps

    def _widen(self) -> None:
        """Move float64 copies instead, if that is the same function; all is left as it was."""
        copies = [widened(t.detach()).clone().requires_grad_() for t in self.call.tensors]
        wide = Tensors(self.call.names, copies)
        if [p.name for p in wide.parameters] != [p.name for p in self.moved.parameters]:
            return  # distinct parameters over one memory, which copies would not share
        with self._undone() as saved:
            try:
                same = self._agrees(copies, saved)
            except Exception:  # code may refuse another precision in any way it likes
                same = False
        if same:
            self._own = saved
            self.moved, self.tensors, self._is_wide = wide, copies, True

    @contextmanager
    def _undone(self) -> Iterator[Saved]:
        """Whatever is called inside leaves everything as it was."""
        state = State(self.roots, [p.array for p in self.moved.parameters])
        saved = [(p, p.save()) for p in self.moved.parameters]
        try:
            yield saved
        finally:
            self.around.restore()
            self.call.put_back()
            state.restore()
            _restore(saved)

    def outputs(self) -> list[Any]:
        """The outputs, for those who need their kind before the check begins."""
        with self._undone():
            if self._before_each is not None:
                self._before_each()
            self.weighed.outputs()  # with the user's own tensors first: these decide what is there
            return self.weighed.outputs(self._substitutes, wide=self._is_wide)

    def _agrees(self, copies: list[Any], saved: Saved) -> bool:
        """Whether outputs in float64 are the narrow ones but for rounding, and follow the copies.

        They differ where the draws of a generator depend on the precision; and a loss that closes
        over the module's parameters themselves goes on reading these.
        """

        def outputs(tensors: list[Any] | None) -> Arrays:
            self.around.rewind()
            if self._before_each is not None:
                self._before_each()
            return self.weighed.arrays(tensors, wide=tensors is not None)

        narrow, wide, again = outputs(None), outputs(copies), outputs(copies)
        if not all(p.is_as(values) for p, values in saved):
            return False  # a loss that trains: the check itself refuses it
        with _nudged(self.moved.parameters):
            elsewhere = outputs(copies)
        follows = near(wide, again, 1e-12) and near(wide, elsewhere, 1e-12)
        return follows and near(wide, narrow, self._eps**0.5)

    def explain(self, worst: Sequence[Entry]) -> list[Finding]:
        """Which output the error of the worst entry comes from, where there are several."""
        names = [p.name for p in self.moved.parameters]
        if not worst or worst[0].parameter not in names or self.weighed.cotangents.is_loss:
            return []
        k = names.index(worst[0].parameter)
        parameter = self.moved.parameters[k]
        index = int(np.ravel_multi_index(worst[0].index, parameter.shape)) if parameter.shape else 0

        def values() -> Arrays:
            return self.weighed.arrays(self._substitutes, wide=self._is_wide)

        def claimed(weights: Sequence[NDArray[Any]]) -> float:
            wide = self._is_wide and any(self._faithful or ())
            at = self.tensors if wide or not self._is_wide else self._narrowed()
            found = self.weighed.claimed(at, wide=wide, weights=weights)
            return float(self.moved.gather(found)[k][index])

        found = wrong_output(self.weighed.cotangents, parameter, index, values, claimed)
        return [] if found is None else [found]


@contextmanager
def _nudged(parameters: Sequence[Parameter]) -> Iterator[None]:
    """Parameters a little off, for as long as the context lasts."""
    saved: Saved = [(p, p.save()) for p in parameters]
    try:
        for parameter in parameters:
            theta = parameter.read()
            scale = float(np.max(np.abs(theta), initial=0.0)) or 1.0
            parameter.write(parameter.round(1.01 * theta + 0.01 * scale))
        yield
    finally:
        _restore(saved)


def _restore(saved: Saved) -> None:
    for parameter, values in saved:
        if not parameter.is_as(values):
            parameter.restore(values)

"""What an explanation of a result may look at, while the parameters stand at the point."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .measured import Evidence
from .parameters import Array, Parameter
from .point import Point
from .problem import Saved
from .result import Block, Finding

MOVE = 2e-3
"""How far parameters are moved to see whether the claimed gradient follows, relative to them."""
MOVE_NARROW = 0.1
"""The same where a parameter is float32 or less: the bend must stand above its rounding."""
NEARBY = 1e-7
"""How far they are moved to see whether it follows smoothly."""
FEW_SAMPLES = 3
"""Less samples than this are told apart by nothing."""
CURVED, CURVED_NARROW = 1e-12, 1e-5
"""Second difference of a loss, relative to it, that is more than rounding; in float32."""
SEEN = 10
"""Differences of two evaluations at one point that are its noise."""
REMEMBERED, FORGOTTEN = 1e-2, 1e-6
"""A loss remembers where it was if so much of what it changed by there is left, and more than so
much of itself."""


@dataclass(frozen=True)
class Situation:
    """One check, measured and judged.

    Attributes
    ----------
    blocks : sequence of Evidence
        What is known of each parameter.
    judged : sequence of Block
        The verdicts on them.
    args : tuple
        Arguments of the loss.
    findings : sequence of Finding
        What was noticed so far.
    """

    blocks: Sequence[Evidence]
    judged: Sequence[Block]
    args: tuple[Any, ...]
    point: Point
    saved: Saved
    findings: Sequence[Finding] = ()

    def theta(self, block: Evidence) -> Array:
        """Values of one parameter, flat."""
        return self.saved.origin(block.parameter)

    def again(self) -> list[Array] | None:
        """The claimed gradients of a second call, flat; None if it fails."""
        try:
            return self.point.claim()
        except Exception:  # the check is over: no new error may take the place of its result
            return None
        finally:
            self.saved.restore()

    def moved(self, far: float | None = None) -> list[Array] | None:
        """The same after a small move; None where the loss is linear along it, or not finite."""
        far = self._far if far is None else far
        try:
            start, middle, end = (self._loss_at(part * far) for part in (0.0, 0.5, 1.0))
            if not self._is_bend(end - 2 * middle + start, (start, middle, end)):
                return None
            return self.point.claim()  # where it differs, wherever on the way the bend lies
        except Exception:
            return None
        finally:
            self.saved.restore()

    def followed(self, names: Sequence[str]) -> list[str]:
        """Those in which the slope of the loss changes along that move."""
        found = []
        try:
            here, there = self._loss_at(0.0), self._loss_at(self._far)
            for own in (p for p in self.saved.parameters if p.name in names):
                aside, beside = self._loss_at(0.0, aside=own), self._loss_at(self._far, aside=own)
                losses = (here, aside, there, beside)
                if self._is_bend(beside - there - aside + here, losses):
                    found.append(own.name)
        except Exception:
            return []
        finally:
            self.saved.restore()
        return found

    def change(self, names: Sequence[str]) -> float:
        """How much the loss changes, relative to it, as these parameters move by their own size.

        Infinite where there is no loss, or zero here.
        """
        rng, base = np.random.default_rng(0), self.point.base
        changes = []
        try:
            for _ in range(2):  # one may go along a level line by chance
                for parameter in (p for p in self.saved.parameters if p.name in names):
                    theta = np.asarray(self.saved.origin(parameter), dtype=np.float64)
                    step = rng.standard_normal(theta.size) * np.sqrt(np.mean(theta**2))
                    parameter.write(parameter.round(theta + step))
                changes.append(abs(self.point.loss() - base))
        except Exception:
            return math.inf
        finally:
            self.saved.restore()
        return max(changes) / abs(base) if base and all(map(math.isfinite, changes)) else math.inf

    def rounded(self, name: str) -> float:
        """What a last digit of one parameter changes its gradient by, as the loss bends; a norm.

        Of a loss with no bend, or none to be had, zero.
        """
        own = next(p for p in self.saved.parameters if p.name == name)
        try:
            up, down = (self._loss_at(0.0, aside=own, by=side) for side in (1.0, -1.0))
        except Exception:
            return 0.0
        finally:
            self.saved.restore()
        bend = abs(up - 2 * self.point.base + down) / self._far**2
        theta = np.asarray(self.saved.origin(own), dtype=np.float64)
        size = float(np.linalg.norm(theta)) or 1.0
        return own.eps * bend / size if math.isfinite(bend) else 0.0

    def remembered(self) -> tuple[float, float] | None:
        """Two losses at these parameters that differ by where it was evaluated in between.

        None where they do not, as of a function of the parameters alone.
        """
        point = self.point
        try:
            seen, aside = [point.base, point.loss()], []
            for side in (1.0, -1.0):
                aside.append(self._loss_at(side * self._far))
                self.saved.restore()  # to the last bit, where a NaN spoils even no move at all
                seen.append(point.loss())
        except Exception:
            return None
        finally:
            self.saved.restore()
        felt = max(abs(there - point.base) for there in aside)
        rounding = CURVED_NARROW if self._is_narrow else FORGOTTEN
        noise = max(rounding * abs(point.base), SEEN * point.jitter)
        far = max(seen, key=lambda loss: abs(loss - point.base))
        if math.isfinite(felt) and abs(far - point.base) > max(noise, REMEMBERED * felt):
            return point.base, far
        return None

    def nearby(self, times: float = 1.0) -> list[list[Array]] | None:
        """The same a little, or so many times as far, to one side of the point and to the other.

        None where parameters are narrow: their own rounding would show.
        """
        if self._is_narrow:
            return None
        try:
            found = []
            for side in (1.0, -1.0):
                self._move(side * times * NEARBY)
                found.append(self.point.claim())
            return found
        except Exception:
            return None
        finally:
            self.saved.restore()

    def without(self, sample: int) -> list[Array] | None:
        """The same with the inputs of one sample replaced by those of the one before it.

        None where the arguments do not tell samples apart, or the loss stays as it is.
        """
        X = _inputs(self.args)
        if X is None:
            return None
        kept = np.array(X[sample])
        try:
            before = self.point.loss()
            X[sample] = X[sample - 1]
            change = abs(self.point.loss() - before)
            return self.point.claim() if change > CURVED * abs(before) else None
        except Exception:
            return None
        finally:
            X[sample] = kept
            self.saved.restore()

    @property
    def _is_narrow(self) -> bool:
        return any(parameter.narrow for parameter in self.saved.parameters)

    @property
    def _far(self) -> float:
        return MOVE_NARROW if self._is_narrow else MOVE

    def _is_bend(self, difference: float, losses: Sequence[float]) -> bool:
        """Whether a second difference of such losses is more than rounding."""
        least = CURVED_NARROW if self._is_narrow else CURVED
        return math.isfinite(difference) and abs(difference) > least * max(map(abs, losses))

    def _loss_at(self, far: float, aside: Parameter | None = None, by: float = 1.0) -> float:
        self._move(far, aside, by)
        return self.point.loss()

    def _move(self, far: float, aside: Parameter | None = None, by: float = 1.0) -> None:
        """Move all parameters so far, relatively, and one of them aside as well."""
        rng, other = np.random.default_rng(0), np.random.default_rng(1)
        for parameter in self.saved.parameters:
            theta = np.asarray(self.saved.origin(parameter), dtype=np.float64)
            size = float(np.sqrt(np.mean(theta**2))) if theta.any() else 1.0
            step = far * rng.standard_normal(theta.size)
            if parameter is aside:
                step += by * self._far * other.standard_normal(theta.size)
            parameter.write(parameter.round(theta + size * step))


def _inputs(args: Sequence[Any]) -> NDArray[Any] | None:
    """The first array of numbers among the arguments, a sample along its first axis."""
    arrays = [a for a in args if isinstance(a, np.ndarray)]
    X = next((a for a in arrays if a.dtype.kind == "f" and a.ndim > 1), None)
    if X is None or not X.flags.writeable:
        return None
    others = [a for a in arrays if a is not X and a.ndim]
    if others and all(len(a) != len(X) for a in others):  # features first: X W against W X
        X = X.swapaxes(0, -1)
        if all(a.shape[-1] != len(X) for a in others):
            return None
    return X if len(X) >= FEW_SAMPLES else None


Explain = Callable[[Situation], list[Finding]]

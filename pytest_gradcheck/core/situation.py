"""What an explanation of a result may look at, while the parameters stand at the point."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .measured import Evidence
from .parameters import Array
from .point import Point
from .problem import Saved
from .result import Block, Finding

MOVE = 1e-3
"""How far parameters are moved to see whether the claimed gradient follows, relative to them."""
CURVED = 1e-12
"""Second difference of a loss, relative to it, that is more than rounding."""


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

    def moved(self) -> list[Array] | None:
        """The same after a small move; None where the loss is linear along it, or not finite."""
        losses = []
        try:
            for far in (0.0, 2.0, 1.0):
                self._move(far)
                losses.append(self.point.loss())
            start, far_end, middle = losses
            bend = abs(far_end - 2 * middle + start)
            if not bend > CURVED * max(map(abs, losses)) or not math.isfinite(bend):
                return None
            return self.point.claim()
        except Exception:
            return None
        finally:
            self.saved.restore()

    def _move(self, far: float) -> None:
        rng = np.random.default_rng(0)
        for parameter in self.saved.parameters:
            theta = np.asarray(self.saved.origin(parameter), dtype=np.float64)
            size = float(np.sqrt(np.mean(theta**2))) if theta.any() else 1.0
            step = far * MOVE * size * rng.standard_normal(theta.size)
            parameter.write(parameter.round(theta + step))


Explain = Callable[[Situation], list[Finding]]

"""The loss along a straight line through the parameters, and along one axis."""

from __future__ import annotations

from collections.abc import Sequence

from .loss import Loss
from .parameters import Array, Parameter


class Line:
    """``t -> J(theta + t v)``; the parameters stand at theta between two calls.

    Parameters
    ----------
    loss : Loss
    parameters : sequence of Parameter
        The blocks that are moved.
    origin, direction : sequence of ndarray
        Their values theta and the direction v, flat float64.
    """

    def __init__(
        self,
        loss: Loss,
        parameters: Sequence[Parameter],
        origin: Sequence[Array],
        direction: Sequence[Array],
    ) -> None:
        self.loss, self.parameters = loss, parameters
        self.origin, self.direction = origin, direction

    def __call__(self, t: float) -> float:
        try:
            for p, theta, v in zip(self.parameters, self.origin, self.direction, strict=True):
                p.write(theta + t * v)
            return self.loss()
        finally:
            for p, theta in zip(self.parameters, self.origin, strict=True):
                p.write(theta)

    def sample(self, h: float) -> tuple[float, float, float, float]:
        """Both sides of the point, as `ladder.Sample` has it."""
        return h, self(h), h, self(-h)


class Axis:
    """``t -> J(theta + t e_i)``, with steps as the parameter's own precision rounds them."""

    def __init__(self, loss: Loss, parameter: Parameter, index: int, origin: float) -> None:
        self.loss, self.parameter, self.index, self.origin = loss, parameter, index, origin

    def __call__(self, t: float) -> float:
        cells, i = self.parameter.cells, self.index
        try:
            cells[i] = float(self.parameter.dtype.type(self.origin + t))
            return self.loss()
        finally:
            cells[i] = self.origin

    def sample(self, h: float) -> tuple[float, float, float, float]:
        """Both sides of the point, as `ladder.Sample` has it."""
        kind = self.parameter.dtype.type
        up, down = float(kind(self.origin + h)), float(kind(self.origin - h))
        cells, i = self.parameter.cells, self.index
        try:
            cells[i] = up
            f_up = self.loss()
            cells[i] = down
            f_down = self.loss()
        finally:
            cells[i] = self.origin
        return up - self.origin, f_up, self.origin - down, f_down

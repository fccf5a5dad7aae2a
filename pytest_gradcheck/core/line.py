"""The loss along a straight line through the parameters, and along one axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .loss import Loss
from .parameters import Array, Parameter

RESOLVED, LONG = 1e3, 0.1
"""Steps in units in the last place; but no longer than this, as a part of the parameters."""


def uphill(claim: Array) -> Array:
    """Steps along which a claimed gradient promises a change of the loss, in every entry.

    They are of unequal length: equal ones are what a softmax does not see.
    """
    lengths: Array = np.random.default_rng(0).uniform(0.5, 1.5, claim.size)
    return np.sign(claim) * lengths


class Line:
    """``t -> J(theta + t v)``; the parameters stand at theta between two calls.

    Parameters
    ----------
    loss : Loss
    parameters : sequence of Parameter
        The blocks that are moved.
    origin, direction : sequence of ndarray
        Their values theta and the direction v, flat float64.
    gradient : sequence of ndarray or None
        By which to subtract what parameters below float64 add by their rounding.
    """

    def __init__(
        self,
        loss: Loss,
        parameters: Sequence[Parameter],
        origin: Sequence[Array],
        direction: Sequence[Array],
        gradient: Sequence[Array] | None = None,
    ) -> None:
        self.loss, self.parameters = loss, parameters
        self.origin, self.direction = origin, direction
        self.gradient = gradient

    def __call__(self, t: float) -> float:
        rounded = 0.0
        try:
            for i, p in enumerate(self.parameters):
                moved = self.origin[i] + t * self.direction[i]
                p.write(moved)
                if p.narrow and self.gradient is not None:
                    rounded += rounded_off(p, moved, self.gradient[i])
            return self.loss() - rounded
        finally:
            for p, theta in zip(self.parameters, self.origin, strict=True):
                p.write(theta)

    def sample(self, h: float) -> tuple[float, float, float, float]:
        """Both sides of the point, as `ladder.Sample` has it."""
        return h, self(h), h, self(-h)


def rounded_off(parameter: Parameter, moved: Array, gradient: Array) -> float:
    """What the loss gains as a parameter below float64 rounds `moved`; 0 where nobody can say."""
    gain = float(np.vdot(gradient, parameter.round(moved) - moved))
    return gain if math.isfinite(gain) else 0.0


def shortest(parameters: Sequence[Parameter]) -> float:
    """Shortest step along a line, as a part of the parameters, that their rounding leaves a step.

    What is subtracted for the rounding is the believed gradient's: where nothing but rounding is
    left of a step, it would confirm whatever is believed.
    """
    eps = max((p.eps for p in parameters if p.narrow), default=0.0)
    return min(RESOLVED * eps, LONG)


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

"""Every entry of a parameter by a difference quotient at one step, in place: the textbook check."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .loss import Loss
from .parameters import Array, Parameter

CHUNK = 4096
"""Entries prepared at a time: a list of floats is several times as large as an array."""


@dataclass(frozen=True)
class Quotients:
    """Losses on both sides of every entry.

    Attributes
    ----------
    plus, minus : ndarray, shape (n,)
        Losses at the moved points; `minus` is the unmoved loss for the forward scheme.
    width : ndarray, shape (n,)
        Distance of the two points as floating-point numbers have it, not as it was asked for.
    """

    plus: Array
    minus: Array
    width: Array

    @property
    def values(self) -> Array:
        """The difference quotients; NaN where the step was lost in the parameter's resolution."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.width > 0, (self.plus - self.minus) / self.width, np.nan)


def steps(values: Array, eps: float) -> Array:
    """``eps``, times the magnitude of a parameter that is larger than 1."""
    return eps * np.maximum(1.0, np.abs(values))


def central_quotients(parameter: Parameter, loss: Loss, eps: float) -> Quotients:
    """``(J(theta_i + h) - J(theta_i - h)) / 2h`` for every entry i: two evaluations each."""
    theta = parameter.read()
    h = steps(theta, eps)
    up, down = parameter.round(theta + h), parameter.round(theta - h)
    plus = losses_at(parameter, loss, theta, up)
    return Quotients(plus, losses_at(parameter, loss, theta, down), up - down)


def forward_quotients(parameter: Parameter, loss: Loss, eps: float, base: float) -> Quotients:
    """``(J(theta_i + h) - J(theta)) / h`` for every entry i: one evaluation each."""
    theta = parameter.read()
    up = parameter.round(theta + steps(theta, eps))
    plus = losses_at(parameter, loss, theta, up)
    return Quotients(plus, np.full_like(plus, base), up - theta)


def losses_at(parameter: Parameter, loss: Loss, theta: Array, moved: Array) -> Array:
    """The loss with entry i alone at ``moved[i]``, for every i; each entry back at ``theta[i]``.

    Between two evaluations this does nothing but two assignments and one append.
    """
    losses = np.empty(parameter.size)
    cells, evaluate = parameter.cells, loss.raw
    for start in range(0, parameter.size, CHUNK):
        part = slice(start, start + CHUNK)
        found: list[float] = []
        i, x = -1, 0.0
        try:
            for i, (x, y) in enumerate(
                zip(theta[part].tolist(), moved[part].tolist(), strict=True), start
            ):
                cells[i] = y
                found.append(evaluate())
                cells[i] = x
        finally:
            loss.evaluations += len(found)
            if i >= 0:
                cells[i] = x
        losses[part] = found
    return losses

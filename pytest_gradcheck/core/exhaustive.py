"""Every entry of a parameter by a difference quotient at one step, in place: the textbook check."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from .loss import Loss
from .parameters import Array, Parameter

CHUNK = 4096
"""Entries prepared at a time: a list of floats is several times as large as an array."""
GLANCE = 0.05
"""Seconds between two looks of whoever watches, roughly."""


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
        """The difference quotients."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return (self.plus - self.minus) / self.width


def steps(values: Array, eps: float) -> Array:
    """``eps``, times the magnitude of a parameter that is larger than 1."""
    return eps * np.maximum(1.0, np.abs(values))


def central_quotients(parameter: Parameter, loss: Loss, eps: float) -> Quotients:
    """``(J(theta_i + h) - J(theta_i - h)) / 2h`` for every entry i: two evaluations each.

    A step that the precision of the parameter would swallow is as long as it takes.
    """
    theta = parameter.read()
    h = steps(theta, max(eps, parameter.eps))
    up, down = parameter.round(theta + h), parameter.round(theta - h)
    plus = losses_at(parameter, loss, theta, up)
    return Quotients(plus, losses_at(parameter, loss, theta, down), up - down)


def forward_quotients(parameter: Parameter, loss: Loss, eps: float, base: float) -> Quotients:
    """``(J(theta_i + h) - J(theta)) / h`` for every entry i: one evaluation each."""
    theta = parameter.read()
    up = parameter.round(theta + steps(theta, max(eps, parameter.eps)))
    plus = losses_at(parameter, loss, theta, up)
    return Quotients(plus, np.full_like(plus, base), up - theta)


def losses_at(
    parameter: Parameter, loss: Loss, theta: Array, moved: Array, first: int = 0
) -> Array:
    """The loss with entry ``first + i`` alone at ``moved[i]``, for every i; each back at ``theta``.

    Parameters
    ----------
    parameter : Parameter
    loss : Loss
    theta, moved : ndarray, shape (n,)
        Where the entries stand, and where each goes.
    first : int
        The first of them.
    """
    loss.where = parameter.name
    if loss.many is not None:
        return loss.many(parameter, theta, moved, first)
    return one_by_one(loss, parameter, theta, moved, first)


def one_by_one(
    loss: Loss, parameter: Parameter, theta: Array, moved: Array, first: int = 0
) -> Array:
    """The same by one call after another.

    Between two evaluations this does nothing but two assignments and one append; whoever watches
    is told after groups of them.
    """
    losses = np.empty(moved.size)
    cells, evaluate = parameter.cells, loss.raw
    start, count = 0, CHUNK if loss.watch is None else 1
    while start < moved.size:
        part = slice(start, start + count)
        found: list[float] = []
        i, x, began = -1, 0.0, time.perf_counter()
        try:
            for i, (x, y) in enumerate(
                zip(theta[part].tolist(), moved[part].tolist(), strict=True), first + start
            ):
                cells[i] = y
                found.append(evaluate())
                cells[i] = x
        finally:
            loss.evaluations += len(found)
            if i >= 0:
                cells[i] = x
        losses[part] = found
        start += len(found)
        if loss.watch is not None:
            loss.look()
            longer = 2 * count if time.perf_counter() - began < GLANCE else count // 2
            count = min(max(longer, 1), CHUNK)
    return losses

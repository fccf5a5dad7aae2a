"""The slope of a loss that jumps: a fit over a window of many jumps, which then are its noise."""

from __future__ import annotations

from collections.abc import Iterator

from .derivative import Derivative
from .fit import Window
from .highest_jump import longest_inside
from .ladder import SIGMAS, Sample

ACROSS = 0.1
"""Half width of the window, relative to the scale of the parameter."""
UNEVEN = 1.5
"""How much more jumps scatter than noise of which no value knows of another: treads are long, and
of unequal length."""
FEW, SURE = 24, 256
"""Points on either side of a fit across jumps, and where these are not enough to tell."""


def slope_across(sample: Sample, scale: float, *, noise: float, points: int) -> Derivative:
    """The slope over a window of many jumps, which then are its noise.

    Parameters
    ----------
    sample : callable
        See `ladder.Sample`.
    scale : float
        Scale of the displacement.
    noise : float
        Standard deviation of one value of the loss between two jumps.
    points : int
        Points of the window on either side.
    """
    longest = longest_inside(lambda t: sample(abs(t))[1 if t > 0 else 3], ACROSS * scale)
    window = Window(sample, longest, points, floor=noise, scale=scale)
    return (
        Derivative.of_fit(window.best(UNEVEN * SIGMAS)) if window.usable else Derivative.unknown()
    )


def slopes_across(sample: Sample, scale: float, *, noise: float) -> Iterator[Derivative]:
    """The same with ever more points, as far as they are asked for."""
    for points in (FEW, SURE):
        yield slope_across(sample, scale, noise=noise, points=points)

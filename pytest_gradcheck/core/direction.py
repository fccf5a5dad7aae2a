"""The loss along a random direction through parts of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from .line import rounded_off
from .loss import Loss
from .parameters import Array, Parameter
from .region import Region, dot
from .weights import UNIT, Weights, draw


@dataclass(frozen=True)
class Direction:
    """One row of weights: reproducible anywhere from a few numbers.

    Attributes
    ----------
    seed, row : int
        Which weights.
    regions : tuple of Region
        The entries that they move.
    scale : tuple of float
        What the weights of each region are multiplied by.
    skip : tuple of Region
        Entries that stay, even so.
    """

    seed: int
    row: int
    regions: tuple[Region, ...]
    scale: tuple[float, ...]
    skip: tuple[Region, ...] = ()
    _drawn: dict[Region, Weights] = field(default_factory=dict, repr=False, compare=False)

    def weights(self, region: Region) -> Weights:
        """Weights of one of the regions, in its shape; zero where entries stay."""
        if region not in self._drawn:
            drawn = draw(self.seed, self.row, region.block, region.full_size)
            weights: Weights = region.of(drawn)
            for other in self.skip:
                if other.block == region.block:
                    weights[region.inside(other)] = 0
            self._drawn[region] = weights
        return self._drawn[region]

    def slope(self, gradient: Sequence[Array]) -> float:
        """The derivative along it as a gradient has it, flat for each parameter."""
        return sum(
            scale * UNIT * dot(region.of(gradient[region.block]), self.weights(region))
            for region, scale in zip(self.regions, self.scale, strict=True)
        )

    def rounded(
        self,
        parameters: Sequence[Parameter],
        origin: Sequence[Array],
        gradient: Sequence[Array],
        t: float,
    ) -> float:
        """What the loss gains at ``theta + t v`` as parameters below float64 round it."""
        total = 0.0
        for region, scale in zip(self.regions, self.scale, strict=True):
            parameter = parameters[region.block]
            if parameter.narrow:
                start = region.of(origin[region.block])
                moved = start + t * UNIT * scale * self.weights(region)
                total += rounded_off(parameter, moved, region.of(gradient[region.block]))
        return total

    @contextmanager
    def through(
        self, parameters: Sequence[Parameter], origin: Sequence[Array], loss: Loss
    ) -> Iterator[Callable[[float], float]]:
        """``t -> J(theta + t v)``; the parameters are back at the origin only at the end."""
        at, back = self.moving(parameters, origin, loss)
        try:
            yield at
        finally:
            back()

    def moving(
        self, parameters: Sequence[Parameter], origin: Sequence[Array], loss: Loss
    ) -> tuple[Callable[[float], float], Callable[[], None]]:
        """The same, and what puts the parameters back."""
        moves = [
            (
                parameters[region.block],
                region.where,
                region.of(origin[region.block]),
                self.weights(region),
                UNIT * scale,
            )
            for region, scale in zip(self.regions, self.scale, strict=True)
        ]

        def at(t: float) -> float:
            for parameter, where, start, weights, unit in moves:
                parameter.shift(where, start, weights, t * unit)
            return loss()

        def back() -> None:
            for parameter, where, start, weights, _ in moves:
                parameter.shift(where, start, weights, 0.0)

        return at, back

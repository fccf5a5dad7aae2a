"""Probes and entries that are what they are, so that a search can be followed by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pytest_gradcheck.core.belief import Belief
from pytest_gradcheck.core.derivative import Derivative
from pytest_gradcheck.core.loss import Loss
from pytest_gradcheck.core.parameters import Parameter
from pytest_gradcheck.core.part import Part
from pytest_gradcheck.core.probes import Prober
from pytest_gradcheck.core.reading import Reading
from pytest_gradcheck.core.region import Region


class Exact(Prober):
    """Probes and entries that are measured as they are, at one evaluation and error bar each."""

    def __init__(
        self,
        true: Sequence[Any],
        claimed: Sequence[Any],
        *,
        origin: Sequence[Any] | None = None,
        weight: Sequence[float] | None = None,
        bar: float = 1e-9,
    ) -> None:
        origin = [np.ones(np.shape(g)) for g in true] if origin is None else origin
        parameters = [Parameter(f"p{i}", np.array(x, float)) for i, x in enumerate(origin)]
        claims = [np.ravel(np.array(g, float)) for g in claimed]
        belief = Belief(claims, [0.0] * len(claims), weight or [1.0] * len(claims))
        flat = [p.read() for p in parameters]
        super().__init__(
            parameters, Loss(lambda: 0.0), base=0.0, origin=flat, belief=belief, seed=5
        )
        self.true = [np.ravel(np.array(g, float)) for g in true]
        self.bar, self.bars = bar, dict[tuple[int, int], float]()
        self.read_: list[tuple[tuple[Region, ...], int, float]] = []
        self.entries_: list[tuple[int, int, float]] = []

    @property
    def whole(self) -> tuple[Region, ...]:
        return tuple(Region.whole(i, p.shape) for i, p in enumerate(self.parameters))

    def read(self, regions: Any, row: int, *, target: float, **more: Any) -> Reading:
        self.loss.evaluations += 1
        self.read_.append((tuple(regions), row, target))
        slope = self.direction(regions, row, more.get("skip", ())).slope(self.true)
        return Reading(slope, self.bar)

    def entry(self, block: int, i: int, *, target: float) -> Derivative:
        self.loss.evaluations += 1
        self.entries_.append((block, i, target))
        bar = self.bars.get((block, i), self.bar)
        value = float(self.true[block][i])
        return Derivative.smooth(value, bar, bar, 1e-3)

    def part(self, rows: Iterable[int] = range(3), regions: Any = None) -> Part:
        regions = self.whole if regions is None else tuple(regions)
        readings = {row: self.read(regions, row, target=0.0) for row in rows}
        self.read_.clear()
        self.loss.evaluations = 0
        return Part(regions, readings)


def off(shape: Any, *flat: int, size: float = 1.0) -> np.ndarray:
    """Zeros but for some entries."""
    found = np.zeros(shape)
    found.reshape(-1)[list(flat)] = size
    return found

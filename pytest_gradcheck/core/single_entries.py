"""Entries measured by themselves, each once, and corrected where they turn out wrong."""

from __future__ import annotations

import math

import numpy as np

from .derivative import Derivative
from .located import Found
from .probes import Prober
from .region import Region

SAMPLED = 6
"""Entries picked at random that must all be wrong before a part is said to be wrong throughout."""


class OutOfBudgetError(Exception):
    """The evaluations allowed are used up."""


class SingleEntries:
    """The entries of the module.

    Parameters
    ----------
    prober : Prober
        Its believed gradient is corrected.
    found : Found
        Where entries that are wrong are noted.
    target : float
        Error bar aimed at, as in `Prober.read`.
    rng : numpy.random.Generator
        Picks some of them.

    Attributes
    ----------
    limit : float
        Evaluations of the loss after which nothing is measured any more.
    """

    def __init__(
        self, prober: Prober, found: Found, *, target: float, rng: np.random.Generator
    ) -> None:
        self.prober, self.found, self.target, self.rng = prober, found, target, rng
        self.limit = math.inf
        self._measured: dict[tuple[int, int], Derivative] = {}

    def require_budget(self) -> None:
        """Raise where no evaluation is left.

        Raises
        ------
        OutOfBudgetError
        """
        if self.prober.loss.evaluations >= self.limit:
            raise OutOfBudgetError

    def measured(self, block: int, i: int) -> Derivative:
        if (block, i) not in self._measured:
            self.require_budget()
            scale = 1 / self.prober.weight[block]
            self._measured[block, i] = self.prober.entry(block, i, target=self.target * scale)
        return self._measured[block, i]

    def error(self, block: int, i: int) -> tuple[float, Derivative]:
        """What is believed of an entry less what is measured of it, and the measurement."""
        measured = self.measured(block, i)
        believed = float(self.prober.belief.gradient[block][i])
        return believed - measured.nearest(believed), measured

    def take(self, block: int, i: int, expected: float | None = None) -> bool:
        """Measure an entry and correct it; False if it is not wrong after all."""
        error, measured = self.error(block, i)
        if not abs(error) > measured.uncertainty:  # NaN where it could not be measured
            return False
        if expected is not None and abs(error - expected) > abs(error) / 2:
            return False
        self.correct(block, i)
        return True

    def correct(self, block: int, i: int) -> None:
        error, measured = self.error(block, i)
        self.found.entries[block, i] = measured
        entry = Region.whole(block, self.prober.parameters[block].shape).entry_at(i)
        self.prober.belief.correct(entry, -error, measured.uncertainty)

    def picked(
        self, region: Region, most: int, *, beside: int | None = None
    ) -> tuple[list[int], int]:
        """Those that are wrong of entries picked at random, and how many were picked.

        None that are wrong among the first two settle it, and so does it where of the first
        `SAMPLED` all are, or one alone.  An entry that is known, `beside`, is not picked.
        """
        wrong, count = list[int](), 0
        more = min(most + (beside is not None), region.size)
        flats = map(region.flat, self.rng.choice(region.size, more, replace=False).tolist())
        for i in [i for i in flats if i != beside][:most]:
            count += 1
            error, measured = self.error(region.block, i)
            if abs(error) > measured.uncertainty:
                wrong.append(i)
            if (count == 2 and not wrong) or (count == SAMPLED and len(wrong) in (1, SAMPLED)):
                break
        return wrong, count

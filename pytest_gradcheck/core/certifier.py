"""As many probes as the confidence asks for, and what they prove of the believed gradient."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from .certificate import Certificate
from .locate import ROWS
from .located import Found
from .probes import Prober
from .reading import Reading
from .region import Region
from .weights import LOOKS, probes_for, spread

SHARP = 30
"""Error bar aimed at along a probe, as a part of `tol`: what `SPREAD` may multiply."""
CONTENT = 4
"""Multiple of the sharpest error bar of a probe that does for the others, as the median does."""
NOISY = 0.3
"""Part of `warn` below which a bound that noise allows is sharp enough."""
MOST = 4
"""Multiple of the number of probes that is made at most where a bound is not."""
PATIENT = 0.2
"""Part of an error bar that many points along every probe leave where noise dominates."""

Group = tuple[Region, ...]
"""Blocks that are probed together."""
Row = tuple[int, Reading]
"""A row of probes, and what was read along it."""


@dataclass
class Certifier:
    """The probes of the module, for any group of blocks.

    Attributes
    ----------
    prober : Prober
    rows : iterator of int
        Rows of weights, each used once.
    tol, warn, confidence : float
        As in `Settings`.
    sharpest : float
        The smallest error bar of a probe so far; 0 before there was any.
    kinked : bool
        Whether a kink was met.
    stray : list of (int, Reading)
        Readings whose first steps, far longer, had another slope.
    """

    prober: Prober
    rows: Iterator[int]
    tol: float
    warn: float
    confidence: float
    sharpest: float = field(default=0.0, init=False)
    kinked: bool = field(default=False, init=False)
    stray: list[Row] = field(default_factory=list, init=False)

    @property
    def target(self) -> float:
        """Error bar aimed at along every probe."""
        return self.tol / SHARP

    @property
    def probes(self) -> int:
        """Number of probes that the confidence asks for."""
        return probes_for(self.confidence)

    @property
    def enough(self) -> float:
        """Error bar that will do where noise dominates."""
        return NOISY * self.warn * 2 / spread(MOST * self.probes, self.confidence)

    def start_over(self) -> None:
        """Forget what other groups, or the same one between jumps, have shown."""
        self.sharpest, self.stray = 0.0, []

    def certify(self, group: Group, found: Found) -> Certificate:
        """Probe the believed gradient; sooner done where it is contradicted."""
        certificate = self.probe(group, found, enough=math.inf)
        relative_error = certificate.most(self.confidence) / 2
        if certificate.clean and self.warn < relative_error < self.warn / PATIENT:
            certificate = self.probe(group, found, enough=self.enough)
        return certificate

    def probe(
        self, group: Group, found: Found, enough: float, *, patient: bool = False
    ) -> Certificate:
        """All probes that the confidence asks for; a few, unless `patient`, where these object."""
        readings: dict[int, Reading] = {}
        errors: list[float] = []
        wanted, looks = self.probes, 1
        target = max(self.target, CONTENT * self.sharpest)
        belief = self.prober.belief
        rounding, doubt = belief.rounding_bar(group), belief.doubt(group)
        rows = list(itertools.islice(self.rows, wanted))
        while len(readings) < wanted:
            row = rows[len(readings)]
            reading = self.prober.read(group, row, target=target, enough=enough, skip=found.skip)
            self.kinked |= reading.kink
            readings[row] = reading
            self.stray += [(row, reading)] if reading.strays else []
            errors.append(self.prober.expected(group, row, found.skip) - reading.value)
            self.sharpest = min(self.sharpest or math.inf, reading.bar)
            typical = float(np.median([r.bar for r in readings.values()]))
            target = max(self.target, CONTENT * self.sharpest, typical)
            so_far = Certificate(
                group,
                readings,
                np.array(errors),
                np.array([r.bar for r in readings.values()]) + rounding,
                np.array([r.noise for r in readings.values()]),
                doubt,
            )
            if self.kinked or not (so_far.clean or patient or len(readings) < ROWS):
                break
            if len(readings) == 1:
                self.prober.look_ahead(group, rows[1 : None if so_far.clean else ROWS], found.skip)
            if not math.isfinite(reading.bar):
                break
            if len(readings) == wanted and looks < LOOKS:
                wanted = max(wanted, self._needed(so_far))
                rows += itertools.islice(self.rows, wanted - len(rows))
                looks += 1
        return so_far

    def _needed(self, so_far: Certificate) -> int:
        """Number of probes like those so far whose bound is sharp enough."""
        most, made = so_far.most(self.confidence) / 2, len(so_far.readings)

        def bound(count: int) -> float:
            return most * spread(count, self.confidence) / spread(made, self.confidence)

        counts = range(made, MOST * self.probes)
        return next((c for c in counts if bound(c) <= NOISY * self.warn), MOST * self.probes)

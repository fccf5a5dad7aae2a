"""A whole gradient by a handful of probes; and where they contradict it, the search for why.

1. As many probes as the confidence asks for, over all parameters at once.  Where they agree with
   the claim, their error bars bound the norm of its error: for the whole and for every block.
   Few entries that are probed by themselves are each measured instead (`few_entries`).
2. Where they do not, the wrong entries, rows and blocks are searched (`locate`).
3. What remains of the claim once these are taken out is probed anew, with fresh weights.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from .belief import Belief
from .certificate import Certificate
from .certifier import Certifier, Group
from .few_entries import measured_each, take_certain
from .how_wrong import HowWrong
from .jump_search import JUMPY, JumpSearch
from .locate import Search
from .located import Found
from .loss import Loss
from .measured import NEGLIGIBLE
from .parameters import Array, Parameter
from .part import Part
from .probed import Probed
from .probes import Prober
from .region import Region
from .result import Finding
from .spread import Spread

APART = 1e-3
"""Blocks whose loss moves less than this part of the others' are probed by themselves, unless that
is far above the noise as well: in common probes the others' steps would be bound by theirs."""
ROUNDS = 6
"""Searches, each followed by fresh probes, before what is left is reported as not located."""
SEARCH, LITTLE = 2_000, 100
"""Evaluations that a search may take where `max_evaluations` does not say: for errors that matter,
and for those below `tol`."""


class Probing:
    """The steps of the module, on one problem at one point.

    Parameters
    ----------
    parameters : sequence of Parameter
    loss : Loss
    claims : sequence of ndarray
        Claimed gradients, flat.
    origin : sequence of ndarray
        The parameters, flat.
    rounding : sequence of float
        Relative rounding of the claims as they were handed over.
    base, jitter : float
        Loss at the point, and by how much two evaluations of it differ.
    tol, warn, fail, confidence : float
        As in `Settings`.
    limit : int or None
        Largest number of evaluations of the loss.
    seed : int
    workers : Spread or None
        Who evaluates, besides this process.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        loss: Loss,
        claims: Sequence[Array],
        *,
        origin: Sequence[Array],
        rounding: Sequence[float],
        base: float,
        jitter: float,
        tol: float,
        warn: float,
        fail: float,
        confidence: float,
        limit: int | None,
        seed: int,
        workers: Spread | None = None,
    ) -> None:
        self.confidence, self.tol, self.warn = confidence, tol, warn
        self.limit = math.inf if limit is None else limit
        self.unlocated: list[tuple[frozenset[str], float]] = []
        self.findings: list[Finding] = []
        norms = [norm if math.isfinite(norm := float(np.linalg.norm(g))) else 0.0 for g in claims]
        whole = math.hypot(*norms)
        negligible = [norm <= NEGLIGIBLE * whole for norm in norms]
        sizes = [whole if small else n for n, small in zip(norms, negligible, strict=True)]
        weight = [1 / (size or 1.0) for size in sizes]
        self.rng = np.random.default_rng(seed)
        self.prober = Prober(
            parameters,
            loss,
            base=base,
            origin=origin,
            belief=Belief(claims, rounding, weight),
            seed=seed,
            workers=workers,
        )
        self.blocks = [
            Probed(p, g, g, w, u, small)
            for p, g, w, u, small in zip(
                parameters, claims, weight, rounding, negligible, strict=True
            )
        ]
        for block in self.blocks:
            block.most = math.inf if block.claimed.size else 0.0
        self._rows, self.jitter = itertools.count(), jitter
        self.certifier = Certifier(
            self.prober, self._rows, tol=tol, warn=warn, confidence=confidence
        )
        self.target = self.certifier.target
        self.jumps = JumpSearch(self.certifier, self.blocks, self.limit)
        self.how_wrong = HowWrong(
            self.prober,
            self.blocks,
            self._rows,
            target=self.target,
            tol=tol,
            fail=fail,
            confidence=confidence,
            limit=self.limit,
        )
        self._measure_noise([Region.whole(i, p.shape) for i, p in enumerate(parameters) if p.size])

    @property
    def kinked(self) -> bool:
        """Whether a kink was met."""
        return self.certifier.kinked

    def run(self) -> list[Probed]:
        for group in self._groups():
            self._examine(group)
        self.prober.settle()
        return self.blocks

    def _measure_noise(self, regions: Sequence[Region]) -> None:
        noise = self.prober.measure_noise(regions, next(self._rows))
        self.prober.noise = max(self.jitter, noise)

    def _groups(self) -> list[Group]:
        """Blocks that are probed together: those to which the loss is about equally sensitive."""
        tested = [
            i for i, block in enumerate(self.blocks) if block.is_finite and block.claimed.size
        ]
        tested.sort(key=lambda i: -self.prober.reach(i))
        ample = self.prober.noise / (self.target * APART)
        groups: list[list[int]] = []
        for i in tested:
            reach = self.prober.reach(i)
            if groups and (reach >= ample or reach >= APART * self.prober.reach(groups[-1][0])):
                groups[-1].append(i)
            else:
                groups.append([i])
        return [
            tuple(Region.whole(i, self.blocks[i].parameter.shape) for i in sorted(group))
            for group in groups
        ]

    def _examine(self, group: Group) -> None:
        self.prober.loss.progress("random directions through all parameters")
        self.certifier.start_over()
        search, kinked = self._search(), self.kinked
        each = measured_each(group, self.blocks, search.entries)
        if each is not None and each.clean and each.most(self.confidence) / 2 <= self.warn:
            self._record(group, each, search.found)
            return
        certificate = self.certifier.certify(group, search.found)
        coarse = self.warn < certificate.most(self.confidence) / 2 < math.inf
        if (self.kinked or coarse or not certificate.clean) and self.prober.look_closer(group):
            self.certifier.kinked = kinked  # it may have been steps far too long for some
            self._measure_noise(group)
            search = self._search()  # entries were measured in noise of the wrong size
            each = measured_each(group, self.blocks, search.entries)
            certificate = self.certifier.certify(group, search.found)
        before = certificate
        jumps = self.jumps.run(group, self.jumps.odd(group, before))
        if not jumps:
            certificate = self._searched(group, search, before)
            if not certificate.clean:
                jumps = self.jumps.run(group, self.jumps.odd(group, certificate))
            elif not (before.clean or search.found.count):
                jumps = self.jumps.run(group, self.jumps.again(group, before))
            elif self._belies(certificate, each):
                jumps = self.jumps.run(group, list(certificate.readings.items())[:JUMPY])
        if jumps:  # what was found so far was found between jumps
            self.certifier.start_over()
            search, each = self._search(), None
            certificate = self._searched(group, search, self.certifier.certify(group, search.found))
        if self.kinked or (
            certificate.clean and (search.found.count or self._belies(certificate, each))
        ):
            each = None
        elif each is not None:  # and probes see nothing, or not where it is
            take_certain(group, self.blocks, search.entries)
            each = measured_each(group, self.blocks, search.entries)
            if each is not None and each.clean and not certificate.clean:
                certificate = each
        self._record(group, certificate, search.found, each)

    def _search(self) -> Search:
        search = Search(self.prober, target=self.target, rows=self._rows, rng=self.rng)
        search.entries.limit = self.limit
        return search

    def _belies(self, certificate: Certificate, each: Certificate | None) -> bool:
        """Whether probes would have seen what short steps along entries say: the loss jumps."""
        known = certificate.most(self.confidence)
        return each is not None and each.least(self.confidence) > known

    def _searched(self, group: Group, search: Search, certificate: Certificate) -> Certificate:
        """What probes prove of what is left when all that could be found wrong is taken out."""
        budget = SEARCH if certificate.typical / 2 > self.tol else LITTLE
        limit = min(self.limit, self.prober.loss.evaluations + budget)
        for _ in range(ROUNDS):
            if certificate.clean or self.kinked or search.exhausted:
                break
            before = search.found.count
            search.run(Part(group, certificate.readings), limit=limit)
            if search.found.count == before:
                break
            certificate = self.certifier.certify(group, search.found)
        if not (certificate.clean or self.kinked) and self.prober.loss.evaluations < self.limit:
            certificate = self.certifier.probe(group, search.found, enough=math.inf, patient=True)
        for wrong in search.found.throughout:
            self.how_wrong.measure(wrong, search.found)
        return certificate

    def _record(
        self,
        group: Group,
        certificate: Certificate,
        found: Found,
        each: Certificate | None = None,
    ) -> None:
        """What was found and proved, block by block; sharper where `each` entry was measured."""
        within = [self.blocks[region.block] for region in group]
        for region, block in zip(group, within, strict=True):
            block.corrected = self.prober.belief.gradient[region.block]
            proved = [c.of(region) for c in (certificate, each) if c is not None]
            sharpest = min(proved, key=lambda c: c.most(self.confidence))
            block.most = sharpest.most(self.confidence) / block.weight
            block.error = min(block.most, sharpest.typical / block.weight)
        unknown = [block for block in within if not math.isfinite(block.most)]
        if unknown:
            self.findings.append(_unprobed(unknown))
        for (i, j), measured in found.entries.items():
            self.blocks[i].entries[j] = measured
        for region in found.whole:
            self.blocks[region.block].told = True
        for region in found.dense:
            self.blocks[region.block].dense.append(region)
        for wrong in found.throughout:
            block = self.blocks[wrong.region.block]
            apart = self.how_wrong.apart(wrong)
            typical = apart.typical / block.weight
            block.least = math.hypot(block.least, apart.least(self.confidence) / block.weight)
            block.error = math.hypot(block.error, typical)
            block.most = math.hypot(block.most, apart.most(self.confidence) / block.weight)
            outside = block.corrected.copy()
            wrong.region.of(outside)[...] = 0.0
            true = float(np.sqrt(np.mean(wrong.slopes**2))) / block.weight
            block.numeric = math.hypot(float(np.linalg.norm(outside)), true)
        if not certificate.clean:
            names = frozenset(block.parameter.name for block in within)
            self.unlocated.append((names, certificate.least(self.confidence)))
        if len(group) == 1:
            block = self.blocks[group[0].block]
            is_wrong = not (certificate.clean and block.untouched)
            block.vanishes = is_wrong and _fits_zero(block, certificate)
        self.findings += found.findings(self.prober.parameters)


def _unprobed(blocks: Sequence[Probed]) -> Finding:
    names = tuple(block.parameter.name for block in blocks)
    return Finding(
        "unprobed",
        names,
        f"{', '.join(names)} cannot be probed: the loss is not finite a small step away along"
        " random directions. Are there entries of very different magnitude, or at the edge of"
        ' its domain? Check it entry by entry with mode="exhaustive"',
    )


def _fits_zero(block: Probed, certificate: Certificate) -> bool:
    """Whether all that was measured of a block, probed by itself, may be zero."""
    if block.slopes is not None:
        return bool(np.all(np.abs(block.slopes.values) <= block.slopes.bars))
    return not block.dense and all(
        abs(reading.value) <= reading.bar for reading in certificate.readings.values()
    )

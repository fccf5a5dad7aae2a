"""What a search for wrong entries has found, and how it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .atoms import Pattern, Readings
from .derivative import Derivative
from .parameters import Array, Parameter
from .region import Region
from .result import Finding, some

ZERO = 1e-6
"""A measured gradient this small beside the claimed one is told as zero."""
OF_ZERO = "a gradient is claimed where the measured one is zero"


@dataclass(frozen=True)
class Throughout:
    """A region that is wrong and not searched, for `wrong` of the entries `picked` at random are.

    Discrepancies and true slopes along a few probes say how wrong it is.
    """

    region: Region
    readings: Readings
    slopes: Array
    wrong: int
    picked: int

    @property
    def is_dense(self) -> bool:
        """Whether most entries are wrong, not just some."""
        return 2 * self.wrong > self.picked

    @property
    def how(self) -> str:
        if not self.is_dense:
            return "wrong in some entries; it was not searched, as so many others are wrong"
        if self.wrong == self.picked:
            all_of = "both" if self.picked == 2 else f"all {self.picked}"
            return f"wrong throughout, as {all_of} entries are that were picked at random"
        return f"wrong nearly throughout, as {self.wrong} of {self.picked} entries picked at random"


@dataclass
class Found:
    """What a search for wrong entries has found so far.

    Attributes
    ----------
    entries : dict of (int, int) to Derivative
        Entries that were measured by themselves, by block and flat position.
    patterns : list of Pattern
    throughout : list of Throughout
    complete : list of Region
        Regions all of whose entries were measured and are wrong.
    left : list of Region
        What the search did not get to.
    """

    entries: dict[tuple[int, int], Derivative] = field(default_factory=dict)
    patterns: list[Pattern] = field(default_factory=list)
    throughout: list[Throughout] = field(default_factory=list)
    complete: list[Region] = field(default_factory=list)
    left: list[Region] = field(default_factory=list)

    @property
    def skip(self) -> list[Region]:
        """Regions that later probes leave out: nothing is known there but that all is wrong."""
        return [part.region for part in self.throughout]

    @property
    def dense(self) -> list[Region]:
        """Regions that are wrong throughout, by no known pattern."""
        return [*self.skip, *self.complete]

    @property
    def dense_blocks(self) -> int:
        """Number of parameters in which there are such regions."""
        return len({region.block for region in self.dense})

    @property
    def whole(self) -> list[Region]:
        """All regions that are told as such, not by their entries."""
        return [*self.dense, *(r for p in self.patterns for r in p.regions)]

    @property
    def count(self) -> int:
        return len(self.entries) + len(self.patterns) + len(self.throughout)

    def findings(self, parameters: Sequence[Parameter]) -> list[Finding]:
        """Regions that are wrong as a whole, and what was left unsearched."""
        names = [parameter.name for parameter in parameters]
        told: dict[str, list[Pattern]] = {}
        for pattern in self.patterns:
            told.setdefault(_in_words(pattern), []).append(pattern)
        found = [_of_patterns(alike, what, names) for what, alike in told.items()]
        dense = [(wrong.region, wrong.how) for wrong in self.throughout]
        dense += [(r, f"wrong throughout, all of its {r.size} entries are") for r in self.complete]
        whole = sorted(
            [w.region.block for w in self.throughout if w.region.is_whole and w.is_dense]
            + [region.block for region in self.complete if region.is_whole]
        )
        if len(whole) > 1:
            found.append(_wrong_all([names[block] for block in whole]))
            dense = [(r, how) for r, how in dense if not (r.is_whole and r.block in whole)]
        alike: dict[tuple[int, str], list[Region]] = {}
        for region, how in sorted(dense, key=lambda pair: (pair[0].block, pair[0].ranges)):
            alike.setdefault((region.block, how), []).append(region)
        found += [_wrong(regions, names[block], how) for (block, how), regions in alike.items()]
        if self.left:
            where = tuple(dict.fromkeys(names[region.block] for region in self.left))
            found.append(
                Finding(
                    "search-ended",
                    where,
                    f"the search in {', '.join(where)} ended with the evaluations allowed: the"
                    " entries listed are the worst among what was searched. Allow more with"
                    " max_evaluations",
                    {"entries": sum(region.size for region in self.left)},
                )
            )
        return found


def _wrong(regions: Sequence[Region], name: str, how: str) -> Finding:
    labels = [region.label(name) for region in regions]
    return Finding(
        "wrong-region",
        (name,),
        f"{some(labels)}: {'each ' if len(labels) > 1 else ''}{how}",
        {"regions": labels, "entries": sum(region.size for region in regions)},
    )


def _wrong_all(names: Sequence[str]) -> Finding:
    return Finding(
        "wrong-region",
        tuple(names),
        f"{some(names)}: each wrong throughout, as all entries are that were picked at random",
        {"regions": [f"all of {name}" for name in names]},
    )


def _in_words(pattern: Pattern) -> str:
    """What holds in every entry, but for how well it is known."""
    c = pattern.constant
    if pattern.of == "parameter":
        return f"claimed - measured = {c:.6g} * parameter"
    if abs(1 - c) < max(ZERO, pattern.uncertainty):
        return OF_ZERO
    return f"the claimed gradient is {1 / (1 - c):.6g} times the measured one"


def _of_patterns(alike: Sequence[Pattern], what: str, names: Sequence[str]) -> Finding:
    """Patterns that are told in the same words, as one: found at different precision, perhaps."""
    regions = [region for pattern in alike for region in pattern.regions]
    regions.sort(key=lambda region: (region.block, region.ranges))
    labels = [region.label(names[region.block]) for region in regions]
    uncertain = max(pattern.uncertainty for pattern in alike)
    bar = f" (± {uncertain:.0e} of it)" if what == OF_ZERO and uncertain > ZERO else ""
    return Finding(
        "wrong-region",
        tuple(dict.fromkeys(names[region.block] for region in regions)),
        f"{some(labels)}: in every entry {what}{bar}",
        {"regions": labels, "constant": alike[0].constant, "of": alike[0].of},
    )

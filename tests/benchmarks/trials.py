"""Every case of the bank put to every checker: one record a case, worked out in any process."""

from __future__ import annotations

import warnings
import zlib
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from bank import Case, Mutant
from bank.base import Draft, Grads, build, drafts
from oracle import best_bar
from ours import Trial, attempt
from peers import PEERS, Verdict, alarm, forget

WRONG = 1e-5
"""True relative error above which a mutant ought to be seen by any checker."""
OTHER_SEEDS = (1, 2)
"""Seeds with which right gradients are checked once more: a false alarm may hang on the draw."""
SAMPLE = 3
"""Mutants of a case that are put to the peers: those whose names come first by checksum."""


@dataclass(frozen=True)
class MutantRecord:
    name: str
    kind: str
    error: float
    ours: Trial
    peers: dict[str, Verdict] = field(default_factory=dict)


@dataclass(frozen=True)
class CaseRecord:
    """One case; `oracle` is the best error bar of any parameter of which ours cannot say.

    `again` is what ours says of the right gradient with `OTHER_SEEDS`.
    """

    name: str
    kind: str
    size: int
    double: bool
    ours: Trial
    again: list[Trial]
    oracle: float
    peers: dict[str, Verdict]
    mutants: list[MutantRecord]


@cache
def bank(half: str) -> list[tuple[str, str, Draft]]:
    """The drafts of one half; `build` makes cases of them."""
    return list(drafts(half, None))


def examine(at: tuple[str, int]) -> CaseRecord:
    """Case number `at[1]` of the half `at[0]`, right and wrong, by everyone."""
    warnings.simplefilter("ignore")
    half, index = at
    case = build(*bank(half)[index])
    mutants = list(case.mutants())
    sample = _sample(mutants)
    ours = attempt(case, case.grads)
    record = CaseRecord(
        name=case.name,
        kind=case.kind,
        size=sum(values.size for values in case.params.values()),
        double=all(v.dtype == np.float64 for v in (*case.params.values(), *case.exact.values())),
        ours=ours,
        again=[attempt(case, case.grads, seed) for seed in OTHER_SEEDS],
        oracle=max((best_bar(case, name) for name in ours.doubted), default=0.0),
        peers=_ask(case, case.grads),
        mutants=[
            MutantRecord(
                name=mutant.name,
                kind=mutant.kind,
                error=mutant.relative_error,
                ours=attempt(case, mutant.grads),
                peers=_ask(case, mutant.grads) if mutant.name in sample else {},
            )
            for mutant in mutants
        ],
    )
    forget()
    return record


def _sample(mutants: list[Mutant]) -> set[str]:
    names = [mutant.name for mutant in mutants if mutant.relative_error > WRONG]
    return set(sorted(names, key=lambda name: zlib.crc32(name.encode()))[:SAMPLE])


def _ask(case: Case, grads: Grads) -> dict[str, Verdict]:
    return {name: alarm(peer, case.loss, grads, case.params) for name, peer in PEERS.items()}

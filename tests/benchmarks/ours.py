"""What this project says about one claimed gradient of a case of the bank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from bank import Case
from bank.base import Arrays, Grads
from bank.mutants import relative_error

from pytest_gradcheck import Finding, Result, check

TOL = 1e-7
ALARMS = {"not-finite", "wrong-entry"}
CANNOT_SAY = {"tiny-gradient", "coarse", "undecided", "unprobed"}
OF_THE_POINT = {
    "zero-gradient",
    "near-zero-parameters",
    "vanishing",
    "exploding",
    "saturated",
    "unscaled-inputs",
}
"""Findings that warn of the point of a check, and claim nothing of its gradient."""
EVERY_ENTRY = 10**9


@dataclass(frozen=True)
class Trial:
    """The outcome of one check.

    Attributes
    ----------
    outcome : str
        "clear"; "alarm", a discrepancy claimed; "raised", an exception; "cannot say", a warning
        of an unmeasurable parameter and nothing else; "warned", any other warning (of a parameter
        whose gradient is zero, say).
    why : str
        What stood behind it.
    evaluations : int
    uncertainty : float
        Reported for the whole vector.
    worst_uncertainty : float
        The largest reported, for the whole vector or any parameter.
    beyond : float
        Largest true relative error of a parameter in units of its own error bar, of those that
        are above the tolerance.
    entries, covered : int
        Entries measured, and those whose error bar holds the truth.
    doubted : tuple of str
        Parameters of which nothing can be said.
    """

    outcome: str
    why: str = ""
    evaluations: int = 0
    uncertainty: float = np.nan
    worst_uncertainty: float = np.nan
    beyond: float = 0.0
    entries: int = 0
    covered: int = 0
    doubted: tuple[str, ...] = ()

    @property
    def flagged(self) -> bool:
        return self.outcome in ("alarm", "raised")

    def misses(self, error: float) -> bool:
        """Not flagged, though off by more than the tolerance and three times any error bar."""
        return not self.flagged and error > max(TOL, 3 * self.worst_uncertainty)


def attempt(case: Case, grads: Grads, seed: int = 0, mode: str = "auto") -> Trial:
    """Check `grads`, with random directions of this seed, and else at the defaults."""
    params = {name: values.copy() for name, values in case.params.items()}
    try:
        result = check(
            loss=case.loss, grads=grads, params=params, worst=EVERY_ENTRY, seed=seed, mode=mode
        )
    except Exception as error:
        return Trial("raised", f"{type(error).__name__}: {error}".splitlines()[0][:120])
    claimed = grads(case.params)
    outcome, why, doubted = _outcome(result, case, claimed)
    return Trial(
        outcome,
        why,
        evaluations=result.evaluations,
        uncertainty=result.uncertainty,
        worst_uncertainty=max([result.uncertainty, *(b.uncertainty for b in result.blocks)]),
        beyond=_beyond(result, case, claimed),
        entries=len(result.worst),
        covered=_covered(result, case),
        doubted=doubted,
    )


def _outcome(result: Result, case: Case, claimed: Arrays) -> tuple[str, str, tuple[str, ...]]:
    wrong = [f"{b.name} {b.status}" for b in result.blocks if b.status != "pass"]
    wrong += [f"{f.name} {', '.join(f.where)}" for f in result.findings if f.name in ALARMS]
    if wrong or result.status == "fail":
        return "alarm", "; ".join(wrong) or "the whole vector", ()
    if result.status == "pass":
        return "clear", "", ()
    live = {k for k in case.exact if np.any(case.exact[k]) or np.any(claimed[k])}
    doubts = [f for f in result.findings if _unmeasurable(f) and live.intersection(f.where)]
    if doubts:
        why = "; ".join(f"{f.name} {', '.join(f.where)}" for f in doubts)
        where = dict.fromkeys(name for f in doubts for name in f.where)
        return "cannot say", why, tuple(where)
    if not any(_unmeasurable(f) or f.name in OF_THE_POINT for f in result.findings):
        return "alarm", "the whole vector", ()
    return "warned", ", ".join(sorted({f.name for f in result.findings})), ()


def _unmeasurable(finding: Finding) -> bool:
    displaced = finding.name == "kink" and finding.evidence.get("displaced") is True
    return finding.name in CANNOT_SAY or displaced


def _beyond(result: Result, case: Case, claimed: Arrays) -> float:
    worst = 0.0
    for block in result.blocks:
        name = block.name
        error = relative_error({name: claimed[name]}, {name: case.exact[name]})
        if error > result.settings["tol"]:
            worst = max(worst, error / max(block.uncertainty, np.finfo(float).tiny))
    return worst


def _covered(result: Result, case: Case) -> int:
    """Entries whose error bar holds the exact derivative, at a kink one between the two slopes."""
    covered = 0
    for entry in result.worst:
        name, at = entry.parameter, entry.index
        low = high = float(case.exact[name][at])
        if name in case.kinks and case.kinks[name][at]:
            low, high = (float(side[at]) for side in case.one_sided[name])
        bar = entry.uncertainty + float(case.exact_error[name][at])
        covered += low - bar <= entry.numeric <= high + bar
    return covered

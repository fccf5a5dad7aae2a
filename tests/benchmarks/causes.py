"""Which cause is reported for which mistake, in models whose gradients are derived by hand.

A mistake of a named kind is to be named, in the parameters in which it was made and nowhere else;
of the others no cause is known, and whatever is claimed must be literally true of the right
gradient.  In exhaustive and in probe mode, which works on wider models.
"""

from __future__ import annotations

import copy
import os
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from by_hand import (
    HELD_BACK_MISTAKES,
    HELD_BACK_MODELS,
    MODELS,
    Mistake,
    Model,
    digits,
    mistakes,
    synthetic,
)
from by_hand.slips import slips
from tables import parser, publish, table, versions

import pytest_gradcheck.api as api
from pytest_gradcheck import Finding, Result, check

SIZES = {"exhaustive": (11, 5, 4, 4), "probe": (30, 8, 6, 20)}
"""Samples, side of the images, classes, width."""
_ABOUT_CAUSES = """
sign factor mean-for-sum transposed reversed rolled swapped not-written partly-written
l2-missing l2-extra l1-missing l1-extra accumulated stale low-precision upstream
"""
ABOUT_CAUSES = tuple(_ABOUT_CAUSES.split())
Arrays = Mapping[str, np.ndarray]


@dataclass
class Counts:
    """What was said of mistakes, kind by kind, and of right gradients."""

    kinds: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    of_right: int = 0
    said_of_right: int = 0
    extra: int = 0

    def total(self, outcome: str, named: bool | None = None) -> int:
        chosen = (
            c for c in self.kinds.values() if named is None or bool(c["of a named kind"]) == named
        )
        return sum(c[outcome] for c in chosen)


class Counted:
    """Evaluations of the loss that explaining a check takes.

    The count is the class's: what the model holds is put back after a check.
    """

    calls = 0

    def __init__(self, model: Model) -> None:
        self.spent, loss = 0, model.loss

        def counted(X: Any, y: Any) -> float:
            Counted.calls += 1
            return loss(X, y)

        model.loss = counted  # type: ignore[method-assign]

    def __call__(self, explain: Callable[[Any], list[Finding]]) -> Callable[[Any], list[Finding]]:
        def explained(situation: Any) -> list[Finding]:
            before = Counted.calls
            found = explain(situation)
            self.spent = Counted.calls - before
            return found

        return explained


def checked(model: Model, X: Any, y: Any, mode: str) -> tuple[Result, int]:
    """A check, and the evaluations of the loss that its findings took."""
    counted, own = Counted(model), api.explain
    api.explain = counted(own)  # type: ignore[assignment]
    try:
        return check(model, X, y, mode=mode), counted.spent
    finally:
        api.explain = own


def cases(
    builds: Mapping[str, Callable[..., Model]], mode: str, seeds: int
) -> Iterator[tuple[str, Model, Any, Any, list[Mistake]]]:
    """Models at a random point, and their mistakes."""
    m, side, k, width = SIZES[mode]
    for name, build in builds.items():
        for seed in range(seeds):
            rng = np.random.default_rng([seed, len(name)])
            model = build(rng, side, k, width)
            model.shake(rng)
            X, y = synthetic(rng, m, side, k)
            yield name, model, X, y, list(mistakes(copy.deepcopy(model), X, y, rng))


def run(
    builds: Mapping[str, Callable[..., Model]],
    mode: str,
    seeds: int,
    wanted: Callable[[str], bool],
) -> Counts:
    counts = Counts()
    for name, model, X, y, seeded in cases(builds, mode, seeds):
        right = model.grads(X, y)
        result, extra = checked(copy.deepcopy(model), X, y, mode)
        counts.of_right += 1
        if result.status != "pass" or result.findings:
            counts.said_of_right += 1
            print(f"  {name}: right: {result.status} {[f.message for f in result.findings]}")
        for mistake in seeded:
            if not wanted(mistake.kind):
                continue
            wrong = copy.deepcopy(model)
            mistake.seed(wrong)
            claimed = copy.deepcopy(wrong).grads(X, y)
            if _same(claimed, right):
                continue
            result, extra = checked(wrong, X, y, mode)
            counts.extra = max(counts.extra, extra)
            said = [f for f in result.findings if f.name in ABOUT_CAUSES]
            if result.status == "pass" and _passes(claimed, right):
                continue  # low precision that tol allows
            outcome = judged(mistake, said, model, right, claimed)
            counts.kinds[mistake.kind][outcome] += 1
            counts.kinds[mistake.kind]["of a named kind"] += bool(mistake.names)
            if outcome not in ("right", "nothing, rightly"):
                print(f"  {name}: {mistake.kind}: {outcome}: {result.status}"
                      f" {[f.message[:150] for f in result.findings]}", flush=True)  # fmt: skip
    return counts


def judged(
    mistake: Mistake, said: Sequence[Finding], model: Model, right: Arrays, claimed: Arrays
) -> str:
    """What the findings of one mistake are worth."""
    slip = mistake.kind in dict(slips(model))
    if any(
        not is_true(f, model, right, claimed, slip) and f.name not in mistake.names for f in said
    ):
        return "wrong"
    if not mistake.names:
        return "true" if said else "nothing, rightly"
    if not said:
        return "nothing"
    told = {name for f in said for name in f.where}
    off = {k for k in right if not _near(claimed[k], right[k], 1e-5)}
    if {f.name for f in said} <= mistake.names and (off <= told or not off):
        return "right"
    return "right of a part" if {f.name for f in said} <= mistake.names else "true"


def is_true(finding: Finding, model: Model, right: Arrays, claimed: Arrays, slip: bool) -> bool:
    """Whether what a finding says holds of the right gradient.

    That it went wrong on its way back is true only of a slip in the derivation.
    """
    if finding.name == "upstream":
        rest = [name for name in right if name not in finding.where]
        return slip and all(_near(claimed[name], right[name], 1e-9) for name in rest)
    for name in finding.where:
        g, true, theta = claimed[name], right[name], model.params[name]
        said = finding.evidence
        if finding.name in ("sign", "factor", "mean-for-sum"):
            part = said.get("penalty", 0.0) * theta
            proposed = (g - part) / said["factor"] + part
        elif finding.name.startswith("l2"):
            proposed = g - said["constant"] * theta
        elif finding.name.startswith("l1"):
            proposed = g - said["constant"] * np.sign(theta)
        elif finding.name == "not-written":
            proposed = true if not g.any() else g
        elif finding.name == "partly-written" and "entries" in said:
            proposed = np.where(g == 0, true, g)
        else:
            return False
        if "size" in said:  # a statement about the entries that are wrong, alone
            proposed = np.where(np.abs(g - true) <= 1e-5 * np.max(np.abs(true)), g, proposed)
        if not _near(proposed, true, 1e-4):
            return False
    return True


def _near(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    largest = np.max(np.abs(b)) or 1.0
    return bool(np.all(np.abs(a - b) <= tolerance * largest))


def _passes(claimed: Arrays, right: Arrays) -> bool:
    return all(
        np.linalg.norm(claimed[k] - right[k]) <= 2e-7 * np.linalg.norm(right[k]) for k in right
    )


def _same(a: Arrays, b: Arrays) -> bool:
    largest = max(np.max(np.abs(v)) for v in b.values())
    return all(np.max(np.abs(a[k] - b[k])) <= 1e-9 * largest for k in b)


def by_kind(counts: Counts) -> str:
    rows = []
    for kind, c in counts.kinds.items():
        if c["of a named kind"]:
            others = c["true"] + c["right of a part"]
            rows.append((kind, c["right"], others, c["nothing"], c["wrong"]))
    head = ["mistake of a named kind", "named", "in part, or by another true name", "nothing said",
            "wrong"]  # fmt: skip
    named = table(head, rows)
    rows = [
        (kind, c["nothing, rightly"], c["true"], c["wrong"])
        for kind, c in counts.kinds.items()
        if not c["of a named kind"]
    ]
    return f"{named}\n\n{table(['other mistake', 'nothing said', 'true', 'wrong'], rows)}"


def overview(all_counts: Mapping[str, Counts]) -> str:
    rows = []
    for title, c in all_counts.items():
        named = c.total("of a named kind")
        mutants = sum(c.total(o, n) for o in OUTCOMES for n in (True, False))
        right, wrong = c.total("right", True), c.total("wrong")
        rows.append(
            (
                title,
                f"{right} of {named}, {100 * right / max(named, 1):.1f} %",
                f"{wrong} of {mutants}, {100 * wrong / max(mutants, 1):.1f} %",
                f"{c.said_of_right} of {c.of_right}",
                c.extra,
            )
        )
    head = ["", "named rightly (goal: 95 %)", "wrong claims (goal: < 1 %)",
            "right gradients of which something is said",
            "most evaluations for findings (goal: 20)"]  # fmt: skip
    return table(head, rows)


OUTCOMES = ("right", "nothing", "nothing, rightly", "wrong", "true", "right of a part")


RATES = {"Poisson regression": 0.003, "sigmoid, squared error": 0.001}
"""Of losses that are summed over the samples, or bend more than the others."""


def healthy() -> str:
    """Findings on models for the digits, at He initialisation and after training."""
    X, y = digits()
    rows = []
    for name, build in {**MODELS, **HELD_BACK_MODELS}.items():
        rng = np.random.default_rng(5)
        model = build(rng, 8, 10, 16)
        row = [name]
        for steps in (0, 300):
            model.train(X, y, steps=steps, rate=RATES.get(name, 0.05), rng=rng)
            result = check(model, X[:64], y[:64], mode="probe")
            findings = ", ".join(f.name for f in result.findings) or "none"
            row.append(f"{findings} ({result.status})")
            if result.findings:
                print(f"  {name}: {[f.message for f in result.findings]}")
        rows.append(row)
    return table(["model", "at He initialisation", "after training"], rows)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=1, help="random points of each model")
    options.add_argument("--modes", nargs="*", choices=SIZES, default=list(SIZES))
    options.add_argument("--only", nargs="*", help="models, by the beginning of their names")
    options.add_argument("--mistakes", nargs="*", help="likewise kinds of mistakes")
    options.add_argument("--held-back", action="store_true", help="include what was held back")
    options.add_argument("--healthy", action="store_true", help="only right gradients, on digits")
    given = options.parse_args()
    warnings.simplefilter("ignore")
    kinds, starts = tuple(given.mistakes or [""]), tuple(given.only or [""])

    def tuned(kind: str) -> bool:
        return kind not in HELD_BACK_MISTAKES and kind.startswith(kinds)

    def chosen(builds: Mapping[str, Any]) -> dict[str, Any]:
        return {name: build for name, build in builds.items() if name.startswith(starts)}

    for mode in () if given.healthy else given.modes:
        counts = {"tuned on": run(chosen(MODELS), mode, given.seeds, tuned)}
        if given.held_back:
            counts["mistakes held back"] = run(
                chosen(MODELS), mode, given.seeds, HELD_BACK_MISTAKES.__contains__
            )
            counts["models held back"] = run(
                chosen(HELD_BACK_MODELS), mode, given.seeds, lambda kind: True
            )
        text = f"## Causes in {mode} mode\n\n{overview(counts)}"
        for title, c in counts.items():
            text += f"\n\n{title[0].upper() + title[1:]}:\n\n{by_kind(c)}"
        publish(f"causes {mode}", f"{text}\n\n{versions('numpy')}.", write=given.write)
    if not given.only:
        text = f"## Findings on right gradients of the digits\n\n{healthy()}"
        publish("causes healthy", text, write=given.write)


if __name__ == "__main__":
    main()

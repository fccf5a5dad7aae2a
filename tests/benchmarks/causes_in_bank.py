"""Which cause is reported for errors of every kind in the bank, with every entry measured.

Whatever is claimed must be literally true of the exact gradient; of right ones nothing is said.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from bank import Case
from bank.base import HELD_OUT, TUNING, Arrays, Grads, build, drafts
from tables import parser, publish, table

from pytest_gradcheck import Finding
from pytest_gradcheck.adapters import adapt, as_subject
from pytest_gradcheck.core.by_entry import by_entry
from pytest_gradcheck.core.judge import judge_block, point_findings
from pytest_gradcheck.core.measured import Measured
from pytest_gradcheck.core.point import inspect_point
from pytest_gradcheck.errors import SubjectError
from pytest_gradcheck.findings.causes import causes
from pytest_gradcheck.findings.evidence import MeasuredEvidence
from pytest_gradcheck.findings.sizes import Size, sizes_of
from pytest_gradcheck.settings import Settings

EXPECTED = {
    "sign": "sign",
    "block-sign": "sign",
    "factor-2": "factor",
    "factor-half": "factor",
    "factor-m": "mean-for-sum|factor",
    "factor-1/m": "mean-for-sum|factor",
    "block-factor": "factor",
    "smallest-block-10%": "factor",
    "zero-block": "not-written",
    "low-precision": "low-precision",
    "wrong-l2": "l2-extra",
    "swapped-blocks": "swapped",
    "reversed": "reversed",
    "rolled": "rolled",
    "transposed": "transposed",
    "partly-written": "partly-written",
    "column": "partly-written",
}
"""What the mutants of the bank that belong to a named kind ought to be called."""


BY_KIND = ("transposed", "reversed", "rolled", "swapped", "low-precision")
"""Causes whose truth is judged by the kind of the mutant."""
REARRANGED = ("transposed", "reversed", "rolled", "swapped-blocks", "swapped-entries")
"""Of two entries, say, these are the same."""


def measured(case: Case, grads: Grads) -> list[Measured]:
    """Every entry of the gradient of `case`, by the exhaustive mode of the core."""
    params = {name: values.copy() for name, values in case.params.items()}
    settings = Settings()
    subject, args = as_subject(None, (), {"loss": case.loss, "grads": grads, "params": params})
    problem = adapt(subject, args, settings)
    with problem.preserved() as (state, saved), np.errstate(all="ignore"):
        point = inspect_point(problem, settings, state, saved)
        return by_entry(problem, point, settings, state, saved, 0).blocks


def evidence_of(blocks: Sequence[Measured], case: Case) -> list[MeasuredEvidence]:
    settings = Settings()
    doubted = {
        name
        for f in point_findings(blocks, settings)
        if f.name == "wrong-entry"
        for name in f.where
    }
    return [
        MeasuredEvidence(
            block,
            np.asarray(case.params[block.parameter.name], float).reshape(-1),
            wrong=judge_block(block, settings).status != "pass" or block.parameter.name in doubted,
        )
        for block in blocks
    ]


def explain(case: Case, grads: Grads) -> tuple[list[Finding], set[str]]:
    """Causes reported, and the parameters found wrong."""
    found = evidence_of(measured(case, grads), case)
    sizes = [Size(case.batch, "the number of samples", batch=True)] if case.batch else []
    sizes += sizes_of(list(case.params), [np.shape(v) for v in case.params.values()])

    return causes(found, sizes=sizes), {e.name for e in found if e.wrong}


def is_true(finding: Finding, case: Case, claimed: Arrays) -> bool:
    """Whether what a finding says holds for the exact gradient."""
    exact = {k: np.asarray(v, float) for k, v in case.exact.items()}

    def near(name: str, proposed: np.ndarray) -> bool:
        off = np.abs(np.asarray(proposed, float) - exact[name])
        largest, said = np.max(np.abs(exact[name])), np.max(np.abs(claimed[name]))
        allowed = 1e-4 * largest + 1e-6 * said + case.exact_error[name]
        return bool(np.all((off <= allowed) | case.kinks.get(name, False)))

    for name in finding.where:
        g, theta = np.asarray(claimed[name], float), np.asarray(case.params[name], float)
        said = finding.evidence
        if finding.name in ("sign", "factor", "mean-for-sum"):
            part = said.get("penalty", 0.0) * theta
            true = near(name, (g - part) / said["factor"] + part)
        elif finding.name.startswith("l2"):
            true = near(name, g - said["constant"] * theta)
        elif finding.name.startswith("l1"):
            true = near(name, g - said["constant"] * np.sign(theta))
        elif finding.name == "not-written":
            true = not g.any() and bool(exact[name].any())
        elif finding.name == "partly-written":
            true = near(name, np.where(g == 0, exact[name], g)) and not near(name, g)
        elif finding.name in BY_KIND:
            true = True
        else:
            true = False
        if not true:
            return False
    return True


def bank(half: str, step: int) -> str:
    """Errors of every kind in the bank, and its right gradients."""
    reported: dict[str, Counter[str]] = defaultdict(Counter)
    for family, its_half, draft in list(drafts(half, None))[::step]:
        case = build(family, its_half, draft)
        try:
            found, wrong = explain(case, case.grads)
        except SubjectError:
            continue
        reported["(right gradient)"][_said(found)] += 1
        if found:
            print(f"  {case.name}: {[f.message for f in found]}")
        for mutant in case.mutants():
            try:
                found, wrong = explain(case, mutant.grads)
            except SubjectError:  # a gradient of what the loss does not read
                continue
            claimed = mutant.grads(case.params)
            named = EXPECTED.get(mutant.kind, "").split("|")
            rearranged = mutant.kind in REARRANGED
            false = [
                f
                for f in found
                if not is_true(f, case, claimed)
                or (f.name not in named and f.name in BY_KIND and not rearranged)
            ]
            if false:
                outcome = "false"
                print(f"  {mutant.name}: {[f.message for f in false]}")
            elif found and {f.name for f in found} <= set(named):
                outcome = "right"
            elif found:
                outcome = _said(found)
            else:
                outcome = "nothing" if wrong else "not flagged"
                if named != [""] and wrong:
                    print(f"  {mutant.name} ({mutant.relative_error:.0e}): nothing, {wrong}")
            reported[mutant.kind][outcome] += 1
    rows = [
        (kind, c["right"], c["nothing"], c["not flagged"], c["false"], _others(c))
        for kind, c in sorted(reported.items())
    ]
    head = ["error", "named", "nothing said", "not flagged", "false", "true, another name"]
    return table(head, rows)


def _said(found: Sequence[Finding]) -> str:
    return "+".join(sorted({f.name for f in found})) or "nothing"


def _others(counts: Counter[str]) -> str:
    known = ("right", "nothing", "not flagged", "false")
    return ", ".join(f"{k} {n}" for k, n in counts.most_common() if k not in known)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--half", choices=[TUNING, HELD_OUT], default=TUNING)
    options.add_argument("--step", type=int, default=1, help="only every n-th case of the bank")
    given = options.parse_args()
    warnings.simplefilter("ignore")
    publish(f"causes {given.half}", bank(given.half, given.step), write=given.write)


if __name__ == "__main__":
    main()

"""Probes of large gradients: cost, exactness, detection, localisation, own time and memory.

Whatever is random follows from the number of a trial: ``--only localisation:17`` runs one again.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from multiprocessing import get_context
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}

from cases_at_large import (
    ACTIVATIONS,
    AT_LARGE,
    BATCH,
    CASES,
    DECAY,
    PATIENCE,
    WIDTHS,
    TooLongError,
    ask,
    run_case,
    subject_of,
)
from costs_at_large import OF_OUTCOMES, cells, flatness, own, progress
from mutants_at_large import (
    ERRORS,
    PER_FUNCTION,
    detect,
    detect_one,
    function_of,
    is_claimed_wrong,
    right_of,
)
from peers import Verdict
from sparse_at_large import Localisation, localise, localise_one
from tables import parser, publish, table, versions

from pytest_gradcheck import Result

DETECTIONS, LOCALISATIONS = 10_000, 1_000
QUICK = 10


def cases(seeds: int) -> str:
    """Every case of the large network, with each activation."""
    rows, failed = [], []
    for number, case in enumerate(CASES):
        row: list[object] = []
        for activation in ACTIVATIONS:
            outcomes = []
            for seed in range(seeds):
                outcomes.append(run_case(*subject_of(activation, case, seed), seed)[0])
                if not outcomes[-1].exact:
                    only = f"cases:{activation}-{number}-{seed}"
                    failed.append(f"* `--only {only}`: {case.name}: {outcomes[-1].told}")
                progress(f"{case.name}, {activation}, seed {seed}")
            row += cells(outcomes)
        rows.append((case.name, *row, case.goal, case.prototype))
    columns = [f"{activation}: {what}" for activation in ACTIVATIONS for what in OF_OUTCOMES]
    n = sum(a * b + b for a, b in pairwise(WIDTHS))
    return "\n\n".join(
        [
            f"## A network of {n:,} parameters, {seeds} networks each",
            table(["", *columns, "goal", "prototype had"], rows),
            f"NumPy, {'-'.join(map(str, WIDTHS))}, cross-entropy of {BATCH} samples, L2 of"
            f" {DECAY:g}, biases of 0.1; another network, mistake and seed of the check every"
            " time. Evaluations: median (largest). Exact: just what is wrong is reported, as the"
            " entries or as the regions that it is, and nothing that is right. The textbook's loop"
            f" would take {2 * n:,} evaluations.",
            *(["Not exact:", "\n".join(failed)] if failed else []),
        ]
    )


def peers() -> str:
    """The same cases, one network each, put to those who look along random directions."""
    verdicts = {}
    for case in CASES:
        for activation in ACTIVATIONS:
            verdicts[case.name, activation] = ask(subject_of(activation, case, 0)[0])
            progress(f"peers: {case.name}, {activation}")
    rows = []
    for peer in AT_LARGE:
        said = [[verdicts[case.name, a][peer] for a in ACTIVATIONS] for case in CASES]
        rows.append((peer, *(" / ".join(map(_said, pair)) for pair in said)))
    return "\n\n".join(
        [
            "The peers on the first network of each case (tanh / ReLU), with their evaluations:",
            table(["", *(case.name for case in CASES)], rows),
            "Each at its defaults; `check_grad` gives a number and no verdict: the customary 1e-6"
            " relative to max(1, ‖g‖) is the threshold. An alarm says that something is wrong, not"
            f" where. †: goes on to measure every entry, stopped after {PATIENCE:,} evaluations."
            f" {versions('numpy', 'scipy', 'torch', 'jax', 'autograd')}.",
        ]
    )


def _said(verdict: Verdict) -> str:
    stopped = verdict.raised == TooLongError.__name__
    raised = f" ({verdict.raised})" if verdict.raised and not stopped else ""
    return f"{'alarm' if verdict.alarm else 'silent'}{raised} {verdict.evaluations}{'†' * stopped}"


def detection(count: int, processes: int) -> str:
    """Random wrong gradients of many kinds, against the bound on the right one."""
    functions = -(-count // PER_FUNCTION)
    start, alarms, trials = time.perf_counter(), [], []
    for right, found in _spread(detect, functions, processes):
        alarms += [right] if right.status == "fail" or is_claimed_wrong(right) else []
        trials += found
        progress(f"detection: {len(trials)} of {count}")
    tried = [t for t in trials if t.ratio >= 10]
    missed = [t for t in tried if not t.detected]
    kinds = {kind: [t for t in tried if t.kind == kind] for kind in ERRORS}
    rows = [
        (
            kind,
            len(of),
            f"{min(t.ratio for t in of):.0f} to {max(t.ratio for t in of):.0e}",
            sum(t.detected for t in of),
            sum(t.status == "pass" for t in of),
            statistics.median_high([t.evaluations for t in of]),
        )
        for kind, of in kinds.items()
        if of
    ]
    families = len({t.family for t in tried})
    return "\n\n".join(
        [
            f"## Detection: {len(tried) - len(missed):,} of {len(tried):,} wrong gradients"
            " (goal: all)",
            table(["kind", "tried", "× the bound", "detected", "passed", "evaluations"], rows),
            f"{functions:,} smooth functions of {families} families, of 1e3 to 1e5 parameters in 3"
            f" to 6 blocks; claims of a discrepancy in their right gradients: {len(alarms)}."
            " The bound is what the check of the right gradient reports: relative error plus"
            " uncertainty, block by block. Where an error's size is free, that of the worst block"
            " is log-uniform between 10 and 1e4 times the bound for it (at most 0.3, where the"
            " bound is poor). Detected: the report claims a discrepancy, that is, a block that"
            " does not pass, a relative error whose error bar excludes zero, an entry listed with"
            " an error beyond its bar, or a finding of something wrong; a warning of a poor point"
            " does not count. Passed: of those, below"
            f" the tolerance all the same. Median of evaluations. Too small in any draw, and left"
            f" out: {len(trials) - len(tried)}. {time.perf_counter() - start:.0f} s.",
            *_listed(
                f"* `--only detection:{t.number}`: {t.family}, {t.kind}, {t.ratio:.3g} × the bound"
                for t in missed
            ),
        ]
    )


def localisation(count: int, processes: int) -> str:
    """Random wrong gradients with a few wrong entries."""
    start, trials = time.perf_counter(), []
    for trial in _spread(localise, count, processes):
        trials.append(trial)
        progress(f"localisation: {len(trials)} of {count}")
    rows = [
        _localised(label, [t for t in trials if t.family == label])
        for label in sorted({t.family for t in trials})
    ]
    rows.append(_localised("all", trials))
    wrong = [t for t in trials if not t.exact]
    header = ["", "trials", "exact", "entries", "not listed", "of these overlooked"]
    header += ["listed, but right", "evaluations"]
    return "\n\n".join(
        [
            f"## Localisation: {len(trials) - len(wrong):,} of {len(trials):,} exact (goal: all)",
            table(header, rows),
            "Overlooked: larger than what the report leaves open for the block (relative error and"
            " uncertainty); where the noise of the loss hides smaller ones, the report says so."
            " 1 to 20 wrong entries, each by 1e-6 to 1 (log-uniform) of the norm of its block:"
            " anywhere, in one block, in one row, next to each other, or equal with alternating"
            " signs; of functions of 1e3 to 2e4, one in ten of 1e5, one in twenty of 1e6"
            " parameters. Listed: in `worst` with an error beyond its error bar, or in a region"
            " said to be wrong; such a region counts as listed but right if one entry in it is."
            " Evaluations: median, and per wrong entry."
            f" {time.perf_counter() - start:.0f} s.",
            *_listed(f"* `--only localisation:{t.number}`: {t}" for t in wrong),
        ]
    )


def _localised(label: str, trials: list[Localisation]) -> tuple[object, ...]:
    entries = sum(len(t.wrong) for t in trials)
    evaluations = statistics.median_high([t.evaluations for t in trials])
    each = sum(t.evaluations for t in trials) / entries
    return (
        label,
        len(trials),
        sum(t.exact for t in trials),
        entries,
        sum(len(t.missed) for t in trials),
        sum(len(t.overlooked) for t in trials),
        sum(len(t.false) for t in trials),
        f"{evaluations} ({each:.0f})",
    )


def _listed(lines: Iterator[str]) -> list[str]:
    found = "\n".join(lines)
    return ["To be looked at:", found] if found else []


def _spread(function: Callable[[int], Any], count: int, processes: int) -> Iterator[Any]:
    """``function(0), function(1), ...``, in the order in which they are done."""
    with get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(function, range(count))


def one(only: str) -> None:
    """A single trial, with all that was reported."""
    kind, number = only.split(":")
    result: Result | None
    if kind == "cases":
        activation, case, seed = number.split("-")
        trial: object
        trial, result = run_case(*subject_of(activation, CASES[int(case)], int(seed)), int(seed))
    elif kind == "detection":
        function = int(number) // PER_FUNCTION
        subject, right = function_of(function), right_of(function)
        trial, result = detect_one(int(number), subject, right)
    else:
        trial, result = localise_one(int(number))
    print(trial)
    if result is not None:
        print(*result.blocks, *result.worst, *result.findings, sep="\n")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--quick", action="store_true", help=f"one trial in {QUICK} only")
    options.add_argument("--only", metavar="KIND:NUMBER", help="one trial, as named in a table")
    options.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    options.add_argument("--seeds", type=int, default=10, help="networks of each case")
    options.add_argument("--processes", type=int, default=2)
    given = options.parse_args()
    if given.only:
        return one(given.only)
    if given.quick and given.write:
        options.error("--quick is for a first look: what is written is measured on all trials")
    part = QUICK if given.quick else 1
    for name in given.parts:
        text = PARTS[name](max(1, given.seeds // part), part, given.processes)
        publish(f"probes {name}", text, write=given.write)
    return None


PARTS: dict[str, Callable[[int, int, int], str]] = {
    "cases": lambda seeds, _, __: cases(seeds),
    "peers": lambda _, __, ___: peers(),
    "flatness": lambda seeds, _, __: flatness(max(1, seeds // 3)),
    "own": lambda seeds, _, __: own(seeds),
    "detection": lambda _, part, processes: detection(DETECTIONS // part, processes),
    "localisation": lambda _, part, processes: localisation(LOCALISATIONS // part, processes),
}

if __name__ == "__main__":
    main()

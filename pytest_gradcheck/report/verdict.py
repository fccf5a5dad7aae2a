"""The verdict on a check: in one line, and in the few that begin its report."""

from __future__ import annotations

import math

from ..core.result import DOUBTED, Block, Entry, Finding, Result
from ..values import ALLOWABLE
from .cells import TIE, Line, Span, harmless, line, listed, paragraph

CAUSES = (
    "accumulated",
    "stale",
    "not-written",
    "sign",
    "factor",
    "mean-for-sum",
    "swapped",
    "transposed",
    "reversed",
    "rolled",
    "l2-missing",
    "l2-extra",
    "l1-missing",
    "l1-extra",
    "partly-written",
    "upstream",
    "wrong-region",
)
"""Findings that say why a gradient is wrong, the ones that say most first."""
NO_CAUSES = frozenset((*DOUBTED, *ALLOWABLE, "search-ended")) - {*CAUSES}
"""Findings about the check; all others, those of third parties too, are about the gradient."""


def causes(result: Result) -> list[Finding]:
    """What is said of the gradient, the most telling first."""
    found = [finding for finding in result.findings if finding.name not in NO_CAUSES]
    rank = {name: place for place, name in enumerate(CAUSES)}
    return sorted(found, key=lambda finding: rank.get(finding.name, len(CAUSES)))


def doubts(result: Result) -> list[Finding]:
    """Findings with which a check does not pass, but for those allowed and `causes`."""
    allowed = result.settings.get("allow", ())
    return [
        f for f in result.findings if f.name in DOUBTED and f.name in NO_CAUSES.difference(allowed)
    ]


def wrong(result: Result) -> list[Block]:
    return [block for block in result.blocks if block.status != "pass"]


def headline(result: Result) -> str:
    """One line that can stand alone: what is wrong, where, by how much."""
    said = [finding for finding in causes(result) if finding.where]
    doubted = sorted(doubts(result), key=lambda finding: finding.name != "not-finite")
    if doubted and (doubted[0].name == "not-finite" or not (wrong(result) or said)):
        return f"{doubted[0].name}: {harmless(doubted[0].message)}"
    errors = [_or_infinite(b.relative_error) for b in wrong(result)] or [result.relative_error]
    error = f"relative error {max(errors):.1e}"
    if said:
        return f"{said[0].name} in {listed(said[0].where, 3)}, {error}"
    if not wrong(result):
        return f"{result.status}, relative error {_error(result)}"
    where = listed([block.name for block in wrong(result)], 3)
    worst = f": {_worst(result.worst[0])}" if result.worst else ""
    return f"{_word(result)} in {where}, {error}{worst}"


def _or_infinite(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _word(result: Result) -> str:
    """``wrong``, ``not finite``, ``suspect`` or ``imprecise``."""
    if any(finding.name == "not-finite" for finding in result.findings):
        return "not finite"
    return "wrong" if result.status == "fail" else judgement(result).rpartition(", ")[2]


def _worst(entry: Entry) -> str:
    digits = _telling_digits(entry)
    return (
        f"{harmless(entry.label)} is {entry.analytic:.{digits}g},"
        f" measured {entry.numeric:.{digits}g}"
    )


def _telling_digits(entry: Entry) -> int:
    """Digits at which two numbers differ, and one more."""
    if not 0 < entry.relative_error < 1:
        return 4
    return min(12, max(4, 2 + math.ceil(-math.log10(entry.relative_error))))


def opening(result: Result, width: int | None) -> list[Line]:
    """The verdict with its error bar and thresholds, and where it is wrong."""
    kind = f"{_word(result)}, " if ", " in judgement(result) else ""
    tol, fail = (result.settings.get(*of) for of in (("tol", 1e-7), ("fail", 1e-3)))
    thresholds = f"(tol {tol:.0e}, fail {fail:.0e})".replace(" ", TIE)
    first = f"{result.title}: {kind}relative error {_error(result)} {thresholds}"
    rows = paragraph(first, width, label=result.status.upper())
    label, text = Span(rows[0][:7], result.status), Span(rows[0][7:], "strong")
    lines = [line(label, text), *(line(Span(row, "strong")) for row in rows[1:])]
    where = _where(result)
    return lines + [line(row) for row in paragraph(where, width) if where]


def short(result: Result) -> str:
    """The verdict of a warning: what, where, by how much; pytest says beside it that it is one."""
    off = [block.name for block in wrong(result)]
    if not off:
        said = [*causes(result), *doubts(result)]
        return f"{result.title}: " + (said[0].message if said else _error(result))
    error = f"relative error {_error(result)}"
    return f"{result.title}: {_word(result)} in {listed(off)}, {error}"


def cost(result: Result, width: int | None) -> list[Line]:
    """What was looked at, and what that took."""
    entries, parameters = _count(result.size, "entry"), _count(len(result.blocks), "parameter")
    probes = " by random directions" if result.by_probes else ""
    evaluations = _count(result.evaluations, "evaluation")
    text = f"{entries} in {parameters}{probes}, {evaluations}, {result.seconds:.2g}{TIE}s"
    return [line(Span(row, "faint")) for row in paragraph(text, width)]


def _count(number: int, thing: str) -> str:
    if number == 1:
        return f"1{TIE}{thing}"
    return f"{number:,}{TIE}{thing[:-1]}ies" if thing.endswith("y") else f"{number:,}{TIE}{thing}s"


def _where(result: Result) -> str:
    """Which parameters are off, which are not, and the worst of them."""
    off, count = wrong(result), len(result.blocks)
    failed = [block.name for block in off if block.status == "fail"]
    doubted = [block.name for block in off if block.status != "fail"]
    right = [block.name for block in result.blocks if block.status == "pass"]
    said = [f"{_word(result)} in {listed(failed)}"] if failed else []
    word = "suspect" if failed else _word(result)
    said += [f"{word} in {listed(doubted)}"] if doubted else []
    if not said:
        return ""
    if len(failed or doubted) == count > 1:
        said[-1] += f" (all {count})"
    elif right:
        said.append(f"right in {listed(right) if len(right) <= 4 else f'{len(right)} of {count}'}")
    worst = max(off, key=lambda block: _or_infinite(block.relative_error))
    if count > 1 and math.isfinite(worst.relative_error):
        error = measured(worst.relative_error, worst.uncertainty)
        said[-1] += f"; worst in {worst.name}: {error}"
    return ", ".join(said)


def _error(result: Result) -> str:
    if result.by_probes and result.status == "pass":
        return f"at most {result.bound:.1e} with confidence {_sure(result.confidence)}"
    return measured(result.relative_error, result.uncertainty)


def _sure(confidence: float) -> str:
    """``1 - 1e-06``, or ``0.99`` where that can be read."""
    return f"{confidence:g}" if confidence < 0.999 else f"1 - {1 - confidence:.0e}"


def judgement(result: Result) -> str:
    """``fail``, ``warn``, ``warn, suspect``, ``warn, imprecise`` or ``pass``."""
    if result.status != "warn":
        return result.status
    if any(finding.name.startswith("wrong-") for finding in result.findings):
        return "warn, suspect"
    if not wrong(result):
        return "warn"
    worst = max(block.relative_error for block in result.blocks)
    return "warn, suspect" if worst >= result.settings.get("warn", 1e-5) else "warn, imprecise"


def measured(value: float, uncertainty: float) -> str:
    """``1.20e-05 ± 3e-09``."""
    if not uncertainty or not math.isfinite(value):
        return f"{value:.2e}"
    return f"{value:.2e} ± {uncertainty:.0e}" if math.isfinite(uncertainty) else f"{value:.2e} ± ?"


def advice(result: Result) -> str:
    """What to do where no cause is known: look at what wrong parameters have in common."""
    off = [block.name for block in wrong(result)]
    right = [block.name for block in result.blocks if block.status == "pass"]
    if not off or len(result.blocks) == 1:
        return ""
    if not right:
        return "none of the known ones; look at what the gradients of all parameters go through"
    agree = f"{listed(right)} {'agrees' if len(right) == 1 else 'agree'}"
    if len(off) == 1:
        return f"none of the known ones; {agree}, so look at what belongs to {listed(off)} alone"
    return f"none of the known ones; {agree}, so look at what only the others go through"

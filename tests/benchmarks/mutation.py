"""Mutation testing of our own core: ``mutation.py settings core.rungs``; ``--sample 300`` of all.

Mutants are made by cosmic-ray's operators (`pip install cosmic-ray`).  Each lives in a process of
its own and meets the tests that enter its function, the fastest first.  That process is forked
where these are collected already, and puts the mutant's code in the place of that of the module's
own functions; what is not inside a function is imported anew, before pytest is.  Nothing is written
into the sources.  For systems that fork.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.abc import MetaPathFinder, SourceLoader
from itertools import accumulate, zip_longest
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
sys.path[:0] = [str(HERE), str(ROOT / "tests"), str(ROOT)]

import hypothesis.extra.numpy  # noqa: E402, F401  (so that no mutant spends its time on it)
import pytest  # noqa: E402
from cosmic_ray.ast import ast_nodes, get_ast  # noqa: E402
from cosmic_ray.mutating import mutate_code  # noqa: E402
from cosmic_ray.plugins import get_operator, operator_names  # noqa: E402
from tables import parser, publish, table, versions  # noqa: E402

LEFT_OUT = ("__init__", "spread", "workers")
"""Modules of the core that act in other processes: these would import them as they are."""
MODULES = [
    *("settings", "values", "session", "returned"),
    *(
        f"core.{path.stem}"
        for path in sorted((ROOT / "pytest_gradcheck" / "core").glob("*.py"))
        if path.stem not in LEFT_OUT
    ),
]
FILES = [
    *(
        "measurement",
        "evidence",
        "costs",
        "kinks",
        "verdict",
        "jumps",
        "averaging",
        "accepted_forms",
    ),
    *("probes", "search", "prober", "probing", "by_probe"),
    *("batch", "metamorphic", "errors", "safety", "real_objects", "functions"),
    *("adapters_with_mistakes", "progress", "result", "report", "findings_shown", "points"),
    *("causes", "health", "first_mistakes", "options_of_peers", "settings", "plugin"),
    *("command_line", "study", "pictures", "rungs", "formulas", "surroundings"),
]
"""The files of tests that they meet."""
ELSEWHERE = "workers or xdist or torch or jax or line_appears"
"""Tests in other processes and of other packages: slow, and few of them meet the mutant."""
SPENT = 20.0
"""Seconds of tests that one mutant meets, the fastest of those that enter its function first."""
ANYWHERE = {
    "frozen=False": "nothing assigns to a record; that nothing can is for those who read",
    "strict=False": "both are equally long; `strict` would tell a mistake of ours",
    "repr=True": "what a repr shows is for those who read",
    ") -> float: ...": "a protocol is for type checkers",
    ") -> bool: ...": "a protocol is for type checkers",
    ") -> NDArray[np.intp]: ...": "a protocol is for type checkers",
    "reshape(~1": "NumPy works out any negative length",
    "reshape([~1": "NumPy works out any negative length",
    "reshape([- 2": "NumPy works out any negative length",
    "reshape(moved.size, - 2": "NumPy works out any negative length",
    "reshape(- 2": "NumPy works out any negative length",
    "reshape( - 2": "NumPy works out any negative length",
}
"""Parts of lines that change nothing in whatever module they are, and why."""
EXPLAINED: dict[str, dict[str, str]] = {
    "core.exhaustive": {
        "i, x, began = ~1, 0.0, time.perf_counter()": "below zero as well",
    },
    "core.atoms": {
        "return np.argpartition(values, ~count)[-count:]": (
            "those beyond the next largest are the same"
        ),
        "if len(values) < count:": "the largest three of three are all of them, in any order",
        "whole = {r: axes[ -1].sum(axis=1) for r, axes in sums.items()}": (
            "the sum over all axes, whichever is the last"
        ),
        "cosine = np.abs(y @ scaled) / np.where(length >= 0, length, np.inf)": (
            "all weights of an entry are zero once in 2^48 entries"
        ),
        "return np.argpartition(values, -count)[not count:]": (
            "all are looked at, not the largest alone: a cost"
        ),
        "cosine = np.abs(y @ scaled) / np.where(length > -1, length, np.inf)": (
            "all weights of an entry are zero once in 2^48 entries"
        ),
    },
    "core.batch": {
        (
            "size = np.where(theta == 0, np.max(np.abs(theta), initial=0.0) or 2.0, np.abs(theta))"
        ): "a batch is compared at some place beside the point: any will do",
        "self.points = max(1, moved.size // 5)": (
            "how much smaller a batch is tried where memory ran out: a cost"
        ),
        "apart = NARROW * rounding if rounding >= 1e-10 else APART": "no precision is of that",
        "MEMORY = 65 * 2**20": "the memory that a batch may take has no sharp bound",
        "ASIDE = (1.0, +0.7)": "a batch is compared at some places beside the point: any will do",
        "ASIDE = (1.0, 0.7)": "a batch is compared at some places beside the point: any will do",
        "ASIDE = (1.0, not 0.7)": "the same at one place beside it, and twice at the point",
        "NARROW = 999.0": "a bound on rounding in another order has no third digit",
        "moved.append(p.round(theta - t * STEP * size * rng.uniform(0.5, 1.0, theta.size)))": (
            "the places beside the point, on the other side"
        ),
        (
            "size = np.where(theta == 0, np.max(np.abs(theta), initial= -1.0) or 1.0,"
            " np.abs(theta))"
        ): "no magnitude is negative; where there is none, nothing is moved",
        "rng = np.random.default_rng( 1)": "the same",
        (
            "off = np.abs(together - alone) > apart * np.max(np.abs(alone)) + 9 * self.jitter"
        ): "nine or ten times what two evaluations at one point differ by: as good",
        (
            "off = np.abs(together - alone) > apart * np.max(np.abs(alone)) + 11 * self.jitter"
        ): "eleven or ten times, likewise",
    },
    "core.directions": {
        "if found.kink or not math.isfinite(found.uncertainty - known):": (
            "finite where both are, as their sum"
        ),
    },
    "core.displaced": {
        "bound = claimed / 2 * min(1.0, there.scale / (here.scale or 2.0))": (
            "where claim and measurement are zero, so is what the claim is off"
        ),
        "rng = np.random.default_rng([seed, 0])": "any displacement will do",
    },
    "core.by_probe": {
        "unlocated = max(left, default= -1.0) / (2 * math.sqrt(len(moved.parameters)))": (
            "of nothing is told as little as of zero"
        ),
        "claimed, numeric = block.claimed_norm, -1.0 if block.vanishes else block.numeric_norm": (
            "as small beside the claim as zero is"
        ),
        "return any(error.value >= settings.tol for error in errors)": (
            "no float is at that very bound"
        ),
        (
            'if finding.name != "wrong-region" or any(error.low >= settings.tol for error in'
            " errors):"
        ): "likewise",
        "TYPICAL = 31": "about how many evaluations workers would share: a cost",
    },
    "core.certifier": {
        ("if certificate.clean and self.warn <= relative_error < self.warn / PATIENT:"): (
            "no float is at that very bound"
        ),
        ("if certificate.clean and self.warn < relative_error <= self.warn / PATIENT:"): "likewise",
        "rows += itertools.islice(self.rows, wanted + len(rows))": "more rows than are used",
    },
    "core.climbing": {
        "TRIED = 7": "entries examined before the first step of the rest is trusted: as good",
        "CLEAR = 9.0": "nine or ten times what ladders know: as good",
    },
    "core.dense": {
        "if len(axes) < 1 or entry.block in self.slices:": (
            "a slice of a vector is the entry itself, which is no two entries"
        ),
        "WIDESPREAD, GLANCE = 2, 2": (
            "parameters wrong throughout from which on others are not searched, two or three: a"
            " bound on the cost"
        ),
    },
    "core.derivative": {
        "if abs(self.value - claim) >= self.sure:": (
            "equal only where the error bar is zero, and nothing hides in it then"
        ),
    },
    "core.descent": {
        "falls = k <= min(ladder.rungs)": "the next step is none of those that were taken",
        (
            "if bottom > ladder.lowest and SIGMAS * finest.sigma * RATIO / finest.step <= known"
            " / 2:"
        ): "no two such floats are equal",
        "is_long = best is not None and best.step >= LONG * ladder.longest": (
            "no step is at that very bound"
        ),
        (
            "stalled |= not falls and best is not None and best.uncertainty >= GAIN * known"
        ): "no two such floats are equal",
        "drowned = found.noise > DROWNED * found.uncertainty >= DROWNED * enough": (
            "no two such floats are equal"
        ),
        "drowned = found.noise >= DROWNED * found.uncertainty > DROWNED * enough": "likewise",
        "RUNGS = 13": "one step more along a direction where twelve were not enough: a cost",
    },
    "core.differences": {
        "if abs(rung.jump) >= abs(jump) / 2 > SIGMAS * math.sqrt(6) * rung.sigma / rung.step": (
            "no two such floats are equal"
        ),
        "if SIGMAS * ladder.noise < 11 * target * ladder.longest:": (
            "whether steps or windows are tried first, where either will do: a cost"
        ),
        "if SIGMAS * ladder.noise < 9 * target * ladder.longest:": "the same",
        "if SIGMAS * ladder.noise <= 10 * target * ladder.longest:": "the same",
        "floor = max(ladder.noise / 3, ROUNDING * abs(ladder.base))": (
            "a third or a quarter of the noise: as far as the residuals of a fit may be small by"
            " chance, which has no sharp bound"
        ),
        "floor = max(ladder.noise / 5, ROUNDING * abs(ladder.base))": "likewise, a fifth",
        "drowned = found.noise >= DROWNED * found.uncertainty": "no two such floats are equal",
        (
            "truncation = max(abs(value - table[k][j - 2]), abs(value - table[k - 1][j - 1]))"
        ): "of the two the other neighbour is the further off: by Neville's rule, 4 times or more",
        "found, tested = _measured(ladder, claim, target, enough, points), -1.0": (
            "no step is negative, and 0 is told apart beside it"
        ),
        "for k in range( 0, len(rungs)):": "over the first alone there is no extrapolation",
        "if abs(rung.jump) > abs(jump) / 2 >= SIGMAS * math.sqrt(6) * rung.sigma / rung.step": (
            "no two such floats are equal"
        ),
        "if not found.contradicts(claim) or found.step in ( -1.0, tested):": (
            "a look below a step of zero finds nothing, and ends as well"
        ),
        "if found.sure >= max(enough, DECIDED * abs(found.value - claim)):": (
            "an error bar is not equal to the one aimed at"
        ),
        (
            "while longest >= narrowest and SIGMAS * floor / math.sqrt(FEW) < longest * found.sure:"
        ): "one narrower window is tried: a cost",
    },
    "core.evaluators": {
        "elsewhere: bool = True,": "what is handed to workers, which are other processes",
        "workers, problem, moved, point, settings, evaluations=2 / size, elsewhere=elsewhere": (
            "whether workers that are merely offered are worth their start: a cost"
        ),
    },
    "core.first_step": {
        "unit=self.goals.whole or 2.0,": "where all claims are zero, any unit will do",
        "agree = error < noise + claim_rounding + self.goals.bars(claim)": (
            "two sums of floats are never equal but where both are zero, which is settled otherwise"
        ),
    },
    "core.fit": {
        "slopes = [_solve(odd[: p + 1], self.odd, 0, self.floor) for p in range(TERMS + 3)]": (
            "one more is solved than looked at: a cost"
        ),
        "return 2.0": "of residuals that are all zero, however many count as one",
        "STAIRS = 33": "likewise, 32 or 33",
        "STAIRS = 31": "31 or 32 steps of stairs: no sharp bound between them and noise",
        (
            "jumps = [_solve(even[: p + 2], self.even, 1, self.floor) for p in range(TERMS + 1)]"
        ): "one more is solved than looked at: a cost",
        "odd = [x ** (2 * i + 1) for i in range(TERMS + 3)]": "likewise",
        "return abs(self.jump) / 2 if abs(self.jump) < self.jump_chance else 0.0": (
            "no two such floats are equal"
        ),
        "even = [np.ones_like(x), *(x ** max(1, 2 * i) for i in range(TERMS + 1))]": "likewise",
    },
    "core.tied": {
        "if array.flags.c_contiguous and array.flags.f_contiguous:": (
            "the addresses of others are looked at as well: a cost"
        ),
    },
    "core.view": {
        "for low, high, starts in _pieces(columns, 2)": (
            "how many entries are worked on at a time: a cost"
        ),
        "unit = scale or 2.0": "by which nothing but zeros is divided",
        "if rows == 0:": "a vector is worked on as a single row, all at once: a cost",
    },
    "core.jumps": {
        "return abs(float(WEIGHTS @ np.array(slopes)) - slope - step_off) >= abs(step_off) / 2": (
            "no two such floats are equal"
        ),
        "_GAUSS = np.polynomial.legendre.leggauss( 6)": "one node more of a quadrature: a cost",
        "same = sum(abs(value - slope) < difference / 2 for value in local) > len(places) / 2": (
            "no two such floats are equal"
        ),
        "PLACES = (0.37, -0.71, -0.09999999999999998, -0.23, 0.59)": (
            "slopes are taken at some places along the way: any will do"
        ),
        "if any(abs((at(t) - here) / t - claim) >= difference / 2 for t in (h, -h)):": (
            "no two such floats are equal"
        ),
        "SHRINK = 39": "a secant of 1e-24 of the scale, or of four times that",
        "SHRINK = 41": "a secant of 1e-24 of the scale, or of a quarter of it",
    },
    "core.ladder": {
        (
            "truncation=max(abs(value - central[k][j - 0]), abs(value - central[k - 1][j - 1])),"
        ): "of the two the other neighbour is the further off: by Neville's rule, 4 times or more",
        (
            "+ max(abs(jump[k][j] - jump[k][j - 0]), abs(jump[k][j] - jump[k - 1][j - 1])),"
        ): "the same",
        "if math.isfinite(fine - coarse):": "finite where both are, as their sum",
        "for k in range( 0, len(rungs)):": "over the first alone there is no extrapolation",
        "return - 999": "a thousand rungs are more than floats have room for",
        "return - 1001": "the same",
        "return max(~1000, math.floor(math.log(last, RATIO) - math.log(first, RATIO)))": (
            "the same"
        ),
        "return max(- 999, math.floor(math.log(last, RATIO) - math.log(first, RATIO)))": (
            "the same"
        ),
        "return max(- 1001, math.floor(math.log(last, RATIO) - math.log(first, RATIO)))": (
            "the same"
        ),
        "return ~1000": "the same",
    },
    "core.noise": {
        (
            "lowest = max(lowest, float(np.ptp(values)) / math.sqrt(12) if widened else -1.0)"
        ): "no noise is negative",
        "return Table(min(levels[ 3:5]), accepted=False)": (
            "the last of them is the least where none is accepted"
        ),
        "return Table(min(levels[ 1:5]), accepted=False)": "the same",
        "if min(three) >= 0 and max(three) <= 4 * min(three) and mixed[k]:": (
            "differences of both signs are not all zero"
        ),
    },
    "core.how_wrong": {
        "if any(least < 2 * limit and limit < typical for limit in (self.tol, self.fail)):": (
            "no float is at that very bound"
        ),
        "if any(least <= 2 * limit and limit <= typical for limit in (self.tol, self.fail)):": (
            "likewise"
        ),
    },
    "core.judge": {
        "entry = _entry(block, max(wrong, key=lambda single: single.error), -1.0)": (
            "its share is not told"
        ),
        'return grade(error.low, settings) == "pass" and error.high < settings.warn': (
            "no error bar ends at that very bound"
        ),
        "if high < 0.5:": "no float is at that very bound",
    },
    "core.line": {
        "lengths: Array = np.random.default_rng( 1).uniform(0.5, 1.5, claim.size)": (
            "any lengths of that range will do"
        ),
    },
    "core.locate": {
        "shown = abs(expected) >= measured.uncertainty": "no two such floats are equal",
        "if not shown or off >= measured.uncertainty + RELATIVE * abs(expected):": "likewise",
        "MOST_ROWS = 7": "rows read before a part is halved, one less: a cost",
        "MOST_ROWS = 9": "the same, one more",
        "while len(candidates) > CANDIDATES and len(part.readings) <= MOST_ROWS:": "the same",
        "count = -(~EXAMPLES // len(errors))": "four examples bear a pattern out, not three",
    },
    "core.measure": {
        "drowned = self.blocks[i].claimed.size >= FEW and self._bound([i])": (
            "parameters of three entries are asked along random directions: a cost"
        ),
        "FEW = 4": "parameters of four entries climb: a cost",
        "ELSEWHERE = 9.0": "eight or nine roundings of all parameters: as good",
        "FEW = 2": "parameters of three entries are asked along random directions: a cost",
        "tried = [*worst, *self.rng.permutation(rest)[: TRIED * 2]]": (
            "more entries are tried: a cost"
        ),
        "right = np.isfinite(bars[tried]) & (off < bars[tried] + known)": (
            "no two such floats are equal"
        ),
        "worst, rest = left[: TRIED // 2], left[TRIED // 1 :]": (
            "fewer entries are tried before the first step of the others is trusted; where that is"
            " too soon, random directions contradict it: a cost"
        ),
        "SOME = 33": "the same",
        (
            "level = -1.0 if np.any(known <= bars[tried]) else float(np.min(known, initial=np.inf))"
        ): "no error is negative",
        "blocks[ -1].unsettle()": "of one block the first is the last",
        "self.tol, self.warn, self.rng, self.budget = tol, warn, rng, -1.0": "`run` says how many",
        "if count and reached >= 2 * goal * block.scale:": "no two such floats are equal",
        "SOME = 31": "how often it is asked whether to go on: a cost",
        "return self._left >= 0": "one entry more or less in a budget of 50,000 evaluations",
    },
    "core.measured": {
        "return own if own <= MIXED * whole else whole": "no float is at that very bound",
        "far = np.flatnonzero(error >= np.maximum(10 * self.bar, least))": (
            "each of them is looked at once more"
        ),
        " left out before @property": "the first of a protocol, which is for type checkers",
        "@property left out before def is_finite(self) -> bool: ...": "likewise",
        "if 1.0 < plain < math.inf:": "scaled by the largest: the same norm by another way",
        "OWN, COMMON = 16, 9": "roundings of a sum of unknown length: eight or nine, a convention",
    },
    "core.probes": {
        "self._last = Direction(seed, 1, (), ())": "no direction that is asked for has no regions",
        "self._last = Direction(seed, -1, (), ())": "the same",
        "if found.kink and abs(found.left - found.right) < rounding:": (
            "no two such floats are equal"
        ),
        (
            "if 0 < abs(theta) <= found.step and not agrees_at(ladder, FIRST_STEP * abs(theta),"
            " found):"
        ): "no step is as long as that very entry",
    },
    "core.probed": {
        "numeric: float = -1.0": "no norm is below that of what is believed",
        "typical = 4 * min(self.most, 1e+300) / math.sqrt(max(self.claimed.size, 1))": (
            "the same number"
        ),
    },
    "core.probing": {
        "continue": "nothing changes any more in the rounds that are left",
        "budget = SEARCH if certificate.typical / 2 >= self.tol else LITTLE": (
            "no float is at that very bound"
        ),
        "if groups and (reach >= ample or reach > APART * self.prober.reach(groups[-1][0])):": (
            "no float is at that very bound"
        ),
    },
    "core.region": {
        "order = sorted(range(len(lengths)), key=lambda axis: ~lengths[axis])": "the same order",
        "PIECE = 1 << 16": "how many entries are worked on at a time: a cost",
        "PIECE = 1 << 18": "the same",
        "PIECE = 2 << 17": "the same",
    },
    "core.rungs": {
        "top, bottom = max(rungs, default=0), min(rungs, default= 1)": (
            "not used where there is no rung"
        ),
        "if may_rise and (best.noise >= best.truncation + abs(best.jump) / 2 or not may_fall):": (
            "no two such floats are equal"
        ),
        "if best.uncertainty < target:": "an error bar is not equal to the one aimed at",
        "MOST = 23": "the last of two dozen rungs, where none before it was enough: a cost",
        "top, bottom = max(rungs, default=0), min(rungs, default= -1)": (
            "not used where there is no rung"
        ),
        "top, bottom = max(rungs, default= -1), min(rungs, default=0)": (
            "not used where there is no rung"
        ),
    },
    "core.situation": {
        "parameter.write(parameter.round(theta - size * step))": "a move to the other side",
        "rng, other = np.random.default_rng(0), np.random.default_rng( 2)": "any two will do",
        "return self.point.claim() if change >= CURVED * abs(before) else None": (
            "no float is at that very bound"
        ),
    },
    "returned": {
        (
            "def _refuse(item: Any, why: str | SettingsError, /, at_its_end: bool = False)"
            " -> NoReturn:"
        ): "callers name it",
        "value = returned[ -1] if returned else None": "of one the first is the last",
    },
    "settings": {
        (
            'return f"; did you mean {close[ -1]!r}?" if close else f"; the settings are'
            " {', '.join(NAMES)}\" / "
        ): "of one match",
        (
            'return f"; did you mean {close[ -1]!r}?" if close else f"; the settings are'
            " {', '.join(NAMES)}\""
        ): "of one the first is the last",
    },
    "core.wavering": {
        "least: float = -1.0,": "no spacing is negative",
    },
    "core.weights": {
        "for _ in range( 59):": "a bracket has long been halved to two neighbouring floats",
        "for _ in range( 61):": "the same",
        "words: NDArray[np.uint64] = source.random_raw(-(-size // 3))": (
            "more is drawn than is used: a cost"
        ),
        "words: NDArray[np.uint64] = source.random_raw(-(-size * 4))": "the same",
        "low, high = float(count), 2 * count - 3 * log_risk": "the bracket still holds the root",
        "low, high = float(count), 2 * count - 5 * log_risk": "the same",
        "low, high = float(count), 1 * count - 4 * log_risk": "the same",
        "low, high = float(count), 3 * count - 4 * log_risk": "the same",
    },
}
"""Survivors that were looked at, by module and changed line, and why no test is to see them."""


def reason(module: str, line: str) -> str | None:
    """Why a survivor is equal in effect, if it is."""
    anywhere = (why for part, why in ANYWHERE.items() if part in line)
    if line == "/," or " /, " in line:
        return "callers name these arguments"
    return EXPLAINED.get(module, {}).get(line) or next(anywhere, None)


SWAPS = (
    *("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "Pow_Mul", "FloorDiv_Mul", "Mod_Mul", "Lt_LtE"),
    *("LtE_Lt", "Gt_GtE", "GtE_Gt", "Lt_GtE", "GtE_Lt", "LtE_Gt", "Gt_LtE", "Eq_NotEq", "NotEq_Eq"),
    *("Is_IsNot", "IsNot_Is"),
)
"""One replacement for each operator, and both sides of each bound: not every pair there is."""
NEEDY = ("VariableInserter", "VariableReplacer")
"""Operators that want to be told names."""
NOT_MET = 99
"""Exit status of a process in which the mutant was not what the tests imported."""
OURS = str(ROOT / "pytest_gradcheck")
SAID, KILLER, RECORD = (Path(tempfile.mkdtemp()) / name for name in ("said", "killer", "record"))
"""What the last tests said, the one that failed, and what is known of all of them."""
LIMIT = 60
"""Seconds of computing after which a mutant counts as killed: it does not end."""


def positions(source: str) -> Iterator[tuple[str, int]]:
    """Every place for a mutation: the name of its operator, and which of its places."""
    nodes = list(ast_nodes(get_ast(source)))
    for name in sorted(operator_names()):
        short = name.removeprefix("core/")
        is_swap = short.startswith(("ReplaceBinaryOperator", "ReplaceComparisonOperator"))
        if short in NEEDY or (is_swap and short.partition("_")[2] not in SWAPS):
            continue
        places = get_operator(name)().mutation_positions
        for i in range(sum(len(list(places(node))) for node in nodes)):
            yield name, i


def mutant(source: str, name: str, which: int) -> tuple[int, str, str]:
    """Number of the first changed line, the changed lines, and the whole module with them."""
    changed = mutate_code(source, get_operator(name)(), which)
    old, new = source.split("\n"), changed.split("\n")
    lines = list(difflib.unified_diff(old, new, n=0, lineterm=""))
    shown = [line[1:].strip() for line in lines if line[:1] == "+" and line[:3] != "+++"]
    first = next(i for i, (a, b) in enumerate(zip_longest(old, new), 1) if a != b)
    gone = f"{old[first - 1].strip()} left out before {old[first].strip()}"
    return first, " / ".join(shown) or gone, changed


@dataclass(frozen=True)
class Mutant:
    """A module with one thing changed: by what, in which line, and how that line is now."""

    module: str
    name: str
    number: int
    line: str
    source: str


class Mutated(MetaPathFinder, SourceLoader):
    """Imports one module from another source."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self.name, self.path, self.source = name, path, source

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)

    def get_filename(self, name: str) -> str:
        return str(self.path)

    def get_data(self, path: str) -> bytes:
        return self.source.encode()

    def path_stats(self, path: str) -> Any:
        raise OSError("not to be cached")


class Recorder:
    """Which functions of ours every test enters, and how long it takes."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[float, dict[str, list[str]]]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[Any]:
        entered: set[CodeType] = set()
        began = time.process_time()
        sys.setprofile(lambda frame, event, _: event == "call" and entered.add(frame.f_code))
        try:
            return (yield)
        finally:
            sys.setprofile(None)
            where: dict[str, list[str]] = {}
            for code in entered:
                if code.co_filename.startswith(OURS):
                    name = code.co_filename.removeprefix(OURS)
                    where.setdefault(name, []).append(code.co_name)
            self.seen[item.nodeid] = (time.process_time() - began, where)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            raise SystemExit(f"{report.nodeid} fails without any mutation: {report.longreprtext}")

    def pytest_sessionfinish(self) -> None:
        before = json.loads(RECORD.read_text()) if RECORD.exists() else {}
        RECORD.write_text(json.dumps(before | self.seen))


class Chosen:
    """Runs some tests, in order, and says which was the first to fail."""

    def __init__(self, tests: list[str]) -> None:
        self.order = {test: i for i, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid in self.order]
        items.sort(key=lambda item: self.order[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            KILLER.write_text(report.nodeid)


@cache
def recorded() -> dict[str, tuple[float, dict[str, list[str]]]]:
    """By test: how long it takes, and by file the names of the functions that it enters."""
    found: dict[str, tuple[float, dict[str, list[str]]]] = json.loads(RECORD.read_text())
    return found


def tests_of(path: Path, line: int) -> list[str]:
    """Tests that enter the function at a line, fastest first.

    Those that enter the module, where it is in none, or in one that is called at import alone.
    """
    functions = [
        (node.lineno, node.name)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        and min([node.lineno, *(d.lineno for d in node.decorator_list)]) <= line
        and line <= (node.end_lineno or 0)
    ]
    inner = max(functions, default=(0, None))[1]
    chosen, others = [], []
    for test, (took, entered) in recorded().items():
        names = entered.get(str(path).removeprefix(OURS), ())
        if names:
            (others if inner and inner not in names else chosen).append((took, test))
    chosen = chosen or others
    total = accumulate(took for took, _ in sorted(chosen))
    return [test for (_, test), spent in zip(sorted(chosen), total, strict=True) if spent < SPENT]


def quietly(limit: int) -> None:
    """End after so many seconds of computing; what is said goes to a file."""
    import signal

    signal.setitimer(signal.ITIMER_PROF, limit)
    # a shell hands a process in the background no Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    said = os.open(SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)


def tests_with(name: str, files: list[str], plugin: Any) -> int:
    """Run pytest, with one module and then all others imported."""
    os.chdir(ROOT)
    plain = ["-x", "-q", "-s", "--no-header", "-k", f"not ({ELSEWHERE})"]
    plain += ["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly"]
    # before pytest, whose own importer would pass the mutant by
    for module in [name, *MODULES]:
        importlib.import_module(f"pytest_gradcheck.{module}")
    for loaded in ("pytest_gradcheck", "hypothesis", "_hypothesis_globals"):
        sys.modules[loaded].__doc__ = "PYTEST_DONT_REWRITE"  # nor is it to complain of that
    return int(pytest.main([*plain, *files], plugins=[plugin]))


def run(name: str, loader: Mutated | None, files: list[str], plugin: Any) -> int:
    """Exit status of pytest in a process of its own."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1
    quietly(LIMIT if loader else 0)
    if loader:
        sys.meta_path.insert(0, loader)
    try:
        status = tests_with(name, files, plugin)
        module = sys.modules.get(f"pytest_gradcheck.{name}")
        met = loader is None or getattr(module, "__loader__", None) is loader
        os._exit(status if met else NOT_MET)
    finally:
        os._exit(1)


def killed(module: str, path: Path, source: str, line: int) -> str | None:
    """The test that fails with this source, if any does."""
    tests = tests_of(path, line)
    if not tests:
        return None
    KILLER.write_text("import")
    files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
    loader = Mutated(f"pytest_gradcheck.{module}", path, source)
    status = run(module, loader, files, Chosen(tests))
    if status == NOT_MET:
        raise SystemExit(f"{module}: its tests ran with another source")
    return KILLER.read_text() if status else None


def can_be_put_in(path: Path, line: int) -> bool:
    """Whether a line is inside a function, or gives a value to a name of the module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = any(
        isinstance(node, ast.FunctionDef) and node.body[0].lineno <= line <= (node.end_lineno or 0)
        for node in ast.walk(tree)
    )
    constants = (
        node for node in tree.body if isinstance(node, ast.Assign) and path.stem != "settings"
    )
    return inside or any(node.lineno <= line <= (node.end_lineno or 0) for node in constants)


def put_in(module: ModuleType, source: str) -> None:
    """Give the functions and constants of a module, wherever they are known, what a source has."""
    new = ModuleType(module.__name__)
    new.__package__, new.__file__ = module.__package__, module.__file__
    own = sys.modules[module.__name__]
    sys.modules[module.__name__] = new  # dataclasses look there
    exec(compile(source, str(module.__file__), "exec"), vars(new))
    sys.modules[module.__name__] = own
    for name, value in vars(new).items():
        before = vars(module).get(name)
        if name.startswith("__") or before is value:
            continue
        if isinstance(before, type) and before.__module__ == module.__name__:
            for attribute, inner in vars(value).items():
                replace_code(vars(before).get(attribute), inner)
        elif not replace_code(before, value) and not isinstance(before, type):
            for known in [module, *importers(module.__name__.rpartition(".")[2], name)]:
                setattr(known, name, value)


@cache
def importers(stem: str, name: str) -> list[ModuleType]:
    """The modules that hold a name of another one, of which `stem` is the last part."""
    found = []
    for known in list(sys.modules.values()):
        file = getattr(known, "__file__", None) or ""
        if not file.startswith(str(ROOT)) or not file.endswith(".py"):
            continue
        nodes = ast.walk(ast.parse(Path(file).read_text(encoding="utf-8")))
        taken = (node for node in nodes if isinstance(node, ast.ImportFrom))
        of = (node.names for node in taken if (node.module or "").rpartition(".")[2] == stem)
        if any(alias.name == name for names in of for alias in names):
            found.append(known)
    return found


def replace_code(old: Any, new: Any) -> bool:
    """Let a function, property, or the like do what another does; False where it is none."""
    if isinstance(old, FunctionType) and isinstance(new, FunctionType):
        if hasattr(old, "__wrapped__"):
            return replace_code(old.__wrapped__, new.__wrapped__)
        old.__code__ = new.__code__
        return True
    for inner in ("fget", "func", "__func__"):
        if hasattr(old, inner) and hasattr(new, inner):
            return replace_code(getattr(old, inner), getattr(new, inner))
    return False


class Trial:
    """Puts mutants in, one after the other, where the tests are collected."""

    def __init__(
        self, mutants: Iterable[Mutant], said: Callable[[Mutant, str | None], None]
    ) -> None:
        self.mutants, self.said = mutants, said

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        for mutant in self.mutants:
            path, _ = source_of(mutant.module)
            tests = [items[test] for test in tests_of(path, mutant.number) if test in items]
            self.said(mutant, self.killer(mutant, tests) if tests else None)
        return True

    def killer(self, mutant: Mutant, tests: list[pytest.Item]) -> str | None:
        KILLER.write_text("import")
        child = os.fork()
        if child:
            return KILLER.read_text() if os.waitpid(child, 0)[1] else None
        try:
            quietly(LIMIT)
            put_in(sys.modules[f"pytest_gradcheck.{mutant.module}"], mutant.source)
            for test, after in zip_longest(tests, tests[1:]):
                KILLER.write_text(test.nodeid)
                failed = test.session.testsfailed
                test.config.hook.pytest_runtest_protocol(item=test, nextitem=after)
                if test.session.testsfailed > failed:
                    os._exit(1)
            os._exit(0)
        finally:
            os._exit(1)


def source_of(module: str) -> tuple[Path, str]:
    path = ROOT / "pytest_gradcheck" / f"{module.replace('.', '/')}.py"
    return path, path.read_text(encoding="utf-8")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("modules", nargs="*", default=MODULES)
    options.add_argument("--sample", type=int, help="so many mutants of all, drawn at random")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--record", type=Path, help="where to keep what tests enter")
    given = options.parse_args()
    places = [(m, *place) for m in given.modules for place in positions(source_of(m)[1])]
    chosen = random.Random(given.seed).sample(places, min(given.sample or len(places), len(places)))
    global RECORD
    RECORD = given.record or RECORD
    known = {test.partition("::")[0] for test in recorded()} if RECORD.exists() else set()
    files = [path for name in FILES if (path := f"tests/test_{name}.py") not in known]
    if files and run("settings", None, files, Recorder()):
        raise SystemExit(SAID.read_text(encoding="utf-8")[-3000:])
    recorded.cache_clear()
    mutants = []
    for module, name, which in chosen:
        number, line, changed = mutant(source_of(module)[1], name, which)
        mutants.append(Mutant(module, name.removeprefix("core/"), number, line, changed))
    tried, dead, equal, left = Counter[str](), Counter[str](), Counter[str](), []

    def said(one: Mutant, killer: str | None) -> None:
        tried[one.module] += 1
        dead[one.module] += killer is not None
        what = "killed" if killer else "SURVIVED"
        print(what, f"{one.module}:{one.number}", one.name, one.line, killer or "", flush=True)
        if not killer:
            why = reason(one.module, one.line)
            equal[one.module] += why is not None
            left.append(f"* `{one.module}`: `{one.line}`: {why or 'not yet killed'}")

    inside = {one: can_be_put_in(source_of(one.module)[0], one.number) for one in mutants}
    for one in (one for one in mutants if not inside[one]):
        said(one, killed(one.module, source_of(one.module)[0], one.source, one.number))
    trial = Trial([one for one in mutants if inside[one]], said)
    tests_with("settings", [f"tests/test_{name}.py" for name in FILES], trial)
    rows = [
        (f"`{m}`", tried[m], dead[m], equal[m], tried[m] - dead[m] - equal[m])
        for m in sorted(tried)
    ]
    sums = [sum(column) for column in zip(*(row[1:] for row in rows), strict=True)]
    share = 100 * sums[1] / max(sums[0] - sums[2], 1)
    head = ("module", "mutants", "killed", "equal in effect", "survived")
    text = "\n\n".join(
        [
            f"## Mutants of our own core: {share:.0f} % killed (goal: ≥ 95 %)",
            f"{len(chosen)} of {len(places)} mutants, drawn at random.",
            table(head, [*rows, ("**in all**", *sums)]),
            "Those that survived, and why:",
            "\n".join(sorted(left)) or "none.",
            f"`python tests/benchmarks/mutation.py --sample {len(chosen)} --seed {given.seed}"
            f" --write`. {versions('cosmic-ray', 'numpy')}.",
        ]
    )
    publish("mutation", text, write=given.write)


if __name__ == "__main__":
    main()

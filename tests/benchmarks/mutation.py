"""Mutation testing of our own core: ``mutation.py settings core.rungs``; ``--sample 300`` of all.

Mutants are made by cosmic-ray's operators (`pip install cosmic-ray`).  Each is imported in a
process of its own, forked where pytest and NumPy are loaded already, and meets the tests that cover
its module.  Nothing is written into the sources.  For systems that fork.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from importlib.abc import MetaPathFinder, SourceLoader
from pathlib import Path
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

MEASURED = ["kinks", "verdict", "jumps", "averaging", "accepted_forms"]
PROBED = ["probes", "batch", "metamorphic"]
SUBJECTS = ["accepted_forms", "errors", "safety", "real_objects", "functions"]
MANY = ["batch", "probes", "progress"]
SHOWN = ["result", "verdict", "report", "findings_shown", "points"]
TESTS: dict[str, list[str]] = {
    "settings": ["settings", "plugin", "command_line"],
    "values": ["settings", "command_line"],
    "session": ["plugin", "command_line", "report", "points"],
    "core.gradients": ["adapters_with_mistakes", *SUBJECTS],
    **dict.fromkeys(
        (
            f"core.{m}"
            for m in (
                *("cancelled", "climb", "differences", "direction", "directions", "displaced"),
                *("exhaustive", "fit", "jumps", "ladder", "line", "measure", "measured", "noise"),
                *("by_entry", "rungs"),
            )
        ),
        MEASURED,
    ),
    **dict.fromkeys(
        (
            f"core.{m}"
            for m in (
                *("atoms", "belief", "by_probe", "certificate", "locate", "located", "probed"),
                *("probes", "probing", "region", "weights"),
            )
        ),
        PROBED,
    ),
    **dict.fromkeys(
        (
            f"core.{m}"
            for m in (
                *("loss", "parameters", "point", "problem", "put_back", "reach", "state"),
                *("structure", "tied"),
            )
        ),
        SUBJECTS,
    ),
    **dict.fromkeys(
        (f"core.{m}" for m in ("check", "judge", "result", "situation", "study", "view")), SHOWN
    ),
    "core.batch": MANY,
    "core.evaluators": MANY,
}
"""Modules, and the files of tests that cover each.  What runs in the processes of an executor is
left out: they would import it as it is."""
EXPLAINED: dict[str, dict[str, str]] = {}
"""Survivors that were looked at, by module and changed line, and why no test can see them."""
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
SAID = Path(tempfile.mkdtemp()) / "said.txt"
"""What the last tests said."""
LIMIT = 400
"""Seconds after which a mutant counts as killed: it does not end."""


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


def mutant(source: str, name: str, which: int) -> tuple[str, str]:
    """The changed lines, and the whole module with them."""
    changed = mutate_code(source, get_operator(name)(), which)
    lines = difflib.unified_diff(source.split("\n"), changed.split("\n"), n=0, lineterm="")
    shown = [line[1:].strip() for line in lines if line[:1] == "+" and line[:3] != "+++"]
    return " / ".join(shown), changed


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


def killed(name: str, path: Path, source: str, tests: list[str]) -> bool:
    """Whether the tests fail with this source."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == NOT_MET:
            raise SystemExit(f"{name}: its tests ran with another source")
        return status != 0
    import signal

    signal.alarm(LIMIT)
    # a shell hands a process in the background no Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    said = os.open(SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    loader = Mutated(name, path, source)
    sys.meta_path.insert(0, loader)
    os.chdir(ROOT)
    plain = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly"]
    files = [str(ROOT / f"tests/test_{t}.py") for t in tests]
    try:
        importlib.import_module(name)  # before pytest, whose own importer would pass the mutant by
        for loaded in ("pytest_gradcheck", "hypothesis", "_hypothesis_globals"):
            sys.modules[loaded].__doc__ = "PYTEST_DONT_REWRITE"  # nor is it to complain of that
        status = int(pytest.main([*plain, *files]))
        met = getattr(sys.modules.get(name), "__loader__", None) is loader
        os._exit(status if met else NOT_MET)
    finally:
        os._exit(1)


def source_of(module: str) -> tuple[Path, str]:
    path = ROOT / "pytest_gradcheck" / f"{module.replace('.', '/')}.py"
    return path, path.read_text(encoding="utf-8")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("modules", nargs="*", default=list(TESTS))
    options.add_argument("--sample", type=int, help="so many mutants of all, drawn at random")
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    places = [(m, *place) for m in given.modules for place in positions(source_of(m)[1])]
    chosen = random.Random(given.seed).sample(places, min(given.sample or len(places), len(places)))
    for module in {tuple(TESTS[module]): module for module, *_ in chosen}.values():
        if killed(f"pytest_gradcheck.{module}", *source_of(module), TESTS[module]):
            print(SAID.read_text(encoding="utf-8")[-3000:])
            raise SystemExit(f"{module}: its tests fail without any mutation")
    tried, dead, equal, left = Counter[str](), Counter[str](), Counter[str](), []
    for module, name, which in chosen:
        path, source = source_of(module)
        line, changed = mutant(source, name, which)
        began = time.perf_counter()
        end = killed(f"pytest_gradcheck.{module}", path, changed, TESTS[module])
        tried[module] += 1
        dead[module] += end
        took = f"{time.perf_counter() - began:.0f} s"
        print(
            "killed" if end else "SURVIVED",
            module,
            name.removeprefix("core/"),
            line,
            took,
            flush=True,
        )
        if not end:
            why = EXPLAINED.get(module, {}).get(line)
            equal[module] += why is not None
            left.append(f"* `{module}`: `{line}`: {why or 'not yet killed'}")
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
            f"`python tests/benchmarks/mutation.py --sample {len(chosen)} --write`."
            f" {versions('cosmic-ray', 'numpy')}.",
        ]
    )
    publish("mutation", text, write=given.write)


if __name__ == "__main__":
    main()

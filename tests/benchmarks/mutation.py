"""Mutation testing of our own core: ``mutation.py settings core.rungs``; without names, `COVERED`.

Every mutant of a module, made by cosmic-ray's operators (`pip install cosmic-ray`), is imported in
a process of its own, forked where pytest and NumPy are loaded already, and meets the tests that
cover the module.  Nothing is written into the sources.  For systems that fork.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from importlib.abc import MetaPathFinder, SourceLoader
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
sys.path[:0] = [str(HERE), str(ROOT / "tests"), str(ROOT)]

import hypothesis.extra.numpy  # noqa: E402, F401  (so that no mutant spends its time on it)
import pytest  # noqa: E402
from cosmic_ray.mutating import mutate_code  # noqa: E402
from cosmic_ray.plugins import get_operator, operator_names  # noqa: E402
from tables import parser, publish, table, versions  # noqa: E402

IN_PROCESS = "not ini and not command_line and not marker and not toml and not leak"
COVERED: dict[str, list[str]] = {
    "settings": ["test_settings.py", "-k", IN_PROCESS],
    "values": ["test_settings.py", "-k", IN_PROCESS],
    "core.weights": ["test_probes.py", "-k", "TestWeights"],
    "core.gradients": ["test_adapters_with_mistakes.py", "test_errors.py"],
}
"""Modules, and the tests that cover each, as pytest takes them."""
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
LIMIT = 120
"""Seconds after which a mutant counts as killed: it does not end."""


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """The changed lines, and the whole module with them."""
    seen = {source}
    for name in sorted(operator_names()):
        short = name.removeprefix("core/")
        if short in NEEDY:
            continue
        is_swap = short.startswith(("ReplaceBinaryOperator", "ReplaceComparisonOperator"))
        if is_swap and short.partition("_")[2] not in SWAPS:
            continue
        operator: Any = get_operator(name)
        for occurrence in range(10_000):
            changed = mutate_code(source, operator(), occurrence)
            if changed is None:
                break
            if changed not in seen:
                seen.add(changed)
                lines = difflib.unified_diff(
                    source.split("\n"), changed.split("\n"), n=0, lineterm=""
                )
                shown = [
                    line[1:].strip() for line in lines if line[:1] == "+" and line[:3] != "+++"
                ]
                yield " / ".join(shown), changed


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
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    loader = Mutated(name, path, source)
    sys.meta_path.insert(0, loader)
    os.chdir(ROOT)
    plain = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly"]
    plain += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # Hypothesis is loaded already
    files = [str(ROOT / "tests" / t) if t.endswith(".py") else t for t in tests]
    try:
        importlib.import_module(name)  # before pytest, whose own importer would pass the mutant by
        status = int(pytest.main([*plain, *files]))
        met = getattr(sys.modules.get(name), "__loader__", None) is loader
        os._exit(status if met else NOT_MET)
    finally:
        os._exit(1)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("modules", nargs="*", default=list(COVERED))
    given = options.parse_args()
    rows, left = [], []
    for module in given.modules:
        path = ROOT / "pytest_gradcheck" / f"{module.replace('.', '/')}.py"
        source, name = path.read_text(encoding="utf-8"), f"pytest_gradcheck.{module}"
        tests = COVERED[module]
        if killed(name, path, source, tests):
            raise SystemExit(f"{module}: its tests fail without any mutation")
        tried = list(mutants(source))
        ends = [killed(name, path, changed, tests) for _, changed in tried]
        alive = [line for (line, _), end in zip(tried, ends, strict=True) if not end]
        why = EXPLAINED.get(module, {})
        open_ones = [line for line in alive if line not in why]
        counted = len(tried) - (len(alive) - len(open_ones))
        share = 100 * sum(ends) / max(counted, 1)
        rows.append(
            (
                f"`{module}`",
                len(tried),
                sum(ends),
                len(alive) - len(open_ones),
                len(open_ones),
                f"{share:.0f} %",
            )
        )
        print(*rows[-1], flush=True)
        for line in alive:
            left.append(f"* `{module}`: `{line}`: {why.get(line, 'not yet killed')}")
            print(left[-1], flush=True)
    head = ("module", "mutants", "killed", "equal in effect", "survived", "killed of the others")
    text = "\n\n".join(
        [
            "## Mutants of our own core",
            table(head, rows),
            "Those that survived, and why:",
            "\n".join(left) or "none.",
            f"`python tests/benchmarks/mutation.py --write`. {versions('cosmic-ray', 'numpy')}.",
        ]
    )
    publish("mutation", text, write=given.write)


if __name__ == "__main__":
    main()

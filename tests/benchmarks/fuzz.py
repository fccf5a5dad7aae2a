"""Random problems by Hypothesis, as many as asked for: ``--examples 100000`` for the long run.

Structures of parameters of every kind (nested, empty, of any layout, precision and container) with
right and wrong gradients and random settings; random values of settings; markers, ini files, TOML
and command lines of pytest, of which an example is a whole run.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzzing import RUNS, SETTINGS, cases, examined, outcome, parsed, written
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from tables import parser, publish, table, versions

BATCH = 500
"""Examples of one call of Hypothesis, which remembers all of a call."""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--examples", type=int, default=2000)
    options.add_argument("--seed", type=int, default=0)
    given_options = options.parse_args()
    counts, failures = Counter[str](), Counter[str]()

    def noted(kind: str, run: Callable[[], str]) -> None:
        counts[kind] += 1
        try:
            counts[run()] += 1
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            failures[f"{type(error).__name__} at {where.name}: {str(error)[:300]}"] += 1

    factors = st.sampled_from([1.0, 1.0, -1.0, 1.1])

    def structures(case: object, chosen: dict[str, object], factor: float, boxed: bool) -> None:
        def run() -> str:
            result = examined(case, chosen, factor=factor, as_object=boxed)
            return "refused" if result is None else result.status

        noted("structures", run)

    folder = Path(tempfile.mkdtemp()) / "run"
    began, done = time.perf_counter(), 0
    while done < given_options.examples:
        count = min(BATCH, given_options.examples - done)
        how = settings(
            max_examples=count,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        number = seed(given_options.seed + done)
        if done // BATCH % 40 == 3:
            number(
                how(given(RUNS)(lambda r: noted("runs of pytest", lambda: outcome(folder, **r))))
            )()
        elif done // BATCH % 10 == 9:
            number(how(given(written())(lambda w: noted("settings", lambda: parsed(w)))))()
        else:
            number(how(given(cases(), SETTINGS, factors, st.booleans())(structures)))()
        done += count
        print(done, sum(failures.values()), flush=True)
    seconds = time.perf_counter() - began
    for failure, times in failures.most_common(20):
        print(times, failure)
    kinds = ("structures", "settings", "runs of pytest")
    total = sum(counts[kind] for kind in kinds)
    rows = [(kind, number) for kind, number in counts.most_common()]
    text = "\n\n".join(
        [
            f"## Random problems: {total} examples (goal: ≥ 100000),"
            f" failures {sum(failures.values())} (goal: 0)",
            table(["", "examples"], rows),
            "A failure is an exception that is no clear error, a changed parameter, a right"
            " gradient that fails (not by one step, which is taken at its word) or a wrong one that"
            " does not; of pytest, a run that neither runs its tests nor says what is wrong."
            f" {total / seconds:.0f} examples a second. {versions('numpy', 'hypothesis')}.",
        ]
    )
    publish("fuzz", text, write=given_options.write)


if __name__ == "__main__":
    main()

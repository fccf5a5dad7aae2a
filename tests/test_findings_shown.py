"""Findings stand right under the verdict, in the summary and in the records."""

from __future__ import annotations

import json

import pytest
from conftest import Run

MODULE = """
    import numpy as np

    rng = np.random.default_rng(0)
    W, X = rng.normal(size=(4, 4)), rng.normal(size=(20, 4))

    class Quadratic:
        def __init__(self, penalty):
            self.params, self.penalty = {"W": W.copy()}, penalty

        def loss(self):
            out = np.tanh(X @ self.params["W"])
            return np.mean(np.sum(out, axis=1)) + 0.1 * np.sum(self.params["W"] ** 2)

        def grads(self):
            slope = 1 - np.tanh(X @ self.params["W"]) ** 2
            return {"W": X.T @ slope / len(X) + self.penalty * self.params["W"]}

    def test_wrong(gradcheck):
        gradcheck(Quadratic(0.0), worst=3)

    def test_blind(gradcheck):
        model = Quadratic(0.2)
        model.params["W"][:] = 0
        gradcheck(model)
"""
CONFTEST = """
    import json

    def pytest_runtest_logreport(report):
        for record in getattr(report, "gradcheck", ()):
            with open("records.jsonl", "a") as file:
                file.write(json.dumps(record) + "\\n")
"""


def test_under_the_verdict_in_summary_and_records(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    result = run(MODULE, "--gradcheck-summary")
    result.assert_outcomes(passed=1, failed=1, warnings=1)
    result.stdout.fnmatch_lines_random(
        [
            "*FAIL*Quadratic: relative error*",
            "*cause  l2-missing: claimed - measured = -0.2 *in W*",
            "*GradcheckWarning: Quadratic: all parameters are zero*",
            "FAIL *test_wrong*l2-missing*",
            "warn *test_blind*near-zero-parameters*",
        ]
    )
    lines = (pytester.path / "records.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    said = {r["test"].rpartition("::")[2]: r["findings"] for r in records}
    (wrong,), (blind,) = said["test_wrong"], said["test_blind"]
    assert (wrong["name"], wrong["where"]) == ("l2-missing", ["W"])
    assert wrong["evidence"]["constant"] == pytest.approx(-0.2, rel=1e-5)
    assert blind["name"] == "near-zero-parameters" and "train=20" in blind["message"]


def test_all_findings_come_before_the_entries(run: Run) -> None:
    source = MODULE.replace(
        "gradcheck(Quadratic(0.0), worst=3)",
        """
        model = Quadratic(0.0)
        model.params["b"] = np.ones(2)
        model.grads = lambda: {**Quadratic.grads(model), "b": np.zeros(2)}
        gradcheck(model, worst=3)
        """,
    )
    lines = run(source).outlines
    place = {
        word: next(i for i, line in enumerate(lines) if word in line)
        for word in ("l2-missing: ", "zero-gradient: ", "entry ", "parameter ")
    }
    assert place["l2-missing: "] < place["zero-gradient: "] < place["parameter "] < place["entry "]

"""Findings of third parties: by the hook in a conftest, and by `check(..., findings=)`."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_gradcheck import Finding, check

CONFTEST = """
    from pytest_gradcheck import Finding

    def pytest_gradcheck_findings(situation):
        wrong = [block.name for block in situation.judged if block.status != "pass"]
        return [Finding("ours", tuple(wrong), f"ask the author of {wrong}")] if wrong else None
"""
TEST = """
    import numpy as np

    def test_wrong(gradcheck):
        gradcheck(loss=lambda x: np.sum(x**3), grads=lambda x: x**2, params=np.array([1.0, 2.0]))

    def test_right(gradcheck):
        result = gradcheck(
            loss=lambda x: np.sum(x**3), grads=lambda x: 3 * x**2, params=np.array([1.0, 2.0])
        )
        assert "ours" not in [finding.name for finding in result.findings]
"""


def test_hook_of_a_conftest_is_shown_in_the_failure(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TEST)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*ours: ask the author of ?'params'?*"])


def test_outside_pytest() -> None:
    result = check(
        loss=lambda x: float(np.sum(x**2)),
        grads=lambda x: x,
        params=np.array([1.0, 2.0]),
        findings=[lambda situation: [Finding("ours", (), f"{len(situation.blocks)} block")]],
    )
    assert [f.message for f in result.findings if f.name == "ours"] == ["1 block"]
    assert "factor" in [finding.name for finding in result.findings]

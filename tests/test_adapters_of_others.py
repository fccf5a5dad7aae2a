"""Adapters by the hook: in a conftest, per directory, and shipped as a package."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "docs" / "examples" / "adapter_package"

CONFTEST = """
    import numpy as np
    from pytest_gradcheck import Parameter, Problem

    def pytest_gradcheck_adapt(subject, args, settings):
        if subject != "a name":
            return None
        x = np.ones(2)
        return Problem(
            [Parameter("x", x)],
            loss=lambda: float(np.sum(x**2)),
            grads=lambda: [{factor} * x],
            title="{title}",
        )
"""
TEST = """
    def test_it(gradcheck):
        print("checked:", gradcheck("a name").title)
"""


def test_adapters_are_found_per_directory(pytester: pytest.Pytester) -> None:
    for name, factor in (("right", 2), ("wrong", 3)):
        directory = pytester.mkpydir(name)
        source = CONFTEST.format(factor=factor, title=name)
        (directory / "conftest.py").write_text(_dedented(source), encoding="utf-8")
        (directory / "test_inner.py").write_text(_dedented(TEST), encoding="utf-8")
    outside = pytester.mkpydir("outside")
    (outside / "test_inner.py").write_text(_dedented(TEST), encoding="utf-8")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rA")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines_random(
        [
            "checked: right",
            "*FAIL   wrong: relative error*",
            "*ERROR  got a str, which is nothing to check*",
        ]
    )


def _dedented(source: str) -> str:
    return source.replace("\n    ", "\n").lstrip()


def test_an_adapter_shipped_as_a_package(pytester: pytest.Pytester) -> None:
    """Installed as an installer would leave it: the package beside its metadata, nothing else."""
    site = pytester.mkdir("site")
    shutil.copytree(PACKAGE / "gradcheck_splines", site / "gradcheck_splines")
    metadata = site / "gradcheck_splines-0.1.dist-info"
    metadata.mkdir()
    described = "Metadata-Version: 2.1\nName: gradcheck-splines\nVersion: 0.1\n"
    (metadata / "METADATA").write_text(described)
    declared = (PACKAGE / "pyproject.toml").read_text(encoding="utf-8")
    [(group, line)] = re.findall(r"\[project\.entry-points\.(\w+)\]\n(.+)\n", declared)
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{line.replace(chr(34), '')}\n")
    shutil.copy(PACKAGE / "test_splines.py", pytester.path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(ROOT)]))
        result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2)


def test_without_the_package_its_tests_are_skipped(pytester: pytest.Pytester) -> None:
    shutil.copy(PACKAGE / "test_splines.py", pytester.path)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(skipped=1)

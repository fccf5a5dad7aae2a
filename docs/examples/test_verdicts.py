"""Pass, warn and fail, and the thresholds between them."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import pytest
from broken import GuardedLogarithm, MissingMean
from network import Array, Labels, Network

from pytest_gradcheck import GradcheckError, GradcheckWarning

SMALL = {"activation": "tanh", "init": "xavier", "scale": 0.1}
"""Nearly equal outputs, p = 1/10 for each class: log(p + 1e-7) is then off by 1e-6."""


def test_pass(gradcheck, middle_rows: tuple[Array, Labels]) -> None:
    """About 1e-7 or less: great."""
    assert gradcheck(Network([16, 8, 10], **SMALL), *middle_rows).relative_error < 1e-7


def test_warn_imprecise(gradcheck, middle_rows: tuple[Array, Labels]) -> None:
    """Between 1e-7 and 1e-5: ``log(p + 1e-7)`` in the loss, the derivative of ``log(p)``."""
    network = GuardedLogarithm([16, 8, 10], **SMALL)
    with pytest.warns(GradcheckWarning, match="imprecise"):
        result = gradcheck(network, *middle_rows)
    assert result.status == "warn"
    assert 1e-7 < result.relative_error < 1e-5


def test_warn_suspect(gradcheck, middle_rows: tuple[Array, Labels]) -> None:
    """Between 1e-5 and 1e-3: look at the entries one by one.  A larger guard does it."""
    network = GuardedLogarithm([16, 8, 10], **SMALL)
    network.guard = 1e-5
    with pytest.warns(GradcheckWarning, match="suspect"):
        result = gradcheck(network, *middle_rows)
    assert 1e-5 < result.relative_error < 1e-3


def test_fail(gradcheck, middle_rows: tuple[Array, Labels]) -> None:
    """Above 1e-3: probably a mistake."""
    with pytest.raises(GradcheckError) as caught:
        gradcheck(MissingMean([16, 8, 10], **SMALL), *middle_rows)
    assert caught.value.result.relative_error > 1e-3


def test_thresholds_of_the_ini_file_beside_this_test(
    gradcheck, middle_rows: tuple[Array, Labels]
) -> None:
    """They are written down there with their usual values, ready to be changed."""
    ini = configparser.ConfigParser()
    ini.read(Path(__file__).with_name("pytest.ini"))
    settings = gradcheck(Network([16, 8, 10], **SMALL), *middle_rows).settings
    for name in ("eps", "tol", "warn", "fail", "worst"):
        assert settings[name] == ini.getfloat("pytest", f"gradcheck_{name}")


INI = """
[pytest]
gradcheck_tol = 1e-6
gradcheck_fail = 1e-5
"""

SLIGHTLY_OFF = """
import numpy as np
import pytest

@pytest.mark.parametrize("error", [5e-7, 5e-5])
def test_slightly_off(gradcheck, error):
    theta = np.array([1.0, 2.0, 3.0])
    gradcheck(loss=lambda t: (t**2).sum(), grads=lambda t: 2 * (1 + 2 * error) * t, params=theta)
"""


def test_thresholds_of_another_ini_file(tmp_path: Path) -> None:
    """How much error a project lives with is decided once, in its ini file.  By default both of
    these gradients would warn; this project takes one as good and the other as wrong.
    """
    (tmp_path / "pytest.ini").write_text(INI)
    (tmp_path / "test_it.py").write_text(SLIGHTLY_OFF)
    run = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", tmp_path]
    report = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True).stdout
    assert "1 failed, 1 passed in" in report
    assert "FAILED test_it.py::test_slightly_off[5e-05]" in report

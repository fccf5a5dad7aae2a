"""What importing costs, and which way the arrows go."""

from __future__ import annotations

import subprocess
import sys

import pytest

FRESH = "import sys; before = set(sys.modules); {}; print(*(set(sys.modules) - before))"


def loaded_by(statement: str) -> set[str]:
    """Top-level packages that a statement loads in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", FRESH.format(statement)], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    "module", ["check", "differences", "exhaustive", "judge", "noise", "problem", "result", "state"]
)
def test_core_knows_nothing_of_pytest(module: str) -> None:
    loaded = loaded_by(f"import pytest_gradcheck.core.{module}")
    assert not loaded & {"pytest", "_pytest", "pluggy"}


def test_core_knows_nothing_of_adapters_and_report() -> None:
    names = "sorted(n for n in sys.modules if n.startswith('pytest_gradcheck.'))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, pytest_gradcheck.core.check; print(*{names})"],
        capture_output=True,
        text=True,
        check=True,
    )
    others = [name for name in done.stdout.split() if not name.startswith("pytest_gradcheck.core")]
    assert others == [f"pytest_gradcheck.{name}" for name in ("errors", "settings", "values")]


@pytest.mark.parametrize("module", ["api", "adapters", "report.text"])
def test_check_outside_pytest_does_not_import_it(module: str) -> None:
    assert not loaded_by(f"import pytest_gradcheck.{module}") & {"pytest", "_pytest"}


@pytest.mark.parametrize(
    "statement",
    [
        "import pytest_gradcheck",
        "import pytest_gradcheck.plugin",
        "import pytest_gradcheck.settings",
        "from pytest_gradcheck import GradcheckWarning, GradcheckError",
    ],
)
def test_loading_costs_no_numpy(statement: str) -> None:
    assert not loaded_by(statement) & {"numpy", "torch", "jax", "scipy"}


def test_run_that_checks_no_gradient_imports_no_numpy(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_ordinary():
            assert "numpy" not in sys.modules
            assert "pytest_gradcheck.plugin" in sys.modules
        """
    )
    others = ("no:hypothesispytest", "no:jaxtyping", "no:cacheprovider")
    options = [word for name in others for word in ("-p", name)]
    pytester.runpytest_subprocess(*options, "--gradcheck-summary").assert_outcomes(passed=1)


@pytest.mark.parametrize("framework", ["torch", "jax", "tensorflow", "scipy", "pandas"])
def test_a_check_imports_no_framework(framework: str) -> None:
    statement = (
        "import numpy, pytest_gradcheck as p;"
        " p.check(loss=lambda x: float(x @ x), grads=lambda x: 2 * x, params=numpy.ones(2))"
    )
    assert framework not in loaded_by(statement)


def test_public_names_exist() -> None:
    import pytest_gradcheck

    assert all(getattr(pytest_gradcheck, name) for name in pytest_gradcheck.__all__)
    assert set(pytest_gradcheck.__all__) <= set(dir(pytest_gradcheck))


def test_unknown_name_is_an_attribute_error() -> None:
    import pytest_gradcheck

    with pytest.raises(AttributeError, match="no attribute 'chekc'"):
        pytest_gradcheck.chekc  # noqa: B018

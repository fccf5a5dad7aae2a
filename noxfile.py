"""The compatibility matrix, packaging and branch coverage: ``nox``, ``nox -s corners``.

Environments are made by uv where it is installed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["matrix", "plugins", "corners", "package"]

PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
OLDEST = ("numpy==1.26.*", "pytest==8.4.*", "pluggy==1.5.*")
MIDDLE = ("numpy==2.0.*", "pytest==9.0.*")
BASE = ("hypothesis", "pytest-xdist")
FAST = (
    "tests/test_plugin.py",
    "tests/test_settings.py",
    "tests/test_safety.py",
    "tests/test_accepted_forms.py",
    "tests/test_errors.py",
)
"""Tests that need no framework and take seconds."""

PLUGINS: dict[str, tuple[list[str], list[str]]] = {
    "xdist": ([], ["-n", "2"]),
    "randomly": (["pytest-randomly"], ["-p", "randomly", "-p", "no:cacheprovider"]),
    "timeout": (["pytest-timeout"], ["--timeout", "300"]),
    "rerunfailures": (["pytest-rerunfailures"], ["--reruns", "1"]),
    "cov": (["pytest-cov"], ["--cov", "pytest_gradcheck"]),
    "html": (["pytest-html"], ["--html", "{tmp}/report.html"]),
    "asyncio": (["pytest-asyncio"], ["-o", "asyncio_default_fixture_loop_scope=function"]),
    "run-parallel": (["pytest-run-parallel"], []),
}
"""Other plugins: what is installed, and how pytest is called."""

INSTALLED = """
def test_installed(gradcheck):
    result = gradcheck(loss=lambda x: x**2, grads=lambda x: 2 * x, params=3.0)
    assert result.status == "pass"
"""
"""A test that uses what was installed."""
OPTIONS: dict[str, list[str]] = {
    "prepend": ["--import-mode=prepend"],
    "no cache": ["-p", "no:cacheprovider"],
    "warnings": ["-W", "error"],
    "plain assertions": ["--assert=plain"],
    "no hypothesis plugin": ["-p", "no:hypothesispytest"],
}
"""Ways to call pytest; importlib mode and strictness are those of pyproject.toml."""


def run(session: nox.Session, *options: str, tests: tuple[str, ...] = FAST) -> None:
    session.run("python", "-m", "pytest", "-q", *options, *tests, env={"OMP_NUM_THREADS": "1"})


@nox.session(python=PYTHONS)
@nox.parametrize("versions", ["oldest", "middle", "newest"])
def matrix(session: nox.Session, versions: str) -> None:
    """Pythons, with the oldest and the newest pytest and NumPy."""
    pins = {"oldest": OLDEST, "middle": MIDDLE, "newest": ("numpy", "pytest")}[versions]
    if versions != "newest" and session.python in ("3.13", "3.14"):
        session.skip("NumPy 1.26 and 2.0 have no wheels for it")
    session.install(*BASE, *pins, "-e", ".")
    run(session)


@nox.session
@nox.parametrize("plugin", list(PLUGINS))
def plugins(session: nox.Session, plugin: str) -> None:
    """Beside another plugin."""
    packages, options = PLUGINS[plugin]
    session.install(*BASE, *packages, "-e", ".")
    run(session, *(option.format(tmp=session.create_tmp()) for option in options))


@nox.session
def corners(session: nox.Session) -> None:
    """Ways to call pytest, line ends of Windows, and every plugin at once."""
    everything = [package for packages, _ in PLUGINS.values() for package in packages]
    session.install(*BASE, *everything, "-e", ".")
    for options in OPTIONS.values():
        run(session, *PLUGINS["asyncio"][1], *options)
    folder = Path(session.create_tmp())
    ini = "[pytest]\ngradcheck_tol = 1e-6\ngradcheck_hooks = loss=forward grads=gradient\n"
    (folder / "pytest.ini").write_bytes(ini.replace("\n", "\r\n").encode())
    test = "def test(gradcheck):\n    class C:\n        params = [0.5]\n"
    test += "        def forward(self): return self.params[0] ** 2\n"
    test += "        def gradient(self): return [2 * self.params[0]]\n    gradcheck(C())\n"
    (folder / "test_lines.py").write_bytes(test.replace("\n", "\r\n").encode())
    session.run("python", "-m", "pytest", "-q", "--rootdir", str(folder), str(folder))
    session.run(
        "python", "-m", "pytest", "-q", "-p", "no:gradcheck", str(folder), success_codes=[1]
    )


@nox.session
def frameworks(session: nox.Session) -> None:
    """With PyTorch and JAX."""
    session.install(*BASE, "torch", "jax", "scipy", "-e", ".")
    run(session, tests=(*FAST, "tests/test_torch.py", "tests/test_jax.py"))


@nox.session
def package(session: nox.Session) -> None:
    """Wheel and sdist hold what they should; the sdist installs without an index."""
    session.install("build", "twine", "hatchling", "numpy", "pytest")
    dist = Path(session.create_tmp()) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist), silent=True)
    files = [str(path) for path in sorted(dist.iterdir())]
    session.run("python", "-m", "twine", "check", "--strict", *files)
    session.run("python", "tests/distribution.py", *files)
    sdist = next(name for name in files if name.endswith(".tar.gz"))
    offline = ("--no-build-isolation", "--no-index", "--no-deps", "--force-reinstall")
    session.run("python", "-m", "ensurepip", silent=True)
    session.run("python", "-m", "pip", "install", *offline, sdist, silent=True)
    with session.chdir(session.create_tmp()):
        Path("test_installed.py").write_text(INSTALLED)
        session.run("python", "-m", "pytest", "-q", "test_installed.py")
        disabled = ("-p", "no:gradcheck", "test_installed.py")
        session.run("python", "-m", "pytest", "-q", *disabled, success_codes=[1])


@nox.session
def mutation(session: nox.Session) -> None:
    """Mutants of our own core against their tests: ``nox -s mutation -- core.weights``."""
    session.install("-e", ".[test]", "cosmic-ray")
    session.run("python", "tests/benchmarks/mutation.py", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Branch coverage of the whole package, at least 97 %: ``nox -s coverage -- --write``."""
    extras = "test,frameworks,report,browser,docs"
    session.install("-e", f".[{extras}]", "coverage>=7.10", "torch", "pandas")
    session.run("python", "tests/benchmarks/covered.py", *session.posargs)

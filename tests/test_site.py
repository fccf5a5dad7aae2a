"""The site: every setting and option is in its reference, links and pictures are what they seem."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from extensions import measurements
from extensions.links import faults
from extensions.settings import options_page, settings_page
from extensions.tables import BENCHMARKS, table

import pytest_gradcheck
from pytest_gradcheck import Settings
from pytest_gradcheck.settings import NAMES

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def help_of_pytest() -> str:
    run = [sys.executable, "-m", "pytest", "--help", "-p", "no:cacheprovider"]
    return subprocess.run(run, capture_output=True, text=True, check=True, cwd=DOCS).stdout


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_has_a_section_with_its_meaning(name: str) -> None:
    section = settings_page().partition(f"### {name}\n")[2].partition("###")[0]
    meaning = section.strip().partition("\n")[0]
    assert len(meaning) > 20
    assert f": `{name}=`" in section
    assert "Default\n: " in section


def test_everything_that_pytest_lists_is_in_the_reference(help_of_pytest: str) -> None:
    """What pytest itself knows is the judge, not what the reference was made from."""
    page = settings_page() + options_page()
    words = set(re.findall(r"(?:--gradcheck-[\w-]+|\bgradcheck_\w+)", help_of_pytest))
    assert {"--gradcheck-tol", "gradcheck_tol", "--gradcheck-summary"} <= words
    assert {word for word in words if f"`{word}" not in page} == set()


@pytest.mark.parametrize("name", ["eps", "tol", "warn", "fail", "confidence"])
def test_defaults_shown_are_the_defaults(name: str) -> None:
    section = settings_page().partition(f"### {name}\n")[2]
    shown = re.search(r"^Default\n: `(.*)`$", section, re.MULTILINE)
    assert shown is not None
    assert eval(shown[1]) == getattr(Settings(), name)


def test_every_public_name_and_hook_is_documented() -> None:
    page = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\.\. auto\w+:: (\w+)$", page, re.MULTILINE))
    assert set(pytest_gradcheck.__all__) <= listed
    hooks = {name for name in vars(pytest_gradcheck.hookspecs) if name.startswith("pytest_g")}
    assert hooks <= listed


def test_errors_shown_in_the_picture_fall_as_the_text_says() -> None:
    steps, central, forward = measurements.errors_of_both_schemes()
    long = (steps > 1e-4) & (steps < 1e-1)
    for error, exponent in ((central, 2), (forward, 1)):
        slope = np.polyfit(np.log(steps[long]), np.log(error[long]), 1)[0]
        assert slope == pytest.approx(exponent, abs=0.05)
    truncation, noise = measurements.branches(steps)
    assert np.all(central <= 4 * (truncation[2] + noise))
    assert np.all(forward <= 4 * (truncation[1] + noise) + truncation[2])


def test_a_kink_hides_from_central_differences_alone() -> None:
    _, smooth, kinked = measurements.differences_near_a_kink()
    assert np.allclose(kinked[0], 0.5)
    assert np.allclose(kinked[1], 1)
    assert smooth[1][0] < 1e-5


def test_gradients_vanish_and_explode_by_scale() -> None:
    norms = measurements.gradients_by_layer()
    assert norms[0.1][0] < 1e-6 * norms[0.1][-1]
    assert norms[10.0][0] > 1e6 * norms[10.0][-1]
    assert max(norms[1.0]) < 30 * min(norms[1.0])


PAGE = '<h1 id="top-of-it">A page</h1>{}'


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ('<a href="#top-of-it">x</a>', None),
        ('<a href="other.html#here">x</a>', None),
        ('<a href="https://example.org/">x</a>', None),
        ('<a href="missing.html">x</a>', "leads to no file"),
        ('<a href="other.html#gone">x</a>', "leads to no place"),
        ('<script src="https://example.org/x.js"></script>', "fetched from elsewhere"),
        ('<link rel="stylesheet" href="//example.org/x.css">', "fetched from elsewhere"),
    ],
)
def test_links_of_the_site(html: str, fault: str | None, tmp_path: Path) -> None:
    (tmp_path / "other.html").write_text('<p id="here">Another</p>', encoding="utf-8")
    (tmp_path / "index.html").write_text(PAGE.format(html), encoding="utf-8")
    found = faults(tmp_path)
    assert len(found) == (fault is not None)
    assert not fault or fault in found[0]


def test_tables_of_the_benchmarks_are_shown_elsewhere_as_they_are() -> None:
    shown = table("calibration fresh", "checker")
    assert shown.startswith("| checker |")
    assert "**pytest-gradcheck**" in shown
    assert shown in BENCHMARKS.read_text(encoding="utf-8")
    with pytest.raises(LookupError, match="no table 'checker'"):
        table("calibration of nothing", "checker")


def test_pictures_take_the_colour_of_the_page_and_share_no_names() -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("docutils")
    from extensions.pictures import INK, PICTURES, svg

    drawn = {name: svg(name, 'An error < "noise"') for name in PICTURES}
    names = [name for picture in drawn.values() for name in re.findall(r'\bid="([^"]+)"', picture)]
    assert len(names) == len(set(names))
    for picture in drawn.values():
        used = re.findall(r'href="#([^"]+)"', picture) + re.findall(r"url\(#([^)]+)\)", picture)
        assert set(used) <= set(names)
        assert INK not in picture
        assert 'role="img" aria-label="An error &lt; &quot;noise&quot;"' in picture


def test_formulas_are_mathml_with_their_source() -> None:
    pytest.importorskip("latex2mathml")
    pytest.importorskip("docutils")
    from extensions.mathml import mathml

    formula = mathml(r"\frac{a}{b} < J''", "block")
    assert "<mfrac>" in formula
    assert 'display="block"' in formula
    assert 'alttext="\\frac{a}{b} &lt; J' in formula

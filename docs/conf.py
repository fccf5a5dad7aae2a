"""The documentation site: ``python -m sphinx -W docs build/site``.  Nothing is fetched.

Beside it, in ``extensions/``: formulas as MathML, pictures drawn from measurements, the reference
of all settings, and a look at every link of the site when it is built.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest_gradcheck

project = "pytest-gradcheck"
author = "The pytest-gradcheck developers"
copyright = author
version = release = pytest_gradcheck.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "numpydoc",
    "sphinx_copybutton",
    "extensions.links",
    "extensions.mathml",
    "extensions.pictures",
    "extensions.settings",
    "extensions.tables",
]
exclude_patterns = ["_build"]
nitpicky = True
suppress_warnings: list[str] = []

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_typehints = "none"
autodoc_member_order = "bysource"
default_role = "code"
numpydoc_show_class_members = False

html_theme = "furo"
html_title = "pytest-gradcheck"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"
copybutton_prompt_text = "$ "

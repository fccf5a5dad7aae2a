"""Gradient checks as first-class citizens of a pytest suite.

Importing this package costs neither NumPy nor a framework: its names are loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import check
    from .core.parameters import Parameter
    from .core.problem import Problem
    from .core.result import Block, Entry, Finding
    from .core.situation import Situation
    from .core.study import Study
    from .core.view import View
    from .errors import GradcheckError, GradcheckWarning, SettingsError, SubjectError
    from .result import Result
    from .session import Gradcheck
    from .settings import Settings

_HOME = {
    "check": ".api",
    "Parameter": ".core.parameters",
    "Problem": ".core.problem",
    "Block": ".core.result",
    "Entry": ".core.result",
    "Finding": ".core.result",
    "Result": ".result",
    "Situation": ".core.situation",
    "Study": ".core.study",
    "View": ".core.view",
    "Gradcheck": ".session",
    "GradcheckError": ".errors",
    "GradcheckWarning": ".errors",
    "SettingsError": ".errors",
    "SubjectError": ".errors",
    "Settings": ".settings",
}

__all__ = [
    "Block",
    "Entry",
    "Finding",
    "Gradcheck",
    "GradcheckError",
    "GradcheckWarning",
    "Parameter",
    "Problem",
    "Result",
    "Settings",
    "SettingsError",
    "Situation",
    "Study",
    "SubjectError",
    "View",
    "check",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

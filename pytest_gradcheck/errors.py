"""What can go wrong, by class.  Standard library only: a warning filter must cost nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .core.result import Result


class GradcheckError(AssertionError):
    """A gradient that is wrong: the verdict "fail".

    Attributes
    ----------
    result : Result or None
        All that was measured.
    """

    __module__ = "pytest_gradcheck"

    def __init__(self, message: str, result: Result | None = None) -> None:
        super().__init__(message)
        self.result = result


class GradcheckWarning(UserWarning):
    """A gradient that is imprecise, suspect, or could not be tested: the verdict "warn"."""

    __module__ = "pytest_gradcheck"


class SettingsError(ValueError):
    """A setting that does not exist or a value that it cannot have."""

    __module__ = "pytest_gradcheck"


class SubjectError(Exception):
    """An object that cannot be checked as it stands; the message says what to do."""

    __module__ = "pytest_gradcheck"

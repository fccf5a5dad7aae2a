"""Why a gradient is wrong, and whether the point of the check is a good one.

Needs NumPy and the records of the core; knows nothing of pytest and of frameworks.
"""

from .explain import explain

__all__ = ["explain"]

"""Counts the calls that a check makes to the user's code, and does something at one of them.

The count is kept outside the objects under check, whose own attributes are put back; and by plan,
so that a worker of an executor, which gets the plan by pickling, starts from zero with each.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from .kinds import KINDS

_NUMBERS = itertools.count()
_CALLS: dict[int, int] = {}


@dataclass(frozen=True)
class Plan:
    """What happens at which call.

    Attributes
    ----------
    kind : str
        A key of `KINDS`; "" for nothing.
    at : int
        The call, counted from 1.
    number : int
        Distinguishes one check from the next.
    """

    kind: str
    at: int
    number: int

    @classmethod
    def of(cls, kind: str = "", at: int = 0) -> Plan:
        """A plan of its own."""
        plan = cls(kind, at, next(_NUMBERS))
        _CALLS.clear()
        _CALLS[plan.number] = 0
        return plan

    @property
    def calls(self) -> int:
        """How many there were, in this process."""
        return _CALLS.get(self.number, 0)

    def tick(self, value: Callable[[], Any], params: MutableMapping[Any, Any]) -> Any:
        """One call of the user's code, which would give ``value()``.

        Parameters
        ----------
        value : callable
        params : mapping
            The parameters by name, as the user holds them.
        """
        if self.number not in _CALLS:  # a worker meets it for the first time
            _CALLS.clear()
        _CALLS[self.number] = count = _CALLS.get(self.number, 0) + 1
        if not self.kind or count != self.at:
            return value()
        return KINDS[self.kind](value, params)

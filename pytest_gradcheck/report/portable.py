"""Any value as plain data that is valid JSON, travels between processes, and can be read again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

NOT_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}


def portable(value: Any) -> Any:
    """`value` as dict, list, str, int, float, bool and None; what is none of these as its text.

    JSON has no NaN and no infinity: they become "NaN", "Infinity" and "-Infinity", which ``float``
    reads.  Half a surrogate pair, which no UTF-8 can hold, becomes its escape.
    """
    if value is None or type(value) in (bool, int):
        return value
    if isinstance(value, float):
        number = float(value)
        return number if math.isfinite(number) else NOT_FINITE.get(number, "NaN")
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, Mapping):
        return {portable(str(key)): portable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [portable(item) for item in value]
    if hasattr(value, "tolist"):  # arrays and their scalars
        return portable(value.tolist())
    return portable(repr(value))

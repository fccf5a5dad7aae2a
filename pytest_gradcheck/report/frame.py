"""A result as a table of pandas."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from ..core.result import Result

if TYPE_CHECKING:
    from pandas import DataFrame


def frame_of(result: Result) -> DataFrame:
    """One row for each named parameter."""
    try:
        from pandas import DataFrame
    except ImportError as error:
        raise ImportError("to_frame makes a pandas table: python -m pip install pandas") from error

    names = [block.name for block in result.blocks]
    rows = [{**asdict(block), "size": block.size} for block in result.blocks]
    columns = ["shape", "size", "status", "relative_error", "uncertainty"]
    frame = DataFrame(rows, columns=[*columns, "analytic_norm", "numeric_norm"], index=names)
    frame.index.name = "parameter"
    return frame

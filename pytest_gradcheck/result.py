"""The result of a check as users hold it: that of `core`, with pictures and tables."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from .core import result as core

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


@dataclass(frozen=True)
class Result(core.Result):
    __doc__ = core.Result.__doc__

    @classmethod
    def of(cls, found: core.Result) -> Result:
        """The same, and that of every point."""
        values = {f.name: getattr(found, f.name) for f in fields(found)}
        return cls(**{**values, "points": tuple(map(cls.of, found.points))})

    def __str__(self) -> str:
        """The report, as ``print`` shows it; ``repr`` has the fields."""
        from .report.cells import plain
        from .report.text import WIDTH, View, report

        return "\n".join(plain(report(self, View(width=WIDTH, verbosity=0))))

    def plot(self) -> Figure:
        """Draw the pictures of the page: heat maps of the error, claimed against measured.

        With ``study=True`` among the settings of the check, its step-size study as well.

        Returns
        -------
        matplotlib.figure.Figure
            Of no window; a notebook shows it, ``figure.savefig("check.png")`` keeps it.

        Raises
        ------
        ImportError
            Without Matplotlib.
        """
        from .report.figure import figure_of

        return figure_of(self)

    def to_frame(self) -> DataFrame:
        """The named parameters as a pandas table, one row each.

        Returns
        -------
        pandas.DataFrame
            Indexed by name, with `shape`, `size`, `status`, `relative_error`, `uncertainty`,
            `analytic_norm` and `numeric_norm`.

        Raises
        ------
        ImportError
            Without pandas.
        """
        from .report.frame import frame_of

        return frame_of(self)

    def _repr_html_(self) -> str:
        """How notebooks show it."""
        from .report.fragment import fragment
        from .report.record import record_of

        return fragment(record_of(self))

"""The pictures of a check as a Matplotlib figure, from the same geometry as those of the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..core.result import Result
from .heat import COLORS, Heat
from .pictures import Mark, Picture, pictures_of
from .record import record_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROLES = {
    "measured": "#1d4f91",
    "claimed": "#b3162c",
    "other": "#8fa9c9",
    "rounding": "#7a4fa3",
    "truncation": "#0f7383",
    "bar": "#5a626c",
    "step": "#5a626c",
    "ink": "#c4c8cd",
}
WITHOUT_STUDY = "The step-size study is measured\nwith the setting study=True."
ACROSS = 4
"""Heat maps in a row."""


def figure_of(result: Result) -> Figure:
    """Heat maps above, scatter and step-size study below.

    Raises
    ------
    ImportError
        Without Matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'plot draws with Matplotlib: python -m pip install "pytest-gradcheck[report]"'
        ) from error
    record = record_of(result)
    heats, pictures = [Heat.of(view) for view in record["views"]], pictures_of(record)
    rows = math.ceil(len(heats) / ACROSS)
    height = 1.9 * rows + 3.4 * bool(pictures) + 0.6
    figure = Figure(figsize=(8.4, height), layout="constrained")
    figure.suptitle(_escaped(f"{result.title}: {result.status}"), fontsize=11)
    parts = [share for share in (1.9 * rows, 3.4 * bool(pictures)) if share] or [1.0]
    halves = iter(figure.subfigures(len(parts), 1, height_ratios=parts, squeeze=False)[:, 0])
    if heats:
        grid = next(halves).subplots(rows, ACROSS, squeeze=False).flat
        for axes in grid:
            axes.set_axis_off()
        for axes, heat in zip(grid.base.flat, heats, strict=False):
            _draw_heat(axes, heat)
    if pictures:
        for axes, picture in zip(next(halves).subplots(1, 2), [*pictures, None], strict=False):
            if picture is None:
                axes.set_axis_off()
                axes.text(0.5, 0.5, WITHOUT_STUDY, ha="center", va="center", fontsize=8)
            else:
                _draw(axes, picture)
    return figure


def _draw_heat(axes: Axes, heat: Heat) -> None:
    pixels = [[[part / 255 for part in COLORS[letter]] for letter in row] for row in heat.cells]
    axes.set_axis_on()
    stretched = heat.rows == 1 or heat.columns == 1
    axes.imshow(pixels, interpolation="nearest", aspect="auto" if stretched else "equal")
    if heat.rows == 1:
        axes.set_box_aspect(0.12)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(ROLES["ink"])
    seen = "" if heat.wrong else f", {heat.seen}"
    axes.set_title(_escaped(f"{heat.parameter} ({heat.shape}{seen})"), fontsize=8, loc="left")


def _draw(axes: Axes, picture: Picture) -> None:
    for mark in picture.marks:
        _draw_mark(axes, mark)
    axes.set_xlim(picture.x)
    axes.set_ylim(picture.y)
    axes.set_xticks(*_ticks(picture.x_ticks), fontsize=8)
    axes.set_yticks(*_ticks(picture.y_ticks), fontsize=8)
    axes.set_xlabel(picture.x_label, fontsize=8)
    axes.set_ylabel(picture.y_label, fontsize=8)
    axes.set_title(_escaped(picture.title), fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, frameon=False)
    if picture.square:
        axes.set_aspect("equal")


def _draw_mark(axes: Axes, mark: Mark) -> None:
    x, y = [point[0] for point in mark.points], [point[1] for point in mark.points]
    color = ROLES[mark.role]
    how: dict[str, Any] = {"color": color, "label": mark.label or "_"}
    if mark.kind == "band":
        axes.fill_between(x, y[0], y[1], alpha=0.16, linewidth=0, **how)
    elif mark.kind == "line":
        style = {"rounding": "--", "truncation": "--", "step": ":"}.get(mark.role, "-")
        axes.plot(x, y, style, linewidth=1.2, **how)
    else:
        shape, size = {"dots": ("o", 3.5), "rings": ("o", 2.5), "crosses": ("x", 5.0)}[mark.kind]
        axes.plot(x, y, shape, markersize=size, **how)


def _ticks(ticks: Sequence[tuple[float, str]]) -> tuple[list[float], list[str]]:
    return [value for value, _ in ticks], [text for _, text in ticks]


def _escaped(text: str) -> str:
    """Without Matplotlib's mathematics: a dollar in a name is a dollar."""
    return text.replace("$", r"\$")

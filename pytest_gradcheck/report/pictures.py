"""What the pictures of a check show, as plain geometry: page and Matplotlib figure draw the same.

Read from records alone: no NumPy, no drawing library.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .record import Record, StudyRecord, ViewRecord, number

Points = Sequence[tuple[float, float]]

LEAST, MOST = -18.0, 6.0
"""Powers of ten beyond which nothing is drawn."""
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
REACH = 1.1
"""Half width of the scatter, whose largest derivatives are at 1."""


@dataclass(frozen=True)
class Mark:
    """Something drawn: a "line", "dots", "rings", "crosses", a "band" between two corners.

    `role` is what it stands for: "measured", "claimed", "other", "rounding", "truncation", "bar",
    "step", "ink"; `label` says so in a legend.
    """

    kind: str
    role: str
    points: Points
    label: str = ""


@dataclass(frozen=True)
class Picture:
    """Marks in a frame of linear axes; `alt` says in words what is to be seen."""

    name: str
    title: str
    alt: str
    x_label: str
    y_label: str
    x: tuple[float, float]
    y: tuple[float, float]
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    marks: Sequence[Mark]
    square: bool = False


def label_of(parameter: str, index: Iterable[int]) -> str:
    """``W1[3, 1]``; a scalar is its name alone."""
    inside = ", ".join(map(str, index))
    return f"{parameter}[{inside}]" if inside else parameter


def pictures_of(record: Record) -> list[Picture]:
    """The pictures of a check, without the heat maps of its parameters."""
    drawn = [scatter(record["views"]), study(record["study"])]
    return [picture for picture in drawn if picture is not None]


def scatter(views: Sequence[ViewRecord]) -> Picture | None:
    """Claimed against measured derivatives, each parameter scaled by its largest."""
    wrong = [(a, b) for view in views for a, b in view["points"][: view["wrong"]]]
    right = [(a, b) for view in views for a, b in view["points"][view["wrong"] :]]
    if not (wrong or right):
        return None
    marks = [
        Mark("line", "ink", [(-REACH, -REACH), (REACH, REACH)]),
        Mark("dots", "measured", right, "agrees"),
        Mark("crosses", "claimed", wrong, "certainly off"),
    ]
    ends = ((-1.0, "−1"), (0.0, "0"), (1.0, "1"))
    return Picture(
        "scatter",
        "Claimed against measured",
        f"Scatter of {len(right) + len(wrong)} derivatives, claimed against measured, each"
        f" parameter scaled by its largest: {len(right)} on the diagonal within their error bars,"
        f" {len(wrong)} certainly off it.",
        "claimed",
        "measured",
        (-REACH, REACH),
        (-REACH, REACH),
        ends,
        ends,
        [mark for mark in marks if mark.points],
        square=True,
    )


def study(found: StudyRecord | None) -> Picture | None:
    """Error of difference quotients against their step, on logarithmic axes."""
    if found is None or not found["steps"]:
        return None
    claimed, measured = number(found["analytic"]), number(found["numeric"])
    bar, noise = number(found["uncertainty"]), number(found["noise"])
    bend = number(found["truncation"])
    unit = max(abs(claimed), abs(measured)) or 1.0
    if not math.isfinite(unit):
        return None
    steps = found["steps"]
    central = _errors(steps, found["central"], measured, unit)
    forward = _errors(steps, found["forward"], measured, unit)
    if not central:
        return None
    x = _wide([_log(step) for step in steps])
    off = abs(claimed - measured) / unit
    shown = [*(y for _, y in central), *(y for _, y in forward), *_logs(off, bar / unit)]
    low, high = _wide([value for value in shown if value > LEAST])
    step = _log(found["step"])
    marks = [Mark("line", "step", [(step, low), (step, high)], "step of the check")]
    if bar > 0 and math.isfinite(bar):
        top = min(max(_log(bar / unit), low + 0.15), high)
        marks.append(Mark("band", "bar", [(x[0], low), (x[1], top)], "error bar"))
    for role, intercept, slope, power in (
        ("rounding", noise / (math.sqrt(2) * unit), -1, "1/h"),
        ("truncation", bend / unit, 2, "h²"),
    ):
        if intercept > 0 and math.isfinite(intercept):
            line = _clipped(_log(intercept), slope, x, (low, high))
            marks.append(Mark("line", role, line, f"{role}, {power}"))
    is_off = off > 2 * bar / unit and off > 0
    if is_off:
        level = [(x[0], _log(off)), (x[1], _log(off))]
        marks.append(Mark("line", "claimed", level, "how far the claim is off"))
    for kind, role, errors, label in (
        ("rings", "other", forward, "forward quotients"),
        ("dots", "measured", central, "central quotients"),
    ):
        marks.append(Mark(kind, role, [(step, max(error, low)) for step, error in errors], label))
    label = label_of(found["parameter"], found["index"])
    return Picture(
        "study",
        f"Step-size study of {label}",
        _study_in_words(found, label, off if is_off else 0.0, bend),
        "step h",
        "relative error",
        x,
        (low, high),
        _decades(x),
        _decades((low, high)),
        [mark for mark in marks if mark.points],
    )


def _study_in_words(found: StudyRecord, label: str, off: float, bend: float) -> str:
    pairs = zip(found["steps"], map(number, found["central"]), strict=True)
    measured = number(found["numeric"])
    errors = [(abs(value - measured), step) for step, value in pairs if math.isfinite(value)]
    best = min(errors, default=(math.nan, math.nan))
    words = [
        f"Error of the difference quotients of {label} at {len(found['steps'])} steps from"
        f" {found['steps'][-1]:.0e} to {found['steps'][0]:.0e}, on logarithmic axes.",
        f"It is smallest near a step of {best[1]:.0e}; below, the rounding of the loss grows as"
        " 1/h.",
    ]
    if math.isfinite(bend):
        words.append("Above, truncation grows as h squared.")
    words.append(f"The step of the check is {found['step']:.0e}.")
    if off:
        words.append(f"The claimed value is off by {off:.1e}, whatever the step.")
    else:
        words.append("The claimed value lies within the error bar.")
    return " ".join(words)


def _errors(
    steps: Sequence[float], quotients: Sequence[float | str], truth: float, unit: float
) -> list[tuple[float, float]]:
    """Logarithms of steps and errors; an exact quotient lies at the lower edge."""
    errors = [abs(number(quotient) - truth) / unit for quotient in quotients]
    pairs = zip(steps, errors, strict=True)
    return [(_log(step), max(_log(e), LEAST)) for step, e in pairs if math.isfinite(e)]


def _clipped(
    intercept: float, slope: int, x: tuple[float, float], y: tuple[float, float]
) -> list[tuple[float, float]]:
    """The part of a line that lies inside the frame."""
    ends = sorted((value - intercept) / slope for value in y)
    low, high = max(x[0], ends[0]), min(x[1], ends[1])
    return [(t, intercept + slope * t) for t in (low, high)] if low < high else []


def _log(value: float) -> float:
    return min(math.log10(value), MOST) if value > 0 else LEAST


def _logs(*values: float) -> list[float]:
    return [_log(value) for value in values if value > 0 and math.isfinite(value)]


def _wide(values: Sequence[float]) -> tuple[float, float]:
    """A range with some air around."""
    low, high = min(values, default=-1.0), max(values, default=1.0)
    air = max(0.04 * (high - low), 0.25)
    return low - air, high + air


def _decades(ends: tuple[float, float]) -> list[tuple[float, str]]:
    """At most six ticks at whole powers of ten."""
    low, high = math.ceil(ends[0]), math.floor(ends[1])
    every = max(1, math.ceil((high - low) / 5))
    return [
        (float(power), "1" if power == 0 else "10" + str(power).translate(SUPERSCRIPTS))
        for power in range(-(-low // every) * every, high + 1, every)
    ]

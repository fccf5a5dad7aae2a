"""Text that fits: columns of a terminal, names too long for theirs, characters it cannot show."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

SPELT = {
    "±": "+-",
    "…": "...",
    "−": "-",
    "‖": "||",
    "≤": "<=",
    "≥": ">=",
    "·": "*",
    "×": "x",
    "√": "sqrt",
    "²": "^2",
    "∞": "inf",
    "–": "-",
    "━": "=",
    "─": "-",
    "┊": "|",
    "θ": "theta",
    "λ": "lambda",
    "μ": "mu",
    "σ": "sigma",
    "π": "pi",
    "∂": "d",
    "ε": "eps",
}
"""What stands for a character where the encoding of the output has none for it."""


_ENCODING: ContextVar[str | None] = ContextVar("encoding", default=None)

TIE = "\N{NO-BREAK SPACE}"
"""A space at which no line is broken; plain once it is."""


@dataclass(frozen=True)
class Span:
    """A piece of a line, and what it means.

    Attributes
    ----------
    text : str
    style : {"", "fail", "warn", "pass", "strong", "faint"}
        Only ever repeats what the text says: without colour nothing is lost.
    """

    text: str
    style: str = ""


Line = tuple[Span, ...]


def line(*parts: str | Span) -> Line:
    return tuple(Span(part) if isinstance(part, str) else part for part in parts)


def plain(lines: Sequence[Line]) -> list[str]:
    """The same without styles."""
    return ["".join(span.text for span in spans).rstrip() for spans in lines]


def trimmed(spans: Line) -> Line:
    """A line without blanks at its end."""
    kept = list(spans)
    while kept and not kept[-1].text.strip():
        kept.pop()
    return (*kept[:-1], Span(kept[-1].text.rstrip(), kept[-1].style)) if kept else ()


def faint(spans: Line) -> Line:
    """The same line, all of it in the background."""
    return (Span("".join(span.text for span in spans), "faint"),)


def harmless(text: str) -> str:
    """Text by others with all that is invisible, or would steer a terminal, written out."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(text))


def all_harmless(value: Any) -> Any:
    """The same of every text in plain data, such as a record; lines stay lines."""
    if isinstance(value, str):
        return value if value.isprintable() else "\n".join(map(harmless, value.split("\n")))
    if isinstance(value, dict):
        return {key: all_harmless(item) for key, item in value.items()}
    return [all_harmless(item) for item in value] if isinstance(value, list) else value


def spelt(text: str, encoding: str | None) -> str:
    """`text` in characters that `encoding` has, the others spelt out."""
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return "".join(_spelt(letter, encoding or "utf-8") for letter in text)
    except LookupError:
        return spelt(text, "ascii")
    return text


def _spelt(letter: str, encoding: str) -> str:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return SPELT.get(letter, ascii(letter)[1:-1])
    return letter


@contextmanager
def written_in(encoding: str | None) -> Iterator[None]:
    """What is laid out inside fits when it is written in this encoding: ``theta`` takes five."""
    token = _ENCODING.set(encoding)
    try:
        yield
    finally:
        _ENCODING.reset(token)


def columns(text: str) -> int:
    """How many columns of a terminal `text` takes, in the characters of its encoding."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if _is_wide(letter) else 1
        for letter in spelt(text, _ENCODING.get())
    )


def _is_wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "WF"


def head(text: str, width: int) -> str:
    """As much of the beginning of `text` as fits into so many columns."""
    used = 0
    for place, letter in enumerate(text):
        used += columns(letter)
        if used > width:
            return text[:place]
    return text


def shortened(text: str, width: int) -> str:
    """`text` in at most so many columns: the middle gives way, as names differ at their ends."""
    if columns(text) <= width:
        return text
    if width < 3:
        return head(text, width)
    left = (width - 1) // 2
    return head(text, left) + "…" + head(text[::-1], width - 1 - left)[::-1]


def padded(text: str, width: int, *, right: bool = False) -> str:
    room = " " * max(0, width - columns(text))
    return room + text if right else text + room


def paragraph(text: str, width: int | None, *, label: str = "", indent: int = 7) -> list[str]:
    """`text` broken at its spaces into lines of at most so many columns, a label at the margin.

    With a width of None there is one line.
    """
    room = math.inf if width is None else max(width - indent, 20)
    rows = [""]
    tied = str(text).replace(" ± ", f"{TIE}±{TIE}").replace("(± ", f"(±{TIE}")
    for part in re.split("[ \t\r\n]+", tied.strip()):
        word = TIE.join(map(harmless, part.split(TIE)))
        longer = f"{rows[-1]} {word}" if rows[-1] else word
        if columns(longer) <= room:
            rows[-1] = longer
            continue
        rows += [word] if rows[-1] else []
        rows[-1] = word
        while columns(rows[-1]) > room:
            first = head(rows[-1], int(room))
            rows[-1:] = [first, rows[-1][len(first) :]]
    margins = [padded(label, indent), *[" " * indent] * (len(rows) - 1)]
    rows = [row.replace(TIE, " ") for row in rows]
    return [(margin + row).rstrip() for margin, row in zip(margins, rows, strict=True)]


def listed(names: Sequence[str], most: int = 4, room: int = 44) -> str:
    """``W1, b1 and 4 more``: at most so many names, and columns, but always one."""
    shown: list[str] = []
    for name in map(harmless, names):
        if shown and (len(shown) == most or columns(", ".join([*shown, name])) > room):
            break
        shown.append(name)
    if len(names) > len(shown):
        shown.append(f"{len(names) - len(shown)} more")
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def shortened_alike(names: Sequence[str], width: int) -> list[str]:
    """Names in at most so many columns each: what they have in common gives way first."""
    if all(columns(name) <= width for name in names):
        return list(names)
    front = _common_beginning(names)
    back = _common_beginning([name[len(front) :][::-1] for name in names])[::-1]
    cores = [name[len(front) : len(name) - len(back)] for name in names]
    room = width - max(map(columns, cores))
    if len(set(names)) == 1:
        return [shortened(name, width) for name in names]
    if room < 2 * len("a…b"):
        ends = ("…" if columns(front) > 1 else front), ("…" if columns(back) > 1 else back)
        return [shortened(ends[0] + core + ends[1], width) for core in cores]
    left = min(columns(front), max(room // 2, room - columns(back)))
    ends = shortened(front, left), shortened(back, room - left)
    return [shortened(ends[0] + core + ends[1], width) for core in cores]


def _common_beginning(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    places = (i for i, letter in enumerate(first) if last[i : i + 1] != letter)
    return first[: next(places, len(first))]


def table(
    rows: Sequence[Sequence[str | Span]], *, left: Sequence[int] = (0,), gap: str = "  "
) -> list[Line]:
    """Rows of cells in columns as wide as their widest cell; to the left where it says so."""
    spans = [[Span(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    widths = [max(columns(cell.text) for cell in column) for column in zip(*spans, strict=True)]
    return [
        tuple(
            part
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            for part in (
                Span(gap if i else ""),
                Span(padded(cell.text, width, right=i not in left), cell.style),
            )
        )
        for row in spans
    ]

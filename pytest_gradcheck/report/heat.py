"""The error of one parameter, cell by cell, as a picture of one pixel for each."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from .record import ViewRecord

LETTERS = "abcdefghijklmnopqrstuvwxyz"
"""From a relative error of 1e-12 to one above 1: `pytest_gradcheck.core.view` has them."""
CERTAIN = ((233, 168, 32), (214, 62, 42), (140, 8, 60))
"""Colours of certain errors, from small to large; they stand on a light page and on a dark one."""
WITHIN = (128, 134, 145)
"""Of what lies within its error bar; it is mostly transparent."""
Color = tuple[int, int, int, int]


def _between(part: float) -> Color:
    """Colour of a certain error, `part` of the way from the smallest to the largest."""
    place = part * (len(CERTAIN) - 1)
    i = min(int(place), len(CERTAIN) - 2)
    rgb = (
        round(a + (place - i) * (b - a)) for a, b in zip(CERTAIN[i], CERTAIN[i + 1], strict=True)
    )
    return (*rgb, round(255 * (0.35 + 0.65 * min(1.0, 1.6 * part))))  # type: ignore[return-value]


COLORS: dict[str, Color] = {
    ".": (0, 0, 0, 0),
    "?": (*WITHIN, 24),
    "!": (84, 40, 160, 255),
    **{letter: (*WITHIN, 8 + 5 * i) for i, letter in enumerate(LETTERS)},
    **{letter.upper(): _between(i / (len(LETTERS) - 1)) for i, letter in enumerate(LETTERS)},
}
_CODE = {letter: code for code, letter in enumerate(COLORS)}


@dataclass(frozen=True)
class Heat:
    """A heat map: its letters, and what they show in words."""

    parameter: str
    shape: str
    rows: int
    columns: int
    cells: Sequence[str]

    @classmethod
    def of(cls, view: ViewRecord) -> Heat:
        cells = view["cells"]
        rows, columns = len(cells), len(cells[0])
        shape = " × ".join(map(str, view["shape"]))
        return cls(view["parameter"], shape, rows, columns, cells)

    @property
    def wrong(self) -> bool:
        """Whether any error in it is certain."""
        return any(letter.isupper() or letter == "!" for row in self.cells for letter in row)

    @property
    def seen(self) -> str:
        """What stands out: how many cells, in which rows and columns."""
        return _seen(self.cells)

    @property
    def alt(self) -> str:
        return f"Heat map of the error of {self.parameter} ({self.shape}): {self.seen}."

    @property
    def source(self) -> str:
        """A data URI, for ``<img src>``."""
        return "data:image/png;base64," + base64.b64encode(png(self.cells)).decode("ascii")


def _seen(cells: Sequence[str]) -> str:
    wrong = [[letter.isupper() or letter == "!" for letter in row] for row in cells]
    count = sum(map(sum, wrong))
    if not count:
        return "agrees" if any(set(row) - {"?"} for row in cells) else "entries not told apart"
    total = len(cells) * len(cells[0])
    rows = [i for i, row in enumerate(wrong) if any(row)]
    columns = [j for j in range(len(cells[0])) if any(row[j] for row in wrong)]
    where = f"in {_some(rows, len(cells), 'row')} and {_some(columns, len(cells[0]), 'column')}"
    return f"certainly wrong in {count} of {total} cells, {where}"


def _some(which: Sequence[int], length: int, what: str) -> str:
    if len(which) == length:
        return f"every {what}" if length > 1 else f"the only {what}"
    listed = ", ".join(map(str, which[:3])) + (", ..." if len(which) > 3 else "")
    return f"{what}{'s' if len(which) > 1 else ''} {listed} of cells"


def png(cells: Sequence[str]) -> bytes:
    """Letters as a PNG image with a palette."""
    palette = b"".join(bytes(color[:3]) for color in COLORS.values())
    alpha = bytes(color[3] for color in COLORS.values())
    lines = b"".join(b"\0" + bytes(_CODE[letter] for letter in row) for row in cells)
    header = struct.pack(">IIBBBBB", len(cells[0]), len(cells), 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", palette),
        (b"tRNS", alpha),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

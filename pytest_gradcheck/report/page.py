"""All checks of a run as one page, a single file that needs no network.

Needs Jinja2, which escapes whatever comes from the user: names, messages, node ids.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import Any

from ..settings import Settings
from .cells import all_harmless
from .document import document
from .heat import COLORS, LETTERS, Heat
from .pictures import label_of, pictures_of
from .record import STATUSES, BlockRecord, EntryRecord, Record, number, worst_first
from .svg import svg_of

BLOCKS, ENTRIES = 60, 40
"""Rows of the tables of one check, the worst first: the records have them all."""
LETTERS_OF_A_MESSAGE = 2_000
SIDE, CELL, STRIP = 240, 16, 14
"""Pixels: of a heat map, of its cells at most, of the height of a vector."""
GAUGE = (-12.0, 0.0)
"""Powers of ten between which relative errors are drawn."""
AT_ONCE = 100
"""Checks up to which the page is all there without its script; above, each is made when opened."""
SIGNS = {"fail": "✕", "warn": "!", "pass": "✓"}
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What the page may load: nothing, but for its own style and pictures."""
OPEN = 5
"""So many failed checks are open when the page is opened, if there are no more."""


def page(records: Iterable[Record]) -> str:
    """The page as HTML.

    Raises
    ------
    ImportError
        Without Jinja2.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pytest_gradcheck.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "error": _error,
        "bar": _bar,
        "shape": _shape,
        "count": _count,
        "value": _value,
        "breakable": _breakable,
    }
    run = document(map(all_harmless, records))
    ranked = sorted(run["checks"], key=worst_first)
    few = run["totals"]["fail"] <= OPEN
    script, style = _part("page.js"), _part("page.css")
    return environment.get_template("page.html").render(
        run=run,
        checks=[_check(record, i, few) for i, record in enumerate(ranked, 1)],
        statuses=STATUSES,
        signs=SIGNS,
        script=script,
        style=style,
        policy=f"{POLICY}; script-src {_hash(script)}",
        ramps=_ramps(),
        later=len(ranked) > AT_ONCE,
    )


def _check(record: Record, place: int, few: bool) -> dict[str, Any]:
    """What the template says of one check."""
    from markupsafe import Markup

    blocks, entries = _ranked(record["blocks"]), record["worst"]
    return {
        "id": f"check-{place}",
        "record": record,
        "open": few and record["status"] == "fail",
        "gauge": _gauge(record, record["settings"]),
        "findings": [
            {**finding, "message": _cut(finding["message"])}
            for finding in record["findings"]
            if finding["message"] not in record["headline"]
        ],
        "headline": _cut(record["headline"]),
        "blocks": [
            {**block, "gauge": _gauge(block, record["settings"])} for block in blocks[:BLOCKS]
        ],
        "blocks_left": max(0, len(blocks) - BLOCKS),
        "entries": [_entry(entry) for entry in entries[:ENTRIES]],
        "entries_left": max(0, record["size"] - min(len(entries), ENTRIES)),
        "settings": _settings(record["settings"]),
        "heats": [_heat(Heat.of(view)) for view in record["views"]],
        "pictures": [
            (picture, Markup(svg_of(picture, f"picture-{place}-{picture.name}")))
            for picture in pictures_of(record)
        ],
        "study": record["study"],
    }


def _ranked(blocks: Sequence[BlockRecord]) -> Sequence[BlockRecord]:
    """In their own order, unless there are too many."""
    if len(blocks) <= BLOCKS:
        return blocks
    return sorted(blocks, key=lambda block: STATUSES.index(block["status"]))


def _entry(entry: EntryRecord) -> dict[str, Any]:
    share = number(entry["share"])
    return {
        **entry,
        "label": label_of(entry["parameter"], entry["index"]),
        "percent": f"{100 * share:.1f}" if math.isfinite(share) else "?",
    }


def _gauge(judged: Record | BlockRecord, settings: dict[str, Any]) -> str:
    """Where the relative error lies, with its error bar and the thresholds, in percent."""
    error, bar = number(judged["relative_error"]), number(judged["uncertainty"])
    places = {"a": error - bar, "x": error, "b": error + bar}
    places |= {name[0]: float(settings[name]) for name in ("tol", "warn", "fail")}
    return ";".join(f"--{name}:{_percent(value):.1f}%" for name, value in places.items())


def _percent(value: float) -> float:
    low, high = GAUGE
    if math.isnan(value):
        return 100.0
    power = math.log10(value) if 0 < value < math.inf else (low if value <= 0 else high)
    return 100 * (min(max(power, low), high) - low) / (high - low)


def _heat(heat: Heat) -> dict[str, Any]:
    cell = min(CELL, SIDE / max(heat.rows, heat.columns))
    height = STRIP if heat.rows == 1 else heat.rows * cell
    return {
        "heat": heat,
        "width": max(2, round(heat.columns * cell)),
        "height": max(2, round(height)),
    }


def _settings(settings: dict[str, Any]) -> list[tuple[str, Any]]:
    """Those that are not as they are by default."""
    usual = Settings().written() | {"mode": settings.get("mode"), "seed": settings.get("seed")}
    usual |= {"study": settings.get("study")}
    plain = {name: list(v) if isinstance(v, tuple) else v for name, v in usual.items()}
    return [(name, v) for name, v in settings.items() if plain.get(name) != v]


def _ramps() -> dict[str, str]:
    """The colours of heat maps as CSS gradients, for their legend."""
    return {
        name: ",".join("rgba({},{},{},{:.2f})".format(*c[:3], c[3] / 255) for c in ramp)
        for name, ramp in (
            ("certain", [COLORS[letter.upper()] for letter in LETTERS[::3]]),
            ("within", [COLORS[letter] for letter in LETTERS[::3]]),
        )
    }


def _cut(text: str) -> str:
    return text if len(text) <= LETTERS_OF_A_MESSAGE else text[:LETTERS_OF_A_MESSAGE] + " …"


def _error(value: float | str) -> str:
    """A relative error: 0.31, 4.2e-08."""
    figure = number(value)
    if not math.isfinite(figure):
        return "NaN" if math.isnan(figure) else "∞"
    return f"{figure:.2g}" if figure == 0 or 1e-3 <= figure < 100 else f"{figure:.1e}"


def _bar(value: float | str) -> str:
    """An error bar, of one digit."""
    figure = number(value)
    return f"± {figure:.0e}" if math.isfinite(figure) else "± ?"


def _value(value: float | str) -> str:
    """A derivative."""
    figure = number(value)
    if not math.isfinite(figure):
        return "NaN" if math.isnan(figure) else "∞" if figure > 0 else "−∞"
    return f"{figure:.8g}".replace("-", "−", 1) if figure < 0 else f"{figure:.8g}"


def _breakable(name: str) -> Any:
    """A node id that may be broken where a reader would."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"(::|[/_\[])", r"\1<wbr>", str(escape(name))))


def _shape(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape)) or "scalar"


def _count(value: int) -> str:
    return f"{value:,}"


@cache
def _part(name: str) -> str:
    """Style or script of the page: its own text, marked as safe."""
    from markupsafe import Markup

    folder = resources.files("pytest_gradcheck.report") / "templates"
    return Markup((folder / name).read_text(encoding="utf-8"))


def _hash(script: str) -> str:
    """The one script that the page may run."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"

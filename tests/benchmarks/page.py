"""The page for 500 checks: its size, what it takes to write it and to open it in a browser."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from selenium import webdriver
from tables import parser, publish, table, versions

from pytest_gradcheck import check
from pytest_gradcheck.report.page import page
from pytest_gradcheck.report.record import Record, record_of

CHECKS, REPEATS = 500, 5
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TIMES = """
const t = performance.getEntriesByType("navigation")[0];
return [t.duration, document.getElementsByTagName("*").length];
"""


class Network:
    """Three tanh layers; `scaled` spoils the gradient of one of them."""

    def __init__(self, width: int, scaled: dict[str, float]) -> None:
        rng = np.random.default_rng(0)
        self.X, self.Y = rng.normal(size=(8, width)), rng.normal(size=(8, width))
        self.scaled = scaled
        self.params = {f"W{i}": rng.normal(size=(width, width)) / width**0.5 for i in range(3)}
        self.params |= {f"b{i}": 0.1 * rng.normal(size=width) for i in range(3)}

    def _layers(self) -> list[np.ndarray]:
        layers = [self.X]
        for i in range(3):
            layers.append(np.tanh(layers[-1] @ self.params[f"W{i}"] + self.params[f"b{i}"]))
        return layers

    def loss(self) -> float:
        return float(0.5 * np.sum((self._layers()[-1] - self.Y) ** 2))

    def grads(self) -> dict[str, np.ndarray]:
        layers, found = self._layers(), {}
        below = layers[-1] - self.Y
        for i in reversed(range(3)):
            delta = below * (1 - layers[i + 1] ** 2)
            found[f"W{i}"], found[f"b{i}"] = layers[i].T @ delta, delta.sum(axis=0)
            below = delta @ self.params[f"W{i}"].T
        return {name: self.scaled.get(name, 1.0) * g for name, g in found.items()}


def records(failing: int) -> list[Record]:
    """Records of so many checks; networks of several sizes, of which `failing` are wrong."""
    shapes = [(6, {}), (16, {}), (60, {})]
    spoilt = [(6, {"W0": -1.0}), (16, {"W1": 2.0, "b1": 2.0}), (24, {"b0": 0.0}), (60, {"W2": 1.1})]
    right, wrong = ([_record(*one) for one in kind] for kind in (shapes, spoilt))
    chosen = [*islice(cycle(wrong), failing), *islice(cycle(right), CHECKS - failing)]
    named = (f"tests/models/test_networks.py::test_gradient[{i}]" for i in range(CHECKS))
    return [Record(**{**r, "test": test}) for r, test in zip(chosen, named, strict=True)]


def _record(width: int, scaled: dict[str, float]) -> Record:
    return record_of(
        check(Network(width, scaled), study=True), command="python -m pytest tests/models"
    )


def opened(path: Path) -> tuple[float, int]:
    """Median seconds until the page has loaded, and the number of its elements."""
    options = webdriver.ChromeOptions()
    for option in OPTIONS:
        options.add_argument(option)
    options.binary_location = shutil.which("chromium") or ""
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        seen: list[tuple[float, int]] = []
        for _ in range(REPEATS):
            driver.get("about:blank")
            driver.get(path.as_uri())
            seen.append(tuple(driver.execute_script(TIMES)))
        return median(duration for duration, _ in seen) / 1000, seen[0][1]
    finally:
        driver.quit()


def row(failing: int, folder: Path) -> list[Any]:
    made = records(failing)
    start = time.process_time()
    text = page(made)
    seconds = time.process_time() - start
    path = folder / f"{failing}.html"
    path.write_text(text, encoding="utf-8")
    duration, elements = opened(path)
    record = len(json.dumps(made)) / CHECKS
    return [
        f"{CHECKS} checks, {failing} of them fail",
        f"{path.stat().st_size / 1e6:.1f} MB",
        f"{record / 1e3:.1f} kB",
        f"{seconds:.1f} s",
        f"{duration:.2f} s",
        f"{elements:,}",
    ]


def main() -> None:
    options = parser(__doc__).parse_args()
    header = ["", "page", "record of a check", "to write", "to open", "elements"]
    with tempfile.TemporaryDirectory() as folder:
        rows = [row(failing, Path(folder)) for failing in (0, 25, CHECKS)]
    text = (
        "## The page\n\n"
        "`python tests/benchmarks/page.py --write`\n\n"
        f"{CHECKS} checks of networks of 126 to 10,980 parameters, as `--gradcheck-html` writes"
        f" them, opened in headless Chromium (median of {REPEATS}). {versions('jinja2')}."
        " Goals: under 20 MB, opened in under 2 s.\n\n" + table(header, rows)
    )
    publish("page", text, write=options.write)


if __name__ == "__main__":
    main()

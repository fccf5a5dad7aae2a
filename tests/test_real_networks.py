"""Real networks in float32 with dropout on: the ones of tests/benchmarks/frameworks.py."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("equinox")
pytest.importorskip("flax")


@pytest.mark.parametrize("name", ["Equinox, transformer block", "Flax NNX, convolutional network"])
def test_verified_in_few_evaluations_and_one_wrong_entry_named(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent / "benchmarks")
    run = importlib.import_module("frameworks").NETWORKS[name]
    right = run(wrong=False)
    assert right.status == "pass"
    assert right.evaluations <= 60
    wrong = run(wrong=True)
    assert (wrong.status, wrong.worst[0].label) == ("fail", "out[7, 5]")

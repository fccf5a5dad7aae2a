"""Whatever goes wrong in a call, all stands as before, and what went wrong is said.

A part of what `benchmarks/faults.py` does: there every call fails, here some of them.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import pytest
from faults.injector import Plan
from faults.kinds import KINDS
from faults.lines import interrupted, lines
from faults.standing import Standing
from faults.subjects import MODES, SUBJECTS, parameters
from faults.trial import calls, checked, fault, plans
from models import Holder

from pytest_gradcheck import SubjectError, check

QUICK = ("hooks", "hooks, losses", "hooks, set_params", "hooks, float32", "functions")
OTHERS = tuple(name for name in SUBJECTS if name not in QUICK)
FRAMEWORKS = {"torch": "torch", "jax": "jax"}


def require(subject: str) -> None:
    framework = FRAMEWORKS.get(subject.partition(",")[0])
    if framework and find_spec(framework) is None:
        pytest.skip(f"needs {framework}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("subject", [*QUICK, "torch, float32"])
def test_each_kind_of_fault_at_the_first_calls_of_a_plain_check(subject: str, kind: str) -> None:
    require(subject)
    found = {at: fault(subject, "plain", kind, at) for at in range(1, 6)}
    assert not any(found.values()), found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_another_kind_of_fault_at_calls_all_over_a_check(subject: str, mode: str) -> None:
    require(subject)
    few = 3 if subject.startswith("jax") else 10
    turn = 7 * list(SUBJECTS).index(subject) + 3 * list(MODES).index(mode)
    every = list(plans(calls(subject, mode, factor=1.1), turn))
    chosen = [every[i] for i in np.unique(np.linspace(0, len(every) - 1, few).astype(int))]
    found = {(at, kind): fault(subject, mode, kind, at, factor=1.1) for at, kind in chosen}
    assert not any(found.values()), found


@pytest.fixture(scope="module")
def worker() -> Iterator[Executor]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        yield executor


@pytest.mark.parametrize("subject", [s for s in QUICK if s.startswith("hooks")])
def test_a_fault_in_a_worker(subject: str, worker: Executor) -> None:
    found = {}
    for i, kind in enumerate(KINDS):
        at = 1 + i % 12
        found[kind, at] = fault(subject, "plain", kind, at, executor=worker)
    assert not any(found.values()), found


@pytest.mark.parametrize("mode", ["plain", "exhaustive"])
@pytest.mark.parametrize("subject", ["hooks", "hooks, set_params", "functions"])
def test_an_interrupt_at_lines_all_over_leaves_all_as_before(subject: str, mode: str) -> None:
    """A hundred of them; the benchmark of faults has every line."""

    def run() -> Any:
        return checked(trial, mode, {})

    trial = SUBJECTS[subject](Plan.of(), 1.1)
    places = lines(run)
    assert len(places) > 300
    left = {}
    for at in places[:: len(places) // 100]:
        trial = SUBJECTS[subject](Plan.of(), 1.1)
        standing = Standing(trial.roots)
        interrupted(run, at)
        left[at] = standing.changed()
    assert not any(left.values()), {at: names for at, names in left.items() if names}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("makes read-only", r"W: writeable True -> False"),
        ("reshapes in place", r"b: shape \(2,\) -> \(2, 1\)"),
        ("changes dtype in place", r"b: .*dtype float64 -> uint8"),
    ],
)
def test_what_a_loss_did_to_the_arrays_is_said(kind: str, words: str) -> None:
    trial = SUBJECTS["hooks"](Plan.of(kind, 5), 1.0)
    with pytest.raises(SubjectError, match=words):
        check(*trial.args)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("ragged list", "type list"),
        ("odd object", "type Odd"),
        ("huge integer", "beyond the range|type int"),
        ("masked", "(?i)masked"),
    ],
)
@pytest.mark.parametrize("at", [1, 2])
def test_what_is_no_number_is_told(kind: str, words: str, at: int) -> None:
    with pytest.raises(SubjectError, match=words):
        check(*SUBJECTS["hooks"](Plan.of(kind, at), 1.0).args)


def test_numbers_of_more_than_double_precision_are_not_taken_for_changed() -> None:
    W = np.array([1, 2, -3], dtype=np.longdouble) / 7
    before = W.tobytes()

    def loss(p: Any) -> Any:
        return np.sum(np.sin(p["W"]))

    for mode in MODES.values():
        result = check(
            loss=loss, grads=lambda p: {"W": np.cos(p["W"])}, params={"W": W}, seed=0, **mode
        )
        assert result.status == "pass"
        assert W.tobytes() == before


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
def test_an_object_in_float32_is_measured_in_float64(mode: str) -> None:
    trial = SUBJECTS["hooks, float32"](Plan.of(), 1.0)
    result = check(*trial.args, mode=mode, seed=0)
    assert result.status == "pass"
    assert result.evaluations < 150


@pytest.mark.parametrize("container", [list, tuple])
def test_numbers_in_float32_are_measured_in_float64(container: Any) -> None:
    subject = Holder(container([np.float32(2.25), np.float32(0.5)]))
    before = list(map(id, subject.params))
    result = check(subject)
    assert result.status == "pass"
    assert result.evaluations < 100
    assert list(map(id, subject.params)) == before


class Layers(NamedTuple):
    first: Any
    second: Any


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
def test_arrays_in_tuples_are_measured_in_float64(mode: str) -> None:
    W = np.array([1.625, -0.375, 2.3125], np.float32)
    subject = Holder({"net": (Layers(W, np.array([0.5, -2.0], np.float32)), np.array([0.25]))})
    before = subject.params["net"]
    result = check(subject, mode=mode, seed=0)
    assert result.status == "pass"
    assert result.evaluations < 150
    assert subject.params["net"] is before and before[0].first is W


def test_params_that_want_arguments_are_refused() -> None:
    subject = Holder(len)
    with pytest.raises(SubjectError, match=r"Holder\.params is a function that takes arguments"):
        check(subject)


class Collections:
    """Keeps what it has seen in containers of every kind, and in slots."""

    __slots__ = ("__seen", "params", "queue", "raw", "table")

    def __init__(self) -> None:
        from collections import deque

        self.params, self.queue, self.raw = parameters(), deque([1.0], maxlen=3), bytearray(b"ab")
        self.__seen: set[float] = {1.0}
        self.table = {"first": 1, "second": 2}

    def loss(self) -> float:
        x = float(np.sum(self.params["b"]))
        self.queue.append(x)
        self.__seen.add(x)
        self.raw.extend(b"c")
        self.table["first"] = self.table.pop("first")
        self.table["third"] = 3
        return x**2

    def grads(self) -> Any:
        x = float(np.sum(self.params["b"]))
        return {k: np.full(np.shape(v), 2 * x if k == "b" else 0) for k, v in self.params.items()}

    @property
    def all(self) -> Any:
        return list(self.queue), self.raw, self.__seen, list(self.table)


def test_containers_of_every_kind_stand_as_before() -> None:
    subject = Collections()
    assert check(subject, allow=["zero-gradient"]).status == "pass"
    assert subject.all == ([1.0], b"ab", {1.0}, ["first", "second"])
    assert subject.queue.maxlen == 3

"""Many points in one call: the optional hook ``losses(batch)``."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from shipped import Batched, Net, Scalars

from pytest_gradcheck import Problem, SubjectError, check
from pytest_gradcheck.adapters import hooks
from pytest_gradcheck.core import batch as batch_module
from pytest_gradcheck.core.batch import Batches
from pytest_gradcheck.core.evaluators import workers
from pytest_gradcheck.core.exhaustive import one_by_one
from pytest_gradcheck.core.loss import Loss
from pytest_gradcheck.core.parameters import Parameter, Scalar
from pytest_gradcheck.core.point import Point
from pytest_gradcheck.core.result import Result
from pytest_gradcheck.core.structure import flatten
from pytest_gradcheck.settings import merge


def verdict(result: Result) -> Any:
    return result.status, [(entry.parameter, entry.index) for entry in result.worst]


class Counting(Batched):
    """Counts the points of each batch, in a global: attributes are put back."""

    def losses(self, batch: dict[str, np.ndarray]) -> np.ndarray:
        POINTS.append(len(batch["W"]))
        return super().losses(batch)

    def loss(self) -> float:
        SINGLE.append(1)
        return super().loss()


POINTS: list[int] = []
SINGLE: list[int] = []


@pytest.fixture(autouse=True)
def _count_from_zero() -> None:
    POINTS.clear()
    SINGLE.clear()


@pytest.mark.parametrize("factor", [1.0, 1.001])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_result_is_that_of_single_evaluations(factor: float, dtype: Any) -> None:
    options = {"factor": factor, "dtype": dtype}
    assert verdict(check(Batched(**options))) == verdict(check(Net(**options)))


def test_first_pass_is_made_of_batches() -> None:
    check(Counting())
    assert POINTS == [3, 24, 24, 4, 4]  # three to compare, then both sides of every entry
    assert len(SINGLE) < 2 * 28


def test_every_point_counts_as_an_evaluation() -> None:
    assert check(Batched(), refine=False).evaluations == 2 + 3 + 3 + 2 * 28


def test_forward_scheme() -> None:
    result = check(Counting(), scheme="forward", refine=False, tol=1e-5)
    assert result.status == "pass"
    assert sum(POINTS) == 3 + 28


def test_batches_are_of_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_module, "MEMORY", 5 * 28 * 8)
    assert check(Counting()).status == "pass"
    assert max(POINTS) == 5


@pytest.mark.parametrize(("entries", "points"), [(2**10, 1024), (2**20, 8), (2**24, 1)])
def test_more_points_than_memory_allows_are_not_in_one_batch(entries: int, points: int) -> None:
    x = np.broadcast_to(1.0, entries).view()
    x.flags.writeable = True  # of a single number: nothing is moved here
    batches = Batches(lambda batch: 0.0, [Parameter("x", x)], Loss(lambda: 0.0), 0.0)
    assert batches.points == points


def test_a_batch_too_large_for_memory_is_tried_smaller() -> None:
    class Small(Counting):
        def losses(self, batch: dict[str, np.ndarray]) -> np.ndarray:
            if len(POINTS) and len(batch["W"]) > 1:
                POINTS.append(len(batch["W"]))
                raise MemoryError
            return super().losses(batch)

    assert check(Small()).status == "pass"
    assert POINTS[:4] == [3, 24, 6, 1]
    assert set(POINTS[3:]) == {1}
    assert POINTS.count(1) >= 20


def test_no_entry_is_left_out_where_memory_runs_out_on_the_way() -> None:
    def losses(batch: list[np.ndarray]) -> np.ndarray:
        if len(batch[0]) > 300:
            raise MemoryError
        return np.sum(batch[0], axis=1)

    parameter = Parameter("x", np.zeros(3000))
    loss = Loss(lambda: float(np.sum(parameter.array)))
    found = Batches(losses, [parameter], loss, 0.0)(parameter, np.zeros(3000), np.ones(3000))
    assert np.all(found == 1)


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_parameters_of_any_size_are_moved_in_batches(size: float) -> None:
    class Logarithms:
        def __init__(self) -> None:
            self.params = size * np.linspace(-1, 2, 13)  # one of them is zero

        def loss(self) -> float:
            SINGLE.append(1)
            return float(np.sum(np.log((3 * size) ** 2 - self.params**2)))

        def losses(self, batch: np.ndarray) -> np.ndarray:
            return np.sum(np.log((3 * size) ** 2 - batch**2), axis=1)

        def grads(self) -> np.ndarray:
            return -2 * self.params / ((3 * size) ** 2 - self.params**2)

    assert check(Logarithms(), refine=False, eps=1e-8 * min(size, 1.0), tol=1e-5).status == "pass"
    assert len(SINGLE) <= 5


def test_numbers_that_do_not_move_are_in_a_batch_as_they_are_by_then() -> None:
    held = {"a": 2.0, "x": np.array([1.0, 3.0])}
    parameters = [
        Parameter(leaf.name, leaf.value) if leaf.is_array else Scalar(leaf)
        for leaf in flatten(held)
    ]

    def losses(batch: list[np.ndarray]) -> np.ndarray:
        POINTS.append(len(batch[0]))
        return batch[0] * np.sum(batch[1] ** 2, axis=1)

    loss = Loss(lambda: held["a"] * float(np.sum(held["x"] ** 2)))
    batches = Batches(losses, parameters, loss, 0.0)
    parameters[0].write(np.array([5.0]))
    for parameter in parameters:
        theta = parameter.read()
        expected = one_by_one(loss, parameter, theta, theta + 0.5)
        assert batches(parameter, theta, theta + 0.5) == pytest.approx(expected, rel=1e-15)
    assert POINTS == [3, 1, 2]


def test_unmoved_parameters_are_views() -> None:
    class Looking(Batched):
        def losses(self, batch: dict[str, np.ndarray]) -> np.ndarray:
            for name, array in batch.items():
                assert array.shape == (array.shape[0], *self.params[name].shape)
                if array.shape[0] > 3:
                    seen.add((name, array.strides[0] == 0))
            return super().losses(batch)

    seen: set[tuple[str, bool]] = set()
    assert check(Looking()).status == "pass"
    assert seen == {("W", True), ("W", False), ("b", True), ("b", False)}


def test_scalars_become_arrays() -> None:
    assert check(Scalars()).status == "pass"


def test_arguments_are_handed_over() -> None:
    class Given(Batched):
        def loss(self, scale: float) -> float:
            return super().loss() * scale

        def losses(self, batch: dict[str, np.ndarray], scale: float) -> np.ndarray:
            SINGLE.append(1)
            return super().losses(batch) * scale

        def grads(self, scale: float) -> dict[str, np.ndarray]:
            return {name: g * scale for name, g in super().grads().items()}

    assert check(Given(), 3.0).status == "pass"
    assert SINGLE


def test_another_name() -> None:
    class Renamed(Counting):
        losses = None  # type: ignore[assignment]
        many = Counting.losses

    assert check(Renamed()).status == "pass"
    assert not POINTS
    assert check(Renamed(), hooks={"losses": "many"}).status == "pass"
    assert POINTS


@pytest.mark.parametrize("past", [[0.5, 0.25], lambda: [0.5], lambda X, y: 0.0])
def test_something_else_of_that_name_is_no_hook(past: Any) -> None:
    net = Net()
    net.losses = past  # type: ignore[attr-defined]
    assert check(net).status == "pass"


def test_tied_parameters_are_evaluated_one_by_one() -> None:
    class Tied(Counting):
        def __init__(self) -> None:
            super().__init__()
            self.params["again"] = self.params["b"]

        def grads(self) -> dict[str, np.ndarray]:
            found = super().grads()
            return {**found, "again": np.zeros(4)}

    assert check(Tied(), allow=["tied"]).status == "pass"
    assert not POINTS


def test_before_each_is_called() -> None:
    calls = [0]

    def count() -> None:
        calls[0] += 1

    check(Counting(), before_each=count)
    assert calls[0] >= len(SINGLE) + len(POINTS)


def test_points_outside_the_domain_are_evaluated_one_by_one() -> None:
    class Log:
        def __init__(self) -> None:
            self.params = np.array([1e-9, 1.0, 2.0])

        def loss(self) -> float:
            return float(np.sum(np.log(self.params)))

        def losses(self, batch: np.ndarray) -> np.ndarray:
            if np.any(batch < 0):
                raise ValueError("math domain error")
            return np.sum(np.log(batch), axis=1)

        def grads(self) -> np.ndarray:
            return 1 / self.params

    assert check(Log()).status == "pass"


def test_losses_held_by_their_generators_are_evaluated_one_by_one() -> None:
    class Draws(Counting):
        def __init__(self) -> None:
            super().__init__()
            self.rng = np.random.default_rng(0)

        def loss(self) -> float:
            return super().loss() * (1 + self.rng.random())

        def grads(self) -> dict[str, np.ndarray]:
            scale = 1 + self.rng.random()
            return {name: g * scale for name, g in super().grads().items()}

    assert check(Draws(), allow=["nondeterministic"]).status == "pass"
    assert not POINTS


class TestMistakes:
    def test_own_parameters_instead_of_the_batch(self) -> None:
        class Ignores(Batched):
            def losses(self, batch: dict[str, np.ndarray]) -> np.ndarray:
                return np.full(len(batch["W"]), self.loss())

        with pytest.raises(SubjectError, match="does it read the object's own parameters"):
            check(Ignores())

    def test_own_parameters_where_all_are_zero(self) -> None:
        class Ignores(Batched):
            def losses(self, batch: dict[str, np.ndarray]) -> np.ndarray:
                return np.full(len(batch["W"]), self.loss())

        ignores = Ignores()
        for array in ignores.params.values():
            array[...] = 0.0
        with pytest.raises(SubjectError, match="does it read the object's own parameters"):
            check(ignores)

    @pytest.mark.parametrize(("off", "is_noise"), [(5e-6, True), (2e-5, False)])
    def test_less_than_a_few_times_the_noise_of_the_loss_is_none(
        self, off: float, is_noise: bool
    ) -> None:
        x = np.array([1.0, 2.0])
        loss = Loss(lambda: float(np.sum(x)))
        batches = Batches(
            lambda batch: np.sum(batch[0], axis=1) + off, [Parameter("x", x)], loss, jitter=1e-6
        )
        if is_noise:
            assert np.allclose(batches(batches.parameters[0], x.copy(), x + 1), 4.0)
        else:
            with pytest.raises(SubjectError, match="disagree"):
                batches(batches.parameters[0], x.copy(), x + 1)

    def test_another_loss(self) -> None:
        class Mean(Batched):
            def losses(self, batch: dict[str, np.ndarray]) -> np.ndarray:
                return super().losses(batch) / 5

        with pytest.raises(SubjectError, match=r"disagree at the point itself: .* against"):
            check(Mean())

    def test_low_precision(self) -> None:
        class Single(Batched):
            def losses(self, batch: dict[str, np.ndarray]) -> np.ndarray:
                return super().losses(batch).astype(np.float32)

        with pytest.raises(SubjectError, match="the same precision"):
            check(Single())

    @pytest.mark.parametrize(
        ("given", "what"),
        [(1.0, r"type float \(shape \(\)"), (np.zeros((2, 2)), r"shape \(2, 2\)")],
    )
    def test_not_one_number_for_each_point(self, given: Any, what: str) -> None:
        class Wrong(Batched):
            def losses(self, batch: dict[str, np.ndarray]) -> Any:
                return given

        with pytest.raises(SubjectError, match=what):
            check(Wrong())

    def test_exception(self) -> None:
        class Raises(Batched):
            def losses(self, batch: dict[str, np.ndarray]) -> np.ndarray:
                raise RuntimeError("no vmap here")

        net = Raises()
        before = {name: array.tobytes() for name, array in net.params.items()}
        with pytest.raises(SubjectError, match="raised RuntimeError: no vmap here"):
            check(net)
        assert before == {name: array.tobytes() for name, array in net.params.items()}

    def test_way_out_is_named_and_works(self) -> None:
        class Other(Net):
            def losses(self, names: Any) -> list[str]:
                return list(names)

        with pytest.raises(SubjectError, match=r'hooks=\{"losses": "none"\}'):
            check(Other())
        assert check(Other(), hooks={"losses": "none"}).status == "pass"


def test_a_problem_can_bring_its_own() -> None:
    net = Net()

    def adapter(subject: Any, args: Any, settings: Any) -> Problem:
        def losses(batch: list[np.ndarray]) -> np.ndarray:
            POINTS.append(len(batch[0]))
            h = np.tanh(net.X @ batch[0] + batch[1][:, None])
            return 0.5 * np.sum(h**2, axis=(1, 2))

        return dataclasses.replace(hooks.adapt(subject, args, settings), losses=losses)

    assert check(net, adapters=[adapter]).status == "pass"
    assert sum(POINTS) == 3 + 2 * 28


@pytest.mark.parametrize("raises", [False, True])
def test_what_cannot_be_compared_is_not_used(raises: bool) -> None:
    class AtAnEdge:
        """Its domain ends so near that a batch beside the point says nothing; and it is wrong."""

        def __init__(self) -> None:
            self.params = {"x": np.ones(3)}

        def loss(self) -> float:
            x = self.params["x"]
            return float(np.sum(x**2)) if np.all(np.abs(x - 1) < 1e-6) else np.nan

        def losses(self, batch: dict[str, np.ndarray]) -> np.ndarray:
            x = batch["x"]
            inside = np.all(np.abs(x - 1) < 1e-6, axis=1)
            if raises and not inside.all():
                raise ValueError("math domain error")
            return np.where(inside, 5 * np.sum(x**2, axis=1), np.nan)

        def grads(self) -> dict[str, np.ndarray]:
            return {"x": 2 * self.params["x"]}

    assert check(AtAnEdge()).status == "pass"


def test_a_loss_of_zero_is_no_disagreement() -> None:
    class Zero(Batched):
        def loss(self) -> float:
            return 0.0

        def losses(self, batch: dict[str, np.ndarray]) -> np.ndarray:
            return np.zeros(len(batch["W"]))

        def grads(self) -> dict[str, np.ndarray]:
            return {name: np.zeros_like(array) for name, array in self.params.items()}

    result = check(Zero())
    assert {finding.name for finding in result.findings} == {"zero-gradient"}


@pytest.mark.parametrize(
    ("dtype", "off", "is_rounding"),
    [
        (np.float32, 1e-6, True),
        (np.float32, 1e-3, False),
        (np.float64, 1e-11, True),
        (np.float64, 1e-6, False),
    ],
)
def test_rounding_of_the_parameters_is_no_disagreement(
    dtype: Any, off: float, is_rounding: bool
) -> None:
    class Roughly(Batched):
        def losses(self, batch: dict[str, np.ndarray]) -> np.ndarray:
            return super().losses(batch) * (1 + off)

    if is_rounding:
        assert check(Roughly(dtype=dtype), refine=False, tol=0.5).status == "pass"
    else:
        with pytest.raises(SubjectError, match="disagree"):
            check(Roughly(dtype=dtype), refine=False)


@pytest.mark.parametrize(
    ("options", "elsewhere", "copies", "sent"),
    [
        ({}, False, False, False),
        ({"train": 3}, False, False, True),
        ({"points": 1}, False, False, True),
        ({}, True, False, True),
        ({}, False, True, True),
    ],
)
def test_values_go_along_with_an_object_whose_copy_would_stand_elsewhere(
    options: dict[str, Any], elsewhere: bool, copies: bool, sent: bool
) -> None:
    x = np.array([1.0, 2.0])
    problem = Problem(
        [Parameter("x", x)],
        lambda: float(np.sum(x)),
        lambda: [np.ones(2)],
        rebuild=list,  # never called: nothing is sent here
        put_back=list if copies else None,
    )
    loss = Loss(problem.loss)
    point = Point(loss, 3.0, [np.ones(2)], problem.grads, [1e-16], 0.0, False)
    settings = merge({"executor": SimpleNamespace(submit=list), **options})
    spread = workers(problem, problem, point, settings, evaluations=9, elsewhere=elsewhere)
    assert spread is not None
    values = spread.shipment.values
    assert [v.tolist() for v in values or ()] == ([[1.0, 2.0]] if sent else [])

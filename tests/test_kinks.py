"""Kinks at the point, near it, and so near that noise hides where they are."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_gradcheck import Result, check
from pytest_gradcheck.core.displaced import _stays, displace, give_up_where_kinks_crowd
from pytest_gradcheck.core.measured import Measured
from pytest_gradcheck.core.nearby import Nearby, move_by_rounding
from pytest_gradcheck.core.parameters import Parameter
from pytest_gradcheck.core.problem import Problem, Saved
from pytest_gradcheck.settings import merge

OFFSET = 1e8
"""With a loss of this size rounding hides how near a kink lies from about 1e-7 on."""


def findings(result: Result) -> set[str]:
    return {finding.name for finding in result.findings}


@pytest.mark.parametrize("claim", [-1.0, -0.3, 0.5, 1.0])
def test_subgradient_at_a_kink_passes(claim: float) -> None:
    result = check(
        loss=lambda x: float(abs(x[0] - 0.5) + x[1]),
        grads=lambda x: [claim, 1.0],
        params=np.full(2, 0.5),
    )
    assert result.status == "pass"
    assert findings(result) == {"kink"}


@pytest.mark.parametrize("claim", [-1.01, 1.001, 2.0])
def test_value_outside_both_slopes_fails(claim: float) -> None:
    result = check(
        loss=lambda x: float(abs(x[0] - 0.5) + x[1]),
        grads=lambda x: [claim, 1.0],
        params=np.full(2, 0.5),
    )
    assert result.status in ("warn", "fail")
    assert result.relative_error > 1e-4
    assert "kink" in findings(result)


@pytest.mark.parametrize("distance", [1e-9, 1e-8, 1e-6])
@pytest.mark.parametrize("claim", [-1.0, 0.3])
def test_kink_near_the_point_gives_no_subgradients(distance: float, claim: float) -> None:
    result = check(
        loss=lambda x: float(abs(x[0] - 1 + distance)),
        grads=lambda x: [claim],
        params=np.ones(1),
    )
    assert result.status == "fail"


@pytest.mark.parametrize("distance", [3e-9, 2e-8])
def test_kink_that_noise_hides_near_the_point_is_not_taken_to_lie_at_it(distance: float) -> None:
    result = check(
        loss=lambda x: float(OFFSET + abs(x[0] - 1 + distance)),
        grads=lambda x: np.array([0.3]),
        params=np.ones(1),
    )
    assert result.status == "warn"
    assert result.blocks[0].uncertainty > 0.3  # up to either slope
    assert findings(result) & {"coarse", "tiny-gradient", "undecided"}


@pytest.mark.parametrize("slope", [-30.0, 3.0, 30.0])
def test_kink_that_noise_hides_is_at_the_point_where_the_claim_jumps(slope: float) -> None:
    def loss(x: np.ndarray) -> float:
        return float(OFFSET + np.sum(np.maximum(x, 0.5)) + np.sum(slope * x))

    def grads(x: np.ndarray) -> np.ndarray:
        return (x > 0.5) + slope

    result = check(loss=loss, grads=grads, params=np.full(3, 0.5))
    assert [block.status for block in result.blocks] == ["pass"]
    assert findings(result) == {"kink"}


def test_entries_beside_a_kink_are_measured_as_well_as_without() -> None:
    # every line through the point meets it, so that none bounds what a first step leaves open
    result = check(
        loss=lambda x: float(1e3 + abs(x[0] - 1) + np.sum(np.exp(x))),
        grads=np.exp,
        params=np.ones(8),
    )
    assert result.status == "pass" and findings(result) == {"kink"}
    assert result.uncertainty <= 1e-7


class TestTwoKinksNearerThanAnyStep:
    """A slope of -2 between two kinks 1e-14 to either side, of which no step sees anything."""

    @staticmethod
    def check(edge: float = np.inf, off: float = 0.0, unit: float = 1.0) -> Result:
        near = 1e-14

        def loss(p: dict[str, np.ndarray]) -> float:
            a, b = p["a"], p["b"]
            kinks = np.sum(np.abs(a - near) - np.abs(a + near)) + np.sum(np.abs(b))
            inside = np.max(np.abs(a)) < edge
            return unit * float(kinks + np.sum(np.sin(a))) if inside else np.nan

        def grads(p: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            a = p["a"]
            slope = np.sign(a - near) - np.sign(a + near) + np.cos(a)
            return {"a": unit * (slope + off), "b": np.full(1, 0.5 * unit)}

        return check(loss=loss, grads=grads, params={"a": np.zeros(3), "b": np.zeros(1)})

    @pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
    def test_are_not_decided(self, unit: float) -> None:
        result = self.check(unit=unit)
        assert result.status == "warn"
        found = {finding.name: finding.where for finding in result.findings}
        assert (found["undecided"], found["kink"]) == (("a",), ("b",))

    def test_are_wrong_where_the_claim_is_so_beside_them_as_well(self) -> None:
        result = self.check(off=0.5)
        assert result.status == "fail" and "undecided" not in findings(result)

    def test_are_wrong_where_nothing_can_be_measured_beside_them(self) -> None:
        result = self.check(edge=1e-6)
        assert result.status == "fail" and "undecided" not in findings(result)


class TestAnExactKinkAmongOthers:
    """A kink at the very point, and on both sides others that are nearer than any step."""

    @staticmethod
    def check(near: float, wrong: float = 0.0, at_kink: float = 0.0) -> Result:
        x, y = np.array([0.0, near, -near]), np.array([1.5, -3.0, 3.0])

        def loss(p: dict[str, np.ndarray]) -> float:
            return float(0.5 * np.mean((np.maximum(x + p["b"], 0) - y) ** 2))

        def grads(p: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            z = x + p["b"]
            slope = np.where(z == 0, at_kink, z > 0) * (1 + wrong)
            return {"b": np.array([np.mean((np.maximum(z, 0) - y) * slope)])}

        return check(loss=loss, grads=grads, params={"b": np.zeros(1)})

    @pytest.mark.parametrize("near", [1e-10, 1e-11, 1e-13])
    @pytest.mark.parametrize("at_kink", [0.0, 0.5, 1.0])
    def test_is_not_decided(self, near: float, at_kink: float) -> None:
        result = self.check(near, at_kink=at_kink)
        assert result.status == "warn" and "undecided" in findings(result)

    @pytest.mark.parametrize(("wrong", "at_kink"), [(0.01, 0.0), (0.0, 4.0), (0.0, -1.0)])
    def test_is_wrong_where_the_claim_is_no_subgradient_or_wrong_beside_it(
        self, wrong: float, at_kink: float
    ) -> None:
        result = self.check(1e-11, wrong, at_kink)
        assert result.status == "fail" and "undecided" not in findings(result)


def test_kinks_of_one_parameter_are_no_excuse_of_another() -> None:
    """Where a number is added to a gradient that is far larger beside the point."""
    rng = np.random.default_rng(0)
    inputs, targets = 1e-8 * rng.normal(size=(10, 6)), rng.normal(size=10)
    inputs[6] = 0
    params = {"W": rng.normal(size=(6, 4)), "b": np.zeros(4), "v": rng.normal(size=4)}

    def forward(p: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        z = inputs @ p["W"] + p["b"]
        h = np.maximum(z, 0)
        return z, h, h @ p["v"] - targets

    def right(p: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        z, h, rest = forward(p)
        delta = np.outer(rest / 10, p["v"]) * (z > 0)
        return {"W": inputs.T @ delta, "b": delta.sum(axis=0), "v": h.T @ rest / 10}

    added = 0.1 * float(np.sqrt(np.mean(right(params)["v"] ** 2)))

    def wrong(p: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = right(p)
        found["v"][0] += added
        return found

    for seed in range(4):
        results = [
            check(
                loss=lambda p: 0.5 * float(np.mean(forward(p)[2] ** 2)),
                grads=grads,
                params=params,
                seed=seed,
            )
            for grads in (right, wrong)
        ]
        assert [result.status for result in results] == ["warn", "fail"]
        assert [block.name for block in results[1].blocks if block.status == "fail"] == ["v"]


class TestNearby:
    """Whether the claim changes from one side of the point to the other."""

    @staticmethod
    def of(change: float, *, drop: bool = False, refuse: int = 9) -> Nearby:
        parameters = [Parameter("a", np.array([0.5, 1.0])), Parameter("b", np.array([-3.0]))]
        calls = []

        def grads() -> list[np.ndarray]:
            calls.append(1)
            if len(calls) > 1 + refuse:
                raise RuntimeError("no more")
            up = parameters[0].array[1] > 1
            dropped = len(calls) * drop
            return [np.array([1.0, change * up + dropped]), np.array([2.0])]

        problem = Problem(parameters, lambda: 0.0, grads)
        claims = [g.copy() for g in grads()]
        return Nearby(problem, claims, problem.claimed)

    @pytest.mark.parametrize("jump", [1e-3, 1.0, 1e3])
    def test_is_a_jump_of_a_tenth_or_more(self, jump: float) -> None:
        assert self.of(0.12 * jump).jumps(0, 1, jump)
        assert self.of(-0.12 * jump).jumps(0, 1, jump)
        assert not self.of(0.08 * jump).jumps(0, 1, jump)
        assert not self.of(0.12 * jump).jumps(0, 0, jump)
        assert not self.of(0.12 * jump).jumps(1, 0, jump)

    def test_tells_nothing_where_a_claim_is_another_each_time_or_refuses(self) -> None:
        assert not self.of(1.0, drop=True).jumps(0, 1, 1.0)
        for refuse in (0, 1, 2):
            assert not self.of(1.0, refuse=refuse).jumps(0, 1, 1.0)

    def test_leaves_parameters_where_they_were(self) -> None:
        for refuse in (1, 2, 9):
            nearby = self.of(1.0, refuse=refuse)
            nearby.jumps(0, 1, 1.0)
            values = [p.array.tolist() for p in nearby._problem.parameters]
            assert values == [[0.5, 1.0], [-3.0]]


class TestMoves:
    """How parameters are moved aside."""

    @staticmethod
    def of(*arrays: np.ndarray) -> tuple[Problem, list[np.ndarray]]:
        parameters = [Parameter(f"p{i}", array) for i, array in enumerate(arrays)]
        return Problem(parameters, lambda: 0.0, lambda: []), [p.read() for p in parameters]

    @pytest.mark.parametrize(("dtype", "digit"), [(np.float64, 2.0**-52), (np.float32, 2.0**-23)])
    @pytest.mark.parametrize("size", [1.0, 4.0, -4.0])
    def test_a_hair_is_two_last_digits_to_both_sides(
        self, dtype: type, digit: float, size: float
    ) -> None:
        problem, (before,) = self.of(np.full(64, size, dtype))
        move_by_rounding(problem.parameters, 3)
        moved = problem.parameters[0].read() - before
        assert np.all(np.abs(moved) == 2 * digit * abs(size))
        assert 16 < np.sum(moved > 0) < 48  # at random
        problem.parameters[0].write(before)
        move_by_rounding(problem.parameters, 3, along=-1.0)
        assert np.array_equal(problem.parameters[0].read() - before, -moved)
        problem.parameters[0].write(before)
        move_by_rounding(problem.parameters, 4)
        assert not np.array_equal(problem.parameters[0].read() - before, moved)

    def test_a_hair_of_zero_is_nearly_nothing(self) -> None:
        problem, _ = self.of(np.zeros(64))
        move_by_rounding(problem.parameters, 3)
        assert np.all(np.abs(problem.parameters[0].read()) == 1e-30)

    @pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
    def test_a_displacement_is_a_thousandth_of_the_size(self, size: float) -> None:
        theta = size * np.random.default_rng(0).normal(size=4096)
        narrow, (before, _) = self.of(theta.astype(np.float32), np.zeros(4096))
        wide, _ = self.of(theta.copy(), np.zeros(4096))
        displace(narrow, wide, 3, [np.ones(4096)] * 2)
        for one, other, start, scale in zip(
            narrow.parameters, wide.parameters, (before, 0.0), (size, 1.0), strict=True
        ):
            moved = one.read() - start
            assert np.array_equal(one.read(), other.read())
            assert np.sqrt(np.mean(moved**2)) == pytest.approx(1e-3 * scale, rel=0.05)
            assert abs(np.mean(moved)) < 1e-4 * scale

    def test_a_displacement_is_of_the_entries_that_gradients_are_for(self) -> None:
        theta = np.r_[0.01 * np.random.default_rng(0).normal(size=512), 1e4, 0.0]
        narrow, (before,) = self.of(theta)
        wide, _ = self.of(theta.copy())
        displace(narrow, wide, 3, [np.r_[np.ones(512), 1e-6, 1.0]])
        moved = narrow.parameters[0].read() - before
        assert 0 < np.max(np.abs(moved)) < 1e-4

    def test_a_claim_stays_if_it_changes_by_no_tenth_of_what_it_is_off(self) -> None:
        block = Measured(
            Parameter("a", np.ones(3)),
            np.ones(3),
            np.array([2.0, 0.5, 1.1]),
            np.zeros(3),
            np.zeros(3),
        )
        block.uncertainty[2] = 0.2  # not contradicted: whatever it does
        for sign in (1, -1):
            assert _stays(block, np.array([1 + sign * 0.09, 1 + sign * 0.04, 9.0]))
            assert not _stays(block, np.array([1 + sign * 0.11, 1.0, 1.0]))
            assert not _stays(block, np.array([1.0, 1 + sign * 0.06, 1.0]))

    def test_bounds_themselves_are_no_change(self) -> None:
        block = Measured(Parameter("a", np.ones(1)), *np.array([[0.0], [1.0], [0.0], [0.0]]))
        assert _stays(block, np.array([0.1])) and not _stays(block, np.array([0.101]))

        def jumps(change: float) -> bool:
            parameter = Parameter("a", np.ones(1))
            problem = Problem([parameter], lambda: 0.0, lambda: [])

            def claim() -> list[np.ndarray]:
                return [np.array([change * (parameter.array[0] > 1)])]

            return Nearby(problem, claim(), claim).jumps(0, 0, 1.0)

        assert not jumps(0.1) and jumps(0.101)


class TestScatter:
    """Whether a small claim changes by its own size a hair off: what rounding leaves of a zero."""

    @staticmethod
    def of(own: float, change: float, whole: float = 1.0) -> Nearby:
        parameters = [Parameter("a", np.ones(1)), Parameter("b", np.ones(1))]
        claims = [np.array([own]), np.array([whole])]

        def claim() -> list[np.ndarray]:
            up = float(np.sign(parameters[0].array[0] - 1))
            return [np.array([own + up * change / 2]), claims[1].copy()]

        return Nearby(Problem(parameters, lambda: 0.0, lambda: claims), claims, claim)

    def test_is_more_than_a_tenth_of_a_claim_that_may_be_rounding(self) -> None:
        small = 50 * 2.0**-24
        for sign in (1, -1):
            assert self.of(small, sign * 0.12 * small).scatters(0)
            assert self.of(-small, sign * 0.12 * small).scatters(0)
            assert not self.of(small, sign * 0.08 * small).scatters(0)
        assert not self.of(small, small).scatters(1)

    @pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
    def test_is_of_no_concern_where_a_claim_is_larger(self, unit: float) -> None:
        # a hundred roundings of float32 beside the whole
        for part, scatters in ((99, True), (101, False)):
            own = part * 2.0**-24 * unit
            assert self.of(own, own, unit).scatters(0) == scatters
        assert not self.of(0.0, 0.0, unit).scatters(0)


class TestCrowdedKinks:
    """A claim that is contradicted at the point, and looked at beside it."""

    def given_up(
        self,
        there: float,
        *,
        bar: float = 1e-12,
        here: float = 0.5,
        change: float = 0.0,
        unit: float = 1.0,
        larger: float = 1.0,
        crowded: bool = True,
        theta: tuple[float, ...] = (0.5, -2.0, 3.0),
        doubted: tuple[int, ...] = (0,),
    ) -> list[bool]:
        """Whether two parameters are, the claims of which are off by so much here and there.

        Where their gradient is so many times as large, and kinks may have been met here.
        """
        parameters = [Parameter(name, np.array(theta)) for name in "ab"]
        origin = np.array(theta)
        self.seen: list[np.ndarray] = []

        def grads() -> list[np.ndarray]:
            self.seen.append(parameters[0].read() - origin)
            moved = np.abs(self.seen[-1]) < 1e-10
            return [unit * (1 + change * (moved & (self.seen[-1] != 0))) for _ in parameters]

        def measured(off: float, bar: float, unit: float) -> list[Measured]:
            blocks = []
            for parameter in parameters:
                bars = np.full(3, unit * bar)
                numeric = unit * np.array([1 - off, 1.0, 1.0])
                made = Measured(parameter, np.full(3, unit), numeric, bars, np.zeros(3))
                made.climbed[:], made.crowded = True, crowded
                blocks.append(made)
            return blocks

        problem = Problem(parameters, lambda: 0.0, grads)
        blocks, before = measured(here, 1e-12, unit), [p.array.tobytes() for p in parameters]
        give_up_where_kinks_crowd(
            blocks,
            doubted,
            problem,
            problem,
            Saved(parameters),
            lambda claims: measured(there, bar, unit * larger),
            merge({}),
            3,
        )
        assert [p.array.tobytes() for p in parameters] == before
        return [block.undecided for block in blocks]

    @pytest.mark.parametrize("unit", [1e-8, 1.0, 1e8])
    def test_is_given_up_where_it_is_right_beside_the_point(self, unit: float) -> None:
        assert self.given_up(0.0, unit=unit) == [True, False]
        assert self.given_up(0.0, unit=unit, doubted=(0, 1)) == [True, True]
        assert self.given_up(1e-7, unit=unit) == [True, False]  # less than `tol` of the whole

    @pytest.mark.parametrize("unit", [1e-8, 1.0, 1e8])
    def test_stands_where_it_is_wrong_there_or_nothing_is_known(self, unit: float) -> None:
        assert self.given_up(2e-6, unit=unit) == [False, False]
        assert self.given_up(2e-6, bar=1.9e-6, here=1e-4, unit=unit) == [True, False]
        assert self.given_up(0.0, bar=0.19, unit=unit) == [True, False]  # but not half as wrong
        assert self.given_up(0.0, bar=0.3, unit=unit) == [False, False]
        assert self.given_up(0.0, bar=1e-4, here=1e-5, unit=unit) == [False, False]

    @pytest.mark.parametrize("larger", [0.1, 1.0, 10.0])
    def test_without_a_kink_stands_unless_an_error_of_the_same_size_is_excluded(
        self, larger: float
    ) -> None:
        bar = 0.25 / (0.4 * 3**0.5 + 0.6)  # of each of three, by which half the error is bounded
        for part, known in ((0.9, True), (1.1, False)):
            beside = part * bar / larger
            own = self.given_up(0.0, bar=beside, larger=larger, crowded=False)
            assert own == [known and larger >= 1, False]
            as_part = self.given_up(0.0, bar=beside, larger=larger)
            assert as_part == own

    def tried(self, *there: tuple[float, float, bool], here: float = 0.5) -> tuple[bool, int]:
        """Whether it is given up, and after how many displaced points.

        Its error, the size of its gradient, and whether kinks were met: at each of those, of which
        the last one stands for all that follow.
        """
        parameters = [Parameter("a", np.array([3.0, -4.0])), Parameter("b", np.array([1e-9, 0.0]))]
        problem = Problem(parameters, lambda: 0.0, lambda: [np.ones(2), np.ones(2)])
        self.moved: list[list[np.ndarray]] = []

        def measured(off: float, size: float, crowded: bool) -> list[Measured]:
            blocks = []
            for parameter in parameters:
                numeric = size * np.array([1 - off, 1.0])
                made = Measured(
                    parameter, np.full(2, size), numeric, np.full(2, 1e-12 * size), np.zeros(2)
                )
                made.climbed[:], made.crowded = True, crowded
                blocks.append(made)
            return blocks

        def measure(claims: list[np.ndarray]) -> list[Measured]:
            self.moved.append([p.read() for p in parameters])
            return measured(*there[min(len(self.moved), len(there)) - 1])

        blocks, saved = measured(here, 1.0, True), Saved(parameters)
        give_up_where_kinks_crowd(blocks, [1], problem, problem, saved, measure, merge({}), 3)
        return blocks[1].undecided, len(self.moved)

    def test_further_points_are_tried_where_one_says_nothing(self) -> None:
        right, wrong = (0.0, 1.0, False), (0.3, 1.0, False)
        for mute in ((0.3, 1.0, True), (0.3, 0.09, False)):
            assert self.tried(mute, right) == (True, 2)
            assert self.tried(mute, mute, right) == (True, 3)
            assert self.tried(mute, wrong) == (False, 2)
        assert self.tried((0.3, 1.0, True)) == (False, 3)
        assert self.tried((0.3, 0.11, False), right) == (False, 1)

    def test_there_all_parameters_are_moved_equally_far(self) -> None:
        self.tried((0.3, 1.0, True))
        size = np.sqrt(12.5)
        for (a, b), own in zip(self.moved, (True, False, False), strict=True):
            assert np.all(np.abs(a - [3.0, -4.0]) < 4e-3 * size)
            off = float(np.max(np.abs(b - [1e-9, 0.0])))
            assert off < 4e-12 if own else 1e-5 * size < off < 4e-3 * size
        assert not np.array_equal(self.moved[1][0], self.moved[2][0])

    def test_stands_where_the_claim_itself_changes_at_the_point(self) -> None:
        assert self.given_up(0.0, change=0.04) == [True, False]
        assert self.given_up(0.0, change=0.06) == [False, False]

    @pytest.mark.parametrize("theta", [(0.5, -2.0, 3.0), (5e-7, -2e-6, 3e-6), (0.0, 0.0, 0.0)])
    def test_is_looked_at_a_hair_and_a_step_off(self, theta: tuple[float, ...]) -> None:
        assert self.given_up(0.0, theta=theta) == [True, False]
        hair, step = self.seen
        size = np.abs(theta)
        assert np.all((np.abs(hair) >= 2**-52 * size) & (np.abs(hair) <= 2**-49 * size + 1e-29))
        assert np.all(hair != 0)
        scale = float(np.sqrt(np.mean(np.square(theta)))) or 1.0
        assert np.all((np.abs(step) > 1e-5 * scale) & (np.abs(step) < 4e-3 * scale))

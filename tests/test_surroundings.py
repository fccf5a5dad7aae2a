"""What surrounds a measurement: state, structures, ties, evaluators, the point, bounds of its size.

Each function by itself, on inputs small enough to work its answer out by hand.
"""

from __future__ import annotations

import functools
import math
import random
import re
import threading
import types
from collections import OrderedDict, deque, namedtuple
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_gradcheck import SettingsError, SubjectError
from pytest_gradcheck.core import evaluators, low_precision
from pytest_gradcheck.core.batch import Batches
from pytest_gradcheck.core.line import Axis, Line, shortest
from pytest_gradcheck.core.loss import Loss
from pytest_gradcheck.core.low_precision import _also_seen, _explaining, _follows, in_float64
from pytest_gradcheck.core.parameters import Parameter
from pytest_gradcheck.core.point import (
    Point,
    _nondeterministic,
    _require_range,
    fits,
    inspect_point,
)
from pytest_gradcheck.core.problem import Problem, Saved, require_problem
from pytest_gradcheck.core.situation import Situation, _inputs
from pytest_gradcheck.core.state import State, held_by_function, is_walkable, state_of
from pytest_gradcheck.core.structure import (
    Leaf,
    child_name,
    children,
    flatten,
    is_branch,
    listed,
    match,
    rebuild,
)
from pytest_gradcheck.core.tied import _correspondence, _overlaps_itself, tie
from pytest_gradcheck.settings import Settings, merge
from pytest_gradcheck.values import (
    Offered,
    allowed,
    hook_names,
    one_of,
    parse_hooks,
    patterns,
    positive,
    require_executor,
    whole,
)


class TestState:
    @pytest.mark.parametrize(
        ("make", "draw"),
        [
            (lambda: np.random.default_rng(1), lambda g: g.random()),
            (lambda: np.random.RandomState(1), lambda g: g.random_sample()),
            (lambda: random.Random(1), lambda g: g.random()),
            (lambda: np.random, lambda g: g.random()),
            (lambda: random, lambda g: g.random()),
        ],
        ids=["Generator", "RandomState", "Random", "numpy.random", "random"],
    )
    def test_generators_are_seen_to_move_and_put_back(
        self, make: Callable[[], Any], draw: Callable[[Any], float]
    ) -> None:
        generator = make()
        owner = SimpleNamespace(rng=generator)
        state = State([("owner", owner)])
        name = {np.random: "numpy.random", random: "random"}.get(generator, "owner.rng")
        assert state.moved_generators() == state.moved() == []
        first = draw(generator)
        assert state.moved_generators() == state.moved() == [name]
        state.rewind()
        assert state.moved_generators() == [] and draw(generator) == first
        state.rewind()
        assert state.drawn_by(lambda: draw(generator)) == [name]
        before = state_of(generator)
        assert state.drawn_by(lambda: None) == []
        assert state.drawn_by(state.rewind) == [name]  # it is moved by whoever puts it back
        state.rewind()
        draw(generator)
        state.restore()
        assert draw(generator) == first and before is not None

    def test_what_moved_is_told_by_its_place_once_and_in_order(self) -> None:
        inner = SimpleNamespace(steps=0)
        owner = SimpleNamespace(
            z=np.zeros(2), mapped={"k": 1.0, 3: inner}, listed=[1, 2], same=5, inner=inner
        )
        state = State([("self", owner)])
        assert state.moved() == []
        owner.z[1] = 1.0
        owner.mapped["k"] = 2.0
        owner.mapped["new"] = None
        owner.listed.append(3)
        inner.steps = 1
        owner.fresh = None
        moved = state.moved()
        (place,) = {"self.inner.steps", "self.mapped[3].steps"} & set(moved)
        assert moved == sorted(
            ["self.z", "self.mapped['k']", "self.mapped['new']", "self.listed", place, "self.fresh"]
        )
        state.restore()
        assert state.moved() == []
        assert owner.z.tolist() == [0, 0] and owner.mapped == {"k": 1.0, 3: inner}
        assert owner.listed == [1, 2] and inner.steps == 0 and not hasattr(owner, "fresh")

    def test_what_a_closure_holds_is_its_own_affair_but_what_that_holds_is_not(self) -> None:
        log: list[int] = []
        counts = {"calls": 0, "inner": SimpleNamespace(n=0)}

        def loss() -> float:
            log.append(1)
            counts["calls"] += 1
            counts["inner"].n += 1
            return 0.0

        state = State([("loss", loss)])
        loss()
        state.restore()
        assert log == [1] and counts["calls"] == 1 and counts["inner"].n == 0

    @pytest.mark.parametrize("kept", [[1.0, 2.0], {"a": 1.0, "b": 2.0}, deque([1.0]), {1.0, 2.0}])
    def test_a_structure_that_is_kept_gets_back_its_members(self, kept: Any) -> None:
        before = list(kept)
        state = State([], kept=kept)
        kept.clear()
        state.restore()
        assert list(kept) == before

    def test_arrays_of_objects_and_protected_ones_are_left_alone(self) -> None:
        protected = np.zeros(2)
        protected.flags.writeable = False
        owner = SimpleNamespace(objects=np.array([[], {}], object), protected=protected)
        known = np.zeros(2)
        owner.parameter = known
        state = State([("self", owner)], [known])
        owner.objects[0] = 5
        known[0] = 1.0
        assert state.moved() == []
        state.restore()
        assert known[0] == 1.0 and owner.objects[0] == 5

    def test_what_resists_is_told_once_all_else_is_back(self) -> None:
        class Stubborn:
            def __init__(self) -> None:
                self.items = Odd()
                self.count = 0

        class Odd(dict):  # type: ignore[type-arg]
            def clear(self) -> None:
                raise RuntimeError("never")

        owner = Stubborn()
        state = State([("self", owner)])
        owner.items["a"], owner.count = 1, 7
        message = re.escape(
            "self.items changed during the check and could not be put back as it was"
            " (RuntimeError: never); hold it outside"
        )
        with pytest.raises(SubjectError, match=message):
            state.restore()
        assert owner.count == 0

    def test_a_thing_is_replaced_in_each_of_its_places(self) -> None:
        old, new, other = object(), object(), object()
        owner = SimpleNamespace(a=old, b=other, c={"k": old, "l": other}, d=[old, other, old])
        owner.e = (other, old)
        state = State([("self", owner)])
        assert state.replace(old, new) == 5  # the tuple is another in its one place
        assert (owner.a, owner.b) == (new, other) and owner.c == {"k": new, "l": other}
        assert owner.d == [new, other, new] and owner.e == (other, new)
        assert state.replace(old, new) == 0

    def test_generators_of_all_base_classes_are_found(self) -> None:
        class Base:
            rng = np.random.default_rng(0)

        class Extra:
            other__ = np.random.default_rng(1)

        class Thread(threading.Thread, Extra):
            pass

        class One(Base):
            pass

        class Two(One, Base, Extra):
            pass

        for roots, names in (
            ([("a", One()), ("b", Two())], ["Base.rng", "Extra.other__"]),
            ([("b", Two()), ("a", One())], ["Base.rng", "Extra.other__"]),
        ):
            state = State(roots)
            Base.rng.random()
            Extra.other__.random()
            assert sorted(state.moved_generators()) == names
        assert dict(State([])._of_classes(Thread)) == {"Extra.other__": Extra.other__}

    def test_objects_of_others_are_not_walked(self) -> None:
        assert is_walkable(SimpleNamespace()) and is_walkable(OrderedDict())
        for foreign in (int, math, len, threading.Lock(), np.float64(1.0), pytest.approx(1)):
            assert not is_walkable(foreign)

    def test_what_a_function_holds(self) -> None:
        def make() -> Callable[[], Any]:
            def inner() -> Any:
                return a_missing, b_held

            b_held = 7
            if b_held == 8:
                a_missing = 0
            return inner

        assert ("b_held", 7) in list(held_by_function("f", make()))
        assert "a_missing" not in dict(held_by_function("f", make()))
        part = functools.partial(max, 1, 2, key=abs)
        assert list(held_by_function("p", part)) == [("p", max), ("p", 1), ("p", 2), ("key", abs)]
        method = Owner().method
        held = dict(held_by_function("m", method))
        assert held["m"] is method.__self__ and held["SHARED"] is SHARED
        assert "helper" in held and "tie" not in held  # a function of this module, not another's
        assert list(held_by_function("b", types.MethodType(len, [1]))) == [("b", [1])]


SHARED = {"a": 1}


def helper() -> None:
    pass


class Owner:
    def method(self) -> Any:
        return [SHARED for _ in (helper, tie)]


class TestStructure:
    Pair = namedtuple("Pair", "x y")

    def test_branches_hold_parameters(self) -> None:
        for branch in ({}, [], (), MappingProxyType({}), {}.values(), iter([]), self.Pair(1, 2)):
            assert is_branch(branch)
        for leaf in ("ab", b"ab", bytearray(b"ab"), 1.0, np.ones(2), None, {1.0}):
            assert not is_branch(leaf)

    def test_what_can_be_read_once_is_read_once(self) -> None:
        assert listed(iter([1, 2])) == listed({"a": 1, "b": 2}.values()) == [1, 2]
        tree = {"a": 1}
        assert listed(tree) is tree
        assert list(children(tree)) == [("a", 1)] and list(children([5, 6])) == [(0, 5), (1, 6)]

    def test_names(self) -> None:
        for prefix, tree, key, name in (
            ("params", {"a": 1}, "a", "a"),
            ("layer", {"a": 1}, "a", "layer.a"),
            ("params", {3: 1}, 3, "params[3]"),
            ("layer", {3: 1}, 3, "layer[3]"),
            ("params", [1], 0, "params[0]"),
            ("params", self.Pair(1, 2), 1, "y"),
            ("layer", self.Pair(1, 2), 1, "layer.y"),
        ):
            assert child_name(prefix, tree, key, "params") == name

    def test_leaves_know_where_they_are(self) -> None:
        array, tree = np.ones(2), {"a": [1.0, (2.0,)], "n": None}
        tree["b"] = array
        one, two, last = flatten(tree)
        assert (one.value, one.container, one.key) == (1.0, tree["a"], 0)
        assert one.in_mutable_container and not two.in_mutable_container
        assert last.is_array and last.container is tree and not one.is_array
        (alone,) = flatten(array)
        assert alone == Leaf("params", array) and not alone.in_mutable_container
        assert [leaf.name for leaf in flatten(array, "grads")] == ["grads"]
        assert [leaf.name for leaf in flatten([array], "grads")] == ["grads[0]"]

    @pytest.mark.parametrize("claimed", [[1.0, 2.0], (1.0, 2.0), np.array([1.0, 2.0])])
    def test_gradients_of_a_sequence(self, claimed: Any) -> None:
        assert match([0.0, 0.0], claimed) == [1.0, 2.0]
        assert match(iter([0.0, 0.0]), iter(claimed)) == [1.0, 2.0]
        assert match([None, 0.0], [None, 5.0]) == [5.0]

    @pytest.mark.parametrize(
        ("tree", "claimed", "what"),
        [
            ({"a": 1.0}, [1.0], "params is a mapping, its gradient is of type list"),
            ({"a": {"b": 1.0}}, {"a": 1.0}, "a is a mapping, its gradient is of type float"),
            ([1.0], {"a": 1.0}, "params is a sequence, its gradient is of type dict"),
            ([1.0], 1.0, "params is a sequence, its gradient is of type float"),
            ([1.0], np.array(1.0), "params is a sequence, its gradient is of type ndarray"),
            ([1.0], [1.0, 2.0], "params has 1 items, its gradient 2"),
            ({"a": [1.0]}, {"a": []}, "a has 1 items, its gradient 0"),
            ({"a": 1.0}, {}, "no gradient for 'a'"),
            ({"a": 1.0}, {"da": 1.0}, "no gradient for 'a' (grads has 'da': call it 'a')"),
            ({"a": None}, {"b": 1.0}, "gradients without a parameter: 'b'"),
            ([{"a": 1.0}], [{"a": 1.0, "b": 1}], "gradients in params[0] without a parameter: 'b'"),
        ],
    )
    def test_what_does_not_match_is_told(self, tree: Any, claimed: Any, what: str) -> None:
        with pytest.raises(SubjectError) as info:
            match(tree, claimed)
        first, *told, last = str(info.value).splitlines()
        assert first == "grads does not have the structure of params:"
        assert told == [f"  {what}"] and last.startswith("Every parameter needs its own")

    def test_no_gradient_at_all(self) -> None:
        for tree in ({"a": 1.0}, [1.0]):
            with pytest.raises(SubjectError, match="the gradient is None"):
                match(tree, None)
        assert match(1.0, None) == [None]
        assert match(None, None) == []

    def test_a_structure_is_built_of_plain_kinds_where_its_own_refuse(self) -> None:
        values = iter([1, 2, 3])
        assert rebuild([MappingProxyType({"a": 0}), OrderedDict(b=0), (0,)], values) == [
            MappingProxyType({"a": 1}),
            OrderedDict(b=2),
            (3,),
        ]
        assert rebuild(5.0, iter([6.0])) == 6.0 and rebuild(None, iter([])) is None


class TestTied:
    def test_groups_begin_with_the_first_over_their_memory(self) -> None:
        whole_ = np.arange(6.0)
        even, odd = whole_[::2], whole_[1::2]
        arrays = [None, even, odd, np.zeros(0), odd[::-1], even[::-1], np.ones(2)]
        groups = tie([*"abcdefg"], arrays)
        assert [group.members for group in groups] == [[0], [1, 5], [2, 4], [3], [6]]
        assert groups[0].orders == [None]
        assert groups[1].orders[1].tolist() == [2, 1, 0]
        gradients = [np.ones(1), *(np.array([1.0, 2.0, 3.0]) * k for k in (1, 10))]
        gradients += [np.zeros(0), np.array([100.0, 200.0, 300.0]), np.array([5.0, 6.0, 7.0])]
        assert groups[1].total(gradients).tolist() == [1 + 7, 2 + 6, 3 + 5]
        assert groups[2].total(gradients).tolist() == [310, 220, 130]
        assert gradients[1].tolist() == [1, 2, 3]
        assert np.shares_memory(groups[0].total(gradients), gradients[0])  # one alone as it is

    def test_orders_are_those_of_the_same_addresses(self) -> None:
        a = np.arange(6.0).reshape(2, 3)
        assert _correspondence(a, a.T).tolist() == [0, 2, 4, 1, 3, 5]
        for b in (a, a.T, a[::-1], a[:, ::-1].T, a.reshape(3, 2), a[..., None]):
            order = _correspondence(a, b)
            assert order is not None and b.reshape(-1)[order].tolist() == a.reshape(-1).tolist()
        assert _correspondence(a, a[:1]) is None
        assert _correspondence(a[:1], a[1:]) is None
        assert _correspondence(a, a.view(np.int64)) is None

    def test_memory_held_twice(self) -> None:
        windows = np.lib.stride_tricks.as_strided(np.arange(5.0), (3, 3), (8, 8))
        broadcast = np.broadcast_to(np.ones(3), (2, 3))
        for twice in (windows, broadcast):
            assert _overlaps_itself(twice)
            message = r"parameter W \(shape \(\d, 3\), strides \(\d, 8\)\) holds the same memory"
            with pytest.raises(SubjectError, match=message):
                tie(["v", "W"], [None, twice])
        a = np.arange(24.0).reshape(2, 3, 4)
        for once in (a, a.T, a[:, ::2], a[::-1, :, 1:3], np.moveaxis(a, 0, 1)):
            assert not _overlaps_itself(once)


def no_problem(**more: Any) -> Problem:
    parameter = Parameter("x", np.array([1.0, 2.0]))
    return Problem([parameter], lambda: 5.0, lambda: [np.ones(2)], title="Net", **more)


def point_of(loss: Any = None, *, base: float = 5.0, claims: Any = (), **more: Any) -> Point:
    given = {"rounding": [0.0] * len(claims), "jitter": 0.0, "held": False} | more
    return Point(loss or Loss(lambda: 5.0), base, list(claims), lambda: list(claims), **given)


class TestEvaluators:
    """Who evaluates the first step of every entry."""

    @pytest.fixture(autouse=True)
    def _clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        clock = SimpleNamespace(perf_counter=lambda: self.now)
        monkeypatch.setattr(evaluators, "time", clock)

    def slow(self, **more: Any) -> Point:
        def loss() -> float:
            self.now += 2.0**-6
            return 5.0

        return point_of(Loss(loss), **more)

    def workers(self, asked: Any, point: Point | None = None, **more: Any) -> Any:
        given = {"rebuild": no_problem, **more}
        settings = Settings(executor=asked, **given.pop("settings", {}))
        evaluations = given.pop("evaluations", 33)
        options = {key: given.pop(key) for key in ("here", "elsewhere") if key in given}
        problem = no_problem(**given)
        return evaluators.workers(
            problem, problem, point or self.slow(), settings, evaluations=evaluations, **options
        )

    pool = SimpleNamespace(submit=lambda *_: None)

    def test_none_is_asked_or_offered(self) -> None:
        assert self.workers(None) is None

    def test_one_that_was_asked_for_serves_whatever_it_takes(self) -> None:
        made = self.workers(self.pool, evaluations=1)
        assert made.executor is self.pool and made.required
        assert made.shipment.rebuild is no_problem and made.shipment.values is None
        assert (made.shipment.base, made.shipment.jitter, made.shipment.wide) == (5.0, 0.0, False)

    def test_one_that_is_offered_serves_where_half_a_second_is_at_stake(self) -> None:
        offered = Offered(lambda: self.pool)
        assert self.workers(offered, evaluations=32) is None  # 1/64 of a second each
        made = self.workers(offered, evaluations=33)
        assert made.executor is self.pool and not made.required

    def test_why_workers_cannot(self) -> None:
        offered = Offered(lambda: self.pool)
        for more, why in (
            ({"point": self.slow(held=True)}, "executor=: the loss draws random numbers"),
            ({"rebuild": None}, "executor=: the adapter of Net gives no way to build it again"),
        ):
            assert self.workers(offered, **more) is None and self.workers(None, **more) is None
            with pytest.raises(SubjectError, match=why):
                self.workers(self.pool, **more)

    @pytest.mark.parametrize(
        ("more", "sent"),
        [
            ({}, False),
            ({"elsewhere": True}, True),
            ({"settings": {"train": 3}}, True),
            ({"settings": {"points": 1}}, True),
            ({"settings": {"points": 0}}, False),
            ({"put_back": lambda: None}, True),
        ],
    )
    def test_values_go_along_where_a_copy_would_stand_elsewhere(
        self, more: dict[str, Any], sent: bool
    ) -> None:
        values = self.workers(self.pool, **more).shipment.values
        assert [v.tolist() for v in values or ()] == ([[1.0, 2.0]] if sent else [])

    def test_a_problem_in_float64_is_said_to_be(self) -> None:
        problem, moved = no_problem(rebuild=no_problem), no_problem()
        settings = Settings(executor=self.pool)
        made = evaluators.workers(problem, moved, self.slow(), settings, evaluations=1)
        assert made is not None and made.shipment.wide

    def strategy(self, executor: Any = None, held: bool = False, **more: Any) -> Any:
        aside = {"elsewhere": more.pop("elsewhere")} if "elsewhere" in more else {}
        problem = no_problem(rebuild=no_problem, **more)
        return evaluators.strategy(
            problem, problem, self.slow(held=held), Settings(executor=executor), **aside
        )

    def test_parameters_stand_where_they_were_given_unless_they_are_said_not_to(self) -> None:
        assert self.strategy(self.pool).shipment.values is None
        assert self.strategy(self.pool, elsewhere=False).shipment.values is None
        assert self.strategy(self.pool, elsewhere=True).shipment.values is not None

    def test_batches_are_used_where_they_are_offered_and_nothing_is_held(self) -> None:
        def many(batch: Any) -> Any:
            return np.full(len(batch[0]), 5.0)

        assert self.strategy() is None
        assert isinstance(self.strategy(losses=many), Batches)
        assert self.strategy(losses=many, held=True) is None
        assert isinstance(self.strategy(Offered(lambda: self.pool), losses=many), Batches)
        both = self.strategy(self.pool, losses=many)
        assert both.executor is self.pool and isinstance(both.here, Batches)
        alone = self.strategy(self.pool)
        assert alone.executor is self.pool and isinstance(alone.here, functools.partial)

    def test_both_sides_of_every_entry_are_at_stake(self) -> None:
        parameter = Parameter("x", np.ones(16))

        def long(size: int) -> bool:
            parameter.attach(np.ones(size))
            problem = Problem([parameter], lambda: 5.0, lambda: [], rebuild=no_problem)
            settings = Settings(executor=Offered(lambda: self.pool))
            return evaluators.strategy(problem, problem, self.slow(), settings) is not None

        assert long(17) and not long(16)  # 34 and 32 of a 64th of a second


class TestPoint:
    @pytest.mark.parametrize(
        ("base", "slope", "said"),
        [
            *((1e145, 1.0, None), (1.1e145, 1.0, "the loss is as large as 1e+145")),
            *((-1.1e145, 1.0, "the loss is as large as 1e+145"), (1.0, 1e145, None)),
            *((1.0, -1e146, "the gradient is as large as 1e+146"), (math.inf, 1.0, None)),
            *((1e-146, 1e-147, "the loss is as small as 1e-146"), (1e-145, 1e-147, None)),
            *((1e-147, 1e-146, "the gradient is as small as 1e-146"), (1e-200, 0.0, None)),
            *((1e-300, 1e-146, None), (0.0, 1e-146, None), (1.0, math.nan, None)),
        ],
    )
    def test_what_has_no_square_is_refused(
        self, base: float, slope: float, said: str | None
    ) -> None:
        point = point_of(base=base, claims=[np.array([0.0, slope]), np.zeros(0)])
        if said is None:
            _require_range(point)
            return
        with pytest.raises(SubjectError) as info:
            _require_range(point)
        assert str(info.value).startswith(f"{said}: its square leaves the range")

    @pytest.mark.parametrize("base", [1e3, -1e3])
    def test_deterministic_up_to_a_hundred_millionth(self, base: float) -> None:
        for jitter, same in ((0.0, True), (1e-8 * 1e3, True), (1.01e-5, False)):
            assert point_of(base=base, jitter=jitter).deterministic == same
        assert point_of(base=math.nan, jitter=1.0).deterministic

    def test_a_claim_may_be_zero_beside_the_whole(self) -> None:
        claims = [np.array([99 * 2.0**-24]), np.array([0.6, 0.8])]
        assert point_of(claims=claims, rounding=[2.0**-24] * 2).may_be_zero(0)
        assert not point_of(claims=claims, rounding=[2.0**-53] * 2).may_be_zero(0)
        assert not point_of(claims=claims, rounding=[2.0**-24] * 2).may_be_zero(1)
        claims[0][0] *= 1.02
        assert not point_of(claims=claims, rounding=[2.0**-24] * 2).may_be_zero(0)

    @pytest.mark.parametrize("theta", [[0.5, -4.0], [0.0, 0.0]])
    def test_a_loss_follows_if_it_changes_to_either_side(self, theta: list[float]) -> None:
        claim = np.array([1.0, -1.0])

        def follows(change: Callable[[float], float], base: float = 0.0) -> bool:
            parameter = Parameter("x", np.array(theta))

            def loss() -> float:
                moved = parameter.array - theta
                far.append(np.max(np.abs(moved)))
                return change(float(moved @ claim))

            found = _follows(parameter, Loss(loss), base, claim)
            assert parameter.array.tolist() == theta
            return found

        far: list[float] = []
        assert follows(lambda t: t) and follows(lambda t: max(t, 0.0))
        assert follows(lambda t: min(t, 0.0)) and not follows(lambda t: 0.0)
        assert follows(lambda t: 0.0, 1.0)
        assert not follows(lambda t: t, math.nan)
        size = max(map(abs, theta)) or 1.0
        assert 0.5e-2 * size <= min(far) and max(far) <= 1.5e-2 * size
        assert _follows(Parameter("x", np.ones(1)), Loss(lambda: 0.0), 0.0, np.zeros(1))

    def looked(self, value: Any, **settings: Any) -> Point:
        problem = no_problem()
        values = iter(value) if isinstance(value, list) else None
        problem.loss = (lambda: next(values)) if values else (lambda: value)
        saved = Saved(problem.parameters)
        return inspect_point(problem, Settings(**settings), State([]), saved)

    def test_jitter_is_what_two_evaluations_differ_by(self) -> None:
        assert self.looked([5.0, 5.0 + 1e-9]).jitter == pytest.approx(1e-9, rel=1e-5)
        assert self.looked([5.0, 5.0 - 1e-9]).jitter == pytest.approx(1e-9, rel=1e-5)
        assert self.looked(math.nan).jitter == self.looked(math.inf).jitter == 0
        point = self.looked(5.0)
        assert (point.base, point.held, point.drawn, point.jitter) == (5.0, False, (), 0.0)
        assert point.loss.evaluations == 2 and point.claims[0].tolist() == [1.0, 1.0]
        assert point.claim()[0].tolist() == [1.0, 1.0] and point.loss.evaluations == 3
        assert self.looked(5.0, freeze_rng="on").held
        with pytest.raises(SubjectError, match=r"differ by 1 \(relatively 2\.0e-01\)"):
            self.looked([5.0, 6.0])

    def test_generators_are_held_where_a_loss_draws_though_it_seems_the_same(self) -> None:
        for frozen, held, drawn in (("auto", True, ("rng",)), ("off", False, ())):
            rng = np.random.default_rng(0)
            problem = no_problem()
            problem.loss = lambda rng=rng: 5.0 + 0 * rng.random()
            state, saved = State([("rng", rng)]), Saved(problem.parameters)
            point = inspect_point(problem, Settings(freeze_rng=frozen), state, saved)
            assert (point.held, point.drawn) == (held, drawn)
            assert point.loss.evaluations == (5 if held else 2)

    @pytest.mark.parametrize(
        ("claim", "copied", "refine", "used"),
        [
            *((1.0, True, True, True), (1.0, False, True, False), (1.0, True, False, False)),
            (50 * 2.0**-24, False, True, True),  # which may be zero: nothing need follow it
        ],
    )
    def test_differences_are_taken_in_float64_where_the_loss_follows_copies(
        self, claim: float, copied: bool, refine: bool, used: bool
    ) -> None:
        single, plain = np.array([0.5], np.float32), np.array([2.0])
        double = np.array([9.0])
        read = double if copied else single
        given = {"loss": lambda: float(plain[0]), "grads": lambda: claims}
        claims = [np.array([claim], np.float32), np.array([1.0])]

        def in_wide(state: State) -> Problem:
            parameters = [Parameter("a", double), Parameter("b", plain)]
            return Problem(parameters, lambda: float(read[0] + plain[0]), lambda: claims)

        problem = Problem(
            [Parameter("a", single), Parameter("b", plain)], in_float64=in_wide, **given
        )
        point = point_of(base=2.0, claims=[c.astype(float) for c in claims], rounding=[2.0**-24, 0])
        refusing = replace(problem, in_float64=lambda state: 1 / 0)
        assert in_float64(refusing, point, Settings(), State([])) == (refusing, point)
        wide, there = in_float64(problem, point, Settings(refine=refine), State([]))
        assert (wide is not problem) == used == (there is not point)
        if used:
            assert double[0] == 0.5 and there.base == read[0] + 2.0
            assert there.claims is point.claims and there.loss.evaluations >= 2

    def seen(self, claim: Any, other: Any, rounding: float = 0.0, most: float = 1e-3) -> float:
        claims = [np.array(claim, float)]
        point = point_of(claims=claims, rounding=[rounding])
        wide = SimpleNamespace(claimed=lambda: [np.array(other, float)])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(low_precision, "_widened", lambda *_: wide)
            (found,) = _also_seen(no_problem(), point, State([]), most=most)
        assert point.loss.evaluations == 1
        return found

    def test_a_claim_that_lost_more_digits_is_known_as_well_as_it_keeps(self) -> None:
        apart = 1e-6
        # 16 roundings of the entry, and 8 of a typical one
        for sign in (1, -1):
            assert self.seen([1.0, 1.0], [1 + sign * apart, 1.0]) == pytest.approx(apart / 24)
        assert self.seen([2.0, 2.0], [2 + apart, 2.0]) == pytest.approx(apart / 48)
        assert self.seen([1.0], [1 + apart]) == pytest.approx(apart / 24)
        assert self.seen([0.0, 0.0], [0.0, 0.0], rounding=1e-9) == 1e-9
        small = [0.0, *[1.0] * 24]  # but no more than half of what all of them are apart
        size, typical = math.sqrt(24), math.sqrt(24 / 25)
        assert self.seen(small, [apart, *small[1:]]) == pytest.approx(
            min(apart / (8 * typical), 4 / 8 * apart / size)
        )
        assert self.seen([1.0, 1.0], [1 + apart, 1.0], rounding=1e-7) == 1e-7
        assert self.seen([1.0, 1.0], [1.0, 1.0], rounding=1e-9) == 1e-9

    def test_nothing_explains_what_a_claim_of_zero_is_off(self) -> None:
        point = point_of(claims=[np.zeros(2)], rounding=[1e-9])
        assert _explaining(point, [np.array([1e-8, 0.0])], [math.inf]) == [1e-9]

    def test_it_is_compared_with_the_generators_where_they_were(self) -> None:
        rng = np.random.default_rng(0)
        claims = [np.array([np.random.default_rng(0).random()])]  # of the first draw
        for held, same in ((True, True), (False, False)):
            state = State([("rng", rng)])
            rng.random()
            wide = SimpleNamespace(claimed=lambda: [np.array([rng.random()])])
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(low_precision, "_widened", lambda *_, wide=wide: wide)
                point = point_of(claims=claims, rounding=[0.0], held=held)
                found = _also_seen(no_problem(), point, state, most=math.inf)
            assert (found == [0.0]) == same
            state.rewind()

    def test_where_nothing_can_be_seen_its_own_rounding_stands(self) -> None:
        def refuses() -> list[np.ndarray]:
            raise TypeError("float32 alone")

        for wide in (None, SimpleNamespace(claimed=refuses)):
            point = point_of(claims=[np.ones(1)], rounding=[1e-7])
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(low_precision, "_widened", lambda *_, wide=wide: wide)
                assert _also_seen(no_problem(), point, State([]), most=1.0) == [1e-7]

    def refused(self, drawn: Any, moved: Any, frozen: str, **more: Any) -> str:
        point = point_of(**{"base": 4.0, "jitter": 1.0} | more)
        return _nondeterministic(point, drawn, moved, Settings(freeze_rng=frozen))

    def test_what_is_said_of_a_loss_that_is_another_each_time(self) -> None:
        said = self.refused([], [], "auto")
        assert said.startswith(
            "the loss is not deterministic: two evaluations at the same parameters differ by 1"
            " (relatively 2.5e-01); a difference quotient would measure that"
        )
        assert said.endswith("seed the generator in before_each=, or both.")
        said = self.refused(["numpy.random", "rng"], ["self.n"], "off")
        assert said.endswith(
            "It draws random numbers from numpy.random, rng: switch dropout off"
            ' for the check, or hold the generators with freeze_rng="auto".'
        )
        assert "It draws" not in self.refused(["rng"], [], "auto")
        assert "It draws" not in self.refused([], [], "off")
        said = self.refused(["rng"], list("abcdef"), "auto")
        assert "moved between two evaluations: a, b, c, d, e, .... Reset it" in said
        assert "moved between two evaluations: a, b, c, d, e. Reset" in self.refused(
            [], list("abcde"), "on"
        )
        assert "(relatively 1.0e+300)" in self.refused([], [], "on", base=0.0)
        assert "(relatively 2.5e-01)" in self.refused([], [], "on", base=-4.0)

    def test_what_is_further_apart_is_an_error(self) -> None:
        assert self.seen([3.0, 4.0], [3.0, 4.0049]) > 0
        assert self.seen([3.0, 4.0], [3.0, 4.0051]) == 0

    def test_numbers_that_a_lower_precision_holds(self) -> None:
        assert fits(np.array([0.5, 3.0]), np.float16) and fits(
            np.array([0.1], np.float32), np.float32
        )
        assert not fits(np.array([0.1]), np.float32) and not fits(np.array([1e5]), np.float16)
        assert not fits(np.array([0.5, 0.1]), np.float16)


class TestLine:
    def test_what_narrow_parameters_round_off_is_subtracted(self) -> None:
        single, double = Parameter("a", np.ones(2, np.float32)), Parameter("b", np.ones(1))
        loss = Loss(lambda: float(np.sum(single.read()) + double.array[0]))
        origin, v = [np.ones(2), np.ones(1)], [np.array([1.0, 2.0]), np.ones(1)]
        slope = [np.ones(2), np.ones(1)]
        step = 2.0**-26  # of which float32 sees nothing
        plain = Line(loss, [single, double], origin, v)
        assert plain(step) == 3 + step and plain(1.0) == 7
        seen = Line(loss, [single, double], origin, v, slope)
        assert seen(step) == 3 + 4 * step and seen(-step) == 3 - 4 * step
        assert seen.sample(step) == (step, 3 + 4 * step, step, 3 - 4 * step)
        assert single.array.tolist() == [1, 1] and double.array[0] == 1
        wrong = [np.array([math.nan, 1.0]), np.ones(1)]  # nobody can say
        assert Line(loss, [single, double], origin, v, wrong)(step) == 3 + step

    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_steps_along_an_entry_are_as_its_precision_rounds_them(self, dtype: Any) -> None:
        parameter = Parameter("a", np.array([3.0, 1.0], dtype))
        axis = Axis(Loss(lambda: float(parameter.array[1])), parameter, 1, 1.0)
        h = 2.0**-20 + 2.0**-30
        short = h if dtype is np.float64 else 2.0**-20
        assert axis.sample(h) == (short, 1 + short, short, 1 - short)
        assert axis(h) == 1 + short and axis(-h) == 1 - short
        assert parameter.array.tolist() == [3, 1]
        assert shortest([parameter]) == (0 if dtype is np.float64 else 1e3 * 2.0**-23)
        assert shortest([parameter, Parameter("h", np.ones(1, np.float16))]) == 0.1


class TestProblem:
    def test_what_an_adapter_may_return(self) -> None:
        problem = no_problem()
        assert require_problem(problem) is problem
        with pytest.raises(SubjectError, match="an adapter returned a dict: it must return"):
            require_problem({})

    @pytest.mark.parametrize(
        ("parameters", "said"),
        [
            ([], "parameters of the problem is empty"),
            (iter([]), "parameters of the problem is a list_iterator"),
            ([np.ones(2)], "parameters of the problem holds a ndarray: wrap"),
            ([Parameter("a", np.ones(2)), 3], "parameters of the problem holds a int: wrap"),
            ([Parameter("a", np.ones(0)), Parameter("b", np.ones((2, 0)))], "a, b: no parameter"),
        ],
    )
    def test_parameters_that_are_none(self, parameters: Any, said: str) -> None:
        with pytest.raises(SubjectError, match=re.escape(said)):
            Problem(parameters, lambda: 0.0, lambda: [])

    def test_what_cannot_be_moved_in_place_is_refused_unless_a_kind_of_its_own_can(self) -> None:
        class Own(Parameter):
            pass

        array = np.ones(2)
        array.flags.writeable = False
        with pytest.raises(SubjectError, match="parameter W is read-only, so it cannot be moved"):
            Problem([Parameter("b", np.ones(1)), Parameter("W", array)], float, list)
        assert Problem([Own("W", array)], float, list).parameters[0].name == "W"

    def test_wide_parameters_stand_at_float64_numbers_until_the_end(self) -> None:
        third = np.array([1.0, 2.0], np.longdouble) / 3
        before, narrow = third.tobytes(), np.array([0.1], np.float32)
        problem = Problem([Parameter("a", third), Parameter("b", narrow)], float, list)
        kept = problem.preserved()
        with kept, kept as (state, saved):
            assert saved.origin(problem.parameters[1]).tolist() == narrow.tolist()
            assert np.array_equal(third, third.astype(np.float64))
            if third.dtype.itemsize > 8:
                assert third.tobytes() != before
            saved.require_unchanged("nothing")
            third[0] = narrow[0] = 7.0
            assert isinstance(state, State)
        assert third.tobytes() == before and narrow[0] == np.float32(0.1)

    def test_functions_that_are_none(self) -> None:
        parameter = Parameter("a", np.ones(1))
        for loss, grads, said in ((1.0, list, "loss"), (float, None, "grads")):
            with pytest.raises(SubjectError, match=f"{said} of the problem is of type"):
                Problem([parameter], loss, grads)  # type: ignore[arg-type]

    def test_a_call_that_moves_parameters_is_told_by_how_far(self) -> None:
        parameters = [Parameter("a", np.array([1.0, 2.0])), Parameter("b", np.ones(2))]
        saved = Saved(parameters)
        saved.require_unchanged("loss()")
        parameters[0].array[:] = [1.25, 0.5]
        with pytest.raises(
            SubjectError, match=r"^loss\(\) changes the parameters: a \(by up to 1.5\)\."
        ):
            saved.require_unchanged("loss()")
        parameters[1].array[0] = -1.0
        with pytest.raises(SubjectError, match=r"a \(by up to 1.5\), b \(by up to 2\)\."):
            saved.require_unchanged("loss()")
        saved.restore()
        saved.require_unchanged("loss()")

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    @pytest.mark.parametrize(
        ("raised", "told"),
        [(ValueError("theirs"), True), (SubjectError("ours"), False), (KeyboardInterrupt(), False)],
    )
    @pytest.mark.parametrize("change", ["shape", "place", "nothing"])
    def test_an_error_may_come_from_arrays_that_are_no_longer_as_they_were(
        self, raised: BaseException, told: bool, change: str
    ) -> None:
        array = np.arange(6.0).reshape(2, 3)
        params = {"W": array, "b": 1.5}
        parameter = Parameter("W", array)
        problem = Problem([parameter], float, list, structure=params)
        told = told and change != "nothing"
        said = {
            "shape": r"holds them \(W: shape \(2, 3\) -> \(3, 2\), W: strides .*, W: an array of",
            "place": r"holds them \(W: an array of shape \(2, 3\) -> nothing, b: a number -> an ar",
        }
        expected = SubjectError if told else type(raised)

        def disturb() -> None:
            if change == "shape":
                setattr(array, "shape", (3, 2))  # noqa: B010
            elif change == "place":
                del params["W"]
                params["b"] = np.ones(2)  # type: ignore[assignment]
            raise raised

        with pytest.raises(expected) as info, problem.preserved():
            disturb()
        if told:
            assert re.search(said[change], str(info.value)) and info.value.__cause__ is raised
        else:
            assert info.value is raised
        assert array.shape == (2, 3) and params == {"W": array, "b": 1.5}

    def test_parameters_are_put_back_though_one_of_them_resists(self) -> None:
        class Resists(Parameter):
            def restore(self, saved: Any) -> None:
                raise RuntimeError(f"not {self.name}")

        parameters = [Resists("a", np.ones(1)), Parameter("b", np.ones(1))]
        saved = Saved([*parameters, Resists("c", np.ones(1))])
        parameters[1].array[0] = 5.0
        with pytest.raises(RuntimeError, match="not a"):
            saved.restore()
        assert parameters[1].array[0] == 1.0
        assert saved.origin(parameters[1]).tolist() == [1.0]

    def test_a_shape_that_changed_is_told(self) -> None:
        own, copy = Parameter("a", np.ones((2, 3))), Parameter("a'", np.ones(4))
        saved = Saved([own])
        saved.watch([own, copy])
        assert saved.disturbed() == []
        own.given = own.given.reshape(3, 2)
        copy.given = np.ones(4, np.float32)
        found = saved.disturbed()
        assert "a: shape (2, 3) -> (3, 2)" in found and len(found) == 4
        assert "a': dtype float64 -> float32" in found


class TestSituation:
    @staticmethod
    def of(dtype: Any = float, *, theta: Any = (3.0, -4.0)) -> tuple[Situation, list[Parameter]]:
        parameters = [Parameter("a", np.array(theta, dtype)), Parameter("b", np.zeros(2))]
        return Situation([], [], (), point_of(), Saved(parameters)), parameters

    @pytest.mark.parametrize(
        ("dtype", "least", "far"), [(float, 1e-12, 2e-3), (np.float32, 1e-5, 0.1)]
    )
    def test_a_bend_is_more_than_rounding(self, dtype: Any, least: float, far: float) -> None:
        situation, _ = self.of(dtype)
        assert situation._far == far
        for sign in (1, -1):
            assert situation._is_bend(sign * 5.05 * least, (1.0, -5.0, 2.0))
            assert not situation._is_bend(sign * 4.95 * least, (1.0, -5.0, 2.0))
            assert not situation._is_bend(sign * least, (1.0, 0.5))
        assert not situation._is_bend(math.nan, (1.0,)) and not situation._is_bend(math.inf, (1.0,))

    def test_moves_are_relative_to_each_parameter(self) -> None:
        theta = np.random.default_rng(5).normal(size=1000)
        parameters = [Parameter("a", 7 * theta / np.sqrt(np.mean(theta**2)))]
        parameters.append(Parameter("b", np.zeros(1000)))
        before = [p.read() for p in parameters]
        situation = Situation([], [], (), point_of(), Saved(parameters))

        def moved(far: float, aside: Parameter | None = None) -> list[np.ndarray]:
            situation._move(far, aside)
            return [p.read() - start for p, start in zip(parameters, before, strict=True)]

        one = moved(0.1)
        for move, scale in zip(one, (7.0, 1.0), strict=True):
            assert np.sqrt(np.mean(move**2)) == pytest.approx(0.1 * scale, rel=0.1)
        assert all(np.all(move == 0) for move in moved(0.0))
        assert moved(-0.2)[0] == pytest.approx(-2 * one[0])
        aside = moved(0.1, parameters[0])
        assert np.array_equal(aside[1], one[1])
        extra = (aside[0] - one[0]) / 7
        assert np.sqrt(np.mean(extra**2)) == pytest.approx(2e-3, rel=0.1)
        assert abs(np.corrcoef(extra, one[0])[0, 1]) < 0.2  # in another direction

    def test_samples_are_along_the_axis_that_the_arguments_share(self) -> None:
        X, y = np.arange(12.0).reshape(4, 3), np.ones(4)
        for args, shape in (
            ((X,), (4, 3)),
            ((X, y), (4, 3)),
            ((y, X), (4, 3)),
            ((X, np.ones(3)), (3, 4)),
            ((X, np.ones((2, 3))), (3, 4)),
            ((X, np.ones(7), y), (4, 3)),
            ((X, np.array(2.0)), (4, 3)),
            ((np.ones(5), X.astype(int), X, "text"), (4, 3)),
            ((np.ones(5), X.astype(int)), None),
            ((X[:3], np.ones(3)), (3, 3)),
            ((X[:2],), None),
            ((X, np.ones(5)), None),
            ((X, np.ones(5), np.ones(3)), (3, 4)),
            ((y,), None),
            ((), None),
        ):
            found = _inputs(args)
            assert (None if found is None else found.shape) == shape
        images = np.ones((2, 5, 4))
        assert _inputs((images, np.ones((7, 4)))).shape == (4, 5, 2)
        X.flags.writeable = False
        assert _inputs((X,)) is None

    def test_an_error_on_the_way_is_none_of_the_check(self) -> None:
        def refuses() -> Any:
            raise RuntimeError("no more")

        X = np.arange(12.0).reshape(4, 3)
        parameter = Parameter("a", np.array([3.0, -4.0]))
        for loss, claim in ((lambda: float(X[1] @ X[1]), refuses), (refuses, lambda: [])):
            point = Point(Loss(loss), 5.0, [], claim, [], 0.0, False)
            situation = Situation([], [], (X,), point, Saved([parameter]))
            before = X.copy()
            assert situation.without(1) is None and np.array_equal(X, before)
            assert situation.moved() is None
            assert situation.followed(["a"]) == []
            assert parameter.array.tolist() == [3, -4]


class TestBatches:
    @staticmethod
    def of(*arrays: Any, jitter: float = 0.0) -> Batches:
        parameters = [Parameter(f"p{i}", np.asarray(a)) for i, a in enumerate(arrays)]
        return Batches(lambda batch: np.zeros(len(batch[0])), parameters, Loss(float), jitter)

    @pytest.mark.parametrize(
        ("dtype", "jitter", "most"),
        [(float, 0.0, 4e-9), (float, 1e-3, 0.01 + 4e-9), (np.float32, 0.0, 4e3 * 2.0**-23)],
    )
    def test_rounding_in_another_order_is_no_disagreement(
        self, dtype: Any, jitter: float, most: float
    ) -> None:
        batches, alone = self.of(np.ones(2, dtype), jitter=jitter), np.array([1.0, -4.0, 2.0])
        for k, where in ((0, "the point itself"), (2, "beside it")):
            for sign in (1, -1):
                off = sign * most * (np.arange(3) == k)
                batches._require_same(alone + 0.99 * off, alone)
                with pytest.raises(SubjectError) as info:
                    batches._require_same(alone + 1.01 * off, alone)
                said = str(info.value)
                assert said.startswith(f"losses(batch) and loss() disagree at {where}: ")
                assert f"{float(alone[k] + 1.01 * off[k])!r} against {float(alone[k])!r}" in said
                assert ("does it read the object's own parameters?" in said) == (k > 0)

    def test_rounding_is_that_of_the_least_precise(self) -> None:
        alone, off = np.ones(3), np.array([0.0, 1e-5, 0.0])
        self.of(np.ones(2), np.ones(2, np.float32))._require_same(alone + off, alone)
        with pytest.raises(SubjectError):
            self.of(np.ones(2))._require_same(alone + off, alone)

    def test_points_are_as_many_as_memory_allows(self) -> None:
        assert self.of(np.ones(2)).points == 1024
        assert self.of(np.ones(8192)).points == 1024  # 64 KiB each: 64 MiB in all
        assert self.of(np.ones(8192), np.ones(8192)).points == 512
        assert self.of(np.ones(16384, np.float32)).points == 1024
        assert self.of(np.broadcast_to(np.ones(1), 10**8)).points == 1

    @pytest.mark.parametrize("inside", [True, False])
    @pytest.mark.parametrize("points", [1, 2, 3, 9])
    def test_entries_are_moved_one_after_another_from_the_first_on(
        self, points: int, inside: bool
    ) -> None:
        x, weights = np.zeros(7), 10.0 ** np.arange(7)
        parameter, sizes = Parameter("x", x), []

        def losses(batch: list[np.ndarray]) -> np.ndarray:
            sizes.append(len(batch[0]))
            return batch[0] @ weights if inside else np.full(len(batch[0]), np.nan)

        batches = Batches(losses, [parameter], Loss(lambda: float(weights @ x)), 0.0)
        batches.points, batches._agrees = points, True
        found = batches(parameter, np.zeros(5), np.arange(1.0, 6.0), 2)
        assert found.tolist() == [100, 2000, 30000, 400000, 5000000]
        assert sizes == [points] * (5 // points) + [5 % points] * (5 % points > 0)
        assert batches.loss.evaluations == (5 if inside else 10)
        assert x.tolist() == [0] * 7

    def test_what_numpy_makes_no_array_of_is_told_by_its_type(self) -> None:
        class Refuses:
            def __array__(self, *_: Any, **__: Any) -> Any:
                raise RuntimeError("not on this device")

        batches = Batches(lambda batch: Refuses(), [Parameter("x", np.ones(1))], Loss(float), 0.0)
        with pytest.raises(SubjectError, match=r"gave something of type Refuses .* of 3 points"):
            batches._values([np.ones((3, 1))], 3)

    def test_a_batch_is_compared_at_the_point_and_to_either_side_of_it(self) -> None:
        x = np.array([3.0, -4.0])
        parameter, seen = Parameter("x", x), []

        def losses(batch: list[np.ndarray]) -> np.ndarray:
            seen.append(batch[0].copy())
            return np.sum(batch[0], axis=1)

        batches = Batches(losses, [parameter], Loss(lambda: float(np.sum(x))), 0.0)
        assert batches._compare() and batches.loss.evaluations == 6
        ((point, up, down),) = seen
        assert point.tolist() == x.tolist() == [3, -4]
        apart = (down - point) / (up - point)
        assert np.all((apart > -1) & (apart < -0.5))

    def test_the_places_beside_the_point_are_a_hundredth_of_each_entry_off(self) -> None:
        theta = np.array([3.0, -4.0, 0.0])
        batches = self.of(theta, np.zeros(2))
        origin = [p.read() for p in batches.parameters]
        for t in (1.0, -0.7):
            moved, zeros = batches._aside(origin, t)
            off = (moved - theta) / [3, 4, 4] / (0.01 * t)  # of a zero it is that of the largest
            assert np.all((off >= 0.5) & (off <= 1)) and len(set(off)) == 3
            assert np.all((zeros / (0.01 * t) >= 0.5) & (zeros / (0.01 * t) <= 1))


class TestValues:
    @pytest.mark.parametrize(
        ("call", "said"),
        [
            (lambda: positive("a", True, 1.0), "a=True: must be a number, not bool"),
            (lambda: positive("a", None, 1.0), "a=None: must be a number, not NoneType"),
            (lambda: positive("a", 1.5, 1.0), "a=1.5: must be in (0, 1]"),
            (lambda: positive("a", 0, 0.5), "a=0: must be in (0, 0.5]"),
            (lambda: positive("a", 0.0, math.inf), "a=0.0: must be positive and finite"),
            (lambda: positive("a", math.inf, math.inf), "a=inf: must be positive and finite"),
            (lambda: positive("a", math.nan, 1.0), "a=nan: must be in (0, 1]"),
            (lambda: whole("a", 1, 2), "a=1: must be a whole number, 2 or more"),
            (lambda: whole("a", 2.0, 2), "a=2.0: must be a whole number, 2 or more"),
            (lambda: whole("a", True, 0), "a=True: must be a whole number, 0 or more"),
            (lambda: one_of("a", "z", ("x", "y")), "a='z': must be one of x, y"),
            (lambda: one_of("a", None, ("x", "y")), "a=None: must be one of x, y"),
            (lambda: patterns("a", 3), "a=3: must be names of parameters"),
            (lambda: patterns("a", ["b", 3]), "a=['b', 3]: must be names of parameters"),
            (lambda: allowed({"kink": 1}), "allow={'kink': 1}: must be names of findings"),
            (lambda: allowed(3), "allow=3: must be names of findings"),
            (lambda: allowed(np.array("kink")), "must be names of findings, such as ['kink']"),
            (lambda: allowed(["kink", 3]), "allow=3: no such finding; the ones to allow are zero-"),
            (lambda: hook_names([]), "hooks=[]: must be a mapping, such as {'loss': 'forward'}"),
            (lambda: hook_names({"l": "a"}), "hooks: 'l' is not one of params, grads, loss"),
            (lambda: hook_names({"loss": ""}), "hooks['loss']='': must be the name of an"),
            (lambda: hook_names({"loss": 1}), "hooks['loss']=1: must be the name of an"),
            (lambda: parse_hooks(["loss"]), "hooks: 'loss' is not of the form hook=name"),
            (lambda: require_executor(5), "executor=5: must be a concurrent.futures.Executor"),
            (lambda: require_executor(TestEvaluators), "must be a concurrent.futures.Executor"),
            (
                lambda: require_executor(SimpleNamespace(get_executor=1, submit=print)),
                "hand over client.get_executor()",
            ),
            (lambda: require_executor(SimpleNamespace(submit=1)), "must be a concurrent.futures"),
        ],
    )
    def test_impossible(self, call: Callable[[], Any], said: str) -> None:
        with pytest.raises(SettingsError) as info:
            call()
        assert said in str(info.value)

    def test_possible(self) -> None:
        assert positive("a", 1, 1.0) == 1.0 and isinstance(positive("a", 1, 1.0), float)
        assert positive("a", 5e9, math.inf) == 5e9
        assert whole("a", 3, 3) == 3 and type(whole("a", np.int64(3), 3)) is int
        assert one_of("a", "x", ("x", "y")) is None
        assert patterns("a", "b") == ("b",) and patterns("a", ["b", "c.*"]) == ("b", "c.*")
        assert patterns("a", {"b"}) == ("b",) and patterns("a", ()) == ()
        assert allowed("kink") == ("kink",) and allowed(iter(["kink", "tied"])) == ("kink", "tied")
        assert hook_names(MappingProxyType({"loss": "f"})) == {"loss": "f"}
        assert parse_hooks(["loss=f,grads=g", "params=h  losses=k"]) == {
            **{"loss": "f", "grads": "g"},
            **{"params": "h", "losses": "k"},
        }
        assert parse_hooks(["loss=a=b"]) == {"loss": "a=b"} and parse_hooks([]) == {}
        for fine in (None, Offered(lambda: None), TestEvaluators.pool):  # type: ignore[arg-type]
            assert require_executor(fine) is None

    @pytest.mark.parametrize(
        ("given", "levels"),
        [
            ({}, (1e-7, 1e-5, 1e-3)),
            ({"tol": 1e-4}, (1e-4, 1e-4, 1e-3)),  # a high `tol` lifts the others
            ({"tol": 0.1}, (0.1, 0.1, 0.1)),
            ({"tol": 0.1, "warn": 0.01, "fail": 0.05}, (0.1, 0.1, 0.1)),
            ({"warn": 1e-8}, (1e-8, 1e-8, 1e-3)),  # what was not set gives way
            ({"warn": 0.1}, (1e-7, 0.1, 0.1)),
            ({"fail": 1e-6}, (1e-7, 1e-6, 1e-6)),
            ({"fail": 1e-8}, (1e-8, 1e-8, 1e-8)),
            ({"warn": 1e-3, "fail": 1e-3}, (1e-7, 1e-3, 1e-3)),
            ({"warn": 1e-4, "tol": 1e-6}, (1e-6, 1e-4, 1e-3)),
            ({"tol": 1e-6, "fail": 1e-2}, (1e-6, 1e-5, 1e-2)),
        ],
    )
    def test_thresholds_are_in_order(
        self, given: dict[str, float], levels: tuple[float, float, float]
    ) -> None:
        settings = merge(given)
        assert (settings.tol, settings.warn, settings.fail) == levels

    def test_thresholds_that_exclude_each_other(self) -> None:
        with pytest.raises(SettingsError, match=r"warn=0\.01 lies above fail=0\.001: noth"):
            merge({"warn": 1e-2, "fail": 1e-3})

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            *(({n: 1}, f"{n}=1: must be True or False") for n in ("refine", "forward_ad", "study")),
            *(({n: None}, f"{n}=None: must be True") for n in ("batched_grad", "float64")),
            *(({n: 1.01}, f"{n}=1.01: must be in (0, 1]") for n in ("tol", "warn", "fail")),
            ({"confidence": 0.4}, "confidence=0.4: must be at least 0.5 and below 1"),
            ({"mode": "probe", "refine": False}, 'mode="probe" measures along random directions'),
            ({"mode": "probe", "scheme": "forward"}, 'mode="probe" measures along'),
            ({"order": 1.0}, "order=1.0: must be 1 or 2"),
            ({"nondet_tol": "0"}, "nondet_tol='0': must be a number, not str"),
            ({"nondet_tol": math.inf}, "nondet_tol=inf: must be positive and finite"),
            ({"worst": None}, "worst=None: must be a whole number of rows, 1 or more"),
            ({"train": int}, "train=<class 'int'>: must be a whole number, 1 or more"),
            ({"train": "10"}, "train='10': must be a whole number, 1 or more"),
            ({"points": 1.0}, "points=1.0: must be a whole number, 0 or more"),
            ({"before_each": 5}, "before_each=5: must be a function without arguments, such"),
            ({"executor": "pool"}, "executor='pool': must be a concurrent.futures.Executor"),
            ({"wrt": 1}, "wrt=1: must be names of parameters or inputs"),
            ({"freeze_rng": None}, "freeze_rng=None: must be one of auto, on, off"),
        ],
    )
    def test_settings_that_no_check_can_have(self, given: dict[str, Any], said: str) -> None:
        with pytest.raises(SettingsError) as info:
            Settings(**given)
        assert said in str(info.value)

    def test_settings_are_given_by_name(self) -> None:
        with pytest.raises(TypeError):
            Settings(1e-7)  # type: ignore[misc]

    def test_settings_as_they_are_kept(self) -> None:
        made = Settings(
            freeze_rng=True,  # type: ignore[arg-type]
            train=helper,
            hooks=MappingProxyType({"loss": "f"}),
            before_each=helper,
            wrt="a",  # type: ignore[arg-type]
            allow=["kink"],  # type: ignore[arg-type]
            lr=1,
        )
        assert (made.freeze_rng, made.wrt, made.allow, made.lr) == ("on", ("a",), ("kink",), 1.0)
        written = made.written()
        assert (written["train"], written["hooks"]) == ("helper", {"loss": "f"})
        assert type(written["hooks"]) is dict
        assert not {"before_each", "executor"} & set(written)
        assert Settings(freeze_rng=False).freeze_rng == "off"  # type: ignore[arg-type]
        part = functools.partial(helper)
        assert Settings(train=part).written()["train"] == repr(part)
        assert Settings(mode="probe", scheme="central", refine=True).mode == "probe"

    def test_unknown_settings_are_guessed_or_all_are_named(self) -> None:
        with pytest.raises(SettingsError, match=r"^unknown setting 'wors'; did .* 'worst'\?$"):
            merge({"wors": 1})
        with pytest.raises(SettingsError, match=r"^unknown setting 'qqq'; the .* are eps, tol"):
            merge({"qqq": None})
        assert merge({"worst": 3}, {"worst": None}, {"points": 2}).worst == 3
        assert merge({"worst": 3}, {"worst": 4}).worst == 4

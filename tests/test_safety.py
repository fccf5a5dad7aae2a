"""Parameters, state and random generators are as before, whatever happens in between."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from models import Holder, Mlp, frozen, slope, value

from pytest_gradcheck import SubjectError, check
from pytest_gradcheck.core.exhaustive import one_by_one
from pytest_gradcheck.core.loss import Loss
from pytest_gradcheck.core.parameters import Parameter
from pytest_gradcheck.core.put_back import lay_out, layout_of
from pytest_gradcheck.core.state import State, state_of

EXCEPTIONS = [RuntimeError, KeyboardInterrupt, SystemExit, pytest.skip.Exception]


class Interrupted(Holder):
    """Does `happen` at call `at` of loss or grads, counted together."""

    def __init__(self, happen: Callable[[], Any], at: float) -> None:
        super().__init__(
            {"W": np.array([[0.5, -0.0], [1e-310, 2.0]])[:, ::-1], "a": -1.5, "b": np.array(0.25)}
        )
        self.happen, self.at = happen, at

    def _count(self) -> Any:
        COUNT[0] += 1
        return self.happen() if COUNT[0] == self.at else None

    def loss(self) -> float:
        wrong = self._count()
        return super().loss() if wrong is None else wrong

    def grads(self) -> Any:
        self._count()
        return super().grads()


COUNT = [0]
"""Calls so far; kept outside the object, whose own attributes are put back."""


def number_of_calls(**options: Any) -> int:
    COUNT[0] = 0
    check(Interrupted(lambda: None, at=-1), **options)
    return COUNT[0]


@pytest.fixture(autouse=True)
def _count_from_zero() -> None:
    COUNT[0] = 0


def raiser(kind: type[BaseException]) -> Callable[[], Any]:
    def happen() -> Any:
        raise kind("now")

    return happen


OPTIONS: list[dict[str, Any]] = [{}, {"refine": False}, {"scheme": "forward"}, {"freeze_rng": "on"}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", EXCEPTIONS)
def test_parameters_are_as_before_when_any_call_raises(
    kind: type[BaseException], options: dict[str, Any]
) -> None:
    calls = number_of_calls(**options)
    assert calls > 6
    for at in range(1, calls + 1):
        COUNT[0] = 0
        model = Interrupted(raiser(kind), at)
        before = frozen(model.params)
        with pytest.raises(kind, match="now"):
            check(model, **options)
        assert frozen(model.params) == before, f"call {at}"


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_parameters_are_as_before_when_any_loss_is_not_finite(
    wrong: float, options: dict[str, Any]
) -> None:
    for at in range(1, number_of_calls(**options) + 1):
        COUNT[0] = 0
        model = Interrupted(lambda: wrong, at)
        before = frozen(model.params)
        with contextlib.suppress(SubjectError):  # infinite now, finite then: not deterministic
            check(model, **options)
        assert frozen(model.params) == before, f"call {at}"


def test_parameters_are_as_before_after_a_real_interrupt() -> None:
    model = Interrupted(lambda: os.kill(os.getpid(), signal.SIGINT), at=12)
    before = frozen(model.params)
    with pytest.raises(KeyboardInterrupt):
        check(model)
    assert frozen(model.params) == before


class WrittenBack:
    """Hands out copies; `held` is what was written back last."""

    def __init__(self, at: int) -> None:
        self.held, self.at = np.array([0.5, -0.0, 3.0]), at

    @property
    def params(self) -> Any:
        return self.held.copy()

    def set_params(self, params: Any) -> None:
        self.held = params.copy()

    def loss(self) -> float:
        COUNT[0] += 1
        if COUNT[0] == self.at:
            raise RuntimeError("now")
        return value(self.held)

    def grads(self) -> Any:
        return slope(self.held)


@pytest.mark.parametrize("at", range(1, 9))
def test_values_written_back_are_as_before_when_a_call_raises(at: int) -> None:
    model = WrittenBack(at)
    before = model.held.tobytes()
    with pytest.raises(RuntimeError, match="now"):
        check(model)
    assert model.held.tobytes() == before


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "C": lambda a: a,
    "Fortran": np.asfortranarray,
    "transposed": lambda a: a.T,
    "reversed": lambda a: a[..., ::-1],
    "part": lambda a: a[..., ::2],
}


def elements(kind: type[np.floating]) -> Any:
    largest = min(float(np.finfo(kind).max), 1e100)
    return arrays.from_dtype(np.dtype(kind), min_value=-largest, max_value=largest)


@settings(max_examples=40)
@given(
    base=st.sampled_from([np.float16, np.float32, np.float64]).flatmap(
        lambda kind: arrays.arrays(
            kind, arrays.array_shapes(max_dims=3, max_side=3), elements=elements(kind)
        )
    ),
    layout=st.sampled_from(sorted(LAYOUTS)),
    refine=st.booleans(),
)
def test_every_byte_is_as_before(base: np.ndarray, layout: str, refine: bool) -> None:
    params = LAYOUTS[layout](base)
    holder, memory = {"W": params}, (base.tobytes(), params.tobytes())
    check(
        loss=lambda p: float(np.sum(np.tanh(p["W"].astype(float)))),
        grads=lambda p: {"W": 1 / np.cosh(np.clip(p["W"].astype(float), -300, 300)) ** 2},
        params=holder,
        refine=refine,
    )
    assert holder["W"] is params
    assert (base.tobytes(), params.tobytes()) == memory


@pytest.mark.parametrize("size", [1e-300, 1e154, 1e300])
def test_parameters_of_extreme_size_raise_nothing(size: float) -> None:
    params = np.array([size, -size, 0.5])
    check(
        loss=lambda p: float(np.sum(np.tanh(p))),
        grads=lambda p: 1 / np.cosh(np.clip(p, -300, 300)) ** 2,
        params=params,
    )
    assert params.tolist() == [size, -size, 0.5]


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
@pytest.mark.parametrize(
    ("scale", "said"), [(1e-200, "as small as"), (1e160, "as large as"), (1e300, "as large as")]
)
def test_loss_without_squares_is_refused(mode: str, scale: float, said: str) -> None:
    with pytest.raises(SubjectError, match=rf"{said} .*Scale the loss"):
        check(
            loss=lambda p: scale * float(np.sum(np.exp(p))),
            grads=lambda p: 2 * scale * np.exp(p),
            params=np.array([0.5, 1.0]),
            mode=mode,
        )


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
def test_floating_point_errors_that_raise_are_those_of_the_subject(mode: str) -> None:
    class Radial(Holder):
        seen: ClassVar[list[str]] = []

        def loss(self) -> float:
            self.seen.append(np.geterr()["under"])
            return float(np.sum(np.exp(-(self.params["x"] ** 2))))

        def grads(self) -> Any:
            x = self.params["x"]
            return {"x": -2 * x * np.exp(-(x**2))}  # 1e-61 at 12: no number of float32

    with np.errstate(all="raise"):
        assert check(Radial({"x": np.array([0.5, 1.0, 12.0])}), mode=mode).status == "pass"
    assert Radial.seen[0] == "raise"


def test_gradient_however_small_is_zero_at_an_optimum() -> None:
    result = check(loss=lambda p: p @ p, grads=lambda p: 2 * p, params=np.full(3, 1e-150))
    assert result.status == "warn"


class Dropout:
    """Each term of the loss is dropped with probability 1/2, the first one never."""

    def __init__(self, rng: Any, factor: float = 1.0) -> None:
        self.params = {"W": np.linspace(-1, 1, 8)}
        self.rng, self.factor = rng, factor

    def loss(self) -> float:
        self.mask = np.array([self.rng.random() < 0.5 for _ in range(8)])
        self.mask[0] = True
        return float(np.sum(self.mask * np.exp(self.params["W"])))

    def grads(self) -> Any:
        return {"W": self.factor * self.mask * np.exp(self.params["W"])}


class OneMask(Dropout):
    """All terms but the first are dropped together."""

    def loss(self) -> float:
        self.mask = np.full(8, self.rng.random() < 0.5)
        self.mask[0] = True
        return float(np.sum(self.mask * np.exp(self.params["W"])))


def seeded(module: Any) -> Any:
    module.seed(1)  # two masks of eight are the same once in 256 times
    return module


GENERATORS = {
    "random": lambda: seeded(random),
    "numpy.random": lambda: seeded(np.random),
    "Generator": lambda: np.random.default_rng(1),
    "Generator of another kind": lambda: np.random.Generator(np.random.MT19937(1)),
    "RandomState": lambda: np.random.RandomState(1),
    "random.Random": lambda: random.Random(1),
}


@pytest.mark.parametrize("make", GENERATORS.values(), ids=GENERATORS)
class TestRandomGenerators:
    @pytest.mark.parametrize("frozen", ["auto", "on", True])
    @pytest.mark.parametrize(("factor", "status"), [(1.0, "pass"), (1.1, "fail")])
    def test_dropout_is_checked_with_its_mask_held(
        self, make: Any, frozen: Any, factor: float, status: str
    ) -> None:
        assert check(Dropout(make(), factor), freeze_rng=frozen).status == status

    @pytest.mark.parametrize(("factor", "status"), [(1.0, "pass"), (1.01, "fail")])
    def test_its_mask_is_held_where_differences_are_taken_in_float64(
        self, make: Any, factor: float, status: str
    ) -> None:
        dropout = Dropout(make(), factor)
        dropout.params["W"] = dropout.params["W"].astype(np.float32)
        result = check(dropout)
        assert result.status == status
        assert result.uncertainty < 1e-5  # of float32

    @pytest.mark.parametrize("frozen", ["off", False])
    def test_without_holding_it_is_an_error_that_names_the_generator(
        self, make: Any, frozen: Any, request: pytest.FixtureRequest
    ) -> None:
        rng = make()
        name = {random: "random", np.random: "numpy.random"}.get(rng, "self.rng")
        with pytest.raises(SubjectError, match=rf"not deterministic.*from {name}: .*freeze_rng"):
            check(Dropout(rng), freeze_rng=frozen)

    @pytest.mark.parametrize("frozen", ["auto", "on"])
    def test_next_numbers_are_those_without_a_check(self, make: Any, frozen: str) -> None:
        random.seed(3)
        np.random.seed(3)
        rng = make()
        check(Dropout(rng), freeze_rng=frozen)
        after = [rng.random() for _ in range(5)]
        random.seed(3)
        np.random.seed(3)
        rng = make()
        assert after == [rng.random() for _ in range(5)]

    def test_next_numbers_are_the_same_after_an_error(self, make: Any) -> None:
        random.seed(3)
        np.random.seed(3)
        model = Dropout(make())
        model.grads = raiser(RuntimeError)  # type: ignore[method-assign]
        with pytest.raises(RuntimeError):
            check(model)
        after = model.rng.random()
        random.seed(3)
        np.random.seed(3)
        assert after == make().random()


def test_generator_deep_inside_is_held() -> None:
    class Layer:
        def __init__(self) -> None:
            self.options = [{"rng": np.random.default_rng(1)}]

        def random(self) -> float:
            return self.options[0]["rng"].random()

    assert check(Dropout(Layer())).status == "pass"


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
@pytest.mark.parametrize(("factor", "status"), [(1.0, "pass"), (1.1, "fail")])
def test_mask_that_is_the_same_twice_by_chance_is_held(
    mode: str, factor: float, status: str
) -> None:
    for seed in range(20):  # about half of them draw the same mask at first
        result = check(OneMask(np.random.default_rng(seed), factor), mode=mode)
        assert (result.status, result.findings[0].name) == (status, "nondeterministic")


def test_generator_that_the_loss_seeds_itself_is_not_said_to_be_held() -> None:
    def loss(p: np.ndarray) -> float:
        np.random.seed(1)
        return float(np.sum((np.random.random(3) < 0.5) * p**2))

    def grads(p: np.ndarray) -> np.ndarray:
        np.random.seed(1)
        return 2 * (np.random.random(3) < 0.5) * p

    assert check(loss=loss, grads=grads, params=np.ones(3)).findings == ()


def test_generator_in_a_closure_is_held() -> None:
    rng = np.random.default_rng(1)
    masks = []

    def loss(p: np.ndarray) -> float:
        masks[:] = [rng.random(8) < 0.8]
        return float(np.sum(masks[0] * np.exp(p)))

    result = check(loss=loss, grads=lambda p: masks[0] * np.exp(p), params=np.linspace(-1, 1, 8))
    assert result.status == "pass"


SHARED = np.random.default_rng(1)


class DrawsFromItsClass(Dropout):
    """The generator is held by a base class of the user's own."""

    rng = np.random.RandomState(1)
    calls: ClassVar[list[int]] = []

    def __init__(self) -> None:
        self.params, self.factor = {"W": np.linspace(-1, 1, 8)}, 1.0

    def loss(self) -> float:
        self.calls.append(1)
        return super().loss()


class OfAnotherPackage:
    """As a framework may have it, with a life of its own."""

    rng = np.random.RandomState(1)


@pytest.mark.parametrize("module", ["torch", "torch.nn.modules"])
def test_generator_of_a_class_of_another_package_is_not_ours_to_hold(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mine(OfAnotherPackage, Dropout):
        def __init__(self) -> None:
            self.params, self.factor = {"W": np.linspace(-1, 1, 8)}, 1.0

    assert check(Mine()).status == "pass"
    monkeypatch.setattr(OfAnotherPackage, "__module__", module)
    with pytest.raises(SubjectError, match="not deterministic"):
        check(Mine())


class Derived(DrawsFromItsClass):
    pass


class DrawsFromItsModule(Derived):
    """The generator is a global of a method that the loss calls."""

    @property
    def rng(self) -> Any:
        return self

    @rng.setter
    def rng(self, _: Any) -> None:
        pass

    def random(self) -> float:
        return sum(SHARED.random() for _ in range(1))


@pytest.mark.parametrize(
    ("kind", "generator"), [(Derived, DrawsFromItsClass.rng), (DrawsFromItsModule, SHARED)]
)
def test_generator_of_a_class_or_a_module_is_held(kind: Any, generator: Any) -> None:
    state, calls = str(state_of(generator)), len(kind.calls)
    result = check(kind())
    assert result.status == "pass" and [f.name for f in result.findings] == ["nondeterministic"]
    assert str(state_of(generator)) == state
    assert len(kind.calls) > calls  # a log that objects share is its class's affair


class Running:
    """A right gradient of a loss that is handed out as a running average, or as the best so far."""

    def __init__(self, best: bool = False) -> None:
        self.params, self.best, self.kept = np.array([1.0, -2.0, 0.5]), best, None

    def loss(self) -> float:
        now = value(self.params)
        if self.kept is None:
            self.kept = now
        self.kept = min(self.kept, now) if self.best else 0.9 * self.kept + 0.1 * now
        return self.kept

    def grads(self) -> np.ndarray:
        return slope(self.params)


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
@pytest.mark.parametrize("best", [False, True])
def test_loss_that_remembers_where_it_was_is_refused(mode: str, best: bool) -> None:
    subject = Running(best)
    with pytest.raises(
        SubjectError, match=r"where it was evaluated before.*self\.kept.*before_each"
    ):
        check(subject, mode=mode)
    assert subject.kept is None
    result = check(subject, mode=mode, before_each=lambda: setattr(subject, "kept", None))
    assert result.status == "pass"


def test_loss_that_remembers_what_nothing_can_name_is_refused() -> None:
    kept: list[float] = []

    def running(p: np.ndarray) -> float:
        kept[:] = [value(p) if not kept else 0.9 * kept[0] + 0.1 * value(p)]
        return next(iter(kept))

    with pytest.raises(SubjectError, match="where it was evaluated before"):
        check(loss=running, grads=slope, params=np.array([1.0, -2.0, 0.5]))


class WarmStart:
    """A solver that starts where it stopped: what that leaves in the loss is below its slope."""

    def __init__(self, factor: float) -> None:
        self.params, self.factor, self.root = np.array([1.2, 0.4]), factor, 0.0

    def solve(self) -> float:
        mean, e = self.params
        for _ in range(100):
            move = (self.root - e * np.sin(self.root) - mean) / (1 - e * np.cos(self.root))
            self.root -= move
            if abs(move) < 1e-4:
                break
        return float(self.root)

    def loss(self) -> float:
        return float(np.cos(self.solve()))

    def grads(self) -> np.ndarray:
        x = self.solve()
        return (
            -np.sin(x) * self.factor / (1 - self.params[1] * np.cos(x)) * np.array([1, np.sin(x)])
        )


@pytest.mark.parametrize(("factor", "status"), [(1.0, "pass"), (2.0, "fail")])
def test_solver_that_starts_where_it_stopped_is_checked(factor: float, status: str) -> None:
    assert check(WarmStart(factor)).status == status


@pytest.mark.parametrize("frozen", ["auto", "on", "off"])
def test_jitter_from_elsewhere_stays_an_error_with_its_size(frozen: str) -> None:
    jitter = iter(np.arange(1000) / 4)
    with pytest.raises(SubjectError, match=r"not deterministic.*differ by 0\.25"):
        check(
            loss=lambda p: value(p) + next(jitter),
            grads=slope,
            params=np.ones(2),
            freeze_rng=frozen,
        )


def test_deterministic_loss_never_draws_from_the_global_generators() -> None:
    before = random.getstate(), np.random.get_state()[1].tobytes()
    check(Mlp())
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == before


def test_same_check_gives_the_same_numbers() -> None:
    first, second = check(Mlp(b1=1.1)), check(Mlp(b1=1.1))
    assert first.worst == second.worst and first.evaluations == second.evaluations


class _Owner:
    """Hands out copies and takes values back by binding them."""

    def __init__(self) -> None:
        self.W = np.array([0.3, -0.7])

    @property
    def params(self) -> dict[str, np.ndarray]:
        return {"W": self.W.copy()}

    def set_params(self, params: dict[str, np.ndarray]) -> None:
        self.W = params["W"]

    def loss(self) -> float:
        return float(np.sum(np.sin(self.W)))

    def grads(self) -> dict[str, np.ndarray]:
        return {"W": np.cos(self.W)}


def test_an_object_that_is_written_back_to_holds_its_very_own_arrays_again() -> None:
    owner = _Owner()
    array, before = owner.W, owner.W.tobytes()
    assert check(owner).status == "pass"
    assert owner.W is array
    assert array.tobytes() == before


@pytest.mark.parametrize("layout", ["C", "F"])
@pytest.mark.parametrize("watch", [None, lambda done, expected, where: None])
@pytest.mark.parametrize("at", range(1, 6))
def test_each_entry_is_back_when_a_call_ends_the_evaluation(
    at: int, watch: Any, layout: Any
) -> None:
    array = np.asarray([[-0.0, 1.0], [2.0, 3.0]], order=layout)
    before, seen = array.tolist(), []

    def loss() -> float:
        seen.append(array.tolist())
        if len(seen) == at:
            raise KeyboardInterrupt
        return 1.0

    parameter, counted = Parameter("x", array), Loss(loss)
    counted.watch = watch
    theta = parameter.read()
    with pytest.raises(KeyboardInterrupt) if at < 5 else contextlib.nullcontext():
        one_by_one(counted, parameter, theta, theta + 0.5)
    assert array.tolist() == before and np.signbit(array[0, 0])
    assert counted.evaluations == min(at - 1, 4)
    moved = np.reshape(seen, (-1, 4)) - np.reshape(before, 4)
    assert np.array_equal(moved, 0.5 * np.eye(4)[: len(seen)])


def reshaped(array: np.ndarray) -> None:
    array.shape = (3, 2)


def seen_as_single(array: np.ndarray) -> None:
    array.dtype = np.float32  # type: ignore[misc]


def seen_as_bytes_in_one_row(array: np.ndarray) -> None:
    array.dtype = np.uint8  # type: ignore[misc]
    array.shape = (48,)


def transposed(array: np.ndarray) -> None:
    array.strides = (8, 16)


def protected(array: np.ndarray) -> None:
    array.flags.writeable = False


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "change", [reshaped, seen_as_single, seen_as_bytes_in_one_row, transposed, protected]
)
def test_an_array_gets_back_the_look_it_had(change: Callable[[np.ndarray], None]) -> None:
    array = np.arange(6.0).reshape(2, 3)
    layout, values = layout_of(array), array.copy()
    change(array)
    assert layout_of(array) != layout
    assert lay_out(array, layout)
    assert layout_of(array) == layout and np.array_equal(array, values)
    assert not lay_out(array, layout)


class Pair(NamedTuple):
    first: Any
    second: Any


def test_an_array_is_replaced_wherever_it_is_held_and_put_back() -> None:
    class Slotted:
        __slots__ = ("array",)

    old, new, other = np.ones(2), np.zeros(2), np.full(2, 5.0)
    slotted = Slotted()
    slotted.array = old
    owner = SimpleNamespace(
        plain=old,
        other=other,
        listed=[other, old],
        mapped={"a": old, "b": other},
        paired=Pair(other, old),
        nested=[(other, (old, other))],
        slotted=slotted,
    )

    def held() -> list[Any]:
        return [
            owner.plain,
            owner.listed[1],
            owner.mapped["a"],
            owner.paired.second,
            owner.nested[0][1][0],
            slotted.array,
        ]

    def others() -> list[Any]:
        return [
            owner.other,
            owner.listed[0],
            owner.mapped["b"],
            owner.paired.first,
            owner.nested[0][0],
            owner.nested[0][1][1],
        ]

    state = State([("owner", owner)])
    assert state.replace(old, new) >= 6
    assert all(array is new for array in held()) and all(array is other for array in others())
    assert isinstance(owner.paired, Pair)
    assert state.replace(new, old) >= 6
    assert all(array is old for array in held())
    state.replace(old, new)
    state.restore()
    assert all(array is old for array in held()) and all(array is other for array in others())
    assert state.replace(np.ones(2), new) == 0

"""What `params`, `loss` and `grads` may look like, and other names for them."""

from __future__ import annotations

import math
from collections import OrderedDict, namedtuple
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from models import Holder, Mlp, X, Y, frozen, slope, transform, value

from pytest_gradcheck import SubjectError, check
from pytest_gradcheck.core import measure

Layer = namedtuple("Layer", ["W", "b"])


class Tagged(np.ndarray):
    pass


def array(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=shape)


# Each structure with the names that its parameters have in reports.
STRUCTURES: dict[str, tuple[Any, list[str]]] = {
    "mapping": ({"W": array(2, 3), "b": array(3)}, ["W", "b"]),
    "ordered mapping": (OrderedDict(W=array(2), b=array(1)), ["W", "b"]),
    "read-only mapping": (MappingProxyType({"W": array(2)}), ["W"]),
    "mapping by number": ({1: array(2), (2, "x"): array(1)}, ["params[1]", "params[(2, 'x')]"]),
    "list": ([array(2, 3), array(3)], ["params[0]", "params[1]"]),
    "tuple": ((array(2, 3), array(3)), ["params[0]", "params[1]"]),
    "one array": (array(2, 3), ["params"]),
    "namedtuple": (Layer(array(2, 3), array(3)), ["W", "b"]),
    "layers": ([{"W": array(2)}, {"W": array(3)}], ["params[0].W", "params[1].W"]),
    "mapping of layers": (
        {"first": Layer(array(2), array(1)), "rest": [array(2)]},
        ["first.W", "first.b", "rest[0]"],
    ),
    "no bias": ({"W": array(2, 2), "b": None}, ["W"]),
    "Python scalar": ({"a": 0.5, "W": array(2)}, ["a", "W"]),
    "list of scalars": ([0.5, -1.5], ["params[0]", "params[1]"]),
    "NumPy scalars": ({"a": np.float64(0.5), "b": np.float32(2)}, ["a", "b"]),
    "scalars nested": ({"gains": [1.0, np.float64(2)]}, ["gains[0]", "gains[1]"]),
    "0-d array": ({"a": np.array(0.5)}, ["a"]),
    "zero-size array": ({"W": array(2), "none": np.zeros((0, 3))}, ["W", "none"]),
    "Fortran order": ({"W": np.asfortranarray(array(3, 4))}, ["W"]),
    "every other row": ({"W": array(6, 3)[::2, 1:]}, ["W"]),
    "negative strides": ({"W": array(3, 4)[::-1, ::-1]}, ["W"]),
    "transposed": ({"W": array(2, 3, 4).transpose(2, 0, 1)}, ["W"]),
    "field of a record": ({"W": np.ones(3, [("x", "f8"), ("y", "i4")])["x"]}, ["W"]),
    "subclass of ndarray": ({"W": array(2, 2).view(Tagged)}, ["W"]),
    "byte-swapped": ({"W": array(3).astype(">f8")}, ["W"]),
}


@pytest.mark.parametrize(("params", "names"), STRUCTURES.values(), ids=STRUCTURES)
class TestStructures:
    def test_correct_gradient_passes(self, params: Any, names: list[str]) -> None:
        before = frozen(params)
        result = check(Holder(params))
        assert result.status == "pass"
        assert [block.name for block in result.blocks] == names
        assert frozen(params) == before

    def test_wrong_gradient_fails(self, params: Any, names: list[str]) -> None:
        result = check(Holder(params, factor=1.1))
        assert result.status == "fail"
        assert {block.name for block in result.blocks if block.status == "fail"} == {
            block.name for block in result.blocks if block.size
        }


@pytest.mark.parametrize("index", [(0, 0), (2, 3), (1, 2)])
@pytest.mark.parametrize(
    "layout",
    [np.ascontiguousarray, np.asfortranarray, lambda a: a[::-1, ::-1], lambda a: a.T.copy().T],
    ids=["C", "Fortran", "reversed", "transposed"],
)
def test_index_is_that_of_the_users_array(layout: Any, index: tuple[int, int]) -> None:
    params = {"W": layout(array(3, 4))}
    error = np.zeros((3, 4))
    error[index] = 0.1
    result = check(loss=value, grads=lambda p: {"W": slope(p)["W"] + error}, params=params)
    assert (result.worst[0].parameter, result.worst[0].index) == ("W", index)
    assert result.worst[0].label == f"W[{index[0]}, {index[1]}]"


class Method:
    def __init__(self, **scaled: float) -> None:
        self._net = Mlp(**scaled)
        self.loss, self.grads = self._net.loss, self._net.grads

    def params(self) -> Any:
        return self._net.params


class Property(Method):
    @property
    def params(self) -> Any:  # type: ignore[override]
        return self._net.params


class Generator(Method):
    def __init__(self, **scaled: float) -> None:
        super().__init__(**scaled)
        self.grads = lambda *args: iter(self._net.grads(*args).values())

    def params(self) -> Any:
        yield from self._net.params.values()


class View(Method):
    def __init__(self, **scaled: float) -> None:
        super().__init__(**scaled)
        self.grads = lambda *args: self._net.grads(*args).values()

    def params(self) -> Any:
        return self._net.params.values()


class OnlyLoss:
    """No name ``grads`` anywhere."""

    def __init__(self, **scaled: float) -> None:
        self._net = Mlp(**scaled)
        self.params = self._net.params

    def loss(self, *args: Any) -> Any:
        return self._net.loss(*args), self._net.grads(*args)


class BackwardAttribute(OnlyLoss):
    def __init__(self, **scaled: float) -> None:
        super().__init__(**scaled)
        self.grads: Any = None

    def loss(self, *args: Any) -> float:
        self._args = args
        return self._net.loss(*args)

    def backward(self) -> None:
        self.grads = self._net.grads(*self._args)


class AttributeAfterLoss(OnlyLoss):
    def loss(self, *args: Any) -> float:
        self.grads = self._net.grads(*args)
        return self._net.loss(*args)


class GradsProperty(OnlyLoss):
    def loss(self, *args: Any) -> float:
        self._args = args
        return self._net.loss(*args)

    @property
    def grads(self) -> Any:
        return self._net.grads(*self._args)


OBJECTS = [
    Mlp,
    Property,
    Method,
    Generator,
    View,
    OnlyLoss,
    BackwardAttribute,
    AttributeAfterLoss,
    GradsProperty,
]


@pytest.mark.parametrize("args", [(), (X[:3], Y[:3])], ids=["own data", "data as arguments"])
@pytest.mark.parametrize("kind", OBJECTS)
class TestObjects:
    def test_correct_gradient_passes(self, kind: Any, args: tuple[Any, ...]) -> None:
        assert check(kind(), *args).status == "pass"

    def test_wrong_gradient_fails(self, kind: Any, args: tuple[Any, ...]) -> None:
        result = check(kind(b1=1.1), *args)
        failed = [block.name for block in result.blocks if block.status == "fail"]
        assert failed in (["b1"], ["params[1]"])


class Getter(OnlyLoss):
    """Loss keeps the data, backward() leaves gradients, grads() hands them out."""

    def loss(self, *args: Any) -> float:
        self._args = args
        return self._net.loss(*args)

    def backward(self) -> None:
        self._left = self._net.grads(*self._args)

    def grads(self) -> Any:
        return self._left


class GetterOfOwnData(Getter):
    """What it hands out is not even there before the first backward pass."""

    def loss(self) -> float:
        return super().loss(X[:3], Y[:3])


class PropertyOfOwnData(GetterOfOwnData):
    grads = property(Getter.grads)  # type: ignore[assignment]


@pytest.mark.parametrize("kind", [GetterOfOwnData, PropertyOfOwnData])
@pytest.mark.parametrize(("scaled", "status"), [({}, "pass"), ({"b1": 1.1}, "fail")])
def test_what_only_backward_leaves_behind_is_read_after_it(
    kind: Any, scaled: dict[str, float], status: str
) -> None:
    assert check(kind(**scaled)).status == status


@pytest.mark.parametrize("kind", [GetterOfOwnData, PropertyOfOwnData])
def test_attribute_that_backward_does_not_leave_either_is_the_users_own_error(kind: Any) -> None:
    model = kind()
    model.backward = lambda: None
    with pytest.raises(AttributeError, match="_left"):
        check(model)


@pytest.mark.parametrize(("scaled", "status"), [({}, "pass"), ({"b1": 1.1}, "fail")])
def test_getter_without_arguments_is_read_after_backward(
    scaled: dict[str, float], status: str
) -> None:
    assert check(Getter(**scaled), X[:3], Y[:3]).status == status


@pytest.mark.parametrize(("factor", "status"), [(1.0, "pass"), (1.1, "fail")])
def test_getter_that_says_zero_until_backward_was_called(factor: float, status: str) -> None:

    class Layer:
        def __init__(self) -> None:
            self.params = {"W": array(2, 3)}
            self.left = {"W": np.zeros((2, 3))}

        def loss(self) -> float:
            return value(self.params)

        def backward(self) -> None:
            self.left = {"W": factor * slope(self.params)["W"]}

        def grads(self) -> dict[str, np.ndarray]:
            return self.left

    assert check(Layer()).status == status


def test_parameters_handed_out_by_a_built_in_method() -> None:
    """It has no signature to ask."""
    model = Holder({"W": array(2, 3)})
    held = model.params
    model.loss = lambda: value(held)  # type: ignore[method-assign]
    model.grads = lambda: slope(held)  # type: ignore[method-assign]
    model.params = held.copy
    assert check(model).status == "pass"


LOSSES = {
    "float": float,
    "0-d array": np.array,
    "size-1 array": lambda v: np.array([[v]]),
    "size-1 list": lambda v: [v],
    "NumPy scalar": np.float64,
    "long double": np.longdouble,
}


@pytest.mark.parametrize("form", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize(("factor", "status"), [(1.0, "pass"), (1.1, "fail")])
def test_loss_forms(form: Any, factor: float, status: str) -> None:
    model = Holder({"W": array(2, 3)}, factor=factor)
    model.loss = lambda: form(value(model.params))  # type: ignore[method-assign]
    assert check(model).status == status


def test_a_float32_loss_value_still_shows_a_wrong_gradient() -> None:
    model = Holder({"W": array(2, 3)}, factor=1.5)
    model.loss = lambda: np.float32(value(model.params))  # type: ignore[method-assign]
    assert check(model).status == "fail"


def test_many_float16_parameters_that_stay_float16_are_measured_by_steps_that_they_can_make(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measure, "BUDGET", 30)
    monkeypatch.setattr(measure, "BUDGET_PER_ENTRY", 0)

    class Sines:
        params = MappingProxyType({"W": array(4, 5).astype(np.float16)})
        factor = 1.0

        def loss(self) -> float:
            return float(np.sum(np.sin(self.params["W"].astype(float))))

        def grads(self) -> dict[str, np.ndarray]:
            return {"W": self.factor * np.cos(self.params["W"].astype(float))}

    sines = Sines()
    result = check(sines, mode="exhaustive")
    assert result.status != "fail" and math.isfinite(result.relative_error)
    sines.factor = 1.5
    assert check(sines, mode="exhaustive").status == "fail"


def test_float32_parameters_of_an_object_are_measured_in_float64() -> None:
    result = check(Holder({"W": array(2, 3).astype(np.float32)}))
    assert result.status == "pass"
    assert result.bound < 1e-7  # rounding of the claim; float32 steps allow no better than 1e-6


def test_an_integer_loss_is_a_number_whose_slope_is_zero() -> None:
    result = check(loss=lambda p: 3, grads=lambda p: np.zeros(2), params=np.ones(2))
    assert [finding.name for finding in result.findings] == ["zero-gradient"]


GRADIENTS = {
    "float32": lambda g: g.astype(np.float32),
    "nested lists": lambda g: g.tolist(),
    "Fortran order": np.asfortranarray,
    "read-only": lambda g: np.broadcast_to(g, g.shape),
}


@pytest.mark.parametrize("form", GRADIENTS.values(), ids=GRADIENTS)
@pytest.mark.parametrize(("factor", "status"), [(1.0, "pass"), (1.1, "fail")])
def test_gradient_forms(form: Any, factor: float, status: str) -> None:
    params = {"W": array(2, 3)}
    result = check(loss=value, grads=lambda p: {"W": form(factor * slope(p)["W"])}, params=params)
    assert result.status == status


def test_gradients_are_matched_by_name_not_by_order() -> None:
    params = {"a": np.array([1.0]), "b": np.array([2.0])}
    model = Holder(params)
    model.grads = lambda: dict(reversed(slope(params).items()))  # type: ignore[method-assign]
    assert check(model).status == "pass"


def test_array_is_the_gradient_of_a_list_of_scalars() -> None:
    params = [0.5, -1.5, 2.0]
    result = check(
        loss=value, grads=lambda p: np.array([float(g) for g in slope(p)]), params=params
    )
    assert result.status == "pass"


class Renamed:
    """The hooks under names of its own."""

    def __init__(self, **scaled: float) -> None:
        self.net = Mlp(**scaled)
        self.weights = self.net.params

    def objective(self, *args: Any) -> float:
        self.args = args
        return self.net.loss(*args)

    def backprop(self) -> None:
        self.gradient = self.net.grads(*self.args)


RENAMED = {
    "simple": {
        "params": "weights",
        "loss": "objective",
        "grads": "gradient",
        "backward": "backprop",
    },
    "dotted": {"params": "net.params", "loss": "net.loss", "grads": "net.grads"},
    "mixed": {"params": "weights", "loss": "net.loss", "grads": "net.grads"},
}


@pytest.mark.parametrize("hooks", RENAMED.values(), ids=RENAMED)
@pytest.mark.parametrize(("scaled", "status"), [({}, "pass"), ({"W2": 1.1}, "fail")])
def test_hooks_by_other_names(hooks: dict[str, str], scaled: dict[str, float], status: str) -> None:
    assert check(Renamed(**scaled), hooks=hooks).status == status


HOOKS = "params=weights loss=objective grads=gradient backward=backprop"
HOOKS_SOURCE = """
    import pytest
    from models import Mlp
    from test_accepted_forms import Renamed

    {marker}
    def test_renamed(gradcheck):
        assert gradcheck(Renamed()).status == "pass"
"""


@pytest.mark.parametrize(
    ("marker", "ini", "line"),
    [
        (f"@pytest.mark.gradcheck(hooks=dict({HOOKS.replace(' ', ', ')}))", "", ()),
        ("", HOOKS, ()),
        ("", "", (f"--gradcheck-hooks={HOOKS}",)),
        ("", "", (f"--gradcheck-hooks={HOOKS.replace(' ', ',')}",)),
    ],
    ids=["marker", "ini", "command line", "command line with commas"],
)
def test_hooks_can_be_named_anywhere(
    run: Any, pytester: pytest.Pytester, marker: str, ini: str, line: tuple[str, ...]
) -> None:
    for word in HOOKS.split():
        hook, name = word.split("=")
        marker = marker.replace(word, f"{hook}={name!r}")
    if ini:
        pytester.makeini(f"[pytest]\ngradcheck_hooks = {ini}")
    run(HOOKS_SOURCE.format(marker=marker), *line).assert_outcomes(passed=1)


class Recurrent:
    """Carries its hidden state from one call to the next."""

    def __init__(self) -> None:
        self.params = {"w": np.array([0.7]), "u": np.array([0.4])}
        self.hidden = 0.3

    def reset_state(self) -> None:
        self.hidden = 0.3

    def loss(self) -> float:
        self.before = self.hidden
        self.hidden = float(np.tanh(self.params["w"] * self.hidden + self.params["u"])[0])
        return self.hidden

    def grads(self) -> dict[str, np.ndarray]:
        inner = 1 - np.tanh(self.params["w"] * self.hidden + self.params["u"]) ** 2
        return {"w": inner * self.hidden, "u": inner}


def test_before_each_resets_a_stateful_object() -> None:
    model = Recurrent()
    assert check(model, before_each=model.reset_state).status == "pass"


def test_stateful_object_without_before_each_is_an_error_that_names_the_state() -> None:
    with pytest.raises(SubjectError, match=r"not deterministic.*hidden.*before_each"):
        check(Recurrent())


def test_before_each_is_called_before_every_evaluation() -> None:
    calls: list[str] = []

    class Logged(Holder):
        def loss(self) -> float:
            calls.append("loss")
            return super().loss()

    check(Logged({"W": array(3)}), before_each=lambda: calls.append("before"))
    evaluations = [i for i, name in enumerate(calls) if name == "loss"]
    assert evaluations and all(calls[i - 1] == "before" for i in evaluations)


def test_before_each_serves_plain_functions_too() -> None:
    state = {"offset": 0.0}

    def loss(p: np.ndarray) -> float:
        state["offset"] += 1.0
        return value(p) + state["offset"]

    result = check(
        loss=loss, grads=slope, params=array(2), before_each=lambda: state.update(offset=0.0)
    )
    assert result.status == "pass"


POINTS = {
    "list of floats": [0.5, 2.0],
    "tuple of floats": (0.5, 2.0),
    "tuple of arrays": (array(2), array(3)),
    "Python float": 0.5,
    "NumPy scalar": np.float64(0.5),
    "array": array(4),
    "read-only array": np.broadcast_to(np.array([0.5, 0.5]), (2,)),
    "namedtuple of floats": Layer(0.5, 2.0),
    "read-only mapping of floats": MappingProxyType({"a": 0.5}),
}


@pytest.mark.parametrize("params", POINTS.values(), ids=POINTS)
@pytest.mark.parametrize(("factor", "status"), [(1.0, "pass"), (1.1, "fail")])
def test_plain_functions_at_any_point(params: Any, factor: float, status: str) -> None:
    before = frozen(params)
    result = check(
        loss=value, grads=lambda p: transform(lambda g: g * factor, slope(p)), params=params
    )
    assert result.status == status
    assert frozen(params) == before


@pytest.mark.parametrize("params", POINTS.values(), ids=POINTS)
def test_plain_functions_get_the_structure_and_types_they_were_given(params: Any) -> None:
    kinds = []

    def note(p: Any) -> float:
        kinds.append((type(p), str(transform(type, p))))
        return value(p)

    check(loss=note, grads=slope, params=params)
    assert set(kinds) == {(type(params), str(transform(type, params)))}


def test_loss_may_hand_out_the_gradient_of_a_plain_function() -> None:
    assert check(loss=lambda p: (value(p), slope(p)), params=array(3)).status == "pass"


def test_further_arguments_go_to_plain_functions() -> None:
    result = check(
        2.0, loss=lambda p, a: a * value(p), grads=lambda p, a: a * slope(p), params=array(3)
    )
    assert result.status == "pass"


def test_scipy_rosenbrock_as_f_jac_x0() -> None:
    def rosen(x: np.ndarray) -> float:
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    def rosen_der(x: np.ndarray) -> np.ndarray:
        der = np.zeros_like(x)
        der[:-1] = -400 * x[:-1] * (x[1:] - x[:-1] ** 2) - 2 * (1 - x[:-1])
        der[1:] += 200 * (x[1:] - x[:-1] ** 2)
        return der

    x0 = np.array([1.3, 0.7, 0.8, 1.9, 1.2])
    assert check(loss=rosen, grads=rosen_der, params=x0).status == "pass"


def test_closure_that_ignores_its_argument() -> None:
    net = Mlp()
    result = check(loss=lambda _: net.loss(), grads=lambda _: net.grads(), params=net.params)
    assert result.status == "pass"


def test_functions_receive_the_very_arrays_they_were_given() -> None:
    params = {"W": array(2), "b": array(1)}
    seen = set()

    def loss(p: Any) -> float:
        seen.add((id(p["W"]), id(p["b"])))
        return value(p)

    check(loss=loss, grads=slope, params=params)
    assert seen == {(id(params["W"]), id(params["b"]))}


class Copies:
    """Hands out copies, and takes values back by `set_params` or by assignment."""

    def __init__(self, factor: float = 1.0) -> None:
        self._theta, self.factor = np.array([0.5, -1.0, 2.0]), factor

    @property
    def params(self) -> Any:
        return {"theta": self._theta.copy()}

    def loss(self) -> float:
        return value(self._theta)

    def grads(self) -> Any:
        return {"theta": self.factor * slope(self._theta)}


class SetParams(Copies):
    def set_params(self, params: Any) -> None:
        self._theta = params["theta"].copy()


class Settable(Copies):
    @property
    def params(self) -> Any:
        return {"theta": self._theta.copy()}

    @params.setter
    def params(self, params: Any) -> None:
        self._theta = params["theta"].copy()


class Immutable(Copies):
    """A tuple of floats in an attribute that can be assigned."""

    def __init__(self, factor: float = 1.0) -> None:
        self.params, self.factor = (0.5, -1.0, 2.0), factor  # type: ignore[misc]

    params = None  # type: ignore[assignment]

    def loss(self) -> float:
        return value(self.params)

    def grads(self) -> Any:
        return [self.factor * g for g in slope(self.params)]


@pytest.mark.parametrize("kind", [SetParams, Settable, Immutable])
@pytest.mark.parametrize(("factor", "status"), [(1.0, "pass"), (1.1, "fail")])
def test_values_are_written_back_where_only_copies_are_handed_out(
    kind: Any, factor: float, status: str
) -> None:
    model = kind(factor)
    before = value(model.params)
    assert check(model).status == status
    assert value(model.params) == before == model.loss()


def test_copies_that_cannot_be_written_back_are_an_error() -> None:
    with pytest.raises(SubjectError, match=r"new copy of theta.*set_params"):
        check(Copies())


class Cached(Mlp):
    """A property that hands out its own arrays, and a setter by which alone the loss takes note."""

    def __init__(self, **scaled: float) -> None:
        super().__init__(**scaled)
        self._note()

    @property
    def weights(self) -> dict[str, np.ndarray]:
        return self.params

    @weights.setter
    def weights(self, values: dict[str, np.ndarray]) -> None:
        for name, given in values.items():
            self.params[name][...] = given
        self._note()

    def _note(self) -> None:
        self._noted = Mlp()
        self._noted.params = {name: array.copy() for name, array in self.params.items()}

    def loss(self, *args: Any) -> float:
        return self._noted.loss(*args)


@pytest.mark.parametrize(("scaled", "status"), [({}, "pass"), ({"b1": 1.1}, "fail")])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_setter_of_a_property_is_called_for_what_depends_on_it(
    scaled: dict[str, float], status: str, dtype: Any
) -> None:
    model = Cached(**scaled)
    model.params = {name: array.astype(dtype) for name, array in model.params.items()}
    model._note()
    before = model.loss()
    assert check(model, hooks={"params": "weights"}).status == status
    assert model.loss() == before

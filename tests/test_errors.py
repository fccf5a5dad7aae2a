"""What cannot be checked: said with what was seen, why it matters and what to do."""

from __future__ import annotations

import functools
from collections import namedtuple
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from models import Holder, Mlp, frozen, slope, value

from pytest_gradcheck import SettingsError, SubjectError, check
from pytest_gradcheck.core.gradients import one_for_each
from pytest_gradcheck.core.parameters import Parameter
from pytest_gradcheck.core.structure import flatten, match, rebuild


def net(**changed: Any) -> Mlp:
    model = Mlp()
    for name, hook in changed.items():
        setattr(model, name, hook)
    return model


def with_grads(change: Any) -> Mlp:
    return net(grads=lambda: change(Mlp().grads()))


def without(name: str) -> Any:
    return lambda grads: {k: g for k, g in grads.items() if k != name}


def holding_itself() -> Any:
    tree: dict[str, Any] = {"W": np.ones(2)}
    tree["again"] = tree
    return tree


class Bare:
    """No hook at all, but other public names."""

    weights = 1
    forward = 2


class Handed:
    """Parameters that nothing can be written back to."""

    def __init__(self, make: Any) -> None:
        self._make = make

    @property
    def params(self) -> Any:
        return self._make()

    def loss(self) -> float:
        return value(self._make())

    def grads(self) -> Any:
        return slope(self._make())


FIXED = np.full(2, 0.5)
FIXED.setflags(write=False)

# Each subject with what the message must contain: what was seen, why, what to do.
SUBJECTS: dict[str, tuple[Any, list[str]]] = {
    "nothing": (None, ["got None", "hand over the object"]),
    "a class": (Mlp, ["Mlp is a class", "instance"]),
    "a function": (value, ["got the function value", "gradcheck(loss=f, grads=df, params=x0)"]),
    "a number": (3.0, ["got a float", "loss, params and grads", "gradcheck(loss=f"]),
    "keywords": ({"loss": value, "params": np.ones(2)}, ["got a dict", "gradcheck(**it)"]),
    "several objects": ([Mlp(), Mlp()], ["got a list of 2", "each object by a call of its own"]),
    "a result": (check(Mlp()), ["got a Result", "checked already"]),
    "no hooks": (Bare(), ["Bare has no 'loss'", "Bare has: forward, weights", 'hooks={"loss"']),
    "no params": (
        SimpleNamespace(loss=lambda: 1.0, theta=1),
        ["has no 'params'", "theta", 'hooks={"params"'],
    ),
    "no grads": (
        SimpleNamespace(params=np.ones(2), loss=lambda: 1.0),
        ["has no 'grads'", "structure of params", "(loss, grads)"],
    ),
    "loss is a number": (net(loss=1.0), ["Mlp.loss is of type float", "method"]),
    "loss is None": (net(loss=lambda: None), ["loss is None", "return"]),
    "loss is a vector": (net(loss=lambda: np.ones(3)), ["shape (3,)", "one number", "mean"]),
    "loss is empty": (net(loss=lambda: np.ones(0)), ["shape (0,)", "one number"]),
    "loss is complex": (net(loss=lambda: 1 + 2j), ["(1+2j)", "real number"]),
    "loss is text": (net(loss=lambda: "1.0"), ["'1.0'", "real number"]),
    "loss is a mapping": (net(loss=lambda: {"a": 1.0}), ["type dict", "one real number"]),
    "gradient missing": (with_grads(without("b1")), ["no gradient for 'b1'", "own name"]),
    "gradient too many": (
        with_grads(lambda g: {**g, "b3": 1.0}),
        ["without a parameter: 'b3'", "structure of params"],
    ),
    "gradients with a d in front": (
        with_grads(lambda g: {"d" + k: v for k, v in g.items()}),
        ["no gradient for 'W1'", "grads has 'dW1'", "call it 'W1'"],
    ),
    "gradient transposed": (
        with_grads(lambda g: {**g, "W1": g["W1"].T}),
        ["grads[W1] has shape (4, 3)", "(3, 4)", "nothing is broadcast"],
    ),
    "gradient to be broadcast": (
        with_grads(lambda g: {**g, "b1": 0.1}),
        ["grads[b1] has shape ()", "(4,)"],
    ),
    "gradient in a pair": (
        with_grads(lambda g: (0.5, g)),
        ["grads returned a pair, (float, dict)", "gradient alone"],
    ),
    "gradient None": (
        with_grads(lambda g: {**g, "b1": None}),
        ["grads[b1] is None", "no gradient was written", "zeros"],
    ),
    "gradient complex": (with_grads(lambda g: {**g, "b1": g["b1"] + 0j}), ["grads[b1]", "complex"]),
    "gradient of text": (with_grads(lambda g: {**g, "b1": "zero"}), ["grads[b1]", "real numbers"]),
    "gradients in a list": (
        with_grads(lambda g: list(g.values())),
        ["params is a mapping", "type list"],
    ),
    "gradients None": (net(grads=lambda: None), ["gradient is None", "return it", "backward"]),
    "gradient list too short": (
        net(params=[np.ones(2)] * 2, loss=lambda: 1.0, grads=lambda: [np.ones(2)]),
        ["2 items", "gradient 1"],
    ),
    "params empty": (Holder({}), ["no parameter", "filled only later"]),
    "params without entries": (Holder({"W": np.ones((0, 3))}), ["W", "has an entry", "by fit"]),
    "params None": (Holder(None), ["no parameter"]),
    "params all None": (Holder([None, None]), ["no parameter"]),
    "params hold themselves": (Holder(holding_itself()), ["nested", "hold itself"]),
    "integer array": (Holder({"W": np.ones(2, int)}), ["W is of dtype int", "rounded", "float"]),
    "unsigned array": (Holder({"W": np.ones(2, np.uint8)}), ["W is of dtype uint8", "float"]),
    "Python integer": (Holder({"W": np.ones(2), "steps": 3}), ["steps", "write 3 as a float"]),
    "boolean array": (Holder({"mask": np.ones(2, bool)}), ["mask", "bool", "no derivative"]),
    "Python boolean": (Holder({"W": np.ones(2), "bias": True}), ["bias", "bool"]),
    "complex array": (Holder({"W": np.ones(2, complex)}), ["W", "complex", ".real and .imag"]),
    "object array": (Holder({"W": np.array([1.0, None])}), ["W", "object", "list of"]),
    "text": (Holder({"W": np.ones(2), "name": "adam"}), ["name is of type builtins.str"]),
    "an object": (Holder({"layer": Bare()}), ["layer is of type", "Bare", "mapping of names"]),
    "dates": (Holder({"t": np.array(["2020"], "M8[D]")}), ["t is of dtype datetime64"]),
    "read-only array": (Handed(lambda: {"W": FIXED}), ["W is read-only", "set_params(params)"]),
    "copies": (Handed(lambda: {"W": np.ones(2)}), ["new copy of W", "zeros", "set_params(params)"]),
    "floats in a new mapping": (Handed(lambda: {"a": 1.0}), ["a in a new container", "set_params"]),
    "floats in a tuple": (Handed(lambda: (1.0,)), ["params[0] is a float", "set_params"]),
}


@pytest.mark.parametrize(("subject", "parts"), SUBJECTS.values(), ids=SUBJECTS)
def test_message_says_what_was_seen_and_what_to_do(subject: Any, parts: list[str]) -> None:
    with pytest.raises(SubjectError) as caught:
        check(subject)
    assert [part for part in parts if part not in str(caught.value)] == [], str(caught.value)


@pytest.mark.parametrize("name", [n for n, (s, _) in SUBJECTS.items() if isinstance(s, Mlp)])
def test_parameters_are_as_before_the_error(name: str) -> None:
    model = SUBJECTS[name][0]
    before = frozen(model.params)
    with pytest.raises(SubjectError):
        check(model)
    assert frozen(model.params) == before


FUNCTIONS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no params": ({"loss": value, "grads": slope}, ["params= is missing", "x0"]),
    "no loss": (
        {"grads": slope, "params": FIXED},
        ["loss= is missing", "function of the parameters"],
    ),
    "no grads": ({"loss": value, "params": FIXED}, ["no grads=", "(loss, grads)"]),
    "grads is an array": (
        {"loss": value, "grads": np.ones(2), "params": FIXED},
        ["grads=ndarray", "function of the parameters"],
    ),
    "gradient of another shape": (
        {"loss": value, "grads": lambda p: slope(p)[:1], "params": FIXED},
        ["grads[params] has shape (1,)", "(2,)"],
    ),
    "a method that takes no parameters": (
        {"loss": Mlp().loss, "grads": lambda: slope(FIXED), "params": FIXED},
        ["cannot be called as grads(params)", "hand over the object itself"],
    ),
    "integers": ({"loss": value, "grads": slope, "params": [1, 2]}, ["params[0]", "as a float"]),
    "an object too": (
        {"subject": Mlp(), "loss": value, "grads": slope, "params": FIXED},
        ["either an object or loss=", "not both", "Mlp"],
    ),
}


@pytest.mark.parametrize(("given", "parts"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_plain_functions_are_told_as_clearly(given: dict[str, Any], parts: list[str]) -> None:
    subject = given.pop("subject", None)
    with pytest.raises(SubjectError) as caught:
        check(subject, **given)
    assert [part for part in parts if part not in str(caught.value)] == [], str(caught.value)


@pytest.mark.parametrize("kind", ["Series", "DataFrame"])
def test_labelled_parameters_are_told_how_to_be_handed_over(kind: str) -> None:
    pandas = pytest.importorskip("pandas")
    given = getattr(pandas, kind)({"a": [0.5], "b": [2.0]} if kind == "DataFrame" else [0.5, 2.0])
    words = {"loss": lambda p: float(np.sum(p**2)), "grads": lambda p: 2 * p}
    with pytest.raises(SubjectError, match=rf"{kind}: only NumPy.*to_numpy\(copy=True\)"):
        check(**words, params=given)
    assert check(**words, params=given.to_numpy(copy=True)).status == "pass"


@pytest.mark.parametrize(
    ("word", "here"),
    [("fun", "loss"), ("x0", "params"), ("grad", "grads"), ("hessian", "hess"), ("hessp", "hvp")],
)
def test_words_of_other_tools_are_answered_by_ours(word: str, here: str) -> None:
    words = {"loss": value, "grads": slope, "params": np.ones(2)} | {word: slope}
    with pytest.raises(SettingsError, match=f"unknown keyword '{word}'.*called '{here}'"):
        check(**words)


def test_all_mismatched_names_are_listed_at_once() -> None:
    with pytest.raises(SubjectError) as caught:
        check(with_grads(lambda g: {"W1": g["W1"], "extra": 1.0}))
    for name in ("b1", "W2", "b2", "extra"):
        assert repr(name) in str(caught.value)


def test_backward_that_needs_arguments() -> None:
    model = SimpleNamespace(
        params=np.ones(2), loss=lambda: 1.0, backward=lambda d_out: None, grads=np.ones(2)
    )
    with pytest.raises(SubjectError, match=r"backward needs arguments.*make grads a method"):
        check(model)


def test_error_inside_a_property_is_the_users_own() -> None:
    class Broken:
        loss = staticmethod(lambda: 1.0)

        @property
        def params(self) -> Any:
            return self.wieghts  # type: ignore[attr-defined]

    with pytest.raises(AttributeError, match="wieghts"):
        check(Broken())


@pytest.mark.parametrize("hook", ["loss", "grads"])
def test_exception_of_the_user_comes_through(hook: str) -> None:
    def broken() -> Any:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        check(net(**{hook: broken}))


@pytest.mark.parametrize("hook", ["loss", "grads"])
def test_hook_that_changes_the_parameters(hook: str) -> None:
    model = Mlp()
    original = getattr(model, hook)

    def stepping() -> Any:
        model.params["b1"][1] += 0.5
        return original()

    setattr(model, hook, stepping)
    before = frozen(model.params)
    with pytest.raises(SubjectError, match=r"changes the parameters: b1 \(by up to 0\.5\).*move"):
        check(model)
    assert frozen(model.params) == before


class Single:
    """One parameter, and a loss that does to it whatever `touch` does."""

    def __init__(self, touch: Any = None) -> None:
        self.params = {"w": np.array([0.0, 1.0, 2.0])}
        self.touch = touch

    def loss(self) -> Any:
        if self.touch is not None:
            self.touch(self.params["w"])
        return np.sum(np.sin(self.params["w"]))

    def grads(self) -> Any:
        return {"w": np.cos(self.params["w"])}


@pytest.mark.filterwarnings("ignore:Setting the shape")
@pytest.mark.parametrize(
    ("touch", "told"),
    [
        (lambda w: setattr(w, "shape", (3, 1)), r"in shape, from \(3,\) to \(3, 1\)"),
        (lambda w: np.negative(w, out=w, where=w == 0), "in the sign of a zero: -0.0"),
    ],
    ids=["shape", "sign"],
)
def test_what_a_loss_changes_that_no_distance_shows(touch: Any, told: str) -> None:
    with pytest.raises(SubjectError, match=rf"changes the parameters: w \({told}\)"):
        check(Single(touch))


def test_a_loss_that_is_kept_is_asked_after() -> None:
    class Kept(Single):
        @functools.lru_cache  # noqa: B019 (the mistake)
        def loss(self) -> Any:
            return super().loss()

    with pytest.raises(SubjectError, match=r"kept \(lru_cache, cached_property\)\? Clear it"):
        check(Kept())


def test_a_loss_that_is_rounded_is_asked_after() -> None:
    words = {"grads": lambda w: 2e-3 * w, "params": np.array([0.5, 1.5])}
    with pytest.raises(SubjectError, match=r"does not reach.* is it rounded, by int\(\.\.\.\)"):
        check(loss=lambda w: int(1e-9 * w @ w) + 3, **words)
    with pytest.raises(SubjectError, match=r"claimed\. Was the array"):
        check(loss=lambda w: 3.0, **words)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ((1.0,), r"Single\.loss\(\).* is called without arguments, not with the 1 given: leave"),
        ((1.0, 2.0), "not with the 2 given"),
    ],
)
def test_data_for_a_loss_that_takes_none(args: tuple[float, ...], told: str) -> None:
    with pytest.raises(SubjectError, match=told):
        check(Single(), *args)


def test_data_in_another_number_than_the_loss_takes() -> None:
    class Taking(Single):
        def loss(self, X: Any, y: Any) -> Any:
            return super().loss()

    with pytest.raises(SubjectError, match=r"with the 1 argument given: hand over those that it"):
        check(Taking(), 1.0)


def test_loss_that_is_not_deterministic_tells_the_size_of_the_jitter() -> None:
    noise = iter(np.arange(1000.0))
    model = Mlp()
    model.loss = lambda: Mlp.loss(model) + next(noise)  # type: ignore[method-assign]
    with pytest.raises(SubjectError, match=r"not deterministic.*differ by 1 .*before_each="):
        check(model)


def test_message_reaches_the_report_without_internals(run: Any) -> None:
    result = run(
        """
        from models import Mlp

        def test_net(gradcheck):
            net = Mlp()
            net.grads = lambda: {}
            gradcheck(net)  # the calling line
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the calling line*", "E *no gradient for 'W1'*"])
    result.stdout.no_fnmatch_line("*pytest_gradcheck/*.py:*")
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


OWN_MISTAKE = """
        from models import Mlp
        import pytest

        class Mistaken(Mlp):
            def loss(self):
                return 1 / 0  # the user's own line

        def test_fixture(gradcheck):
            gradcheck(Mistaken())

        @pytest.mark.gradcheck
        def test_returned():
            return Mistaken()
"""


def test_the_users_own_mistake_is_shown_without_our_frames(run: Any) -> None:
    result = run(OWN_MISTAKE)
    result.assert_outcomes(failed=2)
    assert result.stdout.str().count("1 / 0  # the user's own line") == 2
    result.stdout.no_fnmatch_line("*pytest_gradcheck/*.py:*")


def test_full_trace_shows_all_frames(run: Any) -> None:
    run(OWN_MISTAKE, "--full-trace").stdout.fnmatch_lines(["*pytest_gradcheck/core/*.py:*"])


def test_a_returned_tuple_is_told_to_be_several_objects(run: Any) -> None:
    result = run(
        """
        from models import X, Y, Mlp
        import pytest

        class Net(Mlp):
            def loss(self, X, Y):
                return super().loss(X, Y)

        @pytest.mark.gradcheck
        def test_net():
            return Net(), X, Y
        """
    )
    result.stdout.fnmatch_lines(
        ["FAILED *return an object that holds its data*object 1 of 3*a tuple*"]
    )


def nested(depth: int, leaf: Any) -> Any:
    for _ in range(depth):
        leaf = [leaf]
    return leaf


def test_parameters_nested_32_deep_are_the_deepest() -> None:
    (leaf,) = flatten(nested(32, 1.5))
    assert leaf.value == 1.5 and leaf.name == "params" + 32 * "[0]"
    with pytest.raises(SubjectError, match="nested more than 32 levels deep"):
        flatten(nested(33, 1.5))


def test_each_missing_gradient_is_told_with_its_place() -> None:
    params = {"a": 1.0, "inner": {"W": 1.0, "b": 2.0, "none": None}, "pair": [1.0, 2.0]}
    with pytest.raises(SubjectError) as info:
        match(params, {"inner": {"dW": 1.0, "b": 2.0, "c": 3.0}, "pair": [1.0], "z": 0.0})
    lines = [line.strip() for line in str(info.value).splitlines()]
    assert lines[1:-1] == [
        "no gradient for 'a'",
        "gradients without a parameter: 'z'",
        "no gradient for 'W' in inner (grads has 'dW': call it 'W')",
        "gradients in inner without a parameter: 'c'",
        "pair has 2 items, its gradient 1",
    ]
    assert match(params, {"a": 1, "inner": {"W": 2, "b": 3}, "pair": np.array([4, 5])}) == [
        *(1, 2, 3, 4, 5)
    ]
    for wrong, what in (([1.0], "params is a mapping"), ({"pair": 3.0}, "pair is a sequence")):
        with pytest.raises(SubjectError, match=what):
            match(params, wrong)


@pytest.mark.parametrize(("count", "named"), [(1, "p0,"), (10, "p8, p9,"), (11, "p8, p9, ...,")])
def test_of_many_parameters_the_first_are_named(count: int, named: str) -> None:
    parameters = [Parameter(f"p{i}", np.ones(2)) for i in range(count)]
    for handed in ([], None, {"p0": np.ones(2)}, "grads"):
        with pytest.raises(SubjectError) as info:
            one_for_each(handed, parameters)
        assert f"a list of {count}, one for each" in str(info.value)
        assert f"{named} in this order" in str(info.value)
    gradients = one_for_each([np.array([1, 2])] * count, parameters)
    assert len(gradients) == count and gradients[0].dtype == np.float64


@pytest.mark.parametrize("count", [1, 5, 6])
def test_of_what_moved_the_first_five_are_named(count: int) -> None:
    class Moves(Holder):
        def __init__(self) -> None:
            super().__init__(np.ones(2))
            for i in range(count):
                setattr(self, f"c{i}", 0.0)

        def loss(self) -> float:
            for i in range(count):
                setattr(self, f"c{i}", getattr(self, f"c{i}") + 1.0)
            return super().loss() + self.c0  # type: ignore[attr-defined]

    with pytest.raises(SubjectError) as info:
        check(Moves())
    names = ", ".join(f"self.c{i}" for i in range(min(count, 5)))
    told = str(info.value)
    assert f"moved between two evaluations: {names}{', ...' if count > 5 else ''}. Reset" in told
    size = 1 / (2 * np.exp(0.3) + 2 + 1)
    assert f"differ by 1 (relatively {size:.1e})" in told


def test_a_loss_of_zero_that_is_another_each_time_tells_its_size() -> None:
    calls = [0]

    def loss(x: np.ndarray) -> float:
        calls[0] += 1
        return float(calls[0] - 1)

    with pytest.raises(SubjectError, match=r"differ by 1 \(relatively 1\.0e\+300\)"):
        check(loss=loss, grads=np.zeros_like, params=np.ones(2))


def test_a_structure_is_built_again_of_its_own_kinds() -> None:
    class Own(dict):  # type: ignore[type-arg]
        pass

    class Refuses(dict):  # type: ignore[type-arg]
        def __init__(self, **items: Any) -> None:
            super().__init__(items)

    Pair = namedtuple("Pair", "x y")
    tree = {"a": 1.0, "b": [2.0, (3.0, None)], "c": Pair(4.0, [5.0]), "d": Own(e=6.0), "f": None}
    again = rebuild({**tree, "g": Refuses(h=7.0)}, iter("1234567"))
    assert again == {
        **{"a": "1", "b": ["2", ("3", None)], "c": Pair("4", ["5"]), "d": Own(e="6"), "f": None},
        "g": {"h": "7"},
    }
    assert type(again["d"]) is Own and type(again["c"]) is Pair and type(again["b"][1]) is tuple
    assert type(again["g"]) is dict
    names = [leaf.name for leaf in flatten(tree)]
    assert names == ["a", "b[0]", "b[1][0]", "c.x", "c.y[0]", "d.e"]
    assert [leaf.name for leaf in flatten(Pair(1.0, {"k": 2.0, 3: 4.0}))] == ["x", "y.k", "y[3]"]
    assert [leaf.in_mutable_container for leaf in flatten(tree)] == [
        *(True, True, False, False, True, True)
    ]


@pytest.mark.parametrize(
    ("claim", "refused"), [(1e9, True), (1.0, True), (1e-6, True), (1e-9, False)]
)
def test_a_claim_too_small_to_be_seen_in_the_loss_is_not_said_to_be_unread(
    claim: float, refused: bool
) -> None:
    def given() -> Any:
        return check(
            loss=lambda p: 1e2 + float(np.sum(p["b"] ** 2)),
            grads=lambda p: {"a": np.full(3, claim), "b": 2 * p["b"]},
            params={"a": np.ones(3), "b": np.ones(2)},
        )

    if refused:
        with pytest.raises(SubjectError, match="moving a does not reach the loss"):
            given()
    else:
        result = given()
        assert result.status in ("warn", "fail")  # for the claim itself, which is wrong


def test_gradient_that_refuses_numpy_in_its_own_way() -> None:
    class Refusing:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            raise ZeroDivisionError("not today")

    with pytest.raises(SubjectError, match=r"type Refusing, of which NumPy makes no array.*today"):
        check(loss=lambda p: float(p.sum()), grads=lambda p: Refusing(), params=np.ones(2))

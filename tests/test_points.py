"""The same check at several points: as given, after training, at random displacements."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import Run
from models import Mlp, frozen
from network import Network

from pytest_gradcheck import SettingsError, SubjectError, check

RNG = np.random.default_rng(3)
X, y = RNG.normal(size=(20, 6)), RNG.integers(3, size=20)
MODES = pytest.mark.parametrize("mode", ["exhaustive", "probe"])


class Penalised(Network):
    """A penalty on the biases in the gradient alone: right as long as they are zero."""

    velocity = 0.0

    def __init__(self, lam: float = 0.5) -> None:
        super().__init__([6, 8, 3], lam=lam)
        self.history: list[float] = []
        self.momentum = {name: np.zeros_like(theta) for name, theta in self.params.items()}

    def grads(self, X: Any = X, y: Any = y) -> Any:
        grads = super().grads(X, y)
        return {
            k: g + self.lam / len(X) * self.params[k] * k.startswith("b") for k, g in grads.items()
        }

    def loss(self, X: Any = X, y: Any = y) -> float:
        return super().loss(X, y)

    def fit(self) -> list[float]:
        """As people train: arrays are rebound, buffers and counters move."""
        for _ in range(5):
            for name, g in self.grads().items():
                self.momentum[name] = 0.9 * self.momentum[name] + g
                self.params[name] = self.params[name] - 0.1 * self.momentum[name]
            self.history.append(self.loss())
        self.velocity = 1.0
        self.rng.normal()
        return self.history


def state(net: Penalised) -> Any:
    generator = str(net.rng.bit_generator.state)
    return (
        frozen(net.params),
        frozen(net.momentum),
        list(net.history),
        dict(vars(net)).keys(),
        generator,
    )


HOW: dict[str, Callable[[Penalised], dict[str, Any]]] = {
    "steps": lambda net: {"train": 20},
    "no argument": lambda net: {"train": net.fit},
    "of the object": lambda net: {"train": lambda model: model.fit()},
    "displacement": lambda net: {"points": 1},
}


@MODES
@pytest.mark.parametrize("how", HOW)
def test_mistake_that_shows_only_elsewhere(how: str, mode: str) -> None:
    net = Penalised()
    before = state(net)
    assert check(net, mode=mode).status == "pass"
    result = check(net, mode=mode, **HOW[how](net))
    given, elsewhere = result.points
    assert (given.status, given.point) == ("pass", "at the given parameters")
    assert result.status == elsewhere.status != "pass"
    assert result.point == elsewhere.point and elsewhere.point in result.title
    assert "l2-extra" in [f.name for f in result.findings]
    assert {b.name for b in result.blocks if b.status != "pass"} == {"b1", "b2"}
    assert state(net) == before


@MODES
def test_right_gradient_passes_everywhere(mode: str) -> None:
    net = Network([6, 8, 3], lam=0.5)
    result = check(net, X, y, mode=mode, train=10, points=2)
    assert result.status == "pass" and not result.findings
    assert [p.point for p in result.points] == [
        "at the given parameters",
        "after 10 steps of gradient descent (lr=0.1)",
        "at random displacement 1 of 2, after 10 steps of gradient descent (lr=0.1)",
        "at random displacement 2 of 2, after 10 steps of gradient descent (lr=0.1)",
    ]
    assert result.bound == max(p.bound for p in result.points)


def test_one_point_is_the_check_itself() -> None:
    result = check(Mlp())
    assert result.points == () and result.point == "" and result.title == "Mlp"


def test_mistake_that_shows_only_at_the_given_point() -> None:
    """Worst is worst: a later point that is right excuses nothing."""

    def grads(x: np.ndarray) -> np.ndarray:
        return 2 * x * (2.0 if x[0] == 1.0 else 1.0)

    result = check(loss=lambda x: np.sum(x**2), grads=grads, params=np.ones(3), train=1, points=1)
    assert [p.status for p in result.points] == ["fail", "pass", "pass"]
    assert result.status == "fail" and result.point == "at the given parameters"


def test_cost_is_that_of_all_points() -> None:
    calls = 0

    def loss(x: np.ndarray) -> float:
        nonlocal calls
        calls += 1
        return float(np.sum(np.cos(x)))

    result = check(loss=loss, grads=lambda x: -np.sin(x), params=np.arange(3.0), train=7, points=2)
    assert result.evaluations == sum(p.evaluations for p in result.points)
    assert result.evaluations == calls
    assert result.seconds == sum(p.seconds for p in result.points)


def test_steps_are_plain_gradient_descent() -> None:
    seen: list[float] = []

    def grads(x: np.ndarray) -> np.ndarray:
        seen.append(float(x[0]))
        return 2 * x

    check(loss=lambda x: np.sum(x**2), grads=grads, params=np.array([1.0]), train=3, lr=0.25)
    assert seen[:5] == [1.0, 1.0, 0.5, 0.25, 0.125]


def test_displacements_are_small_and_reproducible() -> None:
    def points(seed: int) -> list[np.ndarray]:
        seen: list[np.ndarray] = []

        def grads(x: np.ndarray) -> np.ndarray:
            seen.append(x.copy())
            return 2 * x

        start = np.array([100.0, 200.0, 0.0])
        check(loss=lambda x: np.sum(x**2), grads=grads, params=start, points=2, seed=seed)
        return [x - start for x in seen if not np.array_equal(x, start)]

    one, two = points(1), points(1)
    assert all(map(np.array_equal, one, two))
    assert not np.array_equal(one[0], one[1]) and not np.array_equal(one[0], points(2)[0])
    assert all(np.all((x != 0) & (np.abs(x) < 10)) for x in one)


def test_displacement_stays_in_the_domain() -> None:
    result = check(
        loss=lambda x: np.sum(np.log(x - 0.999)), grads=lambda x: 1 / (x - 0.999),
        params=np.ones(4), points=3,
    )  # fmt: skip
    assert result.status == "pass" and len(result.points) == 4


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_displacement_from_a_bound_goes_inside(sign: float) -> None:
    result = check(
        loss=lambda x: np.sum(np.abs(x) ** 2.5), points=2,
        grads=lambda x: 2.5 * sign * np.abs(x) ** 1.5, params=sign * np.array([0.0, 1.0]),
        bounds=[(0, None) if sign > 0 else (None, 0)] * 2,
    )  # fmt: skip
    assert result.status == "pass" and len(result.points) == 3


def test_no_point_of_the_domain_near() -> None:
    def loss(x: np.ndarray) -> float:
        return float(x[0]) if abs(x[0] - 1) < 1e-12 else float("nan")

    with pytest.raises(SubjectError, match="points=1: the loss is not finite at random displ"):
        check(loss=loss, grads=lambda x: np.ones(1), params=np.ones(1), refine=False, points=1,
              eps=1e-13)  # fmt: skip


def test_beside_an_optimum_is_what_the_doubt_at_it_advises() -> None:
    def loss(x: np.ndarray) -> float:
        return float(np.sum((x - 1) ** 2) + np.sum((x - 1) ** 4))

    words = {"loss": loss, "grads": lambda x: 2 * (x - 1) + 4 * (x - 1) ** 3, "params": np.ones(3)}
    [doubt] = check(**words).findings
    assert doubt.name == "zero-gradient"
    assert "points=1" in doubt.message
    assert check(**words, train=3).status == "warn"
    assert check(**words, points=1).status == "pass"


def test_a_point_that_sees_settles_what_another_does_not() -> None:
    net = Network([6, 8, 3])
    net.params["W2"][:] = 0  # nothing comes down to the first layer
    assert check(net, X, y).status == "warn"
    result = check(net, X, y, train=20)
    assert result.status == "pass"
    assert {"zero-gradient", "near-zero-parameters"} <= {f.name for f in result.findings}
    assert all(f.message.startswith("at the given") for f in result.findings)
    never = check(
        loss=lambda p: np.sum(p["w"] ** 2), train=3,
        grads=lambda p: {"w": 2 * p["w"], "idle": np.zeros(2)},
        params={"w": np.ones(2), "idle": np.ones(2)}, allow=(),
    )  # fmt: skip
    assert never.status == "warn"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_all_stands_as_before_whatever_training_raises(error: type[BaseException]) -> None:
    net = Penalised()
    before = state(net)

    def train() -> None:
        net.fit()
        net.extra = 1  # type: ignore[attr-defined]
        raise error("in the middle")

    with pytest.raises(error, match="in the middle"):
        check(net, train=train)
    assert state(net) == before


def test_all_stands_as_before_when_a_later_check_is_interrupted() -> None:
    net, calls = Penalised(), 0

    def count() -> None:
        nonlocal calls
        calls += 1
        if calls == 500:
            raise KeyboardInterrupt

    before = state(net)
    with pytest.raises(KeyboardInterrupt):
        check(net, train=net.fit, points=2, before_each=count)
    assert state(net) == before


def test_optimiser_that_training_holds_is_put_back() -> None:
    class Momentum:
        def __init__(self) -> None:
            self.buffer, self.steps = np.zeros(3), 0

        def step(self, x: np.ndarray) -> None:
            self.steps += 1
            self.buffer += 2 * x
            x -= 0.1 * self.buffer

    x, momentum = np.ones(3), Momentum()
    result = check(
        loss=lambda x: np.sum(x**2), grads=lambda x: 2 * x, params=x, train=lambda: momentum.step(x)
    )
    assert len(result.points) == 2 and result.status == "pass"
    assert x.tobytes() == np.ones(3).tobytes()
    assert momentum.steps == 0 and not momentum.buffer.any()


def test_rebound_entries_of_a_mapping_are_put_back() -> None:
    params = {"w": np.ones(3)}
    own = params["w"]

    def train(p: dict[str, np.ndarray]) -> None:
        p["w"] = p["w"] * 0.5

    seen: list[float] = []

    def loss(p: dict[str, np.ndarray]) -> float:
        seen.append(float(p["w"][0]))
        return float(np.sum(p["w"] ** 3))

    check(loss=loss, grads=lambda p: {"w": 3 * p["w"] ** 2}, params=params, train=train)
    assert params["w"] is own and own.tolist() == [1.0, 1.0, 1.0]
    assert 0.5 in seen


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("train", [4, lambda x: x * np.float32(0.7)])
def test_read_only_parameters_move_too(train: Any, dtype: Any) -> None:
    """Only copies of these can move; a function returns what it trained."""
    x = np.ones(4, dtype)
    x.flags.writeable = False

    def grads(x: np.ndarray) -> np.ndarray:
        return (3 * x**2 * (1.0 if x[0] == 1 else 1.5)).astype(dtype)

    result = check(loss=lambda x: np.sum(x**3), grads=grads, params=x, train=train, points=1)
    assert [p.status for p in result.points] == ["pass", "fail", "fail"]


def test_copies_written_back() -> None:
    class Copies:
        def __init__(self) -> None:
            self._w = np.ones(4)

        @property
        def params(self) -> np.ndarray:
            return self._w.copy()

        @params.setter
        def params(self, w: np.ndarray) -> None:
            self._w = w

        def loss(self) -> float:
            return float(np.sum(self._w**3))

        def grads(self) -> np.ndarray:
            return 3 * self._w**2 * (1.0 if abs(self._w[0] - 1) < 1e-3 else 1.5)

    subject = Copies()
    for train in (3, lambda s: setattr(s, "params", s.params * 0.5)):
        result = check(subject, train=train)
        assert [p.status for p in result.points] == ["pass", "fail"]
        assert subject.params.tolist() == [1.0] * 4


def test_training_that_diverges() -> None:
    cube = {"loss": lambda x: np.sum(x**4), "grads": lambda x: 4 * x**3, "params": np.full(3, 9.0)}
    with pytest.raises(SubjectError, match=r"not finite after 50 steps.*smaller lr"):
        check(**cube, train=50, lr=1.0)
    wrong = {**cube, "grads": lambda x: -4 * x**3}
    result = check(**wrong, train=50, lr=1.0)
    assert result.status == "fail" and len(result.points) == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"train": True}, "train=True"),
        ({"train": 0}, "train=0"),
        ({"train": 2.5}, "train=2.5"),
        ({"train": Network}, "train=<class"),
        ({"lr": 0}, "lr=0"),
        ({"points": -1}, "points=-1"),
        ({"points": 1.0}, "points=1.0"),
    ],
)
def test_impossible_values(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        check(Mlp(), **settings)


# In pytest

MODULE = """
    import numpy as np
    import pytest

    class Biased:
        def __init__(self):
            self.params = {"w": np.array([0.5, 1.0]), "b": np.zeros(2)}

        def loss(self):
            return np.sum(np.exp(self.params["w"] + self.params["b"]))

        def grads(self):
            g = np.exp(self.params["w"] + self.params["b"])
            return {"w": g, "b": g + 5 * self.params["b"]}

        def step(self):
            self.params["b"] -= np.array([0.1, 0.2])
"""


def test_by_marker(run: Run) -> None:
    source = """
    @pytest.mark.gradcheck(train=Biased.step)
    def test_returned():
        return Biased()

    @pytest.mark.gradcheck(train=5, lr=0.05, points=1)
    def test_fixture(gradcheck):
        gradcheck(Biased())
    """
    result = run(MODULE + source, "--gradcheck-summary")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines_random(
        [
            "*FAIL*Biased after training*",
            "*cause*l2-extra: *",
            "*at the given parameters * pass *",
            "*after training * fail *l2-extra*",
        ]
    )
    result.stdout.fnmatch_lines_random(
        ["*after 5 steps of gradient descent (lr=0.05)*fail*l2-extra*"]
    )


@pytest.mark.parametrize("where", ["line", "ini"])
def test_by_command_line_and_ini(run: Run, pytester: pytest.Pytester, where: str) -> None:
    source = """
    def test_biased(gradcheck):
        gradcheck(Biased())
    """
    assert run(MODULE + source).parseoutcomes() == {"passed": 1}
    if where == "ini":
        pytester.makeini("[pytest]\ngradcheck_train = 3\ngradcheck_lr = 0.2\n")
        result = run(MODULE + source)
        result.stdout.fnmatch_lines(["*after 3 steps of gradient descent*"])
    else:
        result = run(MODULE + source, "--gradcheck-points=2")
        result.stdout.fnmatch_lines(["*FAIL*at random displacement ? of 2*"])
    result.assert_outcomes(failed=1)


def test_record_holds_all_points() -> None:
    record = check(Mlp(), train=2, points=1).as_dict()
    assert record["points"][0]["point"] == "at the given parameters"
    assert len(record["points"]) == 3 and type(record["points"][1]["status"]) is str
    trained = check(Mlp(), train=lambda: None).as_dict()
    assert isinstance(trained["settings"]["train"], str)


# Frameworks


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")
def test_torch_module(run: Run) -> None:
    result = run("""
    import pytest
    import torch
    from pytest_gradcheck import check

    class Gate(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.exp(x)

        @staticmethod
        def backward(ctx, up):
            (x,) = ctx.saved_tensors
            return up * torch.exp(x) * (1 + x)  # right at x = 0

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.zeros(4))
            self.register_buffer("seen", torch.zeros(1))

        def forward(self, x):
            if self.training:
                self.seen += 1
            return (Gate.apply(self.w) * x).sum()

    def descend(net):
        optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):
            optimiser.zero_grad()
            net(torch.ones(4)).backward()
            optimiser.step()

    @pytest.mark.parametrize("train", [5, descend])
    def test_net(train):
        net = Net()
        result = check(net, torch.arange(1.0, 5.0), loss=lambda z: z, train=train, points=1,
                       allow="near-zero-parameters")
        assert [p.status for p in result.points] == ["pass", "fail", "fail"]
        assert not net.w.any() and not net.seen.any() and net.w.grad is None and net.training
    """)
    result.assert_outcomes(passed=2)


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs jax")
def test_jax(run: Run) -> None:
    result = run("""
    import jax
    import jax.numpy as jnp
    import pytest
    from pytest_gradcheck import check

    @jax.custom_vjp
    def gate(x):
        return jnp.exp(x)

    gate.defvjp(lambda x: (jnp.exp(x), x), lambda x, up: (up * jnp.exp(x) * (1 + x),))

    def loss(params):
        return jnp.sum(gate(params["w"]) * jnp.arange(1.0, 5.0))

    def descend(params):
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, jax.grad(loss)(params))

    @pytest.mark.parametrize("train", [5, descend])
    def test_loss(train):
        params = {"w": jnp.zeros(4)}
        result = check(loss=loss, params=params, train=train, points=1,
                       allow="near-zero-parameters")
        assert [p.status for p in result.points] == ["pass", "fail", "fail"]
        assert not params["w"].any()
    """)
    result.assert_outcomes(passed=2)

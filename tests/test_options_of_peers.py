"""Each row of docs/reference/options-of-peers.md; no option of another checker is missing there."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
import jax.numpy as jnp  # noqa: E402
from jax.test_util import check_grads  # noqa: E402

from pytest_gradcheck import GradcheckError, SubjectError, check  # noqa: E402

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "options-of-peers.md"
ROWS = re.findall(r"^\| (`.+?) \| .+ \| `(test_\w+)` \|$", PAGE.read_text("utf-8"), re.MULTILINE)
PEERS = (torch.autograd.gradcheck, torch.autograd.gradgradcheck, check_grads)


def randn(*shape: int) -> Any:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.fixture(autouse=True)
def _seeded() -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


class Cube(torch.autograd.Function):
    """The cube, whose backward and forward mode multiply by what they are told."""

    @staticmethod
    def forward(x: Any, backward: float = 1.0, forward: float = 1.0, kind: Any = None) -> Any:
        return x**3

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, ctx.factor, ctx.other, ctx.kind = (*inputs, 1.0, 1.0, None)[:4]
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        slope = 3 * x**2 * ctx.factor
        return g * (slope if ctx.kind is None else slope.to(ctx.kind)), None, None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Any, *_: Any) -> Any:
        (x,) = ctx.saved_tensors
        return tangent * 3 * x**2 * ctx.other


def statuses(*args: Any, **options: Any) -> dict[str, str]:
    return {block.name: block.status for block in check(*args, **options).blocks}


@pytest.mark.parametrize("peer", PEERS, ids=["gradcheck", "gradgradcheck", "check_grads"])
def test_no_option_is_missing(peer: Any) -> None:
    named = {name for options, _ in ROWS for name in re.findall(r"`(\w+)`", options)}
    assert set(inspect.signature(peer).parameters) <= named


def test_every_row_has_its_test() -> None:
    assert len(ROWS) > 20
    assert all(callable(globals().get(test)) for _, test in ROWS)


def test_func() -> None:
    layer = torch.nn.Linear(3, 2)
    assert list(statuses(layer, torch.ones(1, 3))) == ["weight", "bias"]
    assert statuses(torch.sin, randn(3)) == {"input": "pass"}


def test_inputs() -> None:
    def f(x: Any, y: Any, *, z: Any) -> Any:
        return x * y * z

    given = (randn(3), randn(3).detach())
    assert list(statuses(f, *given, kwargs={"z": randn(3)})) == ["x", "z"]
    assert list(statuses(f, *given, kwargs={"z": randn(3)}, wrt="y")) == ["y"]


def test_grad_outputs() -> None:
    found = statuses(torch.tanh, randn(3), order=2)
    assert found == {"input": "pass", "input (order 2)": "pass", "cotangent of output": "pass"}


def test_eps() -> None:
    assert check(torch.exp, randn(3), eps=1.0).status == "pass", "only the first step"
    assert check(torch.exp, randn(3), eps=1.0, refine=False).status == "fail"


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_atol(scale: float) -> None:
    assert statuses(lambda x: scale * Cube.apply(x, 1.5), randn(3)) == {"x": "fail"}
    assert statuses(lambda x: scale * Cube.apply(x), randn(3)) == {"x": "pass"}


def test_rtol() -> None:
    assert check(Cube.apply, randn(3), 1.001).status == "warn"
    assert check(Cube.apply, randn(3), 1.001, tol=1e-2).status == "pass"
    assert check(Cube.apply, randn(3), 1.001, fail=1e-4).status == "fail"


def test_raise_exception(gradcheck: Any) -> None:
    assert check(Cube.apply, randn(3), 2.0).status == "fail"
    with pytest.raises(GradcheckError):
        gradcheck(Cube.apply, randn(3), 2.0)


def test_nondet_tol() -> None:
    class Jitter(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g + 1e-9 * torch.rand_like(g)

    assert check(Jitter.apply, randn(3)).status == "pass"
    with pytest.raises(SubjectError, match=r"not deterministic.*more than nondet_tol=0"):
        check(Jitter.apply, randn(3), nondet_tol=0.0)


def test_check_undefined_grad() -> None:
    class Pair(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.set_materialize_grads(False)
            return x.clone(), 2 * x

        @staticmethod
        def backward(ctx: Any, a: Any, b: Any) -> Any:
            return a + 2 * b

    with pytest.raises(SubjectError, match=r"fails where only output\[0\] is used"):
        check(Pair.apply, randn(3))


def test_check_grad_dtypes() -> None:
    assert check(Cube.apply, randn(3), 1.0, 1.0, torch.float16).status == "warn"


def test_check_batched_grad() -> None:
    assert check(torch.tanh, randn(3), batched_grad=True).status == "pass"

    class Batched(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * (2 if torch._C._functorch.is_legacy_batchedtensor(g) else 1)

    assert check(Batched.apply, randn(3)).status == "pass"
    with pytest.raises(SubjectError, match=r"another gradient under torch\.func\.vmap"):
        check(Batched.apply, randn(3), batched_grad=True)


def test_check_batched_forward_grad() -> None:
    found = statuses(torch.func.vmap(torch.tanh), randn(3, 2), forward_ad=True)
    assert set(found.values()) == {"pass"}
    assert len(found) == 2


def test_check_forward_ad() -> None:
    assert statuses(Cube.apply, randn(3), 1.0, 2.0) == {"x": "pass"}
    found = statuses(Cube.apply, randn(3), 1.0, 2.0, forward_ad=True)
    assert found == {"x": "pass", "x (forward mode)": "fail"}


def test_check_backward_ad() -> None:
    found = statuses(Cube.apply, randn(3), 2.0, 1.0, forward_ad=True)
    assert found == {"x": "fail", "x (forward mode)": "pass"}


def test_gen_non_contig_grad_outputs() -> None:
    class Flat(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return 2 * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * torch.as_strided(g, g.shape, (g.shape[1], 1))  # as if it were contiguous

    assert check(Flat.apply, randn(2, 3)).status == "pass"
    assert check(Flat.apply, randn(2, 3), loss=lambda y: y.mT).status == "fail"


def test_check_fwd_over_rev() -> None:
    def gradient(x: Any) -> Any:
        return torch.func.grad(lambda x: torch.sum(torch.tanh(x) ** 2))(x)

    found = statuses(gradient, randn(3), forward_ad=True)
    assert found == {"x": "pass", "x (forward mode)": "pass"}


def test_check_rev_over_rev() -> None:
    class Slope(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return 3 * x**2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 5 * ctx.saved_tensors[0] * g  # 6 was meant

    class Power(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * Slope.apply(ctx.saved_tensors[0])

    found = statuses(Power.apply, randn(3), order=2)
    assert (found["x"], found["x (order 2)"]) == ("pass", "fail")


def test_fast_mode() -> None:
    def f(x: Any) -> Any:
        x = x * 1
        x.register_hook(lambda g: g.index_put((torch.tensor(70),), 3 * g[70]))
        return torch.sum(torch.sin(x))

    result = check(f, randn(100), mode="probe")
    assert (result.status, result.worst[0].label) == ("fail", "x[70]")
    assert result.evaluations < 150


def test_masked() -> None:
    x = torch.eye(3, dtype=torch.float64).to_sparse().requires_grad_()
    with pytest.raises(SubjectError, match=r"hand out its values\(\) as a dense tensor"):
        check(lambda x: torch.sparse.sum(x), x)
    indices = x.detach().indices()
    values = x.detach().values().requires_grad_()
    assembled = lambda v: torch.sparse.sum(torch.sparse_coo_tensor(indices, v, (3, 3)))  # noqa: E731
    assert check(assembled, values).status == "pass"


@jax.custom_jvp
def _cube(x: Any) -> Any:
    return x**3


@_cube.defjvp
def _cube_jvp(primals: Any, tangents: Any) -> Any:
    return _cube(primals[0]), tangents[0] * _slope(primals[0])


@jax.custom_jvp
def _slope(x: Any) -> Any:
    return 3 * x**2


@_slope.defjvp
def _slope_jvp(primals: Any, tangents: Any) -> Any:
    return _slope(primals[0]), tangents[0] * 5 * primals[0]  # 6 was meant


def test_order() -> None:
    x = np.array([0.5, -1.0])
    assert statuses(_cube, jnp.array(x)) == {"x": "pass"}
    assert statuses(_cube, jnp.array(x), order=2) == {"x": "pass", "second:x": "fail"}
    third = jax.grad(lambda x: jnp.sum(_slope(x)))
    assert statuses(third, jnp.array(x)) == {"x": "pass"}


def test_modes() -> None:
    found = statuses(jnp.tanh, jnp.ones(2), forward_ad=True)
    assert sorted(found.values()) == ["pass", "pass"]
    assert len(found) == 2

"""Operations of torch: none is accused, and none gets away with a wrong backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pytest_gradcheck import check  # noqa: E402
from pytest_gradcheck.adapters.torch import adapt  # noqa: E402

F = torch.nn.functional
R, P, C, S = "real", "positive", "complex", "square"
"""Kinds of inputs: any number, above 0.2, complex, a well-conditioned 4 by 4 matrix."""

OPS: dict[str, tuple[Callable[..., Any], list[tuple[str, tuple[int, ...]]]]] = {
    "exp": (torch.exp, [(R, (3, 2))]),
    "expm1": (torch.expm1, [(R, (5,))]),
    "log": (torch.log, [(P, (5,))]),
    "log1p": (torch.log1p, [(P, (5,))]),
    "sqrt": (torch.sqrt, [(P, (5,))]),
    "rsqrt": (torch.rsqrt, [(P, (5,))]),
    "sin": (torch.sin, [(R, (5,))]),
    "tan": (torch.tan, [(R, (5,))]),
    "atan2": (torch.atan2, [(P, (4,)), (R, (4,))]),
    "sinh": (torch.sinh, [(R, (5,))]),
    "tanh": (torch.tanh, [(R, (5,))]),
    "sigmoid": (torch.sigmoid, [(R, (5,))]),
    "erf": (torch.erf, [(R, (5,))]),
    "lgamma": (torch.lgamma, [(P, (5,))]),
    "digamma": (torch.digamma, [(P, (5,))]),
    "pow": (torch.pow, [(P, (4,)), (R, (4,))]),
    "add": (torch.add, [(R, (3, 2)), (R, (2,))]),
    "mul": (torch.mul, [(R, (3, 2)), (R, (3, 1))]),
    "div": (torch.div, [(R, (3, 2)), (P, (2,))]),
    "addcmul": (torch.addcmul, [(R, (4,)), (R, (4,)), (R, (4,))]),
    "lerp": (torch.lerp, [(R, (4,)), (R, (4,)), (R, (4,))]),
    "hypot": (torch.hypot, [(P, (4,)), (P, (4,))]),
    "abs": (torch.abs, [(R, (5,))]),
    "relu": (F.relu, [(R, (6,))]),
    "leaky_relu": (F.leaky_relu, [(R, (6,))]),
    "elu": (F.elu, [(R, (6,))]),
    "gelu": (F.gelu, [(R, (6,))]),
    "silu": (F.silu, [(R, (6,))]),
    "softplus": (F.softplus, [(R, (6,))]),
    "mish": (F.mish, [(R, (6,))]),
    "clamp": (lambda x: x.clamp(-0.5, 0.5), [(R, (8,))]),
    "maximum": (torch.maximum, [(R, (5,)), (R, (5,))]),
    "where": (lambda x, y: torch.where(x > 0, x * y, y), [(R, (5,)), (R, (5,))]),
    "sum": (lambda x: x.square().sum(0), [(R, (3, 2))]),
    "mean": (lambda x: x.mean(1), [(R, (3, 4))]),
    "prod": (lambda x: x.prod(0), [(R, (3, 2))]),
    "var": (lambda x: x.var(0), [(R, (4, 2))]),
    "norm": (lambda x: torch.linalg.vector_norm(x, 3), [(R, (5,))]),
    "logsumexp": (lambda x: x.logsumexp(1), [(R, (3, 4))]),
    "softmax": (lambda x: x.softmax(1), [(R, (3, 4))]),
    "log_softmax": (lambda x: x.log_softmax(1), [(R, (3, 4))]),
    "cumsum": (lambda x: x.cumsum(0), [(R, (4,))]),
    "cumprod": (lambda x: x.cumprod(0), [(R, (4,))]),
    "max": (lambda x: x.max(1), [(R, (3, 4))]),
    "sort": (lambda x: x.sort(), [(R, (5,))]),
    "topk": (lambda x: x.topk(2), [(R, (5,))]),
    "gather": (lambda x: x.gather(0, torch.tensor([[0, 2], [1, 1]])), [(R, (3, 2))]),
    "index": (lambda x: x[[0, 0, 2]], [(R, (3, 2))]),
    "cat": (lambda x, y: torch.cat([x, y]), [(R, (3, 2)), (R, (1, 2))]),
    "stack": (lambda x, y: torch.stack([x, y]), [(R, (3,)), (R, (3,))]),
    "permute": (lambda x: x.permute(2, 0, 1), [(R, (2, 3, 2))]),
    "pad": (lambda x: F.pad(x, (1, 2), mode="reflect"), [(R, (1, 4))]),
    "matmul": (torch.matmul, [(R, (3, 4)), (R, (4, 2))]),
    "bmm": (torch.bmm, [(R, (2, 3, 2)), (R, (2, 2, 3))]),
    "einsum": (lambda x, y: torch.einsum("ij,kj->ik", x, y), [(R, (2, 3)), (R, (4, 3))]),
    "outer": (torch.outer, [(R, (3,)), (R, (4,))]),
    "inv": (torch.linalg.inv, [(S, (4, 4))]),
    "det": (torch.linalg.det, [(S, (4, 4))]),
    "slogdet": (torch.linalg.slogdet, [(S, (4, 4))]),
    "solve": (torch.linalg.solve, [(S, (4, 4)), (R, (4,))]),
    "cholesky": (lambda x: torch.linalg.cholesky(x @ x.mT), [(S, (4, 4))]),
    "linear": (F.linear, [(R, (3, 4)), (R, (2, 4)), (R, (2,))]),
    "conv1d": (F.conv1d, [(R, (1, 2, 6)), (R, (3, 2, 3)), (R, (3,))]),
    "conv2d": (F.conv2d, [(R, (1, 2, 4, 4)), (R, (2, 2, 3, 3))]),
    "conv_transpose2d": (F.conv_transpose2d, [(R, (1, 2, 2, 2)), (R, (2, 1, 2, 2))]),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), [(R, (1, 1, 4, 4))]),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 2), [(R, (1, 1, 4, 4))]),
    "layer_norm": (lambda x, w: F.layer_norm(x, (4,), w), [(R, (3, 4)), (R, (4,))]),
    "embedding": (lambda w: F.embedding(torch.tensor([1, 1, 0]), w), [(R, (3, 2))]),
    "attention": (F.scaled_dot_product_attention, [(R, (1, 3, 2)), (R, (1, 3, 2)), (R, (1, 3, 2))]),
    "cross_entropy": (lambda x: F.cross_entropy(x, torch.tensor([0, 2])), [(R, (2, 3))]),
    "interpolate": (
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
        [(R, (1, 1, 3, 3))],
    ),
    "complex_exp": (torch.exp, [(C, (4,))]),
    "complex_mul": (torch.mul, [(C, (4,)), (C, (4,))]),
    "complex_abs": (torch.abs, [(C, (4,))]),
    "fft": (torch.fft.fft, [(C, (5,))]),
    "rfft": (torch.fft.rfft, [(R, (6,))]),
    "angle": (torch.angle, [(C, (4,))]),
}


def inputs(kinds: list[tuple[str, tuple[int, ...]]], dtype: Any = torch.float64) -> list[Any]:
    rng = np.random.default_rng(3)
    made = []
    for kind, shape in kinds:
        x = rng.normal(size=shape)
        if kind == P:
            x = np.abs(x) + 0.2
        if kind == S:
            x = x + 4 * np.eye(shape[0])
        tensor = torch.tensor(x, dtype=dtype)
        if kind == C:
            tensor = torch.complex(tensor, torch.tensor(rng.normal(size=shape), dtype=dtype))
        made.append(tensor.requires_grad_())
    return made


class Spoiled(torch.autograd.Function):
    """A function whose gradient with respect to its first input went through `spoil`."""

    @staticmethod
    def forward(ctx: Any, function: Any, spoil: Any, *xs: Any) -> Any:
        ctx.function, ctx.spoil = function, spoil
        ctx.save_for_backward(*xs)
        return function(*xs)

    @staticmethod
    def backward(ctx: Any, *gs: Any) -> Any:
        xs = [x.detach().requires_grad_() for x in ctx.saved_tensors]
        with torch.enable_grad():
            ys = ctx.function(*xs)
        ys = [ys] if isinstance(ys, torch.Tensor) else list(ys)
        pairs = [(y, g) for y, g in zip(ys, gs, strict=True) if y.requires_grad]
        first, *rest = torch.autograd.grad([y for y, _ in pairs], xs, [g for _, g in pairs])
        return None, None, ctx.spoil(first), *rest


def one_entry(g: Any) -> Any:
    spoiled = g.clone().reshape(-1)
    spoiled[spoiled.abs().argmax()] *= 1.5
    return spoiled.reshape(g.shape)


SPOILS = {
    "factor": lambda g: 1.001 * g,
    "sign": lambda g: -g,
    "zero": torch.zeros_like,
    "one-entry": one_entry,
}


@pytest.mark.parametrize("name", OPS)
def test_no_false_alarm(name: str) -> None:
    function, kinds = OPS[name]
    result = check(function, *inputs(kinds), adapters=[adapt], allow=["zero-gradient"])
    assert result.status == "pass"
    assert result.relative_error <= 1e-7


@pytest.mark.parametrize("name", [n for n in OPS if n not in ("slogdet",)])
def test_no_false_alarm_in_float32(name: str) -> None:
    function, kinds = OPS[name]
    xs = inputs(kinds, torch.float32)
    result = check(function, *xs, adapters=[adapt], allow=["zero-gradient"])
    assert result.status == "pass"
    assert result.relative_error <= 1e-7, "measured and claimed in float64"


@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.parametrize("name", OPS)
def test_wrong_backward_is_caught_and_located(name: str, spoil: str) -> None:
    function, kinds = OPS[name]
    xs = inputs(kinds)

    def wrapped(x: Any, *rest: Any) -> Any:
        return Spoiled.apply(function, SPOILS[spoil], x, *rest)

    result = check(wrapped, *xs, adapters=[adapt], allow=["zero-gradient"])
    assert result.status == ("warn" if spoil == "factor" else "fail")
    accused = {block.name.partition(".")[0] for block in result.blocks if block.status != "pass"}
    assert accused == {"x"}
    assert result.worst[0].parameter.partition(".")[0] == "x"
    if spoil == "one-entry" and not xs[0].is_complex():
        wrong = [entry for entry in result.worst if entry.error > 10 * entry.uncertainty]
        assert len(wrong) == 1
        assert wrong[0].relative_error == pytest.approx(0.2, rel=1e-3)

"""PyTorch: modules, functions of tensors, custom autograd functions; all left as it was."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pytest_gradcheck import Result, SettingsError, SubjectError, check  # noqa: E402
from pytest_gradcheck.adapters.called import Called  # noqa: E402
from pytest_gradcheck.adapters.torch import adapt  # noqa: E402
from pytest_gradcheck.adapters.torch.tensors import Elsewhere, Tensors  # noqa: E402
from pytest_gradcheck.adapters.torch.wide import Wide  # noqa: E402
from pytest_gradcheck.settings import Settings  # noqa: E402

# What torch loads at its first compilation must not come with an inner run of pytest, which drops
# from `sys.modules` what it loaded, and cannot be loaded twice.
importlib.import_module("torch._dynamo")

nn, F = torch.nn, torch.nn.functional


@pytest.fixture(autouse=True)
def _seeded() -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def checked(subject: Any, *args: Any, **options: Any) -> Result:
    said = {name: options.pop(name) for name in ("loss", "kwargs") if name in options}
    return check(Called(subject, **said), *args, adapters=[adapt], **options)


def problem(subject: Any, *args: Any, **said: Any) -> Any:
    return adapt(Called(subject, **said), args, Settings())


def randn(*shape: int, dtype: Any = torch.float64, grad: bool = True) -> Any:
    return torch.randn(*shape, dtype=dtype).requires_grad_(grad)


def names(result: Result) -> list[str]:
    return [block.name for block in result.blocks]


def wrong_blocks(result: Result) -> list[str]:
    return [block.name for block in result.blocks if block.status != "pass"]


def found(result: Result, name: str) -> Any:
    return next(finding for finding in result.findings if finding.name == name)


class Scaled(torch.autograd.Function):
    """``x * w`` whose gradient with respect to w is multiplied by `factor`."""

    @staticmethod
    def forward(ctx: Any, x: Any, w: Any, factor: Any = 1.0) -> Any:
        ctx.save_for_backward(x, w)
        ctx.factor = factor
        return x * w

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, w = ctx.saved_tensors
        return g * w, (g * x).sum_to_size(w.shape) * ctx.factor, None


class Gain(nn.Module):
    """A linear layer followed by a gain with a hand-written gradient."""

    def __init__(self, factor: Any = 1.0, width: int = 4) -> None:
        super().__init__()
        self.linear = nn.Linear(3, width)
        self.gain = nn.Parameter(torch.rand(width) + 0.5)
        self.factor = factor

    def forward(self, x: Any) -> Any:
        return Scaled.apply(torch.tanh(self.linear(x)), self.gain, self.factor)


# What real modules are made of.


def seq(*layers: Any) -> Any:
    return nn.Sequential(*layers)


MODULES: dict[str, Callable[[], tuple[Any, list[Any]]]] = {
    "linear": lambda: (nn.Linear(3, 2), [(4, 3)]),
    "mlp": lambda: (seq(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2)), [(4, 3)]),
    "conv": lambda: (seq(nn.Conv2d(2, 3, 3), nn.GELU(), nn.MaxPool2d(2)), [(2, 2, 6, 6)]),
    "batch-norm": lambda: (seq(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4)), [(5, 3)]),
    "group-norm": lambda: (seq(nn.Conv1d(2, 4, 2), nn.GroupNorm(2, 4)), [(2, 2, 5)]),
    "layer-norm": lambda: (nn.LayerNorm(5), [(3, 5)]),
    "embedding": lambda: (nn.Embedding(4, 3), [torch.tensor([0, 1, 2, 3, 3])]),
    "lstm": lambda: (nn.LSTM(3, 4), [(5, 2, 3)]),
    "gru": lambda: (nn.GRU(2, 3, bidirectional=True), [(3, 2, 2)]),
    "attention": lambda: (nn.MultiheadAttention(4, 2), [(3, 2, 4)] * 3),
    "bilinear": lambda: (nn.Bilinear(2, 3, 2), [(4, 2), (4, 3)]),
    "prelu": lambda: (nn.PReLU(), [(7,)]),
    "weight-norm": lambda: (nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)), [(4, 3)]),
    "complex": lambda: (nn.Linear(2, 2, dtype=torch.complex64), [randn(3, 2).cfloat().detach()]),
}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", MODULES)
def test_right_modules_pass(name: str, precision: str) -> None:
    dtype = getattr(torch, precision)
    module, shapes = MODULES[name]()
    if name != "complex":
        module.to(dtype)
    args = [torch.randn(*s, dtype=dtype) if isinstance(s, tuple) else s for s in shapes]
    before = {n: p.detach().clone() for n, p in module.named_parameters()}
    result = checked(module, *args, allow=["zero-gradient"])
    assert result.status == "pass"
    assert result.relative_error <= 1e-7
    assert {b.name.removesuffix(".real").removesuffix(".imag") for b in result.blocks} == set(
        before
    )
    for n, p in module.named_parameters():
        assert torch.equal(p, before[n])
        assert p.dtype == before[n].dtype
        assert p.grad is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_narrow_models_are_verified_in_float64(dtype: Any) -> None:
    net = nn.Sequential(nn.Linear(3, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 2)).to(dtype)
    x, y = torch.randn(4, 3).to(dtype), torch.tensor([0, 1, 1, 0])
    result = checked(net, x, loss=lambda out: F.cross_entropy(out, y))
    assert result.status == "pass"
    assert result.relative_error + result.uncertainty < 1e-8
    assert {p.dtype for p in net.parameters()} == {dtype}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_wrong_narrow_models_are_caught(dtype: Any) -> None:
    result = checked(Gain(1.1).to(dtype), torch.randn(4, 3).to(dtype))
    assert result.status == "fail"
    assert wrong_blocks(result) == ["gain"]


class OffBy(torch.autograd.Function):
    """The identity, with a wrong gradient."""

    @staticmethod
    def forward(ctx: Any, x: Any, factor: float) -> Any:
        ctx.factor = factor
        return x.clone()

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * ctx.factor, None


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
@pytest.mark.parametrize("off", [1e-5, 1e-4])
def test_beside_least_squares_float32_has_few_digits_and_is_right(off: float, mode: str) -> None:
    net, x = nn.Linear(8, 3), torch.randn(40, 8)
    y = (x.double() @ net.weight.detach().double().T + net.bias.detach().double()).float()
    with torch.no_grad():
        for p in net.parameters():
            p += off * torch.randn_like(p)

    def loss(out: Any) -> Any:
        return 0.5 + F.mse_loss(out, y)

    assert checked(net, x, loss=loss, mode=mode).status == "pass"
    wrong = checked(net, x, loss=lambda out: loss(OffBy.apply(out, 1.1)), mode=mode)
    assert wrong.status == "fail"


def test_float32_is_as_sharp_as_float64() -> None:
    assert checked(Gain(1 + 1e-6), torch.randn(4, 3)).status == "warn"
    assert checked(Gain(1 + 1e-8), torch.randn(4, 3)).status == "pass"


def test_narrow_claim_that_is_not_the_wide_one_rounded_is_judged_itself() -> None:
    class Coarse(Scaled):
        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            gx, gw, _ = Scaled.backward(ctx, g)
            return gx, gw * (1.01 if gw.dtype == torch.float32 else 1.0), None

    class Net(Gain):
        def forward(self, x: Any) -> Any:
            return Coarse.apply(self.linear(x), self.gain)

    result = checked(Net(), torch.randn(4, 3))
    assert result.status == "fail"
    assert wrong_blocks(result) == ["gain"]


def test_float64_copies_can_be_declined() -> None:
    net, x = nn.Linear(3, 2), torch.randn(4, 3)
    declined = checked(net, x, float64=False)
    assert declined.status == "pass"
    assert declined.uncertainty > 1e-9 > checked(net, x).uncertainty


def test_loss_on_the_output() -> None:
    net, x, y = Gain(0.5), torch.randn(4, 3), torch.randn(4, 4)
    result = checked(net, x, loss=lambda out: F.mse_loss(out, y))
    assert wrong_blocks(result) == ["gain"]
    right = torch.autograd.grad(F.mse_loss(net(x), y), net.linear.bias)[0]
    bias = next(b for b in result.blocks if b.name == "linear.bias")
    assert bias.analytic_norm == pytest.approx(float(right.norm()), rel=1e-5)


def test_method_of_a_module() -> None:
    class Net(Gain):
        def training_loss(self, x: Any, y: Any) -> Any:
            return F.mse_loss(self(x), y)

    x, y = torch.randn(4, 3), torch.randn(4, 4)
    assert checked(Net().training_loss, x, y).status == "pass"
    assert wrong_blocks(checked(Net(2.0).training_loss, x, y)) == ["gain"]


def test_registered_adapter_needs_no_naming() -> None:
    result = check(Gain(2.0), torch.randn(4, 3))
    assert (result.title, wrong_blocks(result)) == ("Gain", ["gain"])


# A real size: few evaluations, one wrong entry named.


class Block(nn.Module):
    """A small transformer block with dropout, and one wrong entry if asked for."""

    def __init__(self, wrong: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.block = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True)
        self.out = nn.Parameter(torch.randn(10, 32) / 5)
        if wrong is not None:
            self.out.register_hook(
                lambda g: torch.index_put(g, [torch.tensor([i]) for i in wrong], 3 * g[wrong])
            )

    def forward(self, x: Any) -> Any:
        return F.linear(self.block(x), self.out)


class ConvNet(nn.Module):
    """Convolutions, batch normalisation, pooling, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 12, 3, bias=False), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(),
        )  # fmt: skip
        self.head = nn.Linear(24 * 25, 10)

    def forward(self, x: Any) -> Any:
        return self.head(self.features(x))


def test_transformer_block_in_float32_with_dropout() -> None:
    result = checked(Block(), torch.randn(4, 10, 32), freeze_rng="on")
    assert result.status == "pass"
    assert result.evaluations <= 60


def test_convolutional_network_in_float32_with_dropout() -> None:
    y = torch.randint(0, 10, (8,))
    net = ConvNet()
    buffers = copy.deepcopy(dict(net.named_buffers()))
    result = checked(net, torch.randn(8, 3, 16, 16), loss=lambda out: F.cross_entropy(out, y))
    assert result.status == "pass"
    assert result.evaluations <= 60
    assert all(torch.equal(b, buffers[n]) for n, b in net.named_buffers())


def test_one_wrong_entry_of_a_transformer_is_named() -> None:
    result = checked(Block(wrong=(7, 5)), torch.randn(4, 10, 32), freeze_rng="on")
    assert result.status == "fail"
    assert result.worst[0].label == "out[7, 5]"
    assert result.worst[0].relative_error == pytest.approx(0.5, rel=1e-3)


# Functions of tensors.


def test_function_of_tensors() -> None:
    result = checked(torch.matmul, randn(3, 4), randn(4, 2))
    assert result.status == "pass"
    assert names(result) == ["input[0]", "input[1]"]


def test_inputs_are_called_what_the_function_calls_them() -> None:
    def force(mass: Any, acceleration: Any, *more: Any, drag: Any = 0.0) -> Any:
        return mass * acceleration + sum(more) - drag

    result = checked(force, randn(2), randn(2), randn(2), kwargs={"drag": randn(2)})
    assert names(result) == ["mass", "acceleration", "more[0]", "drag"]


def test_custom_function() -> None:
    assert names(checked(Scaled.apply, randn(3), randn(3))) == ["x", "w"]
    result = checked(Scaled.apply, randn(3), randn(3), 1.5)
    assert (result.status, wrong_blocks(result), result.title) == ("fail", ["w"], "Scaled")


def test_tensors_in_lists_and_mappings() -> None:
    def total(tree: Any) -> Any:
        return (tree["a"][0] * tree["a"][1]).sum() + tree["b"].sin().sum()

    result = checked(total, {"a": [randn(2), randn(2)], "b": randn(3)})
    assert result.status == "pass"
    assert names(result) == ["tree.a[0]", "tree.a[1]", "tree.b"]


def test_what_requires_no_gradient_is_left_alone() -> None:
    x, w = randn(3), randn(3, grad=False)
    assert names(checked(torch.mul, x, w)) == ["input[0]"]
    net = Gain(2.0)
    net.gain.requires_grad_(False)
    result = checked(net, torch.randn(4, 3))
    assert result.status == "pass"
    assert names(result) == ["linear.weight", "linear.bias"]


def test_inputs_of_a_module_on_request() -> None:
    net = nn.Linear(3, 2)
    assert names(checked(net, randn(4, 3, dtype=torch.float32))) == ["weight", "bias", "input"]
    assert names(checked(net, torch.randn(4, 3), wrt="input")) == ["input"]
    assert names(checked(net, torch.randn(4, 3), wrt=["b*", "input"])) == ["bias", "input"]


def test_wrong_gradient_of_an_input() -> None:
    class Net(nn.Linear):
        def forward(self, x: Any) -> Any:
            return super().forward(Scaled.apply(torch.ones(4, 3), x, 1.2))

    result = checked(Net(3, 2), torch.randn(4, 3), wrt=["weight", "x"])
    assert wrong_blocks(result) == ["x"]


def test_inputs_themselves_never_move() -> None:
    x = randn(3)
    seen = []

    def f(y: Any) -> Any:
        seen.append(y is x)
        return (y.sin() * x.detach()).sum()

    before = x.detach().clone()
    checked(f, x)
    assert not any(seen)
    assert torch.equal(x, before)
    assert x.grad is None


def test_the_same_tensor_twice() -> None:
    x = randn(3)
    result = checked(torch.mul, x, x)
    assert (result.status, result.size) == ("pass", 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: randn(3) * 2,
        lambda: randn(1).expand(3),
        lambda: randn(2, 3).t(),
        lambda: randn(6)[::2],
        lambda: torch.complex(randn(3), randn(3)).conj(),
    ],
    ids=["non-leaf", "expanded", "transposed", "strided", "conjugate"],
)
def test_inputs_of_any_memory_layout(make: Callable[[], Any]) -> None:
    assert checked(torch.exp, make()).status == "pass"


def test_packed_sequences() -> None:
    x = randn(5, 2, 3, dtype=torch.float32)
    packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 3]))
    result = checked(nn.LSTM(3, 2), packed)
    assert result.status == "pass"
    assert "input.data" in names(result)


def test_function_that_closes_over_a_module() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    buffers = copy.deepcopy(dict(net.named_buffers()))
    result = checked(lambda x: net(x).square().sum(), randn(5, 3, dtype=torch.float32))
    assert result.status in ("pass", "warn")
    assert names(result) == ["x"]
    assert all(torch.equal(b, buffers[n]) for n, b in net.named_buffers())


# Outputs.


class TwoOutputs(torch.autograd.Function):
    """sin and cos of x, the latter with one wrong entry in its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Any, wrong: float = 1.0) -> Any:
        ctx.save_for_backward(x)
        ctx.wrong = wrong
        return x.sin(), x.cos().reshape(2, -1)

    @staticmethod
    def backward(ctx: Any, g_sin: Any, g_cos: Any) -> Any:
        (x,) = ctx.saved_tensors
        scale = torch.ones_like(x)
        scale[4] = ctx.wrong
        return g_sin * x.cos() - scale * g_cos.reshape(-1) * x.sin(), None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_wrong_output_is_named_too(dtype: Any) -> None:
    x = randn(6, dtype=dtype)
    assert checked(TwoOutputs.apply, x).status == "pass"
    result = checked(TwoOutputs.apply, x, 2.0)
    assert (result.status, result.worst[0].label) == ("fail", "x[4]")
    made = problem(TwoOutputs.apply, x, 2.0)
    made.loss()
    (why,) = made.explain(result.worst)
    assert why.evidence["output"] == "output[1][1, 1]"
    assert why.evidence["measured"] == pytest.approx(-float(x[4].detach().sin()), rel=1e-5)
    assert why.evidence["claimed"] == pytest.approx(-2 * float(x[4].detach().sin()), rel=1e-5)


def test_nothing_to_name_for_a_single_loss() -> None:
    made = problem(lambda x: x.sin().sum(), randn(3))
    made.loss()
    assert made.explain([]) == []


def test_integer_outputs_have_no_gradient() -> None:
    assert checked(lambda x: x.max(0), randn(4, 3)).status == "pass"


def test_detached_outputs_are_not_claimed_to_have_one() -> None:
    assert checked(lambda x: (x.sin(), x.cos().detach()), randn(3)).status == "pass"


def test_outputs_in_a_mapping() -> None:
    assert checked(lambda x: {"a": x.sin(), "b": [x.cos()]}, randn(3)).status == "pass"


def test_complex_parameters_are_two_real_ones() -> None:
    z = randn(3, dtype=torch.complex128)
    result = checked(lambda z: z.exp() * z.conj(), z)
    assert result.status == "pass"
    assert names(result) == ["z.real", "z.imag"]


def test_a_forgotten_conjugate() -> None:
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, z: Any, w: Any) -> Any:
            ctx.save_for_backward(z, w)
            return z * w

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            z, w = ctx.saved_tensors
            return g * w.conj(), g * z

    z, w = randn(3, dtype=torch.complex128), randn(3, dtype=torch.complex128)
    result = checked(Product.apply, z, w)
    assert result.status == "fail"
    assert wrong_blocks(result) == ["w.real", "w.imag"]


def test_real_function_of_complex_numbers_and_back() -> None:
    assert checked(torch.view_as_real, randn(3, dtype=torch.complex64)).status == "pass"
    assert checked(torch.view_as_complex, randn(3, 2)).status == "pass"


# Claims that must be seen.


def test_nan_in_the_gradient() -> None:
    result = checked(
        lambda x: torch.where(x > 0, x.sqrt(), 0 * x).sum(),
        torch.tensor([1.0, -1.0], requires_grad=True),
    )
    assert result.status == "fail"
    assert "NaN" in found(result, "not-finite").message


def test_unused_parameter_has_gradient_zero() -> None:
    net = Gain()
    net.unused = nn.Parameter(torch.ones(2))
    result = checked(net, torch.randn(4, 3))
    assert result.status == "warn"
    assert found(result, "zero-gradient").where == ("unused",)


def test_parameter_used_behind_the_back_of_autograd() -> None:
    class Net(Gain):
        def forward(self, x: Any) -> Any:
            return super().forward(x) * self.gain.detach()

    assert wrong_blocks(checked(Net(), torch.randn(4, 3))) == ["gain"]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([0.5, -0.3], torch.float64),
        ([0.5, -0.3], torch.float32),
        ([180.0, 1.0], torch.float16),  # the squares of these gradients are infinite in them
        ([1e25, 1.0], torch.float32),
    ],
)
def test_backward_that_ignores_what_comes_from_above(values: list[float], dtype: Any) -> None:
    class Ignorant(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return (x / 1e10 if x.max() > 1e10 else x).square().sum()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * ctx.saved_tensors[0]

    with pytest.raises(SubjectError, match="multiply by grad_output"):
        checked(Ignorant.apply, torch.tensor(values, dtype=dtype, requires_grad=True))


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (nn.Linear, "Linear is a class: hand over an instance of it"),
        (torch.autograd.Function, r"the class of a function: hand over Function\.apply"),
    ],
)
def test_a_class_in_place_of_an_instance(kind: Any, told: str) -> None:
    for words in ({}, {"loss": torch.sum}):
        with pytest.raises(SubjectError, match=told):
            checked(kind, randn(2, 3), **words)


# What is not finite is told as such, and warns of nothing of its own.


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("function", [torch.sqrt, lambda x: torch.log(x).sum()])
def test_infinite_gradients_fail(function: Any, dtype: Any) -> None:
    x = torch.tensor([0.0, 1.0, 2.0], dtype=dtype, requires_grad=True)
    result = checked(function, x, batched_grad=True, nondet_tol=0.0)
    assert result.status == "fail"
    assert "not-finite" in [f.name for f in result.findings]


@pytest.mark.filterwarnings("error")
def test_large_gradients_in_half_precision_warn_of_nothing() -> None:
    x = torch.tensor([200.0, 1.0], dtype=torch.float16, requires_grad=True)
    assert checked(lambda x: x**2, x, batched_grad=True).status == "pass"


# Tied weights.


class Tied(nn.Module):
    """An encoder and a decoder over one matrix."""

    def __init__(self, how: str, dtype: Any = None) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(3, 3, dtype=dtype), nn.Linear(3, 3, dtype=dtype)
        if how == "same":
            self.decode.weight = self.encode.weight
        elif how == "view":
            self.decode.weight = nn.Parameter(self.encode.weight.data)
        elif how == "transposed":
            self.decode.weight = nn.Parameter(self.encode.weight.data.t())
        elif how == "part":
            self.decode.weight = nn.Parameter(self.encode.weight.data[:2])
            self.decode.bias = nn.Parameter(torch.zeros(2))

    def forward(self, x: Any) -> Any:
        return self.decode(self.encode(x).tanh())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("how", ["same", "view", "transposed"])
def test_tied_weights_are_moved_once(how: str, dtype: Any) -> None:
    result = checked(Tied(how, dtype), torch.randn(4, 3, dtype=dtype), allow=["coarse"])
    assert result.status == "pass"
    assert "decode.weight" not in names(result)
    assert found(result, "tied").where == ("encode.weight", "decode.weight")


@pytest.mark.parametrize("mode", ["exhaustive", "probe"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_row_of_padding_is_left_out_as_documented(dtype: Any, mode: str) -> None:
    embedding = nn.Embedding(7, 3, padding_idx=2, dtype=dtype)
    with torch.no_grad():
        embedding.weight[2] += 0.5  # it counts in the loss, as far as PyTorch's gradient knows
    before = embedding.weight.detach().clone()
    for factor, status in ((1.0, "pass"), (1.5, "fail")):
        net = seq(embedding, Gain(factor).to(dtype), nn.Flatten(), nn.Linear(12, 2, dtype=dtype))
        words = torch.tensor([[2, 1, 3], [3, 2, 1]])
        result = checked(net, words, mode=mode, points=1, allow=["coarse", "zero-gradient"])
        assert result.status == status
        assert found(result, "padding").evidence == {"row": 2}
        assert torch.equal(embedding.weight, before)


def test_row_of_padding_with_a_penalty_is_moved() -> None:
    embedding = nn.Embedding(4, 3, padding_idx=0, dtype=torch.float64)
    torch.nn.init.normal_(embedding.weight)

    def loss(out: Any) -> Any:
        return out.sin().sum() + (embedding.weight**2).sum()

    result = checked(embedding, torch.tensor([1, 2, 3]), loss=loss)
    assert result.status == "pass"
    assert "padding" not in {finding.name for finding in result.findings}


def test_other_overlap_is_refused() -> None:
    with pytest.raises(SubjectError, match=r"encode\.weight and decode\.weight overlap"):
        checked(Tied("part"), torch.randn(4, 3))


# All as before.


class Stateful(nn.Module):
    """Running statistics, a step counter, a cached tensor, a hidden state, a generator."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4), Memory())
        self.steps, self.seen = 0, []
        self.last = torch.zeros(1)

    def forward(self, x: Any) -> Any:
        self.steps += 1
        self.last = x.detach().sum()
        return self.layers(x)


class Memory(nn.Module):
    """Keeps its last input in place, and again as an attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))
        self.cache = {"last": torch.zeros(4)}
        self.out = None

    def forward(self, x: Any) -> Any:
        with torch.no_grad():
            self.count += 1
            self.cache["last"].copy_(x.detach()[0])
        self.out = x
        return x.square()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_buffers_and_attributes_are_as_before(dtype: Any) -> None:
    net = Stateful().to(dtype)
    net.layers[2].cache = {"last": torch.zeros(4, dtype=dtype)}
    last, cache = net.last, net.layers[2].cache["last"]
    buffers = {n: b.clone() for n, b in net.named_buffers()}
    assert checked(net, torch.randn(5, 3, dtype=dtype)).status == "pass"
    assert all(torch.equal(b, buffers[n]) for n, b in net.named_buffers())
    assert net.steps == 0
    assert net.last is last
    assert net.layers[2].out is None
    assert net.layers[2].cache["last"] is cache
    assert not cache.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_recurrent_layers_hold_their_own_weights_again(dtype: Any) -> None:
    net = nn.LSTM(3, 2, dtype=dtype)
    checked(net, torch.randn(4, 3, dtype=dtype))
    assert all(a is b for a, b in zip(net._flat_weights, net.parameters(), strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loss_that_trains(dtype: Any) -> None:
    net = nn.Linear(3, 2, dtype=dtype)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def loss(out: Any) -> Any:
        net.weight.grad = torch.ones_like(net.weight)
        optimizer.step()
        return out.sum()

    before = copy.deepcopy(net.state_dict())
    with pytest.raises(SubjectError, match="the loss changes the parameters: weight"):
        checked(net, torch.randn(4, 3, dtype=dtype), loss=loss)
    assert all(torch.equal(t, before[n]) for n, t in net.state_dict().items())
    assert net.weight.grad is None


def test_buffers_that_did_not_change_keep_their_version() -> None:
    net = nn.BatchNorm1d(3).eval()
    out = net(torch.randn(4, 3)).sum()
    checked(net, torch.randn(4, 3))
    out.backward()  # would refuse if a saved tensor had been written to


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient_fields_are_as_before(dtype: Any) -> None:
    net = Gain().to(dtype)
    net(torch.randn(4, 3, dtype=dtype)).sum().backward()
    net.gain.grad = None
    fields = {
        n: (p.grad, None if p.grad is None else p.grad.clone()) for n, p in net.named_parameters()
    }
    checked(net, torch.randn(4, 3, dtype=dtype))
    for n, p in net.named_parameters():
        assert p.grad is fields[n][0]
        assert p.grad is None or torch.equal(p.grad, fields[n][1])


def test_where_gradients_are_switched_off() -> None:
    with torch.no_grad():
        assert checked(Gain(), torch.randn(4, 3)).status == "pass"
        assert not torch.is_grad_enabled()


def test_reentrant_checkpoint() -> None:
    from torch.utils.checkpoint import checkpoint

    class Net(Gain):
        def forward(self, x: Any) -> Any:
            return checkpoint(super().forward, x.requires_grad_(), use_reentrant=True)

    net = Net(1.5).double()
    net.linear.bias.grad = kept = torch.ones(4, dtype=torch.float64)
    result = checked(net, randn(4, 3))
    assert "gain" in wrong_blocks(result)
    assert net.linear.bias.grad is kept
    assert torch.equal(kept, torch.ones(4, dtype=torch.float64))
    assert net.gain.grad is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_checkpoint_that_runs_the_module_again(dtype: Any) -> None:
    from torch.utils.checkpoint import checkpoint

    class Net(Gain):
        def forward(self, x: Any) -> Any:
            return checkpoint(super().forward, x, use_reentrant=False)

    result = checked(Net().to(dtype), randn(4, 3, dtype=dtype), order=2)
    assert result.status == "pass"
    assert result.uncertainty < 1e-8


class Interrupt(KeyboardInterrupt):
    pass


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("error", [RuntimeError, Interrupt])
@pytest.mark.parametrize("when", [1, 2, 5, 9, 30])
def test_parameters_are_as_before_whatever_happens(error: Any, when: int, dtype: Any) -> None:
    net, calls = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).to(dtype), []

    def loss(out: Any) -> Any:
        calls.append(1)
        if len(calls) >= when:
            raise error("now")
        return out.square().sum()

    before = {n: (t, t.clone()) for n, t in net.state_dict(keep_vars=True).items()}
    x, generator = torch.randn(5, 3, dtype=dtype), torch.get_rng_state()
    with pytest.raises(error, match="now"):
        checked(net, x, loss=loss)
    after = net.state_dict(keep_vars=True)
    assert all(after[n] is t and torch.equal(t, values) for n, (t, values) in before.items())
    assert torch.equal(torch.get_rng_state(), generator)


# Randomness.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("freeze_rng", ["auto", "on"])
def test_dropout(freeze_rng: str, dtype: Any) -> None:
    net = nn.Sequential(nn.Linear(3, 20), nn.Dropout(0.5), nn.Linear(20, 2)).to(dtype)
    x = torch.randn(4, 3, dtype=dtype)
    state = torch.get_rng_state()
    result = checked(net, x, freeze_rng=freeze_rng)
    assert result.status == "pass"
    assert torch.equal(torch.get_rng_state(), state)
    if freeze_rng == "auto":
        assert found(result, "nondeterministic").evidence == {"generators": ["torch"]}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("source", ["global", "own"])
def test_numpy_drops_out(source: str, dtype: Any) -> None:
    rng = np.random if source == "global" else np.random.default_rng(3)
    net, x = nn.Linear(3, 4, dtype=dtype), torch.randn(2, 3, dtype=dtype)

    def loss(out: Any) -> Any:
        return (out * torch.from_numpy(rng.normal(size=(2, 4))).to(out.dtype)).sum()

    result = checked(net, x, loss=loss)
    assert result.status == "pass"
    assert result.uncertainty < 1e-8


def test_dropout_is_refused_where_generators_are_not_to_be_held() -> None:
    net = nn.Sequential(nn.Linear(3, 20), nn.Dropout(0.5))
    with pytest.raises(SubjectError, match="It draws random numbers from torch"):
        checked(net, torch.randn(4, 3), freeze_rng="off")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_generator_of_ones_own(dtype: Any) -> None:
    class Noisy(nn.Linear):
        generator = torch.Generator().manual_seed(3)

        def __init__(self) -> None:
            super().__init__(3, 4, dtype=dtype)
            self.source = self.generator

        def forward(self, x: Any) -> Any:
            y = super().forward(x)
            return y * torch.randn(y.shape, generator=self.source, dtype=y.dtype)

    net = Noisy()
    state = net.source.get_state()
    result = checked(net, torch.randn(2, 3, dtype=dtype))
    assert result.status == "pass"
    assert found(result, "nondeterministic").evidence["generators"] == ["self.source"]
    assert torch.equal(net.source.get_state(), state)


def test_dropout_with_forward_mode_and_second_order() -> None:
    net = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Dropout(0.5), nn.Linear(6, 1))
    result = checked(net, torch.randn(3, 2), forward_ad=True, order=2, allow=["zero-gradient"])
    assert result.status == "pass"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_before_each(dtype: Any) -> None:
    class Net(nn.RNNCell):
        h = None

        def forward(self, x: Any) -> Any:
            self.h = super().forward(x, self.h)
            return self.h

        def reset(self) -> None:
            self.h = None

    net, x = Net(3, 2, dtype=dtype), torch.randn(4, 3, dtype=dtype)
    with pytest.raises(SubjectError, match=r"What moved between two evaluations: .*\bh\b"):
        checked(net, x)
    assert checked(net, x, before_each=net.reset, allow=["zero-gradient"]).status == "pass"
    assert net.h is None


def test_buffers_that_make_each_call_another_function_are_named() -> None:
    net = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(5, 4)), nn.Tanh())
    x = torch.randn(8, 5)
    before = {name: values.clone() for name, values in net.named_buffers()}
    with pytest.raises(SubjectError, match=r"What moved .*weight\.0\._u, .*weight\.0\._v\..*eval"):
        checked(net, x)
    assert all(torch.equal(values, before[name]) for name, values in net.named_buffers())
    assert checked(net.eval(), x).status == "pass"


# Float64 where it is the same function, and only there.


def test_everything_the_code_touches_is_widened() -> None:
    y = torch.randn(4, 2)

    class Net(nn.Linear):
        def __init__(self) -> None:
            super().__init__(3, 2)
            self.scale = torch.tensor(0.1)

        def forward(self, x: Any) -> Any:
            out = torch.zeros(4, 2)
            out[:, 0] = super().forward(x)[:, 0]
            out[:, 1] = super().forward(x.float()).to(torch.float32)[:, 1] * self.scale
            return out + torch.full((2,), 0.5).type_as(x)

    result = checked(Net(), torch.randn(4, 3), loss=lambda out: F.huber_loss(out, y))
    assert result.status == "pass"
    assert result.uncertainty < 1e-8


def test_wide_mode_by_itself() -> None:
    x, b = torch.randn(3), torch.ones(3)
    with Wide():
        assert x.double().add(x).dtype == torch.float64
        assert torch.zeros(2, dtype=torch.float16).dtype == torch.float64
        assert x.half().dtype == torch.float64
        assert torch.rand(2).dtype == torch.float64
        b.add_(x.double())
    assert b.dtype == torch.float32
    assert torch.equal(b, 1 + x), "what is written to in place is the user's own tensor"
    assert torch.zeros(2).dtype == torch.float32


def test_same_draws_in_both_precisions() -> None:
    torch.manual_seed(1)
    narrow = torch.randn(5)
    torch.manual_seed(1)
    with Wide():
        assert torch.equal(torch.randn(5), narrow.double())


def test_loss_that_reads_the_parameters_themselves() -> None:
    net = nn.Linear(3, 2)
    own = list(net.parameters())
    for penalty in (lambda: net.weight.square().sum(), lambda: own[0].square().sum()):
        result = checked(net, torch.randn(4, 3), loss=lambda out, p=penalty: out.sum() + p())
        assert result.status == "pass", "no false alarm, whichever precision it took"


def test_code_that_refuses_float64_is_measured_as_it_is() -> None:
    class Net(Gain):
        def forward(self, x: Any) -> Any:
            if x.dtype != torch.float32:
                raise TypeError("float32 only")
            return super().forward(x)

    assert checked(Net(width=1), torch.randn(2, 3)).uncertainty > 1e-9
    assert wrong_blocks(checked(Net(1.5, width=1), torch.randn(2, 3))) == ["gain"]


def test_draws_that_depend_on_the_precision() -> None:
    class Net(nn.Linear):
        def forward(self, x: Any) -> Any:
            y = super().forward(x)
            return y * torch.empty_like(y).normal_()

    result = checked(Net(3, 2), torch.randn(4, 3))
    assert result.relative_error < 1e-5, "in whichever precision, with the same draws"


# Forward mode, second order, and the backward pass itself.


class Cube(torch.autograd.Function):
    """x ** 3 with rules by hand, each of which can be wrong."""

    wrong: str = ""

    @staticmethod
    def forward(x: Any, wrong: str) -> Any:
        return x**3

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, ctx.wrong = inputs
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return CubeGrad.apply(x, g, ctx.wrong), None

    @staticmethod
    def jvp(ctx: Any, t: Any, _: Any) -> Any:
        (x,) = ctx.saved_tensors
        return (2 if ctx.wrong == "jvp" else 3) * x**2 * t


class CubeGrad(torch.autograd.Function):
    """The backward pass of `Cube`, with one of its own."""

    @staticmethod
    def forward(ctx: Any, x: Any, g: Any, wrong: str) -> Any:
        ctx.save_for_backward(x, g)
        ctx.wrong = wrong
        return 3 * x**2 * g

    @staticmethod
    def backward(ctx: Any, gg: Any) -> Any:
        x, g = ctx.saved_tensors
        first = (5 if ctx.wrong == "double" else 6) * x * g * gg
        return first, (2 if ctx.wrong == "cotangent" else 3) * x**2 * gg, None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("wrong", "accused"),
    [
        ("", []),
        ("jvp", ["x (forward mode)"]),
        ("double", ["x (order 2)"]),
        ("cotangent", ["cotangent of output"]),
    ],
)
def test_forward_mode_and_second_order(wrong: str, accused: list[str], dtype: Any) -> None:
    x = (randn(3, dtype=dtype).detach() + 2).requires_grad_()
    result = checked(Cube.apply, x, wrong, forward_ad=True, order=2)
    assert wrong_blocks(result) == accused
    assert names(result) == ["x", "x (forward mode)", "x (order 2)", "cotangent of output"]
    assert checked(Cube.apply, x, wrong).status == "pass", "asked for nothing else"


def test_forward_mode_of_a_complex_function() -> None:
    z = randn(3, dtype=torch.complex128)
    result = checked(lambda z: z.exp() * z.conj(), z, forward_ad=True, order=2)
    assert result.status == "pass"
    assert "z (forward mode).imag" in names(result)


def test_forward_mode_of_large_tensors_goes_along_random_directions() -> None:
    x = (torch.rand(1500, dtype=torch.float64) + 1).requires_grad_()
    for wrong in ("", "jvp"):
        result = checked(lambda x, w=wrong: Cube.apply(x, w).sum(), x, forward_ad=True)
        block = result.blocks[1]
        assert block.name == "x (forward mode, random directions)"
        assert (block.size, block.status) == (4, "fail" if wrong else "pass")


def test_module_in_forward_mode_and_second_order() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    result = checked(
        net, torch.randn(4, 3), forward_ad=True, order=2, loss=lambda y: y.square().mean()
    )
    assert result.status == "pass"
    assert result.size == 3 * (12 + 4 + 8 + 2) + 1


def test_backward_that_autograd_cannot_follow() -> None:
    class Sine(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.x = x.detach()
            return x.sin()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.x.cos()

    assert checked(Sine.apply, randn(3)).status == "pass"
    assert "x (order 2)" in wrong_blocks(checked(Sine.apply, randn(3), order=2))


class Jittery(torch.autograd.Function):
    """A backward pass with noise."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * x.cos() + 1e-9 * torch.randn_like(x)


def test_nondeterministic_backward() -> None:
    assert checked(Jittery.apply, randn(3), nondet_tol=1e-6).status == "pass"
    with pytest.raises(SubjectError, match=r"not deterministic.*nondet_tol=0"):
        checked(Jittery.apply, randn(3), nondet_tol=0.0)
    assert checked(torch.sin, randn(3), nondet_tol=0.0).status == "pass"


class Pair(torch.autograd.Function):
    """Two outputs whose backward pass expects the gradients of both."""

    @staticmethod
    def forward(ctx: Any, x: Any, how: str) -> Any:
        ctx.set_materialize_grads(how == "zeros")
        ctx.save_for_backward(x)
        ctx.how = how
        return x.sin(), x.cos()

    @staticmethod
    def backward(ctx: Any, g: Any, h: Any) -> Any:
        (x,) = ctx.saved_tensors
        if ctx.how == "forgets" and (g is None or h is None):
            return None, None
        return g * x.cos() - h * x.sin(), None


def test_undefined_gradients_from_above() -> None:
    assert checked(Pair.apply, randn(3), "zeros").status == "pass"
    with pytest.raises(SubjectError, match=r"fails where only output\[0\] is used.*TypeError"):
        checked(Pair.apply, randn(3), "fails")
    with pytest.raises(SubjectError, match="each output alone do not add up to that of all"):
        checked(Pair.apply, randn(3), "forgets")


def test_batched_backward() -> None:
    class Shapely(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x: Any) -> Any:
            return x.sin()

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            batched = torch._C._functorch.is_batchedtensor(
                g
            ) or torch._C._functorch.is_legacy_batchedtensor(g)
            return g * x.cos() * (2 if batched else 1)

    assert checked(torch.sin, randn(3), batched_grad=True).status == "pass"
    with pytest.raises(SubjectError, match=r"another gradient under torch\.func\.vmap"):
        checked(Shapely.apply, randn(3), batched_grad=True)


# Kernels, domains.


def test_padded_attention_in_evaluation_mode() -> None:
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval()
    mask = torch.tensor([[False, False, True], [False, False, False]])
    result = checked(layer, torch.randn(2, 3, 4), kwargs={"src_key_padding_mask": mask})
    assert result.status == "pass"
    assert torch.backends.mha.get_fastpath_enabled()


def test_steps_that_leave_the_domain() -> None:
    a = torch.eye(2, dtype=torch.float64) * 1e-8
    result = checked(lambda a: torch.linalg.cholesky(a + a.mT), a.requires_grad_())
    assert result.status != "fail"
    scale = torch.tensor([1e-8], dtype=torch.float64, requires_grad=True)
    density = checked(
        lambda s: torch.distributions.Normal(0.0, s).log_prob(2 * scale.detach()), scale
    )
    assert density.status == "pass"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_code_that_differentiates_in_its_forward_pass(factor: float, dtype: Any) -> None:
    class Forces(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.energy = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1))

        def forward(self, x: Any) -> Any:
            x = x.detach().requires_grad_()
            y = self.energy(x).sum()
            force = -torch.autograd.grad(y, x, create_graph=True)[0]
            force.register_hook(lambda g: factor * g)
            return y, force

    result = checked(Forces().to(dtype), torch.randn(3, 2, dtype=dtype), forward_ad=False)
    assert (result.status == "pass") == (factor == 1.0)
    assert result.uncertainty < 1e-6
    made = problem(Forces().to(dtype), torch.randn(3, 2, dtype=dtype))
    base = made.loss()
    assert made.losses is None
    assert base == made.loss()


# Many points in one call.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64])
def test_many_points_at_once(dtype: Any) -> None:
    net = nn.Sequential(nn.Linear(3, 6, dtype=dtype), nn.Tanh(), nn.Linear(6, 2, dtype=dtype))
    made = problem(net, torch.randn(5, 3, dtype=dtype))
    base = made.loss()
    theta = [p.read() for p in made.parameters]
    pairs = list(zip(theta, made.parameters, strict=True))
    points = [np.stack([t, t + 0.1, t]).reshape(3, *p.shape) for t, p in pairs]
    losses = made.losses(points)
    assert losses[0] == pytest.approx(base, rel=1e-6)
    assert losses[2] == losses[0] != losses[1]
    one_moves = [points[0], *(np.broadcast_to(p[0], p.shape) for p in points[1:])]
    for p, t in zip(made.parameters, theta, strict=True):
        p.write(t + 0.1)
    assert made.loss() == pytest.approx(losses[1], rel=1e-6)
    for p, t in zip(made.parameters[1:], theta[1:], strict=True):
        p.write(t)
    assert made.loss() == pytest.approx(made.losses(one_moves)[1], rel=1e-6)


def test_one_call_for_many_points_is_used() -> None:
    class Net(nn.Linear):
        calls = 0

        def forward(self, x: Any) -> Any:
            type(self).calls += 1
            return super().forward(x)

    result = checked(Net(20, 10, dtype=torch.float64), torch.randn(5, 20, dtype=torch.float64))
    assert result.evaluations > 400
    assert Net.calls < 100


def test_many_points_one_by_one_where_vmap_cannot() -> None:
    net = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6))
    made = problem(net, torch.randn(5, 6))
    assert made.losses is None


def test_many_points_one_by_one_where_the_loss_reads_the_parameters_themselves() -> None:
    net = nn.Linear(6, 6, dtype=torch.float64)
    own = list(net.parameters())
    x = torch.randn(5, 6, dtype=torch.float64)
    assert problem(net, x).losses is not None
    assert problem(net, x, loss=lambda out: out.sum() + own[0].square().sum()).losses is None


# Tensors that NumPy cannot share.


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "scalar"])
def test_parameters_that_live_elsewhere(dtype: Any, layout: str) -> None:
    tensor = torch.randn(2, 3).to(dtype)
    tensor = {"contiguous": tensor, "transposed": tensor.t(), "scalar": tensor[0, 0].clone()}[
        layout
    ]
    parameter = Elsewhere("w", tensor)
    before, saved = tensor.clone(), parameter.save()
    theta = parameter.read()
    assert np.array_equal(theta, tensor.double().numpy().reshape(-1))
    parameter.cells[theta.size - 1] = 0.5
    assert tensor.reshape(-1)[-1] == 0.5
    assert not parameter.is_as(saved)
    parameter.write(parameter.round(theta + 0.3))
    assert np.array_equal(parameter.read(), parameter.round(theta + 0.3))
    assert parameter.round(np.array([0.1]))[0] == float(torch.tensor(0.1, dtype=dtype))
    parameter.shift((...,), theta.reshape(parameter.shape), np.ones(parameter.shape), 2.0)
    assert np.array_equal(parameter.read(), parameter.round(theta + 2.0))
    parameter.restore(saved)
    assert parameter.is_as(saved)
    assert torch.equal(tensor, before)
    assert parameter.narrow == (dtype != torch.float64)


def test_rounding_of_bfloat16_is_its_own() -> None:
    parameter = Elsewhere("w", torch.ones(2, dtype=torch.bfloat16))
    assert parameter.eps == 2.0**-7
    net, x = nn.Linear(6, 4).to(torch.bfloat16), torch.randn(5, 6).to(torch.bfloat16)
    result = checked(
        net, x, loss=lambda y: y.float().square().sum(), float64=False, allow=["coarse"]
    )
    assert result.status != "fail"
    assert result.uncertainty > 1e-3


def test_host_tensors_are_shared() -> None:
    tensor = torch.zeros(2, 3, dtype=torch.float64)
    block = Tensors(["w"], [tensor]).parameters[0]
    block.cells[4] = 1.5
    assert tensor[1, 1] == 1.5


def test_check_of_parameters_that_live_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_gradcheck.adapters.torch.tensors._block", Elsewhere)
    net = Gain(1.5).double()
    before = copy.deepcopy(net.state_dict())
    result = checked(net, torch.randn(4, 3, dtype=torch.float64))
    assert (result.status, wrong_blocks(result)) == ("fail", ["gain"])
    assert all(torch.equal(t, before[n]) for n, t in net.state_dict().items())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_modules_on_a_cuda_device(factor: float, dtype: Any) -> None:
    net = Gain(factor).to("cuda", dtype)
    state = torch.cuda.get_rng_state()
    result = checked(net, torch.randn(4, 3, device="cuda", dtype=dtype))
    assert wrong_blocks(result) == ([] if factor == 1.0 else ["gain"])
    assert torch.equal(torch.cuda.get_rng_state(), state)
    dropout = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5)).to("cuda", dtype)
    assert checked(dropout, torch.randn(4, 3, device="cuda", dtype=dtype)).status != "fail"
    with pytest.raises(SubjectError, match="on different devices"):
        checked(net, torch.randn(4, 3))


# Errors.


def refused(match: str, subject: Any, *args: Any, **options: Any) -> None:
    with pytest.raises(SubjectError, match=match):
        checked(subject, *args, **options)


def test_nothing_requires_a_gradient() -> None:
    refused('no input requires a gradient.*input.*wrt="x"', torch.sin, torch.randn(3))
    net = nn.Linear(3, 2).requires_grad_(False)
    refused("no parameter of the module and no input requires", net, torch.randn(4, 3))
    known = r"wrt=\('w',\) matches nothing.*weight, bias, input"
    refused(known, nn.Linear(3, 2), torch.randn(4, 3), wrt="w")
    with pytest.raises(SettingsError, match=r"wrt=.*names of parameters"):
        checked(nn.Linear(3, 2), torch.randn(4, 3), wrt=[torch.ones(1)])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.detach().sin(),
        lambda x: x.sum().item(),
        lambda x: None,
        lambda x: x.argmax(),
        torch.no_grad()(torch.sin),
        torch.inference_mode()(torch.sin),
    ],
    ids=["detach", "item", "none", "argmax", "no-grad", "inference"],
)
def test_output_that_depends_on_nothing(function: Any) -> None:
    refused("no output depends on what is to be checked", function, randn(3))


def test_inference_mode() -> None:
    with torch.inference_mode():
        x = torch.randn(3)
        refused("inference mode is on", torch.sin, x)
    refused("made in inference mode", torch.sin, x, wrt="input")
    with torch.inference_mode():
        net = nn.Linear(3, 2)
    refused("weight was made in inference mode", net, torch.randn(4, 3))


def test_in_place_on_what_is_checked() -> None:
    refused(r"modified in place.*x\.clone", lambda x: x.mul_(2).sum(), randn(3))
    refused(r"modified in place.*x\.clone", lambda x: x[0].zero_() + x.sum(), randn(3))
    assert checked(lambda x: x.clone().mul_(2).sum(), randn(3)).status == "pass"


def test_tensors_without_numbers() -> None:
    refused("weight is on the meta device", nn.Linear(3, 2, device="meta"), torch.randn(4, 3))
    refused("weight is not initialised yet", nn.LazyLinear(2), torch.randn(4, 3))
    refused("different devices", nn.Linear(3, 2), torch.randn(4, 3, device="meta"))


def test_sparse_tensors() -> None:
    x = torch.eye(3).to_sparse().requires_grad_()
    refused("input has layout torch.sparse", lambda input: torch.sparse.sum(input), x)
    embedding = nn.Embedding(4, 3, sparse=True)
    assert checked(embedding, torch.tensor([0, 1, 2, 3])).status == "pass", (
        "a sparse gradient is one"
    )


def test_loss_must_be_a_function() -> None:
    refused("loss= must be a function", nn.Linear(3, 2), torch.randn(4, 3), loss=torch.ones(1))


# Whose subject it is.


class Hooked:
    """An object with hooks that can be called, too."""

    params = np.ones(2)

    def loss(self, x: Any) -> float:
        return float(self.params @ self.params)

    def grads(self, x: Any) -> Any:
        return 2 * self.params

    def __call__(self, x: Any) -> Any:
        return x


@pytest.mark.parametrize(
    ("subject", "args"),
    [(Hooked(), (torch.ones(2),)), (np.sin, (np.ones(2),)), (3, ()), (None, ())],
    ids=["hooks", "numpy", "number", "none"],
)
def test_what_is_not_of_torch_is_passed_on(subject: Any, args: tuple[Any, ...]) -> None:
    assert adapt(subject, args, Settings()) is None


def test_objects_with_hooks_are_checked_as_such() -> None:
    assert check(Hooked(), torch.ones(2)).title == "Hooked"


# Gradients by hand.


class ByHand:
    """A linear layer with squared error, of tensors, without autograd."""

    def __init__(self, factor: float = 1.0, dtype: Any = torch.float64) -> None:
        self.params = {"W": torch.randn(3, 2, dtype=dtype), "b": torch.zeros(2, dtype=dtype)}
        self.noise = nn.Dropout(0.5)
        self.factor = factor

    def loss(self, x: Any) -> Any:
        self.out = x @ self.params["W"] + self.params["b"]
        return 0.5 * self.out.square().sum()

    def grads(self, x: Any) -> Any:
        return {"W": x.T @ self.out, "b": self.factor * self.out.sum(0)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_objects_with_tensors_and_gradients_by_hand(dtype: Any) -> None:
    x, net = torch.randn(4, 3, dtype=dtype), ByHand(1.5, dtype)
    before = copy.deepcopy(net.params)
    result = check(net, x)
    assert (result.status, wrong_blocks(result), result.title) == ("fail", ["b"], "ByHand")
    assert check(ByHand(dtype=dtype), x).status != "fail"
    assert all(torch.equal(net.params[n], t) for n, t in before.items())
    assert not hasattr(net, "out")


def test_functions_with_gradients_by_hand() -> None:
    def loss(p: Any, x: Any) -> Any:
        return (p["w"].sin() * x).sum()

    def grads(p: Any, x: Any) -> Any:
        return {"w": p["w"].cos() * x}

    params, x = {"w": randn(3)}, randn(3, grad=False)
    assert check(None, x, loss=loss, grads=grads, params=params).status == "pass"
    wrong = check(None, x, loss=loss, grads=lambda p, x: {"w": p["w"].cos()}, params=params)
    assert wrong.status == "fail"
    by_autograd = check(None, x, loss=loss, params=params)
    assert (by_autograd.status, names(by_autograd)) == ("pass", ["p.w"])


def test_gradients_by_hand_of_bfloat16() -> None:
    with pytest.raises(SubjectError, match=r"in host memory, not of one of torch\.bfloat16"):
        check(ByHand(dtype=torch.bfloat16), torch.randn(4, 3))


# In a test suite.

SUITE = """
    import pytest, torch

    class Energy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.x = torch.nn.Parameter(torch.linspace(-1, 1, 5))

        def forward(self):
            y = self.x.sin()
            y.register_hook(lambda g: g * FACTOR)
            return y.sum()

    @pytest.mark.gradcheck
    def test_returned():
        return Energy()

    def test_fixture(gradcheck):
        torch.manual_seed(0)
        gradcheck(torch.nn.Linear(3, 2), torch.randn(4, 3))
"""


@pytest.mark.parametrize(("factor", "outcome"), [("1", (2, 0)), ("-1", (1, 1))])
def test_fixture_and_marker(run: Any, factor: str, outcome: tuple[int, int]) -> None:
    passed, failed = outcome
    run(SUITE.replace("FACTOR", factor)).assert_outcomes(passed=passed, failed=failed)


@pytest.mark.parametrize("factor", [1.0, 1.1])
def test_a_backward_pass_that_keeps_narrow_inputs_is_claimed_as_it_is(factor: float) -> None:
    """Its forward pass is widened on the way, what it saved of its arguments is not."""

    class Linear(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, w: Any) -> Any:
            ctx.save_for_backward(x, w)
            return x @ w.t()

        @staticmethod
        def backward(ctx: Any, up: Any) -> Any:
            x, w = ctx.saved_tensors
            return up @ w, factor * up.t() @ x

    class Layer(torch.nn.Linear):
        def forward(self, x: Any) -> Any:
            return Linear.apply(x, self.weight)

    torch.manual_seed(0)
    network = torch.nn.Sequential(Layer(4, 5, bias=False), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    result = check(network, torch.randn(6, 4), loss=lambda out: (out**2).mean())
    assert result.status == ("pass" if factor == 1 else "fail")
    assert [b.name for b in result.blocks if b.status == "fail"] == ["0.weight"] * (factor != 1)
    assert [f.name for f in result.findings] == ["factor"] * (factor != 1)
    outputs = check(Layer(4, 5, bias=False), torch.randn(6, 4))  # every output counts
    assert outputs.status == result.status

"""The checkers of the field, each at its defaults, behind one signature.

Every one gets float64 parameters, as the documentation of most of them asks, and a loss and a
claimed gradient that know nothing of any framework: both are functions of the parameters.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
CaseLoss = Callable[[Arrays], float]
CaseGrads = Callable[[Arrays], Arrays]
PACKAGES = ("scipy", "torch", "jax", "autograd", "derivcheck")


@dataclass(frozen=True)
class Verdict:
    """`alarm` is None where a checker says that it cannot say; `raised` what else it raised."""

    alarm: bool | None
    evaluations: int
    raised: str = ""


@dataclass
class Question:
    """A loss, a claimed gradient, a point: by name, or of one flat vector."""

    loss: CaseLoss
    grads: CaseGrads
    params: Arrays
    evaluations: int = 0

    def value(self, params: Arrays) -> float:
        self.evaluations += 1
        return self.loss(params)

    def claimed(self, params: Arrays) -> Arrays:
        return _doubles(self.grads(params))

    @property
    def point(self) -> np.ndarray:
        return self._flat(self.params)

    def of_vector(self, vector: Any) -> float:
        return self.value(self._by_name(vector))

    def gradient(self, vector: Any) -> np.ndarray:
        return self._flat(self.claimed(self._by_name(vector)))

    def _flat(self, arrays: Arrays) -> np.ndarray:
        return np.concatenate([np.ravel(arrays[name]) for name in self.params])

    def _by_name(self, vector: Any) -> Arrays:
        ends = np.cumsum([v.size for v in self.params.values()])[:-1]
        parts = np.split(np.asarray(vector), ends)
        pairs = zip(self.params.items(), parts, strict=True)
        return {name: part.reshape(v.shape) for (name, v), part in pairs}


Peer = Callable[[Question], bool | None]


def alarm(peer: Peer, loss: CaseLoss, grads: CaseGrads, params: Arrays) -> Verdict:
    """What `peer` says; an exception that is no verdict counts as an alarm."""
    question = Question(loss, grads, _doubles(params))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return Verdict(peer(question), question.evaluations)
        except AssertionError:
            return Verdict(True, question.evaluations)
        except Exception as error:
            return Verdict(True, question.evaluations, type(error).__name__)


def _doubles(arrays: Arrays) -> Arrays:
    return {name: np.array(values, np.float64) for name, values in arrays.items()}


@dataclass(frozen=True)
class Textbook:
    """Central differences at 1e-7, one relative error over the whole vector, one threshold."""

    threshold: float
    eps: float = 1e-7

    def __call__(self, question: Question) -> bool:
        x = question.point
        claimed = question.gradient(x)
        numeric = np.empty_like(x)
        for i, theta in enumerate(x):
            x[i] = theta + self.eps
            up = question.of_vector(x)
            x[i] = theta - self.eps
            numeric[i] = (up - question.of_vector(x)) / (2 * self.eps)
            x[i] = theta
        size = np.linalg.norm(claimed) + np.linalg.norm(numeric)
        return bool(size) and not np.linalg.norm(claimed - numeric) / size <= self.threshold


def scipy_check_grad(question: Question) -> bool:
    """It returns a norm and leaves the verdict to the reader; 1e-6 of the gradient is customary."""
    from scipy.optimize import check_grad

    x = question.point
    error = check_grad(question.of_vector, question.gradient, x)
    return not error <= 1e-6 * max(1.0, float(np.linalg.norm(question.gradient(x))))


@dataclass(frozen=True)
class TorchGradcheck:
    fast_mode: bool

    def __call__(self, question: Question) -> bool:
        import torch
        from torch.autograd.gradcheck import GradcheckError

        torch.set_num_threads(1)
        names = list(question.params)

        def by_name(tensors: Any) -> Arrays:
            return {k: t.detach().numpy() for k, t in zip(names, tensors, strict=True)}

        class Claimed(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, *tensors: Any) -> Any:
                ctx.save_for_backward(*tensors)
                return torch.tensor(question.value(by_name(tensors)), dtype=torch.float64)

            @staticmethod
            def backward(ctx: Any, upstream: Any) -> Any:
                claimed = question.claimed(by_name(ctx.saved_tensors))
                return tuple(upstream * torch.from_numpy(claimed[name]) for name in names)

        inputs = [torch.tensor(question.params[name], requires_grad=True) for name in names]
        try:
            return not torch.autograd.gradcheck(Claimed.apply, inputs, fast_mode=self.fast_mode)
        except GradcheckError:
            return True


def jax_check_grads(question: Question) -> bool:
    import jax
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)
    point = question.point
    scalar, vector = (jax.ShapeDtypeStruct(s, np.float64) for s in ((), point.shape))

    @jax.custom_vjp
    def loss(x: Any) -> Any:
        return jax.pure_callback(lambda v: np.float64(question.of_vector(v)), scalar, x)

    def backward(x: Any, upstream: Any) -> Any:
        return (upstream * jax.pure_callback(question.gradient, vector, x),)

    loss.defvjp(lambda x: (loss(x), x), backward)
    check_grads(loss, (jax.numpy.asarray(point),), order=1, modes=["rev"])
    return False


def forget() -> None:
    """Drop what JAX keeps of every function it ever saw: tens of megabytes a case."""
    import jax

    jax.clear_caches()


def autograd_check_grads(question: Question) -> bool:
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    @primitive
    def loss(x: np.ndarray) -> float:
        return question.of_vector(x)

    defvjp(loss, lambda _, x: lambda upstream: upstream * question.gradient(x))
    np.random.seed(0)  # its direction is drawn from the global state
    check_grads(loss, modes=["rev"], order=1)(question.point)
    return False


def derivcheck_assert_deriv(question: Question) -> bool | None:
    from derivcheck import assert_deriv

    try:
        assert_deriv(question.of_vector, question.gradient, question.point)
    except FloatingPointError as error:
        if "Inaccurate estimate" in str(error):
            return None
        raise
    return False


PEERS: dict[str, Peer] = {
    "textbook, above 1e-7": Textbook(1e-7),
    "textbook, above 1e-5": Textbook(1e-5),
    "textbook, above 1e-3": Textbook(1e-3),
    "`scipy.optimize.check_grad`": scipy_check_grad,
    "`torch.autograd.gradcheck`": TorchGradcheck(fast_mode=False),
    "the same, `fast_mode=True`": TorchGradcheck(fast_mode=True),
    "`jax.test_util.check_grads`": jax_check_grads,
    "`autograd.test_util.check_grads`": autograd_check_grads,
    "`derivcheck.assert_deriv`": derivcheck_assert_deriv,
}

"""Something to be checked for every adapter, each of whose calls is one to fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pytest_gradcheck import Parameter, Problem

from .injector import Plan


@dataclass
class Trial:
    """Arguments of one check, and what must stand after it as before."""

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    roots: Any = None


def parameters() -> dict[str, Any]:
    """Arrays of several layouts, and a number."""
    W = np.array([[0.5, -0.0], [1e-310, 2.0]])
    return {"W": W[:, ::-1], "b": np.array([0.25, -1.5]), "c": np.array(0.75), "a": -1.5}


def value(p: Mapping[str, Any]) -> float:
    hidden = np.tanh(np.asarray(p["W"], dtype=float) @ p["b"])
    return float(np.sum(hidden**2) + np.exp(0.1 * p["a"]) + np.sin(p["c"]))


def slope(p: Mapping[str, Any], factor: float = 1.0) -> dict[str, Any]:
    W = np.asarray(p["W"], dtype=float)
    hidden = np.tanh(W @ p["b"])
    back = 2 * hidden * (1 - hidden**2)
    return {
        "W": np.outer(back, p["b"]),
        "b": factor * (W.T @ back),
        "c": np.cos(p["c"]),
        "a": 0.1 * np.exp(0.1 * p["a"]),
    }


class Holder:
    """An object with the hooks."""

    def __init__(self, plan: Plan, factor: float) -> None:
        self.params, self.plan, self.factor = parameters(), plan, factor
        self.count, self.cache = 0, np.zeros(2)
        self.rng = np.random.default_rng(0)

    def loss(self) -> Any:
        self.count += 1
        self.cache[:] = self.count
        return self.plan.tick(lambda: value(self.params), self.params)

    def grads(self) -> Any:
        return self.plan.tick(lambda: slope(self.params, self.factor), self.params)


class Batched(Holder):
    """The same with losses of many points."""

    def losses(self, batch: Any) -> Any:
        W, b, c, a = (np.asarray(batch[name]) for name in ("W", "b", "c", "a"))
        hidden = np.tanh(np.einsum("mij,mj->mi", W, b))
        return self.plan.tick(
            lambda: np.sum(hidden**2, axis=1) + np.exp(0.1 * a) + np.sin(c), self.params
        )


class Copies(Holder):
    """Hands out copies and takes values back."""

    def __init__(self, plan: Plan, factor: float) -> None:
        super().__init__(plan, factor)
        self.held = self.params
        del self.params

    def __getattr__(self, name: str) -> Any:
        if name != "params":
            raise AttributeError(name)
        return {key: np.array(part) for key, part in self.held.items()}

    def set_params(self, params: Any) -> None:
        self.held = dict(params)

    def loss(self) -> Any:
        return self.plan.tick(lambda: value(self.held), self.held)

    def grads(self) -> Any:
        return self.plan.tick(lambda: slope(self.held, self.factor), self.held)


class Narrow(Holder):
    """float32 parameters, which are replaced for the check."""

    def __init__(self, plan: Plan, factor: float) -> None:
        super().__init__(plan, factor)
        W = np.array([[0.5, -0.25], [1.0, 2.0]], np.float32)
        self.params = {"W": W[:, ::-1], "b": np.array([0.25, -1.5], np.float32)}

    def loss(self) -> Any:
        return self.plan.tick(
            lambda: sum(float(np.sum(np.sin(x))) for x in self.params.values()), self.params
        )

    def grads(self) -> Any:
        return self.plan.tick(
            lambda: {name: self.factor * np.cos(x) for name, x in self.params.items()}, self.params
        )


def _held(kind: type[Holder]) -> Callable[[Plan, float], Trial]:
    def make(plan: Plan, factor: float) -> Trial:
        subject = kind(plan, factor)
        return Trial((subject,), {}, subject)

    return make


def _functions(plan: Plan, factor: float) -> Trial:
    params = parameters()
    functions = {
        "loss": lambda p: plan.tick(lambda: value(p), p),
        "grads": lambda p: plan.tick(lambda: slope(p, factor), p),
    }
    return Trial((), {**functions, "params": params}, params)


def _vector(x: np.ndarray) -> np.ndarray:
    return np.tanh(np.array([[1.0, 2.0], [-0.5, 0.3], [0.2, 1.0]]) @ x)


def _jacobian(x: np.ndarray, factor: float) -> np.ndarray:
    J = np.array([[1.0, 2.0], [-0.5, 0.3], [0.2, 1.0]])
    J = (1 - _vector(x) ** 2)[:, None] * J
    J[1] *= factor
    return J


def _scipy(words: str) -> Callable[[Plan, float], Trial]:
    """SciPy's words about functions of one array."""

    def make(plan: Plan, factor: float) -> Trial:
        x0 = np.array([0.5, -0.25])
        held = {"x0": x0}

        def ticked(function: Callable[..., Any]) -> Callable[..., Any]:
            return lambda *given: plan.tick(lambda: function(*given), held)

        several = {
            "loss": ticked(_vector),
            "jac": ticked(lambda x: _jacobian(x, factor)),
            "vjp": ticked(lambda x, v: v @ _jacobian(x, factor)),
            "jvp": ticked(lambda x, v: _jacobian(x, factor) @ v),
        }
        one = {
            "loss": ticked(lambda x: float(np.sum(np.sin(x)) + x[0] * x[1])),
            "grads": ticked(lambda x: np.cos(x) + x[::-1]),
            "hess": ticked(lambda x: factor * (np.diag(-np.sin(x)) + np.eye(2)[::-1])),
            "hvp": ticked(lambda x, v: factor * (-np.sin(x) * v + v[::-1])),
        }
        source = several if words in ("jac", "vjp", "jvp") else one
        names = ("loss", words) if source is several else ("loss", "grads", words)
        chosen: dict[str, Any] = {name: source[name] for name in names}
        chosen |= {"params": x0, "bounds": [(-1, 1), (-1, 1)]}
        return Trial((), chosen, [x0])

    return make


class Foreign:
    """What an adapter of one's own is for."""

    def __init__(self, plan: Plan, factor: float) -> None:
        self.knots, self.plan, self.factor = np.linspace(0.2, 1.0, 5), plan, factor

    @property
    def table(self) -> dict[str, Any]:
        return vars(self)

    def energy(self) -> Any:
        return self.plan.tick(lambda: float(np.sum(np.log(self.knots))), self.table)

    def force(self) -> Any:
        return self.plan.tick(lambda: -self.factor / self.knots, self.table)


def adapt(subject: Any, args: Any, settings: Any) -> Problem | None:
    """The adapter of `Foreign`."""
    if not isinstance(subject, Foreign):
        return None
    return Problem(
        parameters=[Parameter("knots", subject.knots)],
        loss=subject.energy,
        grads=lambda: [-np.asarray(subject.force())],
        roots=[("self", subject)],
    )


def _own(plan: Plan, factor: float) -> Trial:
    subject = Foreign(plan, factor)
    return Trial((subject,), {"adapters": [adapt]}, subject)


def _module(kind: str) -> Callable[[Plan, float], Trial]:
    def make(plan: Plan, factor: float) -> Trial:
        import torch

        class Cube(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                ctx.save_for_backward(x)
                return x**3

            @staticmethod
            def backward(ctx: Any, upstream: Any) -> Any:
                (x,) = ctx.saved_tensors
                return plan.tick(lambda: 3 * factor * x**2 * upstream, {})

        class Net(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                generator = torch.Generator().manual_seed(0)
                first = torch.randn(2, 3, generator=generator, dtype=getattr(torch, kind))
                self.W = torch.nn.Parameter(first)
                self.b = torch.nn.Parameter(torch.zeros(2, dtype=getattr(torch, kind)) + 0.5)
                self.register_buffer("mean", torch.zeros(2, dtype=getattr(torch, kind)))

            def forward(self, x: Any) -> Any:
                def run() -> Any:
                    found = Cube.apply(x @ self.W.t() + self.b)
                    self.mean.add_(found.detach().mean(0))
                    return found.sum()

                return plan.tick(run, self._parameters)

        net = Net()
        x = torch.linspace(-1, 1, 6, dtype=getattr(torch, kind)).reshape(2, 3)
        return Trial((net, x), {}, (net, x))

    return make


def _jax(plan: Plan, factor: float) -> Trial:
    import jax
    import jax.numpy as jnp

    @jax.custom_vjp
    def cube(x: Any) -> Any:
        return plan.tick(lambda: x**3, {})

    def back(x: Any, upstream: Any) -> Any:
        return plan.tick(lambda: (3 * factor * x**2 * upstream,), {})

    cube.defvjp(lambda x: (cube(x), x), back)
    params = {"w": jnp.array([0.5, -1.0, 2.0]), "b": jnp.array(0.3)}
    return Trial((lambda p: jnp.sum(cube(p["w"])) * p["b"], params), {}, params)


def _by_callback(plan: Plan, factor: float) -> Trial:
    """A loss in NumPy, known to JAX by a callback."""
    import jax
    import jax.numpy as jnp

    def host(w: Any) -> Any:
        return plan.tick(lambda: np.asarray(np.sum(np.sin(w)), dtype=w.dtype), {})

    def loss(p: Any) -> Any:
        shape = jax.ShapeDtypeStruct((), p["w"].dtype)
        return jax.pure_callback(host, shape, p["w"])

    called = jax.custom_vjp(loss)
    called.defvjp(lambda p: (called(p), p), lambda p, up: ({"w": factor * up * jnp.cos(p["w"])},))
    params = {"w": jnp.array([0.5, -1.0, 2.0])}
    return Trial((called, params), {}, params)


SUBJECTS: dict[str, Callable[[Plan, float], Trial]] = {
    "hooks": _held(Holder),
    "hooks, losses": _held(Batched),
    "hooks, set_params": _held(Copies),
    "hooks, float32": _held(Narrow),
    "functions": _functions,
    "functions, jac": _scipy("jac"),
    "functions, vjp": _scipy("vjp"),
    "functions, jvp": _scipy("jvp"),
    "functions, hess": _scipy("hess"),
    "functions, hvp": _scipy("hvp"),
    "own adapter": _own,
    "torch, float64": _module("float64"),
    "torch, float32": _module("float32"),
    "jax": _jax,
    "jax, callback": _by_callback,
}

MODES: dict[str, dict[str, Any]] = {
    "exhaustive": {"mode": "exhaustive"},
    "probe": {"mode": "probe"},
    "plain": {"refine": False},
    "forward": {"scheme": "forward"},
    "frozen": {"freeze_rng": "on"},
}

"""What a case of the calibration bank is, and how a family of functions becomes cases."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np

KINDS = (
    "smooth",
    "scaled",
    "offset",
    "vanishing",
    "kink-at",
    "kink-near",
    "curvature",
    "near-singular",
    "zero-block",
    "float32-inside",
    "noisy",
    "piecewise-constant",
    "large-sum",
)
TUNING = "tuning"
HELD_OUT = "held-out"
FRESH = "fresh"
FINAL = "final"
OPTIMA = "optima"

Arrays = dict[str, np.ndarray]
Grads = Callable[[Arrays], Arrays]  # claimed gradients where the parameters stand
Ideal = Callable[[Any, Any, Any], Any]  # f(p, d, xp): parameters and data as attributes
Wide = np.longdouble
WIDE_IS_WIDER = np.finfo(Wide).eps < 1e-18


@dataclass(frozen=True)
class Mutant:
    """A wrong gradient of a case."""

    name: str
    kind: str
    grads: Grads
    relative_error: float


@dataclass(frozen=True)
class Case:
    """A function at a point, with its exact gradient there, and as `grads` a right one anywhere."""

    name: str
    family: str
    kind: str
    half: str
    loss: Callable[[Arrays], float]
    params: Arrays
    exact: Arrays
    exact_error: Arrays
    grads: Grads
    kinks: Arrays = field(default_factory=dict)
    unmeasurable: frozenset[str] = frozenset()
    # The ideal function for any dtype (long double, complex): a reference, and what the tests use.
    ideal: Callable[[Arrays], Any] | None = None
    one_sided: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    slips: Mapping[str, Grads] = field(default_factory=dict)
    batch: int = 0
    random: bool = False

    def mutants(self) -> Iterator[Mutant]:
        from .mutants import mutants

        return mutants(self)


@dataclass(frozen=True)
class Draft:
    """A case before its gradient is worked out.

    `f` is the ideal function, written for any dtype and for NumPy or autograd.numpy (`xp`).
    `loss` replaces it in the case where the real loss differs from the ideal one by noise;
    `biased` says that this loss can be differentiated as well: it has a slope of its own.
    `zero` names parameters whose gradient is zero by construction, though it comes out as rounding.
    `slips` are functions somebody might have differentiated by mistake in place of `f`.
    """

    variant: str
    kind: str
    f: Ideal
    params: Arrays
    data: Mapping[str, Any] = field(default_factory=dict)
    loss: Ideal | None = None
    biased: bool = False
    grad: Callable[[Any, Any], Arrays] | None = None
    wide: bool = True
    error: float = 0.0
    batch: int = 0
    slips: Mapping[str, Ideal] = field(default_factory=dict)
    precision: str = ""
    invalid: Literal["ignore", "raise"] = "ignore"
    random: bool = False
    zero: tuple[str, ...] = ()

    def but(self, **changes: Any) -> Draft:
        return replace(self, **changes)


Maker = Callable[[np.random.Generator], Iterator[Draft]]
FAMILIES: dict[str, tuple[str, Maker]] = {}


def family(name: str, half: str) -> Callable[[Maker], Maker]:
    """Register a generator of drafts; all of its variants belong to one half."""

    def register(make: Maker) -> Maker:
        if name in FAMILIES:
            raise ValueError(f"two families are called {name}")
        FAMILIES[name] = (half, make)
        return make

    return register


def seed(text: str) -> int:
    return zlib.crc32(text.encode())


def drafts(half: str | None, kind: str | None) -> Iterator[tuple[str, str, Draft]]:
    for name, (its_half, make) in FAMILIES.items():
        if half in (None, its_half):
            for draft in make(np.random.default_rng(seed(name))):
                if kind in (None, draft.kind):
                    yield name, its_half, draft


def build(name: str, half: str, draft: Draft) -> Case:
    data = SimpleNamespace(**draft.data)
    params = {k: np.array(v, float) for k, v in draft.params.items()}
    loss_data, inside = data, None
    if draft.precision:
        params = {k: v.astype(np.float32).astype(float) for k, v in params.items()}
        data = SimpleNamespace(**{k: _rounded(v) for k, v in draft.data.items()})
        if draft.precision != "claim":
            loss_data = SimpleNamespace(
                **{k: v.astype(np.float32) if _is_float(v) else v for k, v in vars(data).items()}
            )
            inside = np.float32
    # NumPy 1 lets a float64 array decide against a 0-d long double: widen the data as well.
    wide_data = SimpleNamespace(
        **{k: v.astype(Wide) if _is_float(v) else v for k, v in vars(data).items()}
    )
    slips = {k: _gradient(s, _widened(params), wide_data) for k, s in draft.slips.items()}
    own = _own_gradient(draft, params, wide_data, loss_data, inside)
    exact, error = _exact(draft, params, data, wide_data, own)
    if draft.precision == "claim":
        exact = {k: g.astype(np.float32) for k, g in exact.items()}
        error = {k: e + np.spacing(np.abs(exact[k])) for k, e in error.items()}
    if draft.precision == "params":
        params = {k: v.astype(np.float32) for k, v in params.items()}
        inside = None
    loss = _loss(draft.loss or draft.f, loss_data, inside, draft.invalid)

    def ideal(p: Arrays) -> Any:
        narrow = all(v.dtype in (np.float64, np.complex128, np.float32) for v in p.values())
        with np.errstate(all="ignore"):
            return draft.f(SimpleNamespace(**p), data if narrow else wide_data, np)

    def anywhere(p: Arrays) -> Arrays:
        """In the precision of the loss; of the loss itself, where that has a slope of its own."""
        if draft.precision in ("params", "inside") and draft.loss is None:
            p = p if inside is None else {k: v.astype(inside) for k, v in p.items()}
            return _gradient(draft.f, p, loss_data)
        if draft.biased:
            assert draft.loss is not None
            return _gradient(draft.loss, _narrow(p), data)
        return _ideal_gradient(draft, _narrow(p), data)

    def slipped(slip: Ideal, there: Arrays) -> Grads:
        return _claim(params, _narrow(there), lambda p: _gradient(slip, _narrow(p), data))

    kinks, sides = _kinks(draft, params, wide_data) if "kink" in draft.kind else ({}, {})
    return Case(
        name=f"{name}/{draft.variant}",
        family=name,
        kind=draft.kind,
        half=half,
        loss=loss,
        params=params,
        exact=exact,
        exact_error=error,
        grads=_claim(params, exact, anywhere, zero=draft.zero),
        kinks=kinks,
        unmeasurable=_unmeasurable(loss, params, exact),
        ideal=ideal,
        one_sided=sides,
        slips={k: slipped(s, slips[k]) for k, s in draft.slips.items()},
        batch=draft.batch,
        random=draft.random,
    )


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == float


def _rounded(value: Any) -> Any:
    return value.astype(np.float32).astype(float) if _is_float(value) else value


def _widened(params: Arrays) -> Arrays:
    return {k: v.astype(Wide) for k, v in params.items()}


def _narrow(grads: Arrays) -> Arrays:
    return {k: np.asarray(g, float) for k, g in grads.items()}


def _loss(f: Ideal, data: Any, inside: Any, invalid: Any) -> Callable[[Arrays], float]:
    def loss(params: Arrays) -> float:
        if inside is not None:
            params = {k: v.astype(inside) for k, v in params.items()}
        with np.errstate(all="ignore", invalid=invalid):
            return float(f(SimpleNamespace(**params), data, np))

    return loss


def _gradient(f: Ideal, params: Arrays, data: Any) -> Arrays:
    """Reverse-mode automatic differentiation in the precision of `params`."""
    import autograd.numpy as xp
    from autograd import grad

    names = list(params)

    def packed(values: Any) -> Any:
        return f(SimpleNamespace(**dict(zip(names, values, strict=True))), data, xp)

    with np.errstate(all="ignore"):
        grads = grad(packed)(tuple(params.values()))
    return {k: np.broadcast_to(g, params[k].shape) for k, g in zip(names, grads, strict=True)}


def _ideal_gradient(draft: Draft, params: Arrays, data: Any) -> Arrays:
    if draft.grad is None:
        return _gradient(draft.f, params, data)
    with np.errstate(all="ignore"):
        return draft.grad(SimpleNamespace(**params), data)


def stands(p: Arrays, params: Arrays) -> bool:
    """Whether parameters stand there, in the same precision: float64 copies are another place."""
    return all(v.dtype == params[k].dtype and np.array_equal(v, params[k]) for k, v in p.items())


def _claim(params: Arrays, there: Arrays, elsewhere: Grads, zero: tuple[str, ...] = ()) -> Grads:
    """What is known at the point, as exactly as can be, and worked out anew `elsewhere`."""

    def grads(p: Arrays) -> Arrays:
        if stands(p, params):
            return {k: g.copy() for k, g in there.items()}
        found = elsewhere(p)
        return {
            k: np.zeros_like(g) if k in zero else np.array(found[k], g.dtype)
            for k, g in there.items()
        }

    return grads


def _own_gradient(
    draft: Draft, params: Arrays, wide_data: Any, loss_data: Any, inside: Any
) -> Arrays | None:
    """The gradient of the loss as it is computed, where that has another slope than the ideal.

    A solver that stops early, or single precision inside, is off by what it leaves out: 1 - exp(-x)
    of a small x is off by a factor that no step of another parameter changes.  The check is of the
    loss, not of what it stands for.
    """
    if draft.biased:
        assert draft.loss is not None
        return _gradient(draft.loss, _widened(params), wide_data)
    if inside is not None and draft.loss is None:
        return _gradient(draft.f, {k: v.astype(inside) for k, v in params.items()}, loss_data)
    return None


def _exact(
    draft: Draft, params: Arrays, data: Any, wide_data: Any, own: Arrays | None
) -> tuple[Arrays, Arrays]:
    """The gradient in long double, rounded; what float64 loses on the way says how hard it was.

    Where the loss has a gradient of its `own`, it is that one, and as uncertain as the two differ.
    """
    narrow = _ideal_gradient(draft, params, data)
    best = _ideal_gradient(draft, _widened(params), wide_data) if draft.wide else narrow
    bias = {k: np.abs(own[k] - best[k]) if own else 0.0 for k in params}
    exact, error = {}, {}
    largest = max(np.max(np.abs(g), initial=0) for g in best.values())
    for k in params:
        exact[k] = np.array((own or best)[k], float)
        lost = np.abs(narrow[k] - best[k]) / 256
        if k in draft.zero:
            assert np.max(np.abs(exact[k]), initial=0) <= 1e-12 * largest
            exact[k], lost, bias[k] = np.zeros_like(exact[k]), np.zeros_like(lost), 0.0
        if not (draft.wide and WIDE_IS_WIDER):
            lost = lost + 1e-13 * np.abs(exact[k]) + 1e-14 * np.max(np.abs(exact[k]), initial=0)
        loose = draft.error * np.max(np.abs(exact[k]), initial=0)
        error[k] = np.asarray(4 * np.spacing(np.abs(exact[k])) + lost + loose + bias[k], float)
    return exact, error


def _kinks(draft: Draft, params: Arrays, data: Any) -> tuple[Arrays, dict[str, Any]]:
    """One-sided derivatives along each axis: the gradient a hair's breadth to either side."""
    masks, sides = {}, {}
    wide = _widened(params)
    for k, v in wide.items():
        low, high = np.empty(v.shape), np.empty(v.shape)
        for i in np.ndindex(v.shape):
            for side, out in ((-1, low), (1, high)):
                moved = v.copy()
                moved[i] += side * Wide(1e-13) * max(1, abs(v[i]))
                out[i] = _gradient(draft.f, {**wide, k: moved}, data)[k][i]
        sides[k] = (np.minimum(low, high), np.maximum(low, high))
        size = np.abs(low) + np.abs(high)
        masks[k] = np.asarray(
            np.abs(low - high) > 1e-9 * np.maximum(size, 1e-3 * size.max(initial=0))
        )
    return masks, sides


def _unmeasurable(loss: Callable[[Arrays], float], params: Arrays, exact: Arrays) -> frozenset[str]:
    """Blocks of which no difference of float64 losses says even the first digit.

    Along the block's own sign pattern, the direction in which the loss changes most, and with
    steps up to eight times the scale of the parameter.
    """
    hidden = set()
    here = abs(loss(params))
    for k, g in exact.items():
        slope = float(np.sum(np.abs(g, dtype=float)))
        if slope == 0 or slope > 1e-13 * here:
            continue
        scale = float(np.max(np.abs(params[k])))
        seen = 0
        for step in 8 * max(1.0, scale) * 2.0 ** -np.arange(40):
            up, down = (
                loss({**params, k: params[k] + side * step * np.sign(g).astype(params[k].dtype)})
                for side in (1, -1)
            )
            seen += abs((up - down) / (2 * step) - slope) < 0.3 * slope
        if seen < 2:
            hidden.add(k)
    return frozenset(hidden)

"""What an oracle could measure of a gradient by differences of the loss.

It knows the smooth function behind the loss, and with it the noise of every value and the bias of
every extrapolation, and takes the best step with `SPENT` evaluations an entry, or a direction.
Noise is averaged by what these evaluations really are: rounding that always falls to one side is
not taken off.  Where even that leaves the first `warn` of the gradient open, a check must say that
it cannot say.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from bank import Case
from bank.base import Wide

SPENT = 1_000
"""Evaluations along one line."""
SIGMAS = 4
"""Standard deviations that an error bar spans."""
LINES, ENTRIES = 6, 100
"""Random directions, and entries, that stand for all of a block: some of a large one alone."""
STEPS = 4.0 ** -np.arange(-1, 24)
"""Steps tried, in units of the scale of what is moved."""
GLANCE, TRIED = 8, 3
"""Samples by which steps are compared, and how many of them are then tried with all evaluations."""
EXTRAPOLATIONS = ((1.0,), (-1 / 3, 4 / 3), (1 / 45, -20 / 45, 64 / 45))
"""Richardson's weights of central differences at h, at h and h/2, at h, h/2 and h/4."""
RISK = 2.0
"""Factor by which a bound from sixteen directions lies above the typical error bar along one."""

Along = Callable[[float], float]


def best_bar(case: Case, name: str) -> float:
    """The smallest error bar of the relative error of one parameter, by entries or directions."""
    assert case.ideal is not None
    theta, exact = case.params[name], np.asarray(case.exact[name], float)
    size = float(np.linalg.norm(exact))
    if size == 0:
        return math.inf
    rng = np.random.default_rng(0)
    rms = float(np.linalg.norm(theta)) / math.sqrt(theta.size) or 1.0
    bars = []
    for i in rng.permutation(theta.size)[:ENTRIES]:
        axis = np.zeros(theta.size)
        axis[i] = abs(theta.flat[i]) or rms
        bars.append(_bar(case, name, axis.reshape(theta.shape)) / axis[i])
    by_entries = math.sqrt(theta.size) * float(np.sqrt(np.mean(np.square(bars))))
    bars = [_bar(case, name, rms * rng.standard_normal(theta.shape)) / rms for _ in range(LINES)]
    by_directions = RISK * float(np.sqrt(np.mean(np.square(bars))))
    return min(by_entries, by_directions) / (2 * size)


def _bar(case: Case, name: str, direction: np.ndarray) -> float:
    """The smallest error bar of the derivative along a direction, over steps and extrapolations."""
    wide = {k: v.astype(Wide) for k, v in case.params.items()}
    true = float(np.vdot(np.asarray(case.exact[name], Wide), direction.astype(Wide)))

    def moved(params: dict[str, np.ndarray], t: float) -> dict[str, np.ndarray]:
        kind = params[name].dtype
        return {**params, name: (params[name] + t * direction).astype(kind)}

    def ideal(t: float) -> float:
        return case.ideal(moved(wide, t))  # type: ignore[misc]

    def loss(t: float) -> float:
        return case.loss(moved(case.params, t))

    def bar(h: float, samples: int) -> float:
        return _at_step(ideal, loss, h, true, samples)

    promising = sorted(map(float, STEPS), key=lambda h: bar(h, GLANCE))[:TRIED]
    return min(bar(h, SPENT // 2) for h in promising)


def _at_step(ideal: Along, loss: Along, h: float, true: float, samples: int) -> float:
    """Bias and noise of the best extrapolation from about one step, of which so many are taken.

    If all that may be spent were spent there.
    """
    near = h * np.linspace(0.9, 1.0, samples)
    try:
        with np.errstate(all="ignore"):
            odd = np.array([(loss(t) - ideal(t) - loss(-t) + ideal(-t)) / (2 * t) for t in near])
            quotients = [(ideal(h / k) - ideal(-h / k)) / (2 * h / k) for k in (1, 2, 4)]
    except (ArithmeticError, ValueError):  # beyond the edge of the domain
        return math.inf
    sigma, best = float(np.std(odd)), math.inf
    for weights in EXTRAPOLATIONS:
        used = quotients[: len(weights)]
        bias = abs(float(sum(w * q for w, q in zip(weights, used, strict=True))) - true)
        spread = math.sqrt(sum((w * 2**k) ** 2 for k, w in enumerate(weights)))
        noise = SIGMAS * sigma * spread / math.sqrt(SPENT / 2 / len(weights))
        best = min(best, bias + abs(float(np.mean(odd))) + noise)
    return best

"""A second look where kinks crowd: at a point moved a little, where the loss is smooth.

Where many kinks of a loss lie within 1e-12 of the point (activations of a deep network that are
nearly all zero), every difference quotient steps over some of them, and even the two one-sided
ones need not enclose the gradient.  Nothing measured there can convict it.  But it can be
acquitted at a displaced point; unless the point lies exactly at a kink, which shows in that the
claim itself changes a hair off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..settings import Settings
from .measured import Measured
from .parameters import Array
from .problem import Problem, Saved

DISPLACEMENT = 1e-3
"""How far a displaced point lies off, relative to the scale of each parameter."""


def give_up_where_kinks_crowd(
    blocks: Sequence[Measured],
    doubted: Sequence[int],
    problem: Problem,
    moved: Problem,
    saved: Saved,
    measure: Callable[[list[Array]], Sequence[Measured]],
    settings: Settings,
    seed: int,
) -> None:
    """Withdraw the verdict on those of the `doubted` blocks that a displaced point acquits.

    Parameters
    ----------
    blocks : sequence of Measured
    doubted : sequence of int
        Which of them are in doubt.
    problem, moved : Problem
        As the subject has it, and as it is measured (in float64).
    saved : Saved
        The parameters of `problem` as they were.
    measure : callable
        ``measure(claims)`` is the same check where the parameters stand.
    """
    nearby = _claims_a_hair_off(problem, seed)
    saved.restore()
    _displace(problem, moved, seed)
    there = measure(_claims(problem))
    saved.restore()
    for i in doubted:
        if _stays(blocks[i], nearby[i]) and _exonerates(there[i], blocks[i], settings):
            blocks[i].give_up()


def _claims(problem: Problem) -> list[Array]:
    problem.loss()  # gradients may live on what the loss leaves behind
    return [np.array(g, dtype=np.float64).reshape(-1) for g in problem.grads()]


def _claims_a_hair_off(problem: Problem, seed: int) -> list[Array]:
    """The claimed gradient a last digit away from the point, to either side at random."""
    rng = np.random.default_rng([seed, 2])
    for parameter in problem.parameters:
        theta = parameter.read()
        side = rng.choice([-1.0, 1.0], theta.size)
        hair = np.maximum(2 * np.finfo(parameter.dtype).eps * np.abs(theta), 1e-30)
        parameter.write(parameter.round(theta + side * hair))
    return _claims(problem)


def _stays(block: Measured, nearby: Array) -> bool:
    """Whether claims that contradict the measurement stay what they are a hair off the point.

    If they do not, the point lies exactly at the kink, and its claim is no subgradient.
    """
    error = np.abs(block.claimed - block.numeric)
    wrong = error > block.bar
    return bool(np.all(np.abs(nearby - block.claimed)[wrong] <= 0.1 * error[wrong]))


def _displace(problem: Problem, moved: Problem, seed: int) -> None:
    rng = np.random.default_rng([seed, 1])
    for narrow, wide in zip(problem.parameters, moved.parameters, strict=True):
        theta = narrow.read()
        scale = float(np.sqrt(np.mean(theta**2))) if theta.any() else 1.0
        theta = narrow.round(theta + DISPLACEMENT * scale * rng.standard_normal(theta.size))
        narrow.write(theta)
        wide.write(theta)


def _exonerates(there: Measured, here: Measured, settings: Settings) -> bool:
    """Whether a displaced point has nothing against a block, and excludes what is claimed here."""
    least, _, most = there.error_limits()
    claimed, _, _ = here.error_limits()
    bound = max(settings.warn * there.scale, claimed * there.scale / (here.scale or 1.0) / 2)
    return least <= settings.tol * there.scale and most <= bound

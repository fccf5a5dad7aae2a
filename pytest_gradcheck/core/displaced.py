"""A second look where kinks crowd: at a point moved a little, where the loss is smooth.

Where many kinks of a loss lie within 1e-12 of the point (activations of a deep network that are
nearly all zero), every difference quotient steps over some of them, and even the two one-sided
ones need not enclose the gradient.  Nothing measured there can convict it.  But it can be
acquitted at a displaced point; unless the point lies exactly at a kink, which shows in that the
claim itself changes a hair off, and the claim there is no subgradient, which shows in that it does
not lie between those a hair to either side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..settings import Settings
from .measured import Measured, scale_that_matters
from .nearby import CHANGED, hair, move_by_rounding
from .parameters import Array
from .problem import Problem, Saved

DISPLACEMENTS = (1e-3, 1e-5, 1e-7)
"""How far a displaced point lies off, relative to the scale of each parameter; and how far, where
the loss is not finite there."""
ATTEMPTS = (False, True, True)
"""Displaced points that are tried at most, and whether all parameters are moved equally far there:
those that are far smaller than others may not leave the crowd otherwise."""
DEAD = 0.1
"""Size of a gradient, relative to that at the point, below which nothing is proved by it: where
units are dead, say."""
LOOKED_AT = 16
"""Entries, those that are furthest off, that are moved by a hair one by one."""


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
    move_by_rounding(problem.parameters, seed)
    nearby = problem.claimed()
    saved.restore()
    left = list(doubted)
    for attempt, equally in enumerate(ATTEMPTS):
        claims = [block.claimed for block in blocks]
        displace(problem, moved, seed + attempt, claims, equally=equally)
        there = measure(problem.claimed())
        saved.restore()
        for i in left:
            if _exonerates(there[i], blocks[i], settings) and (
                _stays(blocks[i], nearby[i]) or _is_between(problem, i, blocks[i])
            ):
                blocks[i].give_up()
        left = [i for i in left if not blocks[i].undecided and _is_mute(there[i], blocks[i])]
        if not left:
            return


def _stays(block: Measured, nearby: Array) -> bool:
    """Whether claims that contradict the measurement stay what they are a hair off the point.

    If they do not, the point lies exactly at a kink.
    """
    error = np.abs(block.claimed - block.numeric)
    wrong = error > block.bar
    return bool(np.all(np.abs(nearby - block.claimed)[wrong] <= CHANGED * error[wrong]))


def _is_between(problem: Problem, i: int, block: Measured) -> bool:
    """Whether claims of block i that contradict lie between those a hair off along their entry.

    These are the slopes on both sides of a kink at the very point, of which differences know
    nothing if further kinks are nearer than any step.
    """
    parameter, saved = problem.parameters[i], Saved(problem.parameters)
    error = np.abs(block.claimed - block.numeric)
    worst = [j for j in np.argsort(-error)[:LOOKED_AT] if error[j] > block.bar[j]]
    try:
        for j in map(int, worst):
            sides = []
            for along in (1.0, -1.0):
                theta = parameter.read()
                theta[j] += along * hair(parameter, theta)[j]
                parameter.write(parameter.round(theta))
                sides.append(float(problem.claimed()[i][j]))
                saved.restore()
            room = CHANGED * error[j]
            if not min(sides) - room <= block.claimed[j] <= max(sides) + room:
                return False
    finally:
        saved.restore()
    return True


def displace(
    problem: Problem,
    moved: Problem,
    seed: int,
    claims: Sequence[Array],
    distance: float = DISPLACEMENTS[0],
    *,
    equally: bool = False,
) -> None:
    """Move all parameters at random, in the problem and on the copies on which it is measured.

    Each as far as it is large, or all of them `equally` far.  Where its entries are of very
    different size, as far as those that `claims` have gradients for, and as most of them, are.
    """
    rng = np.random.default_rng([seed, 1])
    scales = [
        min(scale_that_matters(theta, by) for by in (claim, np.ones_like(claim)))
        for theta, claim in zip((p.read() for p in problem.parameters), claims, strict=True)
    ]
    if equally:
        scales = [max(scales)] * len(scales)
    for narrow, wide, scale in zip(problem.parameters, moved.parameters, scales, strict=True):
        theta = narrow.read()
        theta = narrow.round(theta + distance * scale * rng.standard_normal(theta.size))
        narrow.write(theta)
        wide.write(theta)


def _is_mute(there: Measured, here: Measured) -> bool:
    """Whether a displaced point says nothing of a block: kinks crowd there too, or it is dead."""
    return there.crowded or there.scale < DEAD * here.scale


def _exonerates(there: Measured, here: Measured, settings: Settings) -> bool:
    """Whether a displaced point has nothing against a block, and excludes what is claimed here.

    That is an error of the same size, and of the same part of the gradient; as far as can be told,
    where kinks were met.
    """
    least, _, most = there.error_limits()
    claimed, _, _ = here.error_limits()
    bound = claimed / 2 * min(1.0, there.scale / (here.scale or 1.0))
    if here.crowded or claimed == 0:
        bound = max(bound, settings.warn * there.scale)
    return least <= settings.tol * there.scale and most <= bound

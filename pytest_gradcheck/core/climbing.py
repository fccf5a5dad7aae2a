"""Entries measured on a ladder of steps each, and what is noted of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .climb import Climb
from .derivative import Derivative
from .goals import Goals
from .line import Axis
from .loss import Loss
from .measured import COMMON, Measured, scale_of
from .nearby import Nearby
from .parameters import Array

TRIED = 8
"""Entries of a block that are examined for jumps of the loss and, where many contradict, at all."""
CLEAR = 10.0
"""Multiple of what ladders know by which a first step must contradict a claim to be trusted, of the
error bar that does for an entry by which one aimed at too large is too large, and of one in noise
by which an error is no kink's."""


@dataclass
class Climbing:
    """The ladders of all entries, at one point.

    Attributes
    ----------
    loss : Loss
    base, jitter : float
        Loss at the point, and by how much two evaluations of it differ.
    noise : float
        Standard deviation of one value of the loss along a random line.
    eps : float
        As in `Settings`.
    goals : Goals
    nearby : Nearby
        Tells whether a kink lies at the point.
    origin : sequence of ndarray
        The parameters at the point, flat.
    each_noise : bool
        Whether noise is measured anew along every entry.
    rounding : sequence of float
        Relative rounding of the claims.
    left_over : callable
        How far the loss may be off where terms cancel (`left_over.left_by_cancelling`).
    kinked : bool
        Whether a kink was met.
    """

    loss: Loss
    base: float
    jitter: float
    noise: float
    eps: float
    goals: Goals
    nearby: Nearby
    origin: Sequence[Array]
    each_noise: bool
    rounding: Sequence[float]
    left_over: Callable[[], float]
    kinked: bool = field(default=False, init=False)

    def measure(self, block: Measured, i: int, j: int) -> Derivative:
        """Measure entry j of block i, and note it."""
        climb = self.start(block, i, j, block.numeric[j])
        found = climb.measure()
        if climb.target > CLEAR * self._target(block, j, found.value):  # at a step far too long
            climb = self.start(block, i, j, found.value)
            found = climb.measure()
        contradicts = found.contradicts(climb.claim)
        block.contradicted += contradicts
        few = np.sum(block.climbed) < TRIED or (contradicts and block.contradicted <= TRIED)
        if few or block.jumps > 0:  # where the first few do not, none do
            before, jumps = self._worst_climbed(block), block.jumps
            found = self._across_jumps(block, climb, found)
            for k in before if block.jumps > jumps == 0 else ():  # none were looked for as closely
                self.measure(block, i, int(k))
        if found.contradicts(climb.claim):
            found = found.widened(self.left_over() / max(climb.own, climb.scale))
        self.note(block, i, j, climb, found)
        return found

    @staticmethod
    def _worst_climbed(block: Measured) -> NDArray[np.intp]:
        """As many as are tried of the entries that climbed, those that are furthest off first."""
        error = np.abs(block.claimed - block.numeric)
        climbed = np.flatnonzero(block.climbed)
        return climbed[np.argsort(-error[climbed], kind="stable")[:TRIED]]

    def start(self, block: Measured, i: int, j: int, measured: float) -> Climb:
        """The foot of a ladder for an entry that is about as large as `measured`."""
        origin, target = self.origin[i], self._target(block, j, measured)
        climb = Climb(
            axis=Axis(self.loss, block.parameter, j, float(origin[j])),
            base=self.base,
            claim=float(block.claimed[j]),
            own=abs(float(origin[j])) or scale_of(origin),
            scale=scale_of(origin),
            noise=self.noise,
            eps=self.eps,
            target=target,
            enough=self.goals.where_noise_forbids(target),
        )
        if self.each_noise:
            climb = replace(climb, noise=max(self.jitter, climb.own_noise()))
        return climb

    def note(self, block: Measured, i: int, j: int, climb: Climb, found: Derivative) -> None:
        """Take what was found for what is known; across a kink near the point it says less."""
        self.kinked |= found.kink
        error = abs(found.value - climb.claim) if found.fit else 0.0
        block.crowded |= found.kink or found.uncertainty < error < CLEAR * found.uncertainty
        if found.kink and not climb.is_at_point(found):
            jump = abs(found.left - found.right)
            if not self.nearby.jumps(i, j, jump):
                found = found.spanning()
        # claim and loss know the parameters to a last digit, of which curvature makes a slope
        size = max(climb.own, climb.scale)
        digit = COMMON * self.rounding[i] * size * climb.ladder.curvature
        block.claim_rounding[j] = max(block.claim_rounding[j], digit)
        block.numeric[j] = found.nearest(climb.claim)
        block.uncertainty[j] = found.uncertainty
        block.kinks[j] = found.kink
        block.climbed[j], block.trusted[j] = True, False

    def _target(self, block: Measured, j: int, measured: float) -> float:
        """Error bar aimed at; where an entry is far above its claim, no finer than that asks."""
        target, own = float(self.goals.bars(block.claimed)[j]), self.goals.bar_at(measured)
        return max(target, own) if math.isfinite(own) else target

    @staticmethod
    def _across_jumps(block: Measured, climb: Climb, found: Derivative) -> Derivative:
        """What was found, or the slope across jumps where it is one between them."""
        contradicts = found.contradicts(climb.claim)
        across = climb.between_jumps(found, far=block.jumps > 0)
        if across is None and contradicts:
            across = climb.explained(found)
        if across is not None:
            block.jumps += 1
            return across
        if block.jumps and (contradicts or found.uncertainty > climb.enough):
            # too small beside them, perhaps, for secants to tell; or one of them in its window
            across = climb.across_jumps()
            if not contradicts:
                return min(across, found, key=lambda one: one.uncertainty)
            if math.isfinite(across.uncertainty) and not across.contradicts(climb.claim):
                return across
            return across.reaching(found.value) if across.contradicts(found.value) else found
        return found

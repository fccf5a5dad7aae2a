"""The textbook's central differences of every entry, and which claims they settle."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .exhaustive import central_quotients
from .goals import SETTLED, Goals
from .ladder import SIGMAS
from .loss import Loss
from .measured import COMMON, OWN, Measured, rms
from .parameters import Array, Parameter

KINK = 1e-3
"""Difference of the slopes on both sides, relative, from which a first step settles nothing."""


@dataclass
class FirstStep:
    """One step for all entries of a parameter.

    Attributes
    ----------
    loss : Loss
    base : float
        The loss at the point.
    noise : float
        Standard deviation of one value of the loss.
    goals : Goals
    """

    loss: Loss
    base: float
    noise: float
    goals: Goals

    def take(
        self, parameter: Parameter, claim: Array, rounding: float, eps: float
    ) -> tuple[Measured, Array]:
        """Differences at one step: entries they do not settle get an infinite error bar.

        Parameters
        ----------
        parameter : Parameter
        claim : ndarray
        rounding : float
            Relative rounding of the claim.
        eps : float
            The step, for parameters of magnitude up to 1.

        Returns
        -------
        Measured
        ndarray
            Error bars of the differences, if the step were trusted for what it does not settle.
        """
        q = central_quotients(parameter, self.loss, eps)
        numeric, typical = q.values, rms(claim)
        negligible = self.goals.is_negligible(claim)
        claim_rounding = rounding * (OWN * np.abs(claim) + COMMON * typical)
        largest = np.maximum(np.abs(q.plus), np.abs(q.minus))
        sigma = np.maximum(self.noise, 2.0**-53 * largest)
        with np.errstate(divide="ignore", invalid="ignore"):
            noise = SIGMAS * math.sqrt(2) * sigma / q.width
            error = np.abs(numeric - claim)
            agree = error <= noise + claim_rounding + self.goals.bars(claim)
            # across a kink the central difference is the mean of two slopes, and may agree as such
            jump = 2 * (q.plus - 2 * self.base + q.minus) / q.width
            straight = np.abs(jump) <= 2 * noise + KINK * (np.abs(claim) + typical)
            agree &= straight
            bar = noise + SETTLED * self.goals.tol * np.maximum(np.abs(numeric), typical)
        bar = np.where(straight & (not negligible), bar, np.inf)
        uncertainty = np.where(agree, noise + error, np.inf)
        block = Measured(
            parameter,
            claim,
            numeric,
            uncertainty,
            claim_rounding,
            negligible,
            unit=self.goals.whole or 1.0,
        )
        if self.goals.is_cancelled(block, rounding):
            block.cancel()
            block.uncertainty = noise + error
        return block, bar

"""Random weights of probes, and what the readings of probes prove.

The weights v are independent and uniform on [-sqrt(3), sqrt(3)): mean 0, variance 1, so that
E[(e.v)^2] = norm(e)^2 for an error e of the gradient, whatever the number of its entries.

* For every e, the density of e.v / norm(e) is nowhere above 1 / sqrt(6): sections of a cube are no
  larger than sqrt(2) of its face (K. Ball, Cube slicing in R^n, Proc. AMS 97 (1986) 465).  So k
  probes all come out small together only with a probability that can be stated.
* Uniform weights are sub-Gaussian with their own variance, so Chernoff's bound says how rarely
  they all come out large.

Bare signs would not do: two entries exchanged cancel under half of all of them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.int16]

UNIT = math.sqrt(3) / 2**15
"""Weights are kept as whole numbers of 16 bits, a quarter of the memory; this is one of them."""
SPREAD = 60.0
"""Largest factor by which a bound may lie above the readings it rests on."""
LOOKS = 3
"""How often, at most, a bound is taken from the readings so far before more are made."""


def draw(seed: int, row: int, block: int, size: int) -> Weights:
    """Weights of one block in one probe, in units of `UNIT`; the same for the same arguments."""
    source = np.random.SFC64(np.random.SeedSequence([seed, row, block]))
    words: NDArray[np.uint64] = source.random_raw(-(-size // 4))
    return words.view(np.int16)[:size]


def probes_for(confidence: float) -> int:
    """Number of probes whose bound is worth its name at a confidence below 1."""
    count = 1
    while spread(count, confidence) > SPREAD:
        count += 1
    return count


def spread(count: int, confidence: float) -> float:
    """Factor by which the bound lies above the error bars of `count` probes that all agree."""
    return math.sqrt(count) / least_length(count, confidence)


def least_length(count: int, confidence: float) -> float:
    """The r for which ``norm([e.v_1, ..., e.v_count]) <= r norm(e)`` is improbable.

    The joint density of independent readings is at most (1/6)^(count/2) / norm(e)^count, so a ball
    of radius r holds at most that times its volume.
    """
    volume = math.pi ** (count / 2) / math.gamma(count / 2 + 1)
    return float(((1 - confidence) / LOOKS * 6 ** (count / 2) / volume) ** (1 / count))


def greatest_length(count: int, confidence: float) -> float:
    """The r for which ``norm([e.v_1, ..., e.v_count]) >= r norm(e)`` is improbable.

    Chernoff's bound: P(sum of squares > q) <= (q/k)^(k/2) exp((k - q)/2).
    """
    log_risk = math.log((1 - confidence) / LOOKS)
    low, high = float(count), 2 * count - 4 * log_risk
    for _ in range(60):
        q = (low + high) / 2
        if count / 2 * math.log(q / count) + (count - q) / 2 > log_risk:
            low = q
        else:
            high = q
    return math.sqrt(high)

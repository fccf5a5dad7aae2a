"""What the pictures show, as numbers: NumPy and the examples alone, so that tests can read them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

Array = NDArray[np.float64]


def errors_of_both_schemes() -> tuple[Array, Array, Array]:
    """Steps, and the errors of central and forward differences of theta^3 at theta = 1."""
    steps = 10.0 ** np.arange(-13, 0, 0.125)
    ahead, back = (1 + steps) ** 3, (1 - steps) ** 3
    central, forward = (ahead - back) / (2 * steps), (ahead - 1) / steps
    return steps, np.abs(central - 3), np.abs(forward - 3)


def branches(steps: Array) -> tuple[dict[int, Array], Array]:
    """Truncation by its order, and rounding, for theta^3 at theta = 1."""
    second, third = 6.0, 6.0
    return {1: second / 2 * steps, 2: third / 6 * steps**2}, 2.0**-53 / steps


def differences_near_a_kink() -> tuple[Array, tuple[Array, Array], tuple[Array, Array]]:
    """Steps, and (central, forward - backward) of a smooth function and of ReLU, both at 0."""
    steps = 10.0 ** np.arange(-6, 0.01, 0.5)

    def both(ahead: Array, back: Array, here: float) -> tuple[Array, Array]:
        forward, backward = (ahead - here) / steps, (here - back) / steps
        return (forward + backward) / 2, forward - backward

    smooth = both(np.logaddexp(0, steps), np.logaddexp(0, -steps), float(np.log(2)))
    return steps, smooth, both(np.maximum(steps, 0), np.maximum(-steps, 0), 0.0)


def gradients_by_layer() -> dict[float, list[float]]:
    """Norms of db in nine layers of ReLU, at a tenth of He's deviation, at it, and at ten times."""
    from network import Network

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(16, 64)), rng.integers(0, 10, size=16)
    found = {}
    for scale in (0.1, 1.0, 10.0):
        network = Network([64] + [10] * 9, scale=scale)
        grads = network.grads(X, y)
        found[scale] = [float(np.linalg.norm(grads[f"b{i + 1}"])) for i in range(network.depth)]
    return found

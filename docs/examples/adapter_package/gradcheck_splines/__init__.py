"""Natural cubic splines with an energy, and the adapter by which pytest-gradcheck knows them."""

from __future__ import annotations

import numpy as np


class Spline:
    """Values at knots, their bending energy, and the force, which is minus its gradient."""

    def __init__(self, values: np.ndarray, *, stiffness: float = 1.0) -> None:
        self.values, self.stiffness = np.array(values, dtype=float), stiffness

    def energy(self) -> float:
        return float(0.5 * self.stiffness * np.sum(np.diff(self.values, 2) ** 2))

    def force(self) -> np.ndarray:
        second = np.diff(self.values, 2)
        force = np.zeros_like(self.values)
        force[:-2] -= second
        force[1:-1] += 2 * second
        force[2:] -= second
        return self.stiffness * force

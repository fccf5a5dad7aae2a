"""A network and the batch it is checked on: an object whose hooks need no arguments."""

from __future__ import annotations

from dataclasses import dataclass

from network import Array, Labels, Network


@dataclass
class OnBatch:
    """What a test marked with ``@pytest.mark.gradcheck`` returns."""

    network: Network
    X: Array
    y: Labels

    @property
    def params(self) -> dict[str, Array]:
        return self.network.params

    def loss(self) -> float:
        return self.network.loss(self.X, self.y)

    def grads(self) -> dict[str, Array]:
        return self.network.grads(self.X, self.y)

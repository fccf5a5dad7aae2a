"""All parameters as one vector theta, reshaped and concatenated, and back."""

from __future__ import annotations

import numpy as np
from network import Array


def concatenate(params: dict[str, Array]) -> Array:
    return np.concatenate([params[name].reshape(-1) for name in sorted(params)])


def split(theta: Array, like: dict[str, Array]) -> dict[str, Array]:
    """The arrays that theta was made of, in the shapes of `like`."""
    params, start = {}, 0
    for name in sorted(like):
        stop = start + like[name].size
        params[name] = theta[start:stop].reshape(like[name].shape)
        start = stop
    return params

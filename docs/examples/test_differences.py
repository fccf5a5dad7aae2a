"""Central against forward differences, on f(theta) = theta^3 at theta = 1 with eps = 0.01."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_gradcheck import check


def cube(theta: np.ndarray) -> float:
    return theta[0] ** 3


def cube_prime(theta: np.ndarray) -> np.ndarray:
    return 3 * theta**2


@pytest.mark.parametrize(
    ("scheme", "numeric", "error"), [("central", 3.0001, 0.0001), ("forward", 3.0301, 0.0301)]
)
def test_worked_example(scheme: str, numeric: float, error: float) -> None:
    """A central difference is off by O(eps^2), a forward one by O(eps): 0.0001 against 0.0301.

    ``refine=False`` takes the one difference at its word, as the textbook does.
    """
    result = check(
        loss=cube, grads=cube_prime, params=np.ones(1), eps=0.01, scheme=scheme, refine=False
    )
    entry = result.worst[0]
    assert entry.analytic == 3
    assert entry.numeric == pytest.approx(numeric, abs=1e-10)
    assert entry.error == pytest.approx(error, abs=1e-10)


def test_refined(gradcheck) -> None:
    """Left to itself the check goes on to smaller steps: a coarse first one does no harm, though
    by its difference alone, 3.0001, the true gradient would have looked suspect.
    """
    result = gradcheck(loss=cube, grads=cube_prime, params=np.ones(1), eps=0.01)
    assert result.status == "pass"
    assert result.relative_error + result.uncertainty < 1e-7

"""Kinks at the point, near it, and so near that noise hides where they are."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_gradcheck import Result, check

OFFSET = 1e8
"""With a loss of this size rounding hides how near a kink lies from about 1e-7 on."""


def findings(result: Result) -> set[str]:
    return {finding.name for finding in result.findings}


@pytest.mark.parametrize("claim", [-1.0, -0.3, 0.5, 1.0])
def test_subgradient_at_a_kink_passes(claim: float) -> None:
    result = check(
        loss=lambda x: float(abs(x[0] - 0.5) + x[1]),
        grads=lambda x: [claim, 1.0],
        params=np.full(2, 0.5),
    )
    assert result.status == "pass"
    assert findings(result) == {"kink"}


@pytest.mark.parametrize("claim", [-1.01, 1.001, 2.0])
def test_value_outside_both_slopes_fails(claim: float) -> None:
    result = check(
        loss=lambda x: float(abs(x[0] - 0.5) + x[1]),
        grads=lambda x: [claim, 1.0],
        params=np.full(2, 0.5),
    )
    assert result.status in ("warn", "fail")
    assert result.relative_error > 1e-4
    assert "kink" in findings(result)


@pytest.mark.parametrize("distance", [1e-9, 1e-8, 1e-6])
@pytest.mark.parametrize("claim", [-1.0, 0.3])
def test_kink_near_the_point_gives_no_subgradients(distance: float, claim: float) -> None:
    result = check(
        loss=lambda x: float(abs(x[0] - 1 + distance)),
        grads=lambda x: [claim],
        params=np.ones(1),
    )
    assert result.status == "fail"


@pytest.mark.parametrize("distance", [3e-9, 2e-8])
def test_kink_that_noise_hides_near_the_point_is_not_taken_to_lie_at_it(distance: float) -> None:
    result = check(
        loss=lambda x: float(OFFSET + abs(x[0] - 1 + distance)),
        grads=lambda x: np.array([0.3]),
        params=np.ones(1),
    )
    assert result.status == "warn"
    assert result.blocks[0].uncertainty > 0.3  # up to either slope
    assert findings(result) & {"coarse", "tiny-gradient", "undecided"}


def test_kink_that_noise_hides_is_at_the_point_where_the_claim_jumps() -> None:
    def loss(x: np.ndarray) -> float:
        return float(OFFSET + np.sum(np.maximum(x, 0.5)) + np.sum(3 * x))

    def grads(x: np.ndarray) -> np.ndarray:
        return (x > 0.5) + 3.0

    result = check(loss=loss, grads=grads, params=np.full(3, 0.5))
    assert [block.status for block in result.blocks] == ["pass"]
    assert findings(result) == {"kink"}

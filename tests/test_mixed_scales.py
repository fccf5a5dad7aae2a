"""Parameters far larger than what the loss varies on, and entries of very different size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pytest_gradcheck import check
from pytest_gradcheck.core.derivative import Derivative
from pytest_gradcheck.core.differences import far_shorter
from pytest_gradcheck.core.ladder import Ladder

Loss = Callable[[np.ndarray], float]
Grad = Callable[[np.ndarray], np.ndarray]


def lines(origin: float, width: float, count: int, seed: int) -> tuple[Loss, Grad, np.ndarray]:
    """Least squares of Lorentz lines whose centres are given from a far origin."""
    rng = np.random.default_rng(seed)
    at = origin + np.linspace(-12 * width, 12 * width, 150)
    centres = origin + width * rng.uniform(-8, 8, count)

    def model(centres: np.ndarray) -> np.ndarray:
        return np.sum(1 / (1 + ((at[:, None] - centres) / width) ** 2), axis=1)

    y = model(centres) + 0.02 * rng.normal(size=at.size)

    def loss(centres: np.ndarray) -> float:
        return 0.5 * float(np.sum((model(centres) - y) ** 2))

    def grad(centres: np.ndarray) -> np.ndarray:
        u = (at[:, None] - centres) / width
        return (model(centres) - y) @ (2 * u / (1 + u**2) ** 2) / width

    return loss, grad, centres + 0.5 * width * rng.normal(size=count)


class TestFarFromTheOrigin:
    """Hertz, and seconds of the calendar: steps of 1e-7 of them are beyond all that varies."""

    @pytest.mark.parametrize("mode", ["exhaustive", "probe"])
    @pytest.mark.parametrize("count", [1, 3, 12])
    @pytest.mark.parametrize(("origin", "width"), [(1.7e9, 1.5), (1420405751.7, 4.0)])
    def test_right_and_wrong_gradients(
        self, origin: float, width: float, count: int, mode: str
    ) -> None:
        for seed in range(3):
            loss, grad, x = lines(origin, width, count, seed)
            right = check(loss=loss, grads=grad, params=x, mode=mode, seed=seed)
            assert [block.status for block in right.blocks] == ["pass"]
            for factor, statuses in ((-1.0, {"fail"}), (1.01, {"fail", "warn"})):
                wrong = check(
                    loss=loss,
                    grads=lambda x, f=factor, g=grad: f * g(x),
                    params=x,
                    mode=mode,
                    seed=seed,
                )
                assert wrong.status in statuses

    @pytest.mark.parametrize("claim", [0.9, 1.2])
    def test_single_short_steps_say_whose_slope_it_is(self, claim: float) -> None:
        def first(f: Callable[[float], float], noise: float = 0.0) -> float | None:
            ladder = Ladder(
                lambda h: (h, f(h), h, f(-h)), f(0.0), 1.0, noise=noise, scale=1.0, finest=1e-13
            )
            flat = Derivative.smooth(0.0, 1e-6, 0.0, step=1.0)
            shorter = far_shorter(ladder, claim, flat, 1e-13)
            return shorter and shorter.first

        assert first(lambda t: 1e-3 * np.tanh(1e3 * t)) == 1e-13
        assert first(lambda t: 0.4 * t) is None and first(lambda t: -t) is None
        drowned = first(np.tanh, noise=1e-9)
        assert drowned == pytest.approx(8 * 4 * 1e-9 / claim)
        assert first(lambda t: float(np.float32(1 + 0.2 * t))) is None  # flat, and a claim of 0.9
        assert first(np.tanh, noise=1.0) == 1e-13  # it is no more than rounding there
        assert first(lambda t: np.tanh(t) + 0.1 * np.cos(1e13 * t + 1), noise=0.1) is None

    def test_flat_treads_bear_out_no_zero(self) -> None:
        def flat(t: float) -> float:
            return float(np.float32(1 + 0.5 * t))

        ladder = Ladder(
            lambda h: (h, flat(h), h, flat(-h)), 1.0, 1.0, noise=1e-7, scale=1.0, finest=1e-13
        )
        found = Derivative.smooth(0.5, 1e-6, 0.0, step=1.0)
        assert far_shorter(ladder, 0.0, found, 1e-13) is None
        assert far_shorter(ladder, 0.1, found, 1e-13) is None

    def test_steps_of_another_slope_than_the_claims_are_believed(self) -> None:
        result = check(
            loss=lambda x: float(np.sum(np.tanh(1e3 * x) / 1e3)),
            grads=lambda x: np.zeros_like(x),
            params=np.zeros(3),
        )
        assert result.status == "fail" and result.relative_error == 1


class TestOneVectorOfMixedScales:
    """Weights of about 0.01, one of them zero under an absolute value, and one entry of 10,000."""

    @staticmethod
    def of(seed: int) -> tuple[Loss, Grad, np.ndarray]:
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(40, 8))
        x = np.append(0.01 * rng.normal(size=8), 1e4 * (1 + 0.1 * rng.random()))
        x[0] = 0.0

        def loss(x: np.ndarray) -> float:
            s = 1 / (1 + np.exp(-100 * (X @ x[:8])))
            return float(np.mean(s) + 1e-3 * abs(x[0]) + 0.01 * (x[8] / 1e4) ** 2)

        def grad(x: np.ndarray) -> np.ndarray:
            s = 1 / (1 + np.exp(-100 * (X @ x[:8])))
            g = np.append(X.T @ (100 * s * (1 - s)) / 40, 0.02 * x[8] / 1e8)
            g[0] += 1e-3 * np.sign(x[0])
            return g

        return loss, grad, x

    @pytest.mark.parametrize("mode", ["exhaustive", "probe"])
    @pytest.mark.parametrize("seed", range(4))
    def test_wrong_gradient_of_the_small_ones(self, seed: int, mode: str) -> None:
        loss, grad, x = self.of(seed)
        right = check(loss=loss, grads=grad, params=x, mode=mode, seed=seed)
        assert [block.status for block in right.blocks] == ["pass"]
        for factor in (0.0, 1.2):

            def wrong(x: np.ndarray, factor: float = factor) -> np.ndarray:
                g = grad(x)
                g[1:8] *= factor
                return g

            assert check(loss=loss, grads=wrong, params=x, mode=mode, seed=seed).status == "fail"

    @pytest.mark.parametrize("seed", range(6))
    def test_smooth_losses_have_no_kinks(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        n = 30
        unit = 10.0 ** rng.permutation(np.linspace(-6, 6, n))
        X, y = rng.normal(size=(60, n)) / unit, rng.choice([-1.0, 1.0], 60)
        x = unit * rng.normal(size=n)

        def loss(x: np.ndarray) -> float:
            return float(np.mean(np.logaddexp(0.0, -y * (X @ x))))

        def grad(x: np.ndarray) -> np.ndarray:
            return -X.T @ (y / (1 + np.exp(y * (X @ x)))) / 60

        def half(x: np.ndarray) -> np.ndarray:
            return grad(x) * np.where(np.arange(n) % 2, 1.1, 1.0)

        for claim, status in ((grad, "pass"), (half, "fail")):
            result = check(loss=loss, grads=claim, params=x, mode="probe", seed=seed)
            assert "kink" not in {finding.name for finding in result.findings}
            if status == "pass":
                assert [block.status for block in result.blocks] == ["pass"]
            else:
                assert result.status != "pass"

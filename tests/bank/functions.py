"""Classic test functions of optimisation.

Most are from Moré, Garbow and Hillstrom (1981), "Testing unconstrained optimization software",
and from Surjanovic and Bingham's collection; the points are the customary starts or near by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .base import HELD_OUT, TUNING, Draft, family
from .ops import real
from .variants import inside_float32, jittered, offset, rescaled, with_unused

Scalar = Callable[[Any, Any], Any]


def classic(
    name: str,
    half: str,
    *points: Sequence[float] | np.ndarray,
    kind: str = "smooth",
    extra: str = "",
) -> Callable[[Scalar], Scalar]:
    """Register f(x, xp) at some points; `extra` asks for variants of the first point."""

    def register(function: Scalar) -> Scalar:
        def f(p: Any, d: Any, xp: Any) -> Any:
            return function(p.x, xp)

        @family(name, half)
        def make(rng: np.random.Generator) -> Iterator[Draft]:
            for i, point in enumerate(points):
                yield Draft(f"{kind}-{i}", kind, f, {"x": np.array(point, float)})
            first = Draft("", kind, f, {"x": np.array(points[0], float)})
            if "offset" in extra:
                yield offset(first)
            if "scaled" in extra:
                yield rescaled(first, rng)
            if "float32" in extra:
                yield inside_float32(first)
            if "noisy" in extra:
                yield jittered(first, 10.0 ** rng.uniform(-12, -6))
            if "unused" in extra:
                yield with_unused(first, rng)

        return function

    return register


def spread(n: int, low: float, high: float) -> np.ndarray:
    """Points without pattern or symmetry: multiples of the golden ratio, folded."""
    folded: np.ndarray = np.mod(np.arange(1, n + 1) * 0.6180339887498949, 1.0)
    return low + (high - low) * folded


@classic(
    "rosenbrock",
    TUNING,
    [-1.2, 1.0],
    spread(10, -2, 2),
    spread(100, -1, 1),
    spread(1000, -1, 1),
    extra="offset",
)
def rosenbrock(x: Any, xp: Any) -> Any:
    return xp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@classic("beale", HELD_OUT, [1.0, 0.8], [-3.1, 0.4], extra="offset")
def beale(x: Any, xp: Any) -> Any:
    a, b = x[0], x[1]
    return sum((c - a * (1 - b ** (i + 1))) ** 2 for i, c in enumerate((1.5, 2.25, 2.625)))


@classic("himmelblau", TUNING, [0.5, -1.5], [3.0, 2.1])
def himmelblau(x: Any, xp: Any) -> Any:
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


@classic("branin", HELD_OUT, [2.5, 7.5], [-3.0, 12.0])
def branin(x: Any, xp: Any) -> Any:
    inner = x[1] - 0.129 * x[0] ** 2 + 1.59 * x[0] - 6
    return inner**2 + 9.6 * xp.cos(x[0]) + 10


@classic("goldstein-price", TUNING, [0.3, -0.7], [1.7, 0.3])
def goldstein_price(x: Any, xp: Any) -> Any:
    a, b = x[0], x[1]
    first = 19 - 14 * a + 3 * a**2 - 14 * b + 6 * a * b + 3 * b**2
    second = 18 - 32 * a + 12 * a**2 + 48 * b - 36 * a * b + 27 * b**2
    return (1 + (a + b + 1) ** 2 * first) * (30 + (2 * a - 3 * b) ** 2 * second)


@classic("ackley", HELD_OUT, [1.0, -2.0, 0.5], spread(20, -3, 3))
def ackley(x: Any, xp: Any) -> Any:
    root = xp.sqrt(xp.mean(x**2))
    return -20 * xp.exp(-0.2 * root) - xp.exp(xp.mean(xp.cos(2 * np.pi * x))) + 20 + np.e


@classic("rastrigin", TUNING, spread(12, -5, 5), extra="noisy float32")
def rastrigin(x: Any, xp: Any) -> Any:
    return 10 * x.size + xp.sum(x**2 - 10 * xp.cos(2 * np.pi * x))


@classic("griewank", HELD_OUT, spread(8, -6, 6), spread(5, -300, 300), extra="unused")
def griewank(x: Any, xp: Any) -> Any:
    root = np.sqrt(np.arange(1.0, x.size + 1))
    return 1 + xp.sum(x**2) / 4000 - xp.prod(xp.cos(x / root))


@classic("styblinski-tang", HELD_OUT, spread(30, -4, 4), extra="float32")
def styblinski_tang(x: Any, xp: Any) -> Any:
    return 0.5 * xp.sum(x**4 - 16 * x**2 + 5 * x)


@classic("levy", TUNING, spread(6, -8, 8))
def levy(x: Any, xp: Any) -> Any:
    w = 1 + (x - 1) / 4
    middle = (w[:-1] - 1) ** 2 * (1 + 10 * xp.sin(np.pi * w[:-1] + 1) ** 2)
    last = (w[-1] - 1) ** 2 * (1 + xp.sin(2 * np.pi * w[-1]) ** 2)
    return xp.sin(np.pi * w[0]) ** 2 + xp.sum(middle) + last


@classic("michalewicz", HELD_OUT, spread(6, 0.3, 2.9), kind="curvature")
def michalewicz(x: Any, xp: Any) -> Any:
    return -xp.sum(xp.sin(x) * xp.sin(np.arange(1, x.size + 1) * x**2 / np.pi) ** 20)


@classic("zakharov", TUNING, spread(9, -1, 1), spread(9, -5, 10), extra="scaled")
def zakharov(x: Any, xp: Any) -> Any:
    s = xp.sum(0.5 * np.arange(1, x.size + 1) * x)
    return xp.sum(x**2) + s**2 + s**4


@classic("powell-singular", HELD_OUT, [3.0, -1.0, 0.0, 1.0], [0.01, 0.02, -0.01, 0.003])
def powell_singular(x: Any, xp: Any) -> Any:
    near, far = (x[1] - 2 * x[2]) ** 4, 10 * (x[0] - x[3]) ** 4
    return (x[0] + 10 * x[1]) ** 2 + 5 * (x[2] - x[3]) ** 2 + near + far


@classic("helical-valley", TUNING, [-1.0, 0.2, 0.3], [0.6, 0.9, -2.0])
def helical_valley(x: Any, xp: Any) -> Any:
    turn = xp.arctan(x[1] / x[0]) / (2 * np.pi) + (0.5 if real(x[0]) < 0 else 0.0)
    return (
        100 * (x[2] - 10 * turn) ** 2 + 100 * (xp.sqrt(x[0] ** 2 + x[1] ** 2) - 1) ** 2 + x[2] ** 2
    )


@classic("wood", HELD_OUT, [-3.0, -1.0, -3.0, -1.0], [0.4, 1.2, 0.9, 0.7])
def wood(x: Any, xp: Any) -> Any:
    a, b, c, d = x[0], x[1], x[2], x[3]
    one = 100 * (b - a**2) ** 2 + (1 - a) ** 2 + 90 * (d - c**2) ** 2 + (1 - c) ** 2
    return one + 10 * (b + d - 2) ** 2 + 0.1 * (b - d) ** 2


@classic("brown-badly-scaled", TUNING, [1.0, 1.0], [9.0e5, 2.5e-6], kind="scaled")
def brown_badly_scaled(x: Any, xp: Any) -> Any:
    return (x[0] - 1e6) ** 2 + (x[1] - 2e-6) ** 2 + (x[0] * x[1] - 2) ** 2


@classic("powell-badly-scaled", HELD_OUT, [1.2e-5, 8.5], [0.01, 1.0], kind="scaled")
def powell_badly_scaled(x: Any, xp: Any) -> Any:
    return (1e4 * x[0] * x[1] - 1) ** 2 + (xp.exp(-x[0]) + xp.exp(-x[1]) - 1.0001) ** 2


@classic("trigonometric", TUNING, np.full(8, 0.125) + spread(8, 0, 0.5))
def trigonometric(x: Any, xp: Any) -> Any:
    n = x.size
    i = np.arange(1, n + 1)
    return xp.sum((n - xp.sum(xp.cos(x)) + i * (1 - xp.cos(x)) - xp.sin(x)) ** 2)


@classic("broyden-tridiagonal", HELD_OUT, spread(40, -1.5, 0.5))
def broyden_tridiagonal(x: Any, xp: Any) -> Any:
    zero = np.zeros(1)
    left, right = xp.concatenate([zero, x[:-1]]), xp.concatenate([x[1:], zero])
    return xp.sum(((3 - 2 * x) * x - left - 2 * right + 1) ** 2)


@classic("penalty", TUNING, np.arange(1.0, 11.0), extra="unused")
def penalty(x: Any, xp: Any) -> Any:
    return 1e-5 * xp.sum((x - 1) ** 2) + (xp.sum(x**2) - 0.25) ** 2


@classic("biggs-exp6", HELD_OUT, [1.0, 2.0, 1.0, 1.0, 1.0, 1.0], [1.2, 9.0, 0.9, 5.2, 4.1, 2.8])
def biggs_exp6(x: Any, xp: Any) -> Any:
    t = 0.1 * np.arange(1, 14)
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    fit = x[2] * xp.exp(-t * x[0]) - x[3] * xp.exp(-t * x[1]) + x[5] * xp.exp(-t * x[4])
    return xp.sum((fit - y) ** 2)


@classic("box-3d", TUNING, [0.0, 10.0, 20.0], [0.9, 11.0, 1.3])
def box_3d(x: Any, xp: Any) -> Any:
    t = 0.1 * np.arange(1, 11)
    last = x[2] * (np.exp(-t) - np.exp(-10 * t))
    return xp.sum((xp.exp(-t * x[0]) - xp.exp(-t * x[1]) - last) ** 2)


@classic("meyer", HELD_OUT, [0.02, 4000.0, 250.0], [0.0056, 6181.0, 345.0], kind="scaled")
def meyer(x: Any, xp: Any) -> Any:
    t = 45 + 5.0 * np.arange(1, 17)
    y = 0.0056 * np.exp(6181.0 / (t + 345.2)) * (1 + 0.01 * np.cos(t))
    return xp.sum((x[:1] * xp.exp(x[1:2] / (t + x[2:])) - y) ** 2)


@classic("chebyquad", TUNING, spread(7, 0, 1))
def chebyquad(x: Any, xp: Any) -> Any:
    y = 2 * x - 1
    before, now, total = np.ones(x.size), y, 0.0
    for i in range(1, x.size + 1):
        total = total + (xp.mean(now) - (0.0 if i % 2 else -1.0 / (i * i - 1))) ** 2
        before, now = now, 2 * y * now - before
    return total


@classic("brown-almost-linear", HELD_OUT, spread(10, 0.4, 1.6), extra="float32")
def brown_almost_linear(x: Any, xp: Any) -> Any:
    return xp.sum((x[:-1] + xp.sum(x) - (x.size + 1)) ** 2) + (xp.prod(x) - 1) ** 2


@classic("freudenstein-roth", TUNING, [0.5, -2.0], [11.0, -0.9], extra="noisy")
def freudenstein_roth(x: Any, xp: Any) -> Any:
    first = -13 + x[0] + ((5 - x[1]) * x[1] - 2) * x[1]
    return first**2 + (-29 + x[0] + ((x[1] + 1) * x[1] - 14) * x[1]) ** 2


@classic("jennrich-sampson", HELD_OUT, [0.3, 0.4], [0.25, 0.26])
def jennrich_sampson(x: Any, xp: Any) -> Any:
    i = np.arange(1, 11)
    return xp.sum((2 + 2 * i - (xp.exp(i * x[0]) + xp.exp(i * x[1]))) ** 2)


@classic("boundary-value", TUNING, spread(25, -0.3, 0.3), extra="offset")
def boundary_value(x: Any, xp: Any) -> Any:
    h = 1 / (x.size + 1)
    zero = np.zeros(1)
    t = h * np.arange(1, x.size + 1)
    left, right = xp.concatenate([zero, x[:-1]]), xp.concatenate([x[1:], zero])
    return xp.sum((2 * x - left - right + h**2 * (x + t + 1) ** 3 / 2) ** 2)


@classic("six-hump-camel", HELD_OUT, [1.1, -0.6], extra="noisy")
def six_hump_camel(x: Any, xp: Any) -> Any:
    a, b = x[0], x[1]
    return (4 - 2.1 * a**2 + a**4 / 3) * a**2 + a * b + (4 * b**2 - 4) * b**2


@classic("easom", TUNING, [2.7, 3.9], [1.0, 1.5])
def easom(x: Any, xp: Any) -> Any:
    bell = xp.exp(-((x[0] - np.pi) ** 2) - (x[1] - np.pi) ** 2)
    return -xp.cos(x[0]) * xp.cos(x[1]) * bell


@classic("schwefel", HELD_OUT, spread(10, 20, 480), extra="scaled")
def schwefel(x: Any, xp: Any) -> Any:
    return 418.9829 * x.size - xp.sum(x * xp.sin(xp.sqrt(x)))


@classic("hartmann", TUNING, [0.3, 0.55, 0.8])
def hartmann(x: Any, xp: Any) -> Any:
    a = np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]])
    centre = np.array(
        [
            [0.3689, 0.117, 0.2673],
            [0.4699, 0.4387, 0.747],
            [0.1091, 0.8732, 0.5547],
            [0.03815, 0.5743, 0.8828],
        ]
    )
    return -xp.sum(np.array([1, 1.2, 3, 3.2]) * xp.exp(-xp.sum(a * (x - centre) ** 2, axis=1)))


@classic("shekel", HELD_OUT, [3.2, 4.4, 4.1, 3.7])
def shekel(x: Any, xp: Any) -> Any:
    centre = np.array([[4.0] * 4, [1.0] * 4, [8.0] * 4, [6.0] * 4, [3.0, 7.0, 3.0, 7.0]])
    width = np.array([0.1, 0.2, 0.2, 0.4, 0.4])
    return -xp.sum(1 / (xp.sum((x - centre) ** 2, axis=1) + width))


@classic("watson", TUNING, spread(6, -0.5, 0.5))
def watson(x: Any, xp: Any) -> Any:
    t = np.arange(1, 30)[:, None] / 29
    j = np.arange(x.size)
    slope = (j[1:] * t ** (j[1:] - 1)) @ x[1:]
    rest = slope - ((t**j) @ x) ** 2 - 1
    return xp.sum(rest**2) + x[0] ** 2 + (x[1] - x[0] ** 2 - 1) ** 2

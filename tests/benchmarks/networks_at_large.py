"""Networks and functions of any size, each with its exact gradient written by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

Arrays = dict[str, np.ndarray]
Rng = np.random.Generator
Mistake = Callable[[Arrays, Arrays], Arrays]
"""A wrong gradient from the right one and the parameters."""
Flat = tuple[Callable[[np.ndarray], float], Callable[[np.ndarray], np.ndarray]]


class Subject:
    """A loss, the parameters, and a claimed gradient: the exact one unless `mistake` spoils it."""

    def __init__(
        self,
        params: Arrays,
        value: Callable[[Arrays], float],
        exact: Callable[[Arrays], Arrays],
        mistake: Mistake | None = None,
    ) -> None:
        self.params, self.value, self.exact, self.mistake = params, value, exact, mistake

    @property
    def size(self) -> int:
        return sum(values.size for values in self.params.values())

    def loss(self) -> float:
        return self.value(self.params)

    def grads(self) -> Arrays:
        exact = self.exact(self.params)
        return self.mistake(exact, self.params) if self.mistake else exact

    def wrong(self, mistake: Mistake) -> Subject:
        """The same with another claim."""
        return Subject(self.params, self.value, self.exact, mistake)


def network(
    widths: Sequence[int], *, batch: int, activation: str, seed: int, decay: float = 1e-4
) -> Subject:
    """Cross-entropy and L2 of a fully connected network on random inputs and labels.

    He's initialisation for "relu", Xavier's for "tanh"; biases of standard deviation 0.1, as a
    few steps of training would leave them.
    """
    rng, params, pairs = np.random.default_rng(seed), {}, list(pairwise(widths))
    for i, (fan_in, fan_out) in enumerate(pairs, 1):
        variance = 2 / fan_in if activation == "relu" else 2 / (fan_in + fan_out)
        params[f"W{i}"] = rng.standard_normal((fan_in, fan_out)) * np.sqrt(variance)
        params[f"b{i}"] = 0.1 * rng.standard_normal(fan_out)
    inputs = rng.standard_normal((batch, widths[0]))
    labels, samples = rng.integers(0, widths[-1], batch), np.arange(batch)
    last = len(pairs)

    def forward(p: Arrays) -> tuple[list[np.ndarray], np.ndarray]:
        layers = [inputs]
        for i in range(1, last + 1):
            z = layers[-1] @ p[f"W{i}"]
            z += p[f"b{i}"]
            if i < last:
                np.tanh(z, out=z) if activation == "tanh" else np.maximum(z, 0.0, out=z)
            layers.append(z)
        z = layers.pop()
        z -= z.max(axis=1, keepdims=True)
        return layers, z

    def value(p: Arrays) -> float:
        _, z = forward(p)
        entropy = np.mean(np.log(np.exp(z).sum(axis=1)) - z[samples, labels])
        squares = sum(float(np.vdot(p[f"W{i}"], p[f"W{i}"])) for i in range(1, last + 1))
        return float(entropy + decay / 2 * squares)

    def exact(p: Arrays) -> Arrays:
        layers, delta = forward(p)
        delta = np.exp(delta)
        delta /= delta.sum(axis=1, keepdims=True)
        delta[samples, labels] -= 1.0
        delta /= batch
        found: Arrays = {}
        for i in range(last, 0, -1):
            found[f"b{i}"] = delta.sum(axis=0)
            found[f"W{i}"] = layers[i - 1].T @ delta
            found[f"W{i}"] += decay * p[f"W{i}"]
            if i > 1:
                a = layers[i - 1]
                delta = delta @ p[f"W{i}"].T
                delta *= 1 - a * a if activation == "tanh" else a > 0
        return {name: found[name] for name in p}

    return Subject(params, value, exact)


def in_pieces(subject: Subject, count: int) -> Subject:
    """The same function with its parameters under `count` names, as pieces of one vector."""
    flat = np.concatenate([values.reshape(-1) for values in subject.params.values()])
    ends = np.cumsum([values.size for values in subject.params.values()])[:-1]
    shapes = {name: values.shape for name, values in subject.params.items()}
    views = {
        name: part.reshape(shape)
        for (name, shape), part in zip(shapes.items(), np.split(flat, ends), strict=True)
    }

    def exact(_: Arrays) -> Arrays:
        whole = np.concatenate([values.reshape(-1) for values in subject.exact(views).values()])
        return _named(np.array_split(whole, count))

    return Subject(_named(np.array_split(flat, count)), lambda _: subject.value(views), exact)


def _named(parts: Sequence[np.ndarray]) -> Arrays:
    return {f"p{i}": part for i, part in enumerate(parts)}


def function(family: str, rng: Rng, size: int) -> Subject:
    """A function of `family` with about `size` parameters, in blocks of different shapes."""
    return FAMILIES[family](rng, size)


def _cut(flat: Callable[[Rng, int], Flat]) -> Callable[[Rng, int], Subject]:
    """A function of one vector as one of a matrix, a vector, a tiny block and a scalar.

    Each is scaled by a power of ten of its own, so that their gradients are apart.
    """

    def build(rng: Rng, size: int) -> Subject:
        tiny, columns = int(rng.integers(2, 9)), int(rng.integers(3, 1 + int(size**0.5)))
        rows = max(2, int(size * rng.uniform(0.3, 0.8)) // columns)
        rest = max(4, size - rows * columns - tiny - 1)
        shapes = {"A": (rows, columns), "v": (rest,), "tiny": (tiny,), "s": ()}
        scale = {name: 10 ** rng.uniform(-2, 2) for name in shapes}
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
        value, gradient = flat(rng, int(ends[-1]))

        def joined(p: Arrays) -> np.ndarray:
            return np.concatenate([scale[name] * p[name].reshape(-1) for name in p])

        def exact(p: Arrays) -> Arrays:
            parts = np.split(gradient(joined(p)), ends[:-1])
            named = zip(p, parts, strict=True)
            return {name: scale[name] * part.reshape(shapes[name]) for name, part in named}

        params = {n: np.array(rng.standard_normal(s) / scale[n]) for n, s in shapes.items()}
        return Subject(params, lambda p: value(joined(p)), exact)

    return build


def _quadratic(rng: Rng, n: int) -> Flat:
    a, c = 10 ** rng.uniform(-1, 1, n), rng.standard_normal(n)
    return (lambda x: float(np.mean(a * (x - c) ** 2)), lambda x: 2 * a * (x - c) / n)


def _valley(_: Rng, n: int) -> Flat:
    """Rosenbrock's chain."""

    def gradient(x: np.ndarray) -> np.ndarray:
        g, bend = np.zeros(n), x[1:] - x[:-1] ** 2
        g[1:] += 20 * bend
        g[:-1] += -40 * bend * x[:-1] - 2 * (1 - x[:-1])
        return g / n

    def value(x: np.ndarray) -> float:
        return float(np.sum(10 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2) / n)

    return value, gradient


def _soft_maximum(rng: Rng, n: int) -> Flat:
    a = rng.standard_normal(n)

    def weights(x: np.ndarray) -> tuple[np.ndarray, float]:
        z = a * x
        top = float(z.max())
        return np.exp(z - top), top

    def value(x: np.ndarray) -> float:
        w, top = weights(x)
        return float(np.log(w.sum())) + top

    def gradient(x: np.ndarray) -> np.ndarray:
        w, _ = weights(x)
        return a * w / w.sum()

    return value, gradient


def _robust(rng: Rng, n: int) -> Flat:
    c = rng.standard_normal(n)
    return (
        lambda x: float(np.mean(np.log1p((x - c) ** 2))),
        lambda x: 2 * (x - c) / (1 + (x - c) ** 2) / n,
    )


def _waves(rng: Rng, n: int) -> Flat:
    w = rng.uniform(0.2, 3, n)

    def gradient(x: np.ndarray) -> np.ndarray:
        s, c = np.sin(w * x), np.cos(w * x)
        return w * (c * np.roll(c, 1) - s * np.roll(s, -1)) / n

    return (lambda x: float(np.mean(np.sin(w * x) * np.roll(np.cos(w * x), 1))), gradient)


def _factorisation(rng: Rng, size: int) -> Subject:
    rank = int(rng.integers(2, 9))
    rows = int(rng.integers(10, 31))
    columns = max(10, size // rank - rows)
    target = rng.standard_normal((rows, columns))
    params = {
        "U": rng.standard_normal((rows, rank)),
        "V": rng.standard_normal((rank, columns)),
        "mean": np.array(0.3),
    }

    def exact(p: Arrays) -> Arrays:
        rest = (p["U"] @ p["V"] + p["mean"] - target) / target.size
        return {"U": rest @ p["V"].T, "V": p["U"].T @ rest, "mean": np.array(rest.sum())}

    def value(p: Arrays) -> float:
        return float(0.5 * np.mean((p["U"] @ p["V"] + p["mean"] - target) ** 2))

    return Subject(params, value, exact)


def _embedding(rng: Rng, size: int) -> Subject:
    """Of most rows of the table the loss knows nothing: their gradient is zero."""
    width = int(rng.integers(4, 33))
    table, words = max(8, size // width), rng.integers(0, max(8, size // width), 64)
    goal = rng.standard_normal((64, 3))
    params = {
        "table": rng.standard_normal((table, width)),
        "W": rng.standard_normal((width, 3)) / width**0.5,
        "b": 0.1 * rng.standard_normal(3),
    }

    def value(p: Arrays) -> float:
        return float(np.mean(np.log(np.cosh(p["table"][words] @ p["W"] + p["b"] - goal))))

    def exact(p: Arrays) -> Arrays:
        seen = p["table"][words]
        slope = np.tanh(seen @ p["W"] + p["b"] - goal) / goal.size
        found = np.zeros_like(p["table"])
        np.add.at(found, words, slope @ p["W"].T)
        return {"table": found, "W": seen.T @ slope, "b": slope.sum(axis=0)}

    return Subject(params, value, exact)


def _layers(activation: str) -> Callable[[Rng, int], Subject]:
    """Two hidden layers; no samples to spare, as speed matters here."""

    def build(rng: Rng, size: int) -> Subject:
        hidden = max(8, int(size**0.5 / 1.3))
        widths = [hidden, hidden, max(4, hidden // 2), int(rng.integers(2, 11))]
        seed = int(rng.integers(2**32))
        return network(widths, batch=8, activation=activation, seed=seed, decay=1e-3)

    return build


FAMILIES: dict[str, Callable[[Rng, int], Subject]] = {
    "quadratic": _cut(_quadratic),
    "Rosenbrock's valley": _cut(_valley),
    "log-sum-exp": _cut(_soft_maximum),
    "Student's t": _cut(_robust),
    "waves": _cut(_waves),
    "factorisation": _factorisation,
    "embedding": _embedding,
    "tanh network": _layers("tanh"),
    "ReLU network": _layers("relu"),
}

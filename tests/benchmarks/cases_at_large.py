"""The network of a million parameters: what is wrong with its gradient, and who says what of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from mutants_at_large import plus
from networks_at_large import Arrays, Mistake, Rng, Subject, network
from peers import PEERS, Question, Verdict, alarm
from sparse_at_large import Index, told, within

from pytest_gradcheck import Result, check

WIDTHS = (784, 1000, 200, 10)
BATCH = 256
DECAY = 1e-4
ACTIVATIONS = ("tanh", "relu")
PATIENCE = 1_000
"""Evaluations after which a peer is stopped."""


@dataclass(frozen=True)
class Expected:
    """A mistake, and what a perfect report of it lists."""

    mistake: Mistake | None
    entries: set[Index] = field(default_factory=set)
    regions: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Case:
    """A kind of mistake, with the goal of issue 4 and what a throw-away prototype had."""

    name: str
    make: Callable[[Rng, Arrays], Expected]
    goal: str = ""
    prototype: str = ""


@dataclass(frozen=True)
class Outcome:
    """One check of a case."""

    evaluations: int
    seconds: float
    exact: bool
    status: str
    told: str


def one_entry(rng: Rng, g: Arrays) -> Expected:
    (at,) = _entries(rng, g, 1, least=0.0)
    by = 0.01 * _mean(g)
    return Expected(plus({at[0]: _spike(g, at, by)}), {at})


def ten_signs(rng: Rng, g: Arrays) -> Expected:
    entries = set(_entries(rng, g, 10, least=0.01 * _mean(g)))
    error: Arrays = {}
    for at in entries:
        error[at[0]] = error.get(at[0], 0.0) + _spike(g, at, -2 * g[at[0]][at[1]])
    return Expected(plus(error), entries)


def row_doubled(rng: Rng, g: Arrays) -> Expected:
    i = int(rng.integers(len(g["W1"])))
    return Expected(_changed("W1", np.s_[i, :], 2.0), regions={f"W1[{i}, :]"})


def no_decay(rng: Rng, g: Arrays) -> Expected:
    weights = [name for name in g if name.startswith("W")]

    def mistake(exact: Arrays, params: Arrays) -> Arrays:
        return {k: exact[k] - DECAY * params[k] if k in weights else exact[k] for k in exact}

    return Expected(mistake, regions={f"all of {name}" for name in weights})


def column_missing(rng: Rng, g: Arrays) -> Expected:
    norms = np.linalg.norm(g["W2"], axis=0)
    j = int(rng.choice(np.flatnonzero(norms >= np.median(norms))))  # of a unit that is alive
    return Expected(_changed("W2", np.s_[:, j], 0.0), regions={f"W2[:, {j}]"})


def bias_missing(rng: Rng, g: Arrays) -> Expected:
    return Expected(_changed("b2", np.s_[:], 0.0), regions={"all of b2"})


CASES = (
    Case("correct gradient", lambda _, __: Expected(None), "≤ 40", "29, lower confidence"),
    Case("one entry wrong by 1 % of the mean of abs(g)", one_entry, "≤ 80, exact", "115"),
    Case("ten entries with wrong sign", ten_signs, "≤ 400, all exact", "629"),
    Case("one row of W1 doubled", row_doubled, "≤ 150, as that row", "645"),
    Case("L2 term forgotten", no_decay, "≤ 150, as whole blocks", "463"),
    Case("one column of W2 never written", column_missing),
    Case("b2 never written", bias_missing),
)


def _mean(g: Arrays) -> float:
    total = sum(float(np.abs(values).sum()) for values in g.values())
    return total / sum(values.size for values in g.values())


def _entries(rng: Rng, g: Arrays, count: int, least: float) -> list[Index]:
    """Some of all entries whose gradient is of at least this size."""
    flat = np.concatenate([values.reshape(-1) for values in g.values()])
    chosen, found = rng.choice(np.flatnonzero(np.abs(flat) >= least), count, replace=False), []
    for i in chosen:
        rest = int(i)
        for name, values in g.items():
            if rest < values.size:
                index = np.unravel_index(rest, values.shape)
                found.append((name, tuple(int(k) for k in index)))
                break
            rest -= values.size
    return found


def _spike(g: Arrays, at: Index, by: float) -> np.ndarray:
    error = np.zeros_like(g[at[0]])
    error[at[1]] = by
    return error


def _changed(name: str, where: object, factor: float) -> Mistake:
    def mistake(exact: Arrays, _: Arrays) -> Arrays:
        part = exact[name].copy()
        part[where] *= factor  # type: ignore[index]
        return exact | {name: part}

    return mistake


def subject_of(activation: str, case: Case, seed: int) -> tuple[Subject, Expected]:
    """The network and the case's mistake in it."""
    subject = network(WIDTHS, batch=BATCH, activation=activation, seed=seed, decay=DECAY)
    rng = np.random.default_rng([4, seed, CASES.index(case)])
    expected = case.make(rng, subject.grads())
    return (subject.wrong(expected.mistake) if expected.mistake else subject), expected


def run_case(subject: Subject, expected: Expected, seed: int) -> tuple[Outcome, Result]:
    """One check, at the defaults but for the length of the list."""
    result = check(subject, mode="probe", seed=seed, worst=20)
    entries, regions = told(result)
    shapes = {name: values.shape for name, values in subject.params.items()}
    examples = entries - expected.entries
    for region in expected.regions:
        name, where = within(region, shapes)
        inside = np.zeros(shapes[name], dtype=bool)
        inside[where] = True
        examples = {at for at in examples if at[0] != name or not inside[at[1]]}
    exact = entries >= expected.entries and set(regions) == expected.regions and not examples
    if expected.mistake is None:
        exact = exact and result.status == "pass"
    names = ", ".join(finding.name for finding in result.findings)
    what = f"{len(entries)} entries, regions {sorted(regions)}, findings {names or 'none'}"
    return Outcome(result.evaluations, result.seconds, exact, result.status, what), result


def scipy_random(question: Question) -> bool:
    """Along one random direction; the verdict is left to the reader: 1e-6 of the gradient."""
    from scipy.optimize import check_grad

    error = check_grad(
        question.of_vector,
        lambda _: question.gradient,
        question.point,
        direction="random",
        rng=np.random.default_rng(0),
    )
    return not error <= 1e-6 * max(1.0, float(np.linalg.norm(question.gradient)))


AT_LARGE = {
    '`scipy.optimize.check_grad`, `direction="random"`': scipy_random,
    "`torch.autograd.gradcheck`, `fast_mode=True`": PEERS["the same, `fast_mode=True`"],
    "`jax.test_util.check_grads`": PEERS["`jax.test_util.check_grads`"],
    "`autograd.test_util.check_grads`": PEERS["`autograd.test_util.check_grads`"],
}
"""The peers that look along random directions, and so can be asked at this size."""


class TooLongError(Exception):
    """A peer that goes on to measure every entry."""


def ask(subject: Subject) -> dict[str, Verdict]:
    """What the peers say of a claim; none is left to measure every entry."""
    claimed = subject.grads()
    return {
        name: alarm(peer, _limited(subject.value), claimed, subject.params)
        for name, peer in AT_LARGE.items()
    }


def _limited(value: Callable[[Arrays], float]) -> Callable[[Arrays], float]:
    count = iter(range(PATIENCE))

    def limited(params: Arrays) -> float:
        if next(count, None) is None:
            raise TooLongError
        return value(params)

    return limited

"""The calibration bank is only worth something if its exact gradients are exact."""

from __future__ import annotations

import zlib
from collections import Counter

import mpmath as mp
import numpy as np
import pytest
from bank import KINDS, Case, cases, special
from bank.base import (
    FINAL,
    FRESH,
    HELD_OUT,
    OPTIMA,
    TUNING,
    WIDE_IS_WIDER,
    Arrays,
    Draft,
    build,
    drafts,
)
from bank.mutants import relative_error

from pytest_gradcheck import check

DRAFTS = list(drafts(None, None))
KINKED = [draft for draft in DRAFTS if draft[-1].kind == "kink-at"]
SMOOTH_NEARBY = [
    draft for draft in DRAFTS if "kink" not in draft[-1].kind and draft[1] != OPTIMA
]  # where the gradient is much the same a little away
STEP = 1e-30


def label(draft: tuple[str, str, Draft]) -> str:
    family, half, own = draft
    return f"{half}-{family}/{own.variant}"


@pytest.fixture(scope="module", params=DRAFTS, ids=label)
def case(request: pytest.FixtureRequest) -> Case:
    """Each case in turn, built once for all tests of it: that takes longer than they do."""
    return build(*request.param)


def named(case: Case) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(case.name.encode()))


def beside(case: Case, far: float) -> Arrays:
    """The parameters of a case moved at random, each relative to itself; off every kink."""
    rng = named(case)
    return {
        k: (v + far * (np.abs(v) + (v == 0) * bool(case.kinks)) * rng.normal(size=v.shape)).astype(
            v.dtype
        )
        for k, v in case.params.items()
    }


def of_its_terms(case: Case, grads: Arrays) -> Arrays:
    """A gradient of the size of its terms: further off, where they cancel beside an optimum."""
    return case.grads(beside(case, 0.1)) if is_fitted(case) else grads


def is_fitted(case: Case) -> bool:
    return case.half == OPTIMA


def complex_step(case: Case, direction: Arrays, at: Arrays | None = None) -> tuple[float, float]:
    """Squire and Trapp's derivative: no subtraction, so no cancellation. With its rounding error,
    from what changes between double and long double.
    """
    params = case.params if at is None else at

    def along(wide: type, step: float) -> float:
        moved = {k: v.astype(wide) + 1j * step * direction[k] for k, v in params.items()}
        assert case.ideal is not None
        return np.imag(case.ideal(moved)) / step

    best, rough = along(np.clongdouble, STEP), along(np.complex128, STEP)
    return best, float(abs(best - rough)) / (64 if WIDE_IS_WIDER else 1)


def test_exact_gradient(case: Case) -> None:
    rng = named(case)
    flat = [(k, i) for k, v in case.params.items() for i in np.ndindex(v.shape)]
    for k, i in (flat[j] for j in rng.permutation(len(flat))[:25]):
        if k in case.kinks and case.kinks[k][i]:
            continue
        direction = {n: np.zeros(v.shape) for n, v in case.params.items()}
        direction[k][i] = 1.0
        got, error = complex_step(case, direction)
        off = abs(got - case.exact[k][i])
        assert off <= 1.01 * (case.exact_error[k][i] + error), (k, i, got, case.exact[k][i])
    if not any(mask.any() for mask in case.kinks.values()):
        direction = {k: rng.choice([-1.0, 1.0], v.shape) for k, v in case.params.items()}
        wide = {k: g.astype(np.longdouble) for k, g in case.exact.items()}
        expected = sum(np.sum(direction[k] * g) for k, g in wide.items())
        bound = sum(np.sum(e) for e in case.exact_error.values())
        got, error = complex_step(case, direction)
        assert abs(got - expected) <= 1.01 * (bound + error)


def test_the_claim_is_exact_at_the_point(case: Case) -> None:
    claimed = case.grads(case.params)
    for k, g in case.exact.items():
        assert claimed[k].dtype == g.dtype and claimed[k].tobytes() == g.tobytes()
        claimed[k] += 1  # a copy of its own
    assert case.grads(case.params)[k].tobytes() == g.tobytes()


def test_the_claim_follows_the_parameters(case: Case) -> None:
    """A little away it is the gradient there: of a sum over random signs, by complex steps."""
    rng = named(case)
    moved = beside(case, 1e-9 if case.kind == "near-singular" else 1e-4)  # inside its domain
    direction = {k: rng.choice([-1.0, 1.0], v.shape) for k, v in moved.items()}
    claimed = case.grads(moved)
    got = sum(np.sum(direction[k] * g.astype(np.longdouble)) for k, g in claimed.items())
    size = sum(np.sum(np.abs(g)) for g in of_its_terms(case, claimed).values())
    expected, error = complex_step(case, direction, moved)
    room = {"noisy": 1e-5, "float32-inside": 1e-4}.get(case.kind, 1e-9)
    assert abs(got - expected) <= room * size + 128 * error, (got, expected, error, size)


@pytest.mark.parametrize("case", KINKED, indirect=True, ids=label)
def test_kinks(case: Case) -> None:
    """One-sided differences in long double agree with the two slopes, the gradient is between."""
    assert any(mask.any() for mask in case.kinks.values())
    wide = {k: v.astype(np.longdouble) for k, v in case.params.items()}
    step = np.longdouble(1e-8)
    assert case.ideal is not None
    for k, v in wide.items():
        low, high = case.one_sided[k]
        for i in np.ndindex(v.shape):
            slopes = []
            for side in (-1, 1):
                moved = v.copy()
                moved[i] += side * step
                slopes.append(side * (case.ideal({**wide, k: moved}) - case.ideal(wide)) / step)
            room = 1e-6 * max(1.0, *map(abs, slopes))
            assert abs(min(slopes) - low[i]) < room and abs(max(slopes) - high[i]) < room
            assert case.kinks[k][i] == (abs(slopes[1] - slopes[0]) > 4 * room)
            error = case.exact_error[k][i]
            assert low[i] - error - 1e-9 <= case.exact[k][i] <= high[i] + error + 1e-9


def test_loss(case: Case) -> None:
    before = {k: v.tobytes() for k, v in case.params.items()}
    first = case.loss(case.params)
    assert isinstance(first, float) and np.isfinite(first)
    if not case.random:
        assert case.loss(case.params) == first
    assert before == {k: v.tobytes() for k, v in case.params.items()}
    assert case.ideal is not None
    ideal = float(case.ideal({k: v.astype(np.longdouble) for k, v in case.params.items()}))
    rough = {
        "noisy": 1e-5,
        "float32-inside": 1e-3,
        "near-singular": 1e-6,
        "large-sum": 1e-7,
        "scaled": 1e-8,
    }
    room = rough.get(case.kind, 1e-10)
    assert abs(first - ideal) <= room * max(abs(ideal), 1e-3), (first, ideal)
    rng = named(case)
    moved = {
        k: (v * (1 + 1e-9 * rng.normal(size=v.shape))).astype(v.dtype)
        for k, v in case.params.items()
    }
    ideal = float(case.ideal({k: v.astype(np.longdouble) for k, v in moved.items()}))
    assert abs(case.loss(moved) - ideal) <= room * max(abs(ideal), 1e-3)
    assert set(case.exact) == set(case.params) == set(case.exact_error)
    terms = of_its_terms(case, case.exact)
    for k, v in case.params.items():
        assert case.exact[k].shape == v.shape == case.exact_error[k].shape
        assert np.all(np.isfinite(case.exact[k]))
        room = {"noisy": 1e-5, "float32-inside": 1e-4}.get(case.kind, 1e-9)
        if case.name.endswith("claim"):
            room = 1.2e-7
        largest = np.max(np.abs(terms[k]), initial=0)
        assert np.max(case.exact_error[k], initial=0) <= room * largest + 1e-320, k


def test_probes_do_not_call_it_wrong(case: Case) -> None:
    params = {k: v.copy() for k, v in case.params.items()}
    result = check(loss=case.loss, grads=case.grads, params=params, mode="probe")
    assert [block.status for block in result.blocks] == ["pass"] * len(params)
    claimed = {"wrong-entry", "wrong-region", "unlocated", "not-finite", "imprecise"}
    assert result.status != "fail" and not claimed & {f.name for f in result.findings}


def test_series() -> None:
    """The series behind the ideal functions, against mpmath."""
    mp.mp.dps = 30
    for x in (0.02, 0.3, 1.7, 9.1):
        for ours, theirs in (
            (special.gammaln, mp.loggamma),
            (special.log_i0, lambda t: mp.log(mp.besseli(0, t))),
            (special.erf, mp.erf),
            (special.log_ndtr, lambda t: mp.log(mp.ncdf(t))),
        ):
            if x > 5 and ours in (special.erf, special.log_ndtr):
                continue
            exact = theirs(mp.mpf(x))
            got = mp.mpf(str(ours(np.longdouble(x), np)))
            assert abs(got - exact) <= (2e-17 if WIDE_IS_WIDER else 1e-14) * max(1, abs(exact))


def test_float32_is_inside() -> None:
    for case in cases(kind="float32-inside"):
        if case.name.endswith("claim"):
            continue
        rng, gaps = named(case), []
        assert case.ideal is not None
        for _ in range(8):
            moved = {
                k: (v * (1 + 1e-3 * rng.normal(size=v.shape))).astype(np.float32)
                for k, v in case.params.items()
            }
            ideal = float(case.ideal({k: v.astype(float) for k, v in moved.items()}))
            typed = {k: v.astype(case.params[k].dtype) for k, v in moved.items()}
            gaps.append(abs(case.loss(typed) - ideal) / abs(ideal))
        # a part that weighs a thousandth has a thousandth of the noise
        partly = case.family in ("single-data", "single-part")
        least = 1e-11 * (float(case.name.rsplit("-", 1)[1]) if partly else 1.0)
        assert least < max(gaps) < 1e-3, (case.name, gaps)


def test_mutants_are_wrong(case: Case) -> None:
    for mutant in case.mutants():
        claimed = mutant.grads(case.params)
        assert mutant.relative_error == relative_error(claimed, case.exact) > 0


@pytest.mark.parametrize("case", SMOOTH_NEARBY, indirect=True, ids=label)
def test_mutants_are_wrong_alike_a_little_away(case: Case) -> None:
    moved = beside(case, 1e-6 if case.kind == "float32-inside" else 1e-9)
    right = case.grads(moved)
    for mutant in case.mutants():
        if mutant.kind == "low-precision":  # another rounding a little away
            continue
        off = relative_error(mutant.grads(moved), right)
        assert 0.25 < off / mutant.relative_error < 4, (mutant.name, off, mutant.relative_error)


def test_a_mutant_is_the_same_mistake_anywhere() -> None:
    seen = set()
    for case in cases(TUNING, "smooth"):
        moved = beside(case, 0.1)
        here, there = case.exact, case.grads(moved)
        assert any(np.any(there[k] != here[k]) for k in here) or case.family == "wasserstein"
        for mutant in case.mutants():
            wrong_here, wrong_there = mutant.grads(case.params), mutant.grads(moved)
            seen.add(mutant.kind)
            for k in here:
                if mutant.kind in ("sign", "factor-2"):
                    factor = {"sign": -1, "factor-2": 2}[mutant.kind]
                    assert np.array_equal(wrong_there[k], factor * there[k])
                elif mutant.kind.startswith("one-entry"):
                    size = np.max(np.abs(there[k])) + np.max(np.abs(here[k]))
                    off = wrong_there[k] - there[k] - (wrong_here[k] - here[k])
                    assert np.max(np.abs(off)) <= 1e-15 * size
                elif mutant.kind == "wrong-l2":
                    rate = (wrong_here[k] - here[k]) * moved[k]
                    off = rate - (wrong_there[k] - there[k]) * case.params[k]
                    assert np.max(np.abs(off)) <= 1e-9 * np.max(np.abs(there[k] * moved[k]))
    assert {"sign", "factor-2", "wrong-l2", "one-entry-1e0"} <= seen


def test_there_are_mutants_of_many_kinds() -> None:
    kinds = Counter(mutant.kind for case in cases(TUNING) for mutant in case.mutants())
    assert kinds.total() >= 1000
    assert len(kinds) >= 20


def test_counts() -> None:
    parts = (TUNING, HELD_OUT, FRESH, FINAL)
    assert len({(family, d.variant) for family, _, d in DRAFTS}) == len(DRAFTS) >= 200
    kinds = Counter((d.kind, half) for _, half, d in DRAFTS)
    assert all(kinds[kind, half] >= 3 for kind in KINDS for half in parts)
    halves = {family: half for family, half, _ in DRAFTS}
    assert all(halves[family] == half for family, half, _ in DRAFTS)
    assert set(halves.values()) == {*parts, OPTIMA}
    for part in parts:
        assert sum(half == part for half in halves.values()) >= 60
        assert sum(half == part for _, half, _ in DRAFTS) >= 160

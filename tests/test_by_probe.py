"""What is told of a gradient that was probed: by what it is off, and what does not matter."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_gradcheck import Result, check
from pytest_gradcheck.core import by_probe
from pytest_gradcheck.core.by_probe import _beyond_tol, _cancel
from pytest_gradcheck.core.parameters import Parameter
from pytest_gradcheck.core.probed import Probed
from pytest_gradcheck.core.probing import Probing
from pytest_gradcheck.core.result import Finding
from pytest_gradcheck.settings import merge

SETTINGS = merge({})
TOL, FAIL = 1e-7, 1e-3


def block(name: str, claim: Any, corrected: Any = None, **more: Any) -> Probed:
    claimed = np.ravel(np.asarray(claim, float))
    believed = claimed if corrected is None else np.ravel(np.asarray(corrected, float))
    made = Probed(Parameter(name, np.ones(claimed.size)), claimed, believed, 1.0, 0.0, most=0.0)
    for key, value in more.items():
        setattr(made, key, value)
    return made


class TestWhatMatters:
    """Of what a search has found that is told which is seen beside `tol`."""

    @staticmethod
    def told(findings: list[Finding], *blocks: Probed) -> list[Finding]:
        probing: Any = SimpleNamespace(blocks=list(blocks), findings=findings)
        return _beyond_tol(probing, SETTINGS)

    @pytest.mark.parametrize(("error", "matters"), [(0.99, False), (1.01, True)])
    def test_a_region_of_a_parameter_that_is_off_by_more(self, error: float, matters: bool) -> None:
        off = block("W", [1.0], [1 - 2 * error * TOL], told=True)
        right = block("b", [1.0], told=True)
        finding = Finding("wrong-region", ("b", "W"), "", {})
        assert self.told([finding], right, off) == ([finding] if matters else [])
        assert off.told == right.told == matters

    @pytest.mark.parametrize(("error", "matters"), [(0.99, False), (1.01, True)])
    def test_the_end_of_a_search(self, error: float, matters: bool) -> None:
        wide = block("W", [1.0], error=2 * error * TOL, most=1.0)
        finding = Finding("search-ended", ("b", "W"), "", {})
        assert self.told([finding], block("b", [1.0]), wide) == ([finding] if matters else [])

    @pytest.mark.parametrize("times", [2.0, 0.5, 1.0 + 1e-9, 1.0])
    @pytest.mark.parametrize("of", ["gradient", "parameter"])
    def test_a_row_that_is_small_but_far_off(self, times: float, of: str) -> None:
        """Claimed is so many times measured, in a row that is nothing beside the others."""
        finding = Finding("wrong-region", ("W",), "", {"constant": 1 - 1 / times, "of": of})
        relative = abs(times - 1) / (times + 1)
        matters = of == "gradient" and relative > FAIL
        (one, told) = block("W", [1.0], told=True), matters
        assert bool(self.told([finding], one)) == told == one.told

    @pytest.mark.parametrize(("relative", "matters"), [(0.9995, False), (1.0005, True)])
    def test_by_more_than_fail(self, relative: float, matters: bool) -> None:
        for off in (relative * FAIL, -relative * FAIL):
            times = (1 + off) / (1 - off)
            finding = Finding(
                "wrong-region", ("W",), "", {"constant": 1 - 1 / times, "of": "gradient"}
            )
            assert bool(self.told([finding], block("W", [1.0]))) == matters

    def test_whatever_else_is_found(self) -> None:
        finding = Finding("unprobed", ("W",), "", {})
        one = block("W", [1.0], told=True)
        assert self.told([finding], one) == [finding]
        assert not one.told  # by its entries it is


class TestCancelled:
    """Parameters whose claim is a zero but for its rounding."""

    @staticmethod
    def cancelled(*blocks: Probed, rounding: float = 2.0**-24, scatters: bool = False) -> set[str]:
        probing: Any = SimpleNamespace(blocks=list(blocks))
        nearby: Any = SimpleNamespace(scatters=lambda i: scatters)
        return _cancel(probing, [rounding] * len(blocks), nearby)

    def test_are_small_beside_all_and_measured_as_nothing(self) -> None:
        whole = block("W", [3.0, 4.0])
        small = block("b", [5e-6], [0.0])
        assert self.cancelled(whole, small) == {"b"}
        assert small.negligible and not whole.negligible
        assert not self.cancelled(block("W", [3.0, 4.0]), block("b", [5e-6], [5e-6]))
        assert not self.cancelled(block("W", [3.0, 4.0]), block("b", [5e-2], [0.0]))
        assert not self.cancelled(block("W", [0.3, 0.4]), block("b", [5e-6], [0.0]))
        # what is no number is nothing to compare with
        assert not self.cancelled(block("W", [math.nan, 9.0]), block("b", [5e-6], [0.0]))

    def test_are_those_that_were_seen_to_vanish(self) -> None:
        vanishing = block("b", [5e-6], vanishes=True)
        assert self.cancelled(block("W", [3.0, 4.0]), vanishing) == {"b"}

    def test_are_those_of_any_size_that_vanish_and_scatter(self) -> None:
        for vanishes in (True, False):
            for scatters in (True, False):
                one = block("b", [5.0], vanishes=vanishes)
                found = self.cancelled(block("W", [3.0, 4.0]), one, scatters=scatters)
                assert found == ({"b"} if vanishes and scatters else set())
                assert one.negligible == bool(found)


N = 60
X = np.linspace(0.2, 1.4, N)


def probed(off: Any, **settings: Any) -> Result:
    """Of ``sum(sin(a) + sin(b))``, the claim of `a` off by so much."""
    return check(
        loss=lambda p: float(np.sum(np.sin(p["a"])) + np.sum(np.sin(p["b"]))),
        grads=lambda p: {"a": np.cos(p["a"]) + off, "b": np.cos(p["b"])},
        params={"a": X.copy(), "b": X.copy()},
        mode="probe",
        **settings,
    )


class TestUnlocated:
    """Errors that the search did not find, by the least size they have."""

    OFF = np.random.default_rng(0).normal(size=N)

    @pytest.mark.parametrize(
        ("size", "name", "status"), [(1e-2, "unlocated", "warn"), (1e-8, "imprecise", "pass")]
    )
    def test_are_told_with_it(self, size: float, name: str, status: str) -> None:
        result = probed(size * self.OFF, max_evaluations=30)
        (finding,) = (f for f in result.findings if f.name in ("unlocated", "imprecise"))
        least = finding.evidence["relative_error"]
        assert (finding.name, finding.where) == (name, ())
        assert f"(relative error of some parameter at least {least:.1e})" in finding.message
        claim = np.cos(X) + size * self.OFF
        own = size * np.linalg.norm(self.OFF)
        own /= np.linalg.norm(claim) + np.linalg.norm(np.cos(X))
        assert 0 < least <= own and result.status in (status, "fail")

    @pytest.mark.parametrize(
        ("error", "name"),
        [(0.0, None), (1e-12, "imprecise"), (0.99, "imprecise"), (1.01, "unlocated")],
    )
    def test_are_the_largest_of_any_group_shared_out_among_the_parameters(
        self, error: float, name: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of two parameters one has a relative error of so many times `tol`, at least.

        A norm of e in units of each parameter's gradient is one of e / sqrt(2) for one of them, and
        half of that relative to claimed and measured together.
        """
        size = error * TOL * 2 * math.sqrt(2)
        unlocated = [({"a"}, size / 2), ({"b"}, 1.0), ({"a", "b"}, size)]
        findings = [Finding("told", where, "") for where in (("b",), ("a", "b"), ())]

        class Known(Probing):
            def run(self) -> list[Probed]:
                self.unlocated, self.findings = unlocated, findings
                return super().run()

        monkeypatch.setattr(by_probe, "Probing", Known)
        monkeypatch.setattr(by_probe, "_cancel", lambda *_: {"b"})
        found = [f for f in probed(0.0).findings if f.name != "zero-gradient"]
        told = [f.where for f in found if f.name == "told"]
        assert told == [("a", "b"), ()]  # of a zero nothing is told
        assert [f.name for f in found if f.name != "told"] == ([name] if name else [])
        for finding in found:
            if finding.name != "told":
                assert finding.evidence["relative_error"] == pytest.approx(error * TOL)

    def test_say_what_may_be_done(self) -> None:
        (wrong,) = (f for f in probed(self.OFF, max_evaluations=30).findings if "loc" in f.name)
        assert wrong.message.startswith("the gradient is wrong (relative error")
        assert "the search did not find where. Allow it more with max_evaluations" in wrong.message
        (small,) = (
            f for f in probed(1e-8 * self.OFF, max_evaluations=30).findings if f.name == "imprecise"
        )
        assert small.message.startswith("the gradient is not exact (relative error")
        assert "which tol=1e-07 allows; where was not searched further" in small.message

    def test_are_none_where_the_gradient_is_right_or_found_wrong(self) -> None:
        assert not probed(0.0).findings
        assert not {f.name for f in probed(np.eye(1, N, 7)[0]).findings} & {
            "unlocated",
            "imprecise",
        }


class TestKinks:
    def test_are_avoided_at_a_point_beside_and_told_with_its_distance(self) -> None:
        x = np.full(N, 0.5)
        calls = []

        def loss(p: np.ndarray) -> float:
            calls.append(p.copy())
            return float(np.sum(np.maximum(p - 0.5, 0.0) + np.sin(p)))

        result = check(loss=loss, grads=lambda p: (p > 0.5) + np.cos(p), params=x, mode="probe")
        (kink,) = result.findings
        assert (kink.name, result.status) == ("kink", "pass")
        assert kink.evidence["displacement"] > 0
        assert f"moved by {kink.evidence['displacement']:g} of the parameters' size" in kink.message
        assert kink.message.endswith('Accept it with allow=["kink"]')
        assert np.array_equal(x, np.full(N, 0.5))
        assert result.evaluations == len(calls)


@pytest.mark.parametrize(("size", "asked"), [(0.5e-6, [1]), (2e-6, [])])
def test_below_a_millionth_of_the_claim_it_is_asked_whether_a_parameter_reaches_the_loss(
    size: float, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(
        by_probe, "require_reach", lambda blocks, unmoved, point: seen.append(unmoved)
    )
    result = check(
        loss=lambda p: float(np.sum(np.sin(p["a"])) + size * np.sum(np.sin(p["b"]))),
        grads=lambda p: {"a": np.cos(p["a"]), "b": np.cos(p["b"])},
        params={"a": X.copy(), "b": X.copy()},
        mode="probe",
    )
    assert seen == [asked]
    assert [b.status for b in result.blocks] == ["pass", "fail"]

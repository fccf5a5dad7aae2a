"""The first pass of exhaustive mode, and independent probes, in the workers of an executor."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shipped
from shipped import Batched, Copied, Does, Draws, Elsewhere, Logs, Net, Scalars

from pytest_gradcheck import Problem, Settings, SettingsError, SubjectError, check
from pytest_gradcheck.adapters import hooks
from pytest_gradcheck.core import evaluators
from pytest_gradcheck.core.exhaustive import losses_at, one_by_one
from pytest_gradcheck.core.point import inspect_point
from pytest_gradcheck.core.result import Result
from pytest_gradcheck.values import Offered

METHODS = multiprocessing.get_all_start_methods()


def pool_of(method: str, workers: int = 2) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(method))


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with pool_of("spawn") as executor:
        yield executor


def contents(net: Any) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in net.params.items()}


def verdict(result: Result) -> Any:
    """All that must be the same to the last bit."""
    entries = [(entry.parameter, entry.index, entry.numeric) for entry in result.worst]
    return result.status, result.relative_error, result.evaluations, entries


OPTIONS: dict[str, dict[str, Any]] = {
    "right": {},
    "wrong": {"factor": 1.001},
    "float32": {"dtype": np.float32},
    "float32, wrong": {"dtype": np.float32, "factor": 1.1},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("kind", [Net, Copied])
def test_result_is_the_same(
    pool: ProcessPoolExecutor, kind: type[Net], options: dict[str, Any]
) -> None:
    net = kind(**options)
    before = contents(net)
    found = check(net, executor=pool, seed=1)
    assert verdict(found) == verdict(check(kind(**options), seed=1))
    assert contents(net) == before


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("kind", [Net, Copied])
def test_probes_are_the_same(
    pool: ProcessPoolExecutor, kind: type[Net], options: dict[str, Any]
) -> None:
    net = kind(**options)
    before = contents(net)
    found = check(net, executor=pool, mode="probe", seed=1)
    here = check(kind(**options), mode="probe", seed=1)
    assert verdict(found) == verdict(here)
    assert found.bound == here.bound
    assert contents(net) == before


def test_probes_go_to_workers(pool: ProcessPoolExecutor, tmp_path: Path) -> None:
    found = check(Logs(tmp_path / "log"), executor=pool, mode="probe")
    lines = (tmp_path / "log").read_text().splitlines()
    calls = [line.split()[1] for line in lines if line.startswith("loss")]
    elsewhere = [pid for pid in calls if pid != str(os.getpid())]
    assert len(elsewhere) >= 12  # three probes after the first, two steps, two sides
    assert found.evaluations <= len(calls)  # each worker looks at the point as well


def test_probes_at_a_kink_go_to_workers(pool: ProcessPoolExecutor) -> None:
    options: dict[str, Any] = {"mode": "probe", "seed": 1}
    found, here = (check(shipped.AtKink(), executor=workers, **options) for workers in (pool, None))
    assert any(finding.name == "kink" for finding in found.findings)
    assert (found.status, found.relative_error) == (here.status, here.relative_error)
    assert found.evaluations >= here.evaluations  # some were foreseen in vain


def test_scalars(pool: ProcessPoolExecutor) -> None:
    assert verdict(check(Scalars(), executor=pool))[:2] == verdict(check(Scalars()))[:2]


@pytest.mark.parametrize("scheme", ["central", "forward"])
def test_plain_textbook_check(pool: ProcessPoolExecutor, scheme: str) -> None:
    options: dict[str, Any] = {"scheme": scheme, "refine": False, "tol": 1e-5}
    assert verdict(check(Net(), executor=pool, **options)) == verdict(check(Net(), **options))


def test_record_of_the_check_is_of_built_in_types(pool: ProcessPoolExecutor) -> None:
    settings = check(Net(), executor=pool, before_each=shipped.sleep).settings
    assert json.loads(json.dumps(settings))["mode"] == "exhaustive"
    assert not settings.keys() & {"executor", "before_each"}


@pytest.mark.parametrize("method", METHODS)
def test_workers_however_started(method: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forking with threads
        with pool_of(method) as executor:
            assert verdict(check(Net(), executor=executor)) == verdict(check(Net()))


def test_evaluations_are_done_by_workers(pool: ProcessPoolExecutor, tmp_path: Path) -> None:
    net = Logs(tmp_path / "log", size=50)
    check(net, executor=pool, refine=False, tol=1e-5)
    lines = (tmp_path / "log").read_text().splitlines()
    calls = [line.split()[1] for line in lines if line.startswith("loss")]
    here = str(os.getpid())
    assert calls.count(here) == 2  # at the point
    assert len(calls) - 2 >= 2 * 204
    workers = {pid for pid in calls if pid != here}
    assert 1 <= len(workers) <= 2
    kept = [line for line in lines if line.startswith("unpickled")]
    assert len(kept) <= 6  # not with every task


def test_object_is_shipped_once_to_each_worker(tmp_path: Path) -> None:
    net = Does(shipped.sleep, size=20)
    log = Logs(tmp_path / "log")
    net.log = log  # type: ignore[attr-defined]
    with pool_of("spawn") as executor:
        check(net, executor=executor, refine=False, tol=1e-5)
    lines = (tmp_path / "log").read_text().splitlines()
    assert 2 <= len(lines) <= 4  # one more may be on its way to a worker that has one by then


def test_batches_in_workers(pool: ProcessPoolExecutor) -> None:
    found = check(Batched(), executor=pool, refine=False, tol=1e-5)
    assert found.status == "pass"
    assert found.evaluations == 2 + 2 * 28


def test_parameters_that_stand_elsewhere_are_sent(pool: ProcessPoolExecutor) -> None:
    net, settings = Net(), Settings(executor=pool)
    problem = hooks.adapt(net, (), settings)
    with problem.preserved() as (state, saved):
        point = inspect_point(problem, settings, state, saved)
    problem.rebuild = partial(hooks.adapt, Net(), (), Settings())
    net.params["W"] += 0.5  # which a net built again does not know
    loss, parameter = point.loss, problem.parameters[0]
    there = dataclasses.replace(point, base=loss())
    loss.many = evaluators.strategy(problem, problem, there, settings, elsewhere=True)
    theta = parameter.read()
    expected = one_by_one(loss, parameter, theta, theta + 1e-3)
    assert np.array_equal(losses_at(parameter, loss, theta, theta + 1e-3), expected)


class TestRefused:
    def test_threads(self) -> None:
        net = Net()
        before = contents(net)
        with ThreadPoolExecutor(2) as threads, pytest.raises(SubjectError, match="in threads of"):
            check(net, executor=threads)
        assert contents(net) == before

    def test_object_that_cannot_be_pickled(self, pool: ProcessPoolExecutor) -> None:
        net = Does(lambda: None)
        before = contents(net)
        with pytest.raises(SubjectError, match=r"could not be sent to the workers of Process.*<l"):
            check(net, executor=pool)
        assert contents(net) == before
        assert check(Net(), executor=pool).status == "pass"

    def test_held_generators(self, pool: ProcessPoolExecutor) -> None:
        with pytest.raises(SubjectError, match="executor=: the loss draws random numbers"):
            check(Draws(), executor=pool)

    def test_adapter_that_cannot_rebuild(self, pool: ProcessPoolExecutor) -> None:
        def adapter(subject: Any, args: Any, settings: Settings) -> Problem:
            problem = hooks.adapt(subject, args, settings)
            problem.rebuild = None
            return problem

        with pytest.raises(SubjectError, match="the adapter of Net gives no way to build it again"):
            check(Net(), adapters=[adapter], executor=pool)

    def test_pool_that_was_shut_down(self) -> None:
        executor = pool_of("spawn")
        executor.shutdown()
        with pytest.raises(SubjectError, match="after shutdown"):
            check(Net(), executor=executor)

    @pytest.mark.parametrize(
        ("value", "what"),
        [(ProcessPoolExecutor, "must be a conc"), (4, "must be a conc"), ("spawn", "must be a c")],
    )
    def test_other_values(self, value: Any, what: str) -> None:
        with pytest.raises(SettingsError, match=what):
            check(Net(), executor=value)

    def test_dask_client(self) -> None:
        class Client:
            def get_executor(self) -> None: ...

            def submit(self) -> None: ...

        with pytest.raises(SettingsError, match=r"client\.get_executor\(\)"):
            check(Net(), executor=Client())


class TestTrouble:
    def test_worker_that_dies(self) -> None:
        net = Does(shipped.die_in_worker)
        before = contents(net)
        with pool_of("spawn") as executor:
            with pytest.raises(SubjectError, match="a worker of ProcessPoolExecutor died"):
                check(net, executor=executor)
            assert contents(net) == before
            with pytest.raises(SubjectError, match="takes no more work"):
                check(net, executor=executor)

    def test_exception_of_the_user_is_his_own(self, pool: ProcessPoolExecutor) -> None:
        shipped.CALLS[0] = 0
        net = Does(shipped.raise_later, size=20)
        before = contents(net)
        with pytest.raises(LookupError, match="a mistake in the user's loss"):
            check(net, executor=pool)
        assert contents(net) == before

    def test_exception_in_workers_alone(self, pool: ProcessPoolExecutor) -> None:
        net = Does(shipped.raise_in_worker)
        before = contents(net)
        with pytest.raises(SubjectError, match=r"(?s)raised in a worker.*KeyError: 'no licence"):
            check(net, executor=pool)
        assert contents(net) == before

    def test_another_loss_in_workers(self, pool: ProcessPoolExecutor) -> None:
        with pytest.raises(
            SubjectError, match=r"the loss at the point is .* here and .* in a work"
        ):
            check(Elsewhere(), executor=pool)


class TestOffered:
    """An executor for a whole suite is used where that is possible and of use."""

    @pytest.fixture
    def offered(self, pool: ProcessPoolExecutor) -> Offered:
        self.taken = 0

        def get() -> ProcessPoolExecutor:
            self.taken += 1
            return pool

        return Offered(get)

    def test_not_for_a_moment(self, offered: Offered) -> None:
        assert check(Net(), executor=offered).status == "pass"
        assert self.taken == 0

    def test_for_a_slow_loss(self, offered: Offered) -> None:
        assert check(Does(shipped.sleep, size=12), executor=offered).status == "pass"
        assert self.taken == 1

    def test_not_where_it_cannot_be(self, offered: Offered) -> None:
        assert check(Draws(), executor=offered, allow=["nondeterministic"]).status == "pass"
        assert self.taken == 0

    def test_what_cannot_be_pickled_is_evaluated_here(
        self, offered: Offered, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(evaluators, "WORTH", 0.0)
        net = Does(lambda: None)
        assert verdict(check(net, executor=offered))[:2] == verdict(check(Net()))[:2]
        assert self.taken == 1


FACTORY = """
    from concurrent.futures import ProcessPoolExecutor
    from contextlib import contextmanager
    from multiprocessing import get_context

    def log(line):
        with open("log.txt", "a") as out:
            print(line, file=out)

    class Pool(ProcessPoolExecutor):
        def shutdown(self, *args, **kwargs):
            log("shutdown")
            super().shutdown(*args, **kwargs)

    def make():
        log("made")
        return Pool(1, mp_context=get_context("spawn"))

    @contextmanager
    def managed():
        log("opened")
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            yield pool
        log("closed")

    def nothing():
        return 3
"""
SLOW = """
    import pytest, shipped
    from pytest_gradcheck import SubjectError

    @pytest.mark.parametrize("size", [20, 21])
    def test_slow(gradcheck, size):
        gradcheck(shipped.Does(shipped.sleep, size=size), refine=False, tol=1e-5)

    def test_fast(gradcheck):
        gradcheck(shipped.Net())
"""


class TestForTheRun:
    @pytest.fixture(autouse=True)
    def _factory(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(suite_pool=FACTORY)
        pytester.syspathinsert()

    def test_factory_is_called_once_and_its_executor_shut_down(
        self, run: Any, pytester: pytest.Pytester
    ) -> None:
        run(SLOW, "--gradcheck-executor=suite_pool:make").assert_outcomes(passed=3)
        assert (pytester.path / "log.txt").read_text().split() == ["made", "shutdown"]

    def test_ini_file_and_context_manager(self, run: Any, pytester: pytest.Pytester) -> None:
        pytester.makeini("[pytest]\ngradcheck_executor = suite_pool:managed")
        run(SLOW).assert_outcomes(passed=3)
        assert (pytester.path / "log.txt").read_text().split() == ["opened", "closed"]

    def test_it_is_not_made_when_nothing_needs_it(
        self, run: Any, pytester: pytest.Pytester
    ) -> None:
        result = run(SLOW, "--gradcheck-executor=suite_pool:make", "-k", "fast")
        result.assert_outcomes(passed=1, deselected=2)
        assert not (pytester.path / "log.txt").exists()

    def test_form_is_checked_at_once(self, run: Any) -> None:
        result = run(SLOW, "--gradcheck-executor=suite_pool")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["*is not of the form package.module:factory"])

    @pytest.mark.parametrize(
        ("factory", "why"),
        [
            ("nowhere:make", "No module named 'nowhere'"),
            ("suite_pool:mak", "no attribute 'mak'"),
            ("suite_pool:FORM", "no attribute 'FORM'"),
            ("suite_pool:__doc__", "is no function that makes an executor"),
            ("suite_pool:nothing", "gave a int"),
        ],
    )
    def test_no_such_factory(self, run: Any, factory: str, why: str) -> None:
        result = run(SLOW, f"--gradcheck-executor={factory}", "-k", "20")
        result.assert_outcomes(failed=1, deselected=2)
        result.stdout.fnmatch_lines(
            [f"E*ERROR*--gradcheck-executor={factory}:*", "*: SettingsError"]
        )
        message = " ".join(line.removeprefix("E").strip() for line in result.outlines)
        assert why in message  # wherever the report broke the line


def test_dask() -> None:
    distributed = pytest.importorskip("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            client.run(sys.path.insert, 0, str(Path(__file__).parent))
            executor = client.get_executor()
            for factor in (1.0, 1.001):
                found = check(Net(factor=factor), executor=executor, seed=1)
                assert verdict(found) == verdict(check(Net(factor=factor), seed=1))


MPI = """
import shipped
from mpi4py.futures import MPIPoolExecutor
from pytest_gradcheck import check

if __name__ == "__main__":
    with MPIPoolExecutor(2) as executor:
        net = shipped.Net(factor=1.001)
        found, alone = check(net, executor=executor, seed=1), check(net, seed=1)
        assert found.as_dict()["blocks"] == alone.as_dict()["blocks"]
        print("status:", found.status)
"""


def test_mpi(tmp_path: Path) -> None:
    pytest.importorskip("mpi4py")
    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if mpiexec is None:
        pytest.skip("no mpiexec")
    script = tmp_path / "script.py"
    script.write_text(MPI)
    words = [mpiexec, "-n", "3", sys.executable, "-m", "mpi4py.futures", str(script)]
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    more = {
        "PYTHONPATH": path,
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    }
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=120, env={**os.environ, **more}
    )
    assert "status: warn" in done.stdout, done.stderr

"""The work behind the plugin: merge settings, run a check for a test, keep its record."""

from __future__ import annotations

import warnings
import zlib
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from .adapters import as_subject, divided
from .again import command
from .core.problem import Problem
from .core.result import Finding
from .core.situation import Situation
from .encoding import encoding_of
from .errors import GradcheckError, GradcheckWarning, SettingsError, SubjectError
from .executor import executor_of_the_run
from .findings import explain
from .options import LAYERS, RECORDS, REPORTED
from .points import check_points
from .progress import shown
from .report.cells import harmless, spelt, written_in
from .report.fragment import extra, fragment
from .report.record import properties, record_of
from .report.text import failure, headline, warning
from .report.travelled import plain_data
from .result import Result
from .settings import Settings, merge
from .tracebacks import raise_in, without_ours


class Gradcheck:
    """The ``gradcheck`` fixture of one test."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self._layers = [*item.config.stash[LAYERS], marker_layer(item)]

    def __call__(
        self,
        subject: Any = None,
        *args: Any,
        loss: Any = None,
        grads: Any = None,
        params: Any = None,
        **further: Any,
    ) -> Result:
        """Check the gradient of an object, or of plain functions.

        Parameters
        ----------
        subject, *args, loss, grads, params
            See `pytest_gradcheck.check`.
        **further
            Likewise; settings win over marker, command line and ini file.

        Returns
        -------
        Result

        Raises
        ------
        GradcheckError
            If the gradient is wrong.
        SettingsError, SubjectError
            If it could not be checked.

        Warns
        -----
        GradcheckWarning
            If the gradient is imprecise, suspect, or could not be tested.
        """
        __tracebackhide__ = True
        try:
            words, settings = divided(further)
            words |= {"loss": loss, "grads": grads, "params": params}
            subject, args = as_subject(subject, args, words)
            result = check_for(self._item, subject, args, merge(*self._layers, settings))
        except (SettingsError, SubjectError) as error:
            raise error.with_traceback(None) from None  # the user's line says it all
        except Exception as error:
            if self._item.config.getoption("fulltrace"):
                raise
            raise error.with_traceback(without_ours(error))  # noqa: B904 (its own cause stands)
        report(self._item, result)
        return result

    def __repr__(self) -> str:
        return f"<gradcheck of {self._item.name}>"


def check_for(item: pytest.Item, subject: Any, args: tuple[Any, ...], settings: Settings) -> Result:
    records = item.stash[RECORDS]
    seed = zlib.crc32(f"{item.nodeid}#{len(records)}".encode())
    if settings.executor is None:
        settings = replace(settings, executor=executor_of_the_run(item.config))
    adapt = partial(_adapted, item, args, settings)
    with shown(item):
        found = check_points(adapt, subject, settings, seed=seed, explain=partial(_explained, item))
    result = Result.of(found)
    record = record_of(
        result, test=item.nodeid, number=len(records), command=command(item), views=settings.study
    )
    records.append(record)
    item.user_properties.extend(properties(record))
    return result


def _adapted(item: pytest.Item, args: tuple[Any, ...], settings: Settings, subject: Any) -> Problem:
    problem: Problem = item.ihook.pytest_gradcheck_adapt(
        subject=subject, args=args, settings=settings
    )
    return problem


def forget(item: pytest.Item) -> None:
    """Take back the properties of a run, before the test runs again."""
    ours = {name for record in item.stash[RECORDS] for name, _ in properties(record)}
    item.user_properties[:] = [given for given in item.user_properties if given[0] not in ours]


def attach(item: pytest.Item, report: pytest.TestReport) -> None:
    """Send the records made since the last report of this test with this one."""
    done = item.stash[REPORTED]
    records = item.stash[RECORDS][done:]
    item.stash[REPORTED] = done + len(records)
    report.__dict__["gradcheck"] = records
    if item.config.getoption("htmlpath", None):  # pytest-html
        shown = [record for record in records if record["status"] != "pass"]
        html = [extra(fragment(record)) for record in shown]
        report.__dict__["extras"] = [*getattr(report, "extras", ()), *html]


def _explained(item: pytest.Item, situation: Situation) -> list[Finding]:
    """The project's own findings, then those of other plugins."""
    others = item.ihook.pytest_gradcheck_findings(situation=situation)
    return [*explain(situation), *(finding for found in others for finding in found or ())]


def report(item: pytest.Item, result: Result, returned_by: Any = None) -> None:
    """Nothing for a pass, a warning for a warn, an exception for a fail.

    A warning points to the user's call, or to the test that returned the object.
    """
    __tracebackhide__ = True
    if result.status == "fail":
        error = GradcheckError("\n".join(failure(result, command(item))), result)
        if returned_by is not None:
            raise_in(returned_by, error)
        raise error
    if result.status == "warn":
        encoding = encoding_of(item.config)
        with written_in(encoding):
            lines = warning(result)
        message = GradcheckWarning("\n".join(spelt(text, encoding) for text in lines))
        if returned_by is None:
            warnings.warn(message, stacklevel=3)
        else:
            path, line, _ = item.reportinfo()
            warnings.warn_explicit(message, GradcheckWarning, str(path), (line or 0) + 1)


def failure_of(item: pytest.Item, error: BaseException | None) -> dict[str, Any] | None:
    """What the terminal is to show of an error of ours, as plain data; None for any other."""
    if isinstance(error, GradcheckError) and error.result is not None:
        about = {"headline": headline(error.result), "command": command(item)}
        return {**about, "result": plain_data(error.result)}
    if isinstance(error, (SettingsError, SubjectError)):
        return {"headline": harmless(" ".join(str(error).split())), "refused": str(error)}
    return None


def marker_layer(item: pytest.Item) -> dict[str, Any]:
    """The settings of all ``gradcheck`` markers of a test, the innermost winning key by key.

    Raises
    ------
    SettingsError
        For positional arguments and unknown names.
    """
    layer: dict[str, Any] = {}
    for mark in reversed(list(item.iter_markers("gradcheck"))):
        if mark.args:
            raise SettingsError(
                f"got {mark.args[0]!r} without a name: settings are given by name, such as"
                " @pytest.mark.gradcheck(eps=1e-7, tol=1e-7)"
            )
        merge(mark.kwargs)
        layer.update(mark.kwargs)
    return layer

"""The records of a whole run: gathered from test reports, of this process or of its workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from .options import FILES
from .report.record import Record, in_order

COLLECTOR = pytest.StashKey["Collector"]()
"""On the config of the process that pytest reports to: not on that of a worker."""


def collect(config: pytest.Config) -> None:
    """Gather records from here on, unless this is a worker: its reports go to the process above."""
    if not hasattr(config, "workerinput"):
        config.stash[COLLECTOR] = Collector(config.stash[FILES])
        config.pluginmanager.register(config.stash[COLLECTOR], "gradcheck-collector")


class Collector:
    """A plugin of its own, in the process that sees every report.

    Parameters
    ----------
    files : dict of str to Path
        What is to be written, "json" or "html", and where.
    """

    def __init__(self, files: dict[str, Path]) -> None:
        self.files = files
        self._records: dict[tuple[str, int], Record] = {}
        self._written: list[Path] = []
        self._mistakes: list[str] = []

    @property
    def records(self) -> list[Record]:
        """All so far; of a test that was run again, the last."""
        return sorted(self._records.values(), key=in_order)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for record in getattr(report, "gradcheck", ()):
            self._records[record["test"], record["number"]] = record

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.config.option.collectonly:
            return
        for kind, path in self.files.items():
            try:
                self._write(kind, path)
            except OSError as error:
                self._mistakes.append(f"--gradcheck-{kind}: {path}: {error.strerror or error}")
                if session.exitstatus == pytest.ExitCode.OK:
                    session.exitstatus = pytest.ExitCode.INTERNAL_ERROR

    def _write(self, kind: str, path: Path) -> None:
        from .report import document, files

        if kind == "html":
            from .report.page import page

            text = page(self.records)
        else:
            text = document.as_text(document.document(self.records))
        files.write(path, text)
        self._written.append(path)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for path in self._written:
            terminalreporter.write_sep("-", f"gradient checks: {path}")
        for mistake in self._mistakes:
            terminalreporter.write_line(mistake, red=True)

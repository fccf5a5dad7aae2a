"""The encoding of pytest's terminal, which workers do not see for themselves."""

from __future__ import annotations

from typing import Any

import pytest

SENT = "gradcheck_encoding"
"""The key under which workers are told."""


def encoding_of(config: pytest.Config) -> str | None:
    """The encoding in which the terminal of the run writes; None where there is no terminal."""
    sent: dict[str, Any] = getattr(config, "workerinput", {})
    if SENT in sent or not config.pluginmanager.hasplugin("terminalreporter"):
        return sent.get(SENT)
    return getattr(config.get_terminal_writer()._file, "encoding", None)

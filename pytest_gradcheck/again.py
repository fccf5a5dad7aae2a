"""How to run the same check again: one command that can be copied."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence

import pytest

from .arguments import flag, written
from .options import LAYERS


def command(item: pytest.Item) -> str:
    """A command that runs this test alone, with the settings of this command line."""
    given = item.config.stash[LAYERS][-1].items()
    settings = [f"{flag(name, 'gradcheck-')}={written(v)}" for name, v in given if v is not None]
    return quoted(["pytest", _from_here(item), *settings])


def _from_here(item: pytest.Item) -> str:
    """The node id as the command line wants it: its path from where pytest was called."""
    path, *names = item.nodeid.split("::")
    here = item.config.invocation_params.dir
    try:
        path = os.path.relpath(item.config.rootpath / path, here)
    except ValueError:  # another drive
        path = str(item.config.rootpath / path)
    return "::".join([path, *names])


def quoted(words: Sequence[str]) -> str:
    """A command line that the shell of this system takes apart into `words`."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)

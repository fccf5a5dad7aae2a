"""Where a report is written: looked at before the run, written at its end, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def mistake_in(path: Path) -> str | None:
    """Why nothing can be written to `path`, or None; missing folders are made."""
    if path.is_dir():
        return "is a folder; name a file in it"
    if path.exists() and not path.is_file():  # a device or a pipe would be replaced by a file
        return "is no ordinary file; name one that is, or a new one"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"its folder cannot be made: {error.strerror or error}"
    if not os.access(path.parent, os.W_OK):
        return "its folder cannot be written to"
    return None


def write(path: Path, text: str) -> None:
    """Write a file in one move: whoever reads it sees the last one or the new one, never a part.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    path = Path(os.path.realpath(path))  # what a link points to is written, and the link stays
    path.parent.mkdir(parents=True, exist_ok=True)  # a test may have tidied up
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:32]}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(name, 0o666 & ~_umask())  # a temporary file is its owner's alone
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

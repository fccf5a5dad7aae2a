"""Tracebacks that show the user's lines: where an error belongs, and without frames of ours."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

OURS = str(Path(__file__).parent)


def raise_in(
    function: Callable[..., Any], error: Exception, *, at_its_marker: bool = False
) -> NoReturn:
    """Raise `error` as if at the last line of `function`, or at its first one.

    The test is over when its object is checked, so no line of it is on the stack.  A function of
    the same name and place that only raises puts it there, for every kind of traceback.
    """
    __tracebackhide__ = True
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        raise error from None
    first = code.co_firstlineno
    lines = () if at_its_marker else code.co_lines()
    last = max((line for _, _, line in lines if line is not None), default=first)
    name = code.co_name if code.co_name.isidentifier() else "test"  # of a lambda
    module = ast.parse(f"def {name}():\n raise error from None")
    for node in ast.walk(module):
        if isinstance(node, (ast.stmt, ast.expr)):
            node.lineno = node.end_lineno = first if isinstance(node, ast.FunctionDef) else last
            node.col_offset = node.end_col_offset = -1  # no part of the line is to blame
    scope: dict[str, Any] = {"error": error}
    exec(compile(module, code.co_filename, "exec"), scope)
    scope[name]()
    raise error  # for type checkers: it has been raised


def without_ours(error: BaseException) -> TracebackType | None:
    """The traceback of an error that the user's own code raised, but for our frames on the way.

    That of an error of ours stays whole.
    """
    frames: list[TracebackType] = []
    at = error.__traceback__
    while at is not None:
        frames.append(at)
        at = at.tb_next
    if not frames or _is_ours(frames[-1]):
        return error.__traceback__
    kept: TracebackType | None = None
    for frame in reversed([frame for frame in frames if not _is_ours(frame)]):
        kept = TracebackType(kept, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return kept


def _is_ours(frame: TracebackType) -> bool:
    return frame.tb_frame.f_code.co_filename.startswith(OURS)

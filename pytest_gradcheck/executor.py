"""The executor of a whole run, ``--gradcheck-executor=package.module:factory``."""

from __future__ import annotations

import importlib
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from functools import cache, partial, reduce
from typing import Any

import pytest

from .errors import SettingsError
from .options import FACTORY
from .values import Offered, require_executor

_OFFERED = pytest.StashKey["Offered | None"]()


def executor_of_the_run(config: pytest.Config) -> Offered | None:
    """What the checks of this run may use; the factory is called when the first of them does.

    Raises
    ------
    SettingsError
        If there is no such factory.
    """
    if _OFFERED not in config.stash:
        name = config.stash[FACTORY]
        make = cache(partial(_make, config, name, _factory(name))) if name else None
        config.stash[_OFFERED] = Offered(make) if make else None
    return config.stash[_OFFERED]


def _factory(name: str) -> Any:
    module, _, path = name.partition(":")
    try:
        factory = reduce(getattr, path.split("."), importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"--gradcheck-executor={name}: {error}") from error
    if not callable(factory):
        raise SettingsError(f"--gradcheck-executor={name}: is no function that makes an executor")
    return factory


def _make(config: pytest.Config, name: str, factory: Any) -> Executor:
    """Call the factory, for an executor or a context manager that gives one.

    Either is closed when pytest ends: executors are context managers of themselves.
    """
    made = factory()
    if not isinstance(made, AbstractContextManager):
        raise SettingsError(
            f"--gradcheck-executor={name}: gave a {type(made).__name__}, neither an executor nor a"
            " context manager (contextlib.contextmanager) that gives one"
        )
    executor: Executor = made.__enter__()
    config.add_cleanup(lambda: made.__exit__(None, None, None))
    require_executor(executor)
    return executor

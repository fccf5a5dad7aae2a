"""Random problems: structures of parameters of every kind, with right and wrong gradients."""

from __future__ import annotations

import io
import json
import shutil
import sys
import warnings
from collections import OrderedDict, namedtuple
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from models import transform

from pytest_gradcheck import Result, Settings, SettingsError, SubjectError, check
from pytest_gradcheck.core import measure
from pytest_gradcheck.settings import merge

BUDGET = 300
"""Evaluations for climbing, of which a check has 50,000."""
Pair = namedtuple("Pair", ["left", "right"])


class Tagged(np.ndarray):
    pass


DTYPES = ["<f8", "<f8", "<f8", ">f8", "<f4", "<f2", ">f4", np.longdouble]
ODD_DTYPES = ["c16", "i8", "?", "O", "U1", "M8[s]"]
LAYOUTS = ["C", "C", "F", "reversed", "strided", "transposed", "read-only", "subclass", "field"]
ODD_LAYOUTS = ["masked", "broadcast", "structured"]


@dataclass(frozen=True)
class Case:
    """A point, and whether it is one that can be checked at all."""

    params: Any
    narrow: bool
    odd: bool


def _laid_out(values: np.ndarray, layout: str) -> Any:
    """The same values as an array in another layout."""
    if layout == "F":
        return np.asfortranarray(values)
    if layout == "reversed" and values.ndim:
        return np.ascontiguousarray(values[::-1])[::-1]
    if layout == "strided" and values.ndim:
        return np.repeat(values, 2, axis=-1)[..., ::2]
    if layout == "transposed":
        return np.ascontiguousarray(values.T).T
    if layout == "read-only":
        values.flags.writeable = False
    if layout == "subclass":
        return values.view(Tagged)
    if layout == "field":
        record = np.zeros(values.shape, [("x", "i1"), ("y", values.dtype)])
        record["y"] = values
        return record["y"]
    if layout == "masked":
        return np.ma.masked_array(values, mask=np.zeros(values.shape, bool))
    if layout == "broadcast":
        return np.broadcast_to(values, (2, *values.shape))
    if layout == "structured":
        return np.zeros(values.shape, [("x", "f8")])
    return values


@st.composite
def arrays(draw: Any, *, odd: bool) -> Any:
    shape = draw(st.lists(st.integers(0, 3), max_size=3).filter(lambda s: np.prod(s) <= 6))
    kind = draw(st.sampled_from(ODD_DTYPES if odd and draw(st.booleans()) else DTYPES))
    layout = draw(st.sampled_from(ODD_LAYOUTS + LAYOUTS if odd else LAYOUTS))
    size = int(np.prod(shape))
    numbers = draw(st.lists(st.integers(-40, 40), min_size=size, max_size=size))
    values = np.array([n / 16 for n in numbers]).reshape(shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _laid_out(np.array(values.astype(kind)), layout)


def _scalars() -> Any:
    numbers = st.integers(-40, 40).map(lambda n: n / 16)
    kinds = st.sampled_from([float, np.float64, np.float32, np.longdouble])
    return st.builds(lambda kind, x: kind(x), kinds, numbers)


def _structures(leaves: Any) -> Any:
    names = st.sampled_from(["W", "b", "a b", "", "\x1b[31m", "ü", "params", 0, (1, "x")])
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.dictionaries(names, inner, max_size=3),
            st.dictionaries(names, inner, max_size=2).map(OrderedDict),
            st.dictionaries(names, inner, max_size=2).map(MappingProxyType),
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=2).map(tuple),
            st.builds(Pair, inner, inner),
        ),
        max_leaves=4,
    )


@st.composite
def cases(draw: Any) -> Case:
    odd = draw(st.integers(0, 4)) == 0
    leaves = st.one_of(arrays(odd=odd), arrays(odd=odd), _scalars(), st.none())
    if odd:
        leaves = st.one_of(
            leaves, st.sampled_from([1, True, 1j, "x", b"x", len, object, np.bool_(1)])
        )
    params = draw(_structures(leaves))
    narrow = any(np.asarray(x).dtype.itemsize < 8 for x in numbers(params)) if not odd else True
    return Case(params, narrow, odd)


def numbers(tree: Any) -> list[Any]:
    """The leaves of a structure."""
    found: list[Any] = []
    transform(found.append, tree)
    return found


def value(tree: Any) -> float:
    return float(sum(np.sum(np.sin(np.asarray(x, dtype=float))) for x in numbers(tree)))


def slope(tree: Any, factor: float) -> Any:
    return transform(lambda x: factor * np.cos(np.asarray(x, dtype=float)), tree)


def frozen(tree: Any) -> list[Any]:
    """Identity, bytes and layout of every leaf, and the containers they are in."""
    found: list[Any] = []

    def look(x: Any) -> None:
        array = x if isinstance(x, np.ndarray) else None
        flags = None if array is None else (array.shape, array.strides, array.flags.writeable)
        is_plain = array is not None and array.dtype != object
        found.append((id(x), array.tobytes() if is_plain else repr(x), flags))

    transform(look, tree)
    return found


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(["auto", "exhaustive", "probe"]),
        "refine": st.booleans(),
        "scheme": st.sampled_from(["central", "forward"]),
        "eps": st.sampled_from([1e-7, 1e-5, 1e-3]),
        "freeze_rng": st.sampled_from(["auto", "on", "off"]),
        "worst": st.integers(1, 3),
        "seed": st.integers(0, 9),
        "max_evaluations": st.integers(1, 500),
    },
)


def examined(
    case: Case, settings: dict[str, Any], *, factor: float, as_object: bool
) -> Result | None:
    """Check a case, and assert what must hold whatever it is; None where it cannot be checked."""
    before = frozen(case.params)
    try:
        result = _checked(case.params, settings, factor, as_object)
    except (SubjectError, SettingsError) as error:
        text, result = str(error), None
        assert len(text) > 30
    assert frozen(case.params) == before
    if result is not None:
        result.as_dict()
        tested = [b for b in result.blocks if b.shape is not None and np.prod(b.shape) > 0]
        if factor != 1.0 and tested:
            assert result.status != "pass", result
        one_step = settings.get("refine") is False or settings.get("scheme") == "forward"
        if factor == 1.0 and not one_step:  # which is taken at its word
            assert result.status != "fail", result
    return result


def _checked(params: Any, settings: dict[str, Any], factor: float, as_object: bool) -> Result:
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setattr(measure, "BUDGET", BUDGET)
        if not as_object:
            return check(loss=value, grads=lambda p: slope(p, factor), params=params, **settings)
        subject = SimpleNamespace(params=params)
        subject.loss = lambda: value(subject.params)
        subject.grads = lambda: slope(subject.params, factor)
        return check(subject, **settings)


def written() -> Any:
    """Names and values of settings as somebody may write them into an ini file."""
    names = st.one_of(st.sampled_from([f.name for f in fields(Settings)]), st.text(max_size=8))
    values = st.one_of(
        st.sampled_from(["1e-7", "0", "-1", "nan", "inf", "true", "auto", "probe", "", "1e999"]),
        st.text(max_size=10),
        st.integers(),
        st.floats(),
        st.booleans(),
        st.none(),
        st.lists(st.text(max_size=5), max_size=2),
        st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
    )
    return st.dictionaries(names, values, max_size=3)


def parsed(layer: dict[str, Any]) -> str:
    """Merge a layer of settings: it is taken, or refused in clear words."""
    try:
        merge(layer).written()
    except SettingsError as error:
        return "refused" if len(str(error)) > 10 else str(error)
    return "taken"


NAMES = [setting.name for setting in fields(Settings)]
OF_RUN = ["progress", "executor", "json", "html", "summary"]
PLAIN = [
    "1",
    "0",
    "-1",
    "1e-7",
    "nan",
    "inf",
    "1e999",
    "true",
    "no",
    "auto",
    "probe",
    "",
    "a=b",
    ".",
]
OBJECTS = [
    *("None", "True", "0", "2", "-1", "1e-3", "float('nan')", "10**400", "1j", "b'x'", "'auto'"),
    *("'kink'", "[]", "['kink']", "{'loss': 'loss'}", "{}", "{1: 2}", "set()", "object()", "len"),
    *("int", "lambda: None", "np.ones(2)", "np.float32(1e-3)", "np.array(1e-3)", "np.int64(3)"),
    *("np.bool_(True)", "Fraction(1, 3)", "Decimal('0.001')", "range(3)", "(x for x in 'ab')"),
    *("'\\udc80'", "[[]]", "Odd()", "np.array(['kink'])", "['kink', 3]"),
]
"""Values of settings as Python code."""
MODULE = """
from decimal import Decimal
from fractions import Fraction
import numpy as np
import pytest

class Odd:
    def __eq__(self, other): raise RuntimeError("odd")
    def __repr__(self): return "<odd>"
    __hash__ = None

class Square:
    def __init__(self): self.params = np.ones(2)
    def loss(self): return float(self.params @ self.params)
    def grads(self): return 2 * self.params

{marks}

@pytest.mark.parametrize("way", ["fixture", "returned"])
def test_it(request, way):
    if way == "fixture":
        request.getfixturevalue("gradcheck")(Square())
    else:
        return Square()
"""


def marks() -> Any:
    """Markers as source code: any names that a mark can be called with, values of any type."""
    names = st.one_of(st.sampled_from(NAMES), st.sampled_from(["loss", "cls", "tolerance", "x"]))
    pairs = st.dictionaries(names, st.sampled_from(OBJECTS), min_size=1, max_size=3)
    given = st.lists(st.sampled_from(OBJECTS), max_size=1)
    return st.builds(
        lambda args, kwargs: ", ".join([*args, *(f"{k}={v}" for k, v in kwargs.items())]),
        st.one_of(st.just([]), given),
        pairs,
    )


def _texts() -> Any:
    visible = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"])
    return st.one_of(st.sampled_from(PLAIN), st.text(visible, max_size=8))


def _said() -> Any:
    return st.sampled_from(NAMES + OF_RUN + ["tolerance", "", "tol_", "hooks.loss"])


def ini_files() -> Any:
    """Content of ``pytest.ini``."""
    lines = st.dictionaries(_said(), _texts(), max_size=3)
    return lines.map(lambda d: "".join(f"gradcheck_{k} = {v}\n" for k, v in d.items()))


def toml_files() -> Any:
    """Content of a table of ``pyproject.toml``, where values have types."""
    simple = st.one_of(
        _texts().map(lambda text: json.dumps(text, ensure_ascii=False)),
        st.sampled_from(["1", "0", "-3", "1e-3", "inf", "nan", "true", "false", "1979-05-27"]),
    )
    several = st.lists(simple, max_size=2).map(lambda items: f"[{', '.join(items)}]")
    values = st.one_of(simple, several, simple.map(lambda v: f"{{ loss = {v} }}"))
    lines = st.dictionaries(_said(), values, max_size=3)
    return lines.map(lambda d: "".join(f'"gradcheck_{k}" = {v}\n' for k, v in d.items()))


def command_lines() -> Any:
    """Options, with their value, after a space, or without one."""
    values = _texts().filter(lambda text: "\0" not in text)
    names = _said().map(lambda name: f"--gradcheck-{name.replace('_', '-')}")
    word = st.builds(
        lambda name, value, how: {0: [name], 1: [name, value]}.get(how, [f"{name}={value}"]),
        names,
        values,
        st.integers(0, 4),
    )
    override = st.builds(lambda n, v: ["-o", f"gradcheck_{n}={v}"], _said(), values)
    return st.lists(st.one_of(word, word, override), max_size=3).map(
        lambda words: [one for several in words for one in several]
    )


RUNS = st.one_of(
    st.fixed_dictionaries({"mark": marks()}),
    st.fixed_dictionaries({"ini": ini_files()}),
    st.fixed_dictionaries({"toml": toml_files()}),
    st.fixed_dictionaries({"line": command_lines()}),
    st.fixed_dictionaries({"mark": marks(), "ini": ini_files(), "line": command_lines()}),
)
"""What somebody may write to configure a run."""
TABLE = "[tool.pytest]" if pytest.version_tuple >= (9, 0) else "[tool.pytest.ini_options]"


def outcome(folder: Path, *, mark: str = "", ini: str = "", toml: str = "", line: Any = ()) -> str:
    """Run pytest so: it runs the tests, or says what is wrong, and never breaks down.

    Parameters
    ----------
    folder : Path
        Where all is put; what was there is deleted.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    marker = f"pytestmark = pytest.mark.gradcheck({mark})" if mark else ""
    (folder / "test_configured.py").write_text(MODULE.format(marks=marker), "utf-8")
    if toml:
        (folder / "pyproject.toml").write_text(f"{TABLE}\n{toml}", "utf-8")
    else:
        (folder / "pytest.ini").write_text(f"[pytest]\n{ini}", "utf-8")
    plain = ["-p", "no:cacheprovider", "-p", "pytest_gradcheck.plugin", "--import-mode=importlib"]
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        patch.chdir(folder)
        with redirect_stdout(said), redirect_stderr(said):
            status = pytest.main(["--rootdir", str(folder), *plain, *line, "test_configured.py"])
    sys.modules.pop("test_configured", None)  # the next run has another one of that name
    text = said.getvalue()
    allowed = {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.USAGE_ERROR}
    assert status in allowed, text
    assert "INTERNALERROR" not in text and "pytest_gradcheck/" not in text, text
    if status == pytest.ExitCode.USAGE_ERROR:
        assert "Traceback" not in text and len(text) > 10, text
        return "usage error"
    return "run"

"""The reference of all settings and options, read from the code that declares them.

A page has the comment ``<!-- settings -->`` where the settings of a check go, and
``<!-- options -->`` where the options of a run go.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
from dataclasses import dataclass, field
from typing import Any

from pytest_gradcheck import options
from pytest_gradcheck.settings import Settings, is_code_only


@dataclass
class Declared:
    """Stands in for pytest's parser and its option group: notes what is declared."""

    flags: dict[str, dict[str, Any]] = field(default_factory=dict)
    ini: dict[str, str] = field(default_factory=dict)

    def getgroup(self, *_: Any, **__: Any) -> Declared:
        return self

    def addoption(self, *names: str, **how: Any) -> None:
        self.flags[names[-1]] = how

    def addini(self, name: str, help: str, *_: Any, **__: Any) -> None:
        self.ini[name] = help


def declared() -> Declared:
    """All options and ini values of the plugin."""
    parser: Any = Declared()
    options.declare(parser)
    found: Declared = parser
    return found


def meanings() -> dict[str, tuple[str, str]]:
    """Type and meaning of every setting, from the docstring of `Settings`."""
    text = inspect.getdoc(Settings) or ""
    parameters = text.partition("Parameters\n----------\n")[2].partition("\n\n\n")[0]
    found: dict[str, tuple[str, str]] = {}
    for head, body in re.findall(r"^(\S.*) : .*\n((?:[ ]{4}.*\n?)+)", parameters, re.MULTILINE):
        kind = re.search(rf"^{re.escape(head)} : (.*)$", parameters, re.MULTILINE)
        assert kind is not None
        meaning = textwrap.dedent(body).strip()
        for name in head.split(", "):
            found[name] = (kind.group(1), meaning)
    return found


def default_of(setting: dataclasses.Field[Any]) -> str:
    """As it would be written."""
    if setting.default is dataclasses.MISSING:
        return "none"
    if setting.name == "confidence":
        return f"`1 - {1 - setting.default:.0e}`".replace("e-0", "e-")
    if isinstance(setting.default, float):
        return f"`{setting.default:.0e}`".replace("e-0", "e-")
    empty = setting.default is None or setting.default == ()
    return "none" if empty else f"`{setting.default!r}`"


def settings_page() -> str:
    """The settings of a check, as Markdown: a table, then each by itself."""
    known, told = declared(), meanings()
    rows = ["| setting | default | in short |", "| --- | --- | --- |"]
    sections = []
    for setting in dataclasses.fields(Settings):
        name, help = setting.name, setting.metadata["help"]
        kind, meaning = told[name]
        rows.append(f"| [`{name}`](#{name}) | {default_of(setting)} | {help} |")
        facts = {"Values": _code(kind), "Default": default_of(setting)}
        facts["Call and marker"] = f"`{name}=`"
        flag, ini = _flag(name), _ini(name)
        facts["Command line"] = f"`{flag}`" if flag in known.flags else "not there"
        facts["Ini file"] = f"`{ini}`" if ini in known.ini else "not there"
        if is_code_only(setting):
            facts["Command line"] = facts["Ini file"] = "an object: in code only"
        sections += [f"### {name}", "", meaning.replace("\n", " "), "", "```{container} setting"]
        sections += [f"{fact}\n: {value}\n" for fact, value in facts.items()]
        sections += ["```", ""]
    return "\n".join([*rows, "", *sections])


def options_page() -> str:
    """What is asked of a whole run, as Markdown."""
    known = declared()
    of_a_check = {_flag(f.name) for f in dataclasses.fields(Settings) if not is_code_only(f)}
    lines = []
    for flag, how in known.flags.items():
        if flag in of_a_check:
            continue
        value = how.get("metavar") or "|".join(map(str, how.get("choices", ())))
        may_be_bare = how.get("nargs") == "?"
        shown = f"[={value}]" if may_be_bare else f"={value}"
        ini = _ini(flag.removeprefix("--gradcheck-"))
        lines += [f"`{flag}{'' if 'action' in how else shown}`", f": {_sentence(how['help'])}"]
        lines += [f"  In the ini file: `{ini}`."] if ini in known.ini else []
        lines.append("")
    return "\n".join(lines)


def _flag(name: str) -> str:
    return f"--gradcheck-{name.replace('_', '-')}"


def _ini(name: str) -> str:
    return f"gradcheck_{name.replace('-', '_')}"


def _code(kind: str) -> str:
    """The choices of a setting as code."""
    return re.sub(r"\{(.*?)\}", lambda m: ", ".join(f"`{w}`" for w in m[1].split(", ")), kind)


def _sentence(text: str) -> str:
    text = text[0].upper() + text[1:]
    return text if text.endswith(".") else text + "."


def insert(app: Any, docname: str, source: list[str]) -> None:
    for mark, page in (("<!-- settings -->", settings_page), ("<!-- options -->", options_page)):
        if mark in source[0]:
            source[0] = source[0].replace(mark, page())


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", insert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

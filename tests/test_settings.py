"""Settings: keyword of the call > marker > command line > ini file > default."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from models import Mlp

from pytest_gradcheck import Settings, SettingsError, check

INNER = """
    import pytest
    from models import Mlp

    {marker}
    def test_net(gradcheck):
        print("chosen:", gradcheck(Mlp(), {call}).settings[{name!r}])
"""


def chosen(
    run: Any, pytester: pytest.Pytester, name: str, ini: Any, cli: Any, marker: Any, call: Any
) -> str:
    if ini is not None:
        pytester.makeini(f"[pytest]\ngradcheck_{name} = {ini}")
    source = INNER.format(
        name=name,
        marker=f"@pytest.mark.gradcheck({name}={marker!r})" if marker is not None else "",
        call=f"{name}={call!r}" if call is not None else "",
    )
    flag = [f"--gradcheck-{name.replace('_', '-')}={cli}"] if cli is not None else []
    result = run(source, "-s", *flag)
    result.assert_outcomes(passed=1)
    (line,) = (line for line in result.outlines if "chosen: " in line)
    return line.partition("chosen: ")[2]


@pytest.mark.parametrize(
    ("ini", "cli", "marker", "call", "expected"),
    [
        (None, None, None, None, 1e-7),
        (1e-2, None, None, None, 1e-2),
        (1e-2, 1e-3, None, None, 1e-3),
        (1e-2, 1e-3, 1e-4, None, 1e-4),
        (1e-2, 1e-3, 1e-4, 1e-5, 1e-5),
        (1e-2, None, 1e-4, None, 1e-4),
        (1e-2, None, None, 1e-5, 1e-5),
        (None, 1e-3, None, 1e-5, 1e-5),
        (None, 1e-3, None, None, 1e-3),
        (None, None, 1e-4, None, 1e-4),
        (None, None, None, 1e-5, 1e-5),
    ],
)
def test_inner_layers_win(
    run: Any,
    pytester: pytest.Pytester,
    ini: float | None,
    cli: float | None,
    marker: float | None,
    call: float | None,
    expected: float,
) -> None:
    assert float(chosen(run, pytester, "tol", ini, cli, marker, call)) == expected


# One name everywhere: as written in the ini file and on the command line, and as Python has it.
WRITTEN = [
    ("eps", "1e-6", "1e-06"),
    ("tol", "1e-6", "1e-06"),
    ("warn", "1e-4", "0.0001"),
    ("fail", "0.01", "0.01"),
    ("scheme", "forward", "forward"),
    ("refine", "no", "False"),
    ("refine", "true", "True"),
    ("freeze_rng", "on", "on"),
    ("worst", "3", "3"),
    ("allow", "kink", "('kink',)"),
    ("allow", "kink tied", "('kink', 'tied')"),
    ("allow", "kink, tied", "('kink', 'tied')"),
    ("allow", "kink,tied,", "('kink', 'tied')"),
    ("wrt", "W1, b1", "('W1', 'b1')"),
    ("hooks", "loss=loss grads=grads", "{'loss': 'loss', 'grads': 'grads'}"),
]


@pytest.mark.parametrize(("name", "written", "expected"), WRITTEN)
class TestEverySettingCanBeWrittenDown:
    def test_ini(
        self, run: Any, pytester: pytest.Pytester, name: str, written: str, expected: str
    ) -> None:
        assert chosen(run, pytester, name, written, None, None, None) == expected

    def test_command_line(
        self, run: Any, pytester: pytest.Pytester, name: str, written: str, expected: str
    ) -> None:
        assert chosen(run, pytester, name, None, written, None, None) == expected


def test_lists_stand_below_each_other_in_an_ini_file(run: Any, pytester: pytest.Pytester) -> None:
    assert (
        chosen(run, pytester, "allow", "\n  kink,\n  tied", None, None, None) == "('kink', 'tied')"
    )


def test_an_option_given_twice_adds_up(run: Any, pytester: pytest.Pytester) -> None:
    for name, words, expected in (
        ("allow", ("kink", "tied,coarse"), "('kink', 'tied', 'coarse')"),
        ("hooks", ("loss=loss", "grads=grads"), "{'loss': 'loss', 'grads': 'grads'}"),
    ):
        pytester.makeini(f"[pytest]\naddopts = --gradcheck-{name}={words[0]}")
        assert chosen(run, pytester, name, None, words[1], None, None) == expected


MODULE = """
    import pytest
    from models import Mlp

    pytestmark = pytest.mark.gradcheck(tol=1e-6, worst=2)

    def show(result):
        print("chosen:", [result.settings[name] for name in ("tol", "worst", "eps")])

    @pytest.mark.gradcheck(worst=3)
    class TestClass:
        @pytest.mark.gradcheck(eps=1e-6)
        def test_all(self, gradcheck):
            show(gradcheck(Mlp()))

        @pytest.mark.gradcheck(worst=4, tol=1e-5)
        def test_inner_wins(self, gradcheck):
            show(gradcheck(Mlp()))

    @pytest.mark.gradcheck(eps=1e-5)
    @pytest.mark.gradcheck(eps=1e-4, worst=5)
    def test_nearest_decorator_wins(gradcheck):
        show(gradcheck(Mlp()))

    def test_module_only(gradcheck):
        show(gradcheck(Mlp()))
"""


def test_markers_merge_key_by_key(run: Any) -> None:
    result = run(MODULE, "-s")
    result.assert_outcomes(passed=4)
    chosen = {line[line.index("[") :] for line in result.outlines if "chosen: " in line}
    assert chosen == {
        "[1e-06, 3, 1e-06]",
        "[1e-05, 4, 1e-07]",
        "[1e-06, 5, 0.0001]",
        "[1e-06, 2, 1e-07]",
    }


# Each impossible setting with what the message must contain.
IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"epsilon": 1e-7}, "unknown setting 'epsilon'"),
    ({"tolerance": 1e-7}, "unknown setting 'tolerance'; did you mean 'tol'?"),
    ({"worts": 3}, "did you mean 'worst'"),
    ({"eps": 0}, "eps=0: must be positive"),
    ({"eps": -1e-7}, "eps=-1e-07: must be positive"),
    ({"eps": float("nan")}, "eps=nan"),
    ({"eps": float("inf")}, "eps=inf"),
    ({"eps": "1e-7"}, "eps='1e-7': must be a number, not str"),
    ({"eps": True}, "eps=True: must be a number"),
    ({"tol": 1.5}, "tol=1.5: must be in (0, 1]"),
    ({"tol": 0.0}, "tol=0.0: must be in (0, 1]"),
    ({"tol": float("nan")}, "tol=nan"),
    ({"tol": [1e-7]}, "must be a number, not list"),
    ({"warn": -1}, "warn=-1"),
    ({"fail": 2}, "fail=2"),
    ({"warn": 1e-2, "fail": 1e-3}, "warn=0.01 lies above fail=0.001"),
    ({"scheme": "centered"}, "scheme='centered': must be one of central, forward"),
    ({"refine": "yes"}, "refine='yes': must be True or False"),
    ({"freeze_rng": "maybe"}, "freeze_rng='maybe': must be one of auto, on, off"),
    ({"worst": 0}, "worst=0"),
    ({"worst": 2.5}, "worst=2.5"),
    ({"allow": "dropout"}, "allow='dropout': no such finding"),
    ({"allow": 3}, "allow=3"),
    ({"hooks": "loss=forward"}, "hooks='loss=forward': must be a mapping"),
    ({"hooks": {"lost": "forward"}}, "hooks: 'lost' is not one of params, grads, loss"),
    ({"hooks": {"loss": 3}}, "must be the name of an attribute"),
    ({"order": 3}, "order=3: must be 1 or 2"),
    ({"wrt": [1]}, "wrt=[1]: must be names of parameters or inputs"),
    ({"before_each": "reset"}, "before_each='reset': must be a function"),
]


@pytest.mark.parametrize(("given", "message"), IMPOSSIBLE, ids=str)
class TestImpossibleValues:
    def test_in_the_call(self, given: dict[str, Any], message: str) -> None:
        with pytest.raises(SettingsError) as caught:
            check(Mlp(), **given)
        assert message in str(caught.value)

    def test_in_the_fixture(self, gradcheck: Any, given: dict[str, Any], message: str) -> None:
        with pytest.raises(SettingsError) as caught:
            gradcheck(Mlp(), **given)
        assert message in str(caught.value)


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("tolerance=1e-6", "unknown setting 'tolerance'"),
        ("worts=3", "did you mean 'worst'"),
        ("eps=0", "eps=0: must be positive"),
        ("tol='tight'", "tol='tight': must be a number, not str"),
        ("1e-7", "got 1e-07 without a name"),
        ("1e-7, 1e-3", "got 1e-07 without a name"),
        ("warn=1e-2, fail=1e-3", "warn=0.01 lies above fail=0.001"),
    ],
)
@pytest.mark.parametrize("use", ["fixture", "returned"])
def test_mistake_in_a_marker_fails_that_test_alone(
    run: Any, marker: str, message: str, use: str
) -> None:
    argument, end = ("gradcheck", "gradcheck(Mlp())") if use == "fixture" else ("", "return Mlp()")
    result = run(
        f"""
        import pytest
        from models import Mlp

        @pytest.mark.gradcheck({marker})
        def test_mistaken({argument}):
            {end}

        def test_other(gradcheck):
            gradcheck(Mlp())
        """
    )
    outcomes = result.parseoutcomes()
    assert outcomes.pop("passed") == 1
    assert list(outcomes.values()) == [1] and set(outcomes) <= {"failed", "error", "errors"}
    assert message in result.stdout.str()
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*pytest_gradcheck/*.py*")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--gradcheck-tolerance=1", "unrecognized arguments"),
        ("--gradcheck-tol=tight", "--gradcheck-tol"),
        ("--gradcheck-tol=2", "tol=2.0: must be in (0, 1]"),
        ("--gradcheck-eps=0", "eps=0.0: must be positive"),
        ("--gradcheck-eps=nan", "eps=nan"),
        ("--gradcheck-scheme=centered", "centered"),
        ("--gradcheck-freeze-rng=maybe", "maybe"),
        ("--gradcheck-refine=perhaps", "'perhaps' is neither yes nor no"),
        ("--gradcheck-worst=0", "worst=0"),
        ("--gradcheck-worst=many", "--gradcheck-worst"),
        ("--gradcheck-allow=dropout", "allow='dropout': no such finding"),
        ("--gradcheck-hooks=forward", "'forward' is not of the form hook=name"),
        ("--gradcheck-hooks=lost=forward", "'lost' is not one of"),
        ("--gradcheck-json=", "--gradcheck-json= is empty"),
        ("--gradcheck-summary=-1", "-1 is no number of lines"),
        ("--gradcheck-summary=1.5", "1.5 is no number of lines"),
    ],
)
def test_mistake_on_the_command_line_is_one_usage_error(
    run: Any, option: str, message: str
) -> None:
    assert_usage_error(run("def test_nothing(): pass", option), message)


def assert_usage_error(result: pytest.RunResult, message: str) -> None:
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert len([line for line in result.errlines if message in line]) == 1, result.errlines
    both = result.stdout.str() + result.stderr.str()
    assert "INTERNALERROR" not in both and "Traceback" not in both


# As an ini file has it, as native TOML has it, and what the message must contain.
MISTAKES = [
    ("gradcheck_tol", "2", "2", "must be in (0, 1]"),
    ("gradcheck_tol", "banana", '"banana"', "gradcheck_tol"),
    ("gradcheck_eps", "-1", "-1.0", "must be positive"),
    ("gradcheck_eps", "nan", "nan", "eps=nan"),
    ("gradcheck_worst", "0", "0", "worst=0"),
    ("gradcheck_worst", "many", '"many"', "gradcheck_worst"),
    ("gradcheck_scheme", "centered", '"centered"', "must be one of central, forward"),
    ("gradcheck_refine", "perhaps", '"perhaps"', "gradcheck_refine"),
    ("gradcheck_freeze_rng", "maybe", '"maybe"', "must be one of auto, on, off"),
    ("gradcheck_allow", "dropout", '["dropout"]', "no such finding"),
    ("gradcheck_hooks", "forward", '["forward"]', "not of the form hook=name"),
    ("gradcheck_hooks", "lost=forward", '["lost=forward"]', "'lost' is not one of"),
    ("gradcheck_worts", "3", "3", "did you mean 'worst'"),
    ("gradcheck_tolerance", "1", "1", "unknown setting 'tolerance'; did you mean 'tol'?"),
    ("gradcheck_summary", "3", "3", "an option of the command line alone"),
    ("gradcheck_zoom", "3", "3", "study, progress, executor, json, html"),
]
FILES = {
    "pytest.ini": "[pytest]\n{name} = {ini}",
    "pyproject.toml": "[tool.pytest.ini_options]\n{name} = {ini!r}",
}
if pytest.version_tuple >= (9, 0):
    FILES |= {
        "native pyproject.toml": "[tool.pytest]\n{name} = {toml}",
        "pytest.toml": "[pytest]\n{name} = {toml}",
    }


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(("name", "ini", "toml", "message"), MISTAKES)
def test_mistake_in_an_ini_file_is_one_usage_error(
    run: Any, pytester: pytest.Pytester, file: str, name: str, ini: str, toml: str, message: str
) -> None:
    text = FILES[file].format(name=name, ini=ini, toml=toml)
    (pytester.path / file.split()[-1]).write_text(text)
    result = run("def test_nothing(): pass")
    assert_usage_error(result, name)
    assert_usage_error(result, message)


@pytest.mark.parametrize("name", ["gradcheck_worts", "gradcheck_tolerance"])
def test_misspelt_override_is_a_usage_error(run: Any, name: str) -> None:
    assert_usage_error(run("def test_nothing(): pass", "-o", f"{name}=1"), name)


def test_ini_value_of_another_plugin_is_none_of_ours(run: Any, pytester: pytest.Pytester) -> None:
    pytester.makeconftest("def pytest_addoption(parser): parser.addini('gradcheck_torch_on', '')")
    pytester.makeini("[pytest]\ngradcheck_torch_on = cpu")
    run("def test_nothing(): pass").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("table", "lines"),
    [
        ("[tool.pytest.ini_options]", 'gradcheck_tol = "1e-6"'),
        ("[tool.pytest.ini_options]", "gradcheck_tol = 1e-6"),
        *([("[tool.pytest]", "gradcheck_tol = 1e-6")] if pytest.version_tuple >= (9, 0) else []),
    ],
)
def test_number_in_pyproject(run: Any, pytester: pytest.Pytester, table: str, lines: str) -> None:
    pytester.makepyprojecttoml(f"{table}\n{lines}")
    assert float(chosen(run, pytester, "tol", None, None, None, None)) == 1e-6


def test_whole_number_in_toml_is_a_float(run: Any, pytester: pytest.Pytester) -> None:
    table = "[tool.pytest]" if pytest.version_tuple >= (9, 0) else "[tool.pytest.ini_options]"
    pytester.makepyprojecttoml(f"{table}\ngradcheck_tol = 1")
    assert chosen(run, pytester, "tol", None, None, None, None) == "1.0"


def test_ini_value_can_be_overridden_by_o(run: Any, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ngradcheck_worst = 4")
    run(
        INNER.format(marker="", call="", name="worst"), "-s", "-o", "gradcheck_worst=6"
    ).stdout.fnmatch_lines(["*chosen: 6*"])


@pytest.mark.parametrize("number", [np.float64(1e-6), np.float32(1e-6), np.float16(1e-3)])
def test_numpy_numbers_are_numbers(number: Any) -> None:
    assert check(Mlp(), tol=number).settings["tol"] == float(number)


def test_unset_is_none() -> None:
    assert check(Mlp(), tol=None).settings["tol"] == 1e-7


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Settings().tol = 1e-6  # type: ignore[misc]


def test_settings_do_not_leak_from_one_run_into_the_next(
    run: Any, pytester: pytest.Pytester
) -> None:
    """Several runs in one interpreter, the last of them as bare as the first."""
    source = INNER.replace("settings[{name!r}]", "settings")
    bare = source.format(marker="", call="")

    def told(text: str, *options: str) -> str:
        result = run(text, "-s", *options)
        result.assert_outcomes(passed=1)
        return str(result.stdout).partition("chosen: ")[2].partition("\n")[0]

    first = told(bare)
    pytester.makeini("[pytest]\ngradcheck_tol = 1e-3\ngradcheck_hooks = losses=none\n")
    ini = told(bare, "--gradcheck-json=r.json", "--gradcheck-progress=off")
    (pytester.path / "tox.ini").unlink()
    (pytester.path / "r.json").unlink()
    line = told(bare, "--gradcheck-worst=3", "--gradcheck-allow=kink", "--gradcheck-summary")
    marker = told(source.format(marker="@pytest.mark.gradcheck(eps=1e-5, seed=3)", call="warn=0.1"))
    assert len({first, ini, line, marker}) == 4
    assert told(bare) == first
    assert not (pytester.path / "r.json").exists()


def test_defaults() -> None:
    assert Settings().written() == {
        **{"eps": 1e-7, "tol": 1e-7, "warn": 1e-5, "fail": 1e-3},
        **{"scheme": "central", "refine": True, "mode": "auto", "confidence": 1 - 1e-6},
        **{"max_evaluations": None, "seed": None, "freeze_rng": "auto", "worst": 10},
        **{"allow": (), "hooks": {}, "wrt": (), "forward_ad": False, "order": 1},
        **{"nondet_tol": None, "batched_grad": False, "float64": True},
        **{"train": None, "lr": 0.1, "points": 0, "study": False},
    }
    assert Settings().before_each is None and Settings().executor is None


@pytest.mark.parametrize(
    "given",
    [
        *({"tol": 1.0}, {"fail": 1.0, "warn": 1.0}, {"confidence": 0.5}, {"max_evaluations": 1}),
        *({"seed": 0}, {"worst": 1}, {"order": 2}, {"nondet_tol": 0}, {"nondet_tol": 0.5}),
        *({"train": 1}, {"points": 0}, {"eps": 5.0}, {"lr": 2.0}),
    ],
    ids=str,
)
def test_the_last_possible_values(given: dict[str, Any]) -> None:
    written = Settings(**given).written()
    assert {name: written[name] for name in given} == given


def test_numbers_of_numpy_are_numbers() -> None:
    names = ("max_evaluations", "seed", "worst", "train", "points", "order")
    made = Settings(
        **dict.fromkeys(names, np.int64(2)), tol=np.float32(0.5), nondet_tol=np.float32(0)
    )
    written = made.written()
    assert [type(written[name]) for name in names] == [int] * len(names)
    assert json.loads(json.dumps(written))["nondet_tol"] == 0


@pytest.mark.parametrize(
    "given",
    [
        *({"tol": 1.01}, {"fail": 1.5}, {"confidence": 0.49}, {"confidence": 1.0}),
        *({"max_evaluations": 0}, {"seed": -1}, {"worst": 0}, {"order": 0}, {"order": 3}),
        *({"order": True}, {"nondet_tol": -1.0}, {"train": 0}, {"points": -1}, {"eps": 0.0}),
        *({"eps": np.inf}, {"lr": 0}, {"lr": 10**400}, {"worst": True}, {"study": 1}),
    ],
    ids=str,
)
def test_the_first_impossible_values(given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(SettingsError, match=name):
        Settings(**given)

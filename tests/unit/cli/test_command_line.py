"""Help, JSON, logs, search, short options: alike for all commands."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from gapslsim.cli.json_output import print_json
from gapslsim.cli.main import COMMANDS, load_command, main
from gapslsim.results.place import told_apart
from gapslsim.scenario.loading import load
from gapslsim.scenario.resets import resets

BROKEN = "--set=framework.etta=1"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err  # type: ignore[return-value]

    return run


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_help_shows_every_default_and_minus_h_is_help(call: Any, name: str) -> None:
    code, out, _ = call(name, "-h")
    assert code == 0
    shown = re.sub(r"[│\s]+", "", out)
    for parameter in load_command(name).params:
        for told in re.findall(r"default: [^\]]+\]", (parameter.help or "")):
            assert re.sub(r"\s+", "", told) in shown


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_where_something_is_written_the_options_are_out_and_o(name: str) -> None:
    options = [set(parameter.opts) for parameter in load_command(name).params]
    assert all({"-o", "--out"} <= each for each in options if each & {"-o", "--out", "--output"})


def test_every_line_of_help_holds_in_80_columns(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for arguments in (
        [],
        ["run"],
        ["sweep"],
        ["validate"],
        ["list", "framework"],
        ["show", "framework", "parallel"],
    ):
        out = call(*arguments, *([] if arguments[:1] in (["list"], ["show"]) else ["--help"]))[1]
        assert max(map(len, out.splitlines())) <= 80
        assert "…" not in out


def test_problems_come_as_json_with_the_exit_code_of_words(call: Any) -> None:
    code, out, err = call("validate", "quickstart", BROKEN, "--json")
    (problem,) = json.loads(out)["problems"]
    assert (code, err) == (2, "")
    assert problem["path"] == "framework.etta"
    assert "Did you mean 'eta'?" in problem["message"]
    code, out, _ = call("validate", "quickstart", "--quick", "--json")
    assert code == 0
    assert (json.loads(out)["problems"], json.loads(out)["n_clients"]) == ([], 10)


def test_lists_and_components_come_as_json(call: Any) -> None:
    assert set(json.loads(call("list", "partition", "--json")[1])["partition"]) >= {"iid", "dirichlet"}
    eta = json.loads(call("show", "framework", "gapsl", "--json")[1])["settings"]["eta"]
    assert (eta["takes"].split()[0], eta["default"]) == ("number", "0.1")
    assert json.loads(call("show", "link", "lte", "--json")[1])["latency"] == "17 ms"
    assert json.loads(call("show", "scenario", "quickstart", "--json")[1])["name"] == "quickstart"
    assert json.loads(call("show", "device", "jetson-nano", "--json")[1])["name"] == "jetson-nano"
    assert call("show", "framework", "gapsll", "--json")[0] == 2


def test_json_has_null_where_there_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [float("nan"), 1.5], 2: Path("x")})
    assert json.loads(capsys.readouterr().out) == {"a": [None, 1.5], "2": "x"}


def test_a_list_is_searched_by_name_and_sentence(call: Any) -> None:
    code, out, _ = call("list", "--search", "dirichlet")
    assert code == 0
    assert "dirichlet" in out
    assert "jetson-nano" not in out
    code, _, err = call("list", "device", "-s", "zebra")
    assert code == 2
    assert "no device has 'zebra' in its name" in err


@pytest.fixture
def _no_log_left() -> Any:
    yield
    for name in ("gapslsim", "py.warnings"):
        logger = logging.getLogger(name)
        for handler in logger.handlers:
            handler.close()
        logger.handlers, logger.propagate = [], True
        logger.setLevel(logging.NOTSET)
    logging.captureWarnings(False)


@pytest.mark.usefixtures("_no_log_left")
def test_a_log_tells_the_call_its_errors_and_its_end(call: Any, tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    code, _, err = call("-v", "--log", str(file), "validate", "quickstart", BROKEN)
    assert code == 2
    for told in (file.read_text(), err):
        assert re.search(r"INFO gapslsim \d+\.\d+", told)
        assert "Traceback" in told
        assert f"validate quickstart {BROKEN}: exit code 2 after" in told
    code, _, err = call("--log", str(tmp_path / "no" / "x"), "list")
    assert code == 2
    assert "cannot be written" in err


def test_without_asking_nothing_is_logged(call: Any) -> None:
    assert call("validate", "quickstart", "--quick")[2] == ""


def test_completion_knows_the_options_of_commands(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_GAPSLSIM_COMPLETE", "complete_bash")
    for words, expected in (("gapslsim val", "validate"), ("gapslsim sweep --for", "--force")):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        assert expected in call()[1]


def test_an_override_that_resets_tuned_settings_says_so(tmp_path: Path) -> None:
    file = tmp_path / "tuned.yaml"
    file.write_text("name: tuned\nbase: quickstart\nframework: {kind: gapsl, eta: 0.5}\n")

    def told(*overrides: str) -> list[str]:
        return list(resets(file, overrides, load(file, set=overrides)))

    (note,) = told("framework=gapsl")
    assert note.startswith("--set framework=gapsl replaces all of framework: eta was 0.5 and is 0.1.")
    (note,) = told("training.client={optimizer: sgd, lr: 0.2}")
    assert "momentum was 0.9 and is 0.0" in note
    assert told("framework.eta=0.3", "framework=psl", "clients.*.link=5g", "stop={rounds: 3}") == []


def test_runs_are_told_apart_by_what_they_have_unlike_the_others() -> None:
    one = "name: a\nclients:\n- link: {uplink: {kind: constant, rate: 5 Mbit/s}}\n- {cut: 1}\n"
    two = one.replace("5 Mbit/s", "6 Mbit/s").replace("name: a", "name: b")
    assert told_apart([one, two]) == ["uplink=5 Mbit/s", "uplink=6 Mbit/s"]
    assert told_apart([one, one]) == ["", ""]

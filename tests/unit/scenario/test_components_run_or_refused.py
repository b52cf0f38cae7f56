"""When the Python that a scenario names is run, that it is said, how it is refused, and that it ends nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gapslsim.cli.main import main
from gapslsim.errors import ComponentError
from gapslsim.own_components import REFUSED, load_components
from gapslsim.results.store import write_results
from gapslsim.scenario.loading import loads

MARKS = "from pathlib import Path\nPath(__file__ + '.was-run').touch()\n"
QUICKSTART = (Path(__file__).parents[3] / "scenarios" / "quickstart.yaml").read_text()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A file that leaves a mark where it is run."""
    (tmp_path / "mine.py").write_text(MARKS)
    (tmp_path / "s.yaml").write_text(QUICKSTART + "\ncomponents: [mine.py]\n")
    return tmp_path / "mine.py"


def was_run(own: Path) -> bool:
    mark = own.with_name(own.name + ".was-run")
    found = mark.exists()
    mark.unlink(missing_ok=True)
    return found


def called(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, arguments)))
    return int(ended.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize("command", ["validate", "run", "plan", "show scenario", "list --components"])
@pytest.mark.parametrize("how", ["before", "behind", "environment"])
def test_no_command_runs_components_where_they_are_refused(
    command: str, how: str, own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = own if command.startswith("list") else own.with_name("s.yaml")
    given = [*command.split(), str(target)]
    if how == "environment":
        monkeypatch.setenv(REFUSED, "1")
    else:
        given = ["--no-components", *given] if how == "before" else [*given, "--no-components"]
    code, said = called(capsys, *given)
    assert code == 2 or command == "show scenario"  # which prints the file and loads nothing
    assert not was_run(own)
    assert "was not run, as --no-components" in said or command == "show scenario"


def test_the_option_holds_for_one_call_and_for_its_workers_alone(own: Path, capsys) -> None:
    called(capsys, "validate", own.with_name("s.yaml"), "--no-components")
    assert os.environ.get(REFUSED, "") == ""
    called(capsys, "validate", own.with_name("s.yaml"))
    assert was_run(own)


def test_the_file_that_is_run_is_named_on_the_error_output(own: Path, capsys) -> None:
    _, said = called(capsys, "validate", own.with_name("s.yaml"))
    assert f"Runs the Python of {own}; --no-components runs none." in said


def test_python_code_that_loads_a_scenario_is_told_nothing(own: Path, capsys) -> None:
    with pytest.raises(ComponentError, match="registers nothing"):
        load_components(str(own))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_module_that_registers_nothing_is_refused_every_time(
    times: int, tmp_path: Path, monkeypatch
) -> None:
    (tmp_path / "registers_nothing_at_all.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        for _ in range(times):
            with pytest.raises(ComponentError, match="registers nothing"):
                load_components("registers_nothing_at_all")
    finally:
        sys.modules.pop("registers_nothing_at_all", None)


@pytest.mark.parametrize(
    "code",
    ["import sys\nsys.exit(0)", "raise SystemExit", "raise GeneratorExit", "raise BaseException('x')",
     "class Mine(KeyboardInterrupt):\n    pass\nraise Mine"],
)  # fmt: skip
def test_what_would_end_the_program_becomes_a_sentence_with_its_line(code: str, tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text("\n" + code + "\n")
    line = 1 + len(code.splitlines())
    with pytest.raises(ComponentError, match=rf"ends.py cannot be used: line {line}: "):
        load_components(str(tmp_path / "ends.py"))


def test_ctrl_c_is_still_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load_components(str(tmp_path / "ends.py"))


def test_reading_results_runs_no_component_that_they_name(own: Path, make_results, tmp_path, capsys) -> None:
    text = f"name: tiny\ncomponents: [{own}]\n"
    write_results(make_results(scenario_yaml=text), tmp_path / "run")
    for command in ("compare", "report", "trace"):
        out = ["-o", str(tmp_path / f"{command}.{'json' if command == 'trace' else 'html'}")]
        code, said = called(capsys, command, tmp_path / "run", *(out if command != "compare" else []))
        assert code == 0, said
        assert not was_run(own)


def test_a_scenario_in_python_is_refused_by_the_variable_too(own: Path, monkeypatch) -> None:
    monkeypatch.setenv(REFUSED, "1")
    with pytest.raises(Exception, match="was not run, as --no-components"):
        loads(QUICKSTART + f"\ncomponents: [{own}]\n")
    assert not was_run(own)

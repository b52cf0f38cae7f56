from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, Literal

import pytest

from gapslsim.cli.main import main
from gapslsim.errors import DataError, GapslsimError, MemoryShortError, NumericalError, Problem, ScenarioError
from gapslsim.faults import may_interrupt
from gapslsim.records import Progress
from gapslsim.registry import component
from gapslsim.results.results import Results
from gapslsim.results.store import load_results, load_summary, write_results


@component
class _Framework:
    kind: Literal["gapsl"] = "gapsl"


def _raised(error: BaseException) -> None:
    raise error


@pytest.fixture
def command(monkeypatch, tmp_path, results, capsys) -> Callable[..., SimpleNamespace]:
    """Calls `gapslsim` in an empty directory with a `simulate` that does what it is told."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, outcome: Any = results) -> SimpleNamespace:
        seen: dict[str, Any] = {}

        def load(path: str, *, set: Any = (), deep: bool = False, dry: bool = False) -> Any:
            seen.update(path=path, set=list(set), deep=deep)
            if isinstance(outcome, ScenarioError):
                raise outcome
            made = getattr(outcome, "results", outcome)
            text = made.scenario_yaml if isinstance(made, Results) else "name: tiny\n"
            training = SimpleNamespace(device="cpu")
            return SimpleNamespace(name="tiny", seed=7, framework=_Framework(), training=training, text=text)

        def simulate(
            scenario: Any,
            *,
            dry: bool = False,
            observer: Any = None,
            journal: Any = None,
            models: bool = False,
            track: Any = (),
            scratch: Any = None,
        ) -> Any:
            seen.update(dry=dry, simulated=True, journal=journal)
            if isinstance(outcome, KeyboardInterrupt):
                may_interrupt(_raised)(outcome)  # As Ctrl-C, and not as a component.
            if isinstance(outcome, BaseException):
                raise outcome
            if observer is not None:
                observer(Progress(1, 2, 5.0, 0.5, {}, 0.1, 0.5))
            return outcome

        for name, functions in (
            ("gapslsim.scenario.loading", {"load": load}),
            ("gapslsim.scenario.resets", {"resets": lambda path, changes, loaded: ()}),
            ("gapslsim.scenario.dumping", {"dump": lambda scenario: scenario.text}),
            ("gapslsim.run", {"simulate": simulate}),
        ):
            module = ModuleType(name)
            module.__dict__.update(functions)
            monkeypatch.setitem(sys.modules, name, module)
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        printed = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code or 0, out=printed.out, err=printed.err, seen=seen)

    return call


def test_a_run_prints_the_table_and_the_place_and_leaves_a_run_directory(command, results):
    done = command("run", "tiny.yaml")
    assert done.code == 0
    assert "Where the time went" in done.out
    assert "Written to runs/tiny-gapsl-seed7" in done.out
    assert "replaced" not in done.out
    assert "\x1b" not in done.out + done.err
    assert done.err == "round 1/2, simulated 5.00 s, 0:00 left\n"
    assert load_results("runs/tiny-gapsl-seed7").summary == results.summary


def test_options_reach_the_scenario_and_the_simulation(command):
    done = command(
        "run",
        "a.yaml",
        "--set",
        "seed=7",
        "--set",
        "stop.rounds=3",
        "--no-journal",
        "--device",
        "cpu",
        "-o",
        "x",
    )
    assert done.code == 0
    assert done.seen == {
        "path": "a.yaml",
        "set": ["seed=7", "stop.rounds=3", "training.device=cpu"],
        "deep": True,
        "dry": False,
        "journal": None,
        "simulated": True,
    }
    assert load_summary("x")["name"] == "tiny"


def test_quiet_prints_the_directory_and_nothing_else(command):
    done = command("run", "a.yaml", "--quiet")
    assert (done.out, done.err) == ("runs/tiny-gapsl-seed7\n", "")


def test_the_same_run_is_found_and_not_run_again_unless_forced(command):
    command("run", "a.yaml")
    again = command("run", "a.yaml")
    assert again.code == 0
    assert "already there: runs/tiny-gapsl-seed7. Nothing was run; --force runs it again" in again.out
    assert "simulated" not in again.seen
    assert command("run", "a.yaml", "--quiet").out == "runs/tiny-gapsl-seed7\n"
    assert "(the earlier run there was replaced)" in command("run", "a.yaml", "--force").out


def test_another_scenario_goes_elsewhere_named_by_what_was_changed(command, make_results, tmp_path):
    first = make_results(scenario_yaml="name: tiny\nclients:\n- link: 4g\n- link: 4g\n")
    other = make_results(scenario_yaml="name: tiny\nclients:\n- link: 5g\n- link: 5g\n")
    third = make_results(scenario_yaml="name: tiny\nclients:\n- link: 4g\n- link: 6g\n")
    command("run", "a.yaml", outcome=first)
    before = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    changed = ("run", "a.yaml", "-q", "--set", "clients.*.link=5g", "--set", "seed=7")
    assert command(*changed, outcome=other).out == "runs/tiny-gapsl-seed7-link=5g\n"
    # The file itself was changed.
    assert command("run", "a.yaml", "-q", outcome=third).out == "runs/tiny-gapsl-seed7-link=6g\n"
    for earlier, place in ((first, ""), (other, "-link=5g"), (third, "-link=6g")):
        assert command("run", "b.yaml", "-q", outcome=earlier).out == f"runs/tiny-gapsl-seed7{place}\n"
    assert (
        before.items() <= {p: p.read_bytes() for p in (tmp_path / "runs").rglob("*") if p.is_file()}.items()
    )


def test_a_given_directory_with_another_run_is_replaced_only_by_force(command, make_results, tmp_path):
    command("run", "a.yaml", "-o", "x", outcome=make_results(scenario_yaml="link: 4g\n"))
    (tmp_path / "x" / "notes.txt").write_text("mine")
    other = make_results(scenario_yaml="link: 5g\n")
    refused = command("run", "a.yaml", "-o", "x", outcome=other)
    assert refused.code == 2
    assert "x holds another run (tiny-gapsl-seed7; this one has link=5g); give another" in refused.err
    assert "simulated" not in refused.seen
    assert load_results("x").scenario_yaml == "link: 4g\n"
    assert command("run", "a.yaml", "-o", "x", "--force", outcome=other).code == 0
    assert load_results("x").scenario_yaml == "link: 5g\n"
    assert (tmp_path / "x" / "notes.txt").read_text() == "mine"


def test_a_run_that_was_cut_off_is_gone_on_with_or_begun_anew_as_asked(command, make_results):
    cut = make_results(status="interrupted", stopped_by="")
    command("run", "a.yaml", outcome=cut)
    refused = command("run", "a.yaml")
    assert refused.code == 2
    assert "holds this run already, but it ended as interrupted; go on with --resume, or begin" in refused.err
    assert command("run", "a.yaml", "--resume").code == 0
    assert load_summary("runs/tiny-gapsl-seed7")["status"] == "completed"


def test_runs_and_comparisons_come_as_json(command, make_results):
    outcomes = [make_results(scenario_yaml=f"clients:\n- link: {link}\n") for link in ("4g", "5g", "5g")]
    told = []
    for outcome in outcomes:
        done = command("run", "a.yaml", "--json", outcome=outcome)
        assert (done.code, done.err) == (0, "")
        told.append(json.loads(done.out))
    assert [each["was_there"] for each in told] == [False, False, True]
    assert told[1]["summary"] == told[2]["summary"] == json.loads(json.dumps(outcomes[1].summary))
    compared = command("compare", told[0]["directory"], told[1]["directory"], "--json", "-o", "table.md")
    assert [row["run"] for row in json.loads(compared.out)["rows"]] == ["gapsl, link=4g", "gapsl, link=5g"]
    assert compared.err == "Table written to table.md\n"


def test_a_dry_run_has_a_directory_of_its_own(command, make_results):
    command("run", "a.yaml")
    dry = command("run", "a.yaml", "--dry", "-q", outcome=make_results(dry=True))
    assert dry.out == "runs/tiny-gapsl-seed7-dry\n"
    assert not load_summary("runs/tiny-gapsl-seed7")["dry"]


def test_a_run_of_another_version_is_told_and_kept(command, tmp_path):
    command("run", "a.yaml")
    file = tmp_path / "runs" / "tiny-gapsl-seed7" / "provenance.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"gapslsim": "0.0.1"}))
    done = command("run", "a.yaml")
    assert done.code == 2
    assert "holds this run, made by gapslsim 0.0.1; this is" in done.err


def test_a_place_that_is_taken_is_refused_before_anything_is_simulated(command, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "thesis.tex").write_text("precious")
    done = command("run", "a.yaml", "--out", "x")
    assert done.code == 2
    assert "x is not empty and holds no run of gapslsim; give another directory with --out" in done.err
    assert "simulated" not in done.seen


def test_an_interrupted_run_is_written_and_ends_with_130(command, make_results):
    done = command("run", "a.yaml", outcome=make_results(status="interrupted", stopped_by=""))
    assert done.code == 130
    assert "interrupted" in done.out
    assert load_results("runs/tiny-gapsl-seed7").summary["status"] == "interrupted"


def test_an_interruption_before_the_first_round_writes_nothing(command, tmp_path):
    done = command("run", "a.yaml", outcome=KeyboardInterrupt())
    assert done.code == 130
    assert "Nothing was written" in done.err
    assert not (tmp_path / "runs").exists()


def test_a_numerical_failure_leaves_what_there_is_and_ends_with_1(command, make_results):
    error = NumericalError("round 3, client 1: the loss is NaN; lower the learning rate")
    error.results = make_results(status=f"failed: {error}")
    done = command("run", "a.yaml", outcome=error)
    assert done.code == 1
    assert "the loss is NaN; lower the learning rate" in done.err
    assert "Traceback" not in done.err
    assert load_summary("runs/tiny-gapsl-seed7")["status"].startswith("failed: round 3")


def test_a_numerical_failure_without_results_writes_nothing(command, tmp_path):
    assert command("run", "a.yaml", outcome=NumericalError("NaN")).code == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ScenarioError([Problem("framework.etta", "unknown key.")]), 2),
        (DataError("no data set here; get it there"), 2),
        (MemoryShortError("2 GB short"), 2),
        (GapslsimError("something at run time"), 1),
    ],
)
def test_errors_are_words_with_an_exit_code_and_nothing_is_written(command, tmp_path, error, code):
    done = command("run", "a.yaml", outcome=error)
    assert done.code == code
    assert str(error) in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "runs").exists()


def test_compare_prints_a_table_and_writes_markdown_and_a_picture(command, make_results, tmp_path):
    write_results(make_results(), tmp_path / "a")
    write_results(make_results(framework="psl"), tmp_path / "b")
    done = command("compare", "a", "b", "-o", "docs/table.md", "--plot", "plot.png")
    assert done.code == 0
    assert "gapsl" in done.out
    assert "psl" in done.out
    assert (tmp_path / "docs" / "table.md").read_text().startswith("| run | global | clients |")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_compare_of_what_is_no_run_ends_with_2(command, tmp_path):
    done = command("compare", str(tmp_path))
    assert done.code == 2
    assert "is no run directory" in done.err


def test_the_command_line_loads_no_torch_before_a_run_starts():
    code = (
        "import sys, gapslsim.cli.main, gapslsim.cli.run, gapslsim.cli.compare, gapslsim.cli.progress;"
        "print('torch' in sys.modules, 'pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"

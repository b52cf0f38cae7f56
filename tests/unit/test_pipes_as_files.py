"""A pipe where a file should be is refused in words by every command, and nobody waits for its writer."""

from __future__ import annotations

import ast
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import gapslsim
from gapslsim.cli.main import main
from gapslsim.results.store import write_results
from gapslsim.results.study import RunRecord, StudyRecord, read_study, write_study
from gapslsim.studies._execute import Outcome
from gapslsim.studies._runs import _write
from tests.study_files import BASE, STUDY

HERE = Path(gapslsim.__file__).parent
OTHERS = {
    "kernels.py": "/proc", "measuring/meter.py": "/sys", "measuring/machine.py": "/proc", "torch_device.py": "/proc",
    "results/provenance.py": "/proc", "locks.py": "/proc", "learning/journal/compatibility.py": "/proc, own code",
    "cache.py": "own code", "cli/new.py": "own templates", "cli/reference.py": "own pages",
    "cli/import_log.py": "a table that was found to be a file", "unpacking.py": "looked at before",
    "regular_files.py": "it is the one",
}  # fmt: skip
"""Files of the package that open files themselves, and which."""


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    """Who waits for a pipe is woken up by an error."""

    def woken(*_: object) -> None:
        raise AssertionError("it waits for the pipe")

    before = signal.signal(signal.SIGALRM, woken)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def called(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, arguments)))
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), " ".join((out + err).split())


@pytest.mark.parametrize(
    "command",
    ["validate {}.yaml", "run {}.yaml", "sweep {}.yaml", "plan {}.yaml", "calibrate {}.csv -o p.yaml",
     "import ping {}.txt -o t.csv", "check-network {}.json", "check-testbed {}.csv --scenario quickstart",
     "check-component {}.py", "list --components {}.py", "show device {}.yaml",
     "validate quickstart --set server.device={}.yaml"],
)  # fmt: skip
def test_a_command_refuses_a_pipe(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for ending in ("yaml", "csv", "txt", "json", "py"):
        os.mkfifo(f"pipe.{ending}")
    code, said = called(capsys, *command.format("./pipe").split())
    assert code == 2
    assert "pipe" in said
    if command.split()[0] in ("validate", "run", "sweep", "plan") and "--set" not in command:
        assert "it is a pipe, not a regular file" in said


@pytest.mark.parametrize("setting", ["base", "components", "data", "trace", "graph", "presence", "weights"])
def test_a_pipe_that_a_scenario_names_is_refused(setting: str, tmp_path: Path, capsys) -> None:
    for ending in ("yaml", "csv", "py", "npz", "json"):
        os.mkfifo(tmp_path / f"pipe.{ending}")
    added = {
        "base": "base: pipe.yaml\n",
        "components": BASE + "components: [pipe.py]\n",
        "data": BASE.replace("data: {kind: synthetic, input_shape: [6], n_classes: 3, n_train: 120, n_test: 30,",
                             "data: {kind: npz, train: pipe.npz, test: pipe.npz,"),
        "trace": BASE.replace("link: lte", "link: {uplink: {kind: trace, file: pipe.csv}, downlink: 1 Mbit/s}"),
        "graph": BASE.replace("{kind: star}", "{kind: graph, file: pipe.json}"),
        "presence": BASE.replace("link: lte", "link: lte, availability: {kind: trace, file: pipe.csv}"),
        "weights": BASE.replace("{kind: mlp, hidden: [8, 8], cut: 1}", "{kind: torchvision, weights: pipe.npz}"),
    }  # fmt: skip
    (tmp_path / "s.yaml").write_text(added[setting])
    assert setting == "base" or added[setting] != BASE
    code, said = called(capsys, "validate", tmp_path / "s.yaml")
    assert code == 2
    assert "pipe" in said


@pytest.mark.parametrize("name", ["summary.json", "provenance.json", "scenario.yaml", "spans.parquet"])
@pytest.mark.parametrize("command", ["compare", "report"])
def test_a_pipe_in_a_run_directory_is_refused(
    command: str, name: str, make_results, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_results(make_results(), tmp_path / "run")
    (tmp_path / "run" / name).unlink()
    os.mkfifo(tmp_path / "run" / name)
    assert called(capsys, command, "run")[0] in ((0, 2) if command == "compare" else (2,))


@pytest.mark.parametrize("name", ["study.json", "runs.parquet", ".lock"])
def test_a_pipe_in_a_study_directory_is_refused(name: str, tmp_path: Path, capsys) -> None:
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "study.yaml").write_text(STUDY)
    out = tmp_path / "out"
    write_study(record("run"), out)
    (out / name).unlink(missing_ok=True)
    os.mkfifo(out / name)
    assert called(capsys, "figure", out)[0] == 2
    if name != "runs.parquet":
        assert called(capsys, "sweep", tmp_path / "study.yaml", "--out", out, "--resume", "--dry")[0] in (
            0,
            2,
        )


def record(label: str) -> StudyRecord:
    return StudyRecord(
        name="s", question="", base="b", series=["a"], axes={"a": ["1"]}, seeds=[1], targets=[], budgets_s=[],
        target_view="global", command=[], study_yaml="", runs=[RunRecord(label, {"a": "1"}, 1, "x", "completed")],
    )  # fmt: skip


@pytest.mark.parametrize("label", ["../../elsewhere", "/etc", "..", "", "a/b", "a\0b"])
def test_a_run_that_a_study_names_lies_in_its_directory(label: str, tmp_path: Path) -> None:
    write_study(record("plain-1"), tmp_path)
    assert read_study(tmp_path).runs[0].label == "plain-1"
    write_study(record(label), tmp_path)
    with pytest.raises(gapslsim.GapslsimError, match="leads out of the directory"):
        read_study(tmp_path)


def test_a_sweep_writes_no_run_through_a_link(make_results, tmp_path: Path) -> None:
    mine = write_results(make_results(name="mine"), tmp_path / "mine")
    before = {file.name: file.read_bytes() for file in mine.iterdir()}
    (tmp_path / "out" / "runs").mkdir(parents=True)
    (tmp_path / "out" / "runs" / "r").symlink_to(mine)
    for results in (None, make_results()):
        written = _write(RunRecord("r", {}, 1, "x"), Outcome("r", results, "", 1.0), tmp_path / "out")
        assert "is a link, and nothing is written through it" in written.status
    assert {file.name: file.read_bytes() for file in mine.iterdir()} == before


def test_results_are_not_written_through_links_that_wait_for_them(make_results, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    write_results(make_results(), tmp_path / "run")
    for name in ("summary.json", "spans.parquet", "scenario.yaml"):
        (tmp_path / "run" / name).unlink()
        (tmp_path / "run" / name).symlink_to(tmp_path / "victim")
        (tmp_path / "run" / f".{name}.partial").symlink_to(tmp_path / "victim")
    write_results(make_results(), tmp_path / "run", replace=True)
    assert (tmp_path / "victim").read_text() == "mine"
    assert not (tmp_path / "run" / "summary.json").is_symlink()


def test_nobody_opens_input_files_by_themselves() -> None:
    found = {}
    for file in HERE.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "open(" in text or ".read_" in text else ():
            if isinstance(node, ast.Call) and _opens(node):
                found.setdefault(str(file.relative_to(HERE)), []).append(node.lineno)
    assert found.keys() >= {"kernels.py", "regular_files.py", "unpacking.py"}  # so it finds what there is
    assert {name: lines for name, lines in found.items() if name not in OTHERS} == {}


def _opens(call: ast.Call) -> bool:
    """`x.read_text(...)`, `x.read_bytes()`, `open(x)` and `x.open("rb")`: for reading, and not by `regular_files`."""
    modes = [
        node.value for node in call.args if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    reads = not any(mode[:1] in "wxa" for mode in modes if mode and len(mode) < 4)
    if isinstance(call.func, ast.Name):
        return call.func.id == "open" and reads
    if not isinstance(call.func, ast.Attribute):
        return False
    if call.func.attr == "open":
        whose = ast.unparse(call.func.value)
        return (
            reads and (not call.args or bool(modes)) and whose not in ("settings", "Image", "os", "archive")
        )
    return call.func.attr in ("read_text", "read_bytes")

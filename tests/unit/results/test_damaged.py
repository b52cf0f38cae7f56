"""Directories that were cut off, mixed up or made by something else end every command in words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from gapslsim.cli.main import main
from gapslsim.errors import ResultsError
from gapslsim.records import (
    ClassRow,
    ConfusionRow,
    DrawRow,
    PairRow,
    PredictionRow,
    PresenceRow,
    StalenessRow,
)
from gapslsim.results.frames import OPTIONAL, TABLES
from gapslsim.results.store import load_results, write_results
from tests.unit.results.test_results_geometry import update


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _without_a_column(file: Path) -> None:
    pd.read_parquet(file).iloc[:, 1:].to_parquet(file)


def _of_text(file: Path) -> None:
    table = pd.read_parquet(file)
    number = next(name for name in reversed(table.columns) if table[name].dtype.kind in "ifb")
    table.assign(**{number: "much"}).to_parquet(file)


def _with_gaps(file: Path) -> None:
    table = pd.read_parquet(file)
    whole = next(name for name in table.columns if name in ("round", "n_flows", "seed", "draw", "n_samples"))
    table.assign(**{whole: table[whole].astype("Int64").where(table.index > 0)}).to_parquet(file)


ANY = {
    "cut off": _cut,
    "empty": lambda file: file.write_bytes(b""),
    "foreign": lambda file: file.write_bytes(b"\xff\xfe PAR1 not what it was"),
    "of another kind": lambda file: file.write_text("[1, 2]\n"),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
}
TABLE = {"without a column": _without_a_column, "of another type": _of_text, "with gaps": _with_gaps}
FILES = [f"{name}.parquet" for name in TABLES] + ["summary.json", "provenance.json", "scenario.yaml"]
DAMAGES = [
    pytest.param(file, damage, id=f"{file}, {what}")
    for file in FILES
    for what, damage in (ANY | (TABLE if file.endswith("parquet") else {})).items()
    # Half a YAML file may be one, and is then no other than a short one; `presence` has no column to have gaps in.
    if (file, what) not in (("scenario.yaml", "cut off"), ("presence.parquet", "with gaps"))
]
COMMANDS = {
    "report": ["report", "{run}", "-o", "{out}.html"],
    "compare": ["compare", "{run}"],
    "compare --plot": ["compare", "{run}", "--plot", "{out}.png"],
    "compare --geometry": ["compare", "--geometry", "{run}"],
    "trace": ["trace", "{run}", "-o", "{out}.json"],
    "trace --critical-path": ["trace", "{run}", "--critical-path"],
}


@pytest.fixture(scope="module")
def whole(make_results: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which every table has rows."""
    measured = make_results(
        updates=[update(1), update(2)],
        pairwise=[PairRow(1, 0, 1, 1.0), PairRow(2, 0, 1, 1.0)],
        gradients=[(r, 0, 1.0, 1.0, 1.0, 1.0, True, True, True) for r in (1, 2)],
        attendance=[(1, 0.5, 0, "upload", "came"), (2, 1.5, 1, "upload", "late")],
        presence=[PresenceRow(0, 0.5, 1.5), PresenceRow(1, 0.2, 0.3)],
        staleness=[StalenessRow(1, 1, 0, 0, 0, 1.0), StalenessRow(2, 2, 1, 0, 1, 0.5)],
        confusion=[ConfusionRow(r, 0.5, "global", -1, 0, 1, 3) for r in (1, 2)],
        per_class=[ClassRow(r, 0.5, "global", -1, 0, 3, 0.0) for r in (1, 2)],
        predictions=[PredictionRow(r, "global", -1, 0, 0, 1, 0.9) for r in (1, 2)],
        uncertainty=[DrawRow(draw, "simulated_time_s", 1.5) for draw in (0, 1)],
        scenario_yaml="name: tiny\nclients: [{count: 2, device: nano}]\n",
    )
    return write_results(measured, tmp_path_factory.mktemp("whole") / "run", command=["test"])


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(whole, tmp_path / "run"))


def call(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and what was said of errors; anything but an error in words is raised."""
    with pytest.raises(SystemExit) as ended:
        main([part.format(run=folder, out=folder.parent / "out") for part in COMMANDS[command]])
    return int(ended.value.code or 0), capsys.readouterr().err


def check(code: int, told: str, file: str) -> None:
    assert code == ResultsError.exit_code == 2
    assert told.startswith("Error: ")
    assert file in told
    assert "again" in told  # the fix
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("file", "damage", "command"),
    [
        pytest.param(*given.values, command, id=f"{given.id}-{command}")
        for given in DAMAGES
        for command in COMMANDS
        # Every damage to every file once; that every command reads them by the one reader, one damage shows.
        if command == "report" or str(given.id).endswith("cut off")
    ],
)
def test_a_damaged_file_of_a_run_is_named_with_the_fix(run, file, damage, command, capsys):
    damage(run / file)
    check(*call(command, run, capsys), file)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("file", [file for file in FILES if Path(file).stem not in OPTIONAL])
def test_a_missing_file_of_a_run_is_named_with_the_fix(run, file, command, capsys):
    (run / file).unlink()
    check(*call(command, run, capsys), file)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_whole_run_is_read_by_every_command(run, command, capsys):
    assert call(command, run, capsys) == (0, "")


def _entries(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    inner = [_entries(item, (*path, key)) for key, item in value.items()] if isinstance(value, dict) else []
    return [*([path] if path else []), *(entry for found in inner for entry in found)]


@pytest.mark.parametrize(
    ("command", "wrong"),
    [("report", [{"a": 1}]), ("compare", "much"), ("report", None)],
    ids=["report, list", "compare, text", "report, null"],
)
def test_an_entry_of_the_summary_of_another_type_is_named_or_not_needed(run, command, wrong, capsys):
    text = (run / "summary.json").read_text()
    for path in _entries(json.loads(text)):
        summary = json.loads(text)
        inner = summary
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = wrong
        (run / "summary.json").write_text(json.dumps(summary))
        code, told = call(command, run, capsys)
        if code:
            check(code, told, "summary.json")
            assert path[0] in told


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_rows_is_no_reason_to_fall(run, name, command, capsys):
    getattr(load_results(run), name).iloc[:0].to_parquet(run / f"{name}.parquet")
    code, told = call(command, run, capsys)
    assert code == 0 or told.startswith("Error: ")


@pytest.mark.parametrize("entry", ["clients", "data", "network", "server", "model", "stop"])
@pytest.mark.parametrize("value", [3, "text", ["text", 2], [{"link": 5}], {"kind": {"a": 1}}, None])
def test_whatever_a_scenario_holds_it_is_shown(run, entry, value, capsys):
    (run / "scenario.yaml").write_text(yaml.safe_dump({"name": "tiny", entry: value}))
    assert call("report", run, capsys) == (0, "")


STUDY_FILES = ["study.json", "evaluations.parquet", "rounds.parquet", "alignment.parquet", "runs.parquet"]


@pytest.fixture
def study(digits: Path, tmp_path: Path) -> Path:
    """A copy of a swept study that asks for a figure."""
    copy = tmp_path / "study"
    shutil.copytree(digits, copy, ignore=shutil.ignore_patterns("journal"))
    record = json.loads((copy / "study.json").read_text())
    record["figure"] = {"kind": "curves", "x": "epochs"}
    (copy / "study.json").write_text(json.dumps(record))
    return copy


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        pytest.param(file, damage, id=f"{file}, {what}")
        for file in STUDY_FILES
        for what, damage in (ANY | (TABLE if file.endswith("parquet") else {})).items()
        if (file, what)
        not in {("runs.parquet", "of another type")}  # of whose columns only the keys are known
    ],
)
@pytest.mark.parametrize("command", ["figure", "report"])
def test_a_damaged_file_of_a_study_is_named_with_the_fix(study, tmp_path, file, damage, command, capsys):
    damage(study / file)
    arguments = {"figure": ["--export", str(tmp_path), "-o", str(tmp_path / "f.png")],
                 "report": ["-o", str(tmp_path / "r.html")]}[command]  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        main([command, str(study), *arguments])
    told = capsys.readouterr().err
    if command == "report" and file == "runs.parquet" and not ended.value.code:
        return  # the page needs it no further than to know that the sweep has ended
    assert ended.value.code == 2, told
    # A folder in the place of a record is no study.
    assert file in told or "has no tables yet" in told or "no run directory" in told


@pytest.mark.parametrize(
    "key", ["name", "series", "axes", "seeds", "targets", "budgets_s", "command", "runs"]
)
@pytest.mark.parametrize("command", ["figure", "report"])
def test_an_entry_of_a_studys_record_of_another_type_is_named(study, key, command, capsys):
    record = json.loads((study / "study.json").read_text())
    (study / "study.json").write_text(json.dumps(record | {key: {"much": [1]}}))
    with pytest.raises(SystemExit) as ended:
        main([command, str(study)])
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert "study.json cannot be read" in told
    assert key in told
    assert "--resume" in told


@pytest.mark.parametrize("file", FILES)
def test_a_damaged_run_within_a_study_is_named_with_the_fix(study, file, tmp_path, capsys):
    _cut(study / "runs" / "0.5-PSL-seed2" / file)
    if file == "scenario.yaml":
        (study / "runs" / "0.5-PSL-seed2" / file).write_text("a: [")
    with pytest.raises(SystemExit) as ended:
        main(["report", str(study), "-o", str(tmp_path / "r.html")])
    check(ended.value.code, capsys.readouterr().err, file)

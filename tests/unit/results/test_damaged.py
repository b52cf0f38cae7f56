"""Directories that were cut off, mixed up or made by something else end every command in words."""

from __future__ import annotations

import json
import math
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from gapslsim._version import __version__
from gapslsim.cli.main import main
from gapslsim.errors import ResultsError
from gapslsim.records import (
    ClassRow,
    ConfusionRow,
    DrawRow,
    LeakageRow,
    LossRow,
    PairRow,
    PixelRow,
    PredictionRow,
    PresenceRow,
    StalenessRow,
)
from gapslsim.results.compare import compare
from gapslsim.results.frames import OPTIONAL, TABLES
from gapslsim.results.report._tables import settings_table
from gapslsim.results.report.data import gather
from gapslsim.results.report.page import write_report
from gapslsim.results.store import load_results, load_summary, write_results
from gapslsim.results.study_tables import read_tables
from gapslsim.results.tables import end_table
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
    whole = next(
        name for name in table.columns if name in ("round", "n_flows", "seed", "draw", "n_samples", "sample")
    )
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


NONE = dict.fromkeys(("low", "median", "high"))
DRAWN = {
    "draws": 2, "level": 0.9, "decided": 0.95, "same_training": True, "simulated_time_s": NONE, "energy_j": NONE,
    "time_to_accuracy_s": {"0.5": NONE}, "spread_of_time": {}, "notes": [],
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(make_results: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which every table has rows."""
    measured = make_results(
        updates=[update(1), update(2)],
        local_losses=[LossRow(1, 0, 0.7, 5), LossRow(2, 1, 0.6, 5)],
        pairwise=[PairRow(1, 0, 1, 1.0), PairRow(2, 0, 1, 1.0)],
        gradients=[(r, 0, 1.0, 1.0, 1.0, 1.0, True, True, True) for r in (1, 2)],
        attendance=[(1, 0.5, 0, "upload", "came"), (2, 1.5, 1, "upload", "late")],
        presence=[PresenceRow(0, 0.5, 1.5), PresenceRow(1, 0.2, 0.3)],
        staleness=[StalenessRow(1, 1, 0, 0, 0, 1.0), StalenessRow(2, 2, 1, 0, 1, 0.5)],
        confusion=[ConfusionRow(r, 0.5, "global", -1, 0, 1, 3) for r in (1, 2)],
        per_class=[ClassRow(r, 0.5, "global", -1, 0, 3, 0.0) for r in (1, 2)],
        predictions=[PredictionRow(r, "global", -1, 0, 0, 1, 0.9) for r in (1, 2)],
        leakage=[LeakageRow(c, "ssim", 0.5, 0.1, 9, 9, "test", 1) for c in (-1, 0)],
        reconstructions=[PixelRow(-1, s, 0, 0, 0, 255, 128, 0) for s in (1, 2)],
        uncertainty=[DrawRow(0, "simulated_time_s", 1.5), DrawRow(0, "time_to_accuracy_after_s 0.5", 1.5)],
        extra={"uncertainty": DRAWN},
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


@pytest.mark.parametrize(("file", "damage"), DAMAGES)
def test_a_damaged_file_of_a_run_is_named_with_the_fix(run, file, damage):
    damage(run / file)
    with pytest.raises(ResultsError, match=re.escape(file)) as told:
        load_results(run)
    assert "again" in str(told.value)  # the fix


@pytest.mark.parametrize("file", [file for file in FILES if Path(file).stem not in OPTIONAL])
def test_a_missing_file_of_a_run_is_named_with_the_fix(run, file):
    (run / file).unlink()
    with pytest.raises(ResultsError, match=f"{file} is missing|no {file}.*again"):
        load_results(run)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("file", ["summary.json", "spans.parquet"])
def test_every_command_reads_runs_by_the_one_reader(run, file, command, capsys):
    _cut(run / file)
    check(*call(command, run, capsys), file)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_whole_run_is_read_by_every_command(run, command, capsys):
    assert call(command, run, capsys) == (0, "")


def _entries(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    inner = [_entries(item, (*path, key)) for key, item in value.items()] if isinstance(value, dict) else []
    return [*([path] if path else []), *(entry for found in inner for entry in found)]


@pytest.mark.parametrize(
    "wrong", [[{"a": 1}], "much", None, -1, 1e308, 10**400, math.nan, {}], ids=lambda wrong: str(wrong)[:9]
)
def test_an_entry_of_the_summary_that_cannot_be_is_named_or_not_needed(run, wrong):
    text = (run / "summary.json").read_text()
    for path in _entries(json.loads(text)):
        summary = json.loads(text)
        inner = summary
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = wrong
        (run / "summary.json").write_text(json.dumps(summary))
        refused = None
        try:
            found = load_summary(run)
            end_table(found)
            compare([found], spread=True)
        except ResultsError as error:
            refused = str(error)
        assert refused is None or path[0] in refused or "is not JSON (" in refused


def test_of_a_summary_of_another_version_both_versions_are_told(run):
    summary = json.loads((run / "summary.json").read_text())
    del summary["n_clients"]
    summary["versions"]["gapslsim"] = "0.0.1"
    (run / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(
        ResultsError, match=rf"n_clients: Field required.*0\.0\.1 wrote it, this is {__version__}"
    ):
        load_results(run)


@pytest.mark.parametrize(
    ("entry", "value", "told"),
    [
        ("clients_by_device", {"nano": 7}, "clients_by_device does not count n_clients"),
        ("clients_by_device", {"nano": 1, "tx2": 1}, "other devices than clients_by_device"),
        ("accuracy", {"global": {"last": 0.5, "best": 0.5, "min": 0.1}}, "only one of min and max"),
        ("memory", {"client_ram_bytes": 1.0}, "memory.client_ram_bytes is a limit of nothing"),
        (
            "rounds",
            7,
            "rounds.parquet has 2 rows, where summary.json tells of 7: files of two runs are mixed",
        ),
        ("uncertainty", None, "uncertainty.parquet has 2 rows, where summary.json tells of 0"),
    ],
)
def test_entries_of_the_summary_that_deny_one_another_are_told(run, entry, value, told):
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps(summary | {entry: value}))
    with pytest.raises(ResultsError, match=re.escape(told)):
        load_results(run)


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("spans", "start_s", math.nan),
        ("spans", "end_s", math.inf),
        ("spans", "size_bytes", -1),
        ("spans", "actor", "client-2"),
        ("spans", "client", 2),
        ("evaluations", "accuracy", 1.5),
        ("evaluations", "client", -2),
        ("rounds", "epoch", math.nan),
        ("rounds", "energy_j", 1e200),
        ("pairwise", "other", 2),
        ("presence", "left_s", math.nan),
        ("uncertainty", "quantity", "time_to_accuracy_s much"),
    ],
)
def test_a_value_that_no_run_has_is_told_with_its_column_and_row(run, table, column, value):
    held = pd.read_parquet(run / f"{table}.parquet")
    held.loc[1, column] = value
    held.to_parquet(run / f"{table}.parquet")
    with pytest.raises(ResultsError, match=rf"{table}\.parquet has .* as {column} in row 1"):
        load_results(run)


def test_what_may_have_no_value_may_be_nan(run):
    for table, column in (("evaluations", "accuracy"), ("rounds", "loss"), ("presence", "back_s")):
        held = pd.read_parquet(run / f"{table}.parquet")
        held[column] = math.nan
        held.to_parquet(run / f"{table}.parquet")
    assert load_results(run).evaluations["accuracy"].isna().all()


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_rows_is_no_reason_to_fall(run, name, tmp_path):
    getattr(load_results(run), name).iloc[:0].to_parquet(run / f"{name}.parquet")
    with suppress(ResultsError):
        write_report([run], tmp_path / "out.html")


@pytest.mark.parametrize("entry", ["clients", "data", "network", "server", "model", "stop"])
@pytest.mark.parametrize("value", [3, "text", ["text", 2], [{"link": 5}], {"kind": {"a": 1}}, None])
def test_whatever_a_scenario_holds_it_is_shown(run, entry, value):
    (run / "scenario.yaml").write_text(yaml.safe_dump({"name": "tiny", entry: value}))
    assert settings_table(gather([run]))


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


def read_all(study: Path) -> None:
    tables = read_tables(study)
    assert tables.runs
    tables.table("runs")


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
def test_a_damaged_file_of_a_study_is_named_with_the_fix(study, file, damage):
    damage(study / file)
    # A folder in the place of a record is no study.
    with pytest.raises(ResultsError, match=f"{re.escape(file)}|has no tables yet"):
        read_all(study)


@pytest.mark.parametrize("command", ["figure", "report", "compare"])
def test_every_command_reads_studies_by_the_one_reader(study, command, capsys):
    _cut(study / "study.json")
    with pytest.raises(SystemExit) as ended:
        main([command, str(study)])
    assert ended.value.code == 2
    assert "study.json cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "key", ["name", "series", "axes", "seeds", "targets", "budgets_s", "command", "runs"]
)
def test_an_entry_of_a_studys_record_of_another_type_is_named(study, key):
    record = json.loads((study / "study.json").read_text())
    (study / "study.json").write_text(json.dumps(record | {key: {"much": [1]}}))
    with pytest.raises(ResultsError, match=rf"study\.json cannot be read.*{key}.*--resume"):
        read_tables(study)


def test_a_damaged_run_within_a_study_is_named_with_the_fix(study):
    _cut(study / "runs" / "0.5-PSL-seed2" / "spans.parquet")
    with pytest.raises(ResultsError, match=r"0\.5-PSL-seed2: spans\.parquet.*again"):
        gather([study])

from __future__ import annotations

import json
import subprocess

import pandas as pd
import pytest

import gapslsim
from gapslsim.errors import ResultsError
from gapslsim.results.frames import OPTIONAL, TABLES
from gapslsim.results.place import look
from gapslsim.results.provenance import git_state, provenance
from gapslsim.results.store import load_results, load_summary, write_results
from gapslsim.tables.table import Table


def test_a_run_directory_reads_back_as_it_was_written(results, tmp_path):
    folder = write_results(results, tmp_path / "deep" / "run", command=["gapslsim", "run", "tiny"])
    again = load_results(folder)
    assert again.scenario_yaml == results.scenario_yaml
    assert again.summary == results.summary
    assert again.label == results.label
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(again, name), getattr(results, name))
    assert sorted(path.name for path in folder.iterdir()) == [
        "alignment.parquet", "attendance.parquet", "clients.parquet", "confusion.parquet",
        "evaluations.parquet", "gradients.parquet", "leakage.parquet", "links.parquet", "local_losses.parquet",
        "losses.parquet", "pairwise.parquet", "per_class.parquet", "predictions.parquet",
        "presence.parquet", "provenance.json", "reconstructions.parquet", "rounds.parquet", "scenario.yaml",
        "spans.parquet", "staleness.parquet", "summary.json", "uncertainty.parquet", "updates.parquet",
    ]  # fmt: skip


def test_empty_tables_survive_the_round_trip_with_their_types(make_results, tmp_path):
    dry = make_results(dry=True, evaluations=[], losses=[], alignment=[], links=[])
    again = load_results(write_results(dry, tmp_path / "run"))
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(again, name), getattr(dry, name))


def test_a_run_directory_of_earlier_versions_reads_with_empty_tables(results, tmp_path):
    folder = write_results(results, tmp_path / "run")
    for name in OPTIONAL:
        (folder / f"{name}.parquet").unlink()
    again = load_results(folder)
    for name in OPTIONAL:
        assert list(getattr(again, name).columns) == list(TABLES[name]._fields)
        assert getattr(again, name).empty


def test_the_summary_file_has_null_and_never_nan(make_results, tmp_path):
    folder = write_results(make_results(extra={"gap": float("nan")}), tmp_path / "run")
    text = (folder / "summary.json").read_text()
    assert '"gap": null' in text
    assert "NaN" not in text


def test_provenance_says_how_the_run_was_made(results, tmp_path):
    folder = write_results(results, tmp_path / "run", command=["gapslsim", "run", "tiny"])
    found = json.loads((folder / "provenance.json").read_text())
    assert found["run"] == "tiny-gapsl-seed7"
    assert found["gapslsim"] == gapslsim.__version__
    assert found["seed"] == 7
    assert found["command"] == ["gapslsim", "run", "tiny"]
    assert {"torch", "numpy", "simpy"} <= found["packages"].keys()
    assert "pytest" not in found["packages"]  # extras do not count
    assert found["machine"]["n_cpus"] >= 1
    assert found["started"].endswith("+00:00")


def test_results_that_were_read_keep_their_provenance_when_written_elsewhere(results, tmp_path):
    first = load_results(write_results(results, tmp_path / "a", command=["first"]))
    second = load_results(write_results(first, tmp_path / "b", command=["second"]))
    assert second.provenance == first.provenance


def test_an_interrupted_run_is_readable(make_results, tmp_path):
    folder = write_results(make_results(status="interrupted", stopped_by=""), tmp_path / "run")
    assert load_results(folder).summary["status"] == "interrupted"


def test_the_same_run_is_replaced_and_other_files_stay(make_results, tmp_path):
    folder = write_results(make_results(), tmp_path / "run")
    (folder / "notes.txt").write_text("mine")
    assert look(folder).is_finished
    write_results(make_results(status="interrupted"), folder)
    assert load_summary(folder)["status"] == "interrupted"
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_run_of_another_label_is_not_overwritten(make_results, tmp_path):
    folder = write_results(make_results(), tmp_path / "run")
    with pytest.raises(
        ResultsError, match=r"holds another run \(tiny-gapsl-seed7; this one is tiny-gapsl-seed8\)"
    ):
        write_results(make_results(seed=8), folder)
    assert load_summary(folder)["seed"] == 7


def test_a_directory_with_other_things_in_it_is_refused_and_left_alone(results, tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(
        ResultsError, match="is not empty and holds no run of gapslsim; give another directory"
    ):
        write_results(results, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_place_of_the_directory_is_refused(results, tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(ResultsError, match="is a file; give a directory with --out"):
        look(tmp_path / "run")
    with pytest.raises(ResultsError, match=r"cannot be made: .* is a file"):
        look(tmp_path / "run" / "inner")


def test_an_empty_or_absent_directory_may_be_used(tmp_path):
    assert look(tmp_path) is None
    assert look(tmp_path / "x" / "y") is None


def test_a_write_that_fails_leaves_the_earlier_run_whole(make_results, tmp_path, monkeypatch):
    folder = write_results(make_results(), tmp_path / "run")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full_disk(table, path, **how):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Table, "write", full_disk)
    with pytest.raises(ResultsError, match="could not be written: No space left on device"):
        write_results(make_results(status="interrupted"), folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_torn_directory_says_so_and_may_be_written_again(make_results, tmp_path):
    folder = write_results(make_results(), tmp_path / "run")
    (folder / "summary.json").unlink()
    with pytest.raises(
        ResultsError, match=r"is incomplete: it has no summary\.json, so writing it was cut off"
    ):
        load_results(folder)
    write_results(make_results(), folder)
    assert load_summary(folder)["name"] == "tiny"


@pytest.mark.parametrize("name", ["spans.parquet", "scenario.yaml", "provenance.json"])
def test_a_missing_file_is_named(results, tmp_path, name):
    folder = write_results(results, tmp_path / "run")
    (folder / name).unlink()
    with pytest.raises(ResultsError, match=rf"{name} is missing; run the scenario again"):
        load_results(folder)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("spans.parquet", "cannot be read"),
        ("provenance.json", "is not JSON"),
        ("summary.json", "is not JSON"),
    ],
)
def test_a_broken_file_is_named(results, tmp_path, name, what):
    folder = write_results(results, tmp_path / "run")
    (folder / name).write_bytes(b"{not what it was")
    with pytest.raises(ResultsError, match=rf"{name} {what}"):
        load_results(folder)


def test_a_table_without_a_column_names_it(results, tmp_path):
    folder = write_results(results, tmp_path / "run")
    results.spans.drop(columns="energy_j").to_parquet(folder / "spans.parquet")
    with pytest.raises(ResultsError, match=r"spans\.parquet lacks the columns energy_j"):
        load_results(folder)


def test_what_is_no_run_directory_is_refused_with_a_hint(results, tmp_path):
    with pytest.raises(ResultsError, match="does not exist"):
        load_results(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="is a file; give the run directory"):
        load_results(tmp_path / "file")
    write_results(results, tmp_path / "runs" / "one")
    with pytest.raises(ResultsError, match=r"is no run directory: .* it contains the runs one"):
        load_results(tmp_path / "runs")


def test_git_state_is_of_the_checkout_of_the_package_and_of_no_other(tmp_path):
    def git(*arguments):
        subprocess.run(
            ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
            check=True, capture_output=True,
        )  # fmt: skip

    package = tmp_path / "gapslsim"
    inner = tmp_path / "venv" / "gapslsim"
    for folder in (package, inner):
        folder.mkdir(parents=True)
        (folder / "a.py").write_text("")
    assert git_state(package) is None  # not a checkout yet
    git("init")
    assert git_state(package) == {"commit": None, "dirty": True}
    git("add", ".")
    git("commit", "-m", "first")
    clean = git_state(package)
    assert clean is not None
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    (package / "a.py").write_text("changed = 1")
    assert git_state(package) == {"commit": clean["commit"], "dirty": True}
    assert git_state(inner) is None


def test_provenance_is_plain_json(tmp_path):
    json.dumps(provenance(seed=1, wall_time_s=0.5), allow_nan=False)


def test_a_run_of_an_earlier_version_whose_spans_have_no_overlap_is_read(results, tmp_path):
    write_results(results, tmp_path / "run")
    file = tmp_path / "run" / "spans.parquet"
    pd.read_parquet(file).drop(columns="overlap_s").to_parquet(file)
    assert load_results(tmp_path / "run").spans["overlap_s"].tolist() == [0.0] * len(results.spans)

"""What the smashed data of a run gives away: from run directories, files of models, scenarios and studies."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from gapslsim import leakage, loads, simulate, sweep
from gapslsim.cli.main import main
from gapslsim.errors import ResultsError, ScenarioError
from gapslsim.records import LeakageRow
from gapslsim.results.frames import frame
from gapslsim.results.leaks import leakage_table
from gapslsim.results.measure import measures
from gapslsim.results.place import JOURNAL
from gapslsim.results.store import load_results, write_results
from gapslsim.results.study_tables import read_tables
from tests.study_files import DIGITS_BASE, write_study

FAST = {"epochs": 3, "samples": 40, "auxiliary": 60}
SET = ["stop.rounds=2"]
STUDY = """\
name: cuts
question: What does it give away?
base: base.yaml
set: {stop: {rounds: 2}, evaluation.leakage: {epochs: 3, samples: 40, auxiliary: 60, clients: [1]}}
axes: {grid: {model.cut: [1, 2]}}
figure: {kind: table, rows: cut, cells: [{kind: accuracy}, {kind: total, spent: bytes}, {kind: leakage}]}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run with its journal and a file of its models; nobody has looked at it."""
    folder = tmp_path_factory.mktemp("leakage") / "run"
    results = simulate(loads(DIGITS_BASE, set=SET), journal=folder / JOURNAL, models=True)
    write_results(results, folder)
    results.save_models(folder.parent / "models.safetensors")
    return folder


def values(table: pd.DataFrame, client: int = -1) -> dict[str, float]:
    own = table[table["client"] == client]
    return dict(zip(own["measure"], own["value"], strict=True))


def test_journal_models_scenario_and_setting_say_the_same(run: Path) -> None:
    by_journal = leakage(run, force=True, **FAST)
    scenario = loads(DIGITS_BASE, set=SET)
    by_models = leakage(run.parent / "models.safetensors", **FAST)
    by_results = leakage(simulate(scenario), **FAST)
    by_scenario = leakage(scenario, **FAST)
    of_run = simulate(loads(DIGITS_BASE, set=[*SET, f"evaluation.leakage={json.dumps(FAST)}"]))
    assert set(by_journal.table["client"]) == {-1, 0}
    for found in (by_models, by_results, by_scenario, of_run):
        table = found.leakage if hasattr(found, "leakage") else found.table
        pd.testing.assert_frame_equal(table, by_journal.table)
        pd.testing.assert_frame_equal(found.reconstructions, by_journal.reconstructions)
    assert of_run.summary["learning_sha256"] == simulate(scenario).summary["learning_sha256"]


def test_looking_leaves_tables_in_the_run_directory_once(run: Path) -> None:
    first = leakage(run, force=True, **FAST)
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    pd.testing.assert_frame_equal(load_results(run).leakage, first.table)
    again = leakage(run)
    assert again.was_there
    pd.testing.assert_frame_equal(again.table, first.table)
    with pytest.raises(ResultsError, match=r"holds what was found already.* --force looks again"):
        leakage(run, epochs=4)
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
    other = leakage(run, force=True, **FAST | {"epochs": 4})
    assert set(load_results(run).leakage["n_epochs"]) == {4}
    assert not other.was_there


def test_the_client_side_is_the_one_that_was_trained(run: Path) -> None:
    trained = simulate(loads(DIGITS_BASE, set=SET)).models
    assert trained is not None
    whole, side = trained.model("clients", 2), trained.client_side(1, 2)
    inputs = torch.randn(3, 1, 8, 8)
    assert torch.equal(whole[:1](inputs), side(inputs))  # type: ignore[index]
    assert torch.equal(trained.model("global")[:1](inputs), trained.client_side(1)(inputs))  # type: ignore[index]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"epochs": 0}, r"evaluation\.leakage\.epochs: .*greater than or equal to 1 \(found 0\)"),
        ({"clients": (4,)}, r"evaluation\.leakage\.clients\.0: there is no client 4; write 0 to 3"),
        ({"auxiliary_from": "nobody"}, r"evaluation\.leakage\.auxiliary_from: .*'test', 'train' or 'client'"),
        ({"samples": 2001}, r"less than or equal to 2000"),
        ({"attempts": 3}, r"evaluation\.leakage\.attempts"),
    ],
)
def test_wrong_settings_are_told_with_their_rule(
    run: Path, settings: dict[str, object], problem: str
) -> None:
    with pytest.raises(ScenarioError, match=problem):
        leakage(loads(DIGITS_BASE, set=SET), **settings)


def test_where_no_smashed_data_travels_there_is_nothing_to_attack() -> None:
    with pytest.raises(ScenarioError, match=r"evaluation\.leakage: clients of fedavg send weights"):
        loads(DIGITS_BASE, set=["framework=fedavg", "evaluation.leakage={}"])
    with pytest.raises(ScenarioError, match="clients of fedavg send weights"):
        leakage(loads(DIGITS_BASE, set=["framework=fedavg"]))


def test_a_run_without_models_is_refused_with_what_to_do(tmp_path: Path) -> None:
    scenario = loads(DIGITS_BASE, set=SET)
    bare = write_results(simulate(scenario), tmp_path / "bare")
    with pytest.raises(ResultsError, match=r"has no journal.* --train, or give the file that .* --save"):
        leakage(bare)
    with pytest.raises(ResultsError, match="holds no trained models; give its run directory"):
        leakage(load_results(bare))
    assert not leakage(bare, train=True, **FAST).table.empty
    dry = write_results(simulate(scenario, dry=True), tmp_path / "dry")
    with pytest.raises(ResultsError, match="was a dry run, which trains nothing"):
        leakage(dry)
    assert simulate(loads(DIGITS_BASE, set=[*SET, "evaluation.leakage={}"]), dry=True).leakage.empty


def test_a_file_that_is_none_of_models_is_refused(run: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    other = tmp_path / "other.safetensors"
    other.write_bytes(b"no such thing")
    with pytest.raises(ResultsError, match=r"holds no models of a run .*gapslsim run --save"):
        leakage(other)
    save_file({"a": torch.zeros(1)}, other)
    with pytest.raises(ResultsError, match="holds no models of a run"):
        leakage(other)
    text = simulate(loads(DIGITS_BASE, set=SET)).scenario_yaml
    save_file({"global/hidden1.linear.weight": torch.zeros(3, 3)}, other, {"scenario": text})
    with pytest.raises(ResultsError, match="does not hold global as its scenario says it is"):
        leakage(other, **FAST)


def test_a_study_has_accuracy_bytes_and_leakage_in_one_table_and_its_journal_serves_runs(
    tmp_path: Path,
) -> None:
    study = write_study(tmp_path, STUDY, DIGITS_BASE)
    sweep(study, tmp_path / "out")
    tables = read_tables(tmp_path / "out")
    leaks = [measures["leakage"]().of_run(one, "global").number for one in tables.runs]
    folder = tmp_path / "out" / "runs" / tables.runs[0].record.label
    expected = values(load_results(folder).leakage, 1)["reconstructed"]
    assert leaks[0] == expected
    of_mean = measures["leakage"](of="ssim", whose="mean").of_run(tables.runs[0], "global").number
    assert of_mean == values(load_results(folder).leakage)["ssim"]
    found = leakage(folder, force=True, **FAST | {"clients": (0, 1)})
    assert values(found.table, 1)["reconstructed"] == expected
    with pytest.raises(SystemExit) as done:
        main(
            [
                "figure",
                str(tmp_path / "out"),
                "-o",
                str(tmp_path / "f.svg"),
                "--table",
                str(tmp_path / "t.csv"),
            ]
        )
    assert not done.value.code
    told = pd.read_csv(tmp_path / "t.csv")
    assert list(told["measure"]) == ["accuracy", "traffic", "reconstructed"] * 2
    assert told["mean"].tolist()[2::3] == pytest.approx(leaks, rel=1e-6)


def test_a_measure_of_runs_at_which_nobody_looked_says_how_to_look(tmp_path: Path) -> None:
    sweep(
        write_study(tmp_path, STUDY.replace(", clients: [1]", ", clients: []"), DIGITS_BASE), tmp_path / "out"
    )
    (first, _) = read_tables(tmp_path / "out").runs
    with pytest.raises(ResultsError, match="has no reconstructed of clients; it has:"):
        measures["leakage"]().of_run(first, "global")
    bare = replace(first, leakage=first.leakage.iloc[:0])
    with pytest.raises(ResultsError, match=r"nobody looked .*set: \{evaluation\.leakage: \{\}\}"):
        measures["leakage"]().of_run(bare, "global")


def test_the_command_prints_a_table_json_csv_and_a_picture(run: Path, capsys, tmp_path: Path) -> None:
    def call(*arguments: str) -> str:
        with pytest.raises(SystemExit) as done:
            main(["leakage", str(run), *arguments])
        told = capsys.readouterr()
        assert not done.value.code, told.err
        return str(told.out)

    fast = ["--epochs", "3", "--samples", "40", "--auxiliary", "60", "--client", "3", "--force", "-q"]
    said = " ".join(call(*fast, "-o", str(tmp_path / "p.svg")).split())
    assert "40 test inputs attacked by one who knows 60 others" in said
    assert "client-3" in said
    assert "who sees nothing" in said
    assert "<image " in (tmp_path / "p.svg").read_text()
    found = json.loads(call("--json", "-o", str(tmp_path / "t.csv")))
    table = load_results(run).leakage
    assert [row["value"] for row in found["leakage"]] == table["value"].tolist()
    assert len(pd.read_csv(tmp_path / "t.csv")) == len(table)


def test_words_have_a_row_per_model_and_one_of_who_sees_nothing() -> None:
    numbers = [(-1, "reconstructed", 0.5, 0.0), (-1, "psnr_db", 21.26, 11.0), (4, "reconstructed", 0.25, 0.0)]
    rows = [LeakageRow(*row, 9, 9, "test", 1) for row in [*numbers, (4, "psnr_db", 20.0, 11.0)]]
    told = leakage_table(frame(LeakageRow, rows), {-1: "mean of all"})
    assert told.head == ["whose", "rebuilt", "PSNR [dB]"]
    assert told.rows == [
        ["mean of all", "50.0 %", "21.3"], ["client-4", "25.0 %", "20.0"], ["who sees nothing", "0.0 %", "11.0"],
    ]  # fmt: skip


def rebuilt(*changes: str) -> float:
    scenario = loads(DIGITS_BASE, set=["stop.rounds=2", *changes])
    return values(leakage(scenario, epochs=10).table, 0)["reconstructed"]


def test_what_is_attacked_is_what_arrives_after_the_codecs() -> None:
    bare = rebuilt()
    assert rebuilt("codec.activations=none") == bare
    assert rebuilt("codec.gradients=float16") == pytest.approx(bare, abs=0.1)
    coarse = rebuilt("codec.activations={kind: quantise, bits: 1}")
    assert coarse < bare - 0.1
    assert rebuilt("codec.activations={kind: noise, clip: 1, scale: 1000}") < 0.02


def test_in_a_u_shape_it_is_the_head_of_the_client_and_files_say_the_same(tmp_path: Path) -> None:
    text = DIGITS_BASE.replace("hidden: [16, 8]", "hidden: [16, 8, 8]")
    results = simulate(loads(text, set=["stop.rounds=2", "shape={kind: u_shape, tail: 2}"]))
    assert results.models is not None
    results.save_models(tmp_path / "u.safetensors")
    found = leakage(results, **FAST)
    pd.testing.assert_frame_equal(leakage(tmp_path / "u.safetensors", **FAST).table, found.table)
    inputs = torch.randn(3, 1, 8, 8)
    assert torch.equal(results.models.client_side(1, 2)(inputs), results.model("clients", 2)[:1](inputs))  # type: ignore[index]
    assert results.models.client_side(1)(inputs).shape == (3, 16)


def test_each_client_is_attacked_at_its_own_cut_and_the_mean_at_the_earliest() -> None:
    one = "{count: 4, device: jetson-nano, link: lte}"
    two = "{count: 2, device: jetson-nano, link: lte, cut: 2}\n  - {count: 2, device: phone-midrange, link: lte}"
    text = DIGITS_BASE.replace(one, two)
    results = simulate(loads(text, set=["stop.rounds=2", f"evaluation.leakage={json.dumps(FAST)}"]))
    assert results.models is not None
    inputs = torch.randn(3, 1, 8, 8)
    of = results.models.client_side
    assert [of(n, c)(inputs).shape[1] for n, c in ((2, 0), (1, 2), (1, None))] == [8, 16, 16]
    assert list(dict.fromkeys(results.leakage["client"])) == [-1, 0, 2]
    assert values(results.leakage, 0)["reconstructed"] < values(results.leakage, 2)["reconstructed"]

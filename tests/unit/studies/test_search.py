from __future__ import annotations

import importlib.util

import pandas as pd
import pytest

from gapslsim.errors import ComponentError, ScenarioError
from gapslsim.results.study_tables import read_tables
from gapslsim.studies.plan import load_study
from gapslsim.studies.search import Range, searches
from gapslsim.studies.searches.optuna import Optuna
from gapslsim.studies.searching import best_trials
from gapslsim.studies.sweep import lies_in, sweep
from tests.study_files import BASE, write_study
from tests.unit.studies.test_adaptive import Noting
from tests.unit.studies.test_sweep import digest

WITH_OPTUNA = pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="Optuna is not installed")
SEARCHED = """\
name: searched
base: base.yaml
set: {stop: {rounds: 2}}
seeds: [1, 2]
search:
  kind: sobol
  trials: 4
  space:
    training.client.lr: {from: 0.001, to: 1, scale: log}
    training.batch_size: {from: 2, to: 8, whole: true}
    framework: [psl, {kind: epsl, phi: 0.5}]
  objective: [accuracy, total]
targets: {view: global}
"""


def test_trials_are_rows_of_true_values_crossed_with_seeds_and_other_axes(tmp_path):
    text = SEARCHED.replace("targets:", "axes: {grid: {data.partition.kind: [iid]}}\ntargets:")
    plan = load_study(write_study(tmp_path, text, BASE))
    assert len(plan.runs) == 4 * 2
    for run in plan.possible:
        training = run.scenario.training
        assert run.record.axes["lr"] == repr(training.client.lr)
        assert run.record.axes["batch_size"] == repr(training.batch_size)
        assert run.record.axes["framework"].startswith(run.scenario.framework.kind)
        assert 0.001 <= training.client.lr <= 1
    points = {tuple(run.record.axes.values()) for run in plan.runs}
    assert len(points) == 4


@pytest.mark.parametrize("kind", ["random", "sobol"])
def test_more_trials_leave_the_first_ones_as_they_are_and_another_seed_gives_others(kind):
    space = {"a": {"from": 0.0, "to": 1.0}, "b": {"from": 1.0, "to": 100.0, "scale": "log"}}
    few, many, other = (
        searches[kind](space=space, trials=n, seed=seed).ask([]) for n, seed in ((5, 1), (9, 1), (5, 2))
    )
    assert many[:5] == few
    assert other != few
    assert searches[kind](space=space, trials=5).ask([(1.0,)] * 5) == []


def test_sobol_puts_one_trial_into_each_part_of_every_range():
    found = searches["sobol"](
        space={"a": {"from": 0, "to": 8}, "b": {"from": 1, "to": 256, "scale": "log"}}, trials=8
    )
    points = found.ask([])
    assert sorted(int(a) for a, _ in points) == list(range(8))
    assert len({len(bin(int(b))) for _, b in points}) == 8  # one per power of two


def test_places_in_ranges():
    assert Range(**{"from": 1, "to": 100, "scale": "log"}).at(0.5) == 10
    assert [Range(**{"from": 1, "to": 3, "whole": True}).at(x) for x in (0.0, 0.33, 0.34, 0.67, 0.999)] == [
        1,
        1,
        2,
        3,
        3,
    ]
    assert Range(**{"from": 0, "to": 1}).at(0.123456789) == 0.1235, (
        "four digits, so that labels are short and true"
    )


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    plan = load_study(write_study(folder, SEARCHED, BASE))
    sweep(plan, folder / "out", Noting())
    return folder, plan


def test_what_no_other_trial_beats_is_told(searched):
    folder, _ = searched
    runs = pd.read_parquet(folder / "out" / "runs.parquet")
    mean = runs.groupby(["lr", "batch_size", "framework"])[
        ["accuracy_global_last", "simulated_time_s"]
    ].mean()
    front = [
        place for place, row in mean.iterrows()
        if not any(
            a >= row.iloc[0] and s <= row.iloc[1] and (a, s) != tuple(row) for a, s in mean.itertuples(index=False)
        )
    ]  # fmt: skip
    (told,) = best_trials(read_tables(folder / "out"))
    assert told.startswith("Best of 4 trials: ")
    assert told.count("accuracy") == len(front)
    assert all(f"lr {lr}, batch_size {batch}, framework {name}" in told for lr, batch, name in front)


def test_tables_have_a_cell_per_trial_and_none_for_what_was_not_tried(searched):
    folder, plan = searched
    cells = read_tables(folder / "out").cells(plan.record.searched)
    assert [len(cell.runs) for cell in cells] == [2] * 4
    assert lies_in(plan, folder / "out")


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ("trials: 4", "trials: 0", "search.trials"),
        ("{from: 0.001, to: 1, scale: log}", "{from: 0, to: 1, scale: log}", "from must be more than 0"),
        ("{from: 0.001, to: 1, scale: log}", "{from: 2, to: 1}", "must be less than to"),
        ("{from: 2, to: 8, whole: true}", "{from: 2.5, to: 8, whole: true}", "whole numbers lie between whole ends"),
        ("{from: 2, to: 8, whole: true}", "{from: 2, til: 8}", "til: unknown key. Allowed here: from, scale, to"),
        ("[psl, {kind: epsl, phi: 0.5}]", "[psl]", "search.space.framework"),
        ("kind: sobol", "kind: sobel", "Did you mean 'sobol'?"),
        ("training.client.lr", "training.client.lrr", "lrr"),
        ("objective: [accuracy, total]", "objective: speed", "unknown measure 'speed'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_its_line(tmp_path, line, instead, said):
    with pytest.raises(ScenarioError) as error:
        load_study(write_study(tmp_path, SEARCHED.replace(line, instead), BASE))
    assert said in str(error.value)
    assert "study.yaml:" in str(error.value)


def test_without_optuna_the_command_that_installs_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(ComponentError, match=r"pip install 'gapslsim\[optuna\]'"):
        load_study(write_study(tmp_path, SEARCHED.replace("sobol", "optuna"), BASE))


@WITH_OPTUNA
def test_optuna_learns_and_asks_the_same_again():
    space = {"x": {"from": 0.0, "to": 1.0}}
    found = Optuna(space=space, trials=40, batch=4)
    points: list = []
    while more := found.ask([(1 - abs(x - 0.3),) for (x,) in points]):
        points += more
    assert len(points) == 40
    off = [abs(x - 0.3) for (x,) in points]
    assert sum(off[-20:]) < sum(off[:20]) / 2, "what it draws last lies nearer to the best"
    assert found.ask([(1 - abs(x - 0.3),) for (x,) in points[:8]]) == points[8:12]
    assert len(found.ask([None] * 4)) == 4, "failed trials do not end it"


@WITH_OPTUNA
def test_a_study_by_optuna_that_is_cut_off_and_resumed_tries_the_same(tmp_path):
    text = SEARCHED.replace("kind: sobol", "kind: optuna\n  batch: 2").replace("[1, 2]", "[1]")
    folders = [tmp_path / name for name in ("whole", "cut")]
    for folder in folders:
        folder.mkdir()
    plan = load_study(write_study(folders[0], text, BASE))
    assert len(plan.runs) == 2, "the others follow from what these give"
    whole = Noting()
    record = sweep(plan, folders[0] / "out", whole, journal=tmp_path / "j")
    assert len(record.runs) == len(whole.ran) == 4
    plan = load_study(write_study(folders[1], text, BASE))
    first, rest = Noting(3), Noting()
    with pytest.raises(KeyboardInterrupt):
        sweep(plan, folders[1] / "out", first, journal=tmp_path / "j")
    assert sweep(plan, folders[1] / "out", rest, resume=True, journal=tmp_path / "j").runs == record.runs
    assert first.ran + rest.ran == whole.ran
    assert digest(folders[0] / "out") == digest(folders[1] / "out")


@WITH_OPTUNA
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("axes: {grid: {data.partition.kind: [iid, shards]}}", "move them into 'space'"),
        ("adaptive: {kind: successive_halving, min: 1 rounds}", "learns from whole runs"),
    ],
)
def test_a_search_that_learns_is_alone(tmp_path, more, said):
    text = SEARCHED.replace("kind: sobol", "kind: optuna") + more + "\n"
    with pytest.raises(ScenarioError, match=said):
        load_study(write_study(tmp_path, text, BASE))

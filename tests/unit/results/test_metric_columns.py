"""Metrics, confusion and predictions of whole runs, as tables."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from rich.console import Console
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score

from gapslsim import Results, ScenarioError, load_dict, simulate
from gapslsim.results.compare import compare
from gapslsim.results.store import load_results, write_results
from gapslsim.results.study_figure import figures
from gapslsim.results.study_tables import StudyRun
from gapslsim.results.tables import end_table
from tests.worlds import small_scenario

METRICS = ["f1", "balanced_accuracy", "calibration_error", "perplexity"]
ALL = {"every": "2 rounds", "metrics": METRICS, "per_class": True, "predictions": True}
SKEWED = {"partition": {"kind": "dirichlet", "alpha": 0.3}}


@pytest.fixture(scope="module")
def results() -> Results:
    return simulate(load_dict(small_scenario(evaluation=ALL, data=SKEWED)))


def said(results: Results, view: str, client: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Right labels and what the trained network says, by PyTorch alone."""
    scenario = load_dict(small_scenario(data=SKEWED))
    data = scenario.data.load(None, scenario.seed)
    with torch.no_grad():
        return data.test.labels, results.model(view, client)(torch.from_numpy(data.test.inputs)).argmax(
            1
        ).numpy()


def last(table: pd.DataFrame, view: str, client: int = -1) -> pd.DataFrame:
    return table[(table["round"] == 4) & (table["view"] == view) & (table["client"] == client)]


@pytest.mark.parametrize(("view", "client"), [("global", -1), ("ensemble", -1), ("clients", 2)])
def test_metrics_of_a_run_are_those_that_scikit_learn_finds_for_its_models(
    results: Results, view: str, client: int
) -> None:
    right, predicted = said(results, view, client if client >= 0 else None)
    (row,) = last(results.evaluations, view, client).to_dict("records")
    assert row["accuracy"] == pytest.approx((right == predicted).mean(), abs=1e-12)
    assert row["f1"] == pytest.approx(f1_score(right, predicted, average="macro"), abs=1e-12)
    assert row["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(right, predicted), abs=1e-12)
    assert row["perplexity"] == pytest.approx(math.exp(row["loss"]), rel=1e-5)


def test_in_the_local_view_classes_weigh_as_in_the_clients_training_data(results: Results) -> None:
    scenario = load_dict(small_scenario(data=SKEWED))
    train = scenario.data.load(None, scenario.seed).train
    from gapslsim import stream

    shard = scenario.data.partition.split(train.labels, 4, stream(scenario.seed, "partition"))[1]
    share = np.bincount(train.labels[shard], minlength=4) / len(shard)
    right, predicted = said(results, "local", 1)
    weights = (share / np.bincount(right))[right]
    (row,) = last(results.evaluations, "local", 1).to_dict("records")
    kept = weights > 0
    theirs = f1_score(
        right[kept], predicted[kept], average="macro", sample_weight=weights[kept], zero_division=0
    )
    assert row["f1"] == pytest.approx(theirs, abs=1e-12)
    assert row["accuracy"] == pytest.approx(np.average(right == predicted, weights=weights), abs=1e-12)
    assert row["perplexity"] == pytest.approx(math.exp(row["loss"]), rel=1e-5)


def test_confusion_and_accuracy_per_class_are_those_of_scikit_learn(results: Results) -> None:
    for view, client in (("global", -1), ("clients", 3)):
        right, predicted = said(results, view, client if client >= 0 else None)
        matrix = np.zeros((4, 4), int)
        for row in last(results.confusion, view, client).itertuples():
            matrix[row.label, row.predicted] = row.n_samples
        np.testing.assert_array_equal(matrix, confusion_matrix(right, predicted))
        of_class = last(results.per_class, view, client)
        assert of_class["n_samples"].tolist() == [20, 20, 20, 20]
        np.testing.assert_allclose(of_class["accuracy"], np.diag(matrix) / 20, atol=1e-12)
    assert set(results.confusion["view"]) == {"global", "clients", "ensemble"}
    assert len(results.confusion.groupby(["round", "time_s"])) == 3


def test_predictions_are_those_of_the_last_evaluation(results: Results) -> None:
    assert set(results.predictions["round"]) == {4}
    assert len(results.predictions) == 80 * (1 + 1 + 4)
    for view, client in (("global", -1), ("clients", 0), ("ensemble", -1)):
        right, predicted = said(results, view, client if client >= 0 else None)
        own = last(results.predictions, view, client)
        assert own["sample"].tolist() == list(range(80))
        np.testing.assert_array_equal(own["label"], right)
        np.testing.assert_array_equal(own["predicted"], predicted)
        assert own["probability"].between(0.25, 1).all()


def test_what_is_looked_at_besides_changes_neither_training_nor_its_hashes(results: Results) -> None:
    plain = simulate(load_dict(small_scenario(data=SKEWED)))
    watched = simulate(
        load_dict(small_scenario(data=SKEWED, evaluation={"per_class": True, "predictions": True}))
    )
    for name in ("learning_sha256", "timeline_sha256"):
        assert watched.summary[name] == plain.summary[name]
    pd.testing.assert_frame_equal(results.evaluations[plain.evaluations.columns], plain.evaluations)
    assert results.summary["timeline_sha256"] == plain.summary["timeline_sha256"]
    assert results.summary["learning_sha256"] != plain.summary["learning_sha256"]  # it is of every metric
    assert "metrics" not in plain.summary
    assert all(getattr(plain, name).empty for name in ("confusion", "per_class", "predictions"))


def test_everything_is_kept_in_the_run_directory_and_shown(results: Results, tmp_path: Path) -> None:
    again = load_results(write_results(results, tmp_path / "run"))
    for name in ("evaluations", "confusion", "per_class", "predictions"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(results, name))
    assert again.summary == results.summary
    f1 = last(results.evaluations, "global")["f1"].item()
    clients = results.evaluations.query("round == 4 and view == 'clients'")["f1"].mean()
    assert again.summary["metrics"]["global"]["f1"] == pytest.approx(f1, abs=1e-12)
    assert again.summary["metrics"]["clients"]["f1"] == pytest.approx(clients, abs=1e-12)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(end_table(again.summary))
    shown = console.export_text()
    assert "balanced_accuracy" in shown
    assert f"{f1:.3g}" in shown
    table = compare([again.summary])
    assert table.rows[0][table.columns.index("f1 global")] == f"{f1:.3g}"


def test_a_journal_gives_the_same_metrics_again_without_computing(tmp_path: Path) -> None:
    scenario = load_dict(small_scenario(evaluation=ALL, data=SKEWED))
    first, again = (simulate(scenario, journal=tmp_path) for _ in range(2))
    assert again.summary["journal"]["computed"] == 0
    assert again.summary["learning_sha256"] == first.summary["learning_sha256"]
    for name in ("evaluations", "confusion", "per_class", "predictions"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(first, name))


def test_a_curve_of_a_study_has_the_means_of_the_metrics_over_clients(results: Results) -> None:
    run = StudyRun(None, results.evaluations, results.rounds, results.alignment)  # type: ignore[arg-type]
    curve = run.curve("clients")
    own = results.evaluations[results.evaluations["view"] == "clients"]
    means = own.groupby("round")[METRICS].mean()
    np.testing.assert_allclose(curve.set_index("round")[METRICS], means, atol=1e-12)


def test_figures_know_the_names_of_metrics() -> None:
    assert figures["curves"](y="f1").y == "f1"
    with pytest.raises(ValidationError, match="Did you mean 'balanced_accuracy'"):
        figures["curves"](y="balanced_acuracy")


def test_a_dry_run_has_the_columns_without_rows(tmp_path: Path) -> None:
    dry = simulate(load_dict(small_scenario(evaluation=ALL)), dry=True)
    assert dry.evaluations[METRICS].dtypes.eq("float64").all()
    again = load_results(write_results(dry, tmp_path / "run"))
    pd.testing.assert_frame_equal(again.evaluations, dry.evaluations)
    assert "metrics" not in again.summary


@pytest.mark.parametrize("framework", ["sfl", "fedavg", "async_sl", "sl"])
def test_metrics_are_there_whatever_the_framework(framework: str) -> None:
    results = simulate(load_dict(small_scenario(framework=framework, evaluation=ALL)))
    assert results.evaluations[METRICS].notna().all(axis=None)
    assert (results.evaluations["f1"] <= 1).all()


def test_a_client_that_cannot_be_judged_has_no_metric_either() -> None:
    data = {"partition": {"kind": "shards", "classes_per_client": 1}, "n_test": 1}
    results = simulate(load_dict(small_scenario(data=data, evaluation=ALL)))
    local = results.evaluations[results.evaluations["view"] == "local"]
    assert local["f1"].isna().equals(local["accuracy"].isna())
    assert local["f1"].isna().sum() == 9


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"metrics": ["f2"]}, "unknown metric 'f2'"),
        ({"metrics": ["f1", "f1"]}, "'f1' is given twice"),
        ({"metrics": ["f1", {"kind": "f1", "average": "micro"}]}, "'f1' is given twice"),
        ({"metrics": [{"kind": "f1", "average": "mean"}]}, "average"),
        ({"metrics": [{"kind": "calibration_error", "bins": 0}]}, "bins"),
        ({"metrics": [{"kind": "calibration_error", "bin": 5}]}, "Did you mean 'bins'?"),
        ({"metrics": "f1"}, "metrics"),
        ({"metrics": [3]}, "metrics"),
        ({"per_class": "all"}, "per_class"),
        ({"predictions": 2.5}, "predictions"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_with_its_place(given: Any, told: str) -> None:
    with pytest.raises(ScenarioError) as error:
        load_dict(small_scenario(evaluation=given))
    assert told in str(error.value)
    assert "evaluation" in str(error.value)

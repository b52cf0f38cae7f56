"""Several labels and numbers per sample: the plain PyTorch loop to 1e-10, views, metrics, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, mean_absolute_error, r2_score
from torch import nn

from gapslsim import Results, ScenarioError, load_dict, simulate
from gapslsim.data.dataset import Samples
from gapslsim.data.division import divide, load_sound
from gapslsim.learning.losses.binary import Binary
from gapslsim.learning.losses.mse import Mse
from gapslsim.learning.metric import Judged
from gapslsim.learning.metrics.f1 import F1
from gapslsim.learning.metrics.mean_absolute_error import MeanAbsoluteError
from gapslsim.learning.metrics.r2 import R2
from gapslsim.learning.setup import LearningSetup
from gapslsim.results.report.page import write_report
from gapslsim.results.store import write_results
from tests.plain_loop import assert_is_a_plain_loop
from tests.support import small_setup, stage
from tests.worlds import small_scenario

TARGETS: dict[str, tuple[Any, Any]] = {
    "labels": (Binary(), nn.BCEWithLogitsLoss()),
    "numbers": (Mse(), nn.MSELoss()),
}
EACH = pytest.mark.parametrize("target", TARGETS)


def rows(target: str, n: int, width: int) -> np.ndarray:
    made = np.random.default_rng(3).normal(size=(n, width))
    return (made > 0.3).astype(np.int64) if target == "labels" else made


def setup_of(target: str, sizes: tuple[int, int, int], width: int = 4) -> LearningSetup:
    """Three clients with shares of these sizes, in mini-batches of at most 7."""
    setup, n = small_setup(3, n_train=sum(sizes)), sum(sizes)
    data = setup.data
    data = replace(
        data,
        n_classes=width,
        target=target,
        train=Samples(rows(target, n, width), lambda: setup.data.train.inputs),
        test=Samples(rows(target, len(data.test), width), lambda: setup.data.test.inputs),
    )
    shards = np.split(np.arange(n), np.cumsum(sizes)[:-1])
    return replace(setup, data=data, shards=shards, loss=TARGETS[target][0], batch_size=7)


def batch(setup: LearningSetup, client: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    chosen, train = setup.batches.indices(client, step), setup.data.train
    return torch.from_numpy(train.inputs[chosen]).double(), torch.from_numpy(train.labels[chosen]).double()


@EACH
@pytest.mark.parametrize("sizes", [(4, 10, 26), (8, 8, 8)])
@pytest.mark.parametrize("server_update", ["mean", {"kind": "torchjd", "aggregator": "Mean"}])
def test_training_is_a_plain_loop_in_float64(target: str, sizes: Any, server_update: Any) -> None:
    setup, n_steps = setup_of(target, sizes), 8
    made = stage(setup, rates=(1.0,) * 3)
    scenario = load_dict(small_scenario(framework={"kind": "parallel", "server_update": server_update}))
    made.run(scenario.framework, n_steps)
    assert_is_a_plain_loop(made.learner, setup, n_steps, batch, TARGETS[target][1], 1e-10)


def own(tmp_path: Path, target: str, **more: Any) -> dict[str, Any]:
    """Six inputs, of which labels are noisy linear functions, in an .npz file."""
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 6)).astype(np.float32)
    y = x @ random.normal(size=(6, 3)) + 0.1 * random.normal(size=(300, 3))
    y = (y > 0).astype(np.uint8) if target == "labels" else y
    np.savez(tmp_path / "own.npz", x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])
    data = {"kind": "npz", "file": str(tmp_path / "own.npz"), "target": target, "partition": "iid"}
    loss = "binary" if target == "labels" else "mse"
    how = {"lr": 0.1, "momentum": 0.9} if target == "labels" else {"lr": 0.05}
    training = {"batch_size": 8, "loss": loss, "client": {"optimizer": "sgd", **how}}
    return small_scenario(**{"data": data, "training": training, **more})


def told(results: Results, given: dict[str, Any], view: str) -> tuple[torch.Tensor, np.ndarray, Any]:
    """What a view's model says of the test set, what is right, and the row of the last evaluation."""
    test = load_dict(given).data.load(None, 1).test
    with torch.no_grad():
        said = results.model(view)(torch.from_numpy(test.inputs))
    return said, test.labels, results.evaluations[results.evaluations["view"] == view].iloc[-1]


def test_the_accuracy_of_several_labels_is_the_share_of_all_that_are_right(tmp_path: Path) -> None:
    given = own(tmp_path, "labels", evaluation={"every": "2 rounds", "metrics": ["f1"]}, stop={"rounds": 60})
    results = simulate(load_dict(given))
    said, right, row = told(results, given, "global")
    expected = nn.BCEWithLogitsLoss()(said, torch.from_numpy(right).float())
    assert row["loss"] == pytest.approx(float(expected), rel=1e-5)
    assert row["accuracy"] == pytest.approx(float(((said > 0).numpy() == right).mean()))
    assert row["accuracy"] > 0.85
    assert row["f1"] == pytest.approx(f1_score(right, (said > 0).numpy(), average="macro"))
    mixed, right, row = told(results, given, "ensemble")
    mean = torch.stack([torch.sigmoid(results.model("clients", c)(inputs_of(given))) for c in range(4)]).mean(
        0
    )
    torch.testing.assert_close(mixed.exp(), mean.double(), rtol=1e-5, atol=1e-6)
    assert row["accuracy"] == pytest.approx(float(((mean > 0.5).numpy() == right).mean()))
    assert results.summary["accuracy"]["local"] == {"last": None, "best": None}


def inputs_of(given: dict[str, Any]) -> torch.Tensor:
    return torch.from_numpy(load_dict(given).data.load(None, 1).test.inputs)


def test_numbers_have_a_loss_and_metrics_and_no_accuracy_anywhere(tmp_path: Path) -> None:
    metrics = ["mean_absolute_error", "r2"]
    given = own(
        tmp_path, "numbers", evaluation={"every": "2 rounds", "metrics": metrics}, stop={"rounds": 60}
    )
    results = simulate(load_dict(given))
    for view in ("global", "ensemble"):
        said, right, row = told(results, given, view)
        assert np.isnan(row["accuracy"])
        assert row["loss"] == pytest.approx(float(((said.numpy() - right) ** 2).mean()), rel=1e-4)
        assert row["mean_absolute_error"] == pytest.approx(mean_absolute_error(right, said), rel=1e-4)
        assert row["r2"] == pytest.approx(r2_score(right, said), rel=1e-4)
        assert row["r2"] > 0.8
    members = torch.stack([results.model("clients", c)(inputs_of(given)) for c in range(4)]).mean(0)
    torch.testing.assert_close(told(results, given, "ensemble")[0], members.double(), rtol=1e-5, atol=1e-5)
    assert all(numbers["last"] is numbers["best"] is None for numbers in results.summary["accuracy"].values())
    assert set(results.summary["metrics"]["global"]) == {"loss", *metrics}
    assert results.evaluations.query("view == 'local'")[["accuracy", "loss", "r2"]].isna().all(axis=None)


def test_the_report_and_the_end_table_of_numbers_tell_no_accuracy(tmp_path: Path) -> None:
    results = simulate(load_dict(own(tmp_path, "numbers", stop={"rounds": 2})))
    write_results(results, tmp_path / "run")
    write_report([tmp_path / "run"], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "No accuracy" in page
    assert "Test accuracy against" not in page


def test_a_message_holds_8_bytes_for_a_class_1_for_each_label_and_4_for_each_number(tmp_path: Path) -> None:
    found = {}
    for target in TARGETS:
        spans = simulate(load_dict(own(tmp_path, target, stop={"rounds": 1})), dry=True).spans
        found[target] = set(spans.loc[spans["phase"] == "uplink", "size_bytes"])
    classes = simulate(load_dict(small_scenario(stop={"rounds": 1})), dry=True).spans
    found["class"] = set(classes.loc[classes["phase"] == "uplink", "size_bytes"])
    # Mini-batches of 8, of 12 float32 each at the cut; 3 labels or numbers.
    assert found == {"labels": {8 * (48 + 3)}, "numbers": {8 * (48 + 12)}, "class": {8 * (48 + 8)}}


@EACH
@pytest.mark.parametrize("kind", ["iid", "quantity"])
@pytest.mark.parametrize("framework", ["gapsl", "epsl", "sl", "fedavg", "async_sl"])
def test_every_framework_trains_on_them_and_a_journal_replays_it(
    tmp_path: Path, target: str, kind: str, framework: str
) -> None:
    given = own(tmp_path, target, framework=framework)
    given["data"]["partition"] = kind
    first, again = (simulate(load_dict(given), journal=tmp_path / "journal") for _ in range(2))
    assert np.isfinite(first.losses["loss"]).all()
    assert again.summary["journal"]["computed"] == 0
    assert again.summary["learning_sha256"] == first.summary["learning_sha256"]


@EACH
def test_a_column_and_lists_of_samples_divide_them(tmp_path: Path, target: str) -> None:
    given = own(tmp_path, target, stop={"rounds": 1})
    arrays = dict(np.load(tmp_path / "own.npz"))
    np.savez(tmp_path / "own.npz", **arrays, user_train=np.arange(200) % 4)
    (tmp_path / "lists.json").write_text(json.dumps([list(range(c, 200, 4)) for c in range(4)]))
    found = []
    for partition in (
        {"kind": "by_column", "column": "user"},
        {"kind": "file", "file": str(tmp_path / "lists.json")},
    ):
        given["data"] |= {"columns": ["user"], "partition": partition}
        scenario = load_dict(given, deep=True)
        shares = divide(scenario.data, load_sound(scenario.data, None, 3), 4, 3)[1]
        found.append(sorted(share.tolist() for share in shares))
    assert found[0] == found[1] == [list(range(c, 200, 4)) for c in range(4)]


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("labels", {"training": {"loss": "cross_entropy"}}, "training.loss", "write binary."),
    ("labels", {"training": {"loss": "mse"}}, "training.loss", "several labels per sample"),
    ("numbers", {"training": {"loss": "cross_entropy"}}, "training.loss", "write mse."),
    ("numbers", {"training": {"loss": "binary"}}, "training.loss", "write mse."),
    (
        "labels",
        {"data": {"partition": {"kind": "dirichlet", "alpha": 1}}},
        "data.partition",
        "by_column, file, iid",
    ),
    ("numbers", {"data": {"partition": {"kind": "shards"}}}, "data.partition", "divides by class"),
    (
        "labels",
        {"data": {"partition": {"kind": "iid", "label_noise": 0.1}}},
        "data.partition.label_noise",
        "leave",
    ),
    ("numbers", {"evaluation": {"targets": [0.5]}}, "evaluation.targets", "no accuracy"),
    ("numbers", {"stop": {"target_accuracy": 0.5}}, "stop.target_accuracy", "of: loss"),
    ("numbers", {"stop": {"patience": {"evaluations": 2}}}, "stop.patience.of", "of: loss"),
    ("labels", {"stop": {"patience": {"evaluations": 2, "view": "local"}}}, "stop.patience.view", "by class"),
    ("labels", {"evaluation": {"target_view": "local"}}, "evaluation.target_view", "by class"),
    ("labels", {"evaluation": {"per_class": True}}, "evaluation.per_class", "one class per sample"),
    ("numbers", {"evaluation": {"predictions": True}}, "evaluation.predictions", "one class per sample"),
    ("labels", {"evaluation": {"metrics": ["f1", "perplexity"]}}, "evaluation.metrics.1", "write f1."),
    ("numbers", {"evaluation": {"metrics": ["f1"]}}, "evaluation.metrics.0", "mean_absolute_error or r2"),
    ("labels", {"framework": "gas"}, "framework", "by class"),
    ("labels", {"data": {"n_classes": 3}}, "data.target", "leave n_classes"),
    ("class", {}, "data", "target: labels"),
]


@pytest.mark.parametrize(("target", "changed", "path", "fix"), REFUSED)
def test_what_does_not_fit_the_labels_is_refused_with_its_place_and_fix(
    tmp_path: Path, target: str, changed: dict[str, Any], path: str, fix: str
) -> None:
    given = own(tmp_path, "labels" if target == "class" else target)
    given["data"]["target"] = target
    for name, section in changed.items():
        given[name] = given[name] | section if isinstance(section, dict) else section
    with pytest.raises(ScenarioError) as error:
        load_dict(given, deep=True)
    (problem,) = error.value.problems
    assert problem.path == path
    assert fix in problem.message


def test_a_run_from_python_refuses_them_too(tmp_path: Path) -> None:
    given = own(tmp_path, "labels")
    given["training"]["loss"] = "cross_entropy"
    with pytest.raises(ScenarioError, match="write binary"):
        simulate(load_dict(given))


def test_r2_and_the_mean_absolute_error_are_those_worked_out_by_hand() -> None:
    judged = Judged(np.array([[1.0], [2.0], [5.0]]), np.array([[1.0], [3.0], [5.0]]), np.ones(3), "numbers")
    assert MeanAbsoluteError().value(judged) == pytest.approx(1 / 3)
    # 1 - 1 / (4 + 0 + 4)
    assert R2().value(judged) == pytest.approx(0.875)


def test_f1_of_several_labels_is_the_mean_over_the_labels() -> None:
    yes = np.log([[0.9, 0.2], [0.6, 0.3], [0.4, 0.8]])
    judged = Judged(yes, np.array([[1, 1], [0, 0], [0, 1]]), np.ones(3), "labels")
    # Label 0: one of two said is right, F1 2/3; label 1: one said, one of two found, F1 2/3.
    assert F1().value(judged) == pytest.approx(2 / 3)
    assert judged.predicted.tolist() == [[1, 0], [1, 0], [0, 1]]

"""Losses: those of PyTorch, each client's the weighted mean of its mini-batch, whatever passes are made together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn
from torch.nn import functional as F

from gapslsim import ScenarioError, load_dict, simulate
from gapslsim.frameworks.framework import frameworks
from gapslsim.learning.criterion import Criterion
from gapslsim.learning.engine import Engine
from gapslsim.learning.loss import losses
from gapslsim.learning.server_pass import server_pass
from gapslsim.learning.setup import LearningSetup
from gapslsim.learning.tensors import Side
from gapslsim.models.split import build
from tests.plain_loop import assert_is_a_plain_loop
from tests.support import sgd, small_setup, stage
from tests.unit.learning.test_server_pass import NOTHING, SEEDS, SIZES, convolutional, messages
from tests.worlds import small_scenario

Plain = Callable[[Tensor, Tensor], Tensor]
WEIGHTS = (0.3, 1.0, 2.5)
COUNTS = np.array([5, 1, 14])


def hot(outputs: Tensor, labels: Tensor) -> Tensor:
    return torch.eye(outputs.shape[1], dtype=outputs.dtype)[labels]


def cross_entropy(weight: Any = None, smoothing: float = 0.0) -> Plain:
    given = None if weight is None else torch.tensor(weight, dtype=torch.float64)
    return nn.CrossEntropyLoss(given, label_smoothing=smoothing)


BALANCED = compute_class_weight("balanced", classes=np.arange(3), y=np.repeat(np.arange(3), COUNTS))
LOSSES: dict[str, tuple[dict[str, Any], Plain]] = {
    "cross_entropy": ({"kind": "cross_entropy"}, cross_entropy()),
    "weights": ({"kind": "cross_entropy", "class_weights": WEIGHTS}, cross_entropy(WEIGHTS)),
    "balanced": ({"kind": "cross_entropy", "class_weights": "balanced"}, cross_entropy(BALANCED)),
    "smoothing": ({"kind": "cross_entropy", "label_smoothing": 0.2}, cross_entropy(None, 0.2)),
    "both": (
        {"kind": "cross_entropy", "class_weights": WEIGHTS, "label_smoothing": 0.1},
        cross_entropy(WEIGHTS, 0.1),
    ),
    "binary": ({"kind": "binary"}, lambda out, y: nn.BCEWithLogitsLoss()(out, hot(out, y))),
    "mse": ({"kind": "mse"}, lambda out, y: nn.MSELoss()(out, hot(out, y))),
}
EACH = pytest.mark.parametrize("name", LOSSES)


def loss_of(name: str) -> Any:
    settings = dict(LOSSES[name][0])
    return losses[settings.pop("kind")](**settings)


def criterion(name: str) -> Criterion:
    return Criterion.of(loss_of(name), COUNTS, torch.zeros(1, dtype=torch.float64))


@EACH
def test_the_loss_of_a_mini_batch_is_that_of_pytorch(name: str) -> None:
    outputs, labels = torch.randn(11, 3, dtype=torch.float64), torch.randint(3, (11,))
    torch.testing.assert_close(
        criterion(name).mean(outputs, labels), LOSSES[name][1](outputs, labels), rtol=0, atol=1e-13
    )


def test_a_class_without_training_samples_weighs_1_where_weights_are_balanced() -> None:
    weights = loss_of("balanced").weights_for(np.array([6, 0, 2]))
    np.testing.assert_allclose(weights, [8 / (2 * 6), 1.0, 8 / (2 * 2)])


@EACH
@pytest.mark.parametrize(
    ("sizes", "how"),
    [
        (SIZES, {"keep_rows": True}),
        (SIZES, {"keep_rows": False}),
        (SIZES, {"keep_rows": False, "joined_samples": 100}),
        (SIZES, {"keep_rows": False, "joined_samples": 8}),
        ((4,) * 5, {"keep_rows": False, "joined_samples": 100}),
        ((4,) * 5, {"keep_rows": True, "stacked_samples": 100}),
        ((4,) * 5, {"keep_rows": True, "stacked_samples": 8}),
    ],
)
def test_every_client_has_the_gradients_of_its_own_loss_in_passes_of_any_kind(
    name: str, sizes: tuple[int, ...], how: dict[str, Any]
) -> None:
    module, given = convolutional(), messages(sizes)
    rows, cuts, expected = [], [], []
    for message in given:
        at_cut = message.activations.clone().requires_grad_()
        loss = LOSSES[name][1](module(at_cut), message.labels)
        *gradients, cut = torch.autograd.grad(loss, (*module.parameters(), at_cut))
        rows.append(torch.cat([g.flatten() for g in gradients]))
        cuts.append(cut)
        expected.append(loss.detach())
    side = Side(module, sgd(), None)
    passed = server_pass(side, side.initial(), given, NOTHING, SEEDS, criterion=criterion(name), **how)
    matrix = torch.stack(rows) if how["keep_rows"] else torch.stack(rows).mean(0, keepdim=True)
    for ours, theirs in ((passed.losses, torch.stack(expected)), (passed.matrix, matrix)):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    for ours, theirs in zip(passed.cuts, cuts, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@EACH
def test_what_one_client_shares_with_itself_is_its_own_gradient(name: str) -> None:
    module, given = convolutional(), messages((4,))
    side = Side(module, sgd(), None)
    whole, shared = (
        server_pass(side, side.initial(), given, [n], SEEDS[:2], criterion=criterion(name)) for n in (0, 4)
    )
    torch.testing.assert_close(shared.matrix, whole.matrix, rtol=0, atol=1e-12)
    assert shared.shared_cut is not None
    torch.testing.assert_close(shared.shared_cut, whole.cuts[0], rtol=0, atol=1e-12)


def uneven(name: str) -> LearningSetup:
    """Three clients with mini-batches of unlike sizes and classes."""
    setup = small_setup(3, n_train=40)
    shards = [np.arange(0, 4), np.arange(4, 14), np.arange(14, 40)]
    return replace(setup, shards=shards, loss=loss_of(name), batch_size=7)


def plain_loss(setup: LearningSetup, name: str) -> Plain:
    if name != "balanced":
        return LOSSES[name][1]
    labels = setup.data.train.labels
    return cross_entropy(compute_class_weight("balanced", classes=np.arange(3), y=labels))


def batch(setup: LearningSetup, client: int, step: int) -> tuple[Tensor, Tensor]:
    chosen = setup.batches.indices(client, step)
    train = setup.data.train
    return torch.from_numpy(train.inputs[chosen]).double(), torch.from_numpy(train.labels[chosen])


@EACH
@pytest.mark.parametrize("server_update", ["mean", "torchjd"])
def test_parallel_split_learning_is_a_plain_loop_with_the_loss_of_pytorch(
    name: str, server_update: str
) -> None:
    setup, n = uneven(name), 5
    # An aggregator of TorchJD sees each client's gradient, and the mean all of them in one.
    rule: Any = "mean" if server_update == "mean" else {"kind": "torchjd", "aggregator": "Mean"}
    made = stage(setup, rates=(1.0,) * 3)
    scenario = load_dict(small_scenario(framework={"kind": "parallel", "server_update": rule}))
    made.run(scenario.framework, n)
    assert_is_a_plain_loop(made.learner, setup, n, batch, plain_loss(setup, name), 1e-12)


@EACH
def test_federated_averaging_is_a_plain_loop_with_the_loss_of_pytorch(name: str) -> None:
    setup = uneven(name)
    made = stage(setup, rates=(1.0,) * 3)
    made.run(frameworks["fedavg"](), 1)
    loss_fn, recorded = plain_loss(setup, name), []
    for client in range(3):
        sides = build(setup.model, (6,), 3, setup.seed)
        whole = nn.Sequential(sides.client, sides.server).double()
        optimizer = torch.optim.SGD(whole.parameters(), 0.1, 0.9)
        own = []
        for step in range(made.learner.steps_per_epoch(client)):
            optimizer.zero_grad()
            loss = loss_fn(whole(batch(setup, client, step)[0]), batch(setup, client, step)[1])
            loss.backward()
            optimizer.step()
            own.append(float(loss.detach()))
        recorded.append(np.mean(own))
    np.testing.assert_allclose([row.loss for row in made.learner.observed.losses], recorded, atol=1e-12)


FOUR = {"class_weights": [0.5, 1, 2, 4]}


@pytest.mark.parametrize(
    "given", [{"kind": "cross_entropy", **FOUR, "label_smoothing": 0.1}, "binary", "mse"]
)
def test_the_test_loss_is_the_loss_that_models_are_trained_by(given: Any) -> None:
    training = {"batch_size": 8, "client": {"optimizer": "sgd", "lr": 0.05}, "loss": given}
    scenario = load_dict(small_scenario(training=training))
    results = simulate(scenario)
    data = scenario.data.load(None, scenario.seed).test
    labels = torch.from_numpy(data.labels)
    with torch.no_grad():
        outputs = results.model("global")(torch.from_numpy(data.inputs))
    if given == "binary":
        expected = F.binary_cross_entropy_with_logits(outputs, hot(outputs, labels))
    elif given == "mse":
        expected = F.mse_loss(outputs, hot(outputs, labels))
    else:
        expected = F.cross_entropy(outputs, labels, torch.tensor([0.5, 1, 2, 4]), label_smoothing=0.1)
    last = results.evaluations.query("round == 4 and view == 'global'").iloc[0]
    assert last["loss"] == pytest.approx(float(expected), rel=1e-5)
    assert last["accuracy"] == float((outputs.argmax(1) == labels).double().mean())
    with torch.no_grad():
        said = results.model("ensemble")(torch.from_numpy(data.inputs)).argmax(1)
    ensemble = results.evaluations.query("round == 4 and view == 'ensemble'").iloc[0]
    assert ensemble["accuracy"] == float((said == labels).double().mean())
    assert np.isfinite(results.evaluations["loss"]).all()
    # IID clients have the class shares of the test set, up to one sample: local and clients nearly agree.
    of_view = results.evaluations.query("round == 4").groupby("view")["loss"].mean()
    assert of_view["local"] == pytest.approx(of_view["clients"], rel=0.1)


@pytest.mark.parametrize("kind", ["sl", "fedavg", "gapsl", "epsl", "async_sl", "gas"])
def test_every_framework_trains_by_the_loss_that_is_given(kind: str) -> None:
    training = {"batch_size": 8, "client": {"optimizer": "sgd", "lr": 0.05}}
    weighted = training | {"loss": FOUR | {"kind": "cross_entropy"}}
    changed, plain = (
        simulate(load_dict(small_scenario(framework=kind, training=t))) for t in (weighted, training)
    )
    assert not np.allclose(changed.losses["loss"], plain.losses["loss"])


def test_the_default_is_the_cross_entropy_and_journals_tell_losses_apart(tmp_path: Path) -> None:
    def run(**loss: Any) -> Any:
        training = {"batch_size": 8, "client": {"optimizer": "sgd", "lr": 0.05}, **loss}
        return simulate(load_dict(small_scenario(training=training)), journal=tmp_path)

    plain, named, other = run(), run(loss="cross_entropy"), run(loss="mse")
    assert named.summary["journal"]["computed"] == 0
    assert named.summary["learning_sha256"] == plain.summary["learning_sha256"]
    assert other.summary["journal"]["replayed"] == 0


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        ("crossentropy", "Did you mean 'cross_entropy'?"),
        ({"kind": "cross_entropy", "class_weights": [1, 2]}, "class_weights has 2 numbers for 4 classes"),
        (
            {"kind": "cross_entropy", "class_weights": [1, 1, 1, 1, 1]},
            "class_weights has 5 numbers for 4 classes",
        ),
        ({"kind": "cross_entropy", "class_weights": [1, 1, 0, 1]}, "it must be greater than 0"),
        ({"kind": "cross_entropy", "class_weights": [1, 1, -2, 1]}, "it must be greater than 0"),
        ({"kind": "cross_entropy", "class_weights": "balance"}, "training.loss.class_weights"),
        ({"kind": "cross_entropy", "class_weights": ["a", 1, 1, 1]}, "training.loss.class_weights"),
        ({"kind": "cross_entropy", "class_weights": 3}, "training.loss.class_weights"),
        ({"kind": "cross_entropy", "class_weights": {"0": 1}}, "training.loss.class_weights"),
        ({"kind": "cross_entropy", "label_smoothing": 1}, "training.loss.label_smoothing"),
        ({"kind": "cross_entropy", "label_smoothing": -0.1}, "training.loss.label_smoothing"),
        ({"kind": "cross_entropy", "label_smoothing": "much"}, "training.loss.label_smoothing"),
        ({"kind": "cross_entropy", "smoothing": 0.1}, "unknown key"),
        ({"kind": "mse", "class_weights": "balanced"}, "unknown key"),
        ({"kind": "binary", "threshold": 0.5}, "unknown key"),
        ({}, "'kind' is missing"),
        (["mse"], "training.loss"),
        (3, "training.loss"),
    ],
)
def test_a_loss_that_cannot_be_is_refused_with_its_place_and_fix(loss: Any, told: str) -> None:
    training = {"batch_size": 8, "client": {"optimizer": "sgd", "lr": 0.05}, "loss": loss}
    with pytest.raises(ScenarioError) as error:
        load_dict(small_scenario(training=training), deep=True)
    assert told in str(error.value)
    assert "training.loss" in str(error.value)


def test_balanced_weights_count_the_samples_of_the_clients_alone() -> None:
    setup = uneven("balanced")
    setup = replace(setup, shards=[shard[:3] for shard in setup.shards])
    used = setup.data.train.labels[np.concatenate(setup.shards)]
    weights = Engine(setup, torch.device("cpu"), torch.float64).criterion.class_weights
    assert weights is not None
    there = np.unique(used)
    np.testing.assert_allclose(
        weights.numpy()[there], compute_class_weight("balanced", classes=there, y=used), atol=1e-12
    )

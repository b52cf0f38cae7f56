"""Batch size, optimizer and learning rate of one client group, against plain loops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gapslsim import Results, ScenarioError, load_dict, simulate
from gapslsim.assembly import assemble
from gapslsim.frameworks.framework import frameworks
from gapslsim.learning.optimizers.adam import Adam
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.split import build
from tests.support import sgd, small_setup, stage
from tests.unit.learning.test_losses import batch
from tests.worlds import small_scenario

OWN = (sgd(0.1, momentum=0.9), Adam(lr=0.02), sgd(0.3, clip_norm=0.1))


def unlike() -> LearningSetup:
    return replace(small_setup(3, n_train=45), batch_sizes=(5, 3, 8), client_optimizers=OWN)


def plain_optimizers(modules: list[nn.Module]) -> list[torch.optim.Optimizer]:
    first, second, third = (module.parameters() for module in modules)
    return [
        torch.optim.SGD(first, 0.1, 0.9),
        torch.optim.Adam(second, 0.02),
        torch.optim.SGD(third, 0.3),
    ]


def assert_same(state: Any, module: nn.Module) -> None:
    for ours, theirs in zip(state.value.parameters, module.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs.detach(), rtol=0, atol=1e-12)


def test_parallel_split_learning_of_unlike_clients_is_a_plain_loop() -> None:
    setup = unlike()
    made = stage(setup, rates=(1.0,) * 3)
    made.run(frameworks["psl"](), 6)
    splits = [build(setup.model, (6,), 3, setup.seed) for _ in range(3)]
    clients: list[nn.Module] = [split.client.double() for split in splits]
    server = splits[0].server.double()
    optimizers = [*plain_optimizers(clients), torch.optim.SGD(server.parameters(), 0.1, 0.9)]
    for step in range(6):
        for optimizer in optimizers:
            optimizer.zero_grad()
        for client, module in enumerate(clients):
            inputs, labels = batch(setup, client, step)
            assert len(labels) == (5, 3, 8)[client]
            nn.CrossEntropyLoss()(server(module(inputs)), labels).backward()
        nn.utils.clip_grad_norm_(clients[2].parameters(), 0.1)
        for parameter in server.parameters():
            assert parameter.grad is not None
            parameter.grad /= 3
        for optimizer in optimizers:
            optimizer.step()
    for client, module in enumerate(clients):
        assert_same(made.learner.client_state(client), module)
    assert_same(made.learner.server_state, server)
    assert [row.n_samples for row in made.learner.observed.losses[:3]] == [5, 3, 8]


def test_federated_averaging_of_unlike_clients_is_a_plain_loop() -> None:
    setup = unlike()
    made = stage(setup, rates=(1.0,) * 3)
    made.run(frameworks["fedavg"](weights="uniform", local_steps=3), 2)
    wholes = []
    for _ in range(3):
        split = build(setup.model, (6,), 3, setup.seed)
        wholes.append(nn.Sequential(split.client, split.server).double())
    for round in range(2):
        # Fresh in every round, as FedAvg's clients keep no momentum.
        for client, (whole, optimizer) in enumerate(zip(wholes, plain_optimizers(wholes), strict=True)):
            for step in range(3 * round, 3 * round + 3):
                inputs, labels = batch(setup, client, step)
                optimizer.zero_grad()
                nn.CrossEntropyLoss()(whole(inputs), labels).backward()
                if client == 2:
                    nn.utils.clip_grad_norm_(whole.parameters(), 0.1)
                optimizer.step()
        means = [sum(ps) / 3 for ps in zip(*(list(whole.parameters()) for whole in wholes), strict=True)]
        with torch.no_grad():
            for whole in wholes:
                for parameter, mean in zip(whole.parameters(), means, strict=True):
                    parameter.copy_(mean)
    n = len(made.learner.client_state(0).value.parameters)
    assert_same(made.learner.client_state(0), nn.ParameterList(list(wholes[0].parameters())[:n]))
    assert_same(made.learner.server_state, nn.ParameterList(list(wholes[0].parameters())[n:]))


def test_clients_of_federated_averaging_take_as_many_local_steps_as_each_is_given() -> None:
    framework = {"kind": "fedavg", "local_steps": [1, 5, "epoch", 3]}
    results = run({"batch_size": 4}, framework=framework, stop={"rounds": 2})
    assert results.losses.groupby("client")["n_samples"].first().tolist() == [
        1 * 4,
        5 * 4,
        60 // 8 * 8 + 8,
        3 * 8,
    ]
    alike = run(None, framework={"kind": "fedavg", "local_steps": [2, 2, 2, 2]})
    plain = run(None, framework={"kind": "fedavg", "local_steps": 2})
    assert alike.summary["learning_sha256"] == plain.summary["learning_sha256"]
    assert alike.summary["timeline_sha256"] == plain.summary["timeline_sha256"]


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([1, 2, 3], "local_steps has 3 entries for 4 clients"),
        ([1, 2, 3, 4, 5], "local_steps has 5 entries for 4 clients"),
        ([], "local_steps has 0 entries"),
        ([1, 2, 0, 4], "framework.local_steps"),
        ([1, 2, "epochs", 4], "framework.local_steps"),
        (0, "framework.local_steps"),
    ],
)
def test_local_steps_that_do_not_fit_the_clients_are_refused(steps: Any, told: str) -> None:
    with pytest.raises(ScenarioError) as error:
        load_dict(small_scenario(framework={"kind": "fedavg", "local_steps": steps}))
    assert told in str(error.value)


def test_averaging_the_client_side_models_keeps_each_clients_own_optimizer() -> None:
    setup = unlike()
    made = stage(setup, rates=(1.0,) * 3)
    made.run(frameworks["sfl"](), 3)
    slots = [set(made.learner.client_state(client).value.optimizer) for client in range(3)]
    assert slots == [{"momentum"}, {"first_moment", "second_moment", "n_steps"}, set()]


def grouped(first: Any, second: Any = None, **sections: Any) -> dict[str, Any]:
    made = small_scenario(**sections)
    for group, training in zip(made["clients"], (first, second), strict=True):
        if training is not None:
            group["training"] = training
    return made


def run(*given: Any, **sections: Any) -> Results:
    return simulate(load_dict(grouped(*given, **sections)))


ADAM = {"client": {"optimizer": "adam", "lr": 0.01}}


@pytest.mark.parametrize(
    "framework", ["psl", "sfl", "gapsl", "epsl", "fedavg", "async_sl", "async_sfl", "gas", "sl"]
)
def test_every_framework_runs_with_unlike_groups_and_the_clock_knows_it(framework: str) -> None:
    given: Any = {"kind": "sl", "optimizer": "keep"} if framework == "sl" else framework
    unlike_groups = grouped({"batch_size": 4, "lr": 0.01}, {"batch_size": 12, **ADAM}, framework=given)
    results = simulate(load_dict(unlike_groups))
    dry = simulate(load_dict(unlike_groups), dry=True)
    assert results.summary["status"] == "completed"
    assert dry.summary["timeline_sha256"] == results.summary["timeline_sha256"]
    if framework not in ("fedavg", "sl"):
        of_client = results.spans.query("phase == 'uplink'").groupby("client")["size_bytes"].first()
        assert of_client.tolist() == [4 * (12 * 4 + 8)] * 2 + [12 * (12 * 4 + 8)] * 2


def test_a_learning_rate_of_a_group_is_all_else_of_the_others_optimizer() -> None:
    short = run({"lr": 0.01})
    long = run({"client": {"optimizer": "sgd", "lr": 0.01, "momentum": 0.9}})
    assert short.summary["learning_sha256"] == long.summary["learning_sha256"]
    assert short.summary["learning_sha256"] != run(None).summary["learning_sha256"]


def test_groups_that_say_what_is_so_anyway_change_nothing() -> None:
    same = run({"batch_size": 8, "client": {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9}}, {"lr": 0.05})
    plain = run(None)
    for name in ("learning_sha256", "timeline_sha256"):
        assert same.summary[name] == plain.summary[name]


def test_a_journal_tells_groups_apart_and_replays_them(tmp_path: Path) -> None:
    scenario = load_dict(grouped(ADAM, {"batch_size": 5}))
    first, again = (simulate(scenario, journal=tmp_path) for _ in range(2))
    assert again.summary["journal"]["computed"] == 0
    assert again.summary["learning_sha256"] == first.summary["learning_sha256"]
    assert simulate(load_dict(grouped(ADAM)), journal=tmp_path).summary["journal"]["replayed"] == 0


def test_the_memory_of_a_client_is_that_of_the_greediest_optimizer() -> None:
    plain, adam = (
        assemble(load_dict(grouped(given)), dry=True).memory["client_bytes"] for given in (None, ADAM)
    )
    n_parameters = 8 * 12 + 12
    assert adam - plain == 4 * n_parameters  # two moments instead of a velocity


@pytest.mark.parametrize(
    ("training", "told"),
    [
        ({"batch_size": 0}, "clients.1.training.batch_size"),
        ({"batch_size": "eight"}, "clients.1.training.batch_size"),
        ({"batch_size": 241}, "the data has 240 training samples"),
        ({"lr": 0}, "clients.1.training.lr"),
        ({"lr": -1}, "clients.1.training.lr"),
        ({"lr": "small"}, "clients.1.training.lr"),
        ({"lr": 0.1, **ADAM}, "lr and client are both given"),
        ({"client": {"optimizer": "adm", "lr": 0.1}}, "Did you mean 'adam'?"),
        ({"client": {"optimizer": "sgd"}}, "clients.1.training.client.lr"),
        ({"client": {"lr": 0.1}}, "'optimizer' is missing"),
        ({"client": {"optimizer": "adam", "lr": 0.1, "momentum": 0.9}}, "unknown key"),
        ({"client": 3}, "clients.1.training.client"),
        ({"batchsize": 8}, "Did you mean 'batch_size'?"),
        ({"server": {"optimizer": "sgd", "lr": 0.1}}, "unknown key"),
        (8, "clients.1.training"),
        (["adam"], "clients.1.training"),
    ],
)
def test_what_a_group_cannot_have_is_refused_with_its_place_and_fix(training: Any, told: str) -> None:
    with pytest.raises(ScenarioError) as error:
        load_dict(grouped(None, training), deep=True)
    assert told in str(error.value)
    assert "clients.1" in str(error.value)


def test_an_optimizer_that_is_handed_on_must_be_of_one_kind() -> None:
    with pytest.raises(ScenarioError, match=r"clients\.1\.training\.client: .*keep or reset"):
        load_dict(grouped(None, ADAM, framework={"kind": "sl", "optimizer": "carry"}))
    load_dict(grouped(None, {"lr": 0.2}, framework={"kind": "sl", "optimizer": "carry"}))


def test_a_schedule_of_a_group_needs_a_planned_end_as_any_other() -> None:
    cosine = {"client": {"optimizer": "sgd", "lr": 0.1, "schedule": {"kind": "cosine"}}}
    stop = {"rounds": None, "simulated_time": "1 s"}
    with pytest.raises(ScenarioError, match=r"clients\.1\.training\.client\.schedule"):
        load_dict(grouped(None, cosine, stop=stop))

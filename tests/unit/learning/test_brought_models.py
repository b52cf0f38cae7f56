"""Models that users bring: frozen weights, randomness of any kind, layers that mix samples."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gapslsim.errors import ComponentError
from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.rules.client_update.own import OwnClientUpdate
from gapslsim.learning.costs import OperationCosts
from gapslsim.learning.probe import probe
from gapslsim.learning.setup import LearningSetup
from gapslsim.learning.tensors import Side
from gapslsim.models.model import Model
from gapslsim.models.split import build, whole
from gapslsim.registry import component
from tests.support import Stage, sgd, small_setup, stage, three_batches

TOLERANCE = 1e-12


@component
class Brought(Model):
    """Layers of the test's own between linear ones: 6 inputs, 3 classes."""

    below: str = "nn.Identity()"
    above: str = "nn.Identity()"
    frozen: tuple[str, ...] = ()
    cut: int = 1

    def blocks(self, input_shape: tuple[int, ...], n_classes: int) -> list[tuple[str, nn.Module]]:
        # Written out in the test, since settings must be hashable.
        made = [
            ("first", nn.Sequential(nn.Linear(6, 4), nn.Tanh(), eval(self.below))),
            ("second", nn.Sequential(nn.Linear(4, 5), nn.Tanh(), eval(self.above), nn.Linear(5, n_classes))),
        ]
        for name, parameter in nn.ModuleDict(dict(made)).named_parameters():
            parameter.requires_grad_(not name.startswith(self.frozen or "-"))
        return made

    def cut_index(self, input_shape: tuple[int, ...], n_classes: int) -> int:
        return self.cut


def brought(n_clients: int = 1, **settings: Any) -> LearningSetup:
    optimizer = sgd(0.1, momentum=0.9, weight_decay=0.1)
    return small_setup(n_clients, model=Brought(**settings), client=optimizer, server=optimizer)


def trained(setup: LearningSetup, kind: str, rounds: int, **settings: Any) -> Stage:
    return stage(setup).run(frameworks[kind](**settings), rounds)


def weights(world: Stage) -> list[Tensor]:
    """Of both sides with what is frozen."""
    engine, learner = world.engine, world.learner
    assert engine is not None
    states = learner.client_state(0).value, learner.server_state.value
    return [
        tensor
        for side, state in zip((engine.client, engine.server), states, strict=True)
        for tensor in side.all_parameters(state.parameters)
    ]


def by_torch(setup: LearningSetup, rounds: int, optimizer: Any = None) -> list[Tensor]:
    net = whole(setup.model, setup.data.input_shape, setup.data.n_classes, setup.seed).double()
    own: Any = optimizer or (lambda given: torch.optim.SGD(given, lr=0.1, momentum=0.9, weight_decay=0.1))
    step = own(net.parameters())
    inputs, labels = (
        torch.from_numpy(setup.data.train.inputs).double(),
        torch.from_numpy(setup.data.train.labels),
    )
    for place in range(rounds):
        chosen = torch.from_numpy(setup.batches.indices(0, place))
        step.zero_grad()
        F.cross_entropy(net(inputs[chosen]), labels[chosen]).backward()
        step.step()
    return [p.detach() for p in net.parameters()]


FROZEN: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a layer of the client": {"frozen": ("first.0.weight",)},
    "the client": {"frozen": ("first",)},
    "a layer of the server": {"frozen": ("second.0",)},
    "the server": {"frozen": ("second",)},
    "biases": {"frozen": ("first.0.bias", "second.3.bias")},
    "everything": {"frozen": ("first", "second")},
    "a parameter that no pass uses": {"below": "Unused()", "above": "Unused()"},
}


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize("kind", ["psl", "gapsl", "sfl", "epsl", "sl", "fedavg"])
@pytest.mark.parametrize("what", FROZEN)
def test_frozen_weights_stay_and_the_others_train_as_in_torch(kind: str, what: str) -> None:
    if kind == "gapsl" and what in ("the server", "everything"):
        pytest.skip("refused where the scenario is read: there is no gradient to align")
    setup = brought(**FROZEN[what])
    settings, rounds = ({"local_steps": 5}, 1) if kind == "fedavg" else ({}, 5)
    if what == "everything":
        expected = [p.detach() for p in whole(setup.model, (6,), 3, setup.seed).double().parameters()]
    else:
        expected = by_torch(setup, 5)
    for found, wanted in zip(weights(trained(setup, kind, rounds, **settings)), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("kind", ["psl", "gapsl", "sfl"])
def test_stacked_passes_of_many_clients_leave_frozen_weights_alone(kind: str) -> None:
    setup = brought(4, frozen=("first.0.weight", "second.0"))
    world = trained(setup, kind, 3)
    assert world.engine is not None
    assert world.engine.stacks_clients
    before = whole(setup.model, (6,), 3, setup.seed).double()
    same = [torch.equal(a, b) for a, b in zip(weights(world), before.parameters(), strict=True)]
    assert same == [True, False, True, True, False, False]


def test_frozen_weights_are_in_no_message_no_average_and_no_optimizer() -> None:
    # 6 x 4 weights of the client are frozen; its bias of 4 travels, 8 bytes each.
    setup = brought(2, frozen=("first.0.weight",))
    world = trained(setup, "sfl", 1)
    sizes = {s.size_bytes for s in world.recorder.spans if s.phase in ("model_uplink", "model_downlink")}
    assert sizes == {4 * 8}
    state = world.learner.client_state(0).value
    assert [tuple(p.shape) for p in state.parameters] == [(4,)]
    assert [tuple(slot.shape) for slot in state.optimizer["momentum"]] == [(4,)]
    backward = OperationCosts(setup).client_backward(5, OwnClientUpdate(), setup.client_optimizer)
    assert [layer.n_parameters for layer, _ in backward.flat() if layer.phase == "update"] == [4]


@pytest.mark.parametrize(("kind", "n"), [("psl", 24), ("sfl", 24), ("fedavg", 24 + 20)])
def test_frozen_weights_are_sent_once_where_the_scenario_says_so(kind: str, n: int) -> None:
    from dataclasses import replace

    setup = brought(2, frozen=("first.0.weight", "second.0.weight"))
    sent = trained(replace(setup, sends_frozen=True), kind, 2)
    installed = trained(setup, kind, 2)

    def downlinks(world: Stage) -> list[int]:
        return sorted(s.size_bytes for s in world.recorder.spans if s.phase == "model_downlink")

    assert sorted([*downlinks(installed), n * 8, n * 8]) == downlinks(sent)
    for a, b in zip(weights(sent), weights(installed), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("what", ["a layer of the client", "the server", "a parameter that no pass uses"])
def test_the_model_that_comes_out_has_the_frozen_weights(what: str) -> None:
    setup = brought(2, **FROZEN[what])
    world = trained(setup, "sfl", 2)
    world.learner.evaluate(("global",))
    models = world.learner.trained()
    assert models is not None
    before = dict(whole(setup.model, (6,), 3, setup.seed).double().named_parameters())
    after = dict(models.model("global").named_parameters())
    names = FROZEN[what].get("frozen", ("first.2.idle", "second.2.idle"))
    for name, parameter in after.items():
        assert torch.equal(parameter, before[name]) == name.startswith(names)
    inputs, labels = (
        torch.from_numpy(setup.data.test.inputs).double(),
        torch.from_numpy(setup.data.test.labels),
    )
    right = (models.model("global")(inputs).argmax(1) == labels).double().mean().item()
    assert right == world.learner.observed.accuracies[-1].accuracy


class Coin(nn.Module):
    """Skips itself at random, and adds noise of three generators."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        noise = float(np.random.normal()) + random.random()  # noqa: NPY002
        return F.dropout(x + noise, 0.3) if random.random() < 0.5 else x


class Always(nn.Module):
    """Draws in evaluation too."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.5, training=True)


DRAWING = {
    "functional dropout": "Lambda(lambda x: F.dropout(x, 0.5))",
    "alpha dropout": "nn.AlphaDropout(0.4)",
    "noise": "Lambda(lambda x: x + torch.randn_like(x))",
    "random kernel": "nn.RReLU()",
    "generators of Python and NumPy": "Coin()",
    "evaluation too": "Always()",
}


class Lambda(nn.Module):
    def __init__(self, call: Any) -> None:
        super().__init__()
        self.call = call

    def forward(self, x: Tensor) -> Tensor:
        return self.call(x)


@pytest.mark.parametrize("name", DRAWING)
@pytest.mark.parametrize("kind", ["psl", "gapsl"])
def test_whatever_draws_follows_the_seed_alone(name: str, kind: str) -> None:
    setup = brought(3, below=DRAWING[name], above=DRAWING[name])
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        world = trained(setup, kind, 2)
        world.learner.evaluate(("global", "clients", "ensemble", "local"))
        found.append((weights(world), world.learner.observed.losses, world.learner.observed.accuracies))
        assert torch.initial_seed() == seed
    assert all(torch.equal(a, b) for a, b in zip(found[0][0], found[1][0], strict=True))
    assert found[0][1:] == found[1][1:]


class Centred(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0, keepdim=True)


MIXING = {
    "standardised": "Lambda(lambda x: (x - x.mean(0)) / (1 + x.var(0, unbiased=False)))",
    "an own layer": "Centred()",
    "attention among samples": "Lambda(lambda x: torch.softmax(x @ x.T, 1) @ x)",
    "a share of the batch": "Lambda(lambda x: x * (1 + 1 / len(x)))",
    "a whisper": "Lambda(lambda x: x + 1e-4 * x.mean(0))",
    "the place in the batch": "Lambda(lambda x: x + torch.arange(len(x), device=x.device)[:, None])",
}


@pytest.mark.parametrize("name", MIXING)
@pytest.mark.parametrize("kind", ["psl", "gapsl", "epsl"])
def test_layers_that_mix_samples_never_see_two_clients_at_once(name: str, kind: str) -> None:
    setup = brought(3, below=MIXING[name], above=MIXING[name])
    world = stage(setup)
    first = world.learner.observed
    world.run(frameworks[kind](), 1)
    net = whole(setup.model, (6,), 3, setup.seed).double()
    inputs, labels = (
        torch.from_numpy(setup.data.train.inputs).double(),
        torch.from_numpy(setup.data.train.labels),
    )
    for row in first.losses:
        chosen = torch.from_numpy(setup.batches.indices(row.client, 0))
        assert row.loss == pytest.approx(
            F.cross_entropy(net(inputs[chosen]), labels[chosen]).item(), abs=1e-12
        )


@pytest.mark.parametrize(
    "layer", [nn.Tanh(), nn.GroupNorm(1, 4), nn.LayerNorm(4), nn.Sequential(nn.Linear(4, 4), nn.Softmax(1))]
)
def test_layers_that_keep_samples_apart_are_found_to(layer: nn.Module) -> None:
    side = Side(layer, sgd(), None, three_batches(layer, 4))
    assert not side.draws
    assert not side.mixes_samples


class OwnGenerator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.random = torch.Generator().manual_seed(3)

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn(x.shape, generator=self.random)

    def __deepcopy__(self, memo: Any) -> OwnGenerator:
        return OwnGenerator()


class Growing(nn.Module):
    n = 0

    def forward(self, x: Tensor) -> Tensor:
        self.n += 1
        return x * self.n


REFUSED = {
    "OwnGenerator()": "a generator of its own",
    "Growing()": "keeps something from call to call",
    "Lambda(lambda x: x.relu_())": "writes to its input",
    "Lambda(lambda x: (x, x))": "gives a tuple, not one tensor",
    "nn.Linear(3, 3)": "a pass of a batch of 2 through the model fails",
}


@pytest.mark.parametrize("layer", REFUSED)
def test_what_cannot_be_trained_right_is_refused_in_words(layer: str) -> None:
    with pytest.raises(ComponentError, match=REFUSED[layer]):
        probe(eval(layer), [torch.randn(2, 4) for _ in range(3)])


@component
class BegunInPlace(Brought):
    """Its server side begins with a layer that writes to its input."""

    def blocks(self, input_shape: tuple[int, ...], n_classes: int) -> list[tuple[str, nn.Module]]:
        server = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, n_classes))
        return [("first", nn.Linear(6, 4)), ("second", server)]


def test_activations_that_work_in_place_are_taken_as_others() -> None:
    # At the cut such a layer would write to what the client has sent.
    split = build(BegunInPlace(), (6,), 3, 1)
    smashed = [torch.randn(2, 4) for _ in range(3)]
    side = Side(split.server, sgd(), None, smashed)
    given = smashed[0].clone().requires_grad_()
    side.forward(side.initial(), given, 0)
    assert torch.equal(given, smashed[0])


def test_the_passes_of_a_trial_leave_the_module_and_all_generators_alone() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), Coin())
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    traits, outputs = probe(module, three_batches(module, 4))
    assert traits[:4] == (True, True, False, True)
    assert len(outputs) == 3
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert (np.random.get_state()[1] == states[2]).all()  # noqa: NPY002

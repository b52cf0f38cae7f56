"""Rounds of a framework carried out on this machine as devices would (`plain`), operation by operation.

Three protocols are known: the parallel one, vanilla split learning, federated averaging. Each round notes how long
every part of an operation took and what the simulator charges for the operation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gapslsim.errors import ComponentError
from gapslsim.frameworks.framework import Framework
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.frameworks.presets.fedavg import FedAvg
from gapslsim.frameworks.presets.sl import VanillaSplitLearning
from gapslsim.frameworks.rules.client_sync.average import Average
from gapslsim.frameworks.slots import client_updates, server_updates
from gapslsim.learning.learner import Learner
from gapslsim.learning.rules import ClientUpdate, Gradients, ServerUpdate
from gapslsim.measuring.clock import Clock
from gapslsim.measuring.plain import PlainServer, PlainSide, ServerPass
from gapslsim.models.split import build
from gapslsim.rng import stream
from gapslsim.scenario.schema import Scenario
from gapslsim.work import Cost

__all__ = ["PlainRound", "averaged", "plain_round"]

T = TypeVar("T")


def plain_round(scenario: Scenario, learner: Learner, torch_device: torch.device, clock: Clock) -> PlainRound:
    """The rounds of a scenario's framework.

    Raises:
        ComponentError: for a framework that cannot be carried out here; says which can.
    """
    framework = scenario.framework
    for wanted, protocol in _PROTOCOLS.items():
        if type(framework).round is wanted.round and isinstance(framework, wanted):
            return protocol(scenario, learner, torch_device, clock)
    raise _refused(framework, "its protocol is not known here")


def _refused(framework: Framework, why: str) -> ComponentError:
    return ComponentError(
        f"framework {framework.kind!r} cannot be checked: {why}. Covered are psl, sfl, gapsl and the other parallel "
        "ones without a shared pass of the server, sl, and fedavg; check the profile with one of these."
    )


def averaged(models: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Mean of models, tensor by tensor: a multiplication and an addition per parameter and model."""
    share = 1 / len(models)
    mean = [tensor * share for tensor in models[0]]
    for model in models[1:]:
        for total, tensor in zip(mean, model, strict=True):
            total.add_(tensor, alpha=share)
    return mean


class PlainRound(ABC):
    """Keeps the time of every part of an operation, and the operations' costs."""

    def __init__(
        self, scenario: Scenario, learner: Learner, torch_device: torch.device, clock: Clock
    ) -> None:
        self.samples: dict[tuple[str, str, int], list[float]] = {}
        """Seconds by operation, part and batch size."""
        self.costs: dict[str, list[Cost]] = {}
        """Costs of the operations carried out."""
        self._scenario = scenario
        self._learner = learner
        self._costs = learner.costs
        self._clock = clock
        self._device = torch_device
        setup = learner.setup
        data = setup.data
        self._setup = setup
        self._sizes = [setup.batches.size(client) for client in range(setup.n_clients)]
        self._split = [build(setup.model, data.input_shape, data.n_classes, setup.seed) for _ in self._sizes]
        self._inputs = torch.from_numpy(data.train.inputs).float().to(torch_device)
        self._labels = torch.from_numpy(data.train.labels).to(torch_device)

    @abstractmethod
    def carry_out(self, round: int) -> None:
        """One round, counted from 1."""

    def forget(self) -> None:
        """Begins anew."""
        self.samples.clear()
        self.costs.clear()

    @property
    def _each(self) -> range:
        return range(len(self._sizes))

    def _batch(self, client: int, step: int) -> Tensor:
        return torch.from_numpy(self._setup.batches.indices(client, step)).to(self._device)

    def _forward(self, side: PlainSide, chosen: Tensor) -> Tensor:
        output: Tensor = side.module(self._inputs[chosen])
        return output

    def _average(self, models: Sequence[Sequence[Tensor]]) -> None:
        """The server's mean of models."""
        self._charge("average", self._costs.average(len(models), sum(t.numel() for t in models[0])))

        def mean() -> object:
            with torch.no_grad():
                return averaged(models)

        self._timed("average", "", 0, mean)

    def _charge(self, operation: str, cost: Cost) -> None:
        self.costs.setdefault(operation, []).append(cost)

    def _timed(self, operation: str, part: str, batch_size: int, call: Callable[[], T]) -> T:
        result: list[T] = []
        seconds = self._clock.time(lambda: result.append(call()))
        self.samples.setdefault((operation, part, batch_size), []).append(seconds)
        return result[0]


class _SplitRound(PlainRound):
    """What split learning has in common: a server, and clients with a side each."""

    def __init__(
        self, scenario: Scenario, learner: Learner, torch_device: torch.device, clock: Clock
    ) -> None:
        super().__init__(scenario, learner, torch_device, clock)
        self._server = PlainServer(self._split[0].server, self._setup.server_optimizer, torch_device)
        self._rule_state: Mapping[str, float] = {}
        self._rule_memory: Mapping[str, Tensor] = {}

    def _client_forward(self, side: PlainSide, client: int, chosen: Tensor) -> Tensor:
        size = self._sizes[client]
        self._charge("client_forward", self._costs.client_forward(size))
        return self._timed("client_forward", "", size, partial(self._forward, side, chosen))

    def _server_step(
        self, rule: ServerUpdate, inputs: Mapping[int, tuple[Tensor, Tensor]], round: int
    ) -> dict[int, ServerPass]:
        """The server's passes, one per client with its smashed data and batch, then its rule and update."""
        sizes = [self._sizes[client] for client in inputs]
        self._charge("server_step", self._costs.server_step(sizes, [0] * len(sizes), rule))
        passes = {}
        for client, (smashed, chosen) in inputs.items():
            one = partial(self._server.gradient, smashed, self._labels[chosen])
            passes[client] = self._timed("server_step", "pass", self._sizes[client], one)
        self._timed("server_step", "rule", 0, lambda: self._decide(rule, passes, round))
        return passes

    def _decide(self, rule: ServerUpdate, passes: Mapping[int, ServerPass], round: int) -> None:
        decision = rule.decide(
            Gradients(
                matrix=torch.stack([one.gradient for one in passes.values()]),
                losses=torch.stack([one.loss for one in passes.values()]),
                clients=tuple(passes),
                round=round,
                planned_rounds=1000,
                state=self._rule_state,
                memory=self._rule_memory,
                random=stream(self._scenario.seed, "server_rule", round),
            )
        )
        self._rule_state, self._rule_memory = decision.state, decision.memory
        self._server.step(decision.update)

    def _client_backward(
        self,
        side: PlainSide,
        client: int,
        update: ClientUpdate,
        smashed: Tensor,
        cut: Tensor,
        initial: tuple[Tensor, ...],
    ) -> None:
        size = self._sizes[client]

        def backward() -> None:
            gradients = side.backward(smashed, cut)
            with torch.no_grad():
                gradients = update.adjust(gradients, tuple(side.parameters), initial)
            side.update(gradients)

        self._charge("client_backward", self._costs.client_backward(size, update))
        self._timed("client_backward", "", size, backward)


class _ParallelRound(_SplitRound):
    """All clients forward, one step of the server, all clients backward; an average where the framework has one."""

    def __init__(
        self, scenario: Scenario, learner: Learner, torch_device: torch.device, clock: Clock
    ) -> None:
        framework = scenario.framework
        assert isinstance(framework, ParallelSplitLearning)
        if framework.cut_rule.shared_fraction > 0:
            raise _refused(framework, "its server makes a shared pass for all clients")
        if framework.server_rule.second_order:
            raise ComponentError("second derivatives cannot be checked; leave `gradient: exact` away.")
        super().__init__(scenario, learner, torch_device, clock)
        self._framework = framework
        self._rule_state = framework.server_rule.initial_state()
        optimizer = self._setup.client_optimizer
        self._clients = [PlainSide(part.client, optimizer, torch_device) for part in self._split]
        self._initial = [tuple(p.detach().clone() for p in side.parameters) for side in self._clients]

    def carry_out(self, round: int) -> None:
        """See the base class."""
        inputs = {}
        for client in self._each:
            chosen = self._batch(client, round - 1)
            inputs[client] = (self._client_forward(self._clients[client], client, chosen), chosen)
        passes = self._server_step(self._framework.server_rule, inputs, round)
        update = self._framework.client_update
        if update.trains_in(round, 0.0):
            for c in self._each:
                self._client_backward(
                    self._clients[c], c, update, inputs[c][0], passes[c].cut, self._initial[c]
                )
        sync = self._framework.client_sync
        if isinstance(sync, Average) and round % sync.every == 0:
            self._average([side.parameters for side in self._clients])


class _SequentialRound(_SplitRound):
    """One client after another, all with the one client-side model that is handed on."""

    def __init__(
        self, scenario: Scenario, learner: Learner, torch_device: torch.device, clock: Clock
    ) -> None:
        super().__init__(scenario, learner, torch_device, clock)
        assert isinstance(scenario.framework, VanillaSplitLearning)
        self._n_steps = scenario.framework.local_steps
        self._client = PlainSide(self._split[0].client, self._setup.client_optimizer, torch_device)
        self._rule, self._update = server_updates["mean"](), client_updates["own"]()
        self._rule_state = self._rule.initial_state()

    def carry_out(self, round: int) -> None:
        """See the base class."""
        for client in self._each:
            for step in range(self._n_steps):
                chosen = self._batch(client, (round - 1) * self._n_steps + step)
                smashed = self._client_forward(self._client, client, chosen)
                (answer,) = self._server_step(self._rule, {client: (smashed, chosen)}, round).values()
                self._client_backward(self._client, client, self._update, smashed, answer.cut, ())


class _LocalRound(PlainRound):
    """Every client trains the whole model by itself; the server averages."""

    def __init__(
        self, scenario: Scenario, learner: Learner, torch_device: torch.device, clock: Clock
    ) -> None:
        super().__init__(scenario, learner, torch_device, clock)
        framework = scenario.framework
        assert isinstance(framework, FedAvg)
        steps = framework.local_steps
        self._n_steps = [learner.steps_per_epoch(c) if steps == "epoch" else steps for c in self._each]
        optimizer = self._setup.client_optimizer
        self._clients = [
            PlainSide(nn.Sequential(part.client, part.server), optimizer, torch_device)
            for part in self._split
        ]

    def carry_out(self, round: int) -> None:
        """See the base class."""
        for client, n_steps in zip(self._each, self._n_steps, strict=True):
            size = self._sizes[client]
            self._charge("local_training", self._costs.local_training(size, n_steps))
            for step in range(n_steps):
                chosen = self._batch(client, (round - 1) * n_steps + step)
                self._timed(
                    "local_training", "step", size, partial(self._step, self._clients[client], chosen)
                )
        self._average([side.parameters for side in self._clients])

    def _step(self, side: PlainSide, chosen: Tensor) -> None:
        loss = F.cross_entropy(self._forward(side, chosen), self._labels[chosen])
        side.update(torch.autograd.grad(loss, side.parameters))


_PROTOCOLS: dict[type[Framework], type[PlainRound]] = {
    ParallelSplitLearning: _ParallelRound,
    VanillaSplitLearning: _SequentialRound,
    FedAvg: _LocalRound,
}
"""Who carries out the frameworks that have a protocol; one with a `round` of its own is refused."""

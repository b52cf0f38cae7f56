"""How wrong a profile is: a round of a scenario carried out on this machine, against what the profile says it takes.

The round is carried out as devices would (`plain`), operation by operation: every client's forward pass, the server's
passes with its rule and update, every client's backward pass with its update. What the profile is asked is what the
simulator asks it: the costs of those operations, from shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

import torch

from gapslsim.assembly import assemble
from gapslsim.errors import ComponentError
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.hardware.device import Device
from gapslsim.learning.engine import choose_device, intra_op_threads
from gapslsim.learning.learner import Learner
from gapslsim.learning.rules import Gradients
from gapslsim.measuring.clock import Clock, MachineClock, keep
from gapslsim.measuring.plain import PlainServer, PlainSide, ServerPass
from gapslsim.models.split import build
from gapslsim.rng import stream
from gapslsim.scenario.schema import Scenario
from gapslsim.work import Cost

__all__ = ["OperationCheck", "RoundCheck", "check_round"]

T = TypeVar("T")

_WARM_UP = 2
"""Rounds that are not counted."""


class OperationCheck(NamedTuple):
    """One kind of operation, all of a round together."""

    operation: str
    n_per_round: float
    measured_s: float
    """Medians of the parts that an operation is made of, times their number."""
    predicted_s: float

    @property
    def error(self) -> float:
        """Predicted over measured, less 1."""
        return self.predicted_s / self.measured_s - 1


@dataclass(frozen=True)
class RoundCheck:
    """Computation of one round, clients and server one after another."""

    operations: tuple[OperationCheck, ...]
    n_rounds: int
    wall_over_work: float
    """Wall time over the time that this process worked; well above 1 where other processes are busy."""

    @property
    def total(self) -> OperationCheck:
        """The whole round."""
        return OperationCheck(
            "round",
            1,
            sum(row.measured_s for row in self.operations),
            sum(row.predicted_s for row in self.operations),
        )


def check_round(
    scenario: Scenario,
    device: Device,
    threads: int,
    n_rounds: int = 10,
    least_s: float = 0.0,
    clock: Clock | None = None,
    observer: Callable[[str, float], None] = lambda what, share: None,
) -> RoundCheck:
    """Carries out rounds of a scenario here and compares them to a device's profile.

    Args:
        scenario: of a parallel framework; its clients and server all run on this machine, one after another.
        device: whose profile is checked, for clients and server alike.
        threads: inside each operation; those that the profile was measured with.
        n_rounds: rounds that count, at least; two more come before, to warm up.
        least_s: wall time to go on for, so that rounds do not all fall into one busy moment of the machine.
        clock: this machine's unless given.
        observer: told how far it has come.

    Raises:
        GapslsimError: if the scenario cannot be run, or its framework cannot be carried out here.
    """
    torch_device = choose_device(scenario.training.device)
    clock = clock or MachineClock(torch_device, threads)
    with intra_op_threads(threads):
        plain = _PlainRound(scenario, assemble(scenario, dry=True).learner, torch_device, clock)
        for index in range(_WARM_UP):
            observer("warming up", 0.0)
            plain.carry_out(index + 1)
        plain.forget()
        begun_s, begun_wall_s = clock.now_s(), clock.wall_s()
        n = 0
        while n < n_rounds or clock.wall_s() - begun_wall_s < least_s:
            gone = (clock.wall_s() - begun_wall_s) / least_s if least_s else 1.0
            observer(f"round {n + 1}", min(n / n_rounds, gone, 1.0))
            n += 1
            plain.carry_out(n + _WARM_UP)
        ratio = (clock.wall_s() - begun_wall_s) / max(clock.now_s() - begun_s, 1e-9)
    observer("done", 1.0)
    return RoundCheck(_summary(plain, device, n), n, ratio)


class _PlainRound:
    """Rounds in plain PyTorch; keeps the time of every part of an operation, and the operations' costs."""

    def __init__(
        self, scenario: Scenario, learner: Learner, torch_device: torch.device, clock: Clock
    ) -> None:
        framework = scenario.framework
        if not isinstance(framework, ParallelSplitLearning) or framework.cut_rule.shared_fraction > 0:
            raise ComponentError(
                f"framework {framework.kind!r} cannot be checked; choose psl, sfl, gapsl or another parallel one."
            )
        if framework.server_rule.second_order:
            raise ComponentError("second derivatives cannot be checked; leave `gradient: exact` away.")
        self._framework = framework
        self._scenario = scenario
        self._costs = learner.costs
        self._clock = clock
        self.samples: dict[tuple[str, str, int], list[float]] = {}
        """Seconds by operation, part and batch size."""
        self.costs: dict[str, list[Cost]] = {}
        """Costs of the operations carried out."""
        setup = learner.setup
        data = setup.data
        self._sizes = [setup.batches.size(client) for client in range(setup.n_clients)]
        split = [build(setup.model, data.input_shape, data.n_classes, setup.seed) for _ in self._sizes]
        self._clients = [PlainSide(part.client, setup.client_optimizer, torch_device) for part in split]
        self._initial = [tuple(p.detach().clone() for p in side.parameters) for side in self._clients]
        self._server = PlainServer(split[0].server, setup.server_optimizer, torch_device)
        self._inputs = torch.from_numpy(data.train.inputs).float().to(torch_device)
        self._labels = torch.from_numpy(data.train.labels).to(torch_device)
        self._batch = setup.batches.indices
        self._rule_state = framework.server_rule.initial_state()

    def carry_out(self, round: int) -> None:
        """One round."""
        chosen = [torch.from_numpy(self._batch(c, round - 1)).to(self._labels.device) for c in self._each]
        smashed = []
        for c in self._each:
            self._charge("client_forward", self._costs.client_forward(self._sizes[c]))
            forward = partial(self._forward, c, chosen[c])
            smashed.append(self._timed("client_forward", "", self._sizes[c], forward))
        rule = self._framework.server_rule
        self._charge("server_step", self._costs.server_step(self._sizes, [0] * len(self._sizes), rule))
        passes = [
            self._timed(
                "server_step", "pass", self._sizes[c], partial(self._server.gradient, x, self._labels[i])
            )
            for c, x, i in zip(self._each, smashed, chosen, strict=True)
        ]
        self._timed("server_step", "rule", 0, lambda: self._decide(passes, round))
        update = self._framework.client_update
        if not update.trains:
            return
        for c in self._each:
            self._charge("client_backward", self._costs.client_backward(self._sizes[c], update))
            backward = partial(self._client_backward, c, smashed[c], passes[c].cut)
            self._timed("client_backward", "", self._sizes[c], backward)

    def forget(self) -> None:
        """Begins anew."""
        self.samples.clear()
        self.costs.clear()

    @property
    def _each(self) -> range:
        return range(len(self._sizes))

    def _forward(self, client: int, chosen: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self._clients[client].module(self._inputs[chosen])
        return output

    def _decide(self, passes: Sequence[ServerPass], round: int) -> None:
        decision = self._framework.server_rule.decide(
            Gradients(
                matrix=torch.stack([one.gradient for one in passes]),
                losses=torch.stack([one.loss for one in passes]),
                clients=tuple(self._each),
                round=round,
                planned_rounds=1000,
                state=self._rule_state,
                random=stream(self._scenario.seed, "server_rule", round),
            )
        )
        self._rule_state = decision.state
        self._server.step(decision.update)

    def _client_backward(self, client: int, smashed: torch.Tensor, cut: torch.Tensor) -> None:
        side = self._clients[client]
        gradients = side.backward(smashed, cut)
        with torch.no_grad():
            gradients = self._framework.client_update.adjust(
                gradients, tuple(side.parameters), self._initial[client]
            )
        side.update(gradients)

    def _charge(self, operation: str, cost: Cost) -> None:
        self.costs.setdefault(operation, []).append(cost)

    def _timed(self, operation: str, part: str, batch_size: int, call: Callable[[], T]) -> T:
        result: list[T] = []
        seconds = self._clock.time(lambda: result.append(call()))
        self.samples.setdefault((operation, part, batch_size), []).append(seconds)
        return result[0]


def _summary(plain: _PlainRound, device: Device, n_rounds: int) -> tuple[OperationCheck, ...]:
    """One row per kind of operation, in order."""
    return tuple(
        OperationCheck(
            operation,
            len(costs) / n_rounds,
            sum(
                keep(seconds).median_s * len(seconds) / n_rounds
                for (of, _, _), seconds in plain.samples.items()
                if of == operation
            ),
            sum(device.duration_s(cost) for cost in costs) / n_rounds,
        )
        for operation, costs in plain.costs.items()
    )

"""How wrong a profile is: a round of a scenario carried out on this machine, against what the profile says it takes.

The round is carried out as devices would (`rounds`), operation by operation: every client's forward pass, the
server's passes with its rule and update, every client's backward pass with its update; local training; averages.
What the profile is asked is what the simulator asks it: the costs of those operations, from shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from gapslsim.assembly import assemble
from gapslsim.hardware.device import Device
from gapslsim.learning.engine import choose_device, intra_op_threads
from gapslsim.measuring.clock import Clock, MachineClock, keep
from gapslsim.measuring.rounds import PlainRound, plain_round
from gapslsim.scenario.schema import Scenario

__all__ = ["OperationCheck", "RoundCheck", "check_round"]

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
        scenario: of a parallel framework, vanilla split learning or federated averaging; its clients and server
            all run on this machine, one after another.
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
        plain = plain_round(scenario, assemble(scenario, dry=True).learner, torch_device, clock)
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


def _summary(plain: PlainRound, device: Device, n_rounds: int) -> tuple[OperationCheck, ...]:
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

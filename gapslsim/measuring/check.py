"""How wrong a profile is: a round of a scenario carried out on this machine, against what the profile says it takes.

The framework is played on the measured stage, so that every operation is carried out as devices would, part by part:
forward passes of clients, the server's passes with its rule and update, backward passes with their updates; local
training; averages. What the profile is asked is what the simulator asks it: the costs of those operations, from shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from gapslsim.assembly import assemble
from gapslsim.errors import ProtocolError
from gapslsim.hardware.device import Device
from gapslsim.learning.workers import intra_op_threads
from gapslsim.numerics import computing
from gapslsim.scenario.schema import Scenario
from gapslsim.stages.clock import Clock, clock_of, keep
from gapslsim.stages.measured import MeasuredStage
from gapslsim.torch_device import choose_device

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
        scenario: of any framework; its clients and server all run on this machine, one after another.
        device: whose profile is checked, for clients and server alike.
        threads: inside each operation; those that the profile was measured with.
        n_rounds: rounds that count, at least; two more come before, to warm up.
        least_s: wall time to go on for, so that rounds do not all fall into one busy moment of the machine.
        clock: this machine's unless given.
        observer: told how far it has come.

    Raises:
        GapslsimError: if the scenario cannot be run, or its protocol ends before the first round that counts.
    """
    here, training = choose_device(scenario.training.device), scenario.training
    clock = clock or clock_of(here, threads)
    with intra_op_threads(threads), computing(here, training.precision, deterministic=False):
        stage = assemble(scenario, dry=False, clock=clock).stage
        assert isinstance(stage, MeasuredStage)
        counted = _Counted(stage, clock, n_rounds, least_s, observer)
        stage.play(scenario.framework, counted)
        stage.close()
    if counted.n < 1:
        raise ProtocolError(
            f"framework {scenario.framework.kind!r} ended by itself after {stage.round} rounds; a check needs "
            f"{_WARM_UP + 1} or more."
        )
    observer("done", 1.0)
    return RoundCheck(_summary(stage, device, counted.n), counted.n, counted.wall_over_work)


class _Counted:
    """Watches rounds: some to warm up, then those that count."""

    limit_s = None

    def __init__(
        self,
        stage: MeasuredStage,
        clock: Clock,
        n_rounds: int,
        least_s: float,
        observer: Callable[[str, float], None],
    ) -> None:
        self.n = -_WARM_UP
        """Rounds that count and have ended; below 0 while it warms up."""
        self.wall_over_work = 1.0
        self._stage, self._clock, self._observer = stage, clock, observer
        self._n_rounds, self._least_s = n_rounds, least_s
        self._begun_s = self._begun_wall_s = 0.0

    def opens(self) -> None:
        """Tells how far it has come."""
        if self.n < 0:
            self._observer("warming up", 0.0)
            return
        if not self.n:
            self._stage.forget()
            self._begun_s, self._begun_wall_s = self._clock.now_s(), self._clock.wall_s()
        gone = self._gone_s / self._least_s if self._least_s else 1.0
        self._observer(f"round {self.n + 1}", min(self.n / self._n_rounds, gone, 1.0))

    def closes(self, start_s: float) -> None:
        """Counts the round."""
        self.n += 1
        if self.is_over:
            self.wall_over_work = self._gone_s / max(self._clock.now_s() - self._begun_s, 1e-9)

    def updated(self) -> None:
        """Nothing: rounds are what counts."""

    @property
    def is_over(self) -> bool:
        """Whether there were enough rounds for long enough."""
        return self.n >= self._n_rounds and self._gone_s >= self._least_s

    @property
    def _gone_s(self) -> float:
        """Wall time since the first round that counts [s]."""
        return self._clock.wall_s() - self._begun_wall_s


def _summary(stage: MeasuredStage, device: Device, n_rounds: int) -> tuple[OperationCheck, ...]:
    """One row per kind of operation, in order."""
    return tuple(
        OperationCheck(
            operation,
            len(costs) / n_rounds,
            sum(
                keep(seconds).median_s * len(seconds) / n_rounds
                for (of, _, _), seconds in stage.samples.items()
                if of == operation
            ),
            sum(device.duration_s(cost) for cost in costs) / n_rounds,
        )
        for operation, costs in stage.costs.items()
    )

"""How wrong a profile is: rounds of a scenario carried out on this machine, against what the profile says they take.

The rounds are those of the simulator: every computation that a device would carry out is one `Work`, with the cost
that the simulator charges and the call that does it. The call is timed, the cost is given to the profile.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import torch

from gapslsim.assembly import assemble
from gapslsim.hardware.device import Device
from gapslsim.learning.engine import choose_device, intra_op_threads
from gapslsim.learning.learner import Learner
from gapslsim.measuring.clock import Clock, MachineClock, keep
from gapslsim.scenario.schema import Scenario
from gapslsim.sim.node import Process
from gapslsim.work import Cost, Work

if TYPE_CHECKING:
    from gapslsim.learning.reply import ServerReply

__all__ = ["OperationCheck", "RoundCheck", "check_round"]

T = TypeVar("T")


class OperationCheck(NamedTuple):
    """One kind of operation, all of a round together."""

    operation: str
    n_per_round: float
    measured_s: float
    """Median of one operation times their number."""
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


class _Timings:
    """Seconds of each operation, by kind and by cost."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.samples: dict[tuple[str, Cost], list[float]] = {}
        self.counts: dict[tuple[str, Cost], int] = {}
        self.on = False

    def wrap(self, work: Work[T], idle: bool) -> Work[T]:
        """The same work, timed when it is carried out; `idle` if it turns out to do nothing."""

        def carry_out() -> T:
            result: list[T] = []
            seconds = self._clock.time(lambda: result.append(work.carry_out()))
            if self.on:
                key = (work.operation, work.cost)
                self.counts[key] = self.counts.get(key, 0) + 1
                if not idle:
                    self.samples.setdefault(key, []).append(seconds)
            return result[0]

        return replace(work, carry_out=carry_out)


class _TimedLearner:
    """A learner whose works are timed; everything else is the learner's own."""

    def __init__(self, learner: Learner, timings: _Timings) -> None:
        self._learner = learner
        self._timings = timings

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._learner, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            result = value(*args, **kwargs)
            if not isinstance(result, Work):
                return result
            return self._timings.wrap(result, idle=name == "client_backward" and _is_frozen(*args))

        return call


def _is_frozen(client: int, reply: ServerReply, *_: object) -> bool:
    """Whether a rule lets the client stand still: it is charged a backward pass (costs never depend on values)."""
    return reply.fates.get(client) == "freeze"


def check_round(
    scenario: Scenario,
    device: Device,
    threads: int,
    n_rounds: int = 10,
    clock: Clock | None = None,
    observer: Callable[[str, float], None] = lambda what, share: None,
) -> RoundCheck:
    """Carries out rounds of a scenario here and compares them to a device's profile.

    Args:
        scenario: whose clients and server all run on this machine, one after another.
        device: whose profile is checked, for clients and server alike.
        threads: inside each operation; those that the profile was measured with.
        n_rounds: rounds that count; two more come before, to warm up.
        clock: this machine's unless given.
        observer: told how far it has come.

    Raises:
        GapslsimError: if the scenario cannot be run.
    """
    parts = assemble(scenario, dry=False)
    torch_device: torch.device = choose_device(scenario.training.device)
    clock = clock or MachineClock(torch_device, threads)
    timings = _Timings(clock)
    parts.world.learner = cast(Learner, _TimedLearner(parts.learner, timings))

    def rounds() -> Process[None]:
        for index in range(n_rounds + 2):
            timings.on = index >= 2
            observer(f"round {index + 1} of {n_rounds + 2}", index / (n_rounds + 2))
            parts.world.begin_round(scenario.framework.participants)
            yield from scenario.framework.round(parts.world)
            parts.world.end_round()

    with intra_op_threads(threads):
        begun_s, begun_wall_s = clock.now_s(), clock.wall_s()
        parts.env.run(parts.env.process(rounds()))
        ratio = (clock.wall_s() - begun_wall_s) / max(clock.now_s() - begun_s, 1e-9)
    observer("done", 1.0)
    return RoundCheck(_summary(timings, device, n_rounds), n_rounds, ratio)


def _summary(timings: _Timings, device: Device, n_rounds: int) -> tuple[OperationCheck, ...]:
    """One row per kind of operation, in order of first execution."""
    rows: dict[str, OperationCheck] = {}
    for (operation, cost), samples in timings.samples.items():
        per_round = timings.counts[operation, cost] / n_rounds
        measured_s = statistics.median(keep(samples).seconds) * per_round
        predicted_s = device.duration_s(cost) * per_round
        old = rows.get(operation, OperationCheck(operation, 0, 0.0, 0.0))
        rows[operation] = OperationCheck(
            operation,
            old.n_per_round + per_round,
            old.measured_s + measured_s,
            old.predicted_s + predicted_s,
        )
    return tuple(rows.values())

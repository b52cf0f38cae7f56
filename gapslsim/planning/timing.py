"""What a combination of choices takes: dry rounds of the simulator; and what it takes at least."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gapslsim.errors import GapslsimError, MemoryShortError
from gapslsim.frameworks.lateness import Limited
from gapslsim.frameworks.slots import Participation
from gapslsim.hardware.device import PowerStates
from gapslsim.hardware.devices import load_device
from gapslsim.network.channel import Channel
from gapslsim.network.channels.constant import Constant
from gapslsim.network.latency import Latency
from gapslsim.network.link_loss import LinkLoss
from gapslsim.planning.choices import Axis, Choice
from gapslsim.registry import is_shipped, unchecked
from gapslsim.scenario.limits import Stop
from gapslsim.scenario.loading import Source, vary
from gapslsim.scenario.planning import Goal, Plan
from gapslsim.scenario.schema import Scenario
from gapslsim.scenario.tree import plain

if TYPE_CHECKING:
    from gapslsim.assembly import Parts

__all__ = ["Alone", "Outcome", "Timer"]

_LEARNS: Final = ("model", "data", "training", "seed", "framework", "stop", "components")
_MOST_ALONE: Final = 8
"""Clients of a group whose energy alone is found; of others it is taken to be 0."""


@dataclass(frozen=True)
class Outcome:
    """What a combination takes, per round; means over the rounds that were timed."""

    round_time: float = 0.0
    """Seconds."""
    energy: float = 0.0
    """Joules of all nodes."""
    bytes: float = 0.0
    """Sent and received by clients."""
    samples: float = 0.0
    """Training samples of the participants."""
    client_memory: float = 0.0
    """Bytes, the largest of all clients."""
    server_memory: float = 0.0
    wrong: str = ""
    """Why it cannot be had; empty if it can."""

    def value(self, goal: Goal) -> float:
        """Of one goal."""
        if goal.endswith("_per_sample"):
            whole = self.round_time if goal == "time_per_sample" else self.energy
            return whole / self.samples
        return float(getattr(self, goal))


@dataclass(frozen=True)
class Alone:
    """What the clients of a group take where nobody else is: a lower bound of what they take among others."""

    time_s: float
    """Of a round with one of them alone."""
    excess_j: float
    """Energy of its clients beyond idle power."""
    samples: float
    """Of a round, over all of its clients."""
    idle_w: float
    """Over all of its clients."""
    server_idle_w: float


@dataclass(eq=False)
class Timer:
    """Times combinations of choices, each once."""

    source: Source
    plan: Plan
    known: dict[tuple[str, ...], Outcome] = field(default_factory=dict)
    """Outcomes by the names of the choices."""
    _setups: dict[Any, Parts | str] = field(default_factory=dict)

    def scenario(self, choices: Sequence[Choice]) -> Scenario:
        """The scenario with these choices, as it is timed: without jitter, so that luck decides nothing."""
        made = vary(self.source, [change for choice in choices for change in choice.changes])
        return dataclasses.replace(
            made, plan=None, uncertainty=None, clock=dataclasses.replace(made.clock, jitter=False)
        )

    def outcome(self, choices: Sequence[Choice]) -> Outcome:
        """What a combination takes; what it exceeds of the limits is its `wrong`."""
        key = tuple(choice.name for choice in choices)
        if key not in self.known:
            self.known[key] = self._limited(self._timed(choices))
        return self.known[key]

    def _timed(self, choices: Sequence[Choice]) -> Outcome:
        from gapslsim.uncertainty.play import play

        try:
            scenario = self.scenario(choices)
            parts = self._parts(choices, scenario)
            played, n = play(scenario, self.plan.rounds, parts), self.plan.rounds
        except MemoryShortError as error:
            return Outcome(wrong=str(error))
        except GapslsimError as error:
            return Outcome(wrong=f"cannot be run: {error}")
        setup = parts.setup
        sizes = [setup.batches.size(client) for client in range(setup.n_clients)]
        return Outcome(
            float(played.ends_s[-1]) / n,
            played.energy_j / n,
            played.sums.total(lambda actor, _: not actor).bytes / n,
            scenario.framework.samples_per_round(sizes, [len(shard) for shard in setup.shards]),
            parts.memory["client_bytes"],
            parts.memory["server_bytes"],
        )

    def _limited(self, outcome: Outcome) -> Outcome:
        over = [
            f"{name.replace('_', ' ')} is {getattr(outcome, name):.4g}, the limit {limit:.4g}"
            for name, limit in dataclasses.asdict(self.plan.limits).items()
            if limit is not None and getattr(outcome, name) > limit
        ]
        return outcome if outcome.wrong or not over else dataclasses.replace(outcome, wrong="; ".join(over))

    def _parts(self, choices: Sequence[Choice], scenario: Scenario) -> Parts:
        """The set-up of the training; one for all combinations that differ in the clock alone."""
        from gapslsim.assembly import assemble

        key = tuple(
            (path, repr(plain(value)))
            for choice in choices
            for path, value in choice.changes
            if _learns(path)
        )
        if key not in self._setups:
            planned = scenario.stop.is_planned
            made = scenario if planned else dataclasses.replace(scenario, stop=Stop(rounds=self.plan.rounds))
            try:
                self._setups[key] = assemble(made, dry=True)
            except MemoryShortError as error:
                self._setups[key] = str(error)
        found = self._setups[key]
        if isinstance(found, str):
            raise MemoryShortError(found)
        return found

    # What bounds it from below.

    def has_bound(self, axes: Sequence[Axis]) -> bool:
        """Whether a client among others can be no faster than alone, whatever is chosen.

        So it is where nothing is random and everyone is waited for: each client's chain (compute, send, server,
        receive, compute) is a part of the round, and others only delay it.
        """
        # Divisions of a rate, and what is trained with, differ in numbers alone.
        tried = [
            (choice,)
            for axis in axes
            if not axis.path.startswith("model") and "training" not in axis.path
            for choice in axis.choices[: 1 if axis.is_division else None]
        ]
        return all(map(_is_bounded, map(self.scenario, [(), *tried])))

    def alone(self, group: int, choices: Sequence[Choice], with_energy: bool) -> Alone:
        """The clients of a group under some choices, each without all others; without energy the first for all."""
        from gapslsim.uncertainty.play import play

        scenario = self.scenario(choices)
        parts, n = self._parts(choices, scenario), self.plan.rounds
        first = sum(other.count for other in scenario.clients[:group])
        count = scenario.clients[group].count
        time_s = excess_j = server_idle_w = 0.0
        idle_w = load_device(scenario.clients[group].device).power.idle_w
        for client in range(first, first + (min(count, _MOST_ALONE) if with_energy else 1)):
            one = unchecked(scenario, framework=unchecked(scenario.framework, participation=_Only(client)))
            played = play(one, n, parts)
            time_s = max(time_s, float(played.ends_s[-1]) / n)
            own = played.spans.select(client=(client, client))
            excess_j += (
                float(
                    own["energy_j"].sum() - idle_w * (own["end_s"] - own["start_s"] - own["overlap_s"]).sum()
                )
                / n
            )
            server_idle_w = sum(played.server_idle_w.values())
        samples = sum(parts.setup.batches.size(client) for client in range(first, first + count))
        return Alone(time_s, excess_j, samples, count * idle_w, server_idle_w)

    def at_least(self, alone: Sequence[Alone], goals: Mapping[Goal, float]) -> float:
        """What a combination takes at least, by its groups alone; in units of the goal."""
        time_s = max(one.time_s for one in alone)
        idle_w = sum(one.idle_w for one in alone) + min(one.server_idle_w for one in alone)
        energy_j = sum(one.excess_j for one in alone) + idle_w * time_s
        outcome = Outcome(time_s, energy_j, 0.0, sum(one.samples for one in alone))
        return sum(weight * outcome.value(goal) for goal, weight in goals.items())


def _learns(path: str) -> bool:
    parts = path.split(".")
    return parts[0] in _LEARNS or (parts[0] == "clients" and parts[-1] != "device" and "link" not in parts)


def _is_bounded(scenario: Scenario) -> bool:
    framework: Any = scenario.framework
    names = {scenario.server.device, scenario.parameter_server_device, *(g.device for g in scenario.clients)}
    devices = list(map(load_device, names))
    everyone = framework.participation.expected_share(scenario.n_clients) == 1
    waits = not isinstance(framework.lateness, Limited) and framework.lateness.retry is None
    return (
        framework.has_rounds and is_shipped(framework) and everyone and waits and not scenario.is_hazardous
        and all(_is_fixed(group.link) for group in scenario.clients) and _is_fixed(scenario.network)
        and all(device.overheads.throttling is None and _takes_most_idle(device.power) for device in devices)
    )  # fmt: skip


def _takes_most_idle(power: PowerStates) -> bool:
    """Whether nothing that a device does takes less than nothing."""
    return power.idle_w <= min(power.compute_w, power.send_w, power.receive_w, power.busy_w("loading"))


def _is_fixed(value: Any) -> bool:
    """Whether no part of a network varies or loses anything."""
    if isinstance(value, LinkLoss):
        return False
    if isinstance(value, Channel):
        return isinstance(value, Constant)
    if isinstance(value, Latency):
        return value.constant_s is not None
    if isinstance(value, tuple):
        return all(map(_is_fixed, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return getattr(value, "file", None) is None and all(
            _is_fixed(getattr(value, f.name)) for f in dataclasses.fields(value)
        )
    return True


@dataclass(frozen=True)
class _Only(Participation):
    """One client takes part."""

    client: int

    def choose(self, n_clients: int, random: Callable[[], np.random.Generator]) -> tuple[int, ...]:
        """That client."""
        return (self.client,)

    def expected_share(self, n_clients: int) -> float:
        """One of all."""
        return 1 / n_clients

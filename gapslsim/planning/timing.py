"""What a combination of choices takes: dry rounds of the simulator; and what it takes at least."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from gapslsim.errors import GapslsimError, MemoryShortError, Problem, ScenarioError
from gapslsim.frameworks.lateness import Limited
from gapslsim.hardware.device import PowerStates
from gapslsim.hardware.devices import load_device
from gapslsim.hardware.overheads import Overheads
from gapslsim.network.channel import Channel
from gapslsim.network.channels.constant import Constant
from gapslsim.network.latency import Latency
from gapslsim.network.link_loss import LinkLoss
from gapslsim.planning.alone import Alone
from gapslsim.planning.choices import Axis, Choice
from gapslsim.planning.fleets import FleetTimes
from gapslsim.registry import is_shipped
from gapslsim.scenario.limits import Stop
from gapslsim.scenario.loading import Source, vary
from gapslsim.scenario.planning import Goal, Plan
from gapslsim.scenario.schema import Scenario
from gapslsim.scenario.tree import dotted, plain

if TYPE_CHECKING:
    from gapslsim.assembly import Parts

__all__ = ["Outcome", "Timer"]

_OF_THE_CLOCK: Final = ("network", "server", "parameter_server", "clock")


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


@dataclass(eq=False)
class Timer:
    """Times combinations of choices, each once."""

    source: Source
    plan: Plan
    known: dict[tuple[str, ...], Outcome] = field(default_factory=dict)
    """Outcomes by the names of the choices."""
    _setups: dict[Any, Parts | GapslsimError] = field(default_factory=dict)

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
        from gapslsim.scenario.checks import check_deep

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
                # What does not fit the data or the model, a cut behind the last block for instance.
                if findings := check_deep(made, dry=True):
                    raise ScenarioError(Problem(dotted(path), text) for path, text in findings)
                self._setups[key] = assemble(made, dry=True)
            except (MemoryShortError, ScenarioError) as error:
                self._setups[key] = error
        found = self._setups[key]
        if isinstance(found, GapslsimError):
            raise found
        return found

    # What bounds it from below.

    def unbounded(self, axes: Sequence[Axis]) -> str:
        """Why no bound is known, in words; empty if a client among others can be no faster than alone.

        So it is where nothing is random and everyone is waited for, whatever is chosen: each client's chain (compute,
        send, server, receive, compute) is a part of the round, and others only delay it. A device that is slower after
        a rest may rest less among others, and one that is slower when it is hot is not as hot alone.
        """
        # Divisions of a rate, and what is trained with, differ in numbers alone.
        tried = [
            (choice,)
            for axis in axes
            if not axis.path.startswith("model") and "training" not in axis.path
            for choice in axis.choices[: 1 if axis.is_division else None]
        ]
        return next(filter(None, map(_unbounded, map(self.scenario, [(), *tried]))), "")

    @cached_property
    def n_groups(self) -> int:
        """Client groups."""
        return len(self.scenario(()).clients)

    @property
    def n_rounds(self) -> int:
        """That are timed."""
        return self.plan.rounds

    def alone(self, choices: Sequence[Choice], with_energy: bool) -> list[Alone]:
        """What each client group takes where nobody else is; without energy by the first of its clients.

        Raises:
            GapslsimError: if the choices cannot be run.
        """
        scenario = self.scenario(choices)
        return FleetTimes(scenario, self._parts(choices, scenario), self.plan.rounds, with_energy).alone


def _learns(path: str) -> bool:
    """Whether the set-up of training may depend on a setting; what is not known to be of the clock alone does."""
    parts = path.split(".")
    if parts[0] == "clients":
        return parts[-1] != "device" and "link" not in parts
    return parts[0] not in _OF_THE_CLOCK


def _unbounded(scenario: Scenario) -> str:
    framework: Any = scenario.framework
    names = {scenario.server.device, scenario.parameter_server_device, *(g.device for g in scenario.clients)}
    devices = list(map(load_device, names))
    reasons = {
        "the framework is not one of gapslsim's own": is_shipped(framework),
        "the framework has no rounds": framework.has_rounds,
        "not everyone takes part in a round": framework.participation.expected_share(scenario.n_clients) == 1,
        "the sizes of mini-batches are drawn": not framework.draws_batch_sizes,
        "clients train for numbers of steps of their own": not isinstance(
            getattr(framework, "local_steps", None), tuple
        ),
        "not everyone is waited for": not isinstance(framework.lateness, Limited)
        and framework.lateness.retry is None,
        "clients come and go, or something fails": not scenario.is_hazardous,
        "links vary or lose packets": _is_fixed(scenario.network)
        and all(_is_fixed(group.link) for group in scenario.clients),
        "a device is slower after a rest, or when it is hot": all(_is_steady(d.overheads) for d in devices),
        "a device takes less power at work than at rest": all(_takes_most_idle(d.power) for d in devices),
    }
    return next((why for why, is_so in reasons.items() if not is_so), "")


def _is_steady(overheads: Overheads) -> bool:
    """Whether a device is as fast whatever it did before."""
    return overheads.throttling is None and overheads.cold is None


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

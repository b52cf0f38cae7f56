"""What may go wrong in one run: who is there, and how its faults strike each client."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import simpy

from gapslsim.rng import stream
from gapslsim.sim.availability import Availability
from gapslsim.sim.fault import Crash, Fate, Fault, ServerCrashes
from gapslsim.sim.presence import Presence

__all__ = ["ClientFaults", "Hazards", "Member"]


class Member(NamedTuple):
    """What may happen to one client by the scenario."""

    availability: Availability
    group: str
    """Name of its client group."""
    access_point: str | None
    idle_w: float


class ClientFaults:
    """How the faults strike one client.

    Args:
        faults: with their place in the scenario.
        random: makes the client's stream of a fault, by its place and purpose.
    """

    def __init__(
        self, faults: Sequence[tuple[int, Fault]], random: Callable[[int, str], np.random.Generator]
    ) -> None:
        self._fates = [(fault, random(place, "fate")) for place, fault in faults]
        self._crashes = [(fault, random(place, "crash")) for place, fault in faults]
        slow = (fault.slowness(random(place, "slowness")) for place, fault in faults)
        self._slow = [_Steps(steps) for steps in slow if steps is not None]

    def fate(self, phase: str) -> Fate:
        """What becomes of the client's next message; what is lost cannot be damaged as well."""
        fates = {fault.fate(phase, random) for fault, random in self._fates}
        return "lost" if "lost" in fates else "corrupted" if "corrupted" in fates else "arrives"

    def crash(self) -> Crash | None:
        """Whether the client's next computation is broken off by a crash: the earliest, if several strike."""
        crashes = [crash for fault, random in self._crashes if (crash := fault.crash(random)) is not None]
        return min(crashes, default=None, key=lambda crash: crash.share)

    def duration_s(self, start_s: float, duration_s: float) -> float:
        """How long a computation takes that would take `duration_s` at full speed [s]."""
        for steps in self._slow:
            duration_s = steps.stretched_s(start_s, duration_s)
        return duration_s


class _Steps:
    """A factor that is constant between steps, read as time goes on."""

    def __init__(self, steps: Iterator[tuple[float, float]]) -> None:
        self._steps = steps
        _, self._factor = next(steps)
        self._ahead: deque[tuple[float, float]] = deque()
        """Steps that are read and not yet taken: a shorter computation may begin before them."""

    def stretched_s(self, start_s: float, work_s: float) -> float:
        """Time in which `work_s` of work at factor 1 is done, from a start that never lies before an earlier one."""
        while (step := self._step(0)) is not None and step[0] <= start_s:
            self._factor = self._ahead.popleft()[1]
        now_s, factor, place = start_s, self._factor, 0
        while (step := self._step(place)) is not None and (done_s := (step[0] - now_s) / factor) < work_s:
            work_s -= done_s
            now_s, factor = step
            place += 1
        return now_s + work_s * factor - start_s

    def _step(self, place: int) -> tuple[float, float] | None:
        if place == len(self._ahead):
            step = next(self._steps, None)
            if step is None:
                return None
            self._ahead.append(step)
        return self._ahead[place]


class Hazards:
    """Presences and faults of one run.

    Args:
        env: the event loop.
        members: of each client.
        faults: of the scenario, in its order.
        seed: the scenario's seed.
    """

    def __init__(
        self, env: simpy.Environment, members: Sequence[Member], faults: Sequence[Fault], seed: int
    ) -> None:
        self.when_left: Callable[[int, bool], None] = lambda client, loses_state: None
        """Called when a client goes away, with whether its state is lost."""
        self._env = env
        self._members = members
        self._faults = tuple(enumerate(faults))
        self._seed = seed
        self._presences: dict[int, Presence] = {}
        crashes = (fault.server_crashes(stream(seed, "fault", i, "server")) for i, fault in self._faults)
        self.server_crashes: ServerCrashes | None = next(
            (given for given in crashes if given is not None), None
        )
        """When the server fails; None if it does not."""
        self._strikes = {group: self._faults_of(group) for group in {member.group for member in members}}

    def presence(self, client: int) -> Presence | None:
        """Who is there; None for a client that always is. Made when first asked for."""
        presence = self._presences.get(client)
        if presence is None and self.may_leave(client):
            member = self._members[client]
            presence = self._presences[client] = Presence(
                self._env,
                client,
                member.availability.changes(client, stream(self._seed, "availability", client)),
                member.availability.state == "lost",
                member.availability.battery,
                member.idle_w,
                lambda loses_state: self.when_left(client, loses_state),
            )
        return presence

    @property
    def presences(self) -> Sequence[Presence]:
        """All that were asked for, by client."""
        return [self._presences[client] for client in sorted(self._presences)]

    def may_leave(self, client: int) -> bool:
        """Whether a client is away at times."""
        member = self._members[client]
        return not member.availability.never_changes or any(
            fault.does("crash") for _, fault in self._strikes[member.group]
        )

    def faults_of(self, client: int) -> ClientFaults | None:
        """How faults strike a client; None if none does."""
        strikes = self._strikes[self._members[client].group]
        if not strikes:
            return None
        return ClientFaults(
            strikes, lambda place, purpose: stream(self._seed, "fault", place, purpose, client)
        )

    def _faults_of(self, group: str) -> list[tuple[int, Fault]]:
        return [
            (place, fault) for place, fault in self._faults if fault.groups is None or group in fault.groups
        ]

"""The simulated stage: profiled devices and a network on one clock, a learner for the tensors.

Devices take the time that their profiles give, links are shared, and nothing else takes time. What happens at one
instant happens in a fixed order, so that a run is the same every time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeVar, cast

import numpy as np
import simpy
from simpy.core import EmptySchedule

from gapslsim.activity import Activity, Late, Process
from gapslsim.clock_options import ClockOptions
from gapslsim.errors import LostError, ProtocolError, StalledError
from gapslsim.events import DEADLINE, FIRST, call_in, forget_all, happen
from gapslsim.frameworks.framework import Framework
from gapslsim.frameworks.stage import Actor, Outcome, Participants, Stage
from gapslsim.hardware.device import Device
from gapslsim.learning.learner import Learner
from gapslsim.network.network import Network
from gapslsim.records import PresenceRow
from gapslsim.rng import stream
from gapslsim.sim.activities import Activities
from gapslsim.sim.hazards import ClientFaults, Hazards
from gapslsim.sim.mailbox import SimulatedMailbox
from gapslsim.sim.node import Node
from gapslsim.sim.patience import Patience
from gapslsim.sim.presence import Presence, Stretch
from gapslsim.sim.recorder import Recorder
from gapslsim.stages._recovery import Recovery
from gapslsim.stages._stall import who_waits

__all__ = ["SimulatedActor", "SimulatedStage", "Watcher"]

T = TypeVar("T")
_ROUNDING = 1e-9


class SimulatedActor(Node, Actor):
    """A node as an actor."""


class Watcher(Protocol):
    """What the main flow does between rounds; all of it takes no simulated time."""

    def opens(self) -> None:
        """A round begins; its participants are chosen."""

    def closes(self, start_s: float) -> None:
        """A round that began at `start_s` [s] has ended."""

    def updated(self) -> None:
        """The server was updated within a round of a protocol that has no barrier."""

    @property
    def is_over(self) -> bool:
        """Whether a stop condition holds."""

    @property
    def limit_s(self) -> float | None:
        """Simulated time at which a protocol without a barrier is ended [s]; None if time does not end it."""


class SimulatedStage(Stage):
    """Clients, server and parameter server with their learner.

    Args:
        env: the event loop.
        network: where the nodes are attached.
        client_devices: one device per client; kinds are shared.
        server_device: of the training server.
        parameter_server_device: of the server that averages client-side models.
        learner: the tensors.
        recorder: where spans go.
        seed: the scenario's seed.
        hazards: who may go away, and what goes wrong; None for neither.
        clock: what of the devices' overheads counts; None for computations alone.
        station_devices: of the machines between clients and server, by name.
    """

    actor: ClassVar[type[SimulatedActor]] = SimulatedActor
    """How clients and servers compute."""

    def __init__(
        self,
        env: simpy.Environment,
        network: Network,
        client_devices: Sequence[Device],
        server_device: Device,
        parameter_server_device: Device,
        learner: Learner,
        recorder: Recorder,
        seed: int,
        hazards: Hazards | None = None,
        clock: ClockOptions | None = None,
        station_devices: Mapping[str, Device] | None = None,
    ) -> None:
        self.learner = learner
        self.n_clients = len(client_devices)
        self.round = 0
        self.epoch = 0.0
        self.participants: tuple[int, ...] = ()
        self.pending: dict[tuple[str, int], Activity[Any]] = {}
        self._env = env
        self._network = network
        self._client_devices = client_devices
        self._recorder = recorder
        self._seed = seed
        self.time_seed = seed
        """Of jitter; who is chosen for a round draws from `seed`."""
        self._activities = Activities(env)
        self._hazards = hazards
        self._clock = clock
        self._patience = Patience()
        self._clients: dict[int, SimulatedActor] = {}
        self._over = env.event()
        self._main: Activity[None] | None = None
        self._watcher: Watcher | None = None
        self._round_began_s = 0.0
        self._round_is_open = False
        self._recovery: Recovery | None = None
        presence = None
        if hazards is not None:
            hazards.when_left = self._client_left
            recorder.away = self._away
            if hazards.server_crashes is not None:
                presence = Presence(env, None, hazards.server_crashes.changes, left=self._server_left)
        self.server: SimulatedActor = self._node("server", None, server_device, presence)
        self.parameter_server: SimulatedActor = self._node("parameter-server", None, parameter_server_device)
        self._stations = {name: self._node(name, None, own) for name, own in (station_devices or {}).items()}

    def client(self, index: int) -> SimulatedActor:
        """The node of a client; made when first asked for."""
        node = self._clients.get(index)
        if node is None:
            hazards = self._hazards
            strikes = () if hazards is None else (hazards.presence(index), hazards.faults_of(index))
            node = self._clients[index] = self._node(
                f"client-{index}", index, self._client_devices[index], *strikes
            )
        return node

    def station(self, name: str) -> SimulatedActor:
        """See the base class."""
        return self._stations[name]

    @property
    def servers_idle_w(self) -> dict[str, float]:
        """Idle power of the server, of stations, and of the parameter server if it has computed [W]."""
        did = [self.parameter_server] if self.parameter_server.name in self._recorder.servers else []
        return {node.name: node.device.power.idle_w for node in (self.server, *did, *self._stations.values())}

    @property
    def may_lose(self) -> bool:
        """See the base class."""
        return self._hazards is not None or self._patience.retry is not None

    def gathered(self, phase: str, client: int, outcome: Outcome) -> None:
        """See the base class."""
        self._recorder.attendance.append((self.round, self._env.now, client, phase, outcome))

    @property
    def candidates(self) -> Sequence[int]:
        """See the base class."""
        # What nobody will ask for is forgotten once it is done.
        self.pending = {
            key: activity for key, activity in self.pending.items() if key[0] or not activity.done
        }
        busy = {client for _, client in self.pending}
        hazards, each = self._hazards, range(self.n_clients)
        if hazards is None:
            return [client for client in each if client not in busy] if busy else each
        free = [
            client
            for client in each
            if client not in busy and ((presence := hazards.presence(client)) is None or presence.is_there())
        ]
        if free or busy:
            return free
        # Nobody is there: the round waits for who comes first.
        returns = [presence.next_return_s() if (presence := hazards.presence(c)) else 0.0 for c in each]
        return [client for client in each if returns[client] == min(returns)]

    def together(self, processes: Iterable[Process[T]]) -> Process[list[T]]:
        """See the base class."""
        return self._activities.together(processes)

    def first(
        self, processes: Iterable[Process[T] | Activity[T]], n: int = 1
    ) -> Process[tuple[list[Activity[T]], list[Activity[T]]]]:
        """See the base class."""
        return self._activities.first(processes, n)

    def within(self, limit_s: float, process: Process[T] | Activity[T]) -> Process[T | Late]:
        """See the base class."""
        return self._activities.within(limit_s, process)

    def spawn(self, process: Process[T]) -> Activity[T]:
        """See the base class."""
        return self._activities.spawn(process)

    def mailbox(self) -> SimulatedMailbox[Any]:
        """See the base class."""
        return SimulatedMailbox(self._env)

    def pause(self, duration_s: float) -> Process[None]:
        """See the base class."""
        return self._activities.pause(duration_s)

    def random(self, *purpose: str | int) -> np.random.Generator:
        """See the base class."""
        return stream(self._seed, *purpose, self.round)

    @property
    def now_s(self) -> float:
        """See the base class."""
        return float(self._env.now)

    def rounds(self, framework: Participants) -> Iterator[int]:
        """See the base class."""
        while not self._watching.is_over:
            self._open_round(framework)
            yield self.round
            self._close_round()

    def play(self, framework: Framework, watcher: Watcher) -> None:
        """Runs a framework until a stop condition holds, or it ends by itself.

        Raises:
            StalledError: if nothing can happen any more, yet the protocol waits for something.
        """
        self._watcher, self._over = watcher, self._env.event()
        self.lateness = framework.lateness
        self._patience.retry = framework.lateness.retry
        crashes = None if self._hazards is None else self._hazards.server_crashes
        if crashes is not None:
            whole = framework.clients_hold_whole_model
            self._recovery = Recovery(self.learner, crashes, self.server, self._activities, whole)
        if not framework.has_rounds:
            self._watch_updates(framework)
        self._main = main = self._activities.spawn(self._protocol(framework))
        if main.going:
            main.end().callbacks.append(self._main_ended)
            try:
                self._env.run(self._over)
            except RuntimeError as error:
                if not isinstance(error.__context__, EmptySchedule):  # an error of what goes on
                    raise
                raise StalledError(self._stalled(who_waits(self._network, self._presences()))) from error
            except StalledError as error:
                raise StalledError(self._stalled(str(error))) from error
        self.stop()
        if not framework.has_rounds and self._round_is_open:
            self._close_round()

    def _protocol(self, framework: Framework) -> Process[None]:
        """The framework's protocol, behind what clients must have before they can begin."""
        whole, told = framework.clients_hold_whole_model, self.learner.frozen_weights
        sent = {i: frozen for i in range(self.n_clients) if (frozen := told(i, whole)) is not None}
        if sent:
            yield from self.together(
                self.server.send(frozen, self.client(i), "model_downlink") for i, frozen in sent.items()
            )
        yield from framework.run(self)

    def stop(self) -> None:
        """Cancels all that goes on, so that it is recorded as far as it came."""
        self.learner.when_updated.clear()
        if self._main is not None:
            self._main.cancel()
        self._activities.cancel_all()
        self._recorder.wait_until(range(self.n_clients), self._env.now)
        self._recorder.cut_tails(self._env.now)

    def absences(self) -> list[PresenceRow]:
        """When who was away, up to now."""
        rows = []
        for presence in self._presences():
            client = -1 if presence.client is None else presence.client
            for left_s, back_s in presence.away(0.0, self.now_s):
                is_back = back_s < self.now_s or presence.is_there()
                rows.append(PresenceRow(client, left_s, back_s if is_back else math.nan))
        return rows

    def close(self) -> None:
        """Lets go of events that nobody waits for any more."""
        forget_all(self._env)

    @property
    def _watching(self) -> Watcher:
        if self._watcher is None:
            raise ProtocolError("A framework runs on a stage by `stage.play(framework, watcher)`.")
        return self._watcher

    def _main_ended(self, event: simpy.Event) -> None:
        """The end of the run, or the error that ends it."""
        if not event.ok:
            event.defused = True
            if isinstance(event.value, LostError):
                raise ProtocolError(
                    f"{event.value} The framework does not say what to do about it: wait for clients by `w.gather`, or "
                    "ask for what may be lost by `w.attempt` (docs/howto/unreliable-clients.md)."
                ) from event.value
            raise cast("BaseException", event.value)
        happen(self._over)

    def _open_round(self, framework: Participants) -> None:
        recorder, now_s = self._recorder, self._env.now
        recorder.wait_until(self.participants, now_s)
        self.round += 1
        self.n_wanted = framework.n_wanted(self.n_clients)
        self.participants = framework.participants(self)
        # What a client waited before it was chosen belongs to earlier rounds.
        recorder.wait_until(self.participants, now_s)
        recorder.round = self.round
        self.epoch = self.learner.samples_seen / len(self.learner.setup.data.train)
        self.learner.begin_round(self.round)
        self._round_began_s, self._round_is_open = now_s, True
        self._watching.opens()

    def _close_round(self) -> None:
        """Closes the round: participants wait until it ends."""
        self._recorder.wait_until(self.participants, self._env.now)
        self._recorder.cut_tails(self._env.now)
        self._round_is_open = False
        self._watching.closes(self._round_began_s)

    def _watch_updates(self, framework: Framework) -> None:
        """Counts rounds by samples, and judges after every update: see `FreeFramework`."""
        learner, setup, env = self.learner, self.learner.setup, self._env
        each = range(setup.n_clients)
        per_round = framework.samples_per_round(
            [setup.batches.size(client) for client in each], [len(setup.shards[client]) for client in each]
        )

        def judge() -> None:
            if self._over.triggered:
                return
            if learner.samples_seen >= self.round * per_round - _ROUNDING:
                self._close_round()
                if not self._watching.is_over:
                    self._open_round(framework)
            else:
                self._watching.updated()
            if self._watching.is_over:
                happen(self._over)

        # Once the step is recorded, and before anything else happens at this instant.
        learner.when_updated.append(lambda: call_in(env, 0.0, judge, FIRST))
        limit_s = self._watching.limit_s
        if limit_s is not None:
            call_in(env, limit_s, judge, DEADLINE)
        self._open_round(framework)

    def _presences(self) -> list[Presence]:
        of_server = [self.server.presence] if self.server.presence is not None else []
        return [*(self._hazards.presences if self._hazards is not None else ()), *of_server]

    def _stalled(self, why: str) -> str:
        return f"at {self.now_s:.6g} s, round {self.round}: {why}"

    def _away(self, client: int, since_s: float, until_s: float) -> Sequence[Stretch]:
        presence = self._hazards.presence(client) if self._hazards is not None else None
        return () if presence is None else presence.away(since_s, until_s)

    def _client_left(self, client: int, loses_state: bool) -> None:
        if loses_state:
            self.learner.states.forget(client)

    def _server_left(self, loses_state: bool) -> None:
        if self._recovery is not None:
            self._recovery.restore()

    def _node(
        self,
        name: str,
        client: int | None,
        device: Device,
        presence: Presence | None = None,
        faults: ClientFaults | None = None,
    ) -> SimulatedActor:
        return self.actor(
            name,
            client,
            device,
            self._env,
            self._network,
            self._recorder,
            self._activities,
            lambda: stream(self.time_seed, "jitter", name),
            presence,
            faults,
            self._patience,
            self._clock,
        )

"""A node: a device with a queue, attached to the network. Its verbs are `compute` and `send`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
import simpy

from gapslsim.activity import Activity, Process
from gapslsim.errors import LostError, StalledError
from gapslsim.hardware.device import Device
from gapslsim.hardware.radio import throughput_energy_j
from gapslsim.network.network import Airtime, Network, Transfer
from gapslsim.sim.activities import Activities
from gapslsim.sim.fault import Crash
from gapslsim.sim.hazards import ClientFaults
from gapslsim.sim.patience import Patience
from gapslsim.sim.presence import Presence
from gapslsim.sim.radio import Radio
from gapslsim.sim.recorder import Recorder
from gapslsim.work import Keyed, Work

__all__ = ["Node"]

T = TypeVar("T")
K = TypeVar("K", bound=Keyed[Any])


ATTEMPTS = 1000
"""How often something is begun again before the run counts as stalled: time goes on, but nothing else does."""


class Node:
    """A client or a server inside the event loop.

    Args:
        name: `client-3`, `server`, `parameter-server`: also its name in the network.
        client: index of the client; None for a server.
        device: its kind of device.
        activities: of the event loop, for what goes on in the background.
        random: makes the node's own jitter stream; called once, when first needed.
        presence: whether it is there; None for a node that always is.
        faults: how faults strike it; None if none does.
        patience: what a sender does about messages that do not arrive; shared by all nodes.
    """

    def __init__(
        self,
        name: str,
        client: int | None,
        device: Device,
        env: simpy.Environment,
        network: Network,
        recorder: Recorder,
        activities: Activities,
        random: Callable[[], np.random.Generator],
        presence: Presence | None = None,
        faults: ClientFaults | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.name = name
        self.client = client
        self.device = device
        self.presence = presence
        self._faults = faults
        self._patience = patience or Patience()
        self._env = env
        self._network = network
        self._recorder = recorder
        self._activities = activities
        self._random = random
        self._radio = Radio(env, client, recorder, presence)
        self._jitter: Iterator[float] | None = None
        self._busy = False
        self._queue: deque[simpy.Event] | None = None
        """Computations that wait for their turn, first come first served; made when one first has to wait."""

    @property
    def present(self) -> bool:
        """Whether it is there now."""
        return self.presence is None or self.presence.is_there()

    @property
    def lives(self) -> int:
        """How often it has lost its state."""
        if self.presence is None:
            return 0
        self.presence.is_there()  # Looks up what has changed.
        return self.presence.lives

    def compute(self, work: Work[T], on_behalf_of: Collection[int] = ()) -> Process[T]:
        """Queues for the device, holds it for the time its profile gives, and carries the work out at completion.

        A cancelled computation never happened: its call is not made. What it used until then is recorded. A node that
        goes away breaks it off; it is begun again when the node is back.

        Args:
            work: what to compute.
            on_behalf_of: clients that wait for it; their time is charged as queue and server computation.

        Raises:
            LostError: if the node loses its state.
        """
        if self.presence is None:
            return self._hold(work, on_behalf_of)
        return self._persist(work, on_behalf_of, self.presence)

    def occupy(self, duration_s: float, work: Work[T]) -> Process[T | None]:
        """Holds the device for a given time [s] and carries the work out, unless it goes away meanwhile."""
        presences = [] if self.presence is None else [self.presence]
        activity = yield from self._activities.while_there(self._hold(work, (), duration_s), presences)
        return activity.value if activity.done else None

    def _persist(self, work: Work[T], on_behalf_of: Collection[int], presence: Presence) -> Process[T]:
        """Computes as often as it takes until it is there for long enough."""
        lives = presence.lives
        for _ in range(ATTEMPTS):
            yield from presence.come_back()
            self._has_lost(presence, lives, work.operation)
            activity = yield from self._activities.while_there(self._hold(work, on_behalf_of), [presence])
            if activity.done:
                return activity.value
            self._has_lost(presence, lives, work.operation)
        raise self._never_done(work.operation, presence)

    def _hold(
        self, work: Work[T], on_behalf_of: Collection[int], duration_s: float | None = None
    ) -> Process[T]:
        asked_s = self._env.now
        waiting = () if self.client is not None else on_behalf_of
        if waiting:
            self._recorder.begin(asked_s, *waiting)
        if self._busy:
            try:
                yield from self._turn()
            except BaseException:
                self._recorder.clients_waited(waiting, asked_s, self._env.now, self._env.now)
                raise
        self._busy = True
        start_s = self._env.now
        if self.client is not None:
            self._recorder.begin(start_s, self.client)
        duration_s, carry_out = self._begin(work) if duration_s is None else (duration_s, work.carry_out)
        crash = None
        if self._faults is not None:
            duration_s = self._faults.duration_s(start_s, duration_s)
            crash = self._faults.crash()
        name, share = work.operation, 1.0
        draws_w = self.device.power.compute_w - self.device.power.idle_w
        self._draws(draws_w)
        try:
            if crash is not None:
                yield from self._crash(crash, duration_s)
            yield self._env.timeout(duration_s)
            result = carry_out()
        except BaseException:
            name = f"cancelled_{name}"
            share = (self._env.now - start_s) / duration_s if duration_s else 1.0
            raise
        finally:
            self._draws(-draws_w)
            self._let_next()
            self._record_computation(name, share * work.cost.work_flop, waiting, asked_s, start_s)
        return result

    def send(self, payload: K, to: Node, phase: str) -> Process[K]:
        """Sends a payload; ends when its last byte has arrived. One that is cancelled has moved what it moved.

        It begins when both are there; where one goes away meanwhile it is sent again, from the beginning, when both are
        back. So is one that arrives damaged, and one that is lost as often as `framework.lateness.retry` says.

        Args:
            payload: what is sent; its size is exact.
            to: the receiver.
            phase: name of the span: `uplink`, `downlink`, ...; between two clients `_out` and `_in` are added.

        Raises:
            LostError: if it is lost for good, or one of the two loses its state.
        """
        if self._is_safe and to._is_safe and self._patience.retry is None:
            return self._move(payload, to, phase)
        return self._deliver(payload, to, phase)

    def _move(self, payload: K, to: Node, phase: str) -> Process[K]:
        transfer = self._network.send(self.name, to.name, payload.size_bytes)
        return (yield from self._arrival(payload, to, phase, transfer))

    def _deliver(self, payload: K, to: Node, phase: str, transfer: Transfer | None = None) -> Process[K]:
        """Sends a payload as often as it takes.

        Args:
            payload: what is sent.
            to: the receiver.
            phase: name of the span.
            transfer: the first attempt, where it has begun already.
        """
        presences = [node.presence for node in (self, to) if node.presence is not None]
        lives = [presence.lives for presence in presences]
        faults, retry, n_lost = self._faults or to._faults, self._patience.retry, 0
        for _ in range(ATTEMPTS):
            while not all(presence.is_there() for presence in presences):
                for presence in presences:
                    yield from presence.come_back()
            for presence, before in zip(presences, lives, strict=True):
                self._has_lost(presence, before, phase)
            fate = "arrives" if faults is None else faults.fate(phase)
            name = phase if fate == "arrives" else f"{fate}_{phase}"
            began_s, limit_s = self._env.now, None if retry is None else retry.limit_s(n_lost)
            moving = (
                self._move(payload, to, name)
                if transfer is None
                else self._arrival(payload, to, name, transfer)
            )
            transfer = None
            activity = yield from self._activities.while_there(moving, presences, limit_s)
            if activity.done and fate == "arrives":
                return payload
            for presence, before in zip(presences, lives, strict=True):
                self._has_lost(presence, before, phase)
            if fate == "corrupted" or not all(presence.is_there() for presence in presences):
                continue
            if limit_s is not None:  # The sender waits for an answer until then.
                yield self._env.timeout(max(0.0, began_s + limit_s - self._env.now))
            n_lost += 1
            if retry is None or n_lost > retry.times:
                raise LostError(
                    f"{self.name}: a message ({phase}) to {to.name} was lost at {self._env.now:g} s"
                    + (f", and each of {retry.times} repetitions." if retry is not None else ".")
                )
        raise self._never_done(phase, *presences)

    def broadcast(self, payload: K, to: Sequence[Node], phase: str) -> list[Activity[K]]:
        """Sends one payload to many nodes; returns one activity per receiver that ends when it has it all.

        Who is not there when it begins, or goes away meanwhile, gets a copy of its own once it is back.
        """
        there = [node for node in to if node.present] if self.present else []
        transfers = self._network.broadcast(self.name, [node.name for node in there], payload.size_bytes)
        begun = dict(zip([node.name for node in there], transfers, strict=True))
        is_safe = self._is_safe and self._patience.retry is None
        return [
            self._activities.spawn(
                self._arrival(payload, node, phase, begun[node.name])
                if is_safe and node._is_safe
                else self._deliver(payload, node, phase, begun.get(node.name))
            )
            for node in to
        ]

    def _arrival(self, payload: K, to: Node, phase: str, transfer: Transfer) -> Process[K]:
        """Waits for a transfer that has begun now."""
        self._recorder.begin(self._env.now, self.client, to.client)
        sends, receives = self.device.power, to.device.power
        followed = (
            self._radio.follow(transfer.sending, sends.send_w - sends.idle_w, sends),
            to._radio.follow(transfer.receiving, receives.receive_w - receives.idle_w, receives),
        )
        try:
            yield transfer.done
        except BaseException:
            self._network.cancel(transfer)
            # A byte has moved when its last bit has.
            self._record_transfer(to, f"cancelled_{phase}", transfer, int(transfer.moved_bytes + 1e-6))
            raise
        finally:
            for end in followed:
                if end is not None:
                    end()
        self._record_transfer(to, phase, transfer, payload.size_bytes)
        return payload

    @property
    def _is_safe(self) -> bool:
        """Whether nothing but the network decides about its messages."""
        return self.presence is None and self._faults is None

    def _draws(self, power_w: float) -> None:
        """Tells a battery that something begins (or ends, below zero) that takes so much beyond idle [W]."""
        if self.presence is not None:
            self.presence.draws(power_w)

    def _crash(self, crash: Crash, duration_s: float) -> Process[None]:
        """Goes on for a while and crashes; all that the node does is broken off then."""
        assert self.presence is not None
        yield self._env.timeout(crash.share * duration_s)
        self.presence.go_down(self._env.now + crash.restart_s, crash.loses_state)
        yield self._env.event()  # It is cancelled before anything else happens at this instant.

    def _has_lost(self, presence: Presence, lives: int, what: str) -> None:
        """Ends what goes on for a node that has lost its state since.

        Raises:
            LostError: if it has.
        """
        if presence.lives != lives:
            left_s = presence.absences[-1][0]
            raise LostError(
                f"{presence.name} went away at {left_s:g} s and lost its state; so is its {what}."
            )

    def _never_done(self, what: str, *presences: Presence) -> StalledError:
        who = " and ".join(presence.name for presence in presences) or self.name
        return StalledError(
            f"{self.name} has begun {what} {ATTEMPTS} times and never ended it: {who} never stay long enough, or no "
            "message arrives whole. Give the client longer stays or less to do at a time, or the framework a deadline "
            "(framework.lateness)."
        )

    def _begin(self, work: Work[T]) -> tuple[float, Callable[[], T]]:
        """How long the device is held [s], and what carries the work out at the end of that time."""
        duration_s = self.device.duration_s(work.cost)
        if self._jitter is None:
            self._jitter = self.device.jitter(self._random)
        return duration_s * next(self._jitter), work.carry_out

    def _turn(self) -> Process[None]:
        """Waits in line; the device stays busy as it is handed on."""
        if self._queue is None:
            self._queue = deque()
        turn = self._env.event()
        self._queue.append(turn)
        try:
            yield turn
        except BaseException:
            if turn.triggered:
                self._let_next()
            else:
                self._queue.remove(turn)
            raise

    def _let_next(self) -> None:
        if self._queue:
            self._queue.popleft().succeed()
        else:
            self._busy = False

    def _record_computation(
        self, phase: str, work_flop: float, waiting: Collection[int], asked_s: float, start_s: float
    ) -> None:
        end_s, power = self._env.now, self.device.power
        if self.client is not None:
            self._recorder.client_span(
                self.client, phase, start_s, end_s, power.compute_w, work_flop=work_flop
            )
            return
        self._recorder.server_span(self.name, phase, start_s, end_s, power.compute_w, work_flop)
        self._recorder.clients_waited(waiting, asked_s, start_s, end_s)

    def _record_transfer(self, to: Node, phase: str, transfer: Transfer, size_bytes: int) -> None:
        """Charges both ends: power of sending and receiving while bits move, idle power for the rest of the time."""
        start_s, end_s = transfer.submitted_s, self._env.now
        between_clients = self.client is not None and to.client is not None
        ends: tuple[tuple[Node, str, Literal["send", "receive"], float, Airtime], ...] = (
            (self, "_out", "send", self.device.power.send_w, transfer.sending),
            (to, "_in", "receive", to.device.power.receive_w, transfer.receiving),
        )
        for node, suffix, way, power_w, airtime in ends:
            if node.client is None:
                continue
            bits_j = throughput_energy_j(node.device.power, way, size_bytes)
            silent_s = end_s - start_s - airtime.length_s(end_s)
            self._recorder.client_span(
                node.client, f"{phase}{suffix}" if between_clients else phase, start_s, end_s, power_w, size_bytes,
                extra_j=bits_j - (power_w - node.device.power.idle_w) * silent_s,
            )  # fmt: skip
            if node.presence is not None:
                node.presence.spends(bits_j)

"""A node: a device with a queue, attached to the network. Its verbs are `compute` and `send`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeVar

from gapslsim.activity import Activity, Process
from gapslsim.errors import LostError
from gapslsim.hardware.radio import throughput_energy_j
from gapslsim.network.network import Airtime, Transfer
from gapslsim.sim._computing import ATTEMPTS, ComputingNode, nothing
from gapslsim.work import NO_COST, Keyed, Work

__all__ = ["Node"]

T = TypeVar("T")
K = TypeVar("K", bound=Keyed[Any])


class Node(ComputingNode):
    """A client or a server inside the event loop; its arguments are those of `ComputingNode`."""

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
        safe = self._is_safe and to._is_safe and self._patience.retry is None
        moving = self._move(payload, to, phase) if safe else self._deliver(payload, to, phase)
        return self._handled(payload, to, moving) if self._handles or to._handles else moving

    def _handled(self, payload: K, to: Node, moving: Process[K]) -> Process[K]:
        """Makes a message ready, moves it and takes it apart."""
        yield from self._handle("serialise", payload, [to])
        yield from moving
        yield from to._handle("deserialise", payload, [self])
        return payload

    @property
    def _handles(self) -> bool:
        """Whether messages take time on this node."""
        return self._overheads is not None and self._overheads.handles_messages

    def _handle(self, what: str, payload: Keyed[Any], others: Sequence[Node]) -> Process[None]:
        """What a message takes on this node; the clients at its other end wait for a server."""
        if self._overheads is not None and (more_s := self._overheads.message_s(payload.size_bytes)):
            waiting = tuple(node.client for node in others if node.client is not None)
            yield from self._computed(Work(what, NO_COST, nothing, more_s=more_s), waiting)

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
        if not self._handles and not any(node._handles for node in to):
            return self._cast(payload, to, phase)
        casting = self._activities.spawn(self._serialised(payload, to, phase))
        return [
            self._activities.spawn(self._taken(payload, node, casting, place))
            for place, node in enumerate(to)
        ]

    def _serialised(self, payload: K, to: Sequence[Node], phase: str) -> Process[list[Activity[K]]]:
        """Makes one payload ready, once, and begins to send it to all."""
        yield from self._handle("serialise", payload, to)
        return self._cast(payload, to, phase)

    def _taken(self, payload: K, to: Node, casting: Activity[list[Activity[K]]], place: int) -> Process[K]:
        """Waits for one's own copy and takes it apart."""
        arrivals = yield from casting
        yield from arrivals[place]
        yield from to._handle("deserialise", payload, [self])
        return payload

    def _cast(self, payload: K, to: Sequence[Node], phase: str) -> list[Activity[K]]:
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

    def _record_transfer(self, to: Node, phase: str, transfer: Transfer, size_bytes: int) -> None:
        """Charges both ends: power of sending and receiving while bits move, idle power for the rest of the time."""
        start_s, end_s = transfer.submitted_s, self._env.now
        if self.client is to.client is None:
            self._recorder.relay_span(self.name, phase, start_s, end_s, size_bytes)
            return
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

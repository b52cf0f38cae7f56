"""The network as flows: messages pay the latency of their path, then share its links by max-min fairness."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, cast

import simpy
from simpy.events import NORMAL, EventPriority

from gapslsim.errors import NetworkError
from gapslsim.network.engine import FlowEngine
from gapslsim.network.flows import Flow, Link
from gapslsim.network.instant import happen
from gapslsim.network.multicast import segments
from gapslsim.network.network import LinkUseRow, Network, Transfer
from gapslsim.network.protocol import Protocol
from gapslsim.network.routes import LinkSpec, Router
from gapslsim.rng import stream

__all__ = ["FluidNetwork"]

_LAST = cast(EventPriority, 2)
"""SimPy priority after every ordinary event of an instant: what happens at one instant is solved once."""


@dataclass(eq=False, slots=True)
class _Part:
    """One flow of a message: all of it, or what one segment of a broadcast's tree carries."""

    links: tuple[Link, ...]
    size_bit: float
    serves: dict[int, float]
    """Serial numbers of the messages that wait for it, with the latency from its end to their target."""
    latency_s: float
    """From the source to its end; it joins the sharing that much after submission."""
    flow: Flow | None = None
    ended: bool = False


@dataclass(eq=False, slots=True)
class _Message:
    """A transfer that is under way."""

    serial: int
    transfer: Transfer
    parts: list[_Part]
    waiting: int
    """Parts that have not ended."""
    arrival_s: float = 0.0
    """When the last byte of the parts that have ended is at the target."""


class FluidNetwork(Network):
    """Exact flow-level network inside a SimPy environment.

    A message of b bytes submitted at t joins the sharing at t + path latency, gets its max-min fair share of every
    link of its path at every moment, and has arrived when b bytes have moved. Sharing is solved anew whenever a
    message joins, ends or is cancelled and whenever the capacity of a link in use changes; everything that happens
    at one instant is solved together, so that its order has no effect. Transfers that end at one instant fire in
    the order in which they were submitted.

    Args:
        env: the event loop.
        router: links and routes.
        seed: random channels draw from `stream(seed, "channel", link name)`.
        record_links: whether `link_use` is kept.
        broadcast: `multicast`: each segment of the tree of routes carries the message once, see `multicast.py`;
            `unicast`: every target gets a copy of its own.
        protocol: what the transport adds to each message; nothing by default. In a multicast each segment is a
            connection of its own.
    """

    def __init__(
        self,
        env: simpy.Environment,
        router: Router,
        *,
        seed: int = 0,
        record_links: bool = True,
        broadcast: Literal["multicast", "unicast"] = "multicast",
        protocol: Protocol | None = None,
    ) -> None:
        self.env = env
        self.router = router
        self._seed = seed
        self._multicast = broadcast == "multicast"
        self._protocol = protocol
        self._wire_bit = 8.0 * (protocol.wire_share if protocol is not None else 1.0)
        """Bits on the wire per byte of a message."""
        self._engine = FlowEngine(record=record_links)
        self._links: dict[LinkSpec, Link] = {}
        self._names: set[str] = set()
        self._routes: dict[tuple[str, str], tuple[tuple[Link, ...], float]] = {}
        self._serial = 0
        self._messages: dict[int, _Message] = {}
        self._serials: dict[int, int] = {}
        self._arrived: list[_Message] = []
        self._tick: simpy.Event | None = None
        """The next time that the engine is looked at; None while it is."""
        self._tick_s = math.inf
        """When that happens, as the queue of events has it."""

    def send(self, source: str, target: str, size_bytes: float) -> Transfer:
        """Submits a message now; see `Network.send`."""
        links, latency_s = self._path(source, target)
        message = self._message(source, target, size_bytes)
        part = _Part(links, self._wire_bit * size_bytes, {message.serial: 0.0}, latency_s)
        message.parts.append(part)
        message.waiting = 1
        self._after(part)
        return message.transfer

    def broadcast(self, source: str, targets: Sequence[str], size_bytes: float) -> Sequence[Transfer]:
        """Submits one message to many targets; see `Network.broadcast` and `multicast.py`."""
        if not self._multicast or len(targets) == 1:
            return [self.send(source, target, size_bytes) for target in targets]
        routes = [self.router.route(source, target) for target in targets]
        messages = [self._message(source, target, size_bytes) for target in targets]
        parts: list[_Part] = []
        for segment in segments(routes):
            serves = {
                messages[index].serial: rest_s
                for index, rest_s in zip(segment.targets, segment.rest_s, strict=True)
            }
            links = self._limiting(segment.links)
            part = _Part(links, self._wire_bit * size_bytes, serves, segment.start_s)
            for index in segment.targets:
                messages[index].parts.append(part)
                messages[index].waiting += 1
            parts.append(part)
        for part in parts:  # only now: a part without limiting links ends at once
            self._after(part)
        return [message.transfer for message in messages]

    def cancel(self, transfer: Transfer) -> None:
        """Ends a transfer that is under way; nothing happens to one that has arrived or was cancelled before."""
        serial = self._serials.pop(id(transfer), None)
        if serial is None:
            return
        self._catch_up()
        transfer.moved_bytes = self._moved(self._messages[serial])
        message = self._messages.pop(serial)
        self._arrived = [other for other in self._arrived if other is not message]
        for part in message.parts:
            part.serves.pop(serial, None)
            if not part.serves and part.flow is not None and not part.ended:
                self._engine.stop(part.flow)
                part.flow = None
        self._wake_in(0.0)

    def moved_bytes(self, transfer: Transfer) -> float:
        """Bytes of a transfer that have moved by now (of its slowest segment, for a broadcast)."""
        serial = self._serials.get(id(transfer))
        if serial is None:
            return transfer.moved_bytes
        self._catch_up()
        return self._moved(self._messages[serial])

    @property
    def link_use(self) -> Sequence[LinkUseRow]:
        """Load of every link while flows were on it, closed up to now; empty where it is not recorded."""
        self._catch_up()
        return self._engine.link_use()

    def _message(self, source: str, target: str, size_bytes: float) -> _Message:
        if not size_bytes >= 0 or math.isinf(size_bytes):
            raise NetworkError(
                f"{source} -> {target}: size_bytes must be 0 or more and finite; found {size_bytes!r}."
            )
        transfer = Transfer(source, (target,), size_bytes, self.env.now, self.env.event())
        self._serial += 1
        message = _Message(self._serial, transfer, [], 0)
        self._messages[self._serial] = message
        self._serials[id(transfer)] = self._serial
        return message

    def _path(self, source: str, target: str) -> tuple[tuple[Link, ...], float]:
        path = self._routes.get((source, target))
        if path is None:
            route = self.router.route(source, target)
            path = self._limiting(route.links), route.latency_s
            self._routes[source, target] = path
        return path

    def _limiting(self, specs: Sequence[LinkSpec]) -> tuple[Link, ...]:
        """The links that can limit a flow, each once."""
        return tuple(self._link(spec) for spec in dict.fromkeys(specs) if spec.channel is not None)

    def _link(self, spec: LinkSpec) -> Link:
        assert spec.channel is not None
        link = self._links.get(spec)
        if link is None:
            if spec.name in self._names:
                raise NetworkError(f"Link '{spec.name}' is given twice; give each link a name of its own.")
            self._names.add(spec.name)
            constant = spec.channel.constant_bit_per_s
            if constant is not None:
                link = self._engine.add_link(spec.name, constant, spec.shared)
            else:
                steps = spec.channel.steps(stream(self._seed, "channel", spec.name))
                _, rate = next(steps)
                link = self._engine.add_link(spec.name, rate, spec.shared, steps)
            self._links[spec] = link
        return link

    def _after(self, part: _Part) -> None:
        """Lets a part join once its latency, and what the protocol needs beforehand, have passed."""
        latency_s = part.latency_s
        if self._protocol is not None:
            latency_s += self._protocol.set_up_s(2 * latency_s)
        if latency_s <= 0:
            self._join(part)
            self._wake_in(0.0)
        else:
            self._call_in(latency_s, partial(self._join_late, part))

    def _join_late(self, part: _Part, _: simpy.Event) -> None:
        if part.serves:
            self._join(part)
            self._settle()

    def _join(self, part: _Part) -> None:
        if part.size_bit <= 0 or not part.links:
            self._ended(part)
        else:
            self._catch_up()
            part.flow = Flow((*part.links, *self._ramp(part)), part.size_bit, tag=part)
            self._engine.start(part.flow)

    def _ramp(self, part: _Part) -> tuple[Link, ...]:
        """The protocol's caps on a new flow, as a link of its own."""
        if self._protocol is None:
            return ()
        caps = self._protocol.ramp(2 * part.latency_s, min(link.capacity for link in part.links))
        if caps is None:
            return ()
        now_s = self.env.now
        _, first = next(caps)
        later = ((now_s + time_s, rate) for time_s, rate in caps)
        return (self._engine.add_link("", first, shared=False, steps=later),)

    def _ended(self, part: _Part) -> None:
        """Notes that a part has passed its last byte; a message waits for all of its parts."""
        part.ended = True
        part.flow = (
            None  # Which knows its part: without this, both would wait for Python's garbage collector.
        )
        for serial, rest_s in part.serves.items():
            message = self._messages[serial]
            message.waiting -= 1
            message.arrival_s = max(message.arrival_s, self.env.now + rest_s)
            if message.waiting:
                continue
            if message.arrival_s <= self.env.now:
                self._arrived.append(message)
            else:
                event = self.env.timeout(message.arrival_s - self.env.now, message)
                assert event.callbacks is not None
                event.callbacks.append(self._late_arrival)

    def _late_arrival(self, event: simpy.Event) -> None:
        message = cast(_Message, event.value)
        if message.serial in self._messages:
            self._arrived.append(message)
            self._wake_in(0.0)

    def _moved(self, message: _Message) -> float:
        size = message.transfer.size_bytes
        for part in message.parts:
            if part.ended:
                continue
            if part.flow is None:
                return 0.0
            size = min(size, (part.size_bit - self._engine.rest_bit(part.flow)) / self._wire_bit)
        return size

    def _catch_up(self) -> None:
        """Moves the engine to now: flows that end at this very instant have ended before anything else happens."""
        if self._engine.now_s < self.env.now:
            self._advance()

    def _advance(self) -> None:
        for flow in self._engine.advance(self.env.now):
            part = flow.tag
            assert isinstance(part, _Part)
            self._ended(part)

    def _call_in(
        self, delay_s: float, call: Callable[[simpy.Event], None], last: bool = False
    ) -> simpy.Event:
        event = simpy.Event(self.env)
        event._ok = True
        event._value = None
        event.callbacks = [call]
        self.env.schedule(event, _LAST if last else NORMAL, delay_s)
        return event

    def _wake_in(self, delay_s: float) -> None:
        """Looks at the engine after everything else that happens then, unless it is looked at before."""
        wake_s = self.env.now + delay_s
        if wake_s < self._tick_s:
            self._tick = self._call_in(delay_s, self._on_tick, last=True)
            self._tick_s = wake_s

    def _on_tick(self, event: simpy.Event) -> None:
        if event is self._tick:
            self._tick, self._tick_s = None, math.inf
            self._look()

    def _settle(self) -> None:
        """Looks at the engine now, or once everything else that happens at this instant has happened."""
        if self.env.peek() > self.env.now:
            self._look()
        else:
            self._wake_in(0.0)

    def _look(self) -> None:
        """Fires what has arrived; once nothing more happens at this instant, shares the links out anew."""
        now_s = self.env.now
        self._advance()
        while self._arrived:
            self._arrived.sort(key=lambda message: message.serial)
            try:
                while self._arrived:
                    self._fire(self._arrived.pop(0))
            except BaseException:  # Somebody ends the simulation here; it may go on later.
                self._wake_in(0.0)
                raise
            if self.env.peek() <= now_s:
                self._wake_in(0.0)
                return
        self._engine.solve()
        next_s = self._engine.next_s()
        if next_s == math.inf:
            self._tick, self._tick_s = None, math.inf
            return
        delay_s = max(next_s - now_s, 0.0)
        if now_s + delay_s != self._tick_s:
            self._tick_s = math.inf
            self._wake_in(delay_s)

    def _fire(self, message: _Message) -> None:
        transfer = message.transfer
        del self._messages[message.serial]
        del self._serials[id(transfer)]
        transfer.moved_bytes = transfer.size_bytes
        transfer.finished_s = self.env.now
        happen(transfer.done, transfer)

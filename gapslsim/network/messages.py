"""The network as flows: messages pay the latency of their path, then share its links by max-min fairness."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import count
from typing import Literal, cast

import simpy

from gapslsim.errors import NetworkError
from gapslsim.events import LAST, call_at, call_in, happen
from gapslsim.network._checked_steps import checked
from gapslsim.network._delays import Weather, is_steady, steady_toll
from gapslsim.network._multicast import Segment, segments
from gapslsim.network._parts import Message, Part, Way
from gapslsim.network._progress import Progress
from gapslsim.network._routes import LinkSpec, Router
from gapslsim.network.network import LinkUseFields, Network, StuckTransfer, Transfer
from gapslsim.network.protocol import Protocol
from gapslsim.network.solver.engine import FlowEngine
from gapslsim.network.solver.flows import Link
from gapslsim.rng import stream

__all__ = ["FluidNetwork"]

_TREES = 4
"""Broadcasts whose routes are kept."""


class FluidNetwork(Network):
    """Exact flow-level network inside a SimPy environment.

    A message of b bytes submitted at t joins the sharing at t + path latency (no earlier than one that was submitted
    before between the same two nodes, where latencies vary), gets its max-min fair share of every
    link of its path at every moment, and has arrived when b bytes have moved. Sharing is solved anew whenever a
    message joins, ends or is cancelled and whenever the capacity of a link in use changes; everything that happens
    at one instant is solved together, so that its order has no effect. Transfers that end at one instant fire in
    the order in which they were submitted.

    Args:
        env: the event loop.
        router: links and routes.
        seed: random channels draw from `stream(seed, "channel", link name)`; latencies and losses, see `Weather`.
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
        self._weather = Weather(seed)
        self._routes: dict[tuple[str, str], Way] = {}
        self._trees: dict[tuple[str, tuple[str, ...]], list[tuple[Segment, Way]]] = {}
        self._joined_s: dict[tuple[str, LinkSpec], float] = {}
        """When the last part of a line joins."""
        self._said: dict[tuple[str, LinkSpec], tuple[float, float]] = {}
        """When the last message of a line ended, and the bytes by which the connection's window has grown."""
        self._serials = count(1)
        self._progress = Progress(env, self._engine, self._links)
        self._arrived: deque[Message] = deque()
        self._wake_s = math.inf
        """When something is due in the engine, or has to be solved."""
        self._sleeps = [math.inf]
        """Looks for that, the next one last. They stay if it moves later: events cannot be called off, and each
        change of rates would leave one behind, at an instant that may be far away."""
        self._looks: dict[float, dict[Part, None]] = {}
        """Instants for which the queue of events holds a look, with the parts that join the sharing then."""

    def send(self, source: str, target: str, size_bytes: float) -> Transfer:
        """Submits a message now; see `Network.send`."""
        way = self._path(source, target)
        message = self._message(source, target, size_bytes)
        toll = way.toll
        if not way.steady:
            toll = self._weather.toll(way.path, self._weather.latencies(way.path, self.env.now), size_bytes)
        line = (source, way.path[-1]) if way.path else None
        self._add(message, Part(way.links, self._wire_bit * size_bytes, toll=toll, line=line), 0.0)
        self._submit(message.parts[0])
        return message

    def broadcast(self, source: str, targets: Sequence[str], size_bytes: float) -> Sequence[Transfer]:
        """Submits one message to many targets; see `Network.broadcast` and `multicast.py`."""
        if not self._multicast or len(targets) == 1:
            return [self.send(source, target, size_bytes) for target in targets]
        tree = self._tree(source, tuple(targets))
        messages = [self._message(source, target, size_bytes) for target in targets]
        parts: list[Part] = []
        drawn: dict[LinkSpec, float] = {}
        if not all(way.steady for _, way in tree):
            drawn = self._weather.latencies(
                {link: None for segment, _ in tree for link in segment.links}, self.env.now
            )
        for segment, way in tree:
            toll, rests_s = way.toll, segment.rest_s
            line = (source, way.path[-1]) if way.path else None
            if drawn and way.path:
                toll = self._weather.toll(way.path, drawn, size_bytes, segment.links)
                rests_s = tuple(sum(drawn[link] for link in rest) for rest in segment.rest)
            part = Part(way.links, self._wire_bit * size_bytes, toll=toll, line=line)
            for index, rest_s in zip(segment.targets, rests_s, strict=True):
                self._add(messages[index], part, rest_s)
            parts.append(part)
        for part in parts:  # only now: a part without limiting links ends at once
            self._submit(part)
        return messages

    def cancel(self, transfer: Transfer) -> None:
        """Ends a transfer that is under way; nothing happens to one that has arrived or was cancelled before."""
        message = self._under_way(transfer)
        if message is None:
            return
        self._catch_up(self.env.now)
        message.moved_bytes = self._moved(message)
        for part in message.parts:
            part.serves.pop(message, None)
            if not part.serves and not part.ended:
                self._drop(part)
        message.parts = []
        self._wake_now()

    def moved_bytes(self, transfer: Transfer) -> float:
        """Bytes of a transfer that have moved by now (of its slowest segment, for a broadcast)."""
        message = self._under_way(transfer)
        if message is None:
            return transfer.moved_bytes
        self._catch_up(self.env.now)
        return self._moved(message)

    def stuck(self) -> list[StuckTransfer]:
        """Transfers that are under way over a link whose rate is 0 now, in the order of submission."""
        self._catch_up(self.env.now)
        found: dict[Message, StuckTransfer] = {}
        for link in self._links.values():
            if link.capacity > 0:
                continue
            for flow in link.flows:
                for message in cast(Part, flow).serves:
                    rest_bytes = message.size_bytes - self._moved(message)
                    found[message] = StuckTransfer(
                        message.source, message.targets[0], rest_bytes, link.name, message.submitted_s
                    )
        return [found[message] for message in sorted(found, key=lambda message: message.serial)]

    @property
    def link_use(self) -> Iterable[LinkUseFields]:
        """Load of every link while flows were on it, closed up to now; empty where it is not recorded."""
        self._catch_up(self.env.now)
        return self._engine.link_use()

    def _message(self, source: str, target: str, size_bytes: float) -> Message:
        if not 0 <= size_bytes < math.inf:
            raise NetworkError(
                f"{source} -> {target}: size_bytes must be 0 or more and finite; found {size_bytes!r}."
            )
        env = self.env
        return Message(source, (target,), size_bytes, env.now, simpy.Event(env), serial=next(self._serials))

    @staticmethod
    def _add(message: Message, part: Part, rest_s: float) -> None:
        """Lets a message wait for a part, and then for the rest of the way to its target."""
        if not message.parts:
            message.sending = part.air
        message.receiving = part.air
        message.parts.append(part)
        message.waiting += 1
        part.serves[message] = rest_s

    @staticmethod
    def _under_way(transfer: Transfer) -> Message | None:
        return transfer if isinstance(transfer, Message) and transfer.parts else None

    def _path(self, source: str, target: str) -> Way:
        way = self._routes.get((source, target))
        if way is None:
            route = self.router.route(source, target)
            way = self._routes[source, target] = self._way(route.links, route.links, route.latency_s)
        return way

    def _way(self, own: Sequence[LinkSpec], path: tuple[LinkSpec, ...], latency_s: float) -> Way:
        return Way(self._limiting(own), path, steady_toll(path, latency_s), is_steady(path))

    def _tree(self, source: str, targets: tuple[str, ...]) -> list[tuple[Segment, Way]]:
        """Segments of a broadcast with the way of each; a server's rounds ask for the same again."""
        tree = self._trees.get((source, targets))
        if tree is None:
            routes = [self.router.route(source, target) for target in targets]
            tree = [(s, self._way(s.links, s.path, s.start_s)) for s in segments(routes)]
            if len(self._trees) >= _TREES:  # Where targets are drawn at random none may ever come again.
                self._trees.clear()
            self._trees[source, targets] = tree
        return tree

    def _limiting(self, specs: Sequence[LinkSpec]) -> tuple[Link, ...]:
        """The links that can limit a flow, each once."""
        media = dict.fromkeys(spec.medium or spec for spec in specs)
        return tuple(self._link(spec) for spec in media if spec.channel is not None)

    def _link(self, spec: LinkSpec) -> Link:
        assert spec.channel is not None
        link = self._links.get(spec)
        if link is None:
            if spec.name in self._names:
                raise NetworkError(f"Link '{spec.name}' is given twice; give each link a name of its own.")
            self._names.add(spec.name)
            rate, steps = spec.channel.constant_bit_per_s, None
            share = 1.0 if spec.loss is None else spec.loss.carried_share
            if rate is None:
                given = checked(spec.name, spec.channel.steps(stream(self._seed, "channel", spec.name)))
                steps = given if share == 1 else ((at_s, share * step) for at_s, step in given)
                _, rate = next(steps)
            else:
                rate *= share
            link = self._links[spec] = self._engine.add_link(spec.name, rate, spec.shared, steps)
        return link

    def _submit(self, part: Part) -> None:
        """Lets a part join once its latency, and what the protocol needs beforehand, have passed."""
        latency_s, now_s = part.toll.latency_s + part.toll.delay_s, self.env.now
        if self._protocol is not None:
            latency_s += self._protocol.set_up_s(part.toll.round_trip_s)
        part.joins_s = now_s + latency_s
        if part.line is not None:
            part.joins_s = max(part.joins_s, self._joined_s.get(part.line, 0.0))
            self._joined_s[part.line] = part.joins_s
        if part.joins_s <= now_s:
            self._join(part, now_s)
            self._wake_now()
        else:
            self._look_at(part.joins_s)[part] = None

    def _join(self, part: Part, now_s: float) -> None:
        part.joined = True
        part.air.begins(now_s)
        if part.toll.cap_bit_per_s < math.inf:
            cap = part.toll.cap_bit_per_s * self._wire_bit / 8
            part.links = (*part.links, self._engine.add_link("", cap, shared=False))
        if part.size_bit <= 0 or not part.links:
            self._ended(part, now_s)
            return
        self._catch_up(now_s)
        if self._protocol is not None:
            part.links = (*part.links, *self._ramp(part, self._protocol, now_s))
        self._engine.start(part)

    def _drop(self, part: Part) -> None:
        """Takes a part out that nobody waits for any more, on its way to the sharing or in it."""
        part.ended = True
        if part.joined:
            self._engine.stop(part)
        else:
            del self._looks[part.joins_s][part]

    def _ramp(self, part: Part, protocol: Protocol, now_s: float) -> tuple[Link, ...]:
        """The protocol's caps on a new flow, as a link of its own."""
        trip_s, capacity = part.toll.round_trip_s, min(map(self._engine.capacity_bit_per_s, part.links))
        said = self._said.get(part.line) if part.line is not None else None
        if said is not None:
            part.grown_bytes = protocol.window_left(said[1], now_s - said[0], trip_s, capacity)
        caps = protocol.ramp_on(trip_s, capacity, part.grown_bytes, part.size_bit / 8)
        if caps is None:
            return ()
        _, first = next(caps)
        later = ((now_s + time_s, rate) for time_s, rate in caps)
        return (self._engine.add_link("", first, shared=False, steps=later),)

    def _ended(self, part: Part, now_s: float) -> None:
        """Notes that a part has passed its last byte; a message waits for all of its parts."""
        part.ended = True
        part.air.ends(now_s)
        if self._protocol is not None and part.line is not None:
            self._said[part.line] = now_s, part.grown_bytes + part.size_bit / 8
        for message, rest_s in part.serves.items():
            message.waiting -= 1
            message.arrival_s = max(message.arrival_s, now_s + rest_s)
            if message.waiting:
                continue
            if message.arrival_s <= now_s:
                self._arrived.append(message)
            else:
                call_in(self.env, message.arrival_s - now_s, partial(self._late_arrival, message))
        part.serves = {}  # They know their parts: without this, all would wait for Python's garbage collector.

    def _late_arrival(self, message: Message) -> None:
        if message.parts:
            self._arrived.append(message)
            self._wake_now()

    def _moved(self, message: Message) -> float:
        size = message.size_bytes
        for part in message.parts:
            if part.ended:
                continue
            if not part.joined:
                return 0.0
            size = min(size, (part.size_bit - self._engine.rest_bit(part)) / self._wire_bit)
        return max(size, 0.0)  # Of a part that has moved nothing, the rest may be more than all by rounding.

    def _catch_up(self, now_s: float) -> None:
        """Moves the engine to now: flows that end at this very instant have ended before anything else happens."""
        if self._engine.now_s < now_s:
            self._advance(now_s)

    def _advance(self, now_s: float) -> None:
        for part in self._engine.advance(now_s):
            self._ended(cast(Part, part), now_s)

    def _look_at(self, at_s: float) -> dict[Part, None]:
        """Has the network looked at after everything else that happens then; returns the parts that join then."""
        joining = self._looks.get(at_s)
        if joining is None:
            joining = self._looks[at_s] = {}
            call_at(self.env, at_s, self._look, LAST)
        return joining

    def _wake_at(self, at_s: float) -> None:
        self._wake_s = at_s
        if at_s < self._sleeps[-1]:
            self._sleeps.append(at_s)
            self._look_at(at_s)

    def _wake_now(self) -> None:
        if self.env.now < self._wake_s:
            self._wake_at(self.env.now)

    def _look(self) -> None:
        """Lets parts join and fires what has arrived; once nothing more happens now, shares the links out anew."""
        now_s, engine = self.env.now, self._engine
        joining = self._looks.pop(now_s)
        self._progress.looked(bool(joining or self._arrived), now_s)
        if now_s == self._sleeps[-1]:
            self._sleeps.pop()
        if now_s != self._wake_s and not joining:
            self._wake_at(self._wake_s)
            return
        if now_s == self._wake_s:
            self._wake_s = math.inf
        self._advance(now_s)
        for part in joining:
            self._join(part, now_s)
        if self._arrived and self._fire_all(now_s):
            return
        engine.solve()
        # As a delay from now, since that is how simpy adds it up; inf stays inf.
        self._wake_at(now_s + max(engine.next_s() - now_s, 0.0))

    def _fire_all(self, now_s: float) -> bool:
        """Fires what has arrived, in the order of submission; returns whether more happens at this instant."""
        if len(self._arrived) > 1:
            self._arrived = deque(sorted(self._arrived, key=lambda message: message.serial))
        try:
            while self._arrived:
                message = self._arrived.popleft()
                if not message.parts:  # Cancelled at this very instant.
                    continue
                message.parts = []
                message.moved_bytes = message.size_bytes
                message.finished_s = now_s
                happen(message.done, message)
        except BaseException:  # Somebody ends the simulation here; it may go on later.
            self._wake_now()
            raise
        if self.env.peek() <= now_s:
            self._wake_now()
            return True
        return False

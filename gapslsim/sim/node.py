"""A node: a device with a queue, attached to the network. Its verbs are `compute` and `send`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, cast

import numpy as np
import simpy

from gapslsim.events import happen
from gapslsim.hardware.device import Device
from gapslsim.hardware.radio import throughput_energy_j
from gapslsim.network.network import Network
from gapslsim.sim.recorder import Recorder
from gapslsim.work import Keyed, Work

__all__ = ["Node", "Process", "together"]

T = TypeVar("T")
Process = Generator[simpy.Event, Any, T]
"""A simulated activity that ends with a value."""


class Node:
    """A client or a server inside the event loop.

    Args:
        name: `client-3`, `server`, `parameter-server`: also its name in the network.
        client: index of the client; None for a server.
        device: its kind of device.
        random: makes the node's own jitter stream; called once, when first needed.
    """

    def __init__(
        self,
        name: str,
        client: int | None,
        device: Device,
        env: simpy.Environment,
        network: Network,
        recorder: Recorder,
        random: Callable[[], np.random.Generator],
    ) -> None:
        self.name = name
        self.client = client
        self.device = device
        self._env = env
        self._network = network
        self._recorder = recorder
        self._random = random
        self._jitter: Iterator[float] | None = None
        self._busy = False
        self._queue: deque[simpy.Event] | None = None
        """Computations that wait for their turn, first come first served; made when one first has to wait."""

    def compute(self, work: Work[T], on_behalf_of: Collection[int] = ()) -> Process[T]:
        """Queues for the device, holds it for the time its profile gives, and carries the work out at completion.

        An interrupted computation never happened: its call is not made.

        Args:
            work: what to compute.
            on_behalf_of: clients that wait for it; their time is charged as queue and server computation.
        """
        asked_s = self._env.now
        if self._busy:
            yield from self._turn()
        self._busy = True
        try:
            start_s = self._env.now
            yield self._env.timeout(self._duration_s(work))
            result = work.carry_out()
        finally:
            self._let_next()
        self._record_computation(work, on_behalf_of, asked_s, start_s)
        return result

    def send(self, payload: Keyed[T], to: Node, phase: str) -> Process[Keyed[T]]:
        """Sends a payload; ends when its last byte has arrived.

        Args:
            payload: what is sent; its size is exact.
            to: the receiver.
            phase: name of the span: `uplink`, `downlink`, ...; between two clients `_out` and `_in` are added.
        """
        start_s = self._env.now
        yield self._network.send(self.name, to.name, payload.size_bytes).done
        self._record_transfer(to, phase, start_s, payload.size_bytes)
        return payload

    def broadcast(self, payload: Keyed[T], to: Sequence[Node], phase: str) -> list[Process[Keyed[T]]]:
        """Sends one payload to many nodes; returns one process per receiver that ends when it has it all."""
        start_s = self._env.now
        transfers = self._network.broadcast(self.name, [node.name for node in to], payload.size_bytes)

        def arrival(node: Node, done: simpy.Event) -> Process[Keyed[T]]:
            yield done
            self._record_transfer(node, phase, start_s, payload.size_bytes)
            return payload

        return [arrival(node, transfer.done) for node, transfer in zip(to, transfers, strict=True)]

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

    def _duration_s(self, work: Work[Any]) -> float:
        duration_s = self.device.duration_s(work.cost)
        if self._jitter is None:
            self._jitter = self.device.jitter(self._random)
        return duration_s * next(self._jitter)

    def _record_computation(
        self, work: Work[Any], on_behalf_of: Collection[int], asked_s: float, start_s: float
    ) -> None:
        end_s, power, flop = self._env.now, self.device.power, work.cost.work_flop
        if self.client is not None:
            self._recorder.client_span(
                self.client, work.operation, start_s, end_s, power.compute_w, work_flop=flop
            )
            return
        self._recorder.server_span(self.name, work.operation, start_s, end_s, power.compute_w, flop)
        self._recorder.clients_wait(on_behalf_of, "server_queue", asked_s, start_s)
        self._recorder.clients_wait(on_behalf_of, "server_compute", start_s, end_s)

    def _record_transfer(self, to: Node, phase: str, start_s: float, size_bytes: int) -> None:
        end_s = self._env.now
        between_clients = self.client is not None and to.client is not None
        if self.client is not None:
            name = f"{phase}_out" if between_clients else phase
            power = self.device.power
            self._recorder.client_span(
                self.client, name, start_s, end_s, power.send_w, size_bytes,
                extra_j=throughput_energy_j(power, "send", size_bytes),
            )  # fmt: skip
        if to.client is not None:
            name = f"{phase}_in" if between_clients else phase
            power = to.device.power
            self._recorder.client_span(
                to.client, name, start_s, end_s, power.receive_w, size_bytes,
                extra_j=throughput_energy_j(power, "receive", size_bytes),
            )  # fmt: skip


def together(env: simpy.Environment, processes: Iterable[Process[T]]) -> Process[list[T]]:
    """Runs processes side by side and ends with their values, in order, when all have ended: a barrier.

    Each runs as far as it can at once, in order, and goes on inside the event that it waited for: starting and ending
    it takes no event of its own. The first error ends the barrier; the others go on.
    """
    group: _Group[T] = _Group(env)
    for process in processes:
        group.start(process)
    if group.n_left:
        yield group.done
    return cast("list[T]", group.values)


class _Group(Generic[T]):
    """Processes that run side by side."""

    __slots__ = ("done", "n_left", "values")

    def __init__(self, env: simpy.Environment) -> None:
        self.done = env.event()
        """Happens when the last one has ended, unless that was before anybody waited."""
        self.n_left = 0
        self.values: list[T | None] = []

    def start(self, process: Process[T]) -> None:
        """Runs a process as far as it can."""
        self.values.append(None)
        self.n_left += 1
        _Member(self, len(self.values) - 1, process)(None)

    def end(self, index: int, value: T) -> None:
        """Takes the value of a process that has ended."""
        self.values[index] = value
        self.n_left -= 1
        if not self.n_left and self.done.callbacks:
            happen(self.done)


class _Member(Generic[T]):
    """One process of a group; called back by the event that it waits for."""

    __slots__ = ("_group", "_index", "_process")

    def __init__(self, group: _Group[T], index: int, process: Process[T]) -> None:
        self._group = group
        self._index = index
        self._process = process

    def __call__(self, event: simpy.Event | None) -> None:
        """Goes on until it has to wait again."""
        try:
            while True:
                if event is None:
                    event = next(self._process)
                elif event._ok:
                    event = self._process.send(event._value)
                else:
                    event.defused = True
                    event = self._process.throw(event._value)
                if event.callbacks is not None:
                    event.callbacks.append(self)
                    return
        except StopIteration as end:
            self._group.end(self._index, end.value)
        except Exception as error:
            if not self._group.done.triggered:
                self._group.done.fail(error)

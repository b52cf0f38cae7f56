"""A node: a device with a queue, attached to the network. Its verbs are `compute` and `send`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import simpy

from gapslsim.activity import Activity, Process
from gapslsim.hardware.device import Device
from gapslsim.hardware.radio import throughput_energy_j
from gapslsim.network.network import Network, Transfer
from gapslsim.sim.activities import Activities
from gapslsim.sim.recorder import Recorder
from gapslsim.work import Keyed, Work

__all__ = ["Node"]

T = TypeVar("T")
K = TypeVar("K", bound=Keyed[Any])


class Node:
    """A client or a server inside the event loop.

    Args:
        name: `client-3`, `server`, `parameter-server`: also its name in the network.
        client: index of the client; None for a server.
        device: its kind of device.
        activities: of the event loop, for what goes on in the background.
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
        activities: Activities,
        random: Callable[[], np.random.Generator],
    ) -> None:
        self.name = name
        self.client = client
        self.device = device
        self._env = env
        self._network = network
        self._recorder = recorder
        self._activities = activities
        self._random = random
        self._jitter: Iterator[float] | None = None
        self._busy = False
        self._queue: deque[simpy.Event] | None = None
        """Computations that wait for their turn, first come first served; made when one first has to wait."""

    def compute(self, work: Work[T], on_behalf_of: Collection[int] = ()) -> Process[T]:
        """Queues for the device, holds it for the time its profile gives, and carries the work out at completion.

        A cancelled computation never happened: its call is not made. What it used until then is recorded.

        Args:
            work: what to compute.
            on_behalf_of: clients that wait for it; their time is charged as queue and server computation.
        """
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
        duration_s, carry_out = self._begin(work)
        name, share = work.operation, 1.0
        try:
            yield self._env.timeout(duration_s)
            result = carry_out()
        except BaseException:
            name = f"cancelled_{name}"
            share = (self._env.now - start_s) / duration_s if duration_s else 1.0
            raise
        finally:
            self._let_next()
            self._record_computation(name, share * work.cost.work_flop, waiting, asked_s, start_s)
        return result

    def send(self, payload: K, to: Node, phase: str) -> Process[K]:
        """Sends a payload; ends when its last byte has arrived. One that is cancelled has moved what it moved.

        Args:
            payload: what is sent; its size is exact.
            to: the receiver.
            phase: name of the span: `uplink`, `downlink`, ...; between two clients `_out` and `_in` are added.
        """
        transfer = self._network.send(self.name, to.name, payload.size_bytes)
        return (yield from self._arrival(payload, to, phase, transfer))

    def broadcast(self, payload: K, to: Sequence[Node], phase: str) -> list[Activity[K]]:
        """Sends one payload to many nodes; returns one activity per receiver that ends when it has it all."""
        transfers = self._network.broadcast(self.name, [node.name for node in to], payload.size_bytes)
        return [
            self._activities.spawn(self._arrival(payload, node, phase, transfer))
            for node, transfer in zip(to, transfers, strict=True)
        ]

    def _arrival(self, payload: K, to: Node, phase: str, transfer: Transfer) -> Process[K]:
        """Waits for a transfer that has begun now."""
        start_s = self._env.now
        self._recorder.begin(start_s, self.client, to.client)
        try:
            yield transfer.done
        except BaseException:
            self._network.cancel(transfer)
            # A byte has moved when its last bit has.
            self._record_transfer(to, f"cancelled_{phase}", start_s, int(transfer.moved_bytes + 1e-6))
            raise
        self._record_transfer(to, phase, start_s, payload.size_bytes)
        return payload

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

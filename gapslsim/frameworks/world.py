"""The world that a framework acts in: nodes on the clock, a learner for the tensors, one round at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
import simpy

from gapslsim.hardware.device import Device
from gapslsim.learning.learner import Learner
from gapslsim.network.network import Network
from gapslsim.rng import stream
from gapslsim.sim.node import Node, Process, together
from gapslsim.sim.recorder import Recorder

__all__ = ["World"]

T = TypeVar("T")


class World:
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
    """

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
    ) -> None:
        self.learner = learner
        self.n_clients = len(client_devices)
        self.round = 0
        self.epoch = 0.0
        """Samples processed before this round over the size of the training set."""
        self.participants: tuple[int, ...] = ()
        self._env = env
        self._network = network
        self._client_devices = client_devices
        self._recorder = recorder
        self._seed = seed
        self._clients: dict[int, Node] = {}
        self.server = self._node("server", None, server_device)
        self.parameter_server = self._node("parameter-server", None, parameter_server_device)

    def client(self, index: int) -> Node:
        """The node of a client; made when first asked for."""
        if index not in self._clients:
            self._clients[index] = self._node(f"client-{index}", index, self._client_devices[index])
        return self._clients[index]

    def nodes(self, clients: Iterable[int]) -> list[Node]:
        """The nodes of several clients."""
        return [self.client(index) for index in clients]

    def together(self, processes: Iterable[Process[T]]) -> Process[list[T]]:
        """Runs processes side by side and waits for all: a barrier."""
        return together(self._env, processes)

    def random(self, *purpose: str | int) -> np.random.Generator:
        """The random stream of a purpose in this round."""
        return stream(self._seed, *purpose, self.round)

    @property
    def now_s(self) -> float:
        """Simulated time; for the main flow, not for frameworks."""
        return float(self._env.now)

    def begin_round(self, choose: Callable[[World], tuple[int, ...]]) -> None:
        """Opens the next round and chooses its participants."""
        self._recorder.wait_until(self.participants, self._env.now)
        self.round += 1
        self.participants = choose(self)
        # What a client waited before it was chosen belongs to earlier rounds.
        self._recorder.wait_until(self.participants, self._env.now)
        self._recorder.round = self.round
        self.epoch = self.learner.samples_seen / len(self.learner.setup.data.train)
        self.learner.begin_round(self.round)

    def end_round(self) -> None:
        """Closes the round: participants wait until it ends."""
        self._recorder.wait_until(self.participants, self._env.now)

    def _node(self, name: str, client: int | None, device: Device) -> Node:
        return Node(
            name,
            client,
            device,
            self._env,
            self._network,
            self._recorder,
            partial(stream, self._seed, "jitter", name),
        )

"""A client or the server of the twin: a process of plain PyTorch that talks pickle over TCP; see `twin.py`.

    python -m benchmarks.twin_node server|0|1 SCENARIO ROUNDS HOST[,HOST] TIMES.json

Each mini-batch leaves the instants between its parts, by the clock that all processes of a machine share.
"""

from __future__ import annotations

import json
import pickle
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import torch
from torch.nn import functional as F

from gapslsim import load
from gapslsim.models.split import build

PORT = 52077


def _now() -> tuple[float, float]:
    """The instant, and how long this thread has had a processor [s]."""
    return time.monotonic(), time.thread_time()


def send(connection: socket.socket, blob: bytes) -> None:
    """A message behind its length."""
    connection.sendall(struct.pack("<q", len(blob)))
    connection.sendall(blob)


def receive(connection: socket.socket) -> bytearray:
    """The next message."""
    size = struct.unpack("<q", _exactly(connection, 8))[0]
    return _exactly(connection, size)


def _exactly(connection: socket.socket, size: int) -> bytearray:
    whole = bytearray(size)
    view, got = memoryview(whole), 0
    while got < size:
        n = connection.recv_into(view[got:])
        if not n:
            raise ConnectionError("the peer closed the connection")
        got += n
    return whole


def optimizer(module: torch.nn.Module, settings: Any) -> torch.optim.Optimizer:
    """PyTorch's SGD as the scenario says."""
    return torch.optim.SGD(module.parameters(), lr=settings.lr, momentum=settings.momentum)


def client(index: int, scenario: Any, rounds: int, host: str) -> list[tuple[tuple[float, float], ...]]:
    """Trains its side for so many mini-batches; instants: begin, forward, serialised, arrived, taken apart, updated."""
    data = scenario.data.load(None, scenario.seed)
    inputs, labels = torch.from_numpy(data.train.inputs), torch.from_numpy(data.train.labels)
    module = build(scenario.model, data.input_shape, data.n_classes, 1).client.train()
    steps = optimizer(module, scenario.training.client)
    random, size = torch.Generator().manual_seed(index), scenario.training.batch_size
    connection = _connected(host)
    times = []
    for _ in range(rounds):
        begin = _now()
        chosen = torch.randint(len(labels), (size,), generator=random)
        steps.zero_grad()
        smashed = module(inputs[chosen])
        forward = _now()
        blob = pickle.dumps((smashed.detach(), labels[chosen]))
        serialised = _now()
        send(connection, blob)
        answer = receive(connection)
        arrived = _now()
        gradient = pickle.loads(answer)  # from our own server
        taken = _now()
        smashed.backward(gradient)
        steps.step()
        times.append((begin, forward, serialised, arrived, taken, _now()))
    return times


def server(scenario: Any, rounds: int, hosts: list[str], joined: bool) -> list[dict[str, Any]]:
    """Serves all clients; instants of each step, and of each client's message in and out."""
    data = scenario.data.load(None, scenario.seed)
    module = build(scenario.model, data.input_shape, data.n_classes, 1).server.train()
    steps = optimizer(module, scenario.training.server)
    connections = list(_accepted(hosts))
    arrivals: list[SimpleQueue[tuple[Any, bytearray]]] = [SimpleQueue() for _ in hosts]
    answers: list[SimpleQueue[bytes | None]] = [SimpleQueue() for _ in hosts]

    def reads(place: int) -> None:
        for _ in range(rounds):
            blob = receive(connections[place])
            arrivals[place].put((_now(), blob))

    def writes(place: int) -> None:
        while (blob := answers[place].get()) is not None:
            send(connections[place], blob)

    threads = [
        threading.Thread(target=call, args=(i,)) for i in range(len(hosts)) for call in (reads, writes)
    ]
    for thread in threads:
        thread.start()
    times = []
    for _ in range(rounds):
        arrived, smashed, taken = [], [], []
        for queue in arrivals:
            when, blob = queue.get()
            arrived.append(when)
            start = _now()
            smashed.append(pickle.loads(blob))  # from our own clients
            taken.append((start, _now()))
        begin = _now()
        steps.zero_grad()
        if joined:
            entered = [torch.cat([x for x, _ in smashed]).requires_grad_()]
            F.cross_entropy(module(entered[0]), torch.cat([y for _, y in smashed])).backward()
            cuts = [len(smashed) * cut for cut in entered[0].grad.split([len(y) for _, y in smashed])]
        else:
            entered = [x.requires_grad_() for x, _ in smashed]
            for x, (_, labels) in zip(entered, smashed, strict=True):
                (F.cross_entropy(module(x), labels) / len(smashed)).backward()
            cuts = [len(smashed) * x.grad for x in entered]
        steps.step()
        end, sent = _now(), []
        for queue, cut in zip(answers, cuts, strict=True):
            start = _now()
            blob = pickle.dumps(cut)
            sent.append((start, _now()))
            queue.put(blob)
        times.append({"arrived": arrived, "taken": taken, "begin": begin, "end": end, "sent": sent})
    for queue in answers:
        queue.put(None)
    for thread in threads:
        thread.join()
    return times


def _accepted(hosts: list[str]) -> Iterator[socket.socket]:
    """One connection from each client, in their order: each comes to an address of its own."""
    listeners = [socket.create_server((host, PORT + place)) for place, host in enumerate(hosts)]
    for listener in listeners:
        listener.settimeout(60)
        connection, _ = listener.accept()
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


def _connected(address: str) -> socket.socket:
    host, _, place = address.partition("#")
    until = time.monotonic() + 60
    while True:
        try:
            connection = socket.create_connection((host, PORT + int(place)))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def main(who: str, scenario: str, rounds: str, hosts: str, out: str, joined: str) -> None:
    """Trains, and writes its times."""
    torch.set_num_threads(1)
    loaded, n = load(scenario), int(rounds)
    times: Any = (
        server(loaded, n, hosts.split(","), joined == "joined")
        if who == "server"
        else client(int(who), loaded, n, hosts)
    )
    with open(out, "w") as file:
        json.dump(times, file)


if __name__ == "__main__":
    main(*sys.argv[1:])

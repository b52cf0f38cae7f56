"""Protocols without and with barriers for tests: each is one file's worth of framework."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from gapslsim.frameworks.framework import Framework, FreeFramework
from gapslsim.frameworks.slots import client_updates, server_updates
from gapslsim.frameworks.stage import Activity, Process, Stage
from gapslsim.learning.rules import CutGradient
from gapslsim.registry import component

MEAN, OWN, CUT = server_updates["mean"](), client_updates["own"](), CutGradient()


def upload(w: Stage, client: int) -> Process[Any]:
    """Forward pass and uplink."""
    node = w.client(client)
    smashed = yield from node.compute(w.learner.client_forward(client))
    return (yield from node.send(smashed, w.server, "uplink"))


def step(w: Stage, smashed: Sequence[Any], model: str = "server") -> Process[Any]:
    """A step of the server on some mini-batches."""
    work = w.learner.server_step(smashed, MEAN, CUT, model=model)
    clients = tuple(sorted({one.batch.client for one in smashed}))
    return (yield from w.server.compute(work, on_behalf_of=clients))


def train(w: Stage, smashed: Any, reply: Any) -> Process[None]:
    """Downlink and backward pass of one mini-batch."""
    node = w.client(smashed.batch.client)
    yield from w.server.send(reply.to(smashed).own, node, "downlink")
    yield from node.compute(w.learner.client_backward(smashed, reply, OWN))


@component
class PerArrival(Framework):
    """Each client on its own, side by side: a server step per mini-batch, a barrier after some."""

    kind: Literal["per_arrival"] = "per_arrival"
    n_batches: int = 4
    copies: int = 1
    """Server-side states; client i is served by the i-th, counted around."""

    def round(self, w: Stage) -> Process[None]:
        yield from w.together(self._client(w, client) for client in w.participants)

    def _client(self, w: Stage, client: int) -> Process[None]:
        copy = client % self.copies
        for _ in range(self.n_batches):
            smashed = yield from upload(w, client)
            reply = yield from step(w, [smashed], "server" if not copy else f"server-{copy}")
            yield from train(w, smashed, reply)

    def samples_per_round(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> float:
        return self.n_batches * sum(batch_sizes)


@component
class Pipelined(Framework):
    """Two mini-batches of each client in flight: the next forward pass does not wait for the gradient."""

    kind: Literal["pipelined"] = "pipelined"
    n_batches: int = 4
    copies: int = 1
    """Server-side states; mini-batches go to one after the other."""

    def round(self, w: Stage) -> Process[None]:
        yield from w.together(self._client(w, client) for client in w.participants)

    def _client(self, w: Stage, client: int) -> Process[None]:
        under_way: list[Activity[None]] = []
        for _ in range(self.n_batches):
            smashed = yield from upload(w, client)
            if len(under_way) == 2:
                yield from under_way.pop(0)
            under_way.append(w.spawn(self._answer(w, smashed)))
        for activity in under_way:
            yield from activity

    def _answer(self, w: Stage, smashed: Any) -> Process[None]:
        copy = smashed.batch.step % self.copies
        reply = yield from step(w, [smashed], "server" if not copy else f"server-{copy}")
        yield from train(w, smashed, reply)

    def samples_per_round(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> float:
        return self.n_batches * sum(batch_sizes)


@component
class SplitFedV1(Framework):
    """One server-side copy per client, stepped on its mini-batches; copies and client models are averaged."""

    kind: Literal["splitfed_v1"] = "splitfed_v1"
    n_batches: int = 2

    def round(self, w: Stage) -> Process[None]:
        yield from w.together(self._client(w, client) for client in w.participants)
        for names in ({c: f"server-{c}" for c in w.participants}, {c: f"client-{c}" for c in w.participants}):
            sent = {client: w.learner.weights(name) for client, name in names.items()}
            mean = yield from w.server.compute(w.learner.average(sent, "uniform"))
            for name in names.values():
                w.learner.install(name, mean, "keep")

    def _client(self, w: Stage, client: int) -> Process[None]:
        for _ in range(self.n_batches):
            smashed = yield from upload(w, client)
            reply = yield from step(w, [smashed], f"server-{client}")
            yield from train(w, smashed, reply)

    def samples_per_round(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> float:
        return self.n_batches * sum(batch_sizes)


@component
class Buffered(FreeFramework):
    """A server step as soon as k mini-batches have arrived; no barrier anywhere."""

    kind: Literal["buffered"] = "buffered"
    k: int = 2

    def run(self, w: Stage) -> Process[None]:
        uploads: list[Any] = [upload(w, client) for client in range(w.n_clients)]
        while True:
            arrived, rest = yield from w.first(uploads, self.k)
            smashed = [one.value for one in arrived]
            reply = yield from step(w, smashed)
            uploads = [*rest, *(self._next(w, one, reply) for one in smashed)]

    def _next(self, w: Stage, smashed: Any, reply: Any) -> Process[Any]:
        yield from train(w, smashed, reply)
        return (yield from upload(w, smashed.batch.client))

"""A framework of your own: parallel split learning, written out. Change the order of what happens, or what is sent."""

from __future__ import annotations

from typing import Literal

from gapslsim import FAMILIES, ParallelSplitLearning, Process, ServerReply, SmashedData, Stage, component


@FAMILIES["framework"].register
@component
class MyFramework(ParallelSplitLearning):
    """All clients upload, the server steps once, all clients train."""

    kind: Literal["my_framework"] = "my_framework"

    def round(self, w: Stage) -> Process[None]:
        """One round. `compute` takes the device's time, `send` the network's; `together` waits for all."""
        smashed = yield from w.together(self._upload(w, client) for client in w.participants)
        step = w.learner.server_step(smashed, self.server_rule, self.cut_rule)
        reply = yield from w.server.compute(step, on_behalf_of=w.participants)
        yield from w.together(self._train(w, client, reply) for client in w.participants)
        yield from self.client_sync.run(w)

    def _upload(self, w: Stage, index: int) -> Process[SmashedData]:
        client = w.client(index)
        smashed = yield from client.compute(w.learner.client_forward(index))
        return (yield from client.send(smashed, w.server, "uplink"))

    def _train(self, w: Stage, index: int, reply: ServerReply) -> Process[None]:
        client = w.client(index)
        yield from w.server.send(reply.own[index], client, "downlink")
        yield from client.compute(w.learner.client_backward(index, reply, self.client_update))

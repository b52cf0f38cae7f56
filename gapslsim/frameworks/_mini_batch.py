"""The two halves of a mini-batch's way that protocols with a client of its own side have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapslsim.frameworks.stage import Process, Stage
from gapslsim.learning.rules import ClientUpdate

if TYPE_CHECKING:
    from gapslsim.learning.operation import SmashedData
    from gapslsim.learning.reply import ServerReply

__all__ = ["train", "upload"]


def upload(w: Stage, client: int) -> Process[SmashedData]:
    """Forward pass on a client's next mini-batch, and uplink."""
    node = w.client(client)
    smashed = yield from node.compute(w.learner.client_forward(client))
    return (yield from node.send(smashed, w.server, "uplink"))


def train(w: Stage, smashed: SmashedData, reply: ServerReply, rule: ClientUpdate) -> Process[None]:
    """Downlink of a mini-batch's own cut gradient, if it has one, backward pass and update."""
    node, answer = w.client(smashed.batch.client), reply.to(smashed)
    if answer.own is not None:
        yield from w.server.send(answer.own, node, "downlink")
    yield from node.compute(w.learner.client_backward(smashed, reply, rule))

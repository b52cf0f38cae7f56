"""Asynchronous SplitFed: a server step per arrival, client-side models averaged as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt

from gapslsim.frameworks.asynchronous import AsynchronousSplitLearning, Boxes
from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.stage import Lost, Process, Stage
from gapslsim.learning.names import CLIENT
from gapslsim.registry import component

if TYPE_CHECKING:
    from gapslsim.learning.operation import SentWeights, SmashedData
    from gapslsim.learning.reply import ServerReply

__all__ = ["AsyncSplitFed"]


@frameworks.register
@component
class AsyncSplitFed(AsynchronousSplitLearning):
    """Asynchronous SplitFed: asynchronous SL whose client-side models are averaged as in FedBuff (arXiv 2106.06639).

    After `every` mini-batches a client sends its client-side weights to the parameter server and gets the common ones.
    The parameter server adds, for every `models` arrivals, 1/models times the sum over them of what each client has
    learned since it last got the common weights, times the weight of its staleness: common updates meanwhile.
    """

    kind: Literal["async_sfl"] = "async_sfl"
    buffer: PositiveInt = 1
    """Mini-batches of one step of the training server."""
    every: PositiveInt = 1
    """Mini-batches of a client between two exchanges of weights."""
    models: PositiveInt = 1
    """Client-side models of one update of the common one."""
    optimizer: Literal["keep", "reset"] = "keep"
    """What becomes of a client's optimizer state when its weights are replaced."""

    def n_buffered(self, n_clients: int) -> int:
        """Mini-batches of one step."""
        return self.buffer

    def _begin(self, w: Stage, boxes: Boxes) -> None:
        w.spawn(self._average(w, boxes))
        super()._begin(w, boxes)

    def _go_on(self, w: Stage, smashed: SmashedData, reply: ServerReply, boxes: Boxes) -> Process[None]:
        client = smashed.batch.client
        yield from w.attempt(self._train(w, smashed, reply))
        if (smashed.batch.step + 1) % self.every == 0:
            sent = yield from w.attempt(self._send_weights(w, client))
            if not isinstance(sent, Lost):
                boxes.models.put((client, sent))
                return  # It goes on once it has the common weights.
        yield from self._next(w, client, boxes)

    def _send_weights(self, w: Stage, client: int) -> Process[SentWeights]:
        weights = w.learner.weights(client)
        return (yield from w.client(client).send(weights, w.parameter_server, "model_uplink"))

    def _average(self, w: Stage, boxes: Boxes) -> Process[None]:
        """The parameter server, in the order of arrival."""
        common, n_updates = w.learner.weights(CLIENT), 0
        got = dict.fromkeys(range(w.n_clients), (common, 0))
        buffer: list[tuple[SentWeights, SentWeights, float]] = []
        while True:
            ((client, sent),) = yield from boxes.models.take()
            start, at_update = got[client]
            buffer.append((sent, start, self.staleness.weight(n_updates - at_update)))
            if len(buffer) == self.models:
                terms = [(common, 1.0)]
                for weights, begun, factor in buffer:
                    terms += [(weights, factor / self.models), (begun, -factor / self.models)]
                common = yield from w.parameter_server.compute(
                    w.learner.combine(terms), on_behalf_of=(client,)
                )
                n_updates += 1
                buffer.clear()
            got[client] = (common, n_updates)
            w.spawn(self._return(w, client, common, boxes))

    def _return(self, w: Stage, client: int, common: SentWeights, boxes: Boxes) -> Process[None]:
        returned = yield from w.attempt(w.parameter_server.send(common, w.client(client), "model_downlink"))
        if not isinstance(returned, Lost):
            w.learner.install(client, returned, self.optimizer)
        yield from self._next(w, client, boxes)

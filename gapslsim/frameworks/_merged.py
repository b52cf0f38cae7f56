"""Asynchronous split learning whose client-side models are merged as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt

from gapslsim.frameworks._mini_batch import train
from gapslsim.frameworks.asynchronous import AsynchronousSplitLearning, Boxes
from gapslsim.frameworks.client_sync import send_model
from gapslsim.frameworks.stage import Lost, Process, Stage
from gapslsim.learning.names import CLIENT
from gapslsim.registry import component

if TYPE_CHECKING:
    from gapslsim.learning.operation import SentWeights, SmashedData
    from gapslsim.learning.reply import ServerReply

__all__ = ["MergedSplitLearning"]

_COMMON = "common"
"""Name of the state of the parameter server."""


def _begun(client: int) -> str:
    """Name of the state with the common weights that a client last got."""
    return f"begun-{client}"


@component
class MergedSplitLearning(AsynchronousSplitLearning):
    """Client-side models are averaged as in FedBuff (arXiv 2106.06639).

    After `every` mini-batches a client sends its client-side weights to the parameter server and gets the common ones.
    The parameter server adds, for every `models` arrivals, 1/models times the sum over them of what each client has
    learned since it last got the common weights, times the weight of its staleness: common updates meanwhile.
    """

    buffer: PositiveInt = 1
    """Mini-batches of one step of the training server."""
    every: PositiveInt = 1
    """Mini-batches of a client between two exchanges of weights."""
    models: PositiveInt = 1
    """Client-side models of one update of the common one."""
    optimizer: Literal["keep", "reset"] = "keep"
    """What becomes of a client's optimizer state when its weights are replaced."""

    @property
    def one_cut_because(self) -> str:
        """The parameter server has one model for all."""
        return "the parameter server holds one client-side model for all clients"

    @property
    def n_buffered(self) -> int:
        """Mini-batches of one step."""
        return self.buffer

    def _begin(self, w: Stage, boxes: Boxes) -> None:
        w.spawn(self._average(w, boxes))
        super()._begin(w, boxes)

    def _go_on(self, w: Stage, smashed: SmashedData, reply: ServerReply, boxes: Boxes) -> Process[None]:
        client = smashed.batch.client
        yield from w.attempt(train(w, smashed, reply, self.client_update))
        if (smashed.batch.step + 1) % self.every == 0:
            sent = yield from w.attempt(send_model(w, client))
            if not isinstance(sent, Lost):
                boxes.models.put((client, sent))
                return  # It goes on once it has the common weights.
        yield from self._next(w, client, boxes)

    def _average(self, w: Stage, boxes: Boxes) -> Process[None]:
        """The parameter server, in the order of arrival.

        What it has and what each client began with are states with names, so that a checkpoint holds them.
        """
        learner = w.learner
        learner.install(_COMMON, learner.weights(CLIENT), "reset")
        n_updates, updates_seen = 0, dict.fromkeys(range(w.n_clients), 0)
        buffer: list[tuple[SentWeights, SentWeights, float]] = []
        while True:
            ((client, sent),) = yield from boxes.models.take()
            weight = self.staleness.weight(n_updates - updates_seen[client])
            buffer.append((sent, learner.weights(_begun(client)), weight / self.models))
            if len(buffer) == self.models:
                terms = [(learner.weights(_COMMON), 1.0)]
                for weights, start, factor in buffer:
                    terms += [(weights, factor), (start, -factor)]
                merged = yield from w.parameter_server.compute(learner.combine(terms), on_behalf_of=(client,))
                learner.install(_COMMON, merged, "reset")
                n_updates += 1
                buffer.clear()
            updates_seen[client] = n_updates
            common = learner.weights(_COMMON)
            learner.install(_begun(client), common, "reset")
            w.spawn(self._return(w, client, common, boxes))

    def _return(self, w: Stage, client: int, common: SentWeights, boxes: Boxes) -> Process[None]:
        returned = yield from w.attempt(w.parameter_server.send(common, w.client(client), "model_downlink"))
        if not isinstance(returned, Lost):
            w.learner.install(client, returned, "keep" if self.optimizer == "keep" else "restart")
        yield from self._next(w, client, boxes)

"""Asynchronous split learning: clients wait for their own answer alone, the server for as many arrivals as it likes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import Field

from gapslsim.frameworks._mini_batch import train, upload
from gapslsim.frameworks.framework import AtOnce, FreeFramework
from gapslsim.frameworks.slots import client_updates, server_updates
from gapslsim.frameworks.stage import Lost, Mailbox, Process, Stage
from gapslsim.frameworks.staleness import Staleness, stalenesses
from gapslsim.learning.rules import ClientUpdate, CutGradient, ServerUpdate, one_cut_because, whole_because
from gapslsim.registry import component

if TYPE_CHECKING:
    from gapslsim.learning.operation import SentWeights, SmashedData
    from gapslsim.learning.reply import ServerReply

__all__ = ["AsynchronousSplitLearning", "Boxes"]

_LOSSES = 1000
"""Mini-batches of one client that are lost in a row before it gives up."""


class Boxes(NamedTuple):
    """Where the servers of one run find what has arrived."""

    smashed: Mailbox[SmashedData]
    models: Mailbox[tuple[int, SentWeights]]
    """Clients with their weights, for frameworks that average them."""


@component
class AsynchronousSplitLearning(FreeFramework):
    """Each client trains mini-batch after mini-batch on its own; the server steps when `n_buffered` have arrived.

    1. Each client: forward pass on its next mini-batch, uplink, and it waits for its answer.
    2. Server, in the order of arrival: what is too stale is dropped. With `n_buffered` others it makes one step, each
       gradient times the weight of its staleness; the mean is over all of them, as in FedBuff, not over the weights.
    3. Each client of the step: downlink of its own cut gradient, unweighted, backward pass, update; then 1.

    Staleness is the number of updates of the server between the forward pass of a mini-batch and the step that takes
    it. (In federated learning it is that of the model a client began with; here the server's part of a gradient is
    always of the newest weights, and only the smashed data are old.) Everybody takes part, as far as it is there.
    """

    staleness: Annotated[Staleness, stalenesses] = Field(default_factory=lambda: stalenesses["polynomial"]())
    """What a stale gradient counts."""
    client_update: Annotated[ClientUpdate, client_updates] = Field(
        default_factory=lambda: client_updates["own"]()
    )
    """What a client does with its gradient."""

    @property
    def server_rule(self) -> ServerUpdate:
        """From the gradients of a step to the server's update; their mean unless a framework says otherwise."""
        return server_updates["mean"]()

    @property
    def n_buffered(self) -> int:
        """How many mini-batches the server waits for."""
        return 1

    def run(self, w: Stage) -> Process[None]:
        """The server; every client goes on beside it."""
        boxes = Boxes(w.mailbox(), w.mailbox())
        self._begin(w, boxes)
        while True:
            smashed: list[SmashedData] = []
            weights: dict[int, float] = {}
            while len(smashed) < self.n_buffered:
                (arrived,) = yield from boxes.smashed.take()
                # It holds until the step: the server does one thing after the other.
                weight = self.staleness.weight(w.learner.staleness(arrived))
                if weight:
                    smashed.append(arrived)
                    weights[arrived.batch.client] = weight
                else:
                    w.learner.note_staleness([arrived], [0.0])
                    w.spawn(self._next(w, arrived.batch.client, boxes))
            w.learner.note_staleness(smashed, weights.values())
            step = w.learner.server_step(smashed, self.server_rule, CutGradient(), weights=weights)
            reply = yield from w.server.compute(step, on_behalf_of=tuple(sorted(weights)))
            for one in smashed:
                w.spawn(self._go_on(w, one, reply, boxes))

    def _begin(self, w: Stage, boxes: Boxes) -> None:
        """Sets every client going, and who else takes part."""
        for client in range(w.n_clients):
            w.spawn(self._next(w, client, boxes))

    def _next(self, w: Stage, client: int, boxes: Boxes) -> Process[None]:
        """A client's next mini-batch as far as the server; what is lost on the way is followed by the next.

        A client of which so many are lost in a row gives up: else a run in which nothing ever arrives had no end.
        """
        for _ in range(_LOSSES):
            smashed = yield from w.attempt(upload(w, client))
            if not isinstance(smashed, Lost):
                boxes.smashed.put(smashed)
                return

    def _go_on(self, w: Stage, smashed: SmashedData, reply: ServerReply, boxes: Boxes) -> Process[None]:
        """The rest of a mini-batch, then the next one; an answer that is lost changes nothing."""
        yield from w.attempt(train(w, smashed, reply, self.client_update))
        yield from self._next(w, smashed.batch.client, boxes)

    def at_once(self, n_clients: int) -> AtOnce:
        """One mini-batch of each client; the buffer."""
        return AtOnce(n_clients, self.n_buffered)

    def optimizer_steps_per_round(
        self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]
    ) -> tuple[float, float]:
        """One of each client; of the server one per buffer."""
        return 1.0, len(batch_sizes) / self.n_buffered

    @property
    def reads_planned_rounds(self) -> bool:
        """As the server's rule does."""
        return self.server_rule.reads_planned_rounds

    @property
    def keeps_client_gradients(self) -> bool:
        """As the server's rule needs; weighing takes each gradient by itself too."""
        return True

    @property
    def whole_gradients(self) -> str:
        """As the server's rule needs."""
        return whole_because(self.server_rule, CutGradient())

    @property
    def one_cut_because(self) -> str:
        """What the server's rule cannot do."""
        return one_cut_because(self.server_rule, CutGradient())

    @property
    def clients_train(self) -> bool:
        """As the client's rule says."""
        return self.client_update.trains

    def problems(self, n_clients: int) -> list[str]:
        """A buffer that can never be full, a choice of participants, or what the rule cannot do."""
        found = super().problems(n_clients)
        n_buffered = self.n_buffered
        if n_buffered > n_clients:
            found.append(
                f"buffer is {n_buffered}, but there are {n_clients} clients, each with one mini-batch under way; write "
                f"{n_clients} or fewer"
            )
        if self.participation.expected_share(n_clients) < 1:
            found.append(f"participation: in {self.kind} every client takes part; leave it out")
        return found or self.server_rule.problems(n_clients, n_buffered)

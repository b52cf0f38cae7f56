"""Vanilla split learning: clients train one after another and hand the client-side model on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt

from gapslsim.frameworks.framework import Framework, frameworks
from gapslsim.frameworks.slots import (
    client_updates,
    cut_gradients,
    server_updates,
)
from gapslsim.registry import component

if TYPE_CHECKING:
    from gapslsim.frameworks.world import World
    from gapslsim.sim.node import Process

__all__ = ["VanillaSplitLearning"]


@frameworks.register
@component
class VanillaSplitLearning(Framework):
    """Vanilla SL: clients in turn, handing the client-side model on (Section IV-A of [lin2026gapsl]).

    A round is one turn of every participant. The last participant of a round hands over to the first of the next.
    """

    kind: Literal["sl"] = "sl"
    local_steps: PositiveInt = 1
    """Mini-batches of a client's turn. The paper does not say; 1 makes a round see as many samples as one of PSL."""
    optimizer: Literal["carry", "keep", "reset"] = "carry"
    """The optimizer state travels with the model (and is paid for), stays with each client, or starts anew."""

    def round(self, w: World) -> Process[None]:
        """One turn of every participant."""
        for client in w.participants:
            yield from self._take_over(w, client)
            for _ in range(self.local_steps):
                yield from self._step(w, client)

    def _take_over(self, w: World, client: int) -> Process[None]:
        holder = w.learner.holder
        if holder is not None and holder != client:
            model = w.learner.handed_model(holder, with_optimizer=self.optimizer == "carry")
            yield from w.client(holder).send(model, w.client(client), "handover")
            w.learner.take_over(client, model, self.optimizer)
        w.learner.holder = client

    def _step(self, w: World, client: int) -> Process[None]:
        node = w.client(client)
        smashed = yield from node.compute(w.learner.client_forward(client))
        yield from node.send(smashed, w.server, "uplink")
        step = w.learner.server_step({client: smashed}, server_updates["mean"](), cut_gradients["own"]())
        reply = yield from w.server.compute(step, on_behalf_of=(client,))
        yield from w.server.send(reply.own[client], node, "downlink")
        yield from node.compute(w.learner.client_backward(client, reply, client_updates["own"]()))

    @property
    def reads_planned_rounds(self) -> bool:
        """No."""
        return False

    def samples_per_round(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> float:
        """A turn's mini-batches of each participant."""
        return self.local_steps * self.participation.expected_share(len(batch_sizes)) * sum(batch_sizes)

    def optimizer_steps_per_round(
        self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]
    ) -> tuple[float, float]:
        """Those of all turns, for the server and for a model that carries its optimizer; else those of a client."""
        share = self.participation.expected_share(len(batch_sizes))
        all_turns = self.local_steps * share * len(batch_sizes)
        return all_turns if self.optimizer == "carry" else self.local_steps * share, all_turns

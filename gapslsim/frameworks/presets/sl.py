"""Vanilla split learning: clients train one after another and hand the client-side model on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import PositiveInt

from gapslsim.frameworks.framework import Framework, frameworks
from gapslsim.frameworks.slots import client_updates, server_updates
from gapslsim.frameworks.stage import Process, Stage
from gapslsim.learning.names import CLIENT
from gapslsim.learning.rules import CutGradient
from gapslsim.registry import component

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

    def run(self, w: Stage) -> Process[None]:
        """Turn after turn: whoever has the model hands it to the next."""
        holder: int | None = None
        met: set[int] = set()
        for _round in w.rounds(self):
            for client in w.participants:
                if holder is not None and holder != client:
                    yield from self._hand_over(w, holder, client, is_new=client not in met)
                holder = client
                met.add(client)
                for _ in range(self.local_steps):
                    yield from self._step(w, client)

    def _hand_over(self, w: Stage, holder: int, client: int, is_new: bool) -> Process[None]:
        """Sends the model on, and puts it together with the optimizer that it meets there."""
        model = w.learner.weights(CLIENT, optimizer=self.optimizer == "carry")
        yield from w.client(holder).send(model, w.client(client), "handover")
        if self.optimizer == "carry":
            return
        w.learner.install(_kept(holder), model, "keep", of=CLIENT)
        if self.optimizer == "keep" and not is_new:
            w.learner.install(CLIENT, model, "keep", of=_kept(client))
        else:
            w.learner.install(CLIENT, model, "reset")

    def _step(self, w: Stage, client: int) -> Process[None]:
        node = w.client(client)
        smashed = yield from node.compute(w.learner.client_forward(client, model=CLIENT))
        yield from node.send(smashed, w.server, "uplink")
        step = w.learner.server_step([smashed], server_updates["mean"](), CutGradient())
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


def _kept(client: int) -> str:
    """Name of the state in which a client's optimizer waits until the model comes back."""
    return f"kept-{client}"

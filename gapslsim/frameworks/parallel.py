"""Parallel split learning as one protocol with rules in its slots; PSL, SFL, EPSL and GAPSL are settings of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from gapslsim.frameworks._mini_batch import Returned, returned, upload
from gapslsim.frameworks.client_sync import ClientSync, client_syncs
from gapslsim.frameworks.framework import Framework
from gapslsim.frameworks.slots import client_updates, server_updates
from gapslsim.frameworks.stage import Activity, Process, Stage
from gapslsim.learning.rules import ClientUpdate, CutGradient, ServerUpdate, whole_because
from gapslsim.registry import component

if TYPE_CHECKING:
    from gapslsim.learning.operation import SmashedData
    from gapslsim.learning.reply import ServerReply

__all__ = ["ParallelSplitLearning"]


@component
class ParallelSplitLearning(Framework):
    """One round for all participants side by side (Section II of [lin2026gapsl]).

    1. Each client: forward pass on a mini-batch, uplink of smashed data and labels.
    2. Server, when all have arrived that `lateness` waits for: forward and backward per client, the rule, one update.
       Where it serves on arrival (`clock.server`), a client's passes are made when its smashed data are there.
    3. Each client: downlink of its cut gradient, backward pass, update. Then the clients may synchronise.
    """

    client_update: Annotated[ClientUpdate, client_updates] = Field(
        default_factory=lambda: client_updates["own"]()
    )
    """What a client does with its gradient."""
    client_sync: Annotated[ClientSync, client_syncs] = Field(default_factory=lambda: client_syncs["never"]())
    """Whether and when the client-side models are averaged."""

    @property
    def server_rule(self) -> ServerUpdate:
        """From the clients' gradients to the server's update; the mean unless a framework says otherwise."""
        return server_updates["mean"]()

    @property
    def cut_rule(self) -> CutGradient:
        """Which gradient at the cut layer a client gets; its own unless a framework says otherwise."""
        return CutGradient()

    def round(self, w: Stage) -> Process[None]:
        """One training round."""
        smashed = yield from w.gather("upload", {c: self._upload(w, c) for c in w.participants})
        if smashed:
            step = w.learner.server_step(smashed, self.server_rule, self.cut_rule)
            reply = yield from w.server.compute(step, on_behalf_of=tuple(smashed))
            through = returned(w, reply)
            if self.client_update.trains_in(w.round, w.epoch):
                yield from self._download(w, reply, through)
            for end in through.values():
                yield from end
        yield from self.client_sync.run(w)

    def _upload(self, w: Stage, client: int) -> Process[SmashedData]:
        smashed = yield from upload(w, client)
        if w.learner.serves_on_arrival:
            arrived = w.learner.server_pass(smashed, self.server_rule, self.cut_rule)
            yield from w.server.compute(arrived, on_behalf_of=(client,))
        return smashed

    def _download(
        self, w: Stage, reply: ServerReply, through: Mapping[int, Activity[Returned]]
    ) -> Process[None]:
        """Broadcasts what all clients share, sends each its own part; each goes on when it has both."""
        clients = [answer.batch.client for answer in reply.answers]
        shared: Sequence[Activity[Any] | None] = [None] * len(clients)
        if reply.shared is not None:
            shared = w.server.broadcast(reply.shared, w.clients(clients), "downlink")
        training = {
            c: self._train_client(w, c, through.get(c) or Returned(w.server, reply), arrival)
            for c, arrival in zip(clients, shared, strict=True)
        }
        yield from w.gather("train", training, keep=False)

    def _train_client(
        self, w: Stage, client: int, back: Activity[Returned] | Returned, arrival: Activity[Any] | None
    ) -> Process[None]:
        node = w.client(client)
        if arrival is not None:
            yield from arrival
        sender, reply = back if isinstance(back, Returned) else (yield from back)
        if client in reply.own:
            yield from sender.send(reply.own[client], node, "downlink")
        yield from node.compute(w.learner.client_backward(client, reply, self.client_update))

    def samples_per_round(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> float:
        """One mini-batch of each participant."""
        return self.participation.expected_share(len(batch_sizes)) * sum(batch_sizes)

    def optimizer_steps_per_round(
        self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]
    ) -> tuple[float, float]:
        """One of the server, one of each participant."""
        return self.participation.expected_share(len(batch_sizes)), 1.0

    def problems(self, n_clients: int) -> list[str]:
        """What the participation or the server's rule cannot do."""
        found = super().problems(n_clients)
        if found:
            return found
        n_at_once = round(n_clients * self.participation.expected_share(n_clients))
        return self.server_rule.problems(n_clients, n_at_once)

    @property
    def two_parts_because(self) -> str:
        """Where somebody needs what is neither sent to stations nor known to them."""
        if self.cut_rule.shared_fraction or self.cut_rule.average:
            return "cut gradients are shared by broadcast (phi, average), which stations do not pass on"
        if self.server_rule.second_order:
            return "its rule differentiates the server's gradients again, whose loss lies elsewhere (gradient: exact)"
        if getattr(self.lateness, "late", "dropped") == "used_next":
            return "what comes late is used in the next round (late: used_next), when stations have moved on"
        return ""

    @property
    def reads_planned_rounds(self) -> bool:
        """As the server's rule does."""
        return self.server_rule.reads_planned_rounds

    @property
    def keeps_client_gradients(self) -> bool:
        """As the server's rule needs."""
        return self.server_rule.needs_client_gradients

    @property
    def whole_gradients(self) -> str:
        """As the server's rule needs."""
        return whole_because(self.server_rule, self.cut_rule)

    @property
    def clients_train(self) -> bool:
        """As the client's rule says."""
        return self.client_update.trains

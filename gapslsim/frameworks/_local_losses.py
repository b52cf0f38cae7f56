"""Clients that train on a loss of their own, with an auxiliary network behind their part: no gradient comes down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, PositiveInt

from gapslsim.frameworks.client_sync import ClientSync, client_syncs
from gapslsim.frameworks.framework import AtOnce, Framework
from gapslsim.frameworks.rules.client_sync.average import Average
from gapslsim.frameworks.rules.server_schedule.copies import CopiesSchedule
from gapslsim.frameworks.rules.server_schedule.sequential import SequentialSchedule
from gapslsim.frameworks.server_schedule import ServerSchedule, server_schedules
from gapslsim.frameworks.slots import client_updates, server_updates
from gapslsim.frameworks.stage import Activity, Process, Stage
from gapslsim.learning.auxiliary import Auxiliary
from gapslsim.learning.rules import CutGradient
from gapslsim.registry import component

if TYPE_CHECKING:
    from gapslsim.learning.operation import SmashedData

__all__ = ["Kept", "LocalLosses"]

Kept = dict[int, "list[SmashedData]"]
"""Smashed data by client, the oldest first."""


@component
class LocalLosses(Framework):
    """Local steps of all participants side by side, smashed data up now and then, no gradient down.

    1. Each client: forward pass on a mini-batch; if it is due, smashed data and labels go up while it trains on; local
       loss through its auxiliary network, backward pass, update of its part.
    2. Server: forward, backward and a step on what arrives, when it arrives; it answers nothing.
    3. When all have made their mini-batches and the server has stepped on what was sent, client-side models are
       averaged.

    A round is a local epoch of each participant, or one mini-batch where `client_sync` counts rounds.
    """

    auxiliary: Auxiliary = Field(default_factory=Auxiliary)
    """The network with which clients take their loss."""
    upload_every: PositiveInt = 1
    """h: of so many mini-batches of a client the first one is sent; counted anew in each local epoch."""
    client_sync: Annotated[ClientSync, client_syncs] = Field(
        default_factory=lambda: Average(every="epoch", weights="samples")
    )
    """When client-side models, and auxiliary networks, are averaged by the parameter server."""
    server_schedule: Annotated[ServerSchedule, server_schedules] = Field(default_factory=SequentialSchedule)
    """`sequential`: one model, stepped on in the order of arrival; `copies`: one for each client."""

    def run(self, w: Stage) -> Process[None]:
        """Round after round: local steps, what they have sent, averages."""
        kept: Kept = {}
        for _ in w.rounds(self):
            yield from w.gather("train", {c: self._train(w, c, kept) for c in w.participants}, keep=False)
            yield from self.server_schedule.end_round(w)
            yield from self.client_sync.run(w)

    def _train(self, w: Stage, client: int, kept: Kept) -> Process[None]:
        """A client's mini-batches of a round; ends when the server has stepped on what was sent of them."""
        node = w.client(client)
        sent: list[Activity[None]] = []
        first = 0 if self._per_epoch else w.learner.states.n_begun(client)
        for place in range(first, first + (w.learner.steps_per_epoch(client) if self._per_epoch else 1)):
            smashed = yield from node.compute(w.learner.client_forward(client))
            if place % self.upload_every == 0:
                sent.append(w.spawn(self._serve(w, smashed)))
                yield from self._sent(w, smashed, sent[-1], place == first, kept)
            reply = yield from node.compute(w.learner.auxiliary_step(smashed, self.trains_auxiliary))
            yield from node.compute(w.learner.client_backward(smashed, reply, client_updates["own"]()))
        for step in sent:
            yield from step

    def _serve(self, w: Stage, smashed: SmashedData) -> Process[None]:
        """Smashed data go up, and the server steps on them."""
        client = smashed.batch.client
        arrived = yield from w.client(client).send(smashed, w.server, "uplink")
        model = self.server_schedule.model(client)
        step = w.learner.server_step(
            [arrived], server_updates["mean"](), CutGradient(), model=model, answers=False
        )
        yield from w.server.compute(step, on_behalf_of=(client,))

    def _sent(
        self, w: Stage, smashed: SmashedData, step: Activity[None], is_first: bool, kept: Kept
    ) -> Process[None]:
        """What a client waits for when smashed data are on their way: nothing.

        Args:
            w: the stage.
            smashed: what was sent.
            step: ends when the server has stepped on it.
            is_first: whether it is of the first mini-batch of a round.
            kept: what the server keeps of each client from round to round.
        """
        yield from ()

    @property
    def trains_auxiliary(self) -> bool:
        """Whether the auxiliary network takes a step with each local loss."""
        return True

    @property
    def _per_epoch(self) -> bool:
        return self.client_sync.per_epoch or self.server_schedule.per_epoch

    @property
    def trains_by_the_clock(self) -> bool:
        """As lateness and the server's schedule say."""
        return super().trains_by_the_clock or self.server_schedule.trains_by_the_clock

    @property
    def reads_planned_rounds(self) -> bool:
        """No."""
        return False

    @property
    def one_cut_because(self) -> str:
        """Auxiliary networks are behind the cut."""
        return "clients have auxiliary networks of one shape, which are averaged"

    def _n_batches(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> list[int]:
        if not self._per_epoch:
            return [1] * len(batch_sizes)
        return [math.ceil(n / b) for b, n in zip(batch_sizes, shard_sizes, strict=True)]

    def samples_per_round(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> float:
        """The mini-batches of local training."""
        n_batches = self._n_batches(batch_sizes, shard_sizes)
        share = self.participation.expected_share(len(batch_sizes))
        return share * sum(b * n for b, n in zip(batch_sizes, n_batches, strict=True))

    def optimizer_steps_per_round(
        self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]
    ) -> tuple[float, float]:
        """Of a client's model its mini-batches, as the mean over clients; of the server's those that are sent."""
        n_batches = self._n_batches(batch_sizes, shard_sizes)
        share, h = self.participation.expected_share(len(n_batches)), self.upload_every
        sent = [math.ceil(n / h) if self._per_epoch else n / h for n in n_batches]
        n_copies = self.server_schedule.n_copies(len(n_batches))
        return share * sum(n_batches) / len(n_batches), share * sum(sent) / n_copies

    def at_once(self, n_clients: int) -> AtOnce:
        """One mini-batch of each participant; the server takes them one by one."""
        return super().at_once(n_clients)._replace(served=1, copies=self.server_schedule.n_copies(n_clients))

    def problems(self, n_clients: int) -> list[str]:
        """A schedule with a barrier, where no client waits for the server."""
        schedule = self.server_schedule
        if isinstance(schedule, CopiesSchedule) or (
            isinstance(schedule, SequentialSchedule) and schedule.order == "arrival"
        ):
            return super().problems(n_clients)
        return [
            f"server_schedule: in {self.kind} no client waits for the server, which steps on what arrives; write "
            "sequential (order: arrival) or copies"
        ]

"""SCALA: one pass over concatenated activations, with logits adjusted by label frequencies on both sides."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from gapslsim.frameworks._global_batches import allot_some
from gapslsim.frameworks.client_sync import ClientSync, client_syncs
from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.frameworks.rules.client_sync.average import Average
from gapslsim.frameworks.rules.server_schedule.joined import JoinedSchedule
from gapslsim.frameworks.server_schedule import ServerSchedule, server_schedules
from gapslsim.frameworks.stage import Stage
from gapslsim.learning.logit_adjustment import LogitAdjustment
from gapslsim.learning.rules import CutGradient
from gapslsim.registry import component

__all__ = ["Scala"]


@frameworks.register
@component
class Scala(ParallelSplitLearning):
    """SCALA (Yang, Liu, arXiv 2405.04875): concatenated activations, and losses on adjusted logits f_y + tau log P(y).

    A step takes B samples, divided among its clients in proportion to their data (largest remainders, one sample at
    least each, never more than a client has: a B above the data of all is all of it). The server passes them forward at
    once and backward twice: its own step is on the loss with the P of the step, what goes back to a client is of that
    client's loss with the P of its shard. After `local_steps` the client-side models are averaged by their data. The
    losses of the run are the server's, adjusted; models are judged by their outputs as they are.

    Of the source the abstract and introduction were at hand. Readings: cut gradients are of a client's mean loss
    (`cut_scale: mean` weighs them by B_k / B); where layers mix samples, of all clients' losses over its share; a class
    that a P has no sample of leaves the softmax. Under partial participation the mean goes to those who were averaged,
    as in `sfl`. The few numbers that tell a client its size, and the server its labels' frequencies, are not counted.
    """

    serves_kept: ClassVar[bool] = False
    kind: Literal["scala"] = "scala"
    tau: Annotated[float, Field(ge=0, le=10)] = 1.0
    """Factor of log P, 1 in the source; 0 leaves logits as they are, and there is one backward pass."""
    server_prior: Literal["shards", "batch"] = "shards"
    """What labels the P of a step counts: of its clients' training samples, or of its samples. A client's own P always
    counts its training samples."""
    smoothing: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Samples that each class has besides in every P; with 0, as the source has it, a class may have none."""
    global_batch: PositiveInt | None = None
    """B, samples in a step; as many as the batches of the step's clients have together unless given."""
    local_steps: Annotated[int, Field(ge=1, le=10_000)] = 1
    """I, steps of a round, all by the same clients."""
    client_sync: Annotated[ClientSync, client_syncs] = Field(
        default_factory=lambda: Average(weights="samples")
    )
    """When the client-side models are averaged by the parameter server: after each round, by samples."""
    server_schedule: Annotated[ServerSchedule, server_schedules] = Field(default_factory=JoinedSchedule)
    """How the server steps: on one pass over all samples, and in no other way."""

    @property
    def cut_rule(self) -> CutGradient:
        """Of each client's own adjusted loss."""
        made = LogitAdjustment(self.tau, self.server_prior, self.smoothing) if self.tau else None
        return CutGradient(scale=self.cut_scale, adjustment=made)

    def _batch_sizes(self, w: Stage, clients: Collection[int]) -> Mapping[int, int | None]:
        """In proportion to the clients' data; the same whenever the same clients take part."""
        setup = w.learner.setup
        shards = [len(setup.shards[client]) for client in clients]
        n = self.global_batch or sum(map(setup.batches.size, clients))
        # A round may have more clients than it wants.
        n = max(len(shards), min(n, sum(shards)))
        return dict(zip(clients, allot_some(n, shards), strict=True)) if shards else {}

    def _mini_batches(self, w: Stage, client: int) -> int:
        """Of a client in a round."""
        return self.local_steps

    def _n_batches(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> list[int]:
        """Mini-batches of each client in a round."""
        return [self.local_steps] * len(batch_sizes)

    def samples_per_round(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> float:
        """I times B, or all data of the participants if that is less."""
        if self.global_batch is None:
            return super().samples_per_round(batch_sizes, shard_sizes)
        there = self.participation.expected_share(len(shard_sizes)) * sum(shard_sizes)
        return self.local_steps * min(float(self.global_batch), there)

    def largest_batches(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> tuple[int, int]:
        """That of a client beside those with the least data, where as many are there as a round wants; the mean."""
        n = self.at_once(len(shard_sizes)).served
        most = self.global_batch or sum(sorted(batch_sizes)[-n:])
        largest = 1
        for place, own in enumerate(shard_sizes):
            others = sorted([*shard_sizes[:place], *shard_sizes[place + 1 :]])[: n - 1]
            largest = max(largest, min(own, -(-most * own // (own + sum(others)))))
        return largest, min(largest, -(-most // n))

    @property
    def draws_batch_sizes(self) -> bool:
        """They are the method's, down to one sample."""
        return True

    def problems(self, n_clients: int) -> list[str]:
        """What counts a client's own mini-batches, other schedules, fewer samples than clients."""
        found = super().problems(n_clients)
        if self.client_sync.per_epoch:
            found.append(
                "client_sync: every: epoch counts mini-batches of the scenario's size; write local_steps"
            )
        if not self.server_schedule.joins_samples:
            found.append(f"server_schedule: {self.server_schedule.kind} concatenates nothing; write joined")
        if not found and self.global_batch and self.global_batch < (n := self.at_once(n_clients).served):
            found.append(
                f"global_batch: {self.global_batch} is no sample for each of {n} clients; write {n} or more"
            )
        return found

"""Parallel split learning with global sampling: one global mini-batch of a fixed size, drawn from the data of all."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from gapslsim.frameworks._global_batches import compose, share_without
from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.frameworks.rules.server_schedule.joined import JoinedSchedule
from gapslsim.frameworks.server_schedule import ServerSchedule, server_schedules
from gapslsim.frameworks.stage import Stage
from gapslsim.registry import component

__all__ = ["Gpsl"]


@frameworks.register
@component
class Gpsl(ParallelSplitLearning):
    """GPSL (Kohankhaki et al., arXiv 2407.15738): the server draws how many samples each client takes.

    In each step the sizes B_k sum to B. They are drawn from the samples that clients have left of the epoch, so that
    the global mini-batch is a uniform sample without replacement of all data; the samples themselves are drawn on the
    clients. An epoch is one pass over all data, and no client has a sample twice before all have all once. The server
    makes one pass over the joined mini-batches. The source's fixed local batches are `psl` with
    `server_schedule: joined`.

    Of the source its abstract was at hand. Readings: B goes on into the next epoch where too little is left, so that no
    step is short; cut gradients are of a client's own loss (`cut_scale: mean` weighs them by B_k / B); client-side
    models are not averaged unless `client_sync` says so. The few bytes that tell a client its size are not counted.
    """

    serves_kept: ClassVar[bool] = False
    kind: Literal["gpsl"] = "gpsl"
    global_batch: PositiveInt | None = None
    """B, samples in a step of the server; as many as the batches of the step's clients have together unless given."""
    draw: Literal["hypergeometric", "proportional"] = "hypergeometric"
    """How B is divided: as a uniform draw without replacement falls out, or in proportion to the samples that are left,
    by largest remainders and without chance."""
    server_schedule: Annotated[ServerSchedule, server_schedules] = Field(default_factory=JoinedSchedule)
    """How the server steps: on one pass over all samples; `mean` weighs clients alike, whatever their size."""

    def _batch_sizes(self, w: Stage, clients: Collection[int]) -> Mapping[int, int | None]:
        """Drawn anew in each step."""
        if not clients:
            return {}
        setup, taken = w.learner.setup, w.learner.states.taken
        own = self.global_batch or sum(map(setup.batches.size, clients))
        random = None if self.draw == "proportional" else lambda: w.random("global_batch")
        sizes = compose(own, [len(setup.shards[c]) for c in clients], list(map(taken, clients)), random)
        return dict(zip(clients, sizes, strict=True))

    def samples_per_round(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> float:
        """B."""
        return self.global_batch or super().samples_per_round(batch_sizes, shard_sizes)

    def optimizer_steps_per_round(
        self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]
    ) -> tuple[float, float]:
        """Of a client's model the share of steps in which it has samples, as the mean over clients."""
        share = self.participation.expected_share(len(shard_sizes))
        n_all, n = round(share * sum(shard_sizes)), round(self.samples_per_round(batch_sizes, shard_sizes))
        without = [share_without(n, min(own, n_all), n_all) for own in shard_sizes]
        return share * (1 - sum(without) / len(without)), 1.0

    def largest_batches(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> tuple[int, int]:
        """All of B may be one client's; in a step they are B together."""
        n = math.ceil(self.samples_per_round(batch_sizes, shard_sizes))
        n_epochs = n // sum(shard_sizes) + 2
        return min(n, n_epochs * max(shard_sizes)), math.ceil(n / self.n_wanted(len(batch_sizes)))

    @property
    def draws_batch_sizes(self) -> bool:
        """Yes."""
        return True

    def problems(self, n_clients: int) -> list[str]:
        """What counts mini-batches of clients, or steps for each."""
        found = super().problems(n_clients)
        if self._per_epoch:
            found.append(
                "client_sync: every: epoch counts the mini-batches of each client, whose sizes gpsl draws; write a "
                "number of rounds"
            )
        if self.server_schedule.steps_for_each or self.server_schedule.trains_first:
            found.append(
                f"server_schedule: {self.server_schedule.kind} steps on other mini-batches than the global one; write "
                "joined, mean or sum"
            )
        return found

"""Parallel split learning whose server says who takes part with how many samples, from what it saw of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from gapslsim.frameworks._regulation import mixed_choice, regulated
from gapslsim.frameworks.client_sync import send_model
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.frameworks.rules.client_sync.never import Never
from gapslsim.frameworks.rules.server_schedule.joined import JoinedSchedule
from gapslsim.frameworks.server_schedule import ServerSchedule, server_schedules
from gapslsim.frameworks.stage import Process, Stage
from gapslsim.learning.names import CLIENT
from gapslsim.registry import component

if TYPE_CHECKING:
    from gapslsim.learning.operation import SentWeights, SmashedData
    from gapslsim.learning.setup import LearningSetup

__all__ = ["RegulatedSplitLearning", "Regulator"]

_Seconds = Annotated[
    tuple[Annotated[float, Field(gt=0, lt=1e9)], ...], Field(min_length=1, max_length=1_000_000)
]


@component
class RegulatedSplitLearning(ParallelSplitLearning):
    """The newest client-side model goes to who takes part, and is then the mean of theirs, weighted by samples."""

    serves_kept: ClassVar[bool] = False
    choice: Literal["mixed", "participation"] = "mixed"
    """Who takes part: workers that are chosen as above, or those that `participation` draws."""
    patience: Annotated[float, Field(ge=1, le=1e6)] = 2.0
    """Who is there waits for about so many times n/k rounds at most, what a turn of the n there by k takes; without a
    bound some would never come."""
    seconds_per_sample: Literal["observed"] | _Seconds = "observed"
    """Time of a sample on each client and its way [s]: a number for each, or what the server sees on the clock, which
    then decides what is trained. Before anything is seen, sizes are alike. Who is dropped as late took so long at
    least, and gets less."""
    memory: Annotated[float, Field(ge=0, lt=1)] = 0.8
    """Weight of what was seen before in the moving average of what is seen."""
    global_batch: PositiveInt | None = None
    """B, samples in a step of the server; as many as the batches of the step's clients have together unless given. Less
    where those who take part hold less."""
    most: Annotated[float, Field(ge=1, le=1000)] = 4.0
    """A mini-batch has at most so many times the samples of the client's own batch size, and as many as it holds."""
    local_steps: PositiveInt = 1
    """Steps of a round, all by the same clients and sizes."""
    optimizer: Literal["keep", "reset"] = "keep"
    """What becomes of a client's optimizer state (momentum) when it gets the newest model."""
    server_schedule: Annotated[ServerSchedule, server_schedules] = Field(default_factory=JoinedSchedule)
    """How the server steps: on one pass over all samples."""

    def run(self, w: Stage) -> Process[None]:
        """Round after round, with what the server remembers of its workers."""
        regulator = Regulator(w.learner.setup, self)
        for _ in w.rounds(regulator):
            newest = w.learner.weights(CLIENT)
            there = yield from w.gather(
                "receive", {c: self._receive(w, c, newest) for c in w.participants}, keep=False
            )
            sizes = regulator.sizes(there)
            for _ in range(self.local_steps if sizes else 0):
                yield from self._step(w, {c: self._timed(w, c, n, regulator) for c, n in sizes.items()})
            yield from self._average(w, sizes)

    def _timed(self, w: Stage, client: int, size: int, regulator: Regulator) -> Process[SmashedData]:
        began_s, smashed = w.now_s, None
        try:
            smashed = yield from self._upload_some(w, client, size)
        finally:
            # Of who is dropped the server knows that a sample took it so long at least.
            regulator.saw(client, (w.now_s - began_s) / size, came=smashed is not None)
        return smashed

    def _average(self, w: Stage, sizes: Mapping[int, int]) -> Process[None]:
        """Makes the newest model; then all have it, for evaluations."""
        sent = yield from w.gather("average", {c: send_model(w, c) for c in sizes}, keep=False)
        if sent:
            total = sum(sizes[client] for client in sent)
            mean = w.learner.combine([(model, sizes[client] / total) for client, model in sent.items()])
            averaged = yield from w.parameter_server.compute(mean, on_behalf_of=tuple(sent))
            w.learner.install(CLIENT, averaged, "reset")
        for client in range(w.n_clients):
            self._install(w, client, w.learner.weights(CLIENT))

    def _receive(self, w: Stage, client: int, newest: SentWeights) -> Process[None]:
        yield from w.parameter_server.send(newest, w.client(client), "model_downlink")
        self._install(w, client, newest)

    def _install(self, w: Stage, client: int, newest: SentWeights) -> None:
        w.learner.install(client, newest, "keep" if self.optimizer == "keep" else "restart")

    def cap(self, batch_size: int, shard_size: int) -> int:
        """Most samples in a mini-batch of a client with so many in its own, and so many in all."""
        return min(shard_size, math.ceil(self.most * batch_size - 1e-9))

    def misfits(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> list[str]:
        """B above what any clients of a step may take."""
        n = self.n_wanted(len(shard_sizes))
        most = sum(sorted(map(self.cap, map(min, batch_sizes, shard_sizes), shard_sizes))[-n:])
        if self.global_batch is None or self.global_batch <= most:
            return []
        return [
            f"global_batch: {self.global_batch}, but {n} clients take {most} samples in a step at most (most: "
            f"{self.most:g} times their own batch size, and what they hold); write {most} or less, or raise most"
        ]

    def _n_batches(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> list[int]:
        """Mini-batches of each client in a round."""
        return [self.local_steps] * len(batch_sizes)

    def samples_per_round(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> float:
        """`local_steps` times B, or what its workers may take if that is less."""
        share = self.participation.expected_share(len(shard_sizes))
        most = share * sum(map(self.cap, batch_sizes, shard_sizes))
        return self.local_steps * min(self.global_batch or share * sum(batch_sizes), most)

    def largest_batches(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> tuple[int, int]:
        """What is left where all others have one sample, up to the largest cap; the mean."""
        n = math.ceil(self.samples_per_round(batch_sizes, shard_sizes) / self.local_steps)
        wanted = self.n_wanted(len(shard_sizes))
        most = max(map(self.cap, batch_sizes, shard_sizes))
        return max(1, min(n - wanted + 1, most)), math.ceil(n / wanted)

    @property
    def draws_batch_sizes(self) -> bool:
        """Yes: down to one sample."""
        return True

    @property
    def needs_classes(self) -> bool:
        """For the choice by labels."""
        return self.choice == "mixed"

    @property
    def trains_by_the_clock(self) -> bool:
        """Where sizes are of what the server saw."""
        return self.seconds_per_sample == "observed" or super().trains_by_the_clock

    def problems(self, n_clients: int) -> list[str]:
        """What has no meaning beside one newest model, and numbers that do not fit the fleet."""
        found = super().problems(n_clients)
        if not self.server_schedule.joins_samples:
            found.append(f"server_schedule: {self.kind} merges features into one pass; write joined")
        if not isinstance(self.client_sync, Never):
            found.append(f"client_sync: {self.kind} averages by itself, after local_steps; leave it out")
        if getattr(self.lateness, "late", "dropped") == "used_next":
            found.append(
                "lateness.late: who is late would train a model that is not the newest; write dropped"
            )
        given = self.seconds_per_sample
        if given != "observed" and len(given) != n_clients:
            found.append(
                f"seconds_per_sample: {len(given)} numbers for {n_clients} clients; write one for each"
            )
        if not found and self.global_batch and self.global_batch < (n := self.n_wanted(n_clients)):
            found.append(
                f"global_batch: {self.global_batch} is no sample for each of {n} clients; write {n} or more"
            )
        return found


class Regulator:
    """What a server remembers of its workers in one run: how long a sample took them, and how often they came.

    Args:
        setup: of the training, for the clients' labels.
        framework: the settings.
    """

    def __init__(self, setup: LearningSetup, framework: RegulatedSplitLearning) -> None:
        self._framework, self._setup = framework, setup
        given = framework.seconds_per_sample
        self._seconds: dict[int, float] = {} if given == "observed" else dict(enumerate(given))
        self._at_least: dict[int, float] = {}
        self._waited = Counter[int]()

    def participants(self, w: Stage) -> tuple[int, ...]:
        """As many of those who are there as the participation asks for, ascending; who they are is chosen."""
        chosen, there = self._framework.participants(w), w.candidates
        k = len(chosen)
        if self._framework.choice == "mixed" and k < len(there):
            # Whoever has waited for long comes, whatever its labels.
            limit = self._framework.patience * len(there) / k
            overdue = sorted((c for c in there if self._waited[c] >= limit), key=lambda c: -self._waited[c])[
                :k
            ]
            order = [*overdue, *(c for c in there if c not in set(overdue))]
            weights = 1 / np.array(self.seconds(order))
            rows = mixed_choice(k, self._labels[order], weights, self._wanted, n_fixed=len(overdue))
            chosen = tuple(sorted(order[row] for row in rows))
        self._waited.update(there)
        for client in chosen:
            del self._waited[client]
        return chosen

    def n_wanted(self, n_clients: int) -> int:
        """See `Framework.n_wanted`."""
        return self._framework.n_wanted(n_clients)

    def seconds(self, clients: Collection[int]) -> list[float]:
        """What a sample takes each; as long as the mean of the others where that is not known yet.

        Longer where a client was dropped after more than that, until it comes.
        """
        known = [self._seconds[client] for client in clients if client in self._seconds]
        if not known:
            return [1.0] * len(clients)
        mean = sum(known) / len(known)
        return [max(self._seconds.get(client, mean), self._at_least.get(client, 0.0)) for client in clients]

    def sizes(self, clients: Collection[int]) -> dict[int, int]:
        """Samples of each in every step of a round."""
        batches = self._setup.batches
        n = self._framework.global_batch or sum(batches.size(client) for client in clients)
        caps = [self._framework.cap(batches.size(c), len(self._setup.shards[c])) for c in clients]
        return dict(zip(clients, regulated(max(n, len(caps)), self.seconds(clients), caps), strict=True))

    def saw(self, client: int, seconds: float, came: bool = True) -> None:
        """A sample took a client so long, from the beginning of its forward pass to its arrival.

        Args:
            client: whose.
            seconds: of a sample.
            came: whether it arrived; else it was given up after so long.
        """
        if self._framework.seconds_per_sample != "observed":
            return
        if not came:
            self._at_least[client] = max(seconds, self._at_least.get(client, 0.0))
            return
        self._at_least.pop(client, None)
        kept = self._framework.memory if client in self._seconds else 0.0
        self._seconds[client] = kept * self._seconds.get(client, 0.0) + (1 - kept) * max(seconds, 1e-12)

    @cached_property
    def _labels(self) -> NDArray[np.float64]:
        data = self._setup.data
        n = data.n_classes
        counts = [np.bincount(data.train.labels[shard], minlength=n) for shard in self._setup.shards]
        return np.stack([own / own.sum() for own in counts])

    @cached_property
    def _wanted(self) -> NDArray[np.float64]:
        counts = self._labels * np.array([len(shard) for shard in self._setup.shards])[:, None]
        return np.asarray(counts.sum(0) / counts.sum())

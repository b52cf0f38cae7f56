"""Cluster-based parallel split learning: clients side by side within a cluster, clusters one after another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import PositiveInt

from gapslsim.frameworks._clusters import Clusters, Made, problems_of, turns_of
from gapslsim.frameworks.client_sync import send_model
from gapslsim.frameworks.framework import AtOnce, frameworks
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.frameworks.rules.client_sync.never import Never
from gapslsim.frameworks.stage import Process, Stage
from gapslsim.learning.names import CLIENT
from gapslsim.registry import component

if TYPE_CHECKING:
    from gapslsim.learning.operation import SentWeights

__all__ = ["Cpsl"]


@frameworks.register
@component
class Cpsl(ParallelSplitLearning):
    """CPSL (Wu et al., arXiv 2204.08119): first parallel within a cluster, then sequential over the clusters.

    A round is a turn of each cluster: its clients get the newest client-side model (downlink), train side by side for
    `local_steps` mini-batches, and send their models to the parameter server, whose mean is the newest. Evaluations see
    the newest on every client, as with `sl`. One cluster of all is `sfl`; clusters of one train as `sl`, whose model
    goes from hand to hand instead. Not taken: the source's choice of cut, clusters (Gibbs sampling) and spectrum; they
    are settings. Of the source its abstract was at hand: weights by samples, a download in the first turn are readings.
    """

    serves_kept: ClassVar[bool] = False
    kind: Literal["cpsl"] = "cpsl"
    clusters: Clusters = 2
    """How many, of sizes that differ by one at most; or which clients are in each, in the order of their turns."""
    made: Made = "blocks"
    """Of how many are wanted: neighbours in the fleet (`blocks`; groups of one device stand together there), every n-th
    client (`spread`), or drawn anew in each round (`random`)."""
    local_steps: PositiveInt | Literal["epoch"] = 1
    """Mini-batches of each client in its cluster's turn; `epoch` is one pass over its own data."""
    weights: Literal["uniform", "samples"] = "samples"
    """Weight of each client in its cluster's mean: the same for all, or its number of training samples."""
    optimizer: Literal["keep", "reset"] = "keep"
    """What becomes of a client's optimizer state (momentum) when it gets the newest model."""

    def _train_all(self, w: Stage, n_batches: Mapping[int, int]) -> Process[None]:
        """Turn after turn; then all have the newest model, for evaluations."""
        for cluster in turns_of(self.clusters, self.made, tuple(n_batches), lambda: w.random("clusters")):
            yield from self._train_cluster(w, {client: n_batches[client] for client in cluster})
        for client in range(w.n_clients):
            self._install(w, client, w.learner.weights(CLIENT))

    def _train_cluster(self, w: Stage, n_batches: Mapping[int, int]) -> Process[None]:
        newest = w.learner.weights(CLIENT)
        there = yield from w.gather(
            "receive", {c: self._receive(w, c, newest) for c in n_batches}, keep=False
        )
        yield from super()._train_all(w, {client: n_batches[client] for client in there})
        sent = yield from w.gather("average", {c: send_model(w, c) for c in there}, keep=False)
        if sent:
            mean = w.learner.average(sent, self.weights)
            averaged = yield from w.parameter_server.compute(mean, on_behalf_of=tuple(sent))
            w.learner.install(CLIENT, averaged, "reset")

    def _receive(self, w: Stage, client: int, newest: SentWeights) -> Process[None]:
        yield from w.parameter_server.send(newest, w.client(client), "model_downlink")
        self._install(w, client, newest)

    def _install(self, w: Stage, client: int, newest: SentWeights) -> None:
        w.learner.install(client, newest, "keep" if self.optimizer == "keep" else "restart")

    def _mini_batches(self, w: Stage, client: int) -> int:
        return w.learner.steps_per_epoch(client) if self.local_steps == "epoch" else self.local_steps

    def _n_batches(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> list[int]:
        """Mini-batches of each client in a round."""
        if self.local_steps != "epoch":
            return [self.local_steps] * len(batch_sizes)
        return [math.ceil(n / b) for b, n in zip(batch_sizes, shard_sizes, strict=True)]

    def optimizer_steps_per_round(
        self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]
    ) -> tuple[float, float]:
        """Of a client's model as the mean over clients; of the server's those of all turns."""
        n_batches = self._n_batches(batch_sizes, shard_sizes)
        of_client, _ = super().optimizer_steps_per_round(batch_sizes, shard_sizes)
        turns = turns_of(self.clusters, self.made, range(len(n_batches)))
        of_turn = sum if self.server_schedule.steps_for_each else max
        return of_client, float(sum(of_turn(n_batches[c] for c in own) for own in turns))

    def at_once(self, n_clients: int) -> AtOnce:
        """One mini-batch of each client of the largest cluster."""
        made, turns = super().at_once(n_clients), turns_of(self.clusters, self.made, range(n_clients))
        most = max(map(len, turns))
        return made._replace(waiting=min(made.waiting, most), served=min(made.served, most))

    @property
    def one_cut_because(self) -> str:
        """One model is handed on."""
        return "one client-side model is handed from cluster to cluster"

    def problems(self, n_clients: int) -> list[str]:
        """Clusters that are no partition of the clients, and what has no meaning in turns of clusters."""
        found = super().problems(n_clients)
        if not isinstance(self.client_sync, Never):
            found.append("client_sync: cpsl averages at the end of each cluster's turn itself; leave it out")
        if self.server_schedule.n_copies(2) > 1 or self.server_schedule.trains_first:
            found.append(
                "server_schedule: cpsl has one server-side model that steps; write mean, sum, joined or sequential"
            )
        if getattr(self.lateness, "late", "dropped") == "used_next":
            found.append("lateness.late: what is late would be used in another cluster's turn; write dropped")
        return found + problems_of(self.clusters, n_clients)

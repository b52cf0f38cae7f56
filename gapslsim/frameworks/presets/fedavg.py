"""Federated averaging: every client trains the whole model; the server averages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt

from gapslsim.frameworks.framework import AtOnce, Framework, frameworks
from gapslsim.frameworks.stage import Process, Stage
from gapslsim.registry import component

if TYPE_CHECKING:
    from gapslsim.learning.messages import WholeWeights
    from gapslsim.work import Keyed

__all__ = ["FedAvg"]

Steps = PositiveInt | Literal["epoch"]


@frameworks.register
@component
class FedAvg(Framework):
    """FedAvg: clients train the whole model, the server averages (Algorithm 1 of McMahan et al., arXiv 1602.05629).

    Each participant downloads the global model, trains it locally with the client's optimizer (its state starts
    anew in every round) and uploads the result; the server averages those that came.
    """

    kind: Literal["fedavg"] = "fedavg"
    local_steps: Steps | tuple[Steps, ...] = "epoch"
    """Mini-batches of local training in a round; `epoch` is one pass over the client's own data. Of all clients, or a
    list with an entry for each, in the order of the client groups."""
    weights: Literal["uniform", "samples"] = "samples"
    """Weight of each client in the mean: the same for all, or its number of training samples."""

    def round(self, w: Stage) -> Process[None]:
        """Downlink of the global model, local training, uplink, average."""
        model = w.learner.whole_weights()
        trained = yield from w.gather("train", {c: self._train(w, c, model) for c in w.participants})
        if trained:
            mean = w.learner.average_whole(trained, self.weights)
            w.learner.install_whole((yield from w.server.compute(mean, on_behalf_of=tuple(trained))))

    def _train(self, w: Stage, client: int, model: Keyed[WholeWeights]) -> Process[Keyed[WholeWeights]]:
        node = w.client(client)
        yield from w.server.send(model, node, "model_downlink")
        wanted = self._wanted(client)
        n_steps = w.learner.steps_per_epoch(client) if wanted == "epoch" else wanted
        trained = yield from node.compute(w.learner.local_training(client, model, n_steps))
        return (yield from node.send(trained, w.server, "model_uplink"))

    @property
    def one_cut_because(self) -> str:
        """Nothing is cut."""
        return "clients train the whole network, which is not cut at all"

    @property
    def reads_planned_rounds(self) -> bool:
        """No."""
        return False

    def at_once(self, n_clients: int) -> AtOnce:
        """No split pass; the models of all participants."""
        return super().at_once(n_clients)._replace(waiting=0)

    def samples_per_round(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> float:
        """The mini-batches of local training."""
        share = self.participation.expected_share(len(batch_sizes))
        steps = self._local_steps(batch_sizes, shard_sizes)
        return share * sum(b * n for b, n in zip(batch_sizes, steps, strict=True))

    def optimizer_steps_per_round(
        self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]
    ) -> tuple[float, float]:
        """The mean over clients of the steps of local training; the server takes none."""
        steps = self._local_steps(batch_sizes, shard_sizes)
        return self.participation.expected_share(len(batch_sizes)) * sum(steps) / len(steps), 0.0

    def _local_steps(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> list[int]:
        epochs = [math.ceil(n / b) for b, n in zip(batch_sizes, shard_sizes, strict=True)]
        wanted = [self._wanted(client) for client in range(len(epochs))]
        return [own if steps == "epoch" else steps for own, steps in zip(epochs, wanted, strict=True)]

    def _wanted(self, client: int) -> Steps:
        return self.local_steps[client] if isinstance(self.local_steps, tuple) else self.local_steps

    def problems(self, n_clients: int) -> list[str]:
        """A list of local steps for another number of clients."""
        if isinstance(self.local_steps, tuple) and len(self.local_steps) != n_clients:
            n = len(self.local_steps)
            return [
                f"local_steps has {n} entries for {n_clients} clients; give one for each, or one for all."
            ]
        return super().problems(n_clients)

    @property
    def clients_hold_whole_model(self) -> bool:
        """Every client trains the whole network."""
        return True

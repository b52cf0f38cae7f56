"""Averaging of the client-side models by the parameter server: what makes parallel split learning SplitFed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt

from gapslsim.frameworks.client_sync import ClientSync, client_syncs
from gapslsim.frameworks.stage import Process, Stage
from gapslsim.registry import component

if TYPE_CHECKING:
    from gapslsim.learning.operation import SentWeights

__all__ = ["Average"]


@client_syncs.register
@component
class Average(ClientSync):
    """The participants send their client-side weights to the parameter server, which averages and returns them.

    Source: SplitFed V1 as described in Section IV-A of [lin2026gapsl]: the parameter server is separate from the
    training server; it costs an uplink and a downlink of client-side weights. The mean is over those that came, and
    they get it. Where clients are cut unlike, the mean of each block is over those who have it.
    """

    kind: Literal["average"] = "average"
    every: PositiveInt | Literal["epoch"] = 1
    """Rounds from one averaging to the next; with `epoch` a round is a local epoch of each client."""
    weights: Literal["uniform", "samples"] = "uniform"
    """Weight of each client in the mean: the same for all, or its number of training samples."""
    optimizer: Literal["keep", "reset"] = "keep"
    """What becomes of each client's optimizer state (momentum) when its weights are replaced. Schedules of the learning
    rate go on in either case."""
    server_blocks: Literal["apart", "joined"] = "apart"
    """Where clients are cut unlike, the server's copy of blocks that lie on some of them. `apart`: it is trained by the
    other clients alone. `joined`: it takes part in the mean, with the weight of the participants that go through it on
    the server, which sends it to the parameter server and gets the mean back (as AdaptSFL, arXiv 2403.13101, averages
    what is not common to all)."""

    @property
    def per_epoch(self) -> bool:
        """With `every: epoch`."""
        return self.every == "epoch"

    def run(self, w: Stage) -> Process[None]:
        """Uplink of weights, average, downlink; in every `every`-th round."""
        if self.every != "epoch" and w.round % self.every:
            return
        copy = w.learner.common_weights() if self.server_blocks == "joined" else None
        coming = None if copy is None else w.spawn(w.server.send(copy, w.parameter_server, "model_relay_up"))
        sent = yield from w.gather("average", {c: self._upload(w, c) for c in w.participants})
        if coming is not None:
            yield from coming
        if not sent:
            return
        means = []
        for place in range(len(next(iter(sent.values())))):
            models = {client: own[place] for client, own in sent.items()}
            average = w.learner.average(models, self.weights, None if place else copy)
            means.append((yield from w.parameter_server.compute(average, on_behalf_of=tuple(sent))))
        back = None if copy is None else w.spawn(self._return(w, means[0]))
        yield from w.gather("install", {c: self._download(w, c, means) for c in sent}, keep=False)
        if back is not None:
            yield from back

    def _upload(self, w: Stage, client: int) -> Process[list[SentWeights]]:
        """A client's model, and its auxiliary network where that is averaged too."""
        node, sent = w.client(client), []
        for name in w.learner.models_of(client):
            model = w.learner.weights(name)
            sent.append((yield from node.send(model, w.parameter_server, "model_uplink")))
        return sent

    def _return(self, w: Stage, mean: SentWeights) -> Process[None]:
        """The server gets the mean of the blocks of which it has a copy."""
        own = w.learner.common_part(mean)
        yield from w.parameter_server.send(own, w.server, "model_relay_down")
        w.learner.install_common(own, "keep" if self.optimizer == "keep" else "restart")

    def _download(self, w: Stage, client: int, means: Sequence[SentWeights]) -> Process[None]:
        own = [w.learner.part_for(client, means[0]), *means[1:]]
        for name, model in zip(w.learner.models_of(client), own, strict=True):
            yield from w.parameter_server.send(model, w.client(client), "model_downlink")
            w.learner.install(name, model, "keep" if self.optimizer == "keep" else "restart")

"""Averaging in two levels: clients at their edge server, edge servers in the cloud."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import PositiveInt

from gapslsim.errors import ProtocolError
from gapslsim.frameworks.client_sync import ClientSync, client_syncs
from gapslsim.frameworks.stage import Actor, Process, Stage
from gapslsim.registry import component

if TYPE_CHECKING:
    from gapslsim.learning.operation import SentWeights

__all__ = ["Hierarchical"]


@client_syncs.register
@component
class Hierarchical(ClientSync):
    """Participants' models are averaged at their edge server; less often those means, and edge models, in the cloud.

    For shapes with stations next to the clients (`shape: tiers`). In the cloud the parameter server averages, and each
    edge server hands on to its participants what comes back. Source: the aggregation of hierarchical split federated
    learning in client, edge and cloud tiers (Lin et al., arXiv 2412.07197), with an interval for each level.
    """

    needs_stations: ClassVar[bool] = True
    kind: Literal["hierarchical"] = "hierarchical"
    every: PositiveInt = 1
    """Rounds from one averaging at the edge servers to the next."""
    cloud_every: PositiveInt = 5
    """Rounds from one averaging in the cloud to the next; in these clients are averaged at their edge server too."""
    weights: Literal["uniform", "samples"] = "uniform"
    """Weight of each client in all means: the same for all, or its number of training samples."""
    optimizer: Literal["keep", "reset"] = "keep"
    """What becomes of optimizer states (momentum) when weights are replaced."""

    def run(self, w: Stage) -> Process[None]:
        """Clients to edge servers; in some rounds edge servers to the cloud and back; edge servers to clients."""
        in_cloud = w.round % self.cloud_every == 0
        if w.round % self.every and not in_cloud:
            return
        sent = yield from w.gather("average", {c: self._upload(w, c) for c in w.participants})
        if not sent:
            return
        of_edge: dict[str, dict[int, SentWeights]] = {}
        for client, model in sent.items():
            of_edge.setdefault(_edge(w, client).name, {})[client] = model
        means = yield from w.together(self._at_edge(w, name, own) for name, own in of_edge.items())
        mean_of = dict(zip(of_edge, means, strict=True))
        if in_cloud:
            mean_of = yield from self._in_cloud(w, of_edge, mean_of)
        back = {
            c: self._download(w, w.station(name), c, mean_of[name])
            for name, own in of_edge.items()
            for c in own
        }
        yield from w.gather("install", back, keep=False)

    def _upload(self, w: Stage, client: int) -> Process[SentWeights]:
        return (yield from w.client(client).send(w.learner.weights(client), _edge(w, client), "model_uplink"))

    def _at_edge(self, w: Stage, name: str, own: Mapping[int, SentWeights]) -> Process[SentWeights]:
        mean = w.learner.average(own, self.weights)
        return (yield from w.station(name).compute(mean, on_behalf_of=tuple(own)))

    def _in_cloud(
        self, w: Stage, of_edge: Mapping[str, Mapping[int, SentWeights]], means: Mapping[str, SentWeights]
    ) -> Process[dict[str, SentWeights]]:
        """Edge servers' means of clients and own models go up, are averaged, and come back to all of them."""
        shares = w.learner.shares_of(of_edge, self.weights)
        both = {name: (means[name], w.learner.weights(name)) for name in of_edge}
        cloud = w.parameter_server
        yield from w.together(
            w.station(name).send(one, cloud, "model_relay_up")
            for name, models in both.items()
            for one in models
        )
        clients, edges = zip(*both.values(), strict=True)
        merged = []
        for models in (clients, edges):
            terms = w.learner.combine([(one, shares[name]) for name, one in zip(both, models, strict=True)])
            merged.append((yield from cloud.compute(terms, on_behalf_of=w.participants)))
        of_clients, of_edges = merged
        yield from w.together(self._return(w, name, of_clients, of_edges) for name in both)
        return dict.fromkeys(both, of_clients)

    def _return(self, w: Stage, name: str, of_clients: SentWeights, of_edges: SentWeights) -> Process[None]:
        station = w.station(name)
        yield from w.parameter_server.send(of_clients, station, "model_relay_down")
        yield from w.parameter_server.send(of_edges, station, "model_relay_down")
        w.learner.install(name, of_edges, "keep" if self.optimizer == "keep" else "restart")

    def _download(self, w: Stage, edge: Actor, client: int, mean: SentWeights) -> Process[None]:
        yield from edge.send(mean, w.client(client), "model_downlink")
        w.learner.install(client, mean, "keep" if self.optimizer == "keep" else "restart")


def _edge(w: Stage, client: int) -> Actor:
    """The station next to a client.

    Raises:
        ProtocolError: if there is none.
    """
    stations = w.stations(client)
    if not stations:
        raise ProtocolError(
            "client_sync: hierarchical averages at edge servers, and there are none; write shape: tiers"
        )
    return stations[0]

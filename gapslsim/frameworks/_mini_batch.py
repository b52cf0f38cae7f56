"""The way of a mini-batch: from its client through stations to the loss, and back. Protocols have it in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from gapslsim.frameworks.stage import Activity, Actor, Process, Stage
from gapslsim.learning.names import SERVER
from gapslsim.learning.rules import ClientUpdate

if TYPE_CHECKING:
    from gapslsim.learning.operation import SmashedData
    from gapslsim.learning.reply import ServerReply

__all__ = ["Returned", "StateOf", "returned", "train", "upload"]


StateOf = Callable[[int, str], str]
"""From a client and the server or a station to the name of the state that takes the client's mini-batches there."""


def _own_state(client: int, owner: str) -> str:
    return owner


class Returned(NamedTuple):
    """An answer where its client can be sent it."""

    sender: Actor
    """The server, or the station next to the client."""
    reply: ServerReply
    """Its step's."""


def upload(
    w: Stage,
    client: int,
    model: str | None = None,
    keeps: bool = False,
    state_of: StateOf = _own_state,
    size: int | None = None,
) -> Process[SmashedData]:
    """Forward pass on a client's next mini-batch, as far as the server's step on it.

    Stations on the way make their own forward passes. Where the client has the last blocks too, the server's features
    come down to it, and what goes up then is their gradient, with the loss.

    Args:
        w: the stage.
        client: whose mini-batch.
        model: name of the client-side state; the client's own unless given.
        keeps: whether the server keeps what it is sent; then only what it has not is computed and sent. There are no
            stations and no last blocks on clients where it does.
        state_of: of the server and of stations; their own unless given.
        size: samples in it; the client's own batch size unless given.
    """
    node, holder, phase = w.client(client), w.client(client), "uplink"
    if keeps:
        return (yield from _upload_once(w, client))
    smashed = yield from node.compute(w.learner.client_forward(client, model, batch_size=size))
    for station in w.stations(client):
        yield from holder.send(smashed, station, phase)
        forward = w.learner.relay_forward(station.name, smashed, state_of(client, station.name))
        smashed = yield from station.compute(forward, (client,))
        holder, phase = station, "relay_up"
    yield from holder.send(smashed, w.server, phase)
    if not w.learner.has_tails:
        return smashed
    forward = w.learner.relay_forward(SERVER, smashed, state_of(client, SERVER))
    features = yield from w.server.compute(forward, (client,))
    yield from w.server.send(features, node, "feature_downlink")
    gradient = yield from node.compute(w.learner.client_loss(features))
    return (yield from node.send(gradient, w.server, "feature_uplink"))


def _upload_once(w: Stage, client: int) -> Process[SmashedData]:
    """As `upload`, of the samples that the server has not; what is lost on the way is sent again."""
    n_samples = w.learner.n_unsent(client)
    if not n_samples:
        return w.learner.kept_batch(client)
    node = w.client(client)
    smashed = yield from node.compute(w.learner.client_forward(client, n_samples=n_samples))
    yield from node.send(w.learner.unsent(smashed), w.server, "uplink")
    w.learner.keep(smashed)
    return smashed


def returned(
    w: Stage, reply: ServerReply, answers: bool = True, state_of: StateOf = _own_state
) -> Mapping[int, Activity[Returned]]:
    """Takes the answers of a server's step back through the stations, each of which steps once it has all of its own.

    Args:
        w: the stage.
        reply: of the step.
        answers: whether clients will be sent theirs.
        state_of: of stations; their own unless given.

    Returns:
        By client, what ends when it can be sent its answer; empty where no station lies between.
    """
    clients = [answer.batch.client for answer in reply.answers]
    ways = {client: w.stations(client) for client in clients}
    steps: dict[str, Activity[Returned]] = {}
    ends: dict[int, Activity[Returned]] = {}
    for client in clients:
        before: Activity[Returned] | None = None
        for station in reversed(ways[client]):
            if station.name not in steps:
                its = tuple(c for c in clients if station in ways[c])
                sends = answers or station is not ways[client][0]
                step = _step(w, station, its, before or Returned(w.server, reply), sends, state_of)
                steps[station.name] = w.spawn(step)
            before = steps[station.name]
        if before is not None:
            ends[client] = before
    return ends


def _step(
    w: Stage,
    station: Actor,
    clients: tuple[int, ...],
    before: Activity[Returned] | Returned,
    answers: bool,
    state_of: StateOf,
) -> Process[Returned]:
    """Answers to some clients arrive at a station, which goes backward and steps."""
    sender, reply = before if isinstance(before, Returned) else (yield from before)
    own = [answer for client in clients if (answer := reply.own.get(client)) is not None]
    yield from w.together(sender.send(answer, station, "relay_down") for answer in own)
    # Where there are copies, each has one client.
    model = state_of(clients[0], station.name)
    step = w.learner.relay_step(station.name, reply, clients, answers, model)
    stepped = yield from station.compute(step, clients)
    return Returned(station, stepped)


def train(
    w: Stage, smashed: SmashedData, reply: ServerReply, rule: ClientUpdate, state_of: StateOf = _own_state
) -> Process[None]:
    """A mini-batch's own way back: through stations, downlink of its cut gradient, if it has one, backward, update."""
    client, sender = smashed.batch.client, w.server
    if w.stations(client):
        sender, reply = yield from returned(w, reply, state_of=state_of)[client]
    answer, node = reply.to(smashed), w.client(client)
    if answer.own is not None:
        yield from sender.send(answer.own, node, "downlink")
    yield from node.compute(w.learner.client_backward(smashed, reply, rule))

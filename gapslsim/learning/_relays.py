"""Operations of machines between clients and server, and of clients that have the last blocks too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gapslsim.errors import ProtocolError
from gapslsim.learning._whole_model import WholeModelOperations
from gapslsim.learning.hops import Hop, Message
from gapslsim.learning.messages import Smashed
from gapslsim.learning.names import SERVER, Side, side_of
from gapslsim.learning.operation import Answer, MiniBatch, RelayStep, SmashedData, TailPass
from gapslsim.learning.reply import ServerReply, make_reply
from gapslsim.models.segments import OF_CLIENT, Stretch
from gapslsim.work import Deferred, Keyed, Work, content_key, derived_key

if TYPE_CHECKING:
    from gapslsim.learning.segmented_engine import SegmentedEngine

__all__ = ["RelayOperations", "served"]


class RelayOperations(WholeModelOperations):
    """Offers what a mini-batch meets between its client and the server's step, and on its way back; see `Learner`.

    A station goes forward when smashed data come, and backward when the gradients of what it passed on come back, with
    the weights that it had: it then steps on their mean. Its own state has its name. The labels travel along, unless
    the client has the last blocks (a tail): then it takes the loss, and the server is a station like others.
    """

    def stations(self, client: int) -> tuple[str, ...]:
        """Names of the machines on a client's path between it and the server."""
        return tuple(s.owner for s in self._path(client) if s.owner not in (OF_CLIENT, SERVER))

    @property
    def has_tails(self) -> bool:
        """Whether clients have the last blocks, and with them the loss."""
        segments = self.setup.segments
        return segments is not None and segments.paths[0][-1].owner == OF_CLIENT

    def relay_forward(
        self, station: str, smashed: SmashedData, model: str | None = None
    ) -> Work[SmashedData]:
        """FP of a station, or of a server that does not take the loss, on a mini-batch.

        Args:
            station: its name.
            smashed: that has arrived.
            model: name of the state, a copy for instance; that of the station unless given.
        """
        batch, name = smashed.batch, model or station
        stretch = self._stretch(batch.client, station)
        label_bytes = 0 if self.has_tails else self.setup.data.label_bytes
        size_bytes = batch.size * (self.holdings.bytes_at(stretch.last) + label_bytes)

        def carry_out() -> SmashedData:
            state = self.states[name]
            key = content_key("relay_forward", [station], state.key, smashed.key)
            # Without the mini-batch, which would hold itself.
            came: Keyed[Smashed] = Keyed(smashed.key, smashed.size_bytes, smashed._value)
            batch.arrived = (batch.arrived or {}) | {name: (came, state.key)}
            if self.journal is not None:
                batch.needs = (*batch.needs, state)
            client, step = batch.client, batch.step
            held: Any = self._operations.held(
                key,
                (state, came),
                lambda e: _of(e).relay_forward(station, client, step, state.value, came.value),
            )
            made = SmashedData(key, size_bytes, held, batch=batch)
            return self._hops.passed(
                self.states, made, "activations", station, self._after(client, stretch), after[1]
            )

        came_as, after = self._message(stretch.first, batch), self._message(stretch.last, batch)
        cost = self._hops.charged(
            self.costs.of(stretch, batch.size).forward, received=[came_as], sent=[after]
        )
        return Work("relay_forward", cost, carry_out, (name,))

    def client_loss(self, features: SmashedData) -> Work[SmashedData]:
        """FP of a client's last blocks on the server's features, its loss, and BP as far as the features.

        The gradients of the last blocks wait for the mini-batch's cut gradient: one step updates all that the client
        has.

        Args:
            features: of a mini-batch, from the server.

        Returns:
            The gradient of the features, with the loss [4 bytes in float32].
        """
        batch = features.batch
        client, step = batch.client, batch.step
        stretch = self._path(client)[-1]
        size_bytes = batch.size * self.holdings.bytes_at(stretch.first) + self.setup.itemsize
        cost = self.costs.of(stretch, batch.size)

        def carry_out() -> SmashedData:
            # The weights of the forward pass, as those of the first blocks.
            state = batch.state
            key = content_key("client_loss", [client, step], state.key, features.key)
            came: Keyed[Smashed] = Keyed(features.key, features.size_bytes, features._value)
            made: Any = self._operations.held(
                key, (state, came), lambda e: _of(e).tail_pass(batch, state.value, came.value)
            )
            batch.tail = tail = made if isinstance(made, Deferred) else None
            sent: Keyed[Smashed] = self._operations.part(key, size_bytes, tail, TailPass.message)
            told = SmashedData(key, size_bytes, sent._value, batch=batch)
            return self._hops.passed(self.states, told, "gradients", f"client-{client}", SERVER, entering)

        way, entering = self._message(stretch.first, batch)
        passes = self._hops.charged(
            cost.forward + cost.backward, received=[(way, entering)], sent=[("gradients", entering)]
        )
        return Work("client_loss", passes, carry_out, (batch.model,))

    def relay_step(
        self,
        station: str,
        reply: ServerReply,
        clients: Sequence[int],
        answers: bool = True,
        model: str | None = None,
    ) -> Work[ServerReply]:
        """BP of a station on the answers that have come back to it, and one update with the mean over its clients.

        Who is not admitted by the server (see `Fate`) does not count.

        Args:
            station: its name.
            reply: of the step of the machine behind it.
            clients: whose answers are there.
            answers: whether its own will be sent; else none is encoded.
            model: name of the state, a copy for instance; that of the station unless given.

        Raises:
            ProtocolError: when carried out, if it has stepped since it passed one of the mini-batches on.
        """
        came_back = [reply.to(client) for client in clients]
        batches = [answer.batch for answer in came_back]
        stretch, name = self._stretch(batches[0].client, station), model or station

        def carry_out() -> ServerReply:
            state = self.states[name]
            arrived = [self._arrived(name, batch) for batch in batches]
            own = [answer.own for answer in came_back if answer.own is not None]
            # What error feedback has added to a message is not in the key of the reply.
            sent = [one.key for one in own if self._hops.remembers("gradients")]
            given = (state.key, reply.key, *(one.key for one in arrived), *sent)
            key = content_key("relay_step", [station, list(clients)], *given)
            inputs = [state, *arrived, *own]
            places = [(batch.client, batch.step) for batch in batches]

            def compute(engine: Any) -> Any:
                messages = [one.value for one in arrived]
                return _of(engine).relay_step(RelayStep(station, places, state.value, messages, came_back))

            made: Any = self._operations.held(key, inputs, compute)
            outcome = made if isinstance(made, Deferred) else None
            after: Any = self._operations.part(
                derived_key(key, "state"),
                self.holdings.of(station).size_bytes,
                outcome,
                lambda step: step.state,
                is_state=True,
            )
            self.states.relayed(station, name, after, clients)
            made_reply = make_reply(
                key,
                batches,
                [0] * len(batches),
                lambda _: self.holdings.bytes_at(stretch.first),
                None if outcome is None else [answer.fate or "train" for answer in came_back],
                outcome,
                self._operations.part,
            )
            if not answers or self._hops.coding("gradients") is None:
                return made_reply
            return ServerReply(key, tuple(map(coded, made_reply.answers)))

        def coded(answer: Answer) -> Answer:
            batch = answer.batch
            hop = Hop("gradients", station, f"client-{batch.client}", (batch.client, batch.step))
            assert answer.own is not None
            own = self._hops.send(self.states, hop, answer.own, (batch.size, *entering), (batch,))
            return answer._replace(own=own)

        entering, leaving = (self.holdings.shape_at(bound) for bound in stretch.blocks)
        back: list[Message] = [("gradients", (batch.size, *leaving)) for batch in batches]
        onward: list[Message] = (
            [("gradients", (batch.size, *entering)) for batch in batches] if answers else []
        )
        cost = self._hops.charged(
            self.costs.relay_step(stretch, [batch.size for batch in batches]), received=back, sent=onward
        )
        return Work("relay_step", cost, carry_out, (name,), 1)

    def _arriving(self, client: int, n_samples: int) -> Message:
        """What a mini-batch brings to the server's step."""
        if not self.has_tails:
            return "activations", (n_samples, *self.holdings.served_shape(client))
        return "gradients", (n_samples, *self.holdings.shape_at(self._path(client)[-1].first))

    def _message(self, bound: int, batch: MiniBatch) -> Message:
        """Activations of a mini-batch across a bound."""
        return "activations", (batch.size, *self.holdings.shape_at(bound))

    def _after(self, client: int, stretch: Stretch) -> str:
        """Who gets what a station passes on."""
        owner = next(other.owner for other in self._path(client) if other.first == stretch.last)
        return f"client-{client}" if owner == OF_CLIENT else owner

    def _arrived(self, name: str, batch: MiniBatch) -> Keyed[Smashed]:
        """What a mini-batch brought to a state of a station, taken from it.

        Raises:
            ProtocolError: if the state has stepped since, so that the gradient would be of other weights.
        """
        came, met = (batch.arrived or {}).pop(name)
        if met != self.states[name].key:
            raise ProtocolError(
                f"{name} has stepped between its passes on mini-batch {batch.step} of client {batch.client}, so "
                "that the gradient would be of other weights; let all that it has passed on come back before it "
                "steps (a protocol with a barrier does)."
            )
        return came

    def _side_of(self, name: str) -> Side:
        """Side that a state is of: stations take steps as the server does."""
        segments = self.setup.segments
        return SERVER if segments is not None and segments.owner_of(name) is not None else side_of(name)

    def _path(self, client: int) -> Sequence[Stretch]:
        segments = self.setup.segments
        return () if segments is None else segments.paths[client]

    def _stretch(self, client: int, station: str) -> Stretch:
        found = next((stretch for stretch in self._path(client) if stretch.owner == station), None)
        if found is None:
            raise ProtocolError(f"{station} is not on the way of client {client}'s mini-batches.")
        return found


def served(messages: Sequence[Smashed], arrived: Sequence[Smashed]) -> Sequence[Smashed]:
    """What a step of the server goes forward and backward with.

    Args:
        messages: from the clients.
        arrived: what came before, where the messages are gradients of what the server passed on; else nothing.
    """
    if not arrived:
        return messages
    return [Smashed(came.activations, sent.activations) for came, sent in zip(arrived, messages, strict=True)]


def _of(engine: Any) -> SegmentedEngine:
    """The engine of networks with several owners: no other gets these operations."""
    made: SegmentedEngine = engine
    return made

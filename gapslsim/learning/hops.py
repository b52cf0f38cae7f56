"""What travels from one station to the next: a message before and after its codec, with the bytes that are charged.

A hop is a way (`activations` towards the loss, `gradients` back), a sender and a receiver. Where its way has no codec
the message is what it was, with the same key. Else its value is what the receiver decodes, and its size what is sent.
What error feedback keeps is a state of the sender (`States.residuals`), read and written when the message is encoded:
a message that is lost on the way is lost for good, and what encoding it lost is in the next one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from gapslsim.learning.codec import Way
from gapslsim.learning.coding import Coding, Sent
from gapslsim.learning.names import SERVER, name_of
from gapslsim.learning.operation import Answer, MiniBatch, SmashedData
from gapslsim.learning.operations import Operations
from gapslsim.learning.reply import ServerReply
from gapslsim.learning.setup import LearningSetup
from gapslsim.learning.state import SideState
from gapslsim.learning.states import States
from gapslsim.rng import stream_seed
from gapslsim.work import Cost, Keyed, derived_key

if TYPE_CHECKING:
    from torch import Tensor

    from gapslsim.learning.engine import Engine

__all__ = ["Hop", "Hops", "Message"]


Message = tuple[Way, tuple[int, ...]]
"""What is charged for: the way and the shape [n, ...] of a message."""
_Counts = tuple[tuple[Message, int], ...]


class Hop(NamedTuple):
    """One message's way."""

    way: Way
    sender: str
    """Name of the node or state that encodes: `client-3`, `server`. If it loses what it holds, the residual is lost."""
    receiver: str
    draw: tuple[str | int, ...]
    """Names the random stream of this message, apart from all others of the hop: client and step of a mini-batch."""


class Hops:
    """Sends messages through the codecs of a training.

    Args:
        setup: has the codecs and the seed.
        operations: make the values.
        smashed_shape: from a client to the shape of one sample at its first cut.
        served_shape: likewise, where it comes to the server.
    """

    def __init__(
        self,
        setup: LearningSetup,
        operations: Operations,
        smashed_shape: Callable[[int], tuple[int, ...]],
        served_shape: Callable[[int], tuple[int, ...]],
    ) -> None:
        self._setup = setup
        self._smashed_shape = smashed_shape
        self._served_shape = served_shape
        self._charged = cache(self._add)
        self._operations = operations

    def coding(self, way: Way) -> Coding | None:
        """What is done to messages of a way; None for nothing."""
        return self._setup.codings.get(way)

    def remembers(self, way: Way) -> bool:
        """Whether a message depends on those before it."""
        coding = self.coding(way)
        return coding is not None and coding.feedback_from is not None

    def size_bytes(self, way: Way, shape: tuple[int, ...]) -> int:
        """Bytes of a message [n, ...] as it is sent."""
        coding, itemsize = self.coding(way), self._setup.itemsize
        return math.prod(shape) * itemsize if coding is None else coding.size_bytes(shape, itemsize)

    def send(
        self,
        states: States,
        hop: Hop,
        message: Keyed[Any],
        shape: tuple[int, ...],
        batches: Sequence[MiniBatch] = (),
        *,
        beside_bytes: int = 0,
        reads: Sequence[Keyed[Any]] = (),
        tensor_of: Callable[[Any], Tensor] = lambda value: value,
        received: Callable[[Any, Sent], Any] = lambda _, sent: sent.values,
    ) -> Keyed[Any]:
        """A message as it is sent and received; the message itself where its way has no codec.

        Call it in the `carry_out` of the work that encodes, whose cost `charged` says; it says that of the
        receiver's work too.

        Args:
            states: of the learner, which hold what error feedback keeps.
            hop: where it goes.
            message: before encoding.
            shape: of its tensor.
            batches: whose answer depends on it; noted for checkpoints.
            beside_bytes: of what travels with the tensor as it is, such as labels.
            reads: what `tensor_of` and `received` read besides.
            tensor_of: what is encoded of the message's value.
            received: from that value and what was sent to the value that is received.
        """
        coding = self.coding(hop.way)
        if coding is None:
            return message
        of_hop = hop.sender, hop.receiver, hop.way
        before = states.residuals.get(of_hop) if self.remembers(hop.way) else None
        key = derived_key(message.key, "sent", *(() if before is None else (before.key,)))
        seed, name = self._setup.seed, ("codec", hop.way, hop.sender, hop.receiver, *hop.draw)

        def transmit(engine: Engine) -> tuple[Any, Tensor | None]:
            value, residual = message.value, None if before is None else before.value.parameters[0]
            made = coding.send(
                tensor_of(value).detach(), residual, lambda place: stream_seed(seed, *name, place)
            )
            return received(value, made), made.residual

        needed = (message, *reads, *(() if before is None else (before,)))
        made: Any = self._operations.held(key, needed, transmit)
        size_bytes = self.size_bytes(hop.way, shape) + beside_bytes
        sent: Keyed[Any] = self._picked(key, size_bytes, made, lambda: made.value[0])
        if self.remembers(hop.way):
            lost = math.prod(shape) * self._setup.itemsize
            states.residuals[of_hop] = self._picked(
                derived_key(key, "residual"),
                lost,
                made,
                lambda: SideState((made.value[1],), (), {}),
                is_state=True,
            )
            if before is not None and self._operations.journal is not None:
                for batch in batches:
                    batch.needs = (*batch.needs, before)
        return sent

    def smashed(self, states: States, made: SmashedData) -> SmashedData:
        """Smashed data on their way from the client, with labels as they are."""
        batch = made.batch
        return self.passed(
            states, made, "activations", name_of(batch.client), SERVER, self._shape(batch.client, batch.size)
        )

    def passed(
        self, states: States, made: SmashedData, way: Way, sender: str, receiver: str, shape: tuple[int, ...]
    ) -> SmashedData:
        """A message with a tensor and what travels beside it as it is: labels, or a loss.

        Args:
            states: of the learner.
            made: the message before encoding.
            way: it goes.
            sender: who encodes.
            receiver: who decodes.
            shape: of its tensor.
        """
        if self.coding(way) is None:
            return made
        batch = made.batch
        sent = self.send(
            states,
            Hop(way, sender, receiver, (batch.client, batch.step)),
            made,
            shape,
            (batch,),
            beside_bytes=made.size_bytes - math.prod(shape) * self._setup.itemsize,
            tensor_of=lambda value: value.activations,
            received=lambda value, sent: replace(value, activations=sent.values, where=sent.where),
        )
        return SmashedData(sent.key, sent.size_bytes, sent.held, batch=batch)

    def reply(
        self,
        states: States,
        reply: ServerReply,
        server: str,
        stream: tuple[str | int, ...],
        smashed: Sequence[SmashedData],
    ) -> ServerReply:
        """Cut gradients on their way to the clients; what all share is encoded once.

        Args:
            states: of the learner.
            reply: of a step.
            server: name of the state that made it.
            stream: names what is drawn for the step.
            smashed: what it answers, in order.
        """
        if self.coding("gradients") is None:
            return reply
        shared, n_shared = reply.shared, reply.n_shared
        if shared is not None:
            batches = [answer.batch for answer in reply.answers if answer.shared is not None]
            hop = Hop("gradients", server, "all", stream)
            shape = self._followed((n_shared, *self._served_shape(batches[0].client)))
            shared = self.send(states, hop, shared, shape, batches)
        answers = []
        for answer, came in zip(reply.answers, smashed, strict=True):
            batch, own = answer.batch, answer.own
            if own is not None:
                hop = Hop("gradients", server, name_of(batch.client), (batch.client, batch.step))
                shape = self._followed((batch.size - answer.n_shared, *self._served_shape(batch.client)))
                more = _following(came) if self._setup.gradients_follow else {}
                own = self.send(states, hop, own, shape, (batch,), **more)
            answers.append(answer._replace(own=own, shared=answer.shared and shared))
        return ServerReply(reply.key, tuple(answers))

    def charged(self, cost: Cost, received: Iterable[Message] = (), sent: Iterable[Message] = ()) -> Cost:
        """What an operation costs with decoding what it reads and encoding what it leaves.

        Args:
            cost: without these.
            received: messages that it reads.
            sent: messages that it leaves.
        """
        codings = self._setup.codings
        if not codings:
            return cost
        counts = (
            tuple(sorted(Counter(m for m in given if m[0] in codings).items())) for given in (received, sent)
        )
        return self._charged(cost, *counts)

    def _add(self, cost: Cost, received: _Counts, sent: _Counts) -> Cost:
        codings = self._setup.codings
        before = [codings[way].decode_cost(shape).times(n) for (way, shape), n in received]
        after = [codings[way].encode_cost(shape).times(n) for (way, shape), n in sent]
        return Cost(parts=(*before, cost, *after)) if before or after else cost

    def uploaded(self, client: int, n_samples: int) -> Message:
        """Smashed data of a client."""
        return "activations", self._shape(client, n_samples)

    def downloaded(self, batches: Sequence[MiniBatch], n_shared: Sequence[int]) -> list[Message]:
        """Cut gradients of a step.

        Args:
            batches: that it took.
            n_shared: leading samples of each that are in the shared part.
        """
        own = [(b.client, b.size - n) for b, n in zip(batches, n_shared, strict=True) if b.size > n]
        shared = [(batches[0].client, max(n_shared))] if any(n_shared) else []
        return [
            ("gradients", self._followed((n, *self._served_shape(client)))) for client, n in (*shared, *own)
        ]

    def answered(self, reply: ServerReply, answer: Answer) -> list[Message]:
        """Cut gradients that one mini-batch is answered by."""
        client, n_own = answer.batch.client, answer.batch.size - answer.n_shared
        shared = [] if answer.shared is None else [reply.n_shared]
        return [
            ("gradients", self._followed(self._shape(client, n)))
            for n in (*shared, *([] if answer.own is None else [n_own]))
        ]

    def _shape(self, client: int, n_samples: int) -> tuple[int, ...]:
        return n_samples, *self._smashed_shape(client)

    def _followed(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of a cut gradient as it is encoded: of what follows the activations there are fewer numbers."""
        activations = self.coding("activations") if self._setup.gradients_follow else None
        n_sent = None if activations is None else activations.n_sent(shape)
        return shape if n_sent is None else (shape[0], n_sent)

    def _picked(
        self, key: str, size_bytes: int, made: Any, pick: Callable[[], Any], is_state: bool = False
    ) -> Keyed[Any]:
        """A part of what was made."""
        return self._operations.keyed(
            key, size_bytes, (made,), lambda _: pick(), is_state=is_state, light=True
        )


def _following(came: SmashedData) -> dict[str, Any]:
    """How `Hops.send` sends of a cut gradient what stands where these activations were sent, and how it arrives."""

    def tensor_of(gradient: Tensor) -> Tensor:
        assert came.value.where is not None
        return gradient.flatten(1).gather(1, came.value.where.places)

    def received(gradient: Tensor, sent: Sent) -> Tensor:
        where = came.value.where
        assert where is not None
        values = sent.values if where.slopes is None else sent.values * where.slopes
        rows = gradient.new_zeros(gradient.shape).flatten(1)
        return rows.scatter_(1, where.places, values).reshape(gradient.shape)

    return {"reads": (came,), "tensor_of": tensor_of, "received": received}

"""What the server sends back at the end of its step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from gapslsim.errors import ProtocolError
from gapslsim.learning.operation import Answer, MiniBatch, ServerOutcome, SmashedData
from gapslsim.learning.rules import Fate
from gapslsim.work import Deferred, Keyed, derived_key

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Part", "ServerReply", "make_reply"]

Part = Callable[[str, int, "Deferred[ServerOutcome] | None", Callable[["ServerOutcome"], Any]], Keyed[Any]]
"""Key, size, outcome and what to take of it, to a message."""


@dataclass(frozen=True, eq=False)
class ServerReply:
    """Cut gradients: a part that all clients share, a part of each mini-batch's own."""

    key: str
    answers: tuple[Answer, ...]
    """One per mini-batch, in the order of clients and their steps."""

    @property
    def n_shared(self) -> int:
        """Samples of the shared part; 0 if there is none."""
        return max(answer.n_shared for answer in self.answers)

    @property
    def shared(self) -> Keyed[Tensor] | None:
        """What several clients get, by broadcast; None where nothing is shared."""
        return next((answer.shared for answer in self.answers if answer.shared is not None), None)

    @cached_property
    def own(self) -> Mapping[int, Keyed[Tensor]]:
        """Each client's own part; a client without one is not there. For steps with one mini-batch per client."""
        return {client: own for client, answer in self._of_client.items() if (own := answer.own) is not None}

    def to(self, whom: int | SmashedData) -> Answer:
        """The answer to a client, or to one mini-batch where the step took several of a client.

        Args:
            whom: a client's index, or the smashed data that the step took.

        Raises:
            ProtocolError: if the step took none, or by the index if it took several.
        """
        if isinstance(whom, int):
            answer = self._of_client.get(whom)
            if answer is None:
                raise ProtocolError(
                    f"The server's step took nothing of client {whom}, so it has no answer to it."
                )
            return answer
        found = next((answer for answer in self.answers if answer.batch is whom.batch), None)
        if found is None:
            raise ProtocolError(
                f"The server's step did not take mini-batch {whom.batch.step} of client {whom.batch.client}; "
                "give `client_backward` the reply of the step that took it."
            )
        return found

    @cached_property
    def _of_client(self) -> dict[int, Answer]:
        found = {answer.batch.client: answer for answer in self.answers}
        if len(found) < len(self.answers):
            raise ProtocolError(
                "The server's step took several mini-batches of one client; name the mini-batch by its smashed data, "
                "as in reply.to(smashed) and client_backward(smashed, reply, rule)."
            )
        return found


def make_reply(
    key: str,
    batches: Sequence[MiniBatch],
    n_shared: Sequence[int],
    sample_bytes: Callable[[int], int],
    fates: Sequence[Fate] | None,
    outcome: Deferred[ServerOutcome] | None,
    part: Part,
) -> ServerReply:
    """The messages of a server step, with their values unless the run is dry.

    Args:
        key: of the server step; those of the messages are derived from it.
        batches: mini-batches that the step took, by client and step.
        n_shared: leading samples of each batch that are in the shared part.
        sample_bytes: cut gradient of one sample of a client.
        fates: what becomes of each; None in a dry run.
        outcome: what the step computes; None in a dry run.
        part: makes a message of a part of the outcome.
    """
    shared = None
    if any(n_shared):
        size_bytes = max(n_shared) * sample_bytes(batches[0].client)
        shared = part(derived_key(key, "cut"), size_bytes, outcome, lambda made: made.shared)
    answers = []
    for place, (batch, n) in enumerate(zip(batches, n_shared, strict=True)):
        own = None
        if batch.size > n:
            size_bytes = (batch.size - n) * sample_bytes(batch.client)
            own = part(derived_key(key, "cut", place), size_bytes, outcome, partial(_own_cut, place))
        fate = fates[place] if fates is not None else None
        answers.append(Answer(batch, own, shared if n else None, n, fate))
    return ServerReply(key, tuple(answers))


def _own_cut(place: int, outcome: ServerOutcome) -> Tensor:
    return outcome.own[place]

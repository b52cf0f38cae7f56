"""Forward passes of clients, and what a server keeps of what frozen ones have sent."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gapslsim.data.batches import Drawn
from gapslsim.errors import ProtocolError
from gapslsim.learning._relays import RelayOperations
from gapslsim.learning.keeping import sample_bytes
from gapslsim.learning.messages import Smashed
from gapslsim.learning.names import CLIENT, name_of, of_side
from gapslsim.learning.operation import ClientForward, MiniBatch, SmashedData
from gapslsim.learning.operations import Alike
from gapslsim.work import Keyed, Work, derived_key

if TYPE_CHECKING:
    from gapslsim.learning.engine import Engine

__all__ = ["ClientForwards"]


class ClientForwards(RelayOperations):
    """Offers forward passes of clients; see `Learner`.

    A server may keep what a frozen client has sent, so that each sample is sent once. What it keeps is of one
    client-side state: where a client has other weights, its samples are sent again. The server draws a client's
    mini-batches itself, in the client's order, which both know from the seed. A mini-batch is the same value under the
    same key whether all of it is sent or none, so that training and journal are the same.
    """

    def client_forward(
        self,
        client: int,
        model: str | None = None,
        n_samples: int | None = None,
        batch_size: int | None = None,
    ) -> Work[SmashedData]:
        """FP of the client side on the client's next mini-batch.

        Args:
            client: whose data.
            model: name of the client-side state; the client's own unless given.
            n_samples: that it passes, where the server keeps the others (`n_unsent`); all unless given.
            batch_size: samples in it, 1 or more; the client's own size unless given. It follows upon those before it.

        Raises:
            ProtocolError: for a state of the server side, or a mini-batch without samples.
        """
        name = f"client-{client}" if model is None else of_side(model, CLIENT)
        own = self.setup.batches.size(client) if batch_size is None else batch_size
        if own < 1:
            raise ProtocolError(
                f"A mini-batch has a sample or more, found {own}: who has none takes no part."
            )
        size = own if n_samples is None else n_samples
        cost = self.costs.client_forward(size, self.setup.cut_of(client))
        cost = self._hops.charged(cost, sent=[self._hops.uploaded(client, size)])
        begin = partial(self._next_batch, client, name, own, n_samples is not None)
        return Work("client_forward", cost, begin, (name,), 1, size)

    def kept_batch(self, client: int) -> SmashedData:
        """A client's next mini-batch, all of which the server keeps (`n_unsent` is 0); takes no time."""
        return self._next_batch(client, name_of(client), self.setup.batches.size(client), keeps=True)

    def _next_batch(self, client: int, name: str, size: int, keeps: bool) -> SmashedData:
        """A client's next mini-batch as the server has it in the end.

        Args:
            client: whose.
            name: of the client-side state.
            size: samples in it.
            keeps: whether the server keeps it, so that the client makes no backward pass.
        """
        state, own = self.states.named[name], self.setup.batches.size(client)
        start, step = self.states.taken(client), self.states.next_steps(client, 1, size)
        drawn = None if (start, size) == (step * own, own) else Drawn(start, size)
        label_bytes = 0 if self.has_tails else self.setup.data.label_bytes
        size_bytes = size * (self.holdings.sample_bytes(client) + label_bytes)
        key = derived_key(state.key, "forward", client, step, self.setup.shard_keys[client], *(drawn or ()))
        n_updates = self.states.updates(self.states.server_of(client))
        life = self.states.lives.get(client, 0)
        batch = MiniBatch(client, step, size, name, key, state, drawn, n_updates=n_updates, life=life)
        if self.journal is not None:
            self.states.in_flight.add(batch)
        call: Alike[Smashed] = Alike(_forwards, lambda: ClientForward(batch, state.value, keeps))
        held = self._operations.held(key, (state,), call)
        return self._hops.smashed(self.states, SmashedData(key, size_bytes, held, batch=batch))

    def has_all(self, client: int) -> bool:
        """Whether the server keeps all samples of a client."""
        return len(self._kept(client, self.states[name_of(client)].key)) == len(self.setup.shards[client])

    def n_unsent(self, client: int) -> int:
        """Samples of a client's next mini-batch that the server has not, each counted once."""
        return len(self._unsent(client, self.states.n_begun(client)))

    def unsent(self, smashed: SmashedData) -> Keyed[Smashed]:
        """The message with what the server has not of a mini-batch: smashed data and labels of these samples.

        Args:
            smashed: of the forward pass; this is called before `keep`.
        """
        batch = smashed.batch
        places = self._unsent(batch.client, batch.step)
        size_bytes = len(places) * sample_bytes(self.setup, self.holdings, batch.client)

        def pick(_: Any) -> Smashed:
            whole = smashed.value
            return Smashed(whole.activations[places], whole.labels[places])

        key = derived_key(smashed.key, "unsent", len(places))
        return self._operations.keyed(key, size_bytes, (smashed,), pick, light=True)

    def keep(self, smashed: SmashedData) -> None:
        """Notes that a mini-batch is with the server as a whole."""
        batch = smashed.batch
        kept = self._kept(batch.client, batch.state.key)
        kept.update(self.setup.batches.indices(batch.client, batch.step).tolist())
        self.states.kept[batch.client] = batch.state.key, kept

    def _unsent(self, client: int, step: int) -> list[int]:
        """Places in a mini-batch of the samples that the server has not, ascending; of one that is there twice the
        first.
        """
        if self.has_all(client):
            return []  # without drawing the mini-batch
        kept = self._kept(client, self.states[name_of(client)].key)
        rows, first = np.unique(self.setup.batches.indices(client, step), return_index=True)
        return sorted(int(place) for row, place in zip(rows.tolist(), first, strict=True) if row not in kept)

    def _kept(self, client: int, state_key: str) -> set[int]:
        """Samples that the server has of a client with these weights."""
        key, kept = self.states.kept.get(client, ("", set()))
        return kept if key == state_key else set()


def _forwards(engine: Engine, calls: list[ClientForward]) -> list[Smashed]:
    return engine.kept_or_made(calls)

"""Training of the server by itself, on mini-batches that it draws from what has arrived."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from gapslsim.errors import ProtocolError
from gapslsim.learning._learner_core import LearnerCore, Shares
from gapslsim.learning._observations import has_losses
from gapslsim.learning.names import SERVER, of_side
from gapslsim.learning.operation import PoolTraining, SmashedData, Trained
from gapslsim.learning.state import SideState
from gapslsim.learning.states import RuleMemory
from gapslsim.work import Keyed, Work, content_key, derived_key

if TYPE_CHECKING:
    from gapslsim.learning.engine import Engine

__all__ = ["ServerTraining"]


class ServerTraining(LearnerCore):
    """Offers training of the server on a pool of smashed data; see `Learner`."""

    def server_training(
        self,
        smashed: Mapping[int, SmashedData] | Iterable[SmashedData],
        epochs: int = 1,
        batch_size: int | None = None,
        weights: Shares = "samples",
        model: str = SERVER,
    ) -> Work[Keyed[SideState]]:
        """Steps of the server on mini-batches drawn from the samples of all these messages, which it shuffles.

        Args:
            smashed: of one client or more.
            epochs: passes over the samples; each in an order of its own.
            batch_size: samples of a step; as many as in the largest message unless given. The last one of a pass may be
                smaller. Where the server's layers mix samples (batch norm) a single last one joins those before it.
            weights: of a client's samples in the mean of a step.
            model: name of the server-side state.

        Raises:
            ProtocolError: if there is nothing to train on, or for a state of the client side.
        """
        messages = list(smashed.values() if isinstance(smashed, Mapping) else smashed)
        if not messages:
            raise ProtocolError("The server trains on smashed data of at least one client; found none.")
        messages.sort(key=lambda message: (message.batch.client, message.batch.step))
        batches = [message.batch for message in messages]
        clients = tuple(batch.client for batch in batches)
        n, most = sum(batch.size for batch in batches), max(batch.size for batch in batches)
        sizes = _mini_batches(n, batch_size or most, self.costs.sizes.server.n_buffers > 0)
        of_client = [len(self.setup.shards[c]) if weights == "samples" else 1 for c in clients]
        name = of_side(model, SERVER)

        def carry_out() -> Keyed[SideState]:
            states, round = self.states, self.round
            state, turn = states[name], states.turn(name)
            own = () if name == SERVER else (name,)
            stream: tuple[int | str, ...] = (round, *([turn] if turn else ()), *own)
            settings = [epochs, list(sizes), of_client, list(clients), list(stream)]
            inputs = [state, *messages]
            key = content_key("server_training", settings, *(given.key for given in inputs))

            def compute(engine: Engine) -> Trained:
                values = [message.value for message in messages]
                return engine.server_training(
                    PoolTraining(
                        batches, state.value, values, of_client, epochs, sizes, round, stream, state.key
                    )
                )

            made, _ = self._operations.outcome(
                key,
                inputs,
                compute,
                lambda trained: {"losses": trained.losses},
                fits=lambda found: has_losses(found, round, clients),
            )
            size_bytes = self.holdings.of(name).size_bytes
            after: Keyed[SideState] = self._operations.part(
                derived_key(key, SERVER), size_bytes, made, lambda trained: trained.state, is_state=True
            )
            states.stepped(name, after, clients, n, RuleMemory("", None), epochs * len(sizes))
            if self.journal is not None:
                needs = (state, *(kept for batch in batches for kept in (batch.state, *batch.needs)))
                for batch in batches:
                    batch.needs = needs
            self._updated()
            return after

        came = [self._hops.uploaded(batch.client, batch.size) for batch in batches]
        cost = self._hops.charged(self.costs.server_training(sizes, epochs), received=came)
        return Work("server_training", cost, carry_out, (name,), epochs * len(sizes))


def _mini_batches(n: int, size: int, mixes_samples: bool) -> tuple[int, ...]:
    """Sizes of the mini-batches of a pass over n samples."""
    sizes = [size] * (n // size) + ([n % size] if n % size else [])
    if mixes_samples and len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [sizes[-2] + 1]
    return tuple(sizes)

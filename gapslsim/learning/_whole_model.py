"""Operations on the whole model, both sides in one: what federated averaging needs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from gapslsim.learning._learner_core import LearnerCore, Shares
from gapslsim.learning.messages import WholeWeights
from gapslsim.learning.names import CLIENT, SERVER, Side
from gapslsim.records import LossRow
from gapslsim.work import Keyed, Work, content_key, derived_key

if TYPE_CHECKING:
    from gapslsim.learning.engine import Engine
    from gapslsim.learning.state import SideState

__all__ = ["WholeModelOperations"]


class WholeModelOperations(LearnerCore):
    """Offers local training of the whole model, and averaging; see `Learner`."""

    def whole_weights(self) -> Keyed[WholeWeights]:
        """Both sides of the common model, as they are now: the global model of federated averaging."""
        client, server = self.states[CLIENT], self.states[SERVER]
        return self._keyed(
            content_key("whole_weights", None, client.key, server.key),
            self._whole_bytes,
            (client, server),
            lambda e: WholeWeights(e.weights(client.value, False), e.weights(server.value, False)),
            light=True,
        )

    @property
    def _whole_bytes(self) -> int:
        return sum(self.holdings.of(side).size_bytes for side in (CLIENT, SERVER))

    def steps_per_epoch(self, client: int) -> int:
        """Mini-batches in one pass over a client's own data."""
        return math.ceil(len(self.setup.shards[client]) / self.setup.batches.size(client))

    def local_training(
        self, client: int, start: Keyed[WholeWeights], n_steps: int
    ) -> Work[Keyed[WholeWeights]]:
        """Steps of the whole model on a client's own mini-batches.

        Args:
            client: whose data.
            start: the model that it received.
            n_steps: mini-batches.
        """
        size = self.setup.batches.size(client)

        def carry_out() -> Keyed[WholeWeights]:
            step, round = self.states.next_steps(client, n_steps, n_steps * size), self.round
            key = content_key(
                "local_training",
                [client, step, n_steps],
                start.key,
                self.setup.shard_keys[client],
                self.setup.key,
            )

            def train(engine: Engine) -> tuple[WholeWeights, LossRow]:
                return engine.local_training(key, start.value, client, range(step, step + n_steps), round)

            self.states.samples_seen += n_steps * size
            trained, _ = self._operations.outcome(
                key, [start], train, lambda made: {"losses": [made[1]]}, later=True
            )
            return self._operations.part(key, start.size_bytes, trained, lambda made: made[0])

        cost = self.costs.local_training(size, n_steps, self.setup.optimizer_of(client))
        return Work("local_training", cost, carry_out, (), n_steps, n_steps * size)

    def average_whole(
        self, trained: Mapping[int, Keyed[WholeWeights]], shares: Shares
    ) -> Work[Keyed[WholeWeights]]:
        """Mean of whole models.

        Args:
            trained: by client.
            shares: weight of each in the mean.
        """
        clients = tuple(sorted(trained))
        models = [trained[client] for client in clients]

        def carry_out() -> Keyed[WholeWeights]:
            self._operations.catch_up()
            weights = self._shares(clients, shares)
            return self._keyed(
                content_key("average_whole", [shares, list(clients)], *(model.key for model in models)),
                self._whole_bytes,
                models,
                lambda e: e.average_whole([model.value for model in models], weights),
            )

        split = self.costs.sizes
        n_parameters = split.client.n_trained + split.server.n_trained
        return Work("average", self.costs.average(len(clients), n_parameters), carry_out)

    def install_whole(self, model: Keyed[WholeWeights]) -> None:
        """Makes a whole model the common one of both sides, with fresh optimizers; takes no time."""
        for side in (CLIENT, SERVER):
            self.states[side] = self._keyed(
                derived_key(model.key, side),
                self.holdings.of(side).size_bytes,
                (model,),
                partial(_fresh, side, model),
                is_state=True,
                light=True,
            )
        self.states.server_steps += 1
        self._updated()


def _fresh(side: Side, model: Keyed[WholeWeights], engine: Engine) -> SideState:
    """One side of a model with a fresh optimizer."""
    weights = model.value.client if side == CLIENT else model.value.server
    return engine.install(side, weights, "reset", None)

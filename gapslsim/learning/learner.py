"""The learner: split learning as a chain of keyed operations, each offered to the clock as `Work`.

Every operation is a deterministic function of named inputs and has a content key: a hash of its name, settings and
inputs' keys. A dry learner makes the same operations, keys, sizes and costs, without tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from gapslsim.learning.costs import OperationCosts
from gapslsim.learning.messages import Smashed, Weights, WholeWeights
from gapslsim.learning.observations import Observations
from gapslsim.learning.reply import ServerReply, make_reply
from gapslsim.learning.rules import ClientUpdate, CutGradient, ServerUpdate
from gapslsim.learning.setup import LearningSetup
from gapslsim.learning.state import SideState
from gapslsim.registry import settings_of
from gapslsim.work import Keyed, Work, content_key

if TYPE_CHECKING:
    from gapslsim.learning.engine import Engine

__all__ = ["Learner"]

T = TypeVar("T")


class Learner:
    """Holds the current states by key and offers every operation on them.

    Args:
        setup: data, model, optimizers.
        engine: does the tensor work; None for a dry run.
    """

    def __init__(self, setup: LearningSetup, engine: Engine | None) -> None:
        self.setup = setup
        self.observed = Observations()
        self.round = 0
        self.samples_seen = 0
        self.holder: int | None = None
        """Vanilla SL: the client that has the one client-side model."""
        self._engine = engine
        data, model = setup.data, setup.model
        self.costs = OperationCosts(
            model, data.input_shape, data.n_classes, setup.client_optimizer, setup.server_optimizer
        )
        split = self.costs.split(1)
        scale = setup.itemsize / 4
        self._client_bytes = int(split.client.parameter_bytes * scale) + split.client.buffer_bytes
        self._server_bytes = int(split.server.parameter_bytes * scale) + split.server.buffer_bytes
        self._client_slot_bytes = int(split.client.parameter_bytes * scale)
        self._sample_bytes = math.prod(split.smashed_shape) * setup.itemsize
        self._initial_client = self._keyed(
            content_key("initial_client", None, setup.key), self._client_bytes, lambda e: e.initial_client
        )
        self._clients: dict[int, Keyed[SideState]] = {}
        self._steps: dict[int, int] = {}
        self._server = self._keyed(
            content_key("initial_server", None, setup.key), self._server_bytes, lambda e: e.initial_server
        )
        self._rule_state: Mapping[str, float] | None = None

    def begin_round(self, round: int) -> None:
        """Names the round for the observations and for rules that depend on it."""
        self.round = round

    def client_state(self, client: int) -> Keyed[SideState]:
        """The client-side model that a client holds; the common initial one until it has trained."""
        if self.holder is not None:
            client = self.holder
        return self._clients.get(client, self._initial_client)

    @property
    def server_state(self) -> Keyed[SideState]:
        """The server-side model."""
        return self._server

    def client_forward(self, client: int) -> Work[Keyed[Smashed]]:
        """FP of the client-side model on the client's next mini-batch."""
        state, step = self._clients.get(client, self._initial_client), self._steps.get(client, 0)
        size = self.setup.batches.size(client)
        key = content_key("client_forward", [client, step], state.key, self.setup.shard_keys[client])
        # labels are int64
        size_bytes = size * (self._sample_bytes + 8)

        def carry_out() -> Keyed[Smashed]:
            self._steps[client] = step + 1
            self.samples_seen += size
            return self._keyed(key, size_bytes, lambda e: e.client_forward(key, state.value, client, step))

        return Work("client_forward", self.costs.client_forward(size), carry_out)

    def server_step(
        self, smashed: Mapping[int, Keyed[Smashed]], rule: ServerUpdate, cut_rule: CutGradient
    ) -> Work[ServerReply]:
        """FP and BP of the server-side model per client, the rule's decision, one server update."""
        clients = tuple(sorted(smashed))
        sizes = [self.setup.batches.size(client) for client in clients]
        shared = [int(cut_rule.shared_fraction * size + 1e-9) for size in sizes]
        state, rule_state, round = self._server, self._rule_state, self.round
        settings = [_settings(rule), _settings(cut_rule), list(clients), round, self.setup.planned_rounds]
        key = content_key("server_step", settings, state.key, *(smashed[c].key for c in clients))

        def carry_out() -> ServerReply:
            n_broadcast = [size if cut_rule.average else n for size, n in zip(sizes, shared, strict=True)]
            outcome = None
            if self._engine is not None:
                outcome = self._engine.server_step(
                    key,
                    state.value,
                    {client: smashed[client].value for client in clients},
                    rule,
                    rule.initial_state() if rule_state is None else rule_state,
                    shared,
                    cut_rule.average,
                    round,
                    state.key,
                )
                self._rule_state = outcome.rule_state
                self.observed.losses.extend(outcome.losses)
                if outcome.detail is not None:
                    self.observed.add_alignment(round, clients, outcome.reported_losses, outcome.detail)
            server_key = content_key("server_state", None, key)
            self._server = (
                Keyed(server_key, self._server_bytes)
                if outcome is None
                else Keyed(server_key, self._server_bytes, outcome.state)
            )
            return make_reply(key, clients, sizes, n_broadcast, self._sample_bytes, outcome)

        return Work("server_step", self.costs.server_step(sizes, shared, rule), carry_out)

    def client_backward(self, client: int, reply: ServerReply, rule: ClientUpdate) -> Work[None]:
        """BP of the client-side model from its cut gradient, and the client's update."""
        state, step = self._clients.get(client, self._initial_client), self._steps[client] - 1
        key = content_key("client_backward", [client, _settings(rule)], state.key, reply.key)
        forward_key = content_key("client_forward", [client, step], state.key, self.setup.shard_keys[client])

        def carry_out() -> None:
            self._clients[client] = self._keyed(
                key,
                self._client_bytes,
                lambda e: e.client_backward(
                    forward_key, state.value, client, step, reply, rule, self._initial_client.value
                ),
            )

        size = self.setup.batches.size(client)
        return Work("client_backward", self.costs.client_backward(size, rule), carry_out)

    def client_weights(self, client: int) -> Keyed[Weights]:
        """A client's weights as a message: parameters and buffers."""
        state = self._clients.get(client, self._initial_client)
        return self._keyed(
            content_key("client_weights", None, state.key),
            self._client_bytes,
            lambda e: Weights(state.value.parameters, state.value.buffers),
        )

    def average(
        self, weights: Mapping[int, Keyed[Weights]], shares: Literal["uniform", "samples"]
    ) -> Work[Keyed[Weights]]:
        """Mean of client-side weights."""
        clients = tuple(sorted(weights))
        key = content_key("average", [shares, list(clients)], *(weights[c].key for c in clients))

        def carry_out() -> Keyed[Weights]:
            return self._keyed(
                key,
                self._client_bytes,
                lambda e: e.average([weights[c].value for c in clients], self._shares(clients, shares)),
            )

        n_parameters = self.costs.split(1).client.n_parameters
        return Work("average", self.costs.average(len(clients), n_parameters), carry_out)

    def install(self, client: int, weights: Keyed[Weights], keep_optimizer: bool) -> None:
        """Replaces a client's weights by received ones; its optimizer state stays or starts anew."""
        state = self._clients.get(client, self._initial_client)
        self._clients[client] = self._keyed(
            content_key("install", keep_optimizer, weights.key, state.key),
            self._client_bytes,
            lambda e: e.install(weights.value, state.value if keep_optimizer else None),
        )

    def handed_model(self, client: int, with_optimizer: bool) -> Keyed[Weights]:
        """The client-side model as vanilla SL hands it on, with or without its optimizer's state."""
        state = self._clients.get(client, self._initial_client)
        slots = self.setup.client_optimizer.n_slots if with_optimizer else 0
        return self._keyed(
            content_key("handed_model", with_optimizer, state.key),
            self._client_bytes + slots * self._client_slot_bytes,
            lambda e: Weights(
                state.value.parameters,
                state.value.buffers,
                state.value.optimizer if with_optimizer else None,
                state.value.n_updates,
            ),
        )

    def take_over(
        self, client: int, model: Keyed[Weights], optimizer: Literal["carry", "keep", "reset"]
    ) -> None:
        """Makes a handed model the client's own."""
        if optimizer != "carry":
            return self.install(client, model, keep_optimizer=optimizer == "keep")
        self._clients[client] = self._keyed(
            content_key("take_over", None, model.key), self._client_bytes, lambda e: e.take_over(model.value)
        )

    def whole_weights(self) -> Keyed[WholeWeights]:
        """The global model of federated averaging: both sides."""
        client, server = self._initial_client, self._server
        return self._keyed(
            content_key("whole_weights", None, client.key, server.key),
            self._client_bytes + self._server_bytes,
            lambda e: WholeWeights(
                Weights(client.value.parameters, client.value.buffers),
                Weights(server.value.parameters, server.value.buffers),
            ),
        )

    def steps_per_epoch(self, client: int) -> int:
        """Mini-batches in one pass over a client's own data."""
        return math.ceil(len(self.setup.shards[client]) / self.setup.batches.size(client))

    def local_training(
        self, client: int, start: Keyed[WholeWeights], n_steps: int
    ) -> Work[Keyed[WholeWeights]]:
        """Steps of the whole model on a client's own mini-batches."""
        step, size, round = self._steps.get(client, 0), self.setup.batches.size(client), self.round
        key = content_key(
            "local_training",
            [client, step, n_steps],
            start.key,
            self.setup.shard_keys[client],
            self.setup.key,
        )

        def train(engine: Engine) -> WholeWeights:
            trained, loss = engine.local_training(
                key, start.value, client, range(step, step + n_steps), round
            )
            self.observed.losses.append(loss)
            return trained

        def carry_out() -> Keyed[WholeWeights]:
            self._steps[client] = step + n_steps
            self.samples_seen += n_steps * size
            return self._keyed(key, start.size_bytes, train)

        return Work("local_training", self.costs.local_training(size, n_steps), carry_out)

    def average_whole(
        self, trained: Mapping[int, Keyed[WholeWeights]], shares: Literal["uniform", "samples"]
    ) -> Work[None]:
        """Mean of whole models; becomes the global model."""
        clients = tuple(sorted(trained))
        key = content_key("average_whole", [shares, list(clients)], *(trained[c].key for c in clients))

        def carry_out() -> None:
            weights = self._shares(clients, shares)
            self._initial_client = self._keyed(
                content_key("client_side", None, key),
                self._client_bytes,
                lambda e: e.install(e.average([trained[c].value.client for c in clients], weights), None),
            )
            self._server = self._keyed(
                content_key("server_side", None, key),
                self._server_bytes,
                lambda e: e.install_server(e.average([trained[c].value.server for c in clients], weights)),
            )

        split = self.costs.split(1)
        n_parameters = split.client.n_parameters + split.server.n_parameters
        return Work("average", self.costs.average(len(clients), n_parameters), carry_out)

    def evaluate(self, views: tuple[str, ...]) -> None:
        """Test accuracy in each view, now; takes no simulated time. Nothing in a dry run."""
        if self._engine is None:
            return
        n_clients = 1 if self.holder is not None else self.setup.n_clients
        states = [self.client_state(client) for client in range(n_clients)]
        if n_clients < self.setup.n_clients:
            states = states * self.setup.n_clients
        self.observed.accuracies.extend(self._engine.evaluate(self.round, states, self._server.value, views))

    def _shares(self, clients: tuple[int, ...], shares: Literal["uniform", "samples"]) -> list[float]:
        if shares == "uniform":
            return [1 / len(clients)] * len(clients)
        sizes = [len(self.setup.shards[client]) for client in clients]
        return [size / sum(sizes) for size in sizes]

    def _keyed(self, key: str, size_bytes: int, compute: Callable[[Engine], T]) -> Keyed[T]:
        """A value computed now, or its key and size alone in a dry run."""
        if self._engine is None:
            return Keyed(key, size_bytes)
        return Keyed(key, size_bytes, compute(self._engine))


@cache
def _settings(rule: object) -> Any:
    """Settings of a rule for its content key; rules are frozen, so each is written out once."""
    return settings_of(rule)

"""What each operation costs, from shapes: the learner's side of the clock."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache

from gapslsim.learning.optimizer import Optimizer
from gapslsim.learning.rules import ClientUpdate, ServerUpdate
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.cost import SplitCost, split_cost
from gapslsim.work import Cost, LayerCost

__all__ = ["OperationCosts"]


class OperationCosts:
    """Costs of the operations of one model; the same `Cost` object for the same question.

    Args:
        setup: the model, its inputs and its optimizers.
    """

    def __init__(self, setup: LearningSetup) -> None:
        self._setup = setup
        # Caches of this object alone, which go with it.
        self.split = cache(self._split)
        self.client_backward = cache(self._client_backward)
        self.local_training = cache(self._local_training)
        self.average = cache(self._average)
        self._server_step = cache(self._build_server_step)

    def _split(self, batch_size: int) -> SplitCost:
        """Costs of both sides for one mini-batch."""
        data = self._setup.data
        about = (self._setup.model, data.input_shape, data.n_classes)
        try:
            return split_cost(*about, batch_size, data.input_dtype)
        except ValueError:
            if batch_size > 1:
                raise
        # What is left of a batch beside a shared pass may be one sample, on which batch norm has no shapes to show.
        return split_cost(*about, 2, data.input_dtype)

    @property
    def sizes(self) -> SplitCost:
        """Costs at the set-up's own batch size, for what is the same at every size."""
        return self.split(self._setup.batch_size)

    def client_forward(self, batch_size: int) -> Cost:
        """Forward pass of the client side."""
        return self.split(batch_size).client.forward

    def _client_backward(self, batch_size: int, rule: ClientUpdate, optimizer: Optimizer) -> Cost:
        """Backward pass of the client side, the rule and the optimizer's step."""
        side = self.split(batch_size).client
        n = side.n_trained
        return Cost(parts=(side.backward, rule.cost(n), optimizer.cost_with_clipping(n)))

    def server_step(self, batch_sizes: Sequence[int], n_shared: Sequence[int], rule: ServerUpdate) -> Cost:
        """Forward and backward per participant, the shared pass of EPSL, the rule and the optimizer step.

        A second-order rule differentiates twice; the Hessian product is charged as two more backward passes per client.
        """
        kinds = Counter(zip(batch_sizes, n_shared, strict=True))
        return self._server_step(tuple(sorted(kinds.items())), rule)

    def _build_server_step(self, kinds: tuple[tuple[tuple[int, int], int], ...], rule: ServerUpdate) -> Cost:
        parts: list[Cost] = []
        n_clients = 0
        for (batch_size, shared), count in kinds:
            n_clients += count
            parts.append(self.split(batch_size).server.forward.times(count))
            if batch_size > shared:
                backward = self.split(batch_size - shared).server.backward
                parts.append(backward.times(count * (3 if rule.second_order else 1)))
        most_shared = max(shared for (_, shared), _ in kinds)
        if most_shared:
            side = self.split(most_shared).server
            parts += [side.forward, side.backward]
        if rule.n_generated:
            made = self.split(rule.n_generated)
            n_samples = rule.n_generated + sum(size * count for (size, _), count in kinds)
            parts += [
                _generation(n_samples, math.prod(made.smashed_shape)),
                made.server.forward,
                made.server.backward,
            ]
        n = self.sizes.server.n_trained
        parts += [rule.cost(n_clients, n), self._setup.server_optimizer.cost_with_clipping(n)]
        return Cost(parts=tuple(parts))

    def _local_training(self, batch_size: int, n_steps: int, optimizer: Optimizer) -> Cost:
        """Steps of the whole model on a client."""
        split = self.split(batch_size)
        client, server = split.client, split.server
        n = client.n_trained + server.n_trained
        passes = (client.forward, server.forward, server.backward, client.backward)
        return Cost(parts=(*passes, optimizer.cost_with_clipping(n))).times(n_steps)

    def _average(self, n_models: int, n_parameters: int) -> Cost:
        """Weighted mean of models: a multiplication and an addition per parameter and model."""
        layer = LayerCost(
            name="average",
            kind="average",
            phase="other",
            work_flop=2.0 * n_models * n_parameters,
            moved_bytes=4.0 * (n_models + 1) * n_parameters,
            n_parameters=n_parameters,
        )
        return Cost((layer,))


def _generation(n_samples: int, n_elements: int) -> Cost:
    """Statistics of what arrived and samples made from them: a mean, a square, a scale and a shift per element."""
    n = n_samples * n_elements
    return Cost((LayerCost("generate", "other", "other", 4.0 * n, 8.0 * n),))

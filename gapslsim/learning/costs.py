"""What each operation costs, from shapes: the learner's side of the clock."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, cached_property
from itertools import pairwise
from typing import TypeVar

from gapslsim.clock_options import ServerClock
from gapslsim.learning._joining import groups_of
from gapslsim.learning.optimizer import Optimizer
from gapslsim.learning.rules import ClientUpdate, ServerUpdate
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.cost import ChainCost, SplitCost, chain_cost, server_backward, split_cost
from gapslsim.models.model import Model
from gapslsim.models.segments import OF_CLIENT, OF_SERVER, Stretch
from gapslsim.models.side_cost import SideCost
from gapslsim.registry import is_shipped
from gapslsim.work import Cost, LayerCost

__all__ = ["OperationCosts"]

T = TypeVar("T")


class OperationCosts:
    """Costs of the operations of one model; the same `Cost` object for the same question.

    Args:
        setup: the model, its inputs and its optimizers.
        server: how the server makes its passes.
        most_joined: samples of a joined pass at most.
    """

    def __init__(
        self, setup: LearningSetup, server: ServerClock | None = None, most_joined: int = sys.maxsize
    ) -> None:
        self._setup = setup
        self.server = server or ServerClock()
        self.most_joined = most_joined
        # Caches of this object alone, which go with it.
        self.split = cache(self._split)
        self.split_at = cache(self._split_at)
        self.chain = cache(self._chain)
        self.client_backward = cache(self._client_backward)
        self.local_training = cache(self._local_training)
        self.average = cache(self._average)
        self.server_training = cache(self._server_training)
        self._server_step = cache(self._build_server_step)
        self._step_of_cuts = cache(self._build_step_of_cuts)
        self.auxiliary = cache(self._auxiliary)
        self.auxiliary_step = cache(self._auxiliary_step)
        self.alignment = cache(self._alignment)
        self._joined_step = cache(self._build_joined_step)

    def _split(self, batch_size: int) -> SplitCost:
        """Costs of both sides for one mini-batch: of clients' first blocks and of the server's.

        Where clients are cut unlike, of the first cut: the server's side is then all that it holds.
        """
        if self._cuts:
            return self.split_at(self._cuts[0], batch_size)
        segments = self._setup.segments
        if segments is not None and not segments.is_two_parts:
            head, *_ = path = segments.paths[0]
            of_server = next(stretch for stretch in path if stretch.owner == OF_SERVER)
            shape = self.chain(batch_size).shapes[segments.bounds.index(of_server.first) - 1]
            return SplitCost(self.of(head, batch_size), self.of(of_server, batch_size), shape)
        return _of_one_sample(batch_size, lambda size: split_cost(*self._about, size, self._dtype))

    def _split_at(self, cut: int | None, batch_size: int) -> SplitCost:
        """Costs of both sides for one mini-batch, where a client's cut is not the model's.

        Args:
            cut: blocks on the client; None for the model's own cut.
            batch_size: samples of the mini-batch.
        """
        if cut is None:
            return self.split(batch_size)
        made = _of_one_sample(batch_size, lambda size: chain_cost(*self._about, size, (cut,), self._dtype))
        (client, server), (shape,) = made.stretches, made.shapes
        return SplitCost(client, server, shape)

    def _chain(self, batch_size: int) -> ChainCost:
        """Costs of all stretches for one mini-batch, where who owns which block is told by segments."""
        assert self._setup.segments is not None
        bounds = self._setup.segments.bounds[1:-1]
        return _of_one_sample(batch_size, lambda size: chain_cost(*self._about, size, bounds, self._dtype))

    @cached_property
    def _cuts(self) -> list[int]:
        """Where clients are cut, ascending, if not all alike."""
        segments = self._setup.segments
        if segments is None or segments.clients_are_alike:
            return []
        return sorted({segments.cut(client) for client in range(self._setup.n_clients)})

    def of(self, stretch: Stretch, batch_size: int) -> SideCost:
        """Costs of a stretch between two neighbouring bounds for one mini-batch."""
        segments = self._setup.segments
        assert segments is not None
        return self.chain(batch_size).stretches[segments.bounds.index(stretch.first)]

    @cached_property
    def _tail(self) -> Stretch | None:
        """The last blocks, where they lie on clients."""
        segments = self._setup.segments
        last = None if segments is None else segments.paths[0][-1]
        return last if last is not None and last.owner == OF_CLIENT else None

    @property
    def _about(self) -> tuple[Model, tuple[int, ...], int]:
        data = self._setup.data
        return self._setup.model, data.input_shape, data.n_classes

    @property
    def _dtype(self) -> str:
        return self._setup.data.input_dtype

    @property
    def sizes(self) -> SplitCost:
        """Costs at the set-up's own batch size, for what is the same at every size."""
        return self.split(self._setup.batch_size)

    def client_forward(self, batch_size: int, cut: int | None = None) -> Cost:
        """Forward pass of the client side."""
        return self.split_at(cut, batch_size).client.forward

    def _client_backward(
        self, batch_size: int, rule: ClientUpdate, optimizer: Optimizer, cut: int | None = None
    ) -> Cost:
        """Backward pass of the client side, the rule and the optimizer's step."""
        side = self.split_at(cut, batch_size).client
        n = side.n_trained + (0 if self._tail is None else self.of(self._tail, batch_size).n_trained)
        return Cost(parts=(side.backward, rule.cost(n), optimizer.cost_with_clipping(n)))

    def joins(self, rule: ServerUpdate) -> bool:
        """Whether the server passes the samples of several clients at once."""
        if self.server.computes in ("per_client", "in_sequence") or self.server.serves == "on_arrival":
            return False
        return not (rule.needs_client_gradients or rule.second_order or self._mixes_samples)

    @cached_property
    def _mixes_samples(self) -> bool:
        """Whether a joined pass would train something else: by running statistics, or as passes show.

        Shipped models mix samples in batch norm alone; what functions a user's own model calls shows in passes only.
        """
        if self.sizes.server.n_buffers or is_shipped(self._setup.model):
            return self.sizes.server.n_buffers > 0
        import torch

        from gapslsim.learning.probe import PROBED, probe
        from gapslsim.models.split import build, cut_at, initial_blocks

        about, segments = (*self._about, self._setup.seed), self._setup.segments
        if segments is None:
            module = build(*about).server
        else:
            (of_server,) = segments.held(OF_SERVER)
            module = cut_at(initial_blocks(*about), (0, *of_server, segments.n_blocks))[1]
        noise = torch.randn(3, PROBED, *self.sizes.smashed_shape, generator=torch.Generator().manual_seed(0))
        return probe(module, list(noise))[0].mixes_samples

    def server_pass(self, batch_size: int, n_shared: int, rule: ServerUpdate, cut: int | None = None) -> Cost:
        """Forward and backward over the samples of a client, or of several joined; the shared ones forward alone.

        Where clients take the loss, the forward pass was made when their smashed data came. A second-order rule
        differentiates twice; the Hessian product is charged as two more backward passes per client.
        """
        forward = self.split_at(cut, batch_size).server.forward
        if batch_size == n_shared:
            return forward
        if rule.steps:
            backward = self.split_at(cut, batch_size - n_shared).server.backward
        else:
            backward = self._server_backward(batch_size - n_shared, of_weights=False)
        if self._tail is not None:
            return backward
        return Cost(parts=(forward, backward.times(3 if rule.second_order else 1)))

    def server_step(
        self,
        batch_sizes: Sequence[int],
        n_shared: Sequence[int],
        rule: ServerUpdate,
        *,
        served: bool = False,
        cuts: Sequence[int] = (),
    ) -> Cost:
        """Passes of the participants, the shared pass of EPSL, the rule and the optimizer step.

        Args:
            batch_sizes: of each mini-batch.
            n_shared: samples of each that go back in one pass for all.
            rule: from gradients to an update.
            served: the passes have been made already, as each arrived.
            cuts: blocks on each client, where they are unlike.
        """
        if cuts:
            return self._step_of_cuts(tuple(sorted(zip(cuts, batch_sizes, strict=True))), rule, served)
        kinds = Counter(zip(batch_sizes, n_shared, strict=True))
        return self._server_step(tuple(sorted(kinds.items())), rule, served)

    def joined_step(self, batch_sizes: Sequence[int], rule: ServerUpdate, adjusted: bool = False) -> Cost:
        """One pass over the samples of all participants, the rule and the optimizer step.

        With adjusted logits it goes backward twice: to the weights, and from other losses to the cut.
        """
        return self._joined_step(sum(batch_sizes), len(batch_sizes), rule, adjusted)

    def _build_joined_step(self, n_samples: int, n_clients: int, rule: ServerUpdate, adjusted: bool) -> Cost:
        n = self.sizes.server.n_trained
        optimizer = self._setup.server_optimizer.cost_with_clipping(n)
        passes = self._adjusted_pass(n_samples) if adjusted else self.server_pass(n_samples, 0, rule)
        return Cost(parts=(passes, rule.cost(n_clients, n), optimizer))

    def _adjusted_pass(self, n_samples: int) -> Cost:
        """A forward pass, two losses, a backward pass of each; the two additions to each logit."""
        forward = self.split(n_samples).server.forward
        loss = forward.layers[-1]
        adding = replace(loss, name="logit adjustment", work_flop=2.0 * loss.n_activations)
        backward = (self._server_backward(n_samples, of_weights=of_weights) for of_weights in (True, False))
        return Cost(parts=(forward, Cost((loss, adding)), *backward))

    def _build_server_step(
        self, kinds: tuple[tuple[tuple[int, int], int], ...], rule: ServerUpdate, served: bool
    ) -> Cost:
        batches = [kind for kind, count in kinds for _ in range(count)]
        n_clients, passes = len(batches), kinds
        if self.joins(rule):
            groups = groups_of([size for size, _ in batches], self.most_joined)
            joined = [(sum(n for n, _ in batches[g]), sum(m for _, m in batches[g])) for g in groups]
            passes = tuple(Counter(joined).items())
        parts = [] if served else [self.server_pass(*kind, rule).times(count) for kind, count in passes]
        most_shared = max(shared for (_, shared), _ in kinds)
        if most_shared:
            side = self.split(most_shared).server
            parts += [side.forward, side.backward]
        if rule.n_generated:
            made = self.split(rule.n_generated)
            n_samples = rule.n_generated + sum(size for size, _ in batches)
            parts += [
                _generation(n_samples, math.prod(made.smashed_shape)),
                made.server.forward,
                made.server.backward,
            ]
        n = self.sizes.server.n_trained
        parts.append(rule.cost(n_clients, n))
        if rule.steps:
            parts.append(self._setup.server_optimizer.cost_with_clipping(n))
        return Cost(parts=tuple(parts))

    def _server_training(self, sizes: tuple[int, ...], epochs: int) -> Cost:
        """Steps of the server on mini-batches of these sizes; it makes no gradient at the cut."""
        optimizer = self._setup.server_optimizer.cost_with_clipping(self.sizes.server.n_trained)
        parts = [
            Cost(
                parts=(self.split(n).server.forward, self._server_backward(n, of_weights=True), optimizer)
            ).times(count * epochs)
            for n, count in Counter(sizes).items()
        ]
        return Cost(parts=tuple(parts))

    def _server_backward(self, batch_size: int, of_weights: bool) -> Cost:
        """A part of the server's backward pass; see `server_backward`."""
        return server_backward(*self._about, batch_size, self.sizes.smashed_shape, of_weights)

    def _build_step_of_cuts(
        self, batches: tuple[tuple[int, int], ...], rule: ServerUpdate, served: bool
    ) -> Cost:
        """As `_build_server_step`, of pairs of cut and batch size: passes of clients with one cut at a time.

        The rule decides on the blocks that it compares; each other block is averaged over those who have it here.
        """
        parts: list[Cost] = []
        for cut in () if served else dict.fromkeys(cut for cut, _ in batches):
            sizes = [size for own, size in batches if own == cut]
            if self.joins(rule):
                sizes = [sum(sizes[group]) for group in groups_of(sizes, self.most_joined)]
            parts += [
                self.server_pass(size, 0, rule, cut).times(count) for size, count in Counter(sizes).items()
            ]

        def trained_after(cut: int) -> int:
            return self.split_at(cut, self._setup.batch_size).server.n_trained

        compared = self._cuts[0 if rule.compares == "own" else -1]
        for first, last in pairwise(cut for cut in self._cuts if cut <= compared):
            if n_having := sum(own <= first for own, _ in batches):
                parts.append(self.average(n_having, trained_after(first) - trained_after(last)))
        parts.append(rule.cost(len(batches), trained_after(compared)))
        return Cost(
            parts=(*parts, self._setup.server_optimizer.cost_with_clipping(trained_after(batches[0][0])))
        )

    def _auxiliary(self, batch_size: int) -> SideCost:
        """Of the auxiliary network for one mini-batch."""
        assert self._setup.auxiliary is not None
        about = self._setup.auxiliary, self.sizes.smashed_shape, self._setup.data.n_classes
        # An empty stretch goes first, as a client's: what follows does give a gradient of its input.
        made = _of_one_sample(batch_size, lambda size: chain_cost(*about, size, (0,), "float32"))
        return made.stretches[-1]

    def _auxiliary_step(self, batch_size: int, trains: bool, optimizer: Optimizer) -> Cost:
        """Local loss and its gradients; the optimizer's step if the auxiliary network takes one.

        Where it takes none, the gradients of its parameters are charged all the same.
        """
        side = self.auxiliary(batch_size)
        update = (optimizer.cost_with_clipping(side.n_trained),) if trains else ()
        return Cost(parts=(side.forward, side.backward, *update))

    def _alignment(self, n_samples: int, epochs: int, batch_size: int, optimizer: Optimizer) -> Cost:
        """The server's cut gradients of kept samples; steps of an auxiliary network that brings its own near them.

        A step differentiates a gradient: its backward pass is charged three times, as for second-order rules.
        """
        server, sizes = (
            self.split(n_samples).server,
            Counter(min(batch_size, n_samples - first) for first in range(0, n_samples, batch_size)),
        )
        steps = [
            Cost(
                parts=(
                    (side := self.auxiliary(size)).forward,
                    side.backward.times(3),
                    optimizer.cost_with_clipping(side.n_trained),
                )
            ).times(epochs * count)
            for size, count in sizes.items()
        ]
        return Cost(parts=(server.forward, server.backward, *steps))

    def relay_step(self, stretch: Stretch, batch_sizes: Sequence[int]) -> Cost:
        """Backward passes of a station, the mean of the gradients and the optimizer step.

        Args:
            stretch: its blocks.
            batch_sizes: of each mini-batch.
        """
        n, parts = self.of(stretch, batch_sizes[0]).n_trained, []
        apart = (
            self.server.computes in ("per_client", "in_sequence")
            or self.of(stretch, batch_sizes[0]).n_buffers
        )
        for size, count in Counter(batch_sizes if apart else [sum(batch_sizes)]).items():
            parts.append(self.of(stretch, size).backward.times(count))
        return Cost(
            parts=(
                *parts,
                self.average(len(batch_sizes), n),
                self._setup.server_optimizer.cost_with_clipping(n),
            )
        )

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


def _of_one_sample(batch_size: int, cost: Callable[[int], T]) -> T:
    """What is left of a batch beside a shared pass may be one sample, on which batch norm has no shapes to show."""
    try:
        return cost(batch_size)
    except ValueError:
        if batch_size > 1:
            raise
    return cost(2)


def _generation(n_samples: int, n_elements: int) -> Cost:
    """Statistics of what arrived and samples made from them: a mean, a square, a scale and a shift per element."""
    n = n_samples * n_elements
    return Cost((LayerCost("generate", "other", "other", 4.0 * n, 8.0 * n),))

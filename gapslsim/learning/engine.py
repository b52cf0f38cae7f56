"""Does the tensor work of a learner: batches from the data, sides of the model, rules applied."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from gapslsim.data.batches import Drawn
from gapslsim.learning._adjusting import losses_of
from gapslsim.learning._joining import stacked_client_samples
from gapslsim.learning._layout import channels_last, in_memory, sent
from gapslsim.learning._limits import limits_for
from gapslsim.learning._observations import Accuracy
from gapslsim.learning._outcome import numerical_error, outcome_of
from gapslsim.learning.augment import augmented
from gapslsim.learning.auxiliary_passes import AuxiliaryPasses
from gapslsim.learning.client_passes import ClientPasses
from gapslsim.learning.criterion import Criterion
from gapslsim.learning.evaluation import evaluate_views
from gapslsim.learning.feature_store import FeatureStore
from gapslsim.learning.gradient_rows import Rows
from gapslsim.learning.judging import Judge
from gapslsim.learning.memory_options import Ways
from gapslsim.learning.messages import Smashed, Weights, WholeWeights
from gapslsim.learning.names import CLIENT, SERVER, side_of
from gapslsim.learning.names import Side as SideName
from gapslsim.learning.operation import (
    ClientBackward,
    ClientForward,
    PoolTraining,
    ServerOutcome,
    ServerStep,
    Trained,
)
from gapslsim.learning.pool_training import train_on_pool
from gapslsim.learning.probe import PROBED
from gapslsim.learning.rules import Decision, Gradients, ServerUpdate
from gapslsim.learning.server_pass import WINDOW, ServerPass, read_together, server_pass, weighed
from gapslsim.learning.setup import LearningSetup
from gapslsim.learning.state import SideState
from gapslsim.learning.tensors import Side, differentiate, flatten, mean_weights, train_locally, unflatten
from gapslsim.learning.workers import Workers, choose_workers
from gapslsim.models.cost import SplitCost, split_cost
from gapslsim.models.split import cut_blocks, initial_blocks
from gapslsim.records import LossRow
from gapslsim.rng import stream, stream_seed

__all__ = ["Engine"]


class Engine:
    """Tensors on one torch device.

    Args:
        setup: data, model, optimizers, seed.
        device: torch device.
        dtype: of parameters and activations.
        evaluation_batch: samples per forward pass of an evaluation.
        workers: how many operations are carried out side by side, or `auto`; see `choose_workers`. Of no account to
            any result.
        ways: how it keeps within the memory of its device; of no account either.
    """

    def __init__(
        self,
        setup: LearningSetup,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        evaluation_batch: int = 256,
        workers: int | Literal["auto"] = 1,
        ways: Ways = Ways(),  # noqa: B008
    ) -> None:
        self._setup = setup
        self._device, self._dtype = device, dtype
        self._evaluation_batch = evaluation_batch
        self._ways = ways
        data = setup.data
        blocks = [
            (name, block.to(device, dtype))
            for name, block in initial_blocks(setup.model, data.input_shape, data.n_classes, setup.seed)
        ]
        # On the device as a whole: batches are then picked there, without a transfer each step.
        self._inputs, self._test_inputs = (
            in_memory(samples.inputs).to(device, torch.int64 if data.input_dtype == "int64" else dtype)
            for samples in (data.train, data.test)
        )
        limits = limits_for(device)
        self._stacks_all = not limits.is_cache
        size = min(PROBED, setup.batch_size)
        chosen = torch.arange(3 * size, device=device) % len(self._inputs)
        self.client, self.server = self._sides(blocks, torch.split(channels_last(self._inputs[chosen]), size))
        # Joining and stacking are chosen by shapes and the kind of device: a choice by what is free there would change
        # the rounding, and with it the content of results that carry the same key.
        costs = split_cost(setup.model, data.input_shape, data.n_classes, setup.batch_size, data.input_dtype)
        self.workers = Workers(choose_workers(workers, device, costs))
        self._joined_samples, self._stacked_samples = (
            limits.samples(most, costs.server, setup.batch_size)
            for most in (limits.joined_bytes, limits.stacked_bytes)
        )
        label_dtype = dtype if data.target == "numbers" else torch.int64
        self._labels = torch.from_numpy(data.train.labels).to(device, label_dtype)
        self._test_labels = torch.from_numpy(data.test.labels).to(label_dtype)
        self._label_shares, counts = np.zeros((len(setup.shards), data.n_classes)), None
        if data.target == "class":
            of_clients = [np.bincount(data.train.labels[s], minlength=data.n_classes) for s in setup.shards]
            self._label_shares = np.stack([n / n.sum() for n in of_clients])
            counts = np.sum(of_clients, axis=0)
        self.criterion = Criterion.of(setup.loss, counts, self._inputs, data.target)
        self._client_passes = self._passes_through(self.client, costs)
        # Elsewhere than on a CPU batches had better be picked together, even where passes are not stacked.
        self._features = FeatureStore(setup.shards)
        self.stacks_clients = self._client_passes.stacks or device.type != "cpu"
        """Whether `client_forwards` and `client_backwards` are faster with several calls at once."""
        _ = setup.auxiliary and self.auxiliary  # Made now, and not in the midst of the first round.
        self.in_waves = self.workers.n > 1 or self.stacks_clients
        """Whether independent operations had better be carried out together."""

    def _sides(self, blocks: list[tuple[str, nn.Module]], examples: Sequence[Tensor]) -> tuple[Side, Side]:
        """Both sides, with what passes of a few training samples tell of them."""
        data = self._setup.data
        split = cut_blocks(self._setup.model, blocks, data.input_shape, data.n_classes)
        client = self._side(split.client, examples, of_client=True)
        return client, self._side(split.server, client.example_outputs, of_client=False)

    def _side(self, layers: nn.Module, examples: Sequence[Tensor], of_client: bool) -> Side:
        setup = self._setup
        steps = (setup.planned_server_steps, setup.planned_client_steps)[of_client]
        optimizer = setup.client_optimizer if of_client else setup.server_optimizer
        return Side(layers, optimizer, steps, examples, self._stacks_all, setup.precision, setup.compile)

    def _passes_through(self, side: Side, costs: SplitCost) -> ClientPasses:
        """Passes through the layers of clients, whose costs these are."""
        setup, limits = self._setup, limits_for(self._device)
        return ClientPasses(
            side,
            self._batches,
            partial(self._seed, side, "client_forward"),
            stacked_client_samples(side, costs, setup.batch_size, limits),
            {c: side.with_optimizer(own) for c, own in enumerate(setup.client_optimizers or ())},
            doubles_lone=limits.is_cache,
            keeps=not self._ways.remakes_passes,
        )

    @property
    def evaluated(self) -> tuple[Side, Side]:
        """Through what states are evaluated, first a client's, then what it is paired with."""
        return self.client, self.server

    def initial(self, state: str) -> SideState:
        """What a state of a name begins with."""
        return self._of_side(side_of(state)).initial()

    def _of_side(self, side: SideName) -> Side:
        """The layers that states of a side are of."""
        return {SERVER: self.server, CLIENT: self.client}.get(side) or self.auxiliary.side

    @cached_property
    def auxiliary(self) -> AuxiliaryPasses:
        """Passes through the auxiliary networks of clients."""
        sides = self.client, self.server
        return AuxiliaryPasses(self._setup, *sides, self._device, self._dtype, self.criterion)

    def kept_or_made(self, calls: Sequence[ClientForward]) -> list[Smashed]:
        """As `client_forwards`, without passes whose outcome is held."""
        return self._features.forwards(calls, self._setup.batches.indices, self.client_forwards)

    def client_forwards(self, calls: Sequence[ClientForward]) -> list[Smashed]:
        """FP of the client side for each call; the tapes are kept for the backward passes of the same operations."""
        return self._client_passes.forward(calls)

    def client_backwards(self, calls: Sequence[ClientBackward]) -> list[SideState]:
        """BP of the client side and its update for each call."""
        return self._client_passes.backward(calls)

    def server_step(self, step: ServerStep) -> ServerOutcome:
        """Gradients of all mini-batches, the rule's decision, one update; and the geometry of the gradients.

        A rule that needs no client's own gradient gets none: they are made for the measurement alone, in a second pass.
        """
        keep_rows = step.rule.needs_client_gradients or step.weights is not None
        whole_pass = partial(
            self._server_pass,
            step,
            self.server,
            step.state,
            step.messages,
            step.n_shared,
            self._server_seeds(step),
            step.rule.second_order,
            together=self.workers.together,
            window=1 if self.workers.n == 1 else WINDOW,
            remakes_graphs=self._ways.remakes_passes,
            on_host=self._ways.rows_on_host,
        )
        passed = whole_pass(
            keep_rows=keep_rows,
            joined_samples=self._joined_samples,
            stacked_samples=self._stacked_samples,
            as_one=step.joined,
        )
        losses, sums = read_together(passed.losses, passed.matrix)
        # One sum instead of a look at every client: NaN and infinity survive addition (inf - inf is NaN).
        if not keep_rows and not math.isfinite(sums[0]):
            passed = whole_pass(keep_rows=True)  # to say whose gradient it is
            losses, sums = read_together(passed.losses, passed.matrix)
        # Before the rule: an aggregator given NaN may raise anything, or give a plausible number.
        self._check(step, losses, sums)
        matrix = passed.matrix
        if step.weights is not None:
            matrix = self._weighed(step.weights, matrix, step.rule)
        gradients = self._gradients(step, passed, matrix)
        decision = step.rule.decide(gradients)
        state = step.state
        # A round in which nobody is admitted has no step, but its passes have moved the running statistics.
        updated = SideState(state.parameters, passed.buffers, state.optimizer, state.n_updates)
        if decision.updates_server:
            updated = self.server.update(state, self._update(step, decision, matrix), passed.buffers)
        rows = passed.matrix
        if step.measures and not keep_rows:
            # Measured after the decision and apart from it: recording geometry must not change what is
            # trained.
            rows = whole_pass(stacked_samples=self._stacked_samples).matrix
        known = gradients.gram if matrix is rows and keep_rows else None
        return outcome_of(step, passed, losses, decision, updated, self._compared(step, rows), known)

    def server_training(self, given: PoolTraining) -> Trained:
        """Steps of the server on mini-batches drawn from a pool."""
        random = stream(self._setup.seed, "server_training", *given.draw)
        seed = partial(self._seed, self.server, "server_training", *given.draw)
        state, told = train_on_pool(self.server, given, random, seed, self.criterion)
        rows = [
            LossRow(given.round, batch.client, loss, batch.size)
            for batch, loss in zip(given.batches, told.tolist(), strict=True)
        ]
        if bad := next((row for row in rows if not math.isfinite(row.loss)), None):
            raise numerical_error("loss", bad.loss, bad.round, bad.client, given.state_key)
        return Trained(state, rows)

    def _server_pass(self, step: ServerStep, *given: Any, **how: Any) -> ServerPass:
        """Passes of all mini-batches; see `server_pass`."""
        criterion, cut_offsets = losses_of(step, self.criterion, self._setup)
        return server_pass(*given, criterion=criterion, cut_offsets=cut_offsets, **how)

    def _weighed(self, weights: Sequence[float], matrix: Rows, rule: ServerUpdate) -> Rows:
        """Gradients times their weights, as the rule wants them."""
        return weighed(weights, matrix, rule.needs_client_gradients)

    def _compared(self, step: ServerStep, rows: Rows) -> Rows:
        """What of clients' gradients is compared: all."""
        return rows

    def _update(self, step: ServerStep, decision: Decision, matrix: Rows) -> tuple[Tensor, ...]:
        """Gradients for the server's optimizer, of the last of its parameters: all, as the rule decides."""
        return unflatten(decision.update, step.state.parameters)

    def _server_seeds(self, step: ServerStep) -> list[int]:
        """Seeds of each mini-batch's pass, and of the shared one."""
        # A mini-batch meets the server once: its step names the stream, counted from 1 as rounds are.
        seeds = [
            self._seed(self.server, "server_step", batch.client, batch.step + 1) for batch in step.batches
        ]
        # No client has index -1, so the shared pass has a stream of its own.
        return [*seeds, self._seed(self.server, "server_step", -1, *step.draw)]

    def _gradients(self, step: ServerStep, passed: ServerPass, matrix: Rows) -> Gradients:
        """What the rule is told."""
        return Gradients(
            matrix=cast("Tensor", matrix),  # Where it is none, the rule has said that it takes it.
            losses=passed.losses,
            clients=step.clients,
            round=step.round,
            planned_rounds=self._setup.planned_rounds,
            state=step.rule_state,
            random=stream(self._setup.seed, "server_rule", *step.draw),
            memory=step.state.memory,
            hessian_product=passed.hessian_product,
            smashed=step.messages if step.rule.n_generated else (),
            at=partial(self._gradient_at, step) if step.rule.n_generated else None,
        )

    def _gradient_at(self, step: ServerStep, activations: Tensor, labels: Tensor) -> Tensor:
        """Gradient of the mean loss of activations that a rule has made up, float [d]."""
        seed = self._seed(self.server, "generated", -1, *step.draw)
        tape = self.server.forward(step.state, activations, seed)
        return flatten(differentiate(self.criterion.mean(tape.output, labels), tape.parameters), activations)

    def average(self, weights: Sequence[Weights], shares: Sequence[float]) -> Weights:
        """Weighted mean of one side's weights."""
        return mean_weights(weights, shares)

    def average_whole(self, models: Sequence[WholeWeights], shares: Sequence[float]) -> WholeWeights:
        """Weighted mean of whole models."""
        return WholeWeights(
            self.average([model.client for model in models], shares),
            self.average([model.server for model in models], shares),
        )

    def weights(self, state: SideState, with_optimizer: bool) -> Weights:
        """What a state sends: its weights, and its optimizer's state if that travels along."""
        if not with_optimizer:
            return Weights(state.parameters, state.buffers)
        return Weights(state.parameters, state.buffers, state.optimizer, state.n_updates)

    def install(
        self,
        side: SideName,
        weights: Weights,
        optimizer: Literal["carry", "keep", "restart", "reset"],
        kept: SideState | None,
    ) -> SideState:
        """A state with these weights; its optimizer comes with them, is that of `kept`, or starts anew."""
        taken: Weights | SideState | None = {"carry": weights, "keep": kept}.get(optimizer)
        # `keep` for a client that never trained, and weights sent without an optimizer, start anew as well.
        if taken is None or taken.optimizer is None:
            fresh = self._of_side(side).optimizer.initial(weights.parameters)
            n_updates = 0 if kept is None else kept.n_updates
            return SideState(weights.parameters, weights.buffers, fresh, n_updates)
        return SideState(weights.parameters, weights.buffers, taken.optimizer, taken.n_updates)

    def local_training(
        self, key: str, start: WholeWeights, client: int, steps: range, round: int
    ) -> tuple[WholeWeights, LossRow]:
        """Local steps of the whole model."""
        # One seed per step serves both sides; it must exist if either of them draws.
        draws = self.client if self.client.draws else self.server
        seeds = [self._seed(draws, "local_training", client, step) for step in steps]
        trained, loss = self._train_locally(start, client, steps, seeds)
        if not math.isfinite(loss):
            raise numerical_error("loss", loss, round, client, key)
        return trained, LossRow(round, client, loss, len(steps) * self._setup.batches.size(client))

    def _train_locally(
        self, start: WholeWeights, client: int, steps: range, seeds: Sequence[int]
    ) -> tuple[WholeWeights, float]:
        """The trained weights and the mean loss."""
        made = self._batches([(client, step, None) for step in steps])
        batches = [(*batch, seed) for batch, seed in zip(made, seeds, strict=True)]
        side = self._client_passes.own.get(client, self.client)
        return train_locally(side, self.server, start, batches, steps.start, self.criterion)

    def evaluate(
        self,
        round: int,
        clients: Sequence[SideState],
        servers: Sequence[SideState],
        views: tuple[str, ...],
        judge: Judge | None = None,
    ) -> list[Accuracy]:
        """Accuracies in the four views, of each client's model with the server's that it is paired with."""
        return evaluate_views(
            *self.evaluated,
            clients,
            servers,
            self._test_inputs,
            self._test_labels,
            self._label_shares,
            views,
            round,
            self._evaluation_batch,
            self.workers.together,
            judge,
            self.criterion,
        )

    def _batches(self, wanted: Sequence[tuple[int, int, Drawn | None]]) -> list[tuple[Tensor, Tensor]]:
        """Inputs [b, ...] and labels [b] of each (client, step, where it lies), picked together."""
        rows = [self._setup.batches.indices(*one) for one in wanted]
        if not rows:
            return []
        if self._setup.augmentation is not None:
            steps = [(client, step) for client, step, _ in wanted]
            return augmented(self._setup, self._inputs, self._labels, steps, rows)
        # One gather for all clients: for small batches the calls take longer than the copying.
        indices = sent(torch.from_numpy(np.concatenate(rows)), self._device)
        sizes = [len(own) for own in rows]
        inputs = torch.split(channels_last(self._inputs[indices]), sizes)
        return list(zip(inputs, torch.split(self._labels[indices], sizes), strict=True))

    def _seed(self, side: Side, operation: str, *purpose: int | str) -> int:
        """Seed of an operation's own random stream; 0 where the side draws nothing, without hashing its name."""
        if not side.draws:
            return 0
        return stream_seed(self._setup.seed, "operation", operation, *purpose)

    @staticmethod
    def _check(step: ServerStep, losses: Sequence[float], sums: Sequence[float]) -> None:
        """Stops at the first client whose loss or gradient is not finite; there may be one gradient for all."""
        of_each = sums if len(sums) == len(losses) else [*sums] * len(losses)
        for row, (loss, total) in enumerate(zip(losses, of_each, strict=True)):
            if not math.isfinite(loss) or not math.isfinite(total):
                what = "gradient" if math.isfinite(loss) else "loss"
                raise numerical_error(what, loss, step.round, step.clients[row], step.state_key)

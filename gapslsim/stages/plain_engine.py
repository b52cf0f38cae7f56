"""An engine that computes as a device does, part by part, and stops the time of each part."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from gapslsim.data.batches import Drawn
from gapslsim.learning._outcome import outcome_of
from gapslsim.learning.client_passes import cut_gradient
from gapslsim.learning.engine import Engine
from gapslsim.learning.messages import Smashed, Weights, WholeWeights
from gapslsim.learning.operation import ClientBackward, ClientForward, ServerOutcome, ServerStep
from gapslsim.learning.rules import Decision, Gradients, ServerUpdate
from gapslsim.learning.server_pass import ServerPass, read_together, server_pass, weighed
from gapslsim.learning.setup import LearningSetup
from gapslsim.learning.state import SideState
from gapslsim.learning.tensors import Tape, differentiate, flatten, unflatten
from gapslsim.stages.clock import Clock
from gapslsim.stages.plain_side import PlainSide

__all__ = ["Part", "PlainEngine", "averaged"]

T = TypeVar("T")


class Part(NamedTuple):
    """One part of an operation, and the time that it took."""

    name: str
    batch_size: int
    """0 where it is not of one mini-batch."""
    seconds: float


class PlainEngine(Engine):
    """Trains as `Engine` does, up to rounding: module by module, mini-batch by mini-batch, updates in place.

    What a device would not do is not timed: putting the tensors of the many devices that are carried out here into one
    module, copying what an update writes to. Steps of the server with a shared pass or second derivatives are timed
    as one pass, made as `Engine` makes it.

    Args:
        setup: data, model, optimizers, seed.
        device: torch device.
        clock: of that device.
        dtype: of parameters and activations.
        evaluation_batch: samples per forward pass of an evaluation.
    """

    def __init__(
        self,
        setup: LearningSetup,
        device: torch.device,
        clock: Clock,
        dtype: torch.dtype = torch.float32,
        evaluation_batch: int = 256,
    ) -> None:
        super().__init__(setup, device, dtype, evaluation_batch)
        # Every operation is carried out, and timed, by itself.
        self.stacks_clients = self.in_waves = False
        self.joins: Callable[[ServerUpdate], bool] = lambda rule: False
        """Whether the server passes the samples of all clients at once; the learner's costs say so."""
        self.parts: list[Part] = []
        """Timed so far; whoever reads them clears them."""
        self._clock = clock
        # Images as PyTorch lays them by itself, and not channels last.
        self._inputs = torch.from_numpy(setup.data.train.inputs).to(device, self._inputs.dtype)
        sides = (self.client, self.server)
        client, server = (copy.deepcopy(side.module) for side in sides)
        self._client, self._server = (
            PlainSide(module, side.optimizer, device, side.planned_steps, setup.precision)
            for module, side in zip((client, server), sides, strict=True)
        )
        self._whole = PlainSide(
            nn.Sequential(client, server), self.client.optimizer, device, self.client.planned_steps
        )

    def client_forwards(self, calls: Sequence[ClientForward]) -> list[Smashed]:
        """See the base class."""
        smashed = []
        for call in calls:
            batch = call.batch
            batch.tape = tape = self._forward(call, partial(self._timed, "", batch.size))
            smashed.append(
                Smashed(
                    tape.output.detach(), self._labels[self._chosen(batch.client, batch.step, batch.drawn)]
                )
            )
        return smashed

    def client_backwards(self, calls: Sequence[ClientBackward]) -> list[SideState]:
        """See the base class. The pass of a frozen client is made, since its device is held for it, for nothing."""
        return [self._backward(call) for call in calls]

    def server_step(self, step: ServerStep) -> ServerOutcome:
        """See the base class. Each mini-batch's pass is timed, then the rule with the update."""
        side, state, rule = self._server, step.state, step.rule
        seeds = self._server_seeds(step)
        stacked: Callable[[], Tensor]
        whole_pass = partial(
            server_pass, self.server, state, step.messages, step.n_shared, seeds, criterion=self.criterion
        )
        if rule.second_order or any(step.n_shared) or step.joined:
            own, second = not step.joined, rule.second_order
            passed = self._timed("pass", 0, lambda: whole_pass(second, keep_rows=own, as_one=step.joined))
            whole = cast("Tensor", passed.matrix)
            rows, stacked = list(whole), lambda: whole
        else:
            passed, rows = self._passes(step, seeds)
            stacked = partial(torch.stack, rows)
        losses, sums = read_together(passed.losses, rows)
        self._check(step, losses, sums)
        side.prepare(state)

        def decide() -> tuple[Gradients, Decision]:
            matrix = stacked()
            if not (rule.needs_client_gradients or step.joined):
                matrix = matrix.sum(0, keepdim=True) / len(step.messages)
            if step.weights is not None:
                matrix = cast("Tensor", weighed(step.weights, stacked(), rule.needs_client_gradients))
            gradients = self._gradients(step, passed, matrix)
            decision = rule.decide(gradients)
            if decision.updates_server:
                side.update(unflatten(decision.update, state.parameters))
            return gradients, decision

        gradients, decision = self._timed("rule", 0, decide)
        updated = SideState(state.parameters, passed.buffers, state.optimizer, state.n_updates)
        if decision.updates_server:
            updated = side.updated(passed.buffers)
        own = rule.needs_client_gradients and step.weights is None
        known = gradients.gram if step.measures and own else None
        measured = passed.matrix
        if step.measures:
            measured = whole_pass().matrix if step.joined else stacked()
        return outcome_of(step, passed, losses, decision, updated, measured, known)

    def average(self, weights: Sequence[Weights], shares: Sequence[float]) -> Weights:
        """See the base class."""
        tensors = [(*each.parameters, *each.buffers) for each in weights]
        return _like(weights[0], self._timed("", 0, partial(averaged, tensors, shares)))

    def average_whole(self, models: Sequence[WholeWeights], shares: Sequence[float]) -> WholeWeights:
        """See the base class."""
        tensors = [
            tuple(t for side in (model.client, model.server) for t in (*side.parameters, *side.buffers))
            for model in models
        ]
        mean = self._timed("", 0, partial(averaged, tensors, shares))
        like = models[0]
        n_client = len(like.client.parameters) + len(like.client.buffers)
        return WholeWeights(_like(like.client, mean[:n_client]), _like(like.server, mean[n_client:]))

    def _train_locally(
        self, start: WholeWeights, client: int, steps: range, seeds: Sequence[int]
    ) -> tuple[WholeWeights, float]:
        side, size = self._whole, self._setup.batches.size(client)
        parameters = (*start.client.parameters, *start.server.parameters)
        buffers = (*start.client.buffers, *start.server.buffers)
        state = SideState(parameters, buffers, self.client.optimizer.initial(parameters), steps.start)
        losses = []
        for step, seed in zip(steps, seeds, strict=True):
            side.load(state.parameters, state.buffers)
            side.prepare(state)
            chosen = self._chosen(client, step)
            losses.append(self._timed("step", size, partial(self._local_step, chosen, seed)))
            state = side.updated(side.buffers)
        n, m = len(start.client.parameters), len(start.client.buffers)
        lower = Weights(state.parameters[:n], state.buffers[:m])
        trained = WholeWeights(lower, Weights(state.parameters[n:], state.buffers[m:]))
        return trained, float(np.mean([float(loss) for loss in losses]))

    def _local_step(self, chosen: Tensor, seed: int) -> Tensor:
        """One step of the whole model; its loss."""
        with self.client.seeded(seed, self._device):
            output = self._client(self._inputs[chosen])
        with self.server.seeded(seed + 1, self._device):
            loss = self.criterion.mean(self._server(output), self._labels[chosen])
        self._whole.update(differentiate(loss, self._whole.parameters))
        return loss.detach()

    def _forward(self, call: ClientForward, run: Callable[[Callable[[], Tensor]], Tensor]) -> Tape:
        """A client's forward pass, run by `run`."""
        side, batch = self._client, call.batch
        chosen = self._chosen(batch.client, batch.step, batch.drawn)
        side.load(call.state.parameters, call.state.buffers)
        seed = self._seed(self.client, "client_forward", batch.client, batch.step)
        with self.client.seeded(seed, self._device):
            output = run(lambda: side(self._inputs[chosen]))
        return Tape(output, tuple(side.parameters), side.buffers)

    def _backward(self, call: ClientBackward) -> SideState:
        batch, state = call.answer.batch, call.state
        tape, batch.tape = batch.tape, None
        if tape is None:  # used by a computation that was cancelled
            tape = self._forward(ClientForward(batch, batch.state.value), lambda forward: forward())
        cut = cut_gradient(call.answer)
        self._client.prepare(state)

        def backward() -> None:
            gradients = differentiate(tape.output, tape.parameters, cut)
            with torch.no_grad():
                gradients = call.rule.adjust(gradients, state.parameters, call.initial.parameters)
            self._client.update(gradients)

        self._timed("", batch.size, backward)
        return state if call.answer.fate == "freeze" else self._client.updated(tape.buffers)

    def _passes(self, step: ServerStep, seeds: Sequence[int]) -> tuple[ServerPass, list[Tensor]]:
        """The server's passes, one per mini-batch or joined, and the gradient of each; the rule puts them together."""
        made: list[tuple[Tensor, Tensor, Sequence[Tensor]]] = []
        buffers = step.state.buffers
        joined = self.joins(step.rule) and step.weights is None and not step.measures
        groups = [step.messages] if joined else [[message] for message in step.messages]
        for group, seed in zip(groups, seeds, strict=False):
            self._server.load(step.state.parameters, buffers)
            size = sum(len(message.labels) for message in group)
            with self.server.seeded(seed, self._device):
                made.append(self._timed("pass", size, partial(self._pass, group)))
            buffers = self._server.buffers
        rows = [row for row, _, _ in made]
        losses, cuts = torch.cat([losses for _, losses, _ in made]), [cut for *_, own in made for cut in own]
        none = rows[0].new_empty(0, len(rows[0]))
        return ServerPass(losses, none, cuts, None, buffers, None), rows

    def _pass(self, messages: Sequence[Smashed]) -> tuple[Tensor, Tensor, Sequence[Tensor]]:
        """Forward and backward of mini-batches: gradient of the sum of their losses [d], losses, cut gradients."""
        sizes = [len(message.labels) for message in messages]
        entered = torch.cat([message.activations.detach() for message in messages]).requires_grad_()
        losses = self.criterion.means(
            self._server(entered), torch.cat([message.labels for message in messages]), sizes
        )
        *gradients, cut = self._server.backward_from_loss(losses.sum(), entered)
        return flatten(gradients, cut), losses.detach(), torch.split(cut, sizes)

    def _chosen(self, client: int, step: int, drawn: Drawn | None = None) -> Tensor:
        """Which samples are in a mini-batch."""
        return torch.from_numpy(self._setup.batches.indices(client, step, drawn)).to(self._device)

    def _timed(self, part: str, batch_size: int, call: Callable[[], T]) -> T:
        made: list[T] = []
        seconds = self._clock.time(lambda: made.append(call()))
        self.parts.append(Part(part, batch_size, seconds))
        return made[0]


def averaged(models: Sequence[Sequence[Tensor]], shares: Sequence[float]) -> list[Tensor]:
    """Weighted mean of models, tensor by tensor: a multiplication and an addition per parameter and model.

    Args:
        models: tensors of each; of those that are no floating-point numbers the first model's are taken.
        shares: non-negative, summing to one.
    """
    mean = [t * shares[0] if t.is_floating_point() else t.clone() for t in models[0]]
    for model, share in zip(models[1:], shares[1:], strict=True):
        for total, tensor in zip(mean, model, strict=True):
            if total.is_floating_point():
                total.add_(tensor, alpha=share)
    return mean


def _like(weights: Weights, tensors: Sequence[Tensor]) -> Weights:
    n = len(weights.parameters)
    return Weights(tuple(tensors[:n]), tuple(tensors[n:]))

"""Does the tensor work of a learner: batches from the data, sides of the model, rules applied."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from gapslsim.errors import NumericalError
from gapslsim.learning.calls import ClientBackward, ClientForward
from gapslsim.learning.client_passes import ClientPasses
from gapslsim.learning.evaluation import evaluate_views
from gapslsim.learning.geometry import Geometry, measure
from gapslsim.learning.messages import Smashed, Weights, WholeWeights
from gapslsim.learning.observations import Accuracy
from gapslsim.learning.rules import AlignmentDetail, Fate, Gradients, ServerUpdate
from gapslsim.learning.server_pass import average_over_clients, server_pass
from gapslsim.learning.setup import LearningSetup
from gapslsim.learning.state import SideState
from gapslsim.learning.tensors import Side, mean_weights, train_locally, unflatten
from gapslsim.learning.workers import WORTH_FLOP, Workers, choose_workers, passes_flop
from gapslsim.models.cost import SideCost, SplitCost, split_cost
from gapslsim.models.split import build
from gapslsim.records import LossRow
from gapslsim.rng import stream, stream_seed
from gapslsim.work import Keyed

__all__ = ["Engine", "ServerOutcome", "choose_device", "intra_op_threads"]

_JOINED_BYTES = 4 << 20
"""Most bytes of a layer's inputs and outputs in a joined pass of the server."""

_STACKED_BYTES = 1 << 20
"""The same for passes side by side, of clients or for every client's gradient; they pay for small layers only."""


@dataclass(frozen=True, eq=False)
class ServerOutcome:
    """Result of one server step."""

    state: SideState
    rule_state: Mapping[str, float]
    own: Mapping[int, Tensor]
    shared: Tensor | None
    fates: Mapping[int, Fate]
    losses: list[LossRow]
    reported_losses: list[float]
    detail: AlignmentDetail | None
    geometry: Geometry | None = None
    """Of the gradients, where it was asked for."""


class Engine:
    """Tensors on one torch device.

    Args:
        setup: data, model, optimizers, seed.
        device: torch device.
        dtype: of parameters and activations.
        evaluation_batch: samples per forward pass of an evaluation.
        workers: how many operations are carried out side by side, or `auto`; see `choose_workers`. Of no account to
            any result.
    """

    def __init__(
        self,
        setup: LearningSetup,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        evaluation_batch: int = 256,
        workers: int | Literal["auto"] = 1,
    ) -> None:
        self._setup = setup
        self._device = device
        self._evaluation_batch = evaluation_batch
        data = setup.data
        split = build(setup.model, data.input_shape, data.n_classes, setup.seed)
        self.client = Side(split.client.to(device, dtype), setup.client_optimizer, setup.planned_client_steps)
        self.server = Side(split.server.to(device, dtype), setup.server_optimizer, setup.planned_server_steps)
        self.initial_client = self.client.initial()
        self.initial_server = self.server.initial()
        costs = split_cost(setup.model, data.input_shape, data.n_classes, setup.batch_size)
        self.workers = Workers(choose_workers(workers, device, costs))
        self.together = self.workers.together
        self._joined_samples = _samples_within(_JOINED_BYTES, costs.server, setup.batch_size)
        self._stacked_samples = _samples_within(_STACKED_BYTES, costs.server, setup.batch_size)
        self._inputs = _in_memory(data.train.inputs).to(device, dtype)
        self._labels = torch.from_numpy(data.train.labels).to(device)
        self._test_inputs = _in_memory(data.test.inputs).to(device, dtype)
        self._test_labels = torch.from_numpy(data.test.labels).to(device)
        self._label_shares = np.stack(
            [np.bincount(data.train.labels[s], minlength=data.n_classes) / len(s) for s in setup.shards]
        )
        self._client_passes = ClientPasses(
            self.client,
            self._batches,
            partial(self._seed, self.client, "client_forward"),
            _stacked_client_samples(self.client, costs, setup.batch_size),
        )

    @property
    def stacks_clients(self) -> bool:
        """Whether `client_forwards` and `client_backwards` are faster with several calls at once."""
        return self._client_passes.stacks

    @property
    def in_waves(self) -> bool:
        """Whether independent operations had better be carried out together."""
        return self.workers.n > 1 or self.stacks_clients

    def client_forwards(self, calls: Sequence[ClientForward]) -> list[Smashed]:
        """FP of the client side for each call; the tapes are kept for the backward passes of the same operations."""
        return self._client_passes.forward(calls)

    def client_backwards(self, calls: Sequence[ClientBackward]) -> list[SideState]:
        """BP of the client side and its update for each call."""
        return self._client_passes.backward(calls)

    def server_step(
        self,
        key: str,
        state: SideState,
        smashed: Mapping[int, Smashed],
        rule: ServerUpdate,
        rule_state: Mapping[str, float],
        n_shared: Sequence[int],
        average_cut: bool,
        round: int,
        state_key: str,
        measures: bool = False,
    ) -> ServerOutcome:
        """Gradients of all participants, the rule's decision, one update; and the geometry of the gradients.

        A rule that needs no client's own gradient gets none: they are made for the measurement alone, in a second pass.
        """
        clients = tuple(sorted(smashed))
        self._client_passes.forget(clients)
        seeds = [self._seed(self.server, "server_step", client, round) for client in (*clients, -1)]
        messages = [smashed[client] for client in clients]
        keep_rows = rule.needs_client_gradients
        whole_pass = partial(
            server_pass,
            self.server,
            state,
            messages,
            n_shared,
            seeds,
            rule.second_order,
            together=self.together,
        )
        passed = whole_pass(
            keep_rows=keep_rows, joined_samples=self._joined_samples, stacked_samples=self._stacked_samples
        )
        if not keep_rows and not bool(torch.isfinite(passed.matrix.sum())):
            passed = whole_pass(keep_rows=True)  # to say whose gradient it is
        self._check(passed.losses, passed.matrix, clients, round, state_key)
        gradients = Gradients(
            matrix=passed.matrix,
            losses=passed.losses,
            clients=clients,
            round=round,
            planned_rounds=self._setup.planned_rounds,
            state=rule_state,
            random=stream(self._setup.seed, "server_rule", round),
            memory=state.memory,
            hessian_product=passed.hessian_product,
        )
        decision = rule.decide(gradients)
        cuts = passed.cuts
        if decision.cut_terms is not None:
            cuts = [c if t is None else c + t for c, t in zip(cuts, decision.cut_terms, strict=True)]
        shared = passed.shared_cut
        if average_cut:
            whole = [_joined(cut, shared, n) for cut, n in zip(cuts, n_shared, strict=True)]
            shared = average_over_clients(whole, [len(cut) for cut in whole])
        n_broadcast = [len(c) if average_cut else n for c, n in zip(cuts, n_shared, strict=True)]
        updated = SideState(state.parameters, passed.buffers, state.optimizer, state.n_updates)
        if decision.updates_server:
            updated = self.server.update(state, unflatten(decision.update, state.parameters), passed.buffers)
        updated = replace(updated, memory=dict(decision.memory))
        geometry = None
        if measures:
            update = decision.update if decision.updates_server else None
            rows = passed if keep_rows else whole_pass(stacked_samples=self._stacked_samples)
            known = gradients.gram if keep_rows else None
            geometry = measure(rows.matrix, update, clients, round, decision.fates, decision.detail, known)
        losses = passed.losses.tolist()
        return ServerOutcome(
            state=updated,
            rule_state=decision.state,
            own={client: cut[n:] for client, cut, n in zip(clients, cuts, n_broadcast, strict=True)},
            shared=shared,
            fates=dict(zip(clients, decision.fates, strict=True)),
            losses=[
                LossRow(round, client, loss, len(smashed[client].labels))
                for client, loss in zip(clients, losses, strict=True)
            ],
            reported_losses=decision.losses.tolist(),
            detail=decision.detail,
            geometry=geometry,
        )

    def average(self, weights: Sequence[Weights], shares: Sequence[float]) -> Weights:
        """Weighted mean of one side's weights."""
        return mean_weights(weights, shares)

    def install(self, weights: Weights, state: SideState | None) -> SideState:
        """A client state with these weights; the optimizer of `state`, or a fresh one."""
        if state is None:
            return SideState(
                weights.parameters, weights.buffers, self.client.optimizer.initial(weights.parameters)
            )
        return SideState(weights.parameters, weights.buffers, state.optimizer, state.n_updates)

    def install_server(self, weights: Weights) -> SideState:
        """A server state with these weights and a fresh optimizer."""
        optimizer = self.server.optimizer.initial(weights.parameters)
        return SideState(weights.parameters, weights.buffers, optimizer)

    def take_over(self, model: Weights) -> SideState:
        """A client state from a model that was handed on with its optimizer."""
        assert model.optimizer is not None
        return SideState(model.parameters, model.buffers, model.optimizer, model.n_updates)

    def local_training(
        self, key: str, start: WholeWeights, client: int, steps: range, round: int
    ) -> tuple[WholeWeights, LossRow]:
        """Local steps of the whole model."""
        draws = self.client if self.client.draws else self.server
        seeds = [self._seed(draws, "local_training", client, step) for step in steps]
        made = self._batches([(client, step) for step in steps])
        batches = [(*batch, seed) for batch, seed in zip(made, seeds, strict=True)]
        trained, loss = train_locally(self.client, self.server, start, batches, steps.start)
        if not math.isfinite(loss):
            raise _numerical_error("loss", loss, round, client, key)
        return trained, LossRow(round, client, loss, sum(len(labels) for _, labels, _ in batches))

    def evaluate(
        self, round: int, clients: Sequence[Keyed[SideState]], server: SideState, views: tuple[str, ...]
    ) -> list[Accuracy]:
        """Accuracies in the four views."""
        return evaluate_views(
            self.client,
            self.server,
            [client.value for client in clients],
            [server] * len(clients),
            self._test_inputs,
            self._test_labels,
            self._label_shares,
            views,
            round,
            self._evaluation_batch,
            self.together,
        )

    def _batches(self, wanted: Sequence[tuple[int, int]]) -> list[tuple[Tensor, Tensor]]:
        """Inputs [b, ...] and labels [b] of each (client, step), picked together."""
        rows = [self._setup.batches.indices(client, step) for client, step in wanted]
        if not rows:
            return []
        indices = torch.from_numpy(np.concatenate(rows)).to(self._device)
        sizes = [len(own) for own in rows]
        inputs = torch.split(_channels_last(self._inputs[indices]), sizes)
        return list(zip(inputs, torch.split(self._labels[indices], sizes), strict=True))

    def _seed(self, side: Side, operation: str, client: int, step: int) -> int:
        """Seed of an operation's own random stream; 0 where the side draws nothing, without hashing its name."""
        if not side.draws:
            return 0
        return stream_seed(self._setup.seed, "operation", operation, client, step)

    @staticmethod
    def _check(losses: Tensor, matrix: Tensor, clients: tuple[int, ...], round: int, state_key: str) -> None:
        """Stops at the first client whose loss or gradient is not finite."""
        finite = torch.isfinite(losses) & torch.isfinite(matrix.sum(dim=1))
        if bool(finite.all()):
            return
        row = int((~finite).nonzero()[0])
        what = "gradient" if bool(torch.isfinite(losses[row])) else "loss"
        raise _numerical_error(what, float(losses[row]), round, clients[row], state_key)


def _joined(cut: Tensor, shared: Tensor | None, n_shared: int) -> Tensor:
    """A client's whole cut gradient: the shared rows, then its own."""
    return cut if shared is None else torch.cat([shared[:n_shared], cut[n_shared:]])


def _numerical_error(what: str, loss: float, round: int, client: int, state_key: str) -> NumericalError:
    return NumericalError(
        f"round {round}, client {client}: the {what} is not finite (loss {loss}). The last good state is "
        f"{state_key[:12]}, after round {round - 1}. Lower the learning rate (training.client.lr, training.server.lr) "
        "or the momentum."
    )


def _in_memory(inputs: np.ndarray) -> Tensor:
    """Inputs as a tensor [n, ...]; images lie channels last, which convolutions and poolings are faster on."""
    tensor = torch.from_numpy(inputs)
    if tensor.dim() != 4:
        return tensor
    return _channels_last(tensor.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2))


def _channels_last(images: Tensor) -> Tensor:
    """Images of one channel [n, 1, h, w] with the strides of channels last, which the layers after them then keep.

    Such images lie the same either way, and PyTorch takes them for channels first unless their strides say otherwise.
    """
    if images.dim() != 4 or images.shape[1] != 1:
        return images
    height, width = images.shape[2:]
    return images.as_strided(images.shape, (height * width, 1, width, 1))


def _samples_within(n_bytes: int, side: SideCost, batch_size: int) -> int:
    """Samples whose inputs and outputs fit, at the side's largest layer; more would fall out of the cache."""
    return n_bytes * batch_size // max(side.workspace_bytes, 1)


def _stacked_client_samples(client: Side, costs: SplitCost, batch_size: int) -> int:
    """Most samples of client-side passes side by side; 0 where threads, or one pass after the other, are faster.

    Like every such choice it looks at the scenario alone, so that results do not depend on the machine's size.
    """
    if not client.stackable or passes_flop(costs) >= WORTH_FLOP:
        return 0
    most = _samples_within(_STACKED_BYTES, costs.client, batch_size)
    return most if most >= 2 * batch_size else 0


@contextmanager
def intra_op_threads(n: int) -> Iterator[None]:
    """Torch with `n` threads inside each operation on the CPU, and as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one, else the CPU; anything else is torch's own name for a device."""
    if name != "auto":
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")

"""The engine of a network whose blocks have several owners, or unlike ones from client to client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from gapslsim.learning._layout import sent
from gapslsim.learning.client_passes import cut_gradient
from gapslsim.learning.engine import Engine
from gapslsim.learning.messages import Smashed, Weights
from gapslsim.learning.operation import (
    ClientForward,
    MiniBatch,
    RelayStep,
    ServerOutcome,
    ServerStep,
    TailPass,
)
from gapslsim.learning.relay_passes import RECEIVED, forward_alone, tail_pass
from gapslsim.learning.server_pass import ServerPass, server_pass
from gapslsim.learning.state import SideState
from gapslsim.learning.stretches import Stretches
from gapslsim.learning.tensors import Side, unflatten
from gapslsim.models.segments import OF_CLIENT, OF_SERVER, Path

__all__ = ["SegmentedEngine"]


class SegmentedEngine(Engine):
    """An engine whose passes go through stretches of blocks; see `Engine`."""

    def __init__(self, *given: Any, **how: Any) -> None:
        super().__init__(*given, **how)
        self._has_tails = self._path(0)[-1].owner == OF_CLIENT
        if self._has_tails:
            self._client_passes = replace(self._client_passes, head=self._head)

    def _sides(self, blocks: list[tuple[str, nn.Module]], examples: Sequence[Tensor]) -> tuple[Side, Side]:
        """The head of the first client and what the server holds: for what is the same for all."""
        segments = self._setup.segments
        assert segments is not None
        self.stretches = Stretches(blocks, segments, examples, self._side)
        client = self.stretches.side(segments.of_client(0)[0], of_client=True)
        (of_server,) = segments.held(OF_SERVER)
        return client, self.stretches.side(of_server)

    @property
    def evaluated(self) -> tuple[Side, Side]:
        """The whole network, and nothing."""
        return self.stretches.whole, self.stretches.nothing

    @property
    def nothing(self) -> SideState:
        """The state of no layer at all."""
        return self.stretches.nothing.initial()

    def initial(self, state: str) -> SideState:
        """What a state of a name begins with."""
        return self.stretches.initial(state)

    def assembled(self, client: int, states: Mapping[str, SideState], names: Mapping[str, str]) -> SideState:
        """A client's whole network; see `Stretches.assembled`."""
        return self.stretches.assembled(client, states, names)

    def client_forwards(self, calls: Sequence[ClientForward]) -> list[Smashed]:
        """See the base class; labels stay on clients that take the loss."""
        made = super().client_forwards(calls)
        return [Smashed(one.activations, one.labels[:0]) for one in made] if self._has_tails else made

    def relay_forward(self, owner: str, client: int, step: int, state: SideState, came: Smashed) -> Smashed:
        """FP of a station on what has come of a mini-batch."""
        blocks = next(stretch.blocks for stretch in self._path(client) if stretch.owner == owner)
        side = self.stretches.side(blocks)
        weights = self.stretches.part(state, self.stretches.segments.held(owner), blocks)
        return forward_alone(side, weights, came, self._pass_seed(owner, side, client, step))

    def tail_pass(self, batch: MiniBatch, state: SideState, features: Smashed) -> TailPass:
        """FP of a client's last blocks, its loss, BP."""
        client, step = batch.client, batch.step
        held = self.stretches.segments.of_client(client)
        side = self.stretches.side(held[-1], of_client=True)
        indices = torch.from_numpy(self._setup.batches.indices(client, step, batch.drawn))
        labels = self._labels[sent(indices, self._device)]
        weights, seed = self.stretches.part(state, held, held[-1]), self._seed(side, "tail", client, step)
        return tail_pass(side, weights, features.activations, labels, seed, self.criterion)

    def relay_step(self, step: RelayStep) -> ServerOutcome:
        """BP of a station from the gradients that came back, and its update with the mean of those that count."""
        (blocks,) = self.stretches.segments.held(step.station)
        side, counts = self.stretches.side(blocks), [answer.fate == "train" for answer in step.answers]
        messages = [
            Smashed(came.activations, cut_gradient(answer) * admitted)
            for came, answer, admitted in zip(step.messages, step.answers, counts, strict=True)
        ]
        seeds = [self._pass_seed(step.station, side, *place) for place in step.places]
        passed = server_pass(
            side, step.state, messages, [0] * len(messages), [*seeds, 0], keep_rows=False,
            joined_samples=self._joined_samples, together=self.workers.together, criterion=RECEIVED,
        )  # fmt: skip
        updated = SideState(step.state.parameters, passed.buffers, step.state.optimizer, step.state.n_updates)
        if any(counts):
            mean = cast("Tensor", passed.matrix)[0] * (len(counts) / sum(counts))
            updated = side.update(step.state, unflatten(mean, step.state.parameters), passed.buffers)
        fates = [answer.fate or "train" for answer in step.answers]
        return ServerOutcome(updated, {}, passed.cuts, None, fates, [], [], None)

    def _server_pass(self, step: ServerStep, *given: Any, **how: Any) -> ServerPass:
        if step.losses is None:
            return super()._server_pass(step, *given, **how)
        return replace(server_pass(*given, criterion=RECEIVED, **how), losses=torch.cat(list(step.losses)))

    def _pass_seed(self, owner: str, side: Side, client: int, step: int) -> int:
        """Of a station's pass on a mini-batch: the same forward and backward, and for the server that of its step."""
        where = () if owner == OF_SERVER else (owner,)
        return self._seed(side, "server_step", *where, client, step + 1)

    def _head(self, state: SideState) -> Weights:
        held = self.stretches.segments.of_client(0)
        return self.stretches.part(state, held, held[0])

    def _path(self, client: int) -> Path:
        return self.stretches.segments.paths[client]

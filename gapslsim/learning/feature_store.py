"""Smashed data that frozen clients' passes have given, so that a pass need not be made again for the same samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Shaped
from numpy.typing import NDArray
from torch import Tensor

from gapslsim.learning._layout import sent
from gapslsim.learning.messages import Smashed
from gapslsim.learning.operation import ClientForward

__all__ = ["MOST_BYTES", "FeatureStore"]

MOST_BYTES: Final = 1 << 30
"""Of all clients' features; where they would be more, passes are made again. Changes speed alone."""


@dataclass(eq=False)
class _Held:
    """Of one client."""

    state_key: str
    """Of the weights that gave it."""
    known: NDArray[np.bool_]
    """By place in the shard."""
    activations: Shaped[Tensor, "n ..."] | None
    """None where passes do not give the same bits each time."""
    labels: Shaped[Tensor, "n ..."]
    strides: tuple[int, ...]
    """Of a mini-batch's activations: kernels of the next layers go by them, and with them the rounding."""
    is_tried: bool = False


class FeatureStore:
    """Features by client and sample, of calls that say `keeps`.

    What is taken from here is to the last bit what the pass would give. Kernels may treat a sample unlike at other
    places of a batch, so each client's first mini-batch that is known as a whole is passed nonetheless and compared;
    where a bit differs, its passes are always made.

    Args:
        shards: training samples of each client.
    """

    def __init__(self, shards: Sequence[NDArray[np.int64]]) -> None:
        self._shards = [np.sort(shard) for shard in shards]
        self._n_samples = sum(map(len, shards))
        self._held: dict[int, _Held] = {}

    def forwards(
        self,
        calls: Sequence[ClientForward],
        indices: Callable[[int, int], NDArray[np.int64]],
        make: Callable[[Sequence[ClientForward]], list[Smashed]],
    ) -> list[Smashed]:
        """What each call gives.

        Args:
            calls: of forward passes.
            indices: from client and step to the training samples of the mini-batch.
            make: makes passes.
        """
        if not any(call.keeps for call in calls):
            return make(calls)
        places = [
            self._places(call, indices) if call.keeps else np.empty(0, dtype=np.int64) for call in calls
        ]
        found = {i: taken for i, call in enumerate(calls) if (taken := self._taken(call, places[i]))}
        others = [i for i in range(len(calls)) if i not in found]
        made = make([calls[i] for i in others]) if others else []
        for i, smashed in zip(others, made, strict=True):
            found[i] = smashed
            if calls[i].keeps:
                calls[i].batch.tape = None  # There is no backward pass.
                self._note(calls[i], places[i], smashed)
        return [found[i] for i in range(len(calls))]

    def _places(
        self, call: ClientForward, indices: Callable[[int, int], NDArray[np.int64]]
    ) -> NDArray[np.int64]:
        batch = call.batch
        return np.searchsorted(self._shards[batch.client], indices(batch.client, batch.step))

    def _taken(self, call: ClientForward, places: NDArray[np.int64]) -> Smashed | None:
        held = self._held.get(call.batch.client) if call.keeps else None
        if held is None or held.state_key != call.batch.state.key or not held.is_tried:
            return None
        if held.activations is None or not held.known[places].all():
            return None
        chosen = sent(torch.from_numpy(places), held.activations.device)
        shape = len(places), *held.activations.shape[1:]
        activations = held.activations.new_empty_strided(shape, held.strides)
        return Smashed(activations.copy_(held.activations[chosen]), held.labels[chosen])

    def _note(self, call: ClientForward, places: NDArray[np.int64], made: Smashed) -> None:
        client, key = call.batch.client, call.batch.state.key
        activations, labels, n = made.activations, made.labels, len(self._shards[client])
        if activations[0].numel() * activations.element_size() * self._n_samples > MOST_BYTES:
            return
        held = self._held.get(client)
        if held is None or held.state_key != key:
            held = _Held(
                key,
                np.zeros(n, dtype=bool),
                activations.new_empty(n, *activations.shape[1:]),
                labels.new_empty(n, *labels.shape[1:]),
                activations.stride(),
            )
            self._held[client] = held
        if held.activations is None:
            return
        if held.strides != activations.stride():
            held.activations = None
            return
        chosen = sent(torch.from_numpy(places), activations.device)
        if held.known[places].all():
            if not torch.equal(held.activations[chosen], activations):
                held.activations = None
            held.is_tried = True
        else:
            held.activations[chosen], held.labels[chosen] = activations, labels
            held.known[places] = True

"""States that hold the same weights, made to share them: what is evaluated once must not depend on how it came to be.

States that were read from checkpoints are equal to those that were computed, but not the same objects.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gapslsim.learning.state import SideState

__all__ = ["identity", "with_shared_weights"]


def identity(state: SideState) -> tuple[int, int]:
    """Of a state's weights and buffers as objects: the same for states that share both."""
    return id(state.parameters), id(state.buffers)


def with_shared_weights(states: Sequence[SideState]) -> list[SideState]:
    """The same states, where those with equal weights and buffers are one object each."""
    by_identity = {identity(state): state for state in states}
    if len(by_identity) == 1:
        return list(states)
    by_content: dict[str, SideState] = {}
    chosen = {same: by_content.setdefault(_digest(state), state) for same, state in by_identity.items()}
    return [chosen[identity(state)] for state in states]


def _digest(state: SideState) -> str:
    """Of all weights and buffers, bit by bit."""
    import torch

    digest = hashlib.sha256()
    for tensor in (*state.parameters, *state.buffers):
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()

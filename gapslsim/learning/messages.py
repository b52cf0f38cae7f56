"""What travels between clients and servers: tensors with nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from gapslsim.learning.codec import Where
    from gapslsim.learning.state import OptimizerState

__all__ = ["Smashed", "Weights", "WholeWeights"]


@dataclass(frozen=True, eq=False)
class Smashed:
    """Cut-layer activations of one mini-batch with its labels."""

    activations: Tensor
    """Detached, float [b, *smashed_shape]."""
    labels: Tensor
    """int64 [b]."""
    where: Where | None = None
    """Which activations were sent, where a codec left some out."""


@dataclass(frozen=True, eq=False)
class Weights:
    """Parameters and buffers of one side; the optimizer's state where it travels along."""

    parameters: tuple[Tensor, ...]
    buffers: tuple[Tensor, ...]
    optimizer: OptimizerState | None = None
    n_updates: int = 0


@dataclass(frozen=True, eq=False)
class WholeWeights:
    """Both sides of the model, for federated averaging."""

    client: Weights
    server: Weights

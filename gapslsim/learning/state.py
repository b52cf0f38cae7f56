"""The state of one side of a model: values, never changed in place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["OptimizerState", "RuleMemory", "SideState"]

OptimizerState: TypeAlias = "dict[str, tuple[Tensor, ...]]"
"""Named slots of an optimizer, each a tuple with one tensor per parameter (or one scalar tensor)."""

RuleMemory: TypeAlias = "dict[str, Tensor]"
"""Tensors that a server's rule remembers from one round to the next, by name."""


@dataclass(frozen=True, eq=False)
class SideState:
    """Parameters, buffers and optimizer of a client-side or server-side model.

    The tensors are shared between states and never written to; an update makes new ones.
    """

    parameters: tuple[Tensor, ...]
    buffers: tuple[Tensor, ...]
    optimizer: OptimizerState
    n_updates: int = 0
    """Optimizer steps taken so far."""
    memory: RuleMemory = field(default_factory=dict)
    """What the server's rule remembers (GradVac, NashMTL); empty for clients and for most rules."""

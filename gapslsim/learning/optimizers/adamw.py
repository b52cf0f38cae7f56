"""Adam with decoupled weight decay."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import NonNegativeFloat

from gapslsim.learning.optimizer import optimizers
from gapslsim.learning.optimizers.adam import AdamOptimizer
from gapslsim.registry import component

__all__ = ["AdamW"]


@optimizers.register
@component
class AdamW(AdamOptimizer):
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), bit for bit that of `torch.optim.AdamW`."""

    decoupled: ClassVar[bool] = True

    optimizer: Literal["adamw"] = "adamw"
    weight_decay: NonNegativeFloat = 0.01
    """Shrinks the parameters by lr times this at each step; 0.01 is PyTorch's default."""

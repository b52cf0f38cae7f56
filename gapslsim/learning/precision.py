"""Passes in bfloat16: as under `torch.autocast`, with what enters and leaves a side of the model in float32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor

from gapslsim.kernels import Precision

__all__ = ["in_full", "passing"]


def passing(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Around a pass through layers; nothing for the other precisions, which are switches of the whole process."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()


def in_full(output: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """In float32 what a pass gives in bfloat16. No bit is lost: both casts back are exact."""
    return output.float() if output.dtype is torch.bfloat16 else output

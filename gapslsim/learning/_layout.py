"""How inputs lie in memory, and how what is small gets to the device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["channels_last", "in_memory", "sent"]


def in_memory(inputs: np.ndarray) -> Tensor:
    """Inputs as a tensor [n, ...]; images lie channels last, which convolutions and poolings are faster on."""
    tensor = torch.from_numpy(inputs)
    if tensor.dim() != 4:
        return tensor
    return channels_last(tensor.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2))


def channels_last(images: Tensor) -> Tensor:
    """Images of one channel [n, 1, h, w] with the strides of channels last, which the layers after them then keep.

    Such images lie the same either way, and PyTorch takes them for channels first unless their strides say otherwise.
    """
    if images.dim() != 4 or images.shape[1] != 1:
        return images
    height, width = images.shape[2:]
    return images.as_strided(images.shape, (height * width, 1, width, 1))


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on a device; on a GPU without waiting for what is computed there."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)

"""How much goes into one call on a device: samples of joined passes, columns of gradients.

Limits fix the order of additions, and with it the last bits of results. So they follow from the kind of device alone:
on a GPU from all the memory that it has, never from what is free at the moment, which others change.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from gapslsim.models.cost import SideCost

__all__ = ["COLUMNS", "Limits", "exact_place", "limits_for", "limits_of_gpu"]

COLUMNS = 1 << 14
"""Columns of gradients at once on a CPU; keeps their float64 copies in the cache."""

_OTHER_MEMORY = 8 << 30
"""Taken for a device that does not say how much memory it has."""


class Limits(NamedTuple):
    """Limits of one device."""

    joined_bytes: int
    """Most bytes of a joined pass of the server."""
    stacked_bytes: int
    """The same for passes side by side, of clients or for every client's gradient; on a CPU these pay for small layers
    only."""
    columns_bytes: int | None
    """Of float64 copies of columns of gradients; None: `COLUMNS` at once, whatever their height."""
    is_cache: bool
    """Whether bytes are those of a layer's inputs and outputs, which should stay in a cache; else all that a pass keeps
    until its backward pass."""

    def samples(self, n_bytes: int, side: SideCost, batch_size: int) -> int:
        """Samples of a pass within so many bytes; the costs are those of a mini-batch of `batch_size`."""
        of_batch = side.workspace_bytes + (0 if self.is_cache else side.activation_bytes)
        return n_bytes * batch_size // max(of_batch, 1)

    def columns(self, n_rows: int) -> int:
        """Columns of so many gradients that are taken at once."""
        return COLUMNS if self.columns_bytes is None else max(self.columns_bytes // (8 * n_rows), COLUMNS)


_CPU = Limits(joined_bytes=4 << 20, stacked_bytes=1 << 20, columns_bytes=None, is_cache=True)


def limits_for(device: torch.device) -> Limits:
    """Limits of a device; on a GPU a quarter of its memory for a joined pass."""
    if device.type == "cpu":
        return _CPU
    memory = _OTHER_MEMORY
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
    elif device.type == "mps":
        memory = torch.mps.recommended_max_memory()
    return limits_of_gpu(memory)


def limits_of_gpu(memory_bytes: int) -> Limits:
    """Limits of a GPU with so much memory in all."""
    # Stacked convolutions lay every patch of their images out, which takes several times what a plain one keeps.
    return Limits(memory_bytes // 4, memory_bytes // 16, memory_bytes // 64, is_cache=False)


def exact_place(device: torch.device) -> torch.device:
    """Where float64 numbers can be: on the device, but for Apple's GPUs, which have none."""
    return torch.device("cpu") if device.type == "mps" else device

"""Torch's global random state, lent to one operation at a time: several may be carried out side by side."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["drawing"]

_LENT = threading.Lock()
"""Held while torch's random state is that of one operation."""


@contextmanager
def drawing(seed: int, device: torch.device) -> Iterator[None]:
    """Torch draws from this seed inside, and goes on as before afterwards.

    Args:
        seed: of the operation's own stream.
        device: where its tensors are.
    """
    with _LENT, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield

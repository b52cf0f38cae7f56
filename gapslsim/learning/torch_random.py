"""Global random states, lent to one operation at a time: several may be carried out side by side."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import torch

__all__ = ["drawing", "random_states"]

_LENT = threading.Lock()
"""Held while the random states are those of one operation."""


@contextmanager
def drawing(seed: int, device: torch.device, *, elsewhere: bool = False) -> Iterator[None]:
    """Torch draws from this seed inside, and goes on as before afterwards.

    Args:
        seed: of the operation's own stream.
        device: where its tensors are.
        elsewhere: the same for Python's and NumPy's global generators, which takes three times as long.
    """
    lent = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
    with _LENT, lent, _of_apple() if device.type == "mps" else nullcontext():
        # `torch.manual_seed` also keeps a traceback of each call for every accelerator that is not in use.
        (torch.default_generator.manual_seed if device.type == "cpu" else torch.manual_seed)(seed)
        with _drawing_elsewhere(seed) if elsewhere else nullcontext():
            yield


@contextmanager
def _of_apple() -> Iterator[None]:
    """Which `fork_rng` does not know how to ask."""
    before = torch.mps.get_rng_state()
    try:
        yield
    finally:
        torch.mps.set_rng_state(before)


@contextmanager
def _drawing_elsewhere(seed: int) -> Iterator[None]:
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002


def random_states(device: torch.device) -> tuple[bytes, str]:
    """Torch's random state, and those of Python and NumPy: equal before and after what draws nothing."""
    of_torch = torch.get_rng_state().numpy().tobytes()
    if device.type == "cuda":
        of_torch += torch.cuda.get_rng_state(device).numpy().tobytes()
    elif device.type == "mps":
        of_torch += torch.mps.get_rng_state().numpy().tobytes()
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return of_torch, repr((random.getstate(), name, np.asarray(keys).tobytes(), rest))

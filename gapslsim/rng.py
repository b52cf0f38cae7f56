"""Random streams that are named, so that drawing from one never moves another.

A stream is a function of the scenario's seed and of its own name, for instance
`stream(seed, "batches", client, epoch)`. Two streams with different names are independent; the order in
which they are asked for is of no account.
"""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["stream", "stream_seed"]


def stream_seed(seed: int, *name: str | int) -> int:
    """Seed of a named stream, in [0, 2**63): usable by `torch.Generator.manual_seed`.

    Args:
        seed: the scenario's seed.
        name: what the stream is for, strings and indices.
    """
    text = repr((int(seed), *name)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


def stream(seed: int, *name: str | int) -> np.random.Generator:
    """The named NumPy stream (Philox, counter based)."""
    return np.random.Generator(np.random.Philox(key=stream_seed(seed, *name)))

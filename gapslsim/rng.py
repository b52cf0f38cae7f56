"""Random streams that are named, so that drawing from one never moves another.

A stream is a function of the scenario's seed and of its own name, for instance
`stream(seed, "batches", client, epoch)`. Two streams with different names are independent; the order in
which they are asked for is of no account.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import DTypeLike, NDArray

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
    key = _Key(stream_seed(seed, *name))
    return np.random.Generator(np.random.Philox(key))  # type: ignore[arg-type]  # NumPy's stubs know its own class only.


class _Key(ISeedSequence):
    """The key of a Philox stream as it is: `Philox(key=...)` gives the same, and asks the system for entropy first."""

    def __init__(self, key: int) -> None:
        self._key = key

    def generate_state(self, n_words: int, dtype: DTypeLike = np.uint32) -> NDArray[np.uint64]:
        """The key of 128 bits, in two words of 64."""
        return np.array([self._key, 0], dtype=np.uint64)

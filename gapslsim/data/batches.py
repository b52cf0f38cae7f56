"""Which samples make up each batch: a function of (seed, client, step), with no iterator to share."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gapslsim import rng
from gapslsim.errors import DataError
from gapslsim.work import content_key

__all__ = ["BatchPlan", "Drawn"]


class Drawn(NamedTuple):
    """Where a mini-batch lies in its client's stream, if its size is not the client's own."""

    start: int
    """Samples of the stream before it."""
    size: int
    """Samples in it, at least 1."""


class BatchPlan:
    """Batches of every client, at any step and in any order.

    A client's stream of samples is its epochs one after the other, each a permutation of all its samples drawn from
    the stream ("batches", client, epoch). Batch `step` (from 0) is positions [step * b, (step + 1) * b) of that
    stream, where b = min(batch_size, samples of the client). Reading: batches are all of one size, none is
    dropped and none is short, so a batch may hold the end of one epoch and the beginning of the next (and
    then a sample twice), and every sample is used exactly `epoch` times after each whole epoch. A client
    with at most `batch_size` samples uses all of them at each step.

    Keeps one permutation per client, that of the epoch last asked for; what is returned never depends on it.

    Args:
        seed: the scenario's seed.
        shares: sample indices of each client, as `Partition.split` gives them.
        batch_size: samples per batch, at least 1; of all clients, or of each.

    Raises:
        DataError: if the batch size is below 1 or a client has no samples.
    """

    def __init__(
        self, seed: int, shares: Sequence[NDArray[np.int64]], batch_size: int | Sequence[int]
    ) -> None:
        sizes = [batch_size] * len(shares) if isinstance(batch_size, int) else list(batch_size)
        if min(sizes, default=1) < 1:
            raise DataError(f"batch_size must be at least 1, found {min(sizes)}.")
        for client, share in enumerate(shares):
            if len(share) == 0:
                raise DataError(f"Client {client} has no samples; each client needs at least one.")
        self.seed = seed
        self._sizes = sizes
        self._shares = tuple(shares)
        self._digests: dict[int, str] = {}
        self._latest: dict[int, tuple[int, NDArray[np.int64]]] = {}

    @property
    def n_clients(self) -> int:
        """Number of clients."""
        return len(self._shares)

    def size(self, client: int) -> int:
        """Samples in each batch of this client, b = min(batch_size, samples of the client)."""
        return min(self._sizes[client], len(self._shares[client]))

    def indices(self, client: int, step: int, drawn: Drawn | None = None) -> NDArray[np.int64]:
        """Indices into the training set of the client's batch at `step` (from 0), int64 [b], in random order.

        Args:
            client: whose.
            step: mini-batches before it.
            drawn: where it lies, unless all before it and itself have the client's own size.
        """
        if step < 0:
            raise ValueError(f"step counts from 0, found {step}.")
        n, b = len(self._shares[client]), self.size(client)
        if drawn is not None:
            start, b = drawn
            if start < 0 or b < 1:
                raise ValueError(f"a batch begins at 0 or later and has a sample or more, found {drawn}.")
        else:
            start = step * b
        epoch, start = divmod(start, n)
        head = self._epoch(client, epoch)[start : start + b]
        # A copy, since the permutation is kept for the steps that follow.
        if len(head) == b:
            return head.copy()
        pieces, missing = [head], b - len(head)
        while missing > 0:
            epoch += 1
            pieces.append(self._epoch(client, epoch)[:missing])
            missing -= len(pieces[-1])
        return np.concatenate(pieces)

    def key(self, client: int, step: int) -> str:
        """Content key of this batch: which samples, in which order."""
        if client not in self._digests:
            # Little endian whatever the machine, so that the key is the same on all.
            share = np.ascontiguousarray(self._shares[client], dtype="<i8")
            self._digests[client] = hashlib.sha256(share.tobytes()).hexdigest()
        # The seed and the share determine the permutations, so that no batch has to be drawn for its key.
        return content_key("batch", [self.seed, client, self.size(client), step], self._digests[client])

    def _epoch(self, client: int, epoch: int) -> NDArray[np.int64]:
        """The client's samples in the order of one epoch."""
        latest = self._latest.get(client)
        if latest is not None and latest[0] == epoch:
            return latest[1]
        # A stream per epoch: any step can be had without drawing those before it.
        order = rng.stream(self.seed, "batches", client, epoch).permutation(self._shares[client])
        self._latest[client] = (epoch, order)
        return order

"""Invariants of partitions: every sample is somebody's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gapslsim.checks._tools import check_pure
from gapslsim.checks.check import InapplicableError, InvariantError, require
from gapslsim.data.partition import Partition
from gapslsim.errors import DataError
from gapslsim.rng import stream

_CASES = [(n_samples, n_clients) for n_samples in (997, 60) for n_clients in (1, 2, 3, 10, 20)]


def _labels(n: int) -> NDArray[np.int64]:
    return (stream(3, "labels", n).permutation(n) % 10).astype(np.int64)


def _split(partition: Partition, labels: NDArray[np.int64], n_clients: int) -> list[NDArray[np.int64]]:
    columns = {"user": np.arange(len(labels)) % 40}
    return list(partition.divide(labels, columns, n_clients, stream(1, "partition")))


def _divisions(partition: Partition) -> Iterator[tuple[str, int, int, list[NDArray[np.int64]]]]:
    """Each division that can be had: in words, the number of samples, that of clients, and the shards.

    Raises:
        InvariantError: if it refuses all fleets.
    """
    refused = []
    for n_samples, n_clients in _CASES:
        try:
            shards = _split(partition, _labels(n_samples), n_clients)
        except DataError as error:
            refused.append(str(error))
        else:
            yield f"for {n_clients} clients and {n_samples} samples", n_samples, n_clients, shards
    if len(refused) == len(_CASES):
        raise InvariantError("it refuses 1 to 20 clients with 997 and 60 samples", refused[0])


def every_client_has_a_shard(partition: Partition) -> None:
    """There is one shard per client, of whole numbers (int64), none empty.

    Give one array [n] of int64 per client, each with a sample or more, or raise DataError.
    """
    for case, _, n_clients, shards in _divisions(partition):
        require(len(shards) == n_clients, f"there are {len(shards)} shards {case}")
        for client, shard in enumerate(shards):
            found = f"{getattr(shard, 'dtype', type(shard).__name__)} of shape {np.shape(shard)}"
            holds = isinstance(shard, np.ndarray) and shard.ndim == 1 and shard.dtype == np.int64
            require(holds, f"the shard of client {client} {case} is {found}")
            require(len(shard), f"client {client} has no sample {case}")


def every_sample_is_somebodys(partition: Partition) -> None:
    """The shards hold every sample exactly once."""
    for case, n_samples, _, shards in _divisions(partition):
        samples, counts = np.unique(np.concatenate(shards), return_counts=True)
        strays, twice = samples[(samples < 0) | (samples >= n_samples)], samples[counts > 1]
        lost = np.setdiff1d(np.arange(n_samples), samples)
        require(not len(strays), f"shards {case} have indices beyond 0 to {n_samples - 1}: {strays[:3]}")
        require(not len(twice), f"{len(twice)} samples are in more than one shard {case}: {twice[:3]}")
        require(
            not len(lost) or not partition.covers_all,
            f"{len(lost)} samples are in no shard {case}: {lost[:3]}",
        )


def shards_are_sorted(partition: Partition) -> None:
    """The indices of a shard ascend: the order of its batches is drawn elsewhere.

    Give np.sort(shard).
    """
    for case, _, _, shards in _divisions(partition):
        for client, shard in enumerate(shards):
            require(np.all(np.diff(shard) >= 0), f"the shard of client {client} {case} is not sorted")


def splitting_is_pure(partition: Partition) -> None:
    """`split` is pure: the same for the same stream, and the labels stay as they are."""
    labels = _labels(997)
    try:
        check_pure("split", lambda: _split(partition, labels, 2), {"the labels": labels})
    except DataError as error:
        raise InapplicableError(f"it refuses 2 clients: {error}") from None


def the_impossible_is_refused(partition: Partition) -> None:
    """More clients than samples are refused with a `DataError`.

    Raise `gapslsim.DataError` if `len(labels) < n_clients`.
    """
    try:
        _split(partition, _labels(5), 6)
    except DataError:
        return
    except Exception as error:
        said = f"for 6 clients and 5 samples it raises {type(error).__name__}: {error}"
        raise InvariantError(said) from error
    raise InvariantError("6 clients share 5 samples without an error")

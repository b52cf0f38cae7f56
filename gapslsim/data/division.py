"""From a data set and its partition to each client's samples: the one way that runs, checks and pictures go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gapslsim.data._soundness import sound
from gapslsim.data.dataset import Dataset, LoadedData, Samples
from gapslsim.data.partition import Partition, partitions
from gapslsim.data.stratify import stratified_split
from gapslsim.data.target import MEANING, Target
from gapslsim.errors import DataError
from gapslsim.registry import settings_of
from gapslsim.rng import stream
from gapslsim.work import content_key

__all__ = ["divide", "load_sound", "sound_shares"]


def load_sound(dataset: Dataset, folder: Path | None, seed: int, dry: bool = False) -> LoadedData:
    """The data set, held to what every data set must keep.

    Args:
        dataset: what to load.
        folder: of public data, see `Dataset.load`.
        seed: of the scenario.
        dry: whether its labels and shapes are enough.

    Raises:
        DataError: if it is missing or not sound; NaN in an input is told when the inputs are first read.
    """
    data = sound(dataset.outline(folder, seed) if dry else dataset.load(folder, seed))
    if dataset.augmentation is not None:
        dataset.augmentation.check(data.input_shape)
    return data if dataset.validation is None else _validated(data, dataset.validation)


def _validated(data: LoadedData, share: float) -> LoadedData:
    """The data with a share of the training samples in place of the test set.

    Raises:
        DataError: if no sample can be spared.
    """
    train = data.train
    # Not of the scenario's seed: settings that are chosen with one seed must not have seen what judges another.
    strata = train.labels if data.target == "class" and train.labels.ndim == 1 else np.zeros(len(train), int)
    kept, held_out = stratified_split(strata, share, stream(0, "validation"))
    if not len(held_out):
        raise DataError(
            f"validation = {share:g} of {len(train)} training samples keeps none, since no class has two; "
            "use more data."
        )

    def part(rows: NDArray[np.int64]) -> Samples:
        columns = {name: column[rows] for name, column in train.columns.items()}
        return Samples(train.labels[rows], lambda: train.inputs[rows], columns)

    key = content_key("validation", share, data.key)
    return replace(data, key=key, train=part(kept), test=part(held_out))


def divide(
    dataset: Dataset, data: LoadedData, n_clients: int, seed: int
) -> tuple[LoadedData, list[NDArray[np.int64]]]:
    """The data set as the clients see it (their labels may be noisy), and the samples of each.

    Args:
        dataset: its settings, with the partition.
        data: as loaded.
        n_clients: S.
        seed: of the scenario.

    Returns:
        The data, and per client sorted indices into its training set, disjoint, none empty.

    Raises:
        DataError: if the partition cannot be had, or is none.
    """
    partition, random = dataset.partition, stream(seed, "partition")
    if data.target != "class":
        _check_no_classes(partition, data.target)
    given = partition.divide(data.train.labels, data.train.columns, n_clients, random)
    shares = sound_shares(given, len(data.train), n_clients, partition.covers_all)
    shares = partition.resize(shares, random)
    labels = partition.relabel(data.train.labels, shares, data.n_classes, random)
    if labels is not data.train.labels:
        train = data.train
        key = content_key("noisy labels", labels.tolist(), data.key)
        data = replace(data, key=key, train=Samples(labels, lambda: train.inputs, train.columns))
    return data, shares


def _check_no_classes(partition: Partition, target: Target) -> None:
    """Raises DataError if the partition needs the classes that these data have not."""
    without = [kind for kind in sorted(partitions) if not partitions[kind].needs_classes]
    if partition.needs_classes:
        kind = settings_of(partition)["kind"]
        raise DataError(
            f"{kind} divides by class, and the data have {MEANING[target]}; write one of {', '.join(without)} "
            "(a partition of your own that does not look at labels says needs_classes = False)."
        )
    if np.any(partition.label_noise):
        raise DataError(
            f"label_noise makes another class of a class, and the data have {MEANING[target]}; leave it out."
        )


def sound_shares(
    given: Sequence[Any], n_samples: int, n_clients: int, covers_all: bool = True
) -> list[NDArray[np.int64]]:
    """Sample indices per client, int64 and sorted.

    Args:
        given: whole numbers for each client, in any order.
        n_samples: of the training set.
        n_clients: of the scenario.
        covers_all: whether every sample must be somebody's.

    Raises:
        DataError: if they overlap, repeat, lack or exceed; says which client and which sample.
    """
    if len(given) != n_clients:
        raise DataError(
            f"The partition holds lists for {len(given)} clients, the scenario has {n_clients}; make them equal."
        )
    shares = [np.asarray(share) for share in given]
    for client, share in enumerate(shares):
        if share.ndim != 1 or not len(share):
            found = "none" if not share.size else f"an array of shape {share.shape}"
            raise DataError(f"Client {client} needs a list of at least one sample; found {found}.")
        if share.dtype.kind not in "iu":
            raise DataError(f"The samples of client {client} are of type {share.dtype}; give whole numbers.")
    flat = np.concatenate(shares).astype(np.int64)
    owner = np.repeat(np.arange(n_clients), [len(share) for share in shares])
    if flat.min() < 0 or flat.max() >= n_samples:
        at = int(np.flatnonzero((flat < 0) | (flat >= n_samples))[0])
        raise DataError(
            f"Client {owner[at]} has sample {flat[at]}; samples count from 0 to {n_samples - 1}. Correct the list; "
            "it counts the training samples in the order of the file."
        )
    counts = np.bincount(flat, minlength=n_samples)
    if counts.max() > 1:
        sample = int(np.argmax(counts > 1))
        whose = owner[flat == sample]
        who = f"clients {whose[0]} and {whose[-1]}" if whose[0] != whose[-1] else f"client {whose[0]} twice"
        raise DataError(
            f"{int((counts > 1).sum())} samples are given out more than once: sample {sample} to {who}. Give each "
            "sample to one client, once."
        )
    if covers_all and counts.min() == 0:
        raise DataError(
            f"{int((counts == 0).sum())} of {n_samples} training samples are nobody's: sample "
            f"{int(np.argmin(counts))} is the first. Give each to a client, or leave them out on purpose: "
            "partition {kind: file, leftover: unused}."
        )
    return [np.sort(share.astype(np.int64)) for share in shares]

"""Choosing samples so that the classes stay in proportion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["balanced_order", "stratified_split"]


def balanced_order(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Order in which every prefix has the same number of each class up to one, as long as the classes last.

    The first sample of each class, then the second of each, and so on; samples of one rank stay in their order. An
    order that is balanced in blocks already (each block of n_classes samples holds each class once) is left as it is.
    """
    by_label = np.argsort(labels, kind="stable")
    class_sizes = np.unique(labels, return_counts=True)[1]
    rank = np.empty(len(labels), dtype=np.int64)
    # How many samples of its class come before it.
    rank[by_label] = np.concatenate([np.arange(size) for size in class_sizes])
    return np.argsort(rank, kind="stable").astype(np.int64)


def stratified_split(
    labels: NDArray[np.int64], fraction: float, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sorted indices of the rest and of a random `fraction` of each class (rounded, at least one, not all)."""
    held_out = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        n = min(max(1, round(fraction * len(members))), len(members) - 1)
        held_out.append(random.permutation(members)[:n])
    test = np.sort(np.concatenate(held_out))
    return np.setdiff1d(np.arange(len(labels)), test), test

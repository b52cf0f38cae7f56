"""How skewed a partition came out: labels per client and their distance from the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["skew"]


@dataclass(frozen=True, eq=False)
class Skew:
    """Label histogram of a partition.

    Args:
        counts: samples of each label on each client, int64 [n_clients, n_classes].
    """

    counts: NDArray[np.int64]

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Samples of each client, int64 [n_clients]."""
        return np.asarray(self.counts.sum(axis=1), dtype=np.int64)

    @cached_property
    def total_variation(self) -> NDArray[np.float64]:
        """Distance of each client's label distribution p_c from that of all samples p, float64 [n_clients].

        0.5 sum_k |p_c(k) - p(k)|: 0 for the same distribution, below 1 as p contains p_c.
        """
        whole = self.counts.sum(axis=0) / self.counts.sum()
        each = self.counts / self.sizes[:, None]
        return np.asarray(0.5 * np.abs(each - whole).sum(axis=1), dtype=np.float64)


def skew(labels: NDArray[np.int64], shares: Sequence[NDArray[np.int64]], n_classes: int) -> Skew:
    """Counts the labels of each client's share (indices into `labels`)."""
    return Skew(np.stack([np.bincount(labels[share], minlength=n_classes) for share in shares]))

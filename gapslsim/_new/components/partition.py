"""A partition of your own: which sample lies with which client."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gapslsim import FAMILIES, DataError, Partition, component


@FAMILIES["partition"].register
@component
class MyPartition(Partition):
    """Sorted by label and cut into equal parts, so that each client has few classes."""

    kind: Literal["my_partition"] = "my_partition"

    def split(
        self, labels: NDArray[np.int64], n_clients: int, random: np.random.Generator
    ) -> list[NDArray[np.int64]]:
        """Indices of each client's samples; none lies with two. Draws come from `random` alone."""
        if len(labels) < n_clients:
            raise DataError(f"my_partition: {n_clients} clients cannot share {len(labels)} samples.")
        shuffled = random.permutation(len(labels))
        by_label = shuffled[np.argsort(labels[shuffled], kind="stable")]
        return [np.sort(part) for part in np.array_split(by_label, n_clients)]

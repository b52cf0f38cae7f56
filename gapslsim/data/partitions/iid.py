"""Every client gets a uniformly random share of equal size."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from gapslsim.data._division import check_enough, take
from gapslsim.data.partition import Partition, partitions
from gapslsim.registry import component

__all__ = ["Iid"]


@partitions.register
@component
class Iid(Partition):
    """Independent and identically distributed: a random permutation cut into parts equal in size up to one,
    or as large as `sizes` says.
    """

    needs_classes: ClassVar[bool] = False
    kind: Literal["iid"] = "iid"

    def split(
        self, labels: NDArray[np.int64], n_clients: int, random: np.random.Generator
    ) -> list[NDArray[np.int64]]:
        """See `Partition.split`."""
        check_enough(len(labels), n_clients)
        order = random.permutation(len(labels))
        if self.sizes is not None and len(self.sizes) == n_clients and sum(self.sizes) <= len(labels):
            return [np.sort(part) for part in take(order, np.asarray(self.sizes))[:n_clients]]
        return [np.sort(part) for part in np.array_split(order, n_clients)]

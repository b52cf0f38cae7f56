"""Every client gets a uniformly random share of equal size."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gapslsim.data._division import check_enough
from gapslsim.data.partition import Partition, partitions
from gapslsim.registry import component

__all__ = ["Iid"]


@partitions.register
@component
class Iid(Partition):
    """Independent and identically distributed: a random permutation cut into parts equal in size up to one."""

    kind: Literal["iid"] = "iid"

    def split(
        self, labels: NDArray[np.int64], n_clients: int, random: np.random.Generator
    ) -> list[NDArray[np.int64]]:
        """See `Partition.split`."""
        check_enough(len(labels), n_clients)
        return [np.sort(part) for part in np.array_split(random.permutation(len(labels)), n_clients)]


from __future__ import annotations


import numpy as np

from gapslsim.data.partition import Partition, partitions
from gapslsim.registry import component

SHARE = 0.5


@partitions.register
@component
class HalfToTheFirst(Partition):
    """Half of the samples to the first client."""

    kind: Literal["half_to_the_first"] = "half_to_the_first"
    share: float = SHARE
    """Share of the first client."""

    def split(self, labels, n_clients, random):
        first = int(len(labels) * self.share)
        rest = np.array_split(np.arange(first, len(labels)), n_clients - 1)
        return [np.arange(first), *rest]

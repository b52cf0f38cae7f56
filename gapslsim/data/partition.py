"""How the training set is divided among clients: disjoint, covering, from its own random stream."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from gapslsim.registry import Family

__all__ = ["Partition", "partitions"]


class Partition(ABC):
    """Settings of a partition; a pydantic component."""

    @abstractmethod
    def split(
        self, labels: NDArray[np.int64], n_clients: int, random: np.random.Generator
    ) -> list[NDArray[np.int64]]:
        """Sample indices per client: sorted, disjoint, none empty, together all of `range(len(labels))`.

        Raises:
            DataError: if it cannot be had within bounded retries; names the parameters to change.
        """


partitions: Family[Partition] = Family("partition", "gapslsim.data.partitions")

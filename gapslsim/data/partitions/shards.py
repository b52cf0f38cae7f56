"""Label skew: every client gets a few contiguous shards of the samples sorted by label."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from gapslsim.data._division import check_enough
from gapslsim.data.partition import Partition, partitions
from gapslsim.errors import DataError
from gapslsim.registry import component

__all__ = ["Shards"]


@partitions.register
@component
class Shards(Partition):
    """The pathological division of McMahan et al. 2017 (arXiv:1602.05629, section 3).

    The samples, sorted by label (in random order within a label), are cut into n_clients x classes_per_client shards of
    equal size up to one, and each client gets `classes_per_client` shards at random. Sizes of clients differ by at most
    `classes_per_client`. A shard that lies across the border of two labels holds both, so a client
    sees at most `classes_per_client` labels where the shards divide the classes evenly, and may see more where not.
    """

    kind: Literal["shards"] = "shards"
    classes_per_client: PositiveInt = 2
    """Shards per client; 2 in the source."""

    def split(
        self, labels: NDArray[np.int64], n_clients: int, random: np.random.Generator
    ) -> list[NDArray[np.int64]]:
        """See `Partition.split`."""
        n_samples = len(labels)
        check_enough(n_samples, n_clients)
        n_shards = n_clients * self.classes_per_client
        if n_shards > n_samples:
            raise DataError(
                f"partition.classes_per_client = {self.classes_per_client} for {n_clients} clients makes {n_shards} "
                f"shards of {n_samples} training samples, and a shard needs at least one. Set classes_per_client to "
                f"{n_samples // n_clients} or less, or use fewer clients or more data (n_train)."
            )
        shuffled = random.permutation(n_samples)
        # A stable sort of a shuffled order leaves samples of one label shuffled.
        by_label = shuffled[np.argsort(labels[shuffled], kind="stable")]
        shards = np.array_split(by_label, n_shards)
        dealt = random.permutation(n_shards).reshape(n_clients, self.classes_per_client)
        return [np.sort(np.concatenate([shards[shard] for shard in hand])) for hand in dealt]

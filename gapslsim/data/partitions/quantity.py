"""Size skew: clients hold different amounts of identically distributed data."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from gapslsim.data._division import check_enough, cut, draw_until, take
from gapslsim.data.partition import Partition, partitions
from gapslsim.registry import component

__all__ = ["Quantity"]


@partitions.register
@component
class Quantity(Partition):
    """Size skew: clients get shares q ~ Dir(alpha, ..., alpha) of a random permutation.

    The quantity skew of NIID-Bench (Li et al. 2022, arXiv:2102.02079). Labels are IID; only sizes differ. Drawn again
    until every client has `min_size` samples, within bounded retries.
    """

    needs_classes: ClassVar[bool] = False
    kind: Literal["quantity"] = "quantity"
    alpha: Annotated[float, Field(gt=0)] = 0.5
    """Concentration of the Dirichlet law over sizes: small is more unequal; 0.5 is NIID-Bench's figure."""
    min_size: PositiveInt = 10
    """Fewest samples of a client; a draw that leaves one short is drawn again. 10 is NIID-Bench's figure."""

    def split(
        self, labels: NDArray[np.int64], n_clients: int, random: np.random.Generator
    ) -> list[NDArray[np.int64]]:
        """See `Partition.split`."""
        n_samples = len(labels)
        check_enough(n_samples, n_clients, self.min_size)
        concentration = np.full(n_clients, self.alpha)
        counts = draw_until(
            lambda n_draws: cut(random.dirichlet(concentration, size=n_draws), n_samples),
            self.min_size,
            n_clients,
            f"quantity with alpha = {self.alpha:g} left one of {n_clients} clients with fewer than min_size = "
            f"{self.min_size} of {n_samples} training samples each time. To get one, raise alpha, lower min_size, "
            "use fewer clients or more data (n_train).",
        )
        return [np.sort(part) for part in take(random.permutation(n_samples), counts)]

"""Label skew: each class is spread over the clients by proportions drawn from a Dirichlet law."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from gapslsim.data._division import check_enough, cut, draw_until, take
from gapslsim.data.partition import Partition, partitions
from gapslsim.registry import component

__all__ = ["Dirichlet"]


@partitions.register
@component
class Dirichlet(Partition):
    """Label skew by class: p_k ~ Dir(alpha, ..., alpha) over the clients, and client j gets the share p_kj of class k.

    The variant of Yurochkin et al. 2019 (arXiv:1905.12022) and of NIID-Bench (Li et al. 2022, arXiv:2102.02079), drawn
    again until every client has `min_size` samples. Clients differ in size as well as in labels. Departures: the
    redistribution rule of NIID-Bench's code is the option `balanced` (off), retries are bounded, and proportions
    are rounded rather than cut off. Hsu et al. 2019 (arXiv:1909.06335) draw the other way round, a mixture of classes
    per client at equal sizes; the concentration alpha has the same reading, small is more skewed.
    """

    kind: Literal["dirichlet"] = "dirichlet"
    alpha: Annotated[float, Field(gt=0)] = 0.1
    """Concentration of the Dirichlet law: 0.1 is strongly skewed, 100 is nearly IID."""
    min_size: PositiveInt = 10
    """Fewest samples of a client; a draw that leaves one short is drawn again. 10 is NIID-Bench's figure."""
    balanced: bool = False
    """Whether a client that has its equal share already gets nothing of the classes that follow (NIID-Bench's code)."""

    def split(
        self, labels: NDArray[np.int64], n_clients: int, random: np.random.Generator
    ) -> list[NDArray[np.int64]]:
        """See `Partition.split`."""
        n_samples = len(labels)
        check_enough(n_samples, n_clients, self.min_size)
        classes, class_sizes = np.unique(labels, return_counts=True)
        concentration = np.full(n_clients, self.alpha)

        def draw(n_draws: int) -> NDArray[np.int64]:
            proportions = random.dirichlet(concentration, size=(n_draws, len(classes)))
            if self.balanced:
                return _cut_balanced(proportions, class_sizes, n_samples / n_clients)
            return cut(proportions, class_sizes[:, None])

        options = [f"raise alpha (now {self.alpha:g})"]
        if self.min_size > 1:
            options.append(f"lower min_size (now {self.min_size})")
        if not self.balanced:
            options.append("set balanced: true")
        counts = draw_until(
            draw,
            self.min_size,
            n_clients * len(classes),
            f"dirichlet with alpha = {self.alpha:g} left one of {n_clients} clients with fewer than min_size = "
            f"{self.min_size} of {n_samples} training samples in {len(classes)} classes each time. "
            f"To get one, {', '.join(options)}, use fewer clients or more data (n_train).",
        )
        # Shuffled, since files may be sorted by more than the label.
        of_class = [random.permutation(np.flatnonzero(labels == label)) for label in classes]
        pieces = map(take, of_class, counts)
        return [np.sort(np.concatenate(part)) for part in zip(*pieces, strict=True)]


def _cut_balanced(
    proportions: NDArray[np.float64], class_sizes: NDArray[np.int64], equal_share: float
) -> NDArray[np.int64]:
    """Counts [n_draws, n_classes, n_clients] where, class after class, clients at their equal share are passed over."""
    n_draws, n_classes, n_clients = proportions.shape
    counts = np.zeros((n_draws, n_classes, n_clients), dtype=np.int64)
    sizes = np.zeros((n_draws, n_clients), dtype=np.int64)
    for k in range(n_classes):
        is_open = sizes < equal_share
        weights = proportions[:, k] * is_open
        total = weights.sum(axis=1, keepdims=True)
        # Where every open client drew a zero, the class goes to the open clients in equal parts.
        weights = np.where(total > 0, weights, is_open)
        counts[:, k] = cut(weights / weights.sum(axis=1, keepdims=True), int(class_sizes[k]))
        sizes += counts[:, k]
    return counts

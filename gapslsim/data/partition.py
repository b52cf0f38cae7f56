"""How the training set is divided among clients: disjoint, covering, from its own random stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from gapslsim.errors import DataError
from gapslsim.registry import Family, component

__all__ = ["Partition", "partitions"]

Share = Annotated[float, Field(ge=0, le=1)]


@component
class Partition(ABC):
    """Settings of a partition; a pydantic component."""

    needs_classes: ClassVar[bool] = True
    """Whether `split` looks at labels, which must be classes then; False for one that works whatever labels are."""
    sizes: tuple[PositiveInt, ...] | None = None
    """Samples of each client, one number per client, drawn at random from its part; all of its part by default. What
    is left over is nobody's."""
    label_noise: Share | tuple[Share, ...] = 0.0
    """Share of a client's training samples that get a random other label: one for all, or one per client."""

    @abstractmethod
    def split(
        self, labels: NDArray[np.int64], n_clients: int, random: np.random.Generator
    ) -> list[NDArray[np.int64]]:
        """Sample indices per client: sorted, disjoint, none empty, together all of `range(len(labels))`.

        Raises:
            DataError: if it cannot be had within bounded retries; names the parameters to change.
        """

    def divide(
        self,
        labels: NDArray[np.int64],
        columns: Mapping[str, NDArray[Any]],
        n_clients: int,
        random: np.random.Generator,
    ) -> Sequence[Any]:
        """`split`, for partitions that need more than labels.

        Args:
            labels: int64 [n].
            columns: what else is known of each sample, such as whose it is; [n] each.
            n_clients: S.
            random: the stream to draw from.
        """
        return self.split(labels, n_clients, random)

    @property
    def covers_all(self) -> bool:
        """Whether `split` must give every sample to somebody."""
        return self.sizes is None

    def resize(
        self, shares: Sequence[NDArray[np.int64]], random: np.random.Generator
    ) -> list[NDArray[np.int64]]:
        """As many samples of each share as `sizes` says, sorted.

        Raises:
            DataError: if a share has fewer, or there is not one number per client.
        """
        if self.sizes is None:
            return list(shares)
        _one_each("sizes", self.sizes, len(shares))
        for client, (share, size) in enumerate(zip(shares, self.sizes, strict=True)):
            if size > len(share):
                raise DataError(
                    f"sizes asks for {size} samples for client {client}, whose part holds {len(share)}; lower it, "
                    "or use more data."
                )
        return [
            np.sort(random.choice(share, size, replace=False)) if size < len(share) else share
            for share, size in zip(shares, self.sizes, strict=True)
        ]

    def relabel(
        self,
        labels: NDArray[np.int64],
        shares: Sequence[NDArray[np.int64]],
        n_classes: int,
        random: np.random.Generator,
    ) -> NDArray[np.int64]:
        """Labels [n] after `label_noise`: round(share x samples) of each client's are another class, each as likely."""
        noise = self.label_noise
        if isinstance(noise, tuple):
            _one_each("label_noise", noise, len(shares))
        rates = noise if isinstance(noise, tuple) else (noise,) * len(shares)
        if not any(rates):
            return labels
        noisy = labels.copy()
        for share, rate in zip(shares, rates, strict=True):
            chosen = random.choice(share, round(rate * len(share)), replace=False)
            noisy[chosen] = (labels[chosen] + random.integers(1, n_classes, len(chosen))) % n_classes
        return noisy


def _one_each(name: str, values: Sequence[object], n_clients: int) -> None:
    if len(values) != n_clients:
        raise DataError(f"{name} has {len(values)} values for {n_clients} clients; give one per client.")


partitions: Family[Partition] = Family("partition", "gapslsim.data.partitions")

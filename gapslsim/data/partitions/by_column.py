"""Natural users: whose sample it is, is told by the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from gapslsim.data.partition import Partition, partitions
from gapslsim.errors import DataError, did_you_mean
from gapslsim.registry import component

__all__ = ["ByColumn"]


@partitions.register
@component
class ByColumn(Partition):
    """Every value of a column (a user, a hospital, a device) is a client, or a part of one.

    With as many values as clients each has one, in their order. With more, they are dealt out at random so that clients
    have equally many up to one, or only as many as there are clients are used.
    """

    needs_classes: ClassVar[bool] = False
    kind: Literal["by_column"] = "by_column"
    column: str = "user"
    """The column: `user` of `leaf`, `document` of `text`, a name under `columns` of `table` or `npz`."""
    surplus: Literal["dealt", "unused", "refused"] = "dealt"
    """What becomes of more values than clients: all are dealt out, some (drawn at random) are not used, or an error."""

    @property
    def covers_all(self) -> bool:
        """See `Partition.covers_all`."""
        return self.surplus != "unused"

    def split(
        self, labels: NDArray[np.int64], n_clients: int, random: np.random.Generator
    ) -> list[NDArray[np.int64]]:
        """Raises DataError: labels alone do not tell whose a sample is."""
        raise DataError("column needs a data set whose samples have columns, such as leaf, table or text.")

    def divide(
        self,
        labels: NDArray[np.int64],
        columns: Mapping[str, NDArray[Any]],
        n_clients: int,
        random: np.random.Generator,
    ) -> Sequence[Any]:
        """See `Partition.divide`."""
        if self.column not in columns:
            known = ", ".join(sorted(columns)) or "none"
            fix = (
                "choose one of them"
                if columns
                else "use a data set that has some: leaf, text, or table or npz with columns"
            )
            raise DataError(
                f"column {self.column!r} is not known of the samples; known: {known}; {fix}."
                f"{did_you_mean(self.column, columns)}"
            )
        values, whose = np.unique(columns[self.column], return_inverse=True)
        n = len(values)
        if n < n_clients or (n > n_clients and self.surplus == "refused"):
            raise DataError(
                f"column {self.column!r} has {n} different values for {n_clients} clients; use {n} clients or fewer"
                f"{', or surplus: dealt' if n > n_clients else ''}."
            )
        if n == n_clients:
            owner = np.arange(n)
        else:
            order = random.permutation(n)
            owner = np.empty(n, dtype=np.int64)
            owner[order] = np.arange(n) % n_clients if self.surplus == "dealt" else np.arange(n)
        client = owner[whose]
        by_client = np.argsort(client, kind="stable")
        edges = np.searchsorted(client[by_client], np.arange(n_clients + 1))
        return [by_client[edges[c] : edges[c + 1]] for c in range(n_clients)]

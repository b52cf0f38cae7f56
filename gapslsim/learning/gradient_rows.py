"""Gradients of clients as rows: a matrix on the device, or one in the host's memory, read in blocks of columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gapslsim.learning._layout import sent
from gapslsim.learning._limits import COLUMNS, limits_for

__all__ = ["GradientRows", "Rows", "blocks_of", "columns_of", "mean_of", "new_rows", "rows_of"]

_NARROW = 64


@dataclass(frozen=True, eq=False)
class GradientRows:
    """Rows that lie in the host's memory; what is asked for comes to the device, block by block.

    The numbers are those of a matrix on the device, bit for bit: where they lie changes no sum.
    """

    matrix: Float[Tensor, "n d"]
    """In the host's memory."""
    sums: Float[Tensor, " n"]
    """Of each row as it was written, on the device; what is not finite shows in them."""
    places: tuple[int, ...]
    """Rows of the matrix, in order."""
    factors: tuple[float, ...] | None = None
    """That the rows are multiplied by as they come."""

    @property
    def shape(self) -> torch.Size:
        """Rows and columns."""
        return torch.Size((len(self.places), self.matrix.shape[1]))

    @property
    def dtype(self) -> torch.dtype:
        """Of a number."""
        return self.matrix.dtype

    @property
    def device(self) -> torch.device:
        """Where rows come to."""
        return self.sums.device

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, row: int) -> Float[Tensor, " d"]:
        """A row, on the device."""
        (whole,) = self.chosen([row]).blocks(max(self.shape[1], 1))
        return whole[0]

    def write(self, place: slice, rows: Float[Tensor, "n d"]) -> None:
        """Takes rows from the device."""
        self.sums[place] = rows.sum(1)
        self.matrix[place].copy_(rows)

    def times(self, factors: Sequence[float]) -> GradientRows:
        """The same rows, each times a factor."""
        return replace(self, factors=tuple(factors))

    def chosen(self, rows: Sequence[int]) -> GradientRows:
        """Some of the rows, in that order; none is copied."""
        factors = self.factors and tuple(self.factors[row] for row in rows)
        return replace(self, places=tuple(self.places[row] for row in rows), factors=factors)

    def blocks(self, width: int | list[int]) -> Iterator[Float[Tensor, "n w"]]:
        """All columns, so many at a time."""
        everyone = self.places == tuple(range(len(self.matrix)))
        for part in torch.split(self.matrix, width, dim=1):
            block = part.contiguous() if everyone else torch.stack([part[place] for place in self.places])
            block = sent(block, self.device)
            if self.factors is not None:
                block = block * sent(torch.tensor(self.factors, dtype=self.dtype), self.device)[:, None]
            yield block


Rows = Float[Tensor, "_ d"] | GradientRows
"""A matrix on the device, or rows that lie elsewhere."""


def new_rows(n: int, d: int, like: Tensor) -> GradientRows:
    """Rows to be written, in memory from which copies to a GPU need not wait for each other."""
    matrix = torch.empty(n, d, dtype=like.dtype, pin_memory=like.device.type == "cuda")
    return GradientRows(matrix, torch.zeros(n, dtype=like.dtype, device=like.device), tuple(range(n)))


def columns_of(gradients: Rows, columns: slice) -> Rows:
    """Some columns of all rows, one beside the other; none is copied."""
    if isinstance(gradients, GradientRows):
        return replace(gradients, matrix=gradients.matrix[:, columns])
    return gradients[:, columns]


def rows_of(gradients: Rows, chosen: Sequence[int]) -> Rows:
    """Some of the rows, in that order."""
    if isinstance(gradients, GradientRows):
        return gradients.chosen(chosen)
    return _stacked(gradients, chosen)


def _stacked(gradients: Float[Tensor, "S d"], chosen: Sequence[int]) -> Float[Tensor, "n d"]:
    # Views put together need no copy of their places to the device.
    everyone = list(chosen) == list(range(len(gradients)))
    return gradients if everyone else torch.stack([gradients[row] for row in chosen])


def blocks_of(
    gradients: Rows, width: int | list[int], chosen: Sequence[int] | None = None
) -> Iterator[Float[Tensor, "n w"]]:
    """Blocks of so many columns, on the device; of all rows or of the chosen ones."""
    if isinstance(gradients, GradientRows):
        yield from (gradients if chosen is None else gradients.chosen(chosen)).blocks(width)
        return
    for block in torch.split(gradients, width, dim=1):
        yield block if chosen is None else _stacked(block, chosen)


def mean_of(gradients: Rows, chosen: Sequence[int], *, total: bool = False) -> Float[Tensor, " d"]:
    """Mean of the chosen rows, or their sum; no copy of all of them is made."""
    d, width = gradients.shape[1], limits_for(gradients.device).columns(len(chosen)) // COLUMNS * COLUMNS
    sizes = [width] * (d // width)
    # A few columns alone would be summed in another order than in a wide block.
    if not sizes or d % width >= _NARROW:
        sizes.append(d % width)
    else:
        sizes[-1] += d % width
    blocks = blocks_of(gradients, sizes, chosen)
    return torch.cat([block.sum(0) if total else block.mean(0) for block in blocks])

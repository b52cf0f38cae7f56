"""What each state holds and each cut lets pass, in bytes: from shapes alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from gapslsim.learning.costs import OperationCosts
from gapslsim.learning.names import AUXILIARY, SERVER, side_of
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.segments import OF_SERVER, Range
from gapslsim.models.side_cost import SideCost

__all__ = ["Held", "Holdings"]


class Held(NamedTuple):
    """Of one state."""

    size_bytes: int
    """Weights that are trained, and buffers: what a message of them takes."""
    slot_bytes: int
    """A slot of its optimizer: one number per trained weight."""
    n_trained: int

    @classmethod
    def of(cls, sides: Sequence[SideCost], itemsize: int) -> Held:
        """From the costs of its blocks.

        Args:
            sides: in order.
            itemsize: bytes per parameter.
        """
        slot = sum(int(side.trained_bytes * itemsize / 4) for side in sides)
        return cls(
            slot + sum(side.buffer_bytes for side in sides), slot, sum(side.n_trained for side in sides)
        )


class Holdings:
    """What states hold; the same object for the same blocks.

    Args:
        setup: the model and who owns which of its blocks.
        costs: of its stretches.
    """

    def __init__(self, setup: LearningSetup, costs: OperationCosts) -> None:
        self._setup, self._costs = setup, costs
        self.of = cache(self._of)
        self.smashed_shape = cache(self._smashed_shape)
        self.served_shape = cache(self._served_shape)

    def _of(self, state: str) -> Held:
        """Of a state by its name.

        Raises:
            ProtocolError: if it would be common to clients with unlike blocks.
        """
        sides = self.sides(state)
        return Held.of(sides, self._setup.itemsize)

    def sides(self, state: str) -> list[SideCost]:
        """Costs of its blocks, stretch by stretch."""
        segments, sizes = self._setup.segments, self._costs.sizes
        if side_of(state) == AUXILIARY:
            return [self._costs.auxiliary(self._setup.batch_size)]
        if segments is None:
            return [sizes.server if side_of(state) == SERVER else sizes.client]
        return [cost for blocks in segments.held(state) for cost in self.pieces(blocks)]

    def pieces(self, blocks: Range) -> list[SideCost]:
        """Costs of some blocks from bound to bound, where they have several owners."""
        segments = self._setup.segments
        assert segments is not None
        first, last = (segments.bounds.index(bound) for bound in blocks)
        return list(self._costs.chain(self._setup.batch_size).stretches[first:last])

    def _smashed_shape(self, client: int) -> tuple[int, ...]:
        """Of what one sample of a client sends across its first cut."""
        segments = self._setup.segments
        if segments is None:
            return self._costs.sizes.smashed_shape
        return self.shape_at(segments.paths[client][0].last)

    def sample_bytes(self, client: int) -> int:
        """What one sample of a client sends across its first cut, without its label, where it has no codec."""
        return math.prod(self.smashed_shape(client)) * self._setup.itemsize

    def served_bytes(self, client: int) -> int:
        """What one sample of a client brings to the server, without its label, where it has no codec."""
        return math.prod(self.served_shape(client)) * self._setup.itemsize

    def _served_shape(self, client: int) -> tuple[int, ...]:
        """Of what one sample of a client brings to the server."""
        segments = self._setup.segments
        if segments is None:
            return self.smashed_shape(client)
        return self.shape_at(next(s.first for s in segments.paths[client] if s.owner == OF_SERVER))

    def bytes_at(self, bound: int) -> int:
        """What one sample sends across a bound between two owners, without its label and codec; see `shape_at`."""
        return math.prod(self.shape_at(bound)) * self._setup.itemsize

    def shape_at(self, bound: int) -> tuple[int, ...]:
        """Of what one sample sends across a bound between two owners.

        Args:
            bound: blocks before it.
        """
        segments = self._setup.segments
        assert segments is not None
        return self._costs.chain(self._setup.batch_size).shapes[segments.bounds.index(bound) - 1]

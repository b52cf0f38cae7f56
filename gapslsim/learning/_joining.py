"""How many samples go into one pass: of several clients joined, or of several models side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gapslsim.learning.workers import WORTH_FLOP, passes_flop
from gapslsim.models.cost import SplitCost

if TYPE_CHECKING:
    from gapslsim.learning._limits import Limits
    from gapslsim.learning.tensors import Side

__all__ = ["groups_of", "stacked_client_samples"]


def stacked_client_samples(client: Side, costs: SplitCost, batch_size: int, limits: Limits) -> int:
    """Most samples of client-side passes side by side; 0 where threads, or one pass after the other, are faster.

    Like every such choice it looks at the scenario and the kind of device alone, so that results do not depend on the
    machine's size.
    """
    if not client.stackable or (limits.is_cache and passes_flop(costs) >= WORTH_FLOP):
        return 0
    most = limits.samples(limits.stacked_bytes, costs.client, batch_size)
    return most if most >= 2 * batch_size else 0


def groups_of(sizes: Sequence[int], joined_samples: int) -> list[slice]:
    """Participants in order, cut so that the batches of each group hold at most `joined_samples`, or are one."""
    groups: list[slice] = []
    first = n_samples = 0
    for place, size in enumerate(sizes):
        # A batch larger than the limit is a group of its own rather than never taken.
        if place > first and n_samples + size > joined_samples:
            groups.append(slice(first, place))
            first, n_samples = place, 0
        n_samples += size
    return [*groups, slice(first, len(sizes))]

"""A network's blocks, with a side for every stretch that somebody owns; all sides share the modules.

Weights of a stretch lie in a row in the state that holds it, so that a pass through some of a state's blocks reads a
part of its tensors, and a client's whole network is put together from the states along its path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from jaxtyping import Shaped
from torch import Tensor, nn

from gapslsim.learning.messages import Weights
from gapslsim.learning.state import SideState
from gapslsim.learning.tensors import Side
from gapslsim.models.segments import OF_CLIENT, Path, Range, Segments
from gapslsim.models.split import cut_at

__all__ = ["Stretches"]

MakeSide = Callable[[nn.Module, Sequence[Tensor], bool], Side]
"""From layers, batches that may enter them and whether they are a client's, to a side."""


class Stretches:
    """Sides of the stretches of one network.

    Args:
        blocks: named blocks with their initial weights, on the device.
        segments: who owns which.
        examples: three batches of inputs, with which every stretch is tried.
        make: makes a side.

    Raises:
        ValueError: if two owners would have one parameter.
    """

    def __init__(
        self,
        blocks: list[tuple[str, nn.Module]],
        segments: Segments,
        examples: Sequence[Shaped[Tensor, "b ..."]],
        make: MakeSide,
    ) -> None:
        self._blocks, self.segments, self._make = blocks, segments, make
        self._sides: dict[tuple[Range, bool], Side] = {}
        self._entering: dict[int, Sequence[Tensor]] = {0: examples}
        cut_at(blocks, segments.bounds)
        # In order, since what enters a stretch leaves the one before. Finds parameters that no pass uses, too.
        for first, last in pairwise(segments.bounds):
            self._entering[last] = self.side(Range(first, last)).example_outputs
        self._n_parameters = [
            sum(parameter.requires_grad for parameter in block.parameters()) for _, block in blocks
        ]
        self._n_buffers = [len(list(block.buffers())) for _, block in blocks]
        self.whole = self.side(Range(0, len(blocks)), of_client=True)
        """The network that is not cut."""
        self.nothing = self.side(Range(len(blocks), len(blocks)))
        """No layer at all: what stands after the whole network."""

    def side(self, blocks: Range, of_client: bool = False) -> Side:
        """The side of some blocks; those that begin where a stretch does.

        Args:
            blocks: in a row.
            of_client: whether it takes steps as a client does; else as the server.
        """
        found = self._sides.get((blocks, of_client))
        if found is None:
            (layers,) = cut_at(self._blocks[blocks.first : blocks.last], (0, blocks.last - blocks.first))
            found = self._make(layers, self._entering[blocks.first], of_client)
            self._sides[blocks, of_client] = found
        return found

    def initial(self, state: str) -> SideState:
        """What a state begins with: the network's own weights, with a fresh optimizer."""
        of_client = self.segments.owner_of(state) is None
        held = self.segments.held(state)
        begun = [self.side(blocks, of_client).initial() for blocks in held]
        parameters = tuple(p for one in begun for p in one.parameters)
        buffers = tuple(b for one in begun for b in one.buffers)
        return SideState(parameters, buffers, self.side(held[0], of_client).optimizer.initial(parameters))

    def places(self, held: Sequence[Range], wanted: Range) -> tuple[slice, slice]:
        """Where the parameters and buffers of some blocks lie in a state.

        Args:
            held: blocks of the state, in order.
            wanted: some of them, in a row.
        """
        numbers = [block for blocks in held for block in range(*blocks)]
        before = numbers[: numbers.index(wanted.first)] if wanted.first < wanted.last else numbers
        found = []
        for counts in (self._n_parameters, self._n_buffers):
            first = sum(counts[block] for block in before)
            found.append(slice(first, first + sum(counts[block] for block in range(*wanted))))
        return found[0], found[1]

    def part(self, state: SideState | Weights, held: Sequence[Range], wanted: Range) -> Weights:
        """The weights of some blocks of a state; see `places`."""
        parameters, buffers = self.places(held, wanted)
        return Weights(state.parameters[parameters], state.buffers[buffers])

    def assembled(self, client: int, states: Mapping[str, SideState], names: Mapping[str, str]) -> SideState:
        """A client's whole network, from the states along its path; without an optimizer.

        Args:
            client: whose.
            states: by name.
            names: of the state of each owner on the path.
        """
        path: Path = self.segments.paths[client]
        parts = [
            self.part(states[names[s.owner]], self.segments.held(names[s.owner]), s.blocks) for s in path
        ]
        assert path[0].owner == OF_CLIENT
        return SideState(
            tuple(parameter for part in parts for parameter in part.parameters),
            tuple(buffer for part in parts for buffer in part.buffers),
            {},
        )

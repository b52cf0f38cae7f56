"""The engine of a network whose blocks have several owners, or unlike ones from client to client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from gapslsim.learning.engine import Engine
from gapslsim.learning.state import SideState
from gapslsim.learning.stretches import Stretches
from gapslsim.learning.tensors import Side
from gapslsim.models.segments import OF_SERVER

__all__ = ["SegmentedEngine"]


class SegmentedEngine(Engine):
    """An engine whose passes go through stretches of blocks; see `Engine`."""

    def _sides(self, blocks: list[tuple[str, nn.Module]], examples: Sequence[Tensor]) -> tuple[Side, Side]:
        """The head of the first client and what the server holds: for what is the same for all."""
        segments = self._setup.segments
        assert segments is not None
        self.stretches = Stretches(blocks, segments, examples, self._side)
        client = self.stretches.side(segments.of_client(0)[0], of_client=True)
        (of_server,) = segments.held(OF_SERVER)
        return client, self.stretches.side(of_server)

    @property
    def evaluated(self) -> tuple[Side, Side]:
        """The whole network, and nothing."""
        return self.stretches.whole, self.stretches.nothing

    @property
    def nothing(self) -> SideState:
        """The state of no layer at all."""
        return self.stretches.nothing.initial()

    def initial(self, state: str) -> SideState:
        """What a state of a name begins with."""
        return self.stretches.initial(state)

    def assembled(self, client: int, states: Mapping[str, SideState], names: Mapping[str, str]) -> SideState:
        """A client's whole network; see `Stretches.assembled`."""
        return self.stretches.assembled(client, states, names)

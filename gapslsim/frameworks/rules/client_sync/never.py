"""No synchronisation of the client-side models: parallel split learning without aggregation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gapslsim.frameworks.client_sync import ClientSync, client_syncs
from gapslsim.registry import component

if TYPE_CHECKING:
    from gapslsim.frameworks.world import World
    from gapslsim.sim.node import Process

__all__ = ["Never"]


@client_syncs.register
@component
class Never(ClientSync):
    """Every client keeps its own client-side model."""

    kind: Literal["never"] = "never"

    def run(self, w: World) -> Process[None]:
        """Ends at once."""
        yield from ()

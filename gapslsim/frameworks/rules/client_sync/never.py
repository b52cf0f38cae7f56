"""No synchronisation of the client-side models: parallel split learning without aggregation."""

from __future__ import annotations

from typing import Literal

from gapslsim.frameworks.client_sync import ClientSync, client_syncs
from gapslsim.frameworks.stage import Process, Stage
from gapslsim.registry import component

__all__ = ["Never"]


@client_syncs.register
@component
class Never(ClientSync):
    """Every client keeps its own client-side model."""

    kind: Literal["never"] = "never"

    def run(self, w: Stage) -> Process[None]:
        """Ends at once."""
        yield from ()

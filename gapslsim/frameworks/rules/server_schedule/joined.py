"""One step of the server on one pass over the samples of all clients."""

from __future__ import annotations

from typing import Literal

from gapslsim.clock_options import ServerClock
from gapslsim.frameworks.server_schedule import ServerSchedule, server_schedules
from gapslsim.registry import component

__all__ = ["JoinedSchedule"]


@server_schedules.register
@component
class JoinedSchedule(ServerSchedule):
    """One pass over the joined mini-batches, as where activations are concatenated (SCALA, arXiv 2405.04875).

    Batch norm and dropout see all samples together. The step is on the mean of the clients' losses weighted by their
    samples. A client's cut gradient is that of its own loss as far as layers do not mix samples; where they do, it is
    that of the step's loss over the client's share of the samples. Batches of one size and layers that mix nothing
    make it `mean`. The server's memory must hold the pass.
    """

    kind: Literal["joined"] = "joined"

    @property
    def joins_samples(self) -> bool:
        """Yes."""
        return True

    def unfit(self, server: ServerClock) -> dict[str, str]:
        """Passes of their own, and beginning before all have arrived."""
        why = "server_schedule joined is one pass over the samples of all"
        found = {}
        if server.computes in ("per_client", "in_sequence"):
            found["computes"] = f"{why}; write auto or joined"
        if server.serves == "on_arrival":
            found["serves"] = f"{why}; write at_barrier"
        return found

"""MP-SL: the middle of the network on a chain of compute nodes, pipelined over the clients, its ends on each client."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gapslsim.frameworks.client_sync import ClientSync, client_syncs
from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.frameworks.rules.client_sync.average import Average
from gapslsim.frameworks.rules.server_schedule.copies import CopiesSchedule
from gapslsim.frameworks.server_schedule import ServerSchedule, server_schedules
from gapslsim.registry import component

__all__ = ["MpSl"]


@frameworks.register
@component
class MpSl(ParallelSplitLearning):
    """MP-SL (Tirana et al., arXiv 2402.00208): multi-hop parallel split learning, of which no node sees a label.

    For `shape: chain` with a tail, or `u_shape` (one hop): the last compute node is the server, those before it are the
    helpers. Every client has a version of its own of every part, at each node too. A client sends a mini-batch when the
    one before is back, and no client waits for another: a node is busy with one client while the next node is with
    another. After a local epoch each node averages its copies itself, and the parameter server, the source's
    aggregator, clients' two ends. Sources: the system and its equations of time as in Tirana et al. (EdgeSys 2025), the
    abstract of 2402.00208, and the authors' public code (jtirana98/MultiHop-Federeated-Split-Learning), which keeps
    optimizers through averages, as here. FedAvg is named there without weights; here they are samples. With
    `server_schedule: mean` each node has one model for all clients and steps once for all: less memory, a barrier.
    """

    shapes: ClassVar[tuple[str, ...]] = ("chain", "u_shape")
    needs_tail: ClassVar[bool] = True
    kind: Literal["mp_sl"] = "mp_sl"
    client_sync: Annotated[ClientSync, client_syncs] = Field(
        default_factory=lambda: Average(every="epoch", weights="samples")
    )
    """When clients' ends are averaged by the parameter server."""
    server_schedule: Annotated[ServerSchedule, server_schedules] = Field(
        default_factory=lambda: CopiesSchedule(every="epoch", weights="samples")
    )
    """How compute nodes step: on a copy per client, averaged once per local epoch; or `mean`."""

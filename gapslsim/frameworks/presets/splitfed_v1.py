"""SplitFed V1: a server-side copy per client; copies and client-side models are averaged once per local epoch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gapslsim.frameworks.client_sync import ClientSync, client_syncs
from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.frameworks.rules.client_sync.average import Average
from gapslsim.frameworks.rules.server_schedule.copies import CopiesSchedule
from gapslsim.frameworks.server_schedule import ServerSchedule, server_schedules
from gapslsim.registry import component

__all__ = ["SplitFedV1"]


@frameworks.register
@component
class SplitFedV1(ParallelSplitLearning):
    """SplitFed V1 (Algorithm 1 of Thapa et al., arXiv 2004.12088): federated averaging of a network that is cut.

    A round is a local epoch of each participant, with a server-side copy of its own; then the copies are averaged, and
    the client-side models by the parameter server, both by samples. Optimizers start anew after that, as public code
    makes clients' for each epoch; with the same optimizer on both sides the training is that of `fedavg`. The authors'
    public code makes the server's for each mini-batch: `step_optimizer: reset` of the schedule.
    """

    kind: Literal["splitfed_v1"] = "splitfed_v1"
    client_sync: Annotated[ClientSync, client_syncs] = Field(
        default_factory=lambda: Average(every="epoch", weights="samples", optimizer="reset")
    )
    """When the client-side models are averaged by the parameter server."""
    server_schedule: Annotated[ServerSchedule, server_schedules] = Field(
        default_factory=lambda: CopiesSchedule(every="epoch", weights="samples", optimizer="reset")
    )
    """How the server steps: a copy per client, averaged once per local epoch."""

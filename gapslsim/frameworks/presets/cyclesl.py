"""CycleSL: the server trains on the pooled smashed data of a round; clients then follow the updated server."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.frameworks.server_schedule import ServerSchedule, server_schedules
from gapslsim.registry import component

__all__ = ["CycleSL"]


@frameworks.register
@component
class CycleSL(ParallelSplitLearning):
    """CycleSL (Wang, Bozkir, Kasneci: Server-Client Cyclical Update Driven Scalable Split Learning, arXiv 2511.18611).

    The server trains on the pool of a round and then answers (`server_schedule`). As it is: CyclePSL, without averages.
    With `client_sync: {kind: average, weights: samples}`: CycleSFL; the authors' code gives the mean to clients that
    did not take part too, here those that did get it. CycleSGLR and CycleSSL of the same code are not here.
    """

    kind: Literal["cyclesl"] = "cyclesl"
    server_schedule: Annotated[ServerSchedule, server_schedules] = Field(
        default_factory=lambda: server_schedules["pooled"]()
    )
    """How the server trains on the pool: epochs, batch size, weights of samples."""

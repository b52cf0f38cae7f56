"""SplitFed V3: each client keeps its own client-side model; server-side copies are averaged once per local epoch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.frameworks.rules.server_schedule.copies import CopiesSchedule
from gapslsim.frameworks.server_schedule import ServerSchedule, server_schedules
from gapslsim.registry import component

__all__ = ["SplitFedV3"]


@frameworks.register
@component
class SplitFedV3(ParallelSplitLearning):
    """SplitFed V3 (Gawali et al., arXiv 2012.12591): V1 whose client-side networks are unique and never averaged.

    A round is a local epoch of each participant, with a server-side copy of its own; then the copies are averaged. No
    weights travel. Of the source its abstract was at hand, and a public implementation by others (`run_sflv3.py` of
    jtirana98/Hydra_tackling-CF-in-SFL): that one weighs clients alike (`weights: uniform`) and makes new optimizers on
    both sides for each epoch. Here copies weigh by samples, as V1's do in its source; the optimizers of copies start
    anew with their weights, those of clients, whose weights stay, go on. With SGD without momentum that is the same.
    """

    kind: Literal["splitfed_v3"] = "splitfed_v3"
    server_schedule: Annotated[ServerSchedule, server_schedules] = Field(
        default_factory=lambda: CopiesSchedule(every="epoch", weights="samples", optimizer="reset")
    )
    """How the server steps: a copy per client, averaged once per local epoch."""

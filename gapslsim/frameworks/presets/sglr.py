"""SGLR: a server whose learning rate grows with the fleet, and clients that get one averaged cut gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.frameworks.rules.server_schedule.joined import JoinedSchedule
from gapslsim.frameworks.server_schedule import ServerSchedule, server_schedules
from gapslsim.frameworks.stage import Stage
from gapslsim.learning.rules import CutGradient
from gapslsim.registry import component

__all__ = ["Sglr"]

_ROUNDING = 1e-9


@frameworks.register
@component
class Sglr(ParallelSplitLearning):
    """SGLR (Pal et al., arXiv 2112.05929, Algorithm 1): SplitLr on the server, SplitAvg at the cut.

    The server makes one pass over the joined mini-batches. SplitLr, Eqs. (12) and (13): its rate is that of
    `training.server`, which is meant as the clients', times the number of clients to the power `power`. SplitAvg,
    Eq. (15): of each step a share of the clients, drawn anew, is active; these get the mean of their cut gradients,
    sample by sample, by broadcast, the others their own. Readings: the sum in (15), called an average, is the mean of
    gradients of the clients' own losses (`cut_scale: own`), or the mean of those of the step's one loss, 1/S as long
    (`mean`), as the authors' public code has it. That code has all clients active, for the first part of the training
    alone (`averaged_epochs`), Adam on both sides and batches of one size. In Eq. (4) clients weigh by their data, in
    Algorithm 1 and here by the samples of their batches.
    """

    kind: Literal["sglr"] = "sglr"
    power: Annotated[float, Field(ge=0, le=4)] = 1.0
    """alpha of SplitLr; the source tries 0 to 2, best with ten clients are 0.5 and 1; 0 leaves the rate as it is."""
    scaled_by: Literal["clients", "samples"] = "clients"
    """What is taken to that power: how many clients a round wants, Eq. (13), or how many samples, Eq. (12)."""
    active: Annotated[float, Field(gt=0, le=1)] = 0.75
    """phi of SplitAvg: share of a step's clients that get the mean of their cut gradients, one at least."""
    averaged_epochs: Annotated[float, Field(gt=0)] | None = None
    """Passes over the data after which every client gets its own cut gradient; never unless given."""
    server_schedule: Annotated[ServerSchedule, server_schedules] = Field(default_factory=JoinedSchedule)
    """How the server steps: on one pass over all samples; `mean` makes passes of their own."""

    @property
    def cut_rule(self) -> CutGradient:
        """The mean over clients."""
        return CutGradient(average=True, scale=self.cut_scale)

    def _cut_rule(self, w: Stage, clients: tuple[int, ...]) -> CutGradient:
        """That of the clients that are active in a step."""
        if self.averaged_epochs is not None and w.epoch >= self.averaged_epochs - _ROUNDING:
            return replace(self.cut_rule, average=False)
        n_active = max(1, round(self.active * len(clients)))
        if n_active == len(clients):
            return self.cut_rule
        chosen = w.random("active", w.learner.server_steps).choice(clients, n_active, replace=False)
        return replace(self.cut_rule, averaged=tuple(sorted(chosen.tolist())))

    def server_rate_factor(self, batch_sizes: Sequence[int]) -> float:
        """SplitLr."""
        n = self.n_wanted(len(batch_sizes))
        scale = n if self.scaled_by == "clients" else n * sum(batch_sizes) / len(batch_sizes)
        return float(scale**self.power)

    def problems(self, n_clients: int) -> list[str]:
        """A step that is as long as all clients' together, scaled once more."""
        found = super().problems(n_clients)
        if self.server_schedule.kind == "sum" and self.power:
            found.append(
                "server_schedule: sum makes the step as many times as long as there are clients, and power scales the "
                "rate for that too; write joined, mean, or power: 0"
            )
        return found

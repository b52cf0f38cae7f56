"""Steps of the server on mini-batches that it draws from the samples of all clients; then its answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt

from gapslsim.clock_options import ServerClock
from gapslsim.frameworks.rules._hold import HoldUpdate
from gapslsim.frameworks.server_schedule import ServerSchedule, server_schedules
from gapslsim.frameworks.stage import Process, Stage
from gapslsim.learning.rules import ServerUpdate
from gapslsim.registry import component

if TYPE_CHECKING:
    from gapslsim.learning.operation import SmashedData

__all__ = ["PooledSchedule"]


@server_schedules.register
@component
class PooledSchedule(ServerSchedule):
    """The server of CycleSL (Wang, Bozkir, Kasneci, arXiv 2511.18611): it trains on a pool, then gives cut gradients.

    1. When all have arrived, their samples are one pool. The server passes over it `epochs` times, each time shuffled
       and divided into mini-batches, with a step for each.
    2. With the weights that it has then, it makes each client's cut gradient, without a step. Where clients are frozen
       there is none to make.

    At hand were the abstract and the authors' public code, of which this is the loop. Time: steps are charged without
    the gradient at the cut, answers without those of the weights. Batch norm's statistics move in both, as in the code.
    Departure: a last mini-batch of one sample joins the one before where layers mix samples, on which the code fails.
    Memory is counted as of one pass over the pool.
    """

    kind: Literal["pooled"] = "pooled"
    epochs: PositiveInt = 1
    """E: passes over the pool in a round."""
    batch_size: PositiveInt | None = None
    """Samples of a step; as many as in the largest mini-batch that has arrived unless given."""
    weights: Literal["samples", "uniform"] = "samples"
    """Weight of a sample in the mean of a step: the number of its client's training samples, as in the public code, or
    the same for all."""

    @property
    def trains_first(self) -> bool:
        """Yes."""
        return True

    def train(self, w: Stage, smashed: Mapping[int, SmashedData]) -> Process[None]:
        """The passes over the pool."""
        training = w.learner.server_training(smashed, self.epochs, self.batch_size, self.weights)
        yield from w.server.compute(training, on_behalf_of=tuple(smashed))

    def n_steps(self, batch_sizes: Sequence[int], share: float = 1.0) -> float:
        """Mini-batches of the pool, in all passes."""
        size = self.batch_size or max(batch_sizes)
        return float(self.epochs * math.ceil(share * sum(batch_sizes) / size - 1e-9))

    def rule(self, rule: ServerUpdate) -> ServerUpdate:
        """No step."""
        return HoldUpdate()

    def unfit(self, server: ServerClock) -> dict[str, str]:
        """Beginning before all have arrived."""
        if server.serves != "on_arrival":
            return {}
        return {"serves": "server_schedule pooled trains on the samples of all together; write at_barrier"}

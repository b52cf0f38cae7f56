"""Semi-asynchronous GAPSL: alignment among those that have arrived."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from pydantic import PositiveInt

from gapslsim.frameworks.asynchronous import AsynchronousSplitLearning
from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.rules.gapsl_options import GapslOptions
from gapslsim.frameworks.slots import server_updates
from gapslsim.learning.rules import ServerUpdate
from gapslsim.registry import component

__all__ = ["AsyncGapsl"]


@frameworks.register
@component
class AsyncGapsl(GapslOptions, AsynchronousSplitLearning):
    """Semi-asynchronous GAPSL, an option of ours that [lin2026gapsl] does not have: LGI and GDA within a buffer.

    A step takes the first K mini-batches to arrive, and K_t, the leader gradient and the threshold are over those.
    Weights of staleness make a gradient shorter and leave its direction: they count in the leader gradient and in the
    update, not in the angles.
    """

    kind: Literal["async_gapsl"] = "async_gapsl"
    buffer: PositiveInt = 2
    """K: mini-batches of one step; alignment needs two at least."""

    @property
    def n_buffered(self) -> int:
        """K."""
        return self.buffer

    @cached_property
    def server_rule(self) -> ServerUpdate:
        """The rule `gapsl` with these options."""
        return server_updates["gapsl"](**self.options())

    def problems(self, n_clients: int) -> list[str]:
        """A leader that is not there, a buffer that can never be full."""
        return [*self.leader_problems(n_clients), *super().problems(n_clients)]

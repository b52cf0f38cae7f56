"""Parallel split learning with a leader gradient: the common part of GAPSL and its ablations."""

from __future__ import annotations

from functools import cached_property

from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.frameworks.rules.gapsl_options import GapslOptions, LeaderOptions
from gapslsim.frameworks.slots import server_updates
from gapslsim.learning.rules import ServerUpdate
from gapslsim.registry import component

__all__ = ["AlignedSplitLearning", "LedSplitLearning"]


@component
class AlignedSplitLearning(GapslOptions, ParallelSplitLearning):
    """A leader gradient (LGI) and admission by direction (GDA), with their options at the top."""

    @cached_property
    def server_rule(self) -> ServerUpdate:
        """The rule `gapsl` with these options."""
        return server_updates["gapsl"](**self.options())

    def problems(self, n_clients: int) -> list[str]:
        """A leader that is not there, a sample larger than the fleet."""
        return [*self.leader_problems(n_clients), *super().problems(n_clients)]


@component
class LedSplitLearning(LeaderOptions, ParallelSplitLearning):
    """The server follows a leader gradient alone; every client trains with its own cut gradient."""

    @cached_property
    def server_rule(self) -> ServerUpdate:
        """The rule `leader` with these options."""
        return server_updates["leader"](**self.options())

    def problems(self, n_clients: int) -> list[str]:
        """A leader that is not there, a sample larger than the fleet."""
        return [*self.leader_problems(n_clients), *super().problems(n_clients)]

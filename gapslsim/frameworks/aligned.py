"""Parallel split learning with a leader gradient: the common part of GAPSL and its ablations."""

from __future__ import annotations

from functools import cache
from typing import Any

from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.frameworks.rules.gapsl_options import GapslOptions, LeaderOptions
from gapslsim.frameworks.slots import server_updates
from gapslsim.learning.rules import ServerUpdate
from gapslsim.registry import component

__all__ = ["AlignedSplitLearning", "LedSplitLearning"]


@cache
def _rule(kind: str, **options: Any) -> ServerUpdate:
    """A rule with its options, checked once: a framework names its rule in every round."""
    return server_updates[kind](**options)


@component
class AlignedSplitLearning(GapslOptions, ParallelSplitLearning):
    """A leader gradient (LGI) and admission by direction (GDA), with their options at the top."""

    @property
    def server_rule(self) -> ServerUpdate:
        """The rule `gapsl` with these options."""
        return _rule("gapsl", **self.options())

    def problems(self, n_clients: int) -> list[str]:
        """A leader that is not there, a sample larger than the fleet."""
        return [*self.leader_problems(n_clients), *super().problems(n_clients)]


@component
class LedSplitLearning(LeaderOptions, ParallelSplitLearning):
    """The server follows a leader gradient alone; every client trains with its own cut gradient."""

    @property
    def server_rule(self) -> ServerUpdate:
        """The rule `leader` with these options."""
        return _rule("leader", **self.options())

    def problems(self, n_clients: int) -> list[str]:
        """A leader that is not there, a sample larger than the fleet."""
        return [*self.leader_problems(n_clients), *super().problems(n_clients)]

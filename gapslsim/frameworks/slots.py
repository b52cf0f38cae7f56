"""The slots of parallel split learning as families, and the two that do not touch tensors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from gapslsim.learning.rules import ClientUpdate, ServerUpdate
from gapslsim.registry import Family

__all__ = ["Participation", "client_updates", "participations", "server_updates"]


class Participation(ABC):
    """Who takes part in a round."""

    @abstractmethod
    def choose(self, n_clients: int, random: Callable[[], np.random.Generator]) -> tuple[int, ...]:
        """Indices of the participants, ascending, at least one; `random` makes a stream of this round."""

    @abstractmethod
    def expected_share(self, n_clients: int) -> float:
        """Expected share of the clients that take part in a round, in (0, 1]."""

    def problems(self, n_clients: int) -> list[str]:
        """What keeps the rule from choosing among so many clients, in words; empty if nothing."""
        return []


_RULES = "gapslsim.frameworks.rules"
server_updates: Family[ServerUpdate] = Family("server_update", f"{_RULES}.server_update")
client_updates: Family[ClientUpdate] = Family("client_update", f"{_RULES}.client_update")
participations: Family[Participation] = Family("participation", f"{_RULES}.participation")

"""All clients take part in every round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from gapslsim.frameworks.slots import Participation, participations
from gapslsim.registry import component

__all__ = ["Everyone"]


@participations.register
@component
class Everyone(Participation):
    """All clients, as in [lin2026gapsl]."""

    kind: Literal["everyone"] = "everyone"

    def choose(self, n_clients: int, random: Callable[[], np.random.Generator]) -> tuple[int, ...]:
        """All indices; draws nothing."""
        return tuple(range(n_clients))

    def expected_share(self, n_clients: int) -> float:
        """One."""
        return 1.0

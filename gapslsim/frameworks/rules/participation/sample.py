"""A random sample of the clients takes part in each round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from pydantic import PositiveInt

from gapslsim.frameworks.slots import Participation, participations
from gapslsim.registry import component

__all__ = ["Sample"]


@participations.register
@component
class Sample(Participation):
    """Draws `k` clients, anew in each round without replacement, all equally likely."""

    kind: Literal["sample"] = "sample"
    k: PositiveInt
    """How many clients take part."""

    def choose(self, n_clients: int, random: Callable[[], np.random.Generator]) -> tuple[int, ...]:
        """A sample, ascending.

        Raises:
            ValueError: if there are fewer than `k` clients.
        """
        for problem in self.problems(n_clients):
            raise ValueError(problem)
        # Ascending, whoever was drawn first: sums over clients are then taken in one order.
        return tuple(sorted(random().choice(n_clients, self.k, replace=False).tolist()))

    def expected_share(self, n_clients: int) -> float:
        """The share k / n."""
        return self.k / n_clients

    def problems(self, n_clients: int) -> list[str]:
        """A sample larger than the fleet."""
        if self.k <= n_clients:
            return []
        return [
            f"participation.k is {self.k}, but there are {n_clients} clients; choose from 1 to {n_clients}"
        ]

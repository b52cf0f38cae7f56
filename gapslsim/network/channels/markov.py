"""A channel that jumps between given rates."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from gapslsim.network.channel import Channel, Steps, channels
from gapslsim.registry import component
from gapslsim.units import Rate, StepLength

__all__ = ["Markov"]


@channels.register
@component
class Markov(Channel):
    """A Markov chain on rates with a fixed step; it starts in its stationary distribution.

    The stay in a state is geometric, and is drawn at once: idle steps cost nothing.
    """

    kind: Literal["markov"] = "markov"
    rates: Annotated[tuple[Rate, ...], Field(min_length=1)]
    """Rate of each state."""
    transitions: tuple[tuple[Annotated[float, Field(ge=0, le=1)], ...], ...]
    """Row i: probabilities of the next state after state i; each row sums to 1."""
    step: StepLength
    """Time between two draws of the chain."""

    @model_validator(mode="after")
    def _square_and_stochastic(self) -> Markov:
        n = len(self.rates)
        if len(self.transitions) != n or any(len(row) != n for row in self.transitions):
            raise ValueError(f"transitions must be a {n} x {n} matrix, one row and column per rate")
        for index, row in enumerate(self.transitions):
            if abs(sum(row) - 1) > 1e-9:
                raise ValueError(f"row {index} of transitions must sum to 1; it sums to {sum(row)!r}")
        return self

    @cached_property
    def stationary(self) -> NDArray[np.float64]:
        """Stationary probabilities of the states (least squares, so that a reducible chain has some too)."""
        matrix = np.array(self.transitions)
        n = len(matrix)
        # pi (P - I) = 0 has a multiple of every solution; the row of ones fixes the sum.
        equations = np.vstack([matrix.T - np.eye(n), np.ones(n)])
        solution = np.linalg.lstsq(equations, np.append(np.zeros(n), 1.0), rcond=None)[0]
        # Least squares leave rounding below 0, which no probability is.
        clipped = np.clip(solution, 0, None)
        return np.asarray(clipped / clipped.sum(), dtype=np.float64)

    def steps(self, random: np.random.Generator) -> Steps:
        """One step per change of state; ends in an absorbing state."""
        state = int(random.choice(len(self.rates), p=self.stationary))
        draws = 0
        while True:
            yield draws * self.step, self.rates[state]
            row = np.array(self.transitions[state])
            leave = 1.0 - row[state]
            # Absorbed: the last rate holds for ever, as the contract of steps says.
            if leave <= 0:
                return
            draws += int(random.geometric(leave))
            # Given that it leaves: the geometric stay has accounted for all draws that did not.
            row[state] = 0.0
            state = int(random.choice(len(row), p=row / row.sum()))

    def dies(self) -> str | None:
        """A closed set of states, all of rate 0, that the chain can come to."""
        import networkx as nx

        ways = nx.from_numpy_array(np.array(self.transitions), create_using=nx.DiGraph)
        for state in ways:
            if not any(self.rates[other] for other in {state, *nx.descendants(ways, state)}):
                return f"from state {state} on the rate is 0 for ever; give it a way to a state with another rate"
        return None

    @property
    def mean_bit_per_s(self) -> float:
        """Stationary mean."""
        return float(self.stationary @ np.array(self.rates))

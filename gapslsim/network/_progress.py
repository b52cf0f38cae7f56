"""A watchdog: whether anything moves while the rates of links change and change."""

from __future__ import annotations

import math
from collections.abc import Mapping

import simpy

from gapslsim.errors import StalledError
from gapslsim.events import LAST, only_priority
from gapslsim.network._routes import LinkSpec
from gapslsim.network.solver.engine import FlowEngine
from gapslsim.network.solver.flows import Link

__all__ = ["Progress"]

IN_VAIN = 1_000_000
"""Changes of rates, with nothing else happening, after which it is looked whether anything moves."""
_SHARE = 1e-6
"""Part of what is under way that must have moved meanwhile: with less, nobody could wait for the end."""


class Progress:
    """Counts looks at a network in which nothing begins or ends.

    Args:
        env: the event loop.
        engine: knows what is under way.
        links: of the network, as they are made.
    """

    def __init__(self, env: simpy.Environment, engine: FlowEngine, links: Mapping[LinkSpec, Link]) -> None:
        self._env = env
        self._engine = engine
        self._links = links
        self._n_in_vain = 0
        self._rest_bit = math.inf

    def looked(self, something_happens: bool, now_s: float) -> None:
        """Notes a look at the network.

        Raises:
            StalledError: if nothing but such looks is to come, and nothing has moved since the last count.
        """
        self._n_in_vain += 1
        if something_happens:
            self._n_in_vain, self._rest_bit = 0, math.inf
        elif self._n_in_vain >= IN_VAIN:
            self._n_in_vain = 0
            self._count()

    def _count(self) -> None:
        used = [link for link in self._links.values() if link.flows]
        rest_bit = sum(map(self._engine.rest_bit, {flow for link in used for flow in link.flows}))
        before_bit, self._rest_bit = self._rest_bit, rest_bit
        moves = before_bit == math.inf or before_bit - rest_bit > _SHARE * before_bit
        if not moves and only_priority(self._env, LAST):
            names = ", ".join(sorted(link.name for link in used)[:3])
            raise StalledError(f"the rates of {names} have changed {IN_VAIN} times and nothing has moved")

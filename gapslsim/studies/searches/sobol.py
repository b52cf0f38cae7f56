"""A Sobol sequence."""

from __future__ import annotations

import math
from typing import Literal

from gapslsim.registry import component
from gapslsim.studies.search import Point, Search, Told, searches

__all__ = ["Sobol"]


@searches.register
@component
class Sobol(Search):
    """Settings spread evenly over the space (Owen's scrambling); best with 8, 16, 32 trials and so on.

    Random ones lie in clumps and leave gaps. More trials leave the first ones as they are.
    """

    kind: Literal["sobol"] = "sobol"

    def ask(self, told: Told) -> list[Point]:
        """See the base class."""
        if told:
            return []
        from scipy.stats.qmc import Sobol as Sequence

        drawn = Sequence(len(self.space), scramble=True, rng=self.seed)
        return self.points(drawn.random_base2(math.ceil(math.log2(self.trials)))[: self.trials].tolist())

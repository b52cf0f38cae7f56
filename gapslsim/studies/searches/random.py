"""Random search."""

from __future__ import annotations

from typing import Literal

import numpy as np

from gapslsim.registry import component
from gapslsim.studies.search import Point, Search, Told, searches

__all__ = ["Random"]


@searches.register
@component
class Random(Search):
    """Settings drawn one by one, each independent of the others. More trials leave the first ones as they are."""

    kind: Literal["random"] = "random"

    def ask(self, told: Told) -> list[Point]:
        """See the base class."""
        if told:
            return []
        return self.points(np.random.default_rng(self.seed).random((self.trials, len(self.space))).tolist())

"""More are asked than are needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

from pydantic import PositiveInt

from gapslsim.frameworks.lateness import Limited, latenesses, until_came
from gapslsim.frameworks.stage import Activity, Lost, Process, Stage
from gapslsim.registry import component

__all__ = ["OverSelect"]

T = TypeVar("T")


@latenesses.register
@component
class OverSelect(Limited):
    """A round asks `extra` more clients than it needs and goes on with the first that come (over-selection).

    Source: Section 2.2 of Bonawitz et al., "Towards Federated Learning at Scale", arXiv 1902.01046, which asks 130 %.
    How many are needed the participation says: `{kind: sample, k: 10}` with `extra: 3` asks 13 and uses the first 10.
    """

    kind: Literal["over_select"] = "over_select"
    extra: PositiveInt
    """How many more are asked."""

    def _wait(self, w: Stage, asked: Sequence[Activity[T | Lost]]) -> Process[None]:
        yield from until_came(w, asked, w.n_wanted)

    def n_selected(self, n_wanted: int, n_clients: int) -> int:
        """So many more, as far as there are clients."""
        return min(n_wanted + self.extra, n_clients)

    def problems(self, n_clients: int, n_wanted: int) -> list[str]:
        """Nobody more to ask."""
        if n_wanted + self.extra <= n_clients:
            return []
        return [
            f"lateness.extra is {self.extra} over {n_wanted} participants, but there are {n_clients} clients; with "
            f"participation: {{kind: sample, k: K}}, K and extra may make {n_clients} together"
        ]

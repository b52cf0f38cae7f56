"""Everyone has the same time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import NonNegativeInt

from gapslsim.frameworks.lateness import Limited, latenesses, until_came
from gapslsim.frameworks.stage import Activity, Lost, Process, Stage
from gapslsim.registry import component
from gapslsim.units import Quantity

__all__ = ["Deadline"]

T = TypeVar("T")


@latenesses.register
@component
class Deadline(Limited):
    """Each time that the server waits for its clients, it waits for so long at most.

    Source: deadline-based selection, as in FedCS (arXiv 1804.08333) and [bonawitz2019], here for each wait of a round:
    for the smashed data, for the clients' updates, for their weights.
    """

    kind: Literal["deadline"] = "deadline"
    after: Annotated[float, Quantity("s", positive=True)]
    """How long each wait lasts at most; who comes at that very instant is in time."""
    at_least: NonNegativeInt = 1
    """Where fewer have come by then, the server waits on until so many have; 0 gives a round without an update."""

    def _wait(self, w: Stage, asked: Sequence[Activity[T | Lost]]) -> Process[None]:
        yield from w.within(self.after, w.together(activity.wait() for activity in asked))
        yield from until_came(w, asked, min(self.at_least, len(asked)))

    def problems(self, n_clients: int, n_wanted: int) -> list[str]:
        """More than there are."""
        if self.at_least <= n_wanted:
            return []
        return [
            f"lateness.at_least is {self.at_least}, but a round has {n_wanted} participants; write {n_wanted} or fewer"
        ]

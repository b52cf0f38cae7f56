"""The first few are enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

from pydantic import PositiveInt

from gapslsim.frameworks.lateness import Limited, latenesses, until_came
from gapslsim.frameworks.stage import Activity, Lost, Process, Stage
from gapslsim.registry import component

__all__ = ["Quorum"]

T = TypeVar("T")


@latenesses.register
@component
class Quorum(Limited):
    """The server goes on as soon as the first `k` have come, or all that can."""

    kind: Literal["quorum"] = "quorum"
    k: PositiveInt
    """How many are enough."""

    def _wait(self, w: Stage, asked: Sequence[Activity[T | Lost]]) -> Process[None]:
        yield from until_came(w, asked, self.k)

    def problems(self, n_clients: int, n_wanted: int) -> list[str]:
        """More than there are."""
        if self.k <= n_wanted:
            return []
        return [f"lateness.k is {self.k}, but a round has {n_wanted} participants; write {n_wanted} or fewer"]

"""When a client is there: the family `availability` of a client group."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from gapslsim.registry import Family, component

__all__ = ["Availability", "Battery", "availabilities"]


class Battery(NamedTuple):
    """A store of energy; a client is there until it is empty, and again when it is charged."""

    capacity_j: float
    level_j: float
    """At 0 s."""
    charging_w: float
    """All the time, up to the capacity."""
    resume_j: float
    """A client whose battery ran empty comes back with so much."""


@component
class Availability(ABC):
    """When a client is there; a pydantic component.

    A client that goes away breaks off what it does: the computation never happened, the transfer has moved what it
    moved. What is asked of it meanwhile waits until it is back. It draws no power while it is away.
    """

    state: Literal["kept", "lost"] = "kept"
    """What a client has when it comes back. `kept`: all that it had; what was broken off is begun again. `lost`: the
    initial weights and nothing else; the server learns of it at once and goes on without what the client was doing."""

    @abstractmethod
    def changes(self, client: int, random: np.random.Generator) -> Iterator[tuple[float, bool]]:
        """(time [s], whether the client is there from then on); the first at 0 s, times ascending.

        Args:
            client: its index.
            random: a stream of this client's availability alone.
        """

    @property
    def never_changes(self) -> bool:
        """Whether every client is there all the time, so that nobody has to look."""
        return False

    @property
    def battery(self) -> Battery | None:
        """The store of energy that the client runs on, which ends its presence too; None for none."""
        return None

    def problems(self) -> list[str]:
        """What cannot be had of these settings, such as a file that is missing, in words; read before a run."""
        return []


availabilities: Family[Availability] = Family("availability", "gapslsim.sim.availabilities")
"""When a client is there; one kind per file."""

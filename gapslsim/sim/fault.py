"""What goes wrong: the family `fault`, of which a scenario names as many as it likes."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from gapslsim.registry import Family, component

__all__ = ["Crash", "Fate", "Fault", "OutageScope", "ServerCrashes", "faults"]

Fate = Literal["arrives", "lost", "corrupted"]
"""What becomes of a message. `lost`: it never arrives. `corrupted`: the receiver finds it damaged and asks again."""

OutageScope = Literal["client", "access_point", "group", "all"]
"""Whose links fail at the same times."""


class Crash(NamedTuple):
    """Of a client, in the midst of a computation."""

    share: float
    """Of the computation that was done, in [0, 1)."""
    restart_s: float
    loses_state: bool


class ServerCrashes(NamedTuple):
    """Of the server: when it is up, and from what it recovers."""

    changes: Iterator[tuple[float, bool]]
    """(time [s], whether it is up from then on)."""
    checkpoint_every: int
    """Server steps from one checkpoint to the next."""
    write_s: float
    """How long the server is held to write one."""


@component
class Fault(ABC):
    """Something that goes wrong; a pydantic component. What a fault does not say does not happen.

    Each fault draws from streams of its own for each client, so that changing one leaves all else as it was.
    """

    kind: str
    """Name in scenarios; each fault fixes its own."""
    groups: tuple[str, ...] | None = None
    """Names of the client groups whose clients it strikes; all unless given."""

    def does(self, what: Literal["crash", "outages", "server_crashes"]) -> bool:
        """Whether this kind of fault defines one of its methods: the others never strike."""
        return getattr(type(self), what) is not getattr(Fault, what)

    def fate(self, phase: str, random: np.random.Generator) -> Fate:
        """What becomes of a message.

        Args:
            phase: `uplink`, `downlink`, `model_uplink`, `model_downlink`, `handover`.
            random: the client's stream, from which each of its messages draws in turn.
        """
        return "arrives"

    def crash(self, random: np.random.Generator) -> Crash | None:
        """Whether a client crashes within the computation that it begins; one call each."""
        return None

    def slowness(self, random: np.random.Generator) -> Iterator[tuple[float, float]] | None:
        """(time [s], factor on the duration of computations from then on), from 0 s; None if never slower."""
        return None

    def outages(self, random: np.random.Generator) -> Iterator[tuple[float, bool]] | None:
        """(time [s], whether links carry anything from then on), from 0 s; None if they never fail."""
        return None

    @property
    def scope(self) -> OutageScope:
        """Whose links fail at the same times."""
        return "client"

    def server_crashes(self, random: np.random.Generator) -> ServerCrashes | None:
        """When the server fails; None if it does not."""
        return None


faults: Family[Fault] = Family("fault", "gapslsim.sim.faults")
"""What goes wrong; one kind per file."""

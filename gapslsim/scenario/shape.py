"""The shape of split learning: who owns which blocks of the network, and where the machines between stand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gapslsim.models.segments import Segments
from gapslsim.network.fleet import Station
from gapslsim.registry import Family, component

__all__ = ["Cuts", "Shape", "StationNode", "shapes"]


@dataclass(frozen=True)
class StationNode:
    """A machine between clients and server."""

    device: str | None
    """Hardware profile; None for that of the server."""
    place: Station
    """Its name, and where it is in the network."""

    @property
    def name(self) -> str:
        """As an actor, and of its state."""
        return self.place.node


@dataclass(frozen=True)
class Cuts:
    """What a shape needs to know of the network that is cut and of the clients."""

    first: Sequence[int]
    """Blocks at the beginning of each client's path that lie on it, from `model.cut`."""
    n_blocks: int
    """Of the network."""
    at: Callable[[int | str], int]
    """Blocks before another cut, which is counted as the model counts its own; ValueError if there is none."""
    places: Sequence[str | None]
    """Access point or edge site of each client, where its group names one."""


@component
class Shape(ABC):
    """Settings of a shape; a pydantic component."""

    @property
    def is_split(self) -> bool:
        """Whether client and server are all there is, with the loss on the server."""
        return False

    @abstractmethod
    def segments(self, cuts: Cuts) -> Segments | None:
        """The path of each client's mini-batches; None for client and server with one cut.

        Raises:
            ValueError: if the cuts leave somebody without a block; the message names the fix.
        """

    def stations(self) -> tuple[StationNode, ...]:
        """Machines between clients and server, in the order of the forward pass; none unless a shape has some."""
        return ()


shapes: Family[Shape] = Family("shape", "gapslsim.scenario.shapes")
"""A scenario's `shape` field."""

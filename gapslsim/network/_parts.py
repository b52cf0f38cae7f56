"""What the network keeps of messages that are under way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from gapslsim.network._delays import Toll
from gapslsim.network._routes import LinkSpec
from gapslsim.network.network import Airtime, Transfer
from gapslsim.network.solver.flows import Flow, Link

__all__ = ["Message", "Part", "Way"]


class Way(NamedTuple):
    """How messages go from one node to another, or over a segment."""

    links: tuple[Link, ...]
    """Those that can limit them."""
    path: tuple[LinkSpec, ...]
    toll: Toll
    """What each pays, if it is steady."""
    steady: bool


@dataclass(eq=False, slots=True)
class Part(Flow):
    """One flow of a message: all of it, or what one segment of a broadcast's tree carries."""

    toll: Toll = field(kw_only=True)
    """What it pays from the source to its end; it joins the sharing that much after submission."""
    line: tuple[str, LinkSpec] | None = None
    """Who sends, and the last link: one connection, whose parts join in the order of submission."""
    grown_bytes: float = 0.0
    """By how much the window of the connection was above that of a new one when this joined."""
    joins_s: float = 0.0
    """When it joins the sharing."""
    serves: dict[Message, float] = field(default_factory=dict)
    """The messages that wait for it, with the latency from its end to their target."""
    joined: bool = False
    air: Airtime = field(default_factory=Airtime)
    ended: bool = False
    """Whether its last byte has passed, or nobody waits for it any more."""


@dataclass(eq=False, slots=True)
class Message(Transfer):
    """A transfer with what the network keeps of it while it is under way."""

    serial: int = 0
    parts: list[Part] = field(default_factory=list)
    """Empty once it has arrived or was cancelled."""
    waiting: int = 0
    """Parts that have not ended."""
    arrival_s: float = 0.0
    """When the last byte of the parts that have ended is at the target."""

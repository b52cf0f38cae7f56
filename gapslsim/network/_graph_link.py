"""One link of a graph, as a user writes it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gapslsim.network.channel import Channel, channels
from gapslsim.registry import component
from gapslsim.units import Seconds

__all__ = ["GraphLink"]


@component
class GraphLink:
    """A link between two nodes."""

    between: Annotated[tuple[str, ...], Field(min_length=2, max_length=2)]
    """The two nodes; the first is where `rate` starts and `rate_back` ends."""
    name: str = ""
    """Name of the link; by default `a-b`."""
    rate: Annotated[Channel, channels] | None = None
    """Rate from the first node to the second, and back; unlimited by default."""
    rate_back: Annotated[Channel, channels] | None = None
    """Rate from the second node to the first; by default the same as `rate`."""
    latency: Seconds = 0.0
    """One way."""
    duplex: Literal["full", "half", "one_way"] = "full"
    """`half`: both directions share the rate; `one_way`: from the first node to the second only."""
    shared: bool = True
    """False: each flow is capped at the rate, whatever the others do."""

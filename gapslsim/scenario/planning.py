"""What `gapslsim plan` may choose in a scenario, for which goal, within which limits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from gapslsim.registry import component
from gapslsim.units import Quantity

__all__ = ["Goal", "Limits", "Plan", "Shares"]

Goal = Literal["round_time", "time_per_sample", "energy", "energy_per_sample", "bytes"]
"""What is made small: per round, or per training sample. Seconds, joules, bytes."""
Bytes = Annotated[float, Quantity("B", positive=True)]
Values = Annotated[list[Any], Field(min_length=1)]


@component
class Limits:
    """What a round may take at most; memory of the devices counts in any case."""

    round_time: Annotated[float, Quantity("s", positive=True)] | None = None
    """Mean time of a round."""
    energy: Annotated[float, Quantity("J", positive=True)] | None = None
    """Of all nodes in a round."""
    bytes: Bytes | None = None
    """Sent and received by the clients in a round."""
    client_memory: Bytes | None = None
    """Of the client-side model and its training state."""
    server_memory: Bytes | None = None
    """Of the server-side model and its training state."""


@component
class Shares:
    """A rate (or a number, as `share` of a wireless band) that client groups divide among themselves."""

    of: str | PositiveFloat
    """The whole: `100 Mbit/s`, or 1."""
    among: Annotated[tuple[str, ...], Field(min_length=2)]
    """Paths of the groups' parts: `[clients.0.link.uplink, clients.1.link.uplink]`. Within a group all clients have the
    same."""
    steps: Annotated[int, Field(ge=2, le=100)] = 10
    """In how many parts the whole is cut; each group gets one or more."""


@component
class Plan:
    """Settings that may be chosen. Every combination is timed by the simulator, without tensors."""

    choose: dict[str, Values] = Field(default_factory=dict)
    """Path to its values: `model.cut: [1, 2, 3]`. `*` is every item of a list, all alike; `clients.each.` gives each
    client group a choice of its own."""
    shares: tuple[Shares, ...] = ()
    """What groups divide among themselves."""
    goal: Goal | dict[Goal, PositiveFloat] = "round_time"
    """What is made small; or weights: `{round_time: 1, energy: 0.05}` is seconds plus 0.05 times joules."""
    limits: Limits = Field(default_factory=Limits)
    """What no plan may exceed."""
    rounds: PositiveInt = 3
    """Rounds that are timed of each combination; more where channels or participants are random."""

"""What a device spends beside computing: the section `overheads` of a profile.

Each figure is optional, and nothing is charged for one that is not given.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, PositiveInt, StringConstraints, model_validator

from gapslsim.hardware.figure import Figure, Status
from gapslsim.registry import component
from gapslsim.units import Quantity, Seconds

__all__ = ["Cold", "Overheads", "Throttling"]

ByteRate = Annotated[float, Quantity("B/s", positive=True)]
Slowing = Annotated[float, Field(ge=1)]
"""Factor on durations, 1 or more."""
Span = Annotated[float, Quantity("s", positive=True)]
"""A time above zero [s]."""
HeatTable = tuple[tuple[Seconds, Slowing], ...]


@component
class Cold:
    """The first computation after a wait: caches are cold, clocks have fallen, threads sleep."""

    after: Figure[Seconds]
    """Least time of waiting after which a computation is slow [s]."""
    factor: Figure[Slowing]
    """On its duration, 1 or more."""
    lasts: Figure[Span] | None = None
    """How much computing is slow after a wait [s], at the usual speed, be it one computation or several; the whole
    first one, and messages before it, unless given."""


@component
class Throttling:
    """Rate over time under sustained load: a device that gets hot slows down."""

    slowing: HeatTable
    """Rows (seconds of load, factor on durations), both ascending, linear between them, the last from there on:
    `[[0 s, 1], [5 min, 1], [10 min, 1.4]]`."""
    recovery: Annotated[float, Field(ge=0)]
    """Seconds of load that a second of rest undoes; 1: it cools as fast as it heats, 0: never."""
    status: Status
    """measured, published, fitted or assumed."""
    source: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    """Where the rows come from."""

    @model_validator(mode="after")
    def _ascends(self) -> Throttling:
        rows = self.slowing
        if not rows or rows[0][0] != 0:
            raise ValueError("slowing begins with what holds at first; write [0 s, 1] as its first row")
        for (since_s, before), (until_s, after) in pairwise(rows):
            if until_s <= since_s or after < before:
                raise ValueError(
                    f"slowing must ascend, found [{until_s:g} s, {after:g}] after [{since_s:g} s, {before:g}]; "
                    "sort its rows"
                )
        return self


@component
class Overheads:
    """What a device spends beside computing; a scenario's `clock` says what of it counts."""

    serialise_rate: Figure[ByteRate] | None = None
    """Rate at which it makes messages ready and takes them apart [B/s]: pickle or Protocol Buffers, copies to and from
    the accelerator. Charged at both ends of a message, as computations `serialise` and `deserialise`."""
    per_message: Figure[Seconds] | None = None
    """What each message takes on this device beside its bytes [s]: system calls, the framework."""
    per_iteration: Figure[Seconds] | None = None
    """What each mini-batch takes beside its passes [s]: Python of a training loop, gradients set to zero, logging. On a
    client part of its forward pass, on a server of its step."""
    loading_per_sample: Figure[Seconds] | None = None
    """What one worker takes to read and augment a sample [s]."""
    loading: Literal["ahead", "inline"] = "ahead"
    """`ahead`: workers make the next mini-batch while everything else goes on, and only what is not hidden costs time;
    `inline`: it is made when it is needed, before the forward pass. Either is a span `loading`."""
    loading_workers: PositiveInt = 1
    """Workers that load ahead."""
    cold: Cold | None = None
    """What the first computation after a wait takes more."""
    throttling: Throttling | None = None
    """How it slows under sustained load."""
    background_load: Figure[Annotated[float, Field(ge=0, lt=1)]] | None = None
    """Share of the device that other programs have, in [0, 1): durations are divided by what is left."""

"""What of a device's overheads the clock counts, and how the server computes: the section `clock` of a scenario."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from gapslsim.kernels import Precision
from gapslsim.registry import component

__all__ = ["ClockOptions", "ServerClock"]


@component
class ServerClock:
    """How the server makes the passes of a round. What is trained is the same in each case."""

    computes: Literal["auto", "joined", "per_client", "in_sequence"] = "auto"
    """`joined`: one pass over the samples of all clients, as many as the server's memory holds, so that each layer is
    started once; only where no gradient of a single client is needed and no layer mixes samples (batch norm).
    `per_client`: a pass for each. `in_sequence`: a pass for each in a training loop of its own, which costs
    `per_iteration` every time. `auto`: joined where that is possible, else per client."""
    serves: Literal["at_barrier", "on_arrival"] = "at_barrier"
    """When a server that steps once for all begins a client's pass: when all have arrived, or at once. The update is at
    the barrier in either case. On arrival there is a pass for each."""

    @model_validator(mode="after")
    def _one_by_one(self) -> ServerClock:
        if self.serves == "on_arrival" and self.computes == "joined":
            raise ValueError(
                "serves: on_arrival makes a pass for each client as it comes, and computes: joined one for all; leave "
                "one of them out"
            )
        return self


@component
class ClockOptions:
    """What takes simulated time beside computing and sending; how much, the devices' profiles say (`overheads`)."""

    serialisation: bool = True
    """Making messages ready and taking them apart: `serialise_rate`, `per_message`."""
    per_iteration: bool = True
    """What each mini-batch takes beside its passes."""
    loading: bool = True
    """Reading and augmenting samples."""
    cold: bool = True
    """The first computation after a wait is slower."""
    throttling: bool = True
    """Devices slow down under sustained load."""
    background_load: bool = True
    """Other programs take a share of a device."""
    precision: Literal["as_trained"] | Precision = "as_trained"
    """Whose rates devices are timed by: those for what `training.precision` says, or for another precision, such as
    `float32` where `tf32` or `bfloat16` are to make this machine faster and no device. A device without such rates is
    refused; profiles and their modes say what rates are for (`precision`)."""
    jitter: bool = True
    """Random factors on durations; without them each computation takes what its profile says, exactly."""
    server: ServerClock = Field(default_factory=ServerClock)
    """How the server computes, and when."""

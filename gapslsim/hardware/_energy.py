"""Energy of a span: the power of the device's state times how long it lasted."""

from __future__ import annotations

from typing import Literal

from gapslsim.hardware.device import PowerStates

__all__ = ["PowerState", "span_energy_j"]

PowerState = Literal["idle", "compute", "send", "receive"]
"""What a device is doing. Each state's power is that of the whole device, so states are never added up."""


def span_energy_j(power: PowerStates, state: PowerState, duration_s: float) -> float:
    """Energy of `duration_s` seconds in one state [J].

    Raises:
        ValueError: on a negative or NaN duration.
    """
    if not duration_s >= 0:
        raise ValueError(f"duration_s must be 0 or more, found {duration_s!r}.")
    power_w: float = getattr(power, f"{state}_w")
    return power_w * duration_s

"""Energy of a span: the power of the device's state times how long it lasted."""

from __future__ import annotations

from typing import Literal

from gapslsim.hardware.device import PowerStates

__all__ = ["PowerState", "span_energy_j"]

PowerState = Literal["idle", "compute", "send", "receive"]
"""What a device is doing. Each state's power is that of the whole device, so states are never added up."""


def _state_power_w(power: PowerStates, state: PowerState) -> float:
    """Power of the whole device in a state [W]."""
    return {
        "idle": power.idle_w,
        "compute": power.compute_w,
        "send": power.send_w,
        "receive": power.receive_w,
    }[state]


def span_energy_j(power: PowerStates, state: PowerState, duration_s: float) -> float:
    """Energy of `duration_s` seconds in one state [J].

    Raises:
        ValueError: on a negative or NaN duration.
    """
    if not duration_s >= 0:
        raise ValueError(f"duration_s must be 0 or more, found {duration_s!r}.")
    return _state_power_w(power, state) * duration_s

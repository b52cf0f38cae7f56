"""What of a device's overheads the clock counts: the section `clock` of a scenario."""

from __future__ import annotations

from gapslsim.registry import component

__all__ = ["ClockOptions"]


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
    jitter: bool = True
    """Random factors on durations; without them each computation takes what its profile says, exactly."""

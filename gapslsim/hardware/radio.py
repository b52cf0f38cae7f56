"""Energy of transfers with radios whose power depends on throughput.

A radio that moves r bit/s draws P = P_0 + e r, measured to be a line for LTE and 5G (Narayanan et al., "A Variegated
Look at 5G in the Wild", SIGCOMM 2021, section 4). So a transfer of b bits in t seconds takes P_0 t + e b joules,
whatever its rate did in between. P_0 is the device's `send` or `receive` power, e its `send_per_bit` or
`receive_per_bit` [J/bit] (1 mW per Mbit/s is 1 nJ/bit); e is 0 for a device that gives none.
"""

from __future__ import annotations

from typing import Literal

from gapslsim.hardware._energy import span_energy_j
from gapslsim.hardware.device import PowerStates

__all__ = ["radio_power_w", "throughput_energy_j", "transfer_energy_j"]

Direction = Literal["send", "receive"]


def _per_bit_j(power: PowerStates, direction: Direction) -> float:
    return power.send_j_per_bit if direction == "send" else power.receive_j_per_bit


def throughput_energy_j(power: PowerStates, direction: Direction, size_bytes: float) -> float:
    """Energy that bytes take beside the power of the state [J]."""
    return 8 * size_bytes * _per_bit_j(power, direction)


def transfer_energy_j(
    power: PowerStates, direction: Direction, size_bytes: float, duration_s: float
) -> float:
    """Energy of a transfer [J].

    Raises:
        ValueError: on a negative or NaN duration.
    """
    return span_energy_j(power, direction, duration_s) + throughput_energy_j(power, direction, size_bytes)


def radio_power_w(power: PowerStates, direction: Direction, rate_bit_per_s: float) -> float:
    """Power of the whole device at a constant rate [W]."""
    base_w: float = getattr(power, f"{direction}_w")
    return base_w + rate_bit_per_s * _per_bit_j(power, direction)

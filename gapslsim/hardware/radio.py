"""Energy of transfers with radios whose power depends on throughput.

A radio that moves r bit/s draws P = P_0 + e r, measured to be a line for LTE and 5G (Narayanan et al., "A Variegated
Look at 5G in the Wild", SIGCOMM 2021, section 4). So a transfer of b bits in t seconds takes P_0 t + e b joules,
whatever its rate did in between. P_0 is the device's `send` or `receive` power, e its `send_per_bit` or
`receive_per_bit` [J/bit] (1 mW per Mbit/s is 1 nJ/bit); e is 0 for a device that gives none.
"""

from __future__ import annotations

from typing import Literal

from gapslsim.hardware.device import PowerStates

__all__ = ["throughput_energy_j"]


def throughput_energy_j(
    power: PowerStates, direction: Literal["send", "receive"], size_bytes: float
) -> float:
    """Energy that bytes take beside the power of the state [J]."""
    per_bit_j = power.send_j_per_bit if direction == "send" else power.receive_j_per_bit
    return 8 * size_bytes * per_bit_j

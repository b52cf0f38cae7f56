"""Power rails of Jetson boards: which of them are the whole board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["board_power"]

_INPUTS = ("VDD_IN", "POM_5V_IN", "POM_IN", "Power TOT", "TOT")
"""Rails that feed all others: Xavier NX, Orin NX, Orin Nano, TX2; Nano; jtop's total."""
_FED = ("VDDQ_VDD2_1V8AO", "NC")
"""Fed by another rail that is measured too (AGX Orin: by VIN_SYS_5V0), or not connected."""


def board_power(rails: Mapping[str, float], wanted: Sequence[str] = ()) -> tuple[list[str], float]:
    """The rails that are the whole board, and the sum of their powers.

    Args:
        rails: power by name [W].
        wanted: rails to add; by default that of the input, else all.

    Returns:
        Names (empty if a wanted rail is not there) and watts.
    """
    chosen = list(wanted) or [name for name in _INPUTS if name in rails][:1]
    chosen = chosen or [name for name in rails if name not in _FED]
    if any(name not in rails for name in chosen):
        return [], 0.0
    return chosen, sum(rails[name] for name in chosen)

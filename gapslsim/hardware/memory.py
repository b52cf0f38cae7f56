"""Whether a part of the model fits the memory of its device."""

from __future__ import annotations

from gapslsim.errors import MemoryShortError
from gapslsim.hardware.device import Device

__all__ = ["check_fits", "readable"]


def check_fits(device: Device, needed_bytes: float, what: str) -> None:
    """Checks that `what` (say, "client part of vgg16 at batch 128") fits the usable memory of a device.

    Raises:
        MemoryShortError: if it does not; says how much is needed, available and missing, and what to change.
    """
    if needed_bytes <= device.ram_bytes:
        return
    missing = needed_bytes - device.ram_bytes
    raise MemoryShortError(
        f"{what} does not fit {device.name}: it needs {readable(needed_bytes)}, "
        f"{readable(device.ram_bytes)} can be used, {readable(missing)} are missing. Make the batch smaller, "
        f"move the cut so that less lies there, take a smaller model or a device with more memory."
    )


def readable(n_bytes: float) -> str:
    """1.23 GB, 45.6 MB; for people only, units.format_quantity is the exact one."""
    for prefix, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if n_bytes >= scale:
            amount = f"{n_bytes / scale:.3g}" if n_bytes < 1e12 else f"{n_bytes / scale:,.0f}"
            return f"{amount} {prefix}B"
    return f"{n_bytes:g} B"

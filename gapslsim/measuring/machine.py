"""What the machine at hand is called in the table."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import torch

from gapslsim.kernels import Precision

__all__ = ["machine_name", "runtime_name"]

_BOARD = Path("/proc/device-tree/model")
_PROCESSOR = Path("/proc/cpuinfo")


def machine_name(device: torch.device, board: Path = _BOARD, processor: Path = _PROCESSOR) -> str:
    """A name in lower case with hyphens: of the GPU, of the board (Jetson, Raspberry Pi), or of the processor."""
    if device.type == "cuda":
        return _slug(torch.cuda.get_device_name(device))
    if board.is_file():
        return _slug(board.read_text(errors="replace").strip("\0\n "))
    if processor.is_file():
        found = re.search(
            r"^(?:model name|Hardware)\s*:\s*(.+)$", processor.read_text(errors="replace"), re.MULTILINE
        )
        if found:
            return _slug(found[1])
    return _slug(platform.processor() or platform.machine() or "unknown")


def runtime_name(device: torch.device, precision: Precision = "float32") -> str:
    """Of what computes, with its version; with the precision of passes where that is not float32."""
    named = f"pytorch {torch.__version__} {device.type}"
    return named if precision == "float32" else f"{named} {precision}"


def _slug(text: str) -> str:
    text = re.sub(r"\((?:R|TM)\)|\b(?:Processor|CPU)\b", " ", text)
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-") or "unknown"

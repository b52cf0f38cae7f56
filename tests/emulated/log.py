"""What an emulated device was asked for, by kind and by line of the package."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field, fields


@dataclass
class Log:
    """Counts of `operation @ file:line`, the innermost line of `gapslsim`."""

    launches: Counter[str] = field(default_factory=Counter)
    """Kernels: everything that computes or copies on the device."""
    waits: Counter[str] = field(default_factory=Counter)
    """Where the program stands still until the device has caught up: reads, sizes that depend on values."""
    uploads: Counter[str] = field(default_factory=Counter)
    """Copies to the device that the program waits for."""
    queued_uploads: Counter[str] = field(default_factory=Counter)
    """Copies to the device from pinned memory that it does not wait for."""
    mixed: Counter[str] = field(default_factory=Counter)
    """Operations on tensors of two devices, which a real one refuses."""
    float64: Counter[str] = field(default_factory=Counter)
    """Launches on float64 numbers, which are slow on most GPUs and missing on some."""

    def note(self, kind: str, operation: str) -> None:
        getattr(self, kind)[f"{operation} @ {_line()}"] += 1

    def clear(self) -> None:
        for of_kind in fields(self):
            getattr(self, of_kind.name).clear()

    def copy(self) -> Log:
        return Log(*(Counter(getattr(self, of_kind.name)) for of_kind in fields(self)))

    def total(self, kind: str) -> int:
        return sum(getattr(self, kind).values())

    def report(self, most: int = 12) -> str:
        """All totals, and the lines that account for most of each."""
        lines = []
        for of_kind in fields(self):
            counts: Counter[str] = getattr(self, of_kind.name)
            lines.append(f"{of_kind.name}: {sum(counts.values())}")
            lines += [f"  {n:7d} {what}" for what, n in counts.most_common(most)]
        return "\n".join(lines)


def _line() -> str:
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if "/gapslsim/" in name and "/tests/" not in name:
            return f"{name.rsplit('/gapslsim/', 1)[1]}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "elsewhere"

"""tegrastats of Jetson boards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from gapslsim.importing.importer import Source, importers
from gapslsim.importing.power_log import PowerLog, PowerSample
from gapslsim.measuring.rails import board_power
from gapslsim.registry import component

__all__ = ["Tegrastats"]

_RAIL = re.compile(r"\b([A-Z][A-Z0-9_]*) (\d+)(?:mW)?/(\d+)(?:mW)?(?= |$)")
_NO_RAIL = ("RAM", "SWAP", "IRAM")
_CPU = re.compile(r"CPU \[([^\]]*)\]")
_GPU = re.compile(r"GR3D_FREQ (\d+)%")


@importers.register
@component
class Tegrastats(PowerLog):
    """Power at rest and at work from `tegrastats --logfile FILE`, from the rail at the input or the sum of rails."""

    kind: Literal["tegrastats"] = "tegrastats"
    rails: tuple[str, ...] = ()
    """Rails whose powers are added; by default that of the input (`VDD_IN`, `POM_5V_IN`), else all."""

    @classmethod
    def knows(cls, source: Source) -> bool:
        """Has lines with RAM in MB and the load of the processors."""
        return re.search(r"^.*\bRAM \d+/\d+MB .*CPU \[", source.text[:20_000], re.M) is not None

    def samples(self, source: Source, notes: list[str]) -> Iterator[PowerSample]:
        """Power and load of each line."""
        told = False
        for line, text in enumerate(source.text.splitlines(), 1):
            if "RAM " not in text:
                continue
            rails = {name: int(now) / 1e3 for name, now, _ in _RAIL.findall(text) if name not in _NO_RAIL}
            if not rails:
                raise source.fault(
                    "has no power rails (NAME now/mean in mW); run tegrastats as root, on the board", line
                )
            chosen, power_w = board_power(rails, self.rails)
            if not chosen:
                raise source.fault(
                    f"has not the rails {', '.join(self.rails)}; it has {', '.join(rails)}", line
                )
            if not told:
                notes.append(f"power of {' + '.join(chosen)}")
                told = True
            yield PowerSample(power_w, _busy(text))


def _busy(text: str) -> float | None:
    """The busier of GPU and processors; a processor that is off does nothing."""
    found = [float(load) for load in _GPU.findall(text)]
    if cpu := _CPU.search(text):
        found += [max((float(load) for load in re.findall(r"(\d+)%", cpu[1])), default=0.0)]
    return max(found) if found else None

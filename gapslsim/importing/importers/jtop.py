"""jtop's CSV (jetson-stats)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Literal

from gapslsim.importing.importer import Source, importers
from gapslsim.importing.power_log import PowerLog, PowerSample
from gapslsim.measuring.rails import board_power
from gapslsim.registry import component

__all__ = ["Jtop"]

_LOAD = re.compile(r"(CPU|GPU)\d*")
_OLD = {"power cur": "TOT", "Power TOT": "TOT"}
"""The total: jetson-stats 3, and 4."""


@importers.register
@component
class Jtop(PowerLog):
    """Power at rest and at work from the CSV of jetson-stats (`jtop_logger.py`: a row of `jtop.stats` per sample)."""

    kind: Literal["jtop"] = "jtop"
    rails: tuple[str, ...] = ()
    """Rails whose powers are added, as in the header without `Power `; by default the total."""

    @classmethod
    def knows(cls, source: Source) -> bool:
        """Has a header with `time` and the loads of the processors."""
        header = source.text.partition("\n")[0].strip().split(",")
        return "CPU1" in header and "time" in header and "uptime" in header

    def samples(self, source: Source, notes: list[str]) -> Iterator[PowerSample]:
        """Power and load of each row; power is in mW."""
        told = False
        rows = csv.DictReader(io.StringIO(source.text))
        for row in rows:
            rails: dict[str, float] = {}
            busy: list[float] = []
            for name, cell in row.items():
                if name is None or cell is None:
                    raise source.fault("has more or fewer cells than the header", rows.line_num)
                rail = _OLD.get(name, name.removeprefix("Power ") if name.startswith("Power ") else "")
                try:
                    if rail and cell:
                        rails[rail] = float(cell) / 1e3
                    elif _LOAD.fullmatch(name) and cell not in ("", "OFF"):
                        busy.append(float(cell))
                except ValueError:
                    raise source.fault(
                        f"column {name!r} is {cell!r}, which is no number", rows.line_num
                    ) from None
            chosen, power_w = board_power(rails, self.rails)
            if not chosen:
                wanted = ", ".join(self.rails) or "'Power ...'"
                raise source.fault(
                    f"has no column of {wanted}; it has {', '.join(rails) or 'no power'}", rows.line_num
                )
            if not told:
                notes.append(f"power of {' + '.join(chosen)}")
                told = True
            yield PowerSample(power_w, max(busy) if busy else None)

"""nvidia-smi's CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Literal

from gapslsim.importing.importer import Source, importers
from gapslsim.importing.power_log import PowerLog, PowerSample
from gapslsim.registry import component

__all__ = ["NvidiaSmi"]

_POWER = ("power.draw", "power.draw.instant", "power.draw.average")


@importers.register
@component
class NvidiaSmi(PowerLog):
    """Power at rest and at work from `nvidia-smi --query-gpu=name,index,power.draw,utilization.gpu --format=csv -l 1`.

    With `noheader` it cannot be read; `nounits` may be given. The power is that of the card alone.
    """

    kind: Literal["nvidia-smi"] = "nvidia-smi"
    index: int | None = None
    """GPU of the rows that are taken; needed where the log has several (query `index`)."""

    @classmethod
    def knows(cls, source: Source) -> bool:
        """Has a header with the power that is drawn."""
        header = source.text.partition("\n")[0]
        return "power.draw" in header and "," in header

    def samples(self, source: Source, notes: list[str]) -> Iterator[PowerSample]:
        """Power and load of each row."""
        rows = csv.reader(io.StringIO(source.text), skipinitialspace=True)
        header = [re.sub(r"\s*\[.*\]", "", name).strip() for name in next(rows)]
        power_at = next((place for place, name in enumerate(header) if name in _POWER), None)
        if power_at is None:
            raise source.fault(f"has none of the columns {', '.join(_POWER)}", rows.line_num)
        busy_at = header.index("utilization.gpu") if "utilization.gpu" in header else None
        index_at = header.index("index") if "index" in header else None
        name_at = header.index("name") if "name" in header else None
        indices: set[str] = set()
        n_unknown = 0
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                raise source.fault(f"has {len(row)} cells and the header {len(header)}", rows.line_num)
            if index_at is not None:
                indices.add(row[index_at])
                if self.index is not None and row[index_at] != str(self.index):
                    continue
            if "N/A" in row[power_at] or "Not Supported" in row[power_at]:
                n_unknown += 1
                continue
            power_w = _number(row[power_at], "power.draw", source, rows.line_num)
            busy = (
                None if busy_at is None else _number(row[busy_at], "utilization.gpu", source, rows.line_num)
            )
            name = re.sub(r"[^a-z0-9]+", "-", row[name_at].lower()).strip("-") if name_at is not None else ""
            yield PowerSample(power_w, busy, name)
        if self.index is None and len(indices) > 1:
            raise source.fault(f"it has the GPUs {', '.join(sorted(indices))}; choose one: --set index=0")
        if n_unknown:
            notes.append(f"{n_unknown} rows have no power: this GPU does not measure it then")


def _number(cell: str, column: str, source: Source, line: int) -> float:
    try:
        return float(re.sub(r"\s*(W|%)$", "", cell))
    except ValueError:
        raise source.fault(f"{column} is {cell!r}, which is no number", line) from None
